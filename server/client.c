/*
 * client.c - see client.h. A buffered reader over one socket; everything waits in poll(), so that a deadline
 * and the stop flag hold everywhere.
 *
 * Invariant: a connection is kept only after an answer was read to its last byte; on any doubt it is closed.
 */
#include "server/client.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "server/http_parse.h"

#define CONNECT_NS (10 * LP_NS_PER_S)
#define IDLE_NS (60 * LP_NS_PER_S)
#define SLICE_MS 200 /* how late the stop flag may be seen */
#define LINE_BYTES_MAX (64u << 10)
#define HEADERS_MAX 256
#define BODY_BYTES_MAX (16u << 20)
#define READ_BYTES (64u << 10)

struct lp_client {
    char *host, *port, *prefix, *url;
    int fd; /* -1 while not connected */
    const volatile sig_atomic_t *stop;
    int64_t idle_ns;
    char *buf; /* READ_BYTES; [at, end) is unread */
    size_t at, end;
    struct lp_buf out;  /* head of the request */
    struct lp_buf line; /* the line that was read last */
};

/* --- making it --- */

/* HOST, [V6] or either with :PORT. */
static bool
split_host(struct lp_str s, struct lp_str *host, struct lp_str *port)
{
    size_t from = 0;
    *port = LP_STR("80");
    if (s.n > 0 && s.p[0] == '[') {
        size_t close = lp_str_find_byte(s, ']');
        if (close == SIZE_MAX) {
            return false;
        }
        *host = lp_str_sub(s, 1, close);
        from = close + 1;
    } else {
        size_t colon = lp_str_find_byte(s, ':');
        from = colon == SIZE_MAX ? s.n : colon;
        *host = lp_str_sub(s, 0, from);
    }
    uint64_t n;
    if (from < s.n) {
        *port = lp_str_sub(s, from + 1, s.n);
        if (s.p[from] != ':' || !lp_str_u64(*port, &n) || n == 0 || n > 65535) {
            return false;
        }
    }
    return host->n > 0;
}

static bool
plain(struct lp_str s)
{
    for (size_t i = 0; i < s.n; i++) {
        if ((unsigned char)s.p[i] <= ' ' || s.p[i] == 0x7f || s.p[i] == '@' || s.p[i] == '?' ||
            s.p[i] == '#') {
            return false;
        }
    }
    return true;
}

lp_rc
lp_client_new(const char *url, struct lp_client **ret, struct lp_err *err)
{
    const char *env = getenv("LOGPOND_SERVER");
    const char *text = url != NULL ? url : env != NULL && env[0] != 0 ? env : LP_CLIENT_SERVER_DEFAULT;
    struct lp_str rest = lp_str_c(text), host, port;
    if (lp_str_starts(rest, LP_STR("https://"))) {
        return lp_err_set(err, LP_ERR_UNSUPPORTED, "%s: https is not supported yet, only http", text);
    }
    if (lp_str_starts(rest, LP_STR("http://"))) {
        rest = lp_str_sub(rest, 7, rest.n);
    }
    while (rest.n > 0 && rest.p[rest.n - 1] == '/') {
        rest.n--;
    }
    size_t slash = lp_str_find_byte(rest, '/');
    struct lp_str prefix = lp_str_sub(rest, slash == SIZE_MAX ? rest.n : slash, rest.n);
    rest = lp_str_sub(rest, 0, slash == SIZE_MAX ? rest.n : slash);
    if (!plain(rest) || !plain(prefix) || !split_host(rest, &host, &port)) {
        return lp_err_set(err, LP_ERR_PARSE, "%s is no address of a server; it looks like %s", text,
                          LP_CLIENT_SERVER_DEFAULT);
    }
    struct lp_client *c = lp_calloc(1, sizeof(*c));
    struct lp_buf name;
    lp_buf_init(&name, 1 << 16);
    lp_buf_printf(&name, "http://" LP_STR_FMT LP_STR_FMT, LP_STR_ARG(rest), LP_STR_ARG(prefix));
    c->url = lp_str_dup(lp_buf_view(&name));
    lp_buf_clear(&name);
    c->host = lp_str_dup(host);
    c->port = lp_str_dup(port);
    c->prefix = lp_str_dup(prefix);
    c->fd = -1;
    c->buf = lp_malloc(READ_BYTES);
    lp_buf_init(&c->out, 1 << 20);
    lp_buf_init(&c->line, LINE_BYTES_MAX);
    *ret = c;
    return LP_OK;
}

void
lp_client_free(struct lp_client *c)
{
    if (c == NULL) {
        return;
    }
    lp_client_close(c);
    lp_buf_clear(&c->out);
    lp_buf_clear(&c->line);
    lp_free(c->buf);
    lp_free(c->host);
    lp_free(c->port);
    lp_free(c->prefix);
    lp_free(c->url);
    lp_free(c);
}

const char *
lp_client_url(const struct lp_client *c)
{
    return c->url;
}

void
lp_client_stop_on(struct lp_client *c, const volatile sig_atomic_t *stop)
{
    c->stop = stop;
}

void
lp_client_close(struct lp_client *c)
{
    if (c->fd >= 0) {
        close(c->fd);
        c->fd = -1;
    }
    c->at = c->end = 0;
}

/* --- waiting, connecting, sending --- */

static bool
stopped(const volatile sig_atomic_t *stop)
{
    return stop != NULL && *stop != 0;
}

void
lp_client_pause(int64_t ns, const volatile sig_atomic_t *stop)
{
    int64_t until = lp_mono_ns() + ns, left;
    while (!stopped(stop) && (left = until - lp_mono_ns()) > 0) {
        (void)poll(NULL, 0, (int)LP_MIN(left / LP_NS_PER_MS + 1, SLICE_MS));
    }
}

/* Until the socket is ready for events (POLLIN, POLLOUT). */
static lp_rc
wait_for(const struct lp_client *c, short events, int64_t wait_ns, struct lp_err *err)
{
    int64_t until = lp_mono_ns() + wait_ns;
    for (;;) {
        struct pollfd p = {c->fd, events, 0};
        if (stopped(c->stop)) {
            return lp_err_set(err, LP_ERR_CANCELED, "interrupted");
        }
        int64_t left = until - lp_mono_ns();
        if (left <= 0) {
            return lp_err_set(err, LP_ERR_TIMEOUT, "%s does not answer (waited %lld s)", c->url,
                              (long long)(wait_ns / LP_NS_PER_S));
        }
        int n = poll(&p, 1, (int)LP_MIN(left / LP_NS_PER_MS + 1, SLICE_MS));
        if (n > 0) {
            return LP_OK;
        }
        if (n < 0 && errno != EINTR) {
            return lp_err_sys(err, errno, "waiting for %s", c->url);
        }
    }
}

/* Connects to one address; the failure's errno, 0 when it stands. */
static lp_rc
connect_to(struct lp_client *c, const struct addrinfo *a, struct lp_err *err)
{
    int on = 1, failed = 0;
    socklen_t n = sizeof(failed);
    c->fd = socket(a->ai_family, a->ai_socktype | SOCK_CLOEXEC | SOCK_NONBLOCK, a->ai_protocol);
    if (c->fd < 0) {
        return lp_err_sys(err, errno, "no socket for %s", c->url);
    }
    lp_rc rc = LP_OK;
    if (connect(c->fd, a->ai_addr, a->ai_addrlen) != 0 && errno != EINPROGRESS) {
        failed = errno;
    } else {
        rc = wait_for(c, POLLOUT, CONNECT_NS, err);
        if (rc == LP_OK && getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &failed, &n) != 0) {
            failed = errno;
        }
    }
    if (rc == LP_OK && failed != 0) {
        rc = lp_err_sys(err, failed, "no server answers at %s", c->url);
    }
    if (rc != LP_OK) {
        lp_client_close(c);
        return rc;
    }
    (void)setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)); /* a matter of speed only */
    return LP_OK;
}

static lp_rc
connect_any(struct lp_client *c, struct lp_err *err)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *list = NULL;
    int gai = getaddrinfo(c->host, c->port, &hints, &list);
    if (gai != 0) {
        return lp_err_set(err, LP_ERR_NOT_FOUND, "%s: %s", c->url, gai_strerror(gai));
    }
    lp_rc rc = LP_ERR_IO;
    for (const struct addrinfo *a = list; a != NULL && rc != LP_OK && rc != LP_ERR_CANCELED; a = a->ai_next) {
        rc = connect_to(c, a, err);
    }
    freeaddrinfo(list);
    return rc;
}

static lp_rc
send_all(struct lp_client *c, struct lp_str bytes, struct lp_err *err)
{
    while (bytes.n > 0) {
        ssize_t n = send(c->fd, bytes.p, bytes.n, MSG_NOSIGNAL);
        if (n > 0) {
            bytes = lp_str_sub(bytes, (size_t)n, bytes.n);
        } else if (n < 0 && errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR) {
            return lp_err_sys(err, errno, "%s closed the connection", c->url);
        } else {
            lp_rc rc = wait_for(c, POLLOUT, c->idle_ns, err);
            if (rc != LP_OK) {
                return rc;
            }
        }
    }
    return LP_OK;
}

static lp_rc
send_request(struct lp_client *c, const struct lp_client_request *req, struct lp_err *err)
{
    struct lp_str host = lp_str_sub(lp_str_c(c->url), 7, strlen(c->url) - strlen(c->prefix));
    lp_buf_reset(&c->out);
    lp_buf_printf(&c->out, "%s %s", req->method, c->prefix);
    lp_buf_str(&c->out, req->target);
    lp_buf_c(&c->out, " HTTP/1.1\r\nHost: ");
    lp_buf_str(&c->out, host);
    lp_buf_c(&c->out, "\r\nUser-Agent: logpond/" PACKAGE_VERSION "\r\n");
    for (size_t i = 0; i < req->nheaders; i++) {
        LP_ASSERT(lp_http_value_ok(req->headers[i].value));
        lp_buf_str(&c->out, req->headers[i].name);
        lp_buf_c(&c->out, ": ");
        lp_buf_str(&c->out, req->headers[i].value);
        lp_buf_c(&c->out, "\r\n");
    }
    if (req->body.n > 0 || strcmp(req->method, "GET") != 0) {
        lp_buf_printf(&c->out, "Content-Length: %zu\r\n", req->body.n);
    }
    if (!lp_buf_c(&c->out, "\r\n")) {
        return lp_err_set(err, LP_ERR_LIMIT, "the request's head is over 1 MiB");
    }
    lp_rc rc = send_all(c, lp_buf_view(&c->out), err);
    return rc == LP_OK ? send_all(c, req->body, err) : rc;
}

/* --- reading --- */

/* Makes at least one byte available; *ret_end when the server has closed instead. */
static lp_rc
fill(struct lp_client *c, bool *ret_end, struct lp_err *err)
{
    *ret_end = false;
    while (c->at == c->end) {
        ssize_t n = recv(c->fd, c->buf, READ_BYTES, 0);
        if (n > 0) {
            c->at = 0;
            c->end = (size_t)n;
        } else if (n == 0) {
            *ret_end = true;
            return LP_OK;
        } else if (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR) {
            lp_rc rc = wait_for(c, POLLIN, c->idle_ns, err);
            if (rc != LP_OK) {
                return rc;
            }
        } else {
            return lp_err_sys(err, errno, "the connection to %s broke", c->url);
        }
    }
    return LP_OK;
}

static lp_rc
cut_off(const struct lp_client *c, struct lp_err *err)
{
    return lp_err_set(err, LP_ERR_IO, "%s closed the connection before its answer was whole", c->url);
}

static lp_rc
not_http(const struct lp_client *c, struct lp_err *err)
{
    return lp_err_set(err, LP_ERR_PARSE, "what answers at %s does not speak HTTP", c->url);
}

/* A line into c->line, without its end. */
static lp_rc
read_line(struct lp_client *c, struct lp_str *ret, struct lp_err *err)
{
    lp_buf_reset(&c->line);
    for (;;) {
        bool end;
        lp_rc rc = fill(c, &end, err);
        if (rc != LP_OK || end) {
            return rc != LP_OK ? rc : cut_off(c, err);
        }
        struct lp_str there = lp_str_of(c->buf + c->at, c->end - c->at);
        size_t nl = lp_str_find_byte(there, '\n');
        there.n = nl == SIZE_MAX ? there.n : nl;
        if (!lp_buf_str(&c->line, there)) {
            return lp_err_set(err, LP_ERR_LIMIT, "a line of the answer's head is over %u bytes",
                              LINE_BYTES_MAX);
        }
        c->at += there.n + (nl != SIZE_MAX);
        if (nl != SIZE_MAX) {
            *ret = lp_buf_view(&c->line);
            ret->n -= ret->n > 0 && ret->p[ret->n - 1] == '\r';
            return LP_OK;
        }
    }
}

static lp_rc
keep_header(struct lp_client_answer *a, struct lp_str line, struct lp_err *err)
{
    struct lp_str name = lp_str_cut(&line, ':');
    struct lp_pair h;
    if (a->nheaders == HEADERS_MAX) {
        return lp_err_set(err, LP_ERR_LIMIT, "the answer has more than %d headers", HEADERS_MAX);
    }
    struct lp_pair *grown =
        lp_arena_grow(&a->ar, a->headers, &a->headers_cap, a->nheaders + 1, sizeof(*grown));
    if (grown == NULL || !lp_arena_str(&a->ar, name, &h.name) ||
        !lp_arena_str(&a->ar, lp_str_trim(line), &h.value)) {
        return lp_err_set(err, LP_ERR_LIMIT, "the answer's head is too large");
    }
    a->headers = grown;
    a->headers[a->nheaders++] = h;
    return LP_OK;
}

/* Lines up to an empty one: headers, or trailers. */
static lp_rc
read_headers(struct lp_client *c, struct lp_client_answer *a, struct lp_err *err)
{
    for (;;) {
        struct lp_str line;
        lp_rc rc = read_line(c, &line, err);
        if (rc != LP_OK || line.n == 0) {
            return rc;
        }
        rc = keep_header(a, line, err);
        if (rc != LP_OK) {
            return rc;
        }
    }
}

/* "HTTP/1.1 200 OK" and the headers; interim answers (1xx, but 101) are passed over. */
static lp_rc
read_head(struct lp_client *c, struct lp_client_answer *a, bool *ret_http10, struct lp_err *err)
{
    for (;;) {
        struct lp_str line;
        uint64_t status;
        lp_rc rc = read_line(c, &line, err);
        if (rc != LP_OK) {
            return rc;
        }
        struct lp_str version = lp_str_cut(&line, ' ');
        if (!lp_str_starts(version, LP_STR("HTTP/1.")) || !lp_str_u64(lp_str_cut(&line, ' '), &status) ||
            status < 100 || status > 599) {
            return not_http(c, err);
        }
        *ret_http10 = lp_str_eqc(version, "HTTP/1.0");
        a->status = (int)status;
        rc = read_headers(c, a, err);
        if (rc != LP_OK || status >= 200 || status == 101) {
            return rc;
        }
        a->nheaders = 0;
    }
}

/* Where the bytes of a body go. */
struct sink {
    const struct lp_client_request *req;
    struct lp_client_answer *a;
    bool stream;
};

static lp_rc
deliver(struct sink *s, struct lp_str bytes, struct lp_err *err)
{
    if (s->stream) {
        return s->req->on_data(s->req->arg, bytes) ? LP_OK
                                                   : lp_err_set(err, LP_ERR_CANCELED, "no more was wanted");
    }
    return lp_buf_str(&s->a->body, bytes)
               ? LP_OK
               : lp_err_set(err, LP_ERR_LIMIT, "the answer is larger than %zu bytes", s->a->body.limit);
}

/* n bytes, or with to_end all until the server closes. */
static lp_rc
read_bytes(struct lp_client *c, uint64_t n, bool to_end, struct sink *s, struct lp_err *err)
{
    while (n > 0) {
        bool end;
        lp_rc rc = fill(c, &end, err);
        if (rc != LP_OK || end) {
            return rc != LP_OK || to_end ? rc : cut_off(c, err);
        }
        size_t piece = (size_t)LP_MIN(n, (uint64_t)(c->end - c->at));
        struct lp_str bytes = lp_str_of(c->buf + c->at, piece);
        c->at += piece;
        n -= to_end ? 0 : piece;
        rc = deliver(s, bytes, err);
        if (rc != LP_OK) {
            return rc;
        }
    }
    return LP_OK;
}

/* A chunk's size line: hexadecimal, extensions ignored. */
static bool
chunk_size(struct lp_str line, uint64_t *ret)
{
    struct lp_str digits = lp_str_trim(lp_str_cut(&line, ';'));
    uint64_t v = 0;
    for (size_t i = 0; i < digits.n; i++) {
        int d = lp_hex_digit(digits.p[i]);
        if (d < 0) {
            return false;
        }
        v = v << 4 | (unsigned)d;
    }
    *ret = v;
    return digits.n > 0 && digits.n <= 15;
}

static lp_rc
read_chunks(struct lp_client *c, struct sink *s, struct lp_err *err)
{
    for (;;) {
        struct lp_str line;
        uint64_t n;
        lp_rc rc = read_line(c, &line, err);
        if (rc != LP_OK) {
            return rc;
        }
        if (!chunk_size(line, &n)) {
            return not_http(c, err);
        }
        if (n == 0) {
            return read_headers(c, s->a, err); /* trailers */
        }
        rc = read_bytes(c, n, false, s, err);
        rc = rc == LP_OK ? read_line(c, &line, err) : rc;
        if (rc != LP_OK || line.n > 0) {
            return rc != LP_OK ? rc : not_http(c, err);
        }
    }
}

/* *ret_keep: the connection is at the start of the next answer. */
static lp_rc
read_body(struct lp_client *c, const struct lp_client_request *req, struct lp_client_answer *a,
          bool *ret_keep, struct lp_err *err)
{
    struct sink s = {req, a, req->on_data != NULL && a->status < 300};
    struct lp_str coding = lp_client_header(a, "Transfer-Encoding"),
                  length = lp_client_header(a, "Content-Length");
    uint64_t n;
    *ret_keep = !lp_str_ieq(lp_client_header(a, "Connection"), LP_STR("close"));
    if (a->status == 204 || a->status == 304) {
        return LP_OK;
    }
    if (coding.p != NULL) {
        return lp_str_ieq(coding, LP_STR("chunked")) ? read_chunks(c, &s, err) : not_http(c, err);
    }
    if (length.p != NULL) {
        return lp_str_u64(length, &n) ? read_bytes(c, n, false, &s, err) : not_http(c, err);
    }
    *ret_keep = false;
    return read_bytes(c, 1, true, &s, err);
}

/* --- calls --- */

void
lp_client_answer_init(struct lp_client_answer *a)
{
    *a = (struct lp_client_answer){.status = 0};
    lp_buf_init(&a->body, BODY_BYTES_MAX);
    lp_arena_init(&a->ar, 1 << 20, 0);
}

void
lp_client_answer_clear(struct lp_client_answer *a)
{
    lp_buf_clear(&a->body);
    lp_arena_clear(&a->ar);
    a->headers = NULL;
    a->nheaders = a->headers_cap = 0;
    a->status = 0;
}

struct lp_str
lp_client_header(const struct lp_client_answer *a, const char *name)
{
    for (size_t i = 0; i < a->nheaders; i++) {
        if (lp_str_ieq(a->headers[i].name, lp_str_c(name))) {
            return a->headers[i].value;
        }
    }
    return LP_STR_NULL;
}

struct lp_str
lp_client_reason(const struct lp_client_answer *a)
{
    struct lp_str rest = lp_buf_view(&a->body), line = lp_str_trim(lp_str_cut(&rest, '\n'));
    return line.n > 0 ? line : lp_str_c(lp_http_reason(a->status));
}

lp_rc
lp_client_json(struct lp_client_answer *a, struct lp_json_parser *p, struct lp_json_doc *ret,
               struct lp_err *err)
{
    if (!lp_buf_byte(&a->body, '\n')) {
        return lp_err_set(err, LP_ERR_LIMIT, "the answer is too long");
    }
    return lp_json_parse(p, lp_str_trim(lp_buf_view(&a->body)), ret, err);
}

/* One try. *ret_touched: a byte of the answer came. */
static lp_rc
try_call(struct lp_client *c, const struct lp_client_request *req, struct lp_client_answer *a,
         bool *ret_touched, struct lp_err *err)
{
    bool http10 = false, keep = false, end = false;
    struct lp_err sending;
    lp_err_clear(&sending);
    lp_rc sent = send_request(c, req, &sending);
    lp_rc rc = sent;
    if (sent == LP_OK ||
        sent == LP_ERR_IO) { /* a server that refuses a body may have answered before it closed */
        rc = fill(c, &end, err);
        rc = rc == LP_OK && end ? cut_off(c, err) : rc;
        *ret_touched = rc == LP_OK;
    }
    if (sent != LP_OK && !*ret_touched) {
        if (err != NULL) {
            *err = sending;
        }
        rc = sent;
    }
    rc = rc == LP_OK ? read_head(c, a, &http10, err) : rc;
    if (rc == LP_OK && a->status == 101) { /* nothing that a call that does not ask for it can go on with */
        rc = req->upgrade ? LP_OK : not_http(c, err);
        keep = true;
    } else {
        rc = rc == LP_OK ? read_body(c, req, a, &keep, err) : rc;
    }
    if (rc != LP_OK || !keep || http10 || sent != LP_OK) {
        lp_client_close(c);
    }
    return rc;
}

lp_rc
lp_client_call(struct lp_client *c, const struct lp_client_request *req, struct lp_client_answer *ret,
               struct lp_err *err)
{
    for (;;) {
        if (c->at != c->end) { /* bytes that nobody asked for: not the answer to what comes now */
            lp_client_close(c);
        }
        bool kept = c->fd >= 0, touched = false;
        lp_client_answer_clear(ret);
        ret->body.limit = req->body_max > 0 ? req->body_max : BODY_BYTES_MAX;
        c->idle_ns = req->idle_ns > 0 ? req->idle_ns : IDLE_NS;
        lp_rc rc = kept ? LP_OK : connect_any(c, err);
        if (rc != LP_OK) {
            return rc;
        }
        rc = try_call(c, req, ret, &touched, err);
        if (rc != LP_ERR_IO || touched || !kept) {
            return rc;
        }
        lp_err_clear(err);
    }
}

lp_rc
lp_client_read(struct lp_client *c, struct lp_str *ret, struct lp_err *err)
{
    bool end;
    lp_rc rc = fill(c, &end, err);
    *ret = rc == LP_OK && !end ? lp_str_of(c->buf + c->at, c->end - c->at) : LP_STR_NULL;
    c->at = c->end;
    return rc;
}

lp_rc
lp_client_write(struct lp_client *c, struct lp_str bytes, struct lp_err *err)
{
    return send_all(c, bytes, err);
}

void
lp_client_encode(struct lp_buf *out, struct lp_str text)
{
    static const char hex[] = "0123456789ABCDEF";
    for (size_t i = 0; i < text.n; i++) {
        unsigned char b = (unsigned char)text.p[i];
        if ((b >= '0' && b <= '9') || (b >= 'a' && b <= 'z') || (b >= 'A' && b <= 'Z') || b == '-' ||
            b == '_' || b == '.' || b == '~') {
            lp_buf_byte(out, b);
        } else {
            lp_buf_byte(out, '%');
            lp_buf_byte(out, (uint8_t)hex[b >> 4]);
            lp_buf_byte(out, (uint8_t)hex[b & 15]);
        }
    }
}

void
lp_client_param(struct lp_buf *target, const char *name, struct lp_str value)
{
    lp_buf_byte(target, lp_str_find_byte(lp_buf_view(target), '?') == SIZE_MAX ? '?' : '&');
    lp_buf_c(target, name);
    lp_buf_byte(target, '=');
    lp_client_encode(target, value);
}
