/*
 * test_kube_paths.c - paths, discovery, Status objects, tokens. Oracle: by hand.
 */
#include "tests/unit/unit.h"

static void
nothing(void)
{
}

LP_SUITE(kube_paths, {"nothing", nothing});
