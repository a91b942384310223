/*
 * suites_client.c - the suites of unit-client.
 */
#include "tests/unit/unit.h"

#define LP_SUITES(X) X(client) X(push_lines) X(push_records) X(push_find) X(query_text) X(chart) X(text_ui) X(logs)

#define X(id) extern const struct lp_suite lp_suite_##id;
LP_SUITES(X)
#undef X

const struct lp_suite *const lp_suites[] = {
#define X(id) &lp_suite_##id,
    LP_SUITES(X)
#undef X
        NULL,
};
