/*
 * exec_int.h - inside the evaluation of log queries: shared by exec*.c.
 *
 * The way of a search: exec_select.c chooses streams and parts of a view; exec_scan.c finds the keys of the n best rows, on
 * several threads (exec_round.c); exec_fetch.c reads the lines of those rows alone; exec_place.c turns keys into lasting places
 * and back; exec_context.c finds what is around them; exec.c puts it together. Metric queries (metric_int.h) begin in the same way, and then count the rows (exec_rows.c)
 * instead of finding them.
 */
#ifndef LP_QUERY_EXEC_INT_H
#define LP_QUERY_EXEC_INT_H

#include <stdatomic.h>

#include "base/lock.h"
#include "query/excerpt.h"
#include "query/exec.h"
#include "query/linefilter.h"
#include "query/matcher.h"
#include "query/pipe.h"

/* A row's position in the total order, valid inside one view. */
struct lp_key {
    int64_t time_ns;
    struct lp_hash128 stream;
    uint64_t generation, arrival;
};

/* A row that may be part of the answer. Its stream's hash is asked for only where times are equal. */
struct lp_hit {
    int64_t time_ns;
    uint64_t generation, arrival;
    uint32_t part;    /* index into the view's parts */
    uint32_t vstream; /* index into the view's streams */
};

static inline int
lp_hash128_cmp(struct lp_hash128 a, struct lp_hash128 b)
{
    if (a.hi != b.hi) {
        return a.hi < b.hi ? -1 : 1;
    }
    return (a.lo > b.lo) - (a.lo < b.lo);
}

struct lp_exec;

/* --- exec_order.c: the total order of rows --- */

/* <0, 0, >0: where a row lies from another, or from a key. Any thread; a stream that cannot be read is noted: lp_exec_order_failed. */
int lp_hit_cmp(struct lp_exec *x, const struct lp_hit *a, const struct lp_hit *b);
int lp_hit_key_cmp(struct lp_exec *x, const struct lp_hit *h, const struct lp_key *key);
/* The error of the first comparison that failed: the order is not to be relied on then. */
lp_rc lp_exec_order_failed(struct lp_exec *x, struct lp_err *err) LP_MUST_USE;
/* The row's key. */
lp_rc lp_hit_key(struct lp_exec *x, const struct lp_hit *h, struct lp_key *ret, struct lp_err *err) LP_MUST_USE;

/* --- exec_best.c: the n best of many hits, in memory for about 1.5 n. One thread at a time. --- */

struct lp_best {
    struct lp_exec *x;
    struct lp_hit *v;
    size_t n, cap, limit;
    bool backward;
    bool full;           /* there were at least `limit` hits: only those before `worst` still count */
    struct lp_hit worst; /* with full: a bound on the worst of the best; never too strict */
    uint64_t random;
};

void lp_best_init(struct lp_best *b, struct lp_exec *x, size_t limit, bool backward);
void lp_best_clear(struct lp_best *b);
void lp_best_add(struct lp_best *b, const struct lp_hit *hits, size_t n);
/* Leaves exactly the best, in query direction. */
void lp_best_finish(struct lp_best *b);

/* --- exec_cache.c --- */

/* Takes the block out of the cache, or opens it. Give it back with lp_block_cache_give, whatever became of it. */
lp_rc lp_block_cache_take(struct lp_block_cache *c, struct lp_seg *seg, uint32_t block, struct lp_block **ret,
                          struct lp_err *err) LP_MUST_USE;
void lp_block_cache_give(struct lp_block_cache *c, struct lp_seg *seg, uint32_t block, struct lp_block *b);
/* A page is over: lines that it did not need are not likely to be needed any more. */
void lp_block_cache_turn(struct lp_block_cache *c);

/* --- exec_select.c --- */

/* A view with the streams that any of the selectors wants; no selectors: all but the quarantine. filter may be NULL. The caller frees the view. */
lp_rc lp_exec_view(struct lp_store *st, struct lp_str tenant, const struct lp_log_query *const *selectors,
                   size_t n, const struct lp_select_filter *filter, size_t budget_bytes, struct lp_view **ret,
                   struct lp_err *err) LP_MUST_USE;

/* --- the search as a whole --- */

struct lp_exec {
    const struct lp_search *q;
    bool runs; /* where there is no filter, parts say which rows are whose: for those who count from stream tables */
    struct lp_view *view;
    const struct lp_part *parts;
    size_t nparts;
    uint32_t *order; /* parts in query direction: by largest time falling, or smallest rising */
    struct lp_linefilter *filter; /* the leading line filters */
    bool unfiltered;              /* by them */
    struct lp_pipe_prog *pass;    /* which rows pass the stages behind them; NULL: all do */
    struct lp_match_plan *plan; /* what blocks can tell of the filter; NULL: unfiltered */
    struct lp_block_cache *cache;  /* NULL: blocks are read once */
    struct lp_search_stats stats; /* workers add to it under the lock of their round */
    char damage[LP_ERR_TEXT_BYTES];
    _Atomic int order_rc; /* the first error of a comparison */
    _Atomic bool scanned_out; /* scan_bytes are spent */
    lp_rc cut_rc;             /* what ended it early, where that is no error */
};

/*
 * x->q and x->cache are set, the rest zero: opens the view, and compiles the filter. from_ns, to_ns: the range whose parts are wanted.
 * To be ended in any case. The view is the caller's to free.
 */
lp_rc lp_exec_begin(struct lp_exec *x, int64_t from_ns, int64_t to_ns, struct lp_err *err) LP_MUST_USE;
void lp_exec_end(struct lp_exec *x);
/* Fills order[nparts] with the parts by largest time falling, or by smallest rising. */
void lp_exec_order_parts(const struct lp_exec *x, bool backward, uint32_t *order);
/* LP_ERR_LIMIT when so many bytes are more than the search may read. Any thread. */
lp_rc lp_exec_over_scan(struct lp_exec *x, uint64_t bytes, struct lp_err *err) LP_MUST_USE;
/* Sets x->pass: what decides whether rows pass, where line filters alone do not. */
lp_rc lp_exec_pass(struct lp_exec *x, struct lp_err *err) LP_MUST_USE;
/* Tells the server's metrics what a query that ended with rc looked at. */
void lp_exec_account(const struct lp_search_stats *st, lp_rc rc);

/* Stages behind the leading line filters, compiled for these needs. */
lp_rc lp_exec_prog(const struct lp_log_query *log, const struct lp_unwrap *unwrap, const struct lp_pipe_need *need,
                   struct lp_pipe_prog **ret, struct lp_err *err) LP_MUST_USE;
/* LP_ERR_CANCELED or LP_ERR_TIMEOUT when the search should end. May wait while other queries go first (turn.h): no lock is held here. */
lp_rc lp_exec_check(int64_t deadline_ns, const _Atomic bool *cancel, struct lp_err *err) LP_MUST_USE;
/* Is it the memory of all queries together that is spent? Then err says so (LP_ERR_BUSY). */
bool lp_exec_memory_taken(const struct lp_arena_share *share, struct lp_err *err);
/* True for errors that mean that a piece of the store cannot be read; it is left out then. */
bool lp_exec_is_damage(lp_rc rc);
/* Counts it and keeps the first text. Not thread-safe. */
void lp_exec_note_damage(struct lp_exec *x, const struct lp_err *err);
/* Opens a scan of a part, over the cache's block where it has one; *ret_block NULL for the head. */
lp_rc lp_exec_open(struct lp_exec *x, const struct lp_part *p, struct lp_codec *codec, int64_t from_ns, int64_t to_ns,
                   bool backward, struct lp_scan **ret, struct lp_block **ret_block, struct lp_err *err) LP_MUST_USE;
/* Begins a scan that leaves of a block only the rows that may pass the filter. Of the head rows may be given that do not pass. */
lp_rc lp_exec_start(const struct lp_exec *x, struct lp_scan *s, struct lp_err *err) LP_MUST_USE;
/* Adds what the store passed over by itself, before the scan is closed. */
void lp_exec_count_passed(const struct lp_scan *s, bool stored, struct lp_search_stats *st);
void lp_exec_close(struct lp_exec *x, const struct lp_part *p, struct lp_scan *s, struct lp_block *block);

/* --- exec_pipe.c: stages run on the row that a scan is at. One thread. --- */

struct lp_row_pipe {
    struct lp_pipe *pipe; /* NULL: there is nothing to run */
    uint32_t stream;      /* whose labels these are */
    size_t n;
    struct lp_excerpts *excerpts; /* NULL: rows' lines are needed whole */
    struct lp_pair labels[LP_STREAM_LABELS_MAX];
};

/* prog may be NULL. */
void lp_row_pipe_begin(struct lp_row_pipe *p, const struct lp_pipe_prog *prog);
void lp_row_pipe_end(struct lp_row_pipe *p);
/* A part begins. */
void lp_row_pipe_part(struct lp_row_pipe *p);
/* What of the row's line the stages need; p NULL: all of it. */
lp_rc lp_row_pipe_excerpt(struct lp_row_pipe *p, struct lp_scan *s, struct lp_str *ret, struct lp_err *err) LP_MUST_USE;
/* line: the row's, which its metadata, read here, leaves as it is; *meta_bytes (may be NULL) grows by that. */
lp_rc lp_row_pipe_run(struct lp_exec *x, struct lp_row_pipe *p, struct lp_scan *s, int64_t time_ns, uint32_t stream,
                      struct lp_str line, uint64_t *meta_bytes, struct lp_pipe_out *ret, struct lp_err *err) LP_MUST_USE;

/* --- exec_labels.c --- */

/* {a="b", c="d"}: the text that label sets are sorted and compared by. */
void lp_labels_text(const struct lp_pair *labels, size_t n, struct lp_buf *out);
/*
 * How a metadata name is spelled among labels: characters that a label name cannot have become '_', a leading digit gets one in
 * front, and a clash with a label gets the suffix "_extracted". False when ar is spent.
 */
bool lp_labels_meta_name(struct lp_arena *ar, const struct lp_pair *labels, size_t nlabels, struct lp_str name,
                         struct lp_str *ret);
/* Labels and metadata as one set by rising name, its values borrowed; of equal names the first stays. False when ar is spent. */
bool lp_labels_merge(struct lp_arena *ar, const struct lp_pair *labels, size_t nlabels, const struct lp_pair *meta, size_t nmeta,
                     const struct lp_pair **ret, size_t *ret_n);

/* Sets of labels that differ, in the order they came in. One thread at a time. */
struct lp_labels {
    struct lp_str text;
    const struct lp_pair *v;
    size_t n;
};
struct lp_label_index {
    struct lp_arena *ar; /* the caller's: holds what the sets consist of */
    struct lp_labels *v;
    size_t n, cap;
    struct lp_buf text;
    uint32_t *buckets; /* over the texts: index + 1 */
    size_t nbuckets;
};
#define LP_LABELS_NONE UINT32_MAX
void lp_label_index_init(struct lp_label_index *ix, struct lp_arena *ar);
/* The sets stay as long as the arena. */
void lp_label_index_clear(struct lp_label_index *ix);
/* The index of the set with these labels, which is copied when it is new; LP_LABELS_NONE when the arena is spent. */
uint32_t lp_label_index_add(struct lp_label_index *ix, const struct lp_pair *labels, size_t n);

/* --- exec_round.c: the parts of a view, one by one, on the calling thread and on free workers of the pool --- */

struct lp_round;

struct lp_worker {
    struct lp_round *round;
    struct lp_exec *x;
    struct lp_codec *codec;
    uint32_t part; /* the one to scan: index into the view's parts */
    struct lp_search_stats stats;
    void *own;
};

/* The functions get `arg`; what it points to they share, and guard with the round's lock. */
struct lp_round_task {
    struct lp_exec *x;
    void *arg;
    size_t own_bytes;                                                          /* of a worker's memory `own`, zeroed */
    bool (*wants)(void *arg, const struct lp_part *p);                         /* is the part worth scanning? With the lock held */
    lp_rc (*scan)(void *arg, struct lp_worker *w, struct lp_err *err);         /* one part; errors that mean damage are counted */
    void (*end)(void *own);                                                    /* frees what `own` holds; NULL: nothing */
};

/* The first error that is not damage ends the round. */
lp_rc lp_round_run(const struct lp_round_task *task, struct lp_err *err) LP_MUST_USE;
void lp_round_lock(struct lp_round *r);
void lp_round_unlock(struct lp_round *r);

/* --- exec_scan.c --- */

/* The best hits with from <= time < to behind `after` (may be NULL). `best` is initialised; on success it is finished. */
lp_rc lp_exec_scan(struct lp_exec *x, int64_t from_ns, int64_t to_ns, const struct lp_key *after, struct lp_best *best,
                   struct lp_err *err) LP_MUST_USE;

/* --- exec_context.c --- */

/* Hits, and the rows around them. */
struct lp_around {
    struct lp_hit *v;       /* in query direction, each row once */
    enum lp_context *marks; /* of each; NULL: all are hits */
    size_t n;
};
/* The rows around hits (in query direction), as the query wants them. more: rows behind the last hit may match. To be cleared in any case. */
lp_rc lp_exec_context(struct lp_exec *x, const struct lp_hit *hits, size_t n, bool more, struct lp_around *ret,
                      struct lp_err *err) LP_MUST_USE;
void lp_around_clear(struct lp_around *a);

/* --- exec_fetch.c --- */

/* Fills ret->rows with the lines and metadata of the rows, in their order, up to page_bytes; *ret_used: how many rows that took. */
lp_rc lp_exec_fetch(struct lp_exec *x, const struct lp_around *rows, struct lp_found *ret, size_t *ret_used,
                    struct lp_err *err) LP_MUST_USE;

/* --- exec_place.c --- */

/* A key such that exactly the rows behind the place, in query direction, are behind the key in this view. */
lp_rc lp_exec_place_key(struct lp_exec *x, const struct lp_place *place, struct lp_key *ret, struct lp_err *err) LP_MUST_USE;
lp_rc lp_exec_hit_place(struct lp_exec *x, const struct lp_hit *h, struct lp_place *ret, struct lp_err *err) LP_MUST_USE;

#endif
