/*
 * head.c - generations, room and tickets in memory. See head.h for the way through.
 *
 * Invariants, all under h->mu:
 *   1. gens are in a list by rising id; only the newest can be open; generations are given to the seal oldest
 * first.
 *   2. reserved = room without a ticket + the room of every generation in the list; reserved <= budget.
 *   3. the tickets of a source, taken in order, lie in generations of rising id: a ticket is bound to the
 * open generation while the log's lock keeps the order.
 *   4. a batch in a generation's list is immutable but for `dropped`; the list only grows at its end, so a
 * view is (first, count).
 *   5. a generation is handed to the seal only when it is closed and pending == 0; from then on nothing in it
 * changes.
 */
#include "store/head.h"

#include <stdatomic.h>
#include <string.h>

#include "base/lock.h"
#include "base/metrics.h"

struct lp_ticket {
    struct lp_source *source;
    struct lp_gen *gen;
    struct lp_ticket *next; /* in the source, later position */
    size_t room, expect;
    uint32_t index; /* into gen->tickets */
    bool ended;
    struct lp_batch *batch;
};

struct lp_head {
    struct lp_mutex mu;
    struct lp_cond room_freed;  /* room came back, or a turn in the queue for it ended */
    struct lp_cond grew;        /* a batch became visible */
    struct lp_cond gen_changed; /* a generation closed, or its last ticket ended */
    struct lp_head_config cfg;
    size_t budget, usual, reserved; /* usual: what batches of ordinary size fill */
    uint64_t turn_next, turn_now;   /* the queue for room: first come, first served */
    struct lp_gen *oldest, *newest;
    size_t ngens;
    uint64_t next_gen;
    uint64_t rows;
    uint64_t entered; /* batches, since the start; from 1 */
    struct lp_source **sources;
    size_t nsources;
    bool stopped;
};

struct lp_head *
lp_head_new(const struct lp_head_config *cfg)
{
    struct lp_head *h = lp_calloc(1, sizeof(*h));
    lp_mutex_init(&h->mu, LP_LOCK_HEAD);
    lp_cond_init(&h->room_freed);
    lp_cond_init(&h->gen_changed);
    lp_cond_init(&h->grew);
    h->entered = 1;
    h->cfg = *cfg;
    h->budget = 3 * cfg->seal_bytes + cfg->largest_bytes;
    h->usual = cfg->seal_bytes + cfg->seal_bytes / 2;
    h->next_gen = cfg->first_gen;
    return h;
}

static void
gen_free(struct lp_gen *g)
{
    for (struct lp_batch *b = g->first, *next; b != NULL; b = next) {
        next = b->next;
        lp_free(b->gen_streams);
        lp_batch_free(b);
    }
    for (size_t i = 0; i < LP_GEN_STREAM_LEVELS; i++) {
        lp_free(g->levels[i]);
    }
    lp_free(g->buckets);
    lp_free(g->tickets);
    lp_free(g);
}

struct lp_gen *
lp_gen_ref(struct lp_gen *g)
{
    atomic_fetch_add_explicit(&g->refs, 1, memory_order_relaxed);
    return g;
}

void
lp_gen_unref(struct lp_gen *g)
{
    if (atomic_fetch_sub_explicit(&g->refs, 1, memory_order_acq_rel) == 1) {
        gen_free(g);
    }
}

void
lp_head_free(struct lp_head *h)
{
    if (h == NULL) {
        return;
    }
    for (size_t i = 0; i < h->nsources; i++) {
        for (struct lp_ticket *t = h->sources[i]->first, *next; t != NULL; t = next) {
            next = t->next;
            lp_batch_free(t->batch);
            lp_free(t);
        }
        lp_free(h->sources[i]->log);
        lp_free(h->sources[i]);
    }
    for (struct lp_gen *g = h->oldest, *next; g != NULL; g = next) {
        next = g->next;
        lp_gen_unref(g);
    }
    lp_free(h->sources);
    lp_cond_destroy(&h->room_freed);
    lp_cond_destroy(&h->gen_changed);
    lp_cond_destroy(&h->grew);
    lp_mutex_destroy(&h->mu);
    lp_free(h);
}

uint64_t
lp_source_hash(const char *log, uint32_t partition)
{
    struct lp_hash128 h = lp_xxh128(log, strlen(log));
    return h.lo + partition * UINT64_C(0x9E3779B97F4A7C15);
}

struct lp_source *
lp_head_source(struct lp_head *h, const char *log, uint32_t partition)
{
    lp_lock(&h->mu);
    struct lp_source *src = NULL;
    for (size_t i = 0; i < h->nsources && src == NULL; i++) {
        if (h->sources[i]->partition == partition && strcmp(h->sources[i]->log, log) == 0) {
            src = h->sources[i];
        }
    }
    if (src == NULL) {
        src = lp_calloc(1, sizeof(*src));
        src->log = lp_strdup(log);
        src->partition = partition;
        src->hash = lp_source_hash(log, partition);
        src->index = (uint32_t)h->nsources;
        h->sources = lp_realloc(h->sources, (h->nsources + 1) * sizeof(struct lp_source *));
        h->sources[h->nsources++] = src;
    }
    lp_unlock(&h->mu);
    return src;
}

/* --- room --- */

static void
publish_gauges(const struct lp_head *h)
{
    lp_metric_set(LP_M_HEAD_BYTES, (int64_t)h->reserved);
    lp_metric_set(LP_M_HEAD_ROWS, (int64_t)h->rows);
    lp_metric_set(LP_M_HEAD_GENERATIONS, (int64_t)h->ngens);
}

static void
give_back(struct lp_head *h, size_t bytes)
{
    LP_ASSERT(bytes <= h->reserved);
    h->reserved -= bytes;
    publish_gauges(h);
    lp_cond_broadcast(&h->room_freed);
}

/*
 * A generation that is sealed and half of the next are enough to keep both ends at work: more would only be
 * memory when records come faster than they are sealed. Large batches may take the rest, or they would find
 * no room. What is reserved and not in a closed generation fits one more than the open one, so waiting for
 * less ends with a seal.
 */
static bool
has_room(const struct lp_head *h, size_t bytes)
{
    size_t most = bytes <= h->cfg.seal_bytes / 4 ? h->usual : h->budget;
    return h->reserved + bytes <= most;
}

/*
 * Waits for this caller's turn and for room. A caller whose deadline passes while others stand before it must
 * still let its turn go by, so it stays in line until then only if it is first; otherwise its turn is taken
 * back from the end.
 */
static lp_rc
wait_for_room(struct lp_head *h, size_t bytes, int64_t deadline_ns)
{
    if (deadline_ns == 0 && (h->turn_now != h->turn_next || !has_room(h, bytes))) {
        return LP_ERR_BUSY;
    }
    uint64_t turn = h->turn_next++;
    bool late = false;
    while (!h->stopped && (turn != h->turn_now || (!has_room(h, bytes) && !late))) {
        if (late) {
            lp_cond_wait(&h->room_freed, &h->mu); /* its turn is soon: those before it have deadlines too */
        } else {
            late = !lp_cond_wait_until(&h->room_freed, &h->mu, deadline_ns);
        }
    }
    h->turn_now += turn == h->turn_now;
    lp_cond_broadcast(&h->room_freed);
    return h->stopped ? LP_ERR_SHUTDOWN : has_room(h, bytes) ? LP_OK : LP_ERR_BUSY;
}

lp_rc
lp_head_room(struct lp_head *h, size_t bytes, int64_t deadline_ns, struct lp_err *err)
{
    if (bytes > h->budget) {
        return lp_err_set(err, LP_ERR_LIMIT,
                          "the request needs %zu bytes of memory once decoded, the head has %zu", bytes,
                          h->budget);
    }
    lp_lock(&h->mu);
    lp_rc rc = h->stopped ? LP_ERR_SHUTDOWN : wait_for_room(h, bytes, deadline_ns);
    if (rc == LP_OK) {
        h->reserved += bytes;
        publish_gauges(h);
    }
    lp_unlock(&h->mu);
    if (rc == LP_ERR_BUSY) {
        return lp_err_set(err, rc, "no room for more records at the moment; try again");
    }
    return rc == LP_OK ? rc : lp_err_set(err, rc, "the server is stopping");
}

void
lp_head_unroom(struct lp_head *h, size_t bytes)
{
    lp_lock(&h->mu);
    give_back(h, bytes);
    lp_unlock(&h->mu);
}

/* --- generations and tickets --- */

static void
close_newest(struct lp_head *h)
{
    h->newest->closed = true;
    lp_cond_broadcast(&h->gen_changed);
}

/* The open generation that has room for `expect` more, or is still empty; a new one otherwise. */
static struct lp_gen *
gen_for(struct lp_head *h, size_t expect)
{
    struct lp_gen *g = h->newest;
    if (g != NULL && !g->closed && g->ntickets > 0 && g->fill + expect > h->cfg.seal_bytes) {
        close_newest(h);
    }
    if (g == NULL || g->closed) {
        g = lp_calloc(1, sizeof(*g));
        g->id = h->next_gen++;
        g->refs = 1;
        g->opened_ns = lp_mono_ns();
        if (h->newest != NULL) {
            h->newest->next = g;
        } else {
            h->oldest = g;
        }
        h->newest = g;
        h->ngens++;
    }
    return g;
}

struct lp_ticket *
lp_head_ticket(struct lp_head *h, struct lp_source *src, uint64_t first, uint64_t next, uint64_t epoch,
               size_t room)
{
    return lp_head_ticket_of(h, &(struct lp_ticket_spec){src, first, next, epoch, 0, room, room});
}

struct lp_ticket *
lp_head_ticket_of(struct lp_head *h, const struct lp_ticket_spec *spec)
{
    LP_ASSERT(spec->first <= spec->next);
    struct lp_source *src = spec->source;
    struct lp_ticket *t = lp_calloc(1, sizeof(*t));
    lp_lock(&h->mu);
    struct lp_gen *g = gen_for(h, spec->expect);
    if (g->ntickets == g->tickets_cap) {
        g->tickets_cap = g->tickets_cap ? g->tickets_cap * 2 : 64;
        g->tickets = lp_realloc(g->tickets, g->tickets_cap * sizeof(*g->tickets));
    }
    *t = (struct lp_ticket){
        .source = src, .gen = g, .room = spec->room, .expect = spec->expect, .index = (uint32_t)g->ntickets};
    g->tickets[g->ntickets++] =
        (struct lp_gen_ticket){src, spec->first, spec->next, spec->epoch, spec->anchor, false};
    g->room += spec->room;
    g->fill += spec->expect;
    g->pending++;
    if (src->last != NULL) {
        LP_ASSERT(src->last->gen->id <= g->id);
        src->last->next = t;
    } else {
        src->first = t;
    }
    src->last = t;
    lp_unlock(&h->mu);
    return t;
}

/* --- entering --- */

static struct lp_gen_stream *
stream_place(const struct lp_gen *g, uint32_t i)
{
    uint64_t k = (uint64_t)i + 1024;
    unsigned level = 63u - (unsigned)__builtin_clzll(k) - 10;
    return &g->levels[level][k - (UINT64_C(1024) << level)];
}

const struct lp_gen_stream *
lp_gen_stream(const struct lp_gen *g, uint32_t i)
{
    return stream_place(g, i);
}

static void
rehash(struct lp_gen *g)
{
    size_t n = g->nbuckets ? g->nbuckets * 2 : 256;
    lp_free(g->buckets);
    g->buckets = lp_calloc(n, sizeof(*g->buckets));
    g->nbuckets = n;
    for (uint32_t i = 0; i < g->nstreams; i++) {
        size_t at = stream_place(g, i)->hash.lo & (n - 1);
        while (g->buckets[at] != 0) {
            at = (at + 1) & (n - 1);
        }
        g->buckets[at] = i + 1;
    }
}

static uint32_t
intern_stream(struct lp_gen *g, const struct lp_batch_stream *s)
{
    if (((size_t)g->nstreams + 1) * 2 > g->nbuckets) {
        rehash(g);
    }
    size_t at = s->hash.lo & (g->nbuckets - 1);
    for (; g->buckets[at] != 0; at = (at + 1) & (g->nbuckets - 1)) {
        struct lp_gen_stream *have = stream_place(g, g->buckets[at] - 1);
        if (lp_hash128_eq(have->hash, s->hash)) {
            have->rows += s->rows;
            return g->buckets[at] - 1;
        }
    }
    uint32_t i = g->nstreams++;
    unsigned level = 63u - (unsigned)__builtin_clzll((uint64_t)i + 1024) - 10;
    LP_ASSERT(level < LP_GEN_STREAM_LEVELS);
    if (g->levels[level] == NULL) {
        g->levels[level] = lp_calloc((size_t)1024 << level, sizeof(struct lp_gen_stream));
    }
    *stream_place(g, i) = (struct lp_gen_stream){s->key, s->hash, s->rows};
    g->buckets[at] = i + 1;
    return i;
}

/* The batch becomes the last of its generation: from now on searches see it. */
static void
enter(struct lp_head *h, struct lp_gen *g, uint32_t ticket, struct lp_batch *b)
{
    b->gen_streams = lp_malloc(b->nstreams * sizeof(*b->gen_streams));
    for (size_t i = 0; i < b->nstreams; i++) {
        b->gen_streams[i] = intern_stream(g, &b->streams[i]);
    }
    b->ticket = ticket;
    b->source = g->tickets[ticket].source;
    b->first_position = g->tickets[ticket].first;
    b->next_position = g->tickets[ticket].next;
    b->next = NULL;
    if (g->last != NULL) {
        g->last->next = b;
    } else {
        g->first = b;
    }
    g->last = b;
    g->nbatches++;
    g->nrows += b->nrows;
    g->line_bytes += b->line_bytes;
    h->rows += b->nrows;
    h->entered++;
    lp_cond_broadcast(&h->grew);
    lp_metric_add(LP_M_INGEST_RECORDS, (int64_t)b->nrows);
    lp_metric_add(LP_M_INGEST_BYTES, (int64_t)b->line_bytes);
    lp_metric_add(LP_M_INGEST_QUARANTINED, (int64_t)b->quarantined);
    lp_metric_add(LP_M_INGEST_LABELS_DEMOTED, (int64_t)b->demoted);
    lp_metric_add(LP_M_INGEST_BATCHES, 1);
}

/* Enters, in order, what has ended at the front of the source's row of tickets. */
static void
advance(struct lp_head *h, struct lp_source *src)
{
    while (src->first != NULL && src->first->ended) {
        struct lp_ticket *t = src->first;
        struct lp_gen *g = t->gen;
        src->first = t->next;
        src->last = src->first == NULL ? NULL : src->last;
        if (t->batch != NULL && g->tickets[t->index].dropped) {
            lp_batch_free(t->batch);
        } else if (t->batch != NULL) {
            enter(h, g, t->index, t->batch);
        }
        g->pending--;
        if (g->pending == 0 && g->closed) {
            lp_cond_broadcast(&h->gen_changed);
        }
        lp_free(t);
    }
    publish_gauges(h);
}

void
lp_head_end(struct lp_head *h, struct lp_ticket *t, enum lp_outcome outcome, struct lp_batch *batch)
{
    LP_ASSERT((outcome == LP_STORED) == (batch != NULL));
    lp_lock(&h->mu);
    size_t used = batch != NULL ? lp_batch_room(batch) : 0;
    LP_ASSERT(used <= t->room);
    t->gen->room -= t->room - used;
    t->gen->fill = t->gen->fill - t->expect + used;
    give_back(h, t->room - used);
    if (t->gen == h->newest && !t->gen->closed && t->gen->fill >= h->cfg.seal_bytes) {
        close_newest(h); /* full: whoever waits for room must not wait for a ticket that comes after it */
    }
    t->ended = true;
    t->batch = batch;
    advance(h, t->source);
    lp_unlock(&h->mu);
}

uint64_t
lp_head_close(struct lp_head *h)
{
    lp_lock(&h->mu);
    if (h->newest != NULL && !h->newest->closed && h->newest->ntickets > 0) {
        close_newest(h);
    }
    uint64_t id = h->newest == NULL ? 0 : h->newest->closed ? h->newest->id : h->newest->id - 1;
    lp_unlock(&h->mu);
    return id;
}

void
lp_head_close_older(struct lp_head *h, int64_t opened_ns)
{
    lp_lock(&h->mu);
    struct lp_gen *g = h->newest;
    if (g != NULL && !g->closed && g->ntickets > 0 && g->opened_ns <= opened_ns) {
        close_newest(h);
    }
    lp_unlock(&h->mu);
}

size_t
lp_head_drop_source(struct lp_head *h, struct lp_source *src)
{
    size_t dropped = 0;
    lp_lock(&h->mu);
    for (struct lp_gen *g = h->oldest; g != NULL; g = g->next) {
        for (size_t i = 0; i < g->ntickets && !g->sealing; i++) {
            if (g->tickets[i].source == src && !g->tickets[i].dropped) {
                g->tickets[i].dropped = true;
                dropped++;
            }
        }
        for (struct lp_batch *b = g->first; b != NULL && !g->sealing; b = b->next) {
            if (g->tickets[b->ticket].source == src && !b->dropped) {
                b->dropped = true;
                g->nrows -= b->nrows;
                g->line_bytes -= b->line_bytes;
                h->rows -= b->nrows;
            }
        }
    }
    publish_gauges(h);
    lp_unlock(&h->mu);
    return dropped;
}

int64_t
lp_head_source_next(struct lp_head *h, struct lp_source *src)
{
    int64_t next = -1;
    lp_lock(&h->mu);
    for (struct lp_gen *g = h->oldest; g != NULL; g = g->next) {
        for (size_t i = 0; i < g->ntickets; i++) {
            if (g->tickets[i].source == src && !g->tickets[i].dropped) {
                next = LP_MAX(next, (int64_t)g->tickets[i].next);
            }
        }
    }
    lp_unlock(&h->mu);
    return next;
}

lp_rc
lp_head_sealable(struct lp_head *h, int64_t deadline_ns, struct lp_gen **ret)
{
    lp_rc rc = LP_OK;
    lp_lock(&h->mu);
    for (;;) {
        struct lp_gen *g = h->oldest;
        if (g != NULL && g->closed && g->pending == 0) {
            g->sealing = true;
            *ret = g;
            break;
        }
        if (h->stopped && (g == NULL || !g->closed)) {
            rc = LP_ERR_SHUTDOWN;
            break;
        }
        if (!lp_cond_wait_until(&h->gen_changed, &h->mu, deadline_ns)) {
            rc = LP_ERR_TIMEOUT;
            break;
        }
    }
    lp_unlock(&h->mu);
    return rc;
}

void
lp_head_drop(struct lp_head *h, struct lp_gen *g)
{
    lp_lock(&h->mu);
    LP_ASSERT(g == h->oldest && g->sealing);
    h->oldest = g->next;
    h->newest = h->oldest == NULL ? NULL : h->newest;
    h->ngens--;
    h->rows -= g->nrows;
    give_back(h, g->room);
    lp_unlock(&h->mu);
    lp_gen_unref(g);
}

void
lp_head_stop(struct lp_head *h)
{
    lp_lock(&h->mu);
    h->stopped = true;
    lp_cond_broadcast(&h->grew);
    lp_cond_broadcast(&h->room_freed);
    lp_cond_broadcast(&h->gen_changed);
    lp_unlock(&h->mu);
}

/* --- reading --- */

uint64_t
lp_head_await(struct lp_head *h, uint64_t seen, int64_t deadline_ns)
{
    lp_lock(&h->mu);
    while (h->entered == seen && !h->stopped && lp_cond_wait_until(&h->grew, &h->mu, deadline_ns)) {
    }
    uint64_t now = h->entered;
    lp_unlock(&h->mu);
    return now;
}

void
lp_head_view(struct lp_head *h, struct lp_head_view *ret)
{
    lp_lock(&h->mu);
    ret->gens = lp_malloc(h->ngens * sizeof(*ret->gens));
    ret->ngens = 0;
    for (struct lp_gen *g = h->oldest; g != NULL; g = g->next) {
        ret->gens[ret->ngens++] = (struct lp_head_view_gen){lp_gen_ref(g), g->nbatches, g->nstreams};
    }
    lp_unlock(&h->mu);
}

void
lp_head_view_clear(struct lp_head_view *v)
{
    for (size_t i = 0; i < v->ngens; i++) {
        lp_gen_unref(v->gens[i].gen);
    }
    lp_free(v->gens);
    *v = (struct lp_head_view){NULL, 0};
}

void
lp_head_stats(struct lp_head *h, struct lp_head_stats *ret)
{
    lp_lock(&h->mu);
    *ret = (struct lp_head_stats){h->reserved, h->budget,
                                  h->usual,    h->ngens,
                                  h->rows,     h->newest != NULL && !h->newest->closed ? h->newest->id : 0};
    lp_unlock(&h->mu);
}

/* How many streams of the batch have none yet. */
static size_t
count_unseen(const struct lp_batch *b, const struct lp_row **rows)
{
    size_t n = 0;
    for (size_t i = 0; i < b->nstreams; i++) {
        n += b->streams[i].rows > 0 && rows[b->gen_streams[i]] == NULL;
    }
    return n;
}

void
lp_gen_first_rows(const struct lp_gen *g, size_t nbatches, const struct lp_row **rows)
{
    const struct lp_batch *b = nbatches > 0 ? g->first : NULL;
    for (size_t k = 0; k < nbatches; k++) {
        bool dropped = atomic_load_explicit(&b->dropped, memory_order_relaxed);
        size_t unseen = dropped ? 0 : count_unseen(b, rows);
        for (size_t i = 0; i < b->nrows && unseen > 0; i++) {
            const struct lp_row **row = &rows[b->gen_streams[b->rows[i].stream]];
            unseen -= *row == NULL;
            *row = *row == NULL ? &b->rows[i] : *row;
        }
        b = k + 1 < nbatches ? b->next : NULL;
    }
}
