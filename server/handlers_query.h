/*
 * handlers_query.h - shared by the query handlers: parameters as Loki reads them, errors as Loki answers them.
 *
 * Everything runs on query workers (exports on their own). Functions that return false, or an error, have not answered unless that is said.
 */
#ifndef LP_SERVER_HANDLERS_QUERY_H
#define LP_SERVER_HANDLERS_QUERY_H

#include "query/exec.h"
#include "server/server.h"

/* What every query handler needs first. */
struct lp_query_call {
    struct lp_http_req *req;
    struct lp_server *s;
    struct lp_str tenant;
    const struct lp_pair *params;
    size_t nparams;
    struct lp_arena ar; /* syntax trees */
    struct lp_err err;
    int64_t now_ns;
    int64_t begin_ns, deadline_ns; /* lp_mono_ns clock */
};

/* False and answered when the request has no tenant or unreadable parameters. Then nothing is to be freed. */
bool lp_query_begin(struct lp_query_call *c, struct lp_http_req *req, struct lp_server *s);
void lp_query_end(struct lp_query_call *c);
/* Answers with c->err: 400 for what the client asked, 499, 504, 5xx. */
void lp_query_fail(struct lp_query_call *c, lp_rc rc);
/* From begin to end: answers 200 application/json with what fn writes, or the error that it returns. */
typedef lp_rc lp_query_fn(struct lp_query_call *c, struct lp_buf *out);
void lp_query_answer(struct lp_http_req *req, struct lp_server *s, lp_query_fn *fn);

/* The first parameter of this name; {NULL,0} when it is missing. */
struct lp_str lp_query_param(const struct lp_query_call *c, const char *name);
/* Parameters; what is empty counts as missing. */
lp_rc lp_query_time(struct lp_query_call *c, const char *name, int64_t otherwise_ns, int64_t *ret) LP_MUST_USE;
/* start, end, since. end < start is LP_ERR_PARSE. */
lp_rc lp_query_range(struct lp_query_call *c, int64_t *ret_start_ns, int64_t *ret_end_ns) LP_MUST_USE;
lp_rc lp_query_limit(struct lp_query_call *c, size_t otherwise, size_t most, size_t *ret) LP_MUST_USE;
/* As lp_query_limit, of another name. */
lp_rc lp_query_lines(struct lp_query_call *c, const char *name, size_t otherwise, size_t most, size_t *ret) LP_MUST_USE;
/* A positive number of 32 bits. */
lp_rc lp_query_number(struct lp_query_call *c, const char *name, size_t otherwise, size_t *ret) LP_MUST_USE;
/* context, before, after: lines around those found. */
lp_rc lp_query_context(struct lp_query_call *c, size_t *ret_before, size_t *ret_after) LP_MUST_USE;
lp_rc lp_query_direction(struct lp_query_call *c, bool otherwise_backward, bool *ret_backward) LP_MUST_USE;
/* Seconds with a fraction, or a Prometheus duration. */
lp_rc lp_query_duration(struct lp_query_call *c, const char *name, int64_t otherwise_ns, int64_t *ret) LP_MUST_USE;
/* step, with its default for the range; too many points are LP_ERR_PARSE. */
lp_rc lp_query_step(struct lp_query_call *c, int64_t start_ns, int64_t end_ns, int64_t *ret) LP_MUST_USE;
/* The query, which lives in c->ar; with any-selector set, one over all streams is fine. */
lp_rc lp_query_parse(struct lp_query_call *c, const struct lp_expr **ret) LP_MUST_USE;
/* limit, direction and interval have to be well formed also where a query does not use them. */
lp_rc lp_query_check(struct lp_query_call *c) LP_MUST_USE;

/* Does the client want labels by category (X-Loki-Response-Encoding-Flags)? */
bool lp_query_wants_categories(const struct lp_http_req *req);
/* handlers_query.c: the lines of a log query as /query_range answers them, with its parameters. */
lp_rc lp_query_streams(struct lp_query_call *c, const struct lp_log_query *log, int64_t start_ns, int64_t end_ns, struct lp_buf *out) LP_MUST_USE;
/* handlers_query_meta.c: what questions about streams have in common. */
struct lp_streams_query lp_query_streams_query(const struct lp_query_call *c);
/* Their range, and the selector of query= where there is one; *selector holds it. */
lp_rc lp_query_selected(struct lp_query_call *c, struct lp_streams_query *q, const struct lp_log_query **selector) LP_MUST_USE;

/* handlers_tail.c */
void lp_query_work_tail(struct lp_http_req *req, struct lp_server *s);
/* handlers_query_meta.c, handlers_query_detect.c, handlers_query_legacy.c, handlers_query_export.c */
void lp_query_work_labels(struct lp_http_req *req, struct lp_server *s);
void lp_query_work_values(struct lp_http_req *req, struct lp_server *s);
void lp_query_work_series(struct lp_http_req *req, struct lp_server *s);
void lp_query_work_stats(struct lp_http_req *req, struct lp_server *s);
void lp_query_work_volume(struct lp_http_req *req, struct lp_server *s);
void lp_query_work_volume_range(struct lp_http_req *req, struct lp_server *s);
void lp_query_work_detected_labels(struct lp_http_req *req, struct lp_server *s);
void lp_query_work_detected_fields(struct lp_http_req *req, struct lp_server *s);
void lp_query_work_detected_values(struct lp_http_req *req, struct lp_server *s);
void lp_query_work_patterns(struct lp_http_req *req, struct lp_server *s);
void lp_query_work_legacy(struct lp_http_req *req, struct lp_server *s);
void lp_query_work_export(struct lp_http_req *req, struct lp_server *s);

/* handlers_loki.c: what clients of Loki ask besides searches. */
void lp_loki_work_limits(struct lp_http_req *req, struct lp_server *s);
void lp_loki_work_drilldown(struct lp_http_req *req, struct lp_server *s);
void lp_loki_work_services(struct lp_http_req *req, struct lp_server *s);
void lp_loki_work_log_level(struct lp_http_req *req, struct lp_server *s);
void lp_loki_work_no_rules(struct lp_http_req *req, struct lp_server *s);
void lp_loki_work_prom_rules(struct lp_http_req *req, struct lp_server *s);
void lp_loki_work_prom_alerts(struct lp_http_req *req, struct lp_server *s);
void lp_loki_work_no_delete(struct lp_http_req *req, struct lp_server *s);

#endif
