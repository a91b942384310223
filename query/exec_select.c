/*
 * exec_select.c - the streams of a query: its matchers as the store takes them (store/select.h).
 */
#include <string.h>

#include "query/exec_int.h"

struct selection {
    struct lp_matchers **compiled; /* of each selector */
    struct lp_select_all *any;
    size_t n;
};

static bool
passes(const void *arg, struct lp_str value)
{
    return lp_matcher_value(arg, value);
}

static struct lp_select_matcher
select_matcher(const struct lp_matcher *m)
{
    return (struct lp_select_matcher){.name = m->name,
                                      .passes = passes,
                                      .arg = m,
                                      .negative = m->negative,
                                      .every = m->every,
                                      .values = m->kind == LP_MATCHER_SET ? m->values : NULL,
                                      .nvalues = m->nvalues,
                                      .prefix = m->prefix};
}

/* Compiles one selector into sel; clears with the others. */
static lp_rc
add_selector(struct selection *sel, const struct lp_log_query *q, struct lp_err *err)
{
    struct lp_matchers *m;
    lp_rc rc = lp_matchers_new(q->matchers, q->nmatchers, &m, err);
    if (rc != LP_OK) {
        return rc;
    }
    size_t n = lp_matchers_count(m);
    struct lp_select_matcher *v = lp_calloc(n, sizeof(*v));
    for (size_t i = 0; i < n; i++) {
        v[i] = select_matcher(lp_matchers_at(m, i));
    }
    sel->compiled[sel->n] = m;
    sel->any[sel->n++] = (struct lp_select_all){v, n};
    return LP_OK;
}

static void
clear(struct selection *sel)
{
    for (size_t i = 0; i < sel->n; i++) {
        lp_matchers_free(sel->compiled[i]);
        lp_free((void *)(uintptr_t)sel->any[i].matchers);
    }
    lp_free(sel->compiled);
    lp_free(sel->any);
}

static bool
names_quarantine(const struct selection *sel)
{
    for (size_t i = 0; i < sel->n; i++) {
        for (size_t k = 0; k < sel->any[i].n; k++) {
            if (lp_str_eqc(sel->any[i].matchers[k].name, LP_QUARANTINE_LABEL)) {
                return true;
            }
        }
    }
    return false;
}

lp_rc
lp_exec_view(struct lp_store *st, struct lp_str tenant, const struct lp_log_query *const *selectors, size_t n,
             const struct lp_select_filter *filter, size_t budget_bytes, struct lp_view **ret,
             struct lp_err *err)
{
    struct selection sel = {lp_calloc(n, sizeof(struct lp_matchers *)), lp_calloc(n, sizeof(*sel.any)), 0};
    struct lp_view *v = NULL;
    lp_rc rc = LP_OK;
    for (size_t i = 0; i < n && rc == LP_OK; i++) {
        rc = add_selector(&sel, selectors[i], err);
    }
    struct lp_selector s = {sel.any, sel.n, names_quarantine(&sel), filter};
    rc = rc == LP_OK ? lp_view_open(st, tenant, &v, err) : rc;
    rc = rc == LP_OK ? lp_view_select(v, &s, budget_bytes, err) : rc;
    clear(&sel);
    if (rc != LP_OK) {
        lp_view_free(v);
        return rc;
    }
    *ret = v;
    return LP_OK;
}
