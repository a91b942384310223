/*
 * seg_pages.c - the stream table of a segment that is open: its pages and keys, read when somebody asks.
 *
 * Versions 1 and 2 have one table of all streams by rising id (STRM, RUNS): it is read at opening and cut
 * into one page for each group.
 *
 * Invariants: groups rise by id; a group's blocks follow each other, as do its pages; the pages of a group
 * rise by id and do not overlap; every run lies inside a block of its page's group. Pages are published by
 * one compare-and-swap and are immutable from then on.
 */
#include <string.h>

#include "base/bytes.h"
#include "base/hash.h"
#include "store/block_int.h"
#include "store/keep.h"
#include "store/seg_int.h"

/* Of versions 1 and 2. */
struct lp_seg_strm {
    uint64_t *ids;   /* of each stream of STRM: blocks name their streams by their place there */
    uint32_t *place; /* of each: its number in the order of the pages */
};

/* --- groups --- */

static lp_rc
read_groups(struct lp_seg *s, struct lp_err *err)
{
    char *raw;
    size_t n;
    lp_rc rc = lp_seg_load(s, "GRPS", &raw, &n, err);
    if (rc != LP_OK) {
        return rc;
    }
    struct lp_rd rd = lp_rd_of(lp_str_of(raw, n));
    uint64_t count = lp_rd_varint(&rd);
    bool bad = rd.bad || count > lp_rd_left(&rd) / 9;
    s->ngroups = bad ? 0 : (uint32_t)count;
    s->groups = lp_calloc(s->ngroups, sizeof(*s->groups));
    for (uint32_t i = 0; i < s->ngroups; i++) {
        s->groups[i].id = lp_rd_u64(&rd);
        (void)lp_rd_lpstr(&rd);
        bad = bad || (i > 0 && s->groups[i - 1].id >= s->groups[i].id);
    }
    bad = bad || rd.bad || lp_rd_left(&rd) != 0;
    lp_free(raw);
    return bad ? lp_seg_corrupt(s, "group list is malformed", err) : LP_OK;
}

/* Which blocks are each group's. */
static bool
place_blocks(struct lp_seg *s)
{
    for (uint32_t i = 0; i < s->nblocks; i++) {
        uint32_t g = s->blocks[i].group;
        if (g >= s->ngroups || (i > 0 && g < s->blocks[i - 1].group)) {
            return false;
        }
        if (s->groups[g].nblocks++ == 0) {
            s->groups[g].first_block = i;
        }
    }
    return true;
}

/* --- versions 1 and 2 --- */

static lp_rc
read_runs(struct lp_seg *s, struct lp_foot_run **ret, struct lp_err *err)
{
    char *raw;
    size_t n;
    lp_rc rc = lp_seg_load(s, "RUNS", &raw, &n, err);
    if (rc != LP_OK) {
        return rc;
    }
    struct lp_rd rd = lp_rd_of(lp_str_of(raw, n));
    s->nruns = n / LP_RUNS_ROW_BYTES;
    struct lp_foot_run *runs = *ret = lp_calloc(s->nruns, sizeof(*runs));
    bool bad = n % LP_RUNS_ROW_BYTES != 0;
    for (size_t i = 0; i < s->nruns; i++) {
        struct lp_foot_run *r = &runs[i];
        r->block = lp_rd_u32(&rd);
        r->first = lp_rd_u32(&rd);
        r->rows = lp_rd_u32(&rd);
        r->min_ns = (int64_t)lp_rd_u64(&rd);
        r->max_ns = (int64_t)lp_rd_u64(&rd);
        bad = bad || r->block >= s->nblocks || r->rows < 1 || r->first >= s->blocks[r->block].rows ||
              r->rows > s->blocks[r->block].rows - r->first;
    }
    lp_free(raw);
    return bad ? lp_seg_corrupt(s, "run list out of range", err) : LP_OK;
}

static lp_rc
read_streams(struct lp_seg *s, struct lp_foot_stream **ret, struct lp_err *err)
{
    char *raw;
    size_t n;
    lp_rc rc = lp_seg_load(s, "STRM", &raw, &n, err);
    if (rc != LP_OK) {
        return rc;
    }
    struct lp_rd rd = lp_rd_of(lp_str_of(raw, n));
    uint64_t count = lp_rd_varint(&rd), run = 0;
    bool bad =
        rd.bad || count > lp_rd_left(&rd) / LP_STRM_ROW_BYTES || lp_rd_left(&rd) != count * LP_STRM_ROW_BYTES;
    s->nstreams = bad ? 0 : (size_t)count;
    struct lp_foot_stream *streams = *ret = lp_calloc(s->nstreams, sizeof(*streams));
    for (size_t i = 0; i < s->nstreams; i++) {
        struct lp_foot_stream *st = &streams[i];
        st->id = lp_rd_u64(&rd);
        st->min_ns = (int64_t)lp_rd_u64(&rd);
        st->max_ns = (int64_t)lp_rd_u64(&rd);
        st->rows = lp_rd_u32(&rd);
        st->first_run = lp_rd_u32(&rd);
        st->runs = lp_rd_u32(&rd);
        st->group = lp_rd_u32(&rd);
        bad = bad || (i > 0 && st[-1].id >= st->id) || st->first_run != run || st->runs < 1 ||
              st->runs > s->nruns - run || st->group >= s->ngroups;
        run += bad ? 0 : st->runs;
    }
    lp_free(raw);
    return bad || run != s->nruns ? lp_seg_corrupt(s, "stream table out of range", err) : LP_OK;
}

/* A page of each group that has streams, as large as it is going to be, but empty. */
static void
make_pages(struct lp_seg *s, const struct lp_foot_stream *streams)
{
    uint32_t *nstreams = lp_calloc(s->ngroups, sizeof(*nstreams)),
             *nruns = lp_calloc(s->ngroups, sizeof(*nruns));
    for (size_t i = 0; i < s->nstreams; i++) {
        nstreams[streams[i].group]++;
        nruns[streams[i].group] += streams[i].runs;
    }
    for (uint32_t g = 0; g < s->ngroups; g++) {
        s->npages += nstreams[g] > 0;
    }
    s->pages = lp_calloc(s->npages, sizeof(*s->pages));
    s->page_slots = lp_calloc(s->npages, sizeof(*s->page_slots));
    for (uint32_t g = 0, at = 0; g < s->ngroups; g++) {
        s->groups[g].first_page = at;
        s->groups[g].npages = nstreams[g] > 0;
        if (nstreams[g] > 0) {
            struct lp_seg_page *p = lp_page_new(g, nstreams[g], nruns[g]);
            p->nstreams = p->nruns = 0;
            atomic_init(&s->page_slots[at++], p);
        }
    }
    lp_free(nstreams);
    lp_free(nruns);
}

/* Puts a stream and its runs at the end of its group's page. */
static bool
add_stream(const struct lp_seg *s, const struct lp_foot_stream *st, const struct lp_foot_run *runs)
{
    uint32_t number = s->groups[st->group].first_page;
    struct lp_seg_page *p = atomic_load(&s->page_slots[number]);
    struct lp_seg_page_head *h = &s->pages[number];
    struct lp_foot_stream *to = &p->streams[p->nstreams++];
    bool ok = true;
    *to = *st;
    to->first_run = p->nruns;
    for (uint32_t k = 0; k < st->runs; k++) {
        const struct lp_foot_run *r = &runs[st->first_run + k];
        ok = ok && s->blocks[r->block].group == st->group &&
             (k == 0 || r[-1].block < r->block || (r[-1].block == r->block && r[-1].first < r->first));
        p->runs[p->nruns++] = *r;
    }
    if (p->nstreams == 1) {
        *h = (struct lp_seg_page_head){
            .group = st->group, .first_id = st->id, .min_ns = st->min_ns, .max_ns = st->max_ns};
    }
    h->nstreams = p->nstreams;
    h->nruns = p->nruns;
    h->last_id = st->id;
    h->min_ns = LP_MIN(h->min_ns, st->min_ns);
    h->max_ns = LP_MAX(h->max_ns, st->max_ns);
    return ok;
}

/* What indexes into STRM mean. */
static void
note_places(struct lp_seg *s, const struct lp_foot_stream *streams)
{
    uint32_t *next = lp_calloc(s->ngroups, sizeof(*next));
    for (uint32_t g = 0, at = 0; g < s->ngroups; g++) {
        next[g] = at;
        at += s->groups[g].npages > 0 ? s->pages[s->groups[g].first_page].nstreams : 0;
    }
    s->strm = lp_malloc(sizeof(*s->strm));
    s->strm->ids = lp_malloc(s->nstreams * sizeof(*s->strm->ids));
    s->strm->place = lp_malloc(s->nstreams * sizeof(*s->strm->place));
    for (size_t i = 0; i < s->nstreams; i++) {
        s->strm->ids[i] = streams[i].id;
        s->strm->place[i] = next[streams[i].group]++;
    }
    lp_free(next);
}

static lp_rc
read_tables(struct lp_seg *s, struct lp_err *err)
{
    struct lp_foot_run *runs = NULL;
    struct lp_foot_stream *streams = NULL;
    lp_rc rc = read_runs(s, &runs, err);
    rc = rc == LP_OK ? read_streams(s, &streams, err) : rc;
    if (rc == LP_OK) {
        bool ok = true;
        make_pages(s, streams);
        for (size_t i = 0; i < s->nstreams; i++) {
            ok = add_stream(s, &streams[i], runs) && ok;
        }
        note_places(s, streams);
        rc = ok ? LP_OK : lp_seg_corrupt(s, "runs do not fit the blocks", err);
    }
    lp_free(runs);
    lp_free(streams);
    return rc;
}

/* --- version 3 --- */

/* A section in pieces: stored as it is. */
static const struct lp_seg_section *
in_pieces(const struct lp_seg *s, const char id[4])
{
    const struct lp_seg_section *sec = lp_seg_section(s, id);
    return sec != NULL && sec->codec == LP_CODEC_STORED && sec->bytes == sec->raw_bytes ? sec : NULL;
}

static lp_rc
read_index(struct lp_seg *s, struct lp_err *err)
{
    const struct lp_seg_section *pages = in_pieces(s, "STPG"), *keys = in_pieces(s, "SKEY");
    struct lp_seg_index x;
    char *raw;
    size_t n;
    if (pages == NULL || keys == NULL) {
        return lp_seg_corrupt(s, "a footer section is missing", err);
    }
    lp_rc rc = lp_seg_load(s, "STIX", &raw, &n, err);
    if (rc != LP_OK) {
        return rc;
    }
    rc = lp_index_parse(lp_str_of(raw, n), s->blocks, s->nblocks, pages->bytes, keys->bytes, &x, err);
    lp_free(raw);
    if (rc != LP_OK) {
        return lp_err_prefix(err, rc, "segment %s", s->path);
    }
    s->groups = x.groups;
    s->ngroups = x.ngroups;
    s->pages = x.pages;
    s->npages = x.npages;
    s->keys = x.keys;
    s->nkeys = x.nkeys;
    s->nstreams = x.nstreams;
    s->nruns = x.nruns;
    s->page_slots = lp_calloc(s->npages, sizeof(*s->page_slots));
    return LP_OK;
}

/* A piece of a section, decoded into fresh memory. */
static lp_rc
load_piece(const struct lp_seg *s, const char id[4], const struct lp_seg_piece *p, char **ret,
           struct lp_err *err)
{
    const struct lp_seg_section *sec = lp_seg_section(s, id);
    struct lp_codec *c = lp_codec_new();
    char *stored = lp_codec_scratch(c, p->bytes), *raw = NULL;
    lp_rc rc = lp_io_pread(s->io, s->fd, stored, p->bytes, sec->off + p->off, err);
    if (rc == LP_OK && lp_crc32c(0, stored, p->bytes) != p->crc) {
        rc = lp_corrupt(err, "checksum of a piece of section %.4s differs", id);
    }
    if (rc == LP_OK) {
        raw = lp_malloc(p->raw_bytes);
        rc = lp_codec_decode(c, p->codec, lp_str_of(stored, p->bytes), raw, p->raw_bytes, err);
    }
    lp_codec_free(c);
    if (rc != LP_OK) {
        lp_free(raw);
        return lp_err_prefix(err, rc, "segment %s", s->path);
    }
    *ret = raw;
    return LP_OK;
}

static lp_rc
load_page(const struct lp_seg *s, uint32_t page, struct lp_seg_page **ret, struct lp_err *err)
{
    const struct lp_seg_page_head *h = &s->pages[page];
    char *raw;
    lp_rc rc = load_piece(s, "STPG", &h->piece, &raw, err);
    if (rc != LP_OK) {
        return rc;
    }
    rc = lp_page_parse(h, &s->groups[h->group], s->blocks, lp_str_of(raw, h->piece.raw_bytes), ret, err);
    lp_free(raw);
    return rc == LP_OK ? rc : lp_err_prefix(err, rc, "segment %s", s->path);
}

/* Publishes a page whose memory is counted, or frees it where another thread was first. */
static const struct lp_seg_page *
publish(struct lp_seg *s, uint32_t page, struct lp_seg_page *mine)
{
    struct lp_seg_page *have = NULL;
    if (atomic_compare_exchange_strong(&s->page_slots[page], &have, mine)) {
        return mine;
    }
    lp_unkeep(lp_page_memory(mine));
    lp_free(mine);
    return have;
}

/* --- the whole --- */

lp_rc
lp_seg_open_pages(struct lp_seg *s, struct lp_err *err)
{
    if (s->version >= 3) {
        return read_index(s, err);
    }
    lp_rc rc = read_groups(s, err);
    if (rc == LP_OK && !place_blocks(s)) {
        rc = lp_seg_corrupt(s, "blocks are not in the order of their groups", err);
    }
    return rc == LP_OK ? read_tables(s, err) : rc;
}

void
lp_seg_free_pages(struct lp_seg *s)
{
    for (uint32_t i = 0; s->page_slots != NULL && i < s->npages; i++) {
        struct lp_seg_page *p = atomic_load(&s->page_slots[i]);
        lp_unkeep(p != NULL && s->strm == NULL ? lp_page_memory(p) : 0);
        lp_free(p);
    }
    if (s->strm != NULL) {
        lp_free(s->strm->ids);
        lp_free(s->strm->place);
        lp_free(s->strm);
    }
    lp_free(s->page_slots);
    lp_free(s->keys);
    lp_free(s->pages);
    lp_free(s->groups);
}

size_t
lp_seg_pages_memory(const struct lp_seg *s)
{
    size_t n = s->ngroups * sizeof(*s->groups) + s->npages * (sizeof(*s->pages) + sizeof(*s->page_slots)) +
               s->nkeys * sizeof(*s->keys);
    for (uint32_t i = 0; i < s->npages && s->strm != NULL; i++) {
        n += lp_page_memory(atomic_load(&s->page_slots[i]));
    }
    return n + (s->strm != NULL ? s->nstreams * (sizeof(*s->strm->ids) + sizeof(*s->strm->place)) : 0);
}

uint32_t
lp_seg_find_group(const struct lp_seg *s, uint64_t group_id)
{
    uint32_t lo = 0, hi = s->ngroups;
    while (lo < hi) {
        uint32_t mid = lo + (hi - lo) / 2;
        if (s->groups[mid].id < group_id) {
            lo = mid + 1;
        } else {
            hi = mid;
        }
    }
    return lo < s->ngroups && s->groups[lo].id == group_id ? lo : UINT32_MAX;
}

lp_rc
lp_seg_page(struct lp_seg *s, uint32_t page, const struct lp_seg_page **ret, struct lp_err *err)
{
    struct lp_seg_page *mine;
    LP_ASSERT(page < s->npages);
    *ret = atomic_load(&s->page_slots[page]);
    if (*ret != NULL) {
        return LP_OK;
    }
    lp_rc rc = load_page(s, page, &mine, err);
    if (rc == LP_OK) {
        lp_keep_always(lp_page_memory(mine));
        *ret = publish(s, page, mine);
    }
    return rc;
}

lp_rc
lp_seg_page_once(struct lp_seg *s, uint32_t page, const struct lp_seg_page **ret,
                 struct lp_seg_page **ret_own, struct lp_err *err)
{
    struct lp_seg_page *mine;
    LP_ASSERT(page < s->npages);
    *ret = atomic_load(&s->page_slots[page]);
    *ret_own = NULL;
    if (*ret != NULL) {
        return LP_OK;
    }
    lp_rc rc = load_page(s, page, &mine, err);
    if (rc == LP_OK && lp_keep(lp_page_memory(mine))) {
        *ret = publish(s, page, mine);
    } else if (rc == LP_OK) {
        *ret = *ret_own = mine;
    }
    return rc;
}

void
lp_seg_drop_pages(struct lp_seg *s)
{
    for (uint32_t i = 0; s->strm == NULL && i < s->npages; i++) {
        struct lp_seg_page *p = atomic_exchange(&s->page_slots[i], NULL);
        lp_unkeep(p != NULL ? lp_page_memory(p) : 0);
        lp_free(p);
    }
}

/* The page of a group that may hold the id, by halving; UINT32_MAX: none does. */
static uint32_t
find_page(const struct lp_seg *s, const struct lp_seg_group *g, uint64_t id)
{
    uint32_t lo = g->first_page, hi = g->first_page + g->npages;
    while (lo < hi) {
        uint32_t mid = lo + (hi - lo) / 2;
        if (s->pages[mid].last_id < id) {
            lo = mid + 1;
        } else {
            hi = mid;
        }
    }
    return lo < g->first_page + g->npages && s->pages[lo].first_id <= id ? lo : UINT32_MAX;
}

lp_rc
lp_seg_stream(struct lp_seg *s, uint64_t group_id, uint64_t id, const struct lp_foot_stream **ret,
              const struct lp_foot_run **ret_runs, struct lp_err *err)
{
    uint32_t group = lp_seg_find_group(s, group_id);
    uint32_t number = group != UINT32_MAX ? find_page(s, &s->groups[group], id) : UINT32_MAX;
    const struct lp_seg_page *p;
    *ret = NULL;
    if (number == UINT32_MAX) {
        return LP_OK;
    }
    lp_rc rc = lp_seg_page(s, number, &p, err);
    if (rc != LP_OK) {
        return rc;
    }
    uint32_t lo = 0, hi = p->nstreams;
    while (lo < hi) {
        uint32_t mid = lo + (hi - lo) / 2;
        if (p->streams[mid].id < id) {
            lo = mid + 1;
        } else {
            hi = mid;
        }
    }
    if (lo < p->nstreams && p->streams[lo].id == id) {
        *ret = &p->streams[lo];
        *ret_runs = &p->runs[p->streams[lo].first_run];
    }
    return LP_OK;
}

lp_rc
lp_seg_block_runs(struct lp_seg *s, uint32_t block, struct lp_block *b, struct lp_codec *c,
                  const struct lp_block_run **ret, uint32_t *ret_n, struct lp_err *err)
{
    LP_ASSERT(lp_block_head(b)->number == block);
    lp_rc rc = lp_block_name_runs(b, c, s->strm != NULL ? s->strm->ids : NULL, s->nstreams, ret, err);
    *ret_n = lp_block_head(b)->runs;
    return rc == LP_OK ? rc : lp_err_prefix(err, rc, "segment %016llx", (unsigned long long)s->id);
}

/* --- keys --- */

/* Versions 1 and 2: all of them. */
static lp_rc
old_keys(struct lp_seg *s, struct lp_arena *ar, struct lp_str **ret, struct lp_err *err)
{
    char *raw;
    size_t n;
    struct lp_str kept;
    lp_rc rc = lp_seg_load(s, "SKEY", &raw, &n, err);
    if (rc != LP_OK) {
        return rc;
    }
    struct lp_str *keys = lp_arena_array(ar, s->nstreams, sizeof(*keys));
    bool ok = keys != NULL && lp_arena_str(ar, lp_str_of(raw, n), &kept);
    lp_free(raw);
    if (!ok) {
        return lp_err_set(err, LP_ERR_LIMIT, "no memory left for a footer section of %zu bytes", n);
    }
    struct lp_rd rd = lp_rd_of(kept);
    for (size_t i = 0; i < s->nstreams; i++) {
        keys[s->strm->place[i]] = lp_rd_lpstr(&rd);
    }
    if (rd.bad || lp_rd_left(&rd) != 0) {
        return lp_seg_corrupt(s, "stream keys do not match the stream table", err);
    }
    *ret = keys;
    return LP_OK;
}

static size_t
streams_of(const struct lp_seg *s, uint32_t first_page, uint32_t npages)
{
    size_t n = 0;
    for (uint32_t i = first_page; i < first_page + npages; i++) {
        n += s->pages[i].nstreams;
    }
    return n;
}

/* The keys of one piece of SKEY. */
static lp_rc
piece_keys(struct lp_seg *s, const struct lp_seg_keys_head *h, struct lp_arena *ar, struct lp_str *keys,
           struct lp_err *err)
{
    char *raw;
    lp_rc rc = load_piece(s, "SKEY", &h->piece, &raw, err);
    if (rc == LP_OK) {
        rc = lp_keys_parse(lp_str_of(raw, h->piece.raw_bytes), ar, keys,
                           streams_of(s, h->first_page, h->npages), err);
        lp_free(raw);
        rc = rc == LP_OK ? rc : lp_err_prefix(err, rc, "segment %s", s->path);
    }
    return rc;
}

lp_rc
lp_seg_page_keys(struct lp_seg *s, uint32_t first, struct lp_arena *ar, struct lp_str **ret,
                 uint32_t *ret_pages, struct lp_err *err)
{
    LP_ASSERT(first < s->npages);
    struct lp_seg_keys_head all = {.npages = s->npages};
    const struct lp_seg_keys_head *h = s->strm != NULL ? &all : s->keys;
    struct lp_str *keys = NULL;
    lp_rc rc = LP_OK;
    while (first >= h->first_page + h->npages) {
        h++; /* pieces are few */
    }
    if (s->strm != NULL) {
        rc = old_keys(s, ar, &keys, err);
    } else {
        keys = lp_arena_array(ar, streams_of(s, h->first_page, h->npages), sizeof(*keys));
        rc = keys != NULL
                 ? piece_keys(s, h, ar, keys, err)
                 : lp_err_set(err, LP_ERR_LIMIT, "no memory left for the keys of a segment's streams");
    }
    if (rc == LP_OK) {
        *ret = keys + streams_of(s, h->first_page, first - h->first_page);
        *ret_pages = h->first_page + h->npages - first;
    }
    return rc;
}

lp_rc
lp_seg_keys(struct lp_seg *s, struct lp_arena *ar, struct lp_str **ret, struct lp_err *err)
{
    lp_rc rc = LP_OK;
    if (s->strm != NULL) {
        return old_keys(s, ar, ret, err);
    }
    struct lp_str *keys = lp_arena_array(ar, s->nstreams, sizeof(*keys));
    if (keys == NULL) {
        return lp_err_set(err, LP_ERR_LIMIT, "no memory left for the keys of a segment's streams");
    }
    size_t at = 0;
    for (uint32_t i = 0; i < s->nkeys && rc == LP_OK; i++) {
        rc = piece_keys(s, &s->keys[i], ar, keys + at, err);
        at += streams_of(s, s->keys[i].first_page, s->keys[i].npages);
    }
    *ret = keys;
    return rc;
}
