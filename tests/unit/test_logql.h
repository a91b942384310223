/*
 * test_logql.h - what the LogQL tests share: parsing in one call, trees as text, and the files of recorded queries.
 */
#ifndef LP_TEST_LOGQL_H
#define LP_TEST_LOGQL_H

#include "query/parse.h"
#include "tests/unit/unit.h"

/* A parsed query with its arena. */
struct lp_test_query {
    struct lp_arena ar;
    struct lp_err err;
    lp_rc rc;
    const struct lp_expr *expr;
};

/* Always to be ended with lp_test_query_clear. */
void lp_test_query_parse(struct lp_test_query *q, struct lp_str text, bool allow_empty);
void lp_test_query_clear(struct lp_test_query *q);

/* The whole tree as text, independent of print.c: equal texts are equal trees. Static buffer of the two last calls. */
const char *lp_test_dump(const struct lp_expr *e);

/* The texts of tests/data/logql/NAME, which end with a line "%%" each. */
struct lp_test_texts {
    char *bytes;
    struct lp_str *items;
    size_t n;
};
void lp_test_texts_read(struct lp_test_texts *t, const char *name);
void lp_test_texts_clear(struct lp_test_texts *t);

/* Fails the test, naming the text that `what` happened to, unless good. */
void lp_test_check(bool good, const char *what, struct lp_str text);

/* tests/fuzz/fuzz_logql.c: aborts when an invariant of parser and printers does not hold for these bytes. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#endif
