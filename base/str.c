/*
 * str.c - byte slices: comparing, searching, cutting, numbers, UTF-8, URL escapes. Pure functions.
 */
#include "base/str.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

#include "base/arena.h"
#include "base/find.h"
#include "base/str_int.h"

#define LP_F64_TEXT_MAX 1024u  /* longer decimal texts are refused */
#define LP_UTF8_VECTOR_MIN 32u /* what is worth a call into json.cc */

int
lp_str_cmp(struct lp_str a, struct lp_str b)
{
    size_t n = LP_MIN(a.n, b.n);
    int diff = n > 0 ? memcmp(a.p, b.p, n) : 0;
    return diff != 0 ? diff : (a.n > b.n) - (a.n < b.n);
}

static unsigned char
ascii_lower(char c)
{
    return (unsigned char)(c >= 'A' && c <= 'Z' ? c | 0x20 : c);
}

bool
lp_str_ieq(struct lp_str a, struct lp_str b)
{
    if (a.n != b.n) {
        return false;
    }
    for (size_t i = 0; i < a.n; i++) {
        if (ascii_lower(a.p[i]) != ascii_lower(b.p[i])) {
            return false;
        }
    }
    return true;
}

bool
lp_str_starts(struct lp_str s, struct lp_str prefix)
{
    return prefix.n == 0 || (prefix.n <= s.n && memcmp(s.p, prefix.p, prefix.n) == 0);
}

bool
lp_str_ends(struct lp_str s, struct lp_str suffix)
{
    return suffix.n == 0 || (suffix.n <= s.n && memcmp(s.p + (s.n - suffix.n), suffix.p, suffix.n) == 0);
}

size_t
lp_str_find_byte(struct lp_str s, char byte)
{
    const char *at = s.n > 0 ? memchr(s.p, byte, s.n) : NULL;
    return at != NULL ? (size_t)(at - s.p) : SIZE_MAX;
}

size_t
lp_str_rfind_byte(struct lp_str s, char byte)
{
    const char *at = s.n > 0 ? memrchr(s.p, byte, s.n) : NULL;
    return at != NULL ? (size_t)(at - s.p) : SIZE_MAX;
}

bool
lp_str_among(struct lp_str s, const struct lp_str *v, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (lp_str_eq(s, v[i])) {
            return true;
        }
    }
    return false;
}

size_t
lp_str_find(struct lp_str s, struct lp_str needle)
{
    return lp_find(s, needle);
}

struct lp_str
lp_str_sub(struct lp_str s, size_t from, size_t to)
{
    to = LP_MIN(to, s.n);
    from = LP_MIN(from, to);
    return lp_str_of(s.p != NULL ? s.p + from : NULL, to - from);
}

static bool
is_blank(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

struct lp_str
lp_str_trim(struct lp_str s)
{
    while (s.n > 0 && is_blank(s.p[0])) {
        s.p++;
        s.n--;
    }
    while (s.n > 0 && is_blank(s.p[s.n - 1])) {
        s.n--;
    }
    return s;
}

char *
lp_str_dup(struct lp_str s)
{
    char *p = lp_malloc(s.n + 1);
    if (s.n > 0) {
        memcpy(p, s.p, s.n);
    }
    p[s.n] = 0;
    return p;
}

struct lp_str
lp_str_cut(struct lp_str *rest, char sep)
{
    size_t at = lp_str_find_byte(*rest, sep);
    struct lp_str head = lp_str_sub(*rest, 0, at);
    *rest = at == SIZE_MAX ? LP_STR_NULL : lp_str_sub(*rest, at + 1, rest->n);
    return head;
}

bool
lp_str_u64(struct lp_str s, uint64_t *ret)
{
    uint64_t v = 0;
    uint32_t eight;
    size_t i = 0;
    for (; i + 8 <= s.n && i < 16 && lp_eight_digits(s.p + i, &eight); i += 8) {
        v = v * 100000000 + eight;
    }
    for (; i < s.n; i++) {
        unsigned digit = (unsigned char)s.p[i] - (unsigned)'0';
        if (digit > 9 || __builtin_mul_overflow(v, 10, &v) || __builtin_add_overflow(v, digit, &v)) {
            return false;
        }
    }
    if (s.n == 0) {
        return false;
    }
    *ret = v;
    return true;
}

bool
lp_str_i64(struct lp_str s, int64_t *ret)
{
    bool minus = s.n > 0 && s.p[0] == '-';
    bool sign = minus || (s.n > 0 && s.p[0] == '+');
    uint64_t v;
    if (!lp_str_u64(lp_str_sub(s, sign, s.n), &v) || v > (uint64_t)INT64_MAX + minus) {
        return false;
    }
    *ret = minus ? (int64_t)(0 - v) : (int64_t)v;
    return true;
}

static size_t
skip_digits(struct lp_str s, size_t i)
{
    while (i < s.n && s.p[i] >= '0' && s.p[i] <= '9') {
        i++;
    }
    return i;
}

/* [sign] digits [. digits] [e [sign] digits], with a digit before or after the point. */
static bool
decimal_form(struct lp_str s)
{
    size_t i = s.n > 0 && (s.p[0] == '-' || s.p[0] == '+');
    size_t whole = i;
    i = skip_digits(s, i);
    size_t digits = i - whole;
    if (i < s.n && s.p[i] == '.') {
        size_t frac = ++i;
        i = skip_digits(s, i);
        digits += i - frac;
    }
    if (digits > 0 && i < s.n && (s.p[i] | 0x20) == 'e') {
        i++;
        i += i < s.n && (s.p[i] == '-' || s.p[i] == '+');
        size_t exp = i;
        i = skip_digits(s, i);
        digits = i > exp ? digits : 0;
    }
    return digits > 0 && i == s.n;
}

bool
lp_str_f64(struct lp_str s, double *ret)
{
    char text[LP_F64_TEXT_MAX + 1];
    if (s.n > LP_F64_TEXT_MAX || !decimal_form(s)) {
        return false;
    }
    memcpy(text, s.p, s.n);
    text[s.n] = 0;
    double v = strtod(text, NULL); /* the process never leaves the C locale */
    if (!isfinite(v)) {
        return false;
    }
    *ret = v;
    return true;
}

/* The factor of a unit such as "", "b", "k", "kb", "kib" (any case); 0 when it is none. */
static uint64_t
bytes_unit(struct lp_str unit)
{
    static const char prefixes[] = "kmgtpe";
    if (unit.n == 0 || lp_str_ieq(unit, LP_STR("b"))) {
        return 1;
    }
    const char *at = memchr(prefixes, ascii_lower(unit.p[0]), sizeof(prefixes) - 1);
    struct lp_str tail = lp_str_sub(unit, 1, unit.n);
    bool binary = tail.n == 0 || lp_str_ieq(tail, LP_STR("ib")) || lp_str_ieq(tail, LP_STR("i"));
    if (at == NULL || (!binary && !lp_str_ieq(tail, LP_STR("b")))) {
        return 0;
    }
    uint64_t factor = 1;
    for (long i = 0; i <= at - prefixes; i++) {
        factor *= binary ? 1024 : 1000;
    }
    return factor;
}

bool
lp_str_bytes(struct lp_str s, uint64_t *ret)
{
    size_t whole = skip_digits(s, 0);
    size_t end = whole < s.n && s.p[whole] == '.' ? skip_digits(s, whole + 1) : whole;
    uint64_t factor = bytes_unit(lp_str_trim(lp_str_sub(s, end, s.n)));
    uint64_t v;
    if (factor == 0 || !lp_str_u64(lp_str_sub(s, 0, whole), &v) || __builtin_mul_overflow(v, factor, &v)) {
        return false;
    }
    if (end > whole) {
        double frac;
        if (!lp_str_f64(lp_str_sub(s, whole, end), &frac) ||
            __builtin_add_overflow(v, (uint64_t)(frac * (double)factor), &v)) {
            return false;
        }
    }
    *ret = v;
    return true;
}

bool
lp_str_share(struct lp_str s, uint64_t total, uint64_t *ret)
{
    double percent;
    if (s.n == 0 || s.p[s.n - 1] != '%') {
        return lp_str_bytes(s, ret);
    }
    if (!lp_str_f64(lp_str_trim(lp_str_sub(s, 0, s.n - 1)), &percent) || percent < 0 || percent > 100) {
        return false;
    }
    *ret = LP_MIN((uint64_t)((double)total / 100 * percent), total);
    return true;
}

bool
lp_str_glob(struct lp_str pattern, struct lp_str text)
{
    size_t p = 0, t = 0, star = SIZE_MAX, from = 0; /* the last star, and where the text that it takes ends */
    while (t < text.n) {
        if (p < pattern.n && pattern.p[p] == '*') {
            star = p++;
            from = t;
        } else if (p < pattern.n && pattern.p[p] == text.p[t]) {
            p++;
            t++;
        } else if (star != SIZE_MAX) {
            p = star + 1;
            t = ++from;
        } else {
            return false;
        }
    }
    while (p < pattern.n && pattern.p[p] == '*') {
        p++;
    }
    return p == pattern.n;
}

/* A continuation byte, [lo, 0xbf]. */
static bool
utf8_tail(char c, unsigned lo, unsigned hi)
{
    unsigned char b = (unsigned char)c;
    return b >= lo && b <= hi;
}

size_t
lp_utf8_len(const char *p, size_t n)
{
    unsigned char c = n > 0 ? (unsigned char)p[0] : 0xff;
    if (c < 0x80) {
        return 1;
    }
    if (c < 0xc2 || c > 0xf4) {
        return 0;
    }
    if (c < 0xe0) {
        return n >= 2 && utf8_tail(p[1], 0x80, 0xbf) ? 2 : 0;
    }
    /* the second byte's range keeps out overlong forms, surrogates and what lies beyond U+10FFFF */
    unsigned lo = c == 0xe0 ? 0xa0 : c == 0xf0 ? 0x90 : 0x80;
    unsigned hi = c == 0xed ? 0x9f : c == 0xf4 ? 0x8f : 0xbf;
    size_t len = c < 0xf0 ? 3 : 4;
    if (n < len || !utf8_tail(p[1], lo, hi) || !utf8_tail(p[2], 0x80, 0xbf)) {
        return 0;
    }
    return len == 3 || utf8_tail(p[3], 0x80, 0xbf) ? len : 0;
}

/* Index of the first byte at or after i that is not ASCII (s.n when there is none); eight bytes a step. */
static size_t
skip_ascii(struct lp_str s, size_t i)
{
    uint64_t eight;
    while (s.n - i >= sizeof(eight)) {
        memcpy(&eight, s.p + i, sizeof(eight));
        if ((eight & UINT64_C(0x8080808080808080)) != 0) {
            break;
        }
        i += sizeof(eight);
    }
    while (i < s.n && (unsigned char)s.p[i] < 0x80) {
        i++;
    }
    return i;
}

/* Length of the longest valid beginning of s. */
static size_t
utf8_valid_prefix(struct lp_str s)
{
    size_t i = skip_ascii(s, 0);
    while (i < s.n) {
        size_t len = lp_utf8_len(s.p + i, s.n - i);
        if (len == 0) {
            break;
        }
        i = skip_ascii(s, i + len);
    }
    return i;
}

bool
lp_utf8_valid(struct lp_str s)
{
    if (LP_LIKELY(lp_all_ascii(s))) {
        return true;
    }
    size_t ascii = skip_ascii(s, 0);
    struct lp_str rest = lp_str_sub(s, ascii, s.n);
    return rest.n < LP_UTF8_VECTOR_MIN ? utf8_valid_prefix(rest) == rest.n : lp_utf8_valid_vector(rest);
}

size_t
lp_utf8_put(uint32_t cp, char out[4])
{
    if (cp > 0x10ffff || (cp >= 0xd800 && cp <= 0xdfff)) {
        cp = 0xfffd;
    }
    if (cp < 0x80) {
        out[0] = (char)cp;
        return 1;
    }
    size_t len = cp < 0x800 ? 2 : cp < 0x10000 ? 3 : 4;
    for (size_t i = len - 1; i > 0; i--, cp >>= 6) {
        out[i] = (char)(0x80 | (cp & 0x3f));
    }
    out[0] = (char)((0xf00u >> len) | cp); /* the low byte: 0xc0, 0xe0, 0xf0 */
    return len;
}

/* Bytes of s once each bad byte is three. */
static size_t
utf8_replaced_bytes(struct lp_str s)
{
    size_t total = 0;
    while (s.n > 0) {
        size_t good = utf8_valid_prefix(s);
        bool bad = good < s.n;
        total += good + (bad ? 3 : 0);
        s = lp_str_sub(s, good + bad, s.n);
    }
    return total;
}

struct lp_str
lp_utf8_replace(struct lp_arena *ar, struct lp_str s)
{
    if (lp_utf8_valid(s)) {
        return s;
    }
    size_t total = utf8_replaced_bytes(s);
    char *out = lp_arena_bytes(ar, total);
    if (out == NULL) {
        return LP_STR_NULL;
    }
    char *at = out;
    while (s.n > 0) {
        size_t good = utf8_valid_prefix(s);
        memcpy(at, s.p, good);
        at += good;
        bool bad = good < s.n;
        if (bad) {
            at += lp_utf8_put(0xfffd, at);
        }
        s = lp_str_sub(s, good + bad, s.n);
    }
    return lp_str_of(out, total);
}

bool
lp_str_hex(struct lp_str s, uint64_t *ret)
{
    uint64_t v = 0;
    for (size_t i = 0; i < s.n && i < 16; i++) {
        int digit = s.p[i] >= 'A' && s.p[i] <= 'F' ? -1 : lp_hex_digit(s.p[i]);
        if (digit < 0) {
            return false;
        }
        v = v << 4 | (unsigned)digit;
    }
    *ret = v;
    return s.n > 0 && s.n <= 16;
}

bool
lp_url_decode(struct lp_arena *ar, struct lp_str s, bool plus, struct lp_str *ret)
{
    char *out = lp_arena_bytes(ar, s.n + 1);
    if (out == NULL) {
        return false;
    }
    size_t n = 0;
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        if (c == '%') {
            int hi = i + 2 < s.n ? lp_hex_digit(s.p[i + 1]) : -1;
            int lo = i + 2 < s.n ? lp_hex_digit(s.p[i + 2]) : -1;
            if (hi < 0 || lo < 0) {
                return false;
            }
            c = (char)(hi << 4 | lo);
            i += 2;
        } else if (plus && c == '+') {
            c = ' ';
        }
        out[n++] = c;
    }
    out[n] = 0;
    *ret = lp_str_of(out, n);
    return true;
}
