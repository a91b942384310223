/*
 * exec_scan.c - the keys of the best rows: one round over the parts, on the calling thread and those helpers
 * that find a worker of the pool free.
 *
 * Parts are taken in query direction, so once the best are full and the next part cannot hold a better row,
 * no later one can. While a part is scanned its range is narrowed to rows that can still count; lines are
 * decoded for these alone.
 *
 * Threads: a round is shared by reference count, because a helper that is queued behind other work may begin
 * when the round is long over; it then sees `closed` and leaves. What the round points to is touched only by
 * the caller, and by helpers that began before it closed, for which the caller waits. Lock: LP_LOCK_QUERY
 * guards all of the round but `edge_ns`.
 */
#include <string.h>

#include "query/exec_int.h"

#define CHECK_ROWS 1024 /* rows between looks at deadline, cancel flag and what others found */
#define LOCAL_HITS 512  /* hits a worker gathers before it takes the lock */

struct round {
    _Atomic unsigned refs;
    struct lp_mutex mu;
    struct lp_cond idle;
    bool closed;
    unsigned helping; /* helpers at work */
    struct lp_exec *x;
    int64_t from_ns, to_ns;
    const struct lp_key *after;
    struct lp_best *best;
    size_t next;             /* index into the order of parts */
    _Atomic int64_t edge_ns; /* rows beyond this time cannot count any more */
    lp_rc rc;
    struct lp_err err;
};

struct worker {
    struct round *r;
    struct lp_codec *codec;
    uint32_t part;
    unsigned steps;
    struct lp_search_stats stats;
    size_t nhits;
    struct lp_hit hits[LOCAL_HITS];
};

static void
unref(struct round *r)
{
    if (atomic_fetch_sub(&r->refs, 1) == 1) {
        lp_cond_destroy(&r->idle);
        lp_mutex_destroy(&r->mu);
        lp_free(r);
    }
}

/* Hands the worker's hits over, and learns what still counts. */
static void
flush(struct worker *w)
{
    struct round *r = w->r;
    if (w->nhits == 0) {
        return;
    }
    lp_lock(&r->mu);
    lp_best_add(r->best, w->hits, w->nhits);
    if (r->best->full) {
        atomic_store_explicit(&r->edge_ns, r->best->worst.time_ns, memory_order_relaxed);
    }
    lp_unlock(&r->mu);
    w->nhits = 0;
}

static void
narrow(const struct round *r, struct lp_scan *s)
{
    int64_t edge = atomic_load_explicit(&r->edge_ns, memory_order_relaxed);
    if (r->x->q->backward) {
        lp_scan_narrow(s, edge, LP_TIME_MAX);
    } else if (edge != LP_TIME_MAX) { /* equal times may still count, by the rest of the key */
        lp_scan_narrow(s, LP_TIME_MIN, edge + 1);
    }
}

/* One row: the cheap tests first. *ret_hit: it passed. */
static lp_rc
consider(struct worker *w, struct lp_scan *s, const struct lp_scan_row *row, bool *ret_hit,
         struct lp_err *err)
{
    const struct round *r = w->r;
    const struct lp_exec *x = r->x;
    struct lp_hit *h = &w->hits[w->nhits];
    h->key = (struct lp_key){row->time_ns, x->streams[row->stream].hash, row->generation, row->arrival};
    h->part = w->part;
    h->vstream = row->stream;
    *ret_hit = false;
    if (r->after != NULL && !lp_key_before(r->after, &h->key, x->q->backward)) {
        return LP_OK;
    }
    bool stored = x->parts[w->part].seg != NULL;
    w->stats.stored_lines += stored;
    w->stats.head_lines += !stored;
    if (!x->unfiltered && !row->sure) {
        struct lp_str line;
        lp_rc rc = lp_scan_line(s, &line, err);
        if (rc != LP_OK) {
            return rc;
        }
        w->stats.head_bytes += stored ? 0 : line.n;
        if (!lp_linefilter_match(x->filter, line)) {
            return LP_OK;
        }
    }
    w->stats.passed_lines++;
    *ret_hit = true;
    return LP_OK;
}

/* Whether the search should end: asked by the store while it looks through a block. */
static bool
should_stop(void *arg)
{
    const struct lp_search *q = arg;
    return lp_exec_check(q->deadline_ns, q->cancel, NULL) != LP_OK;
}

/* Leaves of a block only the rows that may pass. */
static lp_rc
require(struct worker *w, struct lp_scan *s, struct lp_err *err)
{
    const struct lp_exec *x = w->r->x;
    if (x->plan == NULL) {
        return LP_OK;
    }
    lp_rc rc = lp_scan_require(s, x->plan, should_stop, (void *)(uintptr_t)x->q, err);
    lp_rc ended = rc == LP_ERR_CANCELED ? lp_exec_check(x->q->deadline_ns, x->q->cancel, err) : LP_OK;
    return ended != LP_OK ? ended : rc; /* which of the two it was */
}

static lp_rc
scan_rows(struct worker *w, struct lp_scan *s, struct lp_err *err)
{
    const struct lp_search *q = w->r->x->q;
    const size_t full = LP_MIN((size_t)LOCAL_HITS, q->limit);
    struct lp_scan_row row;
    narrow(w->r, s);
    lp_rc rc = require(w, s, err);
    while (rc == LP_OK && lp_scan_next(s, &row)) {
        bool hit;
        if (++w->steps % CHECK_ROWS == 0) {
            rc = lp_exec_check(q->deadline_ns, q->cancel, err);
            narrow(w->r, s);
            if (rc != LP_OK) {
                break;
            }
        }
        rc = consider(w, s, &row, &hit, err);
        if (rc == LP_OK && hit && ++w->nhits >= full) {
            flush(w);
            narrow(w->r, s);
        }
    }
    uint64_t lines, bytes; /* of segments: only there rows are passed over */
    lp_scan_stats(s, &lines, &bytes);
    w->stats.stored_lines += lines;
    w->stats.stored_bytes += bytes;
    return rc;
}

static lp_rc
scan_part(struct worker *w, struct lp_err *err)
{
    struct lp_exec *x = w->r->x;
    const struct lp_part *p = &x->parts[w->part];
    struct lp_scan *s;
    struct lp_block *block;
    lp_rc rc = lp_exec_open(x, p, w->codec, w->r->from_ns, w->r->to_ns, x->q->backward, &s, &block, err);
    if (rc == LP_OK) {
        rc = scan_rows(w, s, err);
        lp_exec_close(x, p, s, block);
    }
    w->stats.blocks += p->seg != NULL;
    w->stats.head_parts += p->seg == NULL;
    flush(w);
    if (lp_exec_is_damage(rc)) {
        lp_lock(&w->r->mu);
        lp_exec_note_damage(x, err);
        lp_unlock(&w->r->mu);
        return LP_OK;
    }
    return rc;
}

/* Can the part hold a row of this round that is better than the worst of the best? */
static bool
can_count(const struct round *r, const struct lp_part *p)
{
    if (p->max_ns < r->from_ns || p->min_ns >= r->to_ns) {
        return false;
    }
    if (!r->best->full) {
        return true;
    }
    return r->best->backward ? p->max_ns >= r->best->worst.time_ns : p->min_ns <= r->best->worst.time_ns;
}

static bool
take_part(struct round *r, uint32_t *ret)
{
    bool taken = false;
    lp_lock(&r->mu);
    while (!taken && r->rc == LP_OK && r->next < r->x->nparts) {
        *ret = r->x->order[r->next++];
        taken = can_count(r, &r->x->parts[*ret]);
    }
    lp_unlock(&r->mu);
    return taken;
}

static void
add_stats(struct lp_search_stats *to, const struct lp_search_stats *from)
{
    to->head_lines += from->head_lines;
    to->head_bytes += from->head_bytes;
    to->stored_lines += from->stored_lines;
    to->stored_bytes += from->stored_bytes;
    to->passed_lines += from->passed_lines;
    to->blocks += from->blocks;
    to->head_parts += from->head_parts;
}

static void
work(struct round *r)
{
    struct worker *w = lp_malloc(sizeof(*w));
    struct lp_err err;
    lp_rc rc = LP_OK;
    lp_err_clear(&err);
    w->r = r;
    w->codec = lp_codec_new();
    w->steps = 0;
    w->nhits = 0;
    memset(&w->stats, 0, sizeof(w->stats));
    while (rc == LP_OK && take_part(r, &w->part)) {
        rc = lp_exec_check(r->x->q->deadline_ns, r->x->q->cancel, &err);
        if (rc == LP_OK) {
            rc = scan_part(w, &err);
        }
    }
    lp_lock(&r->mu);
    add_stats(&r->x->stats, &w->stats);
    if (rc != LP_OK && r->rc == LP_OK) {
        r->rc = rc;
        r->err = err;
    }
    lp_unlock(&r->mu);
    lp_codec_free(w->codec);
    lp_free(w);
}

static void
help(void *arg)
{
    struct round *r = arg;
    lp_lock(&r->mu);
    bool late = r->closed;
    r->helping += !late;
    lp_unlock(&r->mu);
    if (!late) {
        work(r);
        lp_lock(&r->mu);
        r->helping--;
        lp_cond_signal(&r->idle);
        lp_unlock(&r->mu);
    }
    unref(r);
}

/* Asks for help where there are parts to share and no other query is waiting for the workers. */
static void
ask_help(struct round *r)
{
    struct lp_pool *pool = r->x->q->pool;
    if (pool == NULL || r->x->nparts < 2 || lp_pool_waiting(pool) > 0) {
        return;
    }
    size_t n = LP_MIN((size_t)lp_pool_threads(pool) - 1, r->x->nparts - 1);
    for (size_t i = 0; i < n; i++) {
        atomic_fetch_add(&r->refs, 1);
        if (lp_pool_try(pool, help, r) != LP_OK) {
            unref(r);
            return;
        }
    }
}

lp_rc
lp_exec_scan(struct lp_exec *x, int64_t from_ns, int64_t to_ns, const struct lp_key *after,
             struct lp_best *best, struct lp_err *err)
{
    struct round *r = lp_calloc(1, sizeof(*r));
    r->refs = 1;
    lp_mutex_init(&r->mu, LP_LOCK_QUERY);
    lp_cond_init(&r->idle);
    r->x = x;
    r->from_ns = from_ns;
    r->to_ns = to_ns;
    r->after = after;
    r->best = best;
    r->edge_ns = x->q->backward ? LP_TIME_MIN : LP_TIME_MAX;
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
    if (rc == LP_OK) {
        lp_best_finish(best);
    }
    return rc;
}
