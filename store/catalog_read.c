/*
 * catalog_read.c - look-ups and walks over the catalog inside a read transaction. Pure readers: nothing here
 * writes.
 */
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "store/catalog_int.h"

static lp_rc
bad_value(enum lp_cat_db db, struct lp_err *err)
{
    return lp_corrupt(err, "catalog: a value of %s is malformed", lp_cat_db_name(db));
}

/* --- names --- */

static lp_rc
get_u32(struct lp_cat_txn *t, enum lp_cat_db db, const struct lp_cat_key *k, uint32_t *ret,
        struct lp_err *err)
{
    struct lp_str v;
    lp_rc rc = lp_cat_get(t->txn, t->cat, db, k, &v, err);
    if (rc != LP_OK) {
        return rc;
    }
    if (v.n < 4) {
        return bad_value(db, err);
    }
    *ret = lp_get_u32(v.p);
    return LP_OK;
}

lp_rc
lp_cat_tenant(struct lp_cat_txn *t, struct lp_str name, uint32_t *ret, struct lp_err *err)
{
    struct lp_cat_key k = {.n = 0};
    if (name.n == 0) {
        *ret = 0;
        return LP_OK;
    }
    lp_key_str(&k, name, LP_CAT_PART_BYTES);
    return get_u32(t, LP_DB_TENANTS, &k, ret, err);
}

lp_rc
lp_cat_label(struct lp_cat_txn *t, uint32_t tenant, struct lp_str name, uint32_t *ret, struct lp_err *err)
{
    struct lp_cat_key k = {.n = 0};
    lp_key_u32(&k, tenant);
    lp_key_str(&k, name, LP_CAT_PART_BYTES);
    return get_u32(t, LP_DB_LABELS, &k, ret, err);
}

struct labels_walk {
    lp_cat_name_fn fn;
    void *arg;
};

/* The full name stands in the value behind the number, since a key may be cut. */
static lp_rc
visit_label(void *arg, const MDB_val *key, struct lp_str value, bool *stop, struct lp_err *err)
{
    struct labels_walk *w = arg;
    (void)key;
    if (value.n < 4) {
        return bad_value(LP_DB_LABELS, err);
    }
    *stop = !w->fn(w->arg, lp_str_sub(value, 4, value.n), lp_get_u32(value.p));
    return LP_OK;
}

lp_rc
lp_cat_labels(struct lp_cat_txn *t, uint32_t tenant, lp_cat_name_fn fn, void *arg, struct lp_err *err)
{
    struct labels_walk w = {fn, arg};
    struct lp_cat_key k = {.n = 0};
    lp_key_u32(&k, tenant);
    return lp_cat_scan(t->txn, t->cat, LP_DB_LABELS, &k, k.n, visit_label, &w, err);
}

/* --- lists of ids --- */

void
lp_ids_add(struct lp_ids *ids, uint64_t id)
{
    if (ids->n == ids->cap) {
        ids->cap = ids->cap ? ids->cap * 2 : 64;
        ids->v = lp_realloc(ids->v, ids->cap * sizeof(*ids->v));
    }
    ids->v[ids->n++] = id;
}

void
lp_ids_clear(struct lp_ids *ids)
{
    lp_free(ids->v);
    *ids = (struct lp_ids){NULL, 0, 0};
}

static int
u64_cmp(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

void
lp_ids_sort(struct lp_ids *ids)
{
    if (ids->n < 2) {
        return;
    }
    qsort(ids->v, ids->n, sizeof(*ids->v), u64_cmp);
    size_t out = 1;
    for (size_t i = 1; i < ids->n; i++) {
        if (ids->v[i] != ids->v[out - 1]) {
            ids->v[out++] = ids->v[i];
        }
    }
    ids->n = out;
}

/* --- groups --- */

lp_rc
lp_cat_find_group(struct lp_cat_txn *t, struct lp_str group_key, uint64_t *ret_id, struct lp_err *err)
{
    struct lp_hash128 h = lp_xxh128(group_key.p, group_key.n);
    struct lp_cat_key k = {.n = 0};
    struct lp_str v;
    lp_key_u64(&k, h.hi);
    lp_key_u64(&k, h.lo);
    lp_rc rc = lp_cat_get(t->txn, t->cat, LP_DB_GROUPS, &k, &v, err);
    if (rc != LP_OK) {
        return rc;
    }
    if (v.n < 8) {
        return bad_value(LP_DB_GROUPS, err);
    }
    *ret_id = lp_get_u64(v.p);
    return LP_OK;
}

/* --- entries and segments --- */

struct entries_walk {
    int64_t to_ns;
    lp_cat_entry_fn fn;
    void *arg;
};

static lp_rc
visit_entry(void *arg, const MDB_val *key, struct lp_str value, bool *stop, struct lp_err *err)
{
    struct entries_walk *w = arg;
    const uint8_t *p = key->mv_data;
    if (key->mv_size != 24 || value.n < 24) {
        return bad_value(LP_DB_ENTRIES, err);
    }
    struct lp_cat_entry e = {
        .group = lp_get_be64(p),
        .max_ns = lp_key_get_time(p + 8),
        .segment = lp_get_be64(p + 16),
        .min_ns = (int64_t)lp_get_u64(value.p),
        .rows = lp_get_u64(value.p + 8),
        .bytes = lp_get_u64(value.p + 16),
        .stored = value.n >= 32 ? lp_get_u64(value.p + 24) : 0,
    };
    if (e.min_ns < w->to_ns || w->to_ns == LP_TIME_MAX) {
        *stop = !w->fn(w->arg, &e);
    }
    return LP_OK;
}

lp_rc
lp_cat_entries(struct lp_cat_txn *t, uint64_t group, int64_t from_ns, int64_t to_ns, lp_cat_entry_fn fn,
               void *arg, struct lp_err *err)
{
    struct entries_walk w = {to_ns, fn, arg};
    struct lp_cat_key k = {.n = 0};
    lp_key_u64(&k, group);
    lp_key_time(&k, from_ns);
    return lp_cat_scan(t->txn, t->cat, LP_DB_ENTRIES, &k, 8, visit_entry, &w, err);
}

lp_rc
lp_cat_entries_all(struct lp_cat_txn *t, lp_cat_entry_fn fn, void *arg, struct lp_err *err)
{
    struct entries_walk w = {LP_TIME_MAX, fn, arg};
    struct lp_cat_key k = {.n = 0};
    return lp_cat_scan(t->txn, t->cat, LP_DB_ENTRIES, &k, 0, visit_entry, &w, err);
}

static lp_rc
parse_segment(uint64_t id, struct lp_str v, struct lp_cat_segment *ret, struct lp_err *err)
{
    struct lp_rd rd = lp_rd_of(v);
    *ret = (struct lp_cat_segment){.id = id};
    ret->generation = lp_rd_u64(&rd);
    ret->min_ns = (int64_t)lp_rd_u64(&rd);
    ret->max_ns = (int64_t)lp_rd_u64(&rd);
    ret->rows = lp_rd_u64(&rd);
    ret->bytes = lp_rd_u64(&rd);
    ret->file_bytes = lp_rd_u64(&rd);
    ret->dir_crc = lp_rd_u32(&rd);
    ret->first_generation = ret->generation;
    if (lp_rd_left(&rd) > 0) { /* absent in rows of older versions */
        ret->first_generation = lp_rd_u64(&rd);
        ret->created_ns = (int64_t)lp_rd_u64(&rd);
        ret->level = lp_rd_u8(&rd);
    }
    return rd.bad ? bad_value(LP_DB_SEGMENTS, err) : LP_OK;
}

struct segments_walk {
    lp_cat_segment_fn fn;
    void *arg;
};

static lp_rc
visit_segment(void *arg, const MDB_val *key, struct lp_str value, bool *stop, struct lp_err *err)
{
    struct segments_walk *w = arg;
    struct lp_cat_segment s;
    if (key->mv_size != 8) {
        return bad_value(LP_DB_SEGMENTS, err);
    }
    lp_rc rc = parse_segment(lp_get_be64(key->mv_data), value, &s, err);
    if (rc == LP_OK) {
        *stop = !w->fn(w->arg, &s);
    }
    return rc;
}

lp_rc
lp_cat_segments(struct lp_cat_txn *t, lp_cat_segment_fn fn, void *arg, struct lp_err *err)
{
    struct segments_walk w = {fn, arg};
    struct lp_cat_key k = {.n = 0};
    return lp_cat_scan(t->txn, t->cat, LP_DB_SEGMENTS, &k, 0, visit_segment, &w, err);
}

lp_rc
lp_cat_segment(struct lp_cat_txn *t, uint64_t id, struct lp_cat_segment *ret, struct lp_err *err)
{
    struct lp_cat_key k = {.n = 0};
    struct lp_str v;
    lp_key_u64(&k, id);
    lp_rc rc = lp_cat_get(t->txn, t->cat, LP_DB_SEGMENTS, &k, &v, err);
    return rc == LP_OK ? parse_segment(id, v, ret, err) : rc;
}

/* --- positions, ids, reserved, removed --- */

lp_rc
lp_cat_position(struct lp_cat_txn *t, const char *log, uint32_t partition, struct lp_cat_place *ret,
                struct lp_err *err)
{
    struct lp_cat_key k = {.n = 0};
    struct lp_str v;
    lp_key_str(&k, lp_str_c(log), 2 * LP_CAT_PART_BYTES);
    lp_key_u32(&k, partition);
    lp_rc rc = lp_cat_get(t->txn, t->cat, LP_DB_POSITIONS, &k, &v, err);
    if (rc != LP_OK) {
        return rc;
    }
    if (v.n < 16) {
        return bad_value(LP_DB_POSITIONS, err);
    }
    *ret = (struct lp_cat_place){lp_get_u64(v.p), lp_get_u64(v.p + 8), v.n >= 32 ? lp_get_u64(v.p + 24) : 0};
    return LP_OK;
}

struct positions_walk {
    lp_cat_position_fn fn;
    void *arg;
};

static lp_rc
visit_position(void *arg, const MDB_val *key, struct lp_str value, bool *stop, struct lp_err *err)
{
    struct positions_walk *w = arg;
    char log[LP_CAT_KEY_BYTES];
    size_t at = 0, n;
    bool cut;
    const uint8_t *p = key->mv_data;
    if (!lp_key_get_str(p, key->mv_size, &at, log, &n, &cut) || key->mv_size != at + 4 || value.n < 16) {
        return bad_value(LP_DB_POSITIONS, err);
    }
    *stop =
        !w->fn(w->arg, lp_str_of(log, n), lp_get_be32(p + at), lp_get_u64(value.p), lp_get_u64(value.p + 8));
    return LP_OK;
}

lp_rc
lp_cat_positions(struct lp_cat_txn *t, lp_cat_position_fn fn, void *arg, struct lp_err *err)
{
    struct positions_walk w = {fn, arg};
    struct lp_cat_key k = {.n = 0};
    return lp_cat_scan(t->txn, t->cat, LP_DB_POSITIONS, &k, 0, visit_position, &w, err);
}

struct ids_walk {
    lp_cat_id_fn fn;
    void *arg;
};

static lp_rc
visit_ids(void *arg, const MDB_val *key, struct lp_str value, bool *stop, struct lp_err *err)
{
    struct ids_walk *w = arg;
    (void)key;
    struct lp_rd rd = lp_rd_of(value);
    uint64_t n = lp_rd_varint(&rd);
    for (uint64_t i = 0; i < n && !rd.bad && !*stop; i++) {
        struct lp_batch_id id = {.received_ns = (int64_t)lp_rd_u64(&rd)};
        id.identity.lo = lp_rd_u64(&rd);
        id.identity.hi = lp_rd_u64(&rd);
        *stop = !rd.bad && !w->fn(w->arg, &id);
    }
    return rd.bad ? bad_value(LP_DB_IDS, err) : LP_OK;
}

lp_rc
lp_cat_ids(struct lp_cat_txn *t, lp_cat_id_fn fn, void *arg, struct lp_err *err)
{
    struct ids_walk w = {fn, arg};
    struct lp_cat_key k = {.n = 0};
    return lp_cat_scan(t->txn, t->cat, LP_DB_IDS, &k, 0, visit_ids, &w, err);
}

static lp_rc
visit_u64_key(void *arg, const MDB_val *key, struct lp_str value, bool *stop, struct lp_err *err)
{
    (void)value;
    (void)stop;
    if (key->mv_size != 8) {
        return bad_value(LP_DB_RESERVED, err);
    }
    lp_ids_add(arg, lp_get_be64(key->mv_data));
    return LP_OK;
}

lp_rc
lp_cat_reserved(struct lp_cat_txn *t, struct lp_ids *ids, struct lp_err *err)
{
    struct lp_cat_key k = {.n = 0};
    return lp_cat_scan(t->txn, t->cat, LP_DB_RESERVED, &k, 0, visit_u64_key, ids, err);
}

lp_rc
lp_cat_removed(struct lp_cat_txn *t, struct lp_ids *ids, struct lp_err *err)
{
    struct lp_cat_key k = {.n = 0};
    return lp_cat_scan(t->txn, t->cat, LP_DB_REMOVED, &k, 0, visit_u64_key, ids, err);
}
