/*
 * cmd_serve.c - `logpond serve`: builds the server, waits for signals, takes it down in order.
 *
 * Order up: store (recovers), log, HTTP (answers 503 until the log's start-up is done), log start (replay).
 * Order down: HTTP stops accepting and ends what is pending, the log stops, the store seals, everything is
 * freed. SIGTERM, SIGINT: stop. SIGHUP: reload settings that can be. SIGPIPE is ignored.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/metrics.h"
#include "query/turn.h"
#include "server/kube.h"
#include "server/logger.h"
#include "server/podlogs.h"
#include "server/retainer.h"
#include "server/selectors.h"
#include "server/server.h"
#include "server/tails.h"
#include "store/maintain.h"

#define STOP_REQUESTS_NS (10 * LP_NS_PER_S)
#define STOP_SEAL_NS (60 * LP_NS_PER_S)
#define INFLIGHT_BYTES (256u << 20)
#define INGEST_QUEUE 1024
#define QUERY_THREADS 64 /* queries under way at once: of them --query-workers run */
#define QUERY_QUEUE 1024 /* many clients come back at once after a restart */
#define QUERY_NICE                                                                                           \
    5 /* queries get a third of the processor time of intake and seals, where there is not enough for all */
#define EXPORT_THREADS 4
#define EXPORT_QUEUE 16
#define FILES_LEAST 256
#define FILES_MOST (1u << 17)

/* --- events of the parts below, as lines of the server's log --- */

static void
say_event(const char *area, enum lp_event level, const char *text)
{
    if (level == LP_EVENT_ERROR) {
        lp_error(area, "%s", text);
    } else if (level == LP_EVENT_WARN) {
        lp_warn(area, "%s", text);
    } else {
        lp_info(area, "%s", text);
    }
}

static void
on_event(void *ctx, enum lp_event level, const char *text)
{
    (void)ctx;
    say_event("store", level, text);
}

static void
on_kafka_event(void *ctx, enum lp_event level, const char *text)
{
    (void)ctx;
    say_event("kafka", level, text);
}

static void
on_fatal(void *ctx, const struct lp_err *err)
{
    (void)ctx;
    lp_error("store", "the catalog cannot be trusted any more, so the process ends; start it again. %s",
             err->text);
    _exit(70); /* EX_SOFTWARE: no destructors, no half-written goodbyes */
}

static void
on_stored(void *ctx, uint64_t generation, const struct lp_foot_ticket *positions, size_t n)
{
    struct lp_server *s = ctx;
    (void)generation;
    s->log->ops->stored(s->log, positions, n);
}

static void
set_level(const struct lp_server *s)
{
    enum lp_log_level level;
    if (lp_log_level_parse(lp_str_c(s->set.log_level), &level)) {
        lp_log_set_level(level);
    } else {
        lp_warn("server", "log-level %s is none of error, warn, info, debug", s->set.log_level);
    }
}

/* --- building --- */

static bool
load_id(void *arg, const struct lp_batch_id *id)
{
    lp_ids_table_load(arg, id);
    return true;
}

static lp_rc
load_ids(struct lp_server *s, struct lp_err *err)
{
    struct lp_cat_txn *t;
    lp_rc rc = lp_cat_begin(lp_store_catalog(s->store), &t, err);
    if (rc == LP_OK) {
        rc = lp_cat_ids(t, load_id, s->ids, err);
        lp_cat_end(t);
    }
    return rc;
}

/* As many open files as the system allows; how many that is. Half of them are for segments, the rest for
 * connections, brokers and the journal. */
static size_t
raise_file_limit(void)
{
    struct rlimit lim;
    if (getrlimit(RLIMIT_NOFILE, &lim) != 0) {
        return FILES_LEAST;
    }
    rlim_t before = lim.rlim_cur;
    lim.rlim_cur = lim.rlim_max == RLIM_INFINITY ? FILES_MOST : LP_MIN(lim.rlim_max, (rlim_t)FILES_MOST);
    if (lim.rlim_cur <= before || setrlimit(RLIMIT_NOFILE, &lim) != 0) {
        lim.rlim_cur = before;
    }
    return (size_t)LP_MIN(lim.rlim_cur, (rlim_t)FILES_MOST);
}

static lp_rc
open_store(struct lp_server *s, struct lp_err *err)
{
    struct lp_store_config cfg = {
        .dir = s->set.data,
        .seal_bytes = (size_t)s->set.seal_bytes,
        .largest_bytes = lp_intake_largest((size_t)s->set.decoded_bytes),
        .seal_after_ns = s->set.seal_after,
        .seal_workers = (unsigned)s->set.seal_workers,
        .reserve_bytes = (uint64_t)s->set.reserve_bytes,
        .min_free_bytes = (uint64_t)s->set.min_free,
        .select = &lp_selectors,
        .compact = s->set.compact,
        .compact_age_ns = s->set.kafka_brokers[0] != 0 ? s->set.compact_after : 0,
        .compact_settle_ns = s->set.compact_settle,
        .segment_cache_bytes = (size_t)s->set.segment_cache,
        .segments_open = raise_file_limit() / 2,
        .on_event = on_event,
        .on_fatal = on_fatal,
        .ctx = s,
    };
    return lp_store_open(&cfg, &s->store, err);
}

static lp_rc
make_journal(struct lp_server *s, const struct lp_log_env *env, struct lp_err *err)
{
    struct lp_journal_config j = {s->set.data, (uint64_t)LP_MAX(s->set.seal_bytes / 2, INT64_C(1) << 20)};
    return lp_journal_new(env, &j, &s->log, err);
}

/* What a journal still holds from the time before the brokers is stored first; then Kafka is the log. */
static lp_rc
drain_journal(struct lp_server *s, const struct lp_log_env *env, struct lp_err *err)
{
    lp_rc rc = make_journal(s, env, err);
    if (rc != LP_OK) {
        return rc;
    }
    rc = lp_log_start(s->log, err);
    if (rc == LP_OK) {
        rc = lp_store_seal(s->store, lp_mono_ns() + STOP_SEAL_NS, err);
    }
    s->log->ops->stop(s->log);
    s->log->ops->free(s->log);
    s->log = NULL;
    return rc;
}

static lp_rc
make_log(struct lp_server *s, struct lp_err *err)
{
    struct lp_log_env env = {s->store, s->ids, s->intake.limits, on_event, s};
    if (s->set.kafka_brokers[0] == 0) {
        return make_journal(s, &env, err);
    }
    struct lp_kafka_config k = {s->set.kafka_brokers, s->set.kafka_topics, s->set.kafka_push_topic,
                                s->set.kafka_group,   s->set.kafka_set,    (unsigned)s->set.ingest_workers};
    lp_rc rc = drain_journal(s, &env, err);
    env.on_event = on_kafka_event;
    return rc == LP_OK ? lp_kafka_new(&env, &k, &s->log, err) : rc;
}

static lp_rc
build(struct lp_server *s, struct lp_err *err)
{
    lp_rc rc = open_store(s, err);
    if (rc != LP_OK) {
        return rc;
    }
    s->ids = lp_ids_table_new();
    s->intake.limits = (struct lp_decode_limits){(size_t)s->set.decoded_bytes,
                                                 lp_intake_largest((size_t)s->set.decoded_bytes)};
    lp_store_set_callbacks(s->store, on_stored, s);
    rc = load_ids(s, err);
    rc = rc == LP_OK ? lp_retainer_new(&s->set, s->store, &s->retainer, err) : rc;
    rc = rc == LP_OK ? make_log(s, err) : rc;
    if (rc != LP_OK) {
        return rc;
    }
    s->intake.store = s->store;
    s->intake.log = s->log;
    s->ingest = lp_pool_new("ingest", (unsigned)s->set.ingest_workers, INGEST_QUEUE);
    s->queries = lp_pool_new("query", QUERY_THREADS, QUERY_QUEUE);
    s->query_memory.most = (size_t)s->set.query_bytes_total;
    s->turns = lp_turns_new((unsigned)s->set.query_workers);
    s->exports = lp_pool_new("export", EXPORT_THREADS, EXPORT_QUEUE);
    s->tails = lp_tails_new(s);
    s->podlogs = lp_podlogs_new(s);
    return LP_OK;
}

/* --- routes that run on workers --- */

struct work {
    struct lp_server *s;
    struct lp_http_req *req;
    void (*fn)(struct lp_http_req *req, struct lp_server *s);
};

struct bound_route {
    struct lp_server *s;
    const struct lp_work_route *route;
    void (*refuse)(struct lp_http_req *req, int status, const char *text);
};

static void
run_work(void *arg)
{
    struct work w = *(struct work *)arg;
    lp_free(arg);
    w.fn(w.req, w.s);
}

/* A query: on one of many threads, in one of few places. */
static void
run_query(void *arg)
{
    static _Thread_local bool lowered;
    struct work w = *(struct work *)arg;
    struct lp_turn turn = {.turns = NULL};
    lp_free(arg);
    if (!lowered) {
        lp_thread_nice(QUERY_NICE);
        lowered = true;
    }
    lp_metric_add(LP_M_QUERIES_RUNNING, 1);
    lp_turn_begin(&turn, w.s->turns);
    w.fn(w.req, w.s);
    lp_turn_end(&turn);
    lp_metric_add(LP_M_QUERIES_RUNNING, -1);
}

static void
refuse(struct lp_http_req *req, int status, const char *text)
{
    lp_http_error(req, status, "%s", text);
}

static void
dispatch(struct lp_http_req *req, void *ctx)
{
    struct bound_route *b = ctx;
    bool ingest = b->route->ingest;
    if (!(ingest ? lp_server_open(b->s) : lp_server_ready(b->s))) {
        char text[LP_ERR_TEXT_BYTES];
        bool stopping = atomic_load(&b->s->stopping);
        snprintf(text, sizeof(text), stopping ? "the server is stopping%s" : "the server is starting: %s",
                 stopping ? "" : b->s->log->ops->starting);
        b->refuse(req, 503, text);
        return;
    }
    struct work *w = lp_malloc(sizeof(*w));
    *w = (struct work){b->s, req, b->route->work};
    if (lp_pool_try(ingest ? b->s->ingest : b->s->queries, ingest ? run_work : run_query, w) != LP_OK) {
        lp_free(w);
        lp_metric_add(LP_M_INGEST_NO_ROOM, ingest);
        b->refuse(req, 429, "too many requests are waiting; try again");
    }
}

struct routes {
    struct lp_http_route *all;
    struct bound_route *bound;
    size_t n;
};

/* Behind those that are there. */
static void
bind_routes(struct lp_server *s, const struct lp_work_route *routes, size_t n,
            void (*how)(struct lp_http_req *req, int status, const char *text), struct routes *r)
{
    for (size_t i = 0; i < n; i++) {
        r->bound[r->n] = (struct bound_route){s, &routes[i], how};
        r->all[r->n] =
            (struct lp_http_route){routes[i].methods, routes[i].pattern, dispatch, &r->bound[r->n], 0};
        r->n++;
    }
}

static void
on_done(void *ctx, const char *method, const char *target, int status, int64_t duration_ns)
{
    (void)ctx;
    lp_metric_add(LP_M_HTTP_REQUESTS, 1);
    lp_metric_add(LP_M_HTTP_ERRORS, status >= 400);
    lp_metric_observe(LP_M_HTTP_DURATION, duration_ns);
    lp_debug("http", "%s %s %d %.1f ms", method, target, status, (double)duration_ns / 1e6);
}

static void
make_routes(struct lp_server *s, struct routes *r)
{
    size_t most =
        lp_push_nroutes + lp_query_nroutes + lp_admin_nwork_routes + lp_admin_nroutes + lp_kube_nroutes;
    r->bound = lp_calloc(most, sizeof(*r->bound)); /* of the same indexes as r->all */
    r->all = lp_calloc(most, sizeof(*r->all));
    bind_routes(s, lp_push_routes, lp_push_nroutes, refuse, r);
    bind_routes(s, lp_query_routes, lp_query_nroutes, refuse, r);
    bind_routes(s, lp_admin_work_routes, lp_admin_nwork_routes, refuse, r);
    for (size_t i = 0; i < lp_admin_nroutes; i++) {
        r->all[r->n] = lp_admin_routes[i];
        r->all[r->n++].ctx = s;
    }
    bind_routes(s, lp_kube_routes, lp_kube_nroutes, lp_kube_refuse,
                r); /* last: they take what is left of /api */
}

static lp_rc
start_http(struct lp_server *s, const struct routes *r, struct lp_err *err)
{
    struct lp_http_config cfg = {
        .listen = s->set.listen,
        .threads = (unsigned)s->set.http_threads,
        .body_bytes_max = (size_t)s->set.body_bytes,
        .header_bytes_max = (size_t)s->set.header_bytes,
        .cors_origin = s->set.cors_origin[0] != 0 ? s->set.cors_origin : NULL,
        .connections_max = (size_t)s->set.http_connections,
        .inflight_bytes_max = LP_MAX(INFLIGHT_BYTES, 4 * (size_t)s->set.body_bytes),
        .header_timeout_ns = 10 * LP_NS_PER_S,
        .write_stall_ns = 30 * LP_NS_PER_S,
        .idle_ns = 120 * LP_NS_PER_S,
        .body_bytes_per_s_min = 1024,
        .routes = r->all,
        .nroutes = r->n,
        .on_done = on_done,
        .ctx = s,
    };
    return lp_http_start(&cfg, &s->http, err);
}

/* --- signals --- */

static void
reload(struct lp_server *s)
{
    struct lp_settings fresh;
    struct lp_cmdline cl;
    struct lp_err err;
    struct lp_buf restart;
    lp_settings_init(&fresh);
    lp_err_clear(&err);
    lp_buf_init(&restart, 1 << 16);
    if (lp_server_settings(s->argc, s->argv, &fresh, &cl, &err) != LP_OK) {
        lp_error("server", "settings were not reloaded: %s", err.text);
    } else {
        lp_settings_reload(&s->set, &fresh, &restart);
        set_level(s);
        lp_store_set_seal_after(s->store, s->set.seal_after);
        __atomic_store_n(&s->query_memory.most, (size_t)s->set.query_bytes_total, __ATOMIC_RELAXED);
        lp_retainer_reload(s->retainer);
        lp_store_set_segment_cache(s->store, (size_t)s->set.segment_cache);
        lp_info("server", "settings reloaded%s" LP_STR_FMT, restart.n > 0 ? "; these need a restart: " : "",
                LP_STR_ARG(lp_buf_view(&restart)));
    }
    lp_buf_clear(&restart);
    lp_settings_clear(&fresh);
}

static void
wait_for_end(struct lp_server *s, const sigset_t *signals)
{
    const struct timespec tick = {.tv_sec = 1};
    for (;;) {
        int sig = sigtimedwait(signals, NULL, &tick);
        lp_log_tick(false);
        if (lp_server_ready(s)) {
            lp_retainer_tick(s->retainer);
        }
        if (sig == SIGHUP) {
            reload(s);
        } else if (sig > 0) {
            lp_info("server", "signal %s: stopping", sig == SIGTERM ? "TERM" : "INT");
            return;
        }
    }
}

/* --- taking it down --- */

static int
take_down(struct lp_server *s, struct routes *r)
{
    struct lp_err err;
    int status = 0;
    lp_err_clear(&err);
    atomic_store(&s->stopping, true);
    if (s->store != NULL) { /* first: a run of retention waits for merges, and below it is waited for */
        lp_maintain_halt(lp_store_maintain(s->store));
    }
    if (s->http != NULL) {
        lp_http_stop(s->http, lp_mono_ns() + STOP_REQUESTS_NS);
    }
    lp_pool_stop(s->ingest);
    lp_pool_stop(s->queries);
    lp_pool_stop(s->exports);
    lp_tails_stop(s->tails);
    lp_podlogs_stop(s->podlogs);
    lp_retainer_stop(s->retainer);
    if (s->log != NULL) {
        s->log->ops->stop(s->log);
    }
    if (s->store != NULL && lp_store_stop(s->store, lp_mono_ns() + STOP_SEAL_NS, &err) != LP_OK) {
        lp_warn("server", "%s", err.text);
        status = 1;
    }
    lp_http_free(s->http);
    lp_tails_free(s->tails);
    lp_podlogs_free(s->podlogs);
    lp_pool_free(s->ingest);
    lp_pool_free(s->queries);
    lp_pool_free(s->exports);
    lp_retainer_free(s->retainer);
    if (s->log != NULL) {
        s->log->ops->free(s->log);
    }
    lp_turns_free(s->turns);
    lp_store_free(s->store);
    lp_ids_table_free(s->ids);
    for (size_t i = 0; i < s->ndecoders; i++) {
        lp_decoder_free(s->decoders[i]);
    }
    lp_free(r->all);
    lp_free(r->bound);
    lp_info("server", "stopped");
    lp_log_tick(true);
    return status;
}

static int
run(struct lp_server *s)
{
    struct lp_err err;
    struct routes r = {NULL, NULL, 0};
    sigset_t signals;
    lp_err_clear(&err);
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGHUP);
    pthread_sigmask(SIG_BLOCK, &signals, NULL);
    signal(SIGPIPE, SIG_IGN);
    lp_rc rc = build(s, &err);
    if (rc == LP_OK) {
        make_routes(s, &r);
        rc = start_http(s, &r, &err);
    }
    if (rc == LP_OK) {
        lp_info("server", "logpond %s, data in %s, listening on http://%s", PACKAGE_VERSION, s->set.data,
                lp_http_address(s->http));
        rc = lp_log_start(s->log, &err);
    }
    if (rc != LP_OK) {
        lp_error("server", "%s", err.text);
        (void)take_down(s, &r);
        return 1;
    }
    lp_info("server", "ready");
    if (s->set.compact_now) {
        (void)lp_maintain_ask(lp_store_maintain(s->store));
    }
    wait_for_end(s, &signals);
    return take_down(s, &r);
}

static void
help(void)
{
    struct lp_buf b;
    lp_buf_init(&b, 1 << 20);
    lp_settings_help(&b);
    printf("usage: logpond serve [--config FILE] [--print-config] [OPTIONS]\n\n"
           "Runs the server. Without any option it listens on 127.0.0.1:3100 and keeps its data in "
           "./data.\n\n" LP_STR_FMT,
           LP_STR_ARG(lp_buf_view(&b)));
    lp_buf_clear(&b);
}

int
lp_cmd_serve(int argc, char **argv)
{
    struct lp_server *s = lp_calloc(1, sizeof(*s));
    struct lp_cmdline cl;
    struct lp_err err;
    int status = 0;
    lp_err_clear(&err);
    s->argc = argc;
    s->argv = argv;
    s->started_ns = lp_now_ns();
    lp_mutex_init(&s->mu, LP_LOCK_SERVER);
    lp_settings_init(&s->set);
    if (lp_server_settings(argc, argv, &s->set, &cl, &err) != LP_OK) {
        fprintf(stderr, "logpond serve: %s\n", err.text);
        status = 2;
    } else if (cl.help) {
        help();
    } else if (cl.print_config) {
        struct lp_buf b;
        lp_buf_init(&b, 1 << 20);
        lp_settings_print(&s->set, false, &b);
        fwrite(b.p, 1, b.n, stdout);
        lp_buf_clear(&b);
    } else {
        set_level(s);
        status = run(s);
    }
    lp_settings_clear(&s->set);
    lp_mutex_destroy(&s->mu);
    lp_free(s);
    return status;
}
