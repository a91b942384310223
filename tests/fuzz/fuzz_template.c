/*
 * fuzz_template.c - any bytes as a template, and what stands behind the first NUL as a label's value and the
 * line. Oracle: no crash, no sanitizer report; a run gives the same twice; a label that the template says it
 * does not read changes nothing; a constant template gives its text; small budgets fail as limits do. Built
 * as a libFuzzer target with --enable-fuzzing; elsewhere it is a plain function that tests call.
 */
#include "tests/fuzz/fuzz_template.h"

#include "base/arena.h"
#include "query/template.h"

#define OUT_BYTES (256u << 10)
#define ARENA_BYTES (1u << 20)

static lp_rc
run(const struct lp_template *t, struct lp_str value, const char *other, size_t budget, struct lp_buf *out,
    struct lp_err *err)
{
    const struct lp_pair labels[] = {
        {LP_STR("a"), LP_STR("x")},          {LP_STR("json"), value},
        {LP_STR("num"), LP_STR("12.5")},     {LP_STR("t"), LP_STR("2026-11-20T00:00:00.5Z")},
        {LP_STR("unread"), lp_str_c(other)}, {LP_STR("v"), value},
    };
    const struct lp_template_row row = {labels, LP_ARRAY_LEN(labels), value, INT64_C(1795134925025000075), 5};
    struct lp_arena ar;
    lp_buf_reset(out);
    lp_err_clear(err);
    lp_arena_init(&ar, budget, 0);
    lp_rc rc = lp_template_run(t, &row, &ar, out, err);
    lp_arena_clear(&ar);
    LP_ASSERT(rc == LP_OK ||
              ((rc == LP_ERR_PARSE || rc == LP_ERR_LIMIT) && err->rc == rc && err->text[0] != 0));
    return rc;
}

/* Two runs that must not differ. */
static void
must_be_same(const struct lp_template *t, struct lp_str value, const char *other)
{
    struct lp_buf first, second;
    struct lp_err errs[2];
    lp_buf_init(&first, OUT_BYTES);
    lp_buf_init(&second, OUT_BYTES);
    lp_rc rc = run(t, value, "one", ARENA_BYTES, &first, &errs[0]);
    LP_ASSERT(run(t, value, other, ARENA_BYTES, &second, &errs[1]) == rc);
    LP_ASSERT(lp_str_eq(lp_buf_view(&first), lp_buf_view(&second)));
    LP_ASSERT(rc == LP_OK || strcmp(errs[0].text, errs[1].text) == 0);
    struct lp_str text;
    if (lp_template_is_const(t, &text)) {
        LP_ASSERT(rc == LP_ERR_LIMIT || lp_str_eq(text, lp_buf_view(&first)));
    }
    lp_buf_clear(&first);
    lp_buf_clear(&second);
}

void
lp_fuzz_template(const uint8_t *data, size_t size)
{
    struct lp_str text = lp_str_of((const char *)data, size), value = LP_STR("{\"k\":[1,2,{\"z\":true}]}");
    struct lp_template *t;
    struct lp_buf out;
    struct lp_err err;
    size_t nul = lp_str_find_byte(text, 0);
    if (nul != SIZE_MAX) {
        value = lp_str_sub(text, nul + 1, text.n);
        text = lp_str_sub(text, 0, nul);
    }
    lp_err_clear(&err);
    lp_rc rc = lp_template_new(text, &t, &err);
    if (rc != LP_OK) {
        LP_ASSERT(err.rc == rc && err.text[0] != 0);
        return;
    }
    must_be_same(t, value, lp_template_reads(t, LP_STR("unread")) ? "one" : "another");
    lp_buf_init(&out, 100);
    (void)run(t, value, "one", 4096, &out, &err);
    LP_ASSERT(out.n <= 100);
    lp_buf_clear(&out);
    lp_template_free(t);
}

#ifdef LP_FUZZ_PROGRAM
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    lp_fuzz_template(data, size);
    return 0;
}
#endif
