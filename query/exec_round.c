/*
 * exec_round.c - one round over the parts of a view: shared out between the calling thread and those helpers
 * that find a worker of the pool free.
 *
 * What is done with a part is the task's (struct lp_round_task); here is who takes which part, when it ends,
 * and what of it failed. A damaged part is counted and left out; any other error ends the round.
 *
 * Threads: a round is shared by reference count, because a helper that is queued behind other work may begin
 * when the round is long over; it then sees `closed` and leaves. What the task points to is touched only by
 * the caller, and by helpers that began before the round closed, for which the caller waits. Lock:
 * LP_LOCK_QUERY guards all of the round, and what the task says it does.
 */
#include <string.h>

#include "query/exec_int.h"
#include "query/turn.h"

struct lp_round {
    _Atomic unsigned refs;
    struct lp_mutex mu;
    struct lp_cond idle;
    bool closed;
    unsigned helping; /* helpers at work */
    struct lp_round_task task;
    const struct lp_turn *turn; /* the caller's */
    size_t next;                /* index into the order of parts */
    uint64_t bytes;             /* read so far */
    lp_rc rc;
    struct lp_err err;
};

static void
unref(struct lp_round *r)
{
    if (atomic_fetch_sub(&r->refs, 1) == 1) {
        lp_cond_destroy(&r->idle);
        lp_mutex_destroy(&r->mu);
        lp_free(r);
    }
}

void
lp_round_lock(struct lp_round *r)
{
    lp_lock(&r->mu);
}

void
lp_round_unlock(struct lp_round *r)
{
    lp_unlock(&r->mu);
}

static bool
take_part(struct lp_round *r, uint32_t *ret)
{
    const struct lp_exec *x = r->task.x;
    bool taken = false;
    lp_lock(&r->mu);
    while (!taken && r->rc == LP_OK && r->next < x->nparts) {
        *ret = x->order[r->next++];
        const struct lp_part *p = &x->parts[*ret];
        taken = r->task.wants(r->task.arg, p);
        if (taken && x->plan != NULL && p->seg != NULL &&
            lp_match_plan_excludes(x->plan, p->seg_number, p->seg, p->block)) {
            r->task.x->stats.stored_lines += p->rows;
            taken = false;
        }
    }
    lp_unlock(&r->mu);
    return taken;
}

static uint64_t
bytes_of(const struct lp_worker *w)
{
    return w->stats.head_bytes + w->stats.stored_bytes;
}

lp_rc
lp_exec_over_scan(struct lp_exec *x, uint64_t bytes, struct lp_err *err)
{
    uint64_t most = x->q->scan_bytes;
    if (most == 0 || bytes <= most) {
        return LP_OK;
    }
    atomic_store(&x->scanned_out, true);
    return lp_err_set(err, LP_ERR_LIMIT,
                      "the query reads more than the %llu MiB that a query may; ask for a shorter range, or "
                      "add label matchers",
                      (unsigned long long)(most >> 20));
}

static lp_rc
count_bytes(struct lp_round *r, uint64_t bytes, struct lp_err *err)
{
    lp_lock(&r->mu);
    r->bytes += bytes;
    bytes = r->bytes;
    lp_unlock(&r->mu);
    return lp_exec_over_scan(r->task.x, bytes, err);
}

static lp_rc
scan_part(struct lp_worker *w, struct lp_err *err)
{
    struct lp_exec *x = w->x;
    lp_rc rc = lp_exec_check(x->q->deadline_ns, x->q->cancel, err);
    if (rc != LP_OK) {
        return rc;
    }
    uint64_t before = bytes_of(w);
    rc = w->round->task.scan(w->round->task.arg, w, err);
    if (rc == LP_OK) {
        rc = count_bytes(w->round, bytes_of(w) - before, err);
    }
    if (lp_exec_is_damage(rc)) {
        lp_lock(&w->round->mu);
        lp_exec_note_damage(x, err);
        lp_unlock(&w->round->mu);
        return LP_OK;
    }
    return rc;
}

static void
add_stats(struct lp_search_stats *to, const struct lp_search_stats *from)
{
    to->head_lines += from->head_lines;
    to->head_bytes += from->head_bytes;
    to->stored_lines += from->stored_lines;
    to->stored_bytes += from->stored_bytes;
    to->passed_lines += from->passed_lines;
    to->meta_bytes += from->meta_bytes;
    to->blocks += from->blocks;
    to->head_parts += from->head_parts;
}

static void
work(struct lp_round *r)
{
    struct lp_worker w = {.round = r, .x = r->task.x, .codec = lp_codec_new()};
    struct lp_err err;
    lp_rc rc = LP_OK;
    lp_err_clear(&err);
    w.own = lp_calloc(1, r->task.own_bytes);
    while (rc == LP_OK && take_part(r, &w.part)) {
        rc = scan_part(&w, &err);
    }
    if (r->task.end != NULL) {
        r->task.end(w.own);
    }
    lp_lock(&r->mu);
    add_stats(&r->task.x->stats, &w.stats);
    if (rc != LP_OK && r->rc == LP_OK) {
        r->rc = rc;
        r->err = err;
    }
    lp_unlock(&r->mu);
    lp_codec_free(w.codec);
    lp_free(w.own);
}

static void
help(void *arg)
{
    struct lp_round *r = arg;
    struct lp_turn turn;
    lp_lock(&r->mu);
    bool late = r->closed;
    r->helping += !late;
    lp_unlock(&r->mu);
    if (!late) {
        if (lp_turn_help(&turn, r->turn)) { /* else others need the processors more */
            work(r);
            lp_turn_end(&turn);
        }
        lp_lock(&r->mu);
        r->helping--;
        lp_cond_signal(&r->idle);
        lp_unlock(&r->mu);
    }
    unref(r);
}

/* Asks for help where there are parts to share and no other query is waiting for the workers. */
static void
ask_help(struct lp_round *r)
{
    const struct lp_exec *x = r->task.x;
    struct lp_pool *pool = x->q->pool;
    if (pool == NULL || x->nparts < 2 || lp_pool_waiting(pool) > 0) {
        return;
    }
    size_t n = LP_MIN((size_t)lp_pool_threads(pool) - 1, x->nparts - 1);
    n = LP_MIN(n, (size_t)lp_turn_helpers(r->turn));
    for (size_t i = 0; i < n; i++) {
        atomic_fetch_add(&r->refs, 1);
        if (lp_pool_try(pool, help, r) != LP_OK) {
            unref(r);
            return;
        }
    }
}

lp_rc
lp_round_run(const struct lp_round_task *task, struct lp_err *err)
{
    struct lp_round *r = lp_calloc(1, sizeof(*r));
    r->refs = 1;
    lp_mutex_init(&r->mu, LP_LOCK_QUERY);
    lp_cond_init(&r->idle);
    r->task = *task;
    r->turn = lp_turn_current();
    ask_help(r);
    work(r);
    lp_lock(&r->mu);
    r->closed = true;
    while (r->helping > 0) {
        lp_cond_wait(&r->idle, &r->mu);
    }
    lp_rc rc = r->rc;
    if (rc != LP_OK && err != NULL) {
        *err = r->err;
    }
    lp_unlock(&r->mu);
    unref(r);
    return rc;
}
