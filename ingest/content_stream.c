/*
 * content_stream.c - see content_stream.h. Plain content is copied, so that a reader has one way for all.
 */
#include "ingest/content_stream.h"

#include <string.h>
#include <zlib.h>
#include <zstd.h>

#define ZSTD_WINDOW_LOG_MAX 27 /* what the zstd command reads without a flag: 128 MiB */

struct lp_content_stream {
    enum lp_stream_coding coding;
    z_stream gzip;
    ZSTD_DCtx *zstd;
    bool inside; /* a member or frame is begun and has not ended */
};

enum lp_stream_coding
lp_content_stream_sniff(struct lp_str head)
{
    if (lp_str_starts(head, LP_STR("\x1f\x8b"))) {
        return LP_STREAM_GZIP;
    }
    return lp_str_starts(head, LP_STR("\x28\xb5\x2f\xfd")) ? LP_STREAM_ZSTD : LP_STREAM_PLAIN;
}

struct lp_content_stream *
lp_content_stream_new(enum lp_stream_coding coding)
{
    struct lp_content_stream *z = lp_calloc(1, sizeof(*z));
    z->coding = coding;
    if (coding == LP_STREAM_GZIP) {
        LP_ASSERT(inflateInit2(&z->gzip, 31) == Z_OK); /* fails for want of memory only, as lp_malloc ends */
    } else if (coding == LP_STREAM_ZSTD) {
        z->zstd = ZSTD_createDCtx();
        LP_ASSERT(z->zstd != NULL);
        (void)ZSTD_DCtx_setParameter(z->zstd, ZSTD_d_windowLogMax,
                                     ZSTD_WINDOW_LOG_MAX); /* a valid constant */
    }
    return z;
}

void
lp_content_stream_free(struct lp_content_stream *z)
{
    if (z == NULL) {
        return;
    }
    if (z->coding == LP_STREAM_GZIP) {
        inflateEnd(&z->gzip);
    }
    ZSTD_freeDCtx(z->zstd);
    lp_free(z);
}

static lp_rc
step_gzip(struct lp_content_stream *z, struct lp_str *in, char *out, size_t cap, size_t *ret_n,
          struct lp_err *err)
{
    z->gzip.next_in = (Bytef *)(uintptr_t)in->p;
    z->gzip.avail_in = (uInt)LP_MIN(in->n, (size_t)1 << 30);
    z->gzip.next_out = (Bytef *)out;
    z->gzip.avail_out = (uInt)LP_MIN(cap, (size_t)1 << 30);
    uInt had_in = z->gzip.avail_in, had_out = z->gzip.avail_out;
    int zrc = inflate(&z->gzip, Z_NO_FLUSH);
    if (zrc != Z_OK && zrc != Z_STREAM_END && zrc != Z_BUF_ERROR) {
        return lp_err_set(err, LP_ERR_PARSE, "the gzip data is damaged");
    }
    size_t used = had_in - z->gzip.avail_in;
    z->inside = zrc == Z_STREAM_END ? false : z->inside || used > 0;
    if (zrc == Z_STREAM_END) { /* another member may follow */
        (void)inflateReset(&z->gzip);
    }
    *in = lp_str_sub(*in, used, in->n);
    *ret_n = had_out - z->gzip.avail_out;
    return LP_OK;
}

static lp_rc
step_zstd(struct lp_content_stream *z, struct lp_str *in, char *out, size_t cap, size_t *ret_n,
          struct lp_err *err)
{
    ZSTD_inBuffer src = {in->p, in->n, 0};
    ZSTD_outBuffer dst = {out, cap, 0};
    size_t hint = ZSTD_decompressStream(z->zstd, &dst, &src);
    if (ZSTD_isError(hint)) {
        return lp_err_set(err, LP_ERR_PARSE, "the zstd data is damaged: %s", ZSTD_getErrorName(hint));
    }
    z->inside = hint != 0 && (z->inside || src.pos > 0 || dst.pos > 0);
    *in = lp_str_sub(*in, src.pos, in->n);
    *ret_n = dst.pos;
    return LP_OK;
}

lp_rc
lp_content_stream_step(struct lp_content_stream *z, struct lp_str *in, char *out, size_t cap, size_t *ret_n,
                       struct lp_err *err)
{
    LP_ASSERT(cap > 0);
    *ret_n = 0;
    if (z->coding == LP_STREAM_GZIP) {
        return step_gzip(z, in, out, cap, ret_n, err);
    }
    if (z->coding == LP_STREAM_ZSTD) {
        return step_zstd(z, in, out, cap, ret_n, err);
    }
    size_t n = LP_MIN(in->n, cap);
    if (n > 0) {
        memcpy(out, in->p, n);
    }
    *in = lp_str_sub(*in, n, in->n);
    *ret_n = n;
    return LP_OK;
}

bool
lp_content_stream_whole(const struct lp_content_stream *z)
{
    return !z->inside;
}
