/*
 * test_exec_context.c - rows around those found, in one answer and over pages. Oracle: every record ever put
 * in, stream by stream, by the rule: from a row found on, in both directions, so many rows of its stream, but
 * never beyond another that matches.
 */
#include <stdlib.h>
#include <string.h>

#include "query/result.h"
#include "tests/unit/exec_fixture.h"

#define RECORDS 2500

struct ctx {
    struct lp_world w;
    struct lp_test_query query;
    struct lp_search s;
    bool (*matches)(const struct lp_rec *r);
    size_t *order; /* all records in query direction */
    enum lp_context *mark;
    bool *shown;
};

static bool
has_gamma(const struct lp_rec *r)
{
    return strstr(r->line, "gamma") != NULL && strcmp(r->pod, "pod-3") != 0;
}

static bool
ends_in_77(const struct lp_rec *r)
{
    const char *blank = strchr(r->line, ' ');
    return blank - r->line >= 2 && memcmp(blank - 2, "77", 2) == 0;
}

static void
set_query(struct ctx *c, const char *text, bool (*matches)(const struct lp_rec *r))
{
    lp_test_query_parse(&c->query, lp_str_c(text), true);
    c->s = lp_world_search(&c->w, &c->query);
    c->s.want_last = true;
    c->matches = matches;
}

static void
begin(struct ctx *c, enum lp_layout layout)
{
    memset(c, 0, sizeof(*c));
    lp_world_make(&c->w, RECORDS, layout);
    c->mark = lp_calloc(RECORDS, sizeof(*c->mark));
    c->shown = lp_calloc(RECORDS, sizeof(*c->shown));
}

static void
end(struct ctx *c)
{
    lp_world_close(&c->w);
    lp_free(c->mark);
    lp_free(c->shown);
}

static bool
in_range(const struct ctx *c, const struct lp_rec *r)
{
    return r->time_ns >= c->s.from_ns && r->time_ns < c->s.to_ns;
}

/* Shows up to n rows of the stream that stand behind order[at], going by step. */
static void
show(struct ctx *c, size_t at, int step, size_t n, enum lp_context mark)
{
    const struct lp_rec *hit = &c->w.v[c->order[at]];
    for (size_t i = at + (size_t)step; i < RECORDS && n > 0; i += (size_t)step) {
        const struct lp_rec *r = &c->w.v[c->order[i]];
        if (!lp_hash128_eq(r->stream, hit->stream)) {
            continue;
        }
        if (!in_range(c, r) || c->matches(r)) {
            return;
        }
        c->shown[c->order[i]] = true;
        c->mark[c->order[i]] = LP_MAX(c->mark[c->order[i]], mark);
        n--;
    }
}

/* Fills shown and mark; returns how many records are to be shown. */
static size_t
expect(struct ctx *c)
{
    struct lp_search all = c->s;
    size_t n, hits = 0, shown = 0;
    all.from_ns = LP_TIME_MIN;
    all.to_ns = LP_TIME_MAX;
    all.limit = SIZE_MAX;
    c->order = lp_world_answer(&c->w, &all, NULL, &n);
    memset(c->shown, 0, RECORDS * sizeof(*c->shown));
    memset(c->mark, 0, RECORDS * sizeof(*c->mark));
    for (size_t i = 0; i < n && hits < c->s.limit; i++) {
        const struct lp_rec *r = &c->w.v[c->order[i]];
        if (in_range(c, r) && c->matches(r)) {
            int older = c->s.backward ? 1 : -1;
            c->shown[c->order[i]] = true;
            show(c, i, older, c->s.context_before, LP_CONTEXT_BEFORE);
            show(c, i, -older, c->s.context_after, LP_CONTEXT_AFTER);
            hits++;
        }
    }
    for (size_t i = 0; i < n; i++) {
        shown += c->shown[i];
    }
    return shown;
}

static size_t
record_of(const struct ctx *c, const struct lp_found_row *row)
{
    uint64_t at = UINT64_MAX;
    struct lp_str rest = row->line;
    CU_ASSERT_TRUE_FATAL(lp_str_u64(lp_str_cut(&rest, ' '), &at) && at < c->w.n);
    return at;
}

/* Exactly the rows that are to be shown, in order, with their marks. */
static void
check(struct ctx *c)
{
    struct lp_found f;
    size_t want = expect(c), wrong = 0, k = 0;
    CU_ASSERT_EQUAL_FATAL(lp_search(&c->s, &f, NULL), LP_OK);
    CU_ASSERT_EQUAL(f.n, want);
    for (size_t i = 0; i < RECORDS; i++) {
        size_t at = c->order[i];
        if (!c->shown[at]) {
            continue;
        }
        if (k >= f.n || record_of(c, &f.rows[k]) != at || f.rows[k].context != c->mark[at] ||
            f.rows[k].nmeta != at % 2) {
            wrong++;
        }
        k++;
    }
    CU_ASSERT_EQUAL(wrong, 0);
    lp_found_clear(&f);
    lp_free(c->order);
}

static const struct {
    const char *text;
    bool (*matches)(const struct lp_rec *r);
} queries[] = {
    {"{app=~\".+\"} |= \"77 \"", ends_in_77},
    {"{app=~\".+\"} |= \"gamma\" | pod != \"pod-3\" | line_format `{{__line__}}`", has_gamma},
};

static void
rows_around_are_found(void)
{
    static const size_t counts[][2] = {{1, 1}, {0, 3}, {4, 0}, {17, 5}, {1000, 1000}};
    static const size_t limits[] = {1, 5, 60, 100000};
    for (int layout = 0; layout < LP_LAYOUTS; layout++) {
        struct ctx c;
        begin(&c, (enum lp_layout)layout);
        for (size_t q = 0; q < LP_ARRAY_LEN(queries); q++) {
            set_query(&c, queries[q].text, queries[q].matches);
            for (size_t i = 0; i < LP_ARRAY_LEN(counts) * LP_ARRAY_LEN(limits) * 4; i++) {
                c.s.context_before = counts[i / 4 % LP_ARRAY_LEN(counts)][0];
                c.s.context_after = counts[i / 4 % LP_ARRAY_LEN(counts)][1];
                c.s.limit = limits[i / 4 / LP_ARRAY_LEN(counts)];
                c.s.backward = i % 2 != 0;
                c.s.from_ns = i % 4 < 2 ? LP_TIME_MIN : 1100;
                c.s.to_ns = i % 4 < 2 ? LP_TIME_MAX : 1350;
                check(&c);
            }
            lp_test_query_clear(&c.query);
        }
        end(&c);
    }
}

/* All pages together show what one answer shows, each row once. */
static void
check_pages(struct ctx *c, size_t rows)
{
    struct lp_place place;
    struct lp_found f = {.more = true};
    c->s.limit = 1000000;
    size_t want = expect(c), sent = 0, wrong = 0;
    c->s.limit = rows;
    while (f.more) {
        CU_ASSERT_EQUAL_FATAL(lp_search(&c->s, &f, NULL), LP_OK);
        for (size_t i = 0; i < f.n; i++) {
            size_t at = record_of(c, &f.rows[i]);
            wrong += !c->shown[at];
            wrong += (f.rows[i].context == LP_CONTEXT_NONE) != c->matches(&c->w.v[at]);
            c->shown[at] = false; /* not a second time */
        }
        sent += f.n;
        place = f.last;
        c->s.after = &place;
        bool more = f.more;
        lp_found_clear(&f);
        f.more = more;
    }
    CU_ASSERT(sent == want && wrong == 0);
    c->s.after = NULL;
    lp_free(c->order);
}

static void
pages_fit_together(void)
{
    static const size_t counts[][2] = {{1, 1}, {0, 3}, {4, 0}, {5, 17}, {17, 5}};
    for (int layout = 0; layout < LP_LAYOUTS; layout++) {
        struct ctx c;
        begin(&c, (enum lp_layout)layout);
        for (size_t q = 0; q < LP_ARRAY_LEN(queries); q++) {
            set_query(&c, queries[q].text, queries[q].matches);
            for (size_t i = 0; i < LP_ARRAY_LEN(counts) * 2; i++) {
                c.s.context_before = counts[i / 2][0];
                c.s.context_after = counts[i / 2][1];
                c.s.backward = i % 2 != 0;
                check_pages(&c, q == 0 ? 3 : 40);
            }
            lp_test_query_clear(&c.query);
        }
        end(&c);
    }
}

static void
memory_is_bounded(void)
{
    struct ctx c;
    struct lp_found f;
    struct lp_err err;
    begin(&c, LP_MIXED);
    set_query(&c, queries[1].text, queries[1].matches);
    c.s.context_before = c.s.context_after = 1000;
    c.s.budget_bytes = 100000;
    CU_ASSERT_EQUAL(lp_search(&c.s, &f, &err), LP_ERR_LIMIT);
    c.s.context_before = c.s.context_after = 1;
    c.s.limit = 20;
    CU_ASSERT_EQUAL_FATAL(lp_search(&c.s, &f, &err), LP_OK);
    CU_ASSERT(f.used == 20 && f.n > 20 && f.more);
    lp_found_clear(&f);
    lp_test_query_clear(&c.query);
    end(&c);
}

static void
damage_leaves_the_rest(void)
{
    struct ctx c;
    struct lp_found f;
    begin(&c, LP_SEALED);
    lp_world_damage(&c.w);
    set_query(&c, queries[0].text, queries[0].matches);
    c.s.context_before = c.s.context_after = 3;
    CU_ASSERT_EQUAL_FATAL(lp_search(&c.s, &f, NULL), LP_OK);
    CU_ASSERT(f.stats.damaged > 0 && f.n > 0 && f.n < expect(&c));
    lp_free(c.order);
    lp_found_clear(&f);
    lp_test_query_clear(&c.query);
    end(&c);
}

LP_SUITE(exec_context, {"rows around are found", rows_around_are_found},
         {"pages fit together", pages_fit_together}, {"memory is bounded", memory_is_bounded},
         {"damage leaves the rest", damage_leaves_the_rest});
