/*
 * metric.c - a metric query from its tree to the series: each node gives a matrix, made from those of the
 * nodes below.
 *
 * The tree is never deeper than LP_LOGQL_DEPTH_MAX, so recursion is safe. At any time there are two matrices
 * at most, that of a node and that of the one below, with half of the query's memory each.
 */
#include "query/metric.h"

#include <stdlib.h>
#include <string.h>

#include "query/metric_int.h"

/* ------------------------------------------------------------------ what can be evaluated */

bool
lp_metric_has_logs(const struct lp_expr *e)
{
    switch (e->kind) {
    case LP_EXPR_RANGE_AGG:
        return true;
    case LP_EXPR_VECTOR_AGG:
        return lp_metric_has_logs(e->vector_agg.inner);
    case LP_EXPR_LABEL_REPLACE:
        return lp_metric_has_logs(e->label_replace.inner);
    case LP_EXPR_BINARY:
        return lp_metric_has_logs(e->binary.left) || lp_metric_has_logs(e->binary.right);
    case LP_EXPR_LOG:
    case LP_EXPR_LITERAL:
    case LP_EXPR_VECTOR:
        break;
    }
    return false;
}

lp_rc
lp_metric_supported(const struct lp_expr *e, struct lp_err *err)
{
    switch (e->kind) {
    case LP_EXPR_RANGE_AGG:
        return lp_metric_range_supported(e, err);
    case LP_EXPR_VECTOR_AGG:
        return lp_metric_group_supported(e->vector_agg.op)
                   ? lp_metric_supported(e->vector_agg.inner, err)
                   : lp_exec_unsupported(lp_vector_op_name(e->vector_agg.op), e->pos, err);
    case LP_EXPR_BINARY:
        return lp_exec_unsupported(lp_binary_op_text(e->binary.op), e->pos, err);
    case LP_EXPR_LABEL_REPLACE:
        return lp_exec_unsupported("label_replace", e->pos, err);
    case LP_EXPR_LOG:
    case LP_EXPR_LITERAL:
    case LP_EXPR_VECTOR:
        break;
    }
    return lp_err_set(err, LP_ERR_UNSUPPORTED, "an expression without logs has no series");
}

/* ------------------------------------------------------------------ matrices */

void
lp_matrix_init(struct lp_matrix *m, const struct lp_metric_query *q)
{
    *m = (struct lp_matrix){.start_ns = q->start_ns, .step_ns = q->step_ns, .steps = q->steps};
    lp_arena_init(&m->ar, q->budget_bytes / 2, 1 << 14);
    lp_arena_join(&m->ar, q->share);
}

void
lp_matrix_clear(struct lp_matrix *m)
{
    lp_arena_clear(&m->ar);
    m->series = NULL;
    m->n = 0;
}

bool
lp_matrix_series(struct lp_matrix *m, const struct lp_label_index *sets)
{
    LP_ASSERT(m->n == 0 && sets->ar == &m->ar);
    m->series = lp_arena_array(&m->ar, sets->n, sizeof(*m->series));
    for (size_t i = 0; i < sets->n && m->series != NULL; i++) {
        const struct lp_labels *labels = &sets->v[i];
        struct lp_series s = {.labels = labels->v, .nlabels = labels->n, .text = labels->text};
        s.v = lp_arena_array(&m->ar, m->steps, sizeof(*s.v));
        s.has = lp_arena_zalloc(&m->ar, m->steps * sizeof(*s.has));
        if (s.v == NULL || s.has == NULL) {
            return false;
        }
        m->series[m->n++] = s;
    }
    return m->series != NULL;
}

lp_rc
lp_metric_over_budget(const struct lp_metric_query *q, struct lp_err *err)
{
    if (lp_exec_memory_taken(q->share, err)) {
        return LP_ERR_BUSY;
    }
    return lp_err_set(err, LP_ERR_LIMIT,
                      "the series of this query need more than the %zu MiB of memory that a query may have; "
                      "ask for fewer series (sum by), a larger step, or a shorter range",
                      q->budget_bytes >> 20);
}

lp_rc
lp_metric_too_many(const struct lp_metric_query *q, struct lp_err *err)
{
    return lp_err_set(err, LP_ERR_LIMIT,
                      "maximum number of series (%zu) reached for a single query; consider reducing query "
                      "cardinality by adding more specific stream selectors, reducing the time range, or "
                      "aggregating results with functions like sum(), count() or topk()",
                      q->max_series);
}

/* ------------------------------------------------------------------ evaluation */

/* root: the answer itself, so its series have a limit. *ret is to be cleared in any case. */
static lp_rc
eval(const struct lp_metric_query *q, const struct lp_expr *e, bool root, struct lp_matrix *ret,
     struct lp_err *err)
{
    size_t max_series = root ? q->max_series : SIZE_MAX;
    if (e->kind == LP_EXPR_RANGE_AGG) {
        return lp_metric_range(q, &e->range_agg, NULL, max_series, ret, err);
    }
    LP_ASSERT(e->kind == LP_EXPR_VECTOR_AGG);
    const struct lp_vector_agg *agg = &e->vector_agg;
    if (agg->op == LP_VECTOR_SUM && agg->inner->kind == LP_EXPR_RANGE_AGG &&
        lp_metric_range_sums(&agg->inner->range_agg)) {
        return lp_metric_range(q, &agg->inner->range_agg, &agg->by, max_series, ret, err);
    }
    struct lp_matrix in;
    lp_rc rc = eval(q, agg->inner, false, &in, err);
    if (rc == LP_OK) {
        rc = lp_metric_group(q, agg, &in, ret, err);
    } else {
        lp_matrix_init(ret, q);
    }
    ret->stats = in.stats;
    memcpy(ret->damage, in.damage, sizeof(ret->damage));
    lp_matrix_clear(&in);
    return rc;
}

static int
by_text(const void *a, const void *b)
{
    return lp_str_cmp(((const struct lp_series *)a)->text, ((const struct lp_series *)b)->text);
}

/* Sorts the series, and leaves out those without a sample. */
static void
finish(struct lp_matrix *m)
{
    size_t kept = 0;
    for (size_t i = 0; i < m->n; i++) {
        if (memchr(m->series[i].has, true, m->steps) != NULL) {
            m->series[kept++] = m->series[i];
        }
    }
    m->n = kept;
    if (kept > 1) {
        qsort(m->series, kept, sizeof(*m->series), by_text);
    }
}

lp_rc
lp_metric_eval(const struct lp_metric_query *q, struct lp_matrix *ret, struct lp_err *err)
{
    LP_ASSERT(q->step_ns > 0 && q->steps > 0 && q->steps <= LP_METRIC_STEPS_MAX);
    struct lp_err local; /* what is damaged is told in the result, also where nobody wants errors */
    int64_t begin_ns = lp_mono_ns();
    lp_rc rc = lp_metric_supported(q->expr, err);
    if (rc != LP_OK) {
        return rc;
    }
    lp_err_clear(&local);
    err = err != NULL ? err : &local;
    rc = eval(q, q->expr, true, ret, err);
    if (rc == LP_OK) {
        finish(ret);
        rc = ret->n <= q->max_series ? LP_OK : lp_metric_too_many(q, err);
    }
    ret->stats.duration_ns = lp_mono_ns() - begin_ns;
    lp_exec_account(&ret->stats, rc);
    if (rc != LP_OK) {
        lp_matrix_clear(ret);
    }
    return rc;
}
