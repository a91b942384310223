/*
 * exec.h - evaluates log queries: the wanted rows of the store in their total order, newest or oldest first.
 *
 * Order. Rows are ordered by (time, stream hash, generation, arrival); backward is the exact reverse. The order is total,
 * and the same whether a row is in the head or in a segment, so an answer does not depend on seals or threads.
 *
 * Line filters that come first are searched for in compressed blocks (match.h); the stages behind them are run row by row (pipe.h), on the rows that are left:
 * while scanning, where they leave rows out, and on those that were found.
 *
 * Threads: a search runs on the calling thread and on those workers of its pool that are free; it never waits for a
 * worker that has not begun, so searches that run on the pool themselves cannot block each other. A result belongs to one
 * thread at a time.
 */
#ifndef LP_QUERY_EXEC_H
#define LP_QUERY_EXEC_H

#include "base/thread.h"
#include "query/ast.h"
#include "query/pipe.h"
#include "store/service.h"
#include "store/view.h"

struct lp_matchers;

/* Decoded blocks that are kept from search to search: for pages of one export. At most one search at a time uses it. */
struct lp_block_cache;
struct lp_block_cache *lp_block_cache_new(size_t budget_bytes);
/* NULL is fine. */
void lp_block_cache_free(struct lp_block_cache *c);

/*
 * A row's place, which stays the same when the row goes from the head into a segment: its time, its stream, and how many
 * rows of that stream and time came before it.
 */
struct lp_place {
    int64_t time_ns;
    struct lp_hash128 stream;
    uint64_t ordinal;
};
#define LP_PLACE_TEXT 96
/* The place as text that can stand in a URL; returns its length. */
size_t lp_place_text(const struct lp_place *p, char out[LP_PLACE_TEXT]);
bool lp_place_parse(struct lp_str text, struct lp_place *ret);

struct lp_search {
    struct lp_store *store;
    struct lp_str tenant;
    const struct lp_log_query *log;
    const struct lp_select_filter *filter; /* which of its streams; NULL: all. They are read for it, so its matchers should leave few */
    int64_t from_ns, to_ns; /* [from, to); LP_TIME_MAX: no end */
    size_t limit;           /* most rows, > 0 */
    bool backward;
    int64_t interval_ns;         /* > 0: after a row, the next one is at least this far away; not with `after` */
    const struct lp_place *after; /* only rows behind this place, in query direction; NULL: all */
    struct lp_block_cache *cache; /* NULL: one for this search */
    struct lp_pool *pool;         /* free workers help; may be NULL */
    int64_t deadline_ns;          /* lp_mono_ns clock */
    int64_t grace_ns;             /* > 0: a search that runs into deadline_ns or scan_bytes answers with what it found; its lines may take so much longer */
    const _Atomic bool *cancel;   /* may be NULL */
    struct lp_arena_share *share; /* memory of all queries together; NULL: no limit */
    size_t budget_bytes;          /* memory for streams, and for the rows found: over it LP_ERR_LIMIT */
    uint64_t scan_bytes;          /* > 0: most bytes that the search may decode or read: over it LP_ERR_LIMIT */
    size_t context_before, context_after; /* rows of the same stream around each row found, older and newer, from the range alone: they come with it, as they are stored.
                                           * `limit` is without them; not with interval_ns or page_bytes */
    size_t page_bytes;            /* > 0: the result ends early once its lines hold so many bytes (but has a row) */
    bool want_labels;             /* rows come with all of their labels, as the stages leave them; else only where there are stages */
    uint64_t first_generation, last_generation; /* last > 0: stored rows alone, of segments that hold rows of these generations */
    bool want_last;               /* the place of the last row is wanted, to go on behind it */
    bool want_first;              /* and that of the first */
};

/* Why a row is there. A row that is both is LP_CONTEXT_AFTER. */
enum lp_context {
    LP_CONTEXT_NONE, /* it was found */
    LP_CONTEXT_BEFORE, /* it is older than a row found */
    LP_CONTEXT_AFTER,
};
/* Most context_before and context_after that are meant to be asked for. */
#define LP_CONTEXT_MAX 1000

struct lp_found_row {
    int64_t time_ns;
    enum lp_context context;
    uint32_t stream; /* index into the result's streams */
    uint32_t nmeta;
    struct lp_str line;         /* as the stages leave it; of context, as stored */
    const struct lp_pair *meta; /* as stored, by rising name */
    const struct lp_label *labels; /* by rising name; NULL: not wanted */
    size_t nlabels;
};

/*
 * What the search looked at. Lines without a filter count when their time was looked at, or that of the first and last of them in a
 * stream table; their bytes when they were fetched.
 */
struct lp_search_stats {
    uint64_t head_lines, head_bytes;     /* in memory */
    uint64_t stored_lines, stored_bytes; /* in segments, decoded */
    uint64_t passed_lines;               /* lines that passed the filters */
    uint64_t meta_bytes;
    uint64_t blocks, head_parts; /* scanned */
    uint64_t all_blocks;         /* in question by selector and range */
    uint64_t streams;            /* selected: in segments, and in the head */
    uint64_t damaged; /* parts that could not be read, and were left out */
    int64_t duration_ns;
};

struct lp_found {
    struct lp_found_row *rows; /* in query direction */
    size_t n;
    size_t used;          /* rows it took: those found, also where their lines could not be read; without context */
    bool more;            /* the result was cut by limit or page_bytes: there may be more rows behind the last */
    struct lp_place last; /* of the last row found; set if used > 0 and want_last */
    struct lp_place first; /* set if used > 0 and want_first */
    const struct lp_vstream **streams; /* those of the rows; a stream that is in the head and in segments may come twice */
    size_t nstreams;
    struct lp_search_stats stats;
    char damage[LP_ERR_TEXT_BYTES]; /* the first damaged place; empty: none */
    char cut[LP_ERR_TEXT_BYTES];    /* what ended the search early (grace_ns): rows may be missing anywhere, and what is around them; empty: nothing did */
    /* owned */
    struct lp_view *view;
    struct lp_arena ar;
};

/*
 * Runs a search. On success *ret holds the rows and pins what their streams live in until lp_found_clear.
 * LP_ERR_UNSUPPORTED, LP_ERR_LIMIT (budget), LP_ERR_TIMEOUT, LP_ERR_CANCELED, LP_ERR_IO, LP_ERR_PARSE. Damage is not an error:
 * it is counted, and the rest is answered.
 */
lp_rc lp_search(const struct lp_search *q, struct lp_found *ret, struct lp_err *err) LP_MUST_USE;
void lp_found_clear(struct lp_found *f);
/* The rows in the other direction. */
void lp_found_reverse(struct lp_found *f);

/* --- the streams of a range --- */

struct lp_streams_query {
    struct lp_store *store;
    struct lp_str tenant;
    const struct lp_log_query *const *selectors; /* streams that any of them selects; none: all but the quarantine */
    size_t nselectors;
    int64_t from_ns, to_ns;
    struct lp_arena_share *share; /* memory of all queries together; NULL: no limit */
    size_t budget_bytes;
    int64_t deadline_ns;
    const _Atomic bool *cancel; /* may be NULL */
};

/* A set of labels (lp_stream_labels) that streams in the range have, instances merged; by rising label text. */
struct lp_label_set {
    const struct lp_pair *labels;
    size_t n;
};
struct lp_label_sets {
    struct lp_label_set *v;
    size_t n;
    uint64_t damaged;
    struct lp_arena ar; /* owned */
};
lp_rc lp_streams_find(const struct lp_streams_query *q, struct lp_label_sets *ret, struct lp_err *err) LP_MUST_USE;
void lp_label_sets_clear(struct lp_label_sets *s);

/* Names of labels, or values of one: sorted, each once. */
struct lp_names {
    struct lp_str *v;
    size_t n;
    uint64_t damaged;
    struct lp_arena ar; /* owned */
};
/* name NULL: the names of the labels; otherwise the values of that label. */
lp_rc lp_streams_names(const struct lp_streams_query *q, const struct lp_str *name, struct lp_names *ret, struct lp_err *err) LP_MUST_USE;
void lp_names_clear(struct lp_names *n);

/* Exact counts of the rows in the range; `chunks` are blocks, and pieces of the head. Decodes only times and lengths, and only of blocks that are partly wanted. */
struct lp_stream_counts {
    uint64_t streams, chunks, bytes, entries;
    uint64_t damaged;
};
lp_rc lp_streams_count(const struct lp_streams_query *q, struct lp_stream_counts *ret, struct lp_err *err) LP_MUST_USE;

#endif
