/*
 * catalog_identity.c - who a store is: its UUID, and the UUIDs of the stores that it was copied from.
 *
 * `folder` in meta remembers the file that the store is locked by (its inode and birth). When a store is
 * opened and that file is another one, the folder is a copy (or was moved between file systems, which is
 * harmless): it takes a new UUID and keeps the old one as an earlier identity, so that original and copy can
 * go on beside each other. A copy made below the file system (a snapshot of a volume) is not noticed; it
 * keeps its UUID. Runs at opening, before other threads exist.
 */
#include <errno.h>
#include <string.h>

#include "store/catalog_int.h"

static struct lp_str
bytes_of(const struct lp_uuid *u, size_t n)
{
    return lp_str_of((const char *)u, n * sizeof(*u));
}

int
lp_cat_write_uuid(MDB_txn *txn, struct lp_catalog *cat)
{
    struct lp_uuid fresh;
    if (!lp_uuid_make(&fresh)) {
        return errno;
    }
    cat->uuids = lp_realloc(cat->uuids, sizeof(*cat->uuids));
    cat->uuids[0] = fresh;
    cat->nuuids = 1;
    return lp_cat_put_meta(txn, cat, "uuid", bytes_of(&fresh, 1));
}

lp_rc
lp_cat_read_uuids(struct lp_cat_txn *t, struct lp_err *err)
{
    struct lp_str own, earlier;
    lp_rc rc = lp_cat_get_meta(t, "uuid", sizeof(struct lp_uuid), &own, err);
    if (rc != LP_OK) {
        return rc;
    }
    rc = lp_cat_get_meta(t, "earlier", 0, &earlier, err);
    earlier = rc == LP_OK ? earlier : LP_STR_NULL;
    if ((rc != LP_OK && rc != LP_ERR_NOT_FOUND) || earlier.n % sizeof(struct lp_uuid) != 0) {
        return lp_corrupt(err, "catalog: meta earlier cannot be read");
    }
    t->cat->nuuids = 1 + earlier.n / sizeof(struct lp_uuid);
    t->cat->uuids = lp_realloc(t->cat->uuids, t->cat->nuuids * sizeof(*t->cat->uuids));
    memcpy(t->cat->uuids, own.p, own.n);
    if (earlier.n > 0) {
        memcpy(t->cat->uuids + 1, earlier.p, earlier.n);
    }
    return LP_OK;
}

/* --- copies --- */

static int
write_folder(MDB_txn *txn, struct lp_catalog *cat, void *arg, struct lp_err *err)
{
    (void)err;
    return lp_cat_put_meta(txn, cat, "folder", *(const struct lp_str *)arg);
}

static int
write_copy(MDB_txn *txn, struct lp_catalog *cat, void *arg, struct lp_err *err)
{
    struct lp_uuid fresh;
    if (!lp_uuid_make(&fresh)) {
        return errno;
    }
    int rc = lp_cat_put_meta(txn, cat, "earlier", bytes_of(cat->uuids, cat->nuuids));
    rc = rc == 0 ? lp_cat_put_meta(txn, cat, "uuid", bytes_of(&fresh, 1)) : rc;
    return rc == 0 ? write_folder(txn, cat, arg, err) : rc;
}

lp_rc
lp_catalog_settle(struct lp_catalog *cat, struct lp_str folder, bool *ret_copied, struct lp_err *err)
{
    struct lp_cat_txn *t;
    struct lp_str have;
    *ret_copied = false;
    lp_rc rc = lp_cat_begin(cat, &t, err);
    if (rc != LP_OK) {
        return rc;
    }
    rc = lp_cat_get_meta(t, "folder", 0, &have, err);
    bool known = rc == LP_OK, same = known && lp_str_eq(have, folder);
    lp_cat_end(t);
    if (same || (rc != LP_OK && rc != LP_ERR_NOT_FOUND)) {
        return rc;
    }
    rc = lp_cat_write(cat, known ? write_copy : write_folder, &folder, err);
    if (rc != LP_OK || !known) {
        return rc;
    }
    *ret_copied = true;
    rc = lp_cat_begin(cat, &t, err);
    if (rc == LP_OK) {
        rc = lp_cat_read_uuids(t, err);
        lp_cat_end(t);
    }
    return rc;
}

const struct lp_uuid *
lp_catalog_uuid(const struct lp_catalog *cat)
{
    return cat->uuids;
}

const struct lp_uuid *
lp_catalog_uuids(const struct lp_catalog *cat, size_t *ret_n)
{
    *ret_n = cat->nuuids;
    return cat->uuids;
}

bool
lp_catalog_uuid_known(const struct lp_catalog *cat, const struct lp_uuid *uuid)
{
    return lp_uuid_among(cat->uuids, cat->nuuids, uuid);
}
