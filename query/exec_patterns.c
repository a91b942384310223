/*
 * exec_patterns.c - see exec_patterns.h. How many lines each step has a metric query tells, which reads none
 * of them; then each step that has any is searched for its newest.
 */
#include "query/exec_patterns.h"

#include <string.h>

#include "query/level.h"
#include "query/metric.h"

#define STEP_LINES_MIN 20u /* looked at in a step that has so many */
#define STEP_LINES_MAX 1000u
#define PATTERN_BYTES (64u << 20)
#define CACHE_BYTES (32u << 20) /* of blocks, which hold lines of many steps */

struct steps {
    int64_t start_ns, step_ns;
    size_t n;
};

static int64_t
floor_to(int64_t ns, int64_t step)
{
    int64_t rest = ns % step, past = rest < 0 ? rest + step : rest;
    return ns < INT64_MIN + past ? ns : ns - past;
}

/* The steps that hold [from, to). */
static struct steps
make_steps(const struct lp_pattern_query *q)
{
    uint64_t range = (uint64_t)q->search.to_ns - (uint64_t)q->search.from_ns;
    uint64_t times = range / LP_PATTERN_STEPS_MAX / (uint64_t)q->step_ns + 1;
    int64_t step;
    if (__builtin_mul_overflow((int64_t)LP_MIN(times, (uint64_t)INT64_MAX), q->step_ns, &step)) {
        step = INT64_MAX;
    }
    struct steps s = {floor_to(q->search.from_ns, step), step, 0};
    uint64_t whole = (uint64_t)q->search.to_ns - (uint64_t)s.start_ns;
    s.n = (size_t)(whole / (uint64_t)step + (whole % (uint64_t)step != 0));
    return s;
}

/* The times of steps may leave 64 bits. */
static int64_t
begin_of(const struct steps *s, size_t i)
{
    __extension__ typedef __int128 wide;
    wide begin = s->start_ns + (wide)i * s->step_ns;
    return begin < LP_TIME_MAX ? (int64_t)begin : LP_TIME_MAX;
}

/* How many lines each step has, as a series; none: no line at all. */
static lp_rc
count_lines(const struct lp_pattern_query *q, const struct steps *s, struct lp_matrix *ret,
            struct lp_err *err)
{
    const struct lp_expr leaf = {
        .kind = LP_EXPR_RANGE_AGG,
        .depth = 1,
        .range_agg = {.op = LP_RANGE_COUNT, .range = {.log = *q->search.log, .range_ns = s->step_ns}}};
    const struct lp_expr sum = {
        .kind = LP_EXPR_VECTOR_AGG, .depth = 2, .vector_agg = {.op = LP_VECTOR_SUM, .inner = &leaf}};
    struct lp_metric_query m = {
        .store = q->search.store,
        .tenant = q->search.tenant,
        .expr = &sum,
        .start_ns = begin_of(s, 1) - 1, /* a window holds its end */
        .step_ns = s->step_ns,
        .steps = s->n,
        .max_series = 1,
        .pool = q->search.pool,
        .deadline_ns = q->search.deadline_ns,
        .cancel = q->search.cancel,
        .scan_bytes = q->search.scan_bytes,
        .share = q->search.share,
        .budget_bytes = q->search.budget_bytes,
    };
    return lp_metric_eval(&m, ret, err);
}

/* Static text: patterns outlive the rows. */
static struct lp_str
level_of(const struct lp_label *labels, size_t n)
{
    static const struct lp_str known[] = {LP_STR("trace"), LP_STR("debug"),    LP_STR("info"), LP_STR("warn"),
                                          LP_STR("error"), LP_STR("critical"), LP_STR("fatal")};
    for (size_t i = 0; i < n; i++) {
        for (size_t k = 0; k < LP_ARRAY_LEN(known) && lp_str_eqc(labels[i].name, LP_LEVEL_LABEL); k++) {
            if (lp_str_eq(labels[i].value, known[k])) {
                return known[k];
            }
        }
    }
    return LP_STR("unknown");
}

static void
add_rows(struct lp_pattern_set *set, const struct lp_found *f, uint32_t step, double lines)
{
    for (size_t i = 0; i < f->n; i++) {
        const struct lp_found_row *row = &f->rows[i];
        lp_patterns_add(set->owned, level_of(row->labels, row->nlabels), row->line, step, lines);
    }
}

/* Looks at the newest lines of a step, which has so many. */
static lp_rc
look_at(const struct lp_pattern_query *q, const struct steps *s, size_t step, double lines, size_t most,
        struct lp_pattern_set *set, struct lp_err *err)
{
    struct lp_search search = q->search;
    struct lp_found f;
    search.from_ns = begin_of(s, step);
    search.to_ns = begin_of(s, step + 1);
    search.limit = most;
    search.backward = true;
    search.want_labels = true;
    lp_rc rc = lp_search(&search, &f, err);
    if (rc != LP_OK) {
        return rc;
    }
    double each = f.n == most && lines > (double)f.n ? lines / (double)f.n : 1;
    add_rows(set, &f, (uint32_t)step, each);
    lp_found_clear(&f);
    return LP_OK;
}

static lp_rc
look_at_all(const struct lp_pattern_query *q, const struct steps *s, const struct lp_matrix *m,
            struct lp_pattern_set *set, struct lp_err *err)
{
    size_t used = 0;
    lp_rc rc = LP_OK;
    for (size_t i = 0; i < s->n; i++) {
        used += m->series[0].has[i];
    }
    size_t most =
        LP_MIN(LP_MAX(q->lines / LP_MAX(used, (size_t)1), (size_t)STEP_LINES_MIN), (size_t)STEP_LINES_MAX);
    for (size_t i = 0; i < s->n && rc == LP_OK; i++) {
        rc = m->series[0].has[i] ? look_at(q, s, i, m->series[0].v[i], most, set, err) : LP_OK;
    }
    return rc;
}

lp_rc
lp_patterns_find(const struct lp_pattern_query *q, struct lp_pattern_set *ret, struct lp_err *err)
{
    struct steps s = make_steps(q);
    struct lp_matrix m;
    *ret = (struct lp_pattern_set){.start_ns = s.start_ns, .step_ns = s.step_ns};
    if (s.n == 0) {
        return LP_OK;
    }
    lp_rc rc = count_lines(q, &s, &m, err);
    if (rc != LP_OK) {
        return rc;
    }
    struct lp_pattern_query cached = *q;
    cached.search.cache = lp_block_cache_new(CACHE_BYTES);
    ret->owned = lp_patterns_new(LP_MIN(q->search.budget_bytes, (size_t)PATTERN_BYTES), q->search.share);
    rc = m.n > 0 ? look_at_all(&cached, &s, &m, ret, err) : LP_OK;
    lp_block_cache_free(cached.search.cache);
    lp_matrix_clear(&m);
    if (rc == LP_OK && !lp_patterns_finish(ret->owned, q->limit, &ret->v, &ret->n)) {
        rc = lp_err_set(err, LP_ERR_LIMIT, "the patterns need more memory than a query may have");
    }
    if (rc != LP_OK) {
        lp_pattern_set_clear(ret);
    }
    return rc;
}

void
lp_pattern_set_clear(struct lp_pattern_set *s)
{
    lp_patterns_free(s->owned);
    s->owned = NULL;
    s->v = NULL;
    s->n = 0;
}
