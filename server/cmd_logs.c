/*
 * cmd_logs.c - `logpond logs`: reads the command line; cmd_logs_read.c does the rest.
 */
#include <stdlib.h>

#include "server/cli.h"
#include "server/cmd_logs_int.h"
#include "server/cmd_query_int.h"
#include "server/server.h"
#include "server/text_ui.h"

static const char help[] =
    "usage: logpond logs [OPTIONS] [TARGET...]\n"
    "\n"
    "The logs of pods, also of those that are gone, oldest line first. A TARGET is a pod's name, or what "
    "made "
    "pods:\n"
    "deploy/NAME, rs/, sts/, ds/, job/, cronjob/, svc/. Without one: the whole namespace.\n"
    "\n"
    "  logpond logs -n shop api-7d4b9c6f5-x2x4q           one pod, all its containers\n"
    "  logpond logs -n shop deploy/api --since 2d --grep timeout\n"
    "  logpond logs -n shop -l app=api -f --tail 10       as they come, until Ctrl-C\n"
    "  logpond logs -n shop api-0 -p                      the run before the last restart\n"
    "\n"
    "Which pods and containers:\n"
    "  -n, --namespace NS  (default $LOGPOND_NAMESPACE, else default)\n"
    "  -l, --selector S    pods with these labels: app=api,tier!=web (no TARGET then)\n"
    "      --node NODE     only pods that ran on this node\n"
    "  -c, --container C   only this container\n"
    "      --uid UID       of several pods of one name, this one\n"
    "  -p, --previous      the run before the newest one\n"
    "      --restart N     run N: 0 is the first\n"
    "      --all-restarts  all runs\n"
    "\n"
    "Which lines:\n"
    "      --since TIME    from here on: 30m, 12h, 2d ago; 2026-01-02, \"2026-01-02 15:04\" (local), RFC "
    "3339\n"
    "      --until TIME    up to here, not included\n"
    "      --tail N        the newest N lines of all together\n"
    "      --grep TEXT     lines that hold TEXT; given again: that one, too\n"
    "      --regex RE      lines that match RE (RE2); given again: that one, too\n"
    "      --stream S      stdout or stderr\n"
    "  -f, --follow        goes on with lines as they come; after a break of the connection, too\n"
    "\n"
    "      --timestamps    each line's time before it\n"
    "      --prefix        each line's pod and container before it (on a terminal, if there can be "
    "several);\n"
    "                      --no-prefix\n"
    "  -o, --output FORM   default, raw (nothing but the lines, byte for byte) or json\n"
    "      --color WHEN    auto (on a terminal, not where NO_COLOR is set), always or never; also --colour\n"
    "      --no-pager      on a terminal, too; else $PAGER, or less\n"
    "      --server URL    the server (default $LOGPOND_SERVER, else http://127.0.0.1:3100)\n"
    "      --tenant NAME   for servers that keep tenants apart\n"
    "\n"
    "Exit status: 0 there were lines, 1 none, 2 trouble, 130 interrupted (but a follow ends so: 0).\n";

enum {
    OPT_SERVER = 'S',
    OPT_TENANT = 'T',
    OPT_NAMESPACE = 'n',
    OPT_SELECTOR = 'l',
    OPT_NODE = 'N',
    OPT_CONTAINER = 'c',
    OPT_UID = 'u',
    OPT_PREVIOUS = 'p',
    OPT_RESTART = 'r',
    OPT_ALL_RESTARTS = 'a',
    OPT_SINCE = 'A',
    OPT_UNTIL = 'E',
    OPT_TAIL = 'L',
    OPT_GREP = 'g',
    OPT_REGEX = 'e',
    OPT_STREAM = 's',
    OPT_FOLLOW = 'f',
    OPT_TIMESTAMPS = 't',
    OPT_PREFIX = 'P',
    OPT_NO_PREFIX = 'Q',
    OPT_OUTPUT = 'o',
    OPT_COLOUR = 'R',
    OPT_NO_PAGER = 'G'
};

static const struct lp_cli_option options[] = {
    {"server", OPT_SERVER, true, 0},
    {"tenant", OPT_TENANT, true, 0},
    {"namespace", OPT_NAMESPACE, true, 'n'},
    {"selector", OPT_SELECTOR, true, 'l'},
    {"node", OPT_NODE, true, 0},
    {"container", OPT_CONTAINER, true, 'c'},
    {"uid", OPT_UID, true, 0},
    {"previous", OPT_PREVIOUS, false, 'p'},
    {"restart", OPT_RESTART, true, 0},
    {"all-restarts", OPT_ALL_RESTARTS, false, 0},
    {"since", OPT_SINCE, true, 0},
    {"since-time", OPT_SINCE, true, 0},
    {"until", OPT_UNTIL, true, 0},
    {"tail", OPT_TAIL, true, 0},
    {"grep", OPT_GREP, true, 0},
    {"regex", OPT_REGEX, true, 0},
    {"stream", OPT_STREAM, true, 0},
    {"follow", OPT_FOLLOW, false, 'f'},
    {"timestamps", OPT_TIMESTAMPS, false, 0},
    {"prefix", OPT_PREFIX, false, 0},
    {"no-prefix", OPT_NO_PREFIX, false, 0},
    {"output", OPT_OUTPUT, true, 'o'},
    {"color", OPT_COLOUR, true, 0},
    {"colour", OPT_COLOUR, true, 0},
    {"no-pager", OPT_NO_PAGER, false, 0},
};

struct command {
    struct lp_logs q;
    bool auto_prefix, no_pager;
    struct lp_err err;
};

/* --- command line --- */

static lp_rc
take_tail(struct command *c, const char *value)
{
    if (!lp_str_i64(lp_str_c(value), &c->q.tail) || c->q.tail < -1) { /* -1: all, as with kubectl */
        return lp_err_set(&c->err, LP_ERR_PARSE, "--tail %s: a number of lines is expected", value);
    }
    return LP_OK;
}

static lp_rc
take_restart(struct command *c, const char *value)
{
    uint64_t n;
    if (!lp_str_u64(lp_str_c(value), &n)) {
        return lp_err_set(&c->err, LP_ERR_PARSE,
                          "--restart %s: the number of a run is expected; 0 is the first", value);
    }
    c->q.restart = value;
    return LP_OK;
}

static lp_rc
take_stream(struct command *c, const char *value)
{
    bool out = strcmp(value, "stdout") == 0;
    if (!out && strcmp(value, "stderr") != 0) {
        return lp_err_set(&c->err, LP_ERR_PARSE, "--stream %s: stdout or stderr is expected", value);
    }
    c->q.stream = out ? "Stdout" : "Stderr";
    return LP_OK;
}

static lp_rc
take_output(struct command *c, const char *value)
{
    static const char *const names[] = {"default", "raw", "json"};
    for (size_t i = 0; i < LP_ARRAY_LEN(names); i++) {
        if (strcmp(value, names[i]) == 0) {
            c->q.output = (enum lp_logs_output)i;
            return LP_OK;
        }
    }
    return lp_err_set(&c->err, LP_ERR_PARSE, "--output %s: default, raw or json is expected", value);
}

/* Options that only say which pods and containers. */
static bool
take_name(struct lp_logs *q, int id, const char *value)
{
    const char **to = id == OPT_SERVER      ? &q->server
                      : id == OPT_TENANT    ? &q->tenant
                      : id == OPT_NAMESPACE ? &q->ns
                      : id == OPT_SELECTOR  ? &q->selector
                      : id == OPT_NODE      ? &q->node
                      : id == OPT_CONTAINER ? &q->container
                      : id == OPT_UID       ? &q->uid
                                            : NULL;
    if (to != NULL) {
        *to = value;
    }
    return to != NULL;
}

static bool
take_flag(struct command *c, int id)
{
    bool *to = id == OPT_PREVIOUS       ? &c->q.previous
               : id == OPT_ALL_RESTARTS ? &c->q.all_restarts
               : id == OPT_FOLLOW       ? &c->q.follow
               : id == OPT_TIMESTAMPS   ? &c->q.timestamps
               : id == OPT_NO_PAGER     ? &c->no_pager
                                        : NULL;
    if (id == OPT_PREFIX || id == OPT_NO_PREFIX) {
        c->auto_prefix = false;
        c->q.prefix = id == OPT_PREFIX;
        return true;
    }
    if (to != NULL) {
        *to = true;
    }
    return to != NULL;
}

static lp_rc
take_option(void *arg, int id, const char *value)
{
    struct command *c = arg;
    struct lp_logs *q = &c->q;
    if (take_name(q, id, value) || take_flag(c, id)) {
        return LP_OK;
    }
    switch (id) {
    case OPT_RESTART:
        return take_restart(c, value);
    case OPT_SINCE:
        return lp_query_take_time("since", value, q->now_ns, &q->since_ns, &c->err);
    case OPT_UNTIL:
        return lp_query_take_time("until", value, q->now_ns, &q->until_ns, &c->err);
    case OPT_TAIL:
        return take_tail(c, value);
    case OPT_GREP:
        q->contains[q->ncontains++] = value;
        return LP_OK;
    case OPT_REGEX:
        q->regexes[q->nregexes++] = value;
        return LP_OK;
    case OPT_STREAM:
        return take_stream(c, value);
    case OPT_OUTPUT:
        return take_output(c, value);
    case OPT_COLOUR:
        return lp_query_take_colour(value, &q->colour, &c->err);
    default:
        return lp_logs_take_target(value, &q->targets[q->ntargets++], &c->err);
    }
}

/* What would be answered by something that was not meant. */
static lp_rc
check_options(struct command *c)
{
    const struct lp_logs *q = &c->q;
    if (q->previous + q->all_restarts + (q->restart != NULL) > 1) {
        return lp_err_set(&c->err, LP_ERR_PARSE, "-p, --restart and --all-restarts exclude each other");
    }
    if (q->selector != NULL && q->ntargets > 0) {
        return lp_err_set(&c->err, LP_ERR_PARSE, "-l selects pods by their labels: it goes without names");
    }
    if (q->uid != NULL && !lp_logs_of_one_pod(q)) {
        return lp_err_set(&c->err, LP_ERR_PARSE, "--uid goes with the name of one pod");
    }
    if (q->follow && q->until_ns != LP_TIME_NONE) {
        return lp_err_set(&c->err, LP_ERR_PARSE, "-f has no end: it goes without --until");
    }
    if (q->ns[0] == 0) {
        return lp_err_set(&c->err, LP_ERR_PARSE, "-n: the name of a namespace is expected");
    }
    return LP_OK;
}

/* -1 to go on, else the exit status. */
static int
read_arguments(struct command *c, int argc, char **argv)
{
    static const struct lp_cli_command command = {"logs", help,       options, LP_ARRAY_LEN(options),
                                                  true,   take_option};
    int status = lp_cli_read(&command, argc, argv, c, &c->err);
    if (status >= 0) {
        return status;
    }
    if (check_options(c) != LP_OK) {
        lp_cli_complain("logs", &c->err);
        return LP_LOGS_WRONG;
    }
    return -1;
}

int
lp_cmd_logs(int argc, char **argv)
{
    const char *ns = getenv("LOGPOND_NAMESPACE");
    size_t most = (size_t)argc;
    struct command c = {.q = {.ns = ns != NULL && ns[0] != 0 ? ns : "default",
                              .targets = lp_calloc(most, sizeof(struct lp_logs_target)),
                              .contains = lp_calloc(most, sizeof(const char *)),
                              .regexes = lp_calloc(most, sizeof(const char *)),
                              .now_ns = lp_now_ns(),
                              .since_ns = LP_TIME_NONE,
                              .until_ns = LP_TIME_NONE,
                              .tail = -1,
                              .terminal = lp_ui_terminal(stdout),
                              .colour = lp_ui_colour(stdout)},
                        .auto_prefix = true};
    lp_err_clear(&c.err);
    int status = read_arguments(&c, argc, argv);
    if (status < 0) {
        c.q.pager = c.q.terminal && !c.no_pager && !c.q.follow;
        status = lp_logs_read(&c.q, c.auto_prefix);
    }
    lp_free(c.q.targets);
    lp_free(c.q.contains);
    lp_free(c.q.regexes);
    return status;
}
