/*
 * zone.h - time zones by their names in the system's database, read here rather than through the C library, whose zone is one for the whole process.
 *
 * A zone is immutable once made; any thread.
 */
#ifndef LP_QUERY_ZONE_H
#define LP_QUERY_ZONE_H

#include "base/arena.h"

struct lp_zone;

#define LP_ZONE_NAME_MAX 64

/* NULL where there is no such zone, or the name could leave the database's folder. Frees with lp_zone_free. */
struct lp_zone *lp_zone_load(struct lp_str name);
void lp_zone_free(struct lp_zone *z);
/* The same from the bytes of a TZif file (RFC 8536); NULL where they are damaged. */
struct lp_zone *lp_zone_parse(struct lp_str tzif);
/* One offset for all time; lives in the arena. NULL when that is spent. */
struct lp_zone *lp_zone_fixed(struct lp_arena *ar, struct lp_str name, int32_t offset);

struct lp_zone_info {
    struct lp_str name; /* "CEST"; may be empty */
    int32_t offset;     /* seconds east of UTC */
    bool dst;
};

/* What holds at a time, in seconds since 1970. z NULL: UTC. */
struct lp_zone_info lp_zone_at(const struct lp_zone *z, int64_t sec);
/* The same for a time of the zone's own clocks; where they leave it out or have it twice, one of the two. */
struct lp_zone_info lp_zone_at_local(const struct lp_zone *z, int64_t local_sec);
/* The offset that an abbreviation stands for at a time of its clocks. False: the zone has none of that name. */
bool lp_zone_abbreviation(const struct lp_zone *z, struct lp_str name, int64_t local_sec, int32_t *ret_offset);

#endif
