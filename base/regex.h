/*
 * regex.h - the one door to RE2 (and later Hyperscan): regular expressions with RE2 semantics, in linear time.
 *
 * A compiled expression is immutable and may be used by any number of threads. Lines that are not UTF-8 are matched on a
 * copy in which each bad byte is U+FFFD (done inside). Limits: pattern 4 KiB, compiled program 8 MiB.
 */
#ifndef LP_BASE_REGEX_H
#define LP_BASE_REGEX_H

#include "base/err.h"
#include "base/str.h"

#ifdef __cplusplus
extern "C" {
#endif

struct lp_regex;

#define LP_REGEX_PATTERN_MAX 4096

/* LP_ERR_PARSE with RE2's reason; LP_ERR_LIMIT. '.' does not match newline unless (?s). */
lp_rc lp_regex_new(struct lp_str pattern, struct lp_regex **ret, struct lp_err *err) LP_MUST_USE;
void lp_regex_free(struct lp_regex *re);
/* Somewhere in the text. */
bool lp_regex_search(const struct lp_regex *re, struct lp_str text);
/* The whole text (stream selectors). */
bool lp_regex_full(const struct lp_regex *re, struct lp_str text);
/* A literal prefix that every full match begins with (may be empty); borrowed from re. */
struct lp_str lp_regex_prefix(const struct lp_regex *re);
/* A literal that every match must contain, case-sensitively (may be empty = none known); borrowed from re. */
struct lp_str lp_regex_literal(const struct lp_regex *re);
/* Number of capture groups; name of group i (1-based), empty if unnamed. */
int lp_regex_groups(const struct lp_regex *re);
struct lp_str lp_regex_group_name(const struct lp_regex *re, int i);
/* Unanchored match with captures: groups[0] is the whole match; n at most 17 slots are filled; unmatched groups have p NULL. */
bool lp_regex_captures(const struct lp_regex *re, struct lp_str text, struct lp_str *groups, int n);

#ifdef __cplusplus
}
#endif

#endif
