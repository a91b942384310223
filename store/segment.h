/*
 * segment.h - writing a segment file and reading one (FORMAT.md section 2).
 *
 * Writing: one thread, one object, from ID.seg.tmp to the renamed and folder-synced ID.seg. Nothing counts until the
 * catalog names it.
 * Reading: a handle is reference-counted; any number of threads may use it. What it reads later (pages, block heads) is
 * published once and lives as long as the handle.
 */
#ifndef LP_STORE_SEGMENT_H
#define LP_STORE_SEGMENT_H

#include "base/io.h"
#include "store/block.h"
#include "store/footer.h"
#include "store/idindex.h"
#include "store/page.h"

/* "%s/%016llx.seg" or ".seg.tmp" into buf. */
#define LP_SEG_PATH_BYTES 4200
void lp_seg_path(const char *folder, uint64_t id, bool tmp, char buf[LP_SEG_PATH_BYTES]);

/* --- writing --- */
struct lp_seg_writer;

/* created_ns: when the newest of its rows was sealed. */
lp_rc lp_seg_writer_new(const struct lp_io *io, const char *folder, const struct lp_uuid *uuid, uint64_t id,
                        int64_t created_ns, struct lp_seg_writer **ret, struct lp_err *err) LP_MUST_USE;
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
    uint64_t id, rows, file_bytes;
    uint64_t first_generation, generation; /* different in merged segments only */
    uint8_t level;                         /* 0: sealed, above: merged */
    int64_t created_ns;                    /* when the newest of its rows was sealed */
    struct lp_uuid uuid;
    char *path;
    struct lp_seg_section *sections;
    uint32_t nsections;
    /* decoded at opening */
    struct lp_seg_group *groups; /* by rising id */
    uint32_t ngroups;
    struct lp_seg_page_head *pages;
    uint32_t npages;
    struct lp_seg_keys_head *keys; /* not in versions 1 and 2 */
    uint32_t nkeys;
    size_t nstreams, nruns; /* of all pages */
    _Atomic(struct lp_seg_page *) *page_slots;
    struct lp_seg_strm *strm; /* versions 1 and 2: what their indexes of streams mean */
    struct lp_foot_block *blocks;
    size_t nblocks;
    lp_block_slot *slots; /* of each block: its head and schema, once they were read */
    _Atomic(struct lp_idindex *) ids; /* once it was asked */
    char *tail; /* while it is opened: the file's last bytes */
    uint64_t tail_off;
    size_t memory; /* of what was read at opening; counted once it is opened */
    bool opened;
};

/* The file's created_ns, from its header alone. */
lp_rc lp_seg_created(const struct lp_io *io, const char *path, int64_t *ret_ns, struct lp_err *err) LP_MUST_USE;
/* The file will be opened: the system may fetch meanwhile what that reads. A hint, so nothing can fail. */
void lp_seg_expect(const struct lp_io *io, const char *path);
/* Opens and checks header, trailer, directory, and the sections that queries need. LP_ERR_CORRUPT names file and place. */
lp_rc lp_seg_open(const struct lp_io *io, const char *path, struct lp_seg **ret, struct lp_err *err) LP_MUST_USE;
struct lp_seg *lp_seg_ref(struct lp_seg *s);
void lp_seg_unref(struct lp_seg *s);

/* Index of a group, or UINT32_MAX. */
uint32_t lp_seg_find_group(const struct lp_seg *s, uint64_t group_id);
/* A page, read when it is first asked for, checked, and kept with the handle. */
lp_rc lp_seg_page(struct lp_seg *s, uint32_t page, const struct lp_seg_page **ret, struct lp_err *err) LP_MUST_USE;
/*
 * The same for who needs it only for a moment, as those do that walk over very many: where memory is short it is not kept with the handle. *ret_own
 * is to be freed by the caller (lp_free), NULL where the page is the handle's.
 */
lp_rc lp_seg_page_once(struct lp_seg *s, uint32_t page, const struct lp_seg_page **ret, struct lp_seg_page **ret_own, struct lp_err *err) LP_MUST_USE;
/* The stream's row and its runs, by halving; *ret NULL when it is not in this segment. */
lp_rc lp_seg_stream(struct lp_seg *s, uint64_t group_id, uint64_t id, const struct lp_foot_stream **ret,
                    const struct lp_foot_run **ret_runs, struct lp_err *err) LP_MUST_USE;
/* The runs of an opened block in row order, with ids of streams whatever the file's version; they live as long as b. Their times are known only if the block's were read before. */
lp_rc lp_seg_block_runs(struct lp_seg *s, uint32_t block, struct lp_block *b, struct lp_codec *c, const struct lp_block_run **ret,
                        uint32_t *ret_n, struct lp_err *err) LP_MUST_USE;
/* Opens a block; the segment must outlive it. */
lp_rc lp_seg_block(struct lp_seg *s, uint32_t block, struct lp_block **ret, struct lp_err *err) LP_MUST_USE;

/* The id index will be asked, and then for this id: as above. The second reads the index' head where it was not read yet. */
void lp_seg_expect_ids(struct lp_seg *s);
void lp_seg_expect_id(struct lp_seg *s, uint64_t hash);
/*
 * Sets the bits of the blocks that may hold an id (lp_id_hash); blocks has a bit a block. False: nothing is known, any block may (no index in
 * this version, or it is damaged).
 */
bool lp_seg_find_id(struct lp_seg *s, uint64_t hash, uint64_t *blocks) LP_MUST_USE;

/* Reads and checks everything: every section and every block down to the hash of its rows. The first damage in err. */
lp_rc lp_seg_prove(struct lp_seg *s, struct lp_err *err) LP_MUST_USE;

/* Frees the pages that were read. Only for who has the handle alone; pages got before are gone. */
void lp_seg_drop_pages(struct lp_seg *s);

/* Sections read when asked for; memory from ar. */
/*
 * Keys of streams in the order of the pages, those of page `first` first. All that are stored with it come along: *ret_pages of pages, so that
 * who wants those of all pages goes on behind them.
 */
lp_rc lp_seg_page_keys(struct lp_seg *s, uint32_t first, struct lp_arena *ar, struct lp_str **ret, uint32_t *ret_pages, struct lp_err *err) LP_MUST_USE;
/* Those of all pages, s->nstreams of them. */
lp_rc lp_seg_keys(struct lp_seg *s, struct lp_arena *ar, struct lp_str **ret, struct lp_err *err) LP_MUST_USE;
/* The segments that a merged one stands for, and all files that its pass wrote. */
struct lp_seg_origin {
    const uint64_t *replaced;
    size_t nreplaced;
    const uint64_t *outputs;
    size_t noutputs;
};
lp_rc lp_seg_origin(struct lp_seg *s, struct lp_arena *ar, struct lp_seg_origin *ret, struct lp_err *err) LP_MUST_USE;
lp_rc lp_seg_tickets(struct lp_seg *s, bool positions, struct lp_arena *ar, struct lp_foot_ticket **ret, size_t *ret_n,
                     struct lp_err *err) LP_MUST_USE;
lp_rc lp_seg_groups(struct lp_seg *s, struct lp_arena *ar, struct lp_foot_group **ret, size_t *ret_n, struct lp_err *err) LP_MUST_USE;
lp_rc lp_seg_ids(struct lp_seg *s, struct lp_arena *ar, struct lp_batch_id **ret, size_t *ret_n, struct lp_err *err) LP_MUST_USE;

#endif
