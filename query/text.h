/*
 * text.h - how LogQL writes its values: numbers, durations, sizes and quoted strings, read and written.
 *
 * The forms are those of Loki (Go's), because queries, /format_query and error texts show them. Pure functions.
 */
#ifndef LP_QUERY_TEXT_H
#define LP_QUERY_TEXT_H

#include "base/buf.h"

/* A double as Go's %v does: shortest digits that read back as the same value, exponent form from 1e+06 and below
 * 1e-04; "NaN", "+Inf", "-Inf". */
void lp_text_number(struct lp_buf *out, double v);
/* As above but never with an exponent: "0.0000001". */
void lp_text_plain(struct lp_buf *out, double v);
/* Six decimals as C's %f where that reads back as the same value, else as lp_text_plain. */
void lp_text_fixed(struct lp_buf *out, double v);

/* Go's form: "1h0m0s", "1.5s", "250ms", "3\302\265s", "-5m0s", "0s". */
void lp_text_duration(struct lp_buf *out, int64_t ns);
/* Prometheus' form: "1h", "1m30s", "7d" is "1w"; whole milliseconds >= 0 only, anything else comes in Go's form. */
void lp_text_range(struct lp_buf *out, int64_t ns);

/* A size as people write it, without blanks ("50kB"), if that reads back as the same number; else bytes ("1024B"). */
void lp_text_size(struct lp_buf *out, uint64_t bytes);
/* "4.2MB", "1 KiB", "512": k, m, g .. and kb, mb .. are powers of 1000, ki .. and kib .. of 1024; case does not matter.
 * A fraction of a byte is dropped. False on anything else, or from 2^64 on. */
bool lp_text_parse_size(struct lp_str s, uint64_t *ret);

/* A Prometheus duration: whole numbers with the units y w d h m s ms in this order, each at most once; or "0". */
bool lp_text_parse_range(struct lp_str s, int64_t *ret);
/* A decimal number with single '_' between digits allowed: "1_000", "5.", ".5", "1e3". No sign, no hex, no "inf";
 * false also when the value is beyond the range of a double. */
bool lp_text_parse_number(struct lp_str s, double *ret);

/* A string in double quotes with Go's escapes; bytes that are no UTF-8 as \xNN. */
void lp_text_quote(struct lp_buf *out, struct lp_str s);
/* At most max bytes of s, cut at a character, with "..." where cut, unquoted; for error messages. Returns `room`. */
const char *lp_text_clip(struct lp_str s, size_t max, char room[64]);

/* Decodes the character of UTF-8 at s.p; returns its bytes (0 at the end). A bad byte counts as one U+FFFD. */
size_t lp_text_decode(struct lp_str s, uint32_t *ret_cp);

/* A byte of [A-Za-z_][A-Za-z0-9_]*; `first`: it begins the name. */
static inline bool
lp_text_name_byte(char c, bool first)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || (!first && c >= '0' && c <= '9');
}
/* [A-Za-z_][A-Za-z0-9_]* */
bool lp_text_is_name(struct lp_str s);

#endif
