/*
 * match_table.c - a predicate against one table: which places of its shape a needle can stand at, what heads
 * say of the cells there, and the rows that are left when the cells have been asked.
 */
#include <string.h>

#include "base/find.h"
#include "store/match_int.h"
#include "store/tables.h"

/* A needle against a table. */
struct placing {
    struct lp_matcher *m;
    const struct lp_table *t;
    const struct lp_cut_needle *n;
    bool high; /* ignoring case: cells with a byte >= 0x80 count as matching */
    struct lp_alternative *found;
    bool all; /* an alternative without conditions: every row */
};

/* Can the id index exclude that a cell of the column is the fragment in this block? */
static bool
excluded(const struct lp_matcher *m, const struct lp_column *col, const struct lp_fragment *f)
{
    bool indexed = col->type == LP_COL_HEX ? col->digits >= LP_ID_HEX_MIN
                                           : col->type == LP_COL_BYTES && lp_is_id(f->text);
    const uint64_t *blocks = indexed && m->seg < m->p->nsegs ? m->p->ids[m->seg * m->p->nids + f->id] : NULL;
    uint32_t number = m->b->info->head.number;
    return blocks != NULL && !lp_bit_has(blocks, number);
}

/* The needle at one place of the shape: its first fragment in column `first`. */
static void
place(struct placing *p, uint32_t first)
{
    struct lp_matcher *m = p->m;
    struct lp_condition *conds = NULL;
    uint32_t n = 0;
    for (uint32_t i = 0; i < p->n->nfrags; i++) {
        const struct lp_column *col = &p->t->cols[first + i];
        const struct lp_fragment *f = &p->n->frags[i];
        uint64_t *codes;
        bool equal;
        if (f->text.n > col->cell_max &&
            !p->high) { /* lp_column_test says so too, but this is nearly always it */
            return;
        }
        enum lp_column_says says = lp_column_test(col, f, p->high, &m->ar, &codes, &equal);
        if (says == LP_CELLS_NONE || (says == LP_CELLS_SOME && equal && excluded(m, col, f))) {
            return;
        }
        if (says == LP_CELLS_ALL) {
            continue;
        }
        conds = conds != NULL ? conds : lp_arena_array(&m->ar, p->n->nfrags, sizeof(*conds));
        if (conds == NULL) {
            m->spent = true;
            return;
        }
        conds[n++] = (struct lp_condition){first + i, f, codes, p->high};
    }
    struct lp_alternative *a = n > 0 ? lp_arena_alloc(&m->ar, sizeof(*a)) : NULL;
    if (a == NULL) {
        m->spent = m->spent || n > 0;
        p->all = true;
        return;
    }
    *a = (struct lp_alternative){conds, n, p->found};
    p->found = a;
}

/* Every place of the needle's shape in the table's: no separator holds the mark, so marks meet marks. */
static void
place_all(struct placing *p)
{
    struct lp_str shape = p->t->shape, wanted = p->n->shape;
    uint32_t marks = 0;
    for (size_t at = 0, counted = 0; at + wanted.n <= shape.n && !p->all; at++) {
        size_t hit = lp_find(lp_str_sub(shape, at, shape.n), wanted);
        if (hit == SIZE_MAX) {
            return;
        }
        at += hit;
        for (; counted < at; counted++) {
            marks += shape.p[counted] == LP_SHAPE_MARK;
        }
        place(p, marks);
    }
}

/* Appends a needle's alternatives to *list; true: it is in every row. */
static bool
add_needle(struct lp_matcher *m, const struct lp_table *t, const struct lp_cut_needle *n,
           struct lp_alternative **list)
{
    struct placing p = {.m = m, .t = t, .n = n, .high = n->icase && !t->ascii, .found = *list};
    if (!p.high && (n->text.n > t->line_max || !lp_needle_in_set(n, t->set))) {
        return false;
    }
    for (uint32_t i = 0; i < n->nfrags && !p.high; i++) {
        if (n->frags[i].text.n > t->cell_max) {
            return false;
        }
    }
    if (n->whole) {
        return true;
    }
    place_all(&p);
    *list = p.found;
    return p.all;
}

/* Does the clause leave a doubt, whatever its needles say? */
static bool
doubtful(const struct lp_table *t, const struct lp_match_clause *c)
{
    for (size_t i = 0; i < c->n; i++) {
        if (c->needles[i].whole || (c->needles[i].icase && !t->ascii)) {
            return true;
        }
    }
    return false;
}

static void
plan_clause(struct lp_matcher *m, const struct lp_table *t, size_t i, struct lp_table_plan *ret)
{
    const struct lp_match_clause *c = &m->p->clauses[i];
    struct lp_alternative *list = NULL;
    bool all = false, doubt = doubtful(t, c);
    ret->sure = ret->sure && !doubt;
    if (doubt && c->negative) {
        return; /* may hold for any row */
    }
    for (size_t k = 0; k < c->n && !all; k++) {
        all = add_needle(m, t, &c->needles[k], &list);
    }
    bool none = !all && list == NULL;
    if (c->negative ? all : none) {
        ret->says = LP_TABLE_NONE;
    } else if (!(c->negative ? none : all)) {
        ret->alternatives[i] = list;
        ret->says = LP_TABLE_SOME;
    }
}

void
lp_match_table_plan(struct lp_matcher *m, uint32_t table, struct lp_table_plan *ret)
{
    *ret = (struct lp_table_plan){.says = LP_TABLE_ALL, .sure = m->p->pred->exact};
    ret->alternatives = lp_arena_zalloc(&m->ar, m->p->nclauses * sizeof(struct lp_alternative *));
    if (m->p->spent || ret->alternatives == NULL) {
        ret->sure = false;
        return;
    }
    for (size_t i = 0; i < m->p->nclauses && ret->says != LP_TABLE_NONE; i++) {
        plan_clause(m, &m->s->tables[table], i, ret);
    }
    if (m->spent) {
        ret->says = LP_TABLE_ALL;
        ret->sure = false;
    }
}

/* rows &= the rows of which any alternative holds (negative: none). */
static lp_rc
ask_clause(struct lp_matcher *m, uint32_t table, const struct lp_alternative *list, bool negative,
           uint64_t *rows, struct lp_err *err)
{
    size_t words = lp_bits_words(m->s->tables[table].rows);
    uint64_t *hits = lp_calloc(words, sizeof(*hits)), *left = lp_malloc(words * sizeof(*left));
    lp_rc rc = LP_OK;
    for (const struct lp_alternative *a = list; a != NULL && rc == LP_OK; a = a->next) {
        memcpy(left, rows, words * sizeof(*left));
        for (uint32_t i = 0; i < a->nconds && rc == LP_OK; i++) {
            rc = lp_match_cells(m, table, &a->conds[i], left, err);
        }
        for (size_t w = 0; w < words; w++) {
            hits[w] |= left[w];
        }
    }
    for (size_t w = 0; w < words && rc == LP_OK; w++) {
        rows[w] &= negative ? ~hits[w] : hits[w];
    }
    lp_free(hits);
    lp_free(left);
    return rc;
}

lp_rc
lp_match_table_rows(struct lp_matcher *m, uint32_t table, const struct lp_table_plan *plan, uint64_t *rows,
                    struct lp_err *err)
{
    lp_rc rc = LP_OK;
    for (size_t i = 0; i < m->p->nclauses && rc == LP_OK && plan->says == LP_TABLE_SOME; i++) {
        if (plan->alternatives[i] != NULL) {
            rc = ask_clause(m, table, plan->alternatives[i], m->p->clauses[i].negative, rows, err);
        }
    }
    return rc;
}
