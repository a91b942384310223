/*
 * http_reply.c - answers: whole and streamed, from the HTTP thread itself or from workers through the
 * mailbox.
 *
 * A worker never touches a connection or anything of evhttp's. It leaves bytes and flags in the request,
 * under the thread's `mu`, puts the request into the mailbox (once, however much it leaves) and rings. The
 * HTTP thread takes the request out and everything left in it in ONE critical section: what arrives later
 * mails it again, so a request that was seen `ended` is in no list and can be freed.
 *
 * evhttp rules kept here [measured with 2.1.12]:
 * - every evhttp_send_* switches reading on and drops what comes in; it is switched off again at once, so
 * that pipelined bytes stay in the kernel and a half-closed client's end of file does not tear the connection
 * down under its own answer;
 * - evhttp writes output_buffer also for HEAD: it gets none;
 * - it knows no trailers: the last chunk is written here, and req->chunked cleared, before
 * evhttp_send_reply_end.
 */
#include "server/http_int.h"

#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/http.h>
#include <event2/http_struct.h>
#include <event2/keyvalq_struct.h>
#include <event2/util.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define REFERENCE_BYTES (16u * 1024)     /* larger bodies are not copied but referred to */
#define STREAM_UNSENT_MAX (1024u * 1024) /* a writer waits above it, until a half is left */
#define STREAM_PIECE_BYTES (256u * 1024) /* taken at a time, so that mu is never held long */
#define ERROR_TEXT_MAX (16u * 1024)
#define GZIP_BYTES_MIN 1024u /* smaller answers are sent as they are */
#define GZIP_BYTES_HERE                                                                                      \
    (256u * 1024) /* larger ones are compressed by workers only: an HTTP thread must not be held up */
#define TEXT_PLAIN "text/plain; charset=utf-8"

/* --- the mailbox --- */

/* Under mu. True when the thread must be rung. */
static bool
mail(struct lp_http_req *req)
{
    struct lp_http_thread *t = req->t;
    lp_lock_held(&t->mu);
    if (req->mailed) {
        return false;
    }
    bool was_empty = t->mail_first == NULL;
    req->mailed = true;
    req->mail_next = NULL;
    *t->mail_last = req;
    t->mail_last = &req->mail_next;
    return was_empty;
}

void
lp_http_ring(struct lp_http_thread *t)
{
    uint64_t one = 1;
    ssize_t n;
    do {
        n = write(t->mail_fd, &one, sizeof(one));
    } while (n < 0 && errno == EINTR);
    LP_ASSERT(n == (ssize_t)sizeof(one)); /* an eventfd takes 2^64 - 2 of them */
}

/* The handler's last word on req, which must not be touched afterwards. */
static void
hand_back(struct lp_http_req *req, bool cut)
{
    struct lp_http_thread *t = req->t;
    lp_lock(&t->mu);
    LP_ASSERT(!req->ended);
    req->ended = true;
    req->cut = req->cut || cut;
    bool orphan = t->ended;
    bool ring = !orphan && mail(req);
    lp_unlock(&t->mu);
    if (orphan) {
        if (req->ws != NULL) {
            lp_http_ws_orphan(req);
        }
        lp_http_req_free(req);
    } else if (ring) {
        lp_http_ring(t);
    }
}

void
lp_http_hand_back(struct lp_http_req *req)
{
    hand_back(req, false);
}

/* --- on the HTTP thread: handing an answer to evhttp --- */

static void
release(const void *data, size_t n, void *holder)
{
    (void)data, (void)n;
    lp_buf_clear(holder);
    lp_free(holder);
}

/* Moves the bytes of b (which becomes empty) to the end of out; copies small ones. */
static void
put_buf(struct evbuffer *out, struct lp_buf *b)
{
    if (b->n < REFERENCE_BYTES) {
        int rc = evbuffer_add(out, b->p, b->n);
        LP_ASSERT(rc == 0);
        lp_buf_clear(b);
        return;
    }
    struct lp_buf *holder = lp_malloc(sizeof(*holder));
    *holder = *b;
    lp_buf_init(b, SIZE_MAX);
    int rc = evbuffer_add_reference(out, holder->p, holder->n, release, holder);
    LP_ASSERT(rc == 0);
}

/* Makes evhttp end the connection behind this answer, and say so. */
static void
close_after(struct lp_http_req *req)
{
    struct evkeyvalq *in = evhttp_request_get_input_headers(req->ev);
    evhttp_clear_headers(in);
    evhttp_add_header(in, "Connection", "close");
}

static void
put_headers(struct lp_http_req *req)
{
    struct evkeyvalq *out = evhttp_request_get_output_headers(req->ev);
    if (req->t->stopping) {
        close_after(req);
    }
    if (req->content_type != NULL) {
        evhttp_add_header(out, "Content-Type", req->content_type);
    }
    for (const struct lp_http_out_header *h = req->out_first; h != NULL; h = h->next) {
        evhttp_add_header(out, h->name, h->value);
    }
}

static bool
status_has_body(int status)
{
    return status >= 200 && status != 204 && status != 304;
}

static void
put_length(struct lp_http_req *req, size_t bytes)
{
    char text[24];
    snprintf(text, sizeof(text), "%zu", bytes);
    evhttp_add_header(evhttp_request_get_output_headers(req->ev), "Content-Length", text);
}

static void
stop_reading(struct lp_http_conn *conn)
{
    bufferevent_disable(conn->bev, EV_READ);
}

/* The whole answer; body is req->reply or borrowed. */
static void
send_whole(struct lp_http_req *req, struct lp_str body)
{
    LP_ASSERT(req->ev != NULL && !req->answered);
    req->answered = true;
    put_headers(req);
    const char *origin = req->h->cfg.cors_origin;
    bool reads = req->head.method == LP_GET || req->head.method == LP_HEAD || req->head.method == LP_OPTIONS;
    if (origin != NULL && reads) {
        evhttp_add_header(evhttp_request_get_output_headers(req->ev), "Access-Control-Allow-Origin", origin);
    }
    if (status_has_body(req->status)) {
        put_length(req, body.n);
        struct evbuffer *out = evhttp_request_get_output_buffer(req->ev);
        if (req->head.method == LP_HEAD || body.n == 0) {
            lp_buf_clear(&req->reply);
        } else if (body.p == req->reply.p) {
            put_buf(out, &req->reply);
        } else {
            int rc = evbuffer_add(out, body.p, body.n);
            LP_ASSERT(rc == 0);
        }
    }
    evhttp_send_reply(req->ev, req->status, lp_http_reason(req->status), NULL);
    stop_reading(req->conn);
}

static void
stream_start(struct lp_http_req *req)
{
    req->stream_started = true;
    if (req->head.minor == 0) {
        close_after(req); /* HTTP/1.0 has no chunks: the end of the connection ends the body */
    }
    put_headers(req);
    evhttp_send_reply_start(req->ev, req->status, lp_http_reason(req->status));
    stop_reading(req->conn);
}

static void
stream_chunk(struct lp_http_req *req, struct lp_buf *bytes)
{
    struct evbuffer *chunk = req->t->chunk;
    put_buf(chunk, bytes);
    evhttp_send_reply_chunk(req->ev, chunk);
    evbuffer_drain(chunk, evbuffer_get_length(chunk)); /* what a bodiless answer left */
    stop_reading(req->conn);
}

/* May end the request and the connection. */
static void
stream_finish(struct lp_http_req *req)
{
    struct lp_http_conn *conn = req->conn;
    struct evhttp_request *ev = req->ev;
    if (ev->chunked) {
        struct evbuffer *out = bufferevent_get_output(conn->bev);
        evbuffer_add(out, "0\r\n", 3);
        evbuffer_add(out, req->trailers.p, req->trailers.n);
        evbuffer_add(out, "\r\n", 2);
        ev->chunked = 0;
    }
    evhttp_send_reply_end(ev);
}

/* What the handler's side has left, taken out in one critical section. */
struct taken {
    struct lp_buf bytes;
    bool ended, cut;
};

static struct lp_http_req *
take(struct lp_http_thread *t, struct taken *ret)
{
    lp_lock(&t->mu);
    struct lp_http_req *req = t->mail_first;
    if (req != NULL) {
        t->mail_first = req->mail_next;
        if (t->mail_first == NULL) {
            t->mail_last = &t->mail_first;
        }
        req->mailed = false;
        *ret = (struct taken){req->pending, req->ended, req->cut};
        lp_buf_init(&req->pending, SIZE_MAX);
        req->out_bytes += ret->bytes.n;
    }
    lp_unlock(&t->mu);
    return req;
}

/* The connection has gone: there is nobody to send it to. */
static void
drop(struct lp_http_req *req, const struct taken *got)
{
    if (got->ended) {
        lp_http_req_done(req, 499);
        lp_http_req_free(req);
    }
}

/* A stream that will not be whole. The client must see that: by a status where nothing was sent yet, else by
 * a cut. */
static void
stream_cut(struct lp_http_req *req)
{
    if (req->stream_started) {
        req->answered = true;
        lp_http_conn_close(req->conn); /* frees req */
        return;
    }
    lp_free(req->content_type);
    req->content_type = lp_strdup(TEXT_PLAIN);
    req->status = lp_http_gone(req) ? 503 : 500;
    send_whole(req, LP_STR("the request was given up"));
}

static void
stream_step(struct lp_http_req *req, struct taken *got)
{
    if (got->cut && got->ended) {
        stream_cut(req);
        return;
    }
    if (!req->stream_started) {
        stream_start(req);
    }
    if (got->bytes.n > 0) {
        stream_chunk(req, &got->bytes);
    }
    if (got->ended) {
        req->answered = true;
        stream_finish(req);
    }
}

void
lp_http_mail_take(struct lp_http_thread *t)
{
    struct taken got;
    struct lp_http_req *req;
    while ((req = take(t, &got)) != NULL) {
        if (req->ws != NULL) {
            lp_http_ws_take_over(req);
        } else if (req->conn == NULL) {
            drop(req, &got);
        } else if (req->streaming) {
            stream_step(req, &got);
        } else {
            send_whole(req, lp_buf_view(&req->reply));
        }
        lp_buf_clear(&got.bytes);
    }
    lp_http_ws_mail(t);
}

void
lp_http_reply_sent(struct lp_http_req *req, size_t out_bytes)
{
    lp_lock(&req->t->mu);
    req->out_bytes = out_bytes;
    if (req->pending.n + out_bytes <= req->unsent_max / 2) {
        lp_cond_broadcast(&req->room);
    }
    lp_unlock(&req->t->mu);
}

/* --- for handlers --- */

void
lp_http_add_header(struct lp_http_req *req, const char *name, struct lp_str value)
{
    size_t name_bytes = strlen(name);
    if (!lp_http_value_ok(value) || !lp_http_value_ok(lp_str_of(name, name_bytes))) {
        return;
    }
    struct lp_http_out_header *h = lp_malloc(sizeof(*h) + name_bytes + 1 + value.n + 1);
    h->next = NULL;
    h->name = (char *)(h + 1);
    memcpy(h->name, name, name_bytes + 1);
    h->value = h->name + name_bytes + 1;
    if (value.n > 0) {
        memcpy(h->value, value.p, value.n);
    }
    h->value[value.n] = 0;
    *req->out_last = h;
    req->out_last = &h->next;
}

static void
set_answer(struct lp_http_req *req, int status, const char *content_type)
{
    LP_ASSERT(status >= 200 && status < 600);
    req->status = status;
    if (content_type != NULL) {
        req->content_type = lp_strdup(content_type);
    }
}

static bool
is_text(const char *content_type)
{
    return content_type != NULL &&
           (strncmp(content_type, "text/", 5) == 0 || strncmp(content_type, "application/json", 16) == 0);
}

/* The body as gzip in out, where that is worth it and the client takes it; false: it is sent as it is. */
static bool
compress_body(struct lp_http_req *req, struct lp_str body, struct lp_buf *out)
{
    bool here = lp_http_this_thread() == req->t;
    if (body.n < GZIP_BYTES_MIN || (here && body.n > GZIP_BYTES_HERE) || req->status != 200 ||
        req->head.method == LP_HEAD || !is_text(req->content_type) || lp_http_gone(req) ||
        !lp_http_takes_gzip(lp_http_header(req, "Accept-Encoding")) || !lp_http_gzip(body, out)) {
        return false;
    }
    lp_http_add_header(req, "Content-Encoding", LP_STR("gzip"));
    lp_http_add_header(req, "Vary", LP_STR("Accept-Encoding"));
    return true;
}

/* On its own thread the answer needs no mail. */
static void
reply_here(struct lp_http_req *req, struct lp_str body)
{
    if (req->conn == NULL) {
        lp_http_req_done(req, 499);
        lp_http_req_free(req);
        return;
    }
    send_whole(req, body);
}

/* The body is req->reply, or borrowed and on the request's own thread. */
static void
reply(struct lp_http_req *req, struct lp_str body)
{
    struct lp_buf packed;
    lp_buf_init(&packed, SIZE_MAX);
    if (compress_body(req, body, &packed)) {
        lp_buf_clear(&req->reply);
        req->reply = packed;
        body = lp_buf_view(&req->reply);
    } else {
        lp_buf_clear(&packed);
    }
    if (lp_http_this_thread() == req->t) {
        reply_here(req, body);
    } else {
        hand_back(req, false);
    }
}

void
lp_http_reply(struct lp_http_req *req, int status, const char *content_type, struct lp_str body)
{
    set_answer(req, status, content_type);
    if (lp_http_this_thread() == req->t) {
        reply(req, body);
        return;
    }
    if (!lp_buf_str(&req->reply, body)) {
        req->status = 503;
    }
    reply(req, lp_buf_view(&req->reply));
}

void
lp_http_reply_buf(struct lp_http_req *req, int status, const char *content_type, struct lp_buf *body)
{
    set_answer(req, status, content_type);
    req->reply = *body;
    lp_buf_init(body, body->limit);
    reply(req, lp_buf_view(&req->reply));
}

void
lp_http_error(struct lp_http_req *req, int status, const char *fmt, ...)
{
    va_list ap;
    char text[512];
    va_start(ap, fmt);
    int n = vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    LP_ASSERT(n >= 0);
    if (status == 429 || status == 503) {
        lp_http_add_header(req, "Retry-After", LP_STR("1"));
    }
    if ((size_t)n < sizeof(text)) {
        lp_http_reply(req, status, TEXT_PLAIN, lp_str_of(text, (size_t)n));
        return;
    }
    size_t bytes = LP_MIN((size_t)n, (size_t)ERROR_TEXT_MAX);
    char *large = lp_malloc(bytes + 1);
    va_start(ap, fmt);
    vsnprintf(large, bytes + 1, fmt, ap);
    va_end(ap);
    lp_http_reply(req, status, TEXT_PLAIN, lp_str_of(large, bytes));
    lp_free(large);
}

lp_rc
lp_http_stream_begin(struct lp_http_req *req, int status, const char *content_type, const char *trailer_names)
{
    struct lp_http_thread *t = req->t;
    LP_ASSERT(lp_http_this_thread() == NULL && !req->streaming);
    set_answer(req, status, content_type);
    if (trailer_names != NULL && req->head.minor > 0) {
        lp_http_add_header(req, "Trailer", lp_str_c(trailer_names));
    }
    lp_cond_init(&req->room);
    lp_lock(&t->mu);
    req->streaming = true;
    req->unsent_max = STREAM_UNSENT_MAX;
    req->cut = atomic_load(&req->gone);
    lp_rc rc = req->cut ? LP_ERR_CANCELED : LP_OK;
    bool ring = !req->cut && mail(req);
    lp_unlock(&t->mu);
    if (ring) {
        lp_http_ring(t);
    }
    return rc;
}

/* With the lock held. */
static bool
wait_for_room(struct lp_http_req *req, int64_t deadline_ns)
{
    bool room = req->pending.n + req->out_bytes <= req->unsent_max, late = false;
    while (!room && !late && !atomic_load(&req->gone)) {
        late = !lp_cond_wait_until(&req->room, &req->t->mu, deadline_ns);
        room = req->pending.n + req->out_bytes <= req->unsent_max / 2;
    }
    return room || atomic_load(&req->gone);
}

void
lp_http_stream_limit(struct lp_http_req *req, size_t bytes)
{
    LP_ASSERT(req->streaming);
    lp_lock(&req->t->mu);
    req->unsent_max = bytes;
    lp_unlock(&req->t->mu);
}

bool
lp_http_stream_room(struct lp_http_req *req, int64_t deadline_ns)
{
    LP_ASSERT(req->streaming);
    lp_lock(&req->t->mu);
    bool room = req->head.method == LP_HEAD || wait_for_room(req, deadline_ns);
    lp_unlock(&req->t->mu);
    return room;
}

static lp_rc
write_piece(struct lp_http_req *req, struct lp_str piece)
{
    struct lp_http_thread *t = req->t;
    lp_rc rc = LP_OK;
    bool ring = false;
    lp_lock(&t->mu);
    (void)wait_for_room(req, INT64_MAX);
    if (atomic_load(&req->gone)) {
        rc = LP_ERR_CANCELED;
    } else if (!lp_buf_str(&req->pending, piece)) {
        rc = LP_ERR_NOMEM;
    } else {
        ring = mail(req);
    }
    req->cut = req->cut || rc != LP_OK;
    lp_unlock(&t->mu);
    if (ring) {
        lp_http_ring(t);
    }
    return rc;
}

lp_rc
lp_http_stream_write(struct lp_http_req *req, struct lp_str bytes)
{
    LP_ASSERT(req->streaming);
    lp_rc rc = LP_OK;
    if (req->head.method == LP_HEAD) {
        return lp_http_gone(req) ? LP_ERR_CANCELED : LP_OK;
    }
    while (rc == LP_OK && bytes.n > 0) {
        struct lp_str piece = lp_str_sub(bytes, 0, STREAM_PIECE_BYTES);
        bytes = lp_str_sub(bytes, piece.n, bytes.n);
        rc = write_piece(req, piece);
    }
    return rc;
}

void
lp_http_stream_end(struct lp_http_req *req, const struct lp_pair *trailers, size_t n)
{
    LP_ASSERT(req->streaming);
    for (size_t i = 0; i < n && req->head.minor > 0; i++) {
        if (!lp_http_value_ok(trailers[i].name) || !lp_http_value_ok(trailers[i].value)) {
            continue;
        }
        lp_buf_str(&req->trailers, trailers[i].name);
        lp_buf_c(&req->trailers, ": ");
        lp_buf_str(&req->trailers, trailers[i].value);
        lp_buf_c(&req->trailers, "\r\n");
    }
    hand_back(req, req->trailers.failed);
}

void
lp_http_stream_abort(struct lp_http_req *req)
{
    LP_ASSERT(req->streaming);
    hand_back(req, true);
}

/* --- answers without evhttp --- */

void
lp_http_refusal(struct lp_buf *out, enum lp_http_method method, int status, const char *extra,
                struct lp_str text)
{
    char date[64];
    evutil_date_rfc1123(date, sizeof(date), NULL);
    lp_buf_printf(out, "HTTP/1.1 %d %s\r\nDate: %s\r\n", status, lp_http_reason(status), date);
    lp_buf_printf(out, "Content-Type: " TEXT_PLAIN "\r\nContent-Length: %zu\r\n", text.n);
    if (status == 429 || status == 503) {
        lp_buf_c(out, "Retry-After: 1\r\n");
    }
    lp_buf_c(out, extra);
    lp_buf_c(out, "Connection: close\r\n\r\n");
    if (method != LP_HEAD) {
        lp_buf_str(out, text);
    }
}
