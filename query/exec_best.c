/*
 * exec_best.c - the n best of many hits: an array that is cut back to the best n whenever it is half as
 * large again, by selection in linear time. A hit so costs a constant, and memory stays within 1.5 n.
 *
 * Hits have different keys (a row is scanned once), so the outcome does not depend on the order they come in.
 */
#include <stdlib.h>
#include <string.h>

#include "query/exec_int.h"

#define SLACK_MIN 32

void
lp_best_init(struct lp_best *b, struct lp_exec *x, size_t limit, bool backward)
{
    *b = (struct lp_best){.x = x, .limit = limit, .backward = backward, .random = 88172645463325252u};
}

void
lp_best_clear(struct lp_best *b)
{
    lp_free(b->v);
    b->v = NULL;
    b->n = b->cap = 0;
}

static uint64_t
next_random(struct lp_best *b)
{
    b->random ^= b->random << 13;
    b->random ^= b->random >> 7;
    b->random ^= b->random << 17;
    return b->random;
}

static void
swap(struct lp_hit *a, struct lp_hit *b)
{
    struct lp_hit t = *a;
    *a = *b;
    *b = t;
}

/* Is h before other in query direction? */
static bool
is_before(const struct lp_best *b, const struct lp_hit *h, const struct lp_hit *other)
{
    int order = lp_hit_cmp(b->x, h, other);
    return b->backward ? order > 0 : order < 0;
}

/* Moves hits before the pivot to the front of [lo, hi); returns the pivot's final index. */
static size_t
partition(struct lp_best *b, size_t lo, size_t hi)
{
    struct lp_hit *v = b->v;
    swap(&v[lo + next_random(b) % (hi - lo)], &v[hi - 1]);
    const struct lp_hit pivot = v[hi - 1];
    size_t out = lo;
    for (size_t i = lo; i < hi - 1; i++) {
        if (is_before(b, &v[i], &pivot)) {
            swap(&v[i], &v[out++]);
        }
    }
    swap(&v[out], &v[hi - 1]);
    return out;
}

/* Cuts back to the `limit` best (n > limit), the worst of them at the end. */
static void
cut(struct lp_best *b)
{
    size_t lo = 0, hi = b->n, want = b->limit - 1;
    while (hi - lo > 1) {
        size_t at = partition(b, lo, hi);
        if (at == want) {
            break;
        }
        if (at < want) {
            lo = at + 1;
        } else {
            hi = at;
        }
    }
    b->n = b->limit;
    b->worst = b->v[want];
    b->full = true;
}

/* The first time that n reaches limit exactly: the bound is worth a pass. */
static void
find_worst(struct lp_best *b)
{
    size_t at = 0;
    for (size_t i = 1; i < b->n; i++) {
        if (is_before(b, &b->v[at], &b->v[i])) {
            at = i;
        }
    }
    b->worst = b->v[at];
    b->full = true;
}

static void
push(struct lp_best *b, const struct lp_hit *h)
{
    if (b->full && !is_before(b, h, &b->worst)) {
        return;
    }
    if (b->n == b->cap) {
        b->cap = b->cap ? b->cap * 2 : 64;
        b->v = lp_realloc(b->v, b->cap * sizeof(*b->v));
    }
    b->v[b->n++] = *h;
    if (b->n == b->limit && !b->full) {
        find_worst(b);
    } else if (b->n >= b->limit + LP_MAX(b->limit / 2, (size_t)SLACK_MIN)) {
        cut(b);
    }
}

void
lp_best_add(struct lp_best *b, const struct lp_hit *hits, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        push(b, &hits[i]);
    }
}

static int
forward_order(const void *a, const void *b, void *x)
{
    return lp_hit_cmp(x, a, b);
}

static int
backward_order(const void *a, const void *b, void *x)
{
    return lp_hit_cmp(x, b, a);
}

void
lp_best_finish(struct lp_best *b)
{
    if (b->n > b->limit) {
        cut(b);
    }
    if (b->n > 1) {
        qsort_r(b->v, b->n, sizeof(*b->v), b->backward ? backward_order : forward_order, b->x);
    }
}
