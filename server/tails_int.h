/*
 * tails_int.h - inside live tails: tails.c (clients, feeds, threads), tails_frame.c (frames, a feed's buffer, what clients of it get).
 */
#ifndef LP_SERVER_TAILS_INT_H
#define LP_SERVER_TAILS_INT_H

#include "server/server.h"
#include "server/tails.h"
#include "server/ws.h"

#define LP_TAIL_FRAME_LINES 100
#define LP_TAIL_FRAME_LINE_BYTES (256u << 10)
#define LP_TAIL_UNSENT_MAX (1u << 20) /* of one client, in its connection's buffer */

struct lp_feed_frame {
    struct lp_ws_msg *msg;
    int64_t born_ns;
    char *before; /* the cursor before its rows */
};

struct lp_tail_client {
    struct lp_tail_client *next_client;
    struct lp_tails *ts;
    struct lp_tail_feed *feed; /* NULL: on its own */
    struct lp_ws *ws;
    atomic_bool gone;
    bool busy, asked; /* asked: the HTTP thread will call when there is room */
    char *tenant, *query;
    char *cursor; /* it has left a feed, and goes on here; NULL: its own reader is there */
    struct lp_tail_ask ask;
    struct lp_tail *own;
    struct lp_found past; /* lines to begin with that were not sent yet, oldest first; none: all 0 */
    uint64_t next;         /* the frame to be sent next */
    bool late;             /* on its own: there was none for too long */
};

struct lp_tail_feed {
    struct lp_tail_feed *next_feed;
    struct lp_tails *ts;
    char *tenant, *query;
    bool categorize, busy;
    bool failed; /* its reader cannot go on: it ends with its clients */
    struct lp_tail *tail;
    char *place; /* the reader's cursor behind the last frame */
    struct lp_tail_client *clients, *joiners;
    struct lp_feed_frame *frames; /* ring: number modulo cap */
    size_t cap;
    uint64_t first, end;
    size_t bytes;
};

struct lp_tails {
    struct lp_server *s;
    struct lp_pool *pool;
    pthread_t thread;
    struct lp_mutex mu; /* LP_LOCK_TAILS: what follows, and what the invariants say */
    struct lp_cond changed;
    bool stopping;
    size_t nclients;
    struct lp_tail_feed *feeds;
    struct lp_tail_client *alone; /* on their own */
};

/* A message of the rows (found may be NULL), with the cursor behind them; NULL: it is too large. cursor and notice may be NULL. */
struct lp_ws_msg *lp_tail_msg(const struct lp_found *found, bool categorize, const char *cursor, const char *notice, struct lp_str dropped);
/* The reader's place as text, to be freed. */
char *lp_tail_place_text(const struct lp_tail *t);
/* The rows that the feed's reader gave last. False: too large. */
bool lp_feed_make_frame(struct lp_tail_feed *feed, const struct lp_found *found, const char *notice, struct lp_feed_frame *ret);
/* The frame is the buffer's, and goes to the clients. Takes the lock. */
void lp_feed_publish(struct lp_tail_feed *f, struct lp_feed_frame frame);
/* With the lock held: sends the client of a feed what it may have now. */
void lp_feed_pump(struct lp_tail_client *c, int64_t now_ns);
/* With the lock held, or nobody else there: the oldest frame leaves the buffer, and so do clients that have not got it yet. */
void lp_feed_evict(struct lp_tail_feed *f);

/* --- tails.c, with the lock held --- */

/* The client leaves its feed, and goes on by itself behind the cursor. */
void lp_tail_client_alone(struct lp_tail_client *c, const char *cursor);

#endif
