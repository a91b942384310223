/*
 * kube_log_params.c - the parameters of a log.
 *
 * There are two kinds of refusals: what cannot be read is a bad request; what can be read and makes no sense
 * is invalid, and says which field is so.
 */
#include <stdarg.h>
#include <stdio.h>

#include "base/clock.h"
#include "server/kube_log.h"
#include "server/kube_object.h"

#define SHOWN_BYTES 100u
#define VALUES_MAX 1000u

bool
lp_kube_flag(const struct lp_pair *params, size_t n, const char *name)
{
    for (size_t i = 0; i < n; i++) {
        if (lp_str_eqc(params[i].name, name)) {
            struct lp_str v = params[i].value;
            return !lp_str_ieq(v, LP_STR("false")) && !lp_str_eqc(v, "0");
        }
    }
    return false;
}

struct reader {
    const struct lp_pair *params;
    size_t n;
    struct lp_str name;
    struct lp_arena *ar;
    struct lp_kube_log_ask *ask;
    struct lp_kube_fault *fault;
};

static struct lp_str
text_of(struct lp_arena *ar, const char *fmt, va_list ap)
{
    char room[1024];
    struct lp_str ret;
    vsnprintf(room, sizeof(room), fmt, ap);
    return lp_arena_str(ar, lp_str_c(room), &ret) ? ret : LP_STR("out of memory");
}

static bool LP_PRINTF(2, 3) bad(struct reader *r, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    *r->fault = (struct lp_kube_fault){.code = 400, .message = text_of(r->ar, fmt, ap)};
    va_end(ap);
    return false;
}

static struct lp_str LP_PRINTF(2, 3) words(struct reader *r, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    struct lp_str s = text_of(r->ar, fmt, ap);
    va_end(ap);
    return s;
}

/* reason: "FieldValueInvalid" and the like. */
static bool
invalid(struct reader *r, const char *field, const char *reason, struct lp_str cause)
{
    *r->fault = (struct lp_kube_fault){
        .code = 422,
        .message = words(r, "PodLogOptions \"" LP_STR_FMT "\" is invalid: %s: " LP_STR_FMT,
                         LP_STR_ARG(lp_str_sub(r->name, 0, SHOWN_BYTES)), field, LP_STR_ARG(cause)),
        .kind = LP_STR("PodLogOptions"),
        .name = r->name,
        .field = lp_str_c(field),
        .cause = cause,
        .cause_reason = reason};
    return false;
}

static struct lp_str
param(const struct reader *r, const char *name)
{
    for (size_t i = 0; i < r->n; i++) {
        if (lp_str_eqc(r->params[i].name, name)) {
            return r->params[i].value;
        }
    }
    return LP_STR_NULL;
}

/* *ret_there false: it is missing. */
static bool
number(struct reader *r, const char *name, int64_t *ret, bool *ret_there)
{
    struct lp_str v = param(r, name);
    *ret_there = v.p != NULL;
    *ret = 0;
    if (v.p == NULL || lp_str_i64(v, ret)) {
        return true;
    }
    return bad(r, "strconv.ParseInt: parsing \"" LP_STR_FMT "\": invalid syntax",
               LP_STR_ARG(lp_str_sub(v, 0, SHOWN_BYTES)));
}

static bool
time_param(struct reader *r, const char *name, int64_t *ret, bool *ret_there)
{
    struct lp_str v = param(r, name);
    *ret_there = v.n > 0;
    if (v.n == 0) {
        return true;
    }
    char last = v.p[v.n - 1], zone = v.n > 6 ? v.p[v.n - 6] : 0;
    bool whole = v.n > 10 && v.p[10] == 'T' && (last == 'Z' || zone == '+' || zone == '-');
    if (whole && lp_time_rfc3339(v, ret)) {
        return true;
    }
    return bad(r, "parsing time \"" LP_STR_FMT "\" as \"2006-01-02T15:04:05Z07:00\": cannot parse %s",
               LP_STR_ARG(lp_str_sub(v, 0, SHOWN_BYTES)), name);
}

static bool
parse_since(struct reader *r, int64_t now_ns)
{
    int64_t seconds, ns = LP_TIME_MIN;
    bool has_seconds, has_time;
    if (!number(r, "sinceSeconds", &seconds, &has_seconds) || !time_param(r, "sinceTime", &ns, &has_time)) {
        return false;
    }
    if (has_seconds && has_time) {
        return invalid(r, "", "FieldValueForbidden",
                       LP_STR("Forbidden: at most one of `sinceTime` or `sinceSeconds` may be specified"));
    }
    if (has_seconds && seconds < 1) {
        return invalid(r, "sinceSeconds", "FieldValueInvalid",
                       words(r, "Invalid value: %lld: must be greater than 0", (long long)seconds));
    }
    if (has_seconds &&
        (__builtin_mul_overflow(seconds, LP_NS_PER_S, &ns) || __builtin_sub_overflow(now_ns, ns, &ns))) {
        ns = LP_TIME_MIN;
    }
    r->ask->from_ns = ns;
    return true;
}

static bool
parse_until(struct reader *r)
{
    bool there;
    r->ask->to_ns = LP_TIME_MAX;
    if (!time_param(r, "untilTime", &r->ask->to_ns, &there)) {
        return false;
    }
    if (there && r->ask->follow) {
        return bad(r, "untilTime does not go with follow");
    }
    return true;
}

static bool
parse_amounts(struct reader *r)
{
    int64_t tail, bytes;
    bool has_tail, has_bytes;
    if (!number(r, "tailLines", &tail, &has_tail) || !number(r, "limitBytes", &bytes, &has_bytes)) {
        return false;
    }
    if (has_tail && tail < 0) {
        return invalid(r, "tailLines", "FieldValueInvalid",
                       words(r, "Invalid value: %lld: must be greater than or equal to 0", (long long)tail));
    }
    if (has_bytes && bytes < 1) {
        return invalid(r, "limitBytes", "FieldValueInvalid",
                       words(r, "Invalid value: %lld: must be greater than 0", (long long)bytes));
    }
    r->ask->tail = has_tail ? (size_t)tail : LP_PODLOG_ALL;
    r->ask->limit_bytes = has_bytes ? (uint64_t)bytes : UINT64_MAX;
    return true;
}

static bool
parse_stream(struct reader *r)
{
    struct lp_str v = param(r, "stream");
    if (v.n == 0 || lp_str_eqc(v, "All")) {
        return true;
    }
    if (!lp_str_eqc(v, "Stdout") && !lp_str_eqc(v, "Stderr")) {
        return invalid(r, "stream", "FieldValueNotSupported",
                       words(r,
                             "Unsupported value: \"" LP_STR_FMT "\": supported values: \"All\", \"Stderr\", "
                             "\"Stdout\"",
                             LP_STR_ARG(lp_str_sub(v, 0, SHOWN_BYTES))));
    }
    r->ask->stream = lp_str_eqc(v, "Stdout") ? LP_STR("stdout") : LP_STR("stderr");
    if (!r->ask->several && r->ask->tail != LP_PODLOG_ALL) {
        return invalid(r, "", "FieldValueForbidden",
                       LP_STR("Forbidden: `tailLines` and specific `stream` are mutually exclusive for now"));
    }
    return true;
}

static bool
parse_run(struct reader *r)
{
    struct lp_str v = param(r, "restart");
    uint64_t n;
    r->ask->all_runs = lp_str_eqc(v, "all");
    if (v.n == 0 || r->ask->all_runs) {
        return !(r->ask->all_runs && r->ask->previous) || bad(r, "restart does not go with previous");
    }
    if (!lp_str_u64(v, &n) || n > UINT32_MAX) {
        return bad(r, "restart must be the number of a run, or all");
    }
    if (r->ask->previous) {
        return bad(r, "restart does not go with previous");
    }
    r->ask->one_run = true;
    r->ask->run = (uint32_t)n;
    return true;
}

static bool
parse_format(struct reader *r)
{
    struct lp_str v = param(r, "format");
    r->ask->json = lp_str_eqc(v, "json");
    return v.n == 0 || r->ask->json || lp_str_eqc(v, "raw") || bad(r, "format must be raw or json");
}

/* All values of a name that are not empty. */
static bool
values(struct reader *r, const char *name, const struct lp_str **ret, size_t *ret_n)
{
    size_t n = 0;
    for (size_t i = 0; i < r->n; i++) {
        n += lp_str_eqc(r->params[i].name, name) && r->params[i].value.n > 0;
    }
    struct lp_str *v = n <= VALUES_MAX ? lp_arena_array(r->ar, n + 1, sizeof(*v)) : NULL;
    if (v == NULL) {
        return bad(r, "too many values of %s", name);
    }
    n = 0;
    for (size_t i = 0; i < r->n; i++) {
        if (lp_str_eqc(r->params[i].name, name) && r->params[i].value.n > 0) {
            v[n++] = r->params[i].value;
        }
    }
    *ret = v;
    *ret_n = n;
    return true;
}

static bool
parse_targets(struct reader *r)
{
    const struct lp_kube_resource *resource;
    struct lp_str name;
    if (!values(r, "target", &r->ask->targets, &r->ask->ntargets)) {
        return false;
    }
    for (size_t i = 0; i < r->ask->ntargets; i++) {
        if (!lp_kube_log_target(r->ask->targets[i], &resource, &name)) {
            return bad(
                r, "target must be a pod, or KIND/NAME with one of the kinds pod, deploy, rs, sts, ds, job, "
                   "cronjob, svc");
        }
    }
    return true;
}

bool
lp_kube_log_params(const struct lp_pair *params, size_t n, struct lp_str name, bool several, int64_t now_ns,
                   struct lp_arena *ar, struct lp_kube_log_ask *ret, struct lp_kube_fault *fault)
{
    struct reader r = {params, n, name, ar, ret, fault};
    *ret = (struct lp_kube_log_ask){.container = param(&r, "container"),
                                    .uid = param(&r, "uid"),
                                    .follow = lp_kube_flag(params, n, "follow"),
                                    .previous = lp_kube_flag(params, n, "previous"),
                                    .timestamps = lp_kube_flag(params, n, "timestamps"),
                                    .prefix = lp_kube_flag(params, n, "prefix"),
                                    .several = several};
    return parse_since(&r, now_ns) && parse_until(&r) && parse_amounts(&r) && parse_stream(&r) &&
           parse_run(&r) && parse_format(&r) && values(&r, "match", &ret->contains, &ret->ncontains) &&
           values(&r, "regex", &ret->regexes, &ret->nregexes) && (!several || parse_targets(&r));
}

bool
lp_kube_log_target(struct lp_str text, const struct lp_kube_resource **ret_resource, struct lp_str *ret_name)
{
    *ret_resource = lp_kube_resource(LP_KUBE_PODS);
    *ret_name = text;
    if (lp_str_find_byte(text, '/') == SIZE_MAX) {
        return text.n > 0;
    }
    struct lp_str kind = lp_str_cut(ret_name, '/');
    *ret_resource = lp_kube_resource_named(kind);
    return *ret_resource != NULL && (*ret_resource)->id != LP_KUBE_NAMESPACES &&
           (*ret_resource)->id != LP_KUBE_EVENTS && ret_name->n > 0;
}

bool
lp_kube_log_targeted(const struct lp_kube_log_ask *ask, const struct lp_pod *p)
{
    for (size_t i = 0; i < ask->ntargets; i++) {
        const struct lp_kube_resource *r;
        struct lp_str name, owner, key;
        if (!lp_kube_log_target(ask->targets[i], &r, &name)) {
            continue;
        }
        if (r->id == LP_KUBE_PODS ? lp_str_eq(p->name, name)
                                  : lp_kube_owner_of(p, r->id, name, &owner, &key)) {
            return true;
        }
    }
    return ask->ntargets == 0;
}
