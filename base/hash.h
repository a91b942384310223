/*
 * hash.h - xxh3 (64 and 128 bit, libxxhash) for identity and content, CRC32C (Castagnoli) for stored bytes.
 *
 * The xxh3 values are part of the file format (store/FORMAT.md): seed 0, canonical algorithm of xxHash 0.8.
 * CRC32C uses the processor's instruction where there is one; value as in iSCSI (RFC 3720), start value 0 here.
 */
#ifndef LP_BASE_HASH_H
#define LP_BASE_HASH_H

#include "base/str.h"

#ifdef __cplusplus
extern "C" {
#endif

struct lp_hash128 {
    uint64_t lo, hi;
};

static inline bool
lp_hash128_eq(struct lp_hash128 a, struct lp_hash128 b)
{
    return a.lo == b.lo && a.hi == b.hi;
}

uint64_t lp_xxh64(const void *p, size_t n);
uint64_t lp_xxh64_seed(const void *p, size_t n, uint64_t seed);
struct lp_hash128 lp_xxh128(const void *p, size_t n);

/* Streaming; the state is owned by the caller, freed by _end. */
struct lp_hasher;
struct lp_hasher *lp_hasher_new(void);
void lp_hasher_reset(struct lp_hasher *h);
void lp_hasher_add(struct lp_hasher *h, const void *p, size_t n);
uint64_t lp_hasher_u64(const struct lp_hasher *h);
struct lp_hash128 lp_hasher_u128(const struct lp_hasher *h);
void lp_hasher_free(struct lp_hasher *h);

/* crc: 0 to begin, or the value so far. */
uint32_t lp_crc32c(uint32_t crc, const void *p, size_t n);
/* The same value without the instruction; lp_crc32c is this where there is none. */
uint32_t lp_crc32c_portable(uint32_t crc, const void *p, size_t n);

#ifdef __cplusplus
}
#endif

#endif
