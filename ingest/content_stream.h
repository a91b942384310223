/*
 * content_stream.h - reading a gzip or zstd file piece by piece, in little memory (content.h decodes whole bodies instead).
 *
 * For files that a person names, so there is no limit on the ratio: the reader decides how much it takes. One thread.
 */
#ifndef LP_INGEST_CONTENT_STREAM_H
#define LP_INGEST_CONTENT_STREAM_H

#include "base/err.h"
#include "base/str.h"

enum lp_stream_coding { LP_STREAM_PLAIN, LP_STREAM_GZIP, LP_STREAM_ZSTD };

struct lp_content_stream;

/* By a file's first bytes (4 are enough). */
enum lp_stream_coding lp_content_stream_sniff(struct lp_str head);
struct lp_content_stream *lp_content_stream_new(enum lp_stream_coding coding);
void lp_content_stream_free(struct lp_content_stream *z);
/*
 * One step: takes bytes from *in (moving it on) and puts up to cap into out; *ret_n says how many. Call again with what is left while
 * *ret_n == cap or *in is not empty. Several gzip members or zstd frames in a row are one content. LP_ERR_PARSE: damaged.
 */
lp_rc lp_content_stream_step(struct lp_content_stream *z, struct lp_str *in, char *out, size_t cap, size_t *ret_n,
                             struct lp_err *err) LP_MUST_USE;
/* Whether what was read so far may end here: no member or frame is half read. */
bool lp_content_stream_whole(const struct lp_content_stream *z);

#endif
