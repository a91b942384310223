/*
 * keep.h - memory of what stays with the handles of segments (pages of stream tables, heads and schemas of blocks, short lines, indexes of
 * ids), of the whole process, against one budget. Counters only: who is over it lets go of whole handles (seg_cache.c). Any thread.
 */
#ifndef LP_STORE_KEEP_H
#define LP_STORE_KEEP_H

#include "base/lp.h"

#define LP_KEEP_BUDGET (128u << 20) /* before anything else is said */

void lp_keep_budget(size_t bytes);
/* Takes bytes if they fit; false: keep nothing. */
bool lp_keep(size_t bytes) LP_MUST_USE;
/* For what is needed in any case. */
void lp_keep_always(size_t bytes);
void lp_unkeep(size_t bytes);
size_t lp_kept(void);
/* Whether somebody should let go of something: there is more than the budget, or something did not fit since lp_keep_eased. */
bool lp_keep_over(void);
/* Whether it is still more than seven eighths of the budget: so far they should go. */
bool lp_keep_full(void);
void lp_keep_eased(void);

#endif
