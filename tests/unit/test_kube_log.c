/*
 * test_kube_log.c - parameters of logs, which streams they want of a pod, and their lines. Oracle: by hand.
 */
#include "server/kube_log.h"
#include "tests/unit/kube_fixture.h"
#include "tests/unit/unit.h"

#define PARAMS_MAX 8

struct asked {
    struct lp_arena ar;
    struct lp_kube_log_ask ask;
    struct lp_kube_fault fault;
    bool ok;
};

/* text: "name=value&name=value", without escapes. */
static struct asked
asked(const char *text, bool several)
{
    struct asked a = {.ok = false};
    struct lp_pair params[PARAMS_MAX];
    size_t n = 0;
    struct lp_str rest = lp_str_c(text);
    while (rest.n > 0 && n < PARAMS_MAX) {
        struct lp_str value = lp_str_cut(&rest, '&');
        params[n].name = lp_str_cut(&value, '=');
        params[n++].value = value.p != NULL ? value : LP_STR("");
    }
    lp_arena_init(&a.ar, 1 << 20, 0);
    a.ok = lp_kube_log_params(params, n, LP_STR("p"), several, LP_KUBE_NOW, &a.ar, &a.ask, &a.fault);
    return a;
}

static void
reads_parameters(void)
{
    struct asked a =
        asked("container=c&follow=true&previous=false&timestamps=1&sinceSeconds=60&tailLines=7", false);
    CU_ASSERT_FATAL(a.ok);
    CU_ASSERT(lp_str_eqc(a.ask.container, "c") && a.ask.follow && !a.ask.previous && a.ask.timestamps);
    CU_ASSERT_EQUAL(a.ask.from_ns, LP_KUBE_NOW - 60 * LP_NS_PER_S);
    CU_ASSERT_EQUAL(a.ask.to_ns, LP_TIME_MAX);
    CU_ASSERT_EQUAL(a.ask.tail, 7);
    CU_ASSERT_EQUAL(a.ask.limit_bytes, UINT64_MAX);
    lp_arena_clear(&a.ar);
    a = asked("sinceTime=2026-01-02T04:04:05%2B01:00", false); /* not decoded: this is no time */
    CU_ASSERT_FALSE(a.ok);
    lp_arena_clear(&a.ar);
    a = asked("sinceTime=2026-01-02T04:04:05.5+01:00&untilTime=2026-01-02T04:00:00Z&limitBytes=1&restart=3",
              false);
    CU_ASSERT_FATAL(a.ok);
    CU_ASSERT_EQUAL(a.ask.from_ns, LP_KUBE_NOW + LP_NS_PER_S / 2);
    CU_ASSERT(a.ask.one_run && a.ask.run == 3 && a.ask.limit_bytes == 1);
    lp_arena_clear(&a.ar);
    a = asked("match=a&match=b&match=&regex=c&stream=Stderr&format=json&restart=all&prefix=", false);
    CU_ASSERT_FATAL(a.ok);
    CU_ASSERT(a.ask.ncontains == 2 && a.ask.nregexes == 1 && lp_str_eqc(a.ask.stream, "stderr"));
    CU_ASSERT(a.ask.json && a.ask.all_runs && a.ask.prefix && a.ask.tail == LP_PODLOG_ALL);
    lp_arena_clear(&a.ar);
    a = asked("sinceSeconds=9223372036854775807", false);
    CU_ASSERT(a.ok && a.ask.from_ns == LP_TIME_MIN);
    lp_arena_clear(&a.ar);
    a = asked("target=x&target=deploy/y&tailLines=3&stream=Stdout", true);
    CU_ASSERT(a.ok && a.ask.ntargets == 2);
    lp_arena_clear(&a.ar);
}

static void
refuses_parameters(void)
{
    static const struct {
        const char *text;
        int code;
        const char *message;
    } bad[] = {
        {"tailLines=x", 400, "strconv.ParseInt: parsing \"x\": invalid syntax"},
        {"tailLines=", 400, "strconv.ParseInt: parsing \"\": invalid syntax"},
        {"tailLines=-1", 422,
         "PodLogOptions \"p\" is invalid: tailLines: Invalid value: -1: must be greater than or equal to 0"},
        {"limitBytes=0", 422,
         "PodLogOptions \"p\" is invalid: limitBytes: Invalid value: 0: must be greater than 0"},
        {"sinceSeconds=0", 422,
         "PodLogOptions \"p\" is invalid: sinceSeconds: Invalid value: 0: must be greater than 0"},
        {"sinceSeconds=1&sinceTime=2026-01-02T03:04:05Z", 422,
         "PodLogOptions \"p\" is invalid: : Forbidden: at most one of `sinceTime` or `sinceSeconds` may be "
         "specified"},
        {"sinceTime=yesterday", 400,
         "parsing time \"yesterday\" as \"2006-01-02T15:04:05Z07:00\": cannot parse sinceTime"},
        {"sinceTime=2026-01-02 03:04:05Z", 400,
         "parsing time \"2026-01-02 03:04:05Z\" as \"2006-01-02T15:04:05Z07:00\": cannot parse sinceTime"},
        {"stream=x", 422,
         "PodLogOptions \"p\" is invalid: stream: Unsupported value: \"x\": supported values: \"All\", "
         "\"Stderr\", "
         "\"Stdout\""},
        {"stream=Stdout&tailLines=1", 422,
         "PodLogOptions \"p\" is invalid: : Forbidden: `tailLines` and specific `stream` are mutually "
         "exclusive for "
         "now"},
        {"restart=x", 400, "restart must be the number of a run, or all"},
        {"restart=4294967296", 400, "restart must be the number of a run, or all"},
        {"restart=1&previous=true", 400, "restart does not go with previous"},
        {"restart=all&previous=true", 400, "restart does not go with previous"},
        {"follow=true&untilTime=2026-01-02T03:04:05Z", 400, "untilTime does not go with follow"},
        {"format=xml", 400, "format must be raw or json"},
    };
    for (size_t i = 0; i < LP_ARRAY_LEN(bad); i++) {
        struct asked a = asked(bad[i].text, false);
        CU_ASSERT_FALSE(a.ok);
        CU_ASSERT_EQUAL(a.fault.code, bad[i].code);
        CU_ASSERT(lp_str_eqc(a.fault.message, bad[i].message));
        lp_arena_clear(&a.ar);
    }
    struct asked a = asked("target=foo/x", true);
    CU_ASSERT(!a.ok && a.fault.code == 400);
    lp_arena_clear(&a.ar);
}

static void
knows_targets(void)
{
    static const struct {
        const char *text;
        bool hit;
    } targets[] = {{"target=api-7d4b9c6f5-bbbbb", true},
                   {"target=pod/api-7d4b9c6f5-bbbbb", true},
                   {"target=deploy/api", true},
                   {"target=rs/api-7d4b9c6f5", true},
                   {"target=svc/api", true},
                   {"target=x&target=deployment/api", true},
                   {"", true},
                   {"target=x", false},
                   {"target=deploy/x", false},
                   {"target=sts/api", false}};
    for (size_t i = 0; i < LP_ARRAY_LEN(targets); i++) {
        struct asked a = asked(targets[i].text, true);
        CU_ASSERT(a.ok);
        CU_ASSERT_EQUAL(lp_kube_log_targeted(&a.ask, &lp_kube_test_pod), targets[i].hit);
        lp_arena_clear(&a.ar);
    }
}

/* What an ask wants of the test pod: its first want, or a fault. */
struct picked {
    struct asked a;
    struct lp_kube_wants wants;
    enum lp_kube_picked how;
};

static void
pick(struct picked *p, const char *params, bool several)
{
    p->a = asked(params, several);
    CU_ASSERT_FATAL(p->a.ok);
    p->wants = (struct lp_kube_wants){.ar = &p->a.ar};
    p->how = lp_kube_log_pick(&p->a.ask, &lp_kube_test_pod, true, &p->wants, &p->a.fault);
}

static void
expect_fault(const char *params, const char *message)
{
    struct picked p;
    pick(&p, params, false);
    CU_ASSERT_EQUAL(p.how, LP_KUBE_PICK_FAULT);
    CU_ASSERT_EQUAL(p.a.fault.code, 400);
    CU_ASSERT(lp_str_eqc(p.a.fault.message, message));
    lp_arena_clear(&p.a.ar);
}

static void
picks_runs(void)
{
    struct picked p;
    pick(&p, "container=api", false);
    CU_ASSERT(p.how == LP_KUBE_PICKED && p.wants.n == 1);
    CU_ASSERT(lp_str_eqc(p.wants.v[0].container, "api") && lp_str_eqc(p.wants.v[0].uid, "u-new"));
    CU_ASSERT(p.wants.v[0].uid_or_none && p.wants.v[0].run.n == 0 && p.wants.v[0].nnot_runs == 2);
    CU_ASSERT(lp_str_eqc(p.wants.v[0].not_runs[1], "aa02"));
    lp_arena_clear(&p.a.ar);
    pick(&p, "container=api&previous=true", false);
    CU_ASSERT(p.how == LP_KUBE_PICKED && lp_str_eqc(p.wants.v[0].run, "aa02"));
    lp_arena_clear(&p.a.ar);
    pick(&p, "container=api&restart=0", false);
    CU_ASSERT(p.how == LP_KUBE_PICKED && lp_str_eqc(p.wants.v[0].run, "aa01"));
    CU_ASSERT_FALSE(lp_kube_log_is_newest(&lp_kube_test_pod, &p.wants.v[0]));
    p.wants.v[0].run = LP_STR("aa03");
    CU_ASSERT(lp_kube_log_is_newest(&lp_kube_test_pod, &p.wants.v[0]));
    lp_arena_clear(&p.a.ar);
    pick(&p, "container=api&restart=all", false);
    CU_ASSERT(p.how == LP_KUBE_PICKED && p.wants.v[0].run.n == 0 && p.wants.v[0].nnot_runs == 0);
    lp_arena_clear(&p.a.ar);
    pick(&p, "container=sidecar&previous=true", false);
    CU_ASSERT_EQUAL(p.how, LP_KUBE_PICK_EARLIER);
    lp_arena_clear(&p.a.ar);
    expect_fault(
        "", "a container name must be specified for pod api-7d4b9c6f5-bbbbb, choose one of: [api sidecar]");
    expect_fault("container=x", "container x is not valid for pod api-7d4b9c6f5-bbbbb");
    expect_fault("container=api&restart=7",
                 "restart 7 of container \"api\" in pod \"api-7d4b9c6f5-bbbbb\" not found");
}

static void
picks_a_default_container(void)
{
    struct asked a = asked("", false);
    struct lp_kube_wants wants = {.ar = &a.ar};
    struct lp_pod pod = lp_kube_test_pod;
    pod.default_container = LP_STR("sidecar");
    CU_ASSERT_EQUAL(lp_kube_log_pick(&a.ask, &pod, false, &wants, &a.fault), LP_KUBE_PICKED);
    CU_ASSERT(lp_str_eqc(wants.v[0].container, "sidecar") && !wants.v[0].uid_or_none);
    pod.default_container = LP_STR("none");
    pod.ncontainers = 1;
    CU_ASSERT_EQUAL(lp_kube_log_pick(&a.ask, &pod, true, &wants, &a.fault), LP_KUBE_PICKED);
    CU_ASSERT(lp_str_eqc(wants.v[1].container, "api"));
    lp_arena_clear(&a.ar);
}

static void
picks_of_several(void)
{
    struct picked p;
    pick(&p, "", true);
    CU_ASSERT(p.how == LP_KUBE_PICKED && p.wants.n == 2);
    lp_arena_clear(&p.a.ar);
    pick(&p, "container=x", true);
    CU_ASSERT(p.how == LP_KUBE_PICK_NONE && p.wants.n == 0);
    lp_arena_clear(&p.a.ar);
    pick(&p, "restart=2", true); /* the sidecar has none */
    CU_ASSERT(p.how == LP_KUBE_PICKED && p.wants.n == 1);
    lp_arena_clear(&p.a.ar);
}

/* The sidecar did not restart; the pod that had the name before had one, too. */
static void
picks_of_an_earlier_pod(void)
{
    struct picked p;
    struct lp_pod before = lp_kube_test_pod;
    before.uid = LP_STR("u-old");
    pick(&p, "container=sidecar&previous=true", false);
    CU_ASSERT_EQUAL(lp_kube_log_pick_earlier(&p.a.ask, &lp_kube_test_pod, &before, &p.wants, &p.a.fault),
                    LP_KUBE_PICKED);
    CU_ASSERT(p.wants.n == 1 && lp_str_eqc(p.wants.v[0].uid, "u-old") && !p.wants.v[0].uid_or_none);
    before.ncontainers = 1;
    CU_ASSERT_EQUAL(lp_kube_log_pick_earlier(&p.a.ask, &lp_kube_test_pod, &before, &p.wants, &p.a.fault),
                    LP_KUBE_PICK_FAULT);
    CU_ASSERT(
        lp_str_eqc(p.a.fault.message,
                   "previous terminated container \"sidecar\" in pod \"api-7d4b9c6f5-bbbbb\" not found"));
    lp_arena_clear(&p.a.ar);
    pick(&p, "previous=true", true);
    CU_ASSERT_EQUAL(p.how, LP_KUBE_PICK_EARLIER);
    CU_ASSERT(p.wants.n == 1 && lp_str_eqc(p.wants.v[0].run, "aa02"));
    before.ncontainers = 2;
    CU_ASSERT_EQUAL(lp_kube_log_pick_earlier(&p.a.ask, &lp_kube_test_pod, &before, &p.wants, &p.a.fault),
                    LP_KUBE_PICKED);
    CU_ASSERT(p.wants.n == 2 && lp_str_eqc(p.wants.v[1].container, "sidecar"));
    lp_arena_clear(&p.a.ar);
}

static const struct lp_pair stream_labels[] = {
    LP_TEST_PAIR("container", "api"), LP_TEST_PAIR("namespace", "shop"), LP_TEST_PAIR("node", "node-1"),
    LP_TEST_PAIR("pod", "api-7d4b9c6f5-bbbbb"), LP_TEST_PAIR("stream", "stderr")};

static void
expect_lines(const struct lp_kube_log_ask *ask, const char *incarnation, const char *text)
{
    struct lp_vstream s = {.key = {.labels = (struct lp_pair *)(uintptr_t)stream_labels,
                                   .nlabels = LP_ARRAY_LEN(stream_labels),
                                   .inst = {.uid = LP_STR("u-new"), .incarnation = lp_str_c(incarnation)}}};
    const struct lp_vstream *streams[] = {&s};
    struct lp_found_row rows[] = {{.time_ns = LP_KUBE_NOW, .line = LP_STR("one\r")},
                                  {.time_ns = LP_KUBE_NOW + 6, .line = LP_STR("")}};
    struct lp_found f = {.rows = rows, .n = 2, .streams = streams, .nstreams = 1};
    struct lp_pod pod = lp_kube_test_pod;
    struct lp_pods pods = {.v = &pod, .n = 1};
    struct lp_buf b;
    lp_buf_init(&b, 1 << 20);
    lp_kube_log_lines(&b, ask, &f, &pods);
    CU_ASSERT(lp_str_eqc(lp_buf_view(&b), text));
    lp_buf_clear(&b);
}

#define OBJECT(time, restart, line)                                                                          \
    "{\"time\":\"" time "\",\"namespace\":\"shop\",\"pod\":\"api-7d4b9c6f5-bbbbb\",\"uid\":\"u-new\","       \
    "\"container\":\"api\"" restart ",\"stream\":\"stderr\",\"node\":\"node-1\",\"line\":\"" line "\"}\n"

static void
writes_lines(void)
{
    struct lp_kube_log_ask ask = {.json = false};
    expect_lines(&ask, "aa02", "one\r\n\n");
    ask.timestamps = true;
    expect_lines(&ask, "aa02", "2026-01-02T03:04:05.000000000Z one\r\n2026-01-02T03:04:05.000000006Z \n");
    ask.prefix = true;
    ask.timestamps = false;
    expect_lines(&ask, "aa02", "[pod/api-7d4b9c6f5-bbbbb/api] one\r\n[pod/api-7d4b9c6f5-bbbbb/api] \n");
    ask.json = true;
    expect_lines(&ask, "aa02",
                 OBJECT("2026-01-02T03:04:05.000000000Z", ",\"restart\":1", "one\\r")
                     OBJECT("2026-01-02T03:04:05.000000006Z", ",\"restart\":1", ""));
    expect_lines(&ask, "new", /* a run that is not known yet */
                 OBJECT("2026-01-02T03:04:05.000000000Z", "", "one\\r")
                     OBJECT("2026-01-02T03:04:05.000000006Z", "", ""));
}

LP_SUITE(kube_log, {"reads parameters", reads_parameters}, {"refuses parameters", refuses_parameters},
         {"knows targets", knows_targets}, {"picks runs", picks_runs},
         {"picks a default container", picks_a_default_container}, {"picks of several", picks_of_several},
         {"picks of an earlier pod", picks_of_an_earlier_pod}, {"writes lines", writes_lines});
