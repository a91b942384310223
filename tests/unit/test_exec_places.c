/*
 * test_exec_places.c - pages by places: whole, without repeats, whatever arrives or is sealed between them.
 * Oracle: the order of all records ever put in.
 */
#include <string.h>

#include "tests/unit/exec_fixture.h"

static void
place_text_round_trips(void)
{
    static const struct lp_place places[] = {
        {0, {0, 0}, 0},
        {-5, {1, UINT64_MAX}, 7},
        {LP_TIME_MIN, {UINT64_MAX, 0x123456789abcdef0}, UINT64_MAX},
        {LP_TIME_MAX, {0xdeadbeef, 0x0102030405060708}, 12345678901},
    };
    for (size_t i = 0; i < LP_ARRAY_LEN(places); i++) {
        char text[LP_PLACE_TEXT];
        struct lp_place back;
        size_t n = lp_place_text(&places[i], text);
        CU_ASSERT_TRUE_FATAL(n < sizeof(text) && lp_place_parse(lp_str_of(text, n), &back));
        CU_ASSERT_EQUAL(back.time_ns, places[i].time_ns);
        CU_ASSERT_EQUAL(back.ordinal, places[i].ordinal);
        CU_ASSERT(lp_hash128_eq(back.stream, places[i].stream));
    }
}

static void
other_texts_are_refused(void)
{
    static const char *const bad[] = {
        "",
        "-",
        "5",
        "5-0-0",
        "x-00000000000000000000000000000000-0",
        "5-0000000000000000000000000000000g-0",
        "5-0000000000000000000000000000000-0",
        "5-000000000000000000000000000000000-0",
        "5-00000000000000000000000000000000-",
        "5-00000000000000000000000000000000--1",
        "5-00000000000000000000000000000000-18446744073709551616",
        "99999999999999999999-00000000000000000000000000000000-0",
        "-00000000000000000000000000000000-0",
        "5 -00000000000000000000000000000000-0",
    };
    for (size_t i = 0; i < LP_ARRAY_LEN(bad); i++) {
        struct lp_place p;
        CU_ASSERT_FALSE(lp_place_parse(lp_str_c(bad[i]), &p));
    }
}

struct pager {
    struct lp_world w;
    struct lp_search s;
    struct lp_place place;
    size_t *sent; /* indexes of records, by their number in the line */
    size_t nsent;
    size_t pages;
};

/* Reads one page and appends what it holds; false when it was the last. */
static bool
next_page(struct pager *p)
{
    struct lp_found f;
    p->s.after = p->pages > 0 ? &p->place : NULL;
    CU_ASSERT_EQUAL_FATAL(lp_search(&p->s, &f, NULL), LP_OK);
    for (size_t i = 0; i < f.n; i++) {
        uint64_t at;
        struct lp_str rest = f.rows[i].line;
        CU_ASSERT_TRUE_FATAL(lp_str_u64(lp_str_cut(&rest, ' '), &at) && at < p->w.n);
        p->sent = lp_realloc(p->sent, (p->nsent + 1) * sizeof(*p->sent));
        p->sent[p->nsent++] = at;
    }
    bool more = f.more;
    if (f.used > 0) {
        p->place = f.last;
        p->pages++;
    }
    lp_found_clear(&f);
    return more;
}

/* Every row behind the one before, in the direction. */
static bool
is_ordered(const struct pager *p)
{
    for (size_t i = 1; i < p->nsent; i++) {
        int order = lp_rec_cmp(&p->w.v[p->sent[i - 1]], &p->w.v[p->sent[i]]);
        if (p->s.backward ? order <= 0 : order >= 0) {
            return false;
        }
    }
    return true;
}

/* Whether a record lies behind the last one sent. */
static bool
is_ahead(const struct pager *p, size_t at)
{
    if (p->nsent == 0) {
        return true;
    }
    int order = lp_rec_cmp(&p->w.v[at], &p->w.v[p->sent[p->nsent - 1]]);
    return p->s.backward ? order < 0 : order > 0;
}

/* Puts records at times around the place; returns how many of them must still be sent. */
static size_t
disturb(struct pager *p)
{
    size_t before = p->w.n, ahead = 0;
    int64_t t = p->w.v[p->sent[p->nsent - 1]].time_ns;
    lp_world_put(&p->w, 20, t - 3, 6);
    for (size_t i = before; i < p->w.n; i++) {
        ahead += is_ahead(p, i);
    }
    if (p->pages % 5 == 0) {
        lp_world_seal(&p->w);
    }
    return ahead;
}

static void
pages_under_change(bool backward, bool cached, size_t page_bytes)
{
    struct pager p = {.nsent = 0};
    struct lp_test_query q;
    lp_test_query_parse(&q, LP_STR("{}"), true);
    lp_world_make(&p.w, 900, LP_MIXED);
    lp_world_put(&p.w, 200, 1200, 1); /* more equal rows than a page holds */
    size_t expected = p.w.n;
    p.s = lp_world_search(&p.w, &q);
    p.s.backward = backward;
    p.s.limit = 23;
    p.s.want_last = true;
    p.s.page_bytes = page_bytes;
    p.s.cache = cached ? lp_block_cache_new(1 << 20) : NULL;
    while (next_page(&p)) {
        if (p.pages < 40) {
            expected += disturb(&p);
        }
    }
    CU_ASSERT(p.pages > 40);
    CU_ASSERT_EQUAL(p.nsent, expected);
    CU_ASSERT(is_ordered(&p));
    lp_block_cache_free(p.s.cache);
    lp_free(p.sent);
    lp_test_query_clear(&q);
    lp_world_close(&p.w);
}

static void
pages_forward(void)
{
    pages_under_change(false, false, 0);
    pages_under_change(false, true, 300);
}

static void
pages_backward(void)
{
    pages_under_change(true, false, 0);
    pages_under_change(true, true, 300);
}

/* A place between rows that are equal but for their arrival: taken from the head, used in the segment. */
static void
places_outlive_a_seal(void)
{
    struct lp_test_query q;
    lp_test_query_parse(&q, LP_STR("{}"), true);
    for (int backward = 0; backward < 2; backward++) {
        struct pager p = {.nsent = 0};
        lp_world_open(&p.w);
        for (int i = 0; i < 6; i++) {
            lp_world_put(&p.w, 100, 5000, 1);
        }
        p.s = lp_world_search(&p.w, &q);
        p.s.backward = backward;
        p.s.limit = 23;
        p.s.want_last = true;
        while (next_page(&p)) {
            if (p.pages == 3) {
                lp_world_seal(&p.w);
            }
        }
        CU_ASSERT_EQUAL(p.nsent, p.w.n);
        CU_ASSERT(is_ordered(&p));
        lp_free(p.sent);
        lp_world_close(&p.w);
    }
    lp_test_query_clear(&q);
}

/* A place in a stream that the query does not select still cuts the order at the same point. */
static void
foreign_places_cut_too(void)
{
    struct lp_world w;
    struct lp_test_query q;
    struct lp_found f;
    lp_test_query_parse(&q, LP_STR("{app=\"app-0\"}"), true);
    lp_world_make(&w, 600, LP_MIXED);
    struct lp_place place = {1250, w.v[0].stream, 3};
    place.stream.lo ^= 1;
    struct lp_rec at = {.time_ns = place.time_ns, .stream = place.stream};
    for (int backward = 0; backward < 2; backward++) {
        struct lp_search s = lp_world_search(&w, &q);
        s.after = &place;
        s.backward = backward;
        size_t expected = 0;
        for (size_t i = 0; i < w.n; i++) {
            int order = lp_rec_cmp(&w.v[i], &at);
            expected += strcmp(w.v[i].app, "app-0") == 0 && (backward ? order < 0 : order > 0);
        }
        CU_ASSERT_EQUAL_FATAL(lp_search(&s, &f, NULL), LP_OK);
        CU_ASSERT(f.n > 10);
        CU_ASSERT_EQUAL(f.n, expected);
        lp_found_clear(&f);
    }
    lp_test_query_clear(&q);
    lp_world_close(&w);
}

LP_SUITE(exec_places, {"a place as text and back", place_text_round_trips},
         {"other texts are refused", other_texts_are_refused},
         {"pages forward, while rows come", pages_forward},
         {"pages backward, while rows come", pages_backward},
         {"places outlive a seal", places_outlive_a_seal},
         {"places of other streams cut too", foreign_places_cut_too});
