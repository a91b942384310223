/*
 * block_cells.c - the tables of a block being read: where each row stands, chunks of columns, and lines built
 * again from their cells.
 *
 * A chunk is decoded when a row of it is first asked for and kept until it is trimmed. Frames and places come
 * from the file: each is checked against the frame table before it is used.
 */
#include <string.h>

#include "store/block_int.h"

/* --- where rows stand --- */

static bool
parse_places(struct lp_block *b, const struct lp_schema *s, struct lp_rd *rd)
{
    uint32_t rows = b->info->head.rows;
    unsigned planes = s->ntables > 255 ? 2 : 1;
    struct lp_str codes = lp_rd_bytes(rd, (size_t)rows * planes);
    if (rd->bad || lp_rd_left(rd) != 0) {
        return false;
    }
    const uint8_t *p = (const uint8_t *)codes.p;
    uint32_t *have = lp_calloc(s->ntables + 1, sizeof(*have));
    bool ok = true;
    for (uint32_t i = 0; i < rows && ok; i++) {
        uint32_t t = planes == 1 ? p[i] : (uint32_t)(p[i] | p[rows + i] << 8);
        ok = t <= s->ntables;
        b->row_table[i] = (uint16_t)t;
        b->row_pos[i] = ok ? have[t]++ : 0;
    }
    ok = ok && have[0] == s->plain_rows;
    for (uint32_t t = 0; t < s->ntables && ok; t++) {
        ok = have[t + 1] == s->tables[t].rows;
    }
    lp_free(have);
    return ok;
}

lp_rc
lp_block_places(struct lp_block *b, struct lp_codec *c, struct lp_err *err)
{
    const struct lp_schema *s;
    char *raw;
    struct lp_rd rd;
    if (b->row_pos != NULL) {
        return LP_OK;
    }
    lp_rc rc = lp_block_schema(b, c, &s, err);
    if (rc == LP_OK) {
        rc = lp_block_load_kind(b, c, LP_FRAME_TABLES, &raw, &rd, err);
    }
    if (rc != LP_OK) {
        return rc;
    }
    uint32_t rows = b->info->head.rows;
    b->row_table = lp_malloc(rows * sizeof(*b->row_table));
    b->row_pos = lp_malloc(rows * sizeof(*b->row_pos));
    bool ok = parse_places(b, s, &rd);
    lp_free(raw);
    if (!ok) {
        lp_free(b->row_table);
        lp_free(b->row_pos);
        b->row_table = NULL;
        b->row_pos = NULL;
        return lp_block_column_bad(b, "tables", err);
    }
    b->memory += rows * (sizeof(*b->row_table) + sizeof(*b->row_pos));
    return LP_OK;
}

/* --- chunks --- */

struct lp_column_data *
lp_block_table_data(struct lp_block *b, const struct lp_schema *s, uint32_t table)
{
    if (b->tables == NULL) {
        b->tables = lp_calloc(s->ntables, sizeof(struct lp_column_data *));
    }
    if (b->tables[table] == NULL) {
        b->tables[table] = lp_calloc(s->tables[table].ncols, sizeof(struct lp_column_data));
    }
    return b->tables[table];
}

static lp_rc
place_bad(const struct lp_block *b, struct lp_err *err)
{
    return lp_corrupt(err, "block %u: a column's cells are not where its head says", b->info->head.number);
}

static lp_rc
load_own(struct lp_block *b, struct lp_codec *c, const struct lp_column *col, uint32_t k,
         struct lp_chunk *ret, struct lp_err *err)
{
    uint32_t first = k * col->chunk_rows, rows = LP_MIN(col->chunk_rows, col->rows - first);
    char *raw;
    if (col->frame > b->info->ncells || k >= b->info->ncells - col->frame) {
        return place_bad(b, err);
    }
    const struct lp_frame *f = &b->info->frames[b->info->first_cells + col->frame + k];
    lp_rc rc = lp_block_load_frame(b, c, f, &raw, err);
    if (rc != LP_OK) {
        return rc;
    }
    if (!lp_chunk_decode(col, first, rows, lp_str_of(raw, f->raw_bytes), ret)) {
        lp_free(raw);
        return lp_block_column_bad(b, "cells", err);
    }
    if (ret->p != NULL) {
        ret->owned = raw;
        ret->memory += f->raw_bytes;
    } else {
        lp_free(raw);
    }
    return LP_OK;
}

static lp_rc
load_shared(struct lp_block *b, struct lp_codec *c, const struct lp_column *col, struct lp_chunk *ret,
            struct lp_err *err)
{
    if (col->frame >= b->info->nshared) {
        return place_bad(b, err);
    }
    const struct lp_frame *f = &b->info->frames[b->info->first_shared + col->frame];
    if (col->offset > f->raw_bytes) {
        return place_bad(b, err);
    }
    if (b->shared == NULL) {
        b->shared = lp_calloc(b->info->nshared, sizeof(*b->shared));
    }
    struct lp_text *t = &b->shared[col->frame];
    if (t->p == NULL) {
        lp_rc rc = lp_block_load_frame(b, c, f, &t->p, err);
        if (rc != LP_OK) {
            return rc;
        }
        b->memory += f->raw_bytes;
    }
    struct lp_str content = lp_str_of(t->p + col->offset, f->raw_bytes - col->offset);
    return lp_chunk_decode(col, 0, col->rows, content, ret) ? LP_OK : lp_block_column_bad(b, "cells", err);
}

lp_rc
lp_block_chunk(struct lp_block *b, struct lp_codec *c, const struct lp_column *col, struct lp_column_data *d,
               uint32_t pos, const struct lp_chunk **ret, struct lp_err *err)
{
    LP_DEBUG_ASSERT(pos < col->rows && col->type != LP_COL_CONST);
    uint32_t k = col->shared ? 0 : pos / col->chunk_rows;
    if (d->chunks == NULL) {
        d->nchunks = col->shared ? 1 : (col->rows + col->chunk_rows - 1) / col->chunk_rows;
        d->chunks = lp_calloc(d->nchunks, sizeof(*d->chunks));
    }
    struct lp_chunk *ch = &d->chunks[k];
    if (ch->rows == 0) {
        lp_rc rc = col->shared ? load_shared(b, c, col, ch, err) : load_own(b, c, col, k, ch, err);
        if (rc != LP_OK) {
            return rc;
        }
        b->memory += ch->memory;
    }
    ch->used = true;
    *ret = ch;
    return LP_OK;
}

void
lp_block_free_data(struct lp_block *b, const struct lp_column *col, struct lp_column_data *d,
                   bool unused_only)
{
    for (uint32_t k = 0; k < d->nchunks; k++) {
        struct lp_chunk *ch = &d->chunks[k];
        bool keep = unused_only && (ch->used || col->shared);
        if (ch->rows > 0 && !keep) {
            b->memory -= ch->memory;
            lp_chunk_clear(ch);
        }
        ch->used = false;
    }
    if (!unused_only) {
        lp_free(d->chunks);
        *d = (struct lp_column_data){NULL, 0};
    }
}

void
lp_block_trim_cells(struct lp_block *b, bool unused_only)
{
    const struct lp_schema *s = b->schema;
    for (uint32_t t = 0; b->tables != NULL && t < s->ntables; t++) {
        for (uint32_t i = 0; b->tables[t] != NULL && i < s->tables[t].ncols; i++) {
            lp_block_free_data(b, &s->tables[t].cols[i], &b->tables[t][i], unused_only);
        }
        if (!unused_only) {
            lp_free(b->tables[t]);
            b->tables[t] = NULL;
        }
    }
    if (unused_only || b->meta_read) {
        return; /* shared frames may hold metadata too: they go with the block */
    }
    for (uint32_t i = 0; b->shared != NULL && i < b->info->nshared; i++) {
        if (b->shared[i].p != NULL) {
            b->memory -= b->info->frames[b->info->first_shared + i].raw_bytes;
            lp_free(b->shared[i].p);
            b->shared[i].p = NULL;
        }
    }
}

/* --- lines --- */

size_t
lp_block_line_room(const struct lp_schema *s, uint32_t table)
{
    return s->tables[table].line_max + 2 * LP_CONTENT_PAD;
}

static lp_rc
join_pieces(struct lp_block *b, struct lp_codec *c, const struct lp_schema *s, uint32_t table,
            const struct lp_piece *pieces, uint32_t pos, char *line, size_t *ret_bytes, struct lp_err *err)
{
    const struct lp_table *t = &s->tables[table];
    struct lp_column_data *data = lp_block_table_data(b, s, table);
    char *out = line;
    for (const struct lp_piece *p = pieces;; p++) {
        memcpy(out, p->text.p, 16); /* texts and target have room behind */
        if (p->text.n > 16) {
            memcpy(out + 16, p->text.p + 16, p->text.n - 16);
        }
        out += p->text.n;
        if (p->col == LP_PIECE_END) {
            break;
        }
        const struct lp_column *col = &t->cols[p->col];
        struct lp_column_data *d = &data[p->col];
        uint32_t k = col->shared ? 0 : pos / col->chunk_rows;
        const struct lp_chunk *ch = d->chunks != NULL && d->chunks[k].rows > 0 ? &d->chunks[k] : NULL;
        if (ch == NULL) {
            lp_rc rc = lp_block_chunk(b, c, col, d, pos, &ch, err);
            if (rc != LP_OK) {
                return rc;
            }
        }
        out += lp_chunk_cell(col, ch, pos - ch->first, out);
    }
    *ret_bytes = (size_t)(out - line);
    return LP_OK;
}

lp_rc
lp_block_rebuild(struct lp_block *b, struct lp_codec *c, const struct lp_schema *s, uint32_t table,
                 uint32_t pos, char *line, size_t *ret_bytes, struct lp_err *err)
{
    return join_pieces(b, c, s, table, s->tables[table].pieces, pos, line, ret_bytes, err);
}

static lp_rc
rebuilt_line(struct lp_block *b, struct lp_codec *c, uint32_t table, uint32_t pos, struct lp_str *ret,
             struct lp_err *err)
{
    const struct lp_schema *s;
    lp_rc rc = lp_block_schema(b, c, &s, err);
    if (rc != LP_OK) {
        return rc;
    }
    if (b->line_cap < lp_block_line_room(s, table)) {
        lp_free(b->line);
        b->line_cap = lp_block_line_room(s, table);
        b->line = lp_malloc(b->line_cap);
    }
    rc = lp_block_rebuild(b, c, s, table, pos, b->line, &ret->n, err);
    ret->p = b->line;
    return rc;
}

static lp_rc
rebuilt_bytes(struct lp_block *b, struct lp_codec *c, uint32_t table, uint32_t pos, uint32_t *ret,
              struct lp_err *err)
{
    const struct lp_schema *s;
    lp_rc rc = lp_block_schema(b, c, &s, err);
    if (rc != LP_OK) {
        return rc;
    }
    const struct lp_table *t = &s->tables[table];
    struct lp_column_data *data = lp_block_table_data(b, s, table);
    *ret = t->fixed_bytes;
    for (const struct lp_piece *p = t->pieces; p->col != LP_PIECE_END; p++) {
        const struct lp_column *col = &t->cols[p->col];
        const struct lp_chunk *ch;
        size_t most = col->cell_max;
        if (col->type == LP_COL_INT ? col->digits != 0 || lp_digits_of(col->min) == most
                                    : col->min == col->max) {
            *ret += (uint32_t)most;
            continue;
        }
        rc = lp_block_chunk(b, c, col, &data[p->col], pos, &ch, err);
        if (rc != LP_OK) {
            return rc;
        }
        *ret += lp_chunk_cell_bytes(col, ch, pos - ch->first);
    }
    return LP_OK;
}

/* Where a row stands: *ret_table 0 is among the plain rows. */
static lp_rc
place_of(struct lp_block *b, struct lp_codec *c, uint32_t row, uint32_t *ret_table, uint32_t *ret_pos,
         struct lp_err *err)
{
    LP_ASSERT(row < b->info->head.rows);
    *ret_table = 0;
    *ret_pos = row;
    if (b->info->head.layout == LP_BLOCK_LAYOUT_TEXT) {
        return LP_OK;
    }
    lp_rc rc = b->row_pos != NULL ? LP_OK : lp_block_places(b, c, err);
    if (rc == LP_OK) {
        *ret_table = b->row_table[row];
        *ret_pos = b->row_pos[row];
    }
    return rc;
}

lp_rc
lp_block_line(struct lp_block *b, struct lp_codec *c, uint32_t row, struct lp_str *ret, struct lp_err *err)
{
    uint32_t table, pos;
    lp_rc rc = place_of(b, c, row, &table, &pos, err);
    if (rc != LP_OK) {
        return rc;
    }
    return table == 0 ? lp_block_plain_line(b, c, pos, ret, err)
                      : rebuilt_line(b, c, table - 1, pos, ret, err);
}

lp_rc
lp_block_line_bytes(struct lp_block *b, struct lp_codec *c, uint32_t row, uint32_t *ret, struct lp_err *err)
{
    uint32_t table, pos;
    lp_rc rc = place_of(b, c, row, &table, &pos, err);
    if (rc != LP_OK) {
        return rc;
    }
    return table == 0 ? lp_block_plain_bytes(b, c, pos, ret, err)
                      : rebuilt_bytes(b, c, table - 1, pos, ret, err);
}

lp_rc
lp_block_table(struct lp_block *b, struct lp_codec *c, uint32_t row, const struct lp_table **ret,
               struct lp_err *err)
{
    const struct lp_schema *s;
    uint32_t table, pos;
    *ret = NULL;
    lp_rc rc = place_of(b, c, row, &table, &pos, err);
    if (rc == LP_OK && table > 0) {
        rc = lp_block_schema(b, c, &s, err);
        *ret = rc == LP_OK ? &s->tables[table - 1] : NULL;
    }
    return rc;
}

lp_rc
lp_block_excerpt(struct lp_block *b, struct lp_codec *c, uint32_t row, const struct lp_piece *pieces,
                 char *out, size_t *ret_bytes, struct lp_err *err)
{
    const struct lp_schema *s;
    uint32_t table, pos;
    lp_rc rc = place_of(b, c, row, &table, &pos, err);
    rc = rc == LP_OK ? lp_block_schema(b, c, &s, err) : rc;
    LP_ASSERT(rc != LP_OK || table > 0);
    return rc == LP_OK ? join_pieces(b, c, s, table - 1, pieces, pos, out, ret_bytes, err) : rc;
}
