/*
 * test_catalog.c - oracle: streams, values and groups in plain arrays; the catalog must say the same of them,
 * however many transactions they came in, and after it was brought here from format 1.
 */
#include "store/catalog.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/bytes.h"
#include "store/catalog_int.h"
#include "tests/unit/store_fixture.h"

#define STREAMS 6000
#define LABELS 5

struct made {
    struct lp_str key;
    struct lp_str values[LABELS]; /* p NULL: without the label */
    uint64_t group;
    bool second; /* of the tenant `two` */
};

struct world {
    struct lp_arena ar;
    struct made v[STREAMS];
    size_t n;
    struct lp_catalog *cat;
    uint64_t seed, generation;
};

static const char *const names[LABELS] = {"app", "env", "pod", "text", "zone"};

static struct lp_str
keep(struct world *w, const char *p, size_t n)
{
    struct lp_str kept;
    bool ok = lp_arena_str(&w->ar, lp_str_of(p, n), &kept);
    LP_ASSERT(ok);
    return kept;
}

/* Few and many values; values over 200 bytes that differ behind it alone; bytes that keys escape. */
static struct lp_str
make_value(struct world *w, size_t label)
{
    char text[400];
    unsigned r = lp_test_below(&w->seed, 1000);
    int n = 0;
    switch (label) {
    case 0:
        n = snprintf(text, sizeof(text), "app-%u", r % 37);
        break;
    case 1:
        n = snprintf(text, sizeof(text), "%s", r % 2 ? "prod" : "test");
        break;
    case 2:
        n = snprintf(text, sizeof(text), "pod-%zx-%u", w->n, r);
        break;
    case 3:
        memset(text, 'x', sizeof(text));
        n = 190 + (int)(r % 21);
        text[n - 1] = (char)('a' + r % 3);
        break;
    default:
        n = (int)(r % 4) + 1;
        for (int i = 0; i < n; i++) {
            text[i] = (char)((r >> i) % 3);
        }
    }
    return keep(w, text, (size_t)n);
}

static void
make_stream(struct world *w)
{
    struct made *m = &w->v[w->n];
    struct lp_buf b;
    uint64_t has = lp_test_below(&w->seed, 32) | 4; /* pod: so that no two are equal */
    lp_buf_init(&b, SIZE_MAX);
    m->second = lp_test_below(&w->seed, 10) == 0;
    m->group = 1 + lp_test_below(&w->seed, 23) * 2 + m->second;
    lp_buf_lpstr(&b, m->second ? LP_STR("two") : LP_STR_NULL);
    lp_buf_varint(&b, (uint64_t)__builtin_popcountll(has));
    for (size_t i = 0; i < LABELS; i++) {
        m->values[i] = (has >> i & 1) != 0 ? make_value(w, i) : LP_STR_NULL;
        if (m->values[i].p != NULL) {
            lp_buf_lpstr(&b, lp_str_c(names[i]));
            lp_buf_lpstr(&b, m->values[i]);
        }
    }
    lp_buf_lpstr(&b, LP_STR_NULL);
    lp_buf_lpstr(&b, LP_STR_NULL);
    m->key = keep(w, b.p, b.n);
    lp_buf_clear(&b);
    w->n++;
}

static void
commit(struct world *w, size_t n)
{
    struct lp_cat_new_stream *s = lp_calloc(n, sizeof(*s));
    for (size_t i = 0; i < n; i++) {
        make_stream(w);
        const struct made *m = &w->v[w->n - 1];
        s[i] = (struct lp_cat_new_stream){w->n, m->group, lp_xxh128(m->key.p, m->key.n), m->key};
    }
    struct lp_cat_commit c = {.streams = s, .nstreams = n};
    c.segment.generation = ++w->generation;
    c.segment.id = w->generation;
    CU_ASSERT_EQUAL_FATAL(lp_catalog_commit(w->cat, &c, NULL), LP_OK);
    lp_free(s);
}

static void
check_set(const struct world *w, const struct lp_idset *set,
          bool (*want)(const struct made *m, const void *arg), const void *arg)
{
    for (size_t i = 0; i < w->n; i++) {
        if (lp_idset_has(set, i + 1) != want(&w->v[i], arg)) {
            CU_FAIL_FATAL("a posting");
        }
    }
    CU_ASSERT_FALSE(lp_idset_has(set, 0));
}

struct question {
    size_t label;
    bool second;
    uint64_t group;
    struct lp_str value;
};

static bool
has_value(const struct made *m, const void *arg)
{
    const struct question *q = arg;
    return m->second == q->second && m->values[q->label].p != NULL &&
           lp_str_eq(m->values[q->label], q->value);
}

static bool
has_label(const struct made *m, const void *arg)
{
    const struct question *q = arg;
    return m->second == q->second && m->values[q->label].p != NULL;
}

static bool
of_tenant(const struct made *m, const void *arg)
{
    return m->second == ((const struct question *)arg)->second;
}

static bool
in_group(const struct made *m, const void *arg)
{
    const struct question *q = arg;
    return m->second == q->second && m->group == q->group;
}

struct values {
    const struct world *w;
    struct lp_cat_txn *t;
    struct question q;
    size_t n, limit;
};

static bool
check_value(void *arg, struct lp_str value, const struct lp_cat_posting *p)
{
    struct values *v = arg;
    struct lp_idset set;
    v->n++;
    if (v->n % 17 == 1 || v->q.label != 2) { /* a posting for each pod: some of them */
        v->q.value = value;
        lp_idset_init(&set, v->limit);
        CU_ASSERT_EQUAL_FATAL(lp_cat_posting_add(v->t, p, &set, NULL), LP_OK);
        check_set(v->w, &set, has_value, &v->q);
        lp_idset_clear(&set);
        lp_idset_init(&set, v->limit);
        CU_ASSERT_EQUAL_FATAL(lp_cat_value_ids(v->t, v->q.second, (uint32_t)v->q.group, value, &set, NULL),
                              LP_OK);
        check_set(v->w, &set, has_value, &v->q);
        lp_idset_clear(&set);
    }
    return true;
}

static int
by_bytes(const void *a, const void *b)
{
    return lp_str_cmp(*(const struct lp_str *)a, *(const struct lp_str *)b);
}

static size_t
distinct(const struct world *w, const struct question *q)
{
    struct lp_str *v = lp_malloc(w->n * sizeof(*v));
    size_t n = 0, kept = 0;
    for (size_t i = 0; i < w->n; i++) {
        if (has_label(&w->v[i], q)) {
            v[n++] = w->v[i].values[q->label];
        }
    }
    qsort(v, n, sizeof(*v), by_bytes);
    for (size_t i = 0; i < n; i++) {
        kept += i == 0 || !lp_str_eq(v[i], v[i - 1]);
    }
    lp_free(v);
    return kept;
}

static void
check_label(const struct world *w, struct lp_cat_txn *t, size_t label, bool second, size_t limit)
{
    struct values v = {.w = w, .t = t, .q = {.label = label, .second = second}, .limit = limit};
    uint32_t tenant, number;
    struct lp_idset set;
    CU_ASSERT_EQUAL_FATAL(lp_cat_tenant(t, second ? LP_STR("two") : LP_STR_NULL, &tenant, NULL), LP_OK);
    CU_ASSERT_EQUAL(tenant, second);
    CU_ASSERT_EQUAL_FATAL(lp_cat_label(t, tenant, lp_str_c(names[label]), &number, NULL), LP_OK);
    v.q.group = number;
    CU_ASSERT_EQUAL(
        lp_cat_values(t, tenant, lp_str_c(names[label]), number, LP_STR_NULL, check_value, &v, NULL), LP_OK);
    CU_ASSERT_EQUAL(v.n, distinct(w, &v.q));
    lp_idset_init(&set, limit);
    CU_ASSERT_EQUAL(lp_cat_label_ids(t, tenant, number, &set, NULL), LP_OK);
    check_set(w, &set, has_label, &v.q);
    lp_idset_clear(&set);
    lp_idset_init(&set, limit);
    CU_ASSERT_EQUAL(lp_cat_tenant_ids(t, tenant, &set, NULL), LP_OK);
    check_set(w, &set, of_tenant, &v.q);
    lp_idset_clear(&set);
}

struct groups {
    const struct world *w;
    struct lp_cat_txn *t;
    bool second;
    size_t limit, n;
};

static bool
check_group(void *arg, uint64_t group, const struct lp_cat_posting *p)
{
    struct groups *g = arg;
    struct question q = {.second = g->second, .group = group};
    struct lp_idset set;
    lp_idset_init(&set, g->limit);
    CU_ASSERT_EQUAL(lp_cat_posting_add(g->t, p, &set, NULL), LP_OK);
    check_set(g->w, &set, in_group, &q);
    lp_idset_clear(&set);
    g->n++;
    return true;
}

static void
check_streams(const struct world *w, struct lp_cat_txn *t)
{
    struct lp_cat_pack pack;
    uint64_t id, group;
    struct lp_str key;
    lp_cat_pack_init(&pack);
    for (size_t i = 0; i < w->n; i++) {
        const struct made *m = &w->v[i];
        CU_ASSERT_EQUAL_FATAL(lp_cat_stream(t, i + 1, &pack, &group, &key, NULL), LP_OK);
        CU_ASSERT_TRUE_FATAL(group == m->group && lp_str_eq(key, m->key));
        CU_ASSERT_EQUAL_FATAL(lp_cat_stream_group(t, i + 1, &group, NULL), LP_OK);
        CU_ASSERT_EQUAL(group, m->group);
        group = 0;
        CU_ASSERT_EQUAL_FATAL(lp_cat_find_stream(t, lp_xxh128(m->key.p, m->key.n), &id, &group, NULL), LP_OK);
        CU_ASSERT_TRUE(id == i + 1 && group == m->group);
    }
    CU_ASSERT_EQUAL(lp_cat_stream(t, 0, &pack, &group, &key, NULL), LP_ERR_CORRUPT);
    CU_ASSERT_EQUAL(lp_cat_stream(t, w->n + 1, &pack, &group, &key, NULL), LP_ERR_CORRUPT);
    CU_ASSERT_EQUAL(lp_cat_find_stream(t, lp_xxh128("?", 1), &id, &group, NULL), LP_ERR_NOT_FOUND);
    lp_cat_pack_clear(&pack);
}

static void
check_all(const struct world *w)
{
    struct lp_cat_txn *t;
    struct lp_cat_counters n;
    CU_ASSERT_EQUAL_FATAL(lp_cat_begin(w->cat, &t, NULL), LP_OK);
    CU_ASSERT_EQUAL_FATAL(lp_cat_counters(t, &n, NULL), LP_OK);
    CU_ASSERT_EQUAL(n.next_stream, w->n + 1);
    check_streams(w, t);
    for (size_t i = 0; i < 2 * LABELS; i++) {
        check_label(w, t, i / 2, i % 2, n.next_stream);
    }
    for (uint32_t tenant = 0; tenant < 2; tenant++) {
        struct groups g = {w, t, tenant, n.next_stream, 0};
        CU_ASSERT_EQUAL(lp_cat_groups(t, tenant, check_group, &g, NULL), LP_OK);
        CU_ASSERT(g.n > 5 && g.n <= 23);
    }
    lp_cat_end(t);
}

/* In a few large transactions and many small ones: rows are cut, postings outgrow their place in them. */
static void
what_is_added_is_found(void)
{
    struct world *w = lp_calloc(1, sizeof(*w));
    w->seed = 3;
    lp_arena_init(&w->ar, SIZE_MAX, 1 << 15);
    const char *dir = lp_test_dir();
    CU_ASSERT_EQUAL_FATAL(lp_catalog_open(lp_io_posix(), dir, true, &w->cat, NULL), LP_OK);
    static const size_t sizes[] = {1, 900, 1, 62, 63, 64, 65, 2000, 3, 700};
    for (size_t i = 0; i < LP_ARRAY_LEN(sizes); i++) {
        commit(w, sizes[i]);
    }
    check_all(w);
    while (w->n < 4500) {
        commit(w, 1 + lp_test_below(&w->seed, 30));
    }
    lp_catalog_close(w->cat);
    CU_ASSERT_EQUAL_FATAL(lp_catalog_open(lp_io_posix(), dir, false, &w->cat, NULL), LP_OK);
    check_all(w);
    lp_catalog_close(w->cat);
    lp_arena_clear(&w->ar);
    lp_free(w);
}

static lp_rc
count_entry(void *arg, struct lp_str key, struct lp_str value, bool *stop, struct lp_err *err)
{
    (void)value, (void)err;
    CU_ASSERT_EQUAL(key.n, 16);
    ++*(size_t *)arg;
    *stop = false;
    return LP_OK;
}

/* New hashes wait in small maps and move on, an eighth with each commit: each is in one place, few wait. */
static void
hashes_move_to_the_large_map(void)
{
    struct world *w = lp_calloc(1, sizeof(*w));
    struct lp_cat_txn *t;
    size_t entries[9] = {0}, total = 0;
    w->seed = 4;
    lp_arena_init(&w->ar, SIZE_MAX, 1 << 15);
    CU_ASSERT_EQUAL_FATAL(lp_catalog_open(lp_io_posix(), lp_test_dir(), true, &w->cat, NULL), LP_OK);
    while (w->n < 4000) {
        commit(w, 100);
    }
    CU_ASSERT_EQUAL_FATAL(lp_cat_begin(w->cat, &t, NULL), LP_OK);
    for (char map = 0; map < 9; map++) {
        CU_ASSERT_EQUAL(lp_pack_walk(t->txn, w->cat, LP_DB_HASHES, lp_str_of(&map, 1), LP_CAT_HASH_PREFIX,
                                     count_entry, &entries[(size_t)map], NULL),
                        LP_OK);
        total += entries[(size_t)map];
    }
    CU_ASSERT_EQUAL(total, w->n);
    CU_ASSERT_EQUAL(entries[1 + w->generation % 8], 0);      /* just moved */
    CU_ASSERT(entries[1 + (w->generation + 1) % 8] > 7 * 4); /* seven commits' share; 12 or so of 100 each */
    CU_ASSERT(w->n - entries[0] < 8 * 100 / 2 + 100);
    lp_cat_end(t);
    check_all(w);
    lp_catalog_close(w->cat);
    lp_arena_clear(&w->ar);
    lp_free(w);
}

/* Ids every other one, and far apart: chunks as bits, postings over several chunks. */
static void
a_long_posting_is_read_as_it_was_written(void)
{
    enum { N = 150000 };
    struct lp_catalog *cat;
    struct lp_cat_txn *t;
    struct lp_idset set;
    struct lp_buf b;
    struct lp_cat_new_stream *s = lp_calloc(N / 3, sizeof(*s));
    lp_buf_init(&b, SIZE_MAX);
    lp_buf_reserve(&b, N * 40);
    CU_ASSERT_EQUAL_FATAL(lp_catalog_open(lp_io_posix(), lp_test_dir(), true, &cat, NULL), LP_OK);
    for (uint64_t i = 0, generation = 0; generation < 3; generation++) {
        for (size_t k = 0; k < N / 3; k++, i++) {
            size_t at = b.n;
            char pod[24];
            snprintf(pod, sizeof(pod), "%llu", (unsigned long long)i);
            lp_buf_lpstr(&b, LP_STR_NULL);
            lp_buf_varint(&b, 2);
            lp_buf_lpstr(&b, LP_STR("odd"));
            lp_buf_lpstr(&b, i % 2 ? LP_STR("yes") : LP_STR("no"));
            lp_buf_lpstr(&b, LP_STR("pod"));
            lp_buf_lpstr(&b, lp_str_c(pod));
            lp_buf_lpstr(&b, LP_STR_NULL);
            lp_buf_lpstr(&b, LP_STR_NULL);
            struct lp_str key = lp_str_of(b.p + at, b.n - at);
            s[k] = (struct lp_cat_new_stream){i + 1, 1, lp_xxh128(key.p, key.n), key};
        }
        struct lp_cat_commit c = {.streams = s, .nstreams = N / 3, .segment = {.generation = generation + 1}};
        CU_ASSERT_EQUAL_FATAL(lp_catalog_commit(cat, &c, NULL), LP_OK);
    }
    CU_ASSERT_EQUAL_FATAL(lp_cat_begin(cat, &t, NULL), LP_OK);
    uint32_t label;
    CU_ASSERT_EQUAL_FATAL(lp_cat_label(t, 0, LP_STR("odd"), &label, NULL), LP_OK);
    lp_idset_init(&set, N + 1);
    CU_ASSERT_EQUAL(lp_cat_value_ids(t, 0, label, LP_STR("yes"), &set, NULL), LP_OK);
    CU_ASSERT_EQUAL(lp_idset_count(&set), N / 2);
    for (uint64_t i = 0; i < N; i++) {
        if (lp_idset_has(&set, i + 1) != (i % 2 == 1)) {
            CU_FAIL_FATAL("an id");
        }
    }
    CU_ASSERT_EQUAL(lp_cat_value_ids(t, 0, label, LP_STR("no"), &set, NULL), LP_OK);
    CU_ASSERT_EQUAL(lp_idset_count(&set), N); /* with the last id of each chunk */
    lp_idset_clear(&set);
    for (int all = 0; all < 2; all++) { /* one run, over the ends of chunks */
        lp_idset_init(&set, N + 1);
        CU_ASSERT_EQUAL(all ? lp_cat_tenant_ids(t, 0, &set, NULL) : lp_cat_label_ids(t, 0, label, &set, NULL),
                        LP_OK);
        CU_ASSERT_EQUAL(lp_idset_count(&set), N);
        lp_idset_clear(&set);
    }
    lp_cat_end(t);
    lp_catalog_close(cat);
    lp_free(s);
    lp_buf_clear(&b);
}

static void
copy_file(const char *from, const char *to)
{
    FILE *in = fopen(from, "rb"), *out = fopen(to, "wb");
    CU_ASSERT_TRUE_FATAL(in != NULL && out != NULL);
    for (int c; (c = fgetc(in)) != EOF;) {
        fputc(c, out);
    }
    fclose(in);
    fclose(out);
}

static bool
count_label(void *arg, struct lp_str name, uint32_t label)
{
    *(size_t *)arg += name.n > 0 && label > 0;
    return true;
}

/* A catalog of format 1: every stream is there under its old id, in its postings, and found by its hash. */
static void
a_catalog_of_format_1_is_brought_here(void)
{
    const char *dir = lp_test_dir();
    char from[512], to[512];
    struct lp_catalog *cat;
    struct lp_cat_txn *t;
    struct lp_cat_counters n;
    snprintf(from, sizeof(from), "%s/format/v2/data/catalog/data.mdb", lp_test_data());
    snprintf(to, sizeof(to), "%s/catalog", dir);
    CU_ASSERT_EQUAL_FATAL(lp_io_mkdir(lp_io_posix(), to, NULL), LP_OK);
    snprintf(to, sizeof(to), "%s/catalog/data.mdb", dir);
    copy_file(from, to);
    for (int again = 0; again < 2; again++) {
        size_t labels = 0;
        struct lp_idset all, seen;
        struct lp_cat_pack pack;
        struct lp_arena ar;
        CU_ASSERT_EQUAL_FATAL(lp_catalog_open(lp_io_posix(), dir, false, &cat, NULL), LP_OK);
        CU_ASSERT_EQUAL_FATAL(lp_cat_begin(cat, &t, NULL), LP_OK);
        CU_ASSERT_EQUAL_FATAL(lp_cat_counters(t, &n, NULL), LP_OK);
        CU_ASSERT_EQUAL(lp_cat_labels(t, 0, count_label, &labels, NULL), LP_OK);
        CU_ASSERT(labels > 2);
        lp_idset_init(&all, n.next_stream);
        lp_idset_init(&seen, n.next_stream);
        lp_cat_pack_init(&pack);
        lp_arena_init(&ar, 1 << 20, 0);
        CU_ASSERT_EQUAL(lp_cat_tenant_ids(t, 0, &all, NULL), LP_OK);
        CU_ASSERT_EQUAL(lp_idset_count(&all), n.next_stream - 1);
        for (uint64_t id = 1; id < n.next_stream; id++) {
            uint64_t group, found, its;
            uint32_t label;
            struct lp_str key;
            struct lp_stream_key k;
            CU_ASSERT_EQUAL_FATAL(lp_cat_stream(t, id, &pack, &group, &key, NULL), LP_OK);
            CU_ASSERT_EQUAL_FATAL(lp_cat_find_stream(t, lp_xxh128(key.p, key.n), &found, &its, NULL), LP_OK);
            CU_ASSERT(found == id && its == group);
            CU_ASSERT_EQUAL_FATAL(lp_stream_key_parse(key, &ar, &k, NULL), LP_OK);
            for (size_t i = 0; i < k.nlabels; i++) {
                struct lp_idset set;
                lp_idset_init(&set, n.next_stream);
                CU_ASSERT_EQUAL_FATAL(lp_cat_label(t, 0, k.labels[i].name, &label, NULL), LP_OK);
                CU_ASSERT_EQUAL(lp_cat_value_ids(t, 0, label, k.labels[i].value, &set, NULL), LP_OK);
                CU_ASSERT(lp_idset_has(&set, id));
                lp_idset_clear(&set);
            }
            CU_ASSERT_EQUAL(lp_cat_group_ids(t, 0, group, &seen, NULL), LP_OK);
        }
        CU_ASSERT(lp_idset_within(&all, &seen));
        lp_cat_pack_clear(&pack);
        lp_arena_clear(&ar);
        lp_idset_clear(&all);
        lp_idset_clear(&seen);
        lp_cat_end(t);
        lp_catalog_close(cat);
    }
}

/* Rows whose checksum holds and that say what no writer says: refused, whatever they would overrun. */
static int
write_strange(MDB_txn *txn, struct lp_catalog *cat, void *arg, struct lp_err *err)
{
    struct lp_cat_key k = {.n = 0};
    struct lp_buf b;
    (void)arg;
    (void)err;
    lp_buf_init(&b, SIZE_MAX);
    lp_buf_u8(&b, 255); /* slots; a pack has 64 */
    lp_buf_varint(&b, 255);
    lp_buf_varint(&b, UINT64_MAX);
    lp_buf_u8(&b, 0);
    lp_buf_varint(&b, 255);
    for (int i = 0; i < 255; i++) {
        lp_buf_u8(&b, 0);
    }
    lp_key_u64(&k, 0);
    int rc = lp_cat_put(txn, cat, LP_DB_PACKS, &k, lp_buf_view(&b));
    k.n = 0;
    lp_key_u64(&k, 7); /* a chunk of posting 7 without its number */
    lp_buf_reset(&b);
    lp_buf_u8(&b, 0);
    rc = rc == 0 ? lp_cat_put(txn, cat, LP_DB_CHUNKS, &k, lp_buf_view(&b)) : rc;
    k.n = 0;
    k.b[k.n++] = 1; /* in the first of the small maps, a hash of 17 bytes */
    lp_buf_reset(&b);
    lp_buf_varint(&b, 0);
    lp_buf_lpstr(&b, LP_STR("0123456789abcdefg"));
    lp_buf_lpstr(&b, LP_STR("\x01\x01"));
    rc = rc == 0 ? lp_cat_put(txn, cat, LP_DB_HASHES, &k, lp_buf_view(&b)) : rc;
    lp_buf_clear(&b);
    return rc;
}

static void
nothing(void *arg, uint64_t first, uint64_t end)
{
    (void)arg, (void)first, (void)end;
}

static void
strange_rows_are_refused(void)
{
    struct lp_catalog *cat;
    struct lp_cat_txn *t;
    struct lp_cat_pack pack;
    struct lp_cat_posting posting = {LP_STR("\x01\x07")};
    struct lp_str key;
    uint64_t group;
    struct lp_cat_new_stream new = {1, 1, lp_xxh128("k", 1), LP_STR("\0\0\0\0")};
    struct lp_cat_commit c = {.streams = &new, .nstreams = 1, .segment = {.generation = 8, .id = 1}};
    CU_ASSERT_EQUAL_FATAL(lp_catalog_open(lp_io_posix(), lp_test_dir(), true, &cat, NULL), LP_OK);
    CU_ASSERT_EQUAL_FATAL(lp_cat_write(cat, write_strange, NULL, NULL), LP_OK);
    CU_ASSERT_EQUAL_FATAL(lp_cat_begin(cat, &t, NULL), LP_OK);
    lp_cat_pack_init(&pack);
    CU_ASSERT_EQUAL(lp_cat_stream_group(t, 3, &group, NULL), LP_ERR_CORRUPT);
    CU_ASSERT_EQUAL(lp_cat_stream(t, 3, &pack, &group, &key, NULL), LP_ERR_CORRUPT);
    CU_ASSERT_EQUAL(lp_cat_posting_runs(t, &posting, 100, nothing, NULL, NULL), LP_ERR_CORRUPT);
    lp_cat_pack_clear(&pack);
    lp_cat_end(t);
    CU_ASSERT_EQUAL(lp_catalog_commit(cat, &c, NULL), LP_ERR_CORRUPT); /* the eighth generation moves it */
    lp_catalog_close(cat);
}

LP_SUITE(catalog, {"what is added is found", what_is_added_is_found},
         {"hashes move to the large map", hashes_move_to_the_large_map},
         {"a long posting is read as it was written", a_long_posting_is_read_as_it_was_written},
         {"a catalog of format 1 is brought here", a_catalog_of_format_1_is_brought_here},
         {"strange rows are refused", strange_rows_are_refused});
