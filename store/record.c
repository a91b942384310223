/*
 * record.c - building batches: canonical stream keys, rows, metadata blobs, the content hash.
 *
 * Invariants: (1) a stream key is written exactly as FORMAT.md section 5 says, so equal streams have equal
 * bytes and equal hashes everywhere; (2) metadata of a row is sorted by name without repeats; (3) everything
 * a row points to lives in the batch's arena. One thread builds a batch; afterwards it is only read.
 */
#include "store/record.h"

#include <stdatomic.h>
#include <string.h>

#include "base/bytes.h"
#include "base/metrics.h"

/* What the head adds for a stream and a ticket beside the batch's own memory; head.c asserts that it
 * suffices. */
#define STREAM_OVERHEAD_BYTES 160
#define BATCH_OVERHEAD_BYTES 2048
#define SERIALS_A_BATCH (UINT64_C(1) << 20) /* changes of its tenant need fewer */
#define SPAN_GAP_BYTES_MAX 1024u /* between lines; beyond, a search would look at too much that is none */
#define SPANS_MIN 16
#define SPANS_A_ROW 16 /* rows, on average, that make spans worth their memory */
#define ROWS_MIN 16u
#define EXPECTED_BYTES_A_ROW 400u /* of input */
#define ROWS_EXPECTED_MAX 16384u
/* Longer label sets are always sorted and looked up. */
#define GIVEN_BYTES_MAX 1024

struct lp_batch *
lp_batch_new(struct lp_str tenant, size_t budget, size_t expect)
{
    static _Atomic uint64_t serials;
    struct lp_batch *b = lp_calloc(1, sizeof(*b));
    b->serial = atomic_fetch_add_explicit(&serials, SERIALS_A_BATCH, memory_order_relaxed) + 1;
    lp_arena_init(&b->ar, budget, LP_MIN(expect, (size_t)LP_ARENA_CHUNK_MAX));
    b->rows_expected = LP_MIN(ROWS_MIN + expect / EXPECTED_BYTES_A_ROW, ROWS_EXPECTED_MAX);
    if (!lp_arena_str(&b->ar, tenant, &b->tenant)) {
        lp_batch_free(b);
        return NULL;
    }
    return b;
}

void
lp_batch_free(struct lp_batch *b)
{
    if (b == NULL) {
        return;
    }
    lp_free(b->rows);
    lp_free(b->spans);
    lp_arena_clear(&b->ar);
    lp_free(b);
}

/* One pass of a bottom-up merge sort: merges sorted runs of `width` from src into dst, stable. */
static void
merge_pass(const struct lp_pair *src, struct lp_pair *dst, size_t n, size_t width)
{
    for (size_t lo = 0; lo < n; lo += 2 * width) {
        size_t i = lo, mid = LP_MIN(lo + width, n), j = mid, hi = LP_MIN(lo + 2 * width, n);
        for (size_t k = lo; k < hi; k++) {
            bool left = i < mid && (j >= hi || lp_str_cmp(src[i].name, src[j].name) <= 0);
            dst[k] = left ? src[i++] : src[j++];
        }
    }
}

static bool
is_sorted(const struct lp_pair *pairs, size_t n)
{
    for (size_t i = 1; i < n; i++) {
        if (lp_str_cmp(pairs[i - 1].name, pairs[i].name) >= 0) {
            return false;
        }
    }
    return true;
}

/* Sorts by name; of equal names the last stays. Returns how many remain. scratch holds n pairs. */
static size_t
sort_pairs(struct lp_pair *pairs, size_t n, struct lp_pair *scratch)
{
    if (is_sorted(pairs, n)) {
        return n;
    }
    struct lp_pair *src = pairs, *dst = scratch;
    for (size_t width = 1; width < n; width *= 2) {
        merge_pass(src, dst, n, width);
        struct lp_pair *t = src;
        src = dst;
        dst = t;
    }
    size_t out = 0;
    for (size_t i = 0; i < n; i++) {
        if (out > 0 && lp_str_eq(pairs[out - 1].name, src[i].name)) {
            out--;
        }
        pairs[out++] = src[i]; /* out <= i: in place is safe when src is pairs */
    }
    return out;
}

static bool
label_fits(const struct lp_pair *l)
{
    return l->name.n <= LP_LABEL_NAME_BYTES_MAX && l->value.n <= LP_LABEL_VALUE_BYTES_MAX;
}

static char *
put_lpstr(char *p, struct lp_str s)
{
    p += lp_put_varint(p, s.n);
    if (s.n > 0) {
        memcpy(p, s.p, s.n);
    }
    return p + s.n;
}

/* Writes the canonical key of sorted labels into arena scratch that the caller may give back by not keeping
 * it. */
static struct lp_str
write_key(const struct lp_batch *b, const struct lp_pair *labels, size_t n, const struct lp_instance *inst,
          char *out)
{
    char *p = put_lpstr(out, b->tenant);
    p += lp_put_varint(p, n);
    for (size_t i = 0; i < n; i++) {
        p = put_lpstr(p, labels[i].name);
        p = put_lpstr(p, labels[i].value);
    }
    p = put_lpstr(p, inst ? inst->uid : LP_STR_NULL);
    p = put_lpstr(p, inst ? inst->incarnation : LP_STR_NULL);
    return lp_str_of(out, (size_t)(p - out));
}

static bool
rehash_streams(struct lp_batch *b)
{
    size_t n = b->nbuckets ? b->nbuckets * 2 : 64;
    uint32_t *buckets = lp_arena_zalloc(&b->ar, n * sizeof(*buckets));
    if (buckets == NULL) {
        return false;
    }
    for (size_t i = 0; i < b->nstreams; i++) {
        size_t at = b->streams[i].hash.lo & (n - 1);
        while (buckets[at] != 0) {
            at = (at + 1) & (n - 1);
        }
        buckets[at] = (uint32_t)i + 1;
    }
    b->buckets = buckets;
    b->nbuckets = n;
    return true;
}

/* Copies pairs with their bytes into the arena; NULL when spent. */
static struct lp_pair *
copy_pairs(struct lp_arena *ar, const struct lp_pair *pairs, size_t n)
{
    struct lp_pair *out = lp_arena_array(ar, n, sizeof(*out));
    for (size_t i = 0; out != NULL && i < n; i++) {
        if (!lp_arena_str(ar, pairs[i].name, &out[i].name) ||
            !lp_arena_str(ar, pairs[i].value, &out[i].value)) {
            return NULL;
        }
    }
    return out;
}

static lp_rc
spent(struct lp_err *err)
{
    return lp_err_set(err, LP_ERR_LIMIT,
                      "the request decodes to more than the memory set aside for one request");
}

static lp_rc
add_stream(struct lp_batch *b, struct lp_str key, struct lp_hash128 hash, const struct lp_pair *extra,
           size_t nextra, uint32_t *ret, struct lp_err *err)
{
    if ((b->nstreams + 1) * 4 > b->nbuckets * 3 && !rehash_streams(b)) {
        return spent(err);
    }
    struct lp_batch_stream *s =
        lp_arena_grow(&b->ar, b->streams, &b->streams_cap, b->nstreams + 1, sizeof(*b->streams));
    if (s == NULL) {
        return spent(err);
    }
    b->streams = s;
    s += b->nstreams;
    *s = (struct lp_batch_stream){.hash = hash, .min_ns = LP_TIME_MAX, .max_ns = LP_TIME_MIN};
    s->extra = copy_pairs(&b->ar, extra, nextra);
    s->nextra = (uint32_t)nextra;
    if (s->extra == NULL || !lp_arena_str(&b->ar, key, &s->key)) {
        return spent(err);
    }
    size_t at = hash.lo & (b->nbuckets - 1);
    while (b->buckets[at] != 0) {
        at = (at + 1) & (b->nbuckets - 1);
    }
    *ret = (uint32_t)b->nstreams++;
    b->buckets[at] = *ret + 1;
    return LP_OK;
}

static bool
find_stream(const struct lp_batch *b, struct lp_hash128 hash, size_t nextra, uint32_t *ret)
{
    for (size_t at = b->nbuckets ? hash.lo & (b->nbuckets - 1) : 0; b->nbuckets && b->buckets[at] != 0;
         at = (at + 1) & (b->nbuckets - 1)) {
        const struct lp_batch_stream *s = &b->streams[b->buckets[at] - 1];
        /* a stream with demoted labels is never shared: the demoted values may differ */
        if (lp_hash128_eq(s->hash, hash) && s->nextra == 0 && nextra == 0) {
            *ret = b->buckets[at] - 1;
            return true;
        }
    }
    return false;
}

/* Splits sorted labels into those that are labels (front, count returned) and those over a limit (extra). */
static size_t
demote(struct lp_batch *b, struct lp_pair *labels, size_t n, struct lp_pair *extra, size_t *nextra)
{
    size_t keep = 0;
    *nextra = 0;
    for (size_t i = 0; i < n; i++) {
        if (labels[i].value.n == 0) {
            continue;
        }
        if (keep < LP_LABELS_MAX && label_fits(&labels[i])) {
            labels[keep++] = labels[i];
        } else {
            extra[(*nextra)++] = labels[i];
        }
    }
    b->demoted += *nextra;
    return keep;
}

static size_t
key_bytes_max(const struct lp_batch *b, const struct lp_pair *labels, size_t n,
              const struct lp_instance *inst)
{
    size_t bytes = b->tenant.n + (inst ? inst->uid.n + inst->incarnation.n : 0) + (4 + 2 * n) * LP_VARINT_MAX;
    for (size_t i = 0; i < n; i++) {
        bytes += labels[i].name.n + labels[i].value.n;
    }
    return bytes;
}

/* The stream by its canonical key. *ret_plain: it has no demoted labels, so the same labels are the same
 * stream. */
static lp_rc
canonical_stream(struct lp_batch *b, const struct lp_pair *labels, size_t n, const struct lp_instance *inst,
                 uint32_t *ret_stream, bool *ret_plain, struct lp_err *err)
{
    struct lp_pair sorted[LP_META_PAIRS_MAX], scratch[LP_META_PAIRS_MAX];
    if (n > 0) {
        memcpy(sorted, labels, n * sizeof(*labels));
    }
    size_t nextra, nlabels = demote(b, sorted, sort_pairs(sorted, n, scratch), scratch, &nextra);
    if (nlabels == 0) {
        return lp_err_set(err, LP_ERR_PARSE, "error at least one label pair is required per stream");
    }
    char small[2048];
    size_t need = key_bytes_max(b, sorted, nlabels, inst);
    char *out = need <= sizeof(small) ? small : lp_arena_bytes(&b->ar, need);
    if (out == NULL) {
        return spent(err);
    }
    struct lp_str key = write_key(b, sorted, nlabels, inst, out);
    struct lp_hash128 hash = lp_xxh128(key.p, key.n);
    *ret_plain = nextra == 0;
    if (find_stream(b, hash, nextra, ret_stream)) {
        return LP_OK;
    }
    return add_stream(b, key, hash, scratch, nextra, ret_stream, err);
}

/* The key of labels as they were given, unsorted; NULL when it is longer than GIVEN_BYTES_MAX. Records of a
 * stream come with the same ones in the same order. */
static struct lp_str
given_key(const struct lp_batch *b, const struct lp_pair *labels, size_t n, const struct lp_instance *inst,
          char text[GIVEN_BYTES_MAX])
{
    return key_bytes_max(b, labels, n, inst) > GIVEN_BYTES_MAX ? LP_STR_NULL
                                                               : write_key(b, labels, n, inst, text);
}

/* Whether the key of the labels as they were given is the canonical one. */
static bool
is_canonical(const struct lp_pair *labels, size_t n)
{
    bool ok = n > 0 && n <= LP_LABELS_MAX && is_sorted(labels, n);
    for (size_t i = 0; i < n && ok; i++) {
        ok = labels[i].value.n > 0 && label_fits(&labels[i]);
    }
    return ok;
}

lp_rc
lp_batch_stream(struct lp_batch *b, const struct lp_pair *labels, size_t n, const struct lp_instance *inst,
                uint32_t *ret_stream, struct lp_err *err)
{
    char text[GIVEN_BYTES_MAX];
    bool plain = true;
    if (n > LP_META_PAIRS_MAX) {
        return lp_err_set(err, LP_ERR_LIMIT, "a stream has %zu labels, more than %d", n, LP_META_PAIRS_MAX);
    }
    struct lp_str given = given_key(b, labels, n, inst, text);
    struct lp_hash128 hash = lp_xxh128(given.p, given.n);
    struct lp_recent_stream *r = given.p != NULL ? &b->recent[hash.lo % LP_RECENT_STREAMS] : NULL;
    if (r != NULL && r->stream > 0 && lp_hash128_eq(r->hash, hash)) {
        *ret_stream = r->stream - 1;
        return LP_OK;
    }
    lp_rc rc = LP_OK;
    if (r == NULL || !is_canonical(labels, n)) {
        rc = canonical_stream(b, labels, n, inst, ret_stream, &plain, err);
    } else if (!find_stream(b, hash, 0, ret_stream)) {
        rc = add_stream(b, given, hash, NULL, 0, ret_stream, err);
    }
    if (rc == LP_OK && r != NULL && plain) {
        *r = (struct lp_recent_stream){hash, *ret_stream + 1};
    }
    return rc;
}

const uint8_t *
lp_meta_write(struct lp_arena *ar, const struct lp_pair *pairs, size_t n)
{
    size_t bytes = 4;
    for (size_t i = 0; i < n; i++) {
        bytes += 2 * LP_VARINT_MAX + pairs[i].name.n + pairs[i].value.n;
    }
    char *blob = bytes > UINT32_MAX ? NULL : lp_arena_bytes(ar, bytes);
    if (blob == NULL) {
        return NULL;
    }
    char *p = blob + 4;
    for (size_t i = 0; i < n; i++) {
        p = put_lpstr(put_lpstr(p, pairs[i].name), pairs[i].value);
    }
    lp_put_u32(blob, (uint32_t)(p - blob) - 4);
    return (const uint8_t *)blob;
}

/* Merges a row's own pairs with its stream's demoted labels; own pairs win. */
lp_rc
lp_batch_meta(struct lp_batch *b, uint32_t stream, const struct lp_pair *meta, size_t nmeta,
              const uint8_t **ret, struct lp_err *err)
{
    const struct lp_batch_stream *s = &b->streams[stream];
    *ret = NULL;
    size_t n = nmeta + s->nextra;
    if (n == 0) {
        return LP_OK;
    }
    if (n > LP_META_PAIRS_MAX) {
        return lp_err_set(err, LP_ERR_LIMIT, "a record has %zu metadata pairs, more than %d", n,
                          LP_META_PAIRS_MAX);
    }
    struct lp_pair pairs[LP_META_PAIRS_MAX], scratch[LP_META_PAIRS_MAX];
    if (s->nextra > 0) {
        memcpy(pairs, s->extra, s->nextra * sizeof(*pairs));
    }
    if (nmeta > 0) {
        memcpy(pairs + s->nextra, meta, nmeta * sizeof(*pairs));
    }
    *ret = lp_meta_write(&b->ar, pairs, sort_pairs(pairs, n, scratch));
    return *ret != NULL ? LP_OK : spent(err);
}

static bool
grow_rows(struct lp_batch *b)
{
    size_t cap = b->rows_cap ? b->rows_cap + b->rows_cap / 2 : b->rows_expected;
    if (cap > UINT32_MAX || b->ar.reserved + cap * sizeof(*b->rows) > b->ar.budget) {
        return false;
    }
    b->rows = lp_realloc(b->rows, cap * sizeof(*b->rows));
    b->rows_cap = cap;
    return true;
}

lp_rc
lp_batch_add_row(struct lp_batch *b, uint32_t stream, int64_t time_ns, struct lp_str line,
                 const uint8_t *meta, struct lp_err *err)
{
    LP_ASSERT(stream < b->nstreams);
    struct lp_batch_stream *s = &b->streams[stream];
    if (line.n > UINT32_MAX / 2 || (b->nrows == b->rows_cap && !grow_rows(b))) {
        return spent(err);
    }
    b->untimed += time_ns == LP_TIME_NONE;
    int64_t t = time_ns == LP_TIME_NONE ? b->received_ns : time_ns;
    b->rows[b->nrows++] = (struct lp_row){t, line.p, meta, (uint32_t)line.n, stream};
    b->line_bytes += line.n;
    b->meta_bytes += meta != NULL ? lp_get_u32(meta) : 0;
    s->rows++;
    s->min_ns = LP_MIN(s->min_ns, t);
    s->max_ns = LP_MAX(s->max_ns, t);
    return LP_OK;
}

lp_rc
lp_batch_add(struct lp_batch *b, uint32_t stream, int64_t time_ns, struct lp_str line, bool borrow,
             const struct lp_pair *meta, size_t nmeta, struct lp_err *err)
{
    LP_ASSERT(stream < b->nstreams);
    if (line.n > UINT32_MAX / 2) {
        return spent(err);
    }
    if (!borrow) {
        char *copy = lp_arena_bytes(&b->ar, line.n);
        if (copy == NULL) {
            return spent(err);
        }
        if (line.n > 0) {
            memcpy(copy, line.p, line.n);
        }
        line.p = copy;
    }
    const uint8_t *blob;
    lp_rc rc = lp_batch_meta(b, stream, meta, nmeta, &blob, err);
    return rc == LP_OK ? lp_batch_add_row(b, stream, time_ns, line, blob, err) : rc;
}

bool
lp_batch_note_id(struct lp_batch *b, const struct lp_batch_id *id)
{
    struct lp_batch_id *ids = lp_arena_grow(&b->ar, b->ids, &b->ids_cap, b->nids + 1, sizeof(*ids));
    if (ids == NULL) {
        return false;
    }
    b->ids = ids;
    b->ids[b->nids++] = *id;
    return true;
}

bool
lp_batch_set_tenant(struct lp_batch *b, struct lp_str tenant)
{
    if (lp_str_eq(b->tenant, tenant)) {
        return true;
    }
    b->serial++;
    return lp_arena_str(&b->ar, tenant, &b->tenant);
}

/* How many rows from `first` on have their lines in one chunk, rising, near each other; *ret is their span.
 */
static uint32_t
one_span(const struct lp_batch *b, uint32_t first, struct lp_line_span *ret)
{
    const char *from = NULL, *to = NULL, *chunk_end = NULL;
    uint32_t i = first;
    for (; i < b->nrows; i++) {
        struct lp_row *r = &b->rows[i];
        if (r->line_bytes == 0) {
            r->line = to != NULL ? to : ""; /* anywhere will do: in order, for lp_batch_row_at() */
            continue;
        }
        if (from == NULL) {
            from = to = r->line;
            for (uint32_t empty = first; empty < i; empty++) {
                b->rows[empty].line = from;
            }
            chunk_end = lp_arena_chunk_end(&b->ar, from);
        }
        uintptr_t gap = (uintptr_t)r->line - (uintptr_t)to;
        if (chunk_end == NULL || gap > SPAN_GAP_BYTES_MAX || (uintptr_t)r->line >= (uintptr_t)chunk_end) {
            break;
        }
        to = r->line + r->line_bytes;
    }
    *ret = (struct lp_line_span){from != NULL ? from : "", (size_t)(to - from), first, i};
    return i - first;
}

static void
find_spans(struct lp_batch *b)
{
    size_t most = SPANS_MIN + b->nrows / SPANS_A_ROW, n = 0;
    struct lp_line_span *spans = lp_malloc(most * sizeof(*spans));
    for (uint32_t at = 0, rows; at < b->nrows; at += rows, n++) {
        rows = n < most ? one_span(b, at, &spans[n]) : 0;
        if (rows == 0) { /* too many, or lines in memory of others */
            n = 0;
            break;
        }
    }
    lp_free(b->spans);
    b->spans = n > 0 ? lp_realloc(spans, n * sizeof(*spans)) : NULL;
    b->nspans = n;
    if (n == 0) {
        lp_free(spans);
    }
}

uint32_t
lp_batch_row_at(const struct lp_batch *b, const struct lp_line_span *span, const char *at, size_t n)
{
    uint32_t lo = span->first_row,
             hi = span->end_row; /* the last row whose line begins at or before `at` is in [lo, hi) */
    LP_ASSERT(n > 0 && at >= span->p && at < span->p + span->n);
    while (hi - lo > 1) {
        uint32_t mid = lo + (hi - lo) / 2;
        bool before = b->rows[mid].line <= at;
        lo = before ? mid : lo;
        hi = before ? hi : mid;
    }
    while (lo > span->first_row &&
           b->rows[lo].line_bytes == 0) { /* empty ones stand at the end of the line before */
        lo--;
    }
    const struct lp_row *r = &b->rows[lo];
    return at >= r->line && n <= r->line_bytes && (size_t)(at - r->line) <= r->line_bytes - n ? lo
                                                                                              : UINT32_MAX;
}

void
lp_batch_finish(struct lp_batch *b)
{
    find_spans(b);
    if (b->nrows > 0 && b->nrows < b->rows_cap) {
        b->rows = lp_realloc(b->rows, b->nrows * sizeof(*b->rows));
        b->rows_cap = b->nrows;
    }
}

lp_rc
lp_batch_quarantine(struct lp_batch *b, struct lp_str source, struct lp_str raw, struct lp_str reason,
                    struct lp_str place, struct lp_err *err)
{
    struct lp_pair label = {LP_STR(LP_QUARANTINE_LABEL), source};
    struct lp_pair meta[2] = {{LP_STR("place"), place}, {LP_STR("reason"), reason}};
    uint32_t stream;
    lp_rc rc = lp_batch_stream(b, &label, 1, NULL, &stream, err);
    if (rc == LP_OK) {
        rc = lp_batch_add(b, stream, LP_TIME_NONE, raw, false, meta, LP_ARRAY_LEN(meta), err);
    }
    if (rc == LP_OK) {
        b->quarantined++;
    }
    return rc;
}

struct lp_hash128
lp_batch_content_hash(const struct lp_batch *b)
{
    struct lp_hasher *h = lp_hasher_new();
    for (size_t i = 0; i < b->nrows; i++) {
        const struct lp_row *r = &b->rows[i];
        uint64_t head[4] = {b->streams[r->stream].hash.lo, b->streams[r->stream].hash.hi,
                            (uint64_t)r->time_ns, r->line_bytes};
        lp_hasher_add(h, head, sizeof(head));
        lp_hasher_add(h, r->line, r->line_bytes);
        if (r->meta != NULL) {
            lp_hasher_add(h, r->meta, 4 + (size_t)lp_get_u32(r->meta));
        }
    }
    struct lp_hash128 out = lp_hasher_u128(h);
    lp_hasher_free(h);
    return out;
}

size_t
lp_batch_room(const struct lp_batch *b)
{
    return b->ar.reserved + b->rows_cap * sizeof(*b->rows) + b->nspans * sizeof(*b->spans) +
           b->nstreams * STREAM_OVERHEAD_BYTES + BATCH_OVERHEAD_BYTES;
}

size_t
lp_batch_room_bound(size_t input_bytes, size_t records)
{
    /* per record: a row (with the growth of its array), a stream of its own at worst, metadata framing */
    size_t per_record =
        3 * sizeof(struct lp_row) + STREAM_OVERHEAD_BYTES + 2 * sizeof(struct lp_batch_stream) + 256;
    return 3 * input_bytes + records * per_record + LP_ARENA_CHUNK_MAX + BATCH_OVERHEAD_BYTES;
}

struct lp_meta_iter
lp_meta_begin(const uint8_t *meta)
{
    if (meta == NULL) {
        return (struct lp_meta_iter){NULL, NULL};
    }
    return (struct lp_meta_iter){meta + 4, meta + 4 + lp_get_u32(meta)};
}

bool
lp_meta_next(struct lp_meta_iter *it, struct lp_pair *ret)
{
    if (it->p >= it->end) {
        return false;
    }
    struct lp_rd rd = {it->p, it->end, false};
    ret->name = lp_rd_lpstr(&rd);
    ret->value = lp_rd_lpstr(&rd);
    it->p = rd.p;
    return !rd.bad;
}

lp_rc
lp_stream_key_parse(struct lp_str key, struct lp_arena *ar, struct lp_stream_key *ret, struct lp_err *err)
{
    struct lp_rd rd = lp_rd_of(key);
    struct lp_stream_key k = {.tenant = lp_rd_lpstr(&rd)};
    uint64_t n = lp_rd_varint(&rd);
    if (rd.bad || n > LP_LABELS_MAX) {
        return lp_corrupt(err, "stream key: bad label count");
    }
    k.labels = lp_arena_array(ar, (size_t)n, sizeof(*k.labels));
    if (k.labels == NULL) {
        return lp_err_set(err, LP_ERR_LIMIT, "no memory left for a stream's labels");
    }
    for (; k.nlabels < n; k.nlabels++) {
        k.labels[k.nlabels].name = lp_rd_lpstr(&rd);
        k.labels[k.nlabels].value = lp_rd_lpstr(&rd);
    }
    k.inst.uid = lp_rd_lpstr(&rd);
    k.inst.incarnation = lp_rd_lpstr(&rd);
    if (rd.bad || lp_rd_left(&rd) != 0) {
        return lp_corrupt(err, "stream key: cut or trailing bytes");
    }
    *ret = k;
    return LP_OK;
}

bool
lp_stream_key_copy(const struct lp_stream_key *k, struct lp_arena *ar, struct lp_stream_key *ret)
{
    *ret = *k;
    ret->labels = lp_arena_array(ar, k->nlabels, sizeof(*ret->labels));
    bool ok = ret->labels != NULL && lp_arena_str(ar, k->tenant, &ret->tenant) &&
              lp_arena_str(ar, k->inst.uid, &ret->inst.uid) &&
              lp_arena_str(ar, k->inst.incarnation, &ret->inst.incarnation);
    for (size_t i = 0; i < k->nlabels && ok; i++) {
        ok = lp_arena_str(ar, k->labels[i].name, &ret->labels[i].name) &&
             lp_arena_str(ar, k->labels[i].value, &ret->labels[i].value);
    }
    return ok;
}

struct lp_str
lp_stream_key_label(const struct lp_stream_key *k, struct lp_str name)
{
    for (size_t i = 0; i < k->nlabels; i++) {
        if (lp_str_eq(k->labels[i].name, name)) {
            return k->labels[i].value;
        }
    }
    return LP_STR_NULL;
}

void
lp_group_key(const struct lp_stream_key *k, struct lp_buf *out)
{
    static const struct lp_str kinds[] = {
        {"container", 9}, {"app", 3},      {"service_name", 12},
        {"job", 3},       {"filename", 8}, {LP_QUARANTINE_LABEL, sizeof(LP_QUARANTINE_LABEL) - 1}};
    struct lp_str kind = LP_STR_NULL, value = LP_STR_NULL;
    for (size_t i = 0; i < LP_ARRAY_LEN(kinds) && value.n == 0; i++) {
        kind = kinds[i];
        value = lp_stream_key_label(k, kind);
    }
    if (value.n == 0) {
        kind = LP_STR_NULL;
    } else if (lp_str_eqc(kind, "filename")) {
        size_t slash = lp_str_rfind_byte(value, '/');
        value = lp_str_sub(value, 0, slash == SIZE_MAX ? 0 : slash);
    }
    (void)lp_buf_lpstr(out, k->tenant); /* a failed append is sticky in out: the caller checks once */
    (void)lp_buf_lpstr(out, lp_stream_key_label(k, LP_STR("namespace")));
    (void)lp_buf_lpstr(out, kind);
    (void)lp_buf_lpstr(out, value);
}
