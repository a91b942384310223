/*
 * ids.c - the table of identities: a hash table of pending and stored ids, in the order they came, so that
 * old ones leave from the front.
 *
 * Invariant: an identity is in the table at most once; a pending one has exactly one caller that will end it.
 * Old ids leave when an id that was received LP_IDS_WINDOW_NS later is stored; the clock is never asked.
 */
#include "ingest/ids.h"

#include "base/hash.h"
#include "base/lock.h"
#include "base/metrics.h"

#define BUCKETS_FIRST 1024

struct id {
    struct lp_hash128 identity;
    int64_t received_ns;
    struct id *chain;         /* in the bucket */
    struct id *older, *newer; /* stored ones, in the order they were stored */
    bool pending;
    bool loaded; /* from the catalog */
    unsigned waiters;
    bool failed; /* ended by failure; freed by the last waiter */
};

struct lp_ids_table {
    struct lp_mutex mu;
    struct lp_cond ended;
    struct id **buckets;
    size_t nbuckets, n, loaded;
    struct id *oldest, *newest;
    int64_t newest_ns; /* highest received time stored */
};

struct lp_ids_table *
lp_ids_table_new(void)
{
    struct lp_ids_table *t = lp_calloc(1, sizeof(*t));
    lp_mutex_init(&t->mu, LP_LOCK_IDS);
    lp_cond_init(&t->ended);
    t->nbuckets = BUCKETS_FIRST;
    t->buckets = lp_calloc(t->nbuckets, sizeof(struct id *));
    t->newest_ns = LP_TIME_MIN;
    return t;
}

void
lp_ids_table_free(struct lp_ids_table *t)
{
    if (t == NULL) {
        return;
    }
    for (size_t i = 0; i < t->nbuckets; i++) {
        for (struct id *id = t->buckets[i], *next; id != NULL; id = next) {
            next = id->chain;
            lp_free(id);
        }
    }
    lp_free(t->buckets);
    lp_cond_destroy(&t->ended);
    lp_mutex_destroy(&t->mu);
    lp_free(t);
}

static struct id **
place_of(struct lp_ids_table *t, struct lp_hash128 identity)
{
    struct id **p = &t->buckets[identity.lo & (t->nbuckets - 1)];
    while (*p != NULL && !lp_hash128_eq((*p)->identity, identity)) {
        p = &(*p)->chain;
    }
    return p;
}

static void
grow(struct lp_ids_table *t)
{
    struct id **old = t->buckets;
    size_t nold = t->nbuckets;
    t->nbuckets *= 2;
    t->buckets = lp_calloc(t->nbuckets, sizeof(struct id *));
    for (size_t i = 0; i < nold; i++) {
        for (struct id *id = old[i], *next; id != NULL; id = next) {
            next = id->chain;
            struct id **b = &t->buckets[id->identity.lo & (t->nbuckets - 1)];
            id->chain = *b;
            *b = id;
        }
    }
    lp_free(old);
}

static struct id *
insert(struct lp_ids_table *t, const struct lp_batch_id *from)
{
    if (t->n >= t->nbuckets) {
        grow(t);
    }
    struct id *id = lp_calloc(1, sizeof(*id));
    id->identity = from->identity;
    id->received_ns = from->received_ns;
    struct id **b = &t->buckets[id->identity.lo & (t->nbuckets - 1)];
    id->chain = *b;
    *b = id;
    t->n++;
    return id;
}

/* Out of the hash table; the memory is the caller's. */
static void
take_out(struct lp_ids_table *t, struct id *id)
{
    struct id **p = place_of(t, id->identity);
    LP_ASSERT(*p == id);
    *p = id->chain;
    t->n--;
    t->loaded -= id->loaded;
}

static void
unlink_stored(struct lp_ids_table *t, struct id *id)
{
    *(id->older ? &id->older->newer : &t->oldest) = id->newer;
    *(id->newer ? &id->newer->older : &t->newest) = id->older;
    id->older = id->newer = NULL;
}

static bool
far_apart(int64_t a, int64_t b)
{
    int64_t lo = LP_MIN(a, b), hi = LP_MAX(a, b);
    return (uint64_t)hi - (uint64_t)lo > (uint64_t)LP_IDS_WINDOW_NS;
}

static void
expire(struct lp_ids_table *t)
{
    while (t->oldest != NULL && t->oldest->waiters == 0 && t->oldest->received_ns < t->newest_ns &&
           far_apart(t->oldest->received_ns, t->newest_ns)) {
        struct id *id = t->oldest;
        unlink_stored(t, id);
        take_out(t, id);
        lp_free(id);
    }
}

static void
make_stored(struct lp_ids_table *t, struct id *id)
{
    id->pending = false;
    id->older = t->newest;
    id->newer = NULL;
    *(t->newest ? &t->newest->newer : &t->oldest) = id;
    t->newest = id;
    t->newest_ns = LP_MAX(t->newest_ns, id->received_ns);
    expire(t);
}

void
lp_ids_table_load(struct lp_ids_table *t, const struct lp_batch_id *from)
{
    lp_lock(&t->mu);
    struct id *have = *place_of(t, from->identity);
    if (have == NULL) {
        have = insert(t, from);
        have->loaded = true;
        t->loaded++;
        make_stored(t, have);
    }
    lp_unlock(&t->mu);
}

/* Tenant and batch id of a request into h. */
static void
add_request(struct lp_hasher *h, const struct lp_push *push)
{
    const struct lp_str unkeyed[] = {push->method, push->target, lp_push_header(push, "content-type"),
                                     push->body};
    uint64_t shape[3] = {push->key.n > 0, 0, push->tenant.n};
    lp_hasher_reset(h);
    lp_hasher_add(h, shape, sizeof(shape));
    lp_hasher_add(h, push->tenant.p, push->tenant.n);
    for (size_t i = 0; i < LP_ARRAY_LEN(unkeyed) && push->key.n == 0; i++) {
        uint64_t n = unkeyed[i].n;
        lp_hasher_add(h, &n, sizeof(n));
        lp_hasher_add(h, unkeyed[i].p, unkeyed[i].n);
    }
    lp_hasher_add(h, push->key.p, push->key.n);
}

static bool
has_identity(const struct lp_push *push, const struct lp_batch *b)
{
    return b->nrows > 0 && (push->key.n > 0 || b->untimed == 0);
}

/* Another cut of the same key may repeat, never lose; records without time carry the time of receipt, which
 * differs on retry. */
static void
add_content(struct lp_hasher *h, const struct lp_push *push, const struct lp_batch *b)
{
    struct lp_hash128 content =
        b->untimed == 0 ? lp_batch_content_hash(b) : lp_xxh128(push->body.p, push->body.n);
    lp_hasher_add(h, &content, sizeof(content));
}

bool
lp_ids_request(const struct lp_push *push, const struct lp_batch *b, struct lp_hash128 *ret)
{
    if (!has_identity(push, b)) {
        return false;
    }
    struct lp_hasher *h = lp_hasher_new();
    add_request(h, push);
    *ret = lp_hasher_u128(h);
    lp_hasher_free(h);
    return true;
}

bool
lp_ids_identify(const struct lp_push *push, const struct lp_batch *b, struct lp_batch_id *ret)
{
    if (!has_identity(push, b)) {
        return false;
    }
    struct lp_hasher *h = lp_hasher_new();
    add_request(h, push);
    if (push->key.n > 0) {
        add_content(h, push, b);
    } else {
        struct lp_str encoding = lp_push_header(push, "content-encoding");
        uint64_t n = encoding.n;
        lp_hasher_add(h, &n, sizeof(n));
        lp_hasher_add(h, encoding.p, encoding.n);
    }
    *ret = (struct lp_batch_id){b->received_ns, lp_hasher_u128(h)};
    lp_hasher_free(h);
    return true;
}

bool
lp_ids_known_before(struct lp_ids_table *t, const struct lp_push *push, const struct lp_batch *b)
{
    lp_lock(&t->mu);
    bool ask = t->loaded > 0;
    lp_unlock(&t->mu);
    if (!ask || push->key.n > 0 || !has_identity(push, b)) {
        return false;
    }
    struct lp_hasher *h = lp_hasher_new();
    add_request(h, push);
    add_content(h, push, b);
    struct lp_batch_id id = {b->received_ns, lp_hasher_u128(h)};
    lp_hasher_free(h);
    return lp_ids_known(t, &id);
}

/* A stored one of the same ten minutes; one of another time with the same identity leaves. Caller holds mu.
 */
static struct id *
find(struct lp_ids_table *t, const struct lp_batch_id *want)
{
    struct id *id = *place_of(t, want->identity);
    if (id != NULL && !id->pending && far_apart(id->received_ns, want->received_ns)) {
        unlink_stored(t, id);
        take_out(t, id);
        lp_free(id);
        id = NULL;
    }
    return id;
}

bool
lp_ids_note(struct lp_ids_table *t, const struct lp_batch_id *from)
{
    lp_lock(&t->mu);
    bool fresh = find(t, from) == NULL;
    if (fresh) {
        make_stored(t, insert(t, from));
    }
    lp_unlock(&t->mu);
    return fresh;
}

bool
lp_ids_known(struct lp_ids_table *t, const struct lp_batch_id *id)
{
    lp_lock(&t->mu);
    const struct id *have = *place_of(t, id->identity);
    bool known = have != NULL && !have->pending && !far_apart(have->received_ns, id->received_ns);
    lp_unlock(&t->mu);
    return known;
}

lp_rc
lp_ids_begin(struct lp_ids_table *t, const struct lp_batch_id *want, int64_t deadline_ns,
             enum lp_ids_answer *ret, struct lp_err *err)
{
    lp_rc rc = LP_OK;
    lp_lock(&t->mu);
    struct id *id = find(t, want);
    if (id == NULL) {
        insert(t, want)->pending = true;
        *ret = LP_IDS_NEW;
    } else if (!id->pending) {
        *ret = LP_IDS_DUPLICATE;
    } else {
        bool in_time = true;
        id->waiters++;
        while (id->pending && in_time) {
            in_time = lp_cond_wait_until(&t->ended, &t->mu, deadline_ns);
        }
        id->waiters--;
        *ret = id->failed ? LP_IDS_FAILED : LP_IDS_DUPLICATE;
        rc = id->pending
                 ? lp_err_set(err, LP_ERR_TIMEOUT, "the same request is still being stored; try again")
                 : LP_OK;
        if (id->failed && id->waiters == 0) {
            lp_free(id);
        }
    }
    lp_unlock(&t->mu);
    return rc;
}

void
lp_ids_end(struct lp_ids_table *t, const struct lp_batch_id *done, bool stored)
{
    lp_lock(&t->mu);
    struct id *id = *place_of(t, done->identity);
    LP_ASSERT(id != NULL && id->pending);
    if (stored) {
        make_stored(t, id);
    } else {
        take_out(t, id);
        id->pending = false;
        id->failed = true;
        if (id->waiters == 0) {
            lp_free(id);
        }
    }
    lp_cond_broadcast(&t->ended);
    lp_unlock(&t->mu);
}

size_t
lp_ids_count(struct lp_ids_table *t)
{
    lp_lock(&t->mu);
    size_t n = t->n;
    lp_unlock(&t->mu);
    return n;
}
