/*
 * gotime_parse.c - times read by a layout, and durations.
 *
 * As in Go, a text may have a fraction behind its seconds that the layout does not show, runs of blanks are
 * one, and the day of the week is read but not believed.
 */
#include <stdio.h>

#include "base/clock.h"
#include "query/gotime_int.h"

/* What pieces have said so far. */
struct parts {
    int year, month, day, yday; /* month, day, yday: -1 unless said */
    int hour, minute, second;
    int32_t ns;
    bool am, pm, utc, has_offset;
    int32_t offset;
    struct lp_str zone_name;
};

static void
drop(struct lp_str *s, size_t n)
{
    *s = lp_str_sub(*s, n, s->n);
}

static bool
digit_at(struct lp_str s, size_t i)
{
    return i < s.n && s.p[i] >= '0' && s.p[i] <= '9';
}

/* A number of `least` to `most` digits. */
static bool
eat_digits(struct lp_str *s, size_t least, size_t most, int *ret)
{
    size_t n = 0;
    int v = 0;
    while (n < most && digit_at(*s, n)) {
        v = v * 10 + (s->p[n++] - '0');
    }
    drop(s, n);
    *ret = v;
    return n >= least && n > 0;
}

static bool
eat_two(struct lp_str *s, unsigned flags, int *ret)
{
    return eat_digits(s, flags & LAYOUT_ZERO ? 2 : 1, 2, ret);
}

/* One of n names, in any case; short ones have three letters. */
static bool
eat_name(struct lp_str *s, const char *const *names, int n, bool is_short, int *ret)
{
    for (int i = 0; i < n; i++) {
        struct lp_str name = lp_str_c(names[i]);
        name.n = is_short ? 3 : name.n;
        if (lp_str_ieq(lp_str_sub(*s, 0, name.n), name)) {
            drop(s, name.n);
            *ret = i;
            return true;
        }
    }
    return false;
}

/* The literal text of a layout; blanks in it match any run of blanks, also none at the end. */
static bool
eat_literal(struct lp_str *s, struct lp_str literal)
{
    while (literal.n > 0) {
        if (literal.p[0] == ' ') {
            if (s->n > 0 && s->p[0] != ' ') {
                return false;
            }
            while (literal.n > 0 && literal.p[0] == ' ') {
                drop(&literal, 1);
            }
            while (s->n > 0 && s->p[0] == ' ') {
                drop(s, 1);
            }
            continue;
        }
        if (s->n == 0 || s->p[0] != literal.p[0]) {
            return false;
        }
        drop(&literal, 1);
        drop(s, 1);
    }
    return true;
}

/* A point or comma and digits; what is behind the ninth is dropped. */
static bool
eat_fraction(struct lp_str *s, size_t digits, int32_t *ret)
{
    int32_t ns = 0;
    if (s->n < 1 + digits || (s->p[0] != '.' && s->p[0] != ',')) {
        return false;
    }
    for (size_t i = 1; i <= 9; i++) {
        if (i <= digits && !digit_at(*s, i)) {
            return false;
        }
        ns = ns * 10 + (i <= digits ? s->p[i] - '0' : 0);
    }
    drop(s, 1 + digits);
    *ret = ns;
    return true;
}

static size_t
fraction_digits(struct lp_str s)
{
    size_t n = 0;
    while (s.n > 0 && (s.p[0] == '.' || s.p[0] == ',') && digit_at(s, n + 1)) {
        n++;
    }
    return n;
}

/* ------------------------------------------------------------------ zones */

static bool
eat_offset(struct lp_str *s, unsigned flags, struct parts *p)
{
    int hours, minutes = 0, seconds = 0;
    if (flags & LAYOUT_Z && s->n > 0 && s->p[0] == 'Z') {
        drop(s, 1);
        p->utc = true;
        return true;
    }
    bool minus = s->n > 0 && s->p[0] == '-';
    if (!minus && (s->n == 0 || s->p[0] != '+')) {
        return false;
    }
    drop(s, 1);
    struct lp_str colon = flags & LAYOUT_COLON ? LP_STR(":") : LP_STR("");
    if (!eat_digits(s, 2, 2, &hours) || hours > 24 ||
        (flags & LAYOUT_MINUTES && (!eat_literal(s, colon) || !eat_digits(s, 2, 2, &minutes))) ||
        minutes > 60 ||
        (flags & LAYOUT_SECONDS && (!eat_literal(s, colon) || !eat_digits(s, 2, 2, &seconds))) ||
        seconds > 60) {
        return false;
    }
    p->has_offset = true;
    p->offset = (minus ? -1 : 1) * (hours * 3600 + minutes * 60 + seconds);
    return true;
}

/* Bytes of a sign and a number up to 23; 0: there is none. */
static size_t
signed_hours(struct lp_str s)
{
    size_t n = 1;
    int v = 0;
    if (s.n < 2 || (s.p[0] != '-' && s.p[0] != '+')) {
        return 0;
    }
    while (digit_at(s, n) && v <= 23) {
        v = v * 10 + (s.p[n++] - '0');
    }
    return n > 1 && v <= 23 ? n : 0;
}

/* Bytes of what looks like a zone's abbreviation; 0: it does not. */
static size_t
abbreviation(struct lp_str s)
{
    struct lp_str four = lp_str_sub(s, 0, 4);
    size_t upper = 0;
    if (s.n < 3) {
        return 0;
    }
    if (lp_str_eqc(four, "ChST") || lp_str_eqc(four, "MeST")) {
        return 4;
    }
    if (lp_str_starts(s, LP_STR("GMT"))) {
        return 3 + signed_hours(lp_str_sub(s, 3, s.n));
    }
    if (s.p[0] == '+' || s.p[0] == '-') {
        return signed_hours(s);
    }
    while (upper < 6 && upper < s.n && s.p[upper] >= 'A' && s.p[upper] <= 'Z') {
        upper++;
    }
    bool ends_in_t = upper > 0 && s.p[upper - 1] == 'T';
    bool known =
        upper == 3 || (upper == 4 && (ends_in_t || lp_str_eqc(four, "WITA"))) || (upper == 5 && ends_in_t);
    return known ? upper : 0;
}

static bool
eat_zone_name(struct lp_str *s, struct parts *p)
{
    if (lp_str_starts(*s, LP_STR("UTC"))) {
        drop(s, 3);
        p->utc = true;
        return true;
    }
    size_t n = abbreviation(*s);
    p->zone_name = lp_str_sub(*s, 0, n);
    drop(s, n);
    return n > 0;
}

/* ------------------------------------------------------------------ pieces */

static bool
eat_year(struct lp_str *s, bool is_long, struct parts *p)
{
    if (is_long) {
        return eat_digits(s, 4, 4, &p->year);
    }
    int year;
    if (!eat_digits(s, 2, 2, &year)) {
        return false;
    }
    p->year = year + (year >= 69 ? 1900 : 2000);
    return true;
}

static void
eat_blanks(struct lp_str *s, size_t most, unsigned flags)
{
    for (size_t i = 0; i < most && flags & LAYOUT_BLANK && s->n > 0 && s->p[0] == ' '; i++) {
        drop(s, 1);
    }
}

static bool
eat_half(struct lp_str *s, unsigned flags, struct parts *p)
{
    bool lower = flags & LAYOUT_LOWER;
    struct lp_str half = lp_str_sub(*s, 0, 2);
    p->pm = lp_str_eqc(half, lower ? "pm" : "PM") || p->pm;
    p->am = lp_str_eqc(half, lower ? "am" : "AM") || p->am;
    drop(s, 2);
    return lp_str_eqc(half, lower ? "pm" : "PM") || lp_str_eqc(half, lower ? "am" : "AM");
}

/* Seconds, and a fraction behind them unless the layout's next piece is one. */
static bool
eat_second(struct lp_str *s, unsigned flags, struct lp_str layout, struct parts *p)
{
    struct lp_layout_piece next;
    if (!eat_two(s, flags, &p->second) || p->second > 59) {
        return false;
    }
    size_t digits = fraction_digits(*s);
    if (digits == 0) {
        return true;
    }
    lp_layout_next(&layout, &next);
    return next.kind == LAYOUT_FRACTION || eat_fraction(s, digits, &p->ns);
}

static bool
eat_date_piece(struct lp_str *s, const struct lp_layout_piece *piece, struct parts *p)
{
    int weekday;
    switch ((int)piece->kind) {
    case LAYOUT_LONG_MONTH:
    case LAYOUT_MONTH:
        if (!eat_name(s, lp_month_names, 12, piece->kind == LAYOUT_MONTH, &p->month)) {
            return false;
        }
        p->month++;
        return true;
    case LAYOUT_NUM_MONTH:
        return eat_two(s, piece->flags, &p->month) && p->month >= 1 && p->month <= 12;
    case LAYOUT_LONG_WEEKDAY:
    case LAYOUT_WEEKDAY:
        return eat_name(s, lp_weekday_names, 7, piece->kind == LAYOUT_WEEKDAY, &weekday);
    case LAYOUT_DAY:
        eat_blanks(s, 1, piece->flags);
        return eat_two(s, piece->flags, &p->day);
    default: /* LAYOUT_YDAY */
        eat_blanks(s, 2, piece->flags);
        return eat_digits(s, piece->flags & LAYOUT_ZERO ? 3 : 1, 3, &p->yday);
    }
}

/* layout: what stands behind the piece. */
static bool
eat_piece(struct lp_str *s, const struct lp_layout_piece *piece, struct lp_str layout, struct parts *p)
{
    switch ((int)piece->kind) {
    case LAYOUT_LONG_YEAR:
    case LAYOUT_YEAR:
        return eat_year(s, piece->kind == LAYOUT_LONG_YEAR, p);
    case LAYOUT_HOUR:
        return eat_two(s, 0, &p->hour) && p->hour <= 23;
    case LAYOUT_HOUR12:
        return eat_two(s, piece->flags, &p->hour) && p->hour <= 12;
    case LAYOUT_MINUTE:
        return eat_two(s, piece->flags, &p->minute) && p->minute <= 59;
    case LAYOUT_SECOND:
        return eat_second(s, piece->flags, layout, p);
    case LAYOUT_PM:
        return eat_half(s, piece->flags, p);
    case LAYOUT_ZONE_NAME:
        return eat_zone_name(s, p);
    case LAYOUT_ZONE:
        return eat_offset(s, piece->flags, p);
    case LAYOUT_FRACTION:
        if (piece->flags & LAYOUT_TRIM) {
            size_t digits = fraction_digits(*s);
            return digits == 0 || eat_fraction(s, digits, &p->ns);
        }
        return eat_fraction(s, piece->digits, &p->ns);
    default:
        return eat_date_piece(s, piece, p);
    }
}

/* ------------------------------------------------------------------ the whole */

/* The day of the year says month and day, or agrees with them; what nothing says is the first. */
static bool
settle_date(struct parts *p)
{
    if (p->yday >= 0) {
        int64_t year;
        int month, day;
        lp_date_of_days(lp_date_days(p->year, 1, 1) + p->yday - 1, &year, &month, &day);
        if (year != p->year || (p->month >= 0 && p->month != month) || (p->day >= 0 && p->day != day)) {
            return false;
        }
        p->month = month;
        p->day = day;
    }
    p->month = p->month < 0 ? 1 : p->month;
    p->day = p->day < 0 ? 1 : p->day;
    return p->day >= 1 && p->day <= lp_date_month_days(p->year, p->month);
}

/* A zone of the text's own, unless `zone` has the same offset at the time. */
static bool
settle_offset(const struct parts *p, const struct lp_zone *zone, struct lp_arena *ar, struct lp_gotime *t)
{
    struct lp_str name;
    t->sec -= p->offset;
    struct lp_zone_info info = lp_zone_at(zone, t->sec);
    if (info.offset == p->offset && (p->zone_name.n == 0 || lp_str_eq(info.name, p->zone_name))) {
        t->zone = zone;
        return true;
    }
    t->zone = lp_arena_str(ar, p->zone_name, &name) ? lp_zone_fixed(ar, name, p->offset) : NULL;
    return t->zone != NULL;
}

/* An abbreviation that `zone` does not know means UTC, but for "GMT+3" and the like. */
static bool
settle_zone_name(const struct parts *p, const struct lp_zone *zone, struct lp_arena *ar, struct lp_gotime *t)
{
    struct lp_str name;
    int32_t offset = 0;
    if (lp_zone_abbreviation(zone, p->zone_name, t->sec, &offset)) {
        t->sec -= offset;
        t->zone = zone;
        return true;
    }
    struct lp_str hours = lp_str_sub(p->zone_name, 4, p->zone_name.n);
    int v = 0;
    if (lp_str_starts(p->zone_name, LP_STR("GMT")) && eat_digits(&hours, 1, 2, &v)) {
        offset = (p->zone_name.p[3] == '-' ? -1 : 1) * v * 3600;
    }
    t->zone = lp_arena_str(ar, p->zone_name, &name) ? lp_zone_fixed(ar, name, offset) : NULL;
    return t->zone != NULL;
}

static bool
settle(struct parts *p, const struct lp_zone *zone, struct lp_arena *ar, struct lp_gotime *t)
{
    if (p->pm && p->hour < 12) {
        p->hour += 12;
    } else if (p->am && !p->pm && p->hour == 12) {
        p->hour = 0;
    }
    if (!settle_date(p)) {
        return false;
    }
    int64_t sec =
        lp_date_days(p->year, p->month, p->day) * 86400 + p->hour * 3600 + p->minute * 60 + p->second;
    *t = (struct lp_gotime){.sec = sec, .ns = p->ns};
    if (p->utc) {
        return true;
    }
    if (p->has_offset) {
        return settle_offset(p, zone, ar, t);
    }
    if (p->zone_name.n > 0) {
        return settle_zone_name(p, zone, ar, t);
    }
    t->sec -= lp_zone_at_local(zone, sec).offset;
    t->zone = zone;
    return true;
}

bool
lp_gotime_parse(struct lp_str layout, struct lp_str text, const struct lp_zone *zone, struct lp_arena *ar,
                struct lp_gotime *ret)
{
    struct parts p = {.month = -1, .day = -1, .yday = -1};
    for (;;) {
        struct lp_layout_piece piece;
        struct lp_str before = lp_layout_next(&layout, &piece);
        if (!eat_literal(&text, before)) {
            return false;
        }
        if (piece.kind == LAYOUT_END) {
            return text.n == 0 && settle(&p, zone, ar, ret);
        }
        if (!eat_piece(&text, &piece, layout, &p)) {
            return false;
        }
    }
}

/* ------------------------------------------------------------------ durations */

#define QUOTED_MAX 80

/* The text in quotes as Go's time package has it, cut where it is long: every byte that is no plain ASCII as
 * \xNN. */
static const char *
quote(struct lp_str s, char room[QUOTED_MAX])
{
    size_t n = 0, i = 0;
    room[n++] = '"';
    for (; i < s.n && n + 10 < QUOTED_MAX; i++) {
        unsigned char c = (unsigned char)s.p[i];
        if (c < 0x20 || c >= 0x80) {
            n += (size_t)snprintf(room + n, QUOTED_MAX - n, "\\x%02x", c);
            continue;
        }
        if (c == '"' || c == '\\') {
            room[n++] = '\\';
        }
        room[n++] = (char)c;
    }
    snprintf(room + n, QUOTED_MAX - n, i < s.n ? "...\"" : "\"");
    return room;
}

static bool
bad_duration(struct lp_str s, const char *what, char why[LP_GOTIME_WHY])
{
    char room[QUOTED_MAX];
    snprintf(why, LP_GOTIME_WHY, "time: %s duration %s", what, quote(s, room));
    return false;
}

static size_t
unit_length(struct lp_str s)
{
    size_t n = 0;
    while (n < s.n && s.p[n] != '.' && !digit_at(s, n)) {
        n++;
    }
    return n;
}

static bool
is_unit(struct lp_str s)
{
    static const char *const units[] = {"ns", "us", "\302\265s", "\316\274s", "ms", "s", "m", "h"};
    for (size_t i = 0; i < LP_ARRAY_LEN(units); i++) {
        if (lp_str_eqc(s, units[i])) {
            return true;
        }
    }
    return false;
}

/* Numbers and units in turn; false with the reason. */
static bool
check_duration(struct lp_str all, struct lp_str s, char why[LP_GOTIME_WHY])
{
    char room[QUOTED_MAX], unit[QUOTED_MAX];
    while (s.n > 0) {
        size_t n = 0, digits = 0;
        while (n < s.n && (digit_at(s, n) || s.p[n] == '.') && (s.p[n] != '.' || n == digits)) {
            digits += digit_at(s, n);
            n++;
        }
        if (digits == 0) {
            return bad_duration(all, "invalid", why);
        }
        drop(&s, n);
        n = unit_length(s);
        if (n == 0) {
            return bad_duration(all, "missing unit in", why);
        }
        if (!is_unit(lp_str_sub(s, 0, n))) {
            snprintf(why, LP_GOTIME_WHY, "time: unknown unit %s in duration %s",
                     quote(lp_str_sub(s, 0, n), unit), quote(all, room));
            return false;
        }
        drop(&s, n);
    }
    return true;
}

bool
lp_go_duration(struct lp_str s, int64_t *ret_ns, char why[LP_GOTIME_WHY])
{
    struct lp_str rest = s;
    if (s.n > 0 && (s.p[0] == '-' || s.p[0] == '+')) {
        drop(&rest, 1);
    }
    if (lp_str_eqc(rest, "0")) {
        *ret_ns = 0;
        return true;
    }
    if (rest.n == 0) {
        return bad_duration(s, "invalid", why);
    }
    if (!check_duration(s, rest, why)) {
        return false;
    }
    return lp_duration(s, ret_ns) || bad_duration(s, "invalid", why);
}
