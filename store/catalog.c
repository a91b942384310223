/*
 * catalog.c - opening the catalog, transactions, checked values (FORMAT.md section 4).
 *
 * Invariants: (1) the environment is fully synced (no NOSYNC, no WRITEMAP), so a commit that returned is
 * durable; (2) read transactions hold map_lock shared, so the map grows only while none lives in this
 * process; (3) one writer: write_mu. MDB_NOTLS: read transactions belong to objects, not to threads.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "base/bytes.h"
#include "base/metrics.h"
#include "store/catalog_int.h"
#include "store/hooks.h"

#define MAP_BYTES_FIRST (UINT64_C(4) << 30)
#define READERS_MAX 1024

const char *
lp_cat_db_name(enum lp_cat_db db)
{
    static const char *const names[] = {
#define X(id, name) name,
        LP_CAT_DBS(X)
#undef X
    };
    return names[db];
}

lp_rc
lp_cat_rc(int rc, struct lp_err *err, const char *what)
{
    if (rc == 0) {
        return LP_OK;
    }
    if (rc == ENOSPC || rc == EDQUOT) {
        return lp_err_sys(err, rc, "catalog: %s", what);
    }
    if (rc == MDB_CORRUPTED || rc == MDB_PAGE_NOTFOUND || rc == MDB_VERSION_MISMATCH || rc == MDB_INVALID) {
        return lp_corrupt(err, "catalog: %s: %s", what, mdb_strerror(rc));
    }
    lp_rc out = rc == MDB_NOTFOUND ? LP_ERR_NOT_FOUND : LP_ERR_IO;
    (void)lp_err_set(err, out, "catalog: %s: %s", what, mdb_strerror(rc));
    if (err != NULL) {
        err->sys_errno = rc > 0 ? rc : 0;
    }
    return out;
}

lp_rc
lp_cat_check(const MDB_val *key, const MDB_val *val, const char *db, struct lp_str *ret, struct lp_err *err)
{
    if (val->mv_size < 4) {
        return lp_corrupt(err, "catalog: a value of %s is too short", db);
    }
    size_t n = val->mv_size - 4;
    const char *p = val->mv_data;
    if (lp_crc32c(lp_crc32c(0, key->mv_data, key->mv_size), p, n) != lp_get_u32(p + n)) {
        return lp_corrupt(err, "catalog: checksum of a value of %s differs", db);
    }
    *ret = lp_str_of(p, n);
    return LP_OK;
}

lp_rc
lp_cat_get(MDB_txn *txn, struct lp_catalog *cat, enum lp_cat_db db, const struct lp_cat_key *k,
           struct lp_str *ret, struct lp_err *err)
{
    MDB_val key = {k->n, (void *)(uintptr_t)k->b}, val;
    int rc = mdb_get(txn, cat->dbi[db], &key, &val);
    if (rc != 0) {
        return lp_cat_rc(rc, err, lp_cat_db_name(db));
    }
    return lp_cat_check(&key, &val, lp_cat_db_name(db), ret, err);
}

static void
fill(const struct lp_cat_key *k, struct lp_str v, char *p)
{
    if (v.n > 0) {
        memcpy(p, v.p, v.n);
    }
    lp_put_u32(p + v.n, lp_crc32c(lp_crc32c(0, k->b, k->n), p, v.n));
}

int
lp_cat_put(MDB_txn *txn, struct lp_catalog *cat, enum lp_cat_db db, const struct lp_cat_key *k,
           struct lp_str v)
{
    MDB_val key = {k->n, (void *)(uintptr_t)k->b}, val = {v.n + 4, NULL};
    int rc = mdb_put(txn, cat->dbi[db], &key, &val, MDB_RESERVE);
    if (rc == 0) {
        fill(k, v, val.mv_data);
    }
    return rc;
}

int
lp_cat_put_at(MDB_cursor *cur, const struct lp_cat_key *k, struct lp_str v)
{
    MDB_val key = {k->n, (void *)(uintptr_t)k->b}, val = {v.n + 4, NULL};
    int rc = mdb_cursor_put(cur, &key, &val, MDB_RESERVE);
    if (rc == 0) {
        fill(k, v, val.mv_data);
    }
    return rc;
}

lp_rc
lp_cat_scan(MDB_txn *txn, struct lp_catalog *cat, enum lp_cat_db db, const struct lp_cat_key *from,
            size_t prefix_bytes, lp_cat_visit_fn fn, void *arg, struct lp_err *err)
{
    MDB_cursor *cur;
    lp_rc out = lp_cat_rc(mdb_cursor_open(txn, cat->dbi[db], &cur), err, lp_cat_db_name(db));
    if (out != LP_OK) {
        return out;
    }
    MDB_val key = {from->n, (void *)(uintptr_t)from->b}, val;
    int rc = mdb_cursor_get(cur, &key, &val, from->n > 0 ? MDB_SET_RANGE : MDB_FIRST);
    bool stop = false;
    while (rc == 0 && out == LP_OK && !stop && key.mv_size >= prefix_bytes &&
           memcmp(key.mv_data, from->b, prefix_bytes) == 0) {
        struct lp_str value;
        out = lp_cat_check(&key, &val, lp_cat_db_name(db), &value, err);
        if (out == LP_OK) {
            out = fn(arg, &key, value, &stop, err);
        }
        if (out == LP_OK && !stop) {
            rc = mdb_cursor_get(cur, &key, &val, MDB_NEXT);
        }
    }
    mdb_cursor_close(cur);
    return out != LP_OK || rc == 0 || rc == MDB_NOTFOUND ? out : lp_cat_rc(rc, err, lp_cat_db_name(db));
}

/* --- transactions --- */

static void
list_reader(struct lp_cat_txn *t)
{
    struct lp_catalog *cat = t->cat;
    lp_lock(&cat->readers_mu);
    t->next = cat->readers;
    if (t->next != NULL) {
        t->next->prev = t;
    }
    cat->readers = t;
    lp_unlock(&cat->readers_mu);
}

static void
unlist_reader(struct lp_cat_txn *t)
{
    struct lp_catalog *cat = t->cat;
    lp_lock(&cat->readers_mu);
    *(t->prev != NULL ? &t->prev->next : &cat->readers) = t->next;
    if (t->next != NULL) {
        t->next->prev = t->prev;
    }
    lp_unlock(&cat->readers_mu);
}

/* A reader is in the list before it looks at anything: what it may see of an older state, the remover of
 * files knows. It is listed with the lowest number until it has its own. */
lp_rc
lp_cat_begin(struct lp_catalog *cat, struct lp_cat_txn **ret, struct lp_err *err)
{
    struct lp_cat_txn *t = lp_calloc(1, sizeof(*t));
    t->cat = cat;
    list_reader(t);
    pthread_rwlock_rdlock(&cat->map_lock);
    lp_rc rc = lp_cat_rc(mdb_txn_begin(cat->env, NULL, MDB_RDONLY, &t->txn), err, "begin a read");
    if (rc != LP_OK) {
        pthread_rwlock_unlock(&cat->map_lock);
        unlist_reader(t);
        lp_free(t);
        return rc;
    }
    lp_lock(&cat->readers_mu);
    t->id = mdb_txn_id(t->txn);
    lp_unlock(&cat->readers_mu);
    *ret = t;
    return LP_OK;
}

void
lp_cat_end(struct lp_cat_txn *t)
{
    if (t != NULL) {
        mdb_txn_abort(t->txn);
        pthread_rwlock_unlock(&t->cat->map_lock);
        unlist_reader(t);
        lp_free(t->spots);
        lp_free(t);
    }
}

uint64_t
lp_catalog_oldest_reader(struct lp_catalog *cat)
{
    uint64_t oldest = UINT64_MAX;
    lp_lock(&cat->readers_mu);
    for (const struct lp_cat_txn *t = cat->readers; t != NULL; t = t->next) {
        oldest = LP_MIN(oldest, t->id);
    }
    lp_unlock(&cat->readers_mu);
    return oldest;
}

static int
grow_map(struct lp_catalog *cat)
{
    MDB_envinfo info;
    pthread_rwlock_wrlock(&cat->map_lock);
    mdb_env_info(cat->env, &info);
    int rc = mdb_env_set_mapsize(cat->env, info.me_mapsize * 2);
    pthread_rwlock_unlock(&cat->map_lock);
    return rc;
}

lp_rc
lp_cat_write(struct lp_catalog *cat, lp_cat_write_fn body, void *arg, struct lp_err *err)
{
    struct lp_err local;
    int rc;
    err = err != NULL ? err : &local;
    lp_lock(&cat->write_mu);
    do {
        MDB_txn *txn;
        lp_err_clear(err);
        pthread_rwlock_rdlock(&cat->map_lock);
        rc = mdb_txn_begin(cat->env, NULL, 0, &txn);
        if (rc == 0) {
            rc = body(txn, cat, arg, err);
            if (rc == 0) {
                lp_hook("commit");
                int64_t start_ns = lp_mono_ns();
                rc = mdb_txn_commit(txn);
                lp_metric_observe(LP_M_CATALOG_COMMIT, lp_mono_ns() - start_ns);
            } else {
                mdb_txn_abort(txn);
            }
        }
        pthread_rwlock_unlock(&cat->map_lock);
    } while (rc == MDB_MAP_FULL && (rc = grow_map(cat)) == 0);
    lp_unlock(&cat->write_mu);
    if (rc != 0 && err->rc != LP_OK) {
        return err->rc; /* the body said it better */
    }
    return lp_cat_rc(rc, err, "commit");
}

/* --- opening --- */

static void
meta_key(struct lp_cat_key *k, const char *name)
{
    k->n = strlen(name);
    memcpy(k->b, name, k->n);
}

int
lp_cat_put_meta(MDB_txn *txn, struct lp_catalog *cat, const char *name, struct lp_str value)
{
    struct lp_cat_key k;
    meta_key(&k, name);
    return lp_cat_put(txn, cat, LP_DB_META, &k, value);
}

int
lp_cat_get_counter(MDB_txn *txn, struct lp_catalog *cat, const char *name, uint64_t *ret, struct lp_err *err)
{
    struct lp_cat_key k;
    struct lp_str v;
    meta_key(&k, name);
    if (lp_cat_get(txn, cat, LP_DB_META, &k, &v, err) != LP_OK || v.n != 8) {
        return MDB_CORRUPTED;
    }
    *ret = lp_get_u64(v.p);
    return 0;
}

int
lp_cat_put_counter(MDB_txn *txn, struct lp_catalog *cat, const char *name, uint64_t v)
{
    char b[8];
    lp_put_u64(b, v);
    return lp_cat_put_meta(txn, cat, name, lp_str_of(b, sizeof(b)));
}

static int
write_first(MDB_txn *txn, struct lp_catalog *cat, void *arg, struct lp_err *err)
{
    static const char *const counters[] = {"sealed",      "next_stream", "next_group",   "next_segment",
                                           "next_tenant", "next_label",  "next_posting", "owner_epoch"};
    (void)arg;
    (void)err;
    int rc = lp_cat_write_uuid(txn, cat);
    for (size_t i = 0; i < LP_ARRAY_LEN(counters) && rc == 0; i++) {
        rc = lp_cat_put_counter(txn, cat, counters[i], i == 0 ? 0 : 1);
    }
    return rc == 0 ? lp_cat_put_counter(txn, cat, "format", LP_CAT_FORMAT) : rc;
}

static int
open_dbs(MDB_txn *txn, struct lp_catalog *cat, void *arg, struct lp_err *err)
{
    (void)arg;
    (void)err;
    for (int i = 0; i < LP_DB_COUNT; i++) {
        int rc = mdb_dbi_open(txn, lp_cat_db_name((enum lp_cat_db)i), MDB_CREATE, &cat->dbi[i]);
        if (rc != 0) {
            return rc;
        }
    }
    return 0;
}

lp_rc
lp_cat_get_meta(struct lp_cat_txn *t, const char *name, size_t bytes, struct lp_str *ret, struct lp_err *err)
{
    struct lp_cat_key k;
    meta_key(&k, name);
    lp_rc rc = lp_cat_get(t->txn, t->cat, LP_DB_META, &k, ret, err);
    return rc == LP_OK && bytes != 0 && ret->n != bytes
               ? lp_corrupt(err, "catalog: meta %s has a wrong size", name)
               : rc;
}

static lp_rc
read_first(struct lp_catalog *cat, uint64_t *ret_format, struct lp_err *err)
{
    struct lp_cat_txn *t;
    struct lp_str v;
    lp_rc rc = lp_cat_begin(cat, &t, err);
    if (rc != LP_OK) {
        return rc;
    }
    rc = lp_cat_get_meta(t, "format", 8, &v, err);
    bool empty = rc == LP_ERR_NOT_FOUND;
    *ret_format = rc == LP_OK ? lp_get_u64(v.p) : 0;
    if (rc == LP_OK && *ret_format > LP_CAT_FORMAT) {
        rc = lp_err_set(err, LP_ERR_UNSUPPORTED, "the catalog was written by a later version of Logpond");
    }
    if (rc == LP_OK) {
        rc = lp_cat_read_uuids(t, err);
    }
    lp_cat_end(t);
    return empty ? LP_OK : rc;
}

static lp_rc
open_env(struct lp_catalog *cat, const char *path, struct lp_err *err)
{
    int rc = mdb_env_create(&cat->env);
    if (rc == 0) {
        rc = mdb_env_set_maxdbs(cat->env, LP_DB_COUNT + LP_CAT_OLD_DBS);
    }
    if (rc == 0) {
        rc = mdb_env_set_maxreaders(cat->env, READERS_MAX);
    }
    if (rc == 0) {
        rc = mdb_env_set_mapsize(cat->env, MAP_BYTES_FIRST);
    }
    if (rc == 0) {
        rc = mdb_env_open(cat->env, path, MDB_NOTLS | MDB_NORDAHEAD, 0640);
    }
    if (rc == 0) {
        int dead;
        rc = mdb_reader_check(cat->env, &dead);
    }
    return lp_cat_rc(rc, err, "open");
}

lp_rc
lp_catalog_open(const struct lp_io *io, const char *dir, bool create, struct lp_catalog **ret,
                struct lp_err *err)
{
    char path[4096], file[4110];
    struct lp_err local;
    int fd = -1;
    uint64_t format = LP_CAT_FORMAT; /* 0: there is nothing in it */
    err = err != NULL ? err : &local;
    lp_err_clear(err);
    snprintf(path, sizeof(path), "%s/catalog", dir);
    snprintf(file, sizeof(file), "%s/data.mdb", path);
    struct lp_catalog *cat = lp_calloc(1, sizeof(*cat));
    pthread_rwlock_init(&cat->map_lock, NULL);
    lp_mutex_init(&cat->write_mu, LP_LOCK_CATALOG);
    lp_mutex_init(&cat->readers_mu, LP_LOCK_READERS);
    lp_rc rc = LP_OK;
    if (create) {
        rc = lp_io_mkdir(io, path, err);
    } else {
        rc = lp_io_open(io, file, LP_IO_READ, &fd, err);
        lp_io_close(io, fd);
    }
    rc = rc == LP_OK ? open_env(cat, path, err) : rc;
    rc = rc == LP_OK ? lp_cat_write(cat, open_dbs, NULL, err) : rc;
    rc = rc == LP_OK ? read_first(cat, &format, err) : rc;
    if (rc == LP_OK && format == 0 && !create) {
        rc = lp_err_set(err, LP_ERR_NOT_FOUND, "the catalog is empty");
    }
    if (rc == LP_OK && format == 0) {
        /* a crash between the environment's making and this transaction left no rows: begin again */
        rc = lp_cat_write(cat, write_first, NULL, err);
    } else if (rc == LP_OK && format < LP_CAT_FORMAT) {
        rc = lp_cat_upgrade(cat, format, err);
    }
    if (rc == LP_OK && create) {
        rc = lp_io_sync_dir(io, path, err);
    }
    if (rc == LP_OK && create) {
        rc = lp_io_sync_dir(io, dir, err);
    }
    if (rc != LP_OK) {
        lp_catalog_close(cat);
        return rc;
    }
    *ret = cat;
    return LP_OK;
}

void
lp_catalog_close(struct lp_catalog *cat)
{
    if (cat == NULL) {
        return;
    }
    if (cat->env != NULL) {
        mdb_env_close(cat->env);
    }
    pthread_rwlock_destroy(&cat->map_lock);
    lp_mutex_destroy(&cat->write_mu);
    lp_mutex_destroy(&cat->readers_mu);
    lp_free(cat->uuids);
    lp_free(cat);
}

lp_rc
lp_cat_counters(struct lp_cat_txn *t, struct lp_cat_counters *ret, struct lp_err *err)
{
    static const char *const names[] = {"sealed", "next_stream", "next_group", "next_segment"};
    uint64_t v[LP_ARRAY_LEN(names)];
    for (size_t i = 0; i < LP_ARRAY_LEN(names); i++) {
        struct lp_str s;
        lp_rc rc = lp_cat_get_meta(t, names[i], 8, &s, err);
        if (rc != LP_OK) {
            return rc;
        }
        v[i] = lp_get_u64(s.p);
    }
    *ret = (struct lp_cat_counters){v[0], v[1], v[2], v[3]};
    return LP_OK;
}
