/*
 * result_loki.c - found rows as Loki's `streams`: grouped by label set (instances with the same labels are
 * one stream), with structured metadata folded into the labels, or, where the client asked for categories,
 * beside the line.
 */
#include <stdlib.h>
#include <string.h>

#include "query/exec_int.h"
#include "query/result.h"
#include "query/result_int.h"
#include "query/text.h"

#define NONE UINT32_MAX

struct group {
    struct lp_str text;
    const struct lp_pair *labels;
    size_t nlabels;
    uint32_t first, last; /* rows, linked by `next` */
};

struct grouping {
    const struct lp_found *f;
    bool categorize;
    struct lp_arena ar, scratch;
    struct lp_buf text;
    struct group *groups;
    size_t n, cap;
    uint32_t *buckets; /* over the groups' texts: index + 1 */
    size_t nbuckets;
    uint32_t *next;      /* row -> next row of its group */
    uint32_t *of_stream; /* stream -> group of its labels alone */
};

static lp_rc
over_budget(struct lp_err *err)
{
    return lp_err_set(err, LP_ERR_LIMIT,
                      "the answer needs more memory than a query may have; ask for fewer lines (limit)");
}

/* ------------------------------------------------------------------ labels of a row */

static bool
has_label(const struct lp_pair *labels, size_t n, struct lp_str name)
{
    return lp_labels_get(labels, n, name).p != NULL;
}

bool
lp_result_meta_name(struct lp_arena *ar, const struct lp_pair *labels, size_t nlabels, struct lp_str name,
                    struct lp_str *ret)
{
    static const char suffix[] = "_extracted";
    char *p = lp_arena_bytes(ar, name.n + 1 + sizeof(suffix));
    size_t n = 0;
    if (p == NULL) {
        return false;
    }
    if (name.n > 0 && name.p[0] >= '0' && name.p[0] <= '9') {
        p[n++] = '_';
    }
    while (name.n > 0) {
        uint32_t cp;
        size_t used = lp_text_decode(name, &cp);
        p[n] = used == 1 && lp_text_name_byte(name.p[0], n == 0) ? name.p[0] : '_';
        n++;
        name = lp_str_sub(name, used, name.n);
    }
    if (has_label(labels, nlabels, lp_str_of(p, n))) {
        memcpy(p + n, suffix, sizeof(suffix) - 1);
        n += sizeof(suffix) - 1;
    }
    *ret = lp_str_of(p, n);
    return true;
}

static size_t
labels_of(const struct grouping *g, const struct lp_found_row *row, struct lp_pair ret[LP_STREAM_LABELS_MAX])
{
    const struct lp_stream_key *k = &g->f->streams[row->stream].key;
    return lp_stream_labels(k->labels, k->nlabels, ret);
}

static int
by_name(const void *a, const void *b)
{
    const struct lp_pair *x = a, *y = b;
    int order = lp_str_cmp(x->name, y->name);
    return order != 0 ? order : lp_str_cmp(x->value, y->value);
}

/* Labels and metadata as one sorted set in the scratch arena; of equal names the label, else the first,
 * stays. */
static bool
merge_labels(struct grouping *g, const struct lp_found_row *row, const struct lp_pair **ret, size_t *ret_n)
{
    struct lp_pair labels[LP_STREAM_LABELS_MAX];
    size_t nlabels = labels_of(g, row, labels), n = row->nmeta, kept = 0;
    struct lp_pair *v = lp_arena_array(&g->scratch, nlabels + n, sizeof(*v));
    if (v == NULL) {
        return false;
    }
    for (size_t i = 0; i < n; i++) {
        v[i].value = row->meta[i].value;
        if (!lp_result_meta_name(&g->scratch, labels, nlabels, row->meta[i].name, &v[i].name)) {
            return false;
        }
    }
    memcpy(v + n, labels, nlabels * sizeof(*v));
    n += nlabels;
    qsort(v, n, sizeof(*v), by_name);
    for (size_t i = 0; i < n; i++) {
        if (kept == 0 || !lp_str_eq(v[kept - 1].name, v[i].name)) {
            v[kept++] = v[i];
        }
    }
    *ret = v;
    *ret_n = kept;
    return true;
}

/* ------------------------------------------------------------------ groups */

static void
rehash(struct grouping *g)
{
    g->nbuckets = g->nbuckets ? g->nbuckets * 2 : 64;
    lp_free(g->buckets);
    g->buckets = lp_calloc(g->nbuckets, sizeof(*g->buckets));
    for (size_t i = 0; i < g->n; i++) {
        size_t at = lp_xxh64(g->groups[i].text.p, g->groups[i].text.n) & (g->nbuckets - 1);
        while (g->buckets[at] != 0) {
            at = (at + 1) & (g->nbuckets - 1);
        }
        g->buckets[at] = (uint32_t)i + 1;
    }
}

static bool
copy_pairs(struct lp_arena *ar, const struct lp_pair *from, size_t n, const struct lp_pair **ret)
{
    struct lp_pair *v = lp_arena_array(ar, n, sizeof(*v));
    for (size_t i = 0; i < n; i++) {
        if (v == NULL || !lp_arena_str(ar, from[i].name, &v[i].name) ||
            !lp_arena_str(ar, from[i].value, &v[i].value)) {
            return false;
        }
    }
    *ret = v;
    return v != NULL;
}

/* The group with these labels, made when it is new; NONE when the memory is spent. */
static uint32_t
group_of(struct grouping *g, const struct lp_pair *labels, size_t n)
{
    lp_buf_reset(&g->text);
    lp_labels_text(labels, n, &g->text);
    if (g->text.failed) {
        return NONE;
    }
    if ((g->n + 1) * 2 > g->nbuckets) {
        rehash(g);
    }
    struct lp_str text = lp_buf_view(&g->text);
    size_t at = lp_xxh64(text.p, text.n) & (g->nbuckets - 1);
    while (g->buckets[at] != 0) {
        if (lp_str_eq(g->groups[g->buckets[at] - 1].text, text)) {
            return g->buckets[at] - 1;
        }
        at = (at + 1) & (g->nbuckets - 1);
    }
    g->groups = lp_arena_grow(&g->ar, g->groups, &g->cap, g->n + 1, sizeof(*g->groups));
    if (g->groups == NULL) {
        return NONE;
    }
    struct group *new = &g->groups[g->n];
    *new = (struct group){.nlabels = n, .first = NONE, .last = NONE};
    if (!lp_arena_str(&g->ar, text, &new->text) || !copy_pairs(&g->ar, labels, n, &new->labels)) {
        return NONE;
    }
    g->buckets[at] = (uint32_t)g->n + 1;
    return (uint32_t)g->n++;
}

static uint32_t
group_of_row(struct grouping *g, const struct lp_found_row *row)
{
    if (row->nmeta == 0 || g->categorize) {
        uint32_t *known = &g->of_stream[row->stream];
        if (*known == NONE) {
            struct lp_pair labels[LP_STREAM_LABELS_MAX];
            *known = group_of(g, labels, labels_of(g, row, labels));
        }
        return *known;
    }
    const struct lp_pair *labels;
    size_t n;
    lp_arena_clear(&g->scratch);
    return merge_labels(g, row, &labels, &n) ? group_of(g, labels, n) : NONE;
}

static bool
make_groups(struct grouping *g)
{
    for (size_t i = 0; i < g->f->n; i++) {
        uint32_t at = group_of_row(g, &g->f->rows[i]);
        if (at == NONE) {
            return false;
        }
        struct group *in = &g->groups[at];
        *(in->first == NONE ? &in->first : &g->next[in->last]) = (uint32_t)i;
        in->last = (uint32_t)i;
        g->next[i] = NONE;
    }
    return true;
}

static int
by_text(const void *a, const void *b)
{
    return lp_str_cmp(((const struct group *)a)->text, ((const struct group *)b)->text);
}

/* ------------------------------------------------------------------ writing */

void
lp_result_pairs(const struct lp_pair *pairs, size_t n, struct lp_buf *out)
{
    lp_buf_byte(out, '{');
    for (size_t i = 0; i < n; i++) {
        if (i > 0) {
            lp_buf_byte(out, ',');
        }
        lp_buf_json(out, pairs[i].name);
        lp_buf_byte(out, ':');
        lp_buf_json(out, pairs[i].value);
    }
    lp_buf_byte(out, '}');
}

static bool
write_categories(struct grouping *g, const struct lp_found_row *row, struct lp_buf *out)
{
    struct lp_pair labels[LP_STREAM_LABELS_MAX];
    size_t nlabels = labels_of(g, row, labels);
    if (row->nmeta == 0) {
        return lp_buf_c(out, ",{}");
    }
    lp_buf_c(out, ",{\"structuredMetadata\":{");
    lp_arena_clear(&g->scratch);
    for (size_t i = 0; i < row->nmeta; i++) {
        struct lp_str name;
        if (!lp_result_meta_name(&g->scratch, labels, nlabels, row->meta[i].name, &name)) {
            return false;
        }
        lp_buf_c(out, i > 0 ? "," : "");
        lp_buf_json(out, name);
        lp_buf_byte(out, ':');
        lp_buf_json(out, row->meta[i].value);
    }
    return lp_buf_c(out, "}}");
}

static bool
write_group(struct grouping *g, const struct group *in, struct lp_buf *out)
{
    bool ok = true;
    lp_buf_c(out, "{\"stream\":");
    lp_result_pairs(in->labels, in->nlabels, out);
    lp_buf_c(out, ",\"values\":[");
    for (uint32_t i = in->first; i != NONE && ok; i = g->next[i]) {
        const struct lp_found_row *row = &g->f->rows[i];
        lp_buf_printf(out, "%s[\"%lld\",", i != in->first ? "," : "", (long long)row->time_ns);
        lp_buf_json(out, row->line);
        ok = !g->categorize || write_categories(g, row, out);
        ok = lp_buf_byte(out, ']') && ok;
    }
    return lp_buf_c(out, "]}") && ok;
}

static bool
write_streams(struct grouping *g, struct lp_buf *out)
{
    bool ok = make_groups(g);
    if (ok && g->n > 1) {
        qsort(g->groups, g->n, sizeof(*g->groups), by_text);
    }
    lp_result_begin("streams", g->f->damage[0] ? g->f->damage : NULL, g->f->stats.damaged, g->categorize,
                    out);
    for (size_t i = 0; i < g->n && ok; i++) {
        lp_buf_c(out, i > 0 ? "," : "");
        ok = write_group(g, &g->groups[i], out);
    }
    lp_result_end(&g->f->stats, g->f->n, out);
    return ok;
}

lp_rc
lp_result_streams(const struct lp_found *f, bool categorize, struct lp_buf *out, struct lp_err *err)
{
    struct grouping g = {.f = f, .categorize = categorize};
    lp_arena_init(&g.ar, out->limit, 1 << 14);
    lp_arena_init(&g.scratch, out->limit, 1 << 14);
    lp_buf_init(&g.text, out->limit);
    g.next = lp_malloc(f->n * sizeof(*g.next));
    g.of_stream = lp_malloc(f->nstreams * sizeof(*g.of_stream));
    memset(g.of_stream, 0xff, f->nstreams * sizeof(*g.of_stream));
    bool ok = write_streams(&g, out);
    lp_free(g.next);
    lp_free(g.of_stream);
    lp_free(g.buckets);
    lp_buf_clear(&g.text);
    lp_arena_clear(&g.ar);
    lp_arena_clear(&g.scratch);
    return ok && !out->failed ? LP_OK : over_budget(err);
}
