/*
 * print.c - the canonical text of a tree. Recursion is bounded by the tree's depth.
 */
#include "query/print.h"

#include <math.h>

#include "query/literals.h"
#include "query/print_int.h"
#include "query/text.h"

/* ----------------------------------------------------------------- matchers */

static void
put_match(struct lp_buf *out, const struct lp_label_match *m)
{
    lp_buf_str(out, m->name);
    lp_buf_c(out, lp_match_op_text(m->op));
    lp_text_quote(out, m->value);
}

bool
lp_logql_print_selector(const struct lp_log_query *log, struct lp_buf *out)
{
    lp_buf_byte(out, '{');
    for (size_t i = 0; i < log->nmatchers; i++) {
        lp_buf_c(out, i > 0 ? ", " : "");
        put_match(out, &log->matchers[i]);
    }
    return lp_buf_byte(out, '}') && !out->failed;
}

/* ------------------------------------------------------------ label filters */

/* Literals, alternatives of them, and those with .* at an end: Loki keeps no regex for these and quotes them
 * as any string. */
static bool
is_simple_regex(struct lp_str regex)
{
    struct lp_str any = LP_STR(".*");
    if (lp_str_starts(regex, LP_STR("(?i)"))) {
        regex = lp_str_sub(regex, 4, regex.n);
    }
    if (lp_str_starts(regex, any)) {
        regex = lp_str_sub(regex, any.n, regex.n);
    }
    if (lp_str_ends(regex, any)) {
        regex = lp_str_sub(regex, 0, regex.n - any.n);
    }
    return lp_str_eqc(regex, ".+") || lp_literals_count(regex) > 0;
}

static bool
is_raw_text(struct lp_str s)
{
    for (size_t i = 0; i < s.n; i++) {
        if ((uint8_t)s.p[i] < 0x20 || s.p[i] == 0x7f || s.p[i] == '`') {
            return false;
        }
    }
    return lp_utf8_valid(s);
}

static void
put_match_filter(struct lp_buf *out, const struct lp_label_match *m)
{
    if (m->op != LP_MATCH_RE || is_simple_regex(m->value) || !is_raw_text(m->value)) {
        put_match(out, m);
        return;
    }
    lp_buf_str(out, m->name);
    lp_buf_c(out, "=~`");
    lp_buf_str(out, m->value);
    lp_buf_byte(out, '`');
}

void
lp_print_label_filter(struct lp_buf *out, const struct lp_label_filter *f)
{
    if (out->failed) {
        return;
    }
    switch (f->kind) {
    case LP_LF_AND:
    case LP_LF_OR:
        lp_buf_c(out, "( ");
        lp_print_label_filter(out, f->left);
        lp_buf_c(out, f->kind == LP_LF_AND ? " , " : " or ");
        lp_print_label_filter(out, f->right);
        lp_buf_c(out, " )");
        return;
    case LP_LF_MATCH:
        put_match_filter(out, &f->match);
        return;
    case LP_LF_IP:
        lp_buf_str(out, f->name);
        lp_buf_c(out, f->cmp == LP_CMP_EQ ? "=ip(" : "!=ip(");
        lp_text_quote(out, f->text);
        lp_buf_byte(out, ')');
        return;
    case LP_LF_NUMBER:
    case LP_LF_DURATION:
    case LP_LF_SIZE:
        break;
    }
    lp_buf_str(out, f->name);
    lp_buf_c(out, lp_cmp_text(f->cmp));
    if (f->kind == LP_LF_NUMBER) {
        lp_text_plain(out, f->number);
    } else if (f->kind == LP_LF_DURATION) {
        lp_text_duration(out, f->ns);
    } else {
        lp_text_size(out, f->bytes);
    }
}

/* ------------------------------------------------------------------- stages */

static void
put_line_filter(struct lp_buf *out, const struct lp_line_filter *f)
{
    lp_buf_c(out, lp_line_op_text(f->op));
    for (size_t i = 0; i < f->noperands; i++) {
        const struct lp_line_operand *o = &f->operands[i];
        lp_buf_c(out, i > 0 ? " or " : " ");
        lp_buf_c(out, o->is_ip ? "ip(" : "");
        lp_text_quote(out, o->text);
        lp_buf_c(out, o->is_ip ? ")" : "");
    }
}

static void
put_parser(struct lp_buf *out, const char *name, const struct lp_parser_args *args)
{
    lp_buf_c(out, name);
    lp_buf_c(out, args->strict ? " --strict" : "");
    lp_buf_c(out, args->keep_empty ? " --keep-empty" : "");
    for (size_t i = 0; i < args->nextracts; i++) {
        lp_buf_c(out, i > 0 ? "," : " ");
        lp_buf_str(out, args->extracts[i].name);
        lp_buf_byte(out, '=');
        lp_text_quote(out, args->extracts[i].expr);
    }
}

static void
put_text_stage(struct lp_buf *out, const char *name, struct lp_str text)
{
    lp_buf_c(out, name);
    lp_buf_byte(out, ' ');
    lp_text_quote(out, text);
}

static void
put_label_format(struct lp_buf *out, const struct lp_label_fmts *f)
{
    lp_buf_c(out, "label_format");
    for (size_t i = 0; i < f->n; i++) {
        lp_buf_c(out, i > 0 ? "," : " ");
        lp_buf_str(out, f->items[i].name);
        lp_buf_byte(out, '=');
        if (f->items[i].is_template) {
            lp_text_quote(out, f->items[i].value);
        } else {
            lp_buf_str(out, f->items[i].value);
        }
    }
}

static void
put_picks(struct lp_buf *out, const char *name, const struct lp_label_picks *picks)
{
    lp_buf_c(out, name);
    for (size_t i = 0; i < picks->n; i++) {
        lp_buf_c(out, i > 0 ? "," : " ");
        if (picks->items[i].has_value) {
            put_match(out, &picks->items[i].match);
        } else {
            lp_buf_str(out, picks->items[i].match.name);
        }
    }
}

void
lp_print_stage(struct lp_buf *out, const struct lp_stage *s)
{
    lp_buf_c(out, s->kind == LP_STAGE_LINE_FILTER ? "" : "| ");
    switch (s->kind) {
    case LP_STAGE_LINE_FILTER:
        put_line_filter(out, &s->line);
        break;
    case LP_STAGE_LOGFMT:
        put_parser(out, "logfmt", &s->parser);
        break;
    case LP_STAGE_JSON:
        put_parser(out, "json", &s->parser);
        break;
    case LP_STAGE_REGEXP:
        put_text_stage(out, "regexp", s->text);
        break;
    case LP_STAGE_PATTERN:
        put_text_stage(out, "pattern", s->text);
        break;
    case LP_STAGE_UNPACK:
        lp_buf_c(out, "unpack");
        break;
    case LP_STAGE_LABEL_FILTER:
        lp_print_label_filter(out, s->filter);
        break;
    case LP_STAGE_LINE_FORMAT:
        put_text_stage(out, "line_format", s->text);
        break;
    case LP_STAGE_LABEL_FORMAT:
        put_label_format(out, &s->formats);
        break;
    case LP_STAGE_DECOLORIZE:
        lp_buf_c(out, "decolorize");
        break;
    case LP_STAGE_DROP:
        put_picks(out, "drop", &s->picks);
        break;
    case LP_STAGE_KEEP:
        put_picks(out, "keep", &s->picks);
        break;
    }
}

void
lp_print_log(struct lp_buf *out, const struct lp_log_query *log)
{
    lp_logql_print_selector(log, out);
    for (size_t i = 0; i < log->nstages && !out->failed; i++) {
        lp_buf_byte(out, ' ');
        lp_print_stage(out, &log->stages[i]);
    }
}

/* -------------------------------------------------------------- expressions */

void
lp_print_unwrap(struct lp_buf *out, const struct lp_unwrap *u)
{
    static const char *const convs[] = {"", "bytes(", "duration(", "duration_seconds("};
    lp_buf_c(out, "| unwrap ");
    lp_buf_c(out, convs[u->conv]);
    lp_buf_str(out, u->name);
    lp_buf_c(out, u->conv != LP_CONV_NONE ? ")" : "");
}

static void
put_names(struct lp_buf *out, const struct lp_str *names, size_t n, const char *separator)
{
    lp_buf_byte(out, '(');
    for (size_t i = 0; i < n; i++) {
        lp_buf_c(out, i > 0 ? separator : "");
        lp_buf_str(out, names[i]);
    }
    lp_buf_byte(out, ')');
}

void
lp_print_grouping(struct lp_buf *out, const struct lp_grouping *g, const char *separator)
{
    if (g->kind != LP_GROUP_NONE) {
        lp_buf_c(out, g->kind == LP_GROUP_BY ? " by " : " without ");
        put_names(out, g->names, g->n, separator);
    }
}

void
lp_print_operator(struct lp_buf *out, const struct lp_binary *b, const char *separator)
{
    const struct lp_matching *m = &b->match;
    lp_buf_c(out, lp_binary_op_text(b->op));
    lp_buf_c(out, b->return_bool ? " bool" : "");
    if (m->kind == LP_VMATCH_ALL) {
        return;
    }
    lp_buf_c(out, m->kind == LP_VMATCH_ON ? " on " : " ignoring ");
    put_names(out, m->labels, m->nlabels, separator);
    lp_buf_byte(out, ' '); /* also where no group follows: so does Loki */
    if (m->card != LP_CARD_ONE_TO_ONE) {
        lp_buf_c(out, m->card == LP_CARD_MANY_TO_ONE ? "group_left" : "group_right");
        if (m->ninclude > 0) {
            lp_buf_byte(out, ' ');
            put_names(out, m->include, m->ninclude, separator);
        }
    }
}

static void
put_log_range(struct lp_buf *out, const struct lp_log_range *r)
{
    lp_print_log(out, &r->log);
    if (r->unwrap != NULL) {
        lp_buf_byte(out, ' ');
        lp_print_unwrap(out, r->unwrap);
        for (size_t i = 0; i < r->unwrap->nfilters; i++) {
            lp_buf_c(out, " | ");
            lp_print_label_filter(out, r->unwrap->filters[i]);
        }
    }
    lp_buf_byte(out, '[');
    lp_text_range(out, r->range_ns);
    lp_buf_byte(out, ']');
    if (r->offset_ns != 0) {
        lp_buf_c(out, " offset ");
        lp_text_duration(out, r->offset_ns);
    }
}

static void
put_range_agg(struct lp_buf *out, const struct lp_range_agg *a)
{
    lp_buf_c(out, lp_range_op_name(a->op));
    lp_buf_byte(out, '(');
    if (a->op == LP_RANGE_QUANTILE) {
        lp_text_plain(out, a->param);
        lp_buf_byte(out, ',');
    }
    put_log_range(out, &a->range);
    lp_buf_byte(out, ')');
    lp_print_grouping(out, &a->by, ",");
}

static void
put_vector_agg(struct lp_buf *out, const struct lp_vector_agg *a)
{
    lp_buf_c(out, lp_vector_op_name(a->op));
    lp_print_grouping(out, &a->by, ",");
    lp_buf_byte(out, '(');
    if (a->param != 0) {
        lp_buf_printf(out, "%lld,", (long long)a->param);
    }
    lp_logql_print(a->inner, out);
    lp_buf_byte(out, ')');
}

static void
put_label_replace(struct lp_buf *out, const struct lp_label_replace *r)
{
    const struct lp_str args[] = {r->dst, r->replacement, r->src, r->regex};
    lp_buf_c(out, "label_replace(");
    lp_logql_print(r->inner, out);
    for (size_t i = 0; i < LP_ARRAY_LEN(args); i++) {
        lp_buf_byte(out, ',');
        lp_text_quote(out, args[i]);
    }
    lp_buf_byte(out, ')');
}

/* NaN and infinity have no spelling of their own; these fold back to them. */
static void
put_literal(struct lp_buf *out, double v)
{
    if (isfinite(v)) {
        lp_text_number(out, v);
    } else {
        lp_buf_c(out, isnan(v) ? "(0 / 0)" : v > 0 ? "(2 ^ 1024)" : "(-2 ^ 1025)");
    }
}

bool
lp_logql_print(const struct lp_expr *e, struct lp_buf *out)
{
    if (out->failed) {
        return false; /* the pretty printer measures with a small buffer: go no further than it reaches */
    }
    switch (e->kind) {
    case LP_EXPR_LOG:
        lp_print_log(out, &e->log);
        break;
    case LP_EXPR_RANGE_AGG:
        put_range_agg(out, &e->range_agg);
        break;
    case LP_EXPR_VECTOR_AGG:
        put_vector_agg(out, &e->vector_agg);
        break;
    case LP_EXPR_BINARY:
        lp_buf_byte(out, '(');
        lp_logql_print(e->binary.left, out);
        lp_buf_byte(out, ' ');
        lp_print_operator(out, &e->binary, ",");
        lp_buf_byte(out, ' ');
        lp_logql_print(e->binary.right, out);
        lp_buf_byte(out, ')');
        break;
    case LP_EXPR_LABEL_REPLACE:
        put_label_replace(out, &e->label_replace);
        break;
    case LP_EXPR_LITERAL:
        put_literal(out, e->number);
        break;
    case LP_EXPR_VECTOR:
        lp_buf_c(out, "vector(");
        lp_text_fixed(out, e->number);
        lp_buf_byte(out, ')');
        break;
    }
    return !out->failed;
}
