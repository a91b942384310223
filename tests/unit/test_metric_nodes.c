/*
 * test_metric_nodes.c - what each node of a metric query makes of series, by examples in tables
 * (metric_fixture.h).
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/metric_fixture.h"

struct example {
    const char *query, *a, *b, *want;
};

static void
hold(const struct example *examples, size_t n, bool instant)
{
    struct lp_buf out;
    lp_buf_init(&out, 1 << 20);
    for (size_t i = 0; i < n; i++) {
        const struct example *e = &examples[i];
        lp_tables_set(e->a, e->b);
        lp_table_answer(e->query, instant, &out);
        bool same = lp_str_eqc(lp_buf_view(&out), e->want);
        lp_test_check(same, "another answer came", lp_str_c(e->query));
        if (!same) {
            printf("\nwanted:\n%s\ngot:\n" LP_STR_FMT "\n", e->want, LP_STR_ARG(lp_buf_view(&out)));
        }
    }
    lp_buf_clear(&out);
}

#define HOLD(examples) hold(examples, LP_ARRAY_LEN(examples), false)
#define HOLD_AT_ONCE(examples) hold(examples, LP_ARRAY_LEN(examples), true)

/* ------------------------------------------------------------------ numbers */

static void
numbers_are_the_same_at_all_steps(void)
{
    static const struct example examples[] = {
        {"1.5", ": 0 0 0", "", ": 1.5 1.5 1.5\n"},
        {"vector(2)", ": 0 0 0", "", ": 2 2 2\n"},
        {"vector(1) + vector(1)", ": 0 0", "", ": 2 2\n"},
        {"vector(2) * 3", ": 0 0", "", ": 6 6\n"},
        {"sum(vector(4))", ": 0", "", ": 4\n"},
        {"vector(1) > 2", ": 0", "", ""},
        {"vector(3) > bool 2", ": 0", "", ": 1\n"},
        {"2 < vector(3)", ": 0", "", ": 3\n"},
        {"vector(1) / 0", ": 0", "", ": NaN\n"},
        {"vector(7) % 0", ": 0", "", ": NaN\n"},
        {"vector(2) ^ 1024", ": 0", "", ": inf\n"},
        {"(vector(1) > 2) or vector(5)", ": 0", "", ": 5\n"},
        {"vector(1) and (vector(1) > 2)", ": 0", "", ""},
        {"vector(1) unless (vector(1) > 2)", ": 0", "", ": 1\n"},
        {"vector(1) unless vector(4)", ": 0", "", ""},
        {REPLACE("vector(1)", "a", "x", "", ""), ": 0 0", "", "a=x: 1 1\n"},
    };
    HOLD(examples);
}

static void
numbers_meet_series(void)
{
    static const char a[] = "x=1: 1 _ 4\nx=2: 0 -7 NaN";
    static const struct example examples[] = {
        {A " * 2", a, "", "x=1: 2 _ 8\nx=2: 0 -14 NaN\n"},
        {"10 - " A, a, "", "x=1: 9 _ 6\nx=2: 10 17 NaN\n"},
        {A " / 0", a, "", "x=1: NaN _ NaN\nx=2: NaN NaN NaN\n"},
        {"8 / " A, a, "", "x=1: 8 _ 2\nx=2: NaN -1.14285714 NaN\n"},
        {"9 % " A, a, "", "x=1: 0 _ 1\nx=2: NaN 2 NaN\n"},
        {A " % 4", a, "", "x=1: 1 _ 0\nx=2: 0 -3 NaN\n"},
        {"2 ^ " A, a, "", "x=1: 2 _ 16\nx=2: 1 0.0078125 NaN\n"},
        {A " > 0", a, "", "x=1: 1 _ 4\n"},
        {"0 > " A, a, "", "x=2: _ -7 _\n"}, /* the series' own value stays, on whichever side */
        {A " != 1", a, "", "x=1: _ _ 4\nx=2: 0 -7 NaN\n"},
        {A " == bool 4", a, "", "x=1: 0 _ 1\nx=2: 0 0 0\n"},
        {"0 >= bool " A, a, "", "x=1: 0 _ 0\nx=2: 1 1 0\n"},
        {A " == 99", a, "", ""},
    };
    HOLD(examples);
}

/* ------------------------------------------------------------------ series and series */

static void
equal_labels_match(void)
{
    static const char a[] = "p=1,x=a: 1 2 _\np=2,x=a: 3 _ 5\nx=b: 7 8 9";
    static const char b[] = "x=b: 10 _ 2\np=1,x=a: 2 2 2\nx=c: 1 1 1";
    static const struct example examples[] = {
        {A " + " B, a, b, "p=1,x=a: 3 4 _\nx=b: 17 _ 11\n"},
        {A " - " B, a, b, "p=1,x=a: -1 0 _\nx=b: -3 _ 7\n"},
        {A " / (" B " - 2)", a, b, "p=1,x=a: NaN NaN _\nx=b: 0.875 _ NaN\n"},
        {A " > " B, a, b, "x=b: _ _ 9\n"},
        {A " <= " B, a, b, "p=1,x=a: 1 2 _\nx=b: 7 _ _\n"},
        {A " == bool " B, a, b, "p=1,x=a: 0 1 _\nx=b: 0 _ 0\n"},
        {A " + ignoring (p, nothing) " B, "p=1,x=a: 1 2", "x=a: 5 _\nx=b: 1 1", "x=a: 6 _\n"},
        {A " * on (x) " B, "p=1,x=a: 1 2\nx=b: 3 4", "q=7,x=a: 5 6", "x=a: 5 12\n"},
        {A " + on () " B, "p=1: 1 2", "q=1: 3 4", ": 4 6\n"},
        {A " + on (z) " B, "p=1: 1", "q=1: 3", ": 4\n"}, /* what both lack is equal */
        {A " + on (z) " B, "p=1,z=1: 1", "q=1: 3", ""},
        {A " + " B, "", "x=a: 1", ""},
    };
    HOLD(examples);
}

/* A range is as many instants: series that match at different steps are no more than one at a time. */
static void
steps_match_by_themselves(void)
{
    static const struct example examples[] = {
        {A " + on (x) " B, "p=1,x=a: 1 _ 3\np=2,x=a: _ 2 _", "x=a,q=1: 1 1 _\nx=a,q=2: _ _ 1",
         "x=a: 2 3 4\n"},
        {A " + on (x) group_left (q) " B, "p=1,x=a: 1 1 1\np=2,x=a: 2 _ 2", "q=1,x=a: 1 1 _\nq=2,x=a: _ _ 5",
         "p=1,q=1,x=a: 2 2 _\np=1,q=2,x=a: _ _ 6\np=2,q=1,x=a: 3 _ _\np=2,q=2,x=a: _ _ 7\n"},
        {A " or " B, "x=a: 1 _ _\nx=b: _ _ _", "x=a: 9 9 _\nx=b: 3 _ _", "x=a: 1 9 _\nx=b: 3 _ _\n"},
        {A " or on () vector(0)", "x=a: 1 _ 3", "", "x=a: 1 _ 3\n: _ 0 _\n"},
    };
    HOLD(examples);
}

static void
what_matches_twice_is_refused(void)
{
    static const char right[] = "error: found duplicate series on the right hand-side;many-to-many matching "
                                "not allowed: matching labels must be unique on one side";
    static const char left[] = "error: found duplicate series on the left hand-side;many-to-many matching "
                               "not allowed: matching labels must be unique on one side";
    static const char explicit[] =
        "error: multiple matches for labels: many-to-one matching must be explicit "
        "(group_left/group_right)";
    static const char unique[] =
        "error: multiple matches for labels: grouping labels must ensure unique matches";
    static const char two[] = "p=1,x=a: _ 1\np=2,x=a: 1 2", one[] = "x=a: 5 5";
    static const struct example examples[] = {
        {A " + on (x) " B, two, one, explicit},
        {A " > on (x) " B, two, one, explicit}, /* also where nothing would pass */
        {A " + on (x) " B, one, two, right},
        {A " + on (x) " B, two, "x=b: 1 1", ""}, /* many, but there is no match */
        {A " + on (x) " B, "x=b: 1 1", two, right},
        {A " + on (x) group_left () " B, one, two, right},
        {A " + on (x) group_right () " B, two, one, left},
        {A " + on (x) group_left (p) " B, two, "p=9,x=a: 1 1", unique},
        {A " > on (x) group_left (p) " B, two, "p=9,x=a: 99 99", unique},
        {A " * ignoring (p) group_left () " REPLACE(B, "p", "1", "", ""), two, one,
         "p=1,x=a: _ 5\np=2,x=a: 5 10\n"},
        {REPLACE(A, "p", "1", "", "") " + ignoring (p) group_left () " B, two, one, unique},
    };
    HOLD(examples);
}

static void
labels_come_from_the_one_side(void)
{
    static const char many[] = "p=1,x=a,z=9: 2\np=2,x=a: 3\np=3,x=b: 4",
                      one[] = "v=7,x=a: 10\nv=8,x=b,z=1: 20";
    static const struct example examples[] = {
        {A " / on (x) group_left () " B, many, one, "p=1,x=a,z=9: 0.2\np=2,x=a: 0.3\np=3,x=b: 0.2\n"},
        {A " + on (x) group_left (v, z) " B, many, one, /* what the one side lacks goes */
         "p=1,v=7,x=a: 12\np=2,v=7,x=a: 13\np=3,v=8,x=b,z=1: 24\n"},
        {A " - on (x) group_right (v) " B, one, many,
         "p=1,v=7,x=a,z=9: 8\np=2,v=7,x=a: 7\np=3,v=8,x=b: 16\n"},
        {A " > on (x) group_right (v) " B, one, many,
         "p=1,v=7,x=a,z=9: 10\np=2,v=7,x=a: 10\np=3,v=8,x=b: 20\n"},
        {A " < bool on (x) group_right (v) " B, one, many,
         "p=1,v=7,x=a,z=9: 0\np=2,v=7,x=a: 0\np=3,v=8,x=b: 0\n"},
        {A " + ignoring (p, v, z) group_left (a, v) " B, many, one,
         "p=1,v=7,x=a,z=9: 12\np=2,v=7,x=a: 13\np=3,v=8,x=b: 24\n"},
    };
    HOLD(examples);
}

static void
sets_of_series(void)
{
    static const char a[] = "p=1,x=a: 1 2 _\np=2,x=a: 3 _ NaN\nx=b: 7 8 9",
                      b[] = "x=a: _ 0 0\nx=b: 1 _ _\nx=c: 4 5 6";
    static const struct example examples[] = {
        {A " and " B, a, b, "x=b: 7 _ _\n"},
        {A " and on (x) " B, a, b, "p=1,x=a: _ 2 _\np=2,x=a: _ _ NaN\nx=b: 7 _ _\n"},
        {A " unless on (x) " B, a, b, "p=1,x=a: 1 _ _\np=2,x=a: 3 _ _\nx=b: _ 8 9\n"},
        {A " unless ignoring (p) " B, a, b, "p=1,x=a: 1 _ _\np=2,x=a: 3 _ _\nx=b: _ 8 9\n"},
        {A " or on (x) " B, a, b, "p=1,x=a: 1 2 _\np=2,x=a: 3 _ NaN\nx=b: 7 8 9\nx=c: 4 5 6\n"},
        {A " or " B, a, b, "p=1,x=a: 1 2 _\np=2,x=a: 3 _ NaN\nx=a: _ 0 0\nx=b: 7 8 9\nx=c: 4 5 6\n"},
        {B " or " A, a, b, "p=1,x=a: 1 2 _\np=2,x=a: 3 _ NaN\nx=a: _ 0 0\nx=b: 1 8 9\nx=c: 4 5 6\n"},
        {A " or " B, "x=a: 1", "", "x=a: 1\n"},
        {A " or " B, "", "x=a: 1", "x=a: 1\n"},
        {"sum(" A " or " B ")", "x=a: 1 _", "x=a: 5 6\nx=b: 1 1", ": 2 7\n"},
        {"(" A " or " B ") + " B, "x=a: 1 _", "x=a: 5 6", "x=a: 6 12\n"},
        {"count(" A " or " B " or " A ") unless vector(3)", "x=a: 1 _", "x=b: 5 6", ""},
    };
    HOLD(examples);
}

/* ------------------------------------------------------------------ aggregations */

static void
series_are_aggregated(void)
{
    static const char a[] = "p=1,x=a: 1 _ 4\np=2,x=a: 3 _ 8\nx=b: 10 20 NaN\np=3,x=b: 2 _ 6";
    static const struct example examples[] = {
        {"sum by (x) (" A ")", a, "", "x=a: 4 _ 12\nx=b: 12 20 NaN\n"},
        {"sum by (x) (" A " * 1)", a, "", "x=a: 4 _ 12\nx=b: 12 20 NaN\n"},
        {"sum(" A " * 1)", a, "", ": 16 20 NaN\n"},
        {"sum by (nothing) (" A " * 1)", a, "", ": 16 20 NaN\n"},
        {"sum without (p, nothing) (" A " * 1)", a, "", "x=a: 4 _ 12\nx=b: 12 20 NaN\n"},
        {"sum without () (" A " * 1)", a, "",
         "p=1,x=a: 1 _ 4\np=2,x=a: 3 _ 8\np=3,x=b: 2 _ 6\nx=b: 10 20 NaN\n"},
        {"avg by (x) (" A ")", a, "", "x=a: 2 _ 6\nx=b: 6 20 NaN\n"},
        {"min by (x) (" A ")", a, "", "x=a: 1 _ 4\nx=b: 2 20 6\n"},
        {"max by (x) (" A ")", a, "", "x=a: 3 _ 8\nx=b: 10 20 6\n"},
        {"count by (x) (" A ")", a, "", "x=a: 2 _ 2\nx=b: 2 1 2\n"},
        {"stdvar by (x) (" A ")", a, "", "x=a: 1 _ 4\nx=b: 16 0 NaN\n"},
        {"stddev by (x) (" A ")", a, "", "x=a: 1 _ 2\nx=b: 4 0 NaN\n"},
        {"max(sum by (x) (" A "))", a, "", ": 12 20 12\n"},
        {"count(count by (p) (sum by (p, x) (" A ")))", a, "", ": 4 1 4\n"},
        {"sum(" A " > 5)", a, "", ": 10 20 14\n"},
        {"avg(" A ")", "", "", ""},
        {"max(" A ")", "x=a: NaN\nx=b: NaN", "", ": NaN\n"},
        {"min(" A ")", "x=a: -inf\nx=b: 3", "", ": -inf\n"},
        {"sum(" A ")", "x=a: -inf\nx=b: inf", "", ": NaN\n"},
    };
    HOLD(examples);
}

static void
the_best_are_picked(void)
{
    static const char a[] =
        "p=1,x=a: 1 5 NaN\np=2,x=a: 3 _ 2\np=3,x=a: 2 5 1\np=1,x=b: 10 _ NaN\np=2,x=b: 7 4 NaN";
    static const struct example examples[] = {
        {"topk(2, " A ")", a, "",
         "p=1,x=a: _ 5 _\np=1,x=b: 10 _ _\np=2,x=a: _ _ 2\np=2,x=b: 7 _ _\np=3,x=a: _ 5 1\n"},
        {"topk(1, " A ")", a, "",
         "p=1,x=a: _ 5 _\np=1,x=b: 10 _ _\np=2,x=a: _ _ 2\n"}, /* of equals the first text */
        {"bottomk(1, " A ")", a, "", "p=1,x=a: 1 _ _\np=2,x=b: _ 4 _\np=3,x=a: _ _ 1\n"},
        {"topk by (x) (1, " A ")", a, "",
         "p=1,x=a: _ 5 _\np=1,x=b: 10 _ NaN\np=2,x=a: 3 _ 2\np=2,x=b: _ 4 _\n"},
        {"bottomk without (p) (1, " A ")", a, "",
         "p=1,x=a: 1 5 _\np=1,x=b: _ _ NaN\np=2,x=b: 7 4 _\np=3,x=a: _ _ 1\n"},
        {"topk(9000000000000, " A ")", "x=a: 1\nx=b: 2", "", "x=a: 1\nx=b: 2\n"},
        {"topk(3, " A ")", "", "", ""},
        {"sum(topk(2, " A "))", a, "", ": 17 10 3\n"},
        {"topk(1, topk(2, " A "))", a, "", "p=1,x=a: _ 5 _\np=1,x=b: 10 _ _\np=2,x=a: _ _ 2\n"},
        {"approx_topk(1, " A ")", a, "", "error: approx_topk is only supported on instant queries"},
    };
    HOLD(examples);
}

/* topk against sorting, for many sizes. */
static void
the_best_are_the_best(void)
{
    struct lp_buf table, out;
    uint64_t seed = 7;
    lp_buf_init(&table, 1 << 20);
    lp_buf_init(&out, 1 << 20);
    for (unsigned n = 1; n < 90; n++) {
        unsigned count[40] = {0}, k = 1 + lp_test_below(&seed, n + 3), left = k;
        char query[80];
        double want = 0;
        lp_buf_reset(&table);
        for (unsigned i = 0; i < n; i++) {
            unsigned v = lp_test_below(&seed, 40);
            count[v]++;
            lp_buf_printf(&table, "%sx=%u: %u", i > 0 ? "\n" : "", i, v);
        }
        lp_buf_byte(&table, 0);
        for (unsigned at = 0; at < 40; at++) {
            unsigned v = n % 2 ? 39 - at : at, took = LP_MIN(left, count[v]);
            want += took * v;
            left -= took;
        }
        snprintf(query, sizeof(query), "sum(%s(%u, " A "))", n % 2 ? "topk" : "bottomk", k);
        lp_tables_set(table.p, "");
        lp_table_answer(query, false, &out);
        CU_ASSERT_EQUAL(strtod(out.p + 1, NULL), want);
    }
    lp_buf_clear(&table);
    lp_buf_clear(&out);
}

static void
instants_have_an_order(void)
{
    static const char a[] = "x=a: 2\nx=b: NaN\nx=c: 1\nx=d: 2\nx=e: 3";
    static const struct example examples[] = {
        {"sort(" A ")", a, "", "x=c: 1\nx=a: 2\nx=d: 2\nx=e: 3\nx=b: NaN\n"},
        {"sort_desc(" A ")", a, "", "x=e: 3\nx=a: 2\nx=d: 2\nx=c: 1\nx=b: NaN\n"},
        {"sort_desc(" A ") * 2 > 2", a, "", "x=e: 6\nx=a: 4\nx=d: 4\n"},
        {"sort(topk(2, " A "))", a, "", "x=a: 2\nx=e: 3\n"},
        {"sort(" A ") and " B, a, "x=e: 1\nx=c: 1", "x=c: 1\nx=e: 3\n"},
        {"sum by (x) (sort_desc(" A "))", a, "", "x=a: 2\nx=b: NaN\nx=c: 1\nx=d: 2\nx=e: 3\n"},
        {REPLACE("sort(" A ")", "x", "z", "x", "c"), a, "", "x=z: 1\nx=a: 2\nx=d: 2\nx=e: 3\nx=b: NaN\n"},
        {REPLACE("sort(" A ")", "x", "a", "x", "c"), a, "",
         "error: the answer would have several series with the labels {x=\"a\"}: label_replace must leave "
         "them "
         "different, or an aggregation must follow it"},
        {REPLACE("sort_desc(" A ")", "x", "z", "x", ".") " > 2", a, "", "x=z: 3\n"},
        {"approx_topk(2, " A ")", a, "", "x=a: 2\nx=e: 3\n"},
        {"sort_desc(" A " or " B ")", "x=a: 1\nx=b: 5", "x=c: 3\nx=a: 9", "x=b: 5\nx=c: 3\nx=a: 1\n"},
    };
    static const struct example ranges[] = {
        {"sort_desc(" A ")", "x=a: 1\nx=b: 2", "", "x=a: 1\nx=b: 2\n"},
    };
    HOLD_AT_ONCE(examples);
    HOLD(ranges);
}

/* ------------------------------------------------------------------ label_replace */

static void
labels_are_replaced(void)
{
    static const char a[] = "a=1,p=api-7: 1\nb=2,p=db: 2";
    static const struct example examples[] = {
        {REPLACE(A, "x", "$1", "p", "(.)(.).*"), a, "", "a=1,p=api-7,x=a: 1\nb=2,p=db,x=d: 2\n"},
        {REPLACE(A, "x", "$2-$1-$0", "p", "(.)(.).*"), a, "",
         "a=1,p=api-7,x=p-a-api-7: 1\nb=2,p=db,x=b-d-db: 2\n"},
        {REPLACE(A, "x", "${1}0", "p", "(.).*"), a, "", "a=1,p=api-7,x=a0: 1\nb=2,p=db,x=d0: 2\n"},
        {REPLACE(A, "x", "$10", "p", "(.).*"), a, "", "a=1,p=api-7: 1\nb=2,p=db: 2\n"}, /* the tenth group */
        {REPLACE(A, "x", "$01", "p", "(.).*"), a, "", "a=1,p=api-7: 1\nb=2,p=db: 2\n"}, /* no number */
        {REPLACE(A, "x", "${n}_", "p", "(?P<n>.).*"), a, "", "a=1,p=api-7,x=a_: 1\nb=2,p=db,x=d_: 2\n"},
        {REPLACE(A, "x", "$n_", "p", "(?P<n>.).*"), a, "", "a=1,p=api-7: 1\nb=2,p=db: 2\n"}, /* group n_ */
        {REPLACE(A, "x", "$n/$$1 $ ${ ${n $-", "p", "(?P<n>d).*"), a, "",
         "a=1,p=api-7: 1\nb=2,p=db,x=d/$1 $ ${ ${n $-: 2\n"},
        {REPLACE(A, "x", "<$1|$2>", "p", "(api)?.*(q)?"), a, "",
         "a=1,p=api-7,x=<api|>: 1\nb=2,p=db,x=<|>: 2\n"},
        {REPLACE(A, "x", "y", "p", "api"), a, "", "a=1,p=api-7: 1\nb=2,p=db: 2\n"}, /* the whole value */
        {REPLACE(A, "x", "y", "p", "api|db"), a, "", "a=1,p=api-7: 1\nb=2,p=db,x=y: 2\n"},
        {REPLACE(A, "x", "y", "none", "(.+)"), a, "", "a=1,p=api-7: 1\nb=2,p=db: 2\n"},
        {REPLACE(A, "x", "y", "none", ""), a, "", "a=1,p=api-7,x=y: 1\nb=2,p=db,x=y: 2\n"},
        {REPLACE(A, "p", "", "p", "d.*"), a, "", "a=1,p=api-7: 1\nb=2: 2\n"}, /* nothing is no label */
        {REPLACE(A, "p", "$1", "p", "(.*)-.*"), a, "", "a=1,p=api: 1\nb=2,p=db: 2\n"},
        {REPLACE(A, "0", "z", "p", ".*"), a, "",
         "0=z,a=1,p=api-7: 1\n0=z,b=2,p=db: 2\n"}, /* goes to its place */
        {REPLACE(REPLACE(A, "y", "$1", "p", "(.).*"), "z", "$1", "y", "(a)"), a, "",
         "a=1,p=api-7,y=a,z=a: 1\nb=2,p=db,y=d: 2\n"},
        {"sum by (k) (" REPLACE(A, "k", "$1", "p", "(.).*") ")", "p=a1: 1\np=a2: 2\np=b: 4", "",
         "k=a: 3\nk=b: 4\n"},
        {"max by (p) (" REPLACE(A, "p", "$1", "p", "(.).*") ")", "p=a1: 1\np=a2: 2\np=b: 4", "",
         "p=a: 2\np=b: 4\n"},
    };
    HOLD(examples);
}

static void
replaced_labels_may_meet(void)
{
    static const char equal[] =
        "error: the answer would have several series with the labels {p=\"x\"}: label_replace "
        "must leave them different, or an aggregation must follow it";
    static const struct example examples[] = {
        {REPLACE(A, "p", "x", "p", ".*"), "p=a: 1 _\np=b: _ 2", "",
         "p=x: 1 2\n"}, /* never at the same step */
        {REPLACE(A, "p", "x", "p", ".*"), "p=a: 1 _ _\np=b: _ 2 _\np=c: _ _ 3", "", "p=x: 1 2 3\n"},
        {REPLACE(A, "p", "x", "p", ".*"), "p=a: 1 1\np=b: _ 2", "", equal},
        {REPLACE(A, "p", "x", "p", "a"), "p=a: 1 1\np=x: _ 2", "", equal},
        {REPLACE(A, "p", "x", "p", ".*") " > 1", "p=a: 1 1\np=b: _ 2", "", "p=x: _ 2\n"},
        {"topk(1, " REPLACE(A, "p", "x", "p", ".*") ")", "p=a: 1 3\np=b: _ 2", "", "p=x: 1 3\n"},
        {REPLACE(A, "p", "x", "p", ".*") " + " B, "p=a: 1 1\np=b: _ 2", "p=x: 1 1",
         "error: multiple matches for labels: many-to-one matching must be explicit "
         "(group_left/group_right)"},
        {REPLACE(A, "p", "x", "p", ".*") " + " B, "p=a: 1 _\np=b: _ 2", "p=x: 1 1", "p=x: 2 3\n"},
    };
    HOLD(examples);
}

static void
label_replace_has_limits(void)
{
    struct lp_buf query, out;
    lp_buf_init(&query, 1 << 20);
    lp_buf_init(&out, 1 << 20);
    lp_tables_set("p=aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa: 1", "");
    lp_buf_c(&query, "label_replace(" A ", \"x\", \"");
    for (int i = 0; i < 30000; i++) {
        lp_buf_c(&query, "$0");
    }
    lp_buf_add(&query, "\", \"p\", \".*\")", sizeof("\", \"p\", \".*\")"));
    lp_table_answer(query.p, false, &out);
    CU_ASSERT(lp_str_eqc(lp_buf_view(&out), "error: label_replace makes a label longer than 1048576 bytes"));
    lp_buf_reset(&query);
    lp_buf_c(&query, "label_replace(" A ", \"x\", \"$1\", \"p\", \"");
    for (int i = 0; i < 17; i++) {
        lp_buf_c(&query, "(a)");
    }
    lp_buf_add(&query, "\")", sizeof("\")"));
    lp_table_answer(query.p, false, &out);
    CU_ASSERT(lp_str_eqc(lp_buf_view(&out),
                         "error: the regular expression of label_replace has more than 16 groups"));
    lp_buf_clear(&query);
    lp_buf_clear(&out);
}

LP_SUITE(metric_nodes, {"numbers are the same at all steps", numbers_are_the_same_at_all_steps},
         {"numbers meet series", numbers_meet_series}, {"equal labels match", equal_labels_match},
         {"steps match by themselves", steps_match_by_themselves},
         {"what matches twice is refused", what_matches_twice_is_refused},
         {"labels come from the one side", labels_come_from_the_one_side}, {"sets of series", sets_of_series},
         {"series are aggregated", series_are_aggregated}, {"the best are picked", the_best_are_picked},
         {"the best are the best", the_best_are_the_best}, {"instants have an order", instants_have_an_order},
         {"labels are replaced", labels_are_replaced}, {"replaced labels may meet", replaced_labels_may_meet},
         {"label_replace has limits", label_replace_has_limits});
