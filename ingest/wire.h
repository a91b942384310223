/*
 * wire.h - protobuf's wire format: fields read one by one, nothing copied, lengths kept (a string may hold NUL); and written.
 *
 * Source: protobuf.dev, "Encoding". Groups (wire types 3 and 4) are refused.
 */
#ifndef LP_INGEST_WIRE_H
#define LP_INGEST_WIRE_H

#include "base/bytes.h"

enum lp_wire_type { LP_WIRE_VARINT = 0, LP_WIRE_FIXED64 = 1, LP_WIRE_BYTES = 2, LP_WIRE_FIXED32 = 5 };

struct lp_wire_field {
    uint32_t number;
    enum lp_wire_type type;
    uint64_t value;      /* VARINT, FIXED64, FIXED32 */
    struct lp_str bytes; /* BYTES: borrowed from the input */
};

/* The next field of a message; false at its end, or when it is malformed (then rd->bad). */
bool lp_wire_next(struct lp_rd *rd, struct lp_wire_field *ret);

/* Append a field; a failure stays in b->failed. Numbers are 1..15 (one tag byte). */
void lp_wire_put_varint(struct lp_buf *b, uint32_t number, uint64_t value);
void lp_wire_put_fixed64(struct lp_buf *b, uint32_t number, uint64_t value);
void lp_wire_put_bytes(struct lp_buf *b, uint32_t number, struct lp_str bytes);
/* Only tag and length of a BYTES field: the caller appends its n bytes. */
void lp_wire_put_head(struct lp_buf *b, uint32_t number, size_t n);

/* Bytes that lp_wire_put_varint and lp_wire_put_head write; and with the n bytes of a BYTES field behind its head. */
static inline size_t
lp_wire_varint_bytes(uint64_t value)
{
    return 1 + ((unsigned)(63 - __builtin_clzll(value | 1)) / 7 + 1);
}
static inline size_t
lp_wire_bytes_bytes(size_t n)
{
    return lp_wire_varint_bytes(n) + n;
}
#define LP_WIRE_FIXED64_BYTES 9 /* that lp_wire_put_fixed64 writes */

#endif
