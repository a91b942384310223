/*
 * maintain_int.h - inside maintenance: maintain.c is the thread, maintain_merge.c merges and replaces, maintain_files.c removes files.
 */
#ifndef LP_STORE_MAINTAIN_INT_H
#define LP_STORE_MAINTAIN_INT_H

#include "store/compact_pick.h"
#include "store/maintain.h"
#include "store/merge.h"
#include "store/store_int.h"

/* A file that no row names any more. */
struct lp_gone_file {
    uint64_t id;
    uint64_t txn; /* readers that are older may still look for it */
};

struct lp_maintain {
    struct lp_store *st;
    pthread_t thread;
    bool started;
    struct lp_pool *pool; /* one thread: "compact" */
    struct lp_gone_file *gone; /* the thread's own */
    size_t ngone, gone_cap;
    struct lp_ids unreadable; /* segments that cannot be merged: they stay as they are; the thread's own */

    struct lp_mutex mu; /* LP_LOCK_MAINTAIN: what follows */
    struct lp_cond wake, done;
    bool stopping;
    uint64_t asked, answered; /* requests to merge everything */
    uint64_t compact_to;      /* generations up to this one are merged for them */
    struct lp_err compact_err; /* of the answer */
    const struct lp_expire *expire; /* a request that waits */
    struct lp_expired *expired;
    struct lp_err *expire_err;
    lp_rc expire_rc;
    bool expire_done;
    struct lp_maintain_stats stats;
};

bool lp_maintain_stopping(struct lp_maintain *m);

/* --- maintain_merge.c --- */

/* Merges these segments and puts what comes out in their place. */
lp_rc lp_maintain_merge(struct lp_maintain *m, const struct lp_compact_pass *pass, struct lp_err *err) LP_MUST_USE;
/* Carries out an expire request. */
lp_rc lp_maintain_do_expire(struct lp_maintain *m, const struct lp_expire *what, struct lp_expired *ret, struct lp_err *err) LP_MUST_USE;

/* --- maintain_files.c --- */

/* Notes that the files of these segments may go, once no reader is older than the transaction. */
void lp_maintain_note_gone(struct lp_maintain *m, const uint64_t *ids, size_t n, uint64_t txn);
/* Unlinks those that nobody can look for any more. */
void lp_maintain_reap(struct lp_maintain *m);

#endif
