/*
 * test_patterns.c - lines grouped into patterns. Oracle: lines made from known forms; and that a pattern, as
 * a line filter, matches the lines it was made of.
 */
#include "query/patterns.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "query/linefilter.h"
#include "query/text.h"
#include "tests/unit/test_logql.h"

#define INFO LP_STR("info")

static struct lp_patterns *
make(void)
{
    return lp_patterns_new(64 << 20, NULL);
}

static void
add(struct lp_patterns *p, const char *line)
{
    lp_patterns_add(p, INFO, lp_str_c(line), 0, 1);
}

static size_t
finish(struct lp_patterns *p, const struct lp_pattern **ret)
{
    size_t n;
    CU_ASSERT_TRUE_FATAL(lp_patterns_finish(p, 1000, ret, &n));
    return n;
}

static void
expect(const struct lp_pattern *p, const char *text, double lines)
{
    lp_test_check(lp_str_eqc(p->text, text), text, p->text);
    CU_ASSERT_EQUAL(p->lines, lines);
}

static void
what_varies_is_left_out(void)
{
    struct lp_patterns *p = make();
    const struct lp_pattern *v;
    char line[128];
    for (int i = 0; i < 50; i++) {
        snprintf(line, sizeof(line), "GET /item/%d took %dms", i % 7, i);
        add(p, line);
        snprintf(line, sizeof(line), "level=info msg=\"user logged in\" user=u%d", i);
        add(p, line);
        if (i < 10) {
            add(p, i % 2 == 0 ? "cache is warm" : "cache is cold");
        }
    }
    add(p, "nothing like it");
    CU_ASSERT_EQUAL_FATAL(finish(p, &v), 5);
    expect(&v[0], "GET <_> took <_>", 50);
    expect(&v[1], "level=info msg=\"user logged in\" user=<_>", 50);
    expect(&v[2], "cache is cold", 5);
    expect(&v[3], "cache is warm", 5);
    expect(&v[4], "nothing like it", 1);
    lp_patterns_free(p);
}

static void
levels_and_signs_tell_apart(void)
{
    struct lp_patterns *p = make();
    const struct lp_pattern *v;
    add(p, "a b");
    add(p, "a  b");
    add(p, "a,b");
    lp_patterns_add(p, LP_STR("error"), LP_STR("a b"), 0, 1);
    add(p, "  ");
    add(p, "");
    add(p, "12 34"); /* says nothing */
    CU_ASSERT_EQUAL_FATAL(finish(p, &v), 4);
    for (size_t i = 0; i < 4; i++) {
        CU_ASSERT_EQUAL(v[i].lines, 1);
        CU_ASSERT(lp_str_eqc(v[i].level, "info") || lp_str_eqc(v[i].text, "a b"));
    }
    lp_patterns_free(p);
}

static void
one_line_alone(void)
{
    struct lp_patterns *p = make();
    const struct lp_pattern *v;
    add(p, "worker 17 done");
    add(p, "job abc 3 failed"); /* two groups of one line each come to one pattern */
    for (int i = 0; i < 3; i++) {
        add(p, "always port=8080");
    }
    CU_ASSERT_EQUAL_FATAL(finish(p, &v), 3);
    expect(&v[0], "always port=8080", 3); /* a number that stays the same is no hole */
    expect(&v[1], "job abc <_> failed", 1);
    expect(&v[2], "worker <_> done", 1);
    lp_patterns_free(p);
}

static void
samples_by_step(void)
{
    struct lp_patterns *p = make();
    const struct lp_pattern *v;
    lp_patterns_add(p, INFO, LP_STR("tick 1"), 0, 2);
    lp_patterns_add(p, INFO, LP_STR("tick 2"), 0, 2);
    lp_patterns_add(p, INFO, LP_STR("tick 3"), 4, 2.5);
    CU_ASSERT_EQUAL_FATAL(finish(p, &v), 1);
    expect(&v[0], "tick <_>", 6.5);
    CU_ASSERT_EQUAL_FATAL(v[0].nsamples, 2);
    CU_ASSERT(v[0].samples[0].step == 0 && v[0].samples[0].lines == 4);
    CU_ASSERT(v[0].samples[1].step == 4 && v[0].samples[1].lines == 2.5);
    lp_patterns_free(p);
}

/* Patterns of lines of random words are few, and each line matches one. */
static void
patterns_match_their_lines(void)
{
    static const char *const words[] = {"alpha",    "beta", "x=1", "\"q\"",    "[z]", "/p/4",
                                        "10.0.0.1", "=",    ",",   "\xc3\xa9", "<_>", "`"};
    struct lp_patterns *p = make();
    const struct lp_pattern *v;
    char lines[300][64];
    uint64_t seed = 5;
    for (size_t i = 0; i < LP_ARRAY_LEN(lines); i++) {
        lines[i][0] = 0;
        for (unsigned k = 0; k < 1 + i % 5; k++) {
            size_t n = strlen(lines[i]);
            snprintf(lines[i] + n, sizeof(lines[i]) - n, "%s%s", k > 0 ? " " : "",
                     words[lp_test_below(&seed, LP_ARRAY_LEN(words))]);
        }
        add(p, lines[i]);
    }
    size_t n = finish(p, &v);
    bool matched[LP_ARRAY_LEN(lines)] = {false};
    for (size_t i = 0; i < n; i++) {
        struct lp_buf query;
        struct lp_test_query q;
        struct lp_linefilter *f;
        lp_buf_init(&query, 1 << 16);
        lp_buf_c(&query, "{a=\"b\"} |> ");
        lp_text_quote(&query, v[i].text);
        lp_test_query_parse(&q, lp_buf_view(&query), false);
        lp_test_check(q.rc == LP_OK, "a pattern that is no filter", v[i].text);
        CU_ASSERT_EQUAL_FATAL(lp_linefilter_new(q.expr->log.stages, q.expr->log.nstages, &f, NULL), LP_OK);
        for (size_t k = 0; k < LP_ARRAY_LEN(lines); k++) {
            matched[k] = matched[k] || lp_linefilter_match(f, lp_str_c(lines[k]));
        }
        lp_linefilter_free(f);
        lp_test_query_clear(&q);
        lp_buf_clear(&query);
    }
    for (size_t k = 0; k < LP_ARRAY_LEN(lines); k++) {
        bool says = strpbrk(lines[k], "abcdefghijklmnopqrstuvwxyz\xc3_") != NULL;
        lp_test_check(matched[k] || !says, "no pattern matches", lp_str_c(lines[k]));
    }
    lp_patterns_free(p);
}

static void
long_lines_end_in_a_hole(void)
{
    struct lp_patterns *p = make();
    const struct lp_pattern *v;
    char *line = malloc(1 << 20);
    for (int k = 0; k < 2; k++) {
        memset(line, k == 0 ? 'x' : 'y', 1 << 20);
        memcpy(line, "begin ", 6);
        lp_patterns_add(p, INFO, lp_str_of(line, 1 << 20), 0, 1);
        for (size_t i = 6; i + 1 < 1 << 20; i += 2) { /* many words */
            line[i + 1] = ' ';
        }
        lp_patterns_add(p, INFO, lp_str_of(line, 1 << 20), 0, 1);
    }
    size_t n = finish(p, &v);
    CU_ASSERT_FATAL(n >= 2);
    for (size_t i = 0; i < n; i++) {
        CU_ASSERT(v[i].text.n < 8192 && lp_str_starts(v[i].text, LP_STR("begin ")) &&
                  lp_str_ends(v[i].text, LP_STR("<_>")));
    }
    free(line);
    lp_patterns_free(p);
}

/* Words without end make a form's lines one group in the end, and forms without end are left out. */
static void
memory_has_an_end(void)
{
    struct lp_patterns *p = make();
    const struct lp_pattern *v;
    char line[128];
    uint64_t seed = 3;
    for (int i = 0; i < 20000; i++) {
        char a[9], b[9];
        for (int k = 0; k < 8; k++) {
            a[k] = (char)('a' + lp_test_below(&seed, 26));
            b[k] = (char)('a' + lp_test_below(&seed, 26));
        }
        a[8] = b[8] = 0;
        snprintf(line, sizeof(line), "%s met %s", a, b);
        add(p, line);
    }
    size_t n = finish(p, &v);
    CU_ASSERT(n <= 64);
    lp_patterns_free(p);

    p = lp_patterns_new(64 << 10, NULL);
    for (int i = 0; i < 5000; i++) {
        int at = snprintf(line, sizeof(line), "form");
        for (int k = 0; k < 12; k++) {
            at += snprintf(line + at, sizeof(line) - (size_t)at, "%cx", (i >> k & 1) != 0 ? ';' : ' ');
        }
        add(p, line);
    }
    n = 0;
    CU_ASSERT(!lp_patterns_finish(p, 10, &v, &n) || (n > 0 && n <= 10)); /* spent, or cut */
    lp_patterns_free(p);
}

LP_SUITE(patterns, {"what varies is left out", what_varies_is_left_out},
         {"levels and signs tell apart", levels_and_signs_tell_apart}, {"one line alone", one_line_alone},
         {"samples by step", samples_by_step}, {"patterns match their lines", patterns_match_their_lines},
         {"long lines end in a hole", long_lines_end_in_a_hole}, {"memory has an end", memory_has_an_end});
