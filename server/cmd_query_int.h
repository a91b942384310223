/*
 * cmd_query_int.h - the parts of `logpond query`: what a person typed as LogQL, and rows of an export as a person reads them.
 */
#ifndef LP_SERVER_CMD_QUERY_INT_H
#define LP_SERVER_CMD_QUERY_INT_H

#include <stdio.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/json.h"

/* --- cmd_query_text.c --- */

/* Whether the arguments, joined by blanks, are LogQL: they begin with a selector, or with a metric function. */
bool lp_query_is_logql(const char *const *words, size_t n);
/* LogQL as typed, or a search over everything for lines that hold each word (an argument with blanks counts as one). */
void lp_query_build(const char *const *words, size_t n, bool logql, bool ignore_case, struct lp_buf *out);
/* A time as typed: RFC 3339, an epoch, "2026-01-02 15:04:05", "2026-01-02 15:04" or "2026-01-02" (local), or a duration ("1h": that long ago). */
bool lp_query_time_text(struct lp_str s, int64_t now_ns, int64_t *ret);
/* Prints the query with a mark under the place that the error text of a server names ("... at line 1, col 5: ..."); nothing without one. */
void lp_query_point_at(FILE *out, struct lp_str query, struct lp_str error);

/* --- cmd_query_show.c --- */

enum lp_query_output { LP_QUERY_DEFAULT, LP_QUERY_RAW, LP_QUERY_JSONL };

struct lp_query_show {
    FILE *out;
    enum lp_query_output output;
    bool terminal, colour;
    bool ignore_case;
    const char *const *words; /* to be marked; NULL: none */
    size_t nwords;
    struct lp_json_parser *json;
    struct lp_buf text, safe;
    uint64_t rows;
    bool failed;        /* out takes no more */
};

void lp_query_show_init(struct lp_query_show *s, FILE *out, enum lp_query_output output);
void lp_query_show_clear(struct lp_query_show *s);
/*
 * One line of a jsonl export, readable LP_JSON_PAD bytes beyond its end. The export's last object (cursor) is no row and is passed over;
 * warnings in it go to standard error. False when out takes no more.
 */
bool lp_query_show_row(struct lp_query_show *s, struct lp_str json);
/* Whether a line of the export is a row. */
bool lp_query_is_row(struct lp_str json);

/* --- cmd_query_tail.c --- */

struct lp_query_follow {
    const char *server, *tenant;
    struct lp_str text; /* LogQL, or words as lp_query_build makes them */
    int64_t start_ns;   /* LP_TIME_NONE: no lines of the past */
    uint64_t limit;     /* of the past */
};

/* Shows the lines of a query as they come, until it is interrupted; the command's exit status. */
int lp_query_follow(const struct lp_query_follow *f, struct lp_query_show *show);

#endif
