/*
 * test_retain_view.c - what has expired is not there for a view. Oracle: a plain list of all rows, and the
 * cutoff of each by the stream's own rule (lp_cutoffs_stream, which test_retain_plan.c holds against a plain
 * evaluation).
 */
#include "store/view.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/maintain.h"
#include "store/retain.h"
#include "store/store_int.h"
#include "tests/unit/select_fixture.h"
#include "tests/unit/store_fixture.h"

#define SOON (lp_mono_ns() + 60 * LP_NS_PER_S)
#define STREAMS 40
#define ROWS 4000
#define SPAN 1000 /* times are below it */

struct row {
    uint32_t stream;
    int64_t time_ns;
    bool young; /* in a segment that is too young, or in the head */
};

struct world {
    struct lp_store *st;
    struct row rows[ROWS];
    size_t n;
    int64_t cut[STREAMS];
    uint64_t seed;
};

static const char *const spaces[] = {"a", "b", "c"};
static const char *const apps[] = {"x", "y"};

/* The labels of stream i; text holds its pod's name. */
static size_t
labels_of(uint32_t i, struct lp_pair out[4], char text[16])
{
    snprintf(text, 16, "p%u", i);
    out[0] = (struct lp_pair){LP_STR("app"), lp_str_c(apps[i % 2])};
    out[1] = (struct lp_pair){LP_STR("container"), i % 5 ? LP_STR("main") : LP_STR("side")};
    out[2] = (struct lp_pair){LP_STR("namespace"), lp_str_c(spaces[i % 3])};
    out[3] = (struct lp_pair){LP_STR("pod"), lp_str_c(text)};
    return 4;
}

/* Some rows as a batch of their own; times of a batch lie close together, but for some. */
static void
put_rows(struct world *w, size_t n, uint64_t position)
{
    struct lp_batch *b = lp_batch_new(LP_STR_NULL, SIZE_MAX, 0);
    unsigned base = lp_test_below(&w->seed, SPAN - 200);
    for (size_t i = 0; i < n; i++) {
        struct row *r = &w->rows[w->n];
        struct lp_pair labels[4];
        char pod[16], line[32];
        uint32_t s;
        r->stream = lp_test_below(&w->seed, STREAMS);
        r->time_ns = lp_test_below(&w->seed, 10) == 0 ? lp_test_below(&w->seed, SPAN)
                                                      : base + lp_test_below(&w->seed, 200);
        size_t k = labels_of(r->stream, labels, pod);
        snprintf(line, sizeof(line), "row %zu", w->n++);
        CU_ASSERT_EQUAL_FATAL(lp_batch_stream(b, labels, k, NULL, &s, NULL), LP_OK);
        CU_ASSERT_EQUAL_FATAL(lp_batch_add(b, s, r->time_ns, lp_str_c(line), false, NULL, 0, NULL), LP_OK);
    }
    lp_batch_finish(b);
    CU_ASSERT_EQUAL_FATAL(lp_put(w->st, b, position), LP_OK);
}

static bool
note_group(void *arg, uint64_t id, struct lp_str key)
{
    lp_cutoffs_note_group(arg, id, key);
    return true;
}

/* A snapshot whose rules and times are drawn; the store takes it as its own. */
static void
draw_cutoffs(struct world *w, int64_t received_before_ns)
{
    static const char *const lines[] = {"namespace=a age=1d",
                                        "selector={app=\"x\"} age=2d",
                                        "selector={app=\"y\",namespace=\"b\"} age=3d",
                                        "namespace=b age=4d",
                                        "age=5d",
                                        "selector={pod=\"p7\"} age=6d"};
    struct lp_buf text;
    struct lp_rules *rules;
    struct lp_cat_txn *t;
    lp_buf_init(&text, 4096);
    for (size_t i = 0; i < LP_ARRAY_LEN(lines); i++) {
        const char *line = lines[lp_test_below(&w->seed, LP_ARRAY_LEN(lines))];
        lp_buf_printf(&text, "%s\n", lp_test_below(&w->seed, 2) ? line : "");
    }
    CU_ASSERT_EQUAL_FATAL(lp_rules_parse(lp_buf_view(&text), &lp_test_select, &rules, NULL), LP_OK);
    lp_buf_clear(&text);
    struct lp_cutoffs *c = lp_cutoffs_new(rules);
    for (size_t i = 0; i < rules->n; i++) {
        c->rule_ns[i] = lp_test_below(&w->seed, SPAN);
    }
    c->all_ns = lp_test_below(&w->seed, 2) ? (int64_t)lp_test_below(&w->seed, SPAN / 3) : LP_TIME_MIN;
    c->received_before_ns = received_before_ns;
    CU_ASSERT_EQUAL_FATAL(lp_cat_begin(lp_store_catalog(w->st), &t, NULL), LP_OK);
    CU_ASSERT_EQUAL_FATAL(lp_cat_group_keys(t, note_group, c, NULL), LP_OK);
    lp_cat_end(t);
    for (uint32_t i = 0; i < STREAMS; i++) {
        struct lp_pair labels[4];
        char pod[16];
        struct lp_stream_key k = {LP_STR_NULL, labels, labels_of(i, labels, pod), {LP_STR_NULL, LP_STR_NULL}};
        w->cut[i] = lp_cutoffs_stream(c, &k);
    }
    lp_cutoffs_unref(w->st->cutoffs);
    w->st->cutoffs = c;
}

static bool
is_value(const void *arg, struct lp_str value)
{
    return lp_str_eqc(value, arg);
}

/* Which rows a selection wants: all, a namespace, or a pod. */
struct wish {
    const char *name, *value;
    int64_t from_ns, to_ns;
};

static bool
stream_wanted(const struct wish *q, uint32_t stream)
{
    struct lp_pair labels[4];
    char pod[16];
    size_t n = labels_of(stream, labels, pod);
    for (size_t i = 0; i < n && q->name != NULL; i++) {
        if (lp_str_eqc(labels[i].name, q->name)) {
            return lp_str_eqc(labels[i].value, q->value);
        }
    }
    return true;
}

static bool
row_wanted(const struct world *w, const struct wish *q, const struct row *r)
{
    return stream_wanted(q, r->stream) && r->time_ns >= q->from_ns && r->time_ns < q->to_ns &&
           (r->young || r->time_ns >= w->cut[r->stream]);
}

static struct lp_view *
select_view(const struct world *w, const struct wish *q)
{
    struct lp_str value = q->value != NULL ? lp_str_c(q->value) : LP_STR_NULL;
    struct lp_select_matcher m = {.name = q->name != NULL ? lp_str_c(q->name) : LP_STR_NULL,
                                  .passes = is_value,
                                  .arg = q->value,
                                  .values = &value,
                                  .nvalues = 1};
    struct lp_select_all all = {&m, 1};
    struct lp_selector sel = {&all, q->name != NULL, false, NULL};
    struct lp_view *v;
    CU_ASSERT_EQUAL_FATAL(lp_view_open(w->st, LP_STR_NULL, &v, NULL), LP_OK);
    CU_ASSERT_EQUAL_FATAL(lp_view_select(v, &sel, 1 << 20, NULL), LP_OK);
    return v;
}

/* Marks the rows that a scan of the part gives; none twice. */
static void
read_part(struct lp_view *v, const struct lp_part *part, const struct wish *q, bool backward, bool *seen)
{
    struct lp_codec *codec = lp_codec_new();
    struct lp_scan *s;
    struct lp_scan_row row;
    CU_ASSERT_EQUAL_FATAL(lp_scan_open(v, part, codec, q->from_ns, q->to_ns, backward, &s, NULL), LP_OK);
    CU_ASSERT_EQUAL_FATAL(lp_scan_start(s, NULL, NULL, NULL, NULL), LP_OK);
    while (lp_scan_next(s, &row)) {
        struct lp_str line;
        uint64_t i;
        CU_ASSERT_EQUAL_FATAL(lp_scan_line(s, &line, NULL), LP_OK);
        CU_ASSERT_FATAL(lp_str_u64(lp_str_sub(line, 4, line.n), &i) && i < ROWS && !seen[i]);
        seen[i] = true;
    }
    lp_scan_close(s);
    lp_codec_free(codec);
}

static void
check_rows(const struct world *w, const struct wish *q, bool runs, bool backward)
{
    bool *seen = lp_calloc(ROWS, sizeof(*seen));
    struct lp_view *v = select_view(w, q);
    const struct lp_part *parts;
    size_t n, damaged;
    CU_ASSERT_EQUAL_FATAL(lp_view_parts(v, q->from_ns, q->to_ns, runs, &parts, &n, &damaged, NULL), LP_OK);
    CU_ASSERT_EQUAL(damaged, 0);
    for (size_t i = 0; i < n; i++) {
        if (parts[i].seg != NULL && !parts[i].cut) { /* what shortcuts rely on: nothing in it has expired */
            for (uint32_t k = 0; k < parts[i].nruns; k++) {
                CU_ASSERT(parts[i].runs[k].min_ns >= parts[i].runs[k].from_ns);
            }
        }
        read_part(v, &parts[i], q, backward, seen);
    }
    lp_view_free(v);
    size_t wrong = 0;
    for (size_t i = 0; i < w->n; i++) {
        wrong += seen[i] != row_wanted(w, q, &w->rows[i]);
    }
    CU_ASSERT_EQUAL(wrong, 0);
    lp_free(seen);
}

struct streams_seen {
    struct lp_view *v;
    bool seen[STREAMS];
};

static bool
note_stream(void *arg, uint32_t index)
{
    struct streams_seen *s = arg;
    const struct lp_vstream *vs;
    uint64_t i;
    CU_ASSERT_EQUAL_FATAL(lp_view_stream(s->v, index, &vs, NULL), LP_OK);
    struct lp_str pod = lp_stream_key_label(&vs->key, LP_STR("pod"));
    CU_ASSERT_FATAL(lp_str_u64(lp_str_sub(pod, 1, pod.n), &i) && i < STREAMS);
    s->seen[i] = true;
    return true;
}

/* Streams whose rows have all expired are not seen; those with a row in the range are. Between the two stream
 * tables do not tell. */
static void
check_streams(const struct world *w, const struct wish *q)
{
    struct streams_seen s = {.v = select_view(w, q)};
    size_t damaged;
    CU_ASSERT_EQUAL_FATAL(lp_view_seen(s.v, q->from_ns, q->to_ns, note_stream, &s, &damaged, NULL), LP_OK);
    lp_view_free(s.v);
    bool has[STREAMS] = {false}, left[STREAMS] = {false};
    for (size_t i = 0; i < w->n; i++) {
        const struct row *r = &w->rows[i];
        has[r->stream] |= row_wanted(w, q, r);
        left[r->stream] |= r->young || r->time_ns >= w->cut[r->stream];
    }
    for (uint32_t i = 0; i < STREAMS; i++) {
        CU_ASSERT(!has[i] || s.seen[i]);
        CU_ASSERT(!s.seen[i] || (left[i] && stream_wanted(q, i)));
    }
}

static void
draw_and_check(struct world *w)
{
    static const struct wish wishes[] = {{NULL, NULL, 0, 0},
                                         {"namespace", "a", 0, 0},
                                         {"namespace", "b", 0, 0},
                                         {"app", "y", 0, 0},
                                         {"pod", "p7", 0, 0}};
    struct wish q = wishes[lp_test_below(&w->seed, LP_ARRAY_LEN(wishes))];
    q.from_ns = lp_test_below(&w->seed, 2) ? LP_TIME_MIN : (int64_t)lp_test_below(&w->seed, SPAN);
    q.to_ns = lp_test_below(&w->seed, 2) ? LP_TIME_MAX : (int64_t)lp_test_below(&w->seed, SPAN);
    check_rows(w, &q, lp_test_below(&w->seed, 2), lp_test_below(&w->seed, 2));
    check_streams(w, &q);
}

/* What nobody sees any more does not come back in a file that is younger than its own. */
static void
merge_and_check(struct world *w)
{
    struct wish all = {NULL, NULL, LP_TIME_MIN, LP_TIME_MAX};
    struct lp_err err;
    size_t hidden = 0;
    for (size_t i = 0; i < w->n; i++) {
        hidden += !row_wanted(w, &all, &w->rows[i]);
    }
    CU_ASSERT(hidden > 100);
    CU_ASSERT_EQUAL_FATAL(lp_maintain_compact(lp_store_maintain(w->st), SOON, &err), LP_OK);
    check_rows(w, &all, false, false);
    lp_cutoffs_unref(w->st->cutoffs);
    w->st->cutoffs = NULL;
    check_rows(w, &all, false, false);
}

static void
views_are_what_a_plain_list_says(void)
{
    struct world *w = lp_calloc(1, sizeof(*w));
    w->seed = 4711;
    CU_ASSERT_EQUAL_FATAL(lp_open_store(lp_test_dir(), NULL, 16 << 20, &w->st, NULL), LP_OK);
    uint64_t position = 1;
    for (unsigned i = 0; i < 4; i++) {
        put_rows(w, 500, position++);
        put_rows(w, 300, position++);
        CU_ASSERT_EQUAL_FATAL(lp_store_seal(w->st, SOON, NULL), LP_OK);
    }
    int64_t old_ns = lp_now_ns();
    size_t old = w->n;
    put_rows(w, 400, position++);
    CU_ASSERT_EQUAL_FATAL(lp_store_seal(w->st, SOON, NULL), LP_OK);
    put_rows(w, 300, position++);
    for (size_t i = old; i < w->n; i++) {
        w->rows[i].young = true;
    }
    for (unsigned i = 0; i < 60; i++) {
        draw_cutoffs(w, old_ns);
        for (unsigned k = 0; k < 6; k++) {
            draw_and_check(w);
        }
    }
    merge_and_check(w);
    lp_store_free(w->st);
    lp_free(w);
}

LP_SUITE(retain_view, {"views are what a plain list says", views_are_what_a_plain_list_says});
