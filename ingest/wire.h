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

bool lp_wire_next_any(struct lp_rd *rd, struct lp_wire_field *ret);

/* The next field of a message; false at its end, or when it is malformed (then rd->bad). */
static inline bool
lp_wire_next(struct lp_rd *rd, struct lp_wire_field *ret)
{
    const uint8_t *p = rd->p;
    size_t left = (size_t)(rd->end - p);
    /* nearly all: bytes of a number below 16, shorter than 16 KiB */
    if (LP_LIKELY(!rd->bad && left >= 3 && (p[0] & 0x87) == LP_WIRE_BYTES && p[0] > 7 && (p[1] < 0x80 || p[2] < 0x80))) {
        size_t head = p[1] < 0x80 ? 2 : 3, n = p[1] < 0x80 ? p[1] : (size_t)(p[1] & 0x7f) | (size_t)p[2] << 7;
        if (LP_LIKELY(n <= left - head)) {
            *ret = (struct lp_wire_field){.number = p[0] >> 3, .type = LP_WIRE_BYTES, .bytes = lp_str_of((const char *)p + head, n)};
            rd->p = p + head + n;
            return true;
        }
    }
    return lp_wire_next_any(rd, ret);
}

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
