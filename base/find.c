/*
 * find.c - searching bytes for bytes.
 *
 * The vector ways look for the needle's first and last byte at once: 32 (or 64) places of the haystack are
 * compared a step, and only where both bytes are right is the middle looked at. The last step is moved back
 * so that it ends with the haystack, and so nothing behind it is read; with AVX-512 it is masked instead.
 * Letters of either case are compared with bit 0x20 set in the haystack's byte, which only the other case of
 * a lower-case letter becomes equal by.
 *
 * The choice among the ways is made once, at the first call, and published by one atomic pointer.
 */
#include "base/find.h"

#include <stdatomic.h>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include "base/find_int.h"

/* The vector ways take time in proportion to the needle at worst; what is longer goes to memmem, which does
 * not. */
#define VECTOR_NEEDLE_MAX 256u

/* The bit that tells the cases of a letter apart; 0 for all else. */
static inline char
case_bit(char c)
{
    return c >= 'a' && c <= 'z' ? 0x20 : 0;
}

/* Is the needle at p? `icase` is a constant of each caller. */
static inline __attribute__((always_inline)) bool
is_here(const char *p, const char *needle, size_t n, bool icase)
{
    if (!icase) {
        return memcmp(p, needle, n) == 0;
    }
    for (size_t i = 0; i < n; i++) {
        if ((char)(p[i] | case_bit(needle[i])) != needle[i]) {
            return false;
        }
    }
    return true;
}

/* ----------------------------------------------------------------- portable */

static size_t
find_portable(struct lp_str hay, struct lp_str needle)
{
    if (needle.n == 0) {
        return 0;
    }
    const char *at = needle.n <= hay.n ? memmem(hay.p, hay.n, needle.p, needle.n) : NULL;
    return at != NULL ? (size_t)(at - hay.p) : SIZE_MAX;
}

static size_t
find_icase_portable(struct lp_str hay, struct lp_str needle)
{
    for (size_t i = 0; needle.n <= hay.n && i <= hay.n - needle.n; i++) {
        if (is_here(hay.p + i, needle.p, needle.n, true)) {
            return i;
        }
    }
    return SIZE_MAX;
}

static bool
all_ascii_portable(struct lp_str s)
{
    uint64_t bits = 0, eight;
    size_t i = 0;
    for (; s.n - i >= sizeof(eight); i += sizeof(eight)) {
        memcpy(&eight, s.p + i, sizeof(eight));
        bits |= eight;
    }
    for (; i < s.n; i++) {
        bits |= (unsigned char)s.p[i];
    }
    return (bits & UINT64_C(0x8080808080808080)) == 0;
}

static const struct lp_find_way portable = {"portable", find_portable, find_icase_portable,
                                            all_ascii_portable};

#if defined(__x86_64__)

/* For haystacks with few places to look at. */
static inline __attribute__((always_inline)) size_t
find_few(const char *p, size_t places, const char *needle, size_t n, bool icase)
{
    for (size_t i = 0; i < places; i++) {
        if (is_here(p + i, needle, n, icase)) {
            return i;
        }
    }
    return SIZE_MAX;
}

/* The first place among those of `mask`, bit i being place `from` + i; SIZE_MAX when the middle is wrong at
 * all. */
static inline __attribute__((always_inline)) size_t
find_masked(uint64_t mask, const char *p, size_t from, const char *needle, size_t n, bool icase)
{
    for (; mask != 0; mask &= mask - 1) {
        size_t at = from + (size_t)__builtin_ctzll(mask);
        if (n <= 2 || is_here(p + at + 1, needle + 1, n - 2, icase)) {
            return at;
        }
    }
    return SIZE_MAX;
}

/* ------------------------------------------------------------ AVX2 and below */

/* At which of the 16 places from p on are first and last byte right? */
static inline __attribute__((always_inline)) uint64_t
mask16(const char *p, const char *needle, size_t n, bool icase)
{
    __m128i a = _mm_loadu_si128((const __m128i *)(const void *)p);
    __m128i b = _mm_loadu_si128((const __m128i *)(const void *)(p + n - 1));
    if (icase) {
        a = _mm_or_si128(a, _mm_set1_epi8(case_bit(needle[0])));
        b = _mm_or_si128(b, _mm_set1_epi8(case_bit(needle[n - 1])));
    }
    a = _mm_cmpeq_epi8(a, _mm_set1_epi8(needle[0]));
    b = _mm_cmpeq_epi8(b, _mm_set1_epi8(needle[n - 1]));
    return (uint64_t)(unsigned)_mm_movemask_epi8(_mm_and_si128(a, b));
}

/* Fewer than 32 places. */
static inline __attribute__((always_inline)) size_t
find_short(const char *p, size_t places, const char *needle, size_t n, bool icase)
{
    if (places < 16) {
        return find_few(p, places, needle, n, icase);
    }
    size_t at = find_masked(mask16(p, needle, n, icase), p, 0, needle, n, icase);
    if (at == SIZE_MAX && places > 16) {
        at = find_masked(mask16(p + places - 16, needle, n, icase), p, places - 16, needle, n, icase);
    }
    return at;
}

#define AVX2 __attribute__((target("avx2,bmi")))

AVX2 static inline __attribute__((always_inline)) size_t
find_avx2(struct lp_str hay, struct lp_str needle, bool icase)
{
    const char *p = hay.p;
    size_t n = needle.n, places = hay.n - n + 1;
    if (places < 32) {
        return find_short(p, places, needle.p, n, icase);
    }
    __m256i first = _mm256_set1_epi8(needle.p[0]), last = _mm256_set1_epi8(needle.p[n - 1]);
    __m256i first_bit = _mm256_set1_epi8(case_bit(needle.p[0]));
    __m256i last_bit = _mm256_set1_epi8(case_bit(needle.p[n - 1]));
    for (size_t i = 0;; i = LP_MIN(i + 32, places - 32)) {
        __m256i a = _mm256_loadu_si256((const __m256i *)(const void *)(p + i));
        __m256i b = _mm256_loadu_si256((const __m256i *)(const void *)(p + i + n - 1));
        if (icase) {
            a = _mm256_or_si256(a, first_bit);
            b = _mm256_or_si256(b, last_bit);
        }
        __m256i both = _mm256_and_si256(_mm256_cmpeq_epi8(a, first), _mm256_cmpeq_epi8(b, last));
        size_t at = find_masked((unsigned)_mm256_movemask_epi8(both), p, i, needle.p, n, icase);
        if (at != SIZE_MAX || i + 32 >= places) {
            return at;
        }
    }
}

AVX2 static size_t
find_case_avx2(struct lp_str hay, struct lp_str needle)
{
    bool fits = needle.n > 0 && needle.n <= hay.n && needle.n <= VECTOR_NEEDLE_MAX;
    return fits ? find_avx2(hay, needle, false) : find_portable(hay, needle);
}

AVX2 static size_t
find_icase_avx2(struct lp_str hay, struct lp_str needle)
{
    bool fits = needle.n > 0 && needle.n <= hay.n;
    return fits ? find_avx2(hay, needle, true) : find_icase_portable(hay, needle);
}

AVX2 static bool
all_ascii_avx2(struct lp_str s)
{
    if (s.n < 32) {
        return all_ascii_portable(s);
    }
    __m256i bits = _mm256_setzero_si256();
    for (size_t i = 0;; i = LP_MIN(i + 32, s.n - 32)) {
        bits = _mm256_or_si256(bits, _mm256_loadu_si256((const __m256i *)(const void *)(s.p + i)));
        if (i + 32 >= s.n) {
            return _mm256_movemask_epi8(bits) == 0;
        }
    }
}

static const struct lp_find_way avx2 = {"avx2", find_case_avx2, find_icase_avx2, all_ascii_avx2};

/* ------------------------------------------------------------------ AVX-512 */

#define AVX512 __attribute__((target("avx512f,avx512bw,bmi,bmi2")))

AVX512 static inline __attribute__((always_inline)) size_t
find_avx512(struct lp_str hay, struct lp_str needle, bool icase)
{
    const char *p = hay.p;
    size_t n = needle.n, places = hay.n - n + 1;
    __m512i first = _mm512_set1_epi8(needle.p[0]), last = _mm512_set1_epi8(needle.p[n - 1]);
    __m512i first_bit = _mm512_set1_epi8(case_bit(needle.p[0]));
    __m512i last_bit = _mm512_set1_epi8(case_bit(needle.p[n - 1]));
    for (size_t i = 0; i < places; i += 64) {
        __mmask64 in = places - i >= 64 ? ~UINT64_C(0) : _bzhi_u64(~UINT64_C(0), (unsigned)(places - i));
        __m512i a = _mm512_maskz_loadu_epi8(in, p + i);
        __m512i b = _mm512_maskz_loadu_epi8(in, p + i + n - 1);
        if (icase) {
            a = _mm512_or_si512(a, first_bit);
            b = _mm512_or_si512(b, last_bit);
        }
        uint64_t mask = _mm512_mask_cmpeq_epi8_mask(_mm512_mask_cmpeq_epi8_mask(in, a, first), b, last);
        size_t at = find_masked(mask, p, i, needle.p, n, icase);
        if (at != SIZE_MAX) {
            return at;
        }
    }
    return SIZE_MAX;
}

AVX512 static size_t
find_case_avx512(struct lp_str hay, struct lp_str needle)
{
    bool fits = needle.n > 0 && needle.n <= hay.n && needle.n <= VECTOR_NEEDLE_MAX;
    return fits ? find_avx512(hay, needle, false) : find_portable(hay, needle);
}

AVX512 static size_t
find_icase_avx512(struct lp_str hay, struct lp_str needle)
{
    bool fits = needle.n > 0 && needle.n <= hay.n;
    return fits ? find_avx512(hay, needle, true) : find_icase_portable(hay, needle);
}

AVX512 static bool
all_ascii_avx512(struct lp_str s)
{
    __m512i bits = _mm512_setzero_si512();
    for (size_t i = 0; i < s.n; i += 64) {
        __mmask64 in = s.n - i >= 64 ? ~UINT64_C(0) : _bzhi_u64(~UINT64_C(0), (unsigned)(s.n - i));
        bits = _mm512_or_si512(bits, _mm512_maskz_loadu_epi8(in, s.p + i));
    }
    return _mm512_movepi8_mask(bits) == 0;
}

static const struct lp_find_way avx512 = {"avx512", find_case_avx512, find_icase_avx512, all_ascii_avx512};

#endif

/* ------------------------------------------------------------------- choice */

size_t
lp_find_ways(const struct lp_find_way *ret[LP_FIND_WAYS_MAX])
{
    size_t n = 0;
    ret[n++] = &portable;
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi")) {
        ret[n++] = &avx2;
        if (__builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("bmi2")) {
            ret[n++] = &avx512;
        }
    }
#endif
    return n;
}

static _Atomic(const struct lp_find_way *) chosen;

/* Threads that come first at once choose the same. */
static inline const struct lp_find_way *
way(void)
{
    const struct lp_find_way *w = atomic_load_explicit(&chosen, memory_order_acquire);
    if (LP_UNLIKELY(w == NULL)) {
        const struct lp_find_way *ways[LP_FIND_WAYS_MAX];
        w = ways[lp_find_ways(ways) - 1];
        atomic_store_explicit(&chosen, w, memory_order_release);
    }
    return w;
}

size_t
lp_find(struct lp_str hay, struct lp_str needle)
{
    return way()->find(hay, needle);
}

size_t
lp_find_icase(struct lp_str hay, struct lp_str needle)
{
    return way()->find_icase(hay, needle);
}

bool
lp_all_ascii(struct lp_str s)
{
    return way()->all_ascii(s);
}
