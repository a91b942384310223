/*
 * metric_fixture.c - series made by hand in the place of leaves, and answers in the same form.
 */
#include "tests/unit/metric_fixture.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *tables[2] = {"", ""};
static size_t leaves;

void
lp_tables_set(const char *a, const char *b)
{
    tables[0] = a;
    tables[1] = b;
    leaves = 0;
}

size_t
lp_tables_leaves(void)
{
    return leaves;
}

struct lp_str
lp_table_word(struct lp_str *rest)
{
    struct lp_str word;
    do {
        word = lp_str_cut(rest, ' ');
    } while (word.n == 0 && rest->n > 0);
    return word;
}

size_t
lp_tables_steps(void)
{
    size_t most = 1;
    for (int i = 0; i < 2; i++) {
        struct lp_str rest = lp_str_c(tables[i]), line = lp_str_cut(&rest, '\n');
        size_t n = 0;
        (void)lp_str_cut(&line, ':');
        while (lp_table_word(&line).n > 0) {
            n++;
        }
        most = LP_MAX(most, n);
    }
    return most;
}

static bool
read_labels(struct lp_str text, struct lp_label_index *sets)
{
    struct lp_pair labels[8];
    size_t n = 0;
    while (text.n > 0) {
        struct lp_str value = lp_str_cut(&text, ',');
        labels[n].name = lp_str_cut(&value, '=');
        labels[n++].value = value;
    }
    return lp_label_index_add(sets, labels, n) != LP_LABELS_NONE;
}

/* The series of a table; none where the labels are too many for the memory. */
static bool
read_table(const char *table, struct lp_matrix *m)
{
    struct lp_label_index sets;
    lp_label_index_init(&sets, &m->ar);
    bool ok = true;
    for (struct lp_str rest = lp_str_c(table); rest.n > 0 && ok;) {
        struct lp_str line = lp_str_cut(&rest, '\n');
        ok = read_labels(lp_str_cut(&line, ':'), &sets);
    }
    ok = ok && lp_matrix_series(m, &sets);
    lp_label_index_clear(&sets);
    struct lp_str rest = lp_str_c(table);
    for (size_t i = 0; i < m->n && ok; i++) {
        struct lp_str line = lp_str_cut(&rest, '\n');
        (void)lp_str_cut(&line, ':');
        for (size_t k = 0; k < m->steps; k++) {
            struct lp_str word = lp_table_word(&line);
            char text[32];
            snprintf(text, sizeof(text), LP_STR_FMT, LP_STR_ARG(word));
            m->series[i].has[k] = word.n > 0 && word.p[0] != '_';
            m->series[i].v[k] = strtod(text, NULL);
        }
    }
    return ok;
}

lp_rc
lp_table_leaf(const struct lp_metric_query *q, const struct lp_range_agg *agg, const struct lp_grouping *by,
              size_t max_series, struct lp_matrix *ret, struct lp_err *err)
{
    char name = agg->range.log.matchers[0].value.p[0];
    leaves++;
    lp_matrix_init(ret, q);
    if (name == 'x') {
        return lp_err_set(err, LP_ERR_PARSE, "pipeline error: 'X' for series: '{}'.");
    }
    if (!read_table(tables[name - 'a'], ret)) {
        return lp_metric_over_budget(q, err);
    }
    ret->stats.passed_lines = 1;
    ret->stats.damaged = name == 'b';
    snprintf(ret->damage, sizeof(ret->damage), "%s", name == 'b' ? "damaged" : "");
    if (by != NULL) { /* what the true leaf does on its way */
        struct lp_matrix in = *ret;
        struct lp_metric_query beside = lp_metric_beside(q, &in);
        struct lp_vector_agg sum = {.op = LP_VECTOR_SUM, .by = *by};
        lp_rc rc = lp_metric_group(&beside, &sum, &in, ret, err);
        lp_matrix_clear(&in);
        return rc;
    }
    return ret->n <= max_series ? LP_OK : lp_metric_too_many(q, err);
}

static void
put_value(const struct lp_series *s, size_t k, struct lp_buf *out)
{
    if (!s->has[k]) {
        lp_buf_c(out, " _");
    } else if (isnan(s->v[k])) {
        lp_buf_c(out, " NaN");
    } else {
        lp_buf_printf(out, " %.9g", s->v[k]);
    }
}

static void
put_matrix(const struct lp_matrix *m, struct lp_buf *out)
{
    for (size_t i = 0; i < m->n; i++) {
        const struct lp_series *s = &m->series[i];
        for (size_t k = 0; k < s->nlabels; k++) {
            lp_buf_printf(out, "%s" LP_STR_FMT "=" LP_STR_FMT, k > 0 ? "," : "",
                          LP_STR_ARG(s->labels[k].name), LP_STR_ARG(s->labels[k].value));
        }
        lp_buf_byte(out, ':');
        for (size_t k = 0; k < m->steps; k++) {
            put_value(s, k, out);
        }
        lp_buf_byte(out, '\n');
    }
}

struct lp_metric_query
lp_table_query(const struct lp_test_query *parsed, size_t n)
{
    lp_test_check(parsed->rc == LP_OK, "this was not parsed", lp_str_c(parsed->err.text));
    return (struct lp_metric_query){.expr = parsed->expr,
                                    .start_ns = 60 * LP_NS_PER_S,
                                    .step_ns = 60 * LP_NS_PER_S,
                                    .steps = n,
                                    .max_series = 1000,
                                    .deadline_ns = INT64_MAX,
                                    .budget_bytes = 1 << 20};
}

void
lp_table_answer(const char *text, bool instant, struct lp_buf *out)
{
    struct lp_test_query parsed;
    struct lp_matrix m;
    struct lp_err err;
    lp_test_query_parse(&parsed, lp_str_c(text), true);
    struct lp_metric_query q = lp_table_query(&parsed, instant ? 1 : lp_tables_steps());
    q.instant = instant;
    lp_buf_reset(out);
    lp_rc rc = parsed.rc == LP_OK ? lp_metric_tree(&q, lp_table_leaf, &m, &err) : LP_ERR_PARSE;
    if (rc == LP_OK) {
        put_matrix(&m, out);
    } else {
        lp_buf_printf(out, "error: %s", parsed.rc == LP_OK ? err.text : parsed.err.text);
    }
    if (parsed.rc == LP_OK) {
        lp_matrix_clear(&m);
    }
    lp_test_query_clear(&parsed);
}
