/*
 * template_fixture.c - running templates on one row.
 */
#include "tests/unit/template_fixture.h"

#include <stdio.h>

static const struct lp_pair labels[] = {
    {LP_STR("a"), LP_STR("x")},
    {LP_STR("d"), LP_STR("1h30m")},
    {LP_STR("e"), LP_STR("")},
    {LP_STR("json"),
     LP_STR("{\"k\":[1,2,{\"z\":true}],\"n\":null,\"s\":\"str\",\"f\":1.5,\"m\":{\"b\":1,\"a\":\"q\"}}")},
    {LP_STR("lines"), LP_STR("a\nb\n\nc")},
    {LP_STR("msg"), LP_STR("typed strings")},
    {LP_STR("num"), LP_STR("12.5")},
    {LP_STR("sz"), LP_STR("4.2MB")},
    {LP_STR("t"), LP_STR("2026-11-20T00:00:00.5Z")},
    {LP_STR("u"), LP_STR("h\303\251llo")},
    {LP_STR("url"), LP_STR("a%20b%2Fc")},
};

const struct lp_template_row lp_test_row = {
    .labels = labels,
    .nlabels = LP_ARRAY_LEN(labels),
    .line = {"the line", 8},
    .time_ns = INT64_C(1795134925025000075),
    .now_ns = INT64_C(1700000000000000000),
};

static bool
same(struct lp_str got, const char *want)
{
    return want != NULL && lp_str_eqc(got, want);
}

/* "" when it went as it should. */
static const char *
check(const struct lp_test_template *row, struct lp_template *t, struct lp_buf *out)
{
    static char why[LP_ERR_TEXT_BYTES + 64];
    struct lp_arena ar;
    struct lp_err err;
    lp_err_clear(&err);
    lp_arena_init(&ar, 4u << 20, 0);
    lp_rc rc = lp_template_run(t, &lp_test_row, &ar, out, &err);
    lp_arena_clear(&ar);
    why[0] = 0;
    if (!same(lp_buf_view(out), row->out)) {
        snprintf(why, sizeof(why), "gives another text");
    } else if (rc == LP_OK ? row->err != NULL : rc != LP_ERR_PARSE || !same(lp_str_c(err.text), row->err)) {
        snprintf(why, sizeof(why), "fails otherwise: %s", err.text);
    }
    return why;
}

void
lp_test_templates(const struct lp_test_template *rows, size_t n)
{
    struct lp_buf out;
    lp_buf_init(&out, 1u << 20);
    for (size_t i = 0; i < n; i++) {
        struct lp_template *t = NULL;
        struct lp_err err;
        const char *why = "";
        lp_err_clear(&err);
        lp_buf_reset(&out);
        lp_rc rc = lp_template_new(lp_str_c(rows[i].text), &t, &err);
        if (rc != LP_OK) {
            why = rows[i].out == NULL && rc == LP_ERR_PARSE && same(lp_str_c(err.text), rows[i].err)
                      ? ""
                      : err.text;
        } else {
            why = check(&rows[i], t, &out);
        }
        if (why[0] != 0) {
            fprintf(stderr, "\n%s\n  %s\n  " LP_STR_FMT "\n", rows[i].text, why,
                    LP_STR_ARG(lp_buf_view(&out)));
        }
        CU_ASSERT(why[0] == 0);
        lp_template_free(t);
    }
    lp_buf_clear(&out);
}

const char *
lp_test_template_run(const char *text, size_t budget, lp_rc *ret_rc)
{
    static char result[4096];
    struct lp_template *t = NULL;
    struct lp_arena ar;
    struct lp_buf out;
    struct lp_err err;
    lp_err_clear(&err);
    lp_arena_init(&ar, budget, 0);
    lp_buf_init(&out, sizeof(result) - 1);
    *ret_rc = lp_template_new(lp_str_c(text), &t, &err);
    if (*ret_rc == LP_OK) {
        *ret_rc = lp_template_run(t, &lp_test_row, &ar, &out, &err);
    }
    snprintf(result, sizeof(result), "%.*s", *ret_rc == LP_OK ? (int)out.n : (int)strlen(err.text),
             *ret_rc != LP_OK ? err.text
             : out.n > 0      ? out.p
                              : "");
    lp_template_free(t);
    lp_buf_clear(&out);
    lp_arena_clear(&ar);
    return result;
}
