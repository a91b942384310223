/*
 * select.c - matchers as operations on sets of streams. See select.h.
 *
 * What a matcher wants is found where the fewest things are: values that are named are looked up; of others
 * each distinct value is asked about once; and where few streams are left, their own labels are.
 */
#include "store/select.h"

#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "store/service.h"

#define FEW_STREAMS 64 /* left: reading them costs less than asking about all values of a label */

struct selection {
    struct lp_cat_txn *t;
    uint32_t tenant;
    uint64_t limit;
    struct lp_err *err;
};

static bool
meets(const struct lp_select_matcher *m, struct lp_str value)
{
    return m->passes(m->arg, value) != m->negative;
}

/* ------------------------------------------------------------------ the values of one label */

struct asked {
    const struct selection *s;
    const struct lp_select_matcher *m;
    struct lp_idset *set;
    lp_rc rc;
};

static bool
ask_value(void *arg, struct lp_str value, const struct lp_cat_posting *p)
{
    struct asked *a = arg;
    if (meets(a->m, value)) {
        a->rc = lp_cat_posting_add(a->s->t, p, a->set, a->s->err);
    }
    return a->rc == LP_OK;
}

/* Adds the streams whose value of the label meets the matcher's condition. */
static lp_rc
add_meeting(const struct selection *s, const struct lp_select_matcher *m, struct lp_str name, uint32_t label,
            struct lp_idset *set)
{
    lp_rc rc = LP_OK;
    if (m->every) {
        return lp_cat_label_ids(s->t, s->tenant, label, set, s->err);
    }
    if (m->values != NULL) {
        for (size_t i = 0; i < m->nvalues && rc == LP_OK; i++) {
            if (m->values[i].n > 0) {
                rc = lp_cat_value_ids(s->t, s->tenant, label, m->values[i], set, s->err);
            }
        }
        return rc;
    }
    struct asked a = {s, m, set, LP_OK};
    rc = lp_cat_values(s->t, s->tenant, name, label, m->prefix, ask_value, &a, s->err);
    return a.rc != LP_OK ? a.rc : rc;
}

/* LP_OK with *ret 0 when no stream of the tenant ever had the label. */
static lp_rc
find_label(const struct selection *s, struct lp_str name, uint32_t *ret)
{
    lp_rc rc = lp_cat_label(s->t, s->tenant, name, ret, s->err);
    if (rc == LP_ERR_NOT_FOUND) {
        lp_err_clear(s->err);
        *ret = 0;
        rc = LP_OK;
    }
    return rc;
}

/* Takes those out of `rest` that have the label. */
static lp_rc
take_out(const struct selection *s, uint32_t label, struct lp_idset *rest)
{
    struct lp_idset has;
    lp_idset_init(&has, s->limit);
    lp_rc rc = lp_cat_label_ids(s->t, s->tenant, label, &has, s->err);
    lp_idset_without(rest, &has);
    lp_idset_clear(&has);
    return rc;
}

/* ------------------------------------------------------------------ labels, and the one that is derived */

/*
 * Calls fn for each label that gives streams a value of `name`, with the streams of `among` that it gives it
 * to; and for a derived name in the end with label 0 and those that have none of its sources.
 */
typedef lp_rc (*source_fn)(void *arg, struct lp_str name, uint32_t label, const struct lp_idset *among);

static lp_rc
each_source(const struct selection *s, struct lp_str name, const struct lp_idset *among, source_fn fn,
            void *arg)
{
    uint32_t label;
    bool derived = lp_str_eqc(name, LP_SERVICE_LABEL);
    lp_rc rc = find_label(s, name, &label);
    if (!derived) {
        return rc == LP_OK && label != 0 ? fn(arg, name, label, among) : rc;
    }
    struct lp_idset rest;
    lp_idset_init(&rest, s->limit);
    lp_idset_or(&rest, among);
    for (size_t i = 0; rc == LP_OK && i <= lp_service_nsources; i++) {
        if (label != 0) {
            lp_idset_number(&rest);
            rc = fn(arg, name, label, &rest);
            lp_idset_unnumber(&rest);
            rc = rc == LP_OK ? take_out(s, label, &rest) : rc;
        }
        if (rc == LP_OK && i < lp_service_nsources) {
            name = lp_service_sources[i];
            rc = find_label(s, name, &label);
        }
    }
    if (rc == LP_OK && !lp_idset_is_empty(&rest)) {
        lp_idset_number(&rest);
        rc = fn(arg, LP_STR_NULL, 0, &rest);
    }
    lp_idset_clear(&rest);
    return rc;
}

struct meeting {
    const struct selection *s;
    const struct lp_select_matcher *m;
    struct lp_idset *set;
};

static lp_rc
add_source(void *arg, struct lp_str name, uint32_t label, const struct lp_idset *among)
{
    struct meeting *w = arg;
    struct lp_idset one;
    lp_rc rc = LP_OK;
    if (label == 0) {
        if (meets(w->m, LP_STR(LP_SERVICE_UNKNOWN))) {
            lp_idset_or(w->set, among);
        }
        return LP_OK;
    }
    lp_idset_init(&one, w->s->limit);
    rc = add_meeting(w->s, w->m, name, label, &one);
    lp_idset_and(&one, among);
    lp_idset_or(w->set, &one);
    lp_idset_clear(&one);
    return rc;
}

/* Adds the streams of `among` that have no value of the name. */
static lp_rc
without_value(const struct selection *s, struct lp_str name, const struct lp_idset *among,
              struct lp_idset *ret)
{
    uint32_t label;
    lp_idset_or(ret, among);
    if (lp_str_eqc(name, LP_SERVICE_LABEL)) { /* every stream has one */
        lp_idset_without(ret, among);
        return LP_OK;
    }
    lp_rc rc = find_label(s, name, &label);
    return rc == LP_OK && label != 0 ? take_out(s, label, ret) : rc;
}

/* ------------------------------------------------------------------ selectors */

/* Looks at each stream that is left. */
static lp_rc
keep_passing(const struct selection *s, const struct lp_select_matcher *m, struct lp_idset *set)
{
    struct lp_idset out;
    struct lp_cat_pack pack;
    lp_rc rc = LP_OK;
    lp_cat_pack_init(&pack);
    lp_idset_init(&out, s->limit);
    for (uint64_t id = 0; rc == LP_OK && (id = lp_idset_next(set, id)) != UINT64_MAX; id++) {
        uint64_t group;
        struct lp_str key, tenant;
        struct lp_pair labels[LP_STREAM_LABELS_MAX];
        size_t n;
        rc = lp_cat_stream(s->t, id, &pack, &group, &key, s->err);
        if (rc == LP_OK && !lp_key_labels(key, &tenant, labels, &n)) {
            rc = lp_corrupt(s->err, "catalog: a stream's key is malformed");
        }
        if (rc == LP_OK && !m->passes(m->arg, lp_labels_get(labels, n, m->name))) {
            lp_idset_add(&out, id, id + 1);
        }
    }
    lp_idset_without(set, &out);
    lp_idset_clear(&out);
    lp_cat_pack_clear(&pack);
    return rc;
}

/* Leaves of the set what passes the matcher. */
static lp_rc
apply(const struct selection *s, const struct lp_select_matcher *m, struct lp_idset *set)
{
    bool walks = m->values == NULL && !m->every;
    if (walks && lp_idset_count(set) <= FEW_STREAMS) {
        return keep_passing(s, m, set);
    }
    struct lp_idset met;
    struct meeting w = {s, m, &met};
    lp_idset_init(&met, s->limit);
    lp_rc rc = each_source(s, m->name, set, add_source, &w);
    if (rc == LP_OK && meets(m, LP_STR_NULL)) {
        struct lp_idset absent;
        lp_idset_init(&absent, s->limit);
        rc = without_value(s, m->name, set, &absent);
        lp_idset_or(&met, &absent);
        lp_idset_clear(&absent);
    }
    (m->negative ? lp_idset_without : lp_idset_and)(set, &met);
    lp_idset_clear(&met);
    return rc;
}

/* Leaves of the set what passes all: named values first, which leave the fewest for those that look at
 * values. */
static lp_rc
apply_all(const struct selection *s, const struct lp_select_all *all, struct lp_idset *set)
{
    lp_rc rc = LP_OK;
    for (int round = 0; round < 2; round++) {
        for (size_t i = 0; i < all->n && rc == LP_OK && !lp_idset_is_empty(set); i++) {
            const struct lp_select_matcher *m = &all->matchers[i];
            bool walks = m->values == NULL && !m->every;
            rc = walks == (round == 1) ? apply(s, m, set) : LP_OK;
        }
    }
    return rc;
}

static lp_rc
selectable(const struct selection *s, bool quarantine, struct lp_idset *set)
{
    uint32_t label;
    lp_rc rc = lp_cat_tenant_ids(s->t, s->tenant, set, s->err);
    if (rc == LP_OK && !quarantine) {
        rc = find_label(s, LP_STR(LP_QUARANTINE_LABEL), &label);
        rc = rc == LP_OK && label != 0 ? take_out(s, label, set) : rc;
    }
    return rc;
}

lp_rc
lp_select_ids(struct lp_cat_txn *t, struct lp_str tenant, const struct lp_selector *sel, struct lp_idset *set,
              struct lp_err *err)
{
    struct lp_err local;
    struct selection s = {.t = t, .limit = set->limit, .err = err != NULL ? err : &local};
    lp_rc rc = lp_cat_tenant(t, tenant, &s.tenant, s.err);
    if (rc == LP_ERR_NOT_FOUND) {
        lp_err_clear(s.err);
        return LP_OK;
    }
    rc = rc == LP_OK ? selectable(&s, sel->quarantine, set) : rc;
    if (rc != LP_OK || sel->n == 0) {
        return rc;
    }
    struct lp_idset all = *set;
    lp_idset_init(set, all.limit);
    for (size_t i = 0; i < sel->n && rc == LP_OK; i++) {
        struct lp_idset one;
        lp_idset_init(&one, all.limit);
        lp_idset_or(&one, &all);
        rc = apply_all(&s, &sel->any[i], &one);
        lp_idset_or(set, &one);
        lp_idset_clear(&one);
    }
    lp_idset_clear(&all);
    return rc;
}

/* ------------------------------------------------------------------ distinct values */

struct values {
    const struct selection *s;
    lp_select_value_fn fn;
    void *arg;
    const struct lp_idset *among;
    bool stopped;
};

static bool
give_value(void *arg, struct lp_str value, const struct lp_cat_posting *p)
{
    struct values *v = arg;
    v->stopped = !v->fn(v->arg, value, p, v->among);
    return !v->stopped;
}

static lp_rc
give_source(void *arg, struct lp_str name, uint32_t label, const struct lp_idset *among)
{
    struct values *v = arg;
    v->among = among;
    if (v->stopped) {
        return LP_OK;
    }
    if (label == 0) {
        v->stopped = !v->fn(v->arg, LP_STR(LP_SERVICE_UNKNOWN), NULL, among);
        return LP_OK;
    }
    return lp_cat_values(v->s->t, v->s->tenant, name, label, LP_STR_NULL, give_value, v, v->s->err);
}

lp_rc
lp_select_values(struct lp_cat_txn *t, struct lp_str tenant, struct lp_str name, const struct lp_idset *among,
                 lp_select_value_fn fn, void *arg, struct lp_err *err)
{
    struct lp_err local;
    struct selection s = {.t = t, .limit = among->limit, .err = err != NULL ? err : &local};
    struct values v = {.s = &s, .fn = fn, .arg = arg};
    lp_rc rc = lp_cat_tenant(t, tenant, &s.tenant, s.err);
    if (rc == LP_ERR_NOT_FOUND) {
        lp_err_clear(s.err);
        return LP_OK;
    }
    return rc == LP_OK ? each_source(&s, name, among, give_source, &v) : rc;
}

/* ------------------------------------------------------------------ streams that are not in the catalog */

#define MEMO 256 /* values remembered for each matcher; a power of two */

struct verdict {
    struct lp_str value; /* p NULL: unused */
    bool passes;
};

struct lp_select_memo {
    const struct lp_selector *sel;
    struct verdict **of; /* by matcher, over all selectors */
};

struct lp_select_memo *
lp_select_memo_new(const struct lp_selector *sel)
{
    struct lp_select_memo *m = lp_calloc(1, sizeof(*m));
    size_t n = 0;
    for (size_t i = 0; i < sel->n; i++) {
        n += sel->any[i].n;
    }
    m->sel = sel;
    m->of = lp_calloc(n, sizeof(struct verdict *));
    return m;
}

void
lp_select_memo_free(struct lp_select_memo *m)
{
    if (m != NULL) {
        for (size_t i = 0, k = 0; i < m->sel->n; k += m->sel->any[i++].n) {
            for (size_t j = 0; j < m->sel->any[i].n; j++) {
                lp_free(m->of[k + j]);
            }
        }
        lp_free(m->of);
        lp_free(m);
    }
}

static bool
value_passes(struct verdict **known, const struct lp_select_matcher *m, struct lp_str value)
{
    if (value.n == 0 || m->values != NULL) { /* as quick as to remember it */
        return m->passes(m->arg, value);
    }
    if (*known == NULL) {
        *known = lp_calloc(MEMO, sizeof(**known));
    }
    struct verdict *v = &(*known)[lp_xxh64(value.p, value.n) & (MEMO - 1)];
    if (v->value.p == NULL || !lp_str_eq(v->value, value)) {
        *v = (struct verdict){value, m->passes(m->arg, value)};
    }
    return v->passes;
}

/* A label's value, as LogQL sees it. */
static struct lp_str
value_of(const struct lp_pair *labels, size_t n, struct lp_str name)
{
    return lp_str_eqc(name, LP_SERVICE_LABEL) ? lp_service_name(labels, n) : lp_labels_get(labels, n, name);
}

bool
lp_select_filter_wants(const struct lp_select_filter *f, struct lp_str key, struct lp_arena *scratch)
{
    struct lp_stream_key k;
    if (f == NULL) {
        return true;
    }
    lp_arena_reset(scratch);
    return lp_stream_key_parse(key, scratch, &k, NULL) == LP_OK && f->wants(f->arg, &k);
}

bool
lp_select_key(struct lp_select_memo *m, struct lp_str tenant, struct lp_str key)
{
    struct lp_pair labels[LP_LABELS_MAX];
    struct lp_str its;
    size_t n;
    if (!lp_key_own_labels(key, &its, labels, &n) || !lp_str_eq(its, tenant) ||
        (!m->sel->quarantine && lp_labels_get(labels, n, LP_STR(LP_QUARANTINE_LABEL)).n > 0)) {
        return false;
    }
    bool wanted = m->sel->n == 0;
    for (size_t i = 0, k = 0; i < m->sel->n && !wanted; k += m->sel->any[i++].n) {
        wanted = true;
        for (size_t j = 0; j < m->sel->any[i].n && wanted; j++) {
            const struct lp_select_matcher *one = &m->sel->any[i].matchers[j];
            wanted = value_passes(&m->of[k + j], one, value_of(labels, n, one->name));
        }
    }
    return wanted;
}
