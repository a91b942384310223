/*
 * kube_resources.h - what the Kubernetes API of this server has: its resources, the paths that name them, and the discovery documents
 * that tell of them. Pure.
 */
#ifndef LP_SERVER_KUBE_RESOURCES_H
#define LP_SERVER_KUBE_RESOURCES_H

#include "base/buf.h"

enum lp_kube_kind {
    LP_KUBE_PODS,
    LP_KUBE_NAMESPACES,
    LP_KUBE_SERVICES,
    LP_KUBE_EVENTS,
    LP_KUBE_DEPLOYMENTS,
    LP_KUBE_REPLICASETS,
    LP_KUBE_STATEFULSETS,
    LP_KUBE_DAEMONSETS,
    LP_KUBE_JOBS,
    LP_KUBE_CRONJOBS,
    LP_KUBE_KINDS
};

struct lp_kube_resource {
    enum lp_kube_kind id;
    const char *group; /* "" for core */
    const char *name, *singular, *kind;
    const char *shorts[3]; /* short names, NULL at the end */
    bool namespaced;
    bool all; /* among those of `kubectl get all` */
};

const struct lp_kube_resource *lp_kube_resource(enum lp_kube_kind id);
/* By any of its names, the short ones included, in any group; NULL. */
const struct lp_kube_resource *lp_kube_resource_named(struct lp_str name);
/* "apps/v1", "v1". Static. */
const char *lp_kube_api_version(const struct lp_kube_resource *r);
/* The API version of a kind as owner references say it ("ReplicaSet": "apps/v1"); "v1" where it is not known. Static. */
const char *lp_kube_kind_version(struct lp_str kind);

enum lp_kube_what {
    LP_KUBE_NOTHING,    /* there is no such path */
    LP_KUBE_API,        /* /api */
    LP_KUBE_APIS,       /* /apis */
    LP_KUBE_GROUP,      /* /apis/apps */
    LP_KUBE_VERSION,    /* /api/v1, /apis/apps/v1: its resources */
    LP_KUBE_LIST,       /* of a resource, in one namespace or all */
    LP_KUBE_GET,        /* of one object */
    LP_KUBE_POD_LOG,    /* .../pods/NAME/log */
    LP_KUBE_LOG,        /* .../namespaces/NS/log: of several pods */
};

struct lp_kube_path {
    enum lp_kube_what what;
    const char *group;                        /* of GROUP and VERSION; "" for core */
    const struct lp_kube_resource *resource;  /* LIST, GET */
    struct lp_str ns, name;                   /* empty where the path has none; borrowed */
};

/* path: decoded as a whole, as API servers do, so that an encoded slash is a slash. Dot segments are names like others. */
void lp_kube_path_parse(struct lp_str path, struct lp_kube_path *ret);

/* Which form of a discovery document is wanted. */
enum lp_kube_discovery { LP_KUBE_PLAIN, LP_KUBE_AGGREGATED_V2, LP_KUBE_AGGREGATED_V2BETA1 };
enum lp_kube_discovery lp_kube_discovery_form(struct lp_str accept);
const char *lp_kube_discovery_type(enum lp_kube_discovery form); /* Content-Type */
/* The document of an API, APIS, GROUP or VERSION path. GROUP and VERSION have one form. */
void lp_kube_discovery_put(struct lp_buf *out, const struct lp_kube_path *p, enum lp_kube_discovery form);

#endif
