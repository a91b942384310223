/*
 * block_ids.c - what a stored block's columns tell of the whole block: its ids, for the id index of a file
 * that it is copied into (the same cells as the encoder noted when it wrote the block: FORMAT.md
 * section 2.6), and how long its tokens are.
 */
#include "store/block_int.h"

struct found {
    uint64_t *v;
    size_t n, cap;
    char *cell;
    size_t cell_cap;
};

static void
note(struct found *f, uint64_t hash)
{
    if (f->n == f->cap) {
        f->cap = f->cap ? f->cap * 2 : 4096;
        f->v = lp_realloc(f->v, f->cap * sizeof(*f->v));
    }
    f->v[f->n++] = hash;
}

static lp_rc
column_ids(struct lp_block *b, struct lp_codec *c, const struct lp_column *col, struct lp_column_data *data,
           struct found *f, struct lp_err *err)
{
    bool hex = col->type == LP_COL_HEX && col->digits >= LP_ID_HEX_MIN;
    if (!hex && (col->type != LP_COL_BYTES || col->cell_max < LP_ID_BYTES_MIN)) {
        return LP_OK;
    }
    if (f->cell_cap < (size_t)col->cell_max + LP_CONTENT_PAD) {
        f->cell_cap = (size_t)col->cell_max + LP_CONTENT_PAD;
        f->cell = lp_realloc(f->cell, f->cell_cap);
    }
    for (uint32_t i = 0; i < col->rows; i++) {
        const struct lp_chunk *ch;
        lp_rc rc = lp_block_chunk(b, c, col, data, i, &ch, err);
        if (rc != LP_OK) {
            return rc;
        }
        struct lp_str cell = lp_str_of(f->cell, lp_chunk_cell(col, ch, i - ch->first, f->cell));
        if (hex || lp_is_id(cell)) {
            note(f, lp_id_hash(cell));
        }
    }
    return LP_OK;
}

static lp_rc
find_ids(struct lp_block *b, struct lp_codec *c, struct found *f, struct lp_err *err)
{
    const struct lp_schema *s;
    lp_rc rc = lp_block_schema(b, c, &s, err);
    for (uint32_t t = 0; rc == LP_OK && t < s->ntables; t++) {
        struct lp_column_data *data = lp_block_table_data(b, s, t);
        for (uint32_t i = 0; i < s->tables[t].ncols && rc == LP_OK; i++) {
            rc = column_ids(b, c, &s->tables[t].cols[i], &data[i], f, err);
        }
    }
    if (rc == LP_OK) {
        rc = lp_block_read_meta(b, c, err);
    }
    for (uint32_t i = 0; rc == LP_OK && i < b->ncolumns; i++) {
        const struct lp_meta_column *m = &b->columns[i];
        rc = m->key != NULL ? column_ids(b, c, &m->key->col, m->data, f, err) : LP_OK;
    }
    return rc;
}

lp_rc
lp_block_ids(struct lp_block *b, struct lp_codec *c, uint64_t **ret, size_t *ret_n, struct lp_err *err)
{
    struct found f = {NULL, 0, 0, NULL, 0};
    lp_rc rc = b->info->head.layout == LP_BLOCK_LAYOUT_COLUMNS ? find_ids(b, c, &f, err) : LP_OK;
    lp_free(f.cell);
    if (rc != LP_OK) {
        lp_free(f.v);
        return rc;
    }
    *ret = f.v;
    *ret_n = f.n;
    return LP_OK;
}

lp_rc
lp_block_has_meta(struct lp_block *b, struct lp_codec *c, bool *ret, struct lp_err *err)
{
    lp_rc rc = lp_block_read_meta(b, c, err);
    *ret = rc == LP_OK && b->ncolumns > 0;
    return rc;
}

lp_rc
lp_block_tokens_of(struct lp_block *b, struct lp_codec *c, struct lp_block_tokens *ret, struct lp_err *err)
{
    const struct lp_schema *s;
    *ret = (struct lp_block_tokens){.known = false};
    if (b->info->head.layout != LP_BLOCK_LAYOUT_COLUMNS) {
        return LP_OK;
    }
    lp_rc rc = lp_block_schema(b, c, &s, err);
    if (rc != LP_OK) {
        return rc;
    }
    size_t longest = s->plain_rows > 0 ? s->token_max : 0;
    for (uint32_t t = 0; t < s->ntables; t++) {
        for (uint32_t i = 0; i < s->tables[t].ncols; i++) {
            const struct lp_column *col = &s->tables[t].cols[i];
            if (col->type == LP_COL_HEX) {
                ret->hex = LP_MAX(ret->hex, col->digits);
            } else {
                longest = LP_MAX(longest, (size_t)col->cell_max);
            }
        }
    }
    ret->longest = (uint16_t)LP_MIN(longest, (size_t)LP_TOKEN_LONGEST);
    ret->known = true;
    return LP_OK;
}
