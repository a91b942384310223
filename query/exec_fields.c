/*
 * exec_fields.c - the fields of found rows, and the values of one of them.
 *
 * Rows are looked at stream by stream, in the order of the streams' labels, and inside a stream as they were
 * found: the type of a field is that of the row looked at last. A row's fields are its metadata, the labels
 * that stages made, and what its line holds, of equal names the first.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "query/detect.h"
#include "query/exec_int.h"
#include "query/fields.h"
#include "query/text.h"

#define ROW_BYTES (64u << 20) /* what one row's fields may take: a line is limited by ingestion */
#define TEXT_BYTES (32u << 20)

static lp_rc
over_budget(struct lp_err *err)
{
    return lp_err_set(err, LP_ERR_LIMIT,
                      "the fields need more memory than a query may have; ask for fewer lines (line_limit)");
}

/* ------------------------------------------------------------------ types */

static bool
is_one_of(struct lp_str value, const char *const *list)
{
    while (*list != NULL && !lp_str_eqc(value, *list)) {
        list++;
    }
    return *list != NULL;
}

static bool
is_float(struct lp_str value)
{
    double v;
    struct lp_str word = value;
    if (word.n > 0 && (word.p[0] == '+' || word.p[0] == '-')) {
        word = lp_str_sub(word, 1, word.n);
    }
    return lp_str_f64(value, &v) || lp_str_ieq(word, LP_STR("inf")) || lp_str_ieq(word, LP_STR("infinity")) ||
           lp_str_ieq(value, LP_STR("nan"));
}

/* A duration as values write it: without the units d, w and y. */
static bool
is_duration(struct lp_str value)
{
    int64_t ns;
    return lp_duration(value, &ns) && lp_str_find_byte(value, 'd') == SIZE_MAX &&
           lp_str_find_byte(value, 'w') == SIZE_MAX && lp_str_find_byte(value, 'y') == SIZE_MAX;
}

const char *
lp_field_type(struct lp_str value)
{
    static const char *const truths[] = {"1", "t", "T",     "TRUE",  "true",  "True", "0",
                                         "f", "F", "FALSE", "false", "False", NULL};
    int64_t n;
    uint64_t bytes;
    if (lp_str_i64(value, &n)) {
        return "int";
    }
    if (is_float(value)) {
        return "float";
    }
    if (is_one_of(value, truths)) {
        return "boolean";
    }
    if (is_duration(value)) {
        return "duration";
    }
    return lp_text_parse_size(value, &bytes) ? "bytes" : "string";
}

/* ------------------------------------------------------------------ rows */

/* The row that is looked at, with room for its parts. */
struct reader {
    const struct lp_found *f;
    uint32_t *order;    /* of the rows */
    struct lp_arena ar; /* of one row */
    struct lp_buf keys, text;
    const struct lp_found_row *row;
    const struct lp_label *labels;
    size_t nlabels;
    struct lp_pair *pairs; /* fields of the line, as they stand in it */
    size_t npairs, cap;
    unsigned parser; /* that reads the line */
    bool spent;
};

struct placed {
    uint32_t row, set;
};

static int
by_place(const void *a, const void *b, void *arg)
{
    const struct lp_labels *sets = arg;
    const struct placed *x = a, *y = b;
    if (x->set == y->set) {
        return (x->row > y->row) - (x->row < y->row);
    }
    return lp_str_cmp(sets[x->set].text, sets[y->set].text);
}

static bool
stream_set(struct reader *r, struct lp_label_index *sets, uint32_t *ret)
{
    struct lp_pair *labels = lp_arena_array(&r->ar, r->nlabels, sizeof(*labels));
    size_t n = 0;
    for (size_t i = 0; i < r->nlabels && labels != NULL; i++) {
        if (r->labels[i].origin == LP_LABEL_STREAM) {
            labels[n++] = (struct lp_pair){r->labels[i].name, r->labels[i].value};
        }
    }
    *ret = labels != NULL ? lp_label_index_add(sets, labels, n) : LP_LABELS_NONE;
    return *ret != LP_LABELS_NONE;
}

static void
take_row(struct reader *r, uint32_t i)
{
    lp_arena_reset(&r->ar);
    r->row = &r->f->rows[i];
    r->pairs = NULL;
    r->npairs = r->cap = 0;
    r->labels = r->row->labels;
    r->nlabels = r->row->nlabels;
}

/* Sorts the rows by the labels of their streams. */
static bool
order_rows(struct reader *r)
{
    struct lp_arena ar;
    struct lp_label_index sets;
    struct placed *v = lp_malloc(r->f->n * sizeof(*v));
    bool ok = true;
    lp_arena_init(&ar, ROW_BYTES, 0);
    lp_label_index_init(&sets, &ar);
    for (uint32_t i = 0; i < r->f->n && ok; i++) {
        v[i].row = i;
        take_row(r, i);
        ok = stream_set(r, &sets, &v[i].set);
    }
    if (ok && r->f->n > 1) {
        qsort_r(v, r->f->n, sizeof(*v), by_place, sets.v);
    }
    r->order = lp_malloc(r->f->n * sizeof(*r->order));
    for (size_t i = 0; i < r->f->n && ok; i++) {
        r->order[i] = v[i].row;
    }
    lp_label_index_clear(&sets);
    lp_arena_clear(&ar);
    lp_free(v);
    return ok;
}

static lp_rc
reader_init(struct reader *r, const struct lp_found *f, struct lp_err *err)
{
    *r = (struct reader){.f = f};
    lp_arena_init(&r->ar, ROW_BYTES, 1 << 14);
    lp_buf_init(&r->keys, TEXT_BYTES);
    lp_buf_init(&r->text, TEXT_BYTES);
    return order_rows(r) ? LP_OK : over_budget(err);
}

static void
reader_clear(struct reader *r)
{
    lp_free(r->order);
    lp_arena_clear(&r->ar);
    lp_buf_clear(&r->keys);
    lp_buf_clear(&r->text);
}

static bool
is_stream_label(const struct reader *r, struct lp_str name)
{
    for (size_t i = 0; i < r->nlabels; i++) {
        if (r->labels[i].origin == LP_LABEL_STREAM && lp_str_eq(r->labels[i].name, name)) {
            return true;
        }
    }
    return false;
}

/* The field's name: with a suffix where the stream has a label of that name. */
static bool
field_name(struct reader *r, struct lp_str key, struct lp_str *ret)
{
    static const char suffix[] = "_extracted";
    if (!is_stream_label(r, key)) {
        return lp_arena_str(&r->ar, key, ret);
    }
    char *p = lp_arena_bytes(&r->ar, key.n + sizeof(suffix));
    if (p != NULL) {
        memcpy(p, key.p, key.n);
        memcpy(p + key.n, suffix, sizeof(suffix));
        *ret = lp_str_of(p, key.n + sizeof(suffix) - 1);
    }
    return p != NULL;
}

static bool
add_pair(void *arg, struct lp_str key, struct lp_str value)
{
    struct reader *r = arg;
    if (key.n == 0 || (r->parser == LP_DETECT_LOGFMT && value.n == 0)) {
        return true;
    }
    struct lp_pair *grown = lp_arena_grow(&r->ar, r->pairs, &r->cap, r->npairs + 1, sizeof(*grown));
    if (grown == NULL || !field_name(r, key, &grown[r->npairs].name) ||
        !lp_arena_str(&r->ar, value, &grown[r->npairs].value)) {
        r->spent = true;
        return false;
    }
    r->pairs = grown;
    r->npairs++;
    return true;
}

/* The fields of the row's line: JSON, or else logfmt, which every line is. */
static bool
read_line(struct reader *r)
{
    r->parser = LP_DETECT_JSON;
    if (lp_fields_json(r->row->line, &r->keys, &r->text, NULL, add_pair, r, NULL) != LP_OK) {
        r->parser = LP_DETECT_LOGFMT;
        r->npairs = 0;
        r->spent = lp_fields_logfmt(r->row->line, false, true, &r->keys, &r->text, NULL, add_pair, r, NULL) !=
                       LP_OK ||
                   r->spent;
    }
    return !r->spent;
}

/* ------------------------------------------------------------------ fields */

struct field {
    struct lp_detected_field out;
    uint64_t *hashes; /* of its values; 0: free */
    size_t nhashes;
    size_t line; /* the last one that had it, from 1 on */
};

struct detect {
    struct reader r;
    struct lp_arena *ar;
    struct field *v;
    size_t n, cap, limit;
    uint32_t *buckets; /* over the names: index + 1 */
    size_t nbuckets;
    struct lp_json_parser *json; /* NULL before it is needed */
    struct lp_buf padded;
    size_t line;
};

static size_t
find_bucket(const struct detect *d, struct lp_str name)
{
    size_t at = lp_xxh64(name.p, name.n) & (d->nbuckets - 1);
    while (d->buckets[at] != 0 && !lp_str_eq(d->v[d->buckets[at] - 1].out.name, name)) {
        at = (at + 1) & (d->nbuckets - 1);
    }
    return at;
}

static bool
grow_buckets(struct detect *d)
{
    d->nbuckets = d->nbuckets > 0 ? d->nbuckets * 2 : 64;
    d->buckets = lp_arena_zalloc(d->ar, d->nbuckets * sizeof(*d->buckets));
    if (d->buckets == NULL) {
        return false;
    }
    for (size_t i = 0; i < d->n; i++) {
        d->buckets[find_bucket(d, d->v[i].out.name)] = (uint32_t)i + 1;
    }
    return true;
}

/* The field of this name, a new one where there is room; *ret NULL where there is none. False: the memory is
 * spent. */
static bool
field_of(struct detect *d, struct lp_str name, struct field **ret)
{
    *ret = NULL;
    if ((d->n + 1) * 2 > d->nbuckets && !grow_buckets(d)) {
        return false;
    }
    size_t at = find_bucket(d, name);
    if (d->buckets[at] != 0) {
        *ret = &d->v[d->buckets[at] - 1];
        return true;
    }
    if (d->n == d->limit) {
        return true;
    }
    struct field *grown = lp_arena_grow(d->ar, d->v, &d->cap, d->n + 1, sizeof(*grown));
    if (grown == NULL) {
        return false;
    }
    d->v = grown;
    *ret = &d->v[d->n];
    **ret = (struct field){.out = {.type = "string"}};
    if (!lp_arena_str(d->ar, name, &(*ret)->out.name)) {
        return false;
    }
    d->buckets[at] = (uint32_t)++d->n;
    return true;
}

/* Puts a hash into a table that has room. True: it is new. */
static bool
put_hash(uint64_t *hashes, size_t n, uint64_t hash)
{
    size_t at = hash & (n - 1);
    while (hashes[at] != 0 && hashes[at] != hash) {
        at = (at + 1) & (n - 1);
    }
    bool fresh = hashes[at] == 0;
    hashes[at] = hash;
    return fresh;
}

static bool
grow_hashes(struct detect *d, struct field *f)
{
    size_t n = f->nhashes > 0 ? f->nhashes * 2 : 8;
    uint64_t *grown = lp_arena_zalloc(d->ar, n * sizeof(*grown));
    if (grown == NULL) {
        return false;
    }
    for (size_t i = 0; i < f->nhashes; i++) {
        if (f->hashes[i] != 0) {
            put_hash(grown, n, f->hashes[i]);
        }
    }
    f->hashes = grown;
    f->nhashes = n;
    return true;
}

static bool
add_value(struct detect *d, struct field *f, struct lp_str value)
{
    uint64_t hash = lp_xxh64(value.p, value.n);
    if ((f->out.cardinality + 1) * 2 > f->nhashes && !grow_hashes(d, f)) {
        return false;
    }
    f->out.type = lp_field_type(value);
    f->out.cardinality += put_hash(f->hashes, f->nhashes, hash != 0 ? hash : 1);
    return true;
}

/* ------------------------------------------------------------------ where fields are in JSON */

/* Is what the keys up to `depth` make the name of this field? */
static bool
is_named(struct detect *d, const struct lp_str *keys, size_t depth, struct lp_str name)
{
    struct lp_buf *raw = &d->r.keys, *clean = &d->r.text;
    struct lp_str extracted;
    lp_buf_reset(raw);
    lp_buf_reset(clean);
    for (size_t i = 0; i < depth; i++) {
        lp_buf_c(raw, i > 0 ? "_" : "");
        lp_buf_str(raw, keys[i]);
    }
    lp_field_name(lp_buf_view(raw), clean);
    return lp_str_eq(lp_buf_view(clean), name) ||
           (field_name(&d->r, lp_buf_view(clean), &extracted) && lp_str_eq(extracted, name));
}

/* Keeps the keys that lead to the first member with the field's name. */
static bool
find_path(struct detect *d, const struct lp_json_doc *doc, struct field *f)
{
    struct lp_str keys[LP_JSON_DEPTH_MAX];
    uint32_t ends[LP_JSON_DEPTH_MAX];
    size_t depth = 0;
    for (uint32_t i = 1; i < doc->count;) {
        const struct lp_json *node = &doc->nodes[i];
        while (depth > 0 && i >= ends[depth - 1]) {
            depth--;
        }
        if (depth == LP_JSON_DEPTH_MAX) {
            return true;
        }
        keys[depth] = node->key;
        if (node->type == LP_JSON_OBJECT) {
            ends[depth++] = node->next;
            i++;
            continue;
        }
        if (node->type != LP_JSON_ARRAY && node->type != LP_JSON_NULL &&
            is_named(d, keys, depth + 1, f->out.name)) {
            struct lp_str *path = lp_arena_array(d->ar, depth + 1, sizeof(*path));
            bool ok = path != NULL;
            for (size_t k = 0; k <= depth && ok; k++) {
                ok = lp_arena_str(d->ar, keys[k], &path[k]);
            }
            f->out.path = path;
            f->out.npath = ok ? depth + 1 : 0;
            return ok;
        }
        i = node->next;
    }
    return true;
}

/* Looks for the places of those fields of the line whose place is not known yet. A line that a strict reader
 * refuses tells none. */
static bool
find_paths(struct detect *d)
{
    struct lp_json_doc doc = {.count = 0};
    bool ok = true, read = false;
    for (size_t i = 0; i < d->r.npairs && ok; i++) {
        struct field *f;
        ok = field_of(d, d->r.pairs[i].name, &f);
        if (!ok || f == NULL || f->out.npath > 0 || (read && doc.count == 0)) {
            continue;
        }
        if (!read) {
            read = true;
            lp_buf_reset(&d->padded);
            d->json = d->json != NULL ? d->json : lp_json_parser_new();
            if (!lp_buf_str(&d->padded, d->r.row->line) ||
                lp_json_parse(d->json, lp_buf_view(&d->padded), &doc, NULL) != LP_OK) {
                doc.count = 0;
                continue;
            }
        }
        ok = find_path(d, &doc, f);
    }
    return ok;
}

/* ------------------------------------------------------------------ all fields */

/* Metadata, and then the labels that stages made. */
static bool
add_labels(struct detect *d, enum lp_label_origin origin)
{
    for (size_t i = 0; i < d->r.nlabels; i++) {
        const struct lp_label *l = &d->r.labels[i];
        struct field *f;
        if (l->origin != origin || lp_str_eqc(l->name, LP_ERROR_LABEL) ||
            lp_str_eqc(l->name, LP_ERROR_DETAILS_LABEL)) {
            continue;
        }
        if (!field_of(d, l->name, &f) || (f != NULL && !add_value(d, f, l->value))) {
            return false;
        }
        if (f != NULL && origin == LP_LABEL_PARSED) {
            f->out.parsers |= d->r.parser;
        }
    }
    return true;
}

static bool
add_row(struct detect *d, uint32_t i)
{
    take_row(&d->r, i);
    if (!read_line(&d->r) || !add_labels(d, LP_LABEL_META) ||
        !add_labels(d, LP_LABEL_PARSED)) {
        return false;
    }
    d->line++;
    for (size_t k = 0; k < d->r.npairs; k++) {
        struct field *f;
        if (!field_of(d, d->r.pairs[k].name, &f)) {
            return false;
        }
        if (f == NULL || f->line == d->line) {
            continue; /* no room, or not the first of this name */
        }
        f->line = d->line;
        f->out.parsers |= d->r.parser;
        if (!add_value(d, f, d->r.pairs[k].value)) {
            return false;
        }
    }
    return d->r.parser != LP_DETECT_JSON || find_paths(d);
}

static int
by_name(const void *a, const void *b)
{
    return lp_str_cmp(((const struct lp_detected_field *)a)->name,
                      ((const struct lp_detected_field *)b)->name);
}

static bool
write_fields(const struct detect *d, struct lp_detected_fields *ret)
{
    ret->v = lp_arena_array(&ret->ar, d->n, sizeof(*ret->v));
    for (size_t i = 0; i < d->n && ret->v != NULL; i++) {
        ret->v[ret->n++] = d->v[i].out;
    }
    if (ret->n > 1) {
        qsort(ret->v, ret->n, sizeof(*ret->v), by_name);
    }
    return ret->v != NULL;
}

lp_rc
lp_detect_fields(const struct lp_found *f, size_t limit, size_t budget_bytes, struct lp_arena_share *share,
                 struct lp_detected_fields *ret, struct lp_err *err)
{
    struct detect d = {.ar = &ret->ar, .limit = limit};
    memset(ret, 0, sizeof(*ret));
    lp_arena_init(&ret->ar, budget_bytes, 1 << 14);
    lp_arena_join(&ret->ar, share);
    lp_buf_init(&d.padded, TEXT_BYTES);
    lp_rc rc = reader_init(&d.r, f, err);
    for (size_t i = 0; i < f->n && rc == LP_OK; i++) {
        rc = add_row(&d, d.r.order[i]) ? LP_OK : over_budget(err);
    }
    if (rc == LP_OK && !write_fields(&d, ret)) {
        rc = over_budget(err);
    }
    lp_json_parser_free(d.json);
    lp_buf_clear(&d.padded);
    reader_clear(&d.r);
    if (rc != LP_OK) {
        lp_detected_fields_clear(ret);
    }
    return rc;
}

void
lp_detected_fields_clear(struct lp_detected_fields *d)
{
    lp_arena_clear(&d->ar);
    d->v = NULL;
    d->n = 0;
}

/* ------------------------------------------------------------------ values of one */

struct values {
    struct detect d;
    struct field seen;
    struct lp_str name;
    struct lp_names *ret;
    size_t cap;
};

/* A size as a query writes it: short, not exact, without a blank. */
static void
put_size(struct lp_buf *out, uint64_t bytes)
{
    static const char *const units[] = {"B", "kB", "MB", "GB", "TB", "PB", "EB"};
    double v = (double)bytes;
    size_t unit = 0;
    for (; v >= 1000 && unit + 1 < LP_ARRAY_LEN(units); unit++) {
        v /= 1000;
    }
    v = floor(v * 10 + 0.5) / 10;
    lp_buf_printf(out, bytes >= 10 && v < 10 ? "%.1f%s" : "%.0f%s", v, units[unit]);
}

/* Where a value is a size and says so, what a query would write. */
static struct lp_str
as_written(struct values *v, struct lp_str value)
{
    char last = value.n > 0 ? value.p[value.n - 1] : 0;
    uint64_t bytes;
    if (!((last >= 'a' && last <= 'z') || (last >= 'A' && last <= 'Z')) || is_duration(value) ||
        !lp_text_parse_size(value, &bytes)) {
        return value;
    }
    lp_buf_reset(&v->d.r.text);
    put_size(&v->d.r.text, bytes);
    return lp_buf_view(&v->d.r.text);
}

static bool
keep_value(struct values *v, struct lp_str value)
{
    struct lp_names *ret = v->ret;
    size_t known = v->seen.out.cardinality;
    if (ret->n == v->d.limit) {
        return true;
    }
    if (!add_value(&v->d, &v->seen, value)) {
        return false;
    }
    if (v->seen.out.cardinality == known) {
        return true;
    }
    struct lp_str *grown = lp_arena_grow(&ret->ar, ret->v, &v->cap, ret->n + 1, sizeof(*grown));
    if (grown == NULL || !lp_arena_str(&ret->ar, value, &grown[ret->n])) {
        return false;
    }
    ret->v = grown;
    ret->n++;
    return true;
}

static bool
keep_row(struct values *v, uint32_t i)
{
    struct reader *r = &v->d.r;
    take_row(r, i);
    bool ok = read_line(r);
    for (size_t k = 0; k < r->nlabels && ok; k++) {
        const struct lp_label *l = &r->labels[k];
        if (l->origin != LP_LABEL_STREAM && lp_str_eq(l->name, v->name)) {
            ok = keep_value(v, l->origin == LP_LABEL_PARSED ? as_written(v, l->value) : l->value);
        }
    }
    for (size_t k = 0; k < r->npairs && ok; k++) {
        if (lp_str_eq(r->pairs[k].name, v->name)) {
            return keep_value(v, as_written(v, r->pairs[k].value)); /* of equal names the first */
        }
    }
    return ok;
}

static int
by_bytes(const void *a, const void *b)
{
    return lp_str_cmp(*(const struct lp_str *)a, *(const struct lp_str *)b);
}

lp_rc
lp_detect_values(const struct lp_found *f, struct lp_str name, size_t limit, size_t budget_bytes,
                 struct lp_arena_share *share, struct lp_names *ret, struct lp_err *err)
{
    struct values v = {.d = {.ar = &ret->ar, .limit = limit}, .name = name, .ret = ret};
    memset(ret, 0, sizeof(*ret));
    lp_arena_init(&ret->ar, budget_bytes, 1 << 14);
    lp_arena_join(&ret->ar, share);
    lp_rc rc = reader_init(&v.d.r, f, err);
    for (size_t i = 0; i < f->n && rc == LP_OK && ret->n < limit; i++) {
        rc = keep_row(&v, v.d.r.order[i]) ? LP_OK : over_budget(err);
    }
    reader_clear(&v.d.r);
    if (rc != LP_OK) {
        lp_names_clear(ret);
    } else if (ret->n > 1) {
        qsort(ret->v, ret->n, sizeof(*ret->v), by_bytes);
    }
    return rc;
}
