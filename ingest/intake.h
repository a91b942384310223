/*
 * intake.h - one push from its bytes to its answer: may it be taken at all, decode, log. Called on a worker thread, which it
 * may block.
 */
#ifndef LP_INGEST_INTAKE_H
#define LP_INGEST_INTAKE_H

#include "ingest/log.h"

struct lp_intake {
    struct lp_store *store;
    struct lp_log *log;
    struct lp_decode_limits limits;
    int64_t push_wait_ns; /* how long a push waits for room, or for the outcome of the same push under way */
};

/* The largest single batch that the head must hold: what a body of decoded_bytes may become in memory. */
size_t lp_intake_largest(size_t decoded_bytes);

/*
 * Stores one push, once; ends in done (log.h), perhaps on another thread after this returns. push and d are borrowed until it returns. Errors:
 * LP_ERR_PARSE and LP_ERR_UNSUPPORTED 400, LP_ERR_LIMIT 413, LP_ERR_BUSY and LP_ERR_TIMEOUT 429, LP_ERR_DISK_FULL, LP_ERR_IO,
 * LP_ERR_SHUTDOWN 503.
 */
void lp_intake_push(struct lp_intake *in, struct lp_decoder *d, const struct lp_push *push, lp_log_done done, void *ctx);

#endif
