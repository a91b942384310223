/*
 * kafka_gap.c - when the brokers do not have what comes next, or have something else there: a row says what
 * is missing, a metric counts it, and reading goes on at the oldest message there is. Poll thread.
 *
 * The row lies in {__quarantine__="kafka"}: "gap: ...", with place="TOPIC/PARTITION/FROM-TO" and the reason.
 * Its ticket covers what is missing, so the position moves with the row, in one transaction.
 *
 * A topic that was deleted and made again begins at offset 0 again. It shows when our position lies behind
 * its end, or, where it has grown past it meanwhile, by the anchor: the message before our position is not
 * the one that we stored.
 */
#include <stdio.h>

#include "base/metrics.h"
#include "ingest/kafka_int.h"

rd_kafka_resp_err_t
lp_kafka_range(struct lp_kafka *k, const struct lp_kafka_partition *p, int64_t *ret_low, int64_t *ret_high)
{
    return rd_kafka_query_watermark_offsets(k->rk, p->topic, p->partition, ret_low, ret_high,
                                            LP_KAFKA_BROKER_MS);
}

static void
note(struct lp_kafka *k, struct lp_kafka_partition *p, int64_t to, const char *reason)
{
    p->gap = (struct lp_kafka_gap){p->has_gap ? p->gap.from : p->next, to, reason};
    p->has_gap = true;
    p->next = to;
    p->anchor_at = -1;
    p->reread_until = -1;
    if (to < p->gap.from) {
        p->commit_above = -1; /* another log: its offsets say nothing about those before */
        p->committed = atomic_load(&p->stored);
    }
    lp_metric_add(LP_M_KAFKA_GAPS, 1);
    lp_kafka_say(k, LP_EVENT_ERROR, "%s/%d: %s: offset %lld is gone, going on at %lld", p->topic,
                 p->partition, reason, (long long)p->gap.from, (long long)to);
}

void
lp_kafka_out_of_range(struct lp_kafka *k, struct lp_kafka_partition *p)
{
    int64_t low = 0, high = 0;
    if (p->run != NULL) { /* it gets its ticket first; then the same error comes again */
        p->seek_due = true;
        return;
    }
    rd_kafka_resp_err_t rc = lp_kafka_range(k, p, &low, &high);
    if (rc != RD_KAFKA_RESP_ERR_NO_ERROR) {
        lp_kafka_say(k, LP_EVENT_ERROR, "%s/%d: %s", p->topic, p->partition, rd_kafka_err2str(rc));
        p->claimed = false;
        k->rejoin_ns = lp_mono_ns() + LP_NS_PER_S; /* a new assignment asks again */
        return;
    }
    if (low <= p->next && p->next <= high) { /* only what was to be looked at once more is gone */
        p->anchor_at = -1;
        p->reread_until = -1;
        (void)lp_kafka_seek(k, p, p->next);
        return;
    }
    note(k, p, low,
         p->next > high ? "the topic was made again, or its end was lost"
                        : "the brokers removed messages before they were stored");
    (void)lp_kafka_seek(k, p, low);
}

bool
lp_kafka_check_anchor(struct lp_kafka *k, struct lp_kafka_partition *p, const rd_kafka_message_t *m)
{
    bool there = m->offset == p->anchor_at;
    p->anchor_at = -1;
    if (!there || lp_kafka_anchor(m) == p->anchor) {
        return true;
    }
    int64_t low = 0, high = 0;
    rd_kafka_resp_err_t rc = lp_kafka_range(k, p, &low, &high);
    if (rc != RD_KAFKA_RESP_ERR_NO_ERROR) {
        low = 0; /* the seek finds out */
    }
    note(k, p, low, "the topic was made again: another message stands where ours was");
    (void)lp_kafka_seek(k, p, low);
    return false;
}

/* The row; NULL never: its few bytes are not budgeted. */
static struct lp_batch *
gap_row(const struct lp_kafka_partition *p)
{
    char line[640], place[320];
    const struct lp_kafka_gap *g = &p->gap;
    struct lp_batch *b = lp_batch_new(LP_STR_NULL, SIZE_MAX, sizeof(line));
    LP_ASSERT(b != NULL);
    b->received_ns = lp_now_ns();
    snprintf(place, sizeof(place), "%.249s/%d/%lld-%lld", p->topic, p->partition, (long long)g->from,
             (long long)g->to);
    if (g->to >= g->from) {
        snprintf(line, sizeof(line),
                 "gap: offsets %lld to %lld of topic %.249s, partition %d are missing: %s",
                 (long long)g->from, (long long)g->to - 1, p->topic, p->partition, g->reason);
    } else {
        snprintf(line, sizeof(line), "gap: topic %.249s, partition %d goes on at offset %lld after %lld: %s",
                 p->topic, p->partition, (long long)g->to, (long long)g->from - 1, g->reason);
    }
    lp_rc rc =
        lp_batch_quarantine(b, LP_STR("kafka"), lp_str_c(line), lp_str_c(g->reason), lp_str_c(place), NULL);
    LP_ASSERT(rc == LP_OK); /* an arena without a budget fails only when the system has no memory at all */
    lp_batch_finish(b);
    return b;
}

bool
lp_kafka_store_gap(struct lp_kafka *k, struct lp_kafka_partition *p, int64_t deadline_ns)
{
    struct lp_batch *b = gap_row(p);
    struct lp_err err;
    size_t room = lp_batch_room(b);
    if (lp_store_intake(k->log.env.store, &err) != LP_OK ||
        lp_head_room(k->head, room, deadline_ns, &err) != LP_OK) {
        lp_batch_free(b);
        return false;
    }
    bool anew = p->gap.to < p->gap.from;
    if (anew) { /* one generation holds offsets of one life of a topic only; ids of the former say nothing */
        (void)lp_head_close(k->head);
        lp_ids_table_free(p->ids);
        p->ids = lp_ids_table_new();
    }
    struct lp_ticket_spec spec = {.source = p->source,
                                  .first = (uint64_t)(anew ? p->gap.to : p->gap.from),
                                  .next = (uint64_t)p->gap.to,
                                  .epoch = p->epoch,
                                  .room = room,
                                  .expect = room};
    p->has_gap = false;
    p->next = p->gap.to;
    lp_head_end(k->head, lp_head_ticket_of(k->head, &spec), LP_STORED, b);
    return true;
}
