/*
 * hash.c - the one door to libxxhash, and CRC32C.
 *
 * CRC32C. The state is kept bit-reflected. The table way takes 8 bytes a step. The SSE4.2 way runs the
 * instruction on three adjacent stretches at once, since its latency is three cycles: the CRC of a
 * concatenation is the CRC of the first part "moved" over as many zero bytes as the rest has, xor the CRC of
 * the rest; moving is linear, so four tables do it for one fixed length. The choice is made once, at the
 * first call; all tables are written before it is published.
 */
#include "base/hash.h"

#include <pthread.h>
#include <stdatomic.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/bytes.h"
#include "base/hash_int.h"

/* 1: long input goes to hash_wide.c; -1: it does not; 0: not asked yet. */
static _Atomic int wide;

static bool
is_wide(void)
{
    int v = atomic_load_explicit(&wide, memory_order_relaxed);
    if (LP_UNLIKELY(v == 0)) {
        v = lp_hash_wide() ? 1 : -1; /* whoever else asks gets the same answer */
        atomic_store_explicit(&wide, v, memory_order_relaxed);
    }
    return v > 0;
}

uint64_t
lp_xxh64(const void *p, size_t n)
{
    return n > LP_HASH_SHORT_BYTES && is_wide() ? lp_hash_wide_64(p, n) : XXH3_64bits(p, n);
}

uint64_t
lp_xxh64_seed(const void *p, size_t n, uint64_t seed)
{
    return XXH3_64bits_withSeed(p, n, seed);
}

struct lp_hash128
lp_xxh128(const void *p, size_t n)
{
    if (n > LP_HASH_SHORT_BYTES && is_wide()) {
        return lp_hash_wide_128(p, n);
    }
    XXH128_hash_t h = XXH3_128bits(p, n);
    return (struct lp_hash128){.lo = h.low64, .hi = h.high64};
}

/* One state serves both widths: the streaming algorithm differs only in how it ends. */
struct lp_hasher {
    XXH3_state_t *state;
    bool wide;
};

struct lp_hasher *
lp_hasher_new(void)
{
    struct lp_hasher *h = lp_malloc(sizeof(*h));
    h->state = XXH3_createState(); /* aligned to 64 bytes */
    LP_ASSERT(h->state != NULL);
    h->wide = is_wide();
    lp_hasher_reset(h);
    return h;
}

void
lp_hasher_reset(struct lp_hasher *h)
{
    XXH3_128bits_reset(h->state);
}

void
lp_hasher_add(struct lp_hasher *h, const void *p, size_t n)
{
    if (h->wide) {
        lp_hash_wide_add(h->state, p, n);
    } else {
        XXH3_128bits_update(h->state, p, n);
    }
}

uint64_t
lp_hasher_u64(const struct lp_hasher *h)
{
    return XXH3_64bits_digest(h->state);
}

struct lp_hash128
lp_hasher_u128(const struct lp_hasher *h)
{
    XXH128_hash_t v = XXH3_128bits_digest(h->state);
    return (struct lp_hash128){.lo = v.low64, .hi = v.high64};
}

void
lp_hasher_free(struct lp_hasher *h)
{
    if (h != NULL) {
        XXH3_freeState(h->state);
        lp_free(h);
    }
}

#define CRC32C_POLY 0x82f63b78u /* Castagnoli, reflected */

/* steps[k][b]: the state that byte b leaves after k further zero bytes. */
static uint32_t steps[8][256];

static void
steps_init(void)
{
    for (unsigned b = 0; b < 256; b++) {
        uint32_t crc = b;
        for (int bit = 0; bit < 8; bit++) {
            crc = crc >> 1 ^ ((crc & 1) != 0 ? CRC32C_POLY : 0);
        }
        steps[0][b] = crc;
    }
    for (unsigned k = 1; k < 8; k++) {
        for (unsigned b = 0; b < 256; b++) {
            uint32_t crc = steps[k - 1][b];
            steps[k][b] = crc >> 8 ^ steps[0][crc & 0xff];
        }
    }
}

static uint32_t
crc_table(uint32_t crc, const uint8_t *p, size_t n)
{
    for (; n >= 8; n -= 8, p += 8) {
        uint64_t v = lp_get_u64(p) ^ crc;
        crc = 0;
        for (unsigned k = 0; k < 8; k++, v >>= 8) {
            crc ^= steps[7 - k][v & 0xff];
        }
    }
    for (; n > 0; n--, p++) {
        crc = crc >> 8 ^ steps[0][(crc ^ *p) & 0xff];
    }
    return crc;
}

#if defined(__x86_64__)
#include <nmmintrin.h>

#define CRC_LONG 4096u /* bytes of each of three stretches */
#define CRC_SHORT 256u

/* What a state becomes over CRC_LONG (CRC_SHORT) zero bytes, by its four bytes. */
static uint32_t move_long[4][256], move_short[4][256];

static void
move_init(uint32_t table[4][256], size_t zeros)
{
    static const uint8_t none[CRC_LONG];
    for (unsigned k = 0; k < 4; k++) {
        for (unsigned bit = 0; bit < 8; bit++) {
            table[k][1u << bit] = crc_table(1u << (8 * k + bit), none, zeros);
        }
        for (unsigned b = 1; b < 256; b++) {
            unsigned low = b & -b;
            table[k][b] = table[k][low] ^ table[k][b ^ low];
        }
    }
}

static uint32_t
move(const uint32_t table[4][256], uint32_t crc)
{
    return table[0][crc & 0xff] ^ table[1][crc >> 8 & 0xff] ^ table[2][crc >> 16 & 0xff] ^
           table[3][crc >> 24];
}

static inline uint64_t
load_u64(const uint8_t *p)
{
    uint64_t v;
    memcpy(&v, p, sizeof(v));
    return v;
}

/* The CRC over three adjacent stretches of `bytes` (a multiple of 8) at p. */
__attribute__((target("sse4.2"))) static uint32_t
crc_three(uint32_t crc, const uint8_t *p, size_t bytes, const uint32_t table[4][256])
{
    uint64_t a = crc, b = 0, c = 0;
    for (size_t i = 0; i < bytes; i += 8) {
        a = _mm_crc32_u64(a, load_u64(p + i));
        b = _mm_crc32_u64(b, load_u64(p + bytes + i));
        c = _mm_crc32_u64(c, load_u64(p + 2 * bytes + i));
    }
    return move(table, move(table, (uint32_t)a) ^ (uint32_t)b) ^ (uint32_t)c;
}

__attribute__((target("sse4.2"))) static uint32_t
crc_sse42(uint32_t crc, const uint8_t *p, size_t n)
{
    for (; n >= 3 * (size_t)CRC_LONG; n -= 3 * (size_t)CRC_LONG, p += 3 * (size_t)CRC_LONG) {
        crc = crc_three(crc, p, CRC_LONG, move_long);
    }
    for (; n >= 3 * (size_t)CRC_SHORT; n -= 3 * (size_t)CRC_SHORT, p += 3 * (size_t)CRC_SHORT) {
        crc = crc_three(crc, p, CRC_SHORT, move_short);
    }
    for (; n >= 8; n -= 8, p += 8) {
        crc = (uint32_t)_mm_crc32_u64(crc, load_u64(p));
    }
    for (; n > 0; n--, p++) {
        crc = _mm_crc32_u8(crc, *p);
    }
    return crc;
}
#endif

typedef uint32_t crc_fn(uint32_t crc, const uint8_t *p, size_t n);

static uint32_t crc_choose(uint32_t crc, const uint8_t *p, size_t n);

static _Atomic(crc_fn *) crc_impl = crc_choose;
static pthread_once_t crc_once = PTHREAD_ONCE_INIT;

static void
crc_init(void)
{
    crc_fn *fn = crc_table;
    steps_init();
#if defined(__x86_64__)
    if (__builtin_cpu_supports("sse4.2")) {
        move_init(move_long, CRC_LONG);
        move_init(move_short, CRC_SHORT);
        fn = crc_sse42;
    }
#endif
    atomic_store_explicit(&crc_impl, fn, memory_order_release);
}

static uint32_t
crc_choose(uint32_t crc, const uint8_t *p, size_t n)
{
    pthread_once(&crc_once, crc_init);
    return atomic_load_explicit(&crc_impl, memory_order_acquire)(crc, p, n);
}

uint32_t
lp_crc32c(uint32_t crc, const void *p, size_t n)
{
    return ~atomic_load_explicit(&crc_impl, memory_order_acquire)(~crc, p, n);
}

uint32_t
lp_crc32c_portable(uint32_t crc, const void *p, size_t n)
{
    pthread_once(&crc_once, crc_init);
    return ~crc_table(~crc, p, n);
}
