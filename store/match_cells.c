/*
 * match_cells.c - asking the cells of a column: those chunks that hold candidates, each in the way that suits
 * its type and how many candidates there are.
 *
 * Where most rows are candidates, bytes and packed hex digits are searched as one text and hits are mapped to
 * rows; a hit is only a hint there, the cell itself decides. Few candidates are asked one by one.
 */
#include <string.h>

#include "base/find.h"
#include "store/match_int.h"

#define DENSE 8u /* more than a row in eight is worth searching all */

struct asking {
    const struct lp_column *col;
    const struct lp_condition *cond;
    const struct lp_chunk *ch;
    uint64_t *rows; /* of the table */
    char *cell;
};

/* Bits [first, end) of word w. */
static uint64_t
mask_of(uint32_t w, uint32_t first, uint32_t end)
{
    uint64_t m = UINT64_MAX;
    m &= first > w * 64 ? UINT64_MAX << (first - w * 64) : UINT64_MAX;
    return end < w * 64 + 64 ? m & ((UINT64_C(1) << (end - w * 64)) - 1) : m;
}

static uint32_t
count_bits(const uint64_t *v, uint32_t first, uint32_t end)
{
    uint32_t n = 0;
    for (uint32_t w = first / 64; w * 64 < end; w++) {
        n += (uint32_t)__builtin_popcountll(v[w] & mask_of(w, first, end));
    }
    return n;
}

static void
clear_bits(uint64_t *v, uint32_t first, uint32_t end)
{
    for (uint32_t w = first / 64; w * 64 < end; w++) {
        v[w] &= ~mask_of(w, first, end);
    }
}

/* --- one cell --- */

static struct lp_str
cell_of(const struct asking *a, uint32_t i)
{
    if (a->col->type == LP_COL_BYTES) {
        return lp_str_of((const char *)a->ch->p + a->ch->offsets[i],
                         a->ch->offsets[i + 1] - a->ch->offsets[i]);
    }
    return lp_str_of(a->cell, lp_chunk_cell(a->col, a->ch, i, a->cell));
}

static bool
cell_matches(const struct asking *a, uint32_t i)
{
    const struct lp_condition *k = a->cond;
    if (k->codes != NULL) {
        return lp_bit_has(k->codes, lp_chunk_code(a->col, a->ch, i));
    }
    if (a->col->type == LP_COL_INT && k->frag->op == LP_FRAG_EQUAL) {
        return lp_chunk_number(a->col, a->ch, i) ==
               k->frag->number; /* form and range were checked by the head */
    }
    struct lp_str cell = cell_of(a, i);
    return lp_fragment_in(k->frag, cell) || (k->high && lp_has_high(cell));
}

static void
ask_each(const struct asking *a)
{
    uint32_t first = a->ch->first, end = first + a->ch->rows;
    for (uint32_t w = first / 64; w * 64 < end; w++) {
        uint64_t left = a->rows[w] & mask_of(w, first, end);
        while (left != 0) {
            uint32_t row = w * 64 + (uint32_t)__builtin_ctzll(left);
            left &= left - 1;
            if (!cell_matches(a, row - first)) {
                lp_bit_clear(a->rows, row);
            }
        }
    }
}

/* --- all cells as one text --- */

/* Keeps the candidate `row` if it matches, and takes out those between `done` and it. Returns the row behind
 * it. */
static uint32_t
keep_row(const struct asking *a, uint32_t done, uint32_t i)
{
    uint32_t first = a->ch->first;
    clear_bits(a->rows, first + done, first + i);
    if (lp_bit_has(a->rows, first + i) && !cell_matches(a, i)) {
        lp_bit_clear(a->rows, first + i);
    }
    return i + 1;
}

/* The cell in which the byte at `at` stands. */
static uint32_t
cell_at(const struct lp_chunk *ch, uint32_t lo, size_t at)
{
    uint32_t hi = ch->rows;
    while (hi - lo > 1) {
        uint32_t mid = lo + (hi - lo) / 2;
        if (ch->offsets[mid] <= at) {
            lo = mid;
        } else {
            hi = mid;
        }
    }
    return lo;
}

static void
search_bytes(const struct asking *a)
{
    const struct lp_chunk *ch = a->ch;
    const struct lp_fragment *f = a->cond->frag;
    size_t end = ch->offsets[ch->rows];
    uint32_t done = 0;
    while (done < ch->rows) {
        struct lp_str left = lp_str_of((const char *)ch->p + ch->offsets[done], end - ch->offsets[done]);
        size_t hit = f->icase ? lp_find_icase(left, f->text) : lp_find(left, f->text);
        if (hit == SIZE_MAX) {
            break;
        }
        /* a hit may begin in one cell and end in the next: only cell by cell is it known */
        done = keep_row(a, done, cell_at(ch, done, ch->offsets[done] + hit));
    }
    clear_bits(a->rows, ch->first + done, ch->first + ch->rows);
}

static uint8_t
digit_of(char c)
{
    return (uint8_t)((c & 15) + (c >> 6) * 9);
}

/* Packs the digits from `from` on into whole bytes; returns how many bytes. */
static size_t
pack(struct lp_str text, size_t from, char *out)
{
    size_t n = 0;
    for (size_t i = from; i + 1 < text.n; i += 2) {
        out[n++] = (char)(digit_of(text.p[i]) << 4 | digit_of(text.p[i + 1]));
    }
    return n;
}

/* Rows whose packed digits hold the bytes are kept in `hits` if they match. */
static void
search_packed(const struct asking *a, struct lp_str packed, uint64_t *hits)
{
    const struct lp_chunk *ch = a->ch;
    size_t width = (a->col->digits + 1u) / 2, n = width * ch->rows, at = 0;
    while (at + packed.n <= n) {
        size_t hit = lp_find(lp_str_of((const char *)ch->p + at, n - at), packed);
        if (hit == SIZE_MAX) {
            return;
        }
        uint32_t i = (uint32_t)((at + hit) / width);
        if (lp_bit_has(a->rows, ch->first + i) && cell_matches(a, i)) {
            lp_bit_set(hits, i);
            at = (size_t)(i + 1) * width;
        } else {
            at += hit + 1;
        }
    }
}

/* A fragment inside packed digits stands at an even digit, or at an odd one: two searches. */
static void
search_hex(const struct asking *a)
{
    struct lp_str text = a->cond->frag->text;
    const struct lp_chunk *ch = a->ch;
    char packed[128 + 8];
    uint64_t *hits = lp_calloc(lp_bits_words(ch->rows), sizeof(*hits));
    search_packed(a, lp_str_of(packed, pack(text, 0, packed)), hits);
    if (a->cond->frag->op != LP_FRAG_EQUAL && a->cond->frag->op != LP_FRAG_PREFIX) {
        search_packed(a, lp_str_of(packed, pack(text, 1, packed)), hits);
    }
    LP_DEBUG_ASSERT(ch->first % 64 == 0);
    for (uint32_t w = 0; w * 64 < ch->rows; w++) {
        a->rows[ch->first / 64 + w] &= hits[w] | ~mask_of(w, 0, ch->rows);
    }
    lp_free(hits);
}

static void
ask_chunk(const struct asking *a, uint32_t candidates)
{
    const struct lp_fragment *f = a->cond->frag;
    bool dense = candidates > a->ch->rows / DENSE && !a->cond->high;
    if (dense && a->col->type == LP_COL_BYTES && f->text.n > 0) {
        search_bytes(a);
    } else if (dense && a->col->type == LP_COL_HEX && f->text.n >= 3) { /* a whole byte at either parity */
        search_hex(a);
    } else {
        ask_each(a);
    }
}

lp_rc
lp_match_cells(struct lp_matcher *m, uint32_t table, const struct lp_condition *cond, uint64_t *rows,
               struct lp_err *err)
{
    const struct lp_table *t = &m->s->tables[table];
    const struct lp_column *col = &t->cols[cond->col];
    struct lp_column_data *d = &lp_block_table_data(m->b, m->s, table)[cond->col];
    uint32_t step = col->shared ? col->rows : col->chunk_rows;
    char *cell = lp_malloc(col->cell_max + LP_CONTENT_PAD);
    lp_rc rc = LP_OK;
    for (uint32_t first = 0; first < col->rows && rc == LP_OK; first += step) {
        uint32_t candidates = count_bits(rows, first, LP_MIN(first + step, col->rows));
        if (candidates == 0) {
            continue;
        }
        if (m->stop != NULL && m->stop(m->arg)) {
            rc = lp_err_set(err, LP_ERR_CANCELED, "the search was stopped");
            break;
        }
        struct asking a = {.col = col, .cond = cond, .rows = rows, .cell = cell};
        rc = lp_block_chunk(m->b, m->c, col, d, first, &a.ch, err);
        if (rc == LP_OK) {
            ask_chunk(&a, candidates);
        }
    }
    lp_free(cell);
    return rc;
}
