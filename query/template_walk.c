/*
 * template_walk.c - running a template's statements, and what a run keeps: variables, steps, the failure.
 *
 * Variables are a stack, looked up from its top by their numbers, as in Go: a body's are gone behind it.
 * Recursion is bounded by LP_TEMPLATE_DEPTH_MAX over everything that nests: bodies, brackets, templates that
 * call each other.
 */
#include <stdarg.h>
#include <stdio.h>

#include "query/template_int.h"
#include "query/text.h"

/* ------------------------------------------------------------------ failing */

bool
lp_trun_limit(struct lp_trun *x, const char *what)
{
    if (x->rc == LP_OK) {
        x->rc = lp_err_set(x->err, LP_ERR_LIMIT, "the template %s", what);
    }
    return false;
}

/* 1-based line and 0-based column, in bytes, of a place in the text: as Go counts. */
static void
place_of(struct lp_str text, uint32_t pos, unsigned *line, unsigned *col)
{
    *line = 1;
    *col = pos;
    for (uint32_t i = 0; i < pos && i < text.n; i++) {
        if (text.p[i] == '\n') {
            ++*line;
            *col = pos - i - 1;
        }
    }
}

bool
lp_trun_fail(struct lp_trun *x, const char *fmt, ...)
{
    char why[LP_ERR_TEXT_BYTES];
    unsigned line, col;
    va_list ap;
    if (x->rc != LP_OK) {
        return false;
    }
    va_start(ap, fmt);
    vsnprintf(why, sizeof(why), fmt, ap);
    va_end(ap);
    place_of(x->t->text, x->at->pos, &line, &col);
    size_t mark = x->out->n;
    bool failed = x->out->failed;
    lp_text_quote(x->out, x->def->name);
    size_t context = x->out->n;
    lp_tnode_print(x->out, x->at);
    struct lp_str name = lp_str_sub(lp_buf_view(x->out), mark, context);
    struct lp_str shown = lp_str_sub(lp_buf_view(x->out), context, x->out->n);
    x->rc = lp_err_set(x->err, LP_ERR_PARSE,
                       "template: " LP_STR_FMT ":%u:%u: executing " LP_STR_FMT " at <" LP_STR_FMT ">: %s",
                       LP_STR_ARG(x->t->name), line, col, LP_STR_ARG(name), LP_STR_ARG(shown), why);
    x->out->n = mark;
    x->out->failed = failed;
    return false;
}

bool
lp_trun_charge(struct lp_trun *x, size_t bytes)
{
    size_t steps = 1 + bytes / 256;
    if (LP_UNLIKELY(steps > x->steps)) {
        return lp_trun_limit(x, "takes too long");
    }
    x->steps -= (uint32_t)steps;
    return true;
}

bool
lp_trun_deeper(struct lp_trun *x)
{
    if (x->depth >= LP_TEMPLATE_DEPTH_MAX) {
        return lp_trun_fail(x, "exceeded maximum template depth (%u)", LP_TEMPLATE_DEPTH_MAX);
    }
    x->depth++;
    return true;
}

bool
lp_trun_take(struct lp_trun *x, size_t mark, struct lp_tval *ret)
{
    struct lp_str s;
    struct lp_buf *out = x->out;
    bool fits = !out->failed && lp_arena_str(x->ar, lp_str_sub(lp_buf_view(out), mark, out->n), &s);
    out->n = mark;
    if (!fits) {
        return lp_trun_limit(x, "writes more than it may");
    }
    *ret = lp_tv_str(s);
    return true;
}

/* ------------------------------------------------------------------ variables */

bool
lp_trun_push(struct lp_trun *x, uint32_t id, const struct lp_tval *v)
{
    if (x->nslots == x->slots_cap) {
        struct lp_tslot *more = lp_arena_array(x->ar, x->slots_cap * 2, sizeof(*more));
        if (more == NULL) {
            return lp_trun_limit(x, "needs more memory than it may have");
        }
        memcpy(more, x->slots, x->nslots * sizeof(*more));
        x->slots = more;
        x->slots_cap *= 2;
    }
    x->slots[x->nslots++] = (struct lp_tslot){id, *v};
    return true;
}

bool
lp_trun_assign(struct lp_trun *x, const struct lp_tvar *var, const struct lp_tval *v)
{
    for (size_t i = x->nslots; i-- > x->base;) {
        if (x->slots[i].id == var->id) {
            x->slots[i].value = *v;
            return true;
        }
    }
    return lp_trun_fail(x, "undefined variable: " LP_STR_FMT, LP_STR_ARG(var->name));
}

/* ------------------------------------------------------------------ statements */

static enum lp_tflow walk_body(struct lp_trun *x, const struct lp_tval *dot, const struct lp_tnode *list);

/* A chain of `else if` is walked here in a loop, not deeper and deeper. */
static enum lp_tflow
walk_if(struct lp_trun *x, const struct lp_tval *dot, const struct lp_tnode *n)
{
    size_t slots = x->nslots;
    enum lp_tflow flow = TW_ON;
    for (;;) {
        struct lp_tval v;
        if (!lp_trun_charge(x, 0) || !lp_trun_pipe(x, dot, n->pipe, &v)) {
            return TW_FAIL;
        }
        const struct lp_tnode *other = n->otherwise;
        if (lp_tv_true(&v)) {
            flow = walk_body(x, n->kind == TN_WITH ? &v : dot, n->body);
            break;
        }
        if (other == NULL || other->kind != n->kind || other->next != NULL) {
            flow = walk_body(x, dot, other);
            break;
        }
        n = other;
    }
    x->nslots = slots;
    return flow;
}

struct loop {
    const struct lp_tnode *n;
    size_t slots; /* with the variables of the range itself */
};

/* One turn: the variables get their values, then the body runs. */
static enum lp_tflow
turn(struct lp_trun *x, const struct loop *loop, const struct lp_tval *index, const struct lp_tval *elem)
{
    const struct lp_tnode *pipe = loop->n->pipe;
    const struct lp_tval *first = pipe->nvars > 1 ? index : elem;
    if (!lp_trun_charge(x, 0)) {
        return TW_FAIL;
    }
    for (unsigned i = 0; i < pipe->nvars; i++) {
        const struct lp_tval *v = i == 0 ? first : elem;
        if (!pipe->assigns) {
            x->slots[loop->slots - pipe->nvars + i].value = *v;
        } else if (!lp_trun_assign(x, &pipe->vars[i], v)) {
            return TW_FAIL;
        }
    }
    enum lp_tflow flow = walk_body(x, elem, loop->n->body);
    x->nslots = loop->slots;
    return flow == TW_CONTINUE ? TW_ON : flow;
}

/* The i-th key and value of what is walked over. */
static void
element(const struct lp_tval *over, size_t i, struct lp_tval *index, struct lp_tval *elem)
{
    if (over->kind == TV_LABELS) {
        *index = lp_tv_str(over->labels.pairs[i].name);
        *elem = lp_tv_str(over->labels.pairs[i].value);
    } else if (over->kind == TV_MAP) {
        *index = lp_tv_str(over->map.entries[i].key);
        *elem = over->map.entries[i].value;
        elem->boxed = true;
    } else if (over->kind == TV_LIST) {
        *index = lp_tv_int(TI_INT, (int64_t)i);
        *elem = over->list.items[i];
        elem->boxed = true;
    } else {
        *elem = lp_tv_int(over->type, (int64_t)i);
        *index = *elem;
    }
}

/* How often the body runs: 0 also where it fails, for what nothing can be ranged over. */
static size_t
count_turns(struct lp_trun *x, const struct lp_tval *over, unsigned nvars)
{
    bool number = over->kind == TV_INT;
    if (over->kind == TV_LABELS || over->kind == TV_MAP || over->kind == TV_LIST) {
        return lp_tv_len(over);
    }
    if (over->kind == TV_NONE || over->kind == TV_NIL || (number && nvars < 2)) {
        return number && over->i > 0 ? (size_t)over->i : 0;
    }
    size_t mark = x->out->n;
    lp_tv_print(x->out, over);
    char room[64];
    lp_text_clip(lp_str_sub(lp_buf_view(x->out), mark, x->out->n), 60, room);
    x->out->n = mark;
    lp_trun_fail(
        x, number ? "can't use %s to iterate over more than one variable" : "range can't iterate over %s",
        room);
    return 0;
}

static enum lp_tflow
walk_range(struct lp_trun *x, const struct lp_tval *dot, const struct lp_tnode *n)
{
    size_t slots = x->nslots;
    struct lp_tval over;
    x->at = n;
    if (!lp_trun_pipe(x, dot, n->pipe, &over)) {
        return TW_FAIL;
    }
    struct loop loop = {.n = n, .slots = x->nslots};
    size_t turns = count_turns(x, &over, n->pipe->nvars);
    if (x->rc != LP_OK) {
        return TW_FAIL;
    }
    enum lp_tflow flow = TW_ON;
    for (size_t i = 0; i < turns && flow == TW_ON; i++) {
        struct lp_tval index, elem;
        element(&over, i, &index, &elem);
        flow = turn(x, &loop, &index, &elem);
    }
    flow = flow == TW_BREAK ? TW_ON : flow;
    if (turns == 0) {
        flow = walk_body(x, dot, n->otherwise);
    }
    x->nslots = slots;
    return flow;
}

/* The template sees `.` and `$`, which are its argument, and no variable of the caller. */
static enum lp_tflow
walk_template(struct lp_trun *x, const struct lp_tval *dot, const struct lp_tnode *n)
{
    struct lp_tval v = {.kind = TV_NONE};
    x->at = n;
    if (n->def == NULL) {
        char room[64];
        lp_trun_fail(x, "template \"%s\" not defined", lp_text_clip(n->name, 60, room));
        return TW_FAIL;
    }
    if (n->pipe != NULL && !lp_trun_pipe(x, dot, n->pipe, &v)) {
        return TW_FAIL;
    }
    const struct lp_tdef *caller = x->def;
    size_t slots = x->nslots, base = x->base;
    x->base = slots;
    if (!lp_trun_push(x, LP_TVAR_ROOT, &v)) {
        return TW_FAIL;
    }
    x->at = n; /* if this goes too deep */
    x->def = n->def;
    enum lp_tflow flow = walk_body(x, &v, n->def->body);
    x->def = caller;
    x->nslots = slots;
    x->base = base;
    return flow;
}

static enum lp_tflow
walk_action(struct lp_trun *x, const struct lp_tval *dot, const struct lp_tnode *n)
{
    struct lp_tval v;
    if (!lp_trun_charge(x, 0) || !lp_trun_pipe(x, dot, n->pipe, &v)) {
        return TW_FAIL;
    }
    if (n->pipe->nvars == 0) {
        lp_tv_print(x->out, &v);
    }
    return TW_ON;
}

static enum lp_tflow
walk_one(struct lp_trun *x, const struct lp_tval *dot, const struct lp_tnode *n)
{
    switch ((int)n->kind) {
    case TN_TEXT:
        lp_buf_str(x->out, n->text);
        return TW_ON;
    case TN_ACTION:
        return walk_action(x, dot, n);
    case TN_IF:
    case TN_WITH:
        return walk_if(x, dot, n);
    case TN_RANGE:
        return walk_range(x, dot, n);
    case TN_TEMPLATE:
        return walk_template(x, dot, n);
    default:
        return n->kind == TN_BREAK ? TW_BREAK : TW_CONTINUE;
    }
}

enum lp_tflow
lp_trun_walk(struct lp_trun *x, const struct lp_tval *dot, const struct lp_tnode *list)
{
    enum lp_tflow flow = TW_ON;
    for (; list != NULL && flow == TW_ON; list = list->next) {
        flow = walk_one(x, dot, list);
        if (LP_UNLIKELY(x->out->failed)) {
            lp_trun_limit(x, "writes more than it may");
            return TW_FAIL;
        }
    }
    return flow;
}

static enum lp_tflow
walk_body(struct lp_trun *x, const struct lp_tval *dot, const struct lp_tnode *list)
{
    if (list == NULL) {
        return TW_ON;
    }
    if (!lp_trun_deeper(x)) {
        return TW_FAIL;
    }
    enum lp_tflow flow = lp_trun_walk(x, dot, list);
    x->depth--;
    return flow;
}
