/*
 * bytes.c - the appending half and the bounded reading half of bytes.h. Pure functions.
 */
#include "base/bytes.h"

bool
lp_buf_u8(struct lp_buf *b, uint8_t v)
{
    return lp_buf_byte(b, v);
}

bool
lp_buf_u16(struct lp_buf *b, uint16_t v)
{
    uint8_t raw[2];
    lp_put_u16(raw, v);
    return lp_buf_add(b, raw, sizeof(raw));
}

bool
lp_buf_u32(struct lp_buf *b, uint32_t v)
{
    uint8_t raw[4];
    lp_put_u32(raw, v);
    return lp_buf_add(b, raw, sizeof(raw));
}

bool
lp_buf_u64(struct lp_buf *b, uint64_t v)
{
    uint8_t raw[8];
    lp_put_u64(raw, v);
    return lp_buf_add(b, raw, sizeof(raw));
}

bool
lp_buf_varint(struct lp_buf *b, uint64_t v)
{
    uint8_t raw[LP_VARINT_MAX];
    return lp_buf_add(b, raw, lp_put_varint(raw, v));
}

bool
lp_buf_svarint(struct lp_buf *b, int64_t v)
{
    return lp_buf_varint(b, lp_zigzag(v));
}

bool
lp_buf_lpstr(struct lp_buf *b, struct lp_str s)
{
    size_t before = b->n;
    if (lp_buf_varint(b, s.n) && lp_buf_str(b, s)) {
        return true;
    }
    b->n = before;
    return false;
}

/* n bytes at the reader's place, which moves behind them; NULL (and bad) when there are fewer. */
static const uint8_t *
take(struct lp_rd *r, size_t n)
{
    if (r->bad || n > (size_t)(r->end - r->p)) {
        r->bad = true;
        return NULL;
    }
    const uint8_t *at = r->p;
    r->p = at + n;
    return at;
}

uint8_t
lp_rd_u8(struct lp_rd *r)
{
    const uint8_t *at = take(r, 1);
    return at != NULL ? *at : 0;
}

uint16_t
lp_rd_u16(struct lp_rd *r)
{
    const uint8_t *at = take(r, 2);
    return at != NULL ? lp_get_u16(at) : 0;
}

uint32_t
lp_rd_u32(struct lp_rd *r)
{
    const uint8_t *at = take(r, 4);
    return at != NULL ? lp_get_u32(at) : 0;
}

uint64_t
lp_rd_u64(struct lp_rd *r)
{
    const uint8_t *at = take(r, 8);
    return at != NULL ? lp_get_u64(at) : 0;
}

uint64_t
lp_rd_varint_long(struct lp_rd *r)
{
    if (!r->bad && r->end - r->p >= 2 && r->p[0] >= 0x80 && r->p[1] < 0x80) { /* lengths of lines */
        uint64_t two = (uint64_t)(r->p[0] & 0x7f) | (uint64_t)r->p[1] << 7;
        r->p += 2;
        return two;
    }
    uint64_t v = 0;
    for (unsigned shift = 0; shift < 7 * LP_VARINT_MAX && !r->bad; shift += 7) {
        uint8_t byte = lp_rd_u8(r);
        if (shift == 63 && byte > 1) {
            break; /* more than 64 bits */
        }
        v |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80) {
            return r->bad ? 0 : v;
        }
    }
    r->bad = true;
    return 0;
}

int64_t
lp_rd_svarint(struct lp_rd *r)
{
    return lp_unzigzag(lp_rd_varint(r));
}
