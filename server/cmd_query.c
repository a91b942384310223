/*
 * cmd_query.c - `logpond query`: reads the command line, and tells searches for lines (cmd_query_rows.c),
 * live ones (cmd_query_tail.c) and metric queries (cmd_query_metric.c) apart.
 */
#include "server/cli.h"
#include "server/cmd_query_int.h"
#include "server/server.h"
#include "server/text_ui.h"

#define LIMIT_DEFAULT 100

static const char help[] =
    "usage: logpond query [OPTIONS] WORD... | LOGQL\n"
    "\n"
    "Shows the newest lines that hold every WORD (in quotes, a phrase), over everything stored; the newest "
    "at the\n"
    "bottom. What begins with { is LogQL, and so is a metric query, whose values are shown as a chart:\n"
    "\n"
    "  logpond query error                              lines with error\n"
    "  logpond query timeout \"connection reset\"         lines with both\n"
    "  logpond query '{namespace=\"shop\"} |= \"error\"'    of one namespace\n"
    "  logpond query '{}'                               everything\n"
    "  logpond query 'sum by (pod) (rate({namespace=\"shop\"} |= \"error\" [5m]))'\n"
    "\n"
    "      --since TIME    only the last TIME: 30m, 12h, 7d (default: everything; metric queries: 1h)\n"
    "      --start TIME    from here on; 2026-01-02, \"2026-01-02 15:04\" (local), RFC 3339, or 2h for two "
    "hours ago;\n"
    "                      also --from\n"
    "      --end TIME      up to here, not included; also --to\n"
    "      --output FORM   default (time, origin, line), raw (lines only, byte for byte) or jsonl; of metric "
    "queries\n"
    "                      default is a chart or table on a terminal, and elsewhere as raw: time, value, "
    "labels "
    "by tabs\n"
    "      --color WHEN    auto (on a terminal, not where NO_COLOR is set), always or never; also --colour\n"
    "      --stats         then say what the search looked at, on standard error\n"
    "      --server URL    the server (default $LOGPOND_SERVER, else http://127.0.0.1:3100)\n"
    "      --tenant NAME   for servers that keep tenants apart\n"
    "\n"
    "For lines:\n"
    "  -i, --ignore-case   words in any case (not for LogQL)\n"
    "  -n, --limit N       at most N lines (default 100); 0: all, as --all\n"
    "      --forward       the oldest lines in place of the newest\n"
    "  -f, --tail          shows lines as they come, until Ctrl-C; --since 5m: those of the last 5 minutes "
    "first\n"
    "      --all           everything, oldest first, whatever its size; says how to go on if it is "
    "interrupted\n"
    "      --cursor C      with --all: go on there\n"
    "\n"
    "For metric queries:\n"
    "      --step TIME     a value every TIME (default: by the width of the terminal)\n"
    "      --instant       one value a series, at --end, or now\n"
    "\n"
    "Exit status: 0 something found, 1 nothing found, 2 trouble, 130 interrupted.\n";

enum {
    OPT_SERVER = 'S',
    OPT_TENANT = 'T',
    OPT_CASE = 'C',
    OPT_LIMIT = 'L',
    OPT_SINCE = 'A',
    OPT_START = 'B',
    OPT_END = 'E',
    OPT_FORWARD = 'F',
    OPT_OUTPUT = 'O',
    OPT_COLOUR = 'R',
    OPT_STATS = 's',
    OPT_ALL = 'a',
    OPT_TAIL = 'W',
    OPT_CURSOR = 'c',
    OPT_STEP = 't',
    OPT_INSTANT = 'I'
};

static const struct lp_cli_option options[] = {
    {"server", OPT_SERVER, true, 0},
    {"tenant", OPT_TENANT, true, 0},
    {"ignore-case", OPT_CASE, false, 'i'},
    {"limit", OPT_LIMIT, true, 'n'},
    {"since", OPT_SINCE, true, 0},
    {"start", OPT_START, true, 0},
    {"from", OPT_START, true, 0},
    {"end", OPT_END, true, 0},
    {"to", OPT_END, true, 0},
    {"forward", OPT_FORWARD, false, 0},
    {"output", OPT_OUTPUT, true, 0},
    {"color", OPT_COLOUR, true, 0},
    {"colour", OPT_COLOUR, true, 0},
    {"stats", OPT_STATS, false, 0},
    {"all", OPT_ALL, false, 0},
    {"tail", OPT_TAIL, false, 'f'},
    {"cursor", OPT_CURSOR, true, 0},
    {"step", OPT_STEP, true, 0},
    {"instant", OPT_INSTANT, false, 0},
};

struct command {
    struct lp_query q;
    bool has_limit, tail;
    struct lp_buf text; /* what q.text borrows from */
    struct lp_err err;
};

/* --- command line --- */

static lp_rc
take_limit(struct command *c, const char *value)
{
    c->has_limit = true;
    if (!lp_str_u64(lp_str_c(value), &c->q.limit) || c->q.limit > INT64_MAX / 2) {
        return lp_err_set(&c->err, LP_ERR_PARSE, "--limit %s: a number is expected", value);
    }
    return LP_OK;
}

static lp_rc
take_step(struct command *c, const char *value)
{
    if (!lp_duration(lp_str_c(value), &c->q.step_ns) || c->q.step_ns < LP_NS_PER_MS) {
        return lp_err_set(&c->err, LP_ERR_PARSE, "--step %s: a duration like 30s or 5m is expected", value);
    }
    return LP_OK;
}

static lp_rc
take_value(struct command *c, int id, const char *value)
{
    struct lp_query *q = &c->q;
    switch (id) {
    case OPT_SERVER:
        q->server = value;
        return LP_OK;
    case OPT_TENANT:
        q->tenant = value;
        return LP_OK;
    case OPT_CURSOR:
        q->cursor = value;
        return LP_OK;
    case OPT_LIMIT:
        return take_limit(c, value);
    case OPT_SINCE:
        return lp_query_take_since(value, q->now_ns, &q->start_ns, &c->err);
    case OPT_START:
        return lp_query_take_time("start", value, q->now_ns, &q->start_ns, &c->err);
    case OPT_END:
        return lp_query_take_time("end", value, q->now_ns, &q->end_ns, &c->err);
    case OPT_OUTPUT:
        return lp_query_take_output(value, &q->output, &c->err);
    case OPT_COLOUR:
        return lp_query_take_colour(value, &q->colour, &c->err);
    case OPT_STEP:
        return take_step(c, value);
    default:
        q->words[q->nwords++] = value;
        return LP_OK;
    }
}

static lp_rc
take_option(void *arg, int id, const char *value)
{
    struct command *c = arg;
    switch (id) {
    case OPT_CASE:
        c->q.ignore_case = true;
        return LP_OK;
    case OPT_FORWARD:
        c->q.forward = true;
        return LP_OK;
    case OPT_ALL:
        c->q.all = true;
        return LP_OK;
    case OPT_TAIL:
        c->tail = true;
        return LP_OK;
    case OPT_STATS:
        c->q.stats = true;
        return LP_OK;
    case OPT_INSTANT:
        c->q.instant = true;
        return LP_OK;
    default:
        return take_value(c, id, value);
    }
}

/* Options that have no meaning for this query, or together, would be a mistake that nobody sees. */
static lp_rc
check_options(struct command *c, bool metric)
{
    const struct lp_query *q = &c->q;
    const char *for_lines = q->all              ? "--all"
                            : c->tail           ? "--tail"
                            : q->cursor != NULL ? "--cursor"
                            : c->has_limit      ? "--limit"
                            : q->forward        ? "--forward"
                                                : NULL;
    if (q->ignore_case && q->logql) {
        return lp_err_set(&c->err, LP_ERR_PARSE, "-i is for words; in LogQL it is |~ `(?i)word`");
    }
    if (metric && for_lines != NULL) {
        return lp_err_set(&c->err, LP_ERR_PARSE, "%s is for lines%s", for_lines,
                          c->has_limit ? "; of a metric query topk(N, ...) shows the N largest series"
                                       : ", and a metric query shows values");
    }
    if (metric && q->instant && q->step_ns > 0) {
        return lp_err_set(&c->err, LP_ERR_PARSE, "--step and --instant exclude each other");
    }
    if (!metric && (q->instant || q->step_ns > 0)) {
        return lp_err_set(&c->err, LP_ERR_PARSE, "%s is for metric queries, like rate({app=\"x\"} [5m])",
                          q->instant ? "--instant" : "--step");
    }
    if (c->tail && (q->end_ns != LP_TIME_NONE || q->forward || q->all || q->cursor != NULL || q->stats)) {
        return lp_err_set(&c->err, LP_ERR_PARSE,
                          "--tail has no end, and shows lines as they come: it goes with none of --end, "
                          "--forward, --all, --cursor and --stats");
    }
    if (q->all && c->has_limit && q->limit > 0) {
        return lp_err_set(&c->err, LP_ERR_PARSE, "--all and --limit %llu exclude each other",
                          (unsigned long long)q->limit);
    }
    if (q->cursor != NULL && !q->all && q->limit > 0) {
        return lp_err_set(&c->err, LP_ERR_PARSE, "--cursor goes with --all");
    }
    return LP_OK;
}

/* -1 to go on, else the exit status. */
static int
read_arguments(struct command *c, int argc, char **argv)
{
    static const struct lp_cli_command command = {"query", help,       options, LP_ARRAY_LEN(options),
                                                  true,    take_option};
    int status = lp_cli_read(&command, argc, argv, c, &c->err);
    if (status >= 0) {
        return status;
    }
    if (c->q.nwords == 0) {
        fputs(help, stderr);
        return LP_QUERY_WRONG;
    }
    return -1;
}

static int
run(struct command *c)
{
    struct lp_query *q = &c->q;
    q->logql = lp_query_is_logql(q->words, q->nwords);
    lp_query_build(q->words, q->nwords, q->logql, q->ignore_case, &c->text);
    q->text = lp_buf_view(&c->text);
    bool metric = q->logql && lp_query_is_metric(q->text);
    if (check_options(c, metric) != LP_OK) {
        lp_cli_complain("query", &c->err);
        return LP_QUERY_WRONG;
    }
    if (c->tail) {
        return lp_query_tail(q);
    }
    q->all = q->all || q->limit == 0;
    q->limit = q->all ? 0 : q->limit;
    q->forward = q->forward || q->all;
    return metric ? lp_query_metric(q) : lp_query_rows(q);
}

int
lp_cmd_query(int argc, char **argv)
{
    struct command c = {.q = {.words = lp_calloc((size_t)argc, sizeof(const char *)),
                              .limit = LIMIT_DEFAULT,
                              .now_ns = lp_now_ns(),
                              .start_ns = LP_TIME_NONE,
                              .end_ns = LP_TIME_NONE,
                              .colour = lp_ui_colour(stdout)}};
    lp_err_clear(&c.err);
    lp_buf_init(&c.text, 1 << 20);
    int status = read_arguments(&c, argc, argv);
    if (status < 0) {
        status = run(&c);
    }
    lp_buf_clear(&c.text);
    lp_free(c.q.words);
    return status;
}
