/*
 * kafka_int.h - inside the Kafka log: the object, its partitions, its producer. kafka*.c are the one door to librdkafka.
 *
 * Threads: the poll thread (kafka_poll.c, kafka_rebalance.c, kafka_gap.c) is the only one that talks to the consumer and owns all of a
 * partition but what is marked otherwise; decode workers end tickets (kafka_decode.c); the seal thread only notes what is
 * stored; ingest workers produce and the out thread collects delivery reports (kafka_push.c).
 */
#ifndef LP_INGEST_KAFKA_INT_H
#define LP_INGEST_KAFKA_INT_H

#include <librdkafka/rdkafka.h>
#include <stdatomic.h>

#include "base/lock.h"
#include "base/thread.h"
#include "ingest/log.h"

/* A ticket's limits: whichever is reached first. */
#define LP_KAFKA_TICKET_MESSAGES 1000
#define LP_KAFKA_TICKET_RECORDS 16384
#define LP_KAFKA_TICKET_BYTES (8u << 20)
/* How long the poll thread waits for one answer of the brokers. */
#define LP_KAFKA_BROKER_MS 5000

/* Messages of one partition, by rising offset. */
struct lp_kafka_run {
    rd_kafka_message_t *messages[LP_KAFKA_TICKET_MESSAGES];
    unsigned n;
    size_t records; /* that they say they hold */
    size_t bytes;
    struct lp_batch_id *ids; /* of the messages that are stored for the first time and have an identity */
    size_t nids;
};

struct lp_kafka_gap {
    int64_t from, to; /* [from, to) is missing; to < from: the topic began again at to */
    const char *reason; /* static */
};

struct lp_kafka_partition {
    char *topic;
    int32_t partition;
    struct lp_source *source;
    struct lp_kafka_run *run; /* not yet ticketed; NULL when empty */
    _Atomic int64_t next;     /* offset that the next ticket begins at; others read it for people */
    _Atomic uint64_t epoch;   /* of this ownership; likewise */
    bool claimed;           /* next is known and the group has our epoch: messages are taken */
    bool seek_due;          /* a message behind the run was dropped: it must come again */
    bool has_gap;           /* gap is to be recorded before the run */
    struct lp_kafka_gap gap;
    int64_t anchor_at;      /* offset of a message that must be the one it was; -1: nothing to check */
    uint64_t anchor;        /* its hash */
    struct lp_ids_table *ids; /* of messages that have tickets, or lie in the log before them */
    bool ids_whole;           /* ids, with those of the catalog, cover the ten minutes before next */
    int64_t reread_until;     /* messages below it are looked at for their ids alone; -1: none */
    int64_t reread_from;      /* the first of them */
    size_t reread_bytes;
    int64_t committed;        /* as the group has it, by our own commits; -1 unknown */
    int64_t commit_above;     /* positions up to this one are not worth a commit, or would take it back */
    bool owned;        /* under mu */
    _Atomic int64_t stored; /* next offset in the catalog; -1 unknown */
};

/* The producer (kafka_push.c). */
struct lp_kafka_out {
    rd_kafka_t *rk; /* replaced by the out thread, under mu */
    int64_t renewed_ns; /* out thread only */
    char *topic;
    size_t value_bytes_max, bytes_max;
    pthread_t thread;
    bool thread_there; /* main thread only */
    atomic_bool stopping;
    struct lp_mutex mu; /* LP_LOCK_LOG: what follows, and outcomes of pushes */
    struct lp_cond room;
    size_t bytes; /* produced, not yet reported */
};

struct lp_kafka {
    struct lp_log log; /* first */
    rd_kafka_t *rk;
    struct lp_kafka_out out;
    struct lp_head *head;
    struct lp_kafka_config cfg; /* its strings are the settings', which outlive the log */
    char *cluster; /* NULL until a broker has answered; then it stays */
    char uuid[37];
    struct lp_pool *workers;
    pthread_t thread;
    bool thread_there; /* main thread only */
    bool joined;       /* subscribed; poll thread, then main thread once that has ended */
    atomic_bool stopping, assigned;
    atomic_bool commit_due;
    _Atomic int64_t said_fail_ns; /* lp_mono_ns of the last word on a failed connection; 0: none */
    _Atomic int64_t started_ns; /* lp_mono_ns; 0: not yet */
    bool paused; /* poll thread only */
    struct lp_kafka_partition *recent; /* poll thread only: of the last message */
    int64_t joining_ns; /* poll thread only: when partitions went and the group began to form anew; 0: it stands */
    int64_t rejoin_ns; /* poll thread only: when to leave and join again; 0: not */
    int64_t commit_ns; /* poll thread only: last look for what is to be committed */
    int64_t no_topic_ns; /* poll thread only: when a topic was last said to be unknown; 0: never */
    rd_kafka_resp_err_t last_error; /* poll thread only: said at last_error_ns */
    int64_t last_error_ns;

    struct lp_mutex mu; /* LP_LOCK_LOG: the list, `owned`, `cluster`; decoders at rest */
    struct lp_kafka_partition **parts;
    size_t nparts;
    struct lp_decoder *decoders[64];
    size_t ndecoders;
};

/* --- kafka.c --- */
void lp_kafka_say(const struct lp_kafka *k, enum lp_event level, const char *fmt, ...) LP_PRINTF(3, 4);
struct lp_kafka_partition *lp_kafka_partition(struct lp_kafka *k, const char *topic, int32_t partition, bool make);

/* --- kafka_conf.c: the two clients --- */
/* A client with our settings and then those of the configuration. LP_ERR_PARSE: one is wrong. */
lp_rc lp_kafka_client(struct lp_kafka *k, rd_kafka_type_t type, rd_kafka_t **ret, struct lp_err *err) LP_MUST_USE;

/* --- kafka_message.c: what stands in a message --- */
/* The headers of docs/kafka.md; ours is false for every message without them, and for malformed ones. */
struct lp_kafka_headers {
    bool ours;
    struct lp_str tenant, id;
    int64_t received_ns;
    uint64_t records;
};
void lp_kafka_read_headers(const rd_kafka_message_t *m, struct lp_kafka_headers *ret);
/* The headers of a part; owned by the caller until a produce call takes them. id_text NULL: no identity. */
rd_kafka_headers_t *lp_kafka_write_headers(struct lp_str tenant, int64_t received_ns, uint32_t records, const char *id_text);
/* False: the message has no identity. */
bool lp_kafka_identity(const rd_kafka_message_t *m, const struct lp_kafka_headers *h, struct lp_batch_id *ret);
/* The brokers' timestamp; LP_TIME_NONE: the message has none. */
int64_t lp_kafka_time(const rd_kafka_message_t *m);
/* FORMAT.md section 4, anchor. Never 0. */
uint64_t lp_kafka_anchor(const rd_kafka_message_t *m);

/* --- kafka_poll.c --- */
void lp_kafka_poll_main(void *arg);
/* Drops messages that have no ticket yet. */
void lp_kafka_drop_run(struct lp_kafka_partition *p);
void lp_kafka_run_free(struct lp_kafka_run *run);
/* Commits positions that are stored and not yet committed. */
void lp_kafka_commit_stored(struct lp_kafka *k, bool wait);
/* Goes on reading at an offset. False when librdkafka would not (said). */
bool lp_kafka_seek(struct lp_kafka *k, struct lp_kafka_partition *p, int64_t offset);

/* --- kafka_rebalance.c: partitions come and go --- */
void lp_kafka_rebalance(rd_kafka_t *rk, rd_kafka_resp_err_t err, rd_kafka_topic_partition_list_t *list, void *opaque);
/* The commit of a stored position, as the group keeps it: offset and "UUID EPOCH". */
void lp_kafka_commit_item(const struct lp_kafka *k, rd_kafka_topic_partition_list_t *list,
                          const struct lp_kafka_partition *p, int64_t next);

/* --- kafka_gap.c: what the log no longer has, or has otherwise --- */
/* The offsets that the brokers hold of the partition: the oldest, and behind the newest. Asks them. */
rd_kafka_resp_err_t lp_kafka_range(struct lp_kafka *k, const struct lp_kafka_partition *p, int64_t *ret_low, int64_t *ret_high);
/* The broker does not have p->next: records what is missing and seeks to where it goes on. */
void lp_kafka_out_of_range(struct lp_kafka *k, struct lp_kafka_partition *p);
/* For the first message after an assignment: whether the log is the one we know. False: it is not, and reading begins anew. */
bool lp_kafka_check_anchor(struct lp_kafka *k, struct lp_kafka_partition *p, const rd_kafka_message_t *m);
/* The row that says what is missing, and the ticket that covers it. False: no room yet. */
bool lp_kafka_store_gap(struct lp_kafka *k, struct lp_kafka_partition *p, int64_t deadline_ns);

/* --- kafka_ids.c: what was in the log before --- */
/*
 * m is the first message with an identity since a partition came with ids that are not whole: goes back to read those of the ten minutes before
 * it. True: the position moved, m will come again.
 */
bool lp_kafka_reread(struct lp_kafka *k, struct lp_kafka_partition *p, const rd_kafka_message_t *m);
/* Looks at a message below reread_until. */
void lp_kafka_note_id(struct lp_kafka *k, struct lp_kafka_partition *p, const rd_kafka_message_t *m);
/* Takes messages that are stored already out of the run, and lists the ids of those that stay. */
void lp_kafka_drop_duplicates(struct lp_kafka *k, struct lp_kafka_partition *p, struct lp_kafka_run *run);

/* --- kafka_decode.c --- */
/* Decodes a run's messages on a worker and ends their ticket. Takes over run. */
struct lp_kafka_job {
    struct lp_kafka *k;
    struct lp_kafka_run *run;
    struct lp_ticket *ticket;
    size_t room;
};
void lp_kafka_decode_job(void *arg);

/* --- kafka_push.c: the producer --- */
lp_rc lp_kafka_out_open(struct lp_kafka *k, struct lp_err *err) LP_MUST_USE;
void lp_kafka_out_start(struct lp_kafka *k);
/* Ends what is under way, waiting a moment for it. Idempotent. */
void lp_kafka_out_stop(struct lp_kafka *k);
void lp_kafka_out_close(struct lp_kafka *k);
void lp_kafka_take(struct lp_log *log, const struct lp_push *push, struct lp_batch *b, int64_t deadline_ns, lp_log_done done,
                   void *ctx);
/* librdkafka's callback: a message's fate. Out thread. */
void lp_kafka_delivered(rd_kafka_t *rk, const rd_kafka_message_t *m, void *opaque);
/* Makes the topic that pushes go to, where it is not there and the brokers let us. */
void lp_kafka_make_topic(struct lp_kafka *k);

/* --- kafka_status.c --- */
void lp_kafka_metrics(struct lp_log *log, struct lp_buf *out);
void lp_kafka_status(struct lp_log *log, struct lp_buf *out);

#endif
