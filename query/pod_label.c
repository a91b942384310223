/*
 * pod_label.c - how keys of Kubernetes labels are spelled. Pure.
 *
 * Logpond keeps names in [A-Za-z0-9_] (json_record.h): what a '_' was before is lost. Keys that Kubernetes
 * and its usual tools define are known; others stay as they are kept. Comparing goes by what is kept, so
 * selectors find either spelling.
 */
#include "query/pods.h"

#include <stdlib.h>
#include <string.h>

/* By rising `kept`. */
static const struct known {
    struct lp_str kept, key;
} known[] = {
#define K(kept, key) {{kept, sizeof(kept) - 1}, {key, sizeof(key) - 1}},
    K("app_kubernetes_io_component", "app.kubernetes.io/component") K("app_kubernetes_io_created_by",
                                                                      "app.kubernetes.io/created-by")
        K("app_kubernetes_io_instance", "app.kubernetes.io/instance") K(
            "app_kubernetes_io_managed_by", "app.kubernetes.io/managed-by") K("app_kubernetes_io_name",
                                                                              "app.kubernetes.io/name")
            K("app_kubernetes_io_part_of", "app.kubernetes.io/part-of") K(
                "app_kubernetes_io_version", "app.kubernetes.io/version") K("apps_kubernetes_io_pod_index",
                                                                            "apps.kubernetes.io/pod-index")
                K("batch_kubernetes_io_controller_uid", "batch.kubernetes.io/controller-uid") K(
                    "batch_kubernetes_io_job_completion_index", "batch.kubernetes.io/job-completion-index")
                    K("batch_kubernetes_io_job_name", "batch.kubernetes.io/job-name") K(
                        "controller_revision_hash", "controller-revision-hash") K("controller_uid",
                                                                                  "controller-uid")
                        K("helm_sh_chart", "helm.sh/chart") K("job_name", "job-name") K("k8s_app", "k8s-app")
                            K("pod_template_generation", "pod-template-generation") K("pod_template_hash",
                                                                                      "pod-template-hash")
                                K("statefulset_kubernetes_io_pod_name", "statefulset.kubernetes.io/pod-name")
                                    K("topology_kubernetes_io_region", "topology.kubernetes.io/region")
                                        K("topology_kubernetes_io_zone", "topology.kubernetes.io/zone")
#undef K
};

static int
compare(const void *key, const void *entry)
{
    return lp_str_cmp(*(const struct lp_str *)key, ((const struct known *)entry)->kept);
}

struct lp_str
lp_pod_label_key(struct lp_str kept)
{
    const struct known *k = bsearch(&kept, known, LP_ARRAY_LEN(known), sizeof(*known), compare);
    return k != NULL ? k->key : kept;
}

static char
kept_byte(char c)
{
    bool stays = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    return stays ? c : '_';
}

bool
lp_pod_label_same(struct lp_str a, struct lp_str b)
{
    bool same = a.n == b.n;
    for (size_t i = 0; i < a.n && same; i++) {
        same = kept_byte(a.p[i]) == kept_byte(b.p[i]);
    }
    return same;
}

static struct lp_str
find(const struct lp_pod *p, struct lp_str key)
{
    for (size_t i = 0; i < p->nlabels; i++) {
        if (lp_pod_label_same(p->labels[i].name, key)) {
            return p->labels[i].value;
        }
    }
    return LP_STR_NULL;
}

/* What names an application; decoders make the label `app` of it where there is no other (contracts B.6). */
static bool
is_app_name(struct lp_str key)
{
    return lp_pod_label_same(key, LP_STR("app.kubernetes.io/name"));
}

struct lp_str
lp_pod_label(const struct lp_pod *p, struct lp_str key)
{
    struct lp_str value = find(p, key);
    return value.p == NULL && is_app_name(key) ? find(p, LP_STR("app")) : value;
}

bool
lp_pod_label_fact(struct lp_arena *ar, struct lp_str key, struct lp_str *ret)
{
    static const struct lp_str prefix = {"label/", 6};
    char *p = lp_arena_bytes(ar, prefix.n + key.n);
    if (p == NULL || is_app_name(key)) {
        return false;
    }
    memcpy(p, prefix.p, prefix.n);
    for (size_t i = 0; i < key.n; i++) {
        p[prefix.n + i] = kept_byte(key.p[i]);
    }
    *ret = lp_str_of(p, prefix.n + key.n);
    return true;
}
