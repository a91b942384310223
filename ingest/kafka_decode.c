/*
 * kafka_decode.c - decoding a ticket's messages on a worker. Every message has its own outcome: records, a
 * raw line, the quarantine, or nothing (empty). The ticket always ends as stored, whatever the bytes were.
 */
#include <string.h>

#include "base/metrics.h"
#include "ingest/kafka_int.h"
#include "ingest/otlp.h"

static struct lp_decoder *
take_decoder(struct lp_kafka *k)
{
    struct lp_decoder *d = NULL;
    lp_lock(&k->mu);
    if (k->ndecoders > 0) {
        d = k->decoders[--k->ndecoders];
    }
    lp_unlock(&k->mu);
    return d != NULL ? d : lp_decoder_new();
}

static void
give_decoder(struct lp_kafka *k, struct lp_decoder *d)
{
    lp_lock(&k->mu);
    if (k->ndecoders < LP_ARRAY_LEN(k->decoders)) {
        k->decoders[k->ndecoders++] = d;
        d = NULL;
    }
    lp_unlock(&k->mu);
    lp_decoder_free(d);
}

static struct lp_kafka_message
view_of(const rd_kafka_message_t *m)
{
    return (struct lp_kafka_message){
        .topic = lp_str_c(rd_kafka_topic_name(m->rkt)),
        .partition = (uint32_t)m->partition,
        .offset = (uint64_t)m->offset,
        .time_ns = lp_kafka_time(m),
        .value = lp_str_of(m->payload, m->len),
    };
}

/* One of our own messages (docs/kafka.md), or an agent's. What is malformed in ours goes to the quarantine.
 */
static lp_rc
decode_message(struct lp_decoder *d, const rd_kafka_message_t *m, int64_t now_ns, struct lp_batch *b,
               struct lp_err *err)
{
    struct lp_kafka_message view = view_of(m);
    struct lp_kafka_headers h;
    struct lp_err why;
    lp_kafka_read_headers(m, &h);
    b->received_ns = h.ours ? h.received_ns : now_ns;
    if (!lp_batch_set_tenant(b, h.tenant)) {
        return lp_err_set(err, LP_ERR_LIMIT, "no memory left for a tenant's name");
    }
    if (!h.ours) {
        return lp_decode_kafka(d, &view, b, err);
    }
    lp_err_clear(&why);
    lp_rc rc = lp_otlp_read(view.value, b, &why);
    if (rc == LP_ERR_PARSE) {
        return lp_kafka_quarantine(b, &view, why.text, err);
    }
    return rc == LP_OK ? rc : lp_err_set(err, rc, "%s", why.text);
}

static lp_rc
keep_message(const rd_kafka_message_t *m, int64_t now_ns, struct lp_batch *b)
{
    struct lp_kafka_message view = view_of(m);
    struct lp_kafka_headers h;
    lp_kafka_read_headers(m, &h);
    b->received_ns = h.ours ? h.received_ns : now_ns;
    if (!lp_batch_set_tenant(b, h.tenant)) {
        return LP_ERR_LIMIT;
    }
    return view.value.n == 0
               ? LP_OK
               : lp_kafka_quarantine(b, &view, "the message takes too much memory once decoded", NULL);
}

/* raw: which messages are kept as they are; NULL: none. NULL when the budget does not do. */
static struct lp_batch *
decode(struct lp_decoder *d, const struct lp_kafka_run *run, const bool *raw, size_t budget, int64_t now_ns)
{
    struct lp_batch *b = lp_batch_new(LP_STR_NULL, budget, run->bytes);
    lp_rc rc = b != NULL ? LP_OK : LP_ERR_LIMIT;
    for (size_t i = 0; i < run->nids && rc == LP_OK; i++) {
        rc = lp_batch_note_id(b, &run->ids[i]) ? LP_OK : LP_ERR_LIMIT;
    }
    for (unsigned i = 0; i < run->n && rc == LP_OK; i++) {
        rc = raw != NULL && raw[i] ? keep_message(run->messages[i], now_ns, b)
                                   : decode_message(d, run->messages[i], now_ns, b, NULL);
    }
    if (rc != LP_OK) {
        lp_batch_free(b);
        return NULL;
    }
    lp_batch_finish(b);
    return b;
}

/* Finds the messages that take more memory than was set aside for them: each by itself against its own bound.
 */
static void
find_greedy(struct lp_decoder *d, const struct lp_kafka_run *run, int64_t now_ns, bool *ret_raw)
{
    for (unsigned i = 0; i < run->n; i++) {
        const rd_kafka_message_t *m = run->messages[i];
        struct lp_kafka_headers h;
        lp_kafka_read_headers(m, &h);
        size_t bound = lp_batch_room_bound(m->len + m->key_len, h.records);
        struct lp_batch *b = lp_batch_new(LP_STR_NULL, bound, m->len);
        ret_raw[i] = b == NULL || decode_message(d, m, now_ns, b, NULL) != LP_OK || lp_batch_room(b) > bound;
        lp_batch_free(b);
    }
}

static bool
fits(const struct lp_batch *b, size_t room)
{
    return b != NULL && lp_batch_room(b) <= room;
}

/* Every message has its own outcome: one that takes too much memory does not take others along. */
static struct lp_batch *
decode_within(struct lp_decoder *d, const struct lp_kafka_run *run, size_t room, int64_t now_ns)
{
    bool raw[LP_KAFKA_TICKET_MESSAGES] = {false};
    struct lp_batch *b = decode(d, run, NULL, room, now_ns);
    if (!fits(b, room)) {
        lp_batch_free(b);
        find_greedy(d, run, now_ns, raw);
        b = decode(d, run, raw, room, now_ns);
    }
    if (!fits(b,
              room)) { /* small sums may still not do; the need of raw messages is bounded by their bytes */
        lp_batch_free(b);
        memset(raw, true, sizeof(raw));
        b = decode(d, run, raw, SIZE_MAX, now_ns);
    }
    LP_ASSERT(b != NULL); /* an arena without a budget fails only when the system has no memory at all */
    return b;
}

void
lp_kafka_decode_job(void *arg)
{
    struct lp_kafka_job *job = arg;
    struct lp_kafka *k = job->k;
    struct lp_decoder *d = take_decoder(k);
    struct lp_batch *b = decode_within(d, job->run, job->room, lp_now_ns());
    give_decoder(k, d);
    lp_metric_add(LP_M_KAFKA_MESSAGES, job->run->n);
    lp_kafka_run_free(job->run);
    lp_head_end(k->head, job->ticket, LP_STORED, b);
    lp_free(job);
}
