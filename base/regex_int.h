/*
 * regex_int.h - the literals of a regular expression, for regex.cc and its tests.
 */
#ifndef LP_BASE_REGEX_INT_H
#define LP_BASE_REGEX_INT_H

#include "base/arena.h"
#include "base/regex.h"

#ifdef __cplusplus
extern "C" {
#endif

struct lp_regex_lits {
    struct lp_regex_need need;
    struct lp_str prefix;  /* every full match begins with it; may be empty */
    struct lp_str literal; /* every match holds it; may be empty */
    struct lp_regex_clause clauses[LP_REGEX_CLAUSES_MAX];
    struct lp_arena ar;
};

/* What can be told of a valid RE2 pattern. Points into itself: not to be moved. */
void lp_regex_lits_init(struct lp_regex_lits *ret, struct lp_str pattern);
void lp_regex_lits_clear(struct lp_regex_lits *lits);

/* -1: the text holds no match; 1: it does; 0: its literals do not tell. */
int lp_regex_need_test(const struct lp_regex_need *need, struct lp_str text);

/* For tests. lp_regex_search without its literals, and by RE2 alone; whether Hyperscan is used for texts beyond ASCII, or within. */
bool lp_regex_search_engine(const struct lp_regex *re, struct lp_str text);
bool lp_regex_search_re2(const struct lp_regex *re, struct lp_str text);
bool lp_regex_uses_hs(const struct lp_regex *re, bool utf8);

#ifdef __cplusplus
}
#endif

#endif
