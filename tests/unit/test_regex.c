/*
 * test_regex.c - regular expressions. Oracle: RE2's syntax page, and for prefixes and literals the definition
 * itself: whatever matches contains them.
 */
#include "tests/unit/unit.h"

#include <stdio.h>

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
literals(void)
{
    static const struct {
        const char *pattern, *prefix, *literal;
    } cases[] = {
        {"error", "error", "error"},
        {"^error.*time out", "error", "time out"},
        {"foo|bar", "", ""},
        {"level=(error|warn) msg", "level=", "level="},
        {"ab*cde", "a", "cde"},
        {"ab+cde", "ab", "cde"},
        {"ab?", "a", "a"},
        {"ab{0,2}longer", "a", "longer"},
        {"a{x", "a", "a"},
        {"(?i)error", "", ""},
        {"err(?i)or", "", ""},
        {"(?s)err.or", "err", "err"},
        {"(?m)^err", "err", "err"},
        {"10\\.0\\.0\\.1", "10.0.0.1", "10.0.0.1"},
        {"\\d+ms", "", "ms"},
        {"[abc]def[]x|]y", "", "def"},
        {"\\x41BC", "", "BC"},
        {"\\pLabc\\p{Greek}d", "", "abc"},
        {"x\\Q|y\\Ezz", "x", "zz"},
        {"(a|b)?tail", "", "tail"},
        {"(\\)|[)])|x", "", ""},
        {"\xc3\xa9\xc3\xa8?", "\xc3\xa9", "\xc3\xa9"},
        {"ab\xef\xbf\xbd", "ab", "ab"},
        {"", "", ""},
    };
    for (size_t i = 0; i < LP_ARRAY_LEN(cases); i++) {
        struct lp_regex *re = compile(cases[i].pattern);
        CU_ASSERT(lp_str_eqc(lp_regex_prefix(re), cases[i].prefix));
        CU_ASSERT(lp_str_eqc(lp_regex_literal(re), cases[i].literal));
        lp_regex_free(re);
    }
}

static uint64_t seed = 88172645463325252u;

static unsigned
below(unsigned n)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return (unsigned)(seed >> 33) % n;
}

/* Random patterns from pieces, against random texts from a small alphabet: whatever matches holds the
 * literals. */
static void
matches_hold_the_literals(void)
{
    static const char *const pieces[] = {
        "a",    "b",    "ab",     "ba",    "aab",      "(",   ")",    "|",       "*",
        "+",    "?",    "{2}",    "{0,1}", "{",        ".",   "[ab]", "[^a]",    "[]a]",
        "^",    "$",    "\\x61",  "\\141", "\\Qa|\\E", "\\.", "(?i)", "(?:a|b)", "(?i:B)",
        "(?s)", "\\pL", "\\p{L}", "\\w",   "A",        "\\|", "-",
    };
    unsigned compiled = 0, matched = 0;
    for (unsigned round = 0; round < 4000; round++) {
        char pattern[64] = "", text[16];
        size_t at = 0;
        struct lp_regex *re;
        for (unsigned i = 1 + below(6); i > 0; i--) {
            at += (size_t)snprintf(pattern + at, sizeof(pattern) - at, "%s",
                                   pieces[below(LP_ARRAY_LEN(pieces))]);
        }
        if (lp_regex_new(lp_str_c(pattern), &re, NULL) != LP_OK) {
            continue;
        }
        compiled++;
        for (unsigned k = 0; k < 50; k++) {
            size_t n = below(9);
            for (size_t i = 0; i < n; i++) {
                text[i] = "aaabbbAB|.{\xff"[below(12)];
            }
            struct lp_str s = lp_str_of(text, n);
            if (lp_regex_search(re, s)) {
                matched++;
                CU_ASSERT(lp_str_find(s, lp_regex_literal(re)) != SIZE_MAX);
            }
            if (lp_regex_full(re, s)) {
                CU_ASSERT(lp_str_starts(s, lp_regex_prefix(re)));
            }
        }
        lp_regex_free(re);
    }
    CU_ASSERT(compiled > 1000 && matched > 10000);
}

LP_SUITE(regex, {"searching", searching}, {"refused patterns", refused_patterns}, {"captures", captures},
         {"literals", literals}, {"matches hold the literals", matches_hold_the_literals});
