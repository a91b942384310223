/*
 * linefilter.h - a chain of line filters (|= != |~ !~ |> !>, with `or` and ip()) compiled into one test of a line.
 *
 * Filters commute, so the cheap ones go first, whatever order they were written in: byte searches, patterns, addresses,
 * regexes. A regex is run only on lines that hold the literals it requires. Lines are any bytes; a regex sees bad UTF-8
 * as U+FFFD. Compiled filters are immutable and borrow nothing; any number of threads may use them.
 */
#ifndef LP_QUERY_LINEFILTER_H
#define LP_QUERY_LINEFILTER_H

#include "base/err.h"
#include "query/ast.h"
#include "store/linepred.h"

struct lp_linefilter;

/* How many stages from the first are line filters: such a run can be compiled together. */
size_t lp_linefilter_run(const struct lp_stage *stages, size_t n);

/* Compiles n stages, all of them line filters; n == 0 passes every line. LP_ERR_PARSE (none after lp_logql_parse),
 * LP_ERR_LIMIT. */
lp_rc lp_linefilter_new(const struct lp_stage *stages, size_t n, struct lp_linefilter **ret,
                        struct lp_err *err) LP_MUST_USE;
void lp_linefilter_free(struct lp_linefilter *f);

bool lp_linefilter_match(const struct lp_linefilter *f, struct lp_str line);

/* Known without looking at a line: every one passes, or none does. */
bool lp_linefilter_passes_all(const struct lp_linefilter *f);
bool lp_linefilter_passes_none(const struct lp_linefilter *f);

/*
 * The chain as far as literals tell it: a line that lp_linefilter_match passes is never a no, and one that it does not pass
 * never a yes. Exact where each filter is a search for literals (at most 64 for one filter, and 32 filters). Borrowed from f.
 */
const struct lp_linepred *lp_linefilter_pred(const struct lp_linefilter *f);

#endif
