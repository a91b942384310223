/*
 * handlers_query_meta.c - what there is to search: label names and values, series, index/stats.
 */
#include "query/parse.h"
#include "query/result.h"
#include "server/handlers_query.h"

#define SELECTORS_MAX 100

static const struct lp_logql_opts ANY = {.allow_empty_selector = true};

struct lp_streams_query
lp_query_streams_query(const struct lp_query_call *c)
{
    return (struct lp_streams_query){
        .store = c->s->store,
        .tenant = c->tenant,
        .share = &c->s->query_memory,
        .budget_bytes = (size_t)LP_SETTING(&c->s->set, query_bytes),
        .deadline_ns = c->deadline_ns,
        .cancel = lp_http_gone_flag(c->req),
    };
}

lp_rc
lp_query_selected(struct lp_query_call *c, struct lp_streams_query *q, const struct lp_log_query **selector)
{
    struct lp_str text = lp_query_param(c, "query");
    lp_rc rc = lp_query_range(c, &q->from_ns, &q->to_ns);
    if (rc == LP_OK && text.n > 0) {
        rc = lp_logql_parse_selector(text, NULL, &c->ar, selector, &c->err);
        q->selectors = selector;
        q->nselectors = 1;
    }
    return rc;
}

/* Label names, or values of one label: of all streams, or those of ?query=. */
static lp_rc
names(struct lp_query_call *c, const struct lp_str *name, struct lp_buf *out)
{
    struct lp_streams_query q = lp_query_streams_query(c);
    struct lp_names found;
    const struct lp_log_query *selector;
    lp_rc rc = lp_query_selected(c, &q, &selector);
    if (rc == LP_OK) {
        rc = lp_streams_names(&q, name, &found, &c->err);
    }
    if (rc == LP_OK) {
        rc = lp_result_names(&found, out, &c->err);
        lp_names_clear(&found);
    }
    return rc;
}

static lp_rc
labels(struct lp_query_call *c, struct lp_buf *out)
{
    return names(c, NULL, out);
}

static lp_rc
values(struct lp_query_call *c, struct lp_buf *out)
{
    struct lp_str name = lp_http_wild(c->req, 0);
    return names(c, &name, out);
}

/* The selectors of match and match[], both repeatable. */
static lp_rc
parse_matches(struct lp_query_call *c, const struct lp_log_query **ret, size_t *ret_n)
{
    lp_rc rc = LP_OK;
    *ret_n = 0;
    for (size_t i = 0; i < c->nparams && rc == LP_OK; i++) {
        struct lp_str name = c->params[i].name;
        if (!lp_str_eqc(name, "match") && !lp_str_eqc(name, "match[]")) {
            continue;
        }
        if (*ret_n == SELECTORS_MAX) {
            return lp_err_set(&c->err, LP_ERR_LIMIT, "more than %d matchers in one request", SELECTORS_MAX);
        }
        rc = lp_logql_parse_selector(c->params[i].value, &ANY, &c->ar, &ret[*ret_n], &c->err);
        *ret_n += rc == LP_OK;
    }
    return rc;
}

static lp_rc
series(struct lp_query_call *c, struct lp_buf *out)
{
    struct lp_label_sets sets;
    const struct lp_log_query *selectors[SELECTORS_MAX];
    struct lp_streams_query q = lp_query_streams_query(c);
    q.selectors = selectors;
    lp_rc rc = lp_query_range(c, &q.from_ns, &q.to_ns);
    if (rc == LP_OK) {
        rc = parse_matches(c, selectors, &q.nselectors);
    }
    if (rc == LP_OK) {
        rc = lp_streams_find(&q, &sets, &c->err);
    }
    if (rc == LP_OK) {
        rc = lp_result_series(&sets, out, &c->err);
        lp_label_sets_clear(&sets);
    }
    return rc;
}

static lp_rc
stats(struct lp_query_call *c, struct lp_buf *out)
{
    struct lp_stream_counts n;
    const struct lp_log_query *selector;
    struct lp_streams_query q = lp_query_streams_query(c);
    int64_t step;
    q.selectors = &selector;
    q.nselectors = 1;
    lp_rc rc = lp_query_range(c, &q.from_ns, &q.to_ns);
    rc = rc == LP_OK ? lp_query_check(c) : rc;
    rc = rc == LP_OK ? lp_query_step(c, q.from_ns, q.to_ns, &step) : rc;
    if (rc == LP_OK) {
        rc = lp_logql_parse_selector(lp_query_param(c, "query"), NULL, &c->ar, &selector, &c->err);
    }
    if (rc == LP_OK) {
        rc = lp_streams_count(&q, &n, &c->err);
    }
    if (rc == LP_OK) {
        lp_buf_printf(out, "{\"streams\":%llu,\"chunks\":%llu,\"bytes\":%llu,\"entries\":%llu}\n",
                      (unsigned long long)n.streams, (unsigned long long)n.chunks,
                      (unsigned long long)n.bytes, (unsigned long long)n.entries);
    }
    return rc;
}

/* ------------------------------------------------------------------ requests */

void
lp_query_work_labels(struct lp_http_req *req, struct lp_server *s)
{
    lp_query_answer(req, s, labels);
}

void
lp_query_work_values(struct lp_http_req *req, struct lp_server *s)
{
    lp_query_answer(req, s, values);
}

void
lp_query_work_series(struct lp_http_req *req, struct lp_server *s)
{
    lp_query_answer(req, s, series);
}

void
lp_query_work_stats(struct lp_http_req *req, struct lp_server *s)
{
    lp_query_answer(req, s, stats);
}
