/*
 * test_kube_select.c - label and field selectors. Oracle: by hand.
 */
#include "tests/unit/unit.h"

static void
nothing(void)
{
}

LP_SUITE(kube_select, {"nothing", nothing});
