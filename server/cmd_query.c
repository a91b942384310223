/*
 * cmd_query.c - `logpond query`: searches a server and shows what it found, the newest at the bottom.
 *
 * The rows come from /api/v1/export as JSON lines, newest first up to the limit; they are kept and shown in
 * reverse. Oldest first, and without a limit, they are shown as they come, whatever their number.
 */
#include <stdio.h>

#include "server/cli.h"
#include "server/client.h"
#include "server/cmd_query_int.h"
#include "server/server.h"
#include "server/text_ui.h"

#define LIMIT_DEFAULT 100
#define KEPT_BYTES_MAX ((size_t)1 << 30)
#define IDLE_NS (300 * LP_NS_PER_S)
#define EXIT_NOTHING 1
#define EXIT_WRONG 2

static const char help[] =
    "usage: logpond query [OPTIONS] WORD... | LOGQL\n"
    "\n"
    "Shows the newest lines that hold every WORD (in quotes, a phrase), over everything stored; the newest "
    "at the\n"
    "bottom. What begins with { is LogQL:\n"
    "\n"
    "  logpond query error                              lines with error\n"
    "  logpond query timeout \"connection reset\"         lines with both\n"
    "  logpond query '{namespace=\"shop\"} |= \"error\"'    of one namespace\n"
    "  logpond query '{}'                               everything\n"
    "\n"
    "  -i, --ignore-case   words in any case (not for LogQL)\n"
    "  -n, --limit N       at most N lines (default 100); 0: all, oldest first\n"
    "      --since TIME    only the last TIME: 30m, 12h, 7d (default: everything)\n"
    "      --start TIME    from here on; 2026-01-02, \"2026-01-02 15:04\" (local), RFC 3339, or 2h for two "
    "hours ago\n"
    "      --end TIME      up to here, not included\n"
    "      --forward       the oldest lines in place of the newest\n"
    "  -f, --tail          shows lines as they come, until Ctrl-C; --since 5m: those of the last 5 minutes "
    "first\n"
    "      --output FORM   default (time, origin, line), raw (lines only, byte for byte) or jsonl\n"
    "      --server URL    the server (default $LOGPOND_SERVER, else http://127.0.0.1:3100)\n"
    "      --tenant NAME   for servers that keep tenants apart\n"
    "\n"
    "Exit status: 0 something found, 1 nothing found, 2 trouble. Colours only on a terminal, not where "
    "NO_COLOR is set.\n";

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
    OPT_TAIL = 'W'
};

static const struct lp_cli_option options[] = {
    {"server", OPT_SERVER, true, 0},
    {"tenant", OPT_TENANT, true, 0},
    {"ignore-case", OPT_CASE, false, 'i'},
    {"limit", OPT_LIMIT, true, 'n'},
    {"since", OPT_SINCE, true, 0},
    {"start", OPT_START, true, 0},
    {"end", OPT_END, true, 0},
    {"forward", OPT_FORWARD, false, 0},
    {"output", OPT_OUTPUT, true, 0},
    {"tail", OPT_TAIL, false, 'f'},
};

struct query {
    const char *server, *tenant;
    const char **words;
    size_t nwords;
    bool logql, ignore_case, forward, tail;
    uint64_t limit; /* 0: all */
    enum lp_query_output output;
    int64_t now_ns, start_ns, end_ns; /* LP_TIME_NONE: open */
    struct lp_buf text;               /* LogQL */
    struct lp_query_show show;
    struct lp_buf
        kept; /* rows that wait to be shown in reverse, or the row that is still coming; each with its \n */
    struct lp_err err;
};

/* --- command line --- */

static lp_rc
take_time(struct query *q, const char *name, const char *value, int64_t *ret)
{
    if (lp_query_time_text(lp_str_c(value), q->now_ns, ret)) {
        return LP_OK;
    }
    return lp_err_set(
        &q->err, LP_ERR_PARSE,
        "--%s %s: a time like 2026-01-02, \"2026-01-02 15:04\", 2026-01-02T15:04:05Z or 2h is expected", name,
        value);
}

static lp_rc
take_since(struct query *q, const char *value)
{
    int64_t ns;
    if (!lp_duration(lp_str_c(value), &ns) || ns < 0) {
        return lp_err_set(&q->err, LP_ERR_PARSE, "--since %s: a duration like 30m, 12h or 7d is expected",
                          value);
    }
    q->start_ns = LP_MAX(q->now_ns - ns, 0);
    return LP_OK;
}

static lp_rc
take_output(struct query *q, const char *value)
{
    static const char *const names[] = {"default", "raw", "jsonl"};
    for (size_t i = 0; i < LP_ARRAY_LEN(names); i++) {
        if (strcmp(value, names[i]) == 0) {
            q->output = (enum lp_query_output)i;
            return LP_OK;
        }
    }
    return lp_err_set(&q->err, LP_ERR_PARSE, "--output %s: default, raw or jsonl is expected", value);
}

static lp_rc
take_option(struct query *q, int id, const char *value)
{
    switch (id) {
    case OPT_SERVER:
        q->server = value;
        break;
    case OPT_TENANT:
        q->tenant = value;
        break;
    case OPT_CASE:
        q->ignore_case = true;
        break;
    case OPT_FORWARD:
        q->forward = true;
        break;
    case OPT_TAIL:
        q->tail = true;
        break;
    case OPT_LIMIT:
        if (!lp_str_u64(lp_str_c(value), &q->limit) || q->limit > INT64_MAX / 2) {
            return lp_err_set(&q->err, LP_ERR_PARSE, "--limit %s: a number is expected", value);
        }
        break;
    case OPT_SINCE:
        return take_since(q, value);
    case OPT_START:
        return take_time(q, "start", value, &q->start_ns);
    case OPT_END:
        return take_time(q, "end", value, &q->end_ns);
    case OPT_OUTPUT:
        return take_output(q, value);
    default:
        LP_ASSERT(false);
    }
    return LP_OK;
}

/* -1 to go on, else the exit status. */
static int
read_arguments(struct query *q, int argc, char **argv)
{
    struct lp_cli cli = {.argc = argc, .argv = argv};
    for (;;) {
        const char *value;
        int id = lp_cli_next(&cli, options, LP_ARRAY_LEN(options), &value, &q->err);
        if (id == LP_CLI_END) {
            break;
        }
        if (id == LP_CLI_HELP) {
            fputs(help, stdout);
            return 0;
        }
        if (id == LP_CLI_ARGUMENT) {
            q->words[q->nwords++] = argv[cli.at];
        } else if (id == LP_CLI_WRONG || take_option(q, id, value) != LP_OK) {
            lp_cli_complain("query", &q->err);
            return EXIT_WRONG;
        }
    }
    if (q->nwords == 0) {
        fputs(help, stderr);
        return EXIT_WRONG;
    }
    if (q->tail && (q->end_ns != LP_TIME_NONE || q->forward)) {
        fputs("logpond query: --tail has no end, and shows lines as they come: it goes with neither --end "
              "nor --forward\n",
              stderr);
        return EXIT_WRONG;
    }
    q->logql = lp_query_is_logql(q->words, q->nwords);
    lp_query_build(q->words, q->nwords, q->logql, q->ignore_case, &q->text);
    if (q->logql && lp_str_trim(lp_buf_view(&q->text)).p[0] != '{') {
        fputs("logpond query: this shows lines, and a query for lines begins with {; ask metric queries of "
              "/loki/api/v1/query\n",
              stderr);
        return EXIT_WRONG;
    }
    return -1;
}

/* --- rows as they come --- */

static bool
backward(const struct query *q)
{
    return !q->forward && q->limit > 0;
}

/* Shows the whole rows of kept in the order they came, and keeps what is not whole yet. */
static bool
show_whole(struct query *q)
{
    struct lp_str rest = lp_buf_view(&q->kept);
    while (lp_str_find_byte(rest, '\n') != SIZE_MAX) {
        if (!lp_query_show_row(&q->show, lp_str_cut(&rest, '\n'))) {
            return false;
        }
    }
    size_t left = rest.p != NULL ? rest.n : 0;
    if (left > 0) {
        memmove(q->kept.p, rest.p, left);
    }
    q->kept.n = left;
    return true;
}

static bool
on_data(void *arg, struct lp_str bytes)
{
    struct query *q = arg;
    if (!lp_buf_str(&q->kept, bytes)) {
        (void)lp_err_set(&q->err, LP_ERR_LIMIT,
                         "the newest %llu lines are over 1 GiB: take fewer, or all of them with --limit 0",
                         (unsigned long long)q->limit);
        return false;
    }
    return backward(q) || show_whole(q);
}

/* The last row first; what is no row (the export's last object) before all. */
static void
show_reversed(struct query *q)
{
    struct lp_str rest = lp_buf_view(&q->kept);
    bool good = true;
    while (good && rest.n > 0) {
        struct lp_str before = lp_str_sub(rest, 0, rest.n - 1); /* without its \n */
        size_t nl = lp_str_rfind_byte(before, '\n');
        size_t from = nl == SIZE_MAX ? 0 : nl + 1;
        good = lp_query_show_row(&q->show, lp_str_sub(before, from, before.n));
        rest = lp_str_sub(rest, 0, from);
    }
}

/* --- asking --- */

static void
put_time(struct lp_buf *target, const char *name, int64_t ns)
{
    char text[LP_TIME_TEXT];
    if (ns != LP_TIME_NONE) {
        lp_client_param(target, name, lp_str_of(text, lp_time_text(ns, text)));
    }
}

static void
make_target(const struct query *q, struct lp_buf *target)
{
    char limit[24];
    lp_buf_c(target, "/api/v1/export?format=jsonl");
    lp_client_param(target, "query", lp_buf_view(&q->text));
    put_time(target, "start", q->start_ns);
    put_time(target, "end", q->end_ns);
    lp_client_param(target, "direction", backward(q) ? LP_STR("backward") : LP_STR("forward"));
    if (q->limit > 0) {
        snprintf(limit, sizeof(limit), "%llu", (unsigned long long)q->limit);
        lp_client_param(target, "limit", lp_str_c(limit));
    }
}

/* An answer other than 200 in words. */
static void
complain_about(struct query *q, const struct lp_client_answer *a)
{
    struct lp_str why = lp_client_reason(a);
    if (a->status == 404) {
        (void)lp_err_set(&q->err, LP_ERR_UNSUPPORTED, "what answers at this address is no Logpond");
    } else if (a->status == 503) {
        (void)lp_err_set(&q->err, LP_ERR_BUSY, "not now: " LP_STR_FMT, LP_STR_ARG(why));
    } else {
        (void)lp_err_set(&q->err, LP_ERR_PARSE, LP_STR_FMT, LP_STR_ARG(why));
    }
    lp_cli_complain("query", &q->err);
    lp_query_point_at(stderr, lp_buf_view(&q->text), why);
}

static int
ask(struct query *q, struct lp_client *c, struct lp_client_answer *a)
{
    struct lp_buf target;
    struct lp_pair tenant = {LP_STR("X-Scope-OrgID"), q->tenant != NULL ? lp_str_c(q->tenant) : LP_STR_NULL};
    lp_buf_init(&target, 1 << 20);
    make_target(q, &target);
    struct lp_client_request req = {.method = "GET",
                                    .target = lp_buf_view(&target),
                                    .headers = &tenant,
                                    .nheaders = q->tenant != NULL,
                                    .idle_ns = IDLE_NS,
                                    .on_data = on_data,
                                    .arg = q};
    lp_rc rc = target.failed ? lp_err_set(&q->err, LP_ERR_LIMIT, "the query is too long")
                             : lp_client_call(c, &req, a, &q->err);
    lp_buf_clear(&target);
    if (q->show.failed) {
        return EXIT_WRONG; /* nobody reads any more */
    }
    if (rc != LP_OK) {
        lp_cli_complain("query", &q->err);
        return EXIT_WRONG;
    }
    if (a->status != 200) {
        complain_about(q, a);
        return EXIT_WRONG;
    }
    if (backward(q)) {
        show_reversed(q);
    }
    return fflush(stdout) == 0 && !q->show.failed ? 0 : EXIT_WRONG;
}

/* --- what a person wants to know then --- */

static void
explain_nothing(const struct query *q)
{
    char from[LP_UI_TEXT], to[LP_UI_TEXT];
    bool narrowed = q->start_ns != LP_TIME_NONE || q->end_ns != LP_TIME_NONE, phrase = false;
    for (size_t i = 0; i < q->nwords && !q->logql; i++) {
        phrase = phrase || strchr(q->words[i], ' ') != NULL;
    }
    fprintf(stderr, "nothing found for " LP_STR_FMT "\n", LP_STR_ARG(lp_buf_view(&q->text)));
    if (narrowed) {
        fprintf(stderr,
                "searched from %s to %s; --since 7d goes further back, without --since, --start and --end "
                "all is searched\n",
                q->start_ns != LP_TIME_NONE ? lp_ui_time(q->start_ns, from) : "the beginning",
                q->end_ns != LP_TIME_NONE ? lp_ui_time(q->end_ns, to) : "now");
    } else {
        fputs("searched everything that is stored; `logpond status` says how much that is\n", stderr);
    }
    if (phrase) {
        fputs("a word with blanks is looked for as it stands: without quotes each word is looked for by "
              "itself\n",
              stderr);
    }
    if (!q->logql && !q->ignore_case) {
        fputs("case counts: -i takes words in any case\n", stderr);
    }
}

static int
finish(const struct query *q)
{
    if (q->show.rows == 0) {
        explain_nothing(q);
        return EXIT_NOTHING;
    }
    if (q->show.rows == q->limit && q->show.terminal && q->output == LP_QUERY_DEFAULT) {
        fprintf(stderr, "(the %s %llu lines; more with --limit N, all with --limit 0)\n",
                q->forward ? "oldest" : "newest", (unsigned long long)q->limit);
    }
    return 0;
}

static void
begin_show(struct query *q)
{
    lp_query_show_init(&q->show, stdout, q->output);
    q->show.ignore_case = q->ignore_case;
    q->show.words = q->words;
    q->show.nwords = q->logql ? 0 : q->nwords;
}

static int
follow(struct query *q)
{
    struct lp_query_follow f = {q->server, q->tenant, lp_buf_view(&q->text), q->start_ns, q->limit};
    begin_show(q);
    int status = lp_query_follow(&f, &q->show);
    lp_query_show_clear(&q->show);
    return status;
}

static int
search(struct query *q)
{
    struct lp_client *c = NULL;
    struct lp_client_answer a;
    if (lp_client_new(q->server, &c, &q->err) != LP_OK) {
        lp_cli_complain("query", &q->err);
        return EXIT_WRONG;
    }
    lp_client_answer_init(&a);
    begin_show(q);
    int status = ask(q, c, &a);
    if (status == 0) {
        status = finish(q);
    }
    lp_query_show_clear(&q->show);
    lp_client_answer_clear(&a);
    lp_client_free(c);
    return status;
}

int
lp_cmd_query(int argc, char **argv)
{
    struct query *q = lp_calloc(1, sizeof(*q));
    lp_err_clear(&q->err);
    q->words = lp_calloc((size_t)argc, sizeof(const char *));
    q->limit = LIMIT_DEFAULT;
    q->now_ns = lp_now_ns();
    q->start_ns = q->end_ns = LP_TIME_NONE;
    lp_buf_init(&q->text, 1 << 20);
    lp_buf_init(&q->kept, KEPT_BYTES_MAX);
    int status = read_arguments(q, argc, argv);
    if (status < 0) {
        status = q->tail ? follow(q) : search(q);
    }
    lp_buf_clear(&q->text);
    lp_buf_clear(&q->kept);
    lp_free(q->words);
    lp_free(q);
    return status;
}
