/*
 * test_logql_print.c - printing trees. Oracles: the recorded answers of /format_query; and parse(print(x)) ==
 * x, where trees are compared by a dump that knows nothing of printing (test_logql_dump.c).
 */
#include <stdio.h>

#include "base/buf.h"
#include "query/print.h"
#include "tests/unit/test_logql.h"

static void
recorded_pretty(void)
{
    struct lp_test_texts t;
    lp_test_texts_read(&t, "pretty.txt");
    struct lp_buf b;
    lp_buf_init(&b, 1 << 20);
    for (size_t i = 0; i + 1 < t.n; i += 2) {
        struct lp_test_query q;
        lp_test_query_parse(&q, t.items[i], false);
        lp_test_check(q.rc == LP_OK, q.err.text, t.items[i]);
        lp_buf_reset(&b);
        if (q.rc == LP_OK && lp_logql_pretty(q.expr, &b)) {
            lp_test_check(lp_str_eq(lp_buf_view(&b), t.items[i + 1]), "not as recorded", lp_buf_view(&b));
        }
        lp_test_query_clear(&q);
    }
    lp_buf_clear(&b);
    lp_test_texts_clear(&t);
}

/* print and pretty both parse to an equal tree. */
static void
round_trip(struct lp_str text)
{
    struct lp_test_query q;
    lp_test_query_parse(&q, text, true);
    if (q.rc == LP_OK) {
        bool (*const printers[])(const struct lp_expr *, struct lp_buf *) = {lp_logql_print, lp_logql_pretty};
        for (size_t i = 0; i < LP_ARRAY_LEN(printers); i++) {
            struct lp_buf b;
            struct lp_test_query again;
            lp_buf_init(&b, 8 << 20);
            CU_ASSERT(printers[i](q.expr, &b));
            lp_test_query_parse(&again, lp_buf_view(&b), true);
            lp_test_check(again.rc == LP_OK, again.err.text, lp_buf_view(&b));
            if (again.rc == LP_OK) {
                lp_test_check(strcmp(lp_test_dump(q.expr), lp_test_dump(again.expr)) == 0, "another tree",
                              lp_buf_view(&b));
            }
            lp_test_query_clear(&again);
            lp_buf_clear(&b);
        }
    }
    lp_test_query_clear(&q);
}

static void
recorded_round_trip(void)
{
    static const char *const files[] = {"accepted.txt", "pretty.txt"};
    for (size_t f = 0; f < LP_ARRAY_LEN(files); f++) {
        struct lp_test_texts t;
        lp_test_texts_read(&t, files[f]);
        for (size_t i = 0; i < t.n; i++) {
            round_trip(t.items[i]);
        }
        lp_test_texts_clear(&t);
    }
}

static void
odd_values_round_trip(void)
{
    static const char *const queries[] = {
        "{a=\"\\x00\\xff\\u200b\\U0010ffff`\\\"\"} |= `raw \\ \n` |~ \"`\" | x=~\"`.\" | y=~\"\\x01.\"",
        "vector(0.1) + vector(1e300) + vector(0.0000001) + vector(123456.789)",
        "vector(1) * 1e-300 - 1e21 + 0.1",
        "{a=\"b\"} | n>1e300 | n<0.000000001 | n=-0 | d>1.5\302\265s | d<-2562047h | s>18446744073709551615",
        "quantile_over_time(0.999999999999,{a=\"b\"}|unwrap x[1y2w3d4h5m6s7ms] offset -1.5ms)",
        "vector(1) + (0/0) * vector(2) - (1/0)",
        "vector(1) > bool ignoring (a) group_right (b,c) vector(2)",
        "label_replace(vector(1),\"\\\"\",\"\\n\",\"\",\"\")",
        "{a=\"b\"} | logfmt --keep-empty --strict x=\"\\\"a b\\\"\",y | json z=\"[\\\"a.b\\\"][0].c\"",
        "{\xe5\x90\x8d=\"x\"} | \xc3\xa9t\xc3\xa9 > 5",
    };
    for (size_t i = 0; i < LP_ARRAY_LEN(queries); i++) {
        struct lp_test_query q;
        lp_test_query_parse(&q, lp_str_c(queries[i]), false);
        lp_test_check(q.rc == LP_OK, q.err.text, lp_str_c(queries[i]));
        lp_test_query_clear(&q);
        round_trip(lp_str_c(queries[i]));
    }
}

static void
pretty_is(const char *query, const char *expected)
{
    struct lp_test_query q;
    struct lp_buf b;
    lp_buf_init(&b, 1 << 20);
    lp_test_query_parse(&q, lp_str_c(query), false);
    lp_test_check(q.rc == LP_OK, q.err.text, lp_str_c(query));
    if (q.rc == LP_OK) {
        CU_ASSERT(lp_logql_pretty(q.expr, &b));
        lp_test_check(lp_str_eqc(lp_buf_view(&b), expected), "pretty", lp_buf_view(&b));
    }
    round_trip(lp_str_c(query));
    lp_buf_clear(&b);
    lp_test_query_clear(&q);
}

static void
long_queries_are_split(void)
{
    pretty_is("{namespace=\"production\",container=\"storefront-api\"} |= \"error\" != \"timeout\" | json | "
              "status >= 500 | "
              "line_format \"{{.msg}}\"",
              "{namespace=\"production\", container=\"storefront-api\"}\n"
              "  |= \"error\" != \"timeout\"\n"
              "  | json\n"
              "  | status>=500\n"
              "  | line_format \"{{.msg}}\"");
    pretty_is("quantile_over_time(0.99,{namespace=\"production\",container=\"storefront-api\"} | json | "
              "unwrap duration(latency) | "
              "__error__=\"\" [5m] offset 1h) by (pod,node)",
              "quantile_over_time(\n"
              "  0.99,\n"
              "  {namespace=\"production\", container=\"storefront-api\"} | json\n"
              "    | unwrap duration(latency)\n"
              "    | __error__=\"\" [5m] offset 1h\n"
              ") by (pod, node)");
    pretty_is("topk by (namespace) (5, sum by (namespace, pod) (rate({namespace=~\"production|staging\", "
              "container=\"storefront-api\"} "
              "|= \"error\" [5m])))",
              "topk by (namespace)(\n"
              "  5,\n"
              "  sum by (namespace, pod)(\n"
              "    rate({namespace=~\"production|staging\", container=\"storefront-api\"} |= \"error\"[5m])\n"
              "  )\n"
              ")");
    pretty_is("label_replace(sum by (pod) "
              "(rate({namespace=\"production\",container=\"storefront-api\"}[5m])),\"shard\",\"$1\",\"pod\","
              "\"storefront-api-(.*)\")",
              "label_replace(\n"
              "  sum by (pod)(rate({namespace=\"production\", container=\"storefront-api\"}[5m])),\n"
              "  \"shard\",\n"
              "  \"$1\",\n"
              "  \"pod\",\n"
              "  \"storefront-api-(.*)\"\n"
              ")");
}

/* A split operation keeps its meaning: brackets stay where precedence would read it otherwise. */
static void
split_operations(void)
{
    pretty_is("(sum(rate({namespace=\"production\",app=\"storefront-api\"}[5m])) + "
              "sum(rate({namespace=\"production\",app=\"checkout\"}[5m]))) / "
              "on (a) vector(2)",
              "  (\n"
              "      sum(rate({namespace=\"production\", app=\"storefront-api\"}[5m]))\n"
              "    +\n"
              "      sum(rate({namespace=\"production\", app=\"checkout\"}[5m]))\n"
              "  )\n"
              "/ on (a) \n"
              "  vector(2.000000)");
    round_trip(LP_STR("vector(1) - (sum(rate({namespace=\"production\",app=\"storefront-api\"}[5m])) - "
                      "sum(rate({namespace=\"production\",app=\"checkout\"}[5m])))"));
    round_trip(LP_STR("(sum(rate({namespace=\"production\",app=\"storefront-api\"}[5m])) ^ "
                      "sum(rate({namespace=\"production\",app=\"checkout\"}[5m]))) ^ vector(1)"));
}

static void
full_buffers(void)
{
    struct lp_test_query q;
    struct lp_buf b;
    lp_test_query_parse(
        &q, LP_STR("sum(rate({namespace=\"production\",app=\"storefront-api\"}[5m])) + vector(1)"), false);
    CU_ASSERT_EQUAL_FATAL(q.rc, LP_OK);
    lp_buf_init(&b, 20);
    CU_ASSERT_FALSE(lp_logql_print(q.expr, &b));
    lp_buf_reset(&b);
    CU_ASSERT_FALSE(lp_logql_pretty(q.expr, &b));
    lp_buf_clear(&b);
    lp_test_query_clear(&q);
}

LP_SUITE(logql_print, {"recorded answers of format_query", recorded_pretty},
         {"recorded queries print to equal trees", recorded_round_trip},
         {"odd values print to equal trees", odd_values_round_trip},
         {"long queries are split", long_queries_are_split},
         {"split operations keep their meaning", split_operations},
         {"full buffers are reported", full_buffers});
