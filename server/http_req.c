/*
 * http_req.c - the request object: its making and end, and what handlers read from it.
 *
 * Everything a reader returns was written before the handler was called and does not change, so any thread
 * may read it. The one exception is the `gone` flag, an atomic.
 */
#include "server/http_int.h"

#include "base/clock.h"

#define ARENA_FIRST_CHUNK 2048u
#define ARENA_SPARE_BYTES (1024u * 1024)

static const char no_body[LP_BUF_PAD];

struct lp_http_req *
lp_http_req_new(struct lp_http_conn *conn)
{
    struct lp_http_req *req = lp_calloc(1, sizeof(*req));
    struct lp_http *h = conn->t->h;
    req->h = h;
    req->t = conn->t;
    req->conn = conn;
    req->out_last = &req->out_first;
    size_t budget = ARENA_SPARE_BYTES + 8 * h->cfg.header_bytes_max + 2 * h->cfg.body_bytes_max;
    lp_arena_init(&req->arena, budget, ARENA_FIRST_CHUNK);
    lp_buf_init(&req->body, 0);
    lp_buf_init(&req->reply, SIZE_MAX);
    lp_buf_init(&req->pending, SIZE_MAX);
    lp_buf_init(&req->trailers, SIZE_MAX);
    atomic_fetch_add(&h->requests, 1);
    return req;
}

void
lp_http_req_free(struct lp_http_req *req)
{
    struct lp_http *h = req->h;
    LP_ASSERT(!req->mailed && req->ev == NULL);
    while (req->out_first != NULL) {
        struct lp_http_out_header *next = req->out_first->next;
        lp_free(req->out_first);
        req->out_first = next;
    }
    lp_free(req->content_type);
    lp_buf_clear(&req->body);
    lp_buf_clear(&req->reply);
    lp_buf_clear(&req->pending);
    lp_buf_clear(&req->trailers);
    lp_arena_clear(&req->arena);
    if (req->streaming) {
        lp_cond_destroy(&req->room);
    }
    atomic_fetch_sub(&h->body_bytes, req->body_counted);
    if (req->handed) {
        atomic_fetch_add(&h->done, 1);
    }
    lp_free(req);
    atomic_fetch_sub(&h->requests, 1);
}

void
lp_http_req_gone(struct lp_http_req *req)
{
    lp_lock(&req->t->mu);
    atomic_store(&req->gone, true);
    if (req->streaming) {
        lp_cond_broadcast(&req->room);
    }
    lp_unlock(&req->t->mu);
}

void
lp_http_req_done(struct lp_http_req *req, int status)
{
    const struct lp_http_config *cfg = &req->h->cfg;
    if (cfg->on_done != NULL) {
        const char *target =
            req->head.target.p != NULL ? req->head.target.p : "-"; /* NUL-terminated, see http_conn.c */
        int64_t took = req->received_ns != 0 ? lp_mono_ns() - req->received_ns : 0;
        cfg->on_done(cfg->ctx, lp_http_method_name(req->head.method), target, status, took);
    }
}

enum lp_http_method
lp_http_method(const struct lp_http_req *req)
{
    return req->head.method;
}

struct lp_str
lp_http_target(const struct lp_http_req *req)
{
    return req->head.target;
}

struct lp_str
lp_http_path(const struct lp_http_req *req)
{
    return req->path;
}

struct lp_str
lp_http_wild(const struct lp_http_req *req, unsigned i)
{
    return i < req->nwilds ? req->wilds[i] : LP_STR_NULL;
}

struct lp_str
lp_http_header(const struct lp_http_req *req, const char *name)
{
    struct lp_str want = lp_str_c(name);
    for (size_t i = 0; i < req->head.nheaders; i++) {
        if (lp_str_ieq(req->head.headers[i].name, want)) {
            return req->head.headers[i].value;
        }
    }
    return LP_STR_NULL;
}

struct lp_str
lp_http_body(const struct lp_http_req *req)
{
    return req->body.p != NULL ? lp_buf_view(&req->body) : lp_str_of(no_body, 0);
}

struct lp_str
lp_http_peer(const struct lp_http_req *req)
{
    return req->peer;
}

size_t
lp_http_headers(const struct lp_http_req *req, const struct lp_pair **ret)
{
    *ret = req->head.headers;
    return req->head.nheaders;
}

struct lp_arena *
lp_http_arena(struct lp_http_req *req)
{
    return &req->arena;
}

bool
lp_http_gone(const struct lp_http_req *req)
{
    return atomic_load_explicit(&req->gone, memory_order_relaxed);
}

const _Atomic bool *
lp_http_gone_flag(const struct lp_http_req *req)
{
    return &req->gone;
}
