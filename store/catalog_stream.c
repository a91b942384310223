/*
 * catalog_stream.c - streams: packed 64 to a row, and in the postings of all that they have (FORMAT.md
 * sections 4.2 and 4.3).
 *
 * Cost of writing: by new streams, never by live ones. What is added to postings is gathered first, ids that
 * follow each other as one addition, and sorted, so that each row is read and written once.
 */
#include <stdlib.h>
#include <string.h>

#include "store/catalog_int.h"
#include "store/codec.h"

#define PACK_LEVEL 3
#define PACK_BYTES_MAX (32u << 20) /* 64 streams with 64 labels of 3 KiB each, and more */

/* ------------------------------------------------------------------ reading */

void
lp_cat_pack_init(struct lp_cat_pack *p)
{
    *p = (struct lp_cat_pack){.number = UINT64_MAX};
}

void
lp_cat_pack_clear(struct lp_cat_pack *p)
{
    lp_free(p->bytes);
    lp_codec_free(p->codec);
    lp_cat_pack_init(p);
}

static lp_rc
bad_pack(struct lp_err *err)
{
    return lp_pack_bad(LP_DB_PACKS, err);
}

/* The groups of the slots, and where the stored keys begin. */
static bool
parse_head(struct lp_rd *rd, struct lp_cat_pack *p, uint8_t *ret_codec, uint64_t *ret_bytes)
{
    p->n = (unsigned)lp_rd_u8(rd);
    rd->bad = rd->bad || p->n > LP_CAT_PACK_STREAMS;
    for (unsigned i = 0; i < p->n && !rd->bad;) {
        uint64_t n = lp_rd_varint(rd), group = lp_rd_varint(rd);
        if (n == 0 || n > p->n - i) {
            rd->bad = true;
        }
        for (; n > 0 && !rd->bad; n--) {
            p->groups[i++] = group;
        }
    }
    *ret_codec = lp_rd_u8(rd);
    *ret_bytes = lp_rd_varint(rd);
    return !rd->bad && *ret_bytes <= PACK_BYTES_MAX;
}

static lp_rc
decode_keys(struct lp_cat_pack *p, uint8_t codec, struct lp_str stored, size_t bytes, struct lp_err *err)
{
    if (p->codec == NULL) {
        p->codec = lp_codec_new();
    }
    lp_free(p->bytes);
    p->bytes = lp_malloc(bytes);
    lp_rc rc = lp_codec_decode(p->codec, codec, stored, p->bytes, bytes, err);
    if (rc != LP_OK) {
        return rc == LP_ERR_CORRUPT ? bad_pack(err) : rc;
    }
    struct lp_rd rd = lp_rd_of(lp_str_of(p->bytes, bytes));
    for (unsigned i = 0; i < p->n; i++) {
        p->keys[i] = lp_rd_lpstr(&rd);
    }
    return rd.bad || lp_rd_left(&rd) != 0 ? bad_pack(err) : LP_OK;
}

static lp_rc
decode_pack(struct lp_str row, uint64_t number, struct lp_cat_pack *p, struct lp_err *err)
{
    struct lp_rd rd = lp_rd_of(row);
    uint8_t codec;
    uint64_t bytes;
    p->number = UINT64_MAX;
    if (!parse_head(&rd, p, &codec, &bytes)) {
        return bad_pack(err);
    }
    lp_rc rc = decode_keys(p, codec, lp_str_of((const char *)rd.p, lp_rd_left(&rd)), (size_t)bytes, err);
    p->number = rc == LP_OK ? number : UINT64_MAX;
    return rc;
}

static lp_rc
get_pack_row(MDB_txn *txn, struct lp_catalog *cat, uint64_t number, struct lp_str *ret, struct lp_err *err)
{
    struct lp_cat_key k = {.n = 0};
    lp_key_u64(&k, number);
    return lp_cat_get(txn, cat, LP_DB_PACKS, &k, ret, err);
}

static lp_rc
no_stream(uint64_t id, struct lp_err *err)
{
    return lp_corrupt(err, "catalog: stream %llu is not there", (unsigned long long)id);
}

lp_rc
lp_cat_stream(struct lp_cat_txn *t, uint64_t id, struct lp_cat_pack *p, uint64_t *ret_group,
              struct lp_str *ret_key, struct lp_err *err)
{
    uint64_t number = id / LP_CAT_PACK_STREAMS;
    unsigned slot = (unsigned)(id % LP_CAT_PACK_STREAMS);
    if (p->number != number) {
        struct lp_str row;
        lp_rc rc = get_pack_row(t->txn, t->cat, number, &row, err);
        if (rc != LP_OK) {
            return rc == LP_ERR_NOT_FOUND ? no_stream(id, err) : rc;
        }
        rc = decode_pack(row, number, p, err);
        if (rc != LP_OK) {
            return rc;
        }
    }
    if (slot >= p->n || p->keys[slot].n == 0) {
        p->number = UINT64_MAX; /* it may have been added since */
        return no_stream(id, err);
    }
    *ret_group = p->groups[slot];
    *ret_key = p->keys[slot];
    return LP_OK;
}

lp_rc
lp_cat_stream_group(struct lp_cat_txn *t, uint64_t id, uint64_t *ret, struct lp_err *err)
{
    struct lp_cat_pack p;
    struct lp_str row;
    uint8_t codec;
    uint64_t bytes;
    lp_rc rc = get_pack_row(t->txn, t->cat, id / LP_CAT_PACK_STREAMS, &row, err);
    if (rc != LP_OK) {
        return rc == LP_ERR_NOT_FOUND ? no_stream(id, err) : rc;
    }
    struct lp_rd rd = lp_rd_of(row);
    if (!parse_head(&rd, &p, &codec, &bytes) || id % LP_CAT_PACK_STREAMS >= p.n) {
        return bad_pack(err);
    }
    *ret = p.groups[id % LP_CAT_PACK_STREAMS];
    return LP_OK;
}

lp_rc
lp_cat_stream_key(struct lp_cat_txn *t, uint64_t id, struct lp_arena *ar, struct lp_stream_key *ret,
                  struct lp_err *err)
{
    struct lp_cat_pack p;
    struct lp_str key, kept;
    uint64_t group;
    lp_cat_pack_init(&p);
    lp_rc rc = lp_cat_stream(t, id, &p, &group, &key, err);
    if (rc == LP_OK) {
        rc = lp_arena_str(ar, key, &kept)
                 ? lp_stream_key_parse(kept, ar, ret, err)
                 : lp_err_set(err, LP_ERR_LIMIT, "no memory left for a stream's labels");
    }
    lp_cat_pack_clear(&p);
    return rc;
}

/* ------------------------------------------------------------------ writing packs */

static void
encode_head(const struct lp_cat_pack *p, struct lp_buf *out)
{
    lp_buf_u8(out, (uint8_t)p->n);
    for (unsigned i = 0, n; i < p->n; i += n) {
        for (n = 1; i + n < p->n && p->groups[i + n] == p->groups[i]; n++) {
        }
        lp_buf_varint(out, n);
        lp_buf_varint(out, p->groups[i]);
    }
}

static int
put_pack(MDB_txn *txn, struct lp_catalog *cat, const struct lp_cat_pack *p, uint64_t number,
         struct lp_codec *codec, struct lp_err *err)
{
    struct lp_buf raw, stored, row;
    struct lp_cat_key k = {.n = 0};
    uint8_t id;
    lp_buf_init(&raw, SIZE_MAX);
    lp_buf_init(&stored, SIZE_MAX);
    lp_buf_init(&row, SIZE_MAX);
    for (unsigned i = 0; i < p->n; i++) {
        lp_buf_lpstr(&raw, p->keys[i]);
    }
    int rc =
        lp_codec_encode(codec, PACK_LEVEL, lp_buf_view(&raw), &stored, &id, err) == LP_OK ? 0 : MDB_PANIC;
    if (rc == 0) {
        encode_head(p, &row);
        lp_buf_u8(&row, id);
        lp_buf_varint(&row, raw.n);
        lp_buf_str(&row, lp_buf_view(&stored));
        lp_key_u64(&k, number);
        rc = lp_cat_put(txn, cat, LP_DB_PACKS, &k, lp_buf_view(&row));
    }
    lp_buf_clear(&raw);
    lp_buf_clear(&stored);
    lp_buf_clear(&row);
    return rc;
}

static int
put_packs(MDB_txn *txn, struct lp_catalog *cat, const struct lp_cat_new_stream *s, size_t n,
          struct lp_err *err)
{
    struct lp_codec *codec = lp_codec_new();
    struct lp_cat_pack p;
    int rc = 0;
    lp_cat_pack_init(&p);
    for (size_t i = 0; i < n && rc == 0;) {
        uint64_t number = s[i].id / LP_CAT_PACK_STREAMS;
        struct lp_str row;
        lp_rc got = get_pack_row(txn, cat, number, &row, err);
        p.n = 0;
        if (got == LP_OK) {
            got = decode_pack(row, number, &p, err);
        }
        if (got != LP_OK && got != LP_ERR_NOT_FOUND) {
            rc = MDB_CORRUPTED;
            break;
        }
        lp_err_clear(err);
        for (; i < n && s[i].id / LP_CAT_PACK_STREAMS == number; i++) {
            unsigned slot = (unsigned)(s[i].id % LP_CAT_PACK_STREAMS);
            LP_ASSERT(slot >= p.n); /* ids rise */
            for (; p.n < slot; p.n++) {
                p.keys[p.n] = LP_STR_NULL; /* an id that was never given */
                p.groups[p.n] = s[i].group;
            }
            p.keys[slot] = s[i].key;
            p.groups[slot] = s[i].group;
            p.n = slot + 1;
        }
        rc = put_pack(txn, cat, &p, number, codec, err);
    }
    lp_cat_pack_clear(&p);
    lp_codec_free(codec);
    return rc;
}

/* ------------------------------------------------------------------ writing postings */

#define RECENT 1024 /* additions that may still grow; a power of two */

struct additions {
    struct lp_arena ar;
    struct lp_pack_add *v;
    size_t n, cap;
    uint32_t recent[RECENT]; /* by hash of the key: index + 1 */
};

static void
additions_init(struct additions *a)
{
    memset(a, 0, sizeof(*a));
    lp_arena_init(&a->ar, SIZE_MAX, LP_ARENA_CHUNK_MAX);
}

static void
additions_clear(struct additions *a)
{
    lp_free(a->v);
    lp_arena_clear(&a->ar);
}

/* ids of one key that follow each other become one addition, as long as the key is met again soon. */
static int
add(struct additions *a, const struct lp_cat_key *k, uint64_t id)
{
    struct lp_str key = lp_str_of((const char *)k->b, k->n);
    uint32_t *known = &a->recent[lp_xxh64(key.p, key.n) & (RECENT - 1)];
    struct lp_pack_add *last = *known != 0 ? &a->v[*known - 1] : NULL;
    if (last != NULL && last->end == id && lp_str_eq(last->key, key)) {
        last->end++;
        return 0;
    }
    if (a->n == a->cap) {
        a->cap = a->cap ? a->cap * 2 : 256;
        a->v = lp_realloc(a->v, a->cap * sizeof(*a->v));
    }
    struct lp_pack_add *new = &a->v[a->n];
    *new = (struct lp_pack_add){.first = id, .end = id + 1};
    if (!lp_arena_str(&a->ar, key, &new->key)) {
        return MDB_PANIC;
    }
    *known = (uint32_t)++a->n;
    return 0;
}

static int
addition_cmp(const void *va, const void *vb)
{
    const struct lp_pack_add *a = va, *b = vb;
    int c = lp_str_cmp(a->key, b->key);
    return c != 0 ? c : (a->first > b->first) - (a->first < b->first);
}

/* What a stream is found by: its tenant, its group, each label, and each label's value. */
static int
add_postings(MDB_txn *txn, struct lp_catalog *cat, struct additions *a, const struct lp_cat_new_stream *s,
             struct lp_err *err)
{
    struct lp_arena ar;
    struct lp_stream_key key;
    struct lp_cat_key k;
    uint32_t tenant = 0, label;
    lp_arena_init(&ar, 1 << 20, 0);
    int rc = lp_stream_key_parse(s->key, &ar, &key, err) == LP_OK ? 0 : MDB_CORRUPTED;
    rc = rc == 0 ? lp_cat_intern_tenant(txn, cat, key.tenant, &tenant, err) : rc;
    if (rc == 0) {
        lp_key_value(&k, tenant, LP_CAT_LABEL_ALL);
        rc = add(a, &k, s->id);
    }
    if (rc == 0) {
        lp_key_value(&k, tenant, LP_CAT_LABEL_GROUPS);
        lp_key_u64(&k, s->group);
        rc = add(a, &k, s->id);
    }
    for (size_t i = 0; rc == 0 && i < key.nlabels; i++) {
        rc = lp_cat_intern_label(txn, cat, tenant, key.labels[i].name, &label, err);
        if (rc == 0) {
            lp_key_value(&k, tenant, label);
            rc = add(a, &k, s->id);
        }
        if (rc == 0) {
            lp_key_str(&k, key.labels[i].value, LP_CAT_PART_BYTES);
            rc = add(a, &k, s->id);
        }
    }
    lp_arena_clear(&ar);
    return rc;
}

static int
put_postings(MDB_txn *txn, struct lp_catalog *cat, const struct lp_cat_new_stream *s, size_t n,
             struct lp_err *err)
{
    struct additions *a = lp_malloc(sizeof(*a));
    int rc = 0;
    additions_init(a);
    for (size_t i = 0; i < n && rc == 0; i++) {
        rc = add_postings(txn, cat, a, &s[i], err);
    }
    if (rc == 0) {
        qsort(a->v, a->n, sizeof(*a->v), addition_cmp);
        rc = lp_pack_merge(txn, cat, LP_DB_VALUES, LP_CAT_VALUE_PREFIX, a->v, a->n, lp_posting_merge, NULL,
                           err);
    }
    additions_clear(a);
    lp_free(a);
    return rc;
}

int
lp_cat_put_streams(MDB_txn *txn, struct lp_catalog *cat, const struct lp_cat_new_stream *streams, size_t n,
                   unsigned turn, struct lp_err *err)
{
    if (n == 0) {
        return 0;
    }
    int rc = put_packs(txn, cat, streams, n, err);
    rc = rc == 0 ? lp_cat_put_hashes(txn, cat, streams, n, turn, err) : rc;
    rc = rc == 0 ? put_postings(txn, cat, streams, n, err) : rc;
    return rc == 0 ? lp_cat_put_counter(txn, cat, "next_stream", streams[n - 1].id + 1) : rc;
}
