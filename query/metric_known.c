/*
 * metric_known.c - a small cache of a worker: the numbers of the series that it met last, so that the lock over
 * all series is seldom taken. What collides takes the place of what was there.
 */
#include "base/hash.h"
#include "query/metric_int.h"

void
lp_known_init(struct lp_known_series *k, size_t key_bytes_max)
{
    lp_buf_init(&k->key, key_bytes_max);
}

void
lp_known_clear(struct lp_known_series *k)
{
    lp_buf_clear(&k->key);
}

void
lp_known_begin(struct lp_known_series *k)
{
    lp_buf_reset(&k->key);
}

void
lp_known_pairs(struct lp_known_series *k, const struct lp_pair *pairs, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        size_t lengths[2] = {pairs[i].name.n, pairs[i].value.n};
        lp_buf_add(&k->key, lengths, sizeof(lengths));
        lp_buf_str(&k->key, pairs[i].name);
        lp_buf_str(&k->key, pairs[i].value);
    }
}

uint32_t *
lp_known_find(struct lp_known_series *k)
{
    if (k->key.failed) {
        return NULL;
    }
    struct lp_hash128 key = lp_xxh128(k->key.p, k->key.n);
    struct lp_known_slot *slot = &k->v[key.lo % LP_KNOWN_SERIES];
    if (!lp_hash128_eq(slot->key, key)) {
        *slot = (struct lp_known_slot){.key = key};
    }
    return &slot->series_1;
}
