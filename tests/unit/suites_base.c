/*
 * suites_base.c - the suites of unit-base, which links libbase alone.
 */
#include "tests/unit/unit.h"

#define LP_SUITES(X) X(bytes) X(json) X(regex)

#define X(id) extern const struct lp_suite lp_suite_##id;
LP_SUITES(X)
#undef X

const struct lp_suite *const lp_suites[] = {
#define X(id) &lp_suite_##id,
    LP_SUITES(X)
#undef X
        NULL,
};
