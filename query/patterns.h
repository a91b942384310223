/*
 * patterns.h - lines grouped by what stays the same in them: "GET <_> took <_>" for a thousand lines of that form.
 *
 * A line is cut into words and the separators between them. Lines with the same separators and enough equal words make one
 * group; where they differ its pattern has <_>. A pattern matches the lines of its group as a LogQL filter: |> "pattern".
 * What is found depends on the order of lines. Memory has a budget: when it is spent, lines of new forms are left out.
 * One thread at a time.
 */
#ifndef LP_QUERY_PATTERNS_H
#define LP_QUERY_PATTERNS_H

#include "base/arena.h"

/* How many lines of a group there were at a step. */
struct lp_pattern_sample {
    uint32_t step;
    double lines;
};

struct lp_pattern {
    struct lp_str text, level;
    const struct lp_pattern_sample *samples; /* by rising step */
    size_t nsamples;
    double lines; /* of all samples */
};

struct lp_patterns;
struct lp_patterns *lp_patterns_new(size_t budget_bytes, struct lp_arena_share *share);
void lp_patterns_free(struct lp_patterns *p);

/* Adds a line that stands for so many. Steps come in rising order. level is static, or lives as long as p. */
void lp_patterns_add(struct lp_patterns *p, struct lp_str level, struct lp_str line, uint32_t step, double lines);
/*
 * The patterns that say something, at most `limit`, those with most lines first; p is not added to any more. They live as long as p. False
 * when the memory is spent.
 */
bool lp_patterns_finish(struct lp_patterns *p, size_t limit, const struct lp_pattern **ret, size_t *ret_n) LP_MUST_USE;

#endif
