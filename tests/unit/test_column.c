/*
 * test_column.c - oracle: cells come back byte for byte; the type is the one that FORMAT.md section 2.5 has
 * such cells for; heads say nothing false of the cells; made-up bytes never make a cell longer than its head
 * says (and the sanitizers watch).
 */
#include "store/column.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "tests/unit/store_fixture.h"

#pragma GCC diagnostic ignored "-Wformat-nonliteral" /* the forms of cells stand in tables */

#define CHUNKS_MAX 4096u

/* A column encoded: its head, its chunks as the sink was given them. */
struct made {
    struct lp_column_encoder *e;
    struct lp_cells cells;
    struct lp_buf heads, shared, own[CHUNKS_MAX];
    size_t nown, nparts; /* parts of the first own chunk */
    struct lp_arena ar;
    struct lp_column col;
};

static lp_rc
sink_own(void *ctx, const struct lp_buf *content, const uint32_t *part_ends, size_t nparts,
         struct lp_err *err)
{
    struct made *m = ctx;
    (void)err;
    LP_ASSERT(m->nown < CHUNKS_MAX && nparts >= 1 && part_ends[nparts - 1] == content->n);
    m->nparts = nparts;
    struct lp_buf *b = &m->own[m->nown++];
    lp_buf_init(b, SIZE_MAX);
    lp_buf_add(b, content->p, content->n);
    lp_buf_reserve(b, LP_CONTENT_PAD);
    return LP_OK;
}

static lp_rc
sink_shared(void *ctx, struct lp_str content, uint32_t *ret_frame, uint32_t *ret_offset, struct lp_err *err)
{
    struct made *m = ctx;
    (void)err;
    lp_buf_c(&m->shared, "before");
    *ret_frame = 0;
    *ret_offset = (uint32_t)m->shared.n;
    lp_buf_str(&m->shared, content);
    lp_buf_c(&m->shared, "behind");
    lp_buf_reserve(&m->shared, LP_CONTENT_PAD);
    return LP_OK;
}

static struct made *
new_made(void)
{
    struct made *m = lp_calloc(1, sizeof(*m));
    m->e = lp_column_encoder_new();
    lp_buf_init(&m->heads, SIZE_MAX);
    lp_buf_init(&m->shared, SIZE_MAX);
    lp_arena_init(&m->ar, SIZE_MAX, 0);
    return m;
}

static void
free_made(struct made *m)
{
    for (size_t i = 0; i < m->nown; i++) {
        lp_buf_clear(&m->own[i]);
    }
    lp_column_encoder_free(m->e);
    lp_cells_clear(&m->cells);
    lp_buf_clear(&m->heads);
    lp_buf_clear(&m->shared);
    lp_arena_clear(&m->ar);
    lp_free(m);
}

/* The cell, from memory with the room behind it that lp_cells_add wants. */
static void
add(struct made *m, const char *p, size_t n)
{
    static char padded[LP_CELL_BYTES_MAX + 64];
    memcpy(padded, p, n);
    lp_cells_add(&m->cells, padded, n);
}

/* Encodes the cells and parses the head. */
static void
encode(struct made *m)
{
    struct lp_chunk_sink sink = {.own = sink_own, .shared = sink_shared, .ctx = m};
    CU_ASSERT_EQUAL_FATAL(lp_column_encode(m->e, &m->cells, &sink, &m->heads, NULL), LP_OK);
    lp_buf_reserve(&m->heads, LP_CONTENT_PAD);
    struct lp_rd rd = lp_rd_of(lp_buf_view(&m->heads));
    CU_ASSERT_FATAL(lp_column_parse(&rd, m->cells.rows, &m->ar, &m->col));
    CU_ASSERT_EQUAL_FATAL(lp_rd_left(&rd), 0);
    CU_ASSERT_EQUAL(sink.next_own, m->nown);
}

/* The content that holds a chunk. */
static struct lp_str
content_of(const struct made *m, const struct lp_column *col, uint32_t k)
{
    if (col->shared) {
        return lp_str_sub(lp_buf_view(&m->shared), LP_MIN(col->offset, m->shared.n), m->shared.n);
    }
    return k < m->nown ? lp_buf_view(&m->own[k]) : LP_STR("");
}

/* Compares every cell with what was added, and with what the head says; returns how many are wrong. */
static uint32_t
check_cells(const struct made *m)
{
    const struct lp_column *col = &m->col;
    size_t most = col->cell_max, at = 0;
    char *out = lp_malloc(most + 64);
    uint8_t set[32] = {0};
    uint32_t wrong = 0, rows = m->cells.rows, step = col->shared ? rows : col->chunk_rows;
    lp_column_bytes(col, set);
    for (uint32_t first = 0, k = 0; first < rows && col->type != LP_COL_CONST; first += step, k++) {
        struct lp_chunk ch;
        CU_ASSERT_FATAL(lp_chunk_decode(col, first, LP_MIN(step, rows - first), content_of(m, col, k), &ch));
        for (uint32_t i = 0; i < ch.rows; i++) {
            size_t n = m->cells.lens[first + i], got = lp_chunk_cell(col, &ch, i, out);
            bool same = got == n && memcmp(out, m->cells.p + at, n) == 0 &&
                        lp_chunk_cell_bytes(col, &ch, i) == n && n <= most;
            for (size_t b = 0; b < n && same; b++) {
                same = lp_set_has(set, (uint8_t)m->cells.p[at + b]);
            }
            wrong += !same;
            at += n;
        }
        lp_chunk_clear(&ch);
    }
    wrong += col->type == LP_COL_CONST && !lp_str_eq(col->value, lp_str_of(m->cells.p, m->cells.n));
    lp_free(out);
    return wrong;
}

/* --- what each type is meant for --- */

struct kind {
    const char *format; /* of one uint64 */
    uint64_t mask, offset, rising;
    uint8_t type, flags, digits, planes;
};

static void
expect(const struct kind *k, uint32_t rows)
{
    struct made *m = new_made();
    uint64_t seed = 5;
    char text[300];
    for (uint32_t i = 0; i < rows; i++) {
        uint64_t v = (lp_rand(&seed) & k->mask) + k->offset + k->rising * i;
        int n = snprintf(text, sizeof(text), k->format, v);
        add(m, text, (size_t)n);
    }
    encode(m);
    bool right = m->col.type == k->type && m->col.flags == k->flags && m->col.digits == k->digits &&
                 (k->planes == 0 || m->col.planes == k->planes);
    if (!right) {
        fprintf(stderr, "%s: type %u flags %u digits %u planes %u\n", k->format, m->col.type, m->col.flags,
                m->col.digits, m->col.planes);
    }
    CU_ASSERT(right);
    CU_ASSERT_EQUAL(check_cells(m), 0);
    CU_ASSERT_EQUAL(m->col.shared, m->nown == 0 && k->type != LP_COL_CONST);
    free_made(m);
}

static void
types_are_chosen_for_their_cells(void)
{
    static const struct kind kinds[] = {
        {"always%.0lx", 0, 0, 0, LP_COL_CONST, 0, 0, 0},
        {"%.0lu", 0, 0, 0, LP_COL_CONST, 0, 0, 0}, /* empty */
        {"word%lu", 7, 0, 0, LP_COL_DICT, 0, 0, 1},
        {"w%lu", 255, 0, 0, LP_COL_DICT, 0, 0, 1},
        {"w%lu", 511, 0, 0, LP_COL_DICT, 0, 0, 2},
        {"%lu", 99, 0, 0, LP_COL_INT, 0, 0, 1},
        {"%lu", 0xffff, 0, 0, LP_COL_INT, 0, 0, 2},
        {"%06lu", 0xffff, 0, 0, LP_COL_INT, 0, 6, 2},
        {"%lu", 0xff, 1000, 0, LP_COL_INT, 0, 4, 1},
        {"%lu", 15, UINT64_C(1000000000000), 50, LP_COL_INT, LP_COL_DELTA, 13, 1},
        {"%lu", 15, 5, 50, LP_COL_INT, LP_COL_DELTA, 0, 1},
        {"%018lu", UINT64_C(0x7ffffffffffffff), 0, 0, LP_COL_INT, 0, 18, 8},
        {"%lu", UINT64_C(0x7ffffffffffffff), UINT64_C(1000000000000000000), 0, LP_COL_HEX, 0, 19, 0},
        {"%04lx", 0xffff, 0, 0, LP_COL_HEX, 0, 4, 0},
        {"%016lx", UINT64_MAX, 0, 0, LP_COL_HEX, 0, 16, 0},
        {"%09lX", UINT64_C(0xfffffffff), 0, 0, LP_COL_HEX, LP_COL_UPPER, 9, 0},
        {"aA%010lx", UINT64_C(0xfffffffff), 0, 0, LP_COL_BYTES, 0, 0, 0},
        {"%lx", UINT64_C(0xfffffffff), 0, 0, LP_COL_BYTES, 0, 0, 0}, /* of several lengths */
        {"0%lu", 0xfffff, 0, 0, LP_COL_BYTES, 0, 0, 0},       /* zeros before numbers of several lengths */
        {"%0256lx", UINT64_MAX, 0, 0, LP_COL_BYTES, 0, 0, 0}, /* more digits than a head can say */
        {"%0255lx", UINT64_MAX, 0, 0, LP_COL_HEX, 0, 255, 0},
        {"x\xc3\xa9%lu", UINT64_MAX, 0, 0, LP_COL_BYTES, 0, 0, 0},
    };
    for (size_t i = 0; i < LP_ARRAY_LEN(kinds); i++) {
        expect(&kinds[i], 3000);
        expect(&kinds[i], 20000); /* in chunks of their own */
    }
}

/* Cells given as text; returns the column, whose chunks were compared. */
static struct made *
of_texts(const char *const *texts, size_t n)
{
    struct made *m = new_made();
    for (size_t i = 0; i < n; i++) {
        add(m, texts[i], strlen(texts[i]));
    }
    encode(m);
    CU_ASSERT_EQUAL(check_cells(m), 0);
    return m;
}

static void
numbers_at_their_edges(void)
{
    static const char *const wide[] = {"0", "999999999999999999", "1", "10", "9"};
    static const char *const zeros[] = {"7", "07", "8", "10"};
    static const char *const one[] = {"00", "01", "00", "09"};
    static const char *const near_one[] = {"1000000", "1000001", "999999", "1000000"};
    struct made *m = of_texts(wide, LP_ARRAY_LEN(wide));
    CU_ASSERT(m->col.type == LP_COL_INT && m->col.min == 0 && m->col.max == UINT64_C(999999999999999999));
    CU_ASSERT_EQUAL(m->col.cell_max, 18);
    free_made(m);
    m = of_texts(zeros, LP_ARRAY_LEN(zeros));
    CU_ASSERT(m->col.type != LP_COL_INT); /* a 7 and a 07 */
    free_made(m);
    m = of_texts(one, LP_ARRAY_LEN(one));
    CU_ASSERT(m->col.type == LP_COL_INT && m->col.digits == 2 && m->col.min == 0 && m->col.max == 9);
    free_made(m);
    m = of_texts(near_one, LP_ARRAY_LEN(near_one));
    CU_ASSERT(m->col.type == LP_COL_INT && m->col.min == 999999 && m->col.max == 1000001);
    free_made(m);
    CU_ASSERT_EQUAL(lp_digits_of(0), 1);
    uint64_t ten = 1;
    for (unsigned n = 1; n <= 18; n++, ten *= 10) {
        CU_ASSERT_EQUAL(lp_digits_of(ten), n);
        CU_ASSERT_EQUAL(lp_digits_of(ten * 10 - 1), n);
    }
}

/* --- random cells --- */

static void
add_random(struct made *m, uint32_t rows, uint64_t *seed)
{
    static const char *const alphabets[] = {"0123456789",
                                            "0123456789abcdef",
                                            "0123456789ABCDEF",
                                            "ab",
                                            "abcdefghijklmnopqrstuvwxyz_",
                                            "\x01\x80\xff zA0",
                                            "0",
                                            "01"};
    const char *letters = alphabets[lp_rand(seed) % LP_ARRAY_LEN(alphabets)];
    uint32_t n = (uint32_t)strlen(letters), most = (uint32_t)(lp_rand(seed) % 40), any = lp_rand(seed) % 2;
    most = lp_rand(seed) % 50 == 0 ? LP_CELL_BYTES_MAX : most;
    char *text = lp_malloc(most + 1);
    for (uint32_t i = 0; i < rows; i++) {
        uint32_t len = any ? (uint32_t)(lp_rand(seed) % (most + 1)) : most;
        for (uint32_t k = 0; k < len; k++) {
            text[k] = letters[lp_rand(seed) % n];
        }
        add(m, text, len);
    }
    lp_free(text);
}

static void
random_cells_come_back(void)
{
    uint64_t seed = 6;
    uint32_t wrong = 0, types[LP_COL_TYPES] = {0}, own = 0;
    for (unsigned i = 0; i < 800; i++) {
        struct made *m = new_made();
        uint64_t r = lp_rand(&seed);
        add_random(m, 1 + (uint32_t)(r >> 8) % (r % 20 == 0 ? 5000u : 100u), &seed);
        encode(m);
        uint32_t bad = check_cells(m);
        if (bad > 0) {
            fprintf(stderr, "column %u: %u of %u cells of type %u\n", i, bad, m->cells.rows, m->col.type);
        }
        wrong += bad;
        types[m->col.type]++;
        own += m->nown > 1;
        free_made(m);
    }
    CU_ASSERT_EQUAL(wrong, 0);
    for (unsigned i = 0; i < LP_COL_TYPES; i++) {
        CU_ASSERT(types[i] > 10);
    }
    CU_ASSERT(own > 10);
}

/* --- bytes that are not what they were --- */

/* Parses a head and reads all that it leads to. */
static void
read_hostile(const struct made *m, struct lp_str head, const struct lp_buf *content)
{
    struct lp_rd rd = lp_rd_of(head);
    struct lp_arena ar;
    struct lp_column col;
    lp_arena_init(&ar, 1u << 20, 0);
    if (lp_column_parse(&rd, m->cells.rows, &ar, &col) && col.type != LP_COL_CONST) {
        size_t most = col.cell_max;
        char *out = lp_malloc(most + 32);
        uint32_t step = LP_MIN(col.shared ? col.rows : col.chunk_rows, col.rows);
        struct lp_str bytes = content != NULL ? lp_buf_view(content) : content_of(m, &col, 0);
        struct lp_chunk ch;
        LP_ASSERT(step > 0);
        if (lp_chunk_decode(&col, 0, step, bytes, &ch)) {
            for (uint32_t i = 0; i < ch.rows; i++) {
                LP_ASSERT(lp_chunk_cell(&col, &ch, i, out) <= most);
                LP_ASSERT(lp_chunk_cell_bytes(&col, &ch, i) <= most);
            }
            lp_chunk_clear(&ch);
        }
        lp_free(out);
    }
    lp_arena_clear(&ar);
}

static void
made_up_heads_and_chunks(void)
{
    uint64_t seed = 7;
    for (unsigned round = 0; round < 120; round++) {
        struct made *m = new_made();
        struct lp_buf head, content;
        add_random(m, 1 + (uint32_t)(lp_rand(&seed) % 200), &seed);
        encode(m);
        lp_buf_init(&head, SIZE_MAX);
        lp_buf_init(&content, SIZE_MAX);
        for (unsigned i = 0; i < 60; i++) {
            size_t n = m->heads.n, cut = lp_rand(&seed) % (n + 1);
            lp_buf_reset(&head);
            lp_buf_add(&head, m->heads.p, i % 3 == 0 ? cut : n);
            for (unsigned k = lp_rand(&seed) % 3; k > 0 && head.n > 0; k--) {
                head.p[lp_rand(&seed) % LP_MIN(head.n, (size_t)64)] ^= (char)(1u << lp_rand(&seed) % 8);
            }
            lp_buf_reserve(&head, LP_CONTENT_PAD);
            memset(head.p + head.n, 0, LP_CONTENT_PAD);
            read_hostile(m, lp_buf_view(&head), NULL);
            struct lp_str whole = content_of(m, &m->col, 0);
            lp_buf_reset(&content);
            lp_buf_str(&content, lp_str_sub(whole, 0, i % 4 == 0 ? lp_rand(&seed) % (whole.n + 1) : whole.n));
            for (unsigned k = 0; k < 3 && content.n > 0; k++) {
                content.p[lp_rand(&seed) % content.n] ^= (char)(1u << lp_rand(&seed) % 8);
            }
            lp_buf_reserve(&content, LP_CONTENT_PAD);
            memset(content.p + content.n, 0, LP_CONTENT_PAD);
            read_hostile(m, lp_buf_view(&m->heads), &content);
            read_hostile(m, lp_buf_view(&head), &content);
        }
        lp_buf_clear(&head);
        lp_buf_clear(&content);
        free_made(m);
    }
}

static void
chunks_of_another_length_are_refused(void)
{
    static const char *const formats[] = {"%016lx", "%lu", "word %lu", "w%lu"};
    for (size_t f = 0; f < LP_ARRAY_LEN(formats); f++) {
        struct made *m = new_made();
        uint64_t seed = 8;
        char text[64];
        for (uint32_t i = 0; i < 20000; i++) {
            uint64_t v = f == 3 ? lp_rand(&seed) % 400 : f == 1 ? lp_rand(&seed) >> 20 : lp_rand(&seed);
            add(m, text, (size_t)snprintf(text, sizeof(text), formats[f], v));
        }
        encode(m);
        CU_ASSERT_FATAL(!m->col.shared && m->nown > 1);
        struct lp_str whole = lp_buf_view(&m->own[0]);
        struct lp_chunk ch;
        CU_ASSERT(lp_chunk_decode(&m->col, 0, m->col.chunk_rows, whole, &ch));
        lp_chunk_clear(&ch);
        CU_ASSERT(!lp_chunk_decode(&m->col, 0, m->col.chunk_rows, lp_str_sub(whole, 0, whole.n - 1), &ch));
        CU_ASSERT(!lp_chunk_decode(&m->col, 0, m->col.chunk_rows - 1, whole, &ch));
        CU_ASSERT(!lp_chunk_decode(&m->col, 0, m->col.chunk_rows + 1, whole, &ch));
        free_made(m);
    }
}

/* What a head of each type must not say. */
static void
heads_that_cannot_be(void)
{
    static const struct {
        const char *p;
        size_t n;
    } bad[] = {
        {"\5\0\0\0", 4},                                            /* no such type */
        {"\0\1\0", 3},                                              /* CONST with a flag */
        {"\0\200\0", 3},                                            /* CONST, shared */
        {"\1\0\0\0\1", 5},                                          /* DICT without values */
        {"\1\1\1\1a\0\1", 7},                                       /* DICT with a flag */
        {"\1\0\2\1a\0", 6},                                         /* DICT that ends early */
        {"\2\0\0\0\0\1\0\1", 8},                                    /* INT without planes */
        {"\2\0\11\0\0\1\0\1", 8},                                   /* INT of 9 planes */
        {"\2\0\1\0\5\4\0\1", 8},                                    /* INT with min above max */
        {"\2\2\1\0\0\1\0\1", 8},                                    /* INT with a flag of HEX */
        {"\2\0\1\1\0\12\0\1", 8},                                   /* INT of one digit up to 10 */
        {"\2\0\1\23\0\1\0\1", 8},                                   /* INT of 19 digits */
        {"\2\0\10\0\0\200\200\220\273\272\326\255\360\15\0\1", 16}, /* INT up to 10^18: 19 digits */
        {"\3\0\0\0\1", 5},                                          /* HEX of no digit */
        {"\3\1\4\0\1", 5},                                          /* HEX with a flag of INT */
        {"\3\0\4\0\0", 5},                                          /* chunks of no rows */
        {"\4\0\5\4\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1",
         38}, /* min above max */
    };
    for (size_t i = 0; i < LP_ARRAY_LEN(bad); i++) {
        char head[64] = {0};
        struct lp_arena ar;
        struct lp_column col;
        memcpy(head, bad[i].p, bad[i].n);
        struct lp_rd rd = lp_rd_of(lp_str_of(head, bad[i].n));
        lp_arena_init(&ar, 1u << 20, 0);
        bool taken = lp_column_parse(&rd, 100, &ar, &col);
        if (taken) {
            fprintf(stderr, "bad head %zu is taken\n", i);
        }
        CU_ASSERT(!taken);
        lp_arena_clear(&ar);
    }
}

/* --- ids --- */

static void
ids_are_noted(void)
{
    static const struct {
        const char *format;
        size_t ids; /* of 1000 cells */
    } kinds[] = {{"%016lx", 1000}, {"%08lX", 1000}, {"%07lx", 0}, {"q%lu", 1000}, {"x_%.5s", 0}, {"%lu", 0}};
    for (size_t k = 0; k < LP_ARRAY_LEN(kinds); k++) {
        struct made *m = new_made();
        uint64_t seed = 9, last = 0;
        char text[64];
        for (uint32_t i = 0; i < 1000; i++) {
            uint64_t v = lp_rand(&seed);
            v = k == 1 ? v >> 32 : k == 2 ? v >> 36 : k == 5 ? v >> 10 : v;
            char word[9] = {0};
            for (unsigned j = 0; j < 8; j++) {
                word[j] = (char)('f' + (v >> (4 * j) & 15));
            }
            int n = k == 4 ? snprintf(text, sizeof(text), kinds[k].format, word)
                           : snprintf(text, sizeof(text), kinds[k].format, v);
            add(m, text, (size_t)n);
            last = lp_id_hash(lp_str_of(text, (size_t)n));
        }
        encode(m);
        CU_ASSERT_EQUAL(m->e->nids, kinds[k].ids);
        CU_ASSERT(kinds[k].ids == 0 || m->e->ids[999] == last);
        free_made(m);
    }
}

static void
what_stands_for_an_id(void)
{
    char a[200], b[200];
    CU_ASSERT_EQUAL(lp_id_hash(LP_STR("abc_123\xc3\x84")), lp_xxh64("abc_123\xc3\x84", 9));
    CU_ASSERT_EQUAL(lp_id_hash(LP_STR("ABC@[`{Z9")), lp_xxh64("abc@[`{z9", 9));
    CU_ASSERT(lp_is_id(LP_STR("abcde0")) && lp_is_id(LP_STR("9bcdef")) && lp_is_id(LP_STR("123456")));
    CU_ASSERT(!lp_is_id(LP_STR("abcd0")) && !lp_is_id(LP_STR("abcdefgh")) && !lp_is_id(LP_STR("")));
    memset(a, 'A', sizeof(a));
    memset(b, 'a', sizeof(b));
    CU_ASSERT_EQUAL(lp_id_hash(lp_str_of(a, 64)), lp_xxh64(b, 64));
    lp_put_u64(b + 64, 150);
    CU_ASSERT_EQUAL(lp_id_hash(lp_str_of(a, 150)), lp_xxh64(b, 72));
    CU_ASSERT_NOT_EQUAL(lp_id_hash(lp_str_of(a, 150)), lp_id_hash(lp_str_of(a, 151)));
    memset(b, 'a', sizeof(b));
    b[31] = 'x';
    CU_ASSERT_NOT_EQUAL(lp_id_hash(lp_str_of(a, 150)), lp_id_hash(lp_str_of(b, 150)));
    b[31] = 'a';
    b[118] = 'x';
    CU_ASSERT_NOT_EQUAL(lp_id_hash(lp_str_of(a, 150)), lp_id_hash(lp_str_of(b, 150)));
}

/* --- numbers --- */

static void
numbers_come_back(void)
{
    uint64_t seed = 10, *v = lp_malloc(5000 * sizeof(*v)), *got = lp_malloc(5000 * sizeof(*got));
    struct lp_column_encoder *e = lp_column_encoder_new();
    for (unsigned round = 0; round < 400; round++) {
        uint32_t n = round < 3 ? round : (uint32_t)(lp_rand(&seed) % (round % 10 == 0 ? 5000 : 60));
        uint64_t few = lp_rand(&seed) % 3 == 0 ? 1 + lp_rand(&seed) % 300 : UINT64_MAX;
        unsigned shift = (unsigned)(lp_rand(&seed) % 64);
        for (uint32_t i = 0; i < n; i++) {
            v[i] = few == UINT64_MAX ? lp_rand(&seed) >> shift : UINT64_MAX - lp_rand(&seed) % few;
        }
        struct lp_buf out;
        uint32_t part_ends[LP_NUMBERS_PARTS];
        size_t nparts;
        lp_buf_init(&out, SIZE_MAX);
        lp_numbers_encode(e, v, n, &out, part_ends, &nparts);
        CU_ASSERT_FATAL(nparts >= 1 && nparts <= LP_NUMBERS_PARTS && part_ends[nparts - 1] == out.n);
        lp_buf_reserve(&out, LP_CONTENT_PAD);
        struct lp_rd rd = lp_rd_of(lp_buf_view(&out));
        CU_ASSERT(lp_numbers_decode(&rd, n, got));
        CU_ASSERT(memcmp(v, got, n * sizeof(*v)) == 0);
        for (size_t cut = 0; cut < out.n; cut += 1 + cut / 8) {
            rd = lp_rd_of(lp_str_of(out.p, cut));
            CU_ASSERT(!lp_numbers_decode(&rd, n, got));
        }
        lp_buf_u8(&out, 0);
        rd = lp_rd_of(lp_buf_view(&out));
        CU_ASSERT(!lp_numbers_decode(&rd, n, got));
        for (unsigned i = 0; i < 50; i++) {
            out.p[lp_rand(&seed) % LP_MIN(out.n, (size_t)(i % 2 ? 8 : 5000))] ^=
                (char)(1u << lp_rand(&seed) % 8);
            rd = lp_rd_of(lp_buf_view(&out));
            (void)!lp_numbers_decode(&rd, n, got);
        }
        lp_buf_clear(&out);
    }
    lp_column_encoder_free(e);
    lp_free(v);
    lp_free(got);
}

LP_SUITE(column, {"types are chosen for their cells", types_are_chosen_for_their_cells},
         {"numbers at their edges", numbers_at_their_edges},
         {"random cells come back", random_cells_come_back},
         {"made-up heads and chunks", made_up_heads_and_chunks},
         {"chunks of another length are refused", chunks_of_another_length_are_refused},
         {"heads that cannot be", heads_that_cannot_be}, {"ids are noted", ids_are_noted},
         {"what stands for an id", what_stands_for_an_id}, {"numbers come back", numbers_come_back});
