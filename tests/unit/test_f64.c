/*
 * test_f64.c - the shortest digits of doubles. Oracle: printf with ever more digits until they read back as
 * the same value.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/f64.h"
#include "tests/unit/unit.h"

static void
check(double v)
{
    char digits[LP_F64_DIGITS], got[40], want[40];
    int exponent, prec = 0;
    int n = lp_f64_shortest(v, digits, &exponent);
    CU_ASSERT_FATAL(n >= 1 && n <= 17);
    CU_ASSERT(n == 1 || digits[n - 1] != '0');
    do {
        snprintf(want, sizeof(want), "%.*e", prec, fabs(v));
    } while (strtod(want, NULL) != fabs(v) && ++prec < 17);
    snprintf(got, sizeof(got), "%c%s%.*se%c%02d", digits[0], n > 1 ? "." : "", n - 1, digits + 1,
             exponent < 0 ? '-' : '+', abs(exponent));
    CU_ASSERT_STRING_EQUAL(got, want);
}

static void
known_values(void)
{
    static const double values[] = {0,
                                    1,
                                    10,
                                    1e22,
                                    1e23,
                                    0.1,
                                    1.0 / 60,
                                    -2.5,
                                    123456,
                                    5e-324,
                                    1.7976931348623157e308,
                                    9007199254740993.0,
                                    1e-7,
                                    100000};
    for (size_t i = 0; i < LP_ARRAY_LEN(values); i++) {
        check(values[i]);
    }
}

static void
random_values(void)
{
    uint64_t state = 88172645463325252u;
    for (int i = 0; i < 20000; i++) {
        double v;
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        if (i % 2 == 0) {
            memcpy(&v, &state, sizeof(v));
        } else {
            v = (double)(state % 100000) / (double)(1 + state / 100000 % 3600);
        }
        if (isfinite(v)) {
            check(v);
        }
    }
}

LP_SUITE(f64, {"known values", known_values}, {"random values", random_values});
