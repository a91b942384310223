/*
 * template_term.c - pipelines of a template, from tokens: commands, operands, constants; and what they read.
 *
 * Variables get numbers here: equal names have one. Names of fields, and `.` and `$` where they may be the
 * labels themselves, are noted for lp_template_reads(). A constant regex or time zone is compiled here; one
 * that is bad fails only when it is used, as in Go.
 */
#include <errno.h>
#include <math.h>
#include <stdlib.h>

#include "base/regex.h"
#include "query/gonum.h"
#include "query/template_int.h"
#include "query/text.h"
#include "query/zone.h"

#define OWNERS_MAX 32 /* regexes and zones of one template that are made beforehand */

/* ------------------------------------------------------------------ what it reads */

/* Sorted when all are there (lp_template_parse). */
static bool
note_read(struct lp_tparser *p, struct lp_str name)
{
    struct lp_template *t = p->t;
    struct lp_str *reads = lp_arena_grow(&t->ar, t->reads, &t->reads_cap, t->nreads + 1, sizeof(*reads));
    if (reads == NULL) {
        lp_tparser_spent(p);
        return false;
    }
    reads[t->nreads++] = name;
    t->reads = reads;
    return true;
}

/* ------------------------------------------------------------------ variables */

static bool
number_variable(struct lp_tparser *p, struct lp_str name, struct lp_tvar *ret)
{
    size_t i = 0;
    while (i < p->nvar_names && !lp_str_eq(p->var_names[i], name)) {
        i++;
    }
    if (i == p->nvar_names) {
        struct lp_str *names =
            lp_arena_grow(&p->scratch, p->var_names, &p->var_names_cap, i + 1, sizeof(*names));
        if (names == NULL) {
            lp_tparser_spent(p);
            return false;
        }
        names[i] = name;
        p->var_names = names;
        p->nvar_names++;
    }
    *ret = (struct lp_tvar){(uint32_t)i, name};
    return true;
}

/* From here on the variable may be used. */
static bool
declare(struct lp_tparser *p, struct lp_tnode *pipe, const struct lp_ttoken *tok)
{
    struct lp_tvar *var = &pipe->vars[pipe->nvars];
    if (!number_variable(p, lp_tparser_text(p, tok), var)) {
        return false;
    }
    pipe->nvars++;
    struct lp_tvar *vars = lp_arena_grow(&p->scratch, p->vars, &p->vars_cap, p->nvars + 1, sizeof(*vars));
    if (vars == NULL) {
        lp_tparser_spent(p);
        return false;
    }
    vars[p->nvars++] = *var;
    p->vars = vars;
    return true;
}

static struct lp_tnode *
use_variable(struct lp_tparser *p, const struct lp_ttoken *tok)
{
    struct lp_str name = lp_tparser_text(p, tok);
    struct lp_tnode *n = lp_tparser_node(p, TN_VARIABLE, tok->pos);
    if (n == NULL) {
        return NULL;
    }
    for (size_t i = 0; i < p->nvars; i++) {
        if (lp_str_eq(p->vars[i].name, name)) {
            n->var = p->vars[i];
            return n;
        }
    }
    char room[64];
    return lp_tparser_fail(p, "undefined variable \"%s\"", lp_text_clip(name, 60, room));
}

/* ------------------------------------------------------------------ constants */

/* What an escape in quotes means: `s` begins behind the backslash. Bytes taken; 0: there is no such escape.
 */
static size_t
escape(struct lp_str s, char quote, uint32_t *cp, bool *is_byte)
{
    static const char simple[] = "a\ab\bf\fn\nr\rt\tv\v\\\\";
    char c = s.n > 0 ? s.p[0] : 0;
    *is_byte = c == 'x' || (c >= '0' && c <= '7');
    for (const char *p = simple; *p != 0; p += 2) {
        if (*p == c) {
            *cp = (uint32_t)p[1];
            return 1;
        }
    }
    if (c == quote && c != 0) {
        *cp = (uint32_t)c;
        return 1;
    }
    bool octal = c >= '0' && c <= '7';
    size_t from = octal ? 0 : 1;
    size_t digits = octal ? 3 : c == 'x' ? 2 : c == 'u' ? 4 : c == 'U' ? 8 : 0;
    uint64_t v = 0;
    if (digits == 0 || s.n < from + digits) {
        return 0;
    }
    for (size_t i = from; i < from + digits; i++) {
        int digit = lp_hex_digit(s.p[i]);
        if (digit < 0 || (octal && digit > 7)) {
            return 0;
        }
        v = v * (octal ? 8 : 16) + (unsigned)digit;
    }
    bool bad = *is_byte ? v > 0xff : v > 0x10ffff || (v >= 0xd800 && v < 0xe000);
    *cp = (uint32_t)v;
    return bad ? 0 : from + digits;
}

/* One character of a quoted text; bytes taken, 0: not valid. */
static size_t
quoted_char(struct lp_str s, char quote, uint32_t *cp, bool *is_byte)
{
    *is_byte = false;
    if (s.n > 0 && s.p[0] == '\\') {
        size_t n = escape(lp_str_sub(s, 1, s.n), quote, cp, is_byte);
        return n > 0 ? n + 1 : 0;
    }
    return lp_text_decode(s, cp);
}

static bool
unquote(struct lp_tparser *p, struct lp_str inner, struct lp_str *ret)
{
    char *out = lp_arena_bytes(&p->t->ar, inner.n);
    size_t n = 0;
    if (out == NULL) {
        lp_tparser_spent(p);
        return false;
    }
    for (size_t i = 0; i < inner.n;) {
        uint32_t cp;
        bool is_byte;
        size_t taken = quoted_char(lp_str_sub(inner, i, inner.n), '"', &cp, &is_byte);
        if (taken == 0) {
            lp_tparser_fail(p, "invalid syntax");
            return false;
        }
        if (is_byte) {
            out[n++] = (char)cp;
        } else if (inner.p[i] == '\\') {
            n += lp_utf8_put(cp, out + n); /* never longer than the escape */
        } else {
            memcpy(out + n, inner.p + i, taken);
            n += taken;
        }
        i += taken;
    }
    *ret = lp_str_of(out, n);
    return true;
}

bool
lp_tparser_string(struct lp_tparser *p, const struct lp_ttoken *tok, struct lp_str *ret)
{
    struct lp_str inner = lp_str_sub(p->t->text, tok->pos + 1, tok->pos + tok->n - 1);
    if (tok->type == TT_STRING && lp_str_find_byte(inner, '\\') != SIZE_MAX) {
        return unquote(p, inner, ret);
    }
    *ret = inner;
    if (tok->type == TT_STRING || lp_str_find_byte(inner, '\r') == SIZE_MAX) {
        return true;
    }
    char *out = lp_arena_bytes(&p->t->ar, inner.n); /* a raw string has no carriage returns */
    if (out == NULL) {
        lp_tparser_spent(p);
        return false;
    }
    size_t n = 0;
    for (size_t i = 0; i < inner.n; i++) {
        out[n] = inner.p[i];
        n += inner.p[i] != '\r';
    }
    *ret = lp_str_of(out, n);
    return true;
}

static bool
char_constant(struct lp_tparser *p, struct lp_str text, struct lp_tnode *n)
{
    uint32_t cp = 0;
    bool is_byte;
    size_t taken = quoted_char(lp_str_sub(text, 1, text.n), '\'', &cp, &is_byte);
    if (taken == 0 || (text.p[1] == '\'' && taken == 1)) {
        lp_tparser_fail(p, "invalid syntax");
        return false;
    }
    if (taken + 2 != text.n) {
        char room[64];
        lp_tparser_fail(p, "malformed character constant: %s", lp_text_clip(text, 60, room));
        return false;
    }
    n->is_int = true;
    n->as_int = cp;
    n->as_float = cp;
    n->value = lp_tv_int(TI_INT, cp);
    return true;
}

/* A number that is no int literal: one with a fraction or an exponent. It may be used as an int where it is
 * whole. */
static bool
float_constant(struct lp_tparser *p, struct lp_str text, struct lp_tnode *n)
{
    double v;
    char room[64];
    bool looks_float = false;
    for (size_t i = 0; i < text.n; i++) {
        looks_float |= strchr(".eEpP", text.p[i]) != NULL;
    }
    if (!lp_go_float(text, &v)) {
        lp_tparser_fail(p, "illegal number syntax: \"%s\"", lp_text_clip(text, 40, room));
        return false;
    }
    if (!looks_float) {
        lp_tparser_fail(p, "integer overflow: \"%s\"", lp_text_clip(text, 40, room));
        return false;
    }
    n->as_float = v;
    n->is_int = v >= -0x1p63 && v < 0x1p63 && v == trunc(v);
    n->as_int = n->is_int ? (int64_t)v : 0;
    n->value = lp_tv_float(v);
    return true;
}

bool
lp_tparser_number(struct lp_tparser *p, const struct lp_ttoken *tok, struct lp_tnode *n)
{
    struct lp_str text = lp_tparser_text(p, tok);
    int64_t i;
    uint64_t u;
    n->source = text;
    if (tok->type == TT_CHAR_CONST) {
        return char_constant(p, text, n);
    }
    if (lp_go_int(text, &i)) {
        n->is_int = true;
        n->as_int = i;
        n->as_float = (double)i;
        n->value = lp_tv_int(TI_INT, i);
        return true;
    }
    if (lp_go_uint(text, &u)) {
        n->as_float = (double)u;
        return true; /* its value stays TV_NONE */
    }
    return float_constant(p, text, n);
}

/* ------------------------------------------------------------------ operands */

static struct lp_tnode *
constant(struct lp_tparser *p, const struct lp_ttoken *tok)
{
    bool number = tok->type == TT_NUMBER || tok->type == TT_CHAR_CONST;
    struct lp_tnode *n = lp_tparser_node(p,
                                         number                 ? TN_NUMBER
                                         : tok->type == TT_BOOL ? TN_BOOL
                                                                : TN_STRING,
                                         tok->pos);
    if (n == NULL) {
        return NULL;
    }
    n->source = lp_tparser_text(p, tok);
    if (number) {
        return lp_tparser_number(p, tok, n) ? n : NULL;
    }
    if (tok->type == TT_BOOL) {
        n->value = lp_tv_bool(tok->n == 4);
        return n;
    }
    struct lp_str s;
    if (!lp_tparser_string(p, tok, &s)) {
        return NULL;
    }
    n->value = lp_tv_str(s);
    return n;
}

static struct lp_tnode *
function(struct lp_tparser *p, const struct lp_ttoken *tok)
{
    struct lp_str name = lp_tparser_text(p, tok);
    const struct lp_tfunc *f = lp_tfunc_find(name);
    char room[64];
    if (f == NULL) {
        return lp_tparser_fail(p, "function \"%s\" not defined", lp_text_clip(name, 60, room));
    }
    struct lp_tnode *n = lp_tparser_node(p, TN_FUNCTION, tok->pos);
    if (n != NULL) {
        n->func = f;
    }
    return n;
}

static bool
add_field(struct lp_tparser *p, struct lp_tnode *n, const struct lp_ttoken *tok)
{
    size_t cap = n->nnames; /* chains are short */
    struct lp_str *names = lp_arena_grow(&p->t->ar, n->names, &cap, n->nnames + 1u, sizeof(*names));
    struct lp_str name = lp_str_sub(p->t->text, tok->pos + 1, tok->pos + tok->n);
    if (names == NULL) {
        lp_tparser_spent(p);
        return false;
    }
    names[n->nnames++] = name;
    n->names = names;
    return note_read(p, name);
}

static struct lp_tnode *
paren(struct lp_tparser *p)
{
    if (!lp_tparser_deeper(p)) {
        return NULL;
    }
    struct lp_tnode *n = lp_tparser_pipeline(p, "parenthesized pipeline", TT_RPAREN);
    p->depth--;
    return n;
}

/* NULL and no error: the next token begins no operand. */
static struct lp_tnode *
term(struct lp_tparser *p)
{
    const struct lp_ttoken *tok = lp_tparser_next_nonspace(p);
    struct lp_tnode *n;
    if (tok->type == TT_NAME) {
        return function(p, tok);
    }
    if (tok->type == TT_BOOL || tok->type == TT_STRING || tok->type == TT_RAW_STRING ||
        tok->type == TT_NUMBER || tok->type == TT_CHAR_CONST) {
        return constant(p, tok);
    }
    if (tok->type == TT_VARIABLE) {
        return use_variable(p, tok);
    }
    if (tok->type == TT_LPAREN) {
        return paren(p);
    }
    if (tok->type == TT_FIELD) {
        n = lp_tparser_node(p, TN_FIELD, tok->pos);
        return n != NULL && add_field(p, n, tok) ? n : NULL;
    }
    if (tok->type == TT_DOT || tok->type == TT_NIL) {
        p->t->reads_all |= tok->type == TT_DOT && p->dot_is_root;
        return lp_tparser_node(p, tok->type == TT_DOT ? TN_DOT : TN_NIL, tok->pos);
    }
    lp_tparser_back(p);
    return NULL;
}

static struct lp_tnode *
unchained(struct lp_tparser *p, const struct lp_tnode *n)
{
    struct lp_buf text, quoted;
    lp_buf_init(&text, 128);
    lp_buf_init(&quoted, 256);
    lp_tnode_print(&text, n);
    lp_text_quote(&quoted, lp_buf_view(&text));
    lp_tparser_fail(p, "unexpected . after term " LP_STR_FMT, LP_STR_ARG(lp_buf_view(&quoted)));
    lp_buf_clear(&quoted);
    lp_buf_clear(&text);
    return NULL;
}

/* A term and the fields behind it. An error points at the first of them. */
static struct lp_tnode *
operand(struct lp_tparser *p)
{
    struct lp_tnode *n = term(p);
    bool chained = n != NULL && lp_tparser_peek(p)->type == TT_FIELD;
    if (chained && n->kind != TN_FIELD && n->kind != TN_VARIABLE) {
        if (n->kind != TN_FUNCTION && n->kind != TN_PIPE) {
            return unchained(p, n);
        }
        struct lp_tnode *chain = lp_tparser_node(p, TN_CHAIN, 0);
        if (chain == NULL) {
            return NULL;
        }
        chain->term = n;
        n = chain;
    }
    if (chained) {
        n->pos = lp_tparser_peek(p)->pos;
    } else if (n != NULL && n->kind == TN_VARIABLE && n->var.id == LP_TVAR_ROOT) {
        p->t->reads_all = true;
    }
    while (chained && lp_tparser_peek(p)->type == TT_FIELD) {
        if (!add_field(p, n, lp_tparser_next(p))) {
            return NULL;
        }
    }
    return n;
}

/* ------------------------------------------------------------------ commands */

static const struct lp_tnode *
argument(const struct lp_tnode *command, int i)
{
    const struct lp_tnode *arg = i < 0 ? NULL : command->args->next;
    for (; i > 0 && arg != NULL; i--) {
        arg = arg->next;
    }
    return arg != NULL && arg->kind == TN_STRING ? arg : NULL;
}

/* Makes now what a constant argument says, so that no row has to. A bad regex is left to the row, which then
 * fails. */
static bool
prepare(struct lp_tparser *p, struct lp_tnode *command)
{
    struct lp_template *t = p->t;
    struct lp_tnode *f = command->args;
    if (f->kind != TN_FUNCTION) {
        return true;
    }
    const struct lp_tnode *regex = argument(command, lp_tfunc_regex_arg(f->func));
    const struct lp_tnode *zone = argument(command, lp_tfunc_zone_arg(f->func));
    if (regex == NULL && zone == NULL) {
        return true;
    }
    if (t->nowners == OWNERS_MAX) {
        p->rc = lp_err_set(p->err, LP_ERR_LIMIT,
                           "the template has more than %d regular expressions and time zones", OWNERS_MAX);
        return false;
    }
    struct lp_tnode **owners =
        lp_arena_grow(&t->ar, t->owners, &t->owners_cap, t->nowners + 1, sizeof(*owners));
    if (owners == NULL) {
        lp_tparser_spent(p);
        return false;
    }
    owners[t->nowners++] = f;
    t->owners = owners;
    if (regex != NULL && lp_regex_new(regex->value.s, &f->regex, NULL) != LP_OK) {
        f->regex = NULL;
    }
    f->zone = zone != NULL ? lp_zone_load(zone->value.s) : NULL;
    return true;
}

static bool
operands(struct lp_tparser *p, struct lp_tnode *command)
{
    struct lp_tnode **tail = &command->args;
    for (;;) {
        struct lp_tnode *n = operand(p);
        if (p->rc != LP_OK) {
            return false;
        }
        if (n != NULL) {
            *tail = n;
            tail = &n->next;
            command->nargs++;
        }
        const struct lp_ttoken *tok = lp_tparser_next(p);
        if (tok->type == TT_SPACE) {
            continue;
        }
        if (tok->type == TT_CLOSE || tok->type == TT_RPAREN) {
            lp_tparser_back(p);
        } else if (tok->type != TT_PIPE) {
            lp_tparser_unexpected(p, tok, "operand");
            return false;
        }
        return true;
    }
}

static struct lp_tnode *
command(struct lp_tparser *p)
{
    struct lp_tnode *n = lp_tparser_node(p, TN_COMMAND, lp_tparser_peek_nonspace(p)->pos);
    if (n == NULL || !operands(p, n)) {
        return NULL;
    }
    if (n->args == NULL) {
        return lp_tparser_fail(p, "empty command");
    }
    return prepare(p, n) ? n : NULL;
}

/* ------------------------------------------------------------------ pipelines */

/* $x := or $x = or, in a range, $i, $x := in front of a pipeline, if that is what stands here. */
static bool
declarations(struct lp_tparser *p, struct lp_tnode *pipe, const char *context)
{
    for (;;) {
        size_t here = p->at;
        const struct lp_ttoken *var = lp_tparser_peek_nonspace(p);
        if (var->type != TT_VARIABLE) {
            return true;
        }
        lp_tparser_next(p);
        const struct lp_ttoken *tok = lp_tparser_peek_nonspace(p);
        bool comma = tok->type == TT_CHAR && p->t->text.p[tok->pos] == ',';
        if (tok->type != TT_ASSIGN && tok->type != TT_DECLARE && !comma) {
            p->at = here;
            return true;
        }
        pipe->assigns = tok->type == TT_ASSIGN;
        lp_tparser_next(p);
        bool more = comma && strcmp(context, "range") == 0 && pipe->nvars == 0;
        if (pipe->nvars >= LP_ARRAY_LEN(pipe->vars) || (comma && !more)) {
            lp_tparser_fail(p, "too many declarations in %s", context);
            return false;
        }
        if (!declare(p, pipe, var)) {
            return false;
        }
        if (!comma) {
            return true;
        }
        tok = lp_tparser_peek_nonspace(p);
        if (tok->type != TT_VARIABLE && tok->type != TT_CLOSE && tok->type != TT_RPAREN) {
            lp_tparser_fail(p, "range can only initialize variables");
            return false;
        }
    }
}

/* What nothing can be piped into stands only in front. */
static bool
check_stages(struct lp_tparser *p, const struct lp_tnode *pipe, const char *context)
{
    int stage = 1;
    if (pipe->commands == NULL) {
        lp_tparser_fail(p, "missing value for %s", context);
        return false;
    }
    for (const struct lp_tnode *c = pipe->commands->next; c != NULL; c = c->next) {
        enum lp_tnode_kind kind = c->args->kind;
        stage++;
        if (kind == TN_BOOL || kind == TN_DOT || kind == TN_NIL || kind == TN_NUMBER || kind == TN_STRING) {
            lp_tparser_fail(p, "non executable command in pipeline stage %d", stage);
            return false;
        }
    }
    return true;
}

static bool
begins_operand(enum lp_ttoken_type type)
{
    return type == TT_BOOL || type == TT_CHAR_CONST || type == TT_DOT || type == TT_FIELD ||
           type == TT_NAME || type == TT_NUMBER || type == TT_NIL || type == TT_RAW_STRING ||
           type == TT_STRING || type == TT_VARIABLE || type == TT_LPAREN;
}

struct lp_tnode *
lp_tparser_pipeline(struct lp_tparser *p, const char *context, enum lp_ttoken_type end)
{
    struct lp_tnode *pipe = lp_tparser_node(p, TN_PIPE, lp_tparser_peek_nonspace(p)->pos);
    if (pipe == NULL || !declarations(p, pipe, context)) {
        return NULL;
    }
    for (struct lp_tnode **tail = &pipe->commands;;) {
        const struct lp_ttoken *tok = lp_tparser_next_nonspace(p);
        if (tok->type == end) {
            return check_stages(p, pipe, context) ? pipe : NULL;
        }
        if (!begins_operand(tok->type)) {
            return lp_tparser_unexpected(p, tok, context);
        }
        lp_tparser_back(p);
        struct lp_tnode *n = command(p);
        if (n == NULL) {
            return NULL;
        }
        *tail = n;
        tail = &n->next;
    }
}
