/*
 * recover.c - what start-up does with the names that a crash may have left. Its cost does not grow with what
 * is stored, but at the first start after an older version.
 *
 * It touches only ids that the catalog has in `reserved` (handed out, but no segment row: the crash came
 * before the commit) and `removed` (decided, not yet unlinked). A .seg.tmp of a reserved id goes; so does a
 * .seg that a merge wrote of segments that are all still named; any other .seg moves to lost+found/.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/store_int.h"

static bool
is_segment(void *arg, const char *name)
{
    size_t n = strlen(name);
    bool *found = arg;
    *found = *found || (n > 4 && strcmp(name + n - 4, ".seg") == 0);
    return !*found;
}

lp_rc
lp_store_has_segments(struct lp_store *st, bool *ret, struct lp_err *err)
{
    *ret = false;
    lp_rc rc = lp_io_list(st->cfg.io, st->seg_dir, is_segment, ret, err);
    return rc == LP_ERR_NOT_FOUND ? LP_OK : rc;
}

static lp_rc
unlink_if_there(struct lp_store *st, const char *path, struct lp_err *err)
{
    lp_rc rc = lp_io_unlink(st->cfg.io, path, err);
    return rc == LP_ERR_NOT_FOUND ? LP_OK : rc;
}

/* Did a merge write it, and does the catalog name all that it was made of? Then it is a copy. */
static bool
is_copy(struct lp_store *st, const char *path)
{
    struct lp_seg *seg;
    struct lp_cat_txn *txn;
    struct lp_arena ar;
    struct lp_seg_origin o = {NULL, 0, NULL, 0};
    struct lp_cat_segment row;
    if (lp_seg_open(st->cfg.io, path, &seg, NULL) != LP_OK) {
        return false;
    }
    lp_arena_init(&ar, 16 << 20, 0);
    bool copy = seg->level > 0 && lp_seg_origin(seg, &ar, &o, NULL) == LP_OK && o.nreplaced > 0 &&
                lp_cat_begin(st->cat, &txn, NULL) == LP_OK;
    if (copy) {
        for (size_t i = 0; i < o.nreplaced && copy; i++) {
            copy = lp_cat_segment(txn, o.replaced[i], &row, NULL) == LP_OK;
        }
        lp_cat_end(txn);
    }
    lp_arena_clear(&ar);
    lp_seg_unref(seg);
    return copy;
}

/* A whole segment without a row: its records are still in the log and will be stored again. Kept aside, not
 * deleted. */
static lp_rc
move_aside(struct lp_store *st, uint64_t id, struct lp_err *err)
{
    char from[LP_SEG_PATH_BYTES], to[LP_SEG_PATH_BYTES], folder[LP_SEG_PATH_BYTES];
    snprintf(folder, sizeof(folder), "%s/lost+found", st->dir);
    lp_seg_path(st->seg_dir, id, false, from);
    lp_seg_path(folder, id, false, to);
    if (is_copy(st, from)) {
        return unlink_if_there(st, from, err);
    }
    lp_rc rc = lp_io_rename(st->cfg.io, from, to, err);
    if (rc == LP_ERR_NOT_FOUND) {
        return LP_OK;
    }
    if (rc == LP_OK) {
        lp_store_say(st, LP_EVENT_WARN,
                     "segment %016llx was written but not committed before the last stop: moved to "
                     "lost+found, its records come from the log again",
                     (unsigned long long)id);
        rc = lp_io_sync_dir(st->cfg.io, folder, err);
    }
    return rc;
}

static lp_rc
clean_names(struct lp_store *st, struct lp_ids *reserved, struct lp_ids *removed, struct lp_err *err)
{
    char path[LP_SEG_PATH_BYTES];
    lp_rc rc = LP_OK;
    for (size_t i = 0; i < reserved->n && rc == LP_OK; i++) {
        lp_seg_path(st->seg_dir, reserved->v[i], true, path);
        rc = unlink_if_there(st, path, err);
        rc = rc == LP_OK ? move_aside(st, reserved->v[i], err) : rc;
    }
    for (size_t i = 0; i < removed->n && rc == LP_OK; i++) {
        lp_seg_path(st->seg_dir, removed->v[i], false, path);
        rc = unlink_if_there(st, path, err);
    }
    if (rc == LP_OK && reserved->n + removed->n > 0) {
        rc = lp_io_sync_dir(st->cfg.io, st->seg_dir, err);
    }
    if (rc == LP_OK && reserved->n + removed->n > 0) {
        rc = lp_catalog_forget(st->cat, reserved, removed, err);
    }
    return rc;
}

/* --- lost+found: a segment set aside goes once its records are stored again --- */

#define KEPT_NAMES_MAX 1024

struct kept {
    uint64_t ids[KEPT_NAMES_MAX];
    size_t n;
};

static bool
note_kept(void *arg, const char *name)
{
    struct kept *k = arg;
    char *end;
    uint64_t id = strtoull(name, &end, 16);
    if (end == name + 16 && strcmp(end, ".seg") == 0) {
        k->ids[k->n++] = id;
    }
    return k->n < KEPT_NAMES_MAX;
}

/* Whether the catalog's positions are at or behind the end of every interval that the segment covers. */
static bool
stored_again(struct lp_store *st, const char *path)
{
    struct lp_seg *seg;
    struct lp_foot_ticket *t;
    struct lp_cat_txn *txn;
    struct lp_arena ar;
    size_t n = 0;
    if (lp_seg_open(st->cfg.io, path, &seg, NULL) != LP_OK) {
        return false; /* not readable: somebody may want to look */
    }
    lp_arena_init(&ar, 16 << 20, 0);
    bool passed =
        lp_seg_tickets(seg, true, &ar, &t, &n, NULL) == LP_OK && lp_cat_begin(st->cat, &txn, NULL) == LP_OK;
    bool begun = passed;
    for (size_t i = 0; i < n && passed; i++) {
        struct lp_cat_place at;
        passed = lp_cat_position(txn, t[i].log, t[i].partition, &at, NULL) == LP_OK && at.next >= t[i].next;
    }
    if (begun) {
        lp_cat_end(txn);
    }
    lp_arena_clear(&ar);
    lp_seg_unref(seg);
    return passed;
}

static void
drop_kept(struct lp_store *st)
{
    struct kept *k = lp_calloc(1, sizeof(*k));
    char folder[LP_SEG_PATH_BYTES], path[LP_SEG_PATH_BYTES];
    snprintf(folder, sizeof(folder), "%s/lost+found", st->dir);
    lp_rc rc = lp_io_list(st->cfg.io, folder, note_kept, k, NULL);
    for (size_t i = 0; i < k->n && rc == LP_OK; i++) {
        lp_seg_path(folder, k->ids[i], false, path);
        if (stored_again(st, path) && lp_io_unlink(st->cfg.io, path, NULL) == LP_OK) {
            lp_store_say(st, LP_EVENT_INFO,
                         "lost+found: segment %016llx is stored again, its copy was removed",
                         (unsigned long long)k->ids[i]);
        }
    }
    lp_free(k);
}

struct totals {
    struct lp_store_stats *stats;
    struct lp_cat_segment newest;
    struct lp_cat_segment *undated; /* rows of versions that did not note when a segment was sealed */
    size_t nundated, cap;
};

static bool
add_segment(void *arg, const struct lp_cat_segment *s)
{
    struct totals *t = arg;
    t->stats->segments++;
    t->stats->rows += s->rows;
    t->stats->bytes += s->bytes;
    t->stats->file_bytes += s->file_bytes;
    if (s->generation >= t->newest.generation) {
        t->newest = *s;
    }
    if (s->created_ns == 0) {
        if (t->nundated == t->cap) {
            t->cap = t->cap ? t->cap * 2 : 64;
            t->undated = lp_realloc(t->undated, t->cap * sizeof(*t->undated));
        }
        t->undated[t->nundated++] = *s;
    }
    return true;
}

/*
 * Retention lets nothing go within a day of its receipt, so it has to know. The files' headers say it; they
 * are read once, at the first start of a version that notes it. What cannot be read stays as it is.
 */
static lp_rc
date_segments(struct lp_store *st, struct totals *t, struct lp_err *err)
{
    char path[LP_SEG_PATH_BYTES];
    size_t n = 0;
    for (size_t i = 0; i < t->nundated; i++) {
        struct lp_cat_segment *s = &t->undated[i];
        lp_seg_path(st->seg_dir, s->id, false, path);
        if (lp_seg_created(st->cfg.io, path, &s->created_ns, NULL) == LP_OK && s->created_ns != 0) {
            t->undated[n++] = *s;
        }
    }
    lp_rc rc = n > 0 ? lp_catalog_note_segments(st->cat, t->undated, n, err) : LP_OK;
    return rc == LP_ERR_DISK_FULL ? LP_OK : rc; /* the next start does it */
}

/* The last transaction is the one that a lying disk can have lost a part of: its segment must be what it
 * says. */
static lp_rc
check_newest(struct lp_store *st, const struct lp_cat_segment *row, struct lp_err *err)
{
    char path[LP_SEG_PATH_BYTES];
    struct lp_seg *seg;
    if (row->id == 0) {
        return LP_OK;
    }
    lp_seg_path(st->seg_dir, row->id, false, path);
    lp_rc rc = lp_seg_open(st->cfg.io, path, &seg, err);
    if (rc == LP_ERR_CORRUPT || rc == LP_ERR_UNSUPPORTED) {
        /* damage inside a stored segment: it is reported, the rest is served */
        lp_store_say(st, LP_EVENT_ERROR, "the newest segment is damaged: %s", err->text);
        lp_err_clear(err);
        return LP_OK;
    }
    if (rc != LP_OK) {
        return lp_err_prefix(
            err, rc, "the catalog names a segment that cannot be opened; run `logpond verify --rebuild`");
    }
    bool same = seg->id == row->id && seg->generation == row->generation &&
                seg->file_bytes == row->file_bytes && lp_catalog_uuid_known(st->cat, &seg->uuid);
    lp_seg_unref(seg);
    return same ? LP_OK
                : lp_corrupt(
                      err,
                      "segment %016llx belongs to another store than the catalog, or to another generation; "
                      "run `logpond verify --rebuild`",
                      (unsigned long long)row->id);
}

lp_rc
lp_store_recover(struct lp_store *st, struct lp_err *err)
{
    struct lp_ids reserved = {NULL, 0, 0}, removed = {NULL, 0, 0};
    struct totals t = {.stats = &st->stats};
    struct lp_cat_counters n;
    struct lp_cat_txn *txn;
    lp_rc rc = lp_cat_begin(st->cat, &txn, err);
    if (rc != LP_OK) {
        return rc;
    }
    rc = lp_cat_counters(txn, &n, err);
    rc = rc == LP_OK ? lp_cat_segments(txn, add_segment, &t, err) : rc;
    rc = rc == LP_OK ? lp_cat_reserved(txn, &reserved, err) : rc;
    rc = rc == LP_OK ? lp_cat_removed(txn, &removed, err) : rc;
    lp_cat_end(txn);
    if (rc == LP_OK) {
        st->sealed = n.sealed;
        rc = check_newest(st, &t.newest, err);
    }
    rc = rc == LP_OK ? date_segments(st, &t, err) : rc;
    if (rc == LP_OK) {
        drop_kept(st); /* those that an earlier start set aside; best effort */
        rc = clean_names(st, &reserved, &removed, err);
    }
    lp_free(t.undated);
    lp_ids_clear(&reserved);
    lp_ids_clear(&removed);
    return rc;
}
