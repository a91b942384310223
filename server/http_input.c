/*
 * http_input.c - the gate in front of evhttp: heads are judged and bodies collected here, byte by byte as
 * they come.
 *
 * A head is copied into its request's arena once it is whole; nothing is parsed twice. A body goes into one
 * buffer that the request owns. Its bytes are counted over the whole service as they come in, not when they
 * are announced, so a client that only announces costs nothing. Large bodies are read from the socket
 * straight into that buffer.
 *
 * Runs on the connection's thread, partly inside a callback of the input buffer: nothing here closes the
 * connection.
 */
#include "server/http_int.h"

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <stdio.h>
#include <sys/socket.h>

#include "base/clock.h"

#define BODY_STEP_BYTES (64u * 1024)   /* in which a body's memory is counted while it comes in */
#define BODY_UNROUTED_MAX (64u * 1024) /* of requests that will be a 404 or 405 anyway */
#define READ_TURN_BYTES (512u * 1024)  /* read from one socket before others have their turn */

/* --- handing over --- */

static void
put(struct evbuffer *b, const char *text)
{
    int rc = evbuffer_add(b, text, strlen(text));
    LP_ASSERT(rc == 0);
}

/* Gives evhttp the head it shall see: what it needs to know to frame the answer, and nothing of the client's.
 */
static void
hand_over(struct lp_http_conn *conn)
{
    const struct lp_http_head *head = &conn->req->head;
    struct evbuffer *input = bufferevent_get_input(conn->bev);
    LP_ASSERT(conn->t->handed == NULL && evbuffer_get_length(input) == 0);
    conn->t->handed = conn;
    conn->handing = true;
    evbuffer_unfreeze(input, 0);
    put(input, head->method == LP_HEAD ? "HEAD / HTTP/1." : "GET / HTTP/1.");
    put(input, head->minor == 0 ? "0\r\n" : "1\r\n");
    if (!head->keep_alive) {
        put(input, "Connection: close\r\n");
    } else if (head->minor == 0) {
        put(input, "Connection: keep-alive\r\n");
    }
    put(input, "\r\n");
    evbuffer_freeze(input, 0);
    conn->handing = false;
}

static void
request_whole(struct lp_http_conn *conn)
{
    struct lp_buf *body = &conn->req->body;
    if (body->p != NULL) {
        memset(body->p + body->n, 0, LP_BUF_PAD);
    }
    conn->req->received_ns = lp_mono_ns();
    conn->phase = LP_HTTP_BUSY;
    lp_http_conn_deadline(conn, INT64_MAX);
    hand_over(conn);
}

/* --- bodies --- */

static size_t
body_max(const struct lp_http_req *req)
{
    if (req->route == NULL) {
        return LP_MIN(BODY_UNROUTED_MAX, req->h->cfg.body_bytes_max);
    }
    return req->route->body_max != 0 ? req->route->body_max : req->h->cfg.body_bytes_max;
}

static void
refuse_large(struct lp_http_conn *conn)
{
    struct lp_http_req *req = conn->req;
    if (req->route != NULL) {
        lp_http_conn_refuse(conn, 413, "", "the body is larger than %zu bytes", body_max(req));
        return;
    }
    char allow[LP_HTTP_ALLOW_BYTES];
    char extra[LP_HTTP_ALLOW_BYTES + 16] = "";
    if (req->allow != 0) {
        lp_http_allow_text(req->allow, allow, sizeof(allow));
        snprintf(extra, sizeof(extra), "Allow: %s\r\n", allow);
    }
    int status = req->route_status == 204 ? 413 : req->route_status;
    lp_http_conn_refuse(conn, status, extra, "nothing here takes this request");
}

/* Counts more memory for this body; false when all bodies together would have too much. */
static bool
count_bytes(struct lp_http_req *req, size_t bytes)
{
    struct lp_http *h = req->h;
    size_t more = bytes - req->body_counted;
    if (atomic_fetch_add(&h->body_bytes, more) + more > h->cfg.inflight_bytes_max) {
        atomic_fetch_sub(&h->body_bytes, more);
        return false;
    }
    req->body_counted = bytes;
    return true;
}

/* How much memory a body that needs `need` bytes now should have. */
static size_t
body_capacity(const struct lp_http_conn *conn, const struct lp_buf *b, size_t need)
{
    if (need <= BODY_STEP_BYTES) {
        return LP_MIN((size_t)BODY_STEP_BYTES, b->limit);
    }
    /* its length is known: all of it, of which only what comes is touched; else in growing steps */
    return conn->chunked ? LP_MIN(LP_MAX(need, 2 * b->cap), b->limit) : b->limit;
}

/* Room for at least `more` bytes of body; false when the request was refused instead. */
static bool
body_room(struct lp_http_conn *conn, size_t more)
{
    struct lp_http_req *req = conn->req;
    struct lp_buf *b = &req->body;
    if (more > b->limit - b->n) {
        refuse_large(conn);
        return false;
    }
    size_t need = b->n + more;
    size_t counted = (need + BODY_STEP_BYTES - 1) / BODY_STEP_BYTES * BODY_STEP_BYTES;
    bool ok = need <= req->body_counted || count_bytes(req, LP_MIN(counted, b->limit));
    if (ok && (b->p == NULL || need > b->cap)) {
        ok = lp_buf_reserve(b, body_capacity(conn, b, need) - b->n);
    }
    if (!ok) {
        lp_http_conn_refuse(conn, 503, "", "too many bytes of requests in memory");
    }
    return ok;
}

static void
say_continue(struct lp_http_conn *conn)
{
    /* without evhttp's write callback, which would take this for the end of its last answer */
    bufferevent_data_cb on_read;
    bufferevent_event_cb on_event;
    void *arg;
    bufferevent_getcb(conn->bev, &on_read, NULL, &on_event, &arg);
    bufferevent_setcb(conn->bev, on_read, NULL, on_event, arg);
    bufferevent_enable(conn->bev, EV_WRITE);
    put(bufferevent_get_output(conn->bev), "HTTP/1.1 100 Continue\r\n\r\n");
}

/* The head is accepted; more_came: bytes behind it are there already. */
static void
body_begin(struct lp_http_conn *conn, bool more_came)
{
    struct lp_http_req *req = conn->req;
    const struct lp_http_head *head = &req->head;
    size_t max = body_max(req);
    if (!head->chunked && head->body_bytes == 0) {
        request_whole(conn);
        return;
    }
    if (head->body_bytes > max || (head->expect_continue && req->route == NULL)) {
        refuse_large(conn);
        return;
    }
    conn->phase = LP_HTTP_BODY;
    conn->chunked = head->chunked;
    conn->chunks = (struct lp_http_chunks){0};
    conn->window_bytes = 0;
    lp_buf_init(&req->body, head->chunked ? max : (size_t)head->body_bytes);
    lp_http_conn_deadline(conn, lp_mono_ns() + conn->t->h->cfg.body_window_ns);
    if (head->expect_continue && !more_came) {
        say_continue(conn);
    }
}

bool
lp_http_input_rate(struct lp_http_conn *conn, int64_t now_ns)
{
    const struct lp_http_config *cfg = &conn->t->h->cfg;
    uint64_t window_ms = (uint64_t)(cfg->body_window_ns / LP_NS_PER_MS);
    if (conn->window_bytes * 1000 < (uint64_t)cfg->body_bytes_per_s_min * window_ms) {
        return false;
    }
    conn->window_bytes = 0;
    lp_http_conn_deadline(conn, now_ns + cfg->body_window_ns);
    return true;
}

/* The part of s that belongs to a body of known length. */
static size_t
take_length(struct lp_http_conn *conn, struct lp_str s)
{
    struct lp_buf *b = &conn->req->body;
    size_t n = LP_MIN(s.n, b->limit - b->n);
    if (n == 0 || !body_room(conn, n)) {
        return s.n;
    }
    lp_buf_add(b, s.p, n);
    if (b->n == b->limit) {
        request_whole(conn);
    }
    return n;
}

static size_t
take_chunks(struct lp_http_conn *conn, struct lp_str s)
{
    struct lp_http_chunks *ch = &conn->chunks;
    struct lp_buf *b = &conn->req->body;
    struct lp_str data;
    size_t n = lp_http_chunks_step(ch, s, &data);
    if (data.n > 0) {
        if (!body_room(conn, data.n)) {
            return s.n;
        }
        lp_buf_add(b, data.p, data.n);
    }
    if (ch->state == LP_HTTP_CHUNK_BAD) {
        lp_http_conn_refuse(conn, 400, "", "malformed chunked body");
        return s.n;
    }
    if (ch->state == LP_HTTP_CHUNK_DATA && ch->left > b->limit - b->n) {
        refuse_large(conn); /* announced is enough */
        return s.n;
    }
    if (ch->state == LP_HTTP_CHUNK_DONE) {
        request_whole(conn);
    }
    return n;
}

static size_t
take_body(struct lp_http_conn *conn, struct lp_str s)
{
    if (s.n == 0) {
        return 0;
    }
    conn->window_bytes += s.n;
    return conn->chunked ? take_chunks(conn, s) : take_length(conn, s);
}

/* Body bytes that come next without framing between them. */
static size_t
body_next(const struct lp_http_conn *conn)
{
    const struct lp_buf *b = &conn->req->body;
    if (conn->chunked) {
        return conn->chunks.state == LP_HTTP_CHUNK_DATA ? (size_t)conn->chunks.left : 0;
    }
    return b->limit - b->n;
}

/* One read into the body; false when there is no more to read for now. */
static bool
read_body(struct lp_http_conn *conn, size_t *budget)
{
    struct lp_buf *b = &conn->req->body;
    size_t next = body_next(conn);
    if (next == 0 || !body_room(conn, LP_MIN(next, (size_t)BODY_STEP_BYTES))) {
        return false;
    }
    size_t room = LP_MIN(LP_MIN(next, LP_MIN(b->cap, conn->req->body_counted) - b->n), *budget);
    ssize_t got = recv(conn->fd, b->p + b->n, room, MSG_DONTWAIT);
    if (got <= 0) {
        return false; /* the end, or an error, is still there when libevent reads */
    }
    size_t n = (size_t)got;
    b->n += n;
    conn->window_bytes += n;
    *budget -= n;
    if (conn->chunked) {
        lp_http_chunks_skip(&conn->chunks, n);
    } else if (b->n == b->limit) {
        request_whole(conn);
        return false;
    }
    return n == room;
}

void
lp_http_input_read(struct lp_http_conn *conn)
{
    size_t budget = READ_TURN_BYTES;
    while (conn->phase == LP_HTTP_BODY && budget > 0 && read_body(conn, &budget)) {
    }
    while ((conn->phase == LP_HTTP_REFUSED || conn->phase == LP_HTTP_LINGER) && budget > 0) {
        size_t most = LP_MIN(sizeof(conn->t->scratch), budget);
        ssize_t got = recv(conn->fd, conn->t->scratch, most, MSG_DONTWAIT);
        if (got <= 0) {
            return;
        }
        budget -= (size_t)got;
    }
}

/* --- heads --- */

static void
begin_request(struct lp_http_conn *conn, struct lp_str bytes, bool more_came)
{
    struct lp_http_req *req = lp_http_req_new(conn);
    conn->req = req;
    char *copy = lp_arena_bytes(&req->arena, bytes.n);
    const char *why = "";
    if (copy == NULL || !lp_arena_str(&req->arena, lp_str_c(conn->peer), &req->peer)) {
        lp_http_conn_refuse(conn, 503, "", "no memory for the request");
        return;
    }
    memcpy(copy, bytes.p, bytes.n);
    int status = lp_http_head_parse(&req->arena, lp_str_of(copy, bytes.n), &req->head, &why);
    if (req->head.target.p != NULL) {
        copy[(req->head.target.p - copy) + (ptrdiff_t)req->head.target.n] =
            0; /* in place of the blank behind it */
    }
    if (status != 0) {
        lp_http_conn_refuse(conn, status, "", "%s", why);
        return;
    }
    lp_http_route_find(&conn->t->h->cfg, req);
    body_begin(conn, more_came);
}

static void
refuse_head(struct lp_http_conn *conn, struct lp_str s)
{
    size_t max = conn->t->h->cfg.header_bytes_max;
    if (lp_str_find_byte(lp_str_sub(s, 0, max), '\n') == SIZE_MAX) {
        lp_http_conn_refuse(conn, 414, "", "the request line is longer than %zu bytes", max);
    } else {
        lp_http_conn_refuse(conn, 431, "", "the request's head is larger than %zu bytes", max);
    }
}

/* Returns how much of s it used: line ends before a head, a whole head, or nothing while it is not whole. */
static size_t
take_head(struct lp_http_conn *conn, struct lp_str s)
{
    const struct lp_http_config *cfg = &conn->t->h->cfg;
    size_t blank = 0;
    while (conn->scanned == 0 && blank < s.n && (s.p[blank] == '\r' || s.p[blank] == '\n')) {
        blank++;
    }
    if (blank > 0 || s.n == 0) {
        return blank;
    }
    if (!lp_http_token_byte((unsigned char)s.p[0])) {
        lp_http_conn_refuse(conn, 400, "", "this is not HTTP");
        return s.n;
    }
    size_t end = lp_http_head_end(s, &conn->scanned);
    if (end > cfg->header_bytes_max || (end == 0 && s.n > cfg->header_bytes_max)) {
        refuse_head(conn, s);
        return s.n;
    }
    if (end > 0) {
        conn->scanned = 0;
        begin_request(conn, lp_str_sub(s, 0, end), s.n > end);
    } else if (!conn->head_begun) {
        conn->head_begun = true;
        lp_http_conn_deadline(conn, lp_mono_ns() + cfg->header_timeout_ns);
    }
    return end;
}

/* Uses up as much of s as the phases allow; returns how much that was. */
static size_t
advance(struct lp_http_conn *conn, struct lp_str s)
{
    size_t used = 0;
    while (conn->phase == LP_HTTP_HEAD || conn->phase == LP_HTTP_BODY) {
        struct lp_str rest = lp_str_sub(s, used, s.n);
        size_t n = conn->phase == LP_HTTP_HEAD ? take_head(conn, rest) : take_body(conn, rest);
        used += n;
        if (n == 0) {
            return used;
        }
    }
    return conn->phase == LP_HTTP_BUSY ? used : s.n; /* a refused client's bytes are dropped */
}

void
lp_http_input_resume(struct lp_http_conn *conn)
{
    struct lp_buf *in = &conn->in;
    struct lp_buf taken = *in; /* a refusal empties conn->in */
    lp_buf_init(in, taken.limit);
    size_t used = advance(conn, lp_buf_view(&taken));
    if (used < taken.n) {
        memmove(taken.p, taken.p + used, taken.n - used);
        taken.n -= used;
        *in = taken;
        return;
    }
    lp_buf_clear(&taken);
}

void
lp_http_input_feed(struct lp_http_conn *conn, struct lp_str bytes)
{
    if (conn->in.n > 0) {
        if (!lp_buf_str(&conn->in, bytes)) {
            lp_http_conn_doom(conn);
            return;
        }
        lp_http_input_resume(conn);
        return;
    }
    size_t used = advance(conn, bytes);
    if (used < bytes.n && !lp_buf_str(&conn->in, lp_str_sub(bytes, used, bytes.n))) {
        lp_http_conn_doom(conn);
    }
}
