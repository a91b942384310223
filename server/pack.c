/*
 * pack.c - see pack.h.
 *
 * Levels are low: an answer is made while its reader waits, and sent once.
 */
#include "server/pack.h"

#include <zlib.h>
#include <zstd.h>

#define GZIP_LEVEL 1
#define GZIP_WINDOW_BITS 31 /* 15, and the form of gzip */
#define GZIP_MEMORY 8
#define ZSTD_LEVEL 1
#define PIECE_MAX (1u << 30)
#define ROOM_MAX (64u << 10) /* of out, taken at a time */
#define ROOM_MIN 64u         /* a flush in zlib needs more than 6 */

struct lp_pack {
    z_stream z;
    ZSTD_CCtx *zstd; /* NULL: gzip */
};

static bool
begin_zstd(struct lp_pack *p)
{
    p->zstd = ZSTD_createCCtx();
    if (p->zstd == NULL) {
        return false;
    }
    (void)ZSTD_CCtx_setParameter(p->zstd, ZSTD_c_compressionLevel, ZSTD_LEVEL); /* valid constants */
    (void)ZSTD_CCtx_setParameter(p->zstd, ZSTD_c_checksumFlag, 1);
    return true;
}

struct lp_pack *
lp_pack_new(enum lp_pack_kind kind)
{
    LP_ASSERT(kind != LP_PACK_NONE);
    struct lp_pack *p = lp_calloc(1, sizeof(*p));
    bool ok = kind == LP_PACK_ZSTD ? begin_zstd(p)
                                   : deflateInit2(&p->z, GZIP_LEVEL, Z_DEFLATED, GZIP_WINDOW_BITS,
                                                  GZIP_MEMORY, Z_DEFAULT_STRATEGY) == Z_OK;
    if (!ok) {
        lp_free(p);
        return NULL;
    }
    return p;
}

void
lp_pack_free(struct lp_pack *p)
{
    if (p == NULL) {
        return;
    }
    if (p->zstd != NULL) {
        ZSTD_freeCCtx(p->zstd);
    } else {
        deflateEnd(&p->z);
    }
    lp_free(p);
}

static bool
add_gzip(z_stream *z, struct lp_str piece, enum lp_pack_step step, size_t room, struct lp_buf *out)
{
    static const int flushes[] = {Z_NO_FLUSH, Z_SYNC_FLUSH, Z_FINISH};
    z->next_in = (Bytef *)(uintptr_t)piece.p;
    z->avail_in = (uInt)piece.n;
    do {
        if (!lp_buf_reserve(out, room)) {
            return false;
        }
        z->next_out = (Bytef *)out->p + out->n;
        z->avail_out = (uInt)room;
        if (deflate(z, flushes[step]) == Z_STREAM_ERROR) {
            return false;
        }
        out->n += room - z->avail_out;
    } while (z->avail_out == 0);
    return true;
}

static bool
add_zstd(ZSTD_CCtx *ctx, struct lp_str piece, enum lp_pack_step step, size_t room, struct lp_buf *out)
{
    static const ZSTD_EndDirective ends[] = {ZSTD_e_continue, ZSTD_e_flush, ZSTD_e_end};
    ZSTD_inBuffer in = {piece.p, piece.n, 0};
    size_t left;
    do {
        if (!lp_buf_reserve(out, room)) {
            return false;
        }
        ZSTD_outBuffer dst = {out->p + out->n, room, 0};
        left = ZSTD_compressStream2(ctx, &dst, &in, ends[step]);
        out->n += dst.pos;
        if (ZSTD_isError(left)) {
            return false;
        }
    } while (step == LP_PACK_MORE ? in.pos < in.size : left > 0);
    return true;
}

bool
lp_pack_add(struct lp_pack *p, struct lp_str piece, enum lp_pack_step step, struct lp_buf *out)
{
    size_t room = LP_MIN(piece.n + ROOM_MIN, (size_t)ROOM_MAX);
    if (piece.n > PIECE_MAX) {
        return false;
    }
    return p->zstd != NULL ? add_zstd(p->zstd, piece, step, room, out)
                           : add_gzip(&p->z, piece, step, room, out);
}
