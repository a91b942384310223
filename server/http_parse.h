/*
 * http_parse.h - HTTP/1.1 messages as bytes: heads, the chunked coding, status phrases. Pure functions for http_conn.c and tests.
 *
 * evhttp has parsers of its own, but they run before this layer could say no (http_conn.c tells why). So every byte from
 * outside is judged here, strictly: what two readers could understand differently (smuggling) is refused.
 */
#ifndef LP_SERVER_HTTP_PARSE_H
#define LP_SERVER_HTTP_PARSE_H

#include "server/http.h"

#define LP_HTTP_HEADERS_MAX 128 /* header lines of one request */

/* What a request's head says. Slices borrow from the parsed bytes. */
struct lp_http_head {
    enum lp_http_method method;
    struct lp_str target; /* as sent */
    unsigned minor;       /* HTTP/1.minor: 0 or 1 */
    bool keep_alive;      /* the client wants the connection to stay, or at least does not mind */
    bool chunked;         /* Transfer-Encoding: chunked */
    bool expect_continue; /* Expect: 100-continue */
    uint64_t body_bytes;  /* Content-Length; 0 without one */
    const struct lp_pair *headers;
    size_t nheaders;
};

/*
 * Where the head that begins at s.p[0] ends: the offset behind its empty line; 0 when that has not come yet.
 * *scanned (0 at first) remembers what was looked at, so that a head which comes byte by byte is looked at once.
 */
size_t lp_http_head_end(struct lp_str s, size_t *scanned);

/*
 * Parses a whole head, empty line included. Returns 0, or the status to refuse it with (400, 417, 431, 501, 505) and
 * a sentence in *why. The headers' array is taken from ar. *ret may be partly filled on refusal (method, if known).
 */
int lp_http_head_parse(struct lp_arena *ar, struct lp_str bytes, struct lp_http_head *ret, const char **why);

/* "GET"; "-" for 0. */
const char *lp_http_method_name(enum lp_http_method method);
/* "Not Found"; never NULL. */
const char *lp_http_reason(int status);
/* True for bytes that may stand in a header's name (RFC 9110 tchar). */
bool lp_http_token_byte(unsigned char c);
/* True when a value can stand in a header line: no CR, LF, NUL. */
bool lp_http_value_ok(struct lp_str value);

/* --- query strings and forms --- */

/* Zeroed to begin. */
struct lp_http_pairs {
    struct lp_pair *v; /* decoded; they borrow from the text and the arena */
    size_t n, cap;
};
/* Adds the pairs of "a=1&b=2": empty pieces are skipped, a missing "=" is an empty value. LP_ERR_PARSE on bad escapes, LP_ERR_LIMIT over 1000 pairs. */
lp_rc lp_http_pairs_add(struct lp_arena *ar, struct lp_str text, struct lp_http_pairs *ps, struct lp_err *err) LP_MUST_USE;

/* --- the chunked coding --- */

enum lp_http_chunk_state {
    LP_HTTP_CHUNK_SIZE,    /* in a size line */
    LP_HTTP_CHUNK_DATA,    /* `left` bytes of data are to come */
    LP_HTTP_CHUNK_CRLF,    /* behind the data: CR LF */
    LP_HTTP_CHUNK_TRAILER, /* behind the last chunk: lines up to an empty one */
    LP_HTTP_CHUNK_DONE,
    LP_HTTP_CHUNK_BAD,
};

/* Zeroed to begin. */
struct lp_http_chunks {
    enum lp_http_chunk_state state;
    uint64_t left;         /* data bytes of the current chunk still to come */
    uint64_t data_bytes;   /* data so far */
    uint64_t framing;      /* bytes so far that were not data */
    unsigned digits;       /* of the current size line */
    bool extension, cr;    /* in a size line's extension; a CR was the last byte */
    unsigned line_bytes;   /* of the current trailer line */
};

/*
 * Reads one step: returns how many bytes of `in` it used (0 only when `in` is empty, or in the states DONE and BAD), and
 * in *data the body's bytes among them (possibly none). Call until `in` is used up or the state is DONE or BAD.
 * BAD also when the framing outweighs the data (more than 64 KiB + 16 times the data).
 */
size_t lp_http_chunks_step(struct lp_http_chunks *ch, struct lp_str in, struct lp_str *data);
/* The caller took n <= left data bytes of the current chunk by itself. */
void lp_http_chunks_skip(struct lp_http_chunks *ch, size_t n);

#endif
