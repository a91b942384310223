/*
 * seg_pages.c - the stream table of a segment that is open: its pages and keys, read when somebody asks.
 *
 * Versions 1 and 2 have one table of all streams by rising id (STRM, RUNS): it is read at opening and made
 * into pages as version 3 has them, which stay in memory, compressed.
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
    uint64_t *ids;       /* of each stream of STRM: blocks name their streams by their place there */
    uint32_t *place;     /* of each: its number in the order of the pages */
    struct lp_buf pages; /* the table as version 3 stores it */
};

/* --- versions 1 and 2 --- */

static lp_rc
read_groups(const struct lp_seg *s, struct lp_footer *f, struct lp_err *err)
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
    f->ngroups = bad ? 0 : (size_t)count;
    f->groups = lp_calloc(f->ngroups, sizeof(*f->groups));
    for (size_t i = 0; i < f->ngroups; i++) {
        f->groups[i].id = lp_rd_u64(&rd);
        (void)lp_rd_lpstr(&rd);
        bad = bad || (i > 0 && f->groups[i - 1].id >= f->groups[i].id);
    }
    bad = bad || rd.bad || lp_rd_left(&rd) != 0;
    for (size_t i = 0; i < s->nblocks; i++) {
        bad =
            bad || s->blocks[i].group >= f->ngroups || (i > 0 && s->blocks[i].group < s->blocks[i - 1].group);
    }
    lp_free(raw);
    return bad ? lp_seg_corrupt(s, "groups are malformed, or blocks not in their order", err) : LP_OK;
}

static lp_rc
read_runs(const struct lp_seg *s, struct lp_footer *f, struct lp_err *err)
{
    char *raw;
    size_t n;
    lp_rc rc = lp_seg_load(s, "RUNS", &raw, &n, err);
    if (rc != LP_OK) {
        return rc;
    }
    struct lp_rd rd = lp_rd_of(lp_str_of(raw, n));
    f->nruns = n / LP_RUNS_ROW_BYTES;
    f->runs = lp_calloc(f->nruns, sizeof(*f->runs));
    bool bad = n % LP_RUNS_ROW_BYTES != 0;
    for (size_t i = 0; i < f->nruns; i++) {
        struct lp_foot_run *r = &f->runs[i];
        r->block = lp_rd_u32(&rd);
        r->first = lp_rd_u32(&rd);
        r->rows = lp_rd_u32(&rd);
        r->min_ns = (int64_t)lp_rd_u64(&rd);
        r->max_ns = (int64_t)lp_rd_u64(&rd);
        const struct lp_foot_block *b = r->block < s->nblocks ? &s->blocks[r->block] : NULL;
        bad = bad || b == NULL || r->rows < 1 || r->first >= b->rows || r->rows > b->rows - r->first ||
              LP_MAX(r->min_ns, b->min_ns) > LP_MIN(r->max_ns, b->max_ns);
    }
    lp_free(raw);
    return bad ? lp_seg_corrupt(s, "run list out of range", err) : LP_OK;
}

static lp_rc
read_streams(const struct lp_seg *s, struct lp_footer *f, struct lp_err *err)
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
    f->nstreams = bad ? 0 : (size_t)count;
    f->streams = lp_calloc(f->nstreams, sizeof(*f->streams));
    for (size_t i = 0; i < f->nstreams; i++) {
        struct lp_foot_stream *st = &f->streams[i];
        st->id = lp_rd_u64(&rd);
        st->min_ns = (int64_t)lp_rd_u64(&rd);
        st->max_ns = (int64_t)lp_rd_u64(&rd);
        st->rows = lp_rd_u32(&rd);
        st->first_run = lp_rd_u32(&rd);
        st->runs = lp_rd_u32(&rd);
        st->group = lp_rd_u32(&rd);
        bad = bad || (i > 0 && st[-1].id >= st->id) || st->first_run != run || st->runs < 1 ||
              st->runs > f->nruns - run || st->group >= f->ngroups;
        run += bad ? 0 : st->runs;
    }
    lp_free(raw);
    return bad || run != f->nruns ? lp_seg_corrupt(s, "stream table out of range", err) : LP_OK;
}

/* Whether the runs are such as pages can hold: each stream's in blocks of its group and rising; each block's
 * one behind the other. */
static bool
runs_fit(const struct lp_seg *s, const struct lp_footer *f)
{
    uint32_t *ends = lp_calloc(s->nblocks, sizeof(*ends)); /* of the last run in each block */
    bool ok = true;
    for (size_t i = 0; i < f->nstreams; i++) {
        const struct lp_foot_stream *st = &f->streams[i];
        for (uint32_t k = st->first_run; k < st->first_run + st->runs; k++) {
            const struct lp_foot_run *r = &f->runs[k];
            ok = ok && s->blocks[r->block].group == st->group && r->first >= ends[r->block] &&
                 (k == st->first_run || r[-1].block <= r->block);
            ends[r->block] = r->first + r->rows;
        }
    }
    lp_free(ends);
    return ok;
}

/* What indexes into STRM mean. */
static void
note_places(struct lp_seg_strm *strm, const struct lp_footer *f)
{
    uint32_t *next = lp_calloc(f->ngroups + 1, sizeof(*next));
    strm->ids = lp_malloc(f->nstreams * sizeof(*strm->ids));
    strm->place = lp_malloc(f->nstreams * sizeof(*strm->place));
    for (size_t i = 0; i < f->nstreams; i++) {
        next[f->streams[i].group + 1]++;
    }
    for (size_t g = 0; g < f->ngroups; g++) {
        next[g + 1] += next[g];
    }
    for (size_t i = 0; i < f->nstreams; i++) {
        strm->ids[i] = f->streams[i].id;
        strm->place[i] = next[f->streams[i].group]++;
    }
    lp_free(next);
}

static void
take_index(struct lp_seg *s, const struct lp_seg_index *x)
{
    s->groups = x->groups;
    s->ngroups = x->ngroups;
    s->pages = x->pages;
    s->npages = x->npages;
    s->keys = x->keys;
    s->nkeys = x->nkeys;
    s->nstreams = x->nstreams;
    s->nruns = x->nruns;
    s->page_slots = lp_calloc(s->npages, sizeof(*s->page_slots));
}

/* Pages as version 3 has them, of a table that was checked. */
static lp_rc
make_pages(struct lp_seg *s, const struct lp_footer *f, struct lp_err *err)
{
    struct lp_table_bytes bytes;
    struct lp_seg_index x;
    struct lp_codec *c = lp_codec_new();
    lp_buf_init(&bytes.index, LP_SECTION_BYTES_MAX);
    lp_buf_init(&bytes.pages, LP_SECTION_BYTES_MAX);
    lp_buf_init(&bytes.keys, LP_SECTION_BYTES_MAX); /* of empty keys */
    lp_rc rc = lp_table_encode(f, c, &bytes, err);
    rc = rc == LP_OK ? lp_index_parse(lp_buf_view(&bytes.index), s->blocks, s->nblocks, bytes.pages.n,
                                      bytes.keys.n, &x, err)
                     : rc;
    lp_buf_clear(&bytes.index);
    lp_buf_clear(&bytes.keys);
    lp_codec_free(c);
    if (rc != LP_OK) {
        lp_buf_clear(&bytes.pages);
        return lp_err_prefix(err, rc, "segment %s", s->path);
    }
    take_index(s, &x);
    s->strm = lp_malloc(sizeof(*s->strm));
    s->strm->pages = bytes.pages;
    note_places(s->strm, f);
    return LP_OK;
}

static lp_rc
read_tables(struct lp_seg *s, struct lp_err *err)
{
    struct lp_footer f = {.blocks = s->blocks, .nblocks = s->nblocks};
    lp_rc rc = read_groups(s, &f, err);
    rc = rc == LP_OK ? read_runs(s, &f, err) : rc;
    rc = rc == LP_OK ? read_streams(s, &f, err) : rc;
    if (rc == LP_OK && !runs_fit(s, &f)) {
        rc = lp_seg_corrupt(s, "runs do not fit the blocks", err);
    }
    rc = rc == LP_OK ? make_pages(s, &f, err) : rc;
    lp_free(f.groups);
    lp_free(f.runs);
    lp_free(f.streams);
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
    take_index(s, &x);
    return LP_OK;
}

/* A piece of a section, decoded into fresh memory. */
static lp_rc
load_piece(const struct lp_seg *s, const char id[4], const struct lp_seg_piece *p, char **ret,
           struct lp_err *err)
{
    struct lp_codec *c = lp_codec_new();
    char *stored = lp_codec_scratch(c, p->bytes), *raw = NULL;
    lp_rc rc = LP_OK;
    if (s->strm != NULL) { /* pages only: keys are not in pieces */
        memcpy(stored, s->strm->pages.p + p->off, p->bytes);
    } else {
        rc = lp_io_pread(s->io, s->fd, stored, p->bytes, lp_seg_section(s, id)->off + p->off, err);
    }
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
    return s->version >= 3 ? read_index(s, err) : read_tables(s, err);
}

void
lp_seg_free_pages(struct lp_seg *s)
{
    for (uint32_t i = 0; s->page_slots != NULL && i < s->npages; i++) {
        struct lp_seg_page *p = atomic_load(&s->page_slots[i]);
        lp_unkeep(p != NULL ? lp_page_memory(p) : 0);
        lp_free(p);
    }
    if (s->strm != NULL) {
        lp_free(s->strm->ids);
        lp_free(s->strm->place);
        lp_buf_clear(&s->strm->pages);
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
    if (s->strm != NULL) {
        n += s->strm->pages.cap + s->nstreams * (sizeof(*s->strm->ids) + sizeof(*s->strm->place));
    }
    return n;
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
