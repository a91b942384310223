/*
 * kube_review.c - see kube_review.h.
 *
 * In protobuf an object is "k8s", a zero byte, and a message whose field 2 holds it: spec is its field 2, and
 * of that 1 are resourceAttributes and 2 nonResourceAttributes (k8s.io/api/authorization/v1/generated.proto).
 */
#include "server/kube_review.h"

#include "base/json.h"
#include "ingest/wire.h"
#include "server/kube_object.h"
#include "server/kube_resources.h"

static const struct lp_str magic = {"k8s\0", 4};

enum { NAMESPACE = 1, VERB, GROUP, VERSION, RESOURCE, SUBRESOURCE, NAME, FIELDS };

/* What is to be done: with a resource, or with a path. */
struct review {
    bool of_path;
    struct lp_str v[FIELDS]; /* by their numbers in resourceAttributes */
};

/* --- reading --- */

/* The last field of this number in a message; false when it is malformed. Absent: {NULL,0}. */
static bool
field(struct lp_str message, uint32_t number, struct lp_str *ret)
{
    struct lp_rd rd = lp_rd_of(message);
    struct lp_wire_field f;
    *ret = LP_STR_NULL;
    while (message.n > 0 && lp_wire_next(&rd, &f)) {
        if (f.number == number && f.type == LP_WIRE_BYTES) {
            *ret = f.bytes;
        }
    }
    return !rd.bad;
}

static bool
read_protobuf(struct lp_str body, struct review *ret)
{
    struct lp_str object, spec, resource, path;
    if (!field(lp_str_sub(body, magic.n, body.n), 2, &object) || !field(object, 2, &spec) ||
        !field(spec, 1, &resource) || !field(spec, 2, &path)) {
        return false;
    }
    ret->of_path = path.p != NULL;
    if (ret->of_path) {
        return field(path, 2, &ret->v[VERB]);
    }
    for (uint32_t i = NAMESPACE; i < FIELDS; i++) {
        if (!field(resource, i, &ret->v[i])) {
            return false;
        }
    }
    return true;
}

static struct lp_str
text(const struct lp_json *v)
{
    return v != NULL && v->type == LP_JSON_STRING ? v->text : LP_STR_NULL;
}

static void
read_json(const struct lp_json_doc *doc, struct review *ret)
{
    static const char *const names[FIELDS] = {[NAMESPACE] = "namespace",
                                              [VERB] = "verb",
                                              [GROUP] = "group",
                                              [VERSION] = "version",
                                              [RESOURCE] = "resource",
                                              [SUBRESOURCE] = "subresource",
                                              [NAME] = "name"};
    ret->of_path = lp_json_path(doc, "spec", "nonResourceAttributes", NULL) != NULL;
    const char *of = ret->of_path ? "nonResourceAttributes" : "resourceAttributes";
    for (size_t i = NAMESPACE; i < FIELDS; i++) {
        ret->v[i] = text(lp_json_path(doc, "spec", of, names[i], NULL));
    }
}

/* --- the answer --- */

static bool
reads(struct lp_str verb)
{
    return lp_str_eqc(verb, "get") || lp_str_eqc(verb, "list") || lp_str_eqc(verb, "watch");
}

static bool
allowed(const struct review *r)
{
    if (!reads(r->v[VERB]) || r->of_path) {
        return r->of_path && lp_str_eqc(r->v[VERB], "get");
    }
    const struct lp_kube_resource *known = lp_kube_resource_named(r->v[RESOURCE]);
    bool log = lp_str_eqc(r->v[SUBRESOURCE], "log") && lp_str_eqc(r->v[VERB], "get");
    return known != NULL && lp_str_eqc(r->v[GROUP], known->group) &&
           (r->v[SUBRESOURCE].n == 0 || (log && known->id == LP_KUBE_PODS));
}

static void
put_answer(struct lp_buf *out, const struct review *r)
{
    bool yes = allowed(r);
    lp_buf_c(out, "{\"kind\":\"SelfSubjectAccessReview\",\"apiVersion\":\"authorization.k8s.io/v1\","
                  "\"metadata\":{\"creationTimestamp\":null},\"spec\":{");
    if (!r->of_path) {
        lp_kube_put(out, "\"resourceAttributes\":{\"verb\":", r->v[VERB]);
        lp_kube_put(out, ",\"group\":", r->v[GROUP]);
        lp_kube_put(out, ",\"resource\":", r->v[RESOURCE]);
        lp_kube_put(out, ",\"subresource\":", r->v[SUBRESOURCE]);
        lp_kube_put(out, ",\"namespace\":", r->v[NAMESPACE]);
        lp_kube_put(out, ",\"name\":", r->v[NAME]);
        lp_buf_byte(out, '}');
    }
    lp_buf_printf(out, "},\"status\":{\"allowed\":%s%s}}\n", yes ? "true" : "false",
                  yes ? ""
                      : ",\"reason\":\"only pods, what made them, namespaces and logs can be read here\"");
}

lp_rc
lp_kube_review_put(struct lp_buf *out, struct lp_str body, struct lp_err *err)
{
    struct review r = {.of_path = false};
    struct lp_json_doc doc;
    if (lp_str_starts(body, magic)) {
        if (!read_protobuf(body, &r)) {
            return lp_err_set(err, LP_ERR_PARSE, "the body is no SelfSubjectAccessReview");
        }
        put_answer(out, &r);
        return LP_OK;
    }
    struct lp_json_parser *p = lp_json_parser_new();
    lp_rc rc = lp_json_parse(p, body, &doc, err);
    if (rc == LP_OK) {
        read_json(&doc, &r);
        put_answer(out, &r);
    }
    lp_json_parser_free(p);
    return rc;
}
