/*
 * codec.c - zstd with contexts that are kept between frames. See codec.h.
 */
#include "store/codec.h"

#include <stdatomic.h>
#include <string.h>
#include <zstd.h>

#include "base/bytes.h"

#define PART_ROW_BYTES 9u /* codec u8, decoded bytes u32, stored bytes u32 */

struct lp_codec {
    ZSTD_CCtx *cctx; /* made when first needed */
    ZSTD_DCtx *dctx;
    char *scratch;
    size_t scratch_bytes;
};

/*
 * Objects that were freed, for those who want one next: a search takes several for a millisecond each, and a
 * context costs more to make than a small frame to decode. Taken and put by exchange alone.
 */
#define SPARES 8
#define SPARE_BYTES_MAX (1u << 20)
static _Atomic(struct lp_codec *) spares[SPARES];

struct lp_codec *
lp_codec_new(void)
{
    for (size_t i = 0; i < SPARES; i++) {
        struct lp_codec *c = atomic_exchange(&spares[i], NULL);
        if (c != NULL) {
            return c;
        }
    }
    return lp_calloc(1, sizeof(struct lp_codec));
}

static void
destroy(struct lp_codec *c)
{
    ZSTD_freeCCtx(c->cctx);
    ZSTD_freeDCtx(c->dctx);
    lp_free(c->scratch);
    lp_free(c);
}

void
lp_codec_free(struct lp_codec *c)
{
    if (c == NULL) {
        return;
    }
    /* those that compress live as long as their encoder */
    bool small = c->cctx == NULL && c->scratch_bytes <= SPARE_BYTES_MAX;
    for (size_t i = 0; i < SPARES && small; i++) {
        struct lp_codec *none = NULL;
        if (atomic_compare_exchange_strong(&spares[i], &none, c)) {
            return;
        }
    }
    destroy(c);
}

char *
lp_codec_scratch(struct lp_codec *c, size_t n)
{
    if (c->scratch_bytes < n || c->scratch == NULL) {
        lp_free(c->scratch); /* not realloc: nothing is to be copied */
        c->scratch = lp_malloc(n);
        c->scratch_bytes = n;
    }
    return c->scratch;
}

lp_rc
lp_codec_encode(struct lp_codec *c, int level, struct lp_str raw, struct lp_buf *out, uint8_t *ret_codec,
                struct lp_err *err)
{
    if (level == LP_LEVEL_STORED) {
        *ret_codec = LP_CODEC_STORED;
        return lp_buf_str(out, raw) ? LP_OK : lp_err_set(err, LP_ERR_LIMIT, "encoded block over its limit");
    }
    if (c->cctx == NULL) {
        c->cctx = ZSTD_createCCtx();
        LP_ASSERT(c->cctx != NULL);
    }
    size_t bound = ZSTD_compressBound(raw.n);
    if (!lp_buf_reserve(out, bound)) {
        return lp_err_set(err, LP_ERR_LIMIT, "encoded block over its limit");
    }
    size_t n = ZSTD_compressCCtx(c->cctx, out->p + out->n, bound, raw.p, raw.n, level);
    if (ZSTD_isError(n) || n >= raw.n) {
        *ret_codec = LP_CODEC_STORED;
        lp_buf_str(out, raw); /* fits: bound >= raw.n was reserved */
        return LP_OK;
    }
    out->n += n;
    *ret_codec = LP_CODEC_ZSTD;
    return LP_OK;
}

lp_rc
lp_codec_encode_parts(struct lp_codec *c, int level, struct lp_str raw, const uint32_t *part_ends,
                      size_t nparts, struct lp_buf *out, uint8_t *ret_codec, struct lp_err *err)
{
    LP_ASSERT(nparts >= 1 && nparts <= LP_CODEC_PARTS_MAX && part_ends[nparts - 1] == raw.n);
    if (nparts == 1 || level == LP_LEVEL_STORED) {
        return lp_codec_encode(c, level, raw, out, ret_codec, err);
    }
    size_t head = out->n, at = 0;
    if (!lp_buf_reserve(out, 1 + nparts * PART_ROW_BYTES)) {
        return lp_err_set(err, LP_ERR_LIMIT, "encoded block over its limit");
    }
    out->p[head] = (char)nparts;
    out->n += 1 + nparts * PART_ROW_BYTES;
    for (size_t i = 0; i < nparts; i++) {
        size_t begin = out->n;
        uint8_t codec;
        lp_rc rc = lp_codec_encode(c, level, lp_str_sub(raw, at, part_ends[i]), out, &codec, err);
        if (rc != LP_OK) {
            return rc;
        }
        char *row = out->p + head + 1 + i * PART_ROW_BYTES;
        row[0] = (char)codec;
        lp_put_u32(row + 1, (uint32_t)(part_ends[i] - at));
        lp_put_u32(row + 5, (uint32_t)(out->n - begin));
        at = part_ends[i];
    }
    *ret_codec = LP_CODEC_PARTS;
    return LP_OK;
}

static lp_rc
decode_parts(struct lp_codec *c, struct lp_str stored, char *dst, size_t raw_bytes, struct lp_err *err)
{
    struct lp_rd rows = lp_rd_of(stored);
    uint8_t n = lp_rd_u8(&rows);
    struct lp_str table = lp_rd_bytes(&rows, (size_t)n * PART_ROW_BYTES);
    size_t at = 0;
    if (rows.bad || n < 1 || n > LP_CODEC_PARTS_MAX) {
        return lp_corrupt(err, "a frame of parts is malformed");
    }
    for (uint8_t i = 0; i < n; i++) {
        const char *row = table.p + i * PART_ROW_BYTES;
        size_t raw = lp_get_u32(row + 1);
        struct lp_str part = lp_rd_bytes(&rows, lp_get_u32(row + 5));
        if (rows.bad || raw > raw_bytes - at || (uint8_t)row[0] == LP_CODEC_PARTS) {
            return lp_corrupt(err, "a part of a frame is malformed");
        }
        lp_rc rc = lp_codec_decode(c, (uint8_t)row[0], part, dst + at, raw, err);
        if (rc != LP_OK) {
            return rc;
        }
        at += raw;
    }
    return at == raw_bytes && lp_rd_left(&rows) == 0 ? LP_OK
                                                     : lp_corrupt(err, "parts do not make up their frame");
}

lp_rc
lp_codec_decode(struct lp_codec *c, uint8_t codec, struct lp_str stored, void *dst, size_t raw_bytes,
                struct lp_err *err)
{
    if (codec == LP_CODEC_STORED) {
        if (stored.n != raw_bytes) {
            return lp_corrupt(err, "stored frame of %zu bytes where %zu are due", stored.n, raw_bytes);
        }
        if (raw_bytes > 0) {
            memcpy(dst, stored.p, raw_bytes);
        }
        return LP_OK;
    }
    if (codec == LP_CODEC_PARTS) {
        return decode_parts(c, stored, dst, raw_bytes, err);
    }
    if (codec != LP_CODEC_ZSTD) {
        return lp_err_set(err, LP_ERR_UNSUPPORTED, "frame codec %u is of a later version", codec);
    }
    if (c->dctx == NULL) {
        c->dctx = ZSTD_createDCtx();
        LP_ASSERT(c->dctx != NULL);
    }
    size_t n = ZSTD_decompressDCtx(c->dctx, dst, raw_bytes, stored.p, stored.n);
    if (ZSTD_isError(n) || n != raw_bytes) {
        return lp_corrupt(err, "zstd frame does not decode to its %zu bytes", raw_bytes);
    }
    return LP_OK;
}
