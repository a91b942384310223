/*
 * http_ws.c - connections that have become WebSockets: taken over from evhttp, read and kept alive here.
 *
 * Taking over. The request that asked for it is answered by our own 101, and evhttp's callbacks on the
 * bufferevent are replaced, as a refusal does it (http_conn.c); evhttp still owns the connection and the
 * request that it believes to be pending, and frees both at the end, through on_close() like any other.
 *
 * Who touches what. wslay's object and the connection are the HTTP thread's. Others leave messages in `out`,
 * under the thread's mu, and ring. Whole frames go into the output buffer one after another, so wslay's
 * control frames (pings, pongs, close) never come to stand inside of one.
 *
 * Bounds. Messages from the client are thrown away as they come (a tail's client has nothing to say), single
 * frames of more than 64 KiB end the connection; so does a client that makes us write control frames faster
 * than it reads them. One that gives no sign of life for a minute, and takes nothing, is cut.
 */
#include "server/http_int.h"

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/http.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <wslay/wslay.h>

#include "base/clock.h"

#define PING_NS LP_NS_PER_S
#define DEAD_NS (60 * LP_NS_PER_S)
#define CLOSE_NS (2 * LP_NS_PER_S) /* for the client's half of the closing handshake */
#define FRAME_BYTES_MAX (64u << 10)
#define CONTROL_BYTES_MAX (256u << 10)
#define REFERENCE_BYTES 4096u
/*
 * The system asks for more only when a third of its buffer is free, which can be megabytes: a client that takes little by little would
 * look like one that takes nothing.
 */
#define SOCKET_BYTES (256 << 10)

struct lp_ws {
    _Atomic unsigned refs; /* the connection's and the owner's */
    struct lp_http_thread *t;
    const struct lp_ws_ops *ops;
    void *ctx;
    char accept[LP_WS_ACCEPT_TEXT];

    /* The HTTP thread's. */
    struct lp_http_conn *conn; /* NULL before and after */
    wslay_event_context_ptr wslay;
    struct lp_str in; /* being fed */
    int64_t heard_ns, moved_ns, ping_ns;
    int64_t stalled_ns; /* the longest time in which nothing moved since room was asked for */
    int64_t close_ns; /* when the close frame was written; 0: not yet */
    size_t control;   /* bytes of control frames since the output was empty */
    bool bad;

    /* Under t->mu. */
    struct lp_ws *mail_next;
    bool mailed, gone;
    struct lp_ws_msg **out;
    size_t nout, out_cap;
    uint16_t close_code; /* 0: none asked for */
    char reason[124];

    atomic_size_t pending, buffered; /* bytes of `out`, and of the output buffer */
    atomic_bool wants_room;
    _Atomic int64_t asked_ns; /* for room */
};

static void
unref(struct lp_ws *ws)
{
    if (atomic_fetch_sub_explicit(&ws->refs, 1, memory_order_acq_rel) == 1) {
        for (size_t i = 0; i < ws->nout; i++) {
            lp_ws_msg_unref(ws->out[i]);
        }
        lp_free(ws->out);
        lp_free(ws);
    }
}

/* --- the handshake --- */

static bool
has_token(struct lp_str list, const char *token)
{
    while (list.n > 0) {
        if (lp_str_ieq(lp_str_trim(lp_str_cut(&list, ',')), lp_str_c(token))) {
            return true;
        }
    }
    return false;
}

int
lp_ws_check(const struct lp_http_req *req, const char **why)
{
    *why = NULL;
    if (req->head.method != LP_GET || req->head.minor == 0 ||
        !has_token(lp_http_header(req, "Upgrade"), "websocket") ||
        !has_token(lp_http_header(req, "Connection"), "upgrade")) {
        *why = "this is for WebSockets: GET with Connection: Upgrade and Upgrade: websocket is expected";
        return 400;
    }
    if (!lp_str_eqc(lp_http_header(req, "Sec-WebSocket-Version"), "13")) {
        *why = "only version 13 of the WebSocket protocol is spoken here";
        return 426;
    }
    if (!lp_ws_key_ok(lp_http_header(req, "Sec-WebSocket-Key"))) {
        *why = "Sec-WebSocket-Key is not 16 bytes in base64";
        return 400;
    }
    return 0;
}

void
lp_http_upgrade(struct lp_http_req *req, const struct lp_ws_ops *ops, void *ctx, struct lp_ws **ret)
{
    struct lp_ws *ws = lp_calloc(1, sizeof(*ws));
    ws->refs = 2;
    ws->t = req->t;
    ws->ops = ops;
    ws->ctx = ctx;
    lp_ws_accept(lp_http_header(req, "Sec-WebSocket-Key"), ws->accept);
    *ret = ws;
    req->ws = ws;
    lp_http_hand_back(req);
}

/* --- the end --- */

static void
end(struct lp_ws *ws)
{
    lp_lock(&ws->t->mu);
    ws->gone = true;
    lp_unlock(&ws->t->mu);
    if (ws->wslay != NULL) {
        wslay_event_context_free(ws->wslay);
        ws->wslay = NULL;
    }
    ws->conn = NULL;
    ws->ops->gone(ws->ctx);
    unref(ws);
}

void
lp_http_ws_gone(struct lp_ws *ws)
{
    end(ws);
}

/* --- what wslay asks for --- */

static ssize_t
on_recv(wslay_event_context_ptr ctx, uint8_t *buf, size_t n, int flags, void *arg)
{
    struct lp_ws *ws = arg;
    (void)flags;
    if (ws->in.n == 0) {
        wslay_event_set_error(ctx, WSLAY_ERR_WOULDBLOCK);
        return -1;
    }
    n = LP_MIN(n, ws->in.n);
    memcpy(buf, ws->in.p, n);
    ws->in = lp_str_sub(ws->in, n, ws->in.n);
    return (ssize_t)n;
}

static ssize_t
on_send(wslay_event_context_ptr ctx, const uint8_t *data, size_t n, int flags, void *arg)
{
    struct lp_ws *ws = arg;
    (void)flags;
    ws->control += n;
    if (ws->control > CONTROL_BYTES_MAX ||
        evbuffer_add(bufferevent_get_output(ws->conn->bev), data, n) != 0) {
        wslay_event_set_error(ctx, WSLAY_ERR_CALLBACK_FAILURE);
        return -1;
    }
    return (ssize_t)n;
}

/* Writes the control frames that wait. */
static void
write_control(struct lp_ws *ws)
{
    if (wslay_event_want_write(ws->wslay) && wslay_event_send(ws->wslay) != 0) {
        ws->bad = true;
    }
    if (ws->close_ns == 0 && wslay_event_get_close_sent(ws->wslay)) {
        ws->close_ns = lp_mono_ns();
        lp_http_conn_deadline(ws->conn, ws->close_ns + CLOSE_NS);
    }
}

/* Both halves of the closing handshake are over, or there is no sense in it any more. */
static bool
is_over(const struct lp_ws *ws)
{
    bool heard = wslay_event_get_close_received(ws->wslay) || !wslay_event_get_read_enabled(ws->wslay);
    return ws->bad ||
           (ws->close_ns != 0 && heard && evbuffer_get_length(bufferevent_get_output(ws->conn->bev)) == 0);
}

/* --- what comes in --- */

void
lp_http_ws_feed(struct lp_http_conn *conn, struct lp_str bytes)
{
    struct lp_ws *ws = conn->ws;
    ws->heard_ns = lp_mono_ns();
    ws->in = bytes;
    bool good = true;
    while (ws->in.n > 0 && wslay_event_want_read(ws->wslay) && good) {
        good = wslay_event_recv(ws->wslay) == 0;
    }
    ws->in = LP_STR_NULL;
    if (!good) { /* wslay says goodbye */
        wslay_event_shutdown_read(ws->wslay);
    }
    write_control(ws);
    ws->bad = ws->bad || (!good && ws->close_ns == 0);
    if (is_over(ws)) {
        lp_http_conn_doom(conn);
    }
}

/* --- what goes out --- */

static void
release(const void *data, size_t n, void *msg)
{
    (void)data, (void)n;
    lp_ws_msg_unref(msg);
}

static void
put_msg(struct lp_ws *ws, struct lp_ws_msg *m)
{
    struct evbuffer *out = bufferevent_get_output(ws->conn->bev);
    if (m->n >= REFERENCE_BYTES) {
        int rc = evbuffer_add_reference(out, m->p, m->n, release, m);
        LP_ASSERT(rc == 0);
        return;
    }
    int rc = evbuffer_add(out, m->p, m->n);
    LP_ASSERT(rc == 0);
    lp_ws_msg_unref(m);
}

/* The client has taken something. */
static void
note_move(struct lp_ws *ws)
{
    int64_t now_ns = lp_mono_ns();
    if (atomic_load(&ws->wants_room)) {
        int64_t since_ns = LP_MAX(ws->moved_ns, atomic_load(&ws->asked_ns));
        ws->stalled_ns = LP_MAX(ws->stalled_ns, now_ns - since_ns);
    }
    ws->moved_ns = now_ns;
}

void
lp_http_ws_sent(struct lp_http_conn *conn, size_t left, bool some)
{
    struct lp_ws *ws = conn->ws;
    atomic_store(&ws->buffered, left);
    ws->control = left == 0 ? 0 : ws->control;
    if (!some) {
        return;
    }
    note_move(ws);
    if (left + atomic_load(&ws->pending) <= LP_WS_LOW_BYTES && atomic_exchange(&ws->wants_room, false)) {
        int64_t stalled_ns = ws->stalled_ns;
        ws->stalled_ns = 0;
        ws->ops->room(ws->ctx, stalled_ns);
    }
    if (is_over(ws)) {
        lp_http_conn_doom(conn);
    }
}

void
lp_http_ws_tick(struct lp_http_conn *conn, int64_t now_ns)
{
    struct lp_ws *ws = conn->ws;
    if (ws->close_ns != 0 || now_ns - LP_MAX(ws->heard_ns, ws->moved_ns) > DEAD_NS) {
        lp_http_conn_close(conn);
        return;
    }
    /* behind what the client does not take, pings would only pile up */
    if (now_ns - ws->ping_ns >= PING_NS &&
        evbuffer_get_length(bufferevent_get_output(conn->bev)) <= LP_WS_LOW_BYTES) {
        const struct wslay_event_msg ping = {.opcode = WSLAY_PING};
        ws->ping_ns = now_ns;
        ws->bad = wslay_event_queue_msg(ws->wslay, &ping) != 0 || ws->bad;
        write_control(ws);
    }
    if (is_over(ws)) {
        lp_http_conn_close(conn);
    } else if (ws->close_ns == 0) {
        lp_http_conn_deadline(conn, now_ns + PING_NS);
    }
}

/* The mailbox. */
static struct lp_ws *
take(struct lp_http_thread *t, struct lp_ws_msg ***ret, size_t *ret_n, uint16_t *ret_close)
{
    lp_lock(&t->mu);
    struct lp_ws *ws = t->ws_first;
    if (ws != NULL) {
        t->ws_first = ws->mail_next;
        ws->mailed = false;
        *ret = ws->out;
        *ret_n = ws->nout;
        *ret_close = ws->close_code;
        ws->out = NULL;
        ws->nout = ws->out_cap = 0;
    }
    lp_unlock(&t->mu);
    return ws;
}

static void
deliver(struct lp_ws *ws, struct lp_ws_msg **msgs, size_t n, uint16_t close_code)
{
    size_t bytes = 0;
    bool open = ws->conn != NULL && ws->close_ns == 0;
    for (size_t i = 0; i < n; i++) {
        bytes += msgs[i]->n;
        if (open) {
            put_msg(ws, msgs[i]);
        } else {
            lp_ws_msg_unref(msgs[i]);
        }
    }
    atomic_fetch_sub(&ws->pending, bytes);
    if (open && close_code != 0) {
        (void)wslay_event_queue_close(ws->wslay, close_code, (const uint8_t *)ws->reason, strlen(ws->reason));
        write_control(ws);
    }
}

void
lp_http_ws_mail(struct lp_http_thread *t)
{
    struct lp_ws *ws;
    struct lp_ws_msg **msgs;
    size_t n;
    uint16_t close_code;
    while ((ws = take(t, &msgs, &n, &close_code)) != NULL) {
        deliver(ws, msgs, n, close_code);
        lp_free(msgs);
        unref(ws); /* the mailbox's */
    }
}

/* Under mu. True when the thread must be rung. */
static bool
mail(struct lp_ws *ws)
{
    struct lp_http_thread *t = ws->t;
    if (ws->mailed || ws->gone) {
        return false;
    }
    ws->mailed = true;
    atomic_fetch_add_explicit(&ws->refs, 1, memory_order_relaxed);
    ws->mail_next = t->ws_first; /* order among connections does not matter */
    t->ws_first = ws;
    return ws->mail_next == NULL;
}

void
lp_ws_send(struct lp_ws *ws, struct lp_ws_msg *m)
{
    lp_lock(&ws->t->mu);
    bool ring = false;
    if (!ws->gone) {
        if (ws->nout == ws->out_cap) {
            ws->out_cap = ws->out_cap ? ws->out_cap * 2 : 8;
            ws->out = lp_realloc(ws->out, ws->out_cap * sizeof(struct lp_ws_msg *));
        }
        ws->out[ws->nout++] = lp_ws_msg_ref(m);
        atomic_fetch_add(&ws->pending, m->n);
        ring = mail(ws);
    }
    lp_unlock(&ws->t->mu);
    if (ring) {
        lp_http_ring(ws->t);
    }
}

void
lp_ws_close(struct lp_ws *ws, uint16_t code, const char *reason)
{
    lp_lock(&ws->t->mu);
    if (ws->close_code == 0) {
        ws->close_code = code;
        snprintf(ws->reason, sizeof(ws->reason), "%s", reason);
    }
    bool ring = mail(ws);
    lp_unlock(&ws->t->mu);
    if (ring) {
        lp_http_ring(ws->t);
    }
}

size_t
lp_ws_unsent(const struct lp_ws *ws)
{
    return atomic_load(&ws->pending) + atomic_load(&ws->buffered);
}

bool
lp_ws_want_room(struct lp_ws *ws)
{
    atomic_store(&ws->asked_ns, lp_mono_ns());
    atomic_store(&ws->wants_room, true);
    return lp_ws_unsent(ws) > LP_WS_LOW_BYTES || !atomic_exchange(&ws->wants_room, false);
}

void
lp_ws_unref(struct lp_ws *ws)
{
    unref(ws);
}

/* --- taking over --- */

static void
on_event(struct bufferevent *bev, short what, void *arg)
{
    (void)bev, (void)what;
    lp_http_conn_close(arg);
}

static void
write_head(struct lp_ws *ws)
{
    struct evbuffer *out = bufferevent_get_output(ws->conn->bev);
    int rc = evbuffer_add_printf(
        out,
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Accept: %s\r\n\r\n",
        ws->accept);
    LP_ASSERT(rc > 0);
}

void
lp_http_ws_take_over(struct lp_http_req *req)
{
    static const struct wslay_event_callbacks callbacks = {.recv_callback = on_recv,
                                                           .send_callback = on_send};
    struct lp_ws *ws = req->ws;
    struct lp_http_conn *conn = req->conn;
    if (conn == NULL || conn->t->stopping) {
        if (conn != NULL) {
            req->answered = true;
            lp_http_conn_close(conn); /* frees req */
        } else {
            lp_http_req_done(req, 499);
            lp_http_req_free(req);
        }
        end(ws);
        return;
    }
    int rc = wslay_event_context_server_init(&ws->wslay, &callbacks, ws);
    LP_ASSERT(rc == 0);
    wslay_event_config_set_no_buffering(ws->wslay, 1);
    wslay_event_config_set_max_recv_msg_length(ws->wslay, FRAME_BYTES_MAX);
    ws->conn = conn;
    ws->heard_ns = ws->moved_ns = ws->ping_ns = lp_mono_ns();
    conn->ws = ws;
    conn->req = NULL;
    conn->phase = LP_HTTP_WS;
    req->answered = true;
    req->ev = NULL; /* evhttp frees it with the connection */
    req->conn = NULL;
    lp_http_req_done(req, 101);
    lp_http_req_free(req);
    bufferevent_setcb(conn->bev, NULL, NULL, on_event, conn);
    bufferevent_enable(conn->bev, EV_READ | EV_WRITE);
    bufferevent_set_timeouts(conn->bev, NULL, NULL);
    const int bytes = SOCKET_BYTES;
    (void)setsockopt(bufferevent_getfd(conn->bev), SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes));
    write_head(ws);
    lp_http_conn_deadline(conn, ws->ping_ns + PING_NS);
    struct lp_buf early = conn->in; /* sent before the answer, as it should not */
    lp_buf_init(&conn->in, early.limit);
    lp_http_ws_feed(conn, lp_buf_view(&early));
    lp_buf_clear(&early);
}

void
lp_http_ws_orphan(struct lp_http_req *req)
{
    end(req->ws);
}
