/*
 * test_podlog.c - the log of containers: the past in order, and from there into what arrives; every line
 * once, whatever arrives or is sealed between two pages.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "query/podlog.h"
#include "tests/unit/store_fixture.h"

struct line {
    int64_t time_ns;
    char pod[8], container[8], run[8];
};

struct world {
    struct lp_store *st;
    struct line *v; /* by number: lines begin with it */
    size_t n, cap;
    uint64_t next_position;
    uint64_t seed;
};

static void
open_world(struct world *w)
{
    *w = (struct world){.seed = 99};
    CU_ASSERT_EQUAL_FATAL(lp_open_store(lp_test_dir(), NULL, 8u << 20, &w->st, NULL), LP_OK);
}

static void
close_world(struct world *w)
{
    lp_store_free(w->st);
    lp_free(w->v);
}

static void
seal(struct world *w)
{
    CU_ASSERT_EQUAL_FATAL(lp_store_seal(w->st, lp_mono_ns() + 60 * LP_NS_PER_S, NULL), LP_OK);
}

/* One batch of lines of some pods, containers and runs, with times in [base, base + span). */
static void
put(struct world *w, size_t n, int64_t base_ns, unsigned span)
{
    struct lp_batch *b = lp_batch_new(LP_STR_NULL, SIZE_MAX, 64 * n);
    b->received_ns = base_ns;
    for (size_t i = 0; i < n; i++) {
        if (w->n == w->cap) {
            w->cap = w->cap ? w->cap * 2 : 1024;
            w->v = lp_realloc(w->v, w->cap * sizeof(*w->v));
        }
        struct line *l = &w->v[w->n];
        char text[64];
        uint32_t stream;
        l->time_ns = base_ns + lp_test_below(&w->seed, span);
        snprintf(l->pod, sizeof(l->pod), "p%u", lp_test_below(&w->seed, 3));
        snprintf(l->container, sizeof(l->container), "c%u", lp_test_below(&w->seed, 2));
        snprintf(l->run, sizeof(l->run), "%u", lp_test_below(&w->seed, 2));
        snprintf(text, sizeof(text), "%zu %s", w->n, w->n % 3 == 0 ? "alpha" : "beta");
        const struct lp_instance inst = {LP_STR("uid"), lp_str_c(l->run)};
        struct lp_pair labels[] = {{LP_STR("namespace"), LP_STR("ns")},
                                   {LP_STR("pod"), lp_str_c(l->pod)},
                                   {LP_STR("container"), lp_str_c(l->container)}};
        CU_ASSERT_EQUAL_FATAL(lp_batch_stream(b, labels, 3, &inst, &stream, NULL), LP_OK);
        CU_ASSERT_EQUAL_FATAL(lp_batch_add(b, stream, l->time_ns, lp_str_c(text), false, NULL, 0, NULL),
                              LP_OK);
        w->n++;
    }
    lp_batch_finish(b);
    CU_ASSERT_EQUAL_FATAL(lp_put(w->st, b, w->next_position++), LP_OK);
}

static struct lp_podlog_query
query(const struct world *w, const struct lp_podlog_want *wants, size_t nwants)
{
    return (struct lp_podlog_query){.store = w->st,
                                    .ns = LP_STR("ns"),
                                    .wants = wants,
                                    .nwants = nwants,
                                    .from_ns = LP_TIME_MIN,
                                    .to_ns = LP_TIME_MAX,
                                    .tail = LP_PODLOG_ALL,
                                    .budget_bytes = 64u << 20,
                                    .page_rows = 7,
                                    .page_timeout_ns = 60 * LP_NS_PER_S};
}

struct seen {
    size_t *v;
    size_t n, cap;
};

static void
see(struct seen *s, const struct lp_found *f)
{
    for (size_t i = 0; i < f->n; i++) {
        if (s->n == s->cap) {
            s->cap = s->cap ? s->cap * 2 : 256;
            s->v = lp_realloc(s->v, s->cap * sizeof(*s->v));
        }
        s->v[s->n++] = strtoull(f->rows[i].line.p, NULL, 10);
        CU_ASSERT(lp_stream_key_label(&f->streams[f->rows[i].stream]->key, LP_STR("pod")).n == 2);
    }
}

/* Reads one page; how many lines it had. */
static size_t
read_page(struct lp_podlog *l, struct seen *s)
{
    struct lp_found f;
    CU_ASSERT_EQUAL_FATAL(lp_podlog_next(l, &f, NULL), LP_OK);
    size_t n = f.n;
    see(s, &f);
    lp_found_clear(&f);
    return n;
}

static bool
is_p1_c0(const struct line *l)
{
    return strcmp(l->pod, "p1") == 0 && strcmp(l->container, "c0") == 0;
}

static bool
is_p1_c0_run_1(const struct line *l)
{
    return is_p1_c0(l) && strcmp(l->run, "1") == 0;
}

/* Each of the lines [from, to) that are wanted once, and no others. */
static void
check(const struct world *w, const struct seen *s, size_t from, size_t to, bool (*want)(const struct line *l))
{
    uint8_t *there = lp_calloc(w->n, 1);
    bool good = true;
    for (size_t i = 0; i < s->n; i++) {
        good = good && s->v[i] < w->n && !there[s->v[i]]++;
    }
    for (size_t i = 0; i < w->n; i++) {
        good = good && there[i] == (i >= from && i < to && want(&w->v[i]));
    }
    CU_ASSERT(good);
    lp_free(there);
}

static void
check_order(const struct world *w, const struct seen *s)
{
    for (size_t i = 1; i < s->n; i++) {
        CU_ASSERT(w->v[s->v[i - 1]].time_ns <= w->v[s->v[i]].time_ns);
    }
}

static const struct lp_podlog_want p1_c0 = {.pod = {"p1", 2}, .container = {"c0", 2}, .uid = {"uid", 3}};

static void
test_past(void)
{
    for (int sealed = 0; sealed < 2; sealed++) {
        struct world w;
        struct seen s = {NULL, 0, 0};
        struct lp_podlog *l;
        open_world(&w);
        put(&w, 300, 1000, 400);
        put(&w, 300, 1000, 400);
        if (sealed) {
            seal(&w);
        }
        struct lp_podlog_want run_1 = p1_c0;
        run_1.run = LP_STR("1");
        struct lp_podlog_query q = query(&w, &run_1, 1);
        CU_ASSERT_EQUAL_FATAL(lp_podlog_open(&q, &l, NULL), LP_OK);
        while (read_page(l, &s) > 0) {
        }
        check(&w, &s, 0, w.n, is_p1_c0_run_1);
        check_order(&w, &s);
        lp_podlog_close(l);
        lp_free(s.v);
        close_world(&w);
    }
}

/* The newest lines, more and fewer than a page and than there are. */
static void
test_newest(void)
{
    static const size_t tails[] = {0, 1, 6, 7, 8, 14, 30, 1000};
    struct world w;
    open_world(&w);
    put(&w, 300, 1000, 400);
    seal(&w);
    put(&w, 300, 1000, 400);
    for (size_t t = 0; t < LP_ARRAY_LEN(tails); t++) {
        struct seen s = {NULL, 0, 0}, all = {NULL, 0, 0};
        struct lp_podlog *l;
        struct lp_podlog_query q = query(&w, &p1_c0, 1);
        CU_ASSERT_EQUAL_FATAL(lp_podlog_open(&q, &l, NULL), LP_OK);
        while (read_page(l, &all) > 0) {
        }
        lp_podlog_close(l);
        q.tail = tails[t];
        CU_ASSERT_EQUAL_FATAL(lp_podlog_open(&q, &l, NULL), LP_OK);
        while (read_page(l, &s) > 0) {
        }
        lp_podlog_close(l);
        size_t n = LP_MIN(tails[t], all.n);
        CU_ASSERT_EQUAL(s.n, n);
        CU_ASSERT(n == 0 || (s.n == n && memcmp(s.v, all.v + all.n - n, n * sizeof(*s.v)) == 0));
        lp_free(s.v);
        lp_free(all.v);
    }
    close_world(&w);
}

/* Lines arrive and are sealed while the past is read, before, at and behind the place that was reached. */
static void
test_follow(void)
{
    for (int round = 0; round < 60; round++) {
        struct world w;
        struct seen s = {NULL, 0, 0};
        struct lp_podlog *l;
        open_world(&w);
        w.seed += (uint64_t)round * 7919;
        put(&w, 400, 1000, 60);
        if (round % 2 == 0) {
            seal(&w);
        }
        struct lp_podlog_query q = query(&w, &p1_c0, 1);
        q.follow = true;
        CU_ASSERT_EQUAL_FATAL(lp_podlog_open(&q, &l, NULL), LP_OK);
        size_t quiet = 0;
        for (int step = 0; quiet < 2; step++) {
            if (step < 40 && lp_test_below(&w.seed, 2) == 0) {
                put(&w, 30, 1000, 60);
            }
            if (step < 40 && lp_test_below(&w.seed, 5) == 0) {
                seal(&w);
            }
            quiet = read_page(l, &s) == 0 && step >= 40 ? quiet + 1 : 0;
        }
        CU_ASSERT(lp_podlog_live(l));
        CU_ASSERT_PTR_NULL(lp_podlog_missed(l));
        check(&w, &s, 0, w.n, is_p1_c0);
        lp_podlog_close(l);
        lp_free(s.v);
        close_world(&w);
    }
}

/* As above, while memory for all queries is short now and then: what fails is asked again. */
static void
test_short_memory(void)
{
    size_t failed = 0;
    for (int round = 0; round < 60; round++) {
        struct world w;
        struct seen s = {NULL, 0, 0};
        struct lp_podlog *l;
        struct lp_arena_share share = {0, SIZE_MAX};
        open_world(&w);
        w.seed += (uint64_t)round * 104729;
        put(&w, 300, 1000, 60);
        struct lp_podlog_query q = query(&w, &p1_c0, 1);
        q.follow = true;
        q.share = &share;
        q.tail = round % 3 == 0 ? 1000 : LP_PODLOG_ALL;
        CU_ASSERT_EQUAL_FATAL(lp_podlog_open(&q, &l, NULL), LP_OK);
        for (int step = 0, quiet = 0; quiet < 2; step++) {
            struct lp_found f;
            if (step < 60 && lp_test_below(&w.seed, 2) == 0) {
                put(&w, 30, 1000, 60);
            }
            if (step < 60 && lp_test_below(&w.seed, 5) == 0) {
                seal(&w);
            }
            share.most = step < 60 ? share.used + lp_test_below(&w.seed, 120) * 1024 : SIZE_MAX;
            lp_rc rc = lp_podlog_next(l, &f, NULL);
            CU_ASSERT(rc == LP_OK || rc == LP_ERR_BUSY || rc == LP_ERR_LIMIT);
            failed += rc != LP_OK;
            quiet = rc == LP_OK && f.n == 0 && step >= 60 ? quiet + 1 : 0;
            see(&s, &f);
            lp_found_clear(&f);
        }
        check(&w, &s, 0, w.n, is_p1_c0);
        lp_podlog_close(l);
        CU_ASSERT_EQUAL(share.used, 0);
        lp_free(s.v);
        close_world(&w);
    }
    CU_ASSERT(failed > 100);
}

/* From now on; a filter, and runs that are not wanted. */
static void
test_live_only(void)
{
    static const struct lp_str run_0[] = {{"0", 1}};
    struct world w;
    struct seen s = {NULL, 0, 0};
    struct lp_podlog *l;
    open_world(&w);
    put(&w, 200, 1000, 50);
    struct lp_podlog_want want = p1_c0;
    want.not_runs = run_0;
    want.nnot_runs = 1;
    struct lp_podlog_query q = query(&w, &want, 1);
    q.follow = true;
    q.tail = 0;
    CU_ASSERT_EQUAL_FATAL(lp_podlog_open(&q, &l, NULL), LP_OK);
    CU_ASSERT_EQUAL(read_page(l, &s), 0);
    CU_ASSERT(lp_podlog_live(l));
    put(&w, 200, 10, 50);
    seal(&w);
    put(&w, 200, 2000, 50);
    while (read_page(l, &s) > 0) {
    }
    check(&w, &s, 200, w.n, is_p1_c0_run_1);
    lp_podlog_close(l);
    lp_free(s.v);
    close_world(&w);
}

static bool
has_alpha(const struct line *l, size_t number)
{
    return number % 3 == 0 && strcmp(l->pod, "p0") != 0;
}

/* Several pods, and filters. */
static void
test_filters(void)
{
    static const struct lp_podlog_want two[] = {{.pod = {"p1", 2}}, {.pod = {"p2", 2}}};
    const struct lp_str alpha = LP_STR("alpha"), regex = LP_STR("^[0-9]+ a.*a$"), bad = LP_STR("(");
    struct world w;
    struct seen s = {NULL, 0, 0};
    struct lp_podlog *l;
    struct lp_err err;
    open_world(&w);
    put(&w, 200, 1000, 50);
    struct lp_podlog_query q = query(&w, two, 2);
    q.contains = &alpha;
    q.ncontains = 1;
    q.regexes = &regex;
    q.nregexes = 1;
    CU_ASSERT_EQUAL_FATAL(lp_podlog_open(&q, &l, NULL), LP_OK);
    while (read_page(l, &s) > 0) {
    }
    size_t n = 0;
    for (size_t i = 0; i < w.n; i++) {
        n += has_alpha(&w.v[i], i);
    }
    CU_ASSERT_EQUAL(s.n, n);
    check_order(&w, &s);
    lp_podlog_close(l);
    q.regexes = &bad;
    CU_ASSERT_EQUAL(lp_podlog_open(&q, &l, &err), LP_ERR_PARSE);
    lp_free(s.v);
    close_world(&w);
}

LP_SUITE(podlog, {"the past, in order", test_past}, {"the newest lines", test_newest},
         {"from the past into what arrives, each line once", test_follow},
         {"while memory is short", test_short_memory}, {"from now on, without earlier runs", test_live_only},
         {"several pods, and filters", test_filters});
