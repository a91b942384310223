/*
 * handlers_query_params.c - parameters of queries in Loki's forms, and errors in its statuses.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "query/parse.h"
#include "query/text.h"
#include "server/handlers_query.h"

#define SINCE_NS (3600 * LP_NS_PER_S)
#define POINTS_MAX 11000

bool
lp_query_begin(struct lp_query_call *c, struct lp_http_req *req, struct lp_server *s)
{
    *c = (struct lp_query_call){.req = req, .s = s, .now_ns = lp_now_ns(), .begin_ns = lp_mono_ns()};
    c->deadline_ns = c->begin_ns + LP_SETTING(&s->set, query_timeout);
    lp_err_clear(&c->err);
    if (!lp_server_tenant(s, req, &c->tenant)) {
        return false;
    }
    lp_rc rc = lp_http_params(req, &c->params, &c->nparams, &c->err);
    if (rc != LP_OK) {
        lp_query_fail(c, rc);
        return false;
    }
    lp_arena_init(&c->ar, LP_LOGQL_ARENA_BYTES, 0);
    return true;
}

void
lp_query_end(struct lp_query_call *c)
{
    lp_arena_clear(&c->ar);
}

void
lp_query_fail(struct lp_query_call *c, lp_rc rc)
{
    const char *text = c->err.text[0] ? c->err.text : lp_rc_name(rc);
    switch ((int)rc) {
    case LP_ERR_PARSE:
    case LP_ERR_LIMIT:
    case LP_ERR_UNSUPPORTED:
        lp_http_error(c->req, 400, "%s", text);
        return;
    case LP_ERR_TIMEOUT:
        lp_http_error(c->req, 504, "%s", text);
        return;
    default:
        lp_server_error(c->req, rc, &c->err);
    }
}

void
lp_query_answer(struct lp_http_req *req, struct lp_server *s, lp_query_fn *fn)
{
    struct lp_query_call c;
    struct lp_buf out;
    if (!lp_query_begin(&c, req, s)) {
        return;
    }
    lp_buf_init(&out, (size_t)LP_SETTING(&s->set, query_bytes));
    lp_rc rc = fn(&c, &out);
    if (rc == LP_OK) {
        lp_http_reply_buf(req, 200, "application/json; charset=UTF-8", &out);
    } else {
        lp_query_fail(&c, rc);
    }
    lp_buf_clear(&out);
    lp_query_end(&c);
}

struct lp_str
lp_query_param(const struct lp_query_call *c, const char *name)
{
    for (size_t i = 0; i < c->nparams; i++) {
        if (lp_str_eqc(c->params[i].name, name)) {
            return c->params[i].value;
        }
    }
    return LP_STR_NULL;
}

/* ------------------------------------------------------------------ the parameters' forms, refused in Loki's
 * words */

/* A value as error texts show it. */
#define SHOWN_BYTES 60u

static lp_rc
bad_number(struct lp_query_call *c, const char *who, const char *function, struct lp_str v, const char *why)
{
    char room[64];
    return lp_err_set(&c->err, LP_ERR_PARSE, "%sstrconv.%s: parsing \"%s\": %s", who, function,
                      lp_text_clip(v, SHOWN_BYTES, room), why);
}

/* Is it a whole number, whatever its size? */
static bool
is_whole(struct lp_str v)
{
    size_t i = v.n > 0 && (v.p[0] == '-' || v.p[0] == '+');
    size_t first = i;
    while (i < v.n && v.p[i] >= '0' && v.p[i] <= '9') {
        i++;
    }
    return i == v.n && i > first;
}

/* Loki takes RFC 3339 with its 'T' and a zone only. */
static bool
parse_date(struct lp_str v, int64_t *ret)
{
    char zone = v.n > 6 ? v.p[v.n - 6] : 0;
    bool has_zone = v.n > 10 && (v.p[v.n - 1] == 'Z' || zone == '+' || zone == '-');
    return has_zone && v.p[10] == 'T' && lp_time_rfc3339(v, ret);
}

static bool
parse_time(struct lp_str v, int64_t *ret)
{
    int64_t n;
    if (lp_str_find_byte(v, '.') != SIZE_MAX && lp_time_decimal(v, LP_NS_PER_S, ret)) {
        return true;
    }
    if (lp_str_i64(v, &n)) {
        if (v.n <= 10 && __builtin_mul_overflow(n, LP_NS_PER_S, &n)) {
            n = LP_TIME_MAX; /* the year 2262 and later */
        }
        *ret = LP_MAX(n, LP_TIME_MIN);
        return true;
    }
    return parse_date(v, ret);
}

lp_rc
lp_query_parse(struct lp_query_call *c, const struct lp_expr **ret)
{
    const struct lp_logql_opts opts = {.allow_empty_selector = LP_SETTING(&c->s->set, any_selector)};
    return lp_logql_parse(lp_query_param(c, "query"), &opts, &c->ar, ret, &c->err);
}

lp_rc
lp_query_time(struct lp_query_call *c, const char *name, int64_t otherwise_ns, int64_t *ret)
{
    struct lp_str v = lp_query_param(c, name);
    char who[64] = "";
    *ret = otherwise_ns;
    if (v.n == 0 || parse_time(v, ret)) {
        return LP_OK;
    }
    if (strcmp(name, "time") != 0) {
        snprintf(who, sizeof(who), "could not parse '%s' parameter: ", name);
    }
    return bad_number(c, who, "ParseInt", v, is_whole(v) ? "value out of range" : "invalid syntax");
}

lp_rc
lp_query_range(struct lp_query_call *c, int64_t *ret_start_ns, int64_t *ret_end_ns)
{
    int64_t since = SINCE_NS, otherwise;
    struct lp_str v = lp_query_param(c, "since");
    if (v.n > 0 && !lp_text_parse_range(v, &since)) {
        char room[64];
        return lp_err_set(&c->err, LP_ERR_PARSE,
                          "could not parse 'since' parameter: not a valid duration string: \"%s\"",
                          lp_text_clip(v, SHOWN_BYTES, room));
    }
    lp_rc rc = lp_query_time(c, "end", c->now_ns, ret_end_ns);
    if (rc == LP_OK) {
        if (__builtin_sub_overflow(LP_MIN(*ret_end_ns, c->now_ns), since, &otherwise)) {
            otherwise = LP_TIME_MIN;
        }
        rc = lp_query_time(c, "start", otherwise, ret_start_ns);
    }
    if (rc == LP_OK && *ret_end_ns < *ret_start_ns) {
        return lp_err_set(&c->err, LP_ERR_PARSE, "end timestamp must not be before or equal to start time");
    }
    return rc;
}

/* A positive number; those beyond 32 bits are refused where no more can be meant. */
static lp_rc
count(struct lp_query_call *c, const char *name, size_t otherwise, size_t most, size_t *ret)
{
    struct lp_str v = lp_query_param(c, name);
    int64_t n = (int64_t)LP_MIN(otherwise, (size_t)INT64_MAX);
    if (v.n > 0 && !lp_str_i64(v, &n)) {
        return bad_number(c, "", "Atoi", v, is_whole(v) ? "value out of range" : "invalid syntax");
    }
    if (n <= 0) {
        return lp_err_set(&c->err, LP_ERR_PARSE, "limit must be a positive value");
    }
    if (n > UINT32_MAX && most <= UINT32_MAX) {
        return lp_err_set(&c->err, LP_ERR_PARSE, "limit value %lld is out of range [0, %u]", (long long)n,
                          UINT32_MAX);
    }
    *ret = (size_t)n;
    return LP_OK;
}

lp_rc
lp_query_number(struct lp_query_call *c, const char *name, size_t otherwise, size_t *ret)
{
    return count(c, name, otherwise, UINT32_MAX, ret);
}

lp_rc
lp_query_lines(struct lp_query_call *c, const char *name, size_t otherwise, size_t most, size_t *ret)
{
    lp_rc rc = count(c, name, otherwise, most, ret);
    if (rc == LP_OK && *ret > most) {
        return lp_err_set(
            &c->err, LP_ERR_PARSE,
            "max entries limit per query exceeded, limit > max_entries_limit_per_query (%zu > %zu)", *ret,
            most);
    }
    return rc;
}

lp_rc
lp_query_limit(struct lp_query_call *c, size_t otherwise, size_t most, size_t *ret)
{
    return lp_query_lines(c, "limit", otherwise, most, ret);
}

static lp_rc
context_lines(struct lp_query_call *c, const char *name, size_t otherwise, size_t *ret)
{
    struct lp_str v = lp_query_param(c, name);
    uint64_t n = otherwise;
    if (v.n > 0 && (!lp_str_u64(v, &n) || n > LP_CONTEXT_MAX)) {
        return lp_err_set(&c->err, LP_ERR_PARSE, "%s must be a number of lines from 0 to %d", name,
                          LP_CONTEXT_MAX);
    }
    *ret = (size_t)n;
    return LP_OK;
}

lp_rc
lp_query_context(struct lp_query_call *c, size_t *ret_before, size_t *ret_after)
{
    size_t both = 0;
    lp_rc rc = context_lines(c, "context", 0, &both);
    rc = rc == LP_OK ? context_lines(c, "before", both, ret_before) : rc;
    return rc == LP_OK ? context_lines(c, "after", both, ret_after) : rc;
}

lp_rc
lp_query_direction(struct lp_query_call *c, bool otherwise_backward, bool *ret_backward)
{
    struct lp_str v = lp_query_param(c, "direction");
    char room[64];
    *ret_backward = otherwise_backward;
    if (v.n == 0) {
        return LP_OK;
    }
    *ret_backward = lp_str_ieq(v, LP_STR("backward"));
    if (*ret_backward || lp_str_ieq(v, LP_STR("forward"))) {
        return LP_OK;
    }
    return lp_err_set(&c->err, LP_ERR_PARSE, "invalid direction '%s'", lp_text_clip(v, SHOWN_BYTES, room));
}

lp_rc
lp_query_duration(struct lp_query_call *c, const char *name, int64_t otherwise_ns, int64_t *ret)
{
    struct lp_str v = lp_query_param(c, name);
    double seconds;
    char room[64];
    bool number = v.n > 0 && lp_str_f64(v, &seconds);
    *ret = otherwise_ns;
    if (v.n == 0 || (!number && lp_text_parse_range(v, ret))) {
        return LP_OK;
    }
    if (number && fabs(seconds) < 9e9) {
        *ret = (int64_t)llround(seconds * 1e9);
        return LP_OK;
    }
    return lp_err_set(&c->err, LP_ERR_PARSE, "cannot parse \"%s\" to a valid duration%s",
                      lp_text_clip(v, SHOWN_BYTES, room), number ? ". It overflows int64" : "");
}

lp_rc
lp_query_step(struct lp_query_call *c, int64_t start_ns, int64_t end_ns, int64_t *ret)
{
    uint64_t range = (uint64_t)end_ns - (uint64_t)start_ns;
    int64_t otherwise = LP_MAX((int64_t)(range / (250 * (uint64_t)LP_NS_PER_S)), INT64_C(1)) * LP_NS_PER_S;
    lp_rc rc = lp_query_duration(c, "step", otherwise, ret);
    if (rc != LP_OK) {
        return rc;
    }
    if (*ret <= 0) {
        return lp_err_set(
            &c->err, LP_ERR_PARSE,
            "zero or negative query resolution step widths are not accepted. Try a positive integer");
    }
    if (range / (uint64_t)*ret > POINTS_MAX) {
        return lp_err_set(
            &c->err, LP_ERR_PARSE,
            "exceeded maximum resolution of 11,000 points per time series. Try increasing the value "
            "of the step parameter");
    }
    return LP_OK;
}

lp_rc
lp_query_check(struct lp_query_call *c)
{
    size_t limit;
    bool backward;
    int64_t interval;
    lp_rc rc = lp_query_number(c, "limit", 1, &limit);
    rc = rc == LP_OK ? lp_query_direction(c, true, &backward) : rc;
    rc = rc == LP_OK ? lp_query_duration(c, "interval", 0, &interval) : rc;
    return rc == LP_OK && interval < 0 ? lp_err_set(&c->err, LP_ERR_PARSE, "interval must be >= 0") : rc;
}
