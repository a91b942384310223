/*
 * test_linepred.c - what is asked of a line. Oracle: the words of linepred.h, worked out by hand.
 */
#include "tests/unit/unit.h"

#include "store/linepred.h"

#define NEEDLE(t) ((struct lp_needle){LP_STR(t), false})
#define EITHER_CASE(t) ((struct lp_needle){LP_STR(t), true})

static enum lp_verdict
ask(const struct lp_clause *clauses, size_t n, bool exact, struct lp_str line)
{
    struct lp_linepred p = {.clauses = clauses, .n = n, .exact = exact};
    return lp_linepred_test(&p, line);
}

static void
conjunctions(void)
{
    struct lp_needle get[] = {NEEDLE("GET"), NEEDLE("POST")}, cart[] = {NEEDLE("/cart")};
    struct lp_clause both[] = {{.needles = get, .n = 2}, {.needles = cart, .n = 1}};
    struct lp_clause but[] = {{.needles = get, .n = 2}, {.needles = cart, .n = 1, .negative = true}};
    CU_ASSERT_EQUAL(ask(both, 2, true, LP_STR("POST /cart")), LP_YES);
    CU_ASSERT_EQUAL(ask(both, 2, false, LP_STR("POST /cart")), LP_MAYBE);
    CU_ASSERT_EQUAL(ask(both, 2, true, LP_STR("POST /car")), LP_NO);
    CU_ASSERT_EQUAL(ask(both, 2, false, LP_STR("PUT /cart")), LP_NO);
    CU_ASSERT_EQUAL(ask(but, 2, true, LP_STR("GET /cart")), LP_NO);
    CU_ASSERT_EQUAL(ask(but, 2, true, LP_STR("GET /")), LP_YES);
    CU_ASSERT_EQUAL(ask(but, 2, true, LP_STR("get /")), LP_NO);
    CU_ASSERT_EQUAL(ask(NULL, 0, true, LP_STR("")), LP_YES);
    CU_ASSERT_EQUAL(ask(NULL, 0, false, LP_STR("x")), LP_MAYBE);
}

static void
either_case(void)
{
    struct lp_needle error[] = {EITHER_CASE("error")},
                     mixed[] = {EITHER_CASE("error"), NEEDLE("caf\xc3\xa9")};
    struct lp_clause yes[] = {{.needles = error, .n = 1}},
                     no[] = {{.needles = error, .n = 1, .negative = true}};
    struct lp_clause either[] = {{.needles = mixed, .n = 2}};
    CU_ASSERT_EQUAL(ask(yes, 1, true, LP_STR("an ErroR")), LP_YES);
    CU_ASSERT_EQUAL(ask(yes, 1, true, LP_STR("a mirror")), LP_NO);
    CU_ASSERT_EQUAL(ask(no, 1, true, LP_STR("an ErroR")), LP_NO);
    CU_ASSERT_EQUAL(ask(no, 1, true, LP_STR("a mirror")), LP_YES);
    /* not for sure in other letters */
    CU_ASSERT_EQUAL(ask(yes, 1, true, LP_STR("\xc3\xa9 mirror")), LP_MAYBE);
    CU_ASSERT_EQUAL(ask(yes, 1, false, LP_STR("\xc3\xa9 mirror")), LP_MAYBE);
    CU_ASSERT_EQUAL(ask(no, 1, true, LP_STR("\xff error")), LP_MAYBE);
    CU_ASSERT_EQUAL(ask(either, 1, true, LP_STR("caf\xc3\xa9")), LP_YES);
    CU_ASSERT_EQUAL(ask(either, 1, true, LP_STR("caf\xc3\xa8")), LP_MAYBE);
}

LP_SUITE(linepred, {"conjunctions", conjunctions}, {"either case", either_case});
