/*
 * kube_token.h - where a list of pods is to go on: behind a pod, as text that tells clients nothing. Pure.
 */
#ifndef LP_SERVER_KUBE_TOKEN_H
#define LP_SERVER_KUBE_TOKEN_H

#include "base/arena.h"
#include "base/buf.h"

void lp_kube_token_put(struct lp_buf *out, struct lp_str ns, struct lp_str name);
/* False: it is none. What it says lives in ar. */
bool lp_kube_token_parse(struct lp_str token, struct lp_arena *ar, struct lp_str *ret_ns, struct lp_str *ret_name);

#endif
