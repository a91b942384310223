/*
 * idindex.h - the id index of a segment: which blocks may hold an id (FORMAT.md section 2.6). A look-up reads one bucket,
 * about a kilobyte.
 *
 * What it says is never too little: a block that is not named has no such id among its indexed columns. One in some hundred
 * blocks is named without having it. An opened index is immutable; any thread.
 */
#ifndef LP_STORE_IDINDEX_H
#define LP_STORE_IDINDEX_H

#include "base/buf.h"
#include "base/err.h"

struct lp_id_entry {
    uint64_t hash; /* lp_id_hash */
    uint32_t block;
};

/* Appends the section for these entries (sorted in place, repeats dropped) to out; nothing where n is 0. */
void lp_idindex_encode(struct lp_id_entry *v, size_t n, uint32_t nblocks, struct lp_buf *out);

/* Reads n bytes at off of the section. */
typedef lp_rc (*lp_idindex_read)(void *ctx, void *dst, size_t n, uint64_t off, struct lp_err *err);

struct lp_idindex;
/* bytes: of the section; nblocks: of the segment. LP_ERR_CORRUPT. */
lp_rc lp_idindex_open(lp_idindex_read read, void *ctx, uint64_t bytes, uint32_t nblocks, struct lp_idindex **ret,
                      struct lp_err *err) LP_MUST_USE;
void lp_idindex_free(struct lp_idindex *x);
size_t lp_idindex_memory(const struct lp_idindex *x);
/* The bytes of the section that lp_idindex_find will read for this id. */
void lp_idindex_where(const struct lp_idindex *x, uint64_t hash, uint64_t *ret_off, size_t *ret_n);
/* Sets the bit of each block that may hold the id. */
lp_rc lp_idindex_find(const struct lp_idindex *x, lp_idindex_read read, void *ctx, uint64_t hash, uint64_t *blocks,
                      struct lp_err *err) LP_MUST_USE;
/* Checks every bucket. */
lp_rc lp_idindex_prove(const struct lp_idindex *x, lp_idindex_read read, void *ctx, struct lp_err *err) LP_MUST_USE;

#endif
