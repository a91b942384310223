/*
 * push.h - one request on its way in, as the receiver got it: what the journal keeps and what decoders read.
 *
 * Slices are borrowed from whoever made it and must live until the call that takes it returns.
 */
#ifndef LP_INGEST_PUSH_H
#define LP_INGEST_PUSH_H

#include "base/clock.h"
#include "store/record.h"

#define LP_PUSH_HEADERS_MAX 16

struct lp_push {
    struct lp_str method;
    struct lp_str target;  /* path and query string, as sent */
    struct lp_str peer;    /* "127.0.0.1:5555" */
    struct lp_str tenant;  /* empty: the default tenant */
    struct lp_str key;     /* Idempotency-Key, or empty */
    struct lp_pair headers[LP_PUSH_HEADERS_MAX]; /* those that steer decoding: lp_push_header_kept() */
    size_t nheaders;
    struct lp_str body;    /* as received, still encoded; LP_BUF_PAD readable bytes behind it */
    int64_t received_ns;
};

/* Whether a header steers decoding and so belongs into the journal (content-type, content-encoding). Case-insensitive. */
bool lp_push_header_kept(struct lp_str name);
/* A kept header's value, {NULL,0} when absent. */
struct lp_str lp_push_header(const struct lp_push *p, const char *name);
/* The path part of the target. */
struct lp_str lp_push_path(const struct lp_push *p);

#endif
