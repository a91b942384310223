/*
 * thread.h - named threads and pools of workers that run jobs from one bounded queue.
 */
#ifndef LP_BASE_THREAD_H
#define LP_BASE_THREAD_H

#include <pthread.h>

#include "base/lp.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Starts a thread (signals blocked, name cut to 15 bytes). Ends the process when the system refuses one. */
pthread_t lp_thread_start(const char *name, void (*fn)(void *arg), void *arg);
/* As above; false when the system refuses one. */
bool lp_thread_try(const char *name, void (*fn)(void *arg), void *arg, pthread_t *ret) LP_MUST_USE;
void lp_thread_join(pthread_t t);
/* The calling thread gets the lowest CPU and I/O priority, for good. It should hold no lock that others wait for. */
void lp_thread_background(void);
/* The calling thread gets a lower CPU priority than others, for good: `nice` as in nice(1), 1 to 19. */
void lp_thread_nice(int nice);

struct lp_pool;

/* `threads` workers over a queue of `capacity` jobs. */
struct lp_pool *lp_pool_new(const char *name, unsigned threads, size_t capacity);
/* Runs fn(arg) on a worker. LP_ERR_BUSY when the queue is full, LP_ERR_SHUTDOWN after _stop. */
lp_rc lp_pool_try(struct lp_pool *p, void (*fn)(void *arg), void *arg) LP_MUST_USE;
/* As above, waiting for a place until deadline_ns (lp_mono_ns clock). */
lp_rc lp_pool_run(struct lp_pool *p, void (*fn)(void *arg), void *arg, int64_t deadline_ns) LP_MUST_USE;
/* Jobs waiting in the queue now. */
size_t lp_pool_waiting(const struct lp_pool *p);
unsigned lp_pool_threads(const struct lp_pool *p);
/* Takes no new jobs, ends those queued, joins the workers. Idempotent. */
void lp_pool_stop(struct lp_pool *p);
/* Stops and frees. NULL is fine. */
void lp_pool_free(struct lp_pool *p);

#ifdef __cplusplus
}
#endif

#endif
