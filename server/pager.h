/*
 * pager.h - long output on a terminal goes through a pager: $PAGER, else less. One at a time, in one thread.
 */
#ifndef LP_SERVER_PAGER_H
#define LP_SERVER_PAGER_H

#include <sys/types.h>

#include "base/lp.h"

/* Zero before it begins. */
struct lp_pager {
    pid_t pid;    /* 0: there is none */
    int terminal; /* what standard output was */
};

/*
 * From here on standard output goes to a pager, and a write fails with EPIPE once a person has left it. False: there is none (PAGER is empty or "cat", or names
 * no program), and nothing has changed. $PAGER is a program and its arguments, separated by blanks; no shell reads it.
 */
bool lp_pager_begin(struct lp_pager *p);
/* Waits until the person has left it; standard output is as before. Ctrl-C is the pager's meanwhile. Without a pager: nothing. */
void lp_pager_end(struct lp_pager *p);

#endif
