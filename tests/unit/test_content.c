/*
 * test_content.c - oracle: what zlib, zstd and snappy themselves make of the same bytes; limits hold before
 * memory is spent.
 */
#include "ingest/content.h"

#include <snappy-c.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>

#include "tests/unit/unit.h"

static struct lp_str
text(size_t n)
{
    static char buf[200000];
    for (size_t i = 0; i < sizeof(buf); i++) {
        buf[i] = (char)('a' + (i * 2654435761u >> 7) % 23);
    }
    return lp_str_of(buf, n);
}

/* Deflates with zlib's window bits (15 zlib, -15 raw, 31 gzip). */
static struct lp_str
deflated(struct lp_str in, int bits, char *out, size_t cap)
{
    z_stream z = {.next_in = (Bytef *)(uintptr_t)in.p,
                  .avail_in = (uInt)in.n,
                  .next_out = (Bytef *)out,
                  .avail_out = (uInt)cap};
    CU_ASSERT_EQUAL_FATAL(deflateInit2(&z, 9, Z_DEFLATED, bits, 8, Z_DEFAULT_STRATEGY), Z_OK);
    CU_ASSERT_EQUAL_FATAL(deflate(&z, Z_FINISH), Z_STREAM_END);
    size_t n = cap - z.avail_out;
    deflateEnd(&z);
    return lp_str_of(out, n);
}

static lp_rc
decoded_is(const char *encoding, struct lp_str in, struct lp_str want)
{
    struct lp_buf out;
    struct lp_str got = LP_STR_NULL;
    lp_buf_init(&out, SIZE_MAX);
    lp_rc rc = lp_content_decode(lp_str_c(encoding), in, 1 << 20, &out, &got, NULL);
    if (rc == LP_OK) {
        CU_ASSERT(lp_str_eq(got, want));
    }
    lp_buf_clear(&out);
    return rc;
}

static void
all_codings(void)
{
    static char a[300000], b[300000];
    struct lp_str t = text(100000);
    CU_ASSERT_EQUAL(decoded_is("", t, t), LP_OK);
    CU_ASSERT_EQUAL(decoded_is("identity", t, t), LP_OK);
    CU_ASSERT_EQUAL(decoded_is("gzip", deflated(t, 31, a, sizeof(a)), t), LP_OK);
    CU_ASSERT_EQUAL(decoded_is("X-GZIP", deflated(t, 31, a, sizeof(a)), t), LP_OK);
    CU_ASSERT_EQUAL(decoded_is("deflate", deflated(t, 15, a, sizeof(a)), t), LP_OK);
    CU_ASSERT_EQUAL(decoded_is("deflate", deflated(t, -15, a, sizeof(a)), t), LP_OK);
    struct lp_str z = lp_str_of(a, ZSTD_compress(a, sizeof(a), t.p, t.n, 3));
    CU_ASSERT_EQUAL(decoded_is("zstd", z, t), LP_OK);
    size_t n = sizeof(b);
    CU_ASSERT_EQUAL_FATAL(snappy_compress(t.p, t.n, b, &n), SNAPPY_OK);
    CU_ASSERT_EQUAL(decoded_is("snappy", lp_str_of(b, n), t), LP_OK);
    struct lp_str gz_of_z = deflated(z, 31, b, sizeof(b)); /* zstd first, then gzip */
    CU_ASSERT_EQUAL(decoded_is("zstd, gzip", gz_of_z, t), LP_OK);
    CU_ASSERT_EQUAL(decoded_is("br", t, t), LP_ERR_UNSUPPORTED);
    struct lp_str empty = LP_STR("");
    CU_ASSERT_EQUAL(decoded_is("gzip", deflated(empty, 31, a, sizeof(a)), empty), LP_OK);
}

static void
members_behind_each_other(void)
{
    static char a[1000];
    struct lp_str one = deflated(text(100), 31, a, sizeof(a));
    memcpy(a + one.n, a, one.n);
    struct lp_buf out;
    struct lp_str got;
    lp_buf_init(&out, SIZE_MAX);
    CU_ASSERT_EQUAL(lp_content_decode(LP_STR("gzip"), lp_str_of(a, 2 * one.n), 1000, &out, &got, NULL),
                    LP_OK);
    CU_ASSERT_EQUAL(got.n, 200);
    lp_buf_clear(&out);
}

static void
cut_and_changed_bodies_are_refused(void)
{
    static char a[3000];
    struct lp_str t = text(1000);
    static const char *const names[] = {"gzip", "deflate", "zstd", "snappy"};
    for (size_t k = 0; k < LP_ARRAY_LEN(names); k++) {
        size_t n = sizeof(a);
        if (k < 2) {
            n = deflated(t, k == 0 ? 31 : 15, a, sizeof(a)).n;
        } else if (k == 2) {
            n = ZSTD_compress(a, sizeof(a), t.p, t.n, 3);
        } else {
            CU_ASSERT_EQUAL_FATAL(snappy_compress(t.p, t.n, a, &n), SNAPPY_OK);
        }
        for (size_t cut = 1; cut < n; cut += 7) {
            struct lp_buf out;
            struct lp_str got;
            lp_buf_init(&out, SIZE_MAX);
            lp_rc rc = lp_content_decode(lp_str_c(names[k]), lp_str_of(a, cut), 1 << 20, &out, &got, NULL);
            CU_ASSERT_EQUAL(rc, LP_ERR_PARSE);
            lp_buf_clear(&out);
        }
    }
}

static void
bombs_are_refused_early(void)
{
    size_t n = 64u << 20;
    char *zeros = calloc(1, n), *a = malloc(n);
    CU_ASSERT_PTR_NOT_NULL_FATAL(zeros);
    static const char *const names[] = {"gzip", "zstd"};
    for (size_t k = 0; k < LP_ARRAY_LEN(names); k++) {
        struct lp_str in =
            k == 0 ? deflated(lp_str_of(zeros, n), 31, a, n) : lp_str_of(a, ZSTD_compress(a, n, zeros, n, 1));
        struct lp_buf out;
        struct lp_str got;
        lp_buf_init(&out, SIZE_MAX);
        CU_ASSERT_EQUAL(lp_content_decode(lp_str_c(names[k]), in, n, &out, &got, NULL),
                        LP_ERR_LIMIT); /* over 200:1 */
        CU_ASSERT(out.cap <= in.n * LP_CONTENT_RATIO_MAX * 2 + (1 << 20));
        lp_buf_clear(&out);
        CU_ASSERT_EQUAL(lp_content_decode(lp_str_c(names[k]), in, 1000, &out, &got, NULL), LP_ERR_LIMIT);
        CU_ASSERT(out.cap <= (1 << 20));
        lp_buf_clear(&out);
    }
    free(zeros);
    free(a);
}

static void
exactly_the_limit_is_fine(void)
{
    static char a[300000];
    struct lp_str t = text(5000);
    struct lp_str in = deflated(t, 31, a, sizeof(a));
    struct lp_buf out;
    struct lp_str got;
    lp_buf_init(&out, SIZE_MAX);
    CU_ASSERT_EQUAL(lp_content_decode(LP_STR("gzip"), in, 5000, &out, &got, NULL), LP_OK);
    CU_ASSERT(lp_str_eq(got, t));
    CU_ASSERT_EQUAL(lp_content_decode(LP_STR("gzip"), in, 4999, &out, &got, NULL), LP_ERR_LIMIT);
    lp_buf_clear(&out);
}

LP_SUITE(content, {"all codings", all_codings}, {"members behind each other", members_behind_each_other},
         {"cut and changed bodies are refused", cut_and_changed_bodies_are_refused},
         {"bombs are refused early", bombs_are_refused_early},
         {"exactly the limit is fine", exactly_the_limit_is_fine});
