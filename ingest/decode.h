/*
 * decode.h - decoders: pure functions from bytes to a batch of records. No I/O, no sockets, no clocks, no shared state.
 *
 * The same function decodes a live request, its replay from the journal and, for Kafka, a message, so the same bytes
 * always give the same records. What a decoder cannot read of a body that is otherwise sound goes to the quarantine of the
 * batch; a body that is wrong as a whole is LP_ERR_PARSE or LP_ERR_LIMIT (an answer of 400 or 413), and nothing is stored.
 */
#ifndef LP_INGEST_DECODE_H
#define LP_INGEST_DECODE_H

#include "base/json.h"
#include "ingest/push.h"

#define LP_DECODER_VERSION 1

/* One thread's decoding tools, reused from request to request. */
struct lp_decoder;
struct lp_decoder *lp_decoder_new(void);
void lp_decoder_free(struct lp_decoder *d);

struct lp_decode_limits {
    size_t decoded_bytes; /* of the body after decompression */
    size_t batch_bytes;   /* memory of the batch */
};

/*
 * Decodes a whole request by its path: POST /loki/api/v1/push, /api/prom/push, /insert/jsonline. The batch gets received_ns and
 * tenant; identity is the caller's business. LP_ERR_UNSUPPORTED: unknown content encoding or path.
 */
lp_rc lp_decode_push(struct lp_decoder *d, const struct lp_push *push, const struct lp_decode_limits *lim,
                     struct lp_batch **ret, struct lp_err *err) LP_MUST_USE;

/*
 * How a push may say which pod and which run of the container a stream is of: as two stream labels with reserved
 * names. They are taken out and become the stream's instance, never labels. `logpond push` writes them (loki_write.h).
 */
#define LP_LABEL_POD_UID "__pod_uid__"
#define LP_LABEL_INCARNATION "__incarnation__" /* restart number or container id */

/*
 * Adds one Kafka message to a batch: fluent-bit's JSON and its relatives (contracts B.6), else the raw value as a line of a stream
 * {topic=...} when it is text, else the quarantine. An empty or null value adds nothing. Never fails but for LP_ERR_LIMIT.
 */
struct lp_kafka_message {
    struct lp_str topic;
    uint32_t partition;
    uint64_t offset;
    int64_t time_ns; /* the message's timestamp, LP_TIME_NONE if it has none */
    struct lp_str value; /* LP_JSON_PAD readable bytes behind it are NOT guaranteed: the decoder copies */
};
lp_rc lp_decode_kafka(struct lp_decoder *d, const struct lp_kafka_message *m, struct lp_batch *b, struct lp_err *err) LP_MUST_USE;
/* Keeps a message raw in the quarantine, with its place and why. LP_ERR_LIMIT. */
lp_rc lp_kafka_quarantine(struct lp_batch *b, const struct lp_kafka_message *m, const char *why, struct lp_err *err) LP_MUST_USE;

/*
 * Where a log file's path tells it: /var/log/pods/<ns>_<pod>_<uid>/<container>/<restart>.log and
 * /var/log/containers/<pod>_<ns>_<container>-<64 hex>.log, anywhere at the end of path. False for other files. Slices borrow from path.
 */
struct lp_pod_path {
    struct lp_str namespace, pod, container;
    struct lp_instance inst; /* uid; incarnation = restart number or container id */
};
bool lp_pod_path_parse(struct lp_str path, struct lp_pod_path *ret);

/* One line of a CRI log: "2026-01-02T03:04:05.000000006Z stdout F text". False when it is not one. */
struct lp_cri_line {
    int64_t time_ns;
    struct lp_str stream, text;
    bool partial; /* tag P: the line goes on in the next entry of the same stream */
};
bool lp_cri_parse(struct lp_str line, struct lp_cri_line *ret);

#endif
