/*
 * parse_metric.c - expressions: range and vector aggregations, operators, literals, label_replace.
 *
 * Operators are parsed by precedence climbing. Two literals are folded as soon as they meet.
 */
#include "query/parse_int.h"

struct lp_expr *
lp_ps_node(struct lp_parser *ps, enum lp_expr_kind kind, struct lp_pos pos)
{
    struct lp_expr *e = lp_ps_count(ps) ? lp_ps_alloc(ps, sizeof(*e)) : NULL;
    if (e != NULL) {
        e->kind = kind;
        e->pos = pos;
        e->depth = 1;
    }
    return e;
}

/* Sets e's depth above a child's; fails at the limit. */
static bool
set_depth(struct lp_parser *ps, struct lp_expr *e, const struct lp_expr *child)
{
    e->depth = LP_MAX(e->depth, child->depth + 1);
    return e->depth <= LP_LOGQL_DEPTH_MAX || lp_ps_limit(ps, "the query is nested too deeply");
}

/* --------------------------------------------------------------- label lists */

/* "(" [name {, name}] ")" */
static bool
name_list(struct lp_parser *ps, struct lp_str **names, size_t *n)
{
    size_t cap = 0;
    if (!lp_ps_expect(ps, LP_TOK_LPAREN, NULL)) {
        return false;
    }
    if (lp_ps_accept(ps, LP_TOK_RPAREN)) {
        return true;
    }
    do {
        struct lp_str *grown = lp_ps_grow(ps, *names, &cap, *n, sizeof(*grown));
        if (grown == NULL || !lp_ps_name(ps, &grown[*n])) {
            return false;
        }
        *names = grown;
        (*n)++;
    } while (lp_ps_accept(ps, LP_TOK_COMMA));
    return lp_ps_expect(ps, LP_TOK_RPAREN, ", or )");
}

static bool
is_grouping(const struct lp_parser *ps)
{
    return ps->tok.kind == LP_TOK_BY || ps->tok.kind == LP_TOK_WITHOUT;
}

static bool
grouping(struct lp_parser *ps, struct lp_grouping *g)
{
    g->kind = ps->tok.kind == LP_TOK_BY ? LP_GROUP_BY : LP_GROUP_WITHOUT;
    return lp_ps_next(ps) && name_list(ps, &g->names, &g->n);
}

/* -------------------------------------------------------- range aggregations */

static bool
range_and_offset(struct lp_parser *ps, struct lp_log_range *r)
{
    r->range_ns = ps->tok.ns;
    if (!lp_ps_expect(ps, LP_TOK_RANGE, "a stage, or a range like [5m]")) {
        return false;
    }
    if (lp_ps_accept(ps, LP_TOK_OFFSET)) {
        r->offset_ns = ps->tok.ns;
        return lp_ps_expect(ps, LP_TOK_DURATION, NULL);
    }
    return ps->rc == LP_OK;
}

/* The range may stand before the stages, behind them, or behind brackets around them. *ranged: it was there.
 */
static bool
log_range(struct lp_parser *ps, struct lp_log_range *r, bool *ranged)
{
    if (lp_ps_accept(ps, LP_TOK_LPAREN)) {
        bool good = lp_ps_enter(ps) && log_range(ps, r, ranged) && lp_ps_expect(ps, LP_TOK_RPAREN, NULL);
        lp_ps_leave(ps);
        if (!good) {
            return false;
        }
    } else if (ps->tok.kind != LP_TOK_LBRACE) {
        return lp_ps_unexpected(ps, "a stream selector like {app=\"x\"}");
    } else if (!lp_ps_selector(ps, &r->log) || !lp_ps_pipeline(ps, &r->log, &r->unwrap)) {
        return false;
    }
    if (*ranged || ps->tok.kind != LP_TOK_RANGE) {
        return true;
    }
    *ranged = true;
    bool bare = r->log.nstages == 0 && r->unwrap == NULL;
    return range_and_offset(ps, r) && (!bare || lp_ps_pipeline(ps, &r->log, &r->unwrap));
}

static struct lp_expr *
range_agg(struct lp_parser *ps)
{
    struct lp_expr *e = lp_ps_node(ps, LP_EXPR_RANGE_AGG, ps->tok.pos);
    if (e == NULL) {
        return NULL;
    }
    struct lp_range_agg *a = &e->range_agg;
    a->op = (enum lp_range_op)ps->tok.arg;
    if (!lp_ps_next(ps) || !lp_ps_expect(ps, LP_TOK_LPAREN, NULL)) {
        return NULL;
    }
    struct lp_pos param_pos = ps->tok.pos;
    bool has_param = ps->tok.kind == LP_TOK_NUMBER;
    if (has_param) {
        a->param = ps->tok.number;
        if (!lp_ps_next(ps) || !lp_ps_expect(ps, LP_TOK_COMMA, NULL)) {
            return NULL;
        }
    }
    bool ranged = false;
    if (!log_range(ps, &a->range, &ranged)) {
        return NULL;
    }
    if (!ranged) {
        (void)lp_ps_unexpected(ps, "a stage, or a range like [5m]");
        return NULL;
    }
    if (!lp_ps_expect(ps, LP_TOK_RPAREN, NULL) || (is_grouping(ps) && !grouping(ps, &a->by))) {
        return NULL;
    }
    if (has_param != (a->op == LP_RANGE_QUANTILE)) {
        (void)lp_ps_fail(ps, has_param ? param_pos : e->pos, "%s %s", lp_range_op_name(a->op),
                         has_param ? "takes no parameter"
                                   : "needs a parameter: quantile_over_time(0.99, ...)");
        return NULL;
    }
    return e;
}

/* ------------------------------------------------------- vector aggregations */

/* The count before the comma; a number that begins an expression is none. */
static bool
count_param(struct lp_parser *ps, struct lp_vector_agg *a, bool *has_param)
{
    *has_param = ps->tok.kind == LP_TOK_NUMBER && lp_ps_peek(ps) == LP_TOK_COMMA;
    if (!*has_param) {
        return true;
    }
    if (!lp_str_i64(ps->tok.text, &a->param) || a->param <= 0) {
        return lp_ps_fail(ps, ps->tok.pos, "the parameter of %s must be a whole number greater than 0",
                          lp_vector_op_name(a->op));
    }
    return lp_ps_next(ps) && lp_ps_next(ps);
}

static bool
vector_agg_param_fits(struct lp_parser *ps, const struct lp_expr *e, bool has_param)
{
    static const bool wants[] = {
#define X(id, name, param, grouping) param,
        LP_VECTOR_OPS(X)
#undef X
    };
    enum lp_vector_op op = e->vector_agg.op;
    if (has_param == wants[op]) {
        return true;
    }
    return lp_ps_fail(ps, e->pos, "%s %s", lp_vector_op_name(op),
                      has_param ? "takes no parameter"
                                : "needs a parameter: how many series, as in topk(5, ...)");
}

static struct lp_expr *
vector_agg(struct lp_parser *ps)
{
    struct lp_expr *e = lp_ps_node(ps, LP_EXPR_VECTOR_AGG, ps->tok.pos);
    if (e == NULL) {
        return NULL;
    }
    struct lp_vector_agg *a = &e->vector_agg;
    a->op = (enum lp_vector_op)ps->tok.arg;
    bool has_param = false;
    bool good = lp_ps_next(ps) && (!is_grouping(ps) || grouping(ps, &a->by)) &&
                lp_ps_expect(ps, LP_TOK_LPAREN, NULL) && count_param(ps, a, &has_param);
    a->inner = good ? lp_ps_expr(ps, 0) : NULL;
    if (a->inner == NULL || !lp_ps_expect(ps, LP_TOK_RPAREN, "an operator or )")) {
        return NULL;
    }
    if (a->by.kind == LP_GROUP_NONE && is_grouping(ps) && !grouping(ps, &a->by)) {
        return NULL;
    }
    if (a->by.kind == LP_GROUP_BY && a->by.n == 0) {
        a->by.kind = LP_GROUP_NONE; /* by () is one group, as without any grouping */
    }
    return vector_agg_param_fits(ps, e, has_param) && set_depth(ps, e, a->inner) ? e : NULL;
}

/* ------------------------------------------------------------------ the rest */

/* [+|-] number */
static struct lp_expr *
literal(struct lp_parser *ps)
{
    struct lp_expr *e = lp_ps_node(ps, LP_EXPR_LITERAL, ps->tok.pos);
    bool negative = ps->tok.kind == LP_TOK_SUB;
    if (e == NULL || ((negative || ps->tok.kind == LP_TOK_ADD) && !lp_ps_next(ps))) {
        return NULL;
    }
    e->number = negative ? -ps->tok.number : ps->tok.number;
    return lp_ps_expect(ps, LP_TOK_NUMBER,
                        "a number (a sign is part of a number; write 0 - x to negate an expression)")
               ? e
               : NULL;
}

static struct lp_expr *
vector(struct lp_parser *ps)
{
    struct lp_expr *e = lp_ps_node(ps, LP_EXPR_VECTOR, ps->tok.pos);
    if (e == NULL || !lp_ps_next(ps) || !lp_ps_expect(ps, LP_TOK_LPAREN, NULL)) {
        return NULL;
    }
    e->number = ps->tok.number;
    return lp_ps_expect(ps, LP_TOK_NUMBER, "a number without sign") && lp_ps_expect(ps, LP_TOK_RPAREN, NULL)
               ? e
               : NULL;
}

static struct lp_expr *
label_replace(struct lp_parser *ps)
{
    struct lp_expr *e = lp_ps_node(ps, LP_EXPR_LABEL_REPLACE, ps->tok.pos);
    if (e == NULL || !lp_ps_next(ps) || !lp_ps_expect(ps, LP_TOK_LPAREN, NULL)) {
        return NULL;
    }
    struct lp_label_replace *r = &e->label_replace;
    r->inner = lp_ps_expr(ps, 0);
    if (r->inner == NULL || !set_depth(ps, e, r->inner)) {
        return NULL;
    }
    struct lp_str *const args[] = {&r->dst, &r->replacement, &r->src, &r->regex};
    for (size_t i = 0; i < LP_ARRAY_LEN(args); i++) {
        if (!lp_ps_expect(ps, LP_TOK_COMMA, NULL) || !lp_ps_string(ps, args[i])) {
            return NULL;
        }
    }
    return lp_ps_expect(ps, LP_TOK_RPAREN, NULL) ? e : NULL;
}

static struct lp_expr *
log_query(struct lp_parser *ps)
{
    struct lp_expr *e = lp_ps_node(ps, LP_EXPR_LOG, ps->tok.pos);
    return e != NULL && lp_ps_selector(ps, &e->log) && lp_ps_pipeline(ps, &e->log, NULL) ? e : NULL;
}

static struct lp_expr *
primary(struct lp_parser *ps)
{
    switch ((int)ps->tok.kind) {
    case LP_TOK_LBRACE:
        return log_query(ps);
    case LP_TOK_LPAREN: {
        struct lp_expr *e = lp_ps_next(ps) ? lp_ps_expr(ps, 0) : NULL;
        return e != NULL && lp_ps_expect(ps, LP_TOK_RPAREN, NULL) ? e : NULL;
    }
    case LP_TOK_NUMBER:
    case LP_TOK_ADD:
    case LP_TOK_SUB:
        return literal(ps);
    case LP_TOK_RANGE_OP:
        return range_agg(ps);
    case LP_TOK_VECTOR_OP:
        return vector_agg(ps);
    case LP_TOK_VECTOR:
        return vector(ps);
    case LP_TOK_LABEL_REPLACE:
        return label_replace(ps);
    default:
        (void)lp_ps_unexpected(ps, "a stream selector like {app=\"x\"}, a function or a number");
        return NULL;
    }
}

/* ----------------------------------------------------------------- operators */

static bool
binary_op(enum lp_tok kind, enum lp_binary_op *ret)
{
    static const struct {
        enum lp_tok tok;
        enum lp_binary_op op;
    } ops[] = {
        {LP_TOK_OR, LP_BINARY_OR},   {LP_TOK_AND, LP_BINARY_AND}, {LP_TOK_UNLESS, LP_BINARY_UNLESS},
        {LP_TOK_EQEQ, LP_BINARY_EQ}, {LP_TOK_NEQ, LP_BINARY_NEQ}, {LP_TOK_GT, LP_BINARY_GT},
        {LP_TOK_GTE, LP_BINARY_GTE}, {LP_TOK_LT, LP_BINARY_LT},   {LP_TOK_LTE, LP_BINARY_LTE},
        {LP_TOK_ADD, LP_BINARY_ADD}, {LP_TOK_SUB, LP_BINARY_SUB}, {LP_TOK_MUL, LP_BINARY_MUL},
        {LP_TOK_DIV, LP_BINARY_DIV}, {LP_TOK_MOD, LP_BINARY_MOD}, {LP_TOK_POW, LP_BINARY_POW},
    };
    for (size_t i = 0; i < LP_ARRAY_LEN(ops); i++) {
        if (ops[i].tok == kind) {
            *ret = ops[i].op;
            return true;
        }
    }
    return false;
}

/* [bool] [on|ignoring (..) [group_left|group_right [(..)]]] */
static bool
modifiers(struct lp_parser *ps, struct lp_binary *b)
{
    struct lp_matching *m = &b->match;
    b->return_bool = lp_ps_accept(ps, LP_TOK_BOOL);
    if (ps->tok.kind == LP_TOK_ON || ps->tok.kind == LP_TOK_IGNORING) {
        m->kind = ps->tok.kind == LP_TOK_ON ? LP_VMATCH_ON : LP_VMATCH_IGNORING;
        if (!lp_ps_next(ps) || !name_list(ps, &m->labels, &m->nlabels)) {
            return false;
        }
        if (ps->tok.kind == LP_TOK_GROUP_LEFT || ps->tok.kind == LP_TOK_GROUP_RIGHT) {
            m->card = ps->tok.kind == LP_TOK_GROUP_LEFT ? LP_CARD_MANY_TO_ONE : LP_CARD_ONE_TO_MANY;
            if (!lp_ps_next(ps)) {
                return false;
            }
            /* brackets with a name, or nothing, inside are no expression */
            enum lp_tok inside = ps->tok.kind == LP_TOK_LPAREN ? lp_ps_peek(ps) : LP_TOK_EOF;
            if ((inside == LP_TOK_IDENT || inside == LP_TOK_RPAREN) &&
                !name_list(ps, &m->include, &m->ninclude)) {
                return false;
            }
        }
    }
    if (m->kind == LP_VMATCH_IGNORING && m->nlabels == 0 && m->card == LP_CARD_ONE_TO_ONE) {
        m->kind = LP_VMATCH_ALL;
    }
    return ps->rc == LP_OK;
}

/* Makes the literal that two literals give; set operations are left for check.c to refuse. */
static struct lp_expr *
fold(struct lp_expr *e)
{
    struct lp_binary b = e->binary;
    if (b.left->kind == LP_EXPR_LITERAL && b.right->kind == LP_EXPR_LITERAL &&
        lp_binary_op_kind(b.op) != LP_BINARY_KIND_SET) {
        e->number = lp_binary_eval(b.op, b.left->number, b.right->number);
        e->kind = LP_EXPR_LITERAL;
        e->depth = 1;
    }
    return e;
}

static struct lp_expr *
operation(struct lp_parser *ps, const struct lp_expr *left, enum lp_binary_op op)
{
    int prec = lp_binary_op_prec(op);
    struct lp_expr *e = lp_ps_node(ps, LP_EXPR_BINARY, left->pos);
    if (e == NULL || !lp_ps_next(ps)) {
        return NULL;
    }
    e->binary.op = op;
    e->binary.left = left;
    if (!modifiers(ps, &e->binary)) {
        return NULL;
    }
    e->binary.right = lp_ps_expr(ps, op == LP_BINARY_POW ? prec : prec + 1);
    if (e->binary.right == NULL || !set_depth(ps, e, left) || !set_depth(ps, e, e->binary.right)) {
        return NULL;
    }
    return fold(e);
}

struct lp_expr *
lp_ps_expr(struct lp_parser *ps, int min_prec)
{
    struct lp_expr *left = lp_ps_enter(ps) ? primary(ps) : NULL;
    enum lp_binary_op op;
    while (left != NULL && binary_op(ps->tok.kind, &op) && lp_binary_op_prec(op) >= min_prec) {
        left = operation(ps, left, op);
    }
    lp_ps_leave(ps);
    return ps->rc == LP_OK ? left : NULL;
}
