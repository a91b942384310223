/*
 * seg_cache.c - see seg_cache.h.
 *
 * Entries stand in a hash table by id and in a list, the one used last first. An entry whose handle has no
 * other reference may go: new ones are only given under the lock.
 */
#include "store/seg_cache.h"

#include <stdatomic.h>

#include "base/lock.h"
#include "store/keep.h"

struct entry {
    struct lp_seg *seg;
    struct entry *next_same;     /* of the same bucket */
    struct entry *newer, *older; /* in the order of use */
};

struct lp_seg_cache {
    const struct lp_io *io;
    char *folder;
    size_t most;
    struct lp_mutex mu; /* what follows */
    struct entry **buckets;
    size_t nbuckets; /* a power of two */
    size_t n;
    struct entry *newest, *oldest;
    uint64_t forgotten; /* how often a segment was */
};

struct lp_seg_cache *
lp_seg_cache_new(const struct lp_io *io, const char *folder, size_t most)
{
    struct lp_seg_cache *c = lp_calloc(1, sizeof(*c));
    c->io = io;
    c->folder = lp_strdup(folder);
    c->most = most;
    c->nbuckets = 64;
    c->buckets = lp_calloc(c->nbuckets, sizeof(struct entry *));
    lp_mutex_init(&c->mu, LP_LOCK_SEGMENTS);
    return c;
}

void
lp_seg_cache_free(struct lp_seg_cache *c)
{
    if (c == NULL) {
        return;
    }
    for (struct entry *e = c->newest, *next; e != NULL; e = next) {
        next = e->older;
        lp_seg_unref(e->seg);
        lp_free(e);
    }
    lp_mutex_destroy(&c->mu);
    lp_free(c->buckets);
    lp_free(c->folder);
    lp_free(c);
}

/* Where the entry of an id hangs, or would. */
static struct entry **
place_of(const struct lp_seg_cache *c, uint64_t id)
{
    struct entry **at = &c->buckets[id * UINT64_C(0x9e3779b97f4a7c15) >> 32 & (c->nbuckets - 1)];
    while (*at != NULL && (*at)->seg->id != id) {
        at = &(*at)->next_same;
    }
    return at;
}

static void
unlink_from_order(struct lp_seg_cache *c, struct entry *e)
{
    *(e->newer != NULL ? &e->newer->older : &c->newest) = e->older;
    *(e->older != NULL ? &e->older->newer : &c->oldest) = e->newer;
}

static void
put_first(struct lp_seg_cache *c, struct entry *e)
{
    e->newer = NULL;
    e->older = c->newest;
    *(c->newest != NULL ? &c->newest->newer : &c->oldest) = e;
    c->newest = e;
}

static void
grow(struct lp_seg_cache *c)
{
    lp_free(c->buckets);
    c->nbuckets *= 2;
    c->buckets = lp_calloc(c->nbuckets, sizeof(struct entry *));
    for (struct entry *e = c->newest; e != NULL; e = e->older) {
        e->next_same = NULL;
        *place_of(c, e->seg->id) = e;
    }
}

/* Takes out an entry; its reference is the caller's. */
static struct lp_seg *
take_out(struct lp_seg_cache *c, struct entry *e)
{
    struct lp_seg *seg = e->seg;
    struct entry **at = place_of(c, seg->id);
    *at = e->next_same;
    unlink_from_order(c, e);
    c->n--;
    lp_free(e);
    return seg;
}

/* A new reference to a segment that is there, or NULL. Under the lock. */
static struct lp_seg *
find(struct lp_seg_cache *c, uint64_t id)
{
    struct entry *e = *place_of(c, id);
    if (e == NULL) {
        return NULL;
    }
    if (c->newest != e) {
        unlink_from_order(c, e);
        put_first(c, e);
    }
    return lp_seg_ref(e->seg);
}

/* Keeps a segment, unless another thread was first or some segment was forgotten since; *seg is the one to
 * use. */
static void
insert(struct lp_seg_cache *c, struct lp_seg **seg, uint64_t forgotten)
{
    struct lp_seg *mine = *seg, *there = find(c, mine->id);
    if (there != NULL) {
        *seg = there;
        lp_seg_unref(mine);
        return;
    }
    if (c->forgotten != forgotten) {
        return;
    }
    if (c->n == c->nbuckets) {
        grow(c);
    }
    struct entry *e = lp_calloc(1, sizeof(*e));
    e->seg = lp_seg_ref(mine);
    *place_of(c, mine->id) = e;
    put_first(c, e);
    c->n++;
}

void
lp_seg_cache_expect(struct lp_seg_cache *c, const uint64_t *ids, size_t n)
{
    for (size_t i = 0; i < n && n > 1; i++) {
        char path[LP_SEG_PATH_BYTES];
        lp_lock(&c->mu);
        bool open = *place_of(c, ids[i]) != NULL;
        lp_unlock(&c->mu);
        if (!open) {
            lp_seg_path(c->folder, ids[i], false, path);
            lp_seg_expect(c->io, path);
        }
    }
}

lp_rc
lp_seg_cache_get(struct lp_seg_cache *c, uint64_t id, struct lp_seg **ret, struct lp_err *err)
{
    char path[LP_SEG_PATH_BYTES];
    lp_lock(&c->mu);
    struct lp_seg *seg = find(c, id);
    uint64_t forgotten = c->forgotten;
    lp_unlock(&c->mu);
    if (seg == NULL) {
        lp_seg_path(c->folder, id, false, path);
        lp_rc rc = lp_seg_open(c->io, path, &seg, err);
        if (rc == LP_OK && seg->id != id) {
            lp_seg_unref(seg);
            rc = lp_corrupt(err, "segment file %s has another id inside", path);
        }
        if (rc != LP_OK) {
            return rc;
        }
        lp_lock(&c->mu);
        insert(c, &seg, forgotten);
        lp_unlock(&c->mu);
        lp_seg_cache_trim(c);
    } else if (lp_keep_over()) {
        lp_seg_cache_trim(c);
    }
    *ret = seg;
    return LP_OK;
}

void
lp_seg_cache_forget(struct lp_seg_cache *c, uint64_t id)
{
    lp_lock(&c->mu);
    struct entry *e = *place_of(c, id);
    struct lp_seg *seg = e != NULL ? take_out(c, e) : NULL;
    c->forgotten++;
    lp_unlock(&c->mu);
    lp_seg_unref(seg);
}

/* The one that was not used for longest and is not in use, if a bound is passed; memory: that one is. */
static struct lp_seg *
pop(struct lp_seg_cache *c, bool memory)
{
    struct lp_seg *seg = NULL;
    lp_lock(&c->mu);
    struct entry *e = memory || c->n > c->most ? c->oldest : NULL;
    while (e != NULL && atomic_load_explicit(&e->seg->refs, memory_order_acquire) > 1) {
        e = e->newer;
    }
    if (e != NULL) {
        seg = take_out(c, e);
    }
    lp_unlock(&c->mu);
    return seg;
}

void
lp_seg_cache_trim(struct lp_seg_cache *c)
{
    bool over = lp_keep_over();
    for (struct lp_seg *seg; (seg = pop(c, over && lp_keep_full())) != NULL;) {
        lp_seg_unref(seg);
    }
    if (over) {
        lp_keep_eased();
    }
}

size_t
lp_seg_cache_count(struct lp_seg_cache *c)
{
    lp_lock(&c->mu);
    size_t n = c->n;
    lp_unlock(&c->mu);
    return n;
}
