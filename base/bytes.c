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
    uint64_t v = 0;
    size_t left = r->bad ? 0 : LP_MIN((size_t)(r->end - r->p), (size_t)LP_VARINT_MAX);
    for (size_t i = 0; i < left; i++) {
        uint8_t byte = r->p[i];
        if (i == LP_VARINT_MAX - 1 && byte > 1) {
            break; /* more than 64 bits */
        }
        v |= (uint64_t)(byte & 0x7f) << (7 * i);
        if (byte < 0x80) {
            r->p += i + 1;
            return v;
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
