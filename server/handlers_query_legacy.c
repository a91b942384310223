/*
 * handlers_query_legacy.c - /api/prom/query, the log query of Loki before its version 1: the lines that
 * /query_range finds, in the old form,
 * {"streams":[{"labels":"{a=\"b\"}","entries":[{"ts":"...","line":"..."}]}],"stats":{...}}.
 *
 * The new answer is read and written again: whatever it tells of lines and labels, the old one tells the
 * same.
 */
#include "base/json.h"
#include "query/parse.h"
#include "query/text.h"
#include "server/handlers_query.h"

/* ?regexp= is a line filter behind the query. */
static bool
query_text(const struct lp_query_call *c, struct lp_buf *out)
{
    struct lp_str regexp = lp_query_param(c, "regexp");
    lp_buf_str(out, lp_query_param(c, "query"));
    if (regexp.n > 0) {
        lp_buf_c(out, "\n|~ "); /* the query may end in a comment */
        lp_text_quote(out, regexp);
    }
    return !out->failed;
}

static lp_rc
parse(struct lp_query_call *c, const struct lp_log_query **ret)
{
    struct lp_buf text;
    const struct lp_expr *e;
    lp_buf_init(&text, 2 * LP_LOGQL_INPUT_MAX);
    lp_rc rc = query_text(c, &text) ? lp_logql_parse(lp_buf_view(&text), NULL, &c->ar, &e, &c->err)
                                    : lp_err_set(&c->err, LP_ERR_LIMIT, "the query is too long");
    lp_buf_clear(&text);
    if (rc == LP_OK && e->kind != LP_EXPR_LOG) {
        return lp_err_set(&c->err, LP_ERR_PARSE, "legacy endpoints only support streams result type");
    }
    if (rc == LP_OK) {
        *ret = &e->log;
    }
    return rc;
}

/* {a="b", c="d"} as a JSON string. */
static void
put_labels(const struct lp_json_doc *doc, uint32_t stream, struct lp_buf *room, struct lp_buf *out)
{
    const struct lp_json *labels = &doc->nodes[stream];
    lp_buf_reset(room);
    lp_buf_byte(room, '{');
    for (uint32_t i = stream + 1; i < labels->next; i = doc->nodes[i].next) {
        lp_buf_c(room, i > stream + 1 ? ", " : "");
        lp_buf_str(room, doc->nodes[i].key);
        lp_buf_byte(room, '=');
        lp_text_quote(room, doc->nodes[i].text);
    }
    lp_buf_byte(room, '}');
    lp_buf_json(out, lp_buf_view(room));
}

/* "2026-01-02T03:04:05.25Z": without zeros at the end of the fraction. */
static void
put_time(struct lp_str ns, struct lp_buf *out)
{
    char text[LP_TIME_TEXT];
    int64_t t = 0;
    (void)lp_str_i64(ns, &t);
    size_t n = lp_time_text(t, text) - 1;
    while (text[n - 1] == '0') {
        n--;
    }
    n -= text[n - 1] == '.';
    lp_buf_printf(out, "{\"ts\":\"%.*sZ\",\"line\":", (int)n, text);
}

/* values: an array of ["ns","line",...]. */
static void
put_entries(const struct lp_json_doc *doc, const struct lp_json *values, struct lp_buf *out)
{
    uint32_t first = (uint32_t)(values - doc->nodes) + 1;
    lp_buf_c(out, ",\"entries\":[");
    for (uint32_t i = first; i < values->next; i = doc->nodes[i].next) {
        lp_buf_c(out, i > first ? "," : "");
        put_time(doc->nodes[i + 1].text, out);
        lp_buf_json(out, doc->nodes[i + 2].text);
        lp_buf_byte(out, '}');
    }
    lp_buf_c(out, "]}");
}

static lp_rc
rewrite(struct lp_query_call *c, const struct lp_json_doc *doc, struct lp_buf *out)
{
    const struct lp_json *result = lp_json_path(doc, "data", "result", NULL);
    const struct lp_json *stats = lp_json_path(doc, "data", "stats", NULL);
    struct lp_buf room;
    LP_ASSERT(result != NULL && stats != NULL);
    uint32_t first = (uint32_t)(result - doc->nodes) + 1;
    lp_buf_init(&room, out->limit);
    lp_buf_c(out, "{\"streams\":[");
    for (uint32_t i = first; i < result->next; i = doc->nodes[i].next) {
        const struct lp_json *stream = lp_json_member(doc, i, LP_STR("stream"));
        const struct lp_json *values = lp_json_member(doc, i, LP_STR("values"));
        LP_ASSERT(stream != NULL && values != NULL);
        lp_buf_c(out, i > first ? ",{\"labels\":" : "{\"labels\":");
        put_labels(doc, (uint32_t)(stream - doc->nodes), &room, out);
        put_entries(doc, values, out);
    }
    lp_buf_c(out, "],\"stats\":");
    lp_buf_str(out, stats->text);
    lp_buf_c(out, "}\n");
    bool ok = !out->failed && !room.failed;
    lp_buf_clear(&room);
    return ok ? LP_OK
              : lp_err_set(&c->err, LP_ERR_LIMIT, "the answer needs more memory than a query may have");
}

static lp_rc
legacy(struct lp_query_call *c, struct lp_buf *out)
{
    const struct lp_log_query *log = NULL;
    int64_t start_ns, end_ns, step_ns;
    struct lp_buf found;
    struct lp_json_doc doc;
    lp_rc rc = lp_query_range(c, &start_ns, &end_ns);
    rc = rc == LP_OK ? lp_query_check(c) : rc;
    rc = rc == LP_OK ? lp_query_step(c, start_ns, end_ns, &step_ns) : rc;
    rc = rc == LP_OK ? parse(c, &log) : rc;
    if (rc != LP_OK) {
        return rc;
    }
    lp_buf_init(&found, out->limit);
    rc = lp_query_streams(c, log, start_ns, end_ns, &found);
    if (rc == LP_OK) {
        struct lp_json_parser *p = lp_json_parser_new();
        rc = lp_json_parse(p, lp_buf_view(&found), &doc, &c->err);
        rc = rc == LP_OK ? rewrite(c, &doc, out) : rc;
        lp_json_parser_free(p);
    }
    lp_buf_clear(&found);
    return rc;
}

void
lp_query_work_legacy(struct lp_http_req *req, struct lp_server *s)
{
    lp_query_answer(req, s, legacy);
}
