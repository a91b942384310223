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

/* Reads the row that may hold the key. */
static lp_rc
move_spot(MDB_txn *txn, struct lp_catalog *cat, enum lp_cat_db db, struct lp_pack_spot *spot,
          struct lp_str key, size_t prefix_bytes, struct lp_err *err)
{
    MDB_cursor *cur;
    MDB_val k, v;
    spot->has_row = spot->begun = false;
    lp_rc rc = lp_cat_rc(mdb_cursor_open(txn, cat->dbi[db], &cur), err, lp_cat_db_name(db));
    if (rc != LP_OK) {
        return rc;
    }
    rc = lp_cat_rc(seek_row(cur, key, prefix_bytes, &k, &v), err, lp_cat_db_name(db));
    rc = rc == LP_OK ? lp_cat_check(&k, &v, lp_cat_db_name(db), &spot->row, err) : rc;
    if (rc == LP_OK) {
        spot->nlow = k.mv_size;
        memcpy(spot->low, k.mv_data, k.mv_size);
        int next = mdb_cursor_get(cur, &k, &v, MDB_NEXT);
        spot->has_high = next == 0;
        if (next == 0) {
            spot->nhigh = k.mv_size;
            memcpy(spot->high, k.mv_data, k.mv_size);
        }
        rc = next == MDB_NOTFOUND ? LP_OK : lp_cat_rc(next, err, lp_cat_db_name(db));
    }
    mdb_cursor_close(cur);
    spot->has_row = rc == LP_OK;
    return rc;
}

lp_rc
lp_pack_seek(MDB_txn *txn, struct lp_catalog *cat, enum lp_cat_db db, struct lp_pack_spot *spot,
             struct lp_str key, size_t prefix_bytes, struct lp_str *ret, struct lp_err *err)
{
    bool here = spot->has_row && lp_str_cmp(key, lp_str_of((const char *)spot->low, spot->nlow)) >= 0 &&
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
    MDB_cursor *cur;
    MDB_val k, v;
    bool stop = false;
    struct lp_str begin = lp_str_sub(from, prefix_bytes, from.n);
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
            bool starts = lp_str_starts(key, begin);
            stop = !starts && lp_str_cmp(key, begin) > 0;
            out = starts ? fn(arg, key, r.value, &stop, err) : LP_OK;
        }
        out = out == LP_OK && r.rd.bad ? lp_pack_bad(db, err) : out;
        rc = out == LP_OK && !stop ? mdb_cursor_get(cur, &k, &v, MDB_NEXT) : rc;
    }
    mdb_cursor_close(cur);
    return out != LP_OK || rc == 0 || rc == MDB_NOTFOUND ? out : lp_cat_rc(rc, err, lp_cat_db_name(db));
}

/* ------------------------------------------------------------------ writing */

struct entry {
    struct lp_str key, value;
};

struct merge {
    MDB_txn *txn;
    struct lp_catalog *cat;
    enum lp_cat_db db;
    size_t prefix_bytes;
    lp_pack_value_fn fn;
    void *arg;
    struct lp_arena ar; /* of one row: entries and what they consist of */
    struct entry *v;
    size_t n, cap;
    struct lp_buf scratch, row;
    struct lp_err *err;
};

static int
add_entry(struct merge *m, struct lp_str key, struct lp_str value)
{
    if (m->n == m->cap) {
        m->cap = m->cap ? m->cap * 2 : 512;
        m->v = lp_realloc(m->v, m->cap * sizeof(*m->v));
    }
    struct entry *e = &m->v[m->n++];
    return lp_arena_str(&m->ar, key, &e->key) && lp_arena_str(&m->ar, value, &e->value) ? 0 : MDB_PANIC;
}

static size_t
common(struct lp_str a, struct lp_str b)
{
    size_t n = LP_MIN(a.n, b.n), i = 0;
    while (i < n && a.p[i] == b.p[i]) {
        i++;
    }
    return i;
}

/* The bytes that the entry takes behind another one; not less. */
static size_t
entry_bytes(const struct entry *e, const struct entry *before)
{
    size_t shared = before != NULL ? common(before->key, e->key) : 0;
    return 2 + 2 + 2 + e->key.n - shared + e->value.n;
}

/* Encodes entries [from, to) as one row and puts it. */
static int
put_row(struct merge *m, const struct lp_cat_key *key, size_t from, size_t to)
{
    lp_buf_reset(&m->row);
    for (size_t i = from; i < to; i++) {
        size_t shared = i > from ? common(m->v[i - 1].key, m->v[i].key) : 0;
        lp_buf_varint(&m->row, shared);
        lp_buf_lpstr(&m->row, lp_str_sub(m->v[i].key, shared, m->v[i].key.n));
        lp_buf_lpstr(&m->row, m->v[i].value);
    }
    return lp_cat_put(m->txn, m->cat, m->db, key, lp_buf_view(&m->row));
}

/* Writes the gathered entries in place of the row with this key: one row, or several of like size. */
static int
put_rows(struct merge *m, const struct lp_cat_key *first)
{
    size_t total = 0, rows = 1, from = 0;
    for (size_t i = 0; i < m->n; i++) {
        total += entry_bytes(&m->v[i], i > 0 ? &m->v[i - 1] : NULL);
    }
    if (total > ROW_MAX) {
        rows = LP_MAX((total + ROW_TARGET - 1) / ROW_TARGET, (size_t)2);
    }
    struct lp_cat_key key = *first;
    int rc = 0;
    while (from < m->n && rc == 0) {
        size_t to = from, bytes = 0;
        while (to < m->n && (to == from || bytes < total / rows + 32)) {
            size_t more = entry_bytes(&m->v[to], to > from ? &m->v[to - 1] : NULL);
            if (to > from && bytes + more > ROW_MAX) {
                break;
            }
            bytes += more;
            to++;
        }
        if (from > 0) {
            key.n = m->prefix_bytes;
            memcpy(key.b + key.n, m->v[from].key.p, m->v[from].key.n);
            key.n += m->v[from].key.n;
        }
        rc = put_row(m, &key, from, to);
        from = to;
    }
    return rc;
}

/* What the map holds where adds[0] belongs: the row's key and a copy of it, and where the next row begins. */
struct place {
    struct lp_cat_key row, next;
    bool has_next;
    struct lp_str content;
};

static int
find_place(struct merge *m, struct lp_str key, struct place *p)
{
    MDB_cursor *cur;
    MDB_val k, v;
    int rc = mdb_cursor_open(m->txn, m->cat->dbi[m->db], &cur);
    if (rc != 0) {
        return rc;
    }
    p->content = LP_STR_NULL;
    p->has_next = false;
    p->row.n = m->prefix_bytes;
    memcpy(p->row.b, key.p, p->row.n);
    rc = seek_row(cur, key, m->prefix_bytes, &k, &v);
    if (rc == 0) {
        struct lp_str row;
        p->row.n = k.mv_size;
        memcpy(p->row.b, k.mv_data, k.mv_size);
        if (lp_cat_check(&k, &v, lp_cat_db_name(m->db), &row, m->err) != LP_OK) {
            rc = MDB_CORRUPTED;
        } else if (!lp_arena_str(&m->ar, row, &p->content)) {
            rc = MDB_PANIC;
        }
        if (rc == 0 && (rc = mdb_cursor_get(cur, &k, &v, MDB_NEXT)) == 0) {
            p->has_next = true;
            p->next.n = k.mv_size;
            memcpy(p->next.b, k.mv_data, k.mv_size);
        }
    }
    mdb_cursor_close(cur);
    return rc == MDB_NOTFOUND ? 0 : rc;
}

/* Adds the entry of adds[0..n), which share a key; `have` is what is stored for it, p NULL: nothing. */
static int
add_value(struct merge *m, const struct lp_pack_add *adds, size_t n, struct lp_str have)
{
    lp_buf_reset(&m->scratch);
    int rc = m->fn(m->arg, m->txn, m->cat, have, adds, n, &m->scratch, m->err);
    return rc == 0
               ? add_entry(m, lp_str_sub(adds->key, m->prefix_bytes, adds->key.n), lp_buf_view(&m->scratch))
               : rc;
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

/* Merges those of adds[0..n) that belong into one row; *ret says how many they were. */
static int
merge_row(struct merge *m, const struct lp_pack_add *adds, size_t n, size_t *ret)
{
    struct place p;
    struct lp_pack_reader r;
    size_t i = 0, end = 0;
    lp_arena_reset(&m->ar);
    m->n = 0;
    int rc = find_place(m, adds[0].key, &p);
    if (rc != 0) {
        return rc;
    }
    struct lp_str next = lp_str_of((const char *)p.next.b, p.next.n);
    while (end < n && memcmp(adds[end].key.p, adds[0].key.p, m->prefix_bytes) == 0 &&
           (!p.has_next || lp_str_cmp(adds[end].key, next) < 0)) {
        end++;
    }
    lp_pack_read(&r, p.content);
    while (rc == 0 && lp_pack_next(&r)) {
        struct lp_str key = lp_str_of((const char *)r.key, r.nkey);
        int order = 1;
        while (rc == 0 && i < end &&
               (order = lp_str_cmp(lp_str_sub(adds[i].key, m->prefix_bytes, adds[i].key.n), key)) <= 0) {
            size_t k = same_key(adds + i, end - i);
            rc = add_value(m, adds + i, k, order == 0 ? r.value : LP_STR_NULL);
            i += k;
            if (order == 0) {
                break;
            }
        }
        rc = rc == 0 && order != 0 ? add_entry(m, key, r.value) : rc;
    }
    if (r.rd.bad) {
        (void)lp_pack_bad(m->db, m->err);
        return MDB_CORRUPTED;
    }
    for (size_t k; rc == 0 && i < end; i += k) {
        k = same_key(adds + i, end - i);
        rc = add_value(m, adds + i, k, LP_STR_NULL);
    }
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
    lp_arena_init(&m.ar, SIZE_MAX, 1 << 14);
    lp_buf_init(&m.scratch, SIZE_MAX);
    lp_buf_init(&m.row, SIZE_MAX);
    int rc = 0;
    for (size_t i = 0, k = 0; i < n && rc == 0; i += k) {
        rc = merge_row(&m, adds + i, n - i, &k);
    }
    lp_buf_clear(&m.row);
    lp_buf_clear(&m.scratch);
    lp_arena_clear(&m.ar);
    lp_free(m.v);
    return rc;
}
