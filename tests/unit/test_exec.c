/*
 * test_exec.c - searches: which rows they find, and in what order. Oracle: a plain look at every record ever
 * put in (exec_fixture.h).
 */
#include <sched.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/thread.h"
#include "query/turn.h"
#include "tests/unit/exec_fixture.h"

#define RECORDS 3000

static bool
has_alpha(const struct lp_rec *r)
{
    return strstr(r->line, "alpha") != NULL;
}

static bool
delta_of_app_1(const struct lp_rec *r)
{
    return strcmp(r->app, "app-1") == 0 && strstr(r->line, "delta") != NULL;
}

static bool
is_pod_4(const struct lp_rec *r)
{
    return strcmp(r->pod, "pod-4") == 0;
}

static bool
not_beta_or_gamma(const struct lp_rec *r)
{
    return strstr(r->line, "beta") == NULL && strstr(r->line, "gamma") == NULL;
}

static bool
never(const struct lp_rec *r)
{
    (void)r;
    return false;
}

static const struct {
    const char *text;
    bool (*want)(const struct lp_rec *r);
} queries[] = {
    {"{}", NULL},
    {"{app=~\".+\"} |= \"alpha\"", has_alpha},
    {"{app=\"app-1\"} |= \"delta\"", delta_of_app_1},
    {"{pod=\"pod-4\"}", is_pod_4}, /* two instances */
    {"{pod=~\"pod-[4]\"}", is_pod_4},
    {"{service_name=\"app-1\"} |= \"del\" |= \"ta\"", delta_of_app_1}, /* a derived label */
    {"{} != \"beta\" != \"gamma\"", not_beta_or_gamma},
    {"{} |~ \"al(p|q)ha\"", has_alpha},
    {"{} |= \"no line holds this\"", never},
    {"{pod=\"nowhere\"}", never},
};

static void
run_one(const struct lp_world *w, const char *text, const struct lp_search *q,
        bool (*want)(const struct lp_rec *r))
{
    struct lp_found f;
    size_t n, *answer = lp_world_answer(w, q, want, &n);
    CU_ASSERT_EQUAL_FATAL(lp_search(q, &f, NULL), LP_OK);
    bool same = lp_world_same(w, &f, answer, n);
    CU_ASSERT(same);
    if (!same) {
        printf("\n%s [%lld, %lld) limit %zu %s: %zu rows, %zu expected\n", text, (long long)q->from_ns,
               (long long)q->to_ns, q->limit, q->backward ? "backward" : "forward", f.n, n);
    }
    CU_ASSERT_EQUAL(f.stats.damaged, 0);
    lp_found_clear(&f);
    lp_free(answer);
}

/* Any query, range, limit and direction, with and without helpers. */
static void
finds_what_is_there(enum lp_layout layout)
{
    static const size_t limits[] = {1, 2, 7, 100, 1000, 100000};
    struct lp_world w;
    lp_world_make(&w, RECORDS, layout);
    for (size_t i = 0; i < LP_ARRAY_LEN(queries) * 24; i++) {
        struct lp_test_query q;
        size_t which = i % LP_ARRAY_LEN(queries);
        lp_test_query_parse(&q, lp_str_c(queries[which].text), true);
        struct lp_search s = lp_world_search(&w, &q);
        s.backward = lp_rand(&w.random) % 2;
        s.limit = limits[lp_rand(&w.random) % LP_ARRAY_LEN(limits)];
        s.pool = lp_rand(&w.random) % 2 ? w.pool : NULL;
        if (lp_rand(&w.random) % 2) {
            s.from_ns = 950 + (int64_t)(lp_rand(&w.random) % 600);
            s.to_ns = s.from_ns + (int64_t)(lp_rand(&w.random) % 300);
        }
        run_one(&w, queries[which].text, &s, queries[which].want);
        lp_test_query_clear(&q);
    }
    lp_world_close(&w);
}

static void
finds_in_head(void)
{
    finds_what_is_there(LP_HEAD_ONLY);
}

static void
finds_in_segments(void)
{
    finds_what_is_there(LP_SEALED);
}

static void
finds_in_both(void)
{
    finds_what_is_there(LP_MIXED);
}

/* All rows at one time: the order is by stream, then by arrival, the same before and after a seal. */
static void
equal_times_have_one_order(void)
{
    struct lp_world w;
    struct lp_test_query q;
    lp_test_query_parse(&q, LP_STR("{}"), true);
    lp_world_open(&w);
    for (int i = 0; i < 12; i++) {
        lp_world_put(&w, 50, 5000, 1);
        if (i == 4 || i == 6) {
            lp_world_seal(&w);
        }
    }
    for (int sealed = 0; sealed < 2; sealed++) {
        for (size_t limit = 1; limit < 700; limit = limit * 3 + 1) {
            for (int backward = 0; backward < 2; backward++) {
                struct lp_search s = lp_world_search(&w, &q);
                s.limit = limit;
                s.backward = backward;
                run_one(&w, "equal times", &s, NULL);
            }
        }
        lp_world_seal(&w);
    }
    lp_test_query_clear(&q);
    lp_world_close(&w);
}

/* Greedy thinning over all rows in order. */
static size_t
thin(const struct lp_world *w, size_t *v, size_t n, const struct lp_search *q)
{
    size_t kept = 0;
    for (size_t i = 0; i < n && kept < q->limit; i++) {
        int64_t t = w->v[v[i]].time_ns, last = kept ? w->v[v[kept - 1]].time_ns : 0;
        if (kept == 0 || (q->backward ? last - t : t - last) >= q->interval_ns) {
            v[kept++] = v[i];
        }
    }
    return kept;
}

static void
interval_thins_rows(void)
{
    static const int64_t intervals[] = {1, 2, 3, 40, 499, 100000};
    struct lp_world w;
    struct lp_test_query q;
    lp_test_query_parse(&q, LP_STR("{} |= \"alpha\""), true);
    lp_world_make(&w, RECORDS, LP_MIXED);
    for (size_t i = 0; i < LP_ARRAY_LEN(intervals) * 4; i++) {
        struct lp_search s = lp_world_search(&w, &q);
        struct lp_found f;
        size_t n;
        s.backward = i % 2;
        size_t *answer = lp_world_answer(&w, &s, has_alpha, &n);
        s.interval_ns = intervals[i / 4];
        s.limit = i % 4 < 2 ? 100000 : 5;
        n = thin(&w, answer, n, &s);
        CU_ASSERT_EQUAL_FATAL(lp_search(&s, &f, NULL), LP_OK);
        CU_ASSERT(lp_world_same(&w, &f, answer, n));
        lp_found_clear(&f);
        lp_free(answer);
    }
    lp_test_query_clear(&q);
    lp_world_close(&w);
}

static void
ends_when_told(void)
{
    struct lp_world w;
    struct lp_test_query q;
    struct lp_found f;
    struct lp_err err;
    _Atomic bool cancel = true;
    lp_test_query_parse(&q, LP_STR("{}"), true);
    lp_world_make(&w, 500, LP_MIXED);
    struct lp_search s = lp_world_search(&w, &q);
    s.cancel = &cancel;
    lp_err_clear(&err);
    CU_ASSERT_EQUAL(lp_search(&s, &f, &err), LP_ERR_CANCELED);
    cancel = false;
    s.deadline_ns = lp_mono_ns();
    CU_ASSERT_EQUAL(lp_search(&s, &f, &err), LP_ERR_TIMEOUT);
    CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "request timed out, decrease the duration"));
    s.deadline_ns = INT64_MAX;
    s.budget_bytes = 4096;
    CU_ASSERT_EQUAL(lp_search(&s, &f, &err), LP_ERR_LIMIT);
    s.budget_bytes = 1 << 20;
    CU_ASSERT_EQUAL_FATAL(lp_search(&s, &f, &err), LP_OK);
    CU_ASSERT_EQUAL(f.n, 500);
    lp_found_clear(&f);
    lp_test_query_clear(&q);
    lp_world_close(&w);
}

struct canceler {
    struct lp_search s;
    lp_rc rc;
};

static void
search_until_canceled(void *arg)
{
    struct canceler *c = arg;
    struct lp_found f;
    do {
        c->rc = lp_search(&c->s, &f, NULL);
        if (c->rc == LP_OK) {
            lp_found_clear(&f);
        }
    } while (c->rc == LP_OK);
}

/* Searches that fill the whole pool end, though each of them asks the pool for help; and a cancel reaches
 * them at work. */
static void
a_full_pool_goes_on(void)
{
    struct lp_world w;
    struct lp_test_query q;
    _Atomic bool cancel = false;
    struct canceler c[5];
    lp_test_query_parse(&q, LP_STR("{} |~ \"a.*b.*c\""), true);
    lp_world_make(&w, RECORDS, LP_SEALED);
    for (size_t i = 0; i < LP_ARRAY_LEN(c); i++) {
        c[i].s = lp_world_search(&w, &q);
        c[i].s.cancel = &cancel;
        CU_ASSERT_EQUAL_FATAL(lp_pool_run(w.pool, search_until_canceled, &c[i], INT64_MAX), LP_OK);
    }
    struct lp_search s = lp_world_search(&w, &q);
    run_one(&w, "beside a full pool", &s, never);
    cancel = true;
    lp_pool_stop(w.pool);
    for (size_t i = 0; i < LP_ARRAY_LEN(c); i++) {
        CU_ASSERT_EQUAL(c[i].rc, LP_ERR_CANCELED);
    }
    lp_test_query_clear(&q);
    lp_world_close(&w);
}

static void
damage_costs_its_block_alone(void)
{
    struct lp_world w;
    struct lp_test_query q;
    struct lp_found f;
    lp_test_query_parse(&q, LP_STR("{}"), true);
    lp_world_open(&w);
    lp_world_put(&w, 3000, 1000, 100000);
    lp_world_seal(&w);
    lp_world_put(&w, 100, 1000, 100000);
    lp_world_damage(&w);
    struct lp_search s = lp_world_search(&w, &q);
    CU_ASSERT_EQUAL_FATAL(lp_search(&s, &f, NULL), LP_OK);
    CU_ASSERT_EQUAL(f.stats.damaged, 1);
    lp_test_check(strstr(f.damage, "segment 0000000000000001") != NULL, "another text came",
                  lp_str_c(f.damage));
    CU_ASSERT(f.n >= 1500 && f.n < 3100); /* two groups of three, and the head */
    CU_ASSERT_EQUAL(f.used, 3100);
    lp_found_clear(&f);
    lp_test_query_clear(&q);
    lp_world_close(&w);
}

struct brief {
    struct lp_turns *turns;
    struct lp_store *st;
    uint64_t oldest; /* reader of the catalog, while the other one waits */
};

static void
run_brief(void *arg)
{
    struct brief *b = arg;
    struct lp_turn turn = {.turns = NULL};
    lp_turn_begin(&turn, b->turns);
    b->oldest = lp_catalog_oldest_reader(lp_store_catalog(b->st));
    lp_turn_end(&turn);
}

/* A search that has to let a shorter one go first holds no transaction meanwhile: files that are merged away
 * could not go, nor could the catalog's map grow. */
static void
waits_without_a_transaction(void)
{
    struct lp_world w;
    struct lp_test_query q;
    struct lp_found f;
    struct lp_turn turn = {.used_ns = 2 * LP_TURN_LONG_NS};
    lp_world_make(&w, 100, LP_MIXED);
    lp_test_query_parse(&q, LP_STR("{}"), true);
    struct brief b = {.turns = lp_turns_new(1), .st = w.st, .oldest = 0};
    struct lp_search s = lp_world_search(&w, &q);
    lp_turn_begin(&turn, b.turns);
    pthread_t t = lp_thread_start("brief", run_brief, &b);
    while (lp_turns_waiting(b.turns) == 0) {
        sched_yield();
    }
    CU_ASSERT_EQUAL_FATAL(lp_search(&s, &f, NULL), LP_OK);
    lp_turn_end(&turn);
    lp_thread_join(t);
    CU_ASSERT_EQUAL(b.oldest, UINT64_MAX);
    CU_ASSERT_EQUAL(f.n, 100);
    lp_found_clear(&f);
    lp_turns_free(b.turns);
    lp_test_query_clear(&q);
    lp_world_close(&w);
}

LP_SUITE(exec, {"finds rows in the head", finds_in_head}, {"finds rows in segments", finds_in_segments},
         {"finds rows in both", finds_in_both}, {"equal times have one order", equal_times_have_one_order},
         {"an interval thins rows", interval_thins_rows}, {"ends when it is told to", ends_when_told},
         {"a full pool goes on", a_full_pool_goes_on},
         {"damage costs its block alone", damage_costs_its_block_alone},
         {"waits without a transaction", waits_without_a_transaction});
