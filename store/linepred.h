/*
 * linepred.h - what is asked of a line, as far as it can be told from literals: the part of a query's line filters that the
 * store evaluates on compressed blocks.
 *
 * A predicate is a conjunction of clauses; a clause is a disjunction of needles, or the negation of one. It says of a
 * line: no (it cannot pass), yes (it passes: only where the predicate is exact), or maybe (whoever asks looks at the line).
 * Immutable; borrowed by scans, so it must outlive them. Pure functions, any thread.
 */
#ifndef LP_STORE_LINEPRED_H
#define LP_STORE_LINEPRED_H

#include "base/str.h"

struct lp_needle {
    struct lp_str text; /* not empty; icase: in lower case, bytes below 0x80 only */
    bool icase;         /* either case of ASCII letters. In lines with bytes >= 0x80 the answer is never a sure no or yes: RE2 folds some of them */
};

struct lp_clause {
    const struct lp_needle *needles; /* any of them */
    size_t n;                        /* >= 1 */
    bool negative;                   /* none of them; only in exact predicates */
};

struct lp_linepred {
    const struct lp_clause *clauses; /* all of them; n == 0: every line is a maybe (exact: a yes) */
    size_t n;
    bool exact; /* the clauses are the whole question, not only necessary */
};

enum lp_verdict { LP_NO = 0, LP_MAYBE = 1, LP_YES = 2 };

/* The verdict on a whole line. */
enum lp_verdict lp_linepred_test(const struct lp_linepred *p, struct lp_str line);

#endif
