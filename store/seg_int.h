/*
 * seg_int.h - inside segments being read: shared by seg_reader.c and seg_pages.c.
 */
#ifndef LP_STORE_SEG_INT_H
#define LP_STORE_SEG_INT_H

#include <stdatomic.h>

#include "store/segment.h"

struct lp_seg_section {
    char id[4];
    uint32_t codec, raw_bytes, crc;
    uint64_t off, bytes;
};

lp_rc lp_seg_corrupt(const struct lp_seg *s, const char *what, struct lp_err *err);
/* NULL: the file has none of this name. */
const struct lp_seg_section *lp_seg_section(const struct lp_seg *s, const char id[4]);
/* Reads a section decoded into fresh memory (owned by the caller). */
lp_rc lp_seg_load(const struct lp_seg *s, const char id[4], char **ret, size_t *ret_n, struct lp_err *err) LP_MUST_USE;

/* --- seg_pages.c --- */
/* At opening, after the blocks: groups, heads of pages, and of versions 1 and 2 the pages themselves. */
lp_rc lp_seg_open_pages(struct lp_seg *s, struct lp_err *err) LP_MUST_USE;
void lp_seg_free_pages(struct lp_seg *s);
/* Memory that lp_seg_open_pages took. */
size_t lp_seg_pages_memory(const struct lp_seg *s);

/* --- seg_prove.c --- */
/* What the pages of a group say of its blocks. */
struct lp_seg_run {
    uint64_t stream;
    struct lp_foot_run run;
};
struct lp_seg_runs {
    struct lp_seg_run *v; /* of each block by rising row */
    size_t *first;        /* of each block of the group, in v; one more */
};
lp_rc lp_seg_group_runs(struct lp_seg *s, const struct lp_seg_group *g, struct lp_seg_runs *ret, struct lp_err *err) LP_MUST_USE;
/* Whether block, whose times were read, has these runs. */
lp_rc lp_seg_prove_runs(struct lp_seg *s, uint32_t block, struct lp_block *b, struct lp_codec *c, const struct lp_seg_runs *runs,
                        struct lp_err *err) LP_MUST_USE;
/* Keys and group names: that they can be read, and belong together. */
lp_rc lp_seg_prove_keys(struct lp_seg *s, struct lp_err *err) LP_MUST_USE;

#endif
