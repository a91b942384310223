/*
 * exec_service.c - the label service_name, which Loki's clients rely on: where a stream does not bring it, it
 * is derived from the first of a list of labels. It is never stored; selectors, results and label lists see
 * it.
 */
#include <string.h>

#include "query/exec_int.h"

/* In Loki's order of preference. */
static const char *const sources[] = {
    "service",
    "app",
    "application",
    "app_name",
    "name",
    "app_kubernetes_io_name",
    "container",
    "container_name",
    "k8s_container_name",
    "component",
    "workload",
    "job",
    "k8s_job_name",
};

static struct lp_str
derive(const struct lp_pair *labels, size_t n)
{
    for (size_t i = 0; i < LP_ARRAY_LEN(sources); i++) {
        struct lp_str value = lp_labels_get(labels, n, lp_str_c(sources[i]));
        if (value.n > 0) {
            return value;
        }
    }
    return LP_STR("unknown_service");
}

size_t
lp_stream_labels(const struct lp_pair *labels, size_t n, struct lp_pair ret[LP_STREAM_LABELS_MAX])
{
    const struct lp_str name = LP_STR(LP_SERVICE_LABEL);
    size_t at = 0;
    while (at < n && lp_str_cmp(labels[at].name, name) < 0) {
        at++;
    }
    memcpy(ret, labels, at * sizeof(*ret));
    if (at < n && lp_str_eq(labels[at].name, name)) {
        memcpy(ret + at, labels + at, (n - at) * sizeof(*ret));
        return n;
    }
    ret[at] = (struct lp_pair){name, derive(labels, n)};
    memcpy(ret + at + 1, labels + at, (n - at) * sizeof(*ret));
    return n + 1;
}
