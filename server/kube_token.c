/*
 * kube_token.c - see kube_token.h: in hexadecimal digits, so that it needs no escapes, how many bytes the
 * namespace has, a colon, namespace and name.
 */
#include "server/kube_token.h"

#include <stdio.h>

void
lp_kube_token_put(struct lp_buf *out, struct lp_str ns, struct lp_str name)
{
    char head[32];
    snprintf(head, sizeof(head), "%zu:", ns.n);
    const struct lp_str parts[] = {lp_str_c(head), ns, name};
    for (size_t i = 0; i < LP_ARRAY_LEN(parts); i++) {
        for (size_t k = 0; k < parts[i].n; k++) {
            lp_buf_printf(out, "%02x", (unsigned char)parts[i].p[k]);
        }
    }
}

static bool
unhex(struct lp_str hex, struct lp_arena *ar, struct lp_str *ret)
{
    char *out = hex.n % 2 == 0 ? lp_arena_bytes(ar, hex.n / 2) : NULL;
    if (out == NULL) {
        return false;
    }
    for (size_t i = 0; i < hex.n / 2; i++) {
        int high = lp_hex_digit(hex.p[2 * i]), low = lp_hex_digit(hex.p[2 * i + 1]);
        if (high < 0 || low < 0) {
            return false;
        }
        out[i] = (char)(high << 4 | low);
    }
    *ret = lp_str_of(out, hex.n / 2);
    return true;
}

bool
lp_kube_token_parse(struct lp_str token, struct lp_arena *ar, struct lp_str *ret_ns, struct lp_str *ret_name)
{
    struct lp_str text;
    uint64_t n;
    if (!unhex(token, ar, &text)) {
        return false;
    }
    struct lp_str head = lp_str_cut(&text, ':');
    if (!lp_str_u64(head, &n) || n > text.n || text.n - n == 0) {
        return false;
    }
    *ret_ns = lp_str_sub(text, 0, (size_t)n);
    *ret_name = lp_str_sub(text, (size_t)n, text.n);
    return true;
}
