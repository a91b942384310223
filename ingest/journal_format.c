/*
 * journal_format.c - bytes of journal files and entries (store/FORMAT.md section 3). Pure.
 */
#include <string.h>

#include "base/bytes.h"
#include "base/hash.h"
#include "ingest/journal_int.h"

void
lp_jnl_put_head(const struct lp_jnl_head *h, char out[LP_JNL_ENTRY_BYTES])
{
    memset(out, 0, LP_JNL_ENTRY_BYTES);
    lp_put_u32(out, LP_JNL_ENTRY_MAGIC);
    lp_put_u64(out + 8, h->number);
    lp_put_u64(out + 16, h->durable_before);
    lp_put_u64(out + 24, (uint64_t)h->received_ns);
    lp_put_u32(out + 32, h->envelope_bytes);
    lp_put_u32(out + 36, h->body_bytes);
    lp_put_u32(out + 40, h->payload_crc);
    lp_put_u16(out + 44, h->kind);
    lp_put_u16(out + 46, h->decoder);
    lp_put_u64(out + 48, h->file_first);
    lp_put_u32(out + 4, lp_crc32c(0, out + 8, LP_JNL_ENTRY_BYTES - 8));
}

bool
lp_jnl_get_head(const char in[LP_JNL_ENTRY_BYTES], struct lp_jnl_head *ret)
{
    if (lp_get_u32(in) != LP_JNL_ENTRY_MAGIC ||
        lp_get_u32(in + 4) != lp_crc32c(0, in + 8, LP_JNL_ENTRY_BYTES - 8)) {
        return false;
    }
    *ret = (struct lp_jnl_head){
        .number = lp_get_u64(in + 8),
        .durable_before = lp_get_u64(in + 16),
        .received_ns = (int64_t)lp_get_u64(in + 24),
        .envelope_bytes = lp_get_u32(in + 32),
        .body_bytes = lp_get_u32(in + 36),
        .payload_crc = lp_get_u32(in + 40),
        .kind = lp_get_u16(in + 44),
        .decoder = lp_get_u16(in + 46),
        .file_first = lp_get_u64(in + 48),
    };
    return (uint64_t)ret->envelope_bytes + ret->body_bytes <= LP_JNL_PAYLOAD_BYTES_MAX &&
           ret->number < UINT64_MAX;
}

void
lp_jnl_put_file_head(const struct lp_uuid *uuid, uint64_t first, int64_t created_ns,
                     char out[LP_JNL_HEADER_BYTES])
{
    memset(out, 0, LP_JNL_HEADER_BYTES);
    memcpy(out, LP_JNL_MAGIC, 8);
    lp_put_u16(out + 8, LP_JNL_VERSION);
    lp_put_u16(out + 10, LP_JNL_HEADER_BYTES);
    memcpy(out + 16, uuid->b, sizeof(uuid->b));
    lp_put_u64(out + 32, first);
    lp_put_u64(out + 40, (uint64_t)created_ns);
    lp_put_u32(out + 12, lp_crc32c(lp_crc32c(0, out, 12), out + 16, LP_JNL_HEADER_BYTES - 16));
}

bool
lp_jnl_get_file_head(const char in[LP_JNL_HEADER_BYTES], struct lp_uuid *ret_uuid, uint64_t *ret_first)
{
    if (memcmp(in, LP_JNL_MAGIC, 8) != 0 || lp_get_u16(in + 8) > LP_JNL_VERSION ||
        lp_get_u32(in + 12) != lp_crc32c(lp_crc32c(0, in, 12), in + 16, LP_JNL_HEADER_BYTES - 16)) {
        return false;
    }
    memcpy(ret_uuid->b, in + 16, sizeof(ret_uuid->b));
    *ret_first = lp_get_u64(in + 32);
    return true;
}

uint64_t
lp_jnl_entry_size(const struct lp_jnl_head *h)
{
    uint64_t n = LP_JNL_ENTRY_BYTES + (uint64_t)h->envelope_bytes + h->body_bytes;
    return (n + LP_JNL_ALIGN - 1) / LP_JNL_ALIGN * LP_JNL_ALIGN;
}

void
lp_jnl_put_envelope(const struct lp_push *push, struct lp_buf *out)
{
    lp_buf_lpstr(out, push->target);
    lp_buf_lpstr(out, push->method);
    lp_buf_lpstr(out, push->peer);
    lp_buf_lpstr(out, push->tenant);
    lp_buf_lpstr(out, push->key);
    lp_buf_varint(out, push->nheaders);
    for (size_t i = 0; i < push->nheaders; i++) {
        lp_buf_lpstr(out, push->headers[i].name);
        lp_buf_lpstr(out, push->headers[i].value);
    }
}

bool
lp_jnl_get_envelope(struct lp_str envelope, struct lp_push *ret)
{
    struct lp_rd rd = lp_rd_of(envelope);
    *ret = (struct lp_push){.target = lp_rd_lpstr(&rd)};
    ret->method = lp_rd_lpstr(&rd);
    ret->peer = lp_rd_lpstr(&rd);
    ret->tenant = lp_rd_lpstr(&rd);
    ret->key = lp_rd_lpstr(&rd);
    uint64_t n = lp_rd_varint(&rd);
    if (rd.bad || n > LP_PUSH_HEADERS_MAX) {
        return false;
    }
    for (; ret->nheaders < n; ret->nheaders++) {
        ret->headers[ret->nheaders].name = lp_rd_lpstr(&rd);
        ret->headers[ret->nheaders].value = lp_rd_lpstr(&rd);
    }
    return !rd.bad && lp_rd_left(&rd) == 0;
}

void
lp_jnl_put_void(const struct lp_jnl_range *r, size_t n, struct lp_buf *out)
{
    lp_buf_varint(out, n);
    for (size_t i = 0; i < n; i++) {
        lp_buf_varint(out, r[i].first);
        lp_buf_varint(out, r[i].next);
    }
}

bool
lp_jnl_get_void(struct lp_str envelope, struct lp_jnl_range *ret, size_t *n)
{
    struct lp_rd rd = lp_rd_of(envelope);
    uint64_t count = lp_rd_varint(&rd);
    if (rd.bad || count > LP_JNL_VOID_RANGES_MAX) {
        return false;
    }
    for (uint64_t i = 0; i < count; i++) {
        ret[i].first = lp_rd_varint(&rd);
        ret[i].next = lp_rd_varint(&rd);
    }
    *n = (size_t)count;
    return !rd.bad && lp_rd_left(&rd) == 0;
}
