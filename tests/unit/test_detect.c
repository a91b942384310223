/*
 * test_detect.c - detected fields, values and labels, and volumes. Oracle: rows written out with the answers
 * that follow from them; for volumes every record that was put in, added up.
 */
#include "query/detect.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "query/exec_patterns.h"
#include "query/result_meta.h"
#include "query/volume.h"
#include "tests/unit/exec_fixture.h"

#define BUDGET (64u << 20)

/* ------------------------------------------------------------------ types */

static void
types_of_values(void)
{
    static const char *const values[][2] = {
        {"1", "int"},
        {"-7", "int"},
        {"+4", "int"},
        {"9223372036854775807", "int"},
        {"1.5", "float"},
        {"1e3", "float"},
        {"-.5", "float"},
        {"9223372036854775808", "float"},
        {"NaN", "float"},
        {"+Inf", "float"},
        {"true", "boolean"},
        {"F", "boolean"},
        {"TRUE", "boolean"},
        {"tRUE", "string"},
        {"1m30s", "duration"},
        {"250us", "duration"},
        {"3\302\265s", "duration"},
        {"-6s", "duration"},
        {"2d", "string"},
        {"1w", "string"},
        {"4.2MB", "bytes"},
        {"1 KiB", "bytes"},
        {"10kb", "bytes"},
        {"", "string"},
        {"abc", "string"},
        {"1.2.3", "string"},
        {"10.0.0.1", "string"},
        {"0x1F", "string"},
        {"5m", "duration"},
        {"1_000", "string"},
    };
    for (size_t i = 0; i < LP_ARRAY_LEN(values); i++) {
        const char *type = lp_field_type(lp_str_c(values[i][0]));
        lp_test_check(strcmp(type, values[i][1]) == 0, type, lp_str_c(values[i][0]));
    }
}

/* ------------------------------------------------------------------ fields */

struct row {
    struct lp_pair label;
    const char *line;
    struct lp_pair meta[2];
    size_t nmeta;
};

static void
put_rows(struct lp_world *w, const struct row *rows, size_t n)
{
    lp_world_open(w);
    struct lp_batch *b = lp_batch_new(LP_STR_NULL, SIZE_MAX, 0);
    for (size_t i = 0; i < n; i++) {
        uint32_t stream;
        struct lp_instance inst = {{0}, {0}};
        CU_ASSERT_EQUAL_FATAL(lp_batch_stream(b, &rows[i].label, 1, &inst, &stream, NULL), LP_OK);
        CU_ASSERT_EQUAL_FATAL(lp_batch_add(b, stream, 10 + (int64_t)i, lp_str_c(rows[i].line), false,
                                           rows[i].meta, rows[i].nmeta, NULL),
                              LP_OK);
    }
    lp_batch_finish(b);
    CU_ASSERT_EQUAL_FATAL(lp_put(w->st, b, 0), LP_OK);
}

static void
find(const struct lp_world *w, const char *query, struct lp_found *ret)
{
    struct lp_test_query q;
    lp_test_query_parse(&q, lp_str_c(query), true);
    struct lp_search s = lp_world_search(w, &q);
    s.want_labels = true;
    s.backward = true;
    CU_ASSERT_EQUAL_FATAL(lp_search(&s, ret, NULL), LP_OK);
    lp_test_query_clear(&q);
}

static void
expect_fields(const struct lp_world *w, const char *query, size_t limit, const char *expected)
{
    struct lp_found f;
    struct lp_detected_fields d;
    struct lp_buf out;
    find(w, query, &f);
    lp_buf_init(&out, 1 << 20);
    CU_ASSERT_EQUAL_FATAL(lp_detect_fields(&f, limit, BUDGET, NULL, &d, NULL), LP_OK);
    CU_ASSERT_EQUAL(lp_result_detected_fields(&d, limit, &out, NULL), LP_OK);
    lp_test_check(lp_str_eqc(lp_buf_view(&out), expected), "other fields came", lp_buf_view(&out));
    lp_buf_clear(&out);
    lp_detected_fields_clear(&d);
    lp_found_clear(&f);
}

static void
expect_values(const struct lp_world *w, const char *query, const char *name, size_t limit,
              const char *expected)
{
    struct lp_found f;
    struct lp_names values;
    struct lp_buf out;
    find(w, query, &f);
    lp_buf_init(&out, 1 << 20);
    CU_ASSERT_EQUAL_FATAL(lp_detect_values(&f, lp_str_c(name), limit, BUDGET, NULL, &values, NULL), LP_OK);
    CU_ASSERT_EQUAL(lp_result_detected_values(&values, limit, &out, NULL), LP_OK);
    lp_test_check(lp_str_eqc(lp_buf_view(&out), expected), "other values came", lp_buf_view(&out));
    lp_buf_clear(&out);
    lp_names_clear(&values);
    lp_found_clear(&f);
}

static const struct row rows[] = {
    {LP_TEST_PAIR("app", "json"),
     "{\"a\":1,\"b\":{\"c-d\":\"x\",\"a\":\"2ms\"},\"app\":\"mine\",\"n\":null,\"l\":[1],\"a\":7}",
     {LP_TEST_PAIR("t.id", "1")},
     1},
    {LP_TEST_PAIR("app", "json"), "{\"a\":2,\"b\":{\"c-d\":\"y\"},\"size\":\"1.4MiB\"}", {LP_TEST_PAIR("t.id", "2")}, 1},
    {LP_TEST_PAIR("app", "logfmt"), "level=info took=5ms bare empty= size=512 a=1 a=2", {{{0}, {0}}}, 0},
    {LP_TEST_PAIR("app", "logfmt"), "level=warn took=7ms app=x", {LP_TEST_PAIR("level", "error")}, 1},
    {LP_TEST_PAIR("app", "text"), "no fields here", {{{0}, {0}}}, 0},
};

static void
fields_of_lines(void)
{
    struct lp_world w;
    put_rows(&w, rows, LP_ARRAY_LEN(rows));
    for (int sealed = 0; sealed < 2; sealed++) {
        expect_fields(
            &w, "{app=\"json\"}", 100,
            "{\"fields\":[{\"label\":\"a\",\"type\":\"int\",\"cardinality\":2,\"parsers\":[\"json\"],"
            "\"jsonPath\":[\"a\"]},"
            "{\"label\":\"app_extracted\",\"type\":\"string\",\"cardinality\":1,\"parsers\":[\"json\"],"
            "\"jsonPath\":[\"app\"]},"
            "{\"label\":\"b_a\",\"type\":\"duration\",\"cardinality\":1,\"parsers\":[\"json\"],\"jsonPath\":["
            "\"b\",\"a\"]},"
            "{\"label\":\"b_c_d\",\"type\":\"string\",\"cardinality\":2,\"parsers\":[\"json\"],\"jsonPath\":["
            "\"b\",\"c-d\"]},"
            "{\"label\":\"detected_level\",\"type\":\"string\",\"cardinality\":1,\"parsers\":null},"
            "{\"label\":\"size\",\"type\":\"bytes\",\"cardinality\":1,\"parsers\":[\"json\"],\"jsonPath\":["
            "\"size\"]},"
            "{\"label\":\"t_id\",\"type\":\"int\",\"cardinality\":2,\"parsers\":null}],\"limit\":100}\n");
        /* metadata and a field of one name are one field */
        expect_fields(
            &w, "{app=\"logfmt\"}", 100,
            "{\"fields\":[{\"label\":\"a\",\"type\":\"int\",\"cardinality\":1,\"parsers\":[\"logfmt\"]},"
            "{\"label\":\"app_extracted\",\"type\":\"string\",\"cardinality\":1,\"parsers\":[\"logfmt\"]},"
            "{\"label\":\"detected_level\",\"type\":\"string\",\"cardinality\":2,\"parsers\":null},"
            "{\"label\":\"level\",\"type\":\"string\",\"cardinality\":3,\"parsers\":[\"logfmt\"]},"
            "{\"label\":\"size\",\"type\":\"int\",\"cardinality\":1,\"parsers\":[\"logfmt\"]},"
            "{\"label\":\"took\",\"type\":\"duration\",\"cardinality\":2,\"parsers\":[\"logfmt\"]}],"
            "\"limit\":100}\n");
        expect_fields(&w, "{app=\"text\"}", 100,
                      "{\"fields\":[{\"label\":\"detected_level\",\"type\":\"string\",\"cardinality\":1,"
                      "\"parsers\":null}],"
                      "\"limit\":100}\n");
        /* the streams in the order of their labels, each newest first: both parsers, and the type of the last
         */
        expect_fields(&w, "{app=~\"json|logfmt\"} |= \"size\"", 1,
                      "{\"fields\":[{\"label\":\"detected_level\",\"type\":\"string\",\"cardinality\":2,"
                      "\"parsers\":null}],"
                      "\"limit\":1}\n");
        expect_fields(&w, "{app=\"none\"}", 100, "{}\n");
        lp_world_seal(&w);
    }
    lp_world_close(&w);
}

static void
values_of_a_field(void)
{
    struct lp_world w;
    put_rows(&w, rows, LP_ARRAY_LEN(rows));
    expect_values(&w, "{app=\"logfmt\"}", "level", 10,
                  "{\"values\":[\"error\",\"info\",\"warn\"],\"limit\":10}\n");
    expect_values(&w, "{app=\"logfmt\"}", "level", 1, "{\"values\":[\"error\"],\"limit\":1}\n");
    expect_values(&w, "{app=~\".+\"}", "detected_level", 10,
                  "{\"values\":[\"error\",\"info\",\"unknown\"],\"limit\":10}\n");
    expect_values(&w, "{app=\"json\"}", "a", 10,
                  "{\"values\":[\"1\",\"2\"],\"limit\":10}\n"); /* the first of two keys */
    expect_values(&w, "{app=~\".+\"}", "size", 10, "{\"values\":[\"1.5MB\",\"512\"],\"limit\":10}\n");
    expect_values(&w, "{app=~\".+\"}", "took", 10, "{\"values\":[\"5ms\",\"7ms\"],\"limit\":10}\n");
    expect_values(&w, "{app=~\".+\"}", "app", 10, "{}\n"); /* a label of the stream is no field */
    expect_values(&w, "{app=~\".+\"}", "nosuch", 10, "{}\n");
    lp_world_close(&w);
}

static void
fields_have_a_budget(void)
{
    struct lp_world w;
    struct lp_found f;
    struct lp_detected_fields d;
    struct lp_err err;
    struct row many[40];
    char lines[40][2048];
    for (size_t i = 0; i < LP_ARRAY_LEN(many); i++) {
        size_t n = 0;
        for (unsigned k = 0; k < 100; k++) {
            n += (size_t)snprintf(lines[i] + n, sizeof(lines[i]) - n, "k%zu_%u=%u ", i, k, k);
        }
        many[i] = (struct row){LP_TEST_PAIR("app", "a"), lines[i], {{{0}, {0}}}, 0};
    }
    put_rows(&w, many, LP_ARRAY_LEN(many));
    find(&w, "{app=\"a\"}", &f);
    lp_err_clear(&err);
    CU_ASSERT_EQUAL(lp_detect_fields(&f, 10000, 64 << 10, NULL, &d, &err), LP_ERR_LIMIT);
    CU_ASSERT(err.text[0] != 0);
    CU_ASSERT_EQUAL_FATAL(lp_detect_fields(&f, 10000, BUDGET, NULL, &d, NULL), LP_OK);
    CU_ASSERT_EQUAL(d.n, 4001);
    lp_detected_fields_clear(&d);
    CU_ASSERT_EQUAL_FATAL(lp_detect_fields(&f, 50, 1 << 20, NULL, &d, NULL), LP_OK);
    CU_ASSERT_EQUAL(d.n, 50);
    lp_detected_fields_clear(&d);
    lp_found_clear(&f);
    lp_world_close(&w);
}

/* ------------------------------------------------------------------ labels */

static void
labels_that_are_ids_are_left_out(void)
{
    static const struct lp_pair labels[] = {
        LP_TEST_PAIR("app", "a"),
        LP_TEST_PAIR("boolean", "1"),
        LP_TEST_PAIR("n", "17"),
        LP_TEST_PAIR("pod", "12"),
        LP_TEST_PAIR("run", "2fc3d2a6-7e1b-4c58-9b1e-0c1a7f0d8a11"),
        LP_TEST_PAIR("tag", "2fc3d2a67e1b4c589b1e0c1a7f0d8a11x"),
    };
    struct lp_world w;
    struct lp_detected_labels d;
    struct lp_buf out;
    struct lp_instance inst = {{0}, {0}};
    uint32_t stream;
    lp_world_open(&w);
    lp_buf_init(&out, 1 << 16);
    struct lp_batch *b = lp_batch_new(LP_STR_NULL, SIZE_MAX, 0);
    CU_ASSERT_EQUAL_FATAL(lp_batch_stream(b, labels, LP_ARRAY_LEN(labels), &inst, &stream, NULL), LP_OK);
    CU_ASSERT_EQUAL_FATAL(lp_batch_add(b, stream, 10, LP_STR("x"), false, NULL, 0, NULL), LP_OK);
    lp_batch_finish(b);
    CU_ASSERT_EQUAL_FATAL(lp_put(w.st, b, 0), LP_OK);
    struct lp_streams_query q = {
        .store = w.st, .from_ns = 0, .to_ns = 100, .budget_bytes = BUDGET, .deadline_ns = INT64_MAX};
    CU_ASSERT_EQUAL_FATAL(lp_detect_labels(&q, &d, NULL), LP_OK);
    CU_ASSERT_EQUAL(lp_result_detected_labels(&d, &out, NULL), LP_OK);
    lp_test_check(
        lp_str_eqc(lp_buf_view(&out),
                   "{\"detectedLabels\":[{\"label\":\"app\",\"cardinality\":1},{\"label\":\"boolean\","
                   "\"cardinality\":1},"
                   "{\"label\":\"pod\",\"cardinality\":1},{\"label\":\"service_name\",\"cardinality\":1},"
                   "{\"label\":\"tag\",\"cardinality\":1}]}\n"),
        "other labels came", lp_buf_view(&out));
    lp_detected_labels_clear(&d);
    q.from_ns = 50;
    lp_buf_reset(&out);
    CU_ASSERT_EQUAL_FATAL(lp_detect_labels(&q, &d, NULL), LP_OK);
    CU_ASSERT_EQUAL(lp_result_detected_labels(&d, &out, NULL), LP_OK);
    CU_ASSERT(lp_str_eqc(lp_buf_view(&out), "{}\n"));
    lp_detected_labels_clear(&d);
    lp_buf_clear(&out);
    lp_world_close(&w);
}

/* ------------------------------------------------------------------ volumes */

/* The bytes of records of an app in [from, to), every second one with its line as metadata `seq`, too. */
static uint64_t
bytes_of(const struct lp_world *w, const char *app, int64_t from_ns, int64_t to_ns)
{
    uint64_t bytes = 0;
    for (size_t i = 0; i < w->n; i++) {
        const struct lp_rec *r = &w->v[i];
        if ((app == NULL || strcmp(r->app, app) == 0) && r->time_ns >= from_ns && r->time_ns < to_ns) {
            bytes += strlen(r->line) + (r->seq % 2 != 0 ? 3 + strlen(r->line) : 0);
        }
    }
    return bytes;
}

static lp_rc
volumes(const struct lp_world *w, const char *query, const struct lp_volume_query *like,
        struct lp_volumes *ret)
{
    struct lp_test_query t;
    lp_test_query_parse(&t, lp_str_c(query), true);
    CU_ASSERT_EQUAL_FATAL(t.rc, LP_OK);
    const struct lp_log_query *log = &t.expr->log;
    struct lp_volume_query q = *like;
    q.streams.store = w->st;
    q.streams.selectors = &log;
    q.streams.nselectors = 1;
    q.streams.budget_bytes = BUDGET;
    q.streams.deadline_ns = INT64_MAX;
    q.limit = q.limit > 0 ? q.limit : 100;
    lp_rc rc = lp_streams_volume(&q, ret, NULL);
    lp_test_query_clear(&t);
    return rc;
}

/* Volumes of a part with more rows than are looked at for metadata may be off by what their metadata varies.
 */
static bool
is_near(uint64_t got, uint64_t want)
{
    uint64_t off = got > want ? got - want : want - got;
    return off <= want / 20;
}

static void
volumes_add_up(void)
{
    static const int64_t ranges[][2] = {{0, 10000}, {1000, 1100}, {1100, 1401}, {1300, 1300}, {1499, 1500}};
    for (int layout = 0; layout < LP_LAYOUTS; layout++) {
        struct lp_world w;
        lp_world_make(&w, 3000, layout);
        for (size_t i = 0; i < LP_ARRAY_LEN(ranges); i++) {
            struct lp_volume_query q = {.streams = {.from_ns = ranges[i][0], .to_ns = ranges[i][1]}};
            struct lp_volumes v;
            CU_ASSERT_EQUAL_FATAL(volumes(&w, "{app=~\".+\"}", &q, &v), LP_OK);
            uint64_t all = 0, last = UINT64_MAX;
            for (size_t k = 0; k < v.n; k++) {
                CU_ASSERT_EQUAL_FATAL(v.v[k].nlabels, 1);
                CU_ASSERT(is_near(v.v[k].bytes[0],
                                  bytes_of(&w, v.v[k].labels[0].value.p, ranges[i][0], ranges[i][1])));
                CU_ASSERT(v.v[k].bytes[0] <= last);
                last = v.v[k].bytes[0];
                all += last;
            }
            CU_ASSERT(is_near(all, bytes_of(&w, NULL, ranges[i][0], ranges[i][1])));
            CU_ASSERT(v.buckets == 1 && v.ends[0] == ranges[i][1]);
            lp_volumes_clear(&v);
        }
        lp_world_close(&w);
    }
}

static void
volumes_by_step(void)
{
    for (int layout = 0; layout < LP_LAYOUTS; layout++) {
        struct lp_world w;
        struct lp_volumes v;
        struct lp_volume_query q = {.streams = {.from_ns = 1050, .to_ns = 1420}, .step_ns = 100};
        lp_world_make(&w, 2000, layout);
        CU_ASSERT_EQUAL_FATAL(volumes(&w, "{app=\"app-1\"}", &q, &v), LP_OK);
        CU_ASSERT_EQUAL_FATAL(v.n, 1);
        CU_ASSERT_EQUAL_FATAL(v.buckets, 5);
        for (size_t b = 0; b < v.buckets; b++) {
            int64_t from = b == 0 ? 1050 : 1000 + (int64_t)b * 100,
                    to = b == 4 ? 1420 : 1100 + (int64_t)b * 100;
            CU_ASSERT(is_near(v.v[0].bytes[b], bytes_of(&w, "app-1", from, to)));
            CU_ASSERT_EQUAL(v.ends[b], b == 4 ? 1420 : to - LP_NS_PER_MS);
        }
        lp_volumes_clear(&v);
        q.step_ns = 1;
        q.streams.to_ns = LP_TIME_MAX;
        CU_ASSERT_EQUAL(volumes(&w, "{app=\"app-1\"}", &q, &v), LP_ERR_LIMIT);
        lp_world_close(&w);
    }
}

static void
volumes_by_other_labels(void)
{
    const struct lp_str targets[] = {LP_STR("pod"), LP_STR("service_name")}, none[] = {LP_STR("zone")};
    struct lp_world w;
    struct lp_volumes v;
    struct lp_volume_query q = {.streams = {.from_ns = 0, .to_ns = 10000}};
    lp_world_make(&w, 200, LP_HEAD_ONLY);
    CU_ASSERT_EQUAL_FATAL(volumes(&w, "{}", &q, &v), LP_OK); /* no label is named: all count */
    CU_ASSERT_EQUAL(v.n, 6);
    CU_ASSERT_EQUAL(v.v[0].nlabels, 3);
    lp_volumes_clear(&v);

    q.targets = targets;
    q.ntargets = 2;
    CU_ASSERT_EQUAL_FATAL(volumes(&w, "{app=\"app-1\"}", &q, &v), LP_OK);
    CU_ASSERT_EQUAL_FATAL(v.n, 2);
    CU_ASSERT(lp_str_eqc(v.v[0].labels[0].name, "pod") && lp_str_eqc(v.v[0].labels[1].name, "service_name"));
    CU_ASSERT_EQUAL(v.v[0].bytes[0] + v.v[1].bytes[0], bytes_of(&w, "app-1", 0, 10000));
    lp_volumes_clear(&v);

    q.targets = none; /* no stream has it */
    q.ntargets = 1;
    CU_ASSERT_EQUAL_FATAL(volumes(&w, "{app=~\".+\"}", &q, &v), LP_OK);
    CU_ASSERT_EQUAL(v.n, 0);
    lp_volumes_clear(&v);

    q.ntargets = 0;
    q.by_names = true;
    CU_ASSERT_EQUAL_FATAL(volumes(&w, "{app=\"app-2\"}", &q, &v), LP_OK);
    CU_ASSERT_EQUAL_FATAL(v.n, 3);
    for (size_t i = 0; i < 3; i++) {
        static const char *const names[] = {"app", "pod", "service_name"};
        CU_ASSERT(lp_str_eqc(v.v[i].labels[0].name, names[i]) && v.v[i].labels[0].value.n == 0);
        CU_ASSERT_EQUAL(v.v[i].bytes[0], bytes_of(&w, "app-2", 0, 10000));
    }
    lp_volumes_clear(&v);

    q.by_names = false;
    q.limit = 2; /* the largest two */
    CU_ASSERT_EQUAL_FATAL(volumes(&w, "{app=~\".+\"}", &q, &v), LP_OK);
    uint64_t least = UINT64_MAX;
    for (int i = 0; i < 3; i++) {
        char app[24];
        snprintf(app, sizeof(app), "app-%d", i);
        least = LP_MIN(least, bytes_of(&w, app, 0, 10000));
    }
    CU_ASSERT_EQUAL(v.n, 2);
    CU_ASSERT(v.v[0].bytes[0] >= v.v[1].bytes[0] && v.v[1].bytes[0] > least);
    lp_volumes_clear(&v);
    lp_world_close(&w);
}

static void
damage_is_left_out(void)
{
    struct lp_world w;
    struct lp_volumes v;
    struct lp_volume_query q = {.streams = {.from_ns = 1000, .to_ns = 1400}};
    struct lp_buf out;
    lp_world_make(&w, 3000, LP_SEALED);
    lp_world_damage(&w);
    lp_buf_init(&out, 1 << 20);
    CU_ASSERT_EQUAL_FATAL(volumes(&w, "{app=~\".+\"}", &q, &v), LP_OK);
    CU_ASSERT(v.damaged > 0 && v.damage[0] != 0);
    CU_ASSERT(v.n == 3 && v.v[0].bytes[0] > 0);
    CU_ASSERT_EQUAL(lp_result_volumes(&v, &out, NULL), LP_OK);
    CU_ASSERT(lp_str_find(lp_buf_view(&out), LP_STR("\"warnings\":[\"")) != SIZE_MAX);
    lp_buf_clear(&out);
    lp_volumes_clear(&v);
    lp_world_close(&w);
}

/* ------------------------------------------------------------------ patterns */

static void
patterns_of_a_range(void)
{
    for (int layout = 0; layout < LP_LAYOUTS; layout++) {
        struct lp_world w;
        struct lp_test_query t;
        struct lp_pattern_set set;
        lp_world_make(&w, 4000, layout);
        lp_test_query_parse(&t, LP_STR("{app=~\".+\"}"), false);
        struct lp_pattern_query q = {
            .search = lp_world_search(&w, &t), .step_ns = 100, .lines = 500, .limit = 10};
        q.search.from_ns = 1000;
        q.search.to_ns = 1500;
        CU_ASSERT_EQUAL_FATAL(lp_patterns_find(&q, &set, NULL), LP_OK);
        CU_ASSERT_EQUAL(set.start_ns, 1000);
        CU_ASSERT_EQUAL(set.step_ns, 100);
        double lines = 0;
        for (size_t i = 0; i < set.n; i++) {
            lines += set.v[i].lines;
            CU_ASSERT(lp_str_starts(set.v[i].text, LP_STR("<_> ")));
            CU_ASSERT(set.v[i].nsamples <= 5 && lp_str_eqc(set.v[i].level, "unknown"));
        }
        CU_ASSERT(set.n >= 3 && set.n <= 5);         /* "<n> alpha", beta, gamma, "<n> delta alpha" */
        CU_ASSERT(lines > 3999.5 && lines < 4000.5); /* those looked at stand for all */
        lp_pattern_set_clear(&set);
        q.search.from_ns = 5000;
        q.search.to_ns = 5000;
        CU_ASSERT_EQUAL_FATAL(lp_patterns_find(&q, &set, NULL), LP_OK);
        CU_ASSERT_EQUAL(set.n, 0);
        lp_pattern_set_clear(&set);
        q.search.from_ns = 1000; /* a step is made larger than asked for, rather than there being too many */
        q.search.to_ns = 1000 + 3600 * LP_NS_PER_S;
        q.step_ns = LP_NS_PER_S;
        CU_ASSERT_EQUAL_FATAL(lp_patterns_find(&q, &set, NULL), LP_OK);
        CU_ASSERT_EQUAL(set.step_ns, 15 * LP_NS_PER_S);
        CU_ASSERT(set.n > 0);
        lp_pattern_set_clear(&set);
        lp_test_query_clear(&t);
        lp_world_close(&w);
    }
}

LP_SUITE(detect, {"types of values", types_of_values}, {"fields of lines", fields_of_lines},
         {"values of a field", values_of_a_field}, {"fields have a budget", fields_have_a_budget},
         {"labels that are ids are left out", labels_that_are_ids_are_left_out},
         {"volumes add up", volumes_add_up}, {"volumes by step", volumes_by_step},
         {"volumes by other labels", volumes_by_other_labels}, {"damage is left out", damage_is_left_out},
         {"patterns of a range", patterns_of_a_range});
