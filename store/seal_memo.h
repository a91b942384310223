/*
 * seal_memo.h - ids that the seal knows from the generations before, so that it does not parse the key of each stream and look it up in
 * the catalog in every generation again.
 *
 * Two tables of bounded size: what is found in the older one moves to the newer; when that is full, the older one goes. Seal thread only. Nothing is
 * noted before it is committed.
 */
#ifndef LP_STORE_SEAL_MEMO_H
#define LP_STORE_SEAL_MEMO_H

#include "base/hash.h"

struct lp_seal_memo;

struct lp_seal_memo *lp_seal_memo_new(void);
void lp_seal_memo_free(struct lp_seal_memo *m);
/* The ids of a stream and its group. */
bool lp_seal_memo_find(struct lp_seal_memo *m, struct lp_hash128 stream, uint64_t *ret_id, uint64_t *ret_group);
/* Brings near what a find of this stream will look at: with a million streams, waiting for memory is most of it. */
void lp_seal_memo_expect(const struct lp_seal_memo *m, struct lp_hash128 stream);
void lp_seal_memo_note(struct lp_seal_memo *m, struct lp_hash128 stream, uint64_t id, uint64_t group);
/* Forgets all: ids may have gone from the catalog. */
void lp_seal_memo_clear(struct lp_seal_memo *m);

#endif
