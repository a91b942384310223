/*
 * find_int.h - the ways in which find.c can search, for its tests.
 */
#ifndef LP_BASE_FIND_INT_H
#define LP_BASE_FIND_INT_H

#include "base/str.h"

struct lp_find_way {
    const char *name;
    size_t (*find)(struct lp_str hay, struct lp_str needle);
    size_t (*find_icase)(struct lp_str hay, struct lp_str needle);
    bool (*all_ascii)(struct lp_str s);
};

#define LP_FIND_WAYS_MAX 3

/* Fills in the ways that this processor has, the portable one first, the best one last; returns how many. */
size_t lp_find_ways(const struct lp_find_way *ret[LP_FIND_WAYS_MAX]);

#endif
