/*
 * kube_log_find.h - the pods whose logs are asked for, and which of their streams. On query workers, or a thread of the call's own.
 */
#ifndef LP_SERVER_KUBE_LOG_FIND_H
#define LP_SERVER_KUBE_LOG_FIND_H

#include "server/kube.h"

/* Pods by rising name. Of several that are found by their lines in a range, all that is known of them is asked for then, where it is needed. */
struct lp_kube_log_pods {
    struct lp_pods found;
    struct lp_pods whole; /* what pods of `found` borrow from */
};

/* Which pods are looked for: from_ns, and except (which may be NULL): pods for which it is true are left out. */
struct lp_kube_log_find {
    struct lp_kube_call *c;
    const struct lp_kube_log_ask *ask;
    int64_t from_ns;
    bool (*except)(void *arg, const struct lp_pod *p);
    void *arg;
};

/* To be cleared in any case. *ret_known false: there are no such pods, in whatever range. */
lp_rc lp_kube_log_find(struct lp_kube_log_find *f, struct lp_kube_log_pods *ret, bool *ret_known) LP_MUST_USE;
void lp_kube_log_pods_clear(struct lp_kube_log_pods *p);
/* What is known of the pods now; on an error they stay as they were. */
void lp_kube_log_renew(struct lp_kube_call *c, struct lp_kube_log_pods *p);
/* When the last of their lines came; LP_TIME_MIN: none. */
int64_t lp_kube_log_last(const struct lp_kube_log_pods *p);
/* What the ask wants of them. fault->code is set where that cannot be; without a fault there may be no wants. Wants borrow from the pods. */
lp_rc lp_kube_log_wants(struct lp_kube_call *c, const struct lp_kube_log_ask *ask, const struct lp_kube_log_pods *p, struct lp_kube_wants *wants,
                        struct lp_kube_fault *fault) LP_MUST_USE;

#endif
