/*
 * test_pipe.c - stages on one row. Oracle: what a real Loki makes of such rows, written down by hand.
 */
#include "query/pipe.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "query/exec_int.h"
#include "tests/fuzz/fuzz_pipe.h"
#include "tests/unit/test_logql.h"
#include "tests/unit/unit.h"

static const struct lp_pair labels[] = {
    {{"app", 3}, {"api", 3}}, {{"level", 5}, {"warn", 4}}, {{"pod", 3}, {"p-1", 3}}};
static const struct lp_pair meta[] = {{{"pod", 3}, {"mine", 4}}, {{"trace.id", 8}, {"t1", 2}}};

/* The row behind the stages: line, labels of the kinds that are asked for; "-" where it is left out. */
static void
run(const char *stages, const char *line, const char *kinds, const struct lp_pipe_need *need,
    struct lp_buf *out)
{
    char text[600];
    struct lp_test_query q;
    struct lp_pipe_prog *prog;
    struct lp_pipe_out row;
    struct lp_pair shown[64];
    size_t n = 0;
    snprintf(text, sizeof(text), "{app=\"api\"} %s", stages);
    lp_test_query_parse(&q, lp_str_c(text), true);
    CU_ASSERT_EQUAL_FATAL(q.rc, LP_OK);
    CU_ASSERT_EQUAL_FATAL(lp_pipe_prog_new(&q.expr->log, 0, NULL, need, &prog, NULL), LP_OK);
    struct lp_pipe *p = lp_pipe_new(prog);
    const struct lp_pipe_row in = {LP_NS_PER_S,        labels,        LP_ARRAY_LEN(labels), meta,
                                   LP_ARRAY_LEN(meta), lp_str_c(line)};
    for (int again = 0; again < 2; again++) { /* a pipe is used again */
        CU_ASSERT_EQUAL_FATAL(lp_pipe_run(p, &in, &row, NULL), LP_OK);
    }
    if (!row.passed) {
        lp_buf_c(out, "-");
    } else {
        lp_buf_str(out, row.line);
        for (size_t i = 0; i < row.nlabels; i++) {
            if (strchr(kinds, "SMP"[row.labels[i].origin]) != NULL) {
                shown[n++] = (struct lp_pair){row.labels[i].name, row.labels[i].value};
            }
            CU_ASSERT(i == 0 || lp_str_cmp(row.labels[i - 1].name, row.labels[i].name) < 0);
        }
        lp_buf_byte(out, ' ');
        lp_labels_text(shown, n, out);
    }
    lp_pipe_free(p);
    lp_pipe_prog_free(prog);
    lp_test_query_clear(&q);
}

static void
expect_kinds(const char *stages, const char *line, const char *kinds, const char *want)
{
    const struct lp_pipe_need everything = {.all = true};
    struct lp_buf out;
    lp_buf_init(&out, 1 << 16);
    run(stages, line, kinds, &everything, &out);
    if (!lp_str_eqc(lp_buf_view(&out), want)) {
        fprintf(stderr, "%s on %s\n  gave " LP_STR_FMT "\n  want %s\n", stages, line,
                LP_STR_ARG(lp_buf_view(&out)), want);
    }
    CU_ASSERT(lp_str_eqc(lp_buf_view(&out), want));
    lp_buf_clear(&out);
}

/* Parsed labels alone. */
static void
expect(const char *stages, const char *line, const char *want)
{
    expect_kinds(stages, line, "P", want);
}

static void
labels_come_from_stream_metadata_and_stages(void)
{
    expect_kinds("", "x", "S", "x {app=\"api\", level=\"warn\", pod=\"p-1\"}");
    expect_kinds("", "x", "M", "x {detected_level=\"warn\", pod_extracted=\"mine\", trace_id=\"t1\"}");
    expect("| json", "{\"a\":1,\"app\":\"other\",\"trace_id\":\"x\"}",
           "{\"a\":1,\"app\":\"other\",\"trace_id\":\"x\"} {a=\"1\", app_extracted=\"other\", "
           "trace_id_extracted=\"x\"}");
}

static void
parsers_add_labels(void)
{
    expect("| json | logfmt", "{\"a\":1}", "{\"a\":1} {a=\"1\"}");
    expect("| json", "not json",
           "not json {__error__=\"JSONParserErr\", __error_details__=\"the line is no JSON object\"}");
    expect("| json a=\"x.y\", b=\"z\"", "{\"x\":{\"y\":\"1\"}}", "{\"x\":{\"y\":\"1\"}} {a=\"1\", b=\"\"}");
    expect("| logfmt", "a=1 b c=\"\"", "a=1 b c=\"\" {a=\"1\"}");
    expect("| logfmt --keep-empty", "a=1 b", "a=1 b {a=\"1\", b=\"\"}");
    expect("| logfmt x=\"a\", y=\"q\"", "a=1 a=2", "a=1 a=2 {x=\"2\", y=\"\"}");
    expect("| regexp `(?P<m>\\w+) (?P<n>\\d+)?`", "GET /", "GET / {m=\"GET\", n=\"\"}");
    expect("| regexp `(?P<m>\\d+)`", "none", "none {}");
    expect("| pattern `<ip> - <_> \"<m> <rest>\"`", "1.2.3.4 - u \"GET /x\"",
           "1.2.3.4 - u \"GET /x\" {ip=\"1.2.3.4\", m=\"GET\", rest=\"/x\"}");
    expect("| unpack", "{\"k\":\"v\",\"_entry\":\"the line\"}", "the line {k=\"v\"}");
    expect("| unpack", "{\"k\":\"v\"}", "{\"k\":\"v\"} {}");
}

static void
filters_leave_rows_out(void)
{
    static const char line[] = "n=5 d=2s b=1KiB ip=10.0.0.7 s=abc x=oops";
    static const struct {
        const char *filter;
        bool passes;
    } cases[] = {{"n>4", true},
                 {"n>=5 and n<6", true},
                 {"n!=5", false},
                 {"n=5.0", true},
                 {"d>1500ms", true},
                 {"d<2s", false},
                 {"b=1KiB", true},
                 {"b>1kB", true},
                 {"ip=ip(\"10.0.0.0/8\")", true},
                 {"ip!=ip(\"10.0.0.7\")", false},
                 {"s=~\"a.c\"", true},
                 {"s!~\"a.*\"", false},
                 {"s=\"\"", false},
                 {"none=\"\"", true},
                 {"none>0", false},
                 {"x>1", true},
                 {"n>9 or s=\"abc\"", true},
                 {"n>9, s=\"abc\"", false},
                 {"pod=\"p-1\"", true},
                 {"trace_id=\"t1\"", true}};
    for (size_t i = 0; i < LP_ARRAY_LEN(cases); i++) {
        char stages[100];
        const struct lp_pipe_need nothing = {.all = false};
        struct lp_buf out;
        lp_buf_init(&out, 1 << 12);
        snprintf(stages, sizeof(stages), "| logfmt | %s", cases[i].filter);
        run(stages, line, "", &nothing, &out);
        if (lp_str_eqc(lp_buf_view(&out), "-") == cases[i].passes) {
            fprintf(stderr, "%s\n", cases[i].filter);
        }
        CU_ASSERT_NOT_EQUAL(lp_str_eqc(lp_buf_view(&out), "-"), cases[i].passes);
        lp_buf_clear(&out);
    }
    expect("| logfmt | x > 1 | keep none", line,
           "n=5 d=2s b=1KiB ip=10.0.0.7 s=abc x=oops {__error__=\"LabelFilterErr\", "
           "__error_details__=\"\\\"oops\\\" is not a number\"}");
    expect("| logfmt | x > 1 | __error__=\"\"", line, "-");
    expect("|= `n=5` | logfmt | keep n != `abd`", line, "n=5 d=2s b=1KiB ip=10.0.0.7 s=abc x=oops {n=\"5\"}");
}

static void
labels_are_dropped_and_kept(void)
{
    expect_kinds("| drop app, level=\"info\", pod_extracted", "x", "SMP",
                 "x {detected_level=\"warn\", level=\"warn\", pod=\"p-1\", trace_id=\"t1\"}");
    expect_kinds("| keep app, level=~\"w.*\", pod=\"no\"", "x", "SMP", "x {app=\"api\", level=\"warn\"}");
    expect_kinds("| json | drop __error__, __error_details__", "x", "P", "x {}");
}

static void
labels_are_renamed(void)
{
    expect_kinds("| label_format application=app", "x", "S",
                 "x {application=\"api\", level=\"warn\", pod=\"p-1\"}");
    expect_kinds("| label_format app=app", "x", "S", "x {level=\"warn\", pod=\"p-1\"}");
    expect_kinds("| logfmt | label_format app=a", "a=1", "SP",
                 "a=1 {app=\"1\", level=\"warn\", pod=\"p-1\"}");
}

static void
colours_go(void)
{
    expect("| decolorize", "\033[31mred\033[0m and \033[1;32;40mgreen\033[m \033]0;title\a. \033 [",
           "red and green . \033 [ {}");
}

/* Only what is needed is parsed; an error is told in any case, unless nobody needs a label. */
static void
what_nobody_needs_is_not_parsed(void)
{
    const struct lp_str names[] = {LP_STR("b"), LP_STR("app")};
    const struct lp_pipe_need two = {.names = names, .n = 2}, none = {.all = false};
    struct lp_buf out;
    lp_buf_init(&out, 1 << 12);
    run("| json", "{\"a\":1,\"b\":2,\"c\":3}", "SMP", &two, &out);
    CU_ASSERT(lp_str_eqc(lp_buf_view(&out), "{\"a\":1,\"b\":2,\"c\":3} {app=\"api\", b=\"2\"}"));
    lp_buf_reset(&out);
    run("| json", "{\"a\":1,", "P", &two, &out);
    CU_ASSERT(lp_str_find(lp_buf_view(&out), LP_STR("__error__=\"JSONParserErr\"")) != SIZE_MAX);
    lp_buf_reset(&out);
    run("| json", "{\"a\":1,", "P", &none, &out);
    CU_ASSERT(lp_str_eqc(lp_buf_view(&out), "{\"a\":1, {}"));
    lp_buf_clear(&out);
}

/* Lines of several kinds, cut and changed at random. Oracle: the invariants in tests/fuzz/fuzz_pipe.c. */
static void
hostile_lines(void)
{
    static const char *const lines[] = {
        "{\"a\":\"1\",\"b\":{\"c\":[1,2]},\"x\":{\"y\":[{\"z\":\"\\u00e9\\ud83d\\ude00\"}]},\"k\":-1.5e3}",
        "{\"_entry\":\"{\\\"a\\\":5}\",\"b\":\"10.1.2.3\",\"c\":\"2s\"}",
        "a=1 b=\"x y\" c= d=2KB x=\"\\\"\" k=v",
        "\033[31ma=5\033[0m word [in brackets] rest=x",
    };
    uint64_t seed = 3;
    for (unsigned round = 0; round < 4000; round++) {
        uint8_t input[160];
        const char *line = lines[lp_test_below(&seed, LP_ARRAY_LEN(lines))];
        size_t n = 1 + lp_test_below(&seed, (unsigned)strlen(line) + 1);
        input[0] = (uint8_t)lp_test_below(&seed, 256);
        memcpy(input + 1, line, n - 1);
        for (unsigned k = lp_test_below(&seed, 4); k > 0 && n > 1; k--) {
            input[1 + lp_test_below(&seed, (unsigned)n - 1)] = (uint8_t)lp_test_below(&seed, 256);
        }
        lp_fuzz_pipe(input, n);
    }
}

LP_SUITE(pipe, {"hostile lines", hostile_lines},
         {"labels come from stream, metadata and stages", labels_come_from_stream_metadata_and_stages},
         {"parsers add labels", parsers_add_labels}, {"filters leave rows out", filters_leave_rows_out},
         {"labels are dropped and kept", labels_are_dropped_and_kept},
         {"labels are renamed", labels_are_renamed}, {"colours go", colours_go},
         {"what nobody needs is not parsed", what_nobody_needs_is_not_parsed});
