/*
 * kube_select.c - see kube_select.h. The texts are hostile: their length is bounded by that of a URL, and
 * what they become by the arena.
 */
#include "server/kube_select.h"

#define SHOWN_BYTES 100u

/* --- label selectors --- */

struct reader {
    struct lp_str rest;
    struct lp_arena *ar;
    struct lp_err *err;
};

static void
skip_blanks(struct reader *r)
{
    while (r->rest.n > 0 && (r->rest.p[0] == ' ' || r->rest.p[0] == '\t')) {
        r->rest = lp_str_sub(r->rest, 1, r->rest.n);
    }
}

/* A key, a value or a word such as `in`; it may be empty. */
static struct lp_str
word(struct reader *r)
{
    size_t n = 0;
    skip_blanks(r);
    while (n < r->rest.n && memchr(" \t,()=!<>", r->rest.p[n], 9) == NULL) {
        n++;
    }
    struct lp_str w = lp_str_of(r->rest.p, n);
    r->rest = lp_str_sub(r->rest, n, r->rest.n);
    skip_blanks(r);
    return w;
}

static bool
take(struct reader *r, const char *token)
{
    struct lp_str t = lp_str_c(token);
    skip_blanks(r);
    if (!lp_str_starts(r->rest, t)) {
        return false;
    }
    r->rest = lp_str_sub(r->rest, t.n, r->rest.n);
    return true;
}

static lp_rc
expected(struct reader *r, const char *what)
{
    struct lp_str found = lp_str_sub(r->rest, 0, SHOWN_BYTES);
    return lp_err_set(r->err, LP_ERR_PARSE,
                      "unable to parse requirement: found '" LP_STR_FMT "', expected: %s", LP_STR_ARG(found),
                      what);
}

static lp_rc
spent(struct lp_err *err)
{
    return lp_err_set(err, LP_ERR_LIMIT, "the selector is too long");
}

static lp_rc
add_value(struct reader *r, struct lp_kube_requirement *q, size_t *cap, struct lp_str value)
{
    struct lp_str *v = lp_arena_grow(r->ar, q->values, cap, q->nvalues + 1, sizeof(*v));
    if (v == NULL) {
        return spent(r->err);
    }
    q->values = v;
    v[q->nvalues++] = value;
    return LP_OK;
}

/* (a, b) behind `in` and `notin`. */
static lp_rc
set_of_values(struct reader *r, struct lp_kube_requirement *q)
{
    size_t cap = 0;
    if (!take(r, "(")) {
        return expected(r, "'('");
    }
    do {
        lp_rc rc = add_value(r, q, &cap, word(r));
        if (rc != LP_OK) {
            return rc;
        }
    } while (take(r, ","));
    return take(r, ")") ? LP_OK : expected(r, "',' or ')'");
}

static lp_rc
one_value(struct reader *r, struct lp_kube_requirement *q)
{
    size_t cap = 0;
    return add_value(r, q, &cap, word(r));
}

static lp_rc
operation(struct reader *r, struct lp_kube_requirement *q)
{
    if (take(r, "!=")) {
        q->op = LP_KUBE_NOT_IN;
        return one_value(r, q);
    }
    if (take(r, "==") || take(r, "=")) {
        q->op = LP_KUBE_IN;
        return one_value(r, q);
    }
    if (r->rest.n == 0 || r->rest.p[0] == ',') {
        q->op = LP_KUBE_THERE;
        return LP_OK;
    }
    struct lp_str before = r->rest, w = word(r);
    q->op = lp_str_eqc(w, "in") ? LP_KUBE_IN : LP_KUBE_NOT_IN;
    if (!lp_str_eqc(w, "in") && !lp_str_eqc(w, "notin")) {
        r->rest = before;
        return expected(r, "in, notin, =, ==, !=");
    }
    return set_of_values(r, q);
}

static lp_rc
requirement(struct reader *r, struct lp_kube_requirement *q)
{
    bool negated = take(r, "!");
    *q = (struct lp_kube_requirement){.key = word(r)};
    if (q->key.n == 0) {
        return expected(r, "!, identifier");
    }
    lp_rc rc = LP_OK;
    if (negated) {
        q->op = LP_KUBE_NOT_THERE;
    } else {
        rc = operation(r, q);
    }
    skip_blanks(r);
    return rc == LP_OK && r->rest.n > 0 && r->rest.p[0] != ',' ? expected(r, "',' or the end") : rc;
}

lp_rc
lp_kube_labels_parse(struct lp_str text, struct lp_arena *ar, struct lp_kube_labels *ret, struct lp_err *err)
{
    struct reader r = {text, ar, err};
    struct lp_kube_labels l = {NULL, 0};
    size_t cap = 0;
    skip_blanks(&r);
    bool more = r.rest.n > 0;
    while (more) {
        struct lp_kube_requirement *v = lp_arena_grow(ar, l.v, &cap, l.n + 1, sizeof(*v));
        if (v == NULL) {
            return spent(err);
        }
        l.v = v;
        lp_rc rc = requirement(&r, &v[l.n++]);
        if (rc != LP_OK) {
            return rc;
        }
        more = take(&r, ",");
    }
    *ret = l;
    return LP_OK;
}

static bool
is_one_of(const struct lp_kube_requirement *q, struct lp_str value)
{
    for (size_t i = 0; i < q->nvalues; i++) {
        if (lp_str_eq(q->values[i], value)) {
            return true;
        }
    }
    return false;
}

static bool
holds(const struct lp_kube_requirement *q, struct lp_str value)
{
    bool there = value.p != NULL;
    switch (q->op) {
    case LP_KUBE_IN:
        return there && is_one_of(q, value);
    case LP_KUBE_NOT_IN:
        return !there || !is_one_of(q, value);
    case LP_KUBE_THERE:
        return there;
    case LP_KUBE_NOT_THERE:
        break;
    }
    return !there;
}

bool
lp_kube_labels_match(const struct lp_kube_labels *l, lp_kube_label_fn *value, const void *arg)
{
    for (size_t i = 0; i < l->n; i++) {
        if (!holds(&l->v[i], value(arg, l->v[i].key))) {
            return false;
        }
    }
    return true;
}

/* --- field selectors --- */

static const char *const field_names[] = {"metadata.name", "metadata.namespace", "spec.nodeName",
                                          "status.phase"};
_Static_assert(LP_ARRAY_LEN(field_names) == LP_KUBE_NFIELDS, "one name for each field, in their order");

static lp_rc
field_of(struct lp_str name, bool pods, enum lp_kube_field *ret, struct lp_err *err)
{
    for (int i = 0; i < (pods ? LP_KUBE_NFIELDS : LP_KUBE_FIELD_NODE); i++) {
        if (lp_str_eqc(name, field_names[i])) {
            *ret = (enum lp_kube_field)i;
            return LP_OK;
        }
    }
    return lp_err_set(err, LP_ERR_PARSE, "field label not supported: " LP_STR_FMT,
                      LP_STR_ARG(lp_str_sub(name, 0, SHOWN_BYTES)));
}

/* One of FIELD=VALUE, FIELD==VALUE, FIELD!=VALUE. */
static lp_rc
term(struct lp_str text, bool pods, struct lp_kube_term *ret, struct lp_err *err)
{
    size_t at = lp_str_find_byte(text, '=');
    if (at == SIZE_MAX || at == 0) {
        struct lp_str shown = lp_str_sub(text, 0, SHOWN_BYTES);
        return lp_err_set(err, LP_ERR_PARSE,
                          "invalid field selector: \"" LP_STR_FMT "\"; can't understand \"" LP_STR_FMT "\"",
                          LP_STR_ARG(shown), LP_STR_ARG(shown));
    }
    ret->is_not = text.p[at - 1] == '!';
    struct lp_str name = lp_str_trim(lp_str_sub(text, 0, ret->is_not ? at - 1 : at));
    size_t behind = at + 1 < text.n && text.p[at + 1] == '=' && !ret->is_not ? at + 2 : at + 1;
    ret->value = lp_str_trim(lp_str_sub(text, behind, text.n));
    return field_of(name, pods, &ret->field, err);
}

lp_rc
lp_kube_fields_parse(struct lp_str text, bool pods, struct lp_arena *ar, struct lp_kube_fields *ret,
                     struct lp_err *err)
{
    struct lp_kube_fields f = {NULL, 0};
    size_t cap = 0;
    while (text.n > 0) {
        struct lp_str one = lp_str_trim(lp_str_cut(&text, ','));
        if (one.n == 0) {
            continue;
        }
        struct lp_kube_term *v = lp_arena_grow(ar, f.v, &cap, f.n + 1, sizeof(*v));
        if (v == NULL) {
            return spent(err);
        }
        f.v = v;
        lp_rc rc = term(one, pods, &v[f.n++], err);
        if (rc != LP_OK) {
            return rc;
        }
    }
    *ret = f;
    return LP_OK;
}

bool
lp_kube_fields_match(const struct lp_kube_fields *f, enum lp_kube_field field, struct lp_str value)
{
    for (size_t i = 0; i < f->n; i++) {
        if (f->v[i].field == field && lp_str_eq(f->v[i].value, value) == f->v[i].is_not) {
            return false;
        }
    }
    return true;
}

struct lp_str
lp_kube_fields_exact(const struct lp_kube_fields *f, enum lp_kube_field field)
{
    for (size_t i = 0; i < f->n; i++) {
        if (f->v[i].field == field && !f->v[i].is_not && f->v[i].value.n > 0) {
            return f->v[i].value;
        }
    }
    return LP_STR_NULL;
}
