/*
 * test_kafka_memo.c - oracle: a decoder that remembers nothing. Whatever stands in the member that agents
 * repeat, and wherever, a record means the same to a decoder that has seen its like before.
 */
#include <stdio.h>
#include <string.h>

#include "ingest/decode.h"
#include "tests/unit/unit.h"

static void
add(struct lp_decoder *d, struct lp_batch *b, const char *text)
{
    struct lp_kafka_message m = {.topic = LP_STR("t"), .offset = 7, .time_ns = 5, .value = lp_str_c(text)};
    CU_ASSERT_EQUAL_FATAL(lp_decode_kafka(d, &m, b, NULL), LP_OK);
}

static bool
same(struct lp_decoder *warm, const char *text)
{
    struct lp_decoder *fresh = lp_decoder_new();
    struct lp_batch *a = lp_batch_new(LP_STR_NULL, SIZE_MAX, 0), *b = lp_batch_new(LP_STR_NULL, SIZE_MAX, 0);
    a->received_ns = b->received_ns = 9;
    add(fresh, a, text);
    add(warm, b, text);
    struct lp_hash128 ha = lp_batch_content_hash(a), hb = lp_batch_content_hash(b);
    bool eq = a->nrows == 1 && b->nrows == 1 && lp_hash128_eq(ha, hb) && a->untimed == b->untimed;
    if (!eq) {
        fprintf(stderr, "means something else the second time: %s\n", text);
    }
    lp_batch_free(a);
    lp_batch_free(b);
    lp_decoder_free(fresh);
    return eq;
}

/* Records that are never met again, until whole records are no longer learned (json_template.h): what is met
 * below are members. */
static struct lp_decoder *
tired(void)
{
    struct lp_decoder *d = lp_decoder_new();
    struct lp_batch *b = lp_batch_new(LP_STR_NULL, SIZE_MAX, 0);
    for (int i = 0; i < 1000; i++) {
        char text[128];
        snprintf(text, sizeof(text), "{\"@timestamp\":1795132800.5,\"log\":\"x\",\"once\":\"%d\"}", i);
        add(d, b, text);
    }
    lp_batch_free(b);
    return d;
}

#define POD                                                                                                  \
    "{\"namespace_name\":\"n\",\"pod_name\":\"p-1\",\"container_name\":\"c\",\"labels\":{\"app\":\"a\",\"x." \
    "y/z\":\"1\"},\"pod_id\":\"u\"}"
#define K "\"kubernetes\":" POD

static void
a_second_time_means_the_same(void)
{
    static const char *const records[] = {
        "{\"log\":\"one\\n\",\"stream\":\"stdout\"," K "}",
        "{\"log\":\"two\",\"@timestamp\":1795132800.5," K ",\"more\":1}",
        "{" K ",\"log\":\"first\",\"namespace\":\"wins\"}",
        "{\"namespace\":\"before\"," K ",\"log\":\"x\"}",
        "{\"log\":\"no line\",\"outer\":{" K "}}",
        "{\"a\":{" K "},\"log\":\"both\"," K "}",
        "{" K ",\"log\":\"again\"," K "}",
        "{\"log\":\"\\\"kubernetes\\\":{\\\"pod_name\\\":\\\"quoted\\\"}\"," K "}",
        "{" K "}",
        "{" K ",\"kubernetes\":0,\"log\":\"y\"}",
        "{\"kubernetes\":0," K ",\"log\":\"y\"}",
        "{\"log\":\"cut\"," K,
        "{\"log\":\"other\",\"kubernetes\":{\"namespace_name\":\"n\",\"pod_name\":\"p-1\",\"container_name\":"
        "\"c\",\"labels\":"
        "{\"app\":\"a\",\"x.y/z\":\"1\"},\"pod_id\":\"v\"}}",
        "{\"log\":\"spaced\",\"kubernetes\": {\"namespace_name\":\"n\",\"pod_name\":\"p\"}}",
        "{\"log\":\"small\",\"kubernetes\":{}}",
    };
    struct lp_decoder *warm = tired();
    for (int round = 0; round < 3; round++) {
        for (size_t i = 0; i < LP_ARRAY_LEN(records); i++) {
            CU_ASSERT(same(warm, records[i]));
        }
    }
    lp_decoder_free(warm);
}

/* More pods than are remembered, in turns, so that what is remembered is replaced. */
static void
many_pods(void)
{
    struct lp_decoder *warm = tired();
    for (int i = 0; i < 3000; i++) {
        char text[512];
        int pod = i % 3 == 0 ? i % 7 : i * 7919 % 1000;
        snprintf(text, sizeof(text),
                 "{\"log\":\"line %d\",\"kubernetes\":{\"pod_name\":\"pod-%d\",\"namespace_name\":\"ns-%d\","
                 "\"container_name\":\"container-of-it\",\"host\":\"h%d\"}}",
                 i, pod, pod % 10, pod % 5);
        CU_ASSERT(same(warm, text));
    }
    lp_decoder_free(warm);
}

LP_SUITE(kafka_memo, {"A second time means the same", a_second_time_means_the_same},
         {"Many pods", many_pods});
