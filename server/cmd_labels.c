/*
 * cmd_labels.c - `logpond labels` and `logpond series`: what there is to search by.
 */
#include "query/text.h"
#include "server/cli.h"
#include "server/cmd_query_int.h"
#include "server/server.h"
#include "server/text_ui.h"

#define OUT_BYTES ((size_t)1 << 20) /* written when there is as much */
#define OUT_BYTES_MAX ((size_t)64 << 20)

static const char labels_help[] =
    "usage: logpond labels [OPTIONS] [NAME]\n"
    "\n"
    "The names of labels, or the values of label NAME, one a line:\n"
    "\n"
    "  logpond labels                                  all names\n"
    "  logpond labels namespace                        all namespaces\n"
    "  logpond labels pod --match '{namespace=\"shop\"}' the pods of one, as far as lines are stored\n"
    "\n"
    "      --match SELECTOR  only of streams that it selects\n"
    "      --since TIME    only of lines of the last TIME: 30m, 12h, 7d (default: everything stored)\n"
    "      --start TIME    from here on; as `logpond query` takes it; also --from\n"
    "      --end TIME      up to here, not included; also --to\n"
    "      --output FORM   default, raw (nothing escaped on a terminal) or jsonl\n"
    "      --server URL    the server (default $LOGPOND_SERVER, else http://127.0.0.1:3100)\n"
    "      --tenant NAME   for servers that keep tenants apart\n"
    "\n"
    "Exit status: 0 something found, 1 nothing found, 2 trouble.\n";

static const char series_help[] =
    "usage: logpond series [OPTIONS] [SELECTOR...]\n"
    "\n"
    "The label sets that are stored, or those that any SELECTOR selects, one a line:\n"
    "\n"
    "  logpond series                                  all\n"
    "  logpond series '{namespace=\"shop\"}'             of one namespace\n"
    "\n"
    "      --since TIME    only of lines of the last TIME: 30m, 12h, 7d (default: everything stored)\n"
    "      --start TIME    from here on; as `logpond query` takes it; also --from\n"
    "      --end TIME      up to here, not included; also --to\n"
    "      --output FORM   default and raw ({app=\"x\"}) or jsonl ({\"app\":\"x\"})\n"
    "      --server URL    the server (default $LOGPOND_SERVER, else http://127.0.0.1:3100)\n"
    "      --tenant NAME   for servers that keep tenants apart\n"
    "\n"
    "Exit status: 0 something found, 1 nothing found, 2 trouble.\n";

enum {
    OPT_SERVER = 'S',
    OPT_TENANT = 'T',
    OPT_SINCE = 'A',
    OPT_START = 'B',
    OPT_END = 'E',
    OPT_OUTPUT = 'O',
    OPT_MATCH = 'M'
};

/* --match last: `series` has none. */
static const struct lp_cli_option options[] = {
    {"server", OPT_SERVER, true, 0}, {"tenant", OPT_TENANT, true, 0}, {"since", OPT_SINCE, true, 0},
    {"start", OPT_START, true, 0},   {"from", OPT_START, true, 0},    {"end", OPT_END, true, 0},
    {"to", OPT_END, true, 0},        {"output", OPT_OUTPUT, true, 0}, {"match", OPT_MATCH, true, 0},
};

struct labels {
    bool series;
    struct lp_query_server server;
    const char **words; /* NAME, or selectors */
    size_t nwords;
    const char *match;
    int64_t now_ns, start_ns, end_ns;
    enum lp_query_output output;
    struct lp_err err;
};

/* --- command line --- */

static lp_rc
take_word(struct labels *l, const char *word)
{
    if (!l->series && l->nwords > 0) {
        return lp_err_set(&l->err, LP_ERR_PARSE, "unexpected argument %s: one NAME at a time (see --help)",
                          word);
    }
    if (!l->series && !lp_text_is_name(lp_str_c(word))) {
        return lp_err_set(&l->err, LP_ERR_PARSE, "%s is no name of a label%s", word,
                          word[0] == '{' ? "; a selector goes behind --match" : "");
    }
    l->words[l->nwords++] = word;
    return LP_OK;
}

static lp_rc
take_option(void *arg, int id, const char *value)
{
    struct labels *l = arg;
    switch (id) {
    case OPT_SERVER:
        l->server.url = value;
        return LP_OK;
    case OPT_TENANT:
        l->server.tenant = value;
        return LP_OK;
    case OPT_SINCE:
        return lp_query_take_since(value, l->now_ns, &l->start_ns, &l->err);
    case OPT_START:
        return lp_query_take_time("start", value, l->now_ns, &l->start_ns, &l->err);
    case OPT_END:
        return lp_query_take_time("end", value, l->now_ns, &l->end_ns, &l->err);
    case OPT_OUTPUT:
        return lp_query_take_output(value, &l->output, &l->err);
    case OPT_MATCH:
        l->match = value;
        return LP_OK;
    default:
        return take_word(l, value);
    }
}

/* -1 to go on, else the exit status. */
static int
read_arguments(struct labels *l, int argc, char **argv)
{
    const struct lp_cli_command command = {l->server.command,
                                           l->series ? series_help : labels_help,
                                           options,
                                           LP_ARRAY_LEN(options) - l->series,
                                           true,
                                           take_option};
    return lp_cli_read(&command, argc, argv, l, &l->err);
}

/* --- asking --- */

/* The server's own default is the last hour; a command's is everything. */
static void
make_target(const struct labels *l, struct lp_buf *target)
{
    lp_buf_c(target, "/loki/api/v1/");
    if (l->series) {
        lp_buf_c(target, "series");
    } else if (l->nwords > 0) {
        lp_buf_printf(target, "label/%s/values", l->words[0]);
    } else {
        lp_buf_c(target, "labels");
    }
    lp_query_put_time(target, "start", l->start_ns != LP_TIME_NONE ? l->start_ns : LP_TIME_MIN);
    lp_query_put_time(target, "end", l->end_ns != LP_TIME_NONE ? l->end_ns : LP_TIME_MAX);
    if (l->match != NULL) {
        lp_client_param(target, "query", lp_str_c(l->match));
    }
    for (size_t i = 0; l->series && i < l->nwords; i++) {
        lp_client_param(target, "match[]", lp_str_c(l->words[i]));
    }
}

/* --- showing --- */

static void
put_name(const struct labels *l, struct lp_str name, bool safe, struct lp_buf *out)
{
    if (l->output != LP_QUERY_JSONL) {
        if (safe) {
            lp_ui_safe(out, name);
        } else {
            lp_buf_str(out, name);
        }
    } else if (l->nwords > 0) {
        lp_buf_printf(out, "{\"label\":\"%s\",\"value\":", l->words[0]);
        lp_buf_json(out, name);
        lp_buf_byte(out, '}');
    } else {
        lp_buf_c(out, "{\"label\":");
        lp_buf_json(out, name);
        lp_buf_byte(out, '}');
    }
}

static bool
show(const struct labels *l, const struct lp_json *list)
{
    const struct lp_json_doc *doc = &l->server.doc;
    struct lp_buf out;
    bool good = true, safe = l->output == LP_QUERY_DEFAULT && lp_ui_terminal(stdout);
    lp_buf_init(&out, OUT_BYTES_MAX);
    for (uint32_t i = (uint32_t)(list - doc->nodes) + 1; i < list->next && good; i = doc->nodes[i].next) {
        if (!l->series) {
            put_name(l, doc->nodes[i].text, safe, &out);
        } else if (l->output == LP_QUERY_JSONL) {
            lp_buf_str(&out, doc->nodes[i].text);
        } else {
            lp_query_put_labels(&out, doc, i);
        }
        lp_buf_byte(&out, '\n');
        good = out.n < OUT_BYTES || lp_query_flush(&out);
    }
    good = good && lp_query_flush(&out) && fflush(stdout) == 0;
    lp_buf_clear(&out);
    return good;
}

static void
explain_nothing(const struct labels *l)
{
    if (l->series) {
        fputs("no series found\n", stderr);
    } else if (l->nwords > 0) {
        fprintf(stderr, "label %s has no values; `logpond labels` lists what there is\n", l->words[0]);
    } else {
        fputs("no labels found\n", stderr);
    }
    lp_query_searched(l->start_ns, l->end_ns);
}

static int
run(struct labels *l)
{
    struct lp_buf target;
    lp_buf_init(&target, 1 << 20);
    make_target(l, &target);
    struct lp_str asked = l->match != NULL              ? lp_str_c(l->match)
                          : l->series && l->nwords == 1 ? lp_str_c(l->words[0])
                                                        : LP_STR("");
    bool good = lp_query_get(&l->server, &target, asked);
    lp_buf_clear(&target);
    if (!good) {
        return LP_QUERY_WRONG;
    }
    const struct lp_json *list = lp_json_path(&l->server.doc, "data", NULL);
    if (list == NULL || list->type != LP_JSON_ARRAY || list->count == 0) {
        explain_nothing(l);
        return LP_QUERY_NOTHING;
    }
    return show(l, list) ? 0 : LP_QUERY_WRONG;
}

static int
command(bool series, int argc, char **argv)
{
    struct labels l = {.series = series,
                       .server = {.command = series ? "series" : "labels"},
                       .now_ns = lp_now_ns(),
                       .start_ns = LP_TIME_NONE,
                       .end_ns = LP_TIME_NONE};
    lp_err_clear(&l.err);
    l.words = lp_calloc((size_t)argc, sizeof(const char *));
    int status = read_arguments(&l, argc, argv);
    if (status < 0) {
        status = lp_query_server_open(&l.server) ? run(&l) : LP_QUERY_WRONG;
        lp_query_server_close(&l.server);
    }
    lp_free(l.words);
    return status;
}

int
lp_cmd_labels(int argc, char **argv)
{
    return command(false, argc, argv);
}

int
lp_cmd_series(int argc, char **argv)
{
    return command(true, argc, argv);
}
