/*
 * test_hash.c - hashes. Oracles: RFC 3720 for CRC32C, the published values of XXH3, and the bitwise
 * definition of a CRC.
 */
#include "tests/unit/unit.h"

#include "base/hash.h"

static uint32_t
crc_by_bits(uint32_t crc, const unsigned char *p, size_t n)
{
    crc = ~crc;
    for (size_t i = 0; i < n; i++) {
        crc ^= p[i];
        for (int bit = 0; bit < 8; bit++) {
            crc = crc >> 1 ^ ((crc & 1) != 0 ? 0x82f63b78u : 0);
        }
    }
    return ~crc;
}

static void
crc_of_the_standard(void)
{
    char bytes[32];
    CU_ASSERT_EQUAL(lp_crc32c(0, "123456789", 9), 0xe3069283);
    memset(bytes, 0, sizeof(bytes));
    CU_ASSERT_EQUAL(lp_crc32c(0, bytes, sizeof(bytes)), 0x8a9136aa);
    memset(bytes, 0xff, sizeof(bytes));
    CU_ASSERT_EQUAL(lp_crc32c(0, bytes, sizeof(bytes)), 0x62a8ab43);
    for (unsigned i = 0; i < sizeof(bytes); i++) {
        bytes[i] = (char)i;
    }
    CU_ASSERT_EQUAL(lp_crc32c(0, bytes, sizeof(bytes)), 0x46dd794e);
    CU_ASSERT_EQUAL(lp_crc32c(0, NULL, 0), 0);
}

static void
both_ways_agree(void)
{
    static unsigned char data[40000];
    for (size_t i = 0; i < sizeof(data); i++) {
        data[i] = (unsigned char)(i * i >> 5 ^ i);
    }
    for (size_t n = 0; n < sizeof(data) - 16; n = n < 900 ? n + 1 : n + 811) {
        size_t off = n % 13;
        uint32_t want = crc_by_bits((uint32_t)n, data + off, n);
        CU_ASSERT_EQUAL_FATAL(lp_crc32c((uint32_t)n, data + off, n), want);
        CU_ASSERT_EQUAL_FATAL(lp_crc32c_portable((uint32_t)n, data + off, n), want);
        size_t cut = n / 3;
        uint32_t part = lp_crc32c((uint32_t)n, data + off, cut);
        CU_ASSERT_EQUAL_FATAL(lp_crc32c(part, data + off + cut, n - cut), want); /* in pieces */
    }
}

static void
xxh3_as_published(void)
{
    CU_ASSERT_EQUAL(lp_xxh64("", 0), UINT64_C(0x2d06800538d394c2));
    struct lp_hash128 h = lp_xxh128("", 0);
    CU_ASSERT(h.hi == UINT64_C(0x99aa06d3014798d8) && h.lo == UINT64_C(0x6001c324468d497f));
    CU_ASSERT_NOT_EQUAL(lp_xxh64_seed("a", 1, 1), lp_xxh64("a", 1));
    CU_ASSERT_EQUAL(lp_xxh64_seed("a", 1, 0), lp_xxh64("a", 1));
}

static void
streaming_equals_one_call(void)
{
    static char data[5000];
    struct lp_hasher *h = lp_hasher_new();
    for (size_t i = 0; i < sizeof(data); i++) {
        data[i] = (char)(i * 7);
    }
    for (size_t n = 0; n < sizeof(data); n += 377) {
        lp_hasher_reset(h);
        for (size_t at = 0; at < n; at += 97) {
            lp_hasher_add(h, data + at, LP_MIN((size_t)97, n - at));
        }
        CU_ASSERT_EQUAL(lp_hasher_u64(h), lp_xxh64(data, n));
        CU_ASSERT_EQUAL(lp_xxh64_seed(data, n, 0), lp_xxh64(data, n)); /* without vectors, and with them */
        CU_ASSERT(lp_hash128_eq(lp_hasher_u128(h), lp_xxh128(data, n)));
    }
    lp_hasher_free(h);
    lp_hasher_free(NULL);
}

LP_SUITE(hash, {"CRC of the standard", crc_of_the_standard}, {"both ways agree", both_ways_agree},
         {"XXH3 as published", xxh3_as_published}, {"streaming equals one call", streaming_equals_one_call});
