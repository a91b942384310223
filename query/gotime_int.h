/*
 * gotime_int.h - the pieces of a layout, for gotime.c and gotime_parse.c.
 */
#ifndef LP_QUERY_GOTIME_INT_H
#define LP_QUERY_GOTIME_INT_H

#include "query/gotime.h"

enum lp_layout_kind {
    LAYOUT_END, /* no piece: text to the end */
    LAYOUT_LONG_MONTH,
    LAYOUT_MONTH,
    LAYOUT_NUM_MONTH,
    LAYOUT_LONG_WEEKDAY,
    LAYOUT_WEEKDAY,
    LAYOUT_DAY,
    LAYOUT_YDAY,
    LAYOUT_HOUR,
    LAYOUT_HOUR12,
    LAYOUT_MINUTE,
    LAYOUT_SECOND,
    LAYOUT_LONG_YEAR,
    LAYOUT_YEAR,
    LAYOUT_PM,
    LAYOUT_ZONE_NAME,
    LAYOUT_ZONE,
    LAYOUT_FRACTION,
};

enum { LAYOUT_ZERO = 1, LAYOUT_BLANK = 2 /* padding */, LAYOUT_LOWER = 4 };
/* of LAYOUT_ZONE */
enum { LAYOUT_Z = 8 /* "Z" stands for UTC */, LAYOUT_COLON = 16, LAYOUT_MINUTES = 32, LAYOUT_SECONDS = 64 };
enum { LAYOUT_TRIM = 128 /* FRACTION: no zeros at its end */ };

struct lp_layout_piece {
    enum lp_layout_kind kind;
    unsigned flags;
    size_t digits; /* FRACTION */
};

/* Cuts the first piece off *layout; returns the literal text in front of it. */
struct lp_str lp_layout_next(struct lp_str *layout, struct lp_layout_piece *ret);

#endif
