/*
 * exec_select.c - the streams of a query: what the catalog can look up goes as hints, the matchers have the
 * last word.
 */
#include <string.h>

#include "query/exec_int.h"

struct selection {
    struct lp_matchers **any; /* a stream is wanted if one of them passes */
    size_t n;
};

static bool
match_any(void *arg, const struct lp_pair *labels, size_t nlabels)
{
    const struct selection *sel = arg;
    struct lp_pair seen[LP_STREAM_LABELS_MAX];
    size_t nseen = lp_stream_labels(labels, nlabels, seen);
    for (size_t i = 0; i < sel->n; i++) {
        if (lp_matchers_match(sel->any[i], seen, nseen)) {
            return true;
        }
    }
    return sel->n == 0;
}

/* Sets that leave out streams without the label: only these can be looked up. A derived label is not in the
 * catalog. */
static size_t
hints_of(const struct lp_matchers *m, struct lp_select_hint *ret)
{
    size_t n = 0;
    for (size_t i = 0; i < lp_matchers_count(m); i++) {
        const struct lp_matcher *one = lp_matchers_at(m, i);
        bool derived = lp_str_eqc(one->name, LP_SERVICE_LABEL);
        if (one->kind == LP_MATCHER_SET && !one->negative && !one->passes_empty && !derived) {
            ret[n++] = (struct lp_select_hint){one->name, one->values, one->nvalues};
        }
    }
    return n;
}

static bool
names_quarantine(const struct selection *sel)
{
    for (size_t i = 0; i < sel->n; i++) {
        for (size_t k = 0; k < lp_matchers_count(sel->any[i]); k++) {
            if (lp_str_eqc(lp_matchers_at(sel->any[i], k)->name, LP_QUARANTINE_LABEL)) {
                return true;
            }
        }
    }
    return false;
}

static lp_rc
open_selected(struct lp_store *st, struct lp_str tenant, const struct selection *sel, size_t budget_bytes,
              struct lp_view **ret, struct lp_err *err)
{
    struct lp_select_hint *hints = NULL;
    struct lp_selector s = {
        .match = match_any, .arg = (void *)(uintptr_t)sel, .quarantine = names_quarantine(sel)};
    if (sel->n == 1) { /* several selectors have no hint in common that is worth looking for */
        hints = lp_calloc(lp_matchers_count(sel->any[0]), sizeof(*hints));
        s.nhints = hints_of(sel->any[0], hints);
        s.hints = hints;
    }
    struct lp_view *v;
    lp_rc rc = lp_view_open(st, tenant, &v, err);
    if (rc == LP_OK) {
        rc = lp_view_select(v, &s, budget_bytes, err);
        if (rc == LP_OK) {
            *ret = v;
        } else {
            lp_view_free(v);
        }
    }
    lp_free(hints);
    return rc;
}

lp_rc
lp_exec_view(struct lp_store *st, struct lp_str tenant, const struct lp_log_query *const *selectors, size_t n,
             size_t budget_bytes, struct lp_view **ret, struct lp_err *err)
{
    struct selection sel = {lp_calloc(n, sizeof(struct lp_matchers *)), 0};
    lp_rc rc = LP_OK;
    for (size_t i = 0; i < n && rc == LP_OK; i++) {
        rc = lp_matchers_new(selectors[i]->matchers, selectors[i]->nmatchers, &sel.any[i], err);
        sel.n += rc == LP_OK;
    }
    if (rc == LP_OK) {
        rc = open_selected(st, tenant, &sel, budget_bytes, ret, err);
    }
    for (size_t i = 0; i < sel.n; i++) {
        lp_matchers_free(sel.any[i]);
    }
    lp_free(sel.any);
    return rc;
}
