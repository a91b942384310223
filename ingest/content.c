/*
 * content.c - content encodings with limits. See content.h. Pure: bytes to bytes.
 */
#include "ingest/content.h"

#include <snappy-c.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>

#include "base/bytes.h"
#include "base/hash.h"

#define STEP_BYTES (256u << 10)
#define RATIO_SLACK_BYTES (64u << 10)
#define ZSTD_WINDOW_LOG_MAX 23
#define CODINGS_MAX 3

/* What a body of n bytes may become. */
static size_t
output_max(size_t n, size_t max_bytes)
{
    size_t by_ratio = n > (SIZE_MAX - RATIO_SLACK_BYTES) / LP_CONTENT_RATIO_MAX
                          ? SIZE_MAX
                          : n * LP_CONTENT_RATIO_MAX + RATIO_SLACK_BYTES;
    return LP_MIN(by_ratio, max_bytes);
}

static lp_rc
too_large(size_t max, struct lp_err *err)
{
    return lp_err_set(err, LP_ERR_LIMIT, "the body is larger than %zu bytes once decompressed", max);
}

static lp_rc
damaged(const char *what, struct lp_err *err)
{
    return lp_err_set(err, LP_ERR_PARSE, "the body is not whole %s data", what);
}

/* Makes room for the next step of output within max; 0 when max is reached. */
static size_t
room(struct lp_buf *out, size_t max)
{
    size_t n = LP_MIN((size_t)STEP_BYTES, max - out->n);
    return n > 0 && lp_buf_reserve(out, n) ? n : 0;
}

/* --- zlib --- */

/* window_bits as inflateInit2 takes them: 15 zlib, -15 raw, 31 gzip (members one behind another). */
static lp_rc
inflate_all(struct lp_str in, int window_bits, const char *what, size_t max, struct lp_buf *out,
            struct lp_err *err)
{
    z_stream z = {.next_in = (Bytef *)(uintptr_t)in.p};
    size_t left = in.n;
    lp_rc rc = LP_OK;
    int zrc = Z_OK;
    if (inflateInit2(&z, window_bits) != Z_OK) {
        return lp_err_set(err, LP_ERR_NOMEM, "no memory to decompress");
    }
    do {
        if (zrc == Z_STREAM_END) { /* another gzip member */
            zrc = inflateReset(&z);
        }
        size_t n = room(out, max);
        uInt chunk = (uInt)LP_MIN(left, (size_t)1 << 30);
        unsigned char over;
        z.avail_in = chunk;
        z.next_out = n > 0 ? (Bytef *)(out->p + out->n) : &over;
        z.avail_out = n > 0 ? (uInt)n : 1; /* at the limit: one byte more tells whether it is too large */
        uInt had = z.avail_out;
        zrc = inflate(&z, Z_NO_FLUSH);
        left -= chunk - z.avail_in;
        if (n == 0 && z.avail_out == 0) {
            rc = too_large(max, err);
        } else if (zrc != Z_OK && zrc != Z_STREAM_END) {
            rc = damaged(what, err);
        } else {
            out->n += n > 0 ? had - z.avail_out : 0;
        }
    } while (rc == LP_OK && (zrc != Z_STREAM_END || (left > 0 && window_bits > 15)));
    inflateEnd(&z);
    return rc == LP_OK && left > 0 ? damaged(what, err) : rc;
}

static lp_rc
decode_gzip(struct lp_str in, size_t max, struct lp_buf *out, struct lp_err *err)
{
    return inflate_all(in, 31, "gzip", max, out, err);
}

/* Senders disagree on what deflate means: zlib by the standard, raw by many. A zlib header tells itself. */
static lp_rc
decode_deflate(struct lp_str in, size_t max, struct lp_buf *out, struct lp_err *err)
{
    const uint8_t *p = (const uint8_t *)in.p;
    bool zlib = in.n >= 2 && (p[0] & 0x0f) == 8 && (p[0] << 8 | p[1]) % 31 == 0;
    if (zlib) {
        lp_rc rc = inflate_all(in, 15, "deflate", max, out, err);
        if (rc != LP_ERR_PARSE) {
            return rc;
        }
        lp_buf_reset(out); /* raw data may look like a zlib header by chance */
    }
    return inflate_all(in, -15, "deflate", max, out, err);
}

/* --- zstd --- */

static lp_rc
decode_zstd(struct lp_str in, size_t max, struct lp_buf *out, struct lp_err *err)
{
    ZSTD_DCtx *ctx = ZSTD_createDCtx();
    ZSTD_inBuffer src = {in.p, in.n, 0};
    lp_rc rc = ctx == NULL ? lp_err_set(err, LP_ERR_NOMEM, "no memory to decompress") : LP_OK;
    size_t hint = 1;
    if (rc == LP_OK) {
        (void)ZSTD_DCtx_setParameter(ctx, ZSTD_d_windowLogMax, ZSTD_WINDOW_LOG_MAX); /* a valid constant */
    }
    while (rc == LP_OK && (src.pos < src.size || hint != 0)) {
        size_t n = room(out, max), before = src.pos;
        char over;
        ZSTD_outBuffer dst = {n > 0 ? out->p + out->n : &over, n > 0 ? n : 1, 0};
        hint = ZSTD_decompressStream(ctx, &dst, &src);
        if (ZSTD_isError(hint) || (dst.pos == 0 && src.pos == before && hint != 0)) {
            rc = damaged("zstd", err);
        } else if (n == 0 && dst.pos > 0) {
            rc = too_large(max, err);
        } else {
            out->n += n > 0 ? dst.pos : 0;
        }
    }
    ZSTD_freeDCtx(ctx);
    return rc;
}

/* --- snappy --- */

lp_rc
lp_snappy_size(struct lp_str in, size_t max_bytes, size_t *ret, struct lp_err *err)
{
    size_t max = output_max(in.n, max_bytes);
    if (snappy_uncompressed_length(in.p, in.n, ret) != SNAPPY_OK) {
        return damaged("snappy", err);
    }
    return *ret > max ? too_large(max, err) : LP_OK;
}

lp_rc
lp_snappy_into(struct lp_str in, char *out, size_t n, struct lp_err *err)
{
    size_t made = n;
    if (snappy_uncompress(in.p, in.n, out, &made) != SNAPPY_OK || made != n) {
        return damaged("snappy", err);
    }
    return LP_OK;
}

lp_rc
lp_snappy_block(struct lp_str in, size_t max_bytes, struct lp_buf *out, struct lp_err *err)
{
    size_t n;
    lp_rc rc = lp_snappy_size(in, max_bytes, &n, err);
    if (rc != LP_OK) {
        return rc;
    }
    if (!lp_buf_reserve(out, n + LP_BUF_PAD)) {
        return lp_err_set(err, LP_ERR_NOMEM, "no memory to decompress");
    }
    rc = lp_snappy_into(in, out->p + out->n, n, err);
    out->n += rc == LP_OK ? n : 0;
    return rc;
}

lp_rc
lp_snappy_encode(struct lp_str in, struct lp_buf *out, struct lp_err *err)
{
    size_t n = snappy_max_compressed_length(in.n);
    if (in.n > UINT32_MAX || !lp_buf_reserve(out, n)) {
        return lp_err_set(err, LP_ERR_LIMIT, "%zu bytes are too many for one snappy block here", in.n);
    }
    if (snappy_compress(in.p, in.n, out->p + out->n, &n) != SNAPPY_OK) {
        return lp_err_set(err, LP_ERR_MISUSE, "snappy refused to compress");
    }
    out->n += n;
    return LP_OK;
}

/* The masked CRC32C of the framing format (framing_format.txt of the snappy project). */
static uint32_t
masked_crc(const char *p, size_t n)
{
    uint32_t crc = lp_crc32c(0, p, n);
    return ((crc >> 15) | (crc << 17)) + 0xa282ead8u;
}

static lp_rc
one_chunk(uint8_t type, struct lp_str chunk, size_t max, struct lp_buf *out, struct lp_err *err)
{
    if (type >= 0x80) {
        return LP_OK; /* identifier, padding, skippable */
    }
    if (type > 1 || chunk.n < 4) {
        return damaged("snappy", err);
    }
    struct lp_str data = lp_str_sub(chunk, 4, chunk.n);
    size_t from = out->n;
    lp_rc rc = LP_OK;
    if (type == 1) {
        rc = data.n > max - out->n
                 ? too_large(max, err)
                 : (lp_buf_str(out, data) ? LP_OK : lp_err_set(err, LP_ERR_NOMEM, "no memory"));
    } else {
        rc = lp_snappy_block(data, max - out->n, out, err);
    }
    if (rc == LP_OK && masked_crc(out->p + from, out->n - from) != lp_get_u32(chunk.p)) {
        rc = damaged("snappy", err);
    }
    return rc;
}

/* The framed stream where it begins with its identifier, else one block. */
static lp_rc
decode_snappy(struct lp_str in, size_t max, struct lp_buf *out, struct lp_err *err)
{
    static const char magic[] = "\xff\x06\x00\x00sNaPpY";
    if (in.n < sizeof(magic) - 1 || memcmp(in.p, magic, sizeof(magic) - 1) != 0) {
        return lp_snappy_block(in, max, out, err);
    }
    struct lp_rd rd = lp_rd_of(in);
    lp_rc rc = LP_OK;
    while (rc == LP_OK && lp_rd_left(&rd) > 0) {
        uint32_t head = lp_rd_u32(&rd);
        struct lp_str chunk = lp_rd_bytes(&rd, head >> 8);
        rc = rd.bad ? damaged("snappy", err) : one_chunk((uint8_t)head, chunk, max, out, err);
    }
    return rc;
}

/* --- by name --- */

static const struct coding {
    const char *name;
    lp_rc (*decode)(struct lp_str in, size_t max, struct lp_buf *out, struct lp_err *err);
} codings[] = {
    {"gzip", decode_gzip}, {"x-gzip", decode_gzip},   {"deflate", decode_deflate},
    {"zstd", decode_zstd}, {"snappy", decode_snappy},
};

static const struct coding *
find_coding(struct lp_str name)
{
    for (size_t i = 0; i < LP_ARRAY_LEN(codings); i++) {
        if (lp_str_ieq(name, lp_str_c(codings[i].name))) {
            return &codings[i];
        }
    }
    return NULL;
}

/* The codings of a header value, in the order they were applied; identity vanishes. */
static lp_rc
parse_codings(struct lp_str encoding, const struct coding *list[CODINGS_MAX], size_t *ret_n,
              struct lp_err *err)
{
    size_t n = 0;
    while (encoding.p != NULL) {
        struct lp_str name = lp_str_trim(lp_str_cut(&encoding, ','));
        if (name.n == 0 || lp_str_ieq(name, LP_STR("identity"))) {
            continue;
        }
        const struct coding *c = find_coding(name);
        if (c == NULL || n == CODINGS_MAX) {
            return lp_err_set(err, LP_ERR_UNSUPPORTED, "Content-Encoding \"" LP_STR_FMT "\" not supported",
                              LP_STR_ARG(name));
        }
        list[n++] = c;
    }
    *ret_n = n;
    return LP_OK;
}

lp_rc
lp_content_decode(struct lp_str encoding, struct lp_str in, size_t max_bytes, struct lp_buf *out,
                  struct lp_str *ret, struct lp_err *err)
{
    const struct coding *list[CODINGS_MAX];
    size_t n = 0;
    struct lp_buf before;
    lp_rc rc = parse_codings(encoding, list, &n, err);
    if (rc != LP_OK) {
        return rc;
    }
    if (in.n > max_bytes) {
        return too_large(max_bytes, err);
    }
    lp_buf_init(&before, SIZE_MAX);
    for (size_t i = n; i-- > 0 && rc == LP_OK;) {
        if (i + 1 < n) { /* the output so far is the next input */
            struct lp_buf t = before;
            before = *out;
            *out = t;
            in = lp_buf_view(&before);
        }
        lp_buf_reset(out);
        rc = list[i]->decode(in, output_max(in.n, max_bytes), out, err);
    }
    if (rc == LP_OK && n > 0 && !lp_buf_reserve(out, LP_BUF_PAD)) {
        rc = lp_err_set(err, LP_ERR_NOMEM, "no memory to decompress");
    }
    lp_buf_clear(&before);
    if (rc == LP_OK) {
        *ret = n > 0 ? lp_buf_view(out) : in;
    }
    return rc;
}
