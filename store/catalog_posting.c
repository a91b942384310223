/*
 * catalog_posting.c - postings: which streams have a label, a value, a group (FORMAT.md section 4.2).
 *
 * Ids are written as runs, because new streams are numbered by group and key: most postings are a few runs.
 * A short posting stands in the map of values itself; a longer one in `chunks`, by 65,536 ids, so that adding
 * to it writes its last chunk alone. New ids are always larger than all that are there.
 */
#include <string.h>

#include "store/catalog_int.h"

#define INLINE_BYTES 64u
#define BITMAP_BYTES 8192u

enum { POSTING_INLINE = 0, POSTING_CHUNKS = 1 };
enum { CHUNK_RUNS = 0, CHUNK_BITMAP = 1 };

struct run {
    uint64_t first, end;
};

struct runs {
    struct run *v;
    size_t n, cap;
};

void
lp_key_value(struct lp_cat_key *k, uint32_t tenant, uint32_t label)
{
    k->n = 0;
    lp_key_u32(k, tenant);
    lp_key_u32(k, label);
}

static void
chunk_key(struct lp_cat_key *k, uint64_t number, uint64_t chunk)
{
    k->n = 0;
    lp_key_u64(k, number);
    lp_key_u64(k, chunk);
}

/* ------------------------------------------------------------------ runs */

static void
add_run(struct runs *r, uint64_t first, uint64_t end)
{
    if (r->n > 0 && r->v[r->n - 1].end == first) {
        r->v[r->n - 1].end = end;
        return;
    }
    if (r->n == r->cap) {
        r->cap = r->cap ? r->cap * 2 : 16;
        r->v = lp_realloc(r->v, r->cap * sizeof(*r->v));
    }
    r->v[r->n++] = (struct run){first, end};
}

static void
put_runs(struct lp_buf *out, const struct run *v, size_t n, uint64_t base)
{
    for (size_t i = 0; i < n; i++) {
        bool more = v[i].end - v[i].first > 1;
        lp_buf_varint(out, (v[i].first - base) << 1 | more);
        if (more) {
            lp_buf_varint(out, v[i].end - v[i].first - 2);
        }
        base = v[i].end;
    }
}

/* The next run behind *base; false at the end and on bad bytes (rd->bad). */
static bool
get_run(struct lp_rd *rd, uint64_t *base, uint64_t limit, struct run *ret)
{
    if (lp_rd_left(rd) == 0) {
        return false;
    }
    uint64_t v = lp_rd_varint(rd), more = (v & 1) != 0 ? lp_rd_varint(rd) : 0;
    uint64_t n = (v & 1) != 0 ? 2 : 1;
    if (rd->bad || v >> 1 >= limit - *base || more > limit - *base - (v >> 1) ||
        n > limit - *base - (v >> 1) - more) {
        rd->bad = true;
        return false;
    }
    ret->first = *base + (v >> 1);
    *base = ret->end = ret->first + n + more;
    return true;
}

/* ------------------------------------------------------------------ chunks */

static bool
get_chunk(struct lp_str value, uint64_t chunk, struct runs *ret)
{
    uint64_t base = chunk << LP_IDCHUNK_BITS;
    struct lp_rd rd = lp_rd_of(value);
    uint8_t kind = lp_rd_u8(&rd);
    if (kind == CHUNK_RUNS) {
        struct run run;
        uint64_t at = base;
        while (get_run(&rd, &at, base + 0x10000, &run)) {
            add_run(ret, run.first, run.end);
        }
        return !rd.bad;
    }
    struct lp_str bits = lp_rd_bytes(&rd, BITMAP_BYTES);
    for (uint32_t i = 0; i < BITMAP_BYTES && !rd.bad; i++) {
        for (uint8_t left = (uint8_t)bits.p[i]; left != 0; left &= (uint8_t)(left - 1)) {
            uint64_t id = base + i * 8 + (uint64_t)__builtin_ctz(left);
            add_run(ret, id, id + 1);
        }
    }
    return kind == CHUNK_BITMAP && !rd.bad && lp_rd_left(&rd) == 0;
}

static void
put_chunk(struct lp_buf *out, const struct run *v, size_t n, uint64_t chunk)
{
    uint64_t base = chunk << LP_IDCHUNK_BITS;
    lp_buf_reset(out);
    lp_buf_u8(out, CHUNK_RUNS);
    put_runs(out, v, n, base);
    if (out->n > 1 + BITMAP_BYTES) {
        static const char zero[BITMAP_BYTES];
        lp_buf_reset(out);
        lp_buf_u8(out, CHUNK_BITMAP);
        lp_buf_add(out, zero, sizeof(zero));
        for (size_t i = 0; i < n; i++) {
            for (uint64_t id = v[i].first - base; id < v[i].end - base; id++) {
                out->p[1 + id / 8] = (char)((uint8_t)out->p[1 + id / 8] | 1u << (id % 8));
            }
        }
    }
}

/* Merges the runs, which lie behind what is there, into the chunks of posting `number`. */
static int
put_chunks(MDB_txn *txn, struct lp_catalog *cat, uint64_t number, const struct runs *runs, struct lp_err *err)
{
    struct lp_buf out;
    struct runs part = {NULL, 0, 0};
    int rc = 0;
    lp_buf_init(&out, SIZE_MAX);
    for (size_t i = 0; i < runs->n && rc == 0;) {
        struct lp_cat_key k;
        struct lp_str have;
        uint64_t chunk = runs->v[i].first >> LP_IDCHUNK_BITS, end = (chunk + 1) << LP_IDCHUNK_BITS;
        part.n = 0;
        chunk_key(&k, number, chunk);
        lp_rc got = lp_cat_get(txn, cat, LP_DB_CHUNKS, &k, &have, err);
        if (got != LP_ERR_NOT_FOUND && (got != LP_OK || !get_chunk(have, chunk, &part))) {
            rc = MDB_CORRUPTED;
            break;
        }
        lp_err_clear(err);
        while (i < runs->n && runs->v[i].first < end) {
            add_run(&part, runs->v[i].first, LP_MIN(runs->v[i].end, end));
            if (runs->v[i].end > end) {
                runs->v[i].first = end;
                break;
            }
            i++;
        }
        put_chunk(&out, part.v, part.n, chunk);
        rc = lp_cat_put(txn, cat, LP_DB_CHUNKS, &k, lp_buf_view(&out));
    }
    lp_free(part.v);
    lp_buf_clear(&out);
    return rc;
}

int
lp_posting_merge(void *arg, MDB_txn *txn, struct lp_catalog *cat, struct lp_str have,
                 const struct lp_pack_add *adds, size_t n, struct lp_buf *out, struct lp_err *err)
{
    struct runs runs = {NULL, 0, 0};
    struct lp_rd rd = lp_rd_of(have);
    uint64_t at = 0, number = 0;
    struct run run;
    int rc = 0;
    (void)arg;
    bool chunks = have.p != NULL && lp_rd_u8(&rd) == POSTING_CHUNKS;
    if (chunks) {
        number = lp_rd_varint(&rd);
    }
    while (have.p != NULL && !chunks && get_run(&rd, &at, UINT64_MAX, &run)) {
        add_run(&runs, run.first, run.end);
    }
    for (size_t i = 0; i < n; i++) {
        add_run(&runs, adds[i].first, adds[i].end);
    }
    if (rd.bad) {
        (void)lp_pack_bad(LP_DB_VALUES, err);
        rc = MDB_CORRUPTED;
    } else if (!chunks) {
        lp_buf_u8(out, POSTING_INLINE);
        put_runs(out, runs.v, runs.n, 0);
        if (out->n > INLINE_BYTES) {
            chunks = true;
            rc = lp_cat_get_counter(txn, cat, "next_posting", &number, err);
            rc = rc == 0 ? lp_cat_put_counter(txn, cat, "next_posting", number + 1) : rc;
        }
    }
    if (rc == 0 && chunks) {
        lp_buf_reset(out);
        lp_buf_u8(out, POSTING_CHUNKS);
        lp_buf_varint(out, number);
        rc = put_chunks(txn, cat, number, &runs, err);
    }
    lp_free(runs.v);
    return rc;
}

/* ------------------------------------------------------------------ reading */

struct chunk_walk {
    uint64_t limit;
    lp_cat_run_fn fn;
    void *arg;
};

/* Calls fn for the runs of set bits. */
static void
each_bit_run(struct lp_str bits, uint64_t base, const struct chunk_walk *w)
{
    uint64_t first = 0, end = 0; /* the run that may go on */
    for (uint64_t at = 0; at < bits.n * 8; at += 64) {
        for (uint64_t left = lp_get_u64(bits.p + at / 8); left != 0;) {
            uint64_t skip = (uint64_t)__builtin_ctzll(left), n = (uint64_t)__builtin_ctzll(~(left >> skip));
            n = ~(left >> skip) == 0 ? 64 : n;
            uint64_t id = base + at + skip;
            if (id != end && end > first) {
                w->fn(w->arg, first, end);
            }
            first = id != end ? id : first;
            end = id + n;
            left = skip + n < 64 ? left & UINT64_MAX << (skip + n) : 0;
        }
    }
    if (end > first) {
        w->fn(w->arg, first, end);
    }
}

/* Behind the last id that is set. */
static uint64_t
bits_end(struct lp_str bits, uint64_t base)
{
    uint64_t at = bits.n * 8;
    while (at > 0 && lp_get_u64(bits.p + at / 8 - 8) == 0) {
        at -= 64;
    }
    return at == 0 ? base : base + at - (uint64_t)__builtin_clzll(lp_get_u64(bits.p + at / 8 - 8));
}

static lp_rc
visit_chunk(void *arg, const MDB_val *key, struct lp_str value, bool *stop, struct lp_err *err)
{
    const struct chunk_walk *w = arg;
    struct lp_rd rd = lp_rd_of(value);
    (void)stop;
    if (key->mv_size != 16) {
        return lp_pack_bad(LP_DB_CHUNKS, err);
    }
    uint64_t chunk = lp_get_be64((const uint8_t *)key->mv_data + 8), base = chunk << LP_IDCHUNK_BITS;
    if (w->limit == 0 || chunk > (w->limit - 1) >> LP_IDCHUNK_BITS) {
        return lp_pack_bad(LP_DB_CHUNKS, err);
    }
    uint64_t end = LP_MIN(w->limit, base + 0x10000);
    if (lp_rd_u8(&rd) == CHUNK_RUNS) {
        struct run run;
        uint64_t at = base;
        while (get_run(&rd, &at, end, &run)) {
            w->fn(w->arg, run.first, run.end);
        }
        return rd.bad ? lp_pack_bad(LP_DB_CHUNKS, err) : LP_OK;
    }
    struct lp_str bits = lp_rd_bytes(&rd, BITMAP_BYTES);
    if (rd.bad || bits_end(bits, base) > w->limit) {
        return lp_pack_bad(LP_DB_CHUNKS, err);
    }
    each_bit_run(bits, base, w);
    return LP_OK;
}

lp_rc
lp_cat_posting_runs(struct lp_cat_txn *t, const struct lp_cat_posting *p, uint64_t limit, lp_cat_run_fn fn,
                    void *arg, struct lp_err *err)
{
    struct lp_rd rd = lp_rd_of(p->bytes);
    uint64_t at = 0;
    struct run run;
    if (lp_rd_u8(&rd) == POSTING_CHUNKS) {
        struct lp_cat_key k = {.n = 0};
        struct chunk_walk w = {limit, fn, arg};
        uint64_t number = lp_rd_varint(&rd);
        if (rd.bad) {
            return lp_pack_bad(LP_DB_VALUES, err);
        }
        lp_key_u64(&k, number);
        return lp_cat_scan(t->txn, t->cat, LP_DB_CHUNKS, &k, k.n, visit_chunk, &w, err);
    }
    while (get_run(&rd, &at, limit, &run)) {
        fn(arg, run.first, run.end);
    }
    return rd.bad ? lp_pack_bad(LP_DB_VALUES, err) : LP_OK;
}

static void
add_to_set(void *arg, uint64_t first, uint64_t end)
{
    lp_idset_add(arg, first, end);
}

lp_rc
lp_cat_posting_add(struct lp_cat_txn *t, const struct lp_cat_posting *p, struct lp_idset *set,
                   struct lp_err *err)
{
    return lp_cat_posting_runs(t, p, set->limit, add_to_set, set, err);
}

static lp_rc
add_entry(struct lp_cat_txn *t, const struct lp_cat_key *k, struct lp_idset *set, struct lp_err *err)
{
    struct lp_cat_posting p;
    lp_rc rc = lp_pack_get(t->txn, t->cat, LP_DB_VALUES, lp_str_of((const char *)k->b, k->n),
                           LP_CAT_VALUE_PREFIX, &p.bytes, err);
    return rc == LP_OK ? lp_cat_posting_add(t, &p, set, err) : rc == LP_ERR_NOT_FOUND ? LP_OK : rc;
}

lp_rc
lp_cat_value_ids(struct lp_cat_txn *t, uint32_t tenant, uint32_t label, struct lp_str value,
                 struct lp_idset *set, struct lp_err *err)
{
    struct lp_cat_key k;
    lp_key_value(&k, tenant, label);
    lp_key_str(&k, value, LP_CAT_PART_BYTES);
    return add_entry(t, &k, set, err);
}

lp_rc
lp_cat_label_ids(struct lp_cat_txn *t, uint32_t tenant, uint32_t label, struct lp_idset *set,
                 struct lp_err *err)
{
    struct lp_cat_key k;
    lp_key_value(&k, tenant, label);
    return add_entry(t, &k, set, err);
}

lp_rc
lp_cat_tenant_ids(struct lp_cat_txn *t, uint32_t tenant, struct lp_idset *set, struct lp_err *err)
{
    return lp_cat_label_ids(t, tenant, LP_CAT_LABEL_ALL, set, err);
}

struct group_walk {
    lp_cat_group_fn fn;
    void *arg;
};

static lp_rc
visit_group(void *arg, struct lp_str key, struct lp_str value, bool *stop, struct lp_err *err)
{
    struct group_walk *w = arg;
    struct lp_cat_posting p = {value};
    if (key.n != 8) {
        return lp_pack_bad(LP_DB_VALUES, err);
    }
    *stop = !w->fn(w->arg, lp_get_be64(key.p), &p);
    return LP_OK;
}

lp_rc
lp_cat_groups(struct lp_cat_txn *t, uint32_t tenant, lp_cat_group_fn fn, void *arg, struct lp_err *err)
{
    struct group_walk w = {fn, arg};
    struct lp_cat_key k;
    lp_key_value(&k, tenant, LP_CAT_LABEL_GROUPS);
    return lp_pack_walk(t->txn, t->cat, LP_DB_VALUES, lp_str_of((const char *)k.b, k.n), LP_CAT_VALUE_PREFIX,
                        visit_group, &w, err);
}

lp_rc
lp_cat_group_ids(struct lp_cat_txn *t, uint32_t tenant, uint64_t group, struct lp_idset *set,
                 struct lp_err *err)
{
    struct lp_cat_key k;
    lp_key_value(&k, tenant, LP_CAT_LABEL_GROUPS);
    lp_key_u64(&k, group);
    return add_entry(t, &k, set, err);
}

/* ------------------------------------------------------------------ distinct values */

struct values_walk {
    struct lp_cat_txn *t;
    struct lp_str name;
    lp_cat_value_fn fn;
    void *arg;
};

/* A value that its key cuts is taken whole from the first stream that has it. */
static lp_rc
full_value(struct values_walk *w, const struct lp_cat_posting *p, struct lp_arena *ar, struct lp_str *ret,
           struct lp_err *err)
{
    struct lp_idset ids;
    struct lp_cat_counters n;
    struct lp_stream_key k;
    lp_rc rc = lp_cat_counters(w->t, &n, err);
    if (rc != LP_OK) {
        return rc;
    }
    lp_idset_init(&ids, n.next_stream);
    rc = lp_cat_posting_add(w->t, p, &ids, err);
    if (rc == LP_OK) {
        rc = lp_cat_stream_key(w->t, lp_idset_next(&ids, 0), ar, &k, err);
    }
    if (rc == LP_OK) {
        *ret = lp_stream_key_label(&k, w->name);
    }
    lp_idset_clear(&ids);
    return rc;
}

static lp_rc
visit_value(void *arg, struct lp_str key, struct lp_str value, bool *stop, struct lp_err *err)
{
    struct values_walk *w = arg;
    struct lp_cat_posting p = {value};
    char text[LP_CAT_KEY_BYTES];
    size_t at = 0, len;
    bool cut;
    if (key.n == 0) {
        return LP_OK; /* the label's own posting */
    }
    if (!lp_key_get_str((const uint8_t *)key.p, key.n, &at, text, &len, &cut) || at != key.n) {
        return lp_pack_bad(LP_DB_VALUES, err);
    }
    if (!cut) {
        *stop = !w->fn(w->arg, lp_str_of(text, len), &p);
        return LP_OK;
    }
    struct lp_arena ar;
    struct lp_str v;
    lp_arena_init(&ar, 1 << 20, 0);
    lp_rc rc = full_value(w, &p, &ar, &v, err);
    if (rc == LP_OK) {
        *stop = !w->fn(w->arg, v, &p);
    }
    lp_arena_clear(&ar);
    return rc;
}

lp_rc
lp_cat_values(struct lp_cat_txn *t, uint32_t tenant, struct lp_str name, uint32_t label, struct lp_str prefix,
              lp_cat_value_fn fn, void *arg, struct lp_err *err)
{
    struct values_walk w = {.t = t, .name = name, .fn = fn, .arg = arg};
    struct lp_cat_key k;
    lp_key_value(&k, tenant, label);
    lp_key_prefix(&k, prefix, LP_CAT_PART_BYTES);
    return lp_pack_walk(t->txn, t->cat, LP_DB_VALUES, lp_str_of((const char *)k.b, k.n), LP_CAT_VALUE_PREFIX,
                        visit_value, &w, err);
}
