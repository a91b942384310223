/*
 * kube_status.c - see kube_status.h.
 */
#include "server/kube_status.h"

const char *
lp_kube_reason(int code)
{
    static const struct {
        int code;
        const char *reason;
    } reasons[] = {
        {400, "BadRequest"},      {401, "Unauthorized"},          {403, "Forbidden"},
        {404, "NotFound"},        {405, "MethodNotAllowed"},      {406, "NotAcceptable"},
        {410, "Expired"},         {413, "RequestEntityTooLarge"}, {422, "Invalid"},
        {429, "TooManyRequests"}, {500, "InternalError"},         {503, "ServiceUnavailable"},
        {504, "Timeout"},
    };
    for (size_t i = 0; i < LP_ARRAY_LEN(reasons); i++) {
        if (reasons[i].code == code) {
            return reasons[i].reason;
        }
    }
    return "";
}

static void
put_detail(struct lp_buf *out, const char *key, struct lp_str value, const char **between)
{
    if (value.n > 0) {
        lp_buf_printf(out, "%s\"%s\":", *between, key);
        lp_buf_json(out, value);
        *between = ",";
    }
}

static void
put_cause(struct lp_buf *out, const struct lp_kube_fault *f, const char **between)
{
    const char *inner = ",";
    if (f->cause_reason != NULL) {
        lp_buf_printf(out, "%s\"causes\":[{\"reason\":\"%s\"", *between, f->cause_reason);
        put_detail(out, "message", f->cause, &inner);
        put_detail(out, "field", f->field, &inner);
        lp_buf_c(out, "}]");
        *between = ",";
    }
}

static void
put_details(struct lp_buf *out, const struct lp_kube_fault *f)
{
    const char *between = "";
    lp_buf_c(out, ",\"details\":{");
    put_detail(out, "name", f->name, &between);
    put_detail(out, "group", f->group, &between);
    put_detail(out, "kind", f->kind, &between);
    put_cause(out, f, &between);
    if (f->code == 429 || f->code == 503) {
        lp_buf_printf(out, "%s\"retryAfterSeconds\":1", between);
    }
    lp_buf_byte(out, '}');
}

void
lp_kube_status_put(struct lp_buf *out, const struct lp_kube_fault *f)
{
    lp_buf_c(out, "{\"kind\":\"Status\",\"apiVersion\":\"v1\",\"metadata\":{},\"status\":\"Failure\","
                  "\"message\":");
    lp_buf_json(out, f->message);
    lp_buf_printf(out, ",\"reason\":\"%s\"", lp_kube_reason(f->code));
    if (f->code != 400) {
        put_details(out, f);
    }
    lp_buf_printf(out, ",\"code\":%d}\n", f->code);
}
