/*
 * kube_status.h - how a Kubernetes API server says that something went wrong: Status objects. Pure.
 */
#ifndef LP_SERVER_KUBE_STATUS_H
#define LP_SERVER_KUBE_STATUS_H

#include "base/buf.h"

/* What went wrong, in the words and with the details that clients of Kubernetes know. */
struct lp_kube_fault {
    int code;              /* HTTP status; it tells the reason ("NotFound") */
    struct lp_str message;
    /* What it is about; each may be empty. */
    struct lp_str kind, group, name; /* kind: of a fault 422 that of the object, else the plural resource */
    struct lp_str field;   /* 422: which field is wrong */
    struct lp_str cause;   /* 422: and how: "Invalid value: 0: must be greater than 0" */
    const char *cause_reason; /* 422: "FieldValueInvalid" and the like */
};

/* The Status object, with a newline. */
void lp_kube_status_put(struct lp_buf *out, const struct lp_kube_fault *f);
/* "NotFound" of 404; a static string, "" where there is none. */
const char *lp_kube_reason(int code);

#endif
