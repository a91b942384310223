/*
 * decode.c - a whole request by its path: content encoding, then the format's decoder. Pure but for the
 * caller's tools.
 */
#include "ingest/content.h"
#include "ingest/decode_int.h"
#include "ingest/json_memo.h"
#include "ingest/json_template.h"

#define BUFFER_KEPT_BYTES (4u << 20)
#define PARAMS_BYTES_MAX 4096

struct lp_decoder *
lp_decoder_new(void)
{
    struct lp_decoder *d = lp_calloc(1, sizeof(*d));
    d->json = lp_json_parser_new();
    d->mapper = lp_json_mapper_new();
    lp_buf_init(&d->content, SIZE_MAX);
    lp_buf_init(&d->block, SIZE_MAX);
    lp_json_map_kafka(&d->kafka);
    d->memo = lp_json_memo_new();
    d->messages = lp_json_templates_new();
    d->lines = lp_json_templates_new();
    lp_buf_init(&d->params, PARAMS_BYTES_MAX);
    return d;
}

void
lp_decoder_free(struct lp_decoder *d)
{
    if (d == NULL) {
        return;
    }
    lp_json_parser_free(d->json);
    lp_json_mapper_free(d->mapper);
    lp_json_memo_free(d->memo);
    lp_json_templates_free(d->messages);
    lp_json_templates_free(d->lines);
    lp_buf_clear(&d->params);
    lp_buf_clear(&d->content);
    lp_buf_clear(&d->block);
    lp_free(d);
}

/* One huge body must not keep its memory for the thread's life. */
static void
shrink(struct lp_buf *b)
{
    if (b->cap > BUFFER_KEPT_BYTES) {
        lp_buf_clear(b);
    } else {
        lp_buf_reset(b);
    }
}

static bool
is_json(const struct lp_push *push)
{
    struct lp_str type = lp_push_header(push, "content-type");
    return lp_str_ieq(lp_str_trim(lp_str_cut(&type, ';')), LP_STR("application/json"));
}

static lp_decode_fn
decoder_of(const struct lp_push *push)
{
    struct lp_str path = lp_push_path(push);
    if (lp_str_eqc(path, "/insert/jsonline")) {
        return lp_decode_jsonline;
    }
    if (lp_str_eqc(path, "/loki/api/v1/push") || lp_str_eqc(path, "/api/prom/push")) {
        return is_json(push) ? lp_decode_loki_json : lp_decode_loki_protobuf;
    }
    return NULL;
}

lp_rc
lp_decode_push(struct lp_decoder *d, const struct lp_push *push, const struct lp_decode_limits *lim,
               struct lp_batch **ret, struct lp_err *err)
{
    lp_decode_fn decode = decoder_of(push);
    struct lp_str encoding = lp_push_header(push, "content-encoding"), body;
    if (decode == NULL) {
        return lp_err_set(err, LP_ERR_UNSUPPORTED, "no logs are taken at this path");
    }
    if (decode == lp_decode_loki_protobuf && lp_str_ieq(encoding, LP_STR("snappy"))) {
        encoding = LP_STR_NULL; /* some senders name the block format that the body has anyway */
    }
    lp_rc rc = lp_content_decode(encoding, push->body, lim->decoded_bytes, &d->content, &body, err);
    if (rc == LP_OK) {
        struct lp_batch *b = lp_batch_new(push->tenant, lim->batch_bytes, body.n);
        b->received_ns = push->received_ns;
        rc = decode(d, push, body, lim, b, err);
        if (rc == LP_OK) {
            lp_batch_finish(b);
            *ret = b;
        } else {
            lp_batch_free(b);
        }
    }
    shrink(&d->content);
    shrink(&d->block);
    return rc;
}
