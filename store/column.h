/*
 * column.h - one typed column: the cells at one place of all rows of a table (FORMAT.md section 2.5).
 *
 * A column's head (type, bounds, constant or dictionary) stands in the block's schema; its cells stand in chunks of
 * consecutive rows, each decodable by itself. Encoding chooses the type from the cells; decoding gives back their exact bytes.
 * Cells have at most LP_CELL_BYTES_MAX bytes. Objects belong to one thread; heads are immutable once parsed.
 */
#ifndef LP_STORE_COLUMN_H
#define LP_STORE_COLUMN_H

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#include "base/arena.h"
#include "base/buf.h"
#include "base/bytes.h"
#include "base/err.h"

#define LP_CELL_BYTES_MAX 65535u
#define LP_DICT_MAX 16384u  /* values of a dictionary */
#define LP_INT_DIGITS_MAX 18u
#define LP_COLUMN_PLANES 8u
#define LP_ID_HEX_MIN 8u    /* hex columns of at least so many digits are in the id index */
#define LP_ID_BYTES_MIN 6u  /* cells of bytes columns of at least so many bytes with a digit are in the id index */

enum lp_column_type { LP_COL_CONST = 0, LP_COL_DICT = 1, LP_COL_INT = 2, LP_COL_HEX = 3, LP_COL_BYTES = 4, LP_COL_TYPES };

#define LP_COL_DELTA 1u /* INT: differences to the row before */
#define LP_COL_UPPER 2u /* HEX: A-F */

struct lp_column {
    uint8_t type, flags;
    uint8_t planes;             /* DICT, INT: bytes of a code or number */
    uint8_t digits;             /* INT: exact number of digits, 0: no leading zeros; HEX: digits */
    bool shared;                /* the cells lie in a SHARED frame, at offset, as one chunk */
    uint32_t rows;
    uint32_t frame;             /* index among the frames of its kind; own: the first one */
    uint32_t chunk_rows;        /* own: rows of each chunk but the last */
    uint32_t offset;            /* shared */
    uint32_t cell_max;          /* parsed: most bytes of a cell */
    uint64_t min, max;          /* INT: numbers; otherwise bytes of the shortest and longest cell */
    struct lp_str value;        /* CONST */
    const struct lp_str *values; /* DICT */
    uint32_t nvalues;
    const uint8_t *set;         /* BYTES, and parsed DICT: 256 bits, the bytes that occur */
};

/* --- cells on their way in: one column of one table --- */

struct lp_cells {
    char *p;            /* the cells behind each other */
    size_t n, cap;      /* 16 bytes behind n may be written over */
    uint16_t *lens;     /* of each cell; unused while constant */
    uint32_t rows, lens_cap;
    bool varied;        /* otherwise p[0, n) is the value of all rows */
};

void lp_cells_clear(struct lp_cells *c);
void lp_cells_reset(struct lp_cells *c);
/* Makes a second value known; the constant ones before are written out. Slow path of lp_cells_add. */
void lp_cells_grow(struct lp_cells *c, size_t bytes);

/* --- encoding --- */

/* Where chunks go: called in order; parts are stretches of content that are compressed each by itself. */
struct lp_chunk_sink {
    /* One chunk of the column as a frame of its own. */
    lp_rc (*own)(void *ctx, const struct lp_buf *content, const uint32_t *part_ends, size_t nparts, struct lp_err *err);
    /* A small column: returns where it was put. */
    lp_rc (*shared)(void *ctx, struct lp_str content, uint32_t *ret_frame, uint32_t *ret_offset, struct lp_err *err);
    void *ctx;
    uint32_t next_own; /* number of the next own frame */
};

/* Memory for encoding columns, kept from one to the next, and the ids found. */
struct lp_column_encoder {
    struct lp_buf content;
    uint64_t *numbers;
    uint32_t numbers_cap;
    uint16_t *codes;
    uint32_t *buckets; /* of the dictionary in the making: code + 1 */
    struct lp_str values[LP_DICT_MAX];
    uint64_t *ids; /* hashes for the id index */
    size_t nids, ids_cap;
};
struct lp_column_encoder *lp_column_encoder_new(void);
void lp_column_encoder_free(struct lp_column_encoder *e);

/* Appends the column's head to `heads`, its chunks to the sink. */
lp_rc lp_column_encode(struct lp_column_encoder *e, const struct lp_cells *c, struct lp_chunk_sink *sink, struct lp_buf *heads,
                       struct lp_err *err) LP_MUST_USE;
/* A column of numbers (times): type INT or DICT of numbers, head and content behind each other in out; the content's parts end at part_ends. */
void lp_numbers_encode(struct lp_column_encoder *e, const uint64_t *v, uint32_t n, struct lp_buf *out, uint32_t *part_ends, size_t *ret_nparts);
#define LP_NUMBERS_PARTS (LP_COLUMN_PLANES + 1)

/* --- decoding --- */

/* Reads a head; slices borrow from the bytes (with LP_CONTENT_PAD), arrays come from ar. False: malformed. */
bool lp_column_parse(struct lp_rd *rd, uint32_t rows, struct lp_arena *ar, struct lp_column *ret) LP_MUST_USE;

/* A chunk decoded: rows [first, first + rows) of the column. */
struct lp_chunk {
    uint32_t first, rows;
    const uint8_t *p;  /* HEX: packed digits; BYTES: the cells; DICT, INT: planes */
    uint32_t *offsets; /* BYTES: rows + 1 */
    uint64_t *numbers; /* INT with differences; otherwise they are read from the planes */
    size_t memory;
    bool used;
    char *owned; /* what p points into, or NULL */
};

/* Decoded content, and the bytes that heads are parsed from, are readable for so many bytes behind their end: cells are copied by 16. */
#define LP_CONTENT_PAD 32

/* content: the chunk's bytes, exactly or (shared) with more behind them; borrowed, with LP_CONTENT_PAD. False: malformed. */
bool lp_chunk_decode(const struct lp_column *col, uint32_t first, uint32_t rows, struct lp_str content, struct lp_chunk *ret) LP_MUST_USE;
void lp_chunk_clear(struct lp_chunk *c);
/* n numbers as lp_numbers_encode wrote them; the whole of rd. */
bool lp_numbers_decode(struct lp_rd *rd, uint32_t n, uint64_t *ret) LP_MUST_USE;

static inline bool
lp_set_has(const uint8_t set[32], uint8_t c)
{
    return (set[c / 8] >> (c % 8) & 1) != 0;
}

/* The set of the bytes whose flags are 1: marking a flag a byte is what is fast over much text. */
static inline void
lp_set_of_seen(const uint8_t seen[256], uint8_t set[32])
{
    for (unsigned i = 0; i < 256; i++) {
        set[i / 8] |= (uint8_t)(seen[i] << (i % 8));
    }
}

static inline void
lp_set_add(uint8_t set[32], struct lp_str s)
{
    for (size_t i = 0; i < s.n; i++) {
        uint8_t c = (uint8_t)s.p[i];
        set[c / 8] |= (uint8_t)(1u << (c % 8));
    }
}

/* Adds the bytes that may occur in the column's cells. */
void lp_column_bytes(const struct lp_column *col, uint8_t set[32]);
/* Writes the cell of row i of the chunk (not CONST) to out, which has room for cell_max + 32 bytes; returns its length. */
size_t lp_chunk_cell(const struct lp_column *col, const struct lp_chunk *ch, uint32_t i, char *out);
/* Its length alone. */
uint32_t lp_chunk_cell_bytes(const struct lp_column *col, const struct lp_chunk *ch, uint32_t i);
/* The number of row i of an INT chunk; the code of a DICT one. */
static inline uint64_t
lp_chunk_number(const struct lp_column *col, const struct lp_chunk *ch, uint32_t i)
{
    if (ch->numbers != NULL) {
        return ch->numbers[i];
    }
    uint64_t v = ch->p[i];
    for (unsigned k = 1; k < col->planes; k++) {
        v |= (uint64_t)ch->p[(size_t)k * ch->rows + i] << (8 * k);
    }
    v += col->min;
    return v < col->min || v > col->max ? col->max : v; /* made-up bytes must not make longer cells */
}

static inline uint32_t
lp_chunk_code(const struct lp_column *col, const struct lp_chunk *ch, uint32_t i)
{
    uint32_t code = col->planes == 1 ? ch->p[i] : (uint32_t)(ch->p[i] | ch->p[ch->rows + i] << 8);
    return code < col->nvalues ? code : 0; /* likewise */
}

/* Digits of a number without leading zeros. */
unsigned lp_digits_of(uint64_t v);

/* Whether a cell of a BYTES column is in the id index, and the hash that stands for it (of its lower-case form). */
bool lp_is_id(struct lp_str cell);
uint64_t lp_id_hash(struct lp_str cell);

/* --- adding a cell, the hot path: src is readable for 64 bytes behind --- */

/* Is the cell the constant? Most are short: 16 bytes are compared at once, those behind the cell left out. */
static inline bool
lp_cells_equal(const struct lp_cells *c, const char *src, size_t n)
{
    if (n != c->n) {
        return false;
    }
#if defined(__SSE2__)
    if (n <= 16) {
        __m128i a = _mm_loadu_si128((const __m128i *)(const void *)c->p);
        __m128i b = _mm_loadu_si128((const __m128i *)(const void *)src);
        uint32_t differ = 0xffff & ~(uint32_t)_mm_movemask_epi8(_mm_cmpeq_epi8(a, b));
        return (differ & ((1u << n) - 1)) == 0;
    }
#endif
    return memcmp(c->p, src, n) == 0;
}

static inline void
lp_cells_add(struct lp_cells *c, const char *src, size_t n)
{
    uint32_t rows = c->rows;
    if (!c->varied) {
        if (rows > 0 && lp_cells_equal(c, src, n)) {
            c->rows = rows + 1;
            return;
        }
        lp_cells_grow(c, n);
    }
    size_t at = c->n;
    if (LP_UNLIKELY(at + n + 32 > c->cap || rows == c->lens_cap)) {
        lp_cells_grow(c, n);
    }
    char *dst = c->p + at;
    c->lens[rows] = (uint16_t)n;
    c->n = at + n;
    c->rows = rows + 1;
    memcpy(dst, src, 16);
    if (LP_UNLIKELY(n > 16)) {
        memcpy(dst + 16, src + 16, n - 16);
    }
}

#endif
