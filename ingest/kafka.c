/*
 * kafka.c - the Kafka consumer as a log: polling, tickets, back-pressure, commits.
 *
 * Invariants:
 *   1. Only the poll thread talks to the consumer (polls, assigns, pauses); the seal thread commits,
 * asynchronously.
 *   2. A ticket covers [p->next, last offset + 1) of one partition: gaps in offsets (compaction,
 * transactions) lie inside tickets, so positions are contiguous. Messages below p->next, or of partitions not
 * owned, are dropped.
 *   3. Room is reserved before a ticket is given; without room for a second partitions are paused, and
 * resumed once half of the head is free (a pause discards librdkafka's prefetch, so it must be rare).
 *   4. The group's commit is a hint; the truth is the catalog's position.
 */
#include "ingest/kafka_int.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/metrics.h"
#include "store/hooks.h"

#define POLL_MS 100
#define RUN_WAIT_NS (50 * LP_NS_PER_MS)
#define ROOM_WAIT_NS LP_NS_PER_S
#define READY_WITHOUT_NS (10 * LP_NS_PER_S)
#define EXPECTED_BYTES_A_MESSAGE                                                                             \
    64               /* of a decoded message beside its bytes; the room reserved is the worst case */
#define WORK_QUEUE 4 /* tickets reserve for the worst case until they are decoded: few at a time */

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
    if (p == NULL && make) {
        char log[1024];
        snprintf(log, sizeof(log), "kafka/%s/%s", k->cluster, topic);
        p = lp_calloc(1, sizeof(*p));
        p->topic = lp_strdup(topic);
        p->partition = partition;
        p->source = lp_head_source(k->head, log, (uint32_t)partition);
        atomic_store(&p->stored, -1);
        k->parts = lp_realloc(k->parts, (k->nparts + 1) * sizeof(struct lp_kafka_partition *));
        k->parts[k->nparts++] = p;
    }
    lp_unlock(&k->mu);
    return p;
}

void
lp_kafka_drop_run(struct lp_kafka_partition *p)
{
    if (p->run == NULL) {
        return;
    }
    for (unsigned i = 0; i < p->run->n; i++) {
        rd_kafka_message_destroy(p->run->messages[i]);
    }
    lp_free(p->run);
    p->run = NULL;
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

/* --- tickets --- */

/* Gives a partition's run its ticket and hands it to a worker. False when there is no room yet: the run
 * stays. */
static bool
submit(struct lp_kafka *k, struct lp_kafka_partition *p, int64_t deadline_ns)
{
    struct lp_kafka_run *run = p->run;
    size_t room = lp_batch_room_bound(run->bytes, run->n);
    struct lp_err err;
    if (lp_store_intake(k->log.env.store, &err) != LP_OK ||
        lp_head_room(k->head, room, deadline_ns, &err) != LP_OK) {
        return false;
    }
    int64_t last = run->messages[run->n - 1]->offset;
    int64_t first = p->next >= 0 ? p->next : run->messages[0]->offset;
    struct lp_kafka_job *job = lp_malloc(sizeof(*job));
    struct lp_ticket *t =
        lp_head_ticket_expect(k->head, p->source, (uint64_t)first, (uint64_t)last + 1, p->epoch, room,
                              run->bytes + run->n * EXPECTED_BYTES_A_MESSAGE);
    *job = (struct lp_kafka_job){k, run, t, room};
    p->next = last + 1;
    p->run = NULL;
    lp_hook("kafka-ticket");
    if (lp_pool_run(k->workers, lp_kafka_decode_job, job, INT64_MAX) != LP_OK) {
        lp_kafka_decode_job(job); /* the pool is stopping: a ticket that was given must end */
    }
    return true;
}

/* Submits all runs; false as soon as one finds no room. */
static bool
submit_all(struct lp_kafka *k, int64_t deadline_ns)
{
    for (size_t i = 0; i < k->nparts; i++) { /* only this thread makes partitions */
        if (k->parts[i]->run != NULL && !submit(k, k->parts[i], deadline_ns)) {
            return false;
        }
    }
    return true;
}

/* --- polling --- */

static bool
run_full(const struct lp_kafka_run *run)
{
    return run->n == LP_KAFKA_TICKET_MESSAGES || run->bytes >= LP_KAFKA_TICKET_BYTES;
}

/* Takes a message over; false when its run is full now. */
static bool
take(struct lp_kafka *k, rd_kafka_message_t *m)
{
    struct lp_kafka_partition *p = lp_kafka_partition(k, rd_kafka_topic_name(m->rkt), m->partition, true);
    int64_t behind = p->run != NULL ? p->run->messages[p->run->n - 1]->offset + 1 : p->next;
    if (!p->owned || m->offset < behind) {
        rd_kafka_message_destroy(m);
        return true;
    }
    p->run = p->run != NULL ? p->run : lp_calloc(1, sizeof(*p->run));
    p->run->messages[p->run->n++] = m;
    p->run->bytes += m->len + m->key_len;
    return !run_full(p->run);
}

/* The broker no longer has what comes next: what is missing is said and counted, then reading goes on at the
 * oldest there is. */
static void
note_gap(struct lp_kafka *k, const rd_kafka_message_t *m)
{
    struct lp_kafka_partition *p = lp_kafka_partition(k, rd_kafka_topic_name(m->rkt), m->partition, true);
    int64_t low = 0, high = 0;
    rd_kafka_resp_err_t rc =
        rd_kafka_query_watermark_offsets(k->rk, p->topic, p->partition, &low, &high, 5000);
    if (rc != RD_KAFKA_RESP_ERR_NO_ERROR) {
        lp_kafka_say(k, LP_EVENT_ERROR, "kafka: %s/%d: %s", p->topic, p->partition, rd_kafka_err2str(rc));
        return;
    }
    int64_t to = p->next > high ? high : low;
    lp_metric_add(LP_M_KAFKA_GAPS, 1);
    lp_kafka_say(k, LP_EVENT_ERROR,
                 "kafka: %s/%d: offset %lld is not there any more (the broker has %lld to %lld): a gap, "
                 "going on at %lld",
                 p->topic, p->partition, (long long)p->next, (long long)low, (long long)high, (long long)to);
    lp_kafka_drop_run(p);
    p->next = to;
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, p->topic, p->partition)->offset = to;
    rd_kafka_error_t *error = rd_kafka_seek_partitions(k->rk, list, 5000);
    if (error != NULL) {
        lp_kafka_say(k, LP_EVENT_ERROR, "kafka: seek: %s", rd_kafka_error_string(error));
        rd_kafka_error_destroy(error);
    }
    rd_kafka_topic_partition_list_destroy(list);
}

static void
handle_error(struct lp_kafka *k, rd_kafka_message_t *m)
{
    if (m->err == RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET && m->rkt != NULL) {
        note_gap(k, m);
    } else if (m->err != RD_KAFKA_RESP_ERR__PARTITION_EOF) {
        lp_kafka_say(k, LP_EVENT_WARN, "kafka: %s", rd_kafka_message_errstr(m));
    }
    rd_kafka_message_destroy(m);
}

static void
set_paused(struct lp_kafka *k, bool pause)
{
    rd_kafka_topic_partition_list_t *list = NULL;
    if (k->paused == pause || rd_kafka_assignment(k->rk, &list) != RD_KAFKA_RESP_ERR_NO_ERROR) {
        return;
    }
    (void)(pause ? rd_kafka_pause_partitions(k->rk, list)
                 : rd_kafka_resume_partitions(k->rk, list)); /* per-partition errors: gone meanwhile */
    rd_kafka_topic_partition_list_destroy(list);
    k->paused = pause;
    lp_metric_set(LP_M_KAFKA_PAUSED, pause);
}

/* A high-water mark with wide hysteresis: resumes when half of the head is free again and space is there. */
static bool
may_resume(struct lp_kafka *k)
{
    struct lp_head_stats st;
    struct lp_err err;
    lp_head_stats(k->head, &st);
    return st.bytes < st.budget / 2 && lp_store_intake(k->log.env.store, &err) == LP_OK;
}

/* Polls until a run is full, nothing more is there, or the first message has waited long enough. */
static void
poll_round(struct lp_kafka *k)
{
    int64_t first_ns = 0;
    bool more = true;
    while (more && !atomic_load(&k->stopping)) {
        rd_kafka_message_t *m = rd_kafka_consumer_poll(k->rk, first_ns == 0 ? POLL_MS : 0);
        if (m == NULL) {
            break;
        }
        if (m->err != RD_KAFKA_RESP_ERR_NO_ERROR) {
            handle_error(k, m);
            continue;
        }
        first_ns = first_ns != 0 ? first_ns : lp_mono_ns();
        more = take(k, m) && lp_mono_ns() - first_ns < RUN_WAIT_NS;
    }
}

static void
poll_main(void *arg)
{
    struct lp_kafka *k = arg;
    while (!atomic_load(&k->stopping)) {
        if (!k->paused || may_resume(k)) {
            if (submit_all(k, lp_mono_ns() + ROOM_WAIT_NS)) {
                set_paused(k, false);
            } else {
                set_paused(k, true);
            }
        }
        if (k->paused) {
            rd_kafka_message_t *m = rd_kafka_consumer_poll(k->rk, POLL_MS); /* rebalances must go on */
            if (m != NULL && m->err != RD_KAFKA_RESP_ERR_NO_ERROR) {
                handle_error(k, m);
            } else if (m != NULL && !take(k, m)) {
                continue;
            }
        } else {
            poll_round(k);
        }
    }
    rd_kafka_consumer_close(k->rk); /* revokes: seals and commits */
}

/* --- the log's operations --- */

static lp_rc
kafka_start(struct lp_log *log, struct lp_err *err)
{
    struct lp_kafka *k = (struct lp_kafka *)log;
    rd_kafka_topic_partition_list_t *topics = rd_kafka_topic_partition_list_new(4);
    struct lp_str rest = lp_str_c(k->topics);
    while (rest.p != NULL && rest.n > 0) {
        struct lp_str t = lp_str_trim(lp_str_cut(&rest, ','));
        char name[512];
        if (t.n > 0 && t.n < sizeof(name)) {
            snprintf(name, sizeof(name), LP_STR_FMT, LP_STR_ARG(t));
            rd_kafka_topic_partition_list_add(topics, name, RD_KAFKA_PARTITION_UA);
        }
    }
    rd_kafka_resp_err_t rc = rd_kafka_subscribe(k->rk, topics);
    rd_kafka_topic_partition_list_destroy(topics);
    if (rc != RD_KAFKA_RESP_ERR_NO_ERROR) {
        return lp_err_set(err, LP_ERR_IO, "kafka: subscribe: %s", rd_kafka_err2str(rc));
    }
    k->thread_there = true;
    atomic_store(&k->started_ns, lp_mono_ns());
    k->thread = lp_thread_start("kafka", poll_main, k);
    return LP_OK;
}

static void
kafka_stored(struct lp_log *log, const struct lp_foot_ticket *positions, size_t n)
{
    struct lp_kafka *k = (struct lp_kafka *)log;
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new((int)n);
    lp_lock(&k->mu);
    for (size_t i = 0; i < n; i++) {
        for (size_t j = 0; j < k->nparts; j++) {
            struct lp_kafka_partition *p = k->parts[j];
            if (p->source->partition != positions[i].partition ||
                strcmp(p->source->log, positions[i].log) != 0) {
                continue;
            }
            atomic_store(&p->stored, (int64_t)positions[i].next);
            if (p->owned) {
                lp_kafka_commit_item(k, list, p, (int64_t)positions[i].next);
            }
        }
    }
    lp_unlock(&k->mu);
    if (list->cnt > 0 && rd_kafka_commit(k->rk, list, /* async= */ 1) != RD_KAFKA_RESP_ERR_NO_ERROR) {
        lp_metric_add(LP_M_KAFKA_COMMIT_FAILED, 1); /* a hint only: the catalog has the position */
    }
    rd_kafka_topic_partition_list_destroy(list);
}

static void
kafka_stop(struct lp_log *log)
{
    struct lp_kafka *k = (struct lp_kafka *)log;
    if (k->thread_there) {
        atomic_store(&k->stopping, true);
        lp_thread_join(k->thread);
        k->thread_there = false;
    }
    lp_pool_stop(k->workers);
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
    lp_pool_free(k->workers);
    if (k->rk != NULL) {
        rd_kafka_destroy(k->rk);
    }
    for (size_t i = 0; i < k->nparts; i++) {
        lp_free(k->parts[i]->topic);
        lp_free(k->parts[i]);
    }
    for (size_t i = 0; i < k->ndecoders; i++) {
        lp_decoder_free(k->decoders[i]);
    }
    lp_free(k->parts);
    lp_free(k->topics);
    lp_free(k->cluster);
    lp_mutex_destroy(&k->mu);
    lp_free(k);
}

static bool
kafka_ready(const struct lp_log *log)
{
    const struct lp_kafka *k = (const struct lp_kafka *)(const void *)log;
    int64_t started_ns = atomic_load(&k->started_ns);
    return started_ns != 0 && (atomic_load(&k->assigned) || lp_mono_ns() - started_ns > READY_WITHOUT_NS);
}

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

static void
kafka_metrics(struct lp_log *log, struct lp_buf *out)
{
    struct lp_kafka *k = (struct lp_kafka *)log;
    lp_buf_c(out,
             "# HELP logpond_kafka_lag_messages Messages of an owned partition that are not stored yet.\n"
             "# TYPE logpond_kafka_lag_messages gauge\n");
    lp_lock(&k->mu);
    for (size_t i = 0; i < k->nparts; i++) {
        int64_t lag = k->parts[i]->owned ? lag_of(k, k->parts[i]) : -1;
        if (lag >= 0) {
            lp_buf_printf(out, "logpond_kafka_lag_messages{topic=\"%s\",partition=\"%d\"} %lld\n",
                          k->parts[i]->topic, k->parts[i]->partition, (long long)lag);
        }
    }
    lp_unlock(&k->mu);
}

static void
kafka_status(struct lp_log *log, struct lp_buf *out)
{
    struct lp_kafka *k = (struct lp_kafka *)log;
    const char *comma = "";
    lp_buf_printf(out, "\"kafka\":{\"cluster\":\"%s\",\"partitions\":[", k->cluster);
    lp_lock(&k->mu);
    for (size_t i = 0; i < k->nparts; i++) {
        const struct lp_kafka_partition *p = k->parts[i];
        if (p->owned) {
            lp_buf_printf(out, "%s{\"topic\":\"%s\",\"partition\":%d,\"stored\":%lld,\"lag\":%lld}", comma,
                          p->topic, p->partition, (long long)atomic_load(&p->stored),
                          (long long)lag_of(k, p));
            comma = ",";
        }
    }
    lp_unlock(&k->mu);
    lp_buf_c(out, "]}");
}

/* --- making it --- */

static lp_rc
set_property(rd_kafka_conf_t *conf, const char *name, const char *value, struct lp_err *err)
{
    char text[200];
    if (rd_kafka_conf_set(conf, name, value, text, sizeof(text)) != RD_KAFKA_CONF_OK) {
        return lp_err_set(err, LP_ERR_PARSE, "kafka-set %s: %s", name, text);
    }
    return LP_OK;
}

/* "name=value" lines of the settings. */
static lp_rc
set_all(rd_kafka_conf_t *conf, const char *lines, struct lp_err *err)
{
    struct lp_str rest = lp_str_c(lines);
    lp_rc rc = LP_OK;
    while (rest.p != NULL && rest.n > 0 && rc == LP_OK) {
        struct lp_str value = lp_str_cut(&rest, '\n');
        struct lp_str name = lp_str_cut(&value, '=');
        char n[256], v[4096];
        if (value.p == NULL || name.n >= sizeof(n) || value.n >= sizeof(v)) {
            return lp_err_set(err, LP_ERR_PARSE, "kafka-set " LP_STR_FMT ": NAME=VALUE is expected",
                              LP_STR_ARG(name));
        }
        snprintf(n, sizeof(n), LP_STR_FMT, LP_STR_ARG(name));
        snprintf(v, sizeof(v), LP_STR_FMT, LP_STR_ARG(value));
        rc = set_property(conf, n, v, err);
    }
    return rc;
}

static lp_rc
configure(const struct lp_kafka_config *cfg, rd_kafka_conf_t *conf, struct lp_err *err)
{
    const char *const ours[][2] = {
        {"bootstrap.servers", cfg->brokers},
        {"group.id", cfg->group},
        {"client.id", "logpond"},
        {"session.timeout.ms", "10000"},
        {"heartbeat.interval.ms", "2000"},
        {"partition.assignment.strategy", "cooperative-sticky"},
        {"enable.auto.commit", "false"},
        {"enable.auto.offset.store", "false"},
        {"auto.offset.reset", "error"},
        {"check.crcs", "true"},
        {"isolation.level", "read_committed"},
        {"queued.max.messages.kbytes", "32768"},
        {"fetch.wait.max.ms", "200"},
        {"enable.partition.eof", "false"},
    };
    lp_rc rc = LP_OK;
    for (size_t i = 0; i < LP_ARRAY_LEN(ours) && rc == LP_OK; i++) {
        rc = set_property(conf, ours[i][0], ours[i][1], err);
    }
    return rc == LP_OK ? set_all(conf, cfg->set, err) : rc;
}

static void
uuid_text(const struct lp_uuid *u, char out[37])
{
    static const char dash_before[16] = {0, 0, 0, 0, 1, 0, 1, 0, 1, 0, 1};
    size_t n = 0;
    for (size_t i = 0; i < sizeof(u->b); i++) {
        n += (size_t)snprintf(out + n, 37 - n, "%s%02x", dash_before[i] ? "-" : "", u->b[i]);
    }
}

static lp_rc
connect_brokers(struct lp_kafka *k, const struct lp_kafka_config *cfg, struct lp_err *err)
{
    char text[256];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    lp_rc rc = configure(cfg, conf, err);
    if (rc != LP_OK) {
        rd_kafka_conf_destroy(conf);
        return rc;
    }
    rd_kafka_conf_set_opaque(conf, k);
    rd_kafka_conf_set_rebalance_cb(conf, lp_kafka_rebalance);
    k->rk = rd_kafka_new(RD_KAFKA_CONSUMER, conf, text, sizeof(text));
    if (k->rk == NULL) {
        rd_kafka_conf_destroy(conf);
        return lp_err_set(err, LP_ERR_PARSE, "kafka: %s", text);
    }
    rd_kafka_poll_set_consumer(k->rk);
    char *cluster = rd_kafka_clusterid(k->rk, 60000);
    if (cluster == NULL) {
        return lp_err_set(err, LP_ERR_TIMEOUT, "kafka: no broker of %s answered within a minute",
                          cfg->brokers);
    }
    k->cluster = lp_strdup(cluster);
    rd_kafka_mem_free(k->rk, cluster);
    return LP_OK;
}

lp_rc
lp_kafka_new(const struct lp_log_env *env, const struct lp_kafka_config *cfg, struct lp_log **ret,
             struct lp_err *err)
{
    static const struct lp_log_ops ops = {
        .name = "kafka",
        .start = kafka_start,
        .append = NULL,
        .stored = kafka_stored,
        .stop = kafka_stop,
        .free = kafka_free,
        .ready = kafka_ready,
        .metrics = kafka_metrics,
        .status = kafka_status,
    };
    if (cfg->topics[0] == 0) {
        return lp_err_set(err, LP_ERR_MISUSE,
                          "with kafka-brokers, kafka-topics must name the topics to read");
    }
    struct lp_kafka *k = lp_calloc(1, sizeof(*k));
    k->log = (struct lp_log){&ops, *env};
    k->head = lp_store_head(env->store);
    k->topics = lp_strdup(cfg->topics);
    lp_mutex_init(&k->mu, LP_LOCK_LOG);
    uuid_text(lp_catalog_uuid(lp_store_catalog(env->store)), k->uuid);
    k->workers = lp_pool_new("decode", cfg->workers, WORK_QUEUE);
    lp_rc rc = connect_brokers(k, cfg, err);
    if (rc != LP_OK) {
        kafka_free(&k->log);
        return rc;
    }
    *ret = &k->log;
    return LP_OK;
}
