/*
 * head.h - the records in memory that are not yet in a segment: generations of whole tickets, searchable while they fill.
 *
 * The way through: lp_head_room() reserves memory before anything reaches the log; lp_head_ticket(), called under the
 * log's own lock so that tickets of a source are given in log order, binds the batch to a generation; lp_head_end()
 * says how the ticket ended. Rows enter, and become visible, in ticket order per source: a ticket that ends early waits
 * for those before it. The seal takes the oldest generation once it is closed and all its tickets have ended.
 *
 * A generation is full at seal_bytes; a batch that does not fit closes it and enters the next one whole. The budget is three
 * generations and the largest batch; batches of up to a quarter of a generation wait once one and a half are taken. All functions are thread-safe (one lock, class LP_LOCK_HEAD, never held during I/O).
 */
#ifndef LP_STORE_HEAD_H
#define LP_STORE_HEAD_H

#include "store/record.h"

struct lp_head;
struct lp_ticket;

/* A partition of a log; lives as long as the head. */
struct lp_source {
    char *log; /* "journal", "kafka/CLUSTER/TOPIC" */
    uint32_t partition;
    uint32_t index; /* among the head's sources */
    uint64_t hash;  /* of log and partition: the same in every process (lp_source_hash) */
    struct lp_ticket *first, *last; /* tickets not yet entered, in order */
};

enum lp_outcome { LP_STORED, LP_DUPLICATE, LP_FAILED };

struct lp_gen_ticket {
    struct lp_source *source;
    uint64_t first, next; /* positions [first, next) */
    uint64_t epoch;
    uint64_t anchor; /* what stood at next - 1: FORMAT.md section 4, positions; 0: not known */
    bool dropped; /* its partition was lost: its rows are out, its position must not be stored */
};

struct lp_gen_stream {
    struct lp_str key; /* borrowed from a batch of the generation */
    struct lp_hash128 hash;
    uint32_t rows;
};

#define LP_GEN_STREAM_LEVELS 22 /* level k holds 1024 << k streams: places never move */

struct lp_gen {
    uint64_t id;
    _Atomic unsigned refs;
    struct lp_gen *next; /* newer */
    bool closed, sealing;
    int64_t opened_ns; /* lp_mono_ns when the first ticket came */
    size_t room;       /* bytes reserved for it */
    size_t fill;       /* bytes it holds, tickets under way by what they expect: full at seal_bytes */
    size_t pending;    /* tickets that have not ended and entered */
    struct lp_gen_ticket *tickets;
    size_t ntickets, tickets_cap;
    struct lp_batch *first, *last;
    size_t nbatches;
    uint64_t nrows, line_bytes;
    struct lp_gen_stream *levels[LP_GEN_STREAM_LEVELS];
    uint32_t nstreams;
    uint32_t *buckets;
    size_t nbuckets;
};

struct lp_head_config {
    size_t seal_bytes;
    size_t largest_bytes; /* the largest single batch, in head memory */
    uint64_t first_gen;   /* id of the first generation: last sealed + 1 */
};

struct lp_head *lp_head_new(const struct lp_head_config *cfg);
void lp_head_free(struct lp_head *h);

/* The source (log, partition), made when it is new. Valid until lp_head_free. */
struct lp_source *lp_head_source(struct lp_head *h, const char *log, uint32_t partition);

/*
 * Reserves memory, first come first served. LP_ERR_LIMIT: more than the whole budget, will never fit.
 * LP_ERR_BUSY: no room until deadline_ns (lp_mono_ns clock; 0 = do not wait). LP_ERR_SHUTDOWN after lp_head_stop.
 */
lp_rc lp_head_room(struct lp_head *h, size_t bytes, int64_t deadline_ns, struct lp_err *err) LP_MUST_USE;
/* Gives back a reservation that got no ticket. */
void lp_head_unroom(struct lp_head *h, size_t bytes);
/* Turns a reservation into a ticket for positions [first, next). Never waits, never fails. */
struct lp_ticket *lp_head_ticket(struct lp_head *h, struct lp_source *src, uint64_t first, uint64_t next,
                                 uint64_t epoch, size_t room);
/* The same in full. room may be a bound: `expect` is what the batch will probably take, by which generations are filled. */
struct lp_ticket_spec {
    struct lp_source *source;
    uint64_t first, next, epoch, anchor;
    size_t room, expect;
};
struct lp_ticket *lp_head_ticket_of(struct lp_head *h, const struct lp_ticket_spec *spec);
/*
 * Ends a ticket and frees it. LP_STORED takes ownership of batch (which may have no rows); otherwise batch is NULL. The batch's ids
 * are stored with the generation. A batch that is smaller than its reservation gives back the rest.
 */
void lp_head_end(struct lp_head *h, struct lp_ticket *t, enum lp_outcome outcome, struct lp_batch *batch);

/* Closes the open generation if it has tickets, so that the seal will take it. Returns the id of the newest closed one (0: none). */
uint64_t lp_head_close(struct lp_head *h);
/* Closes it when it was opened at or before opened_ns (lp_mono_ns clock). */
void lp_head_close_older(struct lp_head *h, int64_t opened_ns);
/* Takes the rows and positions of a lost partition out of every generation that is not being sealed. Returns tickets dropped. */
size_t lp_head_drop_source(struct lp_head *h, struct lp_source *src);

/* Where the source's rows in memory end (position behind the last ticket that was not dropped); -1 when there are none. */
int64_t lp_head_source_next(struct lp_head *h, struct lp_source *src);

/*
 * The oldest generation, once it is closed and all its tickets have ended; it is then `sealing` and the caller may read it without a lock.
 * LP_ERR_TIMEOUT at the deadline, LP_ERR_SHUTDOWN after lp_head_stop when nothing sealable is left.
 */
lp_rc lp_head_sealable(struct lp_head *h, int64_t deadline_ns, struct lp_gen **ret) LP_MUST_USE;
/* The generation is in a segment: it leaves the head and its memory is free for others (views may still hold it). */
void lp_head_drop(struct lp_head *h, struct lp_gen *g);
/* Ends all waiting for room (LP_ERR_SHUTDOWN); tickets already given can still end. */
void lp_head_stop(struct lp_head *h);

/*
 * Waits until batches became visible since the call that returned `seen` (0: the first), at most until deadline_ns (lp_mono_ns clock). What to
 * give next time. Those who let rows in do not wait for those who wait here.
 */
uint64_t lp_head_await(struct lp_head *h, uint64_t seen, int64_t deadline_ns);
/* What a source is known by where its name would be too long. */
uint64_t lp_source_hash(const char *log, uint32_t partition);

/* --- reading --- */
struct lp_head_view_gen {
    struct lp_gen *gen;
    size_t nbatches; /* the batches visible in this view: the first so many of the list */
    uint32_t nstreams;
};
struct lp_head_view {
    struct lp_head_view_gen *gens; /* oldest first */
    size_t ngens;
};
/* Takes references on everything that is visible now. */
void lp_head_view(struct lp_head *h, struct lp_head_view *ret);
void lp_head_view_clear(struct lp_head_view *v);
/* A generation beyond the view that it came from. */
struct lp_gen *lp_gen_ref(struct lp_gen *g);
void lp_gen_unref(struct lp_gen *g);
const struct lp_gen_stream *lp_gen_stream(const struct lp_gen *g, uint32_t i);
/* Fills those of rows[streams] that are NULL with the first row of the stream in the first nbatches batches, where there is one. */
void lp_gen_first_rows(const struct lp_gen *g, size_t nbatches, const struct lp_row **rows);

struct lp_head_stats {
    size_t bytes, budget, usual, generations;
    uint64_t rows, open_gen;
};
void lp_head_stats(struct lp_head *h, struct lp_head_stats *ret);

#endif
