/*
 * catalog_int.h - inside the catalog: databases, keys, checked values. Private to catalog*.c.
 */
#ifndef LP_STORE_CATALOG_INT_H
#define LP_STORE_CATALOG_INT_H

#include <lmdb.h>
#include <pthread.h>

#include "base/lock.h"
#include "store/catalog.h"

/* name in LMDB, flags */
#define LP_CAT_DBS(X) \
    X(META, "meta")   \
    X(TENANTS, "tenants") \
    X(LABELS, "labels") \
    X(STREAMS, "streams") \
    X(PODS, "pods") \
    X(POSTINGS, "postings") \
    X(GROUPS, "groups") \
    X(ENTRIES, "entries") \
    X(SEGMENTS, "segments") \
    X(POSITIONS, "positions") \
    X(IDS, "ids") \
    X(RESERVED, "reserved") \
    X(REMOVED, "removed")

enum lp_cat_db {
#define X(id, name) LP_DB_##id,
    LP_CAT_DBS(X)
#undef X
    LP_DB_COUNT
};

struct lp_catalog {
    MDB_env *env;
    MDB_dbi dbi[LP_DB_COUNT];
    struct lp_uuid *uuids; /* ours, then those of the stores that this one was copied from */
    size_t nuuids;
    pthread_rwlock_t map_lock; /* shared by transactions; exclusive while the map grows */
    struct lp_mutex write_mu;
    struct lp_mutex readers_mu; /* the list of living read transactions */
    struct lp_cat_txn *readers;
};

struct lp_cat_txn {
    struct lp_catalog *cat;
    MDB_txn *txn;
    uint64_t id; /* of the last transaction that it sees */
    struct lp_cat_txn *prev, *next;
};

#define LP_CAT_KEY_BYTES 511
#define LP_CAT_PART_BYTES 200
#define LP_CAT_POD_PART_BYTES 130

/* A key under construction. */
struct lp_cat_key {
    uint8_t b[LP_CAT_KEY_BYTES];
    size_t n;
};

void lp_key_u32(struct lp_cat_key *k, uint32_t v);
void lp_key_u64(struct lp_cat_key *k, uint64_t v);
void lp_key_time(struct lp_cat_key *k, int64_t t);
int64_t lp_key_get_time(const uint8_t *p);
/* Escaped, ended, cut with a hash above max bytes. */
void lp_key_str(struct lp_cat_key *k, struct lp_str s, size_t max);
/* Escaped but not ended: for prefix scans; cut at max. */
void lp_key_prefix(struct lp_cat_key *k, struct lp_str s, size_t max);
/* The key of `pods`: tenant, namespace, pod, container, stream hash. */
void lp_key_pod(struct lp_cat_key *k, uint32_t tenant, const struct lp_stream_key *key, struct lp_hash128 hash);
/* Reads one escaped part at *at; out holds LP_CAT_KEY_BYTES. *cut tells that the text goes on elsewhere. False on bad bytes. */
bool lp_key_get_str(const uint8_t *key, size_t n, size_t *at, char *out, size_t *ret_n, bool *ret_cut);

/* LMDB's result as ours. */
lp_rc lp_cat_rc(int rc, struct lp_err *err, const char *what);
/* Value without its CRC, or LP_ERR_CORRUPT. */
lp_rc lp_cat_check(const MDB_val *key, const MDB_val *val, const char *db, struct lp_str *ret, struct lp_err *err);
/* LP_ERR_NOT_FOUND when there is none. */
lp_rc lp_cat_get(MDB_txn *txn, struct lp_catalog *cat, enum lp_cat_db db, const struct lp_cat_key *k,
                 struct lp_str *ret, struct lp_err *err);
/* Raw LMDB code: MDB_MAP_FULL must reach the retry loop. The CRC is added. */
int lp_cat_put(MDB_txn *txn, struct lp_catalog *cat, enum lp_cat_db db, const struct lp_cat_key *k, struct lp_str v);
const char *lp_cat_db_name(enum lp_cat_db db);

/* One write transaction; body is run again after the map has grown. */
typedef int (*lp_cat_write_fn)(MDB_txn *txn, struct lp_catalog *cat, void *arg, struct lp_err *err);
lp_rc lp_cat_write(struct lp_catalog *cat, lp_cat_write_fn body, void *arg, struct lp_err *err);

/* Values of `meta`. bytes 0: any size. */
int lp_cat_put_meta(MDB_txn *txn, struct lp_catalog *cat, const char *name, struct lp_str value);
lp_rc lp_cat_get_meta(struct lp_cat_txn *t, const char *name, size_t bytes, struct lp_str *ret, struct lp_err *err);

/* --- catalog_identity.c --- */
/* Writes a UUID for a new store. */
int lp_cat_write_uuid(MDB_txn *txn, struct lp_catalog *cat);
lp_rc lp_cat_read_uuids(struct lp_cat_txn *t, struct lp_err *err);

/* A visitor of all keys that begin with prefix. */
typedef lp_rc (*lp_cat_visit_fn)(void *arg, const MDB_val *key, struct lp_str value, bool *stop, struct lp_err *err);
lp_rc lp_cat_scan(MDB_txn *txn, struct lp_catalog *cat, enum lp_cat_db db, const struct lp_cat_key *from,
                  size_t prefix_bytes, lp_cat_visit_fn fn, void *arg, struct lp_err *err);

#endif
