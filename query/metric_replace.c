/*
 * metric_replace.c - label_replace: a label made of the captures of a regex over another label's whole value.
 *
 * Only labels change, the samples stay where they are. Series may end up with equal labels: an aggregation or
 * operator above takes their samples for what they are, an answer refuses them (metric.c).
 */
#include <string.h>

#include "base/regex.h"
#include "query/metric_int.h"
#include "query/text.h"

#define GROUPS_MAX 16             /* that can be captured, besides the whole match */
#define VALUE_BYTES_MAX (1 << 20) /* of a label that is made */

size_t
lp_labels_set(struct lp_pair *v, size_t n, struct lp_str name, struct lp_str value)
{
    size_t at = 0;
    while (at < n && lp_str_cmp(v[at].name, name) < 0) {
        at++;
    }
    bool known = at < n && lp_str_eq(v[at].name, name);
    if (value.n == 0) {
        if (known) {
            memmove(v + at, v + at + 1, (n - at - 1) * sizeof(*v));
        }
        return n - known;
    }
    if (!known) {
        memmove(v + at + 1, v + at, (n - at) * sizeof(*v));
    }
    v[at] = (struct lp_pair){name, value};
    return n + !known;
}

/* ------------------------------------------------------------------ the new value */

/* The name that stands in s, behind a '$': name or {name}, as long as can be. Returns its bytes with the
 * braces, 0: it is none. Characters beyond ASCII count as letters. */
static size_t
reference(struct lp_str s, struct lp_str *ret)
{
    size_t braced = s.n > 0 && s.p[0] == '{', to = braced;
    while (to < s.n && (lp_text_name_byte(s.p[to], false) || (uint8_t)s.p[to] >= 0x80)) {
        to++;
    }
    if (to == braced || (braced && (to == s.n || s.p[to] != '}'))) {
        return 0;
    }
    *ret = lp_str_sub(s, braced, to);
    return to + braced;
}

/* What the group of this name or number took; nothing where there is none. */
static struct lp_str
captured(const struct lp_regex *re, struct lp_str name, const struct lp_str groups[GROUPS_MAX + 1])
{
    uint64_t number;
    bool numbered = lp_str_u64(name, &number) && (name.n == 1 || name.p[0] != '0');
    if (numbered) {
        return number <= GROUPS_MAX ? groups[number] : LP_STR_NULL;
    }
    for (int i = 1; i <= lp_regex_groups(re); i++) {
        if (groups[i].p != NULL && lp_str_eq(lp_regex_group_name(re, i), name)) {
            return groups[i];
        }
    }
    return LP_STR_NULL;
}

static void
expand(const struct lp_regex *re, struct lp_str template, const struct lp_str groups[GROUPS_MAX + 1],
       struct lp_buf *out)
{
    while (template.n > 0) {
        struct lp_str name;
        size_t dollar = LP_MIN(lp_str_find_byte(template, '$'), template.n);
        lp_buf_str(out, lp_str_sub(template, 0, dollar));
        template = lp_str_sub(template, dollar, template.n);
        if (template.n == 0) {
            break;
        }
        template = lp_str_sub(template, 1, template.n);
        size_t used = reference(template, &name);
        if (used > 0) {
            lp_buf_str(out, captured(re, name, groups));
        } else {
            lp_buf_byte(out, '$'); /* of "$$" as well, or of itself */
            used = template.n > 0 && template.p[0] == '$';
        }
        template = lp_str_sub(template, used, template.n);
    }
}

/* ------------------------------------------------------------------ series */

struct replacer {
    const struct lp_label_replace *r;
    struct lp_regex *re;
    struct lp_buf value, text;
    struct lp_matrix *m;
};

/* Gives the series the value that stands in the buffer. False when the memory is spent. */
static bool
relabel(struct replacer *p, struct lp_series *s)
{
    struct lp_arena *ar = &p->m->ar;
    struct lp_str value;
    struct lp_pair *v = lp_arena_array(ar, s->nlabels + 1, sizeof(*v));
    if (v == NULL || !lp_arena_str(ar, lp_buf_view(&p->value), &value)) {
        return false;
    }
    if (s->nlabels > 0) {
        memcpy(v, s->labels, s->nlabels * sizeof(*v));
    }
    s->nlabels = lp_labels_set(v, s->nlabels, p->r->dst, value);
    s->labels = v;
    lp_buf_reset(&p->text);
    lp_labels_text(v, s->nlabels, &p->text);
    return !p->text.failed && lp_arena_str(ar, lp_buf_view(&p->text), &s->text);
}

static lp_rc
replace(const struct lp_metric_query *q, struct replacer *p, struct lp_series *s, struct lp_err *err)
{
    struct lp_str groups[GROUPS_MAX + 1] = {{NULL, 0}};
    struct lp_str from = lp_labels_get(s->labels, s->nlabels, p->r->src);
    if (!lp_regex_captures(p->re, from, groups, lp_regex_groups(p->re) + 1)) {
        return LP_OK;
    }
    lp_buf_reset(&p->value);
    expand(p->re, p->r->replacement, groups, &p->value);
    if (p->value.failed) {
        return lp_err_set(err, LP_ERR_LIMIT, "label_replace makes a label longer than %d bytes",
                          VALUE_BYTES_MAX);
    }
    if (lp_str_eq(lp_buf_view(&p->value), lp_labels_get(s->labels, s->nlabels, p->r->dst))) {
        return LP_OK;
    }
    p->m->may_repeat = true;
    return relabel(p, s) ? LP_OK : lp_metric_over_budget(q, err);
}

/* The regex is for the whole of a value. */
static lp_rc
compile(const struct lp_label_replace *r, struct lp_regex **ret, struct lp_err *err)
{
    struct lp_buf whole;
    lp_buf_init(&whole, LP_REGEX_PATTERN_MAX + 16);
    lp_buf_c(&whole, "^(?:");
    lp_buf_str(&whole, r->regex);
    lp_buf_c(&whole, ")$");
    lp_rc rc = whole.failed
                   ? lp_err_set(err, LP_ERR_LIMIT, "the regular expression of label_replace is too long")
                   : lp_regex_new(lp_buf_view(&whole), ret, err);
    lp_buf_clear(&whole);
    if (rc == LP_OK && lp_regex_groups(*ret) > GROUPS_MAX) {
        lp_regex_free(*ret);
        return lp_err_set(err, LP_ERR_LIMIT,
                          "the regular expression of label_replace has more than %d groups", GROUPS_MAX);
    }
    return rc;
}

lp_rc
lp_metric_replace(const struct lp_metric_query *q, const struct lp_label_replace *r, struct lp_matrix *m,
                  struct lp_err *err)
{
    struct replacer p = {.r = r, .m = m};
    lp_rc rc = compile(r, &p.re, err);
    if (rc != LP_OK) {
        return rc;
    }
    m->ar.budget = lp_metric_rest(q);
    lp_buf_init(&p.value, VALUE_BYTES_MAX);
    lp_buf_init(&p.text, m->ar.budget);
    for (size_t i = 0; i < m->n && rc == LP_OK; i++) {
        rc = replace(q, &p, &m->series[i], err);
        if (rc == LP_OK) {
            rc = lp_metric_check(q, err);
        }
    }
    lp_buf_clear(&p.value);
    lp_buf_clear(&p.text);
    lp_regex_free(p.re);
    return rc;
}
