/*
 * template_func_time.c - times: Loki's and sprig's functions, and the methods of Go's time.Time, Duration,
 * Month and Weekday.
 *
 * The local zone is UTC. A zone that is constant in the template was loaded with it.
 */
#include "base/clock.h"
#include "query/template_int.h"
#include "query/text.h"

/* ------------------------------------------------------------------ making times */

static bool
give_time(const struct lp_tcall *c, struct lp_gotime t, struct lp_tval *ret)
{
    struct lp_gotime *copy = lp_arena_alloc(c->x->ar, sizeof(*copy));
    if (copy == NULL) {
        return lp_trun_limit(c->x, "needs more memory than it may have");
    }
    *copy = t;
    *ret = (struct lp_tval){.kind = TV_TIME, .time = copy};
    return true;
}

static bool
fn_timestamp(const struct lp_tcall *c, struct lp_tval *ret)
{
    return give_time(c, lp_gotime_of_ns(c->x->row->time_ns), ret);
}

static bool
fn_now(const struct lp_tcall *c, struct lp_tval *ret)
{
    return give_time(c, lp_gotime_of_ns(c->x->row->now_ns), ret);
}

/* The time `ns` later. */
static struct lp_gotime
later(const struct lp_gotime *t, int64_t ns)
{
    struct lp_gotime by = lp_gotime_of_ns(ns), sum = *t;
    sum.ns += by.ns;
    sum.sec = (int64_t)((uint64_t)sum.sec + (uint64_t)by.sec + (sum.ns >= LP_NS_PER_S));
    sum.ns -= sum.ns >= LP_NS_PER_S ? (int32_t)LP_NS_PER_S : 0;
    return sum;
}

static bool
bad_epoch(const struct lp_tcall *c, struct lp_str s)
{
    struct lp_buf *out = c->x->out;
    size_t mark = out->n;
    lp_text_quote(out, s);
    struct lp_str quoted = lp_str_sub(lp_buf_view(out), mark, out->n);
    lp_tcall_fail(
        c, "unable to parse time '" LP_STR_FMT "': strconv.ParseInt: parsing " LP_STR_FMT ": invalid syntax",
        LP_STR_ARG(s), LP_STR_ARG(quoted));
    out->n = mark;
    return false;
}

/* An epoch in days, seconds, milli-, micro- or nanoseconds, by how many digits it has. */
static bool
fn_unix_to_time(const struct lp_tcall *c, struct lp_tval *ret)
{
    static const struct {
        size_t digits;
        int64_t per_second; /* 0: days */
    } units[] = {{5, 0}, {10, 1}, {13, 1000}, {16, 1000000}, {19, LP_NS_PER_S}};
    struct lp_str s = c->args[0].s;
    int64_t v;
    char room[64];
    if (!lp_str_i64(s, &v)) {
        return bad_epoch(c, s);
    }
    for (size_t i = 0; i < LP_ARRAY_LEN(units); i++) {
        if (s.n != units[i].digits) {
            continue;
        }
        int64_t per = units[i].per_second;
        if (per <= 1) {
            return give_time(c, (struct lp_gotime){.sec = per == 0 ? v * 86400 : v}, ret);
        }
        uint64_t ns = (uint64_t)v * (uint64_t)(LP_NS_PER_S / per); /* wraps around, as in Go */
        return give_time(c, lp_gotime_of_ns((int64_t)ns), ret);
    }
    return lp_tcall_fail(c, "unable to parse time '%s': %%!w(<nil>)", lp_text_clip(s, 60, room));
}

/* ------------------------------------------------------------------ zones */

/* NULL: UTC, also for what is no zone. False: a limit. */
static bool
zone_of(const struct lp_tcall *c, struct lp_str name, const struct lp_zone **ret)
{
    struct lp_trun *x = c->x;
    const struct lp_tnode *constant = c->name != NULL && c->name->next != NULL ? c->name->next->next : NULL;
    *ret = NULL;
    if (constant != NULL && constant->kind == TN_STRING) {
        *ret = c->name->zone;
        return true;
    }
    for (size_t i = 0; i < x->nzones; i++) {
        if (lp_str_eq(x->zones[i].name, name)) {
            *ret = x->zones[i].zone;
            return true;
        }
    }
    if (x->nzones == LP_TRUN_ZONES_MAX) {
        return lp_trun_limit(x, "asks for too many time zones");
    }
    x->zones[x->nzones++] = (struct lp_tzone){name, lp_zone_load(name)};
    *ret = x->zones[x->nzones - 1].zone;
    return true;
}

/* A text that does not fit its layout is Go's zero time. */
static bool
parse(const struct lp_tcall *c, struct lp_str text, const struct lp_zone *zone, struct lp_tval *ret)
{
    struct lp_gotime t;
    if (!lp_gotime_parse(c->args[0].s, text, zone, c->x->ar, &t)) {
        t = (struct lp_gotime){.sec = LP_GOTIME_ZERO_S};
    }
    return give_time(c, t, ret);
}

static bool
fn_to_date(const struct lp_tcall *c, struct lp_tval *ret)
{
    return parse(c, c->args[1].s, NULL, ret);
}

static bool
fn_to_date_in_zone(const struct lp_tcall *c, struct lp_tval *ret)
{
    const struct lp_zone *zone;
    return zone_of(c, c->args[1].s, &zone) && parse(c, c->args[2].s, zone, ret);
}

/* ------------------------------------------------------------------ writing times */

static bool
put_format(const struct lp_tcall *c, const struct lp_gotime *t, struct lp_str layout, struct lp_tval *ret)
{
    size_t mark = c->x->out->n;
    lp_gotime_format(c->x->out, t, layout);
    return lp_trun_take(c->x, mark, ret);
}

/* A time, or seconds since 1970; anything else is now. */
static bool
fn_date(const struct lp_tcall *c, struct lp_tval *ret)
{
    const struct lp_tval *v = &c->args[1];
    struct lp_gotime t = lp_gotime_of_ns(c->x->row->now_ns);
    if (v->kind == TV_TIME) {
        t = *v->time;
        t.zone = NULL;
    } else if (v->kind == TV_INT && (v->type == TI_INT || v->type == TI_INT64)) {
        t = (struct lp_gotime){.sec = v->i};
    }
    return put_format(c, &t, c->args[0].s, ret);
}

enum { EPOCH_S, EPOCH_MS, EPOCH_US, EPOCH_NS };

/* Wraps around where it does not fit, as in Go. */
static int64_t
epoch(const struct lp_gotime *t, int unit)
{
    static const int32_t per_second[] = {1, 1000, 1000000, 1000000000};
    int32_t per = per_second[unit];
    return (int64_t)((uint64_t)t->sec * (uint64_t)per + (uint64_t)(t->ns / (1000000000 / per)));
}

static bool
fn_epoch_text(const struct lp_tcall *c, struct lp_tval *ret)
{
    size_t mark = c->x->out->n;
    lp_buf_printf(c->x->out, "%lld", (long long)epoch(c->args[0].time, c->func->which));
    return lp_trun_take(c->x, mark, ret);
}

/* Seconds. */
static bool
fn_duration(const struct lp_tcall *c, struct lp_tval *ret)
{
    int64_t ns;
    char why[LP_GOTIME_WHY];
    if (!lp_go_duration(c->args[0].s, &ns, why)) {
        return lp_tcall_fail(c, "%s", why);
    }
    *ret = lp_tv_float((double)(ns / LP_NS_PER_S) + (double)(ns % LP_NS_PER_S) / 1e9);
    return true;
}

const struct lp_tfunc lp_tfuncs_time[] = {
    {"__timestamp__", "", fn_timestamp, 0},           {"now", "", fn_now, 0},
    {"unixToTime", "s", fn_unix_to_time, 0},          {"toDate", "ss", fn_to_date, 0},
    {"toDateInZone", "sss", fn_to_date_in_zone, 0},   {"date", "sa", fn_date, 0},
    {"unixEpoch", "t", fn_epoch_text, EPOCH_S},       {"unixEpochMillis", "t", fn_epoch_text, EPOCH_MS},
    {"unixEpochNanos", "t", fn_epoch_text, EPOCH_NS}, {"duration", "s", fn_duration, 0},
    {"duration_seconds", "s", fn_duration, 0},        {NULL, NULL, NULL, 0},
};

int
lp_tfunc_zone_arg(const struct lp_tfunc *f)
{
    return f->fn == fn_to_date_in_zone ? 1 : -1;
}

/* ------------------------------------------------------------------ methods of times */

enum {
    PART_YEAR,
    PART_MONTH,
    PART_DAY,
    PART_HOUR,
    PART_MINUTE,
    PART_SECOND,
    PART_NANOSECOND,
    PART_YDAY,
    PART_WEEKDAY,
};

static bool
time_part(const struct lp_tcall *c, struct lp_tval *ret)
{
    const struct lp_gotime *t = c->args[0].time;
    struct lp_civil civil;
    lp_gotime_civil(t, &civil);
    const int64_t parts[] = {
        [PART_YEAR] = civil.year,  [PART_MONTH] = civil.month,   [PART_DAY] = civil.day,
        [PART_HOUR] = civil.hour,  [PART_MINUTE] = civil.minute, [PART_SECOND] = civil.second,
        [PART_NANOSECOND] = t->ns, [PART_YDAY] = civil.yday,     [PART_WEEKDAY] = civil.weekday,
    };
    int which = c->func->which;
    *ret = lp_tv_int(which == PART_MONTH     ? TI_MONTH
                     : which == PART_WEEKDAY ? TI_WEEKDAY
                                             : TI_INT,
                     parts[which]);
    return true;
}

static bool
time_epoch(const struct lp_tcall *c, struct lp_tval *ret)
{
    *ret = lp_tv_int(TI_INT64, epoch(c->args[0].time, c->func->which));
    return true;
}

static bool
time_format(const struct lp_tcall *c, struct lp_tval *ret)
{
    return put_format(c, c->args[0].time, c->args[1].s, ret);
}

static bool
value_string(const struct lp_tcall *c, struct lp_tval *ret)
{
    size_t mark = c->x->out->n;
    lp_tv_print(c->x->out, &c->args[0]);
    return lp_trun_take(c->x, mark, ret);
}

static bool
time_utc(const struct lp_tcall *c, struct lp_tval *ret)
{
    struct lp_gotime t = *c->args[0].time;
    t.zone = NULL;
    return give_time(c, t, ret);
}

static bool
time_is_zero(const struct lp_tcall *c, struct lp_tval *ret)
{
    *ret = lp_tv_bool(c->args[0].time->sec == LP_GOTIME_ZERO_S && c->args[0].time->ns == 0);
    return true;
}

static bool
time_add(const struct lp_tcall *c, struct lp_tval *ret)
{
    return give_time(c, later(c->args[0].time, c->args[1].i), ret);
}

/* Years, months and days; a day that a month does not have goes on into the next. */
static bool
time_add_date(const struct lp_tcall *c, struct lp_tval *ret)
{
    const struct lp_gotime *t = c->args[0].time;
    struct lp_civil civil;
    int64_t years = c->args[1].i, months = c->args[2].i, days = c->args[3].i, most = 1000000;
    if (years > most || years < -most || months > most || months < -most || days > most || days < -most) {
        return lp_trun_limit(c->x, "computes with times that are too far away");
    }
    lp_gotime_civil(t, &civil);
    if (civil.year > most || civil.year < -most) {
        return lp_trun_limit(c->x, "computes with times that are too far away");
    }
    int64_t month = civil.month - 1 + months;
    int64_t year = civil.year + years + month / 12 - (month % 12 < 0);
    int64_t day = lp_date_days(year, (int)((month % 12 + 12) % 12) + 1, 1) + civil.day - 1 + days;
    int64_t sec = day * 86400 + civil.hour * 3600 + civil.minute * 60 + civil.second;
    sec -= lp_zone_at_local(t->zone, sec).offset;
    return give_time(c, (struct lp_gotime){sec, t->ns, t->zone}, ret);
}

static int
compare(const struct lp_gotime *a, const struct lp_gotime *b)
{
    return a->sec != b->sec ? (a->sec < b->sec ? -1 : 1) : (a->ns > b->ns) - (a->ns < b->ns);
}

enum { IS_BEFORE = -1, IS_EQUAL = 0, IS_AFTER = 1, IS_WHAT = 2 };

static bool
time_compare(const struct lp_tcall *c, struct lp_tval *ret)
{
    int cmp = compare(c->args[0].time, c->args[1].time);
    *ret = c->func->which == IS_WHAT ? lp_tv_int(TI_INT, cmp) : lp_tv_bool(cmp == c->func->which);
    return true;
}

/* The difference, or the nearest duration that there is. */
static bool
time_sub(const struct lp_tcall *c, struct lp_tval *ret)
{
    const struct lp_gotime *a = c->args[0].time, *b = c->args[1].time;
    __int128 ns = ((__int128)a->sec - b->sec) * LP_NS_PER_S + a->ns - b->ns;
    *ret = lp_tv_int(TI_DURATION, ns > INT64_MAX ? INT64_MAX : ns < INT64_MIN ? INT64_MIN : (int64_t)ns);
    return true;
}

enum { TO_LOWER, TO_NEAREST };

/* To a multiple of a duration since the zero time. */
static bool
time_round(const struct lp_tcall *c, struct lp_tval *ret)
{
    const struct lp_gotime *t = c->args[0].time;
    int64_t unit = c->args[1].i;
    if (unit <= 0) {
        return give_time(c, *t, ret);
    }
    __int128 since = ((__int128)t->sec - LP_GOTIME_ZERO_S) * LP_NS_PER_S + t->ns;
    int64_t rest = (int64_t)(since % unit);
    rest += rest < 0 ? unit : 0;
    bool up = c->func->which == TO_NEAREST && rest >= unit - rest;
    return give_time(c, later(t, up ? unit - rest : -rest), ret);
}

static const struct lp_tfunc time_methods[] = {
    {"Format", "s", time_format, 0},
    {"Unix", "", time_epoch, EPOCH_S},
    {"UnixMilli", "", time_epoch, EPOCH_MS},
    {"UnixMicro", "", time_epoch, EPOCH_US},
    {"UnixNano", "", time_epoch, EPOCH_NS},
    {"Year", "", time_part, PART_YEAR},
    {"Month", "", time_part, PART_MONTH},
    {"Day", "", time_part, PART_DAY},
    {"Hour", "", time_part, PART_HOUR},
    {"Minute", "", time_part, PART_MINUTE},
    {"Second", "", time_part, PART_SECOND},
    {"Nanosecond", "", time_part, PART_NANOSECOND},
    {"YearDay", "", time_part, PART_YDAY},
    {"Weekday", "", time_part, PART_WEEKDAY},
    {"String", "", value_string, 0},
    {"UTC", "", time_utc, 0},
    {"Local", "", time_utc, 0},
    {"IsZero", "", time_is_zero, 0},
    {"Add", "d", time_add, 0},
    {"AddDate", "iii", time_add_date, 0},
    {"Sub", "t", time_sub, 0},
    {"Before", "t", time_compare, IS_BEFORE},
    {"Equal", "t", time_compare, IS_EQUAL},
    {"After", "t", time_compare, IS_AFTER},
    {"Compare", "t", time_compare, IS_WHAT},
    {"Truncate", "d", time_round, TO_LOWER},
    {"Round", "d", time_round, TO_NEAREST},
    {NULL, NULL, NULL, 0},
};

/* ------------------------------------------------------------------ methods of durations */

static const int64_t units_ns[] = {1, 1000, 1000000, LP_NS_PER_S, 60 * LP_NS_PER_S, 3600 * LP_NS_PER_S};
enum { UNIT_NS, UNIT_US, UNIT_MS, UNIT_S, UNIT_M, UNIT_H };

static bool
duration_float(const struct lp_tcall *c, struct lp_tval *ret)
{
    int64_t unit = units_ns[c->func->which], ns = c->args[0].i;
    *ret = lp_tv_float((double)(ns / unit) + (double)(ns % unit) / (double)unit);
    return true;
}

static bool
duration_whole(const struct lp_tcall *c, struct lp_tval *ret)
{
    *ret = lp_tv_int(TI_INT64, c->args[0].i / units_ns[c->func->which]);
    return true;
}

static bool
duration_round(const struct lp_tcall *c, struct lp_tval *ret)
{
    int64_t ns = c->args[0].i, unit = c->args[1].i;
    *ret = c->args[0];
    if (unit <= 0) {
        return true;
    }
    int64_t rest = ns % unit; /* of the sign of ns */
    int64_t size = rest < 0 ? -rest : rest;
    bool up = c->func->which == TO_NEAREST && size >= unit - size;
    __int128 rounded = (__int128)ns - rest + (up ? (ns < 0 ? -unit : unit) : 0);
    ret->i = rounded > INT64_MAX ? INT64_MAX : rounded < INT64_MIN ? INT64_MIN : (int64_t)rounded;
    return true;
}

static bool
duration_abs(const struct lp_tcall *c, struct lp_tval *ret)
{
    int64_t ns = c->args[0].i;
    *ret = lp_tv_int(TI_DURATION, ns == INT64_MIN ? INT64_MAX : ns < 0 ? -ns : ns);
    return true;
}

static const struct lp_tfunc duration_methods[] = {
    {"Hours", "", duration_float, UNIT_H},
    {"Minutes", "", duration_float, UNIT_M},
    {"Seconds", "", duration_float, UNIT_S},
    {"Milliseconds", "", duration_whole, UNIT_MS},
    {"Microseconds", "", duration_whole, UNIT_US},
    {"Nanoseconds", "", duration_whole, UNIT_NS},
    {"String", "", value_string, 0},
    {"Round", "d", duration_round, TO_NEAREST},
    {"Truncate", "d", duration_round, TO_LOWER},
    {"Abs", "", duration_abs, 0},
    {NULL, NULL, NULL, 0},
};

/* Of months and weekdays. */
static const struct lp_tfunc name_methods[] = {
    {"String", "", value_string, 0},
    {NULL, NULL, NULL, 0},
};

const struct lp_tfunc *
lp_tmethod_find(const struct lp_tval *receiver, struct lp_str name)
{
    const struct lp_tfunc *f = NULL;
    if (receiver->kind == TV_TIME) {
        f = time_methods;
    } else if (receiver->kind == TV_INT && receiver->type == TI_DURATION) {
        f = duration_methods;
    } else if (receiver->kind == TV_INT && (receiver->type == TI_MONTH || receiver->type == TI_WEEKDAY)) {
        f = name_methods;
    }
    for (; f != NULL && f->name != NULL; f++) {
        if (lp_str_eqc(name, f->name)) {
            return f;
        }
    }
    return NULL;
}
