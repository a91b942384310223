/*
 * test_seg_cache.c - oracle: a segment that is asked for again is the same handle, while the bounds allow it;
 * what is in use stays; bounds of number and memory hold once nothing is in use; nothing is left counted.
 */
#include "store/seg_cache.h"

#include <stdio.h>
#include <unistd.h>

#include "base/metrics.h"
#include "store/keep.h"
#include "tests/unit/store_fixture.h"

#define FILES 40u

/* A folder with segments 1..FILES, all without rows. */
static const char *
make_files(void)
{
    const char *dir = lp_test_dir();
    for (uint64_t id = 1; id <= FILES; id++) {
        struct lp_footer f = {.segment = id, .generation = id};
        struct lp_seg_writer *w;
        struct lp_codec *c = lp_codec_new();
        uint64_t bytes;
        uint32_t crc;
        lp_rc rc = lp_seg_writer_new(lp_io_posix(), dir, &f.uuid, id, 0, &w, NULL);
        rc = rc == LP_OK ? lp_seg_writer_finish(w, &f, c, &bytes, &crc, NULL) : rc;
        CU_ASSERT_EQUAL_FATAL(rc, LP_OK);
        lp_seg_writer_free(w);
        lp_codec_free(c);
    }
    return dir;
}

static struct lp_seg *
get(struct lp_seg_cache *c, uint64_t id)
{
    struct lp_seg *s = NULL;
    CU_ASSERT_EQUAL_FATAL(lp_seg_cache_get(c, id, &s, NULL), LP_OK);
    CU_ASSERT_EQUAL(s->id, id);
    return s;
}

/* Whether the segment is there without its file; it is there afterwards. */
static bool
was_kept(struct lp_seg_cache *c, const char *dir, uint64_t id)
{
    char path[4200], aside[4210];
    struct lp_seg *s;
    lp_seg_path(dir, id, false, path);
    snprintf(aside, sizeof(aside), "%s.aside", path);
    CU_ASSERT_EQUAL(rename(path, aside), 0);
    lp_rc rc = lp_seg_cache_get(c, id, &s, NULL);
    CU_ASSERT_EQUAL(rename(aside, path), 0);
    lp_seg_unref(rc == LP_OK ? s : get(c, id));
    return rc == LP_OK;
}

static void
the_longest_unused_goes(void)
{
    const char *dir = make_files();
    struct lp_seg_cache *c = lp_seg_cache_new(lp_io_posix(), dir, 4);
    for (uint64_t id = 1; id <= 4; id++) {
        CU_ASSERT(!was_kept(c, dir, id));
    }
    CU_ASSERT(was_kept(c, dir, 1) && was_kept(c, dir, 3)); /* in use since 2 and 4 */
    lp_seg_unref(get(c, 5));
    lp_seg_unref(get(c, 6));
    CU_ASSERT_EQUAL(lp_seg_cache_count(c), 4);
    CU_ASSERT(was_kept(c, dir, 1) && was_kept(c, dir, 3) && was_kept(c, dir, 5) && was_kept(c, dir, 6));
    CU_ASSERT(!was_kept(c, dir, 2));
    lp_seg_cache_free(c);
}

static void
what_is_in_use_stays(void)
{
    struct lp_seg_cache *c = lp_seg_cache_new(lp_io_posix(), make_files(), 2);
    struct lp_seg *held[10];
    for (uint64_t id = 1; id <= 10; id++) {
        held[id - 1] = get(c, id);
    }
    CU_ASSERT_EQUAL(lp_seg_cache_count(c), 10); /* over the bound, but nobody opens one twice */
    for (uint64_t id = 1; id <= 10; id++) {
        struct lp_seg *again = get(c, id);
        CU_ASSERT_PTR_EQUAL(again, held[id - 1]);
        lp_seg_unref(again);
    }
    for (uint64_t id = 1; id <= 10; id++) {
        lp_seg_unref(held[id - 1]);
    }
    lp_seg_cache_trim(c);
    CU_ASSERT_EQUAL(lp_seg_cache_count(c), 2);
    lp_seg_cache_free(c);
}

static void
memory_is_bounded(void)
{
    const char *dir = make_files();
    size_t before = lp_kept();
    int64_t open = lp_metric_get(LP_M_SEGMENTS_OPEN);
    struct lp_seg_cache *c = lp_seg_cache_new(lp_io_posix(), dir, 1000);
    struct lp_seg *held = get(c, 1);
    size_t each = lp_kept() - before;
    CU_ASSERT(each >= sizeof(*held));
    lp_keep_budget(before + 10 * each);
    for (uint64_t id = 1; id <= FILES; id++) {
        lp_seg_unref(get(c, id));
        CU_ASSERT(lp_kept() <= before + 10 * each);
    }
    CU_ASSERT(lp_seg_cache_count(c) >= 7 && lp_seg_cache_count(c) <= 10);
    CU_ASSERT(was_kept(c, dir, 1)); /* it is in use */
    CU_ASSERT(!lp_keep(11 * each));
    CU_ASSERT_EQUAL(lp_metric_get(LP_M_SEGMENT_CACHE), (int64_t)lp_kept());
    lp_keep_budget(1);
    lp_seg_cache_trim(c);
    CU_ASSERT_EQUAL(lp_seg_cache_count(c), 1);
    lp_keep_budget(LP_KEEP_BUDGET);
    lp_seg_unref(held);
    lp_seg_cache_free(c);
    CU_ASSERT_EQUAL(lp_kept(), before);
    CU_ASSERT_EQUAL(lp_metric_get(LP_M_SEGMENTS_OPEN), open);
}

static void
a_forgotten_segment_is_gone(void)
{
    const char *dir = make_files();
    char path[4200];
    struct lp_seg_cache *c = lp_seg_cache_new(lp_io_posix(), dir, 100);
    struct lp_seg *held = get(c, 7), *none;
    lp_seg_cache_forget(c, 7);
    lp_seg_cache_forget(c, 7); /* not there */
    lp_seg_path(dir, 7, false, path);
    CU_ASSERT_EQUAL(unlink(path), 0);
    CU_ASSERT_EQUAL(lp_seg_cache_get(c, 7, &none, NULL), LP_ERR_NOT_FOUND);
    CU_ASSERT_EQUAL(lp_seg_prove(held, NULL), LP_OK); /* who has it goes on */
    lp_seg_unref(held);
    for (uint64_t id = 8; id <= FILES; id++) { /* the table grows */
        lp_seg_unref(get(c, id));
    }
    CU_ASSERT(was_kept(c, dir, 8) && was_kept(c, dir, FILES));
    CU_ASSERT_EQUAL(lp_seg_cache_count(c), FILES - 7);
    lp_seg_cache_free(c);
}

LP_SUITE(seg_cache, {"the longest unused goes", the_longest_unused_goes},
         {"what is in use stays", what_is_in_use_stays}, {"memory is bounded", memory_is_bounded},
         {"a forgotten segment is gone", a_forgotten_segment_is_gone});
