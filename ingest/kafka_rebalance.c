/*
 * kafka_rebalance.c - partitions come and go (cooperative or eager). Runs on the poll thread, inside
 * librdkafka's poll.
 *
 * Assigned: where to begin. The catalog's position wins, unless the group's commit names another store and is
 * further (another instance went on meanwhile), or this process still holds rows that are further (they will
 * be committed or this process dies). Without any of these, from the beginning: nothing that the broker still
 * has is skipped. Revoked: seal, commit, release. If the seal fails in time, or the partition was lost, its
 * unsealed batches leave the head whole and are not committed: the next owner reads them again.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/metrics.h"
#include "ingest/kafka_int.h"

#define COMMITTED_TIMEOUT_MS 5000
#define REVOKE_SEAL_NS (20 * LP_NS_PER_S)

struct committed {
    int64_t next; /* -1: none */
    bool ours;
    uint64_t epoch;
};

/* "UUID EPOCH" as lp_kafka_commit_item writes it. */
static struct committed
parse_commit(const struct lp_kafka *k, const rd_kafka_topic_partition_t *tp)
{
    struct committed c = {tp->offset >= 0 && tp->err == RD_KAFKA_RESP_ERR_NO_ERROR ? tp->offset : -1, false,
                          0};
    char meta[80] = "";
    size_t n = LP_MIN(tp->metadata_size, sizeof(meta) - 1);
    if (n > 0) {
        memcpy(meta, tp->metadata, n);
    }
    c.ours = strncmp(meta, k->uuid, strlen(k->uuid)) == 0;
    if (n > strlen(k->uuid)) {
        c.epoch = strtoull(meta + strlen(k->uuid), NULL, 10);
    }
    return c;
}

static lp_rc
catalog_position(const struct lp_kafka *k, const struct lp_source *src, int64_t *ret_next,
                 uint64_t *ret_epoch, struct lp_err *err)
{
    struct lp_cat_txn *t;
    uint64_t next = 0;
    *ret_next = -1;
    *ret_epoch = 0;
    lp_rc rc = lp_cat_begin(lp_store_catalog(k->log.env.store), &t, err);
    if (rc != LP_OK) {
        return rc;
    }
    rc = lp_cat_position(t, src->log, src->partition, &next, ret_epoch, err);
    lp_cat_end(t);
    if (rc == LP_OK) {
        *ret_next = (int64_t)next;
    }
    return rc == LP_ERR_NOT_FOUND ? LP_OK : rc;
}

static void
place(struct lp_kafka *k, struct lp_kafka_partition *p, rd_kafka_topic_partition_t *tp)
{
    struct committed c = parse_commit(k, tp);
    struct lp_err err;
    int64_t stored, held;
    uint64_t epoch;
    lp_err_clear(&err);
    if (catalog_position(k, p->source, &stored, &epoch, &err) != LP_OK) {
        lp_kafka_say(k, LP_EVENT_ERROR, "position of %s/%d cannot be read: %s", p->topic, p->partition,
                     err.text);
        abort(); /* reading from a wrong place could store twice; a new process opens the catalog anew */
    }
    held = lp_head_source_next(k->head, p->source);
    bool other_is_further = c.next > stored && !c.ours;
    int64_t start = LP_MAX(other_is_further || stored < 0 ? c.next : stored, held);
    p->epoch = LP_MAX(epoch, c.epoch) + (c.ours || c.next < 0 ? 0 : 1);
    p->next = start;
    atomic_store(&p->stored, stored);
    tp->offset = start >= 0 ? start : RD_KAFKA_OFFSET_BEGINNING;
    tp->err = RD_KAFKA_RESP_ERR_NO_ERROR;
}

static void
assigned(struct lp_kafka *k, rd_kafka_topic_partition_list_t *list)
{
    rd_kafka_resp_err_t rc = rd_kafka_committed(k->rk, list, COMMITTED_TIMEOUT_MS);
    if (rc != RD_KAFKA_RESP_ERR_NO_ERROR) {
        lp_kafka_say(k, LP_EVENT_WARN,
                     "committed offsets cannot be read: %s; the store's own positions are used",
                     rd_kafka_err2str(rc));
    }
    for (int i = 0; i < list->cnt; i++) {
        rd_kafka_topic_partition_t *tp = &list->elems[i];
        struct lp_kafka_partition *p = lp_kafka_partition(k, tp->topic, tp->partition, true);
        lp_kafka_drop_run(p);
        place(k, p, tp);
        lp_lock(&k->mu);
        p->owned = true;
        lp_unlock(&k->mu);
    }
    if (list->cnt > 0) {
        lp_kafka_say(k, LP_EVENT_INFO, "kafka: %d partitions assigned", list->cnt);
    }
    atomic_store(&k->assigned, true);
}

static void
commit_revoked(struct lp_kafka *k, const rd_kafka_topic_partition_list_t *list)
{
    rd_kafka_topic_partition_list_t *offsets = rd_kafka_topic_partition_list_new(list->cnt);
    for (int i = 0; i < list->cnt; i++) {
        struct lp_kafka_partition *p =
            lp_kafka_partition(k, list->elems[i].topic, list->elems[i].partition, false);
        int64_t stored = p != NULL ? atomic_load(&p->stored) : -1;
        if (stored >= 0) {
            lp_kafka_commit_item(k, offsets, p, stored);
        }
    }
    rd_kafka_resp_err_t rc =
        offsets->cnt > 0 ? rd_kafka_commit(k->rk, offsets, /* async= */ 0) : RD_KAFKA_RESP_ERR_NO_ERROR;
    if (rc != RD_KAFKA_RESP_ERR_NO_ERROR) {
        lp_metric_add(LP_M_KAFKA_COMMIT_FAILED, 1);
        lp_kafka_say(k, LP_EVENT_WARN, "kafka: offsets were stored but the group did not take them: %s",
                     rd_kafka_err2str(rc));
    }
    rd_kafka_topic_partition_list_destroy(offsets);
}

static void
revoked(struct lp_kafka *k, const rd_kafka_topic_partition_list_t *list, bool lost)
{
    struct lp_err err;
    lp_err_clear(&err);
    for (int i = 0; i < list->cnt; i++) {
        struct lp_kafka_partition *p =
            lp_kafka_partition(k, list->elems[i].topic, list->elems[i].partition, true);
        lp_kafka_drop_run(p);
        lp_lock(&k->mu);
        p->owned = false;
        lp_unlock(&k->mu);
    }
    bool sealed = !lost && lp_store_seal(k->log.env.store, lp_mono_ns() + REVOKE_SEAL_NS, &err) == LP_OK;
    if (sealed) {
        commit_revoked(k, list);
    }
    for (int i = 0; i < list->cnt && !sealed; i++) {
        struct lp_kafka_partition *p =
            lp_kafka_partition(k, list->elems[i].topic, list->elems[i].partition, true);
        (void)lp_head_drop_source(k->head, p->source);
    }
    if (list->cnt > 0) {
        lp_kafka_say(k, sealed ? LP_EVENT_INFO : LP_EVENT_WARN, "kafka: %d partitions %s%s%s", list->cnt,
                     lost ? "lost; what was not yet sealed is left to the next owner" : "revoked",
                     sealed || lost ? "" : ", not sealed in time: ", sealed || lost ? "" : err.text);
    }
}

void
lp_kafka_rebalance(rd_kafka_t *rk, rd_kafka_resp_err_t code, rd_kafka_topic_partition_list_t *list,
                   void *opaque)
{
    struct lp_kafka *k = opaque;
    bool cooperative = strcmp(rd_kafka_rebalance_protocol(rk), "COOPERATIVE") == 0;
    rd_kafka_error_t *error = NULL;
    rd_kafka_resp_err_t rc = RD_KAFKA_RESP_ERR_NO_ERROR;
    lp_metric_add(LP_M_KAFKA_REBALANCES, 1);
    if (code == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS) {
        assigned(k, list);
        if (cooperative) {
            error = rd_kafka_incremental_assign(rk, list);
        } else {
            rc = rd_kafka_assign(rk, list);
        }
    } else {
        revoked(k, list, code != RD_KAFKA_RESP_ERR__REVOKE_PARTITIONS || rd_kafka_assignment_lost(rk));
        if (cooperative && code == RD_KAFKA_RESP_ERR__REVOKE_PARTITIONS) {
            error = rd_kafka_incremental_unassign(rk, list);
        } else {
            rc = rd_kafka_assign(rk, NULL);
        }
    }
    k->paused = false; /* what is assigned now is not paused */
    if (error != NULL || rc != RD_KAFKA_RESP_ERR_NO_ERROR) {
        lp_kafka_say(k, LP_EVENT_ERROR, "kafka: rebalance: %s",
                     error != NULL ? rd_kafka_error_string(error) : rd_kafka_err2str(rc));
    }
    if (error != NULL) {
        rd_kafka_error_destroy(error);
    }
}
