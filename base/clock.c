/*
 * clock.c - reading the clocks, and times and durations as text. No locale, no time zone database: UTC and
 * offsets only.
 */
#include "base/clock.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

#include "base/str_int.h"

typedef unsigned __int128 u128;

#define LP_NUMBER_TEXT_MAX 1024u /* longer numbers and durations are refused */
#define LP_SCALE_DIGITS 20       /* most significant digits kept: 10^20 times any unit fits 128 bits */
#define LP_EXPONENT_MAX 9999     /* more than any number of LP_NUMBER_TEXT_MAX digits could cancel */

static int64_t
read_clock(clockid_t id)
{
    struct timespec ts;
    int rc = clock_gettime(id, &ts);
    LP_ASSERT(rc == 0);
    return (int64_t)ts.tv_sec * LP_NS_PER_S + ts.tv_nsec;
}

#ifdef LP_TEST_HOOKS
/* The simulated clock of tests: seconds that LP_CLOCK_OFFSET adds to the wall clock. Read once. */
static int64_t
offset_ns(void)
{
    static _Atomic int64_t known = LP_TIME_NONE;
    int64_t ns = atomic_load_explicit(&known, memory_order_relaxed);
    if (ns == LP_TIME_NONE) {
        const char *text = getenv("LP_CLOCK_OFFSET");
        if (text == NULL || !lp_time_decimal(lp_str_c(text), LP_NS_PER_S, &ns)) {
            ns = 0;
        }
        atomic_store_explicit(&known, ns, memory_order_relaxed); /* every thread reads the same */
    }
    return ns;
}
#else
#define offset_ns() 0
#endif

int64_t
lp_now_ns(void)
{
    return read_clock(CLOCK_REALTIME) + offset_ns();
}

int64_t
lp_mono_ns(void)
{
    return read_clock(CLOCK_MONOTONIC);
}

/* Years begin in March here, so a leap day comes last. */
int64_t
lp_date_days(int64_t year, int month, int day)
{
    int64_t y = year - (month <= 2);
    int64_t era = (y >= 0 ? y : y - 399) / 400;
    int64_t year_of_era = y - era * 400;
    int64_t day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    return era * 146097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719468;
}

void
lp_date_of_days(int64_t days, int64_t *year, int *month, int *day)
{
    int64_t z = days + 719468;
    int64_t era = (z >= 0 ? z : z - 146096) / 146097;
    int64_t doe = z - era * 146097;
    int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
    int64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    int64_t mp = (5 * doy + 2) / 153;
    *day = (int)(doy - (153 * mp + 2) / 5 + 1);
    *month = (int)(mp < 10 ? mp + 3 : mp - 9);
    *year = yoe + era * 400 + (*month <= 2);
}

int
lp_date_month_days(int64_t year, int month)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    return days[month - 1] + (month == 2 && leap);
}

static inline void
drop(struct lp_str *s, size_t n)
{
    s->p += n;
    s->n -= n;
}

/* Cuts exactly n digits off the front of *s. */
static inline bool
eat_digits(struct lp_str *s, size_t n, int *ret)
{
    int v = 0;
    if (s->n < n) {
        return false;
    }
    for (size_t i = 0; i < n; i++) {
        if (s->p[i] < '0' || s->p[i] > '9') {
            return false;
        }
        v = v * 10 + (s->p[i] - '0');
    }
    drop(s, n);
    *ret = v;
    return true;
}

/* Cuts one byte off the front if it is among `set`. */
static inline bool
eat_one(struct lp_str *s, const char *set)
{
    for (const char *c = set; *c != 0 && s->n > 0; c++) {
        if (s->p[0] == *c) {
            drop(s, 1);
            return true;
        }
    }
    return false;
}

/* Digits of a fraction as nanoseconds; those past the ninth are dropped. False when there are none. */
static bool
eat_fraction(struct lp_str *s, int64_t *ret_ns)
{
    static const int32_t units[] = {1000000000, 100000000, 10000000, 1000000, 100000,
                                    10000,      1000,      100,      10,      1};
    uint32_t digits = 0;
    size_t i = 0;
    if (s->n >= 8 && lp_eight_digits(s->p, &digits)) {
        i = 8;
    }
    for (; i < s->n && i < 9 && s->p[i] >= '0' && s->p[i] <= '9'; i++) {
        digits = digits * 10 + (uint32_t)(s->p[i] - '0');
    }
    *ret_ns = (int64_t)digits * units[i];
    while (i < s->n && s->p[i] >= '0' && s->p[i] <= '9') {
        i++;
    }
    drop(s, i);
    return i > 0;
}

/* "Z", nothing, or an offset of hours and minutes, as seconds east; it must be all that is left. */
static bool
eat_zone(struct lp_str *s, int64_t *ret_s)
{
    int hours = 0, minutes = 0;
    bool west = s->n > 0 && s->p[0] == '-';
    *ret_s = 0;
    if (s->n == 0 || eat_one(s, "Zz")) {
        return s->n == 0;
    }
    if (!eat_one(s, "+-") || !eat_digits(s, 2, &hours) || hours > 23) {
        return false;
    }
    if (s->n > 0) {
        eat_one(s, ":");
        if (!eat_digits(s, 2, &minutes) || minutes > 59) {
            return false;
        }
    }
    *ret_s = (west ? -1 : 1) * (hours * 3600 + minutes * 60);
    return s->n == 0;
}

/* seconds * 10^9 + ns, if it fits between LP_TIME_MIN and LP_TIME_MAX. */
static bool
join_ns(int64_t seconds, int64_t ns, int64_t *ret)
{
    __int128 all = (__int128)seconds * LP_NS_PER_S + ns;
    if (all < LP_TIME_MIN || all > LP_TIME_MAX) {
        return false;
    }
    *ret = (int64_t)all;
    return true;
}

/* Two digits; with anything else *bad gets a bit. */
static inline int
two_digits(const char *p, unsigned *bad)
{
    unsigned tens = (unsigned)(uint8_t)p[0] - '0', ones = (unsigned)(uint8_t)p[1] - '0';
    *bad |= (tens > 9) | (ones > 9);
    return (int)(tens * 10 + ones);
}

bool
lp_time_rfc3339(struct lp_str s, int64_t *ret)
{
    int64_t ns = 0, zone_s;
    unsigned bad = 0;
    if (s.n < 19) { /* 2026-01-02T03:04:05 */
        return false;
    }
    int year = two_digits(s.p, &bad) * 100 + two_digits(s.p + 2, &bad);
    int month = two_digits(s.p + 5, &bad), day = two_digits(s.p + 8, &bad);
    int hour = two_digits(s.p + 11, &bad), minute = two_digits(s.p + 14, &bad),
        second = two_digits(s.p + 17, &bad);
    bad |= (s.p[4] != '-') | (s.p[7] != '-') | (s.p[13] != ':') | (s.p[16] != ':') |
           ((s.p[10] | 0x20) != 't' && s.p[10] != ' ');
    drop(&s, 19);
    if (bad != 0 || (eat_one(&s, ".,") && !eat_fraction(&s, &ns)) || !eat_zone(&s, &zone_s)) {
        return false;
    }
    /* second 60 is a leap second: the first second of the next minute */
    if (month < 1 || month > 12 || day < 1 || day > lp_date_month_days(year, month) || hour > 23 ||
        minute > 59 || second > 60) {
        return false;
    }
    int64_t seconds = lp_date_days(year, month, day) * 86400 + hour * 3600 + minute * 60 + second - zone_s;
    return join_ns(seconds, ns, ret);
}

/* A decimal number: value = digits * 10^exponent. Digits past LP_SCALE_DIGITS are dropped into the exponent.
 */
struct decimal {
    u128 digits;
    int exponent;
    bool minus;
};

/* Digits on one side of the point; returns how many there were. */
static size_t
eat_side(struct lp_str *s, struct decimal *d, int *kept, bool fraction)
{
    size_t i = 0;
    for (; i < s->n && s->p[i] >= '0' && s->p[i] <= '9'; i++) {
        unsigned digit = (unsigned)(s->p[i] - '0');
        if (*kept < LP_SCALE_DIGITS) {
            d->digits = d->digits * 10 + digit;
            *kept += d->digits != 0;
            d->exponent -= fraction;
        } else {
            d->exponent += !fraction;
        }
    }
    *s = lp_str_sub(*s, i, s->n);
    return i;
}

/* "e", a sign, digits; a magnitude over LP_EXPONENT_MAX stays there. Nothing at all is fine. */
static bool
eat_exponent(struct lp_str *s, int *ret)
{
    *ret = 0;
    if (!eat_one(s, "eE")) {
        return true;
    }
    bool minus = s->n > 0 && s->p[0] == '-';
    eat_one(s, "+-");
    size_t i = 0;
    int v = 0;
    for (; i < s->n && s->p[i] >= '0' && s->p[i] <= '9'; i++) {
        v = LP_MIN(v * 10 + (s->p[i] - '0'), LP_EXPONENT_MAX);
    }
    *s = lp_str_sub(*s, i, s->n);
    *ret = minus ? -v : v;
    return i > 0;
}

/* A number without exponent at the front of *s. */
static bool
eat_decimal(struct lp_str *s, struct decimal *d)
{
    int kept = 0;
    d->digits = 0;
    d->exponent = 0;
    size_t n = eat_side(s, d, &kept, false);
    if (eat_one(s, ".")) {
        n += eat_side(s, d, &kept, true);
    }
    return n > 0;
}

/* d * unit_ns towards zero; false when it is out of range. */
static bool
scale(const struct decimal *d, int64_t unit_ns, int64_t *ret)
{
    u128 v = d->digits * (u128)unit_ns;
    for (int e = d->exponent; e > 0 && v != 0; e--) {
        if (v > (u128)INT64_MAX) {
            return false;
        }
        v *= 10;
    }
    for (int e = d->exponent; e < 0 && v != 0; e++) {
        v /= 10;
    }
    if (v > (u128)INT64_MAX) {
        return false;
    }
    *ret = d->minus ? -(int64_t)v : (int64_t)v;
    return true;
}

bool
lp_time_decimal(struct lp_str s, int64_t unit_ns, int64_t *ret)
{
    LP_ASSERT(unit_ns >= 1 && unit_ns <= 10 * LP_NS_PER_S);
    struct decimal d;
    int exponent;
    d.minus = s.n > 0 && s.p[0] == '-';
    eat_one(&s, "+-");
    if (s.n > LP_NUMBER_TEXT_MAX || !eat_decimal(&s, &d) || !eat_exponent(&s, &exponent) || s.n > 0) {
        return false;
    }
    d.exponent += exponent;
    return scale(&d, unit_ns, ret);
}

/* The unit that makes a number of this magnitude a date between 1973 and 5138 (seconds: also before). */
static int64_t
guess_unit(int64_t whole)
{
    uint64_t v = whole < 0 ? 0 - (uint64_t)whole : (uint64_t)whole;
    if (v < UINT64_C(100000000000)) {
        return LP_NS_PER_S;
    }
    if (v < UINT64_C(100000000000000)) {
        return LP_NS_PER_MS;
    }
    return v < UINT64_C(100000000000000000) ? 1000 : 1;
}

bool
lp_time_epoch_guess(struct lp_str s, int64_t *ret)
{
    int64_t whole;
    return lp_str_i64(s, &whole) && lp_time_decimal(s, guess_unit(whole), ret);
}

bool
lp_time_any(struct lp_str s, int64_t *ret)
{
    int64_t whole;
    if (lp_time_rfc3339(s, ret)) {
        return true;
    }
    return lp_time_decimal(s, 1, &whole) && lp_time_decimal(s, guess_unit(whole), ret);
}

static char *
put_digits(char *at, int64_t v, int width)
{
    for (int i = width - 1; i >= 0; i--, v /= 10) {
        at[i] = (char)('0' + v % 10);
    }
    return at + width;
}

size_t
lp_time_text(int64_t ns, char out[LP_TIME_TEXT])
{
    int64_t second = ns / LP_NS_PER_S - (ns % LP_NS_PER_S < 0);
    int64_t fraction = ns % LP_NS_PER_S + (ns % LP_NS_PER_S < 0 ? LP_NS_PER_S : 0);
    int64_t days = second / 86400 - (second % 86400 < 0);
    int64_t of_day = second - days * 86400;
    int64_t year;
    int month, day;
    lp_date_of_days(days, &year, &month, &day);

    const struct {
        int64_t v;
        int width;
        char behind;
    } parts[] = {{year, 4, '-'},
                 {month, 2, '-'},
                 {day, 2, 'T'},
                 {of_day / 3600, 2, ':'},
                 {of_day / 60 % 60, 2, ':'},
                 {of_day % 60, 2, '.'},
                 {fraction, 9, 'Z'}};
    char *at = out;
    for (size_t i = 0; i < LP_ARRAY_LEN(parts); i++) {
        at = put_digits(at, parts[i].v, parts[i].width);
        *at++ = parts[i].behind;
    }
    *at = 0;
    return (size_t)(at - out);
}

/* Cuts a unit off the front of *s; 0 when there is none. Longer names first. */
static int64_t
eat_unit(struct lp_str *s)
{
    static const struct {
        struct lp_str name;
        int64_t ns;
    } units[] = {
        {{"ns", 2}, 1},
        {{"us", 2}, 1000},
        {{"\xc2\xb5s", 3}, 1000}, /* micro sign */
        {{"\xce\xbcs", 3}, 1000}, /* Greek mu */
        {{"ms", 2}, LP_NS_PER_MS},
        {{"s", 1}, LP_NS_PER_S},
        {{"m", 1}, 60 * LP_NS_PER_S},
        {{"h", 1}, 3600 * LP_NS_PER_S},
        {{"d", 1}, 86400 * LP_NS_PER_S},
        {{"w", 1}, 7 * 86400 * LP_NS_PER_S},
        {{"y", 1}, 365 * 86400 * LP_NS_PER_S},
    };
    for (size_t i = 0; i < LP_ARRAY_LEN(units); i++) {
        if (lp_str_starts(*s, units[i].name)) {
            *s = lp_str_sub(*s, units[i].name.n, s->n);
            return units[i].ns;
        }
    }
    return 0;
}

bool
lp_duration(struct lp_str s, int64_t *ret)
{
    bool minus = s.n > 0 && s.p[0] == '-';
    int64_t total = 0;
    eat_one(&s, "+-");
    if (lp_str_eqc(s, "0")) {
        *ret = 0;
        return true;
    }
    if (s.n == 0 || s.n > LP_NUMBER_TEXT_MAX) {
        return false;
    }
    while (s.n > 0) {
        struct decimal d = {.minus = minus};
        int64_t part;
        bool number = eat_decimal(&s, &d);
        int64_t unit_ns = number ? eat_unit(&s) : 0;
        if (unit_ns == 0 || !scale(&d, unit_ns, &part) || __builtin_add_overflow(total, part, &total)) {
            return false;
        }
    }
    *ret = total;
    return true;
}
