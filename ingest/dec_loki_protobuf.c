/*
 * dec_loki_protobuf.c - Loki's protobuf push (contracts B.1): PushRequest{ repeated Stream streams = 1 },
 * Stream{ labels = 1, repeated Entry entries = 2 }, Entry{ Timestamp timestamp = 1, line = 2, repeated
 * LabelPair structuredMetadata = 3, parsed = 4 }.
 *
 * Lines are kept byte for byte, valid UTF-8 or not. The body is wrong or right as a whole. Unknown fields are
 * skipped. An entry without the timestamp field has no time of its own: it gets that of receipt. Reserved
 * labels give the instance (decode.h).
 */
#include "ingest/content.h"
#include "ingest/decode_int.h"
#include "ingest/wire.h"

/*
 * A block is unpacked into the batch, and lines stay where they are: that saves a third of decoding, and what
 * stands between them (some 16 bytes a line) costs no more than copies would leave free in chunks. Not where
 * the block before held mostly other things, such as metadata, which is written anew; nor for a large block,
 * which might take what small lines need for their rows.
 */
#define IN_PLACE_BYTES_MAX (4u << 20)

struct pushed {
    struct lp_batch *b;
    bool in_place;
    struct lp_arena ar;
    struct lp_pair pairs[LP_META_PAIRS_MAX];
    size_t npairs;
    uint32_t stream;
};

static lp_rc
malformed(struct lp_err *err)
{
    return lp_err_set(err, LP_ERR_PARSE, "loki push: malformed protobuf");
}

static bool
is_bytes(const struct lp_wire_field *f, uint32_t number)
{
    return f->number == number && f->type == LP_WIRE_BYTES;
}

static bool
read_time(struct lp_str msg, int64_t *ret)
{
    struct lp_rd rd = lp_rd_of(msg);
    struct lp_wire_field f;
    int64_t seconds = 0, nanos = 0, t;
    while (lp_wire_next(&rd, &f)) {
        seconds = f.number == 1 && f.type == LP_WIRE_VARINT ? (int64_t)f.value : seconds;
        nanos = f.number == 2 && f.type == LP_WIRE_VARINT ? (int32_t)f.value : nanos;
    }
    if (rd.bad || __builtin_mul_overflow(seconds, LP_NS_PER_S, &t) || __builtin_add_overflow(t, nanos, &t)) {
        return false;
    }
    *ret = t;
    return t != LP_TIME_NONE;
}

static bool
read_pair(struct lp_str msg, struct lp_pair *ret)
{
    struct lp_rd rd = lp_rd_of(msg);
    struct lp_wire_field f;
    *ret = (struct lp_pair){LP_STR_NULL, LP_STR_NULL};
    while (lp_wire_next(&rd, &f)) {
        ret->name = is_bytes(&f, 1) ? f.bytes : ret->name;
        ret->value = is_bytes(&f, 2) ? f.bytes : ret->value;
    }
    return !rd.bad;
}

static lp_rc
read_entry(struct pushed *p, struct lp_str msg, struct lp_err *err)
{
    struct lp_rd rd = lp_rd_of(msg);
    struct lp_wire_field f;
    struct lp_str line = LP_STR_NULL;
    int64_t t = LP_TIME_NONE;
    p->npairs = 0;
    while (lp_wire_next(&rd, &f)) {
        if (is_bytes(&f, 1) && !read_time(f.bytes, &t)) {
            return malformed(err);
        }
        if (is_bytes(&f, 2)) {
            line = f.bytes;
        }
        if (is_bytes(&f, 3)) {
            if (p->npairs == LP_META_PAIRS_MAX) {
                return lp_err_set(err, LP_ERR_LIMIT, "an entry has more than %d metadata pairs",
                                  LP_META_PAIRS_MAX);
            }
            if (!read_pair(f.bytes, &p->pairs[p->npairs++])) {
                return malformed(err);
            }
        }
    }
    return rd.bad ? malformed(err)
                  : lp_batch_add(p->b, p->stream, t, line, p->in_place, p->pairs, p->npairs, err);
}

/* Labels may stand behind the entries: the stream is looked for first. */
static lp_rc
find_stream(struct pushed *p, struct lp_str msg, struct lp_err *err)
{
    struct lp_rd rd = lp_rd_of(msg);
    struct lp_wire_field f;
    struct lp_str labels = LP_STR("{}");
    while (lp_wire_next(&rd, &f)) {
        labels = is_bytes(&f, 1) ? f.bytes : labels;
    }
    if (rd.bad) {
        return malformed(err);
    }
    lp_arena_reset(&p->ar);
    lp_rc rc = lp_labels_parse(labels, &p->ar, p->pairs, LP_META_PAIRS_MAX, &p->npairs, err);
    if (rc == LP_OK) {
        struct lp_instance inst;
        p->npairs = lp_labels_take_instance(p->pairs, p->npairs, &inst);
        rc = lp_batch_stream(p->b, p->pairs, p->npairs, &inst, &p->stream, err);
    }
    return rc;
}

static lp_rc
read_stream(struct pushed *p, struct lp_str msg, struct lp_err *err)
{
    lp_rc rc = find_stream(p, msg, err);
    struct lp_rd rd = lp_rd_of(msg);
    struct lp_wire_field f;
    while (rc == LP_OK && lp_wire_next(&rd, &f)) {
        rc = is_bytes(&f, 2) ? read_entry(p, f.bytes, err) : LP_OK;
    }
    return rc;
}

static lp_rc
unpack(struct lp_decoder *d, struct lp_str body, size_t max_bytes, struct pushed *p, struct lp_str *ret,
       struct lp_err *err)
{
    size_t n;
    lp_rc rc = lp_snappy_size(body, max_bytes, &n, err);
    if (rc != LP_OK) {
        return rc;
    }
    char *out = !d->copy_lines && n <= IN_PLACE_BYTES_MAX ? lp_arena_bytes(&p->b->ar, n) : NULL;
    p->in_place = out != NULL;
    if (p->in_place) {
        *ret = lp_str_of(out, n);
        return lp_snappy_into(body, out, n, err);
    }
    rc = lp_snappy_block(body, max_bytes, &d->block, err);
    *ret = lp_buf_view(&d->block);
    return rc;
}

lp_rc
lp_decode_loki_protobuf(struct lp_decoder *d, const struct lp_push *push, struct lp_str body,
                        const struct lp_decode_limits *lim, struct lp_batch *b, struct lp_err *err)
{
    (void)push;
    struct lp_str block = LP_STR_NULL;
    struct pushed *p = lp_calloc(1, sizeof(*p));
    p->b = b;
    lp_arena_init(&p->ar, 4 << 20, 0);
    lp_rc rc = unpack(d, body, lim->decoded_bytes, p, &block, err);
    struct lp_rd rd = lp_rd_of(block);
    struct lp_wire_field f;
    while (rc == LP_OK && lp_wire_next(&rd, &f)) {
        rc = is_bytes(&f, 1) ? read_stream(p, f.bytes, err) : LP_OK;
    }
    if (rc == LP_OK && rd.bad) {
        rc = malformed(err);
    }
    d->copy_lines = b->line_bytes < block.n / 4 * 3;
    lp_arena_clear(&p->ar);
    lp_free(p);
    return rc;
}
