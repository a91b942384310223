/*
 * cmd_push_time.c - the time that a line begins with, in the few forms that most log files use. Pure but for
 * $TZ.
 */
#include <time.h>

#include "server/cmd_push_int.h"

#define DAY_S 86400
#define YEARS_BACK 8 /* for a 29 February */

struct civil {
    int year, month, day, hour, minute, second;
};

void
lp_line_clock_init(struct lp_line_clock *k, int64_t latest_ns)
{
    *k = (struct lp_line_clock){.latest_ns = latest_ns, .minute = -1};
}

/* n digits at *at as a number; -1 when they are not there. */
static int
digits(struct lp_str s, size_t *at, size_t n)
{
    int v = 0;
    if (s.n < *at + n) {
        return -1;
    }
    for (size_t i = 0; i < n; i++) {
        char b = s.p[(*at)++];
        if (b < '0' || b > '9') {
            return -1;
        }
        v = v * 10 + (b - '0');
    }
    return v;
}

static bool
skip(struct lp_str s, size_t *at, const char *any)
{
    if (*at < s.n && s.p[*at] != 0 && strchr(any, s.p[*at]) != NULL) {
        (*at)++;
        return true;
    }
    return false;
}

static bool
valid(const struct civil *c)
{
    static const int days[] = {31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = c->year % 4 == 0 && (c->year % 100 != 0 || c->year % 400 == 0);
    return c->year >= 1970 && c->year <= 2261 && c->month >= 1 && c->month <= 12 && c->day >= 1 &&
           c->day <= days[c->month - 1] && (c->month != 2 || c->day < 29 || leap) && c->hour >= 0 &&
           c->hour <= 23 && c->minute >= 0 && c->minute <= 59 && c->second >= 0 && c->second <= 60;
}

static struct tm
broken_down(const struct civil *c)
{
    return (struct tm){.tm_year = c->year - 1900,
                       .tm_mon = c->month - 1,
                       .tm_mday = c->day,
                       .tm_hour = c->hour,
                       .tm_min = c->minute,
                       .tm_isdst = -1};
}

/* Local time; the rules of the zone are asked once a minute of log time. */
static int64_t
local_ns(struct lp_line_clock *k, const struct civil *c)
{
    int64_t minute = ((((int64_t)c->year * 12 + c->month) * 31 + c->day) * 24 + c->hour) * 60 + c->minute;
    if (minute != k->minute) {
        struct tm tm = broken_down(c);
        k->minute_ns = (int64_t)mktime(&tm) * LP_NS_PER_S;
        k->minute = minute;
    }
    return k->minute_ns + c->second * LP_NS_PER_S;
}

static bool
hms(struct lp_str s, size_t *at, struct civil *c)
{
    c->hour = digits(s, at, 2);
    if (c->hour < 0 || !skip(s, at, ":")) {
        return false;
    }
    c->minute = digits(s, at, 2);
    if (c->minute < 0 || !skip(s, at, ":")) {
        return false;
    }
    c->second = digits(s, at, 2);
    return c->second >= 0;
}

/* ".123", ",123": up to nine digits count. */
static int64_t
fraction_ns(struct lp_str s, size_t *at)
{
    size_t from = *at;
    int64_t ns = 0, unit = LP_NS_PER_S / 10;
    if (!skip(s, at, ".,") || *at == s.n || s.p[*at] < '0' || s.p[*at] > '9') {
        *at = from;
        return 0;
    }
    for (; *at < s.n && s.p[*at] >= '0' && s.p[*at] <= '9'; (*at)++, unit /= 10) {
        ns += (s.p[*at] - '0') * unit;
    }
    return ns;
}

/* "Z", "UTC", "GMT", "+02:00", "+0200", each also behind one blank; false: none. */
static bool
zone(struct lp_str s, size_t at, int64_t *ret_offset_ns)
{
    bool blank = skip(s, &at, " ");
    struct lp_str rest = lp_str_sub(s, at, s.n);
    *ret_offset_ns = 0;
    if ((!blank && lp_str_starts(rest, LP_STR("Z"))) || lp_str_starts(rest, LP_STR("UTC")) ||
        lp_str_starts(rest, LP_STR("GMT"))) {
        return true;
    }
    bool minus = at < s.n && s.p[at] == '-';
    if (!skip(s, &at, "+-")) {
        return false;
    }
    int h = digits(s, &at, 2);
    (void)skip(s, &at, ":");
    int m = h >= 0 ? digits(s, &at, 2) : -1;
    bool more = at < s.n && s.p[at] >= '0' && s.p[at] <= '9';
    if (h < 0 || h > 14 || m < 0 || m % 15 != 0 || m > 45 || more) {
        return false; /* "-5 apples" is no zone */
    }
    *ret_offset_ns = (minus ? -1 : 1) * (h * 3600 + m * 60) * LP_NS_PER_S;
    return true;
}

/* 2026-01-02T03:04:05 and its relatives. */
static bool
iso(struct lp_line_clock *k, struct lp_str s, int64_t *ret_ns)
{
    struct civil c;
    size_t at = 0;
    c.year = digits(s, &at, 4);
    if (c.year < 0 || !skip(s, &at, "-/")) {
        return false;
    }
    c.month = digits(s, &at, 2);
    if (c.month < 0 || !skip(s, &at, "-/")) {
        return false;
    }
    c.day = digits(s, &at, 2);
    if (c.day < 0 || !skip(s, &at, "T ") || !hms(s, &at, &c) || !valid(&c)) {
        return false;
    }
    int64_t fraction = fraction_ns(s, &at), offset_ns;
    if (!zone(s, at, &offset_ns)) {
        *ret_ns = local_ns(k, &c) + fraction;
        return true;
    }
    struct tm tm = broken_down(&c);
    *ret_ns = ((int64_t)timegm(&tm) + c.second) * LP_NS_PER_S + fraction - offset_ns;
    return true;
}

/* "Jan  2 03:04:05": the latest year that makes it no later than the file. */
static bool
syslog_time(struct lp_line_clock *k, struct lp_str s, int64_t *ret_ns)
{
    static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    struct civil c = {.year = 0};
    size_t at = 4;
    if (s.n < 15 || s.p[3] != ' ') {
        return false;
    }
    for (int m = 0; m < 12; m++) {
        c.month = memcmp(s.p, months + (size_t)(3 * m), 3) == 0 ? m + 1 : c.month;
    }
    bool one_digit = skip(s, &at, " ");
    c.day = digits(s, &at, one_digit ? 1 : 2);
    if (c.month == 0 || c.day < 0 || !skip(s, &at, " ") || !hms(s, &at, &c)) {
        return false;
    }
    time_t latest = (time_t)(k->latest_ns / LP_NS_PER_S);
    struct tm now;
    if (localtime_r(&latest, &now) == NULL) {
        return false;
    }
    for (c.year = now.tm_year + 1900; c.year >= now.tm_year + 1900 - YEARS_BACK; c.year--) {
        if (valid(&c)) {
            *ret_ns = local_ns(k, &c);
            if (*ret_ns <= k->latest_ns + DAY_S * LP_NS_PER_S) {
                return true;
            }
        }
    }
    return false;
}

bool
lp_line_time(struct lp_line_clock *k, struct lp_str line, int64_t *ret_ns)
{
    size_t at = 0;
    (void)skip(line, &at, "[");
    struct lp_str s = lp_str_sub(line, at, line.n);
    if (s.n == 0) {
        return false;
    }
    return s.p[0] >= '0' && s.p[0] <= '9' ? iso(k, s, ret_ns) : syslog_time(k, s, ret_ns);
}
