/*
 * kube_log_pick.c - which streams an ask wants of a pod.
 *
 * A log is that of the newest run of a container, and followed it goes on with whatever runs next in the same
 * pod: it is that of all runs but the earlier ones.
 */
#include <stdarg.h>
#include <stdio.h>

#include "server/kube_log.h"

#define NAMES_BYTES 2000

static enum lp_kube_picked LP_PRINTF(3, 4)
    bad(struct lp_arena *ar, struct lp_kube_fault *fault, const char *fmt, ...)
{
    char room[NAMES_BYTES + 1000];
    struct lp_str text;
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(room, sizeof(room), fmt, ap);
    va_end(ap);
    if (!lp_arena_str(ar, lp_str_c(room), &text)) {
        text = LP_STR("there is no such container");
    }
    *fault = (struct lp_kube_fault){.code = 400, .message = text};
    return LP_KUBE_PICK_FAULT;
}

static const struct lp_pod_container *
container_named(const struct lp_pod *p, struct lp_str name)
{
    for (size_t i = 0; i < p->ncontainers; i++) {
        if (lp_str_eq(p->containers[i].name, name)) {
            return &p->containers[i];
        }
    }
    return NULL;
}

/* The one that is meant where none is named; NULL: that is not told. */
static const struct lp_pod_container *
default_container(const struct lp_pod *p)
{
    const struct lp_pod_container *c =
        p->default_container.n > 0 ? container_named(p, p->default_container) : NULL;
    return c != NULL ? c : p->ncontainers == 1 ? &p->containers[0] : NULL;
}

static enum lp_kube_picked
bad_container(const struct lp_kube_log_ask *ask, const struct lp_pod *p, struct lp_arena *ar,
              struct lp_kube_fault *fault)
{
    if (ask->container.n > 0) {
        return bad(ar, fault, "container " LP_STR_FMT " is not valid for pod " LP_STR_FMT,
                   LP_STR_ARG(lp_str_sub(ask->container, 0, 253)), LP_STR_ARG(lp_str_sub(p->name, 0, 253)));
    }
    struct lp_buf names;
    lp_buf_init(&names, NAMES_BYTES);
    for (size_t i = 0; i < p->ncontainers; i++) {
        lp_buf_c(&names, i > 0 ? " " : "");
        lp_buf_str(&names, p->containers[i].name);
    }
    enum lp_kube_picked picked =
        bad(ar, fault,
            "a container name must be specified for pod " LP_STR_FMT ", choose one of: [" LP_STR_FMT "]",
            LP_STR_ARG(lp_str_sub(p->name, 0, 253)), LP_STR_ARG(lp_buf_view(&names)));
    lp_buf_clear(&names);
    return picked;
}

static enum lp_kube_picked
too_many(struct lp_kube_fault *fault)
{
    *fault = (struct lp_kube_fault){.code = 400,
                                    .message = LP_STR("these are too many containers or runs at once")};
    return LP_KUBE_PICK_FAULT;
}

static enum lp_kube_picked
add(struct lp_kube_wants *w, struct lp_podlog_want want, struct lp_kube_fault *fault)
{
    struct lp_podlog_want *v = lp_arena_grow(w->ar, w->v, &w->cap, w->n + 1, sizeof(*v));
    if (v == NULL) {
        return too_many(fault);
    }
    v[w->n++] = want;
    w->v = v;
    return LP_KUBE_PICKED;
}

/* A run that is not there: of one pod a fault, of several simply none. */
static enum lp_kube_picked
no_run(const struct lp_kube_log_ask *ask, const struct lp_pod *p, const struct lp_pod_container *c,
       struct lp_arena *ar, struct lp_kube_fault *fault)
{
    struct lp_str name = lp_str_sub(c->name, 0, 253), pod = lp_str_sub(p->name, 0, 253);
    if (ask->several) {
        return LP_KUBE_PICK_NONE;
    }
    if (ask->previous) {
        return bad(ar, fault,
                   "previous terminated container \"" LP_STR_FMT "\" in pod \"" LP_STR_FMT "\" not found",
                   LP_STR_ARG(name), LP_STR_ARG(pod));
    }
    return bad(ar, fault, "restart %u of container \"" LP_STR_FMT "\" in pod \"" LP_STR_FMT "\" not found",
               ask->run, LP_STR_ARG(name), LP_STR_ARG(pod));
}

static const struct lp_pod_run *
run_numbered(const struct lp_pod_container *c, uint32_t number)
{
    for (size_t i = 0; i < c->nruns; i++) {
        if (c->runs[i].number == number) {
            return &c->runs[i];
        }
    }
    return NULL;
}

/* What runs now, and what will run next. */
static enum lp_kube_picked
pick_newest(struct lp_podlog_want want, const struct lp_pod_container *c, struct lp_kube_wants *w,
            struct lp_kube_fault *fault)
{
    size_t n = c->nruns - 1;
    struct lp_str *ids = lp_arena_array(w->ar, n, sizeof(*ids));
    if (ids == NULL) {
        return too_many(fault);
    }
    for (size_t i = 0; i < n; i++) {
        ids[i] = c->runs[i].id;
    }
    want.not_runs = ids;
    want.nnot_runs = n;
    return add(w, want, fault);
}

static enum lp_kube_picked
pick_container(const struct lp_kube_log_ask *ask, const struct lp_pod *p, const struct lp_pod_container *c,
               bool newest, struct lp_kube_wants *w, struct lp_kube_fault *fault)
{
    struct lp_podlog_want want = {.pod = p->name, .container = c->name, .uid = p->uid, .uid_or_none = newest};
    const struct lp_pod_run *run = NULL;
    if (ask->all_runs) {
        return add(w, want, fault);
    }
    if (!ask->previous && !ask->one_run) {
        return pick_newest(want, c, w, fault);
    }
    if (ask->one_run) {
        run = run_numbered(c, ask->run);
    } else if (c->nruns > 1) {
        run = &c->runs[c->nruns - 2];
    } else if (p->nearlier > 0) {
        return LP_KUBE_PICK_EARLIER;
    }
    if (run == NULL) {
        return no_run(ask, p, c, w->ar, fault);
    }
    want.run = run->id;
    return add(w, want, fault);
}

/* Every container, or the one that is named. */
static enum lp_kube_picked
pick_several(const struct lp_kube_log_ask *ask, const struct lp_pod *p, bool newest, struct lp_kube_wants *w,
             struct lp_kube_fault *fault)
{
    enum lp_kube_picked all = LP_KUBE_PICK_NONE;
    for (size_t i = 0; i < p->ncontainers && all != LP_KUBE_PICK_FAULT; i++) {
        const struct lp_pod_container *c = &p->containers[i];
        if (ask->container.n == 0 || lp_str_eq(ask->container, c->name)) {
            enum lp_kube_picked one = pick_container(ask, p, c, newest, w, fault);
            all = LP_MAX(one, all);
        }
    }
    return all;
}

enum lp_kube_picked
lp_kube_log_pick(const struct lp_kube_log_ask *ask, const struct lp_pod *p, bool newest,
                 struct lp_kube_wants *wants, struct lp_kube_fault *fault)
{
    if (ask->several) {
        return pick_several(ask, p, newest, wants, fault);
    }
    const struct lp_pod_container *c =
        ask->container.n > 0 ? container_named(p, ask->container) : default_container(p);
    return c != NULL ? pick_container(ask, p, c, newest, wants, fault)
                     : bad_container(ask, p, wants->ar, fault);
}

/* The last run of a container in the earlier pod. */
static enum lp_kube_picked
pick_last(const struct lp_kube_log_ask *ask, const struct lp_pod *now, const struct lp_pod_container *c,
          const struct lp_pod *earlier, struct lp_kube_wants *w, struct lp_kube_fault *fault)
{
    const struct lp_pod_container *was = container_named(earlier, c->name);
    if (was == NULL) {
        return no_run(ask, now, c, w->ar, fault);
    }
    struct lp_podlog_want want = {.pod = now->name, .container = c->name};
    if (!lp_arena_str(w->ar, earlier->uid, &want.uid) ||
        !lp_arena_str(w->ar, was->runs[was->nruns - 1].id, &want.run)) {
        return too_many(fault);
    }
    return add(w, want, fault);
}

bool
lp_kube_log_is_newest(const struct lp_pod *p, const struct lp_podlog_want *want)
{
    const struct lp_pod_container *c = container_named(p, want->container);
    return c != NULL && lp_str_eq(c->runs[c->nruns - 1].id, want->run);
}

enum lp_kube_picked
lp_kube_log_pick_earlier(const struct lp_kube_log_ask *ask, const struct lp_pod *now,
                         const struct lp_pod *earlier, struct lp_kube_wants *wants,
                         struct lp_kube_fault *fault)
{
    const struct lp_pod_container *one = ask->container.n > 0 ? container_named(now, ask->container)
                                         : ask->several       ? NULL
                                                              : default_container(now);
    enum lp_kube_picked all = LP_KUBE_PICK_NONE;
    for (size_t i = 0; i < now->ncontainers && all != LP_KUBE_PICK_FAULT; i++) {
        const struct lp_pod_container *c = &now->containers[i];
        bool meant = one == c || (one == NULL && ask->container.n == 0);
        if (meant && c->nruns == 1) { /* of others the run before is in the pod itself */
            enum lp_kube_picked picked = pick_last(ask, now, c, earlier, wants, fault);
            all = LP_MAX(picked, all);
        }
    }
    return all;
}
