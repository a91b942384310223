/*
 * decimal.h - exact decimal arithmetic: what addf, subf, mulf and divf of templates compute with, so that 0.1 + 0.2 is 0.3.
 *
 * Numbers are immutable and live in the arena that they were made in.
 */
#ifndef LP_QUERY_DECIMAL_H
#define LP_QUERY_DECIMAL_H

#include "base/arena.h"

#define LP_DECIMAL_LIMBS_MAX 512u   /* of nine digits each: sums of the largest and the smallest double fit */
#define LP_DECIMAL_DIV_PLACES 16    /* places behind the point of a quotient, rounded half away from zero */

struct lp_decimal {
    bool negative;
    int32_t exponent;      /* the value is digits * 10^exponent */
    size_t n;              /* limbs; 0: zero */
    const uint32_t *limbs; /* base 10^9, lowest first; the highest is not 0 */
};

/* All return false where the result would be too long or the arena is spent. ret may be a or b. */
/* The shortest decimal that reads back as v, which is finite. */
bool lp_decimal_of(struct lp_arena *ar, double v, struct lp_decimal *ret);
bool lp_decimal_add(struct lp_arena *ar, const struct lp_decimal *a, const struct lp_decimal *b, struct lp_decimal *ret);
bool lp_decimal_mul(struct lp_arena *ar, const struct lp_decimal *a, const struct lp_decimal *b, struct lp_decimal *ret);
/* b is not zero. */
bool lp_decimal_div(struct lp_arena *ar, const struct lp_decimal *a, const struct lp_decimal *b, struct lp_decimal *ret);
/* The nearest double; infinite beyond them. */
bool lp_decimal_f64(struct lp_arena *ar, const struct lp_decimal *d, double *ret);

#endif
