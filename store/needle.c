/*
 * needle.c - cutting needles, and what can be told from a column's head. See needle.h. Pure functions.
 */
#include "store/needle.h"

#include <string.h>

#include "base/find.h"
#include "store/bitmap.h"
#include "store/split.h"
#include "store/tables.h"

/* --- cutting --- */

static uint8_t
op_of(bool open_left, bool open_right)
{
    return open_left    ? (open_right ? LP_FRAG_INFIX : LP_FRAG_SUFFIX)
           : open_right ? LP_FRAG_PREFIX
                        : LP_FRAG_EQUAL;
}

static void
set_number(struct lp_fragment *f)
{
    f->is_number = f->text.n > 0 && f->text.n <= LP_INT_DIGITS_MAX;
    for (size_t i = 0; i < f->text.n && f->is_number; i++) {
        f->is_number = f->text.p[i] >= '0' && f->text.p[i] <= '9';
        f->number = f->number * 10 + (uint64_t)(f->text.p[i] - '0');
    }
}

static void
cut_at(const char *text, size_t n, const uint16_t *edges, struct lp_cut_needle *ret)
{
    char *shape = (char *)(uintptr_t)ret->shape.p;
    size_t at = 0, out = 0;
    for (uint32_t i = 0; i < ret->nfrags; i++) {
        size_t begin = edges[2 * i], end = edges[2 * i + 1];
        memcpy(shape + out, text + at, begin - at);
        out += begin - at;
        shape[out++] = LP_SHAPE_MARK;
        at = end;
        struct lp_fragment *f = &ret->frags[i];
        *f = (struct lp_fragment){.text = lp_str_of(text + begin, end - begin),
                                  .op = op_of(begin == 0, end == n),
                                  .icase = ret->icase};
        f->id_hash = lp_id_hash(f->text);
        set_number(f);
    }
    memcpy(shape + out, text + at, n - at);
    ret->shape.n = out + n - at;
}

bool
lp_needle_cut(const struct lp_needle *n, struct lp_arena *ar, struct lp_cut_needle *ret)
{
    uint16_t *edges = lp_malloc((2 * LP_SHAPE_TOKENS_MAX + 64) * sizeof(*edges));
    char *text = lp_arena_bytes(ar, n->text.n + LP_SPLIT_PAD), *shape = lp_arena_bytes(ar, n->text.n + 1);
    *ret = (struct lp_cut_needle){.text = n->text, .icase = n->icase, .shape = lp_str_of(shape, 0)};
    bool ok = text != NULL && shape != NULL;
    if (ok) {
        memcpy(text, n->text.p, n->text.n);
        memset(text + n->text.n, 0, LP_SPLIT_PAD);
        size_t nedges = lp_split(text, n->text.n, edges, 2 * LP_SHAPE_TOKENS_MAX);
        ret->whole = nedges == SIZE_MAX;
        ret->nfrags = ret->whole ? 0 : (uint32_t)(nedges / 2);
        ret->frags = lp_arena_array(ar, ret->nfrags, sizeof(*ret->frags));
        ok = ret->frags != NULL;
    }
    if (ok && !ret->whole) {
        cut_at(text, n->text.n, edges, ret);
    }
    lp_free(edges);
    return ok;
}

/* --- cells --- */

bool
lp_has_high(struct lp_str s)
{
    return !lp_all_ascii(s);
}

static bool
same(const char *a, const char *lower, size_t n, bool icase)
{
    if (!icase) {
        return memcmp(a, lower, n) == 0;
    }
    for (size_t i = 0; i < n; i++) {
        char c = a[i];
        if ((char)(c | (c >= 'A' && c <= 'Z' ? 0x20 : 0)) != lower[i]) {
            return false;
        }
    }
    return true;
}

bool
lp_fragment_in(const struct lp_fragment *f, struct lp_str cell)
{
    if (cell.n < f->text.n) {
        return false;
    }
    switch (f->op) {
    case LP_FRAG_EQUAL:
        return cell.n == f->text.n && same(cell.p, f->text.p, f->text.n, f->icase);
    case LP_FRAG_PREFIX:
        return same(cell.p, f->text.p, f->text.n, f->icase);
    case LP_FRAG_SUFFIX:
        return same(cell.p + cell.n - f->text.n, f->text.p, f->text.n, f->icase);
    default:
        return (f->icase ? lp_find_icase(cell, f->text) : lp_find(cell, f->text)) != SIZE_MAX;
    }
}

static bool
in_set(const uint8_t set[32], struct lp_str text, bool icase)
{
    for (size_t i = 0; i < text.n; i++) {
        uint8_t c = (uint8_t)text.p[i];
        bool letter = icase && c >= 'a' && c <= 'z';
        if (!lp_set_has(set, c) && !(letter && lp_set_has(set, (uint8_t)(c - 0x20)))) {
            return false;
        }
    }
    return true;
}

bool
lp_needle_in_set(const struct lp_cut_needle *n, const uint8_t set[32])
{
    return in_set(set, n->text, n->icase);
}

/* --- columns --- */

static enum lp_column_says
test_dict(const struct lp_column *col, const struct lp_fragment *f, bool high, struct lp_arena *ar,
          uint64_t **ret_codes)
{
    uint32_t hits = 0;
    uint64_t *codes = NULL;
    if (!high && (f->text.n > col->max || !in_set(col->set, f->text, f->icase))) {
        return LP_CELLS_NONE;
    }
    /* values lie behind each other with their lengths between: one search over all tells most dictionaries
     * off */
    const struct lp_str *last = &col->values[col->nvalues - 1];
    struct lp_str all = lp_str_of(col->values[0].p, (size_t)(last->p + last->n - col->values[0].p));
    if (!high && (f->icase ? lp_find_icase(all, f->text) : lp_find(all, f->text)) == SIZE_MAX) {
        return LP_CELLS_NONE;
    }
    for (uint32_t i = 0; i < col->nvalues; i++) {
        if (!lp_fragment_in(f, col->values[i]) && !(high && lp_has_high(col->values[i]))) {
            continue;
        }
        if (codes == NULL) {
            codes = lp_arena_zalloc(ar, lp_bits_words(col->nvalues) * sizeof(*codes));
            if (codes == NULL) {
                return LP_CELLS_SOME;
            }
        }
        lp_bit_set(codes, i);
        hits++;
    }
    *ret_codes = codes;
    return hits == 0 ? LP_CELLS_NONE : hits == col->nvalues ? LP_CELLS_ALL : LP_CELLS_SOME;
}

static enum lp_column_says
test_int(const struct lp_column *col, const struct lp_fragment *f)
{
    if (!f->is_number) {
        return LP_CELLS_NONE;
    }
    if (f->op != LP_FRAG_EQUAL) {
        return LP_CELLS_SOME;
    }
    bool form = col->digits != 0 ? f->text.n == col->digits : f->text.n == lp_digits_of(f->number);
    return form && f->number >= col->min && f->number <= col->max ? LP_CELLS_SOME : LP_CELLS_NONE;
}

enum lp_column_says
lp_column_test(const struct lp_column *col, const struct lp_fragment *f, bool high, struct lp_arena *ar,
               uint64_t **ret_codes, bool *ret_equal)
{
    size_t most = col->cell_max;
    *ret_codes = NULL;
    *ret_equal = f->op == LP_FRAG_EQUAL || f->text.n == most;
    if (col->type == LP_COL_CONST) {
        return lp_fragment_in(f, col->value) || (high && lp_has_high(col->value)) ? LP_CELLS_ALL
                                                                                  : LP_CELLS_NONE;
    }
    if (col->type == LP_COL_DICT) {
        return test_dict(col, f, high, ar, ret_codes);
    }
    if (col->type == LP_COL_BYTES && high) {
        for (unsigned i = 16; i < 32; i++) {
            if (col->set[i] != 0) {
                *ret_equal = false; /* cells that RE2 may fold otherwise than byte by byte */
                return LP_CELLS_SOME;
            }
        }
    }
    if (f->text.n > most || (f->op == LP_FRAG_EQUAL && col->type != LP_COL_INT && f->text.n < col->min)) {
        return LP_CELLS_NONE;
    }
    if (col->type == LP_COL_INT) {
        return test_int(col, f);
    }
    uint8_t set[32] = {0};
    lp_column_bytes(col, set);
    return in_set(set, f->text, f->icase) ? LP_CELLS_SOME : LP_CELLS_NONE;
}
