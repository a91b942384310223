/*
 * journal_int.h - inside the journal: the format's constants (store/FORMAT.md section 3: change it there first), the object, reading files.
 */
#ifndef LP_INGEST_JOURNAL_INT_H
#define LP_INGEST_JOURNAL_INT_H

#include <stdatomic.h>

#include "base/io.h"
#include "base/lock.h"
#include "ingest/log.h"

#define LP_JNL_MAGIC "LPJRNL01"
#define LP_JNL_VERSION 1
#define LP_JNL_HEADER_BYTES 64
#define LP_JNL_ENTRY_MAGIC 0x454a504cu /* "LPJE" */
#define LP_JNL_ENTRY_BYTES 64
#define LP_JNL_ALIGN 64
#define LP_JNL_PAYLOAD_BYTES_MAX (UINT64_C(512) << 20)
#define LP_JNL_VOID_RANGES_MAX 4096

enum lp_jnl_kind { LP_JNL_REQUEST = 1, LP_JNL_VOID = 2 };

struct lp_jnl_head {
    uint64_t number, durable_before, file_first;
    int64_t received_ns;
    uint32_t envelope_bytes, body_bytes, payload_crc;
    uint16_t kind, decoder;
};

struct lp_jnl_range {
    uint64_t first, next;
};

/* 64 bytes with their CRC. */
void lp_jnl_put_head(const struct lp_jnl_head *h, char out[LP_JNL_ENTRY_BYTES]);
/* False when magic or CRC do not hold or sizes are out of range. */
bool lp_jnl_get_head(const char in[LP_JNL_ENTRY_BYTES], struct lp_jnl_head *ret);
void lp_jnl_put_file_head(const struct lp_uuid *uuid, uint64_t first, int64_t created_ns, char out[LP_JNL_HEADER_BYTES]);
bool lp_jnl_get_file_head(const char in[LP_JNL_HEADER_BYTES], struct lp_uuid *ret_uuid, uint64_t *ret_first);
uint64_t lp_jnl_entry_size(const struct lp_jnl_head *h);
/* The envelope of a request; slices of the parsed push borrow from it. */
void lp_jnl_put_envelope(const struct lp_push *push, struct lp_buf *out);
bool lp_jnl_get_envelope(struct lp_str envelope, struct lp_push *ret);
void lp_jnl_put_void(const struct lp_jnl_range *r, size_t n, struct lp_buf *out);
bool lp_jnl_get_void(struct lp_str envelope, struct lp_jnl_range *ret, size_t *n);

/* --- what a walk over the files finds --- */

enum lp_jnl_find { LP_JNL_ENTRY, LP_JNL_BAD };

struct lp_jnl_item {
    enum lp_jnl_find find;
    uint32_t file;             /* index into the walk's files */
    uint64_t off, bytes;       /* of the entry, or of the bad stretch */
    struct lp_jnl_head head;   /* of an entry */
    uint64_t after, before;    /* BAD: numbers of the good entries around it (before: UINT64_MAX if none follows) */
};

struct lp_jnl_file {
    uint64_t first;
    uint64_t bytes;
    char *path;
};

struct lp_jnl_walk {
    struct lp_jnl_file *files; /* by rising first number */
    size_t nfiles;
    struct lp_jnl_item *items;
    size_t nitems, items_cap;
    struct lp_jnl_range *voids;
    size_t nvoids;
    uint64_t durable; /* the highest durable_before */
    uint64_t highest; /* the highest number of a good entry, or that a bad stretch can hold */
};

/* Reads every file of the folder: good entries, bad stretches, void ranges. Files of stores other than these are refused (LP_ERR_CORRUPT). */
struct lp_jnl_stores {
    const struct lp_uuid *uuids;
    size_t n;
};
lp_rc lp_jnl_walk(const struct lp_io *io, const char *dir, struct lp_jnl_stores stores, struct lp_jnl_walk *ret,
                  struct lp_err *err);
void lp_jnl_walk_clear(struct lp_jnl_walk *w);
bool lp_jnl_is_void(const struct lp_jnl_walk *w, uint64_t number);
/* Whether the bad stretch hurts entries that were acknowledged. */
bool lp_jnl_is_damage(const struct lp_jnl_walk *w, const struct lp_jnl_item *bad);

/* --- the object --- */

struct lp_jnl_entry; /* one append under way */

struct lp_journal {
    struct lp_log log; /* first: the object is used through it */
    const struct lp_io *io;
    char *dir;
    uint64_t file_bytes_max;
    const struct lp_uuid *uuid;
    struct lp_head *head;
    struct lp_source *source;
    atomic_bool ready;

    struct lp_mutex mu; /* LP_LOCK_LOG: what follows */
    struct lp_cond changed;
    bool stopped, leading; /* leading: one appender writes and syncs for all */
    struct lp_jnl_entry *first, *last; /* numbered, not yet taken by a leader */
    uint64_t next_number;
    uint64_t durable; /* every lower number is synced or void */
    struct lp_jnl_file *files; /* oldest first; the last may be open */
    size_t nfiles;
    uint64_t bytes_total;
    struct lp_jnl_range *voids; /* to be named by the next file */
    size_t nvoids;

    /* the leader's alone */
    int fd;
    uint64_t file_first, file_at;
};

/* Replays what the catalog has not; fills next_number, durable, files. Called once, before any append. */
lp_rc lp_journal_replay(struct lp_journal *j, struct lp_err *err);
/* The operation of log.h: identity, room, append. */
void lp_journal_take(struct lp_log *log, const struct lp_push *push, struct lp_batch *b, int64_t deadline_ns, lp_log_done done,
                     void *ctx);
/*
 * Appends a batch and waits until it is durable and visible. Takes over batch and room in every case. LP_ERR_IO: not stored, and never will
 * be.
 */
lp_rc lp_journal_append(struct lp_journal *j, const struct lp_push *push, struct lp_batch *batch, size_t room,
                        struct lp_err *err) LP_MUST_USE;
void lp_journal_say(const struct lp_journal *j, enum lp_event level, const char *fmt, ...) LP_PRINTF(3, 4);
/* Adds a range of numbers that the next file's void entry names. Caller holds mu, or is the only thread. */
void lp_journal_void(struct lp_journal *j, uint64_t first, uint64_t next);
/* Removes files that the position has passed. */
void lp_journal_release(struct lp_journal *j, uint64_t position);

#endif
