/*
 * hooks.h - named points for crash tests, compiled in by --enable-test-hooks only (never in a release).
 *
 * The environment variable LP_HOOK="NAME[:N]=ACTION" arms one point: at the N-th pass (default 1) the process kills itself
 * (ACTION kill), or waits until the file named by ACTION exists (pause:PATH), so that a test can act at exactly that moment.
 */
#ifndef LP_STORE_HOOKS_H
#define LP_STORE_HOOKS_H

#include "base/lp.h"

#ifdef LP_TEST_HOOKS
void lp_hook(const char *name);
#else
#define lp_hook(name) ((void)0)
#endif

#endif
