/*
 * test_decimal.c - decimals and Go's numbers. Oracle: 128-bit integers, and identities that hold of any
 * numbers.
 */
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "query/decimal.h"
#include "query/gonum.h"
#include "tests/unit/unit.h"

static uint64_t seed = 42;

static double
f64_of(struct lp_arena *ar, const struct lp_decimal *d)
{
    double v = NAN;
    CU_ASSERT(lp_decimal_f64(ar, d, &v));
    return v;
}

static void
sums_and_products(void)
{
    static const struct {
        double a, b, sum, difference, product, quotient;
    } cases[] = {
        {0.1, 0.2, 0.3, -0.1, 0.02, 0.5},
        {1.1, 1.1, 2.2, 0, 1.21, 1},
        {-2, 3, 1, -5, -6, -0.6666666666666667},
        {1e300, 1e-300, 1e300, 1e300, 1, INFINITY},
        {0, 7, 7, -7, 0, 0},
        {1, 3, 4, -2, 3, 0.3333333333333333},
        {1, 3e20, 3e20, -3e20, 3e20, 0},
        {1e22, 7, 1e22 + 7, 1e22 - 7, 7e22, 1e22 / 7},
    };
    for (size_t i = 0; i < LP_ARRAY_LEN(cases); i++) {
        struct lp_arena ar;
        struct lp_decimal a, b, minus, v;
        lp_arena_init(&ar, 1u << 20, 0);
        CU_ASSERT(lp_decimal_of(&ar, cases[i].a, &a) && lp_decimal_of(&ar, cases[i].b, &b));
        minus = b;
        minus.negative = !b.negative;
        CU_ASSERT(lp_decimal_add(&ar, &a, &b, &v) && f64_of(&ar, &v) == cases[i].sum);
        CU_ASSERT(lp_decimal_add(&ar, &a, &minus, &v) && f64_of(&ar, &v) == cases[i].difference);
        CU_ASSERT(lp_decimal_mul(&ar, &a, &b, &v) && f64_of(&ar, &v) == cases[i].product);
        CU_ASSERT(lp_decimal_div(&ar, &a, &b, &v) && f64_of(&ar, &v) == cases[i].quotient);
        lp_arena_clear(&ar);
    }
}

/* A whole number below 2^53. */
static int64_t
whole(void)
{
    int64_t v = (int64_t)lp_test_below(&seed, 1u << 26) << 26 | lp_test_below(&seed, 1u << 26);
    v >>= lp_test_below(&seed, 52);
    return lp_test_below(&seed, 2) ? v : -v;
}

/* The decimal as a 128-bit number of 10^-16. */
static __int128
scaled(const struct lp_decimal *d)
{
    __int128 v = 0;
    for (size_t i = d->n; i-- > 0;) {
        v = v * 1000000000 + d->limbs[i];
    }
    for (int32_t e = d->exponent + 16; e > 0 && v != 0; e--) {
        v *= 10;
    }
    return d->negative ? -v : v;
}

static void
random_quotients(void)
{
    __int128 unit = (__int128)100000000 * 100000000;
    for (int i = 0; i < 20000; i++) {
        struct lp_arena ar;
        struct lp_decimal a, b, v;
        int64_t x = whole(), y = whole();
        if (y == 0) {
            continue;
        }
        lp_arena_init(&ar, 1u << 20, 0);
        CU_ASSERT_FATAL(lp_decimal_of(&ar, (double)x, &a) && lp_decimal_of(&ar, (double)y, &b));
        CU_ASSERT_FATAL(lp_decimal_div(&ar, &a, &b, &v));
        __int128 whole_part = (__int128)x * unit / y, rest = (__int128)x * unit % y;
        __int128 twice = 2 * (rest < 0 ? -rest : rest), size = y < 0 ? -(__int128)y : y;
        whole_part += twice >= size ? ((x < 0) != (y < 0) ? -1 : 1) : 0;
        CU_ASSERT(scaled(&v) == whole_part);
        lp_arena_clear(&ar);
    }
}

/* (a * b) / b is a, and (a + b) - b too, for numbers of many limbs. */
static void
identities(void)
{
    for (int i = 0; i < 3000; i++) {
        struct lp_arena ar;
        struct lp_decimal a, b, v, x;
        lp_arena_init(&ar, 1u << 20, 0);
        CU_ASSERT_FATAL(lp_decimal_of(&ar, (double)whole() * pow(10, lp_test_below(&seed, 60)), &a));
        CU_ASSERT_FATAL(lp_decimal_of(&ar, (double)whole() + 1e17, &b));
        for (unsigned k = lp_test_below(&seed, 6); k > 0; k--) {
            CU_ASSERT_FATAL(lp_decimal_of(&ar, (double)whole() + 1e16, &x));
            CU_ASSERT_FATAL(lp_decimal_mul(&ar, &b, &x, &v));
            b = v;
        }
        CU_ASSERT(lp_decimal_mul(&ar, &a, &b, &v) && lp_decimal_div(&ar, &v, &b, &x));
        CU_ASSERT_EQUAL(f64_of(&ar, &x), f64_of(&ar, &a));
        CU_ASSERT(lp_decimal_add(&ar, &a, &b, &v));
        b.negative = !b.negative;
        CU_ASSERT(lp_decimal_add(&ar, &v, &b, &x));
        CU_ASSERT_EQUAL(f64_of(&ar, &x), f64_of(&ar, &a));
        lp_arena_clear(&ar);
    }
}

static void
decimals_are_bounded(void)
{
    struct lp_arena ar;
    struct lp_decimal v, b;
    bool fits = true;
    lp_arena_init(&ar, 8u << 20, 0);
    CU_ASSERT(lp_decimal_of(&ar, DBL_MAX, &v) && lp_decimal_of(&ar, DBL_MAX, &b));
    int n = 0;
    for (; fits && n < 100000; n++) {
        fits = lp_decimal_mul(&ar, &v, &b, &v);
    }
    CU_ASSERT(!fits && n > 100);
    lp_arena_clear(&ar);
    lp_arena_init(&ar, 8, 0);
    CU_ASSERT_FALSE(lp_decimal_of(&ar, 1, &v));
    lp_arena_clear(&ar);
}

static void
go_ints(void)
{
    static const struct {
        const char *text;
        int64_t v;
    } good[] = {
        {"0", 0},
        {"-0", 0},
        {"12", 12},
        {"+5", 5},
        {"0x1F", 31},
        {"017", 15},
        {"0o17", 15},
        {"0b11", 3},
        {"1_000", 1000},
        {"0x_f", 15},
        {"0_7", 7},
        {"-0xff", -255},
        {"9223372036854775807", INT64_MAX},
        {"-9223372036854775808", INT64_MIN},
    };
    static const char *const bad[] = {"",
                                      "-",
                                      "08",
                                      "0x",
                                      "1_",
                                      "_1",
                                      "1__0",
                                      "0b2",
                                      "1.0",
                                      "9223372036854775808",
                                      " 1",
                                      "0xg",
                                      "1e3",
                                      "--1",
                                      "-+1",
                                      "0x_",
                                      "a",
                                      "0o8",
                                      "-9223372036854775809"};
    int64_t v;
    for (size_t i = 0; i < LP_ARRAY_LEN(good); i++) {
        CU_ASSERT(lp_go_int(lp_str_c(good[i].text), &v) && v == good[i].v);
    }
    for (size_t i = 0; i < LP_ARRAY_LEN(bad); i++) {
        CU_ASSERT_FALSE(lp_go_int(lp_str_c(bad[i]), &v));
    }
}

static void
go_floats(void)
{
    static const struct {
        const char *text;
        double v;
    } good[] = {
        {"1", 1},           {".5", 0.5},   {"5.", 5},       {"1e3", 1000},     {"-2.5E-1", -0.25},
        {"0x1p-2", 0.25},   {"0X.8P1", 1}, {"1_0.5", 10.5}, {"inf", INFINITY}, {"-Infinity", -INFINITY},
        {"+Inf", INFINITY}, {"0x_1p4", 16}};
    static const char *const bad[] = {"",    ".",  "e1",  "1e",   "1e400", "0x1", "1__0", "1_",  "_1",
                                      "1.e", "1 ", "--1", "infi", "0xp1",  "1e+", "1_.5", "1._5"};
    double v;
    for (size_t i = 0; i < LP_ARRAY_LEN(good); i++) {
        CU_ASSERT(lp_go_float(lp_str_c(good[i].text), &v) && v == good[i].v);
    }
    for (size_t i = 0; i < LP_ARRAY_LEN(bad); i++) {
        CU_ASSERT_FALSE(lp_go_float(lp_str_c(bad[i]), &v));
    }
    CU_ASSERT(lp_go_float(LP_STR("NaN"), &v) && isnan(v));
}

LP_SUITE(decimal, {"sums and products", sums_and_products}, {"random quotients", random_quotients},
         {"identities", identities}, {"decimals are bounded", decimals_are_bounded}, {"Go's ints", go_ints},
         {"Go's floats", go_floats});
