/*
 * view_int.h - inside views: shared by view.c and scan.c.
 */
#ifndef LP_STORE_VIEW_INT_H
#define LP_STORE_VIEW_INT_H

#include "store/view.h"

struct lp_view_id {
    uint64_t group, id;
    uint32_t stream;
};

struct lp_view_run {
    uint32_t block;
    struct lp_part_run run;
};

struct lp_view_runs {
    struct lp_view_run *v;
    size_t n, cap;
};

struct lp_view {
    struct lp_store *st;
    struct lp_str tenant;
    struct lp_arena ar, scratch;
    size_t budget;
    struct lp_head_view head;
    size_t first_gen; /* generations before it are in segments */
    struct lp_cat_txn *txn;
    struct lp_vstream *streams;
    size_t nstreams, streams_cap;
    uint32_t *buckets;
    size_t nbuckets;
    uint32_t **gen_map; /* per generation: its stream -> selected stream, or UINT32_MAX */
    struct lp_view_id *by_id;
    size_t nby_id;
    struct lp_seg **segs;
    size_t nsegs;
    struct lp_part *parts;
    size_t nparts, parts_cap;
};

#endif
