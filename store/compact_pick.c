/*
 * compact_pick.c - the policy of compaction. See compact_pick.h.
 */
#include "store/compact_pick.h"

#include <stdlib.h>

#define FAN_IN 16u                          /* sealed segments that are merged together */
#define INPUTS_MAX 64u                      /* of one pass: each holds a block open */
#define TIER_BYTES_MAX (UINT64_C(2) << 30)  /* lines of the inputs of a pass over sealed segments */
#define FINAL_BYTES_MAX (UINT64_C(4) << 30) /* of one over a day */
#define TIER_INPUTS_MIN 4u                  /* segments so large that fewer fit are left to the last pass */
#define LATE_FILES 16u                      /* late files of a day that has been rewritten already */
#define LATE_NS (24 * 3600 * LP_NS_PER_S)   /* or their age */

int64_t
lp_day_of(int64_t time_ns)
{
    int64_t day = time_ns / LP_DAY_NS;
    return time_ns % LP_DAY_NS < 0 ? day - 1 : day;
}

static int
by_generation(const void *va, const void *vb)
{
    const struct lp_cat_segment *a = va, *b = vb;
    if (a->first_generation != b->first_generation) {
        return a->first_generation < b->first_generation ? -1 : 1;
    }
    return (a->id > b->id) - (a->id < b->id);
}

static bool
in_day(const struct lp_cat_segment *s, int64_t day)
{
    return s->rows > 0 && lp_day_of(s->min_ns) <= day && lp_day_of(s->max_ns) >= day;
}

static bool
old_enough(const struct lp_cat_segment *s, const struct lp_compact_policy *p)
{
    return s->created_ns <= p->now_ns - p->min_age_ns;
}

/* --- sealed segments, FAN_IN at a time --- */

/* The oldest sealed segments, as long as no other stands between them. */
struct tier {
    size_t waiting;
    uint64_t bytes;
};

static struct tier
gather_tier(const struct lp_cat_segment *segs, size_t n, const struct lp_compact_policy *p,
            struct lp_ids *inputs)
{
    struct tier t = {0, 0};
    for (size_t i = 0; i < n; i++) {
        if (segs[i].level != LP_LEVEL_SEALED) {
            if (t.waiting >= TIER_INPUTS_MIN) {
                break;
            }
            t = (struct tier){0, 0}; /* too few to be worth it: they wait for the day's end */
            inputs->n = 0;
            continue;
        }
        if (!old_enough(&segs[i], p)) {
            break; /* those behind it are younger */
        }
        t.waiting++;
        t.bytes += segs[i].bytes;
        if (inputs->n < FAN_IN && (t.bytes <= TIER_BYTES_MAX || inputs->n == 0)) {
            lp_ids_add(inputs, segs[i].id);
        }
    }
    return t;
}

static bool
pick_tier(const struct lp_cat_segment *segs, size_t n, const struct lp_compact_policy *p,
          struct lp_compact_pass *ret)
{
    struct tier t = gather_tier(segs, n, p, &ret->inputs);
    bool enough = t.waiting >= FAN_IN || t.bytes > TIER_BYTES_MAX;
    ret->level = LP_LEVEL_MERGED;
    if (enough && ret->inputs.n >= TIER_INPUTS_MIN && !(p->all && n <= INPUTS_MAX)) {
        return true;
    }
    ret->inputs.n = 0;
    return false;
}

/* Files of stray times, merged among themselves. */
static bool
pick_strays(const struct lp_cat_segment *segs, size_t n, struct lp_compact_pass *ret)
{
    for (size_t i = 0; i < n && ret->inputs.n < FAN_IN; i++) {
        if (segs[i].level == LP_LEVEL_STRAY && segs[i].bytes < TIER_BYTES_MAX / FAN_IN) {
            lp_ids_add(&ret->inputs, segs[i].id);
        }
    }
    ret->level = LP_LEVEL_STRAY;
    ret->inputs.n = ret->inputs.n == FAN_IN ? FAN_IN : 0;
    return ret->inputs.n > 0;
}

/* --- a closed day --- */

/* What is known of a day from its files that are not final. */
struct day {
    int64_t day;
    size_t files;
    bool has_final;
    int64_t newest_ns, oldest_ns; /* created */
};

static bool
is_closed(const struct day *d, const struct lp_compact_policy *p)
{
    int64_t end_ns;
    if (p->all) {
        return true;
    }
    if (__builtin_mul_overflow(d->day + 1, LP_DAY_NS, &end_ns) || end_ns - LP_DAY_NS > p->now_ns) {
        return d->files >= LATE_FILES; /* its end may be far: wrong clocks must not pile up files until then */
    }
    if (end_ns > p->now_ns - p->settle_ns || d->newest_ns > p->now_ns - p->settle_ns) {
        return false;
    }
    /* lines that come late, all the time, must not have their day rewritten each time */
    return !d->has_final || d->files >= LATE_FILES || d->oldest_ns <= p->now_ns - LATE_NS;
}

static void
look_at_day(const struct lp_cat_segment *segs, size_t n, struct day *d)
{
    d->newest_ns = LP_TIME_MIN;
    d->oldest_ns = LP_TIME_MAX;
    for (size_t i = 0; i < n; i++) {
        const struct lp_cat_segment *s = &segs[i];
        if (!in_day(s, d->day)) {
            continue;
        }
        if (s->level == LP_LEVEL_FINAL) {
            d->has_final = true;
        } else if (s->level != LP_LEVEL_STRAY) {
            d->files++;
            d->newest_ns = LP_MAX(d->newest_ns, s->created_ns);
            d->oldest_ns = LP_MIN(d->oldest_ns, s->created_ns);
        }
    }
}

/* The last sealed segment with rows of the day: all before it come along, so that their run has no gap. */
static size_t
last_sealed(const struct lp_cat_segment *segs, size_t n, int64_t day)
{
    for (size_t i = n; i > 0; i--) {
        if (segs[i - 1].level == LP_LEVEL_SEALED && in_day(&segs[i - 1], day)) {
            return i;
        }
    }
    return 0;
}

static bool
wanted(const struct lp_cat_segment *s, int64_t day, bool sealed_too)
{
    if (s->level == LP_LEVEL_SEALED) {
        return sealed_too;
    }
    return s->level == LP_LEVEL_MERGED && in_day(s, day);
}

/* Files of the day, or stray times among them, that stay: what is merged may not reach over them. */
static bool
stands_between(const struct lp_cat_segment *s, int64_t day)
{
    return s->level >= LP_LEVEL_FINAL && in_day(s, day);
}

static void
gather_day(const struct lp_cat_segment *segs, size_t n, const struct lp_compact_policy *p, int64_t day,
           struct lp_compact_pass *ret)
{
    size_t sealed_end = p->all ? n : last_sealed(segs, n, day);
    uint64_t bytes = 0;
    ret->inputs.n = 0;
    for (size_t i = 0; i < n && ret->inputs.n < INPUTS_MAX; i++) {
        const struct lp_cat_segment *s = &segs[i];
        if (stands_between(s, day) && ret->inputs.n > 0) {
            return;
        }
        if (!wanted(s, day, i < sealed_end)) {
            continue;
        }
        if (!old_enough(s, p) || (ret->inputs.n > 0 && bytes + s->bytes > FINAL_BYTES_MAX)) {
            return;
        }
        lp_ids_add(&ret->inputs, s->id);
        bytes += s->bytes;
    }
}

/* Sealed segments without rows are files too: they go with the next that have some. */
static bool
pick_day(const struct lp_cat_segment *segs, size_t n, const struct lp_compact_policy *p,
         struct lp_compact_pass *ret)
{
    for (size_t i = 0; i < n; i++) {
        const struct lp_cat_segment *s = &segs[i];
        if (s->rows == 0 || s->level >= LP_LEVEL_FINAL || !old_enough(s, p)) {
            continue;
        }
        struct day d = {.day = lp_day_of(s->min_ns)};
        look_at_day(segs, n, &d);
        if (!is_closed(&d, p)) {
            continue;
        }
        gather_day(segs, n, p, d.day, ret);
        if (ret->inputs.n > 0) {
            ret->level = LP_LEVEL_FINAL;
            ret->day = d.day;
            ret->every_day = p->all;
            return true;
        }
    }
    return false;
}

bool
lp_compact_pick(struct lp_cat_segment *segs, size_t n, const struct lp_compact_policy *p,
                struct lp_compact_pass *ret)
{
    *ret = (struct lp_compact_pass){.level = LP_LEVEL_SEALED};
    if (n > 1) {
        qsort(segs, n, sizeof(*segs), by_generation);
    }
    if (pick_tier(segs, n, p, ret) || pick_day(segs, n, p, ret) || pick_strays(segs, n, ret)) {
        return true;
    }
    lp_ids_clear(&ret->inputs);
    return false;
}

uint64_t
lp_compact_debt(const struct lp_cat_segment *segs, size_t n)
{
    uint64_t bytes = 0;
    for (size_t i = 0; i < n; i++) {
        bytes += segs[i].level < LP_LEVEL_FINAL ? segs[i].file_bytes : 0;
    }
    return bytes;
}
