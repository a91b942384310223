/*
 * fields.c - names of labels that keys become, and text inside quotes.
 */
#include "query/fields.h"

#include "query/fields_int.h"
#include "query/text.h"

void
lp_field_name(struct lp_str key, struct lp_buf *out)
{
    key = lp_str_trim(key);
    size_t begin = out->n;
    if (key.n > 0 && key.p[0] >= '0' && key.p[0] <= '9' && begin == 0) {
        lp_buf_byte(out, '_');
    }
    size_t plain = 0;
    while (plain < key.n && lp_text_name_byte(key.p[plain], false)) {
        plain++;
    }
    lp_buf_add(out, key.p, plain);
    for (key = lp_str_sub(key, plain, key.n); key.n > 0;) {
        uint32_t cp;
        size_t used = lp_text_decode(key, &cp);
        lp_buf_byte(out, (uint8_t)(used == 1 && lp_text_name_byte(key.p[0], false) ? key.p[0] : '_'));
        key = lp_str_sub(key, used, key.n);
    }
}

/* ------------------------------------------------------------------ text inside quotes */

static int
hex4(const char *p, const char *end)
{
    int v = 0;
    if (end - p < 4) {
        return -1;
    }
    for (int i = 0; i < 4; i++) {
        int digit = lp_hex_digit(p[i]);
        if (digit < 0) {
            return -1;
        }
        v = v << 4 | digit;
    }
    return v;
}

/* Behind "\u": the character and the bytes of it; 0 where it is none. A lone surrogate is U+FFFD, or none. */
static size_t
unicode_escape(const char *p, const char *end, bool lone_ok, uint32_t *ret)
{
    int high = hex4(p, end), low;
    if (high < 0) {
        return 0;
    }
    *ret = (uint32_t)high;
    if (high < 0xd800 || high > 0xdfff) {
        return 4;
    }
    bool pair = high < 0xdc00 && end - p >= 10 && p[4] == '\\' && p[5] == 'u';
    low = pair ? hex4(p + 6, end) : -1;
    if (low >= 0xdc00 && low <= 0xdfff) {
        *ret = 0x10000 + (((uint32_t)high - 0xd800) << 10) + ((uint32_t)low - 0xdc00);
        return 10;
    }
    *ret = 0xfffd;
    return lone_ok ? 4 : 0;
}

bool
lp_field_unescape(struct lp_str s, enum lp_field_quotes quotes, struct lp_buf *out)
{
    const char *p = s.p, *end = s.p + s.n;
    while (p < end) {
        const char *esc = memchr(p, '\\', (size_t)(end - p));
        lp_buf_add(out, p, (size_t)((esc != NULL ? esc : end) - p));
        if (esc == NULL) {
            return true;
        }
        if (end - esc < 2) {
            return false;
        }
        static const char from[] = "\"\\/bfnrt'", to[] = "\"\\/\b\f\n\r\t'";
        const char *known = esc[1] != 0 ? strchr(from, esc[1]) : NULL;
        p = esc + 2;
        if (esc[1] == 'u') {
            char utf8[4];
            uint32_t cp;
            size_t used = unicode_escape(p, end, quotes == LP_FIELD_LOGFMT, &cp);
            if (used == 0) {
                return false;
            }
            p += used;
            lp_buf_add(out, utf8, lp_utf8_put(cp, utf8));
        } else if (known != NULL && (*known != '\'' || quotes == LP_FIELD_LOGFMT)) {
            lp_buf_byte(out, (uint8_t)to[known - from]);
        } else {
            return false;
        }
    }
    return true;
}

/* Is it UTF-8 without U+FFFD? */
static bool
is_clean(struct lp_str s)
{
    static const char replacement[] = "\xef\xbf\xbd";
    size_t i = 0;
    while (i < s.n && (unsigned char)s.p[i] < 0x80) {
        i++;
    }
    return i == s.n || (lp_utf8_valid(s) && lp_str_find(s, lp_str_of(replacement, 3)) == SIZE_MAX);
}

struct lp_str
lp_field_clean(struct lp_str s, struct lp_buf *room)
{
    if (is_clean(s)) {
        return s;
    }
    size_t begin = room->n;
    while (s.n > 0) {
        uint32_t cp;
        size_t used = lp_text_decode(s, &cp);
        if (cp != 0xfffd) {
            lp_buf_add(room, s.p, used);
        }
        s = lp_str_sub(s, used, s.n);
    }
    return lp_str_of(room->p + begin, room->n - begin);
}
