/*
 * seal_plan.c - orders a generation's rows: groups, streams inside groups, times inside streams; cuts them
 * into blocks.
 *
 * Arrival order among equal times is the order of batches in the generation and of rows in a batch: the sort
 * is stable. Nothing is copied but pointers: 16 bytes a row.
 */
#include "store/seal_plan.h"

#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"

struct stream {
    uint64_t id, group_id;
    uint32_t gen_index; /* in the generation */
    uint32_t group;     /* in foot.groups */
    bool is_new;
    struct lp_str key;
    struct lp_hash128 hash;
    size_t first, rows; /* in order[] */
};

/* Groups whose ids were looked up or given in this plan. */
struct known_group {
    struct lp_hash128 hash; /* of the group key */
    uint64_t id;            /* 0: free place */
};

struct planner {
    struct lp_seal_plan *plan;
    struct lp_seal_memo *memo;
    struct known_group *groups; /* open addressing */
    size_t ngroups, groups_cap;
    size_t new_groups_cap;
    const struct lp_gen *g;
    struct lp_cat_txn *txn;
    struct lp_cat_counters next;
    struct stream *streams;
    size_t nstreams; /* from the sort on they stand as in foot.streams */
    uint32_t *place; /* generation stream -> streams[], UINT32_MAX without rows */
    struct lp_block_row *order;
    size_t nrows;
    uint32_t *foot_ticket; /* generation ticket -> foot.tickets */
    size_t runs_cap, blocks_cap;
};

static lp_rc
no_memory(struct lp_err *err)
{
    return lp_err_set(err, LP_ERR_NOMEM, "no memory to plan a seal");
}

/* --- identities --- */

static struct known_group *
group_place(const struct planner *p, struct lp_hash128 hash)
{
    size_t at = hash.lo & (p->groups_cap - 1);
    while (p->groups[at].id != 0 && !lp_hash128_eq(p->groups[at].hash, hash)) {
        at = (at + 1) & (p->groups_cap - 1);
    }
    return &p->groups[at];
}

static void
grow_groups(struct planner *p)
{
    struct known_group *old = p->groups;
    size_t cap = p->groups_cap;
    p->groups_cap = cap ? cap * 2 : 64;
    p->groups = lp_calloc(p->groups_cap, sizeof(*p->groups));
    for (size_t i = 0; i < cap; i++) {
        if (old[i].id != 0) {
            *group_place(p, old[i].hash) = old[i];
        }
    }
    lp_free(old);
}

static lp_rc
new_group(struct planner *p, struct lp_str key, uint64_t *ret, struct lp_err *err)
{
    struct lp_seal_plan *plan = p->plan;
    if (plan->nnew_groups == p->new_groups_cap) {
        p->new_groups_cap = p->new_groups_cap ? p->new_groups_cap * 2 : 16;
        plan->new_groups = lp_realloc(plan->new_groups, p->new_groups_cap * sizeof(*plan->new_groups));
    }
    struct lp_foot_group *ng = &plan->new_groups[plan->nnew_groups++];
    *ng = (struct lp_foot_group){.id = p->next.next_group++};
    *ret = ng->id;
    return lp_arena_str(&plan->ar, key, &ng->key) ? LP_OK : no_memory(err);
}

static lp_rc
group_of(struct planner *p, const struct lp_stream_key *key, uint64_t *ret, struct lp_err *err)
{
    struct lp_buf b;
    lp_buf_init(&b, SIZE_MAX);
    lp_group_key(key, &b);
    struct lp_str gk = lp_buf_view(&b);
    if (p->ngroups * 2 >= p->groups_cap) {
        grow_groups(p);
    }
    struct known_group *k = group_place(p, lp_xxh128(gk.p, gk.n));
    lp_rc rc = LP_OK;
    if (k->id == 0) {
        rc = lp_cat_find_group(p->txn, gk, &k->id, err);
        rc = rc == LP_ERR_NOT_FOUND ? new_group(p, gk, &k->id, err) : rc;
        k->hash = lp_xxh128(gk.p, gk.n);
        p->ngroups++;
    }
    *ret = k->id;
    lp_buf_clear(&b);
    return rc;
}

/* The group of a stream that no generation before had, and its id unless it is new. */
static lp_rc
identify(struct planner *p, struct stream *s, struct lp_err *err)
{
    struct lp_arena ar;
    struct lp_stream_key key;
    lp_rc rc = lp_cat_find_stream(p->txn, s->hash, &s->id, &s->group_id, err);
    s->is_new = rc == LP_ERR_NOT_FOUND;
    if (!s->is_new) {
        return rc;
    }
    lp_arena_init(&ar, 1 << 20, 0);
    rc = lp_stream_key_parse(s->key, &ar, &key, err);
    if (rc == LP_OK) {
        rc = group_of(p, &key, &s->group_id, err);
    }
    lp_arena_clear(&ar);
    return rc;
}

static int
by_hash(const void *va, const void *vb)
{
    const struct stream *a = *(const struct stream *const *)va, *b = *(const struct stream *const *)vb;
    if (a->hash.hi != b->hash.hi) {
        return a->hash.hi < b->hash.hi ? -1 : 1;
    }
    return (a->hash.lo > b->hash.lo) - (a->hash.lo < b->hash.lo);
}

static int
by_group_and_key(const void *va, const void *vb)
{
    const struct stream *a = *(const struct stream *const *)va, *b = *(const struct stream *const *)vb;
    if (a->group_id != b->group_id) {
        return a->group_id < b->group_id ? -1 : 1;
    }
    return lp_str_cmp(a->key, b->key);
}

/* New streams, among these n, are numbered by group and key: what they have in common makes runs of ids in
 * the catalog's postings. */
static void
number_new(struct planner *p, struct stream **v, size_t n)
{
    struct lp_seal_plan *plan = p->plan;
    size_t fresh = 0;
    for (size_t i = 0; i < n; i++) {
        if (v[i]->is_new) {
            v[fresh++] = v[i];
        }
    }
    if (fresh > 1) {
        qsort(v, fresh, sizeof(struct stream *), by_group_and_key);
    }
    for (size_t i = 0; i < fresh; i++) {
        v[i]->id = p->next.next_stream++;
        plan->new_streams[plan->nnew_streams++] =
            (struct lp_cat_new_stream){v[i]->id, v[i]->group_id, v[i]->hash, v[i]->key};
    }
}

#define FINDS_AHEAD 8

/* Streams that the memo does not know, in the order in which the catalog has them: each of its rows is read
 * once. */
static lp_rc
identify_strangers(struct planner *p, struct lp_err *err)
{
    struct stream **strangers = lp_malloc(p->nstreams * sizeof(struct stream *));
    size_t n = 0;
    lp_rc rc = LP_OK;
    for (size_t i = 0; i < p->nstreams; i++) {
        struct stream *s = &p->streams[i];
        if (i + FINDS_AHEAD < p->nstreams) {
            lp_seal_memo_expect(p->memo, s[FINDS_AHEAD].hash);
        }
        if (!lp_seal_memo_find(p->memo, s->hash, &s->id, &s->group_id)) {
            strangers[n++] = s;
        }
    }
    if (n > 1) {
        qsort(strangers, n, sizeof(struct stream *), by_hash);
    }
    for (size_t i = 0; i < n && rc == LP_OK; i++) {
        rc = identify(p, strangers[i], err);
    }
    if (rc == LP_OK) {
        number_new(p, strangers, n);
    }
    lp_free(strangers);
    return rc;
}

/* Rows of each of the generation's streams, without batches that were dropped with a lost partition. */
static uint32_t *
count_rows(const struct lp_gen *g)
{
    uint32_t *rows = lp_calloc(g->nstreams, sizeof(*rows));
    for (const struct lp_batch *b = g->first; b != NULL; b = b->next) {
        for (size_t i = 0; i < b->nstreams && !b->dropped; i++) {
            rows[b->gen_streams[i]] += b->streams[i].rows;
        }
    }
    return rows;
}

static lp_rc
identify_all(struct planner *p, struct lp_err *err)
{
    p->streams = lp_calloc(p->g->nstreams, sizeof(*p->streams));
    p->place = lp_malloc(p->g->nstreams * sizeof(*p->place));
    p->plan->new_streams = lp_arena_array(&p->plan->ar, p->g->nstreams, sizeof(*p->plan->new_streams));
    uint32_t *rows = count_rows(p->g);
    lp_rc rc = p->plan->new_streams != NULL ? LP_OK : no_memory(err);
    for (uint32_t i = 0; i < p->g->nstreams; i++) {
        if (rows[i] == 0) {
            continue; /* all of it was dropped: it leaves no trace */
        }
        const struct lp_gen_stream *gs = lp_gen_stream(p->g, i);
        p->streams[p->nstreams++] =
            (struct stream){.gen_index = i, .key = gs->key, .hash = gs->hash, .rows = rows[i]};
    }
    lp_free(rows);
    return rc == LP_OK ? identify_strangers(p, err) : rc;
}

/* --- order --- */

/* What streams are sorted by. */
struct place {
    uint64_t group_id, id;
    uint32_t index;
};

/* One pass over eight bits of the ids, or of the groups' ids; false where they are all the same. */
static bool
sort_pass(const struct place *from, struct place *to, size_t n, bool by_group, unsigned shift)
{
    size_t at[257] = {0};
    for (size_t i = 0; i < n; i++) {
        at[((by_group ? from[i].group_id : from[i].id) >> shift & 255) + 1]++;
    }
    for (unsigned i = 1; i < 257; i++) {
        if (at[i] == n) {
            return false;
        }
        at[i] += at[i - 1];
    }
    for (size_t i = 0; i < n; i++) {
        to[at[(by_group ? from[i].group_id : from[i].id) >> shift & 255]++] = from[i];
    }
    return true;
}

/* By group, in it by id. With 100,000 streams comparing them pair by pair was a tenth of the seal. */
static void
sort_streams(struct planner *p)
{
    size_t n = p->nstreams;
    uint64_t bits[2] = {0, 0}; /* that occur in ids, and in those of groups */
    struct place *from = lp_malloc(n * sizeof(*from)), *to = lp_malloc(n * sizeof(*to));
    struct stream *sorted = lp_malloc(n * sizeof(*sorted));
    for (size_t i = 0; i < n; i++) {
        from[i] = (struct place){p->streams[i].group_id, p->streams[i].id, (uint32_t)i};
        bits[0] |= from[i].id;
        bits[1] |= from[i].group_id;
    }
    for (unsigned pass = 0; pass < 16; pass++) {
        bool by_group = pass >= 8;
        if (bits[by_group] >> 8 * (pass & 7) != 0 && sort_pass(from, to, n, by_group, 8 * (pass & 7))) {
            struct place *t = from;
            from = to;
            to = t;
        }
    }
    for (size_t i = 0; i < n; i++) {
        sorted[i] = p->streams[from[i].index];
    }
    lp_free(from);
    lp_free(to);
    lp_free(p->streams);
    p->streams = sorted;
}

/* Where each stream's rows begin. From here on rows counts those that are in place. */
static void
place_streams(struct planner *p)
{
    for (size_t i = 0; i < p->nstreams; i++) {
        p->place[p->streams[i].gen_index] = (uint32_t)i;
        p->streams[i].first = p->nrows;
        p->nrows += p->streams[i].rows;
        p->streams[i].rows = 0;
    }
}

static void
place_rows(struct planner *p)
{
    p->order = lp_malloc(p->nrows * sizeof(*p->order));
    for (const struct lp_batch *b = p->g->first; b != NULL; b = b->next) {
        for (size_t i = 0; i < b->nrows && !b->dropped; i++) {
            const struct lp_row *r = &b->rows[i];
            struct stream *s = &p->streams[p->place[b->gen_streams[r->stream]]];
            p->order[s->first + s->rows++] = (struct lp_block_row){r, p->foot_ticket[b->ticket]};
        }
    }
}

static void
sort_by_time(struct lp_block_row *rows, size_t n, struct lp_block_row *tmp)
{
    struct lp_block_row *src = rows, *dst = tmp;
    for (size_t width = 1; width < n; width *= 2) {
        for (size_t lo = 0; lo < n; lo += 2 * width) {
            size_t i = lo, mid = LP_MIN(lo + width, n), j = mid, hi = LP_MIN(lo + 2 * width, n);
            for (size_t k = lo; k < hi; k++) {
                bool left = i < mid && (j >= hi || src[i].row->time_ns <= src[j].row->time_ns);
                dst[k] = left ? src[i++] : src[j++];
            }
        }
        struct lp_block_row *t = src;
        src = dst;
        dst = t;
    }
    if (src != rows) {
        memcpy(rows, src, n * sizeof(*rows));
    }
}

static void
sort_streams_rows(struct planner *p)
{
    struct lp_block_row *tmp = NULL;
    for (size_t i = 0; i < p->nstreams; i++) {
        struct lp_block_row *rows = p->order + p->streams[i].first;
        size_t n = p->streams[i].rows, k = 1;
        while (k < n && rows[k - 1].row->time_ns <= rows[k].row->time_ns) {
            k++;
        }
        if (k < n) { /* most arrive in order: only the others pay */
            tmp = tmp ? tmp : lp_malloc(p->nrows * sizeof(*tmp));
            sort_by_time(rows, n, tmp);
        }
    }
    lp_free(tmp);
}

/* --- footer --- */

static lp_rc
plan_tickets(struct planner *p, struct lp_err *err)
{
    struct lp_footer *f = &p->plan->foot;
    const struct lp_gen *g = p->g;
    bool *used = lp_calloc(g->ntickets, sizeof(*used));
    for (const struct lp_batch *b = g->first; b != NULL; b = b->next) {
        used[b->ticket] = !b->dropped && b->nrows > 0;
    }
    f->tickets = lp_arena_array(&p->plan->ar, g->ntickets, sizeof(*f->tickets));
    p->foot_ticket = lp_malloc(g->ntickets * sizeof(*p->foot_ticket));
    for (size_t i = 0; i < g->ntickets && f->tickets != NULL; i++) {
        const struct lp_gen_ticket *t = &g->tickets[i];
        if (used[i]) {
            p->foot_ticket[i] = (uint32_t)f->ntickets;
            f->tickets[f->ntickets++] = (struct lp_foot_ticket){
                t->source->log, t->source->partition, g->id, t->first, t->next, t->epoch, 0};
        }
    }
    lp_free(used);
    return f->tickets != NULL ? LP_OK : no_memory(err);
}

/* One interval per source over all its tickets, those without rows included. */
static lp_rc
plan_positions(struct planner *p, struct lp_err *err)
{
    struct lp_footer *f = &p->plan->foot;
    const struct lp_gen *g = p->g;
    f->positions = NULL;
    for (size_t i = 0; i < g->ntickets; i++) {
        const struct lp_gen_ticket *t = &g->tickets[i];
        size_t k = 0;
        while (k < f->npositions &&
               (f->positions[k].log != t->source->log || f->positions[k].partition != t->source->partition)) {
            k++;
        }
        if (t->dropped) {
            continue;
        }
        if (k == f->npositions) {
            size_t cap = f->npositions;
            f->positions = lp_arena_grow(&p->plan->ar, f->positions, &cap, k + 1, sizeof(*f->positions));
            if (f->positions == NULL) {
                return no_memory(err);
            }
            f->positions[f->npositions++] = (struct lp_foot_ticket){
                t->source->log, t->source->partition, g->id, t->first, t->next, t->epoch, t->anchor};
        }
        f->positions[k].first = LP_MIN(f->positions[k].first, t->first);
        if (t->next >= f->positions[k].next) {
            f->positions[k].next = t->next;
            f->positions[k].anchor = t->anchor;
        }
        f->positions[k].epoch = LP_MAX(f->positions[k].epoch, t->epoch);
    }
    return LP_OK;
}

/* The identities of the batches that are stored with this generation. */
static lp_rc
plan_ids(struct planner *p, struct lp_err *err)
{
    size_t n = 0;
    for (const struct lp_batch *b = p->g->first; b != NULL; b = b->next) {
        n += b->dropped ? 0 : b->nids;
    }
    struct lp_batch_id *ids = lp_arena_array(&p->plan->ar, n, sizeof(*ids));
    n = 0;
    for (const struct lp_batch *b = p->g->first; b != NULL && ids != NULL; b = b->next) {
        for (size_t i = 0; i < b->nids && !b->dropped; i++) {
            ids[n++] = b->ids[i];
        }
    }
    p->plan->foot.ids = ids;
    p->plan->foot.nids = n;
    return ids != NULL ? LP_OK : no_memory(err);
}

/* Footer streams, as the sorted ones, and their groups. */
static lp_rc
plan_streams(struct planner *p, struct lp_err *err)
{
    struct lp_seal_plan *plan = p->plan;
    struct lp_footer *f = &plan->foot;
    f->streams = lp_arena_array(&plan->ar, p->nstreams, sizeof(*f->streams));
    f->groups = lp_arena_array(&plan->ar, p->nstreams, sizeof(*f->groups));
    plan->hashes = lp_arena_array(&plan->ar, p->nstreams, sizeof(*plan->hashes));
    if (f->streams == NULL || f->groups == NULL || plan->hashes == NULL) {
        return no_memory(err);
    }
    for (size_t i = 0; i < p->nstreams; i++) {
        struct stream *s = &p->streams[i];
        if (f->ngroups == 0 || f->groups[f->ngroups - 1].id != s->group_id) {
            f->groups[f->ngroups++] = (struct lp_foot_group){.id = s->group_id};
        }
        s->group = (uint32_t)f->ngroups - 1;
        plan->hashes[i] = s->hash;
        f->streams[i] = (struct lp_foot_stream){
            .id = s->id, .min_ns = LP_TIME_MAX, .max_ns = LP_TIME_MIN, .group = s->group, .key = s->key};
    }
    f->nstreams = p->nstreams;
    return LP_OK;
}

static lp_rc
plan_group_keys(struct planner *p, struct lp_err *err)
{
    struct lp_footer *f = &p->plan->foot;
    struct lp_buf b;
    struct lp_arena ar;
    lp_buf_init(&b, SIZE_MAX);
    lp_arena_init(&ar, 16 << 20, 0);
    lp_rc rc = LP_OK;
    for (size_t i = 0; i < p->nstreams && rc == LP_OK; i++) {
        struct lp_foot_group *fg = &f->groups[p->streams[i].group];
        if (fg->key.p != NULL) {
            continue;
        }
        struct lp_stream_key key;
        lp_buf_reset(&b);
        lp_arena_clear(&ar);
        rc = lp_stream_key_parse(p->streams[i].key, &ar, &key, err);
        if (rc == LP_OK) {
            lp_group_key(&key, &b);
            rc = lp_arena_str(&p->plan->ar, lp_buf_view(&b), &fg->key) ? LP_OK : no_memory(err);
        }
    }
    lp_buf_clear(&b);
    lp_arena_clear(&ar);
    return rc;
}

/* --- blocks --- */

static uint64_t
row_bytes(const struct lp_row *r)
{
    return r->line_bytes + (r->meta != NULL ? lp_get_u32(r->meta) : 0);
}

struct cutter {
    struct lp_block_src *blk; /* the open block, NULL if none */
    uint64_t bytes;
};

static bool
open_block(struct planner *p, struct cutter *c, uint32_t group, const struct lp_block_row *rows)
{
    struct lp_footer *f = &p->plan->foot;
    if (f->nblocks == p->blocks_cap) {
        p->blocks_cap = p->blocks_cap ? p->blocks_cap * 2 : 64;
        f->blocks = lp_realloc(f->blocks, p->blocks_cap * sizeof(*f->blocks));
        p->plan->blocks = lp_realloc(p->plan->blocks, p->blocks_cap * sizeof(*p->plan->blocks));
    }
    c->blk = &p->plan->blocks[f->nblocks];
    c->bytes = 0;
    *c->blk = (struct lp_block_src){.number = (uint32_t)f->nblocks, .group = group, .rows = rows};
    f->blocks[f->nblocks++] =
        (struct lp_foot_block){.group = group, .min_ns = LP_TIME_MAX, .max_ns = LP_TIME_MIN};
    return f->nblocks <= UINT32_MAX;
}

/* Takes rows[0..n) of one stream into the open block as one run. */
static void
add_run(struct planner *p, struct cutter *c, struct stream *s, const struct lp_block_row *rows, uint32_t n)
{
    struct lp_footer *f = &p->plan->foot;
    if (f->nruns == p->runs_cap) {
        p->runs_cap = p->runs_cap ? p->runs_cap * 2 : 256;
        f->runs = lp_realloc(f->runs, p->runs_cap * sizeof(*f->runs));
    }
    f->runs[f->nruns++] = (struct lp_foot_run){.block = c->blk->number,
                                               .first = c->blk->nrows,
                                               .rows = n,
                                               .min_ns = rows[0].row->time_ns,
                                               .max_ns = rows[n - 1].row->time_ns};
    struct lp_foot_stream *fs = &f->streams[s - p->streams];
    struct lp_foot_block *fb = &f->blocks[c->blk->number];
    fs->rows += n;
    fs->runs++;
    fs->min_ns = LP_MIN(fs->min_ns, rows[0].row->time_ns);
    fs->max_ns = LP_MAX(fs->max_ns, rows[n - 1].row->time_ns);
    fb->rows += n;
    fb->runs++;
    fb->min_ns = LP_MIN(fb->min_ns, rows[0].row->time_ns);
    fb->max_ns = LP_MAX(fb->max_ns, rows[n - 1].row->time_ns);
    c->blk->nrows += n;
    c->blk->nruns++;
}

/* Cuts one stream's rows into runs of the open block and of as many more as it takes. */
static void
cut_stream(struct planner *p, struct cutter *c, struct stream *s)
{
    const struct lp_block_row *rows = p->order + s->first;
    for (size_t i = 0; i < s->rows;) {
        if (c->blk == NULL || c->blk->group != s->group || c->blk->nrows == LP_BLOCK_ROWS_MAX ||
            c->bytes + row_bytes(rows[i].row) > LP_BLOCK_BYTES_MAX) {
            open_block(p, c, s->group, rows + i);
        }
        uint32_t n = 0;
        while (i + n < s->rows && c->blk->nrows + n < LP_BLOCK_ROWS_MAX) {
            uint64_t bytes = row_bytes(rows[i + n].row);
            if (c->blk->nrows + n > 0 && c->bytes + bytes > LP_BLOCK_BYTES_MAX) {
                break;
            }
            c->bytes += bytes;
            p->plan->foot.blocks[c->blk->number].line_bytes += rows[i + n].row->line_bytes;
            n++;
        }
        add_run(p, c, s, rows + i, n);
        i += n;
    }
}

/* Runs were made stream by stream, by rising block: so they stand as footer and blocks want them. */
static lp_rc
place_runs(struct planner *p, struct lp_err *err)
{
    struct lp_footer *f = &p->plan->foot;
    struct lp_block_run *runs = lp_arena_array(&p->plan->ar, f->nruns, sizeof(*runs));
    if (runs == NULL) {
        return no_memory(err);
    }
    uint32_t at = 0;
    for (size_t i = 0; i < f->nstreams; i++) {
        f->streams[i].first_run = at;
        for (uint32_t k = 0; k < f->streams[i].runs; k++, at++) {
            const struct lp_foot_run *r = &f->runs[at];
            struct lp_block_src *blk = &p->plan->blocks[r->block];
            runs[at] = (struct lp_block_run){f->streams[i].id, r->first, r->rows, r->min_ns, r->max_ns};
            blk->runs = blk->runs ? blk->runs : &runs[at];
        }
    }
    LP_ASSERT(at == f->nruns);
    return LP_OK;
}

static lp_rc
plan_all(struct planner *p, struct lp_err *err)
{
    lp_rc rc = lp_cat_counters(p->txn, &p->next, err);
    rc = rc == LP_OK ? identify_all(p, err) : rc;
    rc = rc == LP_OK ? plan_tickets(p, err) : rc;
    rc = rc == LP_OK ? plan_positions(p, err) : rc;
    rc = rc == LP_OK ? plan_ids(p, err) : rc;
    if (rc != LP_OK) {
        return rc;
    }
    sort_streams(p);
    place_streams(p);
    place_rows(p);
    sort_streams_rows(p);
    rc = plan_streams(p, err);
    rc = rc == LP_OK ? plan_group_keys(p, err) : rc;
    struct cutter c = {NULL, 0};
    for (size_t i = 0; i < p->nstreams && rc == LP_OK; i++) {
        cut_stream(p, &c, &p->streams[i]);
    }
    return rc == LP_OK ? place_runs(p, err) : rc;
}

lp_rc
lp_seal_plan_new(struct lp_catalog *cat, struct lp_seal_memo *memo, const struct lp_gen *g,
                 struct lp_seal_plan **ret, struct lp_err *err)
{
    struct lp_seal_plan *plan = lp_calloc(1, sizeof(*plan));
    lp_arena_init(&plan->ar, SIZE_MAX, LP_ARENA_CHUNK_MAX);
    struct planner p = {.plan = plan, .memo = memo, .g = g};
    lp_rc rc = lp_cat_begin(cat, &p.txn, err);
    if (rc == LP_OK) {
        rc = plan_all(&p, err);
        lp_cat_end(p.txn);
    }
    plan->foot.generation = plan->foot.first_generation = g->id;
    plan->foot.rows = p.nrows;
    plan->rows = p.order;
    lp_free(p.streams);
    lp_free(p.place);
    lp_free(p.foot_ticket);
    lp_free(p.groups);
    if (rc != LP_OK) {
        lp_seal_plan_free(plan);
        return rc;
    }
    *ret = plan;
    return LP_OK;
}

void
lp_seal_plan_free(struct lp_seal_plan *p)
{
    if (p != NULL) {
        lp_free(p->rows);
        lp_free(p->foot.blocks);
        lp_free(p->foot.runs);
        lp_free(p->foot.cell_ids);
        lp_free(p->blocks);
        lp_free(p->new_groups);
        lp_arena_clear(&p->ar);
        lp_free(p);
    }
}

void
lp_seal_plan_learn(const struct lp_seal_plan *p, struct lp_seal_memo *memo)
{
    for (size_t i = 0; i < p->foot.nstreams; i++) {
        const struct lp_foot_stream *s = &p->foot.streams[i];
        lp_seal_memo_note(memo, p->hashes[i], s->id, p->foot.groups[s->group].id);
    }
}
