/*
 * pager.c - see pager.h.
 */
#include "server/pager.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define WORDS_MAX 32

extern char **environ;

/* Cuts text in place at blanks; how many words, NULL behind them. */
static size_t
split(char *text, char *words[WORDS_MAX + 1])
{
    size_t n = 0;
    char *rest = NULL;
    for (char *w = strtok_r(text, " \t", &rest); w != NULL && n < WORDS_MAX;
         w = strtok_r(NULL, " \t", &rest)) {
        words[n++] = w;
    }
    words[n] = NULL;
    return n;
}

/* Starts it with in as its standard input. False: there is no such program. */
static bool
start(char *const *words, int in, pid_t *ret)
{
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attr;
    sigset_t usual;
    bool good = posix_spawn_file_actions_init(&actions) == 0;
    if (!good || posix_spawnattr_init(&attr) != 0) {
        return false;
    }
    sigemptyset(&usual);
    sigaddset(&usual, SIGPIPE);
    good = posix_spawn_file_actions_adddup2(&actions, in, STDIN_FILENO) == 0 &&
           posix_spawnattr_setsigdefault(&attr, &usual) == 0 &&
           posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGDEF) == 0 &&
           posix_spawnp(ret, words[0], &actions, &attr, words, environ) == 0;
    posix_spawnattr_destroy(&attr);
    posix_spawn_file_actions_destroy(&actions);
    return good;
}

bool
lp_pager_begin(struct lp_pager *p)
{
    const char *wanted = getenv("PAGER");
    char *words[WORDS_MAX + 1], *text = lp_strdup(wanted != NULL ? wanted : "less");
    int ends[2] = {-1, -1}, terminal = -1;
    bool good = split(text, words) > 0 && strcmp(words[0], "cat") != 0 && pipe2(ends, O_CLOEXEC) == 0;
    setenv("LESS", "FRX", 0); /* one screen is shown as it is; colours; it stays there at the end */
    fflush(stdout);
    good = good && (terminal = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 0)) >= 0 &&
           start(words, ends[0], &p->pid) && dup2(ends[1], STDOUT_FILENO) >= 0;
    if (good) {
        p->terminal = terminal;
        signal(SIGPIPE, SIG_IGN);
    } else {
        p->pid = 0;
        if (terminal >= 0) {
            close(terminal);
        }
    }
    for (size_t i = 0; i < LP_ARRAY_LEN(ends) && ends[i] >= 0; i++) {
        close(ends[i]);
    }
    lp_free(text);
    return good;
}

void
lp_pager_end(struct lp_pager *p)
{
    int status;
    if (p->pid == 0) {
        return;
    }
    signal(SIGINT, SIG_IGN);
    fflush(stdout);
    dup2(p->terminal, STDOUT_FILENO); /* closes the pipe: the pager sees its end */
    close(p->terminal);
    while (waitpid(p->pid, &status, 0) < 0 && errno == EINTR) {
    }
    p->pid = 0;
}
