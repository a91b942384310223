/*
 * kube_discovery.c - the documents by which clients find out what there is, in the plain form that every
 * version takes, and in the aggregated one that saves newer clients a request for each group.
 */
#include "server/kube_resources.h"

#define VERBS "[\"get\",\"list\",\"watch\"]"

/* --- the form that is wanted --- */

/* One media range of Accept: has it this parameter? */
static bool
has(struct lp_str range, const char *parameter)
{
    (void)lp_str_cut(&range, ';');
    while (range.n > 0) {
        if (lp_str_ieq(lp_str_trim(lp_str_cut(&range, ';')), lp_str_c(parameter))) {
            return true;
        }
    }
    return false;
}

enum lp_kube_discovery
lp_kube_discovery_form(struct lp_str accept)
{
    while (accept.n > 0) {
        struct lp_str range = lp_str_cut(&accept, ',');
        if (has(range, "as=APIGroupDiscoveryList") && has(range, "v=v2")) {
            return LP_KUBE_AGGREGATED_V2;
        }
        if (has(range, "as=APIGroupDiscoveryList") && has(range, "v=v2beta1")) {
            return LP_KUBE_AGGREGATED_V2BETA1;
        }
    }
    return LP_KUBE_PLAIN;
}

const char *
lp_kube_discovery_type(enum lp_kube_discovery form)
{
    switch ((int)form) {
    case LP_KUBE_AGGREGATED_V2:
        return "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";
    case LP_KUBE_AGGREGATED_V2BETA1:
        return "application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList";
    default:
        return "application/json";
    }
}

/* --- plain --- */

static void
put_shorts(struct lp_buf *out, const struct lp_kube_resource *r)
{
    if (r->shorts[0] != NULL) {
        lp_buf_c(out, ",\"shortNames\":[");
        for (size_t i = 0; r->shorts[i] != NULL; i++) {
            lp_buf_printf(out, "%s\"%s\"", i > 0 ? "," : "", r->shorts[i]);
        }
        lp_buf_byte(out, ']');
    }
    lp_buf_c(out, r->all ? ",\"categories\":[\"all\"]" : "");
}

static void
put_resource(struct lp_buf *out, const struct lp_kube_resource *r)
{
    lp_buf_printf(
        out, "{\"name\":\"%s\",\"singularName\":\"%s\",\"namespaced\":%s,\"kind\":\"%s\",\"verbs\":" VERBS,
        r->name, r->singular, r->namespaced ? "true" : "false", r->kind);
    put_shorts(out, r);
    lp_buf_byte(out, '}');
    if (r->id == LP_KUBE_PODS) {
        lp_buf_c(out, ",{\"name\":\"pods/log\",\"singularName\":\"\",\"namespaced\":true,\"kind\":\"Pod\","
                      "\"verbs\":[\"get\"]}");
    }
}

static void
put_version(struct lp_buf *out, const char *group)
{
    const char *between = "";
    lp_buf_printf(out,
                  "{\"kind\":\"APIResourceList\",\"apiVersion\":\"v1\",\"groupVersion\":\"%s%sv1\","
                  "\"resources\":[",
                  group, group[0] != 0 ? "/" : "");
    for (int i = 0; i < LP_KUBE_KINDS; i++) {
        const struct lp_kube_resource *r = lp_kube_resource((enum lp_kube_kind)i);
        if (strcmp(r->group, group) == 0) {
            lp_buf_c(out, between);
            put_resource(out, r);
            between = ",";
        }
    }
    lp_buf_c(out, "]}\n");
}

static void
put_group(struct lp_buf *out, const char *group, bool alone)
{
    lp_buf_printf(out,
                  "{%s\"name\":\"%s\",\"versions\":[{\"groupVersion\":\"%s/v1\",\"version\":\"v1\"}],"
                  "\"preferredVersion\":{\"groupVersion\":\"%s/v1\",\"version\":\"v1\"}}%s",
                  alone ? "\"kind\":\"APIGroup\",\"apiVersion\":\"v1\"," : "", group, group, group,
                  alone ? "\n" : "");
}

static void
put_groups(struct lp_buf *out)
{
    lp_buf_c(out, "{\"kind\":\"APIGroupList\",\"apiVersion\":\"v1\",\"groups\":[");
    put_group(out, "apps", false);
    lp_buf_byte(out, ',');
    put_group(out, "batch", false);
    lp_buf_c(out, "]}\n");
}

/* --- aggregated --- */

static void
put_response_kind(struct lp_buf *out, const struct lp_kube_resource *r)
{
    lp_buf_printf(out, "\"responseKind\":{\"group\":\"%s\",\"version\":\"v1\",\"kind\":\"%s\"}", r->group,
                  r->kind);
}

static void
put_aggregated_resource(struct lp_buf *out, const struct lp_kube_resource *r)
{
    lp_buf_printf(out, "{\"resource\":\"%s\",", r->name);
    put_response_kind(out, r);
    lp_buf_printf(out, ",\"scope\":\"%s\",\"singularResource\":\"%s\",\"verbs\":" VERBS,
                  r->namespaced ? "Namespaced" : "Cluster", r->singular);
    put_shorts(out, r);
    if (r->id == LP_KUBE_PODS) {
        lp_buf_c(out, ",\"subresources\":[{\"subresource\":\"log\",");
        put_response_kind(out, r);
        lp_buf_c(out, ",\"verbs\":[\"get\"]}]");
    }
    lp_buf_byte(out, '}');
}

static void
put_aggregated_group(struct lp_buf *out, const char *group)
{
    const char *between = "";
    lp_buf_printf(out,
                  "{\"metadata\":{\"name\":\"%s\",\"creationTimestamp\":null},"
                  "\"versions\":[{\"version\":\"v1\",\"freshness\":\"Current\",\"resources\":[",
                  group);
    for (int i = 0; i < LP_KUBE_KINDS; i++) {
        const struct lp_kube_resource *r = lp_kube_resource((enum lp_kube_kind)i);
        if (strcmp(r->group, group) == 0) {
            lp_buf_c(out, between);
            put_aggregated_resource(out, r);
            between = ",";
        }
    }
    lp_buf_c(out, "]}]}");
}

static void
put_aggregated(struct lp_buf *out, bool core, enum lp_kube_discovery form)
{
    lp_buf_printf(out,
                  "{\"kind\":\"APIGroupDiscoveryList\",\"apiVersion\":\"apidiscovery.k8s.io/%s\","
                  "\"metadata\":{},\"items\":[",
                  form == LP_KUBE_AGGREGATED_V2 ? "v2" : "v2beta1");
    if (core) {
        put_aggregated_group(out, "");
    } else {
        put_aggregated_group(out, "apps");
        lp_buf_byte(out, ',');
        put_aggregated_group(out, "batch");
    }
    lp_buf_c(out, "]}\n");
}

void
lp_kube_discovery_put(struct lp_buf *out, const struct lp_kube_path *p, enum lp_kube_discovery form)
{
    if (p->what == LP_KUBE_GROUP) {
        put_group(out, p->group, true);
    } else if (p->what == LP_KUBE_VERSION) {
        put_version(out, p->group);
    } else if (form != LP_KUBE_PLAIN) {
        put_aggregated(out, p->what == LP_KUBE_API, form);
    } else if (p->what == LP_KUBE_APIS) {
        put_groups(out);
    } else {
        lp_buf_c(out, "{\"kind\":\"APIVersions\",\"versions\":[\"v1\"],\"serverAddressByClientCIDRs\":[]}\n");
    }
}
