/*
 * cli.c - see cli.h.
 */
#include "server/cli.h"

#include <errno.h>
#include <stdio.h>

/* text: "--name" or "-n". */
static const struct lp_cli_option *
find(const struct lp_cli_option *options, size_t n, struct lp_str text)
{
    for (size_t i = 0; i < n; i++) {
        bool by_letter = text.n == 2 && text.p[1] != '-' && text.p[1] == options[i].letter;
        if (by_letter || (text.p[1] == '-' && lp_str_eqc(lp_str_sub(text, 2, text.n), options[i].name))) {
            return &options[i];
        }
    }
    return NULL;
}

int
lp_cli_next(struct lp_cli *cli, const struct lp_cli_option *options, size_t n, const char **ret_value,
            struct lp_err *err)
{
    *ret_value = NULL;
    if (++cli->at >= cli->argc) {
        return LP_CLI_END;
    }
    const char *arg = cli->argv[cli->at];
    if (!cli->rest && strcmp(arg, "--") == 0) {
        cli->rest = true;
        return lp_cli_next(cli, options, n, ret_value, err);
    }
    if (cli->rest || arg[0] != '-' || arg[1] == 0) {
        *ret_value = arg;
        return LP_CLI_ARGUMENT;
    }
    if (strcmp(arg, "--help") == 0 || strcmp(arg, "-h") == 0) {
        return LP_CLI_HELP;
    }
    struct lp_str name = lp_str_c(arg);
    const char *equals = strchr(arg, '=');
    name.n = equals != NULL ? (size_t)(equals - arg) : name.n;
    const struct lp_cli_option *o = find(options, n, name);
    if (o == NULL) {
        (void)lp_err_set(err, LP_ERR_PARSE,
                         "unknown option " LP_STR_FMT " (see --help; behind -- all is taken as it stands)",
                         LP_STR_ARG(name));
        return LP_CLI_WRONG;
    }
    if (!o->value && equals != NULL) {
        (void)lp_err_set(err, LP_ERR_PARSE, "option --%s takes no value", o->name);
        return LP_CLI_WRONG;
    }
    if (o->value && equals == NULL && ++cli->at >= cli->argc) {
        (void)lp_err_set(err, LP_ERR_PARSE, "option --%s needs a value", o->name);
        return LP_CLI_WRONG;
    }
    *ret_value = !o->value ? NULL : equals != NULL ? equals + 1 : cli->argv[cli->at];
    return o->id;
}

void
lp_cli_complain(const char *command, const struct lp_err *err)
{
    fprintf(stderr, "logpond %s: %s\n", command, err->text);
    if (err->rc == LP_ERR_IO && err->sys_errno == ECONNREFUSED) {
        fprintf(stderr, "Is it running? Start one with: logpond serve --data DIR   (or name another with "
                        "--server URL)\n");
    }
}

int
lp_cli_read(const struct lp_cli_command *command, int argc, char **argv, void *arg, struct lp_err *err)
{
    struct lp_cli cli = {.argc = argc, .argv = argv};
    const char *value;
    int id;
    while ((id = lp_cli_next(&cli, command->options, command->noptions, &value, err)) != LP_CLI_END) {
        if (id == LP_CLI_HELP) {
            fputs(command->help, stdout);
            return 0;
        }
        if (id == LP_CLI_ARGUMENT && !command->arguments) {
            (void)lp_err_set(err, LP_ERR_PARSE, "unexpected argument %s (see --help)", value);
            id = LP_CLI_WRONG;
        }
        if (id == LP_CLI_WRONG || command->take(arg, id, value) != LP_OK) {
            lp_cli_complain(command->name, err);
            return LP_CLI_TROUBLE;
        }
    }
    return LP_CLI_GO_ON;
}

volatile sig_atomic_t lp_cli_interrupted;

static void
on_signal(int sig)
{
    (void)sig;
    lp_cli_interrupted = 1;
}

void
lp_cli_catch_interrupts(bool restart)
{
    struct sigaction sa = {.sa_handler = on_signal,
                           .sa_flags = (int)SA_RESETHAND | (restart ? SA_RESTART : 0)};
    sigaction(SIGINT, &sa, NULL);
    sigaction(SIGTERM, &sa, NULL);
}
