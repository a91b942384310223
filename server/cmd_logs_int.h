/*
 * cmd_logs_int.h - the parts of `logpond logs`: what was asked for and its URL, what a pod object says, lines as they come, and which were shown already.
 */
#ifndef LP_SERVER_CMD_LOGS_INT_H
#define LP_SERVER_CMD_LOGS_INT_H

#include <stdio.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/json.h"
#include "server/client.h"

#define LP_LOGS_NOTHING 1      /* exit status: no lines */
#define LP_LOGS_WRONG 2        /* exit status: trouble */
#define LP_LOGS_INTERRUPTED 130

enum lp_logs_output { LP_LOGS_DEFAULT, LP_LOGS_RAW, LP_LOGS_JSON };

struct lp_logs_target {
    const char *kind; /* as the server takes it ("deploy"), static; NULL: a pod */
    const char *name; /* borrowed */
};

/* What the command line asks for. Texts are borrowed; NULL: not given. */
struct lp_logs {
    const char *server, *tenant, *ns;
    struct lp_logs_target *targets;
    size_t ntargets; /* 0: all pods of the namespace, as far as selector and node say */
    const char *selector, *node, *container, *uid, *restart;
    const char *stream; /* "Stdout", "Stderr" */
    const char **contains, **regexes;
    size_t ncontains, nregexes;
    int64_t now_ns, since_ns, until_ns; /* LP_TIME_NONE: open */
    int64_t tail;                       /* -1: all */
    bool follow, previous, all_restarts, timestamps;
    enum lp_logs_output output;
    bool terminal, colour; /* of what standard output was when the command began */
    bool prefix;
    bool pager;
    bool single; /* of one container of one pod: that pod's own log is asked, whose refusals are about it */
};

/* --- cmd_logs_target.c --- */

/* "POD", "pod/POD", "deploy/NAME", "deployment.apps/NAME" ... LP_ERR_PARSE says what is expected. */
lp_rc lp_logs_take_target(const char *text, struct lp_logs_target *ret, struct lp_err *err) LP_MUST_USE;
/* A single pod by its name: the only kind of question that is about one pod object. */
bool lp_logs_of_one_pod(const struct lp_logs *q);
/* Whether lines go out as kubectl prints them, byte for byte: into a file or a program, or because that was asked for. */
bool lp_logs_plain(const struct lp_logs *q);

/* Where a follow goes on that broke. */
struct lp_logs_again {
    int64_t since_ns;  /* LP_TIME_NONE: from the beginning, as nothing was shown */
    struct lp_str uid; /* of the one pod; empty: not known */
};

/* Appends path and query string of the log. again: NULL the first time. raw: lines as text; else a JSON object a line. */
void lp_logs_put_url(struct lp_buf *out, const struct lp_logs *q, const struct lp_logs_again *again, bool raw);

/* --- cmd_logs_seen.c --- */

/* One line of a log; borrowed. */
struct lp_logs_line {
    struct lp_str pod, container, stream, line;
    int64_t time_ns;
};

struct lp_logs_seen;

/* floor_ns: nothing of before is wanted; LP_TIME_NONE: that the first line tells. */
struct lp_logs_seen *lp_logs_seen_new(int64_t floor_ns);
void lp_logs_seen_free(struct lp_logs_seen *s);
/* Whether the line is to be shown; it counts as shown from then on. False: it was shown before the connection broke, or was not wanted then. */
bool lp_logs_seen_take(struct lp_logs_seen *s, const struct lp_logs_line *l);
/* The connection broke: lines come again from the returned time on. LP_TIME_NONE: ask as before, as nothing was shown. */
int64_t lp_logs_seen_broke(struct lp_logs_seen *s, int64_t now_ns);

/* --- cmd_logs_pod.c --- */

/* What is to be known of one pod before its log is read. */
struct lp_logs_pod {
    bool known;
    size_t containers;  /* whose lines can come */
    uint64_t restarts;  /* of the newest run among them */
    int64_t last_ns;    /* of the pod's last line; LP_TIME_NONE: not told */
    char earlier[64];   /* uid of the pod of this name before it; "": none is known */
};

/* From a Pod object; container NULL: all of them. */
void lp_logs_pod_read(const struct lp_json_doc *doc, const char *container, struct lp_logs_pod *ret);
/* What an answer other than 200 says: a Status object's message, or the first line. Borrowed from a, or from p's last document. */
struct lp_str lp_logs_refusal(struct lp_client_answer *a, struct lp_json_parser *p, struct lp_json_doc *ret_doc);
/* In which namespaces a PodList has pods: "namespace a", "namespaces a, b". False: in none. The first of them is to be recommended. */
bool lp_logs_namespaces(const struct lp_json_doc *doc, struct lp_buf *out, struct lp_str *ret_first);

/* --- cmd_logs_read.c --- */

/* Shows the log; the exit status. q->prefix is what was asked for, or with auto_prefix the command's choice. */
int lp_logs_read(struct lp_logs *q, bool auto_prefix);

/* --- cmd_kubeconfig.c --- */

/* Appends a kubeconfig for a server (as lp_client_new takes it, or https). LP_ERR_PARSE: an address or a name that is none. */
lp_rc lp_kubeconfig_put(struct lp_buf *out, const char *server, const char *name, struct lp_err *err) LP_MUST_USE;

#endif
