/*
 * parse_int.h - inside the parser only: its state, and who parses what.
 *
 * The parser is recursive descent with one token in hand. Functions return false on failure, having set ps->rc and the
 * error once (the first one counts); after that every further step fails too, so calls can be chained with &&.
 * Every recursion goes through lp_ps_enter, which bounds its depth; lp_ps_count bounds the number of parts.
 */
#ifndef LP_QUERY_PARSE_INT_H
#define LP_QUERY_PARSE_INT_H

#include "query/lex.h"
#include "query/parse.h"

struct lp_parser {
    struct lp_lexer lex;
    struct lp_token tok; /* in hand, not yet taken */
    struct lp_arena *ar;
    struct lp_err *err;
    lp_rc rc;
    unsigned depth, nodes;
};

/* ------------------------------------------------------------ parse.c: the tools */

/* Takes the token in hand. */
bool lp_ps_next(struct lp_parser *ps);
/* Takes the token if it is of this kind; false without an error otherwise. */
bool lp_ps_accept(struct lp_parser *ps, enum lp_tok kind);
/* Takes the token, which must be of this kind; `expected` says so in words (NULL: its own name). */
bool lp_ps_expect(struct lp_parser *ps, enum lp_tok kind, const char *expected);
/* Takes a name or a string and gives its text. */
bool lp_ps_name(struct lp_parser *ps, struct lp_str *ret);
bool lp_ps_string(struct lp_parser *ps, struct lp_str *ret);
/* The kind of the token behind the one in hand; errors in it count as EOF (they show when it is taken). */
enum lp_tok lp_ps_peek(const struct lp_parser *ps);

/* Fails with what is in hand and what should be there instead. Always false. */
bool lp_ps_unexpected(struct lp_parser *ps, const char *expected);
/* Fails at a place: "parse error at line, col: ...". Always false. */
bool lp_ps_fail(struct lp_parser *ps, struct lp_pos pos, const char *fmt, ...) LP_PRINTF(3, 4);
/* Fails on a limit or a spent arena. Always false. */
bool lp_ps_limit(struct lp_parser *ps, const char *what);

bool lp_ps_enter(struct lp_parser *ps);
void lp_ps_leave(struct lp_parser *ps);
/* Counts one part of the query. */
bool lp_ps_count(struct lp_parser *ps);
/* Cleared arena memory; NULL after failing. */
void *lp_ps_alloc(struct lp_parser *ps, size_t bytes);
/* Room for one more item (counted as a part) in an arena array; NULL after failing. */
void *lp_ps_grow(struct lp_parser *ps, void *items, size_t *cap, size_t n, size_t size);

/* -------------------------------------------------------------------- the rules */

/* parse_metric.c: any expression whose operators bind at least as tightly as min_prec. NULL after failing. */
struct lp_expr *lp_ps_expr(struct lp_parser *ps, int min_prec);
/* A new node with depth 1. NULL after failing. */
struct lp_expr *lp_ps_node(struct lp_parser *ps, enum lp_expr_kind kind, struct lp_pos pos);

/* parse_log.c */
bool lp_ps_selector(struct lp_parser *ps, struct lp_log_query *log);
/* Stages as far as they go. `unwrap` NULL: there may be none; else it ends the pipeline and is stored there. */
bool lp_ps_pipeline(struct lp_parser *ps, struct lp_log_query *log, struct lp_unwrap **unwrap);
/* name op "value"; the name is in hand */
bool lp_ps_matcher(struct lp_parser *ps, struct lp_label_match *ret);
const struct lp_label_filter *lp_ps_label_filter(struct lp_parser *ps, int min_prec);

/* parse_stage.c: what stands behind "|"; the first word is in hand. */
bool lp_ps_stage(struct lp_parser *ps, struct lp_stage *ret);

/* check.c: the rules that the grammar does not hold. Errors: "parse error : ...". */
lp_rc lp_logql_check(const struct lp_expr *expr, const struct lp_logql_opts *opts, struct lp_arena *ar,
                     struct lp_err *err) LP_MUST_USE;

#endif
