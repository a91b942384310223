/*
 * lock.h - mutexes and condition variables with a class each; debug builds check the order at run time.
 *
 * Order: a thread may take a lock only if its class stands later in the table than every class it holds (two locks of
 * one class never together). lp_lock_held() asserts are live in debug builds.
 */
#ifndef LP_BASE_LOCK_H
#define LP_BASE_LOCK_H

#include <pthread.h>

#include "base/lp.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Outermost first. Class, what it guards. */
#define LP_LOCK_TABLE(X)                                                        \
    X(LP_LOCK_SERVER, "server state: listeners, shutdown")                      \
    X(LP_LOCK_TAILS, "live tails: who follows what, frames that wait")             \
    X(LP_LOCK_PODLOGS, "answers on threads of their own")                       \
    X(LP_LOCK_HTTP, "one http thread's mailbox")                                \
    X(LP_LOCK_QUERY, "one query: work list and result heap")                    \
    X(LP_LOCK_IDS, "batch ids, pending and stored")                             \
    X(LP_LOCK_LOG, "a log: journal tail, kafka partitions")                     \
    X(LP_LOCK_TICKETS, "one partition's row of tickets")                        \
    X(LP_LOCK_HEAD, "head: generations, budget")                                \
    X(LP_LOCK_MAINTAIN, "maintenance: requests and what it does")               \
    X(LP_LOCK_CUTOFFS, "what has expired: its change, and commits that rest on it") \
    X(LP_LOCK_STORE, "store state: seal")                                       \
    X(LP_LOCK_SEGMENT_IDS, "reserved segment ids in hand")                      \
    X(LP_LOCK_CATALOG, "catalog write side")                                    \
    X(LP_LOCK_VIEW, "one view: streams read from the catalog")                  \
    X(LP_LOCK_READERS, "living read transactions of the catalog")               \
    X(LP_LOCK_SEGMENTS, "handles of segments")                                  \
    X(LP_LOCK_LEDGER, "the ledger, over its I/O")                               \
    X(LP_LOCK_CACHE, "decoded block cache")                                     \
    X(LP_LOCK_POOL, "work pools")                                               \
    X(LP_LOCK_TURNS, "places that queries run in")                              \
    X(LP_LOCK_QUEUE, "bounded queues")                                          \
    X(LP_LOCK_METRICS, "registration of metrics")                               \
    X(LP_LOCK_DIAG, "diagnostic output")

enum lp_lock_class {
#define X(name, text) name,
    LP_LOCK_TABLE(X)
#undef X
    LP_LOCK_CLASSES
};

struct lp_mutex {
    pthread_mutex_t m;
    enum lp_lock_class cls;
};

struct lp_cond {
    pthread_cond_t c; /* on the monotonic clock */
};

void lp_mutex_init(struct lp_mutex *mu, enum lp_lock_class cls);
void lp_mutex_destroy(struct lp_mutex *mu);
void lp_lock(struct lp_mutex *mu);
void lp_unlock(struct lp_mutex *mu);
/* Asserts, in debug builds, that this thread holds mu. */
void lp_lock_held(const struct lp_mutex *mu);

void lp_cond_init(struct lp_cond *c);
void lp_cond_destroy(struct lp_cond *c);
void lp_cond_wait(struct lp_cond *c, struct lp_mutex *mu);
/* deadline on lp_mono_ns()'s clock; false when it passed. */
bool lp_cond_wait_until(struct lp_cond *c, struct lp_mutex *mu, int64_t deadline_ns);
void lp_cond_signal(struct lp_cond *c);
void lp_cond_broadcast(struct lp_cond *c);

#ifdef __cplusplus
}
#endif

#endif
