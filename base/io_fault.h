/*
 * io_fault.h - the fault-injecting io back end for tests: makes the n-th call of a kind fail, once or for ever.
 *
 * A loop over n = 1, 2, 3 ... until a run in which nothing fired visits every call. lp_io_fault_fired() tells; the
 * function lp_io_fault_hit() is only a place to set a breakpoint. Closing never fails and is not counted; a kind counts
 * only calls that it can happen to.
 */
#ifndef LP_BASE_IO_FAULT_H
#define LP_BASE_IO_FAULT_H

#include "base/io.h"

#ifdef __cplusplus
extern "C" {
#endif

enum lp_fault_kind {
    LP_FAULT_EIO,         /* the call fails with EIO and does nothing */
    LP_FAULT_ENOSPC,      /* writes, creates, renames, allocations: ENOSPC */
    LP_FAULT_SHORT_WRITE, /* half of the bytes are written, then EIO */
    LP_FAULT_EINTR,       /* one interruption after half of the work; must be survived unnoticed */
};

enum lp_fault_calls {
    LP_FAULT_OPEN = 1, LP_FAULT_READ = 2, LP_FAULT_WRITE = 4, LP_FAULT_SYNC = 8, /* SYNC: files and folders */
    LP_FAULT_RENAME = 16, LP_FAULT_UNLINK = 32, LP_FAULT_OTHER = 64, LP_FAULT_ALL = 127, /* OTHER: size, truncate, allocate, mkdir, list, space, lock */
};

struct lp_io_fault_plan {
    enum lp_fault_kind kind;
    unsigned calls;  /* which calls count: lp_fault_calls, or-ed */
    uint64_t nth;    /* 1-based; 0 = never */
    bool persistent; /* every counted call from the nth on */
};

/* Wraps the POSIX back end. */
struct lp_io *lp_io_fault_new(void);
void lp_io_fault_free(struct lp_io *io);
/* Sets the plan and zeroes the counts. */
void lp_io_fault_plan(struct lp_io *io, const struct lp_io_fault_plan *plan);
/* Does nothing, each time a fault is given. */
void lp_io_fault_hit(void);
/* How often a fault was given since the plan was set. */
uint64_t lp_io_fault_fired(const struct lp_io *io);

#ifdef __cplusplus
}
#endif

#endif
