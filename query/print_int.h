/*
 * print_int.h - pieces of print.c that the pretty printer uses too. Errors stick in the buffer (buf.h).
 */
#ifndef LP_QUERY_PRINT_INT_H
#define LP_QUERY_PRINT_INT_H

#include "query/print.h"

void lp_print_log(struct lp_buf *out, const struct lp_log_query *log);
void lp_print_stage(struct lp_buf *out, const struct lp_stage *s);
void lp_print_label_filter(struct lp_buf *out, const struct lp_label_filter *f);
/* "| unwrap conv(name)", without its filters */
void lp_print_unwrap(struct lp_buf *out, const struct lp_unwrap *u);
/* " by (a,b)", with `separator` between the names; nothing without grouping */
void lp_print_grouping(struct lp_buf *out, const struct lp_grouping *g, const char *separator);
/* "/ on (a) group_left (b)" */
void lp_print_operator(struct lp_buf *out, const struct lp_binary *b, const char *separator);

#endif
