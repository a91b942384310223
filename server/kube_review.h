/*
 * kube_review.h - whether a client may do something, which k9s asks before it does anything: it may read what there is. Pure.
 */
#ifndef LP_SERVER_KUBE_REVIEW_H
#define LP_SERVER_KUBE_REVIEW_H

#include "base/buf.h"
#include "base/err.h"

#define LP_KUBE_REVIEW_PATH "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"

/* Appends the answer to a SelfSubjectAccessReview (JSON, or protobuf as clients of Go send it), as JSON. body: LP_JSON_PAD readable bytes stand behind it. LP_ERR_PARSE: it is none. */
lp_rc lp_kube_review_put(struct lp_buf *out, struct lp_str body, struct lp_err *err) LP_MUST_USE;

#endif
