/*
 * literals.c - recognising regexes that are alternations of literals. Pure but for the arena.
 */
#include "query/literals.h"

static bool
is_punct(char c)
{
    return (c >= '!' && c <= '/') || (c >= ':' && c <= '@') || (c >= '[' && c <= '`' && c != '_') ||
           (c >= '{' && c <= '~');
}

/* Without one pair of brackets around the whole. */
static struct lp_str
strip_group(struct lp_str s)
{
    if (s.n < 2 || s.p[0] != '(' || s.p[s.n - 1] != ')') {
        return s;
    }
    return lp_str_starts(s, LP_STR("(?:")) && s.n >= 4 ? lp_str_sub(s, 3, s.n - 1)
                                                       : lp_str_sub(s, 1, s.n - 1);
}

size_t
lp_literals_count(struct lp_str regex)
{
    struct lp_str s = strip_group(regex);
    size_t n = 1;
    /* A line's bad bytes are matched as U+FFFD, so a pattern with that character must not become a byte
     * search. */
    if (!lp_utf8_valid(s) || lp_str_find(s, LP_STR("\xef\xbf\xbd")) != SIZE_MAX) {
        return 0;
    }
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        if (c == '\\') {
            if (++i == s.n || !is_punct(s.p[i])) {
                return 0;
            }
        } else if (c == '|') {
            n++;
        } else if (c == 0 || strchr(".^$*+?()[]{}", c) != NULL) {
            return 0;
        }
    }
    return n;
}

bool
lp_literals_list(struct lp_str regex, struct lp_arena *ar, struct lp_str *ret, size_t n)
{
    struct lp_str s = strip_group(regex);
    char *out = lp_arena_bytes(ar, s.n);
    if (out == NULL) {
        return false;
    }
    size_t k = 0;
    char *from = out;
    for (size_t i = 0; i <= s.n; i++) {
        if (i == s.n || s.p[i] == '|') {
            LP_ASSERT(k < n);
            ret[k++] = lp_str_of(from, (size_t)(out - from));
            from = out;
            continue;
        }
        i += s.p[i] == '\\';
        *out++ = s.p[i];
    }
    return true;
}
