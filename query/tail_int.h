/*
 * tail_int.h - inside tails: tail.c (places, what is visible), tail_head.c (rows of batches in memory), tail_stored.c (rows of segments).
 */
#ifndef LP_QUERY_TAIL_INT_H
#define LP_QUERY_TAIL_INT_H

#include "query/exec_int.h"
#include "query/tail.h"

/* A generation of the head, and how much of it was read. */
struct lp_tail_gen {
    struct lp_gen *gen; /* a reference */
    struct lp_batch *last; /* the last batch that was read; NULL: none */
    size_t done, visible;  /* batches */
    bool final;            /* it has left the head, and is in a segment */
    uint8_t *wanted;       /* of each stream: 0 not known, 1 no, 2 yes */
    size_t nwanted;
};

/* A row of the batch in hand that passes the line filters. */
struct lp_tail_hit {
    int64_t time_ns;
    uint32_t row;
};

struct lp_tail_stored;

struct lp_tail {
    struct lp_tail_config cfg;
    struct lp_arena ar; /* tenant, query, its syntax tree */
    const struct lp_log_query *log;
    struct lp_matchers *matchers;
    bool quarantine; /* they name it */
    struct lp_linefilter *filter;
    struct lp_pipe_prog *prog;
    struct lp_pipe *pipe;
    struct lp_tail_cursor at;

    uint64_t known;              /* generations up to this one are in `gens`, in the gap, or behind us */
    struct lp_tail_gen **gens;   /* by rising id */
    size_t ngens, gens_cap;
    uint64_t gap_first, gap_last; /* generations that were sealed before they were seen: they are read from segments. gap_last 0: none */
    struct lp_tail_stored *stored; /* the gap, while it is read */

    /* the batch in hand */
    struct lp_tail_gen *of; /* NULL: none */
    struct lp_batch *batch;
    struct lp_tail_hit *hits; /* in order */
    size_t nhits, hits_cap, hit;
    struct lp_tail_row run;  /* the row that passed last */
    struct lp_tail_row skip; /* ordinal 0: nothing; else rows up to it are behind us */

    const struct lp_gen_stream *labels_of; /* whose labels these are */
    struct lp_pair labels[LP_STREAM_LABELS_MAX];
    size_t nlabels;
    struct lp_pair *meta;
    size_t meta_cap;

    char missed[256];
    bool missed_new;
};

/* Where a ticket stands to the cursor. */
enum lp_tail_ticket { LP_TAIL_NEW, LP_TAIL_BEHIND, LP_TAIL_PART /* rows up to *ret_skip are behind us */ };
/* May note that it cannot be told exactly; then all of it counts as new. */
enum lp_tail_ticket lp_tail_judge(struct lp_tail *t, uint64_t source, uint64_t first, uint64_t next, struct lp_tail_row *ret_skip);
/* Does a row come behind another of the same ticket? */
bool lp_tail_behind(const struct lp_tail_row *a, const struct lp_tail_row *b);
/* The row after `run`: its ordinal. */
void lp_tail_step(struct lp_tail_row *run, int64_t time_ns, struct lp_hash128 stream);
void lp_tail_note(struct lp_tail *t, const char *fmt, ...) LP_PRINTF(2, 3);
lp_rc lp_tail_over_budget(const struct lp_tail *t, struct lp_err *err);

/* --- tail_head.c --- */

/* Takes the batch in hand, so that lp_tail_head_rows can give its rows. */
lp_rc lp_tail_head_take(struct lp_tail *t, struct lp_tail_gen *of, struct lp_err *err) LP_MUST_USE;
/* Its next rows, appended to ret, which has room for limit. At its end no batch is in hand. */
lp_rc lp_tail_head_rows(struct lp_tail *t, size_t limit, size_t page_bytes, struct lp_found *ret, struct lp_err *err) LP_MUST_USE;

/* --- tail_stored.c --- */

lp_rc lp_tail_stored_open(struct lp_tail *t, struct lp_err *err) LP_MUST_USE;
/* The next rows of the gap; none: the gap has been read, and is no more. */
lp_rc lp_tail_stored_rows(struct lp_tail *t, size_t limit, size_t page_bytes, struct lp_found *ret, struct lp_err *err) LP_MUST_USE;
void lp_tail_stored_close(struct lp_tail *t);

#endif
