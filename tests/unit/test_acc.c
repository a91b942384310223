/*
 * test_acc.c - folding samples. Oracle: the definitions, over all samples at once; however they are cut into
 * stretches that are merged, and in whatever order they come.
 */
#include "query/metric_acc.h"

#include <math.h>
#include <stdlib.h>

#include "base/clock.h"
#include "tests/unit/unit.h"

#define SAMPLES 200

static double
by_definition(enum lp_range_op op, const struct lp_sample *v, size_t n)
{
    double sum = 0, squares = 0, least = v[0].v, most = v[0].v;
    for (size_t i = 0; i < n; i++) {
        sum += v[i].v;
        least = fmin(least, v[i].v);
        most = fmax(most, v[i].v);
    }
    for (size_t i = 0; i < n; i++) {
        squares += (v[i].v - sum / (double)n) * (v[i].v - sum / (double)n);
    }
    switch ((int)op) {
    case LP_RANGE_SUM:
        return sum;
    case LP_RANGE_AVG:
        return sum / (double)n;
    case LP_RANGE_MIN:
        return least;
    case LP_RANGE_MAX:
        return most;
    case LP_RANGE_STDVAR:
        return squares / (double)n;
    case LP_RANGE_STDDEV:
        return sqrt(squares / (double)n);
    case LP_RANGE_FIRST:
        return v[0].v;
    case LP_RANGE_LAST:
        return v[n - 1].v;
    default:
        return (double)n;
    }
}

static void
folds_are_what_their_definition_says(void)
{
    static const enum lp_range_op ops[] = {LP_RANGE_SUM,   LP_RANGE_AVG,    LP_RANGE_MIN,
                                           LP_RANGE_MAX,   LP_RANGE_STDVAR, LP_RANGE_STDDEV,
                                           LP_RANGE_FIRST, LP_RANGE_LAST,   LP_RANGE_COUNT};
    uint64_t seed = 11;
    for (unsigned round = 0; round < 200; round++) {
        struct lp_sample v[SAMPLES], mixed[SAMPLES];
        size_t n = 1 + lp_test_below(&seed, SAMPLES), cut = lp_test_below(&seed, (unsigned)n + 1);
        for (size_t i = 0; i < n; i++) { /* many of one time: their order of arrival counts */
            v[i] =
                (struct lp_sample){(int64_t)i / 3, 1, i, (double)lp_test_below(&seed, 1000000) / 7 - 50000};
            mixed[i] = v[i];
        }
        for (size_t i = 0; i < n; i++) { /* inside of each part */
            size_t k = i < cut ? lp_test_below(&seed, (unsigned)cut)
                               : cut + lp_test_below(&seed, (unsigned)(n - cut));
            struct lp_sample other = mixed[k];
            mixed[k] = mixed[i];
            mixed[i] = other;
        }
        for (size_t o = 0; o < LP_ARRAY_LEN(ops); o++) {
            struct lp_acc parts[2] = {{.n = 0}, {.n = 0}};
            const struct lp_range_agg agg = {.op = ops[o], .range.range_ns = LP_NS_PER_S};
            enum lp_acc_kind kind = lp_acc_kind_of(ops[o]);
            for (size_t i = 0; i < n; i++) {
                CU_ASSERT(lp_acc_add(&parts[i >= cut], kind, &mixed[i], NULL));
            }
            lp_acc_merge(&parts[0], kind, &parts[1]);
            double got = lp_acc_value(&parts[0], &agg, true), want = by_definition(ops[o], v, n);
            CU_ASSERT(fabs(got - want) <= 1e-9 * fmax(1, fabs(want)));
        }
    }
}

static void
sums_keep_what_rounding_takes(void)
{
    struct lp_acc a = {.n = 0};
    const struct lp_range_agg agg = {.op = LP_RANGE_SUM, .range.range_ns = LP_NS_PER_S};
    static const double v[] = {1, 1e100, 1, -1e100};
    for (size_t i = 0; i < LP_ARRAY_LEN(v); i++) {
        CU_ASSERT(lp_acc_add(&a, LP_ACC_SUM, &(struct lp_sample){.v = v[i]}, NULL));
    }
    CU_ASSERT_EQUAL(lp_acc_value(&a, &agg, true), 2);
    CU_ASSERT(lp_acc_add(&a, LP_ACC_SUM, &(struct lp_sample){.v = INFINITY}, NULL));
    CU_ASSERT(isinf(lp_acc_value(&a, &agg, true)));
}

static double
list_value(const struct lp_range_agg *agg, const double *values, const int64_t *times, size_t n,
           int64_t end_ns)
{
    struct lp_arena ar;
    struct lp_acc a = {.n = 0};
    struct lp_sample v[SAMPLES];
    lp_arena_init(&ar, 1 << 20, 0);
    for (size_t i = n; i-- > 0;) {
        struct lp_sample s = {times != NULL ? times[i] * LP_NS_PER_S : (int64_t)i, 1, i, values[i]};
        CU_ASSERT(lp_acc_add(&a, LP_ACC_LIST, &s, &ar));
    }
    CU_ASSERT_EQUAL(lp_acc_samples(&a, v), n);
    double got = lp_acc_samples_value(v, n, agg, end_ns);
    lp_arena_clear(&ar);
    return got;
}

static void
quantiles_lie_between_values(void)
{
    static const double v[] = {3, 1, 2, 4};
    static const struct {
        double p, want;
    } cases[] = {{0, 1}, {1, 4}, {0.5, 2.5}, {0.9, 3.7}, {-0.1, -INFINITY}, {1.1, INFINITY}};
    for (size_t i = 0; i < LP_ARRAY_LEN(cases); i++) {
        const struct lp_range_agg agg = {.op = LP_RANGE_QUANTILE, .param = cases[i].p};
        double got = list_value(&agg, v, NULL, LP_ARRAY_LEN(v), 0);
        CU_ASSERT(got == cases[i].want || fabs(got - cases[i].want) < 1e-12);
    }
}

/* Samples every 10 s in a window of 60 s: near both ends it is extrapolated to them, a reset adds what was
 * before. */
static void
a_counters_rate(void)
{
    static const double rising[] = {10, 20, 30, 40, 50, 60}, reset[] = {10, 20, 5, 15, 25, 35};
    static const int64_t times[] = {5, 15, 25, 35, 45, 55};
    const struct lp_range_agg agg = {.op = LP_RANGE_RATE_COUNTER, .range.range_ns = 60 * LP_NS_PER_S};
    CU_ASSERT(fabs(list_value(&agg, rising, times, 6, 60 * LP_NS_PER_S) - 1) < 1e-12);
    CU_ASSERT(fabs(list_value(&agg, reset, times, 6, 60 * LP_NS_PER_S) - 0.9) < 1e-12);
    CU_ASSERT_EQUAL(list_value(&agg, rising, times, 1, 60 * LP_NS_PER_S), 0);
}

LP_SUITE(acc, {"folds are what their definition says", folds_are_what_their_definition_says},
         {"sums keep what rounding takes", sums_keep_what_rounding_takes},
         {"quantiles lie between values", quantiles_lie_between_values},
         {"a counter's rate", a_counters_rate});
