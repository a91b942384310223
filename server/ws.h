/*
 * ws.h - WebSocket frames and handshakes (RFC 6455) without a connection: pure functions for http_ws.c, the commands and tests.
 *
 * Frames are made and read by wslay; its doors are ws.c, http_ws.c (the server) and cmd_query_tail.c (the client).
 */
#ifndef LP_SERVER_WS_H
#define LP_SERVER_WS_H

#include "base/buf.h"

#define LP_WS_ACCEPT_TEXT 29 /* with its NUL */

/* What Sec-WebSocket-Accept has to be for this Sec-WebSocket-Key. */
void lp_ws_accept(struct lp_str key, char out[LP_WS_ACCEPT_TEXT]);
/* Whether it is a key: 16 bytes in base64. */
bool lp_ws_key_ok(struct lp_str key);

/* A message as it goes over the wire, from a server: one text frame. Shared by reference, any thread. */
struct lp_ws_msg {
    _Atomic unsigned refs;
    size_t n;
    char p[];
};
struct lp_ws_msg *lp_ws_msg_text(struct lp_str payload);
struct lp_ws_msg *lp_ws_msg_ref(struct lp_ws_msg *m);
void lp_ws_msg_unref(struct lp_ws_msg *m);

#endif
