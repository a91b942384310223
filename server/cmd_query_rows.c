/*
 * cmd_query_rows.c - searches for lines: asks /api/v1/export for JSON lines and shows them.
 *
 * The newest up to a limit come newest first; they are kept and shown in reverse. Oldest first, rows are kept
 * up to the next mark of the export, whatever comes after it, and shown then: what was shown ends exactly at
 * the cursor of the last mark, so that an export which was interrupted goes on there without a row twice or
 * missing.
 */

#include "server/cli.h"
#include "server/cmd_query_int.h"
#include "server/text_ui.h"

#define KEPT_BYTES_MAX ((size_t)1 << 30)
#define IDLE_NS (300 * LP_NS_PER_S)
#define CURSOR_BYTES 256
#define TIME_AT 9 /* {"time":" */
#define EXIT_INTERRUPTED 130

struct rows {
    const struct lp_query *q;
    struct lp_query_show show;
    struct lp_buf kept; /* rows not shown yet, each with its \n, or the row that is still coming */
    size_t looked_at;   /* bytes of kept whose lines are known: rows, or marks that were read */
    struct lp_json_parser *json;
    char cursor[CURSOR_BYTES]; /* of the last mark; "": none yet */
    struct lp_query_stats stats;
    int64_t first_ns, reached_ns; /* of the rows shown, oldest first; LP_TIME_NONE: none yet */
    uint64_t bytes;
    struct lp_progress progress;
    char note[3 * LP_UI_TEXT];
    struct lp_err err;
};

/* --- progress --- */

static int64_t
time_of_row(struct lp_str row)
{
    struct lp_str rest = lp_str_sub(row, LP_MIN(row.n, (size_t)TIME_AT), row.n);
    int64_t ns;
    return lp_query_is_row(row) && lp_time_rfc3339(lp_str_cut(&rest, '"'), &ns) ? ns : LP_TIME_NONE;
}

/* How far in time, if it is known where it begins and ends. */
static double
part_done(const struct rows *r)
{
    int64_t from = r->q->start_ns != LP_TIME_NONE ? r->q->start_ns : r->first_ns,
            to = r->q->end_ns != LP_TIME_NONE ? r->q->end_ns : r->q->now_ns;
    if (r->reached_ns == LP_TIME_NONE || from == LP_TIME_NONE || r->reached_ns < from || to <= from) {
        return 0;
    }
    return ((double)r->reached_ns - (double)from) / ((double)to - (double)from);
}

static void
show_progress(struct rows *r)
{
    char lines[LP_UI_TEXT], rate[LP_UI_TEXT], time[LP_UI_TEXT] = "";
    struct lp_progress *p = &r->progress;
    double seconds = LP_MAX((double)(lp_mono_ns() - p->begun_ns) / 1e9, 0.001);
    if (r->reached_ns != LP_TIME_NONE) {
        lp_ui_time(r->reached_ns, time);
    }
    snprintf(r->note, sizeof(r->note), "%s lines  %s/s%s%.16s", lp_ui_count(r->show.rows, lines),
             lp_ui_bytes((uint64_t)((double)r->bytes / seconds), rate), time[0] != 0 ? "  at " : "", time);
    p->note = r->note;
    p->part = part_done(r);
    lp_progress_at(p, r->bytes);
}

/* --- rows as they come --- */

static bool
backward(const struct rows *r)
{
    return !r->q->forward;
}

static bool
show_row(struct rows *r, struct lp_str row)
{
    int64_t ns = r->progress.quiet ? LP_TIME_NONE : time_of_row(row);
    if (ns != LP_TIME_NONE) {
        r->first_ns = r->first_ns == LP_TIME_NONE ? ns : r->first_ns;
        r->reached_ns = ns;
    }
    return lp_query_show_row(&r->show, row);
}

/* Shows the first n bytes of kept, whole lines, and drops them. */
static bool
show_kept(struct rows *r, size_t n)
{
    struct lp_str rest = lp_str_sub(lp_buf_view(&r->kept), 0, n);
    bool good = true;
    while (rest.n > 0 && good) {
        good = show_row(r, lp_str_cut(&rest, '\n'));
    }
    memmove(r->kept.p, r->kept.p + n, r->kept.n - n);
    r->kept.n -= n;
    r->looked_at = 0;
    r->progress.shown_ns = 0; /* a page more is worth a look */
    r->show.failed = r->show.failed || fflush(stdout) != 0;
    return good && !r->show.failed;
}

static uint64_t
stat_of(const struct lp_json_doc *doc, const char *name)
{
    return lp_json_u64(lp_json_path(doc, "stats", name, NULL));
}

/* A mark of the export: where it stands, what it looked at, what it left out. */
static void
read_mark(struct rows *r, struct lp_str line)
{
    struct lp_json_doc doc;
    if (lp_json_parse(r->json, line, &doc, NULL) != LP_OK) {
        return;
    }
    const struct lp_json *cursor = lp_json_path(&doc, "cursor", NULL);
    if (cursor != NULL && cursor->text.n > 0 && cursor->text.n < CURSOR_BYTES) {
        snprintf(r->cursor, sizeof(r->cursor), LP_STR_FMT, LP_STR_ARG(cursor->text));
    }
    r->stats = (struct lp_query_stats){stat_of(&doc, "lines"),   stat_of(&doc, "bytes"),
                                       stat_of(&doc, "passed"),  stat_of(&doc, "blocks"),
                                       stat_of(&doc, "streams"), (int64_t)stat_of(&doc, "ns")};
    lp_query_warnings("query", &doc);
}

/* Looks at the lines that have become whole; shows what lies before a mark. */
static bool
look(struct rows *r)
{
    for (;;) {
        struct lp_str rest = lp_str_sub(lp_buf_view(&r->kept), r->looked_at, r->kept.n);
        size_t n = lp_str_find_byte(rest, '\n');
        if (n == SIZE_MAX) {
            return true;
        }
        struct lp_str line = lp_str_sub(rest, 0, n);
        r->looked_at += n + 1;
        if (!lp_query_is_row(line)) {
            read_mark(r, line);
            if (!backward(r) && !show_kept(r, r->looked_at)) {
                return false;
            }
        }
    }
}

static bool
on_data(void *arg, struct lp_str bytes)
{
    struct rows *r = arg;
    if (!lp_buf_str(&r->kept, bytes)) {
        (void)lp_err_set(&r->err, LP_ERR_LIMIT,
                         "the newest %llu lines are over 1 GiB: take fewer, or all of them with --all",
                         (unsigned long long)r->q->limit);
        return false;
    }
    r->bytes += bytes.n;
    bool good = !lp_cli_interrupted && look(r);
    if (!r->progress.quiet) {
        show_progress(r);
    }
    return good;
}

/* The last row first. */
static void
show_reversed(struct rows *r)
{
    struct lp_str rest = lp_buf_view(&r->kept);
    bool good = true;
    while (good && rest.n > 0) {
        struct lp_str before = lp_str_sub(rest, 0, rest.n - 1); /* without its \n */
        size_t nl = lp_str_rfind_byte(before, '\n');
        size_t from = nl == SIZE_MAX ? 0 : nl + 1;
        good = show_row(r, lp_str_sub(before, from, before.n));
        rest = lp_str_sub(rest, 0, from);
    }
}

/* --- asking --- */

static void
make_target(const struct lp_query *q, struct lp_buf *target)
{
    char limit[24];
    lp_buf_c(target, "/api/v1/export?format=jsonl&marks=true");
    lp_client_param(target, "query", q->text);
    if (q->cursor != NULL) { /* lies behind the start, which --since has moved meanwhile */
        lp_client_param(target, "cursor", lp_str_c(q->cursor));
    } else {
        lp_query_put_time(target, "start", q->start_ns);
    }
    lp_query_put_time(target, "end", q->end_ns);
    lp_client_param(target, "direction", q->forward ? LP_STR("forward") : LP_STR("backward"));
    if (q->limit > 0) {
        snprintf(limit, sizeof(limit), "%llu", (unsigned long long)q->limit);
        lp_client_param(target, "limit", lp_str_c(limit));
    }
}

/* What was shown stays, and it can go on: says how. */
static void
explain_break(const struct rows *r)
{
    char lines[LP_UI_TEXT];
    if (!r->q->all) {
        return;
    }
    const char *cursor = r->cursor[0] != 0 ? r->cursor : r->q->cursor;
    if (cursor == NULL) {
        fputs("no line was written: run the same command again\n", stderr);
        return;
    }
    fprintf(stderr, "%s lines were written; the rest: the same command with --cursor '%s' (append with >>)\n",
            lp_ui_count(r->show.rows, lines), cursor);
}

static int
broken_off(const struct rows *r)
{
    if (lp_cli_interrupted) {
        fputs("interrupted\n", stderr);
    } else {
        lp_cli_complain("query", &r->err);
    }
    explain_break(r);
    return lp_cli_interrupted ? EXIT_INTERRUPTED : LP_QUERY_WRONG;
}

/* 0 to go on, else the exit status. */
static int
ask(struct rows *r, struct lp_client *c, struct lp_client_answer *a)
{
    struct lp_buf target;
    const char *name = r->q->tenant;
    struct lp_pair tenant = {LP_STR("X-Scope-OrgID"), name != NULL ? lp_str_c(name) : LP_STR_NULL};
    lp_buf_init(&target, 1 << 20);
    make_target(r->q, &target);
    struct lp_client_request req = {.method = "GET",
                                    .target = lp_buf_view(&target),
                                    .headers = &tenant,
                                    .nheaders = name != NULL,
                                    .idle_ns = IDLE_NS,
                                    .on_data = on_data,
                                    .arg = r};
    lp_progress_begin(&r->progress, stderr, !r->q->all || !lp_ui_terminal(stderr) || lp_ui_terminal(stdout),
                      0);
    lp_rc rc = target.failed ? lp_err_set(&r->err, LP_ERR_LIMIT, "the query is too long")
                             : lp_client_call(c, &req, a, &r->err);
    lp_progress_end(&r->progress);
    lp_buf_clear(&target);
    if (r->show.failed) {
        return LP_QUERY_WRONG; /* nobody reads any more */
    }
    if (rc != LP_OK) {
        return broken_off(r);
    }
    if (a->status != 200) {
        lp_query_refused("query", a, r->q->text);
        return LP_QUERY_WRONG;
    }
    if (backward(r)) {
        show_reversed(r);
    } else if (r->kept.n > 0) { /* through something that hides where an answer was cut off */
        fputs("logpond query: the answer ended in the middle\n", stderr);
        explain_break(r);
        return LP_QUERY_WRONG;
    }
    return fflush(stdout) == 0 && !r->show.failed ? 0 : LP_QUERY_WRONG;
}

/* --- what a person wants to know then --- */

static void
explain_nothing(const struct lp_query *q)
{
    bool phrase = false;
    for (size_t i = 0; i < q->nwords && !q->logql; i++) {
        phrase = phrase || strchr(q->words[i], ' ') != NULL;
    }
    if (q->cursor != NULL) {
        fputs("nothing behind the cursor: the export was complete\n", stderr);
        return;
    }
    fprintf(stderr, "nothing found for " LP_STR_FMT "\n", LP_STR_ARG(q->text));
    lp_query_searched(q->start_ns, q->end_ns);
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
finish(const struct rows *r)
{
    const struct lp_query *q = r->q;
    if (q->stats) {
        lp_query_stats_show(stderr, &r->stats);
    }
    if (r->show.rows == 0) {
        explain_nothing(q);
        return LP_QUERY_NOTHING;
    }
    if (r->show.rows == q->limit && r->show.terminal && q->output == LP_QUERY_DEFAULT) {
        fprintf(stderr, "(the %s %llu lines; more with --limit N, all with --all)\n",
                q->forward ? "oldest" : "newest", (unsigned long long)q->limit);
    }
    return 0;
}

static int
search(struct rows *r, struct lp_client *c)
{
    struct lp_client_answer a;
    lp_client_answer_init(&a);
    if (r->q->all) {
        lp_cli_catch_interrupts(true);
        lp_client_stop_on(c, &lp_cli_interrupted);
    }
    int status = ask(r, c, &a);
    if (status == 0) {
        status = finish(r);
    }
    lp_client_answer_clear(&a);
    return status;
}

int
lp_query_rows(const struct lp_query *q)
{
    struct lp_client *c = NULL;
    struct rows r = {.q = q, .first_ns = LP_TIME_NONE, .reached_ns = LP_TIME_NONE};
    lp_err_clear(&r.err);
    if (lp_client_new(q->server, &c, &r.err) != LP_OK) {
        lp_cli_complain("query", &r.err);
        return LP_QUERY_WRONG;
    }
    lp_buf_init(&r.kept, KEPT_BYTES_MAX);
    r.json = lp_json_parser_new();
    lp_query_show_begin(&r.show, q);
    int status = search(&r, c);
    lp_query_show_clear(&r.show);
    lp_json_parser_free(r.json);
    lp_buf_clear(&r.kept);
    lp_client_free(c);
    return status;
}
