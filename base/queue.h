/*
 * queue.h - a bounded queue of pointers between threads. Ownership of what is pushed moves with it.
 *
 * Any number of producers and consumers. After lp_queue_close, pushes fail and pops drain what is left, then fail.
 */
#ifndef LP_BASE_QUEUE_H
#define LP_BASE_QUEUE_H

#include "base/lp.h"

#ifdef __cplusplus
extern "C" {
#endif

struct lp_queue;

struct lp_queue *lp_queue_new(size_t capacity);
/* The queue must be closed and drained. NULL is fine. */
void lp_queue_free(struct lp_queue *q);
/* LP_OK, LP_ERR_BUSY when full, LP_ERR_SHUTDOWN when closed. */
lp_rc lp_queue_try_push(struct lp_queue *q, void *item) LP_MUST_USE;
/* Waits for room until deadline_ns (lp_mono_ns clock; INT64_MAX = for ever). LP_ERR_TIMEOUT, LP_ERR_SHUTDOWN. */
lp_rc lp_queue_push(struct lp_queue *q, void *item, int64_t deadline_ns) LP_MUST_USE;
/* LP_ERR_TIMEOUT, or LP_ERR_SHUTDOWN when closed and empty. */
lp_rc lp_queue_pop(struct lp_queue *q, void **ret_item, int64_t deadline_ns) LP_MUST_USE;
void lp_queue_close(struct lp_queue *q);
size_t lp_queue_len(const struct lp_queue *q);

#ifdef __cplusplus
}
#endif

#endif
