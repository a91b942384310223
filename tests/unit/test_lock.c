/*
 * test_lock.c - locks and conditions. Oracle: lock.h; in debug builds a wrong order must end the process and
 * say why.
 */
#include "tests/unit/unit.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/lock.h"

#ifdef LP_DEBUG
/* Runs fn in a child that must die of an assertion; returns what it said. */
static void
dies_saying(void (*fn)(void), const char *words)
{
    int fds[2];
    char said[512];
    size_t n = 0;
    CU_ASSERT_EQUAL_FATAL(pipe(fds), 0);
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        signal(SIGABRT, SIG_DFL);
        dup2(fds[1], 2);
        fn();
        _exit(0);
    }
    close(fds[1]);
    for (ssize_t got; n < sizeof(said) - 1 && (got = read(fds[0], said + n, sizeof(said) - 1 - n)) > 0;) {
        n += (size_t)got;
    }
    close(fds[0]);
    said[n] = 0;
    int status = 0;
    CU_ASSERT_EQUAL(waitpid(pid, &status, 0), pid);
    CU_ASSERT(!WIFEXITED(status) || WEXITSTATUS(status) != 0);
    CU_ASSERT_PTR_NOT_NULL(strstr(said, words));
}

static void
take_in_wrong_order(void)
{
    struct lp_mutex head, store;
    lp_mutex_init(&head, LP_LOCK_HEAD);
    lp_mutex_init(&store, LP_LOCK_STORE);
    lp_lock(&head);
    lp_lock(&store); /* the right order */
    lp_unlock(&head);
    lp_lock(&head);
}

static void
take_two_of_a_class(void)
{
    struct lp_mutex a, b;
    lp_mutex_init(&a, LP_LOCK_QUEUE);
    lp_mutex_init(&b, LP_LOCK_QUEUE);
    lp_lock(&a);
    lp_lock(&b);
}

static void
claim_a_lock_not_held(void)
{
    struct lp_mutex a;
    lp_mutex_init(&a, LP_LOCK_HEAD);
    lp_lock(&a);
    lp_unlock(&a);
    lp_lock_held(&a);
}
#endif

static void
lock_order_is_watched(void)
{
#ifdef LP_DEBUG
    dies_saying(take_in_wrong_order, "LP_LOCK_HEAD is taken while LP_LOCK_STORE is held");
    dies_saying(take_two_of_a_class, "LP_LOCK_QUEUE is taken while LP_LOCK_QUEUE is held");
    dies_saying(claim_a_lock_not_held, "assertion failed");
#endif
    struct lp_mutex a, b;
    lp_mutex_init(&a, LP_LOCK_SERVER);
    lp_mutex_init(&b, LP_LOCK_DIAG);
    lp_lock(&a);
    lp_lock(&b);
    lp_lock_held(&a);
    lp_lock_held(&b);
    lp_unlock(&a); /* in any order */
    lp_unlock(&b);
    lp_mutex_destroy(&a);
    lp_mutex_destroy(&b);
}

static void
waiting_ends_at_the_deadline(void)
{
    struct lp_mutex mu;
    struct lp_cond c;
    lp_mutex_init(&mu, LP_LOCK_POOL);
    lp_cond_init(&c);
    lp_lock(&mu);
    int64_t deadline = lp_mono_ns() + 2 * LP_NS_PER_MS;
    while (lp_cond_wait_until(&c, &mu, deadline)) { /* spurious wake-ups are allowed */
    }
    CU_ASSERT(lp_mono_ns() >= deadline);
    CU_ASSERT_FALSE(lp_cond_wait_until(&c, &mu, -1));
    lp_unlock(&mu);
    lp_cond_destroy(&c);
    lp_mutex_destroy(&mu);
}

LP_SUITE(lock, {"lock order is watched", lock_order_is_watched},
         {"waiting ends at the deadline", waiting_ends_at_the_deadline});
