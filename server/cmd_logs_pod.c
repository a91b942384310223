/*
 * cmd_logs_pod.c - what Kubernetes objects say: a pod's containers and restarts, where a name is, why
 * something was refused.
 */
#include "base/str.h"
#include "server/cmd_logs_int.h"

static const struct lp_json *
member(const struct lp_json_doc *doc, const struct lp_json *of, const char *name)
{
    return of != NULL && of->type == LP_JSON_OBJECT
               ? lp_json_member(doc, (uint32_t)(of - doc->nodes), lp_str_c(name))
               : NULL;
}

static struct lp_str
text(const struct lp_json *v)
{
    return v != NULL && v->type == LP_JSON_STRING ? v->text : LP_STR_NULL;
}

/* --- a pod --- */

static void
read_container(const struct lp_json_doc *doc, const struct lp_json *status, struct lp_logs_pod *ret)
{
    ret->containers++;
    ret->restarts = LP_MAX(ret->restarts, lp_json_u64(member(doc, status, "restartCount")));
}

void
lp_logs_pod_read(const struct lp_json_doc *doc, const char *container, struct lp_logs_pod *ret)
{
    static const char *const kinds[] = {"initContainerStatuses", "containerStatuses",
                                        "ephemeralContainerStatuses"};
    const struct lp_json *status = lp_json_path(doc, "status", NULL);
    struct lp_str earlier =
        text(lp_json_path(doc, "metadata", "annotations", "logpond.io/earlier-uids", NULL));
    struct lp_str newest = lp_str_cut(&earlier, ',');
    *ret = (struct lp_logs_pod){.known = true};
    if (!lp_time_rfc3339(text(lp_json_path(doc, "metadata", "annotations", "logpond.io/last-line", NULL)),
                         &ret->last_ns)) {
        ret->last_ns = LP_TIME_NONE;
    }
    for (size_t k = 0; k < LP_ARRAY_LEN(kinds); k++) {
        const struct lp_json *list = member(doc, status, kinds[k]);
        if (list == NULL || list->type != LP_JSON_ARRAY) {
            continue;
        }
        for (uint32_t i = (uint32_t)(list - doc->nodes) + 1; i < list->next; i = doc->nodes[i].next) {
            if (container == NULL || lp_str_eqc(text(member(doc, &doc->nodes[i], "name")), container)) {
                read_container(doc, &doc->nodes[i], ret);
            }
        }
    }
    snprintf(ret->earlier, sizeof(ret->earlier), LP_STR_FMT, LP_STR_ARG(newest));
}

/* --- where a name is --- */

#define NAMESPACES_MAX 8

bool
lp_logs_namespaces(const struct lp_json_doc *doc, struct lp_buf *out, struct lp_str *ret_first)
{
    const struct lp_json *items = lp_json_path(doc, "items", NULL);
    struct lp_str found[NAMESPACES_MAX];
    size_t n = 0, i = 0;
    if (items == NULL || items->type != LP_JSON_ARRAY) {
        return false;
    }
    for (uint32_t at = (uint32_t)(items - doc->nodes) + 1; at < items->next && n < NAMESPACES_MAX;
         at = doc->nodes[at].next) {
        struct lp_str ns = text(member(doc, member(doc, &doc->nodes[at], "metadata"), "namespace"));
        for (i = 0; i < n && !lp_str_eq(found[i], ns); i++) {
        }
        if (i == n && ns.n > 0) {
            found[n++] = ns;
        }
    }
    lp_buf_c(out, n > 1 ? "namespaces" : "namespace");
    for (i = 0; i < n; i++) {
        lp_buf_c(out, i > 0 ? ", " : " ");
        lp_buf_str(out, found[i]);
    }
    *ret_first = n > 0 ? found[0] : LP_STR_NULL;
    return n > 0;
}

/* --- refusals --- */

struct lp_str
lp_logs_refusal(struct lp_client_answer *a, struct lp_json_parser *p, struct lp_json_doc *ret_doc)
{
    *ret_doc = (struct lp_json_doc){.count = 0};
    if (lp_client_json(a, p, ret_doc, NULL) == LP_OK) {
        struct lp_str message = text(lp_json_path(ret_doc, "message", NULL));
        if (message.n > 0 && lp_str_eqc(text(lp_json_path(ret_doc, "kind", NULL)), "Status")) {
            return message;
        }
    }
    ret_doc->count = 0;
    return lp_client_reason(a);
}
