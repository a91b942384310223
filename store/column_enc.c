/*
 * column_enc.c - choosing a column's type from its cells and writing its head and chunks (FORMAT.md section
 * 2.5).
 *
 * The choice costs less than it saves: numbers are tried where only digits occur, a dictionary is given up
 * after a look at the first cells where nearly all differ, differences are taken where neighbours are much
 * closer than the range. Nothing here decides what is stored right: the block's proof does.
 */
#include "store/column.h"

#include <string.h>

#include "base/hash.h"

#define SHARED_BYTES_MAX (8u << 10) /* larger columns have frames of their own */
#define CHUNK_BYTES                                                                                          \
    (16u << 10) /* decoded: what one row costs to read; 32 KiB would store 0.2 % less of the corpus */
#define CHUNK_ROWS_MIN 64u
#define DICT_LOOK 1024u /* cells after which a dictionary is given up if most were new */
#define IDS_FIRST 4096u
#define LP_ID_WHOLE_BYTES 64u /* longer ids are hashed by their ends */

/* --- cells --- */

void
lp_cells_clear(struct lp_cells *c)
{
    lp_free(c->p);
    lp_free(c->lens);
    *c = (struct lp_cells){0};
}

void
lp_cells_reset(struct lp_cells *c)
{
    c->n = 0;
    c->rows = 0;
    c->varied = false;
}

static void
reserve_bytes(struct lp_cells *c, size_t n)
{
    if (c->cap < n) {
        c->cap = LP_MAX(n, c->cap * 2);
        c->p = lp_realloc(c->p, c->cap);
    }
}

static void
reserve_lens(struct lp_cells *c, uint32_t rows)
{
    if (c->lens_cap < rows) {
        c->lens_cap = LP_MAX(rows, c->lens_cap * 2);
        c->lens = lp_realloc(c->lens, c->lens_cap * sizeof(*c->lens));
    }
}

void
lp_cells_grow(struct lp_cells *c, size_t bytes)
{
    reserve_bytes(c, c->n + bytes + 64);
    reserve_lens(c, c->rows + 16);
    if (c->rows == 0 || c->varied) {
        return;
    }
    size_t one = c->n; /* what all rows so far hold */
    reserve_bytes(c, one * c->rows + bytes + 64);
    for (uint32_t i = 0; i < c->rows; i++) {
        if (one > 0 && i > 0) {
            memcpy(c->p + one * i, c->p, one);
        }
        c->lens[i] = (uint16_t)one;
    }
    c->n = one * c->rows;
    c->varied = true;
}

/* --- the encoder's memory --- */

struct lp_column_encoder *
lp_column_encoder_new(void)
{
    struct lp_column_encoder *e = lp_calloc(1, sizeof(*e));
    lp_buf_init(&e->content, SIZE_MAX);
    e->buckets = lp_malloc(2 * LP_DICT_MAX * sizeof(*e->buckets));
    return e;
}

void
lp_column_encoder_free(struct lp_column_encoder *e)
{
    if (e != NULL) {
        lp_buf_clear(&e->content);
        lp_free(e->numbers);
        lp_free(e->codes);
        lp_free(e->buckets);
        lp_free(e->ids);
        lp_free(e);
    }
}

static void
reserve_scratch(struct lp_column_encoder *e, uint32_t rows)
{
    if (e->numbers_cap < rows) {
        e->numbers_cap = rows;
        e->numbers = lp_realloc(e->numbers, rows * sizeof(*e->numbers));
        e->codes = lp_realloc(e->codes, rows * sizeof(*e->codes));
    }
}

/* --- ids --- */

bool
lp_is_id(struct lp_str cell)
{
    if (cell.n < LP_ID_BYTES_MIN) {
        return false;
    }
    for (size_t i = 0; i < cell.n; i++) {
        if (cell.p[i] >= '0' && cell.p[i] <= '9') {
            return true;
        }
    }
    return false;
}

uint64_t
lp_id_hash(struct lp_str cell)
{
    char lower[LP_ID_WHOLE_BYTES];
    if (cell.n > sizeof(lower)) { /* so long a cell is told apart by its ends and length */
        char both[72];
        lp_put_u64(both + 64, cell.n);
        memcpy(both, cell.p, 32);
        memcpy(both + 32, cell.p + cell.n - 32, 32);
        for (size_t i = 0; i < 64; i++) {
            both[i] |= both[i] >= 'A' && both[i] <= 'Z' ? 0x20 : 0;
        }
        return lp_xxh64(both, sizeof(both));
    }
    for (size_t i = 0; i < cell.n; i++) {
        char c = cell.p[i];
        lower[i] = (char)(c | (c >= 'A' && c <= 'Z' ? 0x20 : 0));
    }
    return lp_xxh64(lower, cell.n);
}

static void
note_id(struct lp_column_encoder *e, uint64_t hash)
{
    if (e->nids == e->ids_cap) {
        e->ids_cap = e->ids_cap ? e->ids_cap * 2 : IDS_FIRST;
        e->ids = lp_realloc(e->ids, e->ids_cap * sizeof(*e->ids));
    }
    e->ids[e->nids++] = hash;
}

/* --- what a column is like --- */

struct look {
    const struct lp_cells *c;
    uint32_t min_len, max_len;
    uint8_t set[32];
    bool digits;               /* numbers of up to LP_INT_DIGITS_MAX digits, and nothing else */
    bool lower_hex, upper_hex; /* no other bytes occur: look_at_bytes() */
};

/* Eight at a time: the high halves are 3, and still 3 when 6 is added. */
static bool
all_digits(const char *p, size_t n)
{
    const uint64_t high = UINT64_C(0xf0f0f0f0f0f0f0f0), threes = UINT64_C(0x3030303030303030);
    size_t i = 0;
    for (; i + 8 <= n; i += 8) {
        uint64_t v;
        memcpy(&v, p + i, 8);
        if ((v & high) != threes || ((v + UINT64_C(0x0606060606060606)) & high) != threes) {
            return false;
        }
    }
    for (; i < n; i++) {
        if (p[i] < '0' || p[i] > '9') {
            return false;
        }
    }
    return true;
}

static bool
only(const uint8_t set[32], const uint8_t allowed[32])
{
    for (unsigned i = 0; i < 32; i++) {
        if ((set[i] & ~allowed[i]) != 0) {
            return false;
        }
    }
    return true;
}

static void
look_at(const struct lp_cells *c, struct look *ret)
{
    memset(ret, 0, sizeof(*ret));
    ret->c = c;
    ret->min_len = UINT32_MAX;
    for (uint32_t i = 0; i < c->rows; i++) {
        ret->min_len = LP_MIN(ret->min_len, c->lens[i]);
        ret->max_len = LP_MAX(ret->max_len, c->lens[i]);
    }
    ret->digits = ret->min_len > 0 && ret->max_len <= LP_INT_DIGITS_MAX && all_digits(c->p, c->n);
}

/* Which bytes occur, and whether only hex digits of one case do. */
static void
look_at_bytes(struct look *k)
{
    static const uint8_t lower[32] = {[6] = 0xff, [7] = 0x03, [12] = 0x7e};
    static const uint8_t upper[32] = {[6] = 0xff, [7] = 0x03, [8] = 0x7e};
    uint8_t seen[256] = {0};
    for (size_t i = 0; i < k->c->n; i++) {
        seen[(uint8_t)k->c->p[i]] = 1;
    }
    lp_set_of_seen(seen, k->set);
    k->lower_hex = only(k->set, lower);
    k->upper_hex = only(k->set, upper);
}

/* --- writing --- */

struct writer {
    struct lp_column_encoder *e;
    const struct lp_cells *c;
    struct lp_column col;
    struct lp_chunk_sink *sink;
    struct lp_buf *heads;
    size_t content_bytes; /* of the whole column */
    size_t at;            /* BYTES, HEX: where the next chunk's first cell is */
    const uint16_t *codes;
    const uint64_t *numbers;
};

static void
put_plane(struct lp_buf *out, const uint64_t *v, uint32_t n, uint64_t base, unsigned shift)
{
    if (!lp_buf_reserve(out, n)) {
        return;
    }
    char *p = out->p + out->n;
    for (uint32_t i = 0; i < n; i++) {
        p[i] = (char)((v[i] - base) >> shift);
    }
    out->n += n;
}

static size_t
chunk_numbers(struct writer *w, uint32_t first, uint32_t rows, uint32_t *part_ends)
{
    struct lp_buf *out = &w->e->content;
    const uint64_t *v = w->numbers + first;
    uint64_t *d = NULL;
    if (w->col.flags & LP_COL_DELTA) {
        lp_buf_u64(out, v[0]);
        d = lp_malloc(rows * sizeof(*d));
        d[0] = 0;
        for (uint32_t i = 1; i < rows; i++) {
            d[i] = lp_zigzag((int64_t)(v[i] - v[i - 1]));
        }
    }
    for (unsigned k = 0; k < w->col.planes; k++) {
        put_plane(out, d ? d : v, rows, d ? 0 : w->col.min, 8 * k);
        part_ends[k] = (uint32_t)out->n;
    }
    lp_free(d);
    return w->col.planes;
}

static size_t
chunk_codes(struct writer *w, uint32_t first, uint32_t rows, uint32_t *part_ends)
{
    struct lp_buf *out = &w->e->content;
    const uint16_t *codes = w->codes + first;
    for (unsigned k = 0; k < w->col.planes; k++) {
        if (lp_buf_reserve(out, rows)) {
            for (uint32_t i = 0; i < rows; i++) {
                out->p[out->n + i] = (char)(codes[i] >> (8 * k));
            }
            out->n += rows;
        }
        part_ends[k] = (uint32_t)out->n;
    }
    return w->col.planes;
}

static inline uint8_t
nibble(char c)
{
    return (uint8_t)((c & 15) + (c >> 6) * 9); /* '0'.. are 0x30.., letters 0x41.. and 0x61.. */
}

static size_t
chunk_hex(struct writer *w, uint32_t rows, uint32_t *part_ends)
{
    struct lp_buf *out = &w->e->content;
    unsigned digits = w->col.digits;
    const char *p = w->c->p + w->at;
    if (lp_buf_reserve(out, (size_t)rows * ((digits + 1) / 2))) {
        char *to = out->p + out->n;
        for (uint32_t i = 0; i < rows; i++, p += digits) {
            for (unsigned k = 0; k + 1 < digits; k += 2) {
                *to++ = (char)(nibble(p[k]) << 4 | nibble(p[k + 1]));
            }
            if (digits % 2 != 0) {
                *to++ = (char)(nibble(p[digits - 1]) << 4);
            }
        }
        out->n += (size_t)rows * ((digits + 1) / 2);
    }
    w->at += (size_t)rows * digits;
    part_ends[0] = (uint32_t)out->n;
    return 1;
}

static size_t
chunk_bytes(struct writer *w, uint32_t first, uint32_t rows, uint32_t *part_ends)
{
    struct lp_buf *out = &w->e->content;
    const uint16_t *lens = w->c->lens + first;
    size_t nparts = 0, bytes = 0;
    for (uint32_t i = 0; i < rows; i++) {
        bytes += lens[i];
    }
    unsigned planes = w->col.min == w->col.max ? 0 : w->col.max - w->col.min < 256 ? 1 : 2;
    for (unsigned k = 0; k < planes; k++) {
        for (uint32_t i = 0; i < rows; i++) {
            lp_buf_u8(out, (uint8_t)((lens[i] - w->col.min) >> (8 * k)));
        }
        part_ends[nparts++] = (uint32_t)out->n;
    }
    lp_buf_add(out, w->c->p + w->at, bytes);
    w->at += bytes;
    part_ends[nparts++] = (uint32_t)out->n;
    return nparts;
}

static size_t
put_chunk(struct writer *w, uint32_t first, uint32_t rows, uint32_t *part_ends)
{
    lp_buf_reset(&w->e->content);
    switch (w->col.type) {
    case LP_COL_INT:
        return chunk_numbers(w, first, rows, part_ends);
    case LP_COL_DICT:
        return chunk_codes(w, first, rows, part_ends);
    case LP_COL_HEX:
        return chunk_hex(w, rows, part_ends);
    default:
        return chunk_bytes(w, first, rows, part_ends);
    }
}

static lp_rc
put_chunks(struct writer *w, struct lp_err *err)
{
    struct lp_column *col = &w->col;
    uint32_t part_ends[LP_COLUMN_PLANES + 1];
    if (w->content_bytes <= SHARED_BYTES_MAX) {
        (void)put_chunk(w, 0, col->rows, part_ends);
        col->shared = true;
        return w->sink->shared(w->sink->ctx, lp_buf_view(&w->e->content), &col->frame, &col->offset, err);
    }
    size_t a_row = LP_MAX(w->content_bytes / col->rows, (size_t)1);
    col->chunk_rows = (uint32_t)LP_MAX(CHUNK_BYTES / a_row / CHUNK_ROWS_MIN, (size_t)1) * CHUNK_ROWS_MIN;
    col->frame = w->sink->next_own;
    lp_rc rc = LP_OK;
    for (uint32_t at = 0; at < col->rows && rc == LP_OK; at += col->chunk_rows) {
        size_t nparts = put_chunk(w, at, LP_MIN(col->chunk_rows, col->rows - at), part_ends);
        rc = w->sink->own(w->sink->ctx, &w->e->content, part_ends, nparts, err);
        w->sink->next_own++;
    }
    return rc;
}

static void
put_place(struct writer *w)
{
    lp_buf_varint(w->heads, w->col.frame);
    lp_buf_varint(w->heads, w->col.shared ? w->col.offset : w->col.chunk_rows);
}

/* Chunks first: the head says where they are. */
static lp_rc
finish(struct writer *w, struct lp_err *err)
{
    struct lp_column *col = &w->col;
    lp_rc rc = put_chunks(w, err);
    lp_buf_u8(w->heads, col->type);
    lp_buf_u8(w->heads, (uint8_t)(col->flags | (col->shared ? 0x80 : 0)));
    switch (col->type) {
    case LP_COL_DICT:
        lp_buf_varint(w->heads, col->nvalues);
        for (uint32_t i = 0; i < col->nvalues; i++) {
            lp_buf_lpstr(w->heads, col->values[i]);
        }
        break;
    case LP_COL_INT:
        lp_buf_u8(w->heads, col->planes);
        lp_buf_u8(w->heads, col->digits);
        lp_buf_varint(w->heads, col->min);
        lp_buf_varint(w->heads, col->max);
        break;
    case LP_COL_HEX:
        lp_buf_u8(w->heads, col->digits);
        break;
    default:
        lp_buf_varint(w->heads, col->min);
        lp_buf_varint(w->heads, col->max);
        lp_buf_add(w->heads, col->set, 32);
        break;
    }
    put_place(w);
    return rc;
}

/* --- numbers --- */

static uint64_t
parse8(const char *p, unsigned n)
{
    uint64_t v;
    memcpy(&v, p, 8);
    v = n == 0 ? 0 : v << (64 - 8 * n); /* the digits at the top, zeros (as '\0' & 15) below */
    v = (v & UINT64_C(0x0f0f0f0f0f0f0f0f)) * 2561 >> 8;
    v = (v & UINT64_C(0x00ff00ff00ff00ff)) * 6553601 >> 16;
    return (v & UINT64_C(0x0000ffff0000ffff)) * UINT64_C(42949672960001) >> 32;
}

/* Up to 18 digits; 8 bytes behind p are readable. */
static uint64_t
parse_digits(const char *p, unsigned n)
{
    uint64_t v = 0;
    while (n > 8) {
        v = v * 100000000u + parse8(p, 8);
        p += 8;
        n -= 8;
    }
    static const uint64_t tens[9] = {1, 10, 100, 1000, 10000, 100000, 1000000, 10000000, 100000000};
    return v * tens[n] + parse8(p, n);
}

static unsigned
planes_for(uint64_t v)
{
    return v == 0 ? 1 : (unsigned)(71 - __builtin_clzll(v)) / 8;
}

/* The cells as numbers; false where leading zeros would be lost. */
static bool
read_numbers(struct writer *w, const struct look *k)
{
    bool fixed = k->min_len == k->max_len;
    const char *p = w->c->p;
    uint64_t *v = w->e->numbers;
    uint64_t farthest = 0;
    double far = 0; /* 65,536 rows of 60 bits would overflow an integer */
    w->col.min = UINT64_MAX;
    for (uint32_t i = 0; i < w->c->rows; i++) {
        unsigned n = w->c->lens[i];
        if (!fixed && *p == '0' && n > 1) {
            return false;
        }
        v[i] = parse_digits(p, n);
        p += n;
        w->col.min = LP_MIN(w->col.min, v[i]);
        w->col.max = LP_MAX(w->col.max, v[i]);
        if (i > 0) {
            uint64_t d = v[i] > v[i - 1] ? v[i] - v[i - 1] : v[i - 1] - v[i];
            far += (double)(d >> 4);
            farthest = LP_MAX(farthest, lp_zigzag((int64_t)(v[i] - v[i - 1])));
        }
    }
    uint64_t range = w->col.max - w->col.min;
    bool delta = range > 255 && far / w->c->rows < (double)(range >> 8);
    w->col.flags = delta ? LP_COL_DELTA : 0;
    w->col.planes = (uint8_t)planes_for(delta ? farthest : range);
    w->col.digits = fixed ? (uint8_t)k->max_len : 0;
    w->numbers = v;
    return true;
}

/* --- dictionaries --- */

static inline uint64_t
hash_cell(const char *p, size_t n)
{
    uint64_t a, b;
    if (n > 16) {
        return lp_xxh64(p, n);
    }
    memcpy(&a, p, 8);
    memcpy(&b, p + 8, 8);
    if (n <= 8) {
        a = n == 0 ? 0 : a << (64 - 8 * n);
        b = 0;
    } else {
        b = b << (128 - 8 * n) % 64;
    }
    uint64_t h = (a ^ n * UINT64_C(0x9e3779b97f4a7c15)) * UINT64_C(0xff51afd7ed558ccd);
    h = (h ^ h >> 32 ^ b) * UINT64_C(0xc4ceb9fe1a85ec53);
    return h ^ h >> 29;
}

static uint32_t
dict_max(uint32_t rows)
{
    return LP_MIN(LP_MAX(rows / 4, LP_MIN(rows / 2, 256u)), LP_DICT_MAX);
}

/* Gives each cell the code of its value; false where there are too many values. */
static bool
make_dict(struct writer *w)
{
    struct lp_column_encoder *e = w->e;
    const struct lp_cells *c = w->c;
    uint32_t most = dict_max(c->rows), nbuckets = 16, n = 0;
    while (nbuckets < 2 * most) {
        nbuckets *= 2;
    }
    memset(e->buckets, 0, nbuckets * sizeof(*e->buckets));
    const char *p = c->p;
    for (uint32_t i = 0; i < c->rows; p += c->lens[i], i++) {
        size_t len = c->lens[i];
        uint32_t at = (uint32_t)hash_cell(p, len) & (nbuckets - 1);
        while (e->buckets[at] != 0) {
            const struct lp_str *have = &e->values[e->buckets[at] - 1];
            if (have->n == len && memcmp(have->p, p, len) == 0) {
                break;
            }
            at = (at + 1) & (nbuckets - 1);
        }
        if (e->buckets[at] == 0) {
            if (n == most || (i >= DICT_LOOK && n > i / 4 * 3)) {
                return false;
            }
            e->values[n] = lp_str_of(p, len);
            e->buckets[at] = ++n;
        }
        e->codes[i] = (uint16_t)(e->buckets[at] - 1);
    }
    w->col.values = e->values;
    w->col.nvalues = n;
    w->col.planes = n <= 256 ? 1 : 2;
    w->codes = e->codes;
    return true;
}

/* --- the whole --- */

static void
note_ids(struct writer *w)
{
    const char *p = w->c->p;
    bool hex = w->col.type == LP_COL_HEX;
    bool lower = hex && (w->col.flags & LP_COL_UPPER) == 0 && w->col.digits <= LP_ID_WHOLE_BYTES;
    if (hex && w->col.digits < LP_ID_HEX_MIN) {
        return;
    }
    for (uint32_t i = 0; i < w->c->rows; p += w->c->lens[i], i++) {
        struct lp_str cell = lp_str_of(p, w->c->lens[i]);
        if (lower) { /* most ids: nothing is to be folded */
            note_id(w->e, lp_xxh64(cell.p, cell.n));
        } else if (hex || lp_is_id(cell)) {
            note_id(w->e, lp_id_hash(cell));
        }
    }
}

static void
choose(struct writer *w, struct look *k)
{
    const struct lp_cells *c = w->c;
    struct lp_column *col = &w->col;
    if (k->digits && read_numbers(w, k)) {
        col->type = LP_COL_INT;
        w->content_bytes = (size_t)c->rows * col->planes + (col->flags & LP_COL_DELTA ? 8 : 0);
        return;
    }
    col->flags = 0;
    if (make_dict(w)) {
        col->type = LP_COL_DICT;
        w->content_bytes = (size_t)c->rows * col->planes;
        return;
    }
    look_at_bytes(k);
    col->min = k->min_len;
    col->max = k->max_len;
    if ((k->lower_hex || k->upper_hex) && k->min_len == k->max_len && k->min_len >= 2 && k->max_len <= 255) {
        col->type = LP_COL_HEX;
        col->digits = (uint8_t)k->max_len;
        col->flags = k->lower_hex ? 0 : LP_COL_UPPER;
        w->content_bytes = (size_t)c->rows * ((k->max_len + 1) / 2);
    } else {
        col->type = LP_COL_BYTES;
        col->set = k->set;
        w->content_bytes = c->n + (k->min_len == k->max_len ? 0 : c->rows);
    }
    note_ids(w);
}

lp_rc
lp_column_encode(struct lp_column_encoder *e, const struct lp_cells *c, struct lp_chunk_sink *sink,
                 struct lp_buf *heads, struct lp_err *err)
{
    struct writer w = {.e = e, .c = c, .col = {.rows = c->rows}, .sink = sink, .heads = heads};
    struct look k;
    if (!c->varied) {
        lp_buf_u8(heads, LP_COL_CONST);
        lp_buf_u8(heads, 0);
        lp_buf_lpstr(heads, lp_str_of(c->p, c->n));
        return LP_OK;
    }
    reserve_scratch(e, c->rows);
    look_at(c, &k);
    choose(&w, &k);
    return finish(&w, err);
}

/* --- columns of numbers --- */

#define FEW 256u

static uint32_t
few_at(const uint32_t *buckets, const uint64_t *values, uint64_t v)
{
    uint32_t at = (uint32_t)(v * UINT64_C(0x9e3779b97f4a7c15) >> 54);
    while (buckets[at] != 0 && values[buckets[at] - 1] != v) {
        at = (at + 1) & 1023;
    }
    return at;
}

static bool
few_values(struct lp_column_encoder *e, const uint64_t *v, uint32_t n, uint64_t values[FEW], uint32_t *ret_n)
{
    uint32_t buckets[1024] = {0}, have = 0;
    for (uint32_t i = 0; i < n; i++) {
        uint32_t at = few_at(buckets, values, v[i]);
        if (buckets[at] == 0) {
            if (have == FEW || have * 4 > n) {
                return false;
            }
            values[have] = v[i];
            buckets[at] = ++have;
        }
        e->codes[i] = (uint16_t)(buckets[at] - 1);
    }
    *ret_n = have;
    return true;
}

void
lp_numbers_encode(struct lp_column_encoder *e, const uint64_t *v, uint32_t n, struct lp_buf *out,
                  uint32_t *part_ends, size_t *ret_nparts)
{
    uint64_t values[FEW], min = UINT64_MAX, max = 0;
    uint32_t few = 0;
    reserve_scratch(e, n);
    *ret_nparts = 1;
    if (few_values(e, v, n, values, &few)) {
        lp_buf_u8(out, LP_COL_DICT);
        lp_buf_varint(out, few);
        for (uint32_t i = 0; i < few; i++) {
            lp_buf_varint(out, values[i]);
        }
        for (uint32_t i = 0; i < n; i++) {
            lp_buf_u8(out, (uint8_t)e->codes[i]);
        }
        part_ends[0] = (uint32_t)out->n;
        return;
    }
    for (uint32_t i = 0; i < n; i++) {
        min = LP_MIN(min, v[i]);
        max = LP_MAX(max, v[i]);
    }
    unsigned planes = planes_for(max - min);
    lp_buf_u8(out, LP_COL_INT);
    lp_buf_varint(out, min);
    lp_buf_u8(out, (uint8_t)planes);
    for (unsigned k = 0; k < planes; k++) {
        put_plane(out, v, n, min, 8 * k);
        part_ends[k] = (uint32_t)out->n;
    }
    *ret_nparts = planes;
}
