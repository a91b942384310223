/*
 * lock.c - mutexes and condition variables over pthreads; in debug builds a witness of the lock order.
 *
 * The witness: each thread keeps the locks it holds on a thread-local stack, outermost first. Classes must
 * grow along it, so two threads can never wait for each other. Nothing is shared, so the check itself needs
 * no lock. A thread that waits for a condition keeps its entry: it takes no lock meanwhile, and holds the
 * mutex again when it goes on.
 */
#include "base/lock.h"

#include <errno.h>
#include <stdio.h>
#include <time.h>

#include "base/clock.h"

#ifdef LP_DEBUG

#define LP_LOCKS_HELD_MAX 16

static _Thread_local const struct lp_mutex *held[LP_LOCKS_HELD_MAX];
static _Thread_local unsigned nheld;

static const char *
class_name(enum lp_lock_class cls)
{
    static const char *const names[] = {
#define X(name, text) #name,
        LP_LOCK_TABLE(X)
#undef X
    };
    return names[cls];
}

static void
witness_lock(const struct lp_mutex *mu)
{
    if (nheld > 0 && held[nheld - 1]->cls >= mu->cls) {
        char text[128];
        snprintf(text, sizeof(text), "lock order: %s is taken while %s is held", class_name(mu->cls),
                 class_name(held[nheld - 1]->cls));
        lp_assert_failed(text, __FILE__, __LINE__, __func__);
    }
    LP_ASSERT(nheld < LP_LOCKS_HELD_MAX);
    held[nheld++] = mu;
}

static void
witness_unlock(const struct lp_mutex *mu)
{
    unsigned i = nheld;
    while (i > 0 && held[i - 1] != mu) {
        i--;
    }
    LP_ASSERT(i > 0);
    for (; i < nheld; i++) {
        held[i - 1] = held[i];
    }
    nheld--;
}

static bool
witness_holds(const struct lp_mutex *mu)
{
    for (unsigned i = 0; i < nheld; i++) {
        if (held[i] == mu) {
            return true;
        }
    }
    return false;
}

#else

static void
witness_lock(const struct lp_mutex *mu)
{
    (void)mu;
}

static void
witness_unlock(const struct lp_mutex *mu)
{
    (void)mu;
}

static bool
witness_holds(const struct lp_mutex *mu)
{
    (void)mu;
    return true;
}

#endif

void
lp_mutex_init(struct lp_mutex *mu, enum lp_lock_class cls)
{
    LP_ASSERT(cls < LP_LOCK_CLASSES);
    mu->cls = cls;
    int rc = pthread_mutex_init(&mu->m, NULL);
    LP_ASSERT(rc == 0);
}

void
lp_mutex_destroy(struct lp_mutex *mu)
{
    int rc = pthread_mutex_destroy(&mu->m);
    LP_ASSERT(rc == 0);
}

void
lp_lock(struct lp_mutex *mu)
{
    witness_lock(mu);
    int rc = pthread_mutex_lock(&mu->m);
    LP_ASSERT(rc == 0);
}

void
lp_unlock(struct lp_mutex *mu)
{
    witness_unlock(mu);
    int rc = pthread_mutex_unlock(&mu->m);
    LP_ASSERT(rc == 0);
}

void
lp_lock_held(const struct lp_mutex *mu)
{
    LP_DEBUG_ASSERT(witness_holds(mu));
}

void
lp_cond_init(struct lp_cond *c)
{
    pthread_condattr_t attr;
    int rc = pthread_condattr_init(&attr);
    LP_ASSERT(rc == 0);
    rc = pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    LP_ASSERT(rc == 0);
    rc = pthread_cond_init(&c->c, &attr);
    LP_ASSERT(rc == 0);
    pthread_condattr_destroy(&attr);
}

void
lp_cond_destroy(struct lp_cond *c)
{
    int rc = pthread_cond_destroy(&c->c);
    LP_ASSERT(rc == 0);
}

void
lp_cond_wait(struct lp_cond *c, struct lp_mutex *mu)
{
    lp_lock_held(mu);
    int rc = pthread_cond_wait(&c->c, &mu->m);
    LP_ASSERT(rc == 0);
}

bool
lp_cond_wait_until(struct lp_cond *c, struct lp_mutex *mu, int64_t deadline_ns)
{
    lp_lock_held(mu);
    int64_t at = LP_MAX(deadline_ns, INT64_C(0));
    struct timespec ts = {.tv_sec = at / LP_NS_PER_S, .tv_nsec = at % LP_NS_PER_S};
    int rc = pthread_cond_timedwait(&c->c, &mu->m, &ts);
    LP_ASSERT(rc == 0 || rc == ETIMEDOUT);
    return rc == 0;
}

void
lp_cond_signal(struct lp_cond *c)
{
    int rc = pthread_cond_signal(&c->c);
    LP_ASSERT(rc == 0);
}

void
lp_cond_broadcast(struct lp_cond *c)
{
    int rc = pthread_cond_broadcast(&c->c);
    LP_ASSERT(rc == 0);
}
