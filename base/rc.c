/*
 * rc.c - names of result codes, the end of a failed assertion, and the seam for small allocations.
 */
#include "base/lp.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *
lp_rc_name(lp_rc rc)
{
    switch (rc) {
    case LP_OK:
        return "ok";
#define X(code, value, name, text)                                                                           \
    case code:                                                                                               \
        return name;
        LP_RC_TABLE(X)
#undef X
    }
    return "unknown";
}

void
lp_assert_failed(const char *expr, const char *file, int line, const char *func)
{
    fprintf(stderr, "logpond: assertion failed: %s (%s:%d, %s)\n", expr, file, line, func);
    abort();
}

static void *
must(void *p, size_t bytes)
{
    if (p == NULL) {
        fprintf(stderr, "logpond: the system has no memory for %zu bytes\n", bytes);
        abort();
    }
    return p;
}

void *
lp_malloc(size_t bytes)
{
    return must(malloc(bytes ? bytes : 1), bytes);
}

void *
lp_calloc(size_t count, size_t bytes)
{
    return must(calloc(count ? count : 1, bytes ? bytes : 1), bytes);
}

void *
lp_realloc(void *p, size_t bytes)
{
    return must(realloc(p, bytes ? bytes : 1), bytes);
}

char *
lp_strdup(const char *s)
{
    return must(strdup(s), strlen(s) + 1);
}

void
lp_free(void *p)
{
    free(p);
}

void *
lp_try_malloc(size_t bytes)
{
    return malloc(bytes ? bytes : 1);
}

void *
lp_try_realloc(void *p, size_t bytes)
{
    return realloc(p, bytes ? bytes : 1);
}
