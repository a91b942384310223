/*
 * view_parts.c - the parts of a view: which blocks, and which batches of the head, may hold rows of the
 * selected streams in a range.
 *
 * Which groups are selected, and how much of them, the catalog's postings of groups tell. Every row of a
 * block is of one group, so where a group is selected wholly, or for a good part, its blocks are parts as
 * they are, and the stream table is not read; which rows of a block are whose, it says itself, and is asked
 * once a row of it may count. Of groups with few selected streams, the stream tables say which rows are
 * wanted. Opening segments happens inside the read transaction, so that the remover (which checks
 * transactions first, pins second) cannot take a file between the look-up and the pin.
 */
#include <stdlib.h>
#include <string.h>

#include "store/view_int.h"

#define HEAD_BATCHES_A_PART 64
#define HEAD_BYTES_A_PART (4u << 20)
#define FEW_STREAMS 32 /* their groups are looked up one by one */
#define FEW_GROUPS 64  /* their segments are looked up group by group */
#define MOST_PART                                                                                            \
    8 /* one stream in so many of a group: looking at all rows costs less than finding those                 \
       */

bool
lp_view_is_damage(lp_rc rc)
{
    return rc == LP_ERR_CORRUPT || rc == LP_ERR_UNSUPPORTED || rc == LP_ERR_NOT_FOUND;
}

/* --- groups --- */

static void
add_group(struct lp_view *v, uint64_t id, bool most)
{
    if (v->ngroups > 0 && v->groups[v->ngroups - 1].id == id) {
        return;
    }
    if (v->ngroups == v->groups_cap) {
        v->groups_cap = v->groups_cap ? v->groups_cap * 2 : 64;
        v->groups = lp_realloc(v->groups, v->groups_cap * sizeof(*v->groups));
    }
    struct lp_cutoff_range cut = {LP_TIME_MIN, LP_TIME_MIN};
    if (v->cutoffs != NULL) {
        cut = lp_cutoffs_range(v->cutoffs, id);
    }
    v->groups[v->ngroups++] = (struct lp_view_group){id, most, cut};
}

/* Of few streams each is asked for its group. */
static lp_rc
groups_of_few(struct lp_view *v, struct lp_err *err)
{
    struct lp_ids groups = {NULL, 0, 0};
    lp_rc rc = LP_OK;
    for (uint64_t id = 0; rc == LP_OK && (id = lp_idset_next(&v->ids, id)) != UINT64_MAX; id++) {
        uint64_t group;
        rc = lp_cat_stream_group(v->txn, id, &group, err);
        if (rc == LP_OK) {
            lp_ids_add(&groups, group);
        }
    }
    lp_ids_sort(&groups);
    for (size_t i = 0; i < groups.n && rc == LP_OK; i++) {
        add_group(v, groups.v[i], false);
    }
    lp_ids_clear(&groups);
    return rc;
}

struct members {
    struct lp_view *v;
    uint64_t n, selected;
    struct lp_err *err;
    lp_rc rc;
};

static void
count_members(void *arg, uint64_t first, uint64_t end)
{
    struct members *m = arg;
    m->n += end - first;
    m->selected += lp_idset_rank(&m->v->ids, end) - lp_idset_rank(&m->v->ids, first);
}

static bool
consider_group(void *arg, uint64_t group, const struct lp_cat_posting *p)
{
    struct members *m = arg;
    m->n = m->selected = 0;
    m->rc = lp_cat_posting_runs(m->v->txn, p, m->v->ids.limit, count_members, m, m->err);
    if (m->rc == LP_OK && m->selected > 0) {
        add_group(m->v, group, m->selected >= m->n / MOST_PART);
    }
    return m->rc == LP_OK;
}

static lp_rc
find_groups(struct lp_view *v, struct lp_err *err)
{
    struct members m = {.v = v, .err = err, .rc = LP_OK};
    uint32_t tenant;
    if (v->nstored <= FEW_STREAMS) {
        return groups_of_few(v, err);
    }
    lp_rc rc = lp_cat_tenant(v->txn, v->tenant, &tenant, err);
    rc = rc == LP_OK ? lp_cat_groups(v->txn, tenant, consider_group, &m, err) : rc;
    return m.rc != LP_OK ? m.rc : rc;
}

/* --- what has expired --- */

struct lp_cutoff_range
lp_view_cut(const struct lp_view *v, const struct lp_seg *seg, const struct lp_view_group *g)
{
    return lp_cutoffs_reach(v->cutoffs, seg->created_ns) ? g->cut
                                                         : (struct lp_cutoff_range){LP_TIME_MIN, LP_TIME_MIN};
}

static lp_rc
read_cut(struct lp_view *v, uint64_t id, int64_t *ret_ns, struct lp_err *err)
{
    struct lp_arena ar;
    struct lp_stream_key k;
    struct lp_str key;
    uint64_t group;
    lp_arena_init(&ar, 1 << 20, 4096);
    lp_rc rc = lp_cat_stream(v->txn, id, &v->pack, &group, &key, err);
    rc = rc == LP_OK ? lp_stream_key_parse(key, &ar, &k, err) : rc;
    if (rc == LP_OK) {
        *ret_ns = lp_cutoffs_stream(v->cutoffs, &k);
    }
    lp_arena_clear(&ar);
    return rc;
}

lp_rc
lp_view_stream_cut(struct lp_view *v, uint64_t id, int64_t *ret_ns, struct lp_err *err)
{
    uint32_t index = (uint32_t)lp_idset_rank(&v->ids, id);
    if (v->stream_cuts == NULL) {
        v->stream_cuts = lp_malloc(v->nstored * sizeof(*v->stream_cuts));
        for (uint32_t i = 0; i < v->nstored; i++) {
            v->stream_cuts[i] = LP_TIME_NONE;
        }
    }
    lp_rc rc = LP_OK;
    if (v->stream_cuts[index] == LP_TIME_NONE) {
        rc = read_cut(v, id, &v->stream_cuts[index], err);
    }
    *ret_ns = v->stream_cuts[index];
    return rc;
}

/* --- segments --- */

static bool
note_entry(void *arg, const struct lp_cat_entry *e)
{
    lp_ids_add(arg, e->segment);
    return true;
}

struct overlap {
    const struct lp_view *v;
    int64_t from_ns, to_ns;
    struct lp_ids *ids;
};

static bool
note_segment(void *arg, const struct lp_cat_segment *s)
{
    struct overlap *o = arg;
    bool wanted =
        o->v->only_last == 0 || (s->generation >= o->v->only_first && s->first_generation <= o->v->only_last);
    if (wanted && s->max_ns >= o->from_ns && s->min_ns < o->to_ns) {
        lp_ids_add(o->ids, s->id);
    }
    return true;
}

/* The segments in which a selected stream's group has rows in the range; with many groups, those with any
 * rows in it. */
static lp_rc
find_segments(struct lp_view *v, int64_t from_ns, int64_t to_ns, struct lp_ids *ret, struct lp_err *err)
{
    lp_rc rc = LP_OK;
    if (v->ngroups > FEW_GROUPS || v->only_last > 0) {
        struct overlap o = {v, from_ns, to_ns, ret};
        rc = lp_cat_segments(v->txn, note_segment, &o, err);
    } else {
        for (size_t i = 0; i < v->ngroups && rc == LP_OK; i++) {
            rc = lp_cat_entries(v->txn, v->groups[i].id, from_ns, to_ns, note_entry, ret, err);
        }
    }
    lp_ids_sort(ret);
    return rc;
}

lp_rc
lp_view_segments(struct lp_view *v, int64_t from_ns, int64_t to_ns, size_t *ret_damaged, struct lp_err *err)
{
    struct lp_ids ids = {NULL, 0, 0};
    LP_ASSERT(v->txn != NULL && v->segs == NULL);
    *ret_damaged = 0;
    lp_rc rc = find_groups(v, err);
    rc = rc == LP_OK ? find_segments(v, from_ns, to_ns, &ids, err) : rc;
    v->segs = lp_calloc(ids.n, sizeof(struct lp_seg *));
    if (rc == LP_OK) {
        lp_store_expect_segments(v->st, ids.v, ids.n);
    }
    for (size_t i = 0; i < ids.n && rc == LP_OK; i++) {
        struct lp_seg *seg;
        rc = lp_store_segment(v->st, ids.v[i], &seg, err);
        if (rc == LP_OK) {
            v->segs[v->nsegs++] = seg;
        } else if (lp_view_is_damage(rc)) {
            (*ret_damaged)++; /* the rest is served; the caller warns */
            rc = LP_OK;
        }
    }
    lp_ids_clear(&ids);
    return rc;
}

lp_rc
lp_view_each_group(const struct lp_view *v, struct lp_seg *seg, lp_view_group_fn fn, void *arg,
                   struct lp_err *err)
{
    lp_rc rc = LP_OK;
    if (v->ngroups < seg->ngroups / 8) {
        for (size_t i = 0; i < v->ngroups && rc == LP_OK; i++) {
            uint32_t at = lp_seg_find_group(seg, v->groups[i].id);
            rc = at != UINT32_MAX ? fn(arg, seg, &v->groups[i], &seg->groups[at], err) : LP_OK;
        }
        return rc;
    }
    for (size_t i = 0, k = 0; i < v->ngroups && k < seg->ngroups && rc == LP_OK;) {
        if (v->groups[i].id == seg->groups[k].id) {
            rc = fn(arg, seg, &v->groups[i++], &seg->groups[k++], err);
        } else if (v->groups[i].id < seg->groups[k].id) {
            i++;
        } else {
            k++;
        }
    }
    return rc;
}

/* --- parts of segments --- */

/* Can rows of [min, max] that have not expired be in the range? */
static bool
in_range(int64_t from_ns, int64_t to_ns, int64_t cut_ns, int64_t min_ns, int64_t max_ns)
{
    return max_ns >= LP_MAX(from_ns, cut_ns) && LP_MAX(min_ns, cut_ns) < to_ns;
}

struct planner {
    struct lp_view *v;
    uint32_t seg_number;
    int64_t from_ns, to_ns;
    bool runs;
    struct lp_cutoff_range cut; /* of the group in hand */
    struct lp_view_runs found;
    lp_rc damage; /* of pages that could not be read; its text is in the caller's err */
};

static struct lp_part *
add_part(struct lp_view *v)
{
    if (v->nparts == v->parts_cap) {
        v->parts_cap = v->parts_cap ? v->parts_cap * 2 : 64;
        v->parts = lp_realloc(v->parts, v->parts_cap * sizeof(*v->parts));
    }
    struct lp_part *p = &v->parts[v->nparts++];
    *p = (struct lp_part){.min_ns = LP_TIME_MAX, .max_ns = LP_TIME_MIN, .from_ns = LP_TIME_MIN};
    return p;
}

static struct lp_part *
add_block(struct lp_view *v, uint32_t seg_number, uint32_t block)
{
    struct lp_part *p = add_part(v);
    struct lp_seg *seg = v->segs[seg_number];
    p->seg = seg;
    p->seg_number = seg_number;
    p->block = p->number = block;
    p->generation = seg->generation;
    p->bytes = seg->blocks[block].line_bytes;
    return p;
}

static void
own_blocks(const struct planner *p, struct lp_seg *seg, const struct lp_seg_group *sg)
{
    for (uint32_t i = sg->first_block; i < sg->first_block + sg->nblocks; i++) {
        const struct lp_foot_block *b = &seg->blocks[i];
        if (in_range(p->from_ns, p->to_ns, p->cut.lo_ns, b->min_ns, b->max_ns)) {
            struct lp_part *part = add_block(p->v, p->seg_number, i);
            part->own = true;
            part->from_ns = p->cut.lo_ns;
            part->cut = b->min_ns < p->cut.lo_ns;
            part->rows = b->rows;
            part->min_ns = b->min_ns;
            part->max_ns = b->max_ns;
        }
    }
}

static lp_rc
add_runs(struct planner *p, const struct lp_seg_page *page, const struct lp_foot_stream *fs,
         struct lp_err *err)
{
    struct lp_view_runs *out = &p->found;
    uint32_t stream = (uint32_t)lp_idset_rank(&p->v->ids, fs->id);
    int64_t cut_ns = p->cut.lo_ns;
    if (fs->min_ns < p->cut.hi_ns && p->cut.lo_ns < p->cut.hi_ns) {
        lp_rc rc = lp_view_stream_cut(p->v, fs->id, &cut_ns, err);
        if (rc != LP_OK) {
            return rc;
        }
    }
    for (uint32_t k = 0; k < fs->runs; k++) {
        const struct lp_foot_run *r = &page->runs[fs->first_run + k];
        if (!in_range(p->from_ns, p->to_ns, cut_ns, r->min_ns, r->max_ns)) {
            continue;
        }
        if (out->n == out->cap) {
            out->cap = out->cap ? out->cap * 2 : 64;
            out->v = lp_realloc(out->v, out->cap * sizeof(*out->v));
        }
        out->v[out->n++] =
            (struct lp_view_run){r->block, {stream, r->first, r->rows, r->min_ns, r->max_ns, cut_ns}};
    }
    return LP_OK;
}

/* In steps that double, then by halving. */
uint32_t
lp_view_seek(const struct lp_seg_page *page, uint32_t from, uint64_t id)
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

static lp_rc
page_runs(struct planner *p, const struct lp_seg_page *page, struct lp_err *err)
{
    lp_rc rc = LP_OK;
    uint32_t at = 0;
    uint64_t id = page->nstreams > 0 ? page->streams[0].id : 0;
    while (rc == LP_OK && at < page->nstreams && (id = lp_idset_next(&p->v->ids, id)) != UINT64_MAX) {
        at = lp_view_seek(page, at, id);
        if (at == page->nstreams) {
            return LP_OK;
        }
        if (page->streams[at].id == id) {
            rc = add_runs(p, page, &page->streams[at++], err);
            id++;
        } else {
            id = page->streams[at].id;
        }
    }
    return rc;
}

/* Whether streams of the group have to be asked one by one what has expired of them in these blocks. */
static bool
cut_by_stream(const struct planner *p, const struct lp_seg *seg, const struct lp_seg_group *sg)
{
    bool any = false;
    if (p->cut.lo_ns == p->cut.hi_ns) {
        return false;
    }
    for (uint32_t i = sg->first_block; i < sg->first_block + sg->nblocks && !any; i++) {
        any = seg->blocks[i].min_ns < p->cut.hi_ns && seg->blocks[i].max_ns >= p->cut.lo_ns;
    }
    return any;
}

/* A damaged page costs its own streams. */
static lp_rc
plan_group(void *arg, struct lp_seg *seg, const struct lp_view_group *g, const struct lp_seg_group *sg,
           struct lp_err *err)
{
    struct planner *p = arg;
    p->cut = lp_view_cut(p->v, seg, g);
    if (g->most && !p->runs && !cut_by_stream(p, seg, sg)) {
        own_blocks(p, seg, sg);
        return LP_OK;
    }
    for (uint32_t i = sg->first_page; i < sg->first_page + sg->npages; i++) {
        const struct lp_seg_page_head *h = &seg->pages[i];
        const struct lp_seg_page *page;
        struct lp_seg_page *own = NULL;
        if (!in_range(p->from_ns, p->to_ns, p->cut.lo_ns, h->min_ns, h->max_ns) ||
            lp_idset_next(&p->v->ids, h->first_id) > h->last_id) {
            continue;
        }
        lp_rc rc = lp_seg_page_once(seg, i, &page, &own, err);
        if (lp_view_is_damage(rc)) {
            p->damage = rc;
            continue;
        }
        rc = rc == LP_OK ? page_runs(p, page, err) : rc;
        lp_free(own);
        if (rc != LP_OK) {
            return rc;
        }
    }
    return LP_OK;
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

/* One part for each block that has wanted runs. */
static lp_rc
parts_of_runs(const struct planner *plan, struct lp_err *err)
{
    struct lp_view *v = plan->v;
    const struct lp_view_runs *runs = &plan->found;
    if (runs->n > 1) {
        qsort(runs->v, runs->n, sizeof(*runs->v), by_block);
    }
    struct lp_part_run *kept = lp_arena_array(&v->ar, runs->n, sizeof(*kept));
    struct lp_part *p = NULL;
    for (size_t i = 0; i < runs->n && kept != NULL; i++) {
        const struct lp_view_run *r = &runs->v[i];
        kept[i] = r->run;
        if (p == NULL || p->block != r->block) {
            p = add_block(v, plan->seg_number, r->block);
            p->runs = &kept[i];
        }
        p->nruns++;
        p->cut = p->cut || r->run.min_ns < r->run.from_ns;
        p->rows += r->run.rows;
        p->min_ns = LP_MIN(p->min_ns, r->run.min_ns);
        p->max_ns = LP_MAX(p->max_ns, r->run.max_ns);
    }
    return kept != NULL ? LP_OK : lp_err_set(err, LP_ERR_NOMEM, "no memory for a query");
}

static lp_rc
stored_parts(struct lp_view *v, int64_t from_ns, int64_t to_ns, bool runs, size_t *ret_damaged,
             struct lp_err *err)
{
    lp_rc rc = lp_view_segments(v, from_ns, to_ns, ret_damaged, err);
    for (size_t i = 0; i < v->nsegs && rc == LP_OK; i++) {
        struct planner p = {
            .v = v, .seg_number = (uint32_t)i, .from_ns = from_ns, .to_ns = to_ns, .runs = runs};
        rc = lp_view_each_group(v, v->segs[i], plan_group, &p, err);
        rc = rc == LP_OK ? parts_of_runs(&p, err) : rc;
        *ret_damaged += p.damage != LP_OK;
        lp_free(p.found.v);
    }
    return rc;
}

/* --- parts of the head --- */

/* Whether the batch has rows of a selected stream in the range; widens the part by them. */
static bool
batch_counts(const struct lp_batch *b, const uint32_t *map, int64_t from_ns, int64_t to_ns, struct lp_part *p)
{
    bool any = false;
    for (size_t i = 0; i < b->nstreams; i++) {
        const struct lp_batch_stream *s = &b->streams[i];
        if (s->rows == 0 || map[b->gen_streams[i]] == LP_NO_STREAM || s->max_ns < from_ns ||
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

/* --- all of them --- */

lp_rc
lp_view_parts(struct lp_view *v, int64_t from_ns, int64_t to_ns, bool runs, const struct lp_part **ret,
              size_t *ret_n, size_t *ret_damaged, struct lp_err *err)
{
    LP_ASSERT(v->txn != NULL);
    lp_rc rc = stored_parts(v, from_ns, to_ns, runs, ret_damaged, err);
    lp_cat_end(v->txn);
    v->txn = NULL;
    if (rc != LP_OK) {
        return rc;
    }
    if (v->only_last == 0) {
        head_parts(v, from_ns, to_ns);
    }
    *ret = v->parts;
    *ret_n = v->nparts;
    return LP_OK;
}

/* Those of one generation of the head. */
static void
head_times(const struct lp_view *v, size_t g, int64_t from_ns, int64_t to_ns, lp_view_times_fn fn, void *arg)
{
    const struct lp_head_view_gen *vg = &v->head.gens[g];
    const struct lp_batch *b = vg->nbatches > 0 ? vg->gen->first : NULL;
    for (size_t i = 0; i < vg->nbatches; i++) {
        for (size_t k = 0; k < b->nstreams && !b->dropped; k++) {
            const struct lp_batch_stream *s = &b->streams[k];
            uint32_t stream = v->gen_map[g][b->gen_streams[k]];
            if (s->rows > 0 && stream != LP_NO_STREAM && s->max_ns >= from_ns && s->min_ns < to_ns) {
                fn(arg, stream, s->min_ns, s->max_ns);
            }
        }
        b = i + 1 < vg->nbatches ? b->next : NULL;
    }
}

void
lp_view_times(const struct lp_view *v, int64_t from_ns, int64_t to_ns, lp_view_times_fn fn, void *arg)
{
    for (size_t i = 0; i < v->nparts; i++) {
        const struct lp_part *p = &v->parts[i];
        for (uint32_t k = 0; p->seg != NULL && k < p->nruns; k++) {
            const struct lp_part_run *r = &p->runs[k];
            int64_t low_ns = LP_MAX(r->min_ns, r->from_ns);
            if (r->max_ns >= LP_MAX(from_ns, r->from_ns) && low_ns < to_ns) {
                fn(arg, r->stream, low_ns, r->max_ns);
            }
        }
    }
    for (size_t g = v->first_gen; g < v->head.ngens && v->only_last == 0; g++) {
        head_times(v, g, from_ns, to_ns, fn, arg);
    }
}

void
lp_view_head_metas(const struct lp_view *v, lp_view_meta_fn fn, void *arg)
{
    static const struct lp_row unwanted;
    for (size_t g = v->first_gen; g < v->head.ngens; g++) {
        const struct lp_head_view_gen *vg = &v->head.gens[g];
        const struct lp_row **rows = lp_calloc(vg->nstreams, sizeof(*rows));
        for (uint32_t i = 0; i < vg->nstreams; i++) {
            rows[i] = v->gen_map[g][i] == LP_NO_STREAM ? &unwanted : NULL;
        }
        lp_gen_first_rows(vg->gen, vg->nbatches, rows);
        for (uint32_t i = 0; i < vg->nstreams; i++) {
            if (rows[i] != NULL && rows[i] != &unwanted) {
                fn(arg, v->gen_map[g][i], rows[i]->meta);
            }
        }
        lp_free(rows);
    }
}

void
lp_view_bind(const struct lp_view *v, struct lp_match_plan *plan)
{
    lp_match_plan_bind(plan, v->segs, v->nsegs);
}

/* The runs of a stream in one block, from the stream table. */
static lp_rc
table_runs(struct lp_view *v, const struct lp_part *part, uint32_t stream, struct lp_part *ret,
           struct lp_err *err)
{
    const struct lp_vstream *s;
    const struct lp_foot_stream *fs;
    const struct lp_foot_run *runs;
    lp_rc rc = lp_view_stream(v, stream, &s, err);
    rc = rc == LP_OK ? lp_seg_stream(part->seg, s->group, s->id, &fs, &runs, err) : rc;
    if (rc != LP_OK || fs == NULL) {
        ret->nruns = 0;
        return rc;
    }
    struct lp_part_run *kept = lp_arena_array(&v->ar, fs->runs, sizeof(*kept));
    if (kept == NULL) {
        return lp_err_set(err, LP_ERR_NOMEM, "no memory for a query");
    }
    ret->runs = kept;
    ret->nruns = 0;
    for (uint32_t i = 0; i < fs->runs; i++) {
        if (runs[i].block == part->block) {
            kept[ret->nruns++] = (struct lp_part_run){stream,         runs[i].first,  runs[i].rows,
                                                      runs[i].min_ns, runs[i].max_ns, part->from_ns};
        }
    }
    ret->own = false;
    return LP_OK;
}

lp_rc
lp_view_part_of(struct lp_view *v, const struct lp_part *part, uint32_t stream, struct lp_part *ret,
                bool *ret_any, struct lp_err *err)
{
    lp_rc rc = LP_OK;
    *ret = *part;
    *ret_any = stream != LP_NO_STREAM && (part->seg != NULL) == (stream < v->nstored);
    if (!*ret_any || part->seg == NULL) {
        return LP_OK;
    }
    if (part->own) {
        rc = table_runs(v, part, stream, ret, err);
    } else {
        uint32_t i = 0;
        while (i < part->nruns && part->runs[i].stream != stream) {
            i++;
        }
        ret->runs += i;
        for (ret->nruns = 0; i < part->nruns && part->runs[i].stream == stream; i++) {
            ret->nruns++;
        }
    }
    *ret_any = rc == LP_OK && ret->nruns > 0;
    return rc;
}
