/*
 * exec_cache.c - decoded blocks that serve again: between the scan and the fetch of one search, and from page
 * to page of an export.
 *
 * A block object belongs to one thread at a time, so it is taken out to be used and given back. What is over
 * the budget goes, the longest unused first. An entry holds a reference to its segment. Lock: LP_LOCK_CACHE,
 * never held while a block is read.
 */
#include "query/exec_int.h"

struct entry {
    struct lp_seg *seg;
    uint32_t block;
    struct lp_block *b;
    size_t bytes;
    uint64_t used;
};

struct lp_block_cache {
    struct lp_mutex mu;
    size_t budget, bytes;
    uint64_t clock;
    struct entry *v;
    size_t n, cap;
};

struct lp_block_cache *
lp_block_cache_new(size_t budget_bytes)
{
    struct lp_block_cache *c = lp_calloc(1, sizeof(*c));
    lp_mutex_init(&c->mu, LP_LOCK_CACHE);
    c->budget = budget_bytes;
    return c;
}

static void
drop(struct entry *e)
{
    lp_block_free(e->b);
    lp_seg_unref(e->seg);
}

void
lp_block_cache_free(struct lp_block_cache *c)
{
    if (c == NULL) {
        return;
    }
    for (size_t i = 0; i < c->n; i++) {
        drop(&c->v[i]);
    }
    lp_free(c->v);
    lp_mutex_destroy(&c->mu);
    lp_free(c);
}

lp_rc
lp_block_cache_take(struct lp_block_cache *c, struct lp_seg *seg, uint32_t block, struct lp_block **ret,
                    struct lp_err *err)
{
    struct lp_block *found = NULL;
    lp_lock(&c->mu);
    for (size_t i = 0; i < c->n && found == NULL; i++) {
        if (c->v[i].seg == seg && c->v[i].block == block) {
            found = c->v[i].b;
            c->bytes -= c->v[i].bytes;
            c->v[i] = c->v[--c->n];
        }
    }
    lp_unlock(&c->mu);
    if (found != NULL) { /* the entry's reference to the segment stays, until it is given back */
        *ret = found;
        return LP_OK;
    }
    lp_seg_ref(seg);
    lp_rc rc = lp_seg_block(seg, block, ret, err);
    if (rc != LP_OK) {
        lp_seg_unref(seg);
    }
    return rc;
}

/* Takes out what was not used for longest; false when there is nothing. */
static bool
pop_oldest(struct lp_block_cache *c, struct entry *ret)
{
    if (c->n == 0) {
        return false;
    }
    size_t at = 0;
    for (size_t i = 1; i < c->n; i++) {
        at = c->v[i].used < c->v[at].used ? i : at;
    }
    *ret = c->v[at];
    c->v[at] = c->v[--c->n];
    c->bytes -= ret->bytes;
    return true;
}

void
lp_block_cache_give(struct lp_block_cache *c, struct lp_seg *seg, uint32_t block, struct lp_block *b)
{
    if (b == NULL) {
        return;
    }
    struct entry e = {seg, block, b, lp_block_memory(b), 0}, old;
    lp_lock(&c->mu);
    e.used = ++c->clock;
    if (c->n == c->cap) {
        c->cap = c->cap ? c->cap * 2 : 16;
        c->v = lp_realloc(c->v, c->cap * sizeof(*c->v));
    }
    c->v[c->n++] = e;
    c->bytes += e.bytes;
    while (c->bytes > c->budget && pop_oldest(c, &old)) {
        drop(&old);
    }
    lp_unlock(&c->mu);
}

void
lp_block_cache_turn(struct lp_block_cache *c)
{
    lp_lock(&c->mu);
    for (size_t i = 0; i < c->n; i++) {
        struct entry *e = &c->v[i];
        lp_block_trim_unused(e->b);
        c->bytes -= e->bytes;
        e->bytes = lp_block_memory(e->b);
        c->bytes += e->bytes;
    }
    lp_unlock(&c->mu);
}
