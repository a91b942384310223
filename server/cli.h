/*
 * cli.h - the command line of the client commands: options from a table, and what they all have in common.
 */
#ifndef LP_SERVER_CLI_H
#define LP_SERVER_CLI_H

#include <signal.h>

#include "base/err.h"
#include "base/str.h"

struct lp_cli_option {
    const char *name; /* without the dashes */
    char id;          /* what lp_cli_next returns */
    bool value;       /* takes one: --name VALUE or --name=VALUE */
    char letter;      /* -n VALUE in place of --name VALUE; 0: none */
};

/* A walk over argv, from argv[1] on. Zero but for argc and argv. */
struct lp_cli {
    int argc;
    char **argv;
    int at;
    bool rest; /* behind "--": all are arguments */
};

#define LP_CLI_END 0
#define LP_CLI_ARGUMENT 1 /* no option: *ret_value is the argument */
#define LP_CLI_WRONG 2    /* err says why */
#define LP_CLI_HELP 'h'   /* --help or -h, known everywhere */

/* The next option's id, or one of the above. *ret_value borrows from argv. */
int lp_cli_next(struct lp_cli *cli, const struct lp_cli_option *options, size_t n, const char **ret_value,
                struct lp_err *err);

/* A command that takes its arguments one by one. */
struct lp_cli_command {
    const char *name, *help;
    const struct lp_cli_option *options;
    size_t noptions;
    bool arguments; /* it takes arguments that are no options, too; else they are refused */
    /* An option's value, or an argument (LP_CLI_ARGUMENT). What is wrong it says in the err that lp_cli_read was given. */
    lp_rc (*take)(void *arg, int id, const char *value);
};
#define LP_CLI_GO_ON (-1)
#define LP_CLI_TROUBLE 2
/* Gives all arguments to take. LP_CLI_GO_ON, or the exit status: 0 after help was printed, LP_CLI_TROUBLE after a complaint. */
int lp_cli_read(const struct lp_cli_command *command, int argc, char **argv, void *arg, struct lp_err *err);

/* Prints "logpond COMMAND: TEXT" to standard error, and where no server answered, how to start one. */
void lp_cli_complain(const char *command, const struct lp_err *err);

/*
 * From now on SIGINT and SIGTERM are noted; the second one kills. restart: calls of the system that are under way go on, so that what is being written is
 * written whole; else reads and waits end at once.
 */
void lp_cli_catch_interrupts(bool restart);
extern volatile sig_atomic_t lp_cli_interrupted;

#endif
