/*
 * str.h - byte slices. A `struct lp_str` borrows bytes that somebody else owns; it is not NUL-terminated and may hold any bytes.
 *
 * Pure functions, no threads, no allocation except where an arena is a parameter.
 */
#ifndef LP_BASE_STR_H
#define LP_BASE_STR_H

#include <string.h>

#include "base/lp.h"

#ifdef __cplusplus
extern "C" {
#endif

struct lp_arena;

struct lp_str {
    const char *p; /* may be NULL only when n is 0 */
    size_t n;
};

/* A name and its value: a label, or one pair of structured metadata. */
struct lp_pair {
    struct lp_str name, value;
};

#define LP_STR(literal) ((struct lp_str){(literal), sizeof(literal) - 1})
#define LP_STR_NULL ((struct lp_str){NULL, 0})
#define LP_STR_FMT "%.*s"
#define LP_STR_ARG(s) (int)((s).n > 4096 ? 4096 : (s).n), ((s).p ? (s).p : "")

static inline struct lp_str
lp_str_of(const char *p, size_t n)
{
    return (struct lp_str){p, n};
}

static inline struct lp_str
lp_str_c(const char *cstr)
{
    return (struct lp_str){cstr, strlen(cstr)};
}

static inline bool
lp_str_eq(struct lp_str a, struct lp_str b)
{
    return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

static inline bool
lp_str_eqc(struct lp_str a, const char *cstr)
{
    return lp_str_eq(a, lp_str_c(cstr));
}

/* Whether s is one of n. */
bool lp_str_among(struct lp_str s, const struct lp_str *v, size_t n);
/* Byte order, shorter first among equal prefixes: <0, 0, >0. */
int lp_str_cmp(struct lp_str a, struct lp_str b);
/* ASCII case-insensitive equality. */
bool lp_str_ieq(struct lp_str a, struct lp_str b);
bool lp_str_starts(struct lp_str s, struct lp_str prefix);
bool lp_str_ends(struct lp_str s, struct lp_str suffix);
/* First place of the byte or needle; SIZE_MAX when absent. An empty needle is at 0. */
size_t lp_str_find_byte(struct lp_str s, char byte);
size_t lp_str_rfind_byte(struct lp_str s, char byte);
size_t lp_str_find(struct lp_str s, struct lp_str needle);
/* [from, to) clipped to the slice. */
struct lp_str lp_str_sub(struct lp_str s, size_t from, size_t to);
/* Without ASCII blanks at both ends. */
struct lp_str lp_str_trim(struct lp_str s);
/* A copy with a NUL behind it, to be given to lp_free. */
char *lp_str_dup(struct lp_str s) LP_MUST_USE __attribute__((returns_nonnull));
/* Cuts *rest at the first `sep`: returns what stood before it and moves *rest behind it. Without sep: all, and *rest empty (p NULL). */
struct lp_str lp_str_cut(struct lp_str *rest, char sep);

/* Whole-slice decimal numbers; false on anything else, overflow included. */
bool lp_str_i64(struct lp_str s, int64_t *ret);
bool lp_str_u64(struct lp_str s, uint64_t *ret);
bool lp_str_f64(struct lp_str s, double *ret);
/* 1 to 16 lower-case hexadecimal digits. */
bool lp_str_hex(struct lp_str s, uint64_t *ret);
/* The value of a hexadecimal digit in either case; -1: it is none. */
static inline int
lp_hex_digit(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}
/* "64MiB", "2 MB", "1024": bytes. KB/MB/GB are powers of 1000, KiB/MiB/GiB (and K, M, G) of 1024. */
bool lp_str_bytes(struct lp_str s, uint64_t *ret);
/* Bytes as above, or a share of `total`: "10%", "2.5%" (0 to 100). */
bool lp_str_share(struct lp_str s, uint64_t total, uint64_t *ret);
/* Whether the whole text is what the pattern says, in which each '*' stands for any bytes, also none. */
bool lp_str_glob(struct lp_str pattern, struct lp_str text);

bool lp_utf8_valid(struct lp_str s);
/* Bytes of the valid UTF-8 sequence that begins at p, 1..4; 0 when the first of the n bytes begins none (n == 0 included). */
size_t lp_utf8_len(const char *p, size_t n);
/* Encodes a code point (U+FFFD where it is none); returns bytes written, 1..4. */
size_t lp_utf8_put(uint32_t cp, char out[4]);
/* A copy in which each byte that is no part of valid UTF-8 is U+FFFD; s itself when it is valid. {NULL,0} with n>0 input means the arena is spent. */
struct lp_str lp_utf8_replace(struct lp_arena *ar, struct lp_str s);
/* Percent-decoding of a URL part ('+' as blank where plus is set); false on a bad escape or a spent arena. */
bool lp_url_decode(struct lp_arena *ar, struct lp_str s, bool plus, struct lp_str *ret);

#ifdef __cplusplus
}
#endif

#endif
