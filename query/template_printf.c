/*
 * template_printf.c - values as Go's fmt prints them: Sprint, Sprintln, and Sprintf with its verbs, flags and
 * complaints.
 *
 * What is padded is written first and then moved to its place, so that nothing has to be measured before.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/f64.h"
#include "query/runes.h"
#include "query/template_int.h"
#include "query/text.h"

#define NUMBER_MAX 1000000 /* of a width or precision, as in Go */

struct format {
    struct lp_buf *out;
    bool has_width, has_precision;
    bool minus, plus, sharp, space, zero;
    bool sharp_v;  /* %#v */
    bool erroring; /* in a complaint, where named ints are numbers */
    int width, precision;
};

static void print_value(struct format *f, const struct lp_tval *v, uint32_t verb, bool inside);

/* ------------------------------------------------------------------ padding */

static void
put_repeated(struct lp_buf *out, char c, size_t n)
{
    if (n > 0 && lp_buf_reserve(out, n)) {
        memset(out->p + out->n, c, n);
        out->n += n;
    }
}

/* Widens what stands from mark on; padding goes in at `at` (behind a sign), or behind it all. */
static void
pad_at(struct format *f, size_t mark, size_t at, bool zero)
{
    struct lp_buf *out = f->out;
    if (!f->has_width || out->failed) {
        return;
    }
    size_t runes = lp_rune_count(lp_str_sub(lp_buf_view(out), mark, out->n));
    if ((size_t)f->width <= runes) {
        return;
    }
    size_t n = (size_t)f->width - runes, end = out->n;
    put_repeated(out, zero && !f->minus ? '0' : ' ', n);
    if (!f->minus && !out->failed) {
        memmove(out->p + at + n, out->p + at, end - at);
        memset(out->p + at, zero ? '0' : ' ', n);
    }
}

static void
pad(struct format *f, size_t mark, bool zero)
{
    pad_at(f, mark, mark, zero);
}

/* ------------------------------------------------------------------ strings */

/* At most `precision` runes of it. */
static struct lp_str
cut(const struct format *f, struct lp_str s)
{
    size_t n = 0;
    uint32_t cp;
    for (int runes = 0; f->has_precision && n < s.n; runes++) {
        if (runes >= f->precision) {
            return lp_str_sub(s, 0, n);
        }
        n += lp_text_decode(lp_str_sub(s, n, s.n), &cp);
    }
    return s;
}

static void
put_string(struct format *f, struct lp_str s)
{
    size_t mark = f->out->n;
    lp_buf_str(f->out, cut(f, s));
    pad(f, mark, f->zero);
}

/* A word, which no precision cuts. */
static void
put_word(struct format *f, const char *word)
{
    size_t mark = f->out->n;
    lp_buf_c(f->out, word);
    pad(f, mark, f->zero);
}

/* May it stand between back quotes as it is? */
static bool
can_backquote(struct lp_str s)
{
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        if ((c < 0x20 && c != '\t') || c == '`' || c == 0x7f) {
            return false;
        }
    }
    return lp_utf8_valid(s) && lp_str_find(s, LP_STR("\xef\xbb\xbf")) == SIZE_MAX;
}

/* What stands from mark on is quoted; characters beyond ASCII become escapes. */
static void
escape_runes(struct lp_buf *out, size_t mark)
{
    struct lp_buf copy;
    lp_buf_init(&copy, SIZE_MAX / 2);
    lp_buf_str(&copy, lp_str_sub(lp_buf_view(out), mark, out->n));
    out->n = mark;
    for (size_t i = 0; i < copy.n && !out->failed;) {
        uint32_t cp;
        i += lp_text_decode(lp_str_sub(lp_buf_view(&copy), i, copy.n), &cp);
        if (cp < 0x80) {
            lp_buf_byte(out, (uint8_t)cp);
        } else {
            lp_buf_printf(out, cp < 0x10000 ? "\\u%04x" : "\\U%08x", (unsigned)cp);
        }
    }
    lp_buf_clear(&copy);
}

static void
put_quoted(struct format *f, struct lp_str s)
{
    size_t mark = f->out->n;
    s = cut(f, s);
    if (f->sharp && can_backquote(s)) {
        lp_buf_byte(f->out, '`');
        lp_buf_str(f->out, s);
        lp_buf_byte(f->out, '`');
    } else {
        lp_text_quote(f->out, s);
        if (f->plus) {
            escape_runes(f->out, mark);
        }
    }
    pad(f, mark, f->zero);
}

static void
put_hex(struct format *f, struct lp_str s, bool upper)
{
    const char *digits = upper ? "0123456789ABCDEF" : "0123456789abcdef", *prefix = upper ? "0X" : "0x";
    size_t mark = f->out->n, n = s.n;
    if (f->has_precision && (size_t)f->precision < n) {
        n = (size_t)f->precision;
    }
    for (size_t i = 0; i < n && !f->out->failed; i++) {
        unsigned char c = (unsigned char)s.p[i];
        lp_buf_c(f->out, f->space && i > 0 ? " " : "");
        lp_buf_c(f->out, f->sharp && (f->space || i == 0) ? prefix : "");
        lp_buf_byte(f->out, (uint8_t)digits[c >> 4]);
        lp_buf_byte(f->out, (uint8_t)digits[c & 15]);
    }
    pad(f, mark, f->zero);
}

/* ------------------------------------------------------------------ integers */

/* Digits into room, the last one at its end; returns how many. */
static size_t
digits_of(uint64_t u, unsigned base, bool upper, char room[64])
{
    const char *digits = upper ? "0123456789ABCDEF" : "0123456789abcdef";
    size_t n = 0;
    do {
        room[64 - ++n] = digits[u % base];
        u /= base;
    } while (u > 0);
    return n;
}

static void
put_integer(struct format *f, int64_t v, unsigned base, uint32_t verb)
{
    char room[64];
    bool upper = verb == 'X', negative = v < 0;
    uint64_t u = negative ? 0 - (uint64_t)v : (uint64_t)v;
    size_t mark = f->out->n, n = digits_of(u, base, upper, room), least = 0;
    if (f->has_precision) {
        least = (size_t)f->precision;
        n = least == 0 && u == 0 ? 0 : n;
    } else if (f->zero && !f->minus && f->has_width) {
        least = (size_t)f->width - (f->width > 0 && (negative || f->plus || f->space));
    }
    if (n > 0) {
        size_t zeros = least > n ? least - n : 0;
        lp_buf_c(f->out, negative ? "-" : f->plus ? "+" : f->space ? " " : "");
        lp_buf_c(f->out, verb == 'O' ? "0o" : "");
        if (f->sharp && base != 10) {
            bool leads = base == 8 && (zeros > 0 || room[64 - n] == '0');
            lp_buf_c(f->out, base == 2 ? "0b" : base == 16 ? (upper ? "0X" : "0x") : leads ? "" : "0");
        }
        put_repeated(f->out, '0', zeros);
        lp_buf_add(f->out, room + 64 - n, n);
    }
    pad(f, mark, false);
}

/* U+0041, and with `shown` the character too, if it can be seen. */
static void
put_code_point(struct lp_buf *out, uint64_t v, size_t digits, bool shown)
{
    char room[64];
    size_t n = digits_of(v, 16, true, room);
    lp_buf_c(out, "U+");
    put_repeated(out, '0', digits > n ? digits - n : 0);
    lp_buf_add(out, room + sizeof(room) - n, n);
    if (shown && v <= 0x10ffff && lp_rune_is_print((uint32_t)v)) {
        lp_buf_c(out, " '");
        lp_rune_put(out, (uint32_t)v);
        lp_buf_c(out, "'");
    }
}

void
lp_trune_print(struct lp_buf *out, uint32_t cp)
{
    put_code_point(out, cp, 4, true);
}

static void
put_unicode(struct format *f, int64_t v)
{
    size_t mark = f->out->n;
    put_code_point(f->out, (uint64_t)v, f->has_precision && f->precision > 4 ? (size_t)f->precision : 4,
                   f->sharp);
    pad(f, mark, false);
}

/* A character, or with `quoted` its constant. */
static void
put_char(struct format *f, int64_t v, bool quoted)
{
    size_t mark = f->out->n;
    uint32_t cp = v >= 0 && v <= 0x10ffff ? (uint32_t)v : 0xfffd;
    if (!quoted) {
        lp_rune_put(f->out, cp);
    } else if (cp == '\'' || cp == '"') {
        lp_buf_c(f->out, cp == '"' ? "'\"'" : "'\\''");
    } else {
        char bytes[4];
        lp_text_quote(f->out, lp_str_of(bytes, lp_utf8_put(cp, bytes)));
        if (f->plus) {
            escape_runes(f->out, mark);
        }
        if (!f->out->failed) { /* the other kind of quotes */
            f->out->p[mark] = f->out->p[f->out->n - 1] = '\'';
        }
    }
    pad(f, mark, f->zero);
}

/* ------------------------------------------------------------------ floats */

/* Hexadecimal, 0x1.8p+00, with a binary exponent of two digits or more. */
static void
put_hex_float(struct lp_buf *out, double v, int precision, bool upper)
{
    char text[64];
    if (precision < 0) {
        snprintf(text, sizeof(text), upper ? "%A" : "%a", v);
    } else {
        snprintf(text, sizeof(text), upper ? "%.*A" : "%.*a", LP_MIN(precision, 13), v);
    }
    char *exponent = strchr(text, upper ? 'P' : 'p');
    long e = exponent != NULL ? strtol(exponent + 1, NULL, 10) : 0;
    if (exponent == NULL) {
        return; /* no number has none */
    }
    if (text[2] == '2') { /* C rounds up to 2, Go goes on to the next power */
        text[2] = '1';
        e++;
    }
    lp_buf_add(out, text, (size_t)(exponent - text));
    put_repeated(out, '0', precision > 13 ? (size_t)precision - 13 : 0);
    lp_buf_printf(out, "%c%c%02ld", *exponent, e < 0 ? '-' : '+', labs(e));
}

/* mantissa p exponent, both decimal */
static void
put_binary_float(struct lp_buf *out, double v)
{
    uint64_t bits;
    memcpy(&bits, &v, sizeof(bits));
    int exponent = (int)(bits >> 52 & 0x7ff);
    uint64_t mantissa = (bits & 0xfffffffffffffu) | (exponent > 0 ? UINT64_C(1) << 52 : 0);
    lp_buf_printf(out, "%llup%+d", (unsigned long long)mantissa, (exponent > 0 ? exponent : 1) - 1023 - 52);
}

/* The number without its sign; precision -1: as many digits as tell it from all others. */
static void
put_magnitude(struct lp_buf *out, double v, uint32_t verb, int precision)
{
    size_t mark = out->n;
    if (verb == 'x' || verb == 'X') {
        put_hex_float(out, v, precision, verb == 'X');
    } else if (verb == 'b') {
        put_binary_float(out, v);
    } else if (precision < 0) {
        lp_text_number(out, v);
        for (size_t i = mark; verb == 'G' && i < out->n; i++) {
            out->p[i] = out->p[i] == 'e' ? 'E' : out->p[i];
        }
    } else if (verb == 'f' || verb == 'F') {
        lp_buf_printf(out, "%.*f", precision, v);
    } else if (verb == 'e' || verb == 'E') {
        lp_buf_printf(out, verb == 'e' ? "%.*e" : "%.*E", precision, v);
    } else {
        lp_buf_printf(out, verb == 'g' ? "%.*g" : "%.*G", precision, v);
    }
}

/* '#': a point in any case, and zeros at the end. What stands from mark on is the number; digits: how many
 * significant ones it should have. */
static void
sharpen_float(struct lp_buf *out, size_t mark, const char *exponents, int digits)
{
    struct lp_str all = lp_str_sub(lp_buf_view(out), mark, out->n);
    char tail[16];
    size_t body = 0;
    bool point = false, significant = false;
    while (body < all.n && strchr(exponents, all.p[body]) == NULL) {
        point |= all.p[body] == '.';
        significant |= all.p[body] != '0' && all.p[body] != '.';
        digits -= significant && all.p[body] != '.';
        body++;
    }
    snprintf(tail, sizeof(tail), LP_STR_FMT, LP_STR_ARG(lp_str_sub(all, body, all.n)));
    digits -= body == 1 && all.p[0] == '0';
    out->n = mark + body;
    lp_buf_c(out, point ? "" : ".");
    put_repeated(out, '0', digits > 0 ? (size_t)digits : 0);
    lp_buf_c(out, tail);
}

/* verb: one of bgGxXfFeE */
static void
put_float(struct format *f, double v, uint32_t verb, int precision)
{
    size_t mark = f->out->n;
    char sign = signbit(v) ? '-' : f->plus ? '+' : f->space ? ' ' : 0;
    precision = f->has_precision ? f->precision : precision;
    if (!isfinite(v)) {
        bool signless = isnan(v) && !f->plus && !f->space;
        lp_buf_c(f->out, signless ? "" : isinf(v) && v < 0 ? "-" : f->space && !f->plus ? " " : "+");
        lp_buf_c(f->out, isnan(v) ? "NaN" : "Inf");
        pad(f, mark, false);
        return;
    }
    if (sign != 0) {
        lp_buf_byte(f->out, (uint8_t)sign);
    }
    size_t number = f->out->n;
    put_magnitude(f->out, fabs(v), verb, precision);
    if (f->sharp && verb != 'b' && !f->out->failed) {
        bool general = verb == 'g' || verb == 'G' || verb == 'x';
        sharpen_float(f->out, number, verb == 'x' || verb == 'X' ? "pP" : "eE",
                      general ? (precision < 0 ? 6 : precision) : 0);
    }
    pad_at(f, mark, f->zero && !f->minus ? number : mark, f->zero);
}

/* ------------------------------------------------------------------ verbs */

/* %!verb(type=value) */
static void
bad_verb(struct format *f, const struct lp_tval *v, uint32_t verb)
{
    lp_buf_c(f->out, "%!");
    lp_rune_put(f->out, verb);
    lp_buf_byte(f->out, '(');
    if (v->kind == TV_NONE || v->kind == TV_NIL) {
        lp_buf_c(f->out, "<nil>");
    } else {
        lp_buf_c(f->out, lp_tv_type(v));
        lp_buf_byte(f->out, '=');
        f->erroring = true;
        print_value(f, v, 'v', true);
        f->erroring = false;
    }
    lp_buf_byte(f->out, ')');
}

static void
verb_string(struct format *f, const struct lp_tval *v, struct lp_str s, uint32_t verb)
{
    if (verb == 'q' || (verb == 'v' && f->sharp_v)) {
        put_quoted(f, s);
    } else if (verb == 'v' || verb == 's') {
        put_string(f, s);
    } else if (verb == 'x' || verb == 'X') {
        put_hex(f, s, verb == 'X');
    } else {
        bad_verb(f, v, verb);
    }
}

static bool
is_text_verb(uint32_t verb)
{
    return verb == 'v' || verb == 's' || verb == 'x' || verb == 'X' || verb == 'q';
}

/* Months, weekdays and durations have names of their own. */
static bool
int_text(const struct lp_tval *v, struct lp_buf *out)
{
    if (v->type == TI_DURATION) {
        lp_text_duration(out, v->i);
    } else if (v->type == TI_MONTH && v->i >= 1 && v->i <= 12) {
        lp_buf_c(out, lp_month_names[v->i - 1]);
    } else if (v->type == TI_WEEKDAY && v->i >= 0 && v->i <= 6) {
        lp_buf_c(out, lp_weekday_names[v->i]);
    } else {
        return false;
    }
    return true;
}

static void
put_text(const struct lp_tval *v, struct lp_buf *out)
{
    if (v->kind == TV_TIME) {
        lp_gotime_print(out, v->time);
    } else if (!int_text(v, out)) {
        lp_buf_printf(out, "%%!%s(%lld)", v->type == TI_MONTH ? "Month" : "Weekday", (long long)v->i);
    }
}

/* A value that is shown by a text. */
static void
verb_text(struct format *f, const struct lp_tval *v, uint32_t verb)
{
    size_t mark = f->out->n;
    if (verb == 'v' || verb == 's') {
        put_text(v, f->out);
        f->out->n = mark + cut(f, lp_str_sub(lp_buf_view(f->out), mark, f->out->n)).n;
        pad(f, mark, f->zero);
        return;
    }
    struct lp_buf text;
    lp_buf_init(&text, 128);
    put_text(v, &text);
    verb_string(f, v, lp_buf_view(&text), verb);
    lp_buf_clear(&text);
}

static void
verb_int(struct format *f, const struct lp_tval *v, uint32_t verb)
{
    bool named = v->type == TI_DURATION || v->type == TI_MONTH || v->type == TI_WEEKDAY;
    if (named && is_text_verb(verb) && !f->sharp_v && !f->erroring) {
        verb_text(f, v, verb);
        return;
    }
    switch (verb) {
    case 'v':
    case 'd':
        put_integer(f, v->i, 10, verb);
        break;
    case 'b':
        put_integer(f, v->i, 2, verb);
        break;
    case 'o':
    case 'O':
        put_integer(f, v->i, 8, verb);
        break;
    case 'x':
    case 'X':
        put_integer(f, v->i, 16, verb);
        break;
    case 'c':
    case 'q':
        put_char(f, v->i, verb == 'q');
        break;
    case 'U':
        put_unicode(f, v->i);
        break;
    default:
        bad_verb(f, v, verb);
        break;
    }
}

static void
verb_float(struct format *f, const struct lp_tval *v, uint32_t verb)
{
    if (verb == 'v') {
        put_float(f, v->f, 'g', -1);
    } else if (verb != 0 && verb < 0x80 && strchr("bgGxX", (int)verb) != NULL) {
        put_float(f, v->f, verb, -1);
    } else if (verb != 0 && verb < 0x80 && strchr("feFE", (int)verb) != NULL) {
        put_float(f, v->f, verb, 6);
    } else {
        bad_verb(f, v, verb);
    }
}

/* ------------------------------------------------------------------ lists and maps */

static void
print_entry(struct format *f, struct lp_str key, const struct lp_tval *v, uint32_t verb, bool first)
{
    const struct lp_tval name = lp_tv_str(key);
    lp_buf_c(f->out, first ? "" : f->sharp_v ? ", " : " ");
    print_value(f, &name, verb, true);
    lp_buf_byte(f->out, ':');
    print_value(f, v, verb, true);
}

static void
print_many(struct format *f, const struct lp_tval *v, uint32_t verb)
{
    lp_buf_c(f->out, f->sharp_v ? lp_tv_type(v) : v->kind == TV_LIST ? "" : "map");
    lp_buf_c(f->out, f->sharp_v ? "{" : "[");
    for (size_t i = 0; i < lp_tv_len(v) && !f->out->failed; i++) {
        if (v->kind == TV_LIST) {
            lp_buf_c(f->out, i == 0 ? "" : f->sharp_v ? ", " : " ");
            print_value(f, &v->list.items[i], verb, true);
        } else if (v->kind == TV_MAP) {
            print_entry(f, v->map.entries[i].key, &v->map.entries[i].value, verb, i == 0);
        } else {
            const struct lp_tval value = lp_tv_str(v->labels.pairs[i].value);
            print_entry(f, v->labels.pairs[i].name, &value, verb, i == 0);
        }
    }
    lp_buf_c(f->out, f->sharp_v ? "}" : "]");
}

/* A nil inside of another value: the same for every verb. */
static void
print_nil(struct format *f, const struct lp_tval *v, uint32_t verb, bool inside)
{
    if (inside) {
        lp_buf_c(f->out, f->sharp_v ? "interface {}(nil)" : "<nil>");
    } else if (verb == 'v' || verb == 'T') {
        put_word(f, "<nil>");
    } else {
        bad_verb(f, v, verb);
    }
}

/* JSON bounds how deep values are. */
static void
print_value(struct format *f, const struct lp_tval *v, uint32_t verb, bool inside)
{
    if (v->kind == TV_NONE || v->kind == TV_NIL) {
        print_nil(f, v, verb, inside);
        return;
    }
    if (!inside && verb == 'T') {
        put_string(f, lp_str_c(lp_tv_type(v)));
        return;
    }
    switch ((int)v->kind) {
    case TV_BOOL:
        if (verb == 'v' || verb == 't') {
            put_word(f, v->b ? "true" : "false");
        } else {
            bad_verb(f, v, verb);
        }
        break;
    case TV_INT:
        verb_int(f, v, verb);
        break;
    case TV_FLOAT:
        verb_float(f, v, verb);
        break;
    case TV_STRING:
        verb_string(f, v, v->s, verb);
        break;
    case TV_TIME:
        verb_text(f, v, verb);
        break;
    default:
        print_many(f, v, verb);
        break;
    }
}

void
lp_tv_print_all(struct lp_buf *out, const struct lp_tval *args, size_t n, bool line)
{
    bool before = true; /* a string, or the beginning */
    for (size_t i = 0; i < n; i++) {
        struct format f = {.out = out};
        bool is_string = args[i].kind == TV_STRING;
        if (i > 0 && (line || (!before && !is_string))) {
            lp_buf_byte(out, ' ');
        }
        print_value(&f, &args[i], 'v', false);
        before = is_string;
    }
    if (line) {
        lp_buf_byte(out, '\n');
    }
}

/* ------------------------------------------------------------------ Sprintf */

struct scan {
    struct lp_str format;
    size_t at;
    const struct lp_tval *args;
    size_t nargs, arg; /* arg: the next */
    bool reordered;    /* %[n] was used: then nothing is said of arguments left over */
    bool good;         /* the index of this verb */
    bool after_index;
};

/* Digits here; false where there are none or too many. */
static bool
scan_number(struct scan *s, size_t end, int *ret)
{
    size_t from = s->at;
    int v = 0;
    while (s->at < end && s->format.p[s->at] >= '0' && s->format.p[s->at] <= '9') {
        if (v > NUMBER_MAX) {
            s->at = end;
            *ret = 0;
            return false;
        }
        v = v * 10 + (s->format.p[s->at++] - '0');
    }
    *ret = v;
    return s->at > from;
}

static char
scan_peek(const struct scan *s)
{
    return s->at < s->format.n ? s->format.p[s->at] : 0;
}

/* [n] in front of a width, a precision or the verb. */
static void
scan_index(struct scan *s)
{
    s->after_index = false;
    if (scan_peek(s) != '[') {
        return;
    }
    s->reordered = true;
    size_t close = lp_str_find_byte(lp_str_sub(s->format, s->at, s->format.n), ']');
    if (close == SIZE_MAX || s->format.n - s->at < 3) {
        s->at++;
        s->good = false;
        return;
    }
    size_t end = s->at + close;
    int v;
    s->at++;
    bool number = scan_number(s, end, &v) && s->at == end;
    s->at = end + 1;
    s->after_index = number;
    if (number && v >= 1 && (size_t)v <= s->nargs) {
        s->arg = (size_t)v - 1;
    } else {
        s->good = false;
    }
}

/* '*': the number is an argument. */
static bool
scan_star(struct scan *s, int *ret)
{
    *ret = 0;
    s->at++;
    s->after_index = false;
    if (s->arg >= s->nargs) {
        return false;
    }
    const struct lp_tval *v = &s->args[s->arg++];
    bool good = v->kind == TV_INT && v->i >= -NUMBER_MAX && v->i <= NUMBER_MAX;
    *ret = good ? (int)v->i : 0;
    return good;
}

static void
scan_flags(struct scan *s, struct format *f)
{
    for (;; s->at++) {
        switch (scan_peek(s)) {
        case '#':
            f->sharp = true;
            break;
        case '0':
            f->zero = true;
            break;
        case '+':
            f->plus = true;
            break;
        case '-':
            f->minus = true;
            break;
        case ' ':
            f->space = true;
            break;
        default:
            return;
        }
    }
}

static void
scan_width(struct scan *s, struct format *f)
{
    if (scan_peek(s) != '*') {
        f->has_width = scan_number(s, s->format.n, &f->width);
        s->good = s->good && !(s->after_index && f->has_width);
        return;
    }
    f->has_width = scan_star(s, &f->width);
    if (!f->has_width) {
        lp_buf_c(f->out, "%!(BADWIDTH)");
    }
    if (f->width < 0) {
        f->width = -f->width;
        f->minus = true;
        f->zero = false;
    }
}

static void
scan_precision(struct scan *s, struct format *f)
{
    if (scan_peek(s) != '.' || s->at + 1 >= s->format.n) {
        return;
    }
    s->at++;
    s->good = s->good && !s->after_index;
    scan_index(s);
    f->has_precision = true;
    if (scan_peek(s) != '*') {
        scan_number(s, s->format.n, &f->precision);
        return;
    }
    f->has_precision = scan_star(s, &f->precision) && f->precision >= 0;
    if (!f->has_precision) {
        f->precision = 0;
        lp_buf_c(f->out, "%!(BADPREC)");
    }
}

/* From behind a '%' on. */
static void
print_verb(struct scan *s, struct format *f)
{
    s->good = true;
    scan_flags(s, f);
    scan_index(s);
    scan_width(s, f);
    scan_precision(s, f);
    if (!s->after_index) {
        scan_index(s);
    }
    uint32_t verb = 0;
    size_t n = lp_text_decode(lp_str_sub(s->format, s->at, s->format.n), &verb);
    if (n == 0) {
        lp_buf_c(f->out, "%!(NOVERB)");
        return;
    }
    s->at += n;
    if (verb == '%') {
        lp_buf_byte(f->out, '%');
        return;
    }
    if (!s->good || s->arg >= s->nargs) {
        lp_buf_c(f->out, "%!");
        lp_rune_put(f->out, verb);
        lp_buf_c(f->out, s->good ? "(MISSING)" : "(BADINDEX)");
        return;
    }
    f->sharp_v = verb == 'v' && f->sharp;
    f->sharp = f->sharp && verb != 'v';
    f->plus = f->plus && verb != 'v';
    print_value(f, &s->args[s->arg++], verb, false);
}

/* Arguments that no verb took. */
static void
print_extra(struct scan *s, struct lp_buf *out)
{
    if (s->reordered || s->arg >= s->nargs) {
        return;
    }
    lp_buf_c(out, "%!(EXTRA ");
    for (size_t i = s->arg; i < s->nargs; i++) {
        struct format f = {.out = out};
        const struct lp_tval *v = &s->args[i];
        lp_buf_c(out, i > s->arg ? ", " : "");
        if (v->kind == TV_NONE || v->kind == TV_NIL) {
            lp_buf_c(out, "<nil>");
            continue;
        }
        lp_buf_c(out, lp_tv_type(v));
        lp_buf_byte(out, '=');
        print_value(&f, v, 'v', false);
    }
    lp_buf_byte(out, ')');
}

void
lp_tv_printf(struct lp_buf *out, struct lp_str format, const struct lp_tval *args, size_t n)
{
    struct scan s = {.format = format, .args = args, .nargs = n};
    while (s.at < format.n && !out->failed) {
        struct format f = {.out = out};
        struct lp_str rest = lp_str_sub(format, s.at, format.n);
        size_t plain = lp_str_find_byte(rest, '%');
        lp_buf_str(out, lp_str_sub(rest, 0, plain));
        if (plain == SIZE_MAX) {
            s.at = format.n;
            break;
        }
        s.at += plain + 1;
        print_verb(&s, &f);
    }
    print_extra(&s, out);
}
