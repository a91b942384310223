/*
 * test_json.c - JSON. Oracle: RFC 8259, and for what it leaves open (lone surrogates, equal keys, large
 * numbers) json.h.
 */
#include "tests/unit/unit.h"

#include <stdio.h>

#include "base/buf.h"
#include "base/json.h"

/* Input with the pad that the parser wants. */
static struct lp_buf text;

static struct lp_str
padded(struct lp_str s)
{
    text.limit = SIZE_MAX - LP_BUF_PAD;
    lp_buf_reset(&text);
    CU_ASSERT_FATAL(lp_buf_str(&text, s));
    return lp_buf_view(&text);
}

static lp_rc
parse(struct lp_json_parser *p, struct lp_str s, struct lp_json_doc *doc)
{
    return lp_json_parse(p, padded(s), doc, NULL);
}

static void
nodes_in_document_order(void)
{
    struct lp_json_parser *p = lp_json_parser_new();
    struct lp_json_doc doc;
    static const struct {
        enum lp_json_type type;
        uint32_t next, count;
        const char *key, *text;
    } want[] = {
        {LP_JSON_OBJECT, 11, 4, "",
         "{\"a\" : [1, -2.50e+3 ,\"x\"],\"b\":{}, \"c\":{\"d\":[true,false]},\"e\":null}"},
        {LP_JSON_ARRAY, 5, 3, "a", "[1, -2.50e+3 ,\"x\"]"},
        {LP_JSON_NUMBER, 3, 0, "", "1"},
        {LP_JSON_NUMBER, 4, 0, "", "-2.50e+3"},
        {LP_JSON_STRING, 5, 0, "", "x"},
        {LP_JSON_OBJECT, 6, 0, "b", "{}"},
        {LP_JSON_OBJECT, 10, 1, "c", "{\"d\":[true,false]}"},
        {LP_JSON_ARRAY, 10, 2, "d", "[true,false]"},
        {LP_JSON_BOOL, 9, 0, "", "true"},
        {LP_JSON_BOOL, 10, 0, "", "false"},
        {LP_JSON_NULL, 11, 0, "e", "null"},
    };
    char spaced[200];
    snprintf(spaced, sizeof(spaced), " \r\n\t%s \n", want[0].text);
    CU_ASSERT_EQUAL_FATAL(parse(p, lp_str_c(spaced), &doc), LP_OK);
    CU_ASSERT_EQUAL_FATAL(doc.count, LP_ARRAY_LEN(want));
    for (uint32_t i = 0; i < doc.count; i++) {
        CU_ASSERT_EQUAL(doc.nodes[i].type, want[i].type);
        CU_ASSERT_EQUAL(doc.nodes[i].next, want[i].next);
        CU_ASSERT_EQUAL(doc.nodes[i].count, want[i].count);
        CU_ASSERT(lp_str_eqc(doc.nodes[i].key, want[i].key));
        CU_ASSERT(lp_str_eqc(doc.nodes[i].text, want[i].text));
        CU_ASSERT_EQUAL(doc.nodes[i].is_true, i == 8);
    }
    lp_json_parser_free(p);
}

static void
members_and_paths(void)
{
    struct lp_json_parser *p = lp_json_parser_new();
    struct lp_json_doc doc;
    CU_ASSERT_EQUAL_FATAL(
        parse(p, LP_STR("{\"k\":1,\"a\":{\"k\":{\"z\":7}},\"k\":[2],\"\\u006b\":\"last\"}"), &doc), LP_OK);
    CU_ASSERT_EQUAL(doc.nodes[0].count, 4);
    CU_ASSERT(lp_str_eqc(lp_json_member(&doc, 0, LP_STR("k"))->text, "last")); /* of three equal keys */
    CU_ASSERT_PTR_NULL(lp_json_member(&doc, 0, LP_STR("z")));                  /* deeper keys don't count */
    CU_ASSERT_PTR_NULL(lp_json_member(&doc, 1, LP_STR("k")));                  /* not an object */
    CU_ASSERT(lp_str_eqc(lp_json_path(&doc, "a", "k", "z", NULL)->text, "7"));
    CU_ASSERT_PTR_NULL(lp_json_path(&doc, "a", "q", "z", NULL));
    CU_ASSERT_PTR_EQUAL(lp_json_path(&doc, NULL), doc.nodes);
    lp_json_parser_free(p);
}

static void
strings_are_unescaped(void)
{
    static const struct {
        struct lp_str json, want;
    } cases[] = {
        {LP_STR("\"\""), LP_STR("")},
        {LP_STR("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\""), LP_STR("\"\\/\b\f\n\r\t")},
        {LP_STR("\"a\\u0000b\""), LP_STR("a\0b")},
        {LP_STR("\"\\u00e9\\u20AC\""), LP_STR("\xc3\xa9\xe2\x82\xac")},
        {LP_STR("\"\\ud83d\\ude00\""), LP_STR("\xf0\x9f\x98\x80")},
        {LP_STR("\"\\ud83d\""), LP_STR("\xef\xbf\xbd")},
        {LP_STR("\"\\ude00x\""), LP_STR("\xef\xbf\xbdx")},
        {LP_STR("\"\\ud83d\\u0041\""), LP_STR("\xef\xbf\xbd"
                                              "A")},
        {LP_STR("\"\\ud83d\\ud83d\\ude00\""), LP_STR("\xef\xbf\xbd\xf0\x9f\x98\x80")},
        {LP_STR("\"\xc3\xa9 plain \xf0\x9f\x98\x80\""), LP_STR("\xc3\xa9 plain \xf0\x9f\x98\x80")},
        {LP_STR("\"twelve plain\\n and a long plain tail\""), LP_STR("twelve plain\n and a long plain tail")},
    };
    struct lp_json_parser *p = lp_json_parser_new();
    struct lp_json_doc doc;
    for (size_t i = 0; i < LP_ARRAY_LEN(cases); i++) {
        CU_ASSERT_EQUAL_FATAL(parse(p, cases[i].json, &doc), LP_OK);
        CU_ASSERT(lp_str_eq(doc.nodes[0].text, cases[i].want));
    }
    lp_json_parser_free(p);
}

static void
valid_documents(void)
{
    static const char *const cases[] = {
        "0",
        "-0",
        "1e5",
        "1E-05",
        "0.0",
        "123456789012345678901234567890123456789",
        "1e999999",
        "-1.5E+300000",
        "true",
        "null",
        "[]",
        "[[],{}]",
        "{\"\":0}",
        "[1,[2,[3,[4]]],5]",
        "\"x\"",
        " 7 ",
        "{\"a\":\r\n1}",
        "[\"\\\\\",\"\\\"\"]",
    };
    struct lp_json_parser *p = lp_json_parser_new();
    struct lp_json_doc doc;
    for (size_t i = 0; i < LP_ARRAY_LEN(cases); i++) {
        CU_ASSERT_EQUAL(parse(p, lp_str_c(cases[i]), &doc), LP_OK);
        CU_ASSERT(lp_str_eq(doc.nodes[0].text, lp_str_trim(lp_str_c(cases[i]))) ||
                  doc.nodes[0].type == LP_JSON_STRING);
    }
    lp_json_parser_free(p);
}

static const struct lp_str malformed[] = {
    LP_STR(""),
    LP_STR("  "),
    LP_STR("{"),
    LP_STR("}"),
    LP_STR("["),
    LP_STR("]"),
    LP_STR("[}"),
    LP_STR("{]"),
    LP_STR("[1,]"),
    LP_STR("[,1]"),
    LP_STR("[1 2]"),
    LP_STR("{\"a\":1,}"),
    LP_STR("{,\"a\":1}"),
    LP_STR("{\"a\"}"),
    LP_STR("{\"a\":}"),
    LP_STR("{\"a\" 1}"),
    LP_STR("{a:1}"),
    LP_STR("{1:1}"),
    LP_STR("{\"a\":1 \"b\":2}"),
    LP_STR("{\"a\"::1}"),
    LP_STR("[1],"),
    LP_STR("1,2"),
    LP_STR("{} {}"),
    LP_STR("[] x"),
    LP_STR("\"a\"\"b\""),
    LP_STR("\"a"),
    LP_STR("\"a\\\""),
    LP_STR("a\""),
    LP_STR("1\"a\""),
    LP_STR("\"a\"b"),
    LP_STR("\"a\"\\"),
    LP_STR("\"\\x\""),
    LP_STR("\"\\u12\""),
    LP_STR("\"\\u12g4\""),
    LP_STR("\"\\ud83d\\u12\""),
    LP_STR("\"\\"),
    LP_STR("01"),
    LP_STR("-"),
    LP_STR("+1"),
    LP_STR("1."),
    LP_STR(".5"),
    LP_STR("1e"),
    LP_STR("1e+"),
    LP_STR("0x1"),
    LP_STR("1_0"),
    LP_STR("NaN"),
    LP_STR("Infinity"),
    LP_STR("tru"),
    LP_STR("truee"),
    LP_STR("True"),
    LP_STR("nul"),
    LP_STR("\"a\nb\""),
    LP_STR("\"a\tb\""),
    LP_STR("\"a\0b\""),
    LP_STR("\0"),
    LP_STR("1\0"),
    LP_STR("[1\0]"),
    LP_STR("\"\xff\""),
    LP_STR("\"\xc3\""),
    LP_STR("\"\xed\xa0\x80\""),
    LP_STR("\xef\xbb\xbf{}"),
    LP_STR("1\f"),
    LP_STR("[1\x1a 2]"),
    LP_STR("{\"a\":1}\xff"),
    LP_STR("'a'"),
    LP_STR("// x"),
    LP_STR("[1]/**/"),
    LP_STR("\\"),
};

static void
malformed_documents(void)
{
    struct lp_json_parser *p = lp_json_parser_new();
    struct lp_json_doc doc;
    for (size_t i = 0; i < LP_ARRAY_LEN(malformed); i++) {
        lp_rc rc = parse(p, malformed[i], &doc);
        CU_ASSERT_EQUAL(rc, LP_ERR_PARSE);
        if (rc != LP_ERR_PARSE) {
            printf("not refused: case %zu\n", i);
        }
    }
    lp_json_parser_free(p);
}

static void
an_error_has_its_place(void)
{
    struct lp_json_parser *p = lp_json_parser_new();
    struct lp_json_doc doc;
    struct lp_err err;
    CU_ASSERT_EQUAL(lp_json_parse(p, padded(LP_STR("{\n \"a\": nope}")), &doc, &err), LP_ERR_PARSE);
    CU_ASSERT_EQUAL(err.line, 2);
    CU_ASSERT_EQUAL(err.col, 7);
    CU_ASSERT(strstr(err.text, "not a value") != NULL);
    lp_json_parser_free(p);
}

static void
depth_is_limited(void)
{
    struct lp_json_parser *p = lp_json_parser_new();
    struct lp_json_doc doc;
    struct lp_buf b;
    lp_buf_init(&b, 4 << 20);
    for (int depth = 1; depth <= LP_JSON_DEPTH_MAX + 1; depth++) {
        lp_buf_reset(&b);
        for (int i = 0; i < depth; i++) {
            lp_buf_c(&b, i % 2 ? "[" : "{\"a\":");
        }
        lp_buf_c(&b, "0");
        for (int i = depth - 1; i >= 0; i--) {
            lp_buf_c(&b, i % 2 ? "]" : "}");
        }
        CU_ASSERT_EQUAL(lp_json_parse(p, lp_buf_view(&b), &doc, NULL),
                        depth <= LP_JSON_DEPTH_MAX ? LP_OK : LP_ERR_LIMIT);
    }
    lp_buf_reset(&b);
    CU_ASSERT_FATAL(lp_buf_reserve(&b, 1000000));
    memset(b.p, '[', 1000000);
    b.n = 1000000;
    CU_ASSERT_EQUAL(lp_json_parse(p, lp_buf_view(&b), &doc, NULL), LP_ERR_LIMIT);
    lp_buf_clear(&b);
    lp_json_parser_free(p);
}

/* What lp_json_lines delivered, as text: "doc RAW" or "bad RAW", a line each. */
struct log {
    struct lp_buf out;
    unsigned docs, bad, stop_after;
};

static bool
log_doc(void *arg, const struct lp_json_doc *doc, struct lp_str raw)
{
    struct log *log = arg;
    CU_ASSERT(lp_str_eq(lp_str_trim(raw), doc->nodes[0].text) || doc->nodes[0].type == LP_JSON_STRING);
    lp_buf_printf(&log->out, "doc %.*s\n", (int)raw.n, raw.p);
    return ++log->docs != log->stop_after;
}

static bool
log_bad(void *arg, struct lp_str raw, const struct lp_err *why)
{
    struct log *log = arg;
    CU_ASSERT(why->rc == LP_ERR_PARSE || why->rc == LP_ERR_LIMIT);
    CU_ASSERT(why->text[0] != 0);
    lp_buf_printf(&log->out, "bad %.*s\n", (int)raw.n, raw.p);
    log->bad++;
    return true;
}

static lp_rc
run_lines(struct lp_json_parser *p, struct lp_str s, struct log *log)
{
    struct lp_json_lines_cb cb = {log_doc, log_bad, log, NULL};
    log->out.limit = SIZE_MAX - LP_BUF_PAD;
    lp_buf_reset(&log->out);
    log->docs = log->bad = 0;
    return lp_json_lines(p, padded(s), &cb, NULL);
}

static void
a_bad_line_costs_one_line(void)
{
    struct lp_json_parser *p = lp_json_parser_new();
    struct log log = {.docs = 0};
    CU_ASSERT_EQUAL(run_lines(p, LP_STR("{\"a\":1}\r\n\n  \n[2]\n3 4\n{\"b\n5}\n\"x\"\n{\"c\":\n"), &log),
                    LP_OK);
    CU_ASSERT(lp_str_eqc(lp_buf_view(&log.out),
                         "doc {\"a\":1}\ndoc [2]\nbad 3 4\nbad {\"b\nbad 5}\ndoc \"x\"\nbad {\"c\":\n"));
    for (size_t i = 0; i < LP_ARRAY_LEN(malformed); i++) {
        struct lp_buf b;
        char want[200];
        if (lp_str_trim(malformed[i]).n == 0 || lp_str_find_byte(malformed[i], '\n') != SIZE_MAX) {
            continue;
        }
        lp_buf_init(&b, 1000);
        lp_buf_c(&b, "{\"before\":\"x\"}\n");
        lp_buf_str(&b, malformed[i]);
        lp_buf_c(&b, "\n{\"behind\":\"\\n\"}");
        CU_ASSERT_EQUAL(run_lines(p, lp_buf_view(&b), &log), LP_OK);
        CU_ASSERT_EQUAL(log.docs, 2);
        CU_ASSERT_EQUAL(log.bad, 1);
        int n = snprintf(want, sizeof(want), "doc {\"before\":\"x\"}\nbad ");
        CU_ASSERT(lp_str_starts(lp_buf_view(&log.out), lp_str_of(want, (size_t)n)));
        CU_ASSERT(lp_str_ends(lp_buf_view(&log.out), LP_STR("\ndoc {\"behind\":\"\\n\"}\n")));
        lp_buf_clear(&b);
    }
    lp_buf_clear(&log.out);
    lp_json_parser_free(p);
}

static void
lines_stop_when_told(void)
{
    struct lp_json_parser *p = lp_json_parser_new();
    struct log log = {.stop_after = 2};
    CU_ASSERT_EQUAL(run_lines(p, LP_STR("1\n2\n3\n"), &log), LP_ERR_CANCELED);
    CU_ASSERT_EQUAL(log.docs, 2);
    CU_ASSERT_EQUAL(run_lines(p, LP_STR(""), &log), LP_OK);
    CU_ASSERT_EQUAL(log.docs, 0);
    lp_buf_clear(&log.out);
    lp_json_parser_free(p);
}

/* Many windows, with lines longer than a window among them; every 1000th line is bad. */
static void
many_windows(void)
{
    struct lp_json_parser *p = lp_json_parser_new();
    struct log log = {.docs = 0};
    struct lp_buf in, want;
    lp_buf_init(&in, 64 << 20);
    lp_buf_init(&want, 64 << 20);
    for (unsigned i = 0; i < 20000; i++) {
        bool bad = i % 1000 == 999;
        size_t from = in.n;
        lp_buf_printf(&in, "{\"n\":%u,\"s\":\"%s", i, i % 3 ? "\\\"quoted\\\"" : "");
        size_t fill = i % 7000 == 77 ? 600000 : i % 50;
        CU_ASSERT_FATAL(lp_buf_reserve(&in, fill));
        memset(in.p + in.n, 'x', fill);
        in.n += fill;
        lp_buf_c(&in, bad ? "\xff\"}" : "\"}");
        lp_buf_c(&want, bad ? "bad " : "doc ");
        lp_buf_add(&want, in.p + from, in.n - from);
        lp_buf_c(&want, "\n");
        lp_buf_c(&in, i % 2 ? "\n" : "\r\n\n");
    }
    CU_ASSERT_FATAL(!in.failed && !want.failed);
    CU_ASSERT_EQUAL(run_lines(p, lp_buf_view(&in), &log), LP_OK);
    CU_ASSERT_EQUAL(log.bad, 20);
    CU_ASSERT(lp_str_eq(lp_buf_view(&log.out), lp_buf_view(&want)));
    lp_buf_clear(&in);
    lp_buf_clear(&want);
    lp_buf_clear(&log.out);
    lp_json_parser_free(p);
}

static void
a_large_single_document(void)
{
    struct lp_json_parser *p = lp_json_parser_new();
    struct lp_json_doc doc;
    struct lp_buf in;
    lp_buf_init(&in, 17 << 20);
    lp_buf_c(&in, "[");
    uint32_t items = 0;
    while (in.n < (16u << 20) - 100) {
        lp_buf_printf(&in, "%s\"a \\\"string\\\" of some length, number %u\"", items ? "," : "", items);
        items++;
    }
    lp_buf_c(&in, "]");
    CU_ASSERT_EQUAL_FATAL(lp_json_parse(p, lp_buf_view(&in), &doc, NULL), LP_OK);
    CU_ASSERT_EQUAL(doc.nodes[0].count, items);
    CU_ASSERT(lp_str_eqc(doc.nodes[1].text, "a \"string\" of some length, number 0"));
    CU_ASSERT_EQUAL(doc.nodes[0].text.n, in.n);

    /* a value every two bytes: more nodes than are allowed */
    lp_buf_reset(&in);
    CU_ASSERT_FATAL(lp_buf_reserve(&in, 16u << 20));
    for (in.n = 0; in.n < 16u << 20; in.n += 2) {
        memcpy(in.p + in.n, in.n == 0 ? "[0" : ",0", 2);
    }
    in.p[in.n - 2] = ']';
    in.p[in.n - 1] = ' ';
    CU_ASSERT_EQUAL(lp_json_parse(p, lp_buf_view(&in), &doc, NULL), LP_ERR_LIMIT);
    /* and the parser goes on as if nothing had been */
    CU_ASSERT_EQUAL(parse(p, LP_STR("[\"\\n\"]"), &doc), LP_OK);
    CU_ASSERT(lp_str_eqc(doc.nodes[1].text, "\n"));
    lp_buf_clear(&in);
    lp_json_parser_free(p);
    lp_buf_clear(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size); /* tests/fuzz/fuzz_json.c */

static uint64_t seed = 2463534242;

static unsigned
below(unsigned n)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return (unsigned)(seed >> 33) % n;
}

/* Lines with bytes put in, taken out and put over, checked by the invariants in fuzz_json.c. */
static void
lines_changed_at_random(void)
{
    static const char *const good[] = {
        "{\"_time\":\"2026-11-20T00:00:00Z\",\"_msg\":\"GET \\\"/x\\\" \\u00e9\",\"n\":[1,-2.5e3,{}]}",
        "[[],{\"a\":{\"b\":null}}]",
        "\"\\ud83d\\ude00\"",
        "  true\r",
        "1e400",
        "",
    };
    static const struct lp_str piece[] = {
        LP_STR("\""),
        LP_STR("\\"),
        LP_STR("{"),
        LP_STR("}"),
        LP_STR("["),
        LP_STR("]"),
        LP_STR(","),
        LP_STR(":"),
        LP_STR("0"),
        LP_STR("-"),
        LP_STR("e"),
        LP_STR("\n"),
        LP_STR("\r"),
        LP_STR(" "),
        LP_STR("\0"),
        LP_STR("\xff"),
        LP_STR("\xe2\x82\xac"),
        LP_STR("\\ud83d"),
        LP_STR("\f"),
        LP_STR("\x1a"),
        LP_STR("null"),
    };
    struct lp_buf b, changed;
    lp_buf_init(&b, 1 << 16);
    lp_buf_init(&changed, 1 << 16);
    for (unsigned round = 0; round < 3000; round++) {
        lp_buf_reset(&b);
        for (unsigned lines = 1 + below(8); lines > 0; lines--) {
            lp_buf_c(&b, good[below(LP_ARRAY_LEN(good))]);
            lp_buf_byte(&b, '\n');
        }
        for (unsigned changes = below(4); changes > 0; changes--) {
            struct lp_str all = lp_buf_view(&b);
            size_t at = below((unsigned)all.n + 1), skip = below(3);
            lp_buf_reset(&changed);
            lp_buf_str(&changed, lp_str_sub(all, 0, at));
            if (below(3) > 0) {
                lp_buf_str(&changed, piece[below(LP_ARRAY_LEN(piece))]);
            }
            lp_buf_str(&changed, lp_str_sub(all, at + skip, all.n));
            struct lp_buf old = b;
            b = changed;
            changed = old;
        }
        LLVMFuzzerTestOneInput((const uint8_t *)b.p, b.n);
    }
    lp_buf_clear(&b);
    lp_buf_clear(&changed);
}

/* Against the parser, with the text at the very end of an allocation, and cut short everywhere. */
static void
a_string_by_itself(void)
{
    static const char *const parts[] = {
        "plain",       "\\\"",     "\\n\\t", "\\u00e9", "\\ud83d\\ude00",
        "caf\xc3\xa9", "\xf0\x9f", "\\x",    "\x1f",    "0123456789abcdef0123456789abcdef0123456789abcdef",
        "\\\\",        "/"};
    struct lp_json_parser *p = lp_json_parser_new();
    for (int round = 0; round < 3000; round++) {
        char doc[1024] = "\"", out[1024 + LP_JSON_PAD];
        size_t n = 1, made = 0;
        for (unsigned i = below(12); i > 0; i--) {
            const char *s = parts[below(LP_ARRAY_LEN(parts))];
            memcpy(doc + n, s, strlen(s));
            n += strlen(s);
        }
        doc[n++] = '"';
        size_t behind = below(100);
        char *exact = lp_malloc(n + behind);
        memcpy(exact, doc, n);
        memset(exact + n, '"', behind);
        struct lp_json_doc want;
        bool valid = parse(p, lp_str_of(doc, n), &want) == LP_OK;
        const char *end = lp_json_string(exact + 1, exact + n + behind, out, &made);
        CU_ASSERT_FATAL((end == exact + n - 1) == valid && (end == NULL) == !valid);
        CU_ASSERT_FATAL(!valid || lp_str_eq(want.nodes[0].text, lp_str_of(out, made)));
        for (size_t cut = 1; cut < n; cut += 7) {
            CU_ASSERT_PTR_NULL(lp_json_string(exact + 1, exact + cut, out, &made));
        }
        lp_free(exact);
    }
    lp_json_parser_free(p);
}

LP_SUITE(json, {"nodes in document order", nodes_in_document_order}, {"members and paths", members_and_paths},
         {"strings are unescaped", strings_are_unescaped}, {"valid documents", valid_documents},
         {"malformed documents", malformed_documents}, {"an error has its place", an_error_has_its_place},
         {"depth is limited", depth_is_limited}, {"a bad line costs one line", a_bad_line_costs_one_line},
         {"lines stop when told", lines_stop_when_told}, {"many windows", many_windows},
         {"a large single document", a_large_single_document},
         {"lines changed at random", lines_changed_at_random}, {"a string by itself", a_string_by_itself});
