/*
 * test_kube_paths.c - paths, discovery documents, Status objects, tokens. Oracle: by hand.
 */
#include "server/kube_resources.h"
#include "server/kube_status.h"
#include "server/kube_token.h"
#include "tests/unit/kube_fixture.h"
#include "tests/unit/unit.h"

static bool
is(const char *path, enum lp_kube_what what, const char *ns, const char *name)
{
    struct lp_kube_path p;
    lp_kube_path_parse(lp_str_c(path), &p);
    return p.what == what && lp_str_eqc(p.ns, ns) && lp_str_eqc(p.name, name);
}

static void
knows_paths(void)
{
    CU_ASSERT(is("/api", LP_KUBE_API, "", ""));
    CU_ASSERT(is("/api/", LP_KUBE_API, "", ""));
    CU_ASSERT(is("/apis", LP_KUBE_APIS, "", ""));
    CU_ASSERT(is("/apis/batch", LP_KUBE_GROUP, "", ""));
    CU_ASSERT(is("/api/v1", LP_KUBE_VERSION, "", ""));
    CU_ASSERT(is("/apis/apps/v1", LP_KUBE_VERSION, "", ""));
    CU_ASSERT(is("/api/v1/pods", LP_KUBE_LIST, "", ""));
    CU_ASSERT(is("/api/v1/namespaces", LP_KUBE_LIST, "", ""));
    CU_ASSERT(is("/api/v1/namespaces/shop", LP_KUBE_GET, "", "shop"));
    CU_ASSERT(is("/api/v1/namespaces/shop/pods", LP_KUBE_LIST, "shop", ""));
    CU_ASSERT(is("/api/v1/namespaces/shop/pods/x", LP_KUBE_GET, "shop", "x"));
    CU_ASSERT(is("/api/v1/namespaces/shop/pods/x/log", LP_KUBE_POD_LOG, "shop", "x"));
    CU_ASSERT(is("/api/v1/namespaces/shop/log", LP_KUBE_LOG, "shop", ""));
    CU_ASSERT(is("/apis/apps/v1/namespaces/shop/deployments/x", LP_KUBE_GET, "shop", "x"));
    CU_ASSERT(is("/apis/batch/v1/cronjobs", LP_KUBE_LIST, "", ""));
}

static void
knows_no_other_paths(void)
{
    static const char *const none[] = {"/",
                                       "/api/v2",
                                       "/apis/foo",
                                       "/apis/apps/v2",
                                       "/api/v1/foo",
                                       "/api/v1/deployments",
                                       "/apis/apps/v1/pods",
                                       "/apis/apps/v1/namespaces",
                                       "/apis/apps/v1/namespaces/shop/log",
                                       "/api/v1/pods/x",
                                       "/api/v1//pods",
                                       "/api/v1/namespaces/shop/pods//log",
                                       "/api/v1/namespaces/shop/namespaces",
                                       "/api/v1/namespaces/shop/pods/x/status",
                                       "/api/v1/namespaces/shop/services/x/log",
                                       "/api/v1/namespaces/shop/pods/x/log/y",
                                       "/api/v1/namespaces/a/b/c/d/e/f/g/h"};
    struct lp_kube_path p;
    for (size_t i = 0; i < LP_ARRAY_LEN(none); i++) {
        lp_kube_path_parse(lp_str_c(none[i]), &p);
        CU_ASSERT_EQUAL(p.what, LP_KUBE_NOTHING);
    }
    CU_ASSERT(is("/api/v1/namespaces/../pods/..", LP_KUBE_GET, "..", "..")); /* names like others */
}

static void
names_kinds(void)
{
    CU_ASSERT_EQUAL(lp_kube_resource_named(LP_STR("deploy"))->id, LP_KUBE_DEPLOYMENTS);
    CU_ASSERT_EQUAL(lp_kube_resource_named(LP_STR("statefulset"))->id, LP_KUBE_STATEFULSETS);
    CU_ASSERT_EQUAL(lp_kube_resource_named(LP_STR("jobs"))->id, LP_KUBE_JOBS);
    CU_ASSERT_PTR_NULL(lp_kube_resource_named(LP_STR("node")));
    CU_ASSERT_STRING_EQUAL(lp_kube_kind_version(LP_STR("ReplicaSet")), "apps/v1");
    CU_ASSERT_STRING_EQUAL(lp_kube_kind_version(LP_STR("Job")), "batch/v1");
    CU_ASSERT_STRING_EQUAL(lp_kube_kind_version(LP_STR("Node")), "v1");
}

static void
reads_accept(void)
{
    CU_ASSERT_EQUAL(lp_kube_discovery_form(LP_STR_NULL), LP_KUBE_PLAIN);
    CU_ASSERT_EQUAL(lp_kube_discovery_form(LP_STR("application/json, */*")), LP_KUBE_PLAIN);
    CU_ASSERT_EQUAL(lp_kube_discovery_form(LP_STR(
                        "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList;profile=nopeer,"
                        "application/json")),
                    LP_KUBE_AGGREGATED_V2);
    CU_ASSERT_EQUAL(lp_kube_discovery_form(LP_STR(
                        "application/json; as=APIGroupDiscoveryList; v=v2beta1; g=apidiscovery.k8s.io")),
                    LP_KUBE_AGGREGATED_V2BETA1);
}

static struct lp_buf
discovered(const char *path, enum lp_kube_discovery form)
{
    struct lp_kube_path p;
    struct lp_buf b;
    lp_buf_init(&b, 1 << 20);
    lp_kube_path_parse(lp_str_c(path), &p);
    lp_kube_discovery_put(&b, &p, form);
    return b;
}

static void
expect_discovered(const char *path, enum lp_kube_discovery form, const char *at, const char *value)
{
    struct lp_buf b = discovered(path, form);
    CU_ASSERT(lp_kube_json_has(&b, at, value));
    lp_buf_clear(&b);
}

static void
writes_discovery(void)
{
    expect_discovered("/api", LP_KUBE_PLAIN, "versions.0", "v1");
    expect_discovered("/apis", LP_KUBE_PLAIN, "groups.1.preferredVersion.groupVersion", "batch/v1");
    expect_discovered("/apis/apps", LP_KUBE_PLAIN, "kind", "APIGroup");
    expect_discovered("/api/v1", LP_KUBE_PLAIN, "resources.1.name", "pods/log");
    expect_discovered("/apis/apps/v1", LP_KUBE_PLAIN, "resources.0.shortNames.0", "deploy");
    expect_discovered("/api", LP_KUBE_AGGREGATED_V2,
                      "items.0.versions.0.resources.0.subresources.0.subresource", "log");
    expect_discovered("/apis", LP_KUBE_AGGREGATED_V2, "items.1.versions.0.resources.1.responseKind.kind",
                      "CronJob");
    expect_discovered("/apis", LP_KUBE_AGGREGATED_V2BETA1, "apiVersion", "apidiscovery.k8s.io/v2beta1");
}

static void
writes_status(void)
{
    struct lp_buf b;
    lp_buf_init(&b, 1 << 20);
    lp_kube_status_put(&b, &(struct lp_kube_fault){.code = 404,
                                                   .message = LP_STR("pods \"x\" not found"),
                                                   .kind = LP_STR("pods"),
                                                   .name = LP_STR("x")});
    CU_ASSERT(lp_str_eqc(
        lp_buf_view(&b),
        "{\"kind\":\"Status\",\"apiVersion\":\"v1\",\"metadata\":{},\"status\":\"Failure\","
        "\"message\":\"pods \\\"x\\\" not found\",\"reason\":\"NotFound\",\"details\":{\"name\":\"x\","
        "\"kind\":\"pods\"},\"code\":404}\n"));
    lp_buf_reset(&b);
    lp_kube_status_put(&b, &(struct lp_kube_fault){.code = 422,
                                                   .message = LP_STR("wrong"),
                                                   .field = LP_STR("tailLines"),
                                                   .cause = LP_STR("Invalid value"),
                                                   .cause_reason = "FieldValueInvalid"});
    CU_ASSERT(lp_kube_json_has(&b, "details.causes.0.field", "tailLines"));
    CU_ASSERT(lp_kube_json_has(&b, "reason", "Invalid"));
    lp_buf_clear(&b);
}

static void
goes_on_by_tokens(void)
{
    struct lp_buf b;
    struct lp_arena ar;
    struct lp_str ns, name;
    static const char *const bad[] = {"", "zz", "3", "3a", "3120", "313a", "39393a6162", "323a6162"};
    lp_buf_init(&b, 1 << 10);
    lp_arena_init(&ar, 1 << 16, 0);
    lp_kube_token_put(&b, LP_STR("sh:op"), LP_STR("a/b \xff"));
    CU_ASSERT(lp_kube_token_parse(lp_buf_view(&b), &ar, &ns, &name));
    CU_ASSERT(lp_str_eqc(ns, "sh:op") && lp_str_eqc(name, "a/b \xff"));
    for (size_t i = 0; i < LP_ARRAY_LEN(bad); i++) {
        CU_ASSERT_FALSE(lp_kube_token_parse(lp_str_c(bad[i]), &ar, &ns, &name));
    }
    lp_arena_clear(&ar);
    lp_buf_clear(&b);
}

LP_SUITE(kube_paths, {"knows paths", knows_paths}, {"knows no other paths", knows_no_other_paths},
         {"names kinds", names_kinds}, {"reads Accept", reads_accept}, {"writes discovery", writes_discovery},
         {"writes Status objects", writes_status}, {"goes on by tokens", goes_on_by_tokens});
