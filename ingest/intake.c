/*
 * intake.c - the way of a push up to the log. Nothing has happened before the log is asked, so every refusal
 * up to there leaves no trace.
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

/* The batch of a push, without rows when there is nothing to store. */
static lp_rc
decode(struct lp_intake *in, struct lp_decoder *d, const struct lp_push *push, struct lp_batch **ret,
       struct lp_err *err)
{
    if (!in->log->ops->open(in->log)) {
        return lp_err_set(err, LP_ERR_SHUTDOWN, "the server is starting: %s", in->log->ops->starting);
    }
    lp_rc rc = lp_store_intake(in->store, err);
    return rc == LP_OK ? lp_decode_push(d, push, &in->limits, ret, err) : rc;
}

void
lp_intake_push(struct lp_intake *in, struct lp_decoder *d, const struct lp_push *push, lp_log_done done,
               void *ctx)
{
    struct lp_batch *b = NULL;
    struct lp_err err;
    lp_err_clear(&err);
    lp_rc rc = decode(in, d, push, &b, &err);
    if (rc != LP_OK) {
        done(ctx, rc, false, &err);
        return;
    }
    lp_metric_add(LP_M_INGEST_BODY_BYTES, (int64_t)push->body.n);
    if (b->nrows == 0) { /* nothing to store is stored */
        lp_batch_free(b);
        done(ctx, LP_OK, false, NULL);
        return;
    }
    in->log->ops->take(in->log, push, b, lp_mono_ns() + in->push_wait_ns, done, ctx);
}
