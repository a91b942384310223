/*
 * matcher.h - label matchers compiled once: selectors, and the string filters of pipelines.
 *
 * A regex matches the whole value, with '.' matching newlines too (as Prometheus does). Lists of literals become sets
 * (literals.h). Compiled matchers are immutable and borrow nothing; any number of threads may use them.
 */
#ifndef LP_QUERY_MATCHER_H
#define LP_QUERY_MATCHER_H

#include "base/err.h"
#include "query/ast.h"

struct lp_regex;
struct lp_matchers;

enum lp_matcher_kind {
    LP_MATCHER_SET,   /* the value is one of `values` (one value: equality) */
    LP_MATCHER_REGEX, /* the value matches `regex` as a whole */
};

/* For planners as well: which values can pass, before any label set is looked at. */
struct lp_matcher {
    struct lp_str name;
    enum lp_matcher_kind kind;
    bool negative;          /* passes where the kind's condition does not hold */
    bool passes_empty;      /* a label set without the name passes */
    struct lp_str *values;  /* SET: sorted, without repeats */
    size_t nvalues;
    struct lp_regex *regex; /* REGEX */
    bool every;             /* REGEX: every value matches that is not empty */
    struct lp_str prefix;   /* REGEX: every value that matches begins with it; may be empty */
};

/* Compiles n matchers. LP_ERR_PARSE (a regex; none after lp_logql_parse), LP_ERR_LIMIT. */
lp_rc lp_matchers_new(const struct lp_label_match *list, size_t n, struct lp_matchers **ret,
                      struct lp_err *err) LP_MUST_USE;
void lp_matchers_free(struct lp_matchers *m);

size_t lp_matchers_count(const struct lp_matchers *m);
/* The i-th matcher, in the order given; borrowed from m. */
const struct lp_matcher *lp_matchers_at(const struct lp_matchers *m, size_t i);

/* Does one value pass? A missing label is "". */
bool lp_matcher_value(const struct lp_matcher *m, struct lp_str value);
/* Do all matchers pass on a label set sorted by name (lp_str_cmp)? A missing label is "". */
bool lp_matchers_match(const struct lp_matchers *m, const struct lp_pair *labels, size_t n);

#endif
