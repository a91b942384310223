/*
 * template_func_text.c - functions on texts: those of Go's strings package under their old names, and those
 * of sprig.
 *
 * trunc and alignLeft count characters, substr counts bytes: as Loki does. Where a text is no UTF-8, what
 * goes through it character by character writes U+FFFD for each bad byte, as Go does.
 */
#include "query/runes.h"
#include "query/template_int.h"
#include "query/text.h"

#define REPEAT_MAX (64u << 20) /* no buffer holds more */

static struct lp_str
arg(const struct lp_tcall *c, size_t i)
{
    return c->args[i].s;
}

static bool
give(struct lp_tval *ret, struct lp_str s)
{
    *ret = lp_tv_str(s);
    return true;
}

/* ------------------------------------------------------------------ case */

enum { CASE_LOWER, CASE_UPPER, CASE_TITLE };

static bool
is_ascii(struct lp_str s)
{
    uint8_t all = 0;
    for (size_t i = 0; i < s.n; i++) {
        all |= (uint8_t)s.p[i];
    }
    return all < 0x80;
}

/* Does a word end with this character? */
static bool
separates(uint32_t cp)
{
    if (cp < 0x80) {
        return !lp_text_name_byte((char)cp, false);
    }
    return !lp_rune_is_letter(cp) && !lp_rune_is_digit(cp) && lp_rune_is_space(cp);
}

static void
put_case(struct lp_buf *out, struct lp_str s, int to)
{
    uint32_t before = ' ';
    for (size_t i = 0; i < s.n && !out->failed;) {
        uint32_t cp;
        i += lp_text_decode(lp_str_sub(s, i, s.n), &cp);
        bool begins = to == CASE_TITLE && separates(before);
        before = cp;
        lp_rune_put(out, to == CASE_UPPER   ? lp_rune_upper(cp)
                         : to == CASE_LOWER ? lp_rune_lower(cp)
                         : begins           ? lp_rune_title(cp)
                                            : cp);
    }
}

static bool
fn_case(const struct lp_tcall *c, struct lp_tval *ret)
{
    struct lp_buf *out = c->x->out;
    struct lp_str s = arg(c, 0);
    size_t mark = out->n;
    if (c->func->which == CASE_TITLE || !is_ascii(s)) {
        put_case(out, s, c->func->which);
    } else if (lp_buf_reserve(out, s.n)) {
        bool upper = c->func->which == CASE_UPPER;
        for (size_t i = 0; i < s.n; i++) {
            char ch = s.p[i];
            bool other = upper ? ch >= 'a' && ch <= 'z' : ch >= 'A' && ch <= 'Z';
            out->p[out->n++] = (char)(other ? ch ^ 0x20 : ch);
        }
    }
    return lp_trun_take(c->x, mark, ret);
}

/* ------------------------------------------------------------------ trimming */

enum { TRIM_LEFT = 1, TRIM_RIGHT = 2, TRIM_SET_FIRST = 4 };

static bool
in_set(struct lp_str set, uint32_t cp)
{
    uint32_t one;
    for (size_t i = 0; i < set.n;) {
        i += lp_text_decode(lp_str_sub(set, i, set.n), &one);
        if (one == cp) {
            return true;
        }
    }
    return false;
}

/* Where the last character of s begins. */
static size_t
last_rune(struct lp_str s, uint32_t *cp)
{
    for (size_t back = 1; back <= 4 && back <= s.n; back++) {
        struct lp_str end = lp_str_sub(s, s.n - back, s.n);
        if (lp_text_decode(end, cp) == back && (*cp != 0xfffd || back == 3)) {
            return s.n - back;
        }
    }
    *cp = 0xfffd;
    return s.n - 1;
}

/* space: white space instead of a set. */
static struct lp_str
trim(struct lp_str s, struct lp_str set, bool space, int sides)
{
    uint32_t cp;
    while (sides & TRIM_LEFT && s.n > 0) {
        size_t n = lp_text_decode(s, &cp);
        if (!(space ? lp_rune_is_space(cp) : in_set(set, cp))) {
            break;
        }
        s = lp_str_sub(s, n, s.n);
    }
    while (sides & TRIM_RIGHT && s.n > 0) {
        size_t from = last_rune(s, &cp);
        if (!(space ? lp_rune_is_space(cp) : in_set(set, cp))) {
            break;
        }
        s.n = from;
    }
    return s;
}

static bool
fn_trim(const struct lp_tcall *c, struct lp_tval *ret)
{
    int which = c->func->which;
    bool set_first = which & TRIM_SET_FIRST;
    struct lp_str s = arg(c, set_first ? 1 : 0), set = arg(c, set_first ? 0 : 1);
    return lp_trun_charge(c->x, s.n * LP_MIN(set.n, (size_t)1024)) && give(ret, trim(s, set, false, which));
}

static bool
fn_trim_space(const struct lp_tcall *c, struct lp_tval *ret)
{
    return give(ret, trim(arg(c, 0), LP_STR_NULL, true, TRIM_LEFT | TRIM_RIGHT));
}

static bool
fn_trim_affix(const struct lp_tcall *c, struct lp_tval *ret)
{
    int which = c->func->which;
    bool set_first = which & TRIM_SET_FIRST;
    struct lp_str s = arg(c, set_first ? 1 : 0), affix = arg(c, set_first ? 0 : 1);
    if (which & TRIM_LEFT && lp_str_starts(s, affix)) {
        s = lp_str_sub(s, affix.n, s.n);
    } else if (which & TRIM_RIGHT && lp_str_ends(s, affix)) {
        s = lp_str_sub(s, 0, s.n - affix.n);
    }
    return give(ret, s);
}

/* ------------------------------------------------------------------ finding and replacing */

enum { HAS_INSIDE, HAS_PREFIX, HAS_SUFFIX };

static bool
fn_has(const struct lp_tcall *c, struct lp_tval *ret)
{
    struct lp_str part = arg(c, 0), s = arg(c, 1);
    bool has = c->func->which == HAS_INSIDE   ? lp_str_find(s, part) != SIZE_MAX
               : c->func->which == HAS_PREFIX ? lp_str_starts(s, part)
                                              : lp_str_ends(s, part);
    *ret = lp_tv_bool(has);
    return true;
}

/* Nothing is found in front of each character, and at the end. */
static void
put_between(struct lp_buf *out, struct lp_str s, struct lp_str with, uint64_t most)
{
    uint32_t cp;
    size_t i = 0;
    for (; most > 0 && !out->failed; most--) {
        lp_buf_str(out, with);
        size_t n = lp_text_decode(lp_str_sub(s, i, s.n), &cp);
        lp_buf_str(out, lp_str_sub(s, i, i + n));
        i += n;
        if (n == 0) {
            return;
        }
    }
    lp_buf_str(out, lp_str_sub(s, i, s.n));
}

static bool
replace(const struct lp_tcall *c, struct lp_str s, struct lp_str from, struct lp_str with, int64_t most,
        struct lp_tval *ret)
{
    struct lp_buf *out = c->x->out;
    size_t mark = out->n;
    uint64_t left = most < 0 ? UINT64_MAX : (uint64_t)most;
    if (from.n == 0) {
        put_between(out, s, with, left);
        return lp_trun_take(c->x, mark, ret);
    }
    size_t found = left > 0 ? lp_str_find(s, from) : SIZE_MAX;
    if (found == SIZE_MAX) {
        return give(ret, s);
    }
    for (; found != SIZE_MAX && !out->failed; left--) {
        lp_buf_str(out, lp_str_sub(s, 0, found));
        lp_buf_str(out, with);
        s = lp_str_sub(s, found + from.n, s.n);
        found = left > 1 ? lp_str_find(s, from) : SIZE_MAX;
    }
    lp_buf_str(out, s);
    return lp_trun_take(c->x, mark, ret);
}

static bool
fn_replace(const struct lp_tcall *c, struct lp_tval *ret)
{
    return c->nargs == 4 ? replace(c, arg(c, 0), arg(c, 1), arg(c, 2), c->args[3].i, ret)
                         : replace(c, arg(c, 2), arg(c, 0), arg(c, 1), -1, ret);
}

/* ------------------------------------------------------------------ parts */

/* Characters [from, to), where bad bytes become U+FFFD. */
static bool
runes_between(const struct lp_tcall *c, struct lp_str s, size_t from, size_t to, struct lp_tval *ret)
{
    size_t mark = c->x->out->n, i = 0, begin = 0;
    uint32_t cp;
    bool valid = true;
    for (size_t rune = 0; rune < to && i < s.n; rune++) {
        begin = rune == from ? i : begin;
        size_t n = lp_text_decode(lp_str_sub(s, i, s.n), &cp);
        valid = valid && (cp != 0xfffd || n == 3);
        i += n;
        if (rune >= from) {
            lp_rune_put(c->x->out, cp);
        }
    }
    if (from >= to) {
        return give(ret, LP_STR(""));
    }
    if (valid) { /* then it is a part of the text itself */
        c->x->out->n = mark;
        return give(ret, lp_str_sub(s, begin, i));
    }
    return lp_trun_take(c->x, mark, ret);
}

static bool
fn_trunc(const struct lp_tcall *c, struct lp_tval *ret)
{
    int64_t n = c->args[0].i;
    struct lp_str s = arg(c, 1);
    int64_t all = (int64_t)lp_rune_count(s);
    if (n >= 0 && n < all) {
        return runes_between(c, s, 0, (size_t)n, ret);
    }
    if (n < 0 && n > -all) {
        return runes_between(c, s, (size_t)(all + n), (size_t)all, ret);
    }
    return give(ret, s);
}

static bool
fn_substr(const struct lp_tcall *c, struct lp_tval *ret)
{
    int64_t from = c->args[0].i, to = c->args[1].i;
    struct lp_str s = arg(c, 2);
    int64_t n = (int64_t)s.n;
    if (from < 0) {
        if (to < 0) {
            return lp_tcall_fail(c, "runtime error: slice bounds out of range [:%lld]", (long long)to);
        }
        if (to > n) {
            return lp_tcall_fail(c, "runtime error: slice bounds out of range [:%lld] with length %lld",
                                 (long long)to, (long long)n);
        }
        return give(ret, lp_str_sub(s, 0, (size_t)to));
    }
    bool open = to < 0 || to > n;
    if (from > (open ? n : to)) {
        return lp_tcall_fail(c, "runtime error: slice bounds out of range [%lld:%lld]", (long long)from,
                             (long long)(open ? n : to));
    }
    return give(ret, lp_str_sub(s, (size_t)from, open ? s.n : (size_t)to));
}

static void
put_blanks(struct lp_buf *out, size_t n)
{
    if (n > 0 && lp_buf_reserve(out, n)) {
        memset(out->p + out->n, ' ', n);
        out->n += n;
    }
}

/* which: blanks go to the right. */
static bool
fn_align(const struct lp_tcall *c, struct lp_tval *ret)
{
    int64_t width = c->args[0].i;
    struct lp_str s = arg(c, 1);
    struct lp_buf *out = c->x->out;
    int64_t all = (int64_t)lp_rune_count(s);
    bool left = c->func->which;
    size_t mark = out->n;
    if (width < 0 || width == all) {
        return give(ret, s);
    }
    if (width < all) {
        return left ? runes_between(c, s, 0, (size_t)width, ret)
                    : runes_between(c, s, (size_t)(all - width), (size_t)all, ret);
    }
    lp_buf_str(out, left ? s : LP_STR(""));
    put_blanks(out, (size_t)(width - all));
    lp_buf_str(out, left ? LP_STR("") : s);
    return lp_trun_take(c->x, mark, ret);
}

/* ------------------------------------------------------------------ repeating and indenting */

static bool
fn_repeat(const struct lp_tcall *c, struct lp_tval *ret)
{
    int64_t n = c->args[0].i;
    struct lp_str s = arg(c, 1);
    size_t mark = c->x->out->n, bytes;
    if (n < 0) {
        return lp_tcall_fail(c, "strings: negative Repeat count");
    }
    if (__builtin_mul_overflow((size_t)n, s.n, &bytes) || bytes > REPEAT_MAX ||
        !lp_buf_reserve(c->x->out, bytes)) {
        return lp_trun_limit(c->x, "writes more than it may");
    }
    for (int64_t i = 0; s.n > 0 && i < n; i++) {
        lp_buf_str(c->x->out, s);
    }
    return lp_trun_charge(c->x, bytes) && lp_trun_take(c->x, mark, ret);
}

/* which: on a line of its own. */
static bool
fn_indent(const struct lp_tcall *c, struct lp_tval *ret)
{
    int64_t n = c->args[0].i;
    struct lp_str s = arg(c, 1);
    struct lp_buf *out = c->x->out;
    size_t mark = out->n;
    if (n < 0) {
        return lp_tcall_fail(c, "strings: negative Repeat count");
    }
    if (c->func->which) {
        lp_buf_byte(out, '\n');
    }
    for (bool more = true; more && !out->failed;) {
        size_t end = lp_str_find_byte(s, '\n');
        more = end != SIZE_MAX;
        put_blanks(out, (size_t)n);
        lp_buf_str(out, lp_str_sub(s, 0, more ? end + 1 : end));
        s = lp_str_sub(s, more ? end + 1 : s.n, s.n);
    }
    return lp_trun_take(c->x, mark, ret);
}

/* ------------------------------------------------------------------ encodings */

static const char base64[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

static bool
fn_b64enc(const struct lp_tcall *c, struct lp_tval *ret)
{
    struct lp_buf *out = c->x->out;
    size_t mark = out->n;
    lp_buf_base64(out, arg(c, 0));
    return lp_trun_take(c->x, mark, ret);
}

static int
base64_value(char c)
{
    const char *at = c != 0 ? strchr(base64, c) : NULL;
    return at != NULL ? (int)(at - base64) : -1;
}

/*
 * Writes what the text says, in groups of four with newlines anywhere. The last group may lack its padding.
 * False with the byte that is wrong.
 */
static bool
put_base64(struct lp_buf *out, struct lp_str s, size_t *ret_wrong)
{
    uint32_t v = 0;
    unsigned have = 0, pads = 0;
    size_t group = 0; /* where it began */
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        int value = base64_value(c);
        if (c == '\n' || c == '\r') {
            continue;
        }
        if (pads > 0 ? c != '=' || have + pads == 4 : value < 0 && (c != '=' || have < 2)) {
            *ret_wrong = i;
            return false;
        }
        if (have == 0) {
            group = i;
        }
        if (c == '=') {
            pads++;
            continue;
        }
        v = v << 6 | (uint32_t)value;
        if (++have == 4) {
            lp_buf_byte(out, (uint8_t)(v >> 16));
            lp_buf_byte(out, (uint8_t)(v >> 8));
            lp_buf_byte(out, (uint8_t)v);
            have = 0;
        }
    }
    *ret_wrong = pads > 0 ? s.n : group;
    if (have == 1 || (pads > 0 && have + pads != 4)) {
        return false;
    }
    if (have >= 2) {
        v <<= 6 * (4 - have);
        lp_buf_byte(out, (uint8_t)(v >> 16));
        lp_buf_add(out, &(char){(char)(v >> 8)}, have - 2);
    }
    return true;
}

/* What is no base64 gives the reason as its text. */
static bool
fn_b64dec(const struct lp_tcall *c, struct lp_tval *ret)
{
    struct lp_buf *out = c->x->out;
    size_t mark = out->n, wrong;
    if (!put_base64(out, arg(c, 0), &wrong)) {
        out->n = mark;
        lp_buf_printf(out, "illegal base64 data at input byte %zu", wrong);
    }
    return lp_trun_take(c->x, mark, ret);
}

void
lp_turl_encode(struct lp_buf *out, struct lp_str s)
{
    for (size_t i = 0; i < s.n && !out->failed; i++) {
        char c = s.p[i];
        bool plain = (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') ||
                     (c != 0 && strchr("-_.~", c) != NULL);
        if (plain || c == ' ') {
            lp_buf_byte(out, (uint8_t)(c == ' ' ? '+' : c));
        } else {
            lp_buf_printf(out, "%%%02X", (unsigned)(uint8_t)c);
        }
    }
}

static bool
fn_urlencode(const struct lp_tcall *c, struct lp_tval *ret)
{
    size_t mark = c->x->out->n;
    lp_turl_encode(c->x->out, arg(c, 0));
    return lp_trun_take(c->x, mark, ret);
}

static bool
is_hex(struct lp_str s, size_t i)
{
    return i < s.n && lp_hex_digit(s.p[i]) >= 0;
}

static bool
fn_urldecode(const struct lp_tcall *c, struct lp_tval *ret)
{
    struct lp_str s = arg(c, 0), decoded;
    char room[64];
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == '%' && (!is_hex(s, i + 1) || !is_hex(s, i + 2))) {
            return lp_tcall_fail(c, "invalid URL escape \"%s\"",
                                 lp_text_clip(lp_str_sub(s, i, i + 3), 8, room));
        }
    }
    if (!lp_url_decode(c->x->ar, s, true, &decoded)) {
        return lp_trun_limit(c->x, "needs more memory than it may have");
    }
    return give(ret, decoded);
}

static bool
fn_line(const struct lp_tcall *c, struct lp_tval *ret)
{
    return give(ret, c->x->row->line);
}

const struct lp_tfunc lp_tfuncs_text[] = {
    {"__line__", "", fn_line, 0},
    {"ToLower", "s", fn_case, CASE_LOWER},
    {"ToUpper", "s", fn_case, CASE_UPPER},
    {"lower", "s", fn_case, CASE_LOWER},
    {"upper", "s", fn_case, CASE_UPPER},
    {"title", "s", fn_case, CASE_TITLE},
    {"Trim", "ss", fn_trim, TRIM_LEFT | TRIM_RIGHT},
    {"TrimLeft", "ss", fn_trim, TRIM_LEFT},
    {"TrimRight", "ss", fn_trim, TRIM_RIGHT},
    {"trimAll", "ss", fn_trim, TRIM_LEFT | TRIM_RIGHT | TRIM_SET_FIRST},
    {"TrimSpace", "s", fn_trim_space, 0},
    {"trim", "s", fn_trim_space, 0},
    {"TrimPrefix", "ss", fn_trim_affix, TRIM_LEFT},
    {"TrimSuffix", "ss", fn_trim_affix, TRIM_RIGHT},
    {"trimPrefix", "ss", fn_trim_affix, TRIM_LEFT | TRIM_SET_FIRST},
    {"trimSuffix", "ss", fn_trim_affix, TRIM_RIGHT | TRIM_SET_FIRST},
    {"Replace", "sssi", fn_replace, 0},
    {"replace", "sss", fn_replace, 0},
    {"contains", "ss", fn_has, HAS_INSIDE},
    {"hasPrefix", "ss", fn_has, HAS_PREFIX},
    {"hasSuffix", "ss", fn_has, HAS_SUFFIX},
    {"trunc", "is", fn_trunc, 0},
    {"substr", "iis", fn_substr, 0},
    {"alignLeft", "is", fn_align, 1},
    {"alignRight", "is", fn_align, 0},
    {"repeat", "is", fn_repeat, 0},
    {"indent", "is", fn_indent, 0},
    {"nindent", "is", fn_indent, 1},
    {"b64enc", "s", fn_b64enc, 0},
    {"b64dec", "s", fn_b64dec, 0},
    {"urlencode", "s", fn_urlencode, 0},
    {"urldecode", "s", fn_urldecode, 0},
    {NULL, NULL, NULL, 0},
};
