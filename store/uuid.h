/*
 * uuid.h - UUIDs of stores: bytes, and their text "xxxxxxxx-xxxx-4xxx-xxxx-xxxxxxxxxxxx".
 */
#ifndef LP_STORE_UUID_H
#define LP_STORE_UUID_H

#include "base/str.h"

#define LP_UUID_TEXT 36

struct lp_uuid {
    uint8_t b[16];
};

/* A random one (RFC 9562, version 4). False when the system gives no random bytes. */
bool lp_uuid_make(struct lp_uuid *ret) LP_MUST_USE;
/* Whether u is one of n. */
bool lp_uuid_among(const struct lp_uuid *list, size_t n, const struct lp_uuid *u);
void lp_uuid_text(const struct lp_uuid *u, char out[LP_UUID_TEXT + 1]);
/* False unless text is exactly one, in lower case. */
bool lp_uuid_parse(struct lp_str text, struct lp_uuid *ret) LP_MUST_USE;

#endif
