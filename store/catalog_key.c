/*
 * catalog_key.c - keys of the catalog (FORMAT.md section 4): big endian numbers, times with the sign bit
 * flipped, escaped strings whose byte order is the strings' order. Pure.
 */
#include <string.h>

#include "base/bytes.h"
#include "store/catalog_int.h"

void
lp_key_u32(struct lp_cat_key *k, uint32_t v)
{
    LP_ASSERT(k->n + 4 <= sizeof(k->b));
    lp_put_be32(k->b + k->n, v);
    k->n += 4;
}

void
lp_key_u64(struct lp_cat_key *k, uint64_t v)
{
    LP_ASSERT(k->n + 8 <= sizeof(k->b));
    lp_put_be64(k->b + k->n, v);
    k->n += 8;
}

void
lp_key_time(struct lp_cat_key *k, int64_t t)
{
    lp_key_u64(k, (uint64_t)t ^ (UINT64_C(1) << 63));
}

int64_t
lp_key_get_time(const uint8_t *p)
{
    return (int64_t)(lp_get_be64(p) ^ (UINT64_C(1) << 63));
}

/* Appends escaped bytes while they fit in max; returns false when something was left out. */
static bool
escape(struct lp_cat_key *k, struct lp_str s, size_t max)
{
    size_t start = k->n;
    for (size_t i = 0; i < s.n; i++) {
        uint8_t c = (uint8_t)s.p[i];
        size_t need = c <= 1 ? 2 : 1;
        if (k->n - start + need > max) {
            return false;
        }
        LP_ASSERT(k->n + need <= sizeof(k->b));
        if (c <= 1) {
            k->b[k->n++] = 1;
            c++;
        }
        k->b[k->n++] = c;
    }
    return true;
}

void
lp_key_str(struct lp_cat_key *k, struct lp_str s, size_t max)
{
    if (escape(k, s, max)) {
        LP_ASSERT(k->n < sizeof(k->b));
        k->b[k->n++] = 0;
        return;
    }
    struct lp_hash128 h = lp_xxh128(s.p, s.n);
    LP_ASSERT(k->n + 2 <= sizeof(k->b));
    k->b[k->n++] = 1;
    k->b[k->n++] = 3;
    lp_key_u64(k, h.hi);
    lp_key_u64(k, h.lo);
}

void
lp_key_prefix(struct lp_cat_key *k, struct lp_str s, size_t max)
{
    (void)escape(k, s, max); /* a cut prefix only makes the scan wider */
}

bool
lp_key_get_str(const uint8_t *key, size_t n, size_t *at, char *out, size_t *ret_n, bool *ret_cut)
{
    size_t len = 0;
    for (size_t i = *at; i < n; i++) {
        uint8_t c = key[i];
        if (c == 0) {
            *at = i + 1;
            *ret_n = len;
            *ret_cut = false;
            return true;
        }
        if (c == 1) {
            if (++i >= n) {
                return false;
            }
            if (key[i] == 3) {
                *at = i + 1 + 16;
                *ret_n = len;
                *ret_cut = true;
                return *at <= n;
            }
            c = (uint8_t)(key[i] - 1);
        }
        out[len++] = (char)c;
    }
    return false;
}
