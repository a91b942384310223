/*
 * test_pack.c - compressed pieces: their bytes come back, and all of them up to each flush, without what
 * follows. Oracle: the readers of zlib and libzstd.
 */
#include "server/pack.h"

#include <stdlib.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>

#include "tests/unit/unit.h"

#define BYTES 1500000
#define OUT_LIMIT (8u << 20)

static const enum lp_pack_kind kinds[] = {LP_PACK_GZIP, LP_PACK_ZSTD};

/* What of packed can be read; *ret_whole: its end was there. */
static size_t
unpack(enum lp_pack_kind kind, struct lp_str packed, char *back, size_t room, bool *ret_whole)
{
    if (kind == LP_PACK_GZIP) {
        z_stream z = {.next_in = (Bytef *)(uintptr_t)packed.p,
                      .avail_in = (uInt)packed.n,
                      .next_out = (Bytef *)back,
                      .avail_out = (uInt)room};
        CU_ASSERT_EQUAL_FATAL(inflateInit2(&z, 31), Z_OK);
        *ret_whole = inflate(&z, Z_SYNC_FLUSH) == Z_STREAM_END;
        size_t n = z.total_out;
        inflateEnd(&z);
        return n;
    }
    ZSTD_DCtx *ctx = ZSTD_createDCtx();
    ZSTD_inBuffer in = {packed.p, packed.n, 0};
    ZSTD_outBuffer out = {back, room, 0};
    size_t hint = 1;
    while (in.pos < in.size && !ZSTD_isError(hint)) {
        hint = ZSTD_decompressStream(ctx, &out, &in);
    }
    *ret_whole = hint == 0;
    ZSTD_freeDCtx(ctx);
    return out.pos;
}

static void
fill(char *p, uint64_t seed)
{
    for (size_t i = 0; i < BYTES; i++) {
        p[i] = (char)(i % 7 == 0 ? lp_test_below(&seed, 256) : 'a' + i % 11);
    }
}

static void
flushed_bytes_are_there(void)
{
    char *text = malloc(BYTES), *back = malloc(BYTES + 1);
    fill(text, 3);
    for (size_t k = 0; k < LP_ARRAY_LEN(kinds); k++) {
        struct lp_pack *p = lp_pack_new(kinds[k]);
        struct lp_buf out;
        uint64_t seed = 5;
        bool whole;
        CU_ASSERT_PTR_NOT_NULL_FATAL(p);
        lp_buf_init(&out, OUT_LIMIT);
        for (size_t at = 0; at < BYTES;) {
            size_t n = LP_MIN((size_t)lp_test_below(&seed, 200000), BYTES - at);
            bool flush = lp_test_below(&seed, 2) == 0;
            CU_ASSERT_TRUE_FATAL(
                lp_pack_add(p, lp_str_of(text + at, n), flush ? LP_PACK_FLUSH : LP_PACK_MORE, &out));
            at += n;
            if (flush) {
                CU_ASSERT_EQUAL(unpack(kinds[k], lp_buf_view(&out), back, BYTES + 1, &whole), at);
                CU_ASSERT(!whole && memcmp(text, back, at) == 0);
            }
        }
        CU_ASSERT_TRUE(lp_pack_add(p, LP_STR_NULL, LP_PACK_END, &out));
        CU_ASSERT_EQUAL(unpack(kinds[k], lp_buf_view(&out), back, BYTES + 1, &whole), BYTES);
        CU_ASSERT(whole && memcmp(text, back, BYTES) == 0 && out.n < BYTES);
        lp_buf_clear(&out);
        lp_pack_free(p);
    }
    free(text);
    free(back);
}

static void
nothing_is_a_whole_file(void)
{
    for (size_t k = 0; k < LP_ARRAY_LEN(kinds); k++) {
        struct lp_pack *p = lp_pack_new(kinds[k]);
        struct lp_buf out;
        char back[1];
        bool whole;
        lp_buf_init(&out, OUT_LIMIT);
        CU_ASSERT_TRUE(lp_pack_add(p, LP_STR_NULL, LP_PACK_END, &out));
        CU_ASSERT_EQUAL(unpack(kinds[k], lp_buf_view(&out), back, 1, &whole), 0);
        CU_ASSERT_TRUE(whole);
        lp_buf_clear(&out);
        lp_pack_free(p);
    }
}

static void
a_full_buffer_is_told(void)
{
    char *text = malloc(BYTES);
    fill(text, 4);
    for (size_t k = 0; k < LP_ARRAY_LEN(kinds); k++) {
        struct lp_pack *p = lp_pack_new(kinds[k]);
        struct lp_buf out;
        lp_buf_init(&out, 1000);
        CU_ASSERT_FALSE(lp_pack_add(p, lp_str_of(text, BYTES), LP_PACK_END, &out));
        CU_ASSERT(out.n <= 1000);
        lp_buf_clear(&out);
        lp_pack_free(p);
    }
    free(text);
}

LP_SUITE(pack, {"flushed bytes are there", flushed_bytes_are_there},
         {"nothing is a whole file", nothing_is_a_whole_file},
         {"a full buffer is told", a_full_buffer_is_told});
