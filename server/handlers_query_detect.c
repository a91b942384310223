/*
 * handlers_query_detect.c - what Grafana's Logs Drilldown asks to offer something to choose from: volumes,
 * detected labels and fields, patterns.
 */
#include "query/parse.h"
#include "query/result_meta.h"
#include "server/handlers_query.h"

#define VOLUMES_DEFAULT 100
#define LINES_DEFAULT 100
#define FIELDS_DEFAULT 1000
#define TARGETS_MAX 64
#define PATTERN_LINES 10000 /* looked at for patterns */
#define PATTERNS_MAX 300
#define PATTERN_STEP_MIN_NS (10 * LP_NS_PER_S)

static const struct lp_logql_opts ANY = {.allow_empty_selector = true};

static struct lp_search
search_of(const struct lp_query_call *c, const struct lp_log_query *log, int64_t from_ns, int64_t to_ns)
{
    struct lp_server *s = c->s;
    return (struct lp_search){
        .store = s->store,
        .tenant = c->tenant,
        .log = log,
        .from_ns = from_ns,
        .to_ns = to_ns,
        .backward = true,
        .pool = s->queries,
        .deadline_ns = c->deadline_ns,
        .cancel = lp_http_gone_flag(c->req),
        .share = &s->query_memory,
        .scan_bytes = (uint64_t)LP_SETTING(&s->set, query_scan),
        .budget_bytes = (size_t)LP_SETTING(&s->set, query_bytes),
    };
}

/* ------------------------------------------------------------------ volumes */

/* Of volumes a limit of 0 means the default. */
static lp_rc
volume_limit(struct lp_query_call *c, size_t *ret)
{
    int64_t n;
    struct lp_str v = lp_query_param(c, "limit");
    *ret = VOLUMES_DEFAULT;
    return lp_str_i64(v, &n) && n == 0 ? LP_OK : lp_query_number(c, "limit", VOLUMES_DEFAULT, ret);
}

static lp_rc
volume_params(struct lp_query_call *c, struct lp_volume_query *q, struct lp_str targets[TARGETS_MAX])
{
    struct lp_str by = lp_query_param(c, "aggregateBy"), list = lp_query_param(c, "targetLabels");
    lp_rc rc = volume_limit(c, &q->limit);
    if (rc == LP_OK && by.n > 0 && !lp_str_eqc(by, "series") && !lp_str_eqc(by, "labels")) {
        rc = lp_err_set(&c->err, LP_ERR_PARSE, "invalid aggregation option");
    }
    q->by_names = lp_str_eqc(by, "labels");
    q->targets = targets;
    while (list.n > 0 && rc == LP_OK) {
        if (q->ntargets == TARGETS_MAX) {
            return lp_err_set(&c->err, LP_ERR_LIMIT, "more than %d targetLabels", TARGETS_MAX);
        }
        targets[q->ntargets++] = lp_str_cut(&list, ',');
    }
    return rc;
}

static lp_rc
volume(struct lp_query_call *c, bool by_step, struct lp_buf *out)
{
    struct lp_volume_query q = {.streams = lp_query_streams_query(c)};
    struct lp_str targets[TARGETS_MAX], text = lp_query_param(c, "query");
    const struct lp_log_query *selector;
    struct lp_volumes v;
    lp_rc rc = volume_params(c, &q, targets);
    rc = rc == LP_OK ? lp_query_range(c, &q.streams.from_ns, &q.streams.to_ns) : rc;
    if (rc == LP_OK && by_step) {
        rc = lp_query_step(c, q.streams.from_ns, q.streams.to_ns, &q.step_ns);
    }
    if (rc == LP_OK) {
        bool any = lp_str_eqc(lp_str_trim(text), "{}");
        rc = lp_logql_parse_selector(text, any ? &ANY : NULL, &c->ar, &selector, &c->err);
    }
    if (rc == LP_OK) {
        q.streams.selectors = &selector;
        q.streams.nselectors = 1;
        rc = lp_streams_volume(&q, &v, &c->err);
    }
    if (rc == LP_OK) {
        rc = lp_result_volumes(&v, out, &c->err);
        lp_volumes_clear(&v);
    }
    return rc;
}

/* ------------------------------------------------------------------ detected labels and fields */

static lp_rc
detected_labels(struct lp_query_call *c, struct lp_buf *out)
{
    struct lp_streams_query q = lp_query_streams_query(c);
    const struct lp_log_query *selector;
    struct lp_detected_labels d;
    lp_rc rc = lp_query_selected(c, &q, &selector);
    rc = rc == LP_OK ? lp_detect_labels(&q, &d, &c->err) : rc;
    if (rc == LP_OK) {
        rc = lp_result_detected_labels(&d, out, &c->err);
        lp_detected_labels_clear(&d);
    }
    return rc;
}

/* Parameters of detected fields, and the newest lines that they ask for. */
static lp_rc
sample(struct lp_query_call *c, size_t *ret_limit, struct lp_found *ret)
{
    int64_t from_ns, to_ns, step_ns;
    const char *name = lp_query_param(c, "limit").n > 0 ? "limit" : "field_limit"; /* its older name */
    const struct lp_expr *e;
    size_t lines;
    size_t most = (size_t)LP_SETTING(&c->s->set, max_entries);
    lp_rc rc = lp_query_range(c, &from_ns, &to_ns);
    rc = rc == LP_OK ? lp_query_lines(c, "line_limit", LINES_DEFAULT, most, &lines) : rc;
    rc = rc == LP_OK ? lp_query_number(c, name, FIELDS_DEFAULT, ret_limit) : rc;
    rc = rc == LP_OK ? lp_query_step(c, from_ns, to_ns, &step_ns) : rc;
    rc = rc == LP_OK ? lp_logql_parse(lp_query_param(c, "query"), NULL, &c->ar, &e, &c->err) : rc;
    if (rc == LP_OK && e->kind != LP_EXPR_LOG) {
        rc = lp_err_set(&c->err, LP_ERR_PARSE, "only log selector is supported");
    }
    if (rc != LP_OK) {
        return rc;
    }
    struct lp_search q = search_of(c, &e->log, from_ns, to_ns);
    q.limit = lines;
    q.want_labels = true;
    return lp_search(&q, ret, &c->err);
}

static lp_rc
detected_fields(struct lp_query_call *c, struct lp_buf *out)
{
    struct lp_found f;
    struct lp_detected_fields d;
    size_t limit;
    lp_rc rc = sample(c, &limit, &f);
    if (rc != LP_OK) {
        return rc;
    }
    rc = lp_detect_fields(&f, limit, (size_t)LP_SETTING(&c->s->set, query_bytes), &c->s->query_memory, &d,
                          &c->err);
    if (rc == LP_OK) {
        rc = lp_result_detected_fields(&d, limit, out, &c->err);
        lp_detected_fields_clear(&d);
    }
    lp_found_clear(&f);
    return rc;
}

static lp_rc
detected_values(struct lp_query_call *c, struct lp_buf *out)
{
    struct lp_found f;
    struct lp_names values;
    size_t limit;
    lp_rc rc = sample(c, &limit, &f);
    if (rc != LP_OK) {
        return rc;
    }
    rc = lp_detect_values(&f, lp_http_wild(c->req, 0), limit, (size_t)LP_SETTING(&c->s->set, query_bytes),
                          &c->s->query_memory, &values, &c->err);
    if (rc == LP_OK) {
        rc = lp_result_detected_values(&values, limit, out, &c->err);
        lp_names_clear(&values);
    }
    lp_found_clear(&f);
    return rc;
}

/* ------------------------------------------------------------------ patterns */

static lp_rc
patterns(struct lp_query_call *c, struct lp_buf *out)
{
    int64_t from_ns, to_ns;
    struct lp_pattern_query q = {.lines = PATTERN_LINES, .limit = PATTERNS_MAX};
    struct lp_pattern_set set;
    const struct lp_log_query *selector;
    lp_rc rc = lp_query_range(c, &from_ns, &to_ns);
    rc = rc == LP_OK ? lp_query_step(c, from_ns, to_ns, &q.step_ns) : rc;
    rc = rc == LP_OK ? lp_logql_parse_selector(lp_query_param(c, "query"), NULL, &c->ar, &selector, &c->err)
                     : rc;
    if (rc == LP_OK) {
        q.search = search_of(c, selector, from_ns, to_ns);
        q.step_ns = LP_MAX(q.step_ns, PATTERN_STEP_MIN_NS);
        rc = lp_patterns_find(&q, &set, &c->err);
    }
    if (rc == LP_OK) {
        rc = lp_result_patterns(&set, out, &c->err);
        lp_pattern_set_clear(&set);
    }
    return rc;
}

/* ------------------------------------------------------------------ requests */

static lp_rc
volume_instant(struct lp_query_call *c, struct lp_buf *out)
{
    return volume(c, false, out);
}

static lp_rc
volume_range(struct lp_query_call *c, struct lp_buf *out)
{
    return volume(c, true, out);
}

void
lp_query_work_volume(struct lp_http_req *req, struct lp_server *s)
{
    lp_query_answer(req, s, volume_instant);
}

void
lp_query_work_volume_range(struct lp_http_req *req, struct lp_server *s)
{
    lp_query_answer(req, s, volume_range);
}

void
lp_query_work_detected_labels(struct lp_http_req *req, struct lp_server *s)
{
    lp_query_answer(req, s, detected_labels);
}

void
lp_query_work_detected_fields(struct lp_http_req *req, struct lp_server *s)
{
    lp_query_answer(req, s, detected_fields);
}

void
lp_query_work_detected_values(struct lp_http_req *req, struct lp_server *s)
{
    lp_query_answer(req, s, detected_values);
}

void
lp_query_work_patterns(struct lp_http_req *req, struct lp_server *s)
{
    lp_query_answer(req, s, patterns);
}
