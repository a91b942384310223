/*
 * test_exec_find.c - line filters over blocks of many frames, where whole frames are searched at once.
 * Oracle: memmem on each line. The lines are of two letters, some are empty, so hits across the border of two
 * lines are common.
 */
#include <stdio.h>
#include <string.h>

#include "tests/unit/exec_fixture.h"

#define LINES 3000
#define LINE_MAX_BYTES 3000

struct lines {
    char *bytes;
    struct lp_str v[LINES]; /* in the order of their times */
};

/* Long runs of one letter: a literal of mixed letters is rare, and lines begin and end in the middle of runs.
 */
static void
make_lines(struct lines *l, uint64_t *random)
{
    size_t at = 0;
    char letter = 'a';
    l->bytes = lp_malloc(LINES * LINE_MAX_BYTES);
    for (size_t i = 0; i < LINES; i++) {
        size_t n = lp_rand(random) % 8 == 0 ? 0 : lp_rand(random) % LINE_MAX_BYTES;
        l->v[i] = lp_str_of(l->bytes + at, n);
        for (size_t end = at + n; at < end;) {
            size_t run = LP_MIN(end - at, 1 + lp_rand(random) % 40);
            memset(l->bytes + at, letter, run);
            letter = letter == 'a' ? 'b' : 'a';
            at += run;
        }
    }
}

static void
put_lines(struct lp_world *w, const struct lines *l)
{
    struct lp_batch *b = lp_batch_new(LP_STR_NULL, SIZE_MAX, 0);
    for (size_t i = 0; i < LINES; i++) {
        struct lp_pair label = {LP_STR("app"), i % 3 ? LP_STR("x") : LP_STR("y")};
        struct lp_pair same = {LP_STR("container"),
                               LP_STR("c")}; /* one group: runs share blocks and frames */
        struct lp_pair labels[] = {label, same};
        uint32_t stream;
        CU_ASSERT_EQUAL_FATAL(lp_batch_stream(b, labels, 2, NULL, &stream, NULL), LP_OK);
        CU_ASSERT_EQUAL_FATAL(lp_batch_add(b, stream, (int64_t)i, l->v[i], false, NULL, 0, NULL), LP_OK);
    }
    lp_batch_finish(b);
    CU_ASSERT_EQUAL_FATAL(lp_put(w->st, b, 0), LP_OK);
    lp_world_seal(w);
}

static void
random_literal(char out[64], uint64_t *random)
{
    size_t n = 0, flips = 2 + lp_rand(random) % 3;
    for (size_t i = 0; i < flips; i++) {
        size_t run = 1 + lp_rand(random) % 16;
        memset(out + n, i % 2 ? 'a' : 'b', run);
        n += run;
    }
    out[n] = 0;
}

static void
check_one(struct lp_world *w, const struct lines *l, const char *literal)
{
    struct lp_test_query q;
    struct lp_found f;
    char text[128];
    snprintf(text, sizeof(text), "{app=~\"x|y\"} |= \"%s\"", literal);
    lp_test_query_parse(&q, lp_str_c(text), true);
    struct lp_search s = lp_world_search(w, &q);
    s.backward = lp_rand(&w->random) % 2;
    s.limit = lp_rand(&w->random) % 3 ? 100000 : 1 + lp_rand(&w->random) % 20;
    s.from_ns = (int64_t)(lp_rand(&w->random) % LINES);
    s.to_ns = s.from_ns + (int64_t)(lp_rand(&w->random) % LINES);
    CU_ASSERT_EQUAL_FATAL(lp_search(&s, &f, NULL), LP_OK);
    size_t n = 0;
    bool same = true;
    uint64_t looked = 0;
    for (size_t k = 0; k < LINES && n < s.limit; k++) {
        size_t i = s.backward ? LINES - 1 - k : k;
        if ((int64_t)i < s.from_ns || (int64_t)i >= s.to_ns) {
            continue;
        }
        looked++;
        if (lp_str_find(l->v[i], lp_str_c(literal)) != SIZE_MAX) {
            same = same && n < f.n && lp_str_eq(f.rows[n].line, l->v[i]) && f.rows[n].time_ns == (int64_t)i;
            n++;
        }
    }
    lp_test_check(same && f.n == n, "other rows came", lp_str_c(text));
    if (s.limit == 100000) { /* rows that were passed over count as looked at */
        CU_ASSERT_EQUAL(f.stats.stored_lines, looked);
    }
    lp_found_clear(&f);
    lp_test_query_clear(&q);
}

static void
finds_literals_in_frames(void)
{
    static struct lines l;
    struct lp_world w;
    char literal[64];
    lp_world_open(&w);
    make_lines(&l, &w.random);
    put_lines(&w, &l);
    for (int i = 0; i < 60; i++) {
        random_literal(literal, &w.random);
        check_one(&w, &l, literal);
    }
    check_one(&w, &l, "a");
    check_one(&w, &l, "no such bytes");
    lp_free(l.bytes);
    lp_world_close(&w);
}

LP_SUITE(exec_find, {"finds literals in frames", finds_literals_in_frames});
