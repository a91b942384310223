/*
 * exec_scan.c - the keys of the best rows: one round over the parts (exec_round.c).
 *
 * Parts are taken in query direction, so once the best are full and the next part cannot hold a better row,
 * no later one can. While a part is scanned its range is narrowed to rows that can still count; lines are
 * decoded for these alone.
 *
 * Threads: the round's lock guards `best`.
 */
#include <string.h>

#include "query/exec_int.h"

#define CHECK_ROWS 1024 /* rows between looks at deadline, cancel flag and what others found */
#define LOCAL_HITS 512  /* hits a worker gathers before it takes the lock */

struct search {
    struct lp_exec *x;
    int64_t from_ns, to_ns;
    const struct lp_key *after;
    struct lp_best *best;
    _Atomic int64_t edge_ns; /* rows beyond this time cannot count any more */
};

/* A worker's own. */
struct finds {
    struct lp_row_pipe pipe;
    bool has_pipe;
    unsigned steps;
    size_t nhits;
    struct lp_hit hits[LOCAL_HITS];
};

/* Hands the worker's hits over, and learns what still counts. */
static void
flush(struct search *r, struct lp_worker *w)
{
    struct finds *f = w->own;
    if (f->nhits == 0) {
        return;
    }
    lp_round_lock(w->round);
    lp_best_add(r->best, f->hits, f->nhits);
    if (r->best->full) {
        atomic_store_explicit(&r->edge_ns, r->best->worst.time_ns, memory_order_relaxed);
    }
    lp_round_unlock(w->round);
    f->nhits = 0;
}

static void
narrow(const struct search *r, struct lp_scan *s)
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
consider(const struct search *r, struct lp_worker *w, struct lp_scan *s, const struct lp_scan_row *row,
         bool *ret_hit, struct lp_err *err)
{
    struct lp_exec *x = r->x;
    struct finds *f = w->own;
    struct lp_hit *h = &f->hits[f->nhits];
    *h = (struct lp_hit){row->time_ns, row->generation, row->arrival, w->part, row->stream};
    *ret_hit = false;
    if (r->after != NULL) {
        int order = lp_hit_key_cmp(x, h, r->after);
        if (x->q->backward ? order >= 0 : order <= 0) {
            return LP_OK;
        }
    }
    bool stored = x->parts[w->part].seg != NULL;
    w->stats.stored_lines += stored;
    w->stats.head_lines += !stored;
    bool filtered = !x->unfiltered && !row->sure;
    if (filtered || x->pass != NULL) {
        struct lp_str line = LP_STR_NULL;
        lp_rc rc = !filtered ? lp_row_pipe_excerpt(&f->pipe, s, &line, err) : LP_OK;
        rc = rc == LP_OK && line.p == NULL ? lp_scan_line(s, &line, err) : rc;
        if (rc != LP_OK) {
            return rc;
        }
        w->stats.head_bytes += stored ? 0 : line.n;
        if (filtered && !lp_linefilter_match(x->filter, line)) {
            return LP_OK;
        }
        if (x->pass != NULL) {
            struct lp_pipe_out out;
            rc = lp_row_pipe_run(x, &f->pipe, s, row->time_ns, row->stream, line, NULL, &out, err);
            if (rc != LP_OK || !out.passed) {
                return rc;
            }
        }
    }
    w->stats.passed_lines++;
    *ret_hit = true;
    return LP_OK;
}

static lp_rc
scan_rows(struct search *r, struct lp_worker *w, struct lp_scan *s, struct lp_err *err)
{
    const struct lp_search *q = r->x->q;
    const size_t full = LP_MIN((size_t)LOCAL_HITS, q->limit);
    struct finds *f = w->own;
    struct lp_scan_row row;
    narrow(r, s);
    lp_rc rc = lp_exec_start(r->x, s, err);
    while (rc == LP_OK && lp_scan_next(s, &row)) {
        bool hit;
        if (++f->steps % CHECK_ROWS == 0) {
            rc = lp_exec_check(q->deadline_ns, q->cancel, err);
            narrow(r, s);
            if (rc != LP_OK) {
                break;
            }
        }
        rc = consider(r, w, s, &row, &hit, err);
        if (rc == LP_OK && hit && ++f->nhits >= full) {
            flush(r, w);
            narrow(r, s);
        }
    }
    lp_exec_count_passed(s, r->x->parts[w->part].seg != NULL, &w->stats);
    return rc;
}

static lp_rc
scan_part(void *arg, struct lp_worker *w, struct lp_err *err)
{
    struct search *r = arg;
    struct lp_exec *x = r->x;
    const struct lp_part *p = &x->parts[w->part];
    struct lp_scan *s;
    struct lp_block *block;
    struct finds *f = w->own;
    if (!f->has_pipe) {
        lp_row_pipe_begin(&f->pipe, x->pass);
        f->has_pipe = true;
    }
    lp_row_pipe_part(&f->pipe);
    lp_rc rc = lp_exec_open(x, p, w->codec, r->from_ns, r->to_ns, x->q->backward, &s, &block, err);
    if (rc == LP_OK) {
        rc = scan_rows(r, w, s, err);
        lp_exec_close(x, p, s, block);
    }
    w->stats.blocks += p->seg != NULL;
    w->stats.head_parts += p->seg == NULL;
    flush(r, w);
    return rc;
}

static void
end_finds(void *own)
{
    struct finds *f = own;
    if (f->has_pipe) {
        lp_row_pipe_end(&f->pipe);
    }
}

/* Can the part hold a row of this round that is better than the worst of the best? */
static bool
can_count(void *arg, const struct lp_part *p)
{
    const struct search *r = arg;
    if (p->max_ns < r->from_ns || p->min_ns >= r->to_ns) {
        return false;
    }
    if (!r->best->full) {
        return true;
    }
    return r->best->backward ? p->max_ns >= r->best->worst.time_ns : p->min_ns <= r->best->worst.time_ns;
}

lp_rc
lp_exec_scan(struct lp_exec *x, int64_t from_ns, int64_t to_ns, const struct lp_key *after,
             struct lp_best *best, struct lp_err *err)
{
    struct search r = {.x = x, .from_ns = from_ns, .to_ns = to_ns, .after = after, .best = best};
    r.edge_ns = x->q->backward ? LP_TIME_MIN : LP_TIME_MAX;
    struct lp_round_task task = {.x = x,
                                 .arg = &r,
                                 .own_bytes = sizeof(struct finds),
                                 .wants = can_count,
                                 .scan = scan_part,
                                 .end = end_finds};
    lp_rc rc = lp_round_run(&task, err);
    if (rc == LP_OK) {
        lp_best_finish(best);
        rc = lp_exec_order_failed(x, err);
    }
    return rc;
}
