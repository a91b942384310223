/*
 * catalog_hash.c - streams by the hash of their key: a large map and eight small ones (FORMAT.md
 * section 4.4).
 *
 * Hashes spread over all of a map, so a few thousand new ones touch about every row of the map of a million:
 * each commit would write all of it again. New ones therefore go to the small map of their eighth of the
 * hashes, and each commit moves one small map, in turn, into that eighth of the large one. A hash is in one
 * of the two maps that may hold it.
 */
#include <stdlib.h>
#include <string.h>

#include "store/catalog_int.h"

#define EIGHTHS 8u

/* Prefixes of maps; small ones have SMALL and the eighth. */
#define LARGE 0u
#define SMALL 1u

static unsigned
eighth_of(struct lp_hash128 hash)
{
    return (unsigned)(hash.hi >> 61);
}

static void
hash_key(struct lp_cat_key *k, unsigned map, struct lp_hash128 hash)
{
    k->n = 0;
    k->b[k->n++] = (uint8_t)map;
    lp_key_u64(k, hash.hi);
    lp_key_u64(k, hash.lo);
}

/* ------------------------------------------------------------------ reading */

static lp_rc
parse_value(struct lp_str v, uint64_t *ret_id, uint64_t *ret_group, struct lp_err *err)
{
    struct lp_rd rd = lp_rd_of(v);
    *ret_id = lp_rd_varint(&rd);
    *ret_group = lp_rd_varint(&rd);
    return rd.bad || lp_rd_left(&rd) != 0 ? lp_pack_bad(LP_DB_HASHES, err) : LP_OK;
}

static lp_rc
find_in(struct lp_cat_txn *t, unsigned map, struct lp_pack_spot *spot, struct lp_hash128 hash,
        struct lp_str *ret, struct lp_err *err)
{
    struct lp_cat_key k;
    hash_key(&k, map, hash);
    return lp_pack_seek(t->txn, t->cat, LP_DB_HASHES, spot, lp_str_of((const char *)k.b, k.n),
                        LP_CAT_HASH_PREFIX, ret, err);
}

lp_rc
lp_cat_find_stream(struct lp_cat_txn *t, struct lp_hash128 hash, uint64_t *ret_id, uint64_t *ret_group,
                   struct lp_err *err)
{
    struct lp_str v;
    if (t->spots == NULL) {
        t->spots = lp_calloc(2, sizeof(*t->spots));
    }
    lp_rc rc = find_in(t, LARGE, &t->spots[0], hash, &v, err);
    if (rc == LP_ERR_NOT_FOUND) {
        rc = find_in(t, SMALL + eighth_of(hash), &t->spots[1], hash, &v, err);
    }
    return rc == LP_OK ? parse_value(v, ret_id, ret_group, err) : rc;
}

/* ------------------------------------------------------------------ writing */

struct addition {
    struct lp_hash128 hash;
    uint64_t id, group;
    unsigned map;
};

struct additions {
    struct addition *v;
    size_t n, cap;
};

static void
add(struct additions *a, unsigned map, struct lp_hash128 hash, uint64_t id, uint64_t group)
{
    if (a->n == a->cap) {
        a->cap = a->cap ? a->cap * 2 : 256;
        a->v = lp_realloc(a->v, a->cap * sizeof(*a->v));
    }
    a->v[a->n++] = (struct addition){hash, id, group, map};
}

/* The entries of a row of a small map are to go to the large one. */
static lp_rc
add_row(struct additions *a, struct lp_str row, struct lp_err *err)
{
    struct lp_pack_reader r;
    uint64_t id, group;
    lp_rc rc = LP_OK;
    lp_pack_read(&r, row);
    while (rc == LP_OK && lp_pack_next(&r)) {
        if (r.nkey != 16) {
            return lp_pack_bad(LP_DB_HASHES, err);
        }
        struct lp_hash128 hash = {.hi = lp_get_be64(r.key), .lo = lp_get_be64(r.key + 8)};
        rc = parse_value(r.value, &id, &group, err);
        add(a, LARGE, hash, id, group);
    }
    return r.rd.bad ? lp_pack_bad(LP_DB_HASHES, err) : rc;
}

/* Takes all out of a small map. */
static int
empty_small(MDB_txn *txn, struct lp_catalog *cat, unsigned map, struct additions *a, struct lp_err *err)
{
    MDB_cursor *cur;
    uint8_t prefix = (uint8_t)map;
    int rc = mdb_cursor_open(txn, cat->dbi[LP_DB_HASHES], &cur);
    if (rc != 0) {
        return rc;
    }
    for (;;) {
        MDB_val key = {sizeof(prefix), &prefix}, val;
        struct lp_str row;
        rc = mdb_cursor_get(cur, &key, &val, MDB_SET_RANGE);
        if (rc != 0 || *(const uint8_t *)key.mv_data != prefix) {
            break;
        }
        if (lp_cat_check(&key, &val, lp_cat_db_name(LP_DB_HASHES), &row, err) != LP_OK ||
            add_row(a, row, err) != LP_OK) {
            rc = MDB_CORRUPTED;
            break;
        }
        rc = mdb_cursor_del(cur, 0);
        if (rc != 0) {
            break;
        }
    }
    mdb_cursor_close(cur);
    return rc == MDB_NOTFOUND ? 0 : rc;
}

static int
addition_cmp(const void *va, const void *vb)
{
    const struct addition *a = va, *b = vb;
    if (a->map != b->map) {
        return a->map < b->map ? -1 : 1;
    }
    if (a->hash.hi != b->hash.hi) {
        return a->hash.hi < b->hash.hi ? -1 : 1;
    }
    return (a->hash.lo > b->hash.lo) - (a->hash.lo < b->hash.lo);
}

/* lp_pack_value_fn: first is the id, end the group. */
static int
hash_value(void *arg, MDB_txn *txn, struct lp_catalog *cat, struct lp_str have,
           const struct lp_pack_add *adds, size_t n, struct lp_buf *out, struct lp_err *err)
{
    (void)arg;
    (void)txn;
    (void)cat;
    if (have.p != NULL || n != 1) {
        (void)lp_corrupt(err, "catalog: a stream is there twice");
        return MDB_CORRUPTED;
    }
    lp_buf_varint(out, adds->first);
    lp_buf_varint(out, adds->end);
    return 0;
}

static int
write_additions(MDB_txn *txn, struct lp_catalog *cat, struct additions *a, struct lp_err *err)
{
    struct lp_cat_key k;
    struct lp_pack_add *adds = lp_malloc(a->n * sizeof(*adds));
    hash_key(&k, LARGE, a->v[0].hash);
    char *keys = lp_malloc(a->n * k.n);
    qsort(a->v, a->n, sizeof(*a->v), addition_cmp);
    for (size_t i = 0; i < a->n; i++) {
        hash_key(&k, a->v[i].map, a->v[i].hash);
        memcpy(keys + i * k.n, k.b, k.n);
        adds[i] = (struct lp_pack_add){lp_str_of(keys + i * k.n, k.n), a->v[i].id, a->v[i].group};
    }
    int rc = lp_pack_merge(txn, cat, LP_DB_HASHES, LP_CAT_HASH_PREFIX, adds, a->n, hash_value, NULL, err);
    lp_free(keys);
    lp_free(adds);
    return rc;
}

int
lp_cat_put_hashes(MDB_txn *txn, struct lp_catalog *cat, const struct lp_cat_new_stream *s, size_t n,
                  unsigned turn, struct lp_err *err)
{
    struct additions a = {NULL, 0, 0};
    unsigned moving = turn % EIGHTHS;
    int rc = empty_small(txn, cat, SMALL + moving, &a, err);
    for (size_t i = 0; i < n && rc == 0; i++) {
        unsigned eighth = eighth_of(s[i].hash);
        add(&a, eighth == moving ? LARGE : SMALL + eighth, s[i].hash, s[i].id, s[i].group);
    }
    rc = rc == 0 && a.n > 0 ? write_additions(txn, cat, &a, err) : rc;
    lp_free(a.v);
    return rc;
}
