/*
 * exec_cache.c - decoded blocks that serve again: between the scan and the fetch of one search, and from page
 * to page of an export.
 *
 * A block object belongs to one thread at a time, so it is taken out to be used and given back. What is over
 * the budget goes, the longest unused first. An entry holds a reference to its segment. Nothing here takes
 * longer with more blocks: with very many groups a search opens thousands. Lock: LP_LOCK_CACHE, never held
 * while a block is read.
 */
#include "query/exec_int.h"

#define BUCKETS 1024 /* a power of two */

struct entry {
    struct lp_seg *seg;
    uint32_t block;
    struct lp_block *b;
    size_t bytes;
    struct entry *next;          /* in its bucket */
    struct entry *older, *newer; /* by when it was given back */
};

struct lp_block_cache {
    struct lp_mutex mu;
    size_t budget, bytes;
    struct entry *oldest, *newest;
    struct entry *buckets[BUCKETS];
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
    lp_free(e);
}

void
lp_block_cache_free(struct lp_block_cache *c)
{
    if (c == NULL) {
        return;
    }
    for (struct entry *e = c->oldest, *newer; e != NULL; e = newer) {
        newer = e->newer;
        drop(e);
    }
    lp_mutex_destroy(&c->mu);
    lp_free(c);
}

/* The link to the first entry of the bucket that the block belongs to. */
static struct entry **
bucket_of(struct lp_block_cache *c, const struct lp_seg *seg, uint32_t block)
{
    return &c->buckets[(seg->id * 2654435761u + block) & (BUCKETS - 1)];
}

/* Takes the entry that the link leads to out of the cache. */
static struct entry *
unlink_entry(struct lp_block_cache *c, struct entry **link)
{
    struct entry *e = *link;
    *link = e->next;
    *(e->older != NULL ? &e->older->newer : &c->oldest) = e->newer;
    *(e->newer != NULL ? &e->newer->older : &c->newest) = e->older;
    c->bytes -= e->bytes;
    return e;
}

lp_rc
lp_block_cache_take(struct lp_block_cache *c, struct lp_seg *seg, uint32_t block, struct lp_block **ret,
                    struct lp_err *err)
{
    struct entry *found = NULL;
    lp_lock(&c->mu);
    struct entry **link = bucket_of(c, seg, block);
    while (*link != NULL && ((*link)->seg != seg || (*link)->block != block)) {
        link = &(*link)->next;
    }
    if (*link != NULL) {
        found = unlink_entry(c, link);
    }
    lp_unlock(&c->mu);
    if (found != NULL) { /* the entry's reference to the segment stays, until it is given back */
        *ret = found->b;
        lp_free(found);
        return LP_OK;
    }
    lp_seg_ref(seg);
    lp_rc rc = lp_seg_block(seg, block, ret, err);
    if (rc != LP_OK) {
        lp_seg_unref(seg);
    }
    return rc;
}

/* Takes out what was not used for longest; NULL when there is nothing. */
static struct entry *
pop_oldest(struct lp_block_cache *c)
{
    if (c->oldest == NULL) {
        return NULL;
    }
    struct entry **link = bucket_of(c, c->oldest->seg, c->oldest->block);
    while (*link != c->oldest) {
        link = &(*link)->next;
    }
    return unlink_entry(c, link);
}

void
lp_block_cache_give(struct lp_block_cache *c, struct lp_seg *seg, uint32_t block, struct lp_block *b)
{
    if (b == NULL) {
        return;
    }
    struct entry *e = lp_malloc(sizeof(*e)), *over = NULL;
    *e = (struct entry){.seg = seg, .block = block, .b = b, .bytes = lp_block_memory(b)};
    lp_lock(&c->mu);
    struct entry **link = bucket_of(c, seg, block);
    e->next = *link;
    *link = e;
    e->older = c->newest;
    *(c->newest != NULL ? &c->newest->newer : &c->oldest) = e;
    c->newest = e;
    c->bytes += e->bytes;
    while (c->bytes > c->budget && (e = pop_oldest(c)) != NULL) {
        e->next = over;
        over = e;
    }
    lp_unlock(&c->mu);
    while (over != NULL) {
        e = over;
        over = e->next;
        drop(e);
    }
}

void
lp_block_cache_turn(struct lp_block_cache *c)
{
    lp_lock(&c->mu);
    for (struct entry *e = c->oldest; e != NULL; e = e->newer) {
        lp_block_trim_unused(e->b);
        c->bytes -= e->bytes;
        e->bytes = lp_block_memory(e->b);
        c->bytes += e->bytes;
    }
    lp_unlock(&c->mu);
}
