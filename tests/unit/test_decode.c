/*
 * test_decode.c - oracle: the formats' contracts (B.1, B.6): the same bytes give the same records, bad ones a
 * clear error or the quarantine.
 */
#include <snappy-c.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ingest/decode_int.h"
#include "tests/unit/unit.h"

static struct lp_batch *last;
static struct lp_err why;

static lp_rc
decode_bytes(const char *target, const char *type, struct lp_str bytes)
{
    struct lp_decoder *d = lp_decoder_new();
    struct lp_decode_limits lim = {64 << 20, 128 << 20};
    char *body = lp_malloc(bytes.n + LP_BUF_PAD);
    memset(body + bytes.n, 0, LP_BUF_PAD);
    memcpy(body, bytes.p, bytes.n);
    struct lp_push p = {.method = LP_STR("POST"),
                        .target = lp_str_c(target),
                        .body = lp_str_of(body, bytes.n),
                        .received_ns = 777};
    if (type != NULL) {
        p.headers[p.nheaders++] = (struct lp_pair){LP_STR("Content-Type"), lp_str_c(type)};
    }
    lp_batch_free(last);
    last = NULL;
    lp_err_clear(&why);
    lp_rc rc = lp_decode_push(d, &p, &lim, &last, &why);
    lp_free(body);
    lp_decoder_free(d);
    return rc;
}

static lp_rc
decode(const char *target, const char *type, const char *body)
{
    return decode_bytes(target, type, lp_str_c(body));
}

static bool
line_is(size_t row, const char *want)
{
    return last != NULL && row < last->nrows &&
           lp_str_eqc(lp_str_of(last->rows[row].line, last->rows[row].line_bytes), want);
}

/* "{a=1,b=2}/uid/incarnation" of a row's stream. */
static bool
stream_is(size_t row, const char *want)
{
    struct lp_arena ar;
    struct lp_stream_key k;
    char text[1024];
    lp_arena_init(&ar, 1 << 16, 0);
    CU_ASSERT_EQUAL_FATAL(lp_stream_key_parse(last->streams[last->rows[row].stream].key, &ar, &k, NULL),
                          LP_OK);
    int n = snprintf(text, sizeof(text), "{");
    for (size_t i = 0; i < k.nlabels; i++) {
        n += snprintf(text + n, sizeof(text) - (size_t)n, "%s" LP_STR_FMT "=" LP_STR_FMT, i ? "," : "",
                      LP_STR_ARG(k.labels[i].name), LP_STR_ARG(k.labels[i].value));
    }
    snprintf(text + n, sizeof(text) - (size_t)n, "}/" LP_STR_FMT "/" LP_STR_FMT, LP_STR_ARG(k.inst.uid),
             LP_STR_ARG(k.inst.incarnation));
    lp_arena_clear(&ar);
    bool ok = strcmp(text, want) == 0;
    if (!ok) {
        fprintf(stderr, "stream is %s, not %s\n", text, want);
    }
    return ok;
}

static bool
meta_is(size_t row, const char *want)
{
    char text[2048] = "";
    int n = 0;
    struct lp_meta_iter it = lp_meta_begin(last->rows[row].meta);
    struct lp_pair p;
    while (lp_meta_next(&it, &p)) {
        n += snprintf(text + n, sizeof(text) - (size_t)n, "%s" LP_STR_FMT "=" LP_STR_FMT, n ? "," : "",
                      LP_STR_ARG(p.name), LP_STR_ARG(p.value));
    }
    if (strcmp(text, want) != 0) {
        fprintf(stderr, "metadata is %s, not %s\n", text, want);
    }
    return strcmp(text, want) == 0;
}

#define JL "/insert/jsonline"
#define LOKI "/loki/api/v1/push"
#define JSON "application/json"

static void
json_lines_by_default(void)
{
    CU_ASSERT_EQUAL_FATAL(decode(JL, NULL,
                                 "{\"_time\":\"2026-11-20T00:00:00.000000001Z\",\"_msg\":\"hello\","
                                 "\"namespace\":\"n\",\"pod\":\"p\","
                                 "\"container\":\"c\",\"stream\":\"stdout\",\"node\":\"w\",\"app\":\"a\","
                                 "\"status\":200,\"ok\":true,\"nil\":null,\"tags\":[1, 2]}\n"),
                          LP_OK);
    CU_ASSERT_EQUAL_FATAL(last->nrows, 1);
    CU_ASSERT(line_is(0, "hello"));
    CU_ASSERT_EQUAL(last->rows[0].time_ns, 1795132800 * LP_NS_PER_S + 1);
    CU_ASSERT(stream_is(0, "{app=a,container=c,namespace=n,node=w,pod=p,stream=stdout}//"));
    CU_ASSERT(meta_is(0, "ok=true,status=200,tags=[1, 2]"));
    CU_ASSERT_EQUAL(last->untimed, 0);
}

static void
json_lines_other_names(void)
{
    CU_ASSERT_EQUAL_FATAL(decode(JL, NULL,
                                 "{\"ts\":1795132800.5,\"msg\":\"m\",\"log\":\"not the "
                                 "line\"}\n{\"time\":\"yesterday\",\"message\":\"x\"}\n{\"a\":1}"),
                          LP_OK);
    CU_ASSERT_EQUAL_FATAL(last->nrows, 3);
    CU_ASSERT(line_is(0, "m") && meta_is(0, "log=not the line"));
    CU_ASSERT_EQUAL(last->rows[0].time_ns, 1795132800 * LP_NS_PER_S + LP_NS_PER_S / 2);
    CU_ASSERT(line_is(1, "x") && meta_is(1, "time=yesterday"));
    CU_ASSERT_EQUAL(last->rows[1].time_ns, 777); /* receipt */
    CU_ASSERT(line_is(2, "{\"a\":1}"));
    CU_ASSERT(stream_is(2, "{job=jsonline}//"));
    CU_ASSERT_EQUAL(last->untimed, 2);
}

static void
json_lines_with_parameters(void)
{
    CU_ASSERT_EQUAL_FATAL(decode(JL "?_stream_fields=svc,k%2Er&_time_field=when&_msg_field=text", NULL,
                                 "{\"when\":\"1700000000\",\"text\":\"l\",\"svc\":\"s\",\"k\":{\"r\":\"v\"},"
                                 "\"app\":\"a\",\"_msg\":\"m\"}"),
                          LP_OK);
    CU_ASSERT(line_is(0, "l"));
    CU_ASSERT(stream_is(0, "{k_r=v,svc=s}//"));
    CU_ASSERT(meta_is(0, "_msg=m,app=a"));
    CU_ASSERT_EQUAL(last->rows[0].time_ns, 1700000000 * LP_NS_PER_S);
    CU_ASSERT_EQUAL(decode(JL "?_time_field=%zz", NULL, "{}"), LP_ERR_PARSE);
}

static void
json_lines_with_reserved_labels(void)
{
    CU_ASSERT_EQUAL_FATAL(
        decode(JL "?_stream_fields=svc,__pod_uid__,__incarnation__", NULL,
               "{\"svc\":\"s\",\"__pod_uid__\":\"u\",\"__incarnation__\":3}\n{\"__pod_uid__\":\"u\"}"),
        LP_OK);
    CU_ASSERT(stream_is(0, "{svc=s}/u/3"));
    CU_ASSERT(stream_is(1, "{job=jsonline}/u/"));
}

static void
bad_lines_go_to_the_quarantine(void)
{
    CU_ASSERT_EQUAL_FATAL(
        decode(JL, NULL, "{\"_msg\":\"good\"}\nnot json\n[1]\n{\"_msg\":\"\xff\"}\n\n{\"_msg\":\"also\"}\n"),
        LP_OK);
    CU_ASSERT_EQUAL(last->nrows, 5);
    CU_ASSERT_EQUAL(last->quarantined, 3);
    CU_ASSERT(line_is(1, "not json"));
    CU_ASSERT(stream_is(1, "{__quarantine__=jsonline}//"));
    CU_ASSERT(line_is(3, "{\"_msg\":\"\xff\"}")); /* byte for byte */
    CU_ASSERT_EQUAL(decode(JL, NULL, "not json\nat all\n"), LP_ERR_PARSE);
    CU_ASSERT_EQUAL(decode(JL, NULL, ""), LP_OK);
    CU_ASSERT_EQUAL(last->nrows, 0);
}

static void
any_bytes_of_a_line_survive(void)
{
    CU_ASSERT_EQUAL_FATAL(decode(JL, NULL, "{\"_msg\":\"a\\u0000b\\n\\u00e9\\ud83d\\ude00\"}"), LP_OK);
    CU_ASSERT(lp_str_eq(lp_str_of(last->rows[0].line, last->rows[0].line_bytes),
                        lp_str_of("a\0b\n\xc3\xa9\xf0\x9f\x98\x80", 10)));
}

static void
loki_json(void)
{
    CU_ASSERT_EQUAL_FATAL(decode(LOKI, "application/json; charset=utf-8",
                                 "{\"streams\":[{\"stream\":{\"b\":\"2\",\"a\":\"1\",\"e\":\"\"},\"values\":["
                                 "[\"1\",\"x\"],[\"-5\",\"y\",{\"k\":\"v\"}]]},"
                                 "{\"stream\":{\"a\":\"1\"},\"values\":null,\"other\":[]}]}"),
                          LP_OK);
    CU_ASSERT_EQUAL_FATAL(last->nrows, 2);
    CU_ASSERT(stream_is(0, "{a=1,b=2}//") && line_is(0, "x"));
    CU_ASSERT_EQUAL(last->rows[1].time_ns, -5);
    CU_ASSERT(meta_is(1, "k=v"));
    CU_ASSERT_EQUAL(decode(LOKI, JSON, "{\"streams\":[]}"), LP_OK);
}

static void
loki_json_refused_whole(void)
{
    static const char *const bodies[] = {
        "",
        "{",
        "[]",
        "nonsense",
        "{\"streams\":{}}",
        "{\"streams\":[1]}",
        "{\"streams\":[{\"values\":[[\"1\",\"x\"]]}]}",
        "{\"streams\":[{\"stream\":{},\"values\":[[\"1\",\"x\"]]}]}",
        "{\"streams\":[{\"stream\":{\"a\":1},\"values\":[[\"1\",\"x\"]]}]}",
        "{\"streams\":[{\"stream\":{\"a\":\"1\"},\"values\":[[1,\"x\"]]}]}",
        "{\"streams\":[{\"stream\":{\"a\":\"1\"},\"values\":[[\"1\"]]}]}",
        "{\"streams\":[{\"stream\":{\"a\":\"1\"},\"values\":[[\"1\",2]]}]}",
        "{\"streams\":[{\"stream\":{\"a\":\"1\"},\"values\":[[\"x\",\"x\"]]}]}",
        "{\"streams\":[{\"stream\":{\"a\":\"1\"},\"values\":[[\"1\",\"x\",{\"k\":1}]]}]}",
        "{\"streams\":[{\"stream\":{\"a\":\"1\"},\"values\":[[\"1\",\"\xff\"]]}]}",
        "{\"streams\":[{\"stream\":{\"a\":\"1\"},\"values\":[[\"99999999999999999999\",\"x\"]]}]}"};
    for (size_t i = 0; i < LP_ARRAY_LEN(bodies); i++) {
        lp_rc rc = decode(LOKI, JSON, bodies[i]);
        CU_ASSERT_EQUAL(rc, LP_ERR_PARSE);
        CU_ASSERT(why.text[0] != 0);
        if (rc == LP_OK) {
            fprintf(stderr, "taken: %s\n", bodies[i]);
        }
    }
}

static void
loki_old_path(void)
{
    CU_ASSERT_EQUAL_FATAL(
        decode("/api/prom/push", JSON,
               "{\"streams\":[{\"labels\":\"{a=\\\"x\\\\ny\\\", "
               "b=`raw\\\\n`}\",\"entries\":[{\"ts\":\"2026-11-20T00:00:00Z\",\"line\":\"l\"}]}]}"),
        LP_OK);
    CU_ASSERT(stream_is(0, "{a=x\ny,b=raw\\n}//"));
    CU_ASSERT_EQUAL(last->rows[0].time_ns, 1795132800 * LP_NS_PER_S);
}

static size_t
field(char *out, int number, const char *bytes, size_t n)
{
    out[0] = (char)(number << 3 | 2);
    LP_ASSERT(n < 128);
    out[1] = (char)n;
    memcpy(out + 2, bytes, n);
    return n + 2;
}

static void
loki_protobuf(void)
{
    char time[16], pair[32], entry[128], stream[128], req[128], block[256];
    static const char t[] = {0x08, 0x07, 0x10, 0x09};
    size_t n = field(pair, 1, "k\0n", 3), m;
    n += field(pair + n, 2, "v", 1);
    m = field(entry, 2, "li\0ne\xff", 6);
    m += field(entry + m, 1, t, sizeof(t));
    m += field(entry + m, 3, pair, n);
    n = field(stream, 2, entry, m); /* labels behind the entries */
    n += field(stream + n, 1, "{a=\"b\"}", 7);
    m = field(req, 1, stream, n);
    size_t bn = sizeof(block);
    CU_ASSERT_EQUAL_FATAL(snappy_compress(req, m, block, &bn), SNAPPY_OK);
    CU_ASSERT_EQUAL_FATAL(decode_bytes(LOKI, "application/x-protobuf", lp_str_of(block, bn)), LP_OK);
    CU_ASSERT_EQUAL_FATAL(last->nrows, 1);
    CU_ASSERT(stream_is(0, "{a=b}//"));
    CU_ASSERT_EQUAL(last->rows[0].time_ns, 7 * LP_NS_PER_S + 9);
    CU_ASSERT(lp_str_eq(lp_str_of(last->rows[0].line, last->rows[0].line_bytes), lp_str_of("li\0ne\xff", 6)));
    for (size_t cut = 1; cut < m;
         cut++) { /* every cut message is refused or shorter, never read past its end */
        bn = sizeof(block);
        CU_ASSERT_EQUAL_FATAL(snappy_compress(req, cut, block, &bn), SNAPPY_OK);
        CU_ASSERT_EQUAL(decode_bytes(LOKI, NULL, lp_str_of(block, bn)), LP_ERR_PARSE);
    }
    (void)time;
}

static void
hostile_json_is_bounded(void)
{
    size_t n = 1000000;
    char *deep = lp_malloc(n + 1);
    memset(deep, '[', n);
    deep[n] = 0;
    lp_rc rc = decode(LOKI, JSON, deep);
    CU_ASSERT(rc == LP_ERR_PARSE || rc == LP_ERR_LIMIT);
    rc = decode(JL, NULL, deep);
    CU_ASSERT(rc == LP_ERR_PARSE || rc == LP_ERR_LIMIT || (rc == LP_OK && last->quarantined == 1));
    memcpy(deep, "{\"_msg\":\"x\",\"f\":\"", 17);
    memset(deep + 17, 'v', 12000);
    memcpy(deep + 17 + 12000, "\"}", 3);
    CU_ASSERT_EQUAL_FATAL(decode(JL "?_stream_fields=f", NULL, deep),
                          LP_OK); /* a 12 KB label value becomes metadata */
    CU_ASSERT_EQUAL(last->demoted, 1);
    CU_ASSERT(stream_is(0, "{job=jsonline}//")); /* it was the only one: the record gets the default */
    lp_free(deep);
}

static void
pod_paths(void)
{
    struct lp_pod_path p;
    CU_ASSERT(lp_pod_path_parse(LP_STR("/var/log/pods/shop_api-7d4b_8f2-uid/api/3.log"), &p));
    CU_ASSERT(lp_str_eqc(p.namespace, "shop") && lp_str_eqc(p.pod, "api-7d4b") &&
              lp_str_eqc(p.container, "api"));
    CU_ASSERT(lp_str_eqc(p.inst.uid, "8f2-uid") && lp_str_eqc(p.inst.incarnation, "3"));
    CU_ASSERT(lp_pod_path_parse(LP_STR("/mnt/pods/n_p.with.dots_u/c/0.log.20260101-000000.gz"), &p));
    CU_ASSERT(lp_str_eqc(p.pod, "p.with.dots") && lp_str_eqc(p.inst.incarnation, "0"));
    const char *c =
        "/var/log/containers/"
        "api-7d4b_shop_my-api-0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef.log";
    CU_ASSERT(lp_pod_path_parse(lp_str_c(c), &p));
    CU_ASSERT(lp_str_eqc(p.namespace, "shop") && lp_str_eqc(p.pod, "api-7d4b") &&
              lp_str_eqc(p.container, "my-api"));
    CU_ASSERT_EQUAL(p.inst.incarnation.n, 64);
    CU_ASSERT_FALSE(lp_pod_path_parse(LP_STR("/var/log/syslog"), &p));
    CU_ASSERT_FALSE(lp_pod_path_parse(LP_STR("/var/log/pods/a/b/c.log"), &p));
    CU_ASSERT_FALSE(lp_pod_path_parse(LP_STR(""), &p));
}

static void
cri_lines(void)
{
    struct lp_cri_line l;
    CU_ASSERT(lp_cri_parse(LP_STR("2026-11-20T00:00:00.5+00:00 stderr F  two blanks "), &l));
    CU_ASSERT(lp_str_eqc(l.stream, "stderr") && lp_str_eqc(l.text, " two blanks ") && !l.partial);
    CU_ASSERT(lp_cri_parse(LP_STR("2026-11-20T00:00:00Z stdout P:x part"), &l) && l.partial);
    CU_ASSERT(lp_cri_parse(LP_STR("2026-11-20T00:00:00Z stdout F"), &l) && l.text.n == 0);
    CU_ASSERT_FALSE(lp_cri_parse(LP_STR("2026-11-20T00:00:00Z stdin F x"), &l));
    CU_ASSERT_FALSE(lp_cri_parse(LP_STR("hello world"), &l));
    CU_ASSERT_FALSE(lp_cri_parse(LP_STR(""), &l));
}

static lp_rc
kafka(const char *value, size_t n)
{
    struct lp_decoder *d = lp_decoder_new();
    struct lp_kafka_message m = {LP_STR("logs"), 3, 42, 5 * LP_NS_PER_S, lp_str_of(value, n)};
    lp_batch_free(last);
    last = lp_batch_new(LP_STR_NULL, 1 << 20, 0);
    last->received_ns = 777;
    lp_rc rc = lp_decode_kafka(d, &m, last, &why);
    lp_decoder_free(d);
    return rc;
}

static void
kafka_messages(void)
{
    const char *fb =
        "{\"@timestamp\":1795132800.123456,\"time\":\"2026-11-20T00:00:00.123456789Z\",\"log\":\"line\\n\","
        "\"stream\":\"stdout\",\"_p\":\"F\","
        "\"kubernetes\":{\"namespace_name\":\"n\",\"pod_name\":\"p\",\"container_name\":\"c\",\"host\":\"h\","
        "\"pod_id\":\"u\",\"docker_id\":\"d\",\"labels\":{\"app\":\"a\",\"x/y\":\"z\"}}}";
    CU_ASSERT_EQUAL(kafka(fb, strlen(fb)), LP_OK);
    CU_ASSERT(line_is(0, "line"));
    CU_ASSERT(stream_is(0, "{app=a,container=c,namespace=n,node=h,pod=p,stream=stdout}/u/d"));
    CU_ASSERT_EQUAL(last->rows[0].time_ns,
                    1795132800 * LP_NS_PER_S + 123456789); /* `time` keeps the nanoseconds */
    CU_ASSERT_EQUAL(kafka("plain text", 10), LP_OK);
    CU_ASSERT(line_is(0, "plain text") && stream_is(0, "{topic=logs}//"));
    CU_ASSERT_EQUAL(last->rows[0].time_ns, 5 * LP_NS_PER_S);
    CU_ASSERT_EQUAL(kafka("\xff\xfe\0", 3), LP_OK);
    CU_ASSERT_EQUAL(last->quarantined, 1);
    CU_ASSERT(meta_is(0, "place=logs/3/42,reason=malformed JSON: not UTF-8"));
    CU_ASSERT_EQUAL(kafka(NULL, 0), LP_OK);
    CU_ASSERT_EQUAL(last->nrows, 0);
    CU_ASSERT_EQUAL(kafka("null", 4), LP_OK);
    CU_ASSERT(line_is(0, "null"));
    lp_batch_free(last);
    last = NULL;
}

LP_SUITE(decode, {"JSON lines by default", json_lines_by_default},
         {"JSON lines with other names", json_lines_other_names},
         {"JSON lines with parameters", json_lines_with_parameters},
         {"JSON lines with reserved labels", json_lines_with_reserved_labels},
         {"bad lines go to the quarantine", bad_lines_go_to_the_quarantine},
         {"any bytes of a line survive", any_bytes_of_a_line_survive}, {"Loki JSON", loki_json},
         {"Loki JSON refused whole", loki_json_refused_whole}, {"Loki's old path", loki_old_path},
         {"Loki protobuf", loki_protobuf}, {"hostile JSON is bounded", hostile_json_is_bounded},
         {"pod paths", pod_paths}, {"CRI lines", cri_lines}, {"Kafka messages", kafka_messages});
