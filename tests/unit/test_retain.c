/*
 * test_retain.c - rules, cutoffs, boundaries and runs of retention. Oracle: docs/operations.md and the order
 * of a run in store/retain.h.
 */
#include "store/retain.h"

#include <stdio.h>
#include <string.h>

#include "store/ledger.h"
#include "tests/unit/select_fixture.h"
#include "tests/unit/store_fixture.h"

#define DAY (86400 * LP_NS_PER_S)
#define NOW (INT64_C(20000) * DAY)

static void
rules_are_read(void)
{
    struct lp_rules *r =
        lp_test_rules("namespace=dev-* age=3d\n\n  selector={app=\"au dit\", x=\"}\"}  age=400d \n"
                      "namespace=* tenant=acme age=2w bytes=50GiB\nage=forever");
    CU_ASSERT_EQUAL_FATAL(r->n, 4);
    CU_ASSERT(lp_str_eqc(r->v[0].ns, "dev-*") && r->v[0].age_ns == 3 * DAY && r->v[0].bytes == 0);
    CU_ASSERT(r->v[0].tenant.n == 0 && !r->v[0].any_ns && r->v[0].select == NULL);
    CU_ASSERT(lp_str_eqc(r->v[1].selector, "{app=\"au dit\", x=\"}\"}") && r->v[1].any_ns);
    CU_ASSERT(lp_str_eqc(r->v[1].text, "selector={app=\"au dit\", x=\"}\"}  age=400d"));
    CU_ASSERT(lp_str_eqc(r->v[2].tenant, "acme") && r->v[2].bytes == UINT64_C(50) << 30);
    CU_ASSERT_EQUAL(r->v[3].age_ns, LP_AGE_FOREVER);
    lp_rules_unref(r);
    r = lp_test_rules("");
    CU_ASSERT_EQUAL(r->n, 0);
    lp_rules_unref(r);
}

static void
rules_are_refused_with_their_place(void)
{
    static const struct {
        const char *lines, *words;
        uint32_t line, col;
    } cases[] = {
        {"age=3d\nnamespace=dev", "age= or bytes= must say", 2, 14},
        {"dev-* age=3d", "expected NAME=VALUE", 1, 1},
        {"namespace=dev age=3 d", "expected a time like", 1, 15},
        {"age=-3d", "expected a time like", 1, 1},
        {"age=0", "expected a time like", 1, 1},
        {"bytes=0", "expected a size", 1, 1},
        {"bytes=many", "expected a size", 1, 1},
        {"name=dev age=3d", "expected one of", 1, 1},
        {"age=3d age=4d", "a second time", 1, 8},
        {"selector={a=\"b\" age=3d", "the selector has no end", 1, 10},
        {"selector={a=\"}\" age=3d", "the selector has no end", 1, 10},
        {"selector={a} age=3d", "no selector", 1, 10},
        {"selector={a=\"b\"} bytes=3GB", "goes with no selector", 1, 1},
        {"age=3d namespace", "expected NAME=VALUE", 1, 8},
    };
    for (size_t i = 0; i < LP_ARRAY_LEN(cases); i++) {
        struct lp_rules *r;
        struct lp_err err;
        lp_err_clear(&err);
        CU_ASSERT_NOT_EQUAL_FATAL(lp_rules_parse(lp_str_c(cases[i].lines), &lp_test_select, &r, &err), LP_OK);
        bool ok =
            strstr(err.text, cases[i].words) != NULL && err.line == cases[i].line && err.col == cases[i].col;
        if (!ok) {
            fprintf(stderr, "%s: %u:%u %s\n", cases[i].lines, err.line, err.col, err.text);
        }
        CU_ASSERT(ok);
    }
    struct lp_rules *r;
    struct lp_buf b;
    lp_buf_init(&b, 1 << 20);
    for (unsigned i = 0; i <= LP_RULES_MAX; i++) {
        lp_buf_c(&b, "age=1d\n");
    }
    CU_ASSERT_EQUAL(lp_rules_parse(lp_buf_view(&b), NULL, &r, NULL), LP_ERR_LIMIT);
    CU_ASSERT_EQUAL(lp_rules_parse(LP_STR("selector={a=\"b\"} age=1d"), NULL, &r, NULL), LP_ERR_UNSUPPORTED);
    lp_buf_clear(&b);
}

/* --- boundaries --- */

/* One segment with one entry of namespace "prod". */
static bool
goes(const char *rules, int64_t max_ns, int64_t created_ns, int64_t now_ns)
{
    struct lp_pair label = {LP_STR("namespace"), LP_STR("prod")};
    struct lp_stream_key k = {LP_STR_NULL, &label, 1, {LP_STR_NULL, LP_STR_NULL}};
    struct lp_buf key;
    lp_buf_init(&key, 4096);
    lp_group_key(&k, &key);
    struct lp_foot_group g = {1, lp_buf_view(&key)};
    struct lp_cat_segment s = {.id = 1, .rows = 1, .file_bytes = 100, .created_ns = created_ns};
    struct lp_cat_entry e = {
        .group = 1, .segment = 1, .rows = 1, .bytes = 1, .stored = 1, .min_ns = 0, .max_ns = max_ns};
    struct lp_retain_input in = {&g, 1, &s, 1, &e, 1, NULL, NULL};
    struct lp_retain_conf conf = {.rules = lp_test_rules(rules)};
    struct lp_retain_moment at = {now_ns, 0, 0};
    struct lp_retain_plan *plan;
    CU_ASSERT_EQUAL_FATAL(lp_retain_plan_of(&in, &conf, &at, &plan, NULL), LP_OK);
    bool gone = plan->nsegments == 1;
    CU_ASSERT_EQUAL(plan->goes.stored_bytes, gone ? 100 : 0);
    lp_retain_plan_free(plan);
    lp_rules_unref(conf.rules);
    lp_buf_clear(&key);
    return gone;
}

static void
nothing_early_and_nothing_late(void)
{
    CU_ASSERT(goes("age=30d", NOW - 30 * DAY - 1, NOW - 30 * DAY, NOW));
    CU_ASSERT(!goes("age=30d", NOW - 30 * DAY, NOW - 30 * DAY, NOW));
    CU_ASSERT(goes("age=12h", NOW - DAY, NOW - DAY, NOW)); /* a day after its receipt, not sooner */
    CU_ASSERT(!goes("age=12h", NOW - DAY, NOW - DAY + 1, NOW));
    CU_ASSERT(!goes("age=30d", NOW - 90 * DAY, NOW - DAY + 1, NOW)); /* old lines that came late */
    CU_ASSERT(goes("age=30d", NOW - 90 * DAY, 0, NOW));              /* of a version that did not note it */
    CU_ASSERT(!goes("", 0, 0, NOW) && !goes("age=forever", 0, 0, NOW));
    CU_ASSERT(!goes("namespace=pro age=1d", 0, 0, NOW) && goes("namespace=pro* age=1d", 0, 0, NOW));
    CU_ASSERT(!goes("namespace=prod age=forever\nage=1d", 0, 0, NOW)); /* the first that fits */
    CU_ASSERT(goes("namespace=dev age=forever\nage=1d", 0, 0, NOW));
    CU_ASSERT(!goes("tenant=x age=1d", 0, 0, NOW) && goes("tenant=* age=1d", 0, 0, NOW));
    CU_ASSERT(!goes("bytes=100", 0, 0, NOW) && goes("bytes=99", 0, 0, NOW));
    CU_ASSERT(!goes("bytes=99", NOW, NOW, NOW));
    CU_ASSERT(!goes("age=290y", LP_TIME_MIN, 0, LP_TIME_MIN + DAY));
}

/* --- snapshots --- */

static struct lp_cutoffs *
cutoffs_of(const char *rules, int64_t now_ns, const char *disk)
{
    struct lp_cutoffs *c = lp_cutoffs_new(lp_test_rules(rules));
    for (size_t i = 0; i < c->rules->n; i++) {
        c->rule_ns[i] = now_ns - c->rules->v[i].age_ns;
    }
    c->made_ns = now_ns;
    c->received_before_ns = now_ns - DAY;
    c->all_ns = now_ns - 100 * DAY;
    c->quarantine_age_ns = 30 * DAY;
    c->quarantine_ns = now_ns - 30 * DAY;
    lp_cutoffs_set_disk(c, lp_str_c(disk));
    return c;
}

static void
snapshots_come_back_and_are_refused_when_cut(void)
{
    struct lp_cutoffs *c = cutoffs_of("selector={app=\"x\"} age=5d\nage=1d bytes=5", NOW, "total=1"), *back;
    struct lp_buf b, again;
    lp_cutoffs_add_bytes(c, 1, LP_STR("t"), LP_STR("b"), 7);
    lp_cutoffs_add_bytes(c, 1, LP_STR_NULL, LP_STR("z"), 8);
    lp_cutoffs_add_bytes(c, 1, LP_STR_NULL, LP_STR("a"), 9);
    lp_buf_init(&b, 1 << 16);
    lp_buf_init(&again, 1 << 16);
    lp_cutoffs_encode(c, &b);
    CU_ASSERT_EQUAL_FATAL(lp_cutoffs_decode(lp_buf_view(&b), &lp_test_select, &back, NULL), LP_OK);
    lp_cutoffs_encode(back, &again);
    CU_ASSERT(lp_str_eq(lp_buf_view(&b), lp_buf_view(&again)));
    CU_ASSERT(back->rule_ns[0] == NOW - 5 * DAY && back->nbytes == 3 && back->bytes[0].before_ns == 9);
    CU_ASSERT_EQUAL(lp_cutoffs_rule_ns(back, 1, LP_STR("t"), LP_STR("b")), NOW - DAY);
    lp_cutoffs_unref(back);
    for (size_t n = 1; n < b.n; n++) {
        CU_ASSERT_NOT_EQUAL(
            lp_cutoffs_decode(lp_str_sub(lp_buf_view(&b), 0, n), &lp_test_select, &back, NULL), LP_OK);
    }
    CU_ASSERT_EQUAL(lp_cutoffs_decode(lp_buf_view(&b), NULL, &back, NULL), LP_ERR_UNSUPPORTED);
    b.p[0] = 2;
    CU_ASSERT_EQUAL(lp_cutoffs_decode(lp_buf_view(&b), &lp_test_select, &back, NULL), LP_ERR_UNSUPPORTED);
    lp_buf_clear(&b);
    lp_buf_clear(&again);
    lp_cutoffs_unref(c);
}

static void
a_clock_that_steps_back_brings_nothing_back(void)
{
    struct lp_cutoffs *before = cutoffs_of("age=5d\nnamespace=a age=2d", NOW, "total=1");
    struct lp_cutoffs *c = cutoffs_of("namespace=a age=2d\nnamespace=b age=9d\nage=5d", NOW - DAY, "total=1");
    lp_cutoffs_add_bytes(before, 0, LP_STR_NULL, LP_STR("n"), 5);
    lp_cutoffs_keep(c, before, NOW - DAY / 2);
    CU_ASSERT_EQUAL(c->rule_ns[0], NOW - 2 * DAY);
    CU_ASSERT_EQUAL(c->rule_ns[1], NOW - 10 * DAY);
    CU_ASSERT_EQUAL(c->rule_ns[2], NOW - 5 * DAY);
    CU_ASSERT(c->nbytes == 1 && c->bytes[0].rule == 2 && c->bytes[0].before_ns == 5);
    CU_ASSERT_EQUAL(c->quarantine_ns, NOW - 30 * DAY);
    CU_ASSERT_EQUAL(c->all_ns, NOW - 100 * DAY);
    CU_ASSERT_EQUAL(c->received_before_ns, NOW - DAY);
    lp_cutoffs_unref(c);
    /* other limits are others: they begin anew. A clock that had been far ahead hides nothing that just came
     */
    c = cutoffs_of("age=6d", NOW - 3 * DAY, "total=2");
    c->quarantine_age_ns = 40 * DAY;
    lp_cutoffs_keep(c, before, NOW - 3 * DAY);
    CU_ASSERT_EQUAL(c->rule_ns[0], NOW - 9 * DAY);
    CU_ASSERT(c->nbytes == 0 && c->all_ns == NOW - 103 * DAY && c->quarantine_ns == NOW - 33 * DAY);
    CU_ASSERT_EQUAL(c->received_before_ns, NOW - 4 * DAY);
    lp_cutoffs_unref(c);
    lp_cutoffs_unref(before);
}

/* --- runs --- */

struct taken {
    unsigned calls;
    uint64_t segment;
    bool hidden_before; /* the cutoffs held before anything was taken away */
    struct lp_store *st;
    lp_rc rc;
};

static lp_rc
take_away(void *arg, const struct lp_retain_plan *p, struct lp_retain_done *ret, struct lp_err *err)
{
    struct taken *t = arg;
    struct lp_cutoffs *c = lp_store_cutoffs(t->st);
    struct lp_retain_ask ask = {.by = LP_STR("another"), .asked = true};
    struct lp_retain_report rep;
    struct lp_retain_conf conf = {.rules = p->cutoffs->rules};
    t->calls++;
    t->segment = p->segments[0].id;
    t->hidden_before = c != NULL && c->rule_ns[0] == p->at.now_ns - 5 * DAY;
    lp_cutoffs_unref(c);
    CU_ASSERT_EQUAL(lp_retain_run(t->st, &conf, &ask, &rep, NULL), LP_ERR_BUSY);
    *ret = (struct lp_retain_done){p->goes.stored_bytes, p->ndropped, p->nsegments - p->ndropped, 0};
    return t->rc == LP_OK ? LP_OK : lp_err_set(err, t->rc, "out of order");
}

/* A row of the catalog without a file, sealed long ago. */
static void
put_old_segment(struct lp_store *st)
{
    struct lp_pair label = {LP_STR("namespace"), LP_STR("prod")};
    struct lp_stream_key k = {LP_STR_NULL, &label, 1, {LP_STR_NULL, LP_STR_NULL}};
    struct lp_buf key;
    lp_buf_init(&key, 4096);
    lp_group_key(&k, &key);
    struct lp_foot_group g = {1, lp_buf_view(&key)};
    struct lp_cat_entry e = {.group = 1, .segment = 9, .rows = 4, .bytes = 40, .stored = 1, .max_ns = 5};
    struct lp_cat_commit c = {
        .segment =
            {.id = 9, .generation = 1, .first_generation = 1, .rows = 4, .file_bytes = 777, .max_ns = 5},
        .groups = &g,
        .ngroups = 1,
        .entries = &e,
        .nentries = 1};
    CU_ASSERT_EQUAL_FATAL(lp_catalog_commit(lp_store_catalog(st), &c, NULL), LP_OK);
    lp_buf_clear(&key);
}

static size_t
ledger_kinds(struct lp_store *st, uint16_t *out, bool *ret_error)
{
    struct lp_arena ar;
    struct lp_ledger_entry *e;
    size_t n;
    lp_arena_init(&ar, 1 << 20, 0);
    CU_ASSERT_EQUAL_FATAL(lp_ledger_read(lp_store_ledger(st), 8, &ar, &e, &n, NULL), LP_OK);
    *ret_error = false;
    for (size_t i = 0; i < n; i++) {
        out[i] = e[i].kind;
        *ret_error = *ret_error || lp_str_find(e[i].payload, LP_STR("out of order")) != SIZE_MAX;
    }
    lp_arena_clear(&ar);
    return n;
}

static void
a_run_hides_first_and_stands_in_the_ledger(void)
{
    struct lp_store *st;
    uint16_t kinds[8];
    bool error;
    CU_ASSERT_EQUAL_FATAL(lp_open_store(lp_test_dir(), NULL, 1 << 20, &st, NULL), LP_OK);
    struct taken t = {.st = st};
    struct lp_retain_conf conf = {.rules = lp_test_rules("namespace=prod age=5d")};
    struct lp_retain_ask ask = {
        .by = LP_STR("test"), .dry = true, .at_ns = LP_TIME_NONE, .expire = take_away, .arg = &t};
    struct lp_retain_report rep;
    put_old_segment(st);
    CU_ASSERT_EQUAL_FATAL(lp_retain_run(st, &conf, &ask, &rep, NULL), LP_OK); /* a dry run changes nothing */
    CU_ASSERT(rep.plan->goes.rows == 4 && rep.plan->ndropped == 1 && rep.plan->goes.stored_bytes == 777);
    lp_retain_report_clear(&rep);
    CU_ASSERT(t.calls == 0 && lp_store_cutoffs(st) == NULL && ledger_kinds(st, kinds, &error) == 0);
    ask.dry = false;
    CU_ASSERT_EQUAL_FATAL(lp_retain_run(st, &conf, &ask, &rep, NULL), LP_OK);
    CU_ASSERT(t.calls == 1 && t.segment == 9 && t.hidden_before && rep.done.freed_bytes == 777);
    CU_ASSERT(rep.begun == 1 && rep.ended == 2);
    struct lp_buf b;
    lp_buf_init(&b, 1 << 16);
    lp_retain_report_json(&rep, &b);
    CU_ASSERT(lp_str_find(lp_buf_view(&b), LP_STR("\"drop\":[\"0000000000000009\"]")) != SIZE_MAX);
    lp_buf_clear(&b);
    lp_retain_report_clear(&rep);
    CU_ASSERT(ledger_kinds(st, kinds, &error) == 2 && kinds[0] == LP_LEDGER_RETAIN_BEGUN &&
              kinds[1] == LP_LEDGER_RETAIN_ENDED && !error);
    t.rc = LP_ERR_IO; /* what stopped it stands there too, and the next run does it again */
    CU_ASSERT_EQUAL(lp_retain_run(st, &conf, &ask, &rep, NULL), LP_ERR_IO);
    CU_ASSERT(ledger_kinds(st, kinds, &error) == 4 && error);
    t.rc = LP_OK;
    CU_ASSERT_EQUAL_FATAL(lp_retain_run(st, &conf, &ask, &rep, NULL), LP_OK);
    lp_retain_report_clear(&rep);
    CU_ASSERT_EQUAL(t.calls, 3);
    struct lp_cat_txn *txn;
    struct lp_str bytes;
    CU_ASSERT_EQUAL_FATAL(lp_cat_begin(lp_store_catalog(st), &txn, NULL), LP_OK);
    CU_ASSERT_EQUAL(lp_cat_cutoffs(txn, &bytes, NULL), LP_OK);
    struct lp_cutoffs *c;
    CU_ASSERT_EQUAL_FATAL(lp_cutoffs_decode(bytes, NULL, &c, NULL), LP_OK);
    CU_ASSERT(c->rules->n == 1 && c->rule_ns[0] > LP_TIME_MIN);
    lp_cutoffs_unref(c);
    lp_cat_end(txn);
    lp_rules_unref(conf.rules);
    lp_store_free(st);
}

/* Each byte of a name like this takes six in JSON: 23 MiB in all. */
static void
a_report_that_is_too_long_stands_in_the_ledger_without_its_lists(void)
{
    struct lp_store *st;
    struct lp_buf rules;
    char name[4000];
    memset(name, 1, sizeof(name));
    CU_ASSERT_EQUAL_FATAL(lp_open_store(lp_test_dir(), NULL, 1 << 20, &st, NULL), LP_OK);
    lp_buf_init(&rules, SIZE_MAX);
    lp_buf_c(&rules, "namespace=prod age=5d\n");
    for (unsigned i = 1; i < LP_RULES_MAX; i++) {
        lp_buf_printf(&rules, "namespace=%.*s age=5d\n", (int)sizeof(name), name);
    }
    lp_buf_byte(&rules, 0);
    struct taken t = {.st = st};
    struct lp_retain_conf conf = {.rules = lp_test_rules(rules.p)};
    struct lp_retain_ask ask = {
        .by = LP_STR("test"), .asked = true, .at_ns = LP_TIME_NONE, .expire = take_away, .arg = &t};
    struct lp_retain_report rep;
    put_old_segment(st);
    CU_ASSERT_EQUAL_FATAL(lp_retain_run(st, &conf, &ask, &rep, NULL), LP_OK);
    CU_ASSERT_EQUAL(t.calls, 1);
    lp_retain_report_clear(&rep);
    struct lp_arena ar;
    struct lp_ledger_entry *e;
    size_t n;
    lp_arena_init(&ar, 1 << 20, 0);
    CU_ASSERT_EQUAL_FATAL(lp_ledger_read(lp_store_ledger(st), 8, &ar, &e, &n, NULL), LP_OK);
    CU_ASSERT_FATAL(n == 2 && e[0].kind == LP_LEDGER_RETAIN_BEGUN);
    CU_ASSERT(lp_str_find(e[0].payload, LP_STR("\"goes\":{\"rows\":4,")) != SIZE_MAX);
    CU_ASSERT_EQUAL(e[0].payload.p[e[0].payload.n - 1], '}');
    lp_arena_clear(&ar);
    lp_buf_clear(&rules);
    lp_rules_unref(conf.rules);
    lp_store_free(st);
}

LP_SUITE(retain, {"rules are read", rules_are_read},
         {"rules are refused with their place", rules_are_refused_with_their_place},
         {"nothing early and nothing late", nothing_early_and_nothing_late},
         {"snapshots come back, and are refused when cut", snapshots_come_back_and_are_refused_when_cut},
         {"a clock that steps back brings nothing back", a_clock_that_steps_back_brings_nothing_back},
         {"a run hides first and stands in the ledger", a_run_hides_first_and_stands_in_the_ledger},
         {"a report that is too long stands in the ledger without its lists",
          a_report_that_is_too_long_stands_in_the_ledger_without_its_lists});
