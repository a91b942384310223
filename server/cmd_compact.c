/*
 * cmd_compact.c - `logpond compact`: asks a server to merge what it has stored into final files, and waits
 * until it has.
 */
#include <signal.h>
#include <stdio.h>

#include "base/json.h"
#include "server/cli.h"
#include "server/client.h"
#include "server/server.h"
#include "server/text_ui.h"

#define POLL_NS (200 * LP_NS_PER_MS)
#define ASK_NS (10 * LP_NS_PER_S)

static const char help[] =
    "usage: logpond compact [OPTIONS]\n"
    "\n"
    "Has a server rewrite everything it has stored into few files in full blocks, the open day included, "
    "and\n"
    "waits for it. The server does this by itself once a day is over; asking it is for a store that should "
    "be\n"
    "small now (before a backup, or a measurement). Searches and intake go on.\n"
    "\n"
    "  --no-wait       only ask\n"
    "  --server URL    the server (default $LOGPOND_SERVER, else http://127.0.0.1:3100)\n"
    "\n"
    "Exit status: 0 done, 1 it failed (the reason is printed; nothing is lost), 2 no server or trouble.\n";

enum { OPT_SERVER = 'S', OPT_NO_WAIT = 'N' };

static const struct lp_cli_option options[] = {{"server", OPT_SERVER, true, 0},
                                               {"no-wait", OPT_NO_WAIT, false, 0}};

struct compact {
    const char *server;
    bool no_wait;
    struct lp_client *client;
    struct lp_client_answer answer;
    struct lp_json_parser *parser;
    struct lp_json_doc doc;
    struct lp_err err;
};

static lp_rc
call(struct compact *c, const char *method, const char *target, int expected)
{
    struct lp_client_request req = {.method = method, .target = lp_str_c(target), .idle_ns = ASK_NS};
    lp_err_clear(&c->err);
    lp_rc rc = lp_client_call(c->client, &req, &c->answer, &c->err);
    if (rc != LP_OK) {
        return rc;
    }
    if (c->answer.status != expected || lp_client_json(&c->answer, c->parser, &c->doc, &c->err) != LP_OK) {
        return lp_err_set(&c->err, LP_ERR_UNSUPPORTED, "%s answered %d: " LP_STR_FMT,
                          lp_client_url(c->client), c->answer.status,
                          LP_STR_ARG(lp_client_reason(&c->answer)));
    }
    return LP_OK;
}

static uint64_t
number(const struct compact *c, const char *a, const char *b)
{
    return lp_json_u64(lp_json_path(&c->doc, a, b, NULL));
}

struct size {
    uint64_t segments, bytes;
};

static struct size
size_of(const struct compact *c)
{
    return (struct size){number(c, "store", "segments"), number(c, "store", "file_bytes")};
}

static void
show_result(struct size before, struct size now)
{
    char a[LP_UI_TEXT], b[LP_UI_TEXT];
    if (before.segments == 0) {
        puts("There are no segments yet: nothing to merge.");
        return;
    }
    printf("%llu segment%s of %s became %llu of %s.\n", (unsigned long long)before.segments,
           before.segments == 1 ? "" : "s", lp_ui_bytes(before.bytes, a), (unsigned long long)now.segments,
           lp_ui_bytes(now.bytes, b));
}

/* Polls until the request is answered. The exit status. */
static int
wait_answered(struct compact *c, uint64_t request, struct size before)
{
    struct lp_progress p;
    lp_rc rc;
    lp_progress_begin(&p, stderr, !lp_ui_terminal(stderr), 0);
    while ((rc = call(c, "GET", "/admin/status", 200)) == LP_OK &&
           number(c, "compaction", "answered") < request) {
        if (number(c, "compaction", "asked") < request) {
            rc = lp_err_set(&c->err, LP_ERR_SHUTDOWN, "the server was started anew meanwhile: ask again");
            break;
        }
        lp_progress_note(&p, "merging");
        lp_progress_at(&p, number(c, "compaction", "written_bytes"));
        lp_client_pause(POLL_NS, NULL);
    }
    lp_progress_end(&p);
    if (rc != LP_OK) {
        lp_cli_complain("compact", &c->err);
        return 2;
    }
    const struct lp_json *problem = lp_json_path(&c->doc, "compaction", "problem", NULL);
    if (problem != NULL && problem->text.n > 0) {
        fprintf(stderr, "logpond compact: " LP_STR_FMT "\n", LP_STR_ARG(problem->text));
        return 1;
    }
    show_result(before, size_of(c));
    return 0;
}

static int
run(struct compact *c)
{
    struct size before = {0, 0};
    lp_rc rc = call(c, "GET", "/admin/status", 200);
    if (rc == LP_OK) {
        before = size_of(c);
        rc = call(c, "POST", "/admin/compact", 202);
    }
    if (rc != LP_OK) {
        lp_cli_complain("compact", &c->err);
        return 2;
    }
    return c->no_wait ? 0 : wait_answered(c, number(c, "request", NULL), before);
}

static lp_rc
take_option(void *arg, int id, const char *value)
{
    struct compact *c = arg;
    c->server = id == OPT_SERVER ? value : c->server;
    c->no_wait = c->no_wait || id == OPT_NO_WAIT;
    return LP_OK;
}

int
lp_cmd_compact(int argc, char **argv)
{
    static const struct lp_cli_command command = {"compact", help,       options, LP_ARRAY_LEN(options),
                                                  false,     take_option};
    struct compact c = {.server = NULL};
    int status = lp_cli_read(&command, argc, argv, &c, &c.err);
    if (status >= 0) {
        return status;
    }
    if (lp_client_new(c.server, &c.client, &c.err) != LP_OK) {
        lp_cli_complain("compact", &c.err);
        return 2;
    }
    lp_client_answer_init(&c.answer);
    c.parser = lp_json_parser_new();
    status = run(&c);
    lp_json_parser_free(c.parser);
    lp_client_answer_clear(&c.answer);
    lp_client_free(c.client);
    return status;
}
