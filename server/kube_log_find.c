/*
 * kube_log_find.c - see kube_log_find.h.
 */
#include "server/kube_log_find.h"

#include "base/clock.h"

#define PODS_MAX LP_PODS_PAGE_MAX

void
lp_kube_log_pods_clear(struct lp_kube_log_pods *p)
{
    lp_pods_clear(&p->found);
    lp_pods_clear(&p->whole);
}

int64_t
lp_kube_log_last(const struct lp_kube_log_pods *p)
{
    int64_t last_ns = LP_TIME_MIN;
    for (size_t i = 0; i < p->found.n; i++) {
        last_ns = LP_MAX(last_ns, p->found.v[i].last_ns);
    }
    return last_ns;
}

static lp_rc
find(struct lp_kube_call *c, const struct lp_pods_query *q, struct lp_pods *ret)
{
    lp_kube_work_begin(c);
    lp_rc rc = lp_pods_find(q, ret, &c->err);
    lp_kube_work_end(c);
    return rc;
}

/* --- one --- */

static lp_rc
find_one(struct lp_kube_log_find *f, struct lp_kube_log_pods *ret, bool *ret_known)
{
    struct lp_pods_query q = lp_kube_pods_query(f->c);
    q.name = f->c->path.name;
    q.uid = f->ask->uid;
    lp_rc rc = find(f->c, &q, &ret->found);
    *ret_known = rc == LP_OK && ret->found.n > 0;
    return rc;
}

/* --- several --- */

static bool
wants(void *arg, const struct lp_pod *p)
{
    const struct lp_kube_log_find *f = arg;
    return (f->ask->uid.n == 0 || lp_str_eq(f->ask->uid, p->uid)) && lp_kube_log_targeted(f->ask, p) &&
           lp_kube_list_wants(&f->c->list, p) && !(f->except != NULL && f->except(f->arg, p));
}

static struct lp_pods_query
several_query(struct lp_kube_log_find *f)
{
    struct lp_pods_query q = lp_kube_list_query(f->c);
    const struct lp_kube_log_ask *ask = f->ask;
    const struct lp_kube_resource *r;
    struct lp_str name;
    if (ask->ntargets == 1 && lp_kube_log_target(ask->targets[0], &r, &name) && r->id == LP_KUBE_PODS) {
        q.name = name;
        q.uid = ask->uid;
    }
    q.wants = wants;
    q.arg = f;
    q.limit = PODS_MAX;
    q.from_ns = f->from_ns;
    q.to_ns = ask->to_ns;
    return q;
}

/* Nothing was found in the range: are there such pods at all? */
static lp_rc
is_known(struct lp_kube_log_find *f, struct lp_pods_query q, bool *ret)
{
    struct lp_pods any;
    q.from_ns = LP_TIME_MIN;
    q.to_ns = LP_TIME_MAX;
    q.limit = 1;
    lp_rc rc = find(f->c, &q, &any);
    *ret = rc == LP_OK && any.n > 0;
    lp_pods_clear(&any);
    return rc;
}

static bool
is_found(void *arg, const struct lp_pod *p)
{
    return lp_pods_named(arg, p->name) != NULL;
}

/* What all names begin with: those of the first and the last have it in common. */
static struct lp_str
common_prefix(const struct lp_pods *pods)
{
    struct lp_str a = pods->v[0].name, b = pods->v[pods->n - 1].name;
    size_t n = 0;
    while (n < a.n && n < b.n && a.p[n] == b.p[n]) {
        n++;
    }
    return lp_str_sub(a, 0, n);
}

/* All that is known of the pods of these names. */
static lp_rc
find_whole(struct lp_kube_call *c, struct lp_pods *named, struct lp_pods *ret)
{
    struct lp_pods_query q = lp_kube_pods_query(c);
    struct lp_str prefix = common_prefix(named);
    if (named->n == 1) {
        q.name = prefix;
        q.uid = named->v[0].uid;
    } else { /* before all of the names, but not far */
        q.after_ns = q.ns;
        q.after_name = lp_str_sub(prefix, 0, LP_MAX(prefix.n, (size_t)1) - 1);
        q.prefix = prefix;
    }
    q.wants = is_found;
    q.arg = named;
    q.limit = named->n;
    return find(c, &q, ret);
}

/* Puts it in the place of what was found, and returns of how many pods. Another pod of the name is another
 * pod. */
static size_t
put_whole(struct lp_pods *found, const struct lp_pods *whole, bool try_only)
{
    size_t n = 0;
    for (size_t i = 0; i < found->n; i++) {
        const struct lp_pod *p = lp_pods_named(whole, found->v[i].name);
        if (p != NULL && lp_str_eq(p->uid, found->v[i].uid)) {
            found->v[i] = try_only ? found->v[i] : *p;
            n++;
        }
    }
    return n;
}

void
lp_kube_log_renew(struct lp_kube_call *c, struct lp_kube_log_pods *p)
{
    struct lp_pods now = {.n = 0};
    bool all =
        p->found.n > 0 && find_whole(c, &p->found, &now) == LP_OK &&
        put_whole(&p->found, &now, true) == p->found.n; /* else they borrow from what was known before */
    lp_err_clear(&c->err);
    if (!all) {
        lp_pods_clear(&now);
        return;
    }
    put_whole(&p->found, &now, false);
    lp_pods_clear(&p->whole);
    p->whole = now;
}

/* Are runs asked about, which a range does not tell all of? */
static bool
is_about_runs(const struct lp_kube_log_ask *ask)
{
    return ask->previous || ask->one_run || ask->json || ask->to_ns != LP_TIME_MAX;
}

static void
keep_phase(struct lp_kube_call *c, struct lp_pods *pods)
{
    size_t n = 0;
    for (size_t i = 0; i < pods->n; i++) {
        if (lp_kube_list_phase(c, &pods->v[i])) {
            pods->v[n++] = pods->v[i];
        }
    }
    pods->n = n;
}

static lp_rc
find_several(struct lp_kube_log_find *f, struct lp_kube_log_pods *ret, bool *ret_known)
{
    struct lp_pods_query q = several_query(f);
    lp_rc rc = find(f->c, &q, &ret->found);
    bool ranged = q.from_ns != LP_TIME_MIN || q.to_ns != LP_TIME_MAX;
    *ret_known = rc == LP_OK && ret->found.n > 0;
    if (rc == LP_OK && ret->found.n == 0) {
        return ranged && f->except == NULL ? is_known(f, q, ret_known) : LP_OK;
    }
    if (rc == LP_OK && ret->found.more) {
        return lp_err_set(&f->c->err, LP_ERR_LIMIT,
                          "these are more than %d pods; narrow them by target, labelSelector, fieldSelector, "
                          "sinceTime or untilTime",
                          PODS_MAX);
    }
    if (rc == LP_OK && ranged && is_about_runs(f->ask)) {
        rc = find_whole(f->c, &ret->found, &ret->whole);
        put_whole(&ret->found, &ret->whole, false);
    }
    if (rc == LP_OK) {
        keep_phase(f->c, &ret->found);
    }
    return rc;
}

lp_rc
lp_kube_log_find(struct lp_kube_log_find *f, struct lp_kube_log_pods *ret, bool *ret_known)
{
    *ret = (struct lp_kube_log_pods){.found = {.n = 0}};
    return f->ask->several ? find_several(f, ret, ret_known) : find_one(f, ret, ret_known);
}

/* --- which of their streams --- */

/* The newest pod of its name takes lines that say no uid. */
static lp_rc
is_newest(struct lp_kube_call *c, const struct lp_kube_log_ask *ask, const struct lp_pod *p, bool *ret)
{
    struct lp_pods now;
    *ret = true;
    if (ask->uid.n == 0 && ask->to_ns == LP_TIME_MAX) {
        return LP_OK;
    }
    struct lp_pods_query q = lp_kube_pods_query(c);
    q.name = p->name;
    lp_rc rc = find(c, &q, &now);
    *ret = rc == LP_OK && now.n > 0 && lp_str_eq(now.v[0].uid, p->uid);
    lp_pods_clear(&now);
    return rc;
}

/* The log of a pod that had the name before. */
static lp_rc
pick_earlier(struct lp_kube_call *c, const struct lp_kube_log_ask *ask, const struct lp_pod *p,
             struct lp_kube_wants *wants, struct lp_kube_fault *fault)
{
    struct lp_pods before;
    struct lp_pods_query q = lp_kube_pods_query(c);
    q.name = p->name;
    q.uid = p->earlier[0];
    lp_rc rc = find(c, &q, &before);
    if (rc == LP_OK && before.n > 0) {
        (void)lp_kube_log_pick_earlier(ask, p, &before.v[0], wants, fault);
    }
    lp_pods_clear(&before);
    return rc;
}

static lp_rc
pick(struct lp_kube_call *c, const struct lp_kube_log_ask *ask, const struct lp_pod *p,
     struct lp_kube_wants *wants, struct lp_kube_fault *fault)
{
    bool newest;
    lp_rc rc = is_newest(c, ask, p, &newest);
    if (rc != LP_OK || lp_kube_log_pick(ask, p, newest, wants, fault) != LP_KUBE_PICK_EARLIER) {
        return rc;
    }
    return pick_earlier(c, ask, p, wants, fault);
}

lp_rc
lp_kube_log_wants(struct lp_kube_call *c, const struct lp_kube_log_ask *ask, const struct lp_kube_log_pods *p,
                  struct lp_kube_wants *wants, struct lp_kube_fault *fault)
{
    lp_rc rc = LP_OK;
    *fault = (struct lp_kube_fault){.code = 0};
    for (size_t i = 0; i < p->found.n && rc == LP_OK && fault->code == 0; i++) {
        rc = pick(c, ask, &p->found.v[i], wants, fault);
    }
    return rc;
}
