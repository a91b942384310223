/*
 * kube_object.c - what objects have in common, pods and namespaces.
 */
#include "server/kube_object.h"

#include "base/bytes.h"
#include "base/clock.h"
#include "base/hash.h"

#define SECONDS_TEXT 19u /* "2026-01-02T03:04:05" */

void
lp_kube_put(struct lp_buf *out, const char *key, struct lp_str value)
{
    lp_buf_c(out, key);
    lp_buf_json(out, value);
}

void
lp_kube_put_time(struct lp_buf *out, const char *key, int64_t ns)
{
    char text[LP_TIME_TEXT];
    lp_time_text(ns, text);
    lp_buf_printf(out, "%s\"%.*sZ\"", key, (int)SECONDS_TEXT, text);
}

bool
lp_kube_alive(const struct lp_kube_eye *eye, int64_t last_ns)
{
    int64_t from;
    return __builtin_sub_overflow(eye->now_ns, eye->silence_ns, &from) || last_ns >= from;
}

const char *
lp_kube_phase(const struct lp_kube_eye *eye, int64_t last_ns)
{
    return lp_kube_alive(eye, last_ns) ? "Running" : "Unknown";
}

static const struct lp_pod_run *
newest_run(const struct lp_pod_container *c)
{
    return &c->runs[c->nruns - 1];
}

uint32_t
lp_kube_restarts(const struct lp_pod *p, int64_t *ret_at_ns)
{
    uint32_t sum = 0;
    *ret_at_ns = 0;
    for (size_t i = 0; i < p->ncontainers; i++) {
        const struct lp_pod_run *r = newest_run(&p->containers[i]);
        if (r->number > 0) {
            sum += r->number;
            *ret_at_ns = LP_MAX(*ret_at_ns, r->first_ns);
        }
    }
    return sum;
}

void
lp_kube_make_uid(struct lp_str kind, struct lp_str ns, struct lp_str name, char out[LP_UUID_TEXT + 1])
{
    struct lp_hasher *h = lp_hasher_new();
    lp_hasher_add(h, kind.p, kind.n);
    lp_hasher_add(h, "/", 1);
    lp_hasher_add(h, ns.p, ns.n);
    lp_hasher_add(h, "/", 1);
    lp_hasher_add(h, name.p, name.n);
    struct lp_hash128 v = lp_hasher_u128(h);
    lp_hasher_free(h);
    struct lp_uuid u;
    lp_put_be64(u.b, v.hi);
    lp_put_be64(u.b + 8, v.lo);
    u.b[6] = (uint8_t)((u.b[6] & 0x0f) | 0x80); /* version 8 of RFC 9562: made as its maker likes */
    u.b[8] = (uint8_t)((u.b[8] & 0x3f) | 0x80);
    lp_uuid_text(&u, out);
}

/* --- pods: metadata --- */

#define NSYNTHETIC 6

/* Synthetic labels of a pod; at most one of each kind. */
static size_t
synthetic(const struct lp_pod *p, struct lp_pair out[NSYNTHETIC])
{
    size_t n = 0;
    for (int k = LP_KUBE_DEPLOYMENTS; k <= LP_KUBE_CRONJOBS; k++) {
        struct lp_str name, key;
        if (lp_kube_owner_of(p, (enum lp_kube_kind)k, LP_STR_NULL, &name, &key)) {
            out[n++] = (struct lp_pair){key, name};
        }
    }
    return n;
}

struct lp_str
lp_kube_pod_label(const void *pod, struct lp_str key)
{
    const struct lp_pod *p = pod;
    struct lp_pair made[NSYNTHETIC];
    size_t n = lp_str_starts(key, LP_STR("logpond.io/")) ? synthetic(p, made) : 0;
    for (size_t i = 0; i < n; i++) {
        if (lp_str_eq(made[i].name, key)) {
            return made[i].value;
        }
    }
    return lp_pod_label(p, key);
}

static void
put_pair(struct lp_buf *out, const char **between, struct lp_str name, struct lp_str value)
{
    lp_buf_c(out, *between);
    lp_buf_json(out, name);
    lp_kube_put(out, ":", value);
    *between = ",";
}

static void
put_labels(struct lp_buf *out, const struct lp_pod *p)
{
    struct lp_pair made[NSYNTHETIC];
    size_t n = synthetic(p, made);
    const char *between = "";
    lp_buf_c(out, ",\"labels\":{");
    for (size_t i = 0; i < p->nlabels; i++) {
        put_pair(out, &between, p->labels[i].name, p->labels[i].value);
    }
    for (size_t i = 0; i < n; i++) {
        put_pair(out, &between, made[i].name, made[i].value);
    }
    lp_buf_byte(out, '}');
}

static void
put_annotations(struct lp_buf *out, const struct lp_pod *p)
{
    char text[LP_TIME_TEXT];
    const char *between = ",";
    lp_time_text(p->first_ns, text);
    lp_buf_printf(out, ",\"annotations\":{\"logpond.io/first-line\":\"%s\"", text);
    lp_time_text(p->last_ns, text);
    lp_buf_printf(out, ",\"logpond.io/last-line\":\"%s\"", text);
    if (p->default_container.n > 0) {
        put_pair(out, &between, LP_STR("kubectl.kubernetes.io/default-container"), p->default_container);
    }
    if (p->nearlier > 0) {
        struct lp_buf uids;
        lp_buf_init(&uids, 1 << 20);
        for (size_t i = 0; i < p->nearlier; i++) {
            lp_buf_c(&uids, i > 0 ? "," : "");
            lp_buf_str(&uids, p->earlier[i]);
        }
        put_pair(out, &between, LP_STR("logpond.io/earlier-uids"), lp_buf_view(&uids));
        lp_buf_clear(&uids);
    }
    lp_buf_byte(out, '}');
}

/* Where it is not told, one is made, the same each time; in `made`. */
static struct lp_str
uid_of(const struct lp_pod *p, char made[LP_UUID_TEXT + 1])
{
    if (p->uid.n > 0) {
        return p->uid;
    }
    lp_kube_make_uid(LP_STR("Pod"), p->ns, p->name, made);
    return lp_str_c(made);
}

static void
put_metadata(struct lp_buf *out, const struct lp_pod *p)
{
    char made[LP_UUID_TEXT + 1];
    lp_kube_put(out, "\"metadata\":{\"name\":", p->name);
    lp_kube_put(out, ",\"namespace\":", p->ns);
    lp_kube_put(out, ",\"uid\":", uid_of(p, made));
    lp_buf_printf(out, ",\"resourceVersion\":\"%lld\"", (long long)p->last_ns);
    lp_kube_put_time(out, ",\"creationTimestamp\":", p->first_ns);
    put_labels(out, p);
    put_annotations(out, p);
    lp_kube_owner_reference_put(out, p->ns, &p->owner);
    lp_buf_byte(out, '}');
}

/* --- pods: spec and status --- */

static void
put_spec(struct lp_buf *out, const struct lp_pod *p)
{
    lp_buf_c(out, ",\"spec\":{\"containers\":[");
    for (size_t i = 0; i < p->ncontainers; i++) {
        lp_kube_put(out, i > 0 ? ",{\"name\":" : "{\"name\":", p->containers[i].name);
        lp_kube_put(out, ",\"image\":", p->containers[i].image);
        lp_buf_c(out, ",\"resources\":{}}");
    }
    lp_buf_c(out, "],\"restartPolicy\":\"Always\"");
    if (p->node.n > 0) {
        lp_kube_put(out, ",\"nodeName\":", p->node);
    }
    lp_buf_byte(out, '}');
}

static bool
is_number(struct lp_str s)
{
    uint64_t n;
    return lp_str_u64(s, &n);
}

/*
 * Clients that follow logs (stern) open one for each container id, and none where there is no id. A log that
 * is followed here goes on over restarts, so a container has one id for as long as its pod lives, which is
 * none of a runtime's.
 */
static void
put_container_id(struct lp_buf *out, const struct lp_pod *p, const struct lp_pod_container *c)
{
    char made[LP_UUID_TEXT + 1];
    struct lp_buf id;
    lp_buf_init(&id, 1 << 16);
    lp_buf_c(&id, "logpond://");
    lp_buf_str(&id, uid_of(p, made));
    lp_buf_byte(&id, '/');
    lp_buf_str(&id, c->name);
    lp_kube_put(out, ",\"containerID\":", lp_buf_view(&id));
    lp_buf_clear(&id);
}

/* The runtime's id of a run that has ended. */
static void
put_run_id(struct lp_buf *out, const struct lp_pod_run *r)
{
    struct lp_buf id;
    if (r->id.n > 0 && !is_number(r->id)) {
        lp_buf_init(&id, 1 << 16);
        lp_buf_c(&id, "cri://");
        lp_buf_str(&id, r->id);
        lp_kube_put(out, ",\"containerID\":", lp_buf_view(&id));
        lp_buf_clear(&id);
    }
}

/* How it ended is not told by its lines. Left open: an id may follow, and two braces. */
static void
open_terminated(struct lp_buf *out, const struct lp_pod_run *r, const char *reason)
{
    lp_buf_printf(out, "{\"terminated\":{\"exitCode\":0,\"reason\":\"%s\"", reason);
    lp_kube_put_time(out, ",\"startedAt\":", r->first_ns);
    lp_kube_put_time(out, ",\"finishedAt\":", r->last_ns);
}

static void
put_state(struct lp_buf *out, const struct lp_pod *p, const struct lp_pod_container *c, bool alive)
{
    if (alive) {
        lp_kube_put_time(out, "{\"running\":{\"startedAt\":", newest_run(c)->first_ns);
    } else {
        open_terminated(out, newest_run(c), "Gone");
        put_container_id(out, p, c);
    }
    lp_buf_c(out, "}}");
}

static void
put_last_state(struct lp_buf *out, const struct lp_pod_container *c)
{
    if (c->nruns < 2) {
        lp_buf_c(out, "{}");
        return;
    }
    open_terminated(out, newest_run(c) - 1, "Unknown");
    put_run_id(out, newest_run(c) - 1);
    lp_buf_c(out, "}}");
}

static void
put_container_status(struct lp_buf *out, const struct lp_pod *p, const struct lp_pod_container *c, bool alive)
{
    lp_kube_put(out, "{\"name\":", c->name);
    lp_buf_c(out, ",\"state\":");
    put_state(out, p, c, alive);
    lp_buf_c(out, ",\"lastState\":");
    put_last_state(out, c);
    lp_buf_printf(out, ",\"ready\":%s,\"restartCount\":%u,\"started\":%s", alive ? "true" : "false",
                  newest_run(c)->number, alive ? "true" : "false");
    lp_kube_put(out, ",\"image\":", c->image);
    lp_buf_c(out, ",\"imageID\":\"\"");
    put_container_id(out, p, c);
    lp_buf_byte(out, '}');
}

static void
put_conditions(struct lp_buf *out, const struct lp_pod *p, bool alive)
{
    static const char *const types[] = {"Initialized", "Ready", "ContainersReady", "PodScheduled"};
    for (size_t i = 0; i < LP_ARRAY_LEN(types); i++) {
        bool ready = i == 1 || i == 2;
        lp_buf_printf(out, "%s{\"type\":\"%s\",\"status\":\"%s\"", i > 0 ? "," : "", types[i],
                      alive || !ready ? "True" : "False");
        lp_kube_put_time(out, ",\"lastTransitionTime\":", alive || !ready ? p->first_ns : p->last_ns);
        lp_buf_byte(out, '}');
    }
}

static void
put_status(struct lp_buf *out, const struct lp_pod *p, const struct lp_kube_eye *eye)
{
    bool alive = lp_kube_alive(eye, p->last_ns);
    lp_buf_printf(out, ",\"status\":{\"phase\":\"%s\",\"conditions\":[", lp_kube_phase(eye, p->last_ns));
    put_conditions(out, p, alive);
    lp_buf_byte(out, ']');
    if (!alive) {
        lp_buf_c(out, ",\"reason\":\"Gone\",\"message\":\"no line of this pod has come for long\"");
    }
    if (p->ip.n > 0) {
        lp_kube_put(out, ",\"podIP\":", p->ip);
        lp_kube_put(out, ",\"podIPs\":[{\"ip\":", p->ip);
        lp_buf_c(out, "}]");
    }
    lp_kube_put_time(out, ",\"startTime\":", p->first_ns);
    lp_buf_c(out, ",\"containerStatuses\":[");
    for (size_t i = 0; i < p->ncontainers; i++) {
        lp_buf_c(out, i > 0 ? "," : "");
        put_container_status(out, p, &p->containers[i], alive);
    }
    lp_buf_c(out, "]}");
}

void
lp_kube_pod_put(struct lp_buf *out, const struct lp_pod *p, const struct lp_kube_eye *eye, bool in_list)
{
    lp_buf_c(out, in_list ? "{" : "{\"kind\":\"Pod\",\"apiVersion\":\"v1\",");
    put_metadata(out, p);
    put_spec(out, p);
    put_status(out, p, eye);
    lp_buf_byte(out, '}');
}

#define PARTIAL "{\"kind\":\"PartialObjectMetadata\",\"apiVersion\":\"meta.k8s.io/v1\","

void
lp_kube_pod_partial_put(struct lp_buf *out, const struct lp_pod *p)
{
    lp_buf_c(out, PARTIAL);
    put_metadata(out, p);
    lp_buf_byte(out, '}');
}

/* --- namespaces --- */

static void
put_namespace_metadata(struct lp_buf *out, struct lp_str name)
{
    char uid[LP_UUID_TEXT + 1];
    lp_kube_make_uid(LP_STR("Namespace"), LP_STR_NULL, name, uid);
    lp_kube_put(out, "\"metadata\":{\"name\":", name);
    lp_buf_printf(out, ",\"uid\":\"%s\",\"resourceVersion\":\"1\",\"creationTimestamp\":null", uid);
    lp_kube_put(out, ",\"labels\":{\"kubernetes.io/metadata.name\":", name);
    lp_buf_c(out, "}}");
}

void
lp_kube_namespace_put(struct lp_buf *out, struct lp_str name, bool in_list)
{
    lp_buf_c(out, in_list ? "{" : "{\"kind\":\"Namespace\",\"apiVersion\":\"v1\",");
    put_namespace_metadata(out, name);
    lp_buf_c(out, ",\"spec\":{},\"status\":{\"phase\":\"Active\"}}");
}

void
lp_kube_namespace_partial_put(struct lp_buf *out, struct lp_str name)
{
    lp_buf_c(out, PARTIAL);
    put_namespace_metadata(out, name);
    lp_buf_byte(out, '}');
}
