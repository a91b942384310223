/*
 * metric_group.c - vector aggregations: what a grouping leaves of labels, and one value a step of all series
 * that are then equal.
 */
#include <math.h>

#include "query/metric_int.h"

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

bool
lp_metric_group_supported(enum lp_vector_op op)
{
    return op == LP_VECTOR_SUM || op == LP_VECTOR_AVG || op == LP_VECTOR_MIN || op == LP_VECTOR_MAX ||
           op == LP_VECTOR_COUNT;
}

/* The aggregate of n values and one more, from that of the n. */
static double
fold(enum lp_vector_op op, double so_far, uint32_t n, double v)
{
    switch ((int)op) {
    case LP_VECTOR_SUM:
        return n == 0 ? v : so_far + v;
    case LP_VECTOR_AVG:
        return n == 0 ? v : so_far + (v - so_far) / (n + 1.0);
    case LP_VECTOR_MIN:
        return n == 0 || v < so_far || isnan(so_far) ? v : so_far;
    case LP_VECTOR_MAX:
        return n == 0 || v > so_far || isnan(so_far) ? v : so_far;
    default:
        return n + 1.0;
    }
}

/* Of each series the group it is in; the groups into sets. False when the memory is spent. */
static bool
find_groups(const struct lp_grouping *by, const struct lp_matrix *in, struct lp_label_index *sets,
            struct lp_arena *ar, uint32_t *group_of)
{
    bool ok = true;
    for (size_t i = 0; i < in->n && ok; i++) {
        const struct lp_series *s = &in->series[i];
        struct lp_pair *left = lp_arena_array(ar, s->nlabels, sizeof(*left));
        if (left == NULL) {
            return false;
        }
        group_of[i] = lp_label_index_add(sets, left, lp_grouping_labels(by, s->labels, s->nlabels, left));
        ok = group_of[i] != LP_LABELS_NONE;
        lp_arena_reset(ar);
    }
    return ok;
}

/* counts: of the values folded so far, by group and step; zero at first. */
static void
fold_all(enum lp_vector_op op, const struct lp_matrix *in, const uint32_t *group_of, uint32_t *counts,
         struct lp_matrix *ret)
{
    for (size_t i = 0; i < in->n; i++) {
        const struct lp_series *from = &in->series[i];
        struct lp_series *to = &ret->series[group_of[i]];
        uint32_t *n = counts + group_of[i] * in->steps;
        for (size_t k = 0; k < in->steps; k++) {
            if (from->has[k]) {
                to->v[k] = fold(op, to->v[k], n[k]++, from->v[k]);
                to->has[k] = true;
            }
        }
    }
}

lp_rc
lp_metric_group(const struct lp_metric_query *q, const struct lp_vector_agg *agg, const struct lp_matrix *in,
                struct lp_matrix *ret, struct lp_err *err)
{
    struct lp_arena scratch;
    struct lp_label_index sets;
    uint32_t *group_of = lp_malloc(in->n * sizeof(*group_of)), *counts = NULL;
    lp_matrix_init(ret, q);
    lp_arena_init(&scratch, ret->ar.budget, 1 << 12);
    lp_arena_join(&scratch, q->share);
    lp_label_index_init(&sets, &ret->ar);
    bool ok = find_groups(&agg->by, in, &sets, &scratch, group_of) && lp_matrix_series(ret, &sets);
    if (ok) {
        counts = lp_arena_zalloc(&scratch, sets.n * in->steps * sizeof(*counts));
        ok = counts != NULL;
    }
    if (ok) {
        fold_all(agg->op, in, group_of, counts, ret);
    }
    lp_label_index_clear(&sets);
    lp_arena_clear(&scratch);
    lp_free(group_of);
    return ok ? LP_OK : lp_metric_over_budget(q, err);
}
