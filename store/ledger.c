/*
 * ledger.c - the ledger's file: reading it whole at the start, appending, going on in a new file after a
 * failure. See ledger.h.
 *
 * Invariants: (1) [0, end) is synced and was never written after that; (2) index holds every good entry by
 * rising number and place; (3) after a failure `spoilt` is set, and the next append first copies [0, end) to
 * a new file: pages of a file whose sync failed are not to be trusted.
 */
#include "store/ledger.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/bytes.h"
#include "base/hash.h"
#include "base/lock.h"
#include "store/hooks.h"

#define MAGIC "LPLEDGR1"
#define VERSION 1u
#define HEADER_BYTES 64u
#define ENTRY_MAGIC 0x454c504cu /* "LPLE" */
#define ENTRY_BYTES 48u
#define ALIGN 16u
#define COPY_BYTES (1u << 20)
#define PATH_BYTES 4200

struct place {
    uint64_t number, off;
    uint32_t bytes; /* of the payload */
};

struct lp_ledger {
    const struct lp_io *io;
    char *dir;
    struct lp_uuid uuid;
    void (*say)(void *ctx, const char *text);
    void *ctx;

    struct lp_mutex mu; /* what follows */
    int fd;             /* -1: there is no file yet */
    uint64_t end, last; /* where the next entry goes; the highest number that was ever given */
    bool spoilt;
    struct place *index;
    size_t n, cap;
};

struct head {
    uint64_t number;
    int64_t time_ns;
    uint16_t kind;
    uint32_t bytes, crc;
};

static void
path_of(const struct lp_ledger *l, const char *name, char path[PATH_BYTES])
{
    snprintf(path, PATH_BYTES, "%s/%s", l->dir, name);
}

LP_PRINTF(2, 3) static void say(const struct lp_ledger *l, const char *fmt, ...)
{
    char text[512];
    va_list ap;
    if (l->say != NULL) {
        va_start(ap, fmt);
        vsnprintf(text, sizeof(text), fmt, ap);
        va_end(ap);
        l->say(l->ctx, text);
    }
}

/* --- bytes --- */

static uint64_t
entry_size(uint32_t payload_bytes)
{
    return (ENTRY_BYTES + (uint64_t)payload_bytes + ALIGN - 1) / ALIGN * ALIGN;
}

static void
put_header(const struct lp_uuid *uuid, int64_t now_ns, char out[HEADER_BYTES])
{
    memset(out, 0, HEADER_BYTES);
    memcpy(out, MAGIC, 8);
    lp_put_u16(out + 8, VERSION);
    lp_put_u16(out + 10, HEADER_BYTES);
    memcpy(out + 16, uuid->b, sizeof(uuid->b));
    lp_put_u64(out + 32, (uint64_t)now_ns);
    lp_put_u32(out + 12, lp_crc32c(lp_crc32c(0, out, 12), out + 16, HEADER_BYTES - 16));
}

static void
put_head(const struct head *h, char out[ENTRY_BYTES])
{
    memset(out, 0, ENTRY_BYTES);
    lp_put_u32(out, ENTRY_MAGIC);
    lp_put_u64(out + 8, h->number);
    lp_put_u64(out + 16, (uint64_t)h->time_ns);
    lp_put_u16(out + 24, h->kind);
    lp_put_u32(out + 28, h->bytes);
    lp_put_u32(out + 32, h->crc);
    lp_put_u32(out + 4, lp_crc32c(0, out + 8, ENTRY_BYTES - 8));
}

static bool
get_head(const char in[ENTRY_BYTES], struct head *ret)
{
    if (lp_get_u32(in) != ENTRY_MAGIC || lp_get_u32(in + 4) != lp_crc32c(0, in + 8, ENTRY_BYTES - 8)) {
        return false;
    }
    *ret = (struct head){lp_get_u64(in + 8), (int64_t)lp_get_u64(in + 16), lp_get_u16(in + 24),
                         lp_get_u32(in + 28), lp_get_u32(in + 32)};
    return ret->bytes <= LP_LEDGER_PAYLOAD_MAX && ret->number < UINT64_MAX;
}

static void
note(struct lp_ledger *l, uint64_t number, uint64_t off, uint32_t bytes)
{
    if (l->n == l->cap) {
        l->cap = l->cap ? l->cap * 2 : 64;
        l->index = lp_realloc(l->index, l->cap * sizeof(*l->index));
    }
    l->index[l->n++] = (struct place){number, off, bytes};
    l->last = number;
    l->end = off + entry_size(bytes);
}

/* --- opening --- */

/*
 * Whether a good entry with a higher number than the one before stands at off. A read that fails is no
 * damage: nothing may be cut off because of it.
 */
static lp_rc
entry_at(const struct lp_ledger *l, uint64_t off, uint64_t size, struct lp_buf *payload, struct head *ret,
         bool *ret_good, struct lp_err *err)
{
    char b[ENTRY_BYTES];
    *ret_good = false;
    if (size - off < ENTRY_BYTES) {
        return LP_OK;
    }
    lp_rc rc = lp_io_pread(l->io, l->fd, b, sizeof(b), off, err);
    if (rc != LP_OK || !get_head(b, ret) || ret->number <= l->last || entry_size(ret->bytes) > size - off) {
        return rc;
    }
    lp_buf_reset(payload);
    if (!lp_buf_reserve(payload, ret->bytes)) {
        return lp_err_set(err, LP_ERR_NOMEM, "no memory for the ledger");
    }
    if (ret->bytes > 0) {
        rc = lp_io_pread(l->io, l->fd, payload->p, ret->bytes, off + ENTRY_BYTES, err);
    }
    *ret_good = rc == LP_OK && lp_crc32c(0, payload->p, ret->bytes) == ret->crc;
    return rc;
}

/* What stands at the end and is no entry: kept in lost+found, then cut off. It may hold numbers that were
 * given. */
static lp_rc
cut_tail(struct lp_ledger *l, uint64_t size, struct lp_err *err)
{
    char name[64], path[PATH_BYTES];
    uint64_t n = size - l->end;
    char *bytes = lp_malloc(COPY_BYTES);
    int fd = -1;
    snprintf(name, sizeof(name), "lost+found/ledger.%016llx", (unsigned long long)l->end);
    path_of(l, name, path);
    lp_rc rc = lp_io_open(l->io, path, LP_IO_CREATE, &fd, err);
    if (rc == LP_ERR_EXISTS) { /* of a start that did not come further */
        rc = lp_io_open(l->io, path, LP_IO_WRITE, &fd, err);
    }
    for (uint64_t off = 0; off < n && rc == LP_OK;) {
        size_t part = (size_t)LP_MIN(n - off, (uint64_t)COPY_BYTES);
        rc = lp_io_pread(l->io, l->fd, bytes, part, l->end + off, err);
        rc = rc == LP_OK ? lp_io_pwrite(l->io, fd, bytes, part, off, err) : rc;
        off += part;
    }
    rc = rc == LP_OK ? lp_io_sync(l->io, fd, err) : rc;
    lp_io_close(l->io, fd);
    lp_free(bytes);
    path_of(l, "lost+found", path);
    rc = rc == LP_OK ? lp_io_sync_dir(l->io, path, err) : rc;
    rc = rc == LP_OK ? lp_io_truncate(l->io, l->fd, l->end, err) : rc;
    rc = rc == LP_OK ? lp_io_sync(l->io, l->fd, err) : rc;
    if (rc == LP_OK) {
        say(l,
            "the ledger ended in %llu bytes that are no entry (a crash while one was written): moved to %s",
            (unsigned long long)n, name);
        l->last += n / ENTRY_BYTES + 1;
    }
    return rc;
}

static lp_rc
read_entries(struct lp_ledger *l, uint64_t size, struct lp_err *err)
{
    struct lp_buf payload;
    uint64_t off = HEADER_BYTES, bad_from = UINT64_MAX;
    lp_rc rc = LP_OK;
    lp_buf_init(&payload, LP_LEDGER_PAYLOAD_MAX);
    l->end = HEADER_BYTES;
    while (off < size && rc == LP_OK) {
        struct head h;
        bool good;
        rc = entry_at(l, off, size, &payload, &h, &good, err);
        if (!good) {
            bad_from = LP_MIN(bad_from, off);
            off += ALIGN;
            continue;
        }
        if (bad_from != UINT64_MAX) {
            (void)lp_corrupt(NULL, "ledger");
            say(l, "the ledger is damaged from byte %llu to %llu, before entry %llu: passed over",
                (unsigned long long)bad_from, (unsigned long long)off, (unsigned long long)h.number);
            bad_from = UINT64_MAX;
        }
        note(l, h.number, off, h.bytes);
        off = l->end;
    }
    lp_buf_clear(&payload);
    return rc == LP_OK && size > l->end ? cut_tail(l, size, err) : rc;
}

/* The header's own damage costs nothing: entries have their own checksums. */
static lp_rc
check_header(const struct lp_ledger *l, const struct lp_ledger_config *cfg, struct lp_err *err)
{
    char h[HEADER_BYTES];
    struct lp_uuid uuid;
    lp_rc rc = lp_io_pread(l->io, l->fd, h, sizeof(h), 0, err);
    if (rc != LP_OK) {
        return rc;
    }
    bool good = memcmp(h, MAGIC, 8) == 0 &&
                lp_get_u32(h + 12) == lp_crc32c(lp_crc32c(0, h, 12), h + 16, HEADER_BYTES - 16);
    if (!good) {
        (void)lp_corrupt(NULL, "ledger");
        say(l, "the ledger's header is damaged; its entries are read");
        return LP_OK;
    }
    if (lp_get_u16(h + 8) > VERSION) {
        return lp_err_set(err, LP_ERR_UNSUPPORTED, "the ledger was written by a later version of Logpond");
    }
    memcpy(uuid.b, h + 16, sizeof(uuid.b));
    return lp_uuid_among(cfg->uuids, cfg->nuuids, &uuid)
               ? LP_OK
               : lp_err_set(err, LP_ERR_CORRUPT, "the ledger belongs to another store; nothing was changed");
}

/* A file too short for its header holds nothing; no crash leaves one. */
static lp_rc
set_aside(struct lp_ledger *l, const char *path, struct lp_err *err)
{
    char to[PATH_BYTES];
    path_of(l, "lost+found/ledger.short", to);
    lp_rc rc = lp_io_rename(l->io, path, to, err);
    if (rc == LP_OK) {
        (void)lp_corrupt(NULL, "ledger");
        say(l, "the ledger has lost all its entries: moved to lost+found/ledger.short");
        lp_io_close(l->io, l->fd);
        l->fd = -1;
    }
    return rc;
}

static lp_rc
read_file(struct lp_ledger *l, const struct lp_ledger_config *cfg, struct lp_err *err)
{
    char path[PATH_BYTES];
    uint64_t size = 0;
    path_of(l, "ledger.tmp", path);
    lp_rc rc = lp_io_unlink(l->io, path, err); /* of a crash before it got its name */
    rc = rc == LP_ERR_NOT_FOUND ? LP_OK : rc;
    path_of(l, "ledger", path);
    rc = rc == LP_OK ? lp_io_open(l->io, path, LP_IO_WRITE, &l->fd, err) : rc;
    if (rc == LP_ERR_NOT_FOUND) {
        l->fd = -1;
        return LP_OK;
    }
    rc = rc == LP_OK ? lp_io_size(l->io, l->fd, &size, err) : rc;
    if (rc == LP_OK && size < HEADER_BYTES) {
        return set_aside(l, path, err);
    }
    rc = rc == LP_OK ? check_header(l, cfg, err) : rc;
    return rc == LP_OK ? read_entries(l, size, err) : rc;
}

lp_rc
lp_ledger_open(const struct lp_ledger_config *cfg, struct lp_ledger **ret, struct lp_err *err)
{
    struct lp_ledger *l = lp_calloc(1, sizeof(*l));
    l->io = cfg->io;
    l->dir = lp_strdup(cfg->dir);
    l->uuid = cfg->uuids[0];
    l->say = cfg->say;
    l->ctx = cfg->ctx;
    l->fd = -1;
    lp_mutex_init(&l->mu, LP_LOCK_LEDGER);
    lp_rc rc = read_file(l, cfg, err);
    if (rc != LP_OK) {
        lp_ledger_free(l);
        return rc;
    }
    *ret = l;
    return LP_OK;
}

void
lp_ledger_free(struct lp_ledger *l)
{
    if (l == NULL) {
        return;
    }
    lp_io_close(l->io, l->fd);
    lp_mutex_destroy(&l->mu);
    lp_free(l->index);
    lp_free(l->dir);
    lp_free(l);
}

/* --- appending --- */

static lp_rc
copy_good(const struct lp_ledger *l, int to, struct lp_err *err)
{
    char *bytes = lp_malloc(COPY_BYTES);
    lp_rc rc = LP_OK;
    for (uint64_t off = 0; off < l->end && rc == LP_OK;) {
        size_t part = (size_t)LP_MIN(l->end - off, (uint64_t)COPY_BYTES);
        rc = lp_io_pread(l->io, l->fd, bytes, part, off, err);
        rc = rc == LP_OK ? lp_io_pwrite(l->io, to, bytes, part, off, err) : rc;
        off += part;
    }
    lp_free(bytes);
    return rc;
}

/* A new file under the name: the first one, or a copy of what was synced in one that failed. */
static lp_rc
begin_file(struct lp_ledger *l, int64_t now_ns, struct lp_err *err)
{
    char tmp[PATH_BYTES], path[PATH_BYTES], header[HEADER_BYTES];
    int fd = -1;
    path_of(l, "ledger.tmp", tmp);
    path_of(l, "ledger", path);
    lp_rc rc = lp_io_unlink(l->io, tmp, err);
    rc = rc == LP_ERR_NOT_FOUND ? LP_OK : rc;
    rc = rc == LP_OK ? lp_io_open(l->io, tmp, LP_IO_CREATE, &fd, err) : rc;
    if (rc == LP_OK && l->fd >= 0) {
        rc = copy_good(l, fd, err);
    } else if (rc == LP_OK) {
        put_header(&l->uuid, now_ns, header);
        rc = lp_io_pwrite(l->io, fd, header, sizeof(header), 0, err);
    }
    rc = rc == LP_OK ? lp_io_sync(l->io, fd, err) : rc;
    rc = rc == LP_OK ? lp_io_rename(l->io, tmp, path, err) : rc;
    rc = rc == LP_OK ? lp_io_sync_dir(l->io, l->dir, err) : rc;
    if (rc != LP_OK) {
        lp_io_close(l->io, fd);
        return rc;
    }
    l->end = l->fd >= 0 ? l->end : HEADER_BYTES;
    lp_io_close(l->io, l->fd);
    l->fd = fd;
    l->spoilt = false;
    return LP_OK;
}

static lp_rc
write_entry(struct lp_ledger *l, const struct head *h, struct lp_str payload, struct lp_err *err)
{
    char head[ENTRY_BYTES], pad[ALIGN] = {0};
    put_head(h, head);
    struct iovec iov[3] = {
        {head, sizeof(head)},
        {(void *)(uintptr_t)payload.p, payload.n},
        {pad, (size_t)(entry_size(h->bytes) - ENTRY_BYTES) - payload.n},
    };
    lp_rc rc = lp_io_pwritev(l->io, l->fd, iov, 3, l->end, err);
    lp_hook("ledger");
    return rc == LP_OK ? lp_io_sync(l->io, l->fd, err) : rc;
}

static lp_rc
append(struct lp_ledger *l, const struct head *h, struct lp_str payload, struct lp_err *err)
{
    lp_rc rc = LP_OK;
    if (l->fd < 0 || l->spoilt) {
        rc = begin_file(l, h->time_ns, err);
    }
    if (rc == LP_OK) {
        rc = write_entry(l, h, payload, err);
        l->spoilt = rc != LP_OK;
        if (l->spoilt) { /* it did not count: as far as possible it does not come back after a crash either */
            (void)!lp_io_truncate(l->io, l->fd, l->end, NULL);
        }
    }
    if (rc == LP_OK) {
        note(l, h->number, l->end, h->bytes);
    }
    return rc;
}

lp_rc
lp_ledger_append(struct lp_ledger *l, enum lp_ledger_kind kind, int64_t time_ns, struct lp_str payload,
                 uint64_t *ret_number, struct lp_err *err)
{
    if (payload.n > LP_LEDGER_PAYLOAD_MAX) {
        return lp_err_set(err, LP_ERR_LIMIT, "an entry of the ledger may have %u bytes",
                          LP_LEDGER_PAYLOAD_MAX);
    }
    lp_lock(&l->mu);
    struct head h = {++l->last, time_ns, (uint16_t)kind, (uint32_t)payload.n,
                     lp_crc32c(0, payload.p, payload.n)};
    lp_rc rc = append(l, &h, payload, err);
    lp_unlock(&l->mu);
    if (rc == LP_OK) {
        *ret_number = h.number;
    }
    return rc == LP_OK ? rc : lp_err_prefix(err, rc, "ledger");
}

/* --- reading --- */

/* LP_ERR_CORRUPT when the entry is no longer what it was. */
static lp_rc
read_one(struct lp_ledger *l, const struct place *p, struct lp_arena *ar, struct lp_ledger_entry *ret,
         struct lp_err *err)
{
    char b[ENTRY_BYTES];
    struct head h;
    lp_rc rc = lp_io_pread(l->io, l->fd, b, sizeof(b), p->off, err);
    char *payload = lp_arena_bytes(ar, p->bytes + 1);
    if (payload == NULL) {
        return lp_err_set(err, LP_ERR_LIMIT,
                          "these entries of the ledger need too much memory; ask for fewer");
    }
    if (rc == LP_OK && p->bytes > 0) {
        rc = lp_io_pread(l->io, l->fd, payload, p->bytes, p->off + ENTRY_BYTES, err);
    }
    if (rc == LP_OK && (!get_head(b, &h) || h.number != p->number || h.bytes != p->bytes ||
                        lp_crc32c(0, payload, p->bytes) != h.crc)) {
        rc = lp_corrupt(err, "entry %llu of the ledger is damaged", (unsigned long long)p->number);
    }
    if (rc == LP_OK) {
        *ret = (struct lp_ledger_entry){h.number, h.time_ns, h.kind, lp_str_of(payload, p->bytes)};
    }
    return rc;
}

lp_rc
lp_ledger_read(struct lp_ledger *l, size_t n, struct lp_arena *ar, struct lp_ledger_entry **ret,
               size_t *ret_n, struct lp_err *err)
{
    lp_lock(&l->mu);
    size_t most = LP_MIN(n, l->n), got = 0;
    struct lp_ledger_entry *out = lp_arena_array(ar, most, sizeof(*out));
    lp_rc rc = out != NULL ? LP_OK : lp_err_set(err, LP_ERR_LIMIT, "too many entries at once");
    for (size_t i = l->n - most; i < l->n && rc == LP_OK; i++) {
        rc = read_one(l, &l->index[i], ar, &out[got], err);
        got += rc == LP_OK;
        rc = rc == LP_ERR_CORRUPT ? LP_OK : rc; /* reported; the others are read */
    }
    lp_unlock(&l->mu);
    if (rc == LP_OK) {
        *ret = out;
        *ret_n = got;
    }
    return rc;
}

size_t
lp_ledger_count(struct lp_ledger *l)
{
    lp_lock(&l->mu);
    size_t n = l->n;
    lp_unlock(&l->mu);
    return n;
}
