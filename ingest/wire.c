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
