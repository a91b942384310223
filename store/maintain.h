/*
 * maintain.h - what the store does to its segments while nobody asks: merging them (compact_pick.h says which), and removing
 * files that are no longer named; and, when asked, taking away what has expired. All changes to stored segments go through one
 * thread, so no two of them meet.
 *
 * Threads: "maintain" chooses, commits and unlinks; "compact" reads and writes the files of a merge, at the lowest CPU and I/O
 * priority. The latter holds no lock that a seal or a query waits for.
 */
#ifndef LP_STORE_MAINTAIN_H
#define LP_STORE_MAINTAIN_H

#include "store/store.h"

struct lp_maintain;

struct lp_maintain *lp_maintain_start(struct lp_store *st);
/* Says that it is to end, and does not wait: a merge under way is given up at its next block, and who waits for maintenance is told. */
void lp_maintain_halt(struct lp_maintain *m);
/* Ends the threads; a merge under way is given up. */
void lp_maintain_stop(struct lp_maintain *m);
/* NULL is fine. */
void lp_maintain_free(struct lp_maintain *m);

/* Asks for everything that is stored now to be rewritten into final files, the open day included. Returns the request's number: stats.answered tells when it is done. */
uint64_t lp_maintain_ask(struct lp_maintain *m);
/* The same, and waits for it. */
lp_rc lp_maintain_compact(struct lp_maintain *m, int64_t deadline_ns, struct lp_err *err) LP_MUST_USE;

/* Segments of which parts go. */
struct lp_expire_rewrite {
    uint64_t segment;
    const uint64_t *groups; /* that leave it, by rising id */
    size_t ngroups;
};
struct lp_expire {
    const uint64_t *drop; /* segments that go whole */
    size_t ndrop;
    const struct lp_expire_rewrite *rewrite;
    size_t nrewrite;
};
struct lp_expired {
    uint64_t dropped, rewritten; /* segments */
    uint64_t rows;
    int64_t freed_bytes; /* less what files became larger by when they were written again */
    uint64_t stale; /* segments that a merge had replaced meanwhile: plan again */
};
/* Does that, and waits. What was committed before an error stays done and is counted. */
lp_rc lp_maintain_expire(struct lp_maintain *m, const struct lp_expire *what, struct lp_expired *ret, struct lp_err *err) LP_MUST_USE;

struct lp_maintain_stats {
    uint64_t merges, merged_segments; /* since the start */
    uint64_t copied_blocks;           /* taken over as they were */
    uint64_t written_bytes;           /* by merges; by seals: */
    uint64_t sealed_bytes;
    uint64_t debt_bytes; /* files that will be rewritten some day */
    uint64_t asked, answered; /* requests */
    uint64_t waiting_files; /* to be unlinked, once no query is older than their removal */
    bool running;
    uint64_t inputs; /* of the merge that runs */
    int64_t running_since_ns; /* lp_mono_ns clock */
    char problem[LP_ERR_TEXT_BYTES]; /* the last merge that failed; empty: none */
};
void lp_maintain_stats(struct lp_maintain *m, struct lp_maintain_stats *ret);

#endif
