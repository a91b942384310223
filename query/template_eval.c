/*
 * template_eval.c - running expressions: pipelines, commands, fields, and calls with the types that functions
 * want.
 *
 * `at` moves from node to node as Go's does, because error texts show where it stands. `final` is what a
 * pipeline hands to its next command as the last argument; NULL where there is none.
 */
#include <stdarg.h>
#include <stdio.h>

#include "query/template_int.h"
#include "query/text.h"

#define ARGS_INLINE 6

static bool eval_call(struct lp_trun *x, const struct lp_tval *dot, const struct lp_tfunc *f,
                      const struct lp_tnode *node, const struct lp_tnode *args, const struct lp_tval *final,
                      const struct lp_tval *receiver, struct lp_tval *ret);

/* ------------------------------------------------------------------ types */

static const char *
param_type(char param)
{
    switch (param) {
    case 's':
        return "string";
    case 'i':
        return "int";
    case 'f':
        return "float64";
    case 't':
        return "time.Time";
    case 'd':
        return "time.Duration";
    default:
        return param == 'v' ? "reflect.Value" : "interface {}";
    }
}

static bool
fits(const struct lp_tval *v, char param)
{
    switch (param) {
    case 's':
        return v->kind == TV_STRING;
    case 'i':
        return v->kind == TV_INT && v->type == TI_INT;
    case 'f':
        return v->kind == TV_FLOAT;
    case 't':
        return v->kind == TV_TIME;
    case 'd':
        return v->kind == TV_INT && v->type == TI_DURATION;
    default:
        return true;
    }
}

/* Is the value one that a parameter takes? No value becomes a nil where anything goes. */
static bool
validate(struct lp_trun *x, struct lp_tval *v, char param)
{
    if (LP_LIKELY(v->kind != TV_NONE && fits(v, param))) {
        return true;
    }
    if (v->kind == TV_NONE) {
        v->kind = param == 'a' ? TV_NIL : TV_NONE;
        return param == 'a' || param == 'v' ||
               lp_trun_fail(x, "invalid value; expected %s", param_type(param));
    }
    v->boxed = false;
    return lp_trun_fail(x, "wrong type for value; expected %s; got %s", param_type(param), lp_tv_type(v));
}

/* ------------------------------------------------------------------ fields */

/* What nothing can be called with: a value that is no function. */
static bool
no_function(struct lp_trun *x, const struct lp_tnode *args, const struct lp_tval *final)
{
    if (LP_LIKELY((args == NULL || args->next == NULL) && final == NULL)) {
        return true;
    }
    size_t mark = x->out->n;
    char room[64];
    lp_tnode_print(x->out, args);
    lp_text_clip(lp_str_sub(lp_buf_view(x->out), mark, x->out->n), 60, room);
    x->out->n = mark;
    return lp_trun_fail(x, "can't give argument to non-function %s", room);
}

/* A key of a map or of the labels; a missing one is what missingkey=zero makes of it. */
static void
get_key(const struct lp_tval *map, struct lp_str name, struct lp_tval *ret)
{
    if (map->kind == TV_LABELS) {
        *ret = lp_tv_str(lp_tlabels_get(&map->labels, name));
        return;
    }
    const struct lp_tval *found = lp_tmap_get(&map->map, name);
    *ret = found != NULL ? *found : (struct lp_tval){.kind = TV_NIL};
    ret->boxed = true;
}

/* args: the command's operands, NULL where the field is an argument itself. */
static bool
eval_field(struct lp_trun *x, const struct lp_tval *dot, struct lp_str name, const struct lp_tnode *node,
           const struct lp_tnode *args, const struct lp_tval *final, const struct lp_tval *of,
           struct lp_tval *ret)
{
    char room[64];
    if (of->kind == TV_NONE) {
        *ret = *of;
        return true;
    }
    if (of->kind == TV_LABELS || of->kind == TV_MAP) {
        if ((args != NULL && args->next != NULL) || final != NULL) {
            return lp_trun_fail(x, "%s is not a method but has arguments", lp_text_clip(name, 60, room));
        }
        get_key(of, name, ret);
        return true;
    }
    if (of->kind == TV_NIL) {
        return lp_trun_fail(x, "nil pointer evaluating interface {}.%s", lp_text_clip(name, 60, room));
    }
    const struct lp_tfunc *method = lp_tmethod_find(of, name);
    if (method != NULL) {
        return eval_call(x, dot, method, node, args != NULL ? args->next : NULL, final, of, ret);
    }
    return lp_trun_fail(x, "can't evaluate field %s in type %s", lp_text_clip(name, 60, room),
                        of->boxed ? "interface {}" : lp_tv_type(of));
}

/* Fields one behind the other; arguments are for the last. */
static bool
eval_fields(struct lp_trun *x, const struct lp_tval *dot, const struct lp_tnode *node,
            const struct lp_tnode *args, const struct lp_tval *final, const struct lp_tval *of,
            struct lp_tval *ret)
{
    struct lp_tval here = *of;
    for (uint32_t i = 0; i < node->nnames; i++) {
        struct lp_tval v;
        bool last = i + 1 == node->nnames;
        if (!eval_field(x, dot, node->names[i], node, last ? args : NULL, last ? final : NULL, &here, &v)) {
            return false;
        }
        here = v;
    }
    *ret = here;
    return true;
}

static bool
eval_variable(struct lp_trun *x, const struct lp_tval *dot, const struct lp_tnode *n,
              const struct lp_tnode *args, const struct lp_tval *final, struct lp_tval *ret)
{
    x->at = n;
    for (size_t i = x->nslots; i-- > x->base;) {
        if (x->slots[i].id != n->var.id) {
            continue;
        }
        struct lp_tval v = x->slots[i].value;
        if (n->nnames > 0) {
            return eval_fields(x, dot, n, args, final, &v, ret);
        }
        *ret = v;
        return no_function(x, args, final);
    }
    return lp_trun_fail(x, "undefined variable: " LP_STR_FMT, LP_STR_ARG(n->var.name));
}

static bool
eval_paren(struct lp_trun *x, const struct lp_tval *dot, const struct lp_tnode *pipe, struct lp_tval *ret)
{
    if (!lp_trun_deeper(x) || !lp_trun_pipe(x, dot, pipe, ret)) {
        return false;
    }
    x->depth--;
    return true;
}

static bool
eval_chain(struct lp_trun *x, const struct lp_tval *dot, const struct lp_tnode *n,
           const struct lp_tnode *args, const struct lp_tval *final, struct lp_tval *ret)
{
    struct lp_tval of;
    bool is_pipe = n->term->kind == TN_PIPE;
    x->at = n->term;
    if (!(is_pipe ? eval_paren(x, dot, n->term, &of)
                  : eval_call(x, dot, n->term->func, n->term, NULL, NULL, NULL, &of))) {
        return false;
    }
    return eval_fields(x, dot, n, args, final, &of, ret);
}

/* ------------------------------------------------------------------ arguments */

static bool
eval_number(struct lp_trun *x, const struct lp_tnode *n, struct lp_tval *ret)
{
    if (n->value.kind == TV_NONE) {
        return lp_trun_fail(x, LP_STR_FMT " overflows int", LP_STR_ARG(n->source));
    }
    *ret = n->value;
    return true;
}

/* A constant as the parameter's type; numbers may stand for ints and floats alike. */
static bool
eval_constant(struct lp_trun *x, const struct lp_tnode *n, char param, struct lp_tval *ret)
{
    char room[64];
    lp_text_clip(n->source, 60, room);
    if (param == 'a' || param == 'v') {
        if (n->kind == TN_NUMBER) {
            return eval_number(x, n, ret);
        }
        *ret = n->value;
        return true;
    }
    if (param == 's' && n->kind == TN_STRING) {
        *ret = n->value;
        return true;
    }
    if ((param == 'i' || param == 'd') && n->kind == TN_NUMBER && n->is_int) {
        *ret = lp_tv_int(param == 'i' ? TI_INT : TI_DURATION, n->as_int);
        return true;
    }
    if (param == 'f' && n->kind == TN_NUMBER) {
        *ret = lp_tv_float(n->as_float);
        return true;
    }
    if (param == 't') {
        return lp_trun_fail(x, "can't handle %s for arg of type time.Time", room);
    }
    return lp_trun_fail(x, "expected %s; found %s",
                        param == 's'   ? "string"
                        : param == 'f' ? "float"
                                       : "integer",
                        room);
}

static bool
eval_arg(struct lp_trun *x, const struct lp_tval *dot, const struct lp_tnode *n, char param,
         struct lp_tval *ret)
{
    x->at = n;
    switch ((int)n->kind) {
    case TN_BOOL:
    case TN_NUMBER:
    case TN_STRING:
        return eval_constant(x, n, param, ret);
    case TN_NIL:
        *ret = (struct lp_tval){.kind = param == 'a' ? TV_NIL : TV_NONE};
        return param == 'a' || param == 'v' || lp_trun_fail(x, "cannot assign nil to %s", param_type(param));
    case TN_DOT:
        *ret = *dot;
        break;
    case TN_FIELD:
        if (!eval_fields(x, dot, n, NULL, NULL, dot, ret)) {
            return false;
        }
        break;
    case TN_VARIABLE:
        if (!eval_variable(x, dot, n, NULL, NULL, ret)) {
            return false;
        }
        break;
    case TN_CHAIN:
        if (!eval_chain(x, dot, n, NULL, NULL, ret)) {
            return false;
        }
        break;
    case TN_PIPE:
        if (!eval_paren(x, dot, n, ret)) {
            return false;
        }
        break;
    default: /* TN_FUNCTION */
        if (!eval_call(x, dot, n->func, n, NULL, NULL, NULL, ret)) {
            return false;
        }
        break;
    }
    return validate(x, ret, param);
}

/* ------------------------------------------------------------------ calls */

/* and, or: the first argument that decides, else the last. What stands behind it is not looked at. */
static bool
eval_choice(struct lp_trun *x, const struct lp_tval *dot, const struct lp_tfunc *f,
            const struct lp_tnode *args, const struct lp_tval *final, struct lp_tval *ret)
{
    for (; args != NULL; args = args->next) {
        if (!eval_arg(x, dot, args, 'v', ret)) {
            return false;
        }
        if (lp_tv_true(ret) == (f->which == LP_TFUNC_OR)) {
            return true;
        }
    }
    if (final != NULL) {
        *ret = *final;
    }
    return true;
}

/* Does the function take so many arguments? */
static bool
check_count(struct lp_trun *x, const struct lp_tfunc *f, size_t nargs, size_t final)
{
    size_t nparams = strlen(f->params);
    bool variadic = nparams > 0 && f->params[nparams - 1] == '+';
    nparams -= variadic;
    if (LP_LIKELY(variadic ? nargs + final >= nparams - 1 : nargs + final == nparams)) {
        return true;
    }
    if (variadic) {
        return lp_trun_fail(x, "wrong number of args for %s: want at least %zu got %zu", f->name, nparams - 1,
                            nargs);
    }
    return lp_trun_fail(x, "wrong number of args for %s: want %zu got %zu", f->name, nparams, nargs + final);
}

/* The type of the i-th parameter. */
static char
param_at(const struct lp_tfunc *f, size_t i)
{
    const char *p = f->params;
    while (i > 0 && p[1] != '+') {
        p++;
        i--;
    }
    return *p;
}

/* Long texts take steps, because functions look at all of their arguments. */
static bool
charge_args(struct lp_trun *x, const struct lp_tval *args, size_t n)
{
    size_t bytes = 0;
    for (size_t i = 0; i < n; i++) {
        bytes += args[i].kind == TV_STRING ? args[i].s.n : 0;
    }
    return lp_trun_charge(x, bytes);
}

static bool
eval_args(struct lp_trun *x, const struct lp_tval *dot, const struct lp_tfunc *f, const struct lp_tnode *args,
          const struct lp_tval *final, struct lp_tval *argv)
{
    size_t i = 0;
    for (; args != NULL; args = args->next, i++) {
        if (!eval_arg(x, dot, args, param_at(f, i), &argv[i])) {
            return false;
        }
    }
    if (final != NULL) {
        argv[i] = *final;
        return validate(x, &argv[i], param_at(f, i));
    }
    return true;
}

/* node: what an error of the function itself shows. receiver: of a method, else NULL. */
static bool
eval_call(struct lp_trun *x, const struct lp_tval *dot, const struct lp_tfunc *f, const struct lp_tnode *node,
          const struct lp_tnode *args, const struct lp_tval *final, const struct lp_tval *receiver,
          struct lp_tval *ret)
{
    struct lp_tval room[ARGS_INLINE], *argv = room;
    size_t nargs = 0, first = receiver != NULL;
    for (const struct lp_tnode *n = args; n != NULL; n = n->next) {
        nargs++;
    }
    if (!check_count(x, f, nargs, final != NULL)) {
        return false;
    }
    if (f->fn == NULL) {
        return eval_choice(x, dot, f, args, final, ret);
    }
    size_t all = first + nargs + (final != NULL);
    if (all > ARGS_INLINE) {
        argv = lp_arena_array(x->ar, all, sizeof(*argv));
        if (argv == NULL) {
            return lp_trun_limit(x, "needs more memory than it may have");
        }
    }
    if (receiver != NULL) {
        argv[0] = *receiver;
    }
    if (!eval_args(x, dot, f, args, final, argv + first) || !charge_args(x, argv, all)) {
        return false;
    }
    const struct lp_tnode *name = node->kind == TN_COMMAND    ? node->args
                                  : node->kind == TN_FUNCTION ? node
                                                              : NULL;
    const struct lp_tcall call = {.x = x, .func = f, .args = argv, .nargs = all, .node = node, .name = name};
    return f->fn(&call, ret);
}

bool
lp_tcall_fail(const struct lp_tcall *c, const char *fmt, ...)
{
    char why[LP_ERR_TEXT_BYTES];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(why, sizeof(why), fmt, ap);
    va_end(ap);
    c->x->at = c->node;
    return lp_trun_fail(c->x, "error calling %s: %s", c->func->name, why);
}

/* ------------------------------------------------------------------ pipelines */

static bool
eval_command(struct lp_trun *x, const struct lp_tval *dot, const struct lp_tnode *command,
             const struct lp_tval *final, struct lp_tval *ret)
{
    const struct lp_tnode *n = command->args;
    switch ((int)n->kind) {
    case TN_FIELD:
        x->at = n;
        return eval_fields(x, dot, n, n, final, dot, ret);
    case TN_CHAIN:
        return eval_chain(x, dot, n, n, final, ret);
    case TN_FUNCTION:
        x->at = n;
        return eval_call(x, dot, n->func, command, n->next, final, NULL, ret);
    case TN_VARIABLE:
        return eval_variable(x, dot, n, n, final, ret);
    case TN_PIPE:
        return no_function(x, n, final) && eval_paren(x, dot, n, ret);
    default:
        break;
    }
    x->at = n;
    if (!no_function(x, n, final)) {
        return false;
    }
    if (n->kind == TN_DOT) {
        *ret = *dot;
        return true;
    }
    if (n->kind == TN_NIL) {
        return lp_trun_fail(x, "nil is not a command");
    }
    return eval_constant(x, n, 'a', ret);
}

bool
lp_trun_pipe(struct lp_trun *x, const struct lp_tval *dot, const struct lp_tnode *pipe, struct lp_tval *ret)
{
    struct lp_tval v[2];
    const struct lp_tval *final = NULL;
    unsigned at = 0;
    x->at = pipe;
    for (const struct lp_tnode *c = pipe->commands; c != NULL; c = c->next) {
        struct lp_tval *to = &v[at];
        if (!eval_command(x, dot, c, final, to)) {
            return false;
        }
        to->boxed = false; /* what was in the box comes out, and an empty box is no value */
        to->kind = to->kind == TV_NIL ? TV_NONE : to->kind;
        final = to;
        at ^= 1;
    }
    *ret = *final;
    for (unsigned i = 0; i < pipe->nvars; i++) {
        bool done =
            pipe->assigns ? lp_trun_assign(x, &pipe->vars[i], ret) : lp_trun_push(x, pipe->vars[i].id, ret);
        if (!done) {
            return false;
        }
    }
    return true;
}
