/*
 * maintain.c - the maintenance thread: it wakes when something was sealed, asked for, or some time has
 * passed.
 *
 * A merge that fails for want of space, or is given up at the stop, is chosen again later. One that fails
 * because an input cannot be read would fail for ever: inputs that do not hold what they should are left as
 * they are from then on, until the next start. Nothing damaged is rewritten or deleted.
 */
#include "store/maintain.h"

#include <string.h>

#include "base/metrics.h"
#include "store/maintain_int.h"

#define TICK_NS (LP_NS_PER_S / 2)
#define LOOK_NS (30 * LP_NS_PER_S)  /* between looks at all segments when nothing was sealed: days end */
#define TAIL_NS (300 * LP_NS_PER_S) /* how long a tail that was cut off finds what came meanwhile as it came */
#define RETRY_NS (60 * LP_NS_PER_S) /* after a merge that failed */

bool
lp_maintain_stopping(struct lp_maintain *m)
{
    lp_lock(&m->mu);
    bool stopping = m->stopping;
    lp_unlock(&m->mu);
    return stopping;
}

/* ------------------------------------------------------------------ what there is */

struct rows {
    struct lp_cat_segment *v;
    size_t n, cap;
};

static bool
take_row(void *arg, const struct lp_cat_segment *s)
{
    struct rows *r = arg;
    if (r->n == r->cap) {
        r->cap = r->cap ? r->cap * 2 : 256;
        r->v = lp_realloc(r->v, r->cap * sizeof(*r->v));
    }
    r->v[r->n++] = *s;
    return true;
}

static bool
has_id(const struct lp_ids *ids, uint64_t id)
{
    for (size_t i = 0; i < ids->n; i++) {
        if (ids->v[i] == id) {
            return true;
        }
    }
    return false;
}

static lp_rc
read_segments(struct lp_maintain *m, struct rows *ret, struct lp_err *err)
{
    struct lp_cat_txn *t;
    lp_rc rc = lp_cat_begin(m->st->cat, &t, err);
    if (rc != LP_OK) {
        return rc;
    }
    rc = lp_cat_segments(t, take_row, ret, err);
    lp_cat_end(t);
    for (size_t i = 0; i < ret->n; i++) {
        if (has_id(&m->unreadable, ret->v[i].id)) {
            ret->v[i].level = LP_LEVEL_FINAL; /* for the choice: it stays */
        }
    }
    uint64_t debt = lp_compact_debt(ret->v, ret->n);
    lp_metric_set(LP_M_COMPACTION_DEBT, (int64_t)debt);
    lp_lock(&m->mu);
    m->stats.debt_bytes = debt;
    lp_unlock(&m->mu);
    return rc;
}

/* ------------------------------------------------------------------ merges */

/* Which of the inputs are not what they should be? together: if none is found, it is all of them. */
static void
find_unreadable(struct lp_maintain *m, const struct lp_ids *inputs, bool together)
{
    size_t before = m->unreadable.n;
    for (size_t i = 0; i < inputs->n && !lp_maintain_stopping(m); i++) {
        struct lp_seg *seg;
        lp_rc rc = lp_store_segment(m->st, inputs->v[i], &seg, NULL);
        if (rc == LP_OK) {
            rc = lp_seg_prove(seg, NULL);
            lp_seg_unref(seg);
        }
        if (rc != LP_OK) {
            lp_ids_add(&m->unreadable, inputs->v[i]);
        }
    }
    bool none = m->unreadable.n == before;
    for (size_t i = 0; i < inputs->n && none && together; i++) {
        lp_ids_add(&m->unreadable, inputs->v[i]);
    }
}

static void
note_problem(struct lp_maintain *m, const struct lp_compact_pass *pass, lp_rc rc, const struct lp_err *err)
{
    if (rc == LP_ERR_CANCELED || rc == LP_ERR_SHUTDOWN || rc == LP_ERR_BUSY) {
        return;
    }
    lp_metric_add(LP_M_COMPACTION_FAILED, 1);
    lp_store_say(m->st, LP_EVENT_ERROR, "merging %zu segments failed: %s", pass->inputs.n, err->text);
    lp_lock(&m->mu);
    memcpy(m->stats.problem, err->text, sizeof(m->stats.problem));
    lp_unlock(&m->mu);
    if (rc == LP_ERR_CORRUPT || rc == LP_ERR_UNSUPPORTED || rc == LP_ERR_NOT_FOUND || rc == LP_ERR_IO) {
        find_unreadable(m, &pass->inputs, rc != LP_ERR_IO); /* the disk may have refused to write */
    }
}

/* Younger segments still say which batch each row came with, and somebody may ask. */
static int64_t
least_age(const struct lp_maintain *m, int64_t now_ns)
{
    int64_t tail_ns = atomic_load(&m->st->tail_ns);
    bool tail = tail_ns > 0 && now_ns - tail_ns < TAIL_NS;
    return LP_MAX(m->st->cfg.compact_age_ns, tail ? TAIL_NS : INT64_C(0));
}

/* The next merge that the policy wants. *ret_any: there was one. all: now, of generations up to `to`. */
static lp_rc
merge_next(struct lp_maintain *m, bool all, uint64_t to, bool *ret_any, struct lp_err *err)
{
    int64_t now_ns = lp_now_ns();
    struct lp_compact_policy policy = {.now_ns = now_ns,
                                       .min_age_ns = all ? 0 : least_age(m, now_ns),
                                       .settle_ns = m->st->cfg.compact_settle_ns,
                                       .all = all};
    struct lp_compact_pass pass;
    struct rows rows = {NULL, 0, 0};
    lp_rc rc = read_segments(m, &rows, err);
    size_t n = 0;
    for (size_t i = 0; i < rows.n; i++) {
        if (!all || rows.v[i].generation <= to) {
            rows.v[n++] = rows.v[i];
        }
    }
    *ret_any = rc == LP_OK && lp_compact_pick(rows.v, n, &policy, &pass);
    lp_free(rows.v);
    if (*ret_any) {
        rc = lp_maintain_merge(m, &pass, err);
        if (rc != LP_OK) {
            note_problem(m, &pass, rc, err);
        }
        lp_maintain_reap(m);
        lp_ids_clear(&pass.inputs);
    }
    return rc;
}

static void
compact_all(struct lp_maintain *m, uint64_t to, struct lp_err *err)
{
    bool any = true;
    size_t unreadable;
    lp_rc rc;
    do {
        lp_err_clear(err);
        unreadable = m->unreadable.n;
        rc = merge_next(m, true, to, &any, err);
        /* what cannot be read is left out, and the rest goes on */
    } while (any && (rc == LP_OK || m->unreadable.n > unreadable) && !lp_maintain_stopping(m));
    if (rc == LP_OK) {
        lp_err_clear(err);
        lp_lock(&m->mu);
        m->stats.problem[0] = 0;
        lp_unlock(&m->mu);
    }
}

/* ------------------------------------------------------------------ requests */

/* Answers calls of lp_maintain_compact that came before. */
static void
serve_compact(struct lp_maintain *m)
{
    struct lp_err err;
    lp_lock(&m->mu);
    uint64_t asked = m->asked, to = m->compact_to;
    bool any = asked > m->answered;
    lp_unlock(&m->mu);
    if (!any) {
        return;
    }
    compact_all(m, to, &err);
    lp_lock(&m->mu);
    m->answered = asked;
    m->compact_err = err;
    lp_cond_broadcast(&m->done);
    lp_unlock(&m->mu);
}

static void
serve_expire(struct lp_maintain *m)
{
    struct lp_err err;
    lp_lock(&m->mu);
    const struct lp_expire *what = m->expire;
    lp_unlock(&m->mu);
    if (what == NULL) {
        return;
    }
    lp_err_clear(&err);
    lp_rc rc = lp_maintain_do_expire(m, what, m->expired, &err);
    lp_lock(&m->mu);
    m->expire_rc = rc;
    if (m->expire_err != NULL) {
        *m->expire_err = err;
    }
    m->expire = NULL;
    m->expire_done = true;
    lp_cond_broadcast(&m->done);
    lp_unlock(&m->mu);
}

uint64_t
lp_maintain_ask(struct lp_maintain *m)
{
    struct lp_store_stats st;
    lp_store_stats(m->st, &st);
    lp_lock(&m->mu);
    uint64_t mine = ++m->asked;
    m->compact_to = LP_MAX(m->compact_to, st.sealed);
    lp_cond_broadcast(&m->wake);
    lp_unlock(&m->mu);
    return mine;
}

lp_rc
lp_maintain_compact(struct lp_maintain *m, int64_t deadline_ns, struct lp_err *err)
{
    bool in_time = true;
    lp_rc rc = LP_OK;
    uint64_t mine = lp_maintain_ask(m);
    lp_lock(&m->mu);
    while (m->answered < mine && in_time && !m->stopping) {
        in_time = lp_cond_wait_until(&m->done, &m->mu, deadline_ns);
    }
    if (m->answered < mine) {
        rc = in_time ? lp_err_set(err, LP_ERR_SHUTDOWN, "the server is stopping")
                     : lp_err_set(err, LP_ERR_TIMEOUT, "merging takes longer; it goes on");
    } else if (m->compact_err.rc != LP_OK) {
        rc = m->compact_err.rc;
        if (err != NULL) {
            *err = m->compact_err;
        }
    }
    lp_unlock(&m->mu);
    return rc;
}

lp_rc
lp_maintain_expire(struct lp_maintain *m, const struct lp_expire *what, struct lp_expired *ret,
                   struct lp_err *err)
{
    *ret = (struct lp_expired){.dropped = 0};
    lp_lock(&m->mu);
    while (m->expire != NULL && !m->stopping) { /* another one's */
        lp_cond_wait(&m->done, &m->mu);
    }
    lp_rc rc = LP_OK;
    if (m->stopping) {
        rc = lp_err_set(err, LP_ERR_SHUTDOWN, "the server is stopping");
    } else {
        m->expire = what;
        m->expired = ret;
        m->expire_err = err;
        m->expire_done = false;
        lp_cond_broadcast(&m->wake);
        while (!m->expire_done) { /* the thread ends it in any case: it looks at the stop between two steps */
            lp_cond_wait(&m->done, &m->mu);
        }
        rc = m->expire_rc;
    }
    lp_unlock(&m->mu);
    return rc;
}

/* ------------------------------------------------------------------ the thread */

/* Waits for a request, a seal, or the next tick. */
static void
wait_for_work(struct lp_maintain *m)
{
    lp_lock(&m->mu);
    if (!m->stopping && m->expire == NULL && m->asked == m->answered) {
        (void)lp_cond_wait_until(&m->wake, &m->mu, lp_mono_ns() + TICK_NS);
    }
    lp_unlock(&m->mu);
}

static void
maintain_main(void *arg)
{
    struct lp_maintain *m = arg;
    struct lp_store_stats st;
    uint64_t looked_at = UINT64_MAX; /* last generation when there was nothing to merge */
    int64_t look_ns = 0;
    while (!lp_maintain_stopping(m)) {
        serve_expire(m);
        serve_compact(m);
        lp_maintain_reap(m);
        lp_store_stats(m->st, &st);
        bool any = false;
        if (m->st->cfg.compact && (st.sealed != looked_at || lp_mono_ns() >= look_ns)) {
            struct lp_err err;
            lp_err_clear(&err);
            lp_rc rc = merge_next(m, false, 0, &any, &err);
            if (!any || rc != LP_OK) {
                looked_at = st.sealed;
                look_ns = lp_mono_ns() + (rc == LP_OK ? LOOK_NS : RETRY_NS);
            }
        }
        if (!any) {
            wait_for_work(m);
        }
    }
    serve_expire(m); /* who waits is told */
}

struct lp_maintain *
lp_maintain_start(struct lp_store *st)
{
    struct lp_maintain *m = lp_calloc(1, sizeof(*m));
    m->st = st;
    lp_mutex_init(&m->mu, LP_LOCK_MAINTAIN);
    lp_cond_init(&m->wake);
    lp_cond_init(&m->done);
    m->pool = lp_pool_new("compact", 1, 1);
    m->started = true;
    m->thread = lp_thread_start("maintain", maintain_main, m);
    return m;
}

void
lp_maintain_halt(struct lp_maintain *m)
{
    lp_lock(&m->mu);
    m->stopping = true;
    lp_cond_broadcast(&m->wake);
    lp_cond_broadcast(&m->done);
    lp_unlock(&m->mu);
}

void
lp_maintain_stop(struct lp_maintain *m)
{
    if (m == NULL || !m->started) {
        return;
    }
    lp_maintain_halt(m);
    lp_thread_join(m->thread);
    lp_pool_stop(m->pool);
    m->started = false;
}

void
lp_maintain_free(struct lp_maintain *m)
{
    if (m == NULL) {
        return;
    }
    lp_maintain_stop(m);
    lp_pool_free(m->pool);
    lp_free(m->gone);
    lp_ids_clear(&m->unreadable);
    lp_cond_destroy(&m->wake);
    lp_cond_destroy(&m->done);
    lp_mutex_destroy(&m->mu);
    lp_free(m);
}

void
lp_maintain_stats(struct lp_maintain *m, struct lp_maintain_stats *ret)
{
    lp_lock(&m->mu);
    *ret = m->stats;
    ret->asked = m->asked;
    ret->answered = m->answered;
    lp_unlock(&m->mu);
    ret->sealed_bytes = (uint64_t)lp_metric_get(LP_M_SEALED_BYTES);
}
