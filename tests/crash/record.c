/*
 * record.c - record.so, an LD_PRELOAD library: logs everything a process does to the files below $RECORD_DIR, LMDB's own
 * calls included, and the moment before each 2xx answer leaves a socket. tests/crash/images.py builds crash images from it.
 *
 * One mutex spans a call and its record, so the log is a total order of what really happened. A record: u32 length of the
 * rest, u8 op, u32 handle, u64 offset, i64 wall time ns, u32 length of text, text, then data. Ops: see enum op. A handle is one
 * open file; the reader finds out which file by replaying names in order. Answers: text is the value of the X-Batch header of
 * the request that was read last from that socket. Once a file $RECORD_LOG.stop is there, the process kills itself before the
 * next of these calls does anything: so the log has all that happened, which a kill from outside cannot promise.
 *
 * Test code: aborts on anything it does not understand, so that a recording is never silently incomplete.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum op { OP_OPEN = 1, OP_MKDIR, OP_WRITE, OP_TRUNCATE, OP_ALLOCATE, OP_SYNC, OP_RENAME, OP_UNLINK, OP_LINK, OP_ACK, OP_RMDIR };
enum { FLAG_CREATED = 1, FLAG_DSYNC = 2, FLAG_TRUNC = 4, FLAG_DIR = 8 };

#define FDS 65536
#define BATCH_BYTES 64

static pthread_mutex_t mu = PTHREAD_MUTEX_INITIALIZER;
static int log_fd = -1;
static char dir[PATH_MAX], stop_path[PATH_MAX];
static size_t dir_n;
static uint32_t handles[FDS]; /* 0: not recorded */
static uint8_t dsync[FDS];
static char batch[FDS][BATCH_BYTES]; /* sockets: the batch read last */
static uint32_t next_handle = 1;

static void
raw_write(const void *p, size_t n)
{
    const char *b = p;
    while (n > 0) {
        long k = syscall(SYS_write, log_fd, b, n);
        if (k <= 0) {
            abort();
        }
        b += k;
        n -= (size_t)k;
    }
}

__attribute__((constructor)) static void
begin(void)
{
    const char *d = getenv("RECORD_DIR"), *log = getenv("RECORD_LOG");
    if (d == NULL || log == NULL) {
        return;
    }
    snprintf(dir, sizeof(dir), "%s", d);
    dir_n = strlen(dir);
    snprintf(stop_path, sizeof(stop_path), "%s.stop", log);
    log_fd = (int)syscall(SYS_openat, AT_FDCWD, log, O_CREAT | O_WRONLY | O_APPEND | O_CLOEXEC, 0644);
    if (log_fd < 0) {
        abort();
    }
}

/* Takes mu for a call and its record. */
static void
enter(void)
{
    pthread_mutex_lock(&mu);
    if (syscall(SYS_faccessat, AT_FDCWD, stop_path, F_OK) == 0) {
        syscall(SYS_kill, getpid(), SIGKILL);
    }
}

static int
ours(const char *path)
{
    return log_fd >= 0 && strncmp(path, dir, dir_n) == 0 && (path[dir_n] == '/' || path[dir_n] == 0) &&
           strstr(path, "/lock.mdb") == NULL;
}

/* Call with mu held. */
static void
record(enum op op, uint32_t handle, uint64_t off, const char *text, const struct iovec *iov, int n, size_t limit)
{
    struct timespec now;
    uint32_t text_n = text ? (uint32_t)strlen(text) : 0, data_n = 0, len;
    for (int i = 0; i < n; i++) {
        data_n += (uint32_t)iov[i].iov_len;
    }
    data_n = data_n < limit ? data_n : (uint32_t)limit;
    clock_gettime(CLOCK_REALTIME, &now);
    int64_t t = (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
    char head[4 + 1 + 4 + 8 + 8 + 4];
    len = (uint32_t)sizeof(head) - 4 + text_n + data_n;
    memcpy(head, &len, 4);
    head[4] = (char)op;
    memcpy(head + 5, &handle, 4);
    memcpy(head + 9, &off, 8);
    memcpy(head + 17, &t, 8);
    memcpy(head + 25, &text_n, 4);
    raw_write(head, sizeof(head));
    raw_write(text, text_n);
    for (int i = 0; i < n && data_n > 0; i++) {
        size_t k = iov[i].iov_len < data_n ? iov[i].iov_len : data_n;
        raw_write(iov[i].iov_base, k);
        data_n -= (uint32_t)k;
    }
}

/* --- names --- */

static int
do_open(const char *name, int at, const char *path, int flags, mode_t mode)
{
    if (!ours(path)) {
        int fd = (int)syscall(SYS_openat, at, path, flags, mode);
        if (fd >= 0 && fd < FDS) {
            handles[fd] = 0;
        }
        return fd;
    }
    (void)name;
    enter();
    struct stat st;
    int existed = syscall(SYS_newfstatat, at, path, &st, 0) == 0;
    int fd = (int)syscall(SYS_openat, at, path, flags, mode);
    int saved = errno;
    if (fd >= FDS) {
        abort();
    }
    if (fd >= 0) {
        uint64_t f = (!existed ? FLAG_CREATED : 0) | (flags & O_DSYNC ? FLAG_DSYNC : 0) | (flags & O_TRUNC ? FLAG_TRUNC : 0) |
                     (existed && S_ISDIR(st.st_mode) ? FLAG_DIR : 0);
        handles[fd] = next_handle++;
        dsync[fd] = (flags & O_DSYNC) != 0;
        record(OP_OPEN, handles[fd], f, path + dir_n, NULL, 0, 0);
    }
    pthread_mutex_unlock(&mu);
    errno = saved;
    return fd;
}

#define OPEN_BODY(at, path)                                                                                  \
    mode_t mode = 0;                                                                                         \
    if (flags & (O_CREAT | __O_TMPFILE)) {                                                                   \
        va_list ap;                                                                                          \
        va_start(ap, flags);                                                                                 \
        mode = va_arg(ap, mode_t);                                                                           \
        va_end(ap);                                                                                          \
    }                                                                                                        \
    return do_open("open", at, path, flags, mode)

int open(const char *path, int flags, ...) { OPEN_BODY(AT_FDCWD, path); }
int open64(const char *path, int flags, ...) { OPEN_BODY(AT_FDCWD, path); }
int openat(int at, const char *path, int flags, ...) { OPEN_BODY(at, path); }
int openat64(int at, const char *path, int flags, ...) { OPEN_BODY(at, path); }
int creat(const char *path, mode_t mode) { return do_open("creat", AT_FDCWD, path, O_CREAT | O_WRONLY | O_TRUNC, mode); }

int
close(int fd)
{
    if (fd >= 0 && fd < FDS) {
        handles[fd] = 0;
        batch[fd][0] = 0;
    }
    return (int)syscall(SYS_close, fd);
}

static int
two_names(enum op op, int result, const char *from, const char *to)
{
    if (result == 0) {
        struct iovec iov = {(void *)(uintptr_t)(to + dir_n), strlen(to + dir_n)};
        record(op, 0, 0, from + dir_n, &iov, 1, SIZE_MAX);
    }
    return result;
}

int
rename(const char *from, const char *to)
{
    if (!ours(from)) {
        return (int)syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0);
    }
    enter();
    int r = two_names(OP_RENAME, (int)syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0), from, to);
    int saved = errno;
    pthread_mutex_unlock(&mu);
    errno = saved;
    return r;
}

int
link(const char *from, const char *to)
{
    if (ours(from)) {
        abort(); /* not used by Logpond */
    }
    return (int)syscall(SYS_linkat, AT_FDCWD, from, AT_FDCWD, to, 0);
}

static int
one_name(enum op op, long number, const char *path, mode_t mode)
{
    if (!ours(path)) {
        return (int)(op == OP_MKDIR ? syscall(SYS_mkdirat, AT_FDCWD, path, mode) : syscall(SYS_unlinkat, AT_FDCWD, path, number));
    }
    enter();
    int r = (int)(op == OP_MKDIR ? syscall(SYS_mkdirat, AT_FDCWD, path, mode) : syscall(SYS_unlinkat, AT_FDCWD, path, number));
    int saved = errno;
    if (r == 0) {
        record(op, 0, 0, path + dir_n, NULL, 0, 0);
    }
    pthread_mutex_unlock(&mu);
    errno = saved;
    return r;
}

int mkdir(const char *path, mode_t mode) { return one_name(OP_MKDIR, 0, path, mode); }
int unlink(const char *path) { return one_name(OP_UNLINK, 0, path, 0); }
int rmdir(const char *path) { return one_name(OP_RMDIR, AT_REMOVEDIR, path, 0); }

/* --- content --- */

static int
is_ours(int fd)
{
    return log_fd >= 0 && fd >= 0 && fd < FDS && handles[fd] != 0;
}

/* Before a 2xx leaves: its batch is acknowledged from here on. */
static void
note_answer(int fd, const struct iovec *iov, int n)
{
    if (log_fd < 0 || fd < 0 || fd >= FDS || handles[fd] != 0 || n < 1 || iov[0].iov_len < 12 ||
        memcmp(iov[0].iov_base, "HTTP/1.1 2", 10) != 0 || batch[fd][0] == 0) {
        return;
    }
    enter();
    record(OP_ACK, 0, 0, batch[fd], NULL, 0, 0);
    batch[fd][0] = 0;
    pthread_mutex_unlock(&mu);
}

/* After bytes of a request came in. */
static void
note_request(int fd, const struct iovec *iov, int n, ssize_t got)
{
    for (int i = 0; i < n && got > 0 && log_fd >= 0 && fd >= 0 && fd < FDS && handles[fd] == 0; i++) {
        size_t k = iov[i].iov_len < (size_t)got ? iov[i].iov_len : (size_t)got;
        const char *p = memmem(iov[i].iov_base, k, "X-Batch: ", 9);
        if (p != NULL) {
            size_t left = k - (size_t)(p + 9 - (const char *)iov[i].iov_base), m = 0;
            while (m < left && m < BATCH_BYTES - 1 && p[9 + m] != '\r') {
                m++;
            }
            memcpy(batch[fd], p + 9, m);
            batch[fd][m] = 0;
        }
        got -= (ssize_t)k;
    }
}

static ssize_t
do_pwritev(int fd, const struct iovec *iov, int n, off_t off, int positioned)
{
    enter();
    off_t at = positioned ? off : (off_t)syscall(SYS_lseek, fd, 0, SEEK_CUR);
    ssize_t r = positioned ? syscall(SYS_pwritev, fd, iov, n, (long)off, 0L) : syscall(SYS_writev, fd, iov, n);
    int saved = errno;
    if (r > 0) {
        record(OP_WRITE, handles[fd], (uint64_t)at, dsync[fd] ? "dsync" : NULL, iov, n, (size_t)r);
    }
    pthread_mutex_unlock(&mu);
    errno = saved;
    return r;
}

ssize_t
write(int fd, const void *p, size_t n)
{
    struct iovec iov = {(void *)(uintptr_t)p, n};
    if (is_ours(fd)) {
        return do_pwritev(fd, &iov, 1, 0, 0);
    }
    note_answer(fd, &iov, 1);
    return syscall(SYS_write, fd, p, n);
}

ssize_t
writev(int fd, const struct iovec *iov, int n)
{
    if (is_ours(fd)) {
        return do_pwritev(fd, iov, n, 0, 0);
    }
    note_answer(fd, iov, n);
    return syscall(SYS_writev, fd, iov, n);
}

ssize_t
send(int fd, const void *p, size_t n, int flags)
{
    struct iovec iov = {(void *)(uintptr_t)p, n};
    note_answer(fd, &iov, 1);
    return syscall(SYS_sendto, fd, p, n, flags, NULL, 0);
}

ssize_t
sendmsg(int fd, const struct msghdr *m, int flags)
{
    note_answer(fd, m->msg_iov, (int)m->msg_iovlen);
    return syscall(SYS_sendmsg, fd, m, flags);
}

static ssize_t
do_pwrite(int fd, const void *p, size_t n, off_t off)
{
    struct iovec iov = {(void *)(uintptr_t)p, n};
    return is_ours(fd) ? do_pwritev(fd, &iov, 1, off, 1) : syscall(SYS_pwrite64, fd, p, n, off);
}

static ssize_t
do_pwritev_any(int fd, const struct iovec *iov, int n, off_t off)
{
    return is_ours(fd) ? do_pwritev(fd, iov, n, off, 1) : syscall(SYS_pwritev, fd, iov, n, (long)off, 0L);
}

ssize_t pwrite(int fd, const void *p, size_t n, off_t off) { return do_pwrite(fd, p, n, off); }
ssize_t pwrite64(int fd, const void *p, size_t n, off64_t off) { return do_pwrite(fd, p, n, off); }
ssize_t pwritev(int fd, const struct iovec *iov, int n, off_t off) { return do_pwritev_any(fd, iov, n, off); }
ssize_t pwritev64(int fd, const struct iovec *iov, int n, off64_t off) { return do_pwritev_any(fd, iov, n, off); }

static int
sized(enum op op, int fd, long result, uint64_t bytes)
{
    int saved = errno;
    if (result == 0) {
        record(op, handles[fd], bytes, NULL, NULL, 0, 0);
    }
    pthread_mutex_unlock(&mu);
    errno = saved;
    return (int)result;
}

static int
do_ftruncate(int fd, off_t n)
{
    if (!is_ours(fd)) {
        return (int)syscall(SYS_ftruncate, fd, n);
    }
    enter();
    return sized(OP_TRUNCATE, fd, syscall(SYS_ftruncate, fd, n), (uint64_t)n);
}

int ftruncate(int fd, off_t n) { return do_ftruncate(fd, n); }
int ftruncate64(int fd, off64_t n) { return do_ftruncate(fd, n); }

static int
do_fallocate(int fd, int mode, off_t off, off_t n)
{
    if (!is_ours(fd)) {
        return (int)syscall(SYS_fallocate, fd, mode, off, n);
    }
    if (mode != 0 || off != 0) {
        abort();
    }
    enter();
    return sized(OP_ALLOCATE, fd, syscall(SYS_fallocate, fd, mode, off, n), (uint64_t)n);
}

int fallocate(int fd, int mode, off_t off, off_t n) { return do_fallocate(fd, mode, off, n); }
int fallocate64(int fd, int mode, off64_t off, off64_t n) { return do_fallocate(fd, mode, off, n); }
int posix_fallocate(int fd, off_t off, off_t n) { return do_fallocate(fd, 0, off, n) == 0 ? 0 : errno; }
int posix_fallocate64(int fd, off64_t off, off64_t n) { return do_fallocate(fd, 0, off, n) == 0 ? 0 : errno; }

static int
do_sync(int fd, long number)
{
    if (!is_ours(fd)) {
        return (int)syscall(number, fd);
    }
    enter();
    return sized(OP_SYNC, fd, syscall(number, fd), 0);
}

int fsync(int fd) { return do_sync(fd, SYS_fsync); }
int fdatasync(int fd) { return do_sync(fd, SYS_fdatasync); }

int
sync_file_range(int fd, off64_t off, off64_t n, unsigned flags)
{
    if (is_ours(fd)) {
        abort(); /* no durability in it: Logpond must not use it */
    }
    return (int)syscall(SYS_sync_file_range, fd, off, n, flags);
}

/* --- requests coming in --- */

ssize_t
read(int fd, void *p, size_t n)
{
    ssize_t r = syscall(SYS_read, fd, p, n);
    struct iovec iov = {p, n};
    note_request(fd, &iov, 1, r);
    return r;
}

ssize_t
readv(int fd, const struct iovec *iov, int n)
{
    ssize_t r = syscall(SYS_readv, fd, iov, n);
    note_request(fd, iov, n, r);
    return r;
}

ssize_t
recv(int fd, void *p, size_t n, int flags)
{
    ssize_t r = syscall(SYS_recvfrom, fd, p, n, flags, NULL, NULL);
    struct iovec iov = {p, n};
    note_request(fd, &iov, 1, r);
    return r;
}
