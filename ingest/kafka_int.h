/*
 * kafka_int.h - inside the Kafka consumer: the object and its partitions. kafka*.c are the one door to librdkafka.
 */
#ifndef LP_INGEST_KAFKA_INT_H
#define LP_INGEST_KAFKA_INT_H

#include <librdkafka/rdkafka.h>
#include <stdatomic.h>

#include "base/lock.h"
#include "base/thread.h"
#include "ingest/log.h"

#define LP_KAFKA_TICKET_MESSAGES 1000
#define LP_KAFKA_TICKET_BYTES (8u << 20)

/* Messages of one partition, not yet ticketed, by rising offset. */
struct lp_kafka_run {
    rd_kafka_message_t *messages[LP_KAFKA_TICKET_MESSAGES];
    unsigned n;
    size_t bytes;
};

struct lp_kafka_partition {
    char *topic;
    int32_t partition;
    struct lp_source *source;
    struct lp_kafka_run *run; /* poll thread only; NULL when empty */
    int64_t next;             /* poll thread only: the offset that the next ticket begins at */
    uint64_t epoch;
    bool owned; /* under mu */
    _Atomic int64_t stored; /* next offset in the catalog; -1 unknown */
};

struct lp_kafka {
    struct lp_log log; /* first */
    rd_kafka_t *rk;
    struct lp_head *head;
    char *topics, *cluster;
    char uuid[37];
    struct lp_pool *workers;
    pthread_t thread;
    bool thread_there; /* main thread only */
    atomic_bool stopping, assigned;
    _Atomic int64_t started_ns; /* lp_mono_ns; 0: not yet */
    bool paused; /* poll thread only */

    struct lp_mutex mu; /* LP_LOCK_LOG: the list and `owned`; decoders at rest */
    struct lp_kafka_partition **parts;
    size_t nparts;
    struct lp_decoder *decoders[64];
    size_t ndecoders;
};

void lp_kafka_say(const struct lp_kafka *k, enum lp_event level, const char *fmt, ...) LP_PRINTF(3, 4);
struct lp_kafka_partition *lp_kafka_partition(struct lp_kafka *k, const char *topic, int32_t partition, bool make);
/* librdkafka's callback: assignments, revocations, losses. Poll thread. */
void lp_kafka_rebalance(rd_kafka_t *rk, rd_kafka_resp_err_t err, rd_kafka_topic_partition_list_t *list, void *opaque);
/* The commit of a stored position, as the group keeps it: offset and "UUID EPOCH". */
void lp_kafka_commit_item(const struct lp_kafka *k, rd_kafka_topic_partition_list_t *list,
                          const struct lp_kafka_partition *p, int64_t next);
/* Drops messages that have no ticket yet. */
void lp_kafka_drop_run(struct lp_kafka_partition *p);
/* Decodes a run's messages on a worker and ends their ticket. Takes over run. */
struct lp_kafka_job {
    struct lp_kafka *k;
    struct lp_kafka_run *run;
    struct lp_ticket *ticket;
    size_t room;
};
void lp_kafka_decode_job(void *arg);

#endif
