/*
 * record.h - records on their way in: a batch of decoded rows with the streams they belong to.
 *
 * A batch owns one arena that holds everything in it. Decoders fill it (one thread), then it is immutable and moves into
 * the head as a whole: searches read it without locks, the seal encodes from it, and it is freed in one go.
 *
 * Stream key and group key are defined in FORMAT.md section 5. Label rules: empty values are dropped; of equal names the
 * last counts; names over 1 KiB, values over 2 KiB and labels beyond 64 become structured metadata of each row.
 */
#ifndef LP_STORE_RECORD_H
#define LP_STORE_RECORD_H

#include "base/arena.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/hash.h"
#include "base/buf.h"

#define LP_LABELS_MAX 64
#define LP_LABEL_NAME_BYTES_MAX 1024
#define LP_LABEL_VALUE_BYTES_MAX 2048
#define LP_RECENT_STREAMS 32
#define LP_META_PAIRS_MAX 1024 /* more pairs of one row are refused */

struct lp_source;

/* Where the sender tells it: which pod, and which run of the container. Not labels. */
struct lp_instance {
    struct lp_str uid, incarnation;
};

struct lp_row {
    int64_t time_ns;
    const char *line;
    const uint8_t *meta; /* NULL, or u32 byte count followed by that many bytes: lp_meta_next() walks them */
    uint32_t line_bytes;
    uint32_t stream; /* index into the batch's streams */
};

struct lp_batch_stream {
    struct lp_str key; /* canonical stream key */
    struct lp_hash128 hash;
    const struct lp_pair *extra; /* labels over a limit: metadata of each row */
    uint32_t nextra;
    uint32_t rows;
    int64_t min_ns, max_ns;
};

/* Identity of something that is stored once (ingest/ids.h). */
struct lp_batch_id {
    int64_t received_ns;
    struct lp_hash128 identity;
};

/*
 * A stretch of the arena in which the lines of rows [first_row, end_row) lie in row order, each whole, with other bytes between them: one
 * scan over it searches them all. What is found between lines is not theirs: lp_batch_row_at() tells.
 */
struct lp_line_span {
    const char *p;
    size_t n;
    uint32_t first_row, end_row;
};

struct lp_batch {
    struct lp_arena ar;
    struct lp_str tenant;
    struct lp_batch_stream *streams;
    size_t nstreams, streams_cap;
    struct lp_row *rows;
    size_t nrows, rows_cap, rows_expected;
    uint64_t line_bytes, meta_bytes;
    uint32_t *buckets; /* hash table over streams: index + 1, 0 = free */
    size_t nbuckets;
    struct lp_recent_stream {
        struct lp_hash128 hash; /* of tenant, labels and instance as they were given */
        uint32_t stream;        /* + 1; 0: free */
    } recent[LP_RECENT_STREAMS];
    size_t untimed; /* rows that brought no time of their own */
    size_t quarantined;
    size_t demoted;
    int64_t received_ns;
    struct lp_line_span *spans; /* by lp_batch_finish(): they cover all rows, in order, or there are none (look line by line) */
    size_t nspans;
    struct lp_batch_id *ids; /* stored with the generation, so that a retry is known: lp_batch_note_id() */
    size_t nids, ids_cap;
    uint64_t serial; /* no two batches, and no two tenants of one, have the same: what a decoder remembers of a batch */
    /* set by the head when the batch enters a generation */
    uint32_t *gen_streams; /* batch stream -> stream of the generation */
    uint32_t ticket;       /* index into the generation's tickets */
    const struct lp_source *source; /* the ticket's, and its positions */
    uint64_t first_position, next_position;
    struct lp_batch *next; /* in the generation */
    _Atomic bool dropped;  /* its partition was lost after it entered: no longer to be seen */
};

/* budget: most bytes of memory; expect: a guess of the decoded size. The tenant is copied. */
struct lp_batch *lp_batch_new(struct lp_str tenant, size_t budget, size_t expect);
void lp_batch_free(struct lp_batch *b);

/*
 * The stream with these labels (any order; slices are copied as needed) and instance; the same answer for the same
 * stream. LP_ERR_LIMIT when the arena is spent, LP_ERR_PARSE when no label with a value is left.
 */
lp_rc lp_batch_stream(struct lp_batch *b, const struct lp_pair *labels, size_t n, const struct lp_instance *inst,
                      uint32_t *ret_stream, struct lp_err *err) LP_MUST_USE;

/*
 * Adds a row. time_ns LP_TIME_NONE: received_ns of the batch is taken, and it counts as untimed. The line and metadata
 * are copied, unless `borrow` is set: then the line must live in the batch's arena already. Metadata: any order, of equal names the last counts.
 */
lp_rc lp_batch_add(struct lp_batch *b, uint32_t stream, int64_t time_ns, struct lp_str line, bool borrow,
                   const struct lp_pair *meta, size_t nmeta, struct lp_err *err) LP_MUST_USE;

/* Metadata in the batch's arena as rows of the stream hold it, for any number of them; NULL in *ret when there is none. */
lp_rc lp_batch_meta(struct lp_batch *b, uint32_t stream, const struct lp_pair *meta, size_t nmeta, const uint8_t **ret,
                    struct lp_err *err) LP_MUST_USE;
/* Adds a row whose line lives in the batch's arena, with metadata from lp_batch_meta() of its stream. */
lp_rc lp_batch_add_row(struct lp_batch *b, uint32_t stream, int64_t time_ns, struct lp_str line, const uint8_t *meta,
                       struct lp_err *err) LP_MUST_USE;

/* Notes an identity that the batch is stored under. False when the arena is spent. */
bool lp_batch_note_id(struct lp_batch *b, const struct lp_batch_id *id);

/* The tenant of the streams that are added from now on: a batch may hold messages of several. Copied. False when the arena is spent. */
bool lp_batch_set_tenant(struct lp_batch *b, struct lp_str tenant);

/* After the last row: gives back what the rows' array has too much, and finds the spans. */
void lp_batch_finish(struct lp_batch *b);

/* The row of the span whose line holds all of the n bytes at `at`, a place in the span; UINT32_MAX: no line does. n >= 1. */
uint32_t lp_batch_row_at(const struct lp_batch *b, const struct lp_line_span *span, const char *at, size_t n);

/* A record that could not be decoded: stream {__quarantine__="SOURCE"}, the raw bytes as the line, reason and place as metadata. */
lp_rc lp_batch_quarantine(struct lp_batch *b, struct lp_str source, struct lp_str raw, struct lp_str reason,
                          struct lp_str place, struct lp_err *err) LP_MUST_USE;

/* 128-bit hash of all rows with their streams, in order: the content part of the identity. */
struct lp_hash128 lp_batch_content_hash(const struct lp_batch *b);
/* What the batch takes from the head's budget: its memory plus what the generation adds for each stream and row. */
size_t lp_batch_room(const struct lp_batch *b);
/* The same bound before decoding: bytes of input that hold `records` records. */
size_t lp_batch_room_bound(size_t input_bytes, size_t records);

/* Pairs, sorted by name without repeats, as rows point to them; NULL when the arena is spent. */
const uint8_t *lp_meta_write(struct lp_arena *ar, const struct lp_pair *pairs, size_t n);
/* Walks metadata pairs: *at is NULL to begin; false at the end. Pairs are sorted by name. */
struct lp_meta_iter {
    const uint8_t *p, *end;
};
struct lp_meta_iter lp_meta_begin(const uint8_t *meta);
bool lp_meta_next(struct lp_meta_iter *it, struct lp_pair *ret);

/* A parsed stream key; slices borrow from the key. */
struct lp_stream_key {
    struct lp_str tenant;
    struct lp_pair *labels; /* by rising name */
    size_t nlabels;
    struct lp_instance inst;
};
/* labels are allocated from ar. LP_ERR_CORRUPT on bad bytes. */
lp_rc lp_stream_key_parse(struct lp_str key, struct lp_arena *ar, struct lp_stream_key *ret, struct lp_err *err) LP_MUST_USE;
/* A copy in ar's memory; false when that is spent. */
bool lp_stream_key_copy(const struct lp_stream_key *k, struct lp_arena *ar, struct lp_stream_key *ret);
/* The value of a label, {NULL,0} when absent. */
struct lp_str lp_stream_key_label(const struct lp_stream_key *k, struct lp_str name);
/* Writes the group key of a stream into out. */
void lp_group_key(const struct lp_stream_key *k, struct lp_buf *out);

#define LP_QUARANTINE_LABEL "__quarantine__"

#endif
