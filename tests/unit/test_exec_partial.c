/*
 * test_exec_partial.c - searches that end early: what was found until then is an answer where that is asked
 * for, and an error otherwise; other errors stay errors. Oracle: the whole answer.
 */
#include <stdio.h>
#include <string.h>

#include "query/result.h"
#include "tests/unit/exec_fixture.h"

struct early {
    struct lp_world w;
    struct lp_test_query query;
    struct lp_search s;
};

static void
begin(struct early *e, enum lp_layout layout)
{
    lp_world_make(&e->w, 6000, layout);
    lp_test_query_parse(&e->query, LP_STR("{app=~\".+\"} |~ \"gam+a\""), true);
    e->s = lp_world_search(&e->w, &e->query);
    e->s.pool = NULL; /* parts one by one: what is found until then does not depend on the machine */
}

static void
end(struct early *e)
{
    lp_test_query_clear(&e->query);
    lp_world_close(&e->w);
}

static bool
has_gamma(const struct lp_rec *r)
{
    return strstr(r->line, "gamma") != NULL;
}

/* All rows match, in order, each once. */
static bool
is_part_of_answer(const struct early *e, const struct lp_found *f)
{
    uint64_t before = 0, at;
    bool ok = true;
    for (size_t i = 0; i < f->n && ok; i++) {
        struct lp_str rest = f->rows[i].line;
        ok = lp_str_u64(lp_str_cut(&rest, ' '), &at) && at < e->w.n && has_gamma(&e->w.v[at]);
        int order = ok && i > 0 ? lp_rec_cmp(&e->w.v[before], &e->w.v[at]) : -1;
        ok = ok && (i == 0 || (e->s.backward ? order > 0 : order < 0));
        before = at;
    }
    return ok;
}

static void
bytes_that_are_spent_cut(void)
{
    for (int layout = 0; layout < LP_LAYOUTS; layout++) {
        struct early e;
        struct lp_found f;
        struct lp_err err;
        size_t n;
        begin(&e, (enum lp_layout)layout);
        lp_free(lp_world_answer(&e.w, &e.s, has_gamma, &n));
        for (int backward = 0; backward < 2; backward++) {
            e.s.backward = backward != 0;
            e.s.scan_bytes = 20000;
            e.s.grace_ns = 0;
            CU_ASSERT_EQUAL_FATAL(lp_search(&e.s, &f, &err), LP_ERR_LIMIT);
            e.s.grace_ns = 60 * LP_NS_PER_S;
            CU_ASSERT_EQUAL_FATAL(lp_search(&e.s, &f, &err), LP_OK);
            CU_ASSERT(f.n > 0 && f.more);
            CU_ASSERT(f.n < n || layout == LP_HEAD_ONLY); /* which is one part: bytes are counted behind it */
            CU_ASSERT(is_part_of_answer(&e, &f));
            CU_ASSERT_NOT_EQUAL(lp_str_find(lp_str_c(f.cut), LP_STR("reads more than")), SIZE_MAX);
            lp_found_clear(&f);
            e.s.scan_bytes = 1u << 30; /* nothing to cut: nothing is said */
            CU_ASSERT_EQUAL_FATAL(lp_search(&e.s, &f, &err), LP_OK);
            CU_ASSERT(f.n == n && f.cut[0] == 0 && !f.more);
            lp_found_clear(&f);
        }
        end(&e);
    }
}

static void
context_is_left_out_then(void)
{
    struct early e;
    struct lp_found f;
    begin(&e, LP_SEALED);
    e.s.scan_bytes = 20000;
    e.s.grace_ns = 60 * LP_NS_PER_S;
    e.s.context_before = e.s.context_after = 3;
    CU_ASSERT_EQUAL_FATAL(lp_search(&e.s, &f, NULL), LP_OK);
    CU_ASSERT(f.n > 0 && f.used == f.n && is_part_of_answer(&e, &f) && f.cut[0] != 0);
    lp_found_clear(&f);
    end(&e);
}

static void
time_that_is_over_cuts(void)
{
    struct early e;
    struct lp_found f;
    struct lp_buf out;
    begin(&e, LP_MIXED);
    e.s.want_labels = true;
    e.s.deadline_ns = 1;
    CU_ASSERT_EQUAL(lp_search(&e.s, &f, NULL), LP_ERR_TIMEOUT);
    e.s.grace_ns = 60 * LP_NS_PER_S;
    CU_ASSERT_EQUAL_FATAL(lp_search(&e.s, &f, NULL), LP_OK);
    CU_ASSERT(f.n == 0 && lp_str_starts(lp_str_c(f.cut), LP_STR("request timed out")));
    lp_buf_init(&out, 1 << 20);
    CU_ASSERT_EQUAL(lp_result_streams(&f, false, &out, NULL), LP_OK);
    CU_ASSERT(lp_str_starts(lp_buf_view(&out),
                            LP_STR("{\"status\":\"success\",\"warnings\":[\"the answer is not whole, it is "
                                   "what was found until then: request timed out")));
    lp_buf_clear(&out);
    lp_found_clear(&f);
    end(&e);
}

static void
other_errors_stay(void)
{
    struct early e;
    struct lp_found f;
    _Atomic bool gone = true;
    begin(&e, LP_MIXED);
    e.s.grace_ns = 60 * LP_NS_PER_S;
    e.s.cancel = &gone;
    CU_ASSERT_EQUAL(lp_search(&e.s, &f, NULL), LP_ERR_CANCELED);
    e.s.deadline_ns = 1; /* too late, and nobody is there to read it */
    CU_ASSERT_EQUAL(lp_search(&e.s, &f, NULL), LP_ERR_CANCELED);
    e.s.cancel = NULL;
    e.s.deadline_ns = INT64_MAX;
    e.s.budget_bytes = 10000;
    CU_ASSERT_EQUAL(lp_search(&e.s, &f, NULL), LP_ERR_LIMIT);
    end(&e);
}

static void
both_warnings_are_told(void)
{
    struct lp_buf out;
    struct lp_found f = {.n = 0};
    snprintf(f.cut, sizeof(f.cut), "late");
    snprintf(f.damage, sizeof(f.damage), "bad \"block\"");
    f.stats.damaged = 2;
    lp_buf_init(&out, 1 << 20);
    CU_ASSERT_EQUAL(lp_result_streams(&f, false, &out, NULL), LP_OK);
    CU_ASSERT(lp_str_starts(lp_buf_view(&out),
                            LP_STR("{\"status\":\"success\",\"warnings\":[\"the answer is not whole, it is "
                                   "what was found until then: late\",\"2 damaged parts of the store were "
                                   "left out; the first: bad \\\"block\\\"\"],\"data\":")));
    lp_buf_clear(&out);
}

LP_SUITE(exec_partial, {"bytes that are spent cut", bytes_that_are_spent_cut},
         {"context is left out then", context_is_left_out_then},
         {"time that is over cuts", time_that_is_over_cuts}, {"other errors stay", other_errors_stay},
         {"both warnings are told", both_warnings_are_told});
