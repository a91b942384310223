/*
 * fuzz_push.c - any bytes as a push. The first byte chooses path, content type and encoding, the rest is the
 * body. Oracle: no crash, no sanitizer report; what is taken is within the limits and of one piece, and the
 * same bytes decode to the same records again.
 */
#include "base/buf.h"
#include "ingest/decode.h"

#define DECODED_BYTES (1u << 20)
#define BATCH_BYTES (8u << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const targets[] = {"/insert/jsonline",
                                      "/insert/jsonline?_stream_fields=a,b.c,d&_msg_field=m&_time_field=t",
                                      "/loki/api/v1/push", "/api/prom/push"};
static const char *const types[] = {"application/json", "application/x-protobuf"};
static const char *const encodings[] = {"", "gzip", "deflate", "zstd", "snappy", "gzip, zstd"};

static void
choose(struct lp_push *push, uint8_t how)
{
    push->method = LP_STR("POST");
    push->target = lp_str_c(targets[how % 4]);
    push->headers[0] = (struct lp_pair){LP_STR("Content-Type"), lp_str_c(types[how / 4 % 2])};
    push->headers[1] = (struct lp_pair){LP_STR("Content-Encoding"), lp_str_c(encodings[how / 8 % 6])};
    push->nheaders = 2;
    push->received_ns = INT64_C(1795132800) * LP_NS_PER_S;
}

/* Every row belongs to a stream whose key reads back, and the sums are right. */
static void
check_batch(const struct lp_batch *b)
{
    struct lp_arena ar;
    struct lp_stream_key key;
    uint64_t line_bytes = 0, rows = 0;
    lp_arena_init(&ar, SIZE_MAX, 0);
    for (size_t i = 0; i < b->nstreams; i++) {
        LP_ASSERT(lp_stream_key_parse(b->streams[i].key, &ar, &key, NULL) == LP_OK);
        LP_ASSERT(key.nlabels > 0 && key.nlabels <= LP_LABELS_MAX);
        rows += b->streams[i].rows;
    }
    LP_ASSERT(rows == b->nrows);
    for (size_t i = 0; i < b->nrows; i++) {
        const struct lp_row *r = &b->rows[i];
        struct lp_meta_iter it = lp_meta_begin(r->meta);
        struct lp_pair pair, last = {LP_STR(""), LP_STR_NULL};
        LP_ASSERT(r->stream < b->nstreams && r->time_ns != LP_TIME_NONE);
        for (bool first = true; lp_meta_next(&it, &pair); first = false) {
            LP_ASSERT(first || lp_str_cmp(last.name, pair.name) < 0);
            last = pair;
        }
        line_bytes += r->line_bytes;
    }
    LP_ASSERT(line_bytes == b->line_bytes);
    lp_arena_clear(&ar);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct lp_decoder *d; /* reused, as a worker's is */
    static const struct lp_decode_limits lim = {DECODED_BYTES, BATCH_BYTES};
    struct lp_push push = {.nheaders = 0};
    struct lp_batch *b, *again;
    struct lp_buf body;
    if (size == 0) {
        return 0;
    }
    d = d != NULL ? d : lp_decoder_new();
    lp_buf_init(&body, SIZE_MAX / 2);
    LP_ASSERT(lp_buf_add(&body, data + 1, size - 1)); /* with the pad */
    choose(&push, data[0]);
    push.body = lp_buf_view(&body);
    if (lp_decode_push(d, &push, &lim, &b, NULL) == LP_OK) {
        check_batch(b);
        LP_ASSERT(lp_decode_push(d, &push, &lim, &again, NULL) == LP_OK && again->nrows == b->nrows);
        LP_ASSERT(lp_hash128_eq(lp_batch_content_hash(b), lp_batch_content_hash(again)));
        lp_batch_free(again);
        lp_batch_free(b);
    }
    lp_buf_clear(&body);
    return 0;
}
