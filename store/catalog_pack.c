/*
 * catalog_pack.c - sorted maps of many small entries, packed into rows of a database (FORMAT.md section 4.1).
 *
 * A row of LMDB costs some 20 bytes beside its content, and a page is hardly ever full: an entry of ten bytes
 * would take fifty. So entries share rows of up to 1,000 bytes, each key without what it has in common with
 * the one before. A map is named by the prefix of its rows' keys. A row's key is the prefix and a lower bound
 * of the keys inside; that of a map's first row is the bare prefix.
 *
 * Keys rise strictly in a row and from row to row. Pure functions over a transaction.
 */
#include <string.h>

#include "base/bytes.h"
#include "store/catalog_int.h"

/*
 * So that several fit a page of LMDB, which then is as full as pages of small rows are: with rows of up to a
 * page it was half full. Rows that are cut get about ROW_TARGET.
 */
#define ROW_MAX 1000u
#define ROW_TARGET 760u

lp_rc
lp_pack_bad(enum lp_cat_db db, struct lp_err *err)
{
    return lp_corrupt(err, "catalog: a row of %s is malformed", lp_cat_db_name(db));
}

/* ------------------------------------------------------------------ reading */

void
lp_pack_read(struct lp_pack_reader *r, struct lp_str row)
{
    r->rd = lp_rd_of(row);
    r->nkey = 0;
    r->first = true;
}

/* The next entry; false at the end, or where the row is malformed (r->rd.bad). */
bool
lp_pack_next(struct lp_pack_reader *r)
{
    if (lp_rd_left(&r->rd) == 0) {
        return false;
    }
    uint64_t shared = lp_rd_varint(&r->rd);
    struct lp_str rest = lp_rd_lpstr(&r->rd);
    struct lp_str value = lp_rd_lpstr(&r->rd);
    if (r->rd.bad || shared > r->nkey || rest.n > sizeof(r->key) - (size_t)shared) {
        r->rd.bad = true;
        return false;
    }
    size_t known = r->nkey - (size_t)shared;
    bool rises = r->first || known < rest.n
                     ? r->first || known == 0 || memcmp(rest.p, r->key + shared, known) >= 0
                     : memcmp(rest.p, r->key + shared, rest.n) > 0;
    if (!rises) {
        r->rd.bad = true;
        return false;
    }
    if (rest.n > 0) {
        memcpy(r->key + shared, rest.p, rest.n);
    }
    r->nkey = (size_t)shared + rest.n;
    r->first = false;
    r->value = value;
    return true;
}

/*
 * Places the cursor at the row that may hold the key: the last one of the map that does not begin behind it.
 * MDB_NOTFOUND: the map has none.
 */
static int
seek_row(MDB_cursor *cur, struct lp_str key, size_t prefix_bytes, MDB_val *ret_key, MDB_val *ret_val)
{
    *ret_key = (MDB_val){key.n, (void *)(uintptr_t)key.p};
    int rc = mdb_cursor_get(cur, ret_key, ret_val, MDB_SET_RANGE);
    bool here = rc == 0 && ret_key->mv_size == key.n && memcmp(ret_key->mv_data, key.p, key.n) == 0;
    if (!here && (rc == 0 || rc == MDB_NOTFOUND)) {
        rc = mdb_cursor_get(cur, ret_key, ret_val, rc == 0 ? MDB_PREV : MDB_LAST);
    }
    if (rc == 0 && (ret_key->mv_size < prefix_bytes || memcmp(ret_key->mv_data, key.p, prefix_bytes) != 0)) {
        return MDB_NOTFOUND;
    }
    return rc;
}

lp_rc
lp_pack_get(MDB_txn *txn, struct lp_catalog *cat, enum lp_cat_db db, struct lp_str key, size_t prefix_bytes,
            struct lp_str *ret, struct lp_err *err)
{
    MDB_cursor *cur;
    MDB_val k, v;
    struct lp_str row, want = lp_str_sub(key, prefix_bytes, key.n);
    lp_rc rc = lp_cat_rc(mdb_cursor_open(txn, cat->dbi[db], &cur), err, lp_cat_db_name(db));
    if (rc != LP_OK) {
        return rc;
    }
    rc = lp_cat_rc(seek_row(cur, key, prefix_bytes, &k, &v), err, lp_cat_db_name(db));
    rc = rc == LP_OK ? lp_cat_check(&k, &v, lp_cat_db_name(db), &row, err) : rc;
    mdb_cursor_close(cur);
    if (rc != LP_OK) {
        return rc;
    }
    struct lp_pack_reader r;
    lp_pack_read(&r, row);
    int order = -1;
    while (order < 0 && lp_pack_next(&r)) {
        order = lp_str_cmp(lp_str_of((const char *)r.key, r.nkey), want);
    }
    if (r.rd.bad) {
        return lp_pack_bad(db, err);
    }
    *ret = r.value;
    return order == 0 ? LP_OK : lp_err_set(err, LP_ERR_NOT_FOUND, "catalog: no such entry");
}

static void
set_bound(uint8_t *b, size_t *n, struct lp_str key)
{
    memcpy(b, key.p, key.n);
    *n = key.n;
}

/* Reads the row that may hold the key. Where there is none, the spot says so of all keys up to the next. */
static lp_rc
move_spot(MDB_txn *txn, struct lp_catalog *cat, enum lp_cat_db db, struct lp_pack_spot *spot,
          struct lp_str key, size_t prefix_bytes, struct lp_err *err)
{
    MDB_cursor *cur;
    MDB_val k, v;
    spot->known = spot->begun = false;
    lp_rc rc = lp_cat_rc(mdb_cursor_open(txn, cat->dbi[db], &cur), err, lp_cat_db_name(db));
    if (rc != LP_OK) {
        return rc;
    }
    int at = seek_row(cur, key, prefix_bytes, &k, &v);
    if (at == 0) {
        set_bound(spot->low, &spot->nlow, lp_str_of(k.mv_data, k.mv_size));
        rc = lp_cat_check(&k, &v, lp_cat_db_name(db), &spot->row, err);
        at = mdb_cursor_get(cur, &k, &v, MDB_NEXT);
    } else if (at == MDB_NOTFOUND) {
        set_bound(spot->low, &spot->nlow, key);
        spot->row = LP_STR_NULL;
        k = (MDB_val){key.n, (void *)(uintptr_t)key.p};
        at = mdb_cursor_get(cur, &k, &v, MDB_SET_RANGE);
    }
    spot->has_high = at == 0;
    if (at == 0) {
        set_bound(spot->high, &spot->nhigh, lp_str_of(k.mv_data, k.mv_size));
    } else if (at != MDB_NOTFOUND && rc == LP_OK) {
        rc = lp_cat_rc(at, err, lp_cat_db_name(db));
    }
    mdb_cursor_close(cur);
    spot->known = rc == LP_OK;
    return rc;
}

lp_rc
lp_pack_seek(MDB_txn *txn, struct lp_catalog *cat, enum lp_cat_db db, struct lp_pack_spot *spot,
             struct lp_str key, size_t prefix_bytes, struct lp_str *ret, struct lp_err *err)
{
    bool here = spot->known && memcmp(key.p, spot->low, prefix_bytes) == 0 &&
                lp_str_cmp(key, lp_str_of((const char *)spot->low, spot->nlow)) >= 0 &&
                (!spot->has_high || lp_str_cmp(key, lp_str_of((const char *)spot->high, spot->nhigh)) < 0);
    lp_rc rc = here ? LP_OK : move_spot(txn, cat, db, spot, key, prefix_bytes, err);
    if (rc != LP_OK) {
        return rc;
    }
    struct lp_str want = lp_str_sub(key, prefix_bytes, key.n);
    struct lp_pack_reader *r = &spot->at;
    int order = spot->begun ? lp_str_cmp(lp_str_of((const char *)r->key, r->nkey), want) : 1;
    if (order > 0) { /* not begun, or it lies before */
        lp_pack_read(r, spot->row);
        order = -1;
    }
    while (order < 0 && lp_pack_next(r)) {
        order = lp_str_cmp(lp_str_of((const char *)r->key, r->nkey), want);
    }
    spot->begun = order >= 0;
    if (r->rd.bad) {
        return lp_pack_bad(db, err);
    }
    *ret = r->value;
    return order == 0 ? LP_OK : lp_err_set(err, LP_ERR_NOT_FOUND, "catalog: no such entry");
}

lp_rc
lp_pack_walk(MDB_txn *txn, struct lp_catalog *cat, enum lp_cat_db db, struct lp_str from, size_t prefix_bytes,
             lp_pack_fn fn, void *arg, struct lp_err *err)
{
    return lp_pack_walk_from(txn, cat, db, from, from.n, prefix_bytes, fn, arg, err);
}

lp_rc
lp_pack_walk_from(MDB_txn *txn, struct lp_catalog *cat, enum lp_cat_db db, struct lp_str from, size_t within,
                  size_t prefix_bytes, lp_pack_fn fn, void *arg, struct lp_err *err)
{
    MDB_cursor *cur;
    MDB_val k, v;
    bool stop = false;
    struct lp_str begin = lp_str_sub(from, prefix_bytes, from.n), same = lp_str_sub(from, prefix_bytes, within);
    lp_rc out = lp_cat_rc(mdb_cursor_open(txn, cat->dbi[db], &cur), err, lp_cat_db_name(db));
    if (out != LP_OK) {
        return out;
    }
    int rc = seek_row(cur, from, prefix_bytes, &k, &v);
    while (rc == 0 && out == LP_OK && !stop && k.mv_size >= prefix_bytes &&
           memcmp(k.mv_data, from.p, prefix_bytes) == 0) {
        struct lp_pack_reader r;
        struct lp_str row;
        out = lp_cat_check(&k, &v, lp_cat_db_name(db), &row, err);
        lp_pack_read(&r, out == LP_OK ? row : LP_STR_NULL);
        while (out == LP_OK && !stop && lp_pack_next(&r)) {
            struct lp_str key = lp_str_of((const char *)r.key, r.nkey);
            bool reached = lp_str_cmp(key, begin) >= 0;
            stop = reached && !lp_str_starts(key, same);
            out = reached && !stop ? fn(arg, key, r.value, &stop, err) : LP_OK;
        }
        out = out == LP_OK && r.rd.bad ? lp_pack_bad(db, err) : out;
        rc = out == LP_OK && !stop ? mdb_cursor_get(cur, &k, &v, MDB_NEXT) : rc;
    }
    mdb_cursor_close(cur);
    return out != LP_OK || rc == 0 || rc == MDB_NOTFOUND ? out : lp_cat_rc(rc, err, lp_cat_db_name(db));
}

/* ------------------------------------------------------------------ writing */

/* A row under construction. */
struct row {
    struct lp_buf b;
    uint8_t key[LP_CAT_KEY_BYTES - LP_CAT_VALUE_PREFIX]; /* of its last entry, without the prefix */
    size_t nkey;
};

/* old is a copy: what fn writes may move LMDB's pages. */
struct merge {
    MDB_txn *txn;
    struct lp_catalog *cat;
    enum lp_cat_db db;
    MDB_cursor *cur; /* stays where the last row was put: the next one is near */
    size_t prefix_bytes;
    lp_pack_value_fn fn;
    void *arg;
    struct lp_buf old, value;
    struct row row, part; /* old with what is added, of any length; a row that it is cut into */
    struct lp_err *err;
};

static void
row_reset(struct row *r)
{
    lp_buf_reset(&r->b);
    r->nkey = 0;
}

static void
set_last_key(struct row *r, const uint8_t *key, size_t n)
{
    LP_ASSERT(n <= sizeof(r->key));
    memcpy(r->key, key, n);
    r->nkey = n;
}

static size_t
shared_bytes(const struct row *r, struct lp_str key)
{
    size_t n = LP_MIN(r->nkey, key.n), i = 0;
    while (i < n && r->key[i] == (uint8_t)key.p[i]) {
        i++;
    }
    return i;
}

static void
put_entry(struct row *r, struct lp_str key, struct lp_str value)
{
    size_t shared = shared_bytes(r, key);
    lp_buf_varint(&r->b, shared);
    lp_buf_lpstr(&r->b, lp_str_sub(key, shared, key.n));
    lp_buf_lpstr(&r->b, value);
    set_last_key(r, (const uint8_t *)key.p, key.n);
}

/* What put_entry() would add at most. */
static size_t
entry_bytes_max(const struct row *r, struct lp_str key, struct lp_str value)
{
    return 2 + 2 + 2 + key.n - shared_bytes(r, key) + value.n;
}

static int
bad_row(struct merge *m)
{
    (void)lp_pack_bad(m->db, m->err);
    return MDB_CORRUPTED;
}

/* Puts what m->row became in place of the row with this key: as it is, or cut into several of like size. */
static int
put_rows(struct merge *m, struct lp_cat_key *key)
{
    struct lp_str all = lp_buf_view(&m->row.b);
    if (all.n <= ROW_MAX) {
        return lp_cat_put_at(m->cur, key, all);
    }
    size_t rows = LP_MAX((all.n + ROW_TARGET - 1) / ROW_TARGET, (size_t)2);
    struct lp_pack_reader r;
    int rc = 0;
    lp_pack_read(&r, all);
    row_reset(&m->part);
    while (rc == 0 && lp_pack_next(&r)) {
        struct lp_str k = lp_str_of((const char *)r.key, r.nkey);
        bool full =
            m->part.b.n >= all.n / rows + 32 || m->part.b.n + entry_bytes_max(&m->part, k, r.value) > ROW_MAX;
        if (full && m->part.b.n > 0) {
            rc = lp_cat_put_at(m->cur, key, lp_buf_view(&m->part.b));
            row_reset(&m->part);
            key->n = m->prefix_bytes;
            memcpy(key->b + key->n, k.p, k.n);
            key->n += k.n;
        }
        put_entry(&m->part, k, r.value);
    }
    if (rc != 0 || r.rd.bad) {
        return rc != 0 ? rc : bad_row(m);
    }
    return lp_cat_put_at(m->cur, key, lp_buf_view(&m->part.b));
}

/* Where an entry belongs: the row's key (m->old gets what it holds), and where the next row begins. */
struct place {
    struct lp_cat_key row, next;
    bool has_next;
};

static int
find_place(struct merge *m, struct lp_str key, struct place *p)
{
    MDB_val k, v;
    lp_buf_reset(&m->old);
    p->has_next = false;
    p->row.n = m->prefix_bytes;
    memcpy(p->row.b, key.p, p->row.n);
    int rc = seek_row(m->cur, key, m->prefix_bytes, &k, &v);
    if (rc == 0) {
        struct lp_str row;
        p->row.n = k.mv_size;
        memcpy(p->row.b, k.mv_data, k.mv_size);
        if (lp_cat_check(&k, &v, lp_cat_db_name(m->db), &row, m->err) != LP_OK) {
            rc = MDB_CORRUPTED;
        } else {
            lp_buf_str(&m->old, row);
        }
        if (rc == 0 && (rc = mdb_cursor_get(m->cur, &k, &v, MDB_NEXT)) == 0) {
            p->has_next = true;
            p->next.n = k.mv_size;
            memcpy(p->next.b, k.mv_data, k.mv_size);
        }
    }
    return rc == MDB_NOTFOUND ? 0 : rc;
}

/* Adds the entry of adds[0..n), which share a key; `have` is what is stored for it, p NULL: nothing. */
static int
add_value(struct merge *m, const struct lp_pack_add *adds, size_t n, struct lp_str have)
{
    lp_buf_reset(&m->value);
    int rc = m->fn(m->arg, m->txn, m->cat, have, adds, n, &m->value, m->err);
    if (rc == 0) {
        put_entry(&m->row, lp_str_sub(adds->key, m->prefix_bytes, adds->key.n), lp_buf_view(&m->value));
    }
    return rc;
}

static size_t
same_key(const struct lp_pack_add *adds, size_t n)
{
    size_t k = 1;
    while (k < n && lp_str_eq(adds[k].key, adds[0].key)) {
        k++;
    }
    return k;
}

static int
add_cmp(const struct merge *m, const struct lp_pack_add *add, struct lp_str key)
{
    return lp_str_cmp(lp_str_sub(add->key, m->prefix_bytes, add->key.n), key);
}

/* Adds those of adds[*i..n) that belong before or at the entry, and the entry itself. */
static int
add_around(struct merge *m, const struct lp_pack_add *adds, size_t n, const struct lp_pack_reader *entry,
           size_t *i)
{
    struct lp_str key = lp_str_of((const char *)entry->key, entry->nkey);
    int rc = 0, order = 1;
    while (rc == 0 && *i < n && (order = add_cmp(m, &adds[*i], key)) <= 0) {
        size_t k = same_key(adds + *i, n - *i);
        rc = add_value(m, adds + *i, k, order == 0 ? entry->value : LP_STR_NULL);
        *i += k;
        if (order == 0) {
            return rc;
        }
    }
    if (rc == 0) {
        put_entry(&m->row, key, entry->value);
    }
    return rc;
}

/*
 * Writes m->old with adds[0..n) to m->row. What is between additions is copied as it stands: only an entry
 * that follows an added one is encoded anew, for what it shares with the one before it.
 */
static int
splice(struct merge *m, const struct lp_pack_add *adds, size_t n)
{
    struct lp_pack_reader r;
    size_t i = 0;
    int rc = 0;
    lp_pack_read(&r, lp_buf_view(&m->old));
    const uint8_t *copied = r.rd.p;
    row_reset(&m->row);
    while (rc == 0 && i < n) {
        const uint8_t *begin = r.rd.p;
        set_last_key(&m->row, r.key, r.nkey);
        if (!lp_pack_next(&r)) {
            break;
        }
        if (add_cmp(m, &adds[i], lp_str_of((const char *)r.key, r.nkey)) <= 0) {
            lp_buf_add(&m->row.b, copied, (size_t)(begin - copied));
            copied = r.rd.p;
            rc = add_around(m, adds, n, &r, &i);
        }
    }
    if (rc != 0 || r.rd.bad) {
        return rc != 0 ? rc : bad_row(m);
    }
    lp_buf_add(&m->row.b, copied, (size_t)(r.rd.end - copied));
    for (size_t k; rc == 0 && i < n; i += k) {
        k = same_key(adds + i, n - i);
        rc = add_value(m, adds + i, k, LP_STR_NULL);
    }
    return rc;
}

/* Merges those of adds[0..n) that belong into one row; *ret says how many they were. */
static int
merge_row(struct merge *m, const struct lp_pack_add *adds, size_t n, size_t *ret)
{
    struct place p;
    size_t end = 0;
    int rc = find_place(m, adds[0].key, &p);
    if (rc != 0) {
        return rc;
    }
    struct lp_str next = lp_str_of((const char *)p.next.b, p.next.n);
    while (end < n && memcmp(adds[end].key.p, adds[0].key.p, m->prefix_bytes) == 0 &&
           (!p.has_next || lp_str_cmp(adds[end].key, next) < 0)) {
        end++;
    }
    rc = splice(m, adds, end);
    *ret = end;
    return rc == 0 ? put_rows(m, &p.row) : rc;
}

int
lp_pack_merge(MDB_txn *txn, struct lp_catalog *cat, enum lp_cat_db db, size_t prefix_bytes,
              const struct lp_pack_add *adds, size_t n, lp_pack_value_fn fn, void *arg, struct lp_err *err)
{
    struct merge m = {.txn = txn, .cat = cat, .db = db, .prefix_bytes = prefix_bytes};
    m.fn = fn;
    m.arg = arg;
    m.err = err;
    struct lp_buf *const bufs[] = {&m.old, &m.value, &m.row.b, &m.part.b};
    for (size_t i = 0; i < LP_ARRAY_LEN(bufs); i++) {
        lp_buf_init(bufs[i], SIZE_MAX);
    }
    int rc = mdb_cursor_open(txn, cat->dbi[db], &m.cur);
    for (size_t i = 0, k = 0; i < n && rc == 0; i += k) {
        rc = merge_row(&m, adds + i, n - i, &k);
    }
    mdb_cursor_close(m.cur);
    for (size_t i = 0; i < LP_ARRAY_LEN(bufs); i++) {
        lp_buf_clear(bufs[i]);
    }
    return rc;
}
