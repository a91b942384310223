/*
 * literals.h - regexes that are nothing but literals, like "prod|dev\.eu" or "(a|b)": no regex engine is needed for
 * them, a set can be looked up in an index, and Grafana writes lists of selected values this way, some longer than the
 * 4 KiB that a regex may have.
 */
#ifndef LP_QUERY_LITERALS_H
#define LP_QUERY_LITERALS_H

#include "base/arena.h"

/*
 * How many alternatives the regex has if each is a literal (an empty one counts), 0 if it is anything else. Only such
 * texts count as literals that a regex finds in a line exactly where a byte search does, whatever the line's encoding.
 */
size_t lp_literals_count(struct lp_str regex);
/* The alternatives, unescaped, in their order; n is what lp_literals_count gave. False when the arena is spent. */
bool lp_literals_list(struct lp_str regex, struct lp_arena *ar, struct lp_str *ret, size_t n);

#endif
