/*
 * template_func.c - functions that Go's templates have by themselves, and where all functions are found by
 * name.
 */
#include <stdio.h>

#include "query/runes.h"
#include "query/template_int.h"
#include "query/text.h"

/* ------------------------------------------------------------------ comparisons */

enum { CMP_EQ, CMP_NE, CMP_LT, CMP_LE, CMP_GT, CMP_GE };

static bool
is_nil(const struct lp_tval *v)
{
    return v->kind == TV_NONE || v->kind == TV_NIL;
}

static bool
is_basic(const struct lp_tval *v)
{
    return v->kind == TV_BOOL || v->kind == TV_INT || v->kind == TV_FLOAT || v->kind == TV_STRING;
}

static bool
equal_basic(const struct lp_tval *a, const struct lp_tval *b)
{
    switch ((int)a->kind) {
    case TV_BOOL:
        return a->b == b->b;
    case TV_INT:
        return a->i == b->i;
    case TV_FLOAT:
        return a->f == b->f;
    default:
        return lp_str_eq(a->s, b->s);
    }
}

static bool
is_map(const struct lp_tval *v)
{
    return v->kind == TV_MAP || v->kind == TV_LABELS;
}

/* Of two values that are no text, number or bool: only times are comparable, and anything with nil. */
static bool
equal_other(const struct lp_tcall *c, const struct lp_tval *a, const struct lp_tval *b, bool *ret)
{
    if (is_nil(a) || is_nil(b)) {
        *ret = is_nil(a) && is_nil(b);
        return true;
    }
    if (a->kind != b->kind && !(is_map(a) && is_map(b))) {
        return lp_tcall_fail(c, "non-comparable types %s, %s", lp_tv_type(a), lp_tv_type(b));
    }
    if (a->kind != TV_TIME) {
        return lp_tcall_fail(c, "non-comparable type %s", lp_tv_type(b));
    }
    *ret = a->time->sec == b->time->sec && a->time->ns == b->time->ns && a->time->zone == b->time->zone;
    return true;
}

static bool
incompatible(const struct lp_tcall *c, const struct lp_tval *a, const struct lp_tval *b)
{
    return lp_tcall_fail(c, "incompatible types for comparison: %s and %s", lp_tv_type(a), lp_tv_type(b));
}

static bool
equal(const struct lp_tcall *c, const struct lp_tval *a, const struct lp_tval *b, bool *ret)
{
    *ret = false;
    if (is_basic(a) && a->kind == b->kind) {
        *ret = equal_basic(a, b);
        return true;
    }
    if (is_basic(a) || is_basic(b)) {
        return is_nil(a) || is_nil(b) || incompatible(c, a, b);
    }
    return equal_other(c, a, b, ret);
}

static bool
fn_eq(const struct lp_tcall *c, struct lp_tval *ret)
{
    bool same = false;
    if (c->nargs < 2) {
        return lp_tcall_fail(c, "missing argument for comparison");
    }
    for (size_t i = 1; i < c->nargs && !same; i++) {
        if (!equal(c, &c->args[0], &c->args[i], &same)) {
            return false;
        }
    }
    *ret = lp_tv_bool(same == (c->func->which == CMP_EQ));
    return true;
}

static bool
fn_order(const struct lp_tcall *c, struct lp_tval *ret)
{
    const struct lp_tval *a = &c->args[0], *b = &c->args[1];
    bool less, same, ok;
    if (!is_basic(a) || !is_basic(b) || (a->kind == TV_BOOL && b->kind == TV_BOOL)) {
        return lp_tcall_fail(c, "invalid type for comparison");
    }
    if (a->kind != b->kind) {
        return incompatible(c, a, b);
    }
    if (a->kind == TV_INT) {
        less = a->i < b->i;
    } else if (a->kind == TV_FLOAT) {
        less = a->f < b->f;
    } else {
        less = lp_str_cmp(a->s, b->s) < 0;
    }
    same = equal_basic(a, b);
    switch (c->func->which) {
    case CMP_LT:
        ok = less;
        break;
    case CMP_LE:
        ok = less || same;
        break;
    case CMP_GT:
        ok = !(less || same); /* so NaN is greater than anything, as in Go's templates */
        break;
    default:
        ok = !less;
        break;
    }
    *ret = lp_tv_bool(ok);
    return true;
}

static bool
fn_not(const struct lp_tcall *c, struct lp_tval *ret)
{
    *ret = lp_tv_bool(!lp_tv_true(&c->args[0]));
    return true;
}

/* ------------------------------------------------------------------ len, index, slice, call */

static bool
has_length(const struct lp_tval *v)
{
    return v->kind == TV_STRING || v->kind == TV_LIST || v->kind == TV_MAP || v->kind == TV_LABELS;
}

static bool
fn_len(const struct lp_tcall *c, struct lp_tval *ret)
{
    const struct lp_tval *v = &c->args[0];
    if (v->kind == TV_NONE) {
        return lp_tcall_fail(c, "reflect: call of reflect.Value.Type on zero Value");
    }
    if (v->kind == TV_NIL) {
        return lp_tcall_fail(c, "len of nil pointer");
    }
    if (!has_length(v)) {
        return lp_tcall_fail(c, "len of type %s", lp_tv_type(v));
    }
    *ret = lp_tv_int(TI_INT, (int64_t)lp_tv_len(v));
    return true;
}

/* An index into n elements, of which `most` is the largest. */
static bool
index_arg(const struct lp_tcall *c, const struct lp_tval *v, size_t most, size_t *ret)
{
    if (is_nil(v)) {
        return lp_tcall_fail(c, "cannot index slice/array with nil");
    }
    if (v->kind != TV_INT) {
        return lp_tcall_fail(c, "cannot index slice/array with type %s", lp_tv_type(v));
    }
    if (v->i < 0 || (uint64_t)v->i > most) {
        return lp_tcall_fail(c, "index out of range: %lld", (long long)v->i);
    }
    *ret = (size_t)v->i;
    return true;
}

static bool
index_one(const struct lp_tcall *c, const struct lp_tval *of, const struct lp_tval *by, struct lp_tval *ret)
{
    size_t i = 0;
    if (of->kind == TV_NIL) {
        return lp_tcall_fail(c, "index of nil pointer");
    }
    if (of->kind == TV_MAP || of->kind == TV_LABELS) {
        if (by->kind != TV_STRING) {
            return is_nil(by) ? lp_tcall_fail(c, "value is nil; should be of type string")
                              : lp_tcall_fail(c, "value has type %s; should be string", lp_tv_type(by));
        }
        const struct lp_tval *found = of->kind == TV_MAP ? lp_tmap_get(&of->map, by->s) : NULL;
        *ret = of->kind == TV_LABELS ? lp_tv_str(lp_tlabels_get(&of->labels, by->s))
               : found != NULL       ? *found
                                     : (struct lp_tval){.kind = TV_NIL};
        return true;
    }
    if (of->kind != TV_STRING && of->kind != TV_LIST) {
        return lp_tcall_fail(c, "can't index item of type %s", lp_tv_type(of));
    }
    if (!index_arg(c, by, lp_tv_len(of), &i)) {
        return false;
    }
    if (i == lp_tv_len(of)) { /* Go lets it pass, and then fails */
        return lp_tcall_fail(c, "reflect: %s index out of range", of->kind == TV_STRING ? "string" : "slice");
    }
    *ret = of->kind == TV_LIST ? of->list.items[i] : lp_tv_int(TI_UINT8, (uint8_t)of->s.p[i]);
    return true;
}

static bool
fn_index(const struct lp_tcall *c, struct lp_tval *ret)
{
    struct lp_tval item = c->args[0];
    if (is_nil(&item)) {
        return lp_tcall_fail(c, "index of untyped nil");
    }
    for (size_t i = 1; i < c->nargs; i++) {
        struct lp_tval next;
        if (!index_one(c, &item, &c->args[i], &next)) {
            return false;
        }
        item = next;
    }
    *ret = item;
    return true;
}

static bool
fn_slice(const struct lp_tcall *c, struct lp_tval *ret)
{
    const struct lp_tval *v = &c->args[0];
    size_t n = lp_tv_len(v), at[3] = {0, n, n};
    if (is_nil(v)) {
        return lp_tcall_fail(c, "slice of untyped nil");
    }
    if (c->nargs > 4) {
        return lp_tcall_fail(c, "too many slice indexes: %zu", c->nargs - 1);
    }
    if (v->kind != TV_STRING && v->kind != TV_LIST) {
        return lp_tcall_fail(c, "can't slice item of type %s", lp_tv_type(v));
    }
    if (v->kind == TV_STRING && c->nargs == 4) {
        return lp_tcall_fail(c, "cannot 3-index slice a string");
    }
    for (size_t i = 1; i < c->nargs; i++) {
        if (!index_arg(c, &c->args[i], n, &at[i - 1])) {
            return false;
        }
    }
    if (at[0] > at[1] || at[1] > at[2]) {
        return lp_tcall_fail(c, "invalid slice index: %zu > %zu", at[0] > at[1] ? at[0] : at[1],
                             at[0] > at[1] ? at[1] : at[2]);
    }
    *ret = *v;
    if (v->kind == TV_STRING) {
        ret->s = lp_str_sub(v->s, at[0], at[1]);
    } else {
        ret->list.items = n > 0 ? v->list.items + at[0] : NULL;
        ret->list.n = at[1] - at[0];
    }
    return true;
}

/* No value is a function. */
static bool
fn_call(const struct lp_tcall *c, struct lp_tval *ret)
{
    const struct lp_tnode *arg = c->node->kind == TN_COMMAND ? c->node->args->next : NULL;
    struct lp_buf *out = c->x->out;
    size_t mark = out->n;
    char room[64];
    if (is_nil(&c->args[0])) {
        return lp_tcall_fail(c, "call of nil");
    }
    if (arg != NULL) {
        lp_tnode_print(out, arg);
    } else {
        lp_tv_print(out, &c->args[0]);
    }
    lp_text_clip(lp_str_sub(lp_buf_view(out), mark, out->n), 60, room);
    out->n = mark;
    return lp_tcall_fail(c, "non-function %s of type %s", room, lp_tv_type(&c->args[0]));
}

/* ------------------------------------------------------------------ print, html, js, urlquery */

enum { PRINT_PLAIN, PRINT_LINE, PRINT_FORMAT };

static bool
fn_print(const struct lp_tcall *c, struct lp_tval *ret)
{
    size_t mark = c->x->out->n;
    if (c->func->which == PRINT_FORMAT) {
        lp_tv_printf(c->x->out, c->args[0].s, c->args + 1, c->nargs - 1);
    } else {
        lp_tv_print_all(c->x->out, c->args, c->nargs, c->func->which == PRINT_LINE);
    }
    return lp_trun_take(c->x, mark, ret);
}

static void
put_html(struct lp_buf *out, struct lp_str s)
{
    for (size_t i = 0; i < s.n && !out->failed; i++) {
        char c = s.p[i];
        const char *as = c == 0      ? "\xef\xbf\xbd"
                         : c == '"'  ? "&#34;"
                         : c == '\'' ? "&#39;"
                         : c == '&'  ? "&amp;"
                         : c == '<'  ? "&lt;"
                         : c == '>'  ? "&gt;"
                                     : NULL;
        if (as != NULL) {
            lp_buf_c(out, as);
        } else {
            lp_buf_byte(out, (uint8_t)c);
        }
    }
}

static void
put_js(struct lp_buf *out, struct lp_str s)
{
    while (s.n > 0 && !out->failed) {
        uint32_t cp;
        size_t n = lp_text_decode(s, &cp);
        if (cp == '\\' || cp == '\'' || cp == '"') {
            lp_buf_byte(out, '\\');
            lp_buf_byte(out, (uint8_t)cp);
        } else if (cp < 0x20 || cp == '<' || cp == '>' || cp == '&' || cp == '=' ||
                   (cp >= 0x80 && !lp_rune_is_print(cp))) {
            lp_buf_printf(out, "\\u%04X", (unsigned)cp);
        } else {
            lp_buf_add(out, s.p, n);
        }
        s = lp_str_sub(s, n, s.n);
    }
}

enum { ESCAPE_HTML, ESCAPE_JS, ESCAPE_URL };

/* The arguments as print writes them, but for nil, which is "<no value>". */
static bool
print_args(const struct lp_tcall *c, struct lp_tval *ret)
{
    size_t mark = c->x->out->n;
    struct lp_tval *args = lp_arena_array(c->x->ar, LP_MAX(c->nargs, (size_t)1), sizeof(*args));
    if (args == NULL) {
        return lp_trun_limit(c->x, "needs more memory than it may have");
    }
    for (size_t i = 0; i < c->nargs; i++) {
        args[i] = is_nil(&c->args[i]) ? lp_tv_str(LP_STR("<no value>")) : c->args[i];
    }
    lp_tv_print_all(c->x->out, args, c->nargs, false);
    return lp_trun_take(c->x, mark, ret);
}

static bool
fn_escape(const struct lp_tcall *c, struct lp_tval *ret)
{
    struct lp_buf *out = c->x->out;
    size_t mark = out->n;
    struct lp_tval text;
    if (c->nargs == 1 && c->args[0].kind == TV_STRING) {
        text = c->args[0];
    } else if (!print_args(c, &text)) {
        return false;
    }
    if (c->func->which == ESCAPE_HTML) {
        put_html(out, text.s);
    } else if (c->func->which == ESCAPE_JS) {
        put_js(out, text.s);
    } else {
        lp_turl_encode(out, text.s);
    }
    return lp_trun_take(c->x, mark, ret);
}

const struct lp_tfunc lp_tfuncs_builtin[] = {
    {"and", "vv+", NULL, LP_TFUNC_AND},
    {"or", "vv+", NULL, LP_TFUNC_OR},
    {"not", "v", fn_not, 0},
    {"eq", "vv+", fn_eq, CMP_EQ},
    {"ne", "vv", fn_eq, CMP_NE},
    {"lt", "vv", fn_order, CMP_LT},
    {"le", "vv", fn_order, CMP_LE},
    {"gt", "vv", fn_order, CMP_GT},
    {"ge", "vv", fn_order, CMP_GE},
    {"len", "v", fn_len, 0},
    {"index", "vv+", fn_index, 0},
    {"slice", "vv+", fn_slice, 0},
    {"call", "vv+", fn_call, 0},
    {"print", "a+", fn_print, PRINT_PLAIN},
    {"println", "a+", fn_print, PRINT_LINE},
    {"printf", "sa+", fn_print, PRINT_FORMAT},
    {"html", "a+", fn_escape, ESCAPE_HTML},
    {"js", "a+", fn_escape, ESCAPE_JS},
    {"urlquery", "a+", fn_escape, ESCAPE_URL},
    {NULL, NULL, NULL, 0},
};

/* ------------------------------------------------------------------ finding */

const struct lp_tfunc *
lp_tfunc_find(struct lp_str name)
{
    static const struct lp_tfunc *const tables[] = {lp_tfuncs_builtin, lp_tfuncs_text, lp_tfuncs_regex,
                                                    lp_tfuncs_math,    lp_tfuncs_time, lp_tfuncs_json};
    for (size_t i = 0; i < LP_ARRAY_LEN(tables); i++) {
        for (const struct lp_tfunc *f = tables[i]; f->name != NULL; f++) {
            if (lp_str_eqc(name, f->name)) {
                return f;
            }
        }
    }
    return NULL;
}
