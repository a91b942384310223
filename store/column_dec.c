/*
 * column_dec.c - reading column heads and chunks back (FORMAT.md section 2.5). The bytes may be made up:
 * every count is checked before it is used, and a decoded chunk can be read at any of its rows without a
 * check.
 */
#include <string.h>

#include "store/column.h"

static bool
parse_place(struct lp_rd *rd, struct lp_column *col)
{
    uint64_t frame = lp_rd_varint(rd), where = lp_rd_varint(rd);
    if (rd->bad || frame > UINT32_MAX || where > UINT32_MAX || (!col->shared && where == 0)) {
        return false;
    }
    col->frame = (uint32_t)frame;
    col->offset = col->shared ? (uint32_t)where : 0;
    col->chunk_rows =
        col->shared ? 0 : LP_MIN((uint32_t)where, col->rows); /* made-up ones would wrap around */
    return true;
}

static bool
parse_dict(struct lp_rd *rd, struct lp_arena *ar, struct lp_column *col)
{
    uint64_t n = lp_rd_varint(rd);
    if (rd->bad || n < 1 || n > LP_DICT_MAX || n > lp_rd_left(rd)) {
        return false;
    }
    struct lp_str *values = lp_arena_array(ar, n, sizeof(*values));
    if (values == NULL) {
        return false;
    }
    uint8_t *set = lp_arena_zalloc(ar, 32);
    if (set == NULL) {
        return false;
    }
    col->min = UINT64_MAX;
    for (uint64_t i = 0; i < n; i++) {
        values[i] = lp_rd_lpstr(rd);
        lp_set_add(set, values[i]);
        col->min = LP_MIN(col->min, values[i].n);
        col->max = LP_MAX(col->max, values[i].n);
    }
    col->values = values;
    col->set = set;
    col->nvalues = (uint32_t)n;
    col->planes = n <= 256 ? 1 : 2;
    return !rd->bad && col->max <= LP_CELL_BYTES_MAX;
}

static bool
parse_int(struct lp_rd *rd, struct lp_column *col)
{
    col->planes = lp_rd_u8(rd);
    col->digits = lp_rd_u8(rd);
    col->min = lp_rd_varint(rd);
    col->max = lp_rd_varint(rd);
    return !rd->bad && col->planes >= 1 && col->planes <= LP_COLUMN_PLANES && col->min <= col->max &&
           lp_digits_of(col->max) <= LP_INT_DIGITS_MAX &&
           (col->digits == 0 || (col->digits <= LP_INT_DIGITS_MAX && lp_digits_of(col->max) <= col->digits));
}

static bool
parse_bytes(struct lp_rd *rd, struct lp_column *col)
{
    col->min = lp_rd_varint(rd);
    col->max = lp_rd_varint(rd);
    col->set = (const uint8_t *)lp_rd_bytes(rd, 32).p;
    return !rd->bad && col->min <= col->max && col->max <= LP_CELL_BYTES_MAX;
}

static bool
parse_head(struct lp_rd *rd, uint32_t rows, struct lp_arena *ar, struct lp_column *ret)
{
    memset(ret, 0, sizeof(*ret));
    ret->rows = rows;
    ret->type = lp_rd_u8(rd);
    ret->flags = lp_rd_u8(rd);
    ret->shared = (ret->flags & 0x80) != 0;
    ret->flags &= 0x7f;
    switch (ret->type) {
    case LP_COL_CONST:
        ret->value = lp_rd_lpstr(rd);
        ret->min = ret->max = ret->value.n;
        return !rd->bad && ret->flags == 0 && !ret->shared && ret->value.n <= LP_CELL_BYTES_MAX;
    case LP_COL_DICT:
        return ret->flags == 0 && parse_dict(rd, ar, ret) && parse_place(rd, ret);
    case LP_COL_INT:
        return (ret->flags & ~LP_COL_DELTA) == 0 && parse_int(rd, ret) && parse_place(rd, ret);
    case LP_COL_HEX:
        ret->digits = lp_rd_u8(rd);
        ret->min = ret->max = ret->digits;
        return (ret->flags & ~LP_COL_UPPER) == 0 && ret->digits >= 1 && parse_place(rd, ret);
    case LP_COL_BYTES:
        return ret->flags == 0 && parse_bytes(rd, ret) && parse_place(rd, ret);
    default:
        return false;
    }
}

bool
lp_column_parse(struct lp_rd *rd, uint32_t rows, struct lp_arena *ar, struct lp_column *ret)
{
    if (!parse_head(rd, rows, ar, ret)) {
        return false;
    }
    bool digits = ret->type == LP_COL_INT;
    ret->cell_max = !digits ? (uint32_t)ret->max : ret->digits != 0 ? ret->digits : lp_digits_of(ret->max);
    return true;
}

/* --- chunks --- */

/* n numbers of `planes` bytes each, plane by plane, plus base. */
static void
join_planes(const uint8_t *p, uint32_t n, unsigned planes, uint64_t base, uint64_t *v)
{
    if (planes == 1) {
        for (uint32_t i = 0; i < n; i++) {
            v[i] = base + p[i];
        }
        return;
    }
    if (planes == 2) {
        for (uint32_t i = 0; i < n; i++) {
            v[i] = base + (p[i] | (uint64_t)p[n + i] << 8);
        }
        return;
    }
    for (uint32_t i = 0; i < n; i++) {
        v[i] = base;
    }
    for (unsigned k = 0; k < planes; k++, p += n) {
        for (uint32_t i = 0; i < n; i++) {
            v[i] += (uint64_t)p[i] << (8 * k);
        }
    }
}

/* Numbers stored as differences must be added up; others are read where they stand. */
static bool
decode_numbers(const struct lp_column *col, struct lp_rd *rd, struct lp_chunk *ret)
{
    bool delta = (col->flags & LP_COL_DELTA) != 0;
    uint64_t v = delta ? lp_rd_u64(rd) : 0, outside = 0;
    const uint8_t *planes = (const uint8_t *)lp_rd_bytes(rd, (size_t)ret->rows * col->planes).p;
    if (rd->bad || !delta) {
        ret->p = planes;
        return !rd->bad;
    }
    ret->numbers = lp_malloc(ret->rows * sizeof(*ret->numbers));
    ret->memory += ret->rows * sizeof(*ret->numbers);
    join_planes(planes, ret->rows, col->planes, 0, ret->numbers);
    for (uint32_t i = 0; i < ret->rows; i++) {
        ret->numbers[i] = v += (uint64_t)lp_unzigzag(ret->numbers[i]);
        outside |= (v < col->min) | (v > col->max);
    }
    return outside == 0;
}

static bool
decode_codes(const struct lp_column *col, struct lp_rd *rd, struct lp_chunk *ret)
{
    ret->p = (const uint8_t *)lp_rd_bytes(rd, (size_t)ret->rows * col->planes).p;
    return !rd->bad;
}

static bool
decode_bytes(const struct lp_column *col, struct lp_rd *rd, struct lp_chunk *ret)
{
    unsigned planes = col->min == col->max ? 0 : col->max - col->min < 256 ? 1 : 2;
    struct lp_str lens = lp_rd_bytes(rd, (size_t)ret->rows * planes);
    if (rd->bad) {
        return false;
    }
    const uint8_t *p = (const uint8_t *)lens.p;
    uint32_t at = 0, n = ret->rows, least = (uint32_t)col->min, most = 0;
    ret->offsets = lp_malloc(((size_t)n + 1) * sizeof(*ret->offsets));
    ret->memory += ((size_t)n + 1) * sizeof(*ret->offsets);
    for (uint32_t i = 0; i < n; i++) {
        uint32_t more = planes == 0 ? 0 : planes == 1 ? p[i] : (uint32_t)(p[i] | p[n + i] << 8);
        ret->offsets[i] = at;
        most = LP_MAX(most, more);
        at += least + more; /* 65,536 rows of 64 KiB at most: fits */
    }
    ret->offsets[n] = at;
    ret->p = (const uint8_t *)lp_rd_bytes(rd, at).p;
    return !rd->bad && least + most <= col->max;
}

bool
lp_chunk_decode(const struct lp_column *col, uint32_t first, uint32_t rows, struct lp_str content,
                struct lp_chunk *ret)
{
    struct lp_rd rd = lp_rd_of(content);
    bool ok;
    *ret = (struct lp_chunk){.first = first, .rows = rows, .memory = sizeof(*ret)};
    switch (col->type) {
    case LP_COL_INT:
        ok = decode_numbers(col, &rd, ret);
        break;
    case LP_COL_DICT:
        ok = decode_codes(col, &rd, ret);
        break;
    case LP_COL_HEX:
        ret->p = (const uint8_t *)lp_rd_bytes(&rd, (size_t)rows * ((col->digits + 1u) / 2)).p;
        ok = !rd.bad;
        break;
    default:
        ok = decode_bytes(col, &rd, ret);
        break;
    }
    ok = ok && (col->shared || lp_rd_left(&rd) == 0);
    if (!ok) {
        lp_chunk_clear(ret);
    }
    return ok;
}

void
lp_chunk_clear(struct lp_chunk *c)
{
    lp_free(c->offsets);
    lp_free(c->numbers);
    lp_free(c->owned);
    *c = (struct lp_chunk){0};
}

bool
lp_numbers_decode(struct lp_rd *rd, uint32_t n, uint64_t *ret)
{
    uint8_t type = lp_rd_u8(rd);
    if (type == LP_COL_DICT) {
        uint64_t values[256], few = lp_rd_varint(rd);
        if (rd->bad || few > 256) {
            return false;
        }
        memset(values, 0, sizeof(values));
        for (uint64_t i = 0; i < few; i++) {
            values[i] = lp_rd_varint(rd);
        }
        struct lp_str codes = lp_rd_bytes(rd, n);
        uint8_t most = 0;
        for (uint32_t i = 0; i < n && !rd->bad; i++) {
            uint8_t code = (uint8_t)codes.p[i];
            most = LP_MAX(most, code);
            ret[i] = values[code];
        }
        return !rd->bad && (n == 0 || most < few) && lp_rd_left(rd) == 0;
    }
    uint64_t min = lp_rd_varint(rd);
    uint8_t planes = lp_rd_u8(rd);
    if (rd->bad || type != LP_COL_INT || planes < 1 || planes > LP_COLUMN_PLANES) {
        return false;
    }
    struct lp_str p = lp_rd_bytes(rd, (size_t)n * planes);
    if (rd->bad || lp_rd_left(rd) != 0) {
        return false;
    }
    join_planes((const uint8_t *)p.p, n, planes, min, ret);
    return true;
}

/* --- cells --- */

unsigned
lp_digits_of(uint64_t v)
{
    unsigned n = 1;
    for (; v >= 10000; v /= 10000) {
        n += 4;
    }
    return n + (v >= 10) + (v >= 100) + (v >= 1000);
}

static size_t
put_number(uint64_t v, unsigned digits, char *out)
{
    static const char pairs[201] =
        "0001020304050607080910111213141516171819202122232425262728293031323334353637383940414243444546474849"
        "505152535455565758596061626364656667686970717273747576777879808182838485868788899091929394959697989"
        "9";
    unsigned n = digits != 0 ? digits : lp_digits_of(v), at = n;
    while (at >= 2) {
        at -= 2;
        memcpy(out + at, pairs + v % 100 * 2, 2);
        v /= 100;
    }
    if (at == 1) {
        out[0] = (char)('0' + v % 10);
    }
    return n;
}

static size_t
put_hex(const uint8_t *p, unsigned digits, bool upper, char *out)
{
    const char *alphabet = upper ? "0123456789ABCDEF" : "0123456789abcdef";
    for (unsigned k = 0; k < digits; k += 2, p++) {
        out[k] = alphabet[*p >> 4];
        out[k + 1] = alphabet[*p & 15]; /* of an odd number of digits: overwritten or ignored */
    }
    return digits;
}

void
lp_column_bytes(const struct lp_column *col, uint8_t set[32])
{
    switch (col->type) {
    case LP_COL_CONST:
        lp_set_add(set, col->value);
        break;
    case LP_COL_INT:
        lp_set_add(set, LP_STR("0123456789"));
        break;
    case LP_COL_HEX:
        lp_set_add(set, col->flags & LP_COL_UPPER ? LP_STR("0123456789ABCDEF") : LP_STR("0123456789abcdef"));
        break;
    default:
        for (unsigned i = 0; i < 32; i++) {
            set[i] |= col->set[i];
        }
        break;
    }
}

size_t
lp_chunk_cell(const struct lp_column *col, const struct lp_chunk *ch, uint32_t i, char *out)
{
    struct lp_str s;
    switch (col->type) {
    case LP_COL_INT:
        return put_number(lp_chunk_number(col, ch, i), col->digits, out);
    case LP_COL_HEX:
        return put_hex(ch->p + (size_t)i * ((col->digits + 1u) / 2), col->digits, col->flags & LP_COL_UPPER,
                       out);
    case LP_COL_DICT:
        s = col->values[lp_chunk_code(col, ch, i)];
        break;
    default:
        s = lp_str_of((const char *)ch->p + ch->offsets[i], ch->offsets[i + 1] - ch->offsets[i]);
        break;
    }
    memcpy(out, s.p, 16); /* most cells are short; source and target have room (column.h) */
    if (s.n > 16) {
        memcpy(out + 16, s.p + 16, s.n - 16);
    }
    return s.n;
}

uint32_t
lp_chunk_cell_bytes(const struct lp_column *col, const struct lp_chunk *ch, uint32_t i)
{
    switch (col->type) {
    case LP_COL_INT:
        return col->digits != 0 ? col->digits : lp_digits_of(lp_chunk_number(col, ch, i));
    case LP_COL_HEX:
        return col->digits;
    case LP_COL_DICT:
        return (uint32_t)col->values[lp_chunk_code(col, ch, i)].n;
    default:
        return ch->offsets[i + 1] - ch->offsets[i];
    }
}
