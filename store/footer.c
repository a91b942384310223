/*
 * footer.c - encoding the footer of a segment (FORMAT.md section 2.3). Pure: bytes into a buffer.
 */
#include "store/footer.h"

#include <string.h>

#include "base/bytes.h"
#include "store/page.h"

#define FOOTER_ZSTD_LEVEL 3
#define STORED_BELOW_BYTES 128

struct enc {
    const struct lp_footer *f;
    struct lp_codec *codec;
    uint64_t at; /* file offset of out's first footer byte */
    size_t start;
    struct lp_buf *out;
    struct lp_buf raw, dir;
    uint32_t nsections;
};

static lp_rc
end_section(struct enc *e, const char id[4], bool as_it_is, struct lp_err *err)
{
    if (e->raw.failed) {
        return lp_err_set(err, LP_ERR_LIMIT, "footer section %.4s is over %u bytes", id,
                          LP_SECTION_BYTES_MAX);
    }
    size_t at = e->out->n;
    uint8_t codec = LP_CODEC_STORED;
    lp_rc rc = LP_OK;
    if (e->raw.n < STORED_BELOW_BYTES || as_it_is) {
        rc = lp_buf_str(e->out, lp_buf_view(&e->raw))
                 ? LP_OK
                 : lp_err_set(err, LP_ERR_LIMIT, "footer over its limit");
    } else {
        rc = lp_codec_encode(e->codec, FOOTER_ZSTD_LEVEL, lp_buf_view(&e->raw), e->out, &codec, err);
    }
    if (rc != LP_OK) {
        return rc;
    }
    size_t stored = e->out->n - at;
    lp_buf_add(&e->dir, id, 4);
    lp_buf_u32(&e->dir, codec);
    lp_buf_u64(&e->dir, e->at + (at - e->start));
    lp_buf_u64(&e->dir, stored);
    lp_buf_u32(&e->dir, (uint32_t)e->raw.n);
    lp_buf_u32(&e->dir, lp_crc32c(0, e->out->p + at, stored));
    e->nsections++;
    lp_buf_reset(&e->raw);
    return LP_OK;
}

static void
put_identity(struct enc *e)
{
    lp_buf_add(&e->raw, e->f->uuid.b, sizeof(e->f->uuid.b));
    lp_buf_varint(&e->raw, e->f->nearlier);
    for (size_t i = 0; i < e->f->nearlier; i++) {
        lp_buf_add(&e->raw, e->f->earlier[i].b, sizeof(e->f->earlier[i].b));
    }
    lp_buf_varint(&e->raw, e->f->nreplaced);
    for (size_t i = 0; i < e->f->nreplaced; i++) {
        lp_buf_u64(&e->raw, e->f->replaced[i]);
    }
}

static void
put_merge(struct enc *e)
{
    lp_buf_varint(&e->raw, e->f->first_generation);
    lp_buf_u8(&e->raw, e->f->level);
    lp_buf_varint(&e->raw, e->f->noutputs);
    for (size_t i = 0; i < e->f->noutputs; i++) {
        lp_buf_u64(&e->raw, e->f->outputs[i]);
    }
}

static void
put_tickets(struct enc *e, const struct lp_foot_ticket *t, size_t n, bool with_generation)
{
    lp_buf_varint(&e->raw, n);
    for (size_t i = 0; i < n; i++) {
        if (with_generation) {
            lp_buf_varint(&e->raw, t[i].generation);
        }
        lp_buf_lpstr(&e->raw, lp_str_c(t[i].log));
        lp_buf_varint(&e->raw, t[i].partition);
        lp_buf_varint(&e->raw, t[i].first);
        lp_buf_varint(&e->raw, t[i].next);
        lp_buf_varint(&e->raw, t[i].epoch);
    }
}

static void
put_groups(struct enc *e)
{
    lp_buf_varint(&e->raw, e->f->ngroups);
    for (size_t i = 0; i < e->f->ngroups; i++) {
        lp_buf_u64(&e->raw, e->f->groups[i].id);
        lp_buf_lpstr(&e->raw, e->f->groups[i].key);
    }
}

static void
put_blocks(struct enc *e)
{
    for (size_t i = 0; i < e->f->nblocks; i++) {
        const struct lp_foot_block *b = &e->f->blocks[i];
        lp_buf_u64(&e->raw, b->off);
        lp_buf_u64(&e->raw, b->bytes);
        lp_buf_u64(&e->raw, b->line_bytes);
        lp_buf_u32(&e->raw, b->group);
        lp_buf_u32(&e->raw, b->rows);
        lp_buf_u64(&e->raw, (uint64_t)b->min_ns);
        lp_buf_u64(&e->raw, (uint64_t)b->max_ns);
        lp_buf_u32(&e->raw, b->runs);
        lp_buf_u16(&e->raw, b->tokens.longest);
        lp_buf_u8(&e->raw, b->tokens.hex);
        lp_buf_u8(&e->raw, b->tokens.known);
    }
}

static void
put_ids(struct enc *e)
{
    lp_buf_varint(&e->raw, e->f->nids);
    for (size_t i = 0; i < e->f->nids; i++) {
        lp_buf_u64(&e->raw, (uint64_t)e->f->ids[i].received_ns);
        lp_buf_u64(&e->raw, e->f->ids[i].identity.lo);
        lp_buf_u64(&e->raw, e->f->ids[i].identity.hi);
    }
}

void
lp_footer_note_ids(struct lp_footer *f, uint32_t block, const uint64_t *ids, size_t n)
{
    if (f->cell_ids_cap - f->ncell_ids < n) {
        f->cell_ids_cap = LP_MAX(f->cell_ids_cap * 2, f->ncell_ids + n);
        f->cell_ids = lp_realloc(f->cell_ids, f->cell_ids_cap * sizeof(*f->cell_ids));
    }
    for (size_t i = 0; i < n; i++) {
        f->cell_ids[f->ncell_ids++] = (struct lp_id_entry){ids[i], block};
    }
}

/* What is read at opening stands last: one read at the file's end takes all of it where it is small. */
enum { IDNT, TICK, POSN, IDIX, STPG, SKEY, BIDS, DICT, MERG, GRPS, BLKS, STIX, NSECTIONS };
static const char section_ids[NSECTIONS][5] = {"IDNT", "TICK", "POSN", "IDIX", "STPG", "SKEY",
                                               "BIDS", "DICT", "MERG", "GRPS", "BLKS", "STIX"};

/* Fills e->raw with a section. */
static void
put_section(struct enc *e, int i, const struct lp_table_bytes *table)
{
    switch (i) {
    case IDNT:
        put_identity(e);
        break;
    case TICK:
        put_tickets(e, e->f->tickets, e->f->ntickets, true);
        break;
    case POSN:
        put_tickets(e, e->f->positions, e->f->npositions, false);
        break;
    case IDIX:
        lp_idindex_encode(e->f->cell_ids, e->f->ncell_ids, (uint32_t)e->f->nblocks, &e->raw);
        break;
    case STPG:
        lp_buf_str(&e->raw, lp_buf_view(&table->pages));
        break;
    case SKEY:
        lp_buf_str(&e->raw, lp_buf_view(&table->keys));
        break;
    case BIDS:
        put_ids(e);
        break;
    case MERG:
        if (e->f->level > 0) {
            put_merge(e);
        }
        break;
    case GRPS:
        put_groups(e);
        break;
    case BLKS:
        put_blocks(e);
        break;
    case STIX:
        lp_buf_str(&e->raw, lp_buf_view(&table->index));
        break;
    default:
        break; /* DICT is empty */
    }
}

static lp_rc
put_sections(struct enc *e, struct lp_err *err)
{
    struct lp_table_bytes table;
    lp_buf_init(&table.index, LP_SECTION_BYTES_MAX);
    lp_buf_init(&table.pages, LP_SECTION_BYTES_MAX);
    lp_buf_init(&table.keys, LP_SECTION_BYTES_MAX);
    lp_rc rc = lp_table_encode(e->f, e->codec, &table, err);
    for (int i = 0; i < NSECTIONS && rc == LP_OK; i++) {
        bool in_pieces = i == IDIX || i == STPG || i == SKEY; /* they are read one by one */
        put_section(e, i, &table);
        if (e->raw.n > 0 || (i != IDIX && i != MERG)) {
            rc = end_section(e, section_ids[i], in_pieces, err);
        }
    }
    lp_buf_clear(&table.index);
    lp_buf_clear(&table.pages);
    lp_buf_clear(&table.keys);
    return rc;
}

static void
put_trailer(struct enc *e, uint64_t dir_off, uint32_t dir_bytes, uint32_t dir_crc)
{
    char t[LP_SEG_TRAILER_BYTES] = {0};
    memcpy(t, LP_SEG_END_MAGIC, 8);
    lp_put_u16(t + 8, LP_SEG_VERSION);
    lp_put_u64(t + 16, e->f->segment);
    lp_put_u64(t + 24, dir_off);
    lp_put_u32(t + 32, dir_bytes);
    lp_put_u32(t + 36, dir_crc);
    lp_put_u64(t + 40, e->f->rows);
    lp_put_u64(t + 48, dir_off + dir_bytes + sizeof(t));
    lp_put_u64(t + 56, e->f->generation);
    lp_put_u32(t + 12, lp_crc32c(lp_crc32c(0, t + 16, sizeof(t) - 16), t + 8, 4));
    lp_buf_add(e->out, t, sizeof(t));
}

lp_rc
lp_footer_encode(const struct lp_footer *f, struct lp_codec *c, uint64_t at, struct lp_buf *out,
                 uint32_t *ret_dir_crc, struct lp_err *err)
{
    struct enc e = {.f = f, .codec = c, .at = at, .start = out->n, .out = out};
    lp_buf_init(&e.raw, LP_SECTION_BYTES_MAX);
    lp_buf_init(&e.dir, SIZE_MAX);
    lp_buf_u32(&e.dir, 0);
    lp_rc rc = put_sections(&e, err);
    if (rc == LP_OK) {
        lp_put_u32(e.dir.p, e.nsections);
        uint64_t dir_off = at + (out->n - e.start);
        *ret_dir_crc = lp_crc32c(0, e.dir.p, e.dir.n);
        lp_buf_str(out, lp_buf_view(&e.dir));
        put_trailer(&e, dir_off, (uint32_t)e.dir.n, *ret_dir_crc);
        rc = out->failed ? lp_err_set(err, LP_ERR_LIMIT, "footer over its limit") : LP_OK;
    }
    lp_buf_clear(&e.raw);
    lp_buf_clear(&e.dir);
    return rc;
}
