/*
 * idset.h - a set of stream ids: a bit an id, in chunks of 65,536 that exist only where there is an id. Ids are below a limit that is
 * known beforehand (the catalog's next_stream), so a set never takes more than limit / 8 bytes.
 *
 * One thread at a time while a set changes. Once lp_idset_number() was called it is immutable, and any number of threads may ask.
 */
#ifndef LP_STORE_IDSET_H
#define LP_STORE_IDSET_H

#include "base/lp.h"

#define LP_IDCHUNK_BITS 16
#define LP_IDCHUNK_WORDS (1024u)
#define LP_IDCHUNK_STEPS (LP_IDCHUNK_WORDS / 8)

struct lp_idchunk {
    uint64_t bits[LP_IDCHUNK_WORDS];
    uint16_t before[LP_IDCHUNK_STEPS]; /* numbered: ids of the chunk before each eighth word */
};

struct lp_idset {
    uint64_t limit;
    size_t nchunks;
    struct lp_idchunk **v; /* by id >> 16; NULL: no id in it */
    uint64_t *before;      /* numbered: ids before each chunk, and all of them in the end; NULL: not numbered */
};

void lp_idset_init(struct lp_idset *s, uint64_t limit);
void lp_idset_clear(struct lp_idset *s);
/* Adds the ids [first, end), all below the limit. */
void lp_idset_add(struct lp_idset *s, uint64_t first, uint64_t end);
bool lp_idset_has(const struct lp_idset *s, uint64_t id);
/* Sets of one limit. */
void lp_idset_or(struct lp_idset *s, const struct lp_idset *other);
void lp_idset_and(struct lp_idset *s, const struct lp_idset *other);
void lp_idset_without(struct lp_idset *s, const struct lp_idset *other);
bool lp_idset_is_empty(const struct lp_idset *s);
/* Are all ids of s in the other? */
bool lp_idset_within(const struct lp_idset *s, const struct lp_idset *other);
/* Have they an id in common? */
bool lp_idset_meets(const struct lp_idset *s, const struct lp_idset *other);
/* The first id >= from; UINT64_MAX: there is none. */
uint64_t lp_idset_next(const struct lp_idset *s, uint64_t from);
uint64_t lp_idset_count(const struct lp_idset *s);

/* Numbers the ids by rising id, from 0; before the functions below. */
void lp_idset_number(struct lp_idset *s);
/* Forgets the numbers: the set may change again. */
void lp_idset_unnumber(struct lp_idset *s);
/* How many ids of the set are smaller than this one, which is at most the limit: its number, if it is in the set. */
uint64_t lp_idset_rank(const struct lp_idset *s, uint64_t id);
/* The id with this number, which is smaller than the count. */
uint64_t lp_idset_at(const struct lp_idset *s, uint64_t number);

#endif
