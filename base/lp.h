/*
 * lp.h - the first include of every Logpond source file: build configuration, result codes, assertions, attributes.
 *
 * base/ is the lowest layer: it includes nothing of Logpond's other folders.
 *
 * Result codes. A function that can fail returns `lp_rc`: LP_OK (0) or one negative code. What went wrong in words goes
 * into a caller-owned `struct lp_err` (err.h), always the last parameter. Results go out through `ret_x` parameters,
 * written only on success. Cleanup has one exit (`out:`), reached by forward jumps only.
 *
 * Assertions. LP_ASSERT states an invariant of our own code; it is cheap and stays on in release builds.
 * LP_DEBUG_ASSERT may cost, and is compiled in debug builds only. Bytes from disk or network are never asserted.
 */
#ifndef LP_H
#define LP_H

#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define LP_MUST_USE __attribute__((warn_unused_result))
#define LP_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))
#define LP_NORETURN __attribute__((noreturn))
#define LP_UNUSED __attribute__((unused))
#define LP_LIKELY(x) __builtin_expect(!!(x), 1)
#define LP_UNLIKELY(x) __builtin_expect(!!(x), 0)
#define LP_ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))
#define LP_MIN(a, b) ((a) < (b) ? (a) : (b))
#define LP_MAX(a, b) ((a) > (b) ? (a) : (b))

/* Code, name as users see it, meaning. */
#define LP_RC_TABLE(X)                                                                          \
    X(LP_ERR_NOMEM, -1, "nomem", "the system gave no memory")                                   \
    X(LP_ERR_IO, -2, "io", "a system call on a file or socket failed; saved errno in lp_err")   \
    X(LP_ERR_CORRUPT, -3, "corrupt", "stored bytes are not what was written")                   \
    X(LP_ERR_NOT_FOUND, -4, "not_found", "no such thing")                                       \
    X(LP_ERR_LIMIT, -5, "limit", "a named limit was exceeded; a retry will fail too")           \
    X(LP_ERR_BUSY, -6, "busy", "no room now; a retry can succeed")                              \
    X(LP_ERR_TIMEOUT, -7, "timeout", "the deadline passed")                                     \
    X(LP_ERR_CANCELED, -8, "canceled", "the caller, or the client, gave up")                    \
    X(LP_ERR_PARSE, -9, "parse", "the input is malformed; a retry will fail too")               \
    X(LP_ERR_UNSUPPORTED, -10, "unsupported", "well-formed, but this build or version cannot")  \
    X(LP_ERR_MISUSE, -11, "misuse", "the caller broke the contract; state is unchanged")        \
    X(LP_ERR_SHUTDOWN, -12, "shutdown", "the object is closing")                                \
    X(LP_ERR_DISK_FULL, -13, "disk_full", "no space on the device; heals when space returns")   \
    X(LP_ERR_EXISTS, -14, "exists", "the thing is already there")

typedef enum lp_rc {
    LP_OK = 0,
#define X(code, value, name, text) code = value,
    LP_RC_TABLE(X)
#undef X
} lp_rc;

/* The short name of a code ("corrupt"); "ok" for LP_OK. Static string. */
const char *lp_rc_name(lp_rc rc);

LP_NORETURN void lp_assert_failed(const char *expr, const char *file, int line, const char *func);

#define LP_ASSERT(expr)                                                                         \
    do {                                                                                        \
        if (LP_UNLIKELY(!(expr))) {                                                             \
            lp_assert_failed(#expr, __FILE__, __LINE__, __func__);                              \
        }                                                                                       \
    } while (0)

#ifdef LP_DEBUG
#define LP_DEBUG_ASSERT(expr) LP_ASSERT(expr)
#else
#define LP_DEBUG_ASSERT(expr)                                                                   \
    do {                                                                                        \
        (void)sizeof(!(expr));                                                                  \
    } while (0)
#endif

/*
 * Small structural allocations. They end the process when the system has no memory: Logpond is crash-only, so nothing
 * acknowledged is lost by that. Everything whose size an outsider steers comes from an arena (arena.h) or a limited
 * buffer (buf.h) instead, and fails with an error.
 */
void *lp_malloc(size_t bytes) LP_MUST_USE __attribute__((malloc, returns_nonnull));
void *lp_calloc(size_t count, size_t bytes) LP_MUST_USE __attribute__((returns_nonnull));
void *lp_realloc(void *p, size_t bytes) LP_MUST_USE __attribute__((returns_nonnull));
char *lp_strdup(const char *s) LP_MUST_USE __attribute__((returns_nonnull));
void lp_free(void *p);
/* Below arena.c and buf.c: as malloc and realloc, NULL when the system has no memory. Freed with lp_free. */
void *lp_try_malloc(size_t bytes) LP_MUST_USE __attribute__((malloc));
void *lp_try_realloc(void *p, size_t bytes) LP_MUST_USE;

#ifdef __cplusplus
}
#endif

#endif /* LP_H */
