/*
 * pod_facts.c - see pod_facts.h.
 */
#include "store/pod_facts.h"

#include <string.h>

#include "base/bytes.h"

enum kind { NOTHING, LABEL, IMAGE, NODE, IP, DEFAULT_CONTAINER, OWNER, OWNER_NAME, TOP_NAME };

/* How agents call them, as names are kept. */
static const struct source {
    struct lp_str name;
    bool prefix; /* what follows is a label's key */
    enum kind kind;
    const char *owner; /* OWNER_NAME, TOP_NAME: its kind */
} sources[] = {
#define S(text)                                                                                              \
    {                                                                                                        \
        text, sizeof(text) - 1                                                                               \
    }
    {S("kubernetes_labels_"), true, LABEL, NULL},
    {S("kubernetes_pod_labels_"), true, LABEL, NULL},
    {S("k8s_pod_labels_"), true, LABEL, NULL},
    {S("k8s_pod_label_"), true, LABEL, NULL},
    {S("kubernetes_container_image"), false, IMAGE, NULL},
    {S("container_image_name"), false, IMAGE, NULL},
    {S("kubernetes_host"), false, NODE, NULL},
    {S("kubernetes_node_name"), false, NODE, NULL},
    {S("kubernetes_pod_node_name"), false, NODE, NULL},
    {S("k8s_node_name"), false, NODE, NULL},
    {S("kubernetes_pod_ip"), false, IP, NULL},
    {S("k8s_pod_ip"), false, IP, NULL},
    {S("kubernetes_annotations_kubectl_kubernetes_io_default_container"), false, DEFAULT_CONTAINER, NULL},
    {S("kubernetes_pod_annotations_kubectl_kubernetes_io_default_container"), false, DEFAULT_CONTAINER, NULL},
    {S("kubernetes_pod_owner"), false, OWNER, NULL},
    {S("kubernetes_replicaset_name"), false, OWNER_NAME, "ReplicaSet"},
    {S("k8s_replicaset_name"), false, OWNER_NAME, "ReplicaSet"},
    {S("kubernetes_statefulset_name"), false, OWNER_NAME, "StatefulSet"},
    {S("k8s_statefulset_name"), false, OWNER_NAME, "StatefulSet"},
    {S("kubernetes_daemonset_name"), false, OWNER_NAME, "DaemonSet"},
    {S("k8s_daemonset_name"), false, OWNER_NAME, "DaemonSet"},
    {S("kubernetes_job_name"), false, OWNER_NAME, "Job"},
    {S("k8s_job_name"), false, OWNER_NAME, "Job"},
    {S("kubernetes_deployment_name"), false, TOP_NAME, "Deployment"},
    {S("k8s_deployment_name"), false, TOP_NAME, "Deployment"},
    {S("kubernetes_cronjob_name"), false, TOP_NAME, "CronJob"},
    {S("k8s_cronjob_name"), false, TOP_NAME, "CronJob"},
};

/* Labels of streams that are no Kubernetes labels. Those of `sources` are none either. */
static const struct lp_str not_labels[] = {
    S("namespace"), S("pod"), S("container"),    S("stream"),  S("node"),  S("node_name"),     S("filename"),
    S("instance"),  S("job"), S("service_name"), S("cluster"), S("level"), S("__quarantine__")};

/* Keys whose values are of one pod, or of the few of a job. */
static const struct lp_str own_labels[] = {S("label/apps_kubernetes_io_pod_index"),
                                           S("label/batch_kubernetes_io_controller_uid"),
                                           S("label/batch_kubernetes_io_job_name"),
                                           S("label/controller_uid"),
                                           S("label/job_name"),
                                           S("label/statefulset_kubernetes_io_pod_name"),
                                           S("label/batch_kubernetes_io_job_completion_index"),
                                           S("ip"),
                                           S("node"),
                                           S("first")};

static const struct lp_str first_name = S("first");
#undef S

/* Most names are told from all of `sources` by their begin. */
static bool
may_be_source(struct lp_str name)
{
    return lp_str_starts(name, LP_STR("kubernetes_")) || lp_str_starts(name, LP_STR("k8s_")) ||
           lp_str_starts(name, LP_STR("container_image"));
}

static const struct source *
source_of(struct lp_str name)
{
    if (!may_be_source(name)) {
        return NULL;
    }
    for (size_t i = 0; i < LP_ARRAY_LEN(sources); i++) {
        const struct source *s = &sources[i];
        if (s->prefix ? name.n > s->name.n && lp_str_starts(name, s->name) : lp_str_eq(name, s->name)) {
            return s;
        }
    }
    return NULL;
}

static bool
fits(struct lp_str s, size_t max)
{
    return s.n <= max && lp_str_find_byte(s, 0) == SIZE_MAX;
}

bool
lp_pod_id_of(const struct lp_stream_key *key, struct lp_pod_id *ret)
{
    *ret = (struct lp_pod_id){lp_stream_key_label(key, LP_STR("namespace")),
                              lp_stream_key_label(key, LP_STR("pod")), key->inst.uid};
    return ret->ns.n > 0 && ret->name.n > 0 && fits(ret->ns, LP_POD_NS_MAX) &&
           fits(ret->name, LP_POD_NAME_MAX) && fits(ret->uid, LP_POD_UID_MAX) &&
           (ret->uid.n == 0 || ret->uid.p[0] != 1); /* FORMAT.md 4.5: a UUID begins so */
}

uint64_t
lp_pod_facts_hash(const uint8_t *meta)
{
    struct lp_meta_iter it = lp_meta_begin(meta);
    struct lp_pair p;
    uint64_t sum = 0;
    while (lp_meta_next(&it, &p)) {
        if (may_be_source(p.name)) { /* pairs come by rising name, so equal ones in the same order */
            sum = sum * UINT64_C(0x9e3779b97f4a7c15) + lp_xxh64(p.name.p, p.name.n) + 1;
            sum = sum * UINT64_C(0x9e3779b97f4a7c15) + lp_xxh64(p.value.p, p.value.n) + 1;
        }
    }
    return sum;
}

/* Where the name is, or belongs. */
static size_t
place_of(const struct lp_pod_facts *f, struct lp_str name)
{
    size_t lo = 0, hi = f->n;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (lp_str_cmp(f->v[mid].name, name) < 0) {
            lo = mid + 1;
        } else {
            hi = mid;
        }
    }
    return lo;
}

static int64_t
time_of(struct lp_str value)
{
    return value.n == 8 ? (int64_t)lp_get_u64(value.p) : LP_TIME_NONE;
}

static struct lp_str
earlier(struct lp_str a, struct lp_str b)
{
    return time_of(b) != LP_TIME_NONE && (time_of(a) == LP_TIME_NONE || time_of(b) < time_of(a)) ? b : a;
}

void
lp_pod_facts_put(struct lp_pod_facts *f, struct lp_str name, struct lp_str value)
{
    size_t at = place_of(f, name);
    if (value.n == 0 || name.n + value.n > LP_POD_FACT_BYTES_MAX) {
        return;
    }
    if (at < f->n && lp_str_eq(f->v[at].name, name)) {
        f->v[at].value = lp_str_eq(name, first_name) ? earlier(f->v[at].value, value) : value;
    } else if (f->n < LP_POD_FACTS_MAX) {
        memmove(f->v + at + 1, f->v + at, (f->n - at) * sizeof(*f->v));
        f->v[at] = (struct lp_pair){name, value};
        f->n++;
    }
}

struct lp_str
lp_pod_fact(const struct lp_pod_facts *f, struct lp_str name)
{
    size_t at = place_of(f, name);
    return at < f->n && lp_str_eq(f->v[at].name, name) ? f->v[at].value : LP_STR_NULL;
}

bool
lp_pod_facts_line(struct lp_pod_facts *f, int64_t time_ns, struct lp_arena *ar)
{
    char *p = lp_arena_bytes(ar, 8);
    if (p == NULL) {
        return false;
    }
    lp_put_u64(p, (uint64_t)time_ns);
    lp_pod_facts_put(f, first_name, lp_str_of(p, 8));
    return true;
}

int64_t
lp_pod_facts_first(const struct lp_pod_facts *f)
{
    return time_of(lp_pod_fact(f, first_name));
}

/* a and b behind each other. */
static bool
join(struct lp_arena *ar, struct lp_str a, struct lp_str b, struct lp_str *ret)
{
    char *p = lp_arena_bytes(ar, a.n + b.n);
    if (p == NULL) {
        return false;
    }
    memcpy(p, a.p, a.n);
    memcpy(p + a.n, b.n > 0 ? b.p : "", b.n);
    *ret = lp_str_of(p, a.n + b.n);
    return true;
}

static bool
put_joined(struct lp_pod_facts *f, const char *name, struct lp_str rest, struct lp_str value,
           struct lp_arena *ar)
{
    struct lp_str whole;
    bool ok = join(ar, lp_str_c(name), rest, &whole);
    if (ok) {
        lp_pod_facts_put(f, whole, value);
    }
    return ok;
}

/* "Kind/name" of a controller. */
static bool
put_owner(struct lp_pod_facts *f, const char *name, const char *kind, struct lp_str value,
          struct lp_arena *ar)
{
    struct lp_str prefix, whole;
    bool ok = join(ar, lp_str_c(kind), LP_STR("/"), &prefix) && join(ar, prefix, value, &whole);
    if (ok) {
        lp_pod_facts_put(f, lp_str_c(name), whole);
    }
    return ok;
}

static bool
learn_pair(struct lp_pod_facts *f, const struct lp_pair *p, struct lp_str container, struct lp_arena *ar)
{
    const struct source *s = source_of(p->name);
    switch (s != NULL ? s->kind : NOTHING) {
    case LABEL:
        return put_joined(f, "label/", lp_str_sub(p->name, s->name.n, p->name.n), p->value, ar);
    case IMAGE:
        return container.n == 0 || put_joined(f, "image/", container, p->value, ar);
    case NODE:
        lp_pod_facts_put(f, LP_STR("node"), p->value);
        break;
    case IP:
        lp_pod_facts_put(f, LP_STR("ip"), p->value);
        break;
    case DEFAULT_CONTAINER:
        lp_pod_facts_put(f, LP_STR("default-container"), p->value);
        break;
    case OWNER:
        lp_pod_facts_put(f, LP_STR("owner"), p->value);
        break;
    case OWNER_NAME:
        return put_owner(f, "owner", s->owner, p->value, ar);
    case TOP_NAME:
        return put_owner(f, "top", s->owner, p->value, ar);
    case NOTHING:
        break;
    }
    return true;
}

bool
lp_pod_facts_learn(const struct lp_stream_key *key, const uint8_t *meta, struct lp_arena *ar,
                   struct lp_pod_facts *f)
{
    struct lp_str container = lp_stream_key_label(key, LP_STR("container"));
    struct lp_meta_iter it = lp_meta_begin(meta);
    struct lp_pair p;
    bool ok = true;
    for (size_t i = 0; i < key->nlabels && ok; i++) {
        const struct lp_pair *l = &key->labels[i];
        if (lp_str_eqc(l->name, "node") || lp_str_eqc(l->name, "node_name")) {
            lp_pod_facts_put(f, LP_STR("node"), l->value);
        } else if (source_of(l->name) != NULL) {
            ok = learn_pair(f, l, container, ar);
        } else if (!lp_str_among(l->name, not_labels, LP_ARRAY_LEN(not_labels))) {
            ok = put_joined(f, "label/", l->name, l->value, ar);
        }
    }
    while (ok && lp_meta_next(&it, &p)) {
        ok = learn_pair(f, &p, container, ar);
    }
    return ok;
}

bool
lp_pod_fact_is_own(const struct lp_pod_id *id, const struct lp_pair *fact)
{
    return lp_str_among(fact->name, own_labels, LP_ARRAY_LEN(own_labels)) ||
           lp_str_find(fact->value, id->name) != SIZE_MAX ||
           (lp_str_eqc(fact->name, "owner") && lp_str_starts(fact->value, LP_STR("Job/")));
}

static bool
is_of_part(const struct lp_pod_id *id, const struct lp_pair *fact, enum lp_pod_facts_part part)
{
    return part == LP_POD_FACTS_ALL || lp_pod_fact_is_own(id, fact) == (part == LP_POD_FACTS_OWN);
}

void
lp_pod_facts_write(const struct lp_pod_id *id, const struct lp_pod_facts *f, enum lp_pod_facts_part part,
                   struct lp_buf *out)
{
    size_t n = 0;
    for (size_t i = 0; i < f->n; i++) {
        n += is_of_part(id, &f->v[i], part);
    }
    if (n == 0) {
        return;
    }
    lp_buf_varint(out, n);
    for (size_t i = 0; i < f->n; i++) {
        if (is_of_part(id, &f->v[i], part)) {
            lp_buf_lpstr(out, f->v[i].name);
            lp_buf_lpstr(out, f->v[i].value);
        }
    }
}

bool
lp_pod_facts_read(struct lp_str bytes, struct lp_pod_facts *f)
{
    struct lp_rd rd = lp_rd_of(bytes);
    uint64_t n = bytes.n > 0 ? lp_rd_varint(&rd) : 0;
    for (uint64_t i = 0; i < n && !rd.bad; i++) {
        struct lp_str name = lp_rd_lpstr(&rd), value = lp_rd_lpstr(&rd);
        if (!rd.bad) {
            lp_pod_facts_put(f, name, value);
        }
    }
    return !rd.bad && lp_rd_left(&rd) == 0;
}
