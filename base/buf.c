/*
 * buf.c - the growing buffer. Invariant: p is NULL, or cap + LP_BUF_PAD bytes long; n <= cap <= limit.
 */
#include "base/buf.h"

#include <stdarg.h>
#include <stdio.h>

void
lp_buf_init(struct lp_buf *b, size_t limit)
{
    *b = (struct lp_buf){.limit = limit};
}

void
lp_buf_clear(struct lp_buf *b)
{
    lp_free(b->p);
    lp_buf_init(b, b->limit);
}

void
lp_buf_reset(struct lp_buf *b)
{
    b->n = 0;
    b->failed = false;
}

static bool
grow(struct lp_buf *b, size_t need)
{
    size_t cap = LP_MAX(LP_MAX(need, b->cap + b->cap / 2), (size_t)256 - LP_BUF_PAD);
    cap = LP_MIN(cap, b->limit);
    if (cap > SIZE_MAX - LP_BUF_PAD) {
        return false;
    }
    char *p = lp_try_realloc(b->p, cap + LP_BUF_PAD);
    if (p == NULL) {
        return false;
    }
    b->p = p;
    b->cap = cap;
    return true;
}

bool
lp_buf_reserve(struct lp_buf *b, size_t more)
{
    if (LP_LIKELY(b->p != NULL && more <= b->cap - b->n)) {
        return true;
    }
    if (more > b->limit || b->n > b->limit - more || !grow(b, b->n + more)) {
        b->failed = true;
        return false;
    }
    return true;
}

bool
lp_buf_add(struct lp_buf *b, const void *p, size_t n)
{
    if (!lp_buf_reserve(b, n)) {
        return false;
    }
    if (n > 0) {
        memcpy(b->p + b->n, p, n);
        b->n += n;
    }
    return true;
}

bool
lp_buf_str(struct lp_buf *b, struct lp_str s)
{
    return lp_buf_add(b, s.p, s.n);
}

bool
lp_buf_c(struct lp_buf *b, const char *cstr)
{
    return lp_buf_add(b, cstr, strlen(cstr));
}

bool
lp_buf_byte(struct lp_buf *b, uint8_t byte)
{
    return lp_buf_add(b, &byte, 1);
}

bool
lp_buf_printf(struct lp_buf *b, const char *fmt, ...)
{
    va_list ap;
    char text[512];
    va_start(ap, fmt);
    int n = vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    LP_ASSERT(n >= 0);
    if ((size_t)n < sizeof(text)) {
        return lp_buf_add(b, text, (size_t)n);
    }
    if (!lp_buf_reserve(b, (size_t)n)) {
        return false;
    }
    va_start(ap, fmt);
    vsnprintf(b->p + b->n, (size_t)n + 1, fmt, ap); /* the NUL falls into the pad */
    va_end(ap);
    b->n += (size_t)n;
    return true;
}

/* True for bytes that stand in a JSON string as they are. */
static bool
json_plain(unsigned char c)
{
    return c >= 0x20 && c < 0x80 && c != '"' && c != '\\' && c != '<' && c != '>' && c != '&';
}

static bool
json_escape(struct lp_buf *b, unsigned char c)
{
    switch (c) {
    case '"':
        return lp_buf_c(b, "\\\"");
    case '\\':
        return lp_buf_c(b, "\\\\");
    case '\n':
        return lp_buf_c(b, "\\n");
    case '\r':
        return lp_buf_c(b, "\\r");
    case '\t':
        return lp_buf_c(b, "\\t");
    default:
        return lp_buf_printf(b, "\\u%04x", c);
    }
}

/* Writes what begins at s.p[0], which is not plain; returns how many bytes of s it took, 0 when b is full. */
static size_t
json_special(struct lp_buf *b, struct lp_str s)
{
    unsigned char c = (unsigned char)s.p[0];
    if (c < 0x80) {
        return json_escape(b, c) ? 1 : 0;
    }
    size_t len = lp_utf8_len(s.p, s.n);
    if (len == 0) {
        return lp_buf_c(b, "\\ufffd") ? 1 : 0;
    }
    /* U+2028 and U+2029 end a line in JavaScript */
    if (len == 3 && memcmp(s.p, "\xe2\x80\xa8", 3) == 0) {
        return lp_buf_c(b, "\\u2028") ? 3 : 0;
    }
    if (len == 3 && memcmp(s.p, "\xe2\x80\xa9", 3) == 0) {
        return lp_buf_c(b, "\\u2029") ? 3 : 0;
    }
    return lp_buf_add(b, s.p, len) ? len : 0;
}

bool
lp_buf_json(struct lp_buf *b, struct lp_str s)
{
    size_t before = b->n;
    bool ok = lp_buf_byte(b, '"');
    size_t i = 0;
    while (ok && i < s.n) {
        size_t run = i;
        while (run < s.n && json_plain((unsigned char)s.p[run])) {
            run++;
        }
        ok = lp_buf_add(b, s.p + i, run - i);
        i = run;
        if (ok && i < s.n) {
            size_t took = json_special(b, lp_str_sub(s, i, s.n));
            ok = took > 0;
            i += took;
        }
    }
    ok = ok && lp_buf_byte(b, '"');
    if (!ok) {
        b->n = before;
    }
    return ok;
}

bool
lp_buf_base64(struct lp_buf *b, struct lp_str s)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (size_t i = 0; i < s.n && !b->failed; i += 3) {
        size_t n = LP_MIN((size_t)3, s.n - i);
        uint32_t v = 0;
        for (size_t k = 0; k < 3; k++) {
            v = v << 8 | (k < n ? (uint8_t)s.p[i + k] : 0);
        }
        char four[4] = {digits[v >> 18], digits[v >> 12 & 63], n > 1 ? digits[v >> 6 & 63] : '=',
                        n > 2 ? digits[v & 63] : '='};
        lp_buf_add(b, four, sizeof(four));
    }
    return !b->failed;
}
