/*
 * intake.c - the way of a push. Order: may we take it at all; decode and validate; room; pending id; log
 * (ticket, durable, visible).
 *
 * Nothing has happened before the log is asked, so every refusal up to there leaves no trace.
 */
#include "ingest/intake.h"

#include "base/metrics.h"

/* Rows and metadata cost more than the bytes they came from; a body of tiny records may become this many
 * times larger. */
#define HEAD_BYTES_A_BODY_BYTE 2

size_t
lp_intake_largest(size_t decoded_bytes)
{
    return HEAD_BYTES_A_BODY_BYTE * decoded_bytes + (1u << 20);
}

/* Append under a pending id; the id ends with the append. Takes over batch and room. */
static lp_rc
append(struct lp_intake *in, const struct lp_push *push, struct lp_batch *b, size_t room, struct lp_err *err)
{
    struct lp_batch_id id = {b->received_ns, b->identity};
    bool has_identity = b->has_identity;
    lp_rc rc = lp_log_append(in->log, push, b, room, err);
    if (has_identity) {
        lp_ids_end(in->ids, &id, rc == LP_OK);
    }
    return rc;
}

/* Asks for the identity. *ret_go: the caller must append (and so end the id). */
static lp_rc
begin_identity(struct lp_intake *in, const struct lp_batch *b, int64_t deadline_ns, bool *ret_go,
               struct lp_err *err)
{
    struct lp_batch_id id = {b->received_ns, b->identity};
    enum lp_ids_answer answer = LP_IDS_NEW;
    lp_rc rc = b->has_identity ? lp_ids_begin(in->ids, &id, deadline_ns, &answer, err) : LP_OK;
    *ret_go = rc == LP_OK && answer == LP_IDS_NEW;
    if (rc == LP_OK && answer == LP_IDS_FAILED) {
        rc = lp_err_set(err, LP_ERR_IO, "the same request failed just now; try again");
    }
    return rc;
}

static lp_rc
store(struct lp_intake *in, const struct lp_push *push, struct lp_batch *b, bool *ret_duplicate,
      struct lp_err *err)
{
    int64_t deadline_ns = lp_mono_ns() + in->push_wait_ns;
    size_t room = lp_batch_room(b);
    bool go = false;
    lp_rc rc = lp_head_room(lp_store_head(in->store), room, deadline_ns, err);
    if (rc != LP_OK) {
        lp_batch_free(b);
        return rc;
    }
    lp_ids_identify(push, 0, b);
    rc = begin_identity(in, b, deadline_ns, &go, err);
    if (go) {
        return append(in, push, b, room, err);
    }
    lp_head_unroom(lp_store_head(in->store), room);
    lp_batch_free(b);
    *ret_duplicate = rc == LP_OK;
    lp_metric_add(LP_M_INGEST_DUPLICATES, rc == LP_OK);
    return rc;
}

lp_rc
lp_intake_push(struct lp_intake *in, struct lp_decoder *d, const struct lp_push *push, bool *ret_duplicate,
               struct lp_err *err)
{
    struct lp_batch *b;
    *ret_duplicate = false;
    if (!in->log->ops->ready(in->log)) {
        return lp_err_set(err, LP_ERR_SHUTDOWN, "the server is starting: the journal is being replayed");
    }
    if (in->log->ops->append == NULL) {
        return lp_err_set(
            err, LP_ERR_SHUTDOWN,
            "this server reads its logs from Kafka and takes no pushes: produce to its topics instead");
    }
    lp_rc rc = lp_store_intake(in->store, err);
    if (rc == LP_OK) {
        rc = lp_decode_push(d, push, &in->limits, &b, err);
    }
    if (rc != LP_OK) {
        return rc;
    }
    lp_metric_add(LP_M_INGEST_BODY_BYTES, (int64_t)push->body.n);
    if (b->nrows == 0) { /* nothing to store is stored */
        lp_batch_free(b);
        return LP_OK;
    }
    return store(in, push, b, ret_duplicate, err);
}
