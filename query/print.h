/*
 * print.h - a syntax tree back to LogQL text, in the spelling Loki uses for the same tree.
 *
 * Both forms parse to an equal tree again. Any thread; the tree is only read.
 */
#ifndef LP_QUERY_PRINT_H
#define LP_QUERY_PRINT_H

#include "base/buf.h"
#include "query/ast.h"

/* The canonical form: one line, operations in brackets. Equal trees print equally, so it may serve as a key. */
bool lp_logql_print(const struct lp_expr *e, struct lp_buf *out);
/* The form for people, as /format_query answers: what is longer than 100 bytes goes over several lines, each level
 * indented by two blanks. */
bool lp_logql_pretty(const struct lp_expr *e, struct lp_buf *out);
/* {a="b", c=~"d"} */
bool lp_logql_print_selector(const struct lp_log_query *log, struct lp_buf *out);

#endif
