/*
 * f64.h - doubles as decimal digits. Pure functions.
 */
#ifndef LP_BASE_F64_H
#define LP_BASE_F64_H

#include "base/lp.h"

#ifdef __cplusplus
extern "C" {
#endif

#define LP_F64_DIGITS 24

/*
 * The fewest digits that read back as |v| (finite), of those the nearest, without trailing zeros; returns how many (>= 1, at most 17).
 * |v| = d.ddd * 10^exponent.
 */
int lp_f64_shortest(double v, char out[LP_F64_DIGITS], int *ret_exponent);

#ifdef __cplusplus
}
#endif

#endif
