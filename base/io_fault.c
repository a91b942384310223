/*
 * io_fault.c - the fault-injecting back end: the POSIX ops, with a fault in front of the n-th counted
 * attempt.
 *
 * What a fault does to the attempts that follow is thread-local, because the loop that io.c runs for one call
 * belongs to one thread: after half of a write, the second attempt fails (EIO, or EINTR); after an EINTR, the
 * attempt that repeats the interrupted one passes uncounted, so a persistent EINTR interrupts each call once
 * and ends. The counts are atomic, and a plan may be set while other threads use the io.
 */
#include "base/io_fault.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>

#include "base/io_int.h"

/* Plans are immutable and live as long as the io, so another thread may still look at the one before. */
struct plan_node {
    struct lp_io_fault_plan plan;
    struct plan_node *older;
};

struct fault_state {
    _Atomic(struct plan_node *) plan;
    atomic_uint_fast64_t counted, fired;
};

static const struct lp_io_fault_plan *
plan_of(const struct fault_state *st)
{
    return &atomic_load(&st->plan)->plan;
}

/* What the next attempt of this thread meets. */
static _Thread_local enum { NEXT_COUNTS, NEXT_FAILS, NEXT_INTERRUPTED, NEXT_PASSES } next_attempt;

__attribute__((noinline)) void
lp_io_fault_hit(void)
{
    __asm__ volatile(""); /* keeps the call: a place for a breakpoint */
}

/* Calls that a kind applies to: space is needed by some only, and only a write can be half done. */
static unsigned
calls_of(enum lp_fault_kind kind)
{
    switch (kind) {
    case LP_FAULT_ENOSPC:
        return LP_FAULT_OPEN | LP_FAULT_WRITE | LP_FAULT_RENAME | LP_FAULT_OTHER;
    case LP_FAULT_SHORT_WRITE:
        return LP_FAULT_WRITE;
    case LP_FAULT_EIO:
    case LP_FAULT_EINTR:
        break;
    }
    return LP_FAULT_ALL;
}

/* True when this attempt is to be given the plan's fault. `takes_space`: it can fail for want of it. */
static bool
fires(const struct lp_io *io, unsigned call, bool takes_space)
{
    struct fault_state *st = io->state;
    const struct lp_io_fault_plan *plan = plan_of(st);
    if ((plan->calls & calls_of(plan->kind) & call) == 0 || plan->nth == 0) {
        return false;
    }
    if (plan->kind == LP_FAULT_ENOSPC && !takes_space) {
        return false;
    }
    uint64_t count = atomic_fetch_add(&st->counted, 1) + 1;
    if (count != plan->nth && !(plan->persistent && count > plan->nth)) {
        return false;
    }
    atomic_fetch_add(&st->fired, 1);
    lp_io_fault_hit();
    return true;
}

static int
fault_errno(enum lp_fault_kind kind)
{
    return kind == LP_FAULT_EINTR ? EINTR : kind == LP_FAULT_ENOSPC ? ENOSPC : EIO;
}

/* What stands before an attempt that cannot be half done: 0, or the error it is given. */
static int
fault_whole(const struct lp_io *io, unsigned call, bool takes_space)
{
    const struct fault_state *st = io->state;
    if (next_attempt == NEXT_PASSES) {
        next_attempt = NEXT_COUNTS;
        return 0;
    }
    enum lp_fault_kind kind = plan_of(st)->kind;
    if (!fires(io, call, takes_space)) {
        return 0;
    }
    if (kind == LP_FAULT_EINTR) {
        next_attempt = NEXT_PASSES;
    }
    return -fault_errno(kind);
}

/* As fault_whole, for a transfer of n bytes; *n becomes what this attempt is to move. */
static int
fault_transfer(const struct lp_io *io, unsigned call, bool takes_space, size_t *n)
{
    const struct fault_state *st = io->state;
    enum lp_fault_kind kind = plan_of(st)->kind;
    switch (next_attempt) {
    case NEXT_FAILS:
        next_attempt = NEXT_COUNTS;
        return -EIO;
    case NEXT_INTERRUPTED:
        next_attempt = NEXT_PASSES;
        return -EINTR;
    case NEXT_PASSES:
        next_attempt = NEXT_COUNTS;
        return 0;
    case NEXT_COUNTS:
        break;
    }
    if (!fires(io, call, takes_space)) {
        return 0;
    }
    if (kind == LP_FAULT_EIO || kind == LP_FAULT_ENOSPC) {
        return -fault_errno(kind);
    }
    bool half = *n > 1;
    next_attempt = kind == LP_FAULT_EINTR ? (half ? NEXT_INTERRUPTED : NEXT_PASSES)
                   : half                 ? NEXT_FAILS
                                          : NEXT_COUNTS;
    *n /= 2;
    return half ? 0 : -fault_errno(kind);
}

static const struct lp_io *
below(void)
{
    return lp_io_posix();
}

static int
fault_open(const struct lp_io *io, const char *path, int oflags)
{
    int rc = fault_whole(io, LP_FAULT_OPEN, (oflags & O_CREAT) != 0);
    return rc < 0 ? rc : below()->ops->open(below(), path, oflags);
}

static void
fault_close(const struct lp_io *io, int fd)
{
    (void)io;
    below()->ops->close(below(), fd);
}

static ssize_t
fault_pread(const struct lp_io *io, int fd, void *p, size_t n, uint64_t off)
{
    int rc = fault_transfer(io, LP_FAULT_READ, false, &n);
    return rc < 0 ? rc : below()->ops->pread(below(), fd, p, n, off);
}

static void
fault_expect(const struct lp_io *io, int fd, uint64_t off, size_t n)
{
    (void)io;
    below()->ops->expect(below(), fd, off, n);
}

static ssize_t
fault_pwritev(const struct lp_io *io, int fd, const struct iovec *iov, int iovcnt, uint64_t off)
{
    size_t all = 0;
    for (int i = 0; i < iovcnt; i++) {
        all += iov[i].iov_len;
    }
    size_t n = all;
    int rc = fault_transfer(io, LP_FAULT_WRITE, true, &n);
    if (rc < 0 || n == all) {
        return rc < 0 ? rc : below()->ops->pwritev(below(), fd, iov, iovcnt, off);
    }
    /* a half: whole entries first, then a part of the next one */
    int whole = 0;
    size_t bytes = 0;
    while (bytes + iov[whole].iov_len <= n) {
        bytes += iov[whole++].iov_len;
    }
    if (whole > 0) {
        return below()->ops->pwritev(below(), fd, iov, whole, off);
    }
    struct iovec part = {.iov_base = iov[0].iov_base, .iov_len = n};
    return below()->ops->pwritev(below(), fd, &part, 1, off);
}

static int
fault_datasync(const struct lp_io *io, int fd)
{
    int rc = fault_whole(io, LP_FAULT_SYNC, false);
    return rc < 0 ? rc : below()->ops->datasync(below(), fd);
}

static int
fault_fullsync(const struct lp_io *io, int fd)
{
    int rc = fault_whole(io, LP_FAULT_SYNC, false);
    return rc < 0 ? rc : below()->ops->fullsync(below(), fd);
}

static int
fault_size(const struct lp_io *io, int fd, uint64_t *ret_bytes)
{
    int rc = fault_whole(io, LP_FAULT_OTHER, false);
    return rc < 0 ? rc : below()->ops->size(below(), fd, ret_bytes);
}

static int
fault_truncate(const struct lp_io *io, int fd, uint64_t bytes)
{
    int rc = fault_whole(io, LP_FAULT_OTHER, true);
    return rc < 0 ? rc : below()->ops->truncate(below(), fd, bytes);
}

static int
fault_allocate(const struct lp_io *io, int fd, uint64_t bytes)
{
    int rc = fault_whole(io, LP_FAULT_OTHER, true);
    return rc < 0 ? rc : below()->ops->allocate(below(), fd, bytes);
}

static int
fault_rename(const struct lp_io *io, const char *from, const char *to)
{
    int rc = fault_whole(io, LP_FAULT_RENAME, true);
    return rc < 0 ? rc : below()->ops->rename(below(), from, to);
}

static int
fault_unlink(const struct lp_io *io, const char *path)
{
    int rc = fault_whole(io, LP_FAULT_UNLINK, false);
    return rc < 0 ? rc : below()->ops->unlink(below(), path);
}

static int
fault_mkdir(const struct lp_io *io, const char *path)
{
    int rc = fault_whole(io, LP_FAULT_OTHER, true);
    return rc < 0 ? rc : below()->ops->mkdir(below(), path);
}

static int
fault_opendir(const struct lp_io *io, const char *path, DIR **ret)
{
    int rc = fault_whole(io, LP_FAULT_OTHER, false);
    return rc < 0 ? rc : below()->ops->opendir(below(), path, ret);
}

static int
fault_statvfs(const struct lp_io *io, const char *path, struct statvfs *ret)
{
    int rc = fault_whole(io, LP_FAULT_OTHER, false);
    return rc < 0 ? rc : below()->ops->statvfs(below(), path, ret);
}

static int
fault_trylock(const struct lp_io *io, int fd)
{
    int rc = fault_whole(io, LP_FAULT_OTHER, false);
    return rc < 0 ? rc : below()->ops->trylock(below(), fd);
}

struct lp_io *
lp_io_fault_new(void)
{
    static const struct lp_io_ops ops = {
        .open = fault_open,
        .close = fault_close,
        .pread = fault_pread,
        .expect = fault_expect,
        .pwritev = fault_pwritev,
        .datasync = fault_datasync,
        .fullsync = fault_fullsync,
        .size = fault_size,
        .truncate = fault_truncate,
        .allocate = fault_allocate,
        .rename = fault_rename,
        .unlink = fault_unlink,
        .mkdir = fault_mkdir,
        .opendir = fault_opendir,
        .statvfs = fault_statvfs,
        .trylock = fault_trylock,
    };
    struct lp_io *io = lp_calloc(1, sizeof(*io));
    io->ops = &ops;
    io->state = lp_calloc(1, sizeof(struct fault_state));
    static const struct lp_io_fault_plan none = {.nth = 0};
    lp_io_fault_plan(io, &none);
    return io;
}

void
lp_io_fault_free(struct lp_io *io)
{
    if (io != NULL) {
        struct fault_state *st = io->state;
        for (struct plan_node *n = atomic_load(&st->plan), *older; n != NULL; n = older) {
            older = n->older;
            lp_free(n);
        }
        lp_free(io->state);
        lp_free(io);
    }
}

void
lp_io_fault_plan(struct lp_io *io, const struct lp_io_fault_plan *plan)
{
    struct fault_state *st = io->state;
    struct plan_node *n = lp_calloc(1, sizeof(*n));
    n->plan = *plan;
    n->older = atomic_load(&st->plan);
    atomic_store(&st->plan, n);
    atomic_store(&st->counted, 0);
    atomic_store(&st->fired, 0);
    next_attempt = NEXT_COUNTS;
}

uint64_t
lp_io_fault_fired(const struct lp_io *io)
{
    const struct fault_state *st = io->state;
    return atomic_load(&st->fired);
}
