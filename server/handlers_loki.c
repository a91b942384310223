/*
 * handlers_loki.c - what clients of Loki ask besides searches: limits, rules (there are none), deletion
 * (there is none), services, the level of the server's log. Answered from memory.
 */
#include "query/level.h"
#include "query/text.h"
#include "server/handlers_query.h"
#include "server/logger.h"
#include "store/service.h"

#define PLAIN "text/plain; charset=utf-8"
#define JSON "application/json; charset=UTF-8"
#define SERIES_MAX 500 /* of a metric query, as in handlers_query.c */

/* ------------------------------------------------------------------ limits */

enum limit_type { FLAG, NUMBER, DURATION, BYTES, NAMES, NOTHING };

struct limit {
    const char *name; /* Loki's */
    enum limit_type type;
    int64_t value;
    const struct lp_str *names;
    size_t n;
};

/* Both as JSON and as YAML. */
static void
put_limit(const struct limit *l, struct lp_buf *out)
{
    switch (l->type) {
    case FLAG:
        lp_buf_c(out, l->value ? "true" : "false");
        return;
    case NUMBER:
        lp_buf_printf(out, "%lld", (long long)l->value);
        return;
    case DURATION:
        lp_buf_byte(out, '"');
        lp_text_duration(out, l->value);
        lp_buf_byte(out, '"');
        return;
    case BYTES:
        lp_buf_printf(out, "\"%lldB\"", (long long)l->value);
        return;
    case NAMES:
        for (size_t i = 0; i < l->n; i++) {
            lp_buf_c(out, i > 0 ? ", " : "[");
            lp_buf_json(out, l->names[i]);
        }
        lp_buf_byte(out, ']');
        return;
    case NOTHING:
        break;
    }
    lp_buf_c(out, "{}");
}

/* The limits that Logs Drilldown asks about, as they hold here. A duration or size of 0 means that there is
 * no limit. */
static void
put_limits(struct lp_server *s, const char *before, const char *behind_name, const char *between,
           struct lp_buf *out)
{
    const struct limit all[] = {
        {"discover_log_levels", FLAG, true, NULL, 0},
        {"discover_service_name", NAMES, 0, lp_service_sources, lp_service_nsources},
        {"log_level_fields", NAMES, 0, lp_level_fields, lp_level_nfields},
        {"max_entries_limit_per_query", NUMBER, LP_SETTING(&s->set, max_entries), NULL, 0},
        {"max_line_size_truncate", FLAG, false, NULL, 0},
        {"max_query_bytes_read", BYTES, LP_SETTING(&s->set, query_scan), NULL, 0},
        {"max_query_length", DURATION, 0, NULL, 0},
        {"max_query_lookback", DURATION, 0, NULL, 0},
        {"max_query_range", DURATION, 0, NULL, 0},
        {"max_query_series", NUMBER, SERIES_MAX, NULL, 0},
        {"metric_aggregation_enabled", FLAG, false, NULL, 0},
        {"otlp_config", NOTHING, 0, NULL, 0},
        {"pattern_persistence_enabled", FLAG, false, NULL, 0},
        {"query_timeout", DURATION, LP_SETTING(&s->set, query_timeout), NULL, 0},
        {"retention_period", DURATION, 0, NULL, 0},
        {"volume_enabled", FLAG, true, NULL, 0},
        {"volume_max_series", NUMBER, UINT32_MAX, NULL, 0},
    };
    for (size_t i = 0; i < LP_ARRAY_LEN(all); i++) {
        lp_buf_c(out, i > 0 ? between : "");
        lp_buf_printf(out, "%s%s%s", before, all[i].name, behind_name);
        put_limit(&all[i], out);
    }
}

void
lp_loki_work_limits(struct lp_http_req *req, struct lp_server *s)
{
    struct lp_buf out;
    lp_buf_init(&out, 1 << 16);
    put_limits(s, "", ": ", "\n", &out);
    lp_buf_byte(&out, '\n');
    lp_http_reply_buf(req, 200, PLAIN, &out);
}

void
lp_loki_work_drilldown(struct lp_http_req *req, struct lp_server *s)
{
    struct lp_buf out;
    lp_buf_init(&out, 1 << 16);
    lp_buf_c(&out, "{\"limits\":{");
    put_limits(s, "\"", "\":", ",", &out);
    lp_buf_c(&out, "},\"pattern_ingester_enabled\":true,\"version\":\"" LP_LOKI_VERSION "\"}\n");
    lp_http_reply_buf(req, 200, JSON, &out);
}

/* ------------------------------------------------------------------ the server */

void
lp_loki_work_services(struct lp_http_req *req, struct lp_server *s)
{
    struct lp_buf out;
    lp_buf_init(&out, 1 << 12);
    lp_buf_printf(&out, "server => Running\nstore => Running\n%s => Running\n", s->log->ops->name);
    lp_http_reply_buf(req, 200, PLAIN, &out);
}

/* POST ?log_level=debug changes what the server prints, until its settings are read again. */
void
lp_loki_work_log_level(struct lp_http_req *req, struct lp_server *s)
{
    struct lp_query_call c;
    struct lp_buf out;
    enum lp_log_level level;
    if (!lp_query_begin(&c, req, s)) {
        return;
    }
    lp_buf_init(&out, 1 << 12);
    struct lp_str name = lp_query_param(&c, "log_level");
    int status = 200;
    if (lp_http_method(req) != LP_POST) {
        lp_buf_printf(&out, "{\"message\":\"Current log level is %s\"}\n", lp_log_level_name());
    } else if (lp_log_level_parse(name, &level)) {
        lp_log_set_level(level);
        lp_buf_printf(&out, "{\"status\":\"success\",\"message\":\"Log level set to %s\"}\n",
                      lp_log_level_name());
    } else {
        status = 400;
        lp_buf_c(&out,
                 "{\"status\":\"failed\",\"message\":\"log_level is none of error, warn, info, debug\"}\n");
    }
    lp_http_reply_buf(req, status, JSON, &out);
    lp_query_end(&c);
}

/* ------------------------------------------------------------------ what there is none of */

void
lp_loki_work_no_rules(struct lp_http_req *req, struct lp_server *s)
{
    (void)s;
    lp_http_error(req, 404, "no rule groups found");
}

void
lp_loki_work_prom_rules(struct lp_http_req *req, struct lp_server *s)
{
    (void)s;
    lp_http_reply(req, 200, JSON, LP_STR("{\"status\":\"success\",\"data\":{\"groups\":[]}}\n"));
}

void
lp_loki_work_prom_alerts(struct lp_http_req *req, struct lp_server *s)
{
    (void)s;
    lp_http_reply(req, 200, JSON, LP_STR("{\"status\":\"success\",\"data\":{\"alerts\":[]}}\n"));
}

/* Lines go by rules of retention only. */
void
lp_loki_work_no_delete(struct lp_http_req *req, struct lp_server *s)
{
    (void)s;
    lp_http_error(req, 400, "Retention is not enabled");
}
