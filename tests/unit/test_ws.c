/*
 * test_ws.c - handshakes and frames of WebSockets. Oracle: RFC 6455, by hand.
 */
#include "server/ws.h"
#include "tests/unit/unit.h"

#include <string.h>

static void
test_accept(void)
{
    char out[LP_WS_ACCEPT_TEXT];
    lp_ws_accept(LP_STR("dGhlIHNhbXBsZSBub25jZQ=="), out); /* section 1.3 */
    CU_ASSERT_STRING_EQUAL(out, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
}

static void
test_keys(void)
{
    CU_ASSERT_TRUE(lp_ws_key_ok(LP_STR("dGhlIHNhbXBsZSBub25jZQ==")));
    CU_ASSERT_TRUE(lp_ws_key_ok(LP_STR("+/+/+/+/+/+/+/+/+/+/+w==")));
    static const char *const bad[] = {"",
                                      "x",
                                      "dGhlIHNhbXBsZSBub25jZQ=",
                                      "dGhlIHNhbXBsZSBub25jZQ===",
                                      "dGhlIHNhbXBsZSBub25jZQ=x",
                                      "dGhlIHNhb\nBsZSBub25jZQ==",
                                      "dGhlIHNhbXBsZSBub25j-Q=="};
    for (size_t i = 0; i < LP_ARRAY_LEN(bad); i++) {
        CU_ASSERT_FALSE(lp_ws_key_ok(lp_str_c(bad[i])));
    }
}

static void
test_base64(void)
{
    static const char *const texts[][2] = {
        {"", ""}, {"f", "Zg=="}, {"fo", "Zm8="}, {"foo", "Zm9v"}, {"foob", "Zm9vYg=="}}; /* RFC 4648 */
    for (size_t i = 0; i < LP_ARRAY_LEN(texts); i++) {
        struct lp_buf b;
        lp_buf_init(&b, 64);
        lp_buf_base64(&b, lp_str_c(texts[i][0]));
        CU_ASSERT(lp_str_eqc(lp_buf_view(&b), texts[i][1]));
        lp_buf_clear(&b);
    }
}

/* The three forms of a length, on both sides of their limits. */
static void
test_frames(void)
{
    static const size_t sizes[] = {0, 1, 125, 126, 65535, 65536, 200000};
    for (size_t i = 0; i < LP_ARRAY_LEN(sizes); i++) {
        size_t n = sizes[i], head = n < 126 ? 2 : n < 65536 ? 4 : 10;
        char *text = lp_malloc(n + 1);
        memset(text, 'x', n);
        struct lp_ws_msg *m = lp_ws_msg_text(lp_str_of(text, n));
        const unsigned char *p = (const unsigned char *)m->p;
        CU_ASSERT_EQUAL_FATAL(m->n, head + n);
        CU_ASSERT_EQUAL(p[0], 0x81);                                /* whole, text */
        CU_ASSERT_EQUAL(p[1], n < 126 ? n : n < 65536 ? 126 : 127); /* not masked */
        size_t length = 0;
        for (size_t k = 2; k < head; k++) {
            length = length << 8 | p[k];
        }
        CU_ASSERT(head == 2 || length == n);
        CU_ASSERT_EQUAL(memcmp(m->p + head, text, n), 0);
        lp_ws_msg_unref(lp_ws_msg_ref(m));
        lp_ws_msg_unref(m);
        lp_free(text);
    }
}

LP_SUITE(ws, {"the accept of a key", test_accept}, {"keys", test_keys}, {"base64", test_base64},
         {"frames", test_frames});
