/*
 * zone.c - TZif files: transitions with what holds from each on, and a rule for the time behind the last one.
 *
 * A file is hostile bytes: every count is checked against what is there, and memory is the arena's, whose
 * budget a file cannot pass. Of the two data blocks of a file the one with 64-bit times is read.
 */
#include "query/zone.h"

#include <stdio.h>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/io.h"

#define ZONE_FOLDER "/usr/share/zoneinfo/"
#define FILE_MAX (64u << 10)
#define ARENA_BYTES (1u << 20)
#define HEADER_BYTES 44
#define DAY INT64_C(86400)

/* When in a year summer time begins or ends: Mm.w.d, Jn or n of POSIX. */
struct rule {
    enum { RULE_MONTH, RULE_JULIAN, RULE_DAY } kind;
    int month, week, day;
    int32_t time_s; /* of the local clock */
};

/* What holds behind the last transition. */
struct forever {
    bool known, has_dst;
    struct lp_zone_info std, dst;
    struct rule begins, ends; /* has_dst */
};

struct transition {
    int64_t at;
    uint8_t type;
};

struct lp_zone {
    struct lp_arena ar;
    struct lp_zone_info *types;
    size_t ntypes, first; /* first: before any transition */
    struct transition *transitions;
    size_t ntransitions;
    struct forever forever;
};

/* ------------------------------------------------------------------ the rule in the footer */

static bool
eat(struct lp_str *s, char c)
{
    if (s->n == 0 || s->p[0] != c) {
        return false;
    }
    *s = lp_str_sub(*s, 1, s->n);
    return true;
}

static bool
eat_number(struct lp_str *s, int least, int most, int *ret)
{
    size_t n = 0;
    int v = 0;
    while (n < s->n && s->p[n] >= '0' && s->p[n] <= '9' && v <= most) {
        v = v * 10 + (s->p[n++] - '0');
    }
    *s = lp_str_sub(*s, n, s->n);
    *ret = v;
    return n > 0 && v >= least && v <= most;
}

/* [+-]h[:m[:s]], as seconds. */
static bool
eat_time(struct lp_str *s, int32_t *ret)
{
    int hours, minutes = 0, seconds = 0;
    bool minus = eat(s, '-');
    if (!minus) {
        eat(s, '+');
    }
    if (!eat_number(s, 0, 24 * 7, &hours) ||
        (eat(s, ':') &&
         (!eat_number(s, 0, 59, &minutes) || (eat(s, ':') && !eat_number(s, 0, 59, &seconds))))) {
        return false;
    }
    *ret = (minus ? -1 : 1) * (hours * 3600 + minutes * 60 + seconds);
    return true;
}

/* Letters, or anything in < >. */
static bool
eat_name(struct lp_str *s, struct lp_str *ret)
{
    size_t n = 0;
    if (eat(s, '<')) {
        n = lp_str_find_byte(*s, '>');
        if (n == SIZE_MAX) {
            return false;
        }
        *ret = lp_str_sub(*s, 0, n);
        *s = lp_str_sub(*s, n + 1, s->n);
        return true;
    }
    while (n < s->n && strchr("0123456789,-+", s->p[n]) == NULL) {
        n++;
    }
    *ret = lp_str_sub(*s, 0, n);
    *s = lp_str_sub(*s, n, s->n);
    return n >= 3;
}

static bool
eat_rule(struct lp_str *s, struct rule *r)
{
    bool ok;
    r->time_s = 2 * 3600;
    if (eat(s, 'M')) {
        r->kind = RULE_MONTH;
        ok = eat_number(s, 1, 12, &r->month) && eat(s, '.') && eat_number(s, 1, 5, &r->week) && eat(s, '.') &&
             eat_number(s, 0, 6, &r->day);
    } else if (eat(s, 'J')) {
        r->kind = RULE_JULIAN;
        ok = eat_number(s, 1, 365, &r->day);
    } else {
        r->kind = RULE_DAY;
        ok = eat_number(s, 0, 365, &r->day);
    }
    return ok && (!eat(s, '/') || eat_time(s, &r->time_s));
}

/* A POSIX TZ string, as "CET-1CEST,M3.5.0,M10.5.0/3"; its offsets go west. Nothing is known where it is
 * another. */
static void
parse_forever(struct lp_str s, struct forever *f)
{
    if (!eat_name(&s, &f->std.name) || !eat_time(&s, &f->std.offset)) {
        return;
    }
    f->std.offset = -f->std.offset;
    f->known = s.n == 0;
    if (f->known || !eat_name(&s, &f->dst.name)) {
        return;
    }
    f->dst.dst = true;
    f->dst.offset = f->std.offset + 3600;
    if (s.n > 0 && s.p[0] != ',') {
        if (!eat_time(&s, &f->dst.offset)) {
            return;
        }
        f->dst.offset = -f->dst.offset;
    }
    f->has_dst = f->known =
        eat(&s, ',') && eat_rule(&s, &f->begins) && eat(&s, ',') && eat_rule(&s, &f->ends) && s.n == 0;
}

/* The day of the year, from 0, on which a rule acts. */
static int64_t
day_of_rule(const struct rule *r, int64_t year)
{
    int64_t first = lp_date_days(year, 1, 1);
    if (r->kind == RULE_DAY) {
        return r->day;
    }
    if (r->kind == RULE_JULIAN) { /* February 29 is not counted */
        return r->day - 1 + (r->day >= 60 && lp_date_month_days(year, 2) == 29);
    }
    int64_t month = lp_date_days(year, r->month, 1);
    int64_t weekday = ((month + 4) % 7 + 7) % 7; /* 1970-01-01 was a Thursday */
    int64_t day = (r->day - weekday + 7) % 7 + 7 * (r->week - 1);
    while (day >= lp_date_month_days(year, r->month)) {
        day -= 7; /* week 5 is the last one */
    }
    return month + day - first;
}

static struct lp_zone_info
at_forever(const struct forever *f, int64_t sec)
{
    int64_t year;
    int month, day;
    int64_t days = sec / DAY - (sec % DAY < 0);
    if (!f->has_dst) {
        return f->std;
    }
    lp_date_of_days(days, &year, &month, &day);
    int64_t since = (days - lp_date_days(year, 1, 1)) * DAY + (sec % DAY + DAY) % DAY;
    int64_t begins = day_of_rule(&f->begins, year) * DAY + f->begins.time_s - f->std.offset;
    int64_t ends = day_of_rule(&f->ends, year) * DAY + f->ends.time_s - f->dst.offset;
    bool dst = begins <= ends ? since >= begins && since < ends : since >= begins || since < ends;
    return dst ? f->dst : f->std;
}

/* ------------------------------------------------------------------ the file */

struct counts {
    size_t isut, isstd, leap, time, type, chars;
};

/* The header; false where it is none. Counts fit in what is a file at all. */
static bool
read_header(struct lp_rd *rd, struct counts *c, uint8_t *version)
{
    struct lp_str head = lp_rd_bytes(rd, HEADER_BYTES);
    if (rd->bad || memcmp(head.p, "TZif", 4) != 0) {
        return false;
    }
    size_t *const to[] = {&c->isut, &c->isstd, &c->leap, &c->time, &c->type, &c->chars};
    for (size_t i = 0; i < LP_ARRAY_LEN(to); i++) {
        *to[i] = lp_get_be32(head.p + 20 + 4 * i);
        if (*to[i] > FILE_MAX) {
            return false;
        }
    }
    *version = (uint8_t)head.p[4];
    return true;
}

static size_t
block_bytes(const struct counts *c, size_t time_bytes)
{
    return c->time * (time_bytes + 1) + c->type * 6 + c->chars + c->leap * (time_bytes + 4) + c->isstd +
           c->isut;
}

static bool
read_types(struct lp_zone *z, const struct counts *c, struct lp_str types, struct lp_str chars)
{
    z->types = lp_arena_array(&z->ar, c->type, sizeof(*z->types));
    if (z->types == NULL) {
        return false;
    }
    for (size_t i = 0; i < c->type; i++) {
        const char *p = types.p + 6 * i;
        size_t from = (uint8_t)p[5];
        if (from >= chars.n) {
            return false;
        }
        struct lp_str name = lp_str_sub(chars, from, chars.n);
        size_t n = lp_str_find_byte(name, 0);
        z->types[i] = (struct lp_zone_info){
            .name = lp_str_sub(name, 0, n), .offset = (int32_t)lp_get_be32(p), .dst = p[4] != 0};
        if (z->types[i].offset < -DAY * 2 || z->types[i].offset > DAY * 2) {
            return false;
        }
    }
    z->ntypes = c->type;
    return true;
}

static bool
read_transitions(struct lp_zone *z, const struct counts *c, size_t time_bytes, const char *times,
                 const char *types)
{
    z->transitions = lp_arena_array(&z->ar, c->time, sizeof(*z->transitions));
    if (z->transitions == NULL) {
        return false;
    }
    for (size_t i = 0; i < c->time; i++) {
        const char *p = times + time_bytes * i;
        int64_t at = time_bytes == 8 ? (int64_t)lp_get_be64(p) : (int32_t)lp_get_be32(p);
        z->transitions[i] = (struct transition){at, (uint8_t)types[i]};
        if (z->transitions[i].type >= z->ntypes || (i > 0 && at <= z->transitions[i - 1].at)) {
            return false;
        }
    }
    z->ntransitions = c->time;
    return true;
}

/* Before the first transition the first type holds, unless transitions use it; then the first that is no
 * summer time. */
static size_t
first_type(const struct lp_zone *z)
{
    bool used = false;
    for (size_t i = 0; i < z->ntransitions; i++) {
        used |= z->transitions[i].type == 0;
    }
    for (size_t i = 0; used && i < z->ntypes; i++) {
        if (!z->types[i].dst) {
            return i;
        }
    }
    return 0;
}

static bool
read_block(struct lp_zone *z, struct lp_rd *rd, const struct counts *c, size_t time_bytes)
{
    struct lp_str times = lp_rd_bytes(rd, c->time * time_bytes);
    struct lp_str indexes = lp_rd_bytes(rd, c->time);
    struct lp_str types = lp_rd_bytes(rd, c->type * 6);
    struct lp_str chars = lp_rd_bytes(rd, c->chars);
    lp_rd_bytes(rd, c->leap * (time_bytes + 4) + c->isstd + c->isut);
    if (rd->bad || c->type == 0 || !read_types(z, c, types, chars) ||
        !read_transitions(z, c, time_bytes, times.p, indexes.p)) {
        return false;
    }
    z->first = first_type(z);
    return true;
}

static bool
read_file(struct lp_zone *z, struct lp_str text)
{
    struct lp_rd rd = lp_rd_of(text);
    struct counts c;
    uint8_t version;
    size_t time_bytes = 4;
    if (!read_header(&rd, &c, &version)) {
        return false;
    }
    if (version >= '2') {
        lp_rd_bytes(&rd, block_bytes(&c, 4));
        if (!read_header(&rd, &c, &version)) {
            return false;
        }
        time_bytes = 8;
    }
    if (!read_block(z, &rd, &c, time_bytes)) {
        return false;
    }
    struct lp_str rest = lp_rd_bytes(&rd, lp_rd_left(&rd));
    if (rest.n > 2 && rest.p[0] == '\n' && rest.p[rest.n - 1] == '\n') {
        parse_forever(lp_str_sub(rest, 1, rest.n - 1), &z->forever);
    }
    return true;
}

struct lp_zone *
lp_zone_parse(struct lp_str tzif)
{
    struct lp_zone *z = lp_calloc(1, sizeof(*z));
    struct lp_str text;
    lp_arena_init(&z->ar, ARENA_BYTES, 0);
    if (tzif.n > FILE_MAX || !lp_arena_str(&z->ar, tzif, &text) || !read_file(z, text)) {
        lp_zone_free(z);
        return NULL;
    }
    return z;
}

/* Letters, digits and _ + - / only, not from the root, and no dot: so never out of the folder. */
static bool
good_name(struct lp_str name)
{
    if (name.n == 0 || name.n > LP_ZONE_NAME_MAX || name.p[0] == '/') {
        return false;
    }
    for (size_t i = 0; i < name.n; i++) {
        char c = name.p[i];
        bool letter = (c | 0x20) >= 'a' && (c | 0x20) <= 'z';
        if (!letter && !(c >= '0' && c <= '9') && (c == 0 || strchr("_+-/", c) == NULL)) {
            return false;
        }
    }
    return true;
}

struct lp_zone *
lp_zone_load(struct lp_str name)
{
    char path[sizeof(ZONE_FOLDER) + LP_ZONE_NAME_MAX];
    struct lp_arena ar;
    struct lp_str text;
    struct lp_zone *z = NULL;
    if (!good_name(name)) {
        return NULL;
    }
    snprintf(path, sizeof(path), ZONE_FOLDER LP_STR_FMT, LP_STR_ARG(name));
    lp_arena_init(&ar, 2 * FILE_MAX, 0);
    if (lp_io_read_file(lp_io_posix(), path, FILE_MAX, &ar, &text, NULL) == LP_OK) {
        z = lp_zone_parse(text);
    }
    lp_arena_clear(&ar);
    return z;
}

void
lp_zone_free(struct lp_zone *z)
{
    if (z != NULL) {
        lp_arena_clear(&z->ar);
        lp_free(z);
    }
}

struct lp_zone *
lp_zone_fixed(struct lp_arena *ar, struct lp_str name, int32_t offset)
{
    struct lp_zone *z = lp_arena_zalloc(ar, sizeof(*z) + sizeof(*z->types));
    if (z != NULL) {
        z->types = (struct lp_zone_info *)(z + 1);
        z->types[0] = (struct lp_zone_info){.name = name, .offset = offset};
        z->ntypes = 1;
    }
    return z;
}

/* ------------------------------------------------------------------ looking up */

struct lp_zone_info
lp_zone_at(const struct lp_zone *z, int64_t sec)
{
    if (z == NULL) {
        return (struct lp_zone_info){.name = LP_STR("UTC")};
    }
    size_t low = 0, high = z->ntransitions; /* how many are not behind sec */
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (z->transitions[mid].at <= sec) {
            low = mid + 1;
        } else {
            high = mid;
        }
    }
    if (low == z->ntransitions && z->forever.known) {
        return at_forever(&z->forever, sec);
    }
    return low == 0 ? z->types[z->first] : z->types[z->transitions[low - 1].type];
}

struct lp_zone_info
lp_zone_at_local(const struct lp_zone *z, int64_t local_sec)
{
    struct lp_zone_info info = lp_zone_at(z, local_sec);
    return info.offset != 0 ? lp_zone_at(z, local_sec - info.offset) : info;
}

bool
lp_zone_abbreviation(const struct lp_zone *z, struct lp_str name, int64_t local_sec, int32_t *ret_offset)
{
    static const struct lp_zone_info utc = {.name = {"UTC", 3}};
    const struct lp_zone_info *types = z != NULL ? z->types : &utc;
    size_t n = z != NULL ? z->ntypes : 1;
    bool found = false;
    for (size_t i = n; i-- > 0;) {
        if (!lp_str_eq(types[i].name, name)) {
            continue;
        }
        *ret_offset = types[i].offset; /* the first of that name, unless one of them holds at the time */
        found = true;
    }
    for (size_t i = 0; i < n && found; i++) {
        struct lp_zone_info now = lp_zone_at(z, local_sec - types[i].offset);
        if (lp_str_eq(types[i].name, name) && lp_str_eq(now.name, name)) {
            *ret_offset = now.offset;
            break;
        }
    }
    return found;
}
