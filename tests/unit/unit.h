/*
 * unit.h - how unit tests register. Each tests/unit/test_<module>.c defines one suite; each layer's program (unit-base,
 * unit-store, ...) links harness.c and one list of suites, and only the libraries of its layer and those below.
 *
 *   static void adds_up(void) { CU_ASSERT_EQUAL(1 + 1, 2); }
 *   LP_SUITE(example, {"adds up", adds_up});
 */
#ifndef LP_UNIT_H
#define LP_UNIT_H

#include "base/lp.h"

#include <CUnit/Basic.h>

struct lp_test {
    const char *name;
    void (*fn)(void);
};

struct lp_suite {
    const char *name;
    const struct lp_test *tests;
    size_t ntests;
};

#define LP_SUITE(id, ...)                                                                       \
    static const struct lp_test id##_tests[] = {__VA_ARGS__};                                   \
    const struct lp_suite lp_suite_##id = {#id, id##_tests, LP_ARRAY_LEN(id##_tests)}

/* A struct lp_pair of literals, as an initializer. */
#define LP_TEST_PAIR(name, value)                                                               \
    {                                                                                           \
        {name, sizeof(name) - 1},                                                               \
        {                                                                                       \
            value, sizeof(value) - 1                                                            \
        }                                                                                       \
    }

/* The program's suites, NULL at the end; defined in tests/unit/suites_<layer>.c. */
extern const struct lp_suite *const lp_suites[];

/* A number below n by xorshift; the seed is not 0. The same everywhere: some tests count on what their seed makes. */
static inline unsigned
lp_test_below(uint64_t *seed, unsigned n)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    return (unsigned)(*seed >> 33) % n;
}

/* A fresh folder for this test under $TMPDIR or /tmp, removed with all content at exit. Static buffer, until the next call. */
const char *lp_test_dir(void);
/* The folder tests/data of the source tree ($LP_TEST_DATA, set by make). */
const char *lp_test_data(void);

#endif
