/*
 * test_select.c - which streams a query selects. Oracle: every stream looked at by itself, its labels and its
 * rows in plain arrays; selectors, ranges and streams are drawn.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "query/exec_int.h"
#include "query/print.h"
#include "query/result.h"
#include "tests/unit/exec_fixture.h"

#define STREAMS 300
#define ROWS 1500
#define RUNS (ROWS / 50 + 2)
#define LABELS 7
#define SLACK_NS 20 /* all rows are within 15,400 ns */

/* service_name, some of its sources, and others. */
static const char *const names[LABELS] = {"app", "container",    "job", "namespace",
                                          "pod", "service_name", "text"};

struct stream {
    struct lp_pair labels[LABELS];
    size_t n;
    char text[LABELS][320];
    bool second; /* of the tenant `two` */
    bool quarantine;
};

struct row {
    size_t stream;
    int64_t time_ns;
    unsigned run; /* the generation, in the head the batch: what is known of its times without reading them */
};

struct town {
    struct lp_world w;
    struct stream *v;
    size_t n;
    struct row rows[ROWS];
    size_t nrows;
    unsigned run;
    int64_t min_ns[STREAMS][RUNS], max_ns[STREAMS][RUNS]; /* of each stream's rows in each run */
    uint64_t seed;
    size_t own; /* parts of blocks that said whose their rows are */
};

static void
make_stream(struct town *t)
{
    struct stream *s = &t->v[t->n];
    memset(s, 0, sizeof(*s));
    for (size_t i = 0; i < RUNS; i++) {
        t->min_ns[t->n][i] = LP_TIME_MAX;
        t->max_ns[t->n][i] = LP_TIME_MIN;
    }
    s->second = lp_test_below(&t->seed, 6) == 0;
    s->quarantine = lp_test_below(&t->seed, 12) == 0;
    for (size_t i = 0; i < LABELS; i++) {
        unsigned r = lp_test_below(&t->seed, 1000);
        char *text = s->text[i];
        if (i != 4 && r % 3 == 0) {
            continue;
        }
        if (i == 4) {
            snprintf(text, sizeof(s->text[i]), "pod-%zu", t->n);
        } else if (i == 6) { /* too long for a key, and different only behind what fits */
            memset(text, 'y', 300);
            text[0] = (char)('a' + r % 2);
            text[198 + r % 8] = 'z';
        } else {
            snprintf(text, sizeof(s->text[i]), "%c%u", "ab"[r % 2], r % (i == 0 ? 11 : 4));
        }
        s->labels[s->n++] = (struct lp_pair){lp_str_c(names[i]), lp_str_c(text)};
    }
    if (s->quarantine) {
        memmove(s->labels + 1, s->labels, (s->n < LABELS ? s->n : LABELS - 1) * sizeof(*s->labels));
        s->n = LP_MIN(s->n + 1, (size_t)LABELS);
        s->labels[0] = (struct lp_pair){LP_STR(LP_QUARANTINE_LABEL), LP_STR("kafka")};
    }
    t->n++;
}

/* A row whose line is its number. */
static void
put_row(struct town *t, struct lp_batch *b)
{
    size_t at = lp_test_below(&t->seed, (unsigned)LP_MIN(t->n + 4, (size_t)STREAMS));
    while (at >= t->n) {
        make_stream(t);
    }
    const struct stream *s = &t->v[at];
    uint32_t stream;
    char line[16];
    struct row *r = &t->rows[t->nrows];
    snprintf(line, sizeof(line), "%zu", t->nrows);
    *r = (struct row){at, (int64_t)(t->nrows * 10 + lp_test_below(&t->seed, 400)), t->run};
    CU_ASSERT_TRUE_FATAL(lp_batch_set_tenant(b, s->second ? LP_STR("two") : LP_STR_NULL));
    CU_ASSERT_EQUAL_FATAL(lp_batch_stream(b, s->labels, s->n, NULL, &stream, NULL), LP_OK);
    CU_ASSERT_EQUAL_FATAL(lp_batch_add(b, stream, r->time_ns, lp_str_c(line), false, NULL, 0, NULL), LP_OK);
    t->min_ns[at][t->run] = LP_MIN(t->min_ns[at][t->run], r->time_ns);
    t->max_ns[at][t->run] = LP_MAX(t->max_ns[at][t->run], r->time_ns);
    t->nrows++;
}

static void
fill(struct town *t, size_t rows, bool seal)
{
    for (size_t i = 0; i < rows; i += 50) {
        struct lp_batch *b = lp_batch_new(LP_STR_NULL, SIZE_MAX, 4096);
        for (size_t k = 0; k < 50; k++) {
            put_row(t, b);
        }
        lp_batch_finish(b);
        CU_ASSERT_EQUAL_FATAL(lp_put(t->w.st, b, t->w.next_position++), LP_OK);
        if (seal && i % 150 == 100) {
            lp_world_seal(&t->w);
        }
        t->run += !seal || i % 150 == 100;
    }
    t->run++;
    if (seal) {
        lp_world_seal(&t->w);
    }
}

/* ------------------------------------------------------------------ drawn selectors */

static void
draw_value(struct town *t, size_t label, bool regex, struct lp_buf *out)
{
    static const char *const patterns[] = {".+",    ".*",  "",        "a.*",       "b[0-3]",
                                           "a0|b1", ".*1", "pod-1.*", "unknown.*", "a?"};
    unsigned r = lp_test_below(&t->seed, 100);
    const struct stream *s = &t->v[lp_test_below(&t->seed, (unsigned)t->n)];
    struct lp_str have = lp_labels_get(s->labels, s->n, lp_str_c(names[label]));
    if (regex && r < 70) {
        lp_buf_c(out, patterns[r % LP_ARRAY_LEN(patterns)]);
    } else if (regex && label == 6 && have.n > 250) {
        lp_buf_str(out, lp_str_sub(have, 0, 199));
        lp_buf_c(out, ".*");
    } else if (r % 10 == 0) {
        lp_buf_c(out, r % 20 == 0 ? "none" : "");
    } else if (r % 10 == 1) {
        lp_buf_c(out, LP_SERVICE_UNKNOWN);
    } else {
        lp_buf_str(out, have);
    }
}

static void
draw_selector(struct town *t, struct lp_buf *out)
{
    static const char *const ops[] = {"=", "!=", "=~", "!~"};
    unsigned n = lp_test_below(&t->seed, 4);
    lp_buf_reset(out);
    lp_buf_byte(out, '{');
    for (unsigned i = 0; i < n; i++) {
        size_t label = lp_test_below(&t->seed, LABELS);
        unsigned op = lp_test_below(&t->seed, 4);
        bool quarantine = lp_test_below(&t->seed, 15) == 0;
        lp_buf_printf(out, "%s%s%s\"", i > 0 ? "," : "", quarantine ? LP_QUARANTINE_LABEL : names[label],
                      ops[op]);
        draw_value(t, label, op >= 2, out);
        lp_buf_byte(out, '"');
    }
    lp_buf_byte(out, '}');
}

/* ------------------------------------------------------------------ the oracle */

struct wanted {
    const struct lp_log_query *any[3];
    struct lp_matchers *compiled[3];
    size_t n;
    bool second;
    int64_t from_ns, to_ns;
};

static bool
names_it(const struct wanted *q, const char *name)
{
    bool names_it = false;
    for (size_t i = 0; i < q->n; i++) {
        for (size_t k = 0; k < q->any[i]->nmatchers; k++) {
            names_it = names_it || lp_str_eqc(q->any[i]->matchers[k].name, name);
        }
    }
    return names_it;
}

static bool
is_selected(const struct wanted *q, const struct stream *s)
{
    struct lp_pair labels[LP_STREAM_LABELS_MAX];
    size_t n = lp_stream_labels(s->labels, s->n, labels);
    bool any = q->n == 0;
    for (size_t i = 0; i < q->n; i++) {
        any = any || lp_matchers_match(q->compiled[i], labels, n);
    }
    return any && s->second == q->second && (!s->quarantine || names_it(q, LP_QUARANTINE_LABEL));
}

static bool
has_row(const struct wanted *q, const struct row *r)
{
    return r->time_ns >= q->from_ns && r->time_ns < q->to_ns;
}

/*
 * Has the stream rows in the range, as far as the smallest and largest times of its runs tell? Stream tables
 * tell them roughly, within a 1,024th of what a page spans.
 */
static bool
is_seen(const struct town *t, const struct wanted *q, size_t stream, int64_t slack_ns)
{
    bool any = false;
    for (unsigned run = 0; run < t->run && !any; run++) {
        any = t->min_ns[stream][run] <= t->max_ns[stream][run] &&
              t->max_ns[stream][run] + slack_ns >= q->from_ns && t->min_ns[stream][run] - slack_ns < q->to_ns;
    }
    return any;
}

static int
by_bytes(const void *a, const void *b)
{
    return lp_str_cmp(*(const struct lp_str *)a, *(const struct lp_str *)b);
}

/* Texts, sorted, each once. */
static size_t
unique(struct lp_str *v, size_t n)
{
    size_t kept = 0;
    qsort(v, n, sizeof(*v), by_bytes);
    for (size_t i = 0; i < n; i++) {
        if (kept == 0 || !lp_str_eq(v[i], v[kept - 1])) {
            v[kept++] = v[i];
        }
    }
    return kept;
}

/* What the labels of the streams with rows are: their names, or the values of one. */
static size_t
oracle_names(const struct town *t, const struct wanted *q, const char *name, int64_t slack_ns,
             struct lp_str *ret)
{
    size_t n = 0;
    for (size_t i = 0; i < t->n; i++) {
        const struct stream *s = &t->v[i];
        if (is_selected(q, s) && is_seen(t, q, i, slack_ns)) {
            struct lp_pair labels[LP_STREAM_LABELS_MAX];
            size_t k = lp_stream_labels(s->labels, s->n, labels);
            for (size_t j = 0; j < k; j++) {
                if (name == NULL || lp_str_eqc(labels[j].name, name)) {
                    ret[n++] = name == NULL ? labels[j].name : labels[j].value;
                }
            }
        }
    }
    return unique(ret, n);
}

/* ------------------------------------------------------------------ comparing */

static void
fail(const struct wanted *q, const char *what)
{
    fprintf(stderr, "%s:", what);
    for (size_t i = 0; i < q->n; i++) {
        struct lp_buf text;
        lp_buf_init(&text, 1 << 16);
        lp_logql_print_selector(q->any[i], &text);
        fprintf(stderr, " %.*s", (int)text.n, text.p);
        lp_buf_clear(&text);
    }
    fprintf(stderr, " tenant %d [%lld, %lld)\n", q->second, (long long)q->from_ns, (long long)q->to_ns);
    CU_FAIL_FATAL("another answer");
}

static void
check_rows(const struct town *t, const struct wanted *q)
{
    struct lp_search s = {.store = t->w.st,
                          .tenant = q->second ? LP_STR("two") : LP_STR_NULL,
                          .log = q->any[0],
                          .from_ns = q->from_ns,
                          .to_ns = q->to_ns,
                          .limit = 100000,
                          .pool = t->w.pool,
                          .deadline_ns = INT64_MAX,
                          .budget_bytes = 64u << 20};
    struct lp_found f;
    static bool found[ROWS];
    memset(found, 0, sizeof(found));
    CU_ASSERT_EQUAL_FATAL(lp_search(&s, &f, NULL), LP_OK);
    for (size_t i = 0; i < f.n; i++) {
        uint64_t at;
        const struct lp_vstream *vs = f.streams[f.rows[i].stream];
        CU_ASSERT_TRUE_FATAL(lp_str_u64(f.rows[i].line, &at) && at < t->nrows && !found[at]);
        found[at] = true;
        const struct stream *st = &t->v[t->rows[at].stream];
        bool same = vs->key.nlabels == st->n;
        for (size_t k = 0; k < st->n && same; k++) {
            same = lp_str_eq(vs->key.labels[k].name, st->labels[k].name) &&
                   lp_str_eq(vs->key.labels[k].value, st->labels[k].value);
        }
        if (!same) {
            fail(q, "labels of a row");
        }
    }
    for (size_t i = 0; i < t->nrows; i++) {
        if (found[i] != (has_row(q, &t->rows[i]) && is_selected(q, &t->v[t->rows[i].stream]))) {
            fail(q, "rows");
        }
    }
    lp_found_clear(&f);
}

static struct lp_streams_query
query_of(const struct town *t, const struct wanted *q)
{
    return (struct lp_streams_query){.store = t->w.st,
                                     .tenant = q->second ? LP_STR("two") : LP_STR_NULL,
                                     .selectors = q->any,
                                     .nselectors = q->n,
                                     .from_ns = q->from_ns,
                                     .to_ns = q->to_ns,
                                     .budget_bytes = 8u << 20,
                                     .deadline_ns = INT64_MAX};
}

/* Are all of a in b? Both sorted. */
static bool
is_within(const struct lp_str *a, size_t na, const struct lp_str *b, size_t nb)
{
    size_t k = 0;
    for (size_t i = 0; i < na; i++, k++) {
        while (k < nb && lp_str_cmp(b[k], a[i]) < 0) {
            k++;
        }
        if (k == nb || !lp_str_eq(b[k], a[i])) {
            return false;
        }
    }
    return true;
}

static void
check_names(const struct town *t, const struct wanted *q, const char *name)
{
    static struct lp_str least[STREAMS * (LABELS + 1)], most[STREAMS * (LABELS + 1)];
    struct lp_streams_query sq = query_of(t, q);
    struct lp_names got;
    struct lp_str wanted = name != NULL ? lp_str_c(name) : LP_STR_NULL;
    size_t n = oracle_names(t, q, name, 0, least), m = oracle_names(t, q, name, SLACK_NS, most);
    CU_ASSERT_EQUAL_FATAL(lp_streams_names(&sq, name != NULL ? &wanted : NULL, &got, NULL), LP_OK);
    bool same = is_within(least, n, got.v, got.n) && is_within(got.v, got.n, most, m);
    lp_names_clear(&got);
    if (!same) {
        fail(q, name != NULL ? name : "names");
    }
}

/* The texts of the sets of labels of selected streams that are seen. */
static size_t
oracle_sets(const struct town *t, const struct wanted *q, int64_t slack_ns, struct lp_arena *ar,
            struct lp_str *ret)
{
    struct lp_buf text;
    size_t n = 0;
    lp_buf_init(&text, 1 << 16);
    for (size_t i = 0; i < t->n; i++) {
        const struct stream *s = &t->v[i];
        if (is_selected(q, s) && is_seen(t, q, i, slack_ns)) {
            struct lp_pair labels[LP_STREAM_LABELS_MAX];
            lp_buf_reset(&text);
            lp_labels_text(labels, lp_stream_labels(s->labels, s->n, labels), &text);
            CU_ASSERT_TRUE_FATAL(lp_arena_str(ar, lp_buf_view(&text), &ret[n++]));
        }
    }
    lp_buf_clear(&text);
    return unique(ret, n);
}

static void
check_sets(const struct town *t, const struct wanted *q)
{
    static struct lp_str least[STREAMS], most[STREAMS], got[STREAMS];
    struct lp_arena ar;
    struct lp_buf text;
    struct lp_label_sets sets;
    struct lp_streams_query sq = query_of(t, q);
    lp_arena_init(&ar, SIZE_MAX, 0);
    lp_buf_init(&text, 1 << 16);
    size_t n = oracle_sets(t, q, 0, &ar, least), m = oracle_sets(t, q, SLACK_NS, &ar, most);
    CU_ASSERT_EQUAL_FATAL(lp_streams_find(&sq, &sets, NULL), LP_OK);
    CU_ASSERT_TRUE_FATAL(sets.n <= STREAMS);
    for (size_t i = 0; i < sets.n; i++) {
        lp_buf_reset(&text);
        lp_labels_text(sets.v[i].labels, sets.v[i].n, &text);
        CU_ASSERT_TRUE_FATAL(lp_arena_str(&ar, lp_buf_view(&text), &got[i]));
    }
    if (!is_within(least, n, got, sets.n) || !is_within(got, sets.n, most, m)) {
        fail(q, "series");
    }
    lp_label_sets_clear(&sets);
    lp_buf_clear(&text);
    lp_arena_clear(&ar);
}

static void
check_counts(const struct town *t, const struct wanted *q)
{
    struct lp_stream_counts counts;
    size_t rows = 0, streams = 0;
    for (size_t i = 0; i < t->n; i++) {
        size_t before = rows;
        for (size_t k = 0; k < t->nrows && is_selected(q, &t->v[i]); k++) {
            rows += t->rows[k].stream == i && has_row(q, &t->rows[k]);
        }
        streams += rows > before;
    }
    struct lp_streams_query sq = query_of(t, q);
    CU_ASSERT_EQUAL_FATAL(lp_streams_count(&sq, &counts, NULL), LP_OK);
    if (counts.streams != streams || counts.entries != rows) {
        fail(q, "counts");
    }
}

/* Every row of the view's parts: its place, whose it is, when. */
static size_t
read_rows(const struct town *t, const struct wanted *q, bool runs, struct lp_arena *ar, struct lp_str *ret,
          size_t *ret_own)
{
    struct lp_view *v;
    const struct lp_part *parts;
    size_t nparts, damaged, n = 0;
    struct lp_codec *codec = lp_codec_new();
    CU_ASSERT_EQUAL_FATAL(
        lp_exec_view(t->w.st, q->second ? LP_STR("two") : LP_STR_NULL, q->any, q->n, NULL, 8u << 20, &v, NULL),
        LP_OK);
    CU_ASSERT_EQUAL_FATAL(lp_view_parts(v, q->from_ns, q->to_ns, runs, &parts, &nparts, &damaged, NULL),
                          LP_OK);
    *ret_own = 0;
    for (size_t i = 0; i < nparts; i++) {
        struct lp_scan *s;
        struct lp_scan_row row;
        const struct lp_vstream *vs;
        char text[160];
        *ret_own += parts[i].own;
        CU_ASSERT_EQUAL_FATAL(lp_scan_open(v, &parts[i], codec, q->from_ns, q->to_ns, i % 2, &s, NULL),
                              LP_OK);
        CU_ASSERT_EQUAL_FATAL(lp_scan_start(s, NULL, NULL, NULL, NULL), LP_OK);
        while (lp_scan_next(s, &row)) {
            CU_ASSERT_EQUAL_FATAL(lp_view_stream(v, row.stream, &vs, NULL), LP_OK);
            int len =
                snprintf(text, sizeof(text), "%llu %llx %lld %llx %llx", (unsigned long long)row.generation,
                         (unsigned long long)row.arrival, (long long)row.time_ns,
                         (unsigned long long)vs->hash.hi, (unsigned long long)vs->hash.lo);
            CU_ASSERT_TRUE_FATAL(n < ROWS && lp_arena_str(ar, lp_str_of(text, (size_t)len), &ret[n++]));
        }
        lp_scan_close(s);
    }
    lp_view_free(v);
    lp_codec_free(codec);
    qsort(ret, n, sizeof(*ret), by_bytes);
    return n;
}

/* Blocks that say themselves which rows are whose, and the stream tables: the same rows. */
static void
check_parts(struct town *t, const struct wanted *q)
{
    static struct lp_str own[ROWS], told[ROWS];
    struct lp_arena ar;
    size_t nown, none;
    lp_arena_init(&ar, SIZE_MAX, 0);
    size_t n = read_rows(t, q, false, &ar, own, &nown), k = read_rows(t, q, true, &ar, told, &none);
    bool same = n == k && none == 0;
    for (size_t i = 0; i < n && same; i++) {
        same = lp_str_eq(own[i], told[i]);
    }
    t->own += nown;
    lp_arena_clear(&ar);
    if (!same) {
        fail(q, "parts");
    }
}

/* One question of up to three selectors, asked in all ways. */
static void
ask(struct town *t)
{
    struct lp_test_query parsed[3];
    struct wanted q = {.n = lp_test_below(&t->seed, 4), .second = lp_test_below(&t->seed, 4) == 0};
    struct lp_buf text;
    lp_buf_init(&text, 1 << 16);
    q.n = q.n == 0 || q.n == 3 ? 1 : q.n;
    q.n = lp_test_below(&t->seed, 10) == 0 ? 3 : q.n;
    for (size_t i = 0; i < q.n; i++) {
        draw_selector(t, &text);
        lp_test_query_parse(&parsed[i], lp_buf_view(&text), true);
        CU_ASSERT_EQUAL_FATAL(parsed[i].rc, LP_OK);
        q.any[i] = &parsed[i].expr->log;
        CU_ASSERT_EQUAL_FATAL(lp_matchers_new(q.any[i]->matchers, q.any[i]->nmatchers, &q.compiled[i], NULL),
                              LP_OK);
    }
    q.from_ns = (int64_t)lp_test_below(&t->seed, ROWS * 10) - 500;
    q.to_ns = q.from_ns + 1 + (int64_t)lp_test_below(&t->seed, lp_test_below(&t->seed, 2) ? 300 : ROWS * 12);
    if (lp_test_below(&t->seed, 4) == 0) {
        q.from_ns = LP_TIME_MIN;
        q.to_ns = LP_TIME_MAX;
    }
    if (q.n == 1) {
        check_rows(t, &q);
    }
    check_names(t, &q, NULL);
    check_names(t, &q, names[lp_test_below(&t->seed, LABELS)]);
    check_names(t, &q, LP_SERVICE_LABEL);
    check_sets(t, &q);
    check_counts(t, &q);
    check_parts(t, &q);
    for (size_t i = 0; i < q.n; i++) {
        lp_matchers_free(q.compiled[i]);
        lp_test_query_clear(&parsed[i]);
    }
    lp_buf_clear(&text);
}

static void
questions(size_t stored, size_t head, unsigned n)
{
    struct town *t = lp_calloc(1, sizeof(*t));
    t->v = lp_calloc(STREAMS, sizeof(*t->v));
    t->seed = 9 + stored;
    lp_world_open(&t->w);
    fill(t, stored, true);
    fill(t, head, false);
    for (unsigned i = 0; i < n; i++) {
        ask(t);
    }
    CU_ASSERT_EQUAL(t->own > 0, stored > 0);
    lp_world_close(&t->w);
    lp_free(t->v);
    lp_free(t);
}

static void
drawn_questions_to_segments(void)
{
    questions(ROWS, 0, 150);
}

static void
drawn_questions_to_the_head(void)
{
    questions(0, 400, 60);
}

static void
drawn_questions_to_both(void)
{
    questions(1000, 500, 150);
}

/* ------------------------------------------------------------------ very many values */

enum { MANY = 3000 };

/* So many that every stream is looked at once, instead of each value by itself. */
static void
many_values_of_a_range(void)
{
    struct lp_world w;
    lp_world_open(&w);
    for (size_t i = 0; i < MANY; i += 100) {
        struct lp_batch *b = lp_batch_new(LP_STR_NULL, SIZE_MAX, 4096);
        for (size_t k = i; k < i + 100; k++) {
            char pod[16];
            uint32_t stream;
            snprintf(pod, sizeof(pod), "pod-%05zu", k);
            struct lp_pair labels[] = {{LP_STR("app"), LP_STR("a")}, {LP_STR("pod"), lp_str_c(pod)}};
            CU_ASSERT_EQUAL_FATAL(lp_batch_stream(b, labels, 2, NULL, &stream, NULL), LP_OK);
            CU_ASSERT_EQUAL_FATAL(lp_batch_add(b, stream, (int64_t)k * 10, LP_STR("x"), false, NULL, 0, NULL),
                                  LP_OK);
        }
        lp_batch_finish(b);
        CU_ASSERT_EQUAL_FATAL(lp_put(w.st, b, w.next_position++), LP_OK);
        if (i % 700 == 600) {
            lp_world_seal(&w);
        }
    }
    lp_world_seal(&w);
    struct lp_str pod = LP_STR("pod");
    struct lp_streams_query q = {.store = w.st, .budget_bytes = 8u << 20, .deadline_ns = INT64_MAX};
    for (int64_t from = 0; from < 2000; from += 500) {
        struct lp_names got;
        q.from_ns = from * 10;
        q.to_ns = (MANY - from / 3) * 10;
        CU_ASSERT_EQUAL_FATAL(lp_streams_names(&q, &pod, &got, NULL), LP_OK);
        size_t want = (size_t)(MANY - from / 3 - from), first = 0; /* and some just beside the range */
        CU_ASSERT_TRUE_FATAL(got.n >= want && got.n < want + 10);
        CU_ASSERT_TRUE_FATAL(lp_str_u64(lp_str_sub(got.v[0], 4, 9), &first) && first <= (size_t)from);
        for (size_t i = 0; i < got.n; i++) {
            char text[16];
            snprintf(text, sizeof(text), "pod-%05zu", first + i);
            CU_ASSERT_TRUE_FATAL(lp_str_eqc(got.v[i], text));
        }
        lp_names_clear(&got);
    }
    lp_world_close(&w);
}

LP_SUITE(select, {"drawn questions to segments", drawn_questions_to_segments},
         {"drawn questions to the head", drawn_questions_to_the_head},
         {"drawn questions to both", drawn_questions_to_both},
         {"many values of a range", many_values_of_a_range});
