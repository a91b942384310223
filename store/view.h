/*
 * view.h - a consistent view of the store for one query, without a lock held while it is scanned.
 *
 * lp_view_open takes references to the live heads first, then begins a read transaction, reads the last sealed generation G
 * from it and drops the heads <= G: whatever was acknowledged before is in exactly one of the two. lp_view_parts pins
 * the segments it needs and ends the transaction. A view and what comes from it belong to one query; its parts may be
 * scanned by several threads at once, each with its own lp_scan.
 *
 * What it costs goes by what is touched: streams are selected as sets of ids (select.h), a group that is selected wholly, or for a good part,
 * is its blocks, and a stream's labels are read when somebody asks for them.
 *
 * What has expired by retention (cutoffs.h) is not there for a view: not for scans, counts, labels, or series.
 *
 * Rows of one stream have a total order that never changes: (time, generation, arrival). Streams are identified by the
 * 128-bit hash of their key, which is the same in head and segment.
 */
#ifndef LP_STORE_VIEW_H
#define LP_STORE_VIEW_H

#include "store/match.h"
#include "store/select.h"
#include "store/store.h"

struct lp_view;

/* A selected stream. Lives as long as the view. */
struct lp_vstream {
    struct lp_hash128 hash;
    struct lp_stream_key key;
    uint64_t id;    /* in the catalog; 0: of the head */
    uint64_t group; /* 0 with id 0 */
};

lp_rc lp_view_open(struct lp_store *st, struct lp_str tenant, struct lp_view **ret, struct lp_err *err) LP_MUST_USE;
void lp_view_free(struct lp_view *v);

/* Chooses the streams; once per view, before lp_view_parts. budget: most bytes for the labels of streams that are looked at. */
lp_rc lp_view_select(struct lp_view *v, const struct lp_selector *sel, size_t budget, struct lp_err *err) LP_MUST_USE;
/*
 * Before lp_view_parts: only stored rows are wanted, of segments that hold rows of the generations [first, last]. The head has no parts then, and
 * segments are found by their generations, whatever their times.
 */
void lp_view_generations(struct lp_view *v, uint64_t first, uint64_t last);
/* What the view has of the head, generations up to *ret_sealed apart, which it sees in segments. Lives as long as the view. */
const struct lp_head_view *lp_view_head(const struct lp_view *v, uint64_t *ret_sealed);
/*
 * How many were selected: they go by index. Those of segments come first, by rising id; then those of the head. A stream that is in
 * both has two indexes; what it is to a query goes by its hash and labels.
 */
uint32_t lp_view_nstreams(const struct lp_view *v);
/* The stream with this index, read when it is first asked for. Any thread. LP_ERR_LIMIT: the budget is spent. */
lp_rc lp_view_stream(struct lp_view *v, uint32_t index, const struct lp_vstream **ret, struct lp_err *err) LP_MUST_USE;
/* The indexes of a selected stream in segments and in the head; LP_NO_STREAM: it is not there. */
#define LP_NO_STREAM UINT32_MAX
lp_rc lp_view_find(struct lp_view *v, struct lp_hash128 hash, uint32_t ret[2], struct lp_err *err) LP_MUST_USE;

/* Rows of one stream inside a part. */
struct lp_part_run {
    uint32_t stream; /* index into the view's streams */
    uint32_t first, rows;
    int64_t min_ns, max_ns;
    int64_t from_ns; /* rows before it have expired; LP_TIME_MIN: none */
};

/* A piece of work: the wanted rows of one block, or of some batches of a head generation. */
struct lp_part {
    int64_t min_ns, max_ns; /* of the wanted runs */
    uint64_t rows;          /* of the wanted runs, in or out of the time range */
    uint64_t bytes;         /* of lines, roughly */
    uint64_t generation;
    uint32_t number; /* order inside the generation */
    /* block */
    struct lp_seg *seg; /* NULL: head */
    uint32_t seg_number; /* among the view's segments */
    uint32_t block;
    bool cut; /* some of its rows have expired (retention): which, only scanning tells. Its times and rows are those of all */
    bool own; /* the block says itself which rows are whose: all of it is looked at, and rows of other streams are left out */
    int64_t from_ns; /* own: rows before it have expired */
    const struct lp_part_run *runs; /* unless it does */
    uint32_t nruns;
    /* head */
    const struct lp_head_view_gen *gen;
    struct lp_batch *batch;
    size_t nbatches, first_batch;
};

/*
 * Fills the parts that may hold rows of the selected streams with from <= time < to (to LP_TIME_MAX: no end), and ends
 * the transaction. A damaged segment is left out and counted in *ret_damaged (its error in err, rc LP_OK).
 * runs: the stream tables say which rows are whose, of every part.
 */
lp_rc lp_view_parts(struct lp_view *v, int64_t from_ns, int64_t to_ns, bool runs, const struct lp_part **ret, size_t *ret_n,
                    size_t *ret_damaged, struct lp_err *err) LP_MUST_USE;
/* The part cut down to the rows of a stream, as far as is told without reading it. *ret_any false: it has none. After lp_view_parts, one thread. */
lp_rc lp_view_part_of(struct lp_view *v, const struct lp_part *part, uint32_t stream, struct lp_part *ret, bool *ret_any,
                      struct lp_err *err) LP_MUST_USE;

/*
 * From when to when the selected streams have rows in [from, to), as far as stream tables and batches tell: bounds, of several pieces of a
 * stream. After lp_view_parts of that range with `runs`.
 */
typedef void (*lp_view_times_fn)(void *arg, uint32_t stream, int64_t min_ns, int64_t max_ns);
void lp_view_times(const struct lp_view *v, int64_t from_ns, int64_t to_ns, lp_view_times_fn fn, void *arg);

/* Calls fn for each selected stream of the head with the metadata of one of its rows (NULL: it has none), which lives as long as the view. */
typedef void (*lp_view_meta_fn)(void *arg, uint32_t stream, const uint8_t *meta);
void lp_view_head_metas(const struct lp_view *v, lp_view_meta_fn fn, void *arg);

/* Makes a plan ready for the view's segments. After lp_view_parts. */
void lp_view_bind(const struct lp_view *v, struct lp_match_plan *plan);

/* --- which streams have rows in [from, to), as far as stream tables tell (smallest and largest time of runs): for labels and series.
 * In place of lp_view_parts. Damaged segments are left out and counted. --- */

/* Calls fn for each selected stream that has, by rising index; false from fn ends it. */
typedef bool (*lp_view_stream_fn)(void *arg, uint32_t stream);
lp_rc lp_view_seen(struct lp_view *v, int64_t from_ns, int64_t to_ns, lp_view_stream_fn fn, void *arg, size_t *ret_damaged,
                   struct lp_err *err) LP_MUST_USE;
/* Calls fn for each label's name, or each value of the label `name`, that such a stream has, in any order; a value may come more than once. */
typedef bool (*lp_view_text_fn)(void *arg, struct lp_str text);
lp_rc lp_view_names(struct lp_view *v, int64_t from_ns, int64_t to_ns, lp_view_text_fn fn, void *arg, size_t *ret_damaged,
                    struct lp_err *err) LP_MUST_USE;
lp_rc lp_view_values(struct lp_view *v, struct lp_str name, int64_t from_ns, int64_t to_ns, lp_view_text_fn fn, void *arg,
                     size_t *ret_damaged, struct lp_err *err) LP_MUST_USE;

/* --- scanning one part --- */

struct lp_scan_row {
    int64_t time_ns;
    uint32_t stream;     /* index into the view's streams */
    uint64_t generation; /* arrival among equal times of a stream: (generation, arrival) */
    uint64_t arrival;
    bool sure; /* the plan's predicate is exact and holds: the line passes, nobody need look at it */
};

struct lp_scan;

/* codec: of the calling thread. Reads columns when they are asked for; lp_scan_start comes before the first row. */
lp_rc lp_scan_open(const struct lp_view *v, const struct lp_part *part, struct lp_codec *codec, int64_t from_ns,
                   int64_t to_ns, bool backward, struct lp_scan **ret, struct lp_err *err) LP_MUST_USE;
/* As lp_scan_open for a part of a segment, over its block that the caller opened (lp_seg_block) and keeps: so that what was decoded serves again. */
lp_rc lp_scan_open_on(const struct lp_view *v, const struct lp_part *part, struct lp_block *block, struct lp_codec *codec,
                      int64_t from_ns, int64_t to_ns, bool backward, struct lp_scan **ret, struct lp_err *err) LP_MUST_USE;
/* Makes the row that had this arrival in an earlier scan of the same part the one that lp_scan_line and its sisters speak of. */
void lp_scan_seek(struct lp_scan *s, uint64_t arrival);
/* The next row with from <= time < to; false at the end. Rows come run by run, in time order (or backward) inside a run. */
bool lp_scan_next(struct lp_scan *s, struct lp_scan_row *ret);
/*
 * Before the first lp_scan_next or lp_scan_next_span. With a plan, rows of a segment that its predicate excludes are passed over; it must be bound
 * (lp_view_bind) and outlive the scan. Of the head rows may be given that do not pass. NULL: no predicate. stop: lp_block_match. Reads what is needed to know the
 * rows: nothing of a block that has none.
 */
lp_rc lp_scan_start(struct lp_scan *s, const struct lp_match_plan *plan, bool (*stop)(void *arg), void *arg,
                    struct lp_err *err) LP_MUST_USE;
/* Rows of one stream that follow each other, with rising times. Of a part of a segment, forward, without a plan. False at the end. */
struct lp_scan_span {
    uint32_t stream, n;
    const int64_t *times; /* the block's */
};
bool lp_scan_next_span(struct lp_scan *s, struct lp_scan_span *ret);
/* How many rows were passed over so far, and how many bytes of the block were decoded by this scan; in the head, bytes of lines passed over. */
void lp_scan_stats(const struct lp_scan *s, uint64_t *ret_passed_rows, uint64_t *ret_bytes);
/* Narrows the range while scanning: rows outside are skipped, and the rest of a run that cannot hold any. */
void lp_scan_narrow(struct lp_scan *s, int64_t from_ns, int64_t to_ns);
/* Line and metadata of the row that lp_scan_next gave last, or that was sought; valid until the next lp_scan_* call. */
lp_rc lp_scan_line(struct lp_scan *s, struct lp_str *ret, struct lp_err *err) LP_MUST_USE;
lp_rc lp_scan_meta(struct lp_scan *s, const struct lp_pair **ret, size_t *ret_n, struct lp_err *err) LP_MUST_USE;
/* Of a row of a segment whose line is in a table (block.h): that table, the same pointer for all of its rows while the scan is open; else NULL. And an excerpt. */
lp_rc lp_scan_table(struct lp_scan *s, const struct lp_table **ret, struct lp_err *err) LP_MUST_USE;
lp_rc lp_scan_excerpt(struct lp_scan *s, const struct lp_piece *pieces, char *out, size_t *ret_bytes, struct lp_err *err) LP_MUST_USE;
/* The ticket of the row that lp_scan_next gave last, as an index into those of its segment; UINT32_MAX: it is not told any more. Of a part of a segment. */
lp_rc lp_scan_ticket(struct lp_scan *s, uint32_t *ret, struct lp_err *err) LP_MUST_USE;
/* Bytes of the row's line without decoding lines. */
lp_rc lp_scan_line_bytes(struct lp_scan *s, uint32_t *ret, struct lp_err *err) LP_MUST_USE;
void lp_scan_close(struct lp_scan *s);

#endif
