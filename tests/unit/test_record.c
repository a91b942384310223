/*
 * test_record.c - oracle: FORMAT.md section 5 (keys), and the rules that record.h states.
 */
#include "store/record.h"

#include <stdio.h>
#include <string.h>

#include "base/bytes.h"
#include "tests/unit/unit.h"

static struct lp_batch *
fresh(void)
{
    return lp_batch_new(LP_STR_NULL, 64u << 20, 0);
}

static void
label_order_does_not_matter(void)
{
    struct lp_batch *b = fresh();
    struct lp_pair one[] = {{LP_STR("b"), LP_STR("2")}, {LP_STR("a"), LP_STR("1")}};
    struct lp_pair two[] = {{LP_STR("a"), LP_STR("0")},
                            {LP_STR("b"), LP_STR("2")},
                            {LP_STR("a"), LP_STR("1")},
                            {LP_STR("c"), LP_STR("")}};
    uint32_t x, y;
    CU_ASSERT_EQUAL_FATAL(lp_batch_stream(b, one, 2, NULL, &x, NULL), LP_OK);
    CU_ASSERT_EQUAL_FATAL(lp_batch_stream(b, two, 4, NULL, &y, NULL),
                          LP_OK); /* last of equal names, no empty values */
    CU_ASSERT_EQUAL(x, y);
    static const char key[] = "\0\2\1a\1"
                              "1\1b\1"
                              "2\0\0";
    CU_ASSERT(lp_str_eq(b->streams[x].key, lp_str_of(key, sizeof(key) - 1)));
    lp_batch_free(b);
}

static void
instances_are_streams_of_their_own(void)
{
    struct lp_batch *b = fresh();
    struct lp_pair l = {LP_STR("pod"), LP_STR("p")};
    struct lp_instance first = {LP_STR("uid"), LP_STR("0")}, second = {LP_STR("uid"), LP_STR("1")};
    uint32_t x, y, z;
    CU_ASSERT_EQUAL_FATAL(lp_batch_stream(b, &l, 1, &first, &x, NULL), LP_OK);
    CU_ASSERT_EQUAL_FATAL(lp_batch_stream(b, &l, 1, &second, &y, NULL), LP_OK);
    CU_ASSERT_EQUAL_FATAL(lp_batch_stream(b, &l, 1, &first, &z, NULL), LP_OK);
    CU_ASSERT_NOT_EQUAL(x, y);
    CU_ASSERT_EQUAL(x, z);
    lp_batch_free(b);
}

static void
labels_over_a_limit_become_metadata(void)
{
    struct lp_batch *b = fresh();
    struct lp_pair l[200];
    char names[200][16], big[LP_LABEL_VALUE_BYTES_MAX + 1];
    uint32_t s;
    memset(big, 'x', sizeof(big));
    for (int i = 0; i < 200; i++) {
        snprintf(names[i], sizeof(names[i]), "l%03d", i);
        l[i] = (struct lp_pair){lp_str_c(names[i]), LP_STR("v")};
    }
    l[3].value = lp_str_of(big, sizeof(big));
    CU_ASSERT_EQUAL_FATAL(lp_batch_stream(b, l, 200, NULL, &s, NULL), LP_OK);
    CU_ASSERT_EQUAL_FATAL(lp_batch_add(b, s, 1, LP_STR("line"), false, NULL, 0, NULL), LP_OK);
    CU_ASSERT_EQUAL(b->demoted, 200 - LP_LABELS_MAX);
    struct lp_meta_iter it = lp_meta_begin(b->rows[0].meta);
    struct lp_pair p;
    size_t n = 0, big_seen = 0;
    while (lp_meta_next(&it, &p)) {
        n++;
        big_seen += lp_str_eq(p.value, lp_str_of(big, sizeof(big)));
    }
    CU_ASSERT_EQUAL(n, 200 - LP_LABELS_MAX);
    CU_ASSERT_EQUAL(big_seen, 1);
    lp_batch_free(b);
}

static void
no_label_is_refused_as_loki_does(void)
{
    struct lp_batch *b = fresh();
    struct lp_err err;
    uint32_t s;
    CU_ASSERT_EQUAL(lp_batch_stream(b, NULL, 0, NULL, &s, &err), LP_ERR_PARSE);
    CU_ASSERT_STRING_EQUAL(err.text, "error at least one label pair is required per stream");
    lp_batch_free(b);
}

static void
metadata_is_sorted_and_unique(void)
{
    struct lp_batch *b = fresh();
    struct lp_pair l = {LP_STR("a"), LP_STR("1")}, m[300], p;
    char names[300][16];
    uint32_t s;
    for (int i = 0; i < 300; i++) {
        snprintf(names[i], sizeof(names[i]), "m%d", (i * 7) % 150);
        m[i] = (struct lp_pair){lp_str_c(names[i]), i < 150 ? LP_STR("old") : LP_STR("new")};
    }
    CU_ASSERT_EQUAL_FATAL(lp_batch_stream(b, &l, 1, NULL, &s, NULL), LP_OK);
    CU_ASSERT_EQUAL_FATAL(lp_batch_add(b, s, 1, LP_STR(""), false, m, 300, NULL), LP_OK);
    struct lp_meta_iter it = lp_meta_begin(b->rows[0].meta);
    struct lp_str last = LP_STR("");
    size_t n = 0, bad = 0;
    while (lp_meta_next(&it, &p)) {
        bad += lp_str_cmp(last, p.name) >= 0 || !lp_str_eqc(p.value, "new");
        last = p.name;
        n++;
    }
    CU_ASSERT_EQUAL(bad, 0);
    CU_ASSERT_EQUAL(n, 150);
    lp_batch_free(b);
}

static void
memory_is_bounded(void)
{
    struct lp_batch *b = lp_batch_new(LP_STR_NULL, 1 << 20, 0);
    struct lp_pair l = {LP_STR("a"), LP_STR("1")};
    uint32_t s;
    lp_rc rc = lp_batch_stream(b, &l, 1, NULL, &s, NULL);
    for (int i = 0; i < 1000000 && rc == LP_OK; i++) {
        rc = lp_batch_add(b, s, i, LP_STR("0123456789"), false, NULL, 0, NULL);
    }
    CU_ASSERT_EQUAL(rc, LP_ERR_LIMIT);
    CU_ASSERT(lp_batch_room(b) < (1 << 20) + 65536);
    lp_batch_free(b);
}

static void
group_keys(void)
{
    struct lp_batch *b = fresh();
    struct lp_pair l[] = {{LP_STR("filename"), LP_STR("/var/log/nginx/a.log")},
                          {LP_STR("namespace"), LP_STR("n")}};
    struct lp_arena ar;
    struct lp_stream_key k;
    struct lp_buf out;
    uint32_t s;
    lp_arena_init(&ar, 1 << 20, 0);
    lp_buf_init(&out, 1 << 20);
    CU_ASSERT_EQUAL_FATAL(lp_batch_stream(b, l, 2, NULL, &s, NULL), LP_OK);
    CU_ASSERT_EQUAL_FATAL(lp_stream_key_parse(b->streams[s].key, &ar, &k, NULL), LP_OK);
    lp_group_key(&k, &out);
    static const char want[] = "\0\1n\10filename\16/var/log/nginx";
    CU_ASSERT(lp_str_eq(lp_buf_view(&out), lp_str_of(want, sizeof(want) - 1)));
    for (size_t n = 0; n < b->streams[s].key.n; n++) { /* every cut key is refused, never read past its end */
        CU_ASSERT_EQUAL(lp_stream_key_parse(lp_str_sub(b->streams[s].key, 0, n), &ar, &k, NULL),
                        LP_ERR_CORRUPT);
    }
    /* what could not be decoded has a group of its own */
    struct lp_pair q = {LP_STR("__quarantine__"), LP_STR("journal")};
    CU_ASSERT_EQUAL_FATAL(lp_batch_stream(b, &q, 1, NULL, &s, NULL), LP_OK);
    CU_ASSERT_EQUAL_FATAL(lp_stream_key_parse(b->streams[s].key, &ar, &k, NULL), LP_OK);
    lp_buf_reset(&out);
    lp_group_key(&k, &out);
    static const char quarantine[] = "\0\0\16__quarantine__\7journal";
    CU_ASSERT(lp_str_eq(lp_buf_view(&out), lp_str_of(quarantine, sizeof(quarantine) - 1)));
    lp_buf_clear(&out);
    lp_arena_clear(&ar);
    lp_batch_free(b);
}

/* Every line is found through the spans, at each of its bytes; nothing else is. */
static void
check_spans(const struct lp_batch *b)
{
    uint32_t next = 0;
    for (size_t k = 0; k < b->nspans; k++) {
        const struct lp_line_span *s = &b->spans[k];
        CU_ASSERT_FATAL(s->first_row == next && s->end_row > next);
        next = s->end_row;
        size_t held = 0;
        for (uint32_t i = s->first_row; i < s->end_row; i++) {
            const struct lp_row *r = &b->rows[i];
            held += r->line_bytes;
            CU_ASSERT_FATAL(r->line_bytes == 0 ||
                            (r->line >= s->p && r->line + r->line_bytes <= s->p + s->n));
            for (size_t at = 0; at < r->line_bytes; at++) {
                CU_ASSERT_EQUAL(lp_batch_row_at(b, s, r->line + at, 1), i);
                CU_ASSERT_EQUAL(lp_batch_row_at(b, s, r->line + at, r->line_bytes - at), i);
                CU_ASSERT_EQUAL(lp_batch_row_at(b, s, r->line + at, r->line_bytes - at + 1), UINT32_MAX);
            }
        }
        for (size_t at = 0; at < s->n; at++) {
            held -= lp_batch_row_at(b, s, s->p + at, 1) != UINT32_MAX;
        }
        CU_ASSERT_EQUAL(held, 0);
    }
    CU_ASSERT(b->nspans == 0 || next == b->nrows);
}

static void
lines_lie_in_spans(void)
{
    struct lp_pair label = {LP_STR("a"), LP_STR("1")}, meta = {LP_STR("m"), LP_STR("some metadata")};
    static char text[5000];
    for (size_t rows = 0; rows < 600; rows = rows * 2 + 1) {
        struct lp_batch *b = fresh();
        uint32_t s;
        CU_ASSERT_EQUAL_FATAL(lp_batch_stream(b, &label, 1, NULL, &s, NULL), LP_OK);
        for (size_t i = 0; i < rows; i++) {
            struct lp_str line = lp_str_of(text, i % 5 == 0 ? 0 : i % 37 == 3 ? 4000 : i % 90);
            CU_ASSERT_EQUAL_FATAL(lp_batch_add(b, s, (int64_t)i, line, false, &meta, i % 3 == 0, NULL),
                                  LP_OK);
        }
        lp_batch_finish(b);
        CU_ASSERT(rows == 0 || (b->nspans > 0 && b->nspans <= 4 + rows / 10));
        check_spans(b);
        lp_batch_free(b);
    }
}

/* Lines in any order, and of memory that is not the batch's, are not promised in spans. */
static void
lines_that_lie_nowhere_near(void)
{
    struct lp_pair label = {LP_STR("a"), LP_STR("1")};
    struct lp_batch *b = fresh();
    uint32_t s;
    CU_ASSERT_EQUAL_FATAL(lp_batch_stream(b, &label, 1, NULL, &s, NULL), LP_OK);
    char *own = lp_arena_bytes(&b->ar, 3000);
    memset(own, 'x', 3000);
    for (size_t i = 0; i < 20; i++) { /* falling: a span each, more than are worth it */
        CU_ASSERT_EQUAL_FATAL(lp_batch_add(b, s, 1, lp_str_of(own + 2900 - 100 * i, 50), true, NULL, 0, NULL),
                              LP_OK);
    }
    lp_batch_finish(b);
    CU_ASSERT_EQUAL(b->nspans, 0);
    b->nrows = 5;
    lp_batch_finish(b);
    CU_ASSERT_EQUAL(b->nspans, 5);
    check_spans(b);
    CU_ASSERT_EQUAL_FATAL(lp_batch_add(b, s, 1, LP_STR("not the arena's"), true, NULL, 0, NULL), LP_OK);
    lp_batch_finish(b);
    CU_ASSERT_EQUAL(b->nspans, 0);
    lp_batch_free(b);
}

LP_SUITE(record, {"label order does not matter", label_order_does_not_matter},
         {"instances are streams of their own", instances_are_streams_of_their_own},
         {"labels over a limit become metadata", labels_over_a_limit_become_metadata},
         {"no label is refused as Loki does", no_label_is_refused_as_loki_does},
         {"metadata is sorted and unique", metadata_is_sorted_and_unique},
         {"memory is bounded", memory_is_bounded}, {"group keys", group_keys},
         {"lines lie in spans", lines_lie_in_spans},
         {"lines that lie nowhere near", lines_that_lie_nowhere_near});
