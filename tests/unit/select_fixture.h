/*
 * select_fixture.h - selectors for tests of store/, which knows no LogQL: {name="value"} pairs that must all
 * hold, an empty value for a label that is not there.
 */
#ifndef LP_UNIT_SELECT_FIXTURE_H
#define LP_UNIT_SELECT_FIXTURE_H

#include "store/retain_rules.h"

extern const struct lp_select_ops lp_test_select;

/* Rules with such selectors; ends the test where they cannot be read. The caller gives them back. */
struct lp_rules *lp_test_rules(const char *lines);

#endif
