/*
 * kube_log.h - what a request for logs asks for, and which streams that is. Pure.
 *
 * Parameters are checked, and refused, as API servers do. What is Logpond's own: uid, restart, untilTime, match, regex, format, prefix; and the log
 * of several pods at once, with target, labelSelector, fieldSelector.
 */
#ifndef LP_SERVER_KUBE_LOG_H
#define LP_SERVER_KUBE_LOG_H

#include "query/podlog.h"
#include "query/pods.h"
#include "server/kube_resources.h"
#include "server/kube_status.h"

struct lp_kube_log_ask {
    struct lp_str container, uid; /* empty: not told */
    bool follow, previous, timestamps, json, prefix;
    bool all_runs;
    bool one_run; /* number `run` */
    uint32_t run;
    int64_t from_ns, to_ns;
    size_t tail; /* LP_PODLOG_ALL */
    uint64_t limit_bytes; /* UINT64_MAX */
    struct lp_str stream; /* "stdout", "stderr", empty: both */
    const struct lp_str *contains, *regexes;
    size_t ncontains, nregexes;
    /* Of several pods. */
    bool several;
    const struct lp_str *targets; /* "pod", "deploy/name" */
    size_t ntargets;
};

/* A flag as API servers read them: what is neither "false" nor "0" is true. */
bool lp_kube_flag(const struct lp_pair *params, size_t n, const char *name);
/* name: the pod's, for the words of a refusal, whose texts are in ar. False: *fault says why. */
bool lp_kube_log_params(const struct lp_pair *params, size_t n, struct lp_str name, bool several, int64_t now_ns, struct lp_arena *ar,
                        struct lp_kube_log_ask *ret, struct lp_kube_fault *fault);

/* A target: a pod, or what made pods. False: it is none. */
bool lp_kube_log_target(struct lp_str text, const struct lp_kube_resource **ret_resource, struct lp_str *ret_name);
/* Whether the pod is one of the targets; none: yes. */
bool lp_kube_log_targeted(const struct lp_kube_log_ask *ask, const struct lp_pod *p);

/* Wants, growing in an arena. */
struct lp_kube_wants {
    struct lp_podlog_want *v;
    size_t n, cap;
    struct lp_arena *ar;
};

/* Of several containers the last of these that one of them has counts. */
enum lp_kube_picked {
    LP_KUBE_PICK_NONE, /* of several: the pod has no such container or run */
    LP_KUBE_PICKED,
    LP_KUBE_PICK_EARLIER, /* previous: the pod's earlier uid has it, lp_kube_log_pick_earlier */
    LP_KUBE_PICK_FAULT,
};
/* What the ask wants of a pod. newest: of the pods of its name, it is the newest. *fault says what is wrong. Wants borrow from the pod. */
enum lp_kube_picked lp_kube_log_pick(const struct lp_kube_log_ask *ask, const struct lp_pod *p, bool newest, struct lp_kube_wants *wants,
                                     struct lp_kube_fault *fault);
/* Whether the run that is wanted is its container's newest. */
bool lp_kube_log_is_newest(const struct lp_pod *p, const struct lp_podlog_want *want);
/* The last runs of the containers in the earlier pod of the name that lp_kube_log_pick asked for. Wants borrow from `now`. */
enum lp_kube_picked lp_kube_log_pick_earlier(const struct lp_kube_log_ask *ask, const struct lp_pod *now, const struct lp_pod *earlier,
                                             struct lp_kube_wants *wants, struct lp_kube_fault *fault);

/* --- lines --- */

/* Appends the lines of a page in the form that is asked for. pods: those that were picked, by rising name, for the numbers of their runs. */
void lp_kube_log_lines(struct lp_buf *out, const struct lp_kube_log_ask *ask, const struct lp_found *page, const struct lp_pods *pods);
/* Whether the run of every line is one of the pods'. */
bool lp_kube_log_knows(const struct lp_found *page, const struct lp_pods *pods);
/* Whether there is a pod of this name and uid (uid empty: of any). */
bool lp_kube_log_has(const struct lp_pods *pods, struct lp_str name, struct lp_str uid);
/* {"warning":"..."} */
void lp_kube_log_warning(struct lp_buf *out, const char *text);

#endif
