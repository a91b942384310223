/*
 * test_exec_result.c - answers as text: streams with their labels and metadata, exports, label sets, counts,
 * constants. Oracle: the contract's forms, written out; for counts every record ever put in.
 */
#include <string.h>

#include "query/result.h"
#include "tests/unit/exec_fixture.h"

struct row {
    int64_t time_ns;
    struct lp_pair labels[4];
    size_t nlabels;
    struct lp_instance inst;
    struct lp_str line;
    struct lp_pair meta[4];
    size_t nmeta;
};

static const struct row rows[] = {
    {10, {LP_TEST_PAIR("app", "b"), LP_TEST_PAIR("pod", "b-1")}, 2, {{0}, {0}}, {"first", 5}, {LP_TEST_PAIR("trace", "t1")}, 1},
    {20, {LP_TEST_PAIR("app", "a")}, 1, {{"u1", 2}, {"0", 1}}, {"from u1", 7}, {{{0}, {0}}}, 0},
    {30, {LP_TEST_PAIR("app", "a")}, 1, {{"u2", 2}, {0}}, {"from u2 <&>", 11}, {{{0}, {0}}}, 0},
    {40,
     {LP_TEST_PAIR("app", "b"), LP_TEST_PAIR("pod", "b-1")},
     2,
     {{0}, {0}},
     {"bad \xff byte", 10},
     {LP_TEST_PAIR("user.id", "7"), LP_TEST_PAIR("pod", "other"), LP_TEST_PAIR("9lives", "y")},
     3},
    {50, {LP_TEST_PAIR("service_name", "own"), LP_TEST_PAIR("x", "\"q\"")}, 2, {{0}, {0}}, {"tab\there", 8}, {{{0}, {0}}}, 0},
};

static void
put_rows(struct lp_world *w)
{
    lp_world_open(w);
    struct lp_batch *b = lp_batch_new(LP_STR_NULL, SIZE_MAX, 0);
    for (size_t i = 0; i < LP_ARRAY_LEN(rows); i++) {
        uint32_t stream;
        const struct row *r = &rows[i];
        CU_ASSERT_EQUAL_FATAL(lp_batch_stream(b, r->labels, r->nlabels, &r->inst, &stream, NULL), LP_OK);
        CU_ASSERT_EQUAL_FATAL(lp_batch_add(b, stream, r->time_ns, r->line, false, r->meta, r->nmeta, NULL),
                              LP_OK);
    }
    lp_batch_finish(b);
    CU_ASSERT_EQUAL_FATAL(lp_put(w->st, b, 0), LP_OK);
}

static void
find(struct lp_world *w, const char *text, bool backward, struct lp_found *ret)
{
    struct lp_test_query q;
    lp_test_query_parse(&q, lp_str_c(text), true);
    struct lp_search s = lp_world_search(w, &q);
    s.backward = backward;
    s.want_labels = true;
    CU_ASSERT_EQUAL_FATAL(lp_search(&s, ret, NULL), LP_OK);
    lp_test_query_clear(&q);
}

/* What stands between "result":[ and the statistics. */
static void
expect_streams(struct lp_world *w, const char *query, bool backward, bool categorize, const char *expected)
{
    struct lp_found f;
    struct lp_buf out, want;
    lp_buf_init(&out, 1 << 20);
    lp_buf_init(&want, 1 << 20);
    find(w, query, backward, &f);
    CU_ASSERT_EQUAL(lp_result_streams(&f, categorize, &out, NULL), LP_OK);
    lp_buf_printf(&want,
                  "{\"status\":\"success\",\"data\":{\"resultType\":\"streams\",%s\"result\":[%s],\"stats\":",
                  categorize ? "\"encodingFlags\":[\"categorize-labels\"]," : "", expected);
    lp_test_check(lp_str_starts(lp_buf_view(&out), lp_buf_view(&want)), "another answer came",
                  lp_buf_view(&out));
    CU_ASSERT(lp_str_ends(lp_buf_view(&out), LP_STR("}}}\n")));
    lp_buf_clear(&out);
    lp_buf_clear(&want);
    lp_found_clear(&f);
}

static void
streams_have_loki_form(void)
{
    struct lp_world w;
    put_rows(&w);
    for (int sealed = 0; sealed < 2; sealed++) {
        /* two instances are one stream; entries in query direction */
        expect_streams(&w, "{app=\"a\"}", false, false,
                       "{\"stream\":{\"app\":\"a\",\"detected_level\":\"unknown\",\"service_name\":\"a\"},"
                       "\"values\":[[\"20\",\"from u1\"],"
                       "[\"30\",\"from u2 \\u003c\\u0026\\u003e\"]]}");
        expect_streams(
            &w, "{app=\"a\"}", true, false,
            "{\"stream\":{\"app\":\"a\",\"detected_level\":\"unknown\",\"service_name\":\"a\"},\"values\":["
            "[\"30\",\"from u2 \\u003c\\u0026\\u003e\"],[\"20\",\"from u1\"]]}");
        /* metadata among the labels: names cleaned, a clash renamed, so one stream becomes two */
        expect_streams(
            &w, "{app=\"b\"}", false, false,
            "{\"stream\":{\"_9lives\":\"y\",\"app\":\"b\",\"detected_level\":\"unknown\",\"pod\":\"b-1\","
            "\"pod_extracted\":\"other\","
            "\"service_name\":\"b\",\"user_id\":\"7\"},\"values\":[[\"40\",\"bad \\ufffd byte\"]]},"
            "{\"stream\":{\"app\":\"b\",\"detected_level\":\"unknown\",\"pod\":\"b-1\",\"service_name\":"
            "\"b\",\"trace\":\"t1\"},"
            "\"values\":[[\"10\",\"first\"]]}");
        expect_streams(&w, "{app=\"b\"}", true, true,
                       "{\"stream\":{\"app\":\"b\",\"pod\":\"b-1\",\"service_name\":\"b\"},\"values\":["
                       "[\"40\",\"bad \\ufffd "
                       "byte\",{\"structuredMetadata\":{\"_9lives\":\"y\",\"detected_level\":\"unknown\","
                       "\"pod_extracted\":\"other\",\"user_id\":\"7\"}}],"
                       "[\"10\",\"first\",{\"structuredMetadata\":{\"detected_level\":\"unknown\",\"trace\":"
                       "\"t1\"}}]]}");
        expect_streams(&w, "{x=~\".+\"}", true, true,
                       "{\"stream\":{\"service_name\":\"own\",\"x\":\"\\\"q\\\"\"},\"values\":["
                       "[\"50\",\"tab\\there\",{\"structuredMetadata\":{\"detected_level\":\"unknown\"}}]]}");
        expect_streams(&w, "{app=\"none\"}", true, false, "");
        lp_world_seal(&w);
    }
    lp_world_close(&w);
}

static void
statistics_are_true(void)
{
    struct lp_world w;
    struct lp_found f;
    struct lp_buf out;
    put_rows(&w);
    find(&w, "{app=~\".+\"} |= \"from\"", false, &f);
    lp_buf_init(&out, 1 << 20);
    CU_ASSERT_EQUAL(lp_result_streams(&f, false, &out, NULL), LP_OK);
    /* the batch is searched as one text, the line of the stream that is not wanted too */
    CU_ASSERT_NOT_EQUAL(
        lp_str_find(lp_buf_view(&out), LP_STR("\"totalBytesProcessed\":41,\"totalLinesProcessed\":4,")),
        SIZE_MAX);
    CU_ASSERT_NOT_EQUAL(lp_str_find(lp_buf_view(&out), LP_STR("\"totalEntriesReturned\":2,")), SIZE_MAX);
    CU_ASSERT_NOT_EQUAL(lp_str_find(lp_buf_view(&out), LP_STR("\"totalPostFilterLines\":2,")), SIZE_MAX);
    lp_buf_clear(&out);
    lp_buf_init(&out, 300); /* an answer over its limit is an error, not half an answer */
    CU_ASSERT_EQUAL(lp_result_streams(&f, false, &out, NULL), LP_ERR_LIMIT);
    lp_buf_clear(&out);
    lp_found_clear(&f);
    lp_world_close(&w);
}

static void
exports_are_exact(void)
{
    static const char *const jsonl[] = {
        "{\"time\":\"1970-01-01T00:00:00.000000010Z\",\"labels\":{\"app\":\"b\",\"pod\":\"b-1\"},"
        "\"metadata\":{\"trace\":\"t1\"},\"line\":\"first\"}\n",
        "{\"time\":\"1970-01-01T00:00:00.000000020Z\",\"labels\":{\"app\":\"a\"},"
        "\"instance\":{\"uid\":\"u1\",\"incarnation\":\"0\"},\"line\":\"from u1\"}\n",
        "{\"time\":\"1970-01-01T00:00:00.000000030Z\",\"labels\":{\"app\":\"a\"},"
        "\"instance\":{\"uid\":\"u2\",\"incarnation\":\"\"},\"line\":\"from u2 \\u003c\\u0026\\u003e\"}\n",
        "{\"time\":\"1970-01-01T00:00:00.000000040Z\",\"labels\":{\"app\":\"b\",\"pod\":\"b-1\"},"
        "\"metadata\":{\"9lives\":\"y\",\"pod\":\"other\",\"user.id\":\"7\"},\"line\":\"bad \\ufffd "
        "byte\","
        "\"line_b64\":\"YmFkIP8gYnl0ZQ==\"}\n",
        "{\"time\":\"1970-01-01T00:00:00.000000050Z\",\"labels\":{\"service_name\":\"own\",\"x\":"
        "\"\\\"q\\\"\"},"
        "\"line\":\"tab\\there\"}\n",
    };
    struct lp_world w;
    struct lp_found f;
    struct lp_buf out, want;
    put_rows(&w);
    find(&w, "{}", false, &f);
    CU_ASSERT_EQUAL_FATAL(f.n, LP_ARRAY_LEN(rows));
    lp_buf_init(&out, 1 << 20);
    lp_buf_init(&want, 1 << 20);
    CU_ASSERT_EQUAL(lp_export_jsonl(&f, &out, NULL), LP_OK);
    for (size_t i = 0; i < LP_ARRAY_LEN(jsonl); i++) {
        lp_buf_c(&want, jsonl[i]);
    }
    lp_test_check(lp_str_eq(lp_buf_view(&out), lp_buf_view(&want)), "other objects came", lp_buf_view(&out));
    lp_buf_reset(&out);
    lp_buf_reset(&want);
    CU_ASSERT_EQUAL(lp_export_raw(&f, &out, NULL), LP_OK);
    for (size_t i = 0; i < LP_ARRAY_LEN(rows); i++) {
        lp_buf_str(&want, rows[i].line);
        lp_buf_byte(&want, '\n');
    }
    CU_ASSERT(lp_str_eq(lp_buf_view(&out), lp_buf_view(&want)));
    lp_buf_clear(&want);
    lp_buf_clear(&out);
    lp_found_clear(&f);
    lp_world_close(&w);
}

static void
expect_sets(struct lp_world *w, const char *const *selectors, size_t n, int64_t from_ns, int64_t to_ns,
            const char *series, const char *names, const char *values)
{
    static const struct lp_str app = {"app", 3};
    struct lp_test_query q[4];
    const struct lp_log_query *logs[4];
    struct lp_label_sets sets;
    struct lp_names texts;
    struct lp_buf out;
    for (size_t i = 0; i < n; i++) {
        lp_test_query_parse(&q[i], lp_str_c(selectors[i]), true);
        CU_ASSERT_EQUAL_FATAL(q[i].rc, LP_OK);
        logs[i] = &q[i].expr->log;
    }
    struct lp_streams_query sq = {.store = w->st,
                                  .selectors = logs,
                                  .nselectors = n,
                                  .from_ns = from_ns,
                                  .to_ns = to_ns,
                                  .budget_bytes = 1 << 20,
                                  .deadline_ns = INT64_MAX};
    CU_ASSERT_EQUAL_FATAL(lp_streams_find(&sq, &sets, NULL), LP_OK);
    lp_buf_init(&out, 1 << 20);
    CU_ASSERT_EQUAL(lp_result_series(&sets, &out, NULL), LP_OK);
    lp_test_check(lp_str_eqc(lp_buf_view(&out), series), "other series came", lp_buf_view(&out));
    lp_buf_reset(&out);
    CU_ASSERT_EQUAL_FATAL(lp_streams_names(&sq, NULL, &texts, NULL), LP_OK);
    CU_ASSERT_EQUAL(lp_result_names(&texts, &out, NULL), LP_OK);
    lp_names_clear(&texts);
    lp_test_check(lp_str_eqc(lp_buf_view(&out), names), "other names came", lp_buf_view(&out));
    lp_buf_reset(&out);
    CU_ASSERT_EQUAL_FATAL(lp_streams_names(&sq, &app, &texts, NULL), LP_OK);
    CU_ASSERT_EQUAL(lp_result_names(&texts, &out, NULL), LP_OK);
    lp_names_clear(&texts);
    lp_test_check(lp_str_eqc(lp_buf_view(&out), values), "other values came", lp_buf_view(&out));
    lp_buf_clear(&out);
    lp_label_sets_clear(&sets);
    for (size_t i = 0; i < n; i++) {
        lp_test_query_clear(&q[i]);
    }
}

static void
label_sets_of_a_range(void)
{
    static const char *const two[] = {"{app=\"a\"}", "{x=~\".+\"}"};
    struct lp_world w;
    put_rows(&w);
    for (int sealed = 0; sealed < 2; sealed++) {
        expect_sets(&w, NULL, 0, LP_TIME_MIN, LP_TIME_MAX,
                    "{\"status\":\"success\",\"data\":[{\"app\":\"a\","
                    "\"service_name\":\"a\"},"
                    "{\"app\":\"b\",\"pod\":\"b-1\",\"service_name\":\"b\"},"
                    "{\"service_name\":\"own\",\"x\":\"\\\"q\\\"\"}]}\n",
                    "{\"status\":\"success\",\"data\":[\"app\",\"pod\",\"service_name\",\"x\"]}\n",
                    "{\"status\":\"success\",\"data\":[\"a\",\"b\"]}\n");
        expect_sets(&w, two, 2, LP_TIME_MIN, 50, /* the end is outside */
                    "{\"status\":\"success\",\"data\":[{\"app\":\"a\","
                    "\"service_name\":\"a\"}]}\n",
                    "{\"status\":\"success\",\"data\":[\"app\",\"service_name\"]}\n",
                    "{\"status\":\"success\",\"data\":[\"a\"]}\n");
        expect_sets(&w, two, 2, 60, LP_TIME_MAX, "{\"status\":\"success\",\"data\":[]}\n",
                    "{\"status\":\"success\"}\n", "{\"status\":\"success\"}\n");
        lp_world_seal(&w);
    }
    lp_world_close(&w);
}

static void
counts_are_exact(void)
{
    struct lp_world w;
    struct lp_test_query q;
    lp_test_query_parse(&q, LP_STR("{app=~\"app-[01]\"}"), true);
    const struct lp_log_query *log = &q.expr->log;
    lp_world_make(&w, 2000, LP_MIXED);
    for (int i = 0; i < 40; i++) {
        struct lp_stream_counts got, want = {0};
        int64_t from_ns = i == 0 ? LP_TIME_MIN : 950 + (int64_t)(lp_rand(&w.random) % 500);
        int64_t to_ns = i == 0 ? LP_TIME_MAX : from_ns + (int64_t)(lp_rand(&w.random) % 300);
        struct lp_streams_query sq = {.store = w.st,
                                      .selectors = &log,
                                      .nselectors = 1,
                                      .from_ns = from_ns,
                                      .to_ns = to_ns,
                                      .budget_bytes = 1 << 20,
                                      .deadline_ns = INT64_MAX};
        bool seen[6] = {false};
        for (size_t k = 0; k < w.n; k++) {
            const struct lp_rec *r = &w.v[k];
            if (r->time_ns >= from_ns && r->time_ns < to_ns && strcmp(r->app, "app-2") != 0) {
                want.entries++;
                want.bytes += strlen(r->line);
                unsigned set = (unsigned)(r->pod[4] - '0'); /* a pod here may have two apps */
                set = set == 4 && r->app[4] == '0' ? 5 : set;
                want.streams += !seen[set];
                seen[set] = true;
            }
        }
        CU_ASSERT_EQUAL_FATAL(lp_streams_count(&sq, &got, NULL), LP_OK);
        CU_ASSERT_EQUAL(got.entries, want.entries);
        CU_ASSERT_EQUAL(got.bytes, want.bytes);
        CU_ASSERT_EQUAL(got.streams, want.streams);
        CU_ASSERT((got.chunks > 0) == (want.entries > 0));
    }
    lp_test_query_clear(&q);
    lp_world_close(&w);
}

LP_SUITE(exec_result, {"streams have Loki's form", streams_have_loki_form},
         {"statistics are true", statistics_are_true}, {"exports are exact", exports_are_exact},
         {"label sets of a range", label_sets_of_a_range}, {"counts are exact", counts_are_exact});
