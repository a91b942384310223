/*
 * fuzz_http.c - bytes that a server reads before it knows what is asked: the first byte chooses request heads,
 * the chunked coding, query strings, cursors of tails, or WebSocket frames. Oracles: no crash, no sanitizer
 * report; what comes in two pieces is what comes in one; what was read and written again reads the same.
 */
#include <string.h>
#include <wslay/wslay.h>

#include "query/tail.h"
#include "server/http_parse.h"
#include "server/ws.h"

#define ARENA_BYTES (1u << 20)
#define FRAME_BYTES_MAX (64u << 10)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* --- heads --- */

static void
head(struct lp_str s, size_t split)
{
    struct lp_arena ar;
    struct lp_http_head h;
    const char *why = NULL;
    size_t at_once = 0, in_pieces = 0;
    size_t end = lp_http_head_end(s, &at_once);
    size_t early = lp_http_head_end(lp_str_sub(s, 0, split), &in_pieces);
    LP_ASSERT((early != 0 ? early : lp_http_head_end(s, &in_pieces)) == end);
    lp_arena_init(&ar, ARENA_BYTES, 0);
    int status = lp_http_head_parse(&ar, lp_str_sub(s, 0, end), &h, &why);
    LP_ASSERT(end != 0 || status != 0);
    LP_ASSERT(status == 0 || (status >= 400 && why != NULL && lp_http_reason(status)[0] != 0));
    if (status == 0) {
        LP_ASSERT(h.nheaders <= LP_HTTP_HEADERS_MAX && h.minor <= 1 && !(h.chunked && h.body_bytes > 0));
    }
    lp_arena_clear(&ar);
}

/* --- chunks --- */

static void
take_chunks(struct lp_http_chunks *ch, struct lp_str in, struct lp_buf *out)
{
    struct lp_str data;
    while (in.n > 0 && ch->state != LP_HTTP_CHUNK_DONE && ch->state != LP_HTTP_CHUNK_BAD) {
        size_t n = lp_http_chunks_step(ch, in, &data);
        LP_ASSERT(n > 0 && n <= in.n && data.n <= n);
        lp_buf_str(out, data);
        in = lp_str_sub(in, n, in.n);
    }
}

static void
chunks(struct lp_str s, size_t split)
{
    struct lp_http_chunks once = {0}, twice = {0};
    struct lp_buf a, b;
    lp_buf_init(&a, s.n + 1);
    lp_buf_init(&b, s.n + 1);
    take_chunks(&once, s, &a);
    take_chunks(&twice, lp_str_sub(s, 0, split), &b);
    take_chunks(&twice, lp_str_sub(s, split, s.n), &b);
    LP_ASSERT(once.state == twice.state && once.data_bytes == twice.data_bytes);
    LP_ASSERT(once.state == LP_HTTP_CHUNK_BAD || lp_str_eq(lp_buf_view(&a), lp_buf_view(&b)));
    lp_buf_clear(&a);
    lp_buf_clear(&b);
}

/* --- query strings --- */

static void
put_encoded(struct lp_buf *out, struct lp_str s)
{
    for (size_t i = 0; i < s.n; i++) {
        lp_buf_printf(out, "%%%02X", (unsigned char)s.p[i]);
    }
}

static void
query(struct lp_str s)
{
    struct lp_arena ar;
    struct lp_http_pairs first = {0}, again = {0};
    struct lp_buf text;
    lp_arena_init(&ar, ARENA_BYTES, 0);
    lp_buf_init(&text, 8 * s.n + 8);
    if (lp_http_pairs_add(&ar, s, &first, NULL) == LP_OK) {
        for (size_t i = 0; i < first.n; i++) {
            put_encoded(&text, first.v[i].name);
            lp_buf_byte(&text, '=');
            put_encoded(&text, first.v[i].value);
            lp_buf_byte(&text, '&');
        }
        lp_rc rc = lp_http_pairs_add(&ar, lp_buf_view(&text), &again, NULL);
        LP_ASSERT(rc == LP_ERR_NOMEM || (rc == LP_OK && again.n == first.n));
        for (size_t i = 0; i < first.n && rc == LP_OK; i++) {
            LP_ASSERT(lp_str_eq(first.v[i].name, again.v[i].name));
            LP_ASSERT(lp_str_eq(first.v[i].value, again.v[i].value));
        }
    }
    lp_buf_clear(&text);
    lp_arena_clear(&ar);
}

/* --- cursors --- */

static void
cursor(struct lp_str s)
{
    static const struct lp_uuid store = {{0}};
    struct lp_tail_cursor first, again;
    struct lp_buf text, second;
    lp_buf_init(&text, 1 << 20);
    lp_buf_init(&second, 1 << 20);
    if (lp_tail_cursor_parse(s, &store, &first, NULL) == LP_OK) {
        lp_tail_cursor_text(&first, &store, &text);
        lp_rc rc = lp_tail_cursor_parse(lp_buf_view(&text), &store, &again, NULL);
        LP_ASSERT(rc == LP_OK && again.n == first.n && again.sealed == first.sealed);
        lp_tail_cursor_text(&again, &store, &second);
        LP_ASSERT(lp_str_eq(lp_buf_view(&text), lp_buf_view(&second)));
        lp_tail_cursor_clear(&again);
    }
    lp_tail_cursor_clear(&first);
    lp_buf_clear(&text);
    lp_buf_clear(&second);
}

/* --- frames, as http_ws.c has them read --- */

struct feed {
    struct lp_str in;
    size_t sent;
};

static ssize_t
on_recv(wslay_event_context_ptr ctx, uint8_t *buf, size_t n, int flags, void *arg)
{
    struct feed *f = arg;
    (void)flags;
    if (f->in.n == 0) {
        wslay_event_set_error(ctx, WSLAY_ERR_WOULDBLOCK);
        return -1;
    }
    n = LP_MIN(n, f->in.n);
    memcpy(buf, f->in.p, n);
    f->in = lp_str_sub(f->in, n, f->in.n);
    return (ssize_t)n;
}

static ssize_t
on_send(wslay_event_context_ptr ctx, const uint8_t *data, size_t n, int flags, void *arg)
{
    struct feed *f = arg;
    (void)ctx, (void)data, (void)flags;
    f->sent += n;
    return (ssize_t)n;
}

/* What the server would write, and whether it goes on reading. */
static size_t
frames(struct lp_str a, struct lp_str b, bool *ret_reads)
{
    static const struct wslay_event_callbacks callbacks = {.recv_callback = on_recv,
                                                           .send_callback = on_send};
    struct feed f = {.sent = 0};
    wslay_event_context_ptr ctx;
    int rc = wslay_event_context_server_init(&ctx, &callbacks, &f);
    LP_ASSERT(rc == 0);
    wslay_event_config_set_no_buffering(ctx, 1);
    wslay_event_config_set_max_recv_msg_length(ctx, FRAME_BYTES_MAX);
    const struct lp_str pieces[] = {a, b};
    for (size_t i = 0; i < 2; i++) {
        f.in = pieces[i];
        while (f.in.n > 0 && wslay_event_want_read(ctx) && wslay_event_recv(ctx) == 0) {
        }
    }
    (void)wslay_event_send(ctx);
    *ret_reads = wslay_event_get_read_enabled(ctx);
    wslay_event_context_free(ctx);
    return f.sent;
}

static void
websocket(struct lp_str s, size_t split)
{
    char accept[LP_WS_ACCEPT_TEXT];
    bool once, twice;
    size_t sent = frames(s, LP_STR_NULL, &once);
    LP_ASSERT(frames(lp_str_sub(s, 0, split), lp_str_sub(s, split, s.n), &twice) == sent && once == twice);
    if (lp_ws_key_ok(s)) {
        lp_ws_accept(s, accept);
        LP_ASSERT(strlen(accept) == LP_WS_ACCEPT_TEXT - 1);
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2) {
        return 0;
    }
    struct lp_str s = lp_str_of((const char *)data + 2, size - 2);
    size_t split = s.n * data[1] / 255;
    switch (data[0] % 5) {
    case 0:
        head(s, split);
        break;
    case 1:
        chunks(s, split);
        break;
    case 2:
        query(s);
        break;
    case 3:
        cursor(s);
        break;
    default:
        websocket(s, split);
    }
    return 0;
}
