/*
 * kafka_rebalance.c - partitions come and go (cooperative or eager). Runs on the poll thread, inside
 * librdkafka's poll.
 *
 * Assigned: the partition is placed, then claimed. Where to begin: the catalog's position wins, unless the
 * group's commit names another store and is further (another instance went on meanwhile); a commit of the
 * store that this one was copied from does not count. Without either, the oldest message there is: nothing
 * that the broker still has is skipped. Rows that this process still holds are never fetched twice. Claiming:
 * a new owner commits its epoch, one above the last, at the unchanged offset before it reads, so that an
 * owner that does not know yet that it lost the partition stores under a lower epoch. A partition that cannot
 * be claimed is not read, and the group is joined again.
 *
 * Revoked: seal, commit, release. If the seal fails in time, or the partition was lost, its unsealed batches
 * leave the head whole and are not committed: the next owner reads them again. Unless
 * their topic was deleted: then they are sealed.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/metrics.h"
#include "ingest/kafka_int.h"

#define CLAIM_TRIES 3
#define REJOIN_AFTER_NS LP_NS_PER_S
#define TOPIC_GONE_NS (60 * LP_NS_PER_S)
#define REVOKE_SEAL_NS (20 * LP_NS_PER_S)

struct committed {
    int64_t next; /* -1: none */
    bool ours;    /* by this store */
    bool other;   /* by another store, that this one was not copied from */
    uint64_t epoch;
};

static struct lp_kafka_partition *
partition_at(struct lp_kafka *k, const rd_kafka_topic_partition_list_t *list, int i)
{
    return lp_kafka_partition(k, list->elems[i].topic, list->elems[i].partition, true);
}

void
lp_kafka_commit_item(const struct lp_kafka *k, rd_kafka_topic_partition_list_t *list,
                     const struct lp_kafka_partition *p, int64_t next)
{
    char meta[80];
    int n = snprintf(meta, sizeof(meta), "%s %llu", k->uuid, (unsigned long long)p->epoch);
    rd_kafka_topic_partition_t *tp = rd_kafka_topic_partition_list_add(list, p->topic, p->partition);
    tp->offset = next;
    tp->metadata_size = (size_t)n;
    tp->metadata = lp_strdup(meta); /* from malloc: librdkafka frees it */
}

/* "UUID EPOCH" as lp_kafka_commit_item writes it. */
static struct committed
parse_commit(const struct lp_kafka *k, const rd_kafka_topic_partition_t *tp)
{
    struct committed c = {.next = tp->offset >= 0 ? tp->offset : -1};
    char meta[80] = "";
    struct lp_uuid uuid;
    size_t n = LP_MIN(tp->metadata_size, sizeof(meta) - 1);
    if (n > 0) {
        memcpy(meta, tp->metadata, n);
    }
    if (lp_uuid_parse(lp_str_of(meta, LP_MIN(n, (size_t)LP_UUID_TEXT)), &uuid)) {
        c.epoch = strtoull(meta + LP_UUID_TEXT, NULL, 10);
        c.ours = strncmp(meta, k->uuid, LP_UUID_TEXT) == 0;
        c.other = !lp_catalog_uuid_known(lp_store_catalog(k->log.env.store), &uuid);
    }
    return c;
}

/* false: the partition was never stored. */
static bool
catalog_position(const struct lp_kafka *k, const struct lp_kafka_partition *p, struct lp_cat_place *ret)
{
    struct lp_cat_txn *t;
    struct lp_err err;
    lp_err_clear(&err);
    lp_rc rc = lp_cat_begin(lp_store_catalog(k->log.env.store), &t, &err);
    if (rc == LP_OK) {
        rc = lp_cat_position(t, p->source->log, p->source->partition, ret, &err);
        lp_cat_end(t);
    }
    if (rc != LP_OK && rc != LP_ERR_NOT_FOUND) {
        lp_kafka_say(k, LP_EVENT_ERROR, "position of %s/%d cannot be read: %s", p->topic, p->partition,
                     err.text);
        abort(); /* reading from a wrong place could store twice; a new process opens the catalog anew */
    }
    return rc == LP_OK;
}

/* --- assigned --- */

static void
watch_anchor(struct lp_kafka_partition *p, const struct lp_cat_place *at)
{
    p->anchor_at = -1;
    if (at->anchor != 0 && (int64_t)at->next == p->next && p->next > 0) {
        p->anchor_at = p->next - 1;
        p->anchor = at->anchor;
    }
}

/* Where to begin. False: it cannot be told at the moment. */
static bool
place(struct lp_kafka *k, struct lp_kafka_partition *p, const struct committed *c)
{
    struct lp_cat_place at = {0, 0, 0};
    bool known = catalog_position(k, p, &at);
    int64_t stored = known ? (int64_t)at.next : -1, held = lp_head_source_next(k->head, p->source);
    bool theirs = known ? c->other && c->next > stored : c->next >= 0;
    int64_t next = LP_MAX(theirs ? c->next : stored, held);
    int64_t high;
    if (next < 0 && lp_kafka_range(k, p, &next, &high) != RD_KAFKA_RESP_ERR_NO_ERROR) {
        return false;
    }
    p->next = next;
    p->epoch = LP_MAX(at.epoch, c->epoch) + (c->ours ? 0 : 1);
    p->committed = c->ours ? c->next : -1;
    p->commit_above = c->next >= 0 ? LP_MIN(c->next, next) : next;
    p->ids_whole = p->ids_whole && c->ours;
    atomic_store(&p->stored, stored);
    watch_anchor(p, &at);
    return true;
}

static void
forget(struct lp_kafka_partition *p)
{
    lp_kafka_drop_run(p);
    p->claimed = p->has_gap = p->seek_due = false;
    p->anchor_at = -1;
    p->ids_whole = p->ids_whole && p->reread_until < 0; /* a reading that was not finished */
    p->reread_until = -1;
}

/* Commits new epochs; the offsets stay what they are. */
static bool
claim(struct lp_kafka *k, rd_kafka_topic_partition_list_t *claims)
{
    rd_kafka_resp_err_t rc =
        claims->cnt > 0 ? rd_kafka_commit(k->rk, claims, /* async= */ 0) : RD_KAFKA_RESP_ERR_NO_ERROR;
    for (int i = 0; i < claims->cnt && rc == RD_KAFKA_RESP_ERR_NO_ERROR; i++) {
        rc = claims->elems[i].err;
    }
    if (rc != RD_KAFKA_RESP_ERR_NO_ERROR) {
        lp_kafka_say(k, LP_EVENT_WARN, "partitions could not be claimed: %s", rd_kafka_err2str(rc));
    }
    return rc == RD_KAFKA_RESP_ERR_NO_ERROR;
}

/* Places all; those that have no commit of ours go to claims. */
static bool
place_each(struct lp_kafka *k, const rd_kafka_topic_partition_list_t *list,
           rd_kafka_topic_partition_list_t *claims)
{
    for (int i = 0; i < list->cnt; i++) {
        struct committed c = parse_commit(k, &list->elems[i]);
        struct lp_kafka_partition *p = partition_at(k, list, i);
        if (!place(k, p, &c)) {
            lp_kafka_say(k, LP_EVENT_WARN, "the oldest offset of %s/%d cannot be read", p->topic,
                         p->partition);
            return false;
        }
        if (!c.ours) {
            lp_kafka_commit_item(k, claims, p, c.next >= 0 ? c.next : p->next);
        }
    }
    return true;
}

/* One try to place and claim all. */
static bool
place_all(struct lp_kafka *k, rd_kafka_topic_partition_list_t *list)
{
    rd_kafka_resp_err_t rc = rd_kafka_committed(k->rk, list, LP_KAFKA_BROKER_MS);
    for (int i = 0; i < list->cnt && rc == RD_KAFKA_RESP_ERR_NO_ERROR; i++) {
        rc = list->elems[i].err;
    }
    if (rc != RD_KAFKA_RESP_ERR_NO_ERROR) {
        lp_kafka_say(k, LP_EVENT_WARN, "committed offsets cannot be read: %s", rd_kafka_err2str(rc));
        return false;
    }
    rd_kafka_topic_partition_list_t *claims = rd_kafka_topic_partition_list_new(list->cnt);
    bool done = place_each(k, list, claims) && claim(k, claims);
    rd_kafka_topic_partition_list_destroy(claims);
    return done;
}

static void
assigned(struct lp_kafka *k, rd_kafka_topic_partition_list_t *list)
{
    for (int i = 0; i < list->cnt; i++) {
        forget(partition_at(k, list, i));
    }
    bool claimed = false;
    for (int try = 0; try < CLAIM_TRIES && !claimed && list->cnt > 0 && !atomic_load(&k->stopping); try++) {
        claimed = place_all(k, list);
    }
    for (int i = 0; i < list->cnt; i++) {
        rd_kafka_topic_partition_t *tp = &list->elems[i];
        struct lp_kafka_partition *p = partition_at(k, list, i);
        p->claimed = claimed;
        tp->err = RD_KAFKA_RESP_ERR_NO_ERROR;
        tp->offset = !claimed            ? RD_KAFKA_OFFSET_END /* whatever comes is dropped */
                     : p->anchor_at >= 0 ? p->anchor_at
                                         : p->next;
        lp_lock(&k->mu);
        p->owned = claimed;
        lp_unlock(&k->mu);
    }
    if (list->cnt > 0) {
        lp_kafka_say(k, LP_EVENT_INFO, "%d partitions assigned", list->cnt);
        k->rejoin_ns = claimed ? k->rejoin_ns : lp_mono_ns() + REJOIN_AFTER_NS;
    }
    k->joining_ns = 0;
    atomic_store(&k->assigned, true);
}

/* --- revoked --- */

/* What has no ticket yet is nobody's; from now on nothing is taken. */
static void
let_go(struct lp_kafka *k, const rd_kafka_topic_partition_list_t *list)
{
    for (int i = 0; i < list->cnt; i++) {
        struct lp_kafka_partition *p = partition_at(k, list, i);
        lp_kafka_drop_run(p);
        lp_lock(&k->mu);
        p->owned = false;
        lp_unlock(&k->mu);
    }
}

/* Batches that are not sealed leave; ids that came with them are not stored. */
static void
drop_unsealed(struct lp_kafka *k, const rd_kafka_topic_partition_list_t *list)
{
    for (int i = 0; i < list->cnt; i++) {
        struct lp_kafka_partition *p = partition_at(k, list, i);
        (void)lp_head_drop_source(k->head, p->source);
        lp_ids_table_free(p->ids);
        p->ids = lp_ids_table_new();
        p->ids_whole = false;
    }
}

/* A deleted topic takes its partitions with it, and nobody can read again what was not yet sealed. */
static bool
topic_is_gone(const struct lp_kafka *k)
{
    return k->no_topic_ns != 0 && lp_mono_ns() - k->no_topic_ns < TOPIC_GONE_NS;
}

static void
revoked(struct lp_kafka *k, const rd_kafka_topic_partition_list_t *list, bool lost)
{
    struct lp_err err;
    lp_err_clear(&err);
    let_go(k, list);
    k->joining_ns = lp_mono_ns();
    bool keep = !lost || topic_is_gone(k);
    bool sealed = keep && lp_store_seal(k->log.env.store, lp_mono_ns() + REVOKE_SEAL_NS, &err) == LP_OK;
    if (sealed && !lost) {
        lp_kafka_commit_stored(k, true);
    } else if (!sealed) {
        drop_unsealed(k, list);
    }
    for (int i = 0; i < list->cnt; i++) {
        forget(partition_at(k, list, i));
    }
    if (list->cnt > 0) {
        lp_kafka_say(k, sealed ? LP_EVENT_INFO : LP_EVENT_WARN, "%d partitions %s%s%s", list->cnt,
                     !keep  ? "lost; what was not yet sealed is left to the next owner"
                     : lost ? "lost with their topic"
                            : "revoked",
                     sealed || !keep ? "" : ", not sealed in time: ", sealed || !keep ? "" : err.text);
    }
    lp_metric_add(LP_M_KAFKA_LOST, lost ? list->cnt : 0);
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
    if (error != NULL || rc != RD_KAFKA_RESP_ERR_NO_ERROR) {
        lp_kafka_say(k, LP_EVENT_ERROR, "rebalance: %s",
                     error != NULL ? rd_kafka_error_string(error) : rd_kafka_err2str(rc));
    }
    if (error != NULL) {
        rd_kafka_error_destroy(error);
    }
}
