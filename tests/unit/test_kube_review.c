/*
 * test_kube_review.c - what a client is told that it may do. Oracle: by hand; the protobuf body is one that
 * k9s 0.50 sent.
 */
#include "server/kube_review.h"
#include "tests/unit/kube_fixture.h"
#include "tests/unit/unit.h"

#include <stdio.h>

static lp_rc
asked(struct lp_buf *out, struct lp_str body)
{
    struct lp_buf padded; /* the parser reads behind the end */
    struct lp_err err;
    lp_buf_init(&padded, 1 << 16);
    lp_buf_str(&padded, body);
    lp_buf_reset(out);
    lp_rc rc = lp_kube_review_put(out, lp_buf_view(&padded), &err);
    CU_ASSERT(rc == LP_OK || err.text[0] != 0);
    lp_buf_clear(&padded);
    return rc;
}

static void
allows_what_reads(void)
{
    static const struct {
        const char *attributes, *allowed;
    } cases[] = {
        {"\"verb\":\"list\",\"resource\":\"pods\"", "true"},
        {"\"verb\":\"watch\",\"resource\":\"pods\",\"namespace\":\"shop\",\"version\":\"v1\"", "true"},
        {"\"verb\":\"get\",\"resource\":\"pods\",\"subresource\":\"log\",\"name\":\"x\"", "true"},
        {"\"verb\":\"get\",\"group\":\"apps\",\"resource\":\"deployments\"", "true"},
        {"\"verb\":\"list\",\"resource\":\"namespaces\"", "true"},
        {"\"verb\":\"get\",\"resource\":\"deployments\"", "false"},
        {"\"verb\":\"delete\",\"resource\":\"pods\"", "false"},
        {"\"verb\":\"create\",\"resource\":\"pods\",\"subresource\":\"exec\"", "false"},
        {"\"verb\":\"get\",\"resource\":\"pods\",\"subresource\":\"exec\"", "false"},
        {"\"verb\":\"list\",\"resource\":\"nodes\"", "false"},
        {"\"verb\":\"*\",\"resource\":\"*\"", "false"},
        {"", "false"},
        {"\"verb\":5,\"resource\":[]", "false"},
    };
    struct lp_buf out;
    lp_buf_init(&out, 1 << 16);
    for (size_t i = 0; i < LP_ARRAY_LEN(cases); i++) {
        char body[500];
        snprintf(body, sizeof(body),
                 "{\"kind\":\"SelfSubjectAccessReview\",\"spec\":{\"resourceAttributes\":{%s}}}",
                 cases[i].attributes);
        CU_ASSERT_EQUAL(asked(&out, lp_str_c(body)), LP_OK);
        CU_ASSERT(lp_kube_json_has(&out, "status.allowed", cases[i].allowed));
        CU_ASSERT(lp_kube_json_has(&out, "kind", "SelfSubjectAccessReview"));
    }
    CU_ASSERT_EQUAL(
        asked(&out,
              LP_STR("{\"spec\":{\"nonResourceAttributes\":{\"path\":\"/version\",\"verb\":\"get\"}}}")),
        LP_OK);
    CU_ASSERT(lp_kube_json_has(&out, "status.allowed", "true"));
    lp_buf_clear(&out);
}

static void
reads_protobuf(void)
{
    static const char body[] = "k8s\0\n2\n\x17"
                               "authorization.k8s.io/"
                               "v1\x12\x17SelfSubjectAccessReview\x12>\n\x10\n\0\x12\0\x1a\0\"\0*"
                               "\0002\0008\0B\0\x12 \n\x1e\n\0\x12\x04list\x1a\0"
                               "\"\x02v1*\nnamespaces2\0:\0\x1a\x08\x08\0\x12\0\x1a\0 \0\x1a\0\"\0";
    struct lp_str all = {body, sizeof(body) - 1};
    struct lp_buf out;
    lp_buf_init(&out, 1 << 16);
    CU_ASSERT_EQUAL(all.n, 124);
    CU_ASSERT_EQUAL(asked(&out, all), LP_OK);
    CU_ASSERT(lp_kube_json_has(&out, "status.allowed", "true"));
    CU_ASSERT(lp_kube_json_has(&out, "spec.resourceAttributes.resource", "namespaces"));
    for (size_t n = 0; n < all.n - 4;
         n++) { /* cut off anywhere: half of a question allows nothing; behind it come two empty fields */
        lp_rc rc = asked(&out, lp_str_sub(all, 0, n));
        CU_ASSERT(rc == LP_ERR_PARSE || lp_kube_json_has(&out, "status.allowed", "false"));
    }
    lp_buf_clear(&out);
}

static void
refuses_what_is_no_review(void)
{
    static const char *const bad[] = {"", "{", "x", "k8"};
    struct lp_buf out;
    lp_buf_init(&out, 1 << 16);
    for (size_t i = 0; i < LP_ARRAY_LEN(bad); i++) {
        CU_ASSERT_EQUAL(asked(&out, lp_str_c(bad[i])), LP_ERR_PARSE);
    }
    CU_ASSERT_EQUAL(asked(&out, LP_STR("k8s\0\x12\xff\xff\xff\xff\x0f")), LP_ERR_PARSE);
    CU_ASSERT_EQUAL(asked(&out, LP_STR("[5]")), LP_OK);
    CU_ASSERT(lp_kube_json_has(&out, "status.allowed", "false"));
    lp_buf_clear(&out);
}

LP_SUITE(kube_review, {"allows what reads", allows_what_reads}, {"reads protobuf", reads_protobuf},
         {"refuses what is no review", refuses_what_is_no_review});
