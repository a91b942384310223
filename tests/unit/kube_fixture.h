/*
 * kube_fixture.h - a hand-made pod, and a look into JSON, for the tests of the Kubernetes API.
 */
#ifndef LP_KUBE_FIXTURE_H
#define LP_KUBE_FIXTURE_H

#include "base/buf.h"
#include "base/clock.h"
#include "query/pods.h"

/* The moment at which everything is looked at, 2026-01-02T03:04:05Z, and a pod of the Deployment `api` with two containers: api, which restarted twice, and sidecar. */
#define LP_KUBE_NOW (INT64_C(1767323045) * LP_NS_PER_S)
extern const struct lp_pod lp_kube_test_pod;

/* Whether the text is one JSON document in which the value by this path ("metadata.name", "items.0.kind") is this: strings unquoted, others as they are written. */
bool lp_kube_json_has(const struct lp_buf *text, const char *path, const char *value);
/* Whether it is one JSON document. */
bool lp_kube_json_ok(const struct lp_buf *text);

#endif
