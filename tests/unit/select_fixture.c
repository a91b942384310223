/*
 * select_fixture.c - see select_fixture.h.
 */
#include "tests/unit/select_fixture.h"

#include "tests/unit/unit.h"

#define PAIRS 8

struct select {
    struct lp_pair pairs[PAIRS];
    size_t n;
    struct lp_arena ar;
};

static lp_rc
compile(struct lp_str text, void **ret, struct lp_err *err)
{
    struct select *s = lp_calloc(1, sizeof(*s));
    struct lp_str rest = LP_STR_NULL;
    lp_arena_init(&s->ar, 1 << 20, 0);
    bool ok = lp_arena_str(&s->ar, lp_str_sub(text, 1, text.n - 1), &rest);
    while (ok && rest.n > 0) {
        struct lp_str value = lp_str_trim(lp_str_cut(&rest, ','));
        struct lp_str name = lp_str_cut(&value, '=');
        ok = s->n < PAIRS && value.n >= 2 && value.p[0] == '"' && value.p[value.n - 1] == '"';
        if (ok) {
            s->pairs[s->n++] = (struct lp_pair){name, lp_str_sub(value, 1, value.n - 1)};
        }
    }
    if (!ok) {
        lp_arena_clear(&s->ar);
        lp_free(s);
        return lp_err_set(err, LP_ERR_PARSE, "no selector");
    }
    *ret = s;
    return LP_OK;
}

static void
release(void *select)
{
    struct select *s = select;
    lp_arena_clear(&s->ar);
    lp_free(s);
}

static bool
match(const void *select, const struct lp_pair *labels, size_t n)
{
    const struct select *s = select;
    for (size_t i = 0; i < s->n; i++) {
        struct lp_str have = LP_STR_NULL;
        for (size_t k = 0; k < n; k++) {
            have = lp_str_eq(labels[k].name, s->pairs[i].name) ? labels[k].value : have;
        }
        if (!lp_str_eq(have, s->pairs[i].value)) {
            return false;
        }
    }
    return true;
}

static enum lp_decided
decide(const void *select, const struct lp_pair *known, size_t n)
{
    const struct select *s = select;
    enum lp_decided all = LP_DECIDED_YES;
    for (size_t i = 0; i < s->n; i++) {
        size_t k = 0;
        while (k < n && !lp_str_eq(known[k].name, s->pairs[i].name)) {
            k++;
        }
        if (k == n) {
            all = LP_DECIDED_NOT;
        } else if (!lp_str_eq(known[k].value, s->pairs[i].value)) {
            return LP_DECIDED_NO;
        }
    }
    return all;
}

const struct lp_select_ops lp_test_select = {compile, release, match, decide};

struct lp_rules *
lp_test_rules(const char *lines)
{
    struct lp_rules *r;
    struct lp_err err;
    lp_err_clear(&err);
    if (lp_rules_parse(lp_str_c(lines), &lp_test_select, &r, &err) != LP_OK) {
        fprintf(stderr, "%s\n", err.text);
        CU_FAIL_FATAL("these rules should be read");
    }
    return r;
}
