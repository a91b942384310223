/*
 * matcher.c - compiling and evaluating label matchers. Everything a set of matchers holds lies in its own
 * arena, but for the regexes. Immutable after lp_matchers_new.
 */
#include "query/matcher.h"

#include <stdlib.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/regex.h"
#include "query/literals.h"
#include "store/service.h"

/* A selector's text is at most 128 KiB (parse.h), and a literal needs a slice of it. */
#define ARENA_BYTES (8u << 20)

struct lp_matchers {
    struct lp_arena ar;
    struct lp_matcher *items;
    size_t n;
};

static int
compare_values(const void *a, const void *b)
{
    return lp_str_cmp(*(const struct lp_str *)a, *(const struct lp_str *)b);
}

static lp_rc
spent(struct lp_err *err)
{
    return lp_err_set(err, LP_ERR_LIMIT, "the label matchers need more memory than they may have");
}

static lp_rc
make_set(struct lp_matchers *ms, struct lp_matcher *m, struct lp_str regex, size_t n, struct lp_err *err)
{
    m->kind = LP_MATCHER_SET;
    m->values = lp_arena_array(&ms->ar, n, sizeof(*m->values));
    if (m->values == NULL || !lp_literals_list(regex, &ms->ar, m->values, n)) {
        return spent(err);
    }
    qsort(m->values, n, sizeof(*m->values), compare_values);
    for (size_t i = 0; i < n; i++) {
        if (i == 0 || !lp_str_eq(m->values[i], m->values[m->nvalues - 1])) {
            m->values[m->nvalues++] = m->values[i];
        }
    }
    return LP_OK;
}

static lp_rc
make_regex(struct lp_matcher *m, struct lp_str regex, struct lp_err *err)
{
    struct lp_buf text;
    lp_buf_init(&text, regex.n + 8);
    lp_buf_c(&text, "(?s)");
    lp_buf_str(&text, regex);
    m->kind = LP_MATCHER_REGEX;
    m->every = lp_str_eqc(regex, ".+") || lp_str_eqc(regex, ".*");
    lp_rc rc = lp_regex_new(lp_buf_view(&text), &m->regex, err);
    lp_buf_clear(&text);
    if (rc == LP_OK) {
        m->prefix = lp_regex_prefix(m->regex);
    }
    return rc;
}

static lp_rc
compile(struct lp_matchers *ms, const struct lp_label_match *from, struct lp_matcher *m, struct lp_err *err)
{
    struct lp_str value;
    m->negative = from->op == LP_MATCH_NEQ || from->op == LP_MATCH_NRE;
    if (!lp_arena_str(&ms->ar, from->name, &m->name) || !lp_arena_str(&ms->ar, from->value, &value)) {
        return spent(err);
    }
    lp_rc rc;
    bool is_regex = from->op == LP_MATCH_RE || from->op == LP_MATCH_NRE;
    size_t literals = is_regex ? lp_literals_count(value) : 0;
    if (literals > 0) {
        rc = make_set(ms, m, value, literals, err);
    } else if (is_regex) {
        rc = make_regex(m, value, err);
    } else {
        m->kind = LP_MATCHER_SET;
        m->nvalues = 1;
        m->values = lp_arena_alloc(&ms->ar, sizeof(value));
        rc = m->values != NULL ? LP_OK : spent(err);
        if (rc == LP_OK) {
            m->values[0] = value;
        }
    }
    if (rc == LP_OK) {
        m->passes_empty = lp_matcher_value(m, LP_STR_NULL);
    }
    return rc;
}

lp_rc
lp_matchers_new(const struct lp_label_match *list, size_t n, struct lp_matchers **ret, struct lp_err *err)
{
    struct lp_matchers *ms = lp_calloc(1, sizeof(*ms));
    lp_arena_init(&ms->ar, ARENA_BYTES, 0);
    lp_rc rc = LP_OK;
    ms->items = lp_arena_zalloc(&ms->ar, n * sizeof(*ms->items));
    if (ms->items == NULL) {
        rc = spent(err);
    }
    for (size_t i = 0; rc == LP_OK && i < n; i++) {
        ms->n++;
        rc = compile(ms, &list[i], &ms->items[i], err);
    }
    if (rc != LP_OK) {
        lp_matchers_free(ms);
        return rc;
    }
    *ret = ms;
    return LP_OK;
}

void
lp_matchers_free(struct lp_matchers *m)
{
    if (m == NULL) {
        return;
    }
    for (size_t i = 0; i < m->n; i++) {
        lp_regex_free(m->items[i].regex);
    }
    lp_arena_clear(&m->ar);
    lp_free(m);
}

size_t
lp_matchers_count(const struct lp_matchers *m)
{
    return m->n;
}

const struct lp_matcher *
lp_matchers_at(const struct lp_matchers *m, size_t i)
{
    LP_ASSERT(i < m->n);
    return &m->items[i];
}

bool
lp_matcher_value(const struct lp_matcher *m, struct lp_str value)
{
    bool hit;
    if (m->kind == LP_MATCHER_REGEX) {
        hit = lp_str_starts(value, m->prefix) && lp_regex_full(m->regex, value);
    } else if (m->nvalues == 1) {
        hit = lp_str_eq(value, m->values[0]);
    } else {
        hit = bsearch(&value, m->values, m->nvalues, sizeof(value), compare_values) != NULL;
    }
    return hit != m->negative;
}

bool
lp_matchers_match(const struct lp_matchers *m, const struct lp_pair *labels, size_t n)
{
    for (size_t i = 0; i < m->n; i++) {
        if (!lp_matcher_value(&m->items[i], lp_labels_get(labels, n, m->items[i].name))) {
            return false;
        }
    }
    return true;
}
