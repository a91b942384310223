/*
 * log.h - the log: the durable sequence that records come in by. Two kinds behind one interface: the embedded journal
 * (a push is answered when its entry is synced and its rows are in the head), and Kafka (a push is answered when the brokers
 * have its messages; partitions are consumed, and rows are visible then).
 *
 * Order for every batch that enters the head: room, then its ticket in log order, then durable, then its rows enter in
 * ticket order. Positions of stored generations come back through stored().
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

/*
 * How a push ended: called exactly once, on any thread, perhaps before take() returns. LP_OK: durable, or was stored before
 * (duplicate). Otherwise err says why, and a retry of the same push is safe; LP_ERR_IO, LP_ERR_TIMEOUT: with Kafka some or all of it may
 * be stored nevertheless, and a retry with the same identity will be recognised.
 */
typedef void (*lp_log_done)(void *ctx, lp_rc rc, bool duplicate, const struct lp_err *err);

struct lp_log_ops {
    const char *name;
    /* Replays or joins; returns once push and query may be answered (journal), or at once (kafka). */
    lp_rc (*start)(struct lp_log *log, struct lp_err *err);
    /*
     * Takes a decoded batch (at least one row) and owns it; push is borrowed until take returns. May block until deadline_ns
     * (lp_mono_ns) for room. Ends in done.
     */
    void (*take)(struct lp_log *log, const struct lp_push *push, struct lp_batch *batch, int64_t deadline_ns, lp_log_done done,
                 void *ctx);
    /* A generation was stored: its positions may be released. On the seal thread. */
    void (*stored)(struct lp_log *log, const struct lp_foot_ticket *positions, size_t n);
    /* Stops taking; what has a ticket still ends. */
    void (*stop)(struct lp_log *log);
    void (*free)(struct lp_log *log);
    /* What it waits for before it is ready, for people. */
    const char *starting;
    /* True once pushes may be taken: replay has ended; the producer runs. */
    bool (*open)(const struct lp_log *log);
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

/* The embedded journal in DIR/journal. file_bytes: size at which a new file begins. */
struct lp_journal_config {
    const char *dir;
    uint64_t file_bytes;
};
lp_rc lp_journal_new(const struct lp_log_env *env, const struct lp_journal_config *cfg, struct lp_log **ret,
                     struct lp_err *err) LP_MUST_USE;

/*
 * A Kafka consumer and producer. set: librdkafka properties as "name=value" lines, for both. push_topic: where pushes go; empty:
 * the first of topics that is not a pattern. The strings must outlive the log. LP_ERR_PARSE, LP_ERR_MISUSE: a setting is wrong. Brokers need not be there yet.
 */
struct lp_kafka_config {
    const char *brokers, *topics, *push_topic, *group, *set;
    unsigned workers; /* decoding threads */
};
lp_rc lp_kafka_new(const struct lp_log_env *env, const struct lp_kafka_config *cfg, struct lp_log **ret,
                   struct lp_err *err) LP_MUST_USE;

#endif
