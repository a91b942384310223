/*
 * otlp_write.c - a batch as OTLP messages (otlp.h). Pure.
 *
 * First a plan: rows sorted by group, stream and arrival with two counting sorts, and the bytes of each
 * record. An AnyValue takes as many bytes as string as it takes as bytes, so lengths are known before text is
 * looked at, and every part is written front to back once. Nothing is handed out before every record is known
 * to fit into a message.
 */
#include <stdio.h>
#include <string.h>

#include "ingest/otlp.h"
#include "ingest/otlp_int.h"
#include "ingest/wire.h"

#define VALUE_BYTES_MAX ((size_t)INT32_MAX) /* protobuf's own limit */

/* A row in the order of writing. */
struct slot {
    uint32_t row;
    uint32_t bytes; /* of its LogRecord, without tag and length */
};

/* A stream with rows. */
struct plan_stream {
    uint32_t group;
    uint32_t resource_bytes; /* of its Resource, without tag and length */
    uint32_t next;           /* while sorting: where its next row goes; then: behind its last */
};

struct writer {
    const struct lp_batch *b;
    size_t max;
    struct plan_stream *streams; /* as in the batch */
    uint32_t *order;             /* streams with rows, by group, then index */
    size_t norder;
    struct slot *slots;
    struct lp_hash128 *groups; /* hashes of group keys, by first appearance */
    uint64_t *keys;            /* what goes into the message's key */
    size_t ngroups;
    uint32_t *buckets; /* hash table over groups: index + 1, 0 = free */
    size_t nbuckets;
    struct lp_arena ar; /* labels of one stream */
    struct lp_buf group_key, value;
    struct lp_otlp_part part;
    lp_otlp_part_fn fn;
    void *ctx;
};

static lp_rc
no_memory(struct lp_err *err)
{
    return lp_err_set(err, LP_ERR_NOMEM, "no memory to write a message");
}

/* --- lengths --- */

static size_t
attribute_bytes(const struct lp_pair *p)
{
    size_t value = lp_wire_bytes_bytes(lp_wire_bytes_bytes(p->value.n));
    return lp_wire_bytes_bytes(lp_wire_bytes_bytes(p->name.n) + value);
}

/* The instance as attributes; returns how many. */
static size_t
instance_pairs(const struct lp_instance *inst, struct lp_pair ret[2])
{
    size_t n = 0;
    if (inst->uid.n > 0) {
        ret[n++] = (struct lp_pair){LP_STR(LP_LABEL_POD_UID), inst->uid};
    }
    if (inst->incarnation.n > 0) {
        ret[n++] = (struct lp_pair){LP_STR(LP_LABEL_INCARNATION), inst->incarnation};
    }
    return n;
}

static size_t
resource_bytes(const struct lp_stream_key *k)
{
    struct lp_pair inst[2];
    size_t bytes = 0, ninst = instance_pairs(&k->inst, inst);
    for (size_t i = 0; i < k->nlabels; i++) {
        bytes += attribute_bytes(&k->labels[i]);
    }
    for (size_t i = 0; i < ninst; i++) {
        bytes += attribute_bytes(&inst[i]);
    }
    return bytes;
}

/* A row that brought no time, or might have brought none: the reader gives it received_ns again. */
static bool
is_untimed(const struct lp_batch *b, const struct lp_row *r)
{
    return b->untimed > 0 && r->time_ns == b->received_ns;
}

static size_t
record_bytes(const struct lp_batch *b, const struct lp_row *r)
{
    size_t bytes = is_untimed(b, r) ? 0 : LP_WIRE_FIXED64_BYTES;
    bytes += lp_wire_bytes_bytes(lp_wire_bytes_bytes(r->line_bytes));
    struct lp_meta_iter it = lp_meta_begin(r->meta);
    struct lp_pair p;
    while (lp_meta_next(&it, &p)) {
        bytes += attribute_bytes(&p);
    }
    return bytes;
}

/* A ResourceLogs with its tag; scope_bytes: of the ScopeLogs, without its own. */
static size_t
section_bytes(size_t resource, size_t scope_bytes)
{
    return lp_wire_bytes_bytes(lp_wire_bytes_bytes(resource) + lp_wire_bytes_bytes(scope_bytes));
}

/* --- the plan --- */

static lp_rc
parse_key(struct writer *w, uint32_t stream, struct lp_stream_key *ret, struct lp_err *err)
{
    lp_arena_clear(&w->ar);
    return lp_stream_key_parse(w->b->streams[stream].key, &w->ar, ret, NULL) == LP_OK ? LP_OK
                                                                                      : no_memory(err);
}

static uint32_t
group_index(struct writer *w, struct lp_str key)
{
    struct lp_hash128 hash = lp_xxh128(key.p, key.n);
    size_t at = hash.lo & (w->nbuckets - 1);
    while (w->buckets[at] != 0) {
        if (lp_hash128_eq(w->groups[w->buckets[at] - 1], hash)) {
            return w->buckets[at] - 1;
        }
        at = (at + 1) & (w->nbuckets - 1);
    }
    w->groups[w->ngroups] = hash;
    w->keys[w->ngroups] = lp_xxh64(key.p, key.n);
    w->buckets[at] = (uint32_t)++w->ngroups;
    return w->buckets[at] - 1;
}

static lp_rc
plan_streams(struct writer *w, struct lp_err *err)
{
    for (uint32_t i = 0; i < w->b->nstreams; i++) {
        struct lp_stream_key k;
        if (w->b->streams[i].rows == 0) {
            continue;
        }
        if (parse_key(w, i, &k, err) != LP_OK) {
            return LP_ERR_NOMEM;
        }
        lp_buf_reset(&w->group_key);
        lp_group_key(&k, &w->group_key);
        if (w->group_key.failed) {
            return no_memory(err);
        }
        w->streams[i].group = group_index(w, lp_buf_view(&w->group_key));
        w->streams[i].resource_bytes = (uint32_t)LP_MIN(resource_bytes(&k), (size_t)UINT32_MAX);
        w->norder++;
    }
    return LP_OK;
}

/* Streams by group, and where each one's rows begin. */
static void
order_streams(struct writer *w)
{
    uint32_t *at = lp_calloc(w->ngroups + 1, sizeof(*at)), first = 0;
    for (size_t i = 0; i < w->b->nstreams; i++) {
        at[w->streams[i].group + 1] += w->b->streams[i].rows > 0;
    }
    for (size_t g = 1; g <= w->ngroups; g++) {
        at[g] += at[g - 1];
    }
    for (uint32_t i = 0; i < w->b->nstreams; i++) {
        if (w->b->streams[i].rows > 0) {
            w->order[at[w->streams[i].group]++] = i;
        }
    }
    for (size_t i = 0; i < w->norder; i++) {
        w->streams[w->order[i]].next = first;
        first += w->b->streams[w->order[i]].rows;
    }
    lp_free(at);
}

static lp_rc
plan_rows(struct writer *w, struct lp_err *err)
{
    for (uint32_t i = 0; i < w->b->nrows; i++) {
        const struct lp_row *r = &w->b->rows[i];
        struct plan_stream *s = &w->streams[r->stream];
        size_t bytes = record_bytes(w->b, r);
        size_t alone = section_bytes(s->resource_bytes, lp_wire_bytes_bytes(bytes));
        if (alone > w->max) {
            return lp_err_set(err, LP_ERR_LIMIT,
                              "a record takes %zu bytes with its labels and metadata, a message may have %zu",
                              alone, w->max);
        }
        w->slots[s->next++] = (struct slot){i, (uint32_t)bytes};
    }
    return LP_OK;
}

/* --- writing --- */

static void
put_any(struct lp_buf *out, struct lp_str text)
{
    lp_wire_put_bytes(out, lp_utf8_valid(text) ? LP_OTLP_ANY_STRING : LP_OTLP_ANY_BYTES, text);
}

static void
put_attribute(struct lp_buf *out, uint32_t number, const struct lp_pair *p)
{
    size_t any = lp_wire_bytes_bytes(p->value.n);
    lp_wire_put_head(out, number, lp_wire_bytes_bytes(p->name.n) + lp_wire_bytes_bytes(any));
    lp_wire_put_bytes(out, LP_OTLP_PAIR_KEY, p->name);
    lp_wire_put_head(out, LP_OTLP_PAIR_VALUE, any);
    put_any(out, p->value);
}

static void
put_resource(struct lp_buf *out, const struct lp_stream_key *k)
{
    struct lp_pair inst[2];
    size_t ninst = instance_pairs(&k->inst, inst);
    for (size_t i = 0; i < k->nlabels; i++) {
        put_attribute(out, LP_OTLP_RESOURCE_ATTRIBUTES, &k->labels[i]);
    }
    for (size_t i = 0; i < ninst; i++) {
        put_attribute(out, LP_OTLP_RESOURCE_ATTRIBUTES, &inst[i]);
    }
}

static void
put_record(struct lp_buf *out, const struct lp_batch *b, const struct lp_row *r)
{
    if (!is_untimed(b, r)) {
        lp_wire_put_fixed64(out, LP_OTLP_RECORD_TIME, (uint64_t)r->time_ns);
    }
    lp_wire_put_head(out, LP_OTLP_RECORD_BODY, lp_wire_bytes_bytes(r->line_bytes));
    put_any(out, lp_str_of(r->line, r->line_bytes));
    struct lp_meta_iter it = lp_meta_begin(r->meta);
    struct lp_pair p;
    while (lp_meta_next(&it, &p)) {
        put_attribute(out, LP_OTLP_RECORD_ATTRIBUTES, &p);
    }
}

/* How many of a stream's records [slots, slots + n) the part still takes, and the bytes of their ScopeLogs.
 */
static size_t
fitting(const struct writer *w, size_t resource, const struct slot *slots, size_t n, size_t *ret_scope)
{
    size_t room = w->max - w->value.n, scope = 0, i = 0;
    for (; i < n; i++) {
        size_t more = scope + lp_wire_bytes_bytes(slots[i].bytes);
        if (section_bytes(resource, more) > room) {
            break;
        }
        scope = more;
    }
    *ret_scope = scope;
    return i;
}

static void
put_section(struct writer *w, const struct lp_stream_key *k, size_t resource, const struct slot *slots,
            size_t n, size_t scope)
{
    struct lp_buf *out = &w->value;
    size_t end = out->n + section_bytes(resource, scope);
    lp_wire_put_head(out, LP_OTLP_REQUEST_RESOURCE_LOGS,
                     lp_wire_bytes_bytes(resource) + lp_wire_bytes_bytes(scope));
    lp_wire_put_head(out, LP_OTLP_RESOURCE_LOGS_RESOURCE, resource);
    put_resource(out, k);
    lp_wire_put_head(out, LP_OTLP_RESOURCE_LOGS_SCOPE_LOGS, scope);
    for (size_t i = 0; i < n; i++) {
        lp_wire_put_head(out, LP_OTLP_SCOPE_LOGS_RECORDS, slots[i].bytes);
        put_record(out, w->b, &w->b->rows[slots[i].row]);
    }
    LP_ASSERT(out->failed || out->n == end);
    w->part.records += (uint32_t)n;
}

/* Hands out the part so far, if there is one. */
static lp_rc
emit(struct writer *w, struct lp_err *err)
{
    if (w->value.failed) {
        return no_memory(err);
    }
    if (w->part.records == 0) {
        return LP_OK;
    }
    w->part.value = lp_buf_view(&w->value);
    lp_rc rc = w->fn(w->ctx, &w->part, err);
    lp_buf_reset(&w->value);
    w->part.number++;
    w->part.records = 0;
    return rc;
}

static lp_rc
write_stream(struct writer *w, uint32_t stream, struct lp_err *err)
{
    struct lp_stream_key k;
    const struct plan_stream *s = &w->streams[stream];
    const struct slot *end = w->slots + s->next, *at = end - w->b->streams[stream].rows;
    lp_rc rc = parse_key(w, stream, &k, err);
    while (rc == LP_OK && at < end) {
        size_t scope, n = fitting(w, s->resource_bytes, at, (size_t)(end - at), &scope);
        LP_ASSERT(n > 0 || w->part.records > 0); /* plan_rows: each record fits into an empty part */
        if (n > 0) {
            put_section(w, &k, s->resource_bytes, at, n, scope);
            at += n;
        }
        if (at < end) {
            rc = emit(w, err);
        }
    }
    return rc;
}

static lp_rc
write_groups(struct writer *w, struct lp_err *err)
{
    lp_rc rc = LP_OK;
    uint32_t group = UINT32_MAX;
    for (size_t i = 0; rc == LP_OK && i < w->norder; i++) {
        uint32_t stream = w->order[i];
        if (w->streams[stream].group != group) {
            char key[LP_OTLP_KEY_BYTES + 1];
            rc = emit(w, err);
            group = w->streams[stream].group;
            snprintf(key, sizeof(key), "%016llx", (unsigned long long)w->keys[group]);
            memcpy(w->part.key, key, LP_OTLP_KEY_BYTES);
        }
        rc = rc == LP_OK ? write_stream(w, stream, err) : rc;
    }
    return rc == LP_OK ? emit(w, err) : rc;
}

static void
writer_init(struct writer *w)
{
    size_t n = w->b->nstreams;
    for (w->nbuckets = 16; w->nbuckets < 2 * n; w->nbuckets *= 2) {
    }
    w->streams = lp_calloc(n, sizeof(*w->streams));
    w->order = lp_calloc(n, sizeof(*w->order));
    w->groups = lp_calloc(n, sizeof(*w->groups));
    w->keys = lp_calloc(n, sizeof(*w->keys));
    w->buckets = lp_calloc(w->nbuckets, sizeof(*w->buckets));
    w->slots = lp_calloc(w->b->nrows, sizeof(*w->slots));
    lp_arena_init(&w->ar, SIZE_MAX, LP_LABELS_MAX * sizeof(struct lp_pair));
    lp_buf_init(&w->group_key, SIZE_MAX / 2);
    lp_buf_init(&w->value, w->max);
}

static void
writer_clear(struct writer *w)
{
    lp_free(w->streams);
    lp_free(w->order);
    lp_free(w->groups);
    lp_free(w->keys);
    lp_free(w->buckets);
    lp_free(w->slots);
    lp_arena_clear(&w->ar);
    lp_buf_clear(&w->group_key);
    lp_buf_clear(&w->value);
}

lp_rc
lp_otlp_write(const struct lp_batch *b, size_t value_bytes_max, lp_otlp_part_fn fn, void *ctx,
              struct lp_err *err)
{
    struct writer w = {.b = b, .max = LP_MIN(value_bytes_max, VALUE_BYTES_MAX), .fn = fn, .ctx = ctx};
    if (b->nrows == 0) {
        return LP_OK;
    }
    writer_init(&w);
    lp_rc rc = plan_streams(&w, err);
    if (rc == LP_OK) {
        order_streams(&w);
        rc = plan_rows(&w, err);
    }
    if (rc == LP_OK) {
        rc = write_groups(&w, err);
    }
    writer_clear(&w);
    return rc;
}
