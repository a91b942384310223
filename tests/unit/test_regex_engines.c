/*
 * test_regex_engines.c - all ways to search say the same. Oracle: RE2 alone, for Hyperscan with its
 * confirmation; and recorded answers of Go's regexp package (tests/tools/regexp_golden.go) for both.
 */
#include "tests/unit/unit.h"

#include <pthread.h>
#include <stdio.h>

#include "base/buf.h"
#include "base/regex_int.h"

static uint64_t seed = 88172645463325252u;

static unsigned
below(unsigned n)
{
    return lp_test_below(&seed, n);
}

static const char *const patterns[] = {
    "error",
    "(?i)error",
    "(?i)kiss",
    "(?i)[k-s]+1",
    "(?i)[^k-s]1",
    "(?i)\\w\\W",
    "(?i)^\\W*$",
    "[^a]b",
    "[^\xc3\xa9]x",
    "[\xc3\xa0-\xc3\xbf]+1",
    "(?i)[\xc3\xa0-\xc3\xbf]+1",
    "a.c",
    "(?s)a.c",
    "^a",
    "a$",
    "^a$",
    "^$",
    "^\\n",
    "a\\n$",
    "(?m)^a$",
    "(?m)^$",
    "\\Aab?\\z",
    "a\\b",
    "\\ba",
    "\\Ba\\B",
    "\\b.\\b",
    "\\d\\s\\w",
    "\\D\\S\\W",
    "[\\d\\s]x",
    "[^\\d\\s]x",
    "[\\D\\S]x",
    "[[:alpha:]][[:^alpha:]]",
    "[[:space:]]k",
    "\\pL\\pN",
    "\\p{Greek}",
    "[\\pL1]k",
    "a{2}b",
    "a{2,}b{1,3}",
    "(?:ab|ba)*1",
    "(?U)a+?b*?1",
    "(a|b(c|1))+k",
    "(^a|b$)",
    "(?:^a)+b",
    "(\\bab)?1",
    "a|",
    "()",
    "x*",
    "\\x00",
    "[^\\x00]k",
    "\\x{ff}",
    "\\x{10ffff}|k1",
    "\\x{fffd}",
    "[\\x{fffd}1]k",
    ".\\x{fffd}",
    "\\Ca",
    "a\\Cb",
    "\\Qa|b\\E*1",
    "[a\\-z]1",
    "[]a]1",
    "[\\]\\[^]",
    "(?i:k)s",
    "K(?i)s|S",
    "a{1000}",
    "(?:[ab1]{3,5}k){4}",
    "1.*k.*1",
    "^[^1]*1[^1]*$",
    ".{3,}k",
    "^.{4}$",
    "^..?.?$",
};

static const char *const parts[] = {
    "a",
    "b",
    "c",
    "k",
    "K",
    "s",
    "S",
    "1",
    "1 ",
    " ",
    "_",
    "\n",
    "\t",
    "\xc3\xa9",
    "\xe2\x84\xaa",
    "\xc5\xbf",
    "\xff",
    "\xc3",
    "ab",
    "|",
    "\x01",
    "error",
    "ERROR",
    "\xce\xb1",
    "\xef\xbf\xbd",
    "\xed\xa0",
    "\xf4\x8f\xbf\xbf",
    "x",
    "]",
    "-",
    "\xc2\x80",
    "kiss",
    "aaab",
    "\xc3\x89",
    "\v",
    "\xe2\x80\xa8",
};

/* A text: mostly ASCII only, sometimes with other characters, sometimes with bad bytes and a NUL. */
static void
make_text(struct lp_buf *out)
{
    bool ascii = below(2) == 0;
    lp_buf_reset(out);
    for (unsigned i = below(12); i > 0; i--) {
        const char *part = parts[below(LP_ARRAY_LEN(parts))];
        bool ascii_part = (unsigned char)part[0] < 0x80;
        if (!ascii || ascii_part) {
            lp_buf_c(out, part);
        }
    }
    if (below(30) == 0) {
        lp_buf_byte(out, 0);
    }
}

/* Does each way say the same of many texts? Returns how many matched. */
static unsigned
check_pattern(const char *pattern, unsigned texts)
{
    struct lp_regex *re = NULL;
    struct lp_buf text;
    unsigned matched = 0;
    if (lp_regex_new(lp_str_c(pattern), &re, NULL) != LP_OK) {
        return 0;
    }
    lp_regex_prepare(re);
    lp_buf_init(&text, 1024);
    for (unsigned i = 0; i < texts; i++) {
        make_text(&text);
        struct lp_str s = lp_buf_view(&text);
        bool found = lp_regex_search_re2(re, s), engine = lp_regex_search_engine(re, s);
        if (engine != found || lp_regex_search(re, s) != found) {
            printf("\n  %s on \"" LP_STR_FMT "\": RE2 says %d, Hyperscan %d", pattern, LP_STR_ARG(s), found,
                   engine);
            CU_FAIL("the engines differ");
        }
        matched += found;
    }
    lp_buf_clear(&text);
    lp_regex_free(re);
    return matched;
}

static void
chosen_patterns(void)
{
    unsigned matched = 0;
    for (size_t i = 0; i < LP_ARRAY_LEN(patterns); i++) {
        matched += check_pattern(patterns[i], 600);
    }
    CU_ASSERT(matched > 5000);
}

static void
random_patterns(void)
{
    static const char *const pieces[] = {
        "a",    "b",    "k",       "s",         "1",           "ab",     "(",
        ")",    "|",    "*",       "+",         "?",           "{2}",    "{0,2}",
        "{1,}", ".",    "[ab]",    "[^a]",      "[^k-s\\n]",   "^",      "$",
        "\\b",  "\\B",  "(?i)",    "(?s)",      "(?-i)",       "(?:a|b", "(?i:kS)",
        "\\w",  "\\W",  "\\s",     "[\\Sa]",    "\\d",         "error",  "\xc3\xa9",
        "\\n",  "[1 ]", "\\x{e9}", "\\x{212a}", "[k\xc3\xa9]", ".*",     ".+",
        "x?",   "_",    "\\t",     "[S]",       "\\A",         "\\z",    "[\\x{80}-\\x{ffff}]",
    };
    struct lp_buf pattern;
    unsigned matched = 0;
    lp_buf_init(&pattern, 256);
    for (unsigned round = 0; round < 500; round++) {
        lp_buf_reset(&pattern);
        for (unsigned i = 1 + below(6); i > 0; i--) {
            lp_buf_c(&pattern, pieces[below(LP_ARRAY_LEN(pieces))]);
        }
        lp_buf_byte(&pattern, 0);
        matched += check_pattern(pattern.p, 200);
    }
    CU_ASSERT(matched > 5000);
    lp_buf_clear(&pattern);
}

/* Which patterns Hyperscan gets; the answers stand above. */
static void
what_hyperscan_gets(void)
{
    static const struct {
        const char *pattern;
        bool ascii, utf8;
    } cases[] = {
        {"[0-9]{6}\\.[0-9]+ ms", true, true},
        {"(?i)task", true, true},
        {"^a.*b$", true, true},
        {"\\ba", true, false},
        {"[\xc3\xa9"
         "a]x",
         true, true},
        {"\xc3\xa9", false, true},
        {"(?m)^a", false, false},
        {"\\pL", false, false},
        {"\\C", false, false},
        {"a*", false, false},                    /* always matches */
        {"(?:^a)+b", false, false},              /* repeats an assertion */
        {"(?:[ab]{20}.{20}){20}", false, false}, /* takes long to compile */
        {"(?i)\xc3\xa9", false, false},
    };
    for (size_t i = 0; i < LP_ARRAY_LEN(cases); i++) {
        struct lp_regex *re = NULL;
        CU_ASSERT_EQUAL_FATAL(lp_regex_new(lp_str_c(cases[i].pattern), &re, NULL), LP_OK);
        CU_ASSERT(!lp_regex_uses_hs(re, false));
        lp_regex_prepare(re);
#ifdef LP_HAVE_HYPERSCAN
        CU_ASSERT_EQUAL(lp_regex_uses_hs(re, false), cases[i].ascii);
        CU_ASSERT_EQUAL(lp_regex_uses_hs(re, true), cases[i].utf8);
#endif
        lp_regex_free(re);
    }
}

/* ------------------------------------------------------------------ Go's answers */

#define TEXTS_MAX 500u

struct golden {
    struct lp_buf bytes; /* of the texts */
    size_t from[TEXTS_MAX + 1], ntexts;
    unsigned pairs, refused, wrong;
};

static unsigned
hex(char c)
{
    return c <= '9' ? (unsigned)(c - '0') : (unsigned)(c - 'a' + 10);
}

/* Takes the escapes out, in place. */
static struct lp_str
unescape(char *p, size_t n)
{
    size_t to = 0;
    for (size_t i = 0; i < n; i++) {
        bool escaped = p[i] == '\\';
        p[to++] = escaped ? (char)(hex(p[i + 2]) << 4 | hex(p[i + 3])) : p[i];
        i += escaped ? 3 : 0;
    }
    return lp_str_of(p, to);
}

/* One pattern with its answers, to RE2 alone and to all engines together. */
static void
compare_answers(struct golden *g, struct lp_str pattern, const char *answers)
{
    struct lp_regex *re = NULL;
    if (lp_regex_new(pattern, &re, NULL) != LP_OK) {
        printf("\n  RE2 refuses " LP_STR_FMT, LP_STR_ARG(pattern));
        g->refused++;
        return;
    }
    lp_regex_prepare(re);
    for (size_t i = 0; i < g->ntexts; i++) {
        struct lp_str s = lp_str_of(g->bytes.p + g->from[i], g->from[i + 1] - g->from[i]);
        bool go = (hex(answers[i / 4]) >> (3 - i % 4) & 1) != 0, re2 = lp_regex_search_re2(re, s);
        bool engine = lp_regex_search_engine(re, s), search = lp_regex_search(re, s);
        if (re2 != go || engine != go || search != go) {
            printf("\n  " LP_STR_FMT " on \"" LP_STR_FMT "\": Go says %d, RE2 %d, Hyperscan %d, all %d",
                   LP_STR_ARG(pattern), LP_STR_ARG(s), go, re2, engine, search);
            g->wrong++;
        }
        g->pairs++;
    }
    lp_regex_free(re);
}

static void
golden_line(struct golden *g, char *line, size_t n)
{
    if (line[0] == 'L') {
        CU_ASSERT_FATAL(g->ntexts < TEXTS_MAX);
        lp_buf_str(&g->bytes, unescape(line + 1, n - 1));
        g->from[++g->ntexts] = g->bytes.n;
    } else if (line[0] == 'P') {
        char *tab = memchr(line, '\t', n);
        CU_ASSERT_FATAL(tab != NULL && (size_t)(line + n - tab - 1) == (g->ntexts + 3) / 4);
        compare_answers(g, unescape(line + 1, (size_t)(tab - line) - 1), tab + 1);
    }
}

static void
answers_of_go(void)
{
    char path[4096], line[4096];
    struct golden g = {.ntexts = 0};
    snprintf(path, sizeof(path), "%s/regexp/golden.txt", lp_test_data());
    FILE *f = fopen(path, "r");
    CU_ASSERT_PTR_NOT_NULL_FATAL(f);
    lp_buf_init(&g.bytes, 1 << 20);
    while (fgets(line, sizeof(line), f) != NULL) {
        golden_line(&g, line, strcspn(line, "\n"));
    }
    fclose(f);
    lp_buf_clear(&g.bytes);
    CU_ASSERT_EQUAL(g.wrong, 0);
    CU_ASSERT_EQUAL(g.refused, 0);
    CU_ASSERT(g.pairs > 100000);
}

/* ------------------------------------------------------------------- threads */

#define EXPRESSIONS 40u /* more than a thread remembers */

static void *
search_some(void *arg)
{
    struct lp_regex *const *res = arg;
    char line[] = "2026-11-22 07:43:05 a line of some length, id 1234-abcd-00 and more to make it long";
    size_t wrong = 0;
    for (unsigned round = 0; round < 400; round++) {
        for (unsigned i = 0; i < EXPRESSIONS; i++) {
            wrong += lp_regex_search_engine(res[i], lp_str_c(line)) != (i == 0);
        }
    }
    for (unsigned round = 0; round < 12000; round++) {
        wrong += !lp_regex_search_engine(res[0], lp_str_c(line));
    }
    return wrong == 0 ? NULL : arg;
}

/* Threads that come to the same expressions at once, while these are compiled on the way. */
static void
shared_by_threads(void)
{
    struct lp_regex *res[EXPRESSIONS];
    pthread_t threads[4];
    for (unsigned i = 0; i < EXPRESSIONS; i++) {
        char pattern[64];
        snprintf(pattern, sizeof(pattern), "[0-9]{4}-[a-d]{4}-%02u", i);
        CU_ASSERT_EQUAL_FATAL(lp_regex_new(lp_str_c(pattern), &res[i], NULL), LP_OK);
        if (i % 2 == 1) {
            lp_regex_prepare(res[i]);
        }
    }
    for (size_t i = 0; i < LP_ARRAY_LEN(threads); i++) {
        CU_ASSERT_EQUAL_FATAL(pthread_create(&threads[i], NULL, search_some, res), 0);
    }
    for (size_t i = 0; i < LP_ARRAY_LEN(threads); i++) {
        void *wrong;
        CU_ASSERT_EQUAL(pthread_join(threads[i], &wrong), 0);
        CU_ASSERT_PTR_NULL(wrong);
    }
#ifdef LP_HAVE_HYPERSCAN
    CU_ASSERT(lp_regex_uses_hs(res[0], false)); /* after so much text, without having been asked */
#endif
    for (unsigned i = 0; i < EXPRESSIONS; i++) {
        lp_regex_free(res[i]);
    }
}

LP_SUITE(regex_engines, {"chosen patterns", chosen_patterns}, {"random patterns", random_patterns},
         {"what Hyperscan gets", what_hyperscan_gets}, {"answers of Go", answers_of_go},
         {"shared by threads", shared_by_threads});
