/*
 * otlp.h - batches as Kafka messages and back: the value is an OTLP ExportLogsServiceRequest (protobuf, contracts B.4), so
 * that others can read it; the contract of such messages is docs/kafka.md. Pure: no I/O, no clocks, no shared state.
 *
 * In these messages resource attributes ARE the stream's labels and instance (reserved names LP_LABEL_POD_UID and
 * LP_LABEL_INCARNATION of decode.h), log attributes ARE the metadata. Text that is not UTF-8 goes as bytes_value, all other as
 * string_value. A record without a time of its own has no time_unix_nano; every other has one, also when it is 0 or (as
 * two's complement) before 1970.
 */
#ifndef LP_INGEST_OTLP_H
#define LP_INGEST_OTLP_H

#include "ingest/decode.h"

#define LP_OTLP_KEY_BYTES 16

/* One message of a batch. Slices are valid until the callback returns. */
struct lp_otlp_part {
    char key[LP_OTLP_KEY_BYTES]; /* hash of the group in hexadecimal: one group goes to one partition */
    struct lp_str value;
    uint32_t number;  /* from 0, without gaps */
    uint32_t records; /* >= 1 */
};
typedef lp_rc (*lp_otlp_part_fn)(void *ctx, const struct lp_otlp_part *part, struct lp_err *err);

/*
 * Cuts a finished batch into messages of at most value_bytes_max bytes (at most 2 GiB). Rows go by group in order of first appearance,
 * then by stream, then as they came; a part holds rows of one group only, and is as full as whole records make it. The same batch gives the
 * same parts, whatever its received_ns (rows whose time is received_ns in a batch with untimed rows count as untimed).
 *
 * Stops at the first callback that fails and returns its code. LP_ERR_LIMIT: one record alone, with its labels and metadata, is larger than a
 * message may be; then no part was handed out. LP_ERR_NOMEM.
 */
lp_rc lp_otlp_write(const struct lp_batch *b, size_t value_bytes_max, lp_otlp_part_fn fn, void *ctx,
                    struct lp_err *err) LP_MUST_USE;

/*
 * Adds the records of such a message to b, whose tenant and received_ns are already those of the message. Unknown fields are
 * skipped, lines and values of both kinds are taken byte for byte, a missing body is an empty line.
 *
 * All or nothing: with LP_ERR_PARSE b is as before; the value is malformed, a known field has a wrong wire type, a stream has no labels, a time is
 * out of range, or a body or attribute is neither string nor bytes. LP_ERR_LIMIT: too many attributes, b as before; or the batch's memory: then b is
 * good for lp_batch_free() only.
 */
lp_rc lp_otlp_read(struct lp_str value, struct lp_batch *b, struct lp_err *err) LP_MUST_USE;

#endif
