/*
 * footer.h - the footer of a segment in memory: what the seal gives to the writer, and what readers ask for.
 */
#ifndef LP_STORE_FOOTER_H
#define LP_STORE_FOOTER_H

#include "store/block.h"
#include "store/codec.h"
#include "store/head.h"
#include "store/idindex.h"
#include "store/record.h"
#include "store/uuid.h"

struct lp_foot_ticket {
    const char *log;
    uint32_t partition;
    uint64_t generation, first, next, epoch;
    uint64_t anchor; /* of positions on their way into the catalog only; 0: not known */
};

struct lp_foot_stream {
    uint64_t id;
    int64_t min_ns, max_ns;
    uint32_t rows, first_run, runs, group;
    struct lp_str key;
};

struct lp_foot_run {
    uint32_t block, first, rows;
    int64_t min_ns, max_ns;
};

struct lp_foot_group {
    uint64_t id;
    struct lp_str key;
};

struct lp_foot_block {
    uint64_t off, bytes, line_bytes;
    uint32_t group, rows, runs;
    int64_t min_ns, max_ns;
    struct lp_block_tokens tokens;
};

/* Borrowed arrays; the owner is whoever filled it. */
struct lp_footer {
    struct lp_uuid uuid;
    const struct lp_uuid *earlier; /* of the stores that this one was copied from, newest first */
    size_t nearlier;
    uint64_t segment, generation, rows;
    /* of a merged segment (level 1 and above): its first generation (the last is `generation`), the segments that it stands for, and all
     * files that the pass wrote, itself included; of others level 0 and nothing */
    uint64_t first_generation;
    uint8_t level;
    const uint64_t *replaced;
    size_t nreplaced;
    const uint64_t *outputs;
    size_t noutputs;
    struct lp_foot_ticket *tickets;
    size_t ntickets;
    struct lp_foot_ticket *positions; /* generation unused */
    size_t npositions;
    struct lp_foot_stream *streams; /* in each group by rising id */
    size_t nstreams;
    struct lp_foot_run *runs; /* of each stream by rising (block, first row); times may be bounds */
    size_t nruns;
    struct lp_foot_group *groups; /* by rising id */
    size_t ngroups;
    struct lp_foot_block *blocks; /* group by group */
    size_t nblocks;
    const struct lp_batch_id *ids;
    size_t nids;
    struct lp_id_entry *cell_ids; /* of the id index; sorted while it is encoded */
    size_t ncell_ids, cell_ids_cap;
};

/* Notes a block's ids for the index. f owns the list (lp_free). */
void lp_footer_note_ids(struct lp_footer *f, uint32_t block, const uint64_t *ids, size_t n);

/*
 * Appends sections, directory and trailer to out, as they stand at file offset `at`. *ret_dir_crc goes into the catalog.
 */
lp_rc lp_footer_encode(const struct lp_footer *f, struct lp_codec *c, uint64_t at, struct lp_buf *out,
                       uint32_t *ret_dir_crc, struct lp_err *err) LP_MUST_USE;

#endif
