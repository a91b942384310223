/*
 * handlers_retain.c - /admin/ledger: what was done to the store on purpose, its newest entries, one JSON
 * object a line; /admin/namespaces: what each namespace has, and how long the disk lasts. On query workers:
 * they read a file and walk the catalog.
 */
#include "server/retainer.h"
#include "server/server.h"
#include "store/ledger.h"

#define ENTRIES 100 /* shown when the request does not say */
#define ENTRIES_MAX 10000
#define BYTES_MAX (64u << 20)

static const char *
kind_name(uint16_t kind)
{
    switch (kind) {
    case LP_LEDGER_RETAIN_BEGUN:
        return "retention begun";
    case LP_LEDGER_RETAIN_ENDED:
        return "retention ended";
    default:
        return "of a later version";
    }
}

static lp_rc
read_n(struct lp_http_req *req, size_t *ret, struct lp_err *err)
{
    const struct lp_pair *p;
    size_t n;
    uint64_t v = ENTRIES;
    lp_rc rc = lp_http_params(req, &p, &n, err);
    for (size_t i = 0; i < n && rc == LP_OK; i++) {
        if (lp_str_eqc(p[i].name, "n") && (!lp_str_u64(p[i].value, &v) || v == 0 || v > ENTRIES_MAX)) {
            rc = lp_err_set(err, LP_ERR_PARSE, "n: a number from 1 to %d is expected", ENTRIES_MAX);
        }
    }
    *ret = (size_t)v;
    return rc;
}

static void
put_entry(const struct lp_ledger_entry *e, struct lp_buf *out)
{
    char at[LP_TIME_TEXT];
    lp_time_text(e->time_ns, at);
    lp_buf_printf(out,
                  "{\"number\":%llu,\"time\":\"%s\",\"kind\":\"%s\",\"data\":", (unsigned long long)e->number,
                  at, kind_name(e->kind));
    lp_buf_str(out, e->payload);
    lp_buf_c(out, "}\n");
}

static void
work_ledger(struct lp_http_req *req, struct lp_server *s)
{
    struct lp_arena ar;
    struct lp_buf b;
    struct lp_err err;
    struct lp_ledger_entry *e;
    size_t n;
    lp_err_clear(&err);
    lp_arena_init(&ar, BYTES_MAX, 0);
    lp_buf_init(&b, BYTES_MAX);
    lp_rc rc = read_n(req, &n, &err);
    rc = rc == LP_OK ? lp_ledger_read(lp_store_ledger(s->store), n, &ar, &e, &n, &err) : rc;
    for (size_t i = 0; i < n && rc == LP_OK; i++) {
        put_entry(&e[i], &b);
    }
    if (rc == LP_OK && b.failed) {
        rc = lp_err_set(&err, LP_ERR_LIMIT, "these entries are too long for one answer; ask for fewer");
    }
    if (rc == LP_OK) {
        lp_http_reply_buf(req, 200, "application/x-ndjson", &b);
    } else {
        lp_server_error(req, rc, &err);
    }
    lp_buf_clear(&b);
    lp_arena_clear(&ar);
}

static void
put_namespace(const struct lp_retain_ns *ns, struct lp_buf *b)
{
    lp_buf_c(b, "{");
    if (ns->tenant.n > 0) {
        lp_buf_c(b, "\"tenant\":");
        lp_buf_json(b, ns->tenant);
        lp_buf_c(b, ",");
    }
    lp_buf_c(b, "\"namespace\":");
    lp_buf_json(b, ns->ns);
    lp_buf_printf(b,
                  ",\"records\":%llu,\"line_bytes\":%llu,\"stored_bytes\":%llu,\"first_ns\":%lld,\"last_ns\":"
                  "%lld}",
                  (unsigned long long)ns->all.rows, (unsigned long long)ns->all.line_bytes,
                  (unsigned long long)ns->all.stored_bytes, (long long)ns->all.first_ns,
                  (long long)ns->all.last_ns);
}

static void
work_namespaces(struct lp_http_req *req, struct lp_server *s)
{
    struct lp_retain_usage u;
    struct lp_err err;
    struct lp_buf b;
    lp_rc rc = lp_retainer_usage(s->retainer, &u, &err);
    if (rc != LP_OK) {
        lp_server_error(req, rc, &err);
        return;
    }
    lp_buf_init(&b, BYTES_MAX);
    lp_buf_c(&b, "{\"namespaces\":[");
    for (size_t i = 0; i < u.plan->nnamespaces; i++) {
        lp_buf_c(&b, i > 0 ? "," : "");
        put_namespace(&u.plan->namespaces[i], &b);
    }
    lp_buf_printf(&b, "],\"growth\":{\"bytes_per_day\":%llu,\"measured_ns\":%lld},\"days_until_full\":",
                  (unsigned long long)u.growth_bytes, (long long)u.growth_over_ns);
    if (u.days_until_full >= 0) {
        lp_buf_printf(&b, "%d", u.days_until_full);
    } else {
        lp_buf_c(&b, "null");
    }
    lp_buf_printf(&b, ",\"forecast_days\":%d,\"stored_bytes_then\":%llu}\n", LP_FORECAST_DAYS,
                  (unsigned long long)u.stored_then);
    lp_retain_usage_clear(&u);
    lp_http_reply_buf(req, 200, "application/json", &b);
}

const struct lp_work_route lp_admin_work_routes[] = {
    {LP_GET, "/admin/namespaces", work_namespaces, false},
    {LP_GET, "/admin/ledger", work_ledger, false},
};
const size_t lp_admin_nwork_routes = LP_ARRAY_LEN(lp_admin_work_routes);
