/*
 * block_open.c - opening a block: head, frame table and schema, and reading single frames, with every bound
 * checked: the bytes may be damaged or made up.
 *
 * Invariants of an lp_block_info: rows, runs and frame sizes are within the limits of seg_format.h; the
 * frames lie back to back inside the block; those of kinds LINES, CELLS and SHARED follow each other. It is
 * published through its slot by one compare-and-swap; whoever comes second drops its own. The same holds for
 * its schema.
 */
#include <string.h>

#include "base/bytes.h"
#include "store/block_int.h"
#include "store/keep.h"

static lp_rc
parse_head(struct lp_block_head *h, const char *p, uint32_t *ret_crc, struct lp_err *err)
{
    if (lp_get_u32(p) != LP_BLOCK_MAGIC) {
        return lp_corrupt(err, "block: no magic");
    }
    *ret_crc = lp_get_u32(p + 4);
    *h = (struct lp_block_head){
        .number = lp_get_u32(p + 8),
        .group = lp_get_u32(p + 12),
        .rows = lp_get_u32(p + 16),
        .runs = lp_get_u32(p + 20),
        .frames = lp_get_u32(p + 24),
        .layout = lp_get_u32(p + 28),
        .hash = lp_get_u64(p + 32),
        .line_bytes = lp_get_u64(p + 40),
        .min_ns = (int64_t)lp_get_u64(p + 48),
        .max_ns = (int64_t)lp_get_u64(p + 56),
    };
    if (h->layout > LP_BLOCK_LAYOUT_COLUMNS) {
        return lp_err_set(err, LP_ERR_UNSUPPORTED, "block %u has a layout of a later version", h->number);
    }
    if (h->rows < 1 || h->rows > LP_BLOCK_ROWS_MAX || h->runs < 1 || h->runs > h->rows || h->frames < 3 ||
        h->frames > LP_BLOCK_FRAMES_MAX) {
        return lp_corrupt(err, "block %u: counts out of range", h->number);
    }
    return LP_OK;
}

static struct lp_frame
parse_frame(const char *p, uint64_t off)
{
    return (struct lp_frame){.kind = (uint8_t)p[0],
                             .codec = (uint8_t)p[1],
                             .first_row = lp_get_u32(p + 4),
                             .raw_bytes = lp_get_u32(p + 8),
                             .stored_bytes = lp_get_u32(p + 12),
                             .crc = lp_get_u32(p + 16),
                             .off = off};
}

/* Which frames a block must have, by its layout. */
static bool
set_is_right(const struct lp_block_head *h, const uint32_t count[LP_FRAME_KINDS])
{
    bool text = h->layout == LP_BLOCK_LAYOUT_TEXT;
    uint32_t columns = count[LP_FRAME_NUMBERS] + count[LP_FRAME_SCHEMA] + count[LP_FRAME_TABLES];
    if (count[LP_FRAME_RUNS] + count[LP_FRAME_STREAMS] != 1 || count[LP_FRAME_SOURCE] > 1) {
        return false;
    }
    return text
               ? count[LP_FRAME_TIMES] == 1 && count[LP_FRAME_LENGTHS] == 1 &&
                     columns + count[LP_FRAME_CELLS] + count[LP_FRAME_SHARED] == 0
               : count[LP_FRAME_TIMES] == 0 && count[LP_FRAME_LENGTHS] <= 1 && count[LP_FRAME_NUMBERS] == 1 &&
                     count[LP_FRAME_SCHEMA] == 1 && count[LP_FRAME_TABLES] == 1;
}

static lp_rc
parse_frames(struct lp_block_info *b, const char *p, uint64_t block_bytes, struct lp_err *err)
{
    uint64_t off = LP_BLOCK_HEAD_BYTES + (uint64_t)b->head.frames * LP_FRAME_ROW_BYTES;
    uint32_t count[LP_FRAME_KINDS] = {0}, first[LP_FRAME_KINDS] = {0};
    b->frames = lp_calloc(b->head.frames, sizeof(*b->frames));
    for (uint32_t i = 0; i < b->head.frames; i++, p += LP_FRAME_ROW_BYTES) {
        struct lp_frame *f = &b->frames[i];
        *f = parse_frame(p, off);
        off += f->stored_bytes;
        if (f->raw_bytes > LP_FRAME_BYTES_MAX || off > block_bytes || f->kind == 0 ||
            f->kind >= LP_FRAME_KINDS) {
            return lp_corrupt(err, "block %u: frame %u out of range", b->head.number, i);
        }
        bool is_first = count[f->kind] == 0;
        first[f->kind] = is_first ? i : first[f->kind];
        if ((f->kind == LP_FRAME_LINES || f->kind == LP_FRAME_CELLS || f->kind == LP_FRAME_SHARED) &&
            !is_first && f[-1].kind != f->kind) {
            return lp_corrupt(err, "block %u: frames out of order", b->head.number);
        }
        if (f->kind == LP_FRAME_LINES && (f->first_row >= b->head.rows ||
                                          (is_first ? f->first_row != 0 : f->first_row <= f[-1].first_row))) {
            return lp_corrupt(err, "block %u: line frames out of order", b->head.number);
        }
        count[f->kind]++;
    }
    b->has_ids = count[LP_FRAME_STREAMS] == 1;
    b->first_line_frame = first[LP_FRAME_LINES];
    b->nline_frames = count[LP_FRAME_LINES];
    b->first_cells = first[LP_FRAME_CELLS];
    b->ncells = count[LP_FRAME_CELLS];
    b->first_shared = first[LP_FRAME_SHARED];
    b->nshared = count[LP_FRAME_SHARED];
    if (!set_is_right(&b->head, count) || off != block_bytes) {
        return lp_corrupt(err, "block %u: wrong set of frames", b->head.number);
    }
    return LP_OK;
}

static lp_rc
read_info(const struct lp_block_io *io, struct lp_block_info **ret, struct lp_err *err)
{
    char head[LP_BLOCK_HEAD_BYTES], *table = NULL;
    uint32_t crc = 0;
    struct lp_block_info *b = lp_calloc(1, sizeof(*b));
    lp_rc rc = io->read(io->ctx, head, sizeof(head), 0, err);
    if (rc == LP_OK) {
        rc = parse_head(&b->head, head, &crc, err);
    }
    if (rc == LP_OK) {
        size_t bytes = (size_t)b->head.frames * LP_FRAME_ROW_BYTES;
        table = lp_malloc(bytes);
        rc = io->read(io->ctx, table, bytes, sizeof(head), err);
        if (rc == LP_OK && lp_crc32c(lp_crc32c(0, head + 8, sizeof(head) - 8), table, bytes) != crc) {
            rc = lp_corrupt(err, "block %u: checksum of head and frame table differs", b->head.number);
        }
    }
    if (rc == LP_OK) {
        rc = parse_frames(b, table, io->bytes, err);
    }
    lp_free(table);
    if (rc != LP_OK) {
        lp_block_info_free(b);
        return rc;
    }
    b->memory = sizeof(*b) + b->head.frames * sizeof(*b->frames);
    *ret = b;
    return LP_OK;
}

void
lp_block_info_free(struct lp_block_info *i)
{
    if (i != NULL) {
        struct lp_schema *s = atomic_load(&i->schema);
        struct lp_plain *plain = atomic_load(&i->plain);
        lp_unkeep((s != NULL ? s->memory : 0) + (plain != NULL ? plain->memory : 0) +
                  (i->kept ? i->memory : 0));
        lp_schema_free(s);
        lp_plain_free(plain);
        lp_free(i->frames);
        lp_free(i);
    }
}

/* The info in the slot, read and put there if it is not yet. */
static lp_rc
find_info(const struct lp_block_io *io, lp_block_slot *slot, struct lp_block_info **ret, struct lp_err *err)
{
    struct lp_block_info *have = slot != NULL ? atomic_load(slot) : NULL, *mine;
    if (have == NULL) {
        lp_rc rc = read_info(io, &mine, err);
        if (rc != LP_OK) {
            return rc;
        }
        if (slot != NULL) {
            mine->kept = true;
            lp_keep_always(mine->memory);
        }
        if (slot == NULL || atomic_compare_exchange_strong(slot, &have, mine)) {
            have = mine;
        } else {
            lp_block_info_free(mine); /* another thread was first */
        }
    }
    *ret = have;
    return LP_OK;
}

lp_rc
lp_block_open(const struct lp_block_io *io, lp_block_slot *slot, struct lp_block **ret, struct lp_err *err)
{
    struct lp_block *b = lp_calloc(1, sizeof(*b));
    b->io = *io;
    b->owns_info = slot == NULL;
    lp_arena_init(&b->meta_ar, SIZE_MAX, 0);
    lp_rc rc = find_info(io, slot, &b->info, err);
    if (rc != LP_OK) {
        lp_block_free(b);
        return rc;
    }
    b->nplain = b->info->head.layout == LP_BLOCK_LAYOUT_TEXT ? b->info->head.rows : 0;
    b->memory = sizeof(*b);
    *ret = b;
    return LP_OK;
}

void
lp_block_free(struct lp_block *b)
{
    if (b == NULL) {
        return;
    }
    if (b->info != NULL) {
        lp_block_free_meta(b);
        lp_block_trim_text(b, false);
        lp_block_trim_cells(b, false);
    }
    lp_arena_clear(&b->meta_ar);
    lp_free(b->tables);
    lp_free(b->times);
    lp_free(b->runs);
    lp_free(b->named);
    lp_free(b->source);
    lp_free(b->lengths);
    lp_free(b->offsets);
    lp_free(b->texts);
    lp_free(b->shared);
    lp_free(b->row_table);
    lp_free(b->row_pos);
    lp_free(b->line);
    if (b->owns_schema) {
        lp_schema_free(b->schema);
    }
    if (b->owns_info) {
        lp_block_info_free(b->info);
    }
    if (b->io.free_ctx != NULL) {
        b->io.free_ctx(b->io.ctx);
    }
    lp_free(b);
}

const struct lp_block_head *
lp_block_head(const struct lp_block *b)
{
    return &b->info->head;
}

size_t
lp_block_memory(const struct lp_block *b)
{
    return b->memory + b->meta_ar.reserved + (b->owns_info ? b->info->memory : 0);
}

uint64_t
lp_block_decoded(const struct lp_block *b)
{
    return b->decoded;
}

void
lp_block_trim(struct lp_block *b)
{
    lp_block_trim_text(b, false);
    lp_block_trim_cells(b, false);
}

void
lp_block_trim_unused(struct lp_block *b)
{
    lp_block_trim_text(b, true);
    lp_block_trim_cells(b, true);
}

/* --- frames --- */

lp_rc
lp_block_read_frame(struct lp_block *b, struct lp_codec *c, const struct lp_frame *f, char *dst,
                    struct lp_err *err)
{
    bool as_it_is =
        f->codec == LP_CODEC_STORED && f->stored_bytes == f->raw_bytes; /* read to where it goes */
    char *stored = as_it_is ? dst : lp_codec_scratch(c, f->stored_bytes);
    lp_rc rc = b->io.read(b->io.ctx, stored, f->stored_bytes, f->off, err);
    if (rc == LP_OK && lp_crc32c(0, stored, f->stored_bytes) != f->crc) {
        rc = lp_corrupt(err, "block %u: checksum of frame at %llu differs", b->info->head.number,
                        (unsigned long long)f->off);
    }
    b->decoded += f->raw_bytes;
    return rc != LP_OK || as_it_is
               ? rc
               : lp_codec_decode(c, f->codec, lp_str_of(stored, f->stored_bytes), dst, f->raw_bytes, err);
}

lp_rc
lp_block_load_frame(struct lp_block *b, struct lp_codec *c, const struct lp_frame *f, char **ret,
                    struct lp_err *err)
{
    char *raw = lp_malloc((size_t)f->raw_bytes + LP_CONTENT_PAD);
    lp_rc rc = lp_block_read_frame(b, c, f, raw, err);
    if (rc != LP_OK) {
        lp_free(raw);
        return rc;
    }
    memset(raw + f->raw_bytes, 0, LP_CONTENT_PAD);
    *ret = raw;
    return LP_OK;
}

const struct lp_frame *
lp_block_frame(const struct lp_block *b, enum lp_frame_kind kind)
{
    for (uint32_t i = 0; i < b->info->head.frames; i++) {
        if (b->info->frames[i].kind == kind) {
            return &b->info->frames[i];
        }
    }
    return NULL;
}

lp_rc
lp_block_load_kind(struct lp_block *b, struct lp_codec *c, enum lp_frame_kind kind, char **ret,
                   struct lp_rd *rd, struct lp_err *err)
{
    const struct lp_frame *f = lp_block_frame(b, kind);
    LP_ASSERT(f != NULL);
    lp_rc rc = lp_block_load_frame(b, c, f, ret, err);
    if (rc == LP_OK) {
        *rd = lp_rd_of(lp_str_of(*ret, f->raw_bytes));
    }
    return rc;
}

lp_rc
lp_block_column_bad(const struct lp_block *b, const char *what, struct lp_err *err)
{
    return lp_corrupt(err, "block %u: column %s does not hold what its head says", b->info->head.number,
                      what);
}

/* --- the schema --- */

/* Keeps a schema with the block's info for those who come later, if it may; whether it did. *ret: the one to
 * use. */
static bool
keep_schema(struct lp_block_info *info, struct lp_schema *mine, struct lp_schema **ret)
{
    struct lp_schema *have = NULL;
    if (!lp_keep(mine->memory)) {
        *ret = mine;
        return false;
    }
    if (!atomic_compare_exchange_strong(&info->schema, &have, mine)) {
        lp_unkeep(mine->memory); /* another thread was first */
        lp_schema_free(mine);
        mine = have;
    }
    *ret = mine;
    return true;
}

lp_rc
lp_block_schema(struct lp_block *b, struct lp_codec *c, const struct lp_schema **ret, struct lp_err *err)
{
    struct lp_block_info *info = b->info;
    LP_ASSERT(info->head.layout == LP_BLOCK_LAYOUT_COLUMNS);
    if (b->schema == NULL) {
        b->schema = atomic_load(&info->schema);
    }
    if (b->schema == NULL) {
        char *raw;
        struct lp_rd rd;
        struct lp_schema *mine;
        lp_rc rc = lp_block_load_kind(b, c, LP_FRAME_SCHEMA, &raw, &rd, err);
        if (rc == LP_OK) {
            rc = lp_schema_parse(raw, lp_rd_left(&rd), info->head.rows, &mine, err);
        }
        if (rc != LP_OK) {
            return rc;
        }
        b->owns_schema = !keep_schema(info, mine, &b->schema);
        b->memory += b->owns_schema ? b->schema->memory : 0;
    }
    b->nplain = b->schema->plain_rows;
    *ret = b->schema;
    return LP_OK;
}
