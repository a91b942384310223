/*
 * test_metric.c - metric queries: windows, series, values, limits, and answers as text. Oracle: for every
 * step a plain look at every record ever put in (exec_fixture.h), with the contract's window (t - range -
 * offset, t - offset].
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "query/metric_int.h"
#include "query/result.h"
#include "tests/unit/exec_fixture.h"

#define RECORDS 1500
#define STEPS_MAX 40

/* ------------------------------------------------------------------ windows */

/* Spans against the definition, for times around every edge; also where sums leave 64 bits. */
static void
spans_are_what_they_say(void)
{
    static const int64_t firsts[] = {0, 1000, -7, LP_TIME_MAX - 400, LP_TIME_MIN, LP_TIME_MIN + 90};
    uint64_t random = 11;
    for (int i = 0; i < 4000; i++) {
        struct lp_windows w = {.first_ns = firsts[i % 6],
                               .step_ns = 1 + (int64_t)(lp_rand(&random) % 12),
                               .range_ns = (int64_t)(lp_rand(&random) % 40),
                               .n = 1 + (uint32_t)(lp_rand(&random) % 8)};
        if (i % 7 == 0) {
            w.range_ns = LP_TIME_MAX;
        }
        int64_t t;
        if (__builtin_add_overflow(w.first_ns, (int64_t)(lp_rand(&random) % 200) - 60, &t) ||
            t < LP_TIME_MIN) {
            continue;
        }
        struct lp_window_span s;
        lp_windows_span(&w, t, &s);
        CU_ASSERT_FATAL(s.from_ns <= t && t <= s.to_ns);
        int64_t at = LP_MAX(s.from_ns, t < LP_TIME_MIN + 70 ? LP_TIME_MIN : t - 70);
        for (; at <= s.to_ns && at - t < 70 && at < LP_TIME_MAX; at++) {
            for (uint32_t k = 0; k < w.n; k++) {
                double past = (double)(w.first_ns - at) +
                              (double)k * (double)w.step_ns; /* end - t: small, or far off */
                bool inside = past >= 0 && past < (double)w.range_ns;
                CU_ASSERT_EQUAL_FATAL(inside, k >= s.lo && k < s.hi);
            }
        }
    }
}

/* ------------------------------------------------------------------ random queries */

static bool
has_alpha(const struct lp_rec *r)
{
    return strstr(r->line, "alpha") != NULL;
}

static bool
not_app_1(const struct lp_rec *r)
{
    return strcmp(r->app, "app-1") != 0;
}

static bool
never(const struct lp_rec *r)
{
    (void)r;
    return false;
}

/* labels, inner: those that stay, of the leaf's lines and (if outer is set) again of its series. */
static const struct {
    const char *text;
    bool (*want)(const struct lp_rec *r);
    enum lp_range_op op;
    const char *labels;
    enum lp_vector_op outer;
    const char *outer_labels; /* NULL: there is no aggregation but a sum over the leaf, if any */
} queries[] = {
    {"count_over_time({}[1m])", NULL, LP_RANGE_COUNT, "app detected_level pod seq service_name", 0, NULL},
    {"rate({} |= \"alpha\" [1m])", has_alpha, LP_RANGE_RATE, "app detected_level pod seq service_name", 0,
     NULL},
    {"sum(count_over_time({}[1m]))", NULL, LP_RANGE_COUNT, "", 0, NULL},
    {"sum by (app)(count_over_time({}[1m]))", NULL, LP_RANGE_COUNT, "app", 0, NULL},
    {"sum by (service_name, pod)(rate({app!=\"app-1\"}[1m]))", not_app_1, LP_RANGE_RATE, "pod service_name",
     0, NULL},
    {"sum by (app)(count_over_time({} |= \"alpha\" [1m]))", has_alpha, LP_RANGE_COUNT, "app", 0, NULL},
    {"sum by (nowhere)(bytes_over_time({}[1m]))", NULL, LP_RANGE_BYTES, "", 0, NULL},
    {"sum without (seq)(bytes_over_time({}[1m]))", NULL, LP_RANGE_BYTES,
     "app detected_level pod service_name", 0, NULL},
    {"sum by (pod)(bytes_rate({} |= \"alpha\" [1m]))", has_alpha, LP_RANGE_BYTES_RATE, "pod", 0, NULL},
    {"sum by (seq, app)(bytes_over_time({} |= \"alpha\" [1m]))", has_alpha, LP_RANGE_BYTES, "app seq", 0,
     NULL},
    {"sum(count_over_time({} |= \"no line holds this\" [1m]))", never, LP_RANGE_COUNT, "", 0, NULL},
    {"sum(sum by (app)(count_over_time({}[1m])))", NULL, LP_RANGE_COUNT, "app", LP_VECTOR_SUM, ""},
    {"max by (app)(count_over_time({}[1m]))", NULL, LP_RANGE_COUNT, "app detected_level pod seq service_name",
     LP_VECTOR_MAX, "app"},
    {"min(sum by (pod)(rate({}[1m])))", NULL, LP_RANGE_RATE, "pod", LP_VECTOR_MIN, ""},
    {"avg by (app)(sum by (app, pod)(bytes_over_time({}[1m])))", NULL, LP_RANGE_BYTES, "app pod",
     LP_VECTOR_AVG, "app"},
    {"count without (pod)(sum by (app, pod)(count_over_time({}[1m])))", NULL, LP_RANGE_COUNT, "app pod",
     LP_VECTOR_COUNT, "app"},
};

struct oracle_series {
    char labels[192];
    double v[STEPS_MAX];
    uint32_t n[STEPS_MAX];
};

struct oracle {
    struct oracle_series *v;
    size_t n;
};

static struct oracle_series *
oracle_series(struct oracle *o, const char *labels)
{
    for (size_t i = o->n; i > 0; i--) {
        if (strcmp(o->v[i - 1].labels, labels) == 0) {
            return &o->v[i - 1];
        }
    }
    struct oracle_series *s = &o->v[o->n++];
    memset(s, 0, sizeof(*s));
    snprintf(s->labels, sizeof(s->labels), "%s", labels);
    return s;
}

/* {a="b", c="d"} of those that stay. */
static void
labels_of(const struct lp_rec *r, const char *stay, char *out, size_t n)
{
    const char *const names[] = {"app", "detected_level", "pod", "seq", "service_name"};
    const char *const values[] = {r->app, "unknown", r->pod, r->seq % 2 ? r->line : "", r->app};
    size_t at = (size_t)snprintf(out, n, "{");
    for (int i = 0; i < 5; i++) {
        if (strstr(stay, names[i]) != NULL && values[i][0] != 0) {
            at += (size_t)snprintf(out + at, n - at, "%s%s=\"%s\"", at > 1 ? ", " : "", names[i], values[i]);
        }
    }
    snprintf(out + at, n - at, "}");
}

static void
oracle_leaf(const struct lp_world *w, size_t which, const struct lp_metric_query *q,
            const struct lp_log_range *range, struct oracle *ret)
{
    enum lp_range_op op = queries[which].op;
    bool bytes = op == LP_RANGE_BYTES || op == LP_RANGE_BYTES_RATE;
    for (size_t i = 0; i < w->n; i++) {
        const struct lp_rec *r = &w->v[i];
        char labels[192];
        if (queries[which].want != NULL && !queries[which].want(r)) {
            continue;
        }
        labels_of(r, queries[which].labels, labels, sizeof(labels));
        struct oracle_series *s = oracle_series(ret, labels);
        for (size_t k = 0; k < q->steps; k++) {
            int64_t end = q->start_ns + (int64_t)k * q->step_ns - range->offset_ns;
            if (r->time_ns > end - range->range_ns && r->time_ns <= end) {
                s->v[k] += bytes ? (double)strlen(r->line) : 1;
                s->n[k]++;
            }
        }
    }
    double seconds = op == LP_RANGE_RATE || op == LP_RANGE_BYTES_RATE ? (double)range->range_ns / 1e9 : 1;
    for (size_t i = 0; i < ret->n; i++) {
        for (size_t k = 0; k < q->steps; k++) {
            ret->v[i].v[k] /= seconds;
        }
    }
}

/* A label's value out of {app="x", pod="y"}, as it stands there. */
static void
oracle_outer(const struct oracle *in, size_t which, size_t steps, struct oracle *ret)
{
    for (size_t i = 0; i < in->n; i++) {
        const struct oracle_series *from = &in->v[i];
        char labels[192] = "{}";
        const char *app = strstr(from->labels, "app=\"");
        if (queries[which].outer_labels[0] != 0) {
            snprintf(labels, sizeof(labels), "{%.11s}", app); /* app="app-N" */
        }
        struct oracle_series *s = oracle_series(ret, labels);
        for (size_t k = 0; k < steps; k++) {
            double v = from->v[k], was = s->v[k];
            if (from->n[k] == 0) {
                continue;
            }
            switch ((int)queries[which].outer) {
            case LP_VECTOR_MAX:
                s->v[k] = s->n[k] == 0 || v > was ? v : was;
                break;
            case LP_VECTOR_MIN:
                s->v[k] = s->n[k] == 0 || v < was ? v : was;
                break;
            case LP_VECTOR_COUNT:
                s->v[k] = was + 1;
                break;
            default:
                s->v[k] = was + v; /* the mean is made below */
            }
            s->n[k]++;
        }
    }
    for (size_t i = 0; i < ret->n && queries[which].outer == LP_VECTOR_AVG; i++) {
        for (size_t k = 0; k < steps; k++) {
            ret->v[i].v[k] /= ret->v[i].n[k] > 0 ? ret->v[i].n[k] : 1;
        }
    }
}

static bool
same_series(const struct lp_series *got, const struct oracle_series *want, size_t steps)
{
    bool same = true;
    for (size_t k = 0; k < steps && same; k++) {
        same = got->has[k] == (want->n[k] > 0) &&
               (!got->has[k] || fabs(got->v[k] - want->v[k]) <= 1e-9 * fabs(want->v[k]));
    }
    return same;
}

static bool
same_matrix(const struct lp_matrix *m, struct oracle *o)
{
    size_t wanted = 0;
    bool same = true;
    for (size_t i = 0; i < o->n; i++) {
        uint32_t any = 0;
        for (size_t k = 0; k < m->steps; k++) {
            any += o->v[i].n[k];
        }
        wanted += any > 0;
    }
    for (size_t i = 0; i < m->n && same; i++) {
        char labels[192];
        snprintf(labels, sizeof(labels), "%.*s", (int)m->series[i].text.n, m->series[i].text.p);
        size_t known = o->n;
        const struct oracle_series *want = oracle_series(o, labels);
        same = o->n == known && same_series(&m->series[i], want, m->steps) &&
               (i == 0 || lp_str_cmp(m->series[i - 1].text, m->series[i].text) < 0);
    }
    return same && m->n == wanted;
}

static struct lp_metric_query
query_of(const struct lp_world *w, const struct lp_test_query *q)
{
    CU_ASSERT_EQUAL_FATAL(q->rc, LP_OK);
    return (struct lp_metric_query){.store = w->st,
                                    .expr = q->expr,
                                    .start_ns = 2000,
                                    .step_ns = 1,
                                    .steps = 1,
                                    .max_series = 100000,
                                    .pool = w->pool,
                                    .deadline_ns = INT64_MAX,
                                    .budget_bytes = 64u << 20};
}

/* The leaf's range, which the tests set: in query texts it is in milliseconds at least. */
static struct lp_log_range *
range_of(const struct lp_test_query *q)
{
    const struct lp_expr *e = q->expr;
    while (e->kind == LP_EXPR_VECTOR_AGG) {
        e = e->vector_agg.inner;
    }
    return (struct lp_log_range *)(uintptr_t)&e->range_agg.range;
}

static void
run_one(struct lp_world *w, size_t which)
{
    struct lp_test_query parsed;
    struct oracle leaf = {lp_malloc((RECORDS + 2) * sizeof(*leaf.v)), 0},
                  outer = {lp_malloc((RECORDS + 2) * sizeof(*outer.v)), 0};
    struct lp_matrix m;
    lp_test_query_parse(&parsed, lp_str_c(queries[which].text), true);
    struct lp_metric_query q = query_of(w, &parsed);
    struct lp_log_range *range = range_of(&parsed);
    range->range_ns =
        (int64_t)(lp_rand(&w->random) % 5 == 0 ? lp_rand(&w->random) % 4 : lp_rand(&w->random) % 400);
    range->offset_ns = lp_rand(&w->random) % 2 ? (int64_t)(lp_rand(&w->random) % 300) - 150 : 0;
    q.start_ns = 900 + (int64_t)(lp_rand(&w->random) % 600);
    q.steps = lp_rand(&w->random) % 3 == 0 ? 1 : 1 + lp_rand(&w->random) % STEPS_MAX;
    q.step_ns = 1 + (int64_t)(lp_rand(&w->random) % 60);
    if (lp_rand(&w->random) % 3 == 0) {
        q.step_ns = LP_MAX(range->range_ns, (int64_t)1); /* windows that meet */
    }
    q.pool = lp_rand(&w->random) % 2 ? w->pool : NULL;
    oracle_leaf(w, which, &q, range, &leaf);
    struct oracle *want = &leaf;
    if (queries[which].outer_labels != NULL) {
        oracle_outer(&leaf, which, q.steps, &outer);
        want = &outer;
    }
    CU_ASSERT_EQUAL_FATAL(lp_metric_eval(&q, &m, NULL), LP_OK);
    bool same = same_matrix(&m, want);
    lp_test_check(same, "other samples came", lp_str_c(queries[which].text));
    if (!same) {
        printf("\nstart %lld step %lld x %zu range %lld offset %lld: %zu series\n", (long long)q.start_ns,
               (long long)q.step_ns, q.steps, (long long)range->range_ns, (long long)range->offset_ns, m.n);
    }
    CU_ASSERT_EQUAL(m.stats.damaged, 0);
    lp_matrix_clear(&m);
    lp_test_query_clear(&parsed);
    lp_free(leaf.v);
    lp_free(outer.v);
}

static void
samples_are_right(enum lp_layout layout)
{
    struct lp_world w;
    lp_world_make(&w, RECORDS, layout);
    for (size_t i = 0; i < LP_ARRAY_LEN(queries) * 12; i++) {
        run_one(&w, i % LP_ARRAY_LEN(queries));
    }
    lp_world_close(&w);
}

static void
samples_from_the_head(void)
{
    samples_are_right(LP_HEAD_ONLY);
}

static void
samples_from_segments(void)
{
    samples_are_right(LP_SEALED);
}

static void
samples_from_both(void)
{
    samples_are_right(LP_MIXED);
}

/* ------------------------------------------------------------------ what is looked at */

static void
statistics_say_what_was_looked_at(void)
{
    struct lp_world w;
    struct lp_test_query parsed;
    struct lp_matrix m;
    lp_world_make(&w, 1000, LP_SEALED);
    lp_test_query_parse(&parsed, LP_STR("sum by (app)(count_over_time({} |= \"alpha\" [1m]))"), true);
    struct lp_metric_query q = query_of(&w, &parsed);
    uint64_t bytes = 0, passed = 0;
    for (size_t i = 0; i < w.n; i++) {
        bytes += strlen(w.v[i].line);
        passed += has_alpha(&w.v[i]);
    }
    CU_ASSERT_EQUAL_FATAL(lp_metric_eval(&q, &m, NULL), LP_OK);
    CU_ASSERT_EQUAL(m.n, 3);
    CU_ASSERT_EQUAL(m.stats.stored_lines, w.n);
    CU_ASSERT(m.stats.stored_bytes > w.n &&
              m.stats.stored_bytes < bytes + 100 * w.n); /* what was decoded: times and columns */
    CU_ASSERT_EQUAL(m.stats.passed_lines, passed);
    CU_ASSERT_EQUAL(m.stats.blocks, m.stats.all_blocks);
    CU_ASSERT(m.stats.duration_ns > 0);
    lp_matrix_clear(&m);
    lp_test_query_clear(&parsed);
    /* one window around everything: the stream tables know the counts, no block is opened */
    lp_test_query_parse(&parsed, LP_STR("sum by (app)(count_over_time({}[1m]))"), true);
    q.expr = parsed.expr;
    CU_ASSERT_EQUAL_FATAL(lp_metric_eval(&q, &m, NULL), LP_OK);
    double sum = 0;
    for (size_t i = 0; i < m.n; i++) {
        sum += m.series[i].v[0];
    }
    CU_ASSERT_EQUAL((size_t)sum, w.n);
    CU_ASSERT_EQUAL(m.stats.stored_lines, w.n);
    CU_ASSERT_EQUAL(m.stats.stored_bytes, 0);
    CU_ASSERT_EQUAL(m.stats.blocks, 0);
    lp_matrix_clear(&m);
    lp_test_query_clear(&parsed);
    lp_world_close(&w);
}

/* Where metadata makes series, the tables are not enough. */
static void
metadata_is_looked_at_where_it_counts(void)
{
    struct lp_world w;
    struct lp_test_query parsed;
    struct lp_matrix m;
    lp_world_make(&w, 1000, LP_SEALED);
    lp_test_query_parse(&parsed, LP_STR("sum without (app)(count_over_time({}[1m]))"), true);
    struct lp_metric_query q = query_of(&w, &parsed);
    CU_ASSERT_EQUAL_FATAL(lp_metric_eval(&q, &m, NULL), LP_OK);
    CU_ASSERT_EQUAL(m.n, 500 + 6); /* every second line has metadata of its own */
    CU_ASSERT_EQUAL(m.stats.blocks, m.stats.all_blocks);
    CU_ASSERT(m.stats.meta_bytes > 0);
    lp_matrix_clear(&m);
    lp_test_query_clear(&parsed);
    lp_world_close(&w);
}

/* Steps whose windows end before time begins. */
static void
ends_of_windows_may_be_no_times(void)
{
    struct lp_world w;
    struct lp_test_query parsed;
    struct lp_matrix m;
    lp_world_make(&w, 300, LP_MIXED);
    lp_test_query_parse(&parsed, LP_STR("sum(count_over_time({}[1m]))"), true);
    struct lp_metric_query q = query_of(&w, &parsed);
    q.start_ns = LP_TIME_MIN;
    q.step_ns = INT64_C(1) << 62;
    q.steps = 4;
    range_of(&parsed)->offset_ns = q.step_ns - 2000; /* the last window ends at 2001 */
    CU_ASSERT_EQUAL_FATAL(lp_metric_eval(&q, &m, NULL), LP_OK);
    CU_ASSERT_EQUAL_FATAL(m.n, 1);
    for (size_t k = 0; k < 4; k++) {
        CU_ASSERT_EQUAL(m.series[0].has[k], k == 3);
    }
    CU_ASSERT_EQUAL(m.series[0].v[3], 300);
    lp_matrix_clear(&m);
    lp_test_query_clear(&parsed);
    lp_world_close(&w);
}

static void
damage_is_told(void)
{
    struct lp_world w;
    struct lp_test_query parsed;
    struct lp_matrix m;
    struct lp_buf out;
    lp_test_query_parse(&parsed, LP_STR("sum by (seq)(count_over_time({} !~ \"nothing\" [1m]))"), true);
    lp_world_open(&w);
    lp_world_put(&w, 3000, 1000, 1000);
    lp_world_seal(&w);
    lp_world_put(&w, 100, 1000, 1000);
    lp_world_damage(&w);
    struct lp_metric_query q = query_of(&w, &parsed);
    CU_ASSERT_EQUAL_FATAL(lp_metric_eval(&q, &m, NULL), LP_OK);
    CU_ASSERT_EQUAL(m.stats.damaged, 1);
    lp_test_check(strstr(m.damage, "segment 0000000000000001") != NULL, "another text came",
                  lp_str_c(m.damage));
    CU_ASSERT(m.n > 50 && m.n < 1550); /* lines with metadata of another group, and of the head */
    lp_buf_init(&out, 1 << 20);
    CU_ASSERT_EQUAL(lp_result_series_vector(&m, &out, NULL), LP_OK);
    lp_test_check(lp_str_find(lp_buf_view(&out),
                              LP_STR("\"warnings\":[\"1 damaged parts of the store were left out")) !=
                      SIZE_MAX,
                  "no warning came", lp_buf_view(&out));
    lp_buf_clear(&out);
    lp_matrix_clear(&m);
    lp_test_query_clear(&parsed);
    lp_world_close(&w);
}

/* ------------------------------------------------------------------ refusals */

static void
limits_hold(void)
{
    struct lp_world w;
    struct lp_test_query parsed;
    struct lp_matrix m;
    struct lp_err err;
    _Atomic bool cancel = true;
    lp_world_make(&w, 500, LP_MIXED);
    lp_test_query_parse(&parsed, LP_STR("count_over_time({}[1m])"), true);
    struct lp_metric_query q = query_of(&w, &parsed);
    q.max_series = 20;
    CU_ASSERT_EQUAL(lp_metric_eval(&q, &m, &err), LP_ERR_LIMIT);
    lp_test_check(lp_str_starts(lp_str_c(err.text), LP_STR("maximum number of series (20) reached for a "
                                                           "single query; consider reducing query")),
                  "another text came", lp_str_c(err.text));
    lp_test_query_clear(&parsed);
    lp_test_query_parse(&parsed, LP_STR("max by (seq)(count_over_time({}[1m]))"), true);
    q.expr = parsed.expr;
    CU_ASSERT_EQUAL(lp_metric_eval(&q, &m, &err), LP_ERR_LIMIT);
    lp_test_query_clear(&parsed);
    lp_test_query_parse(&parsed, LP_STR("max(count_over_time({}[1m]))"),
                        true); /* only the answer's are limited */
    q.expr = parsed.expr;
    CU_ASSERT_EQUAL_FATAL(lp_metric_eval(&q, &m, &err), LP_OK);
    CU_ASSERT(m.n == 1 && m.series[0].v[0] >= 40);
    lp_matrix_clear(&m);
    q.budget_bytes = 1 << 20; /* 250 series of 11,000 steps */
    q.steps = 11000;
    CU_ASSERT_EQUAL(lp_metric_eval(&q, &m, &err), LP_ERR_LIMIT);
    lp_test_check(strstr(err.text, "memory") != NULL, "another text came", lp_str_c(err.text));
    q.budget_bytes = 64u << 20;
    q.cancel = &cancel;
    CU_ASSERT_EQUAL(lp_metric_eval(&q, &m, &err), LP_ERR_CANCELED);
    q.cancel = NULL;
    q.deadline_ns = lp_mono_ns() - 1;
    CU_ASSERT_EQUAL(lp_metric_eval(&q, &m, &err), LP_ERR_TIMEOUT);
    lp_test_query_clear(&parsed);
    lp_world_close(&w);
}

/* ------------------------------------------------------------------ text */

static void
expect_text(struct lp_world *w, const char *query, int64_t start_ns, int64_t step_ns, size_t steps,
            const char *expected)
{
    struct lp_test_query parsed;
    struct lp_matrix m;
    struct lp_buf out, want;
    lp_test_query_parse(&parsed, lp_str_c(query), true);
    struct lp_metric_query q = query_of(w, &parsed);
    q.start_ns = start_ns;
    q.step_ns = step_ns;
    q.steps = steps;
    lp_buf_init(&out, 1 << 20);
    lp_buf_init(&want, 1 << 20);
    CU_ASSERT_EQUAL_FATAL(lp_metric_eval(&q, &m, NULL), LP_OK);
    CU_ASSERT_EQUAL(steps == 1 ? lp_result_series_vector(&m, &out, NULL)
                               : lp_result_series_matrix(&m, &out, NULL),
                    LP_OK);
    lp_buf_printf(&want, "{\"status\":\"success\",\"data\":{\"resultType\":\"%s\",\"result\":[%s],\"stats\":",
                  steps == 1 ? "vector" : "matrix", expected);
    lp_test_check(lp_str_starts(lp_buf_view(&out), lp_buf_view(&want)), "another answer came",
                  lp_buf_view(&out));
    CU_ASSERT(lp_str_ends(lp_buf_view(&out), LP_STR("}}}\n")));
    lp_buf_clear(&out);
    lp_buf_init(&out, 100); /* an answer over its limit is an error, not half an answer */
    CU_ASSERT_EQUAL(lp_result_series_matrix(&m, &out, NULL), LP_ERR_LIMIT);
    lp_buf_clear(&out);
    lp_buf_clear(&want);
    lp_matrix_clear(&m);
    lp_test_query_clear(&parsed);
}

static void
answers_have_loki_form(void)
{
    const int64_t s = LP_NS_PER_S;
    struct lp_world w;
    struct lp_pair b[] = {{LP_STR("app"), LP_STR("b")}}, a[] = {{LP_STR("app"), LP_STR("<a>")}};
    struct lp_pair meta = {LP_STR("trace.id"), LP_STR("7")};
    uint32_t stream;
    lp_world_open(&w);
    struct lp_batch *batch = lp_batch_new(LP_STR_NULL, SIZE_MAX, 0);
    CU_ASSERT_EQUAL_FATAL(lp_batch_stream(batch, b, 1, NULL, &stream, NULL), LP_OK);
    CU_ASSERT_EQUAL_FATAL(lp_batch_add(batch, stream, 100 * s, LP_STR("x"), false, NULL, 0, NULL), LP_OK);
    CU_ASSERT_EQUAL_FATAL(lp_batch_add(batch, stream, 100 * s + 1, LP_STR("yy"), false, NULL, 0, NULL),
                          LP_OK);
    CU_ASSERT_EQUAL_FATAL(lp_batch_add(batch, stream, 160 * s, LP_STR(""), false, &meta, 1, NULL), LP_OK);
    CU_ASSERT_EQUAL_FATAL(lp_batch_stream(batch, a, 1, NULL, &stream, NULL), LP_OK);
    CU_ASSERT_EQUAL_FATAL(lp_batch_add(batch, stream, 101 * s, LP_STR("zzz"), false, NULL, 0, NULL), LP_OK);
    lp_batch_finish(batch);
    CU_ASSERT_EQUAL_FATAL(lp_put(w.st, batch, 0), LP_OK);
    for (int sealed = 0; sealed < 2; sealed++) {
        /* the first instant of a window is outside, the last inside */
        expect_text(&w, "sum by (app)(count_over_time({app=~\".+\"}[1m]))", 100 * s, 60 * s, 2,
                    "{\"metric\":{\"app\":\"\\u003ca\\u003e\"},\"values\":[[160,\"1\"]]},"
                    "{\"metric\":{\"app\":\"b\"},\"values\":[[100,\"1\"],[160,\"2\"]]}");
        expect_text(&w, "rate({app=\"b\"}[1m])", 160 * s + LP_NS_PER_S / 2, s, 1,
                    "{\"metric\":{\"app\":\"b\",\"detected_level\":\"unknown\",\"service_name\":\"b\","
                    "\"trace_id\":\"7\"},\"value\":[160.5,"
                    "\"0.016666666666666666\"]}");
        expect_text(&w, "bytes_over_time({app=\"b\"}[1m])", 160 * s, s, 1, /* no bytes are not no lines */
                    "{\"metric\":{\"app\":\"b\",\"detected_level\":\"unknown\",\"service_name\":\"b\","
                    "\"trace_id\":\"7\"},\"value\":[160,\"0\"]},"
                    "{\"metric\":{\"app\":\"b\",\"detected_level\":\"unknown\",\"service_name\":\"b\"},"
                    "\"value\":[160,\"2\"]}");
        expect_text(&w, "sum(rate({app=\"c\"}[1m]))", 160 * s, s, 1, "");
        lp_world_seal(&w);
    }
    lp_world_close(&w);
}

LP_SUITE(metric, {"spans are what they say", spans_are_what_they_say},
         {"samples from the head", samples_from_the_head}, {"samples from segments", samples_from_segments},
         {"samples from both", samples_from_both},
         {"statistics say what was looked at", statistics_say_what_was_looked_at},
         {"metadata is looked at where it counts", metadata_is_looked_at_where_it_counts},
         {"ends of windows may be no times", ends_of_windows_may_be_no_times},
         {"damage is told", damage_is_told}, {"limits hold", limits_hold},
         {"answers have Loki's form", answers_have_loki_form});
