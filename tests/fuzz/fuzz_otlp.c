/*
 * fuzz_otlp.c - any bytes as the value of a message that Logpond produced. The first byte chooses how large
 * messages may be, the rest is the value. Oracle: no crash, no sanitizer report; what is refused leaves the
 * batch alone; what is read can be written and read again without loss, and once it was written, the same
 * bytes come out every time.
 */
#include "ingest/otlp.h"

#define BATCH_BYTES (8u << 20)
#define RECEIVED (INT64_C(1795132800) * LP_NS_PER_S)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* All parts one after another, read at once into a batch. */
struct sink {
    struct lp_hasher *hasher;
    struct lp_batch *b;
    size_t max;
    uint32_t parts, records;
};

static lp_rc
take(void *ctx, const struct lp_otlp_part *part, struct lp_err *err)
{
    struct sink *s = ctx;
    size_t rows = s->b->nrows;
    LP_ASSERT(part->number == s->parts && part->records > 0 && part->value.n <= s->max);
    lp_hasher_add(s->hasher, part->key, LP_OTLP_KEY_BYTES);
    lp_hasher_add(s->hasher, part->value.p, part->value.n);
    LP_ASSERT(lp_otlp_read(part->value, s->b, err) == LP_OK);
    LP_ASSERT(s->b->nrows - rows == part->records);
    s->parts++;
    s->records += part->records;
    return LP_OK;
}

/* Writes b and reads it back; NULL when a record of it is larger than a message may be. */
static struct lp_batch *
again(const struct lp_batch *b, size_t max, struct lp_hash128 *ret)
{
    struct sink s = {lp_hasher_new(), lp_batch_new(b->tenant, SIZE_MAX, 0), max, 0, 0};
    s.b->received_ns = RECEIVED;
    lp_rc rc = lp_otlp_write(b, max, take, &s, NULL);
    LP_ASSERT(rc == LP_OK || (rc == LP_ERR_LIMIT && s.parts == 0));
    *ret = lp_hasher_u128(s.hasher);
    lp_hasher_free(s.hasher);
    if (rc != LP_OK) {
        lp_batch_free(s.b);
        return NULL;
    }
    LP_ASSERT(s.records == b->nrows && s.b->line_bytes == b->line_bytes && s.b->meta_bytes == b->meta_bytes);
    LP_ASSERT(s.b->untimed >= b->untimed);
    lp_batch_finish(s.b);
    return s.b;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const size_t limits[] = {SIZE_MAX, 4096, 256, 64};
    struct lp_hash128 first, second, third;
    struct lp_pair label = {LP_STR("app"), LP_STR("x")};
    uint32_t stream;
    if (size == 0) {
        return 0;
    }
    size_t max = limits[data[0] % LP_ARRAY_LEN(limits)];
    struct lp_batch *b = lp_batch_new(LP_STR("t"), BATCH_BYTES, 0);
    b->received_ns = RECEIVED;
    LP_ASSERT(lp_batch_stream(b, &label, 1, NULL, &stream, NULL) == LP_OK);
    LP_ASSERT(lp_batch_add(b, stream, 1, LP_STR("before"), false, NULL, 0, NULL) == LP_OK);
    first = lp_batch_content_hash(b);
    lp_rc rc = lp_otlp_read(lp_str_of((const char *)data + 1, size - 1), b, NULL);
    if (rc == LP_OK) {
        struct lp_batch *two = again(b, max, &first), *three = two ? again(two, max, &second) : NULL;
        struct lp_batch *four = three ? again(three, max, &third) : NULL;
        LP_ASSERT(two == NULL || (four != NULL && lp_hash128_eq(second, third)));
        LP_ASSERT(two == NULL || lp_hash128_eq(lp_batch_content_hash(three), lp_batch_content_hash(four)));
        lp_batch_free(two);
        lp_batch_free(three);
        lp_batch_free(four);
    } else if (rc == LP_ERR_PARSE) {
        LP_ASSERT(b->nrows == 1 && b->nstreams == 1 && lp_hash128_eq(first, lp_batch_content_hash(b)));
    } else {
        LP_ASSERT(rc == LP_ERR_LIMIT);
    }
    lp_batch_free(b);
    return 0;
}
