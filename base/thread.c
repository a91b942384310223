/*
 * thread.c - starting named threads, and pools: workers that pop jobs from one bounded queue until it is
 * closed and empty.
 *
 * Signals are blocked in every thread started here; the main thread alone takes them.
 */
#include "base/thread.h"

#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/queue.h"

#define LP_THREAD_NAME_BYTES 16 /* the kernel's limit, NUL included */

struct start {
    void (*fn)(void *arg);
    void *arg;
    char name[LP_THREAD_NAME_BYTES];
};

static void *
thread_main(void *arg)
{
    struct start st = *(struct start *)arg;
    lp_free(arg);
    pthread_setname_np(pthread_self(), st.name);
    st.fn(st.arg);
    return NULL;
}

/* 0, or why there is none. */
static int
start(const char *name, void (*fn)(void *arg), void *arg, pthread_t *ret)
{
    struct start *st = lp_calloc(1, sizeof(*st));
    st->fn = fn;
    st->arg = arg;
    snprintf(st->name, sizeof(st->name), "%s", name);

    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before); /* inherited by the new thread */
    int rc = pthread_create(ret, NULL, thread_main, st);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (rc != 0) {
        lp_free(st);
    }
    return rc;
}

bool
lp_thread_try(const char *name, void (*fn)(void *arg), void *arg, pthread_t *ret)
{
    return start(name, fn, arg, ret) == 0;
}

pthread_t
lp_thread_start(const char *name, void (*fn)(void *arg), void *arg)
{
    pthread_t t;
    int rc = start(name, fn, arg, &t);
    if (rc != 0) {
        fprintf(stderr, "logpond: cannot start thread %s: %s\n", name, strerror(rc));
        abort();
    }
    return t;
}

/* From linux/ioprio.h, which has no wrapper in libc: of this thread, class idle. */
#define IOPRIO_WHO_PROCESS 1
#define IOPRIO_IDLE (3 << 13)

void
lp_thread_nice(int nice)
{
    /* in Linux of the thread; where it is refused the thread runs as others do */
    (void)setpriority(PRIO_PROCESS, (id_t)syscall(SYS_gettid), nice);
}

void
lp_thread_background(void)
{
    lp_thread_nice(19);
    (void)syscall(SYS_ioprio_set, IOPRIO_WHO_PROCESS, syscall(SYS_gettid), IOPRIO_IDLE);
}

void
lp_thread_join(pthread_t t)
{
    int rc = pthread_join(t, NULL);
    LP_ASSERT(rc == 0);
}

struct job {
    void (*fn)(void *arg);
    void *arg;
};

struct lp_pool {
    struct lp_queue *jobs; /* of struct job, owned by whoever took it out */
    pthread_t *threads;
    unsigned nthreads;
    atomic_bool stopped;
};

static void
worker_main(void *arg)
{
    struct lp_pool *p = arg;
    void *item;
    while (lp_queue_pop(p->jobs, &item, INT64_MAX) == LP_OK) {
        struct job job = *(struct job *)item;
        lp_free(item);
        job.fn(job.arg);
    }
}

struct lp_pool *
lp_pool_new(const char *name, unsigned threads, size_t capacity)
{
    LP_ASSERT(threads > 0);
    struct lp_pool *p = lp_calloc(1, sizeof(*p));
    p->jobs = lp_queue_new(capacity);
    p->nthreads = threads;
    p->threads = lp_calloc(threads, sizeof(p->threads[0]));
    for (unsigned i = 0; i < threads; i++) {
        char full[LP_THREAD_NAME_BYTES];
        snprintf(full, sizeof(full), "%.11s-%u", name, i % 1000);
        p->threads[i] = lp_thread_start(full, worker_main, p);
    }
    return p;
}

static struct job *
job_new(void (*fn)(void *arg), void *arg)
{
    struct job *job = lp_malloc(sizeof(*job));
    *job = (struct job){fn, arg};
    return job;
}

lp_rc
lp_pool_try(struct lp_pool *p, void (*fn)(void *arg), void *arg)
{
    struct job *job = job_new(fn, arg);
    lp_rc rc = lp_queue_try_push(p->jobs, job);
    if (rc != LP_OK) {
        lp_free(job);
    }
    return rc;
}

lp_rc
lp_pool_run(struct lp_pool *p, void (*fn)(void *arg), void *arg, int64_t deadline_ns)
{
    struct job *job = job_new(fn, arg);
    lp_rc rc = lp_queue_push(p->jobs, job, deadline_ns);
    if (rc != LP_OK) {
        lp_free(job);
    }
    return rc;
}

size_t
lp_pool_waiting(const struct lp_pool *p)
{
    return lp_queue_len(p->jobs);
}

unsigned
lp_pool_threads(const struct lp_pool *p)
{
    return p->nthreads;
}

void
lp_pool_stop(struct lp_pool *p)
{
    if (atomic_exchange(&p->stopped, true)) {
        return;
    }
    lp_queue_close(p->jobs);
    for (unsigned i = 0; i < p->nthreads; i++) {
        lp_thread_join(p->threads[i]);
    }
}

void
lp_pool_free(struct lp_pool *p)
{
    if (p == NULL) {
        return;
    }
    lp_pool_stop(p);
    lp_queue_free(p->jobs);
    lp_free(p->threads);
    lp_free(p);
}
