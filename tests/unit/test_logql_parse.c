/*
 * test_logql_parse.c - what parses, what is refused and with which words, and what the tree holds. Oracles:
 * the recorded answers of a real Loki (tests/data/logql), and the contract's grammar.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/buf.h"
#include "query/print.h"
#include "tests/unit/test_logql.h"

static void
recorded_accepted(void)
{
    struct lp_test_texts t;
    lp_test_texts_read(&t, "accepted.txt");
    for (size_t i = 0; i < t.n; i++) {
        struct lp_test_query q;
        lp_test_query_parse(&q, t.items[i], false);
        lp_test_check(q.rc == LP_OK, q.err.text, t.items[i]);
        lp_test_query_clear(&q);
    }
    lp_test_texts_clear(&t);
}

static void
recorded_refused(void)
{
    struct lp_test_texts t;
    lp_test_texts_read(&t, "refused.txt");
    for (size_t i = 0; i < t.n; i++) {
        struct lp_test_query q;
        lp_test_query_parse(&q, t.items[i], false);
        lp_test_check(q.rc == LP_ERR_PARSE, "not refused", t.items[i]);
        lp_test_check(lp_str_starts(lp_str_c(q.err.text), LP_STR("parse error")), q.err.text, t.items[i]);
        lp_test_query_clear(&q);
    }
    lp_test_texts_clear(&t);
}

/* Beyond the recorded ones: every production of the grammar and the odd corners of the lexer. */
static const char *const accepted_queries[] = {
    "{a=\"b\",c!=\"d\",e=~\"f\",g!~\"h\"}",
    "({a=\"b\"})",
    "(({a=\"b\"} |= \"x\"))",
    "{rate=\"a\",sum=\"b\",ip=\"c\",bytes=\"d\",vector=\"e\",label_replace=\"f\"}",
    "{\xe5\x90\x8d=\"x\"}",
    "{A=\"b\"} | JSON | LogFmt --strict --keep-empty a,b=\"c\" | Unwrap_x > 1",
    "{a=\"b\"} |= \"x\" or ip(\"10.0.0.1\") or \"y\"",
    "{a=\"b\"} |= IP(\"10.0.0.1\")",
    "{a=\"b\"} # comment\n |= \"#x\" #",
    "{a=\"b\"} | json x=\"a.b[0][\\\"c\\\"]\",y | logfmt x=\"k\",y",
    "{a=\"b\"} | a=\"1\" b=\"2\" , c=\"3\" and d=\"4\" or (e=\"5\")",
    "{a=\"b\"} | n > +5 | n >= -5.5 | n < 1e3 | n <= 5. | n == .5 | n != 010 | n = 1_000",
    "{a=\"b\"} | d > 1h30m | d < 1.5h | d = 1d | d != -5m | d == 10\302\265s | d > 1w2d",
    "{a=\"b\"} | s > 1B | s > 1kB | s > 1KB | s > 1kb | s > 1MiB | s > 2.5GiB | s > 1EB | s > 1Ti | s > "
    "3k",
    "{a=\"b\"} | x=ip(\"10.0.0.0/8\") or x!=ip(\"::1\")",
    "{a=\"b\"} | line_format \"{{.x}}\" | label_format a=b,c=\"{{.d}}\" | decolorize | drop a,b=\"c\" | "
    "keep d=~\"e\",f",
    "{a=\"b\"} | unpack | regexp \"(?P<x>y)\" | pattern \"<x> <_>\"",
    "{a=\"b\"} |> \"\" !> `<_>x`",
    "rate({a=\"b\"}[5m])",
    "rate(({a=\"b\"})[5m])",
    "rate((({a=\"b\"} |= \"x\" [5m])))",
    "rate({a=\"b\"}[5m] offset 1h |= \"x\")",
    "rate(({a=\"b\"}|json|unwrap x)[5m] offset -1h)",
    "rate({a=\"b\"}[5m]|json|unwrap x|y=\"z\"|w>5)",
    "rate({a=\"b\"}[0s])",
    "quantile_over_time(0.99,{a=\"b\"}|unwrap duration_seconds(x)[1m]) without (y)",
    "sum(rate({a=\"b\"}[1m])) without ()",
    "SUM BY (x,y) (Rate({a=\"b\"}[1m]))",
    "sum # why\n by # and\n (x) (rate({a=\"b\"}[1m]))",
    "topk(3,rate({a=\"b\"}[1m])) by (x)",
    "approx_topk(3,rate({a=\"b\"}[1m]))",
    "sort_desc(rate({a=\"b\"}[1m]))",
    "absent_over_time({a=\"b\"}[1m])",
    "absent_over_time({a=\"b\"}|unwrap x[1m])",
    "1+2*3^2^2%5-4/2",
    "-2^2",
    "1 --2",
    "1 > bool 2",
    "vector(1) or vector(2) and vector(3) unless vector(4)",
    "vector(1) == bool on (a,b) group_left (c,d) vector(2)",
    "vector(1) * ignoring () group_right vector(2)",
    "vector(1) + on () vector(2)",
    "vector(1) / on (a) group_left (vector(2))",
    "sum(5 + vector(1))",
    "label_replace(vector(1),\"a\",\"$1\",\"b\",\"(.*)\")",
    "vector(1)or vector(2)",
    "\xef\xbb\xbf{a=\"b\"}",
    "{a=\"\\x41\\101\\u00e9\\U0001F600\\\\\\\"\\a\\b\\f\\n\\r\\t\\v\"}",
    "{a=\"b\"} |= \"\\xff\\xfe\"",
    "{a=`b\\n\n`}",
    "{a=~\"(x|y)\"} |~ \"(?i)z\"",
};

static void
more_accepted(void)
{
    for (size_t i = 0; i < LP_ARRAY_LEN(accepted_queries); i++) {
        struct lp_test_query q;
        lp_test_query_parse(&q, lp_str_c(accepted_queries[i]), false);
        lp_test_check(q.rc == LP_OK, q.err.text, lp_str_c(accepted_queries[i]));
        lp_test_query_clear(&q);
    }
}

/* The words are what a person reads at three in the morning: what was found, what would have been right. */
static const struct {
    const char *query;
    uint32_t line, col;
    const char *text;
} wordings[] = {
    {"", 1, 1,
     "parse error at line 1, col 1: unexpected the end of the query, expected a stream selector like "
     "{app=\"x\"}, a function or a number"},
    {"{app=}", 1, 6, "parse error at line 1, col 6: unexpected }, expected a quoted string"},
    {"{app=\"x\"", 1, 9, "parse error at line 1, col 9: unexpected the end of the query, expected , or }"},
    {"{app=\"x\",}", 1, 10, "parse error at line 1, col 10: unexpected }, expected a label name"},
    {"{app='x'}", 1, 6,
     "parse error at line 1, col 6: unexpected character ': strings stand in \"...\" or `...`"},
    {"{app=\"x}", 1, 6, "parse error at line 1, col 6: this string has no closing \""},
    {"{app=\"x\n\"}", 1, 6,
     "parse error at line 1, col 6: this string has no closing \" on its line; write a newline as \\n or "
     "use `...`"},
    {"{app=\"\\z\"}", 1, 7,
     "parse error at line 1, col 7: this escape is none that strings know (write \\\\ for a backslash, "
     "or use `...`)"},
    {"{by=\"x\"}", 1, 2, "parse error at line 1, col 2: unexpected keyword by, expected a label name"},
    {"{app-name=\"x\"}", 1, 5, "parse error at line 1, col 5: unexpected -, expected = or != or =~ or !~"},
    {"{a=\"b\"} |= x", 1, 12,
     "parse error at line 1, col 12: unexpected name x, expected a quoted string or ip(\"...\")"},
    {"{a=\"b\"}\n | json\n | ", 3, 4,
     "parse error at line 3, col 4: unexpected the end of the query, expected a stage: json, logfmt, "
     "regexp, pattern, unpack, line_format, label_format, decolorize, drop, keep or a label filter"},
    {"{a=\"\xc3\xa9\xc3\xa9\"} ?", 1, 10, "parse error at line 1, col 10: unexpected character ?"},
    {"{a=\"b\"} | status > \"5\"", 1, 20,
     "parse error at line 1, col 20: unexpected string \"5\", expected a number, a duration or a size"},
    {"{a=\"b\"} | status > 5x", 1, 20,
     "parse error at line 1, col 20: 5x is not a number, a duration (ms s m h d w y) or a size (B kB MB "
     "GB KiB MiB GiB ..)"},
    {"{a=\"b\"} | unwrap x", 1, 11,
     "parse error at line 1, col 11: unexpected unwrap: it is only for range aggregations, like "
     "sum_over_time({..} | unwrap x [5m])"},
    {"{a=\"b\"} | json x=\"a..b\"", 1, 16,
     "parse error at line 1, col 16: cannot parse the expression of x: found .b where a field name was "
     "expected"},
    {"rate({a=\"b\"}[5x])", 1, 13,
     "parse error at line 1, col 13: [5x] is not a range: write a duration like [30s], [5m] or [1h30m]"},
    {"rate({a=\"b\"})", 1, 13,
     "parse error at line 1, col 13: unexpected ), expected a stage, or a range like [5m]"},
    {"sum by app (rate({a=\"b\"}[5m]))", 1, 1,
     "parse error at line 1, col 1: unexpected name sum, expected a stream selector like {app=\"x\"}, a "
     "function or a number (to be a function it needs brackets behind it)"},
    {"1e400", 1, 1, "parse error at line 1, col 1: 1e400 is not a number, or one too large"},
    {"1 2", 1, 3,
     "parse error at line 1, col 3: unexpected 2, expected an operator, or the end of the query"},
    {"topk(0,rate({a=\"b\"}[5m]))", 1, 6,
     "parse error at line 1, col 6: the parameter of topk must be a whole number greater than 0"},
    {"topk(rate({a=\"b\"}[5m]))", 1, 1,
     "parse error at line 1, col 1: topk needs a parameter: how many series, as in topk(5, ...)"},
    {"sum(2,rate({a=\"b\"}[5m]))", 1, 1, "parse error at line 1, col 1: sum takes no parameter"},
    {"quantile_over_time({a=\"b\"}|unwrap x[5m])", 1, 1,
     "parse error at line 1, col 1: quantile_over_time needs a parameter: quantile_over_time(0.99, ...)"},
    {"sum_over_time(0.5,{a=\"b\"}|unwrap x[5m])", 1, 15,
     "parse error at line 1, col 15: sum_over_time takes no parameter"},
    {"{a!=\"b\"}", 1, 1,
     "parse error : queries require at least one regexp or equality matcher that does not have an "
     "empty-compatible value. For instance, app=~\".*\" does not meet this requirement, but app=~\".+\" "
     "will"},
    {"rate({a=\"b\"}[5m]) by (x)", 1, 1, "parse error : grouping not allowed for rate aggregation"},
    {"count_over_time({a=\"b\"}|unwrap x[5m])", 1, 25,
     "parse error : invalid aggregation count_over_time with unwrap"},
    {"sum_over_time({a=\"b\"}[5m])", 1, 1, "parse error : invalid aggregation sum_over_time without unwrap"},
    {"sort(vector(1)) by (x)", 1, 1, "parse error : grouping not allowed for sort aggregation"},
    {"sum({a=\"b\"})", 1, 5,
     "parse error : sum needs a metric query, this is a log query: wrap it, as in "
     "count_over_time({..}[5m])"},
    {"1 and 2", 1, 1,
     "parse error : unexpected literal for left leg of logical/set binary operation (and): 1.000000"},
    {"{a=\"b\"} + 1", 1, 1,
     "parse error : unexpected type for left leg of binary operation (+): a log query, not a metric "
     "query"},
    {"{a=\"b\"} | label_format x=y,z=w,x=\"t\"", 1, 32,
     "parse error : multiple label name 'x' not allowed in a single format operation"},
    {"{a=\"b\"} | label_format __error__=x", 1, 24,
     "parse error : label_format: __error__ cannot be formatted"},
    {"{a=\"b\"} |~ ip(\"1.1.1.1\")", 1, 12,
     "parse error : ip: invalid operation: ip() stands behind |= or != only"},
    {"{a=\"b\"} | pattern \"<_>\"", 1, 11,
     "parse error : invalid pattern \"<_>\": at least one capture is required, like <name>"},
    {"{a=\"b\"} | regexp \"x\"", 1, 11,
     "parse error : invalid regexp parser: at least one named capture must be supplied, like "
     "(?P<name>\\w+)"},
};

static void
errors_say_what_is_wrong(void)
{
    for (size_t i = 0; i < LP_ARRAY_LEN(wordings); i++) {
        struct lp_test_query q;
        lp_test_query_parse(&q, lp_str_c(wordings[i].query), false);
        lp_test_check(q.rc == LP_ERR_PARSE && q.err.rc == LP_ERR_PARSE, "not refused",
                      lp_str_c(wordings[i].query));
        lp_test_check(strcmp(q.err.text, wordings[i].text) == 0, q.err.text, lp_str_c(wordings[i].query));
        lp_test_check(q.err.line == wordings[i].line && q.err.col == wordings[i].col, "place",
                      lp_str_c(wordings[i].query));
        lp_test_query_clear(&q);
    }
}

static const char *const refused_queries[] = {
    "{a=\"b\"} {c=\"d\"}",
    "{a==\"b\"}",
    "{a=~\"*\"}",
    "{a=~\"\\xff\"}",
    "{a=\"b\"} |= ip(\"x\") or \"y\"",
    "{a=\"b\"} |= \"x\" or",
    "{a=\"b\"} |> \"<x>\"",
    "{a=\"b\"} !~ \"(\"",
    "{a=\"b\"} | x=~\"(\"",
    "{a=\"b\"} | x!~5",
    "{a=\"b\"} | x=ip(\"1.2.3\")",
    "{a=\"b\"} | x>ip(\"1.2.3.4\")",
    "{a=\"b\"} | x > 5 or",
    "{a=\"b\"} | (x > 5",
    "{a=\"b\"} | x > 5)",
    "{a=\"b\"} | drop x=~\"(\"",
    "{a=\"b\"} | json --strict",
    "{a=\"b\"} | logfmt --STRICT",
    "{a=\"b\"} | logfmt x=\"a.b\"",
    "{a=\"b\"} | json x=\"\"",
    "{a=\"b\"} | label_format x=5",
    "{a=\"b\"} | regexp \"(?P<\xc3\xa9>x)\"",
    "{a=\"b\"}[5m]",
    "rate({a=\"b\"}[5m][5m])",
    "rate({a=\"b\"}[1.5h])",
    "rate({a=\"b\"}[-5m])",
    "rate({a=\"b\"}[])",
    "rate({a=\"b\"}[5m)",
    "rate({a=\"b\"}[5m] offset 5)",
    "rate({}[5m])",
    "rate({a=\"b\"}|unwrap x|json[5m])",
    "rate_counter({a=\"b\"}[5m])",
    "bytes_rate({a=\"b\"}|unwrap x[5m])",
    "quantile_over_time(-1,{a=\"b\"}|unwrap x[5m])",
    "sum_over_time({a=\"b\"}|unwrap x|y=~\"(\"[5m])",
    "topk(1.5,vector(1))",
    "topk(-1,vector(1))",
    "topk(1,)",
    "sort_desc by (x) (vector(1))",
    "approx_topk(2,vector(1)) by (x)",
    "sum(1)",
    "sum by (x) (vector(1)) by (y)",
    "label_replace(1,\"a\",\"b\",\"c\",\"d\")",
    "label_replace(vector(1),\"a\",\"b\",\"c\",\"(\")",
    "label_replace(vector(1),\"\",\"b\",\"c\",\"d\")",
    "vector(-1)",
    "vector()",
    "vector(1) and 1",
    "-vector(1)",
    "0x1F",
    "--strict",
    "1 == == 2",
    "vector(1) group_left vector(2)",
    "vector(1) + on x vector(2)",
    "vector(1) offset 5m",
    "{a=\"b\"} @ 5",
    "\"just a string\"",
    "[5m]",
    "foo(vector(1))",
};

static void
more_refused(void)
{
    for (size_t i = 0; i < LP_ARRAY_LEN(refused_queries); i++) {
        struct lp_test_query q;
        lp_test_query_parse(&q, lp_str_c(refused_queries[i]), false);
        lp_test_check(q.rc == LP_ERR_PARSE, "not refused", lp_str_c(refused_queries[i]));
        lp_test_query_clear(&q);
    }
    struct lp_test_query q;
    lp_test_query_parse(&q, LP_STR("{a=\"\xff\"}"), false);
    CU_ASSERT_EQUAL(q.rc, LP_ERR_PARSE);
    lp_test_query_clear(&q);
    lp_test_query_parse(&q, LP_STR("{a=\"b\"}\0"), false);
    CU_ASSERT_EQUAL(q.rc, LP_ERR_PARSE);
    lp_test_query_clear(&q);
}

/* ------------------------------------------------------------------- meaning */

/* The canonical text shows how a query was understood. */
static void
means(const char *query, const char *canonical)
{
    struct lp_test_query q;
    struct lp_buf b;
    lp_buf_init(&b, 1 << 20);
    lp_test_query_parse(&q, lp_str_c(query), true);
    lp_test_check(q.rc == LP_OK, q.err.text, lp_str_c(query));
    if (q.rc == LP_OK) {
        CU_ASSERT(lp_logql_print(q.expr, &b));
        lp_test_check(lp_str_eqc(lp_buf_view(&b), canonical), query, lp_buf_view(&b));
    }
    lp_buf_clear(&b);
    lp_test_query_clear(&q);
}

static void
precedence(void)
{
    means("vector(1) + vector(2) * vector(3)", "(vector(1.000000) + (vector(2.000000) * vector(3.000000)))");
    means("vector(1) - vector(2) - vector(3)", "((vector(1.000000) - vector(2.000000)) - vector(3.000000))");
    means("vector(1) ^ vector(2) ^ vector(3)", "(vector(1.000000) ^ (vector(2.000000) ^ vector(3.000000)))");
    means("vector(1) or vector(2) and vector(3) == vector(4)",
          "(vector(1.000000) or (vector(2.000000) and (vector(3.000000) == vector(4.000000))))");
    means("vector(1) unless vector(2) and vector(3)",
          "((vector(1.000000) unless vector(2.000000)) and vector(3.000000))");
    means("(vector(1) + vector(2)) % vector(3)",
          "((vector(1.000000) + vector(2.000000)) % vector(3.000000))");
    means("-1 * vector(2)", "(-1 * vector(2.000000))");
    means("1 -1", "0");
    means("vector(1) -5", "(vector(1.000000) - 5)");
}

static void
label_filter_precedence(void)
{
    means("{a=\"b\"} | a=\"1\" and b=\"2\" or c=\"3\"", "{a=\"b\"} | ( ( a=\"1\" , b=\"2\" ) or c=\"3\" )");
    means("{a=\"b\"} | a=\"1\" or b=\"2\" and c=\"3\"", "{a=\"b\"} | ( a=\"1\" or ( b=\"2\" , c=\"3\" ) )");
    means("{a=\"b\"} | a=\"1\" or b=\"2\" or c=\"3\"", "{a=\"b\"} | ( ( a=\"1\" or b=\"2\" ) or c=\"3\" )");
    /* a comma, or nothing, takes all that is right of it */
    means("{a=\"b\"} | a=\"1\", b=\"2\" or c=\"3\"", "{a=\"b\"} | ( a=\"1\" , ( b=\"2\" or c=\"3\" ) )");
    means("{a=\"b\"} | a=\"1\" b=\"2\" or c=\"3\"", "{a=\"b\"} | ( a=\"1\" , ( b=\"2\" or c=\"3\" ) )");
    means("{a=\"b\"} | a=\"1\" or b=\"2\", c=\"3\"", "{a=\"b\"} | ( a=\"1\" or ( b=\"2\" , c=\"3\" ) )");
    means("{a=\"b\"} | (a=\"1\" or b=\"2\") c=\"3\"", "{a=\"b\"} | ( ( a=\"1\" or b=\"2\" ) , c=\"3\" )");
}

static void
folding(void)
{
    means("1 + 2 * 3", "7");
    means("2 ^ 3 ^ 2", "512");
    means("-2 ^ 2", "4");
    means("1 == 2", "0");
    means("1 < bool 2", "1");
    means("7 % 0", "(0 / 0)");
    means("1 / 0", "(0 / 0)");
    means("10 ^ 1000", "(2 ^ 1024)");
    means("0 - 10 ^ 1000", "(-2 ^ 1025)");
    means("vector(1) + 1 + 1", "((vector(1.000000) + 1) + 1)");
    means("vector(1) * (1 + 1)", "(vector(1.000000) * 2)");
    means("1000000", "1e+06");
}

static void
normal_forms(void)
{
    means("{a=\"b\"} != \"x\" or \"y\" |= \"z\" or \"w\"", "{a=\"b\"} != \"x\" != \"y\" |= \"z\" or \"w\"");
    means("sum by () (vector(1))", "sum(vector(1.000000))");
    means("sum without () (vector(1))", "sum without ()(vector(1.000000))");
    means("vector(1) + ignoring () vector(2)", "(vector(1.000000) + vector(2.000000))");
    means("vector(1) + on () vector(2)", "(vector(1.000000) + on ()  vector(2.000000))");
    means("vector(1) + ignoring () group_left (x) vector(2)",
          "(vector(1.000000) + ignoring () group_left (x) vector(2.000000))");
    means("max_over_time({a=\"b\"}|unwrap x[1m]) by ()", "max_over_time({a=\"b\"} | unwrap x[1m]) by ()");
    means("{a=\"b\"} | json x", "{a=\"b\"} | json x=\"x\"");
    means("{a=\"b\"} | n=5 | d=1h | s=1KiB", "{a=\"b\"} | n==5 | d==1h0m0s | s==1024B");
    means("{a=\"b\"} | l=~`x.y` | m=~\"x|y\" | n!~`x.y`", "{a=\"b\"} | l=~`x.y` | m=~\"x|y\" | n!~\"x.y\"");
    means("count_over_time({a=\"b\"}[1h] offset 5m |= \"x\")",
          "count_over_time({a=\"b\"} |= \"x\"[1h] offset 5m0s)");
    means("{}", "{}");
}

static void
fields_of_the_tree(void)
{
    struct lp_test_query q;
    lp_test_query_parse(
        &q,
        LP_STR(
            "quantile_over_time(0.5, {a=\"b\"} | json | unwrap bytes(x) | y>2 [1h30m] offset -5m) by (p, q)"),
        false);
    CU_ASSERT_EQUAL_FATAL(q.rc, LP_OK);
    CU_ASSERT_EQUAL_FATAL(q.expr->kind, LP_EXPR_RANGE_AGG);
    const struct lp_range_agg *a = &q.expr->range_agg;
    CU_ASSERT(a->op == LP_RANGE_QUANTILE && a->param == 0.5);
    CU_ASSERT(a->range.range_ns == INT64_C(5400000000000) && a->range.offset_ns == -INT64_C(300000000000));
    CU_ASSERT(a->range.unwrap != NULL && a->range.unwrap->conv == LP_CONV_BYTES &&
              a->range.unwrap->nfilters == 1);
    CU_ASSERT(a->range.log.nstages == 1 && a->range.log.stages[0].kind == LP_STAGE_JSON);
    CU_ASSERT(a->by.kind == LP_GROUP_BY && a->by.n == 2 && lp_str_eqc(a->by.names[1], "q"));
    CU_ASSERT(q.expr->pos.line == 1 && q.expr->pos.col == 1 && a->range.log.matchers[0].pos.col == 26);
    lp_test_query_clear(&q);

    lp_test_query_parse(
        &q, LP_STR("{a=\"\\x41\\101\\u00e9\\U0001F600\\\\\"} |= `\\x41` | s > 1.5KiB | d <= 250\302\265s"),
        false);
    CU_ASSERT_EQUAL_FATAL(q.rc, LP_OK);
    CU_ASSERT(lp_str_eqc(q.expr->log.matchers[0].value, "AA\xc3\xa9\xf0\x9f\x98\x80\\"));
    CU_ASSERT(lp_str_eqc(q.expr->log.stages[0].line.operands[0].text, "\\x41"));
    CU_ASSERT(q.expr->log.stages[1].filter->bytes == 1536 && q.expr->log.stages[1].filter->cmp == LP_CMP_GT);
    CU_ASSERT(q.expr->log.stages[2].filter->ns == 250000 &&
              q.expr->log.stages[2].filter->kind == LP_LF_DURATION);
    lp_test_query_clear(&q);
}

static void
empty_selectors(void)
{
    static const char *const queries[] = {"{}",         "{a=\"\"}",   "{a=~\".*\"}", "{a=~\"x|\"}",
                                          "{a!=\"x\"}", "{a!~\"x\"}", "{a=~\"()\"}", "rate({}[1m])"};
    for (size_t i = 0; i < LP_ARRAY_LEN(queries); i++) {
        struct lp_test_query q;
        lp_test_query_parse(&q, lp_str_c(queries[i]), false);
        lp_test_check(q.rc == LP_ERR_PARSE, "not refused", lp_str_c(queries[i]));
        lp_test_query_clear(&q);
        lp_test_query_parse(&q, lp_str_c(queries[i]), true);
        lp_test_check(q.rc == LP_OK, q.err.text, lp_str_c(queries[i]));
        lp_test_query_clear(&q);
    }
    static const char *const enough[] = {"{a=~\".+\"}", "{a!=\"\"}", "{a!~\"\"}", "{a!~\".*\"}",
                                         "{a=~\".*\",b=\"c\"}"};
    for (size_t i = 0; i < LP_ARRAY_LEN(enough); i++) {
        struct lp_test_query q;
        lp_test_query_parse(&q, lp_str_c(enough[i]), false);
        lp_test_check(q.rc == LP_OK, q.err.text, lp_str_c(enough[i]));
        lp_test_query_clear(&q);
    }
}

static void
selectors_alone(void)
{
    struct lp_arena ar;
    struct lp_err err;
    const struct lp_log_query *log = NULL;
    lp_arena_init(&ar, 1 << 20, 0);
    CU_ASSERT_EQUAL(lp_logql_parse_selector(LP_STR("{a=\"b\"}"), NULL, &ar, &log, &err), LP_OK);
    CU_ASSERT(log != NULL && log->nmatchers == 1);
    CU_ASSERT_EQUAL(lp_logql_parse_selector(LP_STR("{a=\"b\"} |= \"x\""), NULL, &ar, &log, &err),
                    LP_ERR_PARSE);
    CU_ASSERT_STRING_EQUAL(err.text, "only label matchers are supported");
    CU_ASSERT_EQUAL(lp_logql_parse_selector(LP_STR("vector(1)"), NULL, &ar, &log, &err), LP_ERR_PARSE);
    lp_arena_clear(&ar);
}

/* -------------------------------------------------------------------- limits */

/* `head`, then `piece` n times, then `tail` */
static lp_rc
parse_repeated(const char *head, const char *piece, size_t n, const char *tail)
{
    struct lp_buf b;
    struct lp_test_query q;
    lp_buf_init(&b, 1 << 20);
    lp_buf_c(&b, head);
    for (size_t i = 0; i < n; i++) {
        lp_buf_c(&b, piece);
    }
    lp_buf_c(&b, tail);
    CU_ASSERT_FALSE(b.failed);
    lp_test_query_parse(&q, lp_buf_view(&b), false);
    if (q.rc == LP_OK) {
        struct lp_buf out;
        lp_buf_init(&out, 8 << 20);
        CU_ASSERT(lp_logql_print(q.expr, &out) && lp_logql_pretty(q.expr, &out));
        lp_buf_clear(&out);
    }
    lp_rc rc = q.rc;
    lp_test_query_clear(&q);
    lp_buf_clear(&b);
    return rc;
}

static void
limits(void)
{
    CU_ASSERT_EQUAL(parse_repeated("", "(", 40000, ""), LP_ERR_LIMIT);
    CU_ASSERT_EQUAL(parse_repeated("vector(1)", "+vector(1)", 200, ""), LP_OK);
    CU_ASSERT_EQUAL(parse_repeated("vector(1)", "+vector(1)", 5000, ""), LP_ERR_LIMIT);
    CU_ASSERT_EQUAL(parse_repeated("vector(1)", "^vector(1)", 5000, ""), LP_ERR_LIMIT);
    CU_ASSERT_EQUAL(parse_repeated("1", "+1", 4000, ""), LP_OK); /* folds as it goes */
    CU_ASSERT_EQUAL(parse_repeated("", "sum(", 5000, ""), LP_ERR_LIMIT);
    CU_ASSERT_EQUAL(parse_repeated("rate(", "(", 5000, ""), LP_ERR_LIMIT);
    CU_ASSERT_EQUAL(parse_repeated("{a=\"b\"} | ", "(", 5000, ""), LP_ERR_LIMIT);
    CU_ASSERT_EQUAL(parse_repeated("{a=\"b\"} | x=\"y\"", " or x=\"y\"", 200, ""), LP_OK);
    CU_ASSERT_EQUAL(parse_repeated("{a=\"b\"} | x=\"y\"", " or x=\"y\"", 2000, ""), LP_ERR_LIMIT);
    CU_ASSERT_EQUAL(parse_repeated("{a=\"b\"} | x=\"y\"", ",x=\"y\"", 2000, ""), LP_ERR_LIMIT);
    CU_ASSERT_EQUAL(parse_repeated("{a=\"b\"}", "|=\"x\"", 4000, ""), LP_OK);
    CU_ASSERT_EQUAL(parse_repeated("{a=\"b\"}", "|=\"x\"", 12000, ""), LP_ERR_LIMIT);
    CU_ASSERT_EQUAL(parse_repeated("{a=\"b\"", ",a=\"b\"", 12000, "}"), LP_ERR_LIMIT);
    CU_ASSERT_EQUAL(parse_repeated("{a=\"b\"}", "|~\"x.y\"", 100, ""), LP_OK);
    CU_ASSERT_EQUAL(parse_repeated("{a=\"b\"}", "|~\"x.y\"", 101, ""), LP_ERR_LIMIT);
    CU_ASSERT_EQUAL(parse_repeated("{a=\"b\"}", "|~\"x|y\"", 1000, ""), LP_OK);
    CU_ASSERT_EQUAL(parse_repeated("{a=\"b\"}", " ", 130000, ""), LP_OK);
    CU_ASSERT_EQUAL(parse_repeated("{a=\"b\"}", " ", 140000, ""), LP_ERR_LIMIT);
    /* Grafana's list of selected values may be longer than a regex may */
    CU_ASSERT_EQUAL(parse_repeated("{a=~\"pod-0", "|pod-1234567", 1000, "\"}"), LP_OK);
    CU_ASSERT_EQUAL(parse_repeated("{a=~\"pod-.", "|pod-1234567", 1000, "\"}"), LP_ERR_PARSE);
}

/* Every arena budget that is too small gives an error, none a crash or a half tree. */
static void
spent_arenas(void)
{
    static const struct lp_str query = LP_STR("sum by (a,b) (quantile_over_time(0.5,{x=~\"a|b\",y=\"\\n\"} "
                                              "|= \"x\" or \"y\" | json a=\"b.c\",d | a=\"1\" or b>5 | "
                                              "label_format p=q | drop r | pattern \"<x> <_>\" | unwrap "
                                              "duration(z) | w>1 [5m])) / on (a) group_left (b) vector(1)");
    lp_rc rc = LP_ERR_LIMIT;
    size_t budget = 0;
    for (; rc != LP_OK && budget < 1 << 16; budget += 64) {
        struct lp_arena ar;
        const struct lp_expr *expr;
        lp_arena_init(&ar, budget, 0);
        rc = lp_logql_parse(query, NULL, &ar, &expr, NULL);
        CU_ASSERT(rc == LP_OK || rc == LP_ERR_LIMIT);
        lp_arena_clear(&ar);
    }
    CU_ASSERT_EQUAL(rc, LP_OK);
    CU_ASSERT(budget > 4096);
}

LP_SUITE(logql_parse, {"recorded queries parse", recorded_accepted},
         {"recorded errors are refused", recorded_refused}, {"the whole grammar parses", more_accepted},
         {"errors say what is wrong, and where", errors_say_what_is_wrong},
         {"more that is refused", more_refused}, {"operator precedence", precedence},
         {"label filter precedence", label_filter_precedence}, {"literals are folded", folding},
         {"normal forms", normal_forms}, {"fields of the tree", fields_of_the_tree},
         {"selectors that match everything", empty_selectors}, {"bare selectors", selectors_alone},
         {"limits", limits}, {"spent arenas", spent_arenas});
