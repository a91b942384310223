/*
 * test_kube_log.c - parameters of logs, which streams they want, their lines. Oracle: by hand.
 */
#include "tests/unit/unit.h"

static void
nothing(void)
{
}

LP_SUITE(kube_log, {"nothing", nothing});
