/*
 * parse_log.c - the log half of LogQL: selectors, pipelines, line filters, label filters and unwrap.
 */
#include "query/parse_int.h"

/* ---------------------------------------------------------------- selectors */

static bool
match_op(enum lp_tok kind, enum lp_match_op *ret)
{
    switch ((int)kind) {
    case LP_TOK_EQ:
        *ret = LP_MATCH_EQ;
        return true;
    case LP_TOK_NEQ:
        *ret = LP_MATCH_NEQ;
        return true;
    case LP_TOK_RE:
        *ret = LP_MATCH_RE;
        return true;
    case LP_TOK_NRE:
        *ret = LP_MATCH_NRE;
        return true;
    default:
        return false;
    }
}

bool
lp_ps_matcher(struct lp_parser *ps, struct lp_label_match *ret)
{
    *ret = (struct lp_label_match){.pos = ps->tok.pos};
    if (!lp_ps_name(ps, &ret->name)) {
        return false;
    }
    if (!match_op(ps->tok.kind, &ret->op)) {
        return lp_ps_unexpected(ps, "= or != or =~ or !~");
    }
    return lp_ps_next(ps) && lp_ps_string(ps, &ret->value);
}

bool
lp_ps_selector(struct lp_parser *ps, struct lp_log_query *log)
{
    size_t cap = 0;
    if (!lp_ps_expect(ps, LP_TOK_LBRACE, "a stream selector like {app=\"x\"}")) {
        return false;
    }
    if (lp_ps_accept(ps, LP_TOK_RBRACE)) {
        return true;
    }
    do {
        struct lp_label_match *m = lp_ps_grow(ps, log->matchers, &cap, log->nmatchers, sizeof(*m));
        if (m == NULL) {
            return false;
        }
        log->matchers = m;
        if (!lp_ps_matcher(ps, &m[log->nmatchers])) {
            return false;
        }
        log->nmatchers++;
    } while (lp_ps_accept(ps, LP_TOK_COMMA));
    return lp_ps_expect(ps, LP_TOK_RBRACE, ", or }");
}

/* ------------------------------------------------------------- line filters */

static bool
line_op(enum lp_tok kind, enum lp_line_op *ret)
{
    static const enum lp_tok toks[] = {LP_TOK_PIPE_EXACT, LP_TOK_NEQ,          LP_TOK_PIPE_MATCH,
                                       LP_TOK_NRE,        LP_TOK_PIPE_PATTERN, LP_TOK_NPAT};
    for (size_t i = 0; i < LP_ARRAY_LEN(toks); i++) {
        if (toks[i] == kind) {
            *ret = (enum lp_line_op)i;
            return true;
        }
    }
    return false;
}

/* "text" or ip("text") */
static bool
line_operand(struct lp_parser *ps, struct lp_line_operand *ret)
{
    *ret = (struct lp_line_operand){.pos = ps->tok.pos, .is_ip = ps->tok.kind == LP_TOK_IP};
    if (ret->is_ip) {
        return lp_ps_next(ps) && lp_ps_expect(ps, LP_TOK_LPAREN, NULL) && lp_ps_string(ps, &ret->text) &&
               lp_ps_expect(ps, LP_TOK_RPAREN, NULL);
    }
    ret->text = ps->tok.str;
    return lp_ps_expect(ps, LP_TOK_STRING, "a quoted string or ip(\"...\")");
}

static struct lp_stage *
add_stage(struct lp_parser *ps, struct lp_log_query *log, size_t *cap)
{
    struct lp_stage *stages = lp_ps_grow(ps, log->stages, cap, log->nstages, sizeof(*stages));
    if (stages == NULL) {
        return NULL;
    }
    log->stages = stages;
    stages[log->nstages] = (struct lp_stage){.pos = ps->tok.pos};
    return &stages[log->nstages++];
}

/* One positive filter with all its operands, or one negative filter for each ("neither a nor b"). The
 * operator is in hand. */
static bool
line_filter(struct lp_parser *ps, enum lp_line_op op, struct lp_log_query *log, size_t *cap)
{
    struct lp_stage *stage = NULL;
    size_t operands_cap = 0;
    struct lp_pos pos = ps->tok.pos;
    if (!lp_ps_next(ps)) {
        return false;
    }
    do {
        if (stage == NULL || lp_line_op_negative(op)) {
            stage = add_stage(ps, log, cap);
            if (stage == NULL) {
                return false;
            }
            stage->kind = LP_STAGE_LINE_FILTER;
            stage->pos = pos;
            stage->line.op = op;
            operands_cap = 0;
        }
        struct lp_line_filter *f = &stage->line;
        struct lp_line_operand *o = lp_ps_grow(ps, f->operands, &operands_cap, f->noperands, sizeof(*o));
        if (o == NULL || !line_operand(ps, &o[f->noperands])) {
            return false;
        }
        f->operands = o;
        f->noperands++;
    } while (lp_ps_accept(ps, LP_TOK_OR));
    return ps->rc == LP_OK;
}

/* ------------------------------------------------------------ label filters */

/* ip("...") behind name = or name !=; `ip` is in hand */
static bool
ip_filter(struct lp_parser *ps, struct lp_label_filter *f)
{
    f->kind = LP_LF_IP;
    return lp_ps_next(ps) && lp_ps_expect(ps, LP_TOK_LPAREN, NULL) && lp_ps_string(ps, &f->text) &&
           lp_ps_expect(ps, LP_TOK_RPAREN, NULL);
}

/* A number with or without sign, a duration or a size. */
static bool
value_filter(struct lp_parser *ps, struct lp_label_filter *f, const char *expected)
{
    if (ps->tok.kind == LP_TOK_DURATION) {
        f->kind = LP_LF_DURATION;
        f->ns = ps->tok.ns;
        return lp_ps_next(ps);
    }
    if (ps->tok.kind == LP_TOK_SIZE) {
        f->kind = LP_LF_SIZE;
        f->bytes = ps->tok.bytes;
        return lp_ps_next(ps);
    }
    double sign = ps->tok.kind == LP_TOK_SUB ? -1 : 1;
    if ((ps->tok.kind == LP_TOK_SUB || ps->tok.kind == LP_TOK_ADD) && !lp_ps_next(ps)) {
        return false;
    }
    f->kind = LP_LF_NUMBER;
    f->number = sign * ps->tok.number;
    return lp_ps_expect(ps, LP_TOK_NUMBER, expected);
}

static bool
cmp_op(enum lp_tok kind, enum lp_cmp *ret)
{
    static const struct {
        enum lp_tok tok;
        enum lp_cmp cmp;
    } ops[] = {{LP_TOK_EQ, LP_CMP_EQ},  {LP_TOK_EQEQ, LP_CMP_EQ}, {LP_TOK_NEQ, LP_CMP_NEQ},
               {LP_TOK_GT, LP_CMP_GT},  {LP_TOK_GTE, LP_CMP_GTE}, {LP_TOK_LT, LP_CMP_LT},
               {LP_TOK_LTE, LP_CMP_LTE}};
    for (size_t i = 0; i < LP_ARRAY_LEN(ops); i++) {
        if (ops[i].tok == kind) {
            *ret = ops[i].cmp;
            return true;
        }
    }
    return false;
}

/* name op value; the name is in hand */
static bool
leaf_filter(struct lp_parser *ps, struct lp_label_filter *f)
{
    struct lp_token name = ps->tok;
    if (!lp_ps_expect(ps, LP_TOK_IDENT, "a label name or (")) {
        return false;
    }
    enum lp_tok op = ps->tok.kind;
    enum lp_match_op match;
    bool matches = match_op(op, &match);
    if (!matches && !cmp_op(op, &f->cmp)) {
        return lp_ps_unexpected(ps, "a comparison (= != =~ !~ == > >= < <=)");
    }
    if (!lp_ps_next(ps)) {
        return false;
    }
    if (matches && (ps->tok.kind == LP_TOK_STRING || op == LP_TOK_RE || op == LP_TOK_NRE)) {
        f->kind = LP_LF_MATCH;
        f->match = (struct lp_label_match){.pos = name.pos, .op = match, .name = name.text};
        return lp_ps_string(ps, &f->match.value);
    }
    (void)cmp_op(op, &f->cmp);
    f->name = name.text;
    if (matches && ps->tok.kind == LP_TOK_IP) {
        return ip_filter(ps, f);
    }
    return value_filter(ps, f,
                        matches ? "a quoted string, a number, a duration, a size or ip(\"...\")"
                                : "a number, a duration or a size");
}

static const struct lp_label_filter *
primary_filter(struct lp_parser *ps)
{
    struct lp_pos pos = ps->tok.pos;
    if (lp_ps_accept(ps, LP_TOK_LPAREN)) {
        const struct lp_label_filter *inner = lp_ps_label_filter(ps, 0);
        return inner != NULL && lp_ps_expect(ps, LP_TOK_RPAREN, "and, or, a comma or )") ? inner : NULL;
    }
    struct lp_label_filter *f = lp_ps_count(ps) ? lp_ps_alloc(ps, sizeof(*f)) : NULL;
    if (f == NULL) {
        return NULL;
    }
    f->pos = pos;
    f->depth = 1;
    return leaf_filter(ps, f) ? f : NULL;
}

static const struct lp_label_filter *
join_filters(struct lp_parser *ps, enum lp_lf_kind kind, struct lp_pos pos,
             const struct lp_label_filter *left, const struct lp_label_filter *right)
{
    if (right == NULL) {
        return NULL;
    }
    struct lp_label_filter *f = lp_ps_count(ps) ? lp_ps_alloc(ps, sizeof(*f)) : NULL;
    if (f == NULL) {
        return NULL;
    }
    f->kind = kind;
    f->pos = pos;
    f->left = left;
    f->right = right;
    f->depth = LP_MAX(left->depth, right->depth) + 1;
    if (f->depth > LP_LOGQL_DEPTH_MAX) {
        (void)lp_ps_limit(ps, "a label filter has too many terms; use a regular expression");
        return NULL;
    }
    return f;
}

#define PREC_OR 1
#define PREC_AND 2

/*
 * `and` (2) binds tighter than `or` (1), both from left to right. A comma, or nothing at all, between two
 * filters takes everything to its right as its right side, whatever stands left of it (parse.h says why).
 */
const struct lp_label_filter *
lp_ps_label_filter(struct lp_parser *ps, int min_prec)
{
    const struct lp_label_filter *left = lp_ps_enter(ps) ? primary_filter(ps) : NULL;
    while (left != NULL && ps->rc == LP_OK) {
        struct lp_pos pos = ps->tok.pos;
        enum lp_tok op = ps->tok.kind;
        bool adjacent = op == LP_TOK_IDENT || op == LP_TOK_LPAREN;
        int prec = op == LP_TOK_OR ? PREC_OR : op == LP_TOK_AND ? PREC_AND : 0;
        if (adjacent || op == LP_TOK_COMMA) {
            bool good = adjacent || lp_ps_next(ps);
            left = good ? join_filters(ps, LP_LF_AND, pos, left, lp_ps_label_filter(ps, 0)) : NULL;
        } else if (prec > 0 && prec >= min_prec) {
            left = lp_ps_next(ps) ? join_filters(ps, op == LP_TOK_OR ? LP_LF_OR : LP_LF_AND, pos, left,
                                                 lp_ps_label_filter(ps, prec + 1))
                                  : NULL;
        } else {
            break;
        }
    }
    lp_ps_leave(ps);
    return ps->rc == LP_OK ? left : NULL;
}

/* ---------------------------------------------------------------- pipelines */

/* Behind "| unwrap": name or conversion(name), then label filters. */
static bool
unwrap_rest(struct lp_parser *ps, struct lp_unwrap *u)
{
    size_t cap = 0;
    if (ps->tok.kind == LP_TOK_CONV) {
        u->conv = (enum lp_unwrap_conv)ps->tok.arg;
        if (!lp_ps_next(ps) || !lp_ps_expect(ps, LP_TOK_LPAREN, NULL) || !lp_ps_name(ps, &u->name) ||
            !lp_ps_expect(ps, LP_TOK_RPAREN, NULL)) {
            return false;
        }
    } else {
        u->name = ps->tok.text;
        if (!lp_ps_expect(ps, LP_TOK_IDENT,
                          "a label name, or bytes(..), duration(..) or duration_seconds(..)")) {
            return false;
        }
    }
    while (lp_ps_accept(ps, LP_TOK_PIPE)) {
        const struct lp_label_filter *f = lp_ps_label_filter(ps, 0);
        const struct lp_label_filter **filters =
            lp_ps_grow(ps, u->filters, &cap, u->nfilters, sizeof(*filters));
        if (filters == NULL) {
            return false;
        }
        u->filters = filters;
        u->filters[u->nfilters++] = f;
    }
    return ps->rc == LP_OK;
}

static bool
unwrap_stage(struct lp_parser *ps, struct lp_unwrap **unwrap)
{
    if (unwrap == NULL) {
        return lp_ps_fail(
            ps, ps->tok.pos,
            "unexpected unwrap: it is only for range aggregations, like sum_over_time({..} | unwrap x [5m])");
    }
    *unwrap = lp_ps_alloc(ps, sizeof(**unwrap));
    if (*unwrap == NULL) {
        return false;
    }
    (*unwrap)->pos = ps->tok.pos;
    return lp_ps_next(ps) && unwrap_rest(ps, *unwrap);
}

bool
lp_ps_pipeline(struct lp_parser *ps, struct lp_log_query *log, struct lp_unwrap **unwrap)
{
    size_t cap = 0;
    while (ps->rc == LP_OK) {
        enum lp_line_op op;
        if (line_op(ps->tok.kind, &op)) {
            if (!line_filter(ps, op, log, &cap)) {
                return false;
            }
            continue;
        }
        if (!lp_ps_accept(ps, LP_TOK_PIPE)) {
            break;
        }
        if (ps->tok.kind == LP_TOK_UNWRAP) {
            return unwrap_stage(ps, unwrap);
        }
        struct lp_stage *stage = add_stage(ps, log, &cap);
        if (stage == NULL || !lp_ps_stage(ps, stage)) {
            return false;
        }
    }
    return ps->rc == LP_OK;
}
