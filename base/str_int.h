/*
 * str_int.h - between str.c and json.cc, where simdjson is.
 */
#ifndef LP_BASE_STR_INT_H
#define LP_BASE_STR_INT_H

#include "base/str.h"

#ifdef __cplusplus
extern "C" {
#endif

/* As lp_utf8_valid, by simdjson: for longer pieces that are not ASCII. */
bool lp_utf8_valid_vector(struct lp_str s);

#ifdef __cplusplus
}
#endif

#endif
