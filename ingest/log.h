/*
 * log.h - the log: the durable sequence that records come in by. Two kinds behind one interface: the embedded journal
 * (a receiver appends, and is answered when the entry is synced and its rows are in the head), and Kafka (partitions
 * are consumed; receivers will produce to it).
 *
 * Order for every batch: room in the head, then its ticket in log order, then durable, then its rows enter in ticket
 * order, then the answer. Positions of stored generations come back through its stored().
 */
#ifndef LP_INGEST_LOG_H
#define LP_INGEST_LOG_H

#include "ingest/decode.h"
#include "ingest/ids.h"
#include "store/store.h"

struct lp_log;



/* What a log works on. Shared objects outlive the log. */
struct lp_log_env {
    struct lp_store *store;
    struct lp_ids_table *ids;
    struct lp_decode_limits limits;
    void (*on_event)(void *ctx, enum lp_event level, const char *text);
    void *ctx;
};

struct lp_log_ops {
    const char *name;
    /* Replays or joins; returns once push and query may be answered (journal), or at once (kafka). */
    lp_rc (*start)(struct lp_log *log, struct lp_err *err);
    /*
     * Appends a decoded batch and waits until it is durable and visible. Takes ownership of batch in every case. room bytes are reserved
     * already and are taken over. LP_ERR_IO: not stored, and never will be. NULL: this log takes no appends.
     */
    lp_rc (*append)(struct lp_log *log, const struct lp_push *push, struct lp_batch *batch, size_t room, struct lp_err *err);
    /* A generation was stored: its positions may be released. On the seal thread. */
    void (*stored)(struct lp_log *log, const struct lp_foot_ticket *positions, size_t n);
    /* Stops taking; what has a ticket still ends. */
    void (*stop)(struct lp_log *log);
    void (*free)(struct lp_log *log);
    /* True once start-up work is done (replay ended, first assignment). */
    bool (*ready)(const struct lp_log *log);
    /* Appends lines for /metrics, members for `status` (JSON object text). */
    void (*metrics)(struct lp_log *log, struct lp_buf *out);
    void (*status)(struct lp_log *log, struct lp_buf *out);
};

struct lp_log {
    const struct lp_log_ops *ops;
    struct lp_log_env env;
};

static inline lp_rc
lp_log_start(struct lp_log *log, struct lp_err *err)
{
    return log->ops->start(log, err);
}

static inline lp_rc
lp_log_append(struct lp_log *log, const struct lp_push *push, struct lp_batch *batch, size_t room, struct lp_err *err)
{
    return log->ops->append(log, push, batch, room, err);
}

/* The embedded journal in DIR/journal. file_bytes: size at which a new file begins. */
struct lp_journal_config {
    const char *dir;
    uint64_t file_bytes;
};
lp_rc lp_journal_new(const struct lp_log_env *env, const struct lp_journal_config *cfg, struct lp_log **ret,
                     struct lp_err *err) LP_MUST_USE;

/* A Kafka consumer. set: librdkafka properties as "name=value" lines. */
struct lp_kafka_config {
    const char *brokers, *topics, *group, *set;
    unsigned workers; /* decoding threads */
};
lp_rc lp_kafka_new(const struct lp_log_env *env, const struct lp_kafka_config *cfg, struct lp_log **ret,
                   struct lp_err *err) LP_MUST_USE;

#endif
