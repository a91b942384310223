/*
 * uuid.c - see uuid.h.
 */
#include "store/uuid.h"

#include <string.h>
#include <sys/random.h>

static const char digits[] = "0123456789abcdef";

static bool
dash_before(size_t i)
{
    return i == 4 || i == 6 || i == 8 || i == 10;
}

bool
lp_uuid_make(struct lp_uuid *ret)
{
    if (getrandom(ret->b, sizeof(ret->b), 0) != sizeof(ret->b)) {
        return false;
    }
    ret->b[6] = (uint8_t)((ret->b[6] & 0x0f) | 0x40);
    ret->b[8] = (uint8_t)((ret->b[8] & 0x3f) | 0x80);
    return true;
}

bool
lp_uuid_among(const struct lp_uuid *list, size_t n, const struct lp_uuid *u)
{
    for (size_t i = 0; i < n; i++) {
        if (memcmp(list[i].b, u->b, sizeof(u->b)) == 0) {
            return true;
        }
    }
    return false;
}

void
lp_uuid_text(const struct lp_uuid *u, char out[LP_UUID_TEXT + 1])
{
    size_t n = 0;
    for (size_t i = 0; i < sizeof(u->b); i++) {
        if (dash_before(i)) {
            out[n++] = '-';
        }
        out[n++] = digits[u->b[i] >> 4];
        out[n++] = digits[u->b[i] & 15];
    }
    out[n] = 0;
}

bool
lp_uuid_parse(struct lp_str text, struct lp_uuid *ret)
{
    size_t at = 0;
    if (text.n != LP_UUID_TEXT) {
        return false;
    }
    for (size_t i = 0; i < sizeof(ret->b); i++) {
        if (dash_before(i) && text.p[at++] != '-') {
            return false;
        }
        const char *hi = memchr(digits, text.p[at], 16), *lo = memchr(digits, text.p[at + 1], 16);
        if (hi == NULL || lo == NULL) {
            return false;
        }
        ret->b[i] = (uint8_t)((hi - digits) << 4 | (lo - digits));
        at += 2;
    }
    return true;
}
