/*
 * handlers_tail.c - /loki/api/v1/tail: its parameters, and the refusals that come before it is a WebSocket.
 */
#include "server/handlers_query.h"
#include "server/tails.h"

#define LIMIT_DEFAULT 100
#define DELAY_MAX_NS (5 * LP_NS_PER_S)

static lp_rc
read_ask(struct lp_query_call *c, struct lp_tail_ask *ret)
{
    int64_t end_ns;
    ret->tenant = c->tenant;
    ret->query = lp_query_param(c, "query");
    ret->cursor = lp_query_param(c, "cursor");
    ret->categorize = lp_query_wants_categories(c->req);
    lp_rc rc = lp_query_limit(c, LIMIT_DEFAULT, (size_t)LP_SETTING(&c->s->set, max_entries), &ret->limit);
    rc = rc == LP_OK ? lp_query_range(c, &ret->from_ns, &end_ns) : rc;
    rc = rc == LP_OK ? lp_query_duration(c, "delay_for", 0, &ret->delay_ns) : rc;
    if (rc == LP_OK && (ret->delay_ns < 0 || ret->delay_ns > DELAY_MAX_NS)) {
        rc = lp_err_set(&c->err, LP_ERR_PARSE, "delay_for can't be less than 0 or greater than 5 seconds");
    }
    return rc;
}

void
lp_query_work_tail(struct lp_http_req *req, struct lp_server *s)
{
    struct lp_query_call c;
    struct lp_tail_ask ask = {.delay_ns = 0};
    if (!lp_query_begin(&c, req, s)) {
        return;
    }
    const char *why;
    int status = lp_ws_check(req, &why);
    lp_rc rc = read_ask(&c, &ask);
    if (rc == LP_OK && status != 0) {
        if (status == 426) {
            lp_http_add_header(req, "Sec-WebSocket-Version", LP_STR("13"));
        }
        lp_http_error(req, status, "%s", why);
    } else {
        rc = rc == LP_OK ? lp_tails_add(s->tails, req, &ask, &c.err) : rc;
        if (rc != LP_OK) {
            lp_query_fail(&c, rc);
        }
    }
    lp_query_end(&c);
}
