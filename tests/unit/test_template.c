/*
 * test_template.c - oracle: a decoder that must not remember (its parameters are too long to). Records that
 * have their like before them, and records that only nearly have, mean the same to both.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ingest/decode.h"
#include "ingest/json_template.h"
#include "tests/unit/unit.h"

#define BODY_BYTES_MAX (256u << 10)

static struct lp_batch *
decode(struct lp_decoder *d, const char *params, struct lp_str body)
{
    static char target[8192];
    struct lp_err err;
    struct lp_batch *b = NULL;
    snprintf(target, sizeof(target), "/insert/jsonline%s", params);
    struct lp_push push = {
        .target = lp_str_c(target), .method = LP_STR("POST"), .body = body, .received_ns = 77};
    struct lp_decode_limits lim = {16 << 20, 64 << 20};
    return lp_decode_push(d, &push, &lim, &b, &err) == LP_OK ? b : NULL;
}

static bool
equal(const struct lp_batch *a, const struct lp_batch *b)
{
    if (a == NULL || b == NULL) {
        return a == b;
    }
    return a->nrows == b->nrows && a->nstreams == b->nstreams && a->untimed == b->untimed &&
           a->quarantined == b->quarantined && a->demoted == b->demoted && a->line_bytes == b->line_bytes &&
           a->meta_bytes == b->meta_bytes &&
           lp_hash128_eq(lp_batch_content_hash(a), lp_batch_content_hash(b));
}

/* Whether a body means the same with memory and without. */
static bool
same(struct lp_decoder *warm, struct lp_str body)
{
    static char forgetful[6000];
    memset(forgetful, 'x', sizeof(forgetful) - 1);
    memcpy(forgetful, "?x=", 3);
    struct lp_decoder *fresh = lp_decoder_new();
    struct lp_batch *a = decode(warm, "", body), *b = decode(fresh, forgetful, body);
    bool eq = equal(a, b);
    if (!eq) {
        fprintf(stderr, "means something else: " LP_STR_FMT "\n", LP_STR_ARG(body));
    }
    lp_batch_free(a);
    lp_batch_free(b);
    lp_decoder_free(fresh);
    return eq;
}

#define T "{\"_time\":\"2026-11-20T00:00:00.123456789Z\",\"_msg\":\""
#define E "\",\"namespace\":\"n\",\"pod\":\"p\",\"stream\":\"stdout\"}"
#define NUMBER "{\"ts\":1795132800.25,\"log\":\""
#define LONG                                                                                                 \
    "0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789"

static const char *const records[] = {
    T "one" E,
    T "" E,
    T "a \\\"quote\\\", a \\\\, a \\n and \\u00e9 \\ud83d\\ude00 \\ud800" E,
    T LONG "\\\\" LONG "\\\"\\t\\/\\b\\f\\r" LONG E,
    T "a bad \\x escape" E,
    T "ends with a slash \\" E,
    T "caf\xc3\xa9 " LONG E,
    T "broken \xc3 utf-8" E,
    T "broken at the end \xe2\x82" E,
    T "a\tcontrol character" E,
    T "a NUL escape \\u0000 stays" E,
    T LONG "\x01" LONG E,
    T "not closed"
      "\",\"namespace\":\"n\",\"pod\":\"p\",\"stream\":\"stdout\"",
    T "behind it" E " x",
    T "blanks behind it" E "  ",
    T "blanks within\" ,\"namespace\":\"n\",\"pod\":\"p\",\"stream\":\"stdout\"}",
    T "twice\",\"_msg\":\"again" E,
    T "another line\",\"message\":\"again" E,
    T "meta\",\"level\":\"warn\",\"a.b\":\"c\",\"n\":12,\"namespace\":\"n\"}",
    T "meta\",\"level\":\"warn\",\"level\":\"info\",\"empty\":\"\",\"none\":null,\"list\":[1,2],"
      "\"namespace\":\"n\"}",
    T "nested\",\"kubernetes\":{\"pod_name\":\"q\",\"pod_id\":\"u\",\"labels\":{\"app\":\"a\"},\"host\":"
      "\"h\"}}",
    T "nested line\",\"event\":{\"message\":\"x\"},\"log\":{\"iostream\":\"stderr\"}}",
    T "no labels\"}",
    T "only empty labels\",\"namespace\":\"\"}",
    T "reserved\",\"__pod_uid__\":\"u\",\"namespace\":\"n\"}",
    "{\"_time\":\"yesterday\",\"_msg\":\"x" E,
    "{\"_time\":\"2026-13-20T00:00:00Z\",\"_msg\":\"x" E,
    "{\"_time\":\"2026-11-20T00:00:00+01:00\",\"_msg\":\"x" E,
    "{\"_time\":\"2026-11-20T00:00:00.1\\u0031Z\",\"_msg\":\"escaped time" E,
    "{\"_time\":\"\",\"_msg\":\"no time" E,
    "{\"_time\":null,\"_msg\":\"no time" E,
    "{\"_msg\":\"no time at all" E,
    "{\"_msg\":\"line first\",\"_time\":\"2026-11-20T00:00:01Z\",\"namespace\":\"n\"}",
    "{\"namespace\":\"n\",\"_time\":\"2026-11-20T00:00:01Z\",\"_msg\":\"last\"}",
    "{\"_time\":\"2026-11-20T00:00:01Z\",\"timestamp\":\"2026-11-20T00:00:02Z\",\"_msg\":\"two times\"}",
    NUMBER "with a newline\\n\"}",
    NUMBER "without\",\"pod\":\"p\"}",
    NUMBER "\\n\\n\",\"pod\":\"p\"}",
    "{\"ts\":01795132800,\"log\":\"bad number\",\"pod\":\"p\"}",
    "{\"ts\":1795132800.,\"log\":\"bad number\",\"pod\":\"p\"}",
    "{\"ts\":1e300,\"log\":\"no such time\",\"pod\":\"p\"}",
    "{\"ts\":1795132800000 ,\"log\":\"a blank\",\"pod\":\"p\"}",
    "{\"_time\":\"2026-11-20T00:00:00Z\",\"_msg\":{\"an\":\"object\"},\"pod\":\"p\"}",
    "{\"_time\":\"2026-11-20T00:00:00Z\",\"_msg\":12,\"pod\":\"p\"}",
    "{\"_t\\u0069me\":\"2026-11-20T00:00:00Z\",\"_msg\":\"escaped key\",\"pod\":\"p\"}",
    "{ \"_time\":\"2026-11-20T00:00:00Z\",\"_msg\":\"blanks\",\"pod\":\"p\"}",
    "",
    "   ",
    "[1]",
    "{}",
};

static void
a_record_means_the_same_the_second_time(void)
{
    struct lp_decoder *warm = lp_decoder_new();
    static char text[BODY_BYTES_MAX];
    for (int round = 0; round < 3; round++) {
        for (size_t i = 0; i < LP_ARRAY_LEN(records); i++) {
            size_t n =
                (size_t)snprintf(text, sizeof(text) - LP_JSON_PAD, "%s%s", records[i], i % 2 ? "\n" : "\r\n");
            CU_ASSERT(same(warm, lp_str_of(text, n)));
        }
    }
    lp_decoder_free(warm);
}

/* Bodies of records drawn at random; of some one byte is another, or they are cut. */
static void
bodies_at_random_mean_the_same(void)
{
    static const char bytes[] = "\"\\{}[]:,\n\r\t 0nux\x7f\x80\xc3\xff";
    struct lp_decoder *warm = lp_decoder_new();
    static char text[BODY_BYTES_MAX];
    unsigned seed = 20261128;
    for (int round = 0; round < 400; round++) {
        size_t n = 0;
        for (int i = 0; i < 60; i++) {
            const char *r = records[(size_t)rand_r(&seed) % (round % 3 == 0 ? 4 : LP_ARRAY_LEN(records))];
            size_t len = strlen(r);
            memcpy(text + n, r, len);
            int fate = rand_r(&seed) % 8;
            if (fate == 0 && len > 0) {
                text[n + (size_t)rand_r(&seed) % len] = bytes[(size_t)rand_r(&seed) % (sizeof(bytes) - 1)];
            } else if (fate == 1 && len > 0) {
                len = (size_t)rand_r(&seed) % len;
            }
            n += len;
            text[n++] = '\n';
        }
        CU_ASSERT(same(warm, lp_str_of(text, n)));
    }
    lp_decoder_free(warm);
}

/* More endings than are remembered, and a parameter that changes what members mean. */
static void
what_is_remembered_is_replaced(void)
{
    struct lp_decoder *warm = lp_decoder_new();
    static char text[BODY_BYTES_MAX];
    for (int round = 0; round < 60; round++) {
        size_t n = 0;
        for (int i = 0; i < 300; i++) {
            n += (size_t)snprintf(text + n, sizeof(text) - n,
                                  T "line %d\",\"pod\":\"pod-%d\",\"other\":\"o\"}\n", i,
                                  i % 3 == 0 ? i % 7 : i * 7919 % (50 * (round + 1)));
        }
        CU_ASSERT(same(warm, lp_str_of(text, n)));
        if (round % 10 == 9) {
            struct lp_decoder *fresh = lp_decoder_new();
            struct lp_batch *a = decode(warm, "?_msg_field=other", lp_str_of(text, n));
            struct lp_batch *b = decode(fresh, "?_msg_field=other", lp_str_of(text, n));
            CU_ASSERT(a != NULL && equal(a, b));
            CU_ASSERT(a != NULL && a->rows[0].line_bytes == 1);
            lp_batch_free(a);
            lp_batch_free(b);
            lp_decoder_free(fresh);
        }
    }
    lp_decoder_free(warm);
}

/* Rows of one ending share their metadata; the line stands in the batch without its escapes. */
static void
known_records_are_not_parsed(void)
{
    struct lp_decoder *d = lp_decoder_new();
    static char text[BODY_BYTES_MAX];
    size_t n = 0;
    for (int i = 0; i < 40; i++) {
        n += (size_t)snprintf(text + n, sizeof(text) - n,
                              T "\\\"%d\\\"\",\"level\":\"warn\",\"pod\":\"p\"}\n", i);
    }
    struct lp_batch *b = decode(d, "", lp_str_of(text, n));
    CU_ASSERT_PTR_NOT_NULL_FATAL(b);
    CU_ASSERT_EQUAL(b->nrows, 40);
    CU_ASSERT_PTR_EQUAL(b->rows[38].meta, b->rows[39].meta);
    CU_ASSERT(lp_str_eqc(lp_str_of(b->rows[39].line, b->rows[39].line_bytes), "\"39\""));
    lp_batch_free(b);
    lp_decoder_free(d);
}

LP_SUITE(template, {"A record means the same the second time", a_record_means_the_same_the_second_time},
         {"Bodies at random mean the same", bodies_at_random_mean_the_same},
         {"What is remembered is replaced", what_is_remembered_is_replaced},
         {"Known records are not parsed", known_records_are_not_parsed});
