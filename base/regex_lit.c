/*
 * regex_lit.c - which bytes must a match contain? A cautious reading of a pattern that RE2 has already
 * accepted.
 *
 * Only the pattern's top level counts: runs of plain characters there, one after the other, each of which
 * every match must contain. Whatever is not certainly plain ends the run; groups and classes are skipped
 * whole; an alternation at the top level, or (?i) anywhere at it, means that nothing more is known. U+FFFD
 * ends a run, because it also matches a bad byte. Missing a literal costs speed only; a wrong one would lose
 * lines.
 */
#include "base/regex_int.h"

struct scan {
    struct lp_str rest;
    struct lp_buf *prefix, *literal;
    char run[64];   /* the current run; a longer one is cut, its end is dropped */
    size_t n, last; /* last: bytes of the run's last character */
    bool full;      /* the run was cut: what follows is not adjacent to it */
    bool at_start;  /* nothing but the current run stands before */
};

static void
skip(struct scan *sc, size_t n)
{
    sc->rest = lp_str_sub(sc->rest, n, sc->rest.n);
}

/* Ends the run: keeps it where it is better than what is known. */
static void
end_run(struct scan *sc)
{
    struct lp_str run = lp_str_of(sc->run, sc->n);
    if (sc->at_start) {
        lp_buf_str(sc->prefix, run);
        sc->at_start = false;
    }
    if (run.n > sc->literal->n) {
        lp_buf_reset(sc->literal);
        lp_buf_str(sc->literal, run);
    }
    sc->n = sc->last = 0;
    sc->full = false;
}

/* The last character of the run is optional. */
static void
drop_last(struct scan *sc)
{
    sc->n -= sc->full ? 0 : sc->last;
    sc->last = 0;
}

static void
add_char(struct scan *sc, struct lp_str c)
{
    if (lp_str_eq(c, LP_STR("\xef\xbf\xbd"))) {
        end_run(sc);
        return;
    }
    sc->full = sc->full || sc->n + c.n > sizeof(sc->run);
    if (!sc->full) {
        memcpy(sc->run + sc->n, c.p, c.n);
        sc->n += c.n;
        sc->last = c.n;
    }
}

/* Bytes of "{2}", "{2,}" or "{2,5}" at the front; 0 when the brace is a plain character. */
static size_t
repeat_bytes(struct lp_str s)
{
    size_t i = 1;
    while (i < s.n && ((s.p[i] >= '0' && s.p[i] <= '9') || s.p[i] == ',')) {
        i++;
    }
    return i > 1 && i < s.n && s.p[i] == '}' && s.p[1] != ',' ? i + 1 : 0;
}

/* Bytes of the class at the front, "[...]". */
static size_t
class_bytes(struct lp_str s)
{
    size_t i = 1;
    i += i < s.n && s.p[i] == '^';
    i += i < s.n && s.p[i] == ']'; /* a bracket that comes first is a member */
    while (i < s.n && s.p[i] != ']') {
        if (s.p[i] == '\\') {
            i++;
        } else if (s.p[i] == '[' && i + 1 < s.n && s.p[i + 1] == ':') {
            size_t end = lp_str_find(lp_str_sub(s, i + 2, s.n), LP_STR(":]"));
            i += end != SIZE_MAX ? end + 3 : 0;
        }
        i++;
    }
    return LP_MIN(i + 1, s.n);
}

/* Bytes of the escape at the front; of "\Q...\E" all of it. */
static size_t
escape_bytes(struct lp_str s)
{
    if (s.n < 2) {
        return s.n;
    }
    if (s.p[1] == 'Q') {
        size_t end = lp_str_find(s, LP_STR("\\E"));
        return end != SIZE_MAX ? end + 2 : s.n;
    }
    return 1 + LP_MAX(lp_utf8_len(s.p + 1, s.n - 1), (size_t)1);
}

/* Bytes of the group at the front, to its closing parenthesis. */
static size_t
group_bytes(struct lp_str s)
{
    size_t i = 0, depth = 0;
    while (i < s.n) {
        switch (s.p[i]) {
        case '\\':
            i += escape_bytes(lp_str_sub(s, i, s.n));
            continue;
        case '[':
            i += class_bytes(lp_str_sub(s, i, s.n));
            continue;
        case '(':
            depth++;
            break;
        case ')':
            depth--;
            break;
        default:
            break;
        }
        i++;
        if (depth == 0) {
            break;
        }
    }
    return i;
}

/* An escape outside a class: punctuation stands for itself; anything else ends the run. */
static void
scan_escape(struct scan *sc)
{
    unsigned char c = sc->rest.n > 1 ? (unsigned char)sc->rest.p[1] : 0;
    bool word = (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') || c >= 0x80 || c == '_';
    size_t n = escape_bytes(sc->rest);
    if (word) {
        end_run(sc);
    } else {
        add_char(sc, lp_str_sub(sc->rest, 1, n));
    }
    /* \pN, \p{Greek}, \x41, \x{41}, \123 go on behind n: what is left of them must not count as plain */
    bool braced = word && sc->rest.n > n && sc->rest.p[n] == '{';
    if (braced && (c == 'p' || c == 'P' || c == 'x')) {
        n += lp_str_find_byte(lp_str_sub(sc->rest, n, sc->rest.n), '}') + 1;
    } else if (c == 'x') {
        n += 2;
    } else if (c == 'p' || c == 'P') {
        n += 1;
    } else if (c >= '0' && c <= '9') {
        while (n < sc->rest.n && n < 4 && sc->rest.p[n] >= '0' && sc->rest.p[n] <= '7') {
            n++;
        }
    }
    skip(sc, n);
}

/* Takes one piece off the front. */
static void
scan_piece(struct scan *sc)
{
    char c = sc->rest.p[0];
    size_t n = 1;
    switch (c) {
    case '\\':
        scan_escape(sc);
        return;
    case '(':
        end_run(sc);
        n = group_bytes(sc->rest);
        break;
    case '[':
        end_run(sc);
        n = class_bytes(sc->rest);
        break;
    case '*':
    case '?':
        drop_last(sc);
        end_run(sc);
        break;
    case '{':
        n = LP_MAX(repeat_bytes(sc->rest), (size_t)1);
        if (n > 1) {
            drop_last(sc);
        }
        end_run(sc);
        break;
    case '+':
    case '.':
    case '^':
    case '$':
        end_run(sc);
        break;
    default:
        n = LP_MAX(lp_utf8_len(sc->rest.p, sc->rest.n), (size_t)1);
        add_char(sc, lp_str_sub(sc->rest, 0, n));
        break;
    }
    skip(sc, n);
}

/* Bytes of a group of flags alone at the front, such as "(?si)"; 0 when there is none. */
static size_t
flags_bytes(struct lp_str s)
{
    size_t i = 2;
    if (!lp_str_starts(s, LP_STR("(?"))) {
        return 0;
    }
    while (i < s.n && (s.p[i] == '-' || (s.p[i] >= 'A' && s.p[i] <= 'z'))) {
        i++;
    }
    return i < s.n && s.p[i] == ')' ? i + 1 : 0;
}

/* True when the top level is a plain sequence: neither alternation nor flags. */
static bool
is_sequence(struct lp_str s)
{
    size_t i = 0;
    while (i < s.n) {
        struct lp_str rest = lp_str_sub(s, i, s.n);
        if (s.p[i] == '|' || flags_bytes(rest) > 0) {
            return false;
        }
        i += s.p[i] == '\\'  ? escape_bytes(rest)
             : s.p[i] == '[' ? class_bytes(rest)
             : s.p[i] == '(' ? group_bytes(rest)
                             : 1;
    }
    return true;
}

void
lp_regex_literals(struct lp_str pattern, struct lp_buf *prefix, struct lp_buf *literal)
{
    struct lp_str flags = lp_str_sub(pattern, 0, flags_bytes(pattern));
    struct scan sc = {.prefix = prefix, .literal = literal, .at_start = true};
    sc.rest = lp_str_sub(pattern, flags.n, pattern.n);
    lp_buf_reset(prefix);
    lp_buf_reset(literal);
    if (lp_str_find_byte(flags, 'i') != SIZE_MAX || !is_sequence(sc.rest)) {
        return;
    }
    if (lp_str_starts(sc.rest, LP_STR("^"))) {
        skip(&sc, 1);
    }
    while (sc.rest.n > 0) {
        scan_piece(&sc);
    }
    end_run(&sc);
}
