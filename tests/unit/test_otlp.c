/*
 * test_otlp.c - oracle: docs/kafka.md and ingest/otlp.h; message bytes made by hand from protobuf's encoding
 * and the field numbers of OTLP (contracts B.4); what is read back is what was written.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ingest/otlp.h"
#include "ingest/wire.h"
#include "tests/unit/store_fixture.h"

#define PARTS_MAX 200000
#define RECEIVED INT64_C(1795132800000000000)

static struct lp_err why;

/* --- batches --- */

static struct lp_batch *
new_batch(int64_t received_ns)
{
    struct lp_batch *b = lp_batch_new(LP_STR("t1"), SIZE_MAX, 0);
    b->received_ns = received_ns;
    return b;
}

/* "a=1,b=2" as pairs. */
static size_t
pairs_of(const char *text, struct lp_pair *ret)
{
    struct lp_str rest = lp_str_c(text);
    size_t n = 0;
    while (rest.n > 0) {
        struct lp_str value = lp_str_cut(&rest, ',');
        ret[n].name = lp_str_cut(&value, '=');
        ret[n++].value = value;
    }
    return n;
}

static uint32_t
stream_of(struct lp_batch *b, const char *labels, const char *uid, const char *incarnation)
{
    struct lp_pair pairs[16];
    struct lp_instance inst = {lp_str_c(uid), lp_str_c(incarnation)};
    uint32_t stream;
    size_t n = pairs_of(labels, pairs);
    CU_ASSERT_EQUAL_FATAL(lp_batch_stream(b, pairs, n, &inst, &stream, NULL), LP_OK);
    return stream;
}

static void
add(struct lp_batch *b, const char *labels, int64_t t, struct lp_str line, const char *meta)
{
    struct lp_pair pairs[16];
    uint32_t stream = stream_of(b, labels, "", "");
    size_t n = pairs_of(meta, pairs);
    CU_ASSERT_EQUAL_FATAL(lp_batch_add(b, stream, t, line, false, pairs, n, NULL), LP_OK);
}

/* Rows of `groups` groups with `pods` streams each, arriving mixed. */
static struct lp_batch *
mixed(size_t rows, unsigned groups, unsigned pods, uint64_t seed)
{
    static const char dots[200] = {[0 ... 199] = '.'};
    struct lp_batch *b = new_batch(RECEIVED);
    for (size_t i = 0; i < rows; i++) {
        uint64_t r = lp_rand(&seed);
        char labels[100], line[300];
        snprintf(labels, sizeof(labels), "namespace=n%u,container=c,pod=p%u", (unsigned)(r % groups),
                 (unsigned)(r >> 16) % pods);
        int n = snprintf(line, sizeof(line), "row %zu %.*s", i, (int)(r >> 32) & 127, dots);
        add(b, labels, i % 7 == 0 ? LP_TIME_NONE : (int64_t)(r >> 3), lp_str_of(line, (size_t)n),
            i % 3 ? "" : "trace=0123456789,level=info");
    }
    lp_batch_finish(b);
    return b;
}

/* --- messages --- */

static struct lp_otlp_part parts[PARTS_MAX];
static char *values[PARTS_MAX]; /* what parts[i].value borrows from */
static size_t nparts, fail_at;

static lp_rc
keep_part(void *ctx, const struct lp_otlp_part *part, struct lp_err *err)
{
    CU_ASSERT_PTR_EQUAL(ctx, parts);
    if (nparts == fail_at) {
        return lp_err_set(err, LP_ERR_BUSY, "the broker is away");
    }
    CU_ASSERT_FATAL(nparts < PARTS_MAX);
    values[nparts] = lp_malloc(part->value.n);
    memcpy(values[nparts], part->value.p, part->value.n);
    parts[nparts] = *part;
    parts[nparts].value.p = values[nparts];
    nparts++;
    return LP_OK;
}

static void
drop_parts(void)
{
    while (nparts > 0) {
        lp_free(values[--nparts]);
    }
    fail_at = SIZE_MAX;
}

static lp_rc
write_parts(const struct lp_batch *b, size_t max)
{
    drop_parts();
    lp_err_clear(&why);
    return lp_otlp_write(b, max, keep_part, parts, &why);
}

/* What the parts say, in a batch received at a time. */
static struct lp_batch *
read_parts(size_t from, size_t to, int64_t received_ns)
{
    struct lp_batch *b = new_batch(received_ns);
    for (size_t i = from; i < to; i++) {
        size_t before = b->nrows;
        CU_ASSERT_EQUAL_FATAL(lp_otlp_read(parts[i].value, b, &why), LP_OK);
        CU_ASSERT_EQUAL(b->nrows - before, parts[i].records);
    }
    return b;
}

/* --- comparing --- */

static int
str_cmp(const void *a, const void *b)
{
    return lp_str_cmp(*(const struct lp_str *)a, *(const struct lp_str *)b);
}

/* All that a batch holds, each stream's rows in their order, whatever the order of streams. */
static struct lp_hash128
content(const struct lp_batch *b)
{
    struct lp_arena ar;
    struct lp_hasher *h = lp_hasher_new();
    lp_arena_init(&ar, SIZE_MAX, 0);
    struct lp_str *rows = lp_calloc(b->nrows + 1, sizeof(*rows));
    uint32_t *seen = lp_calloc(b->nstreams + 1, sizeof(*seen));
    for (size_t i = 0; i < b->nrows; i++) {
        const struct lp_row *r = &b->rows[i];
        struct lp_str key = b->streams[r->stream].key;
        size_t meta = r->meta ? 4 + (size_t)lp_get_u32(r->meta) : 0;
        size_t n = key.n + 12 + r->line_bytes + meta;
        char *p = lp_arena_bytes(&ar, n + 1);
        rows[i] = lp_str_of(p, n);
        memcpy(p, key.p, key.n);
        lp_put_be32(p + key.n, seen[r->stream]++);
        lp_put_u64(p + key.n + 4, (uint64_t)r->time_ns);
        memcpy(p + key.n + 12, r->line, r->line_bytes);
        memcpy(p + key.n + 12 + r->line_bytes, r->meta ? (const char *)r->meta : "", meta);
    }
    qsort(rows, b->nrows, sizeof(*rows), str_cmp);
    for (size_t i = 0; i < b->nrows; i++) {
        lp_hasher_add(h, &rows[i].n, sizeof(rows[i].n));
        lp_hasher_add(h, rows[i].p, rows[i].n);
    }
    struct lp_hash128 out = lp_hasher_u128(h);
    lp_hasher_free(h);
    lp_free(rows);
    lp_free(seen);
    lp_arena_clear(&ar);
    return out;
}

static bool
same(const struct lp_batch *a, const struct lp_batch *b)
{
    return a->nrows == b->nrows && a->line_bytes == b->line_bytes && a->meta_bytes == b->meta_bytes &&
           lp_hash128_eq(content(a), content(b));
}

/* Writes b, reads it back; takes over b. */
static void
round_trip(struct lp_batch *b, size_t max)
{
    lp_batch_finish(b);
    CU_ASSERT_EQUAL_FATAL(write_parts(b, max), LP_OK);
    struct lp_batch *again = read_parts(0, nparts, b->received_ns);
    CU_ASSERT(same(b, again));
    lp_batch_free(again);
    lp_batch_free(b);
}

/* --- what comes back --- */

static void
lines_and_times_survive(void)
{
    struct lp_batch *b = new_batch(RECEIVED);
    const int64_t times[] = {0, 1, -1, LP_TIME_MIN, LP_TIME_MAX, RECEIVED, LP_TIME_NONE};
    for (size_t i = 0; i < LP_ARRAY_LEN(times); i++) {
        add(b, "a=1", times[i], LP_STR("line"), "");
    }
    add(b, "a=1", 5, LP_STR(""), "");
    add(b, "a=1", LP_TIME_NONE, LP_STR(""), "");
    add(b, "a=1", 6, LP_STR("n\0ul \xff\xfe\x80 broken"), "");
    add(b, "a=1", 7,
        LP_STR("Gr\xc3\xbc\xc3\x9f"
               "e \xf0\x9f\x98\x80\n\ttwo lines"),
        "");
    add(b, "a=1", 8, LP_STR("cut \xf0\x9f\x98"), "");
    round_trip(b, 1 << 20);
    b = new_batch(0); /* receipt at 0, and a record whose own time is 0 */
    add(b, "a=1", 0, LP_STR("zero"), "");
    add(b, "a=1", LP_TIME_NONE, LP_STR("none"), "");
    round_trip(b, 1 << 20);
}

static void
labels_and_metadata_survive(void)
{
    struct lp_batch *b = new_batch(RECEIVED);
    struct lp_pair odd[] = {{LP_STR("app"), LP_STR("b\xff"
                                                   "ad")},
                            {LP_STR("namespace"), LP_STR("\xc3\xa9")}};
    struct lp_pair meta[] = {
        {LP_STR("k"), LP_STR("\x80")}, {LP_STR("empty"), LP_STR("")}, {LP_STR(""), LP_STR("no name")}};
    uint32_t stream;
    CU_ASSERT_EQUAL_FATAL(lp_batch_stream(b, odd, 2, NULL, &stream, NULL), LP_OK);
    CU_ASSERT_EQUAL_FATAL(lp_batch_add(b, stream, 1, LP_STR("x"), false, meta, 3, NULL), LP_OK);
    add(b, "app=a,job=j,z=1", 2, LP_STR("y"), "__pod_uid__=metadata,b=2,a=1");
    const char *const instances[][2] = {{"uid", "7"}, {"uid", ""}, {"", "7"}, {"", ""}};
    for (size_t i = 0; i < LP_ARRAY_LEN(instances); i++) {
        stream = stream_of(b, "app=inst", instances[i][0], instances[i][1]);
        CU_ASSERT_EQUAL_FATAL(lp_batch_add(b, stream, 3, LP_STR("z"), false, NULL, 0, NULL), LP_OK);
    }
    CU_ASSERT_EQUAL(b->nstreams, 6);
    round_trip(b, 1 << 20);
}

static void
labels_over_the_limits_stay_metadata(void)
{
    struct lp_batch *b = new_batch(RECEIVED);
    char names[80][8], big[LP_LABEL_VALUE_BYTES_MAX + 1];
    struct lp_pair labels[81];
    uint32_t stream;
    memset(big, 'v', sizeof(big));
    for (size_t i = 0; i < 80; i++) {
        snprintf(names[i], sizeof(names[i]), "l%02zu", i);
        labels[i] = (struct lp_pair){lp_str_c(names[i]), LP_STR("v")};
    }
    labels[80] = (struct lp_pair){LP_STR("big"), lp_str_of(big, sizeof(big))};
    for (int i = 0; i < 2; i++) { /* equal streams with demoted labels are two streams of a batch */
        CU_ASSERT_EQUAL_FATAL(lp_batch_stream(b, labels, 81, NULL, &stream, NULL), LP_OK);
        CU_ASSERT_EQUAL_FATAL(lp_batch_add(b, stream, i, LP_STR("x"), false, NULL, 0, NULL), LP_OK);
    }
    CU_ASSERT_EQUAL(b->streams[stream].nextra, 17);
    CU_ASSERT_EQUAL_FATAL(write_parts(b, 1 << 20), LP_OK);
    struct lp_batch *again = read_parts(0, nparts, RECEIVED);
    CU_ASSERT_EQUAL(again->demoted, 0);
    CU_ASSERT_EQUAL_FATAL(again->nrows, 2);
    CU_ASSERT(lp_str_eq(again->streams[again->rows[1].stream].key, b->streams[0].key));
    for (size_t i = 0; i < 2; i++) {
        uint32_t bytes = 4 + lp_get_u32(b->rows[i].meta);
        CU_ASSERT_EQUAL(again->rows[i].time_ns, (int64_t)i);
        CU_ASSERT_EQUAL_FATAL(lp_get_u32(again->rows[i].meta) + 4, bytes);
        CU_ASSERT_EQUAL(memcmp(again->rows[i].meta, b->rows[i].meta, bytes), 0);
    }
    lp_batch_free(again);
    lp_batch_free(b);
}

static void
mixed_batches_survive_every_cut(void)
{
    static const size_t limits[] = {450, 600, 5000, 65536, SIZE_MAX};
    for (size_t i = 0; i < LP_ARRAY_LEN(limits); i++) {
        round_trip(mixed(3000, 1, 1, i), limits[i]);
        round_trip(mixed(3000, 40, 5, i), limits[i]);
    }
    round_trip(new_batch(RECEIVED), 1000);
    CU_ASSERT_EQUAL(nparts, 0);
}

/* --- parts --- */

/* The one group of a part's rows, as its key says it. */
static void
check_key(const struct lp_otlp_part *part, const struct lp_batch *rows)
{
    struct lp_arena ar;
    struct lp_stream_key k;
    struct lp_buf group;
    char want[LP_OTLP_KEY_BYTES + 1];
    lp_arena_init(&ar, SIZE_MAX, 0);
    lp_buf_init(&group, SIZE_MAX / 2);
    for (size_t i = 0; i < rows->nstreams; i++) {
        CU_ASSERT_EQUAL_FATAL(lp_stream_key_parse(rows->streams[i].key, &ar, &k, NULL), LP_OK);
        lp_buf_reset(&group);
        lp_group_key(&k, &group);
        snprintf(want, sizeof(want), "%016llx", (unsigned long long)lp_xxh64(group.p, group.n));
        CU_ASSERT_EQUAL(memcmp(part->key, want, LP_OTLP_KEY_BYTES), 0);
    }
    lp_buf_clear(&group);
    lp_arena_clear(&ar);
}

static void
parts_are_of_one_group_and_full(void)
{
    const size_t max = 2000, record_max = 200;
    struct lp_batch *b = mixed(5000, 6, 3, 1);
    CU_ASSERT_EQUAL_FATAL(write_parts(b, max), LP_OK);
    size_t records = 0, changes = 0;
    for (size_t i = 0; i < nparts; i++) {
        struct lp_batch *one = read_parts(i, i + 1, RECEIVED);
        check_key(&parts[i], one);
        lp_batch_free(one);
        bool last = i + 1 == nparts || memcmp(parts[i].key, parts[i + 1].key, LP_OTLP_KEY_BYTES) != 0;
        CU_ASSERT_EQUAL(parts[i].number, i);
        CU_ASSERT(parts[i].value.n <= max && parts[i].records > 0);
        CU_ASSERT(last || parts[i].value.n > max - record_max);
        records += parts[i].records;
        changes += last;
    }
    CU_ASSERT_EQUAL(records, 5000);
    CU_ASSERT_EQUAL(changes, 6); /* a group's parts stand together */
    CU_ASSERT_EQUAL_FATAL(write_parts(b, SIZE_MAX), LP_OK);
    CU_ASSERT_EQUAL(nparts, 6);
    lp_batch_free(b);
}

static void
groups_come_by_first_appearance(void)
{
    struct lp_batch *b = new_batch(RECEIVED);
    (void)stream_of(b, "app=empty", "", ""); /* no rows: no part */
    add(b, "app=z,pod=2", 1, LP_STR("z1"), "");
    add(b, "app=a", 2, LP_STR("a1"), "");
    add(b, "app=z,pod=1", 3, LP_STR("z2"), "");
    add(b, "app=z,pod=2", 0, LP_STR("z3"), "");
    CU_ASSERT_EQUAL_FATAL(write_parts(b, 1000), LP_OK);
    CU_ASSERT_EQUAL_FATAL(nparts, 2);
    struct lp_batch *again = read_parts(0, 2, RECEIVED);
    const char *const want[] = {"z1", "z3", "z2", "a1"};
    CU_ASSERT_EQUAL_FATAL(again->nrows, 4);
    for (size_t i = 0; i < 4; i++) {
        CU_ASSERT(lp_str_eqc(lp_str_of(again->rows[i].line, again->rows[i].line_bytes), want[i]));
    }
    lp_batch_free(again);
    lp_batch_free(b);
}

/* The limit to the byte: a part of exactly so many bytes is one part; with one less it is two. */
static void
the_limit_is_exact(void)
{
    struct lp_batch *b = mixed(50, 1, 3, 3);
    CU_ASSERT_EQUAL_FATAL(write_parts(b, SIZE_MAX), LP_OK);
    CU_ASSERT_EQUAL_FATAL(nparts, 1);
    size_t whole = parts[0].value.n;
    CU_ASSERT_EQUAL_FATAL(write_parts(b, whole), LP_OK);
    CU_ASSERT_EQUAL(nparts, 1);
    CU_ASSERT_EQUAL_FATAL(write_parts(b, whole - 1), LP_OK);
    CU_ASSERT_EQUAL_FATAL(nparts, 2);
    CU_ASSERT_EQUAL(parts[1].records, 1);
    lp_batch_free(b);
}

static void
a_record_too_large_is_refused_before_any_part(void)
{
    struct lp_batch *b = new_batch(RECEIVED);
    char big[1000];
    memset(big, 'x', sizeof(big));
    for (int i = 0; i < 100; i++) {
        add(b, "app=a", i, LP_STR("small"), "");
    }
    add(b, "app=a", 1, lp_str_of(big, sizeof(big)), "level=info");
    CU_ASSERT_EQUAL_FATAL(write_parts(b, SIZE_MAX), LP_OK);
    struct lp_batch *alone = new_batch(RECEIVED);
    add(alone, "app=a", 1, lp_str_of(big, sizeof(big)), "level=info");
    CU_ASSERT_EQUAL_FATAL(write_parts(alone, SIZE_MAX), LP_OK);
    size_t need = parts[0].value.n;
    CU_ASSERT_EQUAL(write_parts(b, need - 1), LP_ERR_LIMIT);
    CU_ASSERT_EQUAL(nparts, 0);
    CU_ASSERT(strstr(why.text, "record") != NULL);
    CU_ASSERT_EQUAL(write_parts(b, 0), LP_ERR_LIMIT);
    CU_ASSERT_EQUAL(nparts, 0);
    CU_ASSERT_EQUAL(write_parts(b, need), LP_OK);
    lp_batch_free(alone);
    lp_batch_free(b);
}

static void
a_failing_callback_ends_it(void)
{
    struct lp_batch *b = mixed(1000, 3, 3, 5);
    CU_ASSERT_EQUAL_FATAL(write_parts(b, 2000), LP_OK);
    size_t all = nparts;
    for (size_t at = 0; at < all; at += all / 5) {
        drop_parts();
        fail_at = at;
        CU_ASSERT_EQUAL(lp_otlp_write(b, 2000, keep_part, parts, &why), LP_ERR_BUSY);
        CU_ASSERT_EQUAL(nparts, at);
        CU_ASSERT_STRING_EQUAL(why.text, "the broker is away");
    }
    lp_batch_free(b);
}

/* The same request, repeated later: stored once only if the messages are equal to the byte. */
static void
parts_do_not_depend_on_receipt(void)
{
    struct lp_hash128 hash[2];
    for (int k = 0; k < 2; k++) {
        struct lp_batch *b = new_batch(RECEIVED + k * 1000);
        struct lp_hasher *h = lp_hasher_new();
        for (int i = 0; i < 500; i++) {
            add(b, i % 2 ? "app=a" : "app=b", i % 3 ? LP_TIME_NONE : i, LP_STR("a line of text"), "k=v");
        }
        CU_ASSERT_EQUAL_FATAL(write_parts(b, 1000), LP_OK);
        CU_ASSERT(nparts > 10);
        for (size_t i = 0; i < nparts; i++) {
            lp_hasher_add(h, parts[i].key, LP_OTLP_KEY_BYTES);
            lp_hasher_add(h, &parts[i].value.n, sizeof(size_t));
            lp_hasher_add(h, parts[i].value.p, parts[i].value.n);
        }
        struct lp_batch *later = read_parts(0, nparts, 42); /* untimed rows take the reader's receipt */
        size_t taken = 0;
        for (size_t i = 0; i < later->nrows; i++) {
            taken += later->rows[i].time_ns == 42;
        }
        CU_ASSERT_EQUAL(later->untimed, 333);
        CU_ASSERT_EQUAL(taken, 334); /* and one whose own time is 42 */
        hash[k] = lp_hasher_u128(h);
        lp_hasher_free(h);
        lp_batch_free(later);
        lp_batch_free(b);
    }
    CU_ASSERT(lp_hash128_eq(hash[0], hash[1]));
}

/* A time of its own that happens to be that of receipt is written where every row has one. */
static void
a_time_equal_to_receipt_is_a_time(void)
{
    struct lp_batch *b = new_batch(RECEIVED);
    add(b, "app=a", RECEIVED, LP_STR("x"), "");
    CU_ASSERT_EQUAL_FATAL(write_parts(b, 1000), LP_OK);
    struct lp_batch *later = read_parts(0, 1, 42);
    CU_ASSERT_EQUAL(later->rows[0].time_ns, RECEIVED);
    CU_ASSERT_EQUAL(later->untimed, 0);
    lp_batch_free(later);
    lp_batch_free(b);
}

static void
very_many_streams(void)
{
    struct lp_batch *b = new_batch(RECEIVED);
    for (unsigned i = 0; i < 200000; i++) {
        char labels[64];
        snprintf(labels, sizeof(labels), "app=a%u,pod=p%u", i * 7919 % 100000, i % 2);
        add(b, labels, i, LP_STR("x"), "");
    }
    CU_ASSERT_EQUAL(b->nstreams, 100000);
    round_trip(b, 1 << 20);
    CU_ASSERT_EQUAL(nparts, 100000);
    b = new_batch(RECEIVED);
    for (unsigned i = 0; i < 200000; i++) {
        char labels[64];
        snprintf(labels, sizeof(labels), "app=a,pod=p%u", i * 7919 % 100000);
        add(b, labels, i, LP_STR("x"), "");
    }
    round_trip(b, 1 << 20);
    CU_ASSERT(nparts < 20);
    drop_parts();
}

/* --- bytes made by hand --- */

/* resource app="x", __pod_uid__="u"; records: time 2, body "hi", k = bytes ff; and one without a time, with
 * an empty body */
static const uint8_t known[] = {0x0a, 0x45, 0x0a, 0x20, 0x0a, 0x0a, 0x0a, 0x03, 0x61, 0x70, 0x70, 0x12,
                                0x03, 0x0a, 0x01, 0x78, 0x0a, 0x12, 0x0a, 0x0b, 0x5f, 0x5f, 0x70, 0x6f,
                                0x64, 0x5f, 0x75, 0x69, 0x64, 0x5f, 0x5f, 0x12, 0x03, 0x0a, 0x01, 0x75,
                                0x12, 0x21, 0x12, 0x19, 0x09, 0x02, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
                                0x00, 0x2a, 0x04, 0x0a, 0x02, 0x68, 0x69, 0x32, 0x08, 0x0a, 0x01, 0x6b,
                                0x12, 0x03, 0x3a, 0x01, 0xff, 0x12, 0x04, 0x2a, 0x02, 0x0a, 0x00};

/*
 * The same grammar from somebody else: scope logs before the resource, the resource in two pieces (b="2";
 * a="1", c=""), a second record that is an empty message, unknown fields of every wire type, a body given
 * twice (the last is bytes "yes"), attribute k twice (the last is "v2"), e without a value, time -1.
 */
static const uint8_t foreign[] = {
    0xf8, 0x7f, 0x01, 0x0a, 0x9b, 0x01, 0x12, 0x69, 0x0a, 0x05, 0x0a, 0x03, 0x6c, 0x69, 0x62, 0x12, 0x5b,
    0x10, 0x09, 0x1a, 0x04, 0x77, 0x61, 0x72, 0x6e, 0x32, 0x09, 0x12, 0x04, 0x0a, 0x02, 0x76, 0x31, 0x0a,
    0x01, 0x6b, 0x2a, 0x04, 0x0a, 0x02, 0x6e, 0x6f, 0x2a, 0x05, 0x3a, 0x03, 0x79, 0x65, 0x73, 0x38, 0x01,
    0x45, 0x01, 0x02, 0x03, 0x04, 0x4a, 0x10, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
    0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x59, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x09, 0xff,
    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x32, 0x09, 0x0a, 0x01, 0x6b, 0x12, 0x04, 0x0a, 0x02, 0x76,
    0x32, 0x32, 0x03, 0x0a, 0x01, 0x65, 0x1a, 0x03, 0x75, 0x72, 0x6c, 0x1a, 0x03, 0x75, 0x72, 0x6c, 0x0a,
    0x0c, 0x0a, 0x08, 0x0a, 0x01, 0x62, 0x12, 0x03, 0x0a, 0x01, 0x32, 0x10, 0x05, 0xc2, 0x3e, 0x01, 0x78,
    0x0a, 0x13, 0x0a, 0x08, 0x0a, 0x01, 0x61, 0x12, 0x03, 0x0a, 0x01, 0x31, 0x0a, 0x07, 0x0a, 0x01, 0x63,
    0x12, 0x02, 0x0a, 0x00, 0x12, 0x02, 0x12, 0x00};

static lp_rc
read_bytes(const void *p, size_t n, struct lp_batch *b)
{
    lp_err_clear(&why);
    char *copy = lp_malloc(n); /* of its own, so that a sanitizer sees a read past the end */
    memcpy(copy, p, n);
    lp_rc rc = lp_otlp_read(lp_str_of(copy, n), b, &why);
    lp_free(copy);
    return rc;
}

static void
writes_the_known_message(void)
{
    struct lp_batch *b = new_batch(RECEIVED);
    struct lp_pair meta = {LP_STR("k"), LP_STR("\xff")};
    uint32_t stream = stream_of(b, "app=x", "u", "");
    CU_ASSERT_EQUAL_FATAL(lp_batch_add(b, stream, 2, LP_STR("hi"), false, &meta, 1, NULL), LP_OK);
    CU_ASSERT_EQUAL_FATAL(lp_batch_add(b, stream, LP_TIME_NONE, LP_STR(""), false, NULL, 0, NULL), LP_OK);
    CU_ASSERT_EQUAL_FATAL(write_parts(b, 1000), LP_OK);
    CU_ASSERT_EQUAL_FATAL(nparts, 1);
    CU_ASSERT(lp_str_eq(parts[0].value, lp_str_of((const char *)known, sizeof(known))));
    struct lp_batch *again = new_batch(RECEIVED);
    CU_ASSERT_EQUAL(read_bytes(known, sizeof(known), again), LP_OK);
    CU_ASSERT(same(b, again) && again->untimed == 1);
    lp_batch_free(again);
    lp_batch_free(b);
}

static void
reads_what_others_may_write(void)
{
    struct lp_batch *b = new_batch(RECEIVED), *want = new_batch(RECEIVED);
    CU_ASSERT_EQUAL_FATAL(read_bytes(foreign, sizeof(foreign), b), LP_OK);
    add(want, "a=1,b=2", -1, LP_STR("yes"), "k=v2,e=");
    add(want, "a=1,b=2", LP_TIME_NONE, LP_STR(""), "");
    CU_ASSERT(same(b, want));
    CU_ASSERT_EQUAL(b->untimed, 1);
    lp_batch_free(b);
    lp_batch_free(want);
}

/* A batch with a row, so that a refused message can be seen to leave it alone. */
static struct lp_batch *
begun(void)
{
    struct lp_batch *b = new_batch(RECEIVED);
    add(b, "app=x", 1, LP_STR("before"), "k=v");
    return b;
}

static bool
untouched(const struct lp_batch *b)
{
    struct lp_batch *want = begun();
    bool ok = same(b, want) && b->nstreams == 1 && b->untimed == 0 && b->demoted == 0 &&
              b->streams[0].rows == 1 && b->streams[0].min_ns == 1 && b->streams[0].max_ns == 1;
    lp_batch_free(want);
    return ok;
}

static void
refuses(const char *what, const void *p, size_t n, lp_rc want)
{
    struct lp_batch *b = begun();
    lp_rc rc = read_bytes(p, n, b);
    if (rc != want || !untouched(b)) {
        fprintf(stderr, "%s: code %d\n", what, (int)rc);
    }
    CU_ASSERT_EQUAL(rc, want);
    CU_ASSERT(why.text[0] != 0 && untouched(b));
    lp_batch_free(b);
}

/* A resource with one label, and these bytes as the fields of a log record. */
static void
refuses_record(const char *what, const char *fields, size_t n)
{
    struct lp_buf record, logs, value;
    lp_buf_init(&record, 1 << 20);
    lp_buf_init(&logs, 1 << 20);
    lp_buf_init(&value, 1 << 20);
    lp_wire_put_bytes(&record, 2, lp_str_of(fields, n));
    lp_wire_put_bytes(&logs, 1, LP_STR("\x0a\x08\x0a\x01l\x12\x03\x0a\x01v"));
    lp_wire_put_bytes(&logs, 2, LP_STR("\x12\x06\x2a\x04\x0a\x02ok")); /* a good record comes first */
    lp_wire_put_bytes(&logs, 2, lp_buf_view(&record));
    lp_wire_put_bytes(&value, 1, lp_buf_view(&logs));
    refuses(what, value.p, value.n, LP_ERR_PARSE);
    lp_buf_clear(&record);
    lp_buf_clear(&logs);
    lp_buf_clear(&value);
}

#define RECORD(what, fields) refuses_record(what, fields, sizeof(fields) - 1)
#define VALUE(what, bytes) refuses(what, bytes, sizeof(bytes) - 1, LP_ERR_PARSE)

static void
refuses_what_it_cannot_keep(void)
{
    RECORD("body bool", "\x2a\x02\x10\x01");
    RECORD("body int", "\x2a\x02\x18\x01");
    RECORD("body double", "\x2a\x09\x21"
                          "12345678");
    RECORD("body array", "\x2a\x02\x2a\x00");
    RECORD("body key-value list", "\x2a\x02\x32\x00");
    RECORD("body index of a string", "\x2a\x02\x40\x01");
    RECORD("attribute int", "\x32\x07\x0a\x01k\x12\x02\x18\x01");
    RECORD("attribute array", "\x32\x07\x0a\x01k\x12\x02\x2a\x00");
    RECORD("time as varint", "\x08\x01");
    RECORD("time as bytes", "\x0a\x01x");
    RECORD("time that is none", "\x09\0\0\0\0\0\0\0\x80");
    RECORD("body as varint", "\x28\x01");
    RECORD("string as varint", "\x2a\x02\x08\x01");
    RECORD("bytes as varint", "\x2a\x02\x38\x01");
    RECORD("attribute as varint", "\x30\x01");
    RECORD("key as varint", "\x32\x02\x08\x01");
    RECORD("value as varint", "\x32\x02\x10\x01");
    RECORD("a group", "\x2b\x2c");
    RECORD("field 0", "\x00\x01");
    VALUE("text", "hello world");
    VALUE("resource logs as varint", "\x08\x01");
    VALUE("resource as varint", "\x0a\x02\x08\x01");
    VALUE("resource attribute as varint", "\x0a\x04\x0a\x02\x08\x01");
    VALUE("scope logs as varint", "\x0a\x0e\x0a\x0a\x0a\x08\x0a\x01l\x12\x03\x0a\x01v\x10\x01");
    VALUE("log record as varint", "\x0a\x10\x0a\x0a\x0a\x08\x0a\x01l\x12\x03\x0a\x01v\x12\x02\x10\x01");
    VALUE("no resource", "\x0a\x04\x12\x02\x12\x00");
    VALUE("no labels", "\x0a\x06\x0a\x00\x12\x02\x12\x00");
    VALUE("a label without a value", "\x0a\x0d\x0a\x07\x0a\x05\x0a\x01l\x12\x00\x12\x02\x12\x00");
    VALUE("an instance only", "\x0a\x1a\x0a\x14\x0a\x12\x0a\x0b__pod_uid__\x12\x03\x0a\x01u\x12\x02\x12\x00");
}

/* n times the attribute k="", in a resource (with a label l="v" or one too long too) or in its second record.
 */
static void
many_attributes(size_t n, bool in_record, bool long_label, struct lp_buf *value)
{
    struct lp_buf attrs, resource, scope, logs;
    struct lp_buf *all[] = {&attrs, &resource, &scope, &logs, value};
    static const char name[LP_LABEL_NAME_BYTES_MAX + 1] = {[0 ... LP_LABEL_NAME_BYTES_MAX] = 'n'};
    for (size_t i = 0; i < LP_ARRAY_LEN(all); i++) {
        lp_buf_init(all[i], 1 << 20);
    }
    for (size_t i = 0; i < n; i++) {
        lp_wire_put_bytes(&attrs, in_record ? 6 : 1, LP_STR("\x0a\x01k"));
    }
    lp_buf_str(&resource, LP_STR("\x0a\x08\x0a\x01l\x12\x03\x0a\x01v"));
    if (long_label) {
        lp_wire_put_head(&resource, 1, lp_wire_bytes_bytes(sizeof(name)) + 5);
        lp_wire_put_bytes(&resource, 1, lp_str_of(name, sizeof(name)));
        lp_buf_str(&resource, LP_STR("\x12\x03\x0a\x01v"));
    }
    lp_buf_str(&resource, in_record ? LP_STR_NULL : lp_buf_view(&attrs));
    lp_wire_put_bytes(&logs, 1, lp_buf_view(&resource));
    lp_wire_put_bytes(&scope, 2, LP_STR_NULL);
    lp_wire_put_bytes(&scope, 2, in_record ? lp_buf_view(&attrs) : LP_STR_NULL);
    lp_wire_put_bytes(&logs, 2, lp_buf_view(&scope));
    lp_wire_put_bytes(value, 1, lp_buf_view(&logs));
    for (size_t i = 0; i + 1 < LP_ARRAY_LEN(all); i++) {
        lp_buf_clear(all[i]);
    }
}

static void
attributes_are_limited(void)
{
    for (int kind = 0; kind < 3; kind++) { /* a resource's; a record's; a record's beside a demoted label */
        size_t most = LP_META_PAIRS_MAX - (kind != 1);
        struct lp_buf value;
        many_attributes(most, kind > 0, kind == 2, &value);
        struct lp_batch *b = begun();
        CU_ASSERT_EQUAL(read_bytes(value.p, value.n, b), LP_OK);
        CU_ASSERT_EQUAL(b->nrows, 3);
        lp_batch_free(b);
        for (size_t more = 1; more < 5; more++) {
            lp_buf_clear(&value);
            many_attributes(most + more, kind > 0, kind == 2, &value);
            refuses("too many attributes", value.p, value.n, LP_ERR_LIMIT);
        }
        lp_buf_clear(&value);
    }
}

static void
the_batchs_memory_is_a_limit(void)
{
    struct lp_batch *b = mixed(5000, 1, 1, 9);
    CU_ASSERT_EQUAL_FATAL(write_parts(b, SIZE_MAX), LP_OK);
    struct lp_batch *small = lp_batch_new(LP_STR_NULL, 50000, 0);
    CU_ASSERT_EQUAL(lp_otlp_read(parts[0].value, small, &why), LP_ERR_LIMIT);
    CU_ASSERT(small->ar.reserved <= 50000);
    lp_batch_free(small);
    lp_batch_free(b);
}

static void
damage_is_refused_or_read_whole(void)
{
    struct lp_batch *b = mixed(12, 1, 3, 11);
    CU_ASSERT_EQUAL_FATAL(write_parts(b, SIZE_MAX), LP_OK);
    CU_ASSERT_EQUAL_FATAL(nparts, 1);
    size_t n = parts[0].value.n, refused = 0, taken = 0;
    char *bytes = lp_malloc(n);
    memcpy(bytes, parts[0].value.p, n);
    for (size_t i = 0; i < n * 10; i++) { /* each bit, each byte inverted, each cut */
        size_t at = i / 10, size = i % 10 == 9 ? at : n;
        char flip = i % 10 < 8 ? (char)(1 << i % 10) : i % 10 == 8 ? (char)0xff : 0;
        struct lp_batch *got = begun();
        bytes[at] ^= flip;
        if (read_bytes(bytes, size, got) == LP_OK) {
            taken++;
            CU_ASSERT(got->nrows >= 1 && got->nrows <= 1 + b->nrows);
        } else {
            refused++;
            CU_ASSERT(untouched(got));
        }
        bytes[at] ^= flip;
        lp_batch_free(got);
    }
    CU_ASSERT(taken > n && refused > n); /* a flip in a line is read, one in a length is not */
    lp_free(bytes);
    lp_batch_free(b);
    drop_parts();
}

LP_SUITE(otlp, {"lines and times survive", lines_and_times_survive},
         {"labels and metadata survive", labels_and_metadata_survive},
         {"labels over the limits stay metadata", labels_over_the_limits_stay_metadata},
         {"mixed batches survive every cut", mixed_batches_survive_every_cut},
         {"parts are of one group and full", parts_are_of_one_group_and_full},
         {"groups come by first appearance", groups_come_by_first_appearance},
         {"the limit is exact", the_limit_is_exact},
         {"a record too large is refused before any part", a_record_too_large_is_refused_before_any_part},
         {"a failing callback ends it", a_failing_callback_ends_it},
         {"parts do not depend on receipt", parts_do_not_depend_on_receipt},
         {"a time equal to receipt is a time", a_time_equal_to_receipt_is_a_time},
         {"very many streams", very_many_streams}, {"writes the known message", writes_the_known_message},
         {"reads what others may write", reads_what_others_may_write},
         {"refuses what it cannot keep", refuses_what_it_cannot_keep},
         {"attributes are limited", attributes_are_limited},
         {"the batch's memory is a limit", the_batchs_memory_is_a_limit},
         {"damage is refused or read whole", damage_is_refused_or_read_whole});
