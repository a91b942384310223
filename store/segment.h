/*
 * segment.h - writing a segment file and reading one (FORMAT.md section 2).
 *
 * Writing: one thread, one object, from ID.seg.tmp to the renamed and folder-synced ID.seg. Nothing counts until the
 * catalog names it.
 * Reading: a handle is reference-counted and immutable after opening; any number of threads may use it.
 */
#ifndef LP_STORE_SEGMENT_H
#define LP_STORE_SEGMENT_H

#include "base/io.h"
#include "store/block.h"
#include "store/footer.h"
#include "store/idindex.h"

/* "%s/%016llx.seg" or ".seg.tmp" into buf. */
#define LP_SEG_PATH_BYTES 4200
void lp_seg_path(const char *folder, uint64_t id, bool tmp, char buf[LP_SEG_PATH_BYTES]);

/* --- writing --- */
struct lp_seg_writer;

lp_rc lp_seg_writer_new(const struct lp_io *io, const char *folder, const struct lp_uuid *uuid, uint64_t id,
                        struct lp_seg_writer **ret, struct lp_err *err) LP_MUST_USE;
/* Appends an encoded block; its offset goes to *ret_off. */
lp_rc lp_seg_writer_block(struct lp_seg_writer *w, struct lp_str encoded, uint64_t *ret_off, struct lp_err *err) LP_MUST_USE;
/* Footer, sync, rename, folder sync. On success the file stands under its final name; *ret_bytes its size. */
lp_rc lp_seg_writer_finish(struct lp_seg_writer *w, const struct lp_footer *f, struct lp_codec *c,
                           uint64_t *ret_bytes, uint32_t *ret_dir_crc, struct lp_err *err) LP_MUST_USE;
/* Closes; without a finish that succeeded the file is removed as far as possible. NULL is fine. */
void lp_seg_writer_free(struct lp_seg_writer *w);

/* --- reading --- */
struct lp_seg {
    _Atomic unsigned refs;
    const struct lp_io *io;
    int fd;
    uint16_t version;
    uint64_t id, generation, rows, file_bytes;
    struct lp_uuid uuid;
    char *path;
    struct section *sections;
    uint32_t nsections;
    /* decoded at opening */
    struct lp_foot_stream *streams; /* keys empty: lp_seg_keys */
    size_t nstreams;
    struct lp_foot_run *runs;
    size_t nruns;
    struct lp_foot_block *blocks;
    size_t nblocks;
    lp_block_slot *slots; /* of each block: its head and schema, once they were read */
    _Atomic(struct lp_idindex *) ids; /* once it was asked */
    size_t memory;
};

/* Opens and checks header, trailer, directory, and the sections that queries need. LP_ERR_CORRUPT names file and place. */
lp_rc lp_seg_open(const struct lp_io *io, const char *path, struct lp_seg **ret, struct lp_err *err) LP_MUST_USE;
struct lp_seg *lp_seg_ref(struct lp_seg *s);
void lp_seg_unref(struct lp_seg *s);

/* The stream's row, by halving; NULL when it is not in this segment. */
const struct lp_foot_stream *lp_seg_stream(const struct lp_seg *s, uint64_t id);
/* Opens a block; the segment must outlive it. */
lp_rc lp_seg_block(struct lp_seg *s, uint32_t block, struct lp_block **ret, struct lp_err *err) LP_MUST_USE;

/*
 * Sets the bits of the blocks that may hold an id (lp_id_hash); blocks has a bit a block. False: nothing is known, any block may (no index in
 * this version, or it is damaged).
 */
bool lp_seg_find_id(struct lp_seg *s, uint64_t hash, uint64_t *blocks) LP_MUST_USE;

/* Reads and checks everything: every section and every block down to the hash of its rows. The first damage in err. */
lp_rc lp_seg_prove(struct lp_seg *s, struct lp_err *err) LP_MUST_USE;

/* Sections read when asked for; memory from ar. */
lp_rc lp_seg_keys(struct lp_seg *s, struct lp_arena *ar, struct lp_str **ret, struct lp_err *err) LP_MUST_USE;
lp_rc lp_seg_tickets(struct lp_seg *s, bool positions, struct lp_arena *ar, struct lp_foot_ticket **ret, size_t *ret_n,
                     struct lp_err *err) LP_MUST_USE;
lp_rc lp_seg_groups(struct lp_seg *s, struct lp_arena *ar, struct lp_foot_group **ret, size_t *ret_n, struct lp_err *err) LP_MUST_USE;
lp_rc lp_seg_ids(struct lp_seg *s, struct lp_arena *ar, struct lp_batch_id **ret, size_t *ret_n, struct lp_err *err) LP_MUST_USE;

#endif
