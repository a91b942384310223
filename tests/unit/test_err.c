/*
 * test_err.c - error details. Oracle: err.h.
 */
#include "tests/unit/unit.h"

#include <string.h>

#include "base/err.h"
#include "base/metrics.h"
#include "base/str.h"

static void
errors_carry_words(void)
{
    struct lp_err err;
    CU_ASSERT_EQUAL(lp_err_set(&err, LP_ERR_LIMIT, "%d too many", 3), LP_ERR_LIMIT);
    CU_ASSERT_STRING_EQUAL(err.text, "3 too many");
    CU_ASSERT_EQUAL(lp_err_prefix(&err, LP_ERR_LIMIT, "line %d", 7), LP_ERR_LIMIT);
    CU_ASSERT_STRING_EQUAL(err.text, "line 7: 3 too many");
    CU_ASSERT_EQUAL(lp_err_sys(&err, 28, "write"), LP_ERR_DISK_FULL);
    CU_ASSERT_EQUAL(err.sys_errno, 28);
    CU_ASSERT_EQUAL(lp_err_sys(&err, 5, "write"), LP_ERR_IO);
    CU_ASSERT_EQUAL(lp_err_set(NULL, LP_ERR_IO, "nobody listens"), LP_ERR_IO);
    char longer[400];
    memset(longer, 'x', sizeof(longer) - 1);
    longer[sizeof(longer) - 1] = 0;
    lp_err_set(&err, LP_ERR_PARSE, "%s", longer);
    lp_err_prefix(&err, LP_ERR_PARSE, "front");
    CU_ASSERT_EQUAL(strlen(err.text), LP_ERR_TEXT_BYTES - 1);
    CU_ASSERT(lp_str_starts(lp_str_c(err.text), LP_STR("front: xxx")));
    CU_ASSERT_STRING_EQUAL(lp_rc_name(LP_ERR_DISK_FULL), "disk_full");
}

static void
damage_is_counted(void)
{
    struct lp_err err;
    int64_t before = lp_metric_get(LP_M_CORRUPT_FOUND);
    CU_ASSERT_EQUAL(lp_corrupt(&err, "block %d", 4), LP_ERR_CORRUPT);
    CU_ASSERT_STRING_EQUAL(err.text, "block 4");
    CU_ASSERT_EQUAL(lp_corrupt(NULL, "block %d", 5), LP_ERR_CORRUPT);
    CU_ASSERT_EQUAL(lp_metric_get(LP_M_CORRUPT_FOUND), before + 2);
}

static void
places_are_kept(void)
{
    struct lp_err err;
    CU_ASSERT_EQUAL(lp_err_at(&err, LP_ERR_PARSE, 3, 9, "no %s", "comma"), LP_ERR_PARSE);
    CU_ASSERT(err.line == 3 && err.col == 9 && err.sys_errno == 0);
    lp_err_clear(&err);
    CU_ASSERT(err.rc == LP_OK && err.line == 0 && err.text[0] == 0);
}

LP_SUITE(err, {"errors carry words", errors_carry_words}, {"damage is counted", damage_is_counted},
         {"places are kept", places_are_kept});
