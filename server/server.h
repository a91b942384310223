/*
 * server.h - the running server: one object that ties store, log, intake, query workers and HTTP together.
 *
 * Threads: HTTP threads run handlers and never block; a handler hands its request to `ingest` or `queries` (pools), whose
 * workers answer it. The main thread only waits for signals.
 */
#ifndef LP_SERVER_SERVER_H
#define LP_SERVER_SERVER_H

#include <stdatomic.h>

#include "base/lock.h"
#include "base/settings.h"
#include "base/thread.h"
#include "ingest/intake.h"
#include "server/http.h"
#include "store/store.h"

struct lp_server {
    struct lp_settings set;
    char *config_path; /* NULL without a file */
    int argc;          /* the command line, for reloading */
    char **argv;
    struct lp_store *store;
    struct lp_ids_table *ids;
    struct lp_log *log;
    struct lp_intake intake;
    struct lp_pool *ingest, *queries;
    struct lp_arena_share query_memory; /* of all queries together */
    struct lp_turns *turns; /* the places that queries run in: fewer than the pool has threads, so that short ones can go before long ones */
    struct lp_tails *tails;
    struct lp_podlogs *podlogs;
    struct lp_pool *exports; /* exports go at the client's pace, which must not hold up queries */
    struct lp_retainer *retainer;
    struct lp_http *http;
    int64_t started_ns; /* wall clock */
    atomic_bool stopping;
    struct lp_mutex mu; /* LP_LOCK_SERVER: the decoders at rest */
    struct lp_decoder *decoders[64];
    size_t ndecoders;
};

/* The version of Loki whose API this is: Grafana and its Logs Drilldown want at least 3.2. */
#define LP_LOKI_VERSION "3.5.0"

/* All routes; each handlers_*.c brings its own table. */
struct lp_route_table {
    const struct lp_http_route *routes;
    size_t n;
};

/* A handler that runs on a pool: work(req, server) on a worker. Answers 429 when the pool is full, 503 while starting or stopping. */
struct lp_work_route {
    unsigned methods;
    const char *pattern;
    void (*work)(struct lp_http_req *req, struct lp_server *s);
    bool ingest; /* which pool */
};

extern const struct lp_work_route lp_push_routes[];
extern const size_t lp_push_nroutes;
extern const struct lp_work_route lp_query_routes[];
extern const size_t lp_query_nroutes;
extern const struct lp_work_route lp_admin_work_routes[];
extern const size_t lp_admin_nwork_routes;
extern const struct lp_http_route lp_admin_routes[]; /* ctx is filled with the server */
extern const size_t lp_admin_nroutes;

/* The tenant of a request: X-Scope-OrgID when tenants are on (false and answered 401 when it is missing), else empty. */
bool lp_server_tenant(const struct lp_server *s, struct lp_http_req *req, struct lp_str *ret);
/* Answers an error of ours with its HTTP status. */
void lp_server_error(struct lp_http_req *req, lp_rc rc, const struct lp_err *err);
/* A decoder for this call; give it back after. */
struct lp_decoder *lp_server_decoder(struct lp_server *s);
void lp_server_decoder_back(struct lp_server *s, struct lp_decoder *d);
/* True when pushes may be taken. */
bool lp_server_open(const struct lp_server *s);
/* True when queries may be answered. */
bool lp_server_ready(const struct lp_server *s);

/* Reads settings from file and flags; argv[0] is the command's name. LP_ERR_*: err says why. `--help` and `--print-config` are answered by the caller. */
struct lp_cmdline {
    bool help, print_config;
    const char *config_path;
};
lp_rc lp_server_settings(int argc, char **argv, struct lp_settings *set, struct lp_cmdline *ret, struct lp_err *err) LP_MUST_USE;

/* The commands: argv[0] is the command's name; the process's exit status. */
int lp_cmd_serve(int argc, char **argv);
int lp_cmd_push(int argc, char **argv);
int lp_cmd_query(int argc, char **argv);
int lp_cmd_logs(int argc, char **argv);
int lp_cmd_labels(int argc, char **argv);
int lp_cmd_series(int argc, char **argv);
int lp_cmd_retain(int argc, char **argv);
int lp_cmd_kubeconfig(int argc, char **argv);
int lp_cmd_status(int argc, char **argv);
int lp_cmd_compact(int argc, char **argv);
int lp_cmd_version(int argc, char **argv);

#endif
