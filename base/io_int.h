/*
 * io_int.h - what stands behind the io seam, for io*.c only: one attempt at each system call.
 *
 * An op returns what the call returned (>= 0), or -errno. It neither loops nor retries: short counts and EINTR are dealt
 * with in io.c, above the seam, so that the fault injector can put them to the test.
 */
#ifndef LP_BASE_IO_INT_H
#define LP_BASE_IO_INT_H

#include <dirent.h>
#include <sys/statvfs.h>

#include "base/io.h"

struct lp_io_ops {
    int (*open)(const struct lp_io *io, const char *path, int oflags);
    void (*close)(const struct lp_io *io, int fd);
    ssize_t (*pread)(const struct lp_io *io, int fd, void *p, size_t n, uint64_t off);
    void (*expect)(const struct lp_io *io, int fd, uint64_t off, size_t n);
    ssize_t (*pwritev)(const struct lp_io *io, int fd, const struct iovec *iov, int iovcnt, uint64_t off);
    int (*datasync)(const struct lp_io *io, int fd);
    int (*fullsync)(const struct lp_io *io, int fd);
    int (*size)(const struct lp_io *io, int fd, uint64_t *ret_bytes);
    int (*truncate)(const struct lp_io *io, int fd, uint64_t bytes);
    int (*allocate)(const struct lp_io *io, int fd, uint64_t bytes);
    int (*rename)(const struct lp_io *io, const char *from, const char *to);
    int (*unlink)(const struct lp_io *io, const char *path);
    int (*mkdir)(const struct lp_io *io, const char *path);
    int (*opendir)(const struct lp_io *io, const char *path, DIR **ret);
    int (*statvfs)(const struct lp_io *io, const char *path, struct statvfs *ret);
    int (*trylock)(const struct lp_io *io, int fd);
};

struct lp_io {
    const struct lp_io_ops *ops;
    void *state; /* the back end's own */
};

#endif
