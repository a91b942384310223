/*
 * block_enc.c - encoding a block, and its proof.
 *
 * The hash in the head is computed from the source rows, by walking them, never from the buffers that are
 * being compressed; then the written bytes are decoded and hashed again (lp_block_prove). So a row that any
 * step here loses or changes makes the proof fail.
 */
#include <string.h>

#include "base/bytes.h"
#include "store/block.h"

#define ZSTD_LEVEL_LINES 1
#define ZSTD_LEVEL_COLUMNS 1
#define KEPT_BYTES (4u << 20)

struct lp_block_encoder {
    struct lp_codec *codec;
    struct lp_buf raw;    /* the frame being gathered */
    struct lp_buf frames; /* stored frames behind each other */
    struct lp_buf table;  /* their table rows */
    uint32_t nframes;
    bool plain;
    struct lp_hasher *hasher;
    struct meta_item *items; /* metadata of the block, for sorting by key */
    size_t nitems, items_cap;
};

struct meta_item {
    struct lp_pair pair;
    uint32_t row;
};

struct lp_block_encoder *
lp_block_encoder_new(void)
{
    struct lp_block_encoder *e = lp_calloc(1, sizeof(*e));
    e->codec = lp_codec_new();
    e->hasher = lp_hasher_new();
    lp_buf_init(&e->raw, LP_FRAME_BYTES_MAX);
    lp_buf_init(&e->frames, SIZE_MAX);
    lp_buf_init(&e->table, SIZE_MAX);
    return e;
}

void
lp_block_encoder_free(struct lp_block_encoder *e)
{
    if (e == NULL) {
        return;
    }
    lp_codec_free(e->codec);
    lp_hasher_free(e->hasher);
    lp_buf_clear(&e->raw);
    lp_buf_clear(&e->frames);
    lp_buf_clear(&e->table);
    lp_free(e->items);
    lp_free(e);
}

void
lp_block_encoder_plain(struct lp_block_encoder *e)
{
    e->plain = true;
}

/* Compresses e->raw as one more frame and empties it. */
static lp_rc
end_frame(struct lp_block_encoder *e, enum lp_frame_kind kind, int level, uint32_t first_row,
          struct lp_err *err)
{
    if (e->raw.failed) {
        return lp_err_set(err, LP_ERR_LIMIT, "a frame of kind %d is over %u bytes", (int)kind,
                          LP_FRAME_BYTES_MAX);
    }
    size_t at = e->frames.n;
    uint8_t codec;
    lp_rc rc = lp_codec_encode(e->codec, e->plain ? LP_LEVEL_STORED : level, lp_buf_view(&e->raw), &e->frames,
                               &codec, err);
    if (rc != LP_OK) {
        return rc;
    }
    size_t stored = e->frames.n - at;
    lp_buf_u8(&e->table, (uint8_t)kind);
    lp_buf_u8(&e->table, codec);
    lp_buf_u16(&e->table, 0);
    lp_buf_u32(&e->table, first_row);
    lp_buf_u32(&e->table, (uint32_t)e->raw.n);
    lp_buf_u32(&e->table, (uint32_t)stored);
    lp_buf_u32(&e->table, lp_crc32c(0, e->frames.p + at, stored));
    lp_buf_u32(&e->table, 0);
    e->nframes++;
    lp_buf_reset(&e->raw);
    return LP_OK;
}

static void
put_runs(struct lp_buf *out, const struct lp_block_src *src)
{
    for (uint32_t i = 0; i < src->nruns; i++) {
        lp_buf_varint(out, src->runs[i].stream);
        lp_buf_varint(out, src->runs[i].rows);
    }
}

static uint64_t
gcd_u64(uint64_t a, uint64_t b)
{
    while (b != 0) {
        uint64_t t = a % b;
        a = b;
        b = t;
    }
    return a;
}

/* The largest factor of all time differences inside runs, 1 if there are none. */
static uint64_t
common_factor(const struct lp_block_src *src)
{
    uint64_t f = 0;
    for (uint32_t k = 0; k < src->nruns; k++) {
        const struct lp_block_row *rows = src->rows + src->runs[k].first;
        for (uint32_t i = 1; i < src->runs[k].rows && f != 1; i++) {
            uint64_t d = (uint64_t)rows[i].row->time_ns - (uint64_t)rows[i - 1].row->time_ns;
            f = d % (f ? f : 1) == 0 && f != 0 ? f : gcd_u64(d, f);
        }
    }
    return f ? f : 1;
}

static void
put_times(struct lp_buf *out, const struct lp_block_src *src)
{
    uint64_t f = common_factor(src);
    lp_buf_varint(out, f);
    for (uint32_t k = 0; k < src->nruns; k++) {
        const struct lp_block_row *rows = src->rows + src->runs[k].first;
        lp_buf_svarint(out, rows[0].row->time_ns);
        for (uint32_t i = 1; i < src->runs[k].rows; i++) {
            uint64_t d = (uint64_t)rows[i].row->time_ns - (uint64_t)rows[i - 1].row->time_ns;
            lp_buf_varint(out, f == 1 ? d : d / f);
        }
    }
}

static void
put_source(struct lp_buf *out, const struct lp_block_src *src)
{
    for (uint32_t i = 0, n; i < src->nrows; i += n) {
        for (n = 1; i + n < src->nrows && src->rows[i + n].ticket == src->rows[i].ticket; n++) {
        }
        lp_buf_varint(out, src->rows[i].ticket);
        lp_buf_varint(out, n);
    }
}

static lp_rc
put_lines(struct lp_block_encoder *e, const struct lp_block_src *src, struct lp_err *err)
{
    uint32_t first = 0;
    for (uint32_t i = 0; i < src->nrows; i++) {
        const struct lp_row *r = src->rows[i].row;
        if (e->raw.n > 0 && e->raw.n + r->line_bytes > LP_FRAME_BYTES) {
            lp_rc rc = end_frame(e, LP_FRAME_LINES, ZSTD_LEVEL_LINES, first, err);
            if (rc != LP_OK) {
                return rc;
            }
            first = i;
        }
        lp_buf_add(&e->raw, r->line, r->line_bytes);
    }
    return e->raw.n > 0 || e->raw.failed ? end_frame(e, LP_FRAME_LINES, ZSTD_LEVEL_LINES, first, err) : LP_OK;
}

static int
item_cmp(const struct meta_item *a, const struct meta_item *b)
{
    int c = lp_str_cmp(a->pair.name, b->pair.name);
    return c != 0 ? c : (a->row > b->row) - (a->row < b->row);
}

/* Sorts by (key, row) by merging: rows rise already, so a few keys make few passes. */
static void
sort_items(struct meta_item *items, size_t n)
{
    struct meta_item *tmp = lp_malloc(n * sizeof(*tmp)), *src = items, *dst = tmp;
    for (size_t width = 1; width < n; width *= 2) {
        for (size_t lo = 0; lo < n; lo += 2 * width) {
            size_t i = lo, mid = LP_MIN(lo + width, n), j = mid, hi = LP_MIN(lo + 2 * width, n);
            for (size_t k = lo; k < hi; k++) {
                dst[k] = i < mid && (j >= hi || item_cmp(&src[i], &src[j]) <= 0) ? src[i++] : src[j++];
            }
        }
        struct meta_item *t = src;
        src = dst;
        dst = t;
    }
    if (src != items) {
        memcpy(items, src, n * sizeof(*items));
    }
    lp_free(tmp);
}

static void
gather_meta(struct lp_block_encoder *e, const struct lp_block_src *src)
{
    e->nitems = 0;
    for (uint32_t i = 0; i < src->nrows; i++) {
        struct lp_meta_iter it = lp_meta_begin(src->rows[i].row->meta);
        struct lp_pair p;
        while (lp_meta_next(&it, &p)) {
            if (e->nitems == e->items_cap) {
                e->items_cap = e->items_cap ? e->items_cap * 2 : 1024;
                e->items = lp_realloc(e->items, e->items_cap * sizeof(*e->items));
            }
            e->items[e->nitems++] = (struct meta_item){p, i};
        }
    }
}

/* One key's column: items[0..n) share the name. */
static void
put_column(struct lp_buf *out, const struct meta_item *items, size_t n)
{
    lp_buf_lpstr(out, items[0].pair.name);
    lp_buf_varint(out, n);
    for (size_t i = 0; i < n; i++) {
        lp_buf_varint(out, i == 0 ? items[0].row : items[i].row - items[i - 1].row);
    }
    for (size_t i = 0; i < n; i++) {
        lp_buf_varint(out, items[i].pair.value.n);
    }
    for (size_t i = 0; i < n; i++) {
        lp_buf_str(out, items[i].pair.value);
    }
}

static lp_rc
put_meta(struct lp_block_encoder *e, const struct lp_block_src *src, struct lp_err *err)
{
    gather_meta(e, src);
    if (e->nitems == 0) {
        return LP_OK;
    }
    sort_items(e->items, e->nitems);
    lp_rc rc = LP_OK;
    for (size_t i = 0, n; i < e->nitems && rc == LP_OK; i += n) {
        for (n = 1; i + n < e->nitems && lp_str_eq(e->items[i + n].pair.name, e->items[i].pair.name); n++) {
        }
        put_column(&e->raw, e->items + i, n);
        if (e->raw.n >= LP_FRAME_BYTES || i + n == e->nitems || e->raw.failed) {
            rc = end_frame(e, LP_FRAME_META, ZSTD_LEVEL_COLUMNS, 0, err);
        }
    }
    return rc;
}

static uint64_t
hash_meta(const struct lp_block_src *src)
{
    uint64_t sum = 0;
    struct lp_buf b;
    lp_buf_init(&b, SIZE_MAX);
    for (uint32_t i = 0; i < src->nrows; i++) {
        struct lp_meta_iter it = lp_meta_begin(src->rows[i].row->meta);
        struct lp_pair p;
        while (lp_meta_next(&it, &p)) {
            lp_buf_reset(&b);
            lp_buf_u32(&b, i);
            lp_buf_lpstr(&b, p.name);
            lp_buf_lpstr(&b, p.value);
            sum += lp_xxh64(b.p, b.n);
        }
    }
    lp_buf_clear(&b);
    return sum;
}

/* The hash of the decoded rows, from the source alone. */
static uint64_t
hash_source(struct lp_block_encoder *e, const struct lp_block_src *src)
{
    uint64_t parts[8] = {src->nrows};
    struct lp_buf *b = &e->raw;
    lp_buf_reset(b);
    put_runs(b, src);
    parts[1] = lp_xxh64(b->p, b->n);
    lp_hasher_reset(e->hasher);
    for (uint32_t i = 0; i < src->nrows; i++) {
        lp_hasher_add(e->hasher, src->rows[i].row->line, src->rows[i].row->line_bytes);
    }
    parts[4] = lp_hasher_u64(e->hasher);
    lp_buf_reset(b);
    for (uint32_t i = 0; i < src->nrows; i++) {
        lp_buf_u64(b, (uint64_t)src->rows[i].row->time_ns);
    }
    parts[2] = lp_xxh64(b->p, b->n);
    lp_buf_reset(b);
    for (uint32_t i = 0; i < src->nrows; i++) {
        lp_buf_u32(b, src->rows[i].row->line_bytes);
    }
    parts[3] = lp_xxh64(b->p, b->n);
    parts[5] = hash_meta(src);
    lp_buf_reset(b);
    for (uint32_t i = 0; i < src->nrows; i++) {
        lp_buf_u32(b, src->rows[i].ticket);
    }
    parts[6] = lp_xxh64(b->p, b->n);
    lp_buf_reset(b);
    return lp_xxh64(parts, sizeof(parts));
}

static lp_rc
put_frames(struct lp_block_encoder *e, const struct lp_block_src *src, struct lp_err *err)
{
    put_runs(&e->raw, src);
    lp_rc rc = end_frame(e, LP_FRAME_RUNS, ZSTD_LEVEL_COLUMNS, 0, err);
    if (rc == LP_OK) {
        put_times(&e->raw, src);
        rc = end_frame(e, LP_FRAME_TIMES, ZSTD_LEVEL_COLUMNS, 0, err);
    }
    if (rc == LP_OK) {
        put_source(&e->raw, src);
        rc = end_frame(e, LP_FRAME_SOURCE, ZSTD_LEVEL_COLUMNS, 0, err);
    }
    if (rc == LP_OK) {
        for (uint32_t i = 0; i < src->nrows; i++) {
            lp_buf_varint(&e->raw, src->rows[i].row->line_bytes);
        }
        rc = end_frame(e, LP_FRAME_LENGTHS, ZSTD_LEVEL_COLUMNS, 0, err);
    }
    if (rc == LP_OK) {
        rc = put_lines(e, src, err);
    }
    return rc == LP_OK ? put_meta(e, src, err) : rc;
}

static void
put_head(struct lp_block_encoder *e, const struct lp_block_src *src, uint64_t hash,
         char head[LP_BLOCK_HEAD_BYTES])
{
    uint64_t line_bytes = 0;
    int64_t min_ns = LP_TIME_MAX, max_ns = LP_TIME_MIN;
    for (uint32_t i = 0; i < src->nrows; i++) {
        line_bytes += src->rows[i].row->line_bytes;
    }
    for (uint32_t k = 0; k < src->nruns; k++) {
        min_ns = LP_MIN(min_ns, src->runs[k].min_ns);
        max_ns = LP_MAX(max_ns, src->runs[k].max_ns);
    }
    memset(head, 0, LP_BLOCK_HEAD_BYTES);
    lp_put_u32(head, LP_BLOCK_MAGIC);
    lp_put_u32(head + 8, src->number);
    lp_put_u32(head + 12, src->group);
    lp_put_u32(head + 16, src->nrows);
    lp_put_u32(head + 20, src->nruns);
    lp_put_u32(head + 24, e->nframes);
    lp_put_u64(head + 32, hash);
    lp_put_u64(head + 40, line_bytes);
    lp_put_u64(head + 48, (uint64_t)min_ns);
    lp_put_u64(head + 56, (uint64_t)max_ns);
    uint32_t crc = lp_crc32c(0, head + 8, LP_BLOCK_HEAD_BYTES - 8);
    lp_put_u32(head + 4, lp_crc32c(crc, e->table.p, e->table.n));
}

static lp_rc
read_mem(void *ctx, void *dst, size_t n, uint64_t off, struct lp_err *err)
{
    const struct lp_str *mem = ctx;
    if (off > mem->n || n > mem->n - off) {
        return lp_corrupt(err, "block in memory ends early");
    }
    memcpy(dst, mem->p + off, n);
    return LP_OK;
}

static lp_rc
prove(struct lp_block_encoder *e, struct lp_str encoded, struct lp_err *err)
{
    struct lp_block_io io = {read_mem, &encoded, encoded.n, NULL};
    struct lp_block *b = NULL;
    lp_rc rc = lp_block_open(&io, &b, err);
    if (rc == LP_OK) {
        rc = lp_block_prove(b, e->codec, err);
    }
    lp_block_free(b);
    return rc;
}

lp_rc
lp_block_encode(struct lp_block_encoder *e, const struct lp_block_src *src, struct lp_buf *out,
                struct lp_err *err)
{
    LP_ASSERT(src->nrows >= 1 && src->nrows <= LP_BLOCK_ROWS_MAX && src->nruns >= 1);
    lp_buf_reset(&e->table);
    lp_buf_reset(&e->frames);
    e->nframes = 0;
    uint64_t hash = hash_source(e, src);
    lp_rc rc = put_frames(e, src, err);
    if (rc != LP_OK) {
        return rc;
    }
    char head[LP_BLOCK_HEAD_BYTES];
    put_head(e, src, hash, head);
    size_t at = out->n;
    if (!lp_buf_add(out, head, sizeof(head)) || !lp_buf_str(out, lp_buf_view(&e->table)) ||
        !lp_buf_str(out, lp_buf_view(&e->frames))) {
        out->n = at;
        return lp_err_set(err, LP_ERR_LIMIT, "no room for an encoded block");
    }
    rc = prove(e, lp_str_of(out->p + at, out->n - at), err);
    out->n = rc == LP_OK ? out->n : at;
    if (e->raw.cap > KEPT_BYTES) {
        lp_buf_clear(&e->raw); /* one huge line should not stay in memory for ever */
    }
    return rc;
}
