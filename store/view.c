/*
 * view.c - choosing the streams of a query, and reading those that somebody asks about. See view.h for the
 * consistency argument; parts are view_parts.c, labels and series view_seen.c, scanning is scan.c.
 *
 * Streams of segments are a set of ids of the catalog; a stream's index is its number in the set. Streams of
 * the head are looked at one by one, because some of them are in no catalog yet; their keys are the
 * generations'.
 *
 * Threads: a view changes only until its parts are there. After that streams are still read, by whoever asks
 * first, under mu; a pointer that is published stays. The read transaction lives from lp_view_open to the end
 * of lp_view_parts (or of its sisters for labels); later reads of streams have short ones of their own, which
 * is right because a stream's row never changes and is never taken away.
 */
#include "store/view_int.h"

#include <stdlib.h>
#include <string.h>

lp_rc
lp_view_open(struct lp_store *st, struct lp_str tenant, struct lp_view **ret, struct lp_err *err)
{
    struct lp_view *v = lp_calloc(1, sizeof(*v));
    struct lp_cat_counters n;
    v->st = st;
    lp_mutex_init(&v->mu, LP_LOCK_VIEW);
    lp_arena_init(&v->ar, SIZE_MAX, 4096);
    lp_cat_pack_init(&v->pack);
    v->cutoffs = lp_store_cutoffs(st);
    lp_head_view(lp_store_head(st), &v->head);
    lp_rc rc = lp_cat_begin(lp_store_catalog(st), &v->txn, err);
    if (rc == LP_OK) {
        rc = lp_cat_counters(v->txn, &n, err);
    }
    if (rc == LP_OK && !lp_arena_str(&v->ar, tenant, &v->tenant)) {
        rc = lp_err_set(err, LP_ERR_NOMEM, "no memory for a query");
    }
    if (rc != LP_OK) {
        lp_view_free(v);
        return rc;
    }
    lp_idset_init(&v->ids, n.next_stream);
    v->sealed = n.sealed;
    while (v->first_gen < v->head.ngens && v->head.gens[v->first_gen].gen->id <= n.sealed) {
        v->first_gen++;
    }
    *ret = v;
    return LP_OK;
}

void
lp_view_free(struct lp_view *v)
{
    if (v == NULL) {
        return;
    }
    lp_cat_end(v->txn);
    for (size_t i = 0; i < v->nsegs; i++) {
        lp_seg_unref(v->segs[i]);
    }
    for (size_t i = 0; v->gen_map != NULL && i < v->head.ngens; i++) {
        lp_free(v->gen_map[i]);
    }
    lp_free(v->gen_map);
    lp_free(v->segs);
    lp_free(v->parts);
    lp_free(v->groups);
    lp_free(v->buckets);
    lp_free(v->heads);
    for (size_t i = 0; v->shelves != NULL && i <= lp_view_nstreams(v) / LP_VIEW_SHELF; i++) {
        lp_free((void *)(uintptr_t)atomic_load(&v->shelves[i]));
    }
    lp_free((void *)(uintptr_t)v->shelves);
    lp_free(v->stream_cuts);
    lp_cutoffs_unref(v->cutoffs);
    lp_idset_clear(&v->ids);
    lp_cat_pack_clear(&v->pack);
    lp_head_view_clear(&v->head);
    lp_arena_clear(&v->names);
    lp_arena_clear(&v->ar);
    lp_mutex_destroy(&v->mu);
    lp_free(v);
}

uint32_t
lp_view_nstreams(const struct lp_view *v)
{
    return v->nstored + v->nhead;
}

void
lp_view_generations(struct lp_view *v, uint64_t first, uint64_t last)
{
    LP_ASSERT(v->segs == NULL && last > 0);
    v->only_first = first;
    v->only_last = last;
}

const struct lp_head_view *
lp_view_head(const struct lp_view *v, uint64_t *ret_sealed)
{
    *ret_sealed = v->sealed;
    return &v->head;
}

/* --- streams of the head --- */

static void
rehash(struct lp_view *v)
{
    size_t n = v->nbuckets ? v->nbuckets * 2 : 256;
    lp_free(v->buckets);
    v->buckets = lp_calloc(n, sizeof(*v->buckets));
    v->nbuckets = n;
    for (uint32_t i = 0; i < v->nhead; i++) {
        size_t at = v->heads[i].hash.lo & (n - 1);
        while (v->buckets[at] != 0) {
            at = (at + 1) & (n - 1);
        }
        v->buckets[at] = i + 1;
    }
}

/* Where the hash is, or belongs, among the buckets. */
static size_t
bucket_of(const struct lp_view *v, struct lp_hash128 hash)
{
    size_t at = hash.lo & (v->nbuckets - 1);
    while (v->buckets[at] != 0 && !lp_hash128_eq(v->heads[v->buckets[at] - 1].hash, hash)) {
        at = (at + 1) & (v->nbuckets - 1);
    }
    return at;
}

/* The index of a wanted stream of the head. */
static uint32_t
add_head(struct lp_view *v, const struct lp_gen_stream *gs)
{
    if (((size_t)v->nhead + 1) * 2 > v->nbuckets) {
        rehash(v);
    }
    size_t at = bucket_of(v, gs->hash);
    if (v->buckets[at] == 0) {
        if (v->nhead == v->heads_cap) {
            v->heads_cap = v->heads_cap ? v->heads_cap * 2 : 64;
            v->heads = lp_realloc(v->heads, v->heads_cap * sizeof(*v->heads));
        }
        v->heads[v->nhead] = (struct lp_view_head){gs->hash, gs->key};
        v->buckets[at] = ++v->nhead;
    }
    return v->nstored + v->buckets[at] - 1;
}

/* Leaves of the selected streams of segments those that the filter wants. */
static lp_rc
filter_stored(struct lp_view *v, const struct lp_select_filter *f, struct lp_arena *scratch,
              struct lp_err *err)
{
    struct lp_idset kept;
    lp_rc rc = LP_OK;
    lp_idset_init(&kept, v->ids.limit);
    for (uint64_t id = 0; rc == LP_OK && (id = lp_idset_next(&v->ids, id)) != UINT64_MAX; id++) {
        struct lp_str key;
        uint64_t group;
        rc = lp_cat_stream(v->txn, id, &v->pack, &group, &key, err);
        if (rc == LP_OK && lp_select_filter_wants(f, key, scratch)) {
            lp_idset_add(&kept, id, id + 1);
        }
    }
    lp_idset_clear(&v->ids);
    v->ids = kept;
    return rc;
}

/* Maps each stream of the head's generations to a selected stream. */
static void
select_head(struct lp_view *v, const struct lp_selector *sel, struct lp_arena *scratch)
{
    struct lp_select_memo *memo = lp_select_memo_new(sel);
    v->gen_map = lp_calloc(v->head.ngens, sizeof(uint32_t *));
    for (size_t g = v->first_gen; g < v->head.ngens; g++) {
        const struct lp_head_view_gen *vg = &v->head.gens[g];
        uint32_t *map = v->gen_map[g] = lp_malloc(vg->nstreams * sizeof(*map));
        for (uint32_t i = 0; i < vg->nstreams; i++) {
            const struct lp_gen_stream *gs = lp_gen_stream(vg->gen, i);
            bool wanted = lp_select_key(memo, v->tenant, gs->key) &&
                          lp_select_filter_wants(sel->filter, gs->key, scratch);
            map[i] = wanted ? add_head(v, gs) : LP_NO_STREAM;
        }
    }
    lp_select_memo_free(memo);
}

lp_rc
lp_view_select(struct lp_view *v, const struct lp_selector *sel, size_t budget, struct lp_err *err)
{
    struct lp_arena scratch; /* of one key at a time */
    LP_ASSERT(v->txn != NULL && v->shelves == NULL);
    lp_arena_init(&v->names, budget, 4096);
    lp_arena_init(&scratch, SIZE_MAX, 0);
    lp_rc rc = lp_select_ids(v->txn, v->tenant, sel, &v->ids, err);
    if (rc == LP_OK && sel->filter != NULL) {
        rc = filter_stored(v, sel->filter, &scratch, err);
    }
    lp_idset_number(&v->ids);
    uint64_t n = lp_idset_count(&v->ids);
    if (rc == LP_OK && n > UINT32_MAX / 2) {
        rc = lp_err_set(err, LP_ERR_LIMIT, "the query selects more than 2,147,483,647 streams");
    }
    if (rc == LP_OK) {
        v->nstored = (uint32_t)n;
        select_head(v, sel, &scratch);
        v->shelves = lp_calloc(lp_view_nstreams(v) / LP_VIEW_SHELF + 1, sizeof(*v->shelves));
    }
    lp_arena_clear(&scratch);
    return rc;
}

/* --- streams that are asked for --- */

static lp_rc
over_budget(struct lp_err *err)
{
    return lp_err_set(err, LP_ERR_LIMIT,
                      "the query looks at more streams than its memory can hold; add more label matchers");
}

/* A stream of a segment, its key copied. */
static lp_rc
read_stored(struct lp_view *v, uint64_t id, struct lp_vstream *ret, struct lp_str *ret_key,
            struct lp_err *err)
{
    struct lp_cat_txn *t = v->txn;
    struct lp_str key;
    lp_rc rc = t != NULL ? LP_OK : lp_cat_begin(lp_store_catalog(v->st), &t, err);
    if (rc != LP_OK) {
        return rc;
    }
    rc = lp_cat_stream(t, id, &v->pack, &ret->group, &key, err);
    if (rc == LP_OK) {
        ret->id = id;
        ret->hash = lp_xxh128(key.p, key.n);
        rc = lp_arena_str(&v->names, key, ret_key) ? LP_OK : over_budget(err);
    }
    if (t != v->txn) {
        lp_cat_end(t);
    }
    return rc;
}

static lp_rc
read_stream(struct lp_view *v, uint32_t index, struct lp_vstream **ret, struct lp_err *err)
{
    struct lp_vstream *s = lp_arena_zalloc(&v->names, sizeof(*s));
    struct lp_str key;
    lp_rc rc = LP_OK;
    if (s == NULL) {
        return over_budget(err);
    }
    if (index < v->nstored) {
        rc = read_stored(v, lp_idset_at(&v->ids, index), s, &key, err);
    } else {
        s->hash = v->heads[index - v->nstored].hash;
        key = v->heads[index - v->nstored].key;
    }
    if (rc == LP_OK) {
        rc = lp_stream_key_parse(key, &v->names, &s->key, err);
    }
    *ret = s;
    return rc == LP_ERR_LIMIT ? over_budget(err) : rc;
}

/* With the lock held. */
static _Atomic(struct lp_vstream *) *
shelf_of(struct lp_view *v, uint32_t index)
{
    lp_view_shelf *place = &v->shelves[index / LP_VIEW_SHELF];
    _Atomic(struct lp_vstream *) *shelf = atomic_load_explicit(place, memory_order_relaxed);
    if (shelf == NULL) {
        shelf = lp_calloc(LP_VIEW_SHELF, sizeof(*shelf));
        atomic_store_explicit(place, shelf, memory_order_release);
    }
    return shelf;
}

lp_rc
lp_view_stream(struct lp_view *v, uint32_t index, const struct lp_vstream **ret, struct lp_err *err)
{
    LP_ASSERT(index < lp_view_nstreams(v));
    _Atomic(struct lp_vstream *) *shelf =
        atomic_load_explicit(&v->shelves[index / LP_VIEW_SHELF], memory_order_acquire);
    struct lp_vstream *s =
        shelf != NULL ? atomic_load_explicit(&shelf[index % LP_VIEW_SHELF], memory_order_acquire) : NULL;
    lp_rc rc = LP_OK;
    if (s == NULL) {
        lp_lock(&v->mu);
        shelf = shelf_of(v, index);
        s = atomic_load_explicit(&shelf[index % LP_VIEW_SHELF], memory_order_relaxed);
        if (s == NULL) {
            rc = read_stream(v, index, &s, err);
        }
        if (rc == LP_OK) {
            atomic_store_explicit(&shelf[index % LP_VIEW_SHELF], s, memory_order_release);
        }
        lp_unlock(&v->mu);
    }
    *ret = s;
    return rc;
}

lp_rc
lp_view_find(struct lp_view *v, struct lp_hash128 hash, uint32_t ret[2], struct lp_err *err)
{
    struct lp_cat_txn *t = v->txn;
    uint64_t id, group;
    ret[0] = ret[1] = LP_NO_STREAM;
    if (v->nbuckets > 0) {
        uint32_t at = v->buckets[bucket_of(v, hash)];
        ret[1] = at > 0 ? v->nstored + at - 1 : LP_NO_STREAM;
    }
    lp_rc rc = t != NULL ? LP_OK : lp_cat_begin(lp_store_catalog(v->st), &t, err);
    if (rc != LP_OK) {
        return rc;
    }
    rc = lp_cat_find_stream(t, hash, &id, &group, err);
    if (rc == LP_OK && lp_idset_has(&v->ids, id)) {
        ret[0] = (uint32_t)lp_idset_rank(&v->ids, id);
    }
    if (t != v->txn) {
        lp_cat_end(t);
    }
    return rc == LP_ERR_NOT_FOUND ? LP_OK : rc;
}
