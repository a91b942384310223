/*
 * metric_group.c - groupings: what by and without leave of labels, series in groups of those that are then
 * equal, and aggregations, which give one series for each group.
 */
#include <math.h>

#include "query/metric_int.h"

/* ------------------------------------------------------------------ labels */

static bool
names(const struct lp_grouping *by, struct lp_str name)
{
    for (size_t i = 0; i < by->n; i++) {
        if (lp_str_eq(by->names[i], name)) {
            return true;
        }
    }
    return false;
}

size_t
lp_grouping_labels(const struct lp_grouping *by, const struct lp_pair *labels, size_t n, struct lp_pair *ret)
{
    size_t kept = 0;
    for (size_t i = 0; i < n && by->kind != LP_GROUP_NONE; i++) {
        if (names(by, labels[i].name) == (by->kind == LP_GROUP_BY)) {
            ret[kept++] = labels[i];
        }
    }
    return kept;
}

bool
lp_grouping_wants_meta(const struct lp_grouping *by, const struct lp_pair *labels, size_t n)
{
    bool all = true; /* a label's name is never metadata's */
    for (size_t i = 0; i < by->n && by->kind == LP_GROUP_BY; i++) {
        all = all && lp_labels_get(labels, n, by->names[i]).p != NULL;
    }
    return by->kind == LP_GROUP_WITHOUT || !all;
}

/* ------------------------------------------------------------------ groups */

/* There is a place for the first series of each of n groups. */
static bool
grow_first(struct lp_groups *g, size_t n, struct lp_arena *ar)
{
    uint32_t *grown = lp_arena_zgrow(ar, g->first, &g->cap, n, sizeof(*grown));
    g->first = grown != NULL ? grown : g->first;
    return grown != NULL;
}

bool
lp_groups_make(struct lp_groups *g, const struct lp_grouping *by, const struct lp_matrix *m,
               struct lp_label_index *sets, struct lp_arena *ar)
{
    size_t most = 0;
    *g = (struct lp_groups){.first = NULL};
    for (size_t i = 0; i < m->n; i++) {
        most = LP_MAX(most, m->series[i].nlabels);
    }
    struct lp_pair *left = lp_arena_array(ar, most, sizeof(*left));
    g->next = lp_arena_array(ar, m->n, sizeof(*g->next));
    if (left == NULL || g->next == NULL) {
        return false;
    }
    for (size_t i = m->n; i > 0; i--) { /* each goes in front of its chain, which so has the series' order */
        const struct lp_series *s = &m->series[i - 1];
        uint32_t group = lp_label_index_add(sets, left, lp_grouping_labels(by, s->labels, s->nlabels, left));
        if (group == LP_LABELS_NONE || !grow_first(g, sets->n, ar)) {
            return false;
        }
        g->next[i - 1] = g->first[group];
        g->first[group] = (uint32_t)i;
    }
    return true;
}

/* ------------------------------------------------------------------ aggregations */

/* What is known of the samples of a group at a step. */
struct fold {
    uint32_t n;
    double value; /* the sum, least or greatest; or the sum of squares of how far values are from the mean */
    double mean;
};

static void
fold_in(enum lp_vector_op op, struct fold *f, double v)
{
    bool spread = op == LP_VECTOR_STDDEV || op == LP_VECTOR_STDVAR;
    if (f->n++ == 0) {
        f->value = spread ? 0 : v;
        f->mean = v;
        return;
    }
    double off = v - f->mean;
    f->mean += off / f->n;
    if (spread) {
        f->value += off * (v - f->mean);
    } else if (op == LP_VECTOR_SUM) {
        f->value += v;
    } else if (isnan(f->value) || (op == LP_VECTOR_MIN && v < f->value) ||
               (op == LP_VECTOR_MAX && v > f->value)) {
        f->value = v;
    }
}

static double
folded(enum lp_vector_op op, const struct fold *f)
{
    switch ((int)op) {
    case LP_VECTOR_AVG:
        return f->mean;
    case LP_VECTOR_COUNT:
        return f->n;
    case LP_VECTOR_STDVAR:
        return f->value / f->n;
    case LP_VECTOR_STDDEV:
        return sqrt(f->value / f->n);
    default:
        return f->value;
    }
}

static void
fold_group(enum lp_vector_op op, const struct lp_matrix *in, const struct lp_groups *g, uint32_t first,
           struct lp_series *ret)
{
    for (size_t k = 0; k < in->steps; k++) {
        struct fold f = {.n = 0};
        for (uint32_t i = first; i > 0; i = g->next[i - 1]) {
            const struct lp_series *s = &in->series[i - 1];
            if (s->has[k]) {
                fold_in(op, &f, s->v[k]);
            }
        }
        if (f.n > 0) {
            ret->v[k] = folded(op, &f);
            ret->has[k] = true;
        }
    }
}

lp_rc
lp_metric_group(const struct lp_metric_query *q, const struct lp_vector_agg *agg, const struct lp_matrix *in,
                struct lp_matrix *ret, struct lp_err *err)
{
    struct lp_groups groups;
    struct lp_label_index sets;
    lp_rc rc = LP_OK;
    lp_matrix_init_all(ret, q);
    lp_label_index_init(&sets, &ret->ar);
    if (!lp_groups_make(&groups, &agg->by, in, &sets, &ret->ar) || !lp_matrix_series(ret, &sets)) {
        rc = lp_metric_over_budget(q, err);
    }
    for (size_t g = 0; g < ret->n && rc == LP_OK; g++) {
        fold_group(agg->op, in, &groups, lp_groups_first(&groups, g), &ret->series[g]);
        rc = lp_metric_check(q, err);
    }
    lp_label_index_clear(&sets);
    return rc;
}
