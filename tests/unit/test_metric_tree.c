/*
 * test_metric_tree.c - metric queries as a whole: that a range is as good as its instants, limits, what is
 * told of leaves, and the text of answers. The series are made by hand (metric_fixture.h).
 */
#include <stdio.h>
#include <string.h>

#include "query/result.h"
#include "tests/unit/metric_fixture.h"

/* ------------------------------------------------------------------ ranges and instants */

static const char *const expressions[] = {
    A " + " B,
    A " * on (x) " B,
    A " / ignoring (y) " B,
    A " - on (x) group_left (y) " B,
    A " <= ignoring (z) group_right (z) " B,
    A " > bool on (y) " B,
    A " and on (x) " B,
    A " or on (y) " B,
    A " unless ignoring (x) " B,
    "(" A " or " B ") % 3",
    "topk by (x) (2, " A " or " B ")",
    "bottomk(1, " REPLACE(A, "z", "$1", "x", "(.*)") ")",
    "stddev without (y) (" A ") + on (x, z) group_left () avg by (x, z) (" B ")",
    REPLACE(A, "y", "", "y", "1") " unless on (z) (" B " > 3)",
    "count by (x) (" REPLACE(A, "x", "1", "y", "[12]") ")",
};

static void
random_table(uint64_t *seed, struct lp_buf *out)
{
    bool used[27] = {false};
    unsigned n = 1 + lp_test_below(seed, 6);
    for (unsigned i = 0; i < n; i++) {
        unsigned set = lp_test_below(seed, 27);
        if (used[set]) {
            continue;
        }
        used[set] = true;
        const char *comma = "";
        lp_buf_c(out, out->n > 0 ? "\n" : "");
        for (unsigned name = 0, left = set; name < 3; name++, left /= 3) {
            if (left % 3 > 0) {
                lp_buf_printf(out, "%s%c=%u", comma, 'x' + (int)name, left % 3);
                comma = ",";
            }
        }
        lp_buf_byte(out, ':');
        for (unsigned k = 0; k < 6; k++) {
            if (lp_test_below(seed, 3) == 0) {
                lp_buf_c(out, " _");
            } else {
                lp_buf_printf(out, " %u", lp_test_below(seed, 5));
            }
        }
    }
    lp_buf_byte(out, 0);
}

/* One step of a table as a table. */
static void
column(const char *table, size_t step, struct lp_buf *out)
{
    lp_buf_reset(out);
    for (struct lp_str rest = lp_str_c(table); rest.n > 0;) {
        struct lp_str line = lp_str_cut(&rest, '\n'), word = LP_STR_NULL;
        lp_buf_c(out, out->n > 0 ? "\n" : "");
        lp_buf_str(out, lp_str_cut(&line, ':'));
        for (size_t k = 0; k <= step; k++) {
            word = lp_table_word(&line);
        }
        lp_buf_printf(out, ": " LP_STR_FMT, LP_STR_ARG(word));
    }
    lp_buf_byte(out, 0);
}

/* Leaves of a result of many steps what one step has. */
static void
only_step(struct lp_str result, size_t step, struct lp_buf *out)
{
    lp_buf_reset(out);
    while (result.n > 0) {
        struct lp_str line = lp_str_cut(&result, '\n'), word = LP_STR_NULL;
        struct lp_str labels = lp_str_cut(&line, ':');
        for (size_t k = 0; k <= step; k++) {
            word = lp_table_word(&line);
        }
        if (!lp_str_eqc(word, "_")) {
            lp_buf_str(out, labels);
            lp_buf_printf(out, ": " LP_STR_FMT "\n", LP_STR_ARG(word));
        }
    }
}

/* A range query is as good as an instant query at each of its steps; it fails where one of these does. */
static void
ranges_are_instants(void)
{
    struct lp_buf a, b, whole, part, one[2];
    uint64_t seed = 99;
    size_t failed = 0, runs = 0;
    struct lp_buf *const all[] = {&a, &b, &whole, &part, &one[0], &one[1]};
    for (size_t i = 0; i < LP_ARRAY_LEN(all); i++) {
        lp_buf_init(all[i], 1 << 20);
    }
    for (; runs < 3000; runs++) {
        const char *query = expressions[runs % LP_ARRAY_LEN(expressions)];
        lp_buf_reset(&a);
        lp_buf_reset(&b);
        random_table(&seed, &a);
        random_table(&seed, &b);
        lp_tables_set(a.p, b.p);
        lp_table_answer(query, false, &whole);
        bool bad = lp_str_starts(lp_buf_view(&whole), LP_STR("error")), some_bad = false;
        for (size_t k = 0; k < 6; k++) {
            column(a.p, k, &one[0]);
            column(b.p, k, &one[1]);
            lp_tables_set(one[0].p, one[1].p);
            lp_table_answer(query, true, &part);
            some_bad = some_bad || lp_str_starts(lp_buf_view(&part), LP_STR("error"));
            if (!bad) {
                only_step(lp_buf_view(&whole), k, &one[0]);
                lp_test_check(lp_str_eq(lp_buf_view(&part), lp_buf_view(&one[0])),
                              "a step has another answer than its instant", lp_str_c(query));
            }
        }
        CU_ASSERT_EQUAL(bad, some_bad);
        failed += bad;
    }
    CU_ASSERT(failed > runs / 20 && failed < runs / 2);
    for (size_t i = 0; i < LP_ARRAY_LEN(all); i++) {
        lp_buf_clear(all[i]);
    }
}

/* ------------------------------------------------------------------ limits */

static void
make_table(struct lp_buf *out, size_t series, size_t steps)
{
    for (size_t i = 0; i < series; i++) {
        lp_buf_printf(out, "%spod=p-%zu,x=%zu:", i > 0 ? "\n" : "", i, i % 7);
        for (size_t k = 0; k < steps; k++) {
            lp_buf_printf(out, " %zu", (i + k) % 10);
        }
    }
    lp_buf_byte(out, 0);
}

static lp_rc
run(const char *text, size_t budget, size_t max_series, struct lp_arena_share *share, struct lp_err *err)
{
    struct lp_test_query parsed;
    struct lp_matrix m;
    lp_test_query_parse(&parsed, lp_str_c(text), true);
    struct lp_metric_query q = lp_table_query(&parsed, lp_tables_steps());
    q.budget_bytes = budget;
    q.share = share;
    q.max_series = max_series;
    lp_rc rc = lp_metric_tree(&q, lp_table_leaf, &m, err);
    lp_matrix_clear(&m);
    lp_test_query_clear(&parsed);
    CU_ASSERT(share == NULL || share->used == 0);
    return rc;
}

/*
 * The budget is for all matrices together: what goes through with it never takes more at a time. A share of
 * that size would otherwise have refused.
 */
static void
the_budget_is_for_the_whole_tree(void)
{
    static const char *const queries[] = {
        A " + " B,
        A " + on (pod) group_left (x) " B,
        A " or on (x) (" B " > 4)",
        "(" A " or " B ") unless on (pod) " B,
        A " + (" A " + (" A " + (" A " + " B ")))",
        "((" A " + " A ") + " A ") / (" A " + " B ")",
        A
        " or on (pod, q) (" REPLACE(B, "q", "1", "", "") " or on (pod, q) " REPLACE(B, "q", "2", "", "") ")",
        "topk by (x) (3, " A " - " B ")",
        "topk by (pod, q) (3, " A
        " or on (pod, q) " REPLACE(B, "q", "1", "", "") " or on (pod, q) " REPLACE(B, "q", "2", "", "") ")",
        "stddev by (pod) (" A ") + sum by (pod) (" B ")",
        REPLACE(A, "y", "$1", "pod", "(.*)-.*") " * " REPLACE(B, "y", "p", "", ""),
    };
    static const struct {
        size_t series, steps;
    } shapes[] = {{30, 100}, {150, 1}};
    struct lp_buf a;
    lp_buf_init(&a, 1 << 20);
    for (size_t i = 0; i < LP_ARRAY_LEN(queries) * 2; i++) {
        const char *query = queries[i / 2];
        size_t good = 0, bad = 0;
        lp_buf_reset(&a);
        make_table(&a, shapes[i % 2].series, shapes[i % 2].steps);
        lp_tables_set(a.p, a.p);
        for (size_t budget = 16 << 10; good < 3; budget += 6 << 10) {
            struct lp_arena_share share = {.most = budget};
            struct lp_err err, with;
            lp_rc rc = run(query, budget, 1000, NULL, &err), shared = run(query, budget, 1000, &share, &with);
            CU_ASSERT(rc == LP_OK ? shared == LP_OK
                                  : rc == LP_ERR_LIMIT && strstr(err.text, "memory") != NULL);
            CU_ASSERT(rc == LP_OK || good == 0); /* more is never worse */
            good += rc == LP_OK;
            bad += rc != LP_OK;
        }
        lp_test_check(bad > 5 && bad < 80, "it took another lot of memory", lp_str_c(query));
    }
    lp_buf_clear(&a);
}

/* As deep as queries get, to either side. */
static void
depth_is_no_matter(void)
{
    struct lp_buf query;
    struct lp_err err;
    lp_buf_init(&query, 1 << 20);
    for (int right = 0; right < 2; right++) {
        lp_buf_reset(&query);
        for (int i = 0; i < 110; i++) {
            lp_buf_c(&query, right ? A " + (" : "(");
        }
        lp_buf_c(&query, A);
        for (int i = 0; i < 110; i++) {
            lp_buf_c(&query, right ? ")" : " + " A ")");
        }
        lp_buf_byte(&query, 0);
        lp_tables_set("x=a: 1 2", "");
        CU_ASSERT_EQUAL(run(query.p, 8 << 20, 1000, NULL, &err), LP_OK);
        CU_ASSERT_EQUAL(lp_tables_leaves(), 111);
        CU_ASSERT_EQUAL(run(query.p, 1 << 20, 1000, NULL, &err), right ? LP_ERR_LIMIT : LP_OK);
    }
    lp_buf_clear(&query);
}

static void
only_answers_have_a_limit_of_series(void)
{
    static const struct {
        const char *query;
        bool fits;
    } cases[] = {
        {A, false},
        {A " * 2", false},
        {"sort(" A ")", false},
        {A " > 1000", true},
        {"sum by (x) (" A ")", true},
        {"sum by (pod) (" A ")", false},
        {"max by (pod) (" A ")", false},
        {"topk(5, " A ")", true},
        {A " and on (pod) " B, true},
        {B " or " A, false},
        {REPLACE(A, "pod", "p", "pod", ".*"), false}, /* it is another error, though */
        {"max(" REPLACE(A, "pod", "p", "pod", ".*") ")", true},
    };
    struct lp_buf a;
    lp_buf_init(&a, 1 << 20);
    make_table(&a, 120, 3);
    lp_tables_set(a.p, "pod=p-1: 1 1 1");
    for (size_t i = 0; i < LP_ARRAY_LEN(cases); i++) {
        struct lp_err err;
        lp_rc rc = run(cases[i].query, 4 << 20, 100, NULL, &err);
        lp_test_check((rc == LP_OK) == cases[i].fits, "the limit did another thing",
                      lp_str_c(cases[i].query));
        CU_ASSERT(rc == LP_OK || rc == LP_ERR_PARSE || strstr(err.text, "number of series (100)") != NULL);
    }
    lp_buf_clear(&a);
}

static void
errors_of_leaves_pass(void)
{
    static const char *const queries[] = {
        "rate({t=\"x\"}[1m])",
        "rate({t=\"x\"}[1m]) + " A,
        A " or rate({t=\"x\"}[1m])",
        "max(rate({t=\"x\"}[1m]))",
        "topk(1, rate({t=\"x\"}[1m]) * 2)",
        REPLACE("sum(rate({t=\"x\"}[1m]))", "a", "b", "c", "d"),
    };
    lp_tables_set("x=a: 1", "");
    for (size_t i = 0; i < LP_ARRAY_LEN(queries); i++) {
        struct lp_err err;
        CU_ASSERT_EQUAL(run(queries[i], 1 << 20, 1000, NULL, &err), LP_ERR_PARSE);
        lp_test_check(lp_str_eqc(lp_str_c(err.text), "pipeline error: 'X' for series: '{}'."),
                      "another error came", lp_str_c(queries[i]));
    }
}

/* A query that has nothing to scan any more ends in time as well. */
static void
nodes_end_when_they_should(void)
{
    static const char *const queries[] = {
        A " + " B, A " or " B, "max by (x) (" A ")", "topk(1, " A ")", REPLACE(A, "a", "b", "c", ""),
    };
    _Atomic bool cancel = true;
    lp_tables_set("x=a: 1", "x=a: 1");
    for (size_t i = 0; i < LP_ARRAY_LEN(queries); i++) {
        struct lp_test_query parsed;
        struct lp_matrix m;
        lp_test_query_parse(&parsed, lp_str_c(queries[i]), true);
        struct lp_metric_query q = lp_table_query(&parsed, 1);
        q.cancel = &cancel;
        CU_ASSERT_EQUAL(lp_metric_tree(&q, lp_table_leaf, &m, NULL), LP_ERR_CANCELED);
        lp_matrix_clear(&m);
        q.cancel = NULL;
        q.deadline_ns = lp_mono_ns() - 1;
        CU_ASSERT_EQUAL(lp_metric_tree(&q, lp_table_leaf, &m, NULL), LP_ERR_TIMEOUT);
        lp_matrix_clear(&m);
        lp_test_query_clear(&parsed);
    }
}

/* ------------------------------------------------------------------ what is told */

static void
what_leaves_saw_is_told(void)
{
    static const struct {
        const char *query;
        uint64_t lines, damaged;
    } cases[] = {
        {A " + (" B " - " A ")", 3, 1},
        {A " or (" B " unless " B ")", 3, 2},
        {"max(topk(1, " A " * 2)) > bool sum(" B ")", 2, 1},
        {"vector(1)", 0, 0},
    };
    lp_tables_set("x=a: 1", "x=a: 1");
    for (size_t i = 0; i < LP_ARRAY_LEN(cases); i++) {
        struct lp_test_query parsed;
        struct lp_matrix m;
        lp_test_query_parse(&parsed, lp_str_c(cases[i].query), true);
        struct lp_metric_query q = lp_table_query(&parsed, 1);
        CU_ASSERT_EQUAL_FATAL(lp_metric_tree(&q, lp_table_leaf, &m, NULL), LP_OK);
        if (strstr(cases[i].query, "sum(") == NULL) { /* there the leaf of this test loses it */
            CU_ASSERT_EQUAL(m.stats.passed_lines, cases[i].lines);
            CU_ASSERT_EQUAL(m.stats.damaged, cases[i].damaged);
            CU_ASSERT_STRING_EQUAL(m.damage, cases[i].damaged > 0 ? "damaged" : "");
        }
        lp_matrix_clear(&m);
        lp_test_query_clear(&parsed);
    }
}

static void
expect_text(const char *query, bool instant, size_t n, const char *want)
{
    struct lp_test_query parsed;
    struct lp_matrix m;
    struct lp_buf out, begin;
    lp_buf_init(&out, 1 << 20);
    lp_buf_init(&begin, 1 << 20);
    lp_test_query_parse(&parsed, lp_str_c(query), true);
    struct lp_metric_query q = lp_table_query(&parsed, n);
    q.instant = instant;
    CU_ASSERT_EQUAL_FATAL(lp_metric_eval(&q, &m, NULL), LP_OK);
    CU_ASSERT_EQUAL(
        instant ? lp_result_series_vector(&m, &out, NULL) : lp_result_series_matrix(&m, &out, NULL), LP_OK);
    lp_buf_printf(&begin, "{\"status\":\"success\",\"data\":{\"resultType\":%s,\"stats\":", want);
    lp_test_check(lp_str_starts(lp_buf_view(&out), lp_buf_view(&begin)), "another answer came",
                  lp_buf_view(&out));
    CU_ASSERT(m.stats.duration_ns > 0);
    lp_matrix_clear(&m);
    lp_test_query_clear(&parsed);
    lp_buf_clear(&out);
    lp_buf_clear(&begin);
}

static void
constants_have_loki_form(void)
{
    expect_text("1 + 1", true, 1, "\"scalar\",\"result\":[60000,\"2\"]"); /* milliseconds */
    expect_text("1e21 * 10", true, 1, "\"scalar\",\"result\":[60000,\"10000000000000000000000\"]");
    expect_text("vector(1)+vector(1)", true, 1,
                "\"vector\",\"result\":[{\"metric\":{},\"value\":[60,\"2\"]}]");
    expect_text("vector(1) > 2", true, 1, "\"vector\",\"result\":[]");
    expect_text("vector(2) ^ 1024", true, 1,
                "\"vector\",\"result\":[{\"metric\":{},\"value\":[60,\"+Inf\"]}]");
    expect_text("0 - vector(2) ^ 1024", true, 1,
                "\"vector\",\"result\":[{\"metric\":{},\"value\":[60,\"-Inf\"]}]");
    expect_text("vector(1) % 0", true, 1, "\"vector\",\"result\":[{\"metric\":{},\"value\":[60,\"NaN\"]}]");
    expect_text("1 + 2 * 3", false, 3,
                "\"matrix\",\"result\":[{\"metric\":{},\"values\":[[60,\"7\"],[120,\"7\"],[180,\"7\"]]}]");
    expect_text("vector(0.0000001)", false, 1,
                "\"matrix\",\"result\":[{\"metric\":{},\"values\":[[60,\"0.0000001\"]]}]");
    expect_text("vector(1) > 2", false, 3, "\"matrix\",\"result\":[]");
    expect_text(
        "sort_desc(" REPLACE("vector(1)", "a", "1", "", "") " or " REPLACE("vector(2)", "a", "2", "", "") ")",
        true, 1,
        "\"vector\",\"result\":[{\"metric\":{\"a\":\"2\"},\"value\":[60,\"2\"]},"
        "{\"metric\":{\"a\":\"1\"},\"value\":[60,\"1\"]}]");
}

LP_SUITE(metric_tree, {"ranges are instants", ranges_are_instants},
         {"the budget is for the whole tree", the_budget_is_for_the_whole_tree},
         {"depth is no matter", depth_is_no_matter},
         {"only answers have a limit of series", only_answers_have_a_limit_of_series},
         {"errors of leaves pass", errors_of_leaves_pass},
         {"nodes end when they should", nodes_end_when_they_should},
         {"what leaves saw is told", what_leaves_saw_is_told},
         {"constants have Loki's form", constants_have_loki_form});
