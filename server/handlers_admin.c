/*
 * handlers_admin.c - /ready, /healthz, /metrics, /config, /admin/status, build information: answered on the
 * HTTP thread, nothing blocks.
 */
#include "base/metrics.h"
#include "server/retainer.h"
#include "server/server.h"
#include "store/maintain.h"

static void
handle_ready(struct lp_http_req *req, void *ctx)
{
    struct lp_server *s = ctx;
    if (lp_server_ready(s)) {
        lp_http_reply(req, 200, "text/plain; charset=utf-8", LP_STR("ready\n"));
    } else {
        lp_http_error(req, 503, atomic_load(&s->stopping) ? "stopping" : "starting");
    }
}

static void
handle_health(struct lp_http_req *req, void *ctx)
{
    (void)ctx;
    lp_http_reply(req, 200, "text/plain; charset=utf-8", LP_STR("ok"));
}

/* As an API server of Kubernetes says it. */
static void
handle_readyz(struct lp_http_req *req, void *ctx)
{
    struct lp_server *s = ctx;
    if (lp_server_ready(s)) {
        lp_http_reply(req, 200, "text/plain; charset=utf-8", LP_STR("ok"));
    } else {
        lp_http_error(req, 503, atomic_load(&s->stopping) ? "stopping" : "starting");
    }
}

static void
handle_metrics(struct lp_http_req *req, void *ctx)
{
    struct lp_server *s = ctx;
    struct lp_buf b;
    lp_buf_init(&b, 16 << 20);
    lp_metric_set(LP_M_HTTP_CONNECTIONS, (int64_t)lp_http_connections(s->http));
    lp_metric_set(LP_M_QUERY_MEMORY, (int64_t)__atomic_load_n(&s->query_memory.used, __ATOMIC_RELAXED));
    lp_metrics_text(&b);
    s->log->ops->metrics(s->log, &b);
    lp_http_reply_buf(req, 200, "text/plain; version=0.0.4; charset=utf-8", &b);
}

/* ?mode=diff: what is not as it is by default; ?mode=defaults: the defaults. */
static void
handle_config(struct lp_http_req *req, void *ctx)
{
    struct lp_server *s = ctx;
    struct lp_settings defaults;
    struct lp_str mode = LP_STR_NULL;
    const struct lp_pair *params;
    size_t n;
    struct lp_buf b;
    if (lp_http_params(req, &params, &n, NULL) == LP_OK) {
        for (size_t i = 0; i < n; i++) {
            mode = lp_str_eqc(params[i].name, "mode") ? params[i].value : mode;
        }
    }
    lp_buf_init(&b, 1 << 20);
    lp_settings_init(&defaults);
    lp_settings_print(lp_str_eqc(mode, "defaults") ? &defaults : &s->set, lp_str_eqc(mode, "diff"), &b);
    lp_settings_clear(&defaults);
    lp_http_reply_buf(req, 200, "text/plain; charset=utf-8", &b);
}

static void
put_store(struct lp_server *s, struct lp_buf *b)
{
    struct lp_store_stats st;
    struct lp_head_stats h;
    char uuid[LP_UUID_TEXT + 1];
    lp_uuid_text(lp_catalog_uuid(lp_store_catalog(s->store)), uuid);
    lp_store_stats(s->store, &st);
    lp_head_stats(lp_store_head(s->store), &h);
    lp_buf_printf(
        b,
        "\"store\":{\"uuid\":\"%s\",\"segments\":%llu,\"records\":%llu,\"line_bytes\":%llu,\"file_bytes\":%"
        "llu,"
        "\"generation\":%llu,\"last_seal_ns\":%lld,\"disk_free\":%llu,\"disk_total\":%llu,\"disk_full\":%s,"
        "\"seal_failing\":%s},",
        uuid, (unsigned long long)st.segments, (unsigned long long)st.rows, (unsigned long long)st.bytes,
        (unsigned long long)st.file_bytes, (unsigned long long)st.sealed, (long long)st.last_seal_ns,
        (unsigned long long)st.disk_free, (unsigned long long)st.disk_total, st.disk_full ? "true" : "false",
        st.seal_failing ? "true" : "false");
    lp_buf_printf(b, "\"head\":{\"bytes\":%zu,\"budget\":%zu,\"rows\":%llu,\"generations\":%zu},", h.bytes,
                  h.budget, (unsigned long long)h.rows, h.generations);
}

static void
put_compaction(struct lp_server *s, struct lp_buf *b)
{
    struct lp_maintain_stats m;
    lp_maintain_stats(lp_store_maintain(s->store), &m);
    lp_buf_printf(
        b,
        "\"compaction\":{\"on\":%s,\"merges\":%llu,\"merged_segments\":%llu,\"copied_blocks\":%llu,\"sealed_"
        "bytes\":%llu,"
        "\"written_bytes\":%llu,\"debt_bytes\":%llu,\"running\":%s,\"inputs\":%llu,\"running_ms\":%lld,"
        "\"asked\":%llu,\"answered\":%llu,\"files_waiting\":%llu,\"problem\":",
        s->set.compact ? "true" : "false", (unsigned long long)m.merges,
        (unsigned long long)m.merged_segments, (unsigned long long)m.copied_blocks,
        (unsigned long long)m.sealed_bytes, (unsigned long long)m.written_bytes,
        (unsigned long long)m.debt_bytes, m.running ? "true" : "false", (unsigned long long)m.inputs,
        (long long)(m.running ? (lp_mono_ns() - m.running_since_ns) / LP_NS_PER_MS : 0),
        (unsigned long long)m.asked, (unsigned long long)m.answered, (unsigned long long)m.waiting_files);
    lp_buf_json(b, lp_str_c(m.problem));
    lp_buf_c(b, "},");
}

static void
handle_compact(struct lp_http_req *req, void *ctx)
{
    struct lp_server *s = ctx;
    struct lp_buf b;
    if (!lp_server_ready(s)) {
        lp_http_error(req, 503, atomic_load(&s->stopping) ? "stopping" : "starting");
        return;
    }
    lp_buf_init(&b, 1024);
    lp_buf_printf(&b, "{\"request\":%llu}\n",
                  (unsigned long long)lp_maintain_ask(lp_store_maintain(s->store)));
    lp_http_reply_buf(req, 202, "application/json", &b);
}

static void
handle_status(struct lp_http_req *req, void *ctx)
{
    struct lp_server *s = ctx;
    struct lp_buf b;
    lp_buf_init(&b, 1 << 20);
    lp_buf_printf(&b, "{\"version\":\"%s\",\"ready\":%s,\"now_ns\":%lld,\"started_ns\":%lld,\"log\":\"%s\",",
                  PACKAGE_VERSION, lp_server_ready(s) ? "true" : "false", (long long)lp_now_ns(),
                  (long long)s->started_ns, s->log->ops->name);
    put_store(s, &b);
    put_compaction(s, &b);
    lp_buf_printf(
        &b,
        "\"intake\":{\"records\":%lld,\"line_bytes\":%lld,\"body_bytes\":%lld,\"duplicates\":%lld,"
        "\"quarantined\":%lld,\"refused\":%lld,\"no_room\":%lld},",
        (long long)lp_metric_get(LP_M_INGEST_RECORDS), (long long)lp_metric_get(LP_M_INGEST_BYTES),
        (long long)lp_metric_get(LP_M_INGEST_BODY_BYTES), (long long)lp_metric_get(LP_M_INGEST_DUPLICATES),
        (long long)lp_metric_get(LP_M_INGEST_QUARANTINED), (long long)lp_metric_get(LP_M_INGEST_REFUSED),
        (long long)lp_metric_get(LP_M_INGEST_NO_ROOM));
    s->log->ops->status(s->log, &b);
    lp_buf_c(&b, "}\n");
    lp_http_reply_buf(req, 200, "application/json", &b);
}

static void
handle_retain(struct lp_http_req *req, void *ctx)
{
    struct lp_server *s = ctx;
    if (lp_server_ready(s)) {
        lp_retainer_handle(s->retainer, req);
    } else {
        lp_http_error(req, 503,
                      atomic_load(&s->stopping) ? "the server is stopping" : "the server is starting");
    }
}

static void
handle_buildinfo(struct lp_http_req *req, void *ctx)
{
    (void)ctx;
    lp_http_reply(req, 200, "application/json",
                  LP_STR("{\"version\":\"" LP_LOKI_VERSION "\",\"revision\":\"logpond-" PACKAGE_VERSION
                         "\",\"branch\":\"main\",\"buildDate\":\"\",\"buildUser\":\"\",\"goVersion\":\"\","
                         "\"logpond\":\"" PACKAGE_VERSION "\"}\n"));
}

/* The version of Kubernetes whose API this is; clients refuse, or warn, where it is far from their own. */
static void
handle_version(struct lp_http_req *req, void *ctx)
{
    (void)ctx;
    lp_http_reply(
        req, 200, "application/json",
        LP_STR("{\"major\":\"1\",\"minor\":\"32\",\"gitVersion\":\"v1.32.0+logpond\","
               "\"gitCommit\":\"\",\"gitTreeState\":\"clean\",\"buildDate\":\"\",\"goVersion\":\"\","
               "\"compiler\":\"\",\"platform\":\"linux/amd64\",\"logpond\":\"" PACKAGE_VERSION "\"}\n"));
}

const struct lp_http_route lp_admin_routes[] = {
    {LP_GET, "/ready", handle_ready, NULL, 0},
    {LP_GET, "/healthz", handle_health, NULL, 0},
    {LP_GET, "/readyz", handle_readyz, NULL, 0},
    {LP_GET, "/livez", handle_health, NULL, 0},
    {LP_GET, "/version", handle_version, NULL, 0},
    {LP_GET, "/version/", handle_version, NULL, 0}, /* the Python client asks so */
    {LP_GET, "/metrics", handle_metrics, NULL, 0},
    {LP_GET, "/config", handle_config, NULL, 0},
    {LP_GET, "/admin/status", handle_status, NULL, 0},
    {LP_POST, "/admin/retain", handle_retain, NULL, 0},
    {LP_POST, "/admin/compact", handle_compact, NULL, 0},
    {LP_GET, "/loki/api/v1/status/buildinfo", handle_buildinfo, NULL, 0},
};
const size_t lp_admin_nroutes = LP_ARRAY_LEN(lp_admin_routes);
