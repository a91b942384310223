/*
 * content.h - content encodings of request bodies: gzip, deflate (zlib or raw), zstd, snappy (block and framed), with limits.
 *
 * The one door to zlib and snappy, and ingest's to zstd. Output is bounded before and while it is made: never more than
 * max_bytes, never more than LP_CONTENT_RATIO_MAX times the input (plus 64 KiB), zstd windows up to 8 MiB.
 */
#ifndef LP_INGEST_CONTENT_H
#define LP_INGEST_CONTENT_H

#include "base/buf.h"
#include "base/err.h"

#define LP_CONTENT_RATIO_MAX 200

/*
 * Decodes `in` by the value of a Content-Encoding header (one or several, comma-separated, applied last to first; "", "identity": as it is).
 * *ret is `in` itself or a view of out. LP_ERR_UNSUPPORTED: unknown encoding, text `Content-Encoding "x" not supported`.
 * LP_ERR_LIMIT: too large. LP_ERR_PARSE: damaged. `out` is followed by LP_BUF_PAD readable bytes.
 */
lp_rc lp_content_decode(struct lp_str encoding, struct lp_str in, size_t max_bytes, struct lp_buf *out,
                        struct lp_str *ret, struct lp_err *err) LP_MUST_USE;

/* One snappy block (Loki's protobuf bodies). */
lp_rc lp_snappy_block(struct lp_str in, size_t max_bytes, struct lp_buf *out, struct lp_err *err) LP_MUST_USE;
/* The same into memory of the caller: first the size, with the limits; then that many bytes to out. */
lp_rc lp_snappy_size(struct lp_str in, size_t max_bytes, size_t *ret, struct lp_err *err) LP_MUST_USE;
lp_rc lp_snappy_into(struct lp_str in, char *out, size_t n, struct lp_err *err) LP_MUST_USE;
/* The other way: appends `in` as one snappy block. LP_ERR_LIMIT: over 4 GiB, or more than out may hold. */
lp_rc lp_snappy_encode(struct lp_str in, struct lp_buf *out, struct lp_err *err) LP_MUST_USE;

#endif
