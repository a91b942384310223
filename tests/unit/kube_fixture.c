/*
 * kube_fixture.c - see kube_fixture.h.
 */
#include "tests/unit/kube_fixture.h"

#include "base/json.h"

#define AT(minutes) (LP_KUBE_NOW - (minutes)*60 * LP_NS_PER_S)
#define S(literal)                                                                                           \
    {                                                                                                        \
        literal, sizeof(literal) - 1                                                                         \
    }

static const struct lp_pod_run api_runs[] = {
    {S("aa01"), 0, AT(90), AT(80)}, {S("aa02"), 1, AT(60), AT(50)}, {S("aa03"), 2, AT(30), AT(1)}};
static const struct lp_pod_run side_runs[] = {{{NULL, 0}, 0, AT(90), AT(2)}};
static const struct lp_pod_container containers[] = {{S("api"), S("reg/api:1"), api_runs, 3},
                                                     {S("sidecar"), {NULL, 0}, side_runs, 1}};
static const struct lp_pair labels[] = {{S("app"), S("api")},
                                        {S("app.kubernetes.io/part-of"), S("shop \"x\"")}};
static const struct lp_str earlier[] = {S("u-old")};

const struct lp_pod lp_kube_test_pod = {.ns = S("shop"),
                                        .name = S("api-7d4b9c6f5-bbbbb"),
                                        .uid = S("u-new"),
                                        .node = S("node-1"),
                                        .labels = labels,
                                        .nlabels = 2,
                                        .owner = {S("ReplicaSet"), S("api-7d4b9c6f5")},
                                        .top = {S("Deployment"), S("api")},
                                        .containers = containers,
                                        .ncontainers = 2,
                                        .first_ns = AT(90),
                                        .last_ns = AT(1),
                                        .earlier = earlier,
                                        .nearlier = 1};

/* The i-th child of an array; NULL. */
static const struct lp_json *
item(const struct lp_json_doc *doc, const struct lp_json *at, uint64_t i)
{
    uint32_t child = (uint32_t)(at - doc->nodes) + 1;
    if (at->type != LP_JSON_ARRAY || i >= at->count) {
        return NULL;
    }
    for (; i > 0; i--) {
        child = doc->nodes[child].next;
    }
    return &doc->nodes[child];
}

static const struct lp_json *
walk(const struct lp_json_doc *doc, struct lp_str path)
{
    const struct lp_json *at = doc->nodes;
    while (path.n > 0 && at != NULL) {
        struct lp_str step = lp_str_cut(&path, '.');
        uint64_t i;
        at = lp_str_u64(step, &i) ? item(doc, at, i) : lp_json_member(doc, (uint32_t)(at - doc->nodes), step);
    }
    return at;
}

bool
lp_kube_json_has(const struct lp_buf *text, const char *path, const char *value)
{
    struct lp_json_parser *p = lp_json_parser_new();
    struct lp_json_doc doc;
    bool ok = lp_json_parse(p, lp_buf_view(text), &doc, NULL) == LP_OK;
    const struct lp_json *at = ok ? walk(&doc, lp_str_c(path)) : NULL;
    ok = at != NULL && (value == NULL || lp_str_eqc(at->text, value));
    lp_json_parser_free(p);
    return ok;
}

bool
lp_kube_json_ok(const struct lp_buf *text)
{
    return lp_kube_json_has(text, "", NULL);
}
