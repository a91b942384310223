/*
 * text.c - numbers, durations, sizes and quoted strings as LogQL writes them. Pure functions, any thread.
 */
#include "query/text.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/f64.h"

/* ---------------------------------------------------------------- numbers */

/* The shortest decimal digits of |v| that read back as v, without trailing zeros, and the place of the
 * decimal point. */
struct digits {
    char d[LP_F64_DIGITS];
    int n;
    int point; /* value = 0.d[0]d[1]... * 10^point */
};

static struct digits
shortest(double v)
{
    struct digits g;
    g.n = lp_f64_shortest(v, g.d, &g.point);
    g.point++;
    return g;
}

static bool
special(struct lp_buf *out, double v)
{
    if (isnan(v)) {
        lp_buf_c(out, "NaN");
    } else if (isinf(v)) {
        lp_buf_c(out, v > 0 ? "+Inf" : "-Inf");
    } else {
        return false;
    }
    return true;
}

static void
put_zeros(struct lp_buf *out, int n)
{
    for (int i = 0; i < n; i++) {
        lp_buf_byte(out, '0');
    }
}

static void
put_plain(struct lp_buf *out, const struct digits *g)
{
    if (g->point <= 0) {
        lp_buf_c(out, "0.");
        put_zeros(out, -g->point);
        lp_buf_add(out, g->d, (size_t)g->n);
        return;
    }
    int whole = LP_MIN(g->point, g->n);
    lp_buf_add(out, g->d, (size_t)whole);
    put_zeros(out, g->point - whole);
    if (g->n > whole) {
        lp_buf_byte(out, '.');
        lp_buf_add(out, g->d + whole, (size_t)(g->n - whole));
    }
}

void
lp_text_plain(struct lp_buf *out, double v)
{
    if (special(out, v)) {
        return;
    }
    if (signbit(v)) {
        lp_buf_byte(out, '-');
    }
    if (v == 0) {
        lp_buf_byte(out, '0');
        return;
    }
    struct digits g = shortest(v);
    put_plain(out, &g);
}

void
lp_text_number(struct lp_buf *out, double v)
{
    struct digits g = {.n = 0};
    if (isfinite(v) && v != 0) {
        g = shortest(v);
    }
    int exp = g.point - 1;
    if (g.n == 0 || (exp >= -4 && exp < 6)) {
        lp_text_plain(out, v);
        return;
    }
    lp_buf_c(out, signbit(v) ? "-" : "");
    lp_buf_add(out, g.d, 1);
    if (g.n > 1) {
        lp_buf_byte(out, '.');
        lp_buf_add(out, g.d + 1, (size_t)g.n - 1);
    }
    lp_buf_printf(out, "e%c%02d", exp < 0 ? '-' : '+', abs(exp));
}

void
lp_text_fixed(struct lp_buf *out, double v)
{
    char text[400]; /* the largest double has 309 digits before the point */
    snprintf(text, sizeof(text), "%f", v);
    if (isfinite(v) && strtod(text, NULL) == v) {
        lp_buf_c(out, text);
    } else {
        lp_text_plain(out, v);
    }
}

/* Copies the number's digits without '_' to room, which strtod then reads. False where the form is not a
 * decimal number. */
static bool
strip_number(struct lp_str s, char *room, size_t cap)
{
    size_t n = 0, digits = 0;
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        bool digit = c >= '0' && c <= '9';
        if (c == '_') {
            bool between = i > 0 && i + 1 < s.n && s.p[i - 1] >= '0' && s.p[i - 1] <= '9' &&
                           s.p[i + 1] >= '0' && s.p[i + 1] <= '9';
            if (!between) {
                return false;
            }
            continue;
        }
        bool sign = (c == '+' || c == '-') && i > 0 && (s.p[i - 1] == 'e' || s.p[i - 1] == 'E');
        if (n + 1 >= cap || (!digit && c != '.' && c != 'e' && c != 'E' && !sign)) {
            return false;
        }
        digits += digit;
        room[n++] = c;
    }
    room[n] = 0;
    return digits > 0;
}

bool
lp_text_parse_number(struct lp_str s, double *ret)
{
    char room[512];
    if (!strip_number(s, room, sizeof(room))) {
        return false;
    }
    char *end;
    double v = strtod(room, &end);
    if (*end != 0 || !isfinite(v)) {
        return false;
    }
    *ret = v;
    return true;
}

/* -------------------------------------------------------------- durations */

/* value / unit with up to 9 decimals, without trailing zeros */
static void
put_fraction(struct lp_buf *out, uint64_t value, uint64_t unit, const char *name)
{
    lp_buf_printf(out, "%llu", (unsigned long long)(value / unit));
    uint64_t rest = value % unit;
    if (rest != 0) {
        char text[16];
        int n = 0;
        for (uint64_t u = unit / 10; rest != 0; u /= 10) {
            text[n++] = (char)('0' + rest / u);
            rest %= u;
        }
        lp_buf_byte(out, '.');
        lp_buf_add(out, text, (size_t)n);
    }
    lp_buf_c(out, name);
}

void
lp_text_duration(struct lp_buf *out, int64_t ns)
{
    uint64_t v = ns < 0 ? 0 - (uint64_t)ns : (uint64_t)ns;
    if (ns < 0) {
        lp_buf_byte(out, '-');
    }
    if (v == 0) {
        lp_buf_c(out, "0s");
    } else if (v < 1000) {
        put_fraction(out, v, 1, "ns");
    } else if (v < 1000000) {
        put_fraction(out, v, 1000, "\302\265s");
    } else if (v < (uint64_t)LP_NS_PER_S) {
        put_fraction(out, v, 1000000, "ms");
    } else {
        uint64_t minutes = v / ((uint64_t)LP_NS_PER_S * 60);
        if (minutes >= 60) {
            lp_buf_printf(out, "%lluh", (unsigned long long)(minutes / 60));
        }
        if (minutes > 0) {
            lp_buf_printf(out, "%llum", (unsigned long long)(minutes % 60));
        }
        put_fraction(out, v % ((uint64_t)LP_NS_PER_S * 60), (uint64_t)LP_NS_PER_S, "s");
    }
}

/* Prometheus' units, largest first. Years and weeks are written only where nothing smaller is left over. */
static const struct range_unit {
    const char *name;
    int64_t ms;
    bool whole;
} range_units[] = {
    {"y", INT64_C(365) * 86400000, true},
    {"w", INT64_C(7) * 86400000, true},
    {"d", 86400000, false},
    {"h", 3600000, false},
    {"m", 60000, false},
    {"s", 1000, false},
    {"ms", 1, false},
};

void
lp_text_range(struct lp_buf *out, int64_t ns)
{
    if (ns <= 0 || ns % LP_NS_PER_MS != 0) {
        lp_text_duration(out, ns);
        return;
    }
    int64_t ms = ns / LP_NS_PER_MS;
    for (size_t i = 0; i < LP_ARRAY_LEN(range_units); i++) {
        const struct range_unit *u = &range_units[i];
        if (ms >= u->ms && (!u->whole || ms % u->ms == 0)) {
            lp_buf_printf(out, "%lld%s", (long long)(ms / u->ms), u->name);
            ms %= u->ms;
        }
    }
}

bool
lp_text_parse_range(struct lp_str s, int64_t *ret)
{
    if (lp_str_eqc(s, "0")) {
        *ret = 0;
        return true;
    }
    size_t i = 0, unit = 0;
    while (i < s.n) {
        size_t digits = i;
        while (i < s.n && s.p[i] >= '0' && s.p[i] <= '9') {
            i++;
        }
        size_t word = i;
        while (i < s.n && s.p[i] >= 'a' && s.p[i] <= 'z') {
            i++;
        }
        struct lp_str name = lp_str_sub(s, word, i);
        while (unit < LP_ARRAY_LEN(range_units) && !lp_str_eqc(name, range_units[unit].name)) {
            unit++;
        }
        if (digits == word || unit++ == LP_ARRAY_LEN(range_units)) {
            return false;
        }
    }
    return s.n > 0 && lp_duration(s, ret);
}

/* ------------------------------------------------------------------ sizes */

/* What a unit's name multiplies by: one of k m g t p e, then 'i' for powers of 1024, then 'b'; each may be
 * absent. 0: no unit. */
static double
unit_bytes(struct lp_str name)
{
    static const char prefixes[] = "kmgtpe";
    char low[4] = {0};
    if (name.n >= sizeof(low)) {
        return 0;
    }
    for (size_t i = 0; i < name.n; i++) {
        low[i] = (char)(name.p[i] | 0x20);
    }
    const char *p = low;
    const char *prefix = *p != 0 ? strchr(prefixes, *p) : NULL;
    double bytes = 1;
    if (prefix != NULL) {
        p++;
        double base = *p == 'i' ? 1024 : 1000;
        p += *p == 'i';
        bytes = pow(base, (double)(prefix - prefixes + 1));
    }
    p += *p == 'b';
    return *p == 0 ? bytes : 0;
}

bool
lp_text_parse_size(struct lp_str s, uint64_t *ret)
{
    size_t n = 0;
    while (n < s.n && ((s.p[n] >= '0' && s.p[n] <= '9') || s.p[n] == '.')) {
        n++;
    }
    double unit = unit_bytes(lp_str_trim(lp_str_sub(s, n, s.n)));
    struct lp_str number = lp_str_sub(s, 0, n);
    uint64_t whole;
    double v;
    if (unit == 0 || !lp_text_parse_number(number, &v)) {
        return false;
    }
    if (unit == 1 && lp_str_u64(number, &whole)) { /* exact beyond 2^53 */
        *ret = whole;
        return true;
    }
    v *= unit;
    if (v >= 0x1p64) {
        return false;
    }
    *ret = (uint64_t)v;
    return true;
}

void
lp_text_size(struct lp_buf *out, uint64_t bytes)
{
    static const char *const names[] = {"B", "kB", "MB", "GB", "TB", "PB", "EB"};
    char text[32];
    double v = (double)bytes;
    size_t unit = 0;
    for (; v >= 1000 && unit + 1 < LP_ARRAY_LEN(names); unit++) {
        v /= 1000;
    }
    v = floor(v * 10 + 0.5) / 10;
    snprintf(text, sizeof(text), unit > 0 && v < 10 ? "%.1f%s" : "%.0f%s", v, names[unit]);
    uint64_t back;
    if (unit > 0 && lp_text_parse_size(lp_str_c(text), &back) && back == bytes) {
        lp_buf_c(out, text);
    } else {
        lp_buf_printf(out, "%lluB", (unsigned long long)bytes);
    }
}

/* ---------------------------------------------------------------- strings */

size_t
lp_text_decode(struct lp_str s, uint32_t *ret_cp)
{
    if (s.n == 0) {
        return 0;
    }
    const uint8_t *b = (const uint8_t *)s.p;
    size_t n = b[0] < 0x80 ? 1 : b[0] >= 0xf0 ? 4 : b[0] >= 0xe0 ? 3 : 2;
    if (n > 1 && (n > s.n || !lp_utf8_valid(lp_str_of(s.p, n)))) {
        *ret_cp = 0xfffd;
        return 1;
    }
    uint32_t cp = n == 1 ? b[0] : b[0] & (0xffu >> (n + 1));
    for (size_t i = 1; i < n; i++) {
        cp = cp << 6 | (b[i] & 0x3fu);
    }
    *ret_cp = cp;
    return n;
}

/* Characters above ASCII that would be invisible, or move the text around them: written as escapes. */
static bool
is_invisible(uint32_t cp)
{
    static const struct {
        uint32_t from, to;
    } ranges[] = {
        {0x7f, 0xa0},     {0xad, 0xad},     {0x61c, 0x61c},   {0x1680, 0x1680},    {0x180e, 0x180e},
        {0x2000, 0x200f}, {0x2028, 0x202f}, {0x205f, 0x206f}, {0x3000, 0x3000},    {0xe000, 0xf8ff},
        {0xfeff, 0xfeff}, {0xfff9, 0xfffb}, {0xfffe, 0xffff}, {0xe0000, 0x10ffff},
    };
    for (size_t i = 0; i < LP_ARRAY_LEN(ranges); i++) {
        if (cp >= ranges[i].from && cp <= ranges[i].to) {
            return true;
        }
    }
    return false;
}

static void
put_escaped(struct lp_buf *out, uint32_t cp)
{
    static const char named[] = "\aa\bb\ff\nn\rr\tt\vv\"\"\\\\";
    for (const char *p = named; *p != 0; p += 2) {
        if ((uint32_t)*p == cp) {
            lp_buf_byte(out, '\\');
            lp_buf_byte(out, (uint8_t)p[1]);
            return;
        }
    }
    lp_buf_printf(out, cp < 0x80 ? "\\x%02x" : cp < 0x10000 ? "\\u%04x" : "\\U%08x", (unsigned)cp);
}

void
lp_text_quote(struct lp_buf *out, struct lp_str s)
{
    lp_buf_byte(out, '"');
    while (s.n > 0 && !out->failed) {
        uint32_t cp;
        size_t n = lp_text_decode(s, &cp);
        if (cp == 0xfffd && n == 1) {
            lp_buf_printf(out, "\\x%02x", (unsigned)(uint8_t)s.p[0]);
        } else if (cp < 0x20 || cp == '"' || cp == '\\' || is_invisible(cp)) {
            put_escaped(out, cp);
        } else {
            lp_buf_add(out, s.p, n);
        }
        s = lp_str_sub(s, n, s.n);
    }
    lp_buf_byte(out, '"');
}

const char *
lp_text_clip(struct lp_str s, size_t max, char room[64])
{
    max = LP_MIN(max, (size_t)60);
    size_t n = 0;
    while (n < s.n) {
        uint32_t cp;
        size_t bytes = lp_text_decode(lp_str_sub(s, n, s.n), &cp);
        if (n + bytes > max) {
            break;
        }
        n += bytes;
    }
    snprintf(room, 64, "%.*s%s", (int)n, s.n > 0 ? s.p : "", n < s.n ? "..." : "");
    return room;
}

bool
lp_text_is_name(struct lp_str s)
{
    for (size_t i = 0; i < s.n; i++) {
        if (!lp_text_name_byte(s.p[i], i == 0)) {
            return false;
        }
    }
    return s.n > 0;
}
