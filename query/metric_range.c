/*
 * metric_range.c - a leaf: count_over_time, rate, bytes_over_time and bytes_rate over the lines of the store.
 *
 * A series has counters by step: a run of rows that is in the windows [lo, hi) adds to the counter of lo and
 * subtracts from that of hi, so that a prefix sum gives every window's count, however many windows a row is
 * in. Counts are whole numbers until the end, so the answer does not depend on the order in which rows are
 * added. Workers gather runs, and add them to the counters under the lock of their round. Runs of a block
 * that lie in one span are counted from its stream table.
 *
 * Where the parent is a sum, its grouping is applied to the labels here, which makes few series of many
 * before there are any. The metadata of lines is read only of streams where it could add to the labels that
 * stay.
 */
#include <string.h>

#include "query/metric_int.h"

#define LOCAL_RUNS 512        /* runs a worker gathers before it takes the lock */
#define META_BYTES (4u << 20) /* of one line, with the stream it is of */
#define NONE LP_LABELS_NONE

enum { MAY_UNKNOWN, MAY_NOT, MAY }; /* may the metadata of a stream's lines add to the labels that stay? */

struct counter {
    int64_t *rows;  /* steps + 1 differences; NULL: nothing was counted */
    int64_t *bytes; /* the same; NULL where bytes are not wanted */
};

struct leaf {
    const struct lp_metric_query *q;
    const struct lp_range_agg *agg;
    const struct lp_grouping *by; /* NULL: all labels stay */
    size_t max_series;
    struct lp_exec x;
    struct lp_windows windows;
    uint32_t first_step; /* of the first window */
    struct lp_rows_want want;
    _Atomic uint8_t *meta;       /* by stream: is metadata wanted, once that is known (MAY_*) */
    _Atomic uint32_t *of_stream; /* stream -> series without metadata, and 1, once that is known */
    /* under the round's lock */
    struct lp_arena ar;         /* counters */
    struct lp_arena scratch;    /* labels on their way */
    struct lp_label_index sets; /* the series; in the result's arena */
    struct counter *counters;   /* by series */
    size_t counters_cap;
};

/* Rows of one series that are in the windows [lo, hi). */
struct run {
    uint32_t series, lo, hi, rows;
    uint64_t bytes;
};

/* A worker's own. */
struct tally {
    struct lp_window_last last;
    size_t nruns;
    struct run runs[LOCAL_RUNS];
    struct lp_known_series known;
};

static bool
wants_bytes(const struct leaf *l)
{
    return l->agg->op == LP_RANGE_BYTES || l->agg->op == LP_RANGE_BYTES_RATE;
}

/* ------------------------------------------------------------------ series */

static lp_rc
over_budget(const struct leaf *l, struct lp_err *err)
{
    return lp_metric_over_budget(l->q, err);
}

/* The stream's labels; none where none of them stays. */
static lp_rc
labels_of(struct leaf *l, uint32_t stream, struct lp_pair ret[LP_STREAM_LABELS_MAX], size_t *ret_n,
          struct lp_err *err)
{
    const struct lp_vstream *s;
    *ret_n = 0;
    if (l->by != NULL && l->by->kind == LP_GROUP_NONE) {
        return LP_OK;
    }
    lp_rc rc = lp_view_stream(l->x.view, stream, &s, err);
    if (rc == LP_OK) {
        *ret_n = lp_stream_labels(s->key.labels, s->key.nlabels, ret);
    }
    return rc;
}

static lp_rc
wants_meta(void *arg, uint32_t stream, bool *ret, struct lp_err *err)
{
    struct leaf *l = arg;
    uint8_t may = atomic_load_explicit(&l->meta[stream], memory_order_relaxed);
    *ret = l->by == NULL;
    if (l->by != NULL && may == MAY_UNKNOWN) {
        struct lp_pair labels[LP_STREAM_LABELS_MAX];
        size_t n;
        lp_rc rc = labels_of(l, stream, labels, &n, err);
        if (rc != LP_OK) {
            return rc;
        }
        may = lp_grouping_wants_meta(l->by, labels, n) ? MAY : MAY_NOT;
        atomic_store_explicit(&l->meta[stream], may, memory_order_relaxed);
    }
    *ret = *ret || may == MAY;
    return LP_OK;
}

/* With the lock held: the series of lines with these labels and metadata. */
static lp_rc
add_series(struct leaf *l, const struct lp_pair *own, size_t n, const struct lp_rows_chunk *k, uint32_t *ret,
           struct lp_err *err)
{
    const struct lp_pair *labels = own;
    lp_arena_reset(&l->scratch);
    if (k->nmeta > 0 && !lp_labels_merge(&l->scratch, own, n, k->meta, k->nmeta, &labels, &n)) {
        return over_budget(l, err);
    }
    if (l->by != NULL) {
        struct lp_pair *left = lp_arena_array(&l->scratch, n, sizeof(*left));
        if (left == NULL) {
            return over_budget(l, err);
        }
        n = lp_grouping_labels(l->by, labels, n, left);
        labels = left;
    }
    *ret = lp_label_index_add(&l->sets, labels, n);
    if (*ret == NONE) {
        return over_budget(l, err);
    }
    return l->sets.n <= l->max_series ? LP_OK : lp_metric_too_many(l->q, err);
}

/* The series of the chunk's lines. The stream is read before the lock is taken. */
static lp_rc
find_series(struct leaf *l, struct lp_worker *w, const struct lp_rows_chunk *k, uint32_t *ret,
            struct lp_err *err)
{
    struct lp_pair labels[LP_STREAM_LABELS_MAX];
    size_t n;
    lp_rc rc = labels_of(l, k->stream, labels, &n, err);
    if (rc == LP_OK) {
        lp_round_lock(w->round);
        rc = add_series(l, labels, n, k, ret, err);
        lp_round_unlock(w->round);
    }
    return rc;
}

static lp_rc
series_by_meta(struct leaf *l, struct lp_worker *w, const struct lp_rows_chunk *k, uint32_t *ret,
               struct lp_err *err)
{
    struct tally *t = w->own;
    lp_known_begin(&t->known);
    lp_buf_add(&t->known.key, &k->stream, sizeof(k->stream));
    lp_known_pairs(&t->known, k->meta, k->nmeta);
    uint32_t *series_1 = lp_known_find(&t->known);
    if (series_1 == NULL) {
        return over_budget(l, err);
    }
    lp_rc rc = LP_OK;
    if (*series_1 == 0) {
        uint32_t series;
        rc = find_series(l, w, k, &series, err);
        *series_1 = rc == LP_OK ? series + 1 : 0;
    }
    *ret = *series_1 - 1;
    return rc;
}

static lp_rc
series_of(struct leaf *l, struct lp_worker *w, const struct lp_rows_chunk *k, uint32_t *ret,
          struct lp_err *err)
{
    if (k->nmeta > 0) {
        return series_by_meta(l, w, k, ret, err);
    }
    lp_rc rc = LP_OK;
    uint32_t known = atomic_load_explicit(&l->of_stream[k->stream], memory_order_relaxed);
    if (known > 0) {
        *ret = known - 1;
        return LP_OK;
    }
    rc = find_series(l, w, k, ret, err);
    if (rc == LP_OK) {
        atomic_store_explicit(&l->of_stream[k->stream], *ret + 1, memory_order_relaxed);
    }
    return rc;
}

/* ------------------------------------------------------------------ counting */

/* With the lock held. */
static bool
add_run(struct leaf *l, const struct run *r)
{
    size_t cells = (size_t)l->windows.n + 1;
    struct counter *c = &l->counters[r->series];
    if (c->rows == NULL) {
        c->bytes = wants_bytes(l) ? lp_arena_zalloc(&l->ar, cells * sizeof(*c->bytes)) : NULL;
        c->rows = lp_arena_zalloc(&l->ar, cells * sizeof(*c->rows));
        if (c->rows == NULL || (wants_bytes(l) && c->bytes == NULL)) {
            return false;
        }
    }
    c->rows[r->lo] += r->rows;
    c->rows[r->hi] -= r->rows;
    if (c->bytes != NULL) {
        c->bytes[r->lo] += (int64_t)r->bytes;
        c->bytes[r->hi] -= (int64_t)r->bytes;
    }
    return true;
}

/* With the lock held: there is a counter for each series. */
static bool
grow_counters(struct leaf *l)
{
    struct counter *grown =
        lp_arena_zgrow(&l->ar, l->counters, &l->counters_cap, l->sets.n, sizeof(*grown));
    l->counters = grown != NULL ? grown : l->counters;
    return grown != NULL;
}

static lp_rc
flush(struct leaf *l, struct lp_worker *w, struct lp_err *err)
{
    struct tally *t = w->own;
    bool ok = true;
    lp_round_lock(w->round);
    if (t->nruns > 0) {
        ok = grow_counters(l);
    }
    for (size_t i = 0; i < t->nruns && ok; i++) {
        ok = add_run(l, &t->runs[i]);
    }
    lp_round_unlock(w->round);
    t->nruns = 0;
    return ok ? LP_OK : over_budget(l, err);
}

static lp_rc
add(struct leaf *l, struct lp_worker *w, const struct run *r, struct lp_err *err)
{
    struct tally *t = w->own;
    struct run *last = t->nruns > 0 ? &t->runs[t->nruns - 1] : NULL;
    if (last != NULL && last->series == r->series && last->lo == r->lo && last->hi == r->hi &&
        last->rows <= UINT32_MAX - r->rows) {
        last->rows += r->rows;
        last->bytes += r->bytes;
        return LP_OK;
    }
    t->runs[t->nruns++] = *r;
    return t->nruns == LOCAL_RUNS ? flush(l, w, err) : LP_OK;
}

/* The first of the rising times [at, n) that is beyond `to`; times[at] is not. In ever larger steps, then by
 * halving. */
static uint32_t
run_end(const int64_t *times, uint32_t at, uint32_t n, int64_t to_ns)
{
    uint32_t step = 1, lo = at + 1;
    while (step < n - at && times[at + step] <= to_ns) {
        lo = at + step + 1;
        step *= 2;
    }
    uint32_t hi = LP_MIN(at + step, n);
    while (lo < hi) {
        uint32_t mid = lo + (hi - lo) / 2;
        if (times[mid] <= to_ns) {
            lo = mid + 1;
        } else {
            hi = mid;
        }
    }
    return lo;
}

static lp_rc
count_chunk(struct leaf *l, struct lp_worker *w, const struct lp_rows_chunk *k, struct lp_err *err)
{
    struct tally *t = w->own;
    struct run r = {.series = NONE};
    lp_rc rc = LP_OK;
    for (uint32_t i = 0, end; i < k->n && rc == LP_OK; i = end) {
        const struct lp_window_span *span = lp_windows_find(&l->windows, k->times[i], &t->last);
        end = run_end(k->times, i, k->n, span->to_ns);
        if (span->lo >= span->hi) {
            continue;
        }
        if (r.series == NONE) {
            rc = series_of(l, w, k, &r.series, err);
        }
        r.lo = span->lo;
        r.hi = span->hi;
        r.rows = end - i;
        r.bytes = 0;
        for (uint32_t at = i; at < end && k->line_bytes != NULL; at++) {
            r.bytes += k->line_bytes[at];
        }
        if (rc == LP_OK) {
            rc = add(l, w, &r, err);
        }
    }
    return rc;
}

static lp_rc
count_rows(struct leaf *l, struct lp_worker *w, struct lp_err *err)
{
    struct lp_rows *rows;
    struct lp_rows_chunk k;
    lp_rc rc = lp_rows_open(w, &l->want, &rows, err);
    if (rc != LP_OK) {
        return rc;
    }
    do {
        rc = lp_rows_next(rows, &k, err);
        if (rc == LP_OK) {
            rc = count_chunk(l, w, &k, err);
        }
    } while (rc == LP_OK && k.n > 0);
    lp_rows_close(rows);
    return rc;
}

/* ------------------------------------------------------------------ parts */

/* Do the stream table's times say which windows each run of the part is in, and is no more to be known? */
static lp_rc
is_told(struct leaf *l, struct tally *t, const struct lp_part *p, bool *ret, struct lp_err *err)
{
    lp_rc rc = LP_OK;
    *ret = p->seg != NULL && !p->own && !p->cut && l->x.unfiltered && !l->want.line_bytes;
    for (uint32_t i = 0; i < p->nruns && *ret && rc == LP_OK; i++) {
        const struct lp_part_run *r = &p->runs[i];
        bool meta = false;
        rc = wants_meta(l, r->stream, &meta, err);
        *ret = !meta && r->max_ns <= lp_windows_find(&l->windows, r->min_ns, &t->last)->to_ns;
    }
    return rc;
}

static lp_rc
count_told(struct leaf *l, struct lp_worker *w, const struct lp_part *p, struct lp_err *err)
{
    struct tally *t = w->own;
    lp_rc rc = LP_OK;
    for (uint32_t i = 0; i < p->nruns && rc == LP_OK; i++) {
        const struct lp_part_run *run = &p->runs[i];
        const struct lp_window_span *span = lp_windows_find(&l->windows, run->min_ns, &t->last);
        struct run r = {.lo = span->lo, .hi = span->hi, .rows = run->rows};
        struct lp_rows_chunk k = {.stream = run->stream};
        if (r.lo < r.hi) {
            rc = series_of(l, w, &k, &r.series, err);
            if (rc == LP_OK) {
                rc = add(l, w, &r, err);
            }
            w->stats.stored_lines += run->rows;
            w->stats.passed_lines += run->rows;
        }
    }
    return rc;
}

static lp_rc
scan_part(void *arg, struct lp_worker *w, struct lp_err *err)
{
    struct leaf *l = arg;
    struct tally *t = w->own;
    const struct lp_part *p = &l->x.parts[w->part];
    if (t->known.key.limit == 0) {
        lp_known_init(&t->known, META_BYTES);
    }
    bool told;
    lp_rc rc = is_told(l, t, p, &told, err);
    if (rc == LP_OK) {
        rc = told ? count_told(l, w, p, err) : count_rows(l, w, err);
    }
    if (rc == LP_OK || lp_exec_is_damage(rc)) { /* what was read of a damaged part is counted */
        struct lp_err full;
        lp_rc flushed = flush(l, w, &full);
        if (flushed != LP_OK) {
            *err = full;
            rc = flushed;
        }
    }
    return rc;
}

static void
end_worker(void *own)
{
    lp_known_clear(&((struct tally *)own)->known);
}

/* Not where all of it lies between two windows. */
static bool
wants_part(void *arg, const struct lp_part *p)
{
    const struct leaf *l = arg;
    struct lp_window_span span;
    if (p->max_ns < l->want.from_ns || p->min_ns >= l->want.to_ns) {
        return false;
    }
    lp_windows_span(&l->windows, p->min_ns, &span);
    return span.lo < span.hi || p->max_ns > span.to_ns;
}

/* ------------------------------------------------------------------ samples */

/* What the operation makes of a window. */
static double
value_of(const struct leaf *l, int64_t rows, int64_t bytes)
{
    double seconds = (double)l->agg->range.range_ns / 1e9;
    switch ((int)l->agg->op) {
    case LP_RANGE_RATE:
        return (double)rows / seconds;
    case LP_RANGE_BYTES:
        return (double)bytes;
    case LP_RANGE_BYTES_RATE:
        return (double)bytes / seconds;
    default:
        return (double)rows;
    }
}

static lp_rc
make_samples(struct leaf *l, struct lp_matrix *ret, struct lp_err *err)
{
    if (!lp_matrix_series(ret, &l->sets)) {
        return over_budget(l, err);
    }
    for (size_t i = 0; i < ret->n && i < l->counters_cap; i++) {
        const struct counter *c = &l->counters[i];
        int64_t rows = 0, bytes = 0;
        for (uint32_t k = 0; k < l->windows.n && c->rows != NULL; k++) {
            rows += c->rows[k];
            bytes += c->bytes != NULL ? c->bytes[k] : 0;
            if (rows > 0) {
                ret->series[i].has[l->first_step + k] = true;
                ret->series[i].v[l->first_step + k] = value_of(l, rows, bytes);
            }
        }
    }
    return LP_OK;
}

/* ------------------------------------------------------------------ the leaf as a whole */

static lp_rc
scan(struct leaf *l, struct lp_err *err)
{
    l->x.runs = !l->want.line_bytes; /* then runs in one span need not be read; with a filter, lp_exec_begin
                                        knows better */
    lp_rc rc = lp_exec_begin(&l->x, l->want.from_ns, l->want.to_ns, err);
    if (rc != LP_OK || lp_linefilter_passes_none(l->x.filter)) {
        return rc;
    }
    uint32_t nstreams = lp_view_nstreams(l->x.view); /* what nobody touches of these takes no memory */
    l->meta = lp_calloc(nstreams, sizeof(*l->meta));
    l->of_stream = lp_calloc(nstreams, sizeof(*l->of_stream));
    l->want.meta = wants_meta;
    l->want.arg = l;
    struct lp_round_task task = {.x = &l->x,
                                 .arg = l,
                                 .own_bytes = sizeof(struct tally),
                                 .wants = wants_part,
                                 .scan = scan_part,
                                 .end = end_worker};
    return lp_round_run(&task, err);
}

struct lp_search
lp_metric_search(const struct lp_metric_query *q, const struct lp_range_agg *agg)
{
    return (struct lp_search){.store = q->store,
                              .tenant = q->tenant,
                              .log = &agg->range.log,
                              .pool = q->pool,
                              .deadline_ns = q->deadline_ns,
                              .cancel = q->cancel,
                              .share = q->share,
                              .scan_bytes = q->scan_bytes,
                              .budget_bytes = q->budget_bytes};
}

static lp_rc
count(const struct lp_metric_query *q, const struct lp_range_agg *agg, const struct lp_grouping *by,
      size_t max_series, struct lp_matrix *ret, struct lp_err *err)
{
    const struct lp_search search = lp_metric_search(q, agg);
    struct leaf l = {.q = q, .agg = agg, .by = by, .max_series = max_series, .x = {.q = &search}};
    lp_rc rc = LP_OK;
    lp_matrix_init(ret, q);
    lp_arena_init(&l.ar, ret->ar.budget, 1 << 14);
    lp_arena_join(&l.ar, q->share);
    lp_arena_init(&l.scratch, ret->ar.budget, 1 << 12);
    lp_arena_join(&l.scratch, q->share);
    lp_label_index_init(&l.sets, &ret->ar);
    if (lp_windows_make(&l.windows, q, &agg->range, &l.first_step)) {
        lp_windows_range(&l.windows, &l.want.from_ns, &l.want.to_ns);
        l.want.line_bytes = wants_bytes(&l);
        rc = scan(&l, err);
    }
    if (rc == LP_OK) {
        rc = make_samples(&l, ret, err);
    }
    ret->stats = l.x.stats;
    memcpy(ret->damage, l.x.damage, sizeof(ret->damage));
    lp_exec_end(&l.x);
    lp_view_free(l.x.view);
    lp_free((void *)(uintptr_t)l.meta);
    lp_free((void *)(uintptr_t)l.of_stream);
    lp_label_index_clear(&l.sets);
    lp_arena_clear(&l.ar);
    lp_arena_clear(&l.scratch);
    return rc;
}

/* Lines are counted as they are stored, or their bytes: nothing of a row but its time and length matters. */
static bool
counts_lines(const struct lp_range_agg *agg, const struct lp_pipe_prog *prog)
{
    bool op = agg->op == LP_RANGE_COUNT || agg->op == LP_RANGE_RATE || agg->op == LP_RANGE_BYTES ||
              agg->op == LP_RANGE_BYTES_RATE;
    return op && agg->range.unwrap == NULL && lp_pipe_idle(prog);
}

bool
lp_metric_range_sums(const struct lp_range_agg *agg)
{
    return agg->op == LP_RANGE_COUNT || agg->op == LP_RANGE_RATE || agg->op == LP_RANGE_BYTES ||
           agg->op == LP_RANGE_BYTES_RATE || agg->op == LP_RANGE_SUM;
}

lp_rc
lp_metric_range(const struct lp_metric_query *q, const struct lp_range_agg *agg, const struct lp_grouping *by,
                size_t max_series, struct lp_matrix *ret, struct lp_err *err)
{
    struct lp_pipe_prog *prog;
    if (by == NULL && agg->by.kind != LP_GROUP_NONE) {
        by = &agg->by;
    }
    const struct lp_pipe_need need = {
        .all = agg->op != LP_RANGE_ABSENT && (by == NULL || by->kind == LP_GROUP_WITHOUT),
        .names = by != NULL ? by->names : NULL,
        .n = by != NULL && by->kind == LP_GROUP_BY ? by->n : 0,
    };
    lp_rc rc = lp_exec_prog(&agg->range.log, agg->range.unwrap, &need, &prog, err);
    if (rc != LP_OK) {
        lp_matrix_init(ret, q);
        return rc;
    }
    rc = counts_lines(agg, prog) ? count(q, agg, by, max_series, ret, err)
                                 : lp_metric_fold(q, agg, by, prog, max_series, ret, err);
    lp_pipe_prog_free(prog);
    return rc;
}
