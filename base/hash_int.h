/*
 * hash_int.h - inside hash.c and hash_wide.c: xxh3 over long input with AVX2. The values are those of any xxh3.
 */
#ifndef LP_BASE_HASH_INT_H
#define LP_BASE_HASH_INT_H

#include "base/hash.h"

/* Up to this length xxh3 has ways of its own, without vectors. */
#define LP_HASH_SHORT_BYTES 240

/* Whether this processor has what the functions below need. */
bool lp_hash_wide(void);

/* state: an XXH3_state_t, of either file. */
void lp_hash_wide_add(void *state, const void *p, size_t n);
struct lp_hash128 lp_hash_wide_128(const void *p, size_t n);
uint64_t lp_hash_wide_64(const void *p, size_t n);

#endif
