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
    uint64_t stream; /* what the block's file says: lp_seg_block_runs makes ids of it */
    uint32_t first;  /* row in the block */
    uint32_t rows;
    int64_t min_ns, max_ns; /* of a block that is read: once its times were */
};

/* The rows of a block in their final order, and their runs. Borrowed. */
struct lp_block_src {
    uint32_t number, group;
    const struct lp_block_row *rows;
    uint32_t nrows;
    const struct lp_block_run *runs;
    uint32_t nruns;
    bool no_source; /* rows tell no ticket any more */
};

/* How long the tokens of a block's lines are: a search for a longer one need not open it. */
struct lp_block_tokens {
    uint16_t longest; /* bytes of the longest outside of HEX columns; LP_TOKEN_LONGEST: so many or more */
    uint8_t hex;      /* digits of the widest HEX column; 0: there is none */
    bool known;
};
#define LP_TOKEN_LONGEST UINT16_MAX

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
/* Hashes of the ids in the block encoded last (lp_id_hash), in any order, repeats included; until the next block. */
struct lp_block_tokens lp_block_encoder_tokens(const struct lp_block_encoder *e);
const uint64_t *lp_block_encoder_ids(const struct lp_block_encoder *e, size_t *ret_n);

/*
 * Gives an encoded block another number and group: blocks are whole in themselves, and may be copied from file to file. False: its head
 * and frame table are not what their checksum says.
 */
bool lp_block_renumber(char *block, size_t n, uint32_t number, uint32_t group) LP_MUST_USE;

/* --- decoding --- */

/* Where a block's bytes come from: reads exactly n bytes at off of the block. */
struct lp_block_io {
    lp_rc (*read)(void *ctx, void *dst, size_t n, uint64_t off, struct lp_err *err);
    void *ctx;
    uint64_t bytes;            /* stored size of the whole block */
    void (*free_ctx)(void *ctx); /* called once the block, or the try to open it, ends; may be NULL */
};

struct lp_block_head {
    uint32_t number, group, rows, runs, frames, layout;
    uint64_t hash, line_bytes;
    int64_t min_ns, max_ns;
};

struct lp_block;
struct lp_schema;

/*
 * What is known of a block without its columns: head, frame table, and its schema once somebody asked for it. Immutable but for
 * that; a slot keeps it from one opening to the next, for all threads.
 */
struct lp_block_info;
typedef _Atomic(struct lp_block_info *) lp_block_slot;
void lp_block_info_free(struct lp_block_info *i);

/* Reads and checks head and frame table, or takes them from the slot (NULL: none). io is copied. The slot must outlive the block. */
lp_rc lp_block_open(const struct lp_block_io *io, lp_block_slot *slot, struct lp_block **ret, struct lp_err *err) LP_MUST_USE;
void lp_block_free(struct lp_block *b);
const struct lp_block_head *lp_block_head(const struct lp_block *b);

/* Decodes times and runs; the arrays live as long as the block: rows times, in row order. */
lp_rc lp_block_times(struct lp_block *b, struct lp_codec *c, const int64_t **ret, struct lp_err *err) LP_MUST_USE;
lp_rc lp_block_runs(struct lp_block *b, struct lp_codec *c, const struct lp_block_run **ret, struct lp_err *err) LP_MUST_USE;
/* Ticket index of each row; *ret NULL when the block has no source column any more. */
lp_rc lp_block_source(struct lp_block *b, struct lp_codec *c, const uint32_t **ret, struct lp_err *err) LP_MUST_USE;
/* The line of a row, and its length alone. Only what the row needs is decoded. The line is valid until the next call of either, lp_block_trim, or the end. */
lp_rc lp_block_line(struct lp_block *b, struct lp_codec *c, uint32_t row, struct lp_str *ret, struct lp_err *err) LP_MUST_USE;
lp_rc lp_block_line_bytes(struct lp_block *b, struct lp_codec *c, uint32_t row, uint32_t *ret, struct lp_err *err) LP_MUST_USE;
/*
 * The table that a row's line is in (schema.h); NULL: it is plain text. And of such a row an excerpt: pieces made of the table's columns and of texts that have
 * LP_CONTENT_PAD readable bytes behind them. out has room for all texts, the longest cell a column, and 2 * LP_CONTENT_PAD.
 */
struct lp_table;
struct lp_piece;
lp_rc lp_block_table(struct lp_block *b, struct lp_codec *c, uint32_t row, const struct lp_table **ret, struct lp_err *err) LP_MUST_USE;
lp_rc lp_block_excerpt(struct lp_block *b, struct lp_codec *c, uint32_t row, const struct lp_piece *pieces, char *out,
                       size_t *ret_bytes, struct lp_err *err) LP_MUST_USE;
/* Number of metadata pairs of a row and the pairs, by rising name; the array is valid until the next call. */
lp_rc lp_block_meta(struct lp_block *b, struct lp_codec *c, uint32_t row, const struct lp_pair **ret, size_t *ret_n,
                    struct lp_err *err) LP_MUST_USE;
/* Whether any row has metadata. */
lp_rc lp_block_has_meta(struct lp_block *b, struct lp_codec *c, bool *ret, struct lp_err *err) LP_MUST_USE;
/* Hashes of the block's ids (lp_id_hash), as its encoder found them; the caller frees *ret. */
lp_rc lp_block_ids(struct lp_block *b, struct lp_codec *c, uint64_t **ret, size_t *ret_n, struct lp_err *err) LP_MUST_USE;
/* Not known of blocks that hold plain text only. */
lp_rc lp_block_tokens_of(struct lp_block *b, struct lp_codec *c, struct lp_block_tokens *ret, struct lp_err *err) LP_MUST_USE;
/* Frees decoded lines and columns. */
void lp_block_trim(struct lp_block *b);
/* Frees those that nobody asked for since the call before: for blocks kept from use to use. */
void lp_block_trim_unused(struct lp_block *b);
/* Bytes of memory this block holds now, without what its slot keeps. */
size_t lp_block_memory(const struct lp_block *b);
/* Bytes of stored frames that were decoded for this block so far, decoded. */
uint64_t lp_block_decoded(const struct lp_block *b);
/* Decodes everything and compares with the hash in the head: the proof of verify, seal and compaction. */
lp_rc lp_block_prove(struct lp_block *b, struct lp_codec *c, struct lp_err *err) LP_MUST_USE;

#endif
