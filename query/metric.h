/*
 * metric.h - evaluates metric queries: series of samples, one or none a step.
 *
 * A leaf's step at time t sees the lines in (t - range - offset, t - offset]. Series go by their labels: those of the stream as LogQL
 * sees them (lp_stream_labels), and the metadata of the lines. Above the leaves every node of the language is evaluated: aggregations,
 * operators with all their modifiers, label_replace, numbers and vector(..). Which range aggregations there are is the leaf's
 * (metric_range.c); what it does not know is LP_ERR_UNSUPPORTED with its name and place.
 *
 * Memory goes by series and step, never by lines, and all series that are alive at a time have one budget. Threads: as lp_search. A
 * matrix belongs to one thread at a time.
 */
#ifndef LP_QUERY_METRIC_H
#define LP_QUERY_METRIC_H

#include "query/exec.h"

struct lp_metric_query {
    struct lp_store *store;
    struct lp_str tenant;
    const struct lp_expr *expr; /* any but LP_EXPR_LOG */
    int64_t start_ns, step_ns;  /* steps at start, start + step, ..; step > 0 */
    size_t steps;               /* >= 1; at most LP_METRIC_STEPS_MAX */
    bool instant;               /* the answer is a vector: sort and sort_desc give it its order, and approx_topk is allowed */
    size_t max_series;          /* more in the answer are LP_ERR_LIMIT */
    struct lp_pool *pool;       /* free workers help; may be NULL */
    int64_t deadline_ns;        /* lp_mono_ns clock */
    const _Atomic bool *cancel; /* may be NULL */
    uint64_t scan_bytes;        /* > 0: most bytes that each leaf may decode or read: over it LP_ERR_LIMIT */
    struct lp_arena_share *share; /* memory of all queries together; NULL: no limit */
    size_t budget_bytes;        /* memory for a leaf's streams, and for all series: over it LP_ERR_LIMIT */
    size_t held_bytes;          /* 0; inside, of the budget: what series of other nodes take (lp_metric_rest) */
};
#define LP_METRIC_STEPS_MAX 16384 /* 11,000 points, and what alignment adds */

struct lp_series {
    const struct lp_pair *labels; /* by rising name */
    size_t nlabels;
    struct lp_str text; /* {a="b", c="d"} */
    double *v;          /* by step */
    bool *has;          /* is there a sample at this step? */
};

struct lp_matrix {
    struct lp_series *series; /* each has a sample, and labels of its own; by rising text unless ordered */
    size_t n, cap;
    int64_t start_ns, step_ns;
    size_t steps;
    bool scalar;     /* a bare number: one series without labels */
    bool ordered;    /* the order of the series is part of the answer */
    bool may_repeat; /* inside: there may be several series of equal labels */
    struct lp_search_stats stats; /* of all leaves together */
    char damage[LP_ERR_TEXT_BYTES]; /* the first damaged place; empty: none */
    struct lp_arena ar;             /* owned */
};

/*
 * LP_ERR_LIMIT (budget, series), LP_ERR_BUSY, LP_ERR_TIMEOUT, LP_ERR_CANCELED, LP_ERR_IO; LP_ERR_PARSE for what the expression asks of series
 * that cannot be had (sides that match more than once, equal labels in the answer), and what else the leaf says. Damage is not an error: it
 * is counted, and the rest is answered.
 */
lp_rc lp_metric_eval(const struct lp_metric_query *q, struct lp_matrix *ret, struct lp_err *err) LP_MUST_USE;
void lp_matrix_clear(struct lp_matrix *m);

#endif
