/*
 * pattern.h - patterns with captures: `| pattern "<ip> - <_>"` and the line filters `|> "<_> GET <_>"`.
 *
 * A capture is <name> with name [A-Za-z_][A-Za-z0-9_]*, or <_> without a name; all else is literal, byte by byte. Two
 * captures never touch. A capture takes the text up to the first place of the literal behind it, and is never tried
 * again further on; so matching takes linear time.
 *
 * A pattern borrows its text and lives in the arena it was made in. Immutable; any thread.
 */
#ifndef LP_QUERY_PATTERN_H
#define LP_QUERY_PATTERN_H

#include "base/arena.h"
#include "base/err.h"

enum lp_pattern_use {
    LP_PATTERN_STAGE, /* at least one named capture, no name twice */
    LP_PATTERN_LINE,  /* no named captures; may be empty, which is the empty line */
};

struct lp_pattern_part {
    bool is_capture;
    struct lp_str text; /* the literal, or the capture's name; "_" is none */
};

struct lp_pattern {
    struct lp_pattern_part *parts; /* literals and captures in turn */
    size_t nparts;
    size_t nnames; /* named captures */
};

/* LP_ERR_PARSE with the reason, LP_ERR_LIMIT. */
lp_rc lp_pattern_parse(struct lp_str text, enum lp_pattern_use use, struct lp_arena *ar, struct lp_pattern *ret,
                       struct lp_err *err) LP_MUST_USE;

/* As a line filter: literals in their order fill the whole line, and every capture takes at least one byte. */
bool lp_pattern_test(const struct lp_pattern *p, struct lp_str line);

/*
 * As a stage: fills values[i] for the i-th named capture and returns how many were reached. Matching begins at the
 * line's start (0 where the first literal is not there) and ends at the first literal not found, whose capture takes
 * the rest.
 * values holds nnames slots; slices borrow from the line.
 */
size_t lp_pattern_captures(const struct lp_pattern *p, struct lp_str line, struct lp_str *values);

#endif
