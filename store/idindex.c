/*
 * idindex.c - writing and asking the id index of a segment (FORMAT.md section 2.6).
 *
 * Of the 64 bits of a hash about log2(entries) + 3 are kept, so one entry in eight is named for a hash that
 * is not its own; sorted in buckets, a kept hash costs some 4.6 bits and the block number its width.
 */
#include "store/idindex.h"

#include <string.h>

#include "base/bytes.h"
#include "base/hash.h"
#include "store/bitmap.h"

#define BUCKET_ENTRIES_BITS 9u /* entries a bucket, about */
#define SPARE_BITS 3u          /* kept of the hash beyond what tells n entries apart */
#define RICE_K 3u
#define HEAD_BYTES 12u
#define BUCKET_ROW_BYTES 8u
#define BUCKET_BITS_MAX 24u
#define BUCKET_BYTES_MAX (16u << 20)

struct lp_idindex {
    uint32_t nblocks, nbuckets;
    uint8_t bucket_bits, rest_bits, rice_k, block_bits;
    uint64_t head_bytes; /* buckets begin there */
    uint32_t *ends, *crcs;
};

static unsigned
bits_for(uint64_t n)
{
    return n <= 1 ? 0 : 64u - (unsigned)__builtin_clzll(n - 1);
}

/* --- writing --- */

/* One stable pass of a sort by the byte at `shift` of the hash, or of the block. */
static void
sort_pass(const struct lp_id_entry *from, struct lp_id_entry *to, size_t n, bool block, unsigned shift)
{
    size_t at[257] = {0};
    for (size_t i = 0; i < n; i++) {
        at[((block ? from[i].block : from[i].hash) >> shift & 255) + 1]++;
    }
    for (unsigned k = 0; k < 256; k++) {
        at[k + 1] += at[k];
    }
    for (size_t i = 0; i < n; i++) {
        to[at[(block ? from[i].block : from[i].hash) >> shift & 255]++] = from[i];
    }
}

/* Sorts by (highest `kept` bits of the hash, block). Mostly blocks are in order already, which stable passes
 * keep. */
static void
sort_entries(struct lp_id_entry *v, size_t n, unsigned kept)
{
    struct lp_id_entry *tmp = lp_malloc(n * sizeof(*tmp)), *from = v, *to = tmp;
    bool in_order = true;
    for (size_t i = 1; i < n; i++) {
        in_order = in_order && v[i - 1].block <= v[i].block;
    }
    unsigned npasses = (kept + 7) / 8;
    for (unsigned pass = in_order ? 4 : 0; pass < 4 + npasses; pass++) {
        bool block = pass < 4;
        sort_pass(from, to, n, block, block ? 8 * pass : 64 - 8 * (npasses - (pass - 4)));
        struct lp_id_entry *t = from;
        from = to;
        to = t;
    }
    if (from != v) {
        memcpy(v, from, n * sizeof(*v));
    }
    lp_free(tmp);
}

struct bits {
    struct lp_buf *out;
    uint64_t held;
    unsigned n;
};

static void
put_bits(struct bits *b, uint64_t v, unsigned n)
{
    LP_DEBUG_ASSERT(n <= 32);
    b->held |= v << b->n;
    b->n += n;
    while (b->n >= 8) {
        lp_buf_u8(b->out, (uint8_t)b->held);
        b->held >>= 8;
        b->n -= 8;
    }
}

static void
put_rice(struct bits *b, uint64_t v)
{
    uint64_t q = v >> RICE_K;
    for (; q >= 32; q -= 32) {
        put_bits(b, UINT32_MAX, 32);
    }
    put_bits(b, (UINT64_C(1) << q) - 1, (unsigned)q);
    put_bits(b, 0, 1);
    put_bits(b, v & ((1u << RICE_K) - 1), RICE_K);
}

static void
end_bits(struct bits *b)
{
    if (b->n > 0) { /* ones, which never make an entry */
        put_bits(b, (1u << (8 - b->n)) - 1, 8 - b->n);
    }
}

/* The entries [*at, ...) of one bucket. */
static void
put_bucket(const struct lp_id_entry *v, size_t n, size_t *at, uint64_t bucket, unsigned kept, unsigned rest,
           unsigned block_bits, struct lp_buf *out)
{
    struct bits b = {out, 0, 0};
    uint64_t last = 0, mask = rest == 64 ? UINT64_MAX : (UINT64_C(1) << rest) - 1, last_block = UINT64_MAX;
    bool first = true;
    for (; *at < n; (*at)++) {
        uint64_t h = v[*at].hash >> (64 - kept);
        if (h >> rest != bucket) {
            break;
        }
        h &= mask;
        if (!first && h == last && v[*at].block == last_block) {
            continue;
        }
        put_rice(&b, h - (first ? 0 : last));
        put_bits(&b, v[*at].block, block_bits);
        last = h;
        last_block = v[*at].block;
        first = false;
    }
    end_bits(&b);
}

/* What is not kept of a hash must not count in the order. */
static void
cut_hashes(struct lp_id_entry *v, size_t n, unsigned kept)
{
    for (size_t i = 0; i < n; i++) {
        v[i].hash &= ~((UINT64_C(1) << (64 - kept)) - 1);
    }
    sort_entries(v, n, kept);
}

void
lp_idindex_encode(struct lp_id_entry *v, size_t n, uint32_t nblocks, struct lp_buf *out)
{
    if (n == 0) {
        return;
    }
    unsigned kept = LP_MIN(bits_for(n) + SPARE_BITS, 60u);
    unsigned b =
        bits_for(n) > BUCKET_ENTRIES_BITS ? LP_MIN(bits_for(n) - BUCKET_ENTRIES_BITS, BUCKET_BITS_MAX) : 0;
    unsigned block_bits = bits_for(nblocks);
    uint32_t nbuckets = 1u << b;
    size_t start = out->n, at = 0;
    cut_hashes(v, n, kept);
    lp_buf_u32(out, (uint32_t)LP_MIN(n, (size_t)UINT32_MAX));
    lp_buf_u32(out, nblocks);
    lp_buf_u8(out, (uint8_t)b);
    lp_buf_u8(out, (uint8_t)(kept - b));
    lp_buf_u8(out, RICE_K);
    lp_buf_u8(out, (uint8_t)block_bits);
    size_t table = out->n, head = HEAD_BYTES + (size_t)nbuckets * BUCKET_ROW_BYTES + 4;
    if (!lp_buf_reserve(out, head)) {
        return;
    }
    out->n = start + head;
    for (uint32_t k = 0; k < nbuckets; k++) {
        size_t begin = out->n;
        put_bucket(v, n, &at, k, kept, kept - b, block_bits, out);
        if (out->failed) {
            return;
        }
        lp_put_u32(out->p + table + (size_t)k * BUCKET_ROW_BYTES, (uint32_t)(out->n - start - head));
        lp_put_u32(out->p + table + (size_t)k * BUCKET_ROW_BYTES + 4,
                   lp_crc32c(0, out->p + begin, out->n - begin));
    }
    lp_put_u32(out->p + start + head - 4, lp_crc32c(0, out->p + start, head - 4));
}

/* --- reading --- */

static lp_rc
bad(struct lp_err *err)
{
    return lp_corrupt(err, "the id index is malformed");
}

static lp_rc
parse_head(struct lp_idindex *x, const char *p, uint64_t bytes, struct lp_err *err)
{
    for (uint32_t k = 0; k < x->nbuckets; k++) {
        const char *row = p + HEAD_BYTES + (size_t)k * BUCKET_ROW_BYTES;
        x->ends[k] = lp_get_u32(row);
        x->crcs[k] = lp_get_u32(row + 4);
        uint32_t begin = k > 0 ? x->ends[k - 1] : 0;
        if (x->ends[k] < begin || x->ends[k] - begin > BUCKET_BYTES_MAX) {
            return bad(err);
        }
    }
    return x->head_bytes + x->ends[x->nbuckets - 1] == bytes ? LP_OK : bad(err);
}

lp_rc
lp_idindex_open(lp_idindex_read read, void *ctx, uint64_t bytes, uint32_t nblocks, struct lp_idindex **ret,
                struct lp_err *err)
{
    char first[HEAD_BYTES];
    if (bytes < HEAD_BYTES + BUCKET_ROW_BYTES + 4) {
        return bad(err);
    }
    lp_rc rc = read(ctx, first, sizeof(first), 0, err);
    if (rc != LP_OK) {
        return rc;
    }
    unsigned b = (uint8_t)first[8], rest = (uint8_t)first[9], k = (uint8_t)first[10],
             width = (uint8_t)first[11];
    uint64_t head = HEAD_BYTES + (UINT64_C(1) << (b & 31)) * BUCKET_ROW_BYTES + 4;
    if (b > BUCKET_BITS_MAX || b + rest > 64 || b + rest == 0 || k > 32 || width > 32 ||
        lp_get_u32(first + 4) != nblocks || head > bytes) {
        return bad(err);
    }
    struct lp_idindex *x = lp_calloc(1, sizeof(*x));
    *x = (struct lp_idindex){.nblocks = nblocks,
                             .nbuckets = 1u << b,
                             .bucket_bits = (uint8_t)b,
                             .rest_bits = (uint8_t)rest,
                             .rice_k = (uint8_t)k,
                             .block_bits = (uint8_t)width,
                             .head_bytes = head};
    x->ends = lp_malloc(x->nbuckets * sizeof(*x->ends));
    x->crcs = lp_malloc(x->nbuckets * sizeof(*x->crcs));
    char *all = lp_malloc(head);
    rc = read(ctx, all, head, 0, err);
    if (rc == LP_OK) {
        bool same =
            lp_crc32c(0, all, head - 4) == lp_get_u32(all + head - 4) && memcmp(all, first, HEAD_BYTES) == 0;
        rc = same ? parse_head(x, all, bytes, err) : lp_corrupt(err, "checksum of the id index differs");
    }
    lp_free(all);
    if (rc != LP_OK) {
        lp_idindex_free(x);
        return rc;
    }
    *ret = x;
    return LP_OK;
}

void
lp_idindex_free(struct lp_idindex *x)
{
    if (x != NULL) {
        lp_free(x->ends);
        lp_free(x->crcs);
        lp_free(x);
    }
}

size_t
lp_idindex_memory(const struct lp_idindex *x)
{
    return sizeof(*x) + (size_t)x->nbuckets * BUCKET_ROW_BYTES;
}

/* A bit stream that gives `over` once it ends. */
struct bit_reader {
    const uint8_t *p, *end;
    uint64_t held;
    unsigned n;
    bool over;
};

static uint64_t
get_bits(struct bit_reader *r, unsigned n)
{
    while (r->n < n && r->p < r->end) {
        r->held |= (uint64_t)*r->p++ << r->n;
        r->n += 8;
    }
    if (r->n < n) {
        r->over = true;
        return 0;
    }
    uint64_t v = r->held & ((UINT64_C(1) << n) - 1);
    r->held >>= n;
    r->n -= n;
    return v;
}

static uint64_t
get_rice(struct bit_reader *r, unsigned k)
{
    uint64_t q = 0;
    while (get_bits(r, 1) == 1 && !r->over) {
        q++;
    }
    return q << k | get_bits(r, k);
}

static lp_rc
load_bucket(const struct lp_idindex *x, lp_idindex_read read, void *ctx, uint32_t k, char **ret,
            size_t *ret_n, struct lp_err *err)
{
    uint32_t begin = k > 0 ? x->ends[k - 1] : 0;
    *ret_n = x->ends[k] - begin;
    *ret = lp_malloc(*ret_n);
    lp_rc rc = read(ctx, *ret, *ret_n, x->head_bytes + begin, err);
    if (rc == LP_OK && lp_crc32c(0, *ret, *ret_n) != x->crcs[k]) {
        rc = lp_corrupt(err, "checksum of a bucket of the id index differs");
    }
    if (rc != LP_OK) {
        lp_free(*ret);
    }
    return rc;
}

/* Its bucket, and what of it tells ids in there apart. */
static uint32_t
bucket_of(const struct lp_idindex *x, uint64_t hash, uint64_t *ret_rest)
{
    uint64_t h = hash >> (64 - (x->bucket_bits + x->rest_bits));
    *ret_rest = x->rest_bits == 64 ? h : h & ((UINT64_C(1) << x->rest_bits) - 1);
    return x->rest_bits == 64 ? 0 : (uint32_t)(h >> x->rest_bits);
}

void
lp_idindex_where(const struct lp_idindex *x, uint64_t hash, uint64_t *ret_off, size_t *ret_n)
{
    uint64_t rest;
    uint32_t k = bucket_of(x, hash, &rest), begin = k > 0 ? x->ends[k - 1] : 0;
    *ret_off = x->head_bytes + begin;
    *ret_n = x->ends[k] - begin;
}

lp_rc
lp_idindex_find(const struct lp_idindex *x, lp_idindex_read read, void *ctx, uint64_t hash, uint64_t *blocks,
                struct lp_err *err)
{
    char *raw;
    size_t n;
    uint64_t want, rest = 0;
    uint32_t bucket = bucket_of(x, hash, &want);
    lp_rc rc = load_bucket(x, read, ctx, bucket, &raw, &n, err);
    if (rc != LP_OK) {
        return rc;
    }
    struct bit_reader r = {(const uint8_t *)raw, (const uint8_t *)raw + n, 0, 0, false};
    while (rest <= want) {
        rest += get_rice(&r, x->rice_k);
        uint64_t block = get_bits(&r, x->block_bits);
        if (r.over) {
            break;
        }
        if (block >= x->nblocks) {
            rc = bad(err);
            break;
        }
        if (rest == want) {
            lp_bit_set(blocks, block);
        }
    }
    lp_free(raw);
    return rc;
}

lp_rc
lp_idindex_prove(const struct lp_idindex *x, lp_idindex_read read, void *ctx, struct lp_err *err)
{
    lp_rc rc = LP_OK;
    for (uint32_t k = 0; k < x->nbuckets && rc == LP_OK; k++) {
        char *raw;
        size_t n;
        rc = load_bucket(x, read, ctx, k, &raw, &n, err);
        if (rc == LP_OK) {
            lp_free(raw);
        }
    }
    return rc;
}
