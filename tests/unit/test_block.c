/*
 * test_block.c - oracle: a block gives back exactly the rows it was made from, for any bytes; any changed bit
 * is found.
 */
#include "store/block.h"

#include <string.h>

#include "tests/unit/store_fixture.h"

struct made {
    struct lp_batch *batch;
    struct lp_block_row *rows;
    struct lp_block_run *runs;
    uint32_t nruns;
};

/* Rows of random bytes and lengths in nruns runs with rising times. */
static struct made
make_rows(uint32_t n, uint32_t nruns, size_t line_max, uint64_t seed)
{
    struct made m = {.batch = lp_batch_new(LP_STR_NULL, SIZE_MAX, 0), .nruns = nruns};
    struct lp_pair label = {LP_STR("a"), LP_STR("1")};
    uint32_t stream;
    char *line = lp_malloc(line_max + 1);
    lp_rc rc = lp_batch_stream(m.batch, &label, 1, NULL, &stream, NULL);
    LP_ASSERT(rc == LP_OK);
    m.rows = lp_calloc(n, sizeof(*m.rows));
    m.runs = lp_calloc(nruns, sizeof(*m.runs));
    int64_t t = 0;
    for (uint32_t i = 0; i < n; i++) {
        size_t len = lp_rand(&seed) % (line_max + 1);
        for (size_t k = 0; k < len; k++) {
            line[k] = (char)lp_rand(&seed);
        }
        struct lp_pair meta[2] = {{LP_STR("k\0x"), lp_str_of(line, len / 2)}, {LP_STR(""), LP_STR("v")}};
        meta[0].name.n = 1 + i % 3;
        t = i % (n / nruns) == 0 ? (int64_t)lp_rand(&seed) / 2 : t + (int64_t)(lp_rand(&seed) % 5) * 1000;
        rc = lp_batch_add(m.batch, stream, t, lp_str_of(line, len), false, meta, i % 4 == 0 ? 2 : 0, NULL);
        LP_ASSERT(rc == LP_OK);
    }
    lp_free(line);
    for (uint32_t i = 0; i < n; i++) {
        m.rows[i] = (struct lp_block_row){&m.batch->rows[i], i / 7};
    }
    for (uint32_t k = 0; k < nruns; k++) {
        uint32_t first = k * (n / nruns), rows = k + 1 == nruns ? n - first : n / nruns;
        m.runs[k] = (struct lp_block_run){k * 3, first, rows, m.batch->rows[first].time_ns,
                                          m.batch->rows[first + rows - 1].time_ns};
    }
    return m;
}

static void
free_rows(struct made *m)
{
    lp_batch_free(m->batch);
    lp_free(m->rows);
    lp_free(m->runs);
}

static lp_rc
encode(const struct made *m, uint32_t n, struct lp_buf *out, bool plain)
{
    struct lp_block_encoder *e = lp_block_encoder_new();
    struct lp_block_src src = {7, 2, m->rows, n, m->runs, m->nruns, false};
    if (plain) {
        lp_block_encoder_plain(e);
    }
    lp_rc rc = lp_block_encode(e, &src, out, NULL);
    lp_block_encoder_free(e);
    return rc;
}

static void
check_rows(struct lp_block *b, const struct made *m, uint32_t n)
{
    struct lp_codec *c = lp_codec_new();
    const int64_t *times;
    const uint32_t *source;
    CU_ASSERT_EQUAL_FATAL(lp_block_times(b, c, &times, NULL), LP_OK);
    CU_ASSERT_EQUAL_FATAL(lp_block_source(b, c, &source, NULL), LP_OK);
    for (uint32_t i = 0; i < n; i++) {
        const struct lp_row *r = m->rows[i].row;
        struct lp_str line;
        const struct lp_pair *meta;
        size_t nmeta;
        CU_ASSERT_EQUAL_FATAL(lp_block_line(b, c, i, &line, NULL), LP_OK);
        CU_ASSERT_EQUAL_FATAL(lp_block_meta(b, c, i, &meta, &nmeta, NULL), LP_OK);
        CU_ASSERT(lp_str_eq(line, lp_str_of(r->line, r->line_bytes)));
        CU_ASSERT_EQUAL(times[i], r->time_ns);
        CU_ASSERT_EQUAL(source[i], i / 7);
        struct lp_meta_iter it = lp_meta_begin(r->meta);
        struct lp_pair p;
        size_t k = 0;
        for (; lp_meta_next(&it, &p) && k < nmeta; k++) {
            CU_ASSERT(lp_str_eq(p.name, meta[k].name) && lp_str_eq(p.value, meta[k].value));
        }
        CU_ASSERT_EQUAL(k, nmeta);
    }
    lp_codec_free(c);
}

static void
round_trip(uint32_t n, uint32_t nruns, size_t line_max, bool plain)
{
    struct made m = make_rows(n, nruns, line_max, n + line_max);
    struct lp_buf out;
    struct lp_block *b;
    lp_buf_init(&out, SIZE_MAX);
    CU_ASSERT_EQUAL_FATAL(encode(&m, n, &out, plain), LP_OK);
    struct lp_block_io io = {lp_read_buf, &out, out.n, NULL};
    CU_ASSERT_EQUAL_FATAL(lp_block_open(&io, NULL, &b, NULL), LP_OK);
    CU_ASSERT_EQUAL(lp_block_head(b)->number, 7);
    CU_ASSERT_EQUAL(lp_block_head(b)->rows, n);
    check_rows(b, &m, n);
    lp_block_free(b);
    lp_buf_clear(&out);
    free_rows(&m);
}

static void
gives_back_what_went_in(void)
{
    round_trip(1, 1, 0, false);
    round_trip(1, 1, 3u << 20, false); /* one line above the frame size */
    round_trip(100, 1, 200, false);
    round_trip(5000, 50, 300, false);
    round_trip(64, 64, 10, true);
    round_trip(20, 2, 1u << 20, false); /* several line frames */
    round_trip(LP_BLOCK_ROWS_MAX, 3, 8, false);
}

/* Every flipped bit must be refused, by opening or by the proof; never a crash, never other rows. */
static void
every_flipped_bit_is_found(void)
{
    struct made m = make_rows(60, 3, 40, 5);
    struct lp_buf out;
    uint64_t seed = 9;
    struct lp_codec *c = lp_codec_new();
    lp_buf_init(&out, SIZE_MAX);
    CU_ASSERT_EQUAL_FATAL(encode(&m, 60, &out, false), LP_OK);
    size_t found = 0, tried = LP_MIN(out.n * 8, (size_t)20000);
    for (size_t i = 0; i < tried; i++) {
        size_t bit = tried == out.n * 8 ? i : lp_rand(&seed) % (out.n * 8);
        struct lp_block *b = NULL;
        struct lp_block_io io = {lp_read_buf, &out, out.n, NULL};
        out.p[bit / 8] = (char)(out.p[bit / 8] ^ 1 << bit % 8);
        lp_rc rc = lp_block_open(&io, NULL, &b, NULL);
        rc = rc == LP_OK ? lp_block_prove(b, c, NULL) : rc;
        found += rc != LP_OK;
        lp_block_free(b);
        out.p[bit / 8] = (char)(out.p[bit / 8] ^ 1 << bit % 8);
    }
    CU_ASSERT_EQUAL(found, tried);
    lp_codec_free(c);
    lp_buf_clear(&out);
    free_rows(&m);
}

static void
cut_blocks_are_refused(void)
{
    struct made m = make_rows(30, 1, 40, 6);
    struct lp_buf out;
    lp_buf_init(&out, SIZE_MAX);
    CU_ASSERT_EQUAL_FATAL(encode(&m, 30, &out, false), LP_OK);
    size_t whole = out.n;
    for (size_t n = 0; n < whole; n++) {
        struct lp_block *b = NULL;
        struct lp_block_io io = {lp_read_buf, &out, n, NULL};
        out.n = n;
        CU_ASSERT_NOT_EQUAL(lp_block_open(&io, NULL, &b, NULL), LP_OK);
        lp_block_free(b);
    }
    lp_buf_clear(&out);
    free_rows(&m);
}

LP_SUITE(block, {"gives back what went in", gives_back_what_went_in},
         {"every flipped bit is found", every_flipped_bit_is_found},
         {"cut blocks are refused", cut_blocks_are_refused});
