/*
 * store.c - the store object: opening, closing, segment handles, figures. See store.h; recovery is recover.c,
 * the seal seal.c.
 *
 * The lock st->mu is never held during I/O on segments.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/metrics.h"
#include "store/keep.h"
#include "store/ledger.h"
#include "store/maintain.h"
#include "store/retain.h"
#include "store/store_int.h"

#define SEGMENTS_OPEN_LEAST ((size_t)64)

void
lp_store_say(const struct lp_store *st, enum lp_event level, const char *fmt, ...)
{
    char text[1024];
    va_list ap;
    if (st->cfg.on_event == NULL) {
        return;
    }
    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    st->cfg.on_event(st->cfg.ctx, level, text);
}

void
lp_store_show_totals(const struct lp_store *st)
{
    lp_metric_set(LP_M_SEGMENTS, (int64_t)st->stats.segments);
    lp_metric_set(LP_M_STORED_RECORDS, (int64_t)st->stats.rows);
    lp_metric_set(LP_M_STORED_BYTES, (int64_t)st->stats.file_bytes);
}

static void
fatal_default(void *ctx, const struct lp_err *err)
{
    (void)ctx;
    fprintf(stderr, "logpond: the catalog cannot be trusted any more: %s\n", err->text);
    abort();
}

static lp_rc
make_folder(struct lp_store *st, const char *name, struct lp_err *err)
{
    char path[4200];
    snprintf(path, sizeof(path), "%s/%s", st->dir, name);
    return lp_io_mkdir(st->cfg.io, path, err);
}

static lp_rc
open_catalog(struct lp_store *st, struct lp_err *err)
{
    bool has_segments;
    lp_rc rc = lp_store_has_segments(st, &has_segments, err);
    if (rc == LP_OK) {
        rc = lp_catalog_open(st->cfg.io, st->dir, !has_segments, &st->cat, err);
    }
    if (rc == LP_ERR_NOT_FOUND && has_segments) {
        return lp_corrupt(err,
                          "%s holds segments but no catalog; nothing was changed. Run `logpond verify "
                          "--rebuild` to make a new one out of them",
                          st->dir);
    }
    return rc;
}

/* Folders come after the catalog: segments without one are refused, so a crash in between must not leave
 * that. */
static lp_rc
open_folders(struct lp_store *st, struct lp_err *err)
{
    lp_rc rc = make_folder(st, "segments", err);
    rc = rc == LP_OK ? make_folder(st, "lost+found", err) : rc;
    return rc == LP_OK ? lp_io_sync_dir(st->cfg.io, st->dir, err) : rc;
}

/* A store that was copied goes on as another one. */
static lp_rc
settle(struct lp_store *st, struct lp_err *err)
{
    uint8_t birth[LP_IO_BIRTH_BYTES];
    char text[LP_UUID_TEXT + 1];
    bool copied;
    if (!lp_io_birth(st->cfg.io, st->lock_fd, birth)) {
        return LP_OK;
    }
    lp_rc rc = lp_catalog_settle(st->cat, lp_str_of((const char *)birth, sizeof(birth)), &copied, err);
    if (rc == LP_OK && copied) {
        lp_uuid_text(lp_catalog_uuid(st->cat), text);
        lp_store_say(st, LP_EVENT_INFO, "this folder is a copy of another store: its UUID from now on is %s",
                     text);
    }
    return rc;
}

static void
ledger_says(void *ctx, const char *text)
{
    lp_store_say(ctx, LP_EVENT_ERROR, "%s", text);
}

static lp_rc
open_ledger(struct lp_store *st, struct lp_err *err)
{
    struct lp_ledger_config cfg = {.io = st->cfg.io, .dir = st->dir, .say = ledger_says, .ctx = st};
    cfg.uuids = lp_catalog_uuids(st->cat, &cfg.nuuids);
    lp_rc rc = lp_ledger_open(&cfg, &st->ledger, err);
    if (rc == LP_OK) {
        lp_retain_load(st);
    }
    return rc;
}

static lp_rc
open_all(struct lp_store *st, struct lp_err *err)
{
    char path[4200];
    lp_rc rc = lp_io_mkdir(st->cfg.io, st->dir, err);
    if (rc != LP_OK) {
        return lp_err_prefix(err, rc, "data folder %s", st->dir);
    }
    snprintf(path, sizeof(path), "%s/LOCK", st->dir);
    rc = lp_io_lock(st->cfg.io, path, &st->lock_fd, err);
    if (rc == LP_ERR_BUSY) {
        return lp_err_set(err, rc, "another process is using the data folder %s", st->dir);
    }
    rc = rc == LP_OK ? open_catalog(st, err) : rc;
    rc = rc == LP_OK ? settle(st, err) : rc;
    rc = rc == LP_OK ? open_folders(st, err) : rc;
    rc = rc == LP_OK ? open_ledger(st, err) : rc;
    return rc == LP_OK ? lp_store_recover(st, err) : rc;
}

lp_rc
lp_store_open(const struct lp_store_config *cfg, struct lp_store **ret, struct lp_err *err)
{
    char path[4200];
    struct lp_store *st = lp_calloc(1, sizeof(*st));
    st->cfg = *cfg;
    st->cfg.io = cfg->io ? cfg->io : lp_io_posix();
    st->cfg.on_fatal = cfg->on_fatal ? cfg->on_fatal : fatal_default;
    st->dir = lp_strdup(cfg->dir);
    snprintf(path, sizeof(path), "%s/segments", cfg->dir);
    st->seg_dir = lp_strdup(path);
    st->lock_fd = -1;
    st->stored_ctx = cfg->ctx;
    atomic_store(&st->seal_after_ns, cfg->seal_after_ns);
    lp_mutex_init(&st->cutoffs_mu, LP_LOCK_CUTOFFS);
    lp_mutex_init(&st->mu, LP_LOCK_STORE);
    lp_mutex_init(&st->ids_mu, LP_LOCK_SEGMENT_IDS);
    lp_cond_init(&st->changed);
    if (cfg->segment_cache_bytes > 0) {
        lp_keep_budget(cfg->segment_cache_bytes);
    }
    st->memo = lp_seal_memo_new();
    st->pods = lp_pod_memo_new();
    st->segments = lp_seg_cache_new(st->cfg.io, st->seg_dir, LP_MAX(cfg->segments_open, SEGMENTS_OPEN_LEAST));
    lp_rc rc = open_all(st, err);
    if (rc != LP_OK) {
        lp_store_free(st);
        return rc;
    }
    struct lp_head_config hc = {cfg->seal_bytes, cfg->largest_bytes, st->sealed + 1};
    st->head = lp_head_new(&hc);
    st->pool = lp_pool_new("seal", cfg->seal_workers, cfg->seal_workers);
    lp_store_check_space(st);
    lp_store_show_totals(st);
    lp_tail_mark_read(st);
    st->seal_running = true;
    st->seal_thread = lp_thread_start("sealer", lp_seal_main, st);
    st->maintain = lp_maintain_start(st);
    *ret = st;
    return LP_OK;
}

void
lp_store_set_callbacks(struct lp_store *st,
                       void (*on_stored)(void *, uint64_t, const struct lp_foot_ticket *, size_t), void *ctx)
{
    st->cfg.on_stored = on_stored;
    st->stored_ctx = ctx;
}

static lp_rc
wait_sealed(struct lp_store *st, uint64_t generation, int64_t deadline_ns, struct lp_err *err)
{
    bool in_time = true;
    lp_lock(&st->mu);
    while (st->sealed < generation && in_time && st->seal_running) {
        in_time = lp_cond_wait_until(&st->changed, &st->mu, deadline_ns);
    }
    bool done = st->sealed >= generation;
    lp_unlock(&st->mu);
    return done ? LP_OK
                : lp_err_set(err, LP_ERR_TIMEOUT,
                             "what is in memory could not be sealed in time; it is safe in the log");
}

lp_rc
lp_store_seal(struct lp_store *st, int64_t deadline_ns, struct lp_err *err)
{
    uint64_t newest = lp_head_close(st->head);
    return wait_sealed(st, newest, deadline_ns, err);
}

lp_rc
lp_store_stop(struct lp_store *st, int64_t deadline_ns, struct lp_err *err)
{
    if (st->head == NULL || st->stopping) {
        return LP_OK;
    }
    lp_rc rc = LP_OK;
    lp_maintain_stop(st->maintain);
    if (deadline_ns > lp_mono_ns()) {
        rc = wait_sealed(st, lp_head_close(st->head), deadline_ns, err);
    } else { /* no time to seal: what is in memory stays in the log */
        rc = lp_err_set(err, LP_ERR_TIMEOUT, "stopped without sealing");
    }
    lp_head_stop(st->head);
    lp_lock(&st->mu);
    st->stopping = true;
    st->abandon = rc != LP_OK;
    lp_cond_broadcast(&st->changed);
    lp_unlock(&st->mu);
    lp_thread_join(st->seal_thread);
    return rc;
}

void
lp_store_free(struct lp_store *st)
{
    if (st == NULL) {
        return;
    }
    if (st->head != NULL) {
        (void)lp_store_stop(st, lp_mono_ns(), NULL);
    }
    lp_maintain_free(st->maintain);
    lp_pool_free(st->pool);
    lp_head_free(st->head);
    lp_seg_cache_free(st->segments);
    lp_seal_memo_free(st->memo);
    lp_pod_memo_free(st->pods);
    lp_cutoffs_unref(st->cutoffs);
    lp_ledger_free(st->ledger);
    lp_catalog_close(st->cat);
    lp_io_close(st->cfg.io, st->lock_fd);
    lp_cond_destroy(&st->changed);
    lp_mutex_destroy(&st->cutoffs_mu);
    lp_mutex_destroy(&st->mu);
    lp_mutex_destroy(&st->ids_mu);
    lp_free(st->dir);
    lp_free(st->seg_dir);
    lp_free(st);
}

struct lp_head *
lp_store_head(struct lp_store *st)
{
    return st->head;
}

struct lp_catalog *
lp_store_catalog(struct lp_store *st)
{
    return st->cat;
}

struct lp_ledger *
lp_store_ledger(struct lp_store *st)
{
    return st->ledger;
}

const struct lp_io *
lp_store_io(const struct lp_store *st)
{
    return st->cfg.io;
}

const char *
lp_store_dir(const struct lp_store *st)
{
    return st->dir;
}

void
lp_store_set_seal_after(struct lp_store *st, int64_t ns)
{
    atomic_store(&st->seal_after_ns, ns);
}

lp_rc
lp_store_intake(const struct lp_store *st, struct lp_err *err)
{
    if (atomic_load_explicit(&st->disk_full, memory_order_relaxed)) {
        return lp_err_set(err, LP_ERR_DISK_FULL,
                          "the disk is almost full: no records are taken until there is space");
    }
    if (atomic_load_explicit(&st->seal_failing, memory_order_relaxed)) {
        return lp_err_set(err, LP_ERR_IO,
                          "the store cannot write segments: no records are taken until it can");
    }
    return LP_OK;
}

lp_rc
lp_store_take_id(struct lp_store *st, uint64_t *ret, struct lp_err *err)
{
    lp_rc rc = LP_OK;
    lp_lock(&st->ids_mu);
    if (st->ids_left == 0) {
        rc = lp_catalog_reserve(st->cat, LP_RESERVE_IDS, &st->next_id, err);
        st->ids_left = rc == LP_OK ? LP_RESERVE_IDS : 0;
    }
    if (rc == LP_OK) {
        st->ids_left--;
        *ret = st->next_id++;
    }
    lp_unlock(&st->ids_mu);
    return rc;
}

void
lp_store_expect_segments(struct lp_store *st, const uint64_t *ids, size_t n)
{
    lp_seg_cache_expect(st->segments, ids, n);
}

lp_rc
lp_store_segment(struct lp_store *st, uint64_t id, struct lp_seg **ret, struct lp_err *err)
{
    return lp_seg_cache_get(st->segments, id, ret, err);
}

void
lp_store_forget_segment(struct lp_store *st, uint64_t id)
{
    lp_seg_cache_forget(st->segments, id);
}

void
lp_store_set_segment_cache(struct lp_store *st, size_t bytes)
{
    lp_keep_budget(bytes);
    lp_seg_cache_trim(st->segments);
}

struct lp_maintain *
lp_store_maintain(struct lp_store *st)
{
    return st->maintain;
}

void
lp_store_stats(struct lp_store *st, struct lp_store_stats *ret)
{
    lp_lock(&st->mu);
    *ret = st->stats;
    ret->sealed = st->sealed;
    lp_unlock(&st->mu);
    ret->disk_full = atomic_load(&st->disk_full);
    ret->seal_failing = atomic_load(&st->seal_failing);
}
