/*
 * cmd_logs_read.c - asks for a log and shows it; with --follow goes on where it was when the connection
 * breaks.
 *
 * Into a file or a program, lines go out as the server sends them. Else, and with --follow, each comes as a
 * JSON object, which says where it is from and when.
 */
#include "server/cli.h"
#include "server/cmd_logs_int.h"
#include "server/cmd_query_int.h"
#include "server/pager.h"
#include "server/text_ui.h"

#define LINES_BYTES_MAX ((size_t)256 << 20)
#define IDLE_NS                                                                                              \
    (300 *                                                                                                   \
     LP_NS_PER_S) /* with --follow, a connection that was silent so long is made anew, as it may be dead */
#define AGAIN_NS LP_NS_PER_S
#define AGAIN_MAX_NS (5 * LP_NS_PER_S)
#define NOTES_BYTES_MAX (64u << 10)

struct reader {
    const struct lp_logs *q;
    struct lp_client *client;
    struct lp_client_answer answer;
    struct lp_json_parser *json;
    struct lp_query_show show;
    struct lp_logs_seen *seen;
    struct lp_logs_pod pod; /* where one is asked for */
    struct lp_pager pager;
    struct lp_buf in;          /* what came and is not shown yet: from the begin of a line on */
    struct lp_buf origin, uid; /* of the last line */
    struct lp_buf notes;       /* what is to be said when the pager has ended */
    bool raw, once;            /* once: it was connected before */
    bool pager_due, paged;     /* where output begins there is to be a pager; it went to one */
    bool told;                 /* that it was cut off */
    bool shown, came;          /* a line, ever; bytes, of this connection */
    struct lp_err err;
};

/* --- saying things --- */

static void
write_notes(struct reader *r)
{
    if (r->notes.n > 0) {
        fwrite(r->notes.p, 1, r->notes.n, stderr);
        lp_buf_reset(&r->notes);
    }
}

/* A line on standard error, at once or when the pager has ended; what control characters are in it does not
 * reach the terminal. */
static void
say(struct reader *r, const char *what, struct lp_str text)
{
    lp_buf_c(&r->notes, "logpond logs: ");
    lp_buf_c(&r->notes, what);
    lp_ui_safe(&r->notes, text);
    lp_buf_byte(&r->notes, '\n');
    if (r->pager.pid == 0) {
        write_notes(r);
    }
}

static void
end_pager(struct reader *r)
{
    lp_pager_end(&r->pager);
    write_notes(r);
}

/* --- lines --- */

static struct lp_str
text_of(const struct lp_json_doc *doc, const char *name)
{
    const struct lp_json *v = lp_json_member(doc, 0, lp_str_c(name));
    return v != NULL && v->type == LP_JSON_STRING ? v->text : LP_STR_NULL;
}

/* As kubectl prints them. */
static void
show_plain(struct reader *r, const struct lp_logs_line *l, struct lp_str time)
{
    if (r->q->prefix) {
        lp_buf_reset(&r->origin);
        lp_buf_c(&r->origin, "[pod/");
        lp_buf_str(&r->origin, l->pod);
        lp_buf_byte(&r->origin, '/');
        lp_buf_str(&r->origin, l->container);
        lp_buf_c(&r->origin, "] ");
        (void)lp_query_show_put(&r->show, lp_buf_view(&r->origin)); /* show.failed keeps all of these */
    }
    if (r->q->timestamps) {
        (void)lp_query_show_put(&r->show, time);
        (void)lp_query_show_put(&r->show, LP_STR(" "));
    }
    (void)lp_query_show_put(&r->show, l->line);
    (void)lp_query_show_put(&r->show, LP_STR("\n"));
}

static void
show_coloured(struct reader *r, const struct lp_logs_line *l, struct lp_str time)
{
    if (r->q->prefix) {
        lp_buf_reset(&r->origin);
        lp_buf_str(&r->origin, l->pod);
        lp_buf_c(&r->origin, l->container.n > 0 ? " " : "");
        lp_buf_str(&r->origin, l->container);
        lp_query_show_origin(&r->show, lp_buf_view(&r->origin), l->pod, lp_str_eqc(l->stream, "stderr"));
    }
    if (r->q->timestamps) {
        lp_query_show_time(&r->show, time);
    }
    (void)lp_query_show_rest(&r->show, l->line);
}

/* A JSON object: a line, or a warning. */
static void
show_object(struct reader *r, struct lp_str json)
{
    struct lp_json_doc doc;
    if (lp_json_parse(r->json, json, &doc, NULL) != LP_OK || doc.nodes[0].type != LP_JSON_OBJECT) {
        return;
    }
    struct lp_str warning = text_of(&doc, "warning"), time = text_of(&doc, "time");
    struct lp_logs_line l = {.pod = text_of(&doc, "pod"),
                             .container = text_of(&doc, "container"),
                             .stream = text_of(&doc, "stream"),
                             .line = lp_query_show_line(&r->show, &doc)};
    if (warning.n > 0) {
        say(r, "warning: ", warning);
    }
    if (!lp_time_rfc3339(time, &l.time_ns)) {
        return;
    }
    if (r->q->follow && !lp_logs_seen_take(r->seen, &l)) {
        return;
    }
    if (r->q->follow && lp_logs_of_one_pod(r->q)) {
        lp_buf_reset(&r->uid);
        lp_buf_str(&r->uid, text_of(&doc, "uid"));
    }
    r->shown = true;
    if (r->q->output == LP_LOGS_JSON) {
        (void)lp_query_show_put(&r->show, json); /* show.failed keeps both */
        (void)lp_query_show_put(&r->show, LP_STR("\n"));
    } else if (lp_logs_plain(r->q)) {
        show_plain(r, &l, time);
    } else {
        show_coloured(r, &l, time);
    }
}

/* Shows the lines that have become whole with the bytes from `had` on, and drops them. */
static void
show_whole_lines(struct reader *r, size_t had)
{
    struct lp_str all = lp_buf_view(&r->in);
    size_t nl = lp_str_rfind_byte(lp_str_sub(all, had, all.n), '\n');
    size_t end = nl == SIZE_MAX ? 0 : had + nl + 1;
    struct lp_str rest = lp_str_sub(all, 0, end);
    while (rest.n > 0 && !r->show.failed) {
        show_object(r, lp_str_cut(&rest, '\n'));
    }
    memmove(r->in.p, r->in.p + end, all.n - end);
    r->in.n -= end;
}

/* The first bytes of a connection. */
static void
begin_output(struct reader *r)
{
    r->came = r->once = true;
    if (r->told) {
        say(r, "connected again", LP_STR(""));
        r->told = false;
    }
    if (r->pager_due) {
        r->pager_due = false;
        r->paged = lp_pager_begin(&r->pager);
    }
    if (r->paged) { /* Ctrl-C ends the reading, and the pager shows what there is */
        lp_cli_catch_interrupts(false);
        lp_client_stop_on(r->client, &lp_cli_interrupted);
    }
}

static bool
on_data(void *arg, struct lp_str bytes)
{
    struct reader *r = arg;
    size_t had = r->in.n;
    if (!r->came) {
        begin_output(r);
    }
    if (r->raw) {
        r->shown = true;
        (void)lp_query_show_put(&r->show, bytes); /* show.failed keeps it */
    } else if (lp_buf_str(&r->in, bytes)) {
        show_whole_lines(r, had);
    }
    r->show.failed = r->show.failed || fflush(stdout) != 0; /* what is there is to be seen at once */
    return !r->show.failed && !r->in.failed;
}

/* --- asking --- */

static lp_rc
get(struct reader *r, const struct lp_buf *target, bool stream)
{
    const char *name = r->q->tenant;
    struct lp_pair tenant = {LP_STR("X-Scope-OrgID"), name != NULL ? lp_str_c(name) : LP_STR_NULL};
    struct lp_client_request req = {.method = "GET",
                                    .target = lp_buf_view(target),
                                    .headers = &tenant,
                                    .nheaders = name != NULL,
                                    .idle_ns = IDLE_NS,
                                    .on_data = stream ? on_data : NULL,
                                    .arg = r};
    lp_err_clear(&r->err);
    return target->failed ? lp_err_set(&r->err, LP_ERR_LIMIT, "the names and selectors are too long")
                          : lp_client_call(r->client, &req, &r->answer, &r->err);
}

static lp_rc
ask(struct reader *r, const struct lp_logs_again *again)
{
    struct lp_buf target;
    lp_buf_init(&target, 1 << 20);
    lp_logs_put_url(&target, r->q, again, r->raw);
    lp_buf_reset(&r->in);
    r->came = false;
    lp_rc rc = get(r, &target, true);
    lp_buf_clear(&target);
    r->once = r->once || r->answer.status == 200;
    if (r->in.failed) {
        rc = lp_err_set(&r->err, LP_ERR_LIMIT, "a line is over %zu MiB", LINES_BYTES_MAX >> 20);
    }
    return rc;
}

/* Says in which other namespaces pods of this name are. False: there are none, or that cannot be told. */
static bool
say_where(struct reader *r, struct lp_str pod)
{
    struct lp_buf target, text;
    struct lp_json_doc doc;
    struct lp_str first;
    lp_buf_init(&target, 1 << 20);
    lp_buf_init(&text, NOTES_BYTES_MAX);
    lp_buf_c(&text, "metadata.name=");
    lp_buf_str(&text, pod);
    lp_buf_c(&target, "/api/v1/pods");
    lp_client_param(&target, "fieldSelector", lp_buf_view(&text));
    lp_client_param(&target, "limit", LP_STR("5"));
    lp_buf_reset(&text);
    lp_buf_c(&text, "pod ");
    lp_buf_str(&text, pod);
    lp_buf_c(&text, " is in ");
    bool found = get(r, &target, false) == LP_OK && r->answer.status == 200 &&
                 lp_client_json(&r->answer, r->json, &doc, NULL) == LP_OK &&
                 lp_logs_namespaces(&doc, &text, &first);
    if (found) {
        lp_buf_c(&text, ": use -n ");
        lp_buf_str(&text, first);
        say(r, "", lp_buf_view(&text));
    }
    lp_buf_clear(&target);
    lp_buf_clear(&text);
    return found;
}

/* An answer other than 200, in words; the exit status. */
static int
refused(struct reader *r)
{
    struct lp_json_doc doc;
    struct lp_str why = lp_logs_refusal(&r->answer, r->json, &doc), pod = LP_STR_NULL;
    struct lp_buf text, name;
    lp_buf_init(&text, NOTES_BYTES_MAX);
    lp_buf_init(&name, NOTES_BYTES_MAX);
    if (r->answer.status == 404 && doc.count > 0) {
        const struct lp_json *kind = lp_json_path(&doc, "details", "kind", NULL),
                             *of = lp_json_path(&doc, "details", "name", NULL);
        pod = kind != NULL && lp_str_eqc(kind->text, "pods") && of != NULL ? of->text : LP_STR_NULL;
    } else if (r->answer.status == 404) {
        why = LP_STR("what answers at this address is no Logpond that has the log of pods");
    } else if (r->answer.status == 307 && lp_logs_of_one_pod(r->q)) { /* to the API server of the cluster */
        pod = lp_str_c(r->q->targets[0].name);
        why = LP_STR("the pod is not known here; the cluster may have it: ask with kubectl");
    }
    lp_buf_str(&text, why);
    if (r->answer.status == 404 && doc.count > 0 && !lp_logs_of_one_pod(r->q)) {
        lp_buf_printf(&text, " in namespace %s", r->q->ns);
    }
    lp_buf_str(&name, pod);
    if (name.n == 0 || r->q->uid != NULL || !say_where(r, lp_buf_view(&name))) {
        say(r, "", lp_buf_view(&text));
    }
    lp_buf_clear(&text);
    lp_buf_clear(&name);
    return LP_LOGS_WRONG;
}

/* What is to be known of the one pod. -1 to go on, else the exit status. */
static int
look_at_pod(struct reader *r)
{
    struct lp_buf target;
    struct lp_json_doc doc;
    lp_buf_init(&target, 1 << 20);
    lp_buf_c(&target, "/api/v1/namespaces/");
    lp_client_encode(&target, lp_str_c(r->q->ns));
    lp_buf_c(&target, "/pods/");
    lp_client_encode(&target, lp_str_c(r->q->targets[0].name));
    if (r->q->uid != NULL) {
        lp_client_param(&target, "uid", lp_str_c(r->q->uid));
    }
    lp_rc rc = get(r, &target, false);
    lp_buf_clear(&target);
    if (rc != LP_OK) {
        lp_cli_complain("logs", &r->err);
        return LP_LOGS_WRONG;
    }
    if (r->answer.status != 200) {
        return refused(r);
    }
    if (lp_client_json(&r->answer, r->json, &doc, NULL) == LP_OK) {
        lp_logs_pod_read(&doc, r->q->container, &r->pod);
    }
    return -1;
}

/* --- again and again --- */

/* Whether another try makes sense; says what happened. */
static bool
may_try_again(struct reader *r, lp_rc rc, int64_t wait_ns)
{
    bool busy = rc == LP_OK && (r->answer.status == 429 || r->answer.status >= 500);
    if (!r->q->follow || !r->once || lp_cli_interrupted || r->show.failed) {
        return false;
    }
    if (rc == LP_ERR_TIMEOUT && r->answer.status == 200) {
        return true;
    }
    if (!busy && rc != LP_ERR_IO && rc != LP_ERR_TIMEOUT && rc != LP_ERR_NOT_FOUND) {
        return false;
    }
    char wait[32];
    struct lp_buf text;
    struct lp_json_doc doc;
    lp_buf_init(&text, NOTES_BYTES_MAX);
    lp_buf_str(&text, busy ? lp_logs_refusal(&r->answer, r->json, &doc) : lp_str_c(r->err.text));
    snprintf(wait, sizeof(wait), "; trying again in %lld s", (long long)(wait_ns / LP_NS_PER_S));
    lp_buf_c(&text, wait);
    say(r, "", lp_buf_view(&text));
    lp_buf_clear(&text);
    r->told = true;
    return true;
}

/* --- what a person wants to know then --- */

static void
explain_nothing(const struct reader *r)
{
    char last[LP_UI_TEXT];
    const struct lp_logs *q = r->q;
    bool filtered = q->ncontains + q->nregexes > 0 || q->stream != NULL || q->since_ns != LP_TIME_NONE ||
                    q->until_ns != LP_TIME_NONE;
    fprintf(stderr, "(no lines%s", filtered ? " that fit" : "");
    if (r->pod.known && r->pod.last_ns != LP_TIME_NONE) {
        fprintf(stderr, "; the pod's last line came at %s", lp_ui_time(r->pod.last_ns, last));
    } else if (!r->pod.known) {
        fprintf(stderr, " in namespace %s; -n names another one", q->ns);
    }
    fputs(")\n", stderr);
}

static void
explain_more(const struct reader *r)
{
    const struct lp_logs *q = r->q;
    if (q->previous || q->all_restarts || q->restart != NULL || !r->pod.known) {
        return;
    }
    if (r->pod.restarts > 0) {
        fprintf(
            stderr,
            "(it restarted %llu time%s: -p shows the run before, --restart N a certain one, --all-restarts "
            "all)\n",
            (unsigned long long)r->pod.restarts, r->pod.restarts > 1 ? "s" : "");
    }
    if (r->pod.earlier[0] != 0 && q->uid == NULL) {
        struct lp_buf uid;
        lp_buf_init(&uid, 1024);
        lp_ui_safe(&uid, lp_str_c(r->pod.earlier));
        fprintf(stderr, "(there was a pod of this name before: --uid " LP_STR_FMT ")\n",
                LP_STR_ARG(lp_buf_view(&uid)));
        lp_buf_clear(&uid);
    }
}

/* The log has ended. */
static int
finish(struct reader *r)
{
    struct lp_str warning = lp_client_header(&r->answer, "X-Logpond-Warning");
    bool good = fflush(stdout) == 0 && !r->show.failed;
    if (warning.n > 0 && r->raw) { /* else it came as an object */
        say(r, "warning: ", warning);
    }
    end_pager(r);
    if (!good) { /* nobody reads any more; who left the pager has seen enough */
        return r->paged ? 0 : LP_LOGS_WRONG;
    }
    if (lp_ui_terminal(stderr)) {
        if (r->shown) {
            explain_more(r);
        } else {
            explain_nothing(r);
        }
    }
    return r->shown ? 0 : LP_LOGS_NOTHING;
}

static int
broken_off(struct reader *r, lp_rc rc)
{
    bool left = r->show.failed && r->paged;
    end_pager(r);
    if (r->show.failed) {
        return left ? 0 : LP_LOGS_WRONG;
    }
    if (lp_cli_interrupted) {
        return r->q->follow ? 0 : LP_LOGS_INTERRUPTED;
    }
    if (rc == LP_OK) {
        return refused(r);
    }
    lp_cli_complain("logs", &r->err);
    return LP_LOGS_WRONG;
}

static int
run(struct reader *r)
{
    int64_t wait_ns = AGAIN_NS;
    struct lp_logs_again again, *next = NULL;
    for (;;) {
        lp_rc rc = ask(r, next);
        if (rc == LP_OK && r->answer.status == 200) {
            return finish(r);
        }
        wait_ns = r->came ? AGAIN_NS : wait_ns;
        if (!may_try_again(r, rc, wait_ns)) {
            return broken_off(r, rc);
        }
        if (r->told) {
            lp_client_pause(wait_ns, &lp_cli_interrupted);
            wait_ns = LP_MIN(2 * wait_ns, AGAIN_MAX_NS);
        }
        again = (struct lp_logs_again){lp_logs_seen_broke(r->seen, lp_now_ns()), lp_buf_view(&r->uid)};
        next = &again;
    }
}

static void
prepare(struct reader *r, const struct lp_logs *q)
{
    r->raw = lp_logs_plain(q) && !q->follow;
    r->pager_due = q->pager;
    r->json = lp_json_parser_new();
    r->seen = lp_logs_seen_new(q->tail == 0 ? q->now_ns : LP_TIME_NONE);
    lp_client_answer_init(&r->answer);
    lp_buf_init(&r->in, LINES_BYTES_MAX);
    lp_buf_init(&r->origin, LINES_BYTES_MAX);
    lp_buf_init(&r->uid, 1024);
    lp_buf_init(&r->notes, NOTES_BYTES_MAX);
    lp_query_show_init(&r->show, stdout, LP_QUERY_DEFAULT);
    r->show.terminal = q->terminal;
    r->show.colour = q->colour;
    r->show.words = q->contains;
    r->show.nwords = q->ncontains;
    if (q->follow) {
        lp_cli_catch_interrupts(false);
        lp_client_stop_on(r->client, &lp_cli_interrupted);
    }
}

int
lp_logs_read(struct lp_logs *q, bool auto_prefix)
{
    struct reader r = {.q = q};
    lp_err_clear(&r.err);
    if (lp_client_new(q->server, &r.client, &r.err) != LP_OK) {
        lp_cli_complain("logs", &r.err);
        return LP_LOGS_WRONG;
    }
    prepare(&r, q);
    int status = lp_logs_of_one_pod(q) ? look_at_pod(&r) : -1;
    bool one = r.pod.known && (q->container != NULL || r.pod.containers == 1);
    q->single =
        one && !(q->tail >= 0 && q->stream != NULL); /* which a pod's own log does not take together */
    if (auto_prefix) {                               /* where more than one container's lines can come */
        q->prefix = !lp_logs_plain(q) && !one;
    }
    if (status < 0) {
        status = run(&r);
    }
    lp_query_show_clear(&r.show);
    lp_buf_clear(&r.in);
    lp_buf_clear(&r.origin);
    lp_buf_clear(&r.uid);
    lp_buf_clear(&r.notes);
    lp_client_answer_clear(&r.answer);
    lp_logs_seen_free(r.seen);
    lp_json_parser_free(r.json);
    lp_client_free(r.client);
    return status;
}
