/*
 * cmd_status.c - `logpond status`: how a server is doing, from /admin/status, read twice for the rate of the
 * moment.
 */
#include <stdio.h>

#include "base/json.h"
#include "server/cli.h"
#include "server/client.h"
#include "server/cmd_status_int.h"
#include "server/server.h"
#include "server/text_ui.h"

#define BETWEEN_NS LP_NS_PER_S
#define POLL_NS (100 * LP_NS_PER_MS)
#define ASK_NS (10 * LP_NS_PER_S)
#define PARTITIONS_SHOWN 20

static const char help[] =
    "usage: logpond status [OPTIONS]\n"
    "\n"
    "Says how a server is doing: intake, head, log, last seal, what is stored, disk.\n"
    "\n"
    "  --json          what the server answers, as it is\n"
    "  --wait TIME     wait until it is ready, at most so long; then say so\n"
    "  --server URL    the server (default $LOGPOND_SERVER, else http://127.0.0.1:3100)\n"
    "\n"
    "Exit status: 0 ready, 1 not ready, 2 no server or trouble.\n";

enum { OPT_SERVER = 'S', OPT_JSON = 'J', OPT_WAIT = 'W' };

static const struct lp_cli_option options[] = {
    {"server", OPT_SERVER, true, 0}, {"json", OPT_JSON, false, 0}, {"wait", OPT_WAIT, true, 0}};

struct status {
    const char *server;
    bool json;
    int64_t wait_ns;
    struct lp_client *client;
    struct lp_client_answer answer;
    struct lp_json_parser *parser;
    struct lp_json_doc doc;
    struct lp_client_answer usage; /* of /admin/namespaces */
    struct lp_json_parser *usage_parser;
    struct lp_json_doc usage_doc;
    bool has_usage;
    struct lp_err err;
};

/* --- asking --- */

static lp_rc
get(struct status *s, const char *target)
{
    struct lp_client_request req = {.method = "GET", .target = lp_str_c(target), .idle_ns = ASK_NS};
    lp_err_clear(&s->err);
    return lp_client_call(s->client, &req, &s->answer, &s->err);
}

static lp_rc
read_status(struct status *s)
{
    lp_rc rc = get(s, "/admin/status");
    if (rc != LP_OK) {
        return rc;
    }
    if (s->answer.status != 200 || lp_client_json(&s->answer, s->parser, &s->doc, &s->err) != LP_OK) {
        return lp_err_set(&s->err, LP_ERR_UNSUPPORTED, "what answers at %s is no Logpond",
                          lp_client_url(s->client));
    }
    return LP_OK;
}

/* A server that starts has no answer yet; an earlier version never has. */
static void
read_usage(struct status *s)
{
    struct lp_client_request req = {
        .method = "GET", .target = LP_STR("/admin/namespaces"), .idle_ns = ASK_NS};
    struct lp_err err;
    s->has_usage = lp_client_call(s->client, &req, &s->usage, &err) == LP_OK && s->usage.status == 200 &&
                   lp_client_json(&s->usage, s->usage_parser, &s->usage_doc, &err) == LP_OK;
}

static int
wait_ready(struct status *s)
{
    int64_t until_ns = lp_mono_ns() + s->wait_ns;
    for (;;) {
        lp_rc rc = get(s, "/ready");
        if (rc == LP_OK && s->answer.status == 200) {
            return 0;
        }
        if (lp_mono_ns() >= until_ns) {
            if (rc == LP_OK) {
                (void)lp_err_set(&s->err, LP_ERR_BUSY, "%s is not ready: " LP_STR_FMT,
                                 lp_client_url(s->client), LP_STR_ARG(lp_client_reason(&s->answer)));
            }
            lp_cli_complain("status", &s->err);
            return rc == LP_OK ? 1 : 2;
        }
        lp_client_pause(POLL_NS, NULL);
    }
}

/* --- values --- */

static uint64_t
number(const struct status *s, const char *a, const char *b)
{
    return lp_json_u64(lp_json_path(&s->doc, a, b, NULL));
}

static bool
truth(const struct status *s, const char *a, const char *b)
{
    const struct lp_json *v = lp_json_path(&s->doc, a, b, NULL);
    return v != NULL && v->type == LP_JSON_BOOL && v->is_true;
}

static struct lp_str
text(const struct status *s, const char *name)
{
    const struct lp_json *v = lp_json_path(&s->doc, name, NULL);
    return v != NULL && v->type == LP_JSON_STRING ? v->text : LP_STR("?");
}

/* --- showing --- */

/* What is compared between the two readings. */
struct moment {
    uint64_t records, bytes, now_ns;
};

static struct moment
moment_of(const struct status *s)
{
    return (struct moment){number(s, "intake", "records"), number(s, "intake", "line_bytes"),
                           number(s, "now_ns", NULL)};
}

static void
show_intake(const struct status *s, const struct moment *before)
{
    char lines[LP_UI_TEXT], bytes[LP_UI_TEXT], total[LP_UI_TEXT];
    struct moment now = moment_of(s);
    double seconds = now.now_ns > before->now_ns ? (double)(now.now_ns - before->now_ns) / 1e9 : 1;
    double rate = (double)(now.records - before->records) / seconds;
    double byte_rate = (double)(now.bytes - before->bytes) / seconds;
    printf("intake     %s lines/s, %s/s; %s lines since it started\n", lp_ui_count((uint64_t)rate, lines),
           lp_ui_bytes((uint64_t)byte_rate, bytes), lp_ui_count(now.records, total));
    static const struct {
        const char *name, *words;
    } extra[] = {{"duplicates", "sent again, and stored once"},
                 {"quarantined", "records that could not be decoded, and are kept raw"},
                 {"refused", "pushes refused for their content"},
                 {"no_room", "pushes told to come again for want of room"}};
    for (size_t i = 0; i < LP_ARRAY_LEN(extra); i++) {
        uint64_t n = number(s, "intake", extra[i].name);
        if (n > 0) {
            printf("           %s: %s\n", extra[i].words, lp_ui_count(n, lines));
        }
    }
}

/* What happened to the group and to pushes since the server started; only what did. */
static void
show_kafka_events(const struct status *s)
{
    static const struct {
        const char *name, *words;
    } events[] = {{"gaps", "GAPS, told in {__quarantine__=\"kafka\"}"},
                  {"lost", "partitions lost without a revocation"},
                  {"commit_failures", "commits of positions that were refused (hints only)"},
                  {"produce_failures", "messages that the brokers did not take"}};
    char n[LP_UI_TEXT];
    for (size_t i = 0; i < LP_ARRAY_LEN(events); i++) {
        uint64_t count = number(s, "kafka", events[i].name);
        if (count > 0) {
            printf("           %s: %s\n", events[i].words, lp_ui_count(count, n));
        }
    }
    if (number(s, "kafka", "produced") > 0) {
        const struct lp_json *ms = lp_json_path(&s->doc, "kafka", "produce_ms", NULL);
        printf("           messages produced: %s, in " LP_STR_FMT " ms a push\n",
               lp_ui_count(number(s, "kafka", "produced"), n),
               LP_STR_ARG(ms != NULL ? ms->text : LP_STR("?")));
    }
    if (number(s, "kafka", "paused") > 0) {
        printf("WARNING    reading is paused until there is room\n");
    }
}

static void
show_kafka(const struct status *s)
{
    const struct lp_json *list = lp_json_path(&s->doc, "kafka", "partitions", NULL);
    char lag[LP_UI_TEXT];
    uint64_t total = 0, n, shown = 0;
    if (list == NULL || list->type != LP_JSON_ARRAY) {
        return;
    }
    uint32_t first = (uint32_t)(list - s->doc.nodes) + 1;
    for (uint32_t i = first; i < list->next; i = s->doc.nodes[i].next) {
        const struct lp_json *v = lp_json_member(&s->doc, i, LP_STR("lag"));
        total += v != NULL && lp_str_u64(v->text, &n) ? n : 0;
    }
    printf("kafka      %u partition%s, messages not yet sealed: %s, rebalances: %llu\n", list->count,
           list->count == 1 ? "" : "s", lp_ui_count(total, lag),
           (unsigned long long)number(s, "kafka", "rebalances"));
    for (uint32_t i = first; i < list->next && shown < PARTITIONS_SHOWN; i = s->doc.nodes[i].next, shown++) {
        const struct lp_json *topic = lp_json_member(&s->doc, i, LP_STR("topic"));
        const struct lp_json *part = lp_json_member(&s->doc, i, LP_STR("partition"));
        const struct lp_json *v = lp_json_member(&s->doc, i, LP_STR("lag"));
        if (topic != NULL && part != NULL && v != NULL) {
            printf("           " LP_STR_FMT "/" LP_STR_FMT ": " LP_STR_FMT "\n", LP_STR_ARG(topic->text),
                   LP_STR_ARG(part->text), LP_STR_ARG(v->text));
        }
    }
    const struct lp_json *cluster = lp_json_path(&s->doc, "kafka", "cluster", NULL);
    if (cluster != NULL && cluster->text.n == 0) {
        printf("WARNING    no broker has answered yet: nothing is read\n");
    }
    show_kafka_events(s);
}

static void
show_log(const struct status *s)
{
    char bytes[LP_UI_TEXT];
    if (lp_json_path(&s->doc, "journal", NULL) != NULL) {
        uint64_t files = number(s, "journal", "files");
        printf("journal    %s in %llu file%s\n", lp_ui_bytes(number(s, "journal", "bytes"), bytes),
               (unsigned long long)files, files == 1 ? "" : "s");
    }
    show_kafka(s);
}

static void
show_store(const struct status *s)
{
    char a[LP_UI_TEXT], b[LP_UI_TEXT], c[LP_UI_TEXT];
    int64_t now_ns = (int64_t)number(s, "now_ns", NULL),
            seal_ns = (int64_t)number(s, "store", "last_seal_ns");
    uint64_t segments = number(s, "store", "segments");
    if (seal_ns > 0) {
        printf("last seal  %s ago\n", lp_ui_duration(now_ns - seal_ns, a));
    } else {
        printf("last seal  none since it started\n");
    }
    printf("stored     %s lines (%s) in %llu segment%s of %s\n",
           lp_ui_count(number(s, "store", "records"), a), lp_ui_bytes(number(s, "store", "line_bytes"), b),
           (unsigned long long)segments, segments == 1 ? "" : "s",
           lp_ui_bytes(number(s, "store", "file_bytes"), c));
    printf("disk       %s of %s free\n", lp_ui_bytes(number(s, "store", "disk_free"), a),
           lp_ui_bytes(number(s, "store", "disk_total"), b));
    if (s->has_usage) {
        lp_status_show_forecast(&s->usage_doc);
    }
    if (truth(s, "store", "disk_full")) {
        printf("WARNING    the disk is full: nothing is taken in until there is space\n");
    }
    if (truth(s, "store", "seal_failing")) {
        printf("WARNING    segments cannot be written: see the server's log\n");
    }
}

static void
show_compaction(const struct status *s)
{
    char a[LP_UI_TEXT], b[LP_UI_TEXT];
    uint64_t sealed = number(s, "compaction", "sealed_bytes"),
             written = number(s, "compaction", "written_bytes");
    if (!truth(s, "compaction", "on")) {
        printf("merging    off\n");
    } else if (truth(s, "compaction", "running")) {
        printf("merging    %llu segments, for %s; %s left to be merged\n",
               (unsigned long long)number(s, "compaction", "inputs"),
               lp_ui_duration((int64_t)number(s, "compaction", "running_ms") * LP_NS_PER_MS, a),
               lp_ui_bytes(number(s, "compaction", "debt_bytes"), b));
    } else if (number(s, "compaction", "debt_bytes") == 0) {
        printf("merging    idle, nothing is left to be merged\n");
    } else {
        printf("merging    idle, %s are to be merged when their day is over\n",
               lp_ui_bytes(number(s, "compaction", "debt_bytes"), a));
    }
    if (sealed > 0) {
        printf("           each byte was written %.1f times since it started\n",
               (double)(sealed + written) / (double)sealed);
    }
    const struct lp_json *problem = lp_json_path(&s->doc, "compaction", "problem", NULL);
    if (problem != NULL && problem->text.n > 0) {
        printf("WARNING    a merge has failed: " LP_STR_FMT "\n", LP_STR_ARG(problem->text));
    }
}

static void
show(const struct status *s, const struct moment *before)
{
    char a[LP_UI_TEXT], b[LP_UI_TEXT], c[LP_UI_TEXT];
    int64_t up_ns = (int64_t)(number(s, "now_ns", NULL) - number(s, "started_ns", NULL));
    uint64_t generations = number(s, "head", "generations");
    printf("logpond " LP_STR_FMT " at %s: %s, up %s\n", LP_STR_ARG(text(s, "version")),
           lp_client_url(s->client), truth(s, "ready", NULL) ? "ready" : "NOT READY",
           lp_ui_duration(up_ns, a));
    show_intake(s, before);
    printf("head       %s lines, %s of at most %s, %llu generation%s\n",
           lp_ui_count(number(s, "head", "rows"), a), lp_ui_bytes(number(s, "head", "bytes"), b),
           lp_ui_bytes(number(s, "head", "budget"), c), (unsigned long long)generations,
           generations == 1 ? "" : "s");
    show_log(s);
    show_store(s);
    show_compaction(s);
    if (s->has_usage) {
        lp_status_show_namespaces(&s->usage_doc);
    }
}

/* What the server answers, as it is, with the namespaces as one more member. */
static void
show_json(const struct status *s)
{
    struct lp_str all = lp_str_trim(lp_buf_view(&s->answer.body));
    if (s->has_usage && all.n > 0) {
        struct lp_str usage = lp_str_trim(lp_buf_view(&s->usage.body));
        fwrite(all.p, 1, all.n - 1, stdout);
        fputs(",\"usage\":", stdout);
        fwrite(usage.p, 1, usage.n, stdout);
        putchar('}');
    } else {
        fwrite(all.p, 1, all.n, stdout);
    }
    putchar('\n');
}

static int
run(struct status *s)
{
    struct moment before = {0, 0, 0};
    if (s->wait_ns > 0) {
        int status = wait_ready(s);
        if (status != 0) {
            return status;
        }
    }
    lp_rc rc = read_status(s);
    if (rc == LP_OK && !s->json) {
        before = moment_of(s);
        lp_client_pause(BETWEEN_NS, NULL);
        rc = read_status(s);
    }
    if (rc != LP_OK) {
        lp_cli_complain("status", &s->err);
        return 2;
    }
    read_usage(s);
    if (s->json) {
        show_json(s);
    } else {
        show(s, &before);
    }
    return truth(s, "ready", NULL) ? 0 : 1;
}

static lp_rc
take_option(void *arg, int id, const char *value)
{
    struct status *s = arg;
    if (id == OPT_WAIT && (!lp_duration(lp_str_c(value), &s->wait_ns) || s->wait_ns <= 0)) {
        return lp_err_set(&s->err, LP_ERR_PARSE, "--wait %s: a time like 30s is expected", value);
    }
    s->server = id == OPT_SERVER ? value : s->server;
    s->json = s->json || id == OPT_JSON;
    return LP_OK;
}

int
lp_cmd_status(int argc, char **argv)
{
    static const struct lp_cli_command command = {"status", help,       options, LP_ARRAY_LEN(options),
                                                  false,    take_option};
    struct status s = {.server = NULL};
    int status = lp_cli_read(&command, argc, argv, &s, &s.err);
    if (status >= 0) {
        return status;
    }
    if (lp_client_new(s.server, &s.client, &s.err) != LP_OK) {
        lp_cli_complain("status", &s.err);
        return 2;
    }
    lp_client_answer_init(&s.answer);
    lp_client_answer_init(&s.usage);
    s.parser = lp_json_parser_new();
    s.usage_parser = lp_json_parser_new();
    status = run(&s);
    lp_json_parser_free(s.parser);
    lp_json_parser_free(s.usage_parser);
    lp_client_answer_clear(&s.usage);
    lp_client_answer_clear(&s.answer);
    lp_client_free(s.client);
    return status;
}
