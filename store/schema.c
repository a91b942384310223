/*
 * schema.c - parsing a block's SCHEMA frame. The bytes may be made up: counts are bounded by what is left,
 * the rows of all tables and the plain ones are exactly the block's, and places in frames are checked when
 * they are used.
 */
#include "store/schema.h"

#include <string.h>

#include "store/tables.h"

/* What is known of all lines of the table together. */
static void
sum_up(struct lp_table *t)
{
    for (size_t i = 0; i < t->shape.n; i++) {
        if (t->shape.p[i] != LP_SHAPE_MARK) {
            lp_set_add(t->set, lp_str_sub(t->shape, i, i + 1));
        }
    }
    for (uint32_t i = 0; i < t->ncols; i++) {
        lp_column_bytes(&t->cols[i], t->set);
        t->cell_max = LP_MAX(t->cell_max, t->cols[i].cell_max);
    }
    t->ascii = true;
    for (unsigned i = 16; i < 32; i++) {
        t->ascii = t->ascii && t->set[i] == 0;
    }
}

/* Separators and constants joined into pieces. */
static bool
join_pieces(struct lp_table *t, struct lp_arena *ar)
{
    size_t bytes = t->shape.n, nvaried = 0;
    for (uint32_t i = 0; i < t->ncols; i++) {
        bytes += t->cols[i].type == LP_COL_CONST ? t->cols[i].value.n : 0;
        nvaried += t->cols[i].type != LP_COL_CONST;
    }
    t->pieces = lp_arena_array(ar, nvaried + 1, sizeof(*t->pieces));
    char *text = lp_arena_bytes(ar, bytes + LP_CONTENT_PAD);
    if (t->pieces == NULL || text == NULL) {
        return false;
    }
    char *begin = text;
    for (size_t i = 0, col = 0; i < t->shape.n; i++) {
        if (t->shape.p[i] != LP_SHAPE_MARK) {
            *text++ = t->shape.p[i];
            continue;
        }
        const struct lp_column *c = &t->cols[col++];
        if (c->type == LP_COL_CONST) {
            if (c->value.n > 0) {
                memcpy(text, c->value.p, c->value.n);
            }
            text += c->value.n;
        } else {
            t->pieces[t->npieces++] =
                (struct lp_piece){lp_str_of(begin, (size_t)(text - begin)), (uint32_t)col - 1};
            t->line_max += c->cell_max;
            begin = text;
        }
    }
    t->pieces[t->npieces++] = (struct lp_piece){lp_str_of(begin, (size_t)(text - begin)), LP_PIECE_END};
    for (uint32_t i = 0; i < t->npieces; i++) {
        t->fixed_bytes += (uint32_t)t->pieces[i].text.n;
    }
    t->line_max += t->fixed_bytes;
    return true;
}

static bool
parse_table(struct lp_rd *rd, struct lp_arena *ar, struct lp_table *t)
{
    t->shape = lp_rd_lpstr(rd);
    uint64_t rows = lp_rd_varint(rd);
    if (rd->bad || rows < 1 || rows > LP_BLOCK_ROWS_MAX || t->shape.n > LP_TABLE_LINE_MAX) {
        return false;
    }
    t->rows = (uint32_t)rows;
    for (size_t i = 0; i < t->shape.n; i++) {
        t->ncols += t->shape.p[i] == LP_SHAPE_MARK;
    }
    t->cols = lp_arena_array(ar, t->ncols, sizeof(*t->cols));
    if (t->cols == NULL || t->ncols < 1 || t->ncols > LP_SHAPE_TOKENS_MAX) {
        return false;
    }
    for (uint32_t i = 0; i < t->ncols; i++) {
        if (!lp_column_parse(rd, t->rows, ar, &t->cols[i])) {
            return false;
        }
    }
    sum_up(t);
    return join_pieces(t, ar);
}

static bool
parse_tables(struct lp_rd *rd, struct lp_schema *s, uint64_t *ret_rows)
{
    uint64_t n = lp_rd_varint(rd);
    if (rd->bad || n > LP_TABLES_MAX || n > lp_rd_left(rd)) {
        return false;
    }
    s->tables = lp_arena_zalloc(&s->ar, n * sizeof(*s->tables));
    if (s->tables == NULL) {
        return false;
    }
    for (; s->ntables < n; s->ntables++) {
        if (!parse_table(rd, &s->ar, &s->tables[s->ntables])) {
            return false;
        }
        *ret_rows += s->tables[s->ntables].rows;
    }
    return true;
}

static bool
parse_keys(struct lp_rd *rd, struct lp_schema *s, uint32_t rows)
{
    uint64_t n = lp_rd_varint(rd);
    if (rd->bad || n > lp_rd_left(rd)) {
        return false;
    }
    s->keys = lp_arena_zalloc(&s->ar, n * sizeof(*s->keys));
    if (s->keys == NULL) {
        return false;
    }
    for (; s->nkeys < n; s->nkeys++) {
        struct lp_meta_key *k = &s->keys[s->nkeys];
        k->name = lp_rd_lpstr(rd);
        uint64_t have = lp_rd_varint(rd);
        k->row_bytes = lp_rd_lpstr(rd);
        if (rd->bad || have < 1 || have > rows || (k->row_bytes.n == 0 && have != rows) ||
            (s->nkeys > 0 && lp_str_cmp(k[-1].name, k->name) >= 0)) {
            return false;
        }
        k->rows = (uint32_t)have;
        if (!lp_column_parse(rd, k->rows, &s->ar, &k->col)) {
            return false;
        }
    }
    return true;
}

static bool
parse_plain(struct lp_rd *rd, struct lp_schema *s)
{
    uint64_t rows = lp_rd_varint(rd), token_max;
    if (rd->bad || rows > LP_BLOCK_ROWS_MAX) {
        return false;
    }
    s->plain_rows = (uint32_t)rows;
    if (rows > 0) {
        token_max = lp_rd_varint(rd);
        s->token_max = (uint32_t)LP_MIN(token_max, (uint64_t)UINT32_MAX);
        s->plain_set = (const uint8_t *)lp_rd_bytes(rd, 32).p;
    }
    return !rd->bad;
}

lp_rc
lp_schema_parse(char *raw, size_t n, uint32_t rows, struct lp_schema **ret, struct lp_err *err)
{
    struct lp_schema *s = lp_calloc(1, sizeof(*s));
    struct lp_rd rd = lp_rd_of(lp_str_of(raw, n));
    uint64_t table_rows = 0;
    s->raw = raw;
    lp_arena_init(&s->ar, LP_SCHEMA_BYTES_MAX, LP_ARENA_CHUNK_MIN);
    bool ok = parse_plain(&rd, s) && parse_tables(&rd, s, &table_rows) && parse_keys(&rd, s, rows) &&
              lp_rd_left(&rd) == 0 && !rd.bad && table_rows + s->plain_rows == rows;
    if (!ok) {
        lp_schema_free(s);
        return lp_corrupt(err, "the schema of a block is malformed");
    }
    s->memory = sizeof(*s) + n + s->ar.reserved;
    *ret = s;
    return LP_OK;
}

void
lp_schema_free(struct lp_schema *s)
{
    if (s != NULL) {
        lp_arena_clear(&s->ar);
        lp_free(s->raw);
        lp_free(s);
    }
}
