/*
 * kafka_ids.c - stored once, from Kafka: the identities of messages, known in the order of the log. Poll
 * thread.
 *
 * A message is a duplicate when its identity stands before it in its partition, within ten minutes of
 * received time: in a ticket given since the partition came (p->ids), in the catalog (the store's table), or
 * in the log before, which a new owner reads again for its ids alone. That reading begins with the first
 * message that has an identity, so topics that Logpond does not write to are never read twice.
 */
#include "base/metrics.h"
#include "ingest/kafka_int.h"

#define REREAD_BYTES_MAX (64u << 20)
#define REREAD_SAMPLE_BYTES (1u << 20)

/* The first offset of the ten minutes before m; -1 when there is nothing, or it cannot be told. */
static int64_t
window_start(struct lp_kafka *k, const struct lp_kafka_partition *p, const rd_kafka_message_t *m)
{
    int64_t ns = lp_kafka_time(m), at = -1;
    if (ns == LP_TIME_NONE) {
        return -1;
    }
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, p->topic, p->partition)->offset =
        LP_MAX(ns / LP_NS_PER_MS - LP_IDS_WINDOW_NS / LP_NS_PER_MS, INT64_C(0));
    rd_kafka_resp_err_t rc = rd_kafka_offsets_for_times(k->rk, list, LP_KAFKA_BROKER_MS);
    rc = rc == RD_KAFKA_RESP_ERR_NO_ERROR ? list->elems[0].err : rc;
    if (rc == RD_KAFKA_RESP_ERR_NO_ERROR) {
        at = list->elems[0].offset;
    } else {
        lp_kafka_say(k, LP_EVENT_WARN,
                     "%s/%d: the ids of the last ten minutes cannot be read: %s; what is sent again may be "
                     "stored again",
                     p->topic, p->partition, rd_kafka_err2str(rc));
    }
    rd_kafka_topic_partition_list_destroy(list);
    return at;
}

bool
lp_kafka_reread(struct lp_kafka *k, struct lp_kafka_partition *p, const rd_kafka_message_t *m)
{
    int64_t from = window_start(k, p, m);
    p->ids_whole = true;
    if (from < 0 || from >= m->offset || !lp_kafka_seek(k, p, from)) {
        return false;
    }
    p->reread_until = m->offset;
    p->reread_bytes = 0;
    return true;
}

/* Once enough is seen to know how large messages are: leaves out what is beyond the limit, the oldest. */
static void
keep_within_limit(struct lp_kafka *k, struct lp_kafka_partition *p, const rd_kafka_message_t *m,
                  size_t before)
{
    if (before >= REREAD_SAMPLE_BYTES || p->reread_bytes < REREAD_SAMPLE_BYTES) {
        return;
    }
    int64_t seen = LP_MAX(m->offset - p->reread_from, INT64_C(1)), left = p->reread_until - m->offset;
    double each = (double)p->reread_bytes / (double)seen;
    if (each * (double)left > REREAD_BYTES_MAX) {
        (void)lp_kafka_seek(k, p, p->reread_until - (int64_t)(REREAD_BYTES_MAX / each));
    }
}

void
lp_kafka_note_id(struct lp_kafka *k, struct lp_kafka_partition *p, const rd_kafka_message_t *m)
{
    struct lp_kafka_headers h;
    struct lp_batch_id id;
    size_t before = p->reread_bytes;
    lp_kafka_read_headers(m, &h);
    if (lp_kafka_identity(m, &h, &id)) {
        (void)lp_ids_note(p->ids, &id);
    }
    p->reread_from = before == 0 ? m->offset : p->reread_from;
    p->reread_bytes += m->len;
    lp_metric_add(LP_M_KAFKA_REREAD_BYTES, (int64_t)m->len);
    keep_within_limit(k, p, m, before);
}

static bool
duplicate(struct lp_kafka *k, struct lp_kafka_partition *p, const struct lp_batch_id *id)
{
    return !lp_ids_note(p->ids, id) || lp_ids_known(k->log.env.ids, id);
}

void
lp_kafka_drop_duplicates(struct lp_kafka *k, struct lp_kafka_partition *p, struct lp_kafka_run *run)
{
    unsigned kept = 0;
    for (unsigned i = 0; i < run->n; i++) {
        struct lp_kafka_headers h;
        struct lp_batch_id id;
        lp_kafka_read_headers(run->messages[i], &h);
        bool has = lp_kafka_identity(run->messages[i], &h, &id);
        if (has && duplicate(k, p, &id)) {
            rd_kafka_message_destroy(run->messages[i]);
            lp_metric_add(LP_M_INGEST_DUPLICATES, 1);
            continue;
        }
        if (has) {
            run->ids = run->ids != NULL ? run->ids : lp_calloc(run->n, sizeof(*run->ids));
            run->ids[run->nids++] = id;
        }
        run->messages[kept++] = run->messages[i];
    }
    run->n = kept;
}
