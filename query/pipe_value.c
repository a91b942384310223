/*
 * pipe_value.c - numbers in the values of labels, as Go's strconv.ParseFloat and time.ParseDuration read
 * them.
 */
#include <math.h>
#include <stdlib.h>

#include "query/pipe_int.h"
#include "query/text.h"

#define TEXT_MAX 400 /* of a number; longer ones are none */

/* inf, infinity, nan in any case; only they have letters beside e, x and hex digits. */
static bool
named_float(struct lp_str s, double *ret)
{
    if (lp_str_ieq(s, LP_STR("inf")) || lp_str_ieq(s, LP_STR("infinity"))) {
        *ret = INFINITY;
        return true;
    }
    *ret = NAN;
    return lp_str_ieq(s, LP_STR("nan"));
}

/* 0x1.8p3: C reads it as Go does, which demands the exponent. */
static bool
hex_float(struct lp_str s, double *ret)
{
    char text[TEXT_MAX + 1], *end;
    bool exponent = false;
    for (size_t i = 0; i < s.n; i++) {
        text[i] = s.p[i];
        exponent = exponent || s.p[i] == 'p' || s.p[i] == 'P';
        if (!(text[i] == '.' || text[i] == '+' || text[i] == '-' || (text[i] >= '0' && text[i] <= '9') ||
              (text[i] >= 'a' && text[i] <= 'z') || (text[i] >= 'A' && text[i] <= 'Z'))) {
            return false;
        }
    }
    text[s.n] = 0;
    *ret = strtod(text, &end);
    return exponent && end == text + s.n;
}

bool
lp_value_float(struct lp_str s, double *ret)
{
    bool negative = s.n > 0 && s.p[0] == '-';
    if (s.n > 0 && (s.p[0] == '-' || s.p[0] == '+')) {
        s = lp_str_sub(s, 1, s.n);
    }
    if (s.n == 0 || s.n > TEXT_MAX) {
        return false;
    }
    bool hex = s.n > 2 && s.p[0] == '0' && (s.p[1] == 'x' || s.p[1] == 'X');
    bool known = hex ? hex_float(s, ret) : lp_text_parse_number(s, ret) || named_float(s, ret);
    if (known && negative) {
        *ret = -*ret;
    }
    return known;
}

/* ------------------------------------------------------------------ durations */

static bool
unit_of(struct lp_str *s, int64_t *ret_ns)
{
    static const struct {
        const char *name;
        int64_t ns;
    } units[] = {{"ns", 1},
                 {"us", INT64_C(1000)},
                 {"\302\265s", INT64_C(1000)}, /* micro sign */
                 {"\316\274s", INT64_C(1000)}, /* Greek mu */
                 {"ms", LP_NS_PER_MS},
                 {"s", LP_NS_PER_S},
                 {"m", 60 * LP_NS_PER_S},
                 {"h", 3600 * LP_NS_PER_S}};
    size_t n = 0;
    while (n < s->n && s->p[n] != '.' && !(s->p[n] >= '0' && s->p[n] <= '9')) {
        n++;
    }
    for (size_t i = 0; i < LP_ARRAY_LEN(units); i++) {
        if (lp_str_eqc(lp_str_sub(*s, 0, n), units[i].name)) {
            *ret_ns = units[i].ns;
            *s = lp_str_sub(*s, n, s->n);
            return true;
        }
    }
    return false;
}

/* Digits, and a fraction of unit's nanoseconds. *ret_digits: how many there were. */
static bool
whole_part(struct lp_str *s, uint64_t *ret, size_t *ret_digits)
{
    size_t n = 0;
    *ret = 0;
    while (n < s->n && s->p[n] >= '0' && s->p[n] <= '9') {
        if (__builtin_mul_overflow(*ret, UINT64_C(10), ret) ||
            __builtin_add_overflow(*ret, (uint64_t)(s->p[n] - '0'), ret)) {
            return false;
        }
        n++;
    }
    *s = lp_str_sub(*s, n, s->n);
    *ret_digits = n;
    return *ret <= (uint64_t)INT64_MAX;
}

static double
fraction_part(struct lp_str *s, size_t *ret_digits)
{
    double v = 0, scale = 1;
    size_t n = 0;
    while (n < s->n && s->p[n] >= '0' && s->p[n] <= '9') {
        if (n < 18) { /* more than nanoseconds of an hour need */
            v = v * 10 + (s->p[n] - '0');
            scale *= 10;
        }
        n++;
    }
    *s = lp_str_sub(*s, n, s->n);
    *ret_digits = n;
    return v / scale;
}

bool
lp_value_duration(struct lp_str s, int64_t *ret)
{
    uint64_t total = 0;
    bool negative = s.n > 0 && s.p[0] == '-';
    if (s.n > 0 && (s.p[0] == '-' || s.p[0] == '+')) {
        s = lp_str_sub(s, 1, s.n);
    }
    *ret = 0;
    if (lp_str_eqc(s, "0")) {
        return true;
    }
    if (s.n == 0) {
        return false;
    }
    while (s.n > 0) {
        uint64_t whole;
        size_t digits, after = 0;
        int64_t unit;
        double fraction = 0;
        if (!whole_part(&s, &whole, &digits)) {
            return false;
        }
        if (s.n > 0 && s.p[0] == '.') {
            s = lp_str_sub(s, 1, s.n);
            fraction = fraction_part(&s, &after);
        }
        if (digits + after == 0 || !unit_of(&s, &unit) ||
            __builtin_mul_overflow(whole, (uint64_t)unit, &whole) ||
            __builtin_add_overflow(whole, (uint64_t)(fraction * (double)unit), &whole) ||
            __builtin_add_overflow(total, whole, &total) || total > (uint64_t)INT64_MAX) {
            return false;
        }
    }
    *ret = negative ? -(int64_t)total : (int64_t)total;
    return true;
}
