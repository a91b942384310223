/*
 * test_kube_objects.c - pods and what made them as objects and table rows. Oracle: by hand.
 */
#include "tests/unit/unit.h"

static void
nothing(void)
{
}

LP_SUITE(kube_objects, {"nothing", nothing});
