/*
 * podlogs.c - see podlogs.h.
 *
 * Every thread is in the list from its start until it has been joined: by the next one that starts, or by the
 * stop. `live` counts those that have not ended.
 */
#include "server/podlogs.h"

#include "base/clock.h"
#include "base/lock.h"
#include "base/metrics.h"
#include "base/thread.h"
#include "server/server.h"

#define NICE 5 /* as queries */
#define GONE_NS (500 * LP_NS_PER_MS)

struct job {
    struct lp_podlogs *ps;
    void (*fn)(void *arg);
    void *arg;
    pthread_t thread;
    bool ended;
    struct job *next;
};

struct lp_podlogs {
    struct lp_server *s;
    struct lp_mutex mu; /* LP_LOCK_PODLOGS: everything below */
    struct lp_cond changed;
    struct job *jobs;
    int64_t live;
    bool stopped;
};

struct lp_podlogs *
lp_podlogs_new(struct lp_server *s)
{
    struct lp_podlogs *ps = lp_calloc(1, sizeof(*ps));
    ps->s = s;
    lp_mutex_init(&ps->mu, LP_LOCK_PODLOGS);
    lp_cond_init(&ps->changed);
    return ps;
}

/* With the lock held: takes those that have ended out of the list. */
static struct job *
take_ended(struct lp_podlogs *ps)
{
    struct job *ended = NULL;
    for (struct job **at = &ps->jobs; *at != NULL;) {
        struct job *j = *at;
        if (j->ended) {
            *at = j->next;
            j->next = ended;
            ended = j;
        } else {
            at = &j->next;
        }
    }
    return ended;
}

static void
join_all(struct job *jobs)
{
    while (jobs != NULL) {
        struct job *next = jobs->next;
        lp_thread_join(jobs->thread);
        lp_free(jobs);
        jobs = next;
    }
}

void
lp_podlogs_stop(struct lp_podlogs *ps)
{
    if (ps == NULL) {
        return;
    }
    lp_lock(&ps->mu);
    ps->stopped = true;
    lp_cond_broadcast(&ps->changed);
    while (ps->live > 0) {
        lp_cond_wait(&ps->changed, &ps->mu);
    }
    struct job *ended = take_ended(ps);
    lp_unlock(&ps->mu);
    join_all(ended);
}

void
lp_podlogs_free(struct lp_podlogs *ps)
{
    if (ps == NULL) {
        return;
    }
    lp_podlogs_stop(ps);
    lp_cond_destroy(&ps->changed);
    lp_mutex_destroy(&ps->mu);
    lp_free(ps);
}

static void
run(void *arg)
{
    struct job *j = arg;
    struct lp_podlogs *ps = j->ps;
    lp_thread_nice(NICE);
    j->fn(j->arg);
    lp_lock(&ps->mu);
    j->ended = true;
    ps->live--;
    lp_metric_set(LP_M_POD_LOGS, ps->live);
    lp_cond_broadcast(&ps->changed);
    lp_unlock(&ps->mu);
}

/* With the lock held. */
static lp_rc
start(struct lp_podlogs *ps, struct job *j, struct lp_err *err)
{
    if (ps->stopped) {
        return lp_err_set(err, LP_ERR_SHUTDOWN, "the server is stopping");
    }
    if (ps->live >= LP_SETTING(&ps->s->set, follows)) {
        return lp_err_set(err, LP_ERR_BUSY,
                          "too many logs are being read or followed (--follows); try again");
    }
    if (!lp_thread_try("podlog", run, j, &j->thread)) {
        return lp_err_set(err, LP_ERR_BUSY, "the system gives no more threads; try again");
    }
    j->next = ps->jobs;
    ps->jobs = j;
    ps->live++;
    lp_metric_set(LP_M_POD_LOGS, ps->live);
    return LP_OK;
}

lp_rc
lp_podlogs_start(struct lp_podlogs *ps, void (*fn)(void *arg), void *arg, struct lp_err *err)
{
    struct job *j = lp_calloc(1, sizeof(*j));
    j->ps = ps;
    j->fn = fn;
    j->arg = arg;
    lp_lock(&ps->mu); /* held until the thread's number is known: it ends no sooner */
    lp_rc rc = start(ps, j, err);
    struct job *ended = take_ended(ps);
    lp_unlock(&ps->mu);
    join_all(ended);
    if (rc != LP_OK) {
        lp_free(j);
    }
    return rc;
}

void
lp_podlogs_pause(struct lp_podlogs *ps, const struct lp_http_req *req, int64_t until_ns)
{
    lp_lock(&ps->mu);
    int64_t now = lp_mono_ns();
    while (now < until_ns && !ps->stopped && !lp_http_gone(req)) {
        (void)lp_cond_wait_until(&ps->changed, &ps->mu, LP_MIN(until_ns, now + GONE_NS));
        now = lp_mono_ns();
    }
    lp_unlock(&ps->mu);
}
