/*
 * ledger.h - DATA/ledger: the one append-only file that tells what was done to the store on purpose (FORMAT.md section 6). Runs of retention
 * stand in it; legal holds and deletions have their place.
 *
 * An entry counts once lp_ledger_append has returned LP_OK: it is synced. After a failed write or sync the file is not appended to again: what
 * was synced before is written to a new file, which takes its name. Nothing that was read as good is ever taken away.
 *
 * Threads: all functions may be called from any thread but _open and _free; appends are one at a time (LP_LOCK_LEDGER, held over its I/O).
 */
#ifndef LP_STORE_LEDGER_H
#define LP_STORE_LEDGER_H

#include "base/arena.h"
#include "base/io.h"
#include "store/uuid.h"

#define LP_LEDGER_PAYLOAD_MAX (16u << 20)

struct lp_ledger;

/* Numbers are part of the format. Payloads are JSON objects. */
enum lp_ledger_kind { LP_LEDGER_RETAIN_BEGUN = 1, LP_LEDGER_RETAIN_ENDED = 2 };

struct lp_ledger_entry {
    uint64_t number;
    int64_t time_ns;
    uint16_t kind;
    struct lp_str payload;
};

struct lp_ledger_config {
    const struct lp_io *io;
    const char *dir;             /* of the store; its lost+found/ takes a torn tail */
    const struct lp_uuid *uuids; /* the store's own first, then those it was copied from; borrowed while opening */
    size_t nuuids;
    void (*say)(void *ctx, const char *text); /* damage and torn tails, a sentence each; may be NULL */
    void *ctx;
};

/*
 * Reads the whole file and checks every entry; where there is none it is made by the first append. LP_ERR_CORRUPT: it belongs to another store;
 * LP_ERR_UNSUPPORTED: a later version.
 */
lp_rc lp_ledger_open(const struct lp_ledger_config *cfg, struct lp_ledger **ret, struct lp_err *err) LP_MUST_USE;
/* NULL is fine. */
void lp_ledger_free(struct lp_ledger *l);

/* Writes and syncs an entry. LP_ERR_DISK_FULL, LP_ERR_IO: it does not count, and may be tried again. LP_ERR_LIMIT: too large. */
lp_rc lp_ledger_append(struct lp_ledger *l, enum lp_ledger_kind kind, int64_t time_ns, struct lp_str payload,
                       uint64_t *ret_number, struct lp_err *err) LP_MUST_USE;
/* The newest n entries, oldest of them first; memory from ar. Damaged ones are left out. */
lp_rc lp_ledger_read(struct lp_ledger *l, size_t n, struct lp_arena *ar, struct lp_ledger_entry **ret, size_t *ret_n,
                     struct lp_err *err) LP_MUST_USE;
/* How many good entries it has. */
size_t lp_ledger_count(struct lp_ledger *l);

#endif
