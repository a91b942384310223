/*
 * metric_fixture.h - series made by hand in the place of leaves, for tests of the nodes of metric queries.
 *
 * A leaf that selects {t="a"} gives the series of table a, {t="b"} those of table b, and {t="x"} an error. A table has a line for each series:
 * its labels, a colon, and what it has at each step, `_` for nothing: "x=1,y=2: 7 _ NaN".
 */
#ifndef LP_UNIT_METRIC_FIXTURE_H
#define LP_UNIT_METRIC_FIXTURE_H

#include "query/metric_int.h"
#include "tests/unit/test_logql.h"

/* Parts of query texts. */
#define A "rate({t=\"a\"}[1m])"
#define B "rate({t=\"b\"}[1m])"
#define REPLACE(of, dst, with, src, regex)                                                      \
    "label_replace(" of ", \"" dst "\", \"" with "\", \"" src "\", \"" regex "\")"

/* Borrowed until the next call. */
void lp_tables_set(const char *a, const char *b);
/* The steps of the tables; one where both are empty. */
size_t lp_tables_steps(void);
/* Leaves evaluated since the tables were set. */
size_t lp_tables_leaves(void);
/* The next word of a line, which is cut off. */
struct lp_str lp_table_word(struct lp_str *rest);

/* In the place of lp_metric_range. It has looked at one line, and table b is damaged. */
lp_metric_leaf lp_table_leaf;
/* With steps a minute apart from the first minute on, and 1 MiB of memory. */
struct lp_metric_query lp_table_query(const struct lp_test_query *parsed, size_t steps);
/* The answer in the form of a table, each line with its newline; or "error: ..." */
void lp_table_answer(const char *query, bool instant, struct lp_buf *out);

#endif
