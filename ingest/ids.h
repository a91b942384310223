/*
 * ids.h - stored once: the identities of batches, pending and stored, of the last ten minutes.
 *
 * Identity of a batch = 128-bit hash of (tenant, batch id, part number, content). The batch id is the Idempotency-Key, and the content
 * is that of all rows. Without a key, and only if every record brought its own time, the batch id is the hash of method, target, content
 * type and body; the content is that body in its Content-Encoding, for decoders are pure functions, so nothing is hashed but the body.
 * In Kafka's messages the parts of a request have identities of their own. An id is *pending* from before its append until the log has it: a retry meanwhile waits for that outcome. A failure
 * removes the id. Two batches are the same only if they were received within LP_IDS_WINDOW_NS of each other: the rule
 * looks at received times alone, never at the clock, so replay decides as the live server did.
 * Thread-safe (one lock, class LP_LOCK_IDS).
 */
#ifndef LP_INGEST_IDS_H
#define LP_INGEST_IDS_H

#include "ingest/push.h"
#include "store/head.h"

#define LP_IDS_WINDOW_NS (600 * LP_NS_PER_S)

struct lp_ids_table;

struct lp_ids_table *lp_ids_table_new(void);
void lp_ids_table_free(struct lp_ids_table *t);
/* A stored identity, from the catalog at start. */
void lp_ids_table_load(struct lp_ids_table *t, const struct lp_batch_id *id);

/* The identity of a whole request, with the batch's received time. False: it has none. */
bool lp_ids_identify(const struct lp_push *push, const struct lp_batch *b, struct lp_batch_id *ret);
/*
 * Whether a request is stored under the identity that stores of before 2026-11-28 gave to one without key: with the content of all rows.
 * Looked up only while the table holds ids from the catalog, which those of ten minutes replace.
 */
bool lp_ids_known_before(struct lp_ids_table *t, const struct lp_push *push, const struct lp_batch *b);
/* Only its batch id, for a log that cuts requests and identifies the parts (docs/kafka.md). False: it has none. */
bool lp_ids_request(const struct lp_push *push, const struct lp_batch *b, struct lp_hash128 *ret);

enum lp_ids_answer {
    LP_IDS_NEW,       /* it is pending now, and the caller must end it */
    LP_IDS_DUPLICATE, /* stored already */
    LP_IDS_FAILED,    /* it was pending; that try failed, and so does this one */
};
/*
 * Begins: LP_IDS_NEW, or waits for the outcome of a pending one until deadline_ns (lp_mono_ns), then LP_ERR_TIMEOUT. Batches without
 * identity are always new and need no end.
 */
lp_rc lp_ids_begin(struct lp_ids_table *t, const struct lp_batch_id *id, int64_t deadline_ns, enum lp_ids_answer *ret,
                   struct lp_err *err) LP_MUST_USE;
/* Ends a pending one: stored, or removed. */
void lp_ids_end(struct lp_ids_table *t, const struct lp_batch_id *id, bool stored);
/* For what is durable already: notes the identity as stored. False: it was known. */
bool lp_ids_note(struct lp_ids_table *t, const struct lp_batch_id *id);
/* Whether it is stored, without noting anything. */
bool lp_ids_known(struct lp_ids_table *t, const struct lp_batch_id *id);
size_t lp_ids_count(struct lp_ids_table *t);

#endif
