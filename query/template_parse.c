/*
 * template_parse.c - a template's tokens into its tree: statements, and the parser's tools.
 *
 * `seen` is what error texts take their line from: the last token that was looked at, as in Go. Statements
 * nest no deeper than LP_TEMPLATE_DEPTH_MAX; a chain of `else if` is no nesting.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "query/template_int.h"
#include "query/text.h"

#define SCRATCH_BYTES (32u << 20) /* a token for every byte of the longest text, and more */

/* ------------------------------------------------------------------ errors */

/* The message behind Go's "template: NAME:LINE: ". NULL. */
void *
lp_tparser_fail(struct lp_tparser *p, const char *fmt, ...)
{
    char text[LP_ERR_TEXT_BYTES];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    if (p->rc == LP_OK) {
        uint32_t line = p->seen > 0 ? p->tokens.items[p->seen - 1].line : 1;
        p->rc = lp_err_set(p->err, LP_ERR_PARSE, "template: " LP_STR_FMT ":%u: %s", LP_STR_ARG(p->t->name),
                           (unsigned)line, text);
    }
    return NULL;
}

void *
lp_tparser_spent(struct lp_tparser *p)
{
    if (p->rc == LP_OK) {
        p->rc = lp_err_set(p->err, LP_ERR_LIMIT, "the template needs more memory than it may have");
    }
    return NULL;
}

bool
lp_tparser_deeper(struct lp_tparser *p)
{
    if (p->depth >= LP_TEMPLATE_DEPTH_MAX) {
        if (p->rc == LP_OK) {
            p->rc =
                lp_err_set(p->err, LP_ERR_LIMIT, "the template nests deeper than %u", LP_TEMPLATE_DEPTH_MAX);
        }
        return false;
    }
    p->depth++;
    return true;
}

struct lp_str
lp_tparser_text(const struct lp_tparser *p, const struct lp_ttoken *tok)
{
    return lp_str_sub(p->t->text, tok->pos, tok->pos + tok->n);
}

/* A token as error texts name it: <end>, "text", "long text "... */
static void
put_token(const struct lp_tparser *p, const struct lp_ttoken *tok, struct lp_buf *out)
{
    struct lp_str text = lp_tparser_text(p, tok);
    if (tok->type == TT_EOF) {
        lp_buf_c(out, "EOF");
        return;
    }
    if (tok->type == TT_DOT || tok->type >= TT_NIL) {
        lp_buf_printf(out, "<" LP_STR_FMT ">", LP_STR_ARG(text));
        return;
    }
    size_t cut = 0;
    for (int runes = 0; runes < 10 && cut < text.n; runes++) {
        uint32_t cp;
        cut += lp_text_decode(lp_str_sub(text, cut, text.n), &cp);
    }
    lp_text_quote(out, text.n > 10 ? lp_str_sub(text, 0, cut) : text);
    lp_buf_c(out, text.n > 10 ? "..." : "");
}

/* An error token names the action it stands in, where that began on another line. */
static void *
unexpected_error(struct lp_tparser *p, const struct lp_ttoken *tok)
{
    const char *why = p->tokens.error;
    if (p->action_line == 0 || p->action_line == tok->line) {
        return lp_tparser_fail(p, "%s", why);
    }
    bool named = lp_str_ends(lp_str_c(why), LP_STR(" action"));
    return lp_tparser_fail(p, "%s%s started at " LP_STR_FMT ":%u", why, named ? "" : " in action",
                           LP_STR_ARG(p->t->name), (unsigned)p->action_line);
}

void *
lp_tparser_unexpected(struct lp_tparser *p, const struct lp_ttoken *tok, const char *context)
{
    if (tok->type == TT_ERROR) {
        return unexpected_error(p, tok);
    }
    struct lp_buf name;
    lp_buf_init(&name, 256);
    put_token(p, tok, &name);
    lp_tparser_fail(p, "unexpected " LP_STR_FMT " in %s", LP_STR_ARG(lp_buf_view(&name)), context);
    lp_buf_clear(&name);
    return NULL;
}

/* ------------------------------------------------------------------ tokens */

/* The last token stands for all behind it. */
static const struct lp_ttoken *
token_at(const struct lp_tparser *p)
{
    return &p->tokens.items[LP_MIN(p->at, p->tokens.n - 1)];
}

const struct lp_ttoken *
lp_tparser_peek(struct lp_tparser *p)
{
    p->seen = LP_MIN(LP_MAX(p->seen, p->at + 1), p->tokens.n);
    return token_at(p);
}

const struct lp_ttoken *
lp_tparser_next(struct lp_tparser *p)
{
    const struct lp_ttoken *tok = lp_tparser_peek(p);
    p->at++;
    return tok;
}

void
lp_tparser_back(struct lp_tparser *p)
{
    p->at--;
}

const struct lp_ttoken *
lp_tparser_peek_nonspace(struct lp_tparser *p)
{
    while (lp_tparser_peek(p)->type == TT_SPACE) {
        p->at++;
    }
    return token_at(p);
}

const struct lp_ttoken *
lp_tparser_next_nonspace(struct lp_tparser *p)
{
    lp_tparser_peek_nonspace(p);
    return lp_tparser_next(p);
}

static const struct lp_ttoken *
expect(struct lp_tparser *p, enum lp_ttoken_type type, const char *context)
{
    const struct lp_ttoken *tok = lp_tparser_next_nonspace(p);
    return tok->type == type ? tok : lp_tparser_unexpected(p, tok, context);
}

struct lp_tnode *
lp_tparser_node(struct lp_tparser *p, enum lp_tnode_kind kind, uint32_t pos)
{
    struct lp_tnode *n = lp_arena_zalloc(&p->t->ar, sizeof(*n));
    if (n == NULL) {
        return lp_tparser_spent(p);
    }
    n->kind = kind;
    n->pos = pos;
    return n;
}

/* ------------------------------------------------------------------ lists of statements */

enum list_end { LIST_FAILED, LIST_EOF, LIST_END, LIST_ELSE };

static bool statement(struct lp_tparser *p, struct lp_tnode **ret, enum list_end *ret_end);

/* Statements up to {{end}}, {{else}} or the end of the text. Behind {{else}} stands what follows the word. */
static enum list_end
statements(struct lp_tparser *p, struct lp_tnode **ret)
{
    struct lp_tnode **tail = ret;
    *ret = NULL;
    if (!lp_tparser_deeper(p)) {
        return LIST_FAILED;
    }
    enum list_end end = LIST_FAILED;
    for (;;) {
        if (lp_tparser_peek_nonspace(p)->type == TT_EOF) {
            end = LIST_EOF;
            break;
        }
        struct lp_tnode *n = NULL;
        end = LIST_FAILED;
        if (!statement(p, &n, &end) || end != LIST_FAILED) {
            break;
        }
        *tail = n;
        tail = n != NULL ? &n->next : tail;
    }
    p->depth--;
    return end;
}

/* As above, but up to {{end}} or {{else}}. */
static enum list_end
body(struct lp_tparser *p, struct lp_tnode **ret)
{
    enum list_end end = statements(p, ret);
    if (end == LIST_EOF) {
        lp_tparser_fail(p, "unexpected EOF");
        return LIST_FAILED;
    }
    return end;
}

/* ------------------------------------------------------------------ if, with, range */

static const char *
context_of(enum lp_tnode_kind kind)
{
    return kind == TN_IF ? "if" : kind == TN_WITH ? "with" : "range";
}

/*
 * Behind `else`: another `if` or `with` of the same kind, which becomes the last statement of `n`, and has no
 * {{end}} of its own; or statements up to {{end}}. *ret: the statement that goes on, NULL when it ended.
 */
static bool
otherwise(struct lp_tparser *p, struct lp_tnode *n, struct lp_tnode **ret)
{
    enum lp_ttoken_type again = n->kind == TN_IF ? TT_IF : TT_WITH;
    const struct lp_ttoken *tok = lp_tparser_peek(p);
    *ret = NULL;
    if (n->kind != TN_RANGE && tok->type == again) {
        lp_tparser_next(p);
        n->otherwise = *ret = lp_tparser_node(p, n->kind, lp_tparser_peek_nonspace(p)->pos);
        return *ret != NULL;
    }
    enum list_end end = body(p, &n->otherwise);
    if (end == LIST_ELSE) {
        lp_tparser_fail(p, "expected end; found {{else}}");
    }
    return end == LIST_END;
}

static bool
branch_body(struct lp_tparser *p, struct lp_tnode *n, enum list_end *ret_end)
{
    bool root = p->dot_is_root;
    p->dot_is_root = root && n->kind == TN_IF; /* elsewhere `.` is what the pipeline gave */
    p->range_depth += n->kind == TN_RANGE;
    *ret_end = body(p, &n->body);
    p->range_depth -= n->kind == TN_RANGE;
    p->dot_is_root = root;
    return *ret_end != LIST_FAILED;
}

/* A statement with a pipeline and bodies; its word is taken. */
static struct lp_tnode *
control(struct lp_tparser *p, enum lp_tnode_kind kind)
{
    size_t vars = p->nvars;
    struct lp_tnode *first = lp_tparser_node(p, kind, lp_tparser_peek_nonspace(p)->pos);
    for (struct lp_tnode *n = first; n != NULL;) {
        enum list_end end;
        n->pipe = lp_tparser_pipeline(p, context_of(kind), TT_CLOSE);
        if (n->pipe == NULL || !branch_body(p, n, &end)) {
            return NULL;
        }
        if (end == LIST_END) {
            break;
        }
        if (!otherwise(p, n, &n)) {
            return NULL;
        }
    }
    p->nvars = vars;
    return first;
}

/* {{else}}, or {{else if ..}}, of which `if` stays. */
static enum list_end
else_word(struct lp_tparser *p)
{
    const struct lp_ttoken *tok = lp_tparser_peek_nonspace(p);
    if (tok->type == TT_IF || tok->type == TT_WITH) {
        return LIST_ELSE;
    }
    return expect(p, TT_CLOSE, "else") != NULL ? LIST_ELSE : LIST_FAILED;
}

static struct lp_tnode *
jump(struct lp_tparser *p, const struct lp_ttoken *word)
{
    bool is_break = word->type == TT_BREAK;
    const struct lp_ttoken *tok = lp_tparser_next_nonspace(p);
    if (tok->type != TT_CLOSE) {
        return lp_tparser_unexpected(p, tok, is_break ? "{{break}}" : "{{continue}}");
    }
    if (p->range_depth == 0) {
        return lp_tparser_fail(p, "{{%s}} outside {{range}}", is_break ? "break" : "continue");
    }
    return lp_tparser_node(p, is_break ? TN_BREAK : TN_CONTINUE, word->pos);
}

/* ------------------------------------------------------------------ define, block, template */

/* Is there nothing but white space? */
static bool
is_empty(const struct lp_tnode *list)
{
    for (; list != NULL; list = list->next) {
        if (list->kind != TN_TEXT || lp_str_trim(list->text).n > 0) {
            return false;
        }
    }
    return true;
}

static struct lp_tdef *
find_def(const struct lp_template *t, struct lp_str name)
{
    for (struct lp_tdef *d = t->defs; d != NULL; d = d->next) {
        if (lp_str_eq(d->name, name)) {
            return d;
        }
    }
    return NULL;
}

/* An empty body gives way to another of its name, whichever comes first. */
static bool
add_def(struct lp_tparser *p, struct lp_str name, struct lp_tnode *list)
{
    struct lp_tdef *d = find_def(p->t, name);
    if (d == NULL) {
        d = lp_arena_zalloc(&p->t->ar, sizeof(*d));
        if (d == NULL) {
            lp_tparser_spent(p);
            return false;
        }
        *d = (struct lp_tdef){.name = name, .body = list, .next = p->t->defs};
        p->t->defs = d;
    } else if (is_empty(d->body)) {
        d->body = list;
    } else if (!is_empty(list)) {
        char room[64];
        lp_tparser_fail(p, "template: multiple definition of template \"%s\"", lp_text_clip(name, 60, room));
        return false;
    }
    return true;
}

static bool
definition_name(struct lp_tparser *p, const char *context, const struct lp_ttoken **ret_tok,
                struct lp_str *ret)
{
    const struct lp_ttoken *tok = lp_tparser_next_nonspace(p);
    *ret_tok = tok;
    if (tok->type != TT_STRING && tok->type != TT_RAW_STRING) {
        lp_tparser_unexpected(p, tok, context);
        return false;
    }
    return lp_tparser_string(p, tok, ret);
}

/* The body of a definition, up to its {{end}}: it sees no variable but $, and no {{range}} around it. */
static bool
definition(struct lp_tparser *p, struct lp_str name, const char *context)
{
    struct lp_tnode *list;
    struct lp_tvar *vars = p->vars;
    size_t nvars = p->nvars, cap = p->vars_cap;
    unsigned range_depth = p->range_depth;
    bool root = p->dot_is_root;
    p->dot_is_root = lp_str_eq(name, p->t->name);
    p->range_depth = 0;
    p->vars = &(struct lp_tvar){LP_TVAR_ROOT, LP_STR("$")};
    p->nvars = p->vars_cap = 1;
    enum list_end end = body(p, &list);
    p->vars = vars;
    p->nvars = nvars;
    p->vars_cap = cap;
    p->range_depth = range_depth;
    p->dot_is_root = root;
    if (end == LIST_ELSE) {
        lp_tparser_fail(p, "unexpected {{else}} in %s", context);
    }
    return end == LIST_END && add_def(p, name, list);
}

static bool
define(struct lp_tparser *p)
{
    static const char context[] = "define clause";
    struct lp_str name;
    const struct lp_ttoken *tok;
    return definition_name(p, context, &tok, &name) && expect(p, TT_CLOSE, context) != NULL &&
           definition(p, name, context);
}

static bool
add_call(struct lp_tparser *p, struct lp_tnode *n)
{
    p->calls = lp_arena_grow(&p->scratch, p->calls, &p->calls_cap, p->ncalls + 1, sizeof(*p->calls));
    if (p->calls == NULL) {
        lp_tparser_spent(p);
        return false;
    }
    p->calls[p->ncalls++] = n;
    return true;
}

static struct lp_tnode *
template_call(struct lp_tparser *p, bool defines)
{
    const char *context = defines ? "block clause" : "template clause";
    const struct lp_ttoken *tok;
    struct lp_str name;
    if (!definition_name(p, context, &tok, &name)) {
        return NULL;
    }
    struct lp_tnode *n = lp_tparser_node(p, TN_TEMPLATE, tok->pos);
    if (n == NULL || !add_call(p, n)) {
        return NULL;
    }
    n->name = name;
    if (defines || lp_tparser_next_nonspace(p)->type != TT_CLOSE) {
        if (!defines) {
            lp_tparser_back(p);
        }
        n->pipe = lp_tparser_pipeline(p, context, TT_CLOSE);
        if (n->pipe == NULL) {
            return NULL;
        }
    }
    return !defines || definition(p, name, context) ? n : NULL;
}

/* ------------------------------------------------------------------ statements */

static struct lp_tnode *
action(struct lp_tparser *p, enum list_end *ret_end)
{
    const struct lp_ttoken *word = lp_tparser_next_nonspace(p);
    if (word->type == TT_END) {
        *ret_end = expect(p, TT_CLOSE, "end") != NULL ? LIST_END : LIST_FAILED;
        return NULL;
    }
    if (word->type == TT_ELSE) {
        *ret_end = else_word(p);
        return NULL;
    }
    if (word->type == TT_IF || word->type == TT_WITH || word->type == TT_RANGE) {
        return control(p, word->type == TT_IF ? TN_IF : word->type == TT_WITH ? TN_WITH : TN_RANGE);
    }
    if (word->type == TT_TEMPLATE || word->type == TT_BLOCK) {
        return template_call(p, word->type == TT_BLOCK);
    }
    if (word->type == TT_BREAK || word->type == TT_CONTINUE) {
        return jump(p, word);
    }
    lp_tparser_back(p);
    struct lp_tnode *n = lp_tparser_node(p, TN_ACTION, word->pos);
    if (n == NULL) {
        return NULL;
    }
    n->pipe = lp_tparser_pipeline(p, "command", TT_CLOSE);
    return n->pipe != NULL ? n : NULL;
}

/* One statement into *ret, or the word that ends a list into *ret_end. */
static bool
statement(struct lp_tparser *p, struct lp_tnode **ret, enum list_end *ret_end)
{
    const struct lp_ttoken *tok = lp_tparser_next_nonspace(p);
    if (tok->type == TT_TEXT) {
        *ret = lp_tparser_node(p, TN_TEXT, tok->pos);
        if (*ret != NULL) {
            (*ret)->text = lp_tparser_text(p, tok);
        }
    } else if (tok->type == TT_OPEN) {
        p->action_line = tok->line;
        *ret = action(p, ret_end);
        p->action_line = 0;
    } else {
        lp_tparser_unexpected(p, tok, "input");
    }
    return p->rc == LP_OK;
}

/* The text's own statements; only among them {{define}} may stand. */
static bool
top(struct lp_tparser *p)
{
    struct lp_tnode *list = NULL, **tail = &list;
    while (lp_tparser_peek(p)->type != TT_EOF) {
        size_t here = p->at;
        if (lp_tparser_next(p)->type == TT_OPEN && lp_tparser_next_nonspace(p)->type == TT_DEFINE) {
            if (!define(p)) {
                return false;
            }
            continue;
        }
        p->at = here;
        enum list_end end = LIST_FAILED;
        struct lp_tnode *n = NULL;
        if (!statement(p, &n, &end)) {
            return false;
        }
        if (end != LIST_FAILED) {
            lp_tparser_fail(p, "unexpected %s", end == LIST_END ? "{{end}}" : "{{else}}");
            return false;
        }
        *tail = n;
        tail = &n->next;
    }
    return add_def(p, p->t->name, list);
}

static int
by_name(const void *a, const void *b)
{
    return lp_str_cmp(*(const struct lp_str *)a, *(const struct lp_str *)b);
}

static void
sort_reads(struct lp_template *t)
{
    size_t n = 0;
    if (t->nreads > 0) {
        qsort(t->reads, t->nreads, sizeof(*t->reads), by_name);
    }
    for (size_t i = 0; i < t->nreads; i++) {
        if (n == 0 || !lp_str_eq(t->reads[n - 1], t->reads[i])) {
            t->reads[n++] = t->reads[i];
        }
    }
    t->nreads = n;
}

lp_rc
lp_template_parse(struct lp_template *t, struct lp_err *err)
{
    static const struct lp_str root = {"$", 1};
    struct lp_tparser p = {.t = t, .err = err, .dot_is_root = true};
    lp_arena_init(&p.scratch, SCRATCH_BYTES, 0);
    p.vars = lp_arena_grow(&p.scratch, NULL, &p.vars_cap, 1, sizeof(*p.vars));
    p.var_names = lp_arena_grow(&p.scratch, NULL, &p.var_names_cap, 1, sizeof(*p.var_names));
    if (p.vars == NULL || p.var_names == NULL || lp_template_lex(t->text, &p.scratch, &p.tokens) != LP_OK) {
        lp_tparser_spent(&p);
        goto out;
    }
    p.vars[p.nvars++] = (struct lp_tvar){LP_TVAR_ROOT, root};
    p.var_names[p.nvar_names++] = root;
    if (top(&p)) {
        for (size_t i = 0; i < p.ncalls; i++) { /* what they mean is known when all is read */
            p.calls[i]->def = find_def(t, p.calls[i]->name);
        }
        t->main = find_def(t, t->name);
        sort_reads(t);
    }
out:
    lp_arena_clear(&p.scratch);
    return p.rc;
}
