/*
 * kafka_poll.c - the poll thread: messages into runs, runs into tickets, back-pressure, commits.
 *
 * Invariants:
 *   1. A ticket covers [p->next, last offset + 1) of one partition: gaps in offsets (compaction,
 * transactions) lie inside tickets, so positions are contiguous. Messages below p->next, or of partitions not
 * claimed, are dropped.
 *   2. Room is reserved before a ticket is given; without room for a second partitions are paused, and
 * resumed once half of the head is free (a pause discards librdkafka's prefetch, so it must be rare).
 *   3. What is stored twice is decided here, in the order of the log, when the ticket is given: whoever reads
 * the log again from any position decides alike.
 *   4. The group's commit is a hint; the truth is the catalog's position.
 */
#include <stdio.h>
#include <string.h>

#include "base/metrics.h"
#include "ingest/kafka_int.h"
#include "store/hooks.h"

#define POLL_MS 100
#define CONNECT_MS 1000
#define RUN_WAIT_NS (50 * LP_NS_PER_MS)
#define ROOM_WAIT_NS LP_NS_PER_S
#define CLOCK_EVERY 64
#define COMMIT_EVERY_NS LP_NS_PER_S
#define JOINING_NS (60 * LP_NS_PER_S)
#define JOIN_AGAIN_NS (10 * LP_NS_PER_S)
#define SAME_ERROR_NS (30 * LP_NS_PER_S)
/* of a decoded record beside its bytes; the room reserved is the worst case */
#define EXPECTED_BYTES_A_RECORD 64

/* --- runs --- */

void
lp_kafka_run_free(struct lp_kafka_run *run)
{
    if (run == NULL) {
        return;
    }
    for (unsigned i = 0; i < run->n; i++) {
        rd_kafka_message_destroy(run->messages[i]);
    }
    lp_free(run->ids);
    lp_free(run);
}

void
lp_kafka_drop_run(struct lp_kafka_partition *p)
{
    lp_kafka_run_free(p->run);
    p->run = NULL;
}

static bool
run_full(const struct lp_kafka_run *run)
{
    return run->n == LP_KAFKA_TICKET_MESSAGES || run->bytes >= LP_KAFKA_TICKET_BYTES ||
           run->records >= LP_KAFKA_TICKET_RECORDS;
}

/* --- tickets --- */

/* A single message that can never fit: it becomes a gap of one offset, said and counted. */
static void
too_large(struct lp_kafka *k, struct lp_kafka_partition *p, const struct lp_err *err)
{
    int64_t offset = p->run->messages[0]->offset;
    lp_kafka_say(k, LP_EVENT_ERROR, "%s/%d: the message at offset %lld cannot be held: %s", p->topic,
                 p->partition, (long long)offset, err->text);
    lp_kafka_drop_run(p);
    p->gap = (struct lp_kafka_gap){p->next, offset + 1,
                                   "the message is larger than the memory for records (seal-bytes)"};
    p->has_gap = true;
    lp_metric_add(LP_M_KAFKA_GAPS, 1);
}

/* A run that can never fit becomes its first message; the others come again. */
static void
shrink_run(struct lp_kafka_partition *p)
{
    struct lp_kafka_run *run = p->run;
    struct lp_kafka_headers h;
    while (run->n > 1) {
        rd_kafka_message_destroy(run->messages[--run->n]);
    }
    lp_kafka_read_headers(run->messages[0], &h);
    run->bytes = run->messages[0]->len + run->messages[0]->key_len;
    run->records = h.records;
    p->seek_due = true;
}

static lp_rc
reserve(struct lp_kafka *k, struct lp_kafka_partition *p, size_t room, int64_t deadline_ns)
{
    struct lp_err err;
    lp_rc rc = lp_store_intake(k->log.env.store, &err);
    rc = rc == LP_OK ? lp_head_room(k->head, room, deadline_ns, &err) : rc;
    if (rc == LP_ERR_LIMIT && p->run->n == 1) {
        too_large(k, p, &err);
    } else if (rc == LP_ERR_LIMIT) {
        shrink_run(p);
    }
    return rc;
}

/* Gives a partition's run its ticket and hands it to a worker. False when there is no room yet: the run
 * stays. */
static bool
submit(struct lp_kafka *k, struct lp_kafka_partition *p, int64_t deadline_ns)
{
    struct lp_kafka_run *run = p->run;
    const rd_kafka_message_t *last = run->messages[run->n - 1];
    size_t room = lp_batch_room_bound(run->bytes, run->records) + run->n * sizeof(struct lp_batch_id) * 4;
    if (reserve(k, p, room, deadline_ns) != LP_OK) {
        return false;
    }
    struct lp_ticket_spec spec = {
        .source = p->source,
        .first = (uint64_t)p->next,
        .next = (uint64_t)last->offset + 1,
        .epoch = p->epoch,
        .anchor = lp_kafka_anchor(last),
        .room = room,
        .expect = run->bytes + run->records * EXPECTED_BYTES_A_RECORD,
    };
    p->next = last->offset + 1;
    p->run = NULL;
    lp_kafka_drop_duplicates(k, p, run);
    struct lp_kafka_job *job = lp_malloc(sizeof(*job));
    *job = (struct lp_kafka_job){k, run, lp_head_ticket_of(k->head, &spec), room};
    lp_hook("kafka-ticket");
    if (lp_pool_run(k->workers, lp_kafka_decode_job, job, INT64_MAX) != LP_OK) {
        lp_kafka_decode_job(job); /* the pool is stopping: a ticket that was given must end */
    }
    return true;
}

/* Submits all gaps and runs; false as soon as one finds no room. */
static bool
submit_all(struct lp_kafka *k, int64_t deadline_ns)
{
    for (size_t i = 0; i < k->nparts; i++) { /* only this thread makes partitions */
        struct lp_kafka_partition *p = k->parts[i];
        if (p->has_gap && !lp_kafka_store_gap(k, p, deadline_ns)) {
            return false;
        }
        if (p->run != NULL && !submit(k, p, deadline_ns)) {
            return false;
        }
    }
    return true;
}

/* --- messages --- */

/* What librdkafka says of a call, NULL when it went well. Destroys error. */
static const char *
complaint(rd_kafka_error_t *error, rd_kafka_resp_err_t rc)
{
    if (error != NULL) {
        rc = rd_kafka_error_code(error);
        rd_kafka_error_destroy(error);
    }
    return rc != RD_KAFKA_RESP_ERR_NO_ERROR ? rd_kafka_err2str(rc) : NULL;
}

/* A partition whose fetching has stopped (an offset out of range) takes no seek: it is assigned anew, in
 * place. */
static const char *
assign_again(struct lp_kafka *k, rd_kafka_topic_partition_list_t *one)
{
    if (strcmp(rd_kafka_rebalance_protocol(k->rk), "COOPERATIVE") != 0) {
        return "the partition has stopped";
    }
    const char *why = complaint(rd_kafka_incremental_unassign(k->rk, one), RD_KAFKA_RESP_ERR_NO_ERROR);
    return why != NULL ? why : complaint(rd_kafka_incremental_assign(k->rk, one), RD_KAFKA_RESP_ERR_NO_ERROR);
}

bool
lp_kafka_seek(struct lp_kafka *k, struct lp_kafka_partition *p, int64_t offset)
{
    rd_kafka_topic_partition_list_t *one = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(one, p->topic, p->partition)->offset = offset;
    rd_kafka_error_t *error = rd_kafka_seek_partitions(k->rk, one, LP_KAFKA_BROKER_MS);
    if (complaint(error, one->elems[0].err) != NULL) {
        one->elems[0].err = RD_KAFKA_RESP_ERR_NO_ERROR;
        one->elems[0].offset = offset;
        const char *why = assign_again(k, one);
        if (why != NULL) {
            lp_kafka_say(k, LP_EVENT_WARN, "%s/%d: to go on at %lld: %s", p->topic, p->partition,
                         (long long)offset, why);
            k->rejoin_ns = lp_mono_ns() + LP_NS_PER_S; /* a new assignment places the partition anew */
            p->claimed = false;
        }
    }
    rd_kafka_topic_partition_list_destroy(one);
    return p->claimed;
}

/* Whether a message goes into the partition's run. */
static bool
wanted(struct lp_kafka *k, struct lp_kafka_partition *p, const rd_kafka_message_t *m,
       const struct lp_kafka_headers *h)
{
    if (p->anchor_at >= 0 && !lp_kafka_check_anchor(k, p, m)) {
        return false;
    }
    if (m->offset < p->reread_until) {
        lp_kafka_note_id(k, p, m);
        return false;
    }
    p->reread_until = -1;
    int64_t behind = p->run != NULL ? p->run->messages[p->run->n - 1]->offset + 1 : p->next;
    if (m->offset < behind) {
        return false;
    }
    if (h->ours && h->id.n > 0 && !p->ids_whole) {
        return !lp_kafka_reread(k, p, m);
    }
    return true;
}

/* Messages come in stretches of one partition. */
static struct lp_kafka_partition *
partition_of(struct lp_kafka *k, const rd_kafka_message_t *m)
{
    const char *topic = rd_kafka_topic_name(m->rkt);
    struct lp_kafka_partition *p = k->recent;
    if (p == NULL || p->partition != m->partition || strcmp(p->topic, topic) != 0) {
        p = k->recent = lp_kafka_partition(k, topic, m->partition, true);
    }
    return p;
}

/* Takes a message over; false when its run is full now. */
static bool
take(struct lp_kafka *k, rd_kafka_message_t *m)
{
    struct lp_kafka_headers h;
    struct lp_kafka_partition *p = partition_of(k, m);
    if (!p->claimed) {
        rd_kafka_message_destroy(m);
        return true;
    }
    lp_kafka_read_headers(m, &h);
    if (!wanted(k, p, m, &h)) {
        rd_kafka_message_destroy(m);
        return true;
    }
    p->run = p->run != NULL ? p->run : lp_calloc(1, sizeof(*p->run));
    p->run->messages[p->run->n++] = m;
    p->run->bytes += m->len + m->key_len;
    p->run->records += h.records;
    return !run_full(p->run);
}

/* Gaps have words of their own; connections are the log callback's. */
static bool
is_said_elsewhere(rd_kafka_resp_err_t code)
{
    return code == RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET || code == RD_KAFKA_RESP_ERR__PARTITION_EOF ||
           code == RD_KAFKA_RESP_ERR__TRANSPORT || code == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN;
}

static void
handle_error(struct lp_kafka *k, rd_kafka_message_t *m)
{
    if (m->err == RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET && m->rkt != NULL) {
        struct lp_kafka_partition *p = partition_of(k, m);
        if (p->claimed) {
            lp_kafka_out_of_range(k, p);
        }
    } else if (m->err == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART) {
        k->no_topic_ns = lp_mono_ns();
    }
    if (!is_said_elsewhere(m->err) &&
        (m->err != k->last_error || lp_mono_ns() - k->last_error_ns > SAME_ERROR_NS)) {
        k->last_error = m->err;
        k->last_error_ns = lp_mono_ns();
        lp_kafka_say(k, LP_EVENT_WARN, "%s", rd_kafka_message_errstr(m));
    }
    rd_kafka_message_destroy(m);
}

/* --- back-pressure --- */

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
    return st.bytes < st.usual / 2 && lp_store_intake(k->log.env.store, &err) == LP_OK;
}

/* --- commits --- */

/* Whether the stored position is news to the group. */
static bool
commit_wanted(const struct lp_kafka_partition *p)
{
    int64_t stored = atomic_load(&p->stored);
    return p->claimed && stored > p->commit_above && stored != p->committed;
}

void
lp_kafka_commit_stored(struct lp_kafka *k, bool wait)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new((int)k->nparts);
    for (size_t i = 0; i < k->nparts; i++) {
        struct lp_kafka_partition *p = k->parts[i];
        if (commit_wanted(p)) {
            p->committed = atomic_load(&p->stored);
            lp_kafka_commit_item(k, list, p, p->committed);
        }
    }
    rd_kafka_resp_err_t rc = list->cnt > 0 ? rd_kafka_commit(k->rk, list, !wait) : RD_KAFKA_RESP_ERR_NO_ERROR;
    if (rc != RD_KAFKA_RESP_ERR_NO_ERROR) {
        lp_metric_add(LP_M_KAFKA_COMMIT_FAILED, 1);
        lp_kafka_say(k, LP_EVENT_WARN, "offsets were stored but the group did not take them: %s",
                     rd_kafka_err2str(rc));
    }
    rd_kafka_topic_partition_list_destroy(list);
}

/* --- the loop --- */

/* Polls until a run is full, nothing more is there, or the first message has waited long enough. */
static void
poll_round(struct lp_kafka *k)
{
    int64_t first_ns = 0;
    unsigned n = 0;
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
        more = take(k, m);
        if (++n % CLOCK_EVERY == 0) { /* a clock for each message costs as much as taking it */
            more = more && lp_mono_ns() - first_ns < RUN_WAIT_NS;
        }
    }
}

/* While paused: rebalances must go on, and what was fetched already may still come. */
static void
poll_paused(struct lp_kafka *k)
{
    rd_kafka_message_t *m = rd_kafka_consumer_poll(k->rk, POLL_MS);
    if (m != NULL && m->err != RD_KAFKA_RESP_ERR_NO_ERROR) {
        handle_error(k, m);
    } else if (m != NULL) {
        struct lp_kafka_partition *p = partition_of(k, m);
        if (p->run != NULL && run_full(p->run)) {
            p->seek_due = true; /* it comes again: the position goes back when reading goes on */
            rd_kafka_message_destroy(m);
        } else {
            (void)take(k, m);
        }
    }
}

static bool
subscribe(struct lp_kafka *k)
{
    rd_kafka_topic_partition_list_t *topics = rd_kafka_topic_partition_list_new(4);
    struct lp_str rest = lp_str_c(k->cfg.topics);
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
    k->joined = true;
    if (rc != RD_KAFKA_RESP_ERR_NO_ERROR) {
        lp_kafka_say(k, LP_EVENT_ERROR, "subscribe to %s: %s", k->cfg.topics, rd_kafka_err2str(rc));
    }
    return rc == RD_KAFKA_RESP_ERR_NO_ERROR;
}

/* The cluster's id is part of every position's key, so nothing begins before a broker has said it. */
static void
connect_cluster(struct lp_kafka *k)
{
    int64_t since_ns = lp_mono_ns(), said_ns = since_ns;
    while (!atomic_load(&k->stopping) && k->cluster == NULL) {
        char *id = rd_kafka_clusterid(k->rk, CONNECT_MS);
        rd_kafka_poll(k->rk, 0);
        if (id != NULL) {
            lp_lock(&k->mu);
            k->cluster = lp_strdup(id);
            lp_unlock(&k->mu);
            rd_kafka_mem_free(k->rk, id);
        } else if (lp_mono_ns() - said_ns > SAME_ERROR_NS) {
            said_ns = lp_mono_ns();
            lp_kafka_say(k, LP_EVENT_WARN, "no broker has answered for %lld s",
                         (long long)((said_ns - since_ns) / LP_NS_PER_S));
        }
    }
}

/* Leaves the group and joins it again, so that partitions that could not be claimed are placed anew. */
static void
rejoin(struct lp_kafka *k)
{
    k->rejoin_ns = 0;
    lp_kafka_say(k, LP_EVENT_WARN, "joining the group again");
    rd_kafka_unsubscribe(k->rk);
    int64_t until_ns = lp_mono_ns() + 10 * LP_NS_PER_S;
    rd_kafka_topic_partition_list_t *list = NULL;
    bool gone = false;
    while (!gone && !atomic_load(&k->stopping) && lp_mono_ns() < until_ns) {
        rd_kafka_message_t *m = rd_kafka_consumer_poll(k->rk, POLL_MS);
        if (m != NULL) {
            rd_kafka_message_destroy(m);
        }
        if (rd_kafka_assignment(k->rk, &list) == RD_KAFKA_RESP_ERR_NO_ERROR) {
            gone = list->cnt == 0;
            rd_kafka_topic_partition_list_destroy(list);
        }
    }
    if (!subscribe(k)) {
        k->rejoin_ns = lp_mono_ns() + JOIN_AGAIN_NS;
    }
}

/* What is due beside messages. */
static void
tick(struct lp_kafka *k)
{
    int64_t now_ns = lp_mono_ns();
    /* a commit while the group forms anew is answered with the loss of all partitions */
    bool may = k->joining_ns == 0 || now_ns - k->joining_ns > JOINING_NS;
    if (may && (atomic_exchange(&k->commit_due, false) || now_ns - k->commit_ns > COMMIT_EVERY_NS)) {
        k->commit_ns = now_ns;
        lp_kafka_commit_stored(k, false);
    }
    if (k->rejoin_ns != 0 && now_ns >= k->rejoin_ns) {
        rejoin(k);
    }
}

/* Gives tickets to what was read; reading pauses while there is no room. */
static void
submit_or_pause(struct lp_kafka *k)
{
    if (k->paused && !may_resume(k)) {
        return;
    }
    bool all = submit_all(k, lp_mono_ns() + ROOM_WAIT_NS);
    set_paused(k, !all);
    for (size_t i = 0; i < k->nparts && all; i++) {
        struct lp_kafka_partition *p = k->parts[i];
        if (p->seek_due && p->claimed) {
            (void)lp_kafka_seek(k, p, p->next);
        }
        p->seek_due = false;
    }
}

void
lp_kafka_poll_main(void *arg)
{
    struct lp_kafka *k = arg;
    connect_cluster(k);
    if (k->cluster != NULL && !atomic_load(&k->stopping)) {
        lp_kafka_make_topic(k);
        k->rejoin_ns = subscribe(k) ? 0 : lp_mono_ns() + JOIN_AGAIN_NS;
    }
    while (!atomic_load(&k->stopping)) {
        submit_or_pause(k);
        tick(k);
        if (k->paused) {
            poll_paused(k);
        } else {
            poll_round(k);
        }
    }
    rd_kafka_consumer_close(k->rk); /* revokes: seals and commits */
}
