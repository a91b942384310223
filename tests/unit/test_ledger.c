/*
 * test_ledger.c - the ledger. Oracle: FORMAT.md section 6, and that what an append said was stored is there
 * after any failure, in order, with nothing in between that nobody wrote.
 */
#include "store/ledger.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/hash.h"
#include "base/io_fault.h"
#include "tests/unit/unit.h"

static struct lp_uuid store = {{1, 2, 3}};
static unsigned told;
static char last_told[512];

static void
say(void *ctx, const char *text)
{
    (void)ctx;
    told++;
    snprintf(last_told, sizeof(last_told), "%s", text);
}

static lp_rc
try_open(const struct lp_io *io, const char *dir, struct lp_ledger **ret, struct lp_err *err)
{
    struct lp_ledger_config cfg = {io, dir, &store, 1, say, NULL};
    char path[512];
    snprintf(path, sizeof(path), "%s/lost+found", dir);
    (void)mkdir(path, 0755);
    told = 0;
    return lp_ledger_open(&cfg, ret, err);
}

static struct lp_ledger *
must_open(const char *dir)
{
    struct lp_ledger *l;
    struct lp_err err;
    lp_err_clear(&err);
    if (try_open(lp_io_posix(), dir, &l, &err) != LP_OK) {
        fprintf(stderr, "%s\n", err.text);
        CU_FAIL_FATAL("the ledger does not open");
    }
    return l;
}

static lp_rc
put(struct lp_ledger *l, unsigned i)
{
    char text[256];
    uint64_t number;
    int n = snprintf(text, sizeof(text), "{\"entry\":%u%.*s}", i, (int)(i * 7 % 40),
                     "                                        ");
    return lp_ledger_append(l, i % 2 ? LP_LEDGER_RETAIN_BEGUN : LP_LEDGER_RETAIN_ENDED, i * LP_NS_PER_S,
                            lp_str_of(text, (size_t)n), &number, NULL);
}

/* The entries' numbers in the texts, in order, into out; returns how many. Checks that numbers rise. */
static size_t
read_all(struct lp_ledger *l, unsigned *out, size_t room)
{
    struct lp_arena ar;
    struct lp_ledger_entry *e;
    size_t n = 0;
    uint64_t last = 0;
    lp_arena_init(&ar, 16 << 20, 0);
    CU_ASSERT_EQUAL_FATAL(lp_ledger_read(l, room, &ar, &e, &n, NULL), LP_OK);
    for (size_t i = 0; i < n; i++) {
        char text[256];
        CU_ASSERT_FATAL(e[i].payload.n < sizeof(text));
        memcpy(text, e[i].payload.p, e[i].payload.n);
        text[e[i].payload.n] = 0;
        CU_ASSERT_EQUAL_FATAL(sscanf(text, "{\"entry\":%u", &out[i]), 1);
        CU_ASSERT_EQUAL(e[i].time_ns, out[i] * LP_NS_PER_S);
        CU_ASSERT_EQUAL(e[i].kind, out[i] % 2 ? LP_LEDGER_RETAIN_BEGUN : LP_LEDGER_RETAIN_ENDED);
        CU_ASSERT(e[i].number > last);
        last = e[i].number;
    }
    lp_arena_clear(&ar);
    return n;
}

static void
what_is_written_comes_back(void)
{
    const char *dir = lp_test_dir();
    unsigned have[64];
    struct lp_ledger *l = must_open(dir);
    CU_ASSERT_EQUAL(read_all(l, have, 64), 0);
    for (unsigned i = 1; i <= 20; i++) {
        CU_ASSERT_EQUAL(put(l, i), LP_OK);
    }
    CU_ASSERT_EQUAL(read_all(l, have, 3), 3);
    CU_ASSERT(have[0] == 18 && have[2] == 20);
    lp_ledger_free(l);
    l = must_open(dir);
    CU_ASSERT_EQUAL(told, 0);
    CU_ASSERT_EQUAL(put(l, 21), LP_OK);
    CU_ASSERT_EQUAL_FATAL(read_all(l, have, 64), 21);
    for (unsigned i = 0; i < 21; i++) {
        CU_ASSERT_EQUAL(have[i], i + 1);
    }
    CU_ASSERT_EQUAL(lp_ledger_count(l), 21);
    lp_ledger_free(l);
}

/* The file as bytes, and back. */
struct file {
    char path[512];
    uint8_t bytes[65536];
    size_t n;
};

static void
read_file(struct file *f, const char *dir)
{
    snprintf(f->path, sizeof(f->path), "%s/ledger", dir);
    int fd = open(f->path, O_RDONLY);
    ssize_t n = read(fd, f->bytes, sizeof(f->bytes));
    close(fd);
    CU_ASSERT_FATAL(n > 0 && n < (ssize_t)sizeof(f->bytes));
    f->n = (size_t)n;
}

static void
write_file(const struct file *f, size_t n)
{
    int fd = open(f->path, O_WRONLY | O_TRUNC | O_CREAT, 0600);
    CU_ASSERT_EQUAL_FATAL(write(fd, f->bytes, n), (ssize_t)n);
    close(fd);
}

static off_t
size_of(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 ? st.st_size : -1;
}

/* Cut at every byte: whole entries stay, the rest goes to lost+found and is told, and the next number is a
 * new one. */
static void
a_torn_tail_is_set_aside(void)
{
    const char *dir = lp_test_dir();
    static struct file f;
    unsigned have[64];
    struct lp_ledger *l = must_open(dir);
    size_t ends[4];
    for (unsigned i = 1; i <= 3; i++) {
        CU_ASSERT_EQUAL(put(l, i), LP_OK);
        read_file(&f, dir);
        ends[i] = f.n;
    }
    ends[0] = 64;
    lp_ledger_free(l);
    for (size_t n = 64; n <= f.n; n++) {
        unsigned whole = 0;
        while (whole < 3 && ends[whole + 1] <= n) {
            whole++;
        }
        write_file(&f, n);
        l = must_open(dir);
        CU_ASSERT_EQUAL(read_all(l, have, 64), whole);
        CU_ASSERT_EQUAL(told, n != ends[whole]);
        char kept[600];
        snprintf(kept, sizeof(kept), "%s/lost+found/ledger.%016zx", dir, ends[whole]);
        CU_ASSERT_EQUAL(size_of(kept), n != ends[whole] ? (off_t)(n - ends[whole]) : -1);
        (void)unlink(kept);
        CU_ASSERT_EQUAL(put(l, 9), LP_OK);
        lp_ledger_free(l);
        l = must_open(dir);
        CU_ASSERT_EQUAL(told, 0);
        CU_ASSERT_EQUAL_FATAL(read_all(l, have, 64), whole + 1);
        CU_ASSERT_EQUAL(have[whole], 9);
        lp_ledger_free(l);
    }
}

/* Any one byte: the others' entries are read, and nothing before the last good entry is cut off. */
static void
damage_costs_one_entry(void)
{
    const char *dir = lp_test_dir();
    static struct file f;
    unsigned have[64];
    struct lp_ledger *l = must_open(dir);
    for (unsigned i = 1; i <= 4; i++) {
        CU_ASSERT_EQUAL(put(l, i), LP_OK);
    }
    lp_ledger_free(l);
    read_file(&f, dir);
    for (size_t at = 0; at < f.n; at++) {
        f.bytes[at] ^= 0x20;
        write_file(&f, f.n);
        struct lp_err err;
        lp_err_clear(&err);
        lp_rc rc = try_open(lp_io_posix(), dir, &l, &err);
        f.bytes[at] ^= 0x20;
        CU_ASSERT_EQUAL_FATAL(rc, LP_OK);
        size_t n = read_all(l, have, 64);
        CU_ASSERT(n == 4 || (n == 3 && told == 1)); /* 4: a byte of padding, or of the header */
        for (size_t i = 1; i < n; i++) {
            CU_ASSERT(have[i] > have[i - 1]);
        }
        lp_ledger_free(l);
    }
    struct lp_uuid own = store;
    store.b[0]++;
    write_file(&f, f.n);
    CU_ASSERT_EQUAL(try_open(lp_io_posix(), dir, &l, NULL), LP_ERR_CORRUPT);
    store = own;
    CU_ASSERT_EQUAL(size_of(f.path), (off_t)f.n);
    f.bytes[8] = 2; /* a later version */
    lp_put_u32(f.bytes + 12, lp_crc32c(lp_crc32c(0, f.bytes, 12), f.bytes + 16, 48));
    write_file(&f, f.n);
    CU_ASSERT_EQUAL(try_open(lp_io_posix(), dir, &l, NULL), LP_ERR_UNSUPPORTED);
    write_file(&f, 20);
    l = must_open(dir);
    CU_ASSERT_EQUAL(told, 1);
    CU_ASSERT_EQUAL(put(l, 1), LP_OK);
    lp_ledger_free(l);
}

/* Appends until ten are stored, each tried again where it failed. Returns those that were answered as stored,
 * in order. */
static size_t
append_ten(struct lp_ledger *l, unsigned *ok)
{
    size_t n = 0;
    for (unsigned i = 1; i <= 10; i++) {
        lp_rc rc = put(l, i);
        CU_ASSERT(rc == LP_OK || rc == LP_ERR_IO || rc == LP_ERR_DISK_FULL);
        if (rc == LP_OK) {
            ok[n++] = i;
        }
    }
    return n;
}

static void
one_fault(const char *dir, const struct lp_io_fault_plan *plan, struct lp_io *io, bool *ret_fired)
{
    char path[512];
    unsigned ok[10], have[64];
    struct lp_ledger *l;
    size_t n = 0;
    snprintf(path, sizeof(path), "%s/ledger", dir);
    (void)unlink(path);
    lp_io_fault_plan(io, plan);
    lp_rc rc = try_open(io, dir, &l, NULL);
    if (rc == LP_OK) {
        n = append_ten(l, ok);
        lp_ledger_free(l);
    }
    *ret_fired = lp_io_fault_fired(io) > 0;
    l = must_open(dir); /* the next process */
    CU_ASSERT_EQUAL_FATAL(read_all(l, have, 64), n);
    CU_ASSERT(memcmp(have, ok, n * sizeof(*ok)) == 0);
    CU_ASSERT(plan->persistent || n >= 9 || rc != LP_OK);
    lp_ledger_free(l);
    /* and one that opens what is there with the same fault */
    lp_io_fault_plan(io, plan);
    if (try_open(io, dir, &l, NULL) == LP_OK) {
        (void)put(l, 11);
        lp_ledger_free(l);
    }
    *ret_fired = *ret_fired || lp_io_fault_fired(io) > 0;
    l = must_open(dir);
    size_t more = read_all(l, have, 64);
    CU_ASSERT(more == n || (more == n + 1 && have[n] == 11));
    CU_ASSERT(memcmp(have, ok, n * sizeof(*ok)) == 0);
    lp_ledger_free(l);
}

static void
every_call_may_fail(void)
{
    static const enum lp_fault_kind kinds[] = {LP_FAULT_EIO, LP_FAULT_ENOSPC, LP_FAULT_SHORT_WRITE,
                                               LP_FAULT_EINTR};
    struct lp_io *io = lp_io_fault_new();
    const char *dir = lp_test_dir();
    for (size_t k = 0; k < LP_ARRAY_LEN(kinds); k++) {
        bool fired = true;
        for (uint64_t nth = 1; fired && nth < 200; nth++) {
            struct lp_io_fault_plan plan = {kinds[k], LP_FAULT_ALL, nth, false};
            one_fault(dir, &plan, io, &fired);
        }
        CU_ASSERT(!fired);
    }
    for (unsigned calls = LP_FAULT_OPEN; calls <= LP_FAULT_OTHER; calls *= 2) {
        bool fired;
        struct lp_io_fault_plan plan = {LP_FAULT_EIO, calls, 3, true};
        one_fault(dir, &plan, io, &fired);
    }
    lp_io_fault_free(io);
}

LP_SUITE(ledger, {"what is written comes back", what_is_written_comes_back},
         {"a torn tail is set aside", a_torn_tail_is_set_aside},
         {"damage costs one entry", damage_costs_one_entry}, {"every call may fail", every_call_may_fail});
