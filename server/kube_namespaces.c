/*
 * kube_namespaces.c - namespaces: those that pods are in.
 */
#include "base/clock.h"
#include "server/kube.h"

static struct lp_str
label_of(const void *name, struct lp_str key)
{
    return lp_pod_label_same(key, LP_STR("kubernetes.io/metadata.name")) ? *(const struct lp_str *)name
                                                                         : LP_STR_NULL;
}

static void
put_all(struct lp_kube_call *c, const struct lp_names *names)
{
    const char *between = "";
    for (size_t i = 0; i < names->n; i++) {
        if (!lp_kube_fields_match(&c->list.fields, LP_KUBE_FIELD_NAME, names->v[i]) ||
            !lp_kube_labels_match(&c->list.labels, label_of, &names->v[i])) {
            continue;
        }
        lp_buf_c(&c->text, between);
        between = ",";
        if (c->table) {
            lp_kube_namespace_row(&c->text, names->v[i], c->include);
        } else {
            lp_kube_namespace_put(&c->text, names->v[i], true);
        }
    }
}

void
lp_kube_list_namespaces(struct lp_kube_call *c)
{
    struct lp_names names = {.n = 0};
    struct lp_pods_query q = lp_kube_pods_query(c);
    lp_rc rc = lp_pods_namespaces(&q, &names, &c->err);
    if (rc != LP_OK) {
        lp_names_clear(&names);
        lp_kube_fail(c, rc);
        return;
    }
    if (c->table) {
        lp_kube_table_open(&c->text, LP_KUBE_NAMESPACES, c->eye.now_ns, LP_STR_NULL);
    } else {
        lp_buf_printf(&c->text,
                      "{\"kind\":\"NamespaceList\",\"apiVersion\":\"v1\",\"metadata\":{"
                      "\"resourceVersion\":\"%lld\"},\"items\":[",
                      (long long)c->eye.now_ns);
    }
    put_all(c, &names);
    lp_buf_c(&c->text, "]}\n");
    lp_names_clear(&names);
    lp_kube_reply(c);
}

void
lp_kube_get_namespace(struct lp_kube_call *c)
{
    struct lp_pods pods;
    struct lp_pods_query q = lp_kube_pods_query(c);
    q.ns = c->path.name;
    lp_rc rc = lp_pods_find(&q, &pods, &c->err);
    bool found = rc == LP_OK && pods.n > 0;
    lp_pods_clear(&pods);
    if (rc != LP_OK) {
        lp_kube_fail(c, rc);
        return;
    }
    if (!found) {
        lp_kube_not_found(c, c->path.resource, c->path.name);
        return;
    }
    if (c->table) {
        lp_kube_table_open(&c->text, LP_KUBE_NAMESPACES, c->eye.now_ns, LP_STR_NULL);
        lp_kube_namespace_row(&c->text, c->path.name, c->include);
        lp_kube_table_close(&c->text);
    } else {
        lp_kube_namespace_put(&c->text, c->path.name, false);
    }
    lp_buf_byte(&c->text, '\n');
    lp_kube_reply(c);
}
