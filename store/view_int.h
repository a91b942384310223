/*
 * view_int.h - inside views: shared by view*.c and scan.c.
 */
#ifndef LP_STORE_VIEW_INT_H
#define LP_STORE_VIEW_INT_H

#include <stdatomic.h>

#include "base/lock.h"
#include "store/view.h"

struct lp_view_run {
    uint32_t block;
    struct lp_part_run run;
};

struct lp_view_runs {
    struct lp_view_run *v;
    size_t n, cap;
};

/* A group of which streams are selected. */
struct lp_view_group {
    uint64_t id;
    bool most; /* many of its streams are, or all: its blocks are looked at whole */
    struct lp_cutoff_range cut; /* what has expired of it, in segments that are old enough */
};

struct lp_view_head {
    struct lp_hash128 hash;
    struct lp_str key; /* the generation's */
};

#define LP_VIEW_SHELF 1024u
typedef _Atomic(_Atomic(struct lp_vstream *) *) lp_view_shelf;

struct lp_view {
    struct lp_store *st;
    struct lp_str tenant;
    struct lp_arena ar; /* runs of parts */
    struct lp_head_view head;
    uint64_t sealed;  /* the last generation that is in segments */
    uint64_t only_first, only_last; /* lp_view_generations; only_last 0: all */
    size_t first_gen; /* generations before it are in segments */
    struct lp_cat_txn *txn;
    struct lp_cutoffs *cutoffs; /* what has expired; NULL: nothing */
    int64_t *stream_cuts;       /* by index of stored streams, once one had to be asked for; LP_TIME_NONE: not known */
    /* selected streams: index i is the i-th of ids, then those of the head */
    struct lp_idset ids; /* numbered */
    uint32_t nstored, nhead;
    struct lp_view_head *heads;
    size_t heads_cap;
    uint32_t *buckets; /* over heads: index + 1 */
    size_t nbuckets;
    uint32_t **gen_map; /* per generation: its stream -> index of the selected stream, or LP_NO_STREAM */
    /* streams that were asked for; written under mu, read without */
    struct lp_mutex mu;
    lp_view_shelf *shelves; /* by index / LP_VIEW_SHELF: only those exist that a stream was asked of */
    struct lp_arena names;
    struct lp_cat_pack pack;
    /* segments and parts */
    struct lp_view_group *groups; /* by rising id */
    size_t ngroups, groups_cap;
    struct lp_seg **segs;
    size_t nsegs;
    struct lp_part *parts;
    size_t nparts, parts_cap;
};

/* --- view_parts.c --- */

/* Finds the groups of the selected streams, then the segments that have rows of them in the range, and pins those. */
lp_rc lp_view_segments(struct lp_view *v, int64_t from_ns, int64_t to_ns, size_t *ret_damaged, struct lp_err *err) LP_MUST_USE;
/* Calls fn for each group of the segment that streams are selected of. */
typedef lp_rc (*lp_view_group_fn)(void *arg, struct lp_seg *seg, const struct lp_view_group *g, const struct lp_seg_group *sg,
                                  struct lp_err *err);
lp_rc lp_view_each_group(const struct lp_view *v, struct lp_seg *seg, lp_view_group_fn fn, void *arg, struct lp_err *err) LP_MUST_USE;
/* The first of page->streams[from..) that is not below the id. */
uint32_t lp_view_seek(const struct lp_seg_page *page, uint32_t from, uint64_t id);
/* What has expired of the group in this segment. */
struct lp_cutoff_range lp_view_cut(const struct lp_view *v, const struct lp_seg *seg, const struct lp_view_group *g);
/* The cutoff of one selected stream. While the transaction lives. */
lp_rc lp_view_stream_cut(struct lp_view *v, uint64_t id, int64_t *ret_ns, struct lp_err *err) LP_MUST_USE;
/* Is it damage, which costs only what it is of? */
bool lp_view_is_damage(lp_rc rc);

#endif
