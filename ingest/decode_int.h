/*
 * decode_int.h - inside the decoders: one thread's tools, and the decoders by format.
 */
#ifndef LP_INGEST_DECODE_INT_H
#define LP_INGEST_DECODE_INT_H

#include "ingest/decode.h"
#include "ingest/json_record.h"

struct lp_decoder {
    struct lp_json_parser *json;
    struct lp_json_mapper *mapper;
    struct lp_buf content;     /* a decompressed body */
    struct lp_buf block;       /* a snappy block out of it */
    bool copy_lines;           /* of snappy blocks: see dec_loki_protobuf.c */
    struct lp_json_map kafka;  /* made once */
    struct lp_json_memo *memo; /* of Kafka messages, by that map */
    struct lp_json_templates *messages; /* likewise */
    struct lp_json_templates *lines; /* of JSON lines, by the map of requests with these parameters */
    struct lp_buf params;
};

/* A body, decompressed, for a batch that exists already (tenant, received_ns set). */
typedef lp_rc (*lp_decode_fn)(struct lp_decoder *d, const struct lp_push *push, struct lp_str body,
                              const struct lp_decode_limits *lim, struct lp_batch *b, struct lp_err *err);

lp_rc lp_decode_jsonline(struct lp_decoder *d, const struct lp_push *push, struct lp_str body,
                         const struct lp_decode_limits *lim, struct lp_batch *b, struct lp_err *err);
lp_rc lp_decode_loki_json(struct lp_decoder *d, const struct lp_push *push, struct lp_str body,
                          const struct lp_decode_limits *lim, struct lp_batch *b, struct lp_err *err);
/* A snappy block of protobuf; body is the block. */
lp_rc lp_decode_loki_protobuf(struct lp_decoder *d, const struct lp_push *push, struct lp_str body,
                              const struct lp_decode_limits *lim, struct lp_batch *b, struct lp_err *err);

/*
 * Labels in selector syntax with '=' only: {a="b", c="d"} (Loki's protobuf and its old JSON). Pairs go to labels (at most max), values
 * are slices of text, or unescaped into ar. LP_ERR_PARSE with the place.
 */
lp_rc lp_labels_parse(struct lp_str text, struct lp_arena *ar, struct lp_pair *labels, size_t max, size_t *ret_n,
                      struct lp_err *err) LP_MUST_USE;

/*
 * Takes the reserved names LP_LABEL_POD_UID and LP_LABEL_INCARNATION (decode.h) out of a stream's labels: they are its instance.
 * Returns how many labels are left, in the order they had.
 */
size_t lp_labels_take_instance(struct lp_pair *labels, size_t n, struct lp_instance *ret);

#endif
