/*
 * dec_jsonline.c - JSON lines (POST /insert/jsonline): one record a line. A line that is no JSON object goes
 * to the quarantine; a body in which no line is one is refused.
 *
 * Query parameters: _stream_fields (comma list: these paths are the labels, instead of the default ones),
 * _time_field, _msg_field.
 */
#include <stdio.h>

#include "ingest/decode_int.h"
#include "ingest/json_template.h"

#define FIELDS_MAX 64

struct jsonline {
    struct lp_decoder *d;
    struct lp_batch *b;
    struct lp_json_map map;
    struct lp_arena ar;
    struct lp_json_templates *templates; /* NULL: these parameters are too long to remember */
    bool missed; /* the line under way was offered, and not known */
    size_t good, bad;
    lp_rc rc;
    struct lp_err *err;
};

/* Members that had a role and lose it are metadata like any other: the request names its own. */
static void
drop_rules(struct lp_json_map *m, enum lp_field_kind kind)
{
    for (size_t i = 0; i < m->nrules; i++) {
        m->rules[i].kind = m->rules[i].kind == kind ? LP_FIELD_META : m->rules[i].kind;
    }
}

static bool
add_names(struct jsonline *j, struct lp_str list, enum lp_field_kind kind)
{
    drop_rules(&j->map, kind);
    for (uint8_t rank = 0; list.p != NULL; rank++) {
        struct lp_str name = lp_str_trim(lp_str_cut(&list, ',')), label = LP_STR_NULL;
        if (name.n == 0) {
            continue;
        }
        if (rank >= FIELDS_MAX || (kind == LP_FIELD_LABEL && !lp_label_name(&j->ar, name, &label)) ||
            !lp_json_map_add(&j->map, name, kind, rank, label)) {
            return false;
        }
    }
    return true;
}

static lp_rc
read_params(struct jsonline *j, struct lp_str target, struct lp_err *err)
{
    static const struct {
        const char *name;
        enum lp_field_kind kind;
    } params[] = {
        {"_stream_fields", LP_FIELD_LABEL}, {"_time_field", LP_FIELD_TIME}, {"_msg_field", LP_FIELD_LINE}};
    (void)lp_str_cut(&target, '?');
    while (target.p != NULL && target.n > 0) {
        struct lp_str value = lp_str_cut(&target, '&'), decoded;
        struct lp_str name = lp_str_cut(&value, '=');
        for (size_t i = 0; i < LP_ARRAY_LEN(params); i++) {
            if (!lp_str_eqc(name, params[i].name)) {
                continue;
            }
            if (!lp_url_decode(&j->ar, value, true, &decoded)) {
                return lp_err_set(err, LP_ERR_PARSE, "parameter %s is not well encoded", params[i].name);
            }
            if (decoded.n > 0 && !add_names(j, decoded, params[i].kind)) {
                return lp_err_set(err, LP_ERR_LIMIT, "parameter %s names more than %d fields", params[i].name,
                                  FIELDS_MAX);
            }
        }
    }
    return LP_OK;
}

static bool
quarantine(struct jsonline *j, struct lp_str raw, const char *why)
{
    char place[64];
    snprintf(place, sizeof(place), "record %zu of the body", j->good + j->bad + 1);
    j->bad++;
    j->rc = lp_batch_quarantine(j->b, LP_STR("jsonline"), raw, lp_str_c(why), lp_str_c(place), j->err);
    return j->rc == LP_OK;
}

static bool
on_doc(void *arg, const struct lp_json_doc *doc, struct lp_str raw)
{
    struct jsonline *j = arg;
    struct lp_err why;
    lp_err_clear(&why);
    size_t rows = j->b->nrows;
    j->rc = lp_json_record(j->d->mapper, &j->map, doc, NULL, raw, LP_TIME_NONE, j->b, &why);
    if (j->rc == LP_OK) {
        j->good++;
        if (j->missed) { /* lines of a window are not offered: most are known, and must not count as new */
            j->missed = false;
            lp_json_templates_learn(j->templates, j->d->mapper, &j->map, doc, raw, j->b);
        }
        return true;
    }
    if (j->b->nrows == rows && (j->rc == LP_ERR_UNSUPPORTED || j->rc == LP_ERR_PARSE)) {
        return quarantine(j, raw, why.text);
    }
    if (j->err != NULL) {
        *j->err = why;
    }
    return false;
}

static bool
on_line(void *arg, struct lp_str raw)
{
    struct jsonline *j = arg;
    bool took = lp_json_templates_row(j->templates, raw, LP_TIME_NONE, j->b);
    j->good += took;
    j->missed = !took;
    return took;
}

/* What is remembered holds for the parameters of the request before: others make other rules. */
static struct lp_json_templates *
templates_for(struct lp_decoder *d, struct lp_str target)
{
    (void)lp_str_cut(&target, '?');
    if (!lp_str_eq(target, lp_buf_view(&d->params))) {
        lp_json_templates_clear(d->lines);
        lp_buf_reset(&d->params);
        if (!lp_buf_str(&d->params, target)) {
            return NULL;
        }
    }
    return d->lines;
}

static bool
on_bad(void *arg, struct lp_str raw, const struct lp_err *why)
{
    return quarantine(arg, raw, why->text);
}

lp_rc
lp_decode_jsonline(struct lp_decoder *d, const struct lp_push *push, struct lp_str body,
                   const struct lp_decode_limits *lim, struct lp_batch *b, struct lp_err *err)
{
    (void)lim;
    struct jsonline *j = lp_calloc(1, sizeof(*j));
    *j = (struct jsonline){.d = d, .b = b, .rc = LP_OK, .err = err};
    lp_arena_init(&j->ar, 1 << 20, 0);
    lp_json_map_jsonline(&j->map);
    lp_rc rc = read_params(j, push->target, err);
    if (rc == LP_OK) {
        j->templates = templates_for(d, push->target);
        struct lp_json_lines_cb cb = {on_doc, on_bad, j, j->templates != NULL ? on_line : NULL};
        rc = lp_json_lines(d->json, body, &cb, err);
        rc = rc == LP_ERR_CANCELED ? j->rc : rc;
    }
    if (rc == LP_OK && j->good == 0 && j->bad > 0) {
        rc = lp_err_set(err, LP_ERR_PARSE, "the body holds no JSON object; one a line is expected");
    }
    lp_arena_clear(&j->ar);
    lp_free(j);
    return rc;
}
