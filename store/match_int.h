/*
 * match_int.h - inside the search on blocks: shared by match_plan.c, match_table.c and block_match.c.
 */
#ifndef LP_STORE_MATCH_INT_H
#define LP_STORE_MATCH_INT_H

#include "store/bitmap.h"
#include "store/block_int.h"
#include "store/match.h"
#include "store/needle.h"

#define LP_MATCH_ARENA_BYTES (64u << 20)

struct lp_match_clause {
    struct lp_cut_needle *needles;
    size_t n;
    bool negative;
};

struct lp_match_plan {
    struct lp_arena ar;
    const struct lp_linepred *pred;
    bool spent; /* no memory to cut: every row may match */
    struct lp_match_clause *clauses;
    size_t nclauses;
    uint32_t nids;
    size_t nsegs;
    uint64_t **ids; /* [segment * nids + id]: blocks that may hold it; NULL: any may */
};

/* One match of one block. */
struct lp_matcher {
    struct lp_block *b;
    struct lp_codec *c;
    const struct lp_match_plan *p;
    const struct lp_schema *s;
    size_t seg;
    struct lp_arena ar;
    bool spent; /* the arena is: what was planned since may exclude too much */
    bool (*stop)(void *arg);
    void *arg;
};

/* --- match_table.c --- */

/* A condition on the cells of a column; codes: of a dictionary's values. */
struct lp_condition {
    uint32_t col;
    const struct lp_fragment *frag;
    uint64_t *codes;
    bool high;
};

/* All conditions of one; any of the alternatives. */
struct lp_alternative {
    struct lp_condition *conds;
    uint32_t nconds;
    struct lp_alternative *next;
};

enum lp_table_says { LP_TABLE_NONE, LP_TABLE_SOME, LP_TABLE_ALL };

/* What is left to ask of a table's rows. */
struct lp_table_plan {
    enum lp_table_says says;
    bool sure;                          /* who passes surely passes */
    struct lp_alternative **alternatives; /* of each clause; NULL: it holds for all rows */
};

void lp_match_table_plan(struct lp_matcher *m, uint32_t table, struct lp_table_plan *ret);
/* Takes out of rows (a bit a row of the table) those that do not pass. */
lp_rc lp_match_table_rows(struct lp_matcher *m, uint32_t table, const struct lp_table_plan *plan, uint64_t *rows,
                          struct lp_err *err) LP_MUST_USE;

/* --- match_cells.c --- */
/* Takes out of rows those whose cell does not meet the condition. */
lp_rc lp_match_cells(struct lp_matcher *m, uint32_t table, const struct lp_condition *cond, uint64_t *rows, struct lp_err *err) LP_MUST_USE;

#endif
