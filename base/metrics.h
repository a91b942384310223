/*
 * metrics.h - counters, gauges and histograms, declared once in metrics_tbl.h, shown at /metrics in Prometheus' text format.
 *
 * Updates are relaxed atomics, callable from any thread. Values that exist per partition or file are added at scrape
 * time by the server through collectors.
 */
#ifndef LP_BASE_METRICS_H
#define LP_BASE_METRICS_H

#include "base/buf.h"

#ifdef __cplusplus
extern "C" {
#endif

enum lp_metric_kind { LP_COUNTER, LP_GAUGE, LP_HISTOGRAM };

enum lp_metric {
#define X(id, kind, name, text) LP_M_##id,
#include "base/metrics_tbl.h"
#undef X
    LP_M_COUNT
};

void lp_metric_add(enum lp_metric m, int64_t by);
void lp_metric_set(enum lp_metric m, int64_t value);
int64_t lp_metric_get(enum lp_metric m);
/* Observations of a histogram so far, and their sum in nanoseconds. */
void lp_metric_totals(enum lp_metric m, int64_t *ret_n, int64_t *ret_sum_ns);
/* Histograms: an observation in nanoseconds; buckets from 100 us to 100 s. */
void lp_metric_observe(enum lp_metric m, int64_t duration_ns);

/* A function that appends more lines ("name{label=\"v\"} 1\n", with # HELP/# TYPE) at each scrape. At most 16. */
void lp_metrics_collector(void (*fn)(void *arg, struct lp_buf *out), void *arg);
/* Removes all collectors with this arg, and waits for scrapes that may be running them: hold no lock that they take. */
void lp_metrics_collector_remove(void *arg);
/* All metrics as text. */
void lp_metrics_text(struct lp_buf *out);

#ifdef __cplusplus
}
#endif

#endif
