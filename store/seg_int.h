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

#endif
