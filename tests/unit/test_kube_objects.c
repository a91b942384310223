/*
 * test_kube_objects.c - pods and what made them as objects and as rows of tables. Oracle: by hand.
 */
#include "server/kube_table.h"
#include "tests/unit/kube_fixture.h"
#include "tests/unit/unit.h"

#include <stdio.h>

static const struct lp_kube_eye near = {LP_KUBE_NOW, 3600 * LP_NS_PER_S};
static const struct lp_kube_eye far = {LP_KUBE_NOW + 86400 * LP_NS_PER_S, 3600 * LP_NS_PER_S};

struct expected {
    const char *at, *value;
};

static void
expect(const struct lp_buf *b, const struct expected *e, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (!lp_kube_json_has(b, e[i].at, e[i].value)) {
            printf("\n%s is not %s in %.*s\n", e[i].at, e[i].value, (int)b->n, b->p);
            CU_FAIL("not as expected");
        }
    }
}

static void
writes_a_pod(void)
{
    static const struct expected alive[] = {
        {"kind", "Pod"},
        {"metadata.name", "api-7d4b9c6f5-bbbbb"},
        {"metadata.uid", "u-new"},
        {"metadata.creationTimestamp", "2026-01-02T01:34:05Z"},
        {"metadata.labels.app", "api"},
        {"metadata.labels.logpond.io/deployment", NULL},
        {"metadata.ownerReferences.0.kind", "ReplicaSet"},
        {"metadata.ownerReferences.0.apiVersion", "apps/v1"},
        {"spec.nodeName", "node-1"},
        {"spec.containers.0.image", "reg/api:1"},
        {"spec.containers.1.name", "sidecar"},
        {"spec.containers.1.image", ""},
        {"status.phase", "Running"},
        {"status.conditions.1.status", "True"},
        {"status.containerStatuses.0.restartCount", "2"},
        {"status.containerStatuses.0.ready", "true"},
        {"status.containerStatuses.0.containerID", "logpond://u-new/api"},
        {"status.containerStatuses.0.state.running.startedAt", "2026-01-02T02:34:05Z"},
        {"status.containerStatuses.0.lastState.terminated.finishedAt", "2026-01-02T02:14:05Z"},
        {"status.containerStatuses.0.lastState.terminated.containerID", "cri://aa02"},
        {"status.containerStatuses.1.restartCount", "0"},
        {"status.containerStatuses.1.containerID", "logpond://u-new/sidecar"},
    };
    struct lp_buf b;
    lp_buf_init(&b, 1 << 20);
    lp_kube_pod_put(&b, &lp_kube_test_pod, &near, false);
    CU_ASSERT(lp_str_find(lp_buf_view(&b), LP_STR("\"logpond.io/deployment\":\"api\"")) != SIZE_MAX);
    CU_ASSERT(lp_str_find(lp_buf_view(&b), LP_STR("\"logpond.io/replicaset\":\"api-7d4b9c6f5\"")) !=
              SIZE_MAX);
    CU_ASSERT(lp_str_find(lp_buf_view(&b), LP_STR("\"logpond.io/earlier-uids\":\"u-old\"")) != SIZE_MAX);
    expect(&b, alive, 5);
    expect(&b, alive + 6, LP_ARRAY_LEN(alive) - 6);
    lp_buf_clear(&b);
}

static void
writes_a_gone_pod(void)
{
    static const struct expected gone[] = {
        {"status.phase", "Unknown"},
        {"status.conditions.1.status", "False"},
        {"status.containerStatuses.0.ready", "false"},
        {"status.containerStatuses.0.state.terminated.reason", "Gone"},
        {"status.containerStatuses.0.state.terminated.exitCode", "0"},
        {"status.containerStatuses.0.state.terminated.containerID", "logpond://u-new/api"}, /* as before */
        {"status.containerStatuses.0.state.terminated.finishedAt", "2026-01-02T03:03:05Z"},
    };
    struct lp_buf b;
    lp_buf_init(&b, 1 << 20);
    lp_kube_pod_put(&b, &lp_kube_test_pod, &far, true);
    expect(&b, gone, LP_ARRAY_LEN(gone));
    CU_ASSERT_FALSE(lp_kube_json_has(&b, "kind", NULL));
    lp_buf_clear(&b);
}

/* Names and labels are whatever senders say. */
static void
writes_hostile_names(void)
{
    static const char dirt[] = "\"\\\n\x01\xff</script>%s";
    const struct lp_str s = {dirt, sizeof(dirt) - 1};
    const struct lp_pair label = {s, s};
    const struct lp_pod_run run = {.id = s};
    const struct lp_pod_container c = {.name = s, .image = s, .runs = &run, .nruns = 1};
    const struct lp_pod p = {.ns = s,
                             .name = s,
                             .uid = s,
                             .node = s,
                             .ip = s,
                             .default_container = s,
                             .labels = &label,
                             .nlabels = 1,
                             .owner = {s, s},
                             .top = {s, s},
                             .containers = &c,
                             .ncontainers = 1,
                             .first_ns = LP_TIME_MIN,
                             .last_ns = LP_TIME_MAX,
                             .earlier = &s,
                             .nearlier = 1};
    struct lp_buf b;
    lp_buf_init(&b, 1 << 20);
    lp_kube_pod_put(&b, &p, &near, false);
    CU_ASSERT(lp_kube_json_ok(&b));
    lp_buf_reset(&b);
    lp_kube_pod_row(&b, &p, &near, LP_KUBE_METADATA);
    CU_ASSERT(lp_kube_json_ok(&b));
    lp_buf_clear(&b);
}

static void
finds_labels(void)
{
    const struct lp_pod *p = &lp_kube_test_pod;
    CU_ASSERT(lp_str_eqc(lp_kube_pod_label(p, LP_STR("app")), "api"));
    CU_ASSERT(lp_str_eqc(lp_kube_pod_label(p, LP_STR("app_kubernetes_io_part_of")), "shop \"x\""));
    CU_ASSERT(lp_str_eqc(lp_kube_pod_label(p, LP_STR("logpond.io/deployment")), "api"));
    CU_ASSERT_PTR_NULL(lp_kube_pod_label(p, LP_STR("logpond.io/job")).p);
    CU_ASSERT_PTR_NULL(lp_kube_pod_label(p, LP_STR("none")).p);
}

static void
writes_rows(void)
{
    static const struct expected row[] = {
        {"rows.0.cells.0", "api-7d4b9c6f5-bbbbb"},
        {"rows.0.cells.1", "2/2"},
        {"rows.0.cells.2", "Running"},
        {"rows.0.cells.3", "2 (30m ago)"},
        {"rows.0.cells.4", "90m"},
        {"rows.0.cells.5", "<none>"},
        {"rows.0.cells.6", "node-1"},
        {"rows.0.cells.7", "60s"},
        {"rows.0.cells.8", "Deployment/api"},
        {"rows.0.cells.9", "u-new"},
        {"rows.0.object.kind", "PartialObjectMetadata"},
        {"rows.1.cells.1", "0/2"},
        {"rows.1.cells.2", "Gone"},
        {"rows.1.object.kind", "Pod"},
        {"columnDefinitions.0.format", "name"},
        {"columnDefinitions.9.priority", "1"},
        {"metadata.continue", "abc"},
    };
    struct lp_buf b;
    lp_buf_init(&b, 1 << 20);
    lp_kube_table_open(&b, LP_KUBE_PODS, 7, LP_STR("abc"));
    lp_kube_pod_row(&b, &lp_kube_test_pod, &near, LP_KUBE_METADATA);
    lp_buf_byte(&b, ',');
    lp_kube_pod_row(&b, &lp_kube_test_pod, &far, LP_KUBE_OBJECT);
    lp_buf_byte(&b, ',');
    lp_kube_pod_row(&b, &lp_kube_test_pod, &far, LP_KUBE_NO_OBJECT);
    lp_kube_table_close(&b);
    expect(&b, row, LP_ARRAY_LEN(row));
    CU_ASSERT_FALSE(lp_kube_json_has(&b, "rows.2.object", NULL));
    lp_buf_clear(&b);
}

static void
tells_owners(void)
{
    const struct lp_pod *p = &lp_kube_test_pod;
    struct lp_str name, key;
    CU_ASSERT(lp_kube_owner_of(p, LP_KUBE_DEPLOYMENTS, LP_STR_NULL, &name, &key));
    CU_ASSERT(lp_str_eqc(name, "api") && lp_str_eqc(key, "logpond.io/deployment"));
    CU_ASSERT(lp_kube_owner_of(p, LP_KUBE_REPLICASETS, LP_STR("api-7d4b9c6f5"), &name, &key));
    CU_ASSERT_FALSE(lp_kube_owner_of(p, LP_KUBE_DEPLOYMENTS, LP_STR("web"), &name, &key));
    CU_ASSERT_FALSE(lp_kube_owner_of(p, LP_KUBE_JOBS, LP_STR_NULL, &name, &key));
    CU_ASSERT(lp_kube_owner_of(p, LP_KUBE_SERVICES, LP_STR("api"), &name, &key));
    CU_ASSERT(lp_str_eqc(key, "app"));
}

/* Of every kind: valid JSON, and a selector that a client takes its pods by. */
static void
writes_owners(void)
{
    static const struct lp_str containers[] = {{"api", 3}};
    for (int k = 0; k < LP_KUBE_KINDS; k++) {
        const struct lp_kube_resource *r = lp_kube_resource((enum lp_kube_kind)k);
        struct lp_kube_owner o = {.resource = r,
                                  .ns = LP_STR("shop"),
                                  .name = LP_STR("x"),
                                  .by = {LP_STR("Deployment"), LP_STR("y")},
                                  .select_key = LP_STR("key"),
                                  .first_ns = LP_KUBE_NOW - LP_NS_PER_S,
                                  .last_ns = LP_KUBE_NOW,
                                  .pods = 3,
                                  .alive = 2,
                                  .containers = containers,
                                  .ncontainers = 1};
        const char *selector = k == LP_KUBE_SERVICES   ? "spec.selector.key"
                               : k == LP_KUBE_CRONJOBS ? "spec.jobTemplate.spec.selector.matchLabels.key"
                                                       : "spec.selector.matchLabels.key";
        struct lp_buf b;
        if (k == LP_KUBE_PODS || k == LP_KUBE_NAMESPACES || k == LP_KUBE_EVENTS) {
            continue;
        }
        lp_buf_init(&b, 1 << 20);
        lp_kube_owner_put(&b, &o, false);
        CU_ASSERT(lp_kube_json_has(&b, selector, "x"));
        CU_ASSERT(lp_kube_json_has(&b, "kind", r->kind));
        CU_ASSERT(lp_kube_json_has(&b, "metadata.ownerReferences.0.name", "y"));
        CU_ASSERT(lp_kube_json_has(&b, "apiVersion", lp_kube_api_version(r)));
        lp_buf_reset(&b);
        lp_kube_owner_row(&b, &o, &near, LP_KUBE_METADATA);
        CU_ASSERT(lp_kube_json_has(&b, "cells.1", "2/3"));
        lp_buf_clear(&b);
    }
}

static void
says_ages(void)
{
    static const struct {
        int64_t s;
        const char *text;
    } ages[] = {
        {-5, "0s"},         {0, "0s"},        {119, "119s"},       {120, "2m"},       {125, "2m5s"},
        {599, "9m59s"},     {600, "10m"},     {10799, "179m"},     {10800, "3h"},     {11000, "3h3m"},
        {28800, "8h"},      {172799, "47h"},  {172800, "2d"},      {180000, "2d2h"},  {691200, "8d"},
        {63071999, "729d"}, {63072000, "2y"}, {65664000, "2y30d"}, {252288000, "8y"},
    };
    char text[LP_KUBE_AGE_TEXT];
    for (size_t i = 0; i < LP_ARRAY_LEN(ages); i++) {
        lp_kube_age(LP_KUBE_NOW, LP_KUBE_NOW - ages[i].s * LP_NS_PER_S, text);
        CU_ASSERT_STRING_EQUAL(text, ages[i].text);
    }
    lp_kube_age(LP_TIME_MAX, LP_TIME_MIN, text);
    CU_ASSERT_STRING_EQUAL(text, "292y");
}

static void
makes_uids(void)
{
    char a[LP_UUID_TEXT + 1], b[LP_UUID_TEXT + 1];
    lp_kube_make_uid(LP_STR("Pod"), LP_STR("ns"), LP_STR("x"), a);
    lp_kube_make_uid(LP_STR("Pod"), LP_STR("ns"), LP_STR("x"), b);
    CU_ASSERT_STRING_EQUAL(a, b);
    CU_ASSERT(strlen(a) == LP_UUID_TEXT && a[8] == '-' && a[14] == '8' && a[23] == '-');
    lp_kube_make_uid(LP_STR("Pod"), LP_STR("ns2"), LP_STR("x"), b);
    CU_ASSERT_STRING_NOT_EQUAL(a, b);
}

LP_SUITE(kube_objects, {"writes a pod", writes_a_pod}, {"writes a gone pod", writes_a_gone_pod},
         {"writes hostile names", writes_hostile_names}, {"finds labels", finds_labels},
         {"writes rows", writes_rows}, {"tells owners", tells_owners}, {"writes owners", writes_owners},
         {"says ages", says_ages}, {"makes uids", makes_uids});
