/*
 * tables.c - sorting rows into tables by shape. See tables.h.
 *
 * A shape's text is the line with each token replaced by LP_SHAPE_MARK. Shapes are found by hash and compared
 * byte for byte. A table's first rows are only noted: a shape that occurs a few times never gets columns; the
 * row that makes it large enough brings those before it along, which are cut again.
 */
#include "store/tables.h"

#include <string.h>

#include "base/hash.h"
#include "store/split.h"

#define BOX_CELLS 1024u        /* column objects that are allocated together */
#define KEPT_BYTES (24u << 20) /* what columns may keep from block to block */

struct lp_tables *
lp_tables_new(void)
{
    struct lp_tables *t = lp_calloc(1, sizeof(*t));
    lp_buf_init(&t->shapes, SIZE_MAX);
    t->line = lp_malloc(LP_TABLE_LINE_MAX + LP_SPLIT_PAD);
    return t;
}

static void
free_boxes(struct lp_tables *t)
{
    for (uint32_t i = 0; i < t->nboxes; i++) {
        for (uint32_t k = 0; k < BOX_CELLS; k++) {
            lp_cells_clear(&t->boxes[i][k]);
        }
        lp_free(t->boxes[i]);
    }
    lp_free(t->boxes);
    t->boxes = NULL;
    t->nboxes = 0;
}

void
lp_tables_free(struct lp_tables *t)
{
    if (t != NULL) {
        free_boxes(t);
        lp_buf_clear(&t->shapes);
        lp_free(t->v);
        lp_free(t->buckets);
        lp_free(t->row_table);
        lp_free(t->line);
        lp_free(t);
    }
}

static void
reset(struct lp_tables *t, uint32_t rows)
{
    size_t kept = 0;
    for (uint32_t i = 0; i < t->nboxes; i++) {
        for (uint32_t k = 0; k < BOX_CELLS; k++) {
            kept += t->boxes[i][k].cap + t->boxes[i][k].lens_cap * sizeof(uint16_t);
        }
    }
    if (kept > KEPT_BYTES) {
        free_boxes(t);
    }
    t->box = t->box_used = 0;
    t->n = t->nkept = t->nplain = 0;
    lp_buf_reset(&t->shapes);
    if (t->nbuckets > 0) {
        memset(t->buckets, 0, t->nbuckets * sizeof(*t->buckets));
    }
    if (t->rows_cap < rows) {
        t->rows_cap = rows;
        t->row_table = lp_realloc(t->row_table, rows * sizeof(*t->row_table));
    }
}

static struct lp_cells *
take_cells(struct lp_tables *t, uint32_t n)
{
    if (t->nboxes > 0 && t->box_used + n > BOX_CELLS) {
        t->box++;
        t->box_used = 0;
    }
    if (t->box >= t->nboxes) {
        t->boxes = lp_realloc(t->boxes, (t->nboxes + 1) * sizeof(struct lp_cells *));
        t->boxes[t->nboxes++] = lp_calloc(BOX_CELLS, sizeof(struct lp_cells));
    }
    struct lp_cells *c = &t->boxes[t->box][t->box_used];
    t->box_used += n;
    for (uint32_t i = 0; i < n; i++) {
        lp_cells_reset(&c[i]);
    }
    return c;
}

/* --- shapes --- */

struct lp_str
lp_tables_shape(const struct lp_tables *t, const struct lp_shape_table *s)
{
    return lp_str_of(t->shapes.p + s->shape_at, s->shape_bytes);
}

static void
rehash(struct lp_tables *t)
{
    t->nbuckets = t->nbuckets ? t->nbuckets * 2 : 256;
    lp_free(t->buckets);
    t->buckets = lp_calloc(t->nbuckets, sizeof(*t->buckets));
    for (uint32_t i = 0; i < t->n; i++) {
        struct lp_str shape = lp_tables_shape(t, &t->v[i]);
        uint32_t at = (uint32_t)lp_xxh64(shape.p, shape.n) & (t->nbuckets - 1);
        while (t->buckets[at] != 0) {
            at = (at + 1) & (t->nbuckets - 1);
        }
        t->buckets[at] = i + 1;
    }
}

/* The table of this shape, made when it is new; NULL when there are too many. */
static struct lp_shape_table *
find_table(struct lp_tables *t, struct lp_str shape, uint32_t ncols)
{
    if (t->n * 2 >= t->nbuckets) {
        rehash(t);
    }
    uint32_t at = (uint32_t)lp_xxh64(shape.p, shape.n) & (t->nbuckets - 1);
    for (; t->buckets[at] != 0; at = (at + 1) & (t->nbuckets - 1)) {
        struct lp_shape_table *s = &t->v[t->buckets[at] - 1];
        if (s->shape_bytes == shape.n && memcmp(t->shapes.p + s->shape_at, shape.p, shape.n) == 0) {
            return s;
        }
    }
    if (t->n == LP_TABLES_MAX) {
        return NULL;
    }
    if (t->n == t->cap) {
        t->cap = t->cap ? t->cap * 2 : 64;
        t->v = lp_realloc(t->v, t->cap * sizeof(*t->v));
    }
    t->buckets[at] = t->n + 1;
    struct lp_shape_table *s = &t->v[t->n++];
    *s = (struct lp_shape_table){
        .shape_at = (uint32_t)t->shapes.n, .shape_bytes = (uint32_t)shape.n, .ncols = ncols};
    lp_buf_str(&t->shapes, shape);
    return s;
}

/* Cuts a row's line into t->line and t->edges; returns the number of edges, SIZE_MAX for a line that stays
 * plain. */
static size_t
cut(struct lp_tables *t, const struct lp_row *r)
{
    if (r->line_bytes > LP_TABLE_LINE_MAX || r->line_bytes == 0) {
        return SIZE_MAX;
    }
    memcpy(t->line, r->line, r->line_bytes);
    return lp_split(t->line, r->line_bytes, t->edges, 2 * LP_SHAPE_TOKENS_MAX);
}

/* The shape's text: separators are copied 16 bytes at a time, over what comes next. */
static size_t
put_shape(struct lp_tables *t, size_t nedges, size_t line_bytes)
{
    char *out = t->shape;
    size_t from = 0;
    for (size_t k = 0; k <= nedges; k += 2) {
        size_t to = k < nedges ? t->edges[k] : line_bytes;
        memcpy(out, t->line + from, 16);
        if (LP_UNLIKELY(to - from > 16)) {
            memcpy(out + 16, t->line + from + 16, to - from - 16);
        }
        out += to - from;
        if (k < nedges) {
            *out++ = LP_SHAPE_MARK;
            from = t->edges[k + 1];
        }
    }
    return (size_t)(out - t->shape);
}

/* --- rows --- */

static void
scatter(struct lp_tables *t, struct lp_shape_table *s)
{
    const uint16_t *e = t->edges;
    const char *line = t->line;
    for (struct lp_cells *c = s->cols, *end = c + s->ncols; c < end; c++, e += 2) {
        lp_cells_add(c, line + e[0], (size_t)(e[1] - e[0]));
    }
}

/* The table has enough rows: it gets columns, and those that were noted go first. */
static void
open_table(struct lp_tables *t, struct lp_shape_table *s, const struct lp_block_row *rows, uint32_t row)
{
    s->cols = take_cells(t, s->ncols);
    s->number = ++t->nkept;
    for (uint32_t i = 0; i < LP_TABLE_ROWS_MIN - 1; i++) {
        (void)cut(t, rows[s->pending[i]].row);
        scatter(t, s);
        t->row_table[s->pending[i]] = (uint16_t)s->number;
    }
    (void)cut(t, rows[row].row);
}

static void
add_row(struct lp_tables *t, const struct lp_block_row *rows, uint32_t row)
{
    struct lp_shape_table *s = NULL;
    size_t nedges = cut(t, rows[row].row);
    t->row_table[row] = 0;
    if (nedges != SIZE_MAX && nedges > 0) {
        struct lp_str shape = lp_str_of(t->shape, put_shape(t, nedges, rows[row].row->line_bytes));
        s = find_table(t, shape, (uint32_t)(nedges / 2));
    }
    if (s == NULL) {
        return;
    }
    if (s->rows + 1 < LP_TABLE_ROWS_MIN) {
        s->pending[s->rows++] = row;
        return;
    }
    if (s->cols == NULL) {
        open_table(t, s, rows, row);
    }
    scatter(t, s);
    s->rows++;
    t->row_table[row] = (uint16_t)s->number;
}

void
lp_tables_begin(struct lp_tables *t, uint32_t rows)
{
    reset(t, rows);
}

void
lp_tables_add(struct lp_tables *t, const struct lp_block_row *rows, uint32_t from, uint32_t to, bool plain)
{
    for (uint32_t i = from; i < to; i++) {
        if (plain) {
            t->row_table[i] = 0;
        } else {
            add_row(t, rows, i);
        }
        t->nplain += t->row_table[i] == 0;
    }
}

void
lp_tables_end(struct lp_tables *t)
{
    /* rows of tables that were opened later were counted as plain at first */
    t->nplain -= t->nkept * (LP_TABLE_ROWS_MIN - 1);
}
