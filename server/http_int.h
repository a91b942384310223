/*
 * http_int.h - inside the HTTP layer (http*.c only): the service, its threads, connections and requests.
 *
 * Who touches what. A connection belongs to its thread: only that thread reads or writes it. A request belongs to its
 * HTTP thread and, between its handler's call and its answer, also to the handler (any thread); the fields below say which
 * half is whose. Handlers' threads reach the HTTP thread only through its mailbox: under `mu`, then a write to mail_fd.
 *
 * Lives. A connection ends in evhttp's close callback, whoever caused it. A request ends on its HTTP thread once the
 * handler has answered AND the connection is done with it (answer written, or connection gone), so neither half ever
 * holds a dead pointer. After the thread has ended, the answering thread frees it.
 */
#ifndef LP_SERVER_HTTP_INT_H
#define LP_SERVER_HTTP_INT_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/lock.h"
#include "server/http.h"
#include "server/http_parse.h"
#include "server/ws.h"

struct bufferevent;
struct evbuffer;
struct evconnlistener;
struct event;
struct event_base;
struct evhttp;
struct evhttp_bound_socket;
struct evhttp_connection;
struct evhttp_request;

#define LP_HTTP_SCRATCH_BYTES 65536
#define LP_HTTP_WILDS_MAX 8
#define LP_HTTP_PEER_BYTES 80

struct lp_http_thread {
    struct lp_http *h;
    pthread_t id;
    struct event_base *base;
    struct evhttp *evhttp;
    struct evhttp_bound_socket *bound; /* NULL once it stops accepting */
    struct evconnlistener *listener;   /* of bound */
    struct event *mail_ev, *watch_ev;  /* mail_fd and watch_fd are readable */
    struct event *accept_ev;           /* accepting goes on after a pause */
    struct event *deadline_ev;         /* the stop's deadline */
    int mail_fd;                       /* eventfd */
    int watch_fd;                      /* epoll set of connections with pending requests: who leaves? */
    struct lp_http_conn *conns;        /* all of this thread */
    struct lp_http_conn *handed;       /* whose request evhttp is about to bring back */
    struct evbuffer *chunk;            /* scratch for one chunk */
    bool stopping;
    struct lp_mutex mu;
    struct lp_http_req *mail_first, **mail_last; /* under mu */
    struct lp_ws *ws_first;                      /* under mu: WebSockets with something to send */
    int64_t stop_deadline_ns;                    /* under mu; 0: not stopping */
    bool ended;                                  /* under mu: nobody reads the mailbox any more */
    char scratch[LP_HTTP_SCRATCH_BYTES];
};

struct lp_http {
    struct lp_http_config cfg;
    struct lp_http_thread **threads;
    unsigned nthreads;
    bool joined;
    char address[LP_HTTP_PEER_BYTES];
    atomic_size_t connections, requests, body_bytes;
    atomic_uint_fast64_t accepted, refused, started, done;
};

enum lp_http_phase {
    LP_HTTP_HEAD,   /* between requests, or a head is coming in */
    LP_HTTP_BODY,   /* its head was accepted, the body is coming in */
    LP_HTTP_BUSY,   /* evhttp has the request: pending, or being answered */
    LP_HTTP_REFUSED, /* this layer's own last answer is being written */
    LP_HTTP_WS,     /* a WebSocket */
    LP_HTTP_LINGER, /* it is written; what still comes in is thrown away */
};

struct lp_http_conn {
    struct lp_http_conn *prev, *next;
    struct lp_http_thread *t;
    struct bufferevent *bev;         /* evhttp's; ours too until evcon is known */
    struct evhttp_connection *evcon; /* NULL in the first moments */
    struct event *wake;              /* the timer, and calls from on_complete */
    int64_t deadline_ns;             /* when this phase has lasted too long; INT64_MAX: never */
    int64_t armed_ns;                /* when wake will fire; INT64_MAX: not armed */
    enum lp_http_phase phase;
    int fd;
    bool over;              /* one connection too many */
    bool watched;           /* is in watch_fd's set */
    bool handing;           /* our own bytes are entering the input buffer */
    bool head_begun;        /* the time for this head runs already */
    bool eof;               /* a refused client has ended its side */
    struct lp_buf in;       /* received, not used yet: a part of a head, or pipelined requests */
    size_t scanned;         /* of `in`, by lp_http_head_end */
    struct lp_http_req *req; /* coming in, pending or being answered */
    struct lp_ws *ws;        /* what the connection has become; NULL: HTTP */
    bool chunked;            /* its body */
    struct lp_http_chunks chunks;
    uint64_t window_bytes;     /* received since the body's rate was last looked at */
    char peer[LP_HTTP_PEER_BYTES];
};

/* A header of the coming answer. */
struct lp_http_out_header {
    struct lp_http_out_header *next;
    char *name, *value; /* one allocation with this struct */
};

struct lp_http_req {
    struct lp_http *h;
    struct lp_http_thread *t;

    /* Written before the handler sees the request, then constant. */
    struct lp_http_head head;
    const struct lp_http_route *route; /* NULL: none; then refuse_status says why */
    int route_status;                  /* 0, 404, 405, 400; 204: OPTIONS answered here */
    unsigned allow;                    /* methods that this path takes */
    struct lp_str path, query;
    struct lp_str wilds[LP_HTTP_WILDS_MAX];
    unsigned nwilds;
    struct lp_str peer;
    struct lp_buf body;
    size_t body_counted; /* bytes of the body's memory that are counted in h->body_bytes */
    int64_t received_ns; /* when its last byte was there; 0 before */

    /* The HTTP thread's. */
    struct lp_http_conn *conn;  /* NULL once it has gone */
    struct evhttp_request *ev;  /* NULL before evhttp brought it, and once it has gone */
    bool handed;                /* the handler was called */
    bool answered;              /* the handler will not touch it again */
    bool stream_started;        /* evhttp has the head of a streamed answer */

    /* The handler's, until it answers. */
    struct lp_arena arena;
    const struct lp_pair *params;
    size_t nparams;
    bool params_read;
    int status;
    char *content_type;
    struct lp_http_out_header *out_first, **out_last;
    struct lp_buf reply; /* body of a whole answer */
    bool streaming;
    struct lp_cond room; /* initialised when streaming */

    struct lp_ws *ws; /* what the answer is; NULL: another */

    /* Under t->mu. */
    struct lp_http_req *mail_next;
    bool mailed;            /* is in the mailbox */
    bool ended;             /* nothing more will come from the handler */
    bool cut;               /* the stream must not look whole */
    struct lp_buf pending;  /* stream bytes that the HTTP thread has not taken */
    size_t unsent_max;     /* of a stream: a writer waits above it */
    size_t out_bytes;       /* stream bytes that the client's socket has not taken */
    struct lp_buf trailers; /* lines with CR LF */

    atomic_bool gone;
};

/* The calling thread, when it is an HTTP thread; else NULL. */
struct lp_http_thread *lp_http_this_thread(void);

/* --- http_conn.c: a connection's life; all on its thread --- */
struct bufferevent *lp_http_conn_new(struct event_base *base, void *thread); /* evhttp's bevcb */
void lp_http_conn_request(struct evhttp_request *ev, void *thread);          /* evhttp's gencb */
/* Not from an evbuffer's callback: there, lp_http_conn_doom. */
void lp_http_conn_close(struct lp_http_conn *conn);
void lp_http_conn_doom(struct lp_http_conn *conn);
/* When the present phase has lasted too long (lp_mono_ns); INT64_MAX: never. */
void lp_http_conn_deadline(struct lp_http_conn *conn, int64_t at_ns);
/*
 * Answers without evhttp and closes: the request, if one is coming in, ends here. extra: header lines with CR LF, or "".
 * Only while evhttp has nothing to answer on this connection (phases HEAD and BODY).
 */
void lp_http_conn_refuse(struct lp_http_conn *conn, int status, const char *extra, const char *fmt, ...) LP_PRINTF(4, 5);
/* The service stops: closes, refuses, or leaves the pending request to its end. */
void lp_http_conn_stop(struct lp_http_conn *conn);
/* watch_fd is readable: somebody left. */
void lp_http_conn_left(struct lp_http_thread *t);

/* --- http_input.c: what comes in, before evhttp sees any of it --- */
/* Bytes that the connection received. Ends with phase BUSY and t->handed set where a request is whole. */
void lp_http_input_feed(struct lp_http_conn *conn, struct lp_str bytes);
/* Goes on with what is in conn->in, once a request was answered. */
void lp_http_input_resume(struct lp_http_conn *conn);
/* Reads more of a large body, or of what a refused client sends, straight from the socket. */
void lp_http_input_read(struct lp_http_conn *conn);
/* The window of the body's rate has passed: begins the next one, or false when the client was too slow. */
bool lp_http_input_rate(struct lp_http_conn *conn, int64_t now_ns);

/* --- http_req.c --- */
struct lp_http_req *lp_http_req_new(struct lp_http_conn *conn);
void lp_http_req_free(struct lp_http_req *req);
/* Sets the flag and wakes a waiting stream writer. HTTP thread. */
void lp_http_req_gone(struct lp_http_req *req);
/* on_done and the counters. HTTP thread. */
void lp_http_req_done(struct lp_http_req *req, int status);

/* --- http_route.c: pure --- */
/* Fills path, query, route, route_status, allow, wilds from head.target and head.method. */
void lp_http_route_find(const struct lp_http_config *cfg, struct lp_http_req *req);
/* Answers a request that no route takes, from route_status. */
void lp_http_route_refuse(struct lp_http_req *req);
/* "GET, HEAD, OPTIONS" */
void lp_http_allow_text(unsigned methods, char *out, size_t bytes);
#define LP_HTTP_ALLOW_BYTES 64

/* --- http_gzip.c --- */
/* By a header Accept-Encoding. */
bool lp_http_takes_gzip(struct lp_str accept);
/* Appends body as one gzip member; false when there is no memory. */
bool lp_http_gzip(struct lp_str body, struct lp_buf *out);

/* --- http_reply.c --- */
/* The HTTP thread takes what handlers have left in its mailbox. Ends requests, and may close connections. */
void lp_http_mail_take(struct lp_http_thread *t);
/* Makes the thread look into its mailbox [any thread]. */
void lp_http_ring(struct lp_http_thread *t);
/* Some of the answer left: wakes a waiting stream writer. out_bytes are still in the output buffer. HTTP thread. */
void lp_http_reply_sent(struct lp_http_req *req, size_t out_bytes);
/* The handler's last word on a request, where it is no reply [any thread]. */
void lp_http_hand_back(struct lp_http_req *req);
/* A whole answer of this layer itself, with Connection: close. extra: header lines with CR LF, or "". */
void lp_http_refusal(struct lp_buf *out, enum lp_http_method method, int status, const char *extra, struct lp_str text);

/* --- http_ws.c; all but _orphan on the connection's thread --- */
void lp_http_ws_take_over(struct lp_http_req *req);
/* The request was upgraded when its thread had ended. */
void lp_http_ws_orphan(struct lp_http_req *req);
/* What others left for the thread's WebSockets. */
void lp_http_ws_mail(struct lp_http_thread *t);
void lp_http_ws_feed(struct lp_http_conn *conn, struct lp_str bytes);
/* The output buffer changed: `left` bytes are in it; some: the client took something. */
void lp_http_ws_sent(struct lp_http_conn *conn, size_t left, bool some);
/* A second has passed. May close the connection. */
void lp_http_ws_tick(struct lp_http_conn *conn, int64_t now_ns);
/* The connection has ended. */
void lp_http_ws_gone(struct lp_ws *ws);

#endif
