/*
 * entries.h - what the catalog says of the groups in a segment, summed up from its blocks.
 */
#ifndef LP_STORE_ENTRIES_H
#define LP_STORE_ENTRIES_H

#include "store/catalog.h"

/* A growing list; {0} is empty. */
struct lp_entries {
    struct lp_cat_entry *v;
    size_t n, cap;
};

/* Adds a block. Blocks of a group follow each other; each (group, segment) has one entry. */
void lp_entries_add(struct lp_entries *e, uint64_t group, uint64_t segment, const struct lp_foot_block *b);
/* Adds all blocks of a segment that is being written; their places and sizes are known. */
void lp_entries_of_footer(struct lp_entries *e, const struct lp_footer *f);
void lp_entries_clear(struct lp_entries *e);

/* Fills the segment row's sums and bounds from its entries [first, e->n). */
void lp_entries_sum(const struct lp_entries *e, size_t first, struct lp_cat_segment *ret);

#endif
