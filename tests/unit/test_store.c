/*
 * test_store.c - oracle: what was put in comes back, from head, segments and both, after restarts and faults;
 * damage costs only itself.
 */
#include "store/store.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/io_fault.h"
#include "tests/unit/store_fixture.h"

#define SOON (lp_mono_ns() + 60 * LP_NS_PER_S)

static void
head_segment_and_restart_answer_alike(void)
{
    const char *dir = lp_test_dir();
    struct lp_store *st = lp_must_open(dir);
    size_t n1, n2, n3, damaged;
    for (uint64_t i = 1; i <= 20; i++) {
        CU_ASSERT_EQUAL_FATAL(lp_put(st, lp_make_batch("b", 500, (int64_t)i * LP_NS_PER_S, i), i), LP_OK);
    }
    char *from_head = lp_read_all(st, &n1, &damaged);
    CU_ASSERT_EQUAL(n1, 10000);
    CU_ASSERT_EQUAL_FATAL(lp_store_seal(st, SOON, NULL), LP_OK);
    char *from_segments = lp_read_all(st, &n2, &damaged);
    CU_ASSERT_EQUAL(damaged, 0);
    CU_ASSERT_STRING_EQUAL(from_head, from_segments);
    CU_ASSERT_EQUAL(lp_store_stop(st, SOON, NULL), LP_OK);
    lp_store_free(st);
    st = lp_must_open(dir);
    CU_ASSERT_EQUAL_FATAL(lp_put(st, lp_make_batch("late", 7, 0, 99), 21), LP_OK);
    char *mixed = lp_read_all(st, &n3, &damaged);
    CU_ASSERT_EQUAL(n3, 10007);
    struct lp_store_stats stats;
    lp_store_stats(st, &stats);
    CU_ASSERT_EQUAL(stats.rows, 10000);
    lp_free(from_head);
    lp_free(from_segments);
    lp_free(mixed);
    lp_store_free(st);
}

static void
positions_are_stored_with_the_rows(void)
{
    const char *dir = lp_test_dir();
    struct lp_store *st = lp_must_open(dir);
    struct lp_cat_txn *t;
    struct lp_cat_place at;
    CU_ASSERT_EQUAL_FATAL(lp_put(st, lp_make_batch("b", 5, 0, 1), 41), LP_OK);
    CU_ASSERT_EQUAL_FATAL(lp_store_seal(st, SOON, NULL), LP_OK);
    CU_ASSERT_EQUAL_FATAL(lp_cat_begin(lp_store_catalog(st), &t, NULL), LP_OK);
    CU_ASSERT_EQUAL(lp_cat_position(t, "journal", 0, &at, NULL), LP_OK);
    CU_ASSERT_EQUAL(at.next, 42);
    CU_ASSERT_EQUAL(lp_cat_position(t, "journal", 1, &at, NULL), LP_ERR_NOT_FOUND);
    lp_cat_end(t);
    lp_store_free(st);
}

static void
one_process_a_store(void)
{
    const char *dir = lp_test_dir();
    struct lp_store *st = lp_must_open(dir), *other;
    struct lp_err err;
    CU_ASSERT_EQUAL(lp_open_store(dir, NULL, 1 << 20, &other, &err), LP_ERR_BUSY);
    lp_store_free(st);
}

static void
segments_without_a_catalog_are_refused(void)
{
    const char *dir = lp_test_dir();
    char path[512];
    struct lp_store *st = lp_must_open(dir);
    struct lp_err err;
    CU_ASSERT_EQUAL_FATAL(lp_put(st, lp_make_batch("b", 5, 0, 1), 1), LP_OK);
    CU_ASSERT_EQUAL_FATAL(lp_store_seal(st, SOON, NULL), LP_OK);
    lp_store_free(st);
    snprintf(path, sizeof(path), "%s/catalog/data.mdb", dir);
    CU_ASSERT_EQUAL_FATAL(unlink(path), 0);
    CU_ASSERT_EQUAL(lp_open_store(dir, NULL, 1 << 20, &st, &err), LP_ERR_CORRUPT);
    CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "logpond verify --rebuild"));
    snprintf(path, sizeof(path), "%s/segments/0000000000000001.seg", dir);
    CU_ASSERT_EQUAL(access(path, F_OK), 0); /* nothing is deleted */
}

static void
start_cleans_only_what_no_row_names(void)
{
    const char *dir = lp_test_dir();
    char path[512], moved[512];
    struct lp_store *st = lp_must_open(dir);
    size_t n, damaged;
    CU_ASSERT_EQUAL_FATAL(lp_put(st, lp_make_batch("b", 5, 0, 1), 1), LP_OK);
    CU_ASSERT_EQUAL_FATAL(lp_store_seal(st, SOON, NULL), LP_OK);
    lp_store_free(st);
    snprintf(path, sizeof(path), "%s/segments/0000000000000003.seg", dir); /* reserved, no row */
    close(open(path, O_CREAT | O_WRONLY, 0600));
    snprintf(moved, sizeof(moved), "%s/segments/0000000000000004.seg.tmp", dir);
    close(open(moved, O_CREAT | O_WRONLY, 0600));
    snprintf(path, sizeof(path), "%s/segments/foreign.txt", dir);
    close(open(path, O_CREAT | O_WRONLY, 0600));
    st = lp_must_open(dir);
    CU_ASSERT_EQUAL(access(path, F_OK), 0); /* not Logpond's: not touched */
    CU_ASSERT_NOT_EQUAL(access(moved, F_OK), 0);
    snprintf(moved, sizeof(moved), "%s/lost+found/0000000000000003.seg", dir);
    CU_ASSERT_EQUAL(access(moved, F_OK), 0);
    lp_free(lp_read_all(st, &n, &damaged));
    CU_ASSERT_EQUAL(n, 5);
    lp_store_free(st);
}

static void
copy_file(const char *from, const char *to)
{
    static char buf[1 << 20];
    int in = open(from, O_RDONLY), out = open(to, O_CREAT | O_WRONLY, 0600);
    ssize_t n = read(in, buf, sizeof(buf));
    CU_ASSERT(n > 0 && n < (ssize_t)sizeof(buf));
    CU_ASSERT_EQUAL(write(out, buf, (size_t)n), n);
    close(in);
    close(out);
}

/* A whole segment that no row names is set aside, and goes once the positions have passed its own. */
static void
what_was_set_aside_goes_once_it_is_stored_again(void)
{
    const char *dir = lp_test_dir();
    char one[512], orphan[512], kept[512];
    struct lp_store *st = lp_must_open(dir);
    CU_ASSERT_EQUAL_FATAL(lp_put(st, lp_make_batch("b", 5, 0, 1), 1), LP_OK);
    CU_ASSERT_EQUAL_FATAL(lp_store_seal(st, SOON, NULL), LP_OK);
    lp_store_free(st);
    snprintf(one, sizeof(one), "%s/segments/0000000000000001.seg", dir);
    snprintf(orphan, sizeof(orphan), "%s/segments/0000000000000003.seg", dir);
    snprintf(kept, sizeof(kept), "%s/lost+found/0000000000000003.seg", dir);
    copy_file(one, orphan);
    lp_store_free(lp_must_open(dir));
    CU_ASSERT_EQUAL(access(kept, F_OK), 0);
    lp_store_free(lp_must_open(dir));
    CU_ASSERT_NOT_EQUAL(access(kept, F_OK), 0); /* position 2 is stored: the copy holds nothing that is not */
    CU_ASSERT_EQUAL(access(one, F_OK), 0);
}

/* Flips bits all over a segment file: reading never crashes and never gives other rows; what is hurt is
 * noticed. */
static void
flipped_bits_of_a_segment_are_found(void)
{
    const char *dir = lp_test_dir();
    char path[512];
    struct lp_store *st = lp_must_open(dir);
    size_t n, damaged, found = 0;
    uint64_t seed = 4;
    CU_ASSERT_EQUAL_FATAL(lp_put(st, lp_make_batch("b", 400, 0, 1), 1), LP_OK);
    char *whole = lp_read_all(st, &n, &damaged);
    CU_ASSERT_EQUAL_FATAL(lp_store_seal(st, SOON, NULL), LP_OK);
    lp_store_free(st);
    snprintf(path, sizeof(path), "%s/segments/0000000000000001.seg", dir);
    int fd = open(path, O_RDWR);
    struct stat s;
    CU_ASSERT_EQUAL_FATAL(fstat(fd, &s), 0);
    const unsigned tries = 5000;
    for (unsigned i = 0; i < tries; i++) {
        uint64_t bit = lp_rand(&seed) % ((uint64_t)s.st_size * 8);
        uint8_t byte;
        CU_ASSERT_EQUAL_FATAL(pread(fd, &byte, 1, (off_t)(bit / 8)), 1);
        byte ^= (uint8_t)(1 << bit % 8);
        CU_ASSERT_EQUAL_FATAL(pwrite(fd, &byte, 1, (off_t)(bit / 8)), 1);
        struct lp_seg *seg;
        lp_rc rc = lp_seg_open(lp_io_posix(), path, &seg, NULL);
        if (rc == LP_OK) {
            rc = lp_seg_prove(seg, NULL);
            lp_seg_unref(seg);
        }
        found += rc != LP_OK;
        byte ^= (uint8_t)(1 << bit % 8);
        CU_ASSERT_EQUAL_FATAL(pwrite(fd, &byte, 1, (off_t)(bit / 8)), 1);
    }
    close(fd);
    CU_ASSERT_EQUAL(found, tries);
    lp_free(whole);
}

/* The n-th call fails, for n = 1, 2, 3 ... until none does: after each run, with the fault gone, everything
 * put in is there once. */
static void
fault_loop(enum lp_fault_kind kind, unsigned calls, bool persistent)
{
    struct lp_io *io = lp_io_fault_new();
    uint64_t fired = 1;
    unsigned nth = 1;
    for (; fired > 0 && nth < 200; nth++) {
        const char *dir = lp_test_dir();
        struct lp_store *st;
        struct lp_err err;
        struct lp_io_fault_plan none = {.nth = 0}, plan = {kind, calls, nth, persistent};
        size_t n = 0, damaged = 0;
        lp_io_fault_plan(io, &plan);
        lp_rc rc = lp_open_store(dir, io, 1 << 20, &st, &err);
        bool opened = rc == LP_OK;
        if (opened) {
            CU_ASSERT_EQUAL(lp_put(st, lp_make_batch("b", 50, 0, nth), 1), LP_OK);
            (void)!lp_store_seal(st, lp_mono_ns() + (persistent ? 300 : 3000) * LP_NS_PER_MS, &err);
        }
        fired = lp_io_fault_fired(io);
        lp_io_fault_plan(io, &none);
        if (opened) { /* the fault is gone: it heals by itself */
            CU_ASSERT_EQUAL(lp_store_seal(st, SOON, &err), LP_OK);
            lp_free(lp_read_all(st, &n, &damaged));
            CU_ASSERT_EQUAL(n, 50);
            lp_store_free(st);
        }
        rc = lp_open_store(dir, NULL, 1 << 20, &st, &err);
        CU_ASSERT_EQUAL_FATAL(rc, LP_OK);
        lp_free(lp_read_all(st, &n, &damaged));
        CU_ASSERT_EQUAL(n, opened ? 50 : 0);
        CU_ASSERT_EQUAL(damaged, 0);
        lp_store_free(st);
    }
    CU_ASSERT(nth > 3); /* the loop reached calls at all */
    CU_ASSERT(fired == 0);
    lp_io_fault_free(io);
}

static void
every_io_error_heals(void)
{
    fault_loop(LP_FAULT_EIO, LP_FAULT_OPEN | LP_FAULT_WRITE | LP_FAULT_SYNC | LP_FAULT_RENAME, false);
    fault_loop(LP_FAULT_ENOSPC, LP_FAULT_OPEN | LP_FAULT_WRITE, false);
    fault_loop(LP_FAULT_SHORT_WRITE, LP_FAULT_WRITE, false);
    fault_loop(LP_FAULT_EINTR, LP_FAULT_ALL, false);
}

static void
lasting_io_errors_heal(void)
{
    fault_loop(LP_FAULT_EIO, LP_FAULT_SYNC, true);
    fault_loop(LP_FAULT_ENOSPC, LP_FAULT_WRITE, true);
}

LP_SUITE(store, {"head, segment and restart answer alike", head_segment_and_restart_answer_alike},
         {"positions are stored with the rows", positions_are_stored_with_the_rows},
         {"one process a store", one_process_a_store},
         {"segments without a catalog are refused", segments_without_a_catalog_are_refused},
         {"start cleans only what no row names", start_cleans_only_what_no_row_names},
         {"what was set aside goes once it is stored again", what_was_set_aside_goes_once_it_is_stored_again},
         {"flipped bits of a segment are found", flipped_bits_of_a_segment_are_found},
         {"every I/O error heals", every_io_error_heals},
         {"lasting I/O errors heal", lasting_io_errors_heal});
