/*
 * test_http_gzip.c - which clients take gzip, and that they get their bytes back. Oracle: RFC 9110,
 * section 12.5.3; zlib's own reader.
 */
#include "server/http_int.h"

#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "tests/unit/unit.h"

static void
who_takes_gzip(void)
{
    static const struct {
        const char *accept;
        bool takes;
    } headers[] = {
        {"", false},
        {"gzip", true},
        {"GZIP", true},
        {"deflate, gzip;q=1.0, *;q=0.5", true},
        {"x-gzip", true},
        {"*", true},
        {"*;q=0", false},
        {"gzip;q=0", false},
        {"gzip; q=0.000", false},
        {"gzip;q=0.1", true},
        {"identity", false},
        {"br, zstd", false},
        {"gzip;q=0, *", false},
        {"gzipped", false},
        {", ,gzip", true},
        {"gzip;level=9;q=0", false},
        {";;;,,", false},
        {"gzip;q=", true},
    };
    for (size_t i = 0; i < LP_ARRAY_LEN(headers); i++) {
        CU_ASSERT_EQUAL(lp_http_takes_gzip(lp_str_c(headers[i].accept)), headers[i].takes);
    }
}

static void
zstd_goes_before_gzip(void)
{
    static const struct {
        const char *accept;
        enum lp_pack_kind kind;
    } headers[] = {
        {"", LP_PACK_NONE},
        {"gzip, deflate", LP_PACK_GZIP},
        {"gzip, deflate, br, zstd", LP_PACK_ZSTD},
        {"ZSTD;q=0.5", LP_PACK_ZSTD},
        {"zstd;q=0, gzip", LP_PACK_GZIP},
        {"zstd;q=0, *;q=0", LP_PACK_NONE},
        {"*", LP_PACK_GZIP},
        {"zstandard", LP_PACK_NONE},
    };
    for (size_t i = 0; i < LP_ARRAY_LEN(headers); i++) {
        CU_ASSERT_EQUAL(lp_http_encoding(lp_str_c(headers[i].accept)), headers[i].kind);
    }
}

static void
bytes_come_back(void)
{
    static const size_t sizes[] = {0, 1, 1000, 100000, 3000000};
    for (size_t i = 0; i < LP_ARRAY_LEN(sizes); i++) {
        size_t n = sizes[i];
        char *body = malloc(n + 1), *back = malloc(n + 1);
        struct lp_buf out;
        uint64_t seed = 9;
        for (size_t k = 0; k < n; k++) {
            body[k] = (char)(k % 7 == 0 ? lp_test_below(&seed, 256) : 'a' + k % 11);
        }
        lp_buf_init(&out, SIZE_MAX);
        CU_ASSERT_TRUE_FATAL(lp_http_gzip(lp_str_of(body, n), &out));
        z_stream z = {.next_in = (Bytef *)out.p,
                      .avail_in = (uInt)out.n,
                      .next_out = (Bytef *)back,
                      .avail_out = (uInt)n + 1};
        CU_ASSERT_EQUAL_FATAL(inflateInit2(&z, 31), Z_OK);
        CU_ASSERT_EQUAL(inflate(&z, Z_FINISH), Z_STREAM_END);
        CU_ASSERT(z.total_out == n && z.avail_in == 0 && memcmp(body, back, n) == 0);
        inflateEnd(&z);
        lp_buf_clear(&out);
        lp_buf_init(&out, 4); /* no room: the answer goes as it is */
        CU_ASSERT_FALSE(lp_http_gzip(lp_str_of(body, n), &out));
        lp_buf_clear(&out);
        free(body);
        free(back);
    }
}

LP_SUITE(http_gzip, {"who takes gzip", who_takes_gzip}, {"zstd goes before gzip", zstd_goes_before_gzip}, {"bytes come back", bytes_come_back});
