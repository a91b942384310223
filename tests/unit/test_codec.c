/*
 * test_codec.c - oracle: what was encoded; and FORMAT.md section 2.2: a frame of parts is a count, a row for
 * each part, their stored bytes; all of it decodes to the frame's bytes, or nothing is given.
 */
#include "store/codec.h"

#include <string.h>

#include "base/bytes.h"
#include "tests/unit/store_fixture.h"

#define RAW_BYTES 9000u
#define ROW_BYTES 9u

/* Three parts: text, noise, nothing but zeros. */
static const uint32_t ends[3] = {4000, 7000, RAW_BYTES};

static void
make(char *raw)
{
    uint64_t seed = 1;
    for (uint32_t i = 0; i < RAW_BYTES; i++) {
        raw[i] = i < ends[0] ? "some text "[i % 10] : i < ends[1] ? (char)lp_rand(&seed) : 0;
    }
}

static bool
decodes(struct lp_codec *c, uint8_t codec, const struct lp_buf *stored, size_t raw_bytes, const char *raw)
{
    char *got = lp_malloc(raw_bytes + 1);
    bool ok = lp_codec_decode(c, codec, lp_buf_view(stored), got, raw_bytes, NULL) == LP_OK;
    CU_ASSERT(!ok || raw == NULL || memcmp(got, raw, raw_bytes) == 0);
    lp_free(got);
    return ok;
}

static void
frames_come_back(void)
{
    char raw[RAW_BYTES];
    struct lp_codec *c = lp_codec_new();
    struct lp_buf out;
    uint8_t codec;
    make(raw);
    for (size_t nparts = 0; nparts < 3; nparts++) { /* 0: by lp_codec_encode */
        for (int level = 0; level < 4; level += 3) {
            size_t n = nparts == 0 ? RAW_BYTES : ends[nparts - 1];
            lp_buf_init(&out, SIZE_MAX);
            lp_rc rc = nparts == 0 ? lp_codec_encode(c, level, lp_str_of(raw, n), &out, &codec, NULL)
                                   : lp_codec_encode_parts(c, level, lp_str_of(raw, n), ends, nparts, &out,
                                                           &codec, NULL);
            CU_ASSERT_EQUAL(rc, LP_OK);
            CU_ASSERT_EQUAL(codec, level == 0 ? 0 : nparts > 1 ? 2 : 1);
            CU_ASSERT(level == 0 ? out.n == n : out.n < n);
            CU_ASSERT(decodes(c, codec, &out, n, raw));
            CU_ASSERT(!decodes(c, codec, &out, n - 1, NULL));
            CU_ASSERT(!decodes(c, codec, &out, n + 1, NULL));
            lp_buf_clear(&out);
        }
    }
    lp_codec_free(c);
}

static void
noise_is_stored(void)
{
    char raw[RAW_BYTES];
    struct lp_codec *c = lp_codec_new();
    struct lp_buf out;
    uint8_t codec;
    make(raw);
    lp_buf_init(&out, SIZE_MAX);
    CU_ASSERT_EQUAL(lp_codec_encode_parts(c, 1, lp_str_of(raw, RAW_BYTES), ends, 3, &out, &codec, NULL),
                    LP_OK);
    CU_ASSERT(codec == 2 && out.p[0] == 3);
    CU_ASSERT(out.p[1] == 1 && out.p[1 + ROW_BYTES] == 0 && out.p[1 + 2 * ROW_BYTES] == 1);
    CU_ASSERT_EQUAL(lp_get_u32(out.p + 1 + ROW_BYTES + 5), ends[1] - ends[0]);
    lp_buf_clear(&out);
    lp_codec_free(c);
}

/* Sets a u32 of a part's row and puts it back. */
static bool
with(struct lp_codec *c, struct lp_buf *out, size_t at, uint32_t v, size_t raw_bytes)
{
    uint32_t old = lp_get_u32(out->p + at);
    lp_put_u32(out->p + at, v);
    bool ok = decodes(c, 2, out, raw_bytes, NULL);
    lp_put_u32(out->p + at, old);
    return ok;
}

static void
parts_that_do_not_fit(void)
{
    char raw[RAW_BYTES];
    struct lp_codec *c = lp_codec_new();
    struct lp_buf out;
    uint8_t codec;
    make(raw);
    lp_buf_init(&out, SIZE_MAX);
    CU_ASSERT_EQUAL(lp_codec_encode_parts(c, 1, lp_str_of(raw, RAW_BYTES), ends, 3, &out, &codec, NULL),
                    LP_OK);
    static const uint32_t lengths[] = {0, 1, 3999, 4001, 9001, UINT32_MAX};
    for (size_t i = 0; i < LP_ARRAY_LEN(lengths); i++) {
        CU_ASSERT(!with(c, &out, 2, lengths[i], RAW_BYTES));
        CU_ASSERT(!with(c, &out, 6, lengths[i], RAW_BYTES));
        CU_ASSERT(!with(c, &out, 2 + ROW_BYTES, lengths[i], RAW_BYTES));
    }
    CU_ASSERT(decodes(c, 2, &out, RAW_BYTES, raw));
    for (unsigned n = 0; n < 256; n++) { /* the count */
        out.p[0] = (char)n;
        CU_ASSERT_EQUAL(decodes(c, 2, &out, RAW_BYTES, NULL), n == 3);
    }
    out.p[0] = 3;
    for (unsigned n = 0; n < 256; n++) { /* a part's codec: no parts in parts */
        out.p[1] = (char)n;
        CU_ASSERT_EQUAL(decodes(c, 2, &out, RAW_BYTES, NULL), n == 1);
    }
    out.p[1] = 1;
    out.n--;
    CU_ASSERT(!decodes(c, 2, &out, RAW_BYTES, NULL));
    out.n++;
    lp_buf_u8(&out, 0);
    CU_ASSERT(!decodes(c, 2, &out, RAW_BYTES, NULL));
    lp_buf_clear(&out);
    lp_codec_free(c);
}

/* Stored parts that are too few for the frame: none of it may be taken, as the rest would be anything. */
static void
parts_that_are_too_few(void)
{
    struct lp_codec *c = lp_codec_new();
    struct lp_buf out;
    lp_buf_init(&out, SIZE_MAX);
    lp_buf_u8(&out, 1);
    lp_buf_u8(&out, 0);
    lp_buf_u32(&out, 5);
    lp_buf_u32(&out, 5);
    lp_buf_c(&out, "hello");
    CU_ASSERT(decodes(c, 2, &out, 5, "hello"));
    CU_ASSERT(!decodes(c, 2, &out, 6, NULL));
    CU_ASSERT(!decodes(c, 2, &out, 4, NULL));
    CU_ASSERT(!decodes(c, 3, &out, 5, NULL));
    lp_buf_clear(&out);
    lp_codec_free(c);
}

LP_SUITE(codec, {"frames come back", frames_come_back}, {"noise is stored", noise_is_stored},
         {"parts that do not fit", parts_that_do_not_fit},
         {"parts that are too few", parts_that_are_too_few});
