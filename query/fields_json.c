/*
 * fields_json.c - JSON lines read forgivingly: one walk over the bytes, no document is built.
 *
 * A line may break off, or go on behind its object; a comma may stand before a closing bracket; numbers are
 * whatever stands there. So the answer is what Loki's users see. Depth is bounded; nothing outside the line
 * is read.
 */
#include <string.h>

#include "query/fields_int.h"

struct cursor {
    const char *p, *end;
};

enum kind { STRING, NUMBER, TRUTH, NOTHING, OBJECT, ARRAY };

struct value {
    enum kind kind;
    struct lp_str text; /* STRING: between the quotes, escapes as they stand; else all of it */
    bool escaped;
};

static void
skip_blanks(struct cursor *c)
{
    while (c->p < c->end && (*c->p == ' ' || *c->p == '\t' || *c->p == '\n' || *c->p == '\r')) {
        c->p++;
    }
}

/* Behind the opening quote: moves behind the closing one. */
static bool
skip_string(struct cursor *c, bool *ret_escaped)
{
    *ret_escaped = false;
    while (c->p < c->end) {
        const char *quote = memchr(c->p, '"', (size_t)(c->end - c->p));
        if (quote == NULL) {
            return false;
        }
        const char *slash = memchr(c->p, '\\', (size_t)(quote - c->p));
        if (slash == NULL) {
            c->p = quote + 1;
            return true;
        }
        *ret_escaped = true;
        c->p = slash + 2; /* the escaped byte is passed over, a quote, too */
    }
    return false;
}

/* At a bracket: moves behind the one that closes it. Others are not looked at. */
static bool
skip_block(struct cursor *c, char open, char close)
{
    size_t depth = 0;
    bool escaped;
    while (c->p < c->end) {
        char b = *c->p++;
        if (b == '"') {
            if (!skip_string(c, &escaped)) {
                return false;
            }
        } else if (b == open) {
            depth++;
        } else if (b == close && --depth == 0) {
            return true;
        }
    }
    return false;
}

static bool
is_word(struct lp_str s, struct value *v)
{
    if (lp_str_eqc(s, "true") || lp_str_eqc(s, "false")) {
        v->kind = TRUTH;
        return true;
    }
    v->kind = lp_str_eqc(s, "null") ? NOTHING : NUMBER;
    return v->kind == NOTHING || s.p[0] == '-' || (s.p[0] >= '0' && s.p[0] <= '9');
}

static lp_rc
broken(const char *what, struct lp_err *err)
{
    return lp_err_set(err, LP_ERR_PARSE, "%s", what);
}

/* The value that begins at the cursor, which moves behind it. */
static lp_rc
read_value(struct cursor *c, struct value *v, struct lp_err *err)
{
    skip_blanks(c);
    const char *begin = c->p;
    v->escaped = false;
    if (c->p == c->end) {
        return broken("a value is missing", err);
    }
    switch (*begin) {
    case '"':
        c->p++;
        v->kind = STRING;
        if (!skip_string(c, &v->escaped)) {
            return broken("a string has no closing quote", err);
        }
        v->text = lp_str_of(begin + 1, (size_t)(c->p - begin) - 2);
        return LP_OK;
    case '{':
        v->kind = OBJECT;
        if (!skip_block(c, '{', '}')) {
            return broken("an object has no closing bracket", err);
        }
        break;
    case '[':
        v->kind = ARRAY;
        if (!skip_block(c, '[', ']')) {
            return broken("an array has no closing bracket", err);
        }
        break;
    default:
        while (c->p < c->end && memchr(" \t\n\r,}]", *c->p, 7) == NULL) {
            c->p++;
        }
        if (c->p == begin || !is_word(lp_str_of(begin, (size_t)(c->p - begin)), v)) {
            return broken("something that is no value", err);
        }
    }
    v->text = lp_str_of(begin, (size_t)(c->p - begin));
    return LP_OK;
}

/* The value's text as a label has it. Bad escapes make it empty. */
static struct lp_str
text_of(const struct value *v, struct lp_buf *text)
{
    struct lp_str s = v->text;
    lp_buf_reset(text);
    if (v->kind == OBJECT || v->kind == ARRAY ||
        !lp_buf_reserve(text, 2 * s.n)) { /* so that it does not move */
        return s;
    }
    if (v->escaped) {
        if (!lp_field_unescape(s, LP_FIELD_JSON, text)) {
            return LP_STR("");
        }
        s = lp_buf_view(text);
    }
    return v->kind == STRING ? lp_field_clean(s, text) : s;
}

/* ------------------------------------------------------------------ members of an object */

struct member {
    struct lp_str key; /* without escapes */
    struct value value;
};

/* The cursor stands where an object may begin: enters it. */
static lp_rc
enter_object(struct cursor *c, struct lp_err *err)
{
    skip_blanks(c);
    if (c->p == c->end || *c->p != '{') {
        return broken("the line is no JSON object", err);
    }
    c->p++;
    return LP_OK;
}

/* The next member; *ret_more false behind the last. key_room is for a key with escapes. */
static lp_rc
next_member(struct cursor *c, bool first, struct lp_buf *key_room, struct member *m, bool *ret_more,
            struct lp_err *err)
{
    bool escaped;
    skip_blanks(c);
    if (!first && c->p < c->end && *c->p == ',') {
        c->p++;
        skip_blanks(c);
    } else if (!first && c->p < c->end && *c->p != '}') {
        return broken("a comma is missing between members", err);
    }
    if (c->p == c->end) {
        return broken("an object has no closing bracket", err);
    }
    *ret_more = *c->p != '}';
    if (!*ret_more) {
        return LP_OK;
    }
    const char *begin = c->p;
    if (*c->p++ != '"' || !skip_string(c, &escaped)) {
        return broken("a member has no key", err);
    }
    m->key = lp_str_of(begin + 1, (size_t)(c->p - begin) - 2);
    if (escaped) {
        lp_buf_reset(key_room);
        if (!lp_field_unescape(m->key, LP_FIELD_JSON, key_room)) {
            return broken("a key has a bad escape", err);
        }
        m->key = lp_buf_view(key_room);
    }
    skip_blanks(c);
    if (c->p == c->end || *c->p != ':') {
        return broken("a key has no value", err);
    }
    c->p++;
    return read_value(c, &m->value, err);
}

/* ------------------------------------------------------------------ all fields */

struct walk {
    struct lp_buf *keys, *text;
    lp_field_want_fn wants;
    lp_field_fn fn;
    void *arg;
    unsigned depth;
    bool raw, ended;
};

/* As it stands, quotes included. */
static struct lp_str
raw_of(const struct value *v)
{
    return v->kind == STRING ? lp_str_of(v->text.p - 1, v->text.n + 2) : v->text;
}

/* Appends a part of a name to w->keys, behind what stands there of the parts above. */
static void
push_name(struct walk *w, struct lp_str key)
{
    if (lp_str_trim(key).n > 0) {
        if (w->keys->n > 0) {
            lp_buf_byte(w->keys, '_');
        }
        lp_field_name(key, w->keys);
    }
}

static lp_rc
walk_object(struct walk *w, struct cursor *c, struct lp_err *err)
{
    struct member m;
    bool more = true;
    const size_t prefix = w->keys->n;
    lp_rc rc = enter_object(c, err);
    if (rc == LP_OK && ++w->depth > LP_FIELDS_DEPTH_MAX) {
        return broken("objects are nested too deep", err);
    }
    for (bool first = true; rc == LP_OK && more && !w->ended; first = false) {
        rc = next_member(c, first, w->text, &m, &more, err);
        if (rc != LP_OK || !more || m.value.kind == ARRAY || m.value.kind == NOTHING) {
            continue;
        }
        push_name(w, m.key);
        if (m.value.kind == OBJECT) {
            struct cursor inner = {m.value.text.p, m.value.text.p + m.value.text.n};
            rc = walk_object(w, &inner, err);
        } else if (w->keys->n > 0 && (w->wants == NULL || w->wants(w->arg, lp_buf_view(w->keys)))) {
            struct lp_str value = w->raw ? raw_of(&m.value) : text_of(&m.value, w->text);
            w->ended = !w->fn(w->arg, lp_buf_view(w->keys), value);
        }
        w->keys->n = prefix;
    }
    w->depth--;
    return rc;
}

lp_rc
lp_fields_json(struct lp_str line, struct lp_buf *keys, struct lp_buf *text, lp_field_want_fn wants,
               lp_field_fn fn, void *arg, struct lp_err *err)
{
    struct walk w = {.keys = keys, .text = text, .wants = wants, .fn = fn, .arg = arg};
    struct cursor c = {line.p, line.p + line.n};
    lp_buf_reset(keys);
    return walk_object(&w, &c, err);
}

lp_rc
lp_fields_json_raw(struct lp_str line, struct lp_buf *keys, struct lp_buf *text, lp_field_want_fn wants,
                   lp_field_fn fn, void *arg, struct lp_err *err)
{
    struct walk w = {.keys = keys, .text = text, .wants = wants, .fn = fn, .arg = arg, .raw = true};
    struct cursor c = {line.p, line.p + line.n};
    lp_buf_reset(keys);
    return walk_object(&w, &c, err);
}

lp_rc
lp_fields_json_members(struct lp_str line, struct lp_buf *text, lp_field_want_fn wants, lp_field_fn fn,
                       void *arg, struct lp_err *err)
{
    struct cursor c = {line.p, line.p + line.n};
    struct member m;
    bool more = true;
    lp_rc rc = enter_object(&c, err);
    for (bool first = true; rc == LP_OK && more; first = false) {
        rc = next_member(&c, first, text, &m, &more, err);
        if (rc == LP_OK && more && wants(arg, m.key)) {
            more = fn(arg, m.key, raw_of(&m.value));
        }
    }
    return rc;
}

lp_rc
lp_fields_json_strings(struct lp_str line, struct lp_buf *keys, struct lp_buf *text, lp_field_fn fn,
                       void *arg, struct lp_err *err)
{
    struct cursor c = {line.p, line.p + line.n};
    struct member m;
    bool more = true;
    lp_rc rc = enter_object(&c, err);
    for (bool first = true; rc == LP_OK && more; first = false) {
        rc = next_member(&c, first, text, &m, &more, err);
        if (rc == LP_OK && more && m.value.kind == STRING) {
            lp_buf_reset(keys);
            lp_field_name(m.key, keys);
            more = keys->n == 0 || fn(arg, lp_buf_view(keys), text_of(&m.value, text));
        }
    }
    return rc;
}

/* ------------------------------------------------------------------ one place */

static lp_rc
not_there(struct lp_err *err)
{
    return lp_err_set(err, LP_ERR_NOT_FOUND, "there is no such field");
}

/* The first member with this key. */
static lp_rc
find_key(struct cursor c, struct lp_str key, struct lp_buf *room, struct value *ret, struct lp_err *err)
{
    struct member m;
    bool more = true;
    lp_rc rc = enter_object(&c, err);
    for (bool first = true; rc == LP_OK && more; first = false) {
        m.key = LP_STR_NULL;
        rc = next_member(&c, first, room, &m, &more, err);
        if (more && m.key.p != NULL && lp_str_eq(m.key, key)) {
            *ret = m.value;
            return rc; /* broken right there is told; what breaks before or behind is not */
        }
    }
    return not_there(err);
}

static lp_rc
find_index(struct cursor c, uint64_t index, struct value *ret, struct lp_err *err)
{
    lp_rc rc = LP_OK;
    c.p++;
    for (uint64_t i = 0; rc == LP_OK; i++) {
        skip_blanks(&c);
        if (c.p == c.end || *c.p == ']') {
            break;
        }
        rc = read_value(&c, ret, err);
        if (rc == LP_OK && i == index) {
            return LP_OK;
        }
        skip_blanks(&c);
        if (c.p == c.end || *c.p != ',') {
            break;
        }
        c.p++;
    }
    return not_there(err);
}

lp_rc
lp_fields_json_path(struct lp_str line, const struct lp_path_step *steps, size_t nsteps, struct lp_buf *text,
                    struct lp_str *ret, struct lp_err *err)
{
    struct value v = {.text = line};
    struct cursor c = {line.p, line.p + line.n};
    skip_blanks(&c);
    v.kind = c.p < c.end && *c.p == '{' ? OBJECT : c.p < c.end && *c.p == '[' ? ARRAY : STRING;
    for (size_t i = 0; i < nsteps; i++) {
        enum kind needed = steps[i].is_index ? ARRAY : OBJECT;
        if (v.kind != needed) {
            return not_there(err);
        }
        lp_rc rc = steps[i].is_index ? find_index(c, steps[i].index, &v, err)
                                     : find_key(c, steps[i].key, text, &v, err);
        if (rc != LP_OK) {
            return rc;
        }
        c = (struct cursor){v.text.p, v.text.p + v.text.n};
    }
    if (v.kind == NOTHING) {
        return not_there(err);
    }
    *ret = text_of(&v, text);
    return LP_OK;
}
