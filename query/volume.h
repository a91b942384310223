/*
 * volume.h - how many bytes the lines of the streams of a range have, with their metadata, by labels and by time.
 *
 * Bytes of lines are exact. Those of metadata are in the head, and of the first hundreds of rows of a block; of others some
 * stand for all. A block whose rows all count for one volume is counted from its footer; of others the times and lengths are
 * decoded, never a line. Threads: as lp_streams_count.
 */
#ifndef LP_QUERY_VOLUME_H
#define LP_QUERY_VOLUME_H

#include "query/exec.h"

struct lp_volume_query {
    struct lp_streams_query streams; /* with one selector */
    const struct lp_str *targets;    /* labels to go by; none: those that the selector names, or all where it names none */
    size_t ntargets;
    bool by_names;   /* a volume for each label's name, in place of one for each set of values */
    int64_t step_ns; /* > 0: a bucket for each step, at its multiples; 0: one bucket */
    size_t limit;    /* > 0: so many volumes of each bucket, the largest */
};
#define LP_VOLUME_BUCKETS_MAX 16384

struct lp_volume {
    const struct lp_pair *labels; /* by rising name; by_names: one, without a value */
    size_t nlabels;
    struct lp_str text;    /* {a="b", c="d"} */
    const uint64_t *bytes; /* by bucket; 0: none, or not among the largest */
};

struct lp_volumes {
    struct lp_volume *v; /* by falling bytes of the first bucket that they have, then by rising labels; each has some */
    size_t n, buckets;
    const int64_t *ends; /* of the buckets: their last millisecond, and the end of the range */
    uint64_t damaged;
    char damage[LP_ERR_TEXT_BYTES]; /* the first damaged place; empty: none */
    struct lp_arena ar; /* owned */
};

/*
 * Streams without a label that is a target, and that the selector does not name, do not count. LP_ERR_LIMIT (budget, buckets), LP_ERR_TIMEOUT,
 * LP_ERR_CANCELED, LP_ERR_IO. Damage is not an error: it is counted, and the rest is answered.
 */
lp_rc lp_streams_volume(const struct lp_volume_query *q, struct lp_volumes *ret, struct lp_err *err) LP_MUST_USE;
void lp_volumes_clear(struct lp_volumes *v);

#endif
