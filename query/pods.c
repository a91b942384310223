/*
 * pods.c - which pods there are. See pods.h.
 */
#include "query/pods.h"

#include <stdlib.h>
#include <string.h>

#include "query/exec_int.h"
#include "query/pods_int.h"

#define VIEW_BYTES (256u << 20)

/* A question under way. */
struct find {
    const struct lp_pods_query *q;
    struct lp_pods *ret;
    struct lp_view *view;
    struct bounds {
        int64_t min_ns, max_ns; /* min > max: no rows */
    } *bounds; /* of the view's streams */
    struct lp_pod_stream *streams; /* with rows, by (namespace, name) */
    size_t nstreams;
    size_t damaged;
};

/* --- which streams --- */

static bool
is_same(const void *arg, struct lp_str value)
{
    return lp_str_eq(*(const struct lp_str *)arg, value);
}

static bool
has_prefix(const void *arg, struct lp_str value)
{
    const struct lp_str *prefix = arg;
    return value.n > 0 && lp_str_starts(value, *prefix);
}

/* One that has the value, or where that is empty begins with the prefix, or where that is empty has any. */
static struct lp_select_matcher
matcher(const char *name, const struct lp_str *value, const struct lp_str *prefix)
{
    if (value->n > 0) {
        return (struct lp_select_matcher){
            .name = lp_str_c(name), .passes = is_same, .arg = value, .values = value, .nvalues = 1};
    }
    return (struct lp_select_matcher){.name = lp_str_c(name),
                                      .passes = has_prefix,
                                      .arg = prefix,
                                      .every = prefix->n == 0,
                                      .prefix = *prefix};
}

static lp_rc
select_streams(struct find *f, struct lp_err *err)
{
    const struct lp_pods_query *q = f->q;
    const struct lp_str none = LP_STR_NULL;
    const struct lp_select_matcher m[] = {matcher("namespace", &q->ns, &none),
                                          matcher("pod", &q->name, &q->prefix)};
    const struct lp_select_all all = {m, LP_ARRAY_LEN(m)};
    const struct lp_selector sel = {.any = &all, .n = 1};
    lp_rc rc = lp_view_open(q->store, q->tenant, &f->view, err);
    return rc == LP_OK ? lp_view_select(f->view, &sel, LP_MIN(q->budget_bytes, (size_t)VIEW_BYTES), err) : rc;
}

static void
note_times(void *arg, uint32_t stream, int64_t min_ns, int64_t max_ns)
{
    struct bounds *b = &((struct find *)arg)->bounds[stream];
    b->min_ns = LP_MIN(b->min_ns, min_ns);
    b->max_ns = LP_MAX(b->max_ns, max_ns);
}

static lp_rc
find_times(struct find *f, struct lp_err *err)
{
    const struct lp_pods_query *q = f->q;
    const struct lp_part *parts;
    size_t nparts, n = lp_view_nstreams(f->view);
    struct lp_err damage;
    lp_err_clear(&damage);
    f->bounds = lp_malloc(n * sizeof(*f->bounds));
    for (size_t i = 0; i < n; i++) {
        f->bounds[i] = (struct bounds){LP_TIME_MAX, LP_TIME_MIN};
    }
    lp_rc rc = lp_view_parts(f->view, q->from_ns, q->to_ns, true, &parts, &nparts, &f->damaged, &damage);
    if (rc != LP_OK) {
        return lp_err_set(err, rc, "%s", damage.text);
    }
    lp_view_times(f->view, q->from_ns, q->to_ns, note_times, f);
    return LP_OK;
}

static bool
is_behind(const struct lp_pods_query *q, struct lp_str ns, struct lp_str name)
{
    int order = lp_str_cmp(ns, q->after_ns);
    return order != 0 ? order > 0 : lp_str_cmp(name, q->after_name) > 0;
}

static int
by_name(const void *va, const void *vb)
{
    const struct lp_pod_stream *a = va, *b = vb;
    int order = lp_str_cmp(a->ns, b->ns);
    return order != 0 ? order : lp_str_cmp(a->name, b->name);
}

/* The streams with rows, in the order of their pods. */
static lp_rc
read_streams(struct find *f, struct lp_err *err)
{
    uint32_t n = lp_view_nstreams(f->view);
    f->streams = lp_malloc(n * sizeof(*f->streams));
    for (uint32_t i = 0; i < n; i++) {
        const struct lp_vstream *s;
        if (f->bounds[i].min_ns > f->bounds[i].max_ns) {
            continue;
        }
        lp_rc rc = i % 1024 == 0 ? lp_exec_check(f->q->deadline_ns, f->q->cancel, err) : LP_OK;
        rc = rc == LP_OK ? lp_view_stream(f->view, i, &s, err) : rc;
        if (rc != LP_OK) {
            return rc;
        }
        struct lp_pod_stream p = {.ns = lp_stream_key_label(&s->key, LP_STR("namespace")),
                                  .name = lp_stream_key_label(&s->key, LP_STR("pod")),
                                  .uid = s->key.inst.uid,
                                  .container = lp_stream_key_label(&s->key, LP_STR("container")),
                                  .run = s->key.inst.incarnation,
                                  .key = &s->key,
                                  .min_ns = f->bounds[i].min_ns,
                                  .max_ns = f->bounds[i].max_ns};
        if (is_behind(f->q, p.ns, p.name)) {
            f->streams[f->nstreams++] = p;
        }
    }
    if (f->nstreams > 1) {
        qsort(f->streams, f->nstreams, sizeof(*f->streams), by_name);
    }
    return LP_OK;
}

/* --- pods of them --- */

static lp_rc
over_budget(const struct find *f, struct lp_err *err)
{
    return lp_exec_memory_taken(f->q->share, err)
               ? LP_ERR_BUSY
               : lp_err_set(err, LP_ERR_LIMIT, "so many pods need more memory than a query may have");
}

/* Adds the pod of v[0..n), if it is wanted. */
static lp_rc
add_pod(struct find *f, struct lp_pod_stream *v, size_t n, struct lp_err *err)
{
    const struct lp_pods_query *q = f->q;
    struct lp_arena *ar = &f->ret->ar;
    struct lp_pod *p = &f->ret->v[f->ret->n];
    bool any;
    size_t own;
    if (!lp_pod_build(v, n, q->uid, ar, p, &own, &any) || (any && !lp_pod_owners(LP_STR_NULL, ar, p))) {
        return over_budget(f, err);
    }
    if (!any || (q->wants != NULL && !q->wants(q->arg, p))) {
        return LP_OK;
    }
    if (!lp_pod_containers(v, own, ar, p)) {
        return over_budget(f, err);
    }
    f->ret->n++;
    return LP_OK;
}

static lp_rc
add_pods(struct find *f, struct lp_err *err)
{
    struct lp_pods *ret = f->ret;
    size_t cap = 0, i = 0, end;
    for (; i < f->nstreams && ret->n < f->q->limit; i = end) {
        for (end = i + 1; end < f->nstreams && by_name(&f->streams[i], &f->streams[end]) == 0; end++) {
        }
        ret->v = lp_arena_grow(&ret->ar, ret->v, &cap, ret->n + 1, sizeof(*ret->v));
        lp_rc rc = ret->v != NULL ? add_pod(f, f->streams + i, end - i, err) : over_budget(f, err);
        if (rc != LP_OK) {
            return rc;
        }
    }
    ret->more = i < f->nstreams;
    const struct lp_pod_stream *last = i > 0 ? &f->streams[i - 1] : NULL;
    if (last != NULL && (!lp_arena_str(&ret->ar, last->ns, &ret->next_ns) ||
                         !lp_arena_str(&ret->ar, last->name, &ret->next_name))) {
        return over_budget(f, err);
    }
    return LP_OK;
}

lp_rc
lp_pods_find(const struct lp_pods_query *q, struct lp_pods *ret, struct lp_err *err)
{
    struct find f = {.q = q, .ret = ret};
    memset(ret, 0, sizeof(*ret));
    lp_arena_init(&ret->ar, q->budget_bytes, 1 << 16);
    lp_arena_join(&ret->ar, q->share);
    lp_rc rc = lp_exec_check(q->deadline_ns, q->cancel, err);
    rc = rc == LP_OK ? select_streams(&f, err) : rc;
    rc = rc == LP_OK ? find_times(&f, err) : rc;
    rc = rc == LP_OK ? read_streams(&f, err) : rc;
    rc = rc == LP_OK ? add_pods(&f, err) : rc;
    ret->damaged = f.damaged;
    lp_free(f.streams);
    lp_free(f.bounds);
    lp_view_free(f.view);
    return rc;
}

void
lp_pods_clear(struct lp_pods *p)
{
    lp_arena_clear(&p->ar);
    memset(p, 0, sizeof(*p));
}

/* --- namespaces --- */

lp_rc
lp_pods_namespaces(const struct lp_pods_query *q, struct lp_names *ret, struct lp_err *err)
{
    static const struct lp_label_match has_pod = {.name = {"pod", 3}, .op = LP_MATCH_NEQ};
    const struct lp_log_query any = {.matchers = (struct lp_label_match *)(uintptr_t)&has_pod, .nmatchers = 1};
    const struct lp_log_query *const selectors[] = {&any};
    const struct lp_str name = LP_STR("namespace");
    const struct lp_streams_query s = {.store = q->store,
                                       .tenant = q->tenant,
                                       .selectors = selectors,
                                       .nselectors = 1,
                                       .from_ns = q->from_ns,
                                       .to_ns = q->to_ns,
                                       .share = q->share,
                                       .budget_bytes = q->budget_bytes,
                                       .deadline_ns = q->deadline_ns,
                                       .cancel = q->cancel};
    return lp_streams_names(&s, &name, ret, err);
}
