/*
 * fields_logfmt.c - key=value pairs of a line.
 *
 * A pair that is none (a quote in a key, '=' or a quote inside a value) is passed over up to the next blank;
 * a quote that is not closed ends the line.
 */
#include <string.h>

#include "query/fields_int.h"

struct scan {
    const char *p, *end;
    const char *why; /* the first pair that was none */
};

struct pair {
    struct lp_str key, value;
    bool escaped;
};

static bool
is_blank(char c)
{
    return (unsigned char)c <= ' ';
}

static void
skip_pair(struct scan *s, const char *why)
{
    while (s->p < s->end && !is_blank(*s->p)) {
        s->p++;
    }
    s->why = s->why != NULL ? s->why : why;
}

/* At the opening quote. */
static bool
read_quoted(struct scan *s, struct pair *ret)
{
    const char *begin = ++s->p;
    for (; s->p < s->end && *s->p != '"'; s->p++) {
        if (*s->p == '\\') {
            ret->escaped = true;
            s->p++;
        }
    }
    if (s->p >= s->end) {
        s->p = s->end;
        s->why = s->why != NULL ? s->why : "a quoted value does not end";
        return false;
    }
    ret->value = lp_str_of(begin, (size_t)(s->p - begin));
    s->p++;
    return true;
}

/* The pair that begins at s->p, which is no blank; false: it is none. */
static bool
read_pair(struct scan *s, struct pair *ret)
{
    const char *begin = s->p;
    *ret = (struct pair){.value = LP_STR_NULL};
    while (s->p < s->end && !is_blank(*s->p) && *s->p != '=' && *s->p != '"') {
        s->p++;
    }
    ret->key = lp_str_of(begin, (size_t)(s->p - begin));
    if (s->p < s->end && (*s->p == '"' || ret->key.n == 0)) {
        skip_pair(s, "a quote in a key, or a value without one");
        return false;
    }
    if (s->p == s->end || is_blank(*s->p)) {
        return true;
    }
    s->p++;
    if (s->p < s->end && *s->p == '"') {
        return read_quoted(s, ret);
    }
    begin = s->p;
    while (s->p < s->end && !is_blank(*s->p) && *s->p != '=' && *s->p != '"') {
        s->p++;
    }
    ret->value = lp_str_of(begin, (size_t)(s->p - begin));
    if (s->p < s->end && !is_blank(*s->p)) {
        skip_pair(s, "a quote or '=' in a value");
        return false;
    }
    return true;
}

/* False: its escapes are bad. */
static bool
value_of(const struct pair *p, struct lp_buf *text, struct lp_str *ret)
{
    *ret = p->value;
    lp_buf_reset(text);
    if (!lp_buf_reserve(text, 4 * ret->n + 4)) { /* U+FFFD takes three bytes of one; and it must not move */
        return false;
    }
    if (p->escaped) {
        if (!lp_field_unescape(*ret, LP_FIELD_LOGFMT, text)) {
            return false;
        }
        *ret = lp_buf_view(text);
    }
    *ret = lp_field_clean(*ret, text);
    return true;
}

static lp_rc
bad_pair(const char *why, struct lp_err *err)
{
    return lp_err_set(err, LP_ERR_PARSE, "logfmt: %s", why);
}

/* The pair's key, cleaned or as it stands, and its value; *ret_skip: nobody wants it. False: the value's
 * escapes are bad. */
static bool
take_pair(struct pair *pair, bool clean, struct lp_buf *keys, struct lp_buf *text, lp_field_want_fn wants,
          void *arg, struct lp_str *ret_value, bool *ret_skip)
{
    if (clean) {
        lp_buf_reset(keys);
        lp_field_name(pair->key, keys);
        pair->key = lp_buf_view(keys);
    }
    *ret_skip = pair->key.n == 0 || (wants != NULL && !wants(arg, pair->key));
    return *ret_skip || value_of(pair, text, ret_value);
}

lp_rc
lp_fields_logfmt(struct lp_str line, bool strict, bool clean, struct lp_buf *keys, struct lp_buf *text,
                 lp_field_want_fn wants, lp_field_fn fn, void *arg, struct lp_err *err)
{
    struct scan s = {line.p, line.p + line.n, NULL};
    for (;;) {
        struct pair pair;
        struct lp_str value;
        while (s.p < s.end && is_blank(*s.p)) {
            s.p++;
        }
        if (s.p == s.end) {
            return LP_OK;
        }
        bool skip = false, good = read_pair(&s, &pair);
        if (good && !take_pair(&pair, clean, keys, text, wants, arg, &value, &skip)) {
            s.why = s.why != NULL ? s.why : "a quoted value has a bad escape";
            good = false;
        }
        if (!good && strict) {
            return bad_pair(s.why, err);
        }
        if (good && !skip && !fn(arg, pair.key, value)) {
            return LP_OK;
        }
    }
}
