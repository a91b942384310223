/*
 * block.h - one block: rows of one group as frames (FORMAT.md section 2.2), encoded from rows in memory, decoded lazily.
 *
 * Encoder and block objects belong to one thread at a time.
 */
#ifndef LP_STORE_BLOCK_H
#define LP_STORE_BLOCK_H

#include "store/codec.h"
#include "store/record.h"

/* --- encoding --- */

struct lp_block_row {
    const struct lp_row *row;
    uint32_t ticket; /* index into the footer's tickets */
};

struct lp_block_run {
    uint32_t stream; /* index into the footer's streams */
    uint32_t first;  /* row in the block */
    uint32_t rows;
    int64_t min_ns, max_ns;
};

/* The rows of a block in their final order, and their runs. Borrowed. */
struct lp_block_src {
    uint32_t number, group;
    const struct lp_block_row *rows;
    uint32_t nrows;
    const struct lp_block_run *runs;
    uint32_t nruns;
};

struct lp_block_encoder;

struct lp_block_encoder *lp_block_encoder_new(void);
void lp_block_encoder_free(struct lp_block_encoder *e);
/* From now on frames are stored as they are: the way out when a codec failed its proof. */
void lp_block_encoder_plain(struct lp_block_encoder *e);

/*
 * Appends the encoded block to out, then decodes what was written and compares it with the source; the block is only
 * good if LP_OK comes back. LP_ERR_CORRUPT: the proof failed (a bug of the codec).
 */
lp_rc lp_block_encode(struct lp_block_encoder *e, const struct lp_block_src *src, struct lp_buf *out,
                      struct lp_err *err) LP_MUST_USE;

/* --- decoding --- */

/* Where a block's bytes come from: reads exactly n bytes at off of the block. */
struct lp_block_io {
    lp_rc (*read)(void *ctx, void *dst, size_t n, uint64_t off, struct lp_err *err);
    void *ctx;
    uint64_t bytes;            /* stored size of the whole block */
    void (*free_ctx)(void *ctx); /* called once the block, or the try to open it, ends; may be NULL */
};

struct lp_block_head {
    uint32_t number, group, rows, runs, frames;
    uint64_t hash, line_bytes;
    int64_t min_ns, max_ns;
};

struct lp_block;

/* Reads and checks head and frame table. io is copied. */
lp_rc lp_block_open(const struct lp_block_io *io, struct lp_block **ret, struct lp_err *err) LP_MUST_USE;
void lp_block_free(struct lp_block *b);
const struct lp_block_head *lp_block_head(const struct lp_block *b);

/* Decodes times and runs; the arrays live as long as the block: rows times, in row order. */
lp_rc lp_block_times(struct lp_block *b, struct lp_codec *c, const int64_t **ret, struct lp_err *err) LP_MUST_USE;
lp_rc lp_block_runs(struct lp_block *b, struct lp_codec *c, const struct lp_block_run **ret, struct lp_err *err) LP_MUST_USE;
/* Ticket index of each row; *ret NULL when the block has no source column any more. */
lp_rc lp_block_source(struct lp_block *b, struct lp_codec *c, const uint32_t **ret, struct lp_err *err) LP_MUST_USE;
/* Lengths of all lines. */
lp_rc lp_block_lengths(struct lp_block *b, struct lp_codec *c, const uint32_t **ret, struct lp_err *err) LP_MUST_USE;
/* The line of a row, decoding its frame if need be; lives as long as the block, or until lp_block_trim. */
lp_rc lp_block_line(struct lp_block *b, struct lp_codec *c, uint32_t row, struct lp_str *ret, struct lp_err *err) LP_MUST_USE;
/*
 * Rows of [from, to) whose lines may hold the literal (not empty), in rising order: never one too few. Looks at no more than one frame:
 * that of row `from`, or going backward that of row to - 1. *ret_edge: where the rows looked at end (backward: begin).
 * ret_rows has room for to - from.
 */
lp_rc lp_block_find(struct lp_block *b, struct lp_codec *c, uint32_t from, uint32_t to, bool backward, struct lp_str literal,
                    uint32_t *ret_rows, uint32_t *ret_n, uint32_t *ret_edge, struct lp_err *err) LP_MUST_USE;
/* Number of metadata pairs of a row and the pairs, by rising name; the array is valid until the next call. */
lp_rc lp_block_meta(struct lp_block *b, struct lp_codec *c, uint32_t row, const struct lp_pair **ret, size_t *ret_n,
                    struct lp_err *err) LP_MUST_USE;
/* Frees decoded line frames but for that of `keep_row` (UINT32_MAX: all). */
void lp_block_trim(struct lp_block *b, uint32_t keep_row);
/* Frees the decoded line frames that no lp_block_line asked for since the call before: for blocks kept from use to use. */
void lp_block_trim_unused(struct lp_block *b);
/* Bytes of memory this block holds now. */
size_t lp_block_memory(const struct lp_block *b);
/* Decodes everything and compares with the hash in the head: the proof of verify, seal and compaction. */
lp_rc lp_block_prove(struct lp_block *b, struct lp_codec *c, struct lp_err *err) LP_MUST_USE;

#endif
