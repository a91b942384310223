/*
 * find.h - searching bytes for bytes.
 *
 * Any bytes, any lengths; a needle of no bytes is at 0. Nothing outside the two slices is read. With AVX2 or AVX-512 where
 * the processor has them, chosen at the first call. Pure functions, any thread.
 */
#ifndef LP_BASE_FIND_H
#define LP_BASE_FIND_H

#include "base/str.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The first place; SIZE_MAX when there is none. Time is linear in both lengths. */
size_t lp_find(struct lp_str hay, struct lp_str needle);
/*
 * The same with ASCII letters of either case; the needle's are lower case. Bytes from 0x80 on stand for themselves. Time is
 * bounded by the product of the lengths, so needles from outside should be short.
 */
size_t lp_find_icase(struct lp_str hay, struct lp_str needle);
/* Are all bytes below 0x80? */
bool lp_all_ascii(struct lp_str s);

#ifdef __cplusplus
}
#endif

#endif
