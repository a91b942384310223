/*
 * block_text.c - plain lines of a block: all rows of layout text, and those of layout columns that stand in
 * no table. They are numbered among themselves ("ordinal"), in row order.
 */
#include <string.h>

#include "store/block_int.h"
#include "store/keep.h"

/* Lengths into the array; the sum over each line frame must be its decoded size. */
static bool
parse_lengths(struct lp_block *b, struct lp_rd *rd, uint32_t *lengths, uint32_t *offsets)
{
    const struct lp_block_info *info = b->info;
    uint32_t at = 0;
    for (uint32_t i = 0; i < b->nplain; i++) {
        uint64_t n = lp_rd_varint(rd);
        if (n > LP_FRAME_BYTES_MAX) {
            return false;
        }
        lengths[i] = (uint32_t)n;
    }
    for (uint32_t k = 0; k < info->nline_frames; k++) {
        const struct lp_frame *f = &info->frames[info->first_line_frame + k];
        uint32_t end = k + 1 < info->nline_frames ? f[1].first_row : b->nplain;
        uint64_t sum = 0;
        if (end > b->nplain) {
            return false;
        }
        for (; at < end; at++) {
            offsets[at] = (uint32_t)sum;
            sum += lengths[at];
            if (sum > f->raw_bytes) {
                return false;
            }
        }
        if (sum != f->raw_bytes) {
            return false;
        }
    }
    for (; at < b->nplain; at++) { /* only where no line has a byte */
        if (lengths[at] != 0) {
            return false;
        }
        offsets[at] = 0;
    }
    return !rd->bad && lp_rd_left(rd) == 0;
}

static lp_rc
read_lengths(struct lp_block *b, struct lp_codec *c, struct lp_err *err)
{
    char *raw;
    struct lp_rd rd;
    if (lp_block_frame(b, LP_FRAME_LENGTHS) == NULL) {
        return lp_block_column_bad(b, "lengths", err);
    }
    lp_rc rc = lp_block_load_kind(b, c, LP_FRAME_LENGTHS, &raw, &rd, err);
    if (rc != LP_OK) {
        return rc;
    }
    uint32_t *lengths = lp_malloc(b->nplain * sizeof(*lengths));
    uint32_t *offsets = lp_malloc(b->nplain * sizeof(*offsets));
    bool ok = parse_lengths(b, &rd, lengths, offsets);
    lp_free(raw);
    if (!ok) {
        lp_free(lengths);
        lp_free(offsets);
        return lp_block_column_bad(b, "lengths", err);
    }
    b->lengths = lengths;
    b->offsets = offsets;
    b->texts = lp_calloc(b->info->nline_frames, sizeof(*b->texts));
    b->memory += b->nplain * 2 * sizeof(*lengths) + b->info->nline_frames * sizeof(*b->texts);
    return LP_OK;
}

/* --- kept lines --- */

#define KEPT_PLAIN_BYTES (64u << 10) /* of a block: more is decoded when it is needed */

void
lp_plain_free(struct lp_plain *p)
{
    if (p != NULL) {
        for (uint32_t i = 0; i < p->ntexts; i++) {
            lp_free(p->texts[i]);
        }
        lp_free(p->texts);
        lp_free(p->lengths);
        lp_free(p->offsets);
        lp_free(p);
    }
}

void
lp_block_keep_plain(struct lp_block *b)
{
    const struct lp_block_info *info = b->info;
    size_t bytes =
        sizeof(struct lp_plain) + b->nplain * 2 * sizeof(uint32_t) + info->nline_frames * sizeof(char *);
    if (b->owns_info || b->lengths == NULL) {
        return;
    }
    for (uint32_t i = 0; i < info->nline_frames; i++) {
        bytes += info->frames[info->first_line_frame + i].raw_bytes;
        if (b->texts[i].p == NULL || bytes > KEPT_PLAIN_BYTES) {
            return;
        }
    }
    if (!lp_keep(bytes)) {
        return;
    }
    struct lp_plain *mine = lp_malloc(sizeof(*mine)), *have = NULL;
    *mine = (struct lp_plain){
        .lengths = b->lengths, .offsets = b->offsets, .ntexts = info->nline_frames, .memory = bytes};
    mine->texts = lp_malloc(mine->ntexts * sizeof(char *));
    for (uint32_t i = 0; i < mine->ntexts; i++) {
        mine->texts[i] = b->texts[i].p;
    }
    lp_free(b->texts);
    b->texts = NULL;
    b->lengths = b->offsets = NULL;
    b->memory -= LP_MIN(b->memory, bytes);
    if (!atomic_compare_exchange_strong(&b->info->plain, &have, mine)) {
        lp_unkeep(bytes); /* another thread was first */
        lp_plain_free(mine);
        mine = have;
    }
    b->plain = mine;
}

static bool
is_kept(struct lp_block *b)
{
    if (b->plain == NULL && b->lengths == NULL) {
        b->plain = atomic_load(&b->info->plain);
    }
    return b->plain != NULL;
}

static uint32_t
frame_of(const struct lp_block_info *info, uint32_t ordinal)
{
    uint32_t lo = 0, hi = info->nline_frames;
    while (hi - lo > 1) {
        uint32_t mid = lo + (hi - lo) / 2;
        if (info->frames[info->first_line_frame + mid].first_row <= ordinal) {
            lo = mid;
        } else {
            hi = mid;
        }
    }
    return lo;
}

lp_rc
lp_block_plain_line(struct lp_block *b, struct lp_codec *c, uint32_t ordinal, struct lp_str *ret,
                    struct lp_err *err)
{
    LP_ASSERT(ordinal < b->nplain);
    if (is_kept(b)) {
        const struct lp_plain *p = b->plain;
        *ret = p->ntexts == 0 ? LP_STR("")
                              : lp_str_of(p->texts[frame_of(b->info, ordinal)] + p->offsets[ordinal],
                                          p->lengths[ordinal]);
        return LP_OK;
    }
    lp_rc rc = b->lengths != NULL ? LP_OK : read_lengths(b, c, err);
    if (rc != LP_OK) {
        return rc;
    }
    if (b->info->nline_frames == 0) {
        *ret = LP_STR("");
        return LP_OK;
    }
    uint32_t k = frame_of(b->info, ordinal);
    const struct lp_frame *f = &b->info->frames[b->info->first_line_frame + k];
    struct lp_text *t = &b->texts[k];
    t->used = true;
    if (t->p == NULL) {
        rc = lp_block_load_frame(b, c, f, &t->p, err);
        if (rc != LP_OK) {
            return rc;
        }
        b->memory += f->raw_bytes;
    }
    *ret = lp_str_of(t->p + b->offsets[ordinal], b->lengths[ordinal]);
    return LP_OK;
}

lp_rc
lp_block_plain_bytes(struct lp_block *b, struct lp_codec *c, uint32_t ordinal, uint32_t *ret,
                     struct lp_err *err)
{
    lp_rc rc = is_kept(b) || b->lengths != NULL ? LP_OK : read_lengths(b, c, err);
    if (rc == LP_OK) {
        *ret = b->plain != NULL ? b->plain->lengths[ordinal] : b->lengths[ordinal];
    }
    return rc;
}

void
lp_block_trim_text(struct lp_block *b, bool unused_only)
{
    for (uint32_t i = 0; b->texts != NULL && i < b->info->nline_frames; i++) {
        struct lp_text *t = &b->texts[i];
        if (t->p != NULL && !(unused_only && t->used)) {
            lp_free(t->p);
            t->p = NULL;
            b->memory -= b->info->frames[b->info->first_line_frame + i].raw_bytes;
        }
        t->used = false;
    }
}
