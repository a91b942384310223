/*
 * test_logql_match.c - compiled matchers and line filters. Oracle: the contract's rules, and for random lines
 * a plain evaluation of each filter by itself.
 */
#include <stdio.h>

#include "base/buf.h"
#include "base/find.h"
#include "query/linefilter.h"
#include "query/matcher.h"
#include "tests/unit/test_logql.h"

static const struct lp_pair labels[] = {
    {{"app", 3}, {"api", 3}},         {{"env", 3}, {"prod", 4}},     {{"nl", 2}, {"a\nb", 3}},
    {{"pod", 3}, {"api-7f9c-1", 10}}, {{"raw", 3}, {"\xff\xfe", 2}},
};

static bool
selects(const char *selector)
{
    struct lp_test_query q;
    struct lp_matchers *m = NULL;
    lp_test_query_parse(&q, lp_str_c(selector), true);
    CU_ASSERT_EQUAL_FATAL(q.rc, LP_OK);
    CU_ASSERT_EQUAL_FATAL(lp_matchers_new(q.expr->log.matchers, q.expr->log.nmatchers, &m, &q.err), LP_OK);
    lp_test_query_clear(&q); /* compiled matchers borrow nothing */
    bool hit = lp_matchers_match(m, labels, LP_ARRAY_LEN(labels));
    lp_matchers_free(m);
    return hit;
}

static void
selectors_match(void)
{
    static const struct {
        const char *selector;
        bool hit;
    } cases[] = {
        {"{}", true},
        {"{app=\"api\"}", true},
        {"{app=\"ap\"}", false},
        {"{app!=\"api\"}", false},
        {"{app!=\"x\"}", true},
        {"{app=~\"ap\"}", false}, /* the whole value */
        {"{app=~\"ap.\"}", true},
        {"{app=~\"a|pi\"}", false},
        {"{app=~\"x|api|y\"}", true},
        {"{app=~\"(x|api)\"}", true},
        {"{app!~\"x|api\"}", false},
        {"{app=~\"API\"}", false},
        {"{app=~\"(?i)API\"}", true},
        {"{pod=~\"api-.*-1\"}", true},
        {"{pod=~\"api-\\\\w+-2\"}", false},
        {"{pod!~\"api-.*\"}", false},
        {"{missing=\"\"}", true}, /* a missing label is "" */
        {"{missing!=\"\"}", false},
        {"{missing=~\".*\"}", true},
        {"{missing=~\".+\"}", false},
        {"{missing=~\"x|\"}", true},
        {"{missing!~\"x\"}", true},
        {"{missing!=\"x\"}", true},
        {"{nl=~\"a.b\"}", true}, /* '.' takes newlines here */
        {"{raw=\"\\xff\\xfe\"}", true},
        {"{raw=~\"..\"}", true}, /* a bad byte is one character */
        {"{raw=~\"\\ufffd\\ufffd\"}", true},
        {"{app=\"api\",env=\"prod\",pod=~\".+\"}", true},
        {"{app=\"api\",env=\"dev\"}", false},
    };
    for (size_t i = 0; i < LP_ARRAY_LEN(cases); i++) {
        lp_test_check(selects(cases[i].selector) == cases[i].hit, "wrong answer",
                      lp_str_c(cases[i].selector));
    }
}

static void
planners_see_values(void)
{
    struct lp_test_query q;
    struct lp_matchers *m = NULL;
    lp_test_query_parse(&q, LP_STR("{a=~\"y|x|y\",b=~\"web-.*\",c!=\"\",d=\"v\",e=~\"(?i)web\"}"), false);
    CU_ASSERT_EQUAL_FATAL(q.rc, LP_OK);
    CU_ASSERT_EQUAL_FATAL(lp_matchers_new(q.expr->log.matchers, q.expr->log.nmatchers, &m, NULL), LP_OK);
    CU_ASSERT_EQUAL(lp_matchers_count(m), 5);
    const struct lp_matcher *a = lp_matchers_at(m, 0), *b = lp_matchers_at(m, 1), *c = lp_matchers_at(m, 2);
    const struct lp_matcher *d = lp_matchers_at(m, 3), *e = lp_matchers_at(m, 4);
    CU_ASSERT(a->kind == LP_MATCHER_SET && a->nvalues == 2 && lp_str_eqc(a->values[0], "x") &&
              !a->passes_empty);
    CU_ASSERT(b->kind == LP_MATCHER_REGEX && lp_str_eqc(b->prefix, "web-"));
    CU_ASSERT(c->kind == LP_MATCHER_SET && c->negative && !c->passes_empty);
    CU_ASSERT(d->kind == LP_MATCHER_SET && d->nvalues == 1 && lp_str_eqc(d->name, "d"));
    CU_ASSERT(e->kind == LP_MATCHER_REGEX && e->prefix.n == 0);
    lp_matchers_free(m);
    lp_test_query_clear(&q);
    struct lp_label_match bad = {.op = LP_MATCH_RE, .name = LP_STR("a"), .value = LP_STR("(")};
    CU_ASSERT_EQUAL(lp_matchers_new(&bad, 1, &m, NULL), LP_ERR_PARSE);
}

/* ------------------------------------------------------------- line filters */

static struct lp_linefilter *
compile(const char *filters)
{
    char text[1024];
    struct lp_test_query q;
    struct lp_linefilter *f = NULL;
    snprintf(text, sizeof(text), "{a=\"b\"} %s", filters);
    lp_test_query_parse(&q, lp_str_c(text), false);
    lp_test_check(q.rc == LP_OK, q.err.text, lp_str_c(text));
    if (q.rc == LP_OK) {
        CU_ASSERT_EQUAL(lp_linefilter_run(q.expr->log.stages, q.expr->log.nstages), q.expr->log.nstages);
        CU_ASSERT_EQUAL(lp_linefilter_new(q.expr->log.stages, q.expr->log.nstages, &f, &q.err), LP_OK);
    }
    lp_test_query_clear(&q);
    return f;
}

static const struct {
    const char *filters;
    struct lp_str line;
    bool hit;
} line_cases[] = {
    {"", LP_STR("anything"), true},
    {"|= \"foo\"", LP_STR("a foo b"), true},
    {"|= \"foo\"", LP_STR("a Foo b"), false},
    {"|= \"\"", LP_STR(""), true},
    {"!= \"\"", LP_STR("x"), false},
    {"!= \"foo\"", LP_STR("bar"), true},
    {"|= \"foo\" or \"bar\" |= \"baz\"", LP_STR("bar baz"), true},
    {"|= \"foo\" or \"bar\" |= \"baz\"", LP_STR("foo bar"), false},
    {"!= \"foo\" or \"bar\"", LP_STR("only bar"), false}, /* neither */
    {"!= \"foo\" or \"bar\"", LP_STR("only baz"), true},
    {"|~ \"f.o\"", LP_STR("x fzo y"), true},
    {"|~ \"f.o\"", LP_STR("f\no"), false}, /* '.' is not newline */
    {"|~ \"(?s)f.o\"", LP_STR("f\no"), true},
    {"|~ \"(?i)ERROR\"", LP_STR("an error"), true},
    {"|~ \"^foo$\"", LP_STR("foo"), true},
    {"|~ \"^foo$\"", LP_STR("foo\n"), false},
    {"|~ \"^$\"", LP_STR(""), true},
    {"|~ \"\"", LP_STR("x"), true},
    {"|~ \".*\"", LP_STR("x"), true},
    {"!~ \"\"", LP_STR("x"), false},
    {"!~ \".*\"", LP_STR(""), false},
    {"|~ \"a|b\"", LP_STR("xbx"), true},
    {"|~ \"a|b\"", LP_STR("xcx"), false},
    {"|~ \"a|b|c|d|e|f\"", LP_STR("xfx"), true},
    {"|~ \"a|\"", LP_STR("x"), true},
    {"!~ \"[a-z]\" or \"[0-9]\"", LP_STR("ABC"), true},
    {"!~ \"[a-z]\" or \"[0-9]\"", LP_STR("AB3"), false},
    {"|~ \"status=5\\\\d\\\\d\"", LP_STR("x status=503 y"), true},
    {"|~ \"status=5\\\\d\\\\d\"", LP_STR("x status=404 y"), false},
    {"|> \"<_> GET <_>\"", LP_STR("1.2.3.4 GET /x"), true},
    {"!> \"<_> GET <_>\"", LP_STR("1.2.3.4 GET /x"), false},
    {"|> \"a <_>\" or \"<_> z\"", LP_STR("y z"), true},
    {"|> \"\"", LP_STR(""), true},
    {"|= ip(\"10.0.0.0/8\")", LP_STR("from 10.1.2.3:80"), true},
    {"!= ip(\"10.0.0.0/8\")", LP_STR("from 10.1.2.3:80"), false},
    {"|= ip(\"10.0.0.0/8\") or \"local\"", LP_STR("from local"), true},
    {"!= ip(\"10.0.0.0/8\") or \"local\"", LP_STR("from local"), false},
    /* bytes that are not UTF-8 */
    {"|= \"\\xff\"",
     LP_STR("a\xff"
            "b"),
     true},
    {"|= \"\\xfe\"",
     LP_STR("a\xff"
            "b"),
     false},
    {"|= \"foo\"",
     LP_STR("\xff"
            "foo\xff"),
     true},
    {"|~ \"a.b\"",
     LP_STR("a\xff"
            "b"),
     true}, /* a bad byte is one character */
    {"|~ \"a..b\"",
     LP_STR("a\xff"
            "b"),
     false},
    {"|~ \"a\\ufffdb\"",
     LP_STR("a\xff"
            "b"),
     true},
    {"|~ \"a\\ufffdb.*\"",
     LP_STR("a\xff"
            "b"),
     true},
    {"|~ \"\\ufffd\"", LP_STR("\xff"), true},
    {"|= \"\\ufffd\"", LP_STR("\xff"), false},
    {"|~ \"\xc3\xa9.\"", LP_STR("\xc3\xc3\xa9x"), true},
    {"|= \"\\x00\"", LP_STR("nul\0byte"), true},
};

/* What the predicate says of the line is never against what the chain does. */
static void
check_verdict(const struct lp_linefilter *f, struct lp_str line, bool hit)
{
    const struct lp_linepred *p = lp_linefilter_pred(f);
    enum lp_verdict verdict = lp_linepred_test(p, line);
    CU_ASSERT(verdict != (hit ? LP_NO : LP_YES));
    CU_ASSERT(verdict != LP_YES || p->exact);
    CU_ASSERT(verdict != LP_MAYBE || !p->exact || !lp_all_ascii(line));
}

static void
lines_match(void)
{
    for (size_t i = 0; i < LP_ARRAY_LEN(line_cases); i++) {
        struct lp_linefilter *f = compile(line_cases[i].filters);
        lp_test_check(lp_linefilter_match(f, line_cases[i].line) == line_cases[i].hit, "wrong answer",
                      lp_str_c(line_cases[i].filters));
        check_verdict(f, line_cases[i].line, line_cases[i].hit);
        lp_linefilter_free(f);
    }
}

static void
constant_filters(void)
{
    struct lp_linefilter *f = compile("|= \"\" |~ \".*\" |~ \"x|\"");
    CU_ASSERT(lp_linefilter_passes_all(f) && !lp_linefilter_passes_none(f));
    lp_linefilter_free(f);
    f = compile("|= \"x\" !~ \"\"");
    CU_ASSERT(lp_linefilter_passes_none(f) && !lp_linefilter_passes_all(f));
    lp_linefilter_free(f);
    f = compile("|= \"x\"");
    CU_ASSERT(!lp_linefilter_passes_none(f) && !lp_linefilter_passes_all(f));
    lp_linefilter_free(f);
}

/* "=" where exact; clauses with & between, ! before a negative one, | between needles, ~ before one of either
 * case. */
static void
describe_pred(const struct lp_linepred *p, struct lp_buf *out)
{
    lp_buf_reset(out);
    lp_buf_c(out, p->exact ? "=" : "");
    for (size_t i = 0; i < p->n; i++) {
        const struct lp_clause *c = &p->clauses[i];
        lp_buf_c(out, i > 0 ? " & " : "");
        lp_buf_c(out, c->negative ? "!" : "");
        for (size_t k = 0; k < c->n; k++) {
            lp_buf_c(out, k > 0 ? "|" : "");
            lp_buf_c(out, c->needles[k].icase ? "~" : "");
            lp_buf_str(out, c->needles[k].text);
        }
    }
}

static void
predicates(void)
{
    static const struct {
        const char *filters, *pred;
    } cases[] = {
        {"", "="},
        {"|= \"\"", "="},
        {"|= \"foo\" != \"bar\"", "=foo & !bar"},
        {"|= \"foo\" or \"bar\"", "=foo|bar"},
        {"|~ \"foo|ba\\\\.r\" !~ \"(?i)ERR\"", "=foo|ba.r & !~err"},
        {"|~ \"(?i)error\" |= \"id=\"", "=id= & ~error"},
        {"|~ \"token=[0-9a-f]{8}beef\" != \"x\"", "token= & beef"},
        {"|> \"<_> GET <_> 200\" |= \"x\"", "x &  GET  &  200"},
        {"|= ip(\"10.0.0.0/8\") |= \"x\"", "x"},
        {"|= ip(\"10.0.0.0/8\") or \"x\"", ""},
        {"|> \"a<_>longer\" or \"b<_>\"", "longer|b"},
        {"|~ \"a.+long\" or \"x\"", "long|x"},
        {"|~ \"a.c\" or \"[0-9]\"", ""},
        {"|~ \"^x\" |= \"\\xff\"", "\xff & x"},
        {"!= \"\"", ""}, /* nothing passes: no question of literals */
        {"|~ \"caf\\ufffd!\"", "caf"},
    };
    struct lp_buf out;
    lp_buf_init(&out, 1024);
    for (size_t i = 0; i < LP_ARRAY_LEN(cases); i++) {
        struct lp_linefilter *f = compile(cases[i].filters);
        describe_pred(lp_linefilter_pred(f), &out);
        lp_test_check(lp_str_eqc(lp_buf_view(&out), cases[i].pred), cases[i].filters, lp_buf_view(&out));
        lp_linefilter_free(f);
    }
    lp_buf_clear(&out);
}

/* A chain passes a line exactly if each of its filters alone does, in whatever order the chain runs them. */
static void
chains_are_conjunctions(void)
{
    static const char *const filters[] = {
        "|= \"a\"",           "!= \"b\"",
        "|~ \"a.c\"",         "!~ \"c+\"",
        "|> \"<_>b<_>\"",     "!> \"a<_>\"",
        "|= ip(\"1.1.1.1\")", "|= \"c\" or \"\\xff\"",
        "|~ \"ab|ba\"",       "|~ \"[ab]c\" or \"aa\"",
        "|= \"ab\"",          "|~ \"^a\"",
        "|~ \"(?i)AB\"",      "!~ \"(?i)bc|CA\"",
    };
    static const char bytes[] = "aabbcc\xff\xc3\xa9 .1";
    struct lp_linefilter *alone[LP_ARRAY_LEN(filters)];
    uint64_t seed = 7;
    for (size_t i = 0; i < LP_ARRAY_LEN(filters); i++) {
        alone[i] = compile(filters[i]);
    }
    for (unsigned round = 0; round < 200; round++) {
        char text[256] = "";
        bool used[LP_ARRAY_LEN(filters)] = {false};
        for (unsigned k = 0; k < 3; k++) {
            seed = seed * UINT64_C(6364136223846793005) + 1442695040888963407u;
            size_t i = (seed >> 33) % LP_ARRAY_LEN(filters);
            used[i] = true;
            snprintf(text + strlen(text), sizeof(text) - strlen(text), " %s", filters[i]);
        }
        struct lp_linefilter *chain = compile(text);
        for (unsigned n = 0; n < 50; n++) {
            char line[12];
            for (size_t i = 0; i < sizeof(line); i++) {
                seed = seed * UINT64_C(6364136223846793005) + 1442695040888963407u;
                line[i] = bytes[(seed >> 33) % (sizeof(bytes) - 1)];
            }
            struct lp_str s = lp_str_of(line, n % sizeof(line));
            bool all = true;
            for (size_t i = 0; i < LP_ARRAY_LEN(filters); i++) {
                all = all && (!used[i] || lp_linefilter_match(alone[i], s));
            }
            CU_ASSERT_EQUAL(lp_linefilter_match(chain, s), all);
            check_verdict(chain, s, all);
        }
        lp_linefilter_free(chain);
    }
    for (size_t i = 0; i < LP_ARRAY_LEN(filters); i++) {
        lp_linefilter_free(alone[i]);
    }
}

LP_SUITE(logql_match, {"selectors match label sets", selectors_match},
         {"planners see values and prefixes", planners_see_values}, {"line filters match lines", lines_match},
         {"filters that are constant", constant_filters},
         {"predicates", predicates}, {"a chain is the conjunction of its filters", chains_are_conjunctions});
