/*
 * cmd_logs_target.c - names of what has logs, and the URL that asks for them.
 */
#include "server/cmd_logs_int.h"

/* Kinds as people write them: short, singular, plural; and what the server calls them. NULL: a pod. */
static const struct kind {
    const char *names[4];
    const char *kind;
} kinds[] = {
    {{"po", "pod", "pods"}, NULL},
    {{"deploy", "deployment", "deployments"}, "deploy"},
    {{"rs", "replicaset", "replicasets"}, "rs"},
    {{"sts", "statefulset", "statefulsets"}, "sts"},
    {{"ds", "daemonset", "daemonsets"}, "ds"},
    {{"job", "jobs"}, "job"},
    {{"cj", "cronjob", "cronjobs"}, "cronjob"},
    {{"svc", "service", "services"}, "svc"},
};

/* "deployment.apps" and "deployment.v1.apps" are deployments. */
static const struct kind *
find_kind(struct lp_str written)
{
    struct lp_str rest = written, name = lp_str_cut(&rest, '.');
    for (size_t i = 0; i < LP_ARRAY_LEN(kinds); i++) {
        for (size_t k = 0; k < LP_ARRAY_LEN(kinds[i].names) && kinds[i].names[k] != NULL; k++) {
            if (lp_str_ieq(name, lp_str_c(kinds[i].names[k]))) {
                return &kinds[i];
            }
        }
    }
    return NULL;
}

lp_rc
lp_logs_take_target(const char *text, struct lp_logs_target *ret, struct lp_err *err)
{
    const char *slash = strchr(text, '/'), *name = slash != NULL ? slash + 1 : text;
    const struct kind *kind = &kinds[0];
    if (slash != NULL) {
        kind = find_kind(lp_str_of(text, (size_t)(slash - text)));
    }
    if (kind == NULL) {
        return lp_err_set(err, LP_ERR_PARSE,
                          "%s: of this kind there are no logs; there are those of pod, deploy, rs, sts, ds, "
                          "job, cronjob and svc",
                          text);
    }
    if (name[0] == 0 || strchr(name, '/') != NULL) {
        return lp_err_set(err, LP_ERR_PARSE,
                          "%s: the name of a pod is expected, or KIND/NAME like deploy/api", text);
    }
    *ret = (struct lp_logs_target){kind->kind, name};
    return LP_OK;
}

bool
lp_logs_of_one_pod(const struct lp_logs *q)
{
    return q->ntargets == 1 && q->targets[0].kind == NULL && q->node == NULL;
}

bool
lp_logs_plain(const struct lp_logs *q)
{
    return q->output == LP_LOGS_RAW || (q->output == LP_LOGS_DEFAULT && !q->terminal && !q->colour);
}

/* --- the URL --- */

static void
put(struct lp_buf *out, const char *name, const char *value)
{
    if (value != NULL) {
        lp_client_param(out, name, lp_str_c(value));
    }
}

static void
put_flag(struct lp_buf *out, const char *name, bool on)
{
    put(out, name, on ? "true" : NULL);
}

static void
put_time(struct lp_buf *out, const char *name, int64_t ns)
{
    char text[LP_TIME_TEXT];
    if (ns != LP_TIME_NONE) {
        lp_client_param(out, name, lp_str_of(text, lp_time_text(ns, text)));
    }
}

static void
put_both(struct lp_buf *out, const char *name, const char *a, const char *between, const char *b)
{
    struct lp_buf value;
    lp_buf_init(&value, 1 << 20);
    lp_buf_c(&value, a);
    lp_buf_c(&value, between);
    lp_buf_c(&value, b);
    lp_client_param(out, name, lp_buf_view(&value));
    lp_buf_clear(&value);
}

/* Which containers, and which of their runs. */
static void
put_selection(struct lp_buf *out, const struct lp_logs *q, const struct lp_logs_again *again)
{
    bool newest = !q->previous && !q->all_restarts && q->restart == NULL;
    for (size_t i = 0; i < q->ntargets && !q->single; i++) {
        if (q->targets[i].kind == NULL) {
            put(out, "target", q->targets[i].name);
        } else {
            put_both(out, "target", q->targets[i].kind, "/", q->targets[i].name);
        }
    }
    put(out, "labelSelector", q->selector);
    if (q->node != NULL) {
        put_both(out, "fieldSelector", "spec.nodeName", "=", q->node);
    }
    put(out, "container", q->container);
    put_flag(out, "previous", q->previous);
    /* what followed the newest run and was cut off goes on behind a restart that came meanwhile: the end of
     * the run before it is wanted, too */
    put(out, "restart", q->all_restarts || (again != NULL && newest) ? "all" : q->restart);
    if (q->uid == NULL && again != NULL && again->uid.n > 0) {
        lp_client_param(out, "uid", again->uid);
    }
    put(out, "uid", q->uid);
}

void
lp_logs_put_url(struct lp_buf *out, const struct lp_logs *q, const struct lp_logs_again *again, bool raw)
{
    char tail[24];
    bool goes_on = again != NULL && again->since_ns != LP_TIME_NONE;
    lp_buf_c(out, "/api/v1/namespaces/");
    lp_client_encode(out, lp_str_c(q->ns));
    if (q->single) {
        lp_buf_c(out, "/pods/");
        lp_client_encode(out, lp_str_c(q->targets[0].name));
    }
    lp_buf_c(out, "/log");
    put(out, "format", raw ? "raw" : "json");
    put_selection(out, q, goes_on ? again : NULL);
    put_time(out, "sinceTime", goes_on ? again->since_ns : q->since_ns);
    put_time(out, "untilTime", q->until_ns);
    if (q->tail >= 0 && !goes_on) {
        snprintf(tail, sizeof(tail), "%lld", (long long)q->tail);
        put(out, "tailLines", tail);
    }
    put_flag(out, "follow", q->follow);
    put(out, "stream", q->stream);
    for (size_t i = 0; i < q->ncontains; i++) {
        put(out, "match", q->contains[i]);
    }
    for (size_t i = 0; i < q->nregexes; i++) {
        put(out, "regex", q->regexes[i]);
    }
    put_flag(out, "timestamps", raw && q->timestamps);
    put_flag(out, "prefix", raw && q->prefix);
}
