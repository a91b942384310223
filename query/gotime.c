/*
 * gotime.c - times in a calendar, layouts cut into their pieces, and times written by them.
 */
#include "query/gotime.h"

#include "base/clock.h"
#include "query/gotime_int.h"

#define DAY INT64_C(86400)

const char *const lp_month_names[12] = {"January",   "February", "March",    "April",
                                        "May",       "June",     "July",     "August",
                                        "September", "October",  "November", "December"};
const char *const lp_weekday_names[7] = {"Sunday",   "Monday", "Tuesday", "Wednesday",
                                         "Thursday", "Friday", "Saturday"};

struct lp_gotime
lp_gotime_of_ns(int64_t ns)
{
    int64_t sec = ns / LP_NS_PER_S, rest = ns % LP_NS_PER_S;
    return rest < 0 ? (struct lp_gotime){sec - 1, (int32_t)(rest + LP_NS_PER_S), NULL}
                    : (struct lp_gotime){sec, (int32_t)rest, NULL};
}

void
lp_gotime_civil(const struct lp_gotime *t, struct lp_civil *ret)
{
    int64_t local;
    ret->zone = lp_zone_at(t->zone, t->sec);
    if (__builtin_add_overflow(t->sec, ret->zone.offset, &local)) {
        local = t->sec;
    }
    int64_t days = local / DAY - (local % DAY < 0), in_day = (local % DAY + DAY) % DAY;
    lp_date_of_days(days, &ret->year, &ret->month, &ret->day);
    ret->hour = (int)(in_day / 3600);
    ret->minute = (int)(in_day / 60 % 60);
    ret->second = (int)(in_day % 60);
    ret->yday = (int)(days - lp_date_days(ret->year, 1, 1)) + 1;
    ret->weekday = (int)(((days + 4) % 7 + 7) % 7); /* 1970-01-01 was a Thursday */
}

/* ------------------------------------------------------------------ layouts */

/* Longer ones first where one begins another. */
static const struct layout_word {
    const char *text;
    struct lp_layout_piece piece;
} layout_words[] = {
    {"January", {LAYOUT_LONG_MONTH, 0, 0}},
    {"Jan", {LAYOUT_MONTH, 0, 0}},
    {"Monday", {LAYOUT_LONG_WEEKDAY, 0, 0}},
    {"Mon", {LAYOUT_WEEKDAY, 0, 0}},
    {"MST", {LAYOUT_ZONE_NAME, 0, 0}},
    {"01", {LAYOUT_NUM_MONTH, LAYOUT_ZERO, 0}},
    {"02", {LAYOUT_DAY, LAYOUT_ZERO, 0}},
    {"03", {LAYOUT_HOUR12, LAYOUT_ZERO, 0}},
    {"04", {LAYOUT_MINUTE, LAYOUT_ZERO, 0}},
    {"05", {LAYOUT_SECOND, LAYOUT_ZERO, 0}},
    {"06", {LAYOUT_YEAR, 0, 0}},
    {"002", {LAYOUT_YDAY, LAYOUT_ZERO, 0}},
    {"15", {LAYOUT_HOUR, 0, 0}},
    {"1", {LAYOUT_NUM_MONTH, 0, 0}},
    {"2006", {LAYOUT_LONG_YEAR, 0, 0}},
    {"2", {LAYOUT_DAY, 0, 0}},
    {"__2", {LAYOUT_YDAY, LAYOUT_BLANK, 0}},
    {"_2", {LAYOUT_DAY, LAYOUT_BLANK, 0}},
    {"3", {LAYOUT_HOUR12, 0, 0}},
    {"4", {LAYOUT_MINUTE, 0, 0}},
    {"5", {LAYOUT_SECOND, 0, 0}},
    {"PM", {LAYOUT_PM, 0, 0}},
    {"pm", {LAYOUT_PM, LAYOUT_LOWER, 0}},
    {"-070000", {LAYOUT_ZONE, LAYOUT_MINUTES | LAYOUT_SECONDS, 0}},
    {"-07:00:00", {LAYOUT_ZONE, LAYOUT_MINUTES | LAYOUT_SECONDS | LAYOUT_COLON, 0}},
    {"-0700", {LAYOUT_ZONE, LAYOUT_MINUTES, 0}},
    {"-07:00", {LAYOUT_ZONE, LAYOUT_MINUTES | LAYOUT_COLON, 0}},
    {"-07", {LAYOUT_ZONE, 0, 0}},
    {"Z070000", {LAYOUT_ZONE, LAYOUT_Z | LAYOUT_MINUTES | LAYOUT_SECONDS, 0}},
    {"Z07:00:00", {LAYOUT_ZONE, LAYOUT_Z | LAYOUT_MINUTES | LAYOUT_SECONDS | LAYOUT_COLON, 0}},
    {"Z0700", {LAYOUT_ZONE, LAYOUT_Z | LAYOUT_MINUTES, 0}},
    {"Z07:00", {LAYOUT_ZONE, LAYOUT_Z | LAYOUT_MINUTES | LAYOUT_COLON, 0}},
    {"Z07", {LAYOUT_ZONE, LAYOUT_Z, 0}},
};

/* "Month" has no "Mon" in it, nor "_2006" a "_2". */
static bool
goes_on(enum lp_layout_kind kind, struct lp_str at, size_t n)
{
    char next = n < at.n ? at.p[n] : 0;
    if (kind == LAYOUT_MONTH || kind == LAYOUT_WEEKDAY) {
        return next >= 'a' && next <= 'z';
    }
    return kind == LAYOUT_DAY && at.p[0] == '_' && lp_str_starts(lp_str_sub(at, 1, at.n), LP_STR("2006"));
}

/* A point or comma with zeros or nines behind it, and no digit behind those. Bytes; 0: it is none. */
static size_t
fraction_at(struct lp_str at, struct lp_layout_piece *ret)
{
    if (at.n < 2 || (at.p[0] != '.' && at.p[0] != ',') || (at.p[1] != '0' && at.p[1] != '9')) {
        return 0;
    }
    size_t n = 1;
    while (n < at.n && at.p[n] == at.p[1]) {
        n++;
    }
    if (n < at.n && at.p[n] >= '0' && at.p[n] <= '9') {
        return 0;
    }
    *ret = (struct lp_layout_piece){LAYOUT_FRACTION, at.p[1] == '9' ? LAYOUT_TRIM : 0, n - 1};
    return n;
}

static size_t
piece_at(struct lp_str at, struct lp_layout_piece *ret)
{
    for (size_t i = 0; i < LP_ARRAY_LEN(layout_words); i++) {
        const struct layout_word *w = &layout_words[i];
        if (at.p[0] != w->text[0]) {
            continue;
        }
        struct lp_str text = lp_str_c(w->text);
        if (lp_str_starts(at, text) && !goes_on(w->piece.kind, at, text.n)) {
            *ret = w->piece;
            return text.n;
        }
    }
    return fraction_at(at, ret);
}

struct lp_str
lp_layout_next(struct lp_str *layout, struct lp_layout_piece *ret)
{
    struct lp_str all = *layout;
    for (size_t i = 0; i < all.n; i++) {
        bool begins = all.p[i] != 0 && strchr("JM012345_Pp-Z.,", all.p[i]) != NULL;
        size_t n = begins ? piece_at(lp_str_sub(all, i, all.n), ret) : 0;
        if (n > 0) {
            *layout = lp_str_sub(all, i + n, all.n);
            return lp_str_sub(all, 0, i);
        }
    }
    *ret = (struct lp_layout_piece){.kind = LAYOUT_END};
    *layout = LP_STR_NULL;
    return all;
}

/* ------------------------------------------------------------------ writing */

static void
put_number(struct lp_buf *out, int64_t v, int width, char pad)
{
    char text[32];
    int n = 0;
    uint64_t u = v < 0 ? 0 - (uint64_t)v : (uint64_t)v;
    do {
        text[n++] = (char)('0' + u % 10);
        u /= 10;
    } while (u > 0);
    if (v < 0) {
        lp_buf_byte(out, '-');
    }
    for (int i = n; i < width; i++) {
        lp_buf_byte(out, (uint8_t)pad);
    }
    while (n > 0) {
        lp_buf_byte(out, (uint8_t)text[--n]);
    }
}

static void
put_padded(struct lp_buf *out, int v, int width, unsigned flags)
{
    put_number(out, v, flags & (LAYOUT_ZERO | LAYOUT_BLANK) ? width : 0, flags & LAYOUT_ZERO ? '0' : ' ');
}

static void
put_offset(struct lp_buf *out, int32_t offset, unsigned flags)
{
    if (offset == 0 && flags & LAYOUT_Z) {
        lp_buf_byte(out, 'Z');
        return;
    }
    const char *colon = flags & LAYOUT_COLON ? ":" : "";
    int minutes = offset / 60;
    lp_buf_byte(out, minutes < 0 ? '-' : '+');
    minutes = minutes < 0 ? -minutes : minutes;
    put_number(out, minutes / 60, 2, '0');
    if (flags & LAYOUT_MINUTES) {
        lp_buf_c(out, colon);
        put_number(out, minutes % 60, 2, '0');
    }
    if (flags & LAYOUT_SECONDS) {
        lp_buf_c(out, colon);
        put_number(out, (offset < 0 ? -offset : offset) % 60, 2, '0');
    }
}

/* At most nine digits. separator: as the layout has it. */
static void
put_fraction(struct lp_buf *out, int32_t ns, const struct lp_layout_piece *piece, char separator)
{
    char text[9];
    size_t n = LP_MIN(piece->digits, sizeof(text));
    for (size_t i = sizeof(text); i-- > 0; ns /= 10) {
        text[i] = (char)('0' + ns % 10);
    }
    while (piece->flags & LAYOUT_TRIM && n > 0 && text[n - 1] == '0') {
        n--;
    }
    if (n == 0) {
        return;
    }
    lp_buf_byte(out, (uint8_t)separator);
    lp_buf_add(out, text, n);
}

static void
put_date_piece(struct lp_buf *out, const struct lp_civil *c, const struct lp_layout_piece *piece)
{
    switch ((int)piece->kind) {
    case LAYOUT_LONG_MONTH:
        lp_buf_c(out, lp_month_names[c->month - 1]);
        break;
    case LAYOUT_MONTH:
        lp_buf_add(out, lp_month_names[c->month - 1], 3);
        break;
    case LAYOUT_NUM_MONTH:
        put_padded(out, c->month, 2, piece->flags);
        break;
    case LAYOUT_LONG_WEEKDAY:
        lp_buf_c(out, lp_weekday_names[c->weekday]);
        break;
    case LAYOUT_WEEKDAY:
        lp_buf_add(out, lp_weekday_names[c->weekday], 3);
        break;
    case LAYOUT_DAY:
        put_padded(out, c->day, 2, piece->flags);
        break;
    case LAYOUT_YDAY:
        put_padded(out, c->yday, 3, piece->flags);
        break;
    case LAYOUT_LONG_YEAR:
        put_number(out, c->year, 4, '0');
        break;
    default: /* LAYOUT_YEAR */
        put_number(out, (c->year < 0 ? -c->year : c->year) % 100, 2, '0');
        break;
    }
}

static void
put_clock_piece(struct lp_buf *out, const struct lp_civil *c, const struct lp_layout_piece *piece)
{
    int hour12 = c->hour % 12 == 0 ? 12 : c->hour % 12;
    switch ((int)piece->kind) {
    case LAYOUT_HOUR:
        put_number(out, c->hour, 2, '0');
        break;
    case LAYOUT_HOUR12:
        put_padded(out, hour12, 2, piece->flags);
        break;
    case LAYOUT_MINUTE:
        put_padded(out, c->minute, 2, piece->flags);
        break;
    case LAYOUT_SECOND:
        put_padded(out, c->second, 2, piece->flags);
        break;
    case LAYOUT_PM:
        lp_buf_c(out,
                 piece->flags & LAYOUT_LOWER ? (c->hour >= 12 ? "pm" : "am") : (c->hour >= 12 ? "PM" : "AM"));
        break;
    case LAYOUT_ZONE:
        put_offset(out, c->zone.offset, piece->flags);
        break;
    default: /* LAYOUT_ZONE_NAME */
        if (c->zone.name.n > 0) {
            lp_buf_str(out, c->zone.name);
        } else {
            put_offset(out, c->zone.offset, LAYOUT_MINUTES);
        }
        break;
    }
}

void
lp_gotime_format(struct lp_buf *out, const struct lp_gotime *t, struct lp_str layout)
{
    struct lp_civil c;
    lp_gotime_civil(t, &c);
    while (layout.n > 0 && !out->failed) {
        struct lp_layout_piece piece;
        struct lp_str before = lp_layout_next(&layout, &piece);
        lp_buf_str(out, before);
        if (piece.kind == LAYOUT_END) {
            return;
        }
        if (piece.kind == LAYOUT_FRACTION) {
            put_fraction(out, t->ns, &piece, before.p[before.n]);
        } else if (piece.kind <= LAYOUT_YDAY || piece.kind == LAYOUT_LONG_YEAR || piece.kind == LAYOUT_YEAR) {
            put_date_piece(out, &c, &piece);
        } else {
            put_clock_piece(out, &c, &piece);
        }
    }
}

void
lp_gotime_print(struct lp_buf *out, const struct lp_gotime *t)
{
    lp_gotime_format(out, t, LP_STR("2006-01-02 15:04:05.999999999 -0700 MST"));
}
