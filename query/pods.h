/*
 * pods.h - pods as objects: which ran, with which containers, when and where, told from what their lines brought with them.
 *
 * A pod is (namespace, name, uid). What is known of it comes from its streams (labels namespace, pod, container, stream, node; the instance),
 * and from what the catalog has learned of its metadata (store/pod_facts.h). Pods whose lines have all expired are not there.
 *
 * One name, several uids (a StatefulSet's pod that was made again): the pod is the one whose last line is the newest; the others are in `earlier`. Lines
 * without a uid belong to the newest.
 *
 * A container's **runs** are what ran one after the other: by container id, or by restart number. They are numbered by first line from 0; where
 * senders say restart numbers, by those. Lines of senders that say neither are a run without an id, number 0 if it is the only one.
 *
 * Order: by (namespace, name). Threads: a query runs on the calling thread.
 */
#ifndef LP_QUERY_PODS_H
#define LP_QUERY_PODS_H

#include "base/arena.h"
#include "query/exec.h"

struct lp_pod_run {
    struct lp_str id; /* container id, or restart number as text; empty: not told */
    uint32_t number;
    int64_t first_ns, last_ns; /* of its lines that are there; bounds, up to a minute or two wide, where blocks would have to be read. The order of runs is exact */
};

struct lp_pod_container {
    struct lp_str name, image; /* image empty: not known */
    const struct lp_pod_run *runs; /* by rising number; at least one */
    size_t nruns;
};

/* Kinds are those of Kubernetes ("ReplicaSet"); empty: not known. */
struct lp_pod_owner {
    struct lp_str kind, name;
};

struct lp_pod {
    struct lp_str ns, name;
    struct lp_str uid; /* empty: not known */
    struct lp_str node, ip, default_container; /* empty: not known */
    const struct lp_pair *labels; /* Kubernetes labels, by rising name, spelled as Kubernetes does as far as that is told (lp_pod_label_key) */
    size_t nlabels;
    struct lp_pod_owner owner; /* what made it */
    struct lp_pod_owner top;   /* what made that: the Deployment of a ReplicaSet, the CronJob of a Job; else as owner */
    const struct lp_pod_container *containers; /* by rising name; none where only facts are known (lp_pods_query.wants) */
    size_t ncontainers;
    int64_t first_ns; /* of its first line, also where that has expired */
    int64_t last_ns;  /* of its last line; a bound as those of runs, unless it is to be exact */
    const struct lp_str *earlier; /* uids of pods of this name before it, newest first */
    size_t nearlier;
};

#define LP_PODS_PAGE_MAX 1000

struct lp_pods_query {
    struct lp_store *store;
    struct lp_str tenant;
    struct lp_str ns;     /* empty: all */
    struct lp_str name;   /* empty: all */
    struct lp_str prefix; /* of the name, in place of it; empty: any */
    struct lp_str uid;    /* with a name: this one, in place of the newest; empty: the newest */
    struct lp_str after_ns, after_name; /* only pods behind this one; both empty: all */
    int64_t from_ns, to_ns; /* pods with lines in [from, to) */
    bool exact;             /* last_ns of pods is to be exact: a look into blocks for each */
    size_t limit;           /* most pods, >= 1; more than LP_PODS_PAGE_MAX count as that */
    /* Which pods are wanted, told from names, labels, owners, node; containers, first_ns and last_ns are not there yet. NULL: all. */
    bool (*wants)(void *arg, const struct lp_pod *p);
    void *arg;
    /* What the pods that are wanted have for certain (pod_facts.h): others are passed over quickly, as far as is told; `wants` has the last word. */
    const struct lp_pair *facts;
    size_t nfacts;
    struct lp_arena_share *share; /* memory of all queries together; NULL: no limit */
    size_t budget_bytes;
    int64_t deadline_ns; /* lp_mono_ns clock */
    const _Atomic bool *cancel; /* may be NULL */
};

struct lp_pods {
    struct lp_pod *v;
    size_t n;
    bool more;               /* there may be pods behind the last one looked at: (next_ns, next_name) go into after_ns, after_name */
    struct lp_str next_ns, next_name;
    uint64_t damaged;
    struct lp_arena ar; /* owned */
};

/* LP_ERR_LIMIT, LP_ERR_BUSY, LP_ERR_TIMEOUT, LP_ERR_CANCELED, LP_ERR_CORRUPT, LP_ERR_IO. To be cleared in any case. */
lp_rc lp_pods_find(const struct lp_pods_query *q, struct lp_pods *ret, struct lp_err *err) LP_MUST_USE;
void lp_pods_clear(struct lp_pods *p);
/* The pod with this name, where all are of one namespace; NULL: there is none. */
const struct lp_pod *lp_pods_named(const struct lp_pods *p, struct lp_str name);

/* Names of namespaces that have pods, sorted. Errors as above; q->name, limit and the like do not count. */
lp_rc lp_pods_namespaces(const struct lp_pods_query *q, struct lp_names *ret, struct lp_err *err) LP_MUST_USE;

/*
 * A label's key as Kubernetes spells it, from how Logpond keeps it (bytes beyond [A-Za-z0-9_] became '_'): "app_kubernetes_io_name" is
 * "app.kubernetes.io/name". Keys that are not well known stay as they are. Static or borrowed.
 */
struct lp_str lp_pod_label_key(struct lp_str kept);
/* Whether two keys are the same to Logpond: equal once both are spelled with '_'. */
bool lp_pod_label_same(struct lp_str a, struct lp_str b);
/* The label's value by its key in any spelling; {NULL,0} when absent. app.kubernetes.io/name is `app` where it is not there itself. */
struct lp_str lp_pod_label(const struct lp_pod *p, struct lp_str key);
/* The name of the fact that the label is, in ar; false where it may be another one, or ar is spent. */
bool lp_pod_label_fact(struct lp_arena *ar, struct lp_str key, struct lp_str *ret);

#endif
