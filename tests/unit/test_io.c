/*
 * test_io.c - the io seam and its fault injector. Oracle: io.h's promise that a call does all or fails,
 * checked by reading files back through the POSIX back end after every single fault.
 */
#include "tests/unit/unit.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/io.h"
#include "base/io_fault.h"

struct names {
    unsigned n, stop_at;
    char seen[512];
};

static bool
note_name(void *arg, const char *name)
{
    struct names *names = arg;
    size_t at = strlen(names->seen);
    snprintf(names->seen + at, sizeof(names->seen) - at, "%s ", name);
    return ++names->n != names->stop_at;
}

static char paths[4][200];

/* Names of files in a fresh folder. */
static void
make_paths(void)
{
    const char *dir = lp_test_dir();
    for (size_t i = 0; i < LP_ARRAY_LEN(paths); i++) {
        snprintf(paths[i], sizeof(paths[i]), "%s/%c", dir, "abcd"[i]);
    }
}

static void
files_open_as_asked(void)
{
    const struct lp_io *io = lp_io_posix();
    struct lp_err err;
    int fd = -1, other;
    char got[6];
    uint64_t bytes;
    make_paths();
    CU_ASSERT_EQUAL(lp_io_open(io, paths[0], LP_IO_READ, &fd, &err), LP_ERR_NOT_FOUND);
    CU_ASSERT_EQUAL(lp_io_open(io, paths[0], LP_IO_WRITE, &fd, &err), LP_ERR_NOT_FOUND);
    CU_ASSERT_EQUAL(lp_io_open(io, paths[0], 3, &fd, &err), LP_ERR_MISUSE);
    CU_ASSERT_EQUAL(fd, -1);
    CU_ASSERT_EQUAL_FATAL(lp_io_open(io, paths[0], LP_IO_CREATE, &fd, &err), LP_OK);
    CU_ASSERT_EQUAL(lp_io_open(io, paths[0], LP_IO_CREATE, &other, &err), LP_ERR_EXISTS);
    CU_ASSERT_EQUAL(lp_io_pwrite(io, fd, "hello", 5, 3, &err), LP_OK);
    CU_ASSERT_EQUAL(lp_io_sync(io, fd, &err), LP_OK);
    CU_ASSERT(lp_io_size(io, fd, &bytes, &err) == LP_OK && bytes == 8);
    CU_ASSERT_EQUAL(lp_io_pread(io, fd, got, 5, 3, &err), LP_OK);
    CU_ASSERT_EQUAL(memcmp(got, "hello", 5), 0);
    CU_ASSERT_EQUAL(lp_io_pread(io, fd, got, 6, 3, &err), LP_ERR_CORRUPT); /* the file ends before */
    CU_ASSERT_EQUAL(lp_io_truncate(io, fd, 2, &err), LP_OK);
    CU_ASSERT_EQUAL(lp_io_allocate(io, fd, 5000, &err), LP_OK);
    CU_ASSERT_EQUAL(lp_io_allocate(io, fd, 0, &err), LP_OK);
    CU_ASSERT(lp_io_size(io, fd, &bytes, &err) == LP_OK && bytes == 5000);
    lp_io_close(io, fd);
    lp_io_close(io, -1);
    CU_ASSERT_EQUAL_FATAL(lp_io_open(io, paths[0], LP_IO_READ, &fd, &err), LP_OK);
    CU_ASSERT_EQUAL(lp_io_pwrite(io, fd, "x", 1, 0, &err), LP_ERR_IO);
    CU_ASSERT_EQUAL(err.sys_errno, EBADF);
    lp_io_close(io, fd);
}

static void
names_change(void)
{
    const struct lp_io *io = lp_io_posix();
    struct lp_err err;
    struct names names = {.n = 0};
    int fd = -1, second;
    char dir[200];
    uint64_t free_bytes, total;
    make_paths();
    snprintf(dir, sizeof(dir), "%.*s", (int)(strlen(paths[0]) - 2), paths[0]);
    CU_ASSERT_EQUAL(lp_io_mkdir(io, paths[1], &err), LP_OK);
    CU_ASSERT_EQUAL(lp_io_mkdir(io, paths[1], &err), LP_OK);
    CU_ASSERT_EQUAL_FATAL(lp_io_lock(io, paths[0], &fd, &err), LP_OK);
    CU_ASSERT_EQUAL(lp_io_lock(io, paths[0], &second, &err), LP_ERR_BUSY);
    CU_ASSERT_EQUAL(lp_io_mkdir(io, paths[0], &err), LP_ERR_EXISTS); /* it is a file */
    lp_io_close(io, fd);
    CU_ASSERT_EQUAL_FATAL(lp_io_lock(io, paths[0], &fd, &err), LP_OK);
    lp_io_close(io, fd);
    CU_ASSERT_EQUAL(lp_io_rename(io, paths[0], paths[2], &err), LP_OK);
    CU_ASSERT_EQUAL(lp_io_rename(io, paths[0], paths[2], &err), LP_ERR_NOT_FOUND);
    CU_ASSERT_EQUAL(lp_io_sync_dir(io, dir, &err), LP_OK);
    CU_ASSERT_EQUAL(lp_io_sync_dir(io, paths[2], &err), LP_ERR_IO); /* not a folder */
    CU_ASSERT_EQUAL(lp_io_list(io, dir, note_name, &names, &err), LP_OK);
    CU_ASSERT_EQUAL(names.n, 2);
    CU_ASSERT(strcmp(names.seen, "b c ") == 0 || strcmp(names.seen, "c b ") == 0);
    names = (struct names){.stop_at = 1};
    CU_ASSERT_EQUAL(lp_io_list(io, dir, note_name, &names, &err), LP_OK);
    CU_ASSERT_EQUAL(names.n, 1);
    CU_ASSERT_EQUAL(lp_io_list(io, paths[0], note_name, &names, &err), LP_ERR_NOT_FOUND);
    CU_ASSERT_EQUAL(lp_io_unlink(io, paths[2], &err), LP_OK);
    CU_ASSERT_EQUAL(lp_io_unlink(io, paths[2], &err), LP_ERR_NOT_FOUND);
    CU_ASSERT_EQUAL(lp_io_space(io, dir, &free_bytes, &total, &err), LP_OK);
    CU_ASSERT(free_bytes <= total && total > 0);
}

static void
small_files_are_read_whole(void)
{
    const struct lp_io *io = lp_io_posix();
    struct lp_err err;
    struct lp_arena ar;
    struct lp_str got;
    int fd = -1;
    make_paths();
    lp_arena_init(&ar, 64, 0);
    CU_ASSERT_EQUAL(lp_io_read_file(io, paths[0], 10, &ar, &got, &err), LP_ERR_NOT_FOUND);
    CU_ASSERT_EQUAL_FATAL(lp_io_open(io, paths[0], LP_IO_CREATE, &fd, &err), LP_OK);
    CU_ASSERT(lp_io_read_file(io, paths[0], 10, &ar, &got, &err) == LP_OK && got.n == 0);
    CU_ASSERT_EQUAL(lp_io_pwrite(io, fd, "0123456789", 10, 0, &err), LP_OK);
    CU_ASSERT(lp_io_read_file(io, paths[0], 10, &ar, &got, &err) == LP_OK && lp_str_eqc(got, "0123456789"));
    CU_ASSERT_EQUAL(lp_io_read_file(io, paths[0], 9, &ar, &got, &err), LP_ERR_LIMIT);
    CU_ASSERT_EQUAL(lp_io_truncate(io, fd, 100, &err), LP_OK);
    CU_ASSERT_EQUAL(lp_io_read_file(io, paths[0], 1000, &ar, &got, &err), LP_ERR_NOMEM);
    lp_io_close(io, fd);
    lp_arena_clear(&ar);
}

/* What publishing a file takes, through every kind of call. On failure nothing is cleaned up: the caller
 * looks at it. */
static lp_rc
publish(const struct lp_io *io, struct lp_err *err)
{
    char head[] = "head ", body[] = "and a longer body ", tail[] = "!";
    struct iovec iov[] = {{head, 0}, {head, 5}, {body, sizeof(body) - 1}, {tail, 0}, {tail, 1}};
    char dir[200], back[24];
    int fd = -1;
    uint64_t bytes;
    snprintf(dir, sizeof(dir), "%.*s", (int)(strlen(paths[0]) - 2), paths[0]);
    lp_rc rc = lp_io_open(io, paths[0], LP_IO_CREATE, &fd, err);
    rc = rc == LP_OK ? lp_io_allocate(io, fd, 100, err) : rc;
    rc = rc == LP_OK ? lp_io_pwritev(io, fd, iov, LP_ARRAY_LEN(iov), 0, err) : rc;
    rc = rc == LP_OK ? lp_io_truncate(io, fd, 24, err) : rc;
    rc = rc == LP_OK ? lp_io_pread(io, fd, back, sizeof(back), 0, err) : rc;
    rc = rc == LP_OK ? lp_io_size(io, fd, &bytes, err) : rc;
    rc = rc == LP_OK ? lp_io_sync(io, fd, err) : rc;
    lp_io_close(io, fd);
    rc = rc == LP_OK ? lp_io_rename(io, paths[0], paths[1], err) : rc;
    rc = rc == LP_OK ? lp_io_sync_dir(io, dir, err) : rc;
    if (rc == LP_OK) {
        CU_ASSERT_EQUAL(memcmp(back, "head and a longer body !", 24), 0);
        CU_ASSERT_EQUAL(bytes, 24);
    }
    return rc;
}

/* What the file holds now, by the POSIX back end; "" when it is not there. */
static void
content(const char *path, char out[32])
{
    FILE *f = fopen(path, "r");
    size_t n = f != NULL ? fread(out, 1, 31, f) : 0;
    out[n] = 0;
    if (f != NULL) {
        fclose(f);
    }
}

/* Publishes with a fault at the 1st, 2nd, ... call until none fires; returns how many runs it took. */
static unsigned
fault_loop(enum lp_fault_kind kind, bool persistent, lp_rc want)
{
    struct lp_io *io = lp_io_fault_new();
    unsigned runs = 0;
    uint64_t fired;
    do {
        struct lp_err err;
        char now[32];
        make_paths();
        lp_io_fault_plan(io, &(struct lp_io_fault_plan){kind, LP_FAULT_ALL, ++runs, persistent});
        lp_rc rc = publish(io, &err);
        fired = lp_io_fault_fired(io);
        CU_ASSERT_EQUAL(rc, fired > 0 ? want : LP_OK);
        content(paths[1], now);
        if (rc == LP_OK) {
            CU_ASSERT_STRING_EQUAL(now, "head and a longer body !");
        } else {
            CU_ASSERT(now[0] == 0 || strcmp(now, "head and a longer body !") == 0); /* never half published */
        }
    } while (fired > 0 && runs < 100);
    lp_io_fault_free(io);
    return runs;
}

static void
every_call_can_fail(void)
{
    CU_ASSERT_EQUAL(fault_loop(LP_FAULT_EIO, false, LP_ERR_IO),
                    11); /* ten calls, and one run without a fault */
    CU_ASSERT_EQUAL(fault_loop(LP_FAULT_EIO, true, LP_ERR_IO), 11);
    CU_ASSERT_EQUAL(fault_loop(LP_FAULT_ENOSPC, false, LP_ERR_DISK_FULL),
                    6); /* create, allocate, write, truncate, rename */
    CU_ASSERT_EQUAL(fault_loop(LP_FAULT_SHORT_WRITE, false, LP_ERR_IO), 2);
}

static void
interruptions_go_unnoticed(void)
{
    CU_ASSERT_EQUAL(fault_loop(LP_FAULT_EINTR, false, LP_OK), 11);
    CU_ASSERT_EQUAL(fault_loop(LP_FAULT_EINTR, true, LP_OK), 11);
}

static void
a_short_write_leaves_half(void)
{
    struct lp_io *io = lp_io_fault_new();
    struct lp_err err;
    char now[32];
    int fd = -1;
    make_paths();
    lp_io_fault_plan(io, &(struct lp_io_fault_plan){LP_FAULT_SHORT_WRITE, LP_FAULT_WRITE, 2, false});
    CU_ASSERT_EQUAL_FATAL(lp_io_open(io, paths[0], LP_IO_CREATE, &fd, &err), LP_OK);
    CU_ASSERT_EQUAL(lp_io_pwrite(io, fd, "0123", 4, 0, &err), LP_OK);
    CU_ASSERT_EQUAL(lp_io_pwrite(io, fd, "456789", 6, 4, &err), LP_ERR_IO);
    CU_ASSERT_EQUAL(err.sys_errno, EIO);
    content(paths[0], now);
    CU_ASSERT_STRING_EQUAL(now, "0123456");
    CU_ASSERT_EQUAL(lp_io_pwrite(io, fd, "789", 3, 7, &err), LP_OK); /* once only */
    CU_ASSERT_EQUAL(lp_io_fault_fired(io), 1);

    lp_io_fault_plan(io, &(struct lp_io_fault_plan){LP_FAULT_EIO, LP_FAULT_READ, 1, true});
    CU_ASSERT_EQUAL(lp_io_pwrite(io, fd, "x", 1, 0, &err), LP_OK); /* other calls are left alone */
    CU_ASSERT_EQUAL(lp_io_pread(io, fd, now, 1, 0, &err), LP_ERR_IO);
    CU_ASSERT_EQUAL(lp_io_pread(io, fd, now, 1, 0, &err), LP_ERR_IO);
    CU_ASSERT_EQUAL(lp_io_fault_fired(io), 2);
    lp_io_fault_plan(io, &(struct lp_io_fault_plan){LP_FAULT_EIO, LP_FAULT_ALL, 0, true});
    CU_ASSERT_EQUAL(lp_io_pread(io, fd, now, 1, 0, &err), LP_OK); /* the 0th is never */
    lp_io_close(io, fd);
    lp_io_fault_free(io);
    lp_io_fault_free(NULL);
}

LP_SUITE(io, {"files open as asked", files_open_as_asked}, {"names change", names_change},
         {"small files are read whole", small_files_are_read_whole},
         {"every call can fail", every_call_can_fail},
         {"interruptions go unnoticed", interruptions_go_unnoticed},
         {"a short write leaves half", a_short_write_leaves_half});
