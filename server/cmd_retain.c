/*
 * cmd_retain.c - `logpond retain`: lets go what has expired, or says what would; of a running server over
 * HTTP, or of a stopped store under its lock. Both give the same JSON report (retain.h), which is shown as it
 * is or as a table.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/json.h"
#include "server/cli.h"
#include "server/client.h"
#include "server/cmd_status_int.h"
#include "server/retainer.h"
#include "server/selectors.h"
#include "server/server.h"
#include "server/text_ui.h"
#include "store/ledger.h"

#define ANSWER_NS (6 * 3600 * LP_NS_PER_S) /* rewriting many mixed files takes its time */
#define STOP_NS (60 * LP_NS_PER_S)
#define ARGS_MAX 2048

static const char help[] =
    "usage: logpond retain [--dry-run] [OPTIONS]\n"
    "\n"
    "Lets go what has expired by the rules (the setting retention), and says by namespace what went.\n"
    "\n"
    "  --dry-run        only say what would go, and what it would free\n"
    "  --at TIME        with --dry-run: what would go at that time\n"
    "  --json           the report as it is\n"
    "  --server URL     a running server, by its own rules (default $LOGPOND_SERVER, else\n"
    "                   http://127.0.0.1:3100)\n"
    "\n"
    "Of a store whose server is stopped:\n"
    "\n"
    "  --data DIR       the store\n"
    "  --config FILE    the configuration with the rules\n"
    "  --retention RULE, --retention-total-bytes, --retention-free, --retention-quarantine\n"
    "                   as of `logpond serve`\n"
    "\n"
    "Exit status: 0 done, also when nothing went; 1 it could not be done; 2 no server, no store or wrong\n"
    "arguments.\n";

enum {
    OPT_SERVER = 'S',
    OPT_JSON = 'J',
    OPT_DRY = 'D',
    OPT_AT = 'A',
    OPT_DATA = 'd',
    OPT_CONFIG = 'c',
    OPT_RULE = 'r',
    OPT_TOTAL = 't',
    OPT_FREE = 'f',
    OPT_QUARANTINE = 'q'
};

static const struct lp_cli_option options[] = {
    {"server", OPT_SERVER, true, 0},       {"json", OPT_JSON, false, 0},
    {"dry-run", OPT_DRY, false, 0},        {"at", OPT_AT, true, 0},
    {"data", OPT_DATA, true, 0},           {"config", OPT_CONFIG, true, 0},
    {"retention", OPT_RULE, true, 0},      {"retention-total-bytes", OPT_TOTAL, true, 0},
    {"retention-free", OPT_FREE, true, 0}, {"retention-quarantine", OPT_QUARANTINE, true, 0},
};

struct retain {
    const char *server, *data, *at;
    bool json, dry, settings; /* settings: some were given, which are for --data */
    int64_t at_ns;
    char *args[ARGS_MAX]; /* for lp_server_settings: borrowed from argv and from the table above */
    int nargs;
    struct lp_buf report;
    struct lp_json_parser *parser;
    struct lp_json_doc doc;
    struct lp_err err;
};

/* --- the report as a table --- */

static uint64_t
number(const struct lp_json_doc *doc, uint32_t i, const char *a, const char *b)
{
    const struct lp_json *v = lp_json_member(doc, i, lp_str_c(a));
    if (v != NULL && b != NULL) {
        v = lp_json_member(doc, (uint32_t)(v - doc->nodes), lp_str_c(b));
    }
    return lp_json_u64(v);
}

static void
show_row(const struct lp_json_doc *doc, uint32_t i, struct lp_str name, int width)
{
    char rows[LP_UI_TEXT], bytes[LP_UI_TEXT], freed[LP_UI_TEXT], from[LP_UI_TEXT], to[LP_UI_TEXT];
    const struct lp_json *member = lp_json_member(doc, i, LP_STR("goes"));
    uint32_t goes = member != NULL ? (uint32_t)(member - doc->nodes) : i;
    printf("%-*.*s %14s %10s %10s  %-19s  %s\n", width, (int)name.n, name.p,
           lp_ui_count(number(doc, i, "goes", "rows"), rows),
           lp_ui_bytes(number(doc, i, "goes", "line_bytes"), bytes),
           lp_ui_bytes(number(doc, i, "goes", "stored_bytes"), freed),
           lp_ui_second(doc, goes, "first_ns", from), lp_ui_second(doc, goes, "last_ns", to));
}

static void
show_table(const struct lp_json_doc *doc, const struct lp_json *list)
{
    struct lp_buf name;
    int width = 12;
    uint32_t first = (uint32_t)(list - doc->nodes) + 1;
    lp_buf_init(&name, 1 << 16);
    for (uint32_t i = first; i < list->next; i = doc->nodes[i].next) {
        lp_ui_place(doc, i, &name);
        width = LP_MAX(width, (int)LP_MIN(name.n, (size_t)60));
    }
    printf("%-*s %14s %10s %10s  %-19s  %s\n", width, "NAMESPACE", "LINES", "BYTES", "FREES", "FROM", "TO");
    for (uint32_t i = first; i < list->next; i = doc->nodes[i].next) {
        lp_ui_place(doc, i, &name);
        show_row(doc, i, lp_buf_view(&name), width);
    }
    if (list->count > 1) {
        show_row(doc, 0, LP_STR("in all"), width);
    }
    lp_buf_clear(&name);
}

static uint64_t
count(const struct lp_json_doc *doc, const char *name)
{
    const struct lp_json *v = lp_json_path(doc, name, NULL);
    return v != NULL && v->type == LP_JSON_ARRAY ? v->count : 0;
}

static void
show_nothing(const struct lp_json_doc *doc, bool dry)
{
    char rows[LP_UI_TEXT], bytes[LP_UI_TEXT];
    const struct lp_json *disk = lp_json_path(doc, "disk", "limit", NULL);
    bool limited = disk != NULL && !lp_str_eqc(disk->text, "total=0 free=0");
    uint64_t rules = count(doc, "rules");
    if (rules == 0 && !limited) {
        printf("There are no rules of retention. ");
    }
    printf("Nothing has expired: all of %s lines (%s on the disk) %s.%s\n",
           lp_ui_count(number(doc, 0, "of", "rows"), rows),
           lp_ui_bytes(number(doc, 0, "of", "stored_bytes"), bytes), dry ? "would stay" : "stay",
           rules > 0 || limited ? " No line goes within 24 hours of its receipt." : "");
}

static void
show(const struct retain *r)
{
    const struct lp_json_doc *doc = &r->doc;
    const struct lp_json *list = lp_json_path(doc, "namespaces", NULL);
    char freed[LP_UI_TEXT], expected[LP_UI_TEXT], of[LP_UI_TEXT];
    if (list == NULL || list->count == 0) {
        show_nothing(doc, r->dry);
        return;
    }
    show_table(doc, list);
    lp_ui_bytes(number(doc, 0, "goes", "stored_bytes"), expected);
    lp_ui_bytes(number(doc, 0, "of", "stored_bytes"), of);
    if (r->dry) {
        printf("Would free %s of %s: %llu segments dropped, %llu written again without what goes.\n",
               expected, of, (unsigned long long)count(doc, "drop"),
               (unsigned long long)count(doc, "rewrite"));
        return;
    }
    printf(
        "Freed %s of %s: %llu segments dropped, %llu written again without what went. Ledger: entry %llu.\n",
        lp_ui_bytes(number(doc, 0, "done", "freed_bytes"), freed), of,
        (unsigned long long)number(doc, 0, "done", "dropped"),
        (unsigned long long)number(doc, 0, "done", "rewritten"),
        (unsigned long long)number(doc, 0, "ended", NULL));
}

static int
show_report(struct retain *r)
{
    struct lp_str text = lp_str_trim(lp_buf_view(&r->report));
    if (r->json) {
        fwrite(text.p, 1, text.n, stdout);
        putchar('\n');
        return 0;
    }
    r->parser = lp_json_parser_new();
    if (lp_json_parse(r->parser, text, &r->doc, &r->err) != LP_OK) {
        (void)lp_err_set(&r->err, LP_ERR_UNSUPPORTED, "what answers there is no Logpond with retention");
        lp_cli_complain("retain", &r->err);
        return 2;
    }
    show(r);
    return 0;
}

/* --- over HTTP --- */

/* 0 when the report is there. */
static int
ask_server(struct retain *r, struct lp_client *client, struct lp_client_answer *answer)
{
    struct lp_buf target;
    lp_buf_init(&target, 4096);
    lp_buf_c(&target, "/admin/retain");
    if (r->dry) {
        lp_client_param(&target, "dry_run", LP_STR("1"));
    }
    if (r->at != NULL) {
        lp_client_param(&target, "at", lp_str_c(r->at));
    }
    struct lp_client_request req = {.method = "POST", .target = lp_buf_view(&target), .idle_ns = ANSWER_NS};
    lp_rc rc = lp_client_call(client, &req, answer, &r->err);
    lp_buf_clear(&target);
    if (rc != LP_OK) {
        lp_cli_complain("retain", &r->err);
        return 2;
    }
    if (answer->status != 200) {
        (void)lp_err_set(&r->err, LP_ERR_BUSY, "%s answered %d: " LP_STR_FMT, lp_client_url(client),
                         answer->status, LP_STR_ARG(lp_client_reason(answer)));
        lp_cli_complain("retain", &r->err);
        return answer->status == 404 || answer->status == 400 ? 2 : 1;
    }
    lp_buf_str(&r->report, lp_buf_view(&answer->body));
    return 0;
}

static int
run_server(struct retain *r)
{
    struct lp_client *client;
    struct lp_client_answer answer;
    if (lp_client_new(r->server, &client, &r->err) != LP_OK) {
        lp_cli_complain("retain", &r->err);
        return 2;
    }
    lp_client_answer_init(&answer);
    int status = ask_server(r, client, &answer);
    lp_client_answer_clear(&answer);
    lp_client_free(client);
    return status;
}

/* --- a stopped store --- */

static void
on_event(void *ctx, enum lp_event level, const char *text)
{
    (void)ctx;
    if (level != LP_EVENT_INFO) {
        fprintf(stderr, "logpond retain: %s\n", text);
    }
}

static lp_rc
open_store(const struct retain *r, const struct lp_settings *set, struct lp_store **ret, struct lp_err *err)
{
    char path[4200];
    int fd;
    struct lp_store_config cfg = {
        .dir = r->data,
        .seal_bytes = (size_t)set->seal_bytes,
        .largest_bytes = (size_t)set->decoded_bytes,
        .seal_after_ns = set->seal_after,
        .seal_workers = 1,
        .reserve_bytes = (uint64_t)set->reserve_bytes,
        .min_free_bytes = (uint64_t)set->min_free,
        .select = &lp_selectors,
        .on_event = on_event,
    };
    snprintf(path, sizeof(path), "%s/catalog/data.mdb", r->data);
    lp_rc rc = lp_io_open(lp_io_posix(), path, LP_IO_READ, &fd, err);
    if (rc == LP_ERR_NOT_FOUND) {
        return lp_err_set(err, rc, "there is no store in %s", r->data);
    }
    if (rc != LP_OK) {
        return rc;
    }
    lp_io_close(lp_io_posix(), fd);
    rc = lp_store_open(&cfg, ret, err);
    if (rc == LP_ERR_BUSY) {
        (void)lp_err_set(err, rc,
                         "the store in %s is in use. Is its server running? Then use --server URL in "
                         "place of --data",
                         r->data);
    }
    return rc;
}

/* 0 when the report is there. */
static int
run_store(struct retain *r, const struct lp_settings *set)
{
    struct lp_retain_conf conf;
    struct lp_retain_ask ask = {.by = LP_STR("offline"), .asked = true, .dry = r->dry, .at_ns = r->at_ns};
    struct lp_retain_report rep;
    struct lp_store *st;
    int status = 2;
    lp_rc rc = lp_retain_conf_of(set, &conf, &r->err);
    if (rc != LP_OK) {
        lp_cli_complain("retain", &r->err);
        return status;
    }
    rc = open_store(r, set, &st, &r->err);
    if (rc == LP_OK) {
        status = 1;
        rc = lp_retain_run(st, &conf, &ask, &rep, &r->err);
        if (rc == LP_OK) {
            lp_retain_report_json(&rep, &r->report);
            lp_retain_report_clear(&rep);
            status = 0;
        }
        (void)lp_store_stop(st, lp_mono_ns() + STOP_NS, NULL);
        lp_store_free(st);
    }
    if (rc != LP_OK) {
        lp_cli_complain("retain", &r->err);
    }
    lp_rules_unref(conf.rules);
    return status;
}

static int
run_offline(struct retain *r)
{
    struct lp_settings set;
    struct lp_cmdline cl;
    int status = 2;
    lp_settings_init(&set);
    if (lp_server_settings(r->nargs, r->args, &set, &cl, &r->err) == LP_OK) {
        status = run_store(r, &set);
    } else {
        lp_cli_complain("retain", &r->err);
    }
    lp_settings_clear(&set);
    return status;
}

/* --- arguments --- */

static char *mutable(const char *s)
{
    return (char *)(uintptr_t)s;
}

/* Notes an option that is a setting of `serve`, too. */
static bool
take_setting(struct retain *r, int id, const char *value)
{
    static const struct {
        int id;
        const char *flag;
    } flags[] = {{OPT_CONFIG, "--config"},
                 {OPT_RULE, "--retention"},
                 {OPT_TOTAL, "--retention-total-bytes"},
                 {OPT_FREE, "--retention-free"},
                 {OPT_QUARANTINE, "--retention-quarantine"}};
    for (size_t i = 0; i < LP_ARRAY_LEN(flags); i++) {
        if (flags[i].id == id) {
            r->settings = true;
            if (r->nargs + 2 > ARGS_MAX) {
                (void)lp_err_set(&r->err, LP_ERR_LIMIT, "too many options");
                return false;
            }
            r->args[r->nargs++] = mutable(flags[i].flag);
            r->args[r->nargs++] = mutable(value);
        }
    }
    return true;
}

/* What options mean together. */
static bool
agree(struct retain *r)
{
    const char *wrong = NULL;
    if (r->data != NULL && r->server != NULL) {
        wrong = "--data is for a stopped store, --server for a running one: which is it?";
    } else if (r->data == NULL && r->settings) {
        wrong =
            "a server goes by the rules of its own configuration; --config and --retention... go with --data";
    } else if (r->at != NULL && !r->dry) {
        wrong = "--at goes with --dry-run: what goes for good goes by the clock";
    }
    if (wrong != NULL) {
        (void)lp_err_set(&r->err, LP_ERR_PARSE, "%s", wrong);
    }
    return wrong == NULL;
}

/* -1 to go on, else the exit status. */
static int
read_arguments(struct retain *r, int argc, char **argv)
{
    struct lp_cli cli = {.argc = argc, .argv = argv};
    const char *value;
    int id;
    bool ok = true;
    while (ok && (id = lp_cli_next(&cli, options, LP_ARRAY_LEN(options), &value, &r->err)) != LP_CLI_END) {
        if (id == LP_CLI_HELP) {
            fputs(help, stdout);
            return 0;
        }
        ok = id != LP_CLI_WRONG && take_setting(r, id, value);
        if (id == LP_CLI_ARGUMENT) {
            (void)lp_err_set(&r->err, LP_ERR_PARSE, "unexpected argument %s (see --help)", value);
            ok = false;
        }
        if (id == OPT_AT) {
            r->at = value;
            if (!lp_time_any(lp_str_c(value), &r->at_ns)) {
                (void)lp_err_set(&r->err, LP_ERR_PARSE,
                                 "--at %s: a time like 2026-01-02T03:04:05Z is expected", value);
                ok = false;
            }
        }
        r->server = id == OPT_SERVER ? value : r->server;
        r->data = id == OPT_DATA ? value : r->data;
        r->json = r->json || id == OPT_JSON;
        r->dry = r->dry || id == OPT_DRY;
    }
    if (!ok || !agree(r)) {
        lp_cli_complain("retain", &r->err);
        return 2;
    }
    return -1;
}

int
lp_cmd_retain(int argc, char **argv)
{
    struct retain *r = lp_calloc(1, sizeof(*r));
    lp_err_clear(&r->err);
    r->at_ns = LP_TIME_NONE;
    r->args[r->nargs++] = argv[0];
    lp_buf_init(&r->report, LP_LEDGER_PAYLOAD_MAX + LP_BUF_PAD);
    int status = read_arguments(r, argc, argv);
    if (status < 0) {
        status = r->data != NULL ? run_offline(r) : run_server(r);
        status = status == 0 ? show_report(r) : status;
    }
    lp_json_parser_free(r->parser);
    lp_buf_clear(&r->report);
    lp_free(r);
    return status;
}
