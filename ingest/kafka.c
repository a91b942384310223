/*
 * kafka.c - Kafka as the log: the object behind log.h. See kafka_int.h for its threads and the files of its
 * parts.
 */
#include "ingest/kafka_int.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define READY_WITHOUT_NS (10 * LP_NS_PER_S)
#define END_WAIT_NS (3 * LP_NS_PER_S)
#define WORK_QUEUE 4 /* tickets reserve for the worst case until they are decoded: few at a time */

/* See end_consumer(). */
static struct lp_kafka *left_behind;

void
lp_kafka_say(const struct lp_kafka *k, enum lp_event level, const char *fmt, ...)
{
    char text[1024];
    va_list ap;
    if (k->log.env.on_event == NULL) {
        return;
    }
    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    k->log.env.on_event(k->log.env.ctx, level, text);
}

static struct lp_kafka_partition *
new_partition(struct lp_kafka *k, const char *topic, int32_t partition)
{
    char log[1024];
    struct lp_kafka_partition *p = lp_calloc(1, sizeof(*p));
    snprintf(log, sizeof(log), "kafka/%s/%s", k->cluster, topic);
    p->topic = lp_strdup(topic);
    p->partition = partition;
    p->source = lp_head_source(k->head, log, (uint32_t)partition);
    p->ids = lp_ids_table_new();
    p->anchor_at = p->reread_until = p->committed = -1;
    atomic_store(&p->stored, -1);
    k->parts = lp_realloc(k->parts, (k->nparts + 1) * sizeof(struct lp_kafka_partition *));
    k->parts[k->nparts++] = p;
    return p;
}

struct lp_kafka_partition *
lp_kafka_partition(struct lp_kafka *k, const char *topic, int32_t partition, bool make)
{
    struct lp_kafka_partition *p = NULL;
    lp_lock(&k->mu);
    for (size_t i = 0; i < k->nparts && p == NULL; i++) {
        if (k->parts[i]->partition == partition && strcmp(k->parts[i]->topic, topic) == 0) {
            p = k->parts[i];
        }
    }
    p = p == NULL && make ? new_partition(k, topic, partition) : p;
    lp_unlock(&k->mu);
    return p;
}

/* --- the log's operations --- */

static lp_rc
kafka_start(struct lp_log *log, struct lp_err *err)
{
    struct lp_kafka *k = (struct lp_kafka *)log;
    (void)err;
    atomic_store(&k->started_ns, lp_mono_ns());
    lp_kafka_out_start(k);
    k->thread_there = true;
    k->thread = lp_thread_start("kafka", lp_kafka_poll_main, k);
    return LP_OK;
}

/* On the seal thread: the poll thread commits. */
static void
kafka_stored(struct lp_log *log, const struct lp_foot_ticket *positions, size_t n)
{
    struct lp_kafka *k = (struct lp_kafka *)log;
    lp_lock(&k->mu);
    for (size_t i = 0; i < n; i++) {
        for (size_t j = 0; j < k->nparts; j++) {
            struct lp_kafka_partition *p = k->parts[j];
            if (p->source->partition == positions[i].partition &&
                strcmp(p->source->log, positions[i].log) == 0) {
                atomic_store(&p->stored, (int64_t)positions[i].next);
            }
        }
    }
    lp_unlock(&k->mu);
    atomic_store(&k->commit_due, true);
}

static void
kafka_stop(struct lp_log *log)
{
    struct lp_kafka *k = (struct lp_kafka *)log;
    lp_kafka_out_stop(k);
    if (k->thread_there) {
        atomic_store(&k->stopping, true);
        lp_thread_join(k->thread);
        k->thread_there = false;
    }
    lp_pool_stop(k->workers);
}

/* --- its end --- */

/* The end of a consumer, on a thread of its own. */
struct ending {
    rd_kafka_t *rk;
    struct lp_mutex mu;
    struct lp_cond changed;
    bool done;
    atomic_int refs;
};

static void
ending_unref(struct ending *e)
{
    if (atomic_fetch_sub(&e->refs, 1) == 1) {
        lp_cond_destroy(&e->changed);
        lp_mutex_destroy(&e->mu);
        lp_free(e);
    }
}

static void
ending_main(void *arg)
{
    struct ending *e = arg;
    rd_kafka_destroy(e->rk);
    lp_lock(&e->mu);
    e->done = true;
    lp_cond_broadcast(&e->changed);
    lp_unlock(&e->mu);
    ending_unref(e);
}

/*
 * False: the consumer was left as it is, with whatever its threads may still call. The group was left by
 * then, so nobody misses it. librdkafka 2.0.2 never comes back from the end of a consumer whose topic was
 * deleted and made again, and aborts when a group ends between its first JoinGroup answer and its first
 * assignment (its issue 4308).
 */
static bool
end_consumer(struct lp_kafka *k)
{
    if (k->rk == NULL) {
        return true;
    }
    if (k->joined && !atomic_load(&k->assigned)) {
        return false;
    }
    bool in_time = true;
    struct ending *e = lp_calloc(1, sizeof(*e));
    e->rk = k->rk;
    atomic_store(&e->refs, 2);
    lp_mutex_init(&e->mu, LP_LOCK_LOG);
    lp_cond_init(&e->changed);
    pthread_detach(lp_thread_start("kafka-end", ending_main, e));
    int64_t deadline_ns = lp_mono_ns() + END_WAIT_NS;
    lp_lock(&e->mu);
    while (!e->done && in_time) {
        in_time = lp_cond_wait_until(&e->changed, &e->mu, deadline_ns);
    }
    bool done = e->done;
    lp_unlock(&e->mu);
    ending_unref(e);
    return done;
}

static void
kafka_free(struct lp_log *log)
{
    struct lp_kafka *k = (struct lp_kafka *)log;
    if (k == NULL) {
        return;
    }
    kafka_stop(log);
    for (size_t i = 0; i < k->nparts; i++) {
        lp_kafka_drop_run(k->parts[i]);
    }
    if (!end_consumer(k)) {
        left_behind = k;
        return;
    }
    lp_pool_free(k->workers);
    lp_kafka_out_close(k);
    for (size_t i = 0; i < k->nparts; i++) {
        lp_ids_table_free(k->parts[i]->ids);
        lp_free(k->parts[i]->topic);
        lp_free(k->parts[i]);
    }
    for (size_t i = 0; i < k->ndecoders; i++) {
        lp_decoder_free(k->decoders[i]);
    }
    lp_free(k->parts);
    lp_free(k->cluster);
    lp_mutex_destroy(&k->mu);
    lp_free(k);
}

static bool
kafka_open(const struct lp_log *log)
{
    const struct lp_kafka *k = (const struct lp_kafka *)(const void *)log;
    return atomic_load(&k->started_ns) != 0;
}

static bool
kafka_ready(const struct lp_log *log)
{
    const struct lp_kafka *k = (const struct lp_kafka *)(const void *)log;
    int64_t started_ns = atomic_load(&k->started_ns);
    return started_ns != 0 && (atomic_load(&k->assigned) || lp_mono_ns() - started_ns > READY_WITHOUT_NS);
}

lp_rc
lp_kafka_new(const struct lp_log_env *env, const struct lp_kafka_config *cfg, struct lp_log **ret,
             struct lp_err *err)
{
    static const struct lp_log_ops ops = {
        .name = "kafka",
        .start = kafka_start,
        .take = lp_kafka_take,
        .stored = kafka_stored,
        .stop = kafka_stop,
        .free = kafka_free,
        .starting = "the first assignment of partitions has not come yet",
        .open = kafka_open,
        .ready = kafka_ready,
        .metrics = lp_kafka_metrics,
        .status = lp_kafka_status,
    };
    if (cfg->topics[0] == 0) {
        return lp_err_set(err, LP_ERR_MISUSE,
                          "with kafka-brokers, kafka-topics must name the topics to read");
    }
    struct lp_kafka *k = lp_calloc(1, sizeof(*k));
    k->log = (struct lp_log){&ops, *env};
    k->head = lp_store_head(env->store);
    k->cfg = *cfg;
    lp_mutex_init(&k->mu, LP_LOCK_LOG);
    lp_uuid_text(lp_catalog_uuid(lp_store_catalog(env->store)), k->uuid);
    k->workers = lp_pool_new("decode", cfg->workers, WORK_QUEUE);
    lp_rc rc = lp_kafka_out_open(k, err);
    rc = rc == LP_OK ? lp_kafka_client(k, RD_KAFKA_CONSUMER, &k->rk, err) : rc;
    if (rc != LP_OK) {
        kafka_free(&k->log);
        return rc;
    }
    rd_kafka_poll_set_consumer(k->rk);
    *ret = &k->log;
    return LP_OK;
}
