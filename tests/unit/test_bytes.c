/*
 * test_bytes.c - integers and varints in bytes. Oracle: what was put comes back, and hostile input is
 * refused.
 */
#include "tests/unit/unit.h"

#include "base/bytes.h"

/* xorshift64, so that a failure repeats */
static uint64_t
next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

static void
varints_come_back(void)
{
    struct lp_buf b;
    uint64_t seed = 42;
    lp_buf_init(&b, 1 << 20);
    for (int i = 0; i < 20000; i++) {
        uint64_t v = next_random(&seed) >> (next_random(&seed) & 63);
        int64_t sv = (int64_t)(next_random(&seed)) >> (next_random(&seed) & 63);
        lp_buf_reset(&b);
        CU_ASSERT_FATAL(lp_buf_varint(&b, v) && lp_buf_svarint(&b, sv));
        struct lp_rd r = lp_rd_of(lp_buf_view(&b));
        CU_ASSERT_EQUAL_FATAL(lp_rd_varint(&r), v);
        CU_ASSERT_EQUAL_FATAL(lp_rd_svarint(&r), sv);
        CU_ASSERT_FATAL(!r.bad && lp_rd_left(&r) == 0);
    }
    lp_buf_clear(&b);
}

static void
varint_edges(void)
{
    static const struct {
        struct lp_str raw;
        uint64_t v;
        bool bad;
    } cases[] = {
        {LP_STR("\x00"), 0, false},
        {LP_STR("\x7f"), 127, false},
        {LP_STR("\x80\x01"), 128, false},
        {LP_STR("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"), UINT64_MAX, false},
        {LP_STR("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02"), 0, true},     /* a 65th bit */
        {LP_STR("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x81\x00"), 0, true}, /* eleven bytes */
        {LP_STR("\x80"), 0, true},
        {LP_STR(""), 0, true},
    };
    for (size_t i = 0; i < LP_ARRAY_LEN(cases); i++) {
        struct lp_rd r = lp_rd_of(cases[i].raw);
        CU_ASSERT_EQUAL(lp_rd_varint(&r), cases[i].v);
        CU_ASSERT_EQUAL(r.bad, cases[i].bad);
    }
}

static void
fixed_widths_are_little_endian(void)
{
    struct lp_buf b;
    lp_buf_init(&b, 64);
    CU_ASSERT(lp_buf_u8(&b, 1) && lp_buf_u16(&b, 0x0302) && lp_buf_u32(&b, 0x07060504));
    CU_ASSERT(lp_buf_u64(&b, UINT64_C(0x0f0e0d0c0b0a0908)));
    CU_ASSERT(lp_str_eqc(lp_buf_view(&b), "\1\2\3\4\5\6\7\x8\x9\xa\xb\xc\xd\xe\xf"));
    struct lp_rd r = lp_rd_of(lp_buf_view(&b));
    CU_ASSERT_EQUAL(lp_rd_u8(&r), 1);
    CU_ASSERT_EQUAL(lp_rd_u16(&r), 0x0302);
    CU_ASSERT_EQUAL(lp_rd_u32(&r), 0x07060504);
    CU_ASSERT_EQUAL(lp_rd_u64(&r), UINT64_C(0x0f0e0d0c0b0a0908));
    CU_ASSERT(!r.bad);
    lp_buf_clear(&b);
}

static void
big_endian_sorts_by_value(void)
{
    uint8_t a[8], c[8];
    uint64_t seed = 7;
    for (int i = 0; i < 1000; i++) {
        uint64_t x = next_random(&seed), y = next_random(&seed);
        lp_put_be64(a, x);
        lp_put_be64(c, y);
        CU_ASSERT((memcmp(a, c, 8) < 0) == (x < y));
        CU_ASSERT_EQUAL(lp_get_be64(a), x);
        lp_put_be32(a, (uint32_t)x);
        CU_ASSERT_EQUAL(lp_get_be32(a), (uint32_t)x);
    }
}

static void
a_short_reader_stays_bad(void)
{
    struct lp_rd r = lp_rd_of(LP_STR("\1\2\3"));
    CU_ASSERT_EQUAL(lp_rd_u32(&r), 0);
    CU_ASSERT(r.bad);
    CU_ASSERT_EQUAL(lp_rd_u8(&r), 0); /* though three bytes are left */
    CU_ASSERT_EQUAL(lp_rd_left(&r), 0);
    CU_ASSERT_PTR_NULL(lp_rd_bytes(&r, 0).p);

    r = lp_rd_of(LP_STR("\xff\xff\xff\xff\x0f"
                        "ab")); /* a length of 4 GiB in front of two bytes */
    CU_ASSERT_EQUAL(lp_rd_lpstr(&r).n, 0);
    CU_ASSERT(r.bad);

    r = lp_rd_of(LP_STR_NULL);
    CU_ASSERT_EQUAL(lp_rd_bytes(&r, 0).n, 0);
    CU_ASSERT(!r.bad);
}

static void
strings_carry_their_length(void)
{
    struct lp_buf b;
    lp_buf_init(&b, 8);
    CU_ASSERT(lp_buf_lpstr(&b, LP_STR("a\0b")));
    CU_ASSERT(!lp_buf_lpstr(&b, LP_STR("12345"))); /* 4 + 6 bytes: over the limit */
    CU_ASSERT(b.failed && b.n == 4);
    struct lp_rd r = lp_rd_of(lp_buf_view(&b));
    CU_ASSERT(lp_str_eq(lp_rd_lpstr(&r), LP_STR("a\0b")));
    CU_ASSERT(!r.bad && lp_rd_left(&r) == 0);
    lp_buf_clear(&b);
}

LP_SUITE(bytes, {"varints come back", varints_come_back}, {"varint edges", varint_edges},
         {"fixed widths are little endian", fixed_widths_are_little_endian},
         {"big endian sorts by value", big_endian_sorts_by_value},
         {"a short reader stays bad", a_short_reader_stays_bad},
         {"strings carry their length", strings_carry_their_length});
