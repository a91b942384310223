/*
 * tails.h - the live tails of a server: WebSockets that get the lines of a query as they come.
 *
 * Tails with the same query share one reader (a feed): a line is looked at, and a frame written, once for all of them. A tail begins on its own, with
 * lines of the past or behind a cursor, and joins the feed when it has come up to it.
 *
 * A feed keeps its newest frames (--tail-buffer). A tail whose client takes them slower than they come falls behind there, and nobody waits for it;
 * when it falls out of the buffer it goes on by itself, at its client's pace, from memory or segments, until it has come up again. It misses
 * nothing. Only one whose client has taken nothing for --tail-patience skips what came meanwhile, and is told what that was (at most 1,000 lines of it).
 *
 * Threads: one that waits for the head to grow (looked at every 50 ms at most), a pool that reads and writes frames, the HTTP threads that
 * tell when a client has taken something or left. Intake waits for none of them.
 */
#ifndef LP_SERVER_TAILS_H
#define LP_SERVER_TAILS_H

#include "query/tail.h"
#include "server/http.h"

struct lp_server;
struct lp_tails;

struct lp_tails *lp_tails_new(struct lp_server *s);
/* After the HTTP service and the queries have stopped. NULL is fine, here and below. */
void lp_tails_stop(struct lp_tails *ts);
void lp_tails_free(struct lp_tails *ts);

struct lp_tail_ask {
    struct lp_str tenant, query;
    struct lp_str cursor; /* where to go on; empty: begin */
    int64_t from_ns;      /* begin: with lines of the past from here on, the newest `limit` of them */
    size_t limit;
    int64_t delay_ns; /* lines are sent so late */
    bool categorize;
};
/* Makes the request a tail. On an error (query, cursor; LP_ERR_BUSY: too many) it is not answered yet. */
lp_rc lp_tails_add(struct lp_tails *ts, struct lp_http_req *req, const struct lp_tail_ask *ask, struct lp_err *err) LP_MUST_USE;

#endif
