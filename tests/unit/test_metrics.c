/*
 * test_metrics.c - metrics. Oracle: Prometheus' text format (HELP, TYPE, cumulative buckets, sums in
 * seconds).
 */
#include "tests/unit/unit.h"

#include "base/metrics.h"

static void
collect(void *arg, struct lp_buf *out)
{
    lp_buf_printf(out, "%s 1\n", (const char *)arg);
}

static bool
holds(const struct lp_buf *b, const char *text)
{
    return lp_str_find(lp_buf_view(b), lp_str_c(text)) != SIZE_MAX;
}

static void
metrics_as_text(void)
{
    static char name[] = "logpond_collected";
    struct lp_buf b;
    lp_buf_init(&b, 1 << 20);
    int64_t before = lp_metric_get(LP_M_SEALS);
    lp_metric_add(LP_M_SEALS, 5);
    CU_ASSERT_EQUAL(lp_metric_get(LP_M_SEALS), before + 5);
    lp_metric_set(LP_M_HEAD_BYTES, -7);
    lp_metric_observe(LP_M_SEAL_DURATION, 100000);       /* exactly a bound: it belongs to it */
    lp_metric_observe(LP_M_SEAL_DURATION, 1500000000);   /* 1.5 s */
    lp_metric_observe(LP_M_SEAL_DURATION, 200000000000); /* over all bounds */
    lp_metrics_collector(collect, name);
    lp_metrics_text(&b);
    CU_ASSERT(holds(&b, "# HELP logpond_seals_total Generations committed as segments.\n# TYPE "
                        "logpond_seals_total counter\n"));
    CU_ASSERT(holds(&b, "\nlogpond_head_bytes -7\n"));
    CU_ASSERT(
        holds(&b, "# TYPE logpond_seal_seconds histogram\nlogpond_seal_seconds_bucket{le=\"0.0001\"} 1\n"));
    CU_ASSERT(holds(&b, "{le=\"1\"} 1\nlogpond_seal_seconds_bucket{le=\"2.5\"} 2\n"));
    CU_ASSERT(holds(&b, "{le=\"100\"} 2\nlogpond_seal_seconds_bucket{le=\"+Inf\"} "
                        "3\nlogpond_seal_seconds_sum 201.500100000\nlogpond_seal_seconds_count 3\n"));
    CU_ASSERT(holds(&b, "\nlogpond_collected 1\n"));
    lp_metrics_collector_remove(name);
    lp_buf_reset(&b);
    lp_metrics_text(&b);
    CU_ASSERT_FALSE(holds(&b, "logpond_collected"));
    CU_ASSERT(!b.failed && b.p[b.n - 1] == '\n');
    lp_buf_clear(&b);
}

LP_SUITE(metrics, {"metrics as text", metrics_as_text});
