/*
 * test_http_parse.c - heads and the chunked coding. Oracle: RFC 9110 and 9112, by hand; and that cutting the
 * input anywhere changes nothing.
 */
#include "server/http_parse.h"
#include "tests/unit/unit.h"

#include <stdio.h>
#include <stdlib.h>

/* The status that a head is refused with, 0 if taken. */
static int
parse(const char *text, struct lp_http_head *ret)
{
    static struct lp_arena ar; /* keeps the last head's array */
    const char *why = NULL;
    lp_arena_clear(&ar);
    lp_arena_init(&ar, 1 << 20, 0);
    int status = lp_http_head_parse(&ar, lp_str_c(text), ret, &why);
    CU_ASSERT(status == 0 || why != NULL);
    struct lp_http_head head = *ret;
    if (status != 0 || head.nheaders == 0) {
        lp_arena_clear(&ar);
    }
    return status;
}

static int
status_of(const char *text)
{
    struct lp_http_head head;
    return parse(text, &head);
}

static void
takes_a_plain_head(void)
{
    struct lp_http_head h;
    CU_ASSERT_EQUAL_FATAL(
        parse("POST /a?b=c HTTP/1.1\r\nHost: x\r\nContent-Length:  12 \r\nX-Y:\r\n\r\n", &h), 0);
    CU_ASSERT_EQUAL(h.method, LP_POST);
    CU_ASSERT(lp_str_eqc(h.target, "/a?b=c"));
    CU_ASSERT(h.keep_alive && !h.chunked && !h.expect_continue);
    CU_ASSERT_EQUAL(h.body_bytes, 12);
    CU_ASSERT_EQUAL_FATAL(h.nheaders, 3);
    CU_ASSERT(lp_str_eqc(h.headers[1].name, "Content-Length"));
    CU_ASSERT(lp_str_eqc(h.headers[1].value, "12"));
    CU_ASSERT(lp_str_eqc(h.headers[2].value, ""));
    /* bare line feeds are line ends in a head */
    CU_ASSERT_EQUAL(status_of("GET / HTTP/1.0\nA: b\n\n"), 0);
}

static void
knows_every_method(void)
{
    static const char *const names[] = {"GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH"};
    for (size_t i = 0; i < LP_ARRAY_LEN(names); i++) {
        char text[64];
        struct lp_http_head h;
        snprintf(text, sizeof(text), "%s / HTTP/1.1\r\nHost: x\r\n\r\n", names[i]);
        CU_ASSERT_EQUAL(parse(text, &h), 0);
        CU_ASSERT_STRING_EQUAL(lp_http_method_name(h.method), names[i]);
    }
    CU_ASSERT_EQUAL(status_of("TRACE / HTTP/1.1\r\nHost: x\r\n\r\n"), 501);
    CU_ASSERT_EQUAL(status_of("get / HTTP/1.1\r\nHost: x\r\n\r\n"), 501);
    CU_ASSERT_EQUAL(status_of("G@T / HTTP/1.1\r\nHost: x\r\n\r\n"), 400);
}

static void
judges_keep_alive(void)
{
    struct lp_http_head h;
    CU_ASSERT(parse("GET / HTTP/1.1\r\nHost: x\r\n\r\n", &h) == 0 && h.keep_alive);
    CU_ASSERT(parse("GET / HTTP/1.1\r\nHost: x\r\nConnection: foo, CLOSE\r\n\r\n", &h) == 0 && !h.keep_alive);
    CU_ASSERT(parse("GET / HTTP/1.0\r\n\r\n", &h) == 0 && !h.keep_alive);
    CU_ASSERT(parse("GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", &h) == 0 && h.keep_alive);
    CU_ASSERT(parse("GET / HTTP/1.9\r\nHost: x\r\n\r\n", &h) == 0 && h.minor == 1);
}

static void
refuses_what_two_readers_could_understand_differently(void)
{
    static const struct {
        const char *text;
        int status;
    } cases[] = {
        {"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n", 400},
        {"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", 400},
        {"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
         400},
        {"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", 400},
        {"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", 501},
        {"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: xchunked\r\n\r\n", 501},
        {"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: +1\r\n\r\n", 400},
        {"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n", 400},
        {"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1, 1\r\n\r\n", 400},
        {"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 0x10\r\n\r\n", 400},
        {"POST / HTTP/1.1\r\nHost: x\r\nContent-Length:\r\n\r\n", 400},
        {"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999\r\n\r\n", 400},
        {"POST / HTTP/1.1\r\nHost: x\r\nContent-Length : 1\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\nHost: x\r\n folded: 1\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\n Host: x\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\nHost: x\r\nA: b\rc\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\nHost: x\r\nNo colon\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\nHost: x\r\n: empty\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\n\r\n", 400},
        {"GET  / HTTP/1.1\r\nHost: x\r\n\r\n", 400},
        {"GET / x HTTP/1.1\r\nHost: x\r\n\r\n", 400},
        {"GET /\x01 HTTP/1.1\r\nHost: x\r\n\r\n", 400},
        {"GET /\r\n\r\n", 400},
        {"GET / HTTP/2.0\r\nHost: x\r\n\r\n", 505},
        {"GET / HTTP/1.1 \r\nHost: x\r\n\r\n", 400},
        {"GET / http/1.1\r\nHost: x\r\n\r\n", 400},
        {"POST / HTTP/1.1\r\nHost: x\r\nExpect: 200-ok\r\n\r\n", 417},
    };
    for (size_t i = 0; i < LP_ARRAY_LEN(cases); i++) {
        int got = status_of(cases[i].text);
        CU_ASSERT_EQUAL(got, cases[i].status);
        if (got != cases[i].status) {
            printf("got %d, wanted %d: %s\n", got, cases[i].status, cases[i].text);
        }
    }
}

static void
refuses_a_nul_byte(void)
{
    static const char text[] = "GET / HTTP/1.1\r\nHost: x\r\nA: b\0c\r\n\r\n";
    struct lp_arena ar;
    struct lp_http_head h;
    const char *why;
    lp_arena_init(&ar, 1 << 16, 0);
    CU_ASSERT_EQUAL(lp_http_head_parse(&ar, lp_str_of(text, sizeof(text) - 1), &h, &why), 400);
    lp_arena_clear(&ar);
}

static void
limits_the_number_of_headers(void)
{
    char text[LP_HTTP_HEADERS_MAX * 8 + 128];
    for (unsigned extra = 0; extra < 2; extra++) {
        size_t n = (size_t)snprintf(text, sizeof(text), "GET / HTTP/1.1\r\nHost: x\r\n");
        for (unsigned i = 1; i < LP_HTTP_HEADERS_MAX + extra; i++) {
            n += (size_t)snprintf(text + n, sizeof(text) - n, "A: b\r\n");
        }
        snprintf(text + n, sizeof(text) - n, "\r\n");
        CU_ASSERT_EQUAL(status_of(text), extra ? 431 : 0);
    }
}

static void
finds_the_end_wherever_it_is_cut(void)
{
    static const char *const heads[] = {
        "GET / HTTP/1.1\r\nA: b\r\n\r\nrest",
        "GET / HTTP/1.1\nA: b\n\nrest",
        "GET / HTTP/1.1\r\nA: b\n\r\nrest",
        "GET / HTTP/1.1\r\n\r\nrest",
    };
    for (size_t i = 0; i < LP_ARRAY_LEN(heads); i++) {
        size_t want = (size_t)(strstr(heads[i], "rest") - heads[i]);
        size_t scanned = 0, end = 0, n = 0;
        while (end == 0 && n < strlen(heads[i])) { /* one more byte each time */
            n++;
            end = lp_http_head_end(lp_str_of(heads[i], n), &scanned);
        }
        CU_ASSERT_EQUAL(end, want);
        CU_ASSERT_EQUAL(n, want);
        scanned = 0;
        CU_ASSERT_EQUAL(lp_http_head_end(lp_str_c(heads[i]), &scanned), want);
    }
}

/* Feeds text in pieces of `step` bytes; the decoded body goes to out, what is behind it to *rest. */
static enum lp_http_chunk_state
feed(struct lp_str text, size_t step, struct lp_buf *out, size_t *rest)
{
    struct lp_http_chunks ch = {0};
    size_t used = 0;
    lp_buf_reset(out);
    while (used < text.n && ch.state < LP_HTTP_CHUNK_DONE) {
        struct lp_str data;
        size_t n = lp_http_chunks_step(&ch, lp_str_sub(text, used, LP_MIN(used + step, text.n)), &data);
        CU_ASSERT_FATAL(n > 0);
        lp_buf_str(out, data);
        used += n;
    }
    *rest = text.n - used;
    return ch.state;
}

static void
decodes_chunks_wherever_they_are_cut(void)
{
    const struct lp_str text = LP_STR(
        "5\r\nhello\r\n1;ext=\"a b\"\r\n \r\n0B \r\nworld\r\n!!!!\r\n000\r\nT: x\r\nU: y\r\n\r\nGET /");
    struct lp_buf out;
    lp_buf_init(&out, 1024);
    for (size_t step = 1; step <= text.n; step++) {
        size_t rest;
        CU_ASSERT_EQUAL(feed(text, step, &out, &rest), LP_HTTP_CHUNK_DONE);
        CU_ASSERT(lp_str_eqc(lp_buf_view(&out), "hello world\r\n!!!!"));
        CU_ASSERT_EQUAL(rest, 5);
    }
    lp_buf_clear(&out);
}

static void
refuses_bad_chunks(void)
{
    static const char *const bad[] = {
        "x\r\n",           "\r\n",        "5\nhello\r\n", "5\r\nhello0\r\n\r\n",   "5\r\nhello\n0\r\n\r\n",
        "-1\r\n",          "+5\r\nhello", ";ext\r\n",     "10000000000000000\r\n", "5\rhello",
        "0\r\nT: x\n\r\n", "0\r\n\rX",    "0x5\r\nhello", " 5\r\nhello\r\n",       "1;\x01\r\na",
    };
    struct lp_buf out;
    lp_buf_init(&out, 1024);
    for (size_t i = 0; i < LP_ARRAY_LEN(bad); i++) {
        size_t rest;
        enum lp_http_chunk_state st = feed(lp_str_c(bad[i]), 1, &out, &rest);
        CU_ASSERT_EQUAL(st, LP_HTTP_CHUNK_BAD);
        if (st != LP_HTTP_CHUNK_BAD) {
            printf("taken: %s\n", bad[i]);
        }
    }
    lp_buf_clear(&out);
}

/* One data byte in a kilobyte of extension, over and over. */
static void
refuses_framing_that_outweighs_the_data(void)
{
    struct lp_buf text, out;
    size_t rest;
    lp_buf_init(&text, 1 << 20);
    lp_buf_init(&out, 1 << 20);
    for (unsigned i = 0; i < 200; i++) {
        lp_buf_printf(&text, "1;%0400d\r\na\r\n", 0);
    }
    CU_ASSERT_EQUAL(feed(lp_buf_view(&text), 4096, &out, &rest), LP_HTTP_CHUNK_BAD);
    lp_buf_reset(&text);
    for (unsigned i = 0; i < 20000; i++) {
        lp_buf_c(&text, "1\r\na\r\n"); /* small chunks alone are fine */
    }
    lp_buf_c(&text, "0\r\n\r\n");
    CU_ASSERT_EQUAL(feed(lp_buf_view(&text), 4096, &out, &rest), LP_HTTP_CHUNK_DONE);
    CU_ASSERT_EQUAL(out.n, 20000);
    lp_buf_clear(&text);
    lp_buf_clear(&out);
}

static void
survives_random_bytes(void)
{
    static const char alphabet[] =
        "GET POSTHP/1.0\r\n\r\n:;, chunked5aContent-LengthTransfer-Encoding\t\x01\xff";
    struct lp_arena ar;
    lp_arena_init(&ar, 1 << 20, 0);
    srand(7);
    for (unsigned round = 0; round < 20000; round++) {
        char text[200] = "GET / HTTP/1.1\r\nHost: x\r\n";
        size_t n = round % 2 ? strlen(text) : 0;
        size_t end = n + (size_t)rand() % (sizeof(text) - n);
        for (; n < end; n++) {
            text[n] = alphabet[(size_t)rand() % sizeof(alphabet)];
        }
        struct lp_http_head h;
        const char *why = "";
        size_t scanned = 0;
        size_t len = lp_http_head_end(lp_str_of(text, n), &scanned);
        int status = lp_http_head_parse(&ar, lp_str_of(text, len > 0 ? len : n), &h, &why);
        CU_ASSERT(status == 0 || (status >= 400 && status < 600));
        lp_arena_clear(&ar);
    }
}

static void
values_with_line_ends_are_not_ok(void)
{
    CU_ASSERT(lp_http_value_ok(LP_STR("plain, \"text\" \xc3\xa4")));
    CU_ASSERT_FALSE(lp_http_value_ok(LP_STR("a\r\nb: c")));
    CU_ASSERT_FALSE(lp_http_value_ok(LP_STR("a\nb")));
    CU_ASSERT_FALSE(lp_http_value_ok(lp_str_of("a\0b", 3)));
}

LP_SUITE(http_parse, {"takes a plain head", takes_a_plain_head}, {"knows every method", knows_every_method},
         {"judges keep-alive", judges_keep_alive},
         {"refuses what two readers could understand differently",
          refuses_what_two_readers_could_understand_differently},
         {"refuses a NUL byte", refuses_a_nul_byte},
         {"limits the number of headers", limits_the_number_of_headers},
         {"finds the end wherever it is cut", finds_the_end_wherever_it_is_cut},
         {"decodes chunks wherever they are cut", decodes_chunks_wherever_they_are_cut},
         {"refuses bad chunks", refuses_bad_chunks},
         {"refuses framing that outweighs the data", refuses_framing_that_outweighs_the_data},
         {"survives random bytes", survives_random_bytes},
         {"values with line ends are not ok", values_with_line_ends_are_not_ok});
