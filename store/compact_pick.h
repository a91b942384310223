/*
 * compact_pick.h - which segments should be merged next. Pure: it sees catalog rows and says which of them.
 *
 * Levels: 0 sealed; 1 merged, of one UTC day; 2 a closed day's, in full blocks, not merged again; 3 stray times of many days.
 * While a day is open, every fan_in sealed segments become files of level 1, one a day. Once a day is closed its files are
 * rewritten into one of level 2. So a row is written three times at most: sealed, merged, final.
 *
 * Order among equal times is told by generations, so no two files of one day may have generations that interleave: sealed segments
 * are merged as runs without gaps, and a file of stray times between a day's files ends the run.
 */
#ifndef LP_STORE_COMPACT_PICK_H
#define LP_STORE_COMPACT_PICK_H

#include "store/catalog.h"

#define LP_DAY_NS (86400 * LP_NS_PER_S)

enum lp_seg_level { LP_LEVEL_SEALED = 0, LP_LEVEL_MERGED = 1, LP_LEVEL_FINAL = 2, LP_LEVEL_STRAY = 3 };

struct lp_compact_policy {
    int64_t now_ns;
    int64_t min_age_ns; /* younger segments wait (their source column may still be needed) */
    int64_t settle_ns;  /* a day is closed so long after its end, and after rows of it were sealed last */
    bool all;           /* now: every day counts as closed */
};

/* A pass over some segments. */
struct lp_compact_pass {
    struct lp_ids inputs; /* by rising generation */
    uint8_t level;        /* of what is written of the day; of other days it is LP_LEVEL_MERGED */
    int64_t day;          /* days since 1970 of LP_LEVEL_FINAL */
    bool every_day;       /* all: all days are of `level` */
};

/* Days since 1970-01-01 that a time lies in. */
int64_t lp_day_of(int64_t time_ns);

/* segs: all rows, sorted here by rising generation. False: nothing is to be done. The caller clears ret->inputs. */
bool lp_compact_pick(struct lp_cat_segment *segs, size_t n, const struct lp_compact_policy *p, struct lp_compact_pass *ret);
/* Bytes of files that will be merged or rewritten some day: of levels 0 and 1. */
uint64_t lp_compact_debt(const struct lp_cat_segment *segs, size_t n);

#endif
