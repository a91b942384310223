/*
 * test_logql_dump.c - helpers of the LogQL tests (test_logql.h). The dump knows every field of the tree and
 * nothing of how queries are printed, so it can judge the printers.
 */
#include "tests/unit/test_logql.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/buf.h"

void
lp_test_query_parse(struct lp_test_query *q, struct lp_str text, bool allow_empty)
{
    struct lp_logql_opts opts = {.allow_empty_selector = allow_empty};
    *q = (struct lp_test_query){.rc = LP_OK};
    lp_err_clear(&q->err);
    lp_arena_init(&q->ar, LP_LOGQL_ARENA_BYTES, 0);
    q->rc = lp_logql_parse(text, &opts, &q->ar, &q->expr, &q->err);
}

void
lp_test_query_clear(struct lp_test_query *q)
{
    lp_arena_clear(&q->ar);
}

void
lp_test_check(bool good, const char *what, struct lp_str text)
{
    if (!good) {
        fprintf(stderr, "\n%s: " LP_STR_FMT "\n", what, LP_STR_ARG(text));
    }
    CU_ASSERT(good);
}

/* --------------------------------------------------------------------- dump */

static void
put_str(struct lp_buf *b, struct lp_str s)
{
    lp_buf_byte(b, '\'');
    lp_buf_str(b, s);
    lp_buf_byte(b, '\'');
}

static void
put_number(struct lp_buf *b, double v)
{
    lp_buf_printf(b, " %a", isnan(v) ? (double)NAN : v);
}

static void
put_match(struct lp_buf *b, const struct lp_label_match *m)
{
    lp_buf_printf(b, "(match %d ", (int)m->op);
    put_str(b, m->name);
    put_str(b, m->value);
    lp_buf_byte(b, ')');
}

static void
put_filter(struct lp_buf *b, const struct lp_label_filter *f)
{
    lp_buf_printf(b, "(filter %d %d ", (int)f->kind, (int)f->cmp);
    if (f->kind == LP_LF_AND || f->kind == LP_LF_OR) {
        put_filter(b, f->left);
        put_filter(b, f->right);
    } else if (f->kind == LP_LF_MATCH) {
        put_match(b, &f->match);
    } else {
        put_str(b, f->name);
    }
    if (f->kind == LP_LF_IP) {
        put_str(b, f->text);
    } else if (f->kind == LP_LF_NUMBER) {
        put_number(b, f->number);
    } else if (f->kind == LP_LF_DURATION) {
        lp_buf_printf(b, " %lld", (long long)f->ns);
    } else if (f->kind == LP_LF_SIZE) {
        lp_buf_printf(b, " %llu", (unsigned long long)f->bytes);
    }
    lp_buf_byte(b, ')');
}

static void
put_extracts(struct lp_buf *b, const struct lp_parser_args *args)
{
    lp_buf_printf(b, "(args %d %d", args->strict, args->keep_empty);
    for (size_t i = 0; i < args->nextracts; i++) {
        const struct lp_extract *x = &args->extracts[i];
        put_str(b, x->name);
        put_str(b, x->expr);
        for (size_t k = 0; k < x->nsteps; k++) {
            if (x->steps[k].is_index) {
                lp_buf_printf(b, "[%llu]", (unsigned long long)x->steps[k].index);
            } else {
                lp_buf_byte(b, '.');
                put_str(b, x->steps[k].key);
            }
        }
    }
    lp_buf_byte(b, ')');
}

static void
put_stage(struct lp_buf *b, const struct lp_stage *s)
{
    lp_buf_printf(b, "(stage %d ", (int)s->kind);
    if (s->kind == LP_STAGE_LINE_FILTER) {
        lp_buf_printf(b, "%d ", (int)s->line.op);
        for (size_t i = 0; i < s->line.noperands; i++) {
            lp_buf_c(b, s->line.operands[i].is_ip ? "ip" : "");
            put_str(b, s->line.operands[i].text);
        }
    } else if (s->kind == LP_STAGE_JSON || s->kind == LP_STAGE_LOGFMT) {
        put_extracts(b, &s->parser);
    } else if (s->kind == LP_STAGE_LABEL_FILTER) {
        put_filter(b, s->filter);
    } else if (s->kind == LP_STAGE_LABEL_FORMAT) {
        for (size_t i = 0; i < s->formats.n; i++) {
            put_str(b, s->formats.items[i].name);
            lp_buf_c(b, s->formats.items[i].is_template ? "~" : "=");
            put_str(b, s->formats.items[i].value);
        }
    } else if (s->kind == LP_STAGE_DROP || s->kind == LP_STAGE_KEEP) {
        for (size_t i = 0; i < s->picks.n; i++) {
            const struct lp_label_pick *p = &s->picks.items[i];
            p->has_value ? put_match(b, &p->match) : put_str(b, p->match.name);
        }
    } else if (s->kind == LP_STAGE_REGEXP || s->kind == LP_STAGE_PATTERN || s->kind == LP_STAGE_LINE_FORMAT) {
        put_str(b, s->text);
    }
    lp_buf_byte(b, ')');
}

static void
put_log(struct lp_buf *b, const struct lp_log_query *log)
{
    lp_buf_c(b, "(log ");
    for (size_t i = 0; i < log->nmatchers; i++) {
        put_match(b, &log->matchers[i]);
    }
    for (size_t i = 0; i < log->nstages; i++) {
        put_stage(b, &log->stages[i]);
    }
    lp_buf_byte(b, ')');
}

static void
put_names(struct lp_buf *b, const char *what, int kind, const struct lp_str *names, size_t n)
{
    lp_buf_printf(b, "(%s %d ", what, kind);
    for (size_t i = 0; i < n; i++) {
        put_str(b, names[i]);
    }
    lp_buf_byte(b, ')');
}

static void
put_range_agg(struct lp_buf *b, const struct lp_range_agg *a)
{
    const struct lp_unwrap *u = a->range.unwrap;
    lp_buf_printf(b, "(range %d %lld %lld", (int)a->op, (long long)a->range.range_ns,
                  (long long)a->range.offset_ns);
    put_number(b, a->param);
    put_log(b, &a->range.log);
    if (u != NULL) {
        lp_buf_printf(b, "(unwrap %d ", (int)u->conv);
        put_str(b, u->name);
        for (size_t i = 0; i < u->nfilters; i++) {
            put_filter(b, u->filters[i]);
        }
        lp_buf_byte(b, ')');
    }
    put_names(b, "by", (int)a->by.kind, a->by.names, a->by.n);
    lp_buf_byte(b, ')');
}

static void
put_expr(struct lp_buf *b, const struct lp_expr *e)
{
    switch (e->kind) {
    case LP_EXPR_LOG:
        put_log(b, &e->log);
        break;
    case LP_EXPR_RANGE_AGG:
        put_range_agg(b, &e->range_agg);
        break;
    case LP_EXPR_VECTOR_AGG:
        lp_buf_printf(b, "(vector %d %lld", (int)e->vector_agg.op, (long long)e->vector_agg.param);
        put_names(b, "by", (int)e->vector_agg.by.kind, e->vector_agg.by.names, e->vector_agg.by.n);
        put_expr(b, e->vector_agg.inner);
        lp_buf_byte(b, ')');
        break;
    case LP_EXPR_BINARY: {
        const struct lp_matching *m = &e->binary.match;
        lp_buf_printf(b, "(%s %d ", lp_binary_op_text(e->binary.op), e->binary.return_bool);
        put_names(b, "on", (int)m->kind, m->labels, m->nlabels);
        put_names(b, "include", (int)m->card, m->include, m->ninclude);
        put_expr(b, e->binary.left);
        put_expr(b, e->binary.right);
        lp_buf_byte(b, ')');
        break;
    }
    case LP_EXPR_LABEL_REPLACE:
        lp_buf_c(b, "(label_replace ");
        put_expr(b, e->label_replace.inner);
        put_str(b, e->label_replace.dst);
        put_str(b, e->label_replace.replacement);
        put_str(b, e->label_replace.src);
        put_str(b, e->label_replace.regex);
        lp_buf_byte(b, ')');
        break;
    case LP_EXPR_LITERAL:
    case LP_EXPR_VECTOR:
        lp_buf_printf(b, "(number %d", (int)e->kind);
        put_number(b, e->number);
        lp_buf_byte(b, ')');
        break;
    }
}

const char *
lp_test_dump(const struct lp_expr *e)
{
    static struct lp_buf bufs[2];
    static unsigned turn;
    struct lp_buf *b = &bufs[turn++ % 2];
    if (b->limit == 0) {
        lp_buf_init(b, 16u << 20);
    }
    lp_buf_reset(b);
    put_expr(b, e);
    lp_buf_byte(b, 0);
    LP_ASSERT(!b->failed);
    return b->p;
}

/* -------------------------------------------------------------------- files */

void
lp_test_texts_read(struct lp_test_texts *t, const char *name)
{
    char path[512];
    snprintf(path, sizeof(path), "%s/logql/%s", lp_test_data(), name);
    FILE *in = fopen(path, "rb");
    *t = (struct lp_test_texts){.n = 0};
    CU_ASSERT_PTR_NOT_NULL_FATAL(in);
    fseek(in, 0, SEEK_END);
    size_t n = (size_t)ftell(in);
    rewind(in);
    t->bytes = lp_malloc(n + 1);
    CU_ASSERT_EQUAL_FATAL(fread(t->bytes, 1, n, in), n);
    fclose(in);
    struct lp_str rest = lp_str_of(t->bytes, n);
    for (;;) {
        size_t end = lp_str_find(rest, LP_STR("\n%%\n"));
        if (end == SIZE_MAX) {
            break;
        }
        t->items = lp_realloc(t->items, (t->n + 1) * sizeof(*t->items));
        t->items[t->n++] = lp_str_sub(rest, 0, end);
        rest = lp_str_sub(rest, end + 4, rest.n);
    }
    CU_ASSERT(t->n > 0);
}

void
lp_test_texts_clear(struct lp_test_texts *t)
{
    lp_free(t->bytes);
    lp_free(t->items);
}
