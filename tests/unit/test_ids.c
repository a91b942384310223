/*
 * test_ids.c - oracle: ids.h. A retry is answered like its first try, a failure is forgotten, ten minutes by
 * received times alone.
 */
#include "ingest/ids.h"

#include "base/thread.h"
#include "tests/unit/unit.h"

static struct lp_batch_id
id(uint64_t n, int64_t received_s)
{
    return (struct lp_batch_id){received_s * LP_NS_PER_S, {n, ~n}};
}

static enum lp_ids_answer
begin(struct lp_ids_table *t, struct lp_batch_id i)
{
    enum lp_ids_answer a = LP_IDS_FAILED;
    CU_ASSERT_EQUAL_FATAL(lp_ids_begin(t, &i, lp_mono_ns() + 20 * LP_NS_PER_S, &a, NULL), LP_OK);
    return a;
}

static void
stored_once(void)
{
    struct lp_ids_table *t = lp_ids_table_new();
    struct lp_batch_id a = id(1, 100), b = id(2, 100);
    CU_ASSERT_EQUAL(begin(t, a), LP_IDS_NEW);
    lp_ids_end(t, &a, true);
    CU_ASSERT_EQUAL(begin(t, a), LP_IDS_DUPLICATE);
    CU_ASSERT_EQUAL(begin(t, b), LP_IDS_NEW);
    lp_ids_end(t, &b, false);
    CU_ASSERT_EQUAL(begin(t, b), LP_IDS_NEW); /* a failure leaves no trace */
    lp_ids_end(t, &b, true);
    lp_ids_table_free(t);
}

static void
ten_minutes_of_received_time(void)
{
    struct lp_ids_table *t = lp_ids_table_new();
    struct lp_batch_id a = id(1, 1000), near = id(1, 1600), far = id(1, 1601), other = id(2, 5000);
    CU_ASSERT_EQUAL(begin(t, a), LP_IDS_NEW);
    lp_ids_end(t, &a, true);
    CU_ASSERT_EQUAL(begin(t, near), LP_IDS_DUPLICATE);
    CU_ASSERT_EQUAL(begin(t, far), LP_IDS_NEW);
    lp_ids_end(t, &far, true);
    CU_ASSERT_EQUAL(begin(t, other), LP_IDS_NEW);
    lp_ids_end(t, &other, true);
    CU_ASSERT_EQUAL(lp_ids_count(t), 1); /* the old one left when a much newer one was stored */
    lp_ids_table_free(t);
}

struct retry {
    struct lp_ids_table *t;
    struct lp_batch_id id;
    enum lp_ids_answer answer;
};

static void
retry_main(void *arg)
{
    struct retry *r = arg;
    r->answer = begin(r->t, r->id);
}

static void
a_retry_waits_for_the_outcome(bool stored, enum lp_ids_answer want)
{
    struct lp_ids_table *t = lp_ids_table_new();
    struct retry r[3];
    pthread_t threads[3];
    struct lp_batch_id a = id(7, 1);
    CU_ASSERT_EQUAL_FATAL(begin(t, a), LP_IDS_NEW);
    for (int i = 0; i < 3; i++) {
        r[i] = (struct retry){t, a, LP_IDS_NEW};
        threads[i] = lp_thread_start("retry", retry_main, &r[i]);
    }
    enum lp_ids_answer now;
    struct lp_err err; /* one that may not wait is told so: the others are waiting or will */
    CU_ASSERT_EQUAL(lp_ids_begin(t, &a, lp_mono_ns() + LP_NS_PER_MS, &now, &err), LP_ERR_TIMEOUT);
    lp_ids_end(t, &a, stored);
    for (int i = 0; i < 3; i++) {
        lp_thread_join(threads[i]);
        if (stored) {
            CU_ASSERT_EQUAL(r[i].answer, want);
        } else if (r[i].answer == LP_IDS_NEW) { /* came after the failure: it tries itself */
            lp_ids_end(t, &a, false);
        }
    }
    lp_ids_table_free(t);
}

static void
a_retry_of_a_stored_one(void)
{
    a_retry_waits_for_the_outcome(true, LP_IDS_DUPLICATE);
}

static void
a_retry_of_a_failed_one(void)
{
    struct lp_ids_table *t = lp_ids_table_new();
    struct retry r = {t, id(9, 1), LP_IDS_NEW};
    CU_ASSERT_EQUAL_FATAL(begin(t, r.id), LP_IDS_NEW);
    pthread_t th = lp_thread_start("retry", retry_main, &r);
    lp_ids_end(t, &r.id, false);
    lp_thread_join(th);
    CU_ASSERT(r.answer == LP_IDS_FAILED || r.answer == LP_IDS_NEW);
    if (r.answer == LP_IDS_NEW) {
        lp_ids_end(t, &r.id, true);
    }
    lp_ids_table_free(t);
}

static struct lp_batch *
batch(const char *line, int64_t time_ns)
{
    struct lp_batch *b = lp_batch_new(LP_STR_NULL, 1 << 20, 0);
    struct lp_pair label = {LP_STR("a"), LP_STR("1")};
    uint32_t s;
    b->received_ns = 5;
    lp_rc rc = lp_batch_stream(b, &label, 1, NULL, &s, NULL);
    rc = rc == LP_OK ? lp_batch_add(b, s, time_ns, lp_str_c(line), false, NULL, 0, NULL) : rc;
    LP_ASSERT(rc == LP_OK);
    return b;
}

static struct lp_batch *
identified(const char *key, const char *body, const char *tenant, int64_t time_ns)
{
    struct lp_push p = {.method = LP_STR("POST"),
                        .target = LP_STR("/insert/jsonline"),
                        .key = lp_str_c(key),
                        .tenant = lp_str_c(tenant),
                        .body = lp_str_c(body)};
    struct lp_batch *b = batch("x", time_ns);
    struct lp_batch_id found;
    if (lp_ids_identify(&p, b, &found)) {
        CU_ASSERT_FATAL(lp_batch_note_id(b, &found));
    }
    return b;
}

static bool
same(struct lp_batch *a, struct lp_batch *b)
{
    bool eq = a->nids == 1 && b->nids == 1 && lp_hash128_eq(a->ids[0].identity, b->ids[0].identity);
    lp_batch_free(a);
    lp_batch_free(b);
    return eq;
}

static void
what_makes_an_identity(void)
{
    CU_ASSERT(same(identified("", "body", "", 1), identified("", "body", "", 1)));
    CU_ASSERT_FALSE(same(identified("", "body", "", 1), identified("", "body2", "", 1)));
    CU_ASSERT_FALSE(same(identified("", "body", "", 1), identified("", "body", "t", 1)));
    CU_ASSERT(same(identified("k", "one", "", 1), identified("k", "{\"other\": \"spelling\"}", "", 1)));
    CU_ASSERT_FALSE(same(identified("k", "one", "", 1),
                         identified("k", "one", "", 2))); /* another cut may repeat, never lose */
    CU_ASSERT_FALSE(same(identified("", "body", "", LP_TIME_NONE), identified("", "body", "", LP_TIME_NONE)));
    CU_ASSERT(same(identified("k", "body", "", LP_TIME_NONE), identified("k", "body", "", LP_TIME_NONE)));
}

/* A request without key that was stored when the content of its rows was part of the identity. */
static void
identities_of_before_are_known(void)
{
    struct lp_push p = {
        .method = LP_STR("POST"), .target = LP_STR("/insert/jsonline"), .body = LP_STR("body")};
    struct lp_batch *b = batch("x", 1);
    struct lp_ids_table *t = lp_ids_table_new();
    struct lp_hash128 content = lp_batch_content_hash(b);
    struct lp_hasher *h = lp_hasher_new();
    const uint64_t shape[3] = {0, 0, 0}, none = 0, sizes[3] = {p.method.n, p.target.n, p.body.n};
    lp_hasher_add(h, shape, sizeof(shape));
    lp_hasher_add(h, &sizes[0], 8);
    lp_hasher_add(h, p.method.p, p.method.n);
    lp_hasher_add(h, &sizes[1], 8);
    lp_hasher_add(h, p.target.p, p.target.n);
    lp_hasher_add(h, &none, 8); /* no content type */
    lp_hasher_add(h, &sizes[2], 8);
    lp_hasher_add(h, p.body.p, p.body.n);
    lp_hasher_add(h, &content, sizeof(content));
    struct lp_batch_id id = {b->received_ns, lp_hasher_u128(h)}, now, other = {b->received_ns, {1, 2}};
    CU_ASSERT_FALSE(lp_ids_known_before(t, &p, b));
    lp_ids_table_load(t, &other);
    CU_ASSERT_FALSE(lp_ids_known_before(t, &p, b));
    lp_ids_table_load(t, &id);
    CU_ASSERT(lp_ids_known_before(t, &p, b));
    CU_ASSERT(lp_ids_identify(&p, b, &now) && !lp_ids_known(t, &now));
    p.key = LP_STR("key");
    CU_ASSERT_FALSE(lp_ids_known_before(t, &p, b));
    lp_hasher_free(h);
    lp_ids_table_free(t);
    lp_batch_free(b);
}

LP_SUITE(ids, {"stored once", stored_once}, {"ten minutes of received time", ten_minutes_of_received_time},
         {"a retry of a stored one", a_retry_of_a_stored_one},
         {"a retry of a failed one", a_retry_of_a_failed_one},
         {"what makes an identity", what_makes_an_identity},
         {"identities of before are known", identities_of_before_are_known});
