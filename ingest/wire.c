/*
 * wire.c - see wire.h. Pure.
 */
#include "ingest/wire.h"

#define FIELD_NUMBER_MAX 536870911u

bool
lp_wire_next_any(struct lp_rd *rd, struct lp_wire_field *ret)
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

static void
put_tag_and_varint(struct lp_buf *b, uint32_t number, enum lp_wire_type type, uint64_t value)
{
    uint8_t raw[1 + LP_VARINT_MAX];
    LP_ASSERT(number >= 1 && number <= 15);
    raw[0] = (uint8_t)(number << 3 | type);
    lp_buf_add(b, raw, 1 + lp_put_varint(raw + 1, value));
}

void
lp_wire_put_varint(struct lp_buf *b, uint32_t number, uint64_t value)
{
    put_tag_and_varint(b, number, LP_WIRE_VARINT, value);
}

void
lp_wire_put_head(struct lp_buf *b, uint32_t number, size_t n)
{
    put_tag_and_varint(b, number, LP_WIRE_BYTES, n);
}

void
lp_wire_put_fixed64(struct lp_buf *b, uint32_t number, uint64_t value)
{
    uint8_t raw[LP_WIRE_FIXED64_BYTES];
    LP_ASSERT(number >= 1 && number <= 15);
    raw[0] = (uint8_t)(number << 3 | LP_WIRE_FIXED64);
    lp_put_u64(raw + 1, value);
    lp_buf_add(b, raw, sizeof(raw));
}

void
lp_wire_put_bytes(struct lp_buf *b, uint32_t number, struct lp_str bytes)
{
    lp_wire_put_head(b, number, bytes.n);
    lp_buf_str(b, bytes);
}
