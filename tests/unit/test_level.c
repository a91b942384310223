/*
 * test_level.c - the level that a line is given. Oracle: levels that a real Loki stored with these lines
 * (tests/data/conformance/loki), and for the rules that they do not show, the behaviour of Loki 3.7 as
 * published.
 */
#include "query/level.h"

#include <stdlib.h>

#include "tests/unit/test_logql.h"

struct line {
    const char *text, *level;
};

static void
check_lines(const struct line *lines, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct lp_str line = lp_str_c(lines[i].text);
        lp_test_check(lp_str_eqc(lp_level_detect(NULL, 0, NULL, 0, line), lines[i].level), lines[i].level,
                      line);
    }
}

static void
recorded_lines(void)
{
    static const struct line lines[] = {
        {"{\"ts\":\"2026-11-20T01:58:57.863079044Z\",\"level\":\"debug\",\"msg\":\"cache "
         "probe\",\"status\":200}",
         "debug"},
        {"{\"ts\":\"2026-11-20T01:59:45.8Z\",\"level\":\"warn\",\"msg\":\"request "
         "rejected\",\"request\":{\"id\":\"req-2\"}}",
         "warn"},
        {"{\"nested\":{\"level\":\"error\",\"code\":500},\"level\":\"warn\"}", "error"},
        {"{\"level\":\"WARN\",\"lvl\":\"x\",\"severity\":\"critical\",\"msg\":\"levels\"}", "warn"},
        {"{\"unterminated\": \"x", "unknown"},
        {"{\"list\":\"a,b,c\",\"json\":\"{\\\"k\\\":[1,2,{\\\"z\\\":true}]}\",\"msg\":\"json in json\"}",
         "unknown"},
        {"{'single':'quotes'}", "unknown"},
        {"{}", "unknown"},
        {"[1,2,3]", "unknown"},
        {"00:02:29,211 ERROR [worker-1] com.example.api.Handler - request req-1-00063 failed", "error"},
        {"java.lang.IllegalStateException: broken pipe", "unknown"},
        {"\tat com.example.api.handle$lambda$1(Conn.java:71)", "unknown"},
        {"level=error LEVEL=info kind=levels", "error"},
        {"ts=2026-11-20T01:57:46.629Z level=error msg=\"job failed\" job=resize err=\"exit status 1\"",
         "error"},
        {"ts=2026-11-20T01:57:14.149Z level=info msg=\"job done\" job=gc duration=2m3s", "info"},
        {"case MiXeD Case ERROR Error error", "error"},
        {"level: debug", "debug"},
        {"warning: careful", "warn"},
        {"ERROR: something", "error"},
        {"no level here", "unknown"},
        {"a=\"unterminated b=2", "unknown"},
        {"", "unknown"},
        {" ", "unknown"},
        {"2026/11/20 01:26:36 [crit] 31#31: *163 upstream timed out, request: \"GET "
         "/search?q=log%20ql&lang=en\"",
         "unknown"},
        {"\x1b[31m\x1b[1mERROR\x1b[0m in ./src/cart.ts\x1b[K level=error code=TS2303", "error"},
        {"\x1b[32m[INFO]\x1b[0m compiled \x1b[1msuccessfully\x1b[22m in 957 ms", "info"},
        {"{\"_entry\":\"plain packed text 65\",\"cluster\":\"c1\",\"instance\":\"i-0\"", "unknown"},
    };
    check_lines(lines, LP_ARRAY_LEN(lines));
}

static void
words_need_edges(void)
{
    static const struct line lines[] = {
        {"error", "error"},
        {"err", "error"},
        {"errors", "unknown"},
        {"xerror y", "unknown"},
        {"error, then info", "error"},
        {"info and then error", "info"}, /* the first counts, not the worst */
        {"informational", "unknown"},
        {"misc:error x", "unknown"}, /* a colon ends a word, but begins none */
        {"a,error b", "unknown"},
        {"(error) b", "error"},
        {"[warning] b", "warn"},
        {"<warn> b", "unknown"},
        {"a\terr\tb", "error"},
        {"a\nfatal", "fatal"},
        {"oh!critical! trace!", "trace"},
        {"TRACE {debug}", "trace"},
        {"x=critical", "critical"},
        {"warned, Warn: x", "warn"},
        {"an err-code of info_line", "unknown"},
        {"r\xc3\xa9"
         "error err",
         "error"},
        {"trac", "unknown"},
        {"a t", "unknown"},
        {" e", "unknown"},
    };
    check_lines(lines, LP_ARRAY_LEN(lines));
}

static void
json_fields(void)
{
    static const struct line lines[] = {
        {" {\"level\":\"inf\"} ", "info"},
        {"{\"severity\":\"critical\",\"level\":\"error\"}", "critical"}, /* the line's order */
        {"{\"lEvEl\":\"information\"}", "unknown"}, /* JSON keys have one case of three */
        {"{\"log\":{\"level\":\"wrn\"}}", "warn"},
        {"{\"a\":{\"b\":{\"level\":\"wrn\"}}}", "unknown"}, /* two objects deep, no more */
        {"{\"a\":[{\"level\":\"wrn\"}],\"Lvl\":\"trc\"}", "trace"},
        {"{\"a\":[\"]\",{\"x\":\"}\"}],\"b\":{\"c\":{\"d\":[1]}},\"LVL\":\"FATAL\"}", "fatal"},
        {"{\"log.level\":\"dbg\"}", "debug"},
        {"{\"SeverityText\":\"Warning\"}", "warn"},
        {"{\"level\":3,\"severity_text\":\"err\"}", "error"},       /* numbers are no levels */
        {"{\"level\":\"notice\",\"msg\":\"an error\"}", "error"},   /* no level: then words */
        {"{\"level\":\"notice\",\"severity\":\"fatal\"}", "fatal"}, /* as a word of the text */
        {"{\"msg\":\"a \\\"quoted\\\\\",\"level\":\"warn\"}", "warn"},
        {"{\"level\":\"debug\",\"broken\":}", "debug"}, /* what follows may be broken */
        {"{\"broken\" \"level\":\"debug\"}", "debug"},  /* what comes before not: a word */
        {"{\"broken\":{\"level\":\"debug\"}", "debug"},
        {"{\"a\":\"x\" , \"level\" : \"trace\" }", "trace"},
        {"{\"a\":\"level\",\"b\":\"x\"}", "unknown"},
        {"{\"}", "unknown"},
        {"{\"a\":{}", "unknown"},
        {"{\"a\":[}", "unknown"},
        {"{\"level\":}", "unknown"},
        {"{\"level\":\"}", "unknown"},
        {"{{{{{{{{}", "unknown"},
        {"{\"a\":\"\\\"}", "unknown"},
    };
    check_lines(lines, LP_ARRAY_LEN(lines));
}

static void
logfmt_fields(void)
{
    static const struct line lines[] = {
        {"severity=warn level=error", "error"}, /* the order of names */
        {"SEVERITY=fatal x=1", "fatal"},        /* of any case */
        {"lEvEl=trc", "trace"},
        {"lvl=dbug entering loop", "unknown"},
        {"level=\"warning\" a=b", "warn"},
        {"a=\"level=fatal\" level=inf", "info"},
        {"a=\"level=fatal", "fatal"}, /* no end of quotes: a word */
        {"level= a=b", "unknown"},
        {"level a=b err", "error"},
        {"a=b=c level=trc", "unknown"}, /* it breaks before the level, and trc is no word */
        {"x\"y=1 level=trc", "unknown"},
        {"=1 level=trc", "unknown"},
        {"a=1\tlevel=trc\n", "trace"},
        {"a=", "unknown"},
        {"=", "unknown"},
    };
    check_lines(lines, LP_ARRAY_LEN(lines));
}

static void
expect(const struct lp_pair *labels, size_t nlabels, const struct lp_pair *meta, size_t nmeta,
       const char *line, const char *level)
{
    struct lp_str got = lp_level_detect(labels, nlabels, meta, nmeta, lp_str_c(line));
    lp_test_check(lp_str_eqc(got, level), level, got);
}

static void
labels_and_metadata_come_first(void)
{
    static const struct lp_pair level[] = {LP_TEST_PAIR("app", "level"), LP_TEST_PAIR("level", "Information")};
    static const struct lp_pair two[] = {LP_TEST_PAIR("lvl", "warn"), LP_TEST_PAIR("severity", "critical")};
    static const struct lp_pair other[] = {LP_TEST_PAIR("LeVeL", "fatal"), LP_TEST_PAIR("levels", "fatal"),
                                           LP_TEST_PAIR("log_level", "fatal")};
    static const struct lp_pair odd[] = {LP_TEST_PAIR("level", "notice")};
    static const struct lp_pair given[] = {LP_TEST_PAIR("detected.level", "WRN"), LP_TEST_PAIR("level", "fatal")};
    static const struct lp_pair blank[] = {LP_TEST_PAIR("detected_level", ""), LP_TEST_PAIR("level", "")};
    static const struct lp_pair dotted[] = {LP_TEST_PAIR("severity.text", "ERR")};
    static const struct lp_pair log_level[] = {LP_TEST_PAIR("log.level", "error")};
    expect(level, 2, two, 2, "level=debug", "info");
    expect(two, 2, level, 2, "", "critical");
    expect(other, 3, NULL, 0, "an error", "error");
    expect(NULL, 0, two, 2, "level=debug", "critical");
    expect(odd, 1, NULL, 0, "level=debug", "notice"); /* what a label says stays */
    expect(NULL, 0, odd, 1, "level=debug", "notice");
    expect(level, 2, given, 2, "level=debug", "warn"); /* what came with the line, first of all */
    expect(NULL, 0, blank, 2, "level=error msg=x", "error");
    expect(NULL, 0, dotted, 1, "", "error");
    expect(NULL, 0, log_level, 1, "x", "unknown"); /* as a label it is called log_level */
}

static void
opentelemetry_severity(void)
{
    static const struct line numbers[] = {{"0", "unknown"}, {"1", "trace"},   {"4", "trace"},
                                          {"5", "debug"},   {"9", "info"},    {"16", "warn"},
                                          {"17", "error"},  {"24", "fatal"},  {"25", "unknown"},
                                          {"-3", "trace"},  {"nine", "info"}, {"", "error"}};
    for (size_t i = 0; i < LP_ARRAY_LEN(numbers); i++) {
        const struct lp_pair meta = {LP_STR("severity_number"), lp_str_c(numbers[i].text)};
        expect(NULL, 0, &meta, 1, "level=error", numbers[i].level);
    }
}

/* Reads nothing outside of a line: the sanitizers watch a copy of exactly its size. */
static void
any_bytes(void)
{
    static const char alphabet[] = "{}[]\":,=\\ \tleverrorinfo0\xff\xc3";
    uint64_t seed = 11;
    for (int i = 0; i < 200000; i++) {
        size_t n = lp_test_below(&seed, 24);
        char *line = malloc(n);
        for (size_t k = 0; k < n; k++) {
            line[k] = alphabet[lp_test_below(&seed, sizeof(alphabet) - 1)];
        }
        if (n > 2 && i % 2 == 0) {
            line[0] = '{';
            line[n - 1] = '}';
        }
        struct lp_str level = lp_level_detect(NULL, 0, NULL, 0, lp_str_of(line, n));
        CU_ASSERT_FATAL(level.n > 0);
        free(line);
    }
}

LP_SUITE(level, {"recorded lines", recorded_lines}, {"words need edges", words_need_edges},
         {"JSON fields", json_fields}, {"logfmt fields", logfmt_fields},
         {"labels and metadata come first", labels_and_metadata_come_first},
         {"OpenTelemetry's severity", opentelemetry_severity}, {"any bytes", any_bytes});
