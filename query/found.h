/*
 * found.h - the labels of a row that a search found, each with where it comes from: for answers that tell stream labels,
 * metadata and parsed labels apart. Pure; one thread at a time per arena.
 */
#ifndef LP_QUERY_FOUND_H
#define LP_QUERY_FOUND_H

#include "query/exec.h"
#include "query/pipe.h"

/*
 * All labels of the row by rising name, each once, the level among the metadata. They live in ar, and borrow from f. False when ar is
 * spent.
 */
bool lp_found_labels(const struct lp_found *f, const struct lp_found_row *row, struct lp_arena *ar, const struct lp_label **ret,
                     size_t *ret_n) LP_MUST_USE;

#endif
