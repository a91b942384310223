/*
 * match_plan.c - a predicate made ready for blocks: its needles cut, their ids looked up in the segments' id
 * indexes. See match.h.
 */
#include <string.h>

#include "store/match_int.h"

static bool
cut_clause(struct lp_match_plan *p, const struct lp_clause *from, struct lp_match_clause *to)
{
    to->negative = from->negative;
    to->needles = lp_arena_array(&p->ar, from->n, sizeof(*to->needles));
    if (to->needles == NULL) {
        return false;
    }
    for (; to->n < from->n; to->n++) {
        if (!lp_needle_cut(&from->needles[to->n], &p->ar, &to->needles[to->n])) {
            return false;
        }
    }
    return true;
}

struct lp_match_plan *
lp_match_plan_new(const struct lp_linepred *pred)
{
    struct lp_match_plan *p = lp_calloc(1, sizeof(*p));
    p->pred = pred;
    lp_arena_init(&p->ar, LP_MATCH_ARENA_BYTES, 0);
    p->clauses = lp_arena_zalloc(&p->ar, pred->n * sizeof(*p->clauses));
    p->spent = p->clauses == NULL;
    for (; p->nclauses < pred->n && !p->spent; p->nclauses++) {
        p->spent = !cut_clause(p, &pred->clauses[p->nclauses], &p->clauses[p->nclauses]);
    }
    for (size_t i = 0; i < p->nclauses && !p->spent; i++) {
        for (size_t k = 0; k < p->clauses[i].n; k++) {
            struct lp_cut_needle *n = &p->clauses[i].needles[k];
            for (uint32_t f = 0; f < n->nfrags; f++) {
                n->frags[f].id = p->nids++;
            }
        }
    }
    return p;
}

void
lp_match_plan_free(struct lp_match_plan *p)
{
    if (p != NULL) {
        for (size_t i = 0; i < p->nsegs * p->nids; i++) {
            lp_free(p->ids[i]);
        }
        lp_free(p->ids);
        lp_arena_clear(&p->ar);
        lp_free(p);
    }
}

/* The least that any indexed column wants of an id. */
static bool
may_be_id(const struct lp_fragment *f)
{
    return lp_is_id(f->text) || f->text.n >= LP_ID_HEX_MIN;
}

/* Of a store that was not looked at for long, each look-up waits for the disk: so all of them are announced.
 */
static void
expect_fragment(const struct lp_match_plan *p, struct lp_seg *const *segs, const struct lp_fragment *f)
{
    for (size_t i = 0; i < p->nsegs; i++) {
        lp_seg_expect_ids(segs[i]);
    }
    for (size_t i = 0; i < p->nsegs; i++) {
        lp_seg_expect_id(segs[i], f->id_hash);
    }
}

static void
bind_fragment(struct lp_match_plan *p, struct lp_seg *const *segs, const struct lp_fragment *f)
{
    if (may_be_id(f)) {
        expect_fragment(p, segs, f);
    }
    for (size_t i = 0; i < p->nsegs && may_be_id(f); i++) {
        uint64_t *blocks = lp_calloc(lp_bits_words(segs[i]->nblocks), sizeof(*blocks));
        if (lp_seg_find_id(segs[i], f->id_hash, blocks)) {
            p->ids[i * p->nids + f->id] = blocks;
        } else {
            lp_free(blocks);
        }
    }
}

void
lp_match_plan_bind(struct lp_match_plan *p, struct lp_seg *const *segs, size_t n)
{
    LP_ASSERT(p->ids == NULL);
    p->nsegs = n;
    p->ids = lp_calloc(n * p->nids, sizeof(uint64_t *));
    for (size_t i = 0; i < p->nclauses && !p->spent; i++) {
        for (size_t k = 0; k < p->clauses[i].n; k++) {
            const struct lp_cut_needle *needle = &p->clauses[i].needles[k];
            for (uint32_t f = 0; f < needle->nfrags; f++) {
                bind_fragment(p, segs, &needle->frags[f]);
            }
        }
    }
}

/* Longer than all tokens of the block but those of its widest HEX columns, a fragment can only be a whole
 * cell of these; such cells are in the id index. */
static bool
fragment_excluded(const struct lp_match_plan *p, size_t seg, uint32_t block, const struct lp_block_tokens *t,
                  const struct lp_fragment *f)
{
    const uint64_t *ids = p->ids[seg * p->nids + f->id];
    if (f->text.n <= t->longest || f->text.n < t->hex) {
        return false;
    }
    return f->text.n > t->hex || (f->text.n >= LP_ID_HEX_MIN && ids != NULL && !lp_bit_has(ids, block));
}

static bool
needle_excluded(const struct lp_match_plan *p, size_t seg, uint32_t block, const struct lp_block_tokens *t,
                const struct lp_cut_needle *n)
{
    bool excluded = false;
    for (uint32_t i = 0; i < n->nfrags && !excluded && !n->whole; i++) {
        excluded = fragment_excluded(p, seg, block, t, &n->frags[i]);
    }
    return excluded;
}

bool
lp_match_plan_excludes(const struct lp_match_plan *p, size_t seg, const struct lp_seg *s, uint32_t block)
{
    const struct lp_block_tokens *t = &s->blocks[block].tokens;
    if (p->spent || !t->known || t->longest == LP_TOKEN_LONGEST) {
        return false;
    }
    for (size_t i = 0; i < p->nclauses; i++) {
        const struct lp_match_clause *c = &p->clauses[i];
        bool excluded = !c->negative;
        for (size_t k = 0; k < c->n && excluded; k++) {
            excluded = needle_excluded(p, seg, block, t, &c->needles[k]);
        }
        if (excluded) {
            return true;
        }
    }
    return false;
}

const struct lp_needle *
lp_match_plan_needle(const struct lp_match_plan *p)
{
    const struct lp_needle *best = NULL;
    for (size_t i = 0; i < p->pred->n; i++) {
        const struct lp_clause *c = &p->pred->clauses[i];
        bool certain = !c->negative && c->n == 1 && !c->needles[0].icase;
        if (certain && (best == NULL || c->needles[0].text.n > best->text.n)) {
            best = &c->needles[0];
        }
    }
    return best;
}
