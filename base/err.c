/*
 * err.c - filling a struct lp_err. Pure but for the corruption counter.
 */
#include "base/err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/metrics.h"

void
lp_err_clear(struct lp_err *err)
{
    err->rc = LP_OK;
    err->sys_errno = 0;
    err->line = err->col = 0;
    err->text[0] = 0;
}

static void
set_text(struct lp_err *err, lp_rc rc, const char *fmt, va_list ap)
{
    lp_err_clear(err);
    err->rc = rc;
    vsnprintf(err->text, sizeof(err->text), fmt, ap);
}

lp_rc
lp_err_set(struct lp_err *err, lp_rc rc, const char *fmt, ...)
{
    if (err != NULL) {
        va_list ap;
        va_start(ap, fmt);
        set_text(err, rc, fmt, ap);
        va_end(ap);
    }
    return rc;
}

lp_rc
lp_err_sys(struct lp_err *err, int sys_errno, const char *fmt, ...)
{
    lp_rc rc = sys_errno == ENOSPC || sys_errno == EDQUOT ? LP_ERR_DISK_FULL : LP_ERR_IO;
    if (err != NULL) {
        va_list ap;
        va_start(ap, fmt);
        set_text(err, rc, fmt, ap);
        va_end(ap);
        err->sys_errno = sys_errno;
        size_t n = strlen(err->text);
        snprintf(err->text + n, sizeof(err->text) - n, ": %s", strerror(sys_errno));
    }
    return rc;
}

lp_rc
lp_err_at(struct lp_err *err, lp_rc rc, uint32_t line, uint32_t col, const char *fmt, ...)
{
    if (err != NULL) {
        va_list ap;
        va_start(ap, fmt);
        set_text(err, rc, fmt, ap);
        va_end(ap);
        err->line = line;
        err->col = col;
    }
    return rc;
}

lp_rc
lp_err_prefix(struct lp_err *err, lp_rc rc, const char *fmt, ...)
{
    if (err == NULL) {
        return rc;
    }
    char head[LP_ERR_TEXT_BYTES];
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(head, sizeof(head), fmt, ap);
    va_end(ap);
    size_t left = sizeof(err->text);
    if (n > 0 && (size_t)n + 3 < left) {
        memmove(err->text + n + 2, err->text, left - (size_t)n - 2);
        memcpy(err->text, head, (size_t)n);
        memcpy(err->text + n, ": ", 2);
        err->text[left - 1] = 0;
    }
    return rc;
}

lp_rc
lp_corrupt(struct lp_err *err, const char *fmt, ...)
{
    lp_metric_add(LP_M_CORRUPT_FOUND, 1);
    if (err != NULL) {
        va_list ap;
        va_start(ap, fmt);
        set_text(err, LP_ERR_CORRUPT, fmt, ap);
        va_end(ap);
    }
    return LP_ERR_CORRUPT;
}
