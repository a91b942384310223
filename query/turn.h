/*
 * turn.h - whose turn it is: queries share a few places to run in, and those that have used least go first.
 *
 * A request takes a place for as long as it works, and looks now and then (lp_turn_check, which lp_exec_check does) whether somebody
 * who has used less waits; then it lets him go first. So a query of some milliseconds is not held up by fifty that take seconds. Queries that
 * have used more than LP_TURN_LONG_NS run one after the other, in the order they came, rather than all at once: each holds memory.
 *
 * The turn of a thread is found by the thread, not handed down: every loop of a search looks at its deadline already.
 */
#ifndef LP_QUERY_TURN_H
#define LP_QUERY_TURN_H

#include "base/lock.h"

#define LP_TURN_LONG_NS (200 * 1000000LL)

struct lp_turns;

/* places: how many run at once. */
struct lp_turns *lp_turns_new(unsigned places);
/* NULL is fine. */
void lp_turns_free(struct lp_turns *t);
/* How many wait now. */
unsigned lp_turns_waiting(const struct lp_turns *t);

/* A request's account. Zero at first; one thread at a time begins with it. */
struct lp_turn {
    struct lp_turns *turns;
    uint64_t number;       /* order of arrival; 0: not yet */
    int64_t used_ns;       /* with a place, so far */
    int64_t since_ns;      /* when it got the place (lp_mono_ns clock) */
    struct lp_turn *next;  /* among those that wait */
    struct lp_cond go;     /* while it waits */
    bool placed;
};

/* Waits for a place, which is the calling thread's until lp_turn_end. turns NULL: does nothing. A turn may begin again after its end: what it used counts on. */
void lp_turn_begin(struct lp_turn *t, struct lp_turns *turns);
/* How many threads could help a request now. turn NULL: any number. */
unsigned lp_turn_helpers(const struct lp_turn *turn);
/* A place for one more thread of the same request; false where none is free. `of` is its turn, and outlives this one. */
bool lp_turn_help(struct lp_turn *t, const struct lp_turn *of);
void lp_turn_end(struct lp_turn *t);
/* The calling thread's turn; NULL: it has none. */
struct lp_turn *lp_turn_current(void);
/* Lets others go first who should. now_ns: lp_mono_ns clock. */
void lp_turn_check(int64_t now_ns);

#endif
