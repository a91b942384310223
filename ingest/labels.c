/*
 * labels.c - label sets written as a selector with '=' only: {app="x", pod="y"} (contracts B.1, push). Pure.
 *
 * Values are Go string literals: "..." with escapes, or `...` raw. A name may be any run of [A-Za-z0-9_:.]
 * not beginning with a digit, since senders other than Prometheus' write dots.
 */
#include "ingest/decode_int.h"

struct cursor {
    struct lp_str text;
    size_t at;
};

static void
blanks(struct cursor *c)
{
    while (c->at < c->text.n &&
           (c->text.p[c->at] == ' ' || c->text.p[c->at] == '\t' || c->text.p[c->at] == '\n')) {
        c->at++;
    }
}

static lp_rc
unexpected(const struct cursor *c, const char *wanted, struct lp_err *err)
{
    return lp_err_set(err, LP_ERR_PARSE, "labels %.*s: %s expected at byte %zu",
                      (int)LP_MIN(c->text.n, (size_t)120), c->text.p ? c->text.p : "", wanted, c->at + 1);
}

static bool
take(struct cursor *c, char byte)
{
    blanks(c);
    bool there = c->at < c->text.n && c->text.p[c->at] == byte;
    c->at += there;
    return there;
}

static bool
is_name(char b, bool first)
{
    return (b >= 'a' && b <= 'z') || (b >= 'A' && b <= 'Z') || b == '_' || b == ':' || b == '.' ||
           (!first && ((b >= '0' && b <= '9') || b == '-' || b == '/'));
}

static struct lp_str
take_name(struct cursor *c)
{
    blanks(c);
    size_t from = c->at;
    while (c->at < c->text.n && is_name(c->text.p[c->at], c->at == from)) {
        c->at++;
    }
    return lp_str_sub(c->text, from, c->at);
}

/* n digits of a base; -1 when they are not there. */
static int64_t
digits(struct cursor *c, int n, int base)
{
    int64_t v = 0;
    for (int i = 0; i < n; i++) {
        int d = c->at < c->text.n ? lp_hex_digit(c->text.p[c->at]) : -1;
        if (d < 0 || d >= base) {
            return -1;
        }
        v = v * base + d;
        c->at++;
    }
    return v;
}

/* One escape behind the backslash; bytes to out, -1 when it is none. */
static int
unescape(struct cursor *c, char out[4])
{
    static const char from[] = "abfnrtv\\\"'", to[] = "\a\b\f\n\r\t\v\\\"'";
    if (c->at >= c->text.n) {
        return -1;
    }
    char b = c->text.p[c->at++];
    for (size_t i = 0; i < sizeof(from) - 1; i++) {
        if (b == from[i]) {
            out[0] = to[i];
            return 1;
        }
    }
    int64_t v = -1;
    if (b == 'x') {
        v = digits(c, 2, 16);
    } else if (b >= '0' && b <= '7') {
        c->at--;
        v = digits(c, 3, 8);
    } else if (b == 'u' || b == 'U') {
        v = digits(c, b == 'u' ? 4 : 8, 16);
        return v < 0 || v > 0x10ffff ? -1 : (int)lp_utf8_put((uint32_t)v, out);
    }
    if (v < 0 || v > 255) {
        return -1;
    }
    out[0] = (char)v;
    return 1;
}

/* Bytes up to the next quote or backslash. */
static size_t
plain_bytes(const struct cursor *c)
{
    size_t i = c->at;
    while (i < c->text.n && c->text.p[i] != '"' && c->text.p[i] != '\\') {
        i++;
    }
    return i - c->at;
}

static lp_rc
take_quoted(struct cursor *c, struct lp_arena *ar, struct lp_str *ret, struct lp_err *err)
{
    size_t n = plain_bytes(c);
    if (c->at + n < c->text.n && c->text.p[c->at + n] == '"') {
        *ret = lp_str_sub(c->text, c->at, c->at + n);
        c->at += n + 1;
        return LP_OK;
    }
    char *out = lp_arena_bytes(ar, c->text.n - c->at);
    if (out == NULL) {
        return lp_err_set(err, LP_ERR_LIMIT, "labels take too much memory");
    }
    n = 0;
    while (c->at < c->text.n && c->text.p[c->at] != '"') {
        char b = c->text.p[c->at++], esc[4];
        if (b != '\\') {
            out[n++] = b;
            continue;
        }
        int k = unescape(c, esc); /* never longer than the escape itself */
        if (k < 0) {
            return unexpected(c, "an escape", err);
        }
        memcpy(out + n, esc, (size_t)k);
        n += (size_t)k;
    }
    *ret = lp_str_of(out, n);
    return take(c, '"') ? LP_OK : unexpected(c, "\"", err);
}

static lp_rc
take_value(struct cursor *c, struct lp_arena *ar, struct lp_str *ret, struct lp_err *err)
{
    if (take(c, '"')) {
        return take_quoted(c, ar, ret, err);
    }
    if (!take(c, '`')) {
        return unexpected(c, "a quoted value", err);
    }
    size_t n = lp_str_find_byte(lp_str_sub(c->text, c->at, c->text.n), '`');
    if (n == SIZE_MAX) {
        return unexpected(c, "`", err);
    }
    *ret = lp_str_sub(c->text, c->at, c->at + n);
    c->at += n + 1;
    return LP_OK;
}

lp_rc
lp_labels_parse(struct lp_str text, struct lp_arena *ar, struct lp_pair *labels, size_t max, size_t *ret_n,
                struct lp_err *err)
{
    struct cursor c = {text, 0};
    size_t n = 0;
    if (!take(&c, '{')) {
        return unexpected(&c, "{", err);
    }
    while (!take(&c, '}')) {
        if (n > 0 && !take(&c, ',')) {
            return unexpected(&c, ", or }", err);
        }
        if (n > 0 && take(&c, '}')) {
            break;
        }
        if (n == max) {
            return lp_err_set(err, LP_ERR_LIMIT, "a stream has more than %zu labels", max);
        }
        labels[n].name = take_name(&c);
        if (labels[n].name.n == 0 || !take(&c, '=')) {
            return unexpected(&c, "name=\"value\"", err);
        }
        lp_rc rc = take_value(&c, ar, &labels[n].value, err);
        if (rc != LP_OK) {
            return rc;
        }
        n++;
    }
    blanks(&c);
    *ret_n = n;
    return c.at == text.n ? LP_OK : unexpected(&c, "the end", err);
}

size_t
lp_labels_take_instance(struct lp_pair *labels, size_t n, struct lp_instance *ret)
{
    size_t kept = 0;
    *ret = (struct lp_instance){LP_STR_NULL, LP_STR_NULL};
    for (size_t i = 0; i < n; i++) {
        bool fits =
            labels[i].value.n <= LP_LABEL_VALUE_BYTES_MAX; /* the instance is part of the stream's key */
        if (fits && lp_str_eq(labels[i].name, LP_STR(LP_LABEL_POD_UID))) {
            ret->uid = labels[i].value;
        } else if (fits && lp_str_eq(labels[i].name, LP_STR(LP_LABEL_INCARNATION))) {
            ret->incarnation = labels[i].value;
        } else {
            labels[kept++] = labels[i];
        }
    }
    return kept;
}
