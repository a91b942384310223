/*
 * metric_acc.h - what a range aggregation knows of the samples of a series in a stretch of time, without the samples.
 *
 * Stretches that follow each other are merged, earlier and later, so a window is the merge of what lies in it. Only quantiles and the rate of a counter keep samples
 * themselves. Values are folded in the order they come: sums of fractions may differ in their last digits from run to run.
 */
#ifndef LP_QUERY_METRIC_ACC_H
#define LP_QUERY_METRIC_ACC_H

#include "base/arena.h"
#include "query/ast.h"

struct lp_sample {
    int64_t time_ns;
    uint64_t generation, arrival; /* the order among equal times */
    double v;
};

struct lp_samples; /* a list of them, in an arena */

struct lp_acc {
    uint64_t n;  /* samples */
    uint32_t lo; /* the owner's */
    union {
        struct {
            double x, y; /* a sum and what rounding took from it; the least or largest; a mean and the sum of squared distances from it */
        };
        struct lp_sample edge; /* the first or last */
        struct lp_samples *list;
    };
};

/* How samples are folded: several operations share one. */
enum lp_acc_kind { LP_ACC_SUM, LP_ACC_MIN, LP_ACC_MAX, LP_ACC_SPREAD, LP_ACC_FIRST, LP_ACC_LAST, LP_ACC_LIST };
enum lp_acc_kind lp_acc_kind_of(enum lp_range_op op);

/* False when the arena is spent (lists only). */
bool lp_acc_add(struct lp_acc *a, enum lp_acc_kind kind, const struct lp_sample *s, struct lp_arena *ar);
/* Appends what came later (or at the same times) to `a`. Not for lists. */
void lp_acc_merge(struct lp_acc *a, enum lp_acc_kind kind, const struct lp_acc *later);
/* The operation's value of a window with samples. Not for lists. */
double lp_acc_value(const struct lp_acc *a, const struct lp_range_agg *agg, bool unwrapped);

/* Lists: appends their samples to v, which has room; returns how many. */
size_t lp_acc_samples(const struct lp_acc *a, struct lp_sample *v);
/* The value of all samples of the window that ends so, n > 0; sorts them. */
double lp_acc_samples_value(struct lp_sample *v, size_t n, const struct lp_range_agg *agg, int64_t end_ns);

/* The p-quantile of values in rising order, between the two nearest. */
double lp_quantile(double p, const double *sorted, size_t n);

#endif
