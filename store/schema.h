/*
 * schema.h - what stands in a block's SCHEMA frame, parsed: its tables with their shapes and column heads, the metadata
 * columns, and what is known of the plain rows (FORMAT.md section 2.4). Immutable; kept with the segment's handle and shared.
 */
#ifndef LP_STORE_SCHEMA_H
#define LP_STORE_SCHEMA_H

#include "store/column.h"

#define LP_PIECE_END UINT32_MAX

/* A stretch of every line of the table that is the same in all, and the column behind it. */
struct lp_piece {
    struct lp_str text;
    uint32_t col; /* LP_PIECE_END: none, the line ends */
};

struct lp_table {
    struct lp_str shape;
    uint32_t rows, ncols;
    struct lp_column *cols;
    struct lp_piece *pieces; /* the last has LP_PIECE_END */
    uint32_t npieces;
    uint32_t fixed_bytes; /* of all pieces' texts */
    size_t line_max;      /* most bytes of a line */
    bool ascii;           /* no cell holds a byte >= 0x80 */
    uint8_t set[32];      /* the bytes that occur in its lines */
    size_t cell_max;      /* bytes of the longest cell */
};

struct lp_meta_key {
    struct lp_str name;
    uint32_t rows;
    struct lp_str row_bytes; /* row numbers, as varint differences; empty: all rows of the block */
    struct lp_column col;
};

struct lp_schema {
    struct lp_arena ar;
    char *raw; /* what slices point into */
    struct lp_table *tables;
    uint32_t ntables;
    struct lp_meta_key *keys; /* by rising name */
    uint32_t nkeys;
    uint32_t plain_rows;
    uint32_t token_max;   /* bytes of the longest token of a plain row */
    const uint8_t *plain_set; /* 256 bits: the bytes of plain rows */
    size_t memory;
};

/* raw (lp_malloc, LP_CONTENT_PAD bytes behind n) is owned by the schema from then on, also on failure. rows: of the block. LP_ERR_CORRUPT. */
lp_rc lp_schema_parse(char *raw, size_t n, uint32_t rows, struct lp_schema **ret, struct lp_err *err) LP_MUST_USE;
void lp_schema_free(struct lp_schema *s);

#endif
