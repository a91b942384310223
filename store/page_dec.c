/*
 * page_dec.c - reading the stream table of a segment. See page.h.
 *
 * Invariants of what comes out: groups rise by id, and their blocks and pages follow each other; the runs of
 * a group's pages are as many as those of its blocks; ids rise inside a page and lie in what its head says;
 * every run lies inside a block of the page's group; of each stream, runs rise by (block, row); of each
 * block, by row.
 */
#include <string.h>

#include "base/bytes.h"
#include "store/column.h"
#include "store/page.h"

#define PIECE_BYTES_LEAST 7u /* of a piece in the index */
#define HEAD_BYTES_LEAST (6u + PIECE_BYTES_LEAST)

struct lp_seg_page *
lp_page_new(uint32_t group, uint32_t nstreams, uint32_t nruns)
{
    size_t streams = nstreams * sizeof(struct lp_foot_stream), runs = nruns * sizeof(struct lp_foot_run);
    struct lp_seg_page *p = lp_malloc(sizeof(*p) + streams + runs);
    *p = (struct lp_seg_page){group, nstreams, nruns, (void *)(p + 1), (void *)((char *)(p + 1) + streams)};
    return p;
}

size_t
lp_page_memory(const struct lp_seg_page *p)
{
    return sizeof(*p) + p->nstreams * sizeof(*p->streams) + p->nruns * sizeof(*p->runs);
}

/* --- the index --- */

/* The next piece of a section; *at is where it begins. */
static struct lp_seg_piece
read_piece(struct lp_rd *rd, uint64_t *at, uint64_t section_bytes)
{
    struct lp_seg_piece p = {.off = *at};
    uint64_t bytes = lp_rd_varint(rd), raw = lp_rd_varint(rd);
    p.codec = lp_rd_u8(rd);
    p.crc = lp_rd_u32(rd);
    rd->bad = rd->bad || bytes > section_bytes - *at || bytes > UINT32_MAX || raw > LP_FRAME_BYTES_MAX;
    p.bytes = rd->bad ? 0 : (uint32_t)bytes;
    p.raw_bytes = rd->bad ? 0 : (uint32_t)raw;
    *at += p.bytes;
    return p;
}

/* A count of rows that have at least `least` bytes each. */
static uint32_t
read_count(struct lp_rd *rd, size_t least)
{
    uint64_t n = lp_rd_varint(rd);
    rd->bad = rd->bad || n > lp_rd_left(rd) / least || n > UINT32_MAX;
    return rd->bad ? 0 : (uint32_t)n;
}

/* Groups, each with its blocks; *ret_pages: of all. */
static void
read_groups(struct lp_rd *rd, const struct lp_foot_block *blocks, size_t nblocks, struct lp_seg_index *x)
{
    uint64_t block = 0, page = 0, id = 0;
    x->ngroups = read_count(rd, 3);
    x->groups = lp_calloc(x->ngroups, sizeof(*x->groups));
    for (uint32_t i = 0; i < x->ngroups && !rd->bad; i++) {
        uint64_t more = lp_rd_varint(rd), b = lp_rd_varint(rd), p = lp_rd_varint(rd);
        rd->bad = rd->bad || (i > 0 && more == 0) || more > UINT64_MAX - id || b > nblocks - block ||
                  p > UINT32_MAX - page;
        if (rd->bad) {
            break;
        }
        id += more;
        x->groups[i] = (struct lp_seg_group){id, (uint32_t)block, (uint32_t)b, (uint32_t)page, (uint32_t)p};
        for (uint64_t k = block; k < block + b; k++) {
            rd->bad = rd->bad || blocks[k].group != i;
        }
        block += b;
        page += p;
    }
    rd->bad = rd->bad || block != nblocks || page > lp_rd_left(rd) / HEAD_BYTES_LEAST;
    x->npages = rd->bad ? 0 : (uint32_t)page;
}

static void
read_heads(struct lp_rd *rd, uint64_t section_bytes, struct lp_seg_index *x)
{
    uint64_t at = 0, first_id = 0;
    int64_t min_ns = 0;
    uint32_t group = 0;
    x->pages = lp_calloc(x->npages, sizeof(*x->pages));
    for (uint32_t i = 0; i < x->npages && !rd->bad; i++) {
        struct lp_seg_page_head *h = &x->pages[i];
        uint64_t nstreams = lp_rd_varint(rd), nruns = lp_rd_varint(rd);
        first_id += (uint64_t)lp_rd_svarint(rd);
        uint64_t ids = lp_rd_varint(rd);
        min_ns = (int64_t)((uint64_t)min_ns + (uint64_t)lp_rd_svarint(rd));
        uint64_t span = lp_rd_varint(rd);
        while (i >= x->groups[group].first_page + x->groups[group].npages) {
            group++;
        }
        *h = (struct lp_seg_page_head){group,
                                       (uint32_t)nstreams,
                                       (uint32_t)nruns,
                                       first_id,
                                       first_id + ids,
                                       min_ns,
                                       (int64_t)((uint64_t)min_ns + span),
                                       {0}};
        h->piece = read_piece(rd, &at, section_bytes);
        /* each number of a run takes a byte at least */
        rd->bad = rd->bad || nstreams < 1 || nstreams > nruns || nruns > h->piece.raw_bytes ||
                  ids < nstreams - 1 || h->last_id < first_id || h->max_ns < min_ns ||
                  (i > x->groups[group].first_page && h[-1].last_id >= first_id);
        x->nstreams += nstreams;
        x->nruns += nruns;
    }
    rd->bad = rd->bad || at != section_bytes;
}

static void
read_keys(struct lp_rd *rd, uint64_t section_bytes, struct lp_seg_index *x)
{
    uint64_t at = 0, page = 0;
    x->nkeys = read_count(rd, 1 + PIECE_BYTES_LEAST);
    x->keys = lp_calloc(x->nkeys, sizeof(*x->keys));
    for (uint32_t i = 0; i < x->nkeys && !rd->bad; i++) {
        uint64_t n = lp_rd_varint(rd);
        rd->bad = rd->bad || n < 1 || n > x->npages - page;
        x->keys[i] =
            (struct lp_seg_keys_head){(uint32_t)page, (uint32_t)n, read_piece(rd, &at, section_bytes)};
        page += n;
    }
    rd->bad = rd->bad || page != x->npages || at != section_bytes;
}

/* Whether the pages of each group have as many runs as its blocks. */
static bool
runs_fit(const struct lp_seg_index *x, const struct lp_foot_block *blocks)
{
    bool ok = true;
    for (uint32_t g = 0; g < x->ngroups; g++) {
        const struct lp_seg_group *group = &x->groups[g];
        uint64_t have = 0, due = 0;
        for (uint32_t i = 0; i < group->npages; i++) {
            have += x->pages[group->first_page + i].nruns;
        }
        for (uint32_t i = 0; i < group->nblocks; i++) {
            due += blocks[group->first_block + i].runs;
        }
        ok = ok && have == due;
    }
    return ok;
}

lp_rc
lp_index_parse(struct lp_str raw, const struct lp_foot_block *blocks, size_t nblocks, uint64_t pages_bytes,
               uint64_t keys_bytes, struct lp_seg_index *ret, struct lp_err *err)
{
    struct lp_rd rd = lp_rd_of(raw);
    struct lp_seg_index x = {NULL, 0, NULL, 0, NULL, 0, 0, 0};
    read_groups(&rd, blocks, nblocks, &x);
    read_heads(&rd, pages_bytes, &x);
    read_keys(&rd, keys_bytes, &x);
    if (rd.bad || lp_rd_left(&rd) != 0 || !runs_fit(&x, blocks)) {
        lp_index_clear(&x);
        return lp_corrupt(err, "the index of the stream table is malformed");
    }
    *ret = x;
    return LP_OK;
}

void
lp_index_clear(struct lp_seg_index *x)
{
    lp_free(x->groups);
    lp_free(x->pages);
    lp_free(x->keys);
    *x = (struct lp_seg_index){NULL, 0, NULL, 0, NULL, 0, 0, 0};
}

/* --- a page --- */

struct parser {
    const struct lp_seg_page_head *h;
    const struct lp_seg_group *g;
    const struct lp_foot_block *blocks;
    struct lp_seg_page *page;
    uint64_t unit;
    uint64_t *numbers;
    uint32_t *ends; /* of the last run in each block of the group */
};

static bool
read_column(struct lp_rd *rd, uint32_t n, uint64_t *numbers)
{
    struct lp_str bytes = lp_rd_lpstr(rd);
    struct lp_rd col = lp_rd_of(bytes);
    return !rd->bad && lp_numbers_decode(&col, n, numbers);
}

static bool
read_streams(struct parser *p, struct lp_rd *rd)
{
    struct lp_seg_page *page = p->page;
    uint64_t id = p->h->first_id, runs = 0;
    if (!read_column(rd, page->nstreams - 1, p->numbers)) {
        return false;
    }
    for (uint32_t i = 0; i < page->nstreams; i++) {
        if (i > 0) {
            if (p->numbers[i - 1] >= p->h->last_id - id) {
                return false;
            }
            id += p->numbers[i - 1] + 1;
        }
        page->streams[i] = (struct lp_foot_stream){.id = id, .group = p->h->group};
    }
    if (id != p->h->last_id || !read_column(rd, page->nstreams, p->numbers)) {
        return false;
    }
    for (uint32_t i = 0; i < page->nstreams; i++) {
        if (p->numbers[i] >= page->nruns - runs) {
            return false;
        }
        page->streams[i].first_run = (uint32_t)runs;
        page->streams[i].runs = (uint32_t)p->numbers[i] + 1;
        runs += page->streams[i].runs;
    }
    return runs == page->nruns;
}

static bool
read_blocks(struct parser *p, struct lp_rd *rd)
{
    uint64_t last = p->g->first_block + (uint64_t)p->g->nblocks, block = p->g->first_block;
    if (!read_column(rd, p->page->nruns, p->numbers)) {
        return false;
    }
    for (uint32_t i = 0; i < p->page->nruns; i++) {
        block += (uint64_t)lp_unzigzag(p->numbers[i]);
        if (block < p->g->first_block || block >= last) {
            return false;
        }
        p->page->runs[i].block = (uint32_t)block;
    }
    return true;
}

/* First rows hang on the rows of the runs before, so both are read at once: first numbers[0..n), rows behind
 * them. */
static bool
read_rows(struct parser *p, struct lp_rd *rd)
{
    uint32_t n = p->page->nruns;
    if (!read_column(rd, n, p->numbers) || !read_column(rd, n, p->numbers + n)) {
        return false;
    }
    for (uint32_t i = 0; i < n; i++) {
        struct lp_foot_run *r = &p->page->runs[i];
        uint32_t *end = &p->ends[r->block - p->g->first_block], most = p->blocks[r->block].rows;
        if (p->numbers[i] >= most - *end || p->numbers[n + i] >= most - *end - p->numbers[i]) {
            return false;
        }
        r->first = *end + (uint32_t)p->numbers[i];
        r->rows = (uint32_t)p->numbers[n + i] + 1;
        *end = r->first + r->rows;
    }
    return true;
}

/* The time `units` from the page's smallest, but at most max_ns. */
static int64_t
time_at(const struct parser *p, uint64_t units, int64_t max_ns)
{
    uint64_t most = (uint64_t)max_ns - (uint64_t)p->h->min_ns;
    return units > most / p->unit ? max_ns : (int64_t)((uint64_t)p->h->min_ns + units * p->unit);
}

static bool
read_times(struct parser *p, struct lp_rd *rd)
{
    uint32_t n = p->page->nruns;
    bool ok = read_column(rd, n, p->numbers) && read_column(rd, n, p->numbers + n);
    for (uint32_t i = 0; i < n && ok; i++) {
        struct lp_foot_run *r = &p->page->runs[i];
        const struct lp_foot_block *b = &p->blocks[r->block];
        uint64_t low = p->numbers[i], span = p->numbers[n + i];
        int64_t most = LP_MIN(p->h->max_ns, b->max_ns);
        ok = most >= p->h->min_ns && span <= UINT64_MAX - low;
        if (ok) {
            r->min_ns = LP_MAX(time_at(p, low, most), b->min_ns);
            r->max_ns = time_at(p, low + span, most);
            ok = r->min_ns <= r->max_ns;
        }
    }
    return ok;
}

/* What streams are made of: their runs. */
static bool
sum_up(struct parser *p)
{
    int64_t min_ns = LP_TIME_MAX, max_ns = LP_TIME_MIN;
    for (uint32_t i = 0; i < p->page->nstreams; i++) {
        struct lp_foot_stream *s = &p->page->streams[i];
        const struct lp_foot_run *runs = &p->page->runs[s->first_run];
        uint64_t rows = 0;
        s->min_ns = LP_TIME_MAX;
        s->max_ns = LP_TIME_MIN;
        for (uint32_t k = 0; k < s->runs; k++) {
            if (k > 0 && runs[k].block < runs[k - 1].block) {
                return false;
            }
            rows += runs[k].rows;
            s->min_ns = LP_MIN(s->min_ns, runs[k].min_ns);
            s->max_ns = LP_MAX(s->max_ns, runs[k].max_ns);
        }
        if (rows > UINT32_MAX) {
            return false;
        }
        s->rows = (uint32_t)rows;
        min_ns = LP_MIN(min_ns, s->min_ns);
        max_ns = LP_MAX(max_ns, s->max_ns);
    }
    return min_ns == p->h->min_ns && max_ns == p->h->max_ns;
}

lp_rc
lp_page_parse(const struct lp_seg_page_head *h, const struct lp_seg_group *g,
              const struct lp_foot_block *blocks, struct lp_str raw, struct lp_seg_page **ret,
              struct lp_err *err)
{
    struct parser p = {
        .h = h, .g = g, .blocks = blocks, .page = lp_page_new(h->group, h->nstreams, h->nruns)};
    struct lp_rd rd = lp_rd_of(raw);
    p.numbers = lp_malloc(2 * (size_t)h->nruns * sizeof(*p.numbers));
    p.ends = lp_calloc(g->nblocks, sizeof(*p.ends));
    p.unit = lp_rd_varint(&rd);
    bool ok = !rd.bad && p.unit >= 1 && read_streams(&p, &rd) && read_blocks(&p, &rd) && read_rows(&p, &rd) &&
              read_times(&p, &rd) && lp_rd_left(&rd) == 0 && sum_up(&p);
    lp_free(p.numbers);
    lp_free(p.ends);
    if (!ok) {
        lp_free(p.page);
        return lp_corrupt(err, "a page of the stream table is malformed");
    }
    *ret = p.page;
    return LP_OK;
}

/* --- keys --- */

lp_rc
lp_keys_parse(struct lp_str raw, struct lp_arena *ar, struct lp_str *keys, size_t n, struct lp_err *err)
{
    struct lp_rd rd = lp_rd_of(raw);
    struct lp_str before = LP_STR("");
    for (size_t i = 0; i < n; i++) {
        uint64_t begin = lp_rd_varint(&rd), end = lp_rd_varint(&rd);
        struct lp_str own = lp_rd_lpstr(&rd);
        if (rd.bad || begin > before.n || end > before.n - begin) {
            return lp_corrupt(err, "the keys of the stream table are malformed");
        }
        char *p = lp_arena_bytes(ar, begin + own.n + end);
        if (p == NULL) {
            return lp_err_set(err, LP_ERR_LIMIT, "no memory left for the keys of a segment's streams");
        }
        memcpy(p, before.p, begin);
        memcpy(p + begin, own.p, own.n);
        memcpy(p + begin + own.n, before.p + before.n - end, end);
        keys[i] = before = lp_str_of(p, begin + own.n + end);
    }
    return lp_rd_left(&rd) == 0 && !rd.bad ? LP_OK
                                           : lp_corrupt(err, "the keys of the stream table are malformed");
}
