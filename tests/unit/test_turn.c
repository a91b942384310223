/*
 * test_turn.c - places among queries: a short one goes before long ones, long ones go in the order they came,
 * and no place is lost.
 */
#include "query/turn.h"

#include <stdatomic.h>
#include <string.h>

#include "base/clock.h"
#include "base/thread.h"
#include "tests/unit/unit.h"

#define LONGS 6

struct runner {
    struct lp_turns *turns;
    int64_t work_ns; /* to be done with a place */
    atomic_bool begun, done;
    int64_t waited_ns;  /* from asking to the end of its work, less the work */
    atomic_uint *order; /* counts ends */
    unsigned ended;
};

static void
run_turn(void *arg)
{
    struct runner *r = arg;
    struct lp_turn turn = {.turns = NULL};
    int64_t asked_ns = lp_mono_ns(), now;
    lp_turn_begin(&turn, r->turns);
    atomic_store(&r->begun, true);
    do {
        now = lp_mono_ns();
        lp_turn_check(now);
    } while (turn.used_ns + (lp_mono_ns() - turn.since_ns) < r->work_ns);
    r->ended = atomic_fetch_add(r->order, 1);
    lp_turn_end(&turn);
    r->waited_ns = lp_mono_ns() - asked_ns - r->work_ns;
    atomic_store(&r->done, true);
}

static void
short_ones_go_first(void)
{
    struct lp_turns *turns = lp_turns_new(1);
    struct runner longs[LONGS], brief = {.turns = turns, .work_ns = LP_NS_PER_MS};
    atomic_uint order = 0;
    pthread_t t[LONGS], last;
    memset(longs, 0, sizeof(longs));
    for (unsigned i = 0; i < LONGS; i++) {
        longs[i] = (struct runner){.turns = turns, .work_ns = 300 * LP_NS_PER_MS, .order = &order};
        t[i] = lp_thread_start("long", run_turn, &longs[i]);
        while (
            !atomic_load(&longs[i].begun)) { /* it has used nothing yet: it gets in between those that run */
            sched_yield();
        }
    }
    brief.order = &order;
    last = lp_thread_start("short", run_turn, &brief);
    lp_thread_join(last);
    bool all_done = true;
    for (unsigned i = 0; i < LONGS; i++) {
        all_done = all_done && atomic_load(&longs[i].done);
    }
    CU_ASSERT_FALSE(all_done);
    CU_ASSERT_TRUE(brief.ended < LONGS / 2);
    for (unsigned i = 0; i < LONGS; i++) {
        lp_thread_join(t[i]);
        CU_ASSERT_TRUE(i == 0 || longs[i].ended > longs[i - 1].ended || brief.ended == longs[i].ended);
    }
    CU_ASSERT_EQUAL(lp_turns_waiting(turns), 0);
    lp_turns_free(turns);
}

static void
a_query_that_is_long_already_gives_way(void)
{
    struct lp_turns *turns = lp_turns_new(1);
    atomic_uint order = 0;
    struct runner one = {.turns = turns, .work_ns = 6 * LP_TURN_LONG_NS, .order = &order};
    struct runner brief[2];
    pthread_t t = lp_thread_start("long", run_turn, &one);
    while (!atomic_load(&one.begun)) {
        sched_yield();
    }
    int64_t long_ns = lp_mono_ns() + 2 * LP_TURN_LONG_NS;
    while (lp_mono_ns() < long_ns) {
        sched_yield();
    }
    for (unsigned i = 0; i < LP_ARRAY_LEN(brief); i++) { /* it gives way as often as it has to */
        brief[i] = (struct runner){.turns = turns, .work_ns = LP_NS_PER_MS, .order = &order};
        lp_thread_join(lp_thread_start("short", run_turn, &brief[i]));
        CU_ASSERT_EQUAL(brief[i].ended, i);
    }
    CU_ASSERT_FALSE(atomic_load(&one.done));
    lp_thread_join(t);
    CU_ASSERT_EQUAL(one.ended, 2);
    lp_turns_free(turns);
}

static void
helpers_take_free_places_only(void)
{
    struct lp_turns *turns = lp_turns_new(2);
    struct lp_turn a = {.turns = NULL}, b, c;
    lp_turn_begin(&a, turns);
    CU_ASSERT_PTR_EQUAL(lp_turn_current(), &a);
    CU_ASSERT_EQUAL(lp_turn_helpers(&a), 1);
    atomic_uint order = 0;
    struct runner other = {.turns = turns, .work_ns = LP_NS_PER_MS, .order = &order};
    lp_thread_join(lp_thread_start("other", run_turn, &other)); /* takes the free place and gives it back */
    CU_ASSERT_EQUAL(lp_turn_helpers(&a), 1);
    lp_turn_end(&a);
    CU_ASSERT_TRUE(lp_turn_help(&b, &a));
    lp_turn_end(&b);
    CU_ASSERT_TRUE(lp_turn_help(&b, NULL)); /* no turns: nobody counts */
    lp_turn_end(&b);
    CU_ASSERT_PTR_NULL(lp_turn_current());
    struct lp_turns *none = lp_turns_new(0);
    struct lp_turn of_none = {.turns = none};
    CU_ASSERT_FALSE(lp_turn_help(&c, &of_none));
    lp_turns_free(none);
    lp_turns_free(turns);
}

LP_SUITE(turn, {"short ones go first", short_ones_go_first},
         {"a query that is long already gives way", a_query_that_is_long_already_gives_way},
         {"helpers take free places only", helpers_take_free_places_only});
