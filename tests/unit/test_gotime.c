/*
 * test_gotime.c - zones, layouts and durations below the functions of templates. Oracle: a TZif file made
 * here by RFC 8536, whose rules are those of Berlin; what is written must read back.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/bytes.h"
#include "base/clock.h"
#include "query/gotime.h"
#include "tests/unit/unit.h"

/* ------------------------------------------------------------------ a TZif file */

static void
put_header(struct lp_buf *b, uint32_t times, uint32_t types, uint32_t chars)
{
    uint8_t head[44] = "TZif2";
    lp_put_be32(head + 32, times);
    lp_put_be32(head + 36, types);
    lp_put_be32(head + 40, chars);
    lp_buf_add(b, head, sizeof(head));
}

static void
put_type(struct lp_buf *b, int32_t offset, bool dst, uint8_t name)
{
    uint8_t type[6];
    lp_put_be32(type, (uint32_t)offset);
    type[4] = dst;
    type[5] = name;
    lp_buf_add(b, type, sizeof(type));
}

/* Local mean time until 1000 s after 1970, then CET; CEST from 5000 s on; from 9000 s on by the rule. */
static void
make_file(struct lp_buf *b)
{
    static const int64_t times[] = {1000, 5000, 9000};
    uint8_t be[8];
    lp_buf_init(b, 65536);
    put_header(b, 0, 1, 1); /* the old block, which is skipped */
    put_type(b, 0, false, 0);
    lp_buf_byte(b, 0);
    put_header(b, 3, 3, 13);
    for (size_t i = 0; i < LP_ARRAY_LEN(times); i++) {
        lp_put_be64(be, (uint64_t)times[i]);
        lp_buf_add(b, be, 8);
    }
    lp_buf_add(b, "\1\2\1", 3);
    put_type(b, 3208, false, 0);
    put_type(b, 3600, false, 4);
    put_type(b, 7200, true, 8);
    lp_buf_add(b, "LMT\0CET\0CEST\0", 13);
    lp_buf_c(b, "\nCET-1CEST,M3.5.0,M10.5.0/3\n");
}

static void
zone_lookups(void)
{
    static const struct {
        int64_t sec;
        const char *name;
        int32_t offset;
        bool dst;
    } cases[] = {
        {INT64_MIN, "LMT", 3208, false},
        {999, "LMT", 3208, false},
        {1000, "CET", 3600, false},
        {4999, "CET", 3600, false},
        {5000, "CEST", 7200, true},
        {9000, "CET", 3600, false},
        {1774745999, "CET", 3600, false}, /* 2026-03-29T00:59:59Z */
        {1774746000, "CEST", 7200, true},
        {1792889999, "CEST", 7200, true},
        {1792890000, "CET", 3600, false}, /* 2026-10-25T01:00:00Z */
        {INT64_C(253402300799), "CET", 3600, false},
    };
    struct lp_buf b;
    make_file(&b);
    struct lp_zone *z = lp_zone_parse(lp_buf_view(&b));
    CU_ASSERT_FATAL(z != NULL);
    for (size_t i = 0; i < LP_ARRAY_LEN(cases); i++) {
        struct lp_zone_info info = lp_zone_at(z, cases[i].sec);
        CU_ASSERT(lp_str_eqc(info.name, cases[i].name));
        CU_ASSERT_EQUAL(info.offset, cases[i].offset);
        CU_ASSERT_EQUAL(info.dst, cases[i].dst);
    }
    CU_ASSERT_EQUAL(lp_zone_at_local(z, 1774746000).offset, 3600);
    CU_ASSERT_EQUAL(lp_zone_at_local(z, 1774753200).offset, 7200);
    int32_t offset;
    CU_ASSERT(lp_zone_abbreviation(z, LP_STR("CEST"), 1774753200, &offset) && offset == 7200);
    CU_ASSERT(lp_zone_abbreviation(z, LP_STR("LMT"), 1774753200, &offset) && offset == 3208);
    CU_ASSERT_FALSE(lp_zone_abbreviation(z, LP_STR("EST"), 0, &offset));
    CU_ASSERT(lp_zone_abbreviation(NULL, LP_STR("UTC"), 0, &offset) && offset == 0);
    lp_zone_free(z);
    lp_buf_clear(&b);
}

/* Cut off anywhere, or with any byte changed, a file is refused or read, and looked up in without harm. */
static void
damaged_files(void)
{
    struct lp_buf b;
    make_file(&b);
    for (size_t n = 0; n < b.n; n++) {
        char *copy = malloc(n + 1); /* so that reading on is seen */
        memcpy(copy, b.p, n);
        lp_zone_free(lp_zone_parse(lp_str_of(copy, n)));
        free(copy);
    }
    for (size_t i = 0; i < b.n; i++) {
        static const char values[] = {0, 1, 3, 127, -1, 'M', ',', '9'};
        char before = b.p[i];
        for (size_t k = 0; k < LP_ARRAY_LEN(values); k++) {
            b.p[i] = values[k];
            struct lp_zone *z = lp_zone_parse(lp_buf_view(&b));
            for (int64_t sec = -100000; z != NULL && sec < INT64_C(4000000000); sec += 49999999) {
                (void)lp_zone_at_local(z, sec);
            }
            lp_zone_free(z);
        }
        b.p[i] = before;
    }
    lp_buf_clear(&b);
}

static void
bad_names(void)
{
    static const char *const names[] = {
        "",
        "/etc/passwd",
        "../zoneinfo/UTC",
        "Europe/../UTC",
        "a\\b",
        "tzdata.zi",
        "Europe",
        "Europe/Berlin\n",
        "0123456789012345678901234567890123456789012345678901234567890123456789"};
    for (size_t i = 0; i < LP_ARRAY_LEN(names); i++) {
        CU_ASSERT(lp_zone_load(lp_str_c(names[i])) == NULL);
    }
    CU_ASSERT(lp_zone_load(lp_str_of("UTC\0x", 5)) == NULL);
}

/* ------------------------------------------------------------------ layouts */

static void
there_and_back(void)
{
    static const char *const layouts[] = {
        "2006-01-02T15:04:05.999999999Z07:00",
        "Monday, 02-Jan-06 15:04:05.000000000 MST",
        "_2 January 2006 3:04:05.000000000 PM -0700",
        "2006 002 15 4 5.000000000",
        "20060102150405,000000000Z0700",
    };
    uint64_t seed = 7;
    for (int i = 0; i < 20000; i++) {
        struct lp_arena ar;
        struct lp_buf text;
        int64_t sec =
            (int64_t)lp_test_below(&seed, 1u << 30) * 2; /* to 2038: years of two digits read back */
        struct lp_gotime t = {sec, (int32_t)lp_test_below(&seed, 1000000000), NULL}, back;
        struct lp_str layout = lp_str_c(layouts[i % LP_ARRAY_LEN(layouts)]);
        lp_arena_init(&ar, 65536, 0);
        lp_buf_init(&text, 256);
        lp_gotime_format(&text, &t, layout);
        CU_ASSERT(lp_gotime_parse(layout, lp_buf_view(&text), NULL, &ar, &back));
        CU_ASSERT(back.sec == t.sec && back.ns == t.ns);
        lp_buf_clear(&text);
        lp_arena_clear(&ar);
    }
}

/* Years beyond 9999 and below 0, and the ends of time, are written without harm. */
static void
far_times(void)
{
    static const struct {
        int64_t sec;
        const char *text;
    } cases[] = {
        {LP_GOTIME_ZERO_S, "0001-01-01 00:00:00 +0000 UTC"},
        {LP_GOTIME_ZERO_S - 1, "0000-12-31 23:59:59 +0000 UTC"},
        {INT64_C(-62167219201), "-0001-12-31 23:59:59 +0000 UTC"},
        {INT64_C(253402300800), "10000-01-01 00:00:00 +0000 UTC"},
    };
    for (size_t i = 0; i < LP_ARRAY_LEN(cases); i++) {
        struct lp_buf text;
        lp_buf_init(&text, 256);
        lp_gotime_print(&text, &(struct lp_gotime){.sec = cases[i].sec});
        CU_ASSERT(lp_str_eqc(lp_buf_view(&text), cases[i].text));
        lp_gotime_print(&text, &(struct lp_gotime){.sec = INT64_MAX});
        lp_gotime_print(&text, &(struct lp_gotime){.sec = INT64_MIN});
        lp_buf_clear(&text);
    }
}

static void
unreadable_times(void)
{
    static const struct {
        const char *layout, *text;
    } cases[] = {
        {"2006-01-02", "2026-13-01"},
        {"2006-01-02", "2026-02-30"},
        {"2006-01-02", "2026-1-02"},
        {"2006-01-02", "2026-01-02x"},
        {"2006-01-02", ""},
        {"15:04", "24:00"},
        {"15:04", "23:60"},
        {"3PM", "13PM"},
        {"3PM", "1XM"},
        {"Jan", "Foo"},
        {"Mon", "Foo"},
        {"002 2006", "366 2026"},
        {"002 2006", "000 2026"},
        {"2006-01-02 002", "2026-01-02 003"},
        {"-0700", "+2500"},
        {"-07:00", "+0100"},
        {"MST", "ab"},
        {"MST", "ABCDEF"},
        {".000", ".12"},
        {"05.000", "05,1234"},
    };
    struct lp_arena ar;
    struct lp_gotime t;
    lp_arena_init(&ar, 65536, 0);
    for (size_t i = 0; i < LP_ARRAY_LEN(cases); i++) {
        CU_ASSERT_FALSE(lp_gotime_parse(lp_str_c(cases[i].layout), lp_str_c(cases[i].text), NULL, &ar, &t));
    }
    lp_arena_clear(&ar);
}

LP_SUITE(gotime, {"zones", zone_lookups}, {"damaged zone files", damaged_files},
         {"names of zones", bad_names}, {"written and read", there_and_back}, {"far times", far_times},
         {"unreadable times", unreadable_times});
