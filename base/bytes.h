/*
 * bytes.h - little-endian integers and varints in byte arrays, and a bounded reader for bytes that may be hostile.
 *
 * Varint: LEB128, at most 10 bytes. Signed values are zigzag-coded first.
 */
#ifndef LP_BASE_BYTES_H
#define LP_BASE_BYTES_H

#include "base/buf.h"

#ifdef __cplusplus
extern "C" {
#endif

static inline void lp_put_u16(void *p, uint16_t v) { uint8_t *b = (uint8_t *)p; b[0] = (uint8_t)v; b[1] = (uint8_t)(v >> 8); }
static inline void lp_put_u32(void *p, uint32_t v) { lp_put_u16(p, (uint16_t)v); lp_put_u16((uint8_t *)p + 2, (uint16_t)(v >> 16)); }
static inline void lp_put_u64(void *p, uint64_t v) { lp_put_u32(p, (uint32_t)v); lp_put_u32((uint8_t *)p + 4, (uint32_t)(v >> 32)); }
static inline uint16_t lp_get_u16(const void *p) { const uint8_t *b = (const uint8_t *)p; return (uint16_t)(b[0] | b[1] << 8); }
static inline uint32_t lp_get_u32(const void *p) { return (uint32_t)lp_get_u16(p) | (uint32_t)lp_get_u16((const uint8_t *)p + 2) << 16; }
static inline uint64_t lp_get_u64(const void *p) { return (uint64_t)lp_get_u32(p) | (uint64_t)lp_get_u32((const uint8_t *)p + 4) << 32; }

/* Big endian, for keys that sort by value. */
static inline void lp_put_be32(void *p, uint32_t v) { uint8_t *b = (uint8_t *)p; for (int i = 3; i >= 0; i--, v >>= 8) { b[i] = (uint8_t)v; } }
static inline void lp_put_be64(void *p, uint64_t v) { uint8_t *b = (uint8_t *)p; for (int i = 7; i >= 0; i--, v >>= 8) { b[i] = (uint8_t)v; } }
static inline uint32_t lp_get_be32(const void *p) { const uint8_t *b = (const uint8_t *)p; uint32_t v = 0; for (int i = 0; i < 4; i++) { v = v << 8 | b[i]; } return v; }
static inline uint64_t lp_get_be64(const void *p) { const uint8_t *b = (const uint8_t *)p; uint64_t v = 0; for (int i = 0; i < 8; i++) { v = v << 8 | b[i]; } return v; }

static inline uint64_t lp_zigzag(int64_t v) { return ((uint64_t)v << 1) ^ (uint64_t)(v >> 63); }
static inline int64_t lp_unzigzag(uint64_t v) { return (int64_t)(v >> 1) ^ -(int64_t)(v & 1); }

#define LP_VARINT_MAX 10
/* Writes 1..10 bytes, returns how many. */
static inline size_t
lp_put_varint(void *p, uint64_t v)
{
    uint8_t *b = (uint8_t *)p;
    size_t n = 0;
    while (v >= 0x80) {
        b[n++] = (uint8_t)(v | 0x80);
        v >>= 7;
    }
    b[n++] = (uint8_t)v;
    return n;
}

bool lp_buf_u8(struct lp_buf *b, uint8_t v);
bool lp_buf_u16(struct lp_buf *b, uint16_t v);
bool lp_buf_u32(struct lp_buf *b, uint32_t v);
bool lp_buf_u64(struct lp_buf *b, uint64_t v);
bool lp_buf_varint(struct lp_buf *b, uint64_t v);
bool lp_buf_svarint(struct lp_buf *b, int64_t v);
/* varint length, then the bytes */
bool lp_buf_lpstr(struct lp_buf *b, struct lp_str s);

/*
 * A reader that never goes past its end: after the first short read `bad` is set, every later read gives zero, and the
 * caller checks once. Slices it returns borrow from the input.
 */
struct lp_rd {
    const uint8_t *p, *end;
    bool bad;
};

static inline struct lp_rd
lp_rd_of(struct lp_str s)
{
    const uint8_t *p = (const uint8_t *)s.p;
    return (struct lp_rd){p, s.n > 0 ? p + s.n : p, false};
}
static inline size_t lp_rd_left(const struct lp_rd *r) { return r->bad ? 0 : (size_t)(r->end - r->p); }
uint8_t lp_rd_u8(struct lp_rd *r);
uint16_t lp_rd_u16(struct lp_rd *r);
uint32_t lp_rd_u32(struct lp_rd *r);
uint64_t lp_rd_u64(struct lp_rd *r);
uint64_t lp_rd_varint_long(struct lp_rd *r); /* of any length */
static inline uint64_t
lp_rd_varint(struct lp_rd *r)
{
    if (LP_LIKELY(!r->bad && r->p < r->end && *r->p < 0x80)) {
        return *r->p++;
    }
    return lp_rd_varint_long(r);
}
int64_t lp_rd_svarint(struct lp_rd *r);
static inline struct lp_str
lp_rd_bytes(struct lp_rd *r, size_t n)
{
    if (LP_UNLIKELY(r->bad || n > (size_t)(r->end - r->p))) {
        r->bad = true;
        return LP_STR_NULL;
    }
    const uint8_t *at = r->p;
    r->p = at + n;
    return lp_str_of((const char *)at, n);
}
static inline struct lp_str
lp_rd_lpstr(struct lp_rd *r)
{
    uint64_t n = lp_rd_varint(r);
    return n <= SIZE_MAX ? lp_rd_bytes(r, (size_t)n) : LP_STR_NULL;
}

#ifdef __cplusplus
}
#endif

#endif
