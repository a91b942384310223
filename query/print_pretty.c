/*
 * print_pretty.c - the text of a tree for people: a part whose canonical text is at most 100 bytes stays on
 * one line, a longer one is taken apart, its children indented by one more level.
 *
 * Recursion is bounded by the tree's depth. Measuring a part stops at the limit, so the whole takes at most
 * depth * nodes steps.
 */
#include "query/print_int.h"
#include "query/text.h"

#define LINE_BYTES 100

struct printer {
    struct lp_buf *out;
    struct lp_buf scratch; /* holds at most LINE_BYTES: a part that does not fit must be split */
};

static void
indent(struct printer *p, unsigned level)
{
    for (unsigned i = 0; i < level; i++) {
        lp_buf_c(p->out, "  ");
    }
}

static bool
expr_fits(struct printer *p, const struct lp_expr *e)
{
    lp_buf_reset(&p->scratch);
    return lp_logql_print(e, &p->scratch);
}

static bool
log_fits(struct printer *p, const struct lp_log_query *log)
{
    lp_buf_reset(&p->scratch);
    lp_print_log(&p->scratch, log);
    return !p->scratch.failed;
}

static bool
stages_fit(struct printer *p, const struct lp_stage *stages, size_t n)
{
    lp_buf_reset(&p->scratch);
    for (size_t i = 0; i < n && !p->scratch.failed; i++) {
        lp_buf_c(&p->scratch, i > 0 ? " " : "");
        lp_print_stage(&p->scratch, &stages[i]);
    }
    return !p->scratch.failed;
}

/* Neighbouring line filters share lines: the longest run from the first that fits, then each on its own. */
static void
put_line_filters(struct printer *p, const struct lp_stage *stages, size_t n, unsigned level)
{
    size_t together = n;
    while (together > 1 && !stages_fit(p, stages, together)) {
        together--;
    }
    for (size_t i = 0; i < n; i++) {
        if (i == 0 || i >= together) {
            lp_buf_byte(p->out, '\n');
            indent(p, level);
        } else {
            lp_buf_byte(p->out, ' ');
        }
        lp_print_stage(p->out, &stages[i]);
    }
}

static void
put_log(struct printer *p, const struct lp_log_query *log, unsigned level)
{
    indent(p, level);
    if (log->nstages == 0 || log_fits(p, log)) {
        lp_print_log(p->out, log);
        return;
    }
    lp_logql_print_selector(log, p->out);
    for (size_t i = 0, n; i < log->nstages; i += n) {
        n = 0;
        while (i + n < log->nstages && log->stages[i + n].kind == LP_STAGE_LINE_FILTER) {
            n++;
        }
        if (n > 0) {
            put_line_filters(p, &log->stages[i], n, level + 1);
            continue;
        }
        n = 1;
        lp_buf_byte(p->out, '\n');
        indent(p, level + 1);
        lp_print_stage(p->out, &log->stages[i]);
    }
}

static void
put_unwrap(struct printer *p, const struct lp_unwrap *u, unsigned level)
{
    lp_buf_byte(p->out, '\n');
    indent(p, level);
    lp_print_unwrap(p->out, u);
    for (size_t i = 0; i < u->nfilters; i++) {
        lp_buf_byte(p->out, '\n');
        indent(p, level);
        lp_buf_c(p->out, "| ");
        lp_print_label_filter(p->out, u->filters[i]);
    }
}

static void
put_range_agg(struct printer *p, const struct lp_range_agg *a, unsigned level)
{
    const struct lp_log_range *r = &a->range;
    lp_buf_c(p->out, lp_range_op_name(a->op));
    lp_buf_c(p->out, "(\n");
    if (a->op == LP_RANGE_QUANTILE) {
        indent(p, level + 1);
        lp_text_number(p->out, a->param);
        lp_buf_c(p->out, ",\n");
    }
    put_log(p, &r->log, level + 1);
    if (r->unwrap != NULL) {
        put_unwrap(p, r->unwrap, level + 2);
    }
    lp_buf_c(p->out, " [");
    lp_text_range(p->out, r->range_ns);
    lp_buf_byte(p->out, ']');
    if (r->offset_ns != 0) {
        lp_buf_c(p->out, " offset ");
        lp_text_range(p->out, r->offset_ns);
    }
    lp_buf_byte(p->out, '\n');
    indent(p, level);
    lp_buf_byte(p->out, ')');
    lp_print_grouping(p->out, &a->by, ", ");
}

static void put_expr(struct printer *p, const struct lp_expr *e, unsigned level);

static void
put_vector_agg(struct printer *p, const struct lp_vector_agg *a, unsigned level)
{
    lp_buf_c(p->out, lp_vector_op_name(a->op));
    lp_print_grouping(p->out, &a->by, ", ");
    lp_buf_c(p->out, "(\n");
    if (a->param != 0) {
        indent(p, level + 1);
        lp_buf_printf(p->out, "%lld,\n", (long long)a->param);
    }
    put_expr(p, a->inner, level + 1);
    lp_buf_byte(p->out, '\n');
    indent(p, level);
    lp_buf_byte(p->out, ')');
}

static void
put_label_replace(struct printer *p, const struct lp_label_replace *r, unsigned level)
{
    const struct lp_str args[] = {r->dst, r->replacement, r->src, r->regex};
    lp_buf_c(p->out, "label_replace(\n");
    put_expr(p, r->inner, level + 1);
    for (size_t i = 0; i < LP_ARRAY_LEN(args); i++) {
        lp_buf_c(p->out, ",\n");
        indent(p, level + 1);
        lp_text_quote(p->out, args[i]);
    }
    lp_buf_byte(p->out, '\n');
    indent(p, level);
    lp_buf_byte(p->out, ')');
}

/* One side of an operation. An operation that is split itself has lost its brackets: they return where they
 * matter. */
static void
put_side(struct printer *p, const struct lp_binary *b, const struct lp_expr *side, unsigned level)
{
    bool brackets = false;
    if (side->kind == LP_EXPR_BINARY && !expr_fits(p, side)) {
        int outer = lp_binary_op_prec(b->op), inner = lp_binary_op_prec(side->binary.op);
        bool first_wins =
            (side == b->left) != (b->op == LP_BINARY_POW); /* the side that equal operators bind to */
        brackets = inner < outer || (inner == outer && !first_wins);
    }
    if (brackets) {
        indent(p, level);
        lp_buf_c(p->out, "(\n");
    }
    put_expr(p, side, level + (brackets ? 1 : 0));
    if (brackets) {
        lp_buf_byte(p->out, '\n');
        indent(p, level);
        lp_buf_byte(p->out, ')');
    }
}

static void
put_binary(struct printer *p, const struct lp_binary *b, unsigned level)
{
    put_side(p, b, b->left, level + 1);
    lp_buf_byte(p->out, '\n');
    indent(p, level);
    lp_print_operator(p->out, b, ", ");
    lp_buf_byte(p->out, '\n');
    put_side(p, b, b->right, level + 1);
}

static void
put_expr(struct printer *p, const struct lp_expr *e, unsigned level)
{
    if (e->kind == LP_EXPR_LOG) {
        put_log(p, &e->log, level);
        return;
    }
    bool fits = expr_fits(p, e);
    if (fits || e->kind != LP_EXPR_BINARY) {
        indent(p, level); /* the sides of a split operation indent themselves */
    }
    if (fits || e->kind == LP_EXPR_LITERAL || e->kind == LP_EXPR_VECTOR) {
        lp_logql_print(e, p->out);
    } else if (e->kind == LP_EXPR_RANGE_AGG) {
        put_range_agg(p, &e->range_agg, level);
    } else if (e->kind == LP_EXPR_VECTOR_AGG) {
        put_vector_agg(p, &e->vector_agg, level);
    } else if (e->kind == LP_EXPR_LABEL_REPLACE) {
        put_label_replace(p, &e->label_replace, level);
    } else {
        put_binary(p, &e->binary, level);
    }
}

bool
lp_logql_pretty(const struct lp_expr *e, struct lp_buf *out)
{
    struct printer p = {.out = out};
    lp_buf_init(&p.scratch, LINE_BYTES);
    put_expr(&p, e, 0);
    lp_buf_clear(&p.scratch);
    return !out->failed;
}
