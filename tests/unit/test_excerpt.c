/*
 * test_excerpt.c - what a JSON parser finds in cells of compressed tables. Oracle: the same lines in the
 * head, where they are read whole: every query must give the same of both, errors included.
 */
#include "query/excerpt.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "query/result.h"
#include "tests/unit/exec_fixture.h"

#define ROWS 3000u

/* %u: numbers that differ from row to row. */
static const char *const shapes[] = {
    "{\"a\":%u,\"b\":\"x%u\",\"n\":{\"c\":%u,\"d\":\"t-%u\"},\"s\":\"some \\\"quoted\\\" text %u\"}",
    "{\"b\":\"p q\",\"a\":%u.%u,\"neg\":-%u,\"t\":true,\"z\":null,\"l\":[%u,{\"a\":1}]}",
    "{\"k%u\":1,\"a\":%u,\"b\":\"key differs\"}",
    "{\"a\":w%u,\"b\":\"a word that is no value %u\"}",
    "{\"a\":%u,\"b\":\"y%u\",\"a\":7}",
    "{\"a\":%u,\"b\":\"cut %u",
    "{\"a\" : %u , \"b\" : \"blanks %u\", \"app\":\"mine %u\"}",
    "{\"a\":\"caf\xc3\xa9 %u\",\"b\":\"%u\\n\\u00e9 %u\"}",
    "{\"a\":{\"b\":{\"c\":\"%u\"}},\"a.b\":%u,\"9\":%u}",
    "level=info a=%u b=%u",
    "[%u,{\"a\":%u}]",
    "{\"b\":\"%u\"} behind %u",
    "{\"a\":\"tok%u\",\"b\":%u,}",
};

static const char *const searches[] = {
    "{} | json | a=\"5\"",
    "{} | json | a>50",
    "{} | json a=\"a\", b=\"b\" | b=~\"x.*|p q|y1\"",
    "{} | json | n_c>10 and n_d!=\"t-3\"",
    "{} | json | __error__!=\"\"",
    "{} | json | app_extracted=~\"mine.*\"",
    "{} | json x=\"n\" | x!=\"\"",
    "{} | json | label_format q=b | q=~\"x.*\" | drop q",
    "{} |= \"quoted\" | json | s=~\".*\\\"quoted\\\".*\"",
    "{} | json | a_b_c=\"3\"",
    "{} | json | a=~\"caf\xc3\xa9.*\"",
    "{} | json nine=\"[\\\"9\\\"]\" | nine>0",
};

static const char *const metrics[] = {
    "sum by (a)(count_over_time({} | json | __error__=\"\" [1h]))",
    "sum by (b)(count_over_time({} | json b=\"b\" | __error__=\"\" [1h]))",
    "sum by (__error__)(count_over_time({} | json [1h]))",
    "sum(sum_over_time({} | json | unwrap a | __error__=\"\" [1h]))",
    "max_over_time({} | json | unwrap neg | __error__=\"\" [1h]) by (t)",
    "sum by (app_extracted, z, l)(count_over_time({} | json | __error__=\"\" [1h]))",
    "quantile_over_time(0.9, {} | json | unwrap n_c | __error__=\"\" [1h]) by (n_d)",
    "sum by (b)(count_over_time({} | json [1h]))", /* has errors: the same one */
};

/* The shape with numbers of few different values. */
static void
make_line(const char *shape, uint64_t *seed, struct lp_buf *out)
{
    for (const char *at = shape; *at != 0; at++) {
        if (at[0] == '%') {
            lp_buf_printf(out, "%u", lp_test_below(seed, 3 + lp_test_below(seed, 100)));
            at++;
        } else {
            lp_buf_byte(out, (uint8_t)*at);
        }
    }
}

static void
fill(struct lp_world *w)
{
    uint64_t seed = 5;
    struct lp_pair labels[] = {{LP_STR("app"), LP_STR("j")}};
    struct lp_buf line;
    lp_buf_init(&line, 1 << 12);
    lp_world_open(w);
    struct lp_batch *b = lp_batch_new(LP_STR_NULL, SIZE_MAX, 0);
    for (unsigned i = 0; i < ROWS; i++) {
        uint32_t stream;
        lp_buf_reset(&line);
        make_line(shapes[lp_test_below(&seed, LP_ARRAY_LEN(shapes))], &seed, &line);
        CU_ASSERT_EQUAL_FATAL(lp_batch_stream(b, labels, 1, NULL, &stream, NULL), LP_OK);
        CU_ASSERT_EQUAL_FATAL(
            lp_batch_add(b, stream, (i + 1) * LP_NS_PER_S / 10, lp_buf_view(&line), false, NULL, 0, NULL),
            LP_OK);
    }
    lp_buf_clear(&line);
    lp_batch_finish(b);
    CU_ASSERT_EQUAL_FATAL(lp_put(w->st, b, 0), LP_OK);
}

/* The answer without its statistics, or the error. */
static void
ask_search(struct lp_world *w, const char *query, struct lp_buf *out)
{
    struct lp_test_query q;
    struct lp_found f;
    struct lp_err err;
    lp_err_clear(&err);
    lp_test_query_parse(&q, lp_str_c(query), true);
    struct lp_search s = lp_world_search(w, &q);
    s.want_labels = true;
    if (lp_search(&s, &f, &err) == LP_OK) {
        CU_ASSERT_EQUAL(lp_result_streams(&f, false, out, NULL), LP_OK);
        lp_found_clear(&f);
        struct lp_str text = lp_buf_view(out);
        out->n = lp_str_find(text, LP_STR("\"stats\":{\"summary\""));
    } else {
        lp_buf_c(out, err.text);
    }
    lp_test_query_clear(&q);
}

static void
ask_metric(struct lp_world *w, const char *query, struct lp_buf *out)
{
    struct lp_test_query q;
    struct lp_matrix m;
    struct lp_err err;
    lp_err_clear(&err);
    lp_test_query_parse(&q, lp_str_c(query), true);
    CU_ASSERT_EQUAL_FATAL(q.rc, LP_OK);
    struct lp_metric_query ask = {.store = w->st,
                                  .expr = q.expr,
                                  .start_ns = 400 * LP_NS_PER_S,
                                  .step_ns = LP_NS_PER_S,
                                  .steps = 1,
                                  .max_series = 100000,
                                  .instant = true,
                                  .pool = w->pool,
                                  .deadline_ns = INT64_MAX,
                                  .budget_bytes = 64u << 20};
    if (lp_metric_eval(&ask, &m, &err) == LP_OK) {
        CU_ASSERT(m.n > 0);
        CU_ASSERT_EQUAL(lp_result_series_vector(&m, out, NULL), LP_OK);
        lp_matrix_clear(&m);
        out->n = lp_str_find(lp_buf_view(out), LP_STR("\"stats\":{\"summary\""));
    } else {
        struct lp_str kind = lp_str_c(err.text); /* which line it names depends on who comes first */
        lp_buf_str(out, lp_str_sub(kind, 0, LP_MIN(lp_str_find(kind, LP_STR(" for series")), kind.n)));
    }
    lp_test_query_clear(&q);
}

static void
cells_give_what_whole_lines_give(void)
{
    struct lp_world w;
    struct lp_buf head[LP_ARRAY_LEN(searches) + LP_ARRAY_LEN(metrics)];
    size_t n = LP_ARRAY_LEN(searches);
    fill(&w);
    for (int sealed = 0; sealed < 2; sealed++) {
        for (size_t i = 0; i < LP_ARRAY_LEN(head); i++) {
            struct lp_buf out;
            const char *query = i < n ? searches[i] : metrics[i - n];
            lp_buf_init(&out, 16 << 20);
            i < n ? ask_search(&w, query, &out) : ask_metric(&w, query, &out);
            if (sealed == 0) {
                head[i] = out;
                continue;
            }
            if (!lp_str_eq(lp_buf_view(&out), lp_buf_view(&head[i]))) {
                fprintf(stderr, "%s\n head " LP_STR_FMT "\n cells " LP_STR_FMT "\n", query,
                        LP_STR_ARG(lp_buf_view(&head[i])), LP_STR_ARG(lp_buf_view(&out)));
            }
            CU_ASSERT(lp_str_eq(lp_buf_view(&out), lp_buf_view(&head[i])));
            CU_ASSERT(out.n > 30); /* the query finds something */
            lp_buf_clear(&out);
            lp_buf_clear(&head[i]);
        }
        lp_world_seal(&w);
    }
    lp_world_close(&w);
}

LP_SUITE(excerpt, {"cells give what whole lines give", cells_give_what_whole_lines_give});
