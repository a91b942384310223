/*
 * pods_int.h - inside pods: pods.c (which pods, in order), pods_build.c (objects out of streams), pod_owner.c (who made a pod), pod_label.c (how
 * keys of labels are spelled).
 */
#ifndef LP_QUERY_PODS_INT_H
#define LP_QUERY_PODS_INT_H

#include "query/pods.h"

/* A stream of a pod, with rows in the range. Strings are the view's, or in the result's arena. */
struct lp_pod_stream {
    struct lp_str ns, name, uid, container, run;
    const struct lp_stream_key *key;
    int64_t min_ns, max_ns;
};

/* --- pods_build.c --- */

/*
 * The pod of streams v[0..n) (at least one), which have one namespace and name: the newest one, or that with the uid. Their order is changed. False:
 * ar is spent. *ret_any false: there is none with the uid. Containers are not there yet: v[0 .. *ret_n) are the pod's streams, for lp_pod_containers.
 */
bool lp_pod_build(struct lp_pod_stream *v, size_t n, struct lp_str uid, struct lp_arena *ar, struct lp_pod *ret, size_t *ret_n,
                  bool *ret_any) LP_MUST_USE;
/* Fills containers and times. False: ar is spent. */
bool lp_pod_containers(struct lp_pod_stream *v, size_t n, struct lp_arena *ar, struct lp_pod *ret) LP_MUST_USE;

/* --- pod_owner.c --- */

/* Sets owner and top from what is known: facts first, then labels that controllers give, then the name. told: "Kind/name" of a sender, or empty. False: ar is spent. */
bool lp_pod_owners(struct lp_str told, struct lp_arena *ar, struct lp_pod *p) LP_MUST_USE;

#endif
