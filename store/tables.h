/*
 * tables.h - rows on their way into a block, sorted into tables: the rows of one shape, one column a token (FORMAT.md
 * section 2.4). Rows whose shape is rare, long lines and those with very many tokens stay plain text.
 *
 * One object serves block after block and keeps its memory; one thread. Every line is read once, cut, and its tokens are
 * scattered into the columns of its table.
 */
#ifndef LP_STORE_TABLES_H
#define LP_STORE_TABLES_H

#include "store/block.h"
#include "store/column.h"

#define LP_SHAPE_MARK 'A'      /* stands for a token in a shape's text: no separator holds it */
#define LP_SHAPE_TOKENS_MAX 1024u
#define LP_TABLE_LINE_MAX 16384u /* longer lines are plain */
#define LP_TABLE_ROWS_MIN 4u /* searches pass over rows of tables; fewer than this many are smaller as text */
#define LP_TABLES_MAX 4096u    /* shapes of a block; later ones are plain */

struct lp_shape_table {
    uint32_t shape_at, shape_bytes; /* in lp_tables.shapes */
    uint32_t rows;
    uint32_t ncols;
    uint32_t number;             /* among those that are kept, from 1; 0: its rows are plain */
    uint32_t pending[LP_TABLE_ROWS_MIN - 1]; /* its first rows, until it has enough */
    struct lp_cells *cols;       /* NULL until it has enough */
};

struct lp_tables {
    struct lp_shape_table *v;
    uint32_t n, cap;
    struct lp_buf shapes;
    uint32_t *buckets; /* index + 1 */
    uint32_t nbuckets;
    uint16_t *row_table; /* per row: 0 plain, else number of the table (after lp_tables_end) */
    uint32_t rows_cap;
    uint32_t nkept, nplain;
    struct lp_cells **boxes; /* column objects, handed out in order, kept for the next block */
    uint32_t nboxes, box, box_used;
    char *line; /* the line being cut, padded */
    uint16_t edges[2 * LP_SHAPE_TOKENS_MAX + 64];
    char shape[LP_TABLE_LINE_MAX + 64];
};

struct lp_tables *lp_tables_new(void);
void lp_tables_free(struct lp_tables *t);
/* Begins a block of so many rows; what was there before is forgotten. */
void lp_tables_begin(struct lp_tables *t, uint32_t rows);
/* Sorts rows [from, to) of the block's; each once, in order. plain: they stay plain text. */
void lp_tables_add(struct lp_tables *t, const struct lp_block_row *rows, uint32_t from, uint32_t to, bool plain);
/* After the last row: from here on row_table and the counts hold. */
void lp_tables_end(struct lp_tables *t);
struct lp_str lp_tables_shape(const struct lp_tables *t, const struct lp_shape_table *s);

#endif
