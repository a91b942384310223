/*
 * test_page.c - oracle: random stream tables come back as they were made, found by a linear search in them;
 * times as bounds no wider than a page's unit; damaged bytes are refused, made-up ones never lead out of the
 * blocks; a table that does not say what the blocks hold fails the proof.
 */
#include "store/page.h"

#include <stdio.h>
#include <string.h>

#include "store/segment.h"
#include "tests/unit/store_fixture.h"

/* A table as the seal would make it. */
struct table {
    struct lp_footer f;
    struct lp_arena ar;
};

static void *
array(struct table *t, size_t n, size_t size)
{
    void *p = lp_arena_zalloc(&t->ar, n * size + 1);
    LP_ASSERT(p != NULL);
    return p;
}

/* nruns[k][b] of the group: rows of its stream k in its block b. Times lie in [base, base + span]. */
static void
add_block(struct table *t, struct lp_foot_block *b, const uint32_t *rows, size_t nstreams,
          struct lp_foot_run *runs, int64_t base, uint64_t span, uint64_t *seed)
{
    *b = (struct lp_foot_block){
        .off = 64, .group = (uint32_t)t->f.ngroups, .min_ns = LP_TIME_MAX, .max_ns = LP_TIME_MIN};
    for (size_t k = 0; k < nstreams; k++) {
        if (rows[k] == 0) {
            continue;
        }
        struct lp_foot_run *r = &runs[k];
        uint64_t from = lp_rand(seed) % (span + 1), to = from + lp_rand(seed) % (span - from + 1);
        *r = (struct lp_foot_run){(uint32_t)t->f.nblocks, b->rows, rows[k], base + (int64_t)from,
                                  base + (int64_t)to};
        b->rows += rows[k];
        b->runs++;
        b->min_ns = LP_MIN(b->min_ns, r->min_ns);
        b->max_ns = LP_MAX(b->max_ns, r->max_ns);
    }
}

/* A group with nstreams streams in nblocks blocks; one in `sparse` of all (stream, block) has a run. */
static void
add_group(struct table *t, size_t nstreams, size_t nblocks, unsigned sparse, int64_t base, uint64_t span,
          uint64_t *seed)
{
    struct lp_footer *f = &t->f;
    uint32_t *rows = lp_malloc(nstreams * sizeof(*rows));
    struct lp_foot_run *runs = lp_calloc(nstreams * nblocks, sizeof(*runs));
    size_t blocks = f->nblocks;
    for (size_t b = 0; b < nblocks; b++) {
        for (size_t k = 0; k < nstreams; k++) {
            rows[k] =
                lp_rand(seed) % sparse == 0 || k == b % nstreams ? 1 + (uint32_t)(lp_rand(seed) % 7) : 0;
        }
        add_block(t, &f->blocks[f->nblocks], rows, nstreams, &runs[b * nstreams], base, span, seed);
        f->nblocks++;
        f->rows += f->blocks[f->nblocks - 1].rows;
    }
    uint64_t id = lp_rand(seed) >> (lp_rand(seed) % 60);
    for (size_t k = 0; k < nstreams; k++) {
        struct lp_foot_stream s = {
            .min_ns = LP_TIME_MAX, .max_ns = LP_TIME_MIN, .group = (uint32_t)f->ngroups};
        s.first_run = (uint32_t)f->nruns;
        for (size_t b = 0; b < nblocks; b++) {
            const struct lp_foot_run *r = &runs[b * nstreams + k];
            if (r->rows > 0) {
                LP_ASSERT(r->block == blocks + b);
                f->runs[f->nruns++] = *r;
                s.rows += r->rows;
                s.runs++;
                s.min_ns = LP_MIN(s.min_ns, r->min_ns);
                s.max_ns = LP_MAX(s.max_ns, r->max_ns);
            }
        }
        char key[64];
        id += 1 + (lp_rand(seed) % 3 == 0 ? lp_rand(seed) % 1000 : 0);
        s.id = id;
        int n =
            snprintf(key, sizeof(key), "key of %llx %.*s", (unsigned long long)id, (int)(id % 5), "tail!");
        bool ok = lp_arena_str(&t->ar, lp_str_of(key, (size_t)n), &s.key);
        LP_ASSERT(ok);
        if (s.runs > 0) {
            f->streams[f->nstreams++] = s;
        }
    }
    uint64_t before = f->ngroups > 0 ? f->groups[f->ngroups - 1].id : 0;
    f->groups[f->ngroups] = (struct lp_foot_group){before + 1 + lp_rand(seed) % 100, LP_STR("g")};
    f->ngroups++;
    lp_free(rows);
    lp_free(runs);
}

#define GROUPS_MAX 8u

static struct table
table_new(size_t streams, size_t blocks)
{
    struct table t = {.f = {.segment = 1, .generation = 1}};
    lp_arena_init(&t.ar, SIZE_MAX, 0);
    t.f.streams = array(&t, streams, sizeof(*t.f.streams));
    t.f.runs = array(&t, streams * blocks, sizeof(*t.f.runs));
    t.f.blocks = array(&t, blocks, sizeof(*t.f.blocks));
    t.f.groups = array(&t, GROUPS_MAX, sizeof(*t.f.groups));
    return t;
}

/* Some groups of some streams in some blocks. */
static struct table
random_table(uint64_t seed)
{
    struct table t = table_new(GROUPS_MAX * 3000, GROUPS_MAX * 6);
    size_t n = 1 + lp_rand(&seed) % GROUPS_MAX;
    for (size_t i = 0; i < n; i++) {
        size_t streams = 1 + lp_rand(&seed) % (lp_rand(&seed) % 3 == 0 ? 3000 : 12);
        int64_t base =
            lp_rand(&seed) % 4 == 0 ? LP_TIME_MIN : (int64_t)(lp_rand(&seed) >> 2) - (INT64_C(1) << 60);
        uint64_t span =
            lp_rand(&seed) % 4 == 0 ? UINT64_MAX >> 2 : lp_rand(&seed) >> (20 + lp_rand(&seed) % 44);
        add_group(&t, streams, 1 + lp_rand(&seed) % 6, 1 + (unsigned)(lp_rand(&seed) % 4), base, span, &seed);
    }
    return t;
}

/* Writes the table as a segment without blocks; its path. */
static const char *
write_table(struct table *t)
{
    static char path[4200];
    const char *dir = lp_test_dir();
    struct lp_seg_writer *w;
    struct lp_codec *c = lp_codec_new();
    uint64_t bytes;
    uint32_t crc;
    lp_rc rc = lp_seg_writer_new(lp_io_posix(), dir, &t->f.uuid, 1, 77, &w, NULL);
    rc = rc == LP_OK ? lp_seg_writer_finish(w, &t->f, c, &bytes, &crc, NULL) : rc;
    CU_ASSERT_EQUAL_FATAL(rc, LP_OK);
    lp_seg_writer_free(w);
    lp_codec_free(c);
    lp_seg_path(dir, 1, false, path);
    return path;
}

static uint64_t
page_unit(const struct lp_seg *s, uint64_t group_id, uint64_t id)
{
    const struct lp_seg_group *g = &s->groups[lp_seg_find_group(s, group_id)];
    for (uint32_t i = g->first_page; i < g->first_page + g->npages; i++) {
        const struct lp_seg_page_head *h = &s->pages[i];
        if (h->first_id <= id && id <= h->last_id) {
            return ((uint64_t)h->max_ns - (uint64_t)h->min_ns) / 1000 + 1;
        }
    }
    return 0;
}

/* Whether the segment has the stream as it was made. */
static bool
has_stream(struct lp_seg *s, const struct table *t, const struct lp_foot_stream *want)
{
    const struct lp_foot_stream *have;
    const struct lp_foot_run *runs;
    uint64_t group = t->f.groups[want->group].id, unit = page_unit(s, group, want->id);
    if (lp_seg_stream(s, group, want->id, &have, &runs, NULL) != LP_OK || have == NULL) {
        return false;
    }
    bool ok = have->id == want->id && have->rows == want->rows && have->runs == want->runs &&
              have->group == want->group;
    for (uint32_t k = 0; k < want->runs && ok; k++) {
        const struct lp_foot_run *r = &t->f.runs[want->first_run + k];
        ok = runs[k].block == r->block && runs[k].first == r->first && runs[k].rows == r->rows &&
             runs[k].min_ns <= r->min_ns && (uint64_t)r->min_ns - (uint64_t)runs[k].min_ns < unit &&
             runs[k].max_ns >= r->max_ns && (uint64_t)runs[k].max_ns - (uint64_t)r->max_ns < unit &&
             runs[k].min_ns >= t->f.blocks[r->block].min_ns && runs[k].max_ns <= t->f.blocks[r->block].max_ns;
    }
    return ok;
}

static bool
has_keys(struct lp_seg *s, const struct table *t)
{
    struct lp_arena ar;
    struct lp_str *all, *some;
    size_t n = 0;
    lp_arena_init(&ar, SIZE_MAX, 0);
    bool ok = lp_seg_keys(s, &ar, &all, NULL) == LP_OK && s->nstreams == t->f.nstreams;
    for (size_t i = 0; i < t->f.nstreams && ok; i++) {
        ok = lp_str_eq(all[i], t->f.streams[i].key);
    }
    for (uint32_t page = 0, pages; page < s->npages && ok; page += 1 + (pages - 1) / 2) {
        ok = lp_seg_page_keys(s, page, &ar, &some, &pages, NULL) == LP_OK && pages >= 1;
        size_t at = n;
        for (uint32_t p = page; p < page + pages && ok; p++) {
            for (uint32_t i = 0; i < s->pages[p].nstreams && ok; i++) {
                ok = lp_str_eq(*some++, t->f.streams[at++].key);
            }
            n += p < page + 1 + (pages - 1) / 2 ? s->pages[p].nstreams : 0;
        }
    }
    lp_arena_clear(&ar);
    return ok && n == t->f.nstreams;
}

static void
comes_back(struct table *t, size_t lookups, uint64_t seed)
{
    struct lp_seg *s;
    const struct lp_foot_stream *none;
    const struct lp_foot_run *runs;
    CU_ASSERT_EQUAL_FATAL(lp_seg_open(lp_io_posix(), write_table(t), &s, NULL), LP_OK);
    CU_ASSERT_EQUAL(s->ngroups, t->f.ngroups);
    CU_ASSERT_EQUAL(s->nruns, t->f.nruns);
    CU_ASSERT_EQUAL(s->created_ns, 77);
    CU_ASSERT(has_keys(s, t));
    size_t wrong = 0;
    for (size_t i = 0; i < lookups; i++) {
        const struct lp_foot_stream *want =
            &t->f.streams[i < t->f.nstreams ? i : lp_rand(&seed) % t->f.nstreams];
        uint64_t group = t->f.groups[want->group].id, id = want->id + 1;
        wrong += !has_stream(s, t, want);
        bool there =
            want + 1 < t->f.streams + t->f.nstreams && want[1].id == id && want[1].group == want->group;
        wrong += !there && (lp_seg_stream(s, group, id, &none, &runs, NULL) != LP_OK || none != NULL);
        wrong += lp_seg_stream(s, group + 1000000, want->id, &none, &runs, NULL) != LP_OK || none != NULL;
    }
    CU_ASSERT_EQUAL(wrong, 0);
    lp_seg_unref(s);
    lp_arena_clear(&t->ar);
}

static void
random_tables_come_back(void)
{
    for (uint64_t i = 0; i < 40; i++) {
        struct table t = random_table(i);
        comes_back(&t, t.f.nstreams + 100, i);
    }
}

/* Two streams with a run in each of very many blocks; a page holds one that is over its bound. */
static void
a_stream_of_very_many_runs_comes_back(void)
{
    uint64_t seed = 3;
    struct table t = table_new(2, 6000);
    add_group(&t, 2, 6000, 1, 0, UINT64_C(86400) * 1000000000, &seed);
    comes_back(&t, 10, 1);
}

static void
an_empty_table_comes_back(void)
{
    struct table t = table_new(0, 0);
    struct lp_seg *s;
    CU_ASSERT_EQUAL_FATAL(lp_seg_open(lp_io_posix(), write_table(&t), &s, NULL), LP_OK);
    CU_ASSERT_EQUAL(lp_seg_find_group(s, 1), UINT32_MAX);
    CU_ASSERT_EQUAL(lp_seg_prove(s, NULL), LP_OK);
    lp_seg_unref(s);
    lp_arena_clear(&t.ar);
}

/* Reads the whole table; how many pages are damaged goes to *ret_pages. */
static bool
reads_whole(const char *path, uint32_t *ret_pages)
{
    struct lp_seg *s;
    struct lp_arena ar;
    struct lp_str *keys;
    const struct lp_seg_page *p;
    *ret_pages = 0;
    lp_rc rc = lp_seg_open(lp_io_posix(), path, &s, NULL);
    if (rc != LP_OK) {
        CU_ASSERT(rc == LP_ERR_CORRUPT || rc == LP_ERR_UNSUPPORTED);
        return false;
    }
    for (uint32_t i = 0; i < s->npages; i++) {
        rc = lp_seg_page(s, i, &p, NULL);
        CU_ASSERT(rc == LP_OK || rc == LP_ERR_CORRUPT);
        *ret_pages += rc != LP_OK;
    }
    lp_arena_init(&ar, SIZE_MAX, 0);
    bool ok = lp_seg_keys(s, &ar, &keys, NULL) == LP_OK && *ret_pages == 0;
    lp_arena_clear(&ar);
    lp_seg_unref(s);
    return ok;
}

/* Of a table, its index and its keys every byte counts; a changed one costs at most one page. */
static void
every_damaged_byte_is_found(void)
{
    uint64_t seed = 11;
    struct table t = table_new(3500, 6);
    add_group(&t, 3000, 4, 2, 1000, 1000000000, &seed);
    add_group(&t, 500, 2, 1, -5000, 5000, &seed);
    const char *path = write_table(&t);
    FILE *f = fopen(path, "r+b");
    CU_ASSERT_PTR_NOT_NULL_FATAL(f);
    fseek(f, 0, SEEK_END);
    long size = ftell(f);
    uint32_t pages;
    size_t missed = 0, single = 0;
    CU_ASSERT(reads_whole(path, &pages));
    for (long at = 0; at < size; at += 1 + size / 3000) {
        fseek(f, at, SEEK_SET);
        int byte = fgetc(f);
        fseek(f, at, SEEK_SET);
        fputc(byte ^ 0x10, f);
        fflush(f);
        missed += reads_whole(path, &pages);
        CU_ASSERT(pages <= 1);
        single += pages;
        fseek(f, at, SEEK_SET);
        fputc(byte, f);
    }
    fclose(f);
    /* what nobody reads for this: tickets, positions, batch ids, group keys and store ids behind their own
     * checks */
    CU_ASSERT(single > 100 && missed < 100);
    lp_arena_clear(&t.ar);
}

/* --- made-up content --- */

/* A page that was taken for good lies inside its blocks. */
static bool
is_sound(const struct lp_seg_page *p, const struct lp_seg_page_head *h, const struct lp_seg_group *g,
         const struct lp_foot_block *blocks)
{
    uint32_t run = 0;
    bool ok = p->nstreams == h->nstreams && p->nruns == h->nruns;
    for (uint32_t i = 0; i < p->nstreams && ok; i++) {
        const struct lp_foot_stream *s = &p->streams[i];
        ok = s->id >= h->first_id && s->id <= h->last_id && (i == 0 || s[-1].id < s->id) &&
             s->first_run == run && s->runs >= 1;
        run += s->runs;
    }
    for (uint32_t i = 0; i < p->nruns && ok; i++) {
        const struct lp_foot_run *r = &p->runs[i];
        const struct lp_foot_block *b = &blocks[r->block];
        ok = r->block >= g->first_block && r->block < g->first_block + g->nblocks && r->rows >= 1 &&
             (uint64_t)r->first + r->rows <= b->rows && r->min_ns <= r->max_ns && r->min_ns >= b->min_ns &&
             r->max_ns <= b->max_ns;
    }
    return ok && run == p->nruns;
}

static void
check_mutated(const struct table *t, const struct lp_table_bytes *bytes, uint64_t *seed)
{
    struct lp_seg_index x;
    struct lp_codec *c = lp_codec_new();
    CU_ASSERT_EQUAL_FATAL(lp_index_parse(lp_buf_view(&bytes->index), t->f.blocks, t->f.nblocks,
                                         bytes->pages.n, bytes->keys.n, &x, NULL),
                          LP_OK);
    for (unsigned i = 0; i < 300; i++) {
        const struct lp_seg_page_head *h = &x.pages[lp_rand(seed) % x.npages];
        struct lp_seg_page *p;
        char *raw = lp_malloc(h->piece.raw_bytes);
        lp_rc rc =
            lp_codec_decode(c, h->piece.codec, lp_str_of(bytes->pages.p + h->piece.off, h->piece.bytes), raw,
                            h->piece.raw_bytes, NULL);
        CU_ASSERT_EQUAL_FATAL(rc, LP_OK);
        for (unsigned k = 0; k < i % 4; k++) {
            raw[lp_rand(seed) % LP_MIN(h->piece.raw_bytes, k < 2 ? 40u : UINT32_MAX)] ^=
                (char)(1 << lp_rand(seed) % 8);
        }
        rc = lp_page_parse(h, &x.groups[h->group], t->f.blocks, lp_str_of(raw, h->piece.raw_bytes), &p, NULL);
        CU_ASSERT(rc == LP_ERR_CORRUPT || (rc == LP_OK && is_sound(p, h, &x.groups[h->group], t->f.blocks)));
        CU_ASSERT(rc == LP_OK || i % 4 != 0);
        lp_free(rc == LP_OK ? p : NULL);
        lp_free(raw);
    }
    lp_index_clear(&x);
    lp_codec_free(c);
}

static void
check_mutated_index(const struct table *t, struct lp_table_bytes *bytes, uint64_t *seed)
{
    for (unsigned i = 0; i < 2000; i++) {
        struct lp_seg_index x;
        size_t at = lp_rand(seed) % bytes->index.n, n = i % 5 == 0 ? at : bytes->index.n;
        char was = bytes->index.p[at];
        bytes->index.p[at] = (char)(was ^ 1 << lp_rand(seed) % 8);
        lp_rc rc = lp_index_parse(lp_str_of(bytes->index.p, n), t->f.blocks, t->f.nblocks, bytes->pages.n,
                                  bytes->keys.n, &x, NULL);
        CU_ASSERT(rc == LP_OK || rc == LP_ERR_CORRUPT);
        CU_ASSERT(n == bytes->index.n || rc != LP_OK);
        if (rc == LP_OK) {
            CU_ASSERT(x.ngroups == t->f.ngroups && x.npages >= x.ngroups);
            lp_index_clear(&x);
        }
        bytes->index.p[at] = was;
    }
}

static void
made_up_content_leads_nowhere(void)
{
    for (uint64_t seed = 50; seed < 60; seed++) {
        uint64_t state = seed;
        struct table t = random_table(seed);
        struct lp_table_bytes bytes;
        struct lp_codec *c = lp_codec_new();
        lp_buf_init(&bytes.index, SIZE_MAX);
        lp_buf_init(&bytes.pages, SIZE_MAX);
        lp_buf_init(&bytes.keys, SIZE_MAX);
        CU_ASSERT_EQUAL_FATAL(lp_table_encode(&t.f, c, &bytes, NULL), LP_OK);
        check_mutated(&t, &bytes, &state);
        check_mutated_index(&t, &bytes, &state);
        lp_buf_clear(&bytes.index);
        lp_buf_clear(&bytes.pages);
        lp_buf_clear(&bytes.keys);
        lp_codec_free(c);
        lp_arena_clear(&t.ar);
    }
}

/* --- the proof --- */

/* A segment of one block with two streams, 5 and 9, of three and four rows at times 0, 10, .. 60; the footer
 * as `spoil` leaves it. */
static lp_rc
prove_spoilt(void (*spoil)(struct lp_footer *f))
{
    struct lp_batch *batch = lp_batch_new(LP_STR_NULL, SIZE_MAX, 0);
    struct lp_pair label = {LP_STR("a"), LP_STR("1")};
    struct lp_block_row rows[7];
    uint32_t stream;
    CU_ASSERT_EQUAL_FATAL(lp_batch_stream(batch, &label, 1, NULL, &stream, NULL), LP_OK);
    for (unsigned i = 0; i < 7; i++) {
        CU_ASSERT_EQUAL_FATAL(lp_batch_add(batch, stream, i * 10, LP_STR("line"), false, NULL, 0, NULL),
                              LP_OK);
    }
    for (unsigned i = 0; i < 7; i++) {
        rows[i] = (struct lp_block_row){&batch->rows[i], 0};
    }
    struct lp_block_run block_runs[] = {{5, 0, 3, 0, 20}, {9, 3, 4, 30, 60}};
    struct lp_block_src src = {0, 0, rows, 7, block_runs, 2, false};
    struct lp_foot_stream streams[] = {{5, 0, 20, 3, 0, 1, 0, LP_STR("five")},
                                       {9, 30, 60, 4, 1, 1, 0, LP_STR("nine")}};
    struct lp_foot_run runs[] = {{0, 0, 3, 0, 20}, {0, 3, 4, 30, 60}};
    struct lp_foot_group group = {1, LP_STR("g")};
    struct lp_foot_block block = {0, 0, 28, 0, 7, 2, 0, 60, {0, 0, false}};
    struct lp_footer f = {.segment = 1,
                          .generation = 1,
                          .rows = 7,
                          .streams = streams,
                          .nstreams = 2,
                          .runs = runs,
                          .nruns = 2,
                          .groups = &group,
                          .ngroups = 1,
                          .blocks = &block,
                          .nblocks = 1};
    struct lp_seg_writer *w;
    struct lp_seg *s;
    struct lp_codec *c = lp_codec_new();
    struct lp_block_encoder *e = lp_block_encoder_new();
    struct lp_buf out;
    const char *dir = lp_test_dir();
    char path[4200];
    uint64_t bytes;
    uint32_t crc;
    lp_buf_init(&out, SIZE_MAX);
    lp_rc rc = lp_block_encode(e, &src, &out, NULL);
    rc = rc == LP_OK ? lp_seg_writer_new(lp_io_posix(), dir, &f.uuid, 1, 0, &w, NULL) : rc;
    rc = rc == LP_OK ? lp_seg_writer_block(w, lp_buf_view(&out), &block.off, NULL) : rc;
    block.bytes = out.n;
    spoil(&f);
    rc = rc == LP_OK ? lp_seg_writer_finish(w, &f, c, &bytes, &crc, NULL) : rc;
    CU_ASSERT_EQUAL_FATAL(rc, LP_OK);
    lp_seg_writer_free(w);
    lp_seg_path(dir, 1, false, path);
    rc = lp_seg_open(lp_io_posix(), path, &s, NULL);
    CU_ASSERT_EQUAL_FATAL(rc, LP_OK);
    rc = lp_seg_prove(s, NULL);
    lp_seg_unref(s);
    lp_codec_free(c);
    lp_block_encoder_free(e);
    lp_buf_clear(&out);
    lp_batch_free(batch);
    return rc;
}

static void
spoil_nothing(struct lp_footer *f)
{
    (void)f;
}
static void
spoil_id(struct lp_footer *f)
{
    f->streams[1].id = 8;
}

static void
spoil_rows(struct lp_footer *f)
{
    f->runs[0].rows = f->streams[0].rows = 4;
    f->runs[1].first = 4;
    f->runs[1].rows = f->streams[1].rows = 3;
}

static void
spoil_hole(struct lp_footer *f)
{
    f->runs[0].rows = f->streams[0].rows = 2;
}
static void
spoil_end(struct lp_footer *f)
{
    f->runs[0].max_ns = f->streams[0].max_ns = 19;
}
static void
spoil_begin(struct lp_footer *f)
{
    f->runs[1].min_ns = f->streams[1].min_ns = 31;
}

static void
a_table_of_another_block_fails_the_proof(void)
{
    CU_ASSERT_EQUAL(prove_spoilt(spoil_nothing), LP_OK);
    CU_ASSERT_EQUAL(prove_spoilt(spoil_id), LP_ERR_CORRUPT);
    CU_ASSERT_EQUAL(prove_spoilt(spoil_rows), LP_ERR_CORRUPT);
    CU_ASSERT_EQUAL(prove_spoilt(spoil_hole), LP_ERR_CORRUPT);
    CU_ASSERT_EQUAL(prove_spoilt(spoil_end), LP_ERR_CORRUPT);
    CU_ASSERT_EQUAL(prove_spoilt(spoil_begin), LP_ERR_CORRUPT);
}

static bool
is_in_group(struct lp_seg *s, uint32_t group, struct lp_str key, struct lp_arena *ar)
{
    struct lp_foot_group *groups;
    struct lp_stream_key k;
    struct lp_buf b;
    size_t n;
    lp_buf_init(&b, SIZE_MAX);
    bool ok =
        lp_seg_groups(s, ar, &groups, &n, NULL) == LP_OK && lp_stream_key_parse(key, ar, &k, NULL) == LP_OK;
    if (ok) {
        lp_group_key(&k, &b);
    }
    /* the quarantine had no groups of its own when these stores were made */
    ok = ok && (lp_stream_key_label(&k, LP_STR(LP_QUARANTINE_LABEL)).n > 0 ||
                lp_str_eq(lp_buf_view(&b), groups[group].key));
    lp_buf_clear(&b);
    return ok;
}

/* Of the golden stores: tables of before are made into pages, and say what the blocks hold. */
static void
segments_of_all_versions_prove_whole(void)
{
    static const unsigned ids[LP_SEG_VERSION][3] = {{1, 0x21}, {1, 0x21}, {0x41, 0x42, 0x43}};
    unsigned merged = 0;
    for (unsigned version = 1; version <= LP_SEG_VERSION; version++) {
        for (unsigned f = 0; f < 3 && ids[version - 1][f] != 0; f++) {
            unsigned id = ids[version - 1][f];
            char path[4200];
            struct lp_seg *s;
            struct lp_err err;
            struct lp_arena ar;
            struct lp_str *keys;
            snprintf(path, sizeof(path), "%s/format/v%u/data/segments/%016x.seg", lp_test_data(), version,
                     id);
            CU_ASSERT_EQUAL_FATAL(lp_seg_open(lp_io_posix(), path, &s, &err), LP_OK);
            CU_ASSERT_EQUAL(s->version, version);
            CU_ASSERT(s->npages > 0 && (s->level > 0 || s->first_generation == s->generation));
            merged += s->level > 0;
            CU_ASSERT_EQUAL(lp_seg_prove(s, &err), LP_OK);
            lp_arena_init(&ar, SIZE_MAX, 0);
            CU_ASSERT_EQUAL(lp_seg_keys(s, &ar, &keys, &err), LP_OK);
            size_t at = 0;
            for (uint32_t i = 0; i < s->npages;
                 i++) { /* keys stand in the order of the pages: they are of its group */
                const struct lp_seg_page *p;
                CU_ASSERT_EQUAL_FATAL(lp_seg_page(s, i, &p, &err), LP_OK);
                for (uint32_t k = 0; k < p->nstreams; k++) {
                    CU_ASSERT(is_in_group(s, p->group, keys[at++], &ar));
                }
            }
            lp_arena_clear(&ar);
            lp_seg_unref(s);
        }
    }
    CU_ASSERT_EQUAL(merged, 2);
}

LP_SUITE(page, {"random tables come back", random_tables_come_back},
         {"a stream of very many runs comes back", a_stream_of_very_many_runs_comes_back},
         {"an empty table comes back", an_empty_table_comes_back},
         {"every damaged byte is found", every_damaged_byte_is_found},
         {"made-up content leads nowhere", made_up_content_leads_nowhere},
         {"segments of all versions prove whole", segments_of_all_versions_prove_whole},
         {"a table of another block fails the proof", a_table_of_another_block_fails_the_proof});
