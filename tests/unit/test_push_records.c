/*
 * test_push_records.c - lines to records, and records through the writer and the server's decoder back to
 * rows. Oracle: by hand; and that what is written is read back as it was.
 */
#include "ingest/content.h"
#include "server/cmd_push_int.h"
#include "tests/unit/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define DAY (86400 * LP_NS_PER_S)

static int64_t
utc(const char *text)
{
    int64_t t = 0;
    CU_ASSERT(lp_time_rfc3339(lp_str_c(text), &t));
    return t;
}

static void
in_zone(const char *zone)
{
    setenv("TZ", zone, 1);
    tzset();
}

static void
knows_the_times_of_lines(void)
{
    static const struct {
        const char *line, *time; /* NULL: none */
    } cases[] = {
        {"2026-01-02T03:04:05Z x", "2026-01-02T03:04:05Z"},
        {"2026-01-02T03:04:05.678901234+05:30 x", "2026-01-01T21:34:05.678901234Z"},
        {"2026-01-02 03:04:05,678 INFO", "2026-01-02T02:04:05.678Z"}, /* Berlin, winter */
        {"2026-07-02 03:04:05 x", "2026-07-02T01:04:05Z"},            /* and summer */
        {"2026/01/02 03:04:05 [error]", "2026-01-02T02:04:05Z"},
        {"[2026-01-02 03:04:05.5] x", "2026-01-02T02:04:05.5Z"},
        {"2026-01-02 03:04:05.678 UTC [12] LOG:", "2026-01-02T03:04:05.678Z"},
        {"2026-01-02 03:04:05 -0500 x", "2026-01-02T08:04:05Z"},
        {"2026-01-02 03:04:05 -5 apples", "2026-01-02T02:04:05Z"},
        {"2026-01-02 03:04:05. x", "2026-01-02T02:04:05Z"},
        {"2024-02-29 00:00:00Z", "2024-02-29T00:00:00Z"},
        {"2026-02-29 00:00:00Z", NULL},
        {"2026-13-01 00:00:00", NULL},
        {"2026-01-02 24:00:00", NULL},
        {"2026-01-02", NULL},
        {"2026-01-02 03:04", NULL},
        {"20260102 03:04:05", NULL},
        {"Jun  1 12:00:00 host x[1]: y", "2026-06-01T10:00:00Z"},
        {"Dec 31 23:59:59 host x", "2025-12-31T22:59:59Z"}, /* the file is of June 2026 */
        {"Jun 02 12:00:00 host", "2026-06-02T10:00:00Z"},   /* a clock that is ahead by less than a day */
        {"Feb 29 12:00:00 host", "2024-02-29T11:00:00Z"},
        {"Foo 29 12:00:00 host", NULL},
        {"June 1 12:00:00", NULL},
        {"", NULL},
        {"[", NULL},
        {"    at com.example.Main", NULL},
    };
    in_zone("Europe/Berlin");
    struct lp_line_clock clock;
    lp_line_clock_init(&clock, utc("2026-06-01T20:00:00Z"));
    for (size_t i = 0; i < LP_ARRAY_LEN(cases); i++) {
        int64_t t = 0;
        bool found = lp_line_time(&clock, lp_str_c(cases[i].line), &t);
        CU_ASSERT_EQUAL(found, cases[i].time != NULL);
        if (found && cases[i].time != NULL && t != utc(cases[i].time)) {
            printf("%s\n", cases[i].line);
            CU_FAIL("another time");
        }
    }
    in_zone("UTC");
}

/* "STREAM@TIME:LINE|" for each record of the lines; '-' stands for no time. */
static void
expect_records(const char *const *lines, size_t n, const char *want)
{
    static const char streams[] = "-oe";
    struct lp_push_records r;
    struct lp_push_record rec;
    struct lp_buf out, line;
    lp_buf_init(&out, 1 << 16);
    lp_buf_init(&line, 1 << 16);
    lp_push_records_init(&r, utc("2026-06-01T00:00:00Z"));
    for (size_t i = 0; i <= n; i++) {
        bool some;
        lp_buf_reset(&line);
        if (i < n) {
            lp_buf_c(&line, lines[i]);
        }
        while ((some = i < n ? lp_push_records_line(&r, lp_buf_view(&line), &rec)
                             : lp_push_records_rest(&r, &rec))) {
            char t[24] = "-";
            if (rec.time_ns != LP_TIME_NONE) {
                snprintf(t, sizeof(t), "%lld",
                         (long long)((rec.time_ns - utc("2026-01-02T00:00:00Z")) / LP_NS_PER_S));
            }
            lp_buf_printf(&out, "%c@%s:" LP_STR_FMT "|", streams[rec.stream], t, LP_STR_ARG(rec.line));
            if (i < n) {
                break;
            }
        }
    }
    lp_buf_byte(&out, 0);
    CU_ASSERT_STRING_EQUAL(out.p, want);
    lp_push_records_clear(&r);
    lp_buf_clear(&out);
    lp_buf_clear(&line);
}

static void
reads_container_logs(void)
{
    static const char *const cri[] = {
        "2026-01-02T00:00:01.5Z stdout F whole line",
        "2026-01-02T00:00:02Z stdout P one,",
        "2026-01-02T00:00:03Z stderr P uno,",
        "2026-01-02T00:00:04Z stdout P two,",
        "2026-01-02T00:00:05Z stdout F three",
        "2026-01-02T00:00:06Z stderr F due",
        "2026-01-02T00:00:07Z stdout F ",
        "not of the container runtime",
        "2026-01-02T00:00:09Z stderr P never ends",
    };
    expect_records(
        cri, LP_ARRAY_LEN(cri),
        "o@1:whole line|o@2:one,two,three|e@3:uno,due|o@7:|-@7:not of the container runtime|e@9:never ends|");
    static const char *const docker[] = {
        "{\"log\":\"a \\u00e9\\n\",\"stream\":\"stdout\",\"time\":\"2026-01-02T00:00:01Z\"}",
        "{\"log\":\"part \",\"stream\":\"stderr\",\"time\":\"2026-01-02T00:00:02Z\"}",
        "{\"log\":\"b\\n\",\"stream\":\"stdout\",\"time\":\"2026-01-02T00:00:03Z\"}",
        "{\"log\":\"whole\\n\",\"stream\":\"stderr\",\"time\":\"2026-01-02T00:00:04Z\"}",
        "{\"log\":1}",
        "{\"log\":\"cut off",
    };
    expect_records(docker, LP_ARRAY_LEN(docker),
                   "o@1:a \xc3\xa9|o@3:b|e@2:part whole|-@4:{\"log\":1}|-@4:{\"log\":\"cut off|");
}

static void
gives_lines_without_time_that_of_the_line_before(void)
{
    in_zone("UTC");
    static const char *const lines[] = {"before all", "2026-01-02 00:00:05,1 ERROR broke", "    at main()",
                                        "",           "2026-01-02 00:00:06 fine",          "{\"log\":\"x\"}"};
    expect_records(lines, LP_ARRAY_LEN(lines),
                   "-@-:before all|-@5:2026-01-02 00:00:05,1 ERROR broke|-@5:    at main()|-@5:|"
                   "-@6:2026-01-02 00:00:06 fine|-@6:{\"log\":\"x\"}|");
}

/* What push sends is what the server reads. */
static void
survives_the_way_to_the_server(void)
{
    static const struct lp_push_record records[] = {
        {LP_TIME_NONE, LP_PUSH_STDOUT, {"no time", 7}},
        {1, LP_PUSH_STDOUT, {"\xff\0\n\"", 4}},
        {-1, LP_PUSH_STDOUT, {"", 0}},
        {INT64_C(4102444800123456789), LP_PUSH_STDOUT, {"late", 4}},
        {INT64_C(-5000000000123456789), LP_PUSH_STDOUT, {"early", 5}},
    };
    struct lp_pair labels[] = {{LP_STR("app"), LP_STR("a\"\\\n{}\xff,")}, {LP_STR("b"), LP_STR("c")}};
    struct lp_instance inst = {LP_STR("uid-1"), LP_STR("3")};
    struct lp_buf entries, text, request, body;
    struct lp_err err;
    lp_buf_init(&entries, 1 << 20);
    lp_buf_init(&text, 1 << 20);
    lp_buf_init(&request, 1 << 20);
    lp_buf_init(&body, 1 << 20);
    for (size_t i = 0; i < LP_ARRAY_LEN(records); i++) {
        lp_loki_put_entry(&entries, records[i].time_ns, records[i].line);
    }
    lp_loki_put_labels(&text, labels, 2, &inst);
    lp_loki_put_stream(&request, lp_buf_view(&text), lp_buf_view(&entries));
    CU_ASSERT_EQUAL(lp_snappy_encode(lp_buf_view(&request), &body, &err), LP_OK);

    struct lp_decoder *d = lp_decoder_new();
    struct lp_decode_limits lim = {1 << 20, 1 << 24};
    struct lp_push push = {.method = LP_STR("POST"),
                           .target = LP_STR("/loki/api/v1/push"),
                           .body = lp_buf_view(&body),
                           .received_ns = 77};
    push.headers[push.nheaders++] =
        (struct lp_pair){LP_STR("Content-Type"), LP_STR("application/x-protobuf")};
    struct lp_batch *b = NULL;
    CU_ASSERT_EQUAL_FATAL(lp_decode_push(d, &push, &lim, &b, &err), LP_OK);
    CU_ASSERT_EQUAL_FATAL(b->nrows, LP_ARRAY_LEN(records));
    CU_ASSERT_EQUAL(b->untimed, 1);
    for (size_t i = 0; i < b->nrows; i++) {
        CU_ASSERT_EQUAL(b->rows[i].time_ns, records[i].time_ns == LP_TIME_NONE ? 77 : records[i].time_ns);
        CU_ASSERT(lp_str_eq(lp_str_of(b->rows[i].line, b->rows[i].line_bytes), records[i].line));
    }
    struct lp_stream_key key;
    CU_ASSERT_EQUAL(lp_stream_key_parse(b->streams[0].key, &b->ar, &key, &err), LP_OK);
    CU_ASSERT_EQUAL(key.nlabels, 2);
    CU_ASSERT(lp_str_eq(lp_stream_key_label(&key, LP_STR("app")), labels[0].value));
    CU_ASSERT(lp_str_eqc(key.inst.uid, "uid-1") && lp_str_eqc(key.inst.incarnation, "3"));
    lp_batch_free(b);
    lp_decoder_free(d);
    lp_buf_clear(&entries);
    lp_buf_clear(&text);
    lp_buf_clear(&request);
    lp_buf_clear(&body);
}

static void
sets_and_drops_labels(void)
{
    struct lp_push_labels l = {.n = 0};
    CU_ASSERT(lp_push_label(&l, LP_STR("a"), LP_STR("1")));
    CU_ASSERT(lp_push_label(&l, LP_STR("b"), LP_STR("2")));
    CU_ASSERT(lp_push_label(&l, LP_STR("a"), LP_STR("3")));
    CU_ASSERT_EQUAL(l.n, 2);
    CU_ASSERT(lp_str_eqc(l.pairs[0].value, "3"));
    CU_ASSERT(lp_push_label(&l, LP_STR("a"), LP_STR("")));
    CU_ASSERT(lp_push_label(&l, LP_STR("c"), LP_STR("")));
    CU_ASSERT_EQUAL_FATAL(l.n, 1);
    CU_ASSERT(lp_str_eqc(l.pairs[0].name, "b"));
}

LP_SUITE(push_records, {"knows the times of lines", knows_the_times_of_lines},
         {"reads container logs", reads_container_logs},
         {"gives lines without time that of the line before",
          gives_lines_without_time_that_of_the_line_before},
         {"survives the way to the server", survives_the_way_to_the_server},
         {"sets and drops labels", sets_and_drops_labels});
