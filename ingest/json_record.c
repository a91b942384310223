/*
 * json_record.c - see json_record.h. Walks the nodes of a document once, without recursion: depth is bounded
 * by the parser.
 */
#include "ingest/decode_int.h"
#include "ingest/json_memo.h"

#include <string.h>

#define EXACT_WITHIN_NS (2 * LP_NS_PER_S)
#define PATH_BYTES_MAX 4096
#define LABELS_MAX 64

struct chosen {
    struct lp_str text;
    struct lp_str path; /* in the arena when nested */
    uint8_t rank;
    bool set;
};

struct lp_json_mapper {
    struct lp_arena ar; /* of the record under way: sanitised names, nested paths */
    struct lp_pair meta[LP_META_PAIRS_MAX];
    size_t nmeta;
    struct lp_pair labels[LABELS_MAX];
    uint8_t label_rank[LABELS_MAX];
    size_t nlabels, demoted;
    struct lp_instance inst;
    struct chosen line;
    bool line_is_log;
    struct chosen time;
    int64_t time_ns;
    int64_t exact_ns;      /* of "time" in RFC 3339 */
    size_t nlines, ntimes; /* members that could be it */
};

struct lp_json_mapper *
lp_json_mapper_new(void)
{
    struct lp_json_mapper *x = lp_calloc(1, sizeof(*x));
    lp_arena_init(&x->ar, 64u << 20, 4096);
    return x;
}

void
lp_json_mapper_free(struct lp_json_mapper *x)
{
    if (x != NULL) {
        lp_arena_clear(&x->ar);
        lp_free(x);
    }
}

/* Length and three bytes tell the paths of rules apart well enough. */
static size_t
slot_of(struct lp_str path)
{
    size_t last = path.n - 1;
    uint32_t h = (uint32_t)path.n * 31 + (uint8_t)path.p[0];
    h = h * 31 + (uint8_t)path.p[path.n / 2];
    return (h * 31 + (uint8_t)path.p[last]) % LP_RULE_SLOTS;
}

/* The slot of a path, or the free one where it would stand. */
static size_t
find_slot(const struct lp_json_map *m, struct lp_str path)
{
    size_t at = slot_of(path);
    while (m->slots[at] != 0 && !lp_str_eq(m->rules[m->slots[at] - 1].path, path)) {
        at = (at + 1) % LP_RULE_SLOTS;
    }
    return at;
}

bool
lp_json_map_add(struct lp_json_map *m, struct lp_str path, enum lp_field_kind kind, uint8_t rank,
                struct lp_str label)
{
    size_t at = find_slot(m, path);
    if (m->slots[at] == 0 && m->nrules == LP_RULES_MAX) {
        return false;
    }
    if (m->slots[at] == 0) {
        m->slots[at] = (uint8_t)++m->nrules;
    }
    m->rules[m->slots[at] - 1] = (struct lp_field_rule){path, kind, rank, label};
    return true;
}

static bool
name_byte(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

bool
lp_label_name(struct lp_arena *ar, struct lp_str name, struct lp_str *ret)
{
    bool digit = name.n > 0 && name.p[0] >= '0' && name.p[0] <= '9';
    size_t i = 0;
    while (i < name.n && name_byte(name.p[i])) {
        i++;
    }
    if (i == name.n && !digit && name.n > 0) {
        *ret = name;
        return true;
    }
    char *out = lp_arena_bytes(ar, name.n + 1);
    if (out == NULL) {
        return false;
    }
    size_t n = 0;
    if (digit || name.n == 0) {
        out[n++] = '_';
    }
    for (i = 0; i < name.n; i++) {
        out[n++] = name_byte(name.p[i]) ? name.p[i] : '_';
    }
    *ret = lp_str_of(out, n);
    return true;
}

const struct lp_field_rule *
lp_json_map_rule(const struct lp_json_map *m, struct lp_str path)
{
    if (path.n == 0) {
        return NULL;
    }
    size_t at = find_slot(m, path);
    return m->slots[at] != 0 ? &m->rules[m->slots[at] - 1] : NULL;
}

static lp_rc
too_many(struct lp_err *err)
{
    return lp_err_set(err, LP_ERR_LIMIT,
                      "a record has more than %d fields, or its names take too much memory",
                      LP_META_PAIRS_MAX);
}

static lp_rc
put_meta(struct lp_json_mapper *x, struct lp_str path, struct lp_str value, struct lp_err *err)
{
    if (value.n == 0) {
        return LP_OK;
    }
    if (x->nmeta == LP_META_PAIRS_MAX || !lp_label_name(&x->ar, path, &x->meta[x->nmeta].name)) {
        return too_many(err);
    }
    x->meta[x->nmeta++].value = value;
    return LP_OK;
}

/* A candidate takes the place if its rank is lower; the one that loses is metadata like any other member. */
static lp_rc
choose(struct lp_json_mapper *x, struct chosen *c, const struct lp_field_rule *r, struct lp_str path,
       struct lp_str text, bool *ret_took, struct lp_err *err)
{
    *ret_took = !c->set || r->rank < c->rank;
    if (!*ret_took) {
        return put_meta(x, path, text, err);
    }
    struct chosen old = *c;
    *c = (struct chosen){text, path, r->rank, true};
    return old.set ? put_meta(x, old.path, old.text, err) : LP_OK;
}

static lp_rc
put_label(struct lp_json_mapper *x, const struct lp_field_rule *r, struct lp_str path, struct lp_str value,
          struct lp_err *err)
{
    if (value.n > LP_LABEL_VALUE_BYTES_MAX) { /* too long for a label: never the only one a record has */
        x->demoted++;
        return put_meta(x, path, value, err);
    }
    for (size_t i = 0; i < x->nlabels; i++) {
        if (!lp_str_eq(x->labels[i].name, r->label)) {
            continue;
        }
        if (r->rank >= x->label_rank[i]) {
            return lp_str_eq(x->labels[i].value, value) ? LP_OK : put_meta(x, path, value, err);
        }
        x->labels[i].value = value;
        x->label_rank[i] = r->rank;
        return LP_OK;
    }
    if (x->nlabels == LABELS_MAX) {
        return put_meta(x, path, value, err);
    }
    x->label_rank[x->nlabels] = r->rank;
    x->labels[x->nlabels++] = (struct lp_pair){r->label, value};
    return LP_OK;
}

static lp_rc
put_time(struct lp_json_mapper *x, const struct lp_json_map *m, const struct lp_field_rule *r,
         struct lp_str path, struct lp_str text, struct lp_err *err)
{
    int64_t t;
    bool took;
    if (!lp_time_any(text, &t)) { /* "yesterday" is a field like any other */
        return put_meta(x, path, text, err);
    }
    if (m->exact_time && lp_str_eqc(path, "time") && lp_time_rfc3339(text, &t)) {
        x->exact_ns = t;
    }
    lp_rc rc = choose(x, &x->time, r, path, text, &took, err);
    x->time_ns = took ? t : x->time_ns;
    return rc;
}

static lp_rc
put_field(struct lp_json_mapper *x, const struct lp_json_map *m, const struct lp_field_rule *r,
          struct lp_str path, const struct lp_json *v, struct lp_err *err)
{
    bool took;
    lp_rc rc;
    if (v->type == LP_JSON_NULL) {
        return LP_OK;
    }
    switch (r != NULL ? r->kind : LP_FIELD_META) {
    case LP_FIELD_TIME:
        x->ntimes++;
        return put_time(x, m, r, path, v->text, err);
    case LP_FIELD_LINE:
        x->nlines++;
        rc = choose(x, &x->line, r, path, v->text, &took, err);
        x->line_is_log = took ? lp_str_eqc(path, "log") : x->line_is_log;
        return rc;
    case LP_FIELD_LABEL:
        return v->text.n > 0 ? put_label(x, r, path, v->text, err) : LP_OK;
    case LP_FIELD_UID:
        x->inst.uid = v->text;
        return LP_OK;
    case LP_FIELD_CONTAINER_ID:
        x->inst.incarnation = v->text;
        return LP_OK;
    case LP_FIELD_META:
        break;
    }
    return put_meta(x, path, v->text, err);
}

/* The path of a member: its key, or at depth the parent's path, a dot and the key. */
static bool
member_path(struct lp_json_mapper *x, struct lp_str parent, struct lp_str key, struct lp_str *ret)
{
    if (parent.n == 0) {
        *ret = key;
        return true;
    }
    size_t n = parent.n + 1 + key.n;
    char *p = n <= PATH_BYTES_MAX ? lp_arena_bytes(&x->ar, n) : NULL;
    if (p == NULL) {
        return false;
    }
    memcpy(p, parent.p, parent.n);
    p[parent.n] = '.';
    if (key.n > 0) {
        memcpy(p + parent.n + 1, key.p, key.n);
    }
    *ret = lp_str_of(p, n);
    return true;
}

/* A walk over the leaves below a node, in order. A line that is an object keeps its JSON text and is not
 * taken apart. */
struct walk {
    const struct lp_json_map *map;
    const struct lp_json_doc *doc;
    struct {
        struct lp_str path;
        uint32_t end;
    } open[LP_JSON_DEPTH_MAX + 1];
    size_t depth;
    uint32_t at, end;
    /* the leaf */
    const struct lp_json *value;
    struct lp_str path;
    const struct lp_field_rule *rule;
};

static void
walk_begin(struct walk *w, const struct lp_json_map *m, const struct lp_json_doc *doc, uint32_t node,
           struct lp_str path)
{
    w->map = m;
    w->doc = doc;
    w->depth = 0;
    w->at = node + 1;
    w->end = doc->nodes[node].next;
    w->open[0].path = path;
    w->open[0].end = w->end;
}

/* False at the end, or with LP_ERR_LIMIT in *ret_rc. */
static bool
walk_next(struct lp_json_mapper *x, struct walk *w, lp_rc *ret_rc, struct lp_err *err)
{
    while (w->at < w->end) {
        const struct lp_json *v = &w->doc->nodes[w->at];
        while (w->depth > 0 && w->at >= w->open[w->depth].end) {
            w->depth--;
        }
        if (!member_path(x, w->open[w->depth].path, v->key, &w->path)) {
            *ret_rc = too_many(err);
            return false;
        }
        w->rule = lp_json_map_rule(w->map, w->path);
        if (v->type == LP_JSON_OBJECT && (w->rule == NULL || w->rule->kind != LP_FIELD_LINE) &&
            w->depth < LP_JSON_DEPTH_MAX) {
            w->depth++;
            w->open[w->depth].path = w->path;
            w->open[w->depth].end = v->next;
            w->at++;
            continue;
        }
        w->value = v;
        w->at = v->next;
        return true;
    }
    return false;
}

static lp_rc
put_known(struct lp_json_mapper *x, const struct lp_json_map *m, const struct lp_memo_entry *e,
          struct lp_err *err)
{
    lp_rc rc = LP_OK;
    for (size_t i = 0; i < e->nfields && rc == LP_OK; i++) {
        const struct lp_memo_field *f = &e->fields[i];
        rc = put_field(x, m, f->rule, f->path, &f->value, err);
    }
    return rc;
}

static lp_rc
put_all(struct lp_json_mapper *x, const struct lp_json_map *m, const struct lp_json_doc *doc,
        struct lp_json_known *known, struct lp_err *err)
{
    struct walk w;
    lp_rc rc = LP_OK;
    walk_begin(&w, m, doc, 0, LP_STR_NULL);
    while (rc == LP_OK && walk_next(x, &w, &rc, err)) {
        if (known != NULL && !known->used && w.depth == 0 && lp_str_eq(w.path, known->key)) {
            known->used = true;
            rc = put_known(x, m, known->entry, err);
        } else {
            rc = put_field(x, m, w.rule, w.path, w.value, err);
        }
    }
    return rc;
}

static void
begin(struct lp_json_mapper *x)
{
    lp_arena_reset(&x->ar);
    x->nmeta = x->nlabels = x->demoted = x->nlines = x->ntimes = 0;
    x->inst = (struct lp_instance){LP_STR_NULL, LP_STR_NULL};
    x->line.set = x->time.set = x->line_is_log = false;
    x->time_ns = x->exact_ns = LP_TIME_NONE;
}

static int64_t
record_time(const struct lp_json_mapper *x, int64_t default_ns)
{
    int64_t t = x->time_ns != LP_TIME_NONE ? x->time_ns : default_ns;
    if (x->exact_ns != LP_TIME_NONE && t != LP_TIME_NONE) {
        uint64_t d =
            x->exact_ns > t ? (uint64_t)x->exact_ns - (uint64_t)t : (uint64_t)t - (uint64_t)x->exact_ns;
        return d <= (uint64_t)EXACT_WITHIN_NS ? x->exact_ns : t;
    }
    return t;
}

/* Reserved label names (decode.h) are the instance here too: a message of Logpond's own could not hold them
 * as labels. */
static void
take_reserved(struct lp_json_mapper *x)
{
    struct lp_instance named;
    x->nlabels = lp_labels_take_instance(x->labels, x->nlabels, &named);
    x->inst.uid = named.uid.n > 0 ? named.uid : x->inst.uid;
    x->inst.incarnation = named.incarnation.n > 0 ? named.incarnation : x->inst.incarnation;
}

void
lp_json_parts(const struct lp_json_mapper *x, struct lp_json_parts *ret)
{
    *ret = (struct lp_json_parts){
        .labels = x->labels,
        .meta = x->meta,
        .nlabels = x->nlabels,
        .nmeta = x->nmeta,
        .demoted = x->demoted,
        .inst = x->inst,
        .nlines = x->nlines,
        .ntimes = x->ntimes,
        .chosen = x->line.set == (x->nlines > 0) && x->time.set == (x->ntimes > 0),
        .line_is_log = x->line_is_log,
    };
}

size_t
lp_json_leaves(struct lp_json_mapper *x, const struct lp_json_map *m, const struct lp_json_doc *doc,
               uint32_t i, struct lp_memo_field *ret, size_t max)
{
    struct walk w;
    lp_rc rc = LP_OK;
    size_t n = 0;
    walk_begin(&w, m, doc, i, doc->nodes[i].key);
    while (n <= max && walk_next(x, &w, &rc, NULL)) {
        if (n < max) {
            ret[n] = (struct lp_memo_field){w.rule, w.path, *w.value};
        }
        n++;
    }
    return rc == LP_OK && n <= max ? n : SIZE_MAX;
}

lp_rc
lp_json_record(struct lp_json_mapper *x, const struct lp_json_map *m, const struct lp_json_doc *doc,
               struct lp_json_known *known, struct lp_str raw, int64_t default_ns, struct lp_batch *b,
               struct lp_err *err)
{
    uint32_t stream;
    if (doc->nodes[0].type != LP_JSON_OBJECT) {
        return lp_err_set(err, LP_ERR_UNSUPPORTED, "not a JSON object");
    }
    begin(x);
    lp_rc rc = put_all(x, m, doc, known, err);
    if (rc == LP_OK && known != NULL && !known->used) {
        rc = lp_err_set(err, LP_ERR_NOT_FOUND, "the known member is not at the top");
    }
    if (rc != LP_OK) {
        return rc;
    }
    take_reserved(x);
    if (x->nlabels == 0) {
        x->labels[x->nlabels++] = m->otherwise;
    }
    struct lp_str line = x->line.set ? x->line.text : raw;
    if (x->line_is_log && line.n > 0 && line.p[line.n - 1] == '\n') {
        line.n--; /* the runtime's, not the program's */
    }
    b->demoted += x->demoted;
    rc = lp_batch_stream(b, x->labels, x->nlabels, &x->inst, &stream, err);
    if (rc == LP_OK) {
        rc = lp_batch_add(b, stream, record_time(x, default_ns), line, false, x->meta, x->nmeta, err);
    }
    return rc;
}
