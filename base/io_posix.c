/*
 * io_posix.c - the io back end of the real system: one system call an op, no policy (see io_int.h).
 *
 * Stateless, so any thread may use it.
 */
#include "base/io.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/io_int.h"

#define LP_FILE_MODE 0640
#define LP_DIR_MODE 0750

static int
result(int rc)
{
    return rc < 0 ? -errno : rc;
}

static int
posix_open(const struct lp_io *io, const char *path, int oflags)
{
    return result(open(path, oflags | O_CLOEXEC | O_NOCTTY, LP_FILE_MODE));
}

static void
posix_close(const struct lp_io *io, int fd)
{
    close(fd); /* on Linux the descriptor is gone even after EINTR */
}

static ssize_t
posix_pread(const struct lp_io *io, int fd, void *p, size_t n, uint64_t off)
{
    ssize_t got = pread(fd, p, n, (off_t)off);
    return got < 0 ? -errno : got;
}

static void
posix_expect(const struct lp_io *io, int fd, uint64_t off, size_t n)
{
    (void)io;
    (void)posix_fadvise(fd, (off_t)off, (off_t)n, POSIX_FADV_WILLNEED);
}

static ssize_t
posix_pwritev(const struct lp_io *io, int fd, const struct iovec *iov, int iovcnt, uint64_t off)
{
    ssize_t put = pwritev(fd, iov, iovcnt, (off_t)off);
    return put < 0 ? -errno : put;
}

static int
posix_datasync(const struct lp_io *io, int fd)
{
    return result(fdatasync(fd));
}

static int
posix_fullsync(const struct lp_io *io, int fd)
{
    return result(fsync(fd));
}

static int
posix_size(const struct lp_io *io, int fd, uint64_t *ret_bytes)
{
    struct stat st;
    int rc = result(fstat(fd, &st));
    if (rc == 0) {
        *ret_bytes = (uint64_t)st.st_size;
    }
    return rc;
}

static int
posix_truncate(const struct lp_io *io, int fd, uint64_t bytes)
{
    return result(ftruncate(fd, (off_t)bytes));
}

static int
posix_allocate(const struct lp_io *io, int fd, uint64_t bytes)
{
    return -posix_fallocate(fd, 0, (off_t)bytes); /* it returns the error number */
}

static int
posix_rename(const struct lp_io *io, const char *from, const char *to)
{
    return result(rename(from, to));
}

static int
posix_unlink(const struct lp_io *io, const char *path)
{
    return result(unlink(path));
}

static int
posix_mkdir(const struct lp_io *io, const char *path)
{
    return result(mkdir(path, LP_DIR_MODE));
}

static int
posix_opendir(const struct lp_io *io, const char *path, DIR **ret)
{
    *ret = opendir(path);
    return *ret != NULL ? 0 : -errno;
}

static int
posix_statvfs(const struct lp_io *io, const char *path, struct statvfs *ret)
{
    return result(statvfs(path, ret));
}

static int
posix_trylock(const struct lp_io *io, int fd)
{
    return result(flock(fd, LOCK_EX | LOCK_NB));
}

const struct lp_io *
lp_io_posix(void)
{
    static const struct lp_io_ops ops = {
        .open = posix_open,
        .close = posix_close,
        .pread = posix_pread,
        .expect = posix_expect,
        .pwritev = posix_pwritev,
        .datasync = posix_datasync,
        .fullsync = posix_fullsync,
        .size = posix_size,
        .truncate = posix_truncate,
        .allocate = posix_allocate,
        .rename = posix_rename,
        .unlink = posix_unlink,
        .mkdir = posix_mkdir,
        .opendir = posix_opendir,
        .statvfs = posix_statvfs,
        .trylock = posix_trylock,
    };
    static const struct lp_io io = {.ops = &ops};
    return &io;
}
