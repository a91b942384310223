/*
 * handlers_push.c - pushes over HTTP: each runs on an ingest worker and is answered when it is stored (204)
 * or refused.
 */
#include "base/metrics.h"
#include "server/server.h"

static void
gather(struct lp_http_req *req, struct lp_str tenant, struct lp_push *p)
{
    static const struct lp_str methods[] = {{"POST", 4}, {"PUT", 3}};
    const struct lp_pair *headers;
    size_t n = lp_http_headers(req, &headers);
    *p = (struct lp_push){
        .method = methods[lp_http_method(req) == LP_PUT],
        .target = lp_http_target(req),
        .peer = lp_http_peer(req),
        .tenant = tenant,
        .key = lp_http_header(req, "Idempotency-Key"),
        .body = lp_http_body(req),
        .received_ns = lp_now_ns(),
    };
    for (size_t i = 0; i < n && p->nheaders < LP_PUSH_HEADERS_MAX; i++) {
        if (lp_push_header_kept(headers[i].name)) {
            p->headers[p->nheaders++] = headers[i];
        }
    }
}

/* Any thread. */
static void
answer(void *ctx, lp_rc rc, bool duplicate, const struct lp_err *err)
{
    struct lp_http_req *req = ctx;
    if (rc == LP_OK) {
        if (duplicate) { /* for `logpond push`, which tells its user */
            lp_http_add_header(req, "X-Logpond-Duplicate", LP_STR("1"));
        }
        lp_http_reply(req, 204, NULL, LP_STR_NULL);
        return;
    }
    bool pressure =
        rc == LP_ERR_BUSY || rc == LP_ERR_TIMEOUT || rc == LP_ERR_DISK_FULL || rc == LP_ERR_SHUTDOWN;
    lp_metric_add(pressure ? LP_M_INGEST_NO_ROOM : LP_M_INGEST_REFUSED, 1);
    lp_server_error(req, rc, err);
}

static void
work_push(struct lp_http_req *req, struct lp_server *s)
{
    struct lp_str tenant;
    struct lp_push push;
    if (!lp_server_tenant(s, req, &tenant)) {
        return;
    }
    gather(req, tenant, &push);
    struct lp_decoder *d = lp_server_decoder(s);
    struct lp_intake in = s->intake;
    in.push_wait_ns = LP_SETTING(&s->set, push_wait);
    lp_intake_push(&in, d, &push, answer, req);
    lp_server_decoder_back(s, d);
}

const struct lp_work_route lp_push_routes[] = {
    {LP_POST, "/loki/api/v1/push", work_push, true},
    {LP_POST, "/api/prom/push", work_push, true},
    {LP_POST | LP_PUT, "/insert/jsonline", work_push, true},
};
const size_t lp_push_nroutes = LP_ARRAY_LEN(lp_push_routes);
