/*
 * fuzz_segment.c - any bytes as a block of a segment, or as its id index (bit 1 of the first byte). An odd
 * first byte: their checksums are made right first, so that what lies behind them is reached. Oracle: no
 * crash, no sanitizer report, no unbounded memory; a block that proves whole gives all its rows; a search
 * names only rows that it was asked for, and those it is sure of among them; the index names only blocks that
 * there are.
 */
#include <string.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "base/hash.h"
#include "store/idindex.h"
#include "store/match.h"
#include "store/seg_format.h"

#define BLOCK_BYTES_MAX (1u << 20)
#define ROWS_READ 300
#define ROWS_PROVEN 4096u
#define INDEX_HEAD_BYTES 12u
#define INDEX_BLOCKS_MAX 4096u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static lp_rc
read_bytes(void *ctx, void *dst, size_t n, uint64_t off, struct lp_err *err)
{
    const struct lp_buf *b = ctx;
    if (off > b->n || n > b->n - off) {
        return lp_err_set(err, LP_ERR_CORRUPT, "short block");
    }
    memcpy(dst, b->p + off, n);
    return LP_OK;
}

static void
mend(struct lp_buf *b)
{
    uint64_t frames = b->n >= LP_BLOCK_HEAD_BYTES ? lp_get_u32(b->p + 24) : 0;
    uint64_t off = LP_BLOCK_HEAD_BYTES + frames * LP_FRAME_ROW_BYTES;
    if (frames == 0 || off > b->n) {
        return;
    }
    for (uint64_t i = 0; i < frames; i++) {
        char *row = b->p + LP_BLOCK_HEAD_BYTES + i * LP_FRAME_ROW_BYTES;
        uint64_t bytes = LP_MIN((uint64_t)lp_get_u32(row + 12), b->n - off);
        lp_put_u32(row + 16, lp_crc32c(0, b->p + off, (size_t)bytes));
        off += bytes;
    }
    uint32_t crc = lp_crc32c(0, b->p + 8, LP_BLOCK_HEAD_BYTES - 8);
    lp_put_u32(b->p + 4, lp_crc32c(crc, b->p + LP_BLOCK_HEAD_BYTES, (size_t)frames * LP_FRAME_ROW_BYTES));
}

/* Reads everything as a search would; any part may be refused. */
static void
read_all(struct lp_block *b, struct lp_codec *c, bool whole)
{
    const struct lp_block_head *h = lp_block_head(b);
    const struct lp_block_run *runs;
    const struct lp_pair *meta;
    const uint32_t *numbers;
    const int64_t *times;
    struct lp_str line;
    size_t nmeta;
    uint32_t bytes;
    bool ok = lp_block_times(b, c, &times, NULL) == LP_OK;
    ok = (lp_block_runs(b, c, &runs, NULL) == LP_OK) && ok;
    ok = (lp_block_source(b, c, &numbers, NULL) == LP_OK) && ok;
    for (uint32_t i = 0; i < h->rows && i < ROWS_READ; i++) {
        ok = (lp_block_line_bytes(b, c, i, &bytes, NULL) == LP_OK) && ok;
        ok = (lp_block_line(b, c, i, &line, NULL) == LP_OK) && ok;
        LP_ASSERT(!ok || line.n == bytes);
        ok = (lp_block_meta(b, c, i, &meta, &nmeta, NULL) == LP_OK) && ok;
    }
    LP_ASSERT(ok || !whole);
}

/* --- the search --- */

#define NEEDLE(t) ((struct lp_needle){LP_STR(t), false})
#define EITHER_CASE(t) ((struct lp_needle){LP_STR(t), true})

static bool
bit(const uint64_t *v, uint32_t i)
{
    return v != NULL && (v[i / 64] >> (i % 64) & 1) != 0;
}

static void
match_one(struct lp_block *b, struct lp_codec *c, const struct lp_linepred *pred)
{
    uint32_t rows = lp_block_head(b)->rows;
    struct lp_row_range ranges[2] = {{0, rows / 2}, {rows / 2 + 1, rows}}, whole = {0, rows};
    size_t n = rows / 2 + 1 < rows ? 2 : 1;
    struct lp_match_plan *plan = lp_match_plan_new(pred);
    struct lp_match m;
    lp_match_plan_bind(plan, NULL, 0);
    if (lp_block_match(b, c, plan, 0, &whole, 1, NULL, NULL, &m, NULL) == LP_OK) {
        for (uint32_t i = 0; i < rows; i++) {
            LP_ASSERT(bit(m.rows, i) || !bit(m.sure, i));
        }
        lp_match_clear(&m);
    }
    if (lp_block_match(b, c, plan, 0, ranges, n, NULL, NULL, &m, NULL) == LP_OK) {
        LP_ASSERT(!bit(m.rows, rows / 2) && !bit(m.sure, rows / 2));
        lp_match_clear(&m);
    }
    lp_match_plan_free(plan);
}

/* Each by itself (or only number `which`), so that each way through columns and cells is gone; then all in
 * one. `own` is a piece of the input. */
static void
match_all(struct lp_block *b, struct lp_codec *c, struct lp_str own, unsigned which)
{
    const struct lp_needle needles[] = {NEEDLE("a"),
                                        NEEDLE("1"),
                                        NEEDLE("="),
                                        NEEDLE("id=0"),
                                        NEEDLE("42 "),
                                        NEEDLE(" 00012 "),
                                        NEEDLE("e3f"),
                                        EITHER_CASE("c0de"),
                                        EITHER_CASE("get /user"),
                                        NEEDLE("\xc3\xbc"),
                                        NEEDLE(" 0123456789abcdef0123456789abcdef "),
                                        {own, false}};
    struct lp_clause clauses[LP_ARRAY_LEN(needles)];
    for (size_t i = 0; i < LP_ARRAY_LEN(needles); i++) {
        size_t n = i + 1 < LP_ARRAY_LEN(needles) ? 1 + i % 2 : 1;
        clauses[i] = (struct lp_clause){&needles[i], n, i % 3 == 0};
        struct lp_linepred one = {&clauses[i], 1, true}, not_all = {&clauses[i], 1, false};
        if (which == 0 || which % LP_ARRAY_LEN(needles) == i) {
            match_one(b, c, clauses[i].negative ? &one : &not_all);
        }
    }
    struct lp_linepred all = {clauses, 4, true};
    match_one(b, c, &all);
}

static void
fuzz_block(const struct lp_buf *bytes, bool trim, unsigned which)
{
    struct lp_codec *c = lp_codec_new();
    struct lp_block *b;
    struct lp_block_io io = {.read = read_bytes, .ctx = (void *)(uintptr_t)bytes, .bytes = bytes->n};
    if (lp_block_open(&io, NULL, &b, NULL) == LP_OK) {
        bool whole = lp_block_head(b)->rows <= ROWS_PROVEN && lp_block_prove(b, c, NULL) == LP_OK;
        if (trim) { /* searches find nothing decoded */
            lp_block_trim(b);
        }
        size_t n = LP_MIN(bytes->n, (size_t)9);
        match_all(b, c, lp_str_of(bytes->p + bytes->n - n, n), which);
        lp_block_trim_unused(b);
        read_all(b, c, whole);
        lp_block_free(b);
    }
    lp_codec_free(c);
}

/* --- the id index --- */

static void
mend_index(struct lp_buf *b)
{
    uint64_t buckets = b->n >= INDEX_HEAD_BYTES ? UINT64_C(1) << ((uint8_t)b->p[8] & 31) : 0;
    uint64_t head = INDEX_HEAD_BYTES + buckets * 8 + 4, begin = 0;
    if (buckets == 0 || head > b->n) {
        return;
    }
    for (uint64_t i = 0; i < buckets; i++) {
        char *row = b->p + INDEX_HEAD_BYTES + i * 8;
        uint64_t end = lp_get_u32(row);
        if (end < begin || end > b->n - head) {
            break;
        }
        lp_put_u32(row + 4, lp_crc32c(0, b->p + head + begin, (size_t)(end - begin)));
        begin = end;
    }
    lp_put_u32(b->p + head - 4, lp_crc32c(0, b->p, head - 4));
}

static void
fuzz_index(const struct lp_buf *bytes)
{
    struct lp_idindex *x;
    uint32_t nblocks = bytes->n >= INDEX_HEAD_BYTES ? lp_get_u32(bytes->p + 4) : 0;
    uint64_t blocks[INDEX_BLOCKS_MAX / 64 + 1];
    void *ctx = (void *)(uintptr_t)bytes;
    if (nblocks > INDEX_BLOCKS_MAX ||
        lp_idindex_open(read_bytes, ctx, bytes->n, nblocks, &x, NULL) != LP_OK) {
        return;
    }
    bool whole = lp_idindex_prove(x, read_bytes, ctx, NULL) == LP_OK;
    for (uint64_t i = 0; i < 70; i++) {
        uint64_t hash = i < 64 ? UINT64_MAX >> i : lp_xxh64(bytes->p, INDEX_HEAD_BYTES - i % 8);
        memset(blocks, 0, sizeof(blocks));
        lp_rc rc = lp_idindex_find(x, read_bytes, ctx, hash, blocks, NULL);
        LP_ASSERT(rc == LP_OK || rc == LP_ERR_CORRUPT);
        for (uint32_t k = nblocks; k < INDEX_BLOCKS_MAX + 64; k++) {
            LP_ASSERT(!bit(blocks, k));
        }
        LP_ASSERT(whole || rc != LP_OK || lp_idindex_memory(x) > 0);
    }
    lp_idindex_free(x);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct lp_buf bytes;
    if (size < 1 || size > BLOCK_BYTES_MAX) {
        return 0;
    }
    lp_buf_init(&bytes, SIZE_MAX / 2);
    lp_buf_add(&bytes, data + 1, size - 1);
    if (data[0] & 2) {
        if (data[0] & 1) {
            mend_index(&bytes);
        }
        fuzz_index(&bytes);
    } else {
        if (data[0] & 1) {
            mend(&bytes);
        }
        fuzz_block(&bytes, (data[0] & 4) != 0, data[0] >> 3);
    }
    lp_buf_clear(&bytes);
    return 0;
}
