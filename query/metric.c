/*
 * metric.c - a metric query from its tree to the series: each node gives a matrix, made from those of the
 * nodes below, or one of those with other samples, labels or order.
 *
 * The tree is never deeper than LP_LOGQL_DEPTH_MAX, so recursion is safe. Memory: while a node is evaluated,
 * the matrices that wait for it count as held (held_bytes), and it may take what they leave of the budget. So
 * the budget holds for all that are alive at a time, however the tree is made.
 */
#include "query/metric.h"

#include <stdlib.h>
#include <string.h>

#include "query/metric_int.h"
#include "query/text.h"

/* ------------------------------------------------------------------ memory */

size_t
lp_metric_rest(const struct lp_metric_query *q)
{
    return q->budget_bytes > q->held_bytes ? q->budget_bytes - q->held_bytes : 0;
}

struct lp_metric_query
lp_metric_beside(const struct lp_metric_query *q, const struct lp_matrix *m)
{
    struct lp_metric_query beside = *q;
    beside.held_bytes += m->ar.reserved;
    return beside;
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

lp_rc
lp_metric_check(const struct lp_metric_query *q, struct lp_err *err)
{
    return lp_exec_check(q->deadline_ns, q->cancel, err);
}

/* ------------------------------------------------------------------ matrices */

static void
matrix_init(struct lp_matrix *m, const struct lp_metric_query *q, size_t budget)
{
    *m = (struct lp_matrix){.start_ns = q->start_ns, .step_ns = q->step_ns, .steps = q->steps};
    lp_arena_init(&m->ar, budget, 1 << 14);
    lp_arena_join(&m->ar, q->share);
}

void
lp_matrix_init_all(struct lp_matrix *m, const struct lp_metric_query *q)
{
    matrix_init(m, q, lp_metric_rest(q));
}

void
lp_matrix_init(struct lp_matrix *m, const struct lp_metric_query *q)
{
    matrix_init(m, q, lp_metric_rest(q) / 2);
}

void
lp_matrix_clear(struct lp_matrix *m)
{
    lp_arena_clear(&m->ar);
    m->series = NULL;
    m->n = m->cap = 0;
}

bool
lp_matrix_add(struct lp_matrix *m, const struct lp_labels *labels)
{
    struct lp_series *grown = lp_arena_grow(&m->ar, m->series, &m->cap, m->n + 1, sizeof(*grown));
    struct lp_series s = {.labels = labels->v, .nlabels = labels->n, .text = labels->text};
    if (grown == NULL) {
        return false;
    }
    m->series = grown;
    s.v = lp_arena_array(&m->ar, m->steps, sizeof(*s.v));
    s.has = lp_arena_zalloc(&m->ar, m->steps * sizeof(*s.has));
    if (s.v == NULL || s.has == NULL) {
        return false;
    }
    m->series[m->n++] = s;
    return true;
}

bool
lp_matrix_series(struct lp_matrix *m, const struct lp_label_index *sets)
{
    LP_ASSERT(m->n == 0 && sets->ar == &m->ar);
    m->series = lp_arena_array(&m->ar, sets->n, sizeof(*m->series)); /* no more of them than that */
    m->cap = sets->n;
    bool ok = m->series != NULL;
    for (size_t i = 0; i < sets->n && ok; i++) {
        ok = lp_matrix_add(m, &sets->v[i]);
    }
    return ok;
}

/* What the leaves below both have looked at. */
static void
add_story(struct lp_matrix *to, const struct lp_matrix *from)
{
    struct lp_search_stats *sum = &to->stats;
    const struct lp_search_stats *more = &from->stats;
    sum->head_lines += more->head_lines;
    sum->head_bytes += more->head_bytes;
    sum->stored_lines += more->stored_lines;
    sum->stored_bytes += more->stored_bytes;
    sum->passed_lines += more->passed_lines;
    sum->meta_bytes += more->meta_bytes;
    sum->blocks += more->blocks;
    sum->head_parts += more->head_parts;
    sum->all_blocks += more->all_blocks;
    sum->streams += more->streams;
    sum->damaged += more->damaged;
    if (to->damage[0] == 0) {
        memcpy(to->damage, from->damage, sizeof(to->damage));
    }
}

/* ------------------------------------------------------------------ nodes */

/* max_series: of the node's matrix; SIZE_MAX unless it is the answer. *ret is to be cleared in any case. */
static lp_rc eval(const struct lp_metric_query *q, lp_metric_leaf *leaf, const struct lp_expr *e,
                  size_t max_series, struct lp_matrix *ret, struct lp_err *err);

/* A number, or vector(number): the same at all steps. */
static lp_rc
constant(const struct lp_metric_query *q, const struct lp_expr *e, struct lp_matrix *ret, struct lp_err *err)
{
    const struct lp_labels none = {.text = LP_STR("{}")};
    lp_matrix_init_all(ret, q);
    ret->scalar = e->kind == LP_EXPR_LITERAL;
    if (!lp_matrix_add(ret, &none)) {
        return lp_metric_over_budget(q, err);
    }
    for (size_t k = 0; k < ret->steps; k++) {
        ret->series[0].v[k] = e->number;
        ret->series[0].has[k] = true;
    }
    return LP_OK;
}

static lp_rc
group(const struct lp_metric_query *q, lp_metric_leaf *leaf, const struct lp_vector_agg *agg,
      struct lp_matrix *ret, struct lp_err *err)
{
    struct lp_matrix in;
    lp_rc rc = eval(q, leaf, agg->inner, SIZE_MAX, &in, err);
    struct lp_metric_query beside = lp_metric_beside(q, &in);
    if (rc == LP_OK) {
        rc = lp_metric_group(&beside, agg, &in, ret, err);
    } else {
        lp_matrix_init_all(ret, &beside);
    }
    add_story(ret, &in);
    lp_matrix_clear(&in);
    return rc;
}

static lp_rc
aggregation(const struct lp_metric_query *q, lp_metric_leaf *leaf, const struct lp_vector_agg *agg,
            size_t max_series, struct lp_matrix *ret, struct lp_err *err)
{
    lp_rc rc;
    if (agg->op == LP_VECTOR_APPROX_TOPK && !q->instant) {
        lp_matrix_init_all(ret, q);
        return lp_err_set(err, LP_ERR_PARSE, "approx_topk is only supported on instant queries");
    }
    switch (agg->op) {
    case LP_VECTOR_APPROX_TOPK:
    case LP_VECTOR_TOPK:
    case LP_VECTOR_BOTTOMK:
        rc = eval(q, leaf, agg->inner, SIZE_MAX, ret, err);
        return rc == LP_OK ? lp_metric_pick(q, agg, ret, err) : rc;
    case LP_VECTOR_SORT:
    case LP_VECTOR_SORT_DESC:
        rc = eval(q, leaf, agg->inner, max_series, ret, err);
        if (rc == LP_OK && q->instant) {
            lp_metric_sort(agg, ret);
        }
        return rc;
    case LP_VECTOR_SUM:
        if (agg->inner->kind == LP_EXPR_RANGE_AGG && lp_metric_range_sums(&agg->inner->range_agg)) {
            return leaf(q, &agg->inner->range_agg, &agg->by, max_series, ret, err);
        }
        break;
    case LP_VECTOR_AVG:
    case LP_VECTOR_COUNT:
    case LP_VECTOR_MAX:
    case LP_VECTOR_MIN:
    case LP_VECTOR_STDDEV:
    case LP_VECTOR_STDVAR:
        break;
    }
    return group(q, leaf, agg, ret, err);
}

/* An operator between a number and series changes the series in their place. */
static lp_rc
scalar(const struct lp_metric_query *q, lp_metric_leaf *leaf, const struct lp_binary *b, size_t max_series,
       struct lp_matrix *ret, struct lp_err *err)
{
    const struct lp_expr *series = b->left->kind == LP_EXPR_LITERAL ? b->right : b->left;
    lp_rc rc = eval(q, leaf, series, lp_binary_filters(b) ? SIZE_MAX : max_series, ret, err);
    if (rc == LP_OK) {
        lp_metric_scalar(b, ret);
    }
    return rc;
}

/* Both sides of an operator; both are to be cleared in any case. */
static lp_rc
sides(const struct lp_metric_query *q, lp_metric_leaf *leaf, const struct lp_binary *b,
      struct lp_matrix *left, struct lp_matrix *right, struct lp_err *err)
{
    lp_rc rc = eval(q, leaf, b->left, SIZE_MAX, left, err);
    struct lp_metric_query beside = lp_metric_beside(q, left);
    if (rc != LP_OK) {
        lp_matrix_init_all(right, &beside);
        return rc;
    }
    return eval(&beside, leaf, b->right, SIZE_MAX, right, err);
}

static lp_rc
operation(const struct lp_metric_query *q, lp_metric_leaf *leaf, const struct lp_binary *b,
          struct lp_matrix *ret, struct lp_err *err)
{
    struct lp_matrix left, right;
    bool set = lp_binary_op_kind(b->op) == LP_BINARY_KIND_SET;
    lp_rc rc = sides(q, leaf, b, set ? ret : &left, &right, err);
    if (set && rc == LP_OK) {
        rc = lp_metric_combine(q, b, ret, &right, err);
    } else if (!set) {
        struct lp_metric_query beside = lp_metric_beside(q, &left);
        beside = lp_metric_beside(&beside, &right);
        if (rc == LP_OK) {
            rc = lp_metric_join(&beside, b, &left, &right, ret, err);
        } else {
            lp_matrix_init_all(ret, &beside);
        }
        add_story(ret, &left);
        lp_matrix_clear(&left);
    }
    add_story(ret, &right);
    lp_matrix_clear(&right);
    return rc;
}

static lp_rc
eval(const struct lp_metric_query *q, lp_metric_leaf *leaf, const struct lp_expr *e, size_t max_series,
     struct lp_matrix *ret, struct lp_err *err)
{
    lp_rc rc;
    switch (e->kind) {
    case LP_EXPR_RANGE_AGG:
        return leaf(q, &e->range_agg, NULL, max_series, ret, err);
    case LP_EXPR_VECTOR_AGG:
        return aggregation(q, leaf, &e->vector_agg, max_series, ret, err);
    case LP_EXPR_BINARY:
        if (e->binary.left->kind == LP_EXPR_LITERAL || e->binary.right->kind == LP_EXPR_LITERAL) {
            return scalar(q, leaf, &e->binary, max_series, ret, err);
        }
        return operation(q, leaf, &e->binary, ret, err);
    case LP_EXPR_LABEL_REPLACE:
        rc = eval(q, leaf, e->label_replace.inner, SIZE_MAX, ret, err);
        return rc == LP_OK ? lp_metric_replace(q, &e->label_replace, ret, err) : rc;
    case LP_EXPR_LITERAL:
    case LP_EXPR_VECTOR:
        return constant(q, e, ret, err);
    case LP_EXPR_LOG:
        break;
    }
    lp_matrix_init_all(ret, q);
    return lp_err_set(err, LP_ERR_UNSUPPORTED, "a log query has no series");
}

/* ------------------------------------------------------------------ the answer */

static int
by_text(const void *a, const void *b)
{
    return lp_str_cmp(((const struct lp_series *)a)->text, ((const struct lp_series *)b)->text);
}

static int
by_text_at(const void *a, const void *b)
{
    return by_text(*(struct lp_series *const *)a, *(struct lp_series *const *)b);
}

static bool
has_samples(const struct lp_matrix *m, const struct lp_series *s)
{
    return memchr(s->has, true, m->steps) != NULL;
}

/* Moves the samples of one series to another of the same labels. False where both have one at a step. */
static bool
move_samples(const struct lp_matrix *m, struct lp_series *from, struct lp_series *to)
{
    for (size_t k = 0; k < m->steps; k++) {
        if (from->has[k]) {
            if (to->has[k]) {
                return false;
            }
            to->v[k] = from->v[k];
            to->has[k] = true;
            from->has[k] = false;
        }
    }
    return true;
}

/* Leaves one series of those with equal labels: they go by steps, in each of which there may be one. */
static lp_rc
merge_equal(const struct lp_metric_query *q, struct lp_matrix *m, struct lp_err *err)
{
    struct lp_series **v = lp_arena_array(&m->ar, m->n, sizeof(*v));
    size_t n = 0;
    if (v == NULL) {
        return lp_metric_over_budget(q, err);
    }
    for (size_t i = 0; i < m->n; i++) {
        if (has_samples(m, &m->series[i])) {
            v[n++] = &m->series[i];
        }
    }
    qsort(v, n, sizeof(*v), by_text_at);
    for (size_t i = 1, to = 0; i < n; i++) {
        char room[64];
        if (!lp_str_eq(v[i]->text, v[to]->text)) {
            to = i;
        } else if (!move_samples(m, v[i], v[to])) {
            return lp_err_set(
                err, LP_ERR_PARSE,
                "the answer would have several series with the labels %s: label_replace must leave "
                "them different, or an aggregation must follow it",
                lp_text_clip(v[i]->text, 60, room));
        }
    }
    return LP_OK;
}

/* Makes an answer of the last matrix: no two series are equal, none is empty, and they are in order. */
static lp_rc
finish(const struct lp_metric_query *q, struct lp_matrix *m, struct lp_err *err)
{
    size_t kept = 0;
    lp_rc rc = m->may_repeat ? merge_equal(q, m, err) : LP_OK;
    for (size_t i = 0; i < m->n && rc == LP_OK; i++) {
        if (has_samples(m, &m->series[i])) {
            m->series[kept++] = m->series[i];
        }
    }
    m->n = kept;
    m->may_repeat = false;
    if (kept > 1 && !m->ordered) {
        qsort(m->series, kept, sizeof(*m->series), by_text);
    }
    return rc == LP_OK && kept > q->max_series ? lp_metric_too_many(q, err) : rc;
}

lp_rc
lp_metric_tree(const struct lp_metric_query *q, lp_metric_leaf *leaf, struct lp_matrix *ret,
               struct lp_err *err)
{
    LP_ASSERT(q->step_ns > 0 && q->steps > 0 && q->steps <= LP_METRIC_STEPS_MAX);
    struct lp_err local; /* what is damaged is told in the result, also where nobody wants errors */
    lp_err_clear(&local);
    err = err != NULL ? err : &local;
    lp_rc rc = eval(q, leaf, q->expr, q->max_series, ret, err);
    return rc == LP_OK ? finish(q, ret, err) : rc;
}

lp_rc
lp_metric_eval(const struct lp_metric_query *q, struct lp_matrix *ret, struct lp_err *err)
{
    int64_t begin_ns = lp_mono_ns();
    lp_rc rc = lp_metric_tree(q, lp_metric_range, ret, err);
    ret->stats.duration_ns = lp_mono_ns() - begin_ns;
    lp_exec_account(&ret->stats, rc);
    if (rc != LP_OK) {
        lp_matrix_clear(ret);
    }
    return rc;
}
