/*
 * template_json.c - fromJson: a JSON text as maps, lists and plain values. What is no JSON is nil, without an
 * error.
 *
 * As in Go, all numbers are floats, of equal keys the last one counts, and bytes that are no UTF-8 read as
 * U+FFFD.
 */
#include <stdlib.h>

#include "base/json.h"
#include "query/gonum.h"
#include "query/template_int.h"

struct maker {
    struct lp_arena *ar;
    const struct lp_json *nodes;
};

/* A key with the place of its value, which decides between equal ones. */
struct keyed {
    struct lp_tentry entry;
    uint32_t at;
};

static bool make(const struct maker *m, uint32_t at, struct lp_tval *ret);

static int
by_key(const void *a, const void *b)
{
    const struct keyed *x = a, *y = b;
    int cmp = lp_str_cmp(x->entry.key, y->entry.key);
    return cmp != 0 ? cmp : x->at < y->at ? -1 : 1;
}

static bool
make_list(const struct maker *m, uint32_t at, struct lp_tval *ret)
{
    const struct lp_json *node = &m->nodes[at];
    struct lp_tval *items = lp_arena_array(m->ar, node->count, sizeof(*items));
    if (items == NULL) {
        return false;
    }
    for (uint32_t i = 0, child = at + 1; i < node->count; i++, child = m->nodes[child].next) {
        if (!make(m, child, &items[i])) {
            return false;
        }
    }
    *ret = (struct lp_tval){.kind = TV_LIST, .list = {items, node->count}};
    return true;
}

static bool
make_map(const struct maker *m, uint32_t at, struct lp_tval *ret)
{
    const struct lp_json *node = &m->nodes[at];
    struct keyed *keyed = lp_arena_array(m->ar, node->count, sizeof(*keyed));
    struct lp_tentry *entries = lp_arena_array(m->ar, node->count, sizeof(*entries));
    size_t n = 0;
    if (keyed == NULL || entries == NULL) {
        return false;
    }
    for (uint32_t i = 0, child = at + 1; i < node->count; i++, child = m->nodes[child].next) {
        keyed[i].at = child;
        if (!lp_arena_str(m->ar, m->nodes[child].key, &keyed[i].entry.key) ||
            !make(m, child, &keyed[i].entry.value)) {
            return false;
        }
    }
    if (node->count > 0) {
        qsort(keyed, node->count, sizeof(*keyed), by_key);
    }
    for (uint32_t i = 0; i < node->count; i++) {
        bool last = i + 1 == node->count || !lp_str_eq(keyed[i].entry.key, keyed[i + 1].entry.key);
        if (last) {
            entries[n++] = keyed[i].entry;
        }
    }
    *ret = (struct lp_tval){.kind = TV_MAP, .map = {entries, n}};
    return true;
}

/* The parser bounds the depth, LP_JSON_DEPTH_MAX. */
static bool
make(const struct maker *m, uint32_t at, struct lp_tval *ret)
{
    const struct lp_json *node = &m->nodes[at];
    struct lp_str s;
    double f;
    switch (node->type) {
    case LP_JSON_ARRAY:
        return make_list(m, at, ret);
    case LP_JSON_OBJECT:
        return make_map(m, at, ret);
    case LP_JSON_STRING:
        if (!lp_arena_str(m->ar, node->text, &s)) { /* the parser is used again */
            return false;
        }
        *ret = lp_tv_str(s);
        break;
    case LP_JSON_NUMBER:
        *ret = lp_go_float(node->text, &f) ? lp_tv_float(f) : (struct lp_tval){.kind = TV_NIL};
        break;
    case LP_JSON_BOOL:
        *ret = lp_tv_bool(node->is_true);
        break;
    case LP_JSON_NULL:
        *ret = (struct lp_tval){.kind = TV_NIL};
        break;
    }
    return true;
}

static bool
fn_from_json(const struct lp_tcall *c, struct lp_tval *ret)
{
    struct lp_arena *ar = c->x->ar;
    struct lp_str text = lp_utf8_replace(ar, c->args[0].s);
    char *padded = lp_arena_bytes(ar, text.n + LP_JSON_PAD);
    bool fits = padded != NULL && (text.p != NULL || c->args[0].s.n == 0);
    *ret = (struct lp_tval){.kind = TV_NIL};
    if (fits && text.n > 0 && lp_trun_charge(c->x, text.n * 8)) {
        struct lp_json_parser *p = lp_template_json(c->x->t);
        struct lp_json_doc doc;
        memcpy(padded, text.p, text.n);
        memset(padded + text.n, 0, LP_JSON_PAD);
        if (lp_json_parse(p, lp_str_of(padded, text.n), &doc, NULL) == LP_OK) {
            fits = make(&(struct maker){ar, doc.nodes}, 0, ret);
        }
        lp_template_json_done(c->x->t, p);
    }
    return fits ? c->x->rc == LP_OK : lp_trun_limit(c->x, "needs more memory than it may have");
}

const struct lp_tfunc lp_tfuncs_json[] = {
    {"fromJson", "s", fn_from_json, 0},
    {NULL, NULL, NULL, 0},
};
