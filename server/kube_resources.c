/*
 * kube_resources.c - the table of resources, and the paths that name them.
 */
#include "server/kube_resources.h"

#define SEGMENTS_MAX 8u

static const struct lp_kube_resource resources[] = {
    {LP_KUBE_PODS, "", "pods", "pod", "Pod", {"po"}, true, true},
    {LP_KUBE_NAMESPACES, "", "namespaces", "namespace", "Namespace", {"ns"}, false, false},
    {LP_KUBE_SERVICES, "", "services", "service", "Service", {"svc"}, true, true},
    {LP_KUBE_EVENTS, "", "events", "event", "Event", {"ev"}, true, false},
    {LP_KUBE_DEPLOYMENTS, "apps", "deployments", "deployment", "Deployment", {"deploy"}, true, true},
    {LP_KUBE_REPLICASETS, "apps", "replicasets", "replicaset", "ReplicaSet", {"rs"}, true, true},
    {LP_KUBE_STATEFULSETS, "apps", "statefulsets", "statefulset", "StatefulSet", {"sts"}, true, true},
    {LP_KUBE_DAEMONSETS, "apps", "daemonsets", "daemonset", "DaemonSet", {"ds"}, true, true},
    {LP_KUBE_JOBS, "batch", "jobs", "job", "Job", {NULL}, true, true},
    {LP_KUBE_CRONJOBS, "batch", "cronjobs", "cronjob", "CronJob", {"cj"}, true, true},
};
_Static_assert(LP_ARRAY_LEN(resources) == LP_KUBE_KINDS, "one row for each kind, in their order");

static const char *const groups[] = {"apps", "batch"};

const struct lp_kube_resource *
lp_kube_resource(enum lp_kube_kind id)
{
    LP_ASSERT(resources[id].id == id);
    return &resources[id];
}

static bool
has_short(const struct lp_kube_resource *r, struct lp_str name)
{
    for (size_t i = 0; r->shorts[i] != NULL; i++) {
        if (lp_str_eqc(name, r->shorts[i])) {
            return true;
        }
    }
    return false;
}

const struct lp_kube_resource *
lp_kube_resource_named(struct lp_str name)
{
    for (size_t i = 0; i < LP_ARRAY_LEN(resources); i++) {
        const struct lp_kube_resource *r = &resources[i];
        if (lp_str_eqc(name, r->name) || lp_str_eqc(name, r->singular) || has_short(r, name)) {
            return r;
        }
    }
    return NULL;
}

const char *
lp_kube_api_version(const struct lp_kube_resource *r)
{
    return lp_kube_kind_version(lp_str_c(r->kind));
}

const char *
lp_kube_kind_version(struct lp_str kind)
{
    for (size_t i = 0; i < LP_ARRAY_LEN(resources); i++) {
        if (lp_str_eqc(kind, resources[i].kind) && resources[i].group[0] != 0) {
            return resources[i].group[0] == 'a' ? "apps/v1" : "batch/v1";
        }
    }
    return "v1";
}

/* --- paths --- */

struct segments {
    struct lp_str seg[SEGMENTS_MAX];
    unsigned n;
};

/* False where there are too many, or empty ones but at the end. */
static bool
cut(struct lp_str path, struct segments *s)
{
    s->n = 0;
    while (path.n > 0 && path.p[path.n - 1] == '/') {
        path.n--;
    }
    struct lp_str rest = lp_str_sub(path, 1, path.n);
    while (rest.n > 0) {
        struct lp_str seg = lp_str_cut(&rest, '/');
        if (seg.n == 0 || s->n == SEGMENTS_MAX) {
            return false;
        }
        s->seg[s->n++] = seg;
    }
    return s->n > 0;
}

static const struct lp_kube_resource *
resource_of(const char *group, struct lp_str name)
{
    for (size_t i = 0; i < LP_ARRAY_LEN(resources); i++) {
        if (lp_str_eqc(name, resources[i].name) && strcmp(group, resources[i].group) == 0) {
            return &resources[i];
        }
    }
    return NULL;
}

/* Behind the namespace: RESOURCE[/NAME[/SUBRESOURCE]]. */
static void
in_namespace(const struct lp_str *seg, unsigned n, struct lp_kube_path *p)
{
    bool core = p->group[0] == 0;
    p->resource = resource_of(p->group, seg[0]);
    if (core && n == 1 && lp_str_eqc(seg[0], "log")) {
        p->what = LP_KUBE_LOG;
    } else if (p->resource == NULL || !p->resource->namespaced) {
        return;
    } else if (n == 1) {
        p->what = LP_KUBE_LIST;
    } else if (n == 2) {
        p->what = LP_KUBE_GET;
    } else if (n == 3 && p->resource->id == LP_KUBE_PODS && lp_str_eqc(seg[2], "log")) {
        p->what = LP_KUBE_POD_LOG;
    }
    p->name = n >= 2 ? seg[1] : LP_STR_NULL;
}

/* Behind the version. */
static void
in_version(const struct lp_str *seg, unsigned n, struct lp_kube_path *p)
{
    bool namespaces = n > 0 && lp_str_eqc(seg[0], "namespaces");
    if (n == 0) {
        p->what = LP_KUBE_VERSION;
    } else if (n > 2 && namespaces) {
        p->ns = seg[1];
        in_namespace(seg + 2, n - 2, p);
    } else if (n == 1) {
        p->resource = resource_of(p->group, seg[0]);
        p->what = p->resource != NULL ? LP_KUBE_LIST : LP_KUBE_NOTHING;
    } else if (n == 2 && namespaces && p->group[0] == 0) {
        p->resource = lp_kube_resource(LP_KUBE_NAMESPACES);
        p->what = LP_KUBE_GET;
        p->name = seg[1];
    }
}

static void
in_groups(const struct segments *s, struct lp_kube_path *p)
{
    for (size_t i = 0; i < LP_ARRAY_LEN(groups); i++) {
        if (!lp_str_eqc(s->seg[1], groups[i])) {
            continue;
        }
        p->group = groups[i];
        if (s->n == 2) {
            p->what = LP_KUBE_GROUP;
        } else if (lp_str_eqc(s->seg[2], "v1")) {
            in_version(s->seg + 3, s->n - 3, p);
        }
    }
}

void
lp_kube_path_parse(struct lp_str path, struct lp_kube_path *ret)
{
    struct segments s;
    *ret = (struct lp_kube_path){.what = LP_KUBE_NOTHING, .group = ""};
    if (!cut(path, &s)) {
        return;
    }
    if (lp_str_eqc(s.seg[0], "apis")) {
        if (s.n == 1) {
            ret->what = LP_KUBE_APIS;
        } else {
            in_groups(&s, ret);
        }
    } else if (lp_str_eqc(s.seg[0], "api")) {
        if (s.n == 1) {
            ret->what = LP_KUBE_API;
        } else if (lp_str_eqc(s.seg[1], "v1")) {
            in_version(s.seg + 2, s.n - 2, ret);
        }
    }
}
