/*
 * podlogs.h - answers that take as long as their client likes, each on a thread of its own: pod logs that are read or followed, watches, long lists.
 *
 * There are at most as many as the setting `follows` says; they end when their clients leave, or the service stops (lp_http_gone).
 * Threads: everything here may be called from any.
 */
#ifndef LP_SERVER_PODLOGS_H
#define LP_SERVER_PODLOGS_H

#include "base/err.h"
#include "server/http.h"

struct lp_server;
struct lp_podlogs;

struct lp_podlogs *lp_podlogs_new(struct lp_server *s);
/* Waits for all of them. After the HTTP service has told them to end, and the queries have stopped. NULL is fine, here and below. */
void lp_podlogs_stop(struct lp_podlogs *ps);
void lp_podlogs_free(struct lp_podlogs *ps);

/* Runs fn(arg) on a thread. LP_ERR_BUSY: there are too many, or the system gives no thread. */
lp_rc lp_podlogs_start(struct lp_podlogs *ps, void (*fn)(void *arg), void *arg, struct lp_err *err) LP_MUST_USE;
/* Waits until then (lp_mono_ns clock), or until the request's client has gone, which is noticed within half a second. */
void lp_podlogs_pause(struct lp_podlogs *ps, const struct lp_http_req *req, int64_t until_ns);

#endif
