/*
 * page.h - the stream table of a segment (FORMAT.md section 2.7): which streams have rows, and in which runs of which blocks. It is cut into
 * pages, streams of one group each, that are read one by one; an index of them is read with the segment.
 *
 * Pure: bytes to structures and back. Bytes that are read are checked against the segment's blocks; they may be made up.
 */
#ifndef LP_STORE_PAGE_H
#define LP_STORE_PAGE_H

#include "base/arena.h"
#include "store/footer.h"

/* Streams of one group by rising id, with their runs. Immutable, one allocation (lp_free). */
struct lp_seg_page {
    uint32_t group; /* index into the segment's groups */
    uint32_t nstreams, nruns;
    struct lp_foot_stream *streams; /* by rising id; first_run counts in `runs` of this page; key empty */
    struct lp_foot_run *runs;       /* of each stream by rising (block, first row); times are bounds, not always the very ones */
};

/* Stored bytes that are checked and decoded by themselves. */
struct lp_seg_piece {
    uint64_t off; /* in its section */
    uint32_t bytes, raw_bytes, crc;
    uint8_t codec;
};

/* What is known of a page without reading it. */
struct lp_seg_page_head {
    uint32_t group, nstreams, nruns;
    uint64_t first_id, last_id;
    int64_t min_ns, max_ns;
    struct lp_seg_piece piece; /* of STPG; not used in versions 1 and 2 */
};

/* Blocks and pages of a group follow each other. */
struct lp_seg_group {
    uint64_t id;
    uint32_t first_block, nblocks, first_page, npages;
};

/* Keys of the streams of some pages that follow each other. */
struct lp_seg_keys_head {
    uint32_t first_page, npages;
    struct lp_seg_piece piece; /* of SKEY */
};

struct lp_seg_index {
    struct lp_seg_group *groups; /* by rising id */
    uint32_t ngroups;
    struct lp_seg_page_head *pages;
    uint32_t npages;
    struct lp_seg_keys_head *keys;
    uint32_t nkeys;
    size_t nstreams, nruns; /* of all pages */
};

/* A page of this size with nothing in it yet. */
struct lp_seg_page *lp_page_new(uint32_t group, uint32_t nstreams, uint32_t nruns);
size_t lp_page_memory(const struct lp_seg_page *p);

/* Appends the three sections of f's streams, which may stand in any order of their groups but have to rise by id in each. */
struct lp_table_bytes {
    struct lp_buf index, pages, keys;
};
lp_rc lp_table_encode(const struct lp_footer *f, struct lp_codec *c, struct lp_table_bytes *out, struct lp_err *err) LP_MUST_USE;

/* The index as it was written; blocks[0..nblocks) are the segment's. pages_bytes and keys_bytes: size of STPG and SKEY. Free with lp_index_clear. */
lp_rc lp_index_parse(struct lp_str raw, const struct lp_foot_block *blocks, size_t nblocks, uint64_t pages_bytes, uint64_t keys_bytes,
                     struct lp_seg_index *ret, struct lp_err *err) LP_MUST_USE;
void lp_index_clear(struct lp_seg_index *x);

/* A page from its decoded bytes. */
lp_rc lp_page_parse(const struct lp_seg_page_head *h, const struct lp_seg_group *g, const struct lp_foot_block *blocks, struct lp_str raw,
                    struct lp_seg_page **ret, struct lp_err *err) LP_MUST_USE;
/* n keys from their decoded bytes; memory from ar. */
lp_rc lp_keys_parse(struct lp_str raw, struct lp_arena *ar, struct lp_str *keys, size_t n, struct lp_err *err) LP_MUST_USE;

#endif
