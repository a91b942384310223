/*
 * io.c - the io calls as the rest of Logpond sees them: whole reads and writes, EINTR survived, errors in
 * words.
 *
 * Works on any back end (io_int.h) and keeps nothing between calls. An interrupted sync is begun again: EINTR
 * says that the call did not run to its end, not that pages were lost. Any other failure of a sync goes to
 * the caller at once.
 */
#include "base/io.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>

#include <sys/stat.h>

#include "base/arena.h"
#include "base/bytes.h"
#include "base/io_int.h"

static lp_rc
failed(struct lp_err *err, int rc, const char *what, const char *path)
{
    if (rc == -ENOENT) {
        return lp_err_set(err, LP_ERR_NOT_FOUND, "%s %s: no such file", what, path);
    }
    if (rc == -EEXIST) {
        return lp_err_set(err, LP_ERR_EXISTS, "%s %s: it exists", what, path);
    }
    return lp_err_sys(err, -rc, "%s %s", what, path);
}

static lp_rc
open_path(const struct lp_io *io, const char *path, int oflags, int *ret_fd, struct lp_err *err)
{
    int fd = -1;
    do {
        fd = io->ops->open(io, path, oflags);
    } while (fd == -EINTR);
    if (fd < 0) {
        return failed(err, fd, "open", path);
    }
    *ret_fd = fd;
    return LP_OK;
}

lp_rc
lp_io_open(const struct lp_io *io, const char *path, int flags, int *ret_fd, struct lp_err *err)
{
    int oflags;
    switch (flags) {
    case LP_IO_READ:
        oflags = O_RDONLY;
        break;
    case LP_IO_CREATE:
        oflags = O_RDWR | O_CREAT | O_EXCL;
        break;
    case LP_IO_WRITE:
        oflags = O_RDWR;
        break;
    default:
        return lp_err_set(err, LP_ERR_MISUSE, "open %s: flags %d", path, flags);
    }
    return open_path(io, path, oflags, ret_fd, err);
}

void
lp_io_close(const struct lp_io *io, int fd)
{
    if (fd >= 0) {
        io->ops->close(io, fd);
    }
}

void
lp_io_expect(const struct lp_io *io, int fd, uint64_t off, size_t n)
{
    io->ops->expect(io, fd, off, n);
}

lp_rc
lp_io_pread(const struct lp_io *io, int fd, void *p, size_t n, uint64_t off, struct lp_err *err)
{
    char *at = p;
    while (n > 0) {
        ssize_t got = io->ops->pread(io, fd, at, n, off);
        if (got == -EINTR) {
            continue;
        }
        if (got < 0) {
            return lp_err_sys(err, (int)-got, "read %zu bytes at %llu", n, (unsigned long long)off);
        }
        if (got == 0) {
            return lp_corrupt(err, "the file ends at %llu, %zu bytes early", (unsigned long long)off, n);
        }
        at += got;
        off += (uint64_t)got;
        n -= (size_t)got;
    }
    return LP_OK;
}

/* Moves iov past n bytes that are done; returns how many entries are left. */
static int
iov_advance(struct iovec **iov, int iovcnt, size_t n)
{
    while (iovcnt > 0 && n >= (*iov)->iov_len) {
        n -= (*iov)->iov_len;
        (*iov)++;
        iovcnt--;
    }
    if (iovcnt > 0) {
        (*iov)->iov_base = (char *)(*iov)->iov_base + n;
        (*iov)->iov_len -= n;
    }
    return iovcnt;
}

lp_rc
lp_io_pwritev(const struct lp_io *io, int fd, struct iovec *iov, int iovcnt, uint64_t off, struct lp_err *err)
{
    iovcnt = iov_advance(&iov, iovcnt, 0); /* leading empty entries */
    while (iovcnt > 0) {
        ssize_t put = io->ops->pwritev(io, fd, iov, LP_MIN(iovcnt, IOV_MAX), off);
        if (put == -EINTR) {
            continue;
        }
        if (put <= 0) {
            /* a write of more than nothing that wrote nothing: no room is the only reason there is */
            return lp_err_sys(err, put < 0 ? (int)-put : ENOSPC, "write at %llu", (unsigned long long)off);
        }
        off += (uint64_t)put;
        iovcnt = iov_advance(&iov, iovcnt, (size_t)put);
    }
    return LP_OK;
}

lp_rc
lp_io_pwrite(const struct lp_io *io, int fd, const void *p, size_t n, uint64_t off, struct lp_err *err)
{
    struct iovec iov = {.iov_base = (void *)(uintptr_t)p, .iov_len = n}; /* only read from */
    return lp_io_pwritev(io, fd, &iov, 1, off, err);
}

lp_rc
lp_io_sync(const struct lp_io *io, int fd, struct lp_err *err)
{
    int rc;
    do {
        rc = io->ops->datasync(io, fd);
    } while (rc == -EINTR);
    return rc < 0 ? lp_err_sys(err, -rc, "sync") : LP_OK;
}

lp_rc
lp_io_sync_dir(const struct lp_io *io, const char *path, struct lp_err *err)
{
    int fd = -1;
    lp_rc rc = open_path(io, path, O_RDONLY | O_DIRECTORY, &fd, err);
    if (rc != LP_OK) {
        return rc;
    }
    int res;
    do {
        res = io->ops->fullsync(io, fd);
    } while (res == -EINTR);
    lp_io_close(io, fd);
    return res < 0 ? lp_err_sys(err, -res, "sync folder %s", path) : LP_OK;
}

lp_rc
lp_io_size(const struct lp_io *io, int fd, uint64_t *ret_bytes, struct lp_err *err)
{
    int rc;
    do {
        rc = io->ops->size(io, fd, ret_bytes);
    } while (rc == -EINTR);
    return rc < 0 ? lp_err_sys(err, -rc, "size") : LP_OK;
}

lp_rc
lp_io_truncate(const struct lp_io *io, int fd, uint64_t bytes, struct lp_err *err)
{
    int rc;
    do {
        rc = io->ops->truncate(io, fd, bytes);
    } while (rc == -EINTR);
    return rc < 0 ? lp_err_sys(err, -rc, "truncate to %llu", (unsigned long long)bytes) : LP_OK;
}

lp_rc
lp_io_allocate(const struct lp_io *io, int fd, uint64_t bytes, struct lp_err *err)
{
    int rc;
    if (bytes == 0) {
        return LP_OK;
    }
    do {
        rc = io->ops->allocate(io, fd, bytes);
    } while (rc == -EINTR);
    return rc < 0 ? lp_err_sys(err, -rc, "allocate %llu bytes", (unsigned long long)bytes) : LP_OK;
}

lp_rc
lp_io_rename(const struct lp_io *io, const char *from, const char *to, struct lp_err *err)
{
    int rc;
    do {
        rc = io->ops->rename(io, from, to);
    } while (rc == -EINTR);
    return rc < 0 ? failed(err, rc, "rename", from) : LP_OK;
}

lp_rc
lp_io_unlink(const struct lp_io *io, const char *path, struct lp_err *err)
{
    int rc;
    do {
        rc = io->ops->unlink(io, path);
    } while (rc == -EINTR);
    return rc < 0 ? failed(err, rc, "remove", path) : LP_OK;
}

/* True when path names a folder. */
static bool
is_dir(const struct lp_io *io, const char *path)
{
    int fd = -1;
    if (open_path(io, path, O_RDONLY | O_DIRECTORY, &fd, NULL) != LP_OK) {
        return false;
    }
    lp_io_close(io, fd);
    return true;
}

lp_rc
lp_io_mkdir(const struct lp_io *io, const char *path, struct lp_err *err)
{
    int rc;
    do {
        rc = io->ops->mkdir(io, path);
    } while (rc == -EINTR);
    if (rc == -EEXIST && is_dir(io, path)) {
        return LP_OK;
    }
    return rc < 0 ? failed(err, rc, "make folder", path) : LP_OK;
}

lp_rc
lp_io_list(const struct lp_io *io, const char *path, bool (*fn)(void *arg, const char *name), void *arg,
           struct lp_err *err)
{
    DIR *dir;
    int rc;
    do {
        rc = io->ops->opendir(io, path, &dir);
    } while (rc == -EINTR);
    if (rc < 0) {
        return failed(err, rc, "list", path);
    }
    const struct dirent *entry;
    bool more = true;
    errno = 0;
    while (more && (entry = readdir(dir)) != NULL) {
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0) {
            more = fn(arg, entry->d_name);
        }
        errno = 0;
    }
    int list_errno = errno;
    closedir(dir);
    return list_errno != 0 ? lp_err_sys(err, list_errno, "list %s", path) : LP_OK;
}

lp_rc
lp_io_space(const struct lp_io *io, const char *path, uint64_t *ret_free, uint64_t *ret_total,
            struct lp_err *err)
{
    struct statvfs st;
    int rc;
    do {
        rc = io->ops->statvfs(io, path, &st);
    } while (rc == -EINTR);
    if (rc < 0) {
        return failed(err, rc, "space of", path);
    }
    *ret_free = (uint64_t)st.f_bavail * st.f_frsize;
    *ret_total = (uint64_t)st.f_blocks * st.f_frsize;
    return LP_OK;
}

lp_rc
lp_io_lock(const struct lp_io *io, const char *path, int *ret_fd, struct lp_err *err)
{
    int fd = -1;
    lp_rc rc = open_path(io, path, O_RDWR | O_CREAT, &fd, err);
    if (rc != LP_OK) {
        return rc;
    }
    int res;
    do {
        res = io->ops->trylock(io, fd);
    } while (res == -EINTR);
    if (res < 0) {
        lp_io_close(io, fd);
        return res == -EWOULDBLOCK ? lp_err_set(err, LP_ERR_BUSY, "%s is locked by another process", path)
                                   : lp_err_sys(err, -res, "lock %s", path);
    }
    *ret_fd = fd;
    return LP_OK;
}

bool
lp_io_birth(const struct lp_io *io, int fd, uint8_t ret[LP_IO_BIRTH_BYTES])
{
    struct statx st;
    (void)io;
    if (statx(fd, "", AT_EMPTY_PATH, STATX_INO | STATX_BTIME, &st) != 0 || !(st.stx_mask & STATX_INO) ||
        !(st.stx_mask & STATX_BTIME)) {
        return false;
    }
    lp_put_u64(ret, st.stx_ino);
    lp_put_u64(ret + 8, (uint64_t)st.stx_btime.tv_sec);
    lp_put_u32(ret + 16, st.stx_btime.tv_nsec);
    return true;
}

lp_rc
lp_io_read_file(const struct lp_io *io, const char *path, size_t max, struct lp_arena *ar, struct lp_str *ret,
                struct lp_err *err)
{
    int fd = -1;
    uint64_t bytes;
    char *p = NULL;
    lp_rc rc = lp_io_open(io, path, LP_IO_READ, &fd, err);
    if (rc != LP_OK) {
        return rc;
    }
    rc = lp_io_size(io, fd, &bytes, err);
    if (rc != LP_OK) {
        goto out;
    }
    if (bytes > max) {
        rc = lp_err_set(err, LP_ERR_LIMIT, "%s has %llu bytes, more than %zu", path,
                        (unsigned long long)bytes, max);
        goto out;
    }
    p = lp_arena_bytes(ar, (size_t)bytes);
    if (p == NULL) {
        rc = lp_err_set(err, LP_ERR_NOMEM, "no memory for the %llu bytes of %s", (unsigned long long)bytes,
                        path);
        goto out;
    }
    rc = lp_io_pread(io, fd, p, (size_t)bytes, 0, err);
    if (rc == LP_OK) {
        *ret = lp_str_of(p, (size_t)bytes);
    }
out:
    lp_io_close(io, fd);
    return rc;
}
