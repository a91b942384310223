/*
 * idset.c - sets of stream ids as bits. See idset.h.
 */
#include "store/idset.h"

#include <string.h>

void
lp_idset_init(struct lp_idset *s, uint64_t limit)
{
    *s = (struct lp_idset){.limit = limit, .nchunks = (size_t)((limit + 0xffff) >> LP_IDCHUNK_BITS)};
    s->v = lp_calloc(s->nchunks, sizeof(struct lp_idchunk *));
}

void
lp_idset_clear(struct lp_idset *s)
{
    for (size_t i = 0; i < s->nchunks && s->v != NULL; i++) {
        lp_free(s->v[i]);
    }
    lp_free(s->v);
    lp_free(s->before);
    *s = (struct lp_idset){.limit = 0};
}

static void
drop(struct lp_idset *s, size_t chunk)
{
    lp_free(s->v[chunk]);
    s->v[chunk] = NULL;
}

/* Sets the bits [lo, hi) of a chunk. */
static void
set_bits(uint64_t *bits, uint32_t lo, uint32_t hi)
{
    uint32_t first = lo / 64, last = (hi - 1) / 64;
    uint64_t head = UINT64_MAX << (lo % 64), tail = UINT64_MAX >> (63 - (hi - 1) % 64);
    if (first == last) {
        bits[first] |= head & tail;
        return;
    }
    bits[first] |= head;
    memset(bits + first + 1, 0xff, (last - first - 1) * sizeof(*bits));
    bits[last] |= tail;
}

void
lp_idset_add(struct lp_idset *s, uint64_t first, uint64_t end)
{
    LP_ASSERT(end <= s->limit && s->before == NULL);
    while (first < end) {
        size_t chunk = (size_t)(first >> LP_IDCHUNK_BITS);
        uint64_t base = (uint64_t)chunk << LP_IDCHUNK_BITS, stop = LP_MIN(end, base + 0x10000);
        if (s->v[chunk] == NULL) {
            s->v[chunk] = lp_calloc(1, sizeof(*s->v[chunk]));
        }
        set_bits(s->v[chunk]->bits, (uint32_t)(first - base), (uint32_t)(stop - base));
        first = stop;
    }
}

bool
lp_idset_has(const struct lp_idset *s, uint64_t id)
{
    size_t chunk = (size_t)(id >> LP_IDCHUNK_BITS);
    return chunk < s->nchunks && s->v[chunk] != NULL &&
           (s->v[chunk]->bits[(id & 0xffff) / 64] >> (id % 64) & 1) != 0;
}

void
lp_idset_or(struct lp_idset *s, const struct lp_idset *other)
{
    LP_ASSERT(s->limit == other->limit && s->before == NULL);
    for (size_t i = 0; i < s->nchunks; i++) {
        if (other->v[i] == NULL) {
            continue;
        }
        if (s->v[i] == NULL) {
            s->v[i] = lp_calloc(1, sizeof(*s->v[i]));
        }
        for (size_t w = 0; w < LP_IDCHUNK_WORDS; w++) {
            s->v[i]->bits[w] |= other->v[i]->bits[w];
        }
    }
}

void
lp_idset_and(struct lp_idset *s, const struct lp_idset *other)
{
    LP_ASSERT(s->limit == other->limit && s->before == NULL);
    for (size_t i = 0; i < s->nchunks; i++) {
        uint64_t any = 0;
        for (size_t w = 0; s->v[i] != NULL && other->v[i] != NULL && w < LP_IDCHUNK_WORDS; w++) {
            any |= s->v[i]->bits[w] &= other->v[i]->bits[w];
        }
        if (any == 0) {
            drop(s, i);
        }
    }
}

void
lp_idset_without(struct lp_idset *s, const struct lp_idset *other)
{
    LP_ASSERT(s->limit == other->limit && s->before == NULL);
    for (size_t i = 0; i < s->nchunks; i++) {
        uint64_t any = 0;
        if (s->v[i] == NULL || other->v[i] == NULL) {
            continue;
        }
        for (size_t w = 0; w < LP_IDCHUNK_WORDS; w++) {
            any |= s->v[i]->bits[w] &= ~other->v[i]->bits[w];
        }
        if (any == 0) {
            drop(s, i);
        }
    }
}

bool
lp_idset_is_empty(const struct lp_idset *s)
{
    return lp_idset_next(s, 0) == UINT64_MAX;
}

bool
lp_idset_within(const struct lp_idset *s, const struct lp_idset *other)
{
    LP_ASSERT(s->limit == other->limit);
    for (size_t i = 0; i < s->nchunks; i++) {
        for (size_t w = 0; s->v[i] != NULL && w < LP_IDCHUNK_WORDS; w++) {
            if ((s->v[i]->bits[w] & ~(other->v[i] != NULL ? other->v[i]->bits[w] : 0)) != 0) {
                return false;
            }
        }
    }
    return true;
}

bool
lp_idset_meets(const struct lp_idset *s, const struct lp_idset *other)
{
    LP_ASSERT(s->limit == other->limit);
    for (size_t i = 0; i < s->nchunks; i++) {
        for (size_t w = 0; s->v[i] != NULL && other->v[i] != NULL && w < LP_IDCHUNK_WORDS; w++) {
            if ((s->v[i]->bits[w] & other->v[i]->bits[w]) != 0) {
                return true;
            }
        }
    }
    return false;
}

uint64_t
lp_idset_next(const struct lp_idset *s, uint64_t from)
{
    uint64_t mask = UINT64_MAX << (from % 64);
    size_t w = (from & 0xffff) / 64;
    for (size_t i = (size_t)(from >> LP_IDCHUNK_BITS); i < s->nchunks; i++) {
        for (; s->v[i] != NULL && w < LP_IDCHUNK_WORDS; w++) {
            uint64_t left = s->v[i]->bits[w] & mask;
            if (left != 0) {
                return ((uint64_t)i << LP_IDCHUNK_BITS) + w * 64 + (uint64_t)__builtin_ctzll(left);
            }
            mask = UINT64_MAX;
        }
        mask = UINT64_MAX;
        w = 0;
    }
    return UINT64_MAX;
}

static uint64_t
count_bits(const uint64_t *bits, size_t n)
{
    uint64_t sum = 0;
    for (size_t w = 0; w < n; w++) {
        sum += (uint64_t)__builtin_popcountll(bits[w]);
    }
    return sum;
}

uint64_t
lp_idset_count(const struct lp_idset *s)
{
    uint64_t sum = 0;
    if (s->before != NULL) {
        return s->before[s->nchunks];
    }
    for (size_t i = 0; i < s->nchunks; i++) {
        sum += s->v[i] != NULL ? count_bits(s->v[i]->bits, LP_IDCHUNK_WORDS) : 0;
    }
    return sum;
}

/* ------------------------------------------------------------------ numbers */

void
lp_idset_number(struct lp_idset *s)
{
    uint64_t sum = 0;
    LP_ASSERT(s->before == NULL);
    s->before = lp_malloc((s->nchunks + 1) * sizeof(*s->before));
    for (size_t i = 0; i < s->nchunks; i++) {
        uint32_t inside = 0;
        s->before[i] = sum;
        for (size_t k = 0; s->v[i] != NULL && k < LP_IDCHUNK_STEPS; k++) {
            s->v[i]->before[k] = (uint16_t)inside; /* at most 65,536 - 512 */
            inside += (uint32_t)count_bits(s->v[i]->bits + k * 8, 8);
        }
        sum += inside;
    }
    s->before[s->nchunks] = sum;
}

void
lp_idset_unnumber(struct lp_idset *s)
{
    lp_free(s->before);
    s->before = NULL;
}

uint64_t
lp_idset_rank(const struct lp_idset *s, uint64_t id)
{
    size_t chunk = (size_t)(id >> LP_IDCHUNK_BITS), word = (id & 0xffff) / 64;
    LP_ASSERT(s->before != NULL && id <= s->limit);
    if (chunk == s->nchunks || s->v[chunk] == NULL) {
        return s->before[chunk];
    }
    const struct lp_idchunk *c = s->v[chunk];
    uint64_t below = c->bits[word] & ~(UINT64_MAX << (id % 64));
    return s->before[chunk] + c->before[word / 8] + count_bits(c->bits + word / 8 * 8, word % 8) +
           (uint64_t)__builtin_popcountll(below);
}

uint64_t
lp_idset_at(const struct lp_idset *s, uint64_t number)
{
    LP_ASSERT(s->before != NULL && number < s->before[s->nchunks]);
    size_t lo = 0, hi = s->nchunks;
    while (hi - lo > 1) { /* the last chunk with at most `number` ids before it: it has one more */
        size_t mid = lo + (hi - lo) / 2;
        *(s->before[mid] <= number ? &lo : &hi) = mid;
    }
    const struct lp_idchunk *c = s->v[lo];
    uint32_t left = (uint32_t)(number - s->before[lo]);
    size_t k = 0, end = LP_IDCHUNK_STEPS;
    while (end - k > 1) {
        size_t mid = k + (end - k) / 2;
        *(c->before[mid] <= left ? &k : &end) = mid;
    }
    left -= c->before[k];
    for (size_t w = k * 8;; w++) {
        uint32_t n = (uint32_t)__builtin_popcountll(c->bits[w]);
        if (left >= n) {
            left -= n;
            continue;
        }
        uint64_t bits = c->bits[w];
        for (; left > 0; left--) {
            bits &= bits - 1;
        }
        return ((uint64_t)lo << LP_IDCHUNK_BITS) + w * 64 + (uint64_t)__builtin_ctzll(bits);
    }
}
