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

#define NONE LP_LABELS_NONE

/* The rows with one set of labels, linked by `next`; those of set i are in lists[i]. */
struct list {
    uint32_t first, last;
};

struct grouping {
    const struct lp_found *f;
    bool categorize;
    struct lp_arena ar, scratch;
    struct lp_label_index sets;
    struct list *lists;
    size_t lists_cap;
    uint32_t *next;      /* row -> next row of its set */
    uint32_t *of_stream; /* stream -> set of its labels alone */
};

static lp_rc
over_budget(struct lp_err *err)
{
    return lp_err_set(err, LP_ERR_LIMIT,
                      "the answer needs more memory than a query may have; ask for fewer lines (limit)");
}

/* ------------------------------------------------------------------ labels of a row */

static size_t
labels_of(const struct grouping *g, const struct lp_found_row *row, struct lp_pair ret[LP_STREAM_LABELS_MAX])
{
    const struct lp_stream_key *k = &g->f->streams[row->stream]->key;
    return lp_stream_labels(k->labels, k->nlabels, ret);
}

/* ------------------------------------------------------------------ groups */

static uint32_t
set_of_row(struct grouping *g, const struct lp_found_row *row)
{
    struct lp_pair labels[LP_STREAM_LABELS_MAX];
    if (row->nmeta == 0 || g->categorize) {
        uint32_t *known = &g->of_stream[row->stream];
        if (*known == NONE) {
            *known = lp_label_index_add(&g->sets, labels, labels_of(g, row, labels));
        }
        return *known;
    }
    const struct lp_pair *merged;
    size_t n, nlabels = labels_of(g, row, labels);
    lp_arena_clear(&g->scratch);
    return lp_labels_merge(&g->scratch, labels, nlabels, row->meta, row->nmeta, &merged, &n)
               ? lp_label_index_add(&g->sets, merged, n)
               : NONE;
}

static bool
make_lists(struct grouping *g)
{
    for (size_t i = 0; i < g->f->n; i++) {
        size_t known = g->sets.n;
        uint32_t at = set_of_row(g, &g->f->rows[i]);
        if (at == NONE) {
            return false;
        }
        g->lists = lp_arena_grow(&g->ar, g->lists, &g->lists_cap, g->sets.n, sizeof(*g->lists));
        if (g->lists == NULL) {
            return false;
        }
        *(at == known ? &g->lists[at].first : &g->next[g->lists[at].last]) = (uint32_t)i;
        g->lists[at].last = (uint32_t)i;
        g->next[i] = NONE;
    }
    return true;
}

static int
by_text(const void *a, const void *b, void *arg)
{
    const struct lp_labels *sets = arg;
    return lp_str_cmp(sets[*(const uint32_t *)a].text, sets[*(const uint32_t *)b].text);
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
        if (!lp_labels_meta_name(&g->scratch, labels, nlabels, row->meta[i].name, &name)) {
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
write_set(struct grouping *g, uint32_t set, struct lp_buf *out)
{
    bool ok = true;
    uint32_t first = g->lists[set].first;
    lp_buf_c(out, "{\"stream\":");
    lp_result_pairs(g->sets.v[set].v, g->sets.v[set].n, out);
    lp_buf_c(out, ",\"values\":[");
    for (uint32_t i = first; i != NONE && ok; i = g->next[i]) {
        const struct lp_found_row *row = &g->f->rows[i];
        lp_buf_printf(out, "%s[\"%lld\",", i != first ? "," : "", (long long)row->time_ns);
        lp_buf_json(out, row->line);
        ok = !g->categorize || write_categories(g, row, out);
        ok = lp_buf_byte(out, ']') && ok;
    }
    return lp_buf_c(out, "]}") && ok;
}

static bool
write_streams(struct grouping *g, struct lp_buf *out)
{
    bool ok = make_lists(g);
    size_t n = g->sets.n;
    uint32_t *order = ok ? lp_arena_array(&g->ar, n, sizeof(*order)) : NULL;
    if (order == NULL) {
        return false;
    }
    for (size_t i = 0; i < n; i++) {
        order[i] = (uint32_t)i;
    }
    qsort_r(order, n, sizeof(*order), by_text, g->sets.v);
    lp_result_begin("streams", g->f->damage[0] ? g->f->damage : NULL, g->f->stats.damaged, g->categorize,
                    out);
    for (size_t i = 0; i < n && ok; i++) {
        lp_buf_c(out, i > 0 ? "," : "");
        ok = write_set(g, order[i], out);
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
    lp_label_index_init(&g.sets, &g.ar);
    g.next = lp_malloc(f->n * sizeof(*g.next));
    g.of_stream = lp_malloc(f->nstreams * sizeof(*g.of_stream));
    memset(g.of_stream, 0xff, f->nstreams * sizeof(*g.of_stream));
    bool ok = write_streams(&g, out);
    lp_free(g.next);
    lp_free(g.of_stream);
    lp_label_index_clear(&g.sets);
    lp_arena_clear(&g.ar);
    lp_arena_clear(&g.scratch);
    return ok && !out->failed ? LP_OK : over_budget(err);
}
