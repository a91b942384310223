/*
 * io.h - the io seam: every file access of Logpond goes through a `struct lp_io`, so that tests can make the n-th call fail.
 *
 * Two back ends: lp_io_posix() and the fault injector (io_fault.h). Calls return LP_OK or an error with errno in err;
 * short reads and writes and EINTR are handled inside, so a call does all or fails. A failed sync is never to be
 * repeated on the same file (the kernel may have dropped the pages): callers abandon the file. Thread-safe.
 * Paths are NUL-terminated. LMDB does its own I/O; tests/crash covers that from outside.
 */
#ifndef LP_BASE_IO_H
#define LP_BASE_IO_H

#include <sys/types.h>
#include <sys/uio.h>

#include "base/err.h"
#include "base/str.h"

#ifdef __cplusplus
extern "C" {
#endif

enum lp_io_open_flags {
    LP_IO_READ = 1,   /* read only */
    LP_IO_CREATE = 2, /* read/write, create, fail if it exists */
    LP_IO_WRITE = 4,  /* read/write an existing file */
};

struct lp_io;

const struct lp_io *lp_io_posix(void);

/* LP_ERR_NOT_FOUND when there is no such file, LP_ERR_EXISTS. */
lp_rc lp_io_open(const struct lp_io *io, const char *path, int flags, int *ret_fd, struct lp_err *err) LP_MUST_USE;
/* Closes; the result of close(2) is not a durability statement, so there is none here. fd < 0 is ignored. */
void lp_io_close(const struct lp_io *io, int fd);
/* Exactly n bytes at off. LP_ERR_CORRUPT when the file ends before. */
lp_rc lp_io_pread(const struct lp_io *io, int fd, void *p, size_t n, uint64_t off, struct lp_err *err) LP_MUST_USE;
/* These bytes will be read soon: the system may fetch them meanwhile. Never waits; a hint, so nothing can fail. */
void lp_io_expect(const struct lp_io *io, int fd, uint64_t off, size_t n);
/* All bytes of iov at off. iov is changed. */
lp_rc lp_io_pwritev(const struct lp_io *io, int fd, struct iovec *iov, int iovcnt, uint64_t off, struct lp_err *err) LP_MUST_USE;
lp_rc lp_io_pwrite(const struct lp_io *io, int fd, const void *p, size_t n, uint64_t off, struct lp_err *err) LP_MUST_USE;
/* fdatasync: content and size. */
lp_rc lp_io_sync(const struct lp_io *io, int fd, struct lp_err *err) LP_MUST_USE;
/* fsync of a folder: names created, renamed or removed in it. */
lp_rc lp_io_sync_dir(const struct lp_io *io, const char *path, struct lp_err *err) LP_MUST_USE;
lp_rc lp_io_size(const struct lp_io *io, int fd, uint64_t *ret_bytes, struct lp_err *err) LP_MUST_USE;
lp_rc lp_io_truncate(const struct lp_io *io, int fd, uint64_t bytes, struct lp_err *err) LP_MUST_USE;
/* Allocates [0, bytes) on disk (posix_fallocate). */
lp_rc lp_io_allocate(const struct lp_io *io, int fd, uint64_t bytes, struct lp_err *err) LP_MUST_USE;
lp_rc lp_io_rename(const struct lp_io *io, const char *from, const char *to, struct lp_err *err) LP_MUST_USE;
/* LP_ERR_NOT_FOUND when it is not there. */
lp_rc lp_io_unlink(const struct lp_io *io, const char *path, struct lp_err *err) LP_MUST_USE;
/* One level; an existing folder is fine. */
lp_rc lp_io_mkdir(const struct lp_io *io, const char *path, struct lp_err *err) LP_MUST_USE;
/* Calls fn for each name but . and .., in no order; fn returns false to stop. */
lp_rc lp_io_list(const struct lp_io *io, const char *path, bool (*fn)(void *arg, const char *name), void *arg, struct lp_err *err) LP_MUST_USE;
/* Bytes free for this user, and in all, of the file system that holds path. */
lp_rc lp_io_space(const struct lp_io *io, const char *path, uint64_t *ret_free, uint64_t *ret_total, struct lp_err *err) LP_MUST_USE;
/* Exclusive flock without waiting: LP_ERR_BUSY when another process has it. Held until close. Creates the file. */
lp_rc lp_io_lock(const struct lp_io *io, const char *path, int *ret_fd, struct lp_err *err) LP_MUST_USE;
/* What tells this very file from a copy of it: inode and time of birth. False when the system does not say. */
#define LP_IO_BIRTH_BYTES 20
bool lp_io_birth(const struct lp_io *io, int fd, uint8_t ret[LP_IO_BIRTH_BYTES]);
/* Whole small file into *ret (arena-owned). LP_ERR_LIMIT over max. */
struct lp_arena;
lp_rc lp_io_read_file(const struct lp_io *io, const char *path, size_t max, struct lp_arena *ar, struct lp_str *ret, struct lp_err *err) LP_MUST_USE;

#ifdef __cplusplus
}
#endif

#endif
