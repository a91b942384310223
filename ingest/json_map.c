/*
 * json_map.c - the default rules: which members of a JSON record are its time, line, labels and instance
 * (contracts B.6).
 */
#include "ingest/json_record.h"

#define S(literal)                                                                                           \
    {                                                                                                        \
        (literal), sizeof(literal) - 1                                                                       \
    }

/* Kubernetes identity as the agents write it; label names are Logpond's well-known ones. */
static const struct lp_field_rule identity[] = {
    {S("namespace"), LP_FIELD_LABEL, 0, S("namespace")},
    {S("kubernetes.namespace_name"), LP_FIELD_LABEL, 1, S("namespace")},
    {S("kubernetes.pod_namespace"), LP_FIELD_LABEL, 1, S("namespace")},
    {S("kubernetes.namespace"), LP_FIELD_LABEL, 1, S("namespace")},
    {S("k8s.namespace.name"), LP_FIELD_LABEL, 1, S("namespace")},
    {S("pod"), LP_FIELD_LABEL, 0, S("pod")},
    {S("kubernetes.pod_name"), LP_FIELD_LABEL, 1, S("pod")},
    {S("kubernetes.pod.name"), LP_FIELD_LABEL, 1, S("pod")},
    {S("k8s.pod.name"), LP_FIELD_LABEL, 1, S("pod")},
    {S("container"), LP_FIELD_LABEL, 0, S("container")},
    {S("kubernetes.container_name"), LP_FIELD_LABEL, 1, S("container")},
    {S("kubernetes.container.name"), LP_FIELD_LABEL, 1, S("container")},
    {S("k8s.container.name"), LP_FIELD_LABEL, 1, S("container")},
    {S("stream"), LP_FIELD_LABEL, 0, S("stream")},
    {S("log.iostream"), LP_FIELD_LABEL, 1, S("stream")},
    {S("node"), LP_FIELD_LABEL, 0, S("node")},
    {S("kubernetes.host"), LP_FIELD_LABEL, 1, S("node")},
    {S("kubernetes.pod_node_name"), LP_FIELD_LABEL, 1, S("node")},
    {S("kubernetes.node.name"), LP_FIELD_LABEL, 1, S("node")},
    {S("k8s.node.name"), LP_FIELD_LABEL, 1, S("node")},
    {S("app"), LP_FIELD_LABEL, 0, S("app")},
    {S("kubernetes.labels.app"), LP_FIELD_LABEL, 1, S("app")},
    {S("kubernetes.pod_labels.app"), LP_FIELD_LABEL, 1, S("app")},
    {S("kubernetes.labels.app.kubernetes.io/name"), LP_FIELD_LABEL, 2, S("app")},
    {S("kubernetes.labels.app_kubernetes_io/name"), LP_FIELD_LABEL, 2, S("app")},
    {S("kubernetes.labels.app_kubernetes_io_name"), LP_FIELD_LABEL, 2, S("app")},
    {S("kubernetes.pod_labels.app.kubernetes.io/name"), LP_FIELD_LABEL, 2, S("app")},
    {S("kubernetes.pod_id"), LP_FIELD_UID, 0, S("")},
    {S("kubernetes.pod_uid"), LP_FIELD_UID, 0, S("")},
    {S("kubernetes.pod.uid"), LP_FIELD_UID, 0, S("")},
    {S("k8s.pod.uid"), LP_FIELD_UID, 0, S("")},
    {S("kubernetes.docker_id"), LP_FIELD_CONTAINER_ID, 0, S("")},
    {S("kubernetes.container_id"), LP_FIELD_CONTAINER_ID, 0, S("")},
    {S("docker.container_id"), LP_FIELD_CONTAINER_ID, 0, S("")},
    {S("container.id"), LP_FIELD_CONTAINER_ID, 0, S("")},
};

static const struct lp_field_rule jsonline[] = {
    {S("_time"), LP_FIELD_TIME, 0, S("")},     {S("@timestamp"), LP_FIELD_TIME, 1, S("")},
    {S("timestamp"), LP_FIELD_TIME, 2, S("")}, {S("time"), LP_FIELD_TIME, 3, S("")},
    {S("ts"), LP_FIELD_TIME, 4, S("")},        {S("_msg"), LP_FIELD_LINE, 0, S("")},
    {S("message"), LP_FIELD_LINE, 1, S("")},   {S("msg"), LP_FIELD_LINE, 2, S("")},
    {S("log"), LP_FIELD_LINE, 3, S("")},       {S("body"), LP_FIELD_LINE, 4, S("")},
};

static const struct lp_field_rule kafka[] = {
    {S("@timestamp"), LP_FIELD_TIME, 0, S("")},   {S("date"), LP_FIELD_TIME, 1, S("")},
    {S("timestamp"), LP_FIELD_TIME, 2, S("")},    {S("time"), LP_FIELD_TIME, 3, S("")},
    {S("time_ms"), LP_FIELD_TIME, 4, S("")},      {S("log"), LP_FIELD_LINE, 0, S("")},
    {S("message"), LP_FIELD_LINE, 1, S("")},      {S("event.original"), LP_FIELD_LINE, 2, S("")},
    {S("full_message"), LP_FIELD_LINE, 3, S("")}, {S("short_message"), LP_FIELD_LINE, 4, S("")},
    {S("MESSAGE"), LP_FIELD_LINE, 5, S("")},      {S("msg"), LP_FIELD_LINE, 6, S("")},
    {S("_msg"), LP_FIELD_LINE, 7, S("")},
};

static void
add_all(struct lp_json_map *m, const struct lp_field_rule *rules, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        bool added = lp_json_map_add(m, rules[i].path, rules[i].kind, rules[i].rank, rules[i].label);
        LP_ASSERT(added);
    }
}

void
lp_json_map_jsonline(struct lp_json_map *m)
{
    _Static_assert(LP_ARRAY_LEN(jsonline) + LP_ARRAY_LEN(identity) < LP_RULES_MAX,
                   "room for a request's own rules");
    *m = (struct lp_json_map){.otherwise = {LP_STR("job"), LP_STR("jsonline")}};
    add_all(m, jsonline, LP_ARRAY_LEN(jsonline));
    add_all(m, identity, LP_ARRAY_LEN(identity));
}

void
lp_json_map_kafka(struct lp_json_map *m)
{
    _Static_assert(LP_ARRAY_LEN(kafka) + LP_ARRAY_LEN(identity) < LP_RULES_MAX, "room for all rules");
    *m = (struct lp_json_map){.exact_time = true, .otherwise = {LP_STR("job"), LP_STR("kafka")}};
    add_all(m, kafka, LP_ARRAY_LEN(kafka));
    add_all(m, identity, LP_ARRAY_LEN(identity));
}
