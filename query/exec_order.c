/*
 * exec_order.c - the total order of rows: (time, stream hash, generation, arrival).
 *
 * A stream's hash is in the catalog, with its labels. It is asked for only where times are equal and streams
 * are not, so that looking for the best rows among very many streams reads those of the answer and few
 * others. A comparison cannot fail; what a stream's reading fails with is kept, and whoever compared asks for
 * it in the end.
 */
#include "query/exec_int.h"

static int
u64_cmp(uint64_t a, uint64_t b)
{
    return (a > b) - (a < b);
}

static struct lp_hash128
hash_of(struct lp_exec *x, uint32_t vstream)
{
    const struct lp_vstream *s;
    lp_rc rc = lp_view_stream(x->view, vstream, &s, NULL);
    if (rc == LP_OK) {
        return s->hash;
    }
    int none = LP_OK;
    atomic_compare_exchange_strong(&x->order_rc, &none, (int)rc);
    return (struct lp_hash128){vstream, vstream};
}

int
lp_hit_cmp(struct lp_exec *x, const struct lp_hit *a, const struct lp_hit *b)
{
    if (a->time_ns != b->time_ns) {
        return a->time_ns < b->time_ns ? -1 : 1;
    }
    if (a->vstream != b->vstream) {
        int order = lp_hash128_cmp(hash_of(x, a->vstream), hash_of(x, b->vstream));
        if (order != 0) {
            return order; /* else one stream, in the head and in a segment */
        }
    }
    int order = u64_cmp(a->generation, b->generation);
    return order != 0 ? order : u64_cmp(a->arrival, b->arrival);
}

int
lp_hit_key_cmp(struct lp_exec *x, const struct lp_hit *h, const struct lp_key *key)
{
    if (h->time_ns != key->time_ns) {
        return h->time_ns < key->time_ns ? -1 : 1;
    }
    int order = lp_hash128_cmp(hash_of(x, h->vstream), key->stream);
    order = order != 0 ? order : u64_cmp(h->generation, key->generation);
    return order != 0 ? order : u64_cmp(h->arrival, key->arrival);
}

lp_rc
lp_exec_order_failed(struct lp_exec *x, struct lp_err *err)
{
    lp_rc rc = (lp_rc)atomic_load(&x->order_rc);
    if (rc == LP_ERR_LIMIT) {
        return lp_err_set(
            err, rc, "the query looks at more streams than its memory can hold; add more label matchers");
    }
    return rc == LP_OK ? rc : lp_err_set(err, rc, "a stream that has lines cannot be read from the catalog");
}

lp_rc
lp_hit_key(struct lp_exec *x, const struct lp_hit *h, struct lp_key *ret, struct lp_err *err)
{
    const struct lp_vstream *s;
    lp_rc rc = lp_view_stream(x->view, h->vstream, &s, err);
    if (rc == LP_OK) {
        *ret = (struct lp_key){h->time_ns, s->hash, h->generation, h->arrival};
    }
    return rc;
}
