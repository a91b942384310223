/*
 * test_tail.c - tails: every row once, in order of arrival, whatever of it is in memory or in segments;
 * cursors as text, and as places to go on from.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sched.h>

#include "query/tail.h"
#include "store/maintain.h"
#include "tests/unit/exec_fixture.h"

struct seen {
    uint64_t *v; /* numbers of rows (the lines begin with them), as they came */
    size_t n, cap;
};

static void
see(struct seen *s, const struct lp_found *f)
{
    for (size_t i = 0; i < f->n; i++) {
        if (s->n == s->cap) {
            s->cap = s->cap ? s->cap * 2 : 256;
            s->v = lp_realloc(s->v, s->cap * sizeof(*s->v));
        }
        s->v[s->n++] = strtoull(f->rows[i].line.p, NULL, 10);
        CU_ASSERT(f->rows[i].nlabels >= 3); /* app, pod, service_name */
    }
}

static struct lp_tail *
make_tail(const struct lp_world *w, const char *query)
{
    struct lp_tail_config cfg = {
        .store = w->st, .query = lp_str_c(query), .pool = w->pool, .budget_bytes = 64u << 20};
    struct lp_tail *t = NULL;
    CU_ASSERT_EQUAL_FATAL(lp_tail_new(&cfg, &t, NULL), LP_OK);
    return t;
}

static struct lp_tail *
tail_now(const struct lp_world *w, const char *query)
{
    struct lp_tail *t = make_tail(w, query);
    struct lp_found f;
    CU_ASSERT_EQUAL_FATAL(lp_tail_begin(t, LP_TIME_MIN, 0, INT64_MAX, &f, NULL), LP_OK);
    CU_ASSERT_EQUAL(f.n, 0);
    lp_found_clear(&f);
    return t;
}

/* Reads what there is, `page` rows at a time, most pages of them. */
static void
read_pages(struct lp_tail *t, size_t page, size_t most, struct seen *s)
{
    struct lp_found f;
    lp_tail_look(t);
    for (size_t i = 0; i < most; i++) {
        struct lp_err err;
        lp_err_clear(&err);
        lp_rc rc = lp_tail_next(t, page, SIZE_MAX, &f, &err);
        CU_ASSERT_EQUAL_FATAL(rc, LP_OK);
        CU_ASSERT(f.n <= page);
        size_t n = f.n;
        see(s, &f);
        lp_found_clear(&f);
        if (n == 0) {
            return;
        }
    }
}

/* Each of the wanted rows [from, to) once, batch by batch, in a batch by time and stream. */
static void
check(const struct lp_world *w, const struct seen *s, size_t from, size_t to,
      bool (*want)(const struct lp_rec *r))
{
    size_t at = 0;
    bool good = true;
    uint8_t *there = lp_calloc(w->n, 1);
    for (; at < s->n; at++) {
        good = good && s->v[at] >= from && s->v[at] < to && !there[s->v[at]]++;
        if (at > 0 && good) {
            const struct lp_rec *a = &w->v[s->v[at - 1]], *b = &w->v[s->v[at]];
            good = a->seq / 100 != b->seq / 100 ? a->seq / 100 < b->seq / 100 : lp_rec_cmp(a, b) < 0;
        }
    }
    for (size_t i = from; i < to; i++) {
        good = good && there[i] == (want == NULL || want(&w->v[i]));
    }
    CU_ASSERT(good);
    lp_free(there);
}

static bool
want_alpha_of_app_1(const struct lp_rec *r)
{
    return strcmp(r->app, "app-1") == 0 && strstr(r->line, "alpha") != NULL;
}

static void
test_head(void)
{
    struct lp_world w;
    struct seen s = {NULL, 0, 0};
    lp_world_make(&w, 300, LP_HEAD_ONLY);
    struct lp_tail *t = tail_now(&w, "{app=~\".+\"}"), *some = tail_now(&w, "{app=\"app-1\"} |= \"alpha\"");
    read_pages(t, 7, SIZE_MAX, &s);
    CU_ASSERT_EQUAL(s.n, 0); /* what there was before is not told */
    for (int i = 0; i < 4; i++) {
        lp_world_put(&w, 100, 1000, 500);
        read_pages(t, 7, SIZE_MAX, &s);
    }
    check(&w, &s, 300, 700, NULL);
    s.n = 0;
    read_pages(some, 7, SIZE_MAX, &s);
    check(&w, &s, 300, 700, want_alpha_of_app_1);
    lp_tail_free(t);
    lp_tail_free(some);
    lp_free(s.v);
    lp_world_close(&w);
}

/* Seals between looks, and during the reading. */
static void
test_sealed_meanwhile(void)
{
    struct lp_world w;
    struct seen s = {NULL, 0, 0};
    lp_world_make(&w, 100, LP_HEAD_ONLY);
    struct lp_tail *t = tail_now(&w, "{app=~\".+\"}");
    for (int i = 0; i < 12; i++) {
        lp_world_put(&w, 100, 1000, 50);
        if (i % 3 == 0) {
            lp_world_seal(&w);
        }
        if (i % 4 == 1) {
            read_pages(t, 30, 2, &s); /* not to the end */
        }
        if (i % 5 == 0) {
            lp_world_seal(&w);
        }
    }
    read_pages(t, 30, SIZE_MAX, &s);
    read_pages(t, 30, SIZE_MAX, &s);
    check(&w, &s, 100, 1300, NULL);
    CU_ASSERT_PTR_NULL(lp_tail_missed(t));
    lp_tail_free(t);
    lp_free(s.v);
    lp_world_close(&w);
}

/* After each page a new tail goes on from the cursor, and what there is moves from the head into segments. */
static void
test_resume(void)
{
    static const char *const queries[] = {"{app=~\".+\"}", "{app=\"app-1\"} |= \"alpha\""};
    for (size_t q = 0; q < 2; q++) {
        for (size_t page = 9; page < 300; page += 101) {
            struct lp_world w;
            struct seen s = {NULL, 0, 0};
            struct lp_buf cursor;
            lp_buf_init(&cursor, 1 << 16);
            lp_world_make(&w, 150, LP_HEAD_ONLY);
            lp_tail_free(NULL);
            struct lp_tail *t = tail_now(&w, queries[q]);
            w.n = 150;
            lp_world_put(&w, 50, 1000, 20);
            for (int i = 0; i < 40; i++) {
                read_pages(t, page, 1, &s);
                lp_buf_reset(&cursor);
                lp_tail_place(t, &cursor);
                lp_tail_free(t);
                if (i < 10) {
                    lp_world_put(&w, 100, 1000, 20);
                }
                if (i % 4 == 3) {
                    lp_world_seal(&w);
                }
                t = make_tail(&w, queries[q]);
                CU_ASSERT_EQUAL_FATAL(lp_tail_resume(t, lp_buf_view(&cursor), NULL), LP_OK);
            }
            read_pages(t, page, SIZE_MAX, &s);
            check(&w, &s, 150, w.n, q == 0 ? NULL : want_alpha_of_app_1);
            CU_ASSERT_PTR_NULL(lp_tail_missed(t));
            lp_tail_free(t);
            lp_buf_clear(&cursor);
            lp_free(s.v);
            lp_world_close(&w);
        }
    }
}

/* The newest of the past, oldest first, and then what comes: nothing twice, nothing left out. */
static void
test_past(void)
{
    for (enum lp_layout layout = 0; layout < LP_LAYOUTS; layout++) {
        struct lp_world w;
        struct seen s = {NULL, 0, 0};
        struct lp_found f;
        lp_world_make(&w, 1000, layout);
        struct lp_tail *t = make_tail(&w, "{app=~\".+\"}");
        CU_ASSERT_EQUAL_FATAL(lp_tail_begin(t, LP_TIME_MIN, 40, INT64_MAX, &f, NULL), LP_OK);
        CU_ASSERT_EQUAL(f.n, 40);
        for (size_t i = 1; i < f.n; i++) {
            CU_ASSERT(f.rows[i - 1].time_ns <= f.rows[i].time_ns);
        }
        lp_found_clear(&f);
        lp_world_put(&w, 100, 10, 50); /* late ones */
        read_pages(t, 100, SIZE_MAX, &s);
        check(&w, &s, 1000, 1100, NULL);
        lp_tail_free(t);
        lp_free(s.v);
        lp_world_close(&w);
    }
}

/* Rests let go of memory only. */
static void
test_rest(void)
{
    struct lp_world w;
    struct seen s = {NULL, 0, 0};
    lp_world_make(&w, 100, LP_HEAD_ONLY);
    struct lp_tail *t = tail_now(&w, "{app=~\".+\"}");
    for (int i = 0; i < 8; i++) {
        lp_world_put(&w, 100, 1000, 20);
        read_pages(t, 30, 3, &s);
        lp_tail_rest(t);
        if (i % 3 == 2) {
            lp_world_seal(&w);
        }
    }
    read_pages(t, 1000, SIZE_MAX, &s);
    check(&w, &s, 100, 900, NULL);
    lp_tail_free(t);
    lp_free(s.v);
    lp_world_close(&w);
}

static void
test_follow(void)
{
    struct lp_world w;
    struct seen a = {NULL, 0, 0}, b = {NULL, 0, 0};
    lp_world_make(&w, 100, LP_HEAD_ONLY);
    struct lp_tail *t = tail_now(&w, "{app=~\".+\"}"), *other = tail_now(&w, "{app=~\".+\"}");
    lp_world_put(&w, 100, 1000, 20);
    read_pages(other, 1000, SIZE_MAX, &a);
    lp_world_put(&w, 100, 1000, 20);
    struct lp_found f;
    CU_ASSERT_TRUE_FATAL(lp_tail_follow(t, other));
    CU_ASSERT_EQUAL_FATAL(lp_tail_next(t, 1000, SIZE_MAX, &f, NULL), LP_OK);
    see(&b, &f);
    lp_found_clear(&f);
    check(&w, &b, 100, 200, NULL); /* as much as the other had, though there is more */
    CU_ASSERT_EQUAL_FATAL(lp_tail_next(t, 1000, SIZE_MAX, &f, NULL), LP_OK);
    CU_ASSERT_EQUAL(f.n, 0);
    lp_found_clear(&f);
    read_pages(t, 1000, SIZE_MAX, &b);
    CU_ASSERT_FALSE(lp_tail_follow(t, other)); /* it is ahead */
    lp_world_seal(&w);
    lp_world_put(&w, 100, 1000, 20);
    read_pages(t, 1000, SIZE_MAX, &b);
    CU_ASSERT_FALSE(lp_tail_follow(other, t) && a.n == 0);
    read_pages(other, 1000, SIZE_MAX, &a);
    check(&w, &a, 100, 400, NULL);
    check(&w, &b, 100, 400, NULL);
    lp_tail_free(t);
    lp_tail_free(other);
    lp_free(a.v);
    lp_free(b.v);
    lp_world_close(&w);
}

static void
merge_all(const struct lp_world *w)
{
    struct lp_maintain *m = lp_store_maintain(w->st);
    struct lp_maintain_stats stats;
    uint64_t asked = lp_maintain_ask(m);
    do {
        sched_yield();
        lp_maintain_stats(m, &stats);
    } while (stats.answered < asked);
}

/* A segment that was merged is read where all of it is new, each row once; where that cannot be told, it is
 * said. */
static void
test_merged(void)
{
    for (int inside = 0; inside < 2; inside++) {
        struct lp_world w;
        struct seen s = {NULL, 0, 0};
        struct lp_buf cursor;
        uint64_t times[300];
        lp_buf_init(&cursor, 1 << 16);
        lp_world_open(&w);
        struct lp_tail *t = tail_now(&w, "{app=~\".+\"}");
        for (int i = 0; i < 3; i++) {
            lp_world_put(&w, 100, 1000, 20);
            if (i == 0 && inside) {
                read_pages(t, 30, 1, &s);
            }
            lp_world_seal(&w);
        }
        lp_tail_place(t, &cursor);
        lp_tail_free(t);
        merge_all(&w);
        size_t before = s.n;
        const char *missed = NULL;
        for (int i = 0; i < 12; i++) {
            t = make_tail(&w, "{app=~\".+\"}");
            CU_ASSERT_EQUAL_FATAL(lp_tail_resume(t, lp_buf_view(&cursor), NULL), LP_OK);
            read_pages(t, 30, 1, &s);
            missed = missed != NULL || lp_tail_missed(t) != NULL ? "" : NULL;
            lp_buf_reset(&cursor);
            lp_tail_place(t, &cursor);
            lp_tail_free(t);
        }
        CU_ASSERT_EQUAL(missed != NULL, inside);
        CU_ASSERT_EQUAL(s.n, inside ? before : 300);
        for (size_t i = 0; i < s.n && !inside; i++) {
            times[i] = (uint64_t)w.v[s.v[i]].time_ns;
            CU_ASSERT(i == 0 || times[i - 1] <= times[i]);
            for (size_t k = 0; k < i; k++) {
                CU_ASSERT(s.v[k] != s.v[i]);
            }
        }
        lp_buf_clear(&cursor);
        lp_free(s.v);
        lp_world_close(&w);
    }
}

static void
test_cursor_text(void)
{
    struct lp_uuid store = {{1, 2, 3, 4, 5, 6, 7, 8, 9}}, other = {{9}};
    struct lp_tail_cursor c = {.sealed = 77}, back;
    struct lp_buf text;
    const struct lp_tail_row row = {31, -5, {.hi = 0xdeadbeef, .lo = 1}, 3};
    lp_buf_init(&text, 4096);
    lp_tail_cursor_put(&c, 12345, 30, 78);
    lp_tail_cursor_put(&c, UINT64_MAX, UINT64_MAX, 78);
    lp_tail_cursor_inside(&c, 12345, &row, 79);
    lp_tail_cursor_text(&c, &store, &text);
    CU_ASSERT_EQUAL_FATAL(lp_tail_cursor_parse(lp_buf_view(&text), &store, &back, NULL), LP_OK);
    CU_ASSERT_EQUAL(back.sealed, 77);
    CU_ASSERT_EQUAL_FATAL(back.n, 2);
    const struct lp_tail_source *s = lp_tail_cursor_of(&back, 12345);
    CU_ASSERT_PTR_NOT_NULL_FATAL(s);
    CU_ASSERT(s->next == 30 && s->inside && s->row.first == 31 && s->row.time_ns == -5 &&
              s->row.ordinal == 3);
    CU_ASSERT(s->row.stream.hi == 0xdeadbeef && s->row.stream.lo == 1);
    lp_tail_cursor_clear(&back);
    CU_ASSERT_EQUAL(lp_tail_cursor_parse(lp_buf_view(&text), &other, &back, NULL), LP_ERR_PARSE);
    lp_tail_cursor_clear(&back);
    for (size_t n = 0; n < text.n; n++) { /* cut, and with a wrong byte: never more than a refusal */
        (void)(lp_tail_cursor_parse(lp_str_of(text.p, n), &store, &back, NULL) == LP_OK);
        lp_tail_cursor_clear(&back);
        char was = text.p[n];
        text.p[n] = 'z';
        CU_ASSERT_EQUAL(lp_tail_cursor_parse(lp_buf_view(&text), &store, &back, NULL), LP_ERR_PARSE);
        lp_tail_cursor_clear(&back);
        text.p[n] = was;
    }
    lp_tail_cursor_put(&c, 12345, 32, 79); /* the ticket is over */
    CU_ASSERT_FALSE(lp_tail_cursor_of(&c, 12345)->inside);
    lp_tail_cursor_seal(&c, 78);
    CU_ASSERT_EQUAL(c.n, 1);
    lp_tail_cursor_clear(&c);
    lp_buf_clear(&text);
}

static void
test_refused(void)
{
    struct lp_world w;
    struct lp_tail *t = NULL;
    lp_world_make(&w, 10, LP_HEAD_ONLY);
    static const char *const bad[] = {"rate({app=\"a\"}[1m])", "{app=", "", "{}"};
    for (size_t i = 0; i < LP_ARRAY_LEN(bad); i++) {
        struct lp_tail_config cfg = {.store = w.st, .query = lp_str_c(bad[i]), .budget_bytes = 1 << 20};
        CU_ASSERT_EQUAL(lp_tail_new(&cfg, &t, NULL), LP_ERR_PARSE);
    }
    t = make_tail(&w, "{app=\"a\"}");
    CU_ASSERT_EQUAL(lp_tail_resume(t, LP_STR("nonsense"), NULL), LP_ERR_PARSE);
    lp_tail_free(t);
    lp_world_close(&w);
}

/* Of two generations that are behind a tail, the older one is passed again when it is sealed: what is known
 * of the newer one stays. */
static void
test_passed_again(void)
{
    struct lp_tail_cursor c = {.sealed = 2};
    lp_tail_cursor_put(&c, 77, 4, 3);
    lp_tail_cursor_put(&c, 77, 5, 4);
    lp_tail_cursor_put(&c, 77, 4, 3);
    lp_tail_cursor_seal(&c, 3);
    const struct lp_tail_source *s = lp_tail_cursor_of(&c, 77);
    CU_ASSERT(s != NULL && s->next == 5 && s->generation == 4);
    lp_tail_cursor_seal(&c, 4);
    CU_ASSERT_PTR_NULL(lp_tail_cursor_of(&c, 77));
    lp_tail_cursor_clear(&c);
}

LP_SUITE(tail, {"new rows of the head", test_head}, {"sealed meanwhile", test_sealed_meanwhile},
         {"a cursor after each page, over seals", test_resume}, {"the past first", test_past},
         {"rests", test_rest}, {"one follows another", test_follow}, {"merged meanwhile", test_merged},
         {"a generation that is passed again", test_passed_again}, {"cursors as text", test_cursor_text},
         {"what is refused", test_refused});
