/*
 * regex_tok.c - RE2's syntax taken apart.
 *
 * As RE2's parse.cc reads it, with its default options (Perl's classes, \pN, no Latin-1). Whatever that file
 * treats in an unusual way ends in LP_RX_BAD or LP_RX_ODD. Case: RE2 folds each character to all others of
 * its simple case folding; of ASCII, k is also U+212A and s also U+017F. A set with other letters beyond
 * ASCII under (?i) is LP_RX_ODD.
 */
#include "base/regex_tok.h"

#define KELVIN 0x212au
#define LONG_S 0x17fu
#define RUNE_MAX 0x10ffffu

void
lp_rx_init(struct lp_rx *rx, struct lp_str pattern)
{
    *rx = (struct lp_rx){.rest = pattern, .no_repeat = true};
}

static void
skip(struct lp_rx *rx, size_t n)
{
    rx->rest = lp_str_sub(rx->rest, n, rx->rest.n);
}

/* The byte at i of what is left; 0 behind its end. */
static char
peek(const struct lp_rx *rx, size_t i)
{
    return i < rx->rest.n ? rx->rest.p[i] : 0;
}

static bool
is_alpha(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool
is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool
is_octal(char c)
{
    return c >= '0' && c <= '7';
}

/* --------------------------------------------------------------- characters */

/* One character as it stands. */
static bool
read_rune(struct lp_rx *rx, uint32_t *ret)
{
    size_t n = lp_utf8_len(rx->rest.p, rx->rest.n);
    if (n == 0) {
        return false;
    }
    uint32_t cp = (unsigned char)rx->rest.p[0];
    cp = n == 1 ? cp : cp & (0x7fu >> n);
    for (size_t i = 1; i < n; i++) {
        cp = cp << 6 | ((unsigned char)rx->rest.p[i] & 0x3f);
    }
    skip(rx, n);
    *ret = cp;
    return true;
}

/* The digits of \x41 or \x{41}. */
static bool
read_hex(struct lp_rx *rx, uint32_t *ret)
{
    bool braced = peek(rx, 0) == '{';
    size_t i = braced;
    uint32_t cp = 0;
    while (lp_hex_digit(peek(rx, i)) >= 0 && cp <= RUNE_MAX && (braced || i < 2)) {
        cp = cp << 4 | (uint32_t)lp_hex_digit(peek(rx, i++));
    }
    if (cp > RUNE_MAX || (braced ? i == 1 || peek(rx, i) != '}' : i != 2)) {
        return false;
    }
    skip(rx, i + braced);
    *ret = cp;
    return true;
}

/* A character written with a backslash; the backslash is at the front. */
static bool
read_escaped(struct lp_rx *rx, uint32_t *ret)
{
    static const char letters[] = "afnrtv", meanings[] = "\a\f\n\r\t\v";
    char c = peek(rx, 1);
    skip(rx, 2);
    if (c == 'x') {
        return read_hex(rx, ret);
    }
    if (is_octal(c)) {
        uint32_t cp = (uint32_t)(c - '0');
        if (c != '0' && !is_octal(peek(rx, 0))) {
            return false; /* a reference to a group, which RE2 has not */
        }
        for (int i = 0; i < 2 && is_octal(peek(rx, 0)); i++) {
            cp = cp * 8 + (uint32_t)(peek(rx, 0) - '0');
            skip(rx, 1);
        }
        *ret = cp;
        return true;
    }
    const char *at = c != 0 ? strchr(letters, c) : NULL;
    *ret = at != NULL ? (uint32_t)meanings[at - letters] : (unsigned char)c;
    return at != NULL || (c > 0 && !is_alpha(c) && !is_digit(c) && c != '_');
}

/* --------------------------------------------------------------------- sets */

static void
add_low(struct lp_rx_set *set, uint32_t from, uint32_t to)
{
    for (uint32_t c = from; c <= to && c < 0x80; c++) {
        set->low[c / 64] |= UINT64_C(1) << (c % 64);
    }
}

/* False when the set has no room. */
static bool
add_range(struct lp_rx_set *set, uint32_t from, uint32_t to)
{
    add_low(set, from, to);
    if (to < 0x80) {
        return true;
    }
    if (set->nhigh == LP_RX_HIGH_MAX) {
        return false;
    }
    set->high[set->nhigh][0] = LP_MAX(from, 0x80u);
    set->high[set->nhigh++][1] = to;
    return true;
}

/* Pairs of first and last bytes of a named class; NULL when there is no such name. */
static const char *
named_class(struct lp_str name)
{
    static const struct {
        const char *name, *ranges;
    } classes[] = {
        {"d", "09"},           {"s", "\t\n\f\r  "},   {"w", "09AZ__az"},   {"alnum", "09AZaz"},
        {"alpha", "AZaz"},     {"ascii", "\001\177"}, {"blank", "\t\t  "}, {"cntrl", "\001\037\177\177"},
        {"digit", "09"},       {"graph", "!~"},       {"lower", "az"},     {"print", " ~"},
        {"punct", "!/:@[`{~"}, {"space", "\t\r  "},   {"upper", "AZ"},     {"word", "09AZ__az"},
        {"xdigit", "09AFaf"},
    };
    for (size_t i = 0; i < LP_ARRAY_LEN(classes); i++) {
        if (lp_str_eqc(name, classes[i].name)) {
            return classes[i].ranges;
        }
    }
    return NULL;
}

/* Adds a named class, or all but it. False when there is none of the name. */
static bool
add_named(struct lp_rx_set *set, struct lp_str name, bool negated)
{
    struct lp_rx_set named = {.negated = false};
    const char *ranges = named_class(name);
    if (ranges == NULL) {
        return false;
    }
    for (size_t i = 0; ranges[i] != 0; i += 2) {
        add_low(&named, (unsigned char)ranges[i], (unsigned char)ranges[i + 1]);
    }
    if (lp_str_eqc(name, "ascii") || lp_str_eqc(name, "cntrl")) {
        add_low(&named, 0, 0); /* which no text of the table can say */
    }
    set->low[0] |= negated ? ~named.low[0] : named.low[0];
    set->low[1] |= negated ? ~named.low[1] : named.low[1];
    return !negated || add_range(set, 0x80, RUNE_MAX);
}

/* Adds the other cases of the members. False where that is not known. */
static bool
fold(struct lp_rx_set *set)
{
    static const uint64_t upper = UINT64_C(0x07fffffe), lower = UINT64_C(0x07fffffe) << 32;
    bool k = lp_rx_has_low(set, 'k') || lp_rx_has_low(set, 'K');
    bool s = lp_rx_has_low(set, 's') || lp_rx_has_low(set, 'S');
    if (set->nhigh > 0) {
        return false;
    }
    set->low[1] |= (set->low[1] & upper) << 32 | (set->low[1] & lower) >> 32;
    return (!k || add_range(set, KELVIN, KELVIN)) && (!s || add_range(set, LONG_S, LONG_S));
}

/* What a class says more than RE2's rune ranges can be told in. */
enum member { MEMBER_OK, MEMBER_ODD, MEMBER_BAD };

/* Bytes of "\pN", "\p{Greek}" at the front; 0 when it does not end. */
static size_t
property_bytes(struct lp_str s)
{
    if (s.n > 2 && s.p[2] == '{') {
        size_t end = lp_str_find_byte(s, '}');
        return end != SIZE_MAX ? end + 1 : 0;
    }
    size_t n = s.n > 2 ? lp_utf8_len(s.p + 2, s.n - 2) : 0;
    return n > 0 ? n + 2 : 0;
}

/* "\d", "\pN", "[:alpha:]" inside brackets, at the front; *found says whether there was one. */
static enum member
read_group_member(struct lp_rx *rx, struct lp_rx_set *set, bool icase, bool *found)
{
    char c = peek(rx, 0), d = peek(rx, 1);
    *found = true;
    if (c == '\\' && (d == 'p' || d == 'P')) {
        size_t n = property_bytes(rx->rest);
        skip(rx, n);
        return n > 0 ? MEMBER_ODD : MEMBER_BAD;
    }
    struct lp_str name = LP_STR_NULL;
    bool negated = false;
    if (c == '\\' && d != 0 && strchr("dDsSwW", d) != NULL) {
        char lower = (char)(d | 0x20);
        negated = d != lower;
        skip(rx, 2);
        return !add_named(set, lp_str_of(&lower, 1), negated) || (negated && icase) ? MEMBER_ODD : MEMBER_OK;
    }
    size_t end =
        c == '[' && d == ':' ? lp_str_find(lp_str_sub(rx->rest, 2, rx->rest.n), LP_STR(":]")) : SIZE_MAX;
    if (end == SIZE_MAX) {
        *found = false;
        return MEMBER_OK;
    }
    negated = peek(rx, 2) == '^';
    name = lp_str_sub(rx->rest, 2 + (size_t)negated, 2 + end);
    skip(rx, end + 4);
    if (name.n < 2) {
        return MEMBER_BAD;
    }
    return !add_named(set, name, negated) || (negated && icase) ? MEMBER_ODD : MEMBER_OK;
}

static bool
read_member(struct lp_rx *rx, uint32_t *ret)
{
    return peek(rx, 0) == '\\' ? read_escaped(rx, ret) : read_rune(rx, ret);
}

/* One character, a range or a named class inside brackets. */
static enum member
read_members(struct lp_rx *rx, struct lp_rx_set *set, bool icase)
{
    bool found;
    enum member m = read_group_member(rx, set, icase, &found);
    if (found) {
        return m;
    }
    uint32_t from, to;
    if (!read_member(rx, &from)) {
        return MEMBER_BAD;
    }
    to = from;
    if (peek(rx, 0) == '-' && peek(rx, 1) != ']') {
        skip(rx, 1);
        if (!read_member(rx, &to) || to < from) {
            return MEMBER_BAD;
        }
    }
    return add_range(set, from, to) ? MEMBER_OK : MEMBER_ODD;
}

/* "[...]" at the front. */
static enum lp_rx_kind
read_set(struct lp_rx *rx, struct lp_rx_set *set, bool icase)
{
    bool odd = false;
    skip(rx, 1);
    set->negated = peek(rx, 0) == '^';
    skip(rx, set->negated);
    for (bool first = true; first || peek(rx, 0) != ']'; first = false) {
        enum member m = rx->rest.n > 0 ? read_members(rx, set, icase) : MEMBER_BAD;
        if (m == MEMBER_BAD) {
            return LP_RX_BAD;
        }
        odd = odd || m == MEMBER_ODD;
    }
    skip(rx, 1);
    odd = odd || (icase && !fold(set));
    return odd ? LP_RX_ODD : LP_RX_SET;
}

/* ------------------------------------------------------------ groups, repeats */

/* Behind "(?": flags up to ':' or ')'. False when it is something else. */
static bool
read_flags(struct lp_rx *rx, struct lp_rx_flags *flags)
{
    bool on = true;
    for (;; skip(rx, 1)) {
        switch (peek(rx, 0)) {
        case '-':
            on = false;
            break;
        case 'i':
            flags->i = on;
            break;
        case 's':
            flags->s = on;
            break;
        case 'm':
            flags->m = on;
            break;
        case 'U':
            break; /* which way is preferred does not matter to whether there is one */
        case ':':
        case ')':
            return true;
        default:
            return false;
        }
    }
}

/* A parenthesis at the front; LP_RX_END where it was flags alone, and no token. */
static enum lp_rx_kind
read_open(struct lp_rx *rx)
{
    struct lp_rx_flags flags = rx->flags[rx->depth];
    skip(rx, 1);
    if (lp_str_starts(rx->rest, LP_STR("?P<")) || lp_str_starts(rx->rest, LP_STR("?<"))) {
        size_t end = lp_str_find_byte(rx->rest, '>');
        if (end == SIZE_MAX) {
            return LP_RX_BAD;
        }
        skip(rx, end + 1);
    } else if (peek(rx, 0) == '?') {
        skip(rx, 1);
        if (!read_flags(rx, &flags)) {
            return LP_RX_BAD;
        }
        bool alone = peek(rx, 0) == ')';
        skip(rx, 1);
        if (alone) {
            rx->flags[rx->depth] = flags;
            return LP_RX_END;
        }
    }
    if (rx->depth == LP_RX_DEPTH_MAX) {
        return LP_RX_BAD;
    }
    rx->flags[++rx->depth] = flags;
    return LP_RX_OPEN;
}

/* A decimal number without leading zeros at byte *i of what is left. */
static bool
read_count(const struct lp_rx *rx, size_t *i, uint32_t *ret)
{
    size_t from = *i;
    uint32_t v = 0;
    while (is_digit(peek(rx, *i)) && *i - from < 5) {
        v = v * 10 + (uint32_t)(peek(rx, (*i)++) - '0');
    }
    *ret = v;
    return *i > from && *i - from < 5 && (*i - from == 1 || peek(rx, from) != '0');
}

/* "{2}", "{2,}" or "{2,5}" at the front; LP_RX_CHAR when the brace is plain. */
static enum lp_rx_kind
read_braces(struct lp_rx *rx, struct lp_rx_tok *tok)
{
    size_t i = 1;
    if (!is_digit(peek(rx, 1))) {
        return LP_RX_CHAR;
    }
    size_t end = 1;
    while (is_digit(peek(rx, end)) || peek(rx, end) == ',') {
        end++;
    }
    if (peek(rx, end) != '}') {
        return LP_RX_CHAR;
    }
    if (!read_count(rx, &i, &tok->min)) {
        return LP_RX_BAD;
    }
    tok->max = tok->min;
    if (peek(rx, i) == ',') {
        i++;
        tok->max = LP_RX_INF;
        if (i < end && !read_count(rx, &i, &tok->max)) {
            return LP_RX_BAD;
        }
    }
    skip(rx, end + 1);
    return i == end && tok->min <= tok->max ? LP_RX_REPEAT : LP_RX_BAD;
}

/* *, +, ? or braces at the front, with the ? of a lazy one. */
static enum lp_rx_kind
read_repeat(struct lp_rx *rx, struct lp_rx_tok *tok)
{
    char c = peek(rx, 0);
    enum lp_rx_kind kind = LP_RX_REPEAT;
    if (c == '{') {
        kind = read_braces(rx, tok);
    } else {
        tok->min = c == '+';
        tok->max = c == '?' ? 1 : LP_RX_INF;
        skip(rx, 1);
    }
    if (kind != LP_RX_REPEAT) {
        return kind;
    }
    skip(rx, peek(rx, 0) == '?');
    return rx->no_repeat ? LP_RX_BAD : kind;
}

/* ------------------------------------------------------------------- tokens */

static enum lp_rx_kind
assertion(struct lp_rx *rx, struct lp_rx_tok *tok, enum lp_rx_assert assert, size_t bytes)
{
    tok->assert = assert;
    skip(rx, bytes);
    return LP_RX_EMPTY;
}

/* A backslash at the front; LP_RX_END for \Q, which is no token. */
static enum lp_rx_kind
read_backslash(struct lp_rx *rx, struct lp_rx_tok *tok)
{
    char c = peek(rx, 1);
    switch (c) {
    case 'Q':
        rx->quoted = true;
        skip(rx, 2);
        return LP_RX_END;
    case 'b':
        return assertion(rx, tok, LP_RX_WORD, 2);
    case 'B':
        return assertion(rx, tok, LP_RX_NOT_WORD, 2);
    case 'A':
        return assertion(rx, tok, LP_RX_TEXT_BEGIN, 2);
    case 'z':
        return assertion(rx, tok, LP_RX_TEXT_END, 2);
    case 'C':
        skip(rx, 2);
        return LP_RX_ODD;
    case 'p':
    case 'P': {
        size_t n = property_bytes(rx->rest);
        skip(rx, n);
        return n > 0 ? LP_RX_ODD : LP_RX_BAD;
    }
    default:
        break;
    }
    if (c != 0 && strchr("dDsSwW", c) != NULL) {
        char lower = (char)(c | 0x20);
        tok->set.negated = c != lower;
        skip(rx, 2);
        (void)add_named(&tok->set, lp_str_of(&lower, 1), false);
        return tok->icase && !fold(&tok->set) ? LP_RX_ODD : LP_RX_SET;
    }
    return read_escaped(rx, &tok->cp) ? LP_RX_CHAR : LP_RX_BAD;
}

/* '.': anything, or anything but a newline. */
static enum lp_rx_kind
any(struct lp_rx *rx, struct lp_rx_tok *tok, bool newline)
{
    skip(rx, 1);
    tok->set.negated = true;
    if (!newline) {
        add_low(&tok->set, '\n', '\n');
    }
    return LP_RX_SET;
}

/* What stands at the front; LP_RX_END where it is no token but a change of state. */
static enum lp_rx_kind
read_token(struct lp_rx *rx, struct lp_rx_tok *tok)
{
    const struct lp_rx_flags *flags = &rx->flags[rx->depth];
    enum lp_rx_kind kind;
    switch (peek(rx, 0)) {
    case '\\':
        return read_backslash(rx, tok);
    case '[':
        return read_set(rx, &tok->set, tok->icase);
    case '(':
        return read_open(rx);
    case ')':
        skip(rx, 1);
        if (rx->depth == 0) {
            return LP_RX_BAD;
        }
        rx->depth--;
        return LP_RX_CLOSE;
    case '|':
        skip(rx, 1);
        return LP_RX_OR;
    case '.':
        return any(rx, tok, flags->s);
    case '^':
        return assertion(rx, tok, flags->m ? LP_RX_LINE_BEGIN : LP_RX_TEXT_BEGIN, 1);
    case '$':
        return assertion(rx, tok, flags->m ? LP_RX_LINE_END : LP_RX_TEXT_END, 1);
    case '*':
    case '+':
    case '?':
    case '{':
        kind = read_repeat(rx, tok);
        if (kind != LP_RX_CHAR) {
            return kind;
        }
        break;
    default:
        break;
    }
    return read_rune(rx, &tok->cp) ? LP_RX_CHAR : LP_RX_BAD;
}

static enum lp_rx_kind
read_quoted(struct lp_rx *rx, struct lp_rx_tok *tok)
{
    if (lp_str_starts(rx->rest, LP_STR("\\E"))) {
        rx->quoted = false;
        skip(rx, 2);
        return LP_RX_END;
    }
    return read_rune(rx, &tok->cp) ? LP_RX_CHAR : LP_RX_BAD;
}

void
lp_rx_next(struct lp_rx *rx, struct lp_rx_tok *ret)
{
    while (rx->rest.n > 0) {
        *ret = (struct lp_rx_tok){.icase = rx->flags[rx->depth].i};
        bool was_quoted = rx->quoted;
        ret->kind = rx->quoted ? read_quoted(rx, ret) : read_token(rx, ret);
        if (ret->kind == LP_RX_BAD) {
            rx->rest = LP_STR_NULL;
            rx->depth = 1; /* so that what follows is not taken for a good end */
            return;
        }
        if (ret->kind != LP_RX_END) {
            rx->no_repeat = ret->kind == LP_RX_REPEAT || ret->kind == LP_RX_OPEN || ret->kind == LP_RX_OR;
            return;
        }
        rx->no_repeat = rx->no_repeat || !was_quoted;
    }
    *ret = (struct lp_rx_tok){.kind = rx->depth == 0 ? LP_RX_END : LP_RX_BAD};
}
