/*
 * test_catalog_pod.c - pods in the catalog: found in order, with what was learned of them; made of streams
 * where an earlier format has none.
 */
#include <stdio.h>
#include <string.h>

#include "store/catalog_int.h"
#include "tests/unit/unit.h"

struct seen {
    char text[4096]; /* "ns/name/uid{name=value,...} " for each */
};

static bool
see(void *arg, const struct lp_pod_id *id, const struct lp_pod_facts *facts)
{
    struct seen *s = arg;
    size_t n = strlen(s->text);
    n += (size_t)snprintf(s->text + n, sizeof(s->text) - n, LP_STR_FMT "/" LP_STR_FMT "/" LP_STR_FMT "{",
                          LP_STR_ARG(id->ns), LP_STR_ARG(id->name), LP_STR_ARG(id->uid));
    for (size_t i = 0; i < facts->n; i++) {
        n += (size_t)snprintf(s->text + n, sizeof(s->text) - n, "%s" LP_STR_FMT "=" LP_STR_FMT,
                              i > 0 ? "," : "", LP_STR_ARG(facts->v[i].name), LP_STR_ARG(facts->v[i].value));
    }
    snprintf(s->text + n, sizeof(s->text) - n, "} ");
    return true;
}

static void
check(struct lp_catalog *cat, const struct lp_cat_pods_query *q, const char *want)
{
    struct lp_cat_txn *t;
    struct seen s = {""};
    CU_ASSERT_EQUAL_FATAL(lp_cat_begin(cat, &t, NULL), LP_OK);
    CU_ASSERT_EQUAL(lp_cat_pods(t, q, see, &s, NULL), LP_OK);
    CU_ASSERT_STRING_EQUAL(s.text, want);
    lp_cat_end(t);
}

struct pod {
    struct lp_pod_id id;
    const struct lp_pair *facts;
    size_t nfacts;
};

static void
commit(struct lp_catalog *cat, uint64_t generation, const struct pod *v, size_t n)
{
    struct lp_cat_pod pods[4];
    struct lp_buf text[4];
    for (size_t i = 0; i < n; i++) {
        struct lp_pod_facts f = {.n = 0};
        for (size_t k = 0; k < v[i].nfacts; k++) {
            lp_pod_facts_put(&f, v[i].facts[k].name, v[i].facts[k].value);
        }
        lp_buf_init(&text[i], 1 << 16);
        lp_pod_facts_write(&v[i].id, &f, LP_POD_FACTS_ALL, &text[i]);
        pods[i] = (struct lp_cat_pod){.id = v[i].id, .facts = lp_buf_view(&text[i])};
    }
    struct lp_cat_commit c = {
        .segment = {.generation = generation, .id = generation}, .pods = pods, .npods = n};
    CU_ASSERT_EQUAL_FATAL(lp_catalog_commit(cat, &c, NULL), LP_OK);
    for (size_t i = 0; i < n; i++) {
        lp_buf_clear(&text[i]);
    }
}

static struct lp_catalog *
open_catalog(const char *dir)
{
    struct lp_catalog *cat;
    CU_ASSERT_EQUAL_FATAL(lp_catalog_open(lp_io_posix(), dir, true, &cat, NULL), LP_OK);
    return cat;
}

#define POD(ns, name, uid, facts)                                                                            \
    {                                                                                                        \
        {{ns, sizeof(ns) - 1}, {name, sizeof(name) - 1}, {uid, sizeof(uid) - 1}}, facts, LP_ARRAY_LEN(facts) \
    }

static void
they_are_found_with_what_was_learned(void)
{
    static const struct lp_pair web[] = {LP_TEST_PAIR("label/app", "web"), LP_TEST_PAIR("node", "n1")};
    static const struct lp_pair web_2[] = {LP_TEST_PAIR("label/app", "web"), LP_TEST_PAIR("node", "n2")};
    static const struct lp_pair more[] = {LP_TEST_PAIR("label/app", "web2"), LP_TEST_PAIR("label/tier", "t")};
    static const struct pod first[] = {POD("a", "web-1", "u1", web), POD("a", "web-2", "u2", web_2),
                                       POD("b", "web-1", "u3", web)};
    static const struct pod second[] = {POD("a", "web-1", "u1", more), POD("a", "web-10", "", more)};
    struct lp_catalog *cat = open_catalog(lp_test_dir());
    struct lp_cat_pods_query q = {.nfacts = 0};
    check(cat, &q, "");
    commit(cat, 1, first, 3);
    check(cat, &q,
          "a/web-1/u1{label/app=web,node=n1} a/web-2/u2{label/app=web,node=n2} "
          "b/web-1/u3{label/app=web,node=n1} ");
    commit(cat, 2, second, 2);
    q.ns = LP_STR("a");
    check(cat, &q,
          "a/web-1/u1{label/app=web2,label/tier=t,node=n1} a/web-10/{label/app=web2,label/tier=t} "
          "a/web-2/u2{label/app=web,node=n2} ");
    q.after_ns = LP_STR("a");
    q.after_name = LP_STR("web-1");
    check(cat, &q, "a/web-10/{label/app=web2,label/tier=t} a/web-2/u2{label/app=web,node=n2} ");
    q.ns = LP_STR_NULL;
    q.after_name = LP_STR("web-2");
    check(cat, &q, "b/web-1/u3{label/app=web,node=n1} ");
    q.ns = LP_STR("b");
    check(cat, &q, "b/web-1/u3{label/app=web,node=n1} ");
    q.after_ns = LP_STR("c");
    check(cat, &q, "");
    lp_catalog_close(cat);
}

/* Uids of one name, of which some are UUIDs: they stand in keys otherwise than as text. */
static void
uids_are_kept(void)
{
    static const struct lp_pair f[] = {LP_TEST_PAIR("label/a", "b")};
    static const struct pod pods[] = {
        POD("a", "p", "", f), POD("a", "p", "00000000-0000-4000-8000-00000000000a", f), POD("a", "p", "7", f),
        POD("a", "p", "d9b1c4f0-0000-4000-8000-000000000001", f)};
    struct lp_catalog *cat = open_catalog(lp_test_dir());
    const struct lp_cat_pods_query q = {.nfacts = 0};
    for (uint64_t again = 1; again < 3; again++) {
        commit(cat, again, pods, 4);
        check(cat, &q,
              "a/p/{label/a=b} a/p/00000000-0000-4000-8000-00000000000a{label/a=b} "
              "a/p/d9b1c4f0-0000-4000-8000-000000000001{label/a=b} a/p/7{label/a=b} ");
    }
    lp_catalog_close(cat);
}

/* Those that do not have a fact are passed over; with one of several, too. */
static void
facts_choose(void)
{
    static const struct lp_pair web[] = {LP_TEST_PAIR("label/app", "web"), LP_TEST_PAIR("node", "n1")};
    static const struct lp_pair db[] = {LP_TEST_PAIR("label/app", "db"), LP_TEST_PAIR("node", "n1")};
    static const struct lp_pair none[] = {LP_TEST_PAIR("label/x", "web")};
    static const struct pod pods[] = {POD("a", "d", "u", db), POD("a", "n", "u", none),
                                      POD("a", "w", "u", web)};
    struct lp_catalog *cat = open_catalog(lp_test_dir());
    struct lp_cat_pods_query q = {.facts = web, .nfacts = 2};
    commit(cat, 1, pods, 3);
    check(cat, &q, "a/w/u{label/app=web,node=n1} ");
    q.facts = &web[1];
    q.nfacts = 1;
    check(cat, &q, "a/d/u{label/app=db,node=n1} a/w/u{label/app=web,node=n1} ");
    q.facts = none;
    check(cat, &q, "a/n/u{label/x=web} ");
    lp_catalog_close(cat);
}

static int
write_format_2(MDB_txn *txn, struct lp_catalog *cat, void *arg, struct lp_err *err)
{
    (void)arg, (void)err;
    return lp_cat_put_counter(txn, cat, "format", 2);
}

/* Streams as format 2 has them: of each pod several, of some none. */
static void
they_are_made_of_streams(void)
{
    static const char *const dir_of[] = {"a", "b"};
    const char *dir = lp_test_dir();
    struct lp_catalog *cat = open_catalog(dir);
    struct lp_buf keys[6];
    struct lp_cat_new_stream v[6];
    for (size_t i = 0; i < 6; i++) {
        lp_buf_init(&keys[i], 1 << 16);
        lp_buf_lpstr(&keys[i], LP_STR_NULL); /* tenant */
        lp_buf_varint(&keys[i], i == 5 ? 1 : 3);
        lp_buf_lpstr(&keys[i], LP_STR("app"));
        lp_buf_lpstr(&keys[i], LP_STR("x"));
        if (i < 5) {
            lp_buf_lpstr(&keys[i], LP_STR("namespace"));
            lp_buf_lpstr(&keys[i], lp_str_c(dir_of[i / 3]));
            lp_buf_lpstr(&keys[i], LP_STR("pod"));
            lp_buf_lpstr(&keys[i], LP_STR("p"));
        }
        lp_buf_lpstr(&keys[i], LP_STR("u"));
        lp_buf_u8(&keys[i], 1);
        lp_buf_u8(&keys[i], (uint8_t)('0' + i)); /* the run */
        v[i] = (struct lp_cat_new_stream){i + 1, 1, lp_xxh128(keys[i].p, keys[i].n), lp_buf_view(&keys[i])};
    }
    struct lp_cat_commit c = {.segment = {.generation = 1, .id = 1}, .streams = v, .nstreams = 6};
    const struct lp_cat_pods_query q = {.nfacts = 0};
    CU_ASSERT_EQUAL_FATAL(lp_catalog_commit(cat, &c, NULL), LP_OK);
    CU_ASSERT_EQUAL_FATAL(lp_cat_write(cat, write_format_2, NULL, NULL), LP_OK);
    check(cat, &q, "");
    lp_catalog_close(cat);
    for (int again = 0; again < 2; again++) {
        cat = open_catalog(dir);
        check(cat, &q, "a/p/u{label/app=x} b/p/u{label/app=x} ");
        lp_catalog_close(cat);
    }
    for (size_t i = 0; i < 6; i++) {
        lp_buf_clear(&keys[i]);
    }
}

/* Rows whose checksum holds and that say what no writer says. */
static int
write_strange(MDB_txn *txn, struct lp_catalog *cat, void *arg, struct lp_err *err)
{
    const struct lp_str *value = arg;
    struct lp_cat_key k = {.n = 0};
    struct lp_buf b;
    (void)err;
    lp_buf_init(&b, SIZE_MAX);
    lp_buf_varint(&b, 0);
    lp_buf_lpstr(&b, lp_str_of("a\0p\0u", 5));
    lp_buf_lpstr(&b, *value);
    lp_key_u32(&k, 0);
    int rc = lp_cat_put(txn, cat, LP_DB_PODS, &k, lp_buf_view(&b));
    lp_buf_clear(&b);
    return rc;
}

static void
strange_rows_are_refused(void)
{
    static const struct lp_str strange[] = {
        {"\1", 1},                                /* no hash */
        {"\1\0\0\0\0\0\0\0", 8},                  /* a hash of nothing */
        {"\0\0\0\0\0\0\0\0\xff\xff\xff\xff", 12}, /* a count without end */
        {"\0\0\0\0\0\0\0\0\1\xff\1x", 12},        /* a name that is longer than the row */
        {"\0\0\0\0\0\0\0\0\1\1a\1b!", 14},        /* something behind */
    };
    struct lp_catalog *cat = open_catalog(lp_test_dir());
    const struct lp_cat_pods_query q = {.nfacts = 0};
    for (size_t i = 0; i < LP_ARRAY_LEN(strange); i++) {
        struct lp_cat_txn *t;
        struct seen s = {""};
        CU_ASSERT_EQUAL_FATAL(lp_cat_write(cat, write_strange, (void *)(uintptr_t)&strange[i], NULL), LP_OK);
        CU_ASSERT_EQUAL_FATAL(lp_cat_begin(cat, &t, NULL), LP_OK);
        CU_ASSERT_EQUAL(lp_cat_pods(t, &q, see, &s, NULL), LP_ERR_CORRUPT);
        CU_ASSERT_STRING_EQUAL(s.text, "");
        lp_cat_end(t);
    }
    lp_catalog_close(cat);
}

LP_SUITE(catalog_pod, {"they are found with what was learned", they_are_found_with_what_was_learned},
         {"uids are kept", uids_are_kept}, {"facts choose", facts_choose},
         {"they are made of streams", they_are_made_of_streams},
         {"strange rows are refused", strange_rows_are_refused});
