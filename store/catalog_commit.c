/*
 * catalog_commit.c - the writing side: reserving ids, the one transaction that stores a generation, and the
 * one by which segments take the place of others.
 *
 * Cost: by groups and by new streams (catalog_stream.c), never by live ones. The body of a transaction may
 * run twice (map growth), so it changes nothing outside the transaction.
 */
#include <string.h>

#include "base/bytes.h"
#include "store/catalog_int.h"
#include "store/hooks.h"

static int
delete_key(MDB_txn *txn, struct lp_catalog *cat, enum lp_cat_db db, struct lp_cat_key *k)
{
    MDB_val key = {k->n, k->b};
    return mdb_del(txn, cat->dbi[db], &key, NULL);
}

/* --- reserving segment ids --- */

struct reserve {
    unsigned n;
    uint64_t first;
};

static int
do_reserve(MDB_txn *txn, struct lp_catalog *cat, void *arg, struct lp_err *err)
{
    struct reserve *r = arg;
    int rc = lp_cat_get_counter(txn, cat, "next_segment", &r->first, err);
    for (unsigned i = 0; i < r->n && rc == 0; i++) {
        struct lp_cat_key k = {.n = 0};
        lp_key_u64(&k, r->first + i);
        rc = lp_cat_put(txn, cat, LP_DB_RESERVED, &k, LP_STR_NULL);
    }
    return rc == 0 ? lp_cat_put_counter(txn, cat, "next_segment", r->first + r->n) : rc;
}

lp_rc
lp_catalog_reserve(struct lp_catalog *cat, unsigned n, uint64_t *ret_first, struct lp_err *err)
{
    struct reserve r = {n, 0};
    struct lp_err local;
    lp_rc rc = lp_cat_write(cat, do_reserve, &r, err ? err : &local);
    if (rc == LP_OK) {
        *ret_first = r.first;
    }
    return rc;
}

struct forget {
    const struct lp_ids *reserved, *removed;
};

static int
delete_ids(MDB_txn *txn, struct lp_catalog *cat, enum lp_cat_db db, const struct lp_ids *ids)
{
    int rc = 0;
    for (size_t i = 0; ids != NULL && i < ids->n && rc == 0; i++) {
        struct lp_cat_key k = {.n = 0};
        lp_key_u64(&k, ids->v[i]);
        rc = delete_key(txn, cat, db, &k);
        rc = rc == MDB_NOTFOUND ? 0 : rc;
    }
    return rc;
}

static int
do_forget(MDB_txn *txn, struct lp_catalog *cat, void *arg, struct lp_err *err)
{
    const struct forget *f = arg;
    (void)err;
    int rc = delete_ids(txn, cat, LP_DB_RESERVED, f->reserved);
    return rc == 0 ? delete_ids(txn, cat, LP_DB_REMOVED, f->removed) : rc;
}

lp_rc
lp_catalog_forget(struct lp_catalog *cat, const struct lp_ids *reserved, const struct lp_ids *removed,
                  struct lp_err *err)
{
    struct forget f = {reserved, removed};
    struct lp_err local;
    return lp_cat_write(cat, do_forget, &f, err ? err : &local);
}

/* --- interning tenants and label names --- */

/* The number of a name in a database of names; a new one takes the counter's next. The full name is kept in
 * the value. */
static int
intern(MDB_txn *txn, struct lp_catalog *cat, enum lp_cat_db db, const struct lp_cat_key *k,
       struct lp_str name, const char *counter, uint32_t *ret, struct lp_err *err)
{
    struct lp_str v;
    lp_rc rc = lp_cat_get(txn, cat, db, k, &v, err);
    if (rc == LP_OK && v.n >= 4) {
        *ret = lp_get_u32(v.p);
        return 0;
    }
    if (rc != LP_ERR_NOT_FOUND) {
        return MDB_CORRUPTED;
    }
    lp_err_clear(err);
    uint64_t next;
    int mrc = lp_cat_get_counter(txn, cat, counter, &next, err);
    if (mrc != 0) {
        return mrc;
    }
    struct lp_buf b;
    lp_buf_init(&b, SIZE_MAX);
    lp_buf_u32(&b, (uint32_t)next);
    lp_buf_str(&b, name);
    mrc = lp_cat_put(txn, cat, db, k, lp_buf_view(&b));
    lp_buf_clear(&b);
    *ret = (uint32_t)next;
    return mrc == 0 ? lp_cat_put_counter(txn, cat, counter, next + 1) : mrc;
}

int
lp_cat_intern_tenant(MDB_txn *txn, struct lp_catalog *cat, struct lp_str name, uint32_t *ret,
                     struct lp_err *err)
{
    struct lp_cat_key k = {.n = 0};
    *ret = 0;
    if (name.n == 0) {
        return 0;
    }
    lp_key_str(&k, name, LP_CAT_PART_BYTES);
    return intern(txn, cat, LP_DB_TENANTS, &k, name, "next_tenant", ret, err);
}

int
lp_cat_intern_label(MDB_txn *txn, struct lp_catalog *cat, uint32_t tenant, struct lp_str name, uint32_t *ret,
                    struct lp_err *err)
{
    struct lp_cat_key k = {.n = 0};
    lp_key_u32(&k, tenant);
    lp_key_str(&k, name, LP_CAT_PART_BYTES);
    return intern(txn, cat, LP_DB_LABELS, &k, name, "next_label", ret, err);
}

/* --- groups, entries, segment, positions, ids --- */

static int
put_groups(MDB_txn *txn, struct lp_catalog *cat, const struct lp_cat_commit *c, struct lp_buf *b)
{
    int rc = 0;
    uint64_t next = 0;
    for (size_t i = 0; i < c->ngroups && rc == 0; i++) {
        struct lp_hash128 h = lp_xxh128(c->groups[i].key.p, c->groups[i].key.n);
        struct lp_cat_key k = {.n = 0};
        lp_key_u64(&k, h.hi);
        lp_key_u64(&k, h.lo);
        lp_buf_reset(b);
        lp_buf_u64(b, c->groups[i].id);
        lp_buf_str(b, c->groups[i].key);
        rc = lp_cat_put(txn, cat, LP_DB_GROUPS, &k, lp_buf_view(b));
        next = LP_MAX(next, c->groups[i].id + 1);
    }
    return rc == 0 && next > 0 ? lp_cat_put_counter(txn, cat, "next_group", next) : rc;
}

static void
entry_key(struct lp_cat_key *k, const struct lp_cat_entry *e, uint64_t segment)
{
    k->n = 0;
    lp_key_u64(k, e->group);
    lp_key_time(k, e->max_ns);
    lp_key_u64(k, segment);
}

static int
put_entry(MDB_txn *txn, struct lp_catalog *cat, const struct lp_cat_entry *e, uint64_t segment,
          struct lp_buf *b)
{
    struct lp_cat_key k;
    entry_key(&k, e, segment);
    lp_buf_reset(b);
    lp_buf_u64(b, (uint64_t)e->min_ns);
    lp_buf_u64(b, e->rows);
    lp_buf_u64(b, e->bytes);
    lp_buf_u64(b, e->stored);
    return lp_cat_put(txn, cat, LP_DB_ENTRIES, &k, lp_buf_view(b));
}

static int
put_entries(MDB_txn *txn, struct lp_catalog *cat, const struct lp_cat_commit *c, struct lp_buf *b)
{
    int rc = 0;
    for (size_t i = 0; i < c->nentries && rc == 0; i++) {
        rc = put_entry(txn, cat, &c->entries[i], c->segment.id, b);
    }
    return rc;
}

/* The row, and the id is no longer only reserved. */
static int
put_segment(MDB_txn *txn, struct lp_catalog *cat, const struct lp_cat_segment *s, struct lp_buf *b)
{
    struct lp_cat_key k = {.n = 0};
    lp_key_u64(&k, s->id);
    lp_buf_reset(b);
    lp_buf_u64(b, s->generation);
    lp_buf_u64(b, (uint64_t)s->min_ns);
    lp_buf_u64(b, (uint64_t)s->max_ns);
    lp_buf_u64(b, s->rows);
    lp_buf_u64(b, s->bytes);
    lp_buf_u64(b, s->file_bytes);
    lp_buf_u32(b, s->dir_crc);
    lp_buf_u64(b, s->first_generation);
    lp_buf_u64(b, (uint64_t)s->created_ns);
    lp_buf_u8(b, s->level);
    int rc = lp_cat_put(txn, cat, LP_DB_SEGMENTS, &k, lp_buf_view(b));
    if (rc == 0) {
        rc = delete_key(txn, cat, LP_DB_RESERVED, &k);
        rc = rc == MDB_NOTFOUND ? 0 : rc;
    }
    return rc;
}

static int
put_positions(MDB_txn *txn, struct lp_catalog *cat, const struct lp_cat_commit *c, struct lp_buf *b)
{
    int rc = 0;
    for (size_t i = 0; i < c->npositions && rc == 0; i++) {
        const struct lp_foot_ticket *p = &c->positions[i];
        struct lp_cat_key k = {.n = 0};
        lp_key_str(&k, lp_str_c(p->log), 2 * LP_CAT_PART_BYTES);
        lp_key_u32(&k, p->partition);
        lp_buf_reset(b);
        lp_buf_u64(b, p->next);
        lp_buf_u64(b, p->epoch);
        lp_buf_u64(b, c->segment.generation);
        lp_buf_u64(b, p->anchor);
        rc = lp_cat_put(txn, cat, LP_DB_POSITIONS, &k, lp_buf_view(b));
    }
    return rc;
}

/* Generations whose batch ids were all received before the limit. Rising keys: stops at the first that is
 * not. */
static int
drop_old_ids(MDB_txn *txn, struct lp_catalog *cat, int64_t before_ns)
{
    MDB_cursor *cur;
    int rc = mdb_cursor_open(txn, cat->dbi[LP_DB_IDS], &cur);
    if (rc != 0) {
        return rc;
    }
    MDB_val key, val;
    while ((rc = mdb_cursor_get(cur, &key, &val, MDB_FIRST)) == 0) {
        struct lp_rd rd = lp_rd_of(lp_str_of(val.mv_data, val.mv_size));
        bool old = true;
        for (uint64_t n = lp_rd_varint(&rd); n > 0 && old && !rd.bad; n--) {
            old = (int64_t)lp_rd_u64(&rd) < before_ns;
            (void)lp_rd_bytes(&rd, 16);
        }
        if (!old || (rc = mdb_cursor_del(cur, 0)) != 0) {
            break;
        }
    }
    mdb_cursor_close(cur);
    return rc == MDB_NOTFOUND ? 0 : rc;
}

static int
put_ids(MDB_txn *txn, struct lp_catalog *cat, const struct lp_cat_commit *c, struct lp_buf *b)
{
    int rc = drop_old_ids(txn, cat, c->ids_before_ns);
    if (rc != 0 || c->nids == 0) {
        return rc;
    }
    struct lp_cat_key k = {.n = 0};
    lp_key_u64(&k, c->segment.generation);
    lp_buf_reset(b);
    lp_buf_varint(b, c->nids);
    for (size_t i = 0; i < c->nids; i++) {
        lp_buf_u64(b, (uint64_t)c->ids[i].received_ns);
        lp_buf_u64(b, c->ids[i].identity.lo);
        lp_buf_u64(b, c->ids[i].identity.hi);
    }
    return lp_cat_put(txn, cat, LP_DB_IDS, &k, lp_buf_view(b));
}

static int
do_commit(MDB_txn *txn, struct lp_catalog *cat, void *arg, struct lp_err *err)
{
    const struct lp_cat_commit *c = arg;
    uint64_t sealed;
    int rc = lp_cat_get_counter(txn, cat, "sealed", &sealed, err);
    if (rc != 0) {
        return rc;
    }
    LP_ASSERT(c->segment.generation > sealed); /* generations commit strictly in order */
    struct lp_buf b;
    lp_buf_init(&b, SIZE_MAX);
    rc = put_groups(txn, cat, c, &b);
    rc = rc == 0 ? lp_cat_put_streams(txn, cat, c->streams, c->nstreams, (unsigned)c->segment.generation, err)
                 : rc;
    rc = rc == 0 ? lp_cat_put_pods(txn, cat, c->pods, c->npods, err) : rc;
    rc = rc == 0 ? put_entries(txn, cat, c, &b) : rc;
    rc = rc == 0 ? put_segment(txn, cat, &c->segment, &b) : rc;
    rc = rc == 0 ? put_positions(txn, cat, c, &b) : rc;
    rc = rc == 0 ? put_ids(txn, cat, c, &b) : rc;
    rc = rc == 0 ? lp_cat_put_counter(txn, cat, "sealed", c->segment.generation) : rc;
    lp_buf_clear(&b);
    return rc;
}

lp_rc
lp_catalog_commit(struct lp_catalog *cat, const struct lp_cat_commit *c, struct lp_err *err)
{
    struct lp_err local;
    return lp_cat_write(cat, do_commit, (void *)(uintptr_t)c, err ? err : &local);
}

/* --- segments in place of others --- */

struct replace {
    const struct lp_cat_replace *r;
    uint64_t txn;
};

static int
remove_segment(MDB_txn *txn, struct lp_catalog *cat, uint64_t id, int64_t now_ns, struct lp_err *err)
{
    struct lp_cat_key k = {.n = 0};
    char at[8];
    lp_key_u64(&k, id);
    int rc = delete_key(txn, cat, LP_DB_SEGMENTS, &k);
    if (rc == MDB_NOTFOUND) {
        (void)lp_err_set(err, LP_ERR_NOT_FOUND, "catalog: no row names segment %016llx",
                         (unsigned long long)id);
        return rc;
    }
    lp_put_u64(at, (uint64_t)now_ns);
    return rc == 0 ? lp_cat_put(txn, cat, LP_DB_REMOVED, &k, lp_str_of(at, sizeof(at))) : rc;
}

static int
remove_entry(MDB_txn *txn, struct lp_catalog *cat, const struct lp_cat_entry *e, struct lp_err *err)
{
    struct lp_cat_key k;
    entry_key(&k, e, e->segment);
    int rc = delete_key(txn, cat, LP_DB_ENTRIES, &k);
    if (rc == MDB_NOTFOUND) {
        (void)lp_corrupt(err, "catalog: segment %016llx has rows of group %llu, but no entry says so",
                         (unsigned long long)e->segment, (unsigned long long)e->group);
    }
    return rc;
}

static int
do_replace(MDB_txn *txn, struct lp_catalog *cat, void *arg, struct lp_err *err)
{
    struct replace *a = arg;
    const struct lp_cat_replace *r = a->r;
    struct lp_buf b;
    int rc = 0;
    lp_buf_init(&b, SIZE_MAX);
    a->txn = mdb_txn_id(txn);
    for (size_t i = 0; i < r->ngone && rc == 0; i++) {
        rc = remove_segment(txn, cat, r->gone[i], r->now_ns, err);
    }
    for (size_t i = 0; i < r->ngone_entries && rc == 0; i++) {
        rc = remove_entry(txn, cat, &r->gone_entries[i], err);
    }
    for (size_t i = 0; i < r->nadded && rc == 0; i++) {
        rc = put_segment(txn, cat, &r->added[i], &b);
    }
    for (size_t i = 0; i < r->nadded_entries && rc == 0; i++) {
        rc = put_entry(txn, cat, &r->added_entries[i], r->added_entries[i].segment, &b);
    }
    lp_buf_clear(&b);
    return rc;
}

lp_rc
lp_catalog_replace(struct lp_catalog *cat, const struct lp_cat_replace *r, uint64_t *ret_txn,
                   struct lp_err *err)
{
    struct replace a = {r, 0};
    struct lp_err local;
    lp_rc rc = lp_cat_write(cat, do_replace, &a, err ? err : &local);
    if (rc == LP_OK) {
        *ret_txn = a.txn;
    }
    return rc;
}

struct rows {
    const struct lp_cat_segment *v;
    size_t n;
};

static int
put_segments(MDB_txn *txn, struct lp_catalog *cat, void *arg, struct lp_err *err)
{
    const struct rows *r = arg;
    struct lp_buf b;
    int rc = 0;
    (void)err;
    lp_buf_init(&b, SIZE_MAX);
    for (size_t i = 0; i < r->n && rc == 0; i++) {
        rc = put_segment(txn, cat, &r->v[i], &b);
    }
    lp_buf_clear(&b);
    return rc;
}

lp_rc
lp_catalog_note_segments(struct lp_catalog *cat, const struct lp_cat_segment *rows, size_t n,
                         struct lp_err *err)
{
    struct rows r = {rows, n};
    return lp_cat_write(cat, put_segments, &r, err);
}
