/*
 * check.c - the rules of LogQL that the grammar does not hold: which arguments fit which operator, and
 * whether regexes, patterns and addresses are well-formed. It walks a finished tree and changes nothing.
 *
 * Recursion is bounded by the tree's depth (ast.h). Errors read "parse error : ..." and carry the place.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/regex.h"
#include "query/ip.h"
#include "query/literals.h"
#include "query/parse_int.h"
#include "query/pattern.h"
#include "query/text.h"

struct checker {
    const struct lp_logql_opts *opts;
    struct lp_arena
        *ar; /* scratch; stays allocated with the tree, at most some bytes per byte of the query */
    struct lp_err *err;
    unsigned regexes; /* compiled so far */
};

static lp_rc refuse(struct checker *c, struct lp_pos pos, const char *fmt, ...) LP_PRINTF(3, 4);

static lp_rc
refuse(struct checker *c, struct lp_pos pos, const char *fmt, ...)
{
    char text[LP_ERR_TEXT_BYTES];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    return lp_err_at(c->err, LP_ERR_PARSE, pos.line, pos.col, "parse error : %s", text);
}

static lp_rc
no_memory(struct checker *c)
{
    return lp_err_set(c->err, LP_ERR_LIMIT, "parse error : the query needs more memory than it may have");
}

/* ------------------------------------------------------------------ regexes */

static lp_rc
compile(struct checker *c, struct lp_str regex, struct lp_pos pos, struct lp_regex **ret)
{
    struct lp_err err;
    char room[64];
    lp_err_clear(&err);
    if (++c->regexes > LP_LOGQL_REGEXES_MAX) {
        return lp_err_set(c->err, LP_ERR_LIMIT,
                          "parse error : the query has more than %u regular expressions",
                          LP_LOGQL_REGEXES_MAX);
    }
    if (lp_regex_new(regex, ret, &err) == LP_OK) {
        return LP_OK;
    }
    return refuse(c, pos, "error parsing regexp %s: %s", lp_text_clip(regex, 48, room), err.text);
}

/* Lists of literals need no engine, and may be longer than an engine takes. *ret_empty: it matches the empty
 * text, whole. */
static lp_rc
check_regex(struct checker *c, struct lp_str regex, struct lp_pos pos, bool *ret_empty)
{
    size_t n = lp_literals_count(regex);
    if (n > 0) {
        struct lp_str *items = lp_arena_array(c->ar, n, sizeof(*items));
        if (items == NULL || !lp_literals_list(regex, c->ar, items, n)) {
            return no_memory(c);
        }
        *ret_empty = false;
        for (size_t i = 0; i < n; i++) {
            *ret_empty |= items[i].n == 0;
        }
        return LP_OK;
    }
    struct lp_regex *re = NULL;
    lp_rc rc = compile(c, regex, pos, &re);
    if (rc == LP_OK) {
        *ret_empty = lp_regex_full(re, LP_STR(""));
    }
    lp_regex_free(re);
    return rc;
}

/* *ret_empty: a missing label passes. */
static lp_rc
check_match(struct checker *c, const struct lp_label_match *m, bool *ret_empty)
{
    bool negative = m->op == LP_MATCH_NEQ || m->op == LP_MATCH_NRE;
    bool empty = m->value.n == 0;
    lp_rc rc = LP_OK;
    if (m->op == LP_MATCH_RE || m->op == LP_MATCH_NRE) {
        rc = check_regex(c, m->value, m->pos, &empty);
    }
    *ret_empty = empty != negative;
    return rc;
}

/* ------------------------------------------------------------ label filters */

static lp_rc
check_ip(struct checker *c, struct lp_str text, struct lp_pos pos)
{
    struct lp_ip_set set;
    struct lp_err err;
    lp_err_clear(&err);
    return lp_ip_set_parse(text, &set, &err) == LP_OK ? LP_OK : refuse(c, pos, "%s", err.text);
}

static lp_rc
check_label_filter(struct checker *c, const struct lp_label_filter *f)
{
    bool empty;
    lp_rc rc;
    switch (f->kind) {
    case LP_LF_AND:
    case LP_LF_OR:
        rc = check_label_filter(c, f->left);
        return rc == LP_OK ? check_label_filter(c, f->right) : rc;
    case LP_LF_MATCH:
        return check_match(c, &f->match, &empty);
    case LP_LF_IP:
        return check_ip(c, f->text, f->pos);
    case LP_LF_NUMBER:
    case LP_LF_DURATION:
    case LP_LF_SIZE:
        break;
    }
    return LP_OK;
}

/* ------------------------------------------------------------------- stages */

static lp_rc
check_pattern(struct checker *c, struct lp_str text, enum lp_pattern_use use, struct lp_pos pos)
{
    struct lp_pattern pattern;
    struct lp_err err;
    char room[64];
    lp_err_clear(&err);
    lp_rc rc = lp_pattern_parse(text, use, c->ar, &pattern, &err);
    if (rc == LP_ERR_LIMIT) {
        return lp_err_set(c->err, rc, "parse error : %s", err.text);
    }
    return rc == LP_OK ? LP_OK
                       : refuse(c, pos, "invalid pattern \"%s\": %s", lp_text_clip(text, 48, room), err.text);
}

static lp_rc
check_line_filter(struct checker *c, const struct lp_line_filter *f)
{
    lp_rc rc = LP_OK;
    for (size_t i = 0; rc == LP_OK && i < f->noperands; i++) {
        const struct lp_line_operand *o = &f->operands[i];
        bool empty;
        if (o->is_ip) {
            rc = f->op != LP_LINE_CONTAINS && f->op != LP_LINE_NOT_CONTAINS
                     ? refuse(c, o->pos, "ip: invalid operation: ip() stands behind |= or != only")
                     : check_ip(c, o->text, o->pos);
        } else if (f->op == LP_LINE_RE || f->op == LP_LINE_NOT_RE) {
            rc = check_regex(c, o->text, o->pos, &empty);
        } else if (f->op == LP_LINE_PATTERN || f->op == LP_LINE_NOT_PATTERN) {
            rc = check_pattern(c, o->text, LP_PATTERN_LINE, o->pos);
        }
    }
    return rc;
}

/* One group of | regexp: its name, if it has one, must be a label name that no earlier group has. */
static lp_rc
check_group(struct checker *c, const struct lp_regex *re, int i, struct lp_pos pos)
{
    char room[64];
    struct lp_str name = lp_regex_group_name(re, i);
    if (name.n > 0 && !lp_text_is_name(name)) {
        return refuse(c, pos, "invalid regexp parser: %s is not a label name (letters, digits and _)",
                      lp_text_clip(name, 48, room));
    }
    for (int k = 1; name.n > 0 && k < i; k++) {
        if (lp_str_eq(name, lp_regex_group_name(re, k))) {
            return refuse(c, pos, "invalid regexp parser: duplicate extracted label name '%s'",
                          lp_text_clip(name, 48, room));
        }
    }
    return LP_OK;
}

/* | regexp: named groups become labels. */
static lp_rc
check_regexp_stage(struct checker *c, const struct lp_stage *s)
{
    struct lp_regex *re = NULL;
    size_t named = 0;
    lp_rc rc = compile(c, s->text, s->pos, &re);
    for (int i = 1; rc == LP_OK && i <= lp_regex_groups(re); i++) {
        named += lp_regex_group_name(re, i).n > 0;
        rc = check_group(c, re, i, s->pos);
    }
    if (rc == LP_OK && named == 0) {
        rc =
            refuse(c, s->pos,
                   "invalid regexp parser: at least one named capture must be supplied, like (?P<name>\\w+)");
    }
    lp_regex_free(re);
    return rc;
}

static int
by_name_and_place(const void *a, const void *b)
{
    const struct lp_label_fmt *x = *(const struct lp_label_fmt *const *)a;
    const struct lp_label_fmt *y = *(const struct lp_label_fmt *const *)b;
    int order = lp_str_cmp(x->name, y->name);
    return order != 0 ? order : x < y ? -1 : x > y;
}

static lp_rc
check_label_format(struct checker *c, const struct lp_label_fmts *f)
{
    char room[64];
    const struct lp_label_fmt **sorted = lp_arena_array(c->ar, f->n, sizeof(*sorted));
    if (sorted == NULL) {
        return no_memory(c);
    }
    for (size_t i = 0; i < f->n; i++) {
        sorted[i] = &f->items[i];
        if (lp_str_eqc(f->items[i].name, "__error__")) {
            return refuse(c, f->items[i].pos, "label_format: __error__ cannot be formatted");
        }
    }
    qsort(sorted, f->n, sizeof(*sorted), by_name_and_place);
    for (size_t i = 1; i < f->n; i++) {
        if (lp_str_eq(sorted[i - 1]->name, sorted[i]->name)) {
            return refuse(c, sorted[i]->pos,
                          "multiple label name '%s' not allowed in a single format operation",
                          lp_text_clip(sorted[i]->name, 48, room));
        }
    }
    return LP_OK;
}

static lp_rc
check_picks(struct checker *c, const struct lp_label_picks *picks)
{
    lp_rc rc = LP_OK;
    for (size_t i = 0; rc == LP_OK && i < picks->n; i++) {
        bool empty;
        rc = picks->items[i].has_value ? check_match(c, &picks->items[i].match, &empty) : LP_OK;
    }
    return rc;
}

static lp_rc
check_stage(struct checker *c, const struct lp_stage *s)
{
    switch (s->kind) {
    case LP_STAGE_LINE_FILTER:
        return check_line_filter(c, &s->line);
    case LP_STAGE_REGEXP:
        return check_regexp_stage(c, s);
    case LP_STAGE_PATTERN:
        return check_pattern(c, s->text, LP_PATTERN_STAGE, s->pos);
    case LP_STAGE_LABEL_FILTER:
        return check_label_filter(c, s->filter);
    case LP_STAGE_LABEL_FORMAT:
        return check_label_format(c, &s->formats);
    case LP_STAGE_DROP:
    case LP_STAGE_KEEP:
        return check_picks(c, &s->picks);
    case LP_STAGE_LOGFMT:
    case LP_STAGE_JSON:
    case LP_STAGE_UNPACK:
    case LP_STAGE_LINE_FORMAT:
    case LP_STAGE_DECOLORIZE:
        break;
    }
    return LP_OK;
}

static lp_rc
check_log(struct checker *c, const struct lp_log_query *log, struct lp_pos pos)
{
    bool selective = c->opts->allow_empty_selector;
    lp_rc rc = LP_OK;
    for (size_t i = 0; rc == LP_OK && i < log->nmatchers; i++) {
        bool empty = false;
        rc = check_match(c, &log->matchers[i], &empty);
        selective |= !empty;
    }
    if (rc == LP_OK && !selective) {
        return refuse(
            c, pos,
            "queries require at least one regexp or equality matcher that does not have an empty-compatible "
            "value. For instance, app=~\".*\" does not meet this requirement, but app=~\".+\" will");
    }
    for (size_t i = 0; rc == LP_OK && i < log->nstages; i++) {
        rc = check_stage(c, &log->stages[i]);
    }
    return rc;
}

/* -------------------------------------------------------------- expressions */

enum unwrap_rule { UNWRAP_NEVER, UNWRAP_MAYBE, UNWRAP_ALWAYS };

static lp_rc
check_range_agg(struct checker *c, const struct lp_expr *e)
{
    static const struct {
        bool grouping;
        enum unwrap_rule unwrap;
    } rules[] = {
#define X(id, name, grouping, unwrap) {grouping, UNWRAP_##unwrap},
        LP_RANGE_OPS(X)
#undef X
    };
    const struct lp_range_agg *a = &e->range_agg;
    const char *name = lp_range_op_name(a->op);
    const struct lp_unwrap *u = a->range.unwrap;
    if (a->by.kind != LP_GROUP_NONE && !rules[a->op].grouping) {
        return refuse(c, e->pos, "grouping not allowed for %s aggregation", name);
    }
    if (u != NULL && rules[a->op].unwrap == UNWRAP_NEVER) {
        return refuse(c, u->pos, "invalid aggregation %s with unwrap", name);
    }
    if (u == NULL && rules[a->op].unwrap == UNWRAP_ALWAYS) {
        return refuse(c, e->pos, "invalid aggregation %s without unwrap", name);
    }
    lp_rc rc = check_log(c, &a->range.log, e->pos);
    for (size_t i = 0; rc == LP_OK && u != NULL && i < u->nfilters; i++) {
        rc = check_label_filter(c, u->filters[i]);
    }
    return rc;
}

static lp_rc check_expr(struct checker *c, const struct lp_expr *e);

/* The operand of an aggregation or of label_replace: series, neither lines nor one number. */
static lp_rc
check_operand(struct checker *c, const char *of, const struct lp_expr *e)
{
    if (e->kind == LP_EXPR_LOG) {
        return refuse(
            c, e->pos,
            "%s needs a metric query, this is a log query: wrap it, as in count_over_time({..}[5m])", of);
    }
    if (e->kind == LP_EXPR_LITERAL) {
        return refuse(c, e->pos, "%s needs series, this is a single number: write vector(..)", of);
    }
    return check_expr(c, e);
}

static lp_rc
check_vector_agg(struct checker *c, const struct lp_expr *e)
{
    static const bool may_group[] = {
#define X(id, name, param, grouping) grouping,
        LP_VECTOR_OPS(X)
#undef X
    };
    const struct lp_vector_agg *a = &e->vector_agg;
    const char *name = lp_vector_op_name(a->op);
    if (a->by.kind != LP_GROUP_NONE && !may_group[a->op]) {
        return refuse(c, e->pos, "grouping not allowed for %s aggregation", name);
    }
    return check_operand(c, name, a->inner);
}

static lp_rc
check_side(struct checker *c, const char *side, enum lp_binary_op op, const struct lp_expr *e)
{
    const char *text = lp_binary_op_text(op);
    if (e->kind == LP_EXPR_LOG) {
        return refuse(c, e->pos,
                      "unexpected type for %s leg of binary operation (%s): a log query, not a metric query",
                      side, text);
    }
    if (e->kind == LP_EXPR_LITERAL && lp_binary_op_kind(op) == LP_BINARY_KIND_SET) {
        return refuse(c, e->pos, "unexpected literal for %s leg of logical/set binary operation (%s): %f",
                      side, text, e->number);
    }
    return check_expr(c, e);
}

static lp_rc
check_label_replace(struct checker *c, const struct lp_expr *e)
{
    const struct lp_label_replace *r = &e->label_replace;
    bool empty;
    lp_rc rc = check_operand(c, "label_replace", r->inner);
    if (rc == LP_OK) {
        rc = check_regex(c, r->regex, e->pos, &empty);
    }
    if (rc == LP_OK && r->dst.n == 0) {
        rc = refuse(c, e->pos, "invalid label name in label_replace: the target must not be empty");
    }
    return rc;
}

static lp_rc
check_expr(struct checker *c, const struct lp_expr *e)
{
    lp_rc rc;
    switch (e->kind) {
    case LP_EXPR_LOG:
        return check_log(c, &e->log, e->pos);
    case LP_EXPR_RANGE_AGG:
        return check_range_agg(c, e);
    case LP_EXPR_VECTOR_AGG:
        return check_vector_agg(c, e);
    case LP_EXPR_BINARY:
        rc = check_side(c, "left", e->binary.op, e->binary.left);
        return rc == LP_OK ? check_side(c, "right", e->binary.op, e->binary.right) : rc;
    case LP_EXPR_LABEL_REPLACE:
        return check_label_replace(c, e);
    case LP_EXPR_LITERAL:
    case LP_EXPR_VECTOR:
        break;
    }
    return LP_OK;
}

lp_rc
lp_logql_check(const struct lp_expr *expr, const struct lp_logql_opts *opts, struct lp_arena *ar,
               struct lp_err *err)
{
    struct checker c = {.opts = opts, .ar = ar, .err = err};
    return check_expr(&c, expr);
}
