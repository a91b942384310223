/*
 * test_clock.c - times and durations as text. Oracles: RFC 3339, the C library's calendar, and printing what
 * was read.
 */
#include "tests/unit/unit.h"

#include <inttypes.h>
#include <stdio.h>
#include <time.h>

#include "base/clock.h"

static uint64_t seed = 3;

static uint64_t
next_random(void)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed;
}

static void
every_time_comes_back(void)
{
    char out[LP_TIME_TEXT], decimal[64];
    for (int i = 0; i < 50000; i++) {
        int64_t ns = (int64_t)(next_random() >> (next_random() % 40)), back;
        ns = i % 2 == 0 ? ns : -ns;
        ns = i < 2 ? (i == 0 ? LP_TIME_MIN : LP_TIME_MAX) : ns == LP_TIME_NONE ? 0 : ns;
        size_t n = lp_time_text(ns, out);
        CU_ASSERT_EQUAL_FATAL(n, 30);
        CU_ASSERT_FATAL(lp_time_rfc3339(lp_str_of(out, n), &back) && back == ns);

        time_t seconds = (time_t)(ns / LP_NS_PER_S - (ns % LP_NS_PER_S < 0));
        struct tm tm;
        char want[40];
        CU_ASSERT_FATAL(gmtime_r(&seconds, &tm) != NULL);
        strftime(want, sizeof(want), "%Y-%m-%dT%H:%M:%S.", &tm);
        CU_ASSERT_FATAL(lp_str_starts(lp_str_of(out, n), lp_str_c(want)));

        int64_t fraction = ns % LP_NS_PER_S < 0 ? -(ns % LP_NS_PER_S) : ns % LP_NS_PER_S;
        snprintf(decimal, sizeof(decimal), "%s%" PRId64 ".%09" PRId64,
                 ns < 0 && ns / LP_NS_PER_S == 0 ? "-" : "", ns / LP_NS_PER_S, fraction);
        CU_ASSERT_FATAL(lp_time_decimal(lp_str_c(decimal), LP_NS_PER_S, &back) && back == ns);
    }
}

static void
forms_of_rfc3339(void)
{
    static const struct {
        const char *text;
        int64_t ns;
    } good[] = {
        {"1970-01-01T00:00:00Z", 0},
        {"1970-01-01 00:00:01", LP_NS_PER_S},
        {"1970-01-01t01:00:00.5+01:00", 500000000},
        {"1969-12-31T19:00:00-0500", 0},
        {"1970-01-01T02:00:00+02", 0},
        {"1970-01-01T00:00:00.0000000019z", 1}, /* the tenth digit is dropped */
        {"1970-01-01T00:00:00,25Z", 250000000},
        {"2016-12-31T23:59:60Z", INT64_C(1483228800000000000)},
        {"2024-02-29T00:00:00Z", INT64_C(1709164800000000000)},
    };
    static const char *const bad[] = {
        "",
        "1970",
        "1970-01-01",
        "1970-01-01T00:00",
        "1970-13-01T00:00:00Z",
        "1970-00-01T00:00:00Z",
        "1970-01-32T00:00:00Z",
        "2023-02-29T00:00:00Z",
        "1900-02-29T00:00:00Z",
        "1970-01-01T24:00:00Z",
        "1970-01-01T00:60:00Z",
        "1970-01-01T00:00:61Z",
        "1970-01-01T00:00:00.Z",
        "1970-01-01T00:00:00Zx",
        "1970-01-01T00:00:00+24:00",
        "1970-01-01T00:00:00+1",
        "1970-01-01T00:00:00+01:60",
        "1970-1-1T00:00:00Z",
        "0001-01-01T00:00:00Z",
        "9999-12-31T23:59:59Z",
        "1677-09-21T00:12:43.145224191Z",
        "2262-04-11T23:47:16.854775808Z",
        "+970-01-01T00:00:00Z",
        "1970-01-01T00:00:00Z ",
    };
    int64_t ns;
    for (size_t i = 0; i < LP_ARRAY_LEN(good); i++) {
        CU_ASSERT(lp_time_rfc3339(lp_str_c(good[i].text), &ns) && ns == good[i].ns);
    }
    for (size_t i = 0; i < LP_ARRAY_LEN(bad); i++) {
        CU_ASSERT_FALSE(lp_time_rfc3339(lp_str_c(bad[i]), &ns));
    }
}

static void
epochs(void)
{
    static const int64_t t = INT64_C(1795132800123456789);
    int64_t ns;
    CU_ASSERT(lp_time_any(LP_STR("1795132800.123456789"), &ns) && ns == t);
    CU_ASSERT(lp_time_any(LP_STR("1795132800123.456789"), &ns) && ns == t);
    CU_ASSERT(lp_time_any(LP_STR("1795132800123456.789"), &ns) && ns == t);
    CU_ASSERT(lp_time_any(LP_STR("1795132800123456789"), &ns) && ns == t);
    CU_ASSERT(lp_time_any(LP_STR("1.795132800123456789e9"), &ns) && ns == t);
    CU_ASSERT(lp_time_any(LP_STR("17951328001234567890e-10"), &ns) && ns == t);
    CU_ASSERT(lp_time_any(LP_STR("2026-11-20T00:00:00.123456789Z"), &ns) && ns == t);
    CU_ASSERT(lp_time_epoch_guess(LP_STR("1795132800"), &ns) && ns == t / LP_NS_PER_S * LP_NS_PER_S);
    CU_ASSERT(lp_time_epoch_guess(LP_STR("-1"), &ns) && ns == -LP_NS_PER_S);
    CU_ASSERT_FALSE(lp_time_epoch_guess(LP_STR("1.5"), &ns));
    CU_ASSERT(lp_time_decimal(LP_STR("1795132800123"), LP_NS_PER_MS, &ns) &&
              ns == t / LP_NS_PER_MS * LP_NS_PER_MS);
    CU_ASSERT(lp_time_decimal(LP_STR("0.0000000001e1"), LP_NS_PER_S, &ns) && ns == 1);
    CU_ASSERT(lp_time_decimal(LP_STR("1e-99999999999999999999"), LP_NS_PER_S, &ns) && ns == 0);
    CU_ASSERT(lp_time_decimal(LP_STR("0e99999"), LP_NS_PER_S, &ns) && ns == 0);
    CU_ASSERT(lp_time_decimal(LP_STR("9223372036854775807"), 1, &ns) && ns == INT64_MAX);
    static const char *const bad[] = {"",
                                      ".",
                                      "-",
                                      "1e",
                                      "e1",
                                      "1.2.3",
                                      "0x1",
                                      "1 ",
                                      "nan",
                                      "1e9s",
                                      "9223372036854775808",
                                      "1e99999",
                                      "99999999999999999999999999999999999999999"};
    for (size_t i = 0; i < LP_ARRAY_LEN(bad); i++) {
        CU_ASSERT_FALSE(lp_time_decimal(lp_str_c(bad[i]), 1, &ns));
        CU_ASSERT_FALSE(lp_time_any(lp_str_c(bad[i]), &ns));
    }
}

static void
durations(void)
{
    static const struct {
        const char *text;
        int64_t ns;
    } good[] = {
        {"0", 0},
        {"0s", 0},
        {"5m", 300 * LP_NS_PER_S},
        {"1h30m", 5400 * LP_NS_PER_S},
        {"1d", 86400 * LP_NS_PER_S},
        {"1w", 7 * 86400 * LP_NS_PER_S},
        {"1y", 365 * 86400 * LP_NS_PER_S},
        {"100ms", 100 * LP_NS_PER_MS},
        {"1.5h", 5400 * LP_NS_PER_S},
        {"-2m3.5s", -123500 * LP_NS_PER_MS},
        {"+1s", LP_NS_PER_S},
        {".5s", LP_NS_PER_S / 2},
        {"3us", 3000},
        {"3\xc2\xb5s", 3000},
        {"3\xce\xbcs", 3000},
        {"7ns", 7},
        {"1m1ms", 60 * LP_NS_PER_S + LP_NS_PER_MS},
    };
    static const char *const bad[] = {"",      "1",    "s",    "1x", "1s1",  "1 s",
                                      "1h-1m", "--1s", "1e3s", ".s", "300y", "9223372037s"};
    int64_t ns;
    for (size_t i = 0; i < LP_ARRAY_LEN(good); i++) {
        CU_ASSERT(lp_duration(lp_str_c(good[i].text), &ns) && ns == good[i].ns);
    }
    for (size_t i = 0; i < LP_ARRAY_LEN(bad); i++) {
        CU_ASSERT_FALSE(lp_duration(lp_str_c(bad[i]), &ns));
    }
}

static void
clocks_advance(void)
{
    int64_t mono = lp_mono_ns(), now = lp_now_ns();
    CU_ASSERT(lp_mono_ns() >= mono);
    CU_ASSERT(now > INT64_C(1700000000) * LP_NS_PER_S);
}

LP_SUITE(clock, {"every time comes back", every_time_comes_back}, {"forms of RFC 3339", forms_of_rfc3339},
         {"epochs", epochs}, {"durations", durations}, {"clocks advance", clocks_advance});
