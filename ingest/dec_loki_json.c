/*
 * dec_loki_json.c - Loki's JSON push (contracts B.1):
 * {"streams":[{"stream":{..},"values":[["ns","line",{..}?],..]}]}, and the form of its old path:
 * {"streams":[{"labels":"{..}","entries":[{"ts":"RFC 3339","line":".."}]}]}.
 *
 * The body is wrong as a whole or right as a whole: nothing of it is stored after a 400.
 */
#include "ingest/decode_int.h"

#define PAIRS_MAX LP_META_PAIRS_MAX

struct loki {
    struct lp_batch *b;
    struct lp_json_doc doc;
    struct lp_arena ar;
    struct lp_pair pairs[PAIRS_MAX];
    uint32_t stream;
};

static lp_rc
bad(struct lp_err *err, const char *what)
{
    return lp_err_set(err, LP_ERR_PARSE, "loki push: %s", what);
}

/* An object of strings as pairs. */
static lp_rc
read_pairs(struct loki *l, uint32_t at, const char *what, size_t *ret_n, struct lp_err *err)
{
    const struct lp_json *o = &l->doc.nodes[at];
    size_t n = 0;
    if (o->type != LP_JSON_OBJECT) {
        return lp_err_set(err, LP_ERR_PARSE, "loki push: %s must be an object of strings", what);
    }
    if (o->count > PAIRS_MAX) {
        return lp_err_set(err, LP_ERR_LIMIT, "loki push: %s has more than %d members", what, PAIRS_MAX);
    }
    for (uint32_t i = at + 1; i < o->next; i = l->doc.nodes[i].next) {
        const struct lp_json *v = &l->doc.nodes[i];
        if (v->type != LP_JSON_STRING) {
            return lp_err_set(err, LP_ERR_PARSE, "loki push: %s must hold strings only", what);
        }
        l->pairs[n++] = (struct lp_pair){v->key, v->text};
    }
    *ret_n = n;
    return LP_OK;
}

/* ["ns", "line", {metadata}?] */
static lp_rc
read_value(struct loki *l, uint32_t at, struct lp_err *err)
{
    const struct lp_json *a = &l->doc.nodes[at], *v = a + 1;
    int64_t t;
    size_t nmeta = 0;
    if (a->type != LP_JSON_ARRAY || a->count < 2 || a->count > 3) {
        return bad(err, "a value must be [\"<nanoseconds>\", \"line\"] with optional metadata");
    }
    if (v[0].type != LP_JSON_STRING || !lp_str_i64(v[0].text, &t) || t == LP_TIME_NONE) {
        return bad(err, "the time of a value must be a string of nanoseconds");
    }
    if (v[1].type != LP_JSON_STRING) {
        return bad(err, "the line of a value must be a string");
    }
    if (a->count == 3) {
        lp_rc rc = read_pairs(l, at + 3, "structured metadata", &nmeta, err);
        if (rc != LP_OK) {
            return rc;
        }
    }
    return lp_batch_add(l->b, l->stream, t, v[1].text, false, l->pairs, nmeta, err);
}

/* {"ts":"2026-..","line":".."} */
static lp_rc
read_entry(struct loki *l, uint32_t at, struct lp_err *err)
{
    const struct lp_json *ts = lp_json_member(&l->doc, at, LP_STR("ts"));
    const struct lp_json *line = lp_json_member(&l->doc, at, LP_STR("line"));
    int64_t t;
    if (l->doc.nodes[at].type != LP_JSON_OBJECT || ts == NULL || line == NULL ||
        line->type != LP_JSON_STRING || !lp_time_any(ts->text, &t)) {
        return bad(err, "an entry must have ts (RFC 3339) and line");
    }
    return lp_batch_add(l->b, l->stream, t, line->text, false, NULL, 0, err);
}

static lp_rc
read_list(struct loki *l, const struct lp_json *list, lp_rc (*one)(struct loki *, uint32_t, struct lp_err *),
          struct lp_err *err)
{
    lp_rc rc = LP_OK;
    if (list == NULL || list->type == LP_JSON_NULL) {
        return LP_OK;
    }
    if (list->type != LP_JSON_ARRAY) {
        return bad(err, "values and entries must be arrays");
    }
    for (uint32_t i = (uint32_t)(list - l->doc.nodes) + 1; i < list->next && rc == LP_OK;
         i = l->doc.nodes[i].next) {
        rc = one(l, i, err);
    }
    return rc;
}

static lp_rc
read_stream(struct loki *l, uint32_t at, struct lp_err *err)
{
    const struct lp_json *labels = lp_json_member(&l->doc, at, LP_STR("stream"));
    const struct lp_json *text = lp_json_member(&l->doc, at, LP_STR("labels"));
    size_t n = 0;
    lp_rc rc;
    if (l->doc.nodes[at].type != LP_JSON_OBJECT) {
        return bad(err, "streams must hold objects");
    }
    if (labels != NULL) {
        rc = read_pairs(l, (uint32_t)(labels - l->doc.nodes), "stream", &n, err);
    } else if (text != NULL && text->type == LP_JSON_STRING) {
        lp_arena_clear(&l->ar);
        rc = lp_labels_parse(text->text, &l->ar, l->pairs, PAIRS_MAX, &n, err);
    } else {
        rc = bad(err, "a stream has no labels");
    }
    if (rc == LP_OK) {
        struct lp_instance inst;
        n = lp_labels_take_instance(l->pairs, n, &inst);
        rc = lp_batch_stream(l->b, l->pairs, n, &inst, &l->stream, err);
    }
    if (rc == LP_OK) {
        rc = read_list(l, lp_json_member(&l->doc, at, LP_STR("values")), read_value, err);
    }
    return rc == LP_OK ? read_list(l, lp_json_member(&l->doc, at, LP_STR("entries")), read_entry, err) : rc;
}

lp_rc
lp_decode_loki_json(struct lp_decoder *d, const struct lp_push *push, struct lp_str body,
                    const struct lp_decode_limits *lim, struct lp_batch *b, struct lp_err *err)
{
    (void)push;
    (void)lim;
    struct loki *l = lp_calloc(1, sizeof(*l));
    l->b = b;
    lp_arena_init(&l->ar, 4 << 20, 0);
    lp_rc rc = lp_json_parse(d->json, body, &l->doc, err);
    if (rc == LP_OK && l->doc.nodes[0].type != LP_JSON_OBJECT) {
        rc = bad(err, "the body must be an object with streams");
    }
    if (rc == LP_OK) {
        rc = read_list(l, lp_json_member(&l->doc, 0, LP_STR("streams")), read_stream, err);
    }
    lp_arena_clear(&l->ar);
    lp_free(l);
    return rc;
}
