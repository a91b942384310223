/*
 * test_str.c - byte slices. Oracle: byte-by-byte definitions, the Unicode standard's table of valid UTF-8,
 * and RFC 3986.
 */
#include "tests/unit/unit.h"

#include "base/arena.h"

static uint64_t seed = 1;

static unsigned
below(unsigned n)
{
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (unsigned)(seed >> 33) % n;
}

static void
comparing(void)
{
    CU_ASSERT(lp_str_cmp(LP_STR("ab"), LP_STR("abc")) < 0);
    CU_ASSERT(lp_str_cmp(LP_STR("b"), LP_STR("abc")) > 0);
    CU_ASSERT(lp_str_cmp(LP_STR("\xff"), LP_STR("a")) > 0); /* bytes are unsigned */
    CU_ASSERT_EQUAL(lp_str_cmp(LP_STR_NULL, LP_STR("")), 0);
    CU_ASSERT(lp_str_eq(LP_STR("a\0b"), LP_STR("a\0b")));
    CU_ASSERT_FALSE(lp_str_eq(LP_STR("a\0b"), LP_STR("a\0c")));
    CU_ASSERT(lp_str_ieq(LP_STR("Content-Type"), LP_STR("cONTENT-tYPE")));
    CU_ASSERT_FALSE(lp_str_ieq(LP_STR("[\xc9"), LP_STR("{\xe9"))); /* only letters, only ASCII */
    CU_ASSERT(lp_str_starts(LP_STR("abc"), LP_STR("ab")) && lp_str_starts(LP_STR_NULL, LP_STR("")));
    CU_ASSERT_FALSE(lp_str_starts(LP_STR("a"), LP_STR("ab")));
    CU_ASSERT(lp_str_ends(LP_STR("abc"), LP_STR("bc")) && lp_str_ends(LP_STR("abc"), LP_STR("")));
    CU_ASSERT_FALSE(lp_str_ends(LP_STR("c"), LP_STR("bc")));
}

static void
searching_and_cutting(void)
{
    struct lp_str s = LP_STR("k=v=w"), rest = s;
    CU_ASSERT_EQUAL(lp_str_find_byte(s, '='), 1);
    CU_ASSERT_EQUAL(lp_str_rfind_byte(s, '='), 3);
    CU_ASSERT_EQUAL(lp_str_find_byte(s, 'x'), SIZE_MAX);
    CU_ASSERT_EQUAL(lp_str_find_byte(LP_STR_NULL, 0), SIZE_MAX);
    CU_ASSERT_EQUAL(lp_str_find(s, LP_STR("=w")), 3);
    CU_ASSERT_EQUAL(lp_str_find(s, LP_STR("")), 0);
    CU_ASSERT_EQUAL(lp_str_find(s, LP_STR("k=v=w=")), SIZE_MAX);
    CU_ASSERT_EQUAL(lp_str_find(LP_STR("a\0b"), LP_STR("\0b")), 1);

    CU_ASSERT(lp_str_eqc(lp_str_cut(&rest, '='), "k") && lp_str_eqc(rest, "v=w"));
    CU_ASSERT(lp_str_eqc(lp_str_cut(&rest, '='), "v") && lp_str_eqc(rest, "w"));
    CU_ASSERT(lp_str_eqc(lp_str_cut(&rest, '='), "w") && rest.p == NULL && rest.n == 0);
    rest = LP_STR("k=");
    CU_ASSERT(lp_str_eqc(lp_str_cut(&rest, '='), "k") && rest.p != NULL &&
              rest.n == 0); /* an empty piece is left */

    CU_ASSERT(lp_str_eqc(lp_str_sub(s, 2, 3), "v"));
    CU_ASSERT(lp_str_eqc(lp_str_sub(s, 4, 99), "w"));
    CU_ASSERT_EQUAL(lp_str_sub(s, 9, 3).n, 0);
    CU_ASSERT(lp_str_eqc(lp_str_trim(LP_STR(" \t\r\n a b \v\f")), "a b"));
    CU_ASSERT_EQUAL(lp_str_trim(LP_STR("   ")).n, 0);
}

static void
whole_numbers(void)
{
    static const struct {
        const char *text;
        bool i_ok, u_ok;
        int64_t i;
        uint64_t u;
    } cases[] = {
        {"0", true, true, 0, 0},
        {"007", true, true, 7, 7},
        {"9223372036854775807", true, true, INT64_MAX, INT64_MAX},
        {"9223372036854775808", false, true, 0, UINT64_C(9223372036854775808)},
        {"-9223372036854775808", true, false, INT64_MIN, 0},
        {"-9223372036854775809", false, false, 0, 0},
        {"18446744073709551615", false, true, 0, UINT64_MAX},
        {"18446744073709551616", false, false, 0, 0},
        {"99999999999999999999999", false, false, 0, 0},
        {"+5", true, false, 5, 0},
        {"", false, false, 0, 0},
        {"-", false, false, 0, 0},
        {"--1", false, false, 0, 0},
        {" 1", false, false, 0, 0},
        {"1 ", false, false, 0, 0},
        {"0x1", false, false, 0, 0},
    };
    for (size_t k = 0; k < LP_ARRAY_LEN(cases); k++) {
        int64_t i = 0;
        uint64_t u = 0;
        CU_ASSERT_EQUAL(lp_str_i64(lp_str_c(cases[k].text), &i), cases[k].i_ok);
        CU_ASSERT_EQUAL(lp_str_u64(lp_str_c(cases[k].text), &u), cases[k].u_ok);
        CU_ASSERT(i == cases[k].i && u == cases[k].u);
    }
}

static void
decimals_and_sizes(void)
{
    static const char *const bad[] = {"",    ".",   "e5", "1e", "1e+",   "0x10", "inf",
                                      "nan", "1,5", " 1", "1 ", "1e999", "1.2.3"};
    double v;
    for (size_t i = 0; i < LP_ARRAY_LEN(bad); i++) {
        CU_ASSERT_FALSE(lp_str_f64(lp_str_c(bad[i]), &v));
    }
    CU_ASSERT(lp_str_f64(LP_STR("-1.5e3"), &v) && v == -1500.0);
    CU_ASSERT(lp_str_f64(LP_STR(".5"), &v) && v == 0.5);
    CU_ASSERT(lp_str_f64(LP_STR("5."), &v) && v == 5.0);
    CU_ASSERT(lp_str_f64(LP_STR("1e-999"), &v) && v == 0.0);

    static const struct {
        const char *text;
        bool ok;
        uint64_t bytes;
    } sizes[] = {
        {"0", true, 0},
        {"1024", true, 1024},
        {"64MiB", true, 64 << 20},
        {"2 MB", true, 2000000},
        {"1k", true, 1024},
        {"1kB", true, 1000},
        {"1.5GiB", true, 3 * UINT64_C(536870912)},
        {"3b", true, 3},
        {"0.5KiB", true, 512},
        {"2G", true, UINT64_C(2) << 30},
        {"16EiB", false, 0},
        {"-1", false, 0},
        {"MiB", false, 0},
        {"1XB", false, 0},
        {"1MiBx", false, 0},
        {"", false, 0},
        {"1..5K", false, 0},
    };
    for (size_t i = 0; i < LP_ARRAY_LEN(sizes); i++) {
        uint64_t bytes = 0;
        CU_ASSERT_EQUAL(lp_str_bytes(lp_str_c(sizes[i].text), &bytes), sizes[i].ok);
        CU_ASSERT_EQUAL(bytes, sizes[i].bytes);
    }
}

static void
every_code_point_is_valid(void)
{
    char out[4], spoilt[4];
    for (uint32_t cp = 0; cp <= 0x110000; cp++) {
        size_t n = lp_utf8_put(cp, out);
        CU_ASSERT_EQUAL_FATAL(lp_utf8_len(out, n), n);
        bool none = cp > 0x10ffff || (cp >= 0xd800 && cp < 0xe000);
        CU_ASSERT_EQUAL_FATAL(memcmp(out, "\xef\xbf\xbd", 3) == 0, none || cp == 0xfffd);
        CU_ASSERT_EQUAL_FATAL(n, none ? 3u : 1u + (cp > 0x7f) + (cp > 0x7ff) + (cp > 0xffff));
        for (size_t i = 1; cp % 97 == 0 && i < n; i++) {
            CU_ASSERT_EQUAL_FATAL(lp_utf8_len(out, i), 0); /* cut short */
            memcpy(spoilt, out, 4);
            spoilt[i] = 'x';
            CU_ASSERT_EQUAL_FATAL(lp_utf8_len(spoilt, n), 0);
        }
    }
}

static void
bad_utf8_is_replaced_byte_by_byte(void)
{
    static const struct {
        struct lp_str in;
        const char *want;
    } cases[] = {
        {LP_STR("\x80"), "?"},
        {LP_STR("a\xc0\xaf"
                "b"),
         "a??b"},
        {LP_STR("\xe0\x80\x80"), "???"},
        {LP_STR("\xf4\x90\x80\x80"), "????"},
        {LP_STR("\xed\xbf\xbf"), "???"},
        {LP_STR("\xf0\x9f\x98"), "???"},
        {LP_STR("\xe2\x82\xac\xff"), "\xe2\x82\xac?"},
        {LP_STR("12345678\xfe"
                "12345678"),
         "12345678?12345678"},
    };
    struct lp_arena ar;
    lp_arena_init(&ar, 1 << 20, 0);
    for (size_t i = 0; i < LP_ARRAY_LEN(cases); i++) {
        struct lp_str got = lp_utf8_replace(&ar, cases[i].in);
        char want[64];
        size_t n = 0;
        for (const char *w = cases[i].want; *w != 0; w++) {
            if (*w == '?') {
                memcpy(want + n, "\xef\xbf\xbd", 3);
            } else {
                want[n] = *w;
            }
            n += *w == '?' ? 3 : 1;
        }
        CU_ASSERT_FALSE(lp_utf8_valid(cases[i].in));
        CU_ASSERT(lp_str_eq(got, lp_str_of(want, n)));
    }
    struct lp_str same = LP_STR("all \xc3\xa9 fine");
    CU_ASSERT_PTR_EQUAL(lp_utf8_replace(&ar, same).p, same.p);
    for (int round = 0; round < 20000;
         round++) { /* what comes out is always valid, and at most three times as long */
        char raw[24];
        size_t n = below(sizeof(raw));
        for (size_t i = 0; i < n; i++) {
            raw[i] = "a\x80\xbf\xc3\xe2\x82\xac\xf0\x9f\xed\xff\xe0"[below(12)];
        }
        lp_arena_clear(&ar);
        struct lp_str got = lp_utf8_replace(&ar, lp_str_of(raw, n));
        CU_ASSERT_FATAL(lp_utf8_valid(got) && got.n >= n && got.n <= 3 * n);
    }
    lp_arena_clear(&ar);
    lp_arena_init(&ar, 0, 0);
    CU_ASSERT_PTR_NULL(lp_utf8_replace(&ar, LP_STR("\xff")).p);
}

static void
url_parts(void)
{
    struct lp_arena ar;
    struct lp_str got;
    lp_arena_init(&ar, 10000, 0);
    CU_ASSERT(lp_url_decode(&ar, LP_STR("%7bapp%3D%22x+y%22%7D+%00"), true, &got));
    CU_ASSERT(lp_str_eq(got, LP_STR("{app=\"x y\"} \0")));
    CU_ASSERT(lp_url_decode(&ar, LP_STR("a+b%2F"), false, &got) && lp_str_eqc(got, "a+b/"));
    CU_ASSERT(lp_url_decode(&ar, LP_STR_NULL, true, &got) && got.n == 0);
    static const char *const bad[] = {"%", "%2", "abc%4", "%zz", "%-1", "% 2"};
    for (size_t i = 0; i < LP_ARRAY_LEN(bad); i++) {
        CU_ASSERT_FALSE(lp_url_decode(&ar, lp_str_c(bad[i]), true, &got));
    }
    lp_arena_clear(&ar);
}

static void
shares_of_a_whole(void)
{
    static const struct {
        const char *text;
        bool ok;
        uint64_t want;
    } cases[] = {{"10%", true, 100},   {"2.5 %", true, 25}, {"0%", true, 0},   {"100%", true, 1000},
                 {"101%", false, 0},   {"-1%", false, 0},   {"%", false, 0},   {"", false, 0},
                 {"2KiB", true, 2048}, {"0", true, 0},      {"ten", false, 0}, {"10%%", false, 0}};
    for (size_t i = 0; i < LP_ARRAY_LEN(cases); i++) {
        uint64_t have = 0;
        CU_ASSERT_EQUAL(lp_str_share(lp_str_c(cases[i].text), 1000, &have), cases[i].ok);
        CU_ASSERT_EQUAL(have, cases[i].want);
    }
}

static void
patterns_with_stars(void)
{
    static const struct {
        const char *pattern, *text;
        bool fits;
    } cases[] = {{"", "", true},
                 {"", "a", false},
                 {"*", "", true},
                 {"*", "any thing", true},
                 {"dev-*", "dev-", true},
                 {"dev-*", "dev", false},
                 {"*-dev", "a-dev", true},
                 {"*-dev", "a-dev-", false},
                 {"a*b*c", "aXbYbZc", true},
                 {"a*b*c", "aXcYb", false},
                 {"**a", "ba", true},
                 {"a", "ab", false},
                 {"ab", "a", false},
                 {"*aab", "aaaaab", true},
                 {"a*a", "a", false}};
    for (size_t i = 0; i < LP_ARRAY_LEN(cases); i++) {
        CU_ASSERT_EQUAL(lp_str_glob(lp_str_c(cases[i].pattern), lp_str_c(cases[i].text)), cases[i].fits);
    }
}

static void
hexadecimal(void)
{
    static const struct {
        const char *text;
        uint64_t value;
        bool ok;
    } cases[] = {{"0", 0, true},  {"7f", 0x7f, true}, {"0123456789abcdef", 0x0123456789abcdef, true},
                 {"", 0, false},  {"7F", 0, false},   {"00123456789abcdef", 0, false},
                 {"g", 0, false}, {"-1", 0, false},   {"1 ", 0, false}};
    for (size_t i = 0; i < LP_ARRAY_LEN(cases); i++) {
        uint64_t v = 0;
        CU_ASSERT_EQUAL(lp_str_hex(lp_str_c(cases[i].text), &v), cases[i].ok);
        CU_ASSERT(!cases[i].ok || v == cases[i].value);
    }
    CU_ASSERT_EQUAL(lp_hex_digit('F'), 15);
    CU_ASSERT_EQUAL(lp_hex_digit('G'), -1);
    CU_ASSERT_EQUAL(lp_hex_digit('\x10'), -1); /* a digit but for one bit */
}

LP_SUITE(str, {"comparing", comparing}, {"searching and cutting", searching_and_cutting},
         {"whole numbers", whole_numbers}, {"decimals and sizes", decimals_and_sizes},
         {"every code point is valid", every_code_point_is_valid},
         {"bad UTF-8 is replaced byte by byte", bad_utf8_is_replaced_byte_by_byte}, {"URL parts", url_parts},
         {"shares of a whole", shares_of_a_whole}, {"patterns with stars", patterns_with_stars}, {"hexadecimal", hexadecimal});
