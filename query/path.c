/*
 * path.c - taking the paths of json and logfmt expressions apart. Pure but for the arena; no recursion.
 */
#include "query/path.h"

#include "query/text.h"

struct reader {
    struct lp_str s;
    size_t at;
    struct lp_arena *ar;
    struct lp_err *err;
};

#define AT_END (-1)

/* The next byte that is no blank, or AT_END. */
static int
peek(struct reader *r)
{
    while (r->at < r->s.n && (r->s.p[r->at] == ' ' || r->s.p[r->at] == '\t' || r->s.p[r->at] == '\n')) {
        r->at++;
    }
    return r->at < r->s.n ? (uint8_t)r->s.p[r->at] : AT_END;
}

static lp_rc
fail(struct reader *r, const char *expected)
{
    char room[64];
    if (r->at >= r->s.n) {
        return lp_err_set(r->err, LP_ERR_PARSE, "it ends where %s was expected", expected);
    }
    return lp_err_set(r->err, LP_ERR_PARSE, "found %s where %s was expected",
                      lp_text_clip(lp_str_sub(r->s, r->at, r->s.n), 16, room), expected);
}

static lp_rc
read_field(struct reader *r, struct lp_str *ret)
{
    size_t from = r->at;
    while (r->at < r->s.n && lp_text_name_byte(r->s.p[r->at], r->at == from)) {
        r->at++;
    }
    *ret = lp_str_sub(r->s, from, r->at);
    return r->at > from ? LP_OK : fail(r, "a field name");
}

/* The text between the quote at `at` and the next one. */
static lp_rc
read_quoted(struct reader *r, struct lp_str *ret)
{
    size_t from = ++r->at, escapes = 0;
    while (r->at < r->s.n && r->s.p[r->at] != '"') {
        bool escape = r->s.p[r->at] == '\\' && r->at + 1 < r->s.n;
        escapes += escape;
        r->at += escape ? 2 : 1;
    }
    if (r->at >= r->s.n) {
        r->at = r->s.n;
        return fail(r, "a closing quote");
    }
    *ret = lp_str_sub(r->s, from, r->at++);
    if (escapes == 0) {
        return LP_OK;
    }
    char *out = lp_arena_bytes(r->ar, ret->n);
    size_t n = 0;
    if (out == NULL) {
        return lp_err_set(r->err, LP_ERR_LIMIT, "the query needs more memory than it may have");
    }
    for (size_t i = 0; i < ret->n; i++) {
        i += ret->p[i] == '\\' && i + 1 < ret->n;
        out[n++] = ret->p[i];
    }
    *ret = lp_str_of(out, n);
    return LP_OK;
}

/* ["key"] or [7], the bracket at `at`. */
static lp_rc
read_bracket(struct reader *r, struct lp_path_step *ret)
{
    r->at++;
    lp_rc rc = LP_OK;
    if (peek(r) == '"') {
        rc = read_quoted(r, &ret->key);
    } else {
        size_t from = r->at;
        while (r->at < r->s.n && r->s.p[r->at] >= '0' && r->s.p[r->at] <= '9') {
            r->at++;
        }
        ret->is_index = true;
        if (!lp_str_u64(lp_str_sub(r->s, from, r->at), &ret->index)) {
            rc = fail(r, "an array index or a quoted key");
        }
    }
    if (rc == LP_OK && peek(r) != ']') {
        rc = fail(r, "]");
    }
    r->at++;
    return rc;
}

lp_rc
lp_path_json(struct lp_str expr, struct lp_arena *ar, struct lp_path_step **ret, size_t *ret_n,
             struct lp_err *err)
{
    struct reader r = {.s = expr, .ar = ar, .err = err};
    struct lp_path_step *steps = NULL;
    size_t n = 0, cap = 0;
    for (int c = peek(&r); n == 0 || c != AT_END; c = peek(&r)) {
        struct lp_path_step step = {.is_index = false};
        lp_rc rc;
        if (c == '[') {
            rc = read_bracket(&r, &step);
        } else if (n == 0) {
            rc = read_field(&r, &step.key);
        } else if (c == '.') {
            r.at++;
            (void)peek(&r); /* blanks */
            rc = read_field(&r, &step.key);
        } else {
            rc = fail(&r, "a dot or [");
        }
        if (rc != LP_OK) {
            return rc;
        }
        struct lp_path_step *grown = lp_arena_grow(ar, steps, &cap, n + 1, sizeof(*steps));
        if (grown == NULL) {
            return lp_err_set(err, LP_ERR_LIMIT, "the query needs more memory than it may have");
        }
        steps = grown;
        steps[n++] = step;
    }
    *ret = steps;
    *ret_n = n;
    return LP_OK;
}

lp_rc
lp_path_logfmt(struct lp_str expr, struct lp_arena *ar, struct lp_path_step **ret, size_t *ret_n,
               struct lp_err *err)
{
    struct reader r = {.s = expr, .ar = ar, .err = err};
    struct lp_path_step *step = lp_arena_zalloc(ar, sizeof(*step));
    if (step == NULL) {
        return lp_err_set(err, LP_ERR_LIMIT, "the query needs more memory than it may have");
    }
    lp_rc rc = peek(&r) == '"' ? read_quoted(&r, &step->key) : read_field(&r, &step->key);
    if (rc == LP_OK && peek(&r) != AT_END) {
        rc = fail(&r, "its end (a key with other characters stands in quotes)");
    }
    if (rc == LP_OK) {
        *ret = step;
        *ret_n = 1;
    }
    return rc;
}
