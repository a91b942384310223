/*
 * test_fields.c - fields of JSON and logfmt lines. Oracle: what a real Loki made of such lines, written down
 * by hand; and for broken lines that nothing outside of them is read (every line is in memory of its exact
 * size).
 */
#include "query/fields.h"

#include <stdlib.h>
#include <string.h>

#include "query/path.h"
#include "tests/unit/unit.h"

struct seen {
    struct lp_buf text;
    size_t n, most;
};

static bool
note(void *arg, struct lp_str key, struct lp_str value)
{
    struct seen *s = arg;
    lp_buf_c(&s->text, s->n++ > 0 ? " " : "");
    lp_buf_str(&s->text, key);
    lp_buf_c(&s->text, "=<");
    lp_buf_str(&s->text, value);
    lp_buf_c(&s->text, ">");
    return s->n < s->most;
}

enum reader { JSON, STRINGS, LOGFMT, STRICT, AS_IS };

/* The fields of the line, which is put into memory of its own; " !" behind them where it broke. */
static void
read_fields(enum reader how, const char *line, size_t n, size_t most, struct seen *s)
{
    struct lp_buf keys, text;
    char *own = malloc(n > 0 ? n : 1);
    lp_rc rc;
    memcpy(own, line, n);
    lp_buf_init(&keys, 1 << 20);
    lp_buf_init(&text, 1 << 20);
    lp_buf_init(&s->text, 1 << 20);
    s->n = 0;
    s->most = most;
    struct lp_str str = lp_str_of(own, n);
    if (how == JSON) {
        rc = lp_fields_json(str, &keys, &text, NULL, note, s, NULL);
    } else if (how == STRINGS) {
        rc = lp_fields_json_strings(str, &keys, &text, note, s, NULL);
    } else {
        rc = lp_fields_logfmt(str, how == STRICT, how != AS_IS, &keys, &text, NULL, note, s, NULL);
    }
    CU_ASSERT(rc == LP_OK || rc == LP_ERR_PARSE);
    lp_buf_c(&s->text, rc == LP_OK ? "" : " !");
    lp_buf_clear(&keys);
    lp_buf_clear(&text);
    free(own);
}

static void
expect(enum reader how, const char *line, const char *want)
{
    struct seen s;
    read_fields(how, line, strlen(line), SIZE_MAX, &s);
    struct lp_str got = lp_buf_view(&s.text);
    if (!lp_str_eqc(got, want)) {
        fprintf(stderr, "%s\n  gave " LP_STR_FMT "\n  want %s\n", line, LP_STR_ARG(got), want);
    }
    CU_ASSERT(lp_str_eqc(got, want));
    lp_buf_clear(&s.text);
}

static void
json_objects_are_flattened(void)
{
    expect(JSON, "{\"a\":\"b\",\"n\":1.50e3,\"t\":true,\"z\":null,\"l\":[1,{\"x\":2}]}",
           "a=<b> n=<1.50e3> t=<true>");
    expect(JSON, " {\"a\" : {\"b\":{\"c\":\"d\"},\"e\":\"\"} }", "a_b_c=<d> a_e=<>");
    expect(JSON, "{\"a\":\"1\",\"a\":\"2\"}", "a=<1> a=<2>");
    expect(JSON, "{\"a.b-c\":\"1\",\"9x\":\"2\",\"\":\"3\",\" k \":\"4\",\"\xc3\xa9t\":\"5\"}",
           "a_b_c=<1> _9x=<2> k=<4> _t=<5>");
    expect(JSON, "{\"a\":\"q\\\"\\\\\\/\\n\\u00e9\\ud83d\\ude00\"}", "a=<q\"\\/\n\xc3\xa9\xf0\x9f\x98\x80>");
    expect(JSON, "{\"a\":\"x\\ud83dy\",\"b\":\"bad \\q\"}",
           "a=<> b=<>");                                        /* a lone surrogate; no such escape */
    expect(JSON, "{\"a\":\"x\xffy\xef\xbf\xbdz\"}", "a=<xyz>"); /* no UTF-8, and what stands for it */
    expect(JSON, "{\"k\\u0041\":\"v\"}", "kA=<v>");
    expect(JSON, "{}", "");
}

static void
json_that_breaks_gives_what_came_before(void)
{
    expect(JSON, "{\"a\":\"1\",}", "a=<1>");
    expect(JSON, "{\"a\":\"1\"} tail", "a=<1>");
    expect(JSON, "{\"a\":\"1\",\"b\":", "a=<1> !");
    expect(JSON, "{\"a\":\"1\",\"b\":{\"c\":\"2\",\"d\"", "a=<1> !"); /* the inner object does not end */
    expect(JSON, "{\"a\":\"1\" \"b\":2}", "a=<1> !");
    expect(JSON, "{\"a\":tru}", " !");
    expect(JSON, "{\"a\"", " !");
    expect(JSON, "{a:1}", " !");
    expect(JSON, "[1]", " !");
    expect(JSON, "plain", " !");
    expect(JSON, "", " !");
}

static void
unpacked_are_strings_alone(void)
{
    expect(STRINGS, "{\"a\":\"1\",\"b\":2,\"_entry\":\"x\",\"c\":{\"d\":\"e\"}}", "a=<1> _entry=<x>");
}

static void
json_is_not_nested_without_end(void)
{
    struct seen s;
    char deep[70 * 5];
    for (size_t i = 0; i < 70; i++) {
        memcpy(deep + i * 5, "{\"a\":", 5);
    }
    read_fields(JSON, deep, sizeof(deep), SIZE_MAX, &s);
    lp_buf_clear(&s.text);
    char closed[70 * 5 + 1 + 70];
    memcpy(closed, deep, sizeof(deep));
    closed[sizeof(deep)] = '1';
    memset(closed + sizeof(deep) + 1, '}', 70);
    read_fields(JSON, closed, sizeof(closed), SIZE_MAX, &s);
    CU_ASSERT(lp_str_eqc(lp_buf_view(&s.text), " !"));
    lp_buf_clear(&s.text);
}

static void
logfmt_pairs(void)
{
    expect(LOGFMT, "a=1 b=\"x y\" c d= e=\"\"  f=\"q\\\"\\n\\u00e9\"",
           "a=<1> b=<x y> c=<> d=<> e=<> f=<q\"\n\xc3\xa9>");
    expect(LOGFMT, "a.b=1 9x=2 a=3", "a_b=<1> _9x=<2> a=<3>");
    expect(AS_IS, "a.b=1", "a.b=<1>");
    expect(LOGFMT, "=x a\"b=1 c=d=e f=g\"h i=1", "i=<1>");
    expect(STRICT, "a=1 c=d=e i=1", "a=<1> !");
    expect(LOGFMT, "a=1 b=\"open c=2", "a=<1>");
    expect(STRICT, "a=1 b=\"open c=2", "a=<1> !");
    expect(LOGFMT, "a=\"bad \\q\" b=2", "b=<2>");
    expect(LOGFMT, "a=\"\\ud800x\" b=\xff\xfe", "a=<x> b=<>");
    expect(LOGFMT, "", "");
}

static void
a_walk_ends_when_it_is_told(void)
{
    struct seen s;
    static const char json[] = "{\"a\":1,\"b\":{\"c\":2,\"d\":3},\"e\":broken";
    read_fields(JSON, json, sizeof(json) - 1, 2, &s);
    CU_ASSERT(lp_str_eqc(lp_buf_view(&s.text), "a=<1> b_c=<2>"));
    lp_buf_clear(&s.text);
}

static void
expect_path(const char *line, const char *path, lp_rc want_rc, const char *want)
{
    struct lp_arena ar;
    struct lp_buf text;
    struct lp_path_step *steps;
    struct lp_str got = LP_STR("");
    size_t n;
    lp_arena_init(&ar, 1 << 16, 0);
    lp_buf_init(&text, 1 << 16);
    CU_ASSERT_EQUAL_FATAL(lp_path_json(lp_str_c(path), &ar, &steps, &n, NULL), LP_OK);
    CU_ASSERT_EQUAL(lp_fields_json_path(lp_str_c(line), steps, n, &text, &got, NULL), want_rc);
    CU_ASSERT(want_rc != LP_OK || lp_str_eqc(got, want));
    lp_buf_clear(&text);
    lp_arena_clear(&ar);
}

static void
paths_into_json(void)
{
    static const char line[] =
        "{\"a\":{\"b\":[10,{\"c\":\"x\\ty\"},null],\"a.b\":1},\"s\":\"t\",\"n\":null,\"dup\":1,\"dup\":2}";
    expect_path(line, "a.b[1].c", LP_OK, "x\ty");
    expect_path(line, "a.b", LP_OK, "[10,{\"c\":\"x\\ty\"},null]");
    expect_path(line, "a[\"a.b\"]", LP_OK, "1");
    expect_path(line, "dup", LP_OK, "1");
    expect_path(line, "a.b[2]", LP_ERR_NOT_FOUND, "");
    expect_path(line, "a.b[7]", LP_ERR_NOT_FOUND, "");
    expect_path(line, "n", LP_ERR_NOT_FOUND, "");
    expect_path(line, "s.t", LP_ERR_NOT_FOUND, "");
    expect_path(line, "x", LP_ERR_NOT_FOUND, "");
    expect_path("[1,2]", "[1]", LP_OK, "2");
    expect_path("{\"a\":\"open", "a", LP_ERR_PARSE, "");
    expect_path("{\"a\":1,\"b\":\"open", "a", LP_OK, "1");
    expect_path("text", "a", LP_ERR_NOT_FOUND, "");
}

/* Every beginning of telling lines, and lines with a byte changed. */
static void
broken_lines_are_read_within_their_bounds(void)
{
    static const char *const lines[] = {
        "{\"a\":{\"b\":[1,{\"c\":\"\\u00e9\\ud83d\\ude00\"}],\"d\":\"x\\\\\"},\"e\":true,\"f\":-1.5e3}",
        "a=1 b=\"x \\\"y\\\" \\u00e9\" c= d=\"\\ud83d\\ude00\" e",
    };
    uint64_t seed = 7;
    for (size_t i = 0; i < LP_ARRAY_LEN(lines); i++) {
        size_t all = strlen(lines[i]);
        for (size_t n = 0; n <= all; n++) {
            for (enum reader how = JSON; how <= AS_IS; how++) {
                struct seen s;
                char text[128];
                memcpy(text, lines[i], n);
                read_fields(how, text, n, SIZE_MAX, &s);
                lp_buf_clear(&s.text);
                text[lp_test_below(&seed, (unsigned)all)] = (char)lp_test_below(&seed, 256);
                read_fields(how, text, n, SIZE_MAX, &s);
                lp_buf_clear(&s.text);
            }
        }
    }
}

LP_SUITE(fields, {"JSON objects are flattened", json_objects_are_flattened},
         {"JSON that breaks gives what came before", json_that_breaks_gives_what_came_before},
         {"unpacked are strings alone", unpacked_are_strings_alone},
         {"JSON is not nested without end", json_is_not_nested_without_end}, {"logfmt pairs", logfmt_pairs},
         {"a walk ends when it is told", a_walk_ends_when_it_is_told}, {"paths into JSON", paths_into_json},
         {"broken lines are read within their bounds", broken_lines_are_read_within_their_bounds});
