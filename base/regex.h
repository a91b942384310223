/*
 * regex.h - regular expressions with RE2's meaning, in linear time. The door to RE2, and to Hyperscan where the build has it.
 *
 * A search asks first for literals that a match must hold, then Hyperscan, which rules texts out faster than RE2, then RE2.
 * Hyperscan compiles for a millisecond or more; that is done once an expression has searched a lot of text, or on request.
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
#define LP_REGEX_LITERAL_MAX 64 /* bytes of one in lp_regex_need; of a longer one a part is required */
#define LP_REGEX_GROUPS_MAX 128 /* groups of lp_regex_captures, the whole match included */
#define LP_REGEX_CLAUSE_MAX 16  /* literals of a clause */
#define LP_REGEX_CLAUSES_MAX 8

struct lp_regex_lit {
    struct lp_str text; /* not empty; icase: in lower case, ASCII only */
    bool icase;         /* ASCII letters of either case */
    bool folds;         /* icase, and has a k or s, which U+212A and U+017F match too: its absence proves nothing in text beyond ASCII */
};

struct lp_regex_clause {
    const struct lp_regex_lit *lits; /* any of them */
    size_t n;
};

/* What a match must hold: of each clause a literal. The most telling clause comes first. */
struct lp_regex_need {
    const struct lp_regex_clause *clauses;
    size_t n;   /* 0: nothing is known; where exact: every text matches */
    bool exact; /* and text that does so is a match: the expression is nothing but literals */
};

/* LP_ERR_PARSE with RE2's reason; LP_ERR_LIMIT. '.' does not match newline unless (?s). */
lp_rc lp_regex_new(struct lp_str pattern, struct lp_regex **ret, struct lp_err *err) LP_MUST_USE;
void lp_regex_free(struct lp_regex *re);
/* Somewhere in the text. */
bool lp_regex_search(const struct lp_regex *re, struct lp_str text);
/* Much text will be searched: compile for it now. The answers are the same. */
void lp_regex_prepare(const struct lp_regex *re);
/* The whole text (stream selectors). */
bool lp_regex_full(const struct lp_regex *re, struct lp_str text);
/* A literal prefix that every full match begins with (may be empty); borrowed from re. */
struct lp_str lp_regex_prefix(const struct lp_regex *re);
/* A literal that every match must contain, case-sensitively (may be empty = none known); borrowed from re. */
struct lp_str lp_regex_literal(const struct lp_regex *re);
/* What every match must hold, byte for byte, bad UTF-8 or not; borrowed from re. */
const struct lp_regex_need *lp_regex_needs(const struct lp_regex *re);
/* Number of capture groups; name of group i (1-based), empty if unnamed. */
int lp_regex_groups(const struct lp_regex *re);
struct lp_str lp_regex_group_name(const struct lp_regex *re, int i);
/* Unanchored match with captures: groups[0] is the whole match; n at most LP_REGEX_GROUPS_MAX slots are filled; unmatched groups have p NULL. */
bool lp_regex_captures(const struct lp_regex *re, struct lp_str text, struct lp_str *groups, int n);
/* The same of a match that begins at byte `from` or behind it; what stands in front still counts for ^ and \b. The text is UTF-8. */
bool lp_regex_captures_from(const struct lp_regex *re, struct lp_str text, size_t from, struct lp_str *groups, int n);

#ifdef __cplusplus
}
#endif

#endif
