/*
 * runes.c - characters by the tables of the locale C.UTF-8, which is made once, by whoever asks first.
 */
#include "query/runes.h"

#include <locale.h>
#include <pthread.h>
#include <wctype.h>

#include "query/text.h"

static locale_t utf8; /* (locale_t)0: there is none */
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void
make(void)
{
    utf8 = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0);
}

static locale_t
tables(void)
{
    pthread_once(&once, make);
    return utf8;
}

static bool
is_ascii_letter(uint32_t cp)
{
    return (cp | 0x20) >= 'a' && (cp | 0x20) <= 'z';
}

bool
lp_rune_is_letter(uint32_t cp)
{
    if (cp < 0x80) {
        return is_ascii_letter(cp);
    }
    return tables() != (locale_t)0 && iswalpha_l((wint_t)cp, tables()) && !lp_rune_is_digit(cp);
}

/* The decimal digits of scripts: the C library takes them for letters. Each set is ten in a row. */
bool
lp_rune_is_digit(uint32_t cp)
{
    static const uint32_t zeros[] = {
        '0',    0x660,  0x6f0,  0x7c0,  0x966,  0x9e6,  0xa66,  0xae6,   0xb66,  0xbe6,
        0xc66,  0xce6,  0xd66,  0xde6,  0xe50,  0xed0,  0xf20,  0x1040,  0x1090, 0x17e0,
        0x1810, 0x1946, 0x19d0, 0x1a80, 0x1a90, 0x1b50, 0x1bb0, 0x1c40,  0x1c50, 0xa620,
        0xa8d0, 0xa900, 0xa9d0, 0xa9f0, 0xaa50, 0xabf0, 0xff10, 0x104a0,
    };
    for (size_t i = 0; i < LP_ARRAY_LEN(zeros); i++) {
        if (cp >= zeros[i] && cp < zeros[i] + 10) {
            return true;
        }
    }
    return false;
}

bool
lp_rune_is_space(uint32_t cp)
{
    return (cp >= '\t' && cp <= '\r') || cp == ' ' || cp == 0x85 || cp == 0xa0 || cp == 0x1680 ||
           (cp >= 0x2000 && cp <= 0x200a) || cp == 0x2028 || cp == 0x2029 || cp == 0x202f || cp == 0x205f ||
           cp == 0x3000;
}

bool
lp_rune_is_print(uint32_t cp)
{
    if (cp < 0x80) {
        return cp >= 0x20 && cp < 0x7f;
    }
    bool hidden = lp_rune_is_space(cp) || cp == 0xad || (cp >= 0x600 && cp <= 0x605) || cp == 0x61c ||
                  cp == 0x6dd || cp == 0x70f || cp == 0x180e || (cp >= 0x200b && cp <= 0x200f) ||
                  (cp >= 0x202a && cp <= 0x202e) || (cp >= 0x2060 && cp <= 0x206f) ||
                  (cp >= 0xd800 && cp <= 0xf8ff) || cp == 0xfeff || (cp >= 0xfff9 && cp <= 0xfffb) ||
                  cp >= 0xe0000;
    return !hidden && tables() != (locale_t)0 && iswprint_l((wint_t)cp, tables());
}

uint32_t
lp_rune_upper(uint32_t cp)
{
    if (cp < 0x80 || tables() == (locale_t)0) {
        return cp >= 'a' && cp <= 'z' ? cp - 0x20 : cp;
    }
    return (uint32_t)towupper_l((wint_t)cp, tables());
}

uint32_t
lp_rune_title(uint32_t cp)
{
    if (cp >= 0x1c4 && cp <= 0x1cc) { /* two letters in one: DZ, Dz, dz and the like */
        return 0x1c5 + (cp - 0x1c4) / 3 * 3;
    }
    if (cp >= 0x1f1 && cp <= 0x1f3) {
        return 0x1f2;
    }
    bool georgian = (cp >= 0x10d0 && cp <= 0x10fa) || (cp >= 0x10fd && cp <= 0x10ff); /* has no title case */
    return georgian ? cp : lp_rune_upper(cp);
}

uint32_t
lp_rune_lower(uint32_t cp)
{
    if (cp < 0x80 || tables() == (locale_t)0) {
        return cp >= 'A' && cp <= 'Z' ? cp + 0x20 : cp;
    }
    return (uint32_t)towlower_l((wint_t)cp, tables());
}

size_t
lp_rune_count(struct lp_str s)
{
    size_t n = 0;
    uint32_t cp;
    for (size_t i = 0; i < s.n; n++) {
        i += (uint8_t)s.p[i] < 0x80 ? 1 : lp_text_decode(lp_str_sub(s, i, s.n), &cp);
    }
    return n;
}

void
lp_rune_put(struct lp_buf *out, uint32_t cp)
{
    char bytes[4];
    lp_buf_add(out, bytes, lp_utf8_put(cp, bytes));
}
