/*
 * journal_replay.c - start-up: what the journal has and the catalog has not goes through the same decoders,
 * the same identity rule and the same tickets as when it came, so that it is stored exactly as it would have
 * been.
 *
 * First every file is synced: after a mere kill the page cache may hold entries that the disk does not, and
 * from now on a retry of theirs would be answered as stored. A bad stretch that hurts acknowledged entries
 * goes to the quarantine as raw bytes; one that does not (a torn tail) is copied to lost+found/ and its
 * numbers become void. Runs on one thread before anything is appended.
 */
#include <stdio.h>
#include <string.h>

#include "base/metrics.h"
#include "ingest/journal_int.h"
#include "store/hooks.h"

#define QUARANTINE_PIECE_BYTES (1u << 20)

struct replay {
    struct lp_journal *j;
    struct lp_jnl_walk w;
    struct lp_decoder *decoder;
    struct lp_buf buf;
    uint64_t position;
    size_t entries, duplicates, damaged;
};

/* --- one entry --- */

static lp_rc
read_bytes(struct replay *r, const struct lp_jnl_item *it, uint64_t off, uint64_t n, struct lp_err *err)
{
    int fd = -1;
    lp_buf_reset(&r->buf);
    if (!lp_buf_reserve(&r->buf, (size_t)n + LP_BUF_PAD)) {
        return lp_err_set(err, LP_ERR_LIMIT, "journal entry of %llu bytes", (unsigned long long)n);
    }
    lp_rc rc = lp_io_open(r->j->io, r->w.files[it->file].path, LP_IO_READ, &fd, err);
    if (rc == LP_OK) {
        rc = lp_io_pread(r->j->io, fd, r->buf.p, (size_t)n, off, err);
        r->buf.n = (size_t)n;
    }
    lp_io_close(r->j->io, fd);
    return rc;
}

/* A batch of raw bytes, where decoding was not possible. */
static struct lp_batch *
quarantine(struct replay *r, struct lp_str raw, int64_t received_ns, const char *reason, const char *place)
{
    struct lp_batch *b = lp_batch_new(LP_STR_NULL, SIZE_MAX, raw.n + 1024);
    LP_ASSERT(b != NULL);
    b->received_ns = received_ns;
    for (size_t at = 0; at < raw.n || at == 0; at += QUARANTINE_PIECE_BYTES) {
        /* without a budget an arena only fails when the system has no memory; then the process cannot go on
         * anyway */
        lp_rc rc = lp_batch_quarantine(b, LP_STR("journal"), lp_str_sub(raw, at, at + QUARANTINE_PIECE_BYTES),
                                       lp_str_c(reason), lp_str_c(place), NULL);
        LP_ASSERT(rc == LP_OK);
    }
    return b;
}

/* Gives the batch its room and its ticket for [first, next), and lets it enter. */
static lp_rc
enter(struct replay *r, struct lp_batch *b, uint64_t first, uint64_t next, struct lp_err *err)
{
    size_t room = lp_batch_room(b);
    lp_rc rc = lp_head_room(r->j->head, room, INT64_MAX, err);
    if (rc != LP_OK) {
        lp_batch_free(b);
        return rc;
    }
    struct lp_ticket *t = lp_head_ticket(r->j->head, r->j->source, first, next, 0, room);
    lp_head_end(r->j->head, t, LP_STORED, b);
    return LP_OK;
}

/* A number whose batch is there already only moves the position. */
static void
skip(struct replay *r, uint64_t number)
{
    lp_head_end(r->j->head, lp_head_ticket(r->j->head, r->j->source, number, number + 1, 0, 0), LP_DUPLICATE,
                NULL);
    r->duplicates++;
}

static lp_rc
identify_and_enter(struct replay *r, const struct lp_push *push, struct lp_batch *b, uint64_t number,
                   struct lp_err *err)
{
    struct lp_batch_id id;
    enum lp_ids_answer answer = LP_IDS_NEW;
    bool has_identity = lp_ids_identify(push, b, &id) && lp_batch_note_id(b, &id);
    if (has_identity && lp_ids_known_before(r->j->log.env.ids, push, b)) {
        answer = LP_IDS_DUPLICATE;
    } else if (has_identity) {
        lp_rc rc = lp_ids_begin(r->j->log.env.ids, &id, INT64_MAX, &answer, err);
        if (rc != LP_OK) {
            lp_batch_free(b);
            return rc;
        }
    }
    if (answer != LP_IDS_NEW) {
        lp_batch_free(b);
        skip(r, number);
        return LP_OK;
    }
    lp_rc rc = enter(r, b, number, number + 1, err);
    if (has_identity) {
        lp_ids_end(r->j->log.env.ids, &id, rc == LP_OK);
    }
    return rc;
}

static lp_rc
replay_entry(struct replay *r, const struct lp_jnl_item *it, struct lp_err *err)
{
    struct lp_push push;
    struct lp_batch *b = NULL;
    struct lp_err why;
    char place[128];
    uint64_t n = (uint64_t)it->head.envelope_bytes + it->head.body_bytes;
    lp_hook("replay");
    lp_rc rc = read_bytes(r, it, it->off + LP_JNL_ENTRY_BYTES, n, err);
    if (rc != LP_OK) {
        return rc;
    }
    snprintf(place, sizeof(place), "journal entry %llu", (unsigned long long)it->head.number);
    lp_err_clear(&why);
    struct lp_str body = lp_str_sub(lp_buf_view(&r->buf), it->head.envelope_bytes, (size_t)n);
    bool known = lp_jnl_get_envelope(lp_str_sub(lp_buf_view(&r->buf), 0, it->head.envelope_bytes), &push);
    if (known) {
        push.body = body;
        push.received_ns = it->head.received_ns;
        /* limits may have been lowered since: what was taken once is taken again */
        struct lp_decode_limits lim = {SIZE_MAX, SIZE_MAX};
        known = lp_decode_push(r->decoder, &push, &lim, &b, &why) == LP_OK;
    }
    r->entries++;
    lp_metric_add(LP_M_JOURNAL_REPLAYED, 1);
    if (!known) {
        lp_journal_say(r->j, LP_EVENT_ERROR, "%s cannot be decoded any more (%s): it goes to the quarantine",
                       place, why.text);
        b = quarantine(r, body, it->head.received_ns, why.text, place);
        return enter(r, b, it->head.number, it->head.number + 1, err);
    }
    return identify_and_enter(r, &push, b, it->head.number, err);
}

/* --- bad stretches --- */

/* The bytes in r->buf as a file of their own; half a file is not left behind. */
static lp_rc
write_tail(struct replay *r, const char *path, struct lp_err *err)
{
    int fd = -1;
    lp_rc rc = lp_io_open(r->j->io, path, LP_IO_CREATE, &fd, err);
    if (rc == LP_ERR_EXISTS) { /* kept by an earlier start */
        return LP_OK;
    }
    if (rc != LP_OK) {
        return rc;
    }
    rc = lp_io_pwrite(r->j->io, fd, r->buf.p, r->buf.n, 0, err);
    if (rc == LP_OK) {
        rc = lp_io_sync(r->j->io, fd, err);
    }
    lp_io_close(r->j->io, fd);
    if (rc != LP_OK) {
        (void)!lp_io_unlink(r->j->io, path, NULL);
    }
    return rc;
}

/* Keeps a torn tail for whoever wants to look. Nobody was promised it, so a full disk does not stop the
 * start. */
static lp_rc
keep_tail(struct replay *r, const struct lp_jnl_item *it, struct lp_err *err)
{
    char path[4200];
    snprintf(path, sizeof(path), "%s/lost+found/journal-%016llx-at-%llu", lp_store_dir(r->j->log.env.store),
             (unsigned long long)r->w.files[it->file].first, (unsigned long long)it->off);
    lp_rc rc = read_bytes(r, it, it->off, it->bytes, err);
    if (rc == LP_OK) {
        rc = write_tail(r, path, err);
    }
    bool full = rc == LP_ERR_DISK_FULL;
    if (rc != LP_OK && !full) {
        return rc;
    }
    lp_journal_say(
        r->j, LP_EVENT_WARN, "journal: %llu bytes at the end were never acknowledged (torn by a crash); %s%s",
        (unsigned long long)it->bytes, full ? "dropped, as the disk is full" : "kept as ", full ? "" : path);
    return LP_OK;
}

static lp_rc
quarantine_stretch(struct replay *r, const struct lp_jnl_item *it, struct lp_err *err)
{
    char place[160];
    uint64_t next = LP_MIN(it->before, r->w.durable);
    snprintf(place, sizeof(place), "journal file %016llx, offset %llu, %llu bytes",
             (unsigned long long)r->w.files[it->file].first, (unsigned long long)it->off,
             (unsigned long long)it->bytes);
    lp_journal_say(r->j, LP_EVENT_ERROR,
                   "journal damaged: %s; its bytes go to the quarantine, the rest is replayed", place);
    lp_metric_add(LP_M_JOURNAL_DAMAGED, 1);
    r->damaged++;
    lp_rc rc = read_bytes(r, it, it->off, it->bytes, err);
    if (rc != LP_OK) {
        return rc;
    }
    uint64_t first = LP_MAX(it->after + 1, r->position);
    return enter(r, quarantine(r, lp_buf_view(&r->buf), lp_now_ns(), "damaged journal entry", place), first,
                 LP_MAX(first, next), err);
}

static lp_rc
replay_bad(struct replay *r, const struct lp_jnl_item *it, struct lp_err *err)
{
    if (it->before <= r->position || lp_jnl_is_void(&r->w, it->after + 1)) {
        return LP_OK; /* stored meanwhile, or known since an earlier start */
    }
    if (lp_jnl_is_damage(&r->w, it)) {
        return quarantine_stretch(r, it, err);
    }
    lp_rc rc = keep_tail(r, it, err);
    if (rc == LP_OK) {
        lp_journal_void(r->j, it->after + 1, LP_MIN(it->before, r->j->next_number));
    }
    return rc;
}

/* --- all of it --- */

static lp_rc
sync_files(struct replay *r, struct lp_err *err)
{
    lp_rc rc = LP_OK;
    for (size_t i = 0; i < r->w.nfiles && rc == LP_OK; i++) {
        int fd = -1;
        rc = lp_io_open(r->j->io, r->w.files[i].path, LP_IO_WRITE, &fd, err);
        if (rc == LP_OK) {
            rc = lp_io_sync(r->j->io, fd, err);
        }
        lp_io_close(r->j->io, fd);
    }
    return rc == LP_OK ? lp_io_sync_dir(r->j->io, r->j->dir, err) : rc;
}

static lp_rc
read_position(struct replay *r, struct lp_err *err)
{
    struct lp_cat_txn *t;
    struct lp_cat_place at;
    lp_rc rc = lp_cat_begin(lp_store_catalog(r->j->log.env.store), &t, err);
    if (rc != LP_OK) {
        return rc;
    }
    rc = lp_cat_position(t, r->j->source->log, 0, &at, err);
    lp_cat_end(t);
    if (rc == LP_OK) {
        r->position = at.next;
    }
    return rc == LP_ERR_NOT_FOUND ? LP_OK : rc;
}

static void
adopt_files(struct replay *r)
{
    struct lp_journal *j = r->j;
    j->files = lp_calloc(r->w.nfiles, sizeof(*j->files));
    for (size_t i = 0; i < r->w.nfiles; i++) {
        j->files[j->nfiles] = r->w.files[i];
        j->files[j->nfiles++].path = lp_strdup(r->w.files[i].path);
        j->bytes_total += r->w.files[i].bytes;
    }
    lp_metric_set(LP_M_JOURNAL_FILES, (int64_t)j->nfiles);
}

static lp_rc
replay_items(struct replay *r, struct lp_err *err)
{
    lp_rc rc = LP_OK;
    for (size_t i = 0; i < r->w.nitems && rc == LP_OK; i++) {
        const struct lp_jnl_item *it = &r->w.items[i];
        if (it->find == LP_JNL_BAD) {
            rc = replay_bad(r, it, err);
        } else if (it->head.kind == LP_JNL_REQUEST && it->head.number >= r->position &&
                   !lp_jnl_is_void(&r->w, it->head.number)) {
            rc = replay_entry(r, it, err);
        }
    }
    return rc;
}

lp_rc
lp_journal_replay(struct lp_journal *j, struct lp_err *err)
{
    struct replay r = {.j = j};
    struct lp_jnl_stores stores;
    stores.uuids = lp_catalog_uuids(lp_store_catalog(j->log.env.store), &stores.n);
    int64_t start_ns = lp_mono_ns();
    lp_rc rc = read_position(&r, err);
    rc = rc == LP_OK ? lp_jnl_walk(j->io, j->dir, stores, &r.w, err) : rc;
    if (rc != LP_OK) {
        return rc;
    }
    lp_buf_init(&r.buf, SIZE_MAX);
    r.decoder = lp_decoder_new();
    j->next_number = LP_MAX(LP_MAX(r.position, r.w.highest + 1), r.w.durable);
    j->next_number = LP_MAX(j->next_number, UINT64_C(1));
    adopt_files(&r);
    rc = sync_files(&r, err);
    rc = rc == LP_OK ? replay_items(&r, err) : rc;
    j->durable = j->next_number;
    if (rc == LP_OK) {
        lp_journal_release(j, r.position);
    }
    if (rc == LP_OK && r.entries > 0) {
        lp_journal_say(j, LP_EVENT_INFO, "journal: %zu entries replayed in %.1f s (%zu were stored already)",
                       r.entries, (double)(lp_mono_ns() - start_ns) / 1e9, r.duplicates);
    }
    lp_decoder_free(r.decoder);
    lp_buf_clear(&r.buf);
    lp_jnl_walk_clear(&r.w);
    return rc;
}
