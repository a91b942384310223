/*
 * metric.h - evaluates metric queries: series of samples, one or none a step.
 *
 * A step at time t sees the lines in (t - range - offset, t - offset]; a window without lines has no sample. Series go by
 * their labels: those of the stream as LogQL sees them (lp_stream_labels), and the metadata of the lines.
 *
 * Evaluated here: count_over_time, rate, bytes_over_time and bytes_rate over what lp_search evaluates; sum, avg, min, max and count of
 * series, with by and without. What else the language knows is LP_ERR_UNSUPPORTED with its name and place; constants are lp_const_eval's.
 *
 * Memory goes by series and step, never by lines. Threads: as lp_search. A matrix belongs to one thread at a time.
 */
#ifndef LP_QUERY_METRIC_H
#define LP_QUERY_METRIC_H

#include "query/exec.h"

struct lp_metric_query {
    struct lp_store *store;
    struct lp_str tenant;
    const struct lp_expr *expr; /* looks at logs: lp_metric_has_logs */
    int64_t start_ns, step_ns;  /* steps at start, start + step, ..; step > 0 */
    size_t steps;               /* >= 1; at most LP_METRIC_STEPS_MAX */
    size_t max_series;          /* more in the answer are LP_ERR_LIMIT */
    struct lp_pool *pool;       /* free workers help; may be NULL */
    int64_t deadline_ns;        /* lp_mono_ns clock */
    const _Atomic bool *cancel; /* may be NULL */
    uint64_t scan_bytes;        /* > 0: most bytes that it may decode or read: over it LP_ERR_LIMIT */
    struct lp_arena_share *share; /* memory of all queries together; NULL: no limit */
    size_t budget_bytes;        /* memory for streams, and for series: over it LP_ERR_LIMIT */
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
    struct lp_series *series; /* by rising text; each has a sample */
    size_t n;
    int64_t start_ns, step_ns;
    size_t steps;
    struct lp_search_stats stats;
    char damage[LP_ERR_TEXT_BYTES]; /* the first damaged place; empty: none */
    struct lp_arena ar;             /* owned */
};

/* Does a part of the expression count lines? */
bool lp_metric_has_logs(const struct lp_expr *e);
/* LP_OK if lp_metric_eval can evaluate the expression. */
lp_rc lp_metric_supported(const struct lp_expr *e, struct lp_err *err) LP_MUST_USE;
/*
 * LP_ERR_UNSUPPORTED, LP_ERR_LIMIT (budget, series), LP_ERR_TIMEOUT, LP_ERR_CANCELED, LP_ERR_IO, LP_ERR_PARSE. Damage is not an error: it is
 * counted, and the rest is answered.
 */
lp_rc lp_metric_eval(const struct lp_metric_query *q, struct lp_matrix *ret, struct lp_err *err) LP_MUST_USE;
void lp_matrix_clear(struct lp_matrix *m);

#endif
