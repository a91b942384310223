/*
 * err.h - the detail of a failure: caller-owned, filled by the function that saw it, read by the one that reports it.
 *
 * Usage:  return lp_err_set(err, LP_ERR_CORRUPT, "block %u: header checksum differs", id);
 * `err` may be NULL wherever a function takes one; then only the code travels. Libraries never log; server/ does.
 */
#ifndef LP_BASE_ERR_H
#define LP_BASE_ERR_H

#include "base/lp.h"

#ifdef __cplusplus
extern "C" {
#endif

#define LP_ERR_TEXT_BYTES 256

struct lp_err {
    lp_rc rc;                      /* LP_OK when nothing was set */
    int sys_errno;                 /* errno of the failed call, else 0 */
    uint32_t line, col;            /* 1-based place in parsed text, else 0 */
    char text[LP_ERR_TEXT_BYTES];  /* one sentence without a full stop, NUL-terminated, cut where too long */
};

void lp_err_clear(struct lp_err *err);

/* Sets code and text; returns rc, so that it can stand in a return statement. err may be NULL. */
lp_rc lp_err_set(struct lp_err *err, lp_rc rc, const char *fmt, ...) LP_PRINTF(3, 4);

/* As lp_err_set, for a failed system call: appends ": " and strerror(sys_errno). ENOSPC and EDQUOT turn LP_ERR_IO into LP_ERR_DISK_FULL. */
lp_rc lp_err_sys(struct lp_err *err, int sys_errno, const char *fmt, ...) LP_PRINTF(3, 4);

/* As lp_err_set, with a 1-based place in a parsed text. */
lp_rc lp_err_at(struct lp_err *err, lp_rc rc, uint32_t line, uint32_t col, const char *fmt, ...) LP_PRINTF(5, 6);

/* Puts "prefix: " before the text that is there, for context on the way up. Returns err's code (rc if err is NULL). */
lp_rc lp_err_prefix(struct lp_err *err, lp_rc rc, const char *fmt, ...) LP_PRINTF(3, 4);

/*
 * Every place that finds stored bytes damaged calls this one function (counted; a place for a breakpoint) instead of
 * lp_err_set(err, LP_ERR_CORRUPT, ...).
 */
lp_rc lp_corrupt(struct lp_err *err, const char *fmt, ...) LP_PRINTF(2, 3);

#ifdef __cplusplus
}
#endif

#endif
