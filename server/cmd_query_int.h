/*
 * cmd_query_int.h - the parts of `logpond query`, `labels` and `series`: what a person typed, asking the server, and answers as a person reads them.
 */
#ifndef LP_SERVER_CMD_QUERY_INT_H
#define LP_SERVER_CMD_QUERY_INT_H

#include <stdio.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/json.h"
#include "server/client.h"

#define LP_QUERY_NOTHING 1 /* exit status: nothing found */
#define LP_QUERY_WRONG 2   /* exit status: trouble */

enum lp_query_output { LP_QUERY_DEFAULT, LP_QUERY_RAW, LP_QUERY_JSONL };

/* What the command line asks for. */
struct lp_query {
    const char *server, *tenant;
    const char **words;
    size_t nwords;
    struct lp_str text; /* LogQL, as typed or built of the words */
    bool logql, ignore_case;
    int64_t now_ns, start_ns, end_ns; /* LP_TIME_NONE: open */
    enum lp_query_output output;
    bool colour, stats;
    /* rows */
    bool forward, all;
    uint64_t limit; /* 0: all */
    const char *cursor; /* where an export that was interrupted goes on; NULL: from the beginning */
    /* metric queries */
    bool instant;
    int64_t step_ns; /* 0: what the width of the terminal has room for */
};

/* --- cmd_query_text.c --- */

/* Whether the arguments, joined by blanks, are LogQL: they begin with a selector, or with a metric function, or are a whole metric query. */
bool lp_query_is_logql(const char *const *words, size_t n);
/* LogQL as typed, or a search over everything for lines that hold each word (an argument with blanks counts as one). */
void lp_query_build(const char *const *words, size_t n, bool logql, bool ignore_case, struct lp_buf *out);
/* A time as typed: RFC 3339, an epoch, "2026-01-02 15:04:05", "2026-01-02 15:04" or "2026-01-02" (local), or a duration ("1h": that long ago). */
bool lp_query_time_text(struct lp_str s, int64_t now_ns, int64_t *ret);
/* Whether LogQL as typed is a metric query; what cannot be parsed is one where it does not begin with a selector. */
bool lp_query_is_metric(struct lp_str text);
/* Values of --since, --start and --end (name without dashes), --output, --color (of standard output). LP_ERR_PARSE says what is expected. */
lp_rc lp_query_take_since(const char *value, int64_t now_ns, int64_t *ret_start_ns, struct lp_err *err) LP_MUST_USE;
lp_rc lp_query_take_time(const char *name, const char *value, int64_t now_ns, int64_t *ret, struct lp_err *err) LP_MUST_USE;
lp_rc lp_query_take_output(const char *value, enum lp_query_output *ret, struct lp_err *err) LP_MUST_USE;
lp_rc lp_query_take_colour(const char *value, bool *ret, struct lp_err *err) LP_MUST_USE;
/* Prints the query with a mark under the place that the error text of a server names ("... at line 1, col 5: ..."); nothing without one. */
void lp_query_point_at(FILE *out, struct lp_str query, struct lp_str error);

/* --- cmd_query_show.c --- */

#define LP_QUERY_ORIGINS 64 /* whose colours are remembered; with more, colours repeat */

struct lp_query_show {
    FILE *out;
    enum lp_query_output output;
    bool terminal, colour;      /* with either, control characters of lines are shown, not sent */
    uint64_t origins[LP_QUERY_ORIGINS]; /* hashes of where lines came from, in the order they were first seen */
    size_t norigins;
    bool ignore_case;
    const char *const *words; /* to be marked; NULL: none */
    size_t nwords;
    struct lp_json_parser *json;
    struct lp_buf text, safe, origin;
    uint64_t rows;
    bool failed;        /* out takes no more */
};

void lp_query_show_init(struct lp_query_show *s, FILE *out, enum lp_query_output output);
/* The same on standard output, as a command line asks for. */
void lp_query_show_begin(struct lp_query_show *s, const struct lp_query *q);
void lp_query_show_clear(struct lp_query_show *s);
/*
 * One line of a jsonl export, readable LP_JSON_PAD bytes beyond its end. What is no row (a mark: cursor, warnings) is passed over. False
 * when out takes no more.
 */
bool lp_query_show_row(struct lp_query_show *s, struct lp_str json);
/* Whether a line of the export is a row. */
bool lp_query_is_row(struct lp_str json);
/* The line's own bytes: of `line_b64`, else of `line`. Borrowed from doc or s, until the next call. */
struct lp_str lp_query_show_line(struct lp_query_show *s, const struct lp_json_doc *doc);
/* Other bytes, as they are. False when out takes no more. */
bool lp_query_show_put(struct lp_query_show *s, struct lp_str bytes);
/* The parts of a row as a person reads it, in this order or the other way round, and the rest of it, which goes out with them. Each key has a colour. */
void lp_query_show_time(struct lp_query_show *s, struct lp_str time);
void lp_query_show_origin(struct lp_query_show *s, struct lp_str origin, struct lp_str key, bool error);
bool lp_query_show_rest(struct lp_query_show *s, struct lp_str line);

/* --- cmd_query_ask.c --- */

/* What a search looked at. */
struct lp_query_stats {
    uint64_t lines, bytes, passed, blocks, streams;
    int64_t ns;
};

/* From the `stats` of an answer in Loki's form. */
void lp_query_stats_of(const struct lp_json_doc *doc, struct lp_query_stats *ret);
/* In a line on `out`. */
void lp_query_stats_show(FILE *out, const struct lp_query_stats *st);

/* A server that is asked for one JSON document after another. */
struct lp_query_server {
    const char *command; /* for messages */
    const char *url, *tenant; /* NULL: the default; none */
    struct lp_client *client;
    struct lp_client_answer answer;
    struct lp_json_parser *json;
    struct lp_json_doc doc; /* of the last answer, borrows from it */
};

/* command, url and tenant are set. False having complained; lp_query_server_close is to be called in any case. */
bool lp_query_server_open(struct lp_query_server *s);
void lp_query_server_close(struct lp_query_server *s);
/* Asks for target and reads the answer into doc; its warnings go to standard error. query is for the message. False having complained. */
bool lp_query_get(struct lp_query_server *s, const struct lp_buf *target, struct lp_str query);
/* Appends a time parameter unless ns is LP_TIME_NONE. */
void lp_query_put_time(struct lp_buf *target, const char *name, int64_t ns);
/* An answer other than 200 in words on standard error, with a mark under the place in the query. */
void lp_query_refused(const char *command, const struct lp_client_answer *a, struct lp_str query);
/* The strings of a member `warnings`, to standard error. */
void lp_query_warnings(const char *command, const struct lp_json_doc *doc);
/* "searched from .. to ..", or everything, for who found nothing. */
void lp_query_searched(int64_t start_ns, int64_t end_ns);
/* Appends labels as LogQL writes them: {app="x", env="y"}. i: a node that is an object. */
void lp_query_put_labels(struct lp_buf *out, const struct lp_json_doc *doc, uint32_t i);
/* Writes and empties out. False when nobody reads any more, or out had failed. */
bool lp_query_flush(struct lp_buf *out);

/* --- cmd_query_metric.c --- */

/* Asks a metric query and shows its values; the exit status. */
int lp_query_metric(const struct lp_query *q);
/* A round time of about range / points, a second at least: 1s, 2s, 5s ... 1m, 2m ... 1h, 2h ... whole days. */
int64_t lp_query_round_step(int64_t range_ns, size_t points);

/* --- cmd_query_rows.c --- */

/* Searches for rows and shows them; the exit status. */
int lp_query_rows(const struct lp_query *q);

/* --- cmd_query_tail.c --- */

/* Shows the lines of a query as they come, until it is interrupted, after those since start_ns, at most limit; the exit status. */
int lp_query_tail(const struct lp_query *q);

#endif
