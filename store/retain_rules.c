/*
 * retain_rules.c - reading the rules of retention. See retain_rules.h for what a rule is.
 *
 * All texts live in the rules' arena. A rule is read part by part: a name, '=', and a value that ends at a
 * blank; only a selector is as long as its braces, which the strings inside it may hold as well.
 */
#include "store/retain_rules.h"

#include <stdatomic.h>
#include <stdio.h>

#include "base/clock.h"

struct part {
    struct lp_str name, value;
    size_t at; /* place in the rule */
};

struct reader {
    const struct lp_select_ops *ops;
    struct lp_str text; /* the rule */
    size_t at;
    uint32_t number;
    struct lp_err *err;
};

/* "retention rule 2 (TEXT): what": the place is column `at`. */
static lp_rc
refuse(const struct reader *r, lp_rc rc, size_t at, const char *what)
{
    return lp_err_at(r->err, rc, r->number, (uint32_t)at + 1, "retention rule %u (%.*s%s), column %zu: %s",
                     r->number, (int)LP_MIN(r->text.n, (size_t)100), r->text.p, r->text.n > 100 ? "..." : "",
                     at + 1, what);
}

/* Where the string that begins at i ends (behind its quote); the rule's end when it does not. */
static size_t
string_end(struct lp_str s, size_t i)
{
    char quote = s.p[i++];
    while (i < s.n && s.p[i] != quote) {
        i += s.p[i] == '\\' && quote == '"' ? 2 : 1;
    }
    return LP_MIN(i + 1, s.n);
}

/* Behind the brace that ends a selector; 0 when none does. */
static size_t
selector_end(struct lp_str s, size_t i)
{
    while (i < s.n && s.p[i] != '}') {
        i = s.p[i] == '"' || s.p[i] == '`' ? string_end(s, i) : i + 1;
    }
    return i < s.n ? i + 1 : 0;
}

static bool
blank(char c)
{
    return c == ' ' || c == '\t';
}

/* The next part; false at the end. *rc tells whether it could be read. */
static bool
next_part(struct reader *r, struct part *ret, lp_rc *rc)
{
    struct lp_str s = r->text;
    *rc = LP_OK;
    while (r->at < s.n && blank(s.p[r->at])) {
        r->at++;
    }
    if (r->at == s.n) {
        return false;
    }
    size_t begin = r->at, i = begin;
    while (i < s.n && s.p[i] != '=' && !blank(s.p[i])) {
        i++;
    }
    if (i == s.n || s.p[i] != '=') {
        *rc = refuse(r, LP_ERR_PARSE, begin, "expected NAME=VALUE");
        return false;
    }
    size_t value = i + 1, end = value;
    if (value < s.n && s.p[value] == '{') {
        end = selector_end(s, value);
        if (end == 0) {
            *rc = refuse(r, LP_ERR_PARSE, value, "the selector has no end");
            return false;
        }
    }
    while (end < s.n && !blank(s.p[end])) {
        end++;
    }
    *ret = (struct part){lp_str_sub(s, begin, i), lp_str_sub(s, value, end), begin};
    r->at = end;
    return true;
}

static lp_rc
take_selector(const struct reader *r, const struct part *p, struct lp_rule *rule)
{
    struct lp_err why;
    if (r->ops == NULL) {
        return refuse(r, LP_ERR_UNSUPPORTED, p->at, "selectors cannot be used here");
    }
    lp_err_clear(&why);
    lp_rc rc = r->ops->compile(p->value, &rule->select, &why);
    if (rc != LP_OK) {
        return refuse(r, rc, p->at + 9, why.text);
    }
    rule->selector = p->value;
    return LP_OK;
}

static lp_rc
take_age(const struct reader *r, const struct part *p, struct lp_rule *rule)
{
    if (lp_str_eqc(p->value, "forever")) {
        rule->age_ns = LP_AGE_FOREVER;
        return LP_OK;
    }
    if (!lp_duration(p->value, &rule->age_ns) || rule->age_ns <= 0) {
        return refuse(r, LP_ERR_PARSE, p->at, "age: expected a time like 30d, 12h or 2w, or forever");
    }
    return LP_OK;
}

static lp_rc
take_bytes(const struct reader *r, const struct part *p, struct lp_rule *rule)
{
    if (!lp_str_bytes(p->value, &rule->bytes) || rule->bytes == 0) {
        return refuse(r, LP_ERR_PARSE, p->at, "bytes: expected a size like 50GiB");
    }
    return LP_OK;
}

/* Parts by name, each at most once. */
enum { TENANT, NAMESPACE, SELECTOR, AGE, BYTES, NAMES };

static lp_rc
take_part(const struct reader *r, const struct part *p, struct lp_rule *rule, bool seen[NAMES])
{
    static const char *const names[NAMES] = {"tenant", "namespace", "selector", "age", "bytes"};
    int i = 0;
    while (i < NAMES && !lp_str_eqc(p->name, names[i])) {
        i++;
    }
    if (i == NAMES) {
        return refuse(r, LP_ERR_PARSE, p->at, "expected one of namespace=, selector=, tenant=, age=, bytes=");
    }
    if (seen[i]) {
        return refuse(r, LP_ERR_PARSE, p->at, "this is here a second time");
    }
    seen[i] = true;
    switch (i) {
    case TENANT:
        rule->tenant = p->value;
        return LP_OK;
    case NAMESPACE:
        rule->ns = p->value;
        rule->any_ns = false;
        return LP_OK;
    case SELECTOR:
        return take_selector(r, p, rule);
    case AGE:
        return take_age(r, p, rule);
    default:
        return take_bytes(r, p, rule);
    }
}

static lp_rc
read_rule(struct reader *r, struct lp_rule *rule)
{
    bool seen[NAMES] = {false};
    struct part p;
    lp_rc rc = LP_OK;
    *rule = (struct lp_rule){.text = r->text, .any_ns = true};
    if (r->text.n > LP_RULE_BYTES_MAX) {
        return refuse(r, LP_ERR_LIMIT, 0, "the rule is too long");
    }
    while (rc == LP_OK && next_part(r, &p, &rc)) {
        rc = take_part(r, &p, rule, seen);
    }
    if (rc == LP_OK && !seen[AGE] && !seen[BYTES]) {
        rc = refuse(r, LP_ERR_PARSE, r->text.n, "age= or bytes= must say what is kept");
    }
    if (rc == LP_OK && seen[BYTES] && seen[SELECTOR]) {
        rc = refuse(r, LP_ERR_PARSE, 0, "bytes= is a limit of namespaces and goes with no selector");
    }
    return rc;
}

static size_t
count_lines(struct lp_str lines)
{
    size_t n = 0;
    while (lines.n > 0) {
        n += lp_str_trim(lp_str_cut(&lines, '\n')).n > 0;
    }
    return n;
}

lp_rc
lp_rules_parse(struct lp_str lines, const struct lp_select_ops *ops, struct lp_rules **ret,
               struct lp_err *err)
{
    size_t n = count_lines(lines);
    struct lp_str kept;
    if (n > LP_RULES_MAX) {
        return lp_err_set(err, LP_ERR_LIMIT, "more than %u retention rules", LP_RULES_MAX);
    }
    struct lp_rules *rules = lp_calloc(1, sizeof(*rules));
    lp_arena_init(&rules->ar, SIZE_MAX, 0);
    atomic_init(&rules->refs, 1);
    rules->ops = ops;
    rules->v = lp_calloc(n, sizeof(*rules->v));
    lp_rc rc = lp_arena_str(&rules->ar, lines, &kept)
                   ? LP_OK
                   : lp_err_set(err, LP_ERR_NOMEM, "no memory for the retention rules");
    while (rc == LP_OK && kept.n > 0) {
        struct lp_str text = lp_str_trim(lp_str_cut(&kept, '\n'));
        struct reader r = {ops, text, 0, (uint32_t)rules->n + 1, err};
        if (text.n > 0) {
            rc = read_rule(&r, &rules->v[rules->n]);
            rules->n++; /* also a refused one: its selector is freed with the others */
        }
    }
    if (rc != LP_OK) {
        lp_rules_unref(rules);
        return rc;
    }
    *ret = rules;
    return LP_OK;
}

struct lp_rules *
lp_rules_ref(struct lp_rules *r)
{
    atomic_fetch_add(&r->refs, 1);
    return r;
}

void
lp_rules_unref(struct lp_rules *r)
{
    if (r == NULL || atomic_fetch_sub(&r->refs, 1) != 1) {
        return;
    }
    for (size_t i = 0; i < r->n; i++) {
        if (r->v[i].select != NULL) {
            r->ops->free(r->v[i].select);
        }
    }
    lp_free(r->v);
    lp_arena_clear(&r->ar);
    lp_free(r);
}
