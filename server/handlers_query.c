/*
 * handlers_query.c - searches over HTTP, in Loki's API: query_range, query, format_query, and the table of
 * all query routes. Each request runs on a query worker.
 */
#include "query/parse.h"
#include "query/print.h"
#include "query/result.h"
#include "server/handlers_query.h"

#define LIMIT_DEFAULT 100
#define GRACE_NS (5 * LP_NS_PER_S) /* for the lines of what was found until a query's time was over */
#define SERIES_MAX 500             /* of one answer, as in Loki */

bool
lp_query_wants_categories(const struct lp_http_req *req)
{
    struct lp_str rest = lp_http_header(req, "X-Loki-Response-Encoding-Flags");
    while (rest.n > 0) {
        if (lp_str_eqc(lp_str_cut(&rest, ','), "categorize-labels")) {
            return true;
        }
    }
    return false;
}

/* What Logpond can do beyond Loki's parameters. */
static lp_rc
extras(struct lp_query_call *c, struct lp_search *q)
{
    lp_rc rc = lp_query_context(c, &q->context_before, &q->context_after);
    q->grace_ns = LP_SETTING(&c->s->set, partial_results) ? GRACE_NS : 0;
    if (rc == LP_OK && q->interval_ns > 0 && (q->context_before > 0 || q->context_after > 0)) {
        rc = lp_err_set(&c->err, LP_ERR_PARSE, "context does not go with an interval");
    }
    return rc;
}

/* more: the answer can show what is beyond Loki's. */
static lp_rc
search(struct lp_query_call *c, const struct lp_log_query *log, int64_t start_ns, int64_t end_ns, bool more,
       struct lp_buf *out)
{
    struct lp_server *s = c->s;
    struct lp_search q = {
        .store = s->store,
        .tenant = c->tenant,
        .log = log,
        .from_ns = start_ns,
        .to_ns = end_ns,
        .pool = s->queries,
        .deadline_ns = c->deadline_ns,
        .cancel = lp_http_gone_flag(c->req),
        .share = &s->query_memory,
        .scan_bytes = (uint64_t)LP_SETTING(&s->set, query_scan),
        .budget_bytes = (size_t)LP_SETTING(&s->set, query_bytes),
        .want_labels = true,
    };
    struct lp_found found;
    lp_rc rc = lp_query_limit(c, LIMIT_DEFAULT, (size_t)LP_SETTING(&s->set, max_entries), &q.limit);
    if (rc == LP_OK) {
        rc = lp_query_direction(c, true, &q.backward);
    }
    if (rc == LP_OK) {
        rc = lp_query_duration(c, "interval", 0, &q.interval_ns);
    }
    if (rc == LP_OK && q.interval_ns < 0) {
        rc = lp_err_set(&c->err, LP_ERR_PARSE, "interval must be >= 0");
    }
    rc = rc == LP_OK && more ? extras(c, &q) : rc;
    if (rc == LP_OK) {
        rc = lp_search(&q, &found, &c->err);
    }
    if (rc == LP_OK) {
        rc = lp_result_streams(&found, lp_query_wants_categories(c->req), out, &c->err);
        lp_found_clear(&found);
    }
    return rc;
}

/* The series of an expression, at steps from start_ns to end_ns; with step_ns 0 at start_ns alone. */
static lp_rc
series(struct lp_query_call *c, const struct lp_expr *e, int64_t start_ns, int64_t end_ns, int64_t step_ns,
       struct lp_matrix *ret)
{
    struct lp_server *s = c->s;
    struct lp_metric_query q = {
        .store = s->store,
        .tenant = c->tenant,
        .expr = e,
        .start_ns = start_ns,
        .step_ns = LP_MAX(step_ns, (int64_t)1),
        .steps = 1,
        .instant = step_ns == 0,
        .max_series = SERIES_MAX,
        .pool = s->queries,
        .deadline_ns = c->deadline_ns,
        .cancel = lp_http_gone_flag(c->req),
        .share = &s->query_memory,
        .scan_bytes = (uint64_t)LP_SETTING(&s->set, query_scan),
        .budget_bytes = (size_t)LP_SETTING(&s->set, query_bytes),
    };
    if (step_ns > 0) {
        q.steps += (size_t)(((uint64_t)end_ns - (uint64_t)start_ns) / (uint64_t)step_ns);
    }
    return lp_metric_eval(&q, ret, &c->err);
}

/* Loki floors the start and raises the end to multiples of the step. */
static void
align(int64_t *start_ns, int64_t *end_ns, int64_t step_ns)
{
    int64_t past = *start_ns % step_ns, short_of = *end_ns % step_ns;
    if (__builtin_sub_overflow(*start_ns, past < 0 ? past + step_ns : past, start_ns)) {
        *start_ns = LP_TIME_MIN;
    }
    if (short_of != 0 &&
        __builtin_add_overflow(*end_ns, short_of < 0 ? -short_of : step_ns - short_of, end_ns)) {
        *end_ns = LP_TIME_MAX;
    }
}

static lp_rc
metric_range(struct lp_query_call *c, const struct lp_expr *e, int64_t start_ns, int64_t end_ns,
             int64_t step_ns, struct lp_buf *out)
{
    struct lp_matrix m;
    align(&start_ns, &end_ns, step_ns);
    lp_rc rc = series(c, e, start_ns, end_ns, step_ns, &m);
    if (rc == LP_OK) {
        rc = lp_result_series_matrix(&m, out, &c->err);
        lp_matrix_clear(&m);
    }
    return rc;
}

static lp_rc
range(struct lp_query_call *c, struct lp_buf *out)
{
    const struct lp_expr *e;
    int64_t start_ns, end_ns, step_ns;
    lp_rc rc = lp_query_range(c, &start_ns, &end_ns);
    rc = rc == LP_OK ? lp_query_check(c) : rc;
    if (rc == LP_OK) {
        rc = lp_query_step(c, start_ns, end_ns, &step_ns);
    }
    if (rc == LP_OK) {
        rc = lp_query_parse(c, &e);
    }
    if (rc != LP_OK) {
        return rc;
    }
    return e->kind == LP_EXPR_LOG ? search(c, &e->log, start_ns, end_ns, true, out)
                                  : metric_range(c, e, start_ns, end_ns, step_ns, out);
}

static void
work_query_range(struct lp_http_req *req, struct lp_server *s)
{
    lp_query_answer(req, s, range);
}

static lp_rc
metric_instant(struct lp_query_call *c, const struct lp_expr *e, int64_t ns, struct lp_buf *out)
{
    struct lp_matrix m;
    lp_rc rc = series(c, e, ns, ns, 0, &m);
    if (rc == LP_OK) {
        rc = lp_result_series_vector(&m, out, &c->err);
        lp_matrix_clear(&m);
    }
    return rc;
}

static lp_rc
instant(struct lp_query_call *c, struct lp_buf *out)
{
    const struct lp_expr *e;
    int64_t ns;
    lp_rc rc = lp_query_check(c);
    rc = rc == LP_OK ? lp_query_time(c, "time", c->now_ns, &ns) : rc;
    if (rc == LP_OK) {
        rc = lp_query_parse(c, &e);
    }
    if (rc == LP_OK && e->kind == LP_EXPR_LOG) {
        return lp_err_set(
            &c->err, LP_ERR_PARSE,
            "log queries are not supported as an instant query type, please change your query to a "
            "range query type");
    }
    return rc == LP_OK ? metric_instant(c, e, ns, out) : rc;
}

static void
work_query(struct lp_http_req *req, struct lp_server *s)
{
    lp_query_answer(req, s, instant);
}

static void
work_format_query(struct lp_http_req *req, struct lp_server *s)
{
    struct lp_query_call c;
    struct lp_buf text, out;
    const struct lp_expr *e;
    if (!lp_query_begin(&c, req, s)) {
        return;
    }
    lp_buf_init(&text, 4 << 20);
    lp_buf_init(&out, 16 << 20);
    lp_rc rc = lp_query_parse(&c, &e);
    if (rc == LP_OK && !lp_logql_pretty(e, &text)) {
        rc = lp_err_set(&c.err, LP_ERR_LIMIT, "the formatted query is too long");
    }
    lp_buf_printf(&out, "{\"status\":\"%s\",\"%s\":", rc == LP_OK ? "success" : "invalid-query",
                  rc == LP_OK ? "data" : "error");
    lp_buf_json(&out, rc == LP_OK ? lp_buf_view(&text) : lp_str_c(c.err.text));
    lp_buf_c(&out, "}\n");
    lp_http_reply_buf(req, rc == LP_OK ? 200 : 400, "application/json; charset=UTF-8", &out);
    lp_buf_clear(&text);
    lp_buf_clear(&out);
    lp_query_end(&c);
}

lp_rc
lp_query_streams(struct lp_query_call *c, const struct lp_log_query *log, int64_t start_ns, int64_t end_ns,
                 struct lp_buf *out)
{
    return search(c, log, start_ns, end_ns, false, out);
}

#define READ (LP_GET | LP_POST)
#define LOKI "/loki/api/v1"
#define OLD "/api/prom"

const struct lp_work_route lp_query_routes[] = {
    {READ, LOKI "/query_range", work_query_range, false},
    {READ, LOKI "/query", work_query, false},
    {READ, LOKI "/labels", lp_query_work_labels, false},
    {READ, LOKI "/label", lp_query_work_labels, false},
    {READ, LOKI "/label/*/values", lp_query_work_values, false},
    {READ, LOKI "/series", lp_query_work_series, false},
    {READ, LOKI "/index/stats", lp_query_work_stats, false},
    {READ, LOKI "/index/volume", lp_query_work_volume, false},
    {READ, LOKI "/index/volume_range", lp_query_work_volume_range, false},
    {READ, LOKI "/patterns", lp_query_work_patterns, false},
    {READ, LOKI "/detected_labels", lp_query_work_detected_labels, false},
    {READ, LOKI "/detected_fields", lp_query_work_detected_fields, false},
    {READ, LOKI "/detected_field/*/values", lp_query_work_detected_values, false},
    {READ, LOKI "/format_query", work_format_query, false},
    {LP_GET, LOKI "/tail", lp_query_work_tail, false},
    {LP_GET, LOKI "/drilldown-limits", lp_loki_work_drilldown, false},
    {LP_GET, LOKI "/rules", lp_loki_work_no_rules, false},
    {LP_GET, LOKI "/rules/**", lp_loki_work_no_rules, false},
    {LP_GET | LP_POST | LP_PUT | LP_DELETE, LOKI "/delete", lp_loki_work_no_delete, false},
    {READ, OLD "/query", lp_query_work_legacy, false},
    {READ, OLD "/label", lp_query_work_labels, false},
    {READ, OLD "/label/*/values", lp_query_work_values, false},
    {READ, OLD "/series", lp_query_work_series, false},
    {LP_GET, OLD "/rules", lp_loki_work_no_rules, false},
    {LP_GET, OLD "/rules/**", lp_loki_work_no_rules, false},
    {LP_GET, "/prometheus/api/v1/rules", lp_loki_work_prom_rules, false},
    {LP_GET, "/prometheus/api/v1/alerts", lp_loki_work_prom_alerts, false},
    {LP_GET, "/config/tenant/v1/limits", lp_loki_work_limits, false},
    {LP_GET, "/services", lp_loki_work_services, false},
    {READ, "/log_level", lp_loki_work_log_level, false},
    {READ, "/api/v1/export", lp_query_work_export, false},
};
const size_t lp_query_nroutes = LP_ARRAY_LEN(lp_query_routes);
