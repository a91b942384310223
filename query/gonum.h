/*
 * gonum.h - numbers as Go reads them in its own source and in strconv: bases by prefix, '_' between digits. Pure functions.
 */
#ifndef LP_QUERY_GONUM_H
#define LP_QUERY_GONUM_H

#include "base/str.h"

/* 12, -0x1f, 0b11, 0o17, 017 (octal), 1_000; the whole slice. False on anything else, and out of range. */
bool lp_go_int(struct lp_str s, int64_t *ret);
/* As above, without a sign. */
bool lp_go_uint(struct lp_str s, uint64_t *ret);
/* 1.5, .5, 1e3, 0x1p-2, 1_000.5, inf, infinity, nan with a sign or none. False on anything else, and beyond the largest double. */
bool lp_go_float(struct lp_str s, double *ret);

#endif
