/*
 * test_regex.c - regular expressions. Oracle: RE2's syntax page.
 */
#include "tests/unit/unit.h"

#include "base/regex.h"

static struct lp_regex *
compile(const char *pattern)
{
    struct lp_regex *re = NULL;
    struct lp_err err;
    lp_rc rc = lp_regex_new(lp_str_c(pattern), &re, &err);
    CU_ASSERT_EQUAL_FATAL(rc, LP_OK);
    return re;
}

static void
searching(void)
{
    static const struct {
        const char *pattern;
        struct lp_str text;
        bool search, full;
    } cases[] = {
        {"b+", LP_STR("abbc"), true, false},
        {"a.c", LP_STR("abc"), true, true},
        {"a.c", LP_STR("a\nc"), false, false}, /* the point matches no newline */
        {"(?s)a.c", LP_STR("a\nc"), true, true},
        {"^b", LP_STR("a\nb"), false, false}, /* nor do anchors know lines */
        {"(?m)^b$", LP_STR("a\nb\nc"), true, false},
        {"(?i)ERROR", LP_STR("an error"), true, false},
        {"", LP_STR(""), true, true},
        {"", LP_STR("x"), true, false},
        {"foo|bar", LP_STR("bar"), true, true},
        {"a\\x00b", LP_STR("a\0b"), true, true},
        {"^.$", LP_STR("\xc3\xa9"), true, true}, /* one character of two bytes */
        {"^a.b$",
         LP_STR("a\xff"
                "b"),
         true, true}, /* a bad byte is one character */
        {"^a..b$",
         LP_STR("a\xe2\x82"
                "b"),
         true, true}, /* two bad bytes are two */
        {"a\\x{FFFD}b",
         LP_STR("a\xff"
                "b"),
         true, true}, /* namely U+FFFD */
        {"a[^x]b",
         LP_STR("a\x80"
                "b"),
         true, true},
        {"end$", LP_STR("\xff end"), true, false},
        {"\\bend\\b", LP_STR("\xff end\xff"), true, false},
    };
    for (size_t i = 0; i < LP_ARRAY_LEN(cases); i++) {
        struct lp_regex *re = compile(cases[i].pattern);
        CU_ASSERT_EQUAL(lp_regex_search(re, cases[i].text), cases[i].search);
        CU_ASSERT_EQUAL(lp_regex_full(re, cases[i].text), cases[i].full);
        lp_regex_free(re);
    }
}

static void
refused_patterns(void)
{
    struct lp_regex *re = NULL;
    struct lp_err err;
    char longer[LP_REGEX_PATTERN_MAX + 1];
    static const char *const bad[] = {"(", "a**", "[z-a]", "\\", "(?<n>x", "a{1001}", "(?=x)", "\\1", "\xff"};
    for (size_t i = 0; i < LP_ARRAY_LEN(bad); i++) {
        CU_ASSERT_EQUAL(lp_regex_new(lp_str_c(bad[i]), &re, &err), LP_ERR_PARSE);
        CU_ASSERT(err.text[0] != 0);
    }
    memset(longer, 'x', sizeof(longer));
    CU_ASSERT_EQUAL(lp_regex_new(lp_str_of(longer, sizeof(longer)), &re, &err), LP_ERR_LIMIT);
    CU_ASSERT_EQUAL(lp_regex_new(LP_STR("((((x{1,100}){1,100}){1,100}){1,100})"), &re, &err), LP_ERR_PARSE);
    CU_ASSERT_EQUAL(lp_regex_new(LP_STR("(\\pL{1,500}\\pN{1,500}){1}"), &re, &err), LP_ERR_LIMIT);
    CU_ASSERT_PTR_NULL(re);
}

static void
captures(void)
{
    struct lp_str g[4];
    struct lp_regex *re = compile("(?P<method>[A-Z]+) (\\S+)(?: (?P<status>\\d+))?");
    CU_ASSERT_EQUAL(lp_regex_groups(re), 3);
    CU_ASSERT(lp_str_eqc(lp_regex_group_name(re, 1), "method"));
    CU_ASSERT(lp_str_eqc(lp_regex_group_name(re, 2), ""));
    CU_ASSERT(lp_str_eqc(lp_regex_group_name(re, 3), "status"));
    CU_ASSERT_EQUAL(lp_regex_group_name(re, 4).n, 0);

    CU_ASSERT_FATAL(lp_regex_captures(re,
                                      LP_STR("\xff\xfe GET /a\xff"
                                             "b 200\n"),
                                      g, 4));
    CU_ASSERT(lp_str_eqc(g[0], "GET /a\xff"
                               "b 200"));
    CU_ASSERT(lp_str_eqc(g[1], "GET"));
    CU_ASSERT(lp_str_eqc(g[2], "/a\xff"
                               "b")); /* the line's own bytes, not the copy's */
    CU_ASSERT(lp_str_eqc(g[3], "200"));

    CU_ASSERT_FATAL(lp_regex_captures(re, LP_STR("GET /a"), g, 4));
    CU_ASSERT_PTR_NULL(g[3].p);
    CU_ASSERT_FALSE(lp_regex_captures(re, LP_STR("get"), g, 4));
    lp_regex_free(re);

    re = compile("(x*)");
    CU_ASSERT_FATAL(lp_regex_captures(re, LP_STR_NULL, g, 2));
    CU_ASSERT(g[1].p != NULL && g[1].n == 0);
    lp_regex_free(re);
}

static void
captures_from_a_place(void)
{
    struct lp_str text = LP_STR("ab ab"), g[2];
    struct lp_regex *re = compile("^a|\\b(b)|(?:b)$");
    CU_ASSERT_FATAL(lp_regex_captures_from(re, text, 0, g, 2));
    CU_ASSERT(g[0].p == text.p && g[0].n == 1 && g[1].p == NULL);
    CU_ASSERT_FATAL(lp_regex_captures_from(re, text, 1, g, 2)); /* neither the text nor a word begins at 1 */
    CU_ASSERT(g[0].p == text.p + 4);
    CU_ASSERT_FALSE(lp_regex_captures_from(re, text, 5, g, 2));
    CU_ASSERT_FALSE(lp_regex_captures_from(re, text, 6, g, 2));
    lp_regex_free(re);

    re = compile("");
    CU_ASSERT(lp_regex_captures_from(re, text, 5, g, 1) && g[0].p == text.p + 5 && g[0].n == 0);
    CU_ASSERT(lp_regex_captures_from(re, LP_STR_NULL, 0, g, 1) && g[0].n == 0);
    lp_regex_free(re);
}

LP_SUITE(regex, {"searching", searching}, {"refused patterns", refused_patterns}, {"captures", captures},
         {"captures from a place", captures_from_a_place});
