/*
 * exec_patterns.h - the patterns of the lines of a range, and how many lines each has, step by step.
 *
 * The newest lines of each step are looked at; where a step has more of them than are looked at, they stand for all: counts
 * are exact for steps with few lines, and estimates for others. Threads: as lp_search.
 */
#ifndef LP_QUERY_EXEC_PATTERNS_H
#define LP_QUERY_EXEC_PATTERNS_H

#include "query/exec.h"
#include "query/patterns.h"

struct lp_pattern_query {
    struct lp_search search; /* a selector, and the range; limit and direction are not looked at */
    int64_t step_ns;         /* > 0; where the range has more than LP_PATTERN_STEPS_MAX it is made larger */
    size_t lines;            /* about so many are looked at */
    size_t limit;            /* most patterns */
};
#define LP_PATTERN_STEPS_MAX 250

struct lp_pattern_set {
    const struct lp_pattern *v; /* those with most lines first */
    size_t n;
    int64_t start_ns, step_ns; /* of the steps: multiples of step_ns */
    struct lp_patterns *owned;
};

/* As lp_search. */
lp_rc lp_patterns_find(const struct lp_pattern_query *q, struct lp_pattern_set *ret, struct lp_err *err) LP_MUST_USE;
void lp_pattern_set_clear(struct lp_pattern_set *s);

#endif
