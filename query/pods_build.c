/*
 * pods_build.c - a pod out of its streams. Pure but for the arena.
 */
#include <stdlib.h>
#include <string.h>

#include "query/pods_int.h"

/* --- which of the pods of that name --- */

struct uid {
    struct lp_str uid;
    int64_t last_ns;
};

static int
newest_first(const void *va, const void *vb)
{
    const struct uid *a = va, *b = vb;
    return a->last_ns != b->last_ns ? (a->last_ns < b->last_ns) - (a->last_ns > b->last_ns)
                                    : lp_str_cmp(a->uid, b->uid);
}

/* The uids of the streams, newest first; ret has room for n. */
static size_t
list_uids(const struct lp_pod_stream *v, size_t n, struct uid *ret)
{
    size_t k = 0;
    for (size_t i = 0; i < n; i++) {
        size_t at = 0;
        while (at < k && !lp_str_eq(ret[at].uid, v[i].uid)) {
            at++;
        }
        if (v[i].uid.n > 0 && at == k) {
            ret[k++] = (struct uid){v[i].uid, v[i].max_ns};
        } else if (v[i].uid.n > 0) {
            ret[at].last_ns = LP_MAX(ret[at].last_ns, v[i].max_ns);
        }
    }
    if (k > 1) {
        qsort(ret, k, sizeof(*ret), newest_first);
    }
    return k;
}

/* Chooses the uid, and names those before it. *ret_nameless: streams without a uid are the pod's, too. */
static bool
choose_uid(const struct uid *uids, size_t n, struct lp_str wanted, struct lp_arena *ar, struct lp_pod *ret,
           bool *ret_nameless, bool *ret_any)
{
    size_t at = 0;
    while (at < n && wanted.n > 0 && !lp_str_eq(uids[at].uid, wanted)) {
        at++;
    }
    *ret_any = at < n || (n == 0 && wanted.n == 0);
    *ret_nameless = at == 0;
    if (n == 0 || !*ret_any) {
        return true;
    }
    struct lp_str *earlier = lp_arena_array(ar, n - at - 1, sizeof(*earlier));
    if (earlier == NULL || !lp_arena_str(ar, uids[at].uid, &ret->uid)) {
        return false;
    }
    ret->earlier = earlier;
    ret->nearlier = n - at - 1;
    for (size_t i = 0; i < ret->nearlier; i++) {
        if (!lp_arena_str(ar, uids[at + 1 + i].uid, &earlier[i])) {
            return false;
        }
    }
    return true;
}

/* Moves the streams of the pod to the front; how many they are. */
static size_t
gather(struct lp_pod_stream *v, size_t n, struct lp_str uid, bool nameless)
{
    size_t k = 0;
    for (size_t i = 0; i < n; i++) {
        if (lp_str_eq(v[i].uid, uid) || (nameless && v[i].uid.n == 0)) {
            struct lp_pod_stream s = v[i];
            v[i] = v[k];
            v[k++] = s;
        }
    }
    return k;
}

static int
latest_last(const void *va, const void *vb)
{
    const struct lp_pod_stream *a = va, *b = vb;
    return (a->max_ns > b->max_ns) - (a->max_ns < b->max_ns);
}

bool
lp_pod_build(struct lp_pod_stream *v, size_t n, struct lp_str uid, struct lp_arena *ar, struct lp_pod *ret,
             size_t *ret_n, bool *ret_any)
{
    struct uid *uids = lp_malloc(n * sizeof(*uids));
    bool nameless;
    *ret = (struct lp_pod){.ns = v->ns, .name = v->name};
    bool ok = choose_uid(uids, list_uids(v, n, uids), uid, ar, ret, &nameless, ret_any);
    lp_free(uids);
    if (!ok || !*ret_any) {
        return ok;
    }
    *ret_n = gather(v, n, ret->uid, nameless);
    qsort(v, *ret_n, sizeof(*v), latest_last);
    return lp_arena_str(ar, v->ns, &ret->ns) && lp_arena_str(ar, v->name, &ret->name);
}

/* --- what is known of it --- */

static int
by_name(const void *a, const void *b)
{
    return lp_str_cmp(((const struct lp_pair *)a)->name, ((const struct lp_pair *)b)->name);
}

static bool
take_labels(const struct lp_pod_facts *f, struct lp_arena *ar, struct lp_pod *ret)
{
    static const struct lp_str prefix = {"label/", 6};
    struct lp_pair *labels = lp_arena_array(ar, f->n, sizeof(*labels));
    bool ok = labels != NULL;
    ret->labels = labels;
    ret->nlabels = 0;
    for (size_t i = 0; i < f->n && ok; i++) {
        if (lp_str_starts(f->v[i].name, prefix)) {
            struct lp_pair *l = &labels[ret->nlabels++];
            struct lp_str kept = lp_str_sub(f->v[i].name, prefix.n, f->v[i].name.n);
            ok = lp_arena_str(ar, lp_pod_label_key(kept), &l->name) &&
                 lp_arena_str(ar, f->v[i].value, &l->value);
        }
    }
    if (ret->nlabels > 1) {
        qsort(labels, ret->nlabels, sizeof(*labels), by_name);
    }
    return ok;
}

bool
lp_pod_describe(const struct lp_pod_facts *f, struct lp_arena *ar, struct lp_pod *ret)
{
    return take_labels(f, ar, ret) && lp_arena_str(ar, lp_pod_fact(f, LP_STR("node")), &ret->node) &&
           lp_arena_str(ar, lp_pod_fact(f, LP_STR("ip")), &ret->ip) &&
           lp_arena_str(ar, lp_pod_fact(f, LP_STR("default-container")), &ret->default_container) &&
           lp_pod_owners(lp_pod_fact(f, LP_STR("owner")), lp_pod_fact(f, LP_STR("top")), ar, ret);
}

/* --- containers --- */

static int
by_run(const void *va, const void *vb)
{
    const struct lp_pod_stream *a = va, *b = vb;
    int order = lp_str_cmp(a->container, b->container);
    return order != 0 ? order : lp_str_cmp(a->run, b->run);
}

/* The container of v[0..n), by rising run. */
static bool
take_container(const struct lp_pod_stream *v, size_t n, struct lp_arena *ar, struct lp_pod_container *ret)
{
    struct lp_pod_run *runs = lp_arena_array(ar, n, sizeof(*runs));
    size_t k = 0;
    if (runs == NULL || !lp_arena_str(ar, v->container, &ret->name)) {
        return false;
    }
    for (size_t i = 0; i < n; i++) {
        if (k > 0 && lp_str_eq(v[i].run, runs[k - 1].id)) {
            runs[k - 1].first_ns = LP_MIN(runs[k - 1].first_ns, v[i].min_ns);
            runs[k - 1].last_ns = LP_MAX(runs[k - 1].last_ns, v[i].max_ns);
            continue;
        }
        runs[k] = (struct lp_pod_run){.first_ns = v[i].min_ns, .last_ns = v[i].max_ns};
        if (!lp_arena_str(ar, v[i].run, &runs[k++].id)) {
            return false;
        }
    }
    lp_pod_number_runs(runs, k);
    ret->runs = runs;
    ret->nruns = k;
    return true;
}

static struct lp_str
image_of(const struct lp_pod_facts *f, struct lp_str container)
{
    static const struct lp_str prefix = {"image/", 6};
    for (size_t i = 0; i < f->n; i++) {
        if (lp_str_starts(f->v[i].name, prefix) &&
            lp_str_eq(lp_str_sub(f->v[i].name, prefix.n, f->v[i].name.n), container)) {
            return f->v[i].value;
        }
    }
    return LP_STR_NULL;
}

bool
lp_pod_containers(struct lp_pod_stream *v, size_t n, const struct lp_pod_facts *f, struct lp_arena *ar,
                  struct lp_pod *ret)
{
    struct lp_pod_container *c = lp_arena_zalloc(ar, n * sizeof(*c));
    size_t k = 0;
    if (c == NULL) {
        return false;
    }
    qsort(v, n, sizeof(*v), by_run);
    ret->first_ns = LP_TIME_MAX;
    ret->last_ns = LP_TIME_MIN;
    for (size_t i = 0, end; i < n; i = end) {
        for (end = i; end < n && lp_str_eq(v[end].container, v[i].container); end++) {
            ret->first_ns = LP_MIN(ret->first_ns, v[end].min_ns);
            ret->last_ns = LP_MAX(ret->last_ns, v[end].max_ns);
        }
        if (!take_container(v + i, end - i, ar, &c[k]) ||
            !lp_arena_str(ar, image_of(f, v[i].container), &c[k++].image)) {
            return false;
        }
    }
    ret->containers = c;
    ret->ncontainers = k;
    ret->first_ns = lp_pod_facts_first(f) != LP_TIME_NONE ? lp_pod_facts_first(f) : ret->first_ns;
    return true;
}
