/*
 * hooks.c - arming and passing the named points of hooks.h. Empty in a release build.
 */
#include "store/hooks.h"

#ifdef LP_TEST_HOOKS
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static atomic_uint passed;

static void
act(const char *action)
{
    if (strcmp(action, "kill") == 0) {
        kill(getpid(), SIGKILL);
        pause();
    }
    if (strncmp(action, "pause:", 6) == 0) {
        const char *path = action + 6;
        char reached[4096];
        snprintf(reached, sizeof(reached), "%s.reached", path);
        FILE *f = fopen(reached, "w");
        if (f != NULL) {
            fclose(f);
        }
        while (access(path, F_OK) != 0) {
            poll(NULL, 0, 2);
        }
    }
}

void
lp_hook(const char *name)
{
    const char *armed = getenv("LP_HOOK");
    size_t n = strlen(name);
    if (armed == NULL || strncmp(armed, name, n) != 0 || (armed[n] != ':' && armed[n] != '=')) {
        return;
    }
    unsigned long nth = armed[n] == ':' ? strtoul(armed + n + 1, NULL, 10) : 1;
    const char *action = strchr(armed, '=');
    if (action != NULL && atomic_fetch_add(&passed, 1) + 1 == nth) {
        act(action + 1);
    }
}
#endif
