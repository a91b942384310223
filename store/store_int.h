/*
 * store_int.h - inside the store: the object, shared by store.c, seal.c, space.c and recover.c.
 */
#ifndef LP_STORE_STORE_INT_H
#define LP_STORE_STORE_INT_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/lock.h"
#include "base/thread.h"
#include "store/pod_learn.h"
#include "store/seal_memo.h"
#include "store/seg_cache.h"
#include "store/store.h"

#define LP_RESERVE_IDS 32

struct lp_store {
    struct lp_store_config cfg;
    void *stored_ctx; /* of on_stored */
    char *dir, *seg_dir;
    int lock_fd;
    struct lp_catalog *cat;
    struct lp_head *head;
    struct lp_seg_cache *segments; /* open ones */
    struct lp_pool *pool; /* seal workers */
    struct lp_ledger *ledger;
    pthread_t seal_thread;
    bool seal_running;
    struct lp_maintain *maintain;

    struct lp_mutex cutoffs_mu; /* LP_LOCK_CUTOFFS: held over changes of `cutoffs`, and over the commit of a merge that went by them */
    struct lp_mutex mu; /* LP_LOCK_STORE: what follows */
    struct lp_cond changed;
    bool stopping, abandon; /* abandon: stop even though something is unsealed */
    uint64_t sealed;
    struct lp_store_stats stats;
    struct lp_cutoffs *cutoffs; /* what has expired; NULL: nothing */

    _Atomic int64_t seal_after_ns;
    _Atomic int64_t tail_ns;      /* when there was a tail last; wall clock */
    _Atomic int64_t tail_mark_ns; /* when that was written to DATA/tails last; 0: not yet */
    atomic_bool disk_full, seal_failing;
    atomic_bool reserve_there;
    atomic_bool retaining; /* a run of retention is under way */
    struct lp_seal_memo *memo; /* seal thread only */
    struct lp_pod_memo *pods; /* the same */
    struct lp_mutex ids_mu; /* LP_LOCK_SEGMENT_IDS: what follows */
    uint64_t next_id, ids_left; /* reserved segment ids in hand */
};

void lp_store_say(const struct lp_store *st, enum lp_event level, const char *fmt, ...) LP_PRINTF(3, 4);

/* Tells the metrics what is stored. Under the lock, or before other threads exist. */
void lp_store_show_totals(const struct lp_store *st);

/* The id of a new segment: noted in the catalog as reserved until a row names it. Any thread. */
lp_rc lp_store_take_id(struct lp_store *st, uint64_t *ret, struct lp_err *err) LP_MUST_USE;

/* recover.c: what start-up does with reserved and removed names; checks the last segment against the catalog. */
lp_rc lp_store_recover(struct lp_store *st, struct lp_err *err);
/* Whether DIR/segments holds any segment. */
lp_rc lp_store_has_segments(struct lp_store *st, bool *ret, struct lp_err *err);

/* space.c: reads the free space, sets disk_full, keeps the reserve file. */
void lp_store_check_space(struct lp_store *st);
/* Gives up the reserve file; false when it was gone already. Any thread. */
bool lp_store_give_reserve(struct lp_store *st);

/* seal_mark.c: around the encoding of a generation. _begin returns how many processes crashed in it before. */
uint32_t lp_seal_mark_begin(struct lp_store *st, uint64_t generation);
void lp_seal_mark_end(struct lp_store *st);

/* tail_mark.c: what an earlier process noted by lp_store_note_tail. */
void lp_tail_mark_read(struct lp_store *st);

/* seal.c */
void lp_seal_main(void *arg);
/* One generation into a segment and the catalog. */
lp_rc lp_seal_generation(struct lp_store *st, struct lp_gen *g, bool plain, struct lp_err *err);

#endif
