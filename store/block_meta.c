/*
 * block_meta.c - structured metadata of a block: columns by key, those of META frames and those of the
 * schema. All keys rise by name; a row has a key at most once.
 */
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "store/block_int.h"

/* n row numbers, the first absolute, then differences. */
static const uint32_t *
parse_rows(struct lp_block *b, struct lp_rd *rd, uint64_t n)
{
    uint32_t *rows = lp_arena_array(&b->meta_ar, n, sizeof(*rows));
    uint64_t row = 0, limit = b->info->head.rows;
    for (uint64_t i = 0; i < n && rows != NULL; i++) {
        uint64_t d = lp_rd_varint(rd);
        row = i == 0 ? d : row + d;
        if (rd->bad || d >= limit || row >= limit || (i > 0 && d == 0)) {
            return NULL;
        }
        rows[i] = (uint32_t)row;
    }
    return rows;
}

static struct lp_meta_column *
add_column(struct lp_block *b)
{
    b->columns = lp_realloc(b->columns, (b->ncolumns + 1) * sizeof(*b->columns));
    b->columns[b->ncolumns] = (struct lp_meta_column){.n = 0};
    return &b->columns[b->ncolumns++];
}

/* One key's column of a META frame. */
static bool
parse_column(struct lp_block *b, struct lp_rd *rd)
{
    struct lp_str name = lp_rd_lpstr(rd);
    uint64_t n = lp_rd_varint(rd);
    if (rd->bad || n < 1 || n > b->info->head.rows) {
        return false;
    }
    struct lp_str *values = lp_arena_array(&b->meta_ar, n, sizeof(*values));
    const uint32_t *rows = parse_rows(b, rd, n);
    if (rows == NULL || values == NULL) {
        return false;
    }
    for (uint64_t i = 0; i < n; i++) {
        values[i].n = (size_t)lp_rd_varint(rd);
    }
    for (uint64_t i = 0; i < n; i++) {
        values[i] = lp_rd_bytes(rd, values[i].n);
    }
    if (rd->bad) {
        return false;
    }
    *add_column(b) = (struct lp_meta_column){.name = name, .n = (uint32_t)n, .rows = rows, .values = values};
    return true;
}

static lp_rc
read_meta_frame(struct lp_block *b, struct lp_codec *c, const struct lp_frame *f, struct lp_err *err)
{
    char *raw;
    lp_rc rc = lp_block_load_frame(b, c, f, &raw, err);
    if (rc != LP_OK) {
        return rc;
    }
    b->meta_bytes = lp_realloc(b->meta_bytes, (b->nmeta_bytes + 1) * sizeof(char *));
    b->meta_bytes[b->nmeta_bytes++] = raw;
    b->memory += f->raw_bytes;
    struct lp_rd rd = lp_rd_of(lp_str_of(raw, f->raw_bytes));
    while (lp_rd_left(&rd) > 0) {
        if (!parse_column(b, &rd)) {
            return lp_block_column_bad(b, "metadata", err);
        }
    }
    return rd.bad ? lp_block_column_bad(b, "metadata", err) : LP_OK;
}

static lp_rc
read_schema_keys(struct lp_block *b, struct lp_codec *c, struct lp_err *err)
{
    const struct lp_schema *s;
    lp_rc rc = lp_block_schema(b, c, &s, err);
    for (uint32_t i = 0; rc == LP_OK && i < s->nkeys; i++) {
        const struct lp_meta_key *k = &s->keys[i];
        struct lp_rd rd = lp_rd_of(k->row_bytes);
        const uint32_t *rows = k->row_bytes.n > 0 ? parse_rows(b, &rd, k->rows) : NULL;
        if (k->row_bytes.n > 0 && (rows == NULL || lp_rd_left(&rd) != 0)) {
            return lp_block_column_bad(b, "metadata", err);
        }
        *add_column(b) = (struct lp_meta_column){.name = k->name,
                                                 .n = k->rows,
                                                 .rows = rows,
                                                 .key = k,
                                                 .data = lp_calloc(1, sizeof(struct lp_column_data))};
    }
    return rc;
}

static int
by_name(const void *va, const void *vb)
{
    const struct lp_meta_column *a = va, *b = vb;
    return lp_str_cmp(a->name, b->name);
}

/* Sorted by name; the same key twice is damage. Also room for one row's pairs and values. */
static bool
order_columns(struct lp_block *b)
{
    size_t bytes = 0;
    if (b->ncolumns > 1) {
        qsort(b->columns, b->ncolumns, sizeof(*b->columns), by_name);
    }
    for (uint32_t i = 0; i < b->ncolumns; i++) {
        if (i > 0 && lp_str_eq(b->columns[i - 1].name, b->columns[i].name)) {
            return false;
        }
        bytes += b->columns[i].key != NULL ? b->columns[i].key->col.cell_max + LP_CONTENT_PAD : 0;
    }
    b->row_meta = lp_malloc(b->ncolumns * sizeof(*b->row_meta));
    b->row_values = lp_malloc(bytes + LP_CONTENT_PAD);
    return true;
}

void
lp_block_free_meta(struct lp_block *b)
{
    for (uint32_t i = 0; i < b->ncolumns; i++) {
        if (b->columns[i].data != NULL) {
            lp_block_free_data(b, &b->columns[i].key->col, b->columns[i].data, false);
            lp_free(b->columns[i].data);
        }
    }
    for (uint32_t i = 0; i < b->nmeta_bytes; i++) {
        lp_free(b->meta_bytes[i]);
    }
    lp_free(b->meta_bytes);
    lp_free(b->columns);
    lp_free(b->row_meta);
    lp_free(b->row_values);
    b->meta_bytes = NULL;
    b->columns = NULL;
    b->row_meta = NULL;
    b->row_values = NULL;
    b->nmeta_bytes = b->ncolumns = 0;
    b->meta_read = false;
    lp_arena_clear(&b->meta_ar);
}

lp_rc
lp_block_read_meta(struct lp_block *b, struct lp_codec *c, struct lp_err *err)
{
    lp_rc rc = LP_OK;
    if (b->meta_read) {
        return LP_OK;
    }
    for (uint32_t i = 0; i < b->info->head.frames && rc == LP_OK; i++) {
        const struct lp_frame *f = &b->info->frames[i];
        rc = f->kind == LP_FRAME_META ? read_meta_frame(b, c, f, err) : LP_OK;
    }
    if (rc == LP_OK && b->info->head.layout == LP_BLOCK_LAYOUT_COLUMNS) {
        rc = read_schema_keys(b, c, err);
    }
    if (rc == LP_OK && !order_columns(b)) {
        rc = lp_block_column_bad(b, "metadata", err);
    }
    if (rc != LP_OK) {
        lp_block_free_meta(b);
        return rc;
    }
    b->meta_read = true;
    return LP_OK;
}

/* The row's place in the column, or UINT32_MAX. */
static uint32_t
find_row(const struct lp_meta_column *col, uint32_t row)
{
    if (col->rows == NULL) {
        return row;
    }
    uint32_t lo = 0, hi = col->n;
    while (lo < hi) {
        uint32_t mid = lo + (hi - lo) / 2;
        if (col->rows[mid] < row) {
            lo = mid + 1;
        } else {
            hi = mid;
        }
    }
    return lo < col->n && col->rows[lo] == row ? lo : UINT32_MAX;
}

/* The value at a place of the column; cells are written to out. */
static lp_rc
value_at(struct lp_block *b, struct lp_codec *c, const struct lp_meta_column *col, uint32_t at, char *out,
         struct lp_str *ret, struct lp_err *err)
{
    if (col->key == NULL) {
        *ret = col->values[at];
        return LP_OK;
    }
    if (col->key->col.type == LP_COL_CONST) {
        *ret = col->key->col.value;
        return LP_OK;
    }
    const struct lp_chunk *ch;
    lp_rc rc = lp_block_chunk(b, c, &col->key->col, col->data, at, &ch, err);
    if (rc == LP_OK) {
        *ret = lp_str_of(out, lp_chunk_cell(&col->key->col, ch, at - ch->first, out));
    }
    return rc;
}

lp_rc
lp_block_meta(struct lp_block *b, struct lp_codec *c, uint32_t row, const struct lp_pair **ret, size_t *ret_n,
              struct lp_err *err)
{
    LP_ASSERT(row < b->info->head.rows);
    lp_rc rc = lp_block_read_meta(b, c, err);
    size_t n = 0;
    char *out = b->row_values;
    for (uint32_t i = 0; rc == LP_OK && i < b->ncolumns; i++) {
        const struct lp_meta_column *col = &b->columns[i];
        uint32_t at = find_row(col, row);
        if (at == UINT32_MAX) {
            continue;
        }
        b->row_meta[n].name = col->name;
        rc = value_at(b, c, col, at, out, &b->row_meta[n].value, err);
        out += b->row_meta[n].value.p == out ? b->row_meta[n].value.n : 0;
        n++;
    }
    *ret = b->row_meta;
    *ret_n = n;
    return rc;
}

lp_rc
lp_block_hash_meta(struct lp_block *b, struct lp_codec *c, uint64_t *ret, struct lp_err *err)
{
    lp_rc rc = lp_block_read_meta(b, c, err);
    uint64_t sum = 0;
    struct lp_buf buf;
    lp_buf_init(&buf, SIZE_MAX);
    for (uint32_t k = 0; rc == LP_OK && k < b->ncolumns; k++) {
        const struct lp_meta_column *col = &b->columns[k];
        for (uint32_t i = 0; i < col->n && rc == LP_OK; i++) {
            struct lp_str value = LP_STR_NULL;
            rc = value_at(b, c, col, i, b->row_values, &value, err);
            lp_buf_reset(&buf);
            lp_buf_u32(&buf, col->rows != NULL ? col->rows[i] : i);
            lp_buf_lpstr(&buf, col->name);
            lp_buf_lpstr(&buf, value);
            sum += lp_xxh64(buf.p, buf.n);
        }
    }
    lp_buf_clear(&buf);
    *ret = sum;
    return rc;
}
