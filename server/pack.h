/*
 * pack.h - compresses what is sent, piece by piece: the server's one door to zlib, and to libzstd.
 *
 * A packer belongs to one thread. What it holds does not grow with what goes through it.
 */
#ifndef LP_SERVER_PACK_H
#define LP_SERVER_PACK_H

#include "base/buf.h"

enum lp_pack_kind { LP_PACK_NONE, LP_PACK_GZIP, LP_PACK_ZSTD };

/* What follows a piece: more of them; more, but a reader has to get everything so far now; nothing. */
enum lp_pack_step { LP_PACK_MORE, LP_PACK_FLUSH, LP_PACK_END };

struct lp_pack;

/* One gzip member or zstd frame (with its checksum). NULL when there is no memory. */
struct lp_pack *lp_pack_new(enum lp_pack_kind kind);
/* NULL is fine. */
void lp_pack_free(struct lp_pack *p);
/* Appends to out what can be sent. False when there is no memory, out is full, or the piece is over 1 GiB: the packer is of no use then. Nothing follows LP_PACK_END. */
bool lp_pack_add(struct lp_pack *p, struct lp_str piece, enum lp_pack_step step, struct lp_buf *out);

#endif
