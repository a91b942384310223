/*
 * test_journal.c - oracle: FORMAT.md section 3. What was acknowledged is there after any end; what failed is
 * not; damage is told from a torn tail.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/io_fault.h"
#include "base/thread.h"
#include "ingest/intake.h"
#include "ingest/journal_int.h"
#include "tests/unit/store_fixture.h"

struct rig {
    struct lp_store *st;
    struct lp_ids_table *ids;
    struct lp_log *log;
    struct lp_intake in;
    struct lp_decoder *dec;
    char events[4096];
};

static void
note_event(void *ctx, enum lp_event level, const char *text)
{
    struct rig *r = ctx;
    (void)level;
    size_t n = strlen(r->events);
    snprintf(r->events + n, sizeof(r->events) - n, "%s\n", text);
}

static bool
load(void *arg, const struct lp_batch_id *id)
{
    lp_ids_table_load(arg, id);
    return true;
}

static void
stored(void *ctx, uint64_t generation, const struct lp_foot_ticket *p, size_t n)
{
    struct rig *r = ctx;
    (void)generation;
    r->log->ops->stored(r->log, p, n);
}

static lp_rc
up_with(struct rig *r, const char *dir, const struct lp_io *io, struct lp_err *err)
{
    memset(r, 0, sizeof(*r));
    lp_rc rc = lp_open_store(dir, io, 1 << 20, &r->st, err);
    if (rc != LP_OK) {
        return rc;
    }
    r->ids = lp_ids_table_new();
    r->dec = lp_decoder_new();
    struct lp_cat_txn *t;
    CU_ASSERT_EQUAL_FATAL(lp_cat_begin(lp_store_catalog(r->st), &t, err), LP_OK);
    CU_ASSERT_EQUAL_FATAL(lp_cat_ids(t, load, r->ids, err), LP_OK);
    lp_cat_end(t);
    struct lp_log_env env = {r->st, r->ids, {64 << 20, 128 << 20}, note_event, r};
    struct lp_journal_config cfg = {dir, 64 << 10};
    rc = lp_journal_new(&env, &cfg, &r->log, err);
    if (rc != LP_OK) {
        return rc;
    }
    lp_store_set_callbacks(r->st, stored, r);
    r->in = (struct lp_intake){r->st, r->log, env.limits, 10 * LP_NS_PER_S};
    return lp_log_start(r->log, err);
}

static void
up(struct rig *r, const char *dir)
{
    struct lp_err err;
    lp_err_clear(&err);
    if (up_with(r, dir, NULL, &err) != LP_OK) {
        fprintf(stderr, "%s\n", err.text);
        CU_FAIL_FATAL("does not start");
    }
}

/* seal: as a clean stop does; without, the head is forgotten as by a crash. */
static void
down(struct rig *r, bool seal)
{
    if (r->log != NULL) {
        r->log->ops->stop(r->log);
    }
    if (r->st != NULL) {
        (void)lp_store_stop(r->st, seal ? lp_mono_ns() + 60 * LP_NS_PER_S : 0, NULL);
    }
    if (r->log != NULL) {
        r->log->ops->free(r->log);
    }
    lp_store_free(r->st);
    lp_ids_table_free(r->ids);
    lp_decoder_free(r->dec);
}

struct outcome {
    lp_rc rc;
    bool duplicate;
};

static void
note_outcome(void *ctx, lp_rc rc, bool duplicate, const struct lp_err *err)
{
    (void)err;
    *(struct outcome *)ctx = (struct outcome){rc, duplicate};
}

static lp_rc
push_as(struct rig *r, const char *key, int n, bool timed, bool *dup)
{
    char body[512];
    int k = timed ? snprintf(body, sizeof(body), "{\"_time\":\"%d\",\"_msg\":\"line %d\",\"app\":\"a\"}\n",
                             1700000000 + n, n)
                  : snprintf(body, sizeof(body), "{\"_msg\":\"line %d\",\"app\":\"a\"}\n", n);
    memset(body + k, 0, LP_BUF_PAD);
    struct lp_push p = {.method = LP_STR("POST"),
                        .target = LP_STR("/insert/jsonline"),
                        .key = lp_str_c(key),
                        .body = lp_str_of(body, (size_t)k),
                        .received_ns = lp_now_ns()};
    struct outcome o;
    lp_intake_push(&r->in, r->dec, &p, note_outcome, &o);
    *dup = o.duplicate;
    return o.rc;
}

static lp_rc
push(struct rig *r, int n)
{
    bool dup;
    return push_as(r, "", n, true, &dup);
}

static size_t
rows(struct rig *r)
{
    size_t n, damaged;
    lp_free(lp_read_all(r->st, &n, &damaged));
    CU_ASSERT_EQUAL(damaged, 0);
    return n;
}

/* The newest journal file's path and size. */
static void
newest(const char *dir, char path[4300], struct stat *st)
{
    char folder[4200];
    struct lp_jnl_walk w;
    struct lp_uuid uuid;
    snprintf(folder, sizeof(folder), "%s/journal", dir);
    memset(&uuid, 0, sizeof(uuid));
    path[0] = 0;
    /* the walk refuses files of another store only by their header; names are all that is needed here */
    struct lp_store *s;
    CU_ASSERT_EQUAL_FATAL(lp_open_store(dir, NULL, 1 << 20, &s, NULL), LP_OK);
    uuid = *lp_catalog_uuid(lp_store_catalog(s));
    lp_store_free(s);
    CU_ASSERT_EQUAL_FATAL(lp_jnl_walk(lp_io_posix(), folder, (struct lp_jnl_stores){&uuid, 1}, &w, NULL),
                          LP_OK);
    if (w.nfiles > 0) {
        snprintf(path, 4300, "%s", w.files[w.nfiles - 1].path);
        CU_ASSERT_EQUAL_FATAL(stat(path, st), 0);
    }
    lp_jnl_walk_clear(&w);
}

static void
replay_gives_back_what_was_acknowledged(void)
{
    const char *dir = lp_test_dir();
    struct rig r;
    up(&r, dir);
    for (int i = 0; i < 100; i++) {
        CU_ASSERT_EQUAL_FATAL(push(&r, i), LP_OK);
    }
    CU_ASSERT_EQUAL(rows(&r), 100); /* one reads one's own write */
    down(&r, false);
    up(&r, dir);
    CU_ASSERT_EQUAL(rows(&r), 100);
    CU_ASSERT_PTR_NOT_NULL(strstr(r.events, "100 entries replayed"));
    CU_ASSERT_EQUAL_FATAL(push(&r, 100), LP_OK);
    down(&r, true);
    up(&r, dir);
    CU_ASSERT_EQUAL(rows(&r), 101);
    CU_ASSERT_STRING_EQUAL(r.events, ""); /* all sealed: nothing to replay */
    down(&r, false);
}

static void
retries_are_stored_once_also_after_a_restart(void)
{
    const char *dir = lp_test_dir();
    struct rig r;
    bool dup;
    up(&r, dir);
    CU_ASSERT_EQUAL(push_as(&r, "", 1, true, &dup), LP_OK);
    CU_ASSERT_EQUAL(push_as(&r, "", 1, true, &dup), LP_OK);
    CU_ASSERT_TRUE(dup);
    CU_ASSERT_EQUAL(push_as(&r, "key", 2, false, &dup), LP_OK);
    CU_ASSERT_EQUAL(push_as(&r, "key", 2, false, &dup), LP_OK);
    CU_ASSERT_TRUE(dup);
    CU_ASSERT_EQUAL(push_as(&r, "", 3, false, &dup), LP_OK);
    CU_ASSERT_EQUAL(push_as(&r, "", 3, false, &dup), LP_OK); /* no time, no key: two records */
    CU_ASSERT_FALSE(dup);
    CU_ASSERT_EQUAL(rows(&r), 4);
    down(&r, false);
    up(&r, dir); /* ids from the journal */
    CU_ASSERT_EQUAL(push_as(&r, "", 1, true, &dup), LP_OK);
    CU_ASSERT_TRUE(dup);
    down(&r, true);
    up(&r, dir); /* ids from the catalog */
    CU_ASSERT_EQUAL(push_as(&r, "key", 2, false, &dup), LP_OK);
    CU_ASSERT_TRUE(dup);
    CU_ASSERT_EQUAL(rows(&r), 4);
    down(&r, false);
}

static void
a_torn_tail_is_kept_aside(void)
{
    const char *dir = lp_test_dir();
    char path[4300];
    struct stat s;
    struct rig r;
    up(&r, dir);
    for (int i = 0; i < 10; i++) {
        CU_ASSERT_EQUAL_FATAL(push(&r, i), LP_OK);
    }
    down(&r, false);
    newest(dir, path, &s);
    int fd = open(path, O_WRONLY | O_APPEND);
    char junk[200];
    memset(junk, 0x5a, sizeof(junk));
    CU_ASSERT_EQUAL(write(fd, junk, sizeof(junk)), (ssize_t)sizeof(junk));
    close(fd);
    for (int start = 0; start < 3; start++) { /* and every later start says nothing new */
        up(&r, dir);
        CU_ASSERT_EQUAL(rows(&r), 10 + (size_t)start);
        CU_ASSERT_EQUAL(strstr(r.events, "torn by a crash") != NULL, start == 0);
        CU_ASSERT_PTR_NULL(strstr(r.events, "damaged"));
        CU_ASSERT_EQUAL_FATAL(push(&r, 100 + start), LP_OK);
        down(&r, false);
    }
}

static void
damage_is_located_and_the_rest_replayed(void)
{
    const char *dir = lp_test_dir();
    char path[4300];
    struct stat s;
    struct rig r;
    up(&r, dir);
    for (int i = 0; i < 10; i++) {
        CU_ASSERT_EQUAL_FATAL(push(&r, i), LP_OK);
    }
    down(&r, false);
    newest(dir, path, &s);
    int fd = open(path, O_RDWR);
    char c;
    off_t at = LP_JNL_HEADER_BYTES + 5 * (s.st_size - LP_JNL_HEADER_BYTES) / 10 + LP_JNL_ENTRY_BYTES +
               3; /* ten entries of one size: the sixth's payload */
    CU_ASSERT_EQUAL(pread(fd, &c, 1, at), 1);
    c = (char)(c ^ 1);
    CU_ASSERT_EQUAL(pwrite(fd, &c, 1, at), 1);
    close(fd);
    up(&r, dir);
    CU_ASSERT_PTR_NOT_NULL(strstr(r.events, "journal damaged"));
    CU_ASSERT_EQUAL(rows(&r), 9); /* nine lines; the quarantine is not seen without asking for it */
    struct lp_store_stats st;
    down(&r, true);
    up(&r, dir);
    lp_store_stats(r.st, &st);
    CU_ASSERT_EQUAL(st.rows, 10); /* the tenth is in the quarantine, raw */
    down(&r, false);
}

/* Every single bit of a journal: start-up always comes up, and no line is ever another line than one that was
 * pushed. */
static void
flipped_bits_of_a_journal(void)
{
    const char *dir = lp_test_dir();
    char path[4300];
    struct stat s;
    struct rig r;
    uint64_t seed = 3;
    struct lp_jnl_walk w;
    struct lp_uuid uuid;
    up(&r, dir);
    uuid = *lp_catalog_uuid(lp_store_catalog(r.st));
    for (int i = 0; i < 30; i++) {
        CU_ASSERT_EQUAL_FATAL(push(&r, i), LP_OK);
    }
    down(&r, false);
    newest(dir, path, &s);
    char folder[4200];
    snprintf(folder, sizeof(folder), "%s/journal", dir);
    int fd = open(path, O_RDWR);
    size_t missed = 0;
    for (int i = 0; i < 5000; i++) {
        uint64_t bit = lp_rand(&seed) % ((uint64_t)s.st_size * 8);
        uint8_t c;
        CU_ASSERT_EQUAL_FATAL(pread(fd, &c, 1, (off_t)(bit / 8)), 1);
        c ^= (uint8_t)(1 << bit % 8);
        CU_ASSERT_EQUAL_FATAL(pwrite(fd, &c, 1, (off_t)(bit / 8)), 1);
        lp_rc rc = lp_jnl_walk(lp_io_posix(), folder, (struct lp_jnl_stores){&uuid, 1}, &w, NULL);
        CU_ASSERT_EQUAL_FATAL(rc, LP_OK);
        size_t good = 0, bad = 0;
        for (size_t k = 0; k < w.nitems; k++) {
            good += w.items[k].find == LP_JNL_ENTRY;
            bad += w.items[k].find == LP_JNL_BAD;
        }
        /* an entry is found bad, or the bit lies in padding or the file's header, which hurt nothing */
        CU_ASSERT(good == 30 ? bad == 0 : good == 29 && bad == 1);
        missed += good == 30 && bit / 8 >= LP_JNL_HEADER_BYTES;
        lp_jnl_walk_clear(&w);
        c ^= (uint8_t)(1 << bit % 8);
        CU_ASSERT_EQUAL_FATAL(pwrite(fd, &c, 1, (off_t)(bit / 8)), 1);
    }
    close(fd);
    CU_ASSERT(missed < 5000 / 3); /* padding is less than 64 bytes an entry of about 192 */
}

/* The n-th sync or write of the journal fails: the push is refused, its retry is stored, once; also after a
 * restart. */
static void
a_failed_sync_is_void(void)
{
    struct lp_io *io = lp_io_fault_new();
    uint64_t fired = 1;
    for (unsigned nth = 1; fired > 0 && nth < 60; nth++) {
        const char *dir = lp_test_dir();
        struct rig r;
        struct lp_err err;
        bool dup;
        struct lp_io_fault_plan none = {.nth = 0},
                                plan = {LP_FAULT_EIO, LP_FAULT_WRITE | LP_FAULT_SYNC, nth, false};
        lp_io_fault_plan(io, &none);
        CU_ASSERT_EQUAL_FATAL(up_with(&r, dir, io, &err), LP_OK);
        lp_io_fault_plan(io, &plan);
        size_t failed = 0;
        for (int i = 0; i < 6; i++) {
            lp_rc rc = push_as(&r, "", i, true, &dup);
            failed += rc != LP_OK;
            for (int tries = 0; rc != LP_OK && tries < 3; tries++) {
                rc = push_as(&r, "", i, true, &dup);
                CU_ASSERT_FALSE(dup);
            }
            CU_ASSERT_EQUAL(rc, LP_OK);
        }
        fired = lp_io_fault_fired(io);
        lp_io_fault_plan(io, &none);
        CU_ASSERT_EQUAL(failed > 0, fired > 0);
        CU_ASSERT_EQUAL(rows(&r), 6);
        down(&r, false);
        up(&r, dir);
        CU_ASSERT_EQUAL(rows(&r), 6); /* the failed entries may be whole on disk: the void entry names them */
        CU_ASSERT_PTR_NULL(strstr(r.events, "damaged"));
        down(&r, nth % 2 == 0);
        up(&r, dir);
        CU_ASSERT_EQUAL(rows(&r), 6);
        down(&r, false);
    }
    CU_ASSERT_EQUAL(fired, 0);
    lp_io_fault_free(io);
}

struct pusher {
    struct rig *r;
    int base;
};

static void
push_many(void *arg)
{
    struct pusher *p = arg;
    struct rig mine = *p->r;
    mine.dec = lp_decoder_new();
    for (int i = 0; i < 100; i++) {
        bool dup;
        CU_ASSERT_EQUAL(push_as(&mine, "", p->base + i, true, &dup), LP_OK);
    }
    lp_decoder_free(mine.dec);
}

static void
many_push_at_once_and_files_are_released(void)
{
    const char *dir = lp_test_dir();
    struct rig r;
    struct pusher p[4];
    pthread_t t[4];
    up(&r, dir);
    for (int i = 0; i < 4; i++) {
        p[i] = (struct pusher){&r, i * 1000};
        t[i] = lp_thread_start("push", push_many, &p[i]);
    }
    for (int i = 0; i < 4; i++) {
        lp_thread_join(t[i]);
    }
    CU_ASSERT_EQUAL(rows(&r), 400);
    CU_ASSERT_EQUAL(lp_store_seal(r.st, lp_mono_ns() + 60 * LP_NS_PER_S, NULL), LP_OK);
    char big[4096];
    memset(big, 'x', sizeof(big) - 1);
    big[sizeof(big) - 1] = 0;
    for (int i = 0; i < 60; i++) { /* about 250 KiB: several files of 64 KiB */
        char body[5000];
        int k = snprintf(body, sizeof(body), "{\"_time\":\"%d\",\"_msg\":\"%s\",\"app\":\"a\"}\n",
                         1800000000 + i, big);
        memset(body + k, 0, LP_BUF_PAD);
        struct lp_push push_big = {.method = LP_STR("POST"),
                                   .target = LP_STR("/insert/jsonline"),
                                   .body = lp_str_of(body, (size_t)k),
                                   .received_ns = 1};
        struct outcome o;
        lp_intake_push(&r.in, r.dec, &push_big, note_outcome, &o);
        CU_ASSERT_EQUAL_FATAL(o.rc, LP_OK);
    }
    CU_ASSERT(((struct lp_journal *)r.log)->nfiles >= 3);
    CU_ASSERT_EQUAL(lp_store_seal(r.st, lp_mono_ns() + 60 * LP_NS_PER_S, NULL), LP_OK);
    lp_store_stop(r.st, lp_mono_ns() + 60 * LP_NS_PER_S, NULL); /* its callback has run by now */
    CU_ASSERT_EQUAL(((struct lp_journal *)r.log)->nfiles, 1);
    down(&r, true);
}

LP_SUITE(journal, {"replay gives back what was acknowledged", replay_gives_back_what_was_acknowledged},
         {"retries are stored once, also after a restart", retries_are_stored_once_also_after_a_restart},
         {"a torn tail is kept aside", a_torn_tail_is_kept_aside},
         {"damage is located and the rest replayed", damage_is_located_and_the_rest_replayed},
         {"flipped bits of a journal", flipped_bits_of_a_journal},
         {"a failed sync is void", a_failed_sync_is_void},
         {"many push at once and files are released", many_push_at_once_and_files_are_released});
