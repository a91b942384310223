/*
 * regex_hs.h - Hyperscan for regex.cc: may a text hold a match?
 *
 * A pattern is translated into one that means the same to Hyperscan whatever its options, or refused. Immutable; any number
 * of threads. In a build without Hyperscan, and on a processor that it does not know, every pattern is refused.
 */
#ifndef LP_BASE_REGEX_HS_H
#define LP_BASE_REGEX_HS_H

#include "base/str.h"

#ifdef __cplusplus
extern "C" {
#endif

struct lp_hs;

/* For texts that are ASCII only, or (utf8) valid UTF-8. NULL: refused, or too large. Takes milliseconds. */
struct lp_hs *lp_hs_new(struct lp_str pattern, bool utf8);
void lp_hs_free(struct lp_hs *hs);
/* 1: it holds a match; 0: it holds none; -1: not known. The text is of the sort that hs is for, not empty. */
int lp_hs_search(const struct lp_hs *hs, struct lp_str text);
/* Is a 1 the truth, so that RE2 need not confirm it? */
bool lp_hs_decides(const struct lp_hs *hs);

#ifdef __cplusplus
}
#endif

#endif
