/*
 * match.h - the search on compressed blocks: which rows of a block a line predicate (linepred.h) leaves.
 *
 * A needle is cut as lines are (split.h). Its separators must be those of a shape, its inner tokens must equal cells, the outer ones
 * may be a suffix, prefix or part of one: so a needle becomes, for each table, alternatives of conditions on cells. What heads, constants
 * and dictionaries decide costs no reading; then only the chunks of columns that are asked about, and only where candidates are left.
 *
 * Never a row too few. A plan is immutable once bound; any number of threads may match with it, each its own blocks.
 */
#ifndef LP_STORE_MATCH_H
#define LP_STORE_MATCH_H

#include "store/block.h"
#include "store/linepred.h"
#include "store/segment.h"

struct lp_match_plan;

/* The predicate is borrowed. */
struct lp_match_plan *lp_match_plan_new(const struct lp_linepred *p);
void lp_match_plan_free(struct lp_match_plan *p);
/* Asks the segments' id indexes, once, before the first match: segs[i] is then known by its number i. A damaged index is as none. */
void lp_match_plan_bind(struct lp_match_plan *p, struct lp_seg *const *segs, size_t n);

/* Whether the footer alone says that no line of a block passes: the block need not be opened. Bound plans only. */
bool lp_match_plan_excludes(const struct lp_match_plan *p, size_t seg, const struct lp_seg *s, uint32_t block);

/* A needle that every passing line holds byte for byte, the longest; NULL: none is known. */
const struct lp_needle *lp_match_plan_needle(const struct lp_match_plan *p);

/* Rows [first, end). */
struct lp_row_range {
    uint32_t first, end;
};

struct lp_match {
    uint64_t *rows; /* a bit a row of the block: may pass; NULL: none does. lp_free */
    uint64_t *sure; /* those that surely pass; NULL: none is sure. lp_free */
};

/*
 * Matches the rows of the ranges (rising, apart). seg: number given to bind. stop (may be NULL) is asked now and then; once it says
 * true the match ends with LP_ERR_CANCELED.
 */
lp_rc lp_block_match(struct lp_block *b, struct lp_codec *c, const struct lp_match_plan *p, size_t seg,
                     const struct lp_row_range *ranges, size_t nranges, bool (*stop)(void *arg), void *arg,
                     struct lp_match *ret, struct lp_err *err) LP_MUST_USE;
void lp_match_clear(struct lp_match *m);

#endif
