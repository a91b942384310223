/*
 * fuzz_segment.c - any bytes as a block of a segment. An odd first byte: its checksums are made right first,
 * so that what lies behind them is reached. Oracle: no crash, no sanitizer report, no unbounded memory; a
 * block that proves whole gives all its rows.
 */
#include <string.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "base/hash.h"
#include "store/block.h"
#include "store/seg_format.h"

#define BLOCK_BYTES_MAX (1u << 20)
#define ROWS_READ 300

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

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct lp_block *b;
    struct lp_buf bytes;
    if (size < 1 || size > BLOCK_BYTES_MAX) {
        return 0;
    }
    lp_buf_init(&bytes, SIZE_MAX / 2);
    lp_buf_add(&bytes, data + 1, size - 1);
    if (data[0] & 1) {
        mend(&bytes);
    }
    struct lp_codec *c = lp_codec_new();
    struct lp_block_io io = {.read = read_bytes, .ctx = &bytes, .bytes = bytes.n};
    if (lp_block_open(&io, NULL, &b, NULL) == LP_OK) {
        bool whole = lp_block_prove(b, c, NULL) == LP_OK;
        read_all(b, c, whole);
        lp_block_free(b);
    }
    lp_codec_free(c);
    lp_buf_clear(&bytes);
    return 0;
}
