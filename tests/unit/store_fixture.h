/*
 * store_fixture.h - helpers of the store's unit tests: batches of made-up records, a store in a fresh folder, reading everything back.
 */
#ifndef LP_UNIT_STORE_FIXTURE_H
#define LP_UNIT_STORE_FIXTURE_H

#include "store/store.h"
#include "store/view.h"
#include "tests/unit/unit.h"

/* splitmix64: seeded, the same everywhere. */
uint64_t lp_rand(uint64_t *state);

/* A batch of n rows over some streams, with numbers in the lines ("<tag> row <i> ..."), metadata on every third, times around base_ns. */
struct lp_batch *lp_make_batch(const char *tag, size_t n, int64_t base_ns, uint64_t seed);

/* Opens a store with small limits; the journal is played by lp_put. io may be NULL. */
lp_rc lp_open_store(const char *dir, const struct lp_io *io, size_t seal_bytes, struct lp_store **ret, struct lp_err *err);

/* The same with segments of 1 MiB and the real files; ends the test where it does not open. */
struct lp_store *lp_must_open(const char *dir);

/* Puts a batch in as positions [first, first + 1) of ("journal", 0). Owns the batch. */
lp_rc lp_put(struct lp_store *st, struct lp_batch *b, uint64_t first);

/* All lines of the store, sorted, joined by newlines, malloc'ed; *ret_rows how many. NULL on a read error. */
char *lp_read_all(struct lp_store *st, size_t *ret_rows, size_t *ret_damaged);

/* For struct lp_block_io: ctx is a struct lp_buf. */
lp_rc lp_read_buf(void *ctx, void *dst, size_t n, uint64_t off, struct lp_err *err);

#endif
