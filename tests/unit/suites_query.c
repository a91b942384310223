/*
 * suites_query.c - the suites of unit-query, which links libquery, libstore and libbase.
 */
#include "tests/unit/unit.h"

#define LP_SUITES(X)                                                                                         \
    X(logql_text)                                                                                            \
    X(logql_parse)                                                                                           \
    X(logql_print)                                                                                           \
    X(logql_match)                                                                                           \
    X(logql_random)                                                                                          \
    X(exec)                                                                                                  \
    X(exec_find) X(exec_filters) X(exec_places) X(exec_context) X(exec_partial) X(exec_result) X(select) X(metric) X(metric_nodes)           \
        X(metric_tree) X(turn) X(tail) X(podlog) X(pods) X(fields) X(pipe) X(acc) X(excerpt) X(level) X(patterns) X(detect)            \
            X(template_query) X(template_funcs) X(gotime) X(decimal)

#define X(id) extern const struct lp_suite lp_suite_##id;
LP_SUITES(X)
#undef X

const struct lp_suite *const lp_suites[] = {
#define X(id) &lp_suite_##id,
    LP_SUITES(X)
#undef X
        NULL,
};
