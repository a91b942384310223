/*
 * block_int.h - inside blocks being read: shared by block_open.c, block_dec.c, block_text.c, block_cells.c, block_meta.c and
 * block_match.c. An object belongs to one thread; what stands in lp_block_info is shared and immutable.
 */
#ifndef LP_STORE_BLOCK_INT_H
#define LP_STORE_BLOCK_INT_H

#include <stdatomic.h>

#include "store/block.h"
#include "store/schema.h"

struct lp_frame {
    uint8_t kind, codec;
    uint32_t first_row, raw_bytes, stored_bytes, crc;
    uint64_t off; /* in the block */
};

/* Plain lines of a small block, decoded: kept from search to search. Immutable. */
struct lp_plain {
    uint32_t *lengths, *offsets;
    char **texts; /* of each LINES frame */
    uint32_t ntexts;
    size_t memory;
};

struct lp_block_info {
    struct lp_block_head head;
    struct lp_frame *frames;
    bool has_ids; /* its runs name streams by id, not by index into the file's table */
    uint32_t first_line_frame, nline_frames; /* they follow each other */
    uint32_t first_cells, ncells;            /* likewise */
    uint32_t first_shared, nshared;
    bool kept; /* in a slot, and counted with the handle (keep.h) */
    _Atomic(struct lp_schema *) schema; /* layout columns: NULL until it was asked for */
    _Atomic(struct lp_plain *) plain;   /* NULL until a search looked at all of them, and where they are too large */
    size_t memory;
};

/* Columns of one table, or of one metadata key, as far as they are decoded. */
struct lp_column_data {
    struct lp_chunk *chunks; /* NULL: none yet */
    uint32_t nchunks;
};

/* A LINES frame, and a SHARED one. */
struct lp_text {
    char *p; /* NULL: not decoded */
    bool used;
};

struct lp_meta_column {
    struct lp_str name;
    uint32_t n;
    const uint32_t *rows;         /* NULL: all rows of the block */
    const struct lp_str *values;  /* META frames; NULL: a column of the schema */
    const struct lp_meta_key *key;
    struct lp_column_data *data;
};

struct lp_block {
    struct lp_block_io io;
    struct lp_block_info *info;
    bool owns_info;
    struct lp_schema *schema; /* once it was asked for: the info's, or its own */
    bool owns_schema;
    int64_t *times;
    struct lp_block_run *runs;
    struct lp_block_run *named; /* the same with ids of streams, of files that hold indexes */
    uint32_t *source;
    bool source_read;
    /* plain rows: all rows of layout text */
    uint32_t nplain;
    const struct lp_plain *plain; /* the info's; then what follows is not needed */
    uint32_t *lengths, *offsets; /* of each plain line, in its frame */
    struct lp_text *texts;       /* of each LINES frame */
    /* layout columns */
    uint16_t *row_table; /* 0: plain, else table + 1 */
    uint32_t *row_pos;   /* among the rows of its table, or the plain ones */
    struct lp_text *shared;
    struct lp_column_data **tables; /* of each table: one for each column */
    char *line;                     /* of the row rebuilt last */
    size_t line_cap;
    /* metadata */
    struct lp_arena meta_ar;
    char **meta_bytes; /* decoded META frames, which the columns point into */
    uint32_t nmeta_bytes;
    struct lp_meta_column *columns; /* by rising name */
    uint32_t ncolumns;
    struct lp_pair *row_meta;
    char *row_values; /* cells of the row's metadata */
    bool meta_read;
    size_t memory;
    uint64_t decoded;
};

/* --- block_open.c --- */
/* Decodes a frame into dst, which has room for its raw_bytes. */
lp_rc lp_block_read_frame(struct lp_block *b, struct lp_codec *c, const struct lp_frame *f, char *dst, struct lp_err *err) LP_MUST_USE;
/* The same into fresh memory (lp_malloc, LP_CONTENT_PAD behind). */
lp_rc lp_block_load_frame(struct lp_block *b, struct lp_codec *c, const struct lp_frame *f, char **ret, struct lp_err *err) LP_MUST_USE;
/* The first frame of this kind, or NULL. */
const struct lp_frame *lp_block_frame(const struct lp_block *b, enum lp_frame_kind kind);
/* Of a kind that parse saw to there being one. */
lp_rc lp_block_load_kind(struct lp_block *b, struct lp_codec *c, enum lp_frame_kind kind, char **ret, struct lp_rd *rd,
                         struct lp_err *err) LP_MUST_USE;
lp_rc lp_block_column_bad(const struct lp_block *b, const char *what, struct lp_err *err);
/* Layout columns only. */
lp_rc lp_block_schema(struct lp_block *b, struct lp_codec *c, const struct lp_schema **ret, struct lp_err *err) LP_MUST_USE;

/* --- block_dec.c --- */
/* The runs with ids in place of indexes into ids[0..n); NULL: of a file whose blocks hold ids. */
lp_rc lp_block_name_runs(struct lp_block *b, struct lp_codec *c, const uint64_t *ids, size_t n, const struct lp_block_run **ret,
                         struct lp_err *err) LP_MUST_USE;

/* --- block_text.c --- */
/* Keeps the plain lines with the info, if all are decoded and they are few. */
void lp_block_keep_plain(struct lp_block *b);
void lp_plain_free(struct lp_plain *p);
lp_rc lp_block_plain_line(struct lp_block *b, struct lp_codec *c, uint32_t ordinal, struct lp_str *ret, struct lp_err *err) LP_MUST_USE;
lp_rc lp_block_plain_bytes(struct lp_block *b, struct lp_codec *c, uint32_t ordinal, uint32_t *ret, struct lp_err *err) LP_MUST_USE;
void lp_block_trim_text(struct lp_block *b, bool unused_only);

/* --- block_cells.c --- */
/* row_table and row_pos. */
lp_rc lp_block_places(struct lp_block *b, struct lp_codec *c, struct lp_err *err) LP_MUST_USE;
/* The chunk that holds row `pos` of a column that is not constant. */
lp_rc lp_block_chunk(struct lp_block *b, struct lp_codec *c, const struct lp_column *col, struct lp_column_data *d, uint32_t pos,
                     const struct lp_chunk **ret, struct lp_err *err) LP_MUST_USE;
/* The columns' data of a table. */
struct lp_column_data *lp_block_table_data(struct lp_block *b, const struct lp_schema *s, uint32_t table);
/* Writes the line of a table's row to `line`, which has lp_block_line_room bytes. */
lp_rc lp_block_rebuild(struct lp_block *b, struct lp_codec *c, const struct lp_schema *s, uint32_t table, uint32_t pos, char *line,
                       size_t *ret_bytes, struct lp_err *err) LP_MUST_USE;
size_t lp_block_line_room(const struct lp_schema *s, uint32_t table);
void lp_block_trim_cells(struct lp_block *b, bool unused_only);
void lp_block_free_data(struct lp_block *b, const struct lp_column *col, struct lp_column_data *d, bool unused_only);

/* --- block_meta.c --- */
lp_rc lp_block_read_meta(struct lp_block *b, struct lp_codec *c, struct lp_err *err) LP_MUST_USE;
void lp_block_free_meta(struct lp_block *b);
/* The sum over all pairs that FORMAT.md section 2.2 defines. */
lp_rc lp_block_hash_meta(struct lp_block *b, struct lp_codec *c, uint64_t *ret, struct lp_err *err) LP_MUST_USE;

#endif
