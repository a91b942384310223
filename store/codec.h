/*
 * codec.h - the one door to zstd in store/: frames in, frames out. A codec object belongs to one thread.
 */
#ifndef LP_STORE_CODEC_H
#define LP_STORE_CODEC_H

#include "base/buf.h"
#include "base/err.h"
#include "store/seg_format.h"

struct lp_codec;

struct lp_codec *lp_codec_new(void);
void lp_codec_free(struct lp_codec *c);

/* Working memory of at least n bytes that lives with the codec, for one frame at a time; what is in it is lost with the next call. */
char *lp_codec_scratch(struct lp_codec *c, size_t n);

#define LP_LEVEL_STORED 0 /* do not compress */

/*
 * Appends the frame's stored form to out: zstd at `level`, or the bytes as they are where that is not larger. Returns
 * the codec id in *ret_codec. LP_ERR_LIMIT when out is full.
 */
lp_rc lp_codec_encode(struct lp_codec *c, int level, struct lp_str raw, struct lp_buf *out, uint8_t *ret_codec,
                      struct lp_err *err) LP_MUST_USE;

/*
 * The same for bytes of several natures: the stretches that end at part_ends (the last at raw.n) are compressed each by itself, so that noise
 * in one does not spoil the others. At most LP_CODEC_PARTS_MAX parts.
 */
#define LP_CODEC_PARTS_MAX 16u
lp_rc lp_codec_encode_parts(struct lp_codec *c, int level, struct lp_str raw, const uint32_t *part_ends, size_t nparts,
                            struct lp_buf *out, uint8_t *ret_codec, struct lp_err *err) LP_MUST_USE;

/* Writes exactly raw_bytes to dst. LP_ERR_CORRUPT when the frame is not that; LP_ERR_UNSUPPORTED for an unknown codec. */
lp_rc lp_codec_decode(struct lp_codec *c, uint8_t codec, struct lp_str stored, void *dst, size_t raw_bytes,
                      struct lp_err *err) LP_MUST_USE;

#endif
