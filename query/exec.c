/*
 * exec.c - a search from its query to the rows found: view and parts, rounds of scanning, the lines of the
 * rows, the place of the last. One thread, but for the helpers inside lp_exec_scan.
 *
 * With an interval the answer is not the n best rows but each time the first row at least so far behind the
 * one before: small rounds over the same view, each beginning where the next row may be.
 */
#include "query/exec.h"

#include <stdlib.h>
#include <string.h>

#include "base/metrics.h"
#include "query/exec_int.h"
#include "query/turn.h"

#define CACHE_BYTES (8u << 20)
#define INTERVAL_ROUND 64 /* rows looked for in one round: many are thrown away where rows are dense */

/* ------------------------------------------------------------------ shared tools */

lp_rc
lp_exec_prog(const struct lp_log_query *log, const struct lp_unwrap *unwrap, const struct lp_pipe_need *need,
             struct lp_pipe_prog **ret, struct lp_err *err)
{
    return lp_pipe_prog_new(log, lp_linefilter_run(log->stages, log->nstages), unwrap, need, ret, err);
}

lp_rc
lp_exec_check(int64_t deadline_ns, const _Atomic bool *cancel, struct lp_err *err)
{
    if (cancel != NULL && atomic_load_explicit(cancel, memory_order_relaxed)) {
        return lp_err_set(err, LP_ERR_CANCELED, "the client has gone");
    }
    int64_t now_ns = lp_mono_ns();
    lp_turn_check(now_ns);
    if (now_ns >= deadline_ns) {
        return lp_err_set(
            err, LP_ERR_TIMEOUT,
            "request timed out, decrease the duration of the request or add more label matchers "
            "(prefer exact match over regex match) to reduce the amount of data processed");
    }
    return LP_OK;
}

bool
lp_exec_memory_taken(const struct lp_arena_share *share, struct lp_err *err)
{
    size_t most = share != NULL ? __atomic_load_n(&share->most, __ATOMIC_RELAXED) : SIZE_MAX;
    if (share == NULL || __atomic_load_n(&share->used, __ATOMIC_RELAXED) < most - most / 8) {
        return false;
    }
    (void)lp_err_set(err, LP_ERR_BUSY,
                     "the %zu MiB of memory for all queries together are taken; try again, or ask for less",
                     most >> 20);
    return true;
}

bool
lp_exec_is_damage(lp_rc rc)
{
    return rc == LP_ERR_CORRUPT || rc == LP_ERR_UNSUPPORTED || rc == LP_ERR_IO;
}

void
lp_exec_note_damage(struct lp_exec *x, const struct lp_err *err)
{
    x->stats.damaged++;
    if (x->damage[0] == 0 && err != NULL) {
        memcpy(x->damage, err->text, sizeof(x->damage));
    }
}

lp_rc
lp_exec_open(struct lp_exec *x, const struct lp_part *p, struct lp_codec *codec, int64_t from_ns,
             int64_t to_ns, bool backward, struct lp_scan **ret, struct lp_block **ret_block,
             struct lp_err *err)
{
    struct lp_block *block = NULL;
    lp_rc rc;
    if (p->seg == NULL || x->cache == NULL) {
        rc = lp_scan_open(x->view, p, codec, from_ns, to_ns, backward, ret, err);
    } else {
        rc = lp_block_cache_take(x->cache, p->seg, p->block, &block, err);
        if (rc == LP_OK) {
            rc = lp_scan_open_on(x->view, p, block, codec, from_ns, to_ns, backward, ret, err);
            if (rc != LP_OK) {
                lp_block_cache_give(x->cache, p->seg, p->block, block);
            }
        }
    }
    *ret_block = block;
    return rc;
}

/* Whether the search should end: asked by the store while it looks through a block. */
static bool
should_stop(void *arg)
{
    const struct lp_search *q = arg;
    return lp_exec_check(q->deadline_ns, q->cancel, NULL) != LP_OK;
}

lp_rc
lp_exec_start(const struct lp_exec *x, struct lp_scan *s, struct lp_err *err)
{
    lp_rc rc = lp_scan_start(s, x->plan, should_stop, (void *)(uintptr_t)x->q, err);
    lp_rc ended = rc == LP_ERR_CANCELED ? lp_exec_check(x->q->deadline_ns, x->q->cancel, err) : LP_OK;
    return ended != LP_OK ? ended : rc; /* which of the two it was */
}

void
lp_exec_count_passed(const struct lp_scan *s, bool stored, struct lp_search_stats *st)
{
    uint64_t lines, bytes;
    lp_scan_stats(s, &lines, &bytes);
    *(stored ? &st->stored_lines : &st->head_lines) += lines;
    *(stored ? &st->stored_bytes : &st->head_bytes) += bytes;
}

void
lp_exec_close(struct lp_exec *x, const struct lp_part *p, struct lp_scan *s, struct lp_block *block)
{
    lp_scan_close(s);
    if (block != NULL) {
        lp_block_cache_give(x->cache, p->seg, p->block, block);
    }
}

/* ------------------------------------------------------------------ a search */

static int
newest_first(const void *va, const void *vb, void *arg)
{
    const struct lp_part *parts = arg;
    const struct lp_part *a = &parts[*(const uint32_t *)va], *b = &parts[*(const uint32_t *)vb];
    return (a->max_ns < b->max_ns) - (a->max_ns > b->max_ns);
}

static int
oldest_first(const void *va, const void *vb, void *arg)
{
    const struct lp_part *parts = arg;
    const struct lp_part *a = &parts[*(const uint32_t *)va], *b = &parts[*(const uint32_t *)vb];
    return (a->min_ns > b->min_ns) - (a->min_ns < b->min_ns);
}

void
lp_exec_order_parts(const struct lp_exec *x, bool backward, uint32_t *order)
{
    for (size_t i = 0; i < x->nparts; i++) {
        order[i] = (uint32_t)i;
    }
    if (x->nparts > 1) {
        qsort_r(order, x->nparts, sizeof(*order), backward ? newest_first : oldest_first,
                (void *)(uintptr_t)x->parts);
    }
}

lp_rc
lp_exec_begin(struct lp_exec *x, int64_t from_ns, int64_t to_ns, struct lp_err *err)
{
    const struct lp_search *q = x->q;
    size_t damaged = 0;
    lp_rc rc = lp_linefilter_new(q->log->stages, lp_linefilter_run(q->log->stages, q->log->nstages),
                                 &x->filter, err);
    if (rc == LP_OK) {
        x->unfiltered = lp_linefilter_passes_all(x->filter);
        rc = lp_exec_check(q->deadline_ns, q->cancel, err); /* may wait: before there is a transaction */
    }
    if (rc == LP_OK) {
        rc = lp_exec_view(q->store, q->tenant, &q->log, 1, q->filter, q->budget_bytes, &x->view, err);
    }
    if (rc == LP_OK && q->last_generation > 0) {
        lp_view_generations(x->view, q->first_generation, q->last_generation);
    }
    if (rc == LP_OK) {
        struct lp_err damage;
        lp_err_clear(&damage);
        rc = lp_view_parts(x->view, from_ns, to_ns, x->runs && x->unfiltered, &x->parts, &x->nparts, &damaged,
                           &damage);
        for (size_t i = 0; i < damaged; i++) {
            lp_exec_note_damage(x, &damage);
        }
        if (rc != LP_OK && err != NULL) {
            *err = damage;
        }
    }
    if (rc != LP_OK) {
        return rc;
    }
    if (!x->unfiltered) {
        x->plan = lp_match_plan_new(lp_linefilter_pred(x->filter));
        lp_view_bind(x->view, x->plan);
    }
    x->stats.streams = lp_view_nstreams(x->view);
    for (size_t i = 0; i < x->nparts; i++) {
        x->stats.all_blocks += x->parts[i].seg != NULL;
    }
    x->order = lp_malloc(x->nparts * sizeof(*x->order));
    lp_exec_order_parts(x, q->backward, x->order);
    return LP_OK;
}

void
lp_exec_end(struct lp_exec *x)
{
    lp_match_plan_free(x->plan);
    lp_pipe_prog_free(x->pass);
    lp_linefilter_free(x->filter);
    lp_free(x->order);
}

void
lp_exec_account(const struct lp_search_stats *st, lp_rc rc)
{
    lp_metric_add(LP_M_QUERIES, 1);
    lp_metric_add(LP_M_QUERY_BLOCKS, (int64_t)st->blocks);
    lp_metric_add(LP_M_QUERY_LINES, (int64_t)(st->head_lines + st->stored_lines));
    lp_metric_add(LP_M_QUERY_CANCELED, rc == LP_ERR_CANCELED || rc == LP_ERR_TIMEOUT);
    lp_metric_observe(LP_M_QUERY_DURATION, st->duration_ns);
}

/* Adds to `out` the rows of one round that keep the interval; returns false when the round was the last. */
static bool
thin(const struct lp_search *q, const struct lp_best *round, struct lp_best *out, int64_t *from_ns,
     int64_t *to_ns)
{
    for (size_t i = 0; i < round->n && out->n < q->limit; i++) {
        int64_t t = round->v[i].time_ns;
        if (t >= *from_ns && t < *to_ns) {
            lp_best_add(out, &round->v[i], 1);
            bool end = q->backward ? __builtin_sub_overflow(t, q->interval_ns - 1, to_ns)
                                   : __builtin_add_overflow(t, q->interval_ns, from_ns);
            if (end) {
                return false;
            }
        }
    }
    return round->n == round->limit && out->n < q->limit;
}

static lp_rc
scan_by_interval(struct lp_exec *x, int64_t from_ns, int64_t to_ns, struct lp_best *out, struct lp_err *err)
{
    lp_rc rc = LP_OK;
    bool more = true;
    while (rc == LP_OK && more && from_ns < to_ns) {
        struct lp_best round;
        lp_best_init(&round, x, INTERVAL_ROUND, x->q->backward);
        rc = lp_exec_scan(x, from_ns, to_ns, NULL, &round, err);
        more = rc == LP_OK && thin(x->q, &round, out, &from_ns, &to_ns);
        lp_best_clear(&round);
    }
    lp_best_finish(out);
    return rc == LP_OK ? lp_exec_order_failed(x, err) : rc;
}

static lp_rc
find_hits(struct lp_exec *x, int64_t from_ns, int64_t to_ns, struct lp_best *best, struct lp_err *err)
{
    const struct lp_search *q = x->q;
    struct lp_key after;
    if (lp_linefilter_passes_none(x->filter)) {
        return LP_OK;
    }
    if (q->after != NULL) {
        lp_rc rc = lp_exec_place_key(x, q->after, &after, err);
        return rc == LP_OK ? lp_exec_scan(x, from_ns, to_ns, &after, best, err) : rc;
    }
    if (q->interval_ns > 0) {
        return scan_by_interval(x, from_ns, to_ns, best, err);
    }
    return lp_exec_scan(x, from_ns, to_ns, NULL, best, err);
}

/* The range behind the place. */
static void
range_of(const struct lp_search *q, int64_t *ret_from_ns, int64_t *ret_to_ns)
{
    *ret_from_ns = q->from_ns;
    *ret_to_ns = q->to_ns;
    if (q->after != NULL && !q->backward) {
        *ret_from_ns = LP_MAX(q->from_ns, q->after->time_ns);
    } else if (q->after != NULL && q->after->time_ns < LP_TIME_MAX) {
        *ret_to_ns = LP_MIN(q->to_ns, q->after->time_ns + 1);
    }
}

lp_rc
lp_exec_pass(struct lp_exec *x, struct lp_err *err)
{
    const struct lp_pipe_need nothing = {.all = false};
    lp_rc rc = lp_exec_prog(x->q->log, NULL, &nothing, &x->pass, err);
    if (rc == LP_OK && !lp_pipe_filters(x->pass)) {
        lp_pipe_prog_free(x->pass);
        x->pass = NULL;
    }
    return rc;
}

static bool
wants_context(const struct lp_search *q)
{
    return q->context_before > 0 || q->context_after > 0;
}

/* Time and bytes that are spent are no error where what was found will do: rc becomes LP_OK, and the result
 * says why it is cut. */
static lp_rc
cut_short(struct lp_exec *x, lp_rc rc, struct lp_found *ret, struct lp_err *err)
{
    bool spent = rc == LP_ERR_TIMEOUT || (rc == LP_ERR_LIMIT && atomic_load(&x->scanned_out));
    if (x->q->grace_ns == 0 || !spent) {
        return rc;
    }
    if (ret->cut[0] == 0) {
        memcpy(ret->cut, err->text, sizeof(ret->cut));
        x->cut_rc = rc;
    }
    lp_err_clear(err);
    return LP_OK;
}

/* Lines are read with the grace that the query gives to them. */
static lp_rc
fetch_late(struct lp_exec *x, const struct lp_around *rows, struct lp_found *ret, size_t *ret_used,
           struct lp_err *err)
{
    const struct lp_search *q = x->q;
    struct lp_search late = *q;
    int64_t from_ns = LP_MAX(q->deadline_ns, lp_mono_ns()); /* the last part may have taken longer */
    if (q->grace_ns > 0 && __builtin_add_overflow(from_ns, q->grace_ns, &late.deadline_ns)) {
        late.deadline_ns = INT64_MAX;
    }
    x->q = &late;
    lp_rc rc = lp_exec_fetch(x, rows, ret, ret_used, err);
    x->q = q;
    return rc;
}

/* The lines of the hits, and of what is around them. */
static lp_rc
fetch(struct lp_exec *x, const struct lp_best *best, struct lp_found *ret, struct lp_err *err)
{
    const struct lp_search *q = x->q;
    const struct lp_around hits = {.v = best->v, .n = best->n};
    struct lp_around around = {.n = 0};
    bool full = best->n == q->limit || ret->cut[0] != 0;
    size_t used = 0;
    lp_rc rc = LP_OK;
    if (wants_context(q) && ret->cut[0] == 0) {
        rc = cut_short(x, lp_exec_context(x, best->v, best->n, full, &around, err), ret, err);
    }
    const struct lp_around *rows = around.n > 0 ? &around : &hits;
    rc = rc == LP_OK ? fetch_late(x, rows, ret, &used, err) : rc;
    lp_around_clear(&around);
    ret->used = wants_context(q) ? best->n : used;
    ret->more = full || ret->used < best->n;
    return rc;
}

static lp_rc
find(struct lp_exec *x, int64_t from_ns, int64_t to_ns, struct lp_best *best, struct lp_found *ret,
     struct lp_err *err)
{
    lp_rc rc = wants_context(x->q) ? lp_exec_begin(x, x->q->from_ns, x->q->to_ns, err)
                                   : lp_exec_begin(x, from_ns, to_ns, err);
    rc = rc == LP_OK ? lp_exec_pass(x, err) : rc;
    rc = rc == LP_OK ? find_hits(x, from_ns, to_ns, best, err) : rc;
    rc = cut_short(x, rc, ret, err);
    if (rc == LP_OK && ret->cut[0] != 0) {
        lp_best_finish(best);
        rc = lp_exec_order_failed(x, err);
    }
    return rc;
}

static lp_rc
run(struct lp_exec *x, struct lp_found *ret, struct lp_err *err)
{
    const struct lp_search *q = x->q;
    struct lp_best best;
    int64_t from_ns, to_ns;
    range_of(q, &from_ns, &to_ns);
    lp_best_init(&best, x, q->limit, q->backward);
    lp_rc rc = find(x, from_ns, to_ns, &best, ret, err);
    if (rc == LP_OK) {
        rc = fetch(x, &best, ret, err);
    }
    if (rc == LP_OK && ret->used > 0 && q->want_last) {
        rc = lp_exec_hit_place(x, &best.v[ret->used - 1], &ret->last, err);
    }
    if (rc == LP_OK && ret->used > 0 && q->want_first) {
        rc = lp_exec_hit_place(x, &best.v[0], &ret->first, err);
    }
    lp_best_clear(&best);
    return rc;
}

lp_rc
lp_search(const struct lp_search *q, struct lp_found *ret, struct lp_err *err)
{
    LP_ASSERT(q->limit > 0 && (q->interval_ns == 0 || q->after == NULL));
    LP_ASSERT(!wants_context(q) || (q->interval_ns == 0 && q->page_bytes == 0));
    struct lp_exec x = {.q = q, .cache = q->cache};
    struct lp_err local; /* what is damaged is told in the result, also where nobody wants errors */
    int64_t begin_ns = lp_mono_ns();
    lp_err_clear(&local);
    err = err != NULL ? err : &local;
    if (x.cache == NULL) {
        x.cache = lp_block_cache_new(CACHE_BYTES);
    }
    memset(ret, 0, sizeof(*ret));
    lp_arena_init(&ret->ar, q->budget_bytes, 1 << 16);
    lp_arena_join(&ret->ar, q->share);
    lp_rc rc = run(&x, ret, err);
    ret->view = x.view;
    ret->stats = x.stats;
    memcpy(ret->damage, x.damage, sizeof(ret->damage));
    lp_exec_end(&x);
    if (q->cache == NULL) {
        lp_block_cache_free(x.cache);
    } else {
        lp_block_cache_turn(x.cache);
    }
    ret->stats.duration_ns = lp_mono_ns() - begin_ns;
    lp_exec_account(&ret->stats, rc == LP_OK ? x.cut_rc : rc);
    if (rc != LP_OK) {
        lp_found_clear(ret);
    }
    return rc;
}

void
lp_found_clear(struct lp_found *f)
{
    lp_view_free(f->view);
    lp_arena_clear(&f->ar);
    memset(f, 0, sizeof(*f));
}

void
lp_found_reverse(struct lp_found *f)
{
    for (size_t i = 0; i < f->n / 2; i++) {
        struct lp_found_row r = f->rows[i];
        f->rows[i] = f->rows[f->n - 1 - i];
        f->rows[f->n - 1 - i] = r;
    }
}
