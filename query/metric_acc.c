/*
 * metric_acc.c - folding samples: sums with the error of rounding kept (Neumaier), means and squares as
 * Welford does, merged as Chan et al. do.
 */
#include "query/metric_acc.h"

#include <math.h>
#include <stdlib.h>

#define LIST_SAMPLES 31

struct lp_samples {
    struct lp_samples *before;
    size_t n;
    struct lp_sample v[LIST_SAMPLES];
};

enum lp_acc_kind
lp_acc_kind_of(enum lp_range_op op)
{
    switch (op) {
    case LP_RANGE_MIN:
        return LP_ACC_MIN;
    case LP_RANGE_MAX:
        return LP_ACC_MAX;
    case LP_RANGE_STDDEV:
    case LP_RANGE_STDVAR:
        return LP_ACC_SPREAD;
    case LP_RANGE_FIRST:
        return LP_ACC_FIRST;
    case LP_RANGE_LAST:
        return LP_ACC_LAST;
    case LP_RANGE_QUANTILE:
    case LP_RANGE_RATE_COUNTER:
        return LP_ACC_LIST;
    case LP_RANGE_RATE:
    case LP_RANGE_COUNT:
    case LP_RANGE_BYTES:
    case LP_RANGE_BYTES_RATE:
    case LP_RANGE_SUM:
    case LP_RANGE_AVG:
    case LP_RANGE_ABSENT:
        break;
    }
    return LP_ACC_SUM;
}

static void
add_sum(struct lp_acc *a, double v)
{
    double sum = a->x + v;
    if (isfinite(sum)) {
        a->y += fabs(a->x) >= fabs(v) ? (a->x - sum) + v : (v - sum) + a->x;
    } else {
        a->y = 0; /* nothing is lost of an infinity */
    }
    a->x = sum;
}

static bool
is_earlier(const struct lp_sample *a, const struct lp_sample *b)
{
    if (a->time_ns != b->time_ns) {
        return a->time_ns < b->time_ns;
    }
    return a->generation != b->generation ? a->generation < b->generation : a->arrival < b->arrival;
}

static bool
append(struct lp_acc *a, const struct lp_sample *s, struct lp_arena *ar)
{
    struct lp_samples *l = a->n > 0 ? a->list : NULL;
    if (l == NULL || l->n == LIST_SAMPLES) {
        struct lp_samples *new = lp_arena_alloc(ar, sizeof(*new));
        if (new == NULL) {
            return false;
        }
        new->before = l;
        new->n = 0;
        l = a->list = new;
    }
    l->v[l->n++] = *s;
    return true;
}

bool
lp_acc_add(struct lp_acc *a, enum lp_acc_kind kind, const struct lp_sample *s, struct lp_arena *ar)
{
    double from_mean;
    switch (kind) {
    case LP_ACC_SUM:
        add_sum(a, s->v);
        break;
    case LP_ACC_MIN:
        a->x = a->n == 0 || s->v < a->x || isnan(a->x) ? s->v : a->x;
        break;
    case LP_ACC_MAX:
        a->x = a->n == 0 || s->v > a->x || isnan(a->x) ? s->v : a->x;
        break;
    case LP_ACC_SPREAD:
        from_mean = s->v - a->x;
        a->x += from_mean / (double)(a->n + 1);
        a->y += from_mean * (s->v - a->x);
        break;
    case LP_ACC_FIRST:
        a->edge = a->n == 0 || is_earlier(s, &a->edge) ? *s : a->edge;
        break;
    case LP_ACC_LAST:
        a->edge = a->n == 0 || is_earlier(&a->edge, s) ? *s : a->edge;
        break;
    case LP_ACC_LIST:
        if (!append(a, s, ar)) {
            return false;
        }
    }
    a->n++;
    return true;
}

void
lp_acc_merge(struct lp_acc *a, enum lp_acc_kind kind, const struct lp_acc *later)
{
    double n = (double)a->n, m = (double)later->n, apart;
    if (later->n == 0) {
        return;
    }
    if (a->n == 0) {
        *a = *later;
        return;
    }
    switch (kind) {
    case LP_ACC_SUM:
        add_sum(a, later->x);
        a->y += later->y;
        break;
    case LP_ACC_MIN:
        a->x = later->x < a->x || isnan(a->x) ? later->x : a->x;
        break;
    case LP_ACC_MAX:
        a->x = later->x > a->x || isnan(a->x) ? later->x : a->x;
        break;
    case LP_ACC_SPREAD:
        apart = later->x - a->x;
        a->x += apart * m / (n + m);
        a->y += later->y + apart * apart * n * m / (n + m);
        break;
    case LP_ACC_FIRST:
        a->edge = is_earlier(&later->edge, &a->edge) ? later->edge : a->edge;
        break;
    case LP_ACC_LAST:
        a->edge = is_earlier(&a->edge, &later->edge) ? later->edge : a->edge;
        break;
    case LP_ACC_LIST:
        LP_ASSERT(kind != LP_ACC_LIST);
    }
    a->n += later->n;
}

double
lp_acc_value(const struct lp_acc *a, const struct lp_range_agg *agg, bool unwrapped)
{
    double n = (double)a->n, seconds = (double)agg->range.range_ns / 1e9;
    switch (agg->op) {
    case LP_RANGE_COUNT:
    case LP_RANGE_ABSENT:
        return n;
    case LP_RANGE_RATE:
        return (unwrapped ? a->x + a->y : n) / seconds;
    case LP_RANGE_BYTES_RATE:
        return (a->x + a->y) / seconds;
    case LP_RANGE_BYTES:
    case LP_RANGE_SUM:
        return a->x + a->y;
    case LP_RANGE_AVG:
        return (a->x + a->y) / n;
    case LP_RANGE_STDVAR:
        return a->y / n;
    case LP_RANGE_STDDEV:
        return sqrt(a->y / n);
    case LP_RANGE_FIRST:
    case LP_RANGE_LAST:
        return a->edge.v;
    case LP_RANGE_MIN:
    case LP_RANGE_MAX:
    case LP_RANGE_QUANTILE:
    case LP_RANGE_RATE_COUNTER:
        break;
    }
    return a->x;
}

/* ------------------------------------------------------------------ lists */

size_t
lp_acc_samples(const struct lp_acc *a, struct lp_sample *v)
{
    size_t n = 0;
    for (const struct lp_samples *l = a->n > 0 ? a->list : NULL; l != NULL; l = l->before) {
        for (size_t i = 0; i < l->n; i++) {
            v[n++] = l->v[i];
        }
    }
    return n;
}

/* NaN before all others. */
static bool
is_less(double a, double b)
{
    return isnan(a) ? !isnan(b) : a < b;
}

static void
swap(struct lp_sample *a, struct lp_sample *b)
{
    struct lp_sample kept = *a;
    *a = *b;
    *b = kept;
}

/* Hoare's selection: v[k] becomes what it is in order, what lies before it is not larger, what lies behind
 * not smaller. */
static void
select_nth(struct lp_sample *v, size_t n, size_t k)
{
    size_t lo = 0, hi = n; /* it is in [lo, hi) */
    while (hi - lo > 1) {
        double pivot = v[lo + (hi - lo - 1) / 2].v; /* not the last: so both sides have something */
        size_t i = lo, j = hi - 1;
        for (;; i++, j--) {
            while (is_less(v[i].v, pivot)) {
                i++;
            }
            while (is_less(pivot, v[j].v)) {
                j--;
            }
            if (i >= j) {
                break;
            }
            swap(&v[i], &v[j]);
        }
        if (k <= j) { /* [lo, j] is not larger than what lies behind it */
            hi = j + 1;
        } else {
            lo = j + 1;
        }
    }
}

static int
by_time(const void *a, const void *b)
{
    return is_earlier(b, a) - is_earlier(a, b);
}

/* Where in n sorted values the quantile lies, and how far behind it. */
static size_t
rank_of(double p, size_t n, double *ret_weight)
{
    double rank = p * (double)(n - 1), below = floor(rank);
    *ret_weight = rank - below;
    return (size_t)below;
}

double
lp_quantile(double p, const double *sorted, size_t n)
{
    double weight;
    if (n == 0 || isnan(p)) {
        return NAN;
    }
    if (p < 0 || p > 1) {
        return p < 0 ? -INFINITY : INFINITY;
    }
    size_t below = rank_of(p, n, &weight), above = LP_MIN(below + 1, n - 1);
    return sorted[below] * (1 - weight) + sorted[above] * weight;
}

static double
quantile(double p, struct lp_sample *v, size_t n)
{
    double weight;
    if (isnan(p) || p < 0 || p > 1) {
        return lp_quantile(p, &v->v, 1);
    }
    size_t below = rank_of(p, n, &weight), above = LP_MIN(below + 1, n - 1);
    select_nth(v, n, below);
    if (above > below) {
        select_nth(v + above, n - above, 0);
    }
    return v[below].v * (1 - weight) + v[above].v * weight;
}

/* How much of the time up to an end of the window the samples speak for: all where it is near, else half of
 * their mean distance. */
static double
reach(double to_end_s, double apart_s)
{
    return to_end_s < apart_s * 1.1 ? to_end_s : apart_s / 2;
}

/* The increase of a counter, resets taken into account, extrapolated to the ends of the window as Prometheus
 * does; not below zero. */
static double
counter_rate(struct lp_sample *v, size_t n, int64_t end_ns, int64_t range_ns)
{
    if (n < 2) {
        return 0;
    }
    qsort(v, n, sizeof(*v), by_time);
    double increase = v[n - 1].v - v[0].v, last = 0;
    for (size_t i = 0; i < n; i++) {
        increase += v[i].v < last ? last : 0;
        last = v[i].v;
    }
    double range_s = (double)range_ns / 1e9;
    double sampled_s = (double)(v[n - 1].time_ns - v[0].time_ns) / 1e9, apart_s = sampled_s / (double)(n - 1);
    double after_s = (double)(end_ns - v[n - 1].time_ns) / 1e9, before_s = range_s - after_s - sampled_s;
    if (increase > 0 && v[0].v >= 0) {
        before_s = LP_MIN(before_s, sampled_s * (v[0].v / increase));
    }
    double covered_s = sampled_s + reach(before_s, apart_s) + reach(after_s, apart_s);
    return increase * (covered_s / sampled_s) / range_s;
}

double
lp_acc_samples_value(struct lp_sample *v, size_t n, const struct lp_range_agg *agg, int64_t end_ns)
{
    return agg->op == LP_RANGE_QUANTILE ? quantile(agg->param, v, n)
                                        : counter_rate(v, n, end_ns, agg->range.range_ns);
}
