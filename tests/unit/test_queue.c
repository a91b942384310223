/*
 * test_queue.c - bounded queues. Oracle: queue.h; what goes in comes out once, in order, and closing wakes
 * everybody.
 */
#include "tests/unit/unit.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/queue.h"
#include "base/thread.h"

static int items[8];

static void
a_queue_is_first_in_first_out(void)
{
    struct lp_queue *q = lp_queue_new(3);
    void *got;
    for (int round = 0; round < 5; round++) { /* around the ring */
        CU_ASSERT_EQUAL(lp_queue_try_push(q, &items[0]), LP_OK);
        CU_ASSERT_EQUAL(lp_queue_push(q, &items[1], 0), LP_OK);
        CU_ASSERT_EQUAL(lp_queue_len(q), 2);
        CU_ASSERT(lp_queue_pop(q, &got, 0) == LP_OK && got == &items[0]);
        CU_ASSERT(lp_queue_pop(q, &got, INT64_MAX) == LP_OK && got == &items[1]);
    }
    CU_ASSERT_EQUAL(lp_queue_pop(q, &got, lp_mono_ns() + 1000), LP_ERR_TIMEOUT);
    for (int i = 0; i < 3; i++) {
        CU_ASSERT_EQUAL(lp_queue_try_push(q, &items[i]), LP_OK);
    }
    CU_ASSERT_EQUAL(lp_queue_try_push(q, &items[3]), LP_ERR_BUSY);
    CU_ASSERT_EQUAL(lp_queue_push(q, &items[3], lp_mono_ns() + 1000), LP_ERR_TIMEOUT);

    lp_queue_close(q); /* what is in it stays, nothing more comes */
    CU_ASSERT_EQUAL(lp_queue_try_push(q, &items[3]), LP_ERR_SHUTDOWN);
    CU_ASSERT_EQUAL(lp_queue_push(q, &items[3], INT64_MAX), LP_ERR_SHUTDOWN);
    for (int i = 0; i < 3; i++) {
        CU_ASSERT(lp_queue_pop(q, &got, INT64_MAX) == LP_OK && got == &items[i]);
    }
    CU_ASSERT_EQUAL(lp_queue_pop(q, &got, INT64_MAX), LP_ERR_SHUTDOWN);
    lp_queue_free(q);
    lp_queue_free(NULL);
}

/* One thread each that waits for room and for an item, until the queue is closed. */
struct waiter {
    struct lp_queue *q;
    lp_rc rc;
};

static void
wait_for_room(void *arg)
{
    struct waiter *w = arg;
    w->rc = lp_queue_push(w->q, &items[0], INT64_MAX);
}

static void
wait_for_item(void *arg)
{
    struct waiter *w = arg;
    void *got;
    w->rc = lp_queue_pop(w->q, &got, INT64_MAX);
}

static void
closing_wakes_everybody(void)
{
    struct lp_queue *full = lp_queue_new(1), *empty = lp_queue_new(1);
    struct waiter push[2] = {{full, LP_OK}, {full, LP_OK}}, pop[2] = {{empty, LP_OK}, {empty, LP_OK}};
    pthread_t t[4];
    void *got;
    CU_ASSERT_EQUAL(lp_queue_try_push(full, &items[1]), LP_OK);
    for (int i = 0; i < 2; i++) {
        t[i] = lp_thread_start("push", wait_for_room, &push[i]);
        t[2 + i] = lp_thread_start("pop", wait_for_item, &pop[i]);
    }
    lp_queue_close(full);
    lp_queue_close(empty);
    for (int i = 0; i < 4; i++) {
        lp_thread_join(t[i]);
    }
    for (int i = 0; i < 2; i++) {
        CU_ASSERT_EQUAL(push[i].rc, LP_ERR_SHUTDOWN);
        CU_ASSERT_EQUAL(pop[i].rc, LP_ERR_SHUTDOWN);
    }
    CU_ASSERT(lp_queue_pop(full, &got, 0) == LP_OK && got == &items[1]);
    lp_queue_free(full);
    lp_queue_free(empty);
}

enum { EACH = 5000, THREADS = 3 };

struct traffic {
    struct lp_queue *q;
    atomic_uint_fast64_t sum, taken;
};

static void
produce(void *arg)
{
    struct traffic *tr = arg;
    for (uintptr_t i = 1; i <= EACH; i++) {
        if (lp_queue_push(tr->q, (void *)i, INT64_MAX) != LP_OK) {
            abort();
        }
    }
}

static void
consume(void *arg)
{
    struct traffic *tr = arg;
    void *got;
    while (lp_queue_pop(tr->q, &got, INT64_MAX) == LP_OK) {
        tr->sum += (uintptr_t)got;
        tr->taken++;
    }
}

static void
nothing_is_lost_between_threads(void)
{
    struct traffic tr = {.q = lp_queue_new(7)};
    pthread_t in[THREADS], out[THREADS];
    for (int i = 0; i < THREADS; i++) {
        out[i] = lp_thread_start("consume", consume, &tr);
        in[i] = lp_thread_start("produce", produce, &tr);
    }
    for (int i = 0; i < THREADS; i++) {
        lp_thread_join(in[i]);
    }
    lp_queue_close(tr.q);
    for (int i = 0; i < THREADS; i++) {
        lp_thread_join(out[i]);
    }
    CU_ASSERT_EQUAL(tr.taken, THREADS * EACH);
    CU_ASSERT_EQUAL(tr.sum, (uint64_t)THREADS * EACH * (EACH + 1) / 2);
    lp_queue_free(tr.q);
}

LP_SUITE(queue, {"a queue is first in, first out", a_queue_is_first_in_first_out},
         {"closing wakes everybody", closing_wakes_everybody},
         {"nothing is lost between threads", nothing_is_lost_between_threads});
