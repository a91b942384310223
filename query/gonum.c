/*
 * gonum.c - numbers as Go reads them.
 */
#include "query/gonum.h"

#include <math.h>
#include <stdlib.h>

#define FLOAT_TEXT                                                                                           \
    512 /* a longer number would need digits that no double can tell apart: they are refused                 \
         */

static int
digit_of(char c)
{
    int digit = lp_hex_digit(c);
    return digit >= 0 ? digit : 99;
}

/* Each '_' stands between two digits; a prefix such as 0x counts as one. */
static bool
underscores_ok(struct lp_str s, bool hex)
{
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] != '_') {
            continue;
        }
        int most = hex ? 15 : 9;
        bool before =
            i > 0 && (digit_of(s.p[i - 1]) <= most || (i == 2 && s.p[0] == '0' && digit_of(s.p[1]) > 9));
        if (!before || i + 1 == s.n || digit_of(s.p[i + 1]) > most) {
            return false;
        }
    }
    return true;
}

/* What the prefix says, and how many bytes it takes. "0x" alone has none. */
static unsigned
base_of(struct lp_str s, size_t *skip)
{
    *skip = 0;
    if (s.n < 1 || s.p[0] != '0') {
        return 10;
    }
    char c = s.n >= 3 ? (char)(s.p[1] | 0x20) : 0;
    *skip = c == 'x' || c == 'o' || c == 'b' ? 2 : 1;
    return c == 'x' ? 16 : c == 'b' ? 2 : 8;
}

bool
lp_go_uint(struct lp_str s, uint64_t *ret)
{
    size_t skip;
    unsigned base = base_of(s, &skip);
    uint64_t v = 0;
    if (s.n == 0 || !underscores_ok(s, base == 16)) {
        return false;
    }
    for (size_t i = skip; i < s.n; i++) {
        unsigned d = (unsigned)digit_of(s.p[i]);
        if (s.p[i] == '_') {
            continue;
        }
        if (d >= base || __builtin_mul_overflow(v, base, &v) || __builtin_add_overflow(v, d, &v)) {
            return false;
        }
    }
    *ret = v;
    return true;
}

static bool
cut_sign(struct lp_str *s)
{
    bool negative = s->n > 0 && s->p[0] == '-';
    if (negative || (s->n > 0 && s->p[0] == '+')) {
        *s = lp_str_sub(*s, 1, s->n);
    }
    return negative;
}

bool
lp_go_int(struct lp_str s, int64_t *ret)
{
    uint64_t v;
    bool negative = cut_sign(&s);
    if (!lp_go_uint(s, &v) || v > (uint64_t)INT64_MAX + negative) {
        return false;
    }
    *ret = (int64_t)(negative ? 0 - v : v);
    return true;
}

static bool
named_float(struct lp_str s, bool negative, double *ret)
{
    if (lp_str_ieq(s, LP_STR("inf")) || lp_str_ieq(s, LP_STR("infinity"))) {
        *ret = negative ? -(double)INFINITY : (double)INFINITY;
        return true;
    }
    *ret = (double)NAN;
    return lp_str_ieq(s, LP_STR("nan"));
}

/* Copies digits of one base without '_'; returns how many there were. */
static size_t
copy_digits(struct lp_str s, size_t *at, int most, char *room, size_t *n)
{
    size_t digits = 0;
    while (*at < s.n && (s.p[*at] == '_' || digit_of(s.p[*at]) <= most)) {
        char c = s.p[(*at)++];
        if (c != '_') {
            room[(*n)++] = c;
            digits++;
        }
    }
    return digits;
}

/* The form of a float, copied to room for strtod; false where it has another. */
static bool
copy_float(struct lp_str s, char *room)
{
    bool hex = s.n > 2 && s.p[0] == '0' && (s.p[1] | 0x20) == 'x';
    int most = hex ? 15 : 9;
    size_t at = hex ? 2 : 0, n = 0;
    if (hex) {
        room[n++] = '0';
        room[n++] = 'x';
    }
    size_t digits = copy_digits(s, &at, most, room, &n);
    if (at < s.n && s.p[at] == '.') {
        room[n++] = s.p[at++];
        digits += copy_digits(s, &at, most, room, &n);
    }
    bool exponent = at < s.n && (s.p[at] | 0x20) == (hex ? 'p' : 'e');
    if (exponent) {
        room[n++] = s.p[at++];
        if (at < s.n && (s.p[at] == '+' || s.p[at] == '-')) {
            room[n++] = s.p[at++];
        }
        exponent = copy_digits(s, &at, 9, room, &n) > 0;
        digits = exponent ? digits : 0;
    }
    room[n] = 0;
    return digits > 0 && at == s.n && (exponent || !hex) && underscores_ok(s, hex);
}

bool
lp_go_float(struct lp_str s, double *ret)
{
    char room[FLOAT_TEXT];
    bool negative = cut_sign(&s);
    if (named_float(s, negative, ret)) {
        return true;
    }
    if (s.n >= sizeof(room) || !copy_float(s, room)) {
        return false;
    }
    double v = strtod(room, NULL);
    *ret = negative ? -v : v;
    return !isinf(v);
}
