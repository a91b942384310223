/*
 * decimal.c - big decimals by the methods taught at school, nine digits at a time.
 */
#include "query/decimal.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/f64.h"

#define BASE UINT32_C(1000000000)
#define LIMB_DIGITS 9
#define DIGITS_MAX ((int64_t)LP_DECIMAL_LIMBS_MAX * LIMB_DIGITS)

static const uint32_t powers[LIMB_DIGITS] = {1, 10, 100, 1000, 10000, 100000, 1000000, 10000000, 100000000};

/* ------------------------------------------------------------------ magnitudes */

static uint32_t *
limbs_new(struct lp_arena *ar, size_t n)
{
    uint32_t *p = n <= LP_DECIMAL_LIMBS_MAX ? lp_arena_zalloc(ar, LP_MAX(n, (size_t)1) * sizeof(*p)) : NULL;
    return p;
}

static size_t
trimmed(const uint32_t *limbs, size_t n)
{
    while (n > 0 && limbs[n - 1] == 0) {
        n--;
    }
    return n;
}

/* |a| against |b|, exponents left aside. */
static int
compare(const struct lp_decimal *a, const struct lp_decimal *b)
{
    if (a->n != b->n) {
        return a->n < b->n ? -1 : 1;
    }
    for (size_t i = a->n; i-- > 0;) {
        if (a->limbs[i] != b->limbs[i]) {
            return a->limbs[i] < b->limbs[i] ? -1 : 1;
        }
    }
    return 0;
}

static bool
multiply(struct lp_arena *ar, const struct lp_decimal *a, const struct lp_decimal *b, struct lp_decimal *ret)
{
    uint32_t *p = limbs_new(ar, a->n + b->n);
    if (p == NULL) {
        return false;
    }
    for (size_t i = 0; i < a->n; i++) {
        uint64_t carry = 0;
        for (size_t k = 0; k < b->n; k++) {
            carry += p[i + k] + (uint64_t)a->limbs[i] * b->limbs[k];
            p[i + k] = (uint32_t)(carry % BASE);
            carry /= BASE;
        }
        p[i + b->n] = (uint32_t)carry;
    }
    ret->limbs = p;
    ret->n = trimmed(p, a->n + b->n);
    return true;
}

/* The digits times 10^places; sign and exponent stay. */
static bool
shift(struct lp_arena *ar, const struct lp_decimal *a, uint32_t places, struct lp_decimal *ret)
{
    uint32_t small = powers[places % LIMB_DIGITS];
    const struct lp_decimal factor = {.n = 1, .limbs = &small};
    struct lp_decimal scaled = *a;
    size_t whole = places / LIMB_DIGITS;
    if (a->n == 0) {
        *ret = *a;
        return true;
    }
    if (!multiply(ar, a, &factor, &scaled)) {
        return false;
    }
    uint32_t *p = limbs_new(ar, scaled.n + whole);
    if (p == NULL) {
        return false;
    }
    memcpy(p + whole, scaled.limbs, scaled.n * sizeof(*p));
    *ret = *a;
    ret->limbs = p;
    ret->n = scaled.n + whole;
    return true;
}

/* Both with the smaller of the two exponents. */
static bool
align(struct lp_arena *ar, struct lp_decimal *a, struct lp_decimal *b)
{
    struct lp_decimal *high = a->exponent > b->exponent ? a : b, *low = high == a ? b : a;
    int64_t places = (int64_t)high->exponent - low->exponent;
    if (places > DIGITS_MAX || !shift(ar, high, (uint32_t)places, high)) {
        return false;
    }
    high->exponent = low->exponent;
    return true;
}

/* Magnitudes added, or the smaller one taken from the larger. */
static bool
combine(struct lp_arena *ar, const struct lp_decimal *a, const struct lp_decimal *b, bool subtract,
        struct lp_decimal *ret)
{
    size_t n = LP_MAX(a->n, b->n) + 1;
    uint32_t *p = limbs_new(ar, n);
    int64_t carry = 0;
    if (p == NULL) {
        return false;
    }
    for (size_t i = 0; i < n; i++) {
        int64_t other = i < b->n ? b->limbs[i] : 0;
        carry += (i < a->n ? a->limbs[i] : 0) + (subtract ? -other : other);
        int64_t limb = carry % BASE;
        limb += limb < 0 ? BASE : 0;
        p[i] = (uint32_t)limb;
        carry = (carry - limb) / BASE;
    }
    ret->limbs = p;
    ret->n = trimmed(p, n);
    return true;
}

/* ------------------------------------------------------------------ division */

/* a times small, less than BASE, into out of n + 1 limbs. */
static void
times_small(const uint32_t *a, size_t n, uint32_t small, uint32_t *out)
{
    uint64_t carry = 0;
    for (size_t i = 0; i < n; i++) {
        carry += (uint64_t)a[i] * small;
        out[i] = (uint32_t)(carry % BASE);
        carry /= BASE;
    }
    out[n] = (uint32_t)carry;
}

/* r, of n + 1 limbs, less the product; true where it would be below zero, and then BASE^(n+1) was added. */
static bool
take_from(uint32_t *r, const uint32_t *product, size_t n)
{
    int64_t carry = 0;
    for (size_t i = 0; i <= n; i++) {
        carry += (int64_t)r[i] - product[i];
        int64_t limb = carry % BASE;
        limb += limb < 0 ? BASE : 0;
        r[i] = (uint32_t)limb;
        carry = (carry - limb) / BASE;
    }
    return carry < 0;
}

/* True when that takes what take_from() left back to zero or above. */
static bool
add_to(uint32_t *r, const uint32_t *v, size_t n)
{
    uint64_t carry = 0;
    for (size_t i = 0; i <= n; i++) {
        carry += (uint64_t)r[i] + (i < n ? v[i] : 0);
        r[i] = (uint32_t)(carry % BASE);
        carry /= BASE;
    }
    return carry > 0;
}

/*
 * Long division of magnitudes by b of two limbs or more, whose highest is at least BASE / 2: then each digit
 * is guessed at most two too high. r holds a with a zero limb above, and becomes the remainder; q has a->n -
 * b->n + 1 limbs; room b->n + 1.
 */
static void
divide_long(uint32_t *r, size_t rn, const struct lp_decimal *b, uint32_t *q, uint32_t *room)
{
    size_t n = b->n;
    for (size_t i = rn - n; i-- > 0;) {
        uint32_t *top = r + i;
        uint64_t guess = ((uint64_t)top[n] * BASE + top[n - 1]) / b->limbs[n - 1];
        guess = LP_MIN(guess, (uint64_t)BASE - 1);
        times_small(b->limbs, n, (uint32_t)guess, room);
        bool below = take_from(top, room, n);
        while (below) { /* at most twice */
            guess--;
            below = !add_to(top, b->limbs, n);
        }
        q[i] = (uint32_t)guess;
    }
}

static uint32_t
divide_small(const struct lp_decimal *a, uint32_t b, uint32_t *q)
{
    uint64_t rest = 0;
    for (size_t i = a->n; i-- > 0;) {
        rest = rest * BASE + a->limbs[i];
        q[i] = (uint32_t)(rest / b);
        rest %= b;
    }
    return (uint32_t)rest;
}

/* |a| / |b| towards zero, and whether the remainder is half of |b| or more. */
static bool
divide(struct lp_arena *ar, const struct lp_decimal *a, const struct lp_decimal *b, struct lp_decimal *ret,
       bool *ret_half)
{
    uint32_t *q = limbs_new(ar, a->n + 1);
    if (q == NULL) {
        return false;
    }
    *ret = (struct lp_decimal){.limbs = q};
    if (b->n == 1) {
        *ret_half = 2 * (uint64_t)divide_small(a, b->limbs[0], q) >= b->limbs[0];
        ret->n = trimmed(q, a->n);
        return true;
    }
    uint32_t factor = BASE / (b->limbs[b->n - 1] + 1);
    const struct lp_decimal scale = {.n = 1, .limbs = &factor};
    struct lp_decimal bs, as;
    if (!multiply(ar, a, &scale, &as) || !multiply(ar, b, &scale, &bs)) {
        return false;
    }
    size_t rn = LP_MAX(as.n, bs.n) + 1;
    uint32_t *r = limbs_new(ar, rn), *room = limbs_new(ar, bs.n + 1);
    if (r == NULL || room == NULL) {
        return false;
    }
    memcpy(r, as.limbs, as.n * sizeof(*r));
    divide_long(r, rn, &bs, q, room);
    ret->n = trimmed(q, rn - bs.n);
    struct lp_decimal rest = {.limbs = r, .n = trimmed(r, rn)}, twice;
    if (!combine(ar, &rest, &rest, false, &twice)) {
        return false;
    }
    *ret_half = compare(&twice, &bs) >= 0;
    return true;
}

/* ------------------------------------------------------------------ decimals */

bool
lp_decimal_of(struct lp_arena *ar, double v, struct lp_decimal *ret)
{
    char digits[LP_F64_DIGITS];
    int point;
    *ret = (struct lp_decimal){.negative = v < 0};
    if (v == 0) {
        return true;
    }
    int n = lp_f64_shortest(v, digits, &point);
    uint64_t whole = 0;
    for (int i = 0; i < n; i++) {
        whole = whole * 10 + (uint64_t)(digits[i] - '0');
    }
    uint32_t *p = limbs_new(ar, 2);
    if (p == NULL) {
        return false;
    }
    p[0] = (uint32_t)(whole % BASE);
    p[1] = (uint32_t)(whole / BASE); /* at most 17 digits */
    ret->limbs = p;
    ret->n = trimmed(p, 2);
    ret->exponent = point - (n - 1);
    return true;
}

bool
lp_decimal_add(struct lp_arena *ar, const struct lp_decimal *a, const struct lp_decimal *b,
               struct lp_decimal *ret)
{
    struct lp_decimal x = *a, y = *b;
    if (!align(ar, &x, &y)) {
        return false;
    }
    *ret = (struct lp_decimal){.exponent = x.exponent};
    if (x.negative == y.negative) {
        ret->negative = x.negative;
        return combine(ar, &x, &y, false, ret);
    }
    bool swap = compare(&x, &y) < 0;
    ret->negative = swap ? y.negative : x.negative;
    return combine(ar, swap ? &y : &x, swap ? &x : &y, true, ret);
}

bool
lp_decimal_mul(struct lp_arena *ar, const struct lp_decimal *a, const struct lp_decimal *b,
               struct lp_decimal *ret)
{
    struct lp_decimal v = {.negative = a->negative != b->negative};
    bool zero = a->n == 0 || b->n == 0; /* of no exponent, so that sums with it stay short */
    if (!zero && (__builtin_add_overflow(a->exponent, b->exponent, &v.exponent) || !multiply(ar, a, b, &v))) {
        return false;
    }
    *ret = v;
    return true;
}

bool
lp_decimal_div(struct lp_arena *ar, const struct lp_decimal *a, const struct lp_decimal *b,
               struct lp_decimal *ret)
{
    int64_t places = (int64_t)a->exponent - b->exponent + LP_DECIMAL_DIV_PLACES;
    struct lp_decimal x = *a, y = *b;
    bool half = false, negative = a->negative != b->negative;
    if (places > DIGITS_MAX || -places > DIGITS_MAX ||
        !shift(ar, places >= 0 ? a : b, (uint32_t)(places >= 0 ? places : -places), places >= 0 ? &x : &y) ||
        !divide(ar, &x, &y, ret, &half)) {
        return false;
    }
    if (half) {
        static const uint32_t one_limb = 1;
        const struct lp_decimal one = {.n = 1, .limbs = &one_limb}, quotient = *ret;
        if (!combine(ar, &quotient, &one, false, ret)) {
            return false;
        }
    }
    ret->negative = negative;
    ret->exponent = -LP_DECIMAL_DIV_PLACES;
    return true;
}

bool
lp_decimal_f64(struct lp_arena *ar, const struct lp_decimal *d, double *ret)
{
    size_t cap = d->n * LIMB_DIGITS + 32;
    char *text = lp_arena_bytes(ar, cap);
    size_t n = 0;
    if (text == NULL) {
        return false;
    }
    text[n++] = d->negative && d->n > 0 ? '-' : '+';
    for (size_t i = d->n; i-- > 0;) {
        for (int place = LIMB_DIGITS - 1; place >= 0; place--) {
            text[n++] = (char)('0' + d->limbs[i] / powers[place] % 10);
        }
    }
    snprintf(text + n, cap - n, "%se%d", d->n > 0 ? "" : "0", (int)d->exponent);
    *ret = strtod(text, NULL);
    return true;
}
