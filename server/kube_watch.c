/*
 * kube_watch.c - watching pods: an event for each that appears, restarts, or is gone.
 *
 * About once a second the pods with new lines are looked at. Of a pod no more is remembered than tells
 * whether it has changed, and only while it is alive, or is still found: lists of the pods, old and new, are
 * merged by name. A look sees of a pod what its new lines tell; where an event is due, the whole pod is asked
 * for.
 */
#include "base/clock.h"
#include "base/hash.h"
#include "server/kube.h"
#include "server/podlogs.h"

#define PAGE 500
#define EVERY_NS LP_NS_PER_S
#define SHARE 20 /* of the time, at most one part of so many is spent looking */
#define KNOWN_BYTES (256u << 20)

/* The newest run of a container, digests of both. */
struct mark {
    uint64_t container, run;
};

struct known {
    struct lp_str ns, name, uid;
    struct mark *marks;
    size_t nmarks;
    int64_t last_ns;
    bool gone; /* the client has been told */
};

struct known_list {
    struct known *v; /* by (namespace, name) */
    size_t n, cap;
    struct lp_arena ar;
};

struct watch {
    struct lp_kube_call *c;
    struct known_list lists[2];
    struct known_list *before, *now;
    size_t at;        /* in before: what has been merged */
    int64_t since_ns; /* what is older is known to the client; LP_TIME_MIN: nothing is */
    bool first;
};

static void
watch_free(void *state)
{
    struct watch *w = state;
    lp_arena_clear(&w->lists[0].ar);
    lp_arena_clear(&w->lists[1].ar);
    lp_free(w);
}

static int
order(const struct known *k, const struct lp_pod *p)
{
    int by_ns = lp_str_cmp(k->ns, p->ns);
    return by_ns != 0 ? by_ns : lp_str_cmp(k->name, p->name);
}

/* --- what is remembered --- */

static struct mark
mark_of(const struct lp_pod_container *c)
{
    struct lp_str run = c->runs[c->nruns - 1].id;
    return (struct mark){lp_xxh64(c->name.p, c->name.n), lp_xxh64(run.p, run.n)};
}

static struct mark *
mark_for(struct mark *marks, size_t n, uint64_t container)
{
    for (size_t i = 0; i < n; i++) {
        if (marks[i].container == container) {
            return &marks[i];
        }
    }
    return NULL;
}

/* Has a container come up, or a new run of one? */
static bool
has_news(const struct known *k, const struct lp_pod *p)
{
    for (size_t i = 0; i < p->ncontainers; i++) {
        struct mark m = mark_of(&p->containers[i]);
        const struct mark *was = mark_for(k->marks, k->nmarks, m.container);
        if (was == NULL || was->run != m.run) {
            return true;
        }
    }
    return false;
}

static lp_rc
too_many(struct watch *w)
{
    return lp_err_set(&w->c->err, LP_ERR_LIMIT, "too many pods are alive for a watch; narrow it");
}

static lp_rc
remember(struct watch *w, const struct known *k)
{
    struct known_list *l = w->now;
    struct known *v = lp_arena_grow(&l->ar, l->v, &l->cap, l->n + 1, sizeof(*v));
    if (v == NULL) {
        return too_many(w);
    }
    l->v = v;
    v += l->n;
    *v = *k;
    v->marks = lp_arena_array(&l->ar, k->nmarks, sizeof(*v->marks));
    if (v->marks == NULL || !lp_arena_str(&l->ar, k->ns, &v->ns) ||
        !lp_arena_str(&l->ar, k->name, &v->name) || !lp_arena_str(&l->ar, k->uid, &v->uid)) {
        return too_many(w);
    }
    if (k->nmarks > 0) {
        memcpy(v->marks, k->marks, k->nmarks * sizeof(*v->marks));
    }
    l->n++;
    return LP_OK;
}

/* was: what was known of it before; NULL: nothing. Containers that had no new lines keep their marks. */
static lp_rc
remember_pod(struct watch *w, const struct known *was, const struct lp_pod *p)
{
    size_t before = was != NULL ? was->nmarks : 0;
    struct known k = {.ns = p->ns, .name = p->name, .uid = p->uid, .last_ns = p->last_ns};
    k.gone = !lp_kube_alive(&w->c->eye, p->last_ns);
    k.marks = lp_arena_array(&w->now->ar, before + p->ncontainers, sizeof(*k.marks));
    if (k.marks == NULL) {
        return too_many(w);
    }
    if (before > 0) {
        memcpy(k.marks, was->marks, before * sizeof(*k.marks));
        k.nmarks = before;
    }
    for (size_t i = 0; i < p->ncontainers; i++) {
        struct mark m = mark_of(&p->containers[i]), *at = mark_for(k.marks, k.nmarks, m.container);
        if (at == NULL) {
            at = &k.marks[k.nmarks++];
        }
        *at = m;
    }
    return remember(w, &k);
}

/* --- events --- */

static void
put_event(struct watch *w, const char *type, const struct lp_pod *p)
{
    struct lp_kube_call *c = w->c;
    lp_buf_printf(&c->text, "{\"type\":\"%s\",\"object\":", type);
    if (c->table) {
        lp_kube_table_open(&c->text, LP_KUBE_PODS, c->eye.now_ns, LP_STR_NULL);
        lp_kube_pod_row(&c->text, p, &c->eye, c->include);
        lp_kube_table_close(&c->text);
    } else {
        lp_kube_pod_put(&c->text, p, &c->eye, false);
    }
    lp_buf_c(&c->text, "}\n");
}

/* Where the phase is asked about, a pod that has another one is not there for the client. */
static void
tell(struct watch *w, const char *type, const struct lp_pod *p)
{
    if (lp_kube_list_phase(w->c, p)) {
        put_event(w, type, p);
    }
}

/* The pod's name has another pod, or its phase is not the one that it had. */
static void
tell_change(struct watch *w, const struct known *was, const struct lp_pod *p)
{
    bool gone = !lp_kube_alive(&w->c->eye, p->last_ns);
    if (was->uid.n > 0 && p->uid.n > 0 && !lp_str_eq(was->uid, p->uid)) {
        struct lp_pod old = *p;
        old.uid = was->uid;
        put_event(w, "DELETED", &old);
        tell(w, "ADDED", p);
    } else if (gone != was->gone && !lp_kube_list_phase(w->c, p)) {
        put_event(w, "DELETED", p);
    } else {
        tell(w, "MODIFIED", p);
    }
}

/* A pod that is not in the list; in the first look the client knows those that are older. */
static void
tell_unknown(struct watch *w, const struct lp_pod *p)
{
    int64_t restarted_ns;
    struct lp_kube_eye then = {w->since_ns, w->c->eye.silence_ns};
    (void)lp_kube_restarts(p, &restarted_ns);
    bool went = !lp_kube_alive(&w->c->eye, p->last_ns) && lp_kube_alive(&then, p->last_ns);
    if (p->first_ns > w->since_ns) {
        tell(w, "ADDED", p);
    } else if (!w->first || restarted_ns > w->since_ns || went) {
        tell(w, "MODIFIED", p);
    }
}

/* --- one look --- */

/* The whole pod; ret->n == 0: it is no more. */
static lp_rc
find_whole(struct watch *w, struct lp_str ns, struct lp_str name, struct lp_pods *ret)
{
    struct lp_pods_query q = lp_kube_pods_query(w->c);
    q.ns = ns;
    q.name = name;
    return lp_pods_find(&q, ret, &w->c->err);
}

/* A pod that the look has not found: silent for long, perhaps gone. */
static lp_rc
pass_silent(struct watch *w, const struct known *was)
{
    struct lp_pods pods;
    if (was->gone) {
        return LP_OK;
    }
    if (lp_kube_alive(&w->c->eye, was->last_ns)) {
        return remember(w, was);
    }
    lp_rc rc = find_whole(w, was->ns, was->name, &pods);
    if (rc == LP_OK && pods.n > 0) {
        const struct lp_pod *p = &pods.v[0];
        bool alive = lp_kube_alive(&w->c->eye, p->last_ns);
        if (!alive) {
            tell_change(w, was, p);
        }
        rc = alive ? remember_pod(w, was, p) : LP_OK;
    }
    lp_pods_clear(&pods);
    return rc;
}

static bool
is_changed(const struct watch *w, const struct known *was, const struct lp_pod *p)
{
    bool other = was->uid.n > 0 && p->uid.n > 0 && !lp_str_eq(was->uid, p->uid);
    return other || has_news(was, p) || was->gone == lp_kube_alive(&w->c->eye, p->last_ns);
}

/* Whether an event may be due for what the look has found. */
static bool
may_tell(const struct watch *w, const struct known *was, const struct lp_pod *p)
{
    if (was != NULL) {
        return is_changed(w, was, p);
    }
    bool news = !w->first || p->first_ns > w->since_ns || !lp_kube_alive(&w->c->eye, p->last_ns);
    for (size_t i = 0; i < p->ncontainers && !news; i++) {
        const struct lp_pod_container *c = &p->containers[i];
        news = c->runs[c->nruns - 1].first_ns > w->since_ns;
    }
    return news;
}

static lp_rc
pass_changed(struct watch *w, const struct known *was, const struct lp_pod *p)
{
    struct lp_pods pods;
    lp_rc rc = find_whole(w, p->ns, p->name, &pods);
    if (rc == LP_OK && pods.n > 0) {
        const struct lp_pod *whole = &pods.v[0];
        if (was == NULL) {
            tell_unknown(w, whole);
        } else if (is_changed(w, was, whole)) {
            tell_change(w, was, whole);
        }
        rc = remember_pod(w, was, whole);
    }
    lp_pods_clear(&pods);
    return rc;
}

static lp_rc
pass_pod(struct watch *w, const struct lp_pod *p)
{
    const struct known *was = w->at < w->before->n ? &w->before->v[w->at] : NULL;
    was = was != NULL && order(was, p) == 0 ? was : NULL;
    w->at += was != NULL;
    if (w->first && w->since_ns == LP_TIME_MIN) { /* everything was looked at */
        tell_unknown(w, p);
        return lp_kube_alive(&w->c->eye, p->last_ns) ? remember_pod(w, NULL, p) : LP_OK;
    }
    return may_tell(w, was, p) ? pass_changed(w, was, p) : remember_pod(w, was, p);
}

/* The pods before p that were known (p NULL: all that are left). */
static lp_rc
pass_before(struct watch *w, const struct lp_pod *p)
{
    lp_rc rc = LP_OK;
    while (rc == LP_OK && w->at < w->before->n && (p == NULL || order(&w->before->v[w->at], p) < 0)) {
        rc = pass_silent(w, &w->before->v[w->at++]);
    }
    return rc;
}

static lp_rc
send(struct watch *w)
{
    struct lp_kube_call *c = w->c;
    lp_rc rc = c->text.failed ? LP_ERR_LIMIT : lp_http_gone(c->req) ? LP_ERR_CANCELED : LP_OK;
    if (rc == LP_OK && c->text.n > 0) {
        rc = lp_http_stream_write(c->req, lp_buf_view(&c->text));
    }
    lp_buf_reset(&c->text);
    return rc;
}

/* A page of pods with lines from from_ns on. */
static lp_rc
look_page(struct watch *w, struct lp_pods_query *q, struct lp_arena *place, bool *ret_more)
{
    struct lp_kube_call *c = w->c;
    struct lp_pods pods;
    lp_kube_work_begin(c);
    q->deadline_ns = lp_mono_ns() + LP_SETTING(&c->s->set, query_timeout);
    lp_rc rc = lp_pods_find(q, &pods, &c->err);
    for (size_t i = 0; i < pods.n && rc == LP_OK; i++) {
        rc = pass_before(w, &pods.v[i]);
        rc = rc == LP_OK ? pass_pod(w, &pods.v[i]) : rc;
    }
    lp_kube_work_end(c);
    *ret_more = rc == LP_OK && pods.more;
    lp_arena_reset(place);
    if (*ret_more && (!lp_arena_str(place, pods.next_ns, &q->after_ns) ||
                      !lp_arena_str(place, pods.next_name, &q->after_name))) {
        rc = LP_ERR_LIMIT;
    }
    lp_pods_clear(&pods);
    return rc == LP_OK ? send(w) : rc;
}

static lp_rc
look(struct watch *w, int64_t from_ns)
{
    struct lp_pods_query q = lp_kube_list_query(w->c);
    struct lp_arena place;
    bool more = true;
    lp_rc rc = LP_OK;
    w->c->turn = (struct lp_turn){.turns = NULL}; /* each look is a question of its own */
    q.from_ns = from_ns;
    q.limit = PAGE;
    w->at = 0;
    lp_arena_init(&place, 1 << 20, 0);
    while (rc == LP_OK && more) {
        rc = look_page(w, &q, &place, &more);
    }
    lp_arena_clear(&place);
    if (rc == LP_OK) {
        lp_kube_work_begin(w->c);
        rc = pass_before(w, NULL);
        lp_kube_work_end(w->c);
    }
    rc = rc == LP_OK ? send(w) : rc;
    struct known_list *before = w->before;
    w->before = w->now;
    w->now = before;
    lp_arena_clear(&before->ar);
    *before = (struct known_list){.ar = before->ar};
    w->first = false;
    return rc;
}

/* --- the watch --- */

/* Of the first look: everything, or what may have changed since the client looked. */
static int64_t
first_from(const struct watch *w)
{
    int64_t ns;
    if (w->since_ns == LP_TIME_MIN) {
        return LP_TIME_MIN;
    }
    return __builtin_sub_overflow(LP_MIN(w->since_ns, w->c->eye.now_ns), w->c->eye.silence_ns, &ns)
               ? LP_TIME_MIN
               : ns;
}

static lp_rc
watch(struct watch *w)
{
    struct lp_kube_call *c = w->c;
    int64_t end_ns = lp_mono_ns() + c->list.timeout_ns, from_ns = first_from(w);
    lp_rc rc = LP_OK;
    while (rc == LP_OK && lp_mono_ns() < end_ns) {
        int64_t begin_ns = lp_mono_ns(), looked_ns = lp_now_ns();
        c->eye = (struct lp_kube_eye){looked_ns, LP_SETTING(&c->s->set, pod_silence)};
        rc = look(w, from_ns);
        from_ns = looked_ns - LP_KUBE_LATE_NS;
        int64_t pause_ns = LP_MAX(EVERY_NS, SHARE * (lp_mono_ns() - begin_ns));
        if (rc == LP_OK) {
            lp_podlogs_pause(c->s->podlogs, c->req, LP_MIN(end_ns, begin_ns + pause_ns));
            rc = lp_http_gone(c->req) ? LP_ERR_CANCELED : LP_OK;
        }
    }
    return rc;
}

/* An error ends a watch as an event of its own. */
static void
tell_error(struct lp_kube_call *c)
{
    struct lp_kube_fault f = {.code = 500, .message = lp_str_c(c->err.text)};
    lp_buf_reset(&c->text);
    lp_buf_c(&c->text, "{\"type\":\"ERROR\",\"object\":");
    lp_kube_status_put(&c->text, &f);
    c->text.n--; /* its newline */
    lp_buf_c(&c->text, "}\n");
    (void)!lp_http_stream_write(c->req, lp_buf_view(&c->text));
}

static void
finish(struct lp_kube_call *c, lp_rc rc)
{
    if (rc != LP_OK && rc != LP_ERR_CANCELED && c->err.text[0] != 0) {
        tell_error(c);
        rc = LP_OK;
    }
    lp_kube_end_state(c);
    if (rc == LP_OK) {
        lp_http_stream_end(c->req, NULL, 0);
    } else {
        lp_http_stream_abort(c->req);
    }
    lp_kube_end(c);
}

void
lp_kube_watch_pods(struct lp_kube_call *c)
{
    struct watch *w = lp_calloc(1, sizeof(*w));
    w->c = c;
    w->since_ns = c->list.since_ns > 0 ? c->list.since_ns : LP_TIME_MIN;
    w->first = true;
    w->before = &w->lists[0];
    w->now = &w->lists[1];
    lp_arena_init(&w->lists[0].ar, KNOWN_BYTES, 0);
    lp_arena_init(&w->lists[1].ar, KNOWN_BYTES, 0);
    c->state = w;
    c->free_state = watch_free;
    lp_rc rc = lp_http_stream_begin(c->req, 200, "application/json", NULL);
    finish(c, rc == LP_OK ? watch(w) : rc);
}

void
lp_kube_watch_nothing(struct lp_kube_call *c)
{
    int64_t end_ns = lp_mono_ns() + c->list.timeout_ns;
    lp_rc rc = lp_http_stream_begin(c->req, 200, "application/json", NULL);
    if (rc == LP_OK) {
        lp_podlogs_pause(c->s->podlogs, c->req, end_ns);
    }
    finish(c, lp_http_gone(c->req) ? LP_ERR_CANCELED : rc);
}
