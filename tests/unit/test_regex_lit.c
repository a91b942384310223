/*
 * test_regex_lit.c - what a match must hold. Oracle: worked out by hand, and the definition itself, with RE2
 * alone as the judge: whatever matches holds the literals, and where they are the whole question, whatever
 * holds them matches.
 */
#include "tests/unit/unit.h"

#include <stdio.h>

#include "base/buf.h"
#include "base/regex_int.h"

static struct lp_regex *
compile(const char *pattern)
{
    struct lp_regex *re = NULL;
    lp_rc rc = lp_regex_new(lp_str_c(pattern), &re, NULL);
    CU_ASSERT_EQUAL_FATAL(rc, LP_OK);
    return re;
}

/* "=" where exact; clauses with & between, literals with | between, ~ before one of either case. */
static void
describe(const struct lp_regex_need *need, struct lp_buf *out)
{
    lp_buf_reset(out);
    lp_buf_str(out, need->exact ? LP_STR("=") : LP_STR(""));
    for (size_t i = 0; i < need->n; i++) {
        lp_buf_str(out, i > 0 ? LP_STR(" & ") : LP_STR(""));
        for (size_t k = 0; k < need->clauses[i].n; k++) {
            lp_buf_str(out, k > 0 ? LP_STR("|") : LP_STR(""));
            lp_buf_str(out, need->clauses[i].lits[k].icase ? LP_STR("~") : LP_STR(""));
            lp_buf_str(out, need->clauses[i].lits[k].text);
        }
    }
}

static const struct {
    const char *pattern, *need, *prefix, *literal;
} literal_cases[] = {
    {"error", "=error", "error", "error"},
    {"^error.*time out", "time out & error", "error", "time out"},
    {"foo|bar", "=foo|bar", "", ""},
    {"a(b|c)d", "=abd|acd", "a", "a"},
    {"(foo)(?:|x)", "=foo", "foo", "foo"},
    {"token=[0-9a-f]{8}beef[0-9a-f]{4}", "token= & beef", "token=", "token="},
    {"[0-9]{6}\\.[0-9]+ ms", " ms", "", " ms"},
    {"level=(error|warn) msg", "=level=error msg|level=warn msg", "level=", "level="},
    {"(a.*b|c+d)x", "x & a|cd", "", "x"},
    {"foo.*|bar", "foo|bar", "", ""},
    {"foo.*|.bar|", "", "", ""},
    {"foo.*|\\d", "", "", ""},
    {"ab*cde", "cde", "a", "cde"},
    {"ab+cde", "bcde & ab", "ab", "bcde"},
    {"(ab){2,}c", "abab & abc", "abab", "abab"},
    {"x{3}", "=xxx", "xxx", "xxx"},
    {"x{0}y", "=y", "y", "y"},
    {"ab?", "=a", "a", "a"},
    {"ab{0,2}longer", "longer", "a", "longer"},
    {"a{x", "=a{x", "a{x", "a{x"},
    {"a{,2}", "=a{,2}", "a{,2}", "a{,2}"},
    {"a{02}", "", "", ""}, /* in doubt */
    {"(?i)error", "=~error", "", ""},
    {"(?i)ERROR: 42", "=~error: 42", "", ""},
    {"[Ee][Rr]r", "~er & r", "", "r"},
    {"err(?i)or", "err & ~or", "err", "err"},
    {"(?i:err) [0-9]", "~err ", "", ""},
    {"(?i)a(?-i)b|c", "~a|c", "", ""},
    {"(?i)caf\xc3\xa9", "~caf", "", ""},
    {"caf\xc3\xa9", "=caf\xc3\xa9", "caf\xc3\xa9", "caf\xc3\xa9"},
    {"(?s)err.or", "err & or", "err", "err"},
    {"(?m)^err$", "err", "err", "err"},
    {"\\bend\\b", "end", "end", "end"},
    {"10\\.0\\.0\\.1", "=10.0.0.1", "10.0.0.1", "10.0.0.1"},
    {"\\d+ms", "ms", "", "ms"},
    {"[abc]def[]x|]y", "def", "", "def"},
    {"x[0-3]", "x", "x", "x"},
    {"x[ab]", "=xa|xb", "x", "x"},
    {"x[^0-3]", "x", "x", "x"},
    {"x[[:alpha:]]", "x", "x", "x"},
    {"\\x41BC\\x{44}\\105\\t", "=ABCDE\t", "ABCDE\t", "ABCDE\t"},
    {"\\pLabc\\p{Greek}d", "abc", "", "abc"},
    {"x\\Q|y\\Ezz*", "x|yz", "x|yz", "x|yz"},
    {"\\Qa\\E*b", "b", "", "b"},
    {"a\\Q\\E*b", "", "", ""}, /* the star is a's */
    {"(a|b)?tail", "=tail", "", "tail"},
    {"(\\)|[)])|x", "=)|x", "", ""},
    {"ab\xef\xbf\xbd", "ab", "ab", "ab"},
    {"ab\\x{fffd}c", "ab & c", "ab", "ab"},
    {"(?P<name>foo)\\d(?U)b+?", "foo", "foo", "foo"},
    {"(?:)", "=", "", ""},
    {"", "=", "", ""},
};

static void
literals(void)
{
    struct lp_buf out;
    lp_buf_init(&out, 1024);
    for (size_t i = 0; i < LP_ARRAY_LEN(literal_cases); i++) {
        struct lp_regex *re = compile(literal_cases[i].pattern);
        describe(lp_regex_needs(re), &out);
        if (!lp_str_eqc(lp_buf_view(&out), literal_cases[i].need) ||
            !lp_str_eqc(lp_regex_prefix(re), literal_cases[i].prefix) ||
            !lp_str_eqc(lp_regex_literal(re), literal_cases[i].literal)) {
            printf("\n  %s: \"" LP_STR_FMT "\", prefix \"" LP_STR_FMT "\", literal \"" LP_STR_FMT "\"",
                   literal_cases[i].pattern, LP_STR_ARG(lp_buf_view(&out)), LP_STR_ARG(lp_regex_prefix(re)),
                   LP_STR_ARG(lp_regex_literal(re)));
            CU_FAIL("other literals");
        }
        lp_regex_free(re);
    }
    lp_buf_clear(&out);
}

static uint64_t seed = 88172645463325252u;

static unsigned
below(unsigned n)
{
    return lp_test_below(&seed, n);
}

/*
 * Text against the literals of a pattern: they never contradict RE2. Returns whether it matches. (RE2
 * 20220601 itself is wrong on b|(?i:B) and the like, a character or the same in either case, and does not
 * match "B"; these seeds make none.)
 */
static bool
check(const struct lp_regex *re, const char *pattern, struct lp_str s)
{
    bool found = lp_regex_search_re2(re, s);
    int literals_say = lp_regex_need_test(lp_regex_needs(re), s);
    bool wrong = literals_say != 0 && (literals_say > 0) != found;
    wrong = wrong || (found && lp_str_find(s, lp_regex_literal(re)) == SIZE_MAX);
    wrong = wrong || (lp_regex_full(re, s) && !lp_str_starts(s, lp_regex_prefix(re)));
    wrong = wrong || lp_regex_search(re, s) != found;
    if (wrong) {
        printf("\n  %s on \"" LP_STR_FMT "\": RE2 says %d, the literals %d", pattern, LP_STR_ARG(s), found,
               literals_say);
        CU_FAIL("the literals contradict RE2");
    }
    return found;
}

static const char *const pieces[] = {
    "a",
    "b",
    "ab",
    "ba",
    "aab",
    "(",
    ")",
    "|",
    "*",
    "+",
    "?",
    "{2}",
    "{0,1}",
    "{",
    ".",
    "[ab]",
    "[^a]",
    "[]a]",
    "^",
    "$",
    "\\x61",
    "\\141",
    "\\Qa|\\E",
    "\\.",
    "(?i)",
    "(?:a|b)",
    "(?i:B)",
    "(?s)",
    "\\pL",
    "\\p{L}",
    "\\w",
    "A",
    "\\|",
    "-",
    "K",
    "(?i)s",
    "\\b",
    "[aA]",
    "{1,}",
    "(?-i)",
    "\\Q",
    "\\E",
    "[[:^alpha:]]",
    "\xe2\x84\xaa",
    "\xc3\xa9",
    "\\x{fffd}",
    "(?i:k)",
    "\\B",
    "*?",
    "[kS]",
};
static const char *const parts[] = {"a",
                                    "a",
                                    "b",
                                    "b",
                                    "A",
                                    "B",
                                    "k",
                                    "S",
                                    "|",
                                    ".",
                                    "\n",
                                    "\xff",
                                    "\xe2\x84\xaa",
                                    "\xc5\xbf",
                                    "\xc3\xa9",
                                    "\xef\xbf\xbd",
                                    "\xc3"};

/* Random patterns from pieces, against random texts from a small alphabet. */
static void
random_patterns_and_texts(void)
{
    unsigned compiled = 0, matched = 0;
    struct lp_buf pattern, text;
    lp_buf_init(&pattern, 256);
    lp_buf_init(&text, 256);
    for (unsigned round = 0; round < 3000; round++) {
        struct lp_regex *re;
        lp_buf_reset(&pattern);
        for (unsigned i = 1 + below(7); i > 0; i--) {
            lp_buf_c(&pattern, pieces[below(LP_ARRAY_LEN(pieces))]);
        }
        if (lp_regex_new(lp_buf_view(&pattern), &re, NULL) != LP_OK) {
            continue;
        }
        compiled++;
        lp_buf_byte(&pattern, 0);
        for (unsigned k = 0; k < 60; k++) {
            lp_buf_reset(&text);
            for (unsigned i = below(9); i > 0; i--) {
                lp_buf_c(&text, parts[below(LP_ARRAY_LEN(parts))]);
            }
            matched += check(re, pattern.p, lp_buf_view(&text));
        }
        lp_regex_free(re);
    }
    CU_ASSERT(compiled > 800 && matched > 8000);
    lp_buf_clear(&pattern);
    lp_buf_clear(&text);
}

/* ------------------------------------- patterns made together with a text that they match */

struct made {
    struct lp_buf pattern, text;
    bool icase;
};

static void make_choice(struct made *m, unsigned depth);

/* A character, written in some way. */
static void
make_char(struct made *m)
{
    static const char letters[] = "abcdekKsSxyz019 =:.|*";
    char c = letters[below(sizeof(letters) - 1)];
    bool letter = (c | 0x20) >= 'a' && (c | 0x20) <= 'z';
    switch (below(8)) {
    case 0:
        lp_buf_printf(&m->pattern, "\\x%02x", (unsigned)c);
        break;
    case 1:
        lp_buf_printf(&m->pattern, "\\Q%c\\E", c);
        break;
    case 2:
        lp_buf_printf(&m->pattern, "[%cq]", c);
        break;
    case 3:
        lp_buf_printf(&m->pattern, "[^\\x{%x}\xc3\xa9]", c == 'a' ? 'b' : 'a');
        break;
    default:
        lp_buf_printf(&m->pattern, letter || (c >= '0' && c <= '9') || c == ' ' ? "%c" : "\\%c", c);
        break;
    }
    if (m->icase && (c | 0x20) == 'k' && below(4) == 0) {
        lp_buf_str(&m->text, LP_STR("\xe2\x84\xaa"));
    } else if (m->icase && (c | 0x20) == 's' && below(4) == 0) {
        lp_buf_str(&m->text, LP_STR("\xc5\xbf"));
    } else {
        lp_buf_printf(&m->text, "%c", m->icase && letter && below(2) == 0 ? c ^ 0x20 : c);
    }
}

/* An atom with a repetition: its text is written as often as that says. */
static void
make_repeated(struct made *m, unsigned depth)
{
    static const struct {
        const char *sign;
        unsigned min, max;
    } repeats[] = {{"*", 0, 3},    {"+", 1, 3},    {"?", 0, 1},     {"{2}", 2, 2},
                   {"{1,}", 1, 2}, {"{0,}", 0, 2}, {"{0,2}?", 0, 2}};
    size_t k = below(LP_ARRAY_LEN(repeats)), from = m->text.n;
    lp_buf_str(&m->pattern, LP_STR("(?:"));
    make_choice(m, depth);
    lp_buf_str(&m->pattern, LP_STR(")"));
    lp_buf_str(&m->pattern, lp_str_c(repeats[k].sign));
    unsigned times = repeats[k].min + below(repeats[k].max - repeats[k].min + 1);
    char once[512];
    size_t n = LP_MIN(m->text.n - from, sizeof(once));
    memcpy(once, m->text.p + from, n);
    m->text.n = from;
    for (unsigned i = 0; i < times; i++) {
        lp_buf_str(&m->text, lp_str_of(once, n));
    }
}

static void
make_atom(struct made *m, unsigned depth)
{
    bool icase = m->icase;
    switch (below(depth > 0 ? 14 : 8)) {
    case 0:
        lp_buf_str(&m->pattern, LP_STR("(?s:.)"));
        lp_buf_str(&m->text, LP_STR("\n"));
        break;
    case 1:
        lp_buf_str(&m->pattern, LP_STR("\\pL"));
        lp_buf_str(&m->text, LP_STR("\xc3\xa9"));
        break;
    case 8:
        lp_buf_str(&m->pattern, LP_STR("(?i:"));
        m->icase = true;
        make_choice(m, depth - 1);
        m->icase = icase;
        lp_buf_str(&m->pattern, LP_STR(")"));
        break;
    case 9:
        lp_buf_str(&m->pattern, LP_STR("(?P<g>"));
        make_choice(m, 0);
        lp_buf_str(&m->pattern, LP_STR(")"));
        break;
    case 10:
    case 11:
    case 12:
        make_repeated(m, depth - 1);
        break;
    case 13:
        lp_buf_str(&m->pattern, LP_STR("("));
        make_choice(m, depth - 1);
        lp_buf_str(&m->pattern, LP_STR(")"));
        break;
    default:
        make_char(m);
        break;
    }
}

/* Alternatives, of which one makes the text. */
static void
make_choice(struct made *m, unsigned depth)
{
    unsigned n = below(3) == 0 ? 2 + below(2) : 1, chosen = below(n);
    for (unsigned i = 0; i < n; i++) {
        size_t from = m->text.n;
        lp_buf_str(&m->pattern, i > 0 ? LP_STR("|") : LP_STR(""));
        for (unsigned k = below(5); k > 0; k--) {
            make_atom(m, depth);
        }
        m->text.n = i == chosen ? m->text.n : from;
    }
}

static void
made_matches_hold_the_literals(void)
{
    struct made m = {.icase = false};
    lp_buf_init(&m.pattern, 4096);
    lp_buf_init(&m.text, 65536);
    unsigned matched = 0;
    for (unsigned round = 0; round < 4000; round++) {
        struct lp_regex *re;
        lp_buf_reset(&m.pattern);
        lp_buf_reset(&m.text);
        lp_buf_str(&m.text, LP_STR("x"));
        make_choice(&m, 3);
        lp_buf_str(&m.text, LP_STR("y"));
        lp_buf_byte(&m.pattern, 0);
        struct lp_str pattern = lp_str_of(m.pattern.p, m.pattern.n - 1);
        if (lp_regex_new(pattern, &re, NULL) != LP_OK) {
            continue; /* a group's name twice */
        }
        struct lp_str text = lp_buf_view(&m.text);
        matched += check(re, m.pattern.p, text);
        for (unsigned i = 0; i < 10 && text.n > 0; i++) {
            m.text.p[below((unsigned)text.n)] = "abKs=.|\n\xc3"[below(9)];
            matched += check(re, m.pattern.p, lp_str_sub(text, below((unsigned)text.n), text.n));
        }
        lp_regex_free(re);
    }
    CU_ASSERT(matched > 5000);
    lp_buf_clear(&m.pattern);
    lp_buf_clear(&m.text);
}

/* Depth, length and numbers at the limits: nothing is learned, or only the cautious part, and quickly. */
static void
limits(void)
{
    char deep[400] = "", longer[LP_REGEX_PATTERN_MAX + 1];
    memset(deep, '(', 100);
    deep[100] = 'a';
    memset(deep + 101, ')', 100);
    struct lp_regex *re = compile(deep);
    CU_ASSERT_EQUAL(lp_regex_needs(re)->n, 0);
    CU_ASSERT_FALSE(lp_regex_needs(re)->exact);
    lp_regex_free(re);
    memset(longer, 'x', sizeof(longer));
    longer[sizeof(longer) - 1] = 0;
    re = compile(longer);
    CU_ASSERT_FALSE(lp_regex_needs(re)->exact);
    CU_ASSERT_EQUAL(lp_regex_literal(re).n, LP_REGEX_LITERAL_MAX);
    CU_ASSERT_FALSE(lp_regex_search(re, lp_str_of(longer, sizeof(longer) - 2)));
    CU_ASSERT(lp_regex_search(re, lp_str_of(longer, sizeof(longer) - 1)));
    lp_regex_free(re);
    re = compile("(?:ab|cd|ef|gh){1000}");
    CU_ASSERT(lp_regex_needs(re)->n > 0);
    lp_regex_free(re);
}

LP_SUITE(regex_lit, {"literals", literals}, {"limits", limits},
         {"random patterns and texts", random_patterns_and_texts},
         {"made matches hold the literals", made_matches_hold_the_literals});
