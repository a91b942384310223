/*
 * entries.c - group entries from blocks. See entries.h. Pure.
 */
#include "store/entries.h"

void
lp_entries_add(struct lp_entries *e, uint64_t group, uint64_t segment, const struct lp_foot_block *b)
{
    struct lp_cat_entry *last = e->n > 0 ? &e->v[e->n - 1] : NULL;
    if (last == NULL || last->group != group || last->segment != segment) {
        if (e->n == e->cap) {
            e->cap = e->cap ? e->cap * 2 : 64;
            e->v = lp_realloc(e->v, e->cap * sizeof(*e->v));
        }
        last = &e->v[e->n++];
        *last = (struct lp_cat_entry){
            .group = group, .segment = segment, .min_ns = LP_TIME_MAX, .max_ns = LP_TIME_MIN};
    }
    last->rows += b->rows;
    last->bytes += b->line_bytes;
    last->stored += b->bytes;
    last->min_ns = LP_MIN(last->min_ns, b->min_ns);
    last->max_ns = LP_MAX(last->max_ns, b->max_ns);
}

void
lp_entries_of_footer(struct lp_entries *e, const struct lp_footer *f)
{
    for (size_t i = 0; i < f->nblocks; i++) {
        lp_entries_add(e, f->groups[f->blocks[i].group].id, f->segment, &f->blocks[i]);
    }
}

void
lp_entries_clear(struct lp_entries *e)
{
    lp_free(e->v);
    *e = (struct lp_entries){NULL, 0, 0};
}

void
lp_entries_sum(const struct lp_entries *e, size_t first, struct lp_cat_segment *ret)
{
    ret->rows = ret->bytes = 0;
    ret->min_ns = LP_TIME_MAX;
    ret->max_ns = LP_TIME_MIN;
    for (size_t i = first; i < e->n; i++) {
        ret->rows += e->v[i].rows;
        ret->bytes += e->v[i].bytes;
        ret->min_ns = LP_MIN(ret->min_ns, e->v[i].min_ns);
        ret->max_ns = LP_MAX(ret->max_ns, e->v[i].max_ns);
    }
}
