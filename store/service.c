/*
 * service.c - what service_name is made of. See service.h.
 */
#include "store/service.h"

#include <string.h>

#include "base/bytes.h"

#define SOURCE(name)                                                                                         \
    {                                                                                                        \
        name, sizeof(name) - 1                                                                               \
    }

/* In Loki's order of preference. */
const struct lp_str lp_service_sources[] = {
    SOURCE("service"),
    SOURCE("app"),
    SOURCE("application"),
    SOURCE("app_name"),
    SOURCE("name"),
    SOURCE("app_kubernetes_io_name"),
    SOURCE("container"),
    SOURCE("container_name"),
    SOURCE("k8s_container_name"),
    SOURCE("component"),
    SOURCE("workload"),
    SOURCE("job"),
    SOURCE("k8s_job_name"),
};
const size_t lp_service_nsources = LP_ARRAY_LEN(lp_service_sources);

struct lp_str
lp_labels_get(const struct lp_pair *labels, size_t n, struct lp_str name)
{
    size_t from = 0, to = n;
    while (from < to) {
        size_t mid = from + (to - from) / 2;
        int order = lp_str_cmp(labels[mid].name, name);
        if (order == 0) {
            return labels[mid].value;
        }
        if (order < 0) {
            from = mid + 1;
        } else {
            to = mid;
        }
    }
    return LP_STR_NULL;
}

static struct lp_str
derive(const struct lp_pair *labels, size_t n)
{
    for (size_t i = 0; i < lp_service_nsources; i++) {
        struct lp_str value = lp_labels_get(labels, n, lp_service_sources[i]);
        if (value.n > 0) {
            return value;
        }
    }
    return LP_STR(LP_SERVICE_UNKNOWN);
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

struct lp_str
lp_service_name(const struct lp_pair *labels, size_t n)
{
    struct lp_str own = lp_labels_get(labels, n, LP_STR(LP_SERVICE_LABEL));
    return own.p != NULL ? own : derive(labels, n);
}

bool
lp_key_own_labels(struct lp_str key, struct lp_str *ret_tenant, struct lp_pair ret[LP_LABELS_MAX],
                  size_t *ret_n)
{
    struct lp_rd rd = lp_rd_of(key);
    *ret_tenant = lp_rd_lpstr(&rd);
    uint64_t n = lp_rd_varint(&rd);
    if (n > LP_LABELS_MAX) {
        return false;
    }
    for (uint64_t i = 0; i < n; i++) {
        ret[i].name = lp_rd_lpstr(&rd);
        ret[i].value = lp_rd_lpstr(&rd);
    }
    *ret_n = (size_t)n;
    return !rd.bad;
}

bool
lp_key_labels(struct lp_str key, struct lp_str *ret_tenant, struct lp_pair ret[LP_STREAM_LABELS_MAX],
              size_t *ret_n)
{
    struct lp_pair own[LP_LABELS_MAX];
    size_t n;
    bool ok = lp_key_own_labels(key, ret_tenant, own, &n);
    if (ok) {
        *ret_n = lp_stream_labels(own, n, ret);
    }
    return ok;
}
