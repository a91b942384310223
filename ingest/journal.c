/*
 * journal.c - the embedded journal: appending with group sync, files and their release.
 *
 * Invariants:
 *   1. A number is given together with its ticket, under mu, so tickets of the journal are in number order.
 *   2. One leader at a time writes and syncs a group for all who wait; an appender whose entry is not done
 * and that finds no leader becomes it. Only the leader touches fd, file_first and file_at.
 *   3. `durable` rises only after a sync that returned success. Rows enter the head after that, so nothing is
 * visible or acknowledged that a crash could take back.
 *   4. After a failed write or sync the file is never touched again. Every number given so far that is not
 * durable fails (503), and the next file begins with a synced void entry that names them. Crash argument: see
 * FORMAT.md section 3; replay is journal_replay.c.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/bytes.h"
#include "base/hash.h"
#include "base/metrics.h"
#include "ingest/journal_int.h"
#include "store/hooks.h"

#define GROUP_ENTRIES_MAX 256
#define GROUP_BYTES_MAX (64u << 20)

struct lp_jnl_entry {
    struct lp_jnl_entry *next;
    uint64_t number;
    const struct lp_push *push;
    struct lp_buf envelope;
    uint32_t payload_crc;
    struct lp_ticket *ticket;
    struct lp_batch *batch;
    char head[LP_JNL_ENTRY_BYTES];
    bool done;
    lp_rc rc;
    struct lp_err err;
};

void
lp_journal_say(const struct lp_journal *j, enum lp_event level, const char *fmt, ...)
{
    char text[1024];
    va_list ap;
    if (j->log.env.on_event == NULL) {
        return;
    }
    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    j->log.env.on_event(j->log.env.ctx, level, text);
}

void
lp_journal_void(struct lp_journal *j, uint64_t first, uint64_t next)
{
    if (first >= next) {
        return;
    }
    if (j->nvoids > 0 && first <= j->voids[j->nvoids - 1].next) { /* ranges come rising: join neighbours */
        j->voids[j->nvoids - 1].next = LP_MAX(next, j->voids[j->nvoids - 1].next);
        return;
    }
    if (j->nvoids == LP_JNL_VOID_RANGES_MAX) { /* nothing between them can be durable either: widen */
        j->voids[j->nvoids - 1].next = next;
        return;
    }
    j->voids = lp_realloc(j->voids, (j->nvoids + 1) * sizeof(*j->voids));
    j->voids[j->nvoids++] = (struct lp_jnl_range){first, next};
}

/* --- files --- */

static void
add_file(struct lp_journal *j, uint64_t first, const char *path)
{
    lp_lock(&j->mu);
    j->files = lp_realloc(j->files, (j->nfiles + 1) * sizeof(*j->files));
    j->files[j->nfiles++] = (struct lp_jnl_file){first, LP_JNL_HEADER_BYTES, lp_strdup(path)};
    lp_metric_set(LP_M_JOURNAL_FILES, (int64_t)j->nfiles);
    lp_unlock(&j->mu);
}

void
lp_journal_release(struct lp_journal *j, uint64_t position)
{
    for (;;) {
        char *path = NULL;
        lp_lock(&j->mu);
        if (j->nfiles >= 2 && j->files[1].first <= position) {
            path = j->files[0].path;
            j->bytes_total -= j->files[0].bytes;
            memmove(j->files, j->files + 1, --j->nfiles * sizeof(*j->files));
            lp_metric_set(LP_M_JOURNAL_FILES, (int64_t)j->nfiles);
        }
        lp_unlock(&j->mu);
        if (path == NULL) {
            return;
        }
        struct lp_err err;
        if (lp_io_unlink(j->io, path, &err) != LP_OK) {
            lp_journal_say(j, LP_EVENT_WARN, "a journal file that is stored could not be removed: %s",
                           err.text);
        }
        lp_free(path);
    }
}

static lp_rc
write_void(struct lp_journal *j, uint64_t number, const struct lp_jnl_range *voids, size_t n,
           struct lp_err *err)
{
    struct lp_buf env, out;
    char head[LP_JNL_ENTRY_BYTES];
    lp_buf_init(&env, SIZE_MAX);
    lp_buf_init(&out, SIZE_MAX);
    lp_jnl_put_void(voids, n, &env);
    struct lp_jnl_head h = {.number = number,
                            .durable_before = number,
                            .file_first = j->file_first,
                            .received_ns = lp_now_ns(),
                            .envelope_bytes = (uint32_t)env.n,
                            .payload_crc = lp_crc32c(0, env.p, env.n),
                            .kind = LP_JNL_VOID,
                            .decoder = LP_DECODER_VERSION};
    lp_jnl_put_head(&h, head);
    lp_buf_add(&out, head, sizeof(head));
    lp_buf_str(&out, lp_buf_view(&env));
    while (out.n % LP_JNL_ALIGN != 0) {
        lp_buf_byte(&out, 0);
    }
    lp_rc rc = lp_io_pwrite(j->io, j->fd, out.p, out.n, j->file_at, err);
    j->file_at += out.n;
    lp_buf_clear(&env);
    lp_buf_clear(&out);
    return rc;
}

/* Header, void entry where one is due, sync, folder sync: only then the file is in use. */
static lp_rc
fill_new_file(struct lp_journal *j, uint64_t first, const struct lp_jnl_range *voids, size_t nvoids,
              struct lp_err *err)
{
    char head[LP_JNL_HEADER_BYTES];
    lp_jnl_put_file_head(j->uuid, first, lp_now_ns(), head);
    j->file_first = first;
    j->file_at = sizeof(head);
    lp_rc rc = lp_io_pwrite(j->io, j->fd, head, sizeof(head), 0, err);
    if (rc == LP_OK && nvoids > 0) {
        rc = write_void(j, first, voids, nvoids, err);
    }
    if (rc == LP_OK) {
        rc = lp_io_sync(j->io, j->fd, err);
    }
    return rc == LP_OK ? lp_io_sync_dir(j->io, j->dir, err) : rc;
}

static void
drop_file(struct lp_journal *j)
{
    lp_io_close(j->io, j->fd);
    j->fd = -1;
}

/* Begins a new file whose first number is `first` (that of the void entry, or of the group's first entry). */
static lp_rc
new_file(struct lp_journal *j, uint64_t first, const struct lp_jnl_range *voids, size_t nvoids,
         struct lp_err *err)
{
    char path[4200];
    snprintf(path, sizeof(path), "%s/%016llx.jnl", j->dir, (unsigned long long)first);
    drop_file(j);
    lp_rc rc = lp_io_open(j->io, path, LP_IO_CREATE, &j->fd, err);
    if (rc == LP_OK) {
        rc = fill_new_file(j, first, voids, nvoids, err);
        if (rc != LP_OK) {
            drop_file(j);
            (void)!lp_io_unlink(j->io, path, NULL); /* holds nothing that counts */
        }
    }
    if (rc == LP_OK) {
        add_file(j, first, path);
    }
    return rc;
}

/* --- the leader --- */

struct group {
    struct lp_jnl_entry *first;
    size_t n;
    uint64_t bytes;
    uint64_t next; /* behind its last number */
};

/* Takes what waits, up to the limits of one group. Caller holds mu. */
static struct group
take_group(struct lp_journal *j)
{
    struct group g = {.first = j->first};
    struct lp_jnl_entry *e = j->first, *last = NULL;
    while (e != NULL && g.n < GROUP_ENTRIES_MAX && (g.n == 0 || g.bytes < GROUP_BYTES_MAX)) {
        g.n++;
        g.bytes += e->push->body.n;
        g.next = e->number + 1;
        last = e;
        e = e->next;
    }
    j->first = e;
    j->last = e == NULL ? NULL : j->last;
    last->next = NULL;
    return g;
}

static size_t
entry_iov(struct lp_journal *j, struct lp_jnl_entry *e, uint64_t durable, struct iovec *iov,
          uint64_t *ret_bytes)
{
    static const char zeros[LP_JNL_ALIGN];
    struct lp_jnl_head h = {.number = e->number,
                            .durable_before = durable,
                            .file_first = j->file_first,
                            .received_ns = e->push->received_ns,
                            .envelope_bytes = (uint32_t)e->envelope.n,
                            .body_bytes = (uint32_t)e->push->body.n,
                            .payload_crc = e->payload_crc,
                            .kind = LP_JNL_REQUEST,
                            .decoder = LP_DECODER_VERSION};
    lp_jnl_put_head(&h, e->head);
    uint64_t size = lp_jnl_entry_size(&h);
    size_t pad = (size_t)(size - LP_JNL_ENTRY_BYTES - e->envelope.n - e->push->body.n);
    iov[0] = (struct iovec){e->head, LP_JNL_ENTRY_BYTES};
    iov[1] = (struct iovec){e->envelope.p, e->envelope.n};
    iov[2] = (struct iovec){(void *)(uintptr_t)e->push->body.p, e->push->body.n};
    iov[3] = (struct iovec){(void *)(uintptr_t)zeros, pad};
    *ret_bytes += size;
    return 4;
}

static lp_rc
write_group(struct lp_journal *j, const struct group *g, uint64_t durable, struct lp_err *err)
{
    struct iovec iov[GROUP_ENTRIES_MAX * 4];
    size_t n = 0;
    uint64_t bytes = 0;
    for (struct lp_jnl_entry *e = g->first; e != NULL; e = e->next) {
        n += entry_iov(j, e, durable, iov + n, &bytes);
    }
    lp_hook("append");
    lp_rc rc = lp_io_pwritev(j->io, j->fd, iov, (int)n, j->file_at, err);
    if (rc == LP_OK) {
        j->file_at += bytes;
        int64_t start_ns = lp_mono_ns();
        lp_hook("sync");
        rc = lp_io_sync(j->io, j->fd, err);
        lp_metric_observe(LP_M_JOURNAL_SYNC, lp_mono_ns() - start_ns);
    }
    if (rc == LP_OK) {
        lp_metric_add(LP_M_JOURNAL_ENTRIES, (int64_t)g->n);
        lp_metric_add(LP_M_JOURNAL_BYTES, (int64_t)bytes);
        lp_lock(&j->mu);
        j->files[j->nfiles - 1].bytes += bytes;
        j->bytes_total += bytes;
        lp_unlock(&j->mu);
    }
    return rc;
}

/* A file for the group: the open one, or a new one when it is full or gone. */
static lp_rc
have_file(struct lp_journal *j, const struct group *g, struct lp_err *err)
{
    if (j->fd >= 0 && j->file_at < j->file_bytes_max) {
        return LP_OK;
    }
    return new_file(j, g->first->number, NULL, 0, err);
}

/* Writes the void entry that is due, in a file of its own number. Caller is the leader, without mu. */
static lp_rc
settle_voids(struct lp_journal *j, struct lp_err *err)
{
    lp_lock(&j->mu);
    size_t n = j->nvoids;
    uint64_t number = j->next_number;
    struct lp_jnl_range *voids = lp_malloc((n + 1) * sizeof(*voids));
    memcpy(voids, j->voids, n * sizeof(*voids));
    j->next_number += n > 0;
    lp_unlock(&j->mu);
    lp_rc rc = n > 0 ? new_file(j, number, voids, n, err) : LP_OK;
    lp_free(voids);
    lp_lock(&j->mu);
    if (rc == LP_OK && n > 0) {
        j->nvoids = 0;
        j->durable = number + 1;
    } else if (rc != LP_OK) {
        lp_journal_void(j, number, number + 1);
    }
    lp_unlock(&j->mu);
    return rc;
}

/* Ends the group's entries: rows enter in number order, and those who wait are told. */
static void
end_group(struct lp_journal *j, const struct group *g, lp_rc rc, const struct lp_err *err)
{
    lp_hook("head");
    for (struct lp_jnl_entry *e = g->first; e != NULL; e = e->next) {
        lp_head_end(j->head, e->ticket, rc == LP_OK ? LP_STORED : LP_FAILED, rc == LP_OK ? e->batch : NULL);
        if (rc != LP_OK) {
            lp_batch_free(e->batch);
        }
        e->batch = NULL;
        e->err = *err;
        e->rc = rc;
    }
    lp_lock(&j->mu);
    for (struct lp_jnl_entry *e = g->first, *next; e != NULL; e = next) {
        next = e->next; /* once done, e belongs to its appender again */
        e->done = true;
    }
    lp_unlock(&j->mu);
}

/* After a failure: nothing numbered so far can follow in the broken file, so all of it fails and becomes
 * void. */
static void
fail_all(struct lp_journal *j, struct group *g, struct lp_err *err)
{
    struct group rest = {.n = 0};
    lp_metric_add(LP_M_JOURNAL_SYNC_FAILED, 1);
    drop_file(j);
    lp_lock(&j->mu);
    lp_journal_void(j, g->first->number, j->next_number);
    if (j->first != NULL) {
        rest.first = j->first;
        j->first = j->last = NULL;
    }
    lp_unlock(&j->mu);
    lp_journal_say(j, LP_EVENT_ERROR, "journal: %s; what waited for it is refused, a new file begins",
                   err->text);
    end_group(j, g, err->rc, err);
    if (rest.first != NULL) {
        end_group(j, &rest, err->rc, err);
    }
}

/* One round of the leader. Called with mu held, returns with it held. */
static void
lead(struct lp_journal *j)
{
    struct lp_err err;
    struct group g = take_group(j);
    uint64_t durable = j->durable;
    bool voids_due = j->nvoids > 0;
    j->leading = true;
    lp_unlock(&j->mu);
    lp_err_clear(&err);
    /* numbers of the group lie behind what is void, and the void entry takes one behind them: it must come
     * first */
    LP_ASSERT(!voids_due);
    lp_rc rc = have_file(j, &g, &err);
    if (rc == LP_OK) {
        rc = write_group(j, &g, durable, &err);
    }
    if (rc == LP_OK) {
        lp_lock(&j->mu);
        j->durable = LP_MAX(j->durable, g.next);
        lp_unlock(&j->mu);
        end_group(j, &g, LP_OK, &err);
    } else {
        fail_all(j, &g, &err);
    }
    lp_lock(&j->mu);
    j->leading = false;
    lp_cond_broadcast(&j->changed);
}

/* --- appending --- */

/* A void entry that is due is written before any new number is given. Called with mu held. */
static lp_rc
settle(struct lp_journal *j, struct lp_err *err)
{
    lp_rc rc = LP_OK;
    while (j->nvoids > 0 && rc == LP_OK && !j->stopped) {
        if (j->leading || j->first != NULL) {
            lp_cond_wait(&j->changed, &j->mu);
            continue;
        }
        j->leading = true;
        lp_unlock(&j->mu);
        rc = settle_voids(j, err);
        lp_lock(&j->mu);
        j->leading = false;
        lp_cond_broadcast(&j->changed);
    }
    return rc;
}

static lp_rc
enqueue(struct lp_journal *j, struct lp_jnl_entry *e, size_t room, struct lp_err *err)
{
    lp_rc rc = settle(j, err);
    if (rc == LP_OK && j->stopped) {
        rc = lp_err_set(err, LP_ERR_SHUTDOWN, "the server is stopping");
    }
    if (rc != LP_OK) {
        return rc;
    }
    e->number = j->next_number++;
    e->ticket = lp_head_ticket(j->head, j->source, e->number, e->number + 1, 0, room);
    if (j->last != NULL) {
        j->last->next = e;
    } else {
        j->first = e;
    }
    j->last = e;
    return LP_OK;
}

lp_rc
lp_journal_append(struct lp_journal *j, const struct lp_push *push, struct lp_batch *batch, size_t room,
                  struct lp_err *err)
{
    struct lp_jnl_entry e = {.push = push, .batch = batch};
    lp_buf_init(&e.envelope, SIZE_MAX);
    lp_jnl_put_envelope(push, &e.envelope);
    e.payload_crc = lp_crc32c(lp_crc32c(0, e.envelope.p, e.envelope.n), push->body.p, push->body.n);
    lp_lock(&j->mu);
    lp_rc rc = enqueue(j, &e, room, err);
    bool queued = rc == LP_OK;
    while (queued && !e.done) {
        if (!j->leading && j->first != NULL && j->nvoids == 0) {
            lead(j);
        } else {
            lp_cond_wait(&j->changed, &j->mu);
        }
    }
    lp_unlock(&j->mu);
    lp_buf_clear(&e.envelope);
    if (!queued) {
        lp_head_unroom(j->head, room);
        lp_batch_free(batch);
        return rc;
    }
    if (e.rc != LP_OK && err != NULL) {
        *err = e.err;
    }
    return e.rc;
}

/* --- the log's other operations --- */

static lp_rc
journal_start(struct lp_log *log, struct lp_err *err)
{
    struct lp_journal *j = (struct lp_journal *)log;
    lp_rc rc = lp_journal_replay(j, err);
    if (rc == LP_OK) {
        atomic_store(&j->ready, true);
    }
    return rc;
}

static void
journal_stored(struct lp_log *log, const struct lp_foot_ticket *positions, size_t n)
{
    struct lp_journal *j = (struct lp_journal *)log;
    for (size_t i = 0; i < n; i++) {
        if (strcmp(positions[i].log, j->source->log) == 0) {
            lp_journal_release(j, positions[i].next);
        }
    }
}

static void
journal_stop(struct lp_log *log)
{
    struct lp_journal *j = (struct lp_journal *)log;
    lp_lock(&j->mu);
    j->stopped = true;
    lp_cond_broadcast(&j->changed);
    lp_unlock(&j->mu);
}

static void
journal_free(struct lp_log *log)
{
    struct lp_journal *j = (struct lp_journal *)log;
    if (j == NULL) {
        return;
    }
    LP_ASSERT(j->first == NULL && !j->leading);
    drop_file(j);
    for (size_t i = 0; i < j->nfiles; i++) {
        lp_free(j->files[i].path);
    }
    lp_free(j->files);
    lp_free(j->voids);
    lp_free(j->dir);
    lp_cond_destroy(&j->changed);
    lp_mutex_destroy(&j->mu);
    lp_free(j);
}

static bool
journal_ready(const struct lp_log *log)
{
    return atomic_load(&((struct lp_journal *)(uintptr_t)log)->ready);
}

static void
journal_status(struct lp_log *log, struct lp_buf *out)
{
    struct lp_journal *j = (struct lp_journal *)log;
    lp_lock(&j->mu);
    lp_buf_printf(out, "\"journal\":{\"files\":%zu,\"bytes\":%llu,\"next\":%llu,\"durable\":%llu}", j->nfiles,
                  (unsigned long long)j->bytes_total, (unsigned long long)j->next_number,
                  (unsigned long long)j->durable);
    lp_unlock(&j->mu);
}

static void
journal_metrics(struct lp_log *log, struct lp_buf *out)
{
    struct lp_journal *j = (struct lp_journal *)log;
    lp_lock(&j->mu);
    uint64_t bytes = j->bytes_total;
    lp_unlock(&j->mu);
    lp_buf_printf(out,
                  "# HELP logpond_journal_disk_bytes Bytes of journal files on disk.\n"
                  "# TYPE logpond_journal_disk_bytes gauge\nlogpond_journal_disk_bytes %llu\n",
                  (unsigned long long)bytes);
}

lp_rc
lp_journal_new(const struct lp_log_env *env, const struct lp_journal_config *cfg, struct lp_log **ret,
               struct lp_err *err)
{
    static const struct lp_log_ops ops = {
        .name = "journal",
        .start = journal_start,
        .take = lp_journal_take,
        .stored = journal_stored,
        .stop = journal_stop,
        .free = journal_free,
        .starting = "the journal is being replayed",
        .open = journal_ready,
        .ready = journal_ready,
        .metrics = journal_metrics,
        .status = journal_status,
    };
    char path[4200];
    snprintf(path, sizeof(path), "%s/journal", cfg->dir);
    lp_rc rc = lp_io_mkdir(lp_store_io(env->store), path, err);
    if (rc == LP_OK) {
        rc = lp_io_sync_dir(lp_store_io(env->store), cfg->dir, err);
    }
    if (rc != LP_OK) {
        return rc;
    }
    struct lp_journal *j = lp_calloc(1, sizeof(*j));
    j->log = (struct lp_log){&ops, *env};
    j->io = lp_store_io(env->store);
    j->dir = lp_strdup(path);
    j->file_bytes_max = cfg->file_bytes;
    j->uuid = lp_catalog_uuid(lp_store_catalog(env->store));
    j->head = lp_store_head(env->store);
    j->source = lp_head_source(j->head, "journal", 0);
    j->fd = -1;
    lp_mutex_init(&j->mu, LP_LOCK_LOG);
    lp_cond_init(&j->changed);
    *ret = &j->log;
    return LP_OK;
}
