/*
 * view.c - choosing streams and parts for a query. See view.h for the consistency argument; scanning is
 * scan.c.
 *
 * Memory of streams, runs and parts is the view's arena. The read transaction lives from lp_view_open to the
 * end of lp_view_parts; opening segments happens inside it, so that the remover (which checks transactions
 * first, pins second) cannot take a file between the look-up and the pin.
 */
#include "store/view_int.h"

#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"

#define HEAD_BATCHES_A_PART 64
#define HEAD_BYTES_A_PART (4u << 20)

lp_rc
lp_view_open(struct lp_store *st, struct lp_str tenant, struct lp_view **ret, struct lp_err *err)
{
    struct lp_view *v = lp_calloc(1, sizeof(*v));
    struct lp_cat_counters n;
    v->st = st;
    lp_arena_init(&v->ar, SIZE_MAX, 4096);
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
    lp_free(v->buckets);
    lp_free(v->streams);
    lp_free(v->by_id);
    lp_head_view_clear(&v->head);
    lp_arena_clear(&v->ar);
    lp_free(v);
}

size_t
lp_view_streams(const struct lp_view *v, const struct lp_vstream **ret)
{
    *ret = v->streams;
    return v->nstreams;
}

/* --- streams --- */

static lp_rc
over_budget(struct lp_err *err)
{
    return lp_err_set(err, LP_ERR_LIMIT,
                      "the query selects more streams than its memory can hold; add more label matchers");
}

static bool
wanted(const struct lp_view *v, const struct lp_selector *sel, const struct lp_stream_key *k)
{
    if (!lp_str_eq(k->tenant, v->tenant)) {
        return false;
    }
    if (!sel->quarantine && lp_stream_key_label(k, LP_STR(LP_QUARANTINE_LABEL)).n > 0) {
        return false;
    }
    for (size_t i = 0; i < sel->nhints; i++) {
        struct lp_str have = lp_stream_key_label(k, sel->hints[i].name);
        size_t j = 0;
        while (j < sel->hints[i].nvalues && !lp_str_eq(sel->hints[i].values[j], have)) {
            j++;
        }
        if (j == sel->hints[i].nvalues) {
            return false;
        }
    }
    return sel->match == NULL || sel->match(sel->arg, k->labels, k->nlabels);
}

static void
rehash(struct lp_view *v)
{
    size_t n = v->nbuckets ? v->nbuckets * 2 : 256;
    lp_free(v->buckets);
    v->buckets = lp_calloc(n, sizeof(*v->buckets));
    v->nbuckets = n;
    for (size_t i = 0; i < v->nstreams; i++) {
        size_t at = v->streams[i].hash.lo & (n - 1);
        while (v->buckets[at] != 0) {
            at = (at + 1) & (n - 1);
        }
        v->buckets[at] = (uint32_t)i + 1;
    }
}

static uint32_t
find_stream(const struct lp_view *v, struct lp_hash128 hash)
{
    for (size_t at = v->nbuckets ? hash.lo & (v->nbuckets - 1) : 0; v->nbuckets && v->buckets[at] != 0;
         at = (at + 1) & (v->nbuckets - 1)) {
        if (lp_hash128_eq(v->streams[v->buckets[at] - 1].hash, hash)) {
            return v->buckets[at] - 1;
        }
    }
    return UINT32_MAX;
}

/* Adds a stream if the selector wants it; *ret UINT32_MAX if not. The key is copied. */
static lp_rc
consider(struct lp_view *v, const struct lp_selector *sel, struct lp_str key, struct lp_hash128 hash,
         uint64_t id, uint64_t group, uint32_t *ret, struct lp_err *err)
{
    struct lp_stream_key k;
    struct lp_str kept;
    *ret = UINT32_MAX;
    lp_arena_clear(&v->scratch);
    lp_rc rc = lp_stream_key_parse(key, &v->scratch, &k, err);
    if (rc != LP_OK || !wanted(v, sel, &k)) {
        return rc;
    }
    if (v->ar.reserved > v->budget || !lp_arena_str(&v->ar, key, &kept)) {
        return over_budget(err);
    }
    rc = lp_stream_key_parse(kept, &v->ar, &k, err);
    if (rc != LP_OK) {
        return rc;
    }
    if ((v->nstreams + 1) * 2 > v->nbuckets) {
        rehash(v);
    }
    if (v->nstreams == v->streams_cap) {
        v->streams_cap = v->streams_cap ? v->streams_cap * 2 : 64;
        v->streams = lp_realloc(v->streams, v->streams_cap * sizeof(*v->streams));
    }
    *ret = (uint32_t)v->nstreams;
    v->streams[v->nstreams++] = (struct lp_vstream){hash, k, id, group};
    size_t at = hash.lo & (v->nbuckets - 1);
    while (v->buckets[at] != 0) {
        at = (at + 1) & (v->nbuckets - 1);
    }
    v->buckets[at] = *ret + 1;
    return LP_OK;
}

/* The streams that one hint allows: the union of its values' postings. */
static lp_rc
hint_ids(struct lp_view *v, uint32_t tenant, const struct lp_select_hint *h, struct lp_idset *ids,
         struct lp_err *err)
{
    uint32_t label;
    lp_rc rc = lp_cat_label(v->txn, tenant, h->name, &label, err);
    for (size_t i = 0; i < h->nvalues && rc == LP_OK; i++) {
        rc = lp_cat_value_ids(v->txn, tenant, label, h->values[i], ids, err);
    }
    return rc == LP_ERR_NOT_FOUND ? LP_OK : rc; /* a label never seen: no streams */
}

static lp_rc
candidates(struct lp_view *v, const struct lp_selector *sel, struct lp_idset *ids, struct lp_err *err)
{
    uint32_t tenant;
    lp_rc rc = lp_cat_tenant(v->txn, v->tenant, &tenant, err);
    if (rc == LP_ERR_NOT_FOUND) {
        return LP_OK;
    }
    rc = rc == LP_OK ? lp_cat_tenant_ids(v->txn, tenant, ids, err) : rc;
    for (size_t i = 0; i < sel->nhints && rc == LP_OK; i++) {
        struct lp_idset one;
        lp_idset_init(&one, ids->limit);
        rc = hint_ids(v, tenant, &sel->hints[i], &one, err);
        lp_idset_and(ids, &one);
        lp_idset_clear(&one);
    }
    return rc;
}

static lp_rc
select_stored(struct lp_view *v, const struct lp_selector *sel, struct lp_err *err)
{
    struct lp_idset ids;
    struct lp_cat_pack pack;
    struct lp_cat_counters n;
    lp_rc rc = lp_cat_counters(v->txn, &n, err);
    if (rc != LP_OK) {
        return rc;
    }
    lp_idset_init(&ids, n.next_stream);
    lp_cat_pack_init(&pack);
    rc = candidates(v, sel, &ids, err);
    for (uint64_t id = 0; rc == LP_OK && (id = lp_idset_next(&ids, id)) != UINT64_MAX; id++) {
        uint64_t group;
        uint32_t at;
        struct lp_str key;
        rc = lp_cat_stream(v->txn, id, &pack, &group, &key, err);
        if (rc == LP_OK) {
            rc = consider(v, sel, key, lp_xxh128(key.p, key.n), id, group, &at, err);
        }
    }
    lp_cat_pack_clear(&pack);
    lp_idset_clear(&ids);
    return rc;
}

/* Maps each stream of the head's generations to a selected stream, adding those that are only there. */
static lp_rc
select_head(struct lp_view *v, const struct lp_selector *sel, struct lp_err *err)
{
    lp_rc rc = LP_OK;
    v->gen_map = lp_calloc(v->head.ngens, sizeof(uint32_t *));
    for (size_t g = v->first_gen; g < v->head.ngens && rc == LP_OK; g++) {
        const struct lp_head_view_gen *vg = &v->head.gens[g];
        uint32_t *map = v->gen_map[g] = lp_malloc(vg->nstreams * sizeof(*map));
        for (uint32_t i = 0; i < vg->nstreams && rc == LP_OK; i++) {
            const struct lp_gen_stream *gs = lp_gen_stream(vg->gen, i);
            map[i] = find_stream(v, gs->hash);
            if (map[i] == UINT32_MAX) {
                rc = consider(v, sel, gs->key, gs->hash, 0, 0, &map[i], err);
            }
        }
    }
    return rc;
}

lp_rc
lp_view_select(struct lp_view *v, const struct lp_selector *sel, size_t budget, struct lp_err *err)
{
    LP_ASSERT(v->txn != NULL && v->nstreams == 0);
    v->budget = budget;
    lp_arena_init(&v->scratch, 1 << 20, 4096);
    lp_rc rc = select_stored(v, sel, err);
    if (rc == LP_OK) {
        rc = select_head(v, sel, err);
    }
    lp_arena_clear(&v->scratch);
    return rc;
}

/* --- parts --- */

static struct lp_part *
add_part(struct lp_view *v)
{
    if (v->nparts == v->parts_cap) {
        v->parts_cap = v->parts_cap ? v->parts_cap * 2 : 64;
        v->parts = lp_realloc(v->parts, v->parts_cap * sizeof(*v->parts));
    }
    struct lp_part *p = &v->parts[v->nparts++];
    *p = (struct lp_part){.min_ns = LP_TIME_MAX, .max_ns = LP_TIME_MIN};
    return p;
}

static int
by_group_and_id(const void *va, const void *vb)
{
    const struct lp_view_id *a = va, *b = vb;
    if (a->group != b->group) {
        return a->group < b->group ? -1 : 1;
    }
    return (a->id > b->id) - (a->id < b->id);
}

static void
index_ids(struct lp_view *v)
{
    v->by_id = lp_malloc(v->nstreams * sizeof(*v->by_id));
    for (size_t i = 0; i < v->nstreams; i++) {
        if (v->streams[i].id != 0) {
            v->by_id[v->nby_id++] = (struct lp_view_id){v->streams[i].group, v->streams[i].id, (uint32_t)i};
        }
    }
    if (v->nby_id > 1) {
        qsort(v->by_id, v->nby_id, sizeof(*v->by_id), by_group_and_id);
    }
}

static int
by_block(const void *va, const void *vb)
{
    const struct lp_view_run *a = va, *b = vb;
    if (a->block != b->block) {
        return a->block < b->block ? -1 : 1;
    }
    return (a->run.first > b->run.first) - (a->run.first < b->run.first);
}

static void
add_runs(struct lp_view_runs *out, const struct lp_seg_page *page, const struct lp_foot_stream *fs,
         uint32_t stream, int64_t from_ns, int64_t to_ns)
{
    for (uint32_t k = 0; k < fs->runs; k++) {
        const struct lp_foot_run *r = &page->runs[fs->first_run + k];
        if (r->max_ns < from_ns || r->min_ns >= to_ns) {
            continue;
        }
        if (out->n == out->cap) {
            out->cap = out->cap ? out->cap * 2 : 64;
            out->v = lp_realloc(out->v, out->cap * sizeof(*out->v));
        }
        out->v[out->n++] = (struct lp_view_run){r->block, {stream, r->first, r->rows, r->min_ns, r->max_ns}};
    }
}

/* The first of page->streams[from..) that is not below the id: in steps that double, then by halving. */
static uint32_t
seek(const struct lp_seg_page *page, uint32_t from, uint64_t id)
{
    uint32_t step = 1, lo = from, hi = from;
    while (hi < page->nstreams && page->streams[hi].id < id) {
        lo = hi + 1;
        hi = step < page->nstreams - hi ? hi + step : page->nstreams;
        step *= 2;
    }
    while (lo < hi) {
        uint32_t mid = lo + (hi - lo) / 2;
        if (page->streams[mid].id < id) {
            lo = mid + 1;
        } else {
            hi = mid;
        }
    }
    return lo;
}

/* Runs of the streams want[0..n), all of one group and by rising id, in a page. */
static void
page_runs(const struct lp_seg_page *page, const struct lp_view_id *want, size_t n, int64_t from_ns,
          int64_t to_ns, struct lp_view_runs *out)
{
    uint32_t at = 0;
    for (size_t i = 0; i < n; i++) {
        at = seek(page, at, want[i].id);
        if (at == page->nstreams) {
            return;
        }
        if (page->streams[at].id == want[i].id) {
            add_runs(out, page, &page->streams[at], want[i].stream, from_ns, to_ns);
        }
    }
}

/* Likewise in all pages of the group. A damaged page costs its own streams; its error comes back. */
static lp_rc
group_runs(struct lp_seg *seg, const struct lp_seg_group *g, const struct lp_view_id *want, size_t n,
           int64_t from_ns, int64_t to_ns, struct lp_view_runs *out, struct lp_err *err)
{
    lp_rc rc = LP_OK;
    for (uint32_t k = g->first_page; k < g->first_page + g->npages && n > 0; k++) {
        const struct lp_seg_page_head *h = &seg->pages[k];
        const struct lp_seg_page *page;
        struct lp_seg_page *own = NULL;
        size_t mine;
        for (; n > 0 && want->id < h->first_id; n--) {
            want++; /* in no page */
        }
        for (mine = 0; mine < n && want[mine].id <= h->last_id; mine++) {
        }
        if (mine > 0 && h->max_ns >= from_ns && h->min_ns < to_ns) {
            lp_rc read = lp_seg_page_once(seg, k, &page, &own, err);
            if (read == LP_OK) {
                page_runs(page, want, mine, from_ns, to_ns, out);
                lp_free(own);
            }
            rc = read != LP_OK ? read : rc;
        }
        want += mine;
        n -= mine;
    }
    return rc;
}

/* The selected streams' runs in a segment. */
static lp_rc
find_runs(const struct lp_view *v, struct lp_seg *seg, int64_t from_ns, int64_t to_ns,
          struct lp_view_runs *out, struct lp_err *err)
{
    lp_rc rc = LP_OK;
    for (size_t i = 0, n; i < v->nby_id; i += n) {
        for (n = 1; i + n < v->nby_id && v->by_id[i + n].group == v->by_id[i].group; n++) {
        }
        uint32_t g = lp_seg_find_group(seg, v->by_id[i].group);
        if (g != UINT32_MAX) {
            lp_rc read = group_runs(seg, &seg->groups[g], &v->by_id[i], n, from_ns, to_ns, out, err);
            rc = read != LP_OK ? read : rc;
        }
    }
    return rc;
}

/* One part for each block that has wanted runs. */
static lp_rc
segment_parts(struct lp_view *v, struct lp_seg *seg, int64_t from_ns, int64_t to_ns, struct lp_err *err)
{
    struct lp_view_runs runs = {NULL, 0, 0};
    lp_rc rc = find_runs(v, seg, from_ns, to_ns, &runs, err);
    if (runs.n > 1) {
        qsort(runs.v, runs.n, sizeof(*runs.v), by_block);
    }
    struct lp_part_run *kept = lp_arena_array(&v->ar, runs.n, sizeof(*kept));
    struct lp_part *p = NULL;
    for (size_t i = 0; i < runs.n && kept != NULL; i++) {
        const struct lp_view_run *r = &runs.v[i];
        kept[i] = r->run;
        if (p == NULL || p->block != r->block) {
            p = add_part(v);
            p->seg = seg;
            p->seg_number = (uint32_t)v->nsegs - 1;
            p->block = p->number = r->block;
            p->generation = seg->generation;
            p->runs = &kept[i];
            p->bytes = seg->blocks[r->block].line_bytes;
        }
        p->nruns++;
        p->rows += r->run.rows;
        p->min_ns = LP_MIN(p->min_ns, r->run.min_ns);
        p->max_ns = LP_MAX(p->max_ns, r->run.max_ns);
    }
    lp_free(runs.v);
    return kept != NULL ? rc : lp_err_set(err, LP_ERR_NOMEM, "no memory for a query");
}

static bool
note_segment(void *arg, const struct lp_cat_entry *e)
{
    lp_ids_add(arg, e->segment);
    return true;
}

/* The segments in which a selected stream's group has rows in the range. */
static lp_rc
find_segments(struct lp_view *v, int64_t from_ns, int64_t to_ns, struct lp_ids *ret, struct lp_err *err)
{
    struct lp_ids groups = {NULL, 0, 0};
    lp_rc rc = LP_OK;
    for (size_t i = 0; i < v->nstreams; i++) {
        if (v->streams[i].id != 0) {
            lp_ids_add(&groups, v->streams[i].group);
        }
    }
    lp_ids_sort(&groups);
    for (size_t i = 0; i < groups.n && rc == LP_OK; i++) {
        rc = lp_cat_entries(v->txn, groups.v[i], from_ns, to_ns, note_segment, ret, err);
    }
    lp_ids_sort(ret);
    lp_ids_clear(&groups);
    return rc;
}

static lp_rc
stored_parts(struct lp_view *v, int64_t from_ns, int64_t to_ns, size_t *ret_damaged, struct lp_err *err)
{
    struct lp_ids ids = {NULL, 0, 0};
    lp_rc rc = find_segments(v, from_ns, to_ns, &ids, err);
    v->segs = lp_calloc(ids.n, sizeof(struct lp_seg *));
    for (size_t i = 0; i < ids.n && rc == LP_OK; i++) {
        struct lp_seg *seg;
        rc = lp_store_segment(v->st, ids.v[i], &seg, err);
        if (rc == LP_OK) {
            v->segs[v->nsegs++] = seg;
            rc = segment_parts(v, seg, from_ns, to_ns, err);
        }
        if (rc == LP_ERR_CORRUPT || rc == LP_ERR_UNSUPPORTED || rc == LP_ERR_NOT_FOUND) {
            (*ret_damaged)++; /* the rest is served; the caller warns */
            rc = LP_OK;
        }
    }
    lp_ids_clear(&ids);
    return rc;
}

/* Whether the batch has rows of a selected stream in the range; widens the part by them. */
static bool
batch_counts(const struct lp_batch *b, const uint32_t *map, int64_t from_ns, int64_t to_ns, struct lp_part *p)
{
    bool any = false;
    for (size_t i = 0; i < b->nstreams; i++) {
        const struct lp_batch_stream *s = &b->streams[i];
        if (s->rows == 0 || map[b->gen_streams[i]] == UINT32_MAX || s->max_ns < from_ns ||
            s->min_ns >= to_ns) {
            continue;
        }
        any = true;
        p->rows += s->rows;
        p->min_ns = LP_MIN(p->min_ns, s->min_ns);
        p->max_ns = LP_MAX(p->max_ns, s->max_ns);
    }
    return any;
}

static void
head_parts(struct lp_view *v, int64_t from_ns, int64_t to_ns)
{
    for (size_t g = v->first_gen; g < v->head.ngens; g++) {
        const struct lp_head_view_gen *vg = &v->head.gens[g];
        struct lp_batch *b = vg->nbatches > 0 ? vg->gen->first : NULL; /* the first may be entering now */
        struct lp_part *p = NULL;
        uint32_t number = 0;
        for (size_t i = 0; i < vg->nbatches; i++) {
            if (p == NULL || p->nbatches == HEAD_BATCHES_A_PART || p->bytes >= HEAD_BYTES_A_PART) {
                v->nparts -= p != NULL && p->rows == 0; /* nothing wanted in it: its place is free */
                p = add_part(v);
                p->gen = vg;
                p->generation = vg->gen->id;
                p->number = number++;
                p->batch = b;
                p->first_batch = i;
            }
            p->bytes += batch_counts(b, v->gen_map[g], from_ns, to_ns, p) ? b->line_bytes : 0;
            p->nbatches++;
            b = i + 1 < vg->nbatches ? b->next : NULL;
        }
        v->nparts -= p != NULL && p->rows == 0;
    }
}

lp_rc
lp_view_parts(struct lp_view *v, int64_t from_ns, int64_t to_ns, const struct lp_part **ret, size_t *ret_n,
              size_t *ret_damaged, struct lp_err *err)
{
    LP_ASSERT(v->txn != NULL);
    *ret_damaged = 0;
    index_ids(v);
    lp_rc rc = stored_parts(v, from_ns, to_ns, ret_damaged, err);
    lp_cat_end(v->txn);
    v->txn = NULL;
    if (rc != LP_OK) {
        return rc;
    }
    head_parts(v, from_ns, to_ns);
    *ret = v->parts;
    *ret_n = v->nparts;
    return LP_OK;
}

void
lp_view_bind(const struct lp_view *v, struct lp_match_plan *plan)
{
    lp_match_plan_bind(plan, v->segs, v->nsegs);
}

void
lp_view_seen(const struct lp_view *v, int64_t from_ns, int64_t to_ns, bool *seen)
{
    memset(seen, 0, v->nstreams * sizeof(*seen));
    for (size_t i = 0; i < v->nparts; i++) {
        const struct lp_part *p = &v->parts[i];
        for (uint32_t k = 0; k < p->nruns; k++) {
            seen[p->runs[k].stream] |= p->runs[k].max_ns >= from_ns && p->runs[k].min_ns < to_ns;
        }
        struct lp_batch *b = p->batch;
        for (size_t n = 0; n < p->nbatches; n++) {
            const uint32_t *map = v->gen_map[p->gen - v->head.gens];
            for (size_t s = 0; s < b->nstreams; s++) {
                uint32_t at = map[b->gen_streams[s]];
                if (at != UINT32_MAX && b->streams[s].rows > 0 && !b->dropped) {
                    seen[at] |= b->streams[s].max_ns >= from_ns && b->streams[s].min_ns < to_ns;
                }
            }
            b = n + 1 < p->nbatches ? b->next : NULL;
        }
    }
}
