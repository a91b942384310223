/*
 * linepred.c - what is asked of a line, tested on a whole line. Pure functions.
 */
#include "store/linepred.h"

#include "base/find.h"

/*
 * Does a needle of the clause occur? LP_MAYBE where the line's bytes do not tell. *ascii is what is known of
 * the line: -1 for nothing yet.
 */
static enum lp_verdict
any_needle(const struct lp_clause *c, struct lp_str line, int *ascii)
{
    bool unsure = false;
    for (size_t i = 0; i < c->n; i++) {
        const struct lp_needle *needle = &c->needles[i];
        if (!needle->icase) {
            if (lp_find(line, needle->text) != SIZE_MAX) {
                return LP_YES;
            }
            continue;
        }
        if (*ascii < 0) {
            *ascii = lp_all_ascii(line);
        }
        if (*ascii == 0) {
            unsure = true;
        } else if (lp_find_icase(line, needle->text) != SIZE_MAX) {
            return LP_YES;
        }
    }
    return unsure ? LP_MAYBE : LP_NO;
}

enum lp_verdict
lp_linepred_test(const struct lp_linepred *p, struct lp_str line)
{
    enum lp_verdict verdict = p->exact ? LP_YES : LP_MAYBE;
    int ascii = -1;
    for (size_t i = 0; i < p->n; i++) {
        const struct lp_clause *c = &p->clauses[i];
        enum lp_verdict found = any_needle(c, line, &ascii);
        if (found == (c->negative ? LP_YES : LP_NO)) {
            return LP_NO;
        }
        if (found == LP_MAYBE) {
            verdict = LP_MAYBE;
        }
    }
    return verdict;
}
