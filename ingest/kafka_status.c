/*
 * kafka_status.c - what /metrics and `logpond status` say of the Kafka log. HTTP threads.
 */
#include <string.h>

#include "base/metrics.h"
#include "ingest/kafka_int.h"

/* What the broker has that is not stored yet; -1 when it is not known. */
static int64_t
lag_of(struct lp_kafka *k, const struct lp_kafka_partition *p)
{
    int64_t low, high, stored = atomic_load(&p->stored);
    if (rd_kafka_get_watermark_offsets(k->rk, p->topic, p->partition, &low, &high) !=
            RD_KAFKA_RESP_ERR_NO_ERROR ||
        high < 0) {
        return -1;
    }
    return stored < 0 ? high - LP_MAX(low, INT64_C(0)) : LP_MAX(high - stored, INT64_C(0));
}

/* A topic's name has [a-zA-Z0-9._-] only: nothing to escape. */
static void
put_lag(struct lp_kafka *k, struct lp_buf *out)
{
    lp_buf_c(out,
             "# HELP logpond_kafka_lag_messages Messages of an owned partition that are not stored yet.\n"
             "# TYPE logpond_kafka_lag_messages gauge\n");
    for (size_t i = 0; i < k->nparts; i++) {
        const struct lp_kafka_partition *p = k->parts[i];
        int64_t lag = p->owned ? lag_of(k, p) : -1;
        if (lag >= 0) {
            lp_buf_printf(out, "logpond_kafka_lag_messages{topic=\"%s\",partition=\"%d\"} %lld\n", p->topic,
                          p->partition, (long long)lag);
        }
    }
}

void
lp_kafka_metrics(struct lp_log *log, struct lp_buf *out)
{
    struct lp_kafka *k = (struct lp_kafka *)log;
    size_t owned = 0;
    lp_lock(&k->mu);
    put_lag(k, out);
    for (size_t i = 0; i < k->nparts; i++) {
        owned += k->parts[i]->owned;
    }
    lp_unlock(&k->mu);
    lp_lock(&k->out.mu);
    size_t bytes = k->out.bytes;
    lp_unlock(&k->out.mu);
    lp_buf_printf(
        out,
        "# HELP logpond_kafka_partitions Partitions that this instance owns.\n"
        "# TYPE logpond_kafka_partitions gauge\nlogpond_kafka_partitions %zu\n"
        "# HELP logpond_kafka_produce_pending_bytes Bytes produced that the brokers have not confirmed.\n"
        "# TYPE logpond_kafka_produce_pending_bytes gauge\nlogpond_kafka_produce_pending_bytes %zu\n",
        owned, bytes);
}

static void
put_counters(struct lp_kafka *k, struct lp_buf *out)
{
    static const struct {
        const char *name;
        enum lp_metric metric;
    } counters[] = {
        {"rebalances", LP_M_KAFKA_REBALANCES},
        {"lost", LP_M_KAFKA_LOST},
        {"gaps", LP_M_KAFKA_GAPS},
        {"commit_failures", LP_M_KAFKA_COMMIT_FAILED},
        {"produced", LP_M_KAFKA_PRODUCED},
        {"produced_bytes", LP_M_KAFKA_PRODUCED_BYTES},
        {"produce_failures", LP_M_KAFKA_PRODUCE_FAILED},
        {"paused", LP_M_KAFKA_PAUSED},
    };
    int64_t n, sum_ns;
    for (size_t i = 0; i < LP_ARRAY_LEN(counters); i++) {
        lp_buf_printf(out, ",\"%s\":%lld", counters[i].name, (long long)lp_metric_get(counters[i].metric));
    }
    lp_metric_totals(LP_M_KAFKA_PRODUCE, &n, &sum_ns);
    lp_buf_printf(out, ",\"produce_ms\":%.1f,\"push_topic\":\"%s\"",
                  n > 0 ? (double)sum_ns / 1e6 / (double)n : 0.0, k->out.topic);
}

void
lp_kafka_status(struct lp_log *log, struct lp_buf *out)
{
    struct lp_kafka *k = (struct lp_kafka *)log;
    const char *comma = "";
    lp_lock(&k->mu);
    lp_buf_printf(out, "\"kafka\":{\"cluster\":\"%s\",\"partitions\":[", k->cluster ? k->cluster : "");
    for (size_t i = 0; i < k->nparts; i++) {
        const struct lp_kafka_partition *p = k->parts[i];
        if (p->owned) {
            lp_buf_printf(out,
                          "%s{\"topic\":\"%s\",\"partition\":%d,\"epoch\":%llu,\"read\":%lld,\"stored\":%lld,"
                          "\"lag\":%lld}",
                          comma, p->topic, p->partition, (unsigned long long)atomic_load(&p->epoch),
                          (long long)atomic_load(&p->next), (long long)atomic_load(&p->stored),
                          (long long)lag_of(k, p));
            comma = ",";
        }
    }
    lp_unlock(&k->mu);
    lp_buf_c(out, "]");
    put_counters(k, out);
    lp_buf_c(out, "}");
}
