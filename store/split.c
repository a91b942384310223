/*
 * split.c - token edges, 64 bytes a step: a bit a byte says whether it belongs to a token, and edges are
 * where a bit differs from the one before it. The vector way makes the bits with AVX2; the choice is made
 * once a process, by the processor.
 */
#include "store/split.h"

#include "base/bytes.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

/* Appends the edges of one step; `carry` is the last bit of the step before. */
static inline size_t
put_edges(uint64_t bits, uint64_t carry, size_t at, uint16_t *edges, size_t k)
{
    uint64_t diff = bits ^ (bits << 1 | carry);
    while (diff != 0) {
        edges[k++] = (uint16_t)(at + (size_t)__builtin_ctzll(diff));
        diff &= diff - 1;
    }
    return k;
}

/* Bits of bytes behind the end are no token: the last token ends there. */
static inline uint64_t
clip(uint64_t bits, size_t left)
{
    return left >= 64 ? bits : bits & ((UINT64_C(1) << left) - 1);
}

#define SPLIT_BODY(BITS)                                                                                     \
    size_t k = 0;                                                                                            \
    uint64_t carry = 0;                                                                                      \
    if (n > LP_SPLIT_BYTES) {                                                                                \
        return SIZE_MAX;                                                                                     \
    }                                                                                                        \
    for (size_t at = 0; at < n; at += 64) {                                                                  \
        uint64_t bits = clip(BITS(p + at), n - at);                                                          \
        k = put_edges(bits, carry, at, edges, k);                                                            \
        carry = bits >> 63;                                                                                  \
        if (k > max) {                                                                                       \
            return SIZE_MAX;                                                                                 \
        }                                                                                                    \
    }                                                                                                        \
    if (carry != 0) { /* the last token ends with the text */                                                \
        edges[k++] = (uint16_t)n;                                                                            \
    }                                                                                                        \
    return k > max ? SIZE_MAX : k;

static inline uint64_t
bits_portable(const char *p)
{
    uint64_t bits = 0;
    for (unsigned i = 0; i < 64; i++) {
        bits |= (uint64_t)lp_is_token_byte((uint8_t)p[i]) << i;
    }
    return bits;
}

size_t
lp_split_portable(const char *p, size_t n, uint16_t *edges, size_t max)
{
    SPLIT_BODY(bits_portable)
}

#if defined(__x86_64__)

__attribute__((target("avx2"))) static inline uint32_t
bits32_avx2(const char *p)
{
    __m256i c = _mm256_loadu_si256((const __m256i *)(const void *)p);
    __m256i letter = _mm256_sub_epi8(_mm256_or_si256(c, _mm256_set1_epi8(0x20)), _mm256_set1_epi8('a'));
    __m256i digit = _mm256_sub_epi8(c, _mm256_set1_epi8('0'));
    __m256i is_letter = _mm256_cmpeq_epi8(_mm256_min_epu8(letter, _mm256_set1_epi8(25)), letter);
    __m256i is_digit = _mm256_cmpeq_epi8(_mm256_min_epu8(digit, _mm256_set1_epi8(9)), digit);
    __m256i is_low = _mm256_cmpeq_epi8(c, _mm256_set1_epi8('_'));
    /* the top bit of c itself is the answer for bytes >= 0x80 */
    __m256i any = _mm256_or_si256(_mm256_or_si256(is_letter, is_digit), _mm256_or_si256(is_low, c));
    return (uint32_t)_mm256_movemask_epi8(any);
}

__attribute__((target("avx2"))) static inline uint64_t
bits_avx2(const char *p)
{
    return bits32_avx2(p) | (uint64_t)bits32_avx2(p + 32) << 32;
}

__attribute__((target("avx2,bmi"))) static size_t
split_avx2(const char *p, size_t n, uint16_t *edges, size_t max){SPLIT_BODY(bits_avx2)}

size_t lp_split(const char *p, size_t n, uint16_t *edges, size_t max)
{
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi")
               ? split_avx2(p, n, edges, max)
               : lp_split_portable(p, n, edges, max);
}

#else

size_t
lp_split(const char *p, size_t n, uint16_t *edges, size_t max)
{
    return lp_split_portable(p, n, edges, max);
}

#endif
