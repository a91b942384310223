/*
 * template_lex.c - a template's text, cut into tokens.
 *
 * All tokens are made at once; the parser then looks ahead as far as it likes. What is no token ends them
 * with TT_ERROR, which the parser reports only when it gets there. Pure functions.
 */
#include <stdio.h>

#include "query/runes.h"
#include "query/template_int.h"
#include "query/text.h"

struct lexer {
    struct lp_str text;
    size_t pos;
    uint32_t line; /* of pos */
    unsigned parens;
    struct lp_arena *ar;
    struct lp_ttokens *out;
    size_t cap;
    bool spent;
};

static const struct {
    const char *word;
    enum lp_ttoken_type type;
} words[] = {
    {".", TT_DOT},
    {"block", TT_BLOCK},
    {"break", TT_BREAK},
    {"continue", TT_CONTINUE},
    {"define", TT_DEFINE},
    {"else", TT_ELSE},
    {"end", TT_END},
    {"if", TT_IF},
    {"range", TT_RANGE},
    {"nil", TT_NIL},
    {"true", TT_BOOL},
    {"false", TT_BOOL},
    {"template", TT_TEMPLATE},
    {"with", TT_WITH},
};

static bool
is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static bool
is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* The byte at pos + ahead; 0 behind the end. */
static char
at(const struct lexer *l, size_t ahead)
{
    return l->pos + ahead < l->text.n ? l->text.p[l->pos + ahead] : 0;
}

static bool
ahead_is(const struct lexer *l, size_t ahead, const char *s)
{
    return lp_str_starts(lp_str_sub(l->text, l->pos + ahead, l->text.n), lp_str_c(s));
}

static size_t
rune_at(const struct lexer *l, size_t pos, uint32_t *cp)
{
    return lp_text_decode(lp_str_sub(l->text, pos, l->text.n), cp);
}

/* The token [from, pos), which began on this line; counts the newlines in it. */
static void
put(struct lexer *l, enum lp_ttoken_type type, size_t from)
{
    struct lp_ttoken *items =
        lp_arena_grow(l->ar, l->out->items, &l->cap, l->out->n + 1, sizeof(*l->out->items));
    if (items == NULL) {
        l->spent = true;
        return;
    }
    l->out->items = items;
    items[l->out->n++] = (struct lp_ttoken){
        .type = type, .pos = (uint32_t)from, .n = (uint32_t)(l->pos - from), .line = l->line};
    for (size_t i = from; i < l->pos; i++) {
        l->line += l->text.p[i] == '\n';
    }
}

/* No token begins at `from`; false. */
static bool
fail(struct lexer *l, size_t from, const char *why)
{
    snprintf(l->out->error, sizeof(l->out->error), "%s", why);
    put(l, TT_ERROR, from);
    return false;
}

static bool
fail_rune(struct lexer *l, size_t from, const char *what, uint32_t cp)
{
    struct lp_buf text;
    lp_buf_init(&text, sizeof(l->out->error) - 1);
    lp_buf_printf(&text, "%s ", what);
    lp_trune_print(&text, cp);
    lp_buf_byte(&text, 0);
    bool ret = fail(l, from, text.n > 0 ? text.p : what);
    lp_buf_clear(&text);
    return ret;
}

static void
skip(struct lexer *l, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++) {
        l->line += l->text.p[l->pos++] == '\n';
    }
}

static void
skip_spaces(struct lexer *l)
{
    while (l->pos < l->text.n && is_space(l->text.p[l->pos])) {
        skip(l, 1);
    }
}

/* -------------------------------------------------------------- delimiters */

/* Bytes of the closing delimiter at pos + ahead, with its trim marker; 0 where there is none. */
static size_t
close_at(const struct lexer *l, size_t ahead)
{
    if (ahead_is(l, ahead, "}}")) {
        return 2;
    }
    return is_space(at(l, ahead)) && ahead_is(l, ahead + 1, "-}}") ? 4 : 0;
}

/* Goes behind the closing delimiter, and behind white space where it says so. */
static void
put_close(struct lexer *l, size_t bytes)
{
    skip(l, bytes - 2);
    l->pos += 2;
    put(l, TT_CLOSE, l->pos - 2);
    if (bytes > 2) {
        skip_spaces(l);
    }
}

/* Text up to the next action, or to the end; less the white space that the action trims. */
static void
lex_text(struct lexer *l)
{
    size_t from = l->pos;
    size_t open = lp_str_find(lp_str_sub(l->text, from, l->text.n), LP_STR("{{"));
    size_t end = open == SIZE_MAX ? l->text.n : from + open;
    size_t kept = end;
    if (open != SIZE_MAX && end + 3 < l->text.n && l->text.p[end + 2] == '-' &&
        is_space(l->text.p[end + 3])) {
        while (kept > from && is_space(l->text.p[kept - 1])) {
            kept--;
        }
    }
    l->pos = kept;
    if (kept > from) {
        put(l, TT_TEXT, from);
    }
    skip(l, end - kept);
}

static bool
lex_comment(struct lexer *l)
{
    size_t from = l->pos;
    size_t end = lp_str_find(lp_str_sub(l->text, from + 2, l->text.n), LP_STR("*/"));
    if (end == SIZE_MAX) {
        return fail(l, from, "unclosed comment");
    }
    size_t close = close_at(l, end + 4);
    if (close == 0) {
        return fail(l, from, "comment ends before closing delimiter");
    }
    skip(l, end + 4 + close);
    if (close > 2) {
        skip_spaces(l);
    }
    return true;
}

/* ------------------------------------------------------------------ in actions */

static bool
is_word_rune(uint32_t cp)
{
    return cp < 0x80 ? lp_text_name_byte((char)cp, false) : lp_rune_is_letter(cp) || lp_rune_is_digit(cp);
}

static void
skip_word(struct lexer *l)
{
    uint32_t cp;
    size_t n;
    while ((n = rune_at(l, l->pos, &cp)) > 0 && is_word_rune(cp)) {
        l->pos += n;
    }
}

/* May a name end here? */
static bool
at_terminator(const struct lexer *l)
{
    char c = at(l, 0);
    return l->pos >= l->text.n || is_space(c) || (c != 0 && strchr(".,|:)(", c) != NULL) ||
           ahead_is(l, 0, "}}");
}

/* A word from `from` on, whose first byte or rune is taken. */
static bool
lex_word(struct lexer *l, size_t from, enum lp_ttoken_type type)
{
    skip_word(l);
    if (!at_terminator(l)) {
        uint32_t cp = 0;
        rune_at(l, l->pos, &cp);
        return fail_rune(l, from, "bad character", cp);
    }
    struct lp_str word = lp_str_sub(l->text, from, l->pos);
    for (size_t i = 0; type != TT_VARIABLE && i < LP_ARRAY_LEN(words); i++) {
        if (lp_str_eqc(word, words[i].word)) {
            type = words[i].type;
        }
    }
    put(l, type, from);
    return true;
}

static bool
lex_quoted(struct lexer *l, char quote, enum lp_ttoken_type type, const char *unclosed)
{
    size_t from = l->pos++;
    bool raw = quote == '`';
    while (l->pos < l->text.n) {
        char c = l->text.p[l->pos++];
        if (c == quote) {
            put(l, type, from);
            return true;
        }
        if (!raw && c == '\\') {
            c = at(l, 0);
            l->pos += l->pos < l->text.n;
        }
        if (!raw && c == '\n') {
            break;
        }
    }
    return fail(l, from, unclosed);
}

static void
skip_any(struct lexer *l, const char *set)
{
    while (at(l, 0) != 0 && strchr(set, at(l, 0)) != NULL) {
        l->pos++;
    }
}

static bool
accept(struct lexer *l, const char *set)
{
    bool found = at(l, 0) != 0 && strchr(set, at(l, 0)) != NULL;
    l->pos += found;
    return found;
}

/* Takes what looks like a number; the parser finds out whether it is one. False: a word goes on behind it. */
static bool
scan_number(struct lexer *l)
{
    static const char tens[] = "0123456789_", sixteens[] = "0123456789abcdefABCDEF_";
    const char *digits = tens;
    accept(l, "+-");
    if (accept(l, "0")) {
        if (accept(l, "xX")) {
            digits = sixteens;
        } else if (accept(l, "oO")) {
            digits = "01234567_";
        } else if (accept(l, "bB")) {
            digits = "01_";
        }
    }
    skip_any(l, digits);
    if (accept(l, ".")) {
        skip_any(l, digits);
    }
    if ((digits == tens && accept(l, "eE")) || (digits == sixteens && accept(l, "pP"))) {
        accept(l, "+-");
        skip_any(l, tens);
    }
    accept(l, "i");
    uint32_t cp;
    size_t n = rune_at(l, l->pos, &cp);
    if (n > 0 && is_word_rune(cp)) {
        l->pos += n;
        return false;
    }
    return true;
}

static bool
lex_number(struct lexer *l)
{
    size_t from = l->pos;
    bool ok = scan_number(l);
    char sign = at(l, 0);
    if (ok && (sign == '+' || sign == '-')) {
        scan_number(l);
        ok = false; /* a complex number, which nothing here can use */
    }
    if (ok) {
        put(l, TT_NUMBER, from);
        return true;
    }
    char room[64], why[96];
    snprintf(why, sizeof(why), "bad number syntax: \"%s\"",
             lp_text_clip(lp_str_sub(l->text, from, l->pos), 40, room));
    return fail(l, from, why);
}

static bool
lex_spaces(struct lexer *l)
{
    size_t from = l->pos;
    while (is_space(at(l, 0)) && close_at(l, 0) == 0) {
        l->pos++;
    }
    put(l, TT_SPACE, from);
    return true;
}

static bool
lex_paren(struct lexer *l)
{
    bool open = at(l, 0) == '(';
    if (!open && l->parens == 0) {
        return fail(l, l->pos, "unexpected right paren");
    }
    l->parens = open ? l->parens + 1 : l->parens - 1;
    l->pos++;
    put(l, open ? TT_LPAREN : TT_RPAREN, l->pos - 1);
    return true;
}

static bool
lex_other(struct lexer *l)
{
    uint32_t cp = 0;
    size_t n = rune_at(l, l->pos, &cp);
    if (is_word_rune(cp)) {
        size_t from = l->pos;
        l->pos += n;
        return lex_word(l, from, TT_NAME);
    }
    if (cp < 0x20 || cp >= 0x7f) {
        return fail_rune(l, l->pos, "unrecognized character in action:", cp);
    }
    l->pos++;
    put(l, TT_CHAR, l->pos - 1);
    return true;
}

/* One token of an action, which is not closed here. */
static bool
lex_inside(struct lexer *l)
{
    char c = at(l, 0);
    switch (c) {
    case ' ':
    case '\t':
    case '\r':
    case '\n':
        return lex_spaces(l);
    case '=':
    case '|':
        l->pos++;
        put(l, c == '=' ? TT_ASSIGN : TT_PIPE, l->pos - 1);
        return true;
    case ':':
        if (at(l, 1) != '=') {
            return fail(l, l->pos, "expected :=");
        }
        l->pos += 2;
        put(l, TT_DECLARE, l->pos - 2);
        return true;
    case '"':
        return lex_quoted(l, c, TT_STRING, "unterminated quoted string");
    case '`':
        return lex_quoted(l, c, TT_RAW_STRING, "unterminated raw quoted string");
    case '\'':
        return lex_quoted(l, c, TT_CHAR_CONST, "unterminated character constant");
    case '$':
        l->pos++;
        return lex_word(l, l->pos - 1, TT_VARIABLE);
    case '(':
    case ')':
        return lex_paren(l);
    case '.':
        if (l->pos + 1 < l->text.n && !is_digit(at(l, 1))) {
            l->pos++;
            return lex_word(l, l->pos - 1, TT_FIELD);
        }
        return lex_number(l);
    default:
        return c == '+' || c == '-' || is_digit(c) ? lex_number(l) : lex_other(l);
    }
}

/* From behind {{ up to behind }}. */
static bool
lex_action(struct lexer *l)
{
    for (l->parens = 0; !l->spent;) {
        size_t close = close_at(l, 0);
        if (close > 0) {
            if (l->parens > 0) {
                return fail(l, l->pos, "unclosed left paren");
            }
            put_close(l, close);
            return true;
        }
        if (l->pos >= l->text.n) {
            return fail(l, l->pos, "unclosed action");
        }
        if (!lex_inside(l)) {
            return false;
        }
    }
    return false;
}

static bool
lex_open(struct lexer *l)
{
    size_t from = l->pos;
    bool trims = at(l, 2) == '-' && is_space(at(l, 3));
    if (ahead_is(l, trims ? 4 : 2, "/*")) {
        skip(l, trims ? 4 : 2);
        return lex_comment(l);
    }
    l->pos += 2;
    put(l, TT_OPEN, from);
    if (trims) {
        skip(l, 2);
    }
    return lex_action(l);
}

lp_rc
lp_template_lex(struct lp_str text, struct lp_arena *ar, struct lp_ttokens *ret)
{
    struct lexer l = {.text = text, .line = 1, .ar = ar, .out = ret};
    bool more = true;
    *ret = (struct lp_ttokens){.n = 0};
    while (more && !l.spent && l.pos < text.n) {
        lex_text(&l);
        more = l.pos >= text.n || lex_open(&l);
    }
    if (more) {
        put(&l, TT_EOF, l.pos);
    }
    return l.spent ? LP_ERR_LIMIT : LP_OK;
}
