/*
 * test_logql_text.c - values as LogQL writes them, paths, patterns and IP sets. Oracle: what Go prints for
 * the same values (run once, copied here), and the rules of the contract.
 */
#include <math.h>

#include "base/arena.h"
#include "base/buf.h"
#include "query/ip.h"
#include "query/literals.h"
#include "query/path.h"
#include "query/pattern.h"
#include "query/text.h"
#include "tests/unit/unit.h"

#define MS INT64_C(1000000)
#define S (1000 * MS)

static void
numbers_print(void)
{
    static const struct {
        double v;
        const char *number, *plain, *fixed;
    } cases[] = {
        {0, "0", "0", "0.000000"},
        {-0.0, "-0", "-0", "-0.000000"},
        {1, "1", "1", "1.000000"},
        {100000, "100000", "100000", "100000.000000"},
        {1000000, "1e+06", "1000000", "1000000.000000"},
        {123456789, "1.23456789e+08", "123456789", "123456789.000000"},
        {1234567.5, "1.2345675e+06", "1234567.5", "1234567.500000"},
        {1e22, "1e+22", "10000000000000000000000", "10000000000000000000000.000000"},
        {0.0001, "0.0001", "0.0001", "0.000100"},
        {0.00001, "1e-05", "0.00001", "0.000010"},
        {-2.5, "-2.5", "-2.5", "-2.500000"},
        {1e-7, "1e-07", "0.0000001", "0.0000001"},
        {0.1, "0.1", "0.1", "0.100000"},
        {1.0 / 3, "0.3333333333333333", "0.3333333333333333", "0.3333333333333333"},
        {123456789012345678.0, "1.2345678901234568e+17", "123456789012345680", "123456789012345680.000000"},
        {NAN, "NaN", "NaN", "NaN"},
        {INFINITY, "+Inf", "+Inf", "+Inf"},
        {-INFINITY, "-Inf", "-Inf", "-Inf"},
    };
    struct lp_buf b;
    lp_buf_init(&b, 4096);
    for (size_t i = 0; i < LP_ARRAY_LEN(cases); i++) {
        lp_buf_reset(&b);
        lp_text_number(&b, cases[i].v);
        CU_ASSERT(lp_str_eqc(lp_buf_view(&b), cases[i].number));
        lp_buf_reset(&b);
        lp_text_plain(&b, cases[i].v);
        CU_ASSERT(lp_str_eqc(lp_buf_view(&b), cases[i].plain));
        lp_buf_reset(&b);
        lp_text_fixed(&b, cases[i].v);
        CU_ASSERT(lp_str_eqc(lp_buf_view(&b), cases[i].fixed));
    }
    lp_buf_clear(&b);
}

static void
numbers_parse(void)
{
    static const struct {
        const char *text;
        double v;
    } good[] = {{"1", 1},         {"5.", 5},   {".5", 0.5},    {"1e3", 1000},
                {"2.5E-1", 0.25}, {"010", 10}, {"1_000", 1000}};
    static const char *const bad[] = {"",     ".",  "-1", "+1", "0x1F", "1e400", "inf", "nan",
                                      "1__0", "_1", "1_", "1e", "e1",   "1.2.3", "1 "};
    double v;
    for (size_t i = 0; i < LP_ARRAY_LEN(good); i++) {
        CU_ASSERT(lp_text_parse_number(lp_str_c(good[i].text), &v) && v == good[i].v);
    }
    for (size_t i = 0; i < LP_ARRAY_LEN(bad); i++) {
        CU_ASSERT_FALSE(lp_text_parse_number(lp_str_c(bad[i]), &v));
    }
}

static void
durations(void)
{
    static const struct {
        int64_t ns;
        const char *go, *range;
    } cases[] = {
        {0, "0s", "0s"},
        {1, "1ns", "1ns"},
        {1500, "1.5\302\265s", "1.5\302\265s"},
        {1500000, "1.5ms", "1.5ms"},
        {250 * MS, "250ms", "250ms"},
        {1500 * MS, "1.5s", "1s500ms"},
        {90 * S, "1m30s", "1m30s"},
        {-300 * S, "-5m0s", "-5m0s"},
        {3600 * S, "1h0m0s", "1h"},
        {36 * 3600 * S, "36h0m0s", "1d12h"},
        {7 * 86400 * S, "168h0m0s", "1w"},
        {8 * 86400 * S, "192h0m0s", "8d"},
        {INT64_C(365) * 86400 * S, "8760h0m0s", "1y"},
        {26 * 3600 * S + MS, "26h0m0.001s", "1d2h1ms"},
        {INT64_MIN, "-2562047h47m16.854775808s", "-2562047h47m16.854775808s"},
    };
    struct lp_buf b;
    lp_buf_init(&b, 4096);
    for (size_t i = 0; i < LP_ARRAY_LEN(cases); i++) {
        lp_buf_reset(&b);
        lp_text_duration(&b, cases[i].ns);
        CU_ASSERT(lp_str_eqc(lp_buf_view(&b), cases[i].go));
        lp_buf_reset(&b);
        lp_text_range(&b, cases[i].ns);
        CU_ASSERT(lp_str_eqc(lp_buf_view(&b), cases[i].range));
    }
    lp_buf_clear(&b);
    int64_t ns;
    CU_ASSERT(lp_text_parse_range(LP_STR("1h30m"), &ns) && ns == 5400 * S);
    CU_ASSERT(lp_text_parse_range(LP_STR("2w1d"), &ns) && ns == 15 * 86400 * S);
    CU_ASSERT(lp_text_parse_range(LP_STR("1s500ms"), &ns) && ns == 1500 * MS);
    CU_ASSERT(lp_text_parse_range(LP_STR("0"), &ns) && ns == 0);
    static const char *const bad[] = {"",     "5",   "5x",  "m",   "30m1h", "5m5m",
                                      "1.5h", "-5m", " 5m", "5m ", "1ns",   "99999999y"};
    for (size_t i = 0; i < LP_ARRAY_LEN(bad); i++) {
        CU_ASSERT_FALSE(lp_text_parse_range(lp_str_c(bad[i]), &ns));
    }
}

static void
sizes(void)
{
    static const struct {
        const char *text;
        uint64_t bytes;
        const char *printed;
    } cases[] = {
        {"512", 512, "512B"},
        {"5B", 5, "5B"},
        {"50kB", 50000, "50kB"},
        {"10KB", 10000, "10kB"},
        {"10kb", 10000, "10kB"},
        {"1KiB", 1024, "1024B"},
        {"4.2MB", 4200000, "4.2MB"},
        {"1 GiB", 1073741824, "1073741824B"},
        {"2k", 2000, "2.0kB"},
        {"1Ki", 1024, "1024B"},
        {"1.5EB", UINT64_C(1500000000000000000), "1.5EB"},
        {"18446744073709551615", UINT64_MAX, "18446744073709551615B"},
        {"1.0005kB", 1000, "1.0kB"},
    };
    struct lp_buf b;
    lp_buf_init(&b, 4096);
    for (size_t i = 0; i < LP_ARRAY_LEN(cases); i++) {
        uint64_t v = 0;
        CU_ASSERT(lp_text_parse_size(lp_str_c(cases[i].text), &v) && v == cases[i].bytes);
        lp_buf_reset(&b);
        lp_text_size(&b, v);
        CU_ASSERT(lp_str_eqc(lp_buf_view(&b), cases[i].printed));
    }
    lp_buf_clear(&b);
    static const char *const bad[] = {
        "", "KB", "1x", "1kbb", "1bk", "-1B", "1..5kB", "17EiB", "18446744073709551616", "1zB"};
    for (size_t i = 0; i < LP_ARRAY_LEN(bad); i++) {
        uint64_t v;
        CU_ASSERT_FALSE(lp_text_parse_size(lp_str_c(bad[i]), &v));
    }
}

static void
quoting(void)
{
    struct lp_buf b;
    lp_buf_init(&b, 4096);
    lp_text_quote(&b, LP_STR("a\"b\\c\n\t\a\b\f\r\v\x01\x7f\xff'`\xc3\xa9\xe6\x97\xa5\xf0\x9f\x98\x80"));
    CU_ASSERT(lp_str_eqc(
        lp_buf_view(&b),
        "\"a\\\"b\\\\c\\n\\t\\a\\b\\f\\r\\v\\x01\\x7f\\xff'`\xc3\xa9\xe6\x97\xa5\xf0\x9f\x98\x80\""));
    lp_buf_reset(&b);
    lp_text_quote(&b,
                  LP_STR("\xc2\xa0\xc2\xad\xe2\x80\x8b\xef\xbb\xbf\xe2\x80\xa8\xef\xbf\xbd\xf3\xa0\x80\x81"));
    CU_ASSERT(lp_str_eqc(lp_buf_view(&b), "\"\\u00a0\\u00ad\\u200b\\ufeff\\u2028\xef\xbf\xbd\\U000e0001\""));
    lp_buf_clear(&b);
    char room[64];
    CU_ASSERT_STRING_EQUAL(lp_text_clip(LP_STR("abcdef"), 4, room), "abcd...");
    CU_ASSERT_STRING_EQUAL(lp_text_clip(LP_STR("ab\xc3\xa9"), 3, room), "ab...");
    CU_ASSERT_STRING_EQUAL(lp_text_clip(LP_STR("abc"), 4, room), "abc");
}

/* Writes steps as .key and [n]. */
static void
path_is(bool json, const char *expr, const char *expected)
{
    struct lp_arena ar;
    struct lp_path_step *steps;
    struct lp_err err;
    size_t n;
    struct lp_buf b;
    lp_arena_init(&ar, 1 << 20, 0);
    lp_buf_init(&b, 4096);
    lp_rc rc = json ? lp_path_json(lp_str_c(expr), &ar, &steps, &n, &err)
                    : lp_path_logfmt(lp_str_c(expr), &ar, &steps, &n, &err);
    CU_ASSERT_EQUAL(rc, expected != NULL ? LP_OK : LP_ERR_PARSE);
    for (size_t i = 0; rc == LP_OK && i < n; i++) {
        if (steps[i].is_index) {
            lp_buf_printf(&b, "[%llu]", (unsigned long long)steps[i].index);
        } else {
            lp_buf_byte(&b, '.');
            lp_buf_str(&b, steps[i].key);
        }
    }
    if (rc == LP_OK && expected != NULL) {
        CU_ASSERT(lp_str_eqc(lp_buf_view(&b), expected));
    }
    lp_buf_clear(&b);
    lp_arena_clear(&ar);
}

static void
paths(void)
{
    path_is(true, "app", ".app");
    path_is(true, "pod.uuid", ".pod.uuid");
    path_is(true, "servers[0].host", ".servers[0].host");
    path_is(true, "headers[\"user-agent\"]", ".headers.user-agent");
    path_is(true, "[\"a b\"][\"c.d\"]", ".a b.c.d");
    path_is(true, "[1]", "[1]");
    path_is(true, " a . b [ 2 ] ", ".a.b[2]");
    path_is(true, "[\"q\\\"\\\\\"]", ".q\"\\");
    static const char *const bad_json[] = {"",      "a..b", ".a",     "a.",    "a b",
                                           "[",     "[a]",  "[\"a\"", "[-1]",  "a[",
                                           "[\"a]", "a-b",  "[1.5]",  "\"a\"", "a[99999999999999999999]"};
    for (size_t i = 0; i < LP_ARRAY_LEN(bad_json); i++) {
        path_is(true, bad_json[i], NULL);
    }
    path_is(false, "job", ".job");
    path_is(false, "\"with space\"", ".with space");
    static const char *const bad_logfmt[] = {"", "a.b", "a-b", "a b", "[0]", "\"open", "1a"};
    for (size_t i = 0; i < LP_ARRAY_LEN(bad_logfmt); i++) {
        path_is(false, bad_logfmt[i], NULL);
    }
}

static bool
parse_pattern(struct lp_arena *ar, const char *text, enum lp_pattern_use use, struct lp_pattern *p)
{
    return lp_pattern_parse(lp_str_c(text), use, ar, p, NULL) == LP_OK;
}

static void
patterns_parse(void)
{
    struct lp_arena ar;
    struct lp_pattern p;
    lp_arena_init(&ar, 1 << 20, 0);
    static const char *const stages[] = {"<a>", "<a> - <_>", "x<a>y<b>z", "<1a> <b>", "<_a>", "<a<b>"};
    static const char *const bad_stages[] = {"",       "<_>",     "plain",     "<a><b>",
                                             "<a><_>", "<a> <a>", "<__> <__>", "<a"};
    static const char *const lines[] = {"", "<_>", "plain", "a <_> b", "<a b>", "<_"};
    static const char *const bad_lines[] = {"<_><_>", "<a>", "x <name> <_>"};
    for (size_t i = 0; i < LP_ARRAY_LEN(stages); i++) {
        CU_ASSERT(parse_pattern(&ar, stages[i], LP_PATTERN_STAGE, &p));
    }
    for (size_t i = 0; i < LP_ARRAY_LEN(bad_stages); i++) {
        CU_ASSERT_FALSE(parse_pattern(&ar, bad_stages[i], LP_PATTERN_STAGE, &p));
    }
    for (size_t i = 0; i < LP_ARRAY_LEN(lines); i++) {
        CU_ASSERT(parse_pattern(&ar, lines[i], LP_PATTERN_LINE, &p));
    }
    for (size_t i = 0; i < LP_ARRAY_LEN(bad_lines); i++) {
        CU_ASSERT_FALSE(parse_pattern(&ar, bad_lines[i], LP_PATTERN_LINE, &p));
    }
    lp_arena_clear(&ar);
}

static void
patterns_match(void)
{
    static const struct {
        const char *pattern, *line;
        bool matches;
    } cases[] = {
        {"foo <_> bar", "foo buzz bar", true},
        {"foo <_> bar<_>", "foo buzz bar", false},
        {"<_>foo <_> bar", "foo buzz bar", false},
        {"<_> bar<_>", " bar ", false},
        {"<_>bar<_>", " bar ", true},
        {"<_>", "x", true},
        {"<_>", "", false},
        {"", "", true},
        {"", "x", false},
        {"foo bar", "foo bar", true},
        {"foo bar", "xfoo bar", false},
        {"foo bar", "foo bar ", false},
        {"<_> <_>", "foo  baz", true},
        {"<_> <_> <_>", "foo  baz", false},
        {"<_>?<_>", "/api/status", false},
        {"[<_>]<_>]", "[a]b]c]", false},
    };
    struct lp_arena ar;
    lp_arena_init(&ar, 1 << 20, 0);
    for (size_t i = 0; i < LP_ARRAY_LEN(cases); i++) {
        struct lp_pattern p;
        CU_ASSERT(parse_pattern(&ar, cases[i].pattern, LP_PATTERN_LINE, &p));
        CU_ASSERT_EQUAL(lp_pattern_test(&p, lp_str_c(cases[i].line)), cases[i].matches);
    }
    lp_arena_clear(&ar);
}

static void
patterns_capture(void)
{
    static const struct {
        const char *pattern, *line, *values; /* joined by '|' */
    } cases[] = {
        {"<ip> - <_> [<_>] \"<m> <path> <_>\" <status>", "1.2.3.4 - f [t] \"GET /a HTTP\" 200",
         "1.2.3.4|GET|/a|200"},
        {"foo <foo> bar<fuzz>", "foo buzz bar", "buzz|"},
        {"<path>?<_>", "/api/status", "/api/status"}, /* a literal that is missing: the rest of the line */
        {"one <b> four <c> six <d>", "one two three four five", "two three|five"},
        {"x <a>", "y z", ""},
        {"<a>", "", ""},
        {"<a>,<b>", ",", "|"},
    };
    struct lp_arena ar;
    struct lp_buf b;
    lp_arena_init(&ar, 1 << 20, 0);
    lp_buf_init(&b, 4096);
    for (size_t i = 0; i < LP_ARRAY_LEN(cases); i++) {
        struct lp_pattern p;
        struct lp_str values[8];
        CU_ASSERT(parse_pattern(&ar, cases[i].pattern, LP_PATTERN_STAGE, &p));
        size_t n = lp_pattern_captures(&p, lp_str_c(cases[i].line), values);
        lp_buf_reset(&b);
        for (size_t k = 0; k < n; k++) {
            lp_buf_c(&b, k > 0 ? "|" : "");
            lp_buf_str(&b, values[k]);
        }
        CU_ASSERT(lp_str_eqc(lp_buf_view(&b), cases[i].values));
    }
    lp_buf_clear(&b);
    lp_arena_clear(&ar);
}

static void
addresses(void)
{
    static const struct {
        const char *set, *line;
        bool found;
    } cases[] = {
        {"10.0.0.1", "from 10.0.0.1 to x", true},
        {"10.0.0.1", "10.0.0.1", true},
        {"10.0.0.1", "10.0.0.10", false},
        {"10.0.0.1", "a=10.0.0.1:443", true},
        {"1.2.3.4", "1.2.3.4.5", false},
        {"1.2.3.4", "x,1.2.3.4;y", true},
        {"10.0.0.0/8", "src=10.200.3.4", true},
        {"10.0.0.0/8", "src=11.0.0.1", false},
        {"10.0.0.7/32", "10.0.0.7 ", true},
        {"0.0.0.0/0", "almost 10.0.0 and 10.0.0. here", false},
        {"0.0.0.0/0", "8.8.8.8", true},
        {"0.0.0.0/0", "999.1.1.1", false},
        {"0.0.0.0/0", "::ffff:8.8.8.8", false},
        {"192.168.4.1-192.168.4.255", "192.168.4.255", true},
        {"192.168.4.1-192.168.4.255", "192.168.4.0", false},
        {"2001:db8::/32", "[2001:db8::1]:443", true},
        {"2001:db8::/32", "[2001:db9::1]:443", false},
        {"::1", "::1 loopback", true},
        {"::1", "ip=::1", true},
        {"2001:db8::5", "ip6=2001:0db8:0:0::5 x", true},
        {"2001:db8::1-2001:db8::ff", "2001:db8::fe", true},
        {"10.0.0.1", "", false},
        {"10.0.0.1",
         "\xff"
         "10.0.0.1\xff",
         true},
    };
    static const char *const bad[] = {
        "",          "x",           "10.0.0",       "10.0.0.256", "10.0.0.9-10.0.0.1", "10.0.0.0/33",
        "10.0.0.0/", "10.0.0.0/08", "::1-10.0.0.1", "010.0.0.1",  "10.0.0.1/8/8",      "::/129",
        "1.1.1.1 "};
    struct lp_ip_set set;
    for (size_t i = 0; i < LP_ARRAY_LEN(cases); i++) {
        CU_ASSERT_EQUAL_FATAL(lp_ip_set_parse(lp_str_c(cases[i].set), &set, NULL), LP_OK);
        CU_ASSERT_EQUAL(lp_ip_set_find(&set, lp_str_c(cases[i].line)), cases[i].found);
    }
    for (size_t i = 0; i < LP_ARRAY_LEN(bad); i++) {
        CU_ASSERT_EQUAL(lp_ip_set_parse(lp_str_c(bad[i]), &set, NULL), LP_ERR_PARSE);
    }
}

static void
literal_lists(void)
{
    static const struct {
        const char *regex;
        size_t n;
        const char *first, *last;
    } cases[] = {
        {"prod", 1, "prod", "prod"},
        {"a|b|c", 3, "a", "c"},
        {"(a|b)", 2, "a", "b"},
        {"(?:a|b)", 2, "a", "b"},
        {"a\\.b|c\\-d", 2, "a.b", "c-d"},
        {"", 1, "", ""},
        {"a|", 2, "a", ""},
        {"\xc3\xa9|x", 2, "\xc3\xa9", "x"},
        {"a b|c", 2, "a b", "c"},
        {"a.b", 0, "", ""},
        {"a*", 0, "", ""},
        {"[ab]", 0, "", ""},
        {"(a)|(b)", 0, "", ""},
        {"(?i)a", 0, "", ""},
        {"^a", 0, "", ""},
        {"a\\d", 0, "", ""},
        {"a\\", 0, "", ""},
        {"\xff", 0, "", ""},
        {"\xef\xbf\xbd", 0, "", ""},
        {"(a", 0, "", ""},
        {"a{2}", 0, "", ""},
        {"(a\\)", 0, "", ""},
        {"\\Qa\\E", 0, "", ""},
    };
    struct lp_arena ar;
    lp_arena_init(&ar, 1 << 20, 0);
    for (size_t i = 0; i < LP_ARRAY_LEN(cases); i++) {
        struct lp_str items[4];
        size_t n = lp_literals_count(lp_str_c(cases[i].regex));
        CU_ASSERT_EQUAL(n, cases[i].n);
        if (n > 0 && n == cases[i].n) {
            CU_ASSERT(lp_literals_list(lp_str_c(cases[i].regex), &ar, items, n));
            CU_ASSERT(lp_str_eqc(items[0], cases[i].first) && lp_str_eqc(items[n - 1], cases[i].last));
        }
    }
    lp_arena_clear(&ar);
}

LP_SUITE(logql_text, {"numbers print as Go prints them", numbers_print}, {"numbers parse", numbers_parse},
         {"durations print and parse", durations}, {"sizes print and parse", sizes},
         {"strings are quoted", quoting}, {"paths of json and logfmt", paths},
         {"patterns: which are well-formed", patterns_parse}, {"patterns: whole lines", patterns_match},
         {"patterns: captures", patterns_capture}, {"ip(): sets and lines", addresses},
         {"regexes that are lists of literals", literal_lists});
