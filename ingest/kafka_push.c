/*
 * kafka_push.c - pushes into Kafka: a batch becomes messages (otlp.h, docs/kafka.md); the push ends when the
 * brokers have all of them, or one of them failed.
 *
 * Invariants: (1) nothing is produced before the whole request is encoded and has room among the bytes under
 * way; (2) a push is held by one reference for the producing thread and one for each message, and ends with
 * the last; (3) a failed push may have left some of its messages: its retry brings the same ids, and
 * consumers drop what they have (kafka_ids.c).
 *
 * Threads: lp_kafka_take on ingest workers; delivery reports on the out thread. Lock: out->mu.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/metrics.h"
#include "ingest/kafka_int.h"
#include "ingest/otlp.h"
#include "store/hooks.h"

#define OUT_POLL_MS 200
#define STOP_FLUSH_MS 5000
#define MAKE_TOPIC_MS 10000
#define RENEW_EVERY_NS (5 * LP_NS_PER_S)
/* of a message beside its value: key, headers with a tenant's name, framing */
#define MESSAGE_OVERHEAD_BYTES 2048
#define BYTES_UNDER_WAY_MAX (64u << 20)

struct part {
    char key[LP_OTLP_KEY_BYTES];
    char *value; /* from malloc: librdkafka frees it */
    size_t bytes;
    uint32_t number, records;
};

/* One push under way. */
struct outgoing {
    struct lp_kafka_out *out;
    lp_log_done done;
    void *ctx;
    struct part *parts; /* until produced */
    size_t nparts, cap, bytes;
    int64_t start_ns;
    atomic_size_t refs;
    lp_rc rc; /* of the first failure; under out->mu */
    struct lp_err err;
};

static void
fail(struct outgoing *o, lp_rc rc, const char *text)
{
    lp_lock(&o->out->mu);
    if (o->rc == LP_OK) {
        o->rc = lp_err_set(&o->err, rc, "%s", text);
    }
    lp_unlock(&o->out->mu);
}

static void
unref(struct outgoing *o)
{
    if (atomic_fetch_sub(&o->refs, 1) != 1) {
        return;
    }
    lp_lock(&o->out->mu);
    o->out->bytes -= o->bytes;
    lp_cond_broadcast(&o->out->room);
    lp_unlock(&o->out->mu);
    lp_metric_observe(LP_M_KAFKA_PRODUCE, lp_mono_ns() - o->start_ns);
    o->done(o->ctx, o->rc, false, &o->err);
    for (size_t i = 0; i < o->nparts; i++) {
        lp_free(o->parts[i].value);
    }
    lp_free(o->parts);
    lp_free(o);
}

static void
fail_kafka(struct outgoing *o, rd_kafka_resp_err_t rc)
{
    char text[256];
    lp_metric_add(LP_M_KAFKA_PRODUCE_FAILED, 1);
    if (rc == RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE) {
        fail(o, LP_ERR_LIMIT,
             "the brokers refuse messages of this size: set kafka-set message.max.bytes to their limit");
        return;
    }
    snprintf(text, sizeof(text), "kafka: %s; try again", rd_kafka_err2str(rc));
    fail(o, rc == RD_KAFKA_RESP_ERR__QUEUE_FULL ? LP_ERR_BUSY : LP_ERR_IO, text);
}

void
lp_kafka_delivered(rd_kafka_t *rk, const rd_kafka_message_t *m, void *opaque)
{
    struct lp_kafka *k = opaque;
    struct outgoing *o = m->_private;
    (void)rk;
    lp_lock(&k->out.mu); /* o was made under it: what its maker wrote is seen here */
    lp_unlock(&k->out.mu);
    if (m->err != RD_KAFKA_RESP_ERR_NO_ERROR) {
        fail_kafka(o, m->err);
    } else {
        lp_metric_add(LP_M_KAFKA_PRODUCED, 1);
        lp_metric_add(LP_M_KAFKA_PRODUCED_BYTES, (int64_t)m->len);
    }
    unref(o);
}

/* --- producing --- */

static lp_rc
keep_part(void *ctx, const struct lp_otlp_part *from, struct lp_err *err)
{
    struct outgoing *o = ctx;
    (void)err;
    if (o->nparts == o->cap) {
        o->cap = o->cap ? 2 * o->cap : 8;
        o->parts = lp_realloc(o->parts, o->cap * sizeof(*o->parts));
    }
    struct part *p = &o->parts[o->nparts++];
    *p = (struct part){.value = lp_malloc(from->value.n),
                       .bytes = from->value.n,
                       .number = from->number,
                       .records = from->records};
    memcpy(p->key, from->key, sizeof(p->key));
    memcpy(p->value, from->value.p, from->value.n);
    o->bytes += from->value.n + MESSAGE_OVERHEAD_BYTES;
    return LP_OK;
}

/* Waits for the bytes under way to leave room. One push alone may be larger than the limit. */
static lp_rc
wait_for_room(struct lp_kafka_out *out, size_t bytes, int64_t deadline_ns, struct lp_err *err)
{
    bool in_time = true;
    lp_lock(&out->mu);
    while (out->bytes > 0 && out->bytes + bytes > out->bytes_max && in_time) {
        in_time = lp_cond_wait_until(&out->room, &out->mu, deadline_ns);
    }
    bool room = out->bytes == 0 || out->bytes + bytes <= out->bytes_max;
    out->bytes += room ? bytes : 0;
    lp_unlock(&out->mu);
    return room ? LP_OK
                : lp_err_set(err, LP_ERR_BUSY,
                             "too much is on its way to the brokers at the moment; try again");
}

/* False: the part was not taken over. */
static bool
produce(struct outgoing *o, struct part *p, const struct lp_push *push, const char *id)
{
    char text[64];
    snprintf(text, sizeof(text), "%s-%u", id, p->number);
    rd_kafka_headers_t *hs =
        lp_kafka_write_headers(push->tenant, push->received_ns, p->records, id[0] ? text : NULL);
    atomic_fetch_add(&o->refs, 1);
    lp_lock(&o->out->mu); /* rk may be renewed */
    rd_kafka_resp_err_t rc =
        rd_kafka_producev(o->out->rk, RD_KAFKA_V_TOPIC(o->out->topic), RD_KAFKA_V_KEY(p->key, sizeof(p->key)),
                          RD_KAFKA_V_VALUE(p->value, p->bytes), RD_KAFKA_V_HEADERS(hs), RD_KAFKA_V_OPAQUE(o),
                          RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_FREE), RD_KAFKA_V_END);
    lp_unlock(&o->out->mu);
    if (rc != RD_KAFKA_RESP_ERR_NO_ERROR) {
        rd_kafka_headers_destroy(hs);
        fail_kafka(o, rc);
        atomic_fetch_sub(&o->refs, 1); /* never the last: the caller holds one */
        return false;
    }
    p->value = NULL;
    return true;
}

/* The request's id as text, empty when it has none. */
static void
request_id(const struct lp_push *push, const struct lp_batch *b, char out[40])
{
    struct lp_hash128 id;
    out[0] = 0;
    if (lp_ids_request(push, b, &id)) {
        snprintf(out, 40, "%016llx%016llx", (unsigned long long)id.hi, (unsigned long long)id.lo);
    }
}

void
lp_kafka_take(struct lp_log *log, const struct lp_push *push, struct lp_batch *b, int64_t deadline_ns,
              lp_log_done done, void *ctx)
{
    struct lp_kafka *k = (struct lp_kafka *)log;
    struct outgoing *o = lp_calloc(1, sizeof(*o));
    char id[40];
    *o = (struct outgoing){.out = &k->out, .done = done, .ctx = ctx, .start_ns = lp_mono_ns()};
    atomic_store(&o->refs, 1);
    request_id(push, b, id);
    lp_rc rc =
        k->out.topic[0] != 0
            ? lp_otlp_write(b, k->out.value_bytes_max, keep_part, o, &o->err)
            : lp_err_set(&o->err, LP_ERR_SHUTDOWN,
                         "this server takes no pushes: it reads topics by pattern, and kafka-push-topic "
                         "names none for them");
    lp_batch_free(b);
    rc = rc == LP_OK ? wait_for_room(&k->out, o->bytes, deadline_ns, &o->err) : rc;
    if (rc != LP_OK) {
        o->rc = rc;
        o->bytes = 0;
    }
    for (size_t i = 0; i < o->nparts && rc == LP_OK; i++) {
        rc = produce(o, &o->parts[i], push, id) ? LP_OK : LP_ERR_IO;
        lp_hook("kafka-produce");
    }
    unref(o);
}

/* --- the out thread --- */

/* Ends what a producer has under way, one way or the other. */
static void
drain(rd_kafka_t *rk, int flush_ms)
{
    if (rd_kafka_flush(rk, flush_ms) != RD_KAFKA_RESP_ERR_NO_ERROR) {
        rd_kafka_purge(rk, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
        rd_kafka_flush(rk, STOP_FLUSH_MS); /* the reports of what was purged */
    }
}

/* An idempotent producer that met a fatal error takes nothing more: a new one goes on. Ids make repeats
 * harmless. */
static void
renew_if_fatal(struct lp_kafka *k)
{
    char text[256];
    struct lp_err err;
    rd_kafka_t *fresh = NULL, *old = k->out.rk;
    if (rd_kafka_fatal_error(old, text, sizeof(text)) == RD_KAFKA_RESP_ERR_NO_ERROR) {
        return;
    }
    if (lp_mono_ns() - k->out.renewed_ns < RENEW_EVERY_NS) {
        return;
    }
    k->out.renewed_ns = lp_mono_ns();
    lp_kafka_say(k, LP_EVENT_ERROR, "the producer failed (%s); a new one takes over", text);
    if (lp_kafka_client(k, RD_KAFKA_PRODUCER, &fresh, &err) != LP_OK) {
        lp_kafka_say(k, LP_EVENT_ERROR, "%s", err.text);
        return;
    }
    lp_lock(&k->out.mu);
    k->out.rk = fresh;
    lp_unlock(&k->out.mu);
    drain(old, 0);
    rd_kafka_destroy(old);
}

static void
out_main(void *arg)
{
    struct lp_kafka *k = arg;
    while (!atomic_load(&k->out.stopping)) {
        rd_kafka_poll(k->out.rk, OUT_POLL_MS);
        renew_if_fatal(k);
    }
    drain(k->out.rk, STOP_FLUSH_MS);
}

void
lp_kafka_out_start(struct lp_kafka *k)
{
    k->out.thread_there = true;
    k->out.thread = lp_thread_start("kafka-out", out_main, k);
}

void
lp_kafka_out_stop(struct lp_kafka *k)
{
    if (k->out.thread_there) {
        atomic_store(&k->out.stopping, true);
        lp_thread_join(k->out.thread);
        k->out.thread_there = false;
    }
}

/* --- the topic --- */

/* The outcome of the one topic asked for. */
static rd_kafka_resp_err_t
topic_result(rd_kafka_queue_t *queue)
{
    rd_kafka_event_t *ev = rd_kafka_queue_poll(queue, MAKE_TOPIC_MS + 1000);
    const rd_kafka_CreateTopics_result_t *res = ev != NULL ? rd_kafka_event_CreateTopics_result(ev) : NULL;
    rd_kafka_resp_err_t rc = RD_KAFKA_RESP_ERR__TIMED_OUT;
    size_t n = 0;
    if (res != NULL) {
        const rd_kafka_topic_result_t **topics = rd_kafka_CreateTopics_result_topics(res, &n);
        rc = n == 1 ? rd_kafka_topic_result_error(topics[0]) : rd_kafka_event_error(ev);
    }
    if (ev != NULL) {
        rd_kafka_event_destroy(ev);
    }
    return rc;
}

void
lp_kafka_make_topic(struct lp_kafka *k)
{
    char text[256];
    if (k->out.topic[0] == 0) {
        return;
    }
    rd_kafka_NewTopic_t *topic = rd_kafka_NewTopic_new(k->out.topic, -1, -1, text, sizeof(text));
    if (topic == NULL) {
        lp_kafka_say(k, LP_EVENT_WARN, "topic %s: %s", k->out.topic, text);
        return;
    }
    rd_kafka_queue_t *queue = rd_kafka_queue_new(k->out.rk);
    rd_kafka_AdminOptions_t *options = rd_kafka_AdminOptions_new(k->out.rk, RD_KAFKA_ADMIN_OP_CREATETOPICS);
    (void)rd_kafka_AdminOptions_set_request_timeout(options, MAKE_TOPIC_MS, text, sizeof(text));
    rd_kafka_CreateTopics(k->out.rk, &topic, 1, options, queue);
    rd_kafka_resp_err_t rc = topic_result(queue);
    if (rc == RD_KAFKA_RESP_ERR_NO_ERROR) {
        lp_kafka_say(k, LP_EVENT_INFO, "topic %s was not there and was made", k->out.topic);
    } else if (rc != RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS) {
        lp_kafka_say(k, LP_EVENT_INFO, "topic %s was not made: %s", k->out.topic, rd_kafka_err2str(rc));
    }
    rd_kafka_AdminOptions_destroy(options);
    rd_kafka_queue_destroy(queue);
    rd_kafka_NewTopic_destroy(topic);
}

/* --- opening --- */

/* The topic named, else the first of the list that is not a pattern; none when there are patterns only. */
static void
choose_topic(struct lp_kafka_out *out, const struct lp_kafka_config *cfg)
{
    struct lp_str rest = lp_str_c(cfg->topics), topic = lp_str_trim(lp_str_c(cfg->push_topic));
    while (topic.n == 0 && rest.p != NULL && rest.n > 0) {
        struct lp_str t = lp_str_trim(lp_str_cut(&rest, ','));
        topic = t.n > 0 && t.p[0] != '^' ? t : topic;
    }
    out->topic = lp_calloc(1, topic.n + 1);
    if (topic.n > 0) {
        memcpy(out->topic, topic.p, topic.n);
    }
}

static size_t
message_bytes_max(rd_kafka_t *rk)
{
    char text[32];
    size_t n = sizeof(text);
    rd_kafka_conf_res_t rc = rd_kafka_conf_get(rd_kafka_conf(rk), "message.max.bytes", text, &n);
    LP_ASSERT(rc == RD_KAFKA_CONF_OK);
    return (size_t)strtoull(text, NULL, 10);
}

lp_rc
lp_kafka_out_open(struct lp_kafka *k, struct lp_err *err)
{
    lp_mutex_init(&k->out.mu, LP_LOCK_LOG);
    lp_cond_init(&k->out.room);
    k->out.bytes_max = BYTES_UNDER_WAY_MAX;
    choose_topic(&k->out, &k->cfg);
    lp_rc rc = lp_kafka_client(k, RD_KAFKA_PRODUCER, &k->out.rk, err);
    if (rc == LP_OK) {
        size_t max = message_bytes_max(k->out.rk);
        k->out.value_bytes_max = max > 2 * MESSAGE_OVERHEAD_BYTES ? max - MESSAGE_OVERHEAD_BYTES : max / 2;
    }
    return rc;
}

void
lp_kafka_out_close(struct lp_kafka *k)
{
    lp_kafka_out_stop(k);
    if (k->out.rk != NULL) {
        rd_kafka_destroy(k->out.rk);
    }
    lp_free(k->out.topic);
    lp_cond_destroy(&k->out.room);
    lp_mutex_destroy(&k->out.mu);
}
