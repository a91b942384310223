/*
 * metric_fold.c - a leaf whose rows go through stages, or are unwrapped, or need their level: each passing
 * row is a sample of a series.
 *
 * Windows overlap where the range is longer than the step, so time is cut at the begins and ends of windows
 * into stretches that are in the same windows (lp_windows_span); of each series and stretch there is an
 * accumulator (metric_acc.h), made when a sample comes. In the end each window is the merge of its stretches,
 * found with two stacks, so that it costs a few merges however many stretches a window has.
 *
 * Workers gather samples and add them to the accumulators under the lock of their round.
 */
#include <string.h>

#include "query/metric_acc.h"
#include "query/metric_int.h"

#define CHECK_ROWS 256
#define LOCAL_SAMPLES 256
#define KEY_BYTES_MAX (64u << 20) /* labels and metadata of a series */
#define PAGE_ACCS 32
#define SERIES_SHOWN 100 /* bytes of a series' labels in an error */

/* The accumulators of a series, by number of the stretch: lo + hi of its windows, which rises with time. */
struct folds {
    struct lp_acc **pages; /* NULL: no sample yet */
};

struct fold_leaf {
    const struct lp_metric_query *q;
    const struct lp_range_agg *agg;
    const struct lp_grouping *by; /* NULL: all labels stay */
    size_t max_series;
    bool absent; /* series do not matter, only whether there is a sample */
    enum lp_acc_kind kind;
    struct lp_exec x;
    struct lp_pipe_prog *prog;
    struct lp_windows windows;
    uint32_t first_step;
    int64_t from_ns, to_ns;
    /* under the round's lock */
    struct lp_arena ar; /* accumulators */
    struct lp_label_index sets;
    struct folds *folds; /* by series */
    size_t folds_cap;
};

struct local_sample {
    uint32_t series, lo, hi;
    struct lp_sample s;
};

/* A worker's own. */
struct gather {
    struct lp_row_pipe pipe;
    bool begun;
    struct lp_window_last last;
    struct lp_pair *pairs;
    size_t pairs_cap;
    unsigned steps;
    size_t n;
    struct local_sample v[LOCAL_SAMPLES];
    struct lp_known_series known;
};

static size_t
npages(const struct fold_leaf *l)
{
    return (2 * (size_t)l->windows.n + 1) / PAGE_ACCS + 1;
}

/* ------------------------------------------------------------------ series */

/* The labels that stay of those that the stages left, into g->pairs. */
static size_t
kept_labels(const struct fold_leaf *l, struct gather *g, const struct lp_pipe_out *out)
{
    size_t n = 0;
    if (l->absent) {
        return 0;
    }
    if (g->pairs_cap < out->nlabels) {
        g->pairs_cap = out->nlabels * 2;
        g->pairs = lp_realloc(g->pairs, g->pairs_cap * sizeof(*g->pairs));
    }
    for (size_t i = 0; i < out->nlabels; i++) {
        g->pairs[n++] = (struct lp_pair){out->labels[i].name, out->labels[i].value};
    }
    return l->by != NULL ? lp_grouping_labels(l->by, g->pairs, n, g->pairs) : n;
}

static lp_rc
failed_row(const struct lp_pipe_out *out, struct lp_err *err)
{
    struct lp_buf text;
    struct lp_str name = LP_STR("");
    lp_buf_init(&text, 1 << 16);
    lp_buf_byte(&text, '{');
    for (size_t i = 0; i < out->nlabels; i++) {
        const struct lp_label *label = &out->labels[i];
        lp_buf_c(&text, i > 0 ? ", " : "");
        lp_buf_str(&text, label->name);
        lp_buf_c(&text, "=\"");
        lp_buf_str(&text, label->value);
        lp_buf_byte(&text, '"');
        name = lp_str_eqc(label->name, LP_ERROR_LABEL) ? label->value : name;
    }
    lp_buf_byte(&text, '}');
    struct lp_str shown = lp_buf_view(&text);
    shown.n = LP_MIN(shown.n, (size_t)SERIES_SHOWN);
    lp_rc rc =
        lp_err_set(err, LP_ERR_PARSE,
                   "pipeline error: '" LP_STR_FMT "' for series: '" LP_STR_FMT "'.\nUse a label filter to "
                   "intentionally skip this error. (e.g | __error__!=\"" LP_STR_FMT "\")",
                   LP_STR_ARG(name), LP_STR_ARG(shown), LP_STR_ARG(name));
    lp_buf_clear(&text);
    return rc;
}

/* Errors of parsers may be counted: sum by (__error__). */
static bool
counts_error(const struct fold_leaf *l, const struct lp_pipe_out *out)
{
    struct lp_str error = LP_STR("");
    for (size_t i = 0; i < out->nlabels; i++) {
        error = lp_str_eqc(out->labels[i].name, LP_ERROR_LABEL) ? out->labels[i].value : error;
    }
    if (!lp_str_eqc(error, LP_JSON_ERROR) && !lp_str_eqc(error, LP_LOGFMT_ERROR)) {
        return false;
    }
    for (size_t i = 0; l->by != NULL && l->by->kind == LP_GROUP_BY && i < l->by->n; i++) {
        if (lp_str_eqc(l->by->names[i], LP_ERROR_LABEL)) {
            return true;
        }
    }
    return false;
}

static lp_rc
add_series(struct fold_leaf *l, struct lp_worker *w, const struct lp_pair *pairs, size_t n, uint32_t *ret,
           struct lp_err *err)
{
    lp_rc rc = LP_OK;
    lp_round_lock(w->round);
    *ret = lp_label_index_add(&l->sets, pairs, n);
    if (*ret == LP_LABELS_NONE) {
        rc = lp_metric_over_budget(l->q, err);
    } else if (l->sets.n > l->max_series) {
        rc = lp_metric_too_many(l->q, err);
    }
    lp_round_unlock(w->round);
    return rc;
}

static lp_rc
series_of(struct fold_leaf *l, struct lp_worker *w, const struct lp_pipe_out *out, uint32_t *ret,
          struct lp_err *err)
{
    struct gather *g = w->own;
    size_t n = kept_labels(l, g, out);
    lp_known_begin(&g->known);
    lp_known_pairs(&g->known, g->pairs, n);
    uint32_t *series_1 = lp_known_find(&g->known);
    if (series_1 == NULL) {
        return lp_metric_over_budget(l->q, err);
    }
    lp_rc rc = LP_OK;
    if (*series_1 == 0) {
        uint32_t series;
        rc = add_series(l, w, g->pairs, n, &series, err);
        *series_1 = rc == LP_OK ? series + 1 : 0;
    }
    *ret = *series_1 - 1;
    return rc;
}

/* ------------------------------------------------------------------ samples */

/* With the lock held. */
static bool
add_sample(struct fold_leaf *l, const struct local_sample *s)
{
    struct folds *f = &l->folds[s->series];
    size_t at = (size_t)s->lo + s->hi;
    if (f->pages == NULL) {
        f->pages = lp_arena_zalloc(&l->ar, npages(l) * sizeof(struct lp_acc *));
        if (f->pages == NULL) {
            return false;
        }
    }
    struct lp_acc **page = &f->pages[at / PAGE_ACCS];
    if (*page == NULL) {
        *page = lp_arena_zalloc(&l->ar, PAGE_ACCS * sizeof(struct lp_acc));
        if (*page == NULL) {
            return false;
        }
    }
    struct lp_acc *a = &(*page)[at % PAGE_ACCS];
    a->lo = s->lo;
    return lp_acc_add(a, l->kind, &s->s, &l->ar);
}

/* With the lock held: there is room for each series. */
static bool
grow_folds(struct fold_leaf *l)
{
    struct folds *grown = lp_arena_zgrow(&l->ar, l->folds, &l->folds_cap, l->sets.n, sizeof(*grown));
    l->folds = grown != NULL ? grown : l->folds;
    return grown != NULL;
}

static lp_rc
flush(struct fold_leaf *l, struct lp_worker *w, struct lp_err *err)
{
    struct gather *g = w->own;
    bool ok = true;
    lp_round_lock(w->round);
    ok = g->n == 0 || grow_folds(l);
    for (size_t i = 0; i < g->n && ok; i++) {
        ok = add_sample(l, &g->v[i]);
    }
    lp_round_unlock(w->round);
    g->n = 0;
    return ok ? LP_OK : lp_metric_over_budget(l->q, err);
}

static bool
needs_length(const struct fold_leaf *l)
{
    return l->agg->op == LP_RANGE_BYTES || l->agg->op == LP_RANGE_BYTES_RATE;
}

static double
value_of(const struct fold_leaf *l, const struct lp_pipe_out *out)
{
    if (l->agg->range.unwrap != NULL) {
        return out->value;
    }
    return needs_length(l) ? (double)out->line.n : 1;
}

/* The row that the scan is at, and that passed the leading line filters. */
static lp_rc
take_row(struct fold_leaf *l, struct lp_worker *w, struct lp_scan *s, const struct lp_scan_row *row,
         struct lp_str line, struct lp_err *err)
{
    struct gather *g = w->own;
    struct lp_pipe_out out;
    const struct lp_window_span *span = lp_windows_find(&l->windows, row->time_ns, &g->last);
    if (span->lo >= span->hi) {
        return LP_OK;
    }
    lp_rc rc =
        lp_row_pipe_run(&l->x, &g->pipe, s, row->time_ns, row->stream, line, &w->stats.meta_bytes, &out, err);
    if (rc != LP_OK || !out.passed) {
        return rc;
    }
    w->stats.passed_lines++;
    if (out.failed && !counts_error(l, &out)) {
        return failed_row(&out, err);
    }
    struct local_sample *sample = &g->v[g->n];
    *sample = (struct local_sample){
        .lo = span->lo,
        .hi = span->hi,
        .s = {row->time_ns, row->generation, row->arrival, value_of(l, &out)},
    };
    rc = series_of(l, w, &out, &sample->series, err);
    if (rc == LP_OK && ++g->n == LOCAL_SAMPLES) {
        rc = flush(l, w, err);
    }
    return rc;
}

static lp_rc
scan_rows(struct fold_leaf *l, struct lp_worker *w, struct lp_scan *s, bool stored, struct lp_err *err)
{
    struct gather *g = w->own;
    struct lp_scan_row row;
    lp_rc rc = lp_exec_start(&l->x, s, err);
    while (rc == LP_OK && lp_scan_next(s, &row)) {
        struct lp_str line;
        if (++g->steps % CHECK_ROWS == 0) {
            rc = lp_exec_check(l->q->deadline_ns, l->q->cancel, err);
        }
        ++*(stored ? &w->stats.stored_lines : &w->stats.head_lines);
        bool known = l->x.unfiltered || row.sure;
        line = LP_STR_NULL;
        if (rc == LP_OK && known && !needs_length(l)) {
            rc = lp_row_pipe_excerpt(&g->pipe, s, &line, err);
        }
        rc = rc == LP_OK && line.p == NULL ? lp_scan_line(s, &line, err) : rc;
        if (rc != LP_OK) {
            break;
        }
        w->stats.head_bytes += stored ? 0 : line.n;
        if (known || lp_linefilter_match(l->x.filter, line)) {
            rc = take_row(l, w, s, &row, line, err);
        }
    }
    lp_exec_count_passed(s, stored, &w->stats);
    return rc;
}

static lp_rc
scan_part(void *arg, struct lp_worker *w, struct lp_err *err)
{
    struct fold_leaf *l = arg;
    struct gather *g = w->own;
    const struct lp_part *p = &l->x.parts[w->part];
    struct lp_scan *s;
    struct lp_block *block;
    if (!g->begun) {
        g->begun = true;
        lp_row_pipe_begin(&g->pipe, l->prog);
        lp_known_init(&g->known, KEY_BYTES_MAX);
    }
    lp_row_pipe_part(&g->pipe);
    lp_rc rc = lp_exec_open(&l->x, p, w->codec, l->from_ns, l->to_ns, false, &s, &block, err);
    w->stats.blocks += p->seg != NULL;
    w->stats.head_parts += p->seg == NULL;
    if (rc == LP_OK) {
        rc = scan_rows(l, w, s, p->seg != NULL, err);
        lp_exec_close(&l->x, p, s, block);
    }
    if (rc == LP_OK || lp_exec_is_damage(rc)) { /* what was read of a damaged part counts */
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
    struct gather *g = own;
    if (g->begun) {
        lp_row_pipe_end(&g->pipe);
        lp_known_clear(&g->known);
        lp_free(g->pairs);
    }
}

/* Not where all of it lies between two windows. */
static bool
wants_part(void *arg, const struct lp_part *p)
{
    const struct fold_leaf *l = arg;
    struct lp_window_span span;
    if (p->max_ns < l->from_ns || p->min_ns >= l->to_ns) {
        return false;
    }
    lp_windows_span(&l->windows, p->min_ns, &span);
    return span.lo < span.hi || p->max_ns > span.to_ns;
}

/* ------------------------------------------------------------------ windows */

/* The stretches of a series that have samples, by time. */
struct stretches {
    const struct lp_acc **v;
    uint32_t *hi;          /* behind the last window of each */
    struct lp_acc *suffix; /* of v[k] up to where the front stack ends */
    size_t n;
};

static bool
gather_stretches(const struct fold_leaf *l, const struct folds *f, struct lp_arena *ar, struct stretches *ret)
{
    size_t n = 0;
    for (size_t p = 0; p < npages(l) && f->pages != NULL; p++) {
        for (size_t i = 0; i < PAGE_ACCS && f->pages[p] != NULL; i++) {
            n += f->pages[p][i].n > 0;
        }
    }
    *ret = (struct stretches){.v = lp_arena_array(ar, n, sizeof(const struct lp_acc *)),
                              .hi = lp_arena_array(ar, n, sizeof(uint32_t)),
                              .suffix = lp_arena_array(ar, n, sizeof(struct lp_acc))};
    if (ret->v == NULL || ret->hi == NULL || ret->suffix == NULL) {
        return false;
    }
    for (size_t p = 0; p < npages(l) && f->pages != NULL; p++) {
        for (size_t i = 0; i < PAGE_ACCS && f->pages[p] != NULL; i++) {
            const struct lp_acc *a = &f->pages[p][i];
            if (a->n > 0) {
                ret->hi[ret->n] = (uint32_t)(p * PAGE_ACCS + i) - a->lo;
                ret->v[ret->n++] = a;
            }
        }
    }
    return true;
}

static void
put(const struct fold_leaf *l, struct lp_series *to, uint32_t window, double v)
{
    to->has[l->first_step + window] = true;
    to->v[l->first_step + window] = v;
}

/*
 * Stretches enter a window at its end and leave at its begin: those up to `middle` are merged from their last
 * one backwards (suffix), those behind it forwards (back). When the front has left, everything becomes front.
 */
static void
merge_windows(const struct fold_leaf *l, struct stretches *s, struct lp_series *to)
{
    struct lp_acc back = {.n = 0};
    size_t begin = 0, middle = 0, end = 0;
    for (uint32_t i = 0; i < l->windows.n; i++) {
        for (; end < s->n && s->v[end]->lo <= i; end++) {
            lp_acc_merge(&back, l->kind, s->v[end]);
        }
        while (begin < end && s->hi[begin] <= i) {
            begin++;
        }
        if (begin >= middle) {
            for (size_t k = end; k > begin; k--) {
                s->suffix[k - 1] = *s->v[k - 1];
                if (k < end) {
                    lp_acc_merge(&s->suffix[k - 1], l->kind, &s->suffix[k]);
                }
            }
            middle = end;
            back.n = 0;
        }
        struct lp_acc all = begin < middle ? s->suffix[begin] : back;
        if (begin < middle) {
            lp_acc_merge(&all, l->kind, &back);
        }
        if (all.n > 0) {
            put(l, to, i, lp_acc_value(&all, l->agg, l->agg->range.unwrap != NULL));
        }
    }
}

/* Of each window all samples. False when the memory is spent. */
static bool
list_windows(const struct fold_leaf *l, const struct stretches *s, struct lp_series *to, struct lp_arena *ar)
{
    size_t begin = 0, most = 0;
    struct lp_sample *v = NULL;
    for (uint32_t i = 0; i < l->windows.n; i++) {
        size_t n = 0, all = 0;
        while (begin < s->n && s->hi[begin] <= i) {
            begin++;
        }
        for (size_t k = begin; k < s->n && s->v[k]->lo <= i; k++) {
            all += s->v[k]->n;
        }
        if (all > most) {
            most = all * 2;
            v = lp_arena_array(ar, most, sizeof(*v));
            if (v == NULL) {
                return false;
            }
        }
        for (size_t k = begin; k < s->n && s->v[k]->lo <= i; k++) {
            n += lp_acc_samples(s->v[k], v + n);
        }
        if (n > 0) {
            int64_t end_ns = l->windows.first_ns + (int64_t)i * l->windows.step_ns;
            put(l, to, i, lp_acc_samples_value(v, n, l->agg, end_ns));
        }
    }
    return true;
}

static lp_rc
make_series(struct fold_leaf *l, struct lp_matrix *ret, struct lp_err *err)
{
    struct lp_arena scratch;
    bool ok = lp_matrix_series(ret, &l->sets);
    lp_arena_init(&scratch, ret->ar.budget, 1 << 14);
    lp_arena_join(&scratch, l->q->share);
    for (size_t i = 0; i < ret->n && i < l->folds_cap && ok; i++) {
        struct stretches s;
        lp_arena_reset(&scratch);
        ok = gather_stretches(l, &l->folds[i], &scratch, &s);
        if (ok && l->kind == LP_ACC_LIST) {
            ok = list_windows(l, &s, &ret->series[i], &scratch);
        } else if (ok) {
            merge_windows(l, &s, &ret->series[i]);
        }
    }
    lp_arena_clear(&scratch);
    return ok ? LP_OK : lp_metric_over_budget(l->q, err);
}

/* ------------------------------------------------------------------ absent_over_time */

/* The labels that one equality matcher each speaks of, by name. Returns how many. */
static size_t
absent_labels(const struct lp_log_query *log, struct lp_pair *ret)
{
    size_t n = 0;
    for (size_t i = 0; i < log->nmatchers; i++) {
        const struct lp_label_match *m = &log->matchers[i];
        bool once = m->op == LP_MATCH_EQ && m->value.n > 0;
        for (size_t k = 0; k < log->nmatchers && once; k++) {
            once = k == i || !lp_str_eq(log->matchers[k].name, m->name);
        }
        if (once) {
            size_t at = n++;
            for (; at > 0 && lp_str_cmp(ret[at - 1].name, m->name) > 0; at--) {
                ret[at] = ret[at - 1];
            }
            ret[at] = (struct lp_pair){m->name, m->value};
        }
    }
    return n;
}

/* One series, with 1 where `have`, of one series at most, has nothing. */
static lp_rc
make_absent(struct fold_leaf *l, struct lp_matrix *have, struct lp_matrix *ret, struct lp_err *err)
{
    const struct lp_log_query *log = &l->agg->range.log;
    struct lp_label_index sets;
    struct lp_pair *labels = lp_malloc(log->nmatchers * sizeof(*labels));
    lp_label_index_init(&sets, &ret->ar);
    bool ok = lp_label_index_add(&sets, labels, absent_labels(log, labels)) != LP_LABELS_NONE &&
              lp_matrix_series(ret, &sets);
    for (size_t k = 0; k < l->q->steps && ok; k++) {
        ret->series[0].has[k] = have->n == 0 || !have->series[0].has[k];
        ret->series[0].v[k] = 1;
    }
    lp_label_index_clear(&sets);
    lp_free(labels);
    return ok ? LP_OK : lp_metric_over_budget(l->q, err);
}

/* ------------------------------------------------------------------ the leaf as a whole */

static lp_rc
scan(struct fold_leaf *l, struct lp_err *err)
{
    lp_rc rc = lp_exec_begin(&l->x, l->from_ns, l->to_ns, err);
    if (rc != LP_OK || lp_linefilter_passes_none(l->x.filter)) {
        return rc;
    }
    struct lp_round_task task = {.x = &l->x,
                                 .arg = l,
                                 .own_bytes = sizeof(struct gather),
                                 .wants = wants_part,
                                 .scan = scan_part,
                                 .end = end_worker};
    return lp_round_run(&task, err);
}

lp_rc
lp_metric_fold(const struct lp_metric_query *q, const struct lp_range_agg *agg, const struct lp_grouping *by,
               struct lp_pipe_prog *prog, size_t max_series, struct lp_matrix *ret, struct lp_err *err)
{
    const struct lp_search search = lp_metric_search(q, agg);
    struct lp_matrix samples;
    struct fold_leaf l = {.q = q,
                          .agg = agg,
                          .by = by,
                          .max_series = max_series,
                          .absent = agg->op == LP_RANGE_ABSENT,
                          .kind = lp_acc_kind_of(agg->op),
                          .x = {.q = &search},
                          .prog = prog};
    lp_rc rc = LP_OK;
    lp_matrix_init(ret, q);
    lp_matrix_init(&samples, q);
    struct lp_matrix *to = l.absent ? &samples : ret;
    lp_arena_init(&l.ar, ret->ar.budget, 1 << 14);
    lp_arena_join(&l.ar, q->share);
    lp_label_index_init(&l.sets, &to->ar);
    if (lp_windows_make(&l.windows, q, &agg->range, &l.first_step)) {
        lp_windows_range(&l.windows, &l.from_ns, &l.to_ns);
        rc = scan(&l, err);
    }
    if (rc == LP_OK) {
        rc = make_series(&l, to, err);
    }
    if (rc == LP_OK && l.absent) {
        rc = make_absent(&l, to, ret, err);
    }
    ret->stats = l.x.stats;
    memcpy(ret->damage, l.x.damage, sizeof(ret->damage));
    lp_exec_end(&l.x);
    lp_view_free(l.x.view);
    lp_label_index_clear(&l.sets);
    lp_matrix_clear(&samples);
    lp_arena_clear(&l.ar);
    return rc;
}
