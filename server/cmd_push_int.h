/*
 * cmd_push_int.h - the parts of `logpond push`: what to send (find), its lines (lines), what they say (record, time), and the
 * batches that go to the server (send). One thread, top to bottom:
 *
 *   arguments -> lp_push_find -> files -> lp_lines -> lp_push_records -> lp_push_batch -> lp_push_send -> server
 *
 * Stored once: a batch is a range of bytes of one file, and cuts depend on the content alone. The same file sent again gives the same
 * batches under the same keys, so that the server (within its ten minutes) stores none twice.
 */
#ifndef LP_SERVER_CMD_PUSH_INT_H
#define LP_SERVER_CMD_PUSH_INT_H

#include <sys/types.h>

#include "base/json.h"
#include "ingest/content_stream.h"
#include "ingest/loki_write.h"
#include "server/client.h"
#include "server/text_ui.h"

/* --- cmd_push_find.c: which files --- */

struct lp_push_file {
    char *path;     /* owned; NULL: standard input */
    bool regular;   /* has a size and an identity */
    uint64_t bytes;
    dev_t dev;
    ino_t ino;
    int64_t changed_ns;
};

struct lp_push_files {
    struct lp_push_file *all;
    size_t n, cap;
};

/* Told about what cannot be read; the search goes on. */
typedef void (*lp_push_complain)(void *arg, const char *path, const char *why);

/*
 * Adds what an argument names: "-", a file, a pattern (*, ?, [..]) that the shell left alone, or a folder with all regular
 * files below it by name (links to files are followed, links to folders are not). Returns how many things could not be read.
 */
size_t lp_push_find(struct lp_push_files *files, const char *argument, lp_push_complain complain, void *arg);
/* Keeps one path of each file that was found by several: that which tells most about its pod, else the first. */
void lp_push_files_once(struct lp_push_files *files);
void lp_push_files_clear(struct lp_push_files *files);

/* --- cmd_push_lines.c: a file's lines --- */

#define LP_PUSH_LINE_MAX (8u << 20) /* longer lines come in pieces */

struct lp_lines;

struct lp_line {
    struct lp_str text; /* without \n; LP_JSON_PAD readable bytes behind it; until the next call */
    uint64_t end;       /* offset in the content behind it and its \n */
    bool cut;           /* over LP_PUSH_LINE_MAX: the next one goes on with it */
};

/* Opens only. LP_ERR_IO, LP_ERR_NOT_FOUND. */
lp_rc lp_lines_open(const struct lp_push_file *f, struct lp_lines **ret, struct lp_err *err) LP_MUST_USE;
void lp_lines_free(struct lp_lines *l);
/*
 * *ret_more false: the end. LP_ERR_UNSUPPORTED, from the first call: binary (a NUL among the first bytes). LP_ERR_PARSE: damaged gzip or
 * zstd. LP_ERR_IO. LP_ERR_TIMEOUT: a pipe was silent for a second, or a signal came: call again.
 */
lp_rc lp_lines_next(struct lp_lines *l, struct lp_line *ret, bool *ret_more, struct lp_err *err) LP_MUST_USE;
/* Bytes read of the file itself (compressed, where it is). */
uint64_t lp_lines_read_bytes(const struct lp_lines *l);
/* Names this content: device, inode and hash of the first bytes; of what is no regular file, this very run. Known once a line came. */
void lp_lines_identity(const struct lp_lines *l, struct lp_buf *out);

/* --- cmd_push_time.c: the time that a line begins with --- */

struct lp_line_clock {
    int64_t latest_ns; /* lines are not newer (a day of slack): gives syslog's times their year */
    int64_t minute;    /* the last local minute: its number ... */
    int64_t minute_ns; /* ... and when it began */
};

void lp_line_clock_init(struct lp_line_clock *k, int64_t latest_ns);
/*
 * "2026-01-02T03:04:05.6Z", "2026-01-02 03:04:05,678", "2026/01/02 03:04:05", each with or without zone and '[' before it, and syslog's
 * "Jan  2 03:04:05". Without a zone it is local time ($TZ).
 */
bool lp_line_time(struct lp_line_clock *k, struct lp_str line, int64_t *ret_ns);

/* --- cmd_push_record.c: lines to records --- */

enum lp_push_stream { LP_PUSH_UNNAMED, LP_PUSH_STDOUT, LP_PUSH_STDERR, LP_PUSH_STREAMS };
enum lp_push_format { LP_PUSH_UNKNOWN, LP_PUSH_PLAIN, LP_PUSH_CRI, LP_PUSH_DOCKER };

struct lp_push_record {
    int64_t time_ns; /* LP_TIME_NONE: that of receipt */
    enum lp_push_stream stream;
    struct lp_str line; /* until the next call */
};

/* A line of which only the first pieces have come. */
struct lp_push_partial {
    struct lp_buf text;
    int64_t time_ns;
    bool begun;
};

struct lp_push_records {
    enum lp_push_format format; /* told by the first line */
    struct lp_line_clock clock;
    int64_t last_ns;            /* of the line before: lines that bring none belong to it (stack traces) */
    struct lp_push_partial partial[LP_PUSH_STREAMS];
    struct lp_buf joined;
    struct lp_json_parser *json;
};

void lp_push_records_init(struct lp_push_records *r, int64_t latest_ns);
void lp_push_records_clear(struct lp_push_records *r);
/* One line; true when a record came of it (a piece of a line waits for its end). */
bool lp_push_records_line(struct lp_push_records *r, struct lp_str line, struct lp_push_record *ret);
/* At the end: pieces whose end never came, one a call. */
bool lp_push_records_rest(struct lp_push_records *r, struct lp_push_record *ret);

/* --- cmd_push_send.c: batches and the server --- */

#define LP_PUSH_BATCH_BYTES (1u << 20)
#define LP_PUSH_LABELS_MAX 32

struct lp_push_labels {
    struct lp_pair pairs[LP_PUSH_LABELS_MAX];
    size_t n;
    struct lp_instance inst;
};

/* Sets, replaces or (empty value) drops a label; false when there are too many. */
bool lp_push_label(struct lp_push_labels *l, struct lp_str name, struct lp_str value);

struct lp_push_batch {
    struct lp_buf entries[LP_PUSH_STREAMS];
    uint64_t from, lines;
};

void lp_push_batch_init(struct lp_push_batch *b);
void lp_push_batch_clear(struct lp_push_batch *b);
/* False: no memory. */
bool lp_push_batch_add(struct lp_push_batch *b, const struct lp_push_record *r);
size_t lp_push_batch_bytes(const struct lp_push_batch *b);

struct lp_push_sender {
    struct lp_client *client;
    struct lp_client_answer answer;
    struct lp_progress *progress;
    const volatile sig_atomic_t *stop;
    const char *tenant;     /* NULL: none */
    int64_t retry_for_ns;   /* how long a batch is tried again */
    struct lp_buf request, body, labels, key;
    uint64_t repeated;      /* lines that the server had stored before */
};

void lp_push_sender_init(struct lp_push_sender *s, struct lp_client *client, struct lp_progress *progress);
void lp_push_sender_clear(struct lp_push_sender *s);
/* Waits until the server takes pushes. LP_ERR_IO at once when nobody listens. */
lp_rc lp_push_reach(struct lp_push_sender *s, struct lp_err *err) LP_MUST_USE;
/*
 * Sends a batch that ends at `to` of the content with this identity, trying again while there is hope, and empties it. LP_ERR_PARSE and LP_ERR_LIMIT: refused
 * for its content (others may pass). Everything else ends the push.
 */
lp_rc lp_push_send(struct lp_push_sender *s, struct lp_push_batch *b, const struct lp_push_labels *labels,
                   struct lp_str identity, uint64_t to, struct lp_err *err) LP_MUST_USE;

#endif
