/*
 * kube_owner.c - what made pods, as objects: told from the pods' owners, services from a label.
 */
#include "server/kube_object.h"

static const char *const owner_labels[LP_KUBE_KINDS] = {
    [LP_KUBE_DEPLOYMENTS] = "logpond.io/deployment",
    [LP_KUBE_REPLICASETS] = "logpond.io/replicaset",
    [LP_KUBE_STATEFULSETS] = "logpond.io/statefulset",
    [LP_KUBE_DAEMONSETS] = "logpond.io/daemonset",
    [LP_KUBE_JOBS] = "logpond.io/job",
    [LP_KUBE_CRONJOBS] = "logpond.io/cronjob",
};

const char *
lp_kube_owner_label(enum lp_kube_kind kind)
{
    return owner_labels[kind];
}

/* The label whose value would be the service's name. With a name: the one that has it. */
static bool
service_of(const struct lp_pod *p, struct lp_str name, struct lp_str *ret_name, struct lp_str *ret_key)
{
    static const char *const keys[] = {"app", "app.kubernetes.io/name"};
    for (size_t i = 0; i < LP_ARRAY_LEN(keys); i++) {
        struct lp_str value = lp_pod_label(p, lp_str_c(keys[i]));
        if (value.n > 0 && (name.n == 0 || lp_str_eq(name, value))) {
            *ret_name = value;
            *ret_key = lp_str_c(keys[i]);
            return true;
        }
    }
    return false;
}

bool
lp_kube_owner_of(const struct lp_pod *p, enum lp_kube_kind kind, struct lp_str name, struct lp_str *ret_name,
                 struct lp_str *ret_key)
{
    if (kind == LP_KUBE_SERVICES) {
        return service_of(p, name, ret_name, ret_key);
    }
    const char *label = owner_labels[kind];
    const struct lp_pod_owner *both[] = {&p->owner, &p->top};
    for (size_t i = 0; label != NULL && i < LP_ARRAY_LEN(both); i++) {
        if (lp_str_eqc(both[i]->kind, lp_kube_resource(kind)->kind) && both[i]->name.n > 0 &&
            (name.n == 0 || lp_str_eq(name, both[i]->name))) {
            *ret_name = both[i]->name;
            *ret_key = lp_str_c(label);
            return true;
        }
    }
    return false;
}

/* --- as JSON --- */

static void
put_selector_pair(struct lp_buf *out, const struct lp_kube_owner *o)
{
    lp_buf_byte(out, '{');
    lp_buf_json(out, o->select_key);
    lp_kube_put(out, ":", o->name);
    lp_buf_byte(out, '}');
}

void
lp_kube_owner_reference_put(struct lp_buf *out, struct lp_str ns, const struct lp_pod_owner *owner)
{
    char uid[LP_UUID_TEXT + 1];
    if (owner->kind.n == 0 || owner->name.n == 0) {
        return;
    }
    lp_kube_make_uid(owner->kind, ns, owner->name, uid);
    lp_buf_printf(out, ",\"ownerReferences\":[{\"apiVersion\":\"%s\"", lp_kube_kind_version(owner->kind));
    lp_kube_put(out, ",\"kind\":", owner->kind);
    lp_kube_put(out, ",\"name\":", owner->name);
    lp_buf_printf(out, ",\"uid\":\"%s\",\"controller\":true}]", uid);
}

static void
put_metadata(struct lp_buf *out, const struct lp_kube_owner *o)
{
    char uid[LP_UUID_TEXT + 1];
    lp_kube_make_uid(lp_str_c(o->resource->kind), o->ns, o->name, uid);
    lp_kube_put(out, "\"metadata\":{\"name\":", o->name);
    lp_kube_put(out, ",\"namespace\":", o->ns);
    lp_buf_printf(out, ",\"uid\":\"%s\",\"resourceVersion\":\"%lld\",\"generation\":1", uid,
                  (long long)o->last_ns);
    lp_kube_put_time(out, ",\"creationTimestamp\":", o->first_ns);
    lp_buf_c(out, ",\"labels\":");
    put_selector_pair(out, o);
    lp_kube_owner_reference_put(out, o->ns, &o->by);
    lp_buf_byte(out, '}');
}

/* The pod template as far as it is told. */
static void
put_template(struct lp_buf *out, const struct lp_kube_owner *o)
{
    lp_buf_c(out, "\"template\":{\"metadata\":{\"labels\":");
    put_selector_pair(out, o);
    lp_buf_c(out, "},\"spec\":{\"containers\":[");
    for (size_t i = 0; i < o->ncontainers; i++) {
        lp_kube_put(out, i > 0 ? ",{\"name\":" : "{\"name\":", o->containers[i]);
        lp_buf_c(out, ",\"image\":\"\",\"resources\":{}}");
    }
    lp_buf_c(out, "]}}");
}

static void
put_workload_spec(struct lp_buf *out, const struct lp_kube_owner *o)
{
    lp_buf_c(out, "{\"selector\":{\"matchLabels\":");
    put_selector_pair(out, o);
    lp_buf_c(out, "},");
    put_template(out, o);
    switch ((int)o->resource->id) {
    case LP_KUBE_DEPLOYMENTS:
        lp_buf_printf(out, ",\"replicas\":%u,\"strategy\":{\"type\":\"RollingUpdate\"}", o->alive);
        break;
    case LP_KUBE_REPLICASETS:
        lp_buf_printf(out, ",\"replicas\":%u", o->alive);
        break;
    case LP_KUBE_STATEFULSETS:
        lp_buf_printf(out,
                      ",\"replicas\":%u,\"serviceName\":\"\",\"updateStrategy\":{\"type\":\"RollingUpdate\"}",
                      o->alive);
        break;
    case LP_KUBE_DAEMONSETS:
        lp_buf_c(out, ",\"updateStrategy\":{\"type\":\"RollingUpdate\"}");
        break;
    default:
        break;
    }
    lp_buf_byte(out, '}');
}

static void
put_spec(struct lp_buf *out, const struct lp_kube_owner *o)
{
    if (o->resource->id == LP_KUBE_SERVICES) {
        lp_buf_c(out, "{\"type\":\"ClusterIP\",\"clusterIP\":\"None\",\"ports\":[],\"selector\":");
        put_selector_pair(out, o);
        lp_buf_byte(out, '}');
    } else if (o->resource->id == LP_KUBE_CRONJOBS) {
        lp_buf_c(out, "{\"schedule\":\"\",\"jobTemplate\":{\"metadata\":{},\"spec\":");
        put_workload_spec(out, o);
        lp_buf_c(out, "}}");
    } else {
        put_workload_spec(out, o);
    }
}

static void
put_status(struct lp_buf *out, const struct lp_kube_owner *o)
{
    switch ((int)o->resource->id) {
    case LP_KUBE_DEPLOYMENTS:
        lp_buf_printf(out,
                      "{\"observedGeneration\":1,\"replicas\":%u,\"updatedReplicas\":%u,\"readyReplicas\":%u,"
                      "\"availableReplicas\":%u}",
                      o->alive, o->alive, o->alive, o->alive);
        break;
    case LP_KUBE_REPLICASETS:
    case LP_KUBE_STATEFULSETS:
        lp_buf_printf(
            out, "{\"observedGeneration\":1,\"replicas\":%u,\"readyReplicas\":%u,\"availableReplicas\":%u}",
            o->alive, o->alive, o->alive);
        break;
    case LP_KUBE_DAEMONSETS:
        lp_buf_printf(out,
                      "{\"observedGeneration\":1,\"currentNumberScheduled\":%u,\"desiredNumberScheduled\":%u,"
                      "\"numberAvailable\":%u,\"numberMisscheduled\":0,\"numberReady\":%u,"
                      "\"updatedNumberScheduled\":%u}",
                      o->alive, o->alive, o->alive, o->alive, o->alive);
        break;
    case LP_KUBE_JOBS:
        lp_buf_printf(out, "{\"active\":%u", o->alive);
        lp_kube_put_time(out, ",\"startTime\":", o->first_ns);
        lp_buf_byte(out, '}');
        break;
    case LP_KUBE_CRONJOBS:
        lp_kube_put_time(out, "{\"lastScheduleTime\":", o->last_ns);
        lp_buf_byte(out, '}');
        break;
    default:
        lp_buf_c(out, "{\"loadBalancer\":{}}");
        break;
    }
}

void
lp_kube_owner_put(struct lp_buf *out, const struct lp_kube_owner *o, bool in_list)
{
    lp_buf_byte(out, '{');
    if (!in_list) {
        lp_buf_printf(out, "\"kind\":\"%s\",\"apiVersion\":\"%s\",", o->resource->kind,
                      lp_kube_api_version(o->resource));
    }
    put_metadata(out, o);
    lp_buf_c(out, ",\"spec\":");
    put_spec(out, o);
    lp_buf_c(out, ",\"status\":");
    put_status(out, o);
    lp_buf_byte(out, '}');
}

void
lp_kube_owner_partial_put(struct lp_buf *out, const struct lp_kube_owner *o)
{
    lp_buf_c(out, "{\"kind\":\"PartialObjectMetadata\",\"apiVersion\":\"meta.k8s.io/v1\",");
    put_metadata(out, o);
    lp_buf_byte(out, '}');
}
