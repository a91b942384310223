/*
 * pods_int.h - inside pods: pods.c (which pods, in order), pods_build.c (objects out of streams), pod_owner.c (who made a pod), pod_label.c (how
 * keys of labels are spelled).
 */
#ifndef LP_QUERY_PODS_INT_H
#define LP_QUERY_PODS_INT_H

#include "query/pods.h"

/* A stream of a pod, with rows in the range. Strings are the view's. */
struct lp_pod_stream {
    struct lp_str ns, name, uid, container, run;
    const struct lp_stream_key *key;
    const uint8_t *meta; /* of a row in the head; NULL: none is known */
    int64_t min_ns, max_ns;
};

/* --- pods_build.c: functions return false where ar is spent --- */

/*
 * Chooses the pod of streams v[0..n) (at least one), which have one namespace and name: the newest one, or that with the uid. Sets names, uid and
 * `earlier`. Its streams are moved to the front, the latest last: *ret_n of them. *ret_any false: there is none with the uid.
 */
bool lp_pod_build(struct lp_pod_stream *v, size_t n, struct lp_str uid, struct lp_arena *ar, struct lp_pod *ret, size_t *ret_n,
                  bool *ret_any) LP_MUST_USE;
/* Sets what facts tell: labels, owners, node and the like. */
bool lp_pod_describe(const struct lp_pod_facts *f, struct lp_arena *ar, struct lp_pod *ret) LP_MUST_USE;
/* Sets containers and times. The order of v is changed. */
bool lp_pod_containers(struct lp_pod_stream *v, size_t n, const struct lp_pod_facts *f, struct lp_arena *ar,
                       struct lp_pod *ret) LP_MUST_USE;

/* --- pod_runs.c --- */

/* Puts runs (at least one) into order, and numbers them. */
void lp_pod_number_runs(struct lp_pod_run *v, size_t n);
/* Does so again by the times of lines, where bounds do not tell the order of a container's runs. */
lp_rc lp_pod_order_runs(const struct lp_pods_query *q, const struct lp_pod *p, const struct lp_pod_container *c,
                        struct lp_err *err) LP_MUST_USE;

/* Sets when its last line was, exactly. */
lp_rc lp_pod_last_line(const struct lp_pods_query *q, struct lp_pod *p, struct lp_err *err) LP_MUST_USE;

/* --- pod_owner.c --- */

/* Sets owner and top from what is known: what senders told ("Kind/name", or empty), then labels that controllers give, then the name. False: ar is spent. */
bool lp_pod_owners(struct lp_str owner, struct lp_str top, struct lp_arena *ar, struct lp_pod *p) LP_MUST_USE;

#endif
