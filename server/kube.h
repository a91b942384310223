/*
 * kube.h - the Kubernetes API of the server: reading what ran, and its logs, with kubectl and other clients of Kubernetes.
 *
 * A call is one request. A handler owns the call that it gets: it answers, or gives it to a thread of its own (lp_kube_go_on), and ends it
 * in either case. Handlers begin on query workers, with a place among queries.
 */
#ifndef LP_SERVER_KUBE_H
#define LP_SERVER_KUBE_H

#include "query/pods.h"
#include "query/turn.h"
#include "server/kube_log.h"
#include "server/kube_resources.h"
#include "server/kube_select.h"
#include "server/kube_status.h"
#include "server/kube_table.h"
#include "server/kube_token.h"
#include "server/server.h"

/* What a list asks for. */
/* Lines of a pod may come so late and still be noticed by a watch, or a follow of several pods. */
#define LP_KUBE_LATE_NS (60 * LP_NS_PER_S)

#define LP_KUBE_FACTS 8

struct lp_kube_list {
    struct lp_kube_labels labels;
    struct lp_kube_fields fields;
    struct lp_pair facts[LP_KUBE_FACTS]; /* that follow of them: lp_pods_query */
    size_t nfacts;
    size_t limit; /* 0: all */
    struct lp_str after_ns, after_name;
    bool some; /* of those that were found so far */
    bool watch;
    int64_t since_ns;   /* resourceVersion of a watch; 0: what there is comes first */
    int64_t timeout_ns; /* of a watch */
};

struct lp_kube_call {
    struct lp_http_req *req;
    struct lp_server *s;
    struct lp_str tenant;
    const struct lp_pair *params;
    size_t nparams;
    struct lp_kube_path path;
    bool table; /* objects are wanted as tables */
    enum lp_kube_include include;
    struct lp_kube_eye eye;
    struct lp_kube_list list;
    struct lp_arena ar;   /* what parameters become */
    struct lp_arena page; /* what is known from one page to the next */
    struct lp_err err;
    struct lp_turn turn; /* on a thread of its own */
    struct lp_buf text;  /* what is to be sent next */
    void (*go_on)(struct lp_kube_call *c);
    void *state; /* the handler's; NULL: none */
    void (*free_state)(void *state);
};

typedef void lp_kube_fn(struct lp_kube_call *c);

/* Frees the call, whose request has been answered. */
void lp_kube_end(struct lp_kube_call *c);
/* Frees the handler's state, as _end does. For what looks at the request, before it is answered. */
void lp_kube_end_state(struct lp_kube_call *c);
/* Goes on with the call on a thread of its own; 429 where there are too many: then it has been answered and ended. */
void lp_kube_go_on(struct lp_kube_call *c, lp_kube_fn *fn);
/* A place among queries for as long as the store is read; on query workers the call has one. */
void lp_kube_work_begin(struct lp_kube_call *c);
void lp_kube_work_end(struct lp_kube_call *c);

/* --- answers, each of which ends the call --- */

void lp_kube_fault(struct lp_kube_call *c, const struct lp_kube_fault *f);
/* By c->err. */
void lp_kube_fail(struct lp_kube_call *c, lp_rc rc);
/* `pods "x" not found`. Of pods and their logs: where a live cluster is known it is asked (--kube-api). */
void lp_kube_not_found(struct lp_kube_call *c, const struct lp_kube_resource *r, struct lp_str name);
/* There is no such path. */
void lp_kube_no_path(struct lp_kube_call *c);
/* c->text, as JSON. */
void lp_kube_reply(struct lp_kube_call *c);

/* An error before there is a call: the server starts, or is busy. */
void lp_kube_refuse(struct lp_http_req *req, int status, const char *text);

/* --- parameters --- */

/* The first of this name; {NULL,0} when it is missing. */
struct lp_str lp_kube_param(const struct lp_kube_call *c, const char *name);
/* c->list. LP_ERR_PARSE, LP_ERR_LIMIT. */
lp_rc lp_kube_list_params(struct lp_kube_call *c) LP_MUST_USE;

/* --- pods --- */

/* A query about all pods of the path's namespace, with the call's limits. */
struct lp_pods_query lp_kube_pods_query(struct lp_kube_call *c);
/* The same, narrowed to c->list. */
struct lp_pods_query lp_kube_list_query(struct lp_kube_call *c);
/* Its `wants`: list is a struct lp_kube_list. */
bool lp_kube_list_wants(void *list, const struct lp_pod *p);
/* status.phase, which lp_kube_list_query cannot look at. */
bool lp_kube_list_phase(const struct lp_kube_call *c, const struct lp_pod *p);

/* --- handlers --- */

lp_kube_fn lp_kube_list_pods, lp_kube_get_pod;
lp_kube_fn lp_kube_list_namespaces, lp_kube_get_namespace;
lp_kube_fn lp_kube_list_owners, lp_kube_get_owner;
lp_kube_fn lp_kube_list_events;
lp_kube_fn lp_kube_watch_pods, lp_kube_watch_nothing;
lp_kube_fn lp_kube_log;

extern const struct lp_work_route lp_kube_routes[];
extern const size_t lp_kube_nroutes;

#endif
