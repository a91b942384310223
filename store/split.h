/*
 * split.h - cuts a line into tokens and the separators between them: the ground of shapes (FORMAT.md section 2.4).
 *
 * A token is a maximal run of token bytes: [A-Za-z0-9_] and every byte >= 0x80. Pure; any thread. Lines and literals are cut
 * by the same function, which is what makes the search on compressed blocks exact.
 */
#ifndef LP_STORE_SPLIT_H
#define LP_STORE_SPLIT_H

#include "base/str.h"

#define LP_SPLIT_PAD 64       /* bytes behind the text that must be readable; what is in them does not matter */
#define LP_SPLIT_BYTES 65535u /* longer text is not cut */

static inline bool
lp_is_token_byte(uint8_t c)
{
    return c >= 0x80 || c == '_' || (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z');
}

/*
 * Writes where the tokens of p[0, n) begin and end: edges[0] is the first byte of the first token, edges[1] the byte behind it, and so on.
 * Returns how many edges (even), or SIZE_MAX where there are more than max or n is over LP_SPLIT_BYTES. edges has room for max + 64.
 * p is readable for LP_SPLIT_PAD bytes behind n.
 */
size_t lp_split(const char *p, size_t n, uint16_t *edges, size_t max);
/* The same without vector instructions; lp_split is this where there are none. */
size_t lp_split_portable(const char *p, size_t n, uint16_t *edges, size_t max);

#endif
