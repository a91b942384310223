/*
 * cmd_query_ask.c - asking a server for a JSON answer, and what is said when it refuses.
 */
#include "server/cmd_query_int.h"

#include "query/text.h"
#include "server/cli.h"
#include "server/text_ui.h"

#define ANSWER_BYTES_MAX ((size_t)512 << 20)
#define IDLE_NS (300 * LP_NS_PER_S)

bool
lp_query_server_open(struct lp_query_server *s)
{
    struct lp_err err;
    lp_err_clear(&err);
    lp_client_answer_init(&s->answer);
    s->json = lp_json_parser_new();
    if (lp_client_new(s->url, &s->client, &err) == LP_OK) {
        return true;
    }
    lp_cli_complain(s->command, &err);
    return false;
}

void
lp_query_server_close(struct lp_query_server *s)
{
    lp_client_answer_clear(&s->answer);
    lp_json_parser_free(s->json);
    lp_client_free(s->client);
}

void
lp_query_put_time(struct lp_buf *target, const char *name, int64_t ns)
{
    char text[LP_TIME_TEXT];
    if (ns != LP_TIME_NONE) {
        lp_client_param(target, name, lp_str_of(text, lp_time_text(ns, text)));
    }
}

void
lp_query_refused(const char *command, const struct lp_client_answer *a, struct lp_str query)
{
    struct lp_str why = lp_client_reason(a);
    struct lp_err err;
    lp_err_clear(&err);
    if (a->status == 404) {
        (void)lp_err_set(&err, LP_ERR_UNSUPPORTED, "what answers at this address is no Logpond");
    } else if (a->status == 503) {
        (void)lp_err_set(&err, LP_ERR_BUSY, "not now: " LP_STR_FMT, LP_STR_ARG(why));
    } else {
        (void)lp_err_set(&err, LP_ERR_PARSE, LP_STR_FMT, LP_STR_ARG(why));
    }
    lp_cli_complain(command, &err);
    lp_query_point_at(stderr, query, why);
}

void
lp_query_warnings(const char *command, const struct lp_json_doc *doc)
{
    const struct lp_json *list = lp_json_path(doc, "warnings", NULL);
    if (list == NULL || list->type != LP_JSON_ARRAY) {
        return;
    }
    for (uint32_t i = (uint32_t)(list - doc->nodes) + 1; i < list->next; i = doc->nodes[i].next) {
        fprintf(stderr, "logpond %s: warning: " LP_STR_FMT "\n", command, LP_STR_ARG(doc->nodes[i].text));
    }
}

bool
lp_query_get(struct lp_query_server *s, const struct lp_buf *target, struct lp_str query)
{
    struct lp_err err;
    struct lp_pair tenant = {LP_STR("X-Scope-OrgID"), s->tenant != NULL ? lp_str_c(s->tenant) : LP_STR_NULL};
    struct lp_client_request req = {.method = "GET",
                                    .target = lp_buf_view(target),
                                    .headers = &tenant,
                                    .nheaders = s->tenant != NULL,
                                    .idle_ns = IDLE_NS,
                                    .body_max = ANSWER_BYTES_MAX};
    lp_err_clear(&err);
    lp_rc rc = target->failed ? lp_err_set(&err, LP_ERR_LIMIT, "the query is too long")
                              : lp_client_call(s->client, &req, &s->answer, &err);
    if (rc == LP_OK && s->answer.status != 200) {
        lp_query_refused(s->command, &s->answer, query);
        return false;
    }
    if (rc == LP_OK && lp_client_json(&s->answer, s->json, &s->doc, &err) != LP_OK) {
        rc =
            err.rc == LP_ERR_LIMIT
                ? lp_err_set(&err, LP_ERR_LIMIT,
                             "the answer is too large; ask for a shorter time, a larger step or fewer series")
                : lp_err_set(&err, LP_ERR_UNSUPPORTED, "what answers at %s is no Logpond",
                             lp_client_url(s->client));
    }
    if (rc != LP_OK) {
        lp_cli_complain(s->command, &err);
        return false;
    }
    lp_query_warnings(s->command, &s->doc);
    return true;
}

void
lp_query_searched(int64_t start_ns, int64_t end_ns)
{
    char from[LP_UI_TEXT], to[LP_UI_TEXT];
    if (start_ns == LP_TIME_NONE && end_ns == LP_TIME_NONE) {
        fputs("searched everything that is stored; `logpond status` says how much that is\n", stderr);
        return;
    }
    fprintf(stderr,
            "searched from %s to %s; --since 7d goes further back, without --since, --start and --end "
            "all is searched\n",
            start_ns != LP_TIME_NONE ? lp_ui_time(start_ns, from) : "the beginning",
            end_ns != LP_TIME_NONE ? lp_ui_time(end_ns, to) : "now");
}

void
lp_query_stats_of(const struct lp_json_doc *doc, struct lp_query_stats *ret)
{
    int64_t ns = 0;
    const struct lp_json *took = lp_json_path(doc, "data", "stats", "summary", "execTime", NULL);
    *ret = (struct lp_query_stats){
        .lines = lp_json_u64(lp_json_path(doc, "data", "stats", "summary", "totalLinesProcessed", NULL)),
        .bytes = lp_json_u64(lp_json_path(doc, "data", "stats", "summary", "totalBytesProcessed", NULL)),
        .passed = lp_json_u64(lp_json_path(doc, "data", "stats", "summary", "totalPostFilterLines", NULL)),
        .blocks = lp_json_u64(lp_json_path(doc, "data", "stats", "index", "postFilterChunks", NULL)),
        .streams = lp_json_u64(lp_json_path(doc, "data", "stats", "index", "totalStreams", NULL)),
    };
    ret->ns = took != NULL && lp_time_decimal(took->text, LP_NS_PER_S, &ns) ? ns : 0;
}

void
lp_query_stats_show(FILE *out, const struct lp_query_stats *st)
{
    char lines[LP_UI_TEXT], bytes[LP_UI_TEXT], blocks[LP_UI_TEXT], streams[LP_UI_TEXT], passed[LP_UI_TEXT];
    fprintf(out, "looked at %s lines (%s) of %s streams, %s blocks, in %.3f s; %s lines passed the filters\n",
            lp_ui_count(st->lines, lines), lp_ui_bytes(st->bytes, bytes), lp_ui_count(st->streams, streams),
            lp_ui_count(st->blocks, blocks), (double)st->ns / 1e9, lp_ui_count(st->passed, passed));
}

void
lp_query_put_labels(struct lp_buf *out, const struct lp_json_doc *doc, uint32_t i)
{
    const char *between = "{";
    for (uint32_t k = i + 1; k < doc->nodes[i].next; k = doc->nodes[k].next) {
        lp_buf_c(out, between);
        if (lp_text_is_name(doc->nodes[k].key)) {
            lp_buf_str(out, doc->nodes[k].key);
        } else { /* whatever bytes it has */
            lp_text_quote(out, doc->nodes[k].key);
        }
        lp_buf_byte(out, '=');
        lp_text_quote(out, doc->nodes[k].text);
        between = ", ";
    }
    lp_buf_c(out, between[0] == '{' ? "{}" : "}");
}

bool
lp_query_flush(struct lp_buf *out)
{
    bool good = !out->failed && (out->n == 0 || fwrite(out->p, 1, out->n, stdout) == out->n);
    lp_buf_reset(out);
    return good;
}
