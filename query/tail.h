/*
 * tail.h - following what arrives: the rows of a query in the order in which they became visible, from now on or behind a cursor.
 *
 * Order. What arrives is a row of batches, each a ticket of a source (a partition of a log); tickets of a source come in the order of its
 * positions, generations one after the other. Rows of one ticket come by (time, stream hash, place in the batch), which is the same whether they
 * are read from the head or from a segment. So every row has a place that never changes, and a cursor is such a place: it says of each source up to
 * which position all is behind it, and of at most one ticket up to which row. What a time says does not matter: late lines come, too.
 *
 * A row is read from the head while it is there; where a tail has fallen so far behind that it was sealed (or where a client comes back with a
 * cursor), from segments, which say of every row which ticket it came with. Merging segments forgets that. What cannot be told any more is told as
 * such: lp_tail_missed().
 *
 * One thread at a time has a tail. It holds references on generations of the head between lp_tail_look and lp_tail_rest: who does not go on soon
 * calls the latter, or memory that the head counts as free stays taken.
 */
#ifndef LP_QUERY_TAIL_H
#define LP_QUERY_TAIL_H

#include "query/exec.h"

/* --- cursors (tail_cursor.c) --- */

/* A row inside a ticket. */
struct lp_tail_row {
    uint64_t first; /* the ticket's first position; in a merged segment the segment's id */
    int64_t time_ns;
    struct lp_hash128 stream;
    uint64_t ordinal; /* among the rows found of that ticket, time and stream; from 1. 0: before all rows of the ticket */
};

struct lp_tail_source {
    uint64_t source;     /* lp_source_hash; LP_TAIL_MERGED: a merged segment, which does not tell sources */
    uint64_t next;       /* what comes before this position is behind us */
    uint64_t generation; /* of the ticket before it, or with `inside` of that; UINT64_MAX: not known */
    bool inside;         /* so is `row`, and what comes before it in its ticket */
    struct lp_tail_row row;
};
#define LP_TAIL_MERGED 0

struct lp_tail_cursor {
    uint64_t sealed;          /* all generations up to this one are behind us; they are in segments, so that their numbers stay */
    struct lp_tail_source *v; /* of later generations */
    size_t n, cap;
};

void lp_tail_cursor_clear(struct lp_tail_cursor *c);
/* Text that can stand in a URL as it is. store: of which store it is. */
void lp_tail_cursor_text(const struct lp_tail_cursor *c, const struct lp_uuid *store, struct lp_buf *out);
/* LP_ERR_PARSE: no cursor, or of another store. ret is cleared by the caller whatever comes out. */
lp_rc lp_tail_cursor_parse(struct lp_str text, const struct lp_uuid *store, struct lp_tail_cursor *ret, struct lp_err *err) LP_MUST_USE;
/* NULL: nothing is known of the source. */
const struct lp_tail_source *lp_tail_cursor_of(const struct lp_tail_cursor *c, uint64_t source);
/* The source is behind us up to this position, which ended a ticket of the generation. */
void lp_tail_cursor_put(struct lp_tail_cursor *c, uint64_t source, uint64_t next, uint64_t generation);
void lp_tail_cursor_inside(struct lp_tail_cursor *c, uint64_t source, const struct lp_tail_row *row, uint64_t generation);
/* It is in no merged segment any more. */
void lp_tail_cursor_leave(struct lp_tail_cursor *c);
/* Generations up to this one are behind us, and sealed. */
void lp_tail_cursor_seal(struct lp_tail_cursor *c, uint64_t generation);

/* --- tails --- */

struct lp_tail_config {
    struct lp_store *store;
    struct lp_str tenant, query; /* LogQL, a query for lines; both are copied */
    const struct lp_select_filter *filter; /* which of its streams; NULL: all */
    struct lp_str hint;          /* bytes that the keys of all wanted streams hold, by which others are passed over quickly; empty: not known. Borrowed */
    bool bare;                   /* rows come with their streams (lp_found.streams), not with labels */
    struct lp_pool *pool;        /* free workers help with lines of the past; may be NULL */
    struct lp_arena_share *share;
    size_t budget_bytes;
    const _Atomic bool *cancel; /* may be NULL */
};

struct lp_tail;

/* LP_ERR_PARSE: the query, or one that is not for lines; LP_ERR_LIMIT. It has no place yet: one of the next three follows. */
lp_rc lp_tail_new(const struct lp_tail_config *cfg, struct lp_tail **ret, struct lp_err *err) LP_MUST_USE;
/* In place of cfg->cancel; NULL: nobody cancels. When lp_tail_next has told that there is no more. */
void lp_tail_cancel_on(struct lp_tail *t, const _Atomic bool *cancel);
/* NULL is fine. */
void lp_tail_free(struct lp_tail *t);
/*
 * From now on, with what there is: the newest `limit` rows from from_ns on, oldest first, of which each is either in *ret or will come, never both.
 * limit 0: none. The caller clears *ret (lp_found_clear).
 */
lp_rc lp_tail_begin(struct lp_tail *t, int64_t from_ns, size_t limit, int64_t deadline_ns, struct lp_found *ret, struct lp_err *err) LP_MUST_USE;
/* Behind a cursor. LP_ERR_PARSE: it is none, or not of this store. */
lp_rc lp_tail_resume(struct lp_tail *t, struct lp_str cursor, struct lp_err *err) LP_MUST_USE;

/* Takes note of what has become visible. */
void lp_tail_look(struct lp_tail *t);
/* The same of what is visible in a view (of a search that is being made) and no more. False, and nothing is noted: first the rest of what was noted before is to be read. */
bool lp_tail_look_at(struct lp_tail *t, const struct lp_view *v);
/*
 * The next rows of what was noted, in order of arrival, with their labels: up to limit, and up to page_bytes of lines (but one). ret->n == 0: there
 * is no more until the next look. The caller clears *ret. After an error the tail is where it was or further; it may be asked again.
 */
lp_rc lp_tail_next(struct lp_tail *t, size_t limit, size_t page_bytes, struct lp_found *ret, struct lp_err *err) LP_MUST_USE;
/* Lets go of the head; the place stays. */
void lp_tail_rest(struct lp_tail *t);
/* The place behind the rows given last. */
void lp_tail_place(const struct lp_tail *t, struct lp_buf *out);
/* What may be missing or come twice since the last call, as a sentence; NULL: nothing. Valid until the next call of lp_tail_next. */
const char *lp_tail_missed(struct lp_tail *t);
/*
 * Notes, in place of lp_tail_look, just as much as `other` has read: with all of that read both are at the same place. False: t is too far behind.
 * other has nothing left of what it noted.
 */
bool lp_tail_follow(struct lp_tail *t, const struct lp_tail *other);

#endif
