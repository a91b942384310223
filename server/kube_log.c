/*
 * kube_log.c - the log of a pod, or of several, over HTTP.
 *
 * What is found in one page is answered at once, on the query worker. All else goes on on a thread of its
 * own, at the client's pace: a place among queries is taken for each page, and none while it is sent or while
 * there is nothing to send. A log that is followed looks for lines when something has arrived, but not more
 * often than every LOOK_NS; it ends when its pods have been silent for so long that they count as gone, or
 * when another pod has taken the name of the one that is followed.
 */
#include "server/kube_log.h"

#include <stdio.h>

#include "base/clock.h"
#include "server/kube.h"
#include "server/podlogs.h"

#define PODS_MAX 1000
#define LOOK_NS (100 * LP_NS_PER_MS)
#define WAIT_NS (500 * LP_NS_PER_MS) /* in which it is noticed that a client has gone */
#define CHECK_NS (2 * LP_NS_PER_S)
#define WRITE_BYTES (256u << 10)

struct log {
    struct lp_kube_call *c;
    struct lp_kube_log_ask ask;
    struct lp_pods pods; /* whose log it is */
    struct lp_kube_wants wants;
    struct lp_podlog *log; /* NULL: there can be no lines */
    bool follow;
    bool last;                                /* followed: what there is now is all there will be */
    uint64_t left;                            /* bytes that may still be sent */
    int64_t active_ns, looked_ns, checked_ns; /* lp_mono_ns clock */
    char warning[LP_ERR_TEXT_BYTES + 64];
};

/* Before the request is answered: the log looks at whether the client has gone. */
static void
log_free(void *state)
{
    struct log *l = state;
    lp_podlog_close(l->log);
    lp_pods_clear(&l->pods);
    lp_free(l);
}

/* --- which pods --- */

static lp_rc
find(struct log *l, const struct lp_pods_query *q, struct lp_pods *ret)
{
    lp_kube_work_begin(l->c);
    lp_rc rc = lp_pods_find(q, ret, &l->c->err);
    lp_kube_work_end(l->c);
    return rc;
}

static bool
wants(void *arg, const struct lp_pod *p)
{
    const struct log *l = arg;
    return (l->ask.uid.n == 0 || lp_str_eq(l->ask.uid, p->uid)) && lp_kube_log_targeted(&l->ask, p) &&
           lp_kube_list_wants(&l->c->list, p);
}

static struct lp_pods_query
several_query(struct log *l)
{
    struct lp_pods_query q = lp_kube_list_query(l->c);
    const struct lp_kube_resource *r;
    struct lp_str name;
    if (l->ask.ntargets == 1 && lp_kube_log_target(l->ask.targets[0], &r, &name) && r->id == LP_KUBE_PODS) {
        q.name = name;
        q.uid = l->ask.uid;
    }
    q.wants = wants;
    q.arg = l;
    q.limit = PODS_MAX + 1;
    q.from_ns = l->follow ? LP_MIN(l->ask.from_ns, l->c->eye.now_ns - l->c->eye.silence_ns) : l->ask.from_ns;
    q.to_ns = l->ask.to_ns;
    return q;
}

static void
keep_phase(struct log *l)
{
    size_t n = 0;
    for (size_t i = 0; i < l->pods.n; i++) {
        if (lp_kube_list_phase(l->c, &l->pods.v[i])) {
            l->pods.v[n++] = l->pods.v[i];
        }
    }
    l->pods.n = n;
}

/* Nothing was found in the range: are there such pods at all? */
static lp_rc
is_known(struct log *l, struct lp_pods_query q, bool *ret)
{
    struct lp_pods any;
    q.from_ns = LP_TIME_MIN;
    q.to_ns = LP_TIME_MAX;
    q.limit = 1;
    lp_rc rc = find(l, &q, &any);
    *ret = rc == LP_OK && any.n > 0;
    lp_pods_clear(&any);
    return rc;
}

/* *ret_known false: there is no such pod. */
static lp_rc
find_several(struct log *l, bool *ret_known)
{
    struct lp_pods_query q = several_query(l);
    lp_rc rc = find(l, &q, &l->pods);
    *ret_known = true;
    if (rc == LP_OK && l->pods.n == 0) {
        return is_known(l, q, ret_known);
    }
    if (rc == LP_OK && l->pods.n > PODS_MAX) {
        return lp_err_set(&l->c->err, LP_ERR_LIMIT,
                          "these are more than %d pods; narrow them by target, labelSelector, fieldSelector, "
                          "sinceTime or untilTime",
                          PODS_MAX);
    }
    if (rc == LP_OK) {
        keep_phase(l);
    }
    return rc;
}

static struct lp_pods_query
one_query(struct log *l)
{
    struct lp_pods_query q = lp_kube_pods_query(l->c);
    q.name = l->c->path.name;
    return q;
}

static lp_rc
find_one(struct log *l, bool *ret_known)
{
    struct lp_pods_query q = one_query(l);
    q.uid = l->ask.uid;
    lp_rc rc = find(l, &q, &l->pods);
    *ret_known = rc == LP_OK && l->pods.n > 0;
    return rc;
}

static void
not_found(struct log *l)
{
    struct lp_kube_call *c = l->c;
    const struct lp_kube_resource *r;
    struct lp_str name;
    if (!l->ask.several) {
        lp_kube_not_found(c, lp_kube_resource(LP_KUBE_PODS), c->path.name);
    } else if (l->ask.ntargets == 1 && lp_kube_log_target(l->ask.targets[0], &r, &name)) {
        lp_kube_not_found(c, r, name);
    } else {
        lp_kube_fault(c, &(struct lp_kube_fault){
                             .code = 404, .message = LP_STR("no such pods found"), .kind = LP_STR("pods")});
    }
}

/* --- which of their streams --- */

/* The newest pod of its name takes lines that say no uid. */
static lp_rc
is_newest(struct log *l, const struct lp_pod *p, bool *ret)
{
    struct lp_pods now;
    *ret = true;
    if (l->ask.uid.n == 0) {
        return LP_OK;
    }
    struct lp_pods_query q = lp_kube_pods_query(l->c);
    q.name = p->name;
    lp_rc rc = find(l, &q, &now);
    *ret = rc == LP_OK && now.n > 0 && lp_str_eq(now.v[0].uid, p->uid);
    lp_pods_clear(&now);
    return rc;
}

/* The log of a pod that had the name before. Of one pod it is then the pod whose log it is. */
static lp_rc
pick_earlier(struct log *l, const struct lp_pod *p, enum lp_kube_picked *ret, struct lp_kube_fault *fault)
{
    struct lp_pods before;
    struct lp_pods_query q = lp_kube_pods_query(l->c);
    q.name = p->name;
    q.uid = p->earlier[0];
    lp_rc rc = find(l, &q, &before);
    if (rc == LP_OK && before.n > 0) {
        *ret = lp_kube_log_pick_earlier(&l->ask, p, &before.v[0], &l->wants, fault);
    }
    lp_pods_clear(&before);
    return rc;
}

static lp_rc
pick_pod(struct log *l, const struct lp_pod *p, enum lp_kube_picked *ret, struct lp_kube_fault *fault)
{
    bool newest;
    lp_rc rc = is_newest(l, p, &newest);
    if (rc != LP_OK) {
        return rc;
    }
    *ret = lp_kube_log_pick(&l->ask, p, newest, &l->wants, fault);
    return *ret == LP_KUBE_PICK_EARLIER ? pick_earlier(l, p, ret, fault) : LP_OK;
}

/* *fault: it has a code where there is one. */
static lp_rc
pick(struct log *l, struct lp_kube_fault *fault)
{
    enum lp_kube_picked picked = LP_KUBE_PICK_NONE;
    lp_rc rc = LP_OK;
    *fault = (struct lp_kube_fault){.code = 0};
    for (size_t i = 0; i < l->pods.n && rc == LP_OK && fault->code == 0; i++) {
        rc = pick_pod(l, &l->pods.v[i], &picked, fault);
    }
    if (rc == LP_OK && fault->code == 0 && l->pods.n > 0 && l->wants.n == 0) {
        *fault = (struct lp_kube_fault){
            .code = 400, .message = LP_STR("no such container, or no such run of it, in these pods")};
    }
    return rc;
}

static int64_t
last_line(const struct log *l)
{
    int64_t last_ns = LP_TIME_MIN;
    for (size_t i = 0; i < l->pods.n; i++) {
        last_ns = LP_MAX(last_ns, l->pods.v[i].last_ns);
    }
    return LP_MIN(last_ns, l->c->eye.now_ns);
}

static lp_rc
open_log(struct log *l)
{
    struct lp_server *s = l->c->s;
    struct lp_podlog_query q = {.store = s->store,
                                .tenant = l->c->tenant,
                                .ns = l->c->path.ns,
                                .wants = l->wants.v,
                                .nwants = l->wants.n,
                                .stream = l->ask.stream,
                                .contains = l->ask.contains,
                                .ncontains = l->ask.ncontains,
                                .regexes = l->ask.regexes,
                                .nregexes = l->ask.nregexes,
                                .from_ns = l->ask.from_ns,
                                .to_ns = l->ask.to_ns,
                                .tail = l->ask.tail,
                                .follow = l->follow,
                                .pool = s->queries,
                                .share = &s->query_memory,
                                .budget_bytes = (size_t)LP_SETTING(&s->set, query_bytes),
                                .page_timeout_ns = LP_SETTING(&s->set, query_timeout),
                                .cancel = lp_http_gone_flag(l->c->req)};
    return l->wants.n > 0 ? lp_podlog_open(&q, &l->log, &l->c->err) : LP_OK;
}

/* --- lines --- */

/* What came with the lines and is not one. */
static void
note_missed(struct log *l)
{
    const char *missed = lp_podlog_missed(l->log);
    if (missed != NULL && l->ask.json) {
        lp_kube_log_warning(&l->c->text, missed);
    } else if (missed != NULL) {
        snprintf(l->warning, sizeof(l->warning), "%s", missed);
    }
}

static void
cut_at_limit(struct log *l)
{
    struct lp_buf *text = &l->c->text;
    text->n = (size_t)LP_MIN((uint64_t)text->n, l->left);
    l->left -= l->left == UINT64_MAX ? 0 : text->n;
}

/* The next page, in c->text. *ret_n: its lines. */
static lp_rc
next_page(struct log *l, size_t *ret_n)
{
    struct lp_kube_call *c = l->c;
    struct lp_found page;
    lp_buf_reset(&c->text);
    *ret_n = 0;
    if (l->log == NULL) {
        return LP_OK;
    }
    if (lp_podlog_live(l->log)) {
        c->turn = (struct lp_turn){.turns = NULL}; /* each look is a question of its own */
    }
    lp_kube_work_begin(c);
    lp_rc rc = lp_podlog_next(l->log, &page, &c->err);
    if (rc == LP_OK) {
        lp_kube_log_lines(&c->text, &l->ask, &page, &l->pods);
        *ret_n = page.n;
        lp_found_clear(&page);
        note_missed(l);
    }
    lp_kube_work_end(c);
    if (rc == LP_OK && c->text.failed) {
        rc = lp_err_set(&c->err, LP_ERR_LIMIT, "a page of the log is over %zu bytes", c->text.limit);
    }
    cut_at_limit(l);
    return rc;
}

static void
note_damage(struct log *l)
{
    const char *first;
    uint64_t n = l->log != NULL ? lp_podlog_damaged(l->log, &first) : 0;
    if (n > 0) {
        snprintf(l->warning, sizeof(l->warning),
                 "%llu damaged parts of the store were left out; the first: %s", (unsigned long long)n,
                 first);
    }
    if (l->warning[0] != 0 && l->ask.json) {
        lp_kube_log_warning(&l->c->text, l->warning);
    }
}

static const char *
type_of(const struct log *l)
{
    return l->ask.json ? "application/x-ndjson" : "text/plain";
}

/* All there is, in one answer. */
static void
reply(struct log *l)
{
    struct lp_kube_call *c = l->c;
    note_damage(l);
    if (l->warning[0] != 0 && !l->ask.json) {
        lp_http_add_header(c->req, "X-Logpond-Warning", lp_str_c(l->warning));
    }
    const char *type = type_of(l);
    lp_kube_end_state(c);
    lp_http_reply_buf(c->req, 200, type, &c->text);
    lp_kube_end(c);
}

/* --- at the client's pace --- */

static lp_rc
send(struct log *l)
{
    struct lp_str rest = lp_buf_view(&l->c->text);
    lp_rc rc = lp_http_gone(l->c->req) ? LP_ERR_CANCELED : LP_OK;
    while (rc == LP_OK && rest.n > 0) {
        rc = lp_http_stream_write(l->c->req, lp_str_sub(rest, 0, WRITE_BYTES));
        rest = lp_str_sub(rest, WRITE_BYTES, rest.n);
    }
    return rc;
}

/* Has another pod the name now? What is known of runs is renewed on the way. */
static void
check_pod(struct log *l)
{
    struct lp_pods now;
    struct lp_pods_query q = one_query(l);
    q.uid = l->ask.uid;
    if (find(l, &q, &now) != LP_OK || now.n == 0) {
        lp_err_clear(&l->c->err);
        lp_pods_clear(&now);
        return;
    }
    const struct lp_str before = l->pods.v[0].uid, uid = now.v[0].uid;
    if (before.n > 0 && uid.n > 0 && !lp_str_eq(before, uid)) {
        l->last = true;
        lp_pods_clear(&now);
        return;
    }
    lp_pods_clear(&l->pods);
    l->pods = now;
}

/* Whether lines may still come. */
static void
check(struct log *l)
{
    int64_t now = lp_mono_ns();
    if (now - l->checked_ns < CHECK_NS) {
        return;
    }
    l->checked_ns = now;
    lp_store_note_tail(l->c->s->store);
    if (now - l->active_ns > LP_SETTING(&l->c->s->set, pod_silence)) {
        l->last = true;
    } else if (!l->ask.several) {
        check_pod(l);
    }
}

/* Until there may be lines, or something else is to be looked after. */
static void
wait_for_lines(struct log *l)
{
    lp_podlog_wait(l->log, lp_mono_ns() + WAIT_NS);
    lp_podlogs_pause(l->c->s->podlogs, l->c->req, l->looked_ns + LOOK_NS);
    check(l);
}

/* c->text is what was found so far. */
static lp_rc
stream(struct log *l)
{
    lp_rc rc = send(l);
    bool more = l->left > 0;
    while (rc == LP_OK && more) {
        size_t n;
        bool last = l->last;
        l->looked_ns = lp_mono_ns();
        rc = next_page(l, &n);
        if (rc == LP_ERR_BUSY && l->follow) { /* memory is short: at the next look, perhaps */
            lp_err_clear(&l->c->err);
            rc = LP_OK;
            n = 0;
        }
        rc = rc == LP_OK ? send(l) : rc;
        l->active_ns = n > 0 ? l->looked_ns : l->active_ns;
        more = l->left > 0 && (n > 0 || (l->follow && !last));
        if (rc == LP_OK && more && n == 0) {
            wait_for_lines(l);
        } else if (rc == LP_OK && more && lp_podlog_live(l->log)) {
            lp_podlogs_pause(l->c->s->podlogs, l->c->req, l->looked_ns + LOOK_NS);
            check(l);
        }
    }
    return rc;
}

static void
stream_end(struct log *l, lp_rc rc)
{
    struct lp_kube_call *c = l->c;
    char warning[sizeof(l->warning)];
    lp_buf_reset(&c->text);
    note_damage(l);
    rc = rc == LP_OK ? send(l) : rc;
    memcpy(warning, l->warning, sizeof(warning));
    lp_kube_end_state(c);
    if (rc == LP_OK) {
        struct lp_pair trailer = {LP_STR("X-Logpond-Warning"), lp_str_c(warning)};
        lp_http_stream_end(c->req, &trailer, warning[0] != 0);
    } else {
        lp_http_stream_abort(c->req);
    }
    lp_kube_end(c);
}

static void
run(struct lp_kube_call *c)
{
    struct log *l = c->state;
    l->checked_ns = lp_mono_ns();
    l->active_ns = l->checked_ns - (c->eye.now_ns - last_line(l));
    lp_rc rc = lp_http_stream_begin(c->req, 200, type_of(l), "X-Logpond-Warning");
    stream_end(l, rc == LP_OK ? stream(l) : rc);
}

/* --- from the beginning --- */

/* Answers, or hands over to a thread. */
static void
answer(struct log *l)
{
    size_t n = 0;
    if (l->follow) {
        lp_store_note_tail(l->c->s->store);
        lp_kube_go_on(l->c, run);
        return;
    }
    lp_rc rc = next_page(l, &n);
    if (rc != LP_OK) {
        lp_kube_fail(l->c, rc);
    } else if (n == 0 || l->left == 0 || lp_podlog_live(l->log)) {
        reply(l);
    } else {
        lp_kube_go_on(l->c, run);
    }
}

static bool
read_ask(struct log *l)
{
    struct lp_kube_call *c = l->c;
    struct lp_kube_fault fault;
    bool several = c->path.what == LP_KUBE_LOG;
    if (!lp_kube_log_params(c->params, c->nparams, c->path.name, several, c->eye.now_ns, &c->ar, &l->ask,
                            &fault)) {
        lp_kube_fault(c, &fault);
        return false;
    }
    lp_rc rc = several ? lp_kube_list_params(c) : LP_OK;
    if (rc != LP_OK) {
        lp_kube_fail(c, rc);
        return false;
    }
    l->left = l->ask.limit_bytes;
    l->follow = l->ask.follow && !l->ask.previous && lp_http_method(c->req) == LP_GET;
    return true;
}

void
lp_kube_log(struct lp_kube_call *c)
{
    struct log *l = lp_calloc(1, sizeof(*l));
    struct lp_kube_fault fault;
    bool known;
    l->c = c;
    l->wants.ar = &c->ar;
    c->state = l;
    c->free_state = log_free;
    if (!read_ask(l)) {
        return;
    }
    lp_rc rc = l->ask.several ? find_several(l, &known) : find_one(l, &known);
    if (rc == LP_OK && !known) {
        not_found(l);
        return;
    }
    rc = rc == LP_OK ? pick(l, &fault) : rc;
    if (rc == LP_OK && fault.code != 0) {
        lp_kube_fault(c, &fault);
        return;
    }
    l->follow = l->follow && lp_kube_alive(&c->eye, last_line(l)); /* else no lines will come */
    rc = rc == LP_OK ? open_log(l) : rc;
    if (rc == LP_OK) {
        answer(l);
    } else {
        lp_kube_fail(c, rc);
    }
}
