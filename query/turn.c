/*
 * turn.c - places to run in. See turn.h.
 *
 * Lock: LP_LOCK_TURNS guards the list of those that wait and the number of free places. A place is handed
 * over under the lock, from who gives it to who is next, so nobody can slip in between.
 */
#include "query/turn.h"

#include <limits.h>
#include <stdatomic.h>

#include "base/clock.h"

#define SLICE_NS                                                                                             \
    (5 * 1000000LL) /* others must have used so much less: else equals would change places all the time */

struct lp_turns {
    struct lp_mutex mu;
    unsigned free;
    uint64_t numbers;
    struct lp_turn *waiting;
    atomic_uint nwaiting;
    _Atomic int64_t least_ns; /* used by the first that waits; INT64_MAX: nobody does */
};

static _Thread_local struct lp_turn *current;

struct lp_turns *
lp_turns_new(unsigned places)
{
    struct lp_turns *t = lp_calloc(1, sizeof(*t));
    lp_mutex_init(&t->mu, LP_LOCK_TURNS);
    t->free = places;
    atomic_store(&t->least_ns, INT64_MAX);
    return t;
}

void
lp_turns_free(struct lp_turns *t)
{
    if (t != NULL) {
        LP_ASSERT(t->waiting == NULL);
        lp_mutex_destroy(&t->mu);
        lp_free(t);
    }
}

unsigned
lp_turns_waiting(const struct lp_turns *t)
{
    return atomic_load_explicit(&t->nwaiting, memory_order_relaxed);
}

/* Short ones by what they used, then long ones in the order they came. */
static bool
goes_before(const struct lp_turn *a, const struct lp_turn *b)
{
    bool long_a = a->used_ns >= LP_TURN_LONG_NS, long_b = b->used_ns >= LP_TURN_LONG_NS;
    if (long_a != long_b) {
        return long_b;
    }
    if (!long_a && a->used_ns != b->used_ns) {
        return a->used_ns < b->used_ns;
    }
    return a->number < b->number;
}

static struct lp_turn **
first_place(struct lp_turns *t)
{
    struct lp_turn **best = &t->waiting;
    for (struct lp_turn **at = &t->waiting; *at != NULL; at = &(*at)->next) {
        best = goes_before(*at, *best) ? at : best;
    }
    return best;
}

static void
note_least(struct lp_turns *t)
{
    const struct lp_turn *first = *first_place(t);
    atomic_store_explicit(&t->least_ns, first != NULL ? first->used_ns : INT64_MAX, memory_order_relaxed);
}

/* Hands the place on, or leaves it free. */
static void
give(struct lp_turns *t)
{
    struct lp_turn **place = first_place(t), *next = *place;
    if (next == NULL) {
        t->free++;
        return;
    }
    *place = next->next;
    atomic_fetch_sub(&t->nwaiting, 1);
    next->placed = true;
    note_least(t);
    lp_cond_signal(&next->go);
}

static void
wait_for_place(struct lp_turns *t, struct lp_turn *turn)
{
    turn->placed = false;
    turn->next = t->waiting;
    t->waiting = turn;
    atomic_fetch_add(&t->nwaiting, 1);
    note_least(t);
    lp_cond_init(&turn->go);
    while (!turn->placed) {
        lp_cond_wait(&turn->go, &t->mu);
    }
    lp_cond_destroy(&turn->go);
}

void
lp_turn_begin(struct lp_turn *turn, struct lp_turns *t)
{
    if (t == NULL) {
        return;
    }
    LP_ASSERT(current == NULL);
    lp_lock(&t->mu);
    turn->turns = t;
    turn->number = turn->number != 0 ? turn->number : ++t->numbers;
    if (t->free > 0) {
        t->free--;
    } else {
        wait_for_place(t, turn);
    }
    lp_unlock(&t->mu);
    turn->since_ns = lp_mono_ns();
    current = turn;
}

bool
lp_turn_help(struct lp_turn *turn, const struct lp_turn *of)
{
    *turn = (struct lp_turn){.turns = NULL};
    if (of == NULL) {
        return true;
    }
    struct lp_turns *t = of->turns;
    lp_lock(&t->mu);
    bool got = t->free > 0;
    if (got) {
        t->free--;
        *turn = (struct lp_turn){.turns = t, .number = of->number, .used_ns = of->used_ns};
    }
    lp_unlock(&t->mu);
    if (got) {
        turn->since_ns = lp_mono_ns();
        current = turn;
    }
    return got;
}

unsigned
lp_turn_helpers(const struct lp_turn *turn)
{
    if (turn == NULL) {
        return UINT_MAX;
    }
    lp_lock(&turn->turns->mu);
    unsigned n = turn->turns->free;
    lp_unlock(&turn->turns->mu);
    return n;
}

void
lp_turn_end(struct lp_turn *turn)
{
    struct lp_turns *t = turn->turns;
    if (t == NULL) {
        return;
    }
    LP_ASSERT(current == turn);
    current = NULL;
    int64_t used_ns = lp_mono_ns() - turn->since_ns;
    lp_lock(&t->mu);
    turn->used_ns += used_ns;
    give(t);
    lp_unlock(&t->mu);
}

struct lp_turn *
lp_turn_current(void)
{
    return current;
}

void
lp_turn_check(int64_t now_ns)
{
    struct lp_turn *turn = current;
    if (turn == NULL) {
        return;
    }
    struct lp_turns *t = turn->turns;
    int64_t used_ns = turn->used_ns + (now_ns - turn->since_ns);
    int64_t least_ns = atomic_load_explicit(&t->least_ns, memory_order_relaxed);
    bool turned_long = turn->used_ns < LP_TURN_LONG_NS && used_ns >= LP_TURN_LONG_NS;
    bool shorter = least_ns < LP_TURN_LONG_NS && used_ns - least_ns >= SLICE_NS;
    if (least_ns == INT64_MAX || !(shorter || turned_long)) {
        return; /* nobody waits, or nobody who should go first */
    }
    lp_lock(&t->mu);
    turn->used_ns = used_ns;
    if (t->waiting != NULL && goes_before(*first_place(t), turn)) {
        give(t);
        wait_for_place(t, turn);
    }
    lp_unlock(&t->mu);
    turn->since_ns = lp_mono_ns();
}
