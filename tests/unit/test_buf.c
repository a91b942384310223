/*
 * test_buf.c - buffers. Oracle: buf.h, and for JSON text what Go's encoder writes.
 */
#include "tests/unit/unit.h"

#include <stdio.h>

#include "base/buf.h"

static void
a_refused_append_changes_nothing(void)
{
    struct lp_buf b;
    lp_buf_init(&b, 10);
    CU_ASSERT(lp_buf_c(&b, "123456"));
    CU_ASSERT_FALSE(lp_buf_c(&b, "78901"));
    CU_ASSERT(b.failed);
    CU_ASSERT(lp_str_eqc(lp_buf_view(&b), "123456"));
    CU_ASSERT_FALSE(lp_buf_json(&b, LP_STR("ab\n"))); /* seven bytes */
    CU_ASSERT_FALSE(lp_buf_printf(&b, "%05d", 1));
    CU_ASSERT(lp_str_eqc(lp_buf_view(&b), "123456"));
    CU_ASSERT(lp_buf_printf(&b, "%04d", 7)); /* exactly full */
    CU_ASSERT(lp_str_eqc(lp_buf_view(&b), "1234560007"));
    CU_ASSERT_FALSE(lp_buf_reserve(&b, SIZE_MAX));
    lp_buf_reset(&b);
    CU_ASSERT(!b.failed && b.n == 0 && lp_buf_add(&b, NULL, 0));
    lp_buf_clear(&b);
}

static void
growing_keeps_content_and_pad(void)
{
    struct lp_buf b;
    char piece[700];
    lp_buf_init(&b, 1 << 20);
    for (unsigned i = 0; i < 1000; i++) {
        CU_ASSERT_FATAL(lp_buf_printf(&b, "%06u", i));
        CU_ASSERT_FATAL(b.cap >= b.n);
        memset(b.p + b.n, 'z', LP_BUF_PAD); /* address sanitizer objects if the pad is not there */
    }
    memset(piece, 'y', sizeof(piece));
    CU_ASSERT(lp_buf_printf(&b, "%.*s!", (int)sizeof(piece), piece)); /* longer than the short way takes */
    CU_ASSERT_EQUAL(b.n, 6000 + sizeof(piece) + 1);
    for (unsigned i = 0; i < 1000; i++) {
        char want[8];
        snprintf(want, sizeof(want), "%06u", i);
        CU_ASSERT_EQUAL_FATAL(memcmp(b.p + (size_t)i * 6, want, 6), 0);
    }
    CU_ASSERT(lp_str_ends(lp_buf_view(&b), LP_STR("yyy!")));
    lp_buf_clear(&b);
}

static void
json_strings(void)
{
    static const struct {
        struct lp_str in;
        const char *want;
    } cases[] = {
        {LP_STR(""), "\"\""},
        {LP_STR("plain"), "\"plain\""},
        {LP_STR("a\"b\\c/d"), "\"a\\\"b\\\\c/d\""},
        {LP_STR("\n\r\t\b\x01\x1f\x7f"), "\"\\n\\r\\t\\u0008\\u0001\\u001f\x7f\""},
        {LP_STR("\0"), "\"\\u0000\""},
        {LP_STR("<a&b>"), "\"\\u003ca\\u0026b\\u003e\""},
        {LP_STR("\xc3\xa9\xf0\x9f\x98\x80"), "\"\xc3\xa9\xf0\x9f\x98\x80\""},
        {LP_STR("\xe2\x80\xa8\xe2\x80\xa9\xe2\x80\xaa"), "\"\\u2028\\u2029\xe2\x80\xaa\""},
        {LP_STR("a\xff"
                "b\xe2\x82"),
         "\"a\\ufffdb\\ufffd\\ufffd\""},
        {LP_STR("\xed\xa0\x80"), "\"\\ufffd\\ufffd\\ufffd\""},
    };
    struct lp_buf b;
    lp_buf_init(&b, 1000);
    for (size_t i = 0; i < LP_ARRAY_LEN(cases); i++) {
        lp_buf_reset(&b);
        CU_ASSERT(lp_buf_json(&b, cases[i].in));
        CU_ASSERT(lp_str_eqc(lp_buf_view(&b), cases[i].want));
    }
    lp_buf_clear(&b);
}

LP_SUITE(buf, {"a refused append changes nothing", a_refused_append_changes_nothing},
         {"growing keeps content and pad", growing_keeps_content_and_pad}, {"JSON strings", json_strings});
