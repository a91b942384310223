/*
 * main.c - `logpond COMMAND`: finds the command and runs it.
 */
#include <malloc.h>
#include <stdio.h>
#include <string.h>

#include "server/server.h"

static const struct command {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *text;
} commands[] = {
    {"serve", lp_cmd_serve, "run the server: take logs in, keep them, answer searches"},
    {"push", lp_cmd_push, "send log files, folders of container logs or standard input to a server"},
    {"query", lp_cmd_query, "search: plain words over everything, or LogQL"},
    {"logs", lp_cmd_logs, "the logs of pods, also of those that are gone, as kubectl logs shows them"},
    {"labels", lp_cmd_labels, "list label names, or the values of one"},
    {"series", lp_cmd_series, "list the label sets that are stored"},
    {"retain", lp_cmd_retain, "let go what has expired by the rules, or say what would go"},
    {"kubeconfig", lp_cmd_kubeconfig, "print a context with which kubectl reads from a server"},
    {"status", lp_cmd_status, "say how a server is doing"},
    {"compact", lp_cmd_compact, "merge stored segments into final files now"},
    {"version", lp_cmd_version, "print the version"},
};

static void
usage(FILE *out)
{
    fprintf(out, "logpond: keeps the logs of a fleet apart from its nodes, pods and containers\n\n"
                 "usage: logpond COMMAND [OPTIONS]\n\n");
    for (size_t i = 0; i < LP_ARRAY_LEN(commands); i++) {
        fprintf(out, "  %-10s %s\n", commands[i].name, commands[i].text);
    }
    fprintf(out, "\n`logpond COMMAND --help` tells more. Start with: logpond serve --data DIR\n");
}

int
lp_cmd_version(int argc, char **argv)
{
    (void)argc;
    (void)argv;
    printf("logpond %s\n", PACKAGE_VERSION);
    return 0;
}

int
main(int argc, char **argv)
{
    /* bodies, batches and fetched messages are large and short-lived: mapping each anew is a quarter of the
     * CPU of taking logs in. Up to this size they are kept for the next one, at some 50 MB of memory; larger
     * ones go back at once */
    mallopt(M_MMAP_THRESHOLD, 8 << 20);
    mallopt(M_TRIM_THRESHOLD, 64 << 20);
    mallopt(M_ARENA_MAX, 4);
    if (argc < 2) {
        usage(stderr);
        return 2;
    }
    for (size_t i = 0; i < LP_ARRAY_LEN(commands); i++) {
        if (strcmp(argv[1], commands[i].name) == 0) {
            return commands[i].run(argc - 1, argv + 1);
        }
    }
    if (strcmp(argv[1], "--version") == 0) {
        return lp_cmd_version(argc, argv);
    }
    bool help = strcmp(argv[1], "help") == 0 || strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0;
    if (!help) {
        fprintf(stderr, "logpond: there is no command %s\n\n", argv[1]);
    }
    usage(help ? stdout : stderr);
    return help ? 0 : 2;
}
