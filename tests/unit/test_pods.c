/*
 * test_pods.c - pods out of streams: names, uids, runs, labels, owners; page by page, in memory and sealed.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "query/pods.h"
#include "tests/unit/store_fixture.h"

#define BASE (INT64_C(1795132800) * LP_NS_PER_S)

struct world {
    struct lp_store *st;
    uint64_t next_position;
};

struct told {
    const char *ns, *pod, *container, *uid, *run;
    int64_t time_s; /* after BASE */
    struct lp_pair meta[4];
    struct lp_pair label; /* of the stream */
};

static void
put(struct world *w, const struct told *v, size_t n)
{
    struct lp_batch *b = lp_batch_new(LP_STR_NULL, SIZE_MAX, 64 * n);
    b->received_ns = BASE;
    for (size_t i = 0; i < n; i++) {
        const struct told *t = &v[i];
        uint32_t stream;
        size_t nmeta = 0;
        const struct lp_instance inst = {lp_str_c(t->uid ? t->uid : ""), lp_str_c(t->run ? t->run : "")};
        struct lp_pair labels[] = {{LP_STR("namespace"), lp_str_c(t->ns)},
                                   {LP_STR("pod"), lp_str_c(t->pod)},
                                   {LP_STR("container"), lp_str_c(t->container)},
                                   t->label};
        while (nmeta < LP_ARRAY_LEN(t->meta) && t->meta[nmeta].name.n > 0) {
            nmeta++;
        }
        lp_rc rc = lp_batch_stream(b, labels, t->label.name.n > 0 ? 4 : 3, &inst, &stream, NULL);
        CU_ASSERT_EQUAL_FATAL(rc, LP_OK);
        rc = lp_batch_add(b, stream, BASE + t->time_s * LP_NS_PER_S, LP_STR("a line"), false, t->meta, nmeta,
                          NULL);
        CU_ASSERT_EQUAL_FATAL(rc, LP_OK);
    }
    lp_batch_finish(b);
    CU_ASSERT_EQUAL_FATAL(lp_put(w->st, b, w->next_position++), LP_OK);
}

static void
seal(struct world *w)
{
    CU_ASSERT_EQUAL_FATAL(lp_store_seal(w->st, lp_mono_ns() + 60 * LP_NS_PER_S, NULL), LP_OK);
}

static struct world
open_world(void)
{
    struct world w = {NULL, 0};
    CU_ASSERT_EQUAL_FATAL(lp_open_store(lp_test_dir(), NULL, 8u << 20, &w.st, NULL), LP_OK);
    return w;
}

static struct lp_pods_query
query(const struct world *w, const char *ns, const char *name)
{
    return (struct lp_pods_query){.store = w->st,
                                  .ns = lp_str_c(ns),
                                  .name = lp_str_c(name),
                                  .from_ns = LP_TIME_MIN,
                                  .to_ns = LP_TIME_MAX,
                                  .limit = 100,
                                  .budget_bytes = 64u << 20,
                                  .deadline_ns = INT64_MAX};
}

static struct lp_pods
find(const struct lp_pods_query *q)
{
    struct lp_pods p;
    CU_ASSERT_EQUAL_FATAL(lp_pods_find(q, &p, NULL), LP_OK);
    return p;
}

static bool
is(struct lp_str s, const char *text)
{
    return lp_str_eqc(s, text);
}

/* What agents tell of a pod, whether its lines are in memory or sealed. */
static void
test_facts(void)
{
    static const struct told lines[] = {
        {"shop",
         "api-7d4b9c6f5-x2x4k",
         "api",
         "u1",
         "c1",
         10,
         {LP_TEST_PAIR("kubernetes_container_image", "api:1"),
          LP_TEST_PAIR("kubernetes_labels_app_kubernetes_io_part_of", "shop"),
          LP_TEST_PAIR("kubernetes_labels_tier", "web"), LP_TEST_PAIR("trace_id", "t1")},
         LP_TEST_PAIR("app", "api")},
        {"shop",
         "api-7d4b9c6f5-x2x4k",
         "sidecar",
         "u1",
         "c2",
         12,
         {LP_TEST_PAIR("kubernetes_container_image", "envoy:2")},
         LP_TEST_PAIR("node", "n1")},
    };
    for (int sealed = 0; sealed < 2; sealed++) {
        struct world w = open_world();
        put(&w, lines, LP_ARRAY_LEN(lines));
        if (sealed) {
            seal(&w);
        }
        for (int by_name = 0; by_name < 2; by_name++) {
            struct lp_pods_query q = query(&w, by_name ? "shop" : "", by_name ? lines[0].pod : "");
            struct lp_pods p = find(&q);
            CU_ASSERT_EQUAL_FATAL(p.n, 1);
            const struct lp_pod *v = &p.v[0];
            CU_ASSERT(is(v->ns, "shop") && is(v->name, lines[0].pod) && is(v->uid, "u1") &&
                      is(v->node, "n1"));
            CU_ASSERT_EQUAL(v->nlabels, 3);
            CU_ASSERT(is(lp_pod_label(v, LP_STR("app")), "api") &&
                      is(lp_pod_label(v, LP_STR("tier")), "web"));
            CU_ASSERT(is(lp_pod_label(v, LP_STR("app.kubernetes.io/part-of")), "shop"));
            CU_ASSERT(is(v->labels[1].name, "app.kubernetes.io/part-of"));
            CU_ASSERT(is(v->owner.kind, "ReplicaSet") && is(v->owner.name, "api-7d4b9c6f5"));
            CU_ASSERT(is(v->top.kind, "Deployment") && is(v->top.name, "api"));
            CU_ASSERT_EQUAL_FATAL(v->ncontainers, 2);
            CU_ASSERT(is(v->containers[0].name, "api") && is(v->containers[0].image, "api:1"));
            CU_ASSERT(is(v->containers[1].name, "sidecar") && is(v->containers[1].image, "envoy:2"));
            CU_ASSERT_EQUAL(v->first_ns, BASE + 10 * LP_NS_PER_S);
            CU_ASSERT_EQUAL(v->last_ns, BASE + 12 * LP_NS_PER_S);
            lp_pods_clear(&p);
        }
        lp_store_free(w.st);
    }
}

/* What is learned later is added, from sealed lines and from those in memory. */
static void
test_learning(void)
{
    static const struct told first[] = {{"ns",
                                         "p",
                                         "c",
                                         "u",
                                         "1",
                                         50,
                                         {LP_TEST_PAIR("kubernetes_labels_a", "1")},
                                         {LP_STR_NULL, LP_STR_NULL}}};
    static const struct told second[] = {
        {"ns",
         "p",
         "c",
         "u",
         "1",
         40,
         {LP_TEST_PAIR("kubernetes_labels_b", "2"), LP_TEST_PAIR("kubernetes_pod_owner", "DaemonSet/d")},
         {LP_STR_NULL, LP_STR_NULL}}};
    static const struct told third[] = {{"ns",
                                         "p",
                                         "c",
                                         "u",
                                         "1",
                                         60,
                                         {LP_TEST_PAIR("kubernetes_labels_a", "3")},
                                         {LP_STR_NULL, LP_STR_NULL}}};
    struct world w = open_world();
    struct lp_pods_query q = query(&w, "ns", "p");
    put(&w, first, 1);
    seal(&w);
    put(&w, second, 1);
    for (int sealed = 0; sealed < 2; sealed++) {
        struct lp_pods p = find(&q);
        CU_ASSERT_EQUAL_FATAL(p.n, 1);
        CU_ASSERT(is(lp_pod_label(&p.v[0], LP_STR("a")), "1") && is(lp_pod_label(&p.v[0], LP_STR("b")), "2"));
        CU_ASSERT(is(p.v[0].owner.kind, "DaemonSet") && is(p.v[0].top.name, "d"));
        lp_pods_clear(&p);
        seal(&w);
    }
    put(&w, third, 1);
    seal(&w);
    struct lp_pods p = find(&q);
    CU_ASSERT(is(lp_pod_label(&p.v[0], LP_STR("a")), "3") && is(lp_pod_label(&p.v[0], LP_STR("b")), "2"));
    CU_ASSERT_EQUAL(p.v[0].first_ns, BASE + 40 * LP_NS_PER_S);
    lp_pods_clear(&p);
    lp_store_free(w.st);
}

/* Two pods of one name: the newest counts, and has the lines without a uid. */
static void
test_uids(void)
{
    static const struct told lines[] = {
        {"ns", "web-0", "c", "old", "1", 10, {{LP_STR_NULL, LP_STR_NULL}}, {LP_STR_NULL, LP_STR_NULL}},
        {"ns", "web-0", "c", "new", "2", 30, {{LP_STR_NULL, LP_STR_NULL}}, {LP_STR_NULL, LP_STR_NULL}},
        {"ns", "web-0", "c", "", "3", 40, {{LP_STR_NULL, LP_STR_NULL}}, {LP_STR_NULL, LP_STR_NULL}},
    };
    struct world w = open_world();
    put(&w, lines, LP_ARRAY_LEN(lines));
    for (int sealed = 0; sealed < 2; sealed++) {
        struct lp_pods_query q = query(&w, "ns", "web-0");
        struct lp_pods p = find(&q);
        CU_ASSERT_EQUAL_FATAL(p.n, 1);
        CU_ASSERT(is(p.v[0].uid, "new") && p.v[0].nearlier == 1 && is(p.v[0].earlier[0], "old"));
        CU_ASSERT(is(p.v[0].owner.kind, "StatefulSet") && is(p.v[0].owner.name, "web"));
        CU_ASSERT_EQUAL(p.v[0].containers[0].nruns, 2);
        lp_pods_clear(&p);
        q.uid = LP_STR("old");
        p = find(&q);
        CU_ASSERT_EQUAL_FATAL(p.n, 1);
        CU_ASSERT(is(p.v[0].uid, "old") && p.v[0].nearlier == 0 && p.v[0].containers[0].nruns == 1);
        lp_pods_clear(&p);
        q.uid = LP_STR("none");
        p = find(&q);
        CU_ASSERT_EQUAL(p.n, 0);
        lp_pods_clear(&p);
        seal(&w);
    }
    lp_store_free(w.st);
}

/* A crash loop: container ids are random, and runs follow each other within a second of a long day. */
static void
test_runs(void)
{
    static const char *const ids[] = {"f0", "03", "a9", "55", "12", "e7", "2b", "c4", "90", "6d", "b1", "48"};
    struct world w = open_world();
    struct told lines[LP_ARRAY_LEN(ids) + 2];
    memset(lines, 0, sizeof(lines));
    for (size_t i = 0; i < LP_ARRAY_LEN(ids); i++) {
        lines[i] = (struct told){.ns = "ns",
                                 .pod = "p",
                                 .container = "c",
                                 .uid = "u",
                                 .run = ids[i],
                                 .time_s = 40000 + (int64_t)i};
    }
    lines[LP_ARRAY_LEN(ids)] =
        (struct told){.ns = "ns", .pod = "long", .container = "c", .uid = "v", .run = "1", .time_s = 0};
    lines[LP_ARRAY_LEN(ids) + 1] =
        (struct told){.ns = "ns", .pod = "long", .container = "c", .uid = "v", .run = "1", .time_s = 86000};
    put(&w, lines, LP_ARRAY_LEN(lines));
    for (int sealed = 0; sealed < 2; sealed++) {
        struct lp_pods_query q = query(&w, "ns", "p");
        struct lp_pods p = find(&q);
        CU_ASSERT_EQUAL_FATAL(p.n, 1);
        CU_ASSERT_EQUAL_FATAL(p.v[0].containers[0].nruns, LP_ARRAY_LEN(ids));
        for (size_t i = 0; i < LP_ARRAY_LEN(ids); i++) {
            const struct lp_pod_run *r = &p.v[0].containers[0].runs[i];
            CU_ASSERT(is(r->id, ids[i]) && r->number == i);
        }
        lp_pods_clear(&p);
        seal(&w);
    }
    lp_store_free(w.st);
}

static bool
wants_even(void *arg, const struct lp_pod *p)
{
    (void)arg;
    return is(lp_pod_label(p, LP_STR("even")), "yes");
}

/* Pages of three, behind each other: every pod once, in order; some of them in memory, some sealed, some
 * both. */
static void
test_pages(void)
{
    struct world w = open_world();
    char names[60][16];
    for (int i = 0; i < 60; i++) {
        snprintf(names[i], sizeof(names[i]), "p-%02d", (i * 37) % 60);
        struct told t = {.ns = i % 3 == 0 ? "b" : "a",
                         .pod = names[i],
                         .container = "c",
                         .uid = "u",
                         .run = "1",
                         .time_s = i};
        if (i % 2 == 0) {
            t.meta[0] = (struct lp_pair){LP_STR("kubernetes_labels_even"), LP_STR("yes")};
        }
        put(&w, &t, 1);
        if (i == 30) {
            seal(&w);
        }
        if (i % 10 == 9) {
            put(&w, &t, 1);
        }
    }
    for (int even = 0; even < 2; even++) {
        struct lp_pods_query q = query(&w, "", "");
        char last[64] = "";
        char ns[16] = "", name[16] = "";
        size_t n = 0;
        bool more = true;
        q.limit = 3;
        q.wants = even ? wants_even : NULL;
        while (more) {
            struct lp_pods p = find(&q);
            CU_ASSERT(p.n <= 3);
            for (size_t i = 0; i < p.n; i++, n++) {
                char at[64];
                snprintf(at, sizeof(at), "%.*s/%.*s", (int)p.v[i].ns.n, p.v[i].ns.p, (int)p.v[i].name.n,
                         p.v[i].name.p);
                CU_ASSERT(strcmp(last, at) < 0);
                memcpy(last, at, sizeof(last));
            }
            more = p.more;
            snprintf(ns, sizeof(ns), "%.*s", (int)p.next_ns.n, p.next_ns.n > 0 ? p.next_ns.p : "");
            snprintf(name, sizeof(name), "%.*s", (int)p.next_name.n, p.next_name.n > 0 ? p.next_name.p : "");
            q.after_ns = lp_str_c(ns);
            q.after_name = lp_str_c(name);
            lp_pods_clear(&p);
        }
        CU_ASSERT_EQUAL(n, even ? 30 : 60);
    }
    struct lp_pods_query q = query(&w, "b", "");
    struct lp_pods p = find(&q);
    CU_ASSERT_EQUAL(p.n, 20);
    lp_pods_clear(&p);
    q.prefix = LP_STR("p-0");
    p = find(&q);
    CU_ASSERT(p.n > 0 && p.n < 20 && lp_str_starts(p.v[p.n - 1].name, LP_STR("p-0")));
    lp_pods_clear(&p);
    q = query(&w, "", ""); /* by time: those with lines in it */
    q.from_ns = BASE + 50 * LP_NS_PER_S;
    p = find(&q);
    CU_ASSERT_EQUAL(p.n, 10);
    lp_pods_clear(&p);
    struct lp_names spaces;
    CU_ASSERT_EQUAL_FATAL(lp_pods_namespaces(&q, &spaces, NULL), LP_OK);
    CU_ASSERT(spaces.n == 2 && is(spaces.v[0], "a") && is(spaces.v[1], "b"));
    lp_names_clear(&spaces);
    lp_store_free(w.st);
}

static void
test_owners(void)
{
    static const struct {
        const char *pod, *kind, *name, *top_kind, *top;
    } cases[] = {
        {"api-7d4b9c6f5-x2x4k", "ReplicaSet", "api-7d4b9c6f5", "Deployment", "api"},
        {"my-app-5f6c9bd4d7-9vqzt", "ReplicaSet", "my-app-5f6c9bd4d7", "Deployment", "my-app"},
        {"storefront-api-7d4b9c6f5-aaaaa", "ReplicaSet", "storefront-api-7d4b9c6f5", "Deployment",
         "storefront-api"},
        {"db-0", "StatefulSet", "db", "StatefulSet", "db"},
        {"agent-x7k2p", "DaemonSet", "agent", "DaemonSet", "agent"},
        {"backup-28391040-b4x9z", "Job", "backup-28391040", "CronJob", "backup"},
        {"alone", "", "", "", ""},
        {"two-words", "", "", "", ""},
        {"-x7k2p", "", "", "", ""},
    };
    for (size_t i = 0; i < LP_ARRAY_LEN(cases); i++) {
        struct world w = open_world();
        const struct told t = {.ns = "ns", .pod = cases[i].pod, .container = "c"};
        put(&w, &t, 1);
        struct lp_pods_query q = query(&w, "ns", "");
        struct lp_pods p = find(&q);
        CU_ASSERT_EQUAL_FATAL(p.n, 1);
        CU_ASSERT(is(p.v[0].owner.kind, cases[i].kind) && is(p.v[0].owner.name, cases[i].name));
        CU_ASSERT(is(p.v[0].top.kind, cases[i].top_kind) && is(p.v[0].top.name, cases[i].top));
        lp_pods_clear(&p);
        lp_store_free(w.st);
    }
}

LP_SUITE(pods, {"what agents tell", test_facts}, {"what is learned later", test_learning},
         {"two pods of one name", test_uids}, {"runs that lie close together", test_runs},
         {"page by page", test_pages}, {"who made a pod", test_owners});
