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
#include "server/kube_log_find.h"
#include "server/podlogs.h"

#define LOOK_NS (100 * LP_NS_PER_MS)
#define WAIT_NS (500 * LP_NS_PER_MS) /* in which it is noticed that a client has gone */
#define CHECK_NS (2 * LP_NS_PER_S)
#define RENEW_NS LP_NS_PER_S
#define WRITE_BYTES (64u << 10)
#define UNSENT_MAX (256u << 10)      /* there may be a thousand of these */
#define QUICK_NS (50 * LP_NS_PER_MS) /* a client that takes nothing for so long is slow */
#define PARTS_MAX 64

/* Pods that are read together. More come while several are followed: new ones, as they appear. */
struct part {
    struct lp_kube_log_pods pods;
    struct lp_podlog *log; /* NULL: there can be no lines */
};

struct log {
    struct lp_kube_call *c;
    struct lp_kube_log_ask ask;
    struct part parts[PARTS_MAX];
    size_t nparts;
    bool follow;
    bool last;     /* followed: what there is now is all there will be */
    uint64_t left; /* bytes that may still be sent */
    int64_t active_ns, looked_ns, checked_ns, renewed_ns; /* lp_mono_ns clock */
    int64_t found_ns;                                     /* wall clock: when new pods were looked for */
    char warning[LP_ERR_TEXT_BYTES + 64];
};

/* Before the request is answered: the logs look at whether the client has gone. */
static void
log_free(void *state)
{
    struct log *l = state;
    for (size_t i = 0; i < l->nparts; i++) {
        lp_podlog_close(l->parts[i].log);
        lp_kube_log_pods_clear(&l->parts[i].pods);
    }
    lp_free(l);
}

static lp_rc
open_log(struct log *l, const struct lp_kube_wants *wants, size_t tail, struct lp_podlog **ret)
{
    struct lp_server *s = l->c->s;
    struct lp_podlog_query q = {.store = s->store,
                                .tenant = l->c->tenant,
                                .ns = l->c->path.ns,
                                .wants = wants->v,
                                .nwants = wants->n,
                                .stream = l->ask.stream,
                                .contains = l->ask.contains,
                                .ncontains = l->ask.ncontains,
                                .regexes = l->ask.regexes,
                                .nregexes = l->ask.nregexes,
                                .from_ns = l->ask.from_ns,
                                .to_ns = l->ask.to_ns,
                                .tail = tail,
                                .follow = l->follow,
                                .pool = s->queries,
                                .share = &s->query_memory,
                                .budget_bytes = (size_t)LP_SETTING(&s->set, query_bytes),
                                .page_timeout_ns = LP_SETTING(&s->set, query_timeout),
                                .cancel = lp_http_gone_flag(l->c->req)};
    return wants->n > 0 ? lp_podlog_open(&q, ret, &l->c->err) : LP_OK;
}

/* --- lines --- */

/* What came with the lines and is not one. */
static void
note_missed(struct log *l, struct part *p)
{
    const char *missed = lp_podlog_missed(p->log);
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

static void
put_lines(struct log *l, struct part *p, const struct lp_found *page)
{
    int64_t now = lp_mono_ns();
    if (l->ask.json && !lp_kube_log_knows(page, &p->pods.found) && now - l->renewed_ns > RENEW_NS) {
        l->renewed_ns = now;
        lp_kube_log_renew(l->c, &p->pods);
    }
    lp_kube_log_lines(&l->c->text, &l->ask, page, &p->pods.found);
}

/* The next page of a part, appended to c->text. *ret_n: its lines. */
static lp_rc
part_page(struct log *l, struct part *p, size_t *ret_n)
{
    struct lp_kube_call *c = l->c;
    struct lp_found page;
    *ret_n = 0;
    if (p->log == NULL) {
        return LP_OK;
    }
    if (lp_podlog_live(p->log)) {
        c->turn = (struct lp_turn){.turns = NULL}; /* each look is a question of its own */
    }
    lp_kube_work_begin(c);
    lp_rc rc = lp_podlog_next(p->log, &page, &c->err);
    if (rc == LP_OK) {
        put_lines(l, p, &page);
        *ret_n = page.n;
        lp_found_clear(&page);
        note_missed(l, p);
    }
    lp_kube_work_end(c);
    return rc;
}

/* The next page of all parts, in c->text. *ret_n: its lines. */
static lp_rc
next_page(struct log *l, size_t *ret_n)
{
    struct lp_kube_call *c = l->c;
    lp_rc rc = LP_OK;
    lp_buf_reset(&c->text);
    *ret_n = 0;
    for (size_t i = 0; i < l->nparts && rc == LP_OK; i++) {
        size_t n;
        rc = part_page(l, &l->parts[i], &n);
        *ret_n += n;
    }
    if (rc == LP_OK && c->text.failed) {
        rc = lp_err_set(&c->err, LP_ERR_LIMIT, "a page of the log is over %zu bytes", c->text.limit);
    }
    cut_at_limit(l);
    return rc;
}

/* The past has been read. */
static bool
is_live(const struct log *l)
{
    bool live = true;
    for (size_t i = 0; i < l->nparts; i++) {
        live = live && (l->parts[i].log == NULL || lp_podlog_live(l->parts[i].log));
    }
    return live;
}

static void
note_damage(struct log *l)
{
    for (size_t i = 0; i < l->nparts; i++) {
        const char *first;
        uint64_t n = l->parts[i].log != NULL ? lp_podlog_damaged(l->parts[i].log, &first) : 0;
        if (n > 0) {
            snprintf(l->warning, sizeof(l->warning),
                     "%llu damaged parts of the store were left out; the first: %s", (unsigned long long)n,
                     first);
        }
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

/* The client is slow: as little as possible is held while it is waited for. */
static void
rest_all(struct log *l)
{
    for (size_t i = 0; i < l->nparts; i++) {
        if (l->parts[i].log != NULL) {
            lp_podlog_rest(l->parts[i].log);
        }
    }
}

static lp_rc
send(struct log *l)
{
    struct lp_str rest = lp_buf_view(&l->c->text);
    lp_rc rc = lp_http_gone(l->c->req) ? LP_ERR_CANCELED : LP_OK;
    while (rc == LP_OK && rest.n > 0) {
        if (!lp_http_stream_room(l->c->req, lp_mono_ns() + QUICK_NS)) {
            rest_all(l);
        }
        rc = lp_http_stream_write(l->c->req, lp_str_sub(rest, 0, WRITE_BYTES));
        rest = lp_str_sub(rest, WRITE_BYTES, rest.n);
    }
    return rc;
}

/* Has another pod the name now? */
static void
check_one(struct log *l)
{
    struct lp_pods now;
    const struct lp_str before = l->parts[0].pods.found.v[0].uid;
    struct lp_pods_query q = lp_kube_pods_query(l->c);
    q.name = l->c->path.name;
    lp_kube_work_begin(l->c);
    lp_rc rc = l->ask.uid.n == 0 ? lp_pods_find(&q, &now, &l->c->err) : LP_ERR_NOT_FOUND;
    lp_kube_work_end(l->c);
    if (rc == LP_OK && now.n > 0 && before.n > 0 && now.v[0].uid.n > 0) {
        l->last = !lp_str_eq(before, now.v[0].uid);
    }
    if (l->ask.uid.n == 0) {
        lp_pods_clear(&now);
    }
    lp_err_clear(&l->c->err);
}

static bool
is_followed(void *arg, const struct lp_pod *p)
{
    const struct log *l = arg;
    for (size_t i = 0; i < l->nparts; i++) {
        if (lp_kube_log_has(&l->parts[i].pods.found, p->name, p->uid)) {
            return true;
        }
    }
    return false;
}

/* New pods become a part, from their first lines on. */
static lp_rc
add_part(struct log *l, struct lp_kube_log_pods *pods)
{
    struct lp_kube_fault fault;
    struct lp_podlog *log = NULL;
    struct lp_arena ar;
    struct lp_kube_wants wants = {.ar = &ar};
    lp_arena_init(&ar, 4 << 20, 0);
    lp_rc rc = lp_kube_log_wants(l->c, &l->ask, pods, &wants, &fault);
    rc = rc == LP_OK ? open_log(l, &wants, LP_PODLOG_ALL, &log) : rc;
    lp_arena_clear(&ar);
    if (rc == LP_OK) {
        l->parts[l->nparts++] = (struct part){*pods, log};
    }
    return rc;
}

static void
check_several(struct log *l)
{
    struct lp_kube_log_pods pods;
    bool known;
    int64_t now_ns = lp_now_ns();
    struct lp_kube_log_find f = {
        .c = l->c, .ask = &l->ask, .from_ns = l->found_ns - LP_KUBE_LATE_NS, .except = is_followed, .arg = l};
    lp_rc rc = lp_kube_log_find(&f, &pods, &known);
    if (rc == LP_OK && pods.found.n > 0 && l->nparts == PARTS_MAX) {
        snprintf(l->warning, sizeof(l->warning), "the newest pods were not followed: too many had come up");
    } else if (rc == LP_OK && pods.found.n > 0 && add_part(l, &pods) == LP_OK) {
        pods = (struct lp_kube_log_pods){.found = {.n = 0}}; /* the part's */
    }
    l->found_ns = rc == LP_OK ? now_ns : l->found_ns; /* else they are looked for again */
    lp_kube_log_pods_clear(&pods);
    lp_err_clear(&l->c->err);
}

/* Whether lines may still come, and from where. */
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
    } else if (l->ask.several) {
        check_several(l);
    } else {
        check_one(l);
    }
}

/* Until there may be lines, or something else is to be looked after. */
static void
wait_for_lines(struct log *l)
{
    lp_podlog_wait(l->parts[0].log, lp_mono_ns() + WAIT_NS);
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
        } else if (rc == LP_OK && more && is_live(l)) {
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
    l->found_ns = c->eye.now_ns;
    l->active_ns =
        l->checked_ns - (c->eye.now_ns - LP_MIN(lp_kube_log_last(&l->parts[0].pods), c->eye.now_ns));
    lp_rc rc = lp_http_stream_begin(c->req, 200, type_of(l), "X-Logpond-Warning");
    lp_http_stream_limit(c->req, UNSENT_MAX);
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
    } else if (l->left == 0 || is_live(l)) {
        reply(l);
    } else {
        lp_kube_go_on(l->c, run);
    }
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

/* Without a pod that is alive, and of a run that others came after, no lines will come. */
static bool
may_go_on(const struct log *l, const struct lp_kube_wants *wants)
{
    const struct lp_kube_log_pods *pods = &l->parts[0].pods;
    if (l->ask.one_run && !l->ask.several && !lp_kube_log_is_newest(&pods->found.v[0], &wants->v[0])) {
        return false;
    }
    return lp_kube_alive(&l->c->eye, lp_kube_log_last(pods));
}

/* The pods are known; they may have no lines in the range, and then none are picked. */
static void
open_and_answer(struct log *l)
{
    struct lp_kube_call *c = l->c;
    struct part *p = &l->parts[0];
    struct lp_kube_wants wants = {.ar = &c->ar};
    struct lp_kube_fault fault;
    lp_rc rc = lp_kube_log_wants(c, &l->ask, &p->pods, &wants, &fault);
    if (rc == LP_OK && fault.code == 0 && p->pods.found.n > 0 && wants.n == 0) {
        fault = (struct lp_kube_fault){
            .code = 400, .message = LP_STR("no such container, or no such run of it, in these pods")};
    }
    if (rc == LP_OK && fault.code != 0) {
        lp_kube_fault(c, &fault);
        return;
    }
    l->follow = l->follow && wants.n > 0 && may_go_on(l, &wants);
    rc = rc == LP_OK ? open_log(l, &wants, l->ask.tail, &p->log) : rc;
    if (rc == LP_OK) {
        answer(l);
    } else {
        lp_kube_fail(c, rc);
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
    bool known;
    l->c = c;
    l->nparts = 1;
    c->state = l;
    c->free_state = log_free;
    if (!read_ask(l)) {
        return;
    }
    struct lp_kube_log_find f = {.c = c, .ask = &l->ask, .from_ns = l->ask.from_ns};
    if (l->follow) { /* pods that are alive, too, though they have no lines since then */
        f.from_ns = LP_MIN(f.from_ns, c->eye.now_ns - c->eye.silence_ns);
    }
    lp_rc rc = lp_kube_log_find(&f, &l->parts[0].pods, &known);
    if (rc != LP_OK) {
        lp_kube_fail(c, rc);
    } else if (known) {
        open_and_answer(l);
    } else {
        not_found(l);
    }
}
