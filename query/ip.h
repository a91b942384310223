/*
 * ip.h - ip("..."): finding addresses of a set in text. The set is one address, a range "a-b" or a network "a/bits",
 * of IPv4 or IPv6. An IPv4 address inside IPv6 (::ffff:1.2.3.4) is an IPv6 address.
 *
 * An address in the text is the longest run of its characters (digits and dots; hex digits, colons and dots) from where
 * one can begin. A run that is no address as a whole counts as none: "1.2.3.4.5" does not hold 1.2.3.4.
 *
 * A plain value without pointers; immutable, any thread.
 */
#ifndef LP_QUERY_IP_H
#define LP_QUERY_IP_H

#include "base/err.h"
#include "base/str.h"

struct lp_ip_set {
    bool v6;
    uint8_t from[16], to[16]; /* both included; IPv4 in the first four bytes */
};

/* LP_ERR_PARSE when the text is none of the three forms. */
lp_rc lp_ip_set_parse(struct lp_str text, struct lp_ip_set *ret, struct lp_err *err) LP_MUST_USE;
/* Does the text hold an address of the set? */
bool lp_ip_set_find(const struct lp_ip_set *set, struct lp_str text);

#endif
