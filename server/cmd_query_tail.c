/*
 * cmd_query_tail.c - `logpond query --tail`: a WebSocket client of /loki/api/v1/tail that shows lines as they
 * come and, when the connection breaks, goes on behind the last frame it got, by that frame's cursor.
 */
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <wslay/wslay.h>

#include "server/cli.h"
#include "server/client.h"
#include "server/cmd_query_int.h"
#include "server/text_ui.h"
#include "server/ws.h"

#define IDLE_NS (15 * LP_NS_PER_S) /* the server pings every second */
#define AGAIN_NS LP_NS_PER_S
#define AGAIN_MAX_NS (5 * LP_NS_PER_S)
#define FRAME_BYTES_MAX ((size_t)256 << 20)
#define LIMIT_MAX 5000 /* what servers allow where nothing else is set */

struct tail {
    const struct lp_query *q;
    struct lp_query_show *show;
    struct lp_client *client;
    struct lp_json_parser *json;
    wslay_event_context_ptr ws;
    struct lp_str in;
    struct lp_buf frame, row, cursor, query;
    int64_t start_ns; /* of the past; LP_TIME_NONE: nothing of it */
    bool once;        /* it was connected before */
    lp_rc sending;    /* what became of writes */
    struct lp_err err;
};

/* --- frames --- */

/* ,"metadata":{...} and ,"parsed":{...}, as an export's rows have them. */
static void
put_categories(struct lp_buf *out, const struct lp_json_doc *doc, const struct lp_json *v)
{
    static const char *const names[][2] = {{"structuredMetadata", "metadata"}, {"parsed", "parsed"}};
    if (v->type != LP_JSON_OBJECT) {
        return;
    }
    for (size_t i = 0; i < LP_ARRAY_LEN(names); i++) {
        const struct lp_json *m = lp_json_member(doc, (uint32_t)(v - doc->nodes), lp_str_c(names[i][0]));
        if (m != NULL && m->type == LP_JSON_OBJECT) {
            lp_buf_printf(out, ",\"%s\":", names[i][1]);
            lp_buf_str(out, m->text);
        }
    }
}

/* One [time, line, categories] as a row of an export. */
static bool
show_value(struct tail *t, const struct lp_json_doc *doc, struct lp_str labels, const struct lp_json *v)
{
    char time[LP_TIME_TEXT];
    int64_t ns;
    const struct lp_json *line = v + 2;
    if (v->type != LP_JSON_ARRAY || v->count < 2 || !lp_str_i64(v[1].text, &ns) ||
        line->type != LP_JSON_STRING) {
        return true;
    }
    lp_buf_reset(&t->row);
    lp_buf_c(&t->row, "{\"time\":\"");
    lp_buf_add(&t->row, time, lp_time_text(ns, time));
    lp_buf_c(&t->row, "\",\"labels\":");
    lp_buf_str(&t->row, labels);
    if (v->count > 2) {
        put_categories(&t->row, doc, line + 1);
    }
    lp_buf_c(&t->row, ",\"line\":");
    lp_buf_json(&t->row, line->text);
    lp_buf_byte(&t->row, '}');
    return t->row.failed || lp_query_show_row(t->show, lp_buf_view(&t->row));
}

static bool
show_streams(struct tail *t, const struct lp_json_doc *doc)
{
    const struct lp_json *streams = lp_json_path(doc, "streams", NULL);
    bool good = true;
    if (streams == NULL || streams->type != LP_JSON_ARRAY) {
        return true;
    }
    for (uint32_t i = (uint32_t)(streams - doc->nodes) + 1; good && i < streams->next;
         i = doc->nodes[i].next) {
        const struct lp_json *labels = NULL, *values = NULL;
        if (doc->nodes[i].type == LP_JSON_OBJECT) {
            labels = lp_json_member(doc, i, LP_STR("stream"));
            values = lp_json_member(doc, i, LP_STR("values"));
        }
        if (labels == NULL || values == NULL || labels->type != LP_JSON_OBJECT ||
            values->type != LP_JSON_ARRAY) {
            continue;
        }
        for (uint32_t k = (uint32_t)(values - doc->nodes) + 1; good && k < values->next;
             k = doc->nodes[k].next) {
            good = show_value(t, doc, labels->text, &doc->nodes[k]);
        }
    }
    return good;
}

static void
show_frame(struct tail *t)
{
    struct lp_json_doc doc;
    if (!lp_buf_reserve(&t->frame, LP_JSON_PAD) ||
        lp_json_parse(t->json, lp_buf_view(&t->frame), &doc, NULL) != LP_OK) {
        return;
    }
    const struct lp_json *notice = lp_json_path(&doc, "notice", NULL),
                         *cursor = lp_json_path(&doc, "cursor", NULL);
    const struct lp_json *dropped = lp_json_path(&doc, "dropped_entries", NULL);
    (void)show_streams(t, &doc); /* show->failed keeps it */
    if (notice != NULL && notice->type == LP_JSON_STRING) {
        fprintf(stderr, "logpond query: " LP_STR_FMT "\n", LP_STR_ARG(notice->text));
    } else if (dropped != NULL && dropped->count > 0) {
        fprintf(stderr, "logpond query: lines were left out, because they came too fast\n");
    }
    if (cursor != NULL && cursor->type == LP_JSON_STRING) {
        lp_buf_reset(&t->cursor);
        lp_buf_str(&t->cursor, cursor->text);
    }
    t->show->failed = t->show->failed || fflush(t->show->out) != 0;
}

/* --- what wslay asks for --- */

static ssize_t
on_recv(wslay_event_context_ptr ctx, uint8_t *buf, size_t n, int flags, void *arg)
{
    struct tail *t = arg;
    (void)flags;
    if (t->in.n == 0) {
        wslay_event_set_error(ctx, WSLAY_ERR_WOULDBLOCK);
        return -1;
    }
    n = LP_MIN(n, t->in.n);
    memcpy(buf, t->in.p, n);
    t->in = lp_str_sub(t->in, n, t->in.n);
    return (ssize_t)n;
}

static ssize_t
on_send(wslay_event_context_ptr ctx, const uint8_t *data, size_t n, int flags, void *arg)
{
    struct tail *t = arg;
    (void)flags;
    t->sending = lp_client_write(t->client, lp_str_of((const char *)data, n), &t->err);
    if (t->sending != LP_OK) {
        wslay_event_set_error(ctx, WSLAY_ERR_CALLBACK_FAILURE);
        return -1;
    }
    return (ssize_t)n;
}

static int
on_mask(wslay_event_context_ptr ctx, uint8_t *buf, size_t n, void *arg)
{
    (void)ctx, (void)arg;
    return getrandom(buf, n, 0) == (ssize_t)n ? 0 : -1;
}

static void
on_message(wslay_event_context_ptr ctx, const struct wslay_event_on_msg_recv_arg *m, void *arg)
{
    struct tail *t = arg;
    (void)ctx;
    if (m->opcode == WSLAY_CONNECTION_CLOSE && m->msg_length > 2) {
        fprintf(stderr, "logpond query: the server ends the tail: %.*s\n", (int)m->msg_length - 2,
                (const char *)m->msg + 2);
    }
    if (m->opcode == WSLAY_TEXT_FRAME && !t->show->failed) {
        lp_buf_reset(&t->frame);
        lp_buf_add(&t->frame, m->msg, m->msg_length);
        show_frame(t);
    }
}

/* --- a connection --- */

static void
make_target(const struct tail *t, struct lp_buf *out)
{
    char text[LP_TIME_TEXT];
    bool past = t->start_ns != LP_TIME_NONE;
    uint64_t limit = past && t->q->limit > 0 ? t->q->limit : LIMIT_MAX;
    lp_buf_c(out, "/loki/api/v1/tail");
    lp_client_param(out, "query", lp_buf_view(&t->query));
    if (t->cursor.n > 0) {
        lp_client_param(out, "cursor", lp_buf_view(&t->cursor));
        return;
    }
    /* nothing was shown yet: what came since the beginning is not to be lost */
    lp_query_put_time(out, "start", past ? t->start_ns : t->q->now_ns);
    snprintf(text, sizeof(text), "%llu", (unsigned long long)limit);
    lp_client_param(out, "limit", lp_str_c(text));
}

/* LP_OK: it stands. LP_ERR_PARSE, LP_ERR_UNSUPPORTED: there is no sense in another try. */
static lp_rc
take_answer(struct tail *t, struct lp_client_answer *a, struct lp_str key)
{
    char want[LP_WS_ACCEPT_TEXT];
    lp_ws_accept(key, want);
    if (a->status == 101) {
        return lp_str_eqc(lp_client_header(a, "Sec-WebSocket-Accept"), want)
                   ? LP_OK
                   : lp_err_set(&t->err, LP_ERR_UNSUPPORTED,
                                "what answers at this address speaks no WebSocket");
    }
    if (a->status == 404) {
        return lp_err_set(&t->err, LP_ERR_UNSUPPORTED, "what answers at this address is no Logpond");
    }
    lp_rc rc = a->status == 429 || a->status >= 500 ? LP_ERR_BUSY : LP_ERR_PARSE;
    struct lp_str why = lp_client_reason(a);
    (void)lp_err_set(&t->err, rc, LP_STR_FMT, LP_STR_ARG(why));
    return rc;
}

static lp_rc
connect_tail(struct tail *t)
{
    struct lp_buf target, key;
    struct lp_client_answer a;
    char bytes[16];
    lp_buf_init(&target, 1 << 20);
    lp_buf_init(&key, 64);
    lp_client_answer_init(&a);
    if (getrandom(bytes, sizeof(bytes), 0) != (ssize_t)sizeof(bytes)) {
        memset(bytes, 0x5a, sizeof(bytes)); /* it proves nothing but that a WebSocket answers */
    }
    lp_buf_base64(&key, lp_str_of(bytes, sizeof(bytes)));
    make_target(t, &target);
    const struct lp_pair headers[] = {
        {LP_STR("Connection"), LP_STR("Upgrade")},
        {LP_STR("Upgrade"), LP_STR("websocket")},
        {LP_STR("Sec-WebSocket-Version"), LP_STR("13")},
        {LP_STR("Sec-WebSocket-Key"), lp_buf_view(&key)},
        {LP_STR("X-Loki-Response-Encoding-Flags"), LP_STR("categorize-labels")},
        {LP_STR("X-Scope-OrgID"), t->q->tenant != NULL ? lp_str_c(t->q->tenant) : LP_STR_NULL},
    };
    struct lp_client_request req = {.method = "GET",
                                    .target = lp_buf_view(&target),
                                    .headers = headers,
                                    .nheaders = LP_ARRAY_LEN(headers) - (t->q->tenant == NULL),
                                    .idle_ns = IDLE_NS,
                                    .upgrade = true};
    lp_client_close(t->client);
    lp_rc rc = target.failed ? lp_err_set(&t->err, LP_ERR_PARSE, "the query is too long")
                             : lp_client_call(t->client, &req, &a, &t->err);
    rc = rc == LP_OK ? take_answer(t, &a, lp_buf_view(&key)) : rc;
    lp_client_answer_clear(&a);
    lp_buf_clear(&target);
    lp_buf_clear(&key);
    return rc;
}

/* Until the connection ends, or nobody wants more. */
static void
read_frames(struct tail *t)
{
    static const struct wslay_event_callbacks callbacks = {.recv_callback = on_recv,
                                                           .send_callback = on_send,
                                                           .genmask_callback = on_mask,
                                                           .on_msg_recv_callback = on_message};
    int bad = wslay_event_context_client_init(&t->ws, &callbacks, t);
    LP_ASSERT(bad == 0);
    wslay_event_config_set_max_recv_msg_length(t->ws, FRAME_BYTES_MAX);
    t->sending = LP_OK;
    lp_rc rc = LP_OK;
    while (rc == LP_OK && bad == 0 && !t->show->failed && !lp_cli_interrupted &&
           wslay_event_want_read(t->ws)) {
        rc = lp_client_read(t->client, &t->in, &t->err);
        if (rc == LP_OK && t->in.n == 0) {
            rc = lp_err_set(&t->err, LP_ERR_IO, "%s closed the connection", lp_client_url(t->client));
        }
        while (rc == LP_OK && bad == 0 && t->in.n > 0 && wslay_event_want_read(t->ws)) {
            bad = wslay_event_recv(t->ws);
        }
        while (rc == LP_OK && t->sending == LP_OK && wslay_event_want_write(t->ws) &&
               wslay_event_send(t->ws) == 0) {
        }
        rc = rc == LP_OK ? t->sending : rc;
    }
    if (rc == LP_ERR_CANCELED || t->show->failed) { /* goodbye */
        (void)wslay_event_queue_close(t->ws, WSLAY_CODE_NORMAL_CLOSURE, NULL, 0);
        (void)wslay_event_send(t->ws);
    } else if (rc == LP_OK) {
        (void)lp_err_set(&t->err, LP_ERR_IO, "%s ended the connection", lp_client_url(t->client));
    }
    wslay_event_context_free(t->ws);
}

/* --- again and again --- */

/* Whether another try makes sense; says what happened. */
static bool
may_try_again(struct tail *t, lp_rc rc, int64_t wait_ns)
{
    if (lp_cli_interrupted || t->show->failed) {
        return false;
    }
    bool cursor_refused = rc == LP_ERR_PARSE && t->once && t->cursor.n > 0;
    if (!t->once || rc == LP_ERR_UNSUPPORTED || (rc == LP_ERR_PARSE && !cursor_refused)) {
        return false;
    }
    if (cursor_refused) {
        fprintf(stderr,
                "logpond query: cannot go on behind the last line shown, so lines may be missing: %s\n",
                t->err.text);
        lp_buf_reset(&t->cursor);
        t->start_ns = lp_now_ns();
        return true;
    }
    fprintf(stderr, "logpond query: %s; trying again in %lld s\n", t->err.text,
            (long long)(wait_ns / LP_NS_PER_S));
    return true;
}

static int
run(struct tail *t)
{
    int64_t wait_ns = AGAIN_NS;
    for (;;) {
        lp_err_clear(&t->err);
        lp_rc rc = connect_tail(t);
        if (rc == LP_OK) {
            if (t->once) {
                fprintf(stderr, "logpond query: connected again\n");
            }
            t->once = true;
            wait_ns = AGAIN_NS;
            read_frames(t);
            rc = LP_ERR_IO;
        }
        if (!may_try_again(t, rc, wait_ns)) {
            break;
        }
        lp_client_pause(wait_ns, &lp_cli_interrupted);
        wait_ns = LP_MIN(2 * wait_ns, AGAIN_MAX_NS);
    }
    if (lp_cli_interrupted && !t->show->failed) {
        return 0;
    }
    if (!t->show->failed) {
        lp_cli_complain("query", &t->err);
        lp_query_point_at(stderr, lp_buf_view(&t->query), lp_str_c(t->err.text));
    }
    return LP_QUERY_WRONG;
}

/* {} is everything, which Loki's API wants to be said. */
static void
put_query(struct lp_str text, struct lp_buf *out)
{
    if (lp_str_starts(text, LP_STR("{}"))) {
        lp_buf_c(out, "{service_name=~\".+\"}");
        text = lp_str_sub(text, 2, text.n);
    }
    lp_buf_str(out, text);
}

int
lp_query_tail(const struct lp_query *q)
{
    struct lp_query_show show;
    struct tail t = {.q = q, .show = &show, .start_ns = q->start_ns};
    int status = LP_QUERY_WRONG;
    lp_err_clear(&t.err);
    if (lp_client_new(q->server, &t.client, &t.err) != LP_OK) {
        lp_cli_complain("query", &t.err);
        return status;
    }
    lp_query_show_begin(&show, q);
    lp_cli_catch_interrupts(false);
    lp_client_stop_on(t.client, &lp_cli_interrupted);
    t.json = lp_json_parser_new();
    lp_buf_init(&t.frame, FRAME_BYTES_MAX + LP_JSON_PAD);
    lp_buf_init(&t.row, FRAME_BYTES_MAX);
    lp_buf_init(&t.cursor, 1 << 20);
    lp_buf_init(&t.query, 1 << 20);
    put_query(q->text, &t.query);
    status = run(&t);
    lp_buf_clear(&t.frame);
    lp_buf_clear(&t.row);
    lp_buf_clear(&t.cursor);
    lp_buf_clear(&t.query);
    lp_json_parser_free(t.json);
    lp_query_show_clear(&show);
    lp_client_free(t.client);
    return status;
}
