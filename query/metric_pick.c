/*
 * metric_pick.c - topk, bottomk and approx_topk, which keep k samples of each group and step, and the order
 * that sort and sort_desc give. approx_topk is exact here.
 *
 * Samples without a number (NaN) come last, whichever way; of equal samples those with the smaller label text
 * come first. So an answer does not depend on the order in which series were found.
 */
#include <math.h>
#include <stdlib.h>

#include "query/metric_int.h"

/* <0, 0, >0: whether a sample comes before another where the largest, or the smallest, come first. */
static int
order(bool largest, const struct lp_series *a, const struct lp_series *b, size_t step)
{
    double x = a->v[step], y = b->v[step];
    if (isnan(x) || isnan(y)) {
        int last = (int)isnan(x) - (int)isnan(y);
        return last != 0 ? last : lp_str_cmp(a->text, b->text);
    }
    if (x != y) {
        return (x > y) == largest ? -1 : 1;
    }
    return lp_str_cmp(a->text, b->text);
}

/* ------------------------------------------------------------------ picking */

struct picker {
    const struct lp_matrix *m;
    bool largest;
    size_t step;
    uint32_t *heap; /* series: the best so far, none of them comes behind its parent (at - 1) / 2 */
    size_t n, most;
    uint32_t *picked; /* by series: the step, and 1, that it was picked at last */
};

/* Does the series in the heap at x come behind that at y? */
static bool
behind(const struct picker *p, size_t x, size_t y)
{
    const struct lp_series *v = p->m->series;
    return order(p->largest, &v[p->heap[x]], &v[p->heap[y]], p->step) > 0;
}

static void
swap(struct picker *p, size_t x, size_t y)
{
    uint32_t was = p->heap[x];
    p->heap[x] = p->heap[y];
    p->heap[y] = was;
}

static void
sift_up(struct picker *p, size_t at)
{
    while (at > 0 && behind(p, at, (at - 1) / 2)) {
        swap(p, at, (at - 1) / 2);
        at = (at - 1) / 2;
    }
}

static void
sift_down(struct picker *p)
{
    for (size_t at = 0, child = 1; child < p->n; child = 2 * at + 1) {
        child += child + 1 < p->n && behind(p, child + 1, child);
        if (!behind(p, child, at)) {
            return;
        }
        swap(p, child, at);
        at = child;
    }
}

static void
offer(struct picker *p, uint32_t series)
{
    const struct lp_series *v = p->m->series;
    if (p->n < p->most) {
        p->heap[p->n] = series;
        sift_up(p, p->n++);
    } else if (order(p->largest, &v[series], &v[p->heap[0]], p->step) < 0) {
        p->heap[0] = series;
        sift_down(p);
    }
}

/* Drops the samples of a group that are not among its best. */
static void
pick_group(struct picker *p, const struct lp_groups *groups, uint32_t first)
{
    const struct lp_series *v = p->m->series;
    for (p->step = 0; p->step < p->m->steps; p->step++) {
        uint32_t mark = (uint32_t)p->step + 1;
        p->n = 0;
        for (uint32_t i = first; i > 0; i = groups->next[i - 1]) {
            if (v[i - 1].has[p->step]) {
                offer(p, i - 1);
            }
        }
        for (size_t i = 0; i < p->n; i++) {
            p->picked[p->heap[i]] = mark;
        }
        for (uint32_t i = first; i > 0; i = groups->next[i - 1]) {
            v[i - 1].has[p->step] = p->picked[i - 1] == mark;
        }
    }
}

lp_rc
lp_metric_pick(const struct lp_metric_query *q, const struct lp_vector_agg *agg, struct lp_matrix *m,
               struct lp_err *err)
{
    struct lp_metric_query beside = lp_metric_beside(q, m);
    struct lp_arena scratch;
    struct lp_groups groups;
    struct lp_label_index sets;
    struct picker p = {.m = m, .largest = agg->op != LP_VECTOR_BOTTOMK};
    lp_rc rc = LP_OK;
    lp_arena_init(&scratch, lp_metric_rest(&beside), 1 << 12);
    lp_arena_join(&scratch, q->share);
    lp_label_index_init(&sets, &scratch);
    p.most = (size_t)LP_MIN((uint64_t)agg->param, (uint64_t)m->n);
    p.heap = lp_arena_array(&scratch, p.most, sizeof(*p.heap));
    p.picked = lp_arena_zalloc(&scratch, m->n * sizeof(*p.picked));
    if (p.heap == NULL || p.picked == NULL || !lp_groups_make(&groups, &agg->by, m, &sets, &scratch)) {
        rc = lp_metric_over_budget(q, err);
    }
    for (size_t g = 0; rc == LP_OK && g < sets.n; g++) {
        pick_group(&p, &groups, lp_groups_first(&groups, g));
        rc = lp_metric_check(q, err);
    }
    lp_label_index_clear(&sets);
    lp_arena_clear(&scratch);
    return rc;
}

/* ------------------------------------------------------------------ sorting */

static int
smallest_first(const void *a, const void *b)
{
    return order(false, a, b, 0);
}

static int
largest_first(const void *a, const void *b)
{
    return order(true, a, b, 0);
}

void
lp_metric_sort(const struct lp_vector_agg *agg, struct lp_matrix *m)
{
    size_t kept = 0;
    for (size_t i = 0; i < m->n; i++) { /* what has no sample has no place */
        if (m->series[i].has[0]) {
            m->series[kept++] = m->series[i];
        }
    }
    m->n = kept;
    m->ordered = true;
    if (kept > 1) {
        qsort(m->series, kept, sizeof(*m->series),
              agg->op == LP_VECTOR_SORT ? smallest_first : largest_first);
    }
}
