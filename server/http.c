/*
 * http.c - the service: its sockets, its threads, starting and stopping.
 *
 * Each thread has its own listening socket on the same address (SO_REUSEPORT: the kernel spreads connections
 * over them), its own event_base and its own evhttp. The first socket is bound without SO_REUSEPORT, so a
 * second server on the address fails instead of sharing it. libevent runs without locks: a base is touched by
 * its own thread only, and by the starting and joining thread while that one does not run. What crosses
 * threads is the mailbox (http_reply.c), the counters (atomics) and the stop's deadline (under mu).
 */
#include "server/http_int.h"

#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/http.h>
#include <event2/listener.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/thread.h"
#include "server/logger.h"

#define BACKLOG 1024
/*
 * Unsent bytes that the kernel takes for one connection. Its own limit is megabytes, and it reports room only
 * when a third of that is free: a slow reader would look like a stalled one.
 */
#define NOTSENT_BYTES (128 * 1024)
#define ACCEPT_PAUSE_MS 100 /* after accept failed for want of file descriptors or memory */
#define BODY_WINDOW_NS (10 * LP_NS_PER_S)
#define LINGER_NS (2 * LP_NS_PER_S)

static _Thread_local struct lp_http_thread *this_thread;

struct lp_http_thread *
lp_http_this_thread(void)
{
    return this_thread;
}

/* --- sockets --- */

/* Splits "host:port", "[v6]:port", ":port". */
static bool
split_address(const char *listen_on, char *host, size_t host_bytes, const char **port)
{
    const char *colon = strrchr(listen_on, ':');
    if (colon == NULL || colon[1] == 0) {
        return false;
    }
    struct lp_str h = lp_str_of(listen_on, (size_t)(colon - listen_on));
    if (h.n >= 2 && h.p[0] == '[' && h.p[h.n - 1] == ']') {
        h = lp_str_sub(h, 1, h.n - 1);
    } else if (lp_str_find_byte(h, ':') != SIZE_MAX) {
        return false;
    }
    snprintf(host, host_bytes, LP_STR_FMT, LP_STR_ARG(h));
    *port = colon + 1;
    return h.n < host_bytes;
}

static void
set_option(int fd, int level, int name, int value)
{
    int rc = setsockopt(fd, level, name, &value, sizeof(value));
    LP_ASSERT(rc == 0 || errno == EOPNOTSUPP || errno == ENOPROTOOPT);
}

/* One bound, not yet listening socket. Options set here are inherited by the connections. -1 with errno. */
static int
bind_socket(const struct sockaddr *sa, socklen_t len, bool shared)
{
    int fd = socket(sa->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return -1;
    }
    set_option(fd, SOL_SOCKET, SO_REUSEADDR, 1);
    set_option(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
    set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
    set_option(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, NOTSENT_BYTES);
    if (sa->sa_family == AF_INET6) {
        set_option(fd, IPPROTO_IPV6, IPV6_V6ONLY, 0);
    }
    if (shared) {
        set_option(fd, SOL_SOCKET, SO_REUSEPORT, 1);
    }
    if (bind(fd, sa, len) != 0) {
        int saved = errno;
        close(fd);
        errno = saved;
        return -1;
    }
    return fd;
}

/* The first socket: alone on its address until it is bound, shared with ours from then on. */
static int
bind_first(const char *listen_on, struct sockaddr_storage *sa, socklen_t *len, struct lp_err *err)
{
    char host[256];
    const char *port;
    uint64_t number;
    if (!split_address(listen_on, host, sizeof(host), &port) || !lp_str_u64(lp_str_c(port), &number) ||
        number > UINT16_MAX) {
        lp_err_set(err, LP_ERR_PARSE, "cannot listen on \"%s\": not ADDRESS:PORT", listen_on);
        return -1;
    }
    struct addrinfo hints = {
        .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
    struct addrinfo *found = NULL;
    if (host[0] == 0) {
        snprintf(host, sizeof(host), "::");
    }
    int rc = getaddrinfo(host, port, &hints, &found);
    if (rc != 0) {
        lp_err_set(err, LP_ERR_PARSE, "cannot listen on \"%s\": %s", listen_on, gai_strerror(rc));
        return -1;
    }
    int fd = -1;
    for (const struct addrinfo *ai = found; ai != NULL && fd < 0; ai = ai->ai_next) {
        fd = bind_socket(ai->ai_addr, ai->ai_addrlen, false);
    }
    int saved = errno;
    freeaddrinfo(found);
    if (fd < 0 && (saved == EAFNOSUPPORT || saved == EADDRNOTAVAIL) &&
        listen_on[0] == ':') { /* no IPv6 here */
        struct sockaddr_in any = {.sin_family = AF_INET, .sin_port = htons((uint16_t)number)};
        fd = bind_socket((struct sockaddr *)&any, sizeof(any), false);
        saved = errno;
    }
    *len = sizeof(*sa);
    if (fd < 0) {
        lp_err_sys(err, saved, "cannot listen on %s", listen_on);
        return -1;
    }
    set_option(fd, SOL_SOCKET, SO_REUSEPORT, 1);
    rc = getsockname(fd, (struct sockaddr *)sa, len);
    LP_ASSERT(rc == 0);
    return fd;
}

static void
set_address(struct lp_http *h, const struct sockaddr_storage *sa, socklen_t len)
{
    char host[64], port[8];
    int rc = getnameinfo((const struct sockaddr *)sa, len, host, sizeof(host), port, sizeof(port),
                         NI_NUMERICHOST | NI_NUMERICSERV);
    LP_ASSERT(rc == 0);
    snprintf(h->address, sizeof(h->address), sa->ss_family == AF_INET6 ? "[%.60s]:%s" : "%.60s:%s", host,
             port);
}

/* --- a thread --- */

static void
stop_accepting(struct lp_http_thread *t)
{
    if (t->bound != NULL) {
        evhttp_del_accept_socket(t->evhttp, t->bound); /* closes it */
        t->bound = NULL;
        t->listener = NULL;
    }
}

static void
on_deadline(int fd, short what, void *arg)
{
    (void)fd, (void)what;
    struct lp_http_thread *t = arg;
    event_base_loopbreak(t->base); /* evhttp_free closes what is left */
}

static void
begin_stop(struct lp_http_thread *t, int64_t deadline_ns)
{
    t->stopping = true;
    stop_accepting(t);
    struct lp_http_conn *next;
    for (struct lp_http_conn *conn = t->conns; conn != NULL; conn = next) {
        next = conn->next;
        lp_http_conn_stop(conn);
    }
    if (t->conns == NULL) {
        event_base_loopbreak(t->base);
        return;
    }
    int64_t wait_ns = LP_MAX(deadline_ns - lp_mono_ns(), INT64_C(0));
    struct timeval tv = {.tv_sec = wait_ns / LP_NS_PER_S, .tv_usec = wait_ns % LP_NS_PER_S / 1000};
    event_add(t->deadline_ev, &tv);
}

static void
on_mail(int fd, short what, void *arg)
{
    (void)what;
    struct lp_http_thread *t = arg;
    uint64_t rings;
    ssize_t n = read(fd, &rings, sizeof(rings));
    (void)n; /* EAGAIN: an earlier read heard this ring */
    lp_http_mail_take(t);
    lp_lock(&t->mu);
    int64_t deadline_ns = t->stop_deadline_ns;
    lp_unlock(&t->mu);
    if (deadline_ns != 0 && !t->stopping) {
        begin_stop(t, deadline_ns);
    }
}

static void
on_left(int fd, short what, void *arg)
{
    (void)fd, (void)what;
    lp_http_conn_left(arg);
}

/* No file descriptors or no memory: without a pause the loop would spin on the listening socket. */
static void
on_accept_failed(struct evconnlistener *listener, void *evhttp)
{
    (void)evhttp;
    struct lp_http_thread *t = this_thread;
    struct timeval tv = {.tv_usec = ACCEPT_PAUSE_MS * 1000};
    lp_warn("http", "cannot accept a connection: %s", strerror(errno));
    evconnlistener_disable(listener);
    event_add(t->accept_ev, &tv);
}

static void
on_accept_again(int fd, short what, void *arg)
{
    (void)fd, (void)what;
    struct lp_http_thread *t = arg;
    if (t->listener != NULL) {
        evconnlistener_enable(t->listener);
    }
}

/* Nobody will read the mailbox any more: what is in it is dealt with here, what comes later by hand_back().
 */
static void
end_mail(struct lp_http_thread *t)
{
    lp_lock(&t->mu);
    t->ended = true;
    lp_unlock(&t->mu);
    lp_http_mail_take(t);
}

static void
thread_main(void *arg)
{
    struct lp_http_thread *t = arg;
    this_thread = t;
    int rc = event_base_dispatch(t->base);
    LP_ASSERT(rc >= 0);
    t->stopping = true;
    stop_accepting(t);
    evhttp_free(t->evhttp); /* closes the connections that are left */
    t->evhttp = NULL;
    end_mail(t);
    this_thread = NULL;
}

static struct event *
new_event(struct lp_http_thread *t, int fd, short what, event_callback_fn fn)
{
    struct event *ev = event_new(t->base, fd, what, fn, t);
    LP_ASSERT(ev != NULL);
    if (what != 0) {
        int rc = event_add(ev, NULL);
        LP_ASSERT(rc == 0);
    }
    return ev;
}

static struct event_base *
new_base(void)
{
    struct event_config *cfg = event_config_new();
    LP_ASSERT(cfg != NULL);
    /*
     * Not EPOLL_USE_CHANGELIST, which would save system calls: it takes a closed descriptor out of epoll only
     * when another thread may have accepted a connection under the same number.
     */
    event_config_set_flag(cfg, EVENT_BASE_FLAG_NOLOCK);
    event_config_set_flag(cfg, EVENT_BASE_FLAG_IGNORE_ENV);
    struct event_base *base = event_base_new_with_config(cfg);
    event_config_free(cfg);
    return base;
}

static void
make_evhttp(struct lp_http_thread *t)
{
    t->evhttp = evhttp_new(t->base);
    LP_ASSERT(t->evhttp != NULL);
    evhttp_set_allowed_methods(t->evhttp,
                               EVHTTP_REQ_GET | EVHTTP_REQ_HEAD); /* what http_input.c hands over */
    evhttp_set_default_content_type(t->evhttp, NULL);
    evhttp_set_bevcb(t->evhttp, lp_http_conn_new, t);
    evhttp_set_gencb(t->evhttp, lp_http_conn_request, t);
}

static void
thread_free(struct lp_http_thread *t)
{
    if (t == NULL) {
        return;
    }
    LP_ASSERT(t->mail_first == NULL && t->conns == NULL);
    if (t->evhttp != NULL) {
        evhttp_free(t->evhttp);
    }
    struct event *const events[] = {t->mail_ev, t->watch_ev, t->accept_ev, t->deadline_ev};
    for (size_t i = 0; i < LP_ARRAY_LEN(events); i++) {
        event_free(events[i]);
    }
    evbuffer_free(t->chunk);
    event_base_free(t->base); /* also ends bufferevents that were freed in the loop's last round */
    close(t->mail_fd);
    close(t->watch_fd);
    lp_mutex_destroy(&t->mu);
    lp_free(t);
}

/* NULL with errno when the system has no descriptors. */
static struct lp_http_thread *
thread_new(struct lp_http *h)
{
    struct lp_http_thread *t = lp_calloc(1, sizeof(*t));
    t->h = h;
    t->mail_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    t->watch_fd = epoll_create1(EPOLL_CLOEXEC);
    t->base = t->mail_fd >= 0 && t->watch_fd >= 0 ? new_base() : NULL;
    if (t->base == NULL) {
        int saved = errno;
        close(t->mail_fd);
        close(t->watch_fd);
        lp_free(t);
        errno = saved;
        return NULL;
    }
    t->chunk = evbuffer_new();
    LP_ASSERT(t->chunk != NULL);
    t->mail_last = &t->mail_first;
    lp_mutex_init(&t->mu, LP_LOCK_HTTP);
    t->mail_ev = new_event(t, t->mail_fd, EV_READ | EV_PERSIST, on_mail);
    t->watch_ev = new_event(t, t->watch_fd, EV_READ | EV_PERSIST, on_left);
    t->accept_ev = new_event(t, -1, 0, on_accept_again);
    t->deadline_ev = new_event(t, -1, 0, on_deadline);
    make_evhttp(t);
    return t;
}

/* Takes fd over. */
static lp_rc
thread_listen(struct lp_http_thread *t, int fd, struct lp_err *err)
{
    if (listen(fd, BACKLOG) != 0) {
        int saved = errno;
        close(fd);
        return lp_err_sys(err, saved, "cannot listen on %s", t->h->address);
    }
    t->bound = evhttp_accept_socket_with_handle(t->evhttp, fd);
    LP_ASSERT(t->bound != NULL);
    t->listener = evhttp_bound_socket_get_listener(t->bound);
    evconnlistener_set_error_cb(t->listener, on_accept_failed);
    return LP_OK;
}

/* --- the service --- */

static void
on_libevent_log(int severity, const char *text)
{
    if (severity >= EVENT_LOG_WARN) {
        lp_warn("libevent", "%s", text);
    } else {
        lp_debug("libevent", "%s", text);
    }
}

static void
check_config(const struct lp_http_config *cfg)
{
    LP_ASSERT(cfg->threads > 0 && cfg->body_bytes_max > 0 && cfg->header_bytes_max > 0);
    LP_ASSERT(cfg->connections_max > 0 && cfg->inflight_bytes_max > 0);
    LP_ASSERT(cfg->header_timeout_ns > 0 && cfg->write_stall_ns > 0 && cfg->idle_ns > 0);
    LP_ASSERT(cfg->body_bytes_per_s_min >= 0 && cfg->body_window_ns >= 0 && cfg->linger_ns >= 0);
    for (size_t i = 0; i < cfg->nroutes; i++) {
        unsigned stars = 0;
        for (const char *p = cfg->routes[i].pattern; *p != 0; p++) {
            stars += *p == '*';
        }
        LP_ASSERT(cfg->routes[i].pattern[0] == '/' && stars <= LP_HTTP_WILDS_MAX);
    }
}

static struct lp_http *
http_new(const struct lp_http_config *cfg)
{
    struct lp_http *h = lp_calloc(1, sizeof(*h));
    h->cfg = *cfg;
    h->cfg.body_window_ns = cfg->body_window_ns != 0 ? cfg->body_window_ns : BODY_WINDOW_NS;
    h->cfg.linger_ns = cfg->linger_ns != 0 ? cfg->linger_ns : LINGER_NS;
    h->threads = lp_calloc(cfg->threads, sizeof(h->threads[0]));
    h->joined = true; /* no thread runs yet */
    return h;
}

/* Makes all threads' sockets before any of them runs. */
static lp_rc
open_threads(struct lp_http *h, struct lp_err *err)
{
    struct sockaddr_storage sa;
    socklen_t len;
    int fd = bind_first(h->cfg.listen, &sa, &len, err);
    if (fd < 0) {
        return err != NULL ? err->rc : LP_ERR_IO;
    }
    set_address(h, &sa, len);
    while (h->nthreads < h->cfg.threads) {
        if (fd < 0) {
            fd = bind_socket((struct sockaddr *)&sa, len, true);
        }
        struct lp_http_thread *t = fd >= 0 ? thread_new(h) : NULL;
        if (t == NULL) {
            lp_rc rc = lp_err_sys(err, errno, "cannot open sockets for %s", h->address);
            close(fd);
            return rc;
        }
        h->threads[h->nthreads++] = t;
        lp_rc rc = thread_listen(t, fd, err);
        if (rc != LP_OK) {
            return rc;
        }
        fd = -1;
    }
    return LP_OK;
}

lp_rc
lp_http_start(const struct lp_http_config *cfg, struct lp_http **ret, struct lp_err *err)
{
    struct lp_err local;
    check_config(cfg);
    signal(SIGPIPE, SIG_IGN);
    event_set_log_callback(on_libevent_log);
    struct lp_http *h = http_new(cfg);
    lp_rc rc = open_threads(h, err != NULL ? err : &local);
    if (rc != LP_OK) {
        lp_http_free(h);
        return rc;
    }
    *ret = h; /* before a handler can run */
    for (unsigned i = 0; i < h->nthreads; i++) {
        char name[16];
        snprintf(name, sizeof(name), "http-%u", i % 1000);
        h->threads[i]->id = lp_thread_start(name, thread_main, h->threads[i]);
    }
    h->joined = false;
    return LP_OK;
}

const char *
lp_http_address(const struct lp_http *h)
{
    return h->address;
}

void
lp_http_stop(struct lp_http *h, int64_t deadline_ns)
{
    LP_ASSERT(this_thread == NULL);
    if (h->joined) {
        return;
    }
    for (unsigned i = 0; i < h->nthreads; i++) {
        struct lp_http_thread *t = h->threads[i];
        lp_lock(&t->mu);
        t->stop_deadline_ns = LP_MAX(deadline_ns, INT64_C(1));
        lp_unlock(&t->mu);
        lp_http_ring(t);
    }
    for (unsigned i = 0; i < h->nthreads; i++) {
        lp_thread_join(h->threads[i]->id);
    }
    h->joined = true;
}

void
lp_http_free(struct lp_http *h)
{
    if (h == NULL) {
        return;
    }
    lp_http_stop(h, 0);
    LP_ASSERT(atomic_load(&h->requests) == 0);
    for (unsigned i = 0; i < h->nthreads; i++) {
        thread_free(h->threads[i]);
    }
    lp_free(h->threads);
    lp_free(h);
}

size_t
lp_http_connections(const struct lp_http *h)
{
    return atomic_load(&h->connections);
}

void
lp_http_stats(const struct lp_http *h, struct lp_http_stats *ret)
{
    *ret = (struct lp_http_stats){
        .connections = atomic_load(&h->connections),
        .requests = atomic_load(&h->requests),
        .body_bytes = atomic_load(&h->body_bytes),
        .accepted = atomic_load(&h->accepted),
        .refused = atomic_load(&h->refused),
        .started = atomic_load(&h->started),
        .done = atomic_load(&h->done),
    };
}
