/*
 * test_client.c - the HTTP client against a server that says, byte for byte, what a script tells it. Oracle:
 * RFC 9112, by hand.
 */
#include "server/client.h"
#include "tests/unit/unit.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/thread.h"

#define OK_HEAD "HTTP/1.1 200 OK\r\n"

/* What to do with one request. */
struct step {
    const char *answer; /* NULL: none */
    size_t piece;       /* bytes a send; 0: all */
    enum { KEEP, CLOSE, SILENT } then;
};

struct server {
    int listener;
    const struct step *steps;
    size_t nsteps;
    pthread_t thread;
    char url[64];
    size_t connections;
    struct lp_buf requests; /* all heads and bodies, in order */
};

/* Reads one request; false when the client has closed. */
static bool
read_request(struct server *s, int fd)
{
    size_t from = s->requests.n, head = SIZE_MAX, length = 0;
    char buf[4096];
    for (;;) {
        struct lp_str got = lp_str_sub(lp_buf_view(&s->requests), from, s->requests.n);
        head = head == SIZE_MAX ? lp_str_find(got, LP_STR("\r\n\r\n")) : head;
        if (head != SIZE_MAX) {
            size_t at = lp_str_find(got, LP_STR("Content-Length: "));
            length = at != SIZE_MAX && at < head ? (size_t)strtoul(got.p + at + 16, NULL, 10) : 0;
            if (got.n >= head + 4 + length) {
                return true;
            }
        }
        ssize_t n = recv(fd, buf, sizeof(buf), 0);
        if (n <= 0) {
            return false;
        }
        lp_buf_add(&s->requests, buf, (size_t)n);
    }
}

static void
send_answer(int fd, const struct step *step)
{
    size_t all = step->answer != NULL ? strlen(step->answer) : 0, piece = step->piece > 0 ? step->piece : all;
    for (size_t at = 0; at < all; at += piece) {
        if (send(fd, step->answer + at, LP_MIN(piece, all - at), MSG_NOSIGNAL) < 0) {
            return;
        }
    }
}

/* The next request, on the connection that is open or on the next one; false when the client has gone for
 * good. */
static bool
next_request(struct server *s, int *fd)
{
    if (*fd >= 0 && read_request(s, *fd)) {
        return true;
    }
    if (*fd >= 0) {
        close(*fd);
    }
    *fd = accept(s->listener, NULL, NULL);
    s->connections++;
    return read_request(s, *fd);
}

static void
serve(void *arg)
{
    struct server *s = arg;
    int fd = -1;
    for (size_t i = 0; i < s->nsteps && next_request(s, &fd); i++) {
        send_answer(fd, &s->steps[i]);
        if (s->steps[i].then == SILENT) {
            char byte;
            (void)!recv(fd, &byte, 1, 0); /* until the client gives up */
        }
        if (s->steps[i].then != KEEP) {
            close(fd);
            fd = -1;
        }
    }
    if (fd >= 0) {
        close(fd);
    }
}

static void
start(struct server *s, const struct step *steps, size_t n)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(a);
    *s = (struct server){.steps = steps, .nsteps = n};
    lp_buf_init(&s->requests, 1 << 26);
    s->listener = socket(AF_INET, SOCK_STREAM, 0);
    CU_ASSERT_EQUAL_FATAL(bind(s->listener, (struct sockaddr *)&a, sizeof(a)), 0);
    CU_ASSERT_EQUAL_FATAL(listen(s->listener, 8), 0);
    CU_ASSERT_EQUAL_FATAL(getsockname(s->listener, (struct sockaddr *)&a, &len), 0);
    snprintf(s->url, sizeof(s->url), "http://127.0.0.1:%u", ntohs(a.sin_port));
    s->thread = lp_thread_start("server", serve, s);
}

/* Waits for the script's end. */
static void
finish(struct server *s)
{
    lp_thread_join(s->thread);
    close(s->listener);
}

static struct lp_client *
client_of(const struct server *s)
{
    struct lp_client *c = NULL;
    CU_ASSERT_EQUAL_FATAL(lp_client_new(s->url, &c, NULL), LP_OK);
    return c;
}

static lp_rc
get(struct lp_client *c, struct lp_client_answer *a, struct lp_err *err)
{
    struct lp_client_request req = {.method = "GET", .target = LP_STR("/x?y=1"), .idle_ns = 20 * LP_NS_PER_S};
    lp_err_clear(err);
    return lp_client_call(c, &req, a, err);
}

/* One call against one step. */
static lp_rc
one(const char *answer, size_t piece, struct lp_client_answer *a, struct lp_err *err)
{
    struct server s;
    struct step step = {answer, piece, CLOSE};
    start(&s, &step, 1);
    struct lp_client *c = client_of(&s);
    lp_rc rc = get(c, a, err);
    lp_client_free(c);
    finish(&s);
    lp_buf_clear(&s.requests);
    return rc;
}

static void
keeps_the_connection(void)
{
    struct step steps[] = {{OK_HEAD "Content-Length: 5\r\nX-One: a \r\n\r\nhello", 0, KEEP},
                           {"HTTP/1.1 204 No Content\r\n\r\n", 0, KEEP},
                           {OK_HEAD "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n", 0, KEEP}};
    struct server s;
    struct lp_client_answer a;
    struct lp_err err;
    start(&s, steps, 3);
    struct lp_client *c = client_of(&s);
    lp_client_answer_init(&a);
    CU_ASSERT_EQUAL(get(c, &a, &err), LP_OK);
    CU_ASSERT_EQUAL(a.status, 200);
    CU_ASSERT(lp_str_eqc(lp_buf_view(&a.body), "hello"));
    CU_ASSERT(lp_str_eqc(lp_client_header(&a, "x-one"), "a"));
    CU_ASSERT_PTR_NULL(lp_client_header(&a, "x-two").p);
    struct lp_pair header = {LP_STR("Idempotency-Key"), LP_STR("k1")};
    struct lp_client_request post = {.method = "POST",
                                     .target = LP_STR("/push"),
                                     .headers = &header,
                                     .nheaders = 1,
                                     .body = LP_STR("body\0bytes")};
    CU_ASSERT_EQUAL(lp_client_call(c, &post, &a, &err), LP_OK);
    CU_ASSERT_EQUAL(a.status, 204);
    CU_ASSERT_EQUAL(a.body.n, 0);
    CU_ASSERT_EQUAL(get(c, &a, &err), LP_OK);
    CU_ASSERT(lp_str_eqc(lp_buf_view(&a.body), "abc"));
    lp_client_free(c);
    finish(&s);
    struct lp_str sent = lp_buf_view(&s.requests);
    CU_ASSERT_EQUAL(s.connections, 1);
    CU_ASSERT(lp_str_starts(sent, LP_STR("GET /x?y=1 HTTP/1.1\r\nHost: 127.0.0.1:")));
    CU_ASSERT(
        lp_str_find(sent, LP_STR("\r\nIdempotency-Key: k1\r\nContent-Length: 10\r\n\r\nbody\0bytesGET /x")) !=
        SIZE_MAX);
    lp_client_answer_clear(&a);
    lp_buf_clear(&s.requests);
}

struct gathered {
    struct lp_buf bytes;
    size_t stop_at;
};

static bool
gather(void *arg, struct lp_str bytes)
{
    struct gathered *g = arg;
    lp_buf_str(&g->bytes, bytes);
    return g->bytes.n < g->stop_at;
}

static void
streams_chunks_and_trailers(void)
{
    static const char answer[] =
        OK_HEAD "Transfer-Encoding: chunked\r\nTrailer: X-Cursor\r\n\r\n"
                "5;ext=1\r\nhello\r\n1\r\n,\r\n00A\r\n0123456789\r\n0\r\nX-Cursor: c7\r\n\r\n";
    for (size_t piece = 1; piece < 40; piece += 6) { /* cut anywhere, it means the same */
        struct step step = {answer, piece, CLOSE};
        struct gathered g = {.stop_at = SIZE_MAX};
        struct lp_client_answer a;
        struct lp_err err;
        struct server s;
        lp_buf_init(&g.bytes, 1 << 20);
        lp_client_answer_init(&a);
        start(&s, &step, 1);
        struct lp_client *c = client_of(&s);
        struct lp_client_request req = {.method = "GET", .target = LP_STR("/"), .on_data = gather, .arg = &g};
        CU_ASSERT_EQUAL(lp_client_call(c, &req, &a, &err), LP_OK);
        CU_ASSERT(lp_str_eqc(lp_buf_view(&g.bytes), "hello,0123456789"));
        CU_ASSERT_EQUAL(a.body.n, 0);
        CU_ASSERT(lp_str_eqc(lp_client_header(&a, "X-Cursor"), "c7"));
        lp_client_free(c);
        finish(&s);
        lp_client_answer_clear(&a);
        lp_buf_clear(&g.bytes);
        lp_buf_clear(&s.requests);
    }
}

static void
stops_a_stream_that_nobody_wants(void)
{
    struct step steps[] = {{OK_HEAD "Content-Length: 1000\r\n\r\n0123456789", 0, SILENT},
                           {OK_HEAD "Content-Length: 1\r\n\r\n!", 0, CLOSE}};
    struct gathered g = {.stop_at = 4};
    struct lp_client_answer a;
    struct lp_err err;
    struct server s;
    lp_buf_init(&g.bytes, 1 << 20);
    lp_client_answer_init(&a);
    start(&s, steps, 2);
    struct lp_client *c = client_of(&s);
    struct lp_client_request req = {.method = "GET", .target = LP_STR("/"), .on_data = gather, .arg = &g};
    CU_ASSERT_EQUAL(lp_client_call(c, &req, &a, &err), LP_ERR_CANCELED);
    CU_ASSERT_EQUAL(get(c, &a, &err), LP_OK); /* on a new connection */
    CU_ASSERT(lp_str_eqc(lp_buf_view(&a.body), "!"));
    lp_client_free(c);
    finish(&s);
    CU_ASSERT_EQUAL(s.connections, 2);
    lp_client_answer_clear(&a);
    lp_buf_clear(&g.bytes);
    lp_buf_clear(&s.requests);
}

static void
hands_over_error_bodies(void)
{
    struct lp_client_answer a;
    struct lp_err err;
    lp_client_answer_init(&a);
    CU_ASSERT_EQUAL(
        one("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 400 Bad\r\nX: 1\r\n\r\nfirst line \nsecond", 0, &a, &err),
        LP_OK);
    CU_ASSERT_EQUAL(a.status, 400);
    CU_ASSERT(lp_str_eqc(lp_client_reason(&a), "first line"));
    CU_ASSERT_EQUAL(one("HTTP/1.1 429 \r\nRetry-After: 3\r\nContent-Length: 0\r\n\r\n", 0, &a, &err), LP_OK);
    CU_ASSERT(lp_str_eqc(lp_client_header(&a, "Retry-After"), "3"));
    CU_ASSERT(lp_str_eqc(lp_client_reason(&a), "Too Many Requests"));
    lp_client_answer_clear(&a);
}

/* A server may close a kept connection at any time: the next call must not fail for that. */
static void
comes_back_after_a_closed_connection(void)
{
    struct step steps[] = {{OK_HEAD "Content-Length: 1\r\n\r\n1", 0, CLOSE},
                           {OK_HEAD "Content-Length: 1\r\n\r\n2", 0, CLOSE}};
    struct lp_client_answer a;
    struct lp_err err;
    struct server s;
    lp_client_answer_init(&a);
    start(&s, steps, 2);
    struct lp_client *c = client_of(&s);
    CU_ASSERT_EQUAL(get(c, &a, &err), LP_OK);
    CU_ASSERT_EQUAL(get(c, &a, &err), LP_OK);
    CU_ASSERT(lp_str_eqc(lp_buf_view(&a.body), "2"));
    lp_client_free(c);
    finish(&s);
    lp_client_answer_clear(&a);
    lp_buf_clear(&s.requests);
}

static void
tells_broken_answers(void)
{
    static const struct {
        const char *answer;
        lp_rc rc;
    } cases[] = {
        {"", LP_ERR_IO},
        {"HTTP/1.1 200 OK\r\nContent-Le", LP_ERR_IO},
        {OK_HEAD "Content-Length: 10\r\n\r\n12345", LP_ERR_IO},
        {OK_HEAD "Transfer-Encoding: chunked\r\n\r\n5\r\nhel", LP_ERR_IO},
        {OK_HEAD "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", LP_ERR_IO},
        {OK_HEAD "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n", LP_ERR_IO},
        {OK_HEAD "Transfer-Encoding: chunked\r\n\r\nxyz\r\n", LP_ERR_PARSE},
        {OK_HEAD "Transfer-Encoding: chunked\r\n\r\n2\r\nabc\r\n0\r\n\r\n", LP_ERR_PARSE},
        {OK_HEAD "Transfer-Encoding: gzip\r\n\r\nx", LP_ERR_PARSE},
        {OK_HEAD "Content-Length: -1\r\n\r\nx", LP_ERR_PARSE},
        {"SSH-2.0-OpenSSH_9.2\r\n", LP_ERR_PARSE},
        {"HTTP/1.1 9999 x\r\n\r\n", LP_ERR_PARSE},
    };
    struct lp_client_answer a;
    struct lp_err err;
    lp_client_answer_init(&a);
    for (size_t i = 0; i < LP_ARRAY_LEN(cases); i++) {
        CU_ASSERT_EQUAL(one(cases[i].answer, 0, &a, &err), cases[i].rc);
        CU_ASSERT(err.text[0] != 0);
    }
    lp_client_answer_clear(&a);
}

static void
keeps_its_limits(void)
{
    struct lp_client_answer a;
    struct lp_err err;
    struct lp_buf big;
    lp_client_answer_init(&a);
    lp_buf_init(&big, 1 << 24);
    lp_buf_c(&big, OK_HEAD "X: ");
    for (size_t i = 0; i < 70000; i++) {
        lp_buf_byte(&big, 'a');
    }
    lp_buf_add(&big, "\r\n\r\n", 5);
    CU_ASSERT_EQUAL(one(big.p, 0, &a, &err), LP_ERR_LIMIT);
    lp_buf_reset(&big);
    lp_buf_c(&big, OK_HEAD);
    for (size_t i = 0; i < 300; i++) {
        lp_buf_c(&big, "X: y\r\n");
    }
    lp_buf_add(&big, "\r\n", 3);
    CU_ASSERT_EQUAL(one(big.p, 0, &a, &err), LP_ERR_LIMIT);
    struct step step = {OK_HEAD "Content-Length: 11\r\n\r\n12345678901", 0, CLOSE};
    struct server s;
    start(&s, &step, 1);
    struct lp_client *c = client_of(&s);
    struct lp_client_request req = {.method = "GET", .target = LP_STR("/"), .body_max = 10};
    CU_ASSERT_EQUAL(lp_client_call(c, &req, &a, &err), LP_ERR_LIMIT);
    lp_client_free(c);
    finish(&s);
    lp_buf_clear(&s.requests);
    lp_buf_clear(&big);
    lp_client_answer_clear(&a);
}

static void
does_not_wait_for_ever(void)
{
    struct step step = {OK_HEAD "Content-Length: 3\r\n\r\n1", 0, SILENT};
    struct lp_client_answer a;
    struct lp_err err;
    struct server s;
    lp_client_answer_init(&a);
    start(&s, &step, 1);
    struct lp_client *c = client_of(&s);
    struct lp_client_request req = {.method = "GET", .target = LP_STR("/"), .idle_ns = 50 * LP_NS_PER_MS};
    CU_ASSERT_EQUAL(lp_client_call(c, &req, &a, &err), LP_ERR_TIMEOUT);
    lp_client_free(c);
    finish(&s);
    lp_buf_clear(&s.requests);
    start(&s, &step, 1);
    volatile sig_atomic_t stop = 1;
    c = client_of(&s);
    lp_client_stop_on(c, &stop);
    CU_ASSERT_EQUAL(get(c, &a, &err), LP_ERR_CANCELED);
    lp_client_free(c);
    finish(&s);
    lp_buf_clear(&s.requests);
    lp_client_answer_clear(&a);
}

static void
says_when_nobody_listens(void)
{
    struct server s;
    struct lp_client_answer a;
    struct lp_err err;
    start(&s, NULL, 0);
    finish(&s); /* the port is free again */
    struct lp_client *c = client_of(&s);
    lp_client_answer_init(&a);
    CU_ASSERT_EQUAL(get(c, &a, &err), LP_ERR_IO);
    CU_ASSERT_EQUAL(err.sys_errno, ECONNREFUSED);
    lp_client_answer_clear(&a);
    lp_client_free(c);
}

static void
reads_addresses(void)
{
    static const struct {
        const char *text, *url; /* NULL: refused */
    } cases[] = {
        {"http://127.0.0.1:3100", "http://127.0.0.1:3100"},
        {"127.0.0.1:3100/", "http://127.0.0.1:3100"},
        {"http://logs.example/pond/", "http://logs.example/pond"},
        {"http://[::1]:3100", "http://[::1]:3100"},
        {"https://127.0.0.1", NULL},
        {"http://", NULL},
        {"http://a:0", NULL},
        {"http://a:99999", NULL},
        {"http://a:b", NULL},
        {"http://user@a", NULL},
        {"http://a b", NULL},
        {"http://[::1", NULL},
        {"ftp://a:1/x", NULL},
        {"http://a/\r\nX: y", NULL},
    };
    struct lp_client *c = NULL;
    for (size_t i = 0; i < LP_ARRAY_LEN(cases); i++) {
        lp_rc rc = lp_client_new(cases[i].text, &c, NULL);
        CU_ASSERT_EQUAL(rc == LP_OK, cases[i].url != NULL);
        if (rc == LP_OK) {
            CU_ASSERT_STRING_EQUAL(lp_client_url(c), cases[i].url);
            lp_client_free(c);
        }
    }
    setenv("LOGPOND_SERVER", "10.0.0.1:99", 1);
    CU_ASSERT_EQUAL_FATAL(lp_client_new(NULL, &c, NULL), LP_OK);
    CU_ASSERT_STRING_EQUAL(lp_client_url(c), "http://10.0.0.1:99");
    lp_client_free(c);
    unsetenv("LOGPOND_SERVER");
    CU_ASSERT_EQUAL_FATAL(lp_client_new(NULL, &c, NULL), LP_OK);
    CU_ASSERT_STRING_EQUAL(lp_client_url(c), LP_CLIENT_SERVER_DEFAULT);
    lp_client_free(c);
}

static void
encodes_parameters(void)
{
    struct lp_buf t;
    lp_buf_init(&t, 1000);
    lp_buf_c(&t, "/p");
    lp_client_param(&t, "query", LP_STR("{a=\"b c&d\"}+%"));
    lp_client_param(&t, "n", LP_STR("1-2_3.4~\xff"));
    CU_ASSERT(lp_str_eqc(lp_buf_view(&t), "/p?query=%7Ba%3D%22b%20c%26d%22%7D%2B%25&n=1-2_3.4~%FF"));
    lp_buf_clear(&t);
}

LP_SUITE(client, {"keeps the connection", keeps_the_connection},
         {"streams chunks and trailers", streams_chunks_and_trailers},
         {"stops a stream that nobody wants", stops_a_stream_that_nobody_wants},
         {"hands over error bodies", hands_over_error_bodies},
         {"comes back after a closed connection", comes_back_after_a_closed_connection},
         {"tells broken answers", tells_broken_answers}, {"keeps its limits", keeps_its_limits},
         {"does not wait for ever", does_not_wait_for_ever},
         {"says when nobody listens", says_when_nobody_listens}, {"reads addresses", reads_addresses},
         {"encodes parameters", encodes_parameters});
