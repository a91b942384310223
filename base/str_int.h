/*
 * str_int.h - what text in base/ shares: between str.c and json.cc, where simdjson is; digits.
 */
#ifndef LP_BASE_STR_INT_H
#define LP_BASE_STR_INT_H

#include "base/bytes.h"

#ifdef __cplusplus
extern "C" {
#endif

/* As lp_utf8_valid, by simdjson: for longer pieces that are not ASCII. */
bool lp_utf8_valid_vector(struct lp_str s);

/* The number of eight decimal digits at p; false when they are not all digits. All at once: neighbours to pairs, fours, eight. */
static inline bool
lp_eight_digits(const char *p, uint32_t *ret)
{
    const uint64_t zeros = UINT64_C(0x3030303030303030), high = UINT64_C(0x8080808080808080);
    uint64_t v = lp_get_u64(p);
    if (((v | (v + UINT64_C(0x4646464646464646)) | (v - zeros)) & high) != 0) {
        return false;
    }
    v -= zeros;
    v = v * 10 + (v >> 8);
    v = (v & UINT64_C(0x00ff00ff00ff00ff)) * 100 + ((v >> 16) & UINT64_C(0x00ff00ff00ff00ff));
    v = (v & UINT64_C(0x0000ffff0000ffff)) * 10000 + ((v >> 32) & UINT64_C(0x0000ffff0000ffff));
    *ret = (uint32_t)v;
    return true;
}

#ifdef __cplusplus
}
#endif

#endif
