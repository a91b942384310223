/*
 * template_func_math.c - numbers: sprig's int, float64, add .. round, which take anything for a number and 0
 * for what is none.
 *
 * addf, subf, mulf and divf compute in decimals (decimal.h).
 */
#include <math.h>
#include <stdio.h>

#include "query/decimal.h"
#include "query/gonum.h"
#include "query/template_int.h"
#include "query/text.h"

/* ------------------------------------------------------------------ conversions */

/* Go's conversion on amd64: what does not fit, and what is no number, is the lowest int. */
static int64_t
int_of_float(double v)
{
    return v >= -0x1p63 && v < 0x1p63 ? (int64_t)v : INT64_MIN;
}

/* A decimal number with a fraction, less its fraction: "12.5" is "12", ".5" is "0". Anything else as it is.
 */
static struct lp_str
without_fraction(struct lp_str s)
{
    size_t from = s.n > 0 && (s.p[0] == '-' || s.p[0] == '+'), point = lp_str_find_byte(s, '.');
    if (point == SIZE_MAX) {
        return s;
    }
    for (size_t i = from; i < s.n; i++) {
        if (i != point && !(s.p[i] >= '0' && s.p[i] <= '9')) {
            return s;
        }
    }
    return point == from ? LP_STR("0") : lp_str_sub(s, 0, point);
}

static int64_t
to_int(const struct lp_tval *v)
{
    int64_t i;
    switch ((int)v->kind) {
    case TV_BOOL:
        return v->b;
    case TV_INT:
        return v->i;
    case TV_FLOAT:
        return int_of_float(v->f);
    case TV_STRING:
        return lp_go_int(without_fraction(v->s), &i) ? i : 0;
    default:
        return 0;
    }
}

static double
to_float(const struct lp_tval *v)
{
    double f;
    switch ((int)v->kind) {
    case TV_BOOL:
        return v->b;
    case TV_INT:
        return (double)v->i;
    case TV_FLOAT:
        return v->f;
    case TV_STRING:
        return lp_go_float(v->s, &f) ? f : 0;
    default:
        return 0;
    }
}

static bool
fn_int(const struct lp_tcall *c, struct lp_tval *ret)
{
    *ret = lp_tv_int(TI_INT, to_int(&c->args[0]));
    return true;
}

static bool
fn_float64(const struct lp_tcall *c, struct lp_tval *ret)
{
    *ret = lp_tv_float(to_float(&c->args[0]));
    return true;
}

/* ------------------------------------------------------------------ whole numbers */

enum { MATH_ADD, MATH_SUB, MATH_MUL, MATH_DIV, MATH_MOD, MATH_MAX, MATH_MIN };

/* Overflow wraps around, as it does in Go. b is not 0 for DIV and MOD. */
static int64_t
whole_op(int op, int64_t a, int64_t b)
{
    switch (op) {
    case MATH_ADD:
        return (int64_t)((uint64_t)a + (uint64_t)b);
    case MATH_SUB:
        return (int64_t)((uint64_t)a - (uint64_t)b);
    case MATH_MUL:
        return (int64_t)((uint64_t)a * (uint64_t)b);
    case MATH_DIV:
        return b == -1 ? (int64_t)(0 - (uint64_t)a) : a / b;
    case MATH_MOD:
        return b == -1 ? 0 : a % b;
    case MATH_MAX:
        return LP_MAX(a, b);
    default:
        return LP_MIN(a, b);
    }
}

static bool
fn_whole(const struct lp_tcall *c, struct lp_tval *ret)
{
    int op = c->func->which;
    int64_t v = c->nargs > 0 ? to_int(&c->args[0]) : 0;
    for (size_t i = 1; i < c->nargs; i++) {
        int64_t b = to_int(&c->args[i]);
        if (b == 0 && (op == MATH_DIV || op == MATH_MOD)) {
            return lp_tcall_fail(c, "runtime error: integer divide by zero");
        }
        v = whole_op(op, v, b);
    }
    *ret = lp_tv_int(TI_INT64, v);
    return true;
}

/* ------------------------------------------------------------------ fractions */

static bool
decimal_arg(const struct lp_tcall *c, const struct lp_tval *v, struct lp_decimal *ret)
{
    double f = to_float(v);
    if (!isfinite(f)) {
        return lp_tcall_fail(c, "Cannot create a Decimal from %s",
                             isnan(f) ? "NaN"
                             : f > 0  ? "+Inf"
                                      : "-Inf");
    }
    return lp_decimal_of(c->x->ar, f, ret) || lp_trun_limit(c->x, "needs more memory than it may have");
}

static bool
decimal_op(const struct lp_tcall *c, struct lp_decimal *a, struct lp_decimal *b)
{
    struct lp_arena *ar = c->x->ar;
    struct lp_decimal v;
    bool fits;
    if (!lp_trun_charge(c->x, 8 * a->n * b->n)) {
        return false;
    }
    switch (c->func->which) {
    case MATH_MUL:
        fits = lp_decimal_mul(ar, a, b, &v);
        break;
    case MATH_DIV:
        if (b->n == 0) {
            return lp_tcall_fail(c, "decimal division by 0");
        }
        fits = lp_decimal_div(ar, a, b, &v);
        break;
    default:
        b->negative = b->negative != (c->func->which == MATH_SUB);
        fits = lp_decimal_add(ar, a, b, &v);
        break;
    }
    *a = v;
    return fits || lp_trun_limit(c->x, "computes with numbers that are too long");
}

static bool
fn_decimal(const struct lp_tcall *c, struct lp_tval *ret)
{
    struct lp_decimal v = {.n = 0}, b;
    double f;
    if (c->nargs > 0 && !decimal_arg(c, &c->args[0], &v)) {
        return false;
    }
    for (size_t i = 1; i < c->nargs; i++) {
        if (!decimal_arg(c, &c->args[i], &b) || !decimal_op(c, &v, &b)) {
            return false;
        }
    }
    if (!lp_decimal_f64(c->x->ar, &v, &f)) {
        return lp_trun_limit(c->x, "needs more memory than it may have");
    }
    *ret = lp_tv_float(f);
    return true;
}

/* The larger or the smaller; NaN if one of them is. */
static bool
fn_extreme(const struct lp_tcall *c, struct lp_tval *ret)
{
    double v = to_float(&c->args[0]);
    for (size_t i = 1; i < c->nargs; i++) {
        double b = to_float(&c->args[i]);
        bool takes = c->func->which == MATH_MAX ? b > v : b < v;
        v = isnan(v) ? v : isnan(b) || takes ? b : v;
    }
    *ret = lp_tv_float(v);
    return true;
}

enum { ROUND_UP, ROUND_DOWN };

static bool
fn_ceil_floor(const struct lp_tcall *c, struct lp_tval *ret)
{
    double v = to_float(&c->args[0]);
    *ret = lp_tv_float(c->func->which == ROUND_UP ? ceil(v) : floor(v));
    return true;
}

/* To so many places; the third argument is the fraction from which on it goes up. */
static bool
fn_round(const struct lp_tcall *c, struct lp_tval *ret)
{
    double v = to_float(&c->args[0]), places = (double)c->args[1].i;
    double on = c->nargs > 2 ? c->args[2].f : 0.5, whole;
    double power = pow(10, places), digits = power * v;
    double fraction = modf(digits, &whole);
    *ret = lp_tv_float((fraction >= on ? ceil(digits) : floor(digits)) / power);
    return true;
}

/* ------------------------------------------------------------------ default, bytes */

/* The second argument unless it is empty: nothing, zero, false, a text or a list of no length. */
static bool
fn_default(const struct lp_tcall *c, struct lp_tval *ret)
{
    *ret = c->nargs > 1 && lp_tv_true(&c->args[1]) ? c->args[1] : c->args[0];
    return true;
}

/* Bytes of one of a unit: "kb", "MiB", nothing. */
static bool
unit_of(struct lp_str name, uint64_t *ret)
{
    char one[16];
    for (size_t i = 0; i < name.n; i++) {
        if ((name.p[i] | 0x20) < 'a' || (name.p[i] | 0x20) > 'z') {
            return false;
        }
    }
    int n = snprintf(one, sizeof(one), "1" LP_STR_FMT, LP_STR_ARG(name));
    return (size_t)n < sizeof(one) && lp_text_parse_size(lp_str_c(one), ret);
}

static bool
bad_unit(const struct lp_tcall *c, struct lp_str name)
{
    char room[64];
    lp_text_clip(name, 60, room);
    for (char *p = room; *p != 0; p++) {
        *p = (char)(*p >= 'A' && *p <= 'Z' ? *p | 0x20 : *p);
    }
    return lp_tcall_fail(c, "unhandled size name: %s", room);
}

/* A size as people write it, "4.2MB"; commas in the number do not count. */
static bool
fn_bytes(const struct lp_tcall *c, struct lp_tval *ret)
{
    struct lp_str s = c->args[0].s;
    size_t n = 0, digits = 0;
    char number[128], room[64];
    while (n < s.n && ((s.p[n] >= '0' && s.p[n] <= '9') || s.p[n] == '.' || s.p[n] == ',')) {
        if (s.p[n] != ',' && digits < sizeof(number)) {
            number[digits++] = s.p[n];
        }
        n++;
    }
    double v;
    uint64_t unit = 0;
    struct lp_str name = lp_str_trim(lp_str_sub(s, n, s.n));
    if (digits == sizeof(number) || !lp_go_float(lp_str_of(number, digits), &v)) {
        return lp_tcall_fail(c, "strconv.ParseFloat: parsing \"" LP_STR_FMT "\": invalid syntax",
                             LP_STR_ARG(lp_str_of(number, digits)));
    }
    if (!unit_of(name, &unit)) {
        return bad_unit(c, name);
    }
    v *= (double)unit;
    if (v >= 0x1p64) {
        return lp_tcall_fail(c, "too large: %s", lp_text_clip(s, 60, room));
    }
    *ret = lp_tv_float((double)(uint64_t)v);
    return true;
}

const struct lp_tfunc lp_tfuncs_math[] = {
    {"int", "a", fn_int, 0},
    {"float64", "a", fn_float64, 0},
    {"add", "a+", fn_whole, MATH_ADD},
    {"sub", "aa", fn_whole, MATH_SUB},
    {"mul", "aa+", fn_whole, MATH_MUL},
    {"div", "aa", fn_whole, MATH_DIV},
    {"mod", "aa", fn_whole, MATH_MOD},
    {"max", "aa+", fn_whole, MATH_MAX},
    {"min", "aa+", fn_whole, MATH_MIN},
    {"addf", "a+", fn_decimal, MATH_ADD},
    {"subf", "aa+", fn_decimal, MATH_SUB},
    {"mulf", "aa+", fn_decimal, MATH_MUL},
    {"divf", "aa+", fn_decimal, MATH_DIV},
    {"maxf", "aa+", fn_extreme, MATH_MAX},
    {"minf", "aa+", fn_extreme, MATH_MIN},
    {"ceil", "a", fn_ceil_floor, ROUND_UP},
    {"floor", "a", fn_ceil_floor, ROUND_DOWN},
    {"round", "aif+", fn_round, 0},
    {"default", "aa+", fn_default, 0},
    {"bytes", "s", fn_bytes, 0},
    {NULL, NULL, NULL, 0},
};
