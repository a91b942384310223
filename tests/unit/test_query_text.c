/*
 * test_query_text.c - words and times as a person types them. Oracle: the parser and the filters of the
 * server itself.
 */
#include "query/parse.h"
#include "query/linefilter.h"
#include "server/cmd_query_int.h"
#include "tests/unit/unit.h"

#include <stdlib.h>
#include <time.h>

static void
built(const char *const *words, size_t n, bool ignore_case, struct lp_buf *out)
{
    lp_buf_init(out, 1 << 16);
    lp_query_build(words, n, lp_query_is_logql(words, n), ignore_case, out);
}

static void
tells_words_from_logql(void)
{
    static const struct {
        const char *words;
        bool logql;
    } cases[] = {
        {"{app=\"x\"}", true},
        {"  {}", true},
        {"rate({a=\"b\"}[5m])", true},
        {"sum by (x) (rate({a=\"b\"}[1m]))", true},
        {"error", false},
        {"rate", false},
        {"rate(x)", false},
        {"main({})", false},
        {"a {b}", false},
        {"", false},
        {"sum of {x}", false},
        {"(rate({a=\"b\"}[5m]))", true},
        {"100 * sum(rate({a=\"b\"}[5m]))", true},
        {"f(x) {y}", false},
    };
    for (size_t i = 0; i < LP_ARRAY_LEN(cases); i++) {
        const char *words[] = {cases[i].words};
        CU_ASSERT_EQUAL(lp_query_is_logql(words, 1), cases[i].logql);
    }
    const char *split[] = {"{app=\"x\"}", "|=", "\"y\""};
    struct lp_buf q;
    built(split, 3, false, &q);
    CU_ASSERT(lp_str_eqc(lp_buf_view(&q), "{app=\"x\"} |= \"y\""));
    lp_buf_clear(&q);
}

static void
tells_metric_queries_from_lines(void)
{
    CU_ASSERT(lp_query_is_metric(LP_STR("rate({a=\"b\"}[5m])")));
    CU_ASSERT(lp_query_is_metric(LP_STR(" sum(rate({a=\"b\"}[5m])"))); /* a mistake: the server says so */
    CU_ASSERT(lp_query_is_metric(LP_STR("(rate({}[5m])) > 1")));
    CU_ASSERT(!lp_query_is_metric(LP_STR(" {a=\"b\"} |= \"rate(\"")));
    CU_ASSERT(!lp_query_is_metric(LP_STR("{a=b}")));
    CU_ASSERT(!lp_query_is_metric(LP_STR("")));
}

static void
chooses_round_steps(void)
{
    static const struct {
        int64_t range_s, points, step_s;
    } cases[] = {{0, 50, 1},        {3600, 50, 120},           {3600, 60, 60}, {7 * 86400, 50, 21600},
                 {86400, 50, 1800}, {365 * 86400, 50, 691200}, {10, 1000, 1},  {50 * 86400, 50, 86400}};
    for (size_t i = 0; i < LP_ARRAY_LEN(cases); i++) {
        CU_ASSERT_EQUAL(lp_query_round_step(cases[i].range_s * LP_NS_PER_S, (size_t)cases[i].points),
                        cases[i].step_s * LP_NS_PER_S);
    }
    CU_ASSERT(lp_query_round_step(INT64_MAX, 50) > INT64_MAX / 51);
}

/* The words, built and parsed, find a line or not. */
static bool
finds(const char *const *words, size_t n, bool ignore_case, const char *line)
{
    static const struct lp_logql_opts any = {.allow_empty_selector = true};
    struct lp_buf q;
    struct lp_arena ar;
    struct lp_err err;
    const struct lp_expr *e = NULL;
    struct lp_linefilter *f = NULL;
    lp_arena_init(&ar, LP_LOGQL_ARENA_BYTES, 0);
    built(words, n, ignore_case, &q);
    CU_ASSERT_EQUAL_FATAL(lp_logql_parse(lp_buf_view(&q), &any, &ar, &e, &err), LP_OK);
    CU_ASSERT_EQUAL_FATAL(lp_linefilter_new(e->log.stages, e->log.nstages, &f, &err), LP_OK);
    bool found = lp_linefilter_match(f, lp_str_c(line));
    lp_linefilter_free(f);
    lp_arena_clear(&ar);
    lp_buf_clear(&q);
    return found;
}

static void
searches_for_words_as_they_stand(void)
{
    const char *two[] = {"reset", "by peer"},
               *odd[] = {"a\\\"`{}|=\t%\xff"
                         "b"},
               *dots[] = {"A.B*(c)"},
               *umlaut[] = {"\xc3\x9c"
                            "BER"};
    CU_ASSERT(finds(two, 2, false, "connection reset by peer"));
    CU_ASSERT(!finds(two, 2, false, "connection reset by a peer"));
    CU_ASSERT(!finds(two, 2, false, "Connection Reset By Peer"));
    CU_ASSERT(finds(two, 2, true, "Connection Reset By Peer"));
    CU_ASSERT(finds(odd, 1, false,
                    "x a\\\"`{}|=\t%\xff"
                    "b"));
    CU_ASSERT(!finds(odd, 1, false, "x a\"`{}|=\t%b"));
    CU_ASSERT(finds(dots, 1, true, "see a.b*(C)"));
    CU_ASSERT(!finds(dots, 1, true, "see axbb(c)"));
    CU_ASSERT(finds(umlaut, 1, true,
                    "\xc3\xbc"
                    "ber"));
}

static void
reads_times(void)
{
    static const struct {
        const char *text, *time;
    } cases[] = {
        {"2026-01-02", "2026-01-01T23:00:00Z"},
        {"2026-01-02 15:04", "2026-01-02T14:04:00Z"},
        {"2026-01-02T15:04:05Z", "2026-01-02T15:04:05Z"},
        {"2026-01-02 15:04:05.5", "2026-01-02T14:04:05.5Z"},
        {"1767366245", "2026-01-02T15:04:05Z"},
        {"2h", "2026-05-31T22:00:00Z"},
        {"1d12h", "2026-05-30T12:00:00Z"},
    };
    static const char *const bad[] = {"", "yesterday", "2026-02-30", "2026-01-02 25:00", "12 monkeys"};
    int64_t now = 0, want, t;
    setenv("TZ", "Europe/Berlin", 1);
    tzset();
    CU_ASSERT(lp_time_rfc3339(LP_STR("2026-06-01T00:00:00Z"), &now));
    for (size_t i = 0; i < LP_ARRAY_LEN(cases); i++) {
        CU_ASSERT(lp_time_rfc3339(lp_str_c(cases[i].time), &want));
        CU_ASSERT(lp_query_time_text(lp_str_c(cases[i].text), now, &t));
        CU_ASSERT_EQUAL(t, want);
    }
    for (size_t i = 0; i < LP_ARRAY_LEN(bad); i++) {
        CU_ASSERT(!lp_query_time_text(lp_str_c(bad[i]), now, &t));
    }
    setenv("TZ", "UTC", 1);
    tzset();
}

/* What a file got. */
static void
shown(const char *json, enum lp_query_output output, const char *want)
{
    char *text = NULL;
    size_t n = 0;
    struct lp_query_show s;
    struct lp_buf row;
    FILE *f = open_memstream(&text, &n);
    CU_ASSERT_PTR_NOT_NULL_FATAL(f);
    lp_buf_init(&row, 1 << 16);
    lp_buf_c(&row, json);
    lp_query_show_init(&s, f, output);
    CU_ASSERT(lp_query_show_row(&s, lp_buf_view(&row)));
    lp_query_show_clear(&s);
    lp_buf_clear(&row);
    fclose(f);
    CU_ASSERT_STRING_EQUAL(text, want);
    free(text);
}

static void
shows_rows(void)
{
#define ROW(labels, line)                                                                                    \
    "{\"time\":\"2026-01-02T03:04:05.123456789Z\",\"labels\":{" labels "},\"line\":" line "}"
    shown(ROW("\"namespace\":\"shop\",\"pod\":\"web-1\",\"container\":\"app\",\"node\":\"n\"",
              "\"GET / 200\\n\""),
          LP_QUERY_DEFAULT, "2026-01-02 03:04:05.123 shop/web-1/app GET / 200\n");
    shown(ROW("\"filename\":\"/var/log/x\",\"job\":\"push\"", "\"one\\r\\ntwo\""), LP_QUERY_DEFAULT,
          "2026-01-02 03:04:05.123 /var/log/x one\r\n    two\n");
    shown(ROW("\"app\":\"a\",\"env\":\"b\"", "\"\""), LP_QUERY_DEFAULT,
          "2026-01-02 03:04:05.123 app=a env=b \n");
    shown(ROW("\"a\":\"b\"", "\"x\\u003c\\n\""), LP_QUERY_RAW, "x<\n\n");
    shown(ROW("\"a\":\"b\"", "\"\\ufffd!\",\"line_b64\":\"/yE=\""), LP_QUERY_RAW, "\xff!\n");
    shown(ROW("\"a\":\"b\"", "\"x\""), LP_QUERY_JSONL, ROW("\"a\":\"b\"", "\"x\"") "\n");
    shown("{\"cursor\":\"1-2\"}", LP_QUERY_DEFAULT, "");
    shown("{\"cursor\":\"1-2\"}", LP_QUERY_JSONL, "");
}

/* Each origin keeps its colour; standard error is red whoever wrote it; no escape sequence of a line gets
 * through. */
static void
colours_by_origin(void)
{
    static const struct {
        const char *labels, *line, *want;
    } rows[] = {
        {"\"app\":\"a\"", "one", "\033[36mapp=a\033[0m one\n"},
        {"\"app\":\"b\"", "two", "\033[33mapp=b\033[0m two\n"},
        {"\"app\":\"a\"", "\\u001b[31m", "\033[36mapp=a\033[0m \\x1b[31m\n"},
        {"\"pod\":\"p\",\"stream\":\"stderr\"", "bad", "\033[31mp\033[0m bad\n"},
    };
    char *text = NULL;
    size_t n = 0;
    struct lp_query_show s;
    struct lp_buf row, want;
    FILE *f = open_memstream(&text, &n);
    CU_ASSERT_PTR_NOT_NULL_FATAL(f);
    lp_buf_init(&row, 1 << 16);
    lp_buf_init(&want, 1 << 16);
    lp_query_show_init(&s, f, LP_QUERY_DEFAULT);
    s.colour = true;
    for (size_t i = 0; i < LP_ARRAY_LEN(rows); i++) {
        lp_buf_reset(&row);
        lp_buf_printf(&row, "{\"time\":\"2026-01-02T03:04:05Z\",\"labels\":{%s},\"line\":\"%s\"}",
                      rows[i].labels, rows[i].line);
        lp_buf_printf(&want, "\033[2m2026-01-02 03:04:05.000\033[0m %s", rows[i].want);
        CU_ASSERT(lp_query_show_row(&s, lp_buf_view(&row)));
    }
    lp_query_show_clear(&s);
    fclose(f);
    CU_ASSERT(lp_str_eq(lp_str_c(text), lp_buf_view(&want)));
    lp_buf_clear(&row);
    lp_buf_clear(&want);
    free(text);
}

static void
points_at_the_place(void)
{
    char *text = NULL;
    size_t n = 0;
    FILE *f = open_memstream(&text, &n);
    CU_ASSERT_PTR_NOT_NULL_FATAL(f);
    lp_query_point_at(f, LP_STR("{a=b}"), LP_STR("parse error at line 1, col 4: unexpected"));
    lp_query_point_at(f, LP_STR("{a=b}"), LP_STR("parse error : nowhere"));
    lp_query_point_at(f, LP_STR("{a=b}"), LP_STR("parse error at line 1, col 400: too far"));
    fclose(f);
    CU_ASSERT_STRING_EQUAL(text, "  {a=b}\n     ^\n");
    free(text);
}

LP_SUITE(query_text, {"tells words from LogQL", tells_words_from_logql},
         {"searches for words as they stand", searches_for_words_as_they_stand}, {"reads times", reads_times},
         {"shows rows", shows_rows}, {"tells metric queries from lines", tells_metric_queries_from_lines},
         {"chooses round steps", chooses_round_steps}, {"colours by origin", colours_by_origin},
         {"points at the place", points_at_the_place});
