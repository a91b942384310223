/*
 * client.h - a small blocking HTTP/1.1 client for the commands: one connection to one server, kept alive between calls.
 *
 * Plain http:// only. One thread at a time. A call that fails on a kept connection before any byte of the answer came is
 * made once more on a new one (the server may have closed it meanwhile), so every request must bear repetition: GET, or
 * POST under an Idempotency-Key.
 */
#ifndef LP_SERVER_CLIENT_H
#define LP_SERVER_CLIENT_H

#include <signal.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/json.h"

#define LP_CLIENT_SERVER_DEFAULT "http://127.0.0.1:3100"

struct lp_client;

/*
 * url: "http://HOST[:PORT][/PREFIX]", scheme may be missing; NULL: $LOGPOND_SERVER, else LP_CLIENT_SERVER_DEFAULT. Nothing is connected yet.
 * LP_ERR_PARSE: not such a URL; LP_ERR_UNSUPPORTED: https.
 */
lp_rc lp_client_new(const char *url, struct lp_client **ret, struct lp_err *err) LP_MUST_USE;
/* NULL is fine. */
void lp_client_free(struct lp_client *c);
/* "http://127.0.0.1:3100", for messages. Lives as long as c. */
const char *lp_client_url(const struct lp_client *c);
/* Calls end with LP_ERR_CANCELED soon after *stop turns nonzero (set by a signal handler). */
void lp_client_stop_on(struct lp_client *c, const volatile sig_atomic_t *stop);
/* Closes the connection; the next call opens a new one. */
void lp_client_close(struct lp_client *c);

struct lp_client_request {
    const char *method;
    struct lp_str target;           /* path and query string, encoded */
    const struct lp_pair *headers;  /* beyond Host, Content-Length, User-Agent */
    size_t nheaders;
    struct lp_str body;
    int64_t idle_ns;                /* most time without a byte going or coming; 0: 60 s */
    size_t body_max;                /* most bytes of an answer that is kept whole; 0: 16 MiB */
    /* Where set, the body of a 2xx answer is handed over piece by piece; false ends the call (LP_ERR_CANCELED). */
    bool (*on_data)(void *arg, struct lp_str bytes);
    void *arg;
    bool upgrade; /* 101 is an answer, too: the connection is the caller's from then on, for lp_client_read and lp_client_write, until lp_client_close */
};

struct lp_client_answer {
    int status;
    struct lp_buf body;       /* unless on_data took it */
    struct lp_arena ar;       /* holds the headers */
    struct lp_pair *headers;  /* trailers stand behind them */
    size_t nheaders, headers_cap;
};

void lp_client_answer_init(struct lp_client_answer *a);
void lp_client_answer_clear(struct lp_client_answer *a);
/* A header or trailer of the answer; {NULL,0} when absent. Names in any case. */
struct lp_str lp_client_header(const struct lp_client_answer *a, const char *name);
/* What an error answer says: the first line of its body, or the phrase of its status. Borrowed from a. */
struct lp_str lp_client_reason(const struct lp_client_answer *a);
/* The body as JSON; the document borrows from both. As lp_json_parse, and LP_ERR_LIMIT where there is no room behind the body, which the parser needs. */
lp_rc lp_client_json(struct lp_client_answer *a, struct lp_json_parser *p, struct lp_json_doc *ret, struct lp_err *err) LP_MUST_USE;

/*
 * One request and its whole answer, whatever its status (LP_OK). The answer is cleared first. LP_ERR_NOT_FOUND: the host has no address; LP_ERR_IO:
 * no connection, or cut off before the end (err->sys_errno ECONNREFUSED where nobody listens); LP_ERR_TIMEOUT; LP_ERR_CANCELED;
 * LP_ERR_PARSE: not HTTP; LP_ERR_LIMIT: larger than body_max, or a head over 64 KiB.
 */
lp_rc lp_client_call(struct lp_client *c, const struct lp_client_request *req, struct lp_client_answer *ret,
                     struct lp_err *err) LP_MUST_USE;

/* What comes next, at least a byte; valid until the next call. Empty: the server has closed the connection. Errors as of a call; LP_ERR_TIMEOUT after the request's idle_ns. */
lp_rc lp_client_read(struct lp_client *c, struct lp_str *ret, struct lp_err *err) LP_MUST_USE;
lp_rc lp_client_write(struct lp_client *c, struct lp_str bytes, struct lp_err *err) LP_MUST_USE;

/* Appends text percent-encoded: as a part of a path, or a value. */
void lp_client_encode(struct lp_buf *out, struct lp_str text);
/* Appends NAME=VALUE to a target, percent-encoded, behind '?' or '&'. */
void lp_client_param(struct lp_buf *target, const char *name, struct lp_str value);

/* Waits up to ns, less once *stop (may be NULL) turns nonzero. */
void lp_client_pause(int64_t ns, const volatile sig_atomic_t *stop);

#endif
