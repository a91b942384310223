/*
 * merge_int.h - inside merging: merge.c chooses days and walks groups, merge_rows.c brings rows of many blocks into order,
 * merge_out.c makes blocks and files of them. One thread.
 */
#ifndef LP_STORE_MERGE_INT_H
#define LP_STORE_MERGE_INT_H

#include "store/compact_pick.h"
#include "store/merge.h"
#include "store/store_int.h"

/* --- merge_names.c: what streams and groups are called, in all inputs --- */

struct lp_merge_names {
    struct lp_arena ar;
    struct lp_merge_name {
        uint64_t id;
        struct lp_str key;
    } *streams, *groups; /* by rising id */
    size_t nstreams, ngroups;
};
lp_rc lp_merge_names_load(struct lp_merge_names *n, struct lp_seg *const *inputs, size_t ninputs, struct lp_err *err) LP_MUST_USE;
void lp_merge_names_clear(struct lp_merge_names *n);
/* LP_ERR_CORRUPT: no input names it. */
lp_rc lp_merge_stream_key(const struct lp_merge_names *n, uint64_t id, struct lp_str *ret, struct lp_err *err) LP_MUST_USE;
lp_rc lp_merge_group_key(const struct lp_merge_names *n, uint64_t id, struct lp_str *ret, struct lp_err *err) LP_MUST_USE;

/* --- merge_out.c: the files being written, one after the other --- */

struct lp_merge_run {
    uint64_t stream;
    struct lp_foot_run run;
};

struct lp_merge_out {
    struct lp_store *st;
    const struct lp_merge_names *names;
    struct lp_footer all; /* what every file of the pass says: identity, positions, ids, generations, replaced */
    int64_t created_ns;
    bool (*go_on)(void *arg);
    void *arg;
    const struct lp_cutoffs *cutoffs; /* NULL: none */
    struct lp_merged *ret;
    uint64_t *ids; /* of the files of the pass */
    size_t nids;
    bool plain; /* a codec failed its proof: the rest of the pass is stored as it is */
    /* the open file */
    struct lp_seg_writer *w; /* NULL: none */
    struct lp_footer foot;
    uint8_t level;
    size_t blocks_cap, runs_cap, streams_cap, groups_cap;
    /* the open group, and its runs so far */
    uint64_t group;
    struct lp_merge_run *group_runs;
    size_t ngroup_runs, group_runs_cap;
    /* the open block */
    struct lp_row *rows;
    struct lp_block_row *refs;
    struct lp_block_run *runs;
    uint32_t nrows, nruns;
    uint64_t bytes;
    struct lp_arena lines;
    struct lp_block_encoder *enc;
    struct lp_codec *codec;
    struct lp_buf encoded;
};

void lp_merge_out_init(struct lp_merge_out *o, struct lp_store *st);
/* Files that were finished stay; an open one goes. */
void lp_merge_out_clear(struct lp_merge_out *o);
/* What comes next belongs to a file of this level. The file before is finished once there is something to write. */
lp_rc lp_merge_out_file(struct lp_merge_out *o, uint8_t level, struct lp_err *err) LP_MUST_USE;
/* What comes next belongs to this group; groups rise inside a file. */
void lp_merge_out_group(struct lp_merge_out *o, uint64_t group);
/* A row behind those before it. Rows of a block rise by (stream, time). Line and metadata are copied. */
lp_rc lp_merge_out_row(struct lp_merge_out *o, uint64_t stream, int64_t time_ns, struct lp_str line, const struct lp_pair *meta,
                       size_t nmeta, struct lp_err *err) LP_MUST_USE;
/* Ends the open block. */
lp_rc lp_merge_out_flush(struct lp_merge_out *o, struct lp_err *err) LP_MUST_USE;
/* A block of an input as it is; it was proved by the caller. */
lp_rc lp_merge_out_copy(struct lp_merge_out *o, struct lp_seg *seg, uint32_t block, struct lp_block *b, const struct lp_block_run *runs,
                        uint32_t nruns, struct lp_err *err) LP_MUST_USE;
/* Ends the open group: its runs go into the stream table. */
lp_rc lp_merge_out_end_group(struct lp_merge_out *o, struct lp_err *err) LP_MUST_USE;
/* Ends the pass: the last file names all of them. A pass without rows leaves one file without blocks. */
lp_rc lp_merge_out_end(struct lp_merge_out *o, struct lp_err *err) LP_MUST_USE;

/* --- merge_rows.c --- */

/* Which times a file takes: [from, to), or, of stray times, all but those of some days. */
struct lp_merge_span {
    int64_t from_ns, to_ns; /* to LP_TIME_MAX: no end */
    const int64_t *not_days; /* rising; NULL: none */
    size_t nnot_days;
};

enum lp_span_part { LP_SPAN_NONE, LP_SPAN_SOME, LP_SPAN_ALL };
/* How much of [min, max] is the span's. */
enum lp_span_part lp_merge_span_of(const struct lp_merge_span *s, int64_t min_ns, int64_t max_ns);

struct lp_merge_block {
    struct lp_seg *seg;
    uint32_t block;
    struct lp_cutoff_range cut; /* what has expired of its group in its segment */
};
/* The blocks' rows that are the span's and have not expired, by (stream, time, order of the blocks), as rows of o's open group; ends with a flush. */
lp_rc lp_merge_rows(struct lp_merge_out *o, const struct lp_merge_block *blocks, size_t n, const struct lp_merge_span *span,
                    struct lp_err *err) LP_MUST_USE;

#endif
