/*
 * test_merge.c - merging changes files, never answers: every row stays, in its place in the order; one day a
 * file; files go when nobody can look for them any more.
 */
#include "store/maintain.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sched.h>
#include <unistd.h>

#include "base/io_fault.h"
#include "store/block_int.h"
#include "store/compact_pick.h"
#include "store/merge.h"
#include "store/store_int.h"
#include "tests/unit/store_fixture.h"

#define SOON (lp_mono_ns() + 120 * LP_NS_PER_S)
#define DAY(n) ((int64_t)(n)*LP_DAY_NS)

/* --- which segments --- */

static struct lp_cat_segment
segment(uint64_t id, uint8_t level, int64_t min_ns, int64_t max_ns, int64_t created_ns)
{
    return (struct lp_cat_segment){.id = id,
                                   .first_generation = id,
                                   .generation = id,
                                   .rows = 10,
                                   .bytes = 1 << 20,
                                   .min_ns = min_ns,
                                   .max_ns = max_ns,
                                   .created_ns = created_ns,
                                   .level = level};
}

static const struct lp_compact_policy policy = {.now_ns = DAY(101) + 3600 * LP_NS_PER_S,
                                                .settle_ns = 1800 * LP_NS_PER_S};

/* What is picked, as "id,id,...:level" in a static buffer; "" for nothing. */
static const char *
picked(struct lp_cat_segment *segs, size_t n, const struct lp_compact_policy *p)
{
    static char text[4096];
    struct lp_compact_pass pass;
    int at = 0;
    text[0] = 0;
    if (lp_compact_pick(segs, n, p, &pass)) {
        for (size_t i = 0; i < pass.inputs.n; i++) {
            at +=
                snprintf(text + at, sizeof(text) - (size_t)at, "%llu,", (unsigned long long)pass.inputs.v[i]);
        }
        snprintf(text + at - 1, sizeof(text) - (size_t)at + 1, ":%u", pass.level);
    }
    lp_ids_clear(&pass.inputs);
    return text;
}

static void
sealed_segments_are_merged_sixteen_at_a_time(void)
{
    struct lp_cat_segment segs[20];
    for (uint64_t i = 0; i < 20; i++) { /* of the open day */
        segs[i] = segment(20 - i, 0, DAY(101) + 1, DAY(101) + 2, policy.now_ns);
    }
    CU_ASSERT_STRING_EQUAL(picked(segs, 20, &policy), "1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16:1");
    CU_ASSERT_STRING_EQUAL(picked(segs, 15, &policy), ""); /* now sorted: fifteen are too few */
    struct lp_compact_policy patient = policy;
    patient.min_age_ns = 1;
    for (size_t i = 0; i < 20; i++) {
        segs[i].created_ns = policy.now_ns - (i < 16);
    }
    CU_ASSERT_STRING_EQUAL(picked(segs, 20, &patient), "1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16:1");
    segs[0].created_ns = policy.now_ns;
    CU_ASSERT_STRING_EQUAL(picked(segs, 20, &patient), "");
}

static void
a_merge_never_reaches_over_a_gap(void)
{
    struct lp_cat_segment segs[20];
    for (uint64_t i = 0; i < 20; i++) {
        segs[i] = segment(i + 1, i == 10 ? 1 : 0, DAY(101) + 1, DAY(101) + 2, policy.now_ns);
    }
    const char *text = picked(segs, 20, &policy);
    CU_ASSERT_PTR_NULL(strstr(text, "10,12"));
}

static void
a_day_is_rewritten_once_it_is_over_and_quiet(void)
{
    struct lp_cat_segment segs[] = {
        segment(1, 1, DAY(100) + 5, DAY(100) + 9, DAY(100)),
        segment(2, 1, DAY(101) + 5, DAY(101) + 9, DAY(101)),
        segment(3, 1, DAY(100) + 5, DAY(100) + 9, DAY(101)),
        segment(4, 0, DAY(101) + 5, DAY(101) + 9, DAY(101)),
    };
    CU_ASSERT_STRING_EQUAL(picked(segs, 4, &policy), "1,3:2");
    segs[2].created_ns = policy.now_ns - 1; /* lines of the day came just now */
    CU_ASSERT_STRING_EQUAL(picked(segs, 4, &policy), "");
    struct lp_compact_policy early = policy;
    segs[2].created_ns = DAY(101);
    early.now_ns = DAY(101) + 1799 * LP_NS_PER_S;
    CU_ASSERT_STRING_EQUAL(picked(segs, 4, &early), "");
    early.now_ns = DAY(101) + 1800 * LP_NS_PER_S;
    CU_ASSERT_STRING_EQUAL(picked(segs, 4, &early), "1,3:2");
    early.all = true;
    segs[0].level = segs[2].level = 2;
    CU_ASSERT_STRING_EQUAL(picked(segs, 4, &early), "2,4:2"); /* now: the open day too */
}

/* Sealed segments over midnight: those before them come along, so that the rest of their days has no gap. */
static void
sealed_segments_of_a_closed_day_bring_those_before(void)
{
    struct lp_cat_segment segs[] = {
        segment(1, 0, DAY(101) + 5, DAY(101) + 9, DAY(101)),
        segment(2, 0, DAY(100) + 5, DAY(101) + 9, DAY(101)),
        segment(3, 0, DAY(101) + 5, DAY(101) + 9, DAY(101)),
    };
    CU_ASSERT_STRING_EQUAL(picked(segs, 3, &policy), "1,2:2");
}

static void
late_lines_do_not_rewrite_their_day_each_time(void)
{
    struct lp_cat_segment segs[20] = {segment(1, 2, DAY(90), DAY(90) + 9, DAY(91))};
    for (uint64_t i = 1; i < 20; i++) {
        segs[i] = segment(i + 1, 1, DAY(90) + 1, DAY(90) + 2, DAY(101));
    }
    CU_ASSERT_STRING_EQUAL(picked(segs, 5, &policy), "");
    CU_ASSERT_STRING_EQUAL(picked(segs, 17, &policy), "2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17:2");
    segs[1].created_ns = DAY(99);
    CU_ASSERT_STRING_EQUAL(picked(segs, 3, &policy), "2,3:2"); /* but after a day they are */
    segs[2].level = 3;                                         /* stray times between them */
    CU_ASSERT_STRING_EQUAL(picked(segs, 4, &policy), "2:2");
}

/* Of clocks that are wrong: their days may not be over for centuries. */
static void
days_to_come_do_not_pile_up_files(void)
{
    struct lp_cat_segment segs[20];
    for (uint64_t i = 0; i < 20; i++) {
        segs[i] = segment(i + 1, 1, DAY(50000) + 1, DAY(50000) + 2, DAY(101));
    }
    CU_ASSERT_STRING_EQUAL(picked(segs, 15, &policy), "");
    CU_ASSERT_STRING_EQUAL(picked(segs, 16, &policy), "1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16:2");
    for (uint64_t i = 0; i < 20; i++) {
        segs[i] = segment(i + 1, 1, LP_TIME_MAX - 2, LP_TIME_MAX - 1, DAY(101)); /* a day without an end */
    }
    CU_ASSERT_STRING_EQUAL(picked(segs, 16, &policy), "1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16:2");
    for (uint64_t i = 0; i < 20; i++) {
        segs[i] = segment(i + 1, 1, DAY(101) + 1, DAY(101) + 2, DAY(101)); /* today's go on as they do */
    }
    CU_ASSERT_STRING_EQUAL(picked(segs, 20, &policy), "");
}

/* --- rows --- */

/* n rows; few times a stream, so that many are equal, over `days` days from DAY(100) on. */
static struct lp_batch *
make_rows(size_t n, unsigned days, uint64_t *seed)
{
    struct lp_batch *b = lp_batch_new(LP_STR_NULL, SIZE_MAX, 64 * n);
    static unsigned serial;
    b->received_ns = DAY(100);
    for (size_t i = 0; i < n; i++) {
        char pod[32], app[32], line[400], id[40];
        unsigned k = lp_test_below(seed, 40);
        snprintf(app, sizeof(app), "app-%u", k % 4);
        snprintf(pod, sizeof(pod), "pod-%u", k);
        int bytes = snprintf(
            line, sizeof(line), "line %u id=%08x%08x took %u ms %.*s", serial++,
            lp_test_below(seed, UINT32_MAX), lp_test_below(seed, UINT32_MAX), lp_test_below(seed, 1000),
            (int)lp_test_below(seed, 200),
            "................................................................................................"
            "................................................................................................"
            "........");
        snprintf(id, sizeof(id), "%08x", lp_test_below(seed, UINT32_MAX));
        struct lp_pair labels[] = {{LP_STR("container"), lp_str_c(app)}, {LP_STR("pod"), lp_str_c(pod)}};
        struct lp_pair meta[] = {{LP_STR("level"), LP_STR("info")}, {LP_STR("trace"), lp_str_c(id)}};
        uint32_t stream;
        int64_t t = DAY(100 + lp_test_below(seed, days)) + lp_test_below(seed, 50);
        LP_ASSERT(lp_batch_stream(b, labels, 2, NULL, &stream, NULL) == LP_OK);
        LP_ASSERT(lp_batch_add(b, stream, t, lp_str_of(line, (size_t)bytes), false, meta, k % 3 == 0 ? 2 : 0,
                               NULL) == LP_OK);
    }
    lp_batch_finish(b);
    return b;
}

struct row {
    int64_t time_ns;
    struct lp_hash128 stream;
    uint64_t generation, arrival;
    char *text;
};

static int
by_order(const void *va, const void *vb)
{
    const struct row *a = va, *b = vb;
    if (a->time_ns != b->time_ns) {
        return a->time_ns < b->time_ns ? -1 : 1;
    }
    int stream = memcmp(&a->stream, &b->stream, sizeof(a->stream));
    if (stream != 0) {
        return stream;
    }
    if (a->generation != b->generation) {
        return a->generation < b->generation ? -1 : 1;
    }
    return (a->arrival > b->arrival) - (a->arrival < b->arrival);
}

struct reading {
    struct row *v;
    size_t n, cap;
};

static bool
read_part(struct lp_view *v, const struct lp_part *part, struct lp_codec *codec, struct reading *out)
{
    struct lp_scan *s;
    struct lp_scan_row r;
    if (lp_scan_open(v, part, codec, LP_TIME_MIN, LP_TIME_MAX, false, &s, NULL) != LP_OK) {
        return false;
    }
    bool ok = lp_scan_start(s, NULL, NULL, NULL, NULL) == LP_OK;
    while (ok && lp_scan_next(s, &r)) {
        const struct lp_pair *meta;
        struct lp_str line;
        size_t nmeta;
        const struct lp_vstream *stream;
        ok = lp_scan_line(s, &line, NULL) == LP_OK;
        struct lp_buf text;
        lp_buf_init(&text, 1 << 20);
        lp_buf_str(&text, line);
        ok = ok && lp_scan_meta(s, &meta, &nmeta, NULL) == LP_OK;
        for (size_t i = 0; ok && i < nmeta; i++) {
            lp_buf_printf(&text, "|" LP_STR_FMT "=" LP_STR_FMT, LP_STR_ARG(meta[i].name),
                          LP_STR_ARG(meta[i].value));
        }
        ok = ok && lp_view_stream(v, r.stream, &stream, NULL) == LP_OK;
        if (!ok) {
            lp_buf_clear(&text);
            break;
        }
        if (out->n == out->cap) {
            out->cap = out->cap ? out->cap * 2 : 1024;
            out->v = lp_realloc(out->v, out->cap * sizeof(*out->v));
        }
        lp_buf_byte(&text, 0);
        out->v[out->n++] = (struct row){r.time_ns, stream->hash, r.generation, r.arrival, lp_strdup(text.p)};
        lp_buf_clear(&text);
    }
    lp_scan_close(s);
    return ok;
}

/* All rows in their order, as text; lp_free. */
static char *
read_ordered(struct lp_store *st)
{
    struct lp_selector sel = {.n = 0};
    struct reading all = {NULL, 0, 0};
    struct lp_codec *codec = lp_codec_new();
    const struct lp_part *parts;
    struct lp_view *v;
    struct lp_buf out;
    size_t n, damaged;
    bool ok = lp_view_open(st, LP_STR_NULL, &v, NULL) == LP_OK;
    ok = ok && lp_view_select(v, &sel, 1 << 24, NULL) == LP_OK &&
         lp_view_parts(v, LP_TIME_MIN, LP_TIME_MAX, false, &parts, &n, &damaged, NULL) == LP_OK &&
         damaged == 0;
    for (size_t i = 0; ok && i < n; i++) {
        ok = read_part(v, &parts[i], codec, &all);
    }
    CU_ASSERT_TRUE_FATAL(ok);
    lp_view_free(v);
    lp_codec_free(codec);
    qsort(all.v, all.n, sizeof(*all.v), by_order);
    lp_buf_init(&out, SIZE_MAX);
    for (size_t i = 0; i < all.n; i++) {
        lp_buf_printf(&out, "%lld %s\n", (long long)all.v[i].time_ns, all.v[i].text);
        lp_free(all.v[i].text);
    }
    lp_free(all.v);
    lp_buf_byte(&out, 0);
    return out.p;
}

struct files {
    size_t n, mixed;
    uint8_t lowest;
};

static bool
count_file(void *arg, const struct lp_cat_segment *s)
{
    struct files *f = arg;
    f->lowest = f->n == 0 ? s->level : LP_MIN(f->lowest, s->level);
    f->n++;
    f->mixed += lp_day_of(s->min_ns) != lp_day_of(s->max_ns);
    return true;
}

static struct files
files_of(struct lp_store *st)
{
    struct files f = {0, 0, 0};
    struct lp_cat_txn *t;
    LP_ASSERT(lp_cat_begin(lp_store_catalog(st), &t, NULL) == LP_OK);
    LP_ASSERT(lp_cat_segments(t, count_file, &f, NULL) == LP_OK);
    lp_cat_end(t);
    return f;
}

static bool
prove_file(void *arg, const struct lp_cat_segment *s)
{
    lp_ids_add(arg, s->id);
    return true;
}

/* Every stored file proves itself. */
static bool
all_proved(struct lp_store *st)
{
    struct lp_ids ids = {NULL, 0, 0};
    struct lp_cat_txn *t;
    struct lp_err err;
    bool ok = true;
    LP_ASSERT(lp_cat_begin(lp_store_catalog(st), &t, NULL) == LP_OK);
    LP_ASSERT(lp_cat_segments(t, prove_file, &ids, NULL) == LP_OK);
    lp_cat_end(t);
    lp_err_clear(&err);
    for (size_t i = 0; i < ids.n && ok; i++) {
        struct lp_seg *seg;
        ok = lp_store_segment(st, ids.v[i], &seg, &err) == LP_OK && lp_seg_prove(seg, &err) == LP_OK;
        lp_seg_unref(seg);
    }
    if (!ok) {
        fprintf(stderr, "%s\n", err.text);
    }
    lp_ids_clear(&ids);
    return ok;
}

static void
put_and_seal(struct lp_store *st, struct lp_batch *b, uint64_t at)
{
    CU_ASSERT_EQUAL_FATAL(lp_put(st, b, at), LP_OK);
    CU_ASSERT_EQUAL_FATAL(lp_store_seal(st, SOON, NULL), LP_OK);
}

static void
must_compact(struct lp_store *st)
{
    struct lp_err err;
    lp_err_clear(&err);
    if (lp_maintain_compact(lp_store_maintain(st), SOON, &err) != LP_OK) {
        fprintf(stderr, "%s\n", err.text);
        CU_FAIL_FATAL("merging failed");
    }
}

static void
merging_keeps_all_rows_in_their_order(void)
{
    const char *dir = lp_test_dir();
    struct lp_store *st = lp_must_open(dir);
    uint64_t seed = 7, at = 1;
    for (unsigned round = 0; round < 3; round++) { /* the second merges new files beside final ones */
        for (unsigned i = 0; i < 6; i++) {
            put_and_seal(st, make_rows(300 + 900 * i, 3, &seed), at++);
        }
        char *before = read_ordered(st);
        must_compact(st);
        struct files f = files_of(st);
        CU_ASSERT_EQUAL(f.mixed, 0);
        CU_ASSERT_EQUAL(f.lowest, LP_LEVEL_FINAL);
        CU_ASSERT_EQUAL(f.n, 3 * (round + 1));
        char *after = read_ordered(st);
        CU_ASSERT_STRING_EQUAL(before, after);
        CU_ASSERT_TRUE(all_proved(st));
        lp_free(before);
        lp_free(after);
    }
    char *before = read_ordered(st);
    CU_ASSERT_EQUAL(lp_store_stop(st, SOON, NULL), LP_OK);
    lp_store_free(st);
    st = lp_must_open(dir);
    char *after = read_ordered(st);
    CU_ASSERT_STRING_EQUAL(before, after);
    lp_free(before);
    lp_free(after);
    lp_store_free(st);
}

/* Blocks of more than 32k rows are copied; small ones before and behind are merged around them. */
static void
full_blocks_are_taken_as_they_are(void)
{
    const char *dir = lp_test_dir();
    struct lp_store_config cfg = {.dir = dir,
                                  .seal_bytes = 256u << 20,
                                  .largest_bytes = 256u << 20,
                                  .seal_after_ns = 3600 * LP_NS_PER_S,
                                  .seal_workers = 2};
    struct lp_store *st;
    uint64_t seed = 99, at = 1;
    CU_ASSERT_EQUAL_FATAL(lp_store_open(&cfg, &st, NULL), LP_OK);
    for (unsigned i = 0; i < 3; i++) {
        put_and_seal(st, make_rows(2000, 1, &seed), at++);
        put_and_seal(st, make_rows(170000, 1, &seed), at++);
    }
    char *before = read_ordered(st);
    must_compact(st);
    struct lp_maintain_stats stats;
    lp_maintain_stats(lp_store_maintain(st), &stats);
    CU_ASSERT_TRUE(stats.copied_blocks >= 12);
    CU_ASSERT_TRUE(all_proved(st));
    char *after = read_ordered(st);
    CU_ASSERT_STRING_EQUAL(before, after);
    lp_free(before);
    lp_free(after);
    lp_store_free(st);
}

static void
a_hundred_thousand_days_make_few_files(void)
{
    const char *dir = lp_test_dir();
    struct lp_store *st = lp_must_open(dir);
    uint64_t seed = 5, at = 1;
    put_and_seal(st, make_rows(20000, 100000, &seed), at++);
    char *before = read_ordered(st);
    must_compact(st);
    struct files f = files_of(st);
    CU_ASSERT_EQUAL(f.n, LP_MERGE_FILES_MAX);
    CU_ASSERT_EQUAL(f.mixed, 1);
    char *after = read_ordered(st);
    CU_ASSERT_STRING_EQUAL(before, after);
    CU_ASSERT_TRUE(all_proved(st));
    lp_free(before);
    lp_free(after);
    lp_store_free(st);
}

/* --- files --- */

static bool
there(const char *dir, uint64_t id)
{
    char path[600];
    snprintf(path, sizeof(path), "%s/segments/%016llx.seg", dir, (unsigned long long)id);
    return access(path, F_OK) == 0;
}

static void
files_go_when_no_reader_is_older(void)
{
    char dir[512];
    snprintf(dir, sizeof(dir), "%s", lp_test_dir());
    struct lp_store *st = lp_must_open(dir);
    struct lp_cat_txn *t;
    uint64_t seed = 3;
    put_and_seal(st, make_rows(100, 1, &seed), 1);
    CU_ASSERT_EQUAL_FATAL(lp_cat_begin(lp_store_catalog(st), &t, NULL), LP_OK);
    must_compact(st);
    CU_ASSERT_TRUE(there(dir, 1)); /* t's query may be about to open it */
    struct lp_seg *seg;
    CU_ASSERT_EQUAL_FATAL(lp_store_segment(st, 1, &seg, NULL), LP_OK);
    lp_cat_end(t);
    int64_t deadline = SOON;
    while (there(dir, 1) && lp_mono_ns() < deadline) {
        sched_yield();
    }
    CU_ASSERT_FALSE(there(dir, 1));
    CU_ASSERT_EQUAL(lp_seg_prove(seg, NULL), LP_OK); /* who has it open reads on */
    lp_seg_unref(seg);
    lp_store_free(st);
}

static size_t
count_removed(struct lp_store *st)
{
    struct lp_ids ids = {NULL, 0, 0};
    struct lp_cat_txn *t;
    CU_ASSERT_EQUAL_FATAL(lp_cat_begin(lp_store_catalog(st), &t, NULL), LP_OK);
    CU_ASSERT_EQUAL(lp_cat_removed(t, &ids, NULL), LP_OK);
    lp_cat_end(t);
    size_t n = ids.n;
    lp_ids_clear(&ids);
    return n;
}

/* A file that an unsynced folder may bring back after a crash must still be named by then. */
static void
an_id_is_forgotten_when_its_file_cannot_come_back(void)
{
    char dir[512];
    snprintf(dir, sizeof(dir), "%s", lp_test_dir());
    struct lp_io *io = lp_io_fault_new();
    struct lp_maintain_stats stats;
    struct lp_store *st;
    struct lp_cat_txn *t;
    uint64_t seed = 4;
    CU_ASSERT_EQUAL_FATAL(lp_open_store(dir, io, 1 << 20, &st, NULL), LP_OK);
    put_and_seal(st, make_rows(100, 1, &seed), 1);
    CU_ASSERT_EQUAL_FATAL(lp_cat_begin(lp_store_catalog(st), &t, NULL), LP_OK);
    must_compact(st);
    lp_io_fault_plan(io, &(struct lp_io_fault_plan){
                             .kind = LP_FAULT_EIO, .calls = LP_FAULT_SYNC, .nth = 1, .persistent = true});
    lp_cat_end(t);
    int64_t deadline = SOON;
    do {
        sched_yield();
        lp_maintain_stats(lp_store_maintain(st), &stats);
    } while (stats.waiting_files > 0 && lp_mono_ns() < deadline);
    CU_ASSERT_FALSE(there(dir, 1));
    CU_ASSERT_EQUAL(count_removed(st), 1);
    lp_io_fault_plan(io, &(struct lp_io_fault_plan){.nth = 0});
    lp_store_free(st);
    CU_ASSERT_EQUAL_FATAL(lp_open_store(dir, io, 1 << 20, &st, NULL), LP_OK);
    CU_ASSERT_EQUAL(count_removed(st), 0);
    lp_store_free(st);
    lp_io_fault_free(io);
}

/* Whatever call fails, the rows are there once, before and after a restart. */
static void
fail_each_call(enum lp_fault_kind kind, unsigned calls)
{
    char dir[512];
    snprintf(dir, sizeof(dir), "%s", lp_test_dir());
    struct lp_io *io = lp_io_fault_new();
    struct lp_store *st;
    uint64_t seed = 21, at = 1;
    CU_ASSERT_EQUAL_FATAL(lp_open_store(dir, io, 1 << 20, &st, NULL), LP_OK);
    bool fired = true;
    for (unsigned n = 1; fired && n < 500; n++) {
        put_and_seal(st, make_rows(10, 1, &seed), at++);
        put_and_seal(st, make_rows(10, 1, &seed), at++);
        char *before = read_ordered(st);
        lp_io_fault_plan(io, &(struct lp_io_fault_plan){.kind = kind, .calls = calls, .nth = n});
        lp_rc rc = lp_maintain_compact(lp_store_maintain(st), SOON, NULL);
        fired = lp_io_fault_fired(io) > 0;
        lp_io_fault_plan(io, &(struct lp_io_fault_plan){.nth = 0});
        CU_ASSERT_TRUE(fired || rc == LP_OK);
        char *after = read_ordered(st);
        CU_ASSERT_STRING_EQUAL(before, after);
        if (n % 4 == 0) {
            CU_ASSERT_EQUAL(lp_store_stop(st, SOON, NULL), LP_OK);
            lp_store_free(st);
            CU_ASSERT_EQUAL_FATAL(lp_open_store(dir, io, 1 << 20, &st, NULL), LP_OK);
            lp_free(after);
            after = read_ordered(st);
            CU_ASSERT_STRING_EQUAL(before, after);
        }
        must_compact(st); /* it can be done yet */
        lp_free(before);
        lp_free(after);
    }
    CU_ASSERT_FALSE(fired);
    lp_store_free(st);
    lp_io_fault_free(io);
}

static void
a_failed_merge_changes_nothing(void)
{
    const unsigned calls =
        LP_FAULT_OPEN | LP_FAULT_READ | LP_FAULT_WRITE | LP_FAULT_SYNC | LP_FAULT_RENAME | LP_FAULT_UNLINK;
    fail_each_call(LP_FAULT_EIO, calls);
    fail_each_call(LP_FAULT_ENOSPC, LP_FAULT_OPEN | LP_FAULT_WRITE | LP_FAULT_RENAME);
    fail_each_call(LP_FAULT_SHORT_WRITE, LP_FAULT_WRITE);
}

/* What a file says of itself is checked before merging takes it for granted: no assertion rests on it. */
static void
files_that_contradict_themselves_are_refused(void)
{
    char path[600];
    struct lp_seg *seg;
    struct lp_block *b;
    const struct lp_block_run *runs;
    struct lp_codec *codec = lp_codec_new();
    snprintf(path, sizeof(path), "%s/format/v1/data/segments/%016x.seg", lp_test_data(), 1);
    CU_ASSERT_EQUAL_FATAL(lp_seg_open(lp_io_posix(), path, &seg, NULL), LP_OK);
    for (uint32_t i = 0; i < seg->nblocks; i++) {
        uint64_t *falling = lp_malloc(seg->nstreams * sizeof(*falling));
        for (size_t k = 0; k < seg->nstreams; k++) {
            falling[k] = seg->nstreams - k;
        }
        CU_ASSERT_EQUAL_FATAL(lp_seg_block(seg, i, &b, NULL), LP_OK);
        lp_rc rc = lp_block_name_runs(b, codec, falling, seg->nstreams, &runs, NULL);
        CU_ASSERT_EQUAL(rc, seg->blocks[i].runs > 1 ? LP_ERR_CORRUPT : LP_OK);
        lp_block_free(b);
        lp_free(falling);
    }
    seg->blocks[0].runs++;
    CU_ASSERT_EQUAL(lp_seg_block(seg, 0, &b, NULL), LP_ERR_CORRUPT);
    lp_seg_unref(seg);
    lp_codec_free(codec);
}

/* A block over midnight that claims to end before it: no file may be made of less than what is there. */
static void
rows_outside_of_what_their_block_says_are_not_lost(void)
{
    char path[LP_SEG_PATH_BYTES];
    struct lp_store *st = lp_must_open(lp_test_dir());
    struct lp_seg *seg;
    struct lp_block *b;
    struct lp_merged merged;
    struct lp_codec *codec = lp_codec_new();
    uint64_t seed = 8;
    put_and_seal(st, make_rows(300, 2, &seed), 1);
    lp_seg_path(st->seg_dir, 1, false, path);
    CU_ASSERT_EQUAL_FATAL(lp_seg_open(lp_io_posix(), path, &seg, NULL), LP_OK);
    CU_ASSERT_EQUAL_FATAL(lp_seg_block(seg, 0, &b, NULL), LP_OK);
    int64_t was_ns = seg->blocks[0].max_ns, day_ns = seg->blocks[0].min_ns / LP_DAY_NS * LP_DAY_NS;
    CU_ASSERT_FATAL(was_ns >= day_ns + LP_DAY_NS);
    struct lp_merge_spec spec = {.inputs = &seg, .ninputs = 1, .every_day = true, .level = LP_LEVEL_FINAL};
    for (uint32_t i = 0; i < seg->npages; i++) { /* read before: else they would contradict the block first */
        const struct lp_seg_page *page;
        CU_ASSERT_EQUAL_FATAL(lp_seg_page(seg, i, &page, NULL), LP_OK);
    }
    CU_ASSERT_EQUAL(lp_block_prove(b, codec, NULL), LP_OK);
    seg->blocks[0].max_ns = b->info->head.max_ns = day_ns + LP_DAY_NS - 1;
    CU_ASSERT_EQUAL(lp_block_prove(b, codec, NULL), LP_ERR_CORRUPT);
    CU_ASSERT_EQUAL(lp_merge(st, &spec, &merged, NULL), LP_ERR_CORRUPT);
    seg->blocks[0].max_ns = b->info->head.max_ns = was_ns;
    CU_ASSERT_EQUAL_FATAL(lp_merge(st, &spec, &merged, NULL), LP_OK);
    lp_merged_clear(&merged);
    lp_block_free(b);
    lp_seg_unref(seg);
    lp_codec_free(codec);
    lp_store_free(st);
}

LP_SUITE(merge,
         {"sealed segments are merged sixteen at a time", sealed_segments_are_merged_sixteen_at_a_time},
         {"a merge never reaches over a gap", a_merge_never_reaches_over_a_gap},
         {"a day is rewritten once it is over and quiet", a_day_is_rewritten_once_it_is_over_and_quiet},
         {"sealed segments of a closed day bring those before",
          sealed_segments_of_a_closed_day_bring_those_before},
         {"late lines do not rewrite their day each time", late_lines_do_not_rewrite_their_day_each_time},
         {"days to come do not pile up files", days_to_come_do_not_pile_up_files},
         {"merging keeps all rows in their order", merging_keeps_all_rows_in_their_order},
         {"full blocks are taken as they are", full_blocks_are_taken_as_they_are},
         {"a hundred thousand days make few files", a_hundred_thousand_days_make_few_files},
         {"files go when no reader is older", files_go_when_no_reader_is_older},
         {"an id is forgotten when its file cannot come back",
          an_id_is_forgotten_when_its_file_cannot_come_back},
         {"files that contradict themselves are refused", files_that_contradict_themselves_are_refused},
         {"rows outside of what their block says are not lost",
          rows_outside_of_what_their_block_says_are_not_lost},
         {"a failed merge changes nothing", a_failed_merge_changes_nothing});
