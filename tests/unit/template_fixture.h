/*
 * template_fixture.h - templates with what they give, on one row that all tests share.
 */
#ifndef LP_TEMPLATE_FIXTURE_H
#define LP_TEMPLATE_FIXTURE_H

#include "query/template.h"
#include "tests/unit/unit.h"

struct lp_test_template {
    const char *text;
    const char *out; /* NULL: it does not compile */
    const char *err; /* NULL: none */
};

/*
 * The row: a=x, d=1h30m, e is empty, json (an object with k=[1,2,{"z":true}], n=null, s="str", f=1.5, m={"b":1,"a":"q"}), lines="a\nb\n\nc",
 * msg="typed strings", num=12.5, sz=4.2MB, t=2026-11-20T00:00:00.5Z, u="h\303\251llo", url=a%20b%2Fc; the line is "the line", the time
 * 2026-11-20T00:35:25.025000075Z, now 2023-11-14T22:13:20Z.
 */
extern const struct lp_template_row lp_test_row;

/* Compiles and runs each, and compares; a failure names the template. */
void lp_test_templates(const struct lp_test_template *rows, size_t n);
/* What it gives, or its error's text. Static buffer. budget: bytes of the arena. */
const char *lp_test_template_run(const char *text, size_t budget, lp_rc *ret_rc);

#endif
