/*
 * store.h - the store as a whole: opening with recovery, the head, the seal, disk space, closing.
 *
 * One process a store (flock on DATA/LOCK). Threads: one seal thread (also the only catalog writer and the clockwork for
 * age, disk space), and the seal workers that compress. Everything public is thread-safe.
 */
#ifndef LP_STORE_STORE_H
#define LP_STORE_STORE_H

#include "store/catalog.h"
#include "store/cutoffs.h"
#include "store/head.h"
#include "store/segment.h"

struct lp_store;
struct lp_maintain;

enum lp_event { LP_EVENT_INFO, LP_EVENT_WARN, LP_EVENT_ERROR };

struct lp_store_config {
    const struct lp_io *io; /* NULL: POSIX */
    const char *dir;
    size_t seal_bytes, largest_bytes;
    int64_t seal_after_ns;
    unsigned seal_workers;
    uint64_t reserve_bytes, min_free_bytes;
    const struct lp_select_ops *select; /* for rules of retention with selectors; NULL: there are none */
    bool compact;              /* merge segments in the background */
    int64_t compact_age_ns;    /* only those that were sealed so long ago */
    int64_t compact_settle_ns; /* a day is closed so long after its end, and after the last rows of it were sealed */
    size_t segment_cache_bytes; /* memory of open segments, of the whole process; 0: LP_KEEP_BUDGET */
    size_t segments_open;       /* most segments kept open; each is a file. At least 64 */
    /* A generation is stored: positions that may be released. On the seal thread, in order. May be NULL. */
    void (*on_stored)(void *ctx, uint64_t generation, const struct lp_foot_ticket *positions, size_t n);
    /* Something worth a line in the server's log. Any thread. May be NULL. */
    void (*on_event)(void *ctx, enum lp_event level, const char *text);
    /* The catalog cannot be trusted any more: the process must end and start again. May be NULL (then it aborts). */
    void (*on_fatal)(void *ctx, const struct lp_err *err);
    void *ctx;
};

/*
 * Opens DIR, making an empty store where there is none. LP_ERR_BUSY: another process has it. LP_ERR_CORRUPT: segments without a catalog, or
 * a last segment that is not what the catalog says; nothing is changed or deleted then.
 * The seal starts at once.
 */
lp_rc lp_store_open(const struct lp_store_config *cfg, struct lp_store **ret, struct lp_err *err) LP_MUST_USE;
/* Sets the callbacks' context once the rest of the server exists; before anything is stored. */
void lp_store_set_callbacks(struct lp_store *st, void (*on_stored)(void *, uint64_t, const struct lp_foot_ticket *, size_t), void *ctx);
/* Seals what is in memory, waiting until deadline_ns (lp_mono_ns clock; 0: does not begin to); stops the threads. LP_ERR_TIMEOUT: some of it is in the log only. */
lp_rc lp_store_stop(struct lp_store *st, int64_t deadline_ns, struct lp_err *err);
void lp_store_free(struct lp_store *st);

struct lp_head *lp_store_head(struct lp_store *st);
struct lp_catalog *lp_store_catalog(struct lp_store *st);
struct lp_ledger *lp_store_ledger(struct lp_store *st);
/* What has expired: a reference (lp_cutoffs_unref), or NULL where nothing ever has. */
struct lp_cutoffs *lp_store_cutoffs(struct lp_store *st);
const struct lp_io *lp_store_io(const struct lp_store *st);
const char *lp_store_dir(const struct lp_store *st);

/* Seals all that is in the head now and waits for it. */
lp_rc lp_store_seal(struct lp_store *st, int64_t deadline_ns, struct lp_err *err) LP_MUST_USE;
/* Changes the age at which generations are sealed. */
void lp_store_set_seal_after(struct lp_store *st, int64_t ns);

/* Whether new records may be taken: LP_OK, LP_ERR_DISK_FULL (with a sentence), LP_ERR_IO (seals keep failing). A cheap atomic read. */
lp_rc lp_store_intake(const struct lp_store *st, struct lp_err *err);

/* These segments will be asked for: what opening them reads is fetched for all of them at once. */
void lp_store_expect_segments(struct lp_store *st, const uint64_t *ids, size_t n);
/* A pinned handle of a segment that the catalog names; lp_seg_unref ends it. Handles are kept for reuse. */
lp_rc lp_store_segment(struct lp_store *st, uint64_t id, struct lp_seg **ret, struct lp_err *err) LP_MUST_USE;
/* Lets go of the kept handle of a segment that is no more; references of running queries keep theirs. */
void lp_store_forget_segment(struct lp_store *st, uint64_t id);
/* Changes the memory that open segments may take. */
void lp_store_set_segment_cache(struct lp_store *st, size_t bytes);

/*
 * Somebody follows what arrives (a tail): for some minutes from now young segments are not merged, because merging forgets which batch a row came
 * with, and by that a tail that was cut off goes on. Any thread.
 */
void lp_store_note_tail(struct lp_store *st);
/* What works on stored segments in the background. */
struct lp_maintain *lp_store_maintain(struct lp_store *st);

struct lp_store_stats {
    uint64_t segments, rows, bytes, file_bytes;
    uint64_t sealed;      /* last generation */
    int64_t last_seal_ns; /* wall clock; 0: none since start */
    uint64_t disk_free, disk_total;
    bool disk_full, seal_failing;
};
void lp_store_stats(struct lp_store *st, struct lp_store_stats *ret);
/* Free bytes below which intake stops and nothing is merged: min_free_bytes, or a twentieth of the disk where that is less. */
uint64_t lp_store_keeps_free(uint64_t disk_total, uint64_t min_free_bytes);

#endif
