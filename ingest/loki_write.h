/*
 * loki_write.h - the other side of dec_loki_protobuf.c: what `logpond push` sends. Protobuf keeps lines byte for byte, which JSON
 * cannot do for bytes that are not UTF-8. Pure: appends to buffers, whose `failed` tells when they were too small.
 *
 * A body is made from the inside out: entries of each stream into a buffer of its own, then the streams into the request
 * message, then lp_snappy_encode() (content.h).
 */
#ifndef LP_INGEST_LOKI_WRITE_H
#define LP_INGEST_LOKI_WRITE_H

#include "base/buf.h"
#include "base/clock.h"
#include "ingest/decode.h"

/* One entry of a stream. time_ns LP_TIME_NONE: no time of its own, the server takes that of receipt. */
void lp_loki_put_entry(struct lp_buf *entries, int64_t time_ns, struct lp_str line);
/* One stream of the request: labels as text (lp_loki_put_labels), entries as made above. */
void lp_loki_put_stream(struct lp_buf *request, struct lp_str labels, struct lp_str entries);
/* {a="b",c="d"}; values may hold any bytes, names must be label names. A filled instance goes in as the reserved labels of decode.h. */
void lp_loki_put_labels(struct lp_buf *out, const struct lp_pair *labels, size_t n, const struct lp_instance *inst);

#endif
