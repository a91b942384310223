/*
 * kube_params.c - what a list asks for: selectors, limit, where to go on.
 */
#include "base/clock.h"
#include "server/kube.h"

#define WATCH_NS (1800 * LP_NS_PER_S)
#define WATCH_MAX_S 86400
#define SHOWN_BYTES 60u

/* A whole number, refused in the words of an API server. */
static lp_rc
number(struct lp_kube_call *c, const char *name, int64_t *ret)
{
    struct lp_str v = lp_kube_param(c, name);
    *ret = 0;
    if (v.n == 0 || lp_str_i64(v, ret)) {
        return LP_OK;
    }
    return lp_err_set(&c->err, LP_ERR_PARSE,
                      "%s: strconv.ParseInt: parsing \"" LP_STR_FMT "\": invalid syntax", name,
                      LP_STR_ARG(lp_str_sub(v, 0, SHOWN_BYTES)));
}

static lp_rc
place(struct lp_kube_call *c)
{
    struct lp_str token = lp_kube_param(c, "continue");
    if (token.n == 0 || lp_kube_token_parse(token, &c->ar, &c->list.after_ns, &c->list.after_name)) {
        return LP_OK;
    }
    return lp_err_set(&c->err, LP_ERR_PARSE, "continue key is not valid: it is none that this server gave");
}

static lp_rc
selectors(struct lp_kube_call *c)
{
    struct lp_kube_list *l = &c->list;
    struct lp_str fields = lp_kube_param(c, "fieldSelector");
    enum lp_kube_kind kind = c->path.resource != NULL ? c->path.resource->id : LP_KUBE_PODS;
    lp_rc rc = lp_kube_labels_parse(lp_kube_param(c, "labelSelector"), &c->ar, &l->labels, &c->err);
    if (rc == LP_OK && kind != LP_KUBE_EVENTS) { /* there are none, whatever their fields */
        rc = lp_kube_fields_parse(fields, kind == LP_KUBE_PODS, &c->ar, &l->fields, &c->err);
    }
    return rc;
}

static lp_rc
watching(struct lp_kube_call *c)
{
    int64_t seconds;
    c->list.watch = lp_kube_flag(c->params, c->nparams, "watch");
    lp_rc rc = number(c, "resourceVersion", &c->list.since_ns);
    rc = rc == LP_OK ? number(c, "timeoutSeconds", &seconds) : rc;
    if (rc == LP_OK) {
        c->list.timeout_ns =
            seconds > 0 ? LP_MIN(seconds, (int64_t)WATCH_MAX_S) * LP_NS_PER_S : (int64_t)WATCH_NS;
    }
    return rc;
}

/* What follows of the selectors for certain. Synthetic labels are no facts. */
static size_t
facts_of(const struct lp_kube_list *l, struct lp_arena *ar, struct lp_pair facts[LP_KUBE_FACTS])
{
    struct lp_str node = lp_kube_fields_exact(&l->fields, LP_KUBE_FIELD_NODE);
    size_t n = 0;
    if (node.n > 0) {
        facts[n++] = (struct lp_pair){LP_STR("node"), node};
    }
    for (size_t i = 0; i < l->labels.n && n < LP_KUBE_FACTS; i++) {
        const struct lp_kube_requirement *r = &l->labels.v[i];
        bool one = r->op == LP_KUBE_IN && r->nvalues == 1 && r->values[0].n > 0;
        if (one && !lp_str_starts(r->key, LP_STR("logpond.io/")) &&
            lp_pod_label_fact(ar, r->key, &facts[n].name)) {
            facts[n++].value = r->values[0];
        }
    }
    return n;
}

lp_rc
lp_kube_list_params(struct lp_kube_call *c)
{
    int64_t limit;
    lp_rc rc = selectors(c);
    rc = rc == LP_OK ? number(c, "limit", &limit) : rc;
    if (rc == LP_OK) {
        c->list.limit = limit > 0 ? (size_t)limit : 0;
        rc = place(c);
        c->list.nfacts = facts_of(&c->list, &c->ar, c->list.facts);
    }
    return rc == LP_OK ? watching(c) : rc;
}

bool
lp_kube_list_wants(void *list, const struct lp_pod *p)
{
    const struct lp_kube_list *l = list;
    return lp_kube_fields_match(&l->fields, LP_KUBE_FIELD_NAME, p->name) &&
           lp_kube_fields_match(&l->fields, LP_KUBE_FIELD_NAMESPACE, p->ns) &&
           lp_kube_fields_match(&l->fields, LP_KUBE_FIELD_NODE, p->node) &&
           lp_kube_labels_match(&l->labels, lp_kube_pod_label, p);
}

bool
lp_kube_list_phase(const struct lp_kube_call *c, const struct lp_pod *p)
{
    return lp_kube_fields_match(&c->list.fields, LP_KUBE_FIELD_PHASE,
                                lp_str_c(lp_kube_phase(&c->eye, p->last_ns)));
}

struct lp_pods_query
lp_kube_list_query(struct lp_kube_call *c)
{
    struct lp_pods_query q = lp_kube_pods_query(c);
    if (q.ns.n == 0) {
        q.ns = lp_kube_fields_exact(&c->list.fields, LP_KUBE_FIELD_NAMESPACE);
    }
    q.name = lp_kube_fields_exact(&c->list.fields, LP_KUBE_FIELD_NAME);
    q.after_ns = c->list.after_ns;
    q.after_name = c->list.after_name;
    if (c->list.labels.n > 0 || c->list.fields.n > 0) {
        q.wants = lp_kube_list_wants;
        q.arg = &c->list;
        q.facts = c->list.facts;
        q.nfacts = c->list.nfacts;
    }
    return q;
}
