/*
 * excerpt.h - a line cut down to what a query's parser will find in it, without making the line.
 *
 * Lines of a table (schema.h) have one shape: quotes, brackets, colons and blanks are the same in all of them, only tokens between them differ. So where a key and its
 * value stand is known once for the table, and of a row only the cells of the values that are needed are read: {"status":502}. Where that cannot be
 * told (a key that differs from row to row, JSON that breaks, a value that may be no number), there is none, and the whole line is read.
 */
#ifndef LP_QUERY_EXCERPT_H
#define LP_QUERY_EXCERPT_H

#include "query/pipe.h"
#include "store/view.h"

/* Excerpts of the tables of one part, made as they are met. One thread. */
struct lp_excerpts;

/* NULL: the program needs whole lines. */
struct lp_excerpts *lp_excerpts_new(const struct lp_pipe_prog *prog);
/* NULL is fine. */
void lp_excerpts_free(struct lp_excerpts *x);
/* Another part begins: its tables are others. */
void lp_excerpts_begin(struct lp_excerpts *x);
/* The excerpt of the row that the scan is at, until the next call; p NULL: there is none. */
lp_rc lp_excerpts_line(struct lp_excerpts *x, struct lp_scan *s, struct lp_str *ret, struct lp_err *err) LP_MUST_USE;

#endif
