/*
 * fuzz_table.c - any bytes as a segment file: its footer, index and pages of the stream table, keys, lists.
 * An odd first byte: checksums are made right first, so that what lies behind them is reached. Oracle: no
 * crash, no sanitizer report, no unbounded memory; a page that is taken lies inside the blocks of its group,
 * and each of its streams is found again by its id.
 */
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/hash.h"
#include "store/segment.h"

#define FILE_BYTES_MAX (1u << 20)
#define ROWS_PROVEN 4096u
#define LIST_BYTES (64u << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* --- checksums --- */

/* A section as it stands in the file, if it lies in it. */
static struct lp_str
section_of(const struct lp_buf *b, uint64_t dir, uint32_t i)
{
    const char *row = b->p + dir + 4 + (size_t)i * LP_SEG_DIR_ROW_BYTES;
    uint64_t off = lp_get_u64(row + 8), n = lp_get_u64(row + 16);
    return off <= b->n && n <= b->n - off ? lp_str_of(b->p + off, (size_t)n) : LP_STR_NULL;
}

/* The place that stands next in the index: its checksum is made that of the bytes it names. */
static void
mend_place(struct lp_rd *rd, struct lp_str section, uint64_t *at)
{
    uint64_t n = lp_rd_varint(rd);
    (void)lp_rd_varint(rd);
    (void)lp_rd_u8(rd);
    struct lp_str crc = lp_rd_bytes(rd, 4);
    if (!rd->bad && *at <= section.n && n <= section.n - *at) {
        lp_put_u32((char *)(uintptr_t)crc.p, lp_crc32c(0, section.p + *at, (size_t)n));
        *at += n;
    }
}

static void
mend_index(struct lp_str index, struct lp_str pages, struct lp_str keys)
{
    struct lp_rd rd = lp_rd_of(index);
    uint64_t npages = 0, at = 0;
    for (uint64_t n = lp_rd_varint(&rd); n > 0 && !rd.bad; n--) {
        (void)lp_rd_varint(&rd);
        (void)lp_rd_varint(&rd);
        npages += lp_rd_varint(&rd);
    }
    for (; npages > 0 && !rd.bad; npages--) {
        for (unsigned i = 0; i < 6; i++) {
            (void)lp_rd_varint(&rd);
        }
        mend_place(&rd, pages, &at);
    }
    at = 0;
    for (uint64_t n = lp_rd_varint(&rd); n > 0 && !rd.bad; n--) {
        (void)lp_rd_varint(&rd);
        mend_place(&rd, keys, &at);
    }
}

static void
mend_sections(struct lp_buf *b, uint64_t dir, uint32_t n)
{
    struct lp_str found[3] = {LP_STR_NULL, LP_STR_NULL, LP_STR_NULL};
    static const char *const names[] = {"STIX", "STPG", "SKEY"};
    for (unsigned pass = 0; pass < 2;
         pass++) { /* the index first: its own checksum is over what it then holds */
        for (uint32_t i = 0; i < n; i++) {
            char *row = b->p + dir + 4 + (size_t)i * LP_SEG_DIR_ROW_BYTES;
            struct lp_str s = section_of(b, dir, i);
            for (size_t k = 0; k < LP_ARRAY_LEN(names); k++) {
                found[k] = memcmp(row, names[k], 4) == 0 ? s : found[k];
            }
            if (pass == 1) {
                lp_put_u32(row + 28, lp_crc32c(0, s.p, s.n));
            }
        }
        if (pass == 0) {
            mend_index(found[0], found[1], found[2]);
        }
    }
}

static void
mend(struct lp_buf *b)
{
    if (b->n < LP_SEG_HEADER_BYTES + LP_SEG_TRAILER_BYTES) {
        return;
    }
    char *h = b->p, *t = b->p + b->n - LP_SEG_TRAILER_BYTES;
    uint64_t dir = lp_get_u64(t + 24), end = b->n - LP_SEG_TRAILER_BYTES;
    lp_put_u32(h + 20, lp_crc32c(lp_crc32c(0, h, 20), h + 24, LP_SEG_HEADER_BYTES - 24));
    lp_put_u64(t + 48, b->n);
    if (dir <= end && end - dir >= 4 && lp_get_u32(b->p + dir) <= (end - dir - 4) / LP_SEG_DIR_ROW_BYTES) {
        mend_sections(b, dir, lp_get_u32(b->p + dir));
        lp_put_u32(t + 36, lp_crc32c(0, b->p + dir, (size_t)(end - dir)));
    }
    lp_put_u32(t + 12, lp_crc32c(lp_crc32c(0, t + 16, LP_SEG_TRAILER_BYTES - 16), t + 8, 4));
}

/* --- reading --- */

static void
read_page(struct lp_seg *s, uint32_t number)
{
    const struct lp_seg_page *p;
    lp_rc rc = lp_seg_page(s, number, &p, NULL);
    LP_ASSERT(rc == LP_OK || rc == LP_ERR_CORRUPT || rc == LP_ERR_UNSUPPORTED);
    for (uint32_t i = 0; rc == LP_OK && i < p->nstreams; i++) {
        const struct lp_foot_stream *found;
        const struct lp_foot_run *runs;
        rc = lp_seg_stream(s, s->groups[p->group].id, p->streams[i].id, &found, &runs, NULL);
        LP_ASSERT(rc == LP_OK && found == &p->streams[i]);
        for (uint32_t k = 0; k < found->runs; k++) {
            const struct lp_foot_block *b = &s->blocks[runs[k].block];
            LP_ASSERT(b->group == p->group && runs[k].rows >= 1);
            LP_ASSERT((uint64_t)runs[k].first + runs[k].rows <= b->rows && runs[k].min_ns <= runs[k].max_ns);
        }
    }
}

static void
read_lists(struct lp_seg *s)
{
    struct lp_arena ar;
    struct lp_foot_ticket *tickets;
    struct lp_foot_group *groups;
    struct lp_batch_id *ids;
    struct lp_seg_origin origin;
    struct lp_str *keys;
    size_t n;
    lp_arena_init(&ar, LIST_BYTES, 0);
    lp_rc rc[] = {lp_seg_tickets(s, false, &ar, &tickets, &n, NULL),
                  lp_seg_tickets(s, true, &ar, &tickets, &n, NULL),
                  lp_seg_groups(s, &ar, &groups, &n, NULL),
                  lp_seg_ids(s, &ar, &ids, &n, NULL),
                  lp_seg_origin(s, &ar, &origin, NULL),
                  lp_seg_keys(s, &ar, &keys, NULL)};
    for (size_t i = 0; i < LP_ARRAY_LEN(rc); i++) {
        LP_ASSERT(rc[i] != LP_ERR_IO);
    }
    lp_arena_clear(&ar);
}

static void
read_segment(struct lp_seg *s)
{
    uint64_t rows = 0;
    for (size_t i = 0; i < s->nblocks; i++) {
        rows += s->blocks[i].rows;
    }
    for (uint32_t i = 0; i < s->npages; i++) {
        read_page(s, i);
    }
    read_lists(s);
    if (rows <= ROWS_PROVEN) {
        (void)!lp_seg_prove(s, NULL);
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct lp_buf bytes;
    struct lp_seg *s;
    char path[64];
    if (size < 1 || size > FILE_BYTES_MAX) {
        return 0;
    }
    lp_buf_init(&bytes, SIZE_MAX / 2);
    lp_buf_add(&bytes, data + 1, size - 1);
    if (data[0] & 1) {
        mend(&bytes);
    }
    int fd = memfd_create("segment", 0);
    LP_ASSERT(fd >= 0 && write(fd, bytes.p, bytes.n) == (ssize_t)bytes.n);
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    if (lp_seg_open(lp_io_posix(), path, &s, NULL) == LP_OK) {
        read_segment(s);
        lp_seg_unref(s);
    }
    close(fd);
    lp_buf_clear(&bytes);
    return 0;
}
