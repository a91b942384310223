/*
 * block_match.c - matching a block: plans for all its tables, rows of those that have something to ask, plain
 * rows line by line, and all of it put together as bits of the block's rows.
 *
 * A block that heads and the id index exclude costs no reading at all; where each row stands is decoded only
 * when some row is left.
 */
#include <string.h>

#include "base/find.h"
#include "store/match_int.h"

struct rows {
    uint64_t **of_table; /* a bit a row of the table that is left; NULL: none */
    bool *sure;
    uint64_t *plain, *plain_sure; /* a bit a plain row */
    bool any;
};

static uint64_t *
all_ones(uint32_t n)
{
    uint64_t *v = lp_malloc(lp_bits_words(n) * sizeof(*v));
    memset(v, 0xff, lp_bits_words(n) * sizeof(*v));
    if (n % 64 != 0) {
        v[n / 64] = (UINT64_C(1) << (n % 64)) - 1;
    }
    return v;
}

static bool
none_left(const uint64_t *v, uint32_t n)
{
    uint64_t any = 0;
    for (size_t w = 0; w < lp_bits_words(n); w++) {
        any |= v[w];
    }
    return any == 0;
}

/* --- plain rows --- */

/* Can a plain line hold the needle, by what the schema says of all of them? */
static bool
plain_may_hold(const struct lp_schema *s, const struct lp_cut_needle *n)
{
    for (unsigned i = 16; n->icase && i < 32; i++) {
        if (s->plain_set[i] != 0) {
            return true; /* RE2 folds some of these bytes */
        }
    }
    if (!lp_needle_in_set(n, s->plain_set)) {
        return false;
    }
    for (uint32_t i = 0; i < n->nfrags; i++) {
        if (n->frags[i].text.n > s->token_max) {
            return false;
        }
    }
    return true;
}

static bool
plain_excluded(const struct lp_matcher *m)
{
    for (size_t i = 0; i < m->p->nclauses && !m->p->spent; i++) {
        const struct lp_match_clause *c = &m->p->clauses[i];
        bool may = c->negative;
        for (size_t k = 0; k < c->n && !may; k++) {
            may = plain_may_hold(m->s, &c->needles[k]);
        }
        if (!may) {
            return true;
        }
    }
    return false;
}

/* Tests the wanted plain rows (NULL: all) line by line. */
static lp_rc
match_plain(struct lp_matcher *m, const uint64_t *wanted, struct rows *r, struct lp_err *err)
{
    uint32_t n = m->b->nplain;
    r->plain = lp_calloc(lp_bits_words(n), sizeof(*r->plain));
    r->plain_sure = lp_calloc(lp_bits_words(n), sizeof(*r->plain_sure));
    for (uint32_t i = 0; i < n; i++) {
        struct lp_str line;
        if (wanted != NULL && !lp_bit_has(wanted, i)) {
            continue;
        }
        if (i % 1024 == 0 && m->stop != NULL && m->stop(m->arg)) {
            return lp_err_set(err, LP_ERR_CANCELED, "the search was stopped");
        }
        lp_rc rc = lp_block_plain_line(m->b, m->c, i, &line, err);
        if (rc != LP_OK) {
            return rc;
        }
        enum lp_verdict v = lp_linepred_test(m->p->pred, line);
        if (v != LP_NO) {
            lp_bit_set(r->plain, i);
            r->any = true;
        }
        if (v == LP_YES) {
            lp_bit_set(r->plain_sure, i);
        }
    }
    lp_block_keep_plain(m->b);
    return LP_OK;
}

/* --- which rows are wanted, by table --- */

/* wanted[t]: bits of the rows of table t - 1 (0: plain) that are in the ranges; all NULL where the ranges are
 * the whole block. */
static lp_rc
find_wanted(struct lp_matcher *m, const struct lp_row_range *ranges, size_t nranges, uint64_t **wanted,
            struct lp_err *err)
{
    uint64_t rows = 0;
    for (size_t i = 0; i < nranges; i++) {
        rows += ranges[i].end - ranges[i].first;
    }
    if (rows == m->b->info->head.rows) {
        return LP_OK;
    }
    lp_rc rc = lp_block_places(m->b, m->c, err);
    for (uint32_t t = 0; rc == LP_OK && t <= m->s->ntables; t++) {
        wanted[t] =
            lp_calloc(lp_bits_words(t == 0 ? m->b->nplain : m->s->tables[t - 1].rows), sizeof(uint64_t));
    }
    for (size_t i = 0; rc == LP_OK && i < nranges; i++) {
        for (uint32_t row = ranges[i].first; row < ranges[i].end; row++) {
            lp_bit_set(wanted[m->b->row_table[row]], m->b->row_pos[row]);
        }
    }
    return rc;
}

/* --- tables --- */

static lp_rc
match_tables(struct lp_matcher *m, const struct lp_table_plan *plans, uint64_t *const *wanted, struct rows *r,
             struct lp_err *err)
{
    for (uint32_t t = 0; t < m->s->ntables; t++) {
        uint32_t n = m->s->tables[t].rows;
        if (plans[t].says == LP_TABLE_NONE || (wanted[t + 1] != NULL && none_left(wanted[t + 1], n))) {
            continue;
        }
        uint64_t *left = all_ones(n);
        if (wanted[t + 1] != NULL) {
            memcpy(left, wanted[t + 1], lp_bits_words(n) * sizeof(*left));
        }
        r->of_table[t] = left;
        r->sure[t] = plans[t].sure;
        lp_rc rc = lp_match_table_rows(m, t, &plans[t], left, err);
        if (rc != LP_OK) {
            return rc;
        }
        if (none_left(left, n)) {
            lp_free(left);
            r->of_table[t] = NULL;
        } else {
            r->any = true;
        }
    }
    return LP_OK;
}

/* Bits of tables and plain rows become bits of the block's rows. */
static lp_rc
put_together(struct lp_matcher *m, const struct rows *r, const struct lp_row_range *ranges, size_t nranges,
             struct lp_match *ret, struct lp_err *err)
{
    uint32_t rows = m->b->info->head.rows;
    lp_rc rc = lp_block_places(m->b, m->c, err);
    if (rc != LP_OK) {
        return rc;
    }
    const uint64_t **left = lp_malloc((m->s->ntables + 1) * sizeof(uint64_t *)); /* by row_table */
    left[0] = r->plain;
    for (uint32_t t = 0; t < m->s->ntables; t++) {
        left[t + 1] = r->of_table[t];
    }
    ret->rows = lp_calloc(lp_bits_words(rows), sizeof(*ret->rows));
    ret->sure = lp_calloc(lp_bits_words(rows), sizeof(*ret->sure));
    for (size_t i = 0; i < nranges; i++) {
        for (uint32_t row = ranges[i].first; row < ranges[i].end; row++) {
            uint32_t t = m->b->row_table[row], pos = m->b->row_pos[row];
            if (left[t] == NULL || !lp_bit_has(left[t], pos)) {
                continue;
            }
            lp_bit_set(ret->rows, row);
            if (t == 0 ? lp_bit_has(r->plain_sure, pos) : r->sure[t - 1]) {
                lp_bit_set(ret->sure, row);
            }
        }
    }
    lp_free(left);
    return LP_OK;
}

/* --- the whole --- */

/* Plans for all tables; *ret_any: something is left to ask or to give. */
static struct lp_table_plan *
plan_tables(struct lp_matcher *m, bool *ret_any)
{
    struct lp_table_plan *plans = lp_malloc(m->s->ntables * sizeof(*plans));
    *ret_any = false;
    for (uint32_t t = 0; t < m->s->ntables; t++) {
        lp_match_table_plan(m, t, &plans[t]);
        *ret_any |= plans[t].says != LP_TABLE_NONE;
    }
    return plans;
}

static lp_rc
match_columns(struct lp_matcher *m, const struct lp_row_range *ranges, size_t nranges, struct lp_match *ret,
              struct lp_err *err)
{
    bool any;
    uint32_t n = m->s->ntables;
    struct lp_table_plan *plans = plan_tables(m, &any);
    bool plain = m->b->nplain > 0 && !plain_excluded(m);
    struct rows r = {.of_table = lp_calloc(n, sizeof(uint64_t *)), .sure = lp_calloc(n, sizeof(bool))};
    uint64_t **wanted = lp_calloc(n + 1, sizeof(uint64_t *));
    lp_rc rc = any || plain ? find_wanted(m, ranges, nranges, wanted, err) : LP_OK;
    if (rc == LP_OK && any) {
        rc = match_tables(m, plans, wanted, &r, err);
    }
    if (rc == LP_OK && plain) {
        rc = match_plain(m, wanted[0], &r, err);
    }
    if (rc == LP_OK && r.any) {
        rc = put_together(m, &r, ranges, nranges, ret, err);
    }
    for (uint32_t t = 0; t <= n; t++) {
        lp_free(wanted[t]);
        lp_free(t < n ? r.of_table[t] : NULL);
    }
    lp_free(wanted);
    lp_free(r.of_table);
    lp_free(r.sure);
    lp_free(r.plain);
    lp_free(r.plain_sure);
    lp_free(plans);
    return rc;
}

/* Layout text: every row is plain, and its number there is its number. */
static lp_rc
match_text(struct lp_matcher *m, const struct lp_row_range *ranges, size_t nranges, struct lp_match *ret,
           struct lp_err *err)
{
    struct rows r = {NULL, NULL, NULL, NULL, false};
    uint64_t *wanted = lp_calloc(lp_bits_words(m->b->nplain), sizeof(*wanted));
    for (size_t i = 0; i < nranges; i++) {
        for (uint32_t row = ranges[i].first; row < ranges[i].end; row++) {
            lp_bit_set(wanted, row);
        }
    }
    lp_rc rc = match_plain(m, wanted, &r, err);
    lp_free(wanted);
    if (rc == LP_OK && r.any) {
        *ret = (struct lp_match){r.plain, r.plain_sure};
        return LP_OK;
    }
    lp_free(r.plain);
    lp_free(r.plain_sure);
    return rc;
}

lp_rc
lp_block_match(struct lp_block *b, struct lp_codec *c, const struct lp_match_plan *p, size_t seg,
               const struct lp_row_range *ranges, size_t nranges, bool (*stop)(void *arg), void *arg,
               struct lp_match *ret, struct lp_err *err)
{
    struct lp_matcher m = {.b = b, .c = c, .p = p, .seg = seg, .stop = stop, .arg = arg};
    *ret = (struct lp_match){NULL, NULL};
    if (b->info->head.layout == LP_BLOCK_LAYOUT_TEXT) {
        return match_text(&m, ranges, nranges, ret, err);
    }
    lp_rc rc = lp_block_schema(b, c, &m.s, err);
    if (rc == LP_OK) {
        lp_arena_init(&m.ar, LP_MATCH_ARENA_BYTES, 0);
        rc = match_columns(&m, ranges, nranges, ret, err);
        lp_arena_clear(&m.ar);
    }
    if (rc != LP_OK) {
        lp_match_clear(ret);
    }
    return rc;
}

void
lp_match_clear(struct lp_match *m)
{
    lp_free(m->rows);
    lp_free(m->sure);
    *m = (struct lp_match){NULL, NULL};
}
