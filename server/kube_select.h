/*
 * kube_select.h - label and field selectors of Kubernetes. Pure.
 *
 * Keys of labels are compared as Logpond keeps them (lp_pod_label_same); that is the look-up's doing. What is parsed borrows from the text.
 */
#ifndef LP_SERVER_KUBE_SELECT_H
#define LP_SERVER_KUBE_SELECT_H

#include "base/arena.h"
#include "base/err.h"

enum lp_kube_op {
    LP_KUBE_IN,     /* there, and one of the values */
    LP_KUBE_NOT_IN, /* not there, or none of the values */
    LP_KUBE_THERE,
    LP_KUBE_NOT_THERE,
};

struct lp_kube_requirement {
    struct lp_str key;
    enum lp_kube_op op;
    struct lp_str *values;
    size_t nvalues;
};

/* All of them hold; none: everything. */
struct lp_kube_labels {
    struct lp_kube_requirement *v;
    size_t n;
};

/* "app=api,tier in (a, b),!old". LP_ERR_PARSE with what a client is to be told; LP_ERR_LIMIT: the arena is spent. */
lp_rc lp_kube_labels_parse(struct lp_str text, struct lp_arena *ar, struct lp_kube_labels *ret, struct lp_err *err) LP_MUST_USE;
/* value: of a label by its key, {NULL,0} where there is none. */
typedef struct lp_str lp_kube_label_fn(const void *arg, struct lp_str key);
bool lp_kube_labels_match(const struct lp_kube_labels *l, lp_kube_label_fn *value, const void *arg);

enum lp_kube_field { LP_KUBE_FIELD_NAME, LP_KUBE_FIELD_NAMESPACE, LP_KUBE_FIELD_NODE, LP_KUBE_FIELD_PHASE, LP_KUBE_NFIELDS };

struct lp_kube_term {
    enum lp_kube_field field;
    bool is_not;
    struct lp_str value;
};

/* All of them hold; none: everything. */
struct lp_kube_fields {
    struct lp_kube_term *v;
    size_t n;
};

/* "metadata.name=x,status.phase!=Running". pods: spec.nodeName and status.phase are fields, too. Errors as above. */
lp_rc lp_kube_fields_parse(struct lp_str text, bool pods, struct lp_arena *ar, struct lp_kube_fields *ret, struct lp_err *err) LP_MUST_USE;
/* Whether the terms about this field hold for a value. */
bool lp_kube_fields_match(const struct lp_kube_fields *f, enum lp_kube_field field, struct lp_str value);
/* The value that the field has to have; {NULL,0}: that is not told. */
struct lp_str lp_kube_fields_exact(const struct lp_kube_fields *f, enum lp_kube_field field);

#endif
