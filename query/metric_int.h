/*
 * metric_int.h - inside the evaluation of metric queries: shared by metric*.c.
 *
 * metric.c walks the tree, from the leaves up, each node giving a matrix. A leaf (metric_range.c) is a range aggregation: it scans
 * the store, and adds runs of rows to per-step counters; which steps see a row is metric_window.c's. metric_group.c makes fewer series
 * of many; metric_pick.c keeps the largest, and sorts; metric_binary.c has the operators; metric_replace.c changes labels.
 *
 * Between nodes a matrix may have series without samples, and (may_repeat) several of equal labels: nodes go by samples, step by step, as
 * if each step was a query of its own. metric.c makes an answer of the last matrix.
 */
#ifndef LP_QUERY_METRIC_INT_H
#define LP_QUERY_METRIC_INT_H

#include "query/exec_int.h"
#include "query/metric.h"

/* --- exec_rows.c: the rows of a part that pass the filter, many at a time --- */

/* Rows of one stream. The arrays are valid until the next call. */
struct lp_rows_chunk {
    uint32_t stream; /* index into the view's streams */
    uint32_t n;      /* 0: the end */
    const int64_t *times; /* no time is smaller than the one before */
    const uint32_t *line_bytes; /* NULL unless wanted */
    const struct lp_pair *meta; /* what all of the rows have, by rising name; only of streams that it is wanted of */
    size_t nmeta;
};

struct lp_rows_want {
    int64_t from_ns, to_ns; /* [from, to) */
    bool line_bytes;
    /* Is metadata of the stream's rows wanted, in chunks that have the same? Any thread. */
    lp_rc (*meta)(void *arg, uint32_t stream, bool *ret, struct lp_err *err);
    void *arg;
};

struct lp_rows;

/* Over the worker's part. Lines are decoded only where there is a filter. What is looked at goes to the worker's statistics. */
lp_rc lp_rows_open(struct lp_worker *w, const struct lp_rows_want *want, struct lp_rows **ret, struct lp_err *err) LP_MUST_USE;
lp_rc lp_rows_next(struct lp_rows *r, struct lp_rows_chunk *ret, struct lp_err *err) LP_MUST_USE;
void lp_rows_close(struct lp_rows *r);

/* --- metric_window.c --- */

/* The windows (end - range, end] with ends first, first + step, ..; n >= 1, step > 0, range >= 0. All ends are times. */
struct lp_windows {
    int64_t first_ns, step_ns, range_ns;
    uint32_t n;
};

/* Times [from, to], both inside: each of them is in the windows [lo, hi), and in no other. lo >= hi: in none. */
struct lp_window_span {
    int64_t from_ns, to_ns;
    uint32_t lo, hi;
};

/*
 * The windows of the query's steps over a range, without those whose ends are no times; *ret_first: the step of the first. False when
 * there is none, or no line fits in.
 */
bool lp_windows_make(struct lp_windows *w, const struct lp_metric_query *q, const struct lp_log_range *range, uint32_t *ret_first);
/* The largest span with t in it. */
void lp_windows_span(const struct lp_windows *w, int64_t t, struct lp_window_span *ret);
/* The span that was used last: times come in runs. Zeroed to begin. */
struct lp_window_last {
    struct lp_window_span span;
    bool any;
};
static inline const struct lp_window_span *
lp_windows_find(const struct lp_windows *w, int64_t t, struct lp_window_last *last)
{
    if (!last->any || t < last->span.from_ns || t > last->span.to_ns) {
        lp_windows_span(w, t, &last->span);
        last->any = true;
    }
    return &last->span;
}
/* The times that may be in a window: [from, to). */
void lp_windows_range(const struct lp_windows *w, int64_t *ret_from_ns, int64_t *ret_to_ns);

/* --- metric_known.c: the series that a worker met last, by what they are told apart by --- */

#define LP_KNOWN_SERIES 512 /* a power of two */

struct lp_known_series {
    struct lp_buf key;
    struct lp_known_slot {
        struct lp_hash128 key;
        uint32_t series_1; /* and 1; 0: not known */
    } v[LP_KNOWN_SERIES];
};

/* Of zeroed memory. */
void lp_known_init(struct lp_known_series *k, size_t key_bytes_max);
void lp_known_clear(struct lp_known_series *k);
/* What is looked for: begin, then what it is made of (pairs, or bytes into k->key), then find. */
void lp_known_begin(struct lp_known_series *k);
void lp_known_pairs(struct lp_known_series *k, const struct lp_pair *pairs, size_t n);
/* Its series and 1, which the caller sets where it is 0; NULL: it is too large. Valid until the next begin. */
uint32_t *lp_known_find(struct lp_known_series *k);

/* --- metric.c --- */

/* What series of other nodes leave of the query's memory. */
size_t lp_metric_rest(const struct lp_metric_query *q);
/* The same query beside one more matrix. */
struct lp_metric_query lp_metric_beside(const struct lp_metric_query *q, const struct lp_matrix *m);

/* Begins an empty matrix for the steps of the query, with all of the rest of its memory; or with half of it, for a leaf, whose counters have the
 * other half. */
void lp_matrix_init_all(struct lp_matrix *m, const struct lp_metric_query *q);
void lp_matrix_init(struct lp_matrix *m, const struct lp_metric_query *q);
/* Appends a series without samples. The labels live in the matrix' arena, or for ever. False when the memory is spent. */
bool lp_matrix_add(struct lp_matrix *m, const struct lp_labels *labels);
/* The same for each of the sets; the index must live in the matrix' arena. */
bool lp_matrix_series(struct lp_matrix *m, const struct lp_label_index *sets);
/* LP_ERR_LIMIT */
lp_rc lp_metric_too_many(const struct lp_metric_query *q, struct lp_err *err) LP_MUST_USE;
/* LP_ERR_LIMIT; LP_ERR_BUSY where it is the memory of all queries that is spent. */
lp_rc lp_metric_over_budget(const struct lp_metric_query *q, struct lp_err *err) LP_MUST_USE;
/* Has the query to end? LP_ERR_CANCELED, LP_ERR_TIMEOUT. */
lp_rc lp_metric_check(const struct lp_metric_query *q, struct lp_err *err) LP_MUST_USE;

/* lp_metric_range, or what a test puts in its place. */
typedef lp_rc lp_metric_leaf(const struct lp_metric_query *q, const struct lp_range_agg *agg, const struct lp_grouping *by,
                             size_t max_series, struct lp_matrix *ret, struct lp_err *err);
/* lp_metric_eval over such leaves, without its accounts. The matrix is to be cleared in any case. */
lp_rc lp_metric_tree(const struct lp_metric_query *q, lp_metric_leaf *leaf, struct lp_matrix *ret, struct lp_err *err) LP_MUST_USE;

/* --- metric_range.c --- */

/*
 * A sum over the leaf's series takes place while counting: `by` (may be NULL) says what of their labels stays. More than max_series are
 * LP_ERR_LIMIT. The matrix is to be cleared in any case.
 */
lp_rc lp_metric_range(const struct lp_metric_query *q, const struct lp_range_agg *agg, const struct lp_grouping *by,
                      size_t max_series, struct lp_matrix *ret, struct lp_err *err) LP_MUST_USE;
/* Is the sum of its series the same over the samples of all of them? Then a sum's grouping may be given to lp_metric_range. */
bool lp_metric_range_sums(const struct lp_range_agg *agg);
/* The search that the leaf is. */
struct lp_search lp_metric_search(const struct lp_metric_query *q, const struct lp_range_agg *agg);

/* --- metric_fold.c --- */

/* The same for rows that go through stages, or are unwrapped. */
lp_rc lp_metric_fold(const struct lp_metric_query *q, const struct lp_range_agg *agg, const struct lp_grouping *by,
                     struct lp_pipe_prog *prog, size_t max_series, struct lp_matrix *ret, struct lp_err *err) LP_MUST_USE;


/* --- metric_group.c --- */

/* What a grouping leaves of labels, which go by rising name. ret has room for n. Returns how many. */
size_t lp_grouping_labels(const struct lp_grouping *by, const struct lp_pair *labels, size_t n, struct lp_pair *ret);
/* May metadata add to what the grouping leaves of these labels? */
bool lp_grouping_wants_meta(const struct lp_grouping *by, const struct lp_pair *labels, size_t n);

/* The series of a matrix in groups, each a chain of indexes + 1 that ends with 0. */
struct lp_groups {
    uint32_t *first; /* by group: lp_groups_first */
    size_t cap;
    uint32_t *next; /* by series */
};
/* The groups are the sets of labels that the grouping leaves, and are added to `sets`. All lives in the arena; false when it is spent. */
bool lp_groups_make(struct lp_groups *g, const struct lp_grouping *by, const struct lp_matrix *m, struct lp_label_index *sets,
                    struct lp_arena *ar);
static inline uint32_t
lp_groups_first(const struct lp_groups *g, size_t group)
{
    return group < g->cap ? g->first[group] : 0;
}

/* Aggregates the series of `in`, step by step: sum, avg, min, max, count, stddev, stdvar. The matrix is to be cleared in any case. */
lp_rc lp_metric_group(const struct lp_metric_query *q, const struct lp_vector_agg *agg, const struct lp_matrix *in,
                      struct lp_matrix *ret, struct lp_err *err) LP_MUST_USE;

/* --- metric_pick.c --- */

/* Leaves of each group and step the samples that topk, bottomk or approx_topk pick. */
lp_rc lp_metric_pick(const struct lp_metric_query *q, const struct lp_vector_agg *agg, struct lp_matrix *m, struct lp_err *err) LP_MUST_USE;
/* sort, sort_desc: by the samples of the first step. */
void lp_metric_sort(const struct lp_vector_agg *agg, struct lp_matrix *m);

/* --- metric_replace.c --- */

/* Sets a label in a set that goes by rising name; an empty value removes it. v has room for n + 1. Returns how many there are. */
size_t lp_labels_set(struct lp_pair *v, size_t n, struct lp_str name, struct lp_str value);
lp_rc lp_metric_replace(const struct lp_metric_query *q, const struct lp_label_replace *r, struct lp_matrix *m, struct lp_err *err) LP_MUST_USE;

/* --- metric_binary.c --- */

/* Is it a comparison that passes or drops samples, rather than giving 0 or 1? */
bool lp_binary_filters(const struct lp_binary *b);
/* One side is a literal, m the other. */
void lp_metric_scalar(const struct lp_binary *b, struct lp_matrix *m);
/* and, or, unless: left becomes the result, right is spent. q: without both. */
lp_rc lp_metric_combine(const struct lp_metric_query *q, const struct lp_binary *b, struct lp_matrix *left, struct lp_matrix *right,
                        struct lp_err *err) LP_MUST_USE;
/* Arithmetic and comparisons of series; the sides stay as they are. The matrix is to be cleared in any case. */
lp_rc lp_metric_join(const struct lp_metric_query *q, const struct lp_binary *b, struct lp_matrix *left, struct lp_matrix *right,
                     struct lp_matrix *ret, struct lp_err *err) LP_MUST_USE;

#endif
