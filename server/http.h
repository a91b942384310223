/*
 * http.h - the one door to libevent: a hardened HTTP/1.1 service over several threads, each with its own event_base.
 *
 * Handlers run on the request's HTTP thread and must not block: they answer at once, or hand the request to a worker,
 * which may call the functions marked [any thread]. Every request is answered exactly once (lp_http_reply, or a stream
 * that is begun and ended), after which the pointer is invalid for the caller. A request is its handler's until it is
 * answered, also when the client has long gone.
 *
 * What this layer does itself: limits (head 431 / URL 414 / body 413, also for Expect: 100-continue before the body is sent and for chunked
 * bodies without a length), absolute times per connection (headers 10 s, minimum body rate, write stall 30 s, idle keep-alive 120 s),
 * duplicate or bad Content-Length 400 and close, both Content-Length and Transfer-Encoding 400 and close, unknown methods 501, most open connections (503 and close),
 * HEAD, OPTIONS, PATCH let through to handlers, noticing a client that left while its request is pending.
 * Refusals are text/plain, close the connection, and reach also a client that is still sending (the connection lingers until it
 * has read them, at most linger_ns). A client that closes its sending side counts as gone, but is still answered.
 */
#ifndef LP_SERVER_HTTP_H
#define LP_SERVER_HTTP_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "server/pack.h"

struct lp_http;     /* the service */
struct lp_http_req; /* one request */

enum lp_http_method { LP_GET = 1, LP_POST = 2, LP_PUT = 4, LP_DELETE = 8, LP_HEAD = 16, LP_OPTIONS = 32, LP_PATCH = 64 };

typedef void (*lp_http_handler)(struct lp_http_req *req, void *ctx);

/*
 * One route. A pattern is an exact path, or has "*" as a whole path segment that matches one non-empty segment
 * ("/loki/api/v1/label/ * /values" without the blanks), or ends in "/ **" (again without the blank) for any rest. Segments
 * are decoded before they are compared, so "%2F" stands inside one. The first route that matches path and method wins.
 * A path that matches with another method is 405 with Allow; none is 404.
 * HEAD is served by GET handlers (body dropped). OPTIONS is answered with Allow unless a route takes it.
 */
struct lp_http_route {
    unsigned methods;
    const char *pattern;
    lp_http_handler handler;
    void *ctx;
    size_t body_max; /* 0: the service's limit */
};

/* Every limit and time must be set; 0 means its default only where that is said. */
struct lp_http_config {
    const char *listen; /* "127.0.0.1:3100", "[::1]:3100", ":3100" for all addresses, port 0 for any */
    unsigned threads;
    size_t body_bytes_max, header_bytes_max, connections_max;
    size_t inflight_bytes_max; /* bodies in memory over all connections; beyond it new bodies are answered 503 with Retry-After */
    const char *cors_origin; /* whose pages may read answers, or "*"; NULL: none. Must outlive the service */
    int64_t header_timeout_ns, write_stall_ns, idle_ns;
    int64_t body_bytes_per_s_min; /* averaged over each body_window_ns of receiving; slower is 408 and close */
    int64_t body_window_ns;       /* 0: 10 s */
    int64_t linger_ns;            /* how long a refused client may go on sending before the connection is cut; 0: 2 s */
    const struct lp_http_route *routes;
    size_t nroutes;
    /*
     * Called after each answer, refusals included, on the HTTP thread, for metrics and the access log (may be NULL). Status 499: the
     * client left before it was answered. method and target are "-" where the head was not understood.
     */
    void (*on_done)(void *ctx, const char *method, const char *target, int status, int64_t duration_ns);
    void *ctx;
};

/* Binds and starts the threads; ignores SIGPIPE. Routes must outlive the service. LP_ERR_IO with errno (EADDRINUSE ...), LP_ERR_PARSE on a malformed address. */
lp_rc lp_http_start(const struct lp_http_config *cfg, struct lp_http **ret, struct lp_err *err) LP_MUST_USE;
/* "127.0.0.1:43211": the address really bound. */
const char *lp_http_address(const struct lp_http *h);
/*
 * Stops accepting; tells pending requests (lp_http_gone); waits until they are answered or the deadline passes (lp_mono_ns),
 * then closes connections and joins. Requests whose head or body is still coming in are answered 503. Idempotent; not from an HTTP thread.
 */
void lp_http_stop(struct lp_http *h, int64_t deadline_ns);
/* Stops at once where _stop was not called. Every request must have been answered: end the workers first. NULL is fine. */
void lp_http_free(struct lp_http *h);
size_t lp_http_connections(const struct lp_http *h);

/* Counters since the start and what is alive now; a moment's view. */
struct lp_http_stats {
    size_t connections;     /* open now */
    size_t requests;        /* alive now: coming in, pending, or being answered */
    size_t body_bytes;      /* memory of their bodies */
    uint64_t accepted;      /* connections */
    uint64_t refused;       /* requests and connections that this layer refused by itself */
    uint64_t started, done; /* requests given to handlers; of those, answered or given up */
};
void lp_http_stats(const struct lp_http *h, struct lp_http_stats *ret);

/* --- a request; slices live as long as it does [any thread] --- */
enum lp_http_method lp_http_method(const struct lp_http_req *req);
struct lp_str lp_http_target(const struct lp_http_req *req);                 /* as sent: path and query string */
struct lp_str lp_http_path(const struct lp_http_req *req);                   /* percent-decoded */
struct lp_str lp_http_wild(const struct lp_http_req *req, unsigned i);       /* i-th "*" of the route, decoded; the rest for "**" */
struct lp_str lp_http_header(const struct lp_http_req *req, const char *name); /* {NULL,0} when absent */
struct lp_str lp_http_body(const struct lp_http_req *req);                   /* contiguous, followed by LP_BUF_PAD readable bytes */
struct lp_str lp_http_peer(const struct lp_http_req *req);                   /* "127.0.0.1:5555" */
/* All headers, in order (for the journal). */
size_t lp_http_headers(const struct lp_http_req *req, const struct lp_pair **ret);
/* Parameters of the query string, then of a form body (POST, application/x-www-form-urlencoded), decoded, in order. LP_ERR_PARSE on bad escapes, LP_ERR_LIMIT over 1000. */
lp_rc lp_http_params(struct lp_http_req *req, const struct lp_pair **ret, size_t *ret_n, struct lp_err *err) LP_MUST_USE;
/* Memory that lives as long as the request; used by one thread at a time. Its budget is a few times the head and the body. */
struct lp_arena *lp_http_arena(struct lp_http_req *req);
/* True once the client has gone or the service stops: work for this request should end. A plain atomic read. */
bool lp_http_gone(const struct lp_http_req *req);
const _Atomic bool *lp_http_gone_flag(const struct lp_http_req *req);

/*
 * --- answers [any thread] ---
 * Whole answers of at least 1 KiB of text or JSON with status 200 are sent as gzip to clients that take it. With cors_origin set, whole answers to GET say that
 * pages of that origin may read them, and OPTIONS is answered as a browser's preflight wants it.
 */
/* Adds a header to the coming answer. Name and value are copied; one with CR, LF or NUL is left out. */
void lp_http_add_header(struct lp_http_req *req, const char *name, struct lp_str value);
/* Whole answer; body is copied. content_type NULL: none. */
void lp_http_reply(struct lp_http_req *req, int status, const char *content_type, struct lp_str body);
/* As above, taking over the memory of body (which becomes empty): no copy. */
void lp_http_reply_buf(struct lp_http_req *req, int status, const char *content_type, struct lp_buf *body);
/* text/plain; charset=utf-8 with the message. Adds Retry-After: 1 for 429 and 503. */
void lp_http_error(struct lp_http_req *req, int status, const char *fmt, ...) LP_PRINTF(3, 4);

/*
 * Streamed answers, from a worker thread only (never an HTTP thread). Writes wait while more than 1 MiB is unsent, so a slow client paces the
 * producer. LP_ERR_CANCELED once the client has gone or stalled, or the service stops: the caller still calls _end, which frees; such a
 * stream is cut, never ended as if it were whole. Trailers (chunked only) are sent by _end; trailer_names (may be NULL) announces them.
 * Each write is on its way when it returns; small ones are sent together where the client is slower.
 */
lp_rc lp_http_stream_begin(struct lp_http_req *req, int status, const char *content_type, const char *trailer_names) LP_MUST_USE;
lp_rc lp_http_stream_write(struct lp_http_req *req, struct lp_str bytes) LP_MUST_USE;
/* From now on writes wait while more than so much is unsent, in place of 1 MiB: for streams that are many. */
void lp_http_stream_limit(struct lp_http_req *req, size_t bytes);
/* Waits until a write would not wait, at most until deadline_ns (lp_mono_ns); false: it still would. Who holds something may let go of it then. */
bool lp_http_stream_room(struct lp_http_req *req, int64_t deadline_ns);
void lp_http_stream_end(struct lp_http_req *req, const struct lp_pair *trailers, size_t n);
/* In place of _end: cuts the connection (or answers 500, if nothing was sent yet), so that the client sees that the answer is not whole. */
void lp_http_stream_abort(struct lp_http_req *req);
/* How an answer may be compressed, by a header Accept-Encoding: zstd before gzip. Streams are sent as they are written: who compresses one says so in its headers. */
enum lp_pack_kind lp_http_encoding(struct lp_str accept);

/*
 * --- WebSockets (http_ws.c) ---
 *
 * A request that asks for it can be answered by becoming one. Messages go out in the order of lp_ws_send; what the client sends but control frames is
 * thrown away. It is pinged every second. At the service's stop the connection is cut without a closing handshake: clients take that
 * as a reason to come back.
 */
struct lp_ws;
struct lp_ws_msg; /* ws.h */
#define LP_WS_LOW_BYTES (256u << 10)

/* Called on the HTTP thread (gone: where the service has ended meanwhile, on the thread that upgrades), without locks. */
struct lp_ws_ops {
    void (*room)(void *ctx, int64_t stalled_ns); /* as asked for by lp_ws_want_room; the longest time since then in which the client took nothing */
    void (*gone)(void *ctx); /* the connection has ended: the last call; once */
};

/* Whether the request asks for a WebSocket as it should: 0, or the status to refuse it with and why. */
int lp_ws_check(const struct lp_http_req *req, const char **why);
/* Answers a request that lp_ws_check has passed [any thread]. *ret is the caller's, to be given back by lp_ws_unref; it is set before any call of ops. */
void lp_http_upgrade(struct lp_http_req *req, const struct lp_ws_ops *ops, void *ctx, struct lp_ws **ret);
/* Takes a reference of its own. After the end it does nothing [any thread]. */
void lp_ws_send(struct lp_ws *ws, struct lp_ws_msg *m);
/* Says goodbye, behind what was sent. The first call counts [any thread]. */
void lp_ws_close(struct lp_ws *ws, uint16_t code, const char *reason);
/* Bytes that the client's socket has not taken [any thread]. */
size_t lp_ws_unsent(const struct lp_ws *ws);
/* Asks for one call of ops->room once LP_WS_LOW_BYTES or less are unsent; false where that is so already: there will be no call [any thread]. */
bool lp_ws_want_room(struct lp_ws *ws);
void lp_ws_unref(struct lp_ws *ws);

#endif
