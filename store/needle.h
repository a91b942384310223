/*
 * needle.h - needles cut into fragments, and tests of single cells and columns against them. Inside store/ (match.h).
 */
#ifndef LP_STORE_NEEDLE_H
#define LP_STORE_NEEDLE_H

#include "store/linepred.h"
#include "store/schema.h"

/* How a fragment stands in a cell. */
enum lp_fragment_op { LP_FRAG_EQUAL, LP_FRAG_PREFIX, LP_FRAG_SUFFIX, LP_FRAG_INFIX };

struct lp_fragment {
    struct lp_str text;
    uint8_t op;
    bool icase;
    uint64_t id_hash; /* lp_id_hash of the text */
    uint32_t id;      /* its number among the plan's ids */
    bool is_number;   /* only digits, at most LP_INT_DIGITS_MAX */
    uint64_t number;
};

struct lp_cut_needle {
    struct lp_str text;
    bool icase;
    bool whole;          /* could not be cut: any table with long enough lines may hold it */
    struct lp_str shape; /* as of a line */
    struct lp_fragment *frags;
    uint32_t nfrags;
};

/* Memory from ar. False when it is spent. */
bool lp_needle_cut(const struct lp_needle *n, struct lp_arena *ar, struct lp_cut_needle *ret) LP_MUST_USE;

bool lp_fragment_in(const struct lp_fragment *f, struct lp_str cell);

/* What a column's head says about its cells and a fragment. */
enum lp_column_says { LP_CELLS_NONE, LP_CELLS_SOME, LP_CELLS_ALL };
/*
 * ret_codes (DICT and LP_CELLS_SOME): a bit a value, memory from ar. high: cells with a byte >= 0x80 count as matching.
 * *ret_equal: whoever matches is equal to the fragment. A spent arena gives LP_CELLS_SOME without codes.
 */
enum lp_column_says lp_column_test(const struct lp_column *col, const struct lp_fragment *f, bool high, struct lp_arena *ar,
                                   uint64_t **ret_codes, bool *ret_equal);
bool lp_has_high(struct lp_str s);
/* Can text of these bytes only hold the needle? */
bool lp_needle_in_set(const struct lp_cut_needle *n, const uint8_t set[32]);

#endif
