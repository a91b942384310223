/*
 * seal_plan.h - from a generation to the blocks, runs and footer of its segment: everything but the bytes.
 */
#ifndef LP_STORE_SEAL_PLAN_H
#define LP_STORE_SEAL_PLAN_H

#include "store/block.h"
#include "store/catalog.h"
#include "store/head.h"
#include "store/seal_memo.h"

struct lp_seal_plan {
    struct lp_arena ar; /* owns all below */
    struct lp_footer foot; /* blocks' off and bytes are filled while writing */
    struct lp_block_src *blocks; /* foot.nblocks of them */
    struct lp_block_row *rows;   /* all rows in their final order */
    struct lp_hash128 *hashes; /* of foot.streams */
    struct lp_cat_new_stream *new_streams; /* by rising id */
    size_t nnew_streams;
    struct lp_foot_group *new_groups;
    size_t nnew_groups;
};

/* Takes ids of known streams and groups from the memo, else from the catalog; borrows lines and keys from the generation. */
lp_rc lp_seal_plan_new(struct lp_catalog *cat, struct lp_seal_memo *memo, const struct lp_gen *g, struct lp_seal_plan **ret,
                       struct lp_err *err) LP_MUST_USE;
/* Notes the plan's ids, once they are committed. */
void lp_seal_plan_learn(const struct lp_seal_plan *p, struct lp_seal_memo *memo);
void lp_seal_plan_free(struct lp_seal_plan *p);

#endif
