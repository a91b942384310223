/*
 * suites_kube.c - the suites of unit-kube.
 */
#include "tests/unit/unit.h"

#define LP_SUITES(X) X(kube_paths) X(kube_select) X(kube_objects) X(kube_log) X(kube_review)

#define X(id) extern const struct lp_suite lp_suite_##id;
LP_SUITES(X)
#undef X

const struct lp_suite *const lp_suites[] = {
#define X(id) &lp_suite_##id,
    LP_SUITES(X)
#undef X
        NULL,
};
