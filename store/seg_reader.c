/*
 * seg_reader.c - opening segments and reading their sections, believing nothing that is not under a checked
 * CRC.
 *
 * Even under a good CRC every count, offset and index is bounded before use: a file may have been made up.
 */
#include <string.h>

#include "base/bytes.h"
#include "base/hash.h"
#include "base/metrics.h"
#include "store/keep.h"
#include "store/seg_int.h"

#define SECTIONS_MAX 64
#define TAIL_BYTES (16u << 10)

/* Reads bytes of the file. */
static lp_rc
read_at(const struct lp_seg *s, void *dst, size_t n, uint64_t off, struct lp_err *err)
{
    if (s->tail != NULL && off >= s->tail_off && n <= s->file_bytes - off) {
        memcpy(dst, s->tail + (off - s->tail_off), n);
        return LP_OK;
    }
    return lp_io_pread(s->io, s->fd, dst, n, off, err);
}

/* The file's end, where most of what is read at opening stands. */
static lp_rc
read_tail(struct lp_seg *s, struct lp_err *err)
{
    size_t n = (size_t)LP_MIN(s->file_bytes, (uint64_t)TAIL_BYTES);
    char *tail = lp_malloc(n);
    lp_rc rc = lp_io_pread(s->io, s->fd, tail, n, s->file_bytes - n, err);
    if (rc != LP_OK) {
        lp_free(tail);
        return rc;
    }
    s->tail = tail;
    s->tail_off = s->file_bytes - n;
    return LP_OK;
}

lp_rc
lp_seg_corrupt(const struct lp_seg *s, const char *what, struct lp_err *err)
{
    return lp_corrupt(err, "segment %s: %s", s->path, what);
}

static lp_rc
read_header(struct lp_seg *s, struct lp_err *err)
{
    char h[LP_SEG_HEADER_BYTES];
    lp_rc rc = read_at(s, h, sizeof(h), 0, err);
    if (rc != LP_OK) {
        return rc;
    }
    if (memcmp(h, LP_SEG_MAGIC, 8) != 0 ||
        lp_crc32c(lp_crc32c(0, h, 20), h + 24, sizeof(h) - 24) != lp_get_u32(h + 20)) {
        return lp_seg_corrupt(s, "header checksum differs", err);
    }
    s->version = lp_get_u16(h + 8);
    if (s->version > LP_SEG_VERSION || (lp_get_u32(h + 16) & ~LP_SEG_INCOMPAT_KNOWN) != 0) {
        return lp_err_set(err, LP_ERR_UNSUPPORTED, "segment %s is of a later version of Logpond", s->path);
    }
    memcpy(s->uuid.b, h + 24, sizeof(s->uuid.b));
    s->id = lp_get_u64(h + 40);
    s->created_ns = (int64_t)lp_get_u64(h + 48);
    return LP_OK;
}

static lp_rc
read_trailer(struct lp_seg *s, uint64_t *ret_off, uint32_t *ret_bytes, uint32_t *ret_crc, struct lp_err *err)
{
    char t[LP_SEG_TRAILER_BYTES];
    if (s->file_bytes < LP_SEG_HEADER_BYTES + sizeof(t)) {
        return lp_seg_corrupt(s, "too short to be a segment", err);
    }
    lp_rc rc = read_at(s, t, sizeof(t), s->file_bytes - sizeof(t), err);
    if (rc != LP_OK) {
        return rc;
    }
    if (memcmp(t, LP_SEG_END_MAGIC, 8) != 0 ||
        lp_crc32c(lp_crc32c(0, t + 16, sizeof(t) - 16), t + 8, 4) != lp_get_u32(t + 12)) {
        return lp_seg_corrupt(s, "trailer checksum differs", err);
    }
    *ret_off = lp_get_u64(t + 24);
    *ret_bytes = lp_get_u32(t + 32);
    *ret_crc = lp_get_u32(t + 36);
    s->rows = lp_get_u64(t + 40);
    s->generation = lp_get_u64(t + 56);
    if (lp_get_u64(t + 16) != s->id || lp_get_u64(t + 48) != s->file_bytes ||
        *ret_off < LP_SEG_HEADER_BYTES || *ret_off > s->file_bytes - sizeof(t) ||
        *ret_bytes != s->file_bytes - sizeof(t) - *ret_off) {
        return lp_seg_corrupt(s, "trailer does not fit the file", err);
    }
    return LP_OK;
}

static lp_rc
parse_directory(struct lp_seg *s, struct lp_str bytes, uint64_t dir_off, struct lp_err *err)
{
    struct lp_rd rd = lp_rd_of(bytes);
    s->nsections = lp_rd_u32(&rd);
    if (rd.bad || s->nsections > SECTIONS_MAX ||
        lp_rd_left(&rd) != (size_t)s->nsections * LP_SEG_DIR_ROW_BYTES) {
        s->nsections = 0;
        return lp_seg_corrupt(s, "footer directory has a wrong size", err);
    }
    s->sections = lp_calloc(s->nsections, sizeof(*s->sections));
    for (uint32_t i = 0; i < s->nsections; i++) {
        struct lp_seg_section *sec = &s->sections[i];
        memcpy(sec->id, lp_rd_bytes(&rd, 4).p, 4);
        sec->codec = lp_rd_u32(&rd);
        sec->off = lp_rd_u64(&rd);
        sec->bytes = lp_rd_u64(&rd);
        sec->raw_bytes = lp_rd_u32(&rd);
        sec->crc = lp_rd_u32(&rd);
        if (sec->off < LP_SEG_HEADER_BYTES || sec->off > dir_off || sec->bytes > dir_off - sec->off ||
            sec->raw_bytes > LP_SECTION_BYTES_MAX || sec->codec > 255) {
            return lp_seg_corrupt(s, "footer section out of range", err);
        }
    }
    return LP_OK;
}

static lp_rc
read_directory(struct lp_seg *s, struct lp_err *err)
{
    uint64_t off = 0;
    uint32_t bytes = 0, crc = 0;
    lp_rc rc = read_trailer(s, &off, &bytes, &crc, err);
    if (rc != LP_OK) {
        return rc;
    }
    if (bytes > 4 + SECTIONS_MAX * LP_SEG_DIR_ROW_BYTES) {
        return lp_seg_corrupt(s, "footer directory is too large", err);
    }
    char dir[4 + SECTIONS_MAX * LP_SEG_DIR_ROW_BYTES];
    rc = read_at(s, dir, bytes, off, err);
    if (rc == LP_OK && lp_crc32c(0, dir, bytes) != crc) {
        rc = lp_seg_corrupt(s, "footer directory checksum differs", err);
    }
    return rc == LP_OK ? parse_directory(s, lp_str_of(dir, bytes), off, err) : rc;
}

const struct lp_seg_section *
lp_seg_section(const struct lp_seg *s, const char id[4])
{
    for (uint32_t i = 0; i < s->nsections; i++) {
        if (memcmp(s->sections[i].id, id, 4) == 0) {
            return &s->sections[i];
        }
    }
    return NULL;
}

lp_rc
lp_seg_load(const struct lp_seg *s, const char id[4], char **ret, size_t *ret_n, struct lp_err *err)
{
    const struct lp_seg_section *sec = lp_seg_section(s, id);
    if (sec == NULL) {
        return lp_seg_corrupt(s, "a footer section is missing", err);
    }
    char *stored = lp_malloc(sec->bytes), *raw = NULL;
    struct lp_codec *codec = lp_codec_new();
    lp_rc rc = read_at(s, stored, sec->bytes, sec->off, err);
    if (rc == LP_OK && lp_crc32c(0, stored, sec->bytes) != sec->crc) {
        rc = lp_corrupt(err, "segment %s: checksum of footer section %.4s differs", s->path, id);
    }
    if (rc == LP_OK) {
        raw = lp_malloc(sec->raw_bytes);
        rc = lp_codec_decode(codec, (uint8_t)sec->codec, lp_str_of(stored, sec->bytes), raw, sec->raw_bytes,
                             err);
    }
    lp_codec_free(codec);
    lp_free(stored);
    if (rc != LP_OK) {
        lp_free(raw);
        return rc;
    }
    *ret = raw;
    *ret_n = sec->raw_bytes;
    return LP_OK;
}

static lp_rc
read_blocks(struct lp_seg *s, struct lp_err *err)
{
    char *raw;
    size_t n;
    lp_rc rc = lp_seg_load(s, "BLKS", &raw, &n, err);
    if (rc != LP_OK) {
        return rc;
    }
    struct lp_rd rd = lp_rd_of(lp_str_of(raw, n));
    s->nblocks = n / LP_BLKS_ROW_BYTES;
    s->blocks = lp_calloc(s->nblocks, sizeof(*s->blocks));
    s->slots = lp_calloc(s->nblocks, sizeof(*s->slots));
    bool bad = n % LP_BLKS_ROW_BYTES != 0;
    for (size_t i = 0; i < s->nblocks; i++) {
        struct lp_foot_block *b = &s->blocks[i];
        b->off = lp_rd_u64(&rd);
        b->bytes = lp_rd_u64(&rd);
        b->line_bytes = lp_rd_u64(&rd);
        b->group = lp_rd_u32(&rd);
        b->rows = lp_rd_u32(&rd);
        b->min_ns = (int64_t)lp_rd_u64(&rd);
        b->max_ns = (int64_t)lp_rd_u64(&rd);
        b->runs = lp_rd_u32(&rd);
        b->tokens.longest = lp_rd_u16(&rd);
        b->tokens.hex = lp_rd_u8(&rd);
        b->tokens.known = (lp_rd_u8(&rd) & 1) != 0;
        bad = bad || b->off < LP_SEG_HEADER_BYTES || b->off > s->file_bytes ||
              b->bytes > s->file_bytes - b->off || b->rows < 1 || b->rows > LP_BLOCK_ROWS_MAX ||
              b->runs < 1 || b->runs > b->rows;
    }
    lp_free(raw);
    return bad ? lp_seg_corrupt(s, "block list out of range", err) : LP_OK;
}

/* What a merged segment says of itself. Others stand for their own generation. */
static lp_rc
read_merge(struct lp_seg *s, struct lp_err *err)
{
    char *raw;
    size_t n;
    s->first_generation = s->generation;
    if (lp_seg_section(s, "MERG") == NULL) {
        return LP_OK;
    }
    lp_rc rc = lp_seg_load(s, "MERG", &raw, &n, err);
    if (rc != LP_OK) {
        return rc;
    }
    struct lp_rd rd = lp_rd_of(lp_str_of(raw, n));
    s->first_generation = lp_rd_varint(&rd);
    s->level = lp_rd_u8(&rd);
    bool bad = rd.bad || s->level < 1 || s->first_generation > s->generation;
    lp_free(raw);
    return bad ? lp_seg_corrupt(s, "what it was merged from is malformed", err) : LP_OK;
}

void
lp_seg_expect(const struct lp_io *io, const char *path)
{
    int fd;
    uint64_t bytes;
    if (lp_io_open(io, path, LP_IO_READ, &fd, NULL) != LP_OK) {
        return;
    }
    if (lp_io_size(io, fd, &bytes, NULL) == LP_OK) {
        size_t n = (size_t)LP_MIN(bytes, (uint64_t)TAIL_BYTES);
        lp_io_expect(io, fd, bytes - n, n);
        lp_io_expect(io, fd, 0, LP_SEG_HEADER_BYTES);
    }
    lp_io_close(io, fd);
}

lp_rc
lp_seg_open(const struct lp_io *io, const char *path, struct lp_seg **ret, struct lp_err *err)
{
    struct lp_seg *s = lp_calloc(1, sizeof(*s));
    s->refs = 1;
    s->io = io;
    s->fd = -1;
    s->path = lp_strdup(path);
    lp_rc rc = lp_io_open(io, path, LP_IO_READ, &s->fd, err);
    if (rc == LP_OK) {
        rc = lp_io_size(io, s->fd, &s->file_bytes, err);
    }
    if (rc == LP_OK && s->file_bytes < LP_SEG_HEADER_BYTES + LP_SEG_TRAILER_BYTES) {
        rc = lp_seg_corrupt(s, "too short to be a segment", err);
    }
    lp_rc (*const steps[])(struct lp_seg *, struct lp_err *) = {
        read_tail, read_header, read_directory, read_blocks, lp_seg_open_pages, read_merge};
    for (size_t i = 0; i < LP_ARRAY_LEN(steps) && rc == LP_OK; i++) {
        rc = steps[i](s, err);
    }
    lp_free(s->tail);
    s->tail = NULL;
    if (rc != LP_OK) {
        lp_seg_unref(s);
        return rc;
    }
    s->memory = sizeof(*s) + s->nblocks * (sizeof(*s->blocks) + sizeof(*s->slots)) + lp_seg_pages_memory(s);
    s->opened = true;
    lp_keep_always(s->memory);
    lp_metric_add(LP_M_SEGMENTS_OPEN, 1);
    *ret = s;
    return LP_OK;
}

lp_rc
lp_seg_created(const struct lp_io *io, const char *path, int64_t *ret_ns, struct lp_err *err)
{
    struct lp_seg s = {.io = io, .path = (char *)(uintptr_t)path};
    lp_rc rc = lp_io_open(io, path, LP_IO_READ, &s.fd, err);
    if (rc == LP_OK) {
        rc = read_header(&s, err);
        lp_io_close(io, s.fd);
    }
    if (rc == LP_OK) {
        *ret_ns = s.created_ns;
    }
    return rc;
}

struct lp_seg *
lp_seg_ref(struct lp_seg *s)
{
    atomic_fetch_add_explicit(&s->refs, 1, memory_order_relaxed);
    return s;
}

void
lp_seg_unref(struct lp_seg *s)
{
    if (s == NULL || atomic_fetch_sub_explicit(&s->refs, 1, memory_order_acq_rel) != 1) {
        return;
    }
    lp_io_close(s->io, s->fd);
    lp_free(s->sections);
    lp_seg_free_pages(s);
    for (size_t i = 0; s->slots != NULL && i < s->nblocks; i++) {
        lp_block_info_free(atomic_load(&s->slots[i]));
    }
    lp_free(s->slots);
    struct lp_idindex *ids = atomic_load(&s->ids);
    lp_unkeep(s->memory + (ids != NULL ? lp_idindex_memory(ids) : 0));
    lp_metric_add(LP_M_SEGMENTS_OPEN, -(int64_t)s->opened);
    lp_idindex_free(ids);
    lp_free(s->blocks);
    lp_free(s->path);
    lp_free(s);
}

struct seg_block_ctx {
    struct lp_seg *seg;
    uint64_t off, bytes;
};

static lp_rc
read_seg(void *ctx, void *dst, size_t n, uint64_t off, struct lp_err *err)
{
    const struct seg_block_ctx *c = ctx;
    if (off > c->bytes || n > c->bytes - off) {
        return lp_corrupt(err, "segment %s: block reaches past its end", c->seg->path);
    }
    return lp_io_pread(c->seg->io, c->seg->fd, dst, n, c->off + off, err);
}

lp_rc
lp_seg_block(struct lp_seg *s, uint32_t block, struct lp_block **ret, struct lp_err *err)
{
    LP_ASSERT(block < s->nblocks);
    const struct lp_foot_block *fb = &s->blocks[block];
    struct seg_block_ctx *ctx = lp_malloc(sizeof(*ctx));
    *ctx = (struct seg_block_ctx){s, fb->off, fb->bytes};
    struct lp_block_io io = {read_seg, ctx, fb->bytes, lp_free};
    struct lp_block *b;
    lp_rc rc = lp_block_open(&io, &s->slots[block], &b, err);
    if (rc != LP_OK) {
        return lp_err_prefix(err, rc, "segment %016llx", (unsigned long long)s->id);
    }
    const struct lp_block_head *h = lp_block_head(b);
    if (h->number != block || h->rows != fb->rows || h->runs != fb->runs || h->min_ns != fb->min_ns ||
        h->max_ns != fb->max_ns) {
        lp_block_free(b);
        return lp_corrupt(err, "segment %016llx: block %u is not what the footer says",
                          (unsigned long long)s->id, block);
    }
    *ret = b;
    return LP_OK;
}

/* --- the id index --- */

static lp_rc
read_ids(void *ctx, void *dst, size_t n, uint64_t off, struct lp_err *err)
{
    struct seg_block_ctx c = *(struct seg_block_ctx *)ctx;
    return read_seg(&c, dst, n, off, err);
}

/* The opened index; NULL where it is damaged. */
static const struct lp_idindex *
open_ids(struct lp_seg *s, struct seg_block_ctx *ctx)
{
    struct lp_idindex *have = atomic_load(&s->ids), *mine;
    if (have == NULL &&
        lp_idindex_open(read_ids, ctx, ctx->bytes, (uint32_t)s->nblocks, &mine, NULL) == LP_OK) {
        if (atomic_compare_exchange_strong(&s->ids, &have, mine)) {
            lp_keep_always(lp_idindex_memory(mine));
            have = mine;
        } else {
            lp_idindex_free(mine); /* another thread was first */
        }
    }
    return have;
}

void
lp_seg_expect_ids(struct lp_seg *s)
{
    const struct lp_seg_section *sec = lp_seg_section(s, "IDIX");
    if (sec != NULL && atomic_load(&s->ids) == NULL) {
        lp_io_expect(s->io, s->fd, sec->off, (size_t)LP_MIN(sec->bytes, (uint64_t)TAIL_BYTES));
    }
}

void
lp_seg_expect_id(struct lp_seg *s, uint64_t hash)
{
    const struct lp_seg_section *sec = lp_seg_section(s, "IDIX");
    if (sec == NULL) {
        return;
    }
    struct seg_block_ctx ctx = {s, sec->off, sec->bytes};
    const struct lp_idindex *x = open_ids(s, &ctx);
    if (x != NULL) {
        uint64_t off;
        size_t n;
        lp_idindex_where(x, hash, &off, &n);
        lp_io_expect(s->io, s->fd, sec->off + off, n);
    }
}

bool
lp_seg_find_id(struct lp_seg *s, uint64_t hash, uint64_t *blocks)
{
    const struct lp_seg_section *sec = lp_seg_section(s, "IDIX");
    if (sec == NULL) {
        return s->version >= 2; /* no block has an id */
    }
    struct seg_block_ctx ctx = {s, sec->off, sec->bytes};
    const struct lp_idindex *x = open_ids(s, &ctx);
    return x != NULL && lp_idindex_find(x, read_ids, &ctx, hash, blocks, NULL) == LP_OK;
}

static lp_rc
prove_ids(struct lp_seg *s, struct lp_err *err)
{
    const struct lp_seg_section *sec = lp_seg_section(s, "IDIX");
    struct lp_idindex *x;
    if (sec == NULL) {
        return LP_OK;
    }
    struct seg_block_ctx ctx = {s, sec->off, sec->bytes};
    lp_rc rc = lp_idindex_open(read_ids, &ctx, sec->bytes, (uint32_t)s->nblocks, &x, err);
    if (rc == LP_OK) {
        rc = lp_idindex_prove(x, read_ids, &ctx, err);
        lp_idindex_free(x);
    }
    return rc == LP_OK ? rc : lp_err_prefix(err, rc, "segment %016llx", (unsigned long long)s->id);
}

static lp_rc
prove_sections(struct lp_seg *s, struct lp_err *err)
{
    lp_rc rc = LP_OK;
    for (uint32_t i = 0; i < s->nsections && rc == LP_OK; i++) {
        char *raw;
        size_t n;
        rc = lp_seg_load(s, s->sections[i].id, &raw, &n, err);
        if (rc == LP_OK) {
            lp_free(raw);
        }
    }
    return rc;
}

/* A group's blocks, each of which must have the runs that the group's pages say. */
static lp_rc
prove_blocks(struct lp_seg *s, const struct lp_seg_group *g, struct lp_codec *c, struct lp_err *err)
{
    struct lp_seg_runs runs;
    lp_rc rc = lp_seg_group_runs(s, g, &runs, err);
    if (rc != LP_OK) {
        return rc;
    }
    for (uint32_t i = 0; i < g->nblocks && rc == LP_OK; i++) {
        struct lp_block *b;
        rc = lp_seg_block(s, g->first_block + i, &b, err);
        if (rc == LP_OK) {
            rc = lp_block_prove(b, c, err);
            rc = rc == LP_OK ? lp_seg_prove_runs(s, g->first_block + i, b, c, &runs, err) : rc;
            lp_block_free(b);
        }
    }
    lp_free(runs.v);
    lp_free(runs.first);
    return rc;
}

lp_rc
lp_seg_prove(struct lp_seg *s, struct lp_err *err)
{
    struct lp_codec *c = lp_codec_new();
    lp_rc rc = prove_sections(s, err);
    rc = rc == LP_OK ? lp_seg_prove_keys(s, err) : rc;
    for (uint32_t g = 0; g < s->ngroups && rc == LP_OK; g++) {
        rc = prove_blocks(s, &s->groups[g], c, err);
    }
    lp_codec_free(c);
    return rc == LP_OK ? prove_ids(s, err) : rc;
}

/* --- sections on request --- */

/* Copies a loaded section into the arena, so that slices can point into it. */
static lp_rc
section_in(struct lp_seg *s, const char id[4], struct lp_arena *ar, struct lp_rd *ret, struct lp_err *err)
{
    char *raw;
    size_t n;
    lp_rc rc = lp_seg_load(s, id, &raw, &n, err);
    if (rc != LP_OK) {
        return rc;
    }
    struct lp_str kept;
    bool ok = lp_arena_str(ar, lp_str_of(raw, n), &kept);
    lp_free(raw);
    if (!ok) {
        return lp_err_set(err, LP_ERR_LIMIT, "no memory left for a footer section of %zu bytes", n);
    }
    *ret = lp_rd_of(kept);
    return LP_OK;
}

/* A count that the bytes left can hold at `least` bytes each, and an array for it. */
static void *
counted(struct lp_rd *rd, struct lp_arena *ar, size_t least, size_t size, size_t *ret_n)
{
    uint64_t n = lp_rd_varint(rd);
    if (rd->bad || n > lp_rd_left(rd) / least) {
        rd->bad = true;
        return NULL;
    }
    *ret_n = (size_t)n;
    return lp_arena_array(ar, (size_t)n, size);
}

lp_rc
lp_seg_tickets(struct lp_seg *s, bool positions, struct lp_arena *ar, struct lp_foot_ticket **ret,
               size_t *ret_n, struct lp_err *err)
{
    struct lp_rd rd;
    size_t n = 0;
    lp_rc rc = section_in(s, positions ? "POSN" : "TICK", ar, &rd, err);
    if (rc != LP_OK) {
        return rc;
    }
    struct lp_foot_ticket *t = counted(&rd, ar, 5, sizeof(*t), &n);
    for (size_t i = 0; i < n && t != NULL && !rd.bad; i++) {
        t[i].generation = positions ? s->generation : lp_rd_varint(&rd);
        struct lp_str log = lp_rd_lpstr(&rd), kept = LP_STR("");
        rd.bad = rd.bad || log.n > 1024 || !lp_arena_str(ar, log, &kept); /* the copy ends in a NUL */
        t[i].log = kept.p;
        uint64_t partition = lp_rd_varint(&rd);
        rd.bad = rd.bad || partition > UINT32_MAX;
        t[i].partition = (uint32_t)partition;
        t[i].first = lp_rd_varint(&rd);
        t[i].next = lp_rd_varint(&rd);
        t[i].epoch = lp_rd_varint(&rd);
    }
    if (t == NULL || rd.bad || lp_rd_left(&rd) != 0) {
        return lp_seg_corrupt(s, "ticket list is malformed", err);
    }
    *ret = t;
    *ret_n = n;
    return LP_OK;
}

lp_rc
lp_seg_groups(struct lp_seg *s, struct lp_arena *ar, struct lp_foot_group **ret, size_t *ret_n,
              struct lp_err *err)
{
    struct lp_rd rd;
    size_t n = 0;
    lp_rc rc = section_in(s, "GRPS", ar, &rd, err);
    if (rc != LP_OK) {
        return rc;
    }
    struct lp_foot_group *g = counted(&rd, ar, 9, sizeof(*g), &n);
    for (size_t i = 0; i < n && g != NULL; i++) {
        g[i].id = lp_rd_u64(&rd);
        g[i].key = lp_rd_lpstr(&rd);
    }
    if (g == NULL || rd.bad || lp_rd_left(&rd) != 0) {
        return lp_seg_corrupt(s, "group list is malformed", err);
    }
    *ret = g;
    *ret_n = n;
    return LP_OK;
}

/* u64 ids behind their count. */
static const uint64_t *
id_list(struct lp_rd *rd, struct lp_arena *ar, size_t *ret_n)
{
    uint64_t *v = counted(rd, ar, 8, sizeof(*v), ret_n);
    for (size_t i = 0; v != NULL && i < *ret_n; i++) {
        v[i] = lp_rd_u64(rd);
    }
    return v;
}

lp_rc
lp_seg_origin(struct lp_seg *s, struct lp_arena *ar, struct lp_seg_origin *ret, struct lp_err *err)
{
    struct lp_seg_origin o = {NULL, 0, NULL, 0};
    struct lp_rd rd;
    lp_rc rc = section_in(s, "IDNT", ar, &rd, err);
    if (rc != LP_OK) {
        return rc;
    }
    (void)lp_rd_bytes(&rd, sizeof(s->uuid.b));
    uint64_t earlier = lp_rd_varint(&rd);
    (void)lp_rd_bytes(
        &rd, earlier <= lp_rd_left(&rd) / sizeof(s->uuid.b) ? (size_t)earlier * sizeof(s->uuid.b) : SIZE_MAX);
    o.replaced = id_list(&rd, ar, &o.nreplaced);
    bool bad = o.replaced == NULL || rd.bad || lp_rd_left(&rd) != 0;
    if (!bad && lp_seg_section(s, "MERG") != NULL) {
        rc = section_in(s, "MERG", ar, &rd, err);
        if (rc != LP_OK) {
            return rc;
        }
        (void)lp_rd_varint(&rd);
        (void)lp_rd_u8(&rd);
        o.outputs = id_list(&rd, ar, &o.noutputs);
        bad = o.outputs == NULL || rd.bad || lp_rd_left(&rd) != 0;
    }
    if (bad) {
        return lp_seg_corrupt(s, "what it was merged from is malformed", err);
    }
    *ret = o;
    return LP_OK;
}

lp_rc
lp_seg_ids(struct lp_seg *s, struct lp_arena *ar, struct lp_batch_id **ret, size_t *ret_n, struct lp_err *err)
{
    struct lp_rd rd;
    size_t n = 0;
    lp_rc rc = section_in(s, "BIDS", ar, &rd, err);
    if (rc != LP_OK) {
        return rc;
    }
    struct lp_batch_id *ids = counted(&rd, ar, 24, sizeof(*ids), &n);
    for (size_t i = 0; i < n && ids != NULL; i++) {
        ids[i].received_ns = (int64_t)lp_rd_u64(&rd);
        ids[i].identity.lo = lp_rd_u64(&rd);
        ids[i].identity.hi = lp_rd_u64(&rd);
    }
    if (ids == NULL || rd.bad || lp_rd_left(&rd) != 0) {
        return lp_seg_corrupt(s, "batch id list is malformed", err);
    }
    *ret = ids;
    *ret_n = n;
    return LP_OK;
}
