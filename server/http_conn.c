/*
 * http_conn.c - a connection's life: its making inside evhttp, its phases and their absolute times, refusals,
 * its end.
 *
 * How evhttp is used. evhttp 2.1 cannot be told to refuse: it resets on an oversize body, has no hook between
 * a head and its body, counts idle time only, reads 4 KiB at a time, and buffers what a client pipelines
 * without limit. So it never sees a client's bytes. A callback on the bufferevent's input takes every byte
 * out as it arrives; http_input.c judges them and collects the body. When a request is whole, a head of our
 * own making ("GET / HTTP/1.1") is put into the input: evhttp parses that, comes back through its generic
 * callback, and from then on serves as what it is good at: the order of requests and answers on a connection,
 * keep-alive, the framing of answers, writing.
 *
 * Invariants.
 * 1. evhttp's input buffer holds nothing but our own head, and only in phase BUSY; so evhttp is in its
 * reading state in all other phases.
 * 2. One request at a time is with evhttp. Pipelined bytes wait in conn->in, then in the kernel: reading is
 * off in phase BUSY.
 * 3. Refusals happen in HEAD and BODY only. They take the bufferevent away from evhttp (its callbacks are
 * replaced), write, shut down the sending side, and read on for a while: closing with unread bytes would
 * reset the connection and lose the answer.
 * 4. Every connection ends in on_close(), which evhttp calls before it frees it.
 * 5. deadline_ns is the one time limit at work; the timer is set lazily: it may fire early and is then set
 * again.
 *
 * A client that leaves while its request is pending is noticed by an epoll set of our own: EV_CLOSED events
 * of libevent 2.1 miss a reset (reported as EV_READ|EV_WRITE), and the loop then spins on it.
 */
#include "server/http_int.h"

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/http.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "base/clock.h"

#define WRITE_ONCE_BYTES (1024u * 1024) /* libevent's own default is 16 KiB */
#define LIBEVENT_READ_BYTES 4096        /* what it reads at a time; less means that there was no more */
#define OVER_SLACK 64u                  /* connections over the limit that are told so; more are cut */
#define LEFT_BATCH 64

static void on_input(struct evbuffer *input, const struct evbuffer_cb_info *info, void *arg);
static void on_output(struct evbuffer *output, const struct evbuffer_cb_info *info, void *arg);

/* --- time --- */

static void
arm(struct lp_http_conn *conn)
{
    if (conn->deadline_ns == INT64_MAX) {
        return;
    }
    int64_t wait_ns = LP_MAX(conn->deadline_ns - lp_mono_ns(), INT64_C(0)) + LP_NS_PER_MS;
    struct timeval tv = {.tv_sec = wait_ns / LP_NS_PER_S, .tv_usec = wait_ns % LP_NS_PER_S / 1000};
    int rc = event_add(conn->wake, &tv);
    LP_ASSERT(rc == 0);
    conn->armed_ns = conn->deadline_ns;
}

void
lp_http_conn_deadline(struct lp_http_conn *conn, int64_t at_ns)
{
    conn->deadline_ns = at_ns;
    if (at_ns < conn->armed_ns) {
        arm(conn);
    }
}

/* --- the end --- */

static void
conn_free(struct lp_http_conn *conn)
{
    struct lp_http_thread *t = conn->t;
    evbuffer_remove_cb(bufferevent_get_input(conn->bev), on_input, conn);
    evbuffer_remove_cb(bufferevent_get_output(conn->bev), on_output, conn);
    event_free(conn->wake);
    if (conn->watched) {
        epoll_ctl(t->watch_fd, EPOLL_CTL_DEL, conn->fd, NULL);
    }
    if (conn->prev != NULL) {
        conn->prev->next = conn->next;
    } else {
        t->conns = conn->next;
    }
    if (conn->next != NULL) {
        conn->next->prev = conn->prev;
    }
    lp_buf_clear(&conn->in);
    lp_free(conn);
    atomic_fetch_sub(&t->h->connections, 1);
    if (t->stopping && t->conns == NULL) {
        event_base_loopbreak(t->base);
    }
}

/* evhttp is about to free the connection. What the request's handler does not hold any more goes with it. */
static void
on_close(struct evhttp_connection *evcon, void *arg)
{
    (void)evcon;
    struct lp_http_conn *conn = arg;
    struct lp_http_req *req = conn->req;
    if (req != NULL) {
        struct evhttp_request *ev = req->ev;
        req->ev = NULL;
        req->conn = NULL;
        if (ev != NULL && evhttp_request_get_connection(ev) == NULL) {
            /* a streamed answer failed: evhttp has let go of it without freeing it */
            evhttp_request_free(ev);
        }
        if (req->answered || !req->handed) {
            lp_http_req_done(req, 499);
            lp_http_req_free(req);
        } else {
            lp_http_req_gone(req);
        }
    }
    if (conn->ws != NULL) {
        lp_http_ws_gone(conn->ws);
    }
    conn_free(conn);
}

void
lp_http_conn_close(struct lp_http_conn *conn)
{
    LP_ASSERT(conn->evcon != NULL);
    evhttp_connection_free(conn->evcon); /* calls on_close */
}

void
lp_http_conn_doom(struct lp_http_conn *conn)
{
    conn->phase = LP_HTTP_LINGER;
    conn->deadline_ns = 0;
    event_active(conn->wake, EV_TIMEOUT, 0);
}

/* --- refusals --- */

static void
on_refusal_written(struct bufferevent *bev, void *arg)
{
    (void)bev;
    struct lp_http_conn *conn = arg;
    if (conn->eof) {
        lp_http_conn_close(conn);
        return;
    }
    shutdown(conn->fd, SHUT_WR);
    conn->phase = LP_HTTP_LINGER;
    lp_http_conn_deadline(conn, lp_mono_ns() + conn->t->h->cfg.linger_ns);
}

static void
on_refusal_event(struct bufferevent *bev, short what, void *arg)
{
    (void)bev;
    struct lp_http_conn *conn = arg;
    if (conn->phase == LP_HTTP_REFUSED && what == (BEV_EVENT_READING | BEV_EVENT_EOF)) {
        conn->eof = true; /* it may still read the answer */
        return;
    }
    lp_http_conn_close(conn);
}

static void
count_refusal(struct lp_http_conn *conn, int status)
{
    struct lp_http *h = conn->t->h;
    atomic_fetch_add(&h->refused, 1);
    if (conn->req != NULL) {
        lp_http_req_done(conn->req, status);
        conn->req->conn = NULL;
        lp_http_req_free(conn->req);
        conn->req = NULL;
    } else if (h->cfg.on_done != NULL) {
        h->cfg.on_done(h->cfg.ctx, "-", "-", status, 0);
    }
}

void
lp_http_conn_refuse(struct lp_http_conn *conn, int status, const char *extra, const char *fmt, ...)
{
    LP_ASSERT(conn->phase == LP_HTTP_HEAD || conn->phase == LP_HTTP_BODY);
    char text[512];
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    LP_ASSERT(n >= 0);
    struct lp_str body = lp_str_of(text, LP_MIN((size_t)n, sizeof(text) - 1));
    struct lp_buf out;
    lp_buf_init(&out, SIZE_MAX);
    lp_http_refusal(&out, conn->req != NULL ? conn->req->head.method : 0, status, extra, body);

    conn->phase = LP_HTTP_REFUSED;
    count_refusal(conn, status);
    lp_buf_clear(&conn->in);
    bufferevent_setcb(conn->bev, NULL, on_refusal_written, on_refusal_event, conn);
    bufferevent_enable(conn->bev, EV_READ | EV_WRITE);
    evbuffer_add(bufferevent_get_output(conn->bev), out.p, out.n);
    lp_buf_clear(&out);
}

/* --- requests --- */

/* Watches for the client's leaving until the request is answered. One shot: a closed connection is told once.
 */
static void
watch(struct lp_http_conn *conn)
{
    struct epoll_event e = {.events = EPOLLRDHUP | EPOLLONESHOT, .data.ptr = conn};
    int op = conn->watched ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;
    if (epoll_ctl(conn->t->watch_fd, op, conn->fd, &e) == 0) {
        conn->watched = true; /* without it the leaving is noticed when the answer is written */
    }
}

void
lp_http_conn_left(struct lp_http_thread *t)
{
    struct epoll_event e[LEFT_BATCH];
    int n = epoll_wait(t->watch_fd, e, LEFT_BATCH, 0);
    for (int i = 0; i < n; i++) {
        const struct lp_http_conn *conn = e[i].data.ptr;
        if (conn->phase == LP_HTTP_BUSY && conn->req != NULL) {
            lp_http_req_gone(conn->req);
        }
    }
}

/* The answer was written; evhttp will read the next request. */
static void
on_complete(struct evhttp_request *ev, void *arg)
{
    (void)ev;
    struct lp_http_conn *conn = arg;
    struct lp_http_req *req = conn->req;
    LP_ASSERT(conn->phase == LP_HTTP_BUSY && req->answered);
    conn->req = NULL;
    req->ev = NULL;
    req->conn = NULL;
    lp_http_req_done(req, req->status);
    lp_http_req_free(req);
    conn->phase = LP_HTTP_HEAD;
    conn->head_begun = false;
    lp_http_conn_deadline(conn, lp_mono_ns() + conn->t->h->cfg.idle_ns);
    if (conn->in.n > 0 || conn->t->stopping) {
        event_active(conn->wake, EV_TIMEOUT, 0);
    }
}

void
lp_http_conn_request(struct evhttp_request *ev, void *thread)
{
    struct lp_http_thread *t = thread;
    struct lp_http_conn *conn = t->handed;
    LP_ASSERT(conn != NULL && evhttp_request_get_connection(ev) == conn->evcon);
    struct lp_http_req *req = conn->req;
    t->handed = NULL;
    req->ev = ev;
    req->handed = true;
    evhttp_request_set_on_complete_cb(ev, on_complete, conn);
    atomic_fetch_add(&t->h->started, 1);
    if (t->stopping) {
        atomic_store(&req->gone, true);
    }
    if (req->route != NULL) {
        req->route->handler(req, req->route->ctx);
    } else {
        lp_http_route_refuse(req);
    }
    LP_ASSERT(conn->req == req); /* answers are written later, so it cannot have ended */
    if (!req->answered) {
        watch(conn);
    }
}

/* --- callbacks of the connection's own buffers --- */

static void
on_input(struct evbuffer *input, const struct evbuffer_cb_info *info, void *arg)
{
    struct lp_http_conn *conn = arg;
    struct lp_http_thread *t = conn->t;
    if (info->n_added == 0 || conn->handing) {
        return;
    }
    int n = evbuffer_remove(input, t->scratch, sizeof(t->scratch));
    LP_ASSERT(n > 0 && evbuffer_get_length(input) == 0); /* afterwards our own head may be in there */
    if (conn->ws != NULL) {
        if (conn->phase == LP_HTTP_WS) {
            lp_http_ws_feed(conn, lp_str_of(t->scratch, (size_t)n));
        }
        return;
    }
    lp_http_input_feed(conn, lp_str_of(t->scratch, (size_t)n));
    if (n >= LIBEVENT_READ_BYTES) {
        lp_http_input_read(conn);
    }
}

static void
on_output(struct evbuffer *output, const struct evbuffer_cb_info *info, void *arg)
{
    struct lp_http_conn *conn = arg;
    size_t left = evbuffer_get_length(output);
    if (conn->phase == LP_HTTP_WS) {
        lp_http_ws_sent(conn, left, info->n_deleted > 0);
        return;
    }
    bool answering = conn->phase == LP_HTTP_BUSY || conn->phase == LP_HTTP_REFUSED;
    if (answering && (info->n_deleted > 0 || info->orig_size == 0)) {
        /* the client took some, or there is something to take */
        int64_t stall_ns = conn->t->h->cfg.write_stall_ns;
        lp_http_conn_deadline(conn, left > 0 ? lp_mono_ns() + stall_ns : INT64_MAX);
    }
    if (info->n_deleted > 0 && conn->req != NULL && conn->req->stream_started) {
        lp_http_reply_sent(conn->req, left);
    }
}

/* --- timer and beginning --- */

static void
set_peer(struct lp_http_conn *conn)
{
    char *host;
    uint16_t port;
    evhttp_connection_get_peer(conn->evcon, &host, &port);
    if (strncmp(host, "::ffff:", 7) == 0) {
        host += 7; /* IPv4 on a dual-stack socket */
    }
    bool v6 = strchr(host, ':') != NULL;
    snprintf(conn->peer, sizeof(conn->peer), v6 ? "[%.60s]:%u" : "%.60s:%u", host, (unsigned)port);
}

/* Finds out which connection evhttp made around our bufferevent; false (and conn freed) when it failed to. */
static bool
attach(struct lp_http_conn *conn)
{
    void *evcon = NULL;
    bufferevent_getcb(conn->bev, NULL, NULL, NULL, &evcon);
    if (evcon == NULL) {
        struct bufferevent *bev = conn->bev;
        conn_free(conn);
        bufferevent_decref(bev);
        return false;
    }
    conn->evcon = evcon;
    conn->fd = bufferevent_getfd(conn->bev);
    evhttp_connection_set_closecb(conn->evcon, on_close, conn);
    bufferevent_decref(conn->bev);
    set_peer(conn);
    return true;
}

/* One connection too many, or one too late. */
static void
turn_away(struct lp_http_conn *conn)
{
    const struct lp_http *h = conn->t->h;
    if (conn->over && atomic_load(&h->connections) > h->cfg.connections_max + OVER_SLACK) {
        lp_http_conn_close(conn);
    } else if (conn->over) {
        lp_http_conn_refuse(conn, 503, "", "too many connections");
    } else {
        lp_http_conn_stop(conn);
    }
}

/* The phase has lasted too long. May free conn. */
static void
expire(struct lp_http_conn *conn, int64_t now_ns)
{
    switch (conn->phase) {
    case LP_HTTP_HEAD:
        if (conn->in.n == 0) {
            lp_http_conn_close(conn);
        } else {
            lp_http_conn_refuse(conn, 408, "", "the request's head took too long");
        }
        return;
    case LP_HTTP_BODY:
        if (!lp_http_input_rate(conn, now_ns)) {
            lp_http_conn_refuse(conn, 408, "", "the request's body came too slowly");
        }
        return;
    case LP_HTTP_WS:
        lp_http_ws_tick(conn, now_ns);
        return;
    case LP_HTTP_BUSY:
    case LP_HTTP_REFUSED:
    case LP_HTTP_LINGER:
        lp_http_conn_close(conn);
        return;
    }
}

static void
on_wake(int fd, short what, void *arg)
{
    (void)fd, (void)what;
    struct lp_http_conn *conn = arg;
    struct lp_http_thread *t = conn->t;
    conn->armed_ns = INT64_MAX;
    if (conn->evcon == NULL) {
        if (!attach(conn)) {
            return;
        }
        if (conn->over || t->stopping) {
            turn_away(conn);
            return;
        }
    }
    if (conn->phase == LP_HTTP_HEAD && t->stopping) {
        lp_http_conn_stop(conn);
        return;
    }
    if (conn->phase == LP_HTTP_HEAD && conn->in.n > 0) {
        lp_http_input_resume(conn);
        if (t->handed == conn) {
            bufferevent_trigger(conn->bev, EV_READ, 0); /* calls lp_http_conn_request */
        }
    }
    int64_t now_ns = lp_mono_ns();
    if (now_ns >= conn->deadline_ns) {
        expire(conn, now_ns);
    } else if (conn->armed_ns > conn->deadline_ns) {
        arm(conn);
    }
}

void
lp_http_conn_stop(struct lp_http_conn *conn)
{
    if (conn->evcon == NULL) {
        return; /* on_wake turns it away */
    }
    if ((conn->phase == LP_HTTP_HEAD && conn->in.n == 0) || conn->phase == LP_HTTP_WS) {
        lp_http_conn_close(conn);
    } else if (conn->phase == LP_HTTP_HEAD || conn->phase == LP_HTTP_BODY) {
        lp_http_conn_refuse(conn, 503, "", "the service is stopping");
    } else if (conn->phase == LP_HTTP_BUSY) {
        lp_http_req_gone(conn->req);
    }
}

struct bufferevent *
lp_http_conn_new(struct event_base *base, void *thread)
{
    struct lp_http_thread *t = thread;
    struct lp_http *h = t->h;
    struct lp_http_conn *conn = lp_calloc(1, sizeof(*conn));
    conn->t = t;
    conn->bev = bufferevent_socket_new(base, -1, BEV_OPT_CLOSE_ON_FREE);
    conn->wake = event_new(base, -1, 0, on_wake, conn);
    LP_ASSERT(conn->bev != NULL && conn->wake != NULL);
    bufferevent_incref(conn->bev); /* until attach() */
    bufferevent_set_max_single_write(conn->bev, WRITE_ONCE_BYTES);
    evbuffer_add_cb(bufferevent_get_input(conn->bev), on_input, conn);
    evbuffer_add_cb(bufferevent_get_output(conn->bev), on_output, conn);
    lp_buf_init(&conn->in, h->cfg.header_bytes_max + LP_HTTP_SCRATCH_BYTES);
    conn->head_begun = true; /* the first head's time runs from here */
    conn->armed_ns = INT64_MAX;
    conn->deadline_ns = lp_mono_ns() + h->cfg.header_timeout_ns;
    conn->next = t->conns;
    if (t->conns != NULL) {
        t->conns->prev = conn;
    }
    t->conns = conn;
    conn->over = atomic_fetch_add(&h->connections, 1) >= h->cfg.connections_max;
    atomic_fetch_add(&h->accepted, 1);
    event_active(conn->wake, EV_TIMEOUT, 0);
    return conn->bev;
}
