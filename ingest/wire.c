/*
 * wire.c - see wire.h. Pure.
 */
#include "ingest/wire.h"

#define FIELD_NUMBER_MAX 536870911u

bool
lp_wire_next(struct lp_rd *rd, struct lp_wire_field *ret)
{
    if (rd->bad || lp_rd_left(rd) == 0) {
        return false;
    }
    uint64_t tag = lp_rd_varint(rd);
    *ret = (struct lp_wire_field){.number = (uint32_t)(tag >> 3), .type = (enum lp_wire_type)(tag & 7)};
    switch (tag & 7) {
    case LP_WIRE_VARINT:
        ret->value = lp_rd_varint(rd);
        break;
    case LP_WIRE_FIXED64:
        ret->value = lp_rd_u64(rd);
        break;
    case LP_WIRE_BYTES:
        ret->bytes = lp_rd_lpstr(rd);
        break;
    case LP_WIRE_FIXED32:
        ret->value = lp_rd_u32(rd);
        break;
    default:
        rd->bad = true;
    }
    rd->bad = rd->bad || tag >> 3 == 0 || tag >> 3 > FIELD_NUMBER_MAX;
    return !rd->bad;
}

void
lp_wire_put_varint(struct lp_buf *b, uint32_t number, uint64_t value)
{
    LP_ASSERT(number >= 1 && number <= 15);
    lp_buf_u8(b, (uint8_t)(number << 3 | LP_WIRE_VARINT));
    lp_buf_varint(b, value);
}

void
lp_wire_put_head(struct lp_buf *b, uint32_t number, size_t n)
{
    LP_ASSERT(number >= 1 && number <= 15);
    lp_buf_u8(b, (uint8_t)(number << 3 | LP_WIRE_BYTES));
    lp_buf_varint(b, n);
}

void
lp_wire_put_bytes(struct lp_buf *b, uint32_t number, struct lp_str bytes)
{
    lp_wire_put_head(b, number, bytes.n);
    lp_buf_str(b, bytes);
}

size_t
lp_wire_varint_bytes(uint64_t value)
{
    uint8_t scratch[LP_VARINT_MAX];
    return 1 + lp_put_varint(scratch, value);
}
