/*
 * template_func_regex.c - functions with regular expressions: replacing all matches, counting them.
 *
 * An expression that stands in the template was compiled with it; another one is, once for each run. Matches
 * go on as Go's do: behind an empty match at the next character, and none that is empty right behind another.
 * A text that is no UTF-8 is looked at, and given back, with U+FFFD for each bad byte.
 */
#include "base/regex.h"
#include "query/template_int.h"
#include "query/text.h"

#define GROUPS_MAX 17 /* the match and 16 groups */

enum { REPLACE_EXPAND, REPLACE_LITERAL };

/* ------------------------------------------------------------------ the expression */

/* RE2's words as Go has them; others are the same. */
static const struct {
    const char *re2, *go;
} reasons[] = {
    {"missing )", "missing closing )"},
    {"missing ]", "missing closing ]"},
    {"trailing \\", "trailing backslash at end of expression"},
    {"no argument for repetition operator", "missing argument to repetition operator"},
    {"invalid repetition size", "invalid repeat count"},
    {"bad repetition operator", "invalid nested repetition operator"},
    {"invalid perl operator", "invalid or unsupported Perl syntax"},
    {"invalid named capture group", "invalid named capture"},
};

static bool
bad_regex(const struct lp_tcall *c, const struct lp_err *err)
{
    struct lp_str text = lp_str_c(err->text), mark = LP_STR("bad regular expression: ");
    if (err->rc != LP_ERR_PARSE || !lp_str_starts(text, mark)) {
        return lp_tcall_fail(c, "%s", err->text);
    }
    text = lp_str_sub(text, mark.n, text.n);
    size_t colon = lp_str_find(text, LP_STR(": "));
    struct lp_str why = lp_str_sub(text, 0, colon);
    struct lp_str what = colon == SIZE_MAX ? LP_STR("") : lp_str_sub(text, colon + 2, text.n);
    for (size_t i = 0; i < LP_ARRAY_LEN(reasons); i++) {
        if (lp_str_starts(why, lp_str_c(reasons[i].re2))) {
            why = lp_str_c(reasons[i].go);
            break;
        }
    }
    return lp_tcall_fail(c, "error parsing regexp: " LP_STR_FMT ": `" LP_STR_FMT "`", LP_STR_ARG(why),
                         LP_STR_ARG(what));
}

/* The expression of the first argument: the template's, or the run's. */
static const struct lp_regex *
regex_of(const struct lp_tcall *c)
{
    struct lp_trun *x = c->x;
    struct lp_str pattern = c->args[0].s;
    struct lp_err err;
    if (c->name != NULL && c->name->regex != NULL) {
        return c->name->regex;
    }
    for (size_t i = 0; i < x->nregexes; i++) {
        if (lp_str_eq(x->regexes[i].pattern, pattern)) {
            return x->regexes[i].re;
        }
    }
    if (x->nregexes == LP_TRUN_REGEX_MAX) {
        lp_trun_limit(x, "makes too many regular expressions");
        return NULL;
    }
    struct lp_tregex *made = &x->regexes[x->nregexes];
    lp_err_clear(&err);
    if (lp_regex_new(pattern, &made->re, &err) != LP_OK) {
        bad_regex(c, &err);
        return NULL;
    }
    made->pattern = pattern;
    x->nregexes++;
    return made->re;
}

static bool
utf8_of(const struct lp_tcall *c, struct lp_str s, struct lp_str *ret)
{
    *ret = lp_utf8_replace(c->x->ar, s);
    if (ret->p == NULL && s.n > 0) {
        return lp_trun_limit(c->x, "needs more memory than it may have");
    }
    ret->p = ret->p != NULL ? ret->p : "";
    return lp_trun_charge(c->x, 8 * s.n);
}

/* One more match, in what is left: to find that there is no longer one, all of it may have been looked at. */
static bool
charge_match(const struct lp_tcall *c, size_t left)
{
    return lp_trun_charge(c->x, left / 16);
}

/* ------------------------------------------------------------------ replacing */

struct matched {
    const struct lp_regex *re;
    struct lp_str groups[GROUPS_MAX];
    int ngroups; /* with the match itself */
};

static struct lp_str
group_named(const struct matched *m, struct lp_str name)
{
    uint64_t number;
    if ((name.p[0] != '0' || name.n == 1) && lp_str_u64(name, &number)) {
        return number < (uint64_t)m->ngroups ? m->groups[number] : LP_STR_NULL;
    }
    for (int i = 1; i < m->ngroups; i++) {
        if (lp_str_eq(lp_regex_group_name(m->re, i), name)) {
            return m->groups[i];
        }
    }
    return LP_STR_NULL;
}

/* Cuts $name or ${name} off *s, which begins behind the '$'. False: that is no name. */
static bool
cut_name(struct lp_str *s, struct lp_str *ret)
{
    bool brace = s->n > 0 && s->p[0] == '{';
    size_t from = brace, n = from;
    while (n < s->n && lp_text_name_byte(s->p[n], false)) {
        n++;
    }
    if (n == from || (brace && (n == s->n || s->p[n] != '}'))) {
        return false;
    }
    *ret = lp_str_sub(*s, from, n);
    *s = lp_str_sub(*s, n + brace, s->n);
    return true;
}

/* The replacement with $1, ${name} and $$ filled in. */
static void
expand(struct lp_buf *out, struct lp_str with, const struct matched *m)
{
    for (;;) {
        struct lp_str name;
        size_t dollar = lp_str_find_byte(with, '$');
        lp_buf_str(out, lp_str_sub(with, 0, dollar));
        if (dollar == SIZE_MAX || out->failed) {
            return;
        }
        with = lp_str_sub(with, dollar + 1, with.n);
        if (with.n > 0 && with.p[0] == '$') {
            lp_buf_byte(out, '$');
            with = lp_str_sub(with, 1, with.n);
        } else if (cut_name(&with, &name)) {
            lp_buf_str(out, group_named(m, name));
        } else {
            lp_buf_byte(out, '$');
        }
    }
}

static size_t
rune_length(struct lp_str s, size_t at)
{
    uint32_t cp;
    size_t n = lp_text_decode(lp_str_sub(s, at, s.n), &cp);
    return LP_MAX(n, (size_t)1);
}

static bool
fn_replace_all(const struct lp_tcall *c, struct lp_tval *ret)
{
    struct lp_buf *out = c->x->out;
    struct lp_str s, with = c->args[2].s;
    struct matched m = {.re = regex_of(c)};
    size_t mark = out->n, copied = 0, at = 0;
    if (m.re == NULL || !utf8_of(c, c->args[1].s, &s)) {
        return false;
    }
    m.ngroups = c->func->which == REPLACE_LITERAL ? 1 : LP_MIN(lp_regex_groups(m.re) + 1, GROUPS_MAX);
    while (lp_regex_captures_from(m.re, s, at, m.groups, m.ngroups)) {
        size_t from = (size_t)(m.groups[0].p - s.p), to = from + m.groups[0].n;
        lp_buf_str(out, lp_str_sub(s, copied, from));
        if (to > copied || from == 0) {
            if (c->func->which == REPLACE_LITERAL) {
                lp_buf_str(out, with);
            } else {
                expand(out, with, &m);
            }
        }
        copied = to;
        at = LP_MAX(to, at + rune_length(s, at));
        if (out->failed || !charge_match(c, s.n - copied)) {
            break;
        }
    }
    lp_buf_str(out, lp_str_sub(s, copied, s.n));
    return lp_trun_take(c->x, mark, ret) && c->x->rc == LP_OK;
}

static bool
fn_count(const struct lp_tcall *c, struct lp_tval *ret)
{
    const struct lp_regex *re = regex_of(c);
    struct lp_str s, match;
    size_t at = 0, before = SIZE_MAX; /* before: where the last match ended */
    int64_t n = 0;
    if (re == NULL || !utf8_of(c, c->args[1].s, &s)) {
        return false;
    }
    while (lp_regex_captures_from(re, s, at, &match, 1)) {
        size_t from = (size_t)(match.p - s.p), to = from + match.n;
        n += !(match.n == 0 && from == before);
        at = to == at ? at + rune_length(s, at) : to;
        before = to;
        if (!charge_match(c, s.n - to)) {
            return false;
        }
    }
    *ret = lp_tv_int(TI_INT, n);
    return true;
}

const struct lp_tfunc lp_tfuncs_regex[] = {
    {"regexReplaceAll", "sss", fn_replace_all, REPLACE_EXPAND},
    {"regexReplaceAllLiteral", "sss", fn_replace_all, REPLACE_LITERAL},
    {"count", "ss", fn_count, 0},
    {NULL, NULL, NULL, 0},
};

int
lp_tfunc_regex_arg(const struct lp_tfunc *f)
{
    bool regex = f->fn == fn_replace_all || f->fn == fn_count;
    return regex ? 0 : -1;
}
