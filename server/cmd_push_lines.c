/*
 * cmd_push_lines.c - the lines of a file or pipe, decompressed where it is gzip or zstd, with their offsets
 * in the content.
 *
 * Bytes go raw -> decoder -> buf; [at, end) of buf is content not yet handed out, [scanned, end) not yet
 * searched for \n.
 */
#include <errno.h>
#include <poll.h>
#include <unistd.h>

#include "base/hash.h"
#include "base/io.h"
#include "server/cmd_push_int.h"

#define RAW_BYTES (64u << 10)
#define BUF_FIRST_BYTES (256u << 10)
#define BUF_BYTES_MAX (LP_PUSH_LINE_MAX + RAW_BYTES)
#define SNIFF_BYTES 4
#define BINARY_BYTES 8192 /* a NUL among these tells a binary file */
#define HASHED_BYTES 1024
#define SILENCE_MS 1000

struct lp_lines {
    int fd;
    const struct lp_push_file *file;
    struct lp_content_stream *decoder; /* NULL until the first bytes came */
    char *raw;
    size_t raw_at, raw_end;
    uint64_t read_bytes;
    bool raw_ended, ended;
    char *buf;
    size_t cap, at, end, scanned;
    uint64_t offset; /* of buf[at] in the content */
    uint64_t first_hash;
    bool first_seen;
};

lp_rc
lp_lines_open(const struct lp_push_file *f, struct lp_lines **ret, struct lp_err *err)
{
    int fd = STDIN_FILENO;
    lp_rc rc = f->path != NULL ? lp_io_open(lp_io_posix(), f->path, LP_IO_READ, &fd, err) : LP_OK;
    if (rc != LP_OK) {
        return rc;
    }
    struct lp_lines *l = lp_calloc(1, sizeof(*l));
    l->fd = fd;
    l->file = f;
    l->raw = lp_malloc(RAW_BYTES);
    l->cap = BUF_FIRST_BYTES;
    l->buf = lp_malloc(l->cap + LP_JSON_PAD);
    *ret = l;
    return LP_OK;
}

void
lp_lines_free(struct lp_lines *l)
{
    if (l == NULL) {
        return;
    }
    if (l->fd != STDIN_FILENO) {
        lp_io_close(lp_io_posix(), l->fd);
    }
    lp_content_stream_free(l->decoder);
    lp_free(l->raw);
    lp_free(l->buf);
    lp_free(l);
}

/* More raw bytes behind those that are there, or raw_ended. */
static lp_rc
read_raw(struct lp_lines *l, struct lp_err *err)
{
    if (l->raw_at == l->raw_end) {
        l->raw_at = l->raw_end = 0;
    }
    if (!l->file->regular) {
        struct pollfd p = {l->fd, POLLIN, 0};
        int n = poll(&p, 1, SILENCE_MS);
        if (n == 0 || (n < 0 && errno == EINTR)) {
            return lp_err_set(err, LP_ERR_TIMEOUT, "nothing came for a while");
        }
    }
    ssize_t n = read(l->fd, l->raw + l->raw_end, RAW_BYTES - l->raw_end);
    if (n < 0) {
        return errno == EINTR ? lp_err_set(err, LP_ERR_TIMEOUT, "a signal came")
                              : lp_err_sys(err, errno, "cannot be read");
    }
    l->raw_ended = n == 0;
    l->raw_end += (size_t)n;
    l->read_bytes += (size_t)n;
    return LP_OK;
}

static lp_rc
make_decoder(struct lp_lines *l, struct lp_err *err)
{
    while (l->raw_end < SNIFF_BYTES && !l->raw_ended) {
        lp_rc rc = read_raw(l, err);
        if (rc != LP_OK) {
            return rc;
        }
    }
    l->decoder = lp_content_stream_new(lp_content_stream_sniff(lp_str_of(l->raw, l->raw_end)));
    return LP_OK;
}

static void
make_room(struct lp_lines *l)
{
    if (l->at > 0) {
        memmove(l->buf, l->buf + l->at, l->end - l->at);
        l->end -= l->at;
        l->scanned -= l->at;
        l->at = 0;
    }
    if (l->end == l->cap) {
        LP_ASSERT(l->cap < BUF_BYTES_MAX); /* a longer line was cut before */
        l->cap = LP_MIN(2 * l->cap, (size_t)BUF_BYTES_MAX);
        l->buf = lp_realloc(l->buf, l->cap + LP_JSON_PAD);
    }
}

static lp_rc
look_first(struct lp_lines *l, struct lp_err *err)
{
    l->first_seen = true;
    l->first_hash = lp_xxh64(l->buf, LP_MIN(l->end, (size_t)HASHED_BYTES));
    return memchr(l->buf, 0, LP_MIN(l->end, (size_t)BINARY_BYTES)) == NULL
               ? LP_OK
               : lp_err_set(err, LP_ERR_UNSUPPORTED, "is a binary file");
}

/* At least one byte more of content, or ended. */
static lp_rc
refill(struct lp_lines *l, struct lp_err *err)
{
    lp_rc rc = l->decoder == NULL ? make_decoder(l, err) : LP_OK;
    make_room(l);
    while (rc == LP_OK) {
        if (l->raw_at == l->raw_end && !l->raw_ended) {
            rc = read_raw(l, err);
            if (rc != LP_OK) {
                return rc;
            }
        }
        struct lp_str in = lp_str_of(l->raw + l->raw_at, l->raw_end - l->raw_at);
        size_t had = in.n, n;
        rc = lp_content_stream_step(l->decoder, &in, l->buf + l->end, l->cap - l->end, &n, err);
        if (rc != LP_OK) {
            return rc;
        }
        l->raw_at = l->raw_end - in.n;
        if (n > 0) {
            l->end += n;
            return l->first_seen ? LP_OK : look_first(l, err);
        }
        if (in.n == 0 && l->raw_ended) {
            l->ended = true;
            return lp_content_stream_whole(l->decoder)
                       ? LP_OK
                       : lp_err_set(err, LP_ERR_PARSE, "ends in the middle of its compressed data");
        }
        if (in.n == had && had > 0) {
            return lp_err_set(err, LP_ERR_PARSE, "cannot be decompressed");
        }
    }
    return rc;
}

/* Hands out n bytes and passes over `behind` more. */
static struct lp_line
hand_out(struct lp_lines *l, size_t n, size_t behind, bool cut)
{
    struct lp_line line = {lp_str_of(l->buf + l->at, n), l->offset + n + behind, cut};
    l->at += n + behind;
    l->offset += n + behind;
    l->scanned = l->at;
    return line;
}

lp_rc
lp_lines_next(struct lp_lines *l, struct lp_line *ret, bool *ret_more, struct lp_err *err)
{
    for (;;) {
        const char *nl = memchr(l->buf + l->scanned, '\n', l->end - l->scanned);
        size_t there = (nl != NULL ? (size_t)(nl - l->buf) : l->end) - l->at;
        l->scanned = l->end;
        *ret_more = true;
        if (there > LP_PUSH_LINE_MAX) {
            *ret = hand_out(l, LP_PUSH_LINE_MAX, 0, true);
            return LP_OK;
        }
        if (nl != NULL || (l->ended && there > 0)) {
            *ret = hand_out(l, there, nl != NULL, false);
            return LP_OK;
        }
        if (l->ended) {
            *ret_more = false;
            return LP_OK;
        }
        lp_rc rc = refill(l, err);
        if (rc != LP_OK) {
            return rc;
        }
    }
}

uint64_t
lp_lines_read_bytes(const struct lp_lines *l)
{
    return l->read_bytes;
}

void
lp_lines_identity(const struct lp_lines *l, struct lp_buf *out)
{
    if (l->file->regular) {
        lp_buf_printf(out, "%llx-%llx-%016llx", (unsigned long long)l->file->dev,
                      (unsigned long long)l->file->ino, (unsigned long long)l->first_hash);
        return;
    }
    int64_t run[3] = {(int64_t)getpid(), l->file->changed_ns, (int64_t)l->first_hash};
    lp_buf_printf(out, "run-%016llx", (unsigned long long)lp_xxh64(run, sizeof(run)));
}
