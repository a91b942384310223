/*
 * ws.c - see ws.h. SHA-1 is what the handshake proves with that the server speaks WebSocket; nothing secret
 * rests on it.
 */
#include "server/ws.h"

#include <stdatomic.h>
#include <string.h>
#include <wslay/wslay.h>

#define GUID "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
#define KEY_TEXT 24
#define FRAME_HEAD_MAX 10

/* --- the handshake --- */

static uint32_t
rotate(uint32_t v, unsigned by)
{
    return v << by | v >> (32 - by);
}

static void
sha1_block(uint32_t h[5], const uint8_t *p)
{
    uint32_t w[80], a = h[0], b = h[1], c = h[2], d = h[3], e = h[4];
    for (size_t i = 0; i < 16; i++) {
        w[i] = (uint32_t)p[4 * i] << 24 | (uint32_t)p[4 * i + 1] << 16 | (uint32_t)p[4 * i + 2] << 8 |
               p[4 * i + 3];
    }
    for (size_t i = 16; i < 80; i++) {
        w[i] = rotate(w[i - 3] ^ w[i - 8] ^ w[i - 14] ^ w[i - 16], 1);
    }
    for (size_t i = 0; i < 80; i++) {
        uint32_t f = i < 20              ? (b & c) | (~b & d)
                     : i >= 40 && i < 60 ? (b & c) | (b & d) | (c & d)
                                         : b ^ c ^ d;
        static const uint32_t k[4] = {0x5A827999, 0x6ED9EBA1, 0x8F1BBCDC, 0xCA62C1D6};
        uint32_t next = rotate(a, 5) + f + e + k[i / 20] + w[i];
        e = d;
        d = c;
        c = rotate(b, 30);
        b = a;
        a = next;
    }
    h[0] += a;
    h[1] += b;
    h[2] += c;
    h[3] += d;
    h[4] += e;
}

/* Of at most 119 bytes: two blocks with the padding. */
static void
sha1_short(const void *p, size_t n, uint8_t out[20])
{
    uint8_t block[128] = {0};
    uint32_t h[5] = {0x67452301, 0xEFCDAB89, 0x98BADCFE, 0x10325476, 0xC3D2E1F0};
    size_t bytes = n + 9 <= 64 ? 64 : 128;
    LP_ASSERT(n + 9 <= sizeof(block));
    memcpy(block, p, n);
    block[n] = 0x80;
    block[bytes - 2] = (uint8_t)(n * 8 >> 8);
    block[bytes - 1] = (uint8_t)(n * 8);
    for (size_t i = 0; i < bytes; i += 64) {
        sha1_block(h, block + i);
    }
    for (size_t i = 0; i < 20; i++) {
        out[i] = (uint8_t)(h[i / 4] >> (24 - i % 4 * 8));
    }
}

void
lp_ws_accept(struct lp_str key, char out[LP_WS_ACCEPT_TEXT])
{
    char text[KEY_TEXT + sizeof(GUID)];
    uint8_t hash[20];
    struct lp_buf b;
    LP_ASSERT(key.n == KEY_TEXT);
    memcpy(text, key.p, KEY_TEXT);
    memcpy(text + KEY_TEXT, GUID, sizeof(GUID));
    sha1_short(text, KEY_TEXT + sizeof(GUID) - 1, hash);
    lp_buf_init(&b, 64);
    lp_buf_base64(&b, lp_str_of((const char *)hash, sizeof(hash)));
    LP_ASSERT(b.n == LP_WS_ACCEPT_TEXT - 1);
    memcpy(out, b.p, b.n);
    out[b.n] = 0;
    lp_buf_clear(&b);
}

bool
lp_ws_key_ok(struct lp_str key)
{
    bool ok = key.n == KEY_TEXT && key.p[22] == '=' && key.p[23] == '=';
    for (size_t i = 0; i < 22 && ok; i++) {
        char c = key.p[i];
        ok = (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '+' ||
             c == '/';
    }
    return ok;
}

/* --- messages --- */

struct writer {
    struct lp_ws_msg *m;
};

static ssize_t
put(const uint8_t *data, size_t n, int flags, void *arg)
{
    struct lp_ws_msg *m = ((struct writer *)arg)->m;
    (void)flags;
    memcpy(m->p + m->n, data, n);
    m->n += n;
    return (ssize_t)n;
}

struct lp_ws_msg *
lp_ws_msg_text(struct lp_str payload)
{
    struct writer w = {lp_malloc(sizeof(*w.m) + FRAME_HEAD_MAX + payload.n)};
    const struct wslay_frame_callbacks callbacks = {.send_callback = put};
    struct wslay_frame_iocb frame = {.fin = 1,
                                     .opcode = WSLAY_TEXT_FRAME,
                                     .payload_length = payload.n,
                                     .data = (const uint8_t *)payload.p,
                                     .data_length = payload.n};
    wslay_frame_context_ptr ctx;
    w.m->refs = 1;
    w.m->n = 0;
    int rc = wslay_frame_context_init(&ctx, &callbacks, &w);
    LP_ASSERT(rc == 0);
    ssize_t sent = wslay_frame_send(ctx, &frame);
    LP_ASSERT(sent == (ssize_t)payload.n);
    wslay_frame_context_free(ctx);
    return w.m;
}

struct lp_ws_msg *
lp_ws_msg_ref(struct lp_ws_msg *m)
{
    atomic_fetch_add_explicit(&m->refs, 1, memory_order_relaxed);
    return m;
}

void
lp_ws_msg_unref(struct lp_ws_msg *m)
{
    if (atomic_fetch_sub_explicit(&m->refs, 1, memory_order_acq_rel) == 1) {
        lp_free(m);
    }
}
