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
#include "store/split.h"
#include "store/tables.h"

#define LEVEL_LINES 3 /* plain lines: what tables do not take, little of it */
#define LEVEL_COLUMNS 1
#define LEVEL_SCHEMA 3
#define SHARED_BYTES (64u << 10)
#define KEPT_BYTES (4u << 20)
#define HASH_BYTES (32u << 10)
#define WALK_ROWS 64u

/* Frames behind each other with the rows of their table. */
struct frames {
    struct lp_buf bytes, table;
    uint32_t n;
};

struct meta_item {
    struct lp_pair pair;
    uint32_t row;
};

struct lp_block_encoder {
    struct lp_codec *codec;
    struct lp_buf raw;   /* the frame being gathered */
    struct lp_buf small; /* the SHARED frame being gathered */
    struct lp_buf schema;
    struct frames main, shared; /* SHARED frames follow each other behind all others */
    bool plain;
    struct lp_hasher *hasher;
    struct lp_tables *tables;
    struct lp_column_encoder *columns;
    struct lp_block_tokens tokens; /* of the block encoded last */
    struct lp_cells values; /* of one metadata key */
    uint64_t *diffs;        /* eight bytes a row, for one thing at a time */
    size_t diffs_cap;
    struct meta_item *items; /* metadata of the block, for sorting by key */
    size_t nitems, items_cap;
};

struct lp_block_encoder *
lp_block_encoder_new(void)
{
    struct lp_block_encoder *e = lp_calloc(1, sizeof(*e));
    e->codec = lp_codec_new();
    e->hasher = lp_hasher_new();
    e->tables = lp_tables_new();
    e->columns = lp_column_encoder_new();
    lp_buf_init(&e->raw, LP_FRAME_BYTES_MAX);
    lp_buf_init(&e->small, LP_FRAME_BYTES_MAX);
    lp_buf_init(&e->schema, LP_FRAME_BYTES_MAX);
    lp_buf_init(&e->main.bytes, SIZE_MAX);
    lp_buf_init(&e->main.table, SIZE_MAX);
    lp_buf_init(&e->shared.bytes, SIZE_MAX);
    lp_buf_init(&e->shared.table, SIZE_MAX);
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
    lp_tables_free(e->tables);
    lp_column_encoder_free(e->columns);
    lp_cells_clear(&e->values);
    lp_buf_clear(&e->raw);
    lp_buf_clear(&e->small);
    lp_buf_clear(&e->schema);
    lp_buf_clear(&e->main.bytes);
    lp_buf_clear(&e->main.table);
    lp_buf_clear(&e->shared.bytes);
    lp_buf_clear(&e->shared.table);
    lp_free(e->diffs);
    lp_free(e->items);
    lp_free(e);
}

void
lp_block_encoder_plain(struct lp_block_encoder *e)
{
    e->plain = true;
}

const uint64_t *
lp_block_encoder_ids(const struct lp_block_encoder *e, size_t *ret_n)
{
    *ret_n = e->columns->nids;
    return e->columns->ids;
}

struct lp_block_tokens
lp_block_encoder_tokens(const struct lp_block_encoder *e)
{
    return e->tokens;
}

/* --- frames --- */

/* Compresses a frame of these parts as one more of `to`. */
static lp_rc
put_frame(struct lp_block_encoder *e, struct frames *to, enum lp_frame_kind kind, int level,
          uint32_t first_row, const struct lp_buf *raw, const uint32_t *part_ends, size_t nparts,
          struct lp_err *err)
{
    if (raw->failed) {
        return lp_err_set(err, LP_ERR_LIMIT, "a frame of kind %d is over %u bytes", (int)kind,
                          LP_FRAME_BYTES_MAX);
    }
    size_t at = to->bytes.n;
    uint8_t codec;
    lp_rc rc = lp_codec_encode_parts(e->codec, e->plain ? LP_LEVEL_STORED : level, lp_buf_view(raw),
                                     part_ends, nparts, &to->bytes, &codec, err);
    if (rc != LP_OK) {
        return rc;
    }
    size_t stored = to->bytes.n - at;
    lp_buf_u8(&to->table, (uint8_t)kind);
    lp_buf_u8(&to->table, codec);
    lp_buf_u16(&to->table, 0);
    lp_buf_u32(&to->table, first_row);
    lp_buf_u32(&to->table, (uint32_t)raw->n);
    lp_buf_u32(&to->table, (uint32_t)stored);
    lp_buf_u32(&to->table, lp_crc32c(0, to->bytes.p + at, stored));
    lp_buf_u32(&to->table, 0);
    to->n++;
    return LP_OK;
}

/* Compresses e->raw as one more frame and empties it. */
static lp_rc
end_frame(struct lp_block_encoder *e, enum lp_frame_kind kind, int level, uint32_t first_row,
          struct lp_err *err)
{
    uint32_t all = (uint32_t)e->raw.n;
    lp_rc rc = put_frame(e, &e->main, kind, level, first_row, &e->raw, &all, 1, err);
    lp_buf_reset(&e->raw);
    return rc;
}

static lp_rc
end_shared(struct lp_block_encoder *e, struct lp_err *err)
{
    uint32_t all = (uint32_t)e->small.n;
    lp_rc rc = all == 0
                   ? LP_OK
                   : put_frame(e, &e->shared, LP_FRAME_SHARED, LEVEL_COLUMNS, 0, &e->small, &all, 1, err);
    lp_buf_reset(&e->small);
    return rc;
}

static lp_rc
sink_own(void *ctx, const struct lp_buf *content, const uint32_t *part_ends, size_t nparts,
         struct lp_err *err)
{
    struct lp_block_encoder *e = ctx;
    return put_frame(e, &e->main, LP_FRAME_CELLS, LEVEL_COLUMNS, 0, content, part_ends, nparts, err);
}

static lp_rc
sink_shared(void *ctx, struct lp_str content, uint32_t *ret_frame, uint32_t *ret_offset, struct lp_err *err)
{
    struct lp_block_encoder *e = ctx;
    lp_rc rc = e->small.n > 0 && e->small.n + content.n > SHARED_BYTES ? end_shared(e, err) : LP_OK;
    *ret_frame = e->shared.n;
    *ret_offset = (uint32_t)e->small.n;
    lp_buf_str(&e->small, content);
    return rc;
}

/* --- runs, times, sources --- */

static void
put_runs(struct lp_buf *out, const struct lp_block_src *src)
{
    uint64_t before = 0;
    for (uint32_t i = 0; i < src->nruns; i++) {
        LP_ASSERT(i == 0 || src->runs[i].stream > before);
        lp_buf_varint(out, src->runs[i].stream - before);
        lp_buf_varint(out, src->runs[i].rows);
        before = src->runs[i].stream;
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

/* Eight bytes for each row. */
static void *
row_scratch(struct lp_block_encoder *e, uint32_t rows)
{
    if (e->diffs_cap < rows) {
        e->diffs_cap = rows;
        lp_free(e->diffs);
        e->diffs = lp_malloc(e->diffs_cap * sizeof(*e->diffs));
    }
    return e->diffs;
}

/* The first time of each run, then the differences of all other rows as one column of numbers. */
static lp_rc
put_times(struct lp_block_encoder *e, const struct lp_block_src *src, struct lp_err *err)
{
    uint64_t f = common_factor(src);
    uint32_t n = 0, part_ends[LP_NUMBERS_PARTS];
    size_t nparts;
    uint64_t *diffs = row_scratch(e, src->nrows);
    lp_buf_varint(&e->raw, f);
    for (uint32_t k = 0; k < src->nruns; k++) {
        const struct lp_block_row *rows = src->rows + src->runs[k].first;
        lp_buf_svarint(&e->raw, rows[0].row->time_ns);
        for (uint32_t i = 1; i < src->runs[k].rows; i++) {
            uint64_t d = (uint64_t)rows[i].row->time_ns - (uint64_t)rows[i - 1].row->time_ns;
            diffs[n++] = f == 1 ? d : d / f;
        }
    }
    lp_numbers_encode(e->columns, diffs, n, &e->raw, part_ends, &nparts);
    lp_rc rc = put_frame(e, &e->main, LP_FRAME_NUMBERS, LEVEL_COLUMNS, 0, &e->raw, part_ends, nparts, err);
    lp_buf_reset(&e->raw);
    return rc;
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

/* --- tables --- */

static lp_rc
put_places(struct lp_block_encoder *e, uint32_t rows, struct lp_err *err)
{
    const uint16_t *t = e->tables->row_table;
    unsigned planes = e->tables->nkept > 255 ? 2 : 1;
    for (unsigned k = 0; k < planes; k++) {
        if (lp_buf_reserve(&e->raw, rows)) {
            for (uint32_t i = 0; i < rows; i++) {
                e->raw.p[e->raw.n + i] = (char)(t[i] >> (8 * k));
            }
            e->raw.n += rows;
        }
    }
    return end_frame(e, LP_FRAME_TABLES, LEVEL_COLUMNS, 0, err);
}

static lp_rc
put_table(struct lp_block_encoder *e, const struct lp_shape_table *s, struct lp_chunk_sink *sink,
          struct lp_err *err)
{
    lp_rc rc = LP_OK;
    lp_buf_lpstr(&e->schema, lp_tables_shape(e->tables, s));
    lp_buf_varint(&e->schema, s->rows);
    for (uint32_t i = 0; i < s->ncols && rc == LP_OK; i++) {
        rc = lp_column_encode(e->columns, &s->cols[i], sink, &e->schema, err);
    }
    return rc;
}

static lp_rc
put_tables(struct lp_block_encoder *e, struct lp_chunk_sink *sink, struct lp_err *err)
{
    struct lp_tables *t = e->tables;
    const struct lp_shape_table **order = lp_malloc(t->nkept * sizeof(*order));
    lp_rc rc = LP_OK;
    for (uint32_t i = 0; i < t->n; i++) {
        if (t->v[i].number != 0) {
            order[t->v[i].number - 1] = &t->v[i];
        }
    }
    lp_buf_varint(&e->schema, t->nkept);
    for (uint32_t i = 0; i < t->nkept && rc == LP_OK; i++) {
        rc = put_table(e, order[i], sink, err);
    }
    lp_free(order);
    return rc;
}

/* --- plain lines --- */

static lp_rc
put_lengths(struct lp_block_encoder *e, const struct lp_block_src *src, struct lp_err *err)
{
    for (uint32_t i = 0; i < src->nrows; i++) {
        if (e->tables->row_table[i] == 0) {
            lp_buf_varint(&e->raw, src->rows[i].row->line_bytes);
        }
    }
    return end_frame(e, LP_FRAME_LENGTHS, LEVEL_COLUMNS, 0, err);
}

static lp_rc
put_lines(struct lp_block_encoder *e, const struct lp_block_src *src, struct lp_err *err)
{
    uint32_t first = 0, ordinal = 0;
    for (uint32_t i = 0; i < src->nrows; i++) {
        const struct lp_row *r = src->rows[i].row;
        if (e->tables->row_table[i] != 0) {
            continue;
        }
        if (e->raw.n > 0 && e->raw.n + r->line_bytes > LP_FRAME_BYTES) {
            lp_rc rc = end_frame(e, LP_FRAME_LINES, LEVEL_LINES, first, err);
            if (rc != LP_OK) {
                return rc;
            }
            first = ordinal;
        }
        lp_buf_add(&e->raw, r->line, r->line_bytes);
        ordinal++;
    }
    return e->raw.n > 0 || e->raw.failed ? end_frame(e, LP_FRAME_LINES, LEVEL_LINES, first, err) : LP_OK;
}

/* What searches want to know of plain rows without reading them. */
static void
put_plain_head(struct lp_block_encoder *e, const struct lp_block_src *src)
{
    uint8_t seen[256] = {0}, set[32] = {0};
    size_t longest = 0;
    lp_buf_varint(&e->schema, e->tables->nplain);
    for (uint32_t i = 0; i < src->nrows; i++) {
        const struct lp_row *r = src->rows[i].row;
        size_t token = 0;
        for (uint32_t k = 0; e->tables->row_table[i] == 0 && k < r->line_bytes; k++) {
            uint8_t c = (uint8_t)r->line[k];
            seen[c] = 1;
            token = lp_is_token_byte(c) ? token + 1 : 0;
            longest = LP_MAX(longest, token);
        }
    }
    lp_set_of_seen(seen, set);
    if (e->tables->nplain > 0) {
        lp_buf_varint(&e->schema, longest);
        lp_buf_add(&e->schema, set, sizeof(set));
    }
}

/* --- metadata --- */

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

/* A key with a very long value: as text, in a META frame. */
static void
put_long_key(struct lp_buf *out, const struct meta_item *items, size_t n)
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

/* Row numbers as differences; empty where the key stands in every row. */
static void
put_rows(struct lp_buf *out, const struct meta_item *items, size_t n, uint32_t nrows)
{
    struct lp_buf rows;
    lp_buf_init(&rows, SIZE_MAX);
    for (size_t i = 0; i < n && n < nrows; i++) {
        lp_buf_varint(&rows, i == 0 ? items[0].row : items[i].row - items[i - 1].row);
    }
    lp_buf_lpstr(out, lp_buf_view(&rows));
    lp_buf_clear(&rows);
}

/* One key's typed column: items[0..n) share the name. */
static lp_rc
put_key(struct lp_block_encoder *e, const struct meta_item *items, size_t n, uint32_t nrows,
        struct lp_chunk_sink *sink, struct lp_err *err)
{
    struct lp_buf cell; /* with room behind, as lp_cells_add wants it */
    lp_buf_init(&cell, SIZE_MAX);
    lp_cells_reset(&e->values);
    for (size_t i = 0; i < n; i++) {
        lp_buf_reset(&cell);
        lp_buf_str(&cell, items[i].pair.value);
        lp_buf_reserve(&cell, LP_CONTENT_PAD);
        lp_cells_add(&e->values, cell.p, cell.n);
    }
    lp_buf_clear(&cell);
    lp_buf_lpstr(&e->schema, items[0].pair.name);
    lp_buf_varint(&e->schema, n);
    put_rows(&e->schema, items, n, nrows);
    return lp_column_encode(e->columns, &e->values, sink, &e->schema, err);
}

static size_t
key_end(const struct lp_block_encoder *e, size_t i, bool *ret_long)
{
    size_t k = i;
    *ret_long = e->plain;
    for (; k < e->nitems && lp_str_eq(e->items[k].pair.name, e->items[i].pair.name); k++) {
        *ret_long |= e->items[k].pair.value.n > LP_CELL_BYTES_MAX;
    }
    return k;
}

/* META frames of the keys with long values; they come before all CELLS frames. */
static lp_rc
put_long_keys(struct lp_block_encoder *e, uint64_t *ret_others, struct lp_err *err)
{
    lp_rc rc = LP_OK;
    bool is_long;
    *ret_others = 0;
    for (size_t i = 0, end; i < e->nitems && rc == LP_OK; i = end) {
        end = key_end(e, i, &is_long);
        *ret_others += !is_long;
        if (is_long) {
            put_long_key(&e->raw, e->items + i, end - i);
            rc = end_frame(e, LP_FRAME_META, LEVEL_COLUMNS, 0, err);
        }
    }
    return rc;
}

static lp_rc
put_keys(struct lp_block_encoder *e, uint64_t nkeys, uint32_t nrows, struct lp_chunk_sink *sink,
         struct lp_err *err)
{
    lp_rc rc = LP_OK;
    bool is_long;
    lp_buf_varint(&e->schema, nkeys);
    for (size_t i = 0, end; i < e->nitems && rc == LP_OK; i = end) {
        end = key_end(e, i, &is_long);
        rc = is_long ? LP_OK : put_key(e, e->items + i, end - i, nrows, sink, err);
    }
    return rc;
}

/* --- the hash of the source --- */

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

/* Adds the lines of rows [from, to) to the hash. They are gathered first: the hash is slow to begin. */
static void
hash_lines(struct lp_block_encoder *e, const struct lp_block_row *rows, uint32_t from, uint32_t to)
{
    struct lp_buf *b = &e->raw;
    lp_buf_reset(b);
    for (uint32_t i = from; i < to; i++) {
        const struct lp_row *r = rows[i].row;
        if (b->n + r->line_bytes > HASH_BYTES) {
            lp_hasher_add(e->hasher, b->p, b->n);
            lp_buf_reset(b);
        }
        if (r->line_bytes > HASH_BYTES) {
            lp_hasher_add(e->hasher, r->line, r->line_bytes);
        } else {
            lp_buf_add(b, r->line, r->line_bytes);
        }
    }
    lp_hasher_add(e->hasher, b->p, b->n);
    lp_buf_reset(b);
}

/*
 * Walks the lines, for their hash and, apart from that, into tables: some rows for the one, then the same for
 * the other, while they are in the caches. Waiting for lines was an eighth of the CPU of intake when each
 * walked all. Returns the hash.
 */
static uint64_t
walk_lines(struct lp_block_encoder *e, const struct lp_block_src *src)
{
    lp_hasher_reset(e->hasher);
    lp_tables_begin(e->tables, src->nrows);
    for (uint32_t at = 0, end; at < src->nrows; at = end) {
        end = LP_MIN(at + WALK_ROWS, src->nrows);
        hash_lines(e, src->rows, at, end);
        lp_tables_add(e->tables, src->rows, at, end, e->plain);
    }
    lp_tables_end(e->tables);
    return lp_hasher_u64(e->hasher);
}

/* The hash of the decoded rows, from the source alone; lines: that of all lines. */
static uint64_t
hash_source(struct lp_block_encoder *e, const struct lp_block_src *src, uint64_t lines)
{
    uint64_t parts[8] = {src->nrows};
    struct lp_buf *b = &e->raw;
    lp_buf_reset(b);
    put_runs(b, src);
    parts[1] = lp_xxh64(b->p, b->n);
    lp_buf_reset(b);
    parts[4] = lines;
    int64_t *times = row_scratch(e, src->nrows); /* one array after the other in the same memory */
    for (uint32_t i = 0; i < src->nrows; i++) {
        times[i] = src->rows[i].row->time_ns;
    }
    parts[2] = lp_xxh64(times, src->nrows * sizeof(*times));
    uint32_t *numbers = row_scratch(e, src->nrows);
    for (uint32_t i = 0; i < src->nrows; i++) {
        numbers[i] = src->rows[i].row->line_bytes;
    }
    parts[3] = lp_xxh64(numbers, src->nrows * sizeof(*numbers));
    parts[5] = hash_meta(src);
    for (uint32_t i = 0; i < src->nrows; i++) {
        numbers[i] = src->rows[i].ticket;
    }
    parts[6] = src->no_source ? 0 : lp_xxh64(numbers, src->nrows * sizeof(*numbers));
    return lp_xxh64(parts, sizeof(parts));
}

/* --- the whole --- */

/* CELLS frames, and what else is not in its own order; then the schema, which says where they are. */
static lp_rc
put_columns(struct lp_block_encoder *e, const struct lp_block_src *src, struct lp_err *err)
{
    struct lp_chunk_sink sink = {.own = sink_own, .shared = sink_shared, .ctx = e};
    uint64_t nkeys;
    put_plain_head(e, src);
    gather_meta(e, src);
    sort_items(e->items, e->nitems);
    lp_rc rc = put_long_keys(e, &nkeys, err);
    if (rc == LP_OK) {
        rc = put_tables(e, &sink, err);
    }
    if (rc == LP_OK) {
        rc = put_keys(e, nkeys, src->nrows, &sink, err);
    }
    if (rc == LP_OK) {
        rc = end_shared(e, err);
    }
    uint32_t all = (uint32_t)e->schema.n;
    return rc == LP_OK ? put_frame(e, &e->main, LP_FRAME_SCHEMA, LEVEL_SCHEMA, 0, &e->schema, &all, 1, err)
                       : rc;
}

static lp_rc
put_frames(struct lp_block_encoder *e, const struct lp_block_src *src, struct lp_err *err)
{
    put_runs(&e->raw, src);
    lp_rc rc = end_frame(e, LP_FRAME_STREAMS, LEVEL_COLUMNS, 0, err);
    if (rc == LP_OK) {
        rc = put_times(e, src, err);
    }
    if (rc == LP_OK && !src->no_source) {
        put_source(&e->raw, src);
        rc = end_frame(e, LP_FRAME_SOURCE, LEVEL_COLUMNS, 0, err);
    }
    if (rc == LP_OK) {
        rc = put_places(e, src->nrows, err);
    }
    if (rc == LP_OK && e->tables->nplain > 0) {
        rc = put_lengths(e, src, err);
        rc = rc == LP_OK ? put_lines(e, src, err) : rc;
    }
    return rc == LP_OK ? put_columns(e, src, err) : rc;
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
    lp_put_u32(head + 24, e->main.n + e->shared.n);
    lp_put_u32(head + 28, LP_BLOCK_LAYOUT_COLUMNS);
    lp_put_u64(head + 32, hash);
    lp_put_u64(head + 40, line_bytes);
    lp_put_u64(head + 48, (uint64_t)min_ns);
    lp_put_u64(head + 56, (uint64_t)max_ns);
    uint32_t crc = lp_crc32c(0, head + 8, LP_BLOCK_HEAD_BYTES - 8);
    crc = lp_crc32c(crc, e->main.table.p, e->main.table.n);
    lp_put_u32(head + 4, lp_crc32c(crc, e->shared.table.p, e->shared.table.n));
}

bool
lp_block_renumber(char *block, size_t n, uint32_t number, uint32_t group)
{
    uint64_t head = n < LP_BLOCK_HEAD_BYTES
                        ? UINT64_MAX
                        : LP_BLOCK_HEAD_BYTES + (uint64_t)lp_get_u32(block + 24) * LP_FRAME_ROW_BYTES;
    if (head > n || lp_crc32c(0, block + 8, head - 8) != lp_get_u32(block + 4)) {
        return false;
    }
    lp_put_u32(block + 8, number);
    lp_put_u32(block + 12, group);
    lp_put_u32(block + 4, lp_crc32c(0, block + 8, head - 8));
    return true;
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
    lp_rc rc = lp_block_open(&io, NULL, &b, err);
    if (rc == LP_OK) {
        rc = lp_block_prove(b, e->codec, err);
    }
    if (rc == LP_OK) {
        rc = lp_block_tokens_of(b, e->codec, &e->tokens, err);
    }
    lp_block_free(b);
    return rc;
}

static void
begin(struct lp_block_encoder *e)
{
    struct lp_buf *all[] = {&e->raw,        &e->small,        &e->schema,      &e->main.bytes,
                            &e->main.table, &e->shared.bytes, &e->shared.table};
    for (size_t i = 0; i < LP_ARRAY_LEN(all); i++) {
        lp_buf_reset(all[i]);
    }
    e->main.n = e->shared.n = 0;
    e->columns->nids = 0;
}

lp_rc
lp_block_encode(struct lp_block_encoder *e, const struct lp_block_src *src, struct lp_buf *out,
                struct lp_err *err)
{
    LP_ASSERT(src->nrows >= 1 && src->nrows <= LP_BLOCK_ROWS_MAX && src->nruns >= 1);
    begin(e);
    uint64_t hash = hash_source(e, src, walk_lines(e, src));
    lp_rc rc = put_frames(e, src, err);
    if (rc != LP_OK) {
        return rc;
    }
    char head[LP_BLOCK_HEAD_BYTES];
    put_head(e, src, hash, head);
    size_t at = out->n;
    if (!lp_buf_add(out, head, sizeof(head)) || !lp_buf_str(out, lp_buf_view(&e->main.table)) ||
        !lp_buf_str(out, lp_buf_view(&e->shared.table)) || !lp_buf_str(out, lp_buf_view(&e->main.bytes)) ||
        !lp_buf_str(out, lp_buf_view(&e->shared.bytes))) {
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
