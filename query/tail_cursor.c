/*
 * tail_cursor.c - a tail's place as text and back.
 *
 *     1-STORE-SEALED[-SOURCE.NEXT[.FIRST.TIME.STREAM.ORDINAL]]...
 *
 * All numbers are hexadecimal. It is opaque to clients, and may change with the version that it begins with.
 * Bytes from outside: nothing is believed but that it is well formed; what a wrong cursor leads to is at
 * worst a place that the client did not want.
 */
#include <string.h>

#include "base/bytes.h"
#include "query/tail.h"

#define VERSION "1"
#define SOURCES_MAX 10000u

void
lp_tail_cursor_clear(struct lp_tail_cursor *c)
{
    lp_free(c->v);
    *c = (struct lp_tail_cursor){.sealed = 0};
}

static uint64_t
store_number(const struct lp_uuid *store)
{
    uint64_t n;
    memcpy(&n, store->b, sizeof(n));
    return n;
}

/* --- what it says --- */

static struct lp_tail_source *
find(const struct lp_tail_cursor *c, uint64_t source)
{
    for (size_t i = 0; i < c->n; i++) {
        if (c->v[i].source == source) {
            return &c->v[i];
        }
    }
    return NULL;
}

static struct lp_tail_source *
find_or_add(struct lp_tail_cursor *c, uint64_t source)
{
    struct lp_tail_source *s = find(c, source);
    if (s == NULL) {
        if (c->n == c->cap) {
            c->cap = c->cap ? c->cap * 2 : 8;
            c->v = lp_realloc(c->v, c->cap * sizeof(*c->v));
        }
        s = &c->v[c->n++];
        *s = (struct lp_tail_source){.source = source};
    }
    return s;
}

const struct lp_tail_source *
lp_tail_cursor_of(const struct lp_tail_cursor *c, uint64_t source)
{
    return find(c, source);
}

void
lp_tail_cursor_put(struct lp_tail_cursor *c, uint64_t source, uint64_t next, uint64_t generation)
{
    struct lp_tail_source *s = find_or_add(c, source);
    if (next >= s->next) { /* else it was behind us before, and so may be later generations */
        s->next = next;
        s->generation = generation;
    }
    s->inside = s->inside && s->row.first >= s->next;
}

void
lp_tail_cursor_inside(struct lp_tail_cursor *c, uint64_t source, const struct lp_tail_row *row,
                      uint64_t generation)
{
    struct lp_tail_source *s = find_or_add(c, source);
    s->generation = generation;
    s->inside = true;
    s->row = *row;
}

void
lp_tail_cursor_leave(struct lp_tail_cursor *c)
{
    struct lp_tail_source *s = find(c, LP_TAIL_MERGED);
    if (s != NULL) {
        *s = c->v[--c->n];
    }
}

void
lp_tail_cursor_seal(struct lp_tail_cursor *c, uint64_t generation)
{
    size_t kept = 0;
    c->sealed = LP_MAX(c->sealed, generation);
    for (size_t i = 0; i < c->n; i++) {
        if (c->v[i].generation > c->sealed) {
            c->v[kept++] = c->v[i];
        }
    }
    c->n = kept;
}

/* --- text --- */

static void
put_hex(struct lp_buf *out, char before, uint64_t n)
{
    lp_buf_printf(out, "%c%llx", before, (unsigned long long)n);
}

void
lp_tail_cursor_text(const struct lp_tail_cursor *c, const struct lp_uuid *store, struct lp_buf *out)
{
    lp_buf_c(out, VERSION);
    put_hex(out, '-', store_number(store));
    put_hex(out, '-', c->sealed);
    for (size_t i = 0; i < c->n; i++) {
        const struct lp_tail_row *r = &c->v[i].row;
        put_hex(out, '-', c->v[i].source);
        put_hex(out, '.', c->v[i].next);
        if (c->v[i].inside) {
            put_hex(out, '.', r->first);
            put_hex(out, '.', (uint64_t)r->time_ns);
            lp_buf_printf(out, ".%016llx%016llx", (unsigned long long)r->stream.hi,
                          (unsigned long long)r->stream.lo);
            put_hex(out, '.', r->ordinal);
        }
    }
}

static bool
take_row(struct lp_str s, struct lp_tail_row *r)
{
    uint64_t time = 0;
    bool ok = lp_str_hex(lp_str_cut(&s, '.'), &r->first) && lp_str_hex(lp_str_cut(&s, '.'), &time);
    struct lp_str stream = lp_str_cut(&s, '.');
    r->time_ns = (int64_t)time;
    return ok && stream.n == 32 && lp_str_hex(lp_str_sub(stream, 0, 16), &r->stream.hi) &&
           lp_str_hex(lp_str_sub(stream, 16, 32), &r->stream.lo) && lp_str_hex(s, &r->ordinal);
}

static bool
take_source(struct lp_str s, struct lp_tail_cursor *ret)
{
    uint64_t source, next;
    struct lp_tail_row row;
    if (ret->n >= SOURCES_MAX || !lp_str_hex(lp_str_cut(&s, '.'), &source) || find(ret, source) != NULL ||
        !lp_str_hex(lp_str_cut(&s, '.'), &next)) {
        return false;
    }
    lp_tail_cursor_put(ret, source, next, UINT64_MAX);
    if (s.p == NULL) {
        return true;
    }
    bool ok = take_row(s, &row);
    if (ok) {
        lp_tail_cursor_inside(ret, source, &row, UINT64_MAX);
    }
    return ok;
}

static bool
take_sources(struct lp_str rest, struct lp_tail_cursor *ret)
{
    bool ok = true;
    while (rest.p != NULL && ok) {
        ok = take_source(lp_str_cut(&rest, '-'), ret);
    }
    return ok;
}

lp_rc
lp_tail_cursor_parse(struct lp_str text, const struct lp_uuid *store, struct lp_tail_cursor *ret,
                     struct lp_err *err)
{
    uint64_t number;
    *ret = (struct lp_tail_cursor){.sealed = 0};
    if (!lp_str_eqc(lp_str_cut(&text, '-'), VERSION) || !lp_str_hex(lp_str_cut(&text, '-'), &number)) {
        return lp_err_set(err, LP_ERR_PARSE,
                          "could not parse 'cursor' parameter: it is none of this version");
    }
    if (number != store_number(store)) {
        return lp_err_set(err, LP_ERR_PARSE, "the cursor is of another store");
    }
    if (!lp_str_hex(lp_str_cut(&text, '-'), &ret->sealed) || !take_sources(text, ret)) {
        return lp_err_set(err, LP_ERR_PARSE, "could not parse 'cursor' parameter: it is not whole");
    }
    return LP_OK;
}
