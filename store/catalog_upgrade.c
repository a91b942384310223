/*
 * catalog_upgrade.c - from earlier formats, at opening.
 *
 * From 2 to 3: pods are written from the keys of all streams, some hundred thousand at a time, each in a
 * transaction of its own; the last one says the format, so that a crash begins again. What agents told of
 * pods is learned again with their next lines.
 *
 * From 1 to 2: one transaction, so that a crash leaves the one or the other. Format 1 had a row for each
 * stream (`streams`: id u64 -> group id u64, stream key), one for its hash behind its namespace, pod and
 * container (`pods`), and one for each value (`postings`). Everything in the latter two follows from the
 * first, so the streams are written anew as if they were new, by rising id and a few thousand at a time, and
 * the three are dropped. Some microseconds a stream; nothing else of the catalog changes.
 */
#include <string.h>

#include "store/catalog_int.h"
#include "store/pod_learn.h"

#define BATCH 4096
#define POD_STREAMS (1u << 18)

static const char *const old_dbs[LP_CAT_OLD_DBS] = {"streams", "pods", "postings"};

struct batch {
    struct lp_arena ar;
    struct lp_cat_new_stream v[BATCH];
    size_t n;
    uint64_t next; /* the id to go on with */
};

static int
take(struct batch *b, const MDB_val *key, const MDB_val *val, struct lp_err *err)
{
    struct lp_str v;
    struct lp_cat_new_stream *s = &b->v[b->n];
    if (key->mv_size != 8 || lp_cat_check(key, val, old_dbs[0], &v, err) != LP_OK || v.n < 8) {
        (void)lp_corrupt(err, "catalog: a value of streams is malformed");
        return MDB_CORRUPTED;
    }
    *s = (struct lp_cat_new_stream){.id = lp_get_be64(key->mv_data), .group = lp_get_u64(v.p)};
    if (!lp_arena_str(&b->ar, lp_str_sub(v, 8, v.n), &s->key)) {
        return MDB_PANIC;
    }
    s->hash = lp_xxh128(s->key.p, s->key.n);
    b->next = s->id + 1;
    b->n++;
    return 0;
}

/* The next streams of format 1; b->n is 0 at the end. */
static int
read_batch(MDB_txn *txn, MDB_dbi dbi, struct batch *b, struct lp_err *err)
{
    MDB_cursor *cur;
    uint8_t from[8];
    MDB_val key = {sizeof(from), from}, val;
    lp_arena_reset(&b->ar);
    b->n = 0;
    lp_put_be64(from, b->next);
    int rc = mdb_cursor_open(txn, dbi, &cur);
    if (rc != 0) {
        return rc;
    }
    rc = mdb_cursor_get(cur, &key, &val, MDB_SET_RANGE);
    while (rc == 0 && b->n < BATCH) {
        rc = take(b, &key, &val, err);
        rc = rc == 0 ? mdb_cursor_get(cur, &key, &val, MDB_NEXT) : rc;
    }
    mdb_cursor_close(cur);
    return rc == MDB_NOTFOUND ? 0 : rc;
}

static int
drop_old(MDB_txn *txn)
{
    int rc = 0;
    for (size_t i = 0; i < LP_CAT_OLD_DBS && rc == 0; i++) {
        MDB_dbi dbi;
        rc = mdb_dbi_open(txn, old_dbs[i], 0, &dbi);
        rc = rc == 0 ? mdb_drop(txn, dbi, 1) : rc;
        rc = rc == MDB_NOTFOUND ? 0 : rc;
    }
    return rc;
}

static int
move_streams(MDB_txn *txn, struct lp_catalog *cat, struct batch *b, struct lp_err *err)
{
    MDB_dbi dbi;
    int rc = mdb_dbi_open(txn, old_dbs[0], 0, &dbi);
    if (rc != 0) {
        return rc == MDB_NOTFOUND ? 0 : rc;
    }
    b->next = 0;
    unsigned turn = 0;
    do {
        rc = read_batch(txn, dbi, b, err);
        rc = rc == 0 ? lp_cat_put_streams(txn, cat, b->v, b->n, turn++, err) : rc;
    } while (rc == 0 && b->n > 0);
    return rc;
}

static int
upgrade_streams(MDB_txn *txn, struct lp_catalog *cat, void *arg, struct lp_err *err)
{
    uint64_t next_stream = 0;
    int rc = lp_cat_get_counter(txn, cat, "next_stream", &next_stream, err);
    rc = rc == 0 ? lp_cat_put_counter(txn, cat, "next_posting", 1) : rc;
    rc = rc == 0 ? move_streams(txn, cat, arg, err) : rc;
    rc = rc == 0 ? lp_cat_put_counter(txn, cat, "next_stream", next_stream) : rc;
    rc = rc == 0 ? drop_old(txn) : rc;
    return rc == 0 ? lp_cat_put_counter(txn, cat, "format", 2) : rc;
}

static lp_rc
from_format_1(struct lp_catalog *cat, struct lp_err *err)
{
    struct batch *b = lp_calloc(1, sizeof(*b));
    lp_arena_init(&b->ar, SIZE_MAX, LP_ARENA_CHUNK_MAX);
    lp_rc rc = lp_cat_write(cat, upgrade_streams, b, err);
    lp_arena_clear(&b->ar);
    lp_free(b);
    return rc;
}

/* --- pods --- */

struct pods {
    struct lp_pod_news news;
    uint64_t from;  /* the first stream that was not looked at */
    size_t streams; /* in `news` */
    bool last;      /* there are no more */
};

static bool
take_pod(void *arg, uint64_t id, uint64_t group, struct lp_str key)
{
    struct pods *p = arg;
    struct lp_str copy;
    (void)group;
    if (id < p->from) {
        return true;
    }
    if (p->streams == POD_STREAMS) {
        p->last = false;
        return false;
    }
    bool copied = lp_arena_str(&p->news.ar, key, &copy);
    LP_ASSERT(copied);
    lp_pod_news_add(&p->news, copy, NULL, LP_TIME_NONE);
    p->streams++;
    p->from = id + 1;
    return true;
}

static int
write_pods(MDB_txn *txn, struct lp_catalog *cat, void *arg, struct lp_err *err)
{
    const struct pods *p = arg;
    int rc = lp_cat_put_pods(txn, cat, p->news.pods, p->news.npods, err);
    return rc == 0 && p->last ? lp_cat_put_counter(txn, cat, "format", LP_CAT_FORMAT) : rc;
}

/* The next so many streams. */
static lp_rc
move_pods(struct lp_catalog *cat, struct pods *p, struct lp_err *err)
{
    struct lp_cat_txn *t;
    lp_rc rc = lp_cat_begin(cat, &t, err);
    if (rc != LP_OK) {
        return rc;
    }
    p->last = true;
    p->streams = 0;
    lp_pod_news_init(&p->news, POD_STREAMS);
    rc = lp_cat_streams(t, take_pod, p, err);
    lp_cat_end(t);
    rc = rc == LP_OK ? lp_cat_write(cat, write_pods, p, err) : rc;
    lp_pod_news_clear(&p->news);
    return rc;
}

lp_rc
lp_cat_upgrade(struct lp_catalog *cat, uint64_t format, struct lp_err *err)
{
    struct pods p = {.last = false};
    lp_rc rc = format < 2 ? from_format_1(cat, err) : LP_OK;
    while (rc == LP_OK && !p.last) {
        rc = move_pods(cat, &p, err);
    }
    return rc;
}
