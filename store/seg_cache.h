/*
 * seg_cache.h - open segments, kept for the next who asks. What they hold in memory is bounded by keep.h's budget and how many they are by
 * `most`: over either, those that were not used for longest go. One that is in use stays, so a bound can be passed by what queries hold.
 *
 * Any thread. The lock (LP_LOCK_SEGMENTS) is never held during I/O.
 */
#ifndef LP_STORE_SEG_CACHE_H
#define LP_STORE_SEG_CACHE_H

#include "store/segment.h"

struct lp_seg_cache;

struct lp_seg_cache *lp_seg_cache_new(const struct lp_io *io, const char *folder, size_t most);
/* Nobody may hold a segment of it that outlives the io. NULL is fine. */
void lp_seg_cache_free(struct lp_seg_cache *c);

/* These will be asked for one after the other: what opening reads of those that are not open is fetched for all of them meanwhile. */
void lp_seg_cache_expect(struct lp_seg_cache *c, const uint64_t *ids, size_t n);
/* A pinned handle; lp_seg_unref ends it. */
lp_rc lp_seg_cache_get(struct lp_seg_cache *c, uint64_t id, struct lp_seg **ret, struct lp_err *err) LP_MUST_USE;
/* Lets go of a segment whose file goes; whoever is opening it just now will not leave it here. */
void lp_seg_cache_forget(struct lp_seg_cache *c, uint64_t id);
/* Lets go of what is over the bounds and not in use any more. */
void lp_seg_cache_trim(struct lp_seg_cache *c);
size_t lp_seg_cache_count(struct lp_seg_cache *c);

#endif
