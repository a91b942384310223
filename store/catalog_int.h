/*
 * catalog_int.h - inside the catalog: databases, keys, checked values. Private to catalog*.c.
 */
#ifndef LP_STORE_CATALOG_INT_H
#define LP_STORE_CATALOG_INT_H

#include <lmdb.h>
#include <pthread.h>

#include "base/bytes.h"
#include "base/lock.h"
#include "store/catalog.h"

/* name in LMDB, flags */
#define LP_CAT_DBS(X) \
    X(META, "meta")   \
    X(TENANTS, "tenants") \
    X(LABELS, "labels") \
    X(PACKS, "packs") \
    X(HASHES, "hashes") \
    X(VALUES, "values") \
    X(CHUNKS, "chunks") \
    X(GROUPS, "groups") \
    X(ENTRIES, "entries") \
    X(SEGMENTS, "segments") \
    X(POSITIONS, "positions") \
    X(IDS, "ids") \
    X(PODS, "podmap") \
    X(PODFACTS, "podfacts") \
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
    struct lp_pack_spot *spots; /* two, of `hashes`: who asks by rising hash reads each row once; NULL: not asked yet */
};

#define LP_CAT_FORMAT 3
#define LP_CAT_KEY_BYTES 511
#define LP_CAT_PART_BYTES 200

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
/* The same through a cursor that may be near. */
int lp_cat_put_at(MDB_cursor *cur, const struct lp_cat_key *k, struct lp_str v);
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

/* Counters in `meta`. */
int lp_cat_get_counter(MDB_txn *txn, struct lp_catalog *cat, const char *name, uint64_t *ret, struct lp_err *err);
int lp_cat_put_counter(MDB_txn *txn, struct lp_catalog *cat, const char *name, uint64_t v);

/* --- catalog_pack.c: maps of small entries, packed into rows. Keys of entries begin with their map's prefix. --- */

#define LP_CAT_HASH_PREFIX 1u  /* bytes of the prefix in `hashes` */
#define LP_CAT_VALUE_PREFIX 8u /* in `values`: tenant, label; the longest */

struct lp_pack_reader {
    struct lp_rd rd;
    uint8_t key[LP_CAT_KEY_BYTES - LP_CAT_VALUE_PREFIX]; /* of the entry, without the prefix */
    size_t nkey;
    struct lp_str value;
    bool first;
};
void lp_pack_read(struct lp_pack_reader *r, struct lp_str row);
/* The next entry; false at the end, and where the row is malformed (rd.bad). */
bool lp_pack_next(struct lp_pack_reader *r);
lp_rc lp_pack_bad(enum lp_cat_db db, struct lp_err *err);

/* LP_ERR_NOT_FOUND when there is none. */
lp_rc lp_pack_get(MDB_txn *txn, struct lp_catalog *cat, enum lp_cat_db db, struct lp_str key, size_t prefix_bytes,
                  struct lp_str *ret, struct lp_err *err);
/* The same for keys that rise from call to call, in one transaction: a spot is begun with lp_calloc. Other keys only take longer. */
struct lp_pack_spot {
    uint8_t low[LP_CAT_KEY_BYTES], high[LP_CAT_KEY_BYTES]; /* the row holds keys in [low, high); it may be empty */
    size_t nlow, nhigh;
    bool known, has_high;
    struct lp_str row;
    struct lp_pack_reader at;
    bool begun; /* `at` is at an entry */
};
lp_rc lp_pack_seek(MDB_txn *txn, struct lp_catalog *cat, enum lp_cat_db db, struct lp_pack_spot *spot, struct lp_str key,
                   size_t prefix_bytes, struct lp_str *ret, struct lp_err *err);
/* All entries whose keys begin with `from`, by rising key (given without the prefix). */
typedef lp_rc (*lp_pack_fn)(void *arg, struct lp_str key, struct lp_str value, bool *stop, struct lp_err *err);
lp_rc lp_pack_walk(MDB_txn *txn, struct lp_catalog *cat, enum lp_cat_db db, struct lp_str from, size_t prefix_bytes,
                   lp_pack_fn fn, void *arg, struct lp_err *err);
/* Those from `from` on that share its first bytes: `within` of them, at least the prefix. */
lp_rc lp_pack_walk_from(MDB_txn *txn, struct lp_catalog *cat, enum lp_cat_db db, struct lp_str from, size_t within,
                        size_t prefix_bytes, lp_pack_fn fn, void *arg, struct lp_err *err);

struct lp_pack_add {
    struct lp_str key;   /* with the prefix */
    uint64_t first, end; /* ids */
};
/* Writes the value of an entry with some additions of one key to out; have: what is stored, p NULL: nothing. LMDB's codes. */
typedef int (*lp_pack_value_fn)(void *arg, MDB_txn *txn, struct lp_catalog *cat, struct lp_str have, const struct lp_pack_add *adds,
                                size_t n, struct lp_buf *out, struct lp_err *err);
/* Adds by rising key and id. Each row is read and written once. */
int lp_pack_merge(MDB_txn *txn, struct lp_catalog *cat, enum lp_cat_db db, size_t prefix_bytes, const struct lp_pack_add *adds,
                  size_t n, lp_pack_value_fn fn, void *arg, struct lp_err *err);

/* --- catalog_posting.c --- */

/* Reserved numbers of labels. */
#define LP_CAT_LABEL_ALL 0u             /* the tenant's streams */
#define LP_CAT_LABEL_GROUPS UINT32_MAX  /* those of each group */

void lp_key_value(struct lp_cat_key *k, uint32_t tenant, uint32_t label);
/* lp_pack_value_fn of postings. */
int lp_posting_merge(void *arg, MDB_txn *txn, struct lp_catalog *cat, struct lp_str have, const struct lp_pack_add *adds, size_t n,
                     struct lp_buf *out, struct lp_err *err);

/* --- catalog_commit.c --- */

/* The number of a tenant, or of a label's name; new ones get the next. */
int lp_cat_intern_tenant(MDB_txn *txn, struct lp_catalog *cat, struct lp_str name, uint32_t *ret, struct lp_err *err);
int lp_cat_intern_label(MDB_txn *txn, struct lp_catalog *cat, uint32_t tenant, struct lp_str name, uint32_t *ret, struct lp_err *err);

/* --- catalog_hash.c --- */

/* Writes hashes of new streams; n > 0. turn: which of the small maps is moved; callers count it up. */
int lp_cat_put_hashes(MDB_txn *txn, struct lp_catalog *cat, const struct lp_cat_new_stream *s, size_t n, unsigned turn,
                      struct lp_err *err);

/* --- catalog_stream.c --- */

/* Writes packs, hashes and postings of new streams, by rising id, all above those that are there; and the counter next_stream. turn as above. */
int lp_cat_put_streams(MDB_txn *txn, struct lp_catalog *cat, const struct lp_cat_new_stream *streams, size_t n, unsigned turn,
                       struct lp_err *err);

/* --- catalog_pod.c --- */

/* Writes pods, with what is known of them already. Cheapest if those of a tenant follow each other. */
int lp_cat_put_pods(MDB_txn *txn, struct lp_catalog *cat, const struct lp_cat_pod *pods, size_t n, struct lp_err *err);

/* --- catalog_upgrade.c --- */

#define LP_CAT_OLD_DBS 3 /* databases of earlier formats that may be there */
/* Brings a catalog of an earlier format to this one. */
lp_rc lp_cat_upgrade(struct lp_catalog *cat, uint64_t format, struct lp_err *err);

#endif
