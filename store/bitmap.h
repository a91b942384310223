/*
 * bitmap.h - a bit a row (or a block), in words of 64. Pure; the caller owns the words and knows how many bits there are.
 */
#ifndef LP_STORE_BITMAP_H
#define LP_STORE_BITMAP_H

#include "base/lp.h"

static inline size_t
lp_bits_words(size_t n)
{
    return (n + 63) / 64;
}

static inline bool
lp_bit_has(const uint64_t *v, size_t i)
{
    return (v[i / 64] >> (i % 64) & 1) != 0;
}

static inline void
lp_bit_set(uint64_t *v, size_t i)
{
    v[i / 64] |= UINT64_C(1) << (i % 64);
}

static inline void
lp_bit_clear(uint64_t *v, size_t i)
{
    v[i / 64] &= ~(UINT64_C(1) << (i % 64));
}

#endif
