/*
 * metric_window.c - which windows a time is in.
 *
 * Window i holds the times in (end(i) - range, end(i)]. A time t is so in the windows [lo, hi): lo windows
 * end before it, and hi windows have begun. Between two edges (the ends, and the begins) neither changes:
 * that is a span, and a run of rows inside it is counted at once. Sums of times may leave 64 bits, so edges
 * are computed in 128.
 */
#include "query/metric_int.h"

__extension__ typedef __int128 wide;

static wide
end_of(const struct lp_windows *w, uint64_t i)
{
    return w->first_ns + (wide)i * w->step_ns;
}

static int64_t
clamp(wide t)
{
    return t < LP_TIME_MIN ? LP_TIME_MIN : t > LP_TIME_MAX ? LP_TIME_MAX : (int64_t)t;
}

bool
lp_windows_make(struct lp_windows *w, const struct lp_metric_query *q, const struct lp_log_range *range,
                uint32_t *ret_first)
{
    *w = (struct lp_windows){.step_ns = q->step_ns, .range_ns = range->range_ns};
    for (size_t i = 0; i < q->steps; i++) {
        wide end = (wide)q->start_ns + (wide)q->step_ns * (wide)i - range->offset_ns;
        if (end < LP_TIME_MIN || end > LP_TIME_MAX) {
            continue;
        }
        if (w->n++ == 0) {
            w->first_ns = (int64_t)end;
            *ret_first = (uint32_t)i;
        }
    }
    return w->n > 0 && range->range_ns > 0;
}

/* How many i in [0, n) have i * step < x. */
static uint32_t
steps_below(const struct lp_windows *w, wide x)
{
    if (x <= 0) {
        return 0;
    }
    if (x > (wide)(w->n - 1) * w->step_ns) {
        return w->n;
    }
    return (uint32_t)(((uint64_t)x - 1) / (uint64_t)w->step_ns) + 1;
}

void
lp_windows_span(const struct lp_windows *w, int64_t t, struct lp_window_span *ret)
{
    wide past = (wide)t - w->first_ns;
    uint32_t lo = steps_below(w, past), hi = steps_below(w, past + w->range_ns);
    wide from = LP_TIME_MIN, to = LP_TIME_MAX;
    if (lo > 0) {
        from = end_of(w, lo - 1) + 1;
    }
    if (hi > 0) {
        from = LP_MAX(from, end_of(w, hi - 1) - w->range_ns + 1);
    }
    if (lo < w->n) {
        to = end_of(w, lo);
    }
    if (hi < w->n) {
        to = LP_MIN(to, end_of(w, hi) - w->range_ns);
    }
    *ret = (struct lp_window_span){clamp(from), clamp(to), lo, hi};
}

void
lp_windows_range(const struct lp_windows *w, int64_t *ret_from_ns, int64_t *ret_to_ns)
{
    *ret_from_ns = clamp((wide)w->first_ns - w->range_ns + 1);
    *ret_to_ns = clamp(end_of(w, w->n - 1) + 1);
}
