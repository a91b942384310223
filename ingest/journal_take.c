/*
 * journal_take.c - the way of a push into the journal: identity, room, pending id, append (ticket, durable,
 * visible).
 *
 * Every refusal before the append leaves no trace. An id that is pending ends with its append.
 */
#include "base/metrics.h"
#include "ingest/journal_int.h"

static lp_rc
append(struct lp_journal *j, const struct lp_push *push, struct lp_batch *b, size_t room,
       const struct lp_batch_id *id, struct lp_err *err)
{
    lp_rc rc = lp_journal_append(j, push, b, room, err);
    if (id != NULL) {
        lp_ids_end(j->log.env.ids, id, rc == LP_OK);
    }
    return rc;
}

/* Asks for the identity. *ret_go: the caller must append (and so end the id). */
static lp_rc
begin_identity(struct lp_journal *j, const struct lp_push *push, const struct lp_batch *b,
               const struct lp_batch_id *id, int64_t deadline_ns, bool *ret_go, struct lp_err *err)
{
    enum lp_ids_answer answer = LP_IDS_NEW;
    if (id != NULL && lp_ids_known_before(j->log.env.ids, push, b)) {
        *ret_go = false;
        return LP_OK;
    }
    lp_rc rc = id != NULL ? lp_ids_begin(j->log.env.ids, id, deadline_ns, &answer, err) : LP_OK;
    *ret_go = rc == LP_OK && answer == LP_IDS_NEW;
    if (rc == LP_OK && answer == LP_IDS_FAILED) {
        rc = lp_err_set(err, LP_ERR_IO, "the same request failed just now; try again");
    }
    return rc;
}

static lp_rc
store(struct lp_journal *j, const struct lp_push *push, struct lp_batch *b, int64_t deadline_ns,
      bool *ret_duplicate, struct lp_err *err)
{
    struct lp_batch_id id;
    bool go = false, has_identity = lp_ids_identify(push, b, &id);
    lp_rc rc =
        !has_identity || lp_batch_note_id(b, &id)
            ? LP_OK
            : lp_err_set(err, LP_ERR_LIMIT, "the request takes all the memory set aside for one request");
    size_t room = lp_batch_room(b);
    rc = rc == LP_OK ? lp_head_room(j->head, room, deadline_ns, err) : rc;
    if (rc != LP_OK) {
        lp_batch_free(b);
        return rc;
    }
    rc = begin_identity(j, push, b, has_identity ? &id : NULL, deadline_ns, &go, err);
    if (go) {
        return append(j, push, b, room, has_identity ? &id : NULL, err);
    }
    lp_head_unroom(j->head, room);
    lp_batch_free(b);
    *ret_duplicate = rc == LP_OK;
    lp_metric_add(LP_M_INGEST_DUPLICATES, rc == LP_OK);
    return rc;
}

void
lp_journal_take(struct lp_log *log, const struct lp_push *push, struct lp_batch *b, int64_t deadline_ns,
                lp_log_done done, void *ctx)
{
    struct lp_err err;
    bool duplicate = false;
    lp_err_clear(&err);
    lp_rc rc = store((struct lp_journal *)log, push, b, deadline_ns, &duplicate, &err);
    done(ctx, rc, duplicate, &err);
}
