/*
 * test_thread.c - threads and pools. Oracle: thread.h; the sanitizers watch along.
 */
#include "tests/unit/unit.h"

#include <signal.h>

#include "base/clock.h"
#include "base/lock.h"
#include "base/thread.h"

/* A gate that jobs wait at, so that the test decides when the queue is full. */
static struct {
    struct lp_mutex mu;
    struct lp_cond changed;
    bool open;
    int inside, done;
} gate;

static void
job_at_gate(void *arg)
{
    (void)arg;
    lp_lock(&gate.mu);
    gate.inside++;
    lp_cond_broadcast(&gate.changed);
    while (!gate.open) {
        lp_cond_wait(&gate.changed, &gate.mu);
    }
    gate.done++;
    lp_unlock(&gate.mu);
}

static void
a_pool_is_bounded_and_ends_its_jobs(void)
{
    lp_mutex_init(&gate.mu, LP_LOCK_SERVER);
    lp_cond_init(&gate.changed);
    struct lp_pool *p = lp_pool_new("a pool of long name", 2, 3);
    CU_ASSERT_EQUAL(lp_pool_threads(p), 2);
    for (int i = 0; i < 2; i++) {
        CU_ASSERT_EQUAL(lp_pool_run(p, job_at_gate, NULL, INT64_MAX), LP_OK);
    }
    lp_lock(&gate.mu);
    while (gate.inside < 2) {
        lp_cond_wait(&gate.changed, &gate.mu);
    }
    lp_unlock(&gate.mu);
    for (int i = 0; i < 3; i++) {
        CU_ASSERT_EQUAL(lp_pool_try(p, job_at_gate, NULL), LP_OK);
    }
    CU_ASSERT_EQUAL(lp_pool_waiting(p), 3);
    CU_ASSERT_EQUAL(lp_pool_try(p, job_at_gate, NULL), LP_ERR_BUSY);
    CU_ASSERT_EQUAL(lp_pool_run(p, job_at_gate, NULL, lp_mono_ns() + 1000), LP_ERR_TIMEOUT);
    lp_lock(&gate.mu);
    gate.open = true;
    lp_cond_broadcast(&gate.changed);
    lp_unlock(&gate.mu);
    lp_pool_stop(p);
    CU_ASSERT_EQUAL(gate.done, 5); /* those that were queued too */
    CU_ASSERT_EQUAL(lp_pool_try(p, job_at_gate, NULL), LP_ERR_SHUTDOWN);
    lp_pool_stop(p);
    lp_pool_free(p);
    lp_pool_free(NULL);
    lp_cond_destroy(&gate.changed);
    lp_mutex_destroy(&gate.mu);
}

static void
block_signals_seen(void *arg)
{
    sigset_t set;
    pthread_sigmask(SIG_SETMASK, NULL, &set);
    *(bool *)arg = sigismember(&set, SIGTERM) == 1 && sigismember(&set, SIGHUP) == 1;
}

static void
threads_block_signals(void)
{
    bool blocked = false;
    sigset_t set;
    lp_thread_join(lp_thread_start("signals", block_signals_seen, &blocked));
    CU_ASSERT(blocked);
    pthread_sigmask(SIG_SETMASK, NULL, &set);
    CU_ASSERT_EQUAL(sigismember(&set, SIGTERM), 0); /* the starter's own mask is as before */
    pthread_t t;
    blocked = false;
    CU_ASSERT_FATAL(lp_thread_try("signals", block_signals_seen, &blocked, &t));
    lp_thread_join(t);
    CU_ASSERT(blocked);
}

LP_SUITE(thread, {"a pool is bounded and ends its jobs", a_pool_is_bounded_and_ends_its_jobs},
         {"threads block signals", threads_block_signals});
