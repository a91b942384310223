/*
 * http_probe.c - a server with nothing but the HTTP layer, for tests/system/test_http_layer.py.
 *
 *   http-probe [NAME=NUMBER ...]     limits (bytes, milliseconds), see settings[]
 *
 * Prints its address on stdout, ends on SIGTERM: stops the service (stop_ms), answers what still hangs, and
 * prints one line of counters. The exit status is 0 only if nothing is left: requests, connections, body
 * bytes.
 */
#include "server/http.h"

#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/lock.h"
#include "base/thread.h"
#include "server/logger.h"

#define HANGING_MAX 4096
#define BYTES_MAX (256u * 1024 * 1024)

struct probe {
    struct lp_http *http;
    struct lp_pool *pool;
    struct lp_mutex mu;
    struct lp_http_req *hanging[HANGING_MAX]; /* under mu */
    unsigned nhanging;                        /* under mu */
    atomic_uint canceled;                     /* streams whose client left */
    atomic_uint answered;                     /* on_done with a status below 499 */
    atomic_uint left;                         /* on_done with 499 */
};

static struct probe probe;

static int64_t threads = 2, body_max = 1 << 20, header_max = 4096, connections = 1000, inflight = 64 << 20;
static int64_t header_ms = 10000, stall_ms = 30000, idle_ms = 120000, rate = 1024, window_ms = 10000;
static int64_t linger_ms = 2000, stop_ms = 2000, port = 0, workers = 4;

static const struct {
    const char *name;
    int64_t *value;
} settings[] = {
    {"threads", &threads},
    {"body_max", &body_max},
    {"header_max", &header_max},
    {"connections", &connections},
    {"inflight", &inflight},
    {"header_ms", &header_ms},
    {"stall_ms", &stall_ms},
    {"idle_ms", &idle_ms},
    {"rate", &rate},
    {"window_ms", &window_ms},
    {"linger_ms", &linger_ms},
    {"stop_ms", &stop_ms},
    {"port", &port},
    {"workers", &workers},
};

/* A number among the parameters. */
static uint64_t
number(struct lp_http_req *req, const char *name, uint64_t otherwise)
{
    const struct lp_pair *p;
    size_t n;
    uint64_t v;
    if (lp_http_params(req, &p, &n, NULL) == LP_OK) {
        for (size_t i = 0; i < n; i++) {
            if (lp_str_eqc(p[i].name, name) && lp_str_u64(p[i].value, &v)) {
                return v;
            }
        }
    }
    return otherwise;
}

static void
to_worker(struct lp_http_req *req, void (*fn)(void *arg))
{
    if (lp_pool_try(probe.pool, fn, req) != LP_OK) {
        lp_http_error(req, 503, "no worker");
    }
}

static void
tiny(struct lp_http_req *req, void *ctx)
{
    (void)ctx;
    lp_http_reply(req, 200, "text/plain", LP_STR("ok\n"));
}

static void
thread_id(struct lp_http_req *req, void *ctx)
{
    (void)ctx;
    char text[24];
    int n = snprintf(text, sizeof(text), "%d", (int)gettid());
    lp_http_reply(req, 200, "text/plain", lp_str_of(text, (size_t)n));
}

static const char *
method_text(enum lp_http_method m)
{
    return m == LP_POST     ? "POST"
           : m == LP_PUT    ? "PUT"
           : m == LP_PATCH  ? "PATCH"
           : m == LP_DELETE ? "DELETE"
                            : "GET";
}

/* The body comes back; X-Echo names the method, the peer, and how many zero bytes follow the body. */
static void
echo(struct lp_http_req *req, void *ctx)
{
    (void)ctx;
    struct lp_str body = lp_http_body(req);
    size_t pad = 0;
    while (pad < LP_BUF_PAD && body.p[body.n + pad] == 0) {
        pad++;
    }
    char text[128];
    struct lp_str peer = lp_http_peer(req);
    int n = snprintf(text, sizeof(text), "%s " LP_STR_FMT " %zu", method_text(lp_http_method(req)),
                     LP_STR_ARG(peer), pad);
    lp_http_add_header(req, "X-Echo", lp_str_of(text, (size_t)n));
    lp_http_add_header(req, "X-Bad", LP_STR("a\r\nSet-Cookie: evil"));
    lp_http_reply(req, 200, "application/octet-stream", body);
}

static void
push(struct lp_http_req *req, void *ctx)
{
    (void)ctx;
    lp_http_reply(req, 204, NULL, LP_STR_NULL);
}

static void
slow_work(void *arg)
{
    struct lp_http_req *req = arg;
    int64_t until_ns = lp_mono_ns() + (int64_t)number(req, "ms", 0) * LP_NS_PER_MS;
    const struct timespec ms = {.tv_nsec = 1000000};
    while (lp_mono_ns() < until_ns && !lp_http_gone(req)) {
        nanosleep(&ms, NULL);
    }
    lp_http_reply(req, lp_http_gone(req) ? 503 : 200, "text/plain", lp_http_target(req));
}

static void
slow(struct lp_http_req *req, void *ctx)
{
    (void)ctx;
    to_worker(req, slow_work);
}

/* Whole answers of any size, from a worker without a copy, or copied on the HTTP thread. */
static void
big_work(void *arg)
{
    struct lp_http_req *req = arg;
    struct lp_buf b;
    lp_buf_init(&b, BYTES_MAX);
    size_t n = number(req, "n", 0);
    if (!lp_buf_reserve(&b, n)) {
        lp_http_error(req, 400, "too large");
        return;
    }
    memset(b.p, 'b', n);
    b.n = n;
    if (number(req, "copy", 0) != 0) {
        lp_http_reply(req, 200, "text/plain", lp_buf_view(&b));
        lp_buf_clear(&b);
    } else {
        lp_http_reply_buf(req, 200, "text/plain", &b);
    }
}

static void
big(struct lp_http_req *req, void *ctx)
{
    (void)ctx;
    if (number(req, "here", 0) != 0) {
        big_work(req);
    } else {
        to_worker(req, big_work);
    }
}

/* n lines of `size` bytes; without n until the client leaves. */
static void
stream_work(void *arg)
{
    struct lp_http_req *req = arg;
    uint64_t n = number(req, "n", UINT64_MAX);
    size_t size = LP_MAX(number(req, "size", 16), 2);
    char *line = lp_malloc(size);
    memset(line, 's', size);
    line[size - 1] = '\n';
    lp_rc rc = lp_http_stream_begin(req, 200, "text/plain", NULL);
    for (uint64_t i = 0; i < n && rc == LP_OK; i++) {
        rc = lp_http_stream_write(req, lp_str_of(line, size));
    }
    lp_free(line);
    if (rc == LP_ERR_CANCELED) {
        atomic_fetch_add(&probe.canceled, 1);
    }
    if (number(req, "abort", 0) != 0) {
        lp_http_stream_abort(req);
    } else {
        lp_http_stream_end(req, NULL, 0);
    }
}

static void
stream(struct lp_http_req *req, void *ctx)
{
    (void)ctx;
    to_worker(req, stream_work);
}

static void
trailer_work(void *arg)
{
    struct lp_http_req *req = arg;
    const struct lp_pair trailers[] = {
        {LP_STR("X-Probe-Cursor"), LP_STR("abc")},
        {LP_STR("X-Probe-Bad"), LP_STR("a\r\nb: c")},
        {LP_STR("X-Probe-Lines"), LP_STR("1")},
    };
    lp_rc rc = lp_http_stream_begin(req, 200, "text/plain", "X-Probe-Cursor, X-Probe-Lines");
    if (rc == LP_OK) {
        rc = lp_http_stream_write(req, LP_STR("line\n"));
    }
    lp_http_stream_end(req, trailers, rc == LP_OK ? LP_ARRAY_LEN(trailers) : 0);
}

static void
trailer(struct lp_http_req *req, void *ctx)
{
    (void)ctx;
    to_worker(req, trailer_work);
}

static void
hang(struct lp_http_req *req, void *ctx)
{
    (void)ctx;
    lp_lock(&probe.mu);
    bool full = probe.nhanging == HANGING_MAX;
    if (!full) {
        probe.hanging[probe.nhanging++] = req;
    }
    lp_unlock(&probe.mu);
    if (full) {
        lp_http_error(req, 503, "too many hang");
    }
}

/* Answers all that hang: on this thread, whichever theirs is. */
static unsigned
release_all(void)
{
    unsigned n = 0;
    for (;;) {
        lp_lock(&probe.mu);
        struct lp_http_req *req = probe.nhanging > 0 ? probe.hanging[--probe.nhanging] : NULL;
        lp_unlock(&probe.mu);
        if (req == NULL) {
            return n;
        }
        n++;
        lp_http_reply(req, 200, "text/plain", LP_STR("released\n"));
    }
}

static void
release_work(void *arg)
{
    struct lp_http_req *req = arg;
    char text[24];
    int n = snprintf(text, sizeof(text), "%u", release_all());
    lp_http_reply(req, 200, "text/plain", lp_str_of(text, (size_t)n));
}

/* ?here=1: on the HTTP thread; else on a worker. */
static void
release(struct lp_http_req *req, void *ctx)
{
    (void)ctx;
    if (number(req, "here", 0) != 0) {
        release_work(req);
    } else {
        to_worker(req, release_work);
    }
}

static void
stats(struct lp_http_req *req, void *ctx)
{
    (void)ctx;
    struct lp_http_stats st;
    lp_http_stats(probe.http, &st);
    unsigned gone = 0;
    lp_lock(&probe.mu);
    unsigned hanging = probe.nhanging;
    for (unsigned i = 0; i < hanging; i++) {
        gone += lp_http_gone(probe.hanging[i]);
    }
    lp_unlock(&probe.mu);
    char text[512];
    int n = snprintf(
        text, sizeof(text),
        "connections=%zu requests=%zu body_bytes=%zu accepted=%llu refused=%llu started=%llu done=%llu "
        "hanging=%u gone=%u canceled=%u answered=%u left=%u\n",
        st.connections, st.requests, st.body_bytes, (unsigned long long)st.accepted,
        (unsigned long long)st.refused, (unsigned long long)st.started, (unsigned long long)st.done, hanging,
        gone, atomic_load(&probe.canceled), atomic_load(&probe.answered), atomic_load(&probe.left));
    lp_http_reply(req, 200, "text/plain", lp_str_of(text, (size_t)n));
}

static void
params(struct lp_http_req *req, void *ctx)
{
    (void)ctx;
    const struct lp_pair *p;
    size_t n;
    struct lp_err err;
    if (lp_http_params(req, &p, &n, &err) != LP_OK) {
        lp_http_error(req, 400, "%s", err.text);
        return;
    }
    struct lp_buf b;
    lp_buf_init(&b, BYTES_MAX);
    for (size_t i = 0; i < n; i++) {
        lp_buf_str(&b, p[i].name);
        lp_buf_c(&b, "=");
        lp_buf_str(&b, p[i].value);
        lp_buf_c(&b, "\n");
    }
    lp_http_reply_buf(req, 200, "text/plain", &b);
}

static void
wild(struct lp_http_req *req, void *ctx)
{
    (void)ctx;
    lp_http_reply(req, 200, "text/plain", lp_http_wild(req, 0));
}

static const struct lp_http_route routes[] = {
    {LP_GET, "/tiny", tiny, NULL, 0},
    {LP_GET, "/thread", thread_id, NULL, 0},
    {LP_GET | LP_POST | LP_PUT | LP_PATCH | LP_DELETE, "/echo", echo, NULL, 0},
    {LP_POST, "/echo100", echo, NULL, 100},
    {LP_POST, "/push", push, NULL, 0},
    {LP_GET | LP_POST, "/slow", slow, NULL, 0},
    {LP_GET, "/big", big, NULL, 0},
    {LP_GET, "/stream", stream, NULL, 0},
    {LP_GET, "/trailer", trailer, NULL, 0},
    {LP_GET | LP_POST, "/hang", hang, NULL, 0},
    {LP_GET, "/release", release, NULL, 0},
    {LP_GET, "/stats", stats, NULL, 0},
    {LP_GET | LP_POST, "/params", params, NULL, 0},
    {LP_GET, "/label/*/values", wild, NULL, 0},
    {LP_GET, "/rest/**", wild, NULL, 0},
};

static void
on_done(void *ctx, const char *method, const char *target, int status, int64_t duration_ns)
{
    (void)ctx;
    LP_ASSERT(method[0] != 0 && target[0] != 0 && duration_ns >= 0);
    atomic_fetch_add(status == 499 ? &probe.left : &probe.answered, 1);
}

static bool
configure(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        struct lp_str value = lp_str_c(argv[i]);
        struct lp_str name = lp_str_cut(&value, '=');
        size_t k = 0;
        while (k < LP_ARRAY_LEN(settings) && !lp_str_eqc(name, settings[k].name)) {
            k++;
        }
        if (k == LP_ARRAY_LEN(settings) || !lp_str_i64(value, settings[k].value)) {
            fprintf(stderr, "http-probe: %s: not a setting\n", argv[i]);
            return false;
        }
    }
    return true;
}

static lp_rc
start(struct lp_err *err)
{
    char listen_on[32];
    snprintf(listen_on, sizeof(listen_on), "127.0.0.1:%lld", (long long)port);
    struct lp_http_config cfg = {
        .listen = listen_on,
        .threads = (unsigned)threads,
        .body_bytes_max = (size_t)body_max,
        .header_bytes_max = (size_t)header_max,
        .connections_max = (size_t)connections,
        .inflight_bytes_max = (size_t)inflight,
        .header_timeout_ns = header_ms * LP_NS_PER_MS,
        .write_stall_ns = stall_ms * LP_NS_PER_MS,
        .idle_ns = idle_ms * LP_NS_PER_MS,
        .body_bytes_per_s_min = rate,
        .body_window_ns = window_ms * LP_NS_PER_MS,
        .linger_ns = linger_ms * LP_NS_PER_MS,
        .routes = routes,
        .nroutes = LP_ARRAY_LEN(routes),
        .on_done = on_done,
    };
    return lp_http_start(&cfg, &probe.http, err);
}

/* Stops as a server would, and says what is left. */
static int
finish(void)
{
    lp_http_stop(probe.http, lp_mono_ns() + stop_ms * LP_NS_PER_MS);
    release_all(); /* answers that come after the threads have ended */
    lp_pool_free(probe.pool);
    struct lp_http_stats st;
    lp_http_stats(probe.http, &st);
    printf("started=%llu done=%llu connections=%zu requests=%zu body_bytes=%zu\n",
           (unsigned long long)st.started, (unsigned long long)st.done, st.connections, st.requests,
           st.body_bytes);
    bool clean = st.started == st.done && st.connections == 0 && st.requests == 0 && st.body_bytes == 0;
    lp_http_free(probe.http);
    lp_mutex_destroy(&probe.mu);
    lp_log_tick(true);
    return clean ? 0 : 1;
}

int
main(int argc, char **argv)
{
    struct lp_err err;
    if (!configure(argc, argv)) {
        return 2;
    }
    lp_mutex_init(&probe.mu, LP_LOCK_SERVER);
    sigset_t term;
    sigemptyset(&term);
    sigaddset(&term, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &term, NULL);
    probe.pool = lp_pool_new("probe", (unsigned)workers, 1024);
    if (start(&err) != LP_OK) {
        fprintf(stderr, "http-probe: %s\n", err.text);
        lp_pool_free(probe.pool);
        return 1;
    }
    printf("%s\n", lp_http_address(probe.http));
    fflush(stdout);
    int sig;
    sigwait(&term, &sig);
    return finish();
}
