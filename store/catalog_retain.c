/*
 * catalog_retain.c - what retention needs of the catalog: walks over all groups, entries and streams, and the
 * cutoffs in `meta`.
 */
#include "store/catalog_int.h"

#include "base/bytes.h"

static lp_rc
bad_value(enum lp_cat_db db, struct lp_err *err)
{
    return lp_corrupt(err, "catalog: a value of %s is malformed", lp_cat_db_name(db));
}

struct groups_walk {
    lp_cat_group_key_fn fn;
    void *arg;
};

static lp_rc
visit_group(void *arg, const MDB_val *key, struct lp_str value, bool *stop, struct lp_err *err)
{
    struct groups_walk *w = arg;
    (void)key;
    if (value.n < 8) {
        return bad_value(LP_DB_GROUPS, err);
    }
    *stop = !w->fn(w->arg, lp_get_u64(value.p), lp_str_sub(value, 8, value.n));
    return LP_OK;
}

lp_rc
lp_cat_group_keys(struct lp_cat_txn *t, lp_cat_group_key_fn fn, void *arg, struct lp_err *err)
{
    struct groups_walk w = {fn, arg};
    struct lp_cat_key k = {.n = 0};
    return lp_cat_scan(t->txn, t->cat, LP_DB_GROUPS, &k, 0, visit_group, &w, err);
}

lp_rc
lp_cat_streams(struct lp_cat_txn *t, lp_cat_stream_fn fn, void *arg, struct lp_err *err)
{
    struct lp_cat_counters n;
    struct lp_cat_pack pack;
    bool on = true;
    lp_cat_pack_init(&pack);
    lp_rc rc = lp_cat_counters(t, &n, err);
    for (uint64_t id = 1; rc == LP_OK && on && id < n.next_stream; id++) {
        uint64_t group;
        struct lp_str key;
        rc = lp_cat_stream(t, id, &pack, &group, &key, err);
        on = rc == LP_OK && fn(arg, id, group, key);
    }
    lp_cat_pack_clear(&pack);
    return rc;
}

/* --- cutoffs --- */

lp_rc
lp_cat_cutoffs(struct lp_cat_txn *t, struct lp_str *ret, struct lp_err *err)
{
    return lp_cat_get_meta(t, "cutoffs", 0, ret, err);
}

static int
write_cutoffs(MDB_txn *txn, struct lp_catalog *cat, void *arg, struct lp_err *err)
{
    (void)err;
    return lp_cat_put_meta(txn, cat, "cutoffs", *(const struct lp_str *)arg);
}

lp_rc
lp_catalog_put_cutoffs(struct lp_catalog *cat, struct lp_str cutoffs, struct lp_err *err)
{
    return lp_cat_write(cat, write_cutoffs, &cutoffs, err);
}
