/*
 * space.c - disk space: intake stops before the disk is full, and a reserve is given up so that what is in
 * memory can be sealed.
 *
 * The reserve is a preallocated file, DATA/reserve. It goes when a seal finds no space, and comes back once
 * there is room for it and the free space that intake needs. Runs on the seal thread; only giving up the
 * reserve may come from others.
 */
#include <stdio.h>

#include "base/metrics.h"
#include "store/store_int.h"

static void
reserve_path(const struct lp_store *st, char *buf, size_t n)
{
    snprintf(buf, n, "%s/reserve", st->dir);
}

/* The reserve's size on this disk: a sixteenth of it where that is less. */
static uint64_t
reserve_bytes(const struct lp_store *st, uint64_t total)
{
    return LP_MIN(st->cfg.reserve_bytes, total / 16);
}

bool
lp_store_give_reserve(struct lp_store *st)
{
    char path[4200];
    if (!atomic_exchange(&st->reserve_there, false)) {
        return false;
    }
    reserve_path(st, path, sizeof(path));
    lp_store_say(st, LP_EVENT_WARN,
                 "the disk is full: the reserve is given up to store what is in memory, or to delete");
    return lp_io_unlink(st->cfg.io, path, NULL) == LP_OK;
}

static void
take_reserve(struct lp_store *st, uint64_t bytes)
{
    char path[4200];
    int fd = -1;
    reserve_path(st, path, sizeof(path));
    lp_rc rc = lp_io_open(st->cfg.io, path, LP_IO_CREATE, &fd, NULL);
    if (rc == LP_ERR_EXISTS) {
        rc = lp_io_open(st->cfg.io, path, LP_IO_WRITE, &fd, NULL);
    }
    if (rc == LP_OK) {
        rc = lp_io_allocate(st->cfg.io, fd, bytes, NULL);
        lp_io_close(st->cfg.io, fd);
    }
    atomic_store(&st->reserve_there, rc == LP_OK);
    if (rc != LP_OK) {
        (void)!lp_io_unlink(st->cfg.io, path, NULL); /* half a reserve is none; the next tick tries again */
    }
}

uint64_t
lp_store_keeps_free(uint64_t disk_total, uint64_t min_free_bytes)
{
    return LP_MIN(disk_total / 20, min_free_bytes);
}

void
lp_store_check_space(struct lp_store *st)
{
    uint64_t free_bytes, total;
    if (lp_io_space(st->cfg.io, st->dir, &free_bytes, &total, NULL) != LP_OK) {
        return; /* keeps what it knew; the calls that write will tell */
    }
    uint64_t need = lp_store_keeps_free(total, st->cfg.min_free_bytes), reserve = reserve_bytes(st, total);
    if (!atomic_load(&st->reserve_there) && reserve > 0 && free_bytes > need + reserve) {
        take_reserve(st, reserve);
        free_bytes -= atomic_load(&st->reserve_there) ? reserve : 0;
    }
    bool full = free_bytes < need || (reserve > 0 && !atomic_load(&st->reserve_there));
    if (full != atomic_exchange(&st->disk_full, full)) {
        lp_store_say(st, full ? LP_EVENT_ERROR : LP_EVENT_INFO,
                     full ? "disk full: intake stops until %llu MiB are free (now %llu)"
                          : "there is space again (%2$llu MiB free, %1$llu needed): intake goes on",
                     (unsigned long long)(need >> 20), (unsigned long long)(free_bytes >> 20));
    }
    lp_metric_set(LP_M_DISK_FULL, full);
    lp_metric_set(LP_M_DISK_FREE, (int64_t)free_bytes);
    lp_lock(&st->mu);
    st->stats.disk_free = free_bytes;
    st->stats.disk_total = total;
    lp_unlock(&st->mu);
}
