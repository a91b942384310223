/*
 * test_logs.c - `logpond logs`: names and URLs, what a break of the connection must not lose or repeat, what
 * objects say; the kubeconfig. Oracle: by hand; for breaks, a model of a server that remembers all lines.
 */
#include "server/cmd_logs_int.h"
#include "tests/unit/unit.h"

#include <stdlib.h>

static void
reads_targets(void)
{
    static const struct {
        const char *text, *kind, *name; /* name NULL: refused */
    } cases[] = {
        {"api-0", NULL, "api-0"},
        {"pod/api-0", NULL, "api-0"},
        {"po/api-0", NULL, "api-0"},
        {"deploy/api", "deploy", "api"},
        {"Deployment/api", "deploy", "api"},
        {"deployments.apps/api", "deploy", "api"},
        {"deployment.v1.apps/api", "deploy", "api"},
        {"replicaset/api-7d4b9c6f5", "rs", "api-7d4b9c6f5"},
        {"sts/db", "sts", "db"},
        {"daemonsets/agent", "ds", "agent"},
        {"job/x", "job", "x"},
        {"cj/nightly", "cronjob", "nightly"},
        {"service/api", "svc", "api"},
        {"node/n1", NULL, NULL},
        {"deploy/", NULL, NULL},
        {"deploy/a/b", NULL, NULL},
        {"/a", NULL, NULL},
        {"", NULL, NULL},
    };
    for (size_t i = 0; i < LP_ARRAY_LEN(cases); i++) {
        struct lp_logs_target t;
        struct lp_err err;
        lp_rc rc = lp_logs_take_target(cases[i].text, &t, &err);
        CU_ASSERT_EQUAL(rc, cases[i].name != NULL ? LP_OK : LP_ERR_PARSE);
        if (rc == LP_OK && cases[i].name != NULL) {
            CU_ASSERT_STRING_EQUAL(t.name, cases[i].name);
            CU_ASSERT((t.kind == NULL) == (cases[i].kind == NULL));
            CU_ASSERT(t.kind == NULL || cases[i].kind == NULL || strcmp(t.kind, cases[i].kind) == 0);
        }
    }
}

static bool
url_is(const struct lp_logs *q, const struct lp_logs_again *again, bool raw, const char *want)
{
    struct lp_buf url;
    lp_buf_init(&url, 1 << 16);
    lp_logs_put_url(&url, q, again, raw);
    bool same = lp_str_eqc(lp_buf_view(&url), want);
    if (!same) {
        printf("\n  got %.*s\n", (int)url.n, url.p);
    }
    lp_buf_clear(&url);
    return same;
}

static void
makes_urls(void)
{
    struct lp_logs_target targets[] = {{NULL, "api-0"}, {"deploy", "web"}};
    const char *contains[] = {"a b", "&"}, *regexes[] = {"x+"};
    struct lp_logs q = {.ns = "shop", .since_ns = LP_TIME_NONE, .until_ns = LP_TIME_NONE, .tail = -1};
    CU_ASSERT(url_is(&q, NULL, false, "/api/v1/namespaces/shop/log?format=json"));
    q.ns = "a/b?";
    q.targets = targets;
    q.ntargets = 2;
    q.timestamps = q.prefix = true; /* of text only: in JSON they are there */
    CU_ASSERT(url_is(&q, NULL, false,
                     "/api/v1/namespaces/a%2Fb%3F/log?format=json&target=api-0&target=deploy%2Fweb"));
    CU_ASSERT(url_is(&q, NULL, true,
                     "/api/v1/namespaces/a%2Fb%3F/log?format=raw&target=api-0&target=deploy%2Fweb"
                     "&timestamps=true&prefix=true"));
    q.ntargets = 1; /* a pod's own log */
    q.single = true;
    q.container = "app";
    CU_ASSERT(
        url_is(&q, NULL, false, "/api/v1/namespaces/a%2Fb%3F/pods/api-0/log?format=json&container=app"));
    q = (struct lp_logs){.ns = "shop",
                         .selector = "app=api,tier!=web",
                         .node = "n1",
                         .container = "app",
                         .previous = true,
                         .stream = "Stderr",
                         .contains = contains,
                         .ncontains = 2,
                         .regexes = regexes,
                         .nregexes = 1,
                         .since_ns = 5,
                         .until_ns = LP_NS_PER_S,
                         .tail = 0};
    CU_ASSERT(
        url_is(&q, NULL, false,
               "/api/v1/namespaces/shop/log?format=json&labelSelector=app%3Dapi%2Ctier%21%3Dweb"
               "&fieldSelector=spec.nodeName%3Dn1&container=app&previous=true"
               "&sinceTime=1970-01-01T00%3A00%3A00.000000005Z&untilTime=1970-01-01T00%3A00%3A01.000000000Z"
               "&tailLines=0&stream=Stderr&match=a%20b&match=%26&regex=x%2B"));
}

/* What is asked for after a break: all runs from a time on, of the same pod, and no tail. */
static void
makes_urls_that_go_on(void)
{
    struct lp_logs_target target = {NULL, "api-0"};
    struct lp_logs q = {.ns = "shop",
                        .targets = &target,
                        .ntargets = 1,
                        .since_ns = 7,
                        .until_ns = LP_TIME_NONE,
                        .tail = 10,
                        .follow = true};
    struct lp_logs_again again = {9, LP_STR("u-1")};
    CU_ASSERT(url_is(&q, &again, false,
                     "/api/v1/namespaces/shop/log?format=json&target=api-0&restart=all&uid=u-1"
                     "&sinceTime=1970-01-01T00%3A00%3A00.000000009Z&follow=true"));
    q.restart = "3";
    q.uid = "u-2";
    CU_ASSERT(url_is(&q, &again, false,
                     "/api/v1/namespaces/shop/log?format=json&target=api-0&restart=3&uid=u-2"
                     "&sinceTime=1970-01-01T00%3A00%3A00.000000009Z&follow=true"));
    q.restart = q.uid = NULL;
    again = (struct lp_logs_again){LP_TIME_NONE, LP_STR("")}; /* nothing was shown: the same again */
    CU_ASSERT(url_is(&q, &again, false,
                     "/api/v1/namespaces/shop/log?format=json&target=api-0"
                     "&sinceTime=1970-01-01T00%3A00%3A00.000000007Z&tailLines=10&follow=true"));
}

/* --- breaks --- */

#define S LP_NS_PER_S
#define NOW (INT64_C(1767323045) * S)

static struct lp_logs_line
line_at(int64_t ns, const char *pod, const char *text)
{
    return (struct lp_logs_line){lp_str_c(pod), LP_STR("app"), LP_STR("stdout"), lp_str_c(text), ns};
}

static bool
takes(struct lp_logs_seen *s, int64_t ns, const char *pod, const char *text)
{
    struct lp_logs_line l = line_at(ns, pod, text);
    return lp_logs_seen_take(s, &l);
}

static void
leaves_out_what_was_shown(void)
{
    struct lp_logs_seen *s = lp_logs_seen_new(LP_TIME_NONE);
    CU_ASSERT_EQUAL(lp_logs_seen_broke(s, NOW), LP_TIME_NONE);
    CU_ASSERT(takes(s, NOW - 2 * S, "a", "one"));
    CU_ASSERT(takes(s, NOW - S, "a", "twice"));
    CU_ASSERT(takes(s, NOW - S, "a", "twice")); /* a line that is there twice is shown twice */
    CU_ASSERT_EQUAL(lp_logs_seen_broke(s, NOW), NOW - 2 * S);
    CU_ASSERT(!takes(s, NOW - 2 * S, "a", "one"));
    CU_ASSERT(!takes(s, NOW - S, "a", "twice"));
    CU_ASSERT(!takes(s, NOW - S, "a", "twice"));
    CU_ASSERT(takes(s, NOW - S, "a", "twice"));       /* a third one came meanwhile */
    CU_ASSERT(takes(s, NOW - S, "b", "twice"));       /* of another pod */
    CU_ASSERT(takes(s, NOW - 2 * S + 1, "a", "one")); /* at another time; it came late */
    CU_ASSERT_EQUAL(lp_logs_seen_broke(s, NOW), NOW - 2 * S);
    CU_ASSERT(!takes(s, NOW - S, "b",
                     "twice")); /* what came behind the first break is remembered behind the second */
    CU_ASSERT(!takes(s, NOW - 2 * S, "a", "one"));
    lp_logs_seen_free(s);
}

static void
goes_back_some_minutes(void)
{
    struct lp_logs_seen *s = lp_logs_seen_new(LP_TIME_NONE);
    CU_ASSERT(takes(s, NOW - 3600 * S, "a", "old"));
    CU_ASSERT(takes(s, NOW - 10 * S, "a", "new"));
    CU_ASSERT_EQUAL(lp_logs_seen_broke(s, NOW), NOW - 310 * S);
    CU_ASSERT(takes(s, NOW + 1000000 * S, "a", "a clock that is wrong"));
    CU_ASSERT_EQUAL(lp_logs_seen_broke(s, NOW), NOW - 300 * S);
    lp_logs_seen_free(s);
    /* --tail 0: nothing of before is wanted, whatever came */
    s = lp_logs_seen_new(NOW);
    CU_ASSERT_EQUAL(lp_logs_seen_broke(s, NOW + 60 * S), NOW);
    CU_ASSERT(takes(s, NOW + 70 * S, "a", "x"));
    CU_ASSERT_EQUAL(lp_logs_seen_broke(s, NOW + 80 * S), NOW);
    lp_logs_seen_free(s);
}

/* What was not shown the first time, because it is of an earlier run or was cut off by --tail, is not shown
 * now. */
static void
does_not_show_what_was_not_wanted(void)
{
    struct lp_logs_seen *s = lp_logs_seen_new(LP_TIME_NONE);
    CU_ASSERT(takes(s, NOW - 100 * S, "a", "a's newest run begins"));
    CU_ASSERT(takes(s, NOW - 50 * S, "b", "b's newest run begins"));
    CU_ASSERT_EQUAL(lp_logs_seen_broke(s, NOW), NOW - 100 * S);
    CU_ASSERT(!takes(s, NOW - 60 * S, "b", "the run before ended"));
    CU_ASSERT(takes(s, NOW - 60 * S, "a", "of this one it is wanted"));
    CU_ASSERT(takes(s, NOW - 60 * S, "c", "a pod that was not there"));
    CU_ASSERT(
        takes(s, NOW - 500 * S, "b", "very late")); /* older than what was asked for: it has just arrived */
    lp_logs_seen_free(s);
}

/* More lines than can be remembered: it goes on behind those that were forgotten. */
static void
forgets_the_oldest(void)
{
    enum { LINES = (1 << 20) + 1000 };
    struct lp_logs_seen *s = lp_logs_seen_new(LP_TIME_NONE);
    size_t first = 0, again = 0;
    for (int64_t i = 0; i < LINES; i++) {
        first += takes(s, NOW + i * 1000, "a", "x");
    }
    CU_ASSERT_EQUAL(first, LINES);
    int64_t since_ns = lp_logs_seen_broke(s, NOW + S * 10);
    CU_ASSERT_EQUAL(since_ns, NOW + 999 * 1000 + 1);
    for (int64_t i = 1000; i < LINES; i++) {
        again += takes(s, NOW + i * 1000, "a", "x");
    }
    CU_ASSERT_EQUAL(again, 0);
    CU_ASSERT(takes(s, NOW + LINES * INT64_C(1000), "a", "x"));
    lp_logs_seen_free(s);
}

/* Lines of some pods that arrive up to two minutes late, few different texts and times, and a connection that
 * breaks: after the last one each line was shown as often as it arrived. */
static void
loses_and_repeats_nothing(void)
{
    enum { LINES = 3000 };
    static const char *const pods[] = {"a", "b", "c"}, *const texts[] = {"x", "y"};
    struct lp_logs_line *lines = lp_calloc(LINES, sizeof(*lines));
    for (uint64_t seed = 1; seed <= 40; seed++) {
        uint64_t rnd = seed;
        size_t sent = 0, total = 0;
        struct lp_logs_seen *s = lp_logs_seen_new(LP_TIME_NONE);
        lines[0] = line_at(NOW - 300 * S, "a", "first"); /* so that nothing is older than the first line */
        for (size_t i = 1; i < LINES; i++) {
            int64_t ns = NOW + (int64_t)(i / 5) * S - (int64_t)lp_test_below(&rnd, 120) * S;
            lines[i] = line_at(ns, pods[lp_test_below(&rnd, 3)], texts[lp_test_below(&rnd, 2)]);
        }
        lines[1].time_ns = lines[2].time_ns = lines[3].time_ns = lines[0].time_ns;
        lines[1].pod = LP_STR("b");
        lines[2].pod = LP_STR("c");
        for (size_t arrived = 1; arrived < LINES; arrived += lp_test_below(&rnd, 200)) {
            bool broken = lp_test_below(&rnd, 4) == 0 && sent > 0;
            if (broken) {
                int64_t since_ns = lp_logs_seen_broke(s, NOW + S * LINES);
                for (size_t i = 0; i < arrived; i++) {
                    total += lines[i].time_ns >= since_ns && lp_logs_seen_take(s, &lines[i]);
                }
                sent = arrived;
            }
            bool lost = lp_test_below(&rnd, 3) == 0; /* what arrives is not seen before the next break */
            for (; sent < arrived && !lost; sent++) {
                total += lp_logs_seen_take(s, &lines[sent]);
            }
        }
        int64_t since_ns = lp_logs_seen_broke(s, NOW + S * LINES);
        for (size_t i = 0; i < LINES; i++) {
            total += lines[i].time_ns >= since_ns && lp_logs_seen_take(s, &lines[i]);
        }
        CU_ASSERT_EQUAL(total, LINES);
        lp_logs_seen_free(s);
    }
    lp_free(lines);
}

/* --- objects --- */

static void
parsed(struct lp_json_parser *p, const char *text, struct lp_buf *kept, struct lp_json_doc *ret)
{
    lp_buf_init(kept, 1 << 16);
    lp_buf_c(kept, text);
    CU_ASSERT_EQUAL_FATAL(lp_json_parse(p, lp_buf_view(kept), ret, NULL), LP_OK);
}

static void
reads_pods(void)
{
    static const char text[] =
        "{\"metadata\":{\"annotations\":{\"logpond.io/earlier-uids\":\"u2,u1\",\"logpond.io/"
        "last-line\":\"1970-01-01T00:00:07.000000001Z\"}},"
        "\"status\":{\"initContainerStatuses\":[{\"name\":\"init\",\"restartCount\":0}],"
        "\"containerStatuses\":[{\"name\":\"app\",\"restartCount\":3},{\"name\":\"side\",\"restartCount\":1},"
        "5,{}]}}";
    struct lp_json_parser *p = lp_json_parser_new();
    struct lp_json_doc doc;
    struct lp_logs_pod pod;
    struct lp_buf kept;
    parsed(p, text, &kept, &doc);
    lp_logs_pod_read(&doc, NULL, &pod);
    CU_ASSERT_EQUAL(pod.containers, 5);
    CU_ASSERT_EQUAL(pod.restarts, 3);
    CU_ASSERT_EQUAL(pod.last_ns, 7 * S + 1);
    CU_ASSERT_STRING_EQUAL(pod.earlier, "u2");
    lp_logs_pod_read(&doc, "side", &pod);
    CU_ASSERT(pod.containers == 1 && pod.restarts == 1 && pod.last_ns == 7 * S + 1);
    lp_buf_clear(&kept);
    parsed(p, "[5]", &kept, &doc);
    lp_logs_pod_read(&doc, NULL, &pod);
    CU_ASSERT(pod.containers == 0 && pod.restarts == 0 && pod.last_ns == LP_TIME_NONE);
    CU_ASSERT_STRING_EQUAL(pod.earlier, "");
    lp_buf_clear(&kept);
    lp_json_parser_free(p);
}

static void
finds_namespaces(void)
{
    static const struct {
        const char *list, *text, *first; /* text NULL: none */
    } cases[] = {
        {"{\"items\":[{\"metadata\":{\"namespace\":\"shop\"}}]}", "namespace shop", "shop"},
        {"{\"items\":[{\"metadata\":{\"namespace\":\"b\"}},{\"metadata\":{\"namespace\":\"b\"}},{"
         "\"metadata\":{\"namespace\":\"a\"}}]}",
         "namespaces b, a", "b"},
        {"{\"items\":[]}", NULL, NULL},
        {"{\"items\":[{},{\"metadata\":5},7]}", NULL, NULL},
        {"{}", NULL, NULL},
        {"5", NULL, NULL},
    };
    struct lp_json_parser *p = lp_json_parser_new();
    for (size_t i = 0; i < LP_ARRAY_LEN(cases); i++) {
        struct lp_json_doc doc;
        struct lp_buf kept, out;
        struct lp_str first = LP_STR_NULL;
        lp_buf_init(&out, 1000);
        parsed(p, cases[i].list, &kept, &doc);
        CU_ASSERT_EQUAL(lp_logs_namespaces(&doc, &out, &first), cases[i].text != NULL);
        CU_ASSERT(cases[i].text == NULL || lp_str_eqc(lp_buf_view(&out), cases[i].text));
        CU_ASSERT(cases[i].first == NULL || lp_str_eqc(first, cases[i].first));
        lp_buf_clear(&kept);
        lp_buf_clear(&out);
    }
    lp_json_parser_free(p);
}

/* --- kubeconfig --- */

static void
writes_kubeconfigs(void)
{
    static const char want[] = "apiVersion: v1\n"
                               "kind: Config\n"
                               "current-context: pond\n"
                               "clusters:\n"
                               "- name: pond\n"
                               "  cluster:\n"
                               "    server: \"http://logs.example:3100/x\"\n"
                               "contexts:\n"
                               "- name: pond\n"
                               "  context:\n"
                               "    cluster: pond\n"
                               "    user: pond\n"
                               "users:\n"
                               "- name: pond\n"
                               "  user: {}\n";
    static const struct {
        const char *server, *name, *address; /* address NULL: refused */
    } cases[] = {
        {"127.0.0.1:3100", "logpond", "server: \"http://127.0.0.1:3100\"\n"},
        {"https://logs.example/", "a.b-c_9", "server: \"https://logs.example\"\n"},
        {"http://[::1]:1", "x", "server: \"http://[::1]:1\"\n"},
        {"ftp://x", "x", NULL},
        {"https://", "x", NULL},
        {"http://a\"b\\", "x", "server: \"http://a\\\"b\\\\\"\n"},
        {"http://x", "", NULL},
        {"http://x", "a b", NULL},
        {"http://x", "9", NULL},
        {"http://x", "a:\n- b", NULL},
    };
    struct lp_buf out;
    lp_buf_init(&out, 1 << 16);
    CU_ASSERT_EQUAL(lp_kubeconfig_put(&out, "http://logs.example:3100/x/", "pond", NULL), LP_OK);
    struct lp_str rest = lp_buf_view(&out);
    while (rest.n > 0 && rest.p[0] == '#') {
        (void)lp_str_cut(&rest, '\n');
    }
    CU_ASSERT(lp_str_eqc(rest, want));
    for (size_t i = 0; i < LP_ARRAY_LEN(cases); i++) {
        struct lp_err err;
        lp_buf_reset(&out);
        lp_rc rc = lp_kubeconfig_put(&out, cases[i].server, cases[i].name, &err);
        CU_ASSERT_EQUAL(rc == LP_OK, cases[i].address != NULL);
        CU_ASSERT(cases[i].address == NULL ||
                  lp_str_find(lp_buf_view(&out), lp_str_c(cases[i].address)) != SIZE_MAX);
    }
    lp_buf_clear(&out);
}

LP_SUITE(logs, {"reads targets", reads_targets}, {"makes URLs", makes_urls},
         {"makes URLs that go on", makes_urls_that_go_on},
         {"leaves out what was shown", leaves_out_what_was_shown},
         {"goes back some minutes", goes_back_some_minutes},
         {"does not show what was not wanted", does_not_show_what_was_not_wanted},
         {"forgets the oldest", forgets_the_oldest}, {"loses and repeats nothing", loses_and_repeats_nothing},
         {"reads pods", reads_pods}, {"finds namespaces", finds_namespaces},
         {"writes kubeconfigs", writes_kubeconfigs});
