/*
 * buf.h - a growing byte buffer with a limit. Owned by one thread at a time; the bytes move when it grows.
 *
 * A failed append (limit, no memory) leaves the content as it was and sets `failed`, so that a writer of many small
 * pieces can check once at its end.
 */
#ifndef LP_BASE_BUF_H
#define LP_BASE_BUF_H

#include "base/str.h"

#ifdef __cplusplus
extern "C" {
#endif

struct lp_buf {
    char *p;
    size_t n, cap;
    size_t limit; /* most bytes it may hold */
    bool failed;  /* an append did not fit */
};

#define LP_BUF_PAD 64 /* readable bytes that always stand behind p[n) once anything was stored (JSON parsing needs them) */

void lp_buf_init(struct lp_buf *b, size_t limit);
/* Frees; the buffer is as after lp_buf_init. */
void lp_buf_clear(struct lp_buf *b);
/* Keeps the memory, drops content and failure. */
void lp_buf_reset(struct lp_buf *b);
/* Makes room for `more` bytes behind n; false (and failed) when over the limit. */
bool lp_buf_reserve(struct lp_buf *b, size_t more);
bool lp_buf_add(struct lp_buf *b, const void *p, size_t n);
bool lp_buf_str(struct lp_buf *b, struct lp_str s);
bool lp_buf_c(struct lp_buf *b, const char *cstr);
bool lp_buf_byte(struct lp_buf *b, uint8_t byte);
bool lp_buf_printf(struct lp_buf *b, const char *fmt, ...) LP_PRINTF(2, 3);
/* As base64 with padding. */
bool lp_buf_base64(struct lp_buf *b, struct lp_str s);
/* A JSON string with its quotes: control characters escaped, < > & as \u003c.. as Go does, invalid UTF-8 as U+FFFD. */
bool lp_buf_json(struct lp_buf *b, struct lp_str s);
/* The bytes so far, borrowed until the next change. */
static inline struct lp_str
lp_buf_view(const struct lp_buf *b)
{
    return lp_str_of(b->p, b->n);
}

#ifdef __cplusplus
}
#endif

#endif
