/*
 * queue.c - a ring of pointers under one mutex with two conditions.
 *
 * Invariants: count <= capacity; items stand at head, head + 1, ... (modulo capacity); closed never becomes
 * false again. `count` is also read without the lock, by lp_queue_len.
 */
#include "base/queue.h"

#include <stdatomic.h>

#include "base/lock.h"

struct lp_queue {
    struct lp_mutex mu; /* all below */
    struct lp_cond not_full, not_empty;
    void **items;
    size_t capacity, head;
    atomic_size_t count;
    bool closed;
};

struct lp_queue *
lp_queue_new(size_t capacity)
{
    LP_ASSERT(capacity > 0);
    struct lp_queue *q = lp_calloc(1, sizeof(*q));
    q->items = lp_calloc(capacity, sizeof(q->items[0]));
    q->capacity = capacity;
    lp_mutex_init(&q->mu, LP_LOCK_QUEUE);
    lp_cond_init(&q->not_full);
    lp_cond_init(&q->not_empty);
    return q;
}

void
lp_queue_free(struct lp_queue *q)
{
    if (q == NULL) {
        return;
    }
    LP_ASSERT(q->closed && q->count == 0);
    lp_cond_destroy(&q->not_empty);
    lp_cond_destroy(&q->not_full);
    lp_mutex_destroy(&q->mu);
    lp_free(q->items);
    lp_free(q);
}

/* Waits for one of the two conditions; false when the deadline passed. */
static bool
wait_until(struct lp_queue *q, struct lp_cond *c, int64_t deadline_ns)
{
    if (deadline_ns == INT64_MAX) {
        lp_cond_wait(c, &q->mu);
        return true;
    }
    return lp_cond_wait_until(c, &q->mu, deadline_ns);
}

/* Puts the item in when there is a place. */
static lp_rc
push_locked(struct lp_queue *q, void *item)
{
    lp_lock_held(&q->mu);
    if (q->closed) {
        return LP_ERR_SHUTDOWN;
    }
    if (q->count == q->capacity) {
        return LP_ERR_BUSY;
    }
    q->items[(q->head + q->count) % q->capacity] = item;
    q->count++;
    lp_cond_signal(&q->not_empty);
    return LP_OK;
}

lp_rc
lp_queue_try_push(struct lp_queue *q, void *item)
{
    lp_lock(&q->mu);
    lp_rc rc = push_locked(q, item);
    lp_unlock(&q->mu);
    return rc;
}

lp_rc
lp_queue_push(struct lp_queue *q, void *item, int64_t deadline_ns)
{
    bool in_time = true;
    lp_lock(&q->mu);
    lp_rc rc = push_locked(q, item);
    while (rc == LP_ERR_BUSY && in_time) {
        in_time = wait_until(q, &q->not_full, deadline_ns);
        rc = push_locked(q, item);
    }
    lp_unlock(&q->mu);
    return rc == LP_ERR_BUSY ? LP_ERR_TIMEOUT : rc;
}

lp_rc
lp_queue_pop(struct lp_queue *q, void **ret_item, int64_t deadline_ns)
{
    lp_rc rc = LP_OK;
    bool in_time = true;
    lp_lock(&q->mu);
    while (q->count == 0 && !q->closed && in_time) {
        in_time = wait_until(q, &q->not_empty, deadline_ns);
    }
    if (q->count > 0) {
        *ret_item = q->items[q->head];
        q->head = (q->head + 1) % q->capacity;
        q->count--;
        lp_cond_signal(&q->not_full);
    } else {
        rc = q->closed ? LP_ERR_SHUTDOWN : LP_ERR_TIMEOUT;
    }
    lp_unlock(&q->mu);
    return rc;
}

void
lp_queue_close(struct lp_queue *q)
{
    lp_lock(&q->mu);
    q->closed = true;
    lp_cond_broadcast(&q->not_empty);
    lp_cond_broadcast(&q->not_full);
    lp_unlock(&q->mu);
}

size_t
lp_queue_len(const struct lp_queue *q)
{
    return atomic_load_explicit(&q->count, memory_order_relaxed);
}
