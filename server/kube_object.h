/*
 * kube_object.h - pods, namespaces and what made pods as objects of Kubernetes, in JSON. Pure.
 *
 * A pod that was silent for long is gone: phase Unknown, its containers terminated. What made a pod is told from its pods alone, so such an object says little
 * more than its name, and a selector that gives exactly its pods.
 */
#ifndef LP_SERVER_KUBE_OBJECT_H
#define LP_SERVER_KUBE_OBJECT_H

#include "query/pods.h"
#include "server/kube_resources.h"
#include "store/uuid.h"

/* When objects are looked at. */
struct lp_kube_eye {
    int64_t now_ns;     /* wall clock */
    int64_t silence_ns; /* a pod is gone when its last line is older */
};

bool lp_kube_alive(const struct lp_kube_eye *eye, int64_t last_ns);
/* "Running" or "Unknown". */
const char *lp_kube_phase(const struct lp_kube_eye *eye, int64_t last_ns);
/* Restarts of all of its containers, and when the last of them began (0: nothing restarted). */
uint32_t lp_kube_restarts(const struct lp_pod *p, int64_t *ret_at_ns);
/* A label of a pod, synthetic ones included: an lp_kube_label_fn. */
struct lp_str lp_kube_pod_label(const void *pod, struct lp_str key);

/* A uid made from what is told: always the same for the same words. */
void lp_kube_make_uid(struct lp_str kind, struct lp_str ns, struct lp_str name, char out[LP_UUID_TEXT + 1]);

/* The pod; without kind and apiVersion where it stands in a list. */
void lp_kube_pod_put(struct lp_buf *out, const struct lp_pod *p, const struct lp_kube_eye *eye, bool in_list);
void lp_kube_pod_partial_put(struct lp_buf *out, const struct lp_pod *p);

void lp_kube_namespace_put(struct lp_buf *out, struct lp_str name, bool in_list);
void lp_kube_namespace_partial_put(struct lp_buf *out, struct lp_str name);

/* What made pods: a Deployment and the like, or a Service that would select them. */
struct lp_kube_owner {
    const struct lp_kube_resource *resource;
    struct lp_str ns, name;
    struct lp_pod_owner by;   /* what made it itself; empty: nothing, or not known */
    struct lp_str select_key; /* the label that its pods have, with its name as value */
    int64_t first_ns, last_ns;
    uint32_t pods, alive;
    const struct lp_str *containers; /* names */
    size_t ncontainers;
};
/* The key of the synthetic label of a kind, "logpond.io/deployment"; services have none: NULL. Static. */
const char *lp_kube_owner_label(enum lp_kube_kind kind);
/* Whether a pod belongs to the object of that kind and name (name empty: to any), and to which. Of services, by label `app`, else app.kubernetes.io/name. */
bool lp_kube_owner_of(const struct lp_pod *p, enum lp_kube_kind kind, struct lp_str name, struct lp_str *ret_name, struct lp_str *ret_key);

void lp_kube_owner_put(struct lp_buf *out, const struct lp_kube_owner *o, bool in_list);
void lp_kube_owner_partial_put(struct lp_buf *out, const struct lp_kube_owner *o);

/* ,"ownerReferences":[..]; nothing where the owner is not known. */
void lp_kube_owner_reference_put(struct lp_buf *out, struct lp_str ns, const struct lp_pod_owner *owner);

/* Pieces that other writers need, too. key stands before the value as it is, quotes and colon included. */
void lp_kube_put(struct lp_buf *out, const char *key, struct lp_str value);
/* "2026-01-02T03:04:05Z" */
void lp_kube_put_time(struct lp_buf *out, const char *key, int64_t ns);

#endif
