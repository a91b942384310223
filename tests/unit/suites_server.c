/*
 * suites_server.c - the suites of unit-server.
 */
#include "tests/unit/unit.h"

#define LP_SUITES(X) X(http_parse) X(http_route) X(http_gzip) X(pack) X(logger) X(ws)

#define X(id) extern const struct lp_suite lp_suite_##id;
LP_SUITES(X)
#undef X

const struct lp_suite *const lp_suites[] = {
#define X(id) &lp_suite_##id,
    LP_SUITES(X)
#undef X
        NULL,
};
