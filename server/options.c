/*
 * options.c - settings of `serve` from file and command line: default < configuration file < flag.
 */
#include <stdio.h>
#include <string.h>

#include "base/io.h"
#include "server/retainer.h"
#include "server/server.h"

#define CONFIG_BYTES_MAX (1u << 20)

static lp_rc
read_config(const char *path, struct lp_settings *set, struct lp_err *err)
{
    struct lp_arena ar;
    struct lp_str text;
    lp_arena_init(&ar, 2 * CONFIG_BYTES_MAX, 0);
    lp_rc rc = lp_io_read_file(lp_io_posix(), path, CONFIG_BYTES_MAX, &ar, &text, err);
    if (rc == LP_OK) {
        rc = lp_settings_yaml(set, text, err);
    }
    if (rc != LP_OK) {
        rc = err->line > 0 ? lp_err_prefix(err, rc, "%s line %u", path, err->line)
                           : lp_err_prefix(err, rc, "%s", path);
    }
    lp_arena_clear(&ar);
    return rc;
}

/* One argument: "--name=value", "--name value" or a bare flag. Advances *i over what it used. */
static lp_rc
take_flag(int argc, char **argv, int *i, struct lp_settings *set, struct lp_err *err)
{
    struct lp_str rest = lp_str_c(argv[*i] + 2);
    bool inline_value = memchr(rest.p, '=', rest.n) != NULL;
    struct lp_str name = lp_str_cut(&rest, '=');
    if (!lp_settings_known(name)) {
        return lp_err_set(err, LP_ERR_NOT_FOUND, "unknown option --" LP_STR_FMT " (see --help)",
                          LP_STR_ARG(name));
    }
    if (!inline_value && lp_settings_is_flag(name)) {
        return lp_settings_set(set, name, LP_STR("on"), err);
    }
    if (!inline_value) {
        if (*i + 1 >= argc) {
            return lp_err_set(err, LP_ERR_PARSE, "option --" LP_STR_FMT " needs a value", LP_STR_ARG(name));
        }
        rest = lp_str_c(argv[++*i]);
    }
    return lp_settings_set(set, name, rest, err);
}

/* The configuration file must be read before the flags, wherever its option stands. */
static lp_rc
find_config(int argc, char **argv, struct lp_cmdline *cl, struct lp_err *err)
{
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--config") == 0) {
            if (i + 1 >= argc) {
                return lp_err_set(err, LP_ERR_PARSE, "option --config needs a file");
            }
            cl->config_path = argv[i + 1];
        } else if (strncmp(argv[i], "--config=", 9) == 0) {
            cl->config_path = argv[i] + 9;
        }
    }
    return LP_OK;
}

/* Rules are read here once, so that a mistake is told at the start, and at a reload before it counts. */
static lp_rc
check_rules(const struct lp_settings *set, struct lp_err *err)
{
    struct lp_retain_conf conf;
    lp_rc rc = lp_retain_conf_of(set, &conf, err);
    if (rc == LP_OK) {
        lp_rules_unref(conf.rules);
    }
    return rc;
}

lp_rc
lp_server_settings(int argc, char **argv, struct lp_settings *set, struct lp_cmdline *ret, struct lp_err *err)
{
    *ret = (struct lp_cmdline){.help = false};
    lp_rc rc = find_config(argc, argv, ret, err);
    if (rc == LP_OK && ret->config_path != NULL) {
        rc = read_config(ret->config_path, set, err);
    }
    for (int i = 1; i < argc && rc == LP_OK; i++) {
        if (strcmp(argv[i], "--config") == 0) {
            i++;
        } else if (strncmp(argv[i], "--config=", 9) == 0) {
            continue;
        } else if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
            ret->help = true;
        } else if (strcmp(argv[i], "--print-config") == 0) {
            ret->print_config = true;
        } else if (strncmp(argv[i], "--", 2) == 0) {
            rc = take_flag(argc, argv, &i, set, err);
        } else {
            rc = lp_err_set(err, LP_ERR_PARSE, "unexpected argument %s (see --help)", argv[i]);
        }
    }
    return rc == LP_OK ? check_rules(set, err) : rc;
}
