/*
 * lex.c - cutting a LogQL query into tokens.
 *
 * Invariants: `at` only grows; every token but the end takes at least one byte; positions are counted once
 * per character however often they are asked for (mark). No recursion. Not thread-safe: one lexer, one
 * thread.
 */
#include "query/lex.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/clock.h"
#include "query/text.h"

/* ----------------------------------------------------------------- tables */

struct word {
    const char *name;
    enum lp_tok kind;
    int arg;
};

static const struct word keywords[] = {
    {"by", LP_TOK_BY, 0},
    {"without", LP_TOK_WITHOUT, 0},
    {"bool", LP_TOK_BOOL, 0},
    {"offset", LP_TOK_OFFSET, 0},
    {"on", LP_TOK_ON, 0},
    {"ignoring", LP_TOK_IGNORING, 0},
    {"group_left", LP_TOK_GROUP_LEFT, 0},
    {"group_right", LP_TOK_GROUP_RIGHT, 0},
    {"or", LP_TOK_OR, 0},
    {"and", LP_TOK_AND, 0},
    {"unless", LP_TOK_UNLESS, 0},
    {"json", LP_TOK_JSON, 0},
    {"logfmt", LP_TOK_LOGFMT, 0},
    {"regexp", LP_TOK_REGEXP, 0},
    {"pattern", LP_TOK_PATTERN, 0},
    {"unpack", LP_TOK_UNPACK, 0},
    {"line_format", LP_TOK_LINE_FORMAT, 0},
    {"label_format", LP_TOK_LABEL_FORMAT, 0},
    {"decolorize", LP_TOK_DECOLORIZE, 0},
    {"drop", LP_TOK_DROP, 0},
    {"keep", LP_TOK_KEEP, 0},
    {"unwrap", LP_TOK_UNWRAP, 0},
};

/* clang-format off */
static const struct word functions[] = {
#define X(id, name, grouping, unwrap) {name, LP_TOK_RANGE_OP, LP_RANGE_##id},
    LP_RANGE_OPS(X)
#undef X
#define X(id, name, param, grouping) {name, LP_TOK_VECTOR_OP, LP_VECTOR_##id},
    LP_VECTOR_OPS(X)
#undef X
    {"vector", LP_TOK_VECTOR, 0},
    {"label_replace", LP_TOK_LABEL_REPLACE, 0},
    {"bytes", LP_TOK_CONV, LP_CONV_BYTES},
    {"duration", LP_TOK_CONV, LP_CONV_DURATION},
    {"duration_seconds", LP_TOK_CONV, LP_CONV_DURATION_SECONDS},
    {"ip", LP_TOK_IP, 0},
};
/* clang-format on */

/* Longer ones first where one begins another. */
static const struct symbol {
    char text[3];
    enum lp_tok kind;
} symbols[] = {
    {"|=", LP_TOK_PIPE_EXACT}, {"|~", LP_TOK_PIPE_MATCH}, {"|>", LP_TOK_PIPE_PATTERN}, {"|", LP_TOK_PIPE},
    {"!=", LP_TOK_NEQ},        {"!~", LP_TOK_NRE},        {"!>", LP_TOK_NPAT},         {"=~", LP_TOK_RE},
    {"==", LP_TOK_EQEQ},       {"=", LP_TOK_EQ},          {">=", LP_TOK_GTE},          {">", LP_TOK_GT},
    {"<=", LP_TOK_LTE},        {"<", LP_TOK_LT},          {"{", LP_TOK_LBRACE},        {"}", LP_TOK_RBRACE},
    {"(", LP_TOK_LPAREN},      {")", LP_TOK_RPAREN},      {",", LP_TOK_COMMA},         {".", LP_TOK_DOT},
    {"+", LP_TOK_ADD},         {"-", LP_TOK_SUB},         {"*", LP_TOK_MUL},           {"/", LP_TOK_DIV},
    {"%", LP_TOK_MOD},         {"^", LP_TOK_POW},
};

static const struct word *
find_word(const struct word *words, size_t n, struct lp_str s)
{
    for (size_t i = 0; i < n; i++) {
        if (lp_str_ieq(s, lp_str_c(words[i].name))) {
            return &words[i];
        }
    }
    return NULL;
}

bool
lp_lex_is_function(struct lp_str s)
{
    return find_word(functions, LP_ARRAY_LEN(functions), s) != NULL;
}

const char *
lp_tok_name(enum lp_tok kind)
{
    static const char *const names[] = {
#define X(id, text) text,
        LP_TOKENS(X)
#undef X
    };
    return names[kind];
}

/* ------------------------------------------------------- places and errors */

void
lp_lex_init(struct lp_lexer *lex, struct lp_str text, struct lp_arena *ar)
{
    *lex = (struct lp_lexer){.text = text, .ar = ar, .mark_pos = {1, 1}};
    if (lp_str_starts(text, LP_STR("\xef\xbb\xbf"))) {
        lex->at = lex->mark = 3; /* a byte order mark, as editors leave it */
    }
}

lp_rc
lp_lex_fail(struct lp_err *err, struct lp_pos pos, const char *fmt, ...)
{
    char text[LP_ERR_TEXT_BYTES];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    return lp_err_at(err, LP_ERR_PARSE, pos.line, pos.col, "parse error at line %u, col %u: %s", pos.line,
                     pos.col, text);
}

/* The place of byte `off`, which must not lie before the last one asked for. */
static struct lp_pos
pos_of(struct lp_lexer *lex, size_t off)
{
    for (; lex->mark < off; lex->mark++) {
        uint8_t byte = (uint8_t)lex->text.p[lex->mark];
        if (byte == '\n') {
            lex->mark_pos.line++;
            lex->mark_pos.col = 1;
        } else if ((byte & 0xc0) != 0x80) {
            lex->mark_pos.col++;
        }
    }
    return lex->mark_pos;
}

static char
byte_at(const struct lp_lexer *lex, size_t off)
{
    return off < lex->text.n ? lex->text.p[off] : 0;
}

static bool
is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool
is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

/* Letters, as far as a query can tell without tables: every character above ASCII that is no blank, control
 * or format sign. */
static bool
is_letter(uint32_t cp)
{
    if (cp < 0x80) {
        return (cp >= 'a' && cp <= 'z') || (cp >= 'A' && cp <= 'Z') || cp == '_';
    }
    return cp > 0xa0 && cp != 0x1680 && !(cp >= 0x2000 && cp <= 0x206f) && !(cp >= 0x3000 && cp <= 0x303f) &&
           !(cp >= 0xd800 && cp <= 0xf8ff) && cp != 0xfeff && cp < 0xe0000 && !(cp >= 0xfff0 && cp <= 0xffff);
}

/* Bytes of the character at off if a name may hold it there, else 0. */
static size_t
name_char(const struct lp_lexer *lex, size_t off, bool first)
{
    uint32_t cp;
    size_t n = lp_text_decode(lp_str_sub(lex->text, off, lex->text.n), &cp);
    bool good = n > 0 && (is_letter(cp) || (!first && cp < 0x80 && is_digit((char)cp)));
    return good ? n : 0;
}

static void
skip_blank(struct lp_lexer *lex)
{
    while (lex->at < lex->text.n) {
        char c = lex->text.p[lex->at];
        if (c == '#') {
            size_t end = lp_str_find_byte(lp_str_sub(lex->text, lex->at, lex->text.n), '\n');
            lex->at = end == SIZE_MAX ? lex->text.n : lex->at + end;
        } else if (is_space(c)) {
            lex->at++;
        } else {
            break;
        }
    }
}

/* ---------------------------------------------------------------- strings */

static int
digit_value(char c, int base)
{
    int v = lp_hex_digit(c);
    return v < base ? v : -1;
}

/* `n` digits at off; -1 where one is missing. */
static int64_t
digits_at(const struct lp_lexer *lex, size_t off, int n, int base)
{
    int64_t v = 0;
    for (int i = 0; i < n; i++) {
        int d = digit_value(byte_at(lex, off + (size_t)i), base);
        if (d < 0) {
            return -1;
        }
        v = v * base + d;
    }
    return v;
}

/* Decodes the escape whose backslash is at *off to out; false when it is none. Moves *off behind it. */
static bool
unescape(const struct lp_lexer *lex, size_t *off, char *out, size_t *n)
{
    static const char named[] = "a\ab\bf\fn\nr\rt\tv\v\\\\\"\"";
    char c = byte_at(lex, *off + 1);
    for (const char *p = named; *p != 0; p += 2) {
        if (*p == c) {
            out[(*n)++] = p[1];
            *off += 2;
            return true;
        }
    }
    int digits = c == 'x' ? 2 : c == 'u' ? 4 : c == 'U' ? 8 : 3;
    bool octal = digits == 3;
    int64_t v = digits_at(lex, *off + (octal ? 1 : 2), digits, octal ? 8 : 16);
    if (c == 'x' || octal) {
        if (v < 0 || v > 255) {
            return false;
        }
        out[(*n)++] = (char)v;
    } else {
        if (v < 0 || v > 0x10ffff || (v >= 0xd800 && v < 0xe000)) {
            return false;
        }
        *n += lp_utf8_put((uint32_t)v, out + *n);
    }
    *off += (size_t)digits + (octal ? 1 : 2);
    return true;
}

/* The string whose opening quote is at `at`; an escape never decodes to more bytes than it has. */
static lp_rc
lex_string(struct lp_lexer *lex, struct lp_token *t, struct lp_err *err)
{
    char quote = lex->text.p[lex->at];
    size_t end = lex->at + 1;
    bool escapes = false;
    while (end < lex->text.n && lex->text.p[end] != quote && (quote == '`' || lex->text.p[end] != '\n')) {
        bool escape = quote == '"' && lex->text.p[end] == '\\';
        escapes |= escape;
        end += escape ? 2 : 1;
    }
    if (end >= lex->text.n || lex->text.p[end] != quote) {
        return lp_lex_fail(err, t->pos, "this string has no closing %c%s", quote,
                           end < lex->text.n ? " on its line; write a newline as \\n or use `...`" : "");
    }
    t->kind = LP_TOK_STRING;
    t->str = lp_str_sub(lex->text, lex->at + 1, end);
    if (escapes) {
        char *out = lp_arena_bytes(lex->ar, t->str.n);
        size_t n = 0;
        if (out == NULL) {
            return lp_err_set(err, LP_ERR_LIMIT,
                              "parse error : the query needs more memory than it may have");
        }
        for (size_t off = lex->at + 1; off < end;) {
            if (lex->text.p[off] != '\\') {
                out[n++] = lex->text.p[off++];
            } else if (!unescape(lex, &off, out, &n)) {
                return lp_lex_fail(
                    err, pos_of(lex, off),
                    "this escape is none that strings know (write \\\\ for a backslash, or use `...`)");
            }
        }
        t->str = lp_str_of(out, n);
    }
    lex->at = end + 1;
    return LP_OK;
}

/* ---------------------------------------------------------------- numbers */

/* The end of the digits, fraction and exponent that begin at off. */
static size_t
number_end(const struct lp_lexer *lex, size_t off)
{
    while (is_digit(byte_at(lex, off)) || byte_at(lex, off) == '_') {
        off++;
    }
    if (byte_at(lex, off) == '.') {
        off++;
        while (is_digit(byte_at(lex, off)) || byte_at(lex, off) == '_') {
            off++;
        }
    }
    if (byte_at(lex, off) == 'e' || byte_at(lex, off) == 'E') {
        char sign = byte_at(lex, off + 1);
        size_t exp = off + (sign == '+' || sign == '-' ? 2 : 1);
        if (is_digit(byte_at(lex, exp))) {
            off = exp;
            while (is_digit(byte_at(lex, off))) {
                off++;
            }
        }
    }
    return off;
}

/* The end of what sticks to a number: units, and the numbers between them ("1h30m", "2.5KiB"). */
static size_t
suffix_end(const struct lp_lexer *lex, size_t off)
{
    for (;;) {
        size_t n = name_char(lex, off, false);
        if (n == 0 && byte_at(lex, off) == '.') {
            n = 1;
        }
        if (n == 0) {
            return off;
        }
        off += n;
    }
}

/* A number, a duration or a size; `from` is where it begins, a '-' included. */
static lp_rc
lex_number(struct lp_lexer *lex, struct lp_token *t, struct lp_err *err)
{
    size_t from = lex->at;
    bool negative = lex->text.p[from] == '-';
    size_t end = number_end(lex, from + negative);
    size_t all = suffix_end(lex, end);
    struct lp_str text = lp_str_sub(lex->text, from, all);
    char room[64];
    if (all == end && !negative) {
        t->kind = LP_TOK_NUMBER;
        if (!lp_text_parse_number(text, &t->number)) {
            return lp_lex_fail(err, t->pos, "%s is not a number, or one too large",
                               lp_text_clip(text, 40, room));
        }
    } else if (all != end && lp_duration(text, &t->ns)) {
        t->kind = LP_TOK_DURATION;
    } else if (negative) {
        t->kind = LP_TOK_SUB; /* only durations carry their sign */
        all = from + 1;
    } else if (lp_text_parse_size(text, &t->bytes)) {
        t->kind = LP_TOK_SIZE;
    } else {
        return lp_lex_fail(
            err, t->pos,
            "%s is not a number, a duration (ms s m h d w y) or a size (B kB MB GB KiB MiB GiB ..)",
            lp_text_clip(text, 40, room));
    }
    lex->at = all;
    return LP_OK;
}

static lp_rc
lex_range(struct lp_lexer *lex, struct lp_token *t, struct lp_err *err)
{
    struct lp_str rest = lp_str_sub(lex->text, lex->at + 1, lex->text.n);
    size_t n = lp_str_find_byte(rest, ']');
    if (n == SIZE_MAX) {
        return lp_lex_fail(err, t->pos, "this range has no closing ]");
    }
    char room[64];
    struct lp_str inner = lp_str_sub(rest, 0, n);
    if (!lp_text_parse_range(inner, &t->ns)) {
        return lp_lex_fail(err, t->pos, "[%s] is not a range: write a duration like [30s], [5m] or [1h30m]",
                           lp_text_clip(inner, 40, room));
    }
    t->kind = LP_TOK_RANGE;
    lex->at += n + 2;
    return LP_OK;
}

/* ------------------------------------------------------------------ words */

/* What makes a function's name a function: "(" behind it, or by/without and "(". */
static bool
call_follows(const struct lp_lexer *lex)
{
    static const struct lp_str groupings[] = {{"by", 2}, {"without", 7}};
    struct lp_lexer ahead = *lex;
    skip_blank(&ahead);
    for (size_t i = 0; i < LP_ARRAY_LEN(groupings); i++) {
        size_t end = ahead.at + groupings[i].n;
        if (lp_str_ieq(lp_str_sub(ahead.text, ahead.at, end), groupings[i])) {
            ahead.at = end;
            skip_blank(&ahead);
            break;
        }
    }
    return byte_at(&ahead, ahead.at) == '(';
}

static void
lex_word(struct lp_lexer *lex, struct lp_token *t)
{
    size_t from = lex->at;
    for (size_t n; (n = name_char(lex, lex->at, lex->at == from)) > 0;) {
        lex->at += n;
    }
    struct lp_str s = lp_str_sub(lex->text, from, lex->at);
    const struct word *w = find_word(functions, LP_ARRAY_LEN(functions), s);
    if (w != NULL && !call_follows(lex)) {
        w = NULL;
    }
    if (w == NULL) {
        w = find_word(keywords, LP_ARRAY_LEN(keywords), s);
    }
    t->kind = w != NULL ? w->kind : LP_TOK_IDENT;
    t->arg = w != NULL ? w->arg : 0;
}

/* --strict and --keep-empty, in this spelling only. */
static bool
lex_flag(struct lp_lexer *lex, struct lp_token *t)
{
    size_t end = lex->at + 2;
    while (byte_at(lex, end) == '-' || name_char(lex, end, false) > 0) {
        end += byte_at(lex, end) == '-' ? 1 : name_char(lex, end, false);
    }
    struct lp_str s = lp_str_sub(lex->text, lex->at, end);
    if (!lp_str_eqc(s, "--strict") && !lp_str_eqc(s, "--keep-empty")) {
        return false;
    }
    t->kind = lp_str_eqc(s, "--strict") ? LP_TOK_STRICT : LP_TOK_KEEP_EMPTY;
    lex->at = end;
    return true;
}

static lp_rc
lex_symbol(struct lp_lexer *lex, struct lp_token *t, struct lp_err *err)
{
    struct lp_str rest = lp_str_sub(lex->text, lex->at, lex->text.n);
    if (lp_str_starts(rest, LP_STR("--")) && lex_flag(lex, t)) {
        return LP_OK;
    }
    for (size_t i = 0; i < LP_ARRAY_LEN(symbols); i++) {
        struct lp_str s = lp_str_c(symbols[i].text);
        if (lp_str_starts(rest, s)) {
            t->kind = symbols[i].kind;
            lex->at += s.n;
            return LP_OK;
        }
    }
    char room[64];
    uint32_t cp;
    size_t n = lp_text_decode(rest, &cp);
    return lp_lex_fail(err, t->pos, "unexpected character %s%s",
                       lp_text_clip(lp_str_sub(rest, 0, n), 8, room),
                       cp == '\'' ? ": strings stand in \"...\" or `...`" : "");
}

lp_rc
lp_lex_next(struct lp_lexer *lex, struct lp_token *ret, struct lp_err *err)
{
    skip_blank(lex);
    size_t from = lex->at;
    struct lp_token t = {.kind = LP_TOK_EOF, .pos = pos_of(lex, from)};
    char c = byte_at(lex, from);
    char next = byte_at(lex, from + 1);
    lp_rc rc = LP_OK;
    if (from >= lex->text.n) {
        rc = LP_OK;
    } else if (c == '"' || c == '`') {
        rc = lex_string(lex, &t, err);
    } else if (is_digit(c) || ((c == '.' || c == '-') && is_digit(next))) {
        rc = lex_number(lex, &t, err);
    } else if (c == '[') {
        rc = lex_range(lex, &t, err);
    } else if (name_char(lex, from, true) > 0) {
        lex_word(lex, &t);
    } else {
        rc = lex_symbol(lex, &t, err);
    }
    if (rc == LP_OK) {
        t.text = lp_str_sub(lex->text, from, lex->at);
        *ret = t;
    }
    return rc;
}
