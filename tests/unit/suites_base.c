/*
 * suites_base.c - the suites of unit-base, which links libbase alone.
 */
#include "tests/unit/unit.h"

#define LP_SUITES(X)                                                                                         \
    X(err)                                                                                                   \
    X(arena)                                                                                                 \
    X(buf)                                                                                                   \
    X(str)                                                                                                   \
    X(find)                                                                                                  \
    X(bytes)                                                                                                 \
    X(f64)                                                                                                   \
    X(hash)                                                                                                  \
    X(clock)                                                                                                 \
    X(lock)                                                                                                  \
    X(queue)                                                                                                 \
    X(thread)                                                                                                \
    X(metrics)                                                                                               \
    X(io)                                                                                                    \
    X(json)                                                                                                  \
    X(regex)                                                                                                 \
    X(regex_lit)                                                                                             \
    X(regex_engines)                                                                                         \
    X(settings)

#define X(id) extern const struct lp_suite lp_suite_##id;
LP_SUITES(X)
#undef X

const struct lp_suite *const lp_suites[] = {
#define X(id) &lp_suite_##id,
    LP_SUITES(X)
#undef X
        NULL,
};
