/*
 * ip.c - sets of IP addresses, and finding their members in text. Pure functions, linear in the text.
 */
#include "query/ip.h"

#include <arpa/inet.h>

#include "query/text.h"

struct addr {
    bool v6;
    uint8_t b[16];
};

static bool
parse_addr(struct lp_str s, struct addr *ret)
{
    char text[INET6_ADDRSTRLEN];
    if (s.n == 0 || s.n >= sizeof(text) || memchr(s.p, 0, s.n) != NULL) {
        return false;
    }
    memcpy(text, s.p, s.n);
    text[s.n] = 0;
    *ret = (struct addr){.v6 = memchr(s.p, ':', s.n) != NULL};
    return inet_pton(ret->v6 ? AF_INET6 : AF_INET, text, ret->b) == 1;
}

/* "a/bits": clears and sets the bits behind the prefix. */
static bool
parse_network(struct lp_str text, size_t slash, struct lp_ip_set *ret)
{
    struct lp_str bits_text = lp_str_sub(text, slash + 1, text.n);
    struct addr a;
    uint64_t bits;
    if (!parse_addr(lp_str_sub(text, 0, slash), &a) || !lp_str_u64(bits_text, &bits) ||
        bits > (a.v6 ? 128u : 32u) || (bits_text.n > 1 && bits_text.p[0] == '0')) {
        return false;
    }
    ret->v6 = a.v6;
    for (size_t i = 0; i < 16; i++) {
        size_t kept = bits > i * 8 ? LP_MIN(bits - i * 8, (uint64_t)8) : 0;
        uint8_t mask = (uint8_t)(0xff00u >> kept);
        ret->from[i] = a.b[i] & mask;
        ret->to[i] = a.b[i] | (uint8_t)~mask;
    }
    return true;
}

static bool
parse_range(struct lp_str text, size_t dash, struct lp_ip_set *ret)
{
    struct addr a, b;
    if (!parse_addr(lp_str_sub(text, 0, dash), &a) || !parse_addr(lp_str_sub(text, dash + 1, text.n), &b) ||
        a.v6 != b.v6 || memcmp(a.b, b.b, sizeof(a.b)) > 0) {
        return false;
    }
    ret->v6 = a.v6;
    memcpy(ret->from, a.b, sizeof(a.b));
    memcpy(ret->to, b.b, sizeof(b.b));
    return true;
}

lp_rc
lp_ip_set_parse(struct lp_str text, struct lp_ip_set *ret, struct lp_err *err)
{
    struct lp_ip_set set = {.v6 = false};
    struct addr a;
    bool good;
    size_t slash = lp_str_find_byte(text, '/');
    size_t dash = lp_str_find_byte(text, '-');
    if (slash != SIZE_MAX) {
        good = parse_network(text, slash, &set);
    } else if (dash != SIZE_MAX) {
        good = parse_range(text, dash, &set);
    } else {
        good = parse_addr(text, &a);
        set.v6 = good && a.v6;
        memcpy(set.from, a.b, good ? sizeof(a.b) : 0);
        memcpy(set.to, a.b, good ? sizeof(a.b) : 0);
    }
    char room[64];
    if (!good) {
        return lp_err_set(
            err, LP_ERR_PARSE,
            "ip: invalid pattern: \"%s\": write an address, a range \"a-b\" or a network \"a/bits\"",
            lp_text_clip(text, 48, room));
    }
    *ret = set;
    return LP_OK;
}

static bool
contains(const struct lp_ip_set *set, struct lp_str text)
{
    struct addr a;
    size_t n = set->v6 ? 16 : 4;
    return parse_addr(text, &a) && a.v6 == set->v6 && memcmp(a.b, set->from, n) >= 0 &&
           memcmp(a.b, set->to, n) <= 0;
}

static bool
is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool
is_hex(char c)
{
    return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

static char
at(struct lp_str s, size_t i)
{
    return i < s.n ? s.p[i] : 0;
}

/* Can an IPv4 address begin here: a digit, and a dot within the next three bytes? */
static bool
begins_v4(struct lp_str s)
{
    return is_digit(at(s, 0)) && (at(s, 1) == '.' || at(s, 2) == '.' || at(s, 3) == '.');
}

/* Can an IPv6 address begin here: up to four hex digits and a colon, or "::" and a hex digit? */
static bool
begins_v6(struct lp_str s)
{
    if (at(s, 0) == ':') {
        return at(s, 1) == ':' && is_hex(at(s, 2));
    }
    size_t n = 0;
    while (n < 4 && is_hex(at(s, n))) {
        n++;
    }
    return n > 0 && at(s, n) == ':';
}

static size_t
run_length(struct lp_str s, bool v6)
{
    size_t n = 0;
    while (n < s.n && (is_digit(s.p[n]) || s.p[n] == '.' || (v6 && (is_hex(s.p[n]) || s.p[n] == ':')))) {
        n++;
    }
    return n;
}

bool
lp_ip_set_find(const struct lp_ip_set *set, struct lp_str text)
{
    while (text.n > 0) {
        bool v4 = begins_v4(text);
        if (!v4 && !begins_v6(text)) {
            text = lp_str_sub(text, 1, text.n);
            continue;
        }
        size_t n = run_length(text, !v4);
        if (contains(set, lp_str_sub(text, 0, n))) {
            return true;
        }
        text = lp_str_sub(text, n, text.n);
    }
    return false;
}
