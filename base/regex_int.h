/*
 * regex_int.h - the literals of a regular expression, for regex.cc and its tests.
 */
#ifndef LP_BASE_REGEX_INT_H
#define LP_BASE_REGEX_INT_H

#include "base/buf.h"

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Finds in a valid RE2 pattern a prefix that every full match begins with, and the longest piece found that every match
 * contains. Either may come out empty. The buffers are initialised by the caller and hold at least the pattern's length.
 */
void lp_regex_literals(struct lp_str pattern, struct lp_buf *prefix, struct lp_buf *literal);

#ifdef __cplusplus
}
#endif

#endif
