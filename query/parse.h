/*
 * parse.h - LogQL text to syntax tree (ast.h), with all checks that need no data.
 *
 * Grammar: reference "contracts.md" B.2. Errors carry the finished text that a client sees in err->text ("parse error
 * at line 1, col 6: unexpected }, expected a quoted string"; rules beyond the grammar read "parse error : ..."), and the
 * 1-based place in err->line and err->col (0 where there is none).
 *
 * In label filters `and` binds tighter than `or`, but behind a comma, or where two filters just stand side by side,
 * everything to the right belongs together: `a, b or c` is a and (b or c). That is how Loki reads them.
 *
 * Any thread; a call touches nothing but its arguments.
 */
#ifndef LP_QUERY_PARSE_H
#define LP_QUERY_PARSE_H

#include "base/arena.h"
#include "base/err.h"
#include "query/ast.h"

#define LP_LOGQL_INPUT_MAX (128u * 1024) /* bytes of a query text */
#define LP_LOGQL_DEPTH_MAX 250u          /* levels of a tree, and of brackets */
#define LP_LOGQL_NODES_MAX 10000u        /* expressions, stages, matchers, filters and list items of one query */
#define LP_LOGQL_REGEXES_MAX 100u        /* regexes of one query, lists of literals not counted: each can take 8 MiB */
#define LP_LOGQL_ARENA_BYTES (16u << 20) /* an arena budget that no query within the limits exceeds */

struct lp_logql_opts {
    bool allow_empty_selector; /* {} and {a=~".*"}: a query over all streams (export, series, the query command) */
};

/*
 * Parses and checks one query. The tree and its strings live in ar; text may go afterwards. opts may be NULL (all off).
 * LP_ERR_PARSE, LP_ERR_LIMIT (too long, too deep, too many parts, arena spent). *ret is set on success only.
 */
lp_rc lp_logql_parse(struct lp_str text, const struct lp_logql_opts *opts, struct lp_arena *ar,
                     const struct lp_expr **ret, struct lp_err *err) LP_MUST_USE;

/* As above, for endpoints that take a bare selector: all else is LP_ERR_PARSE "only label matchers are supported". */
lp_rc lp_logql_parse_selector(struct lp_str text, const struct lp_logql_opts *opts, struct lp_arena *ar,
                              const struct lp_log_query **ret, struct lp_err *err) LP_MUST_USE;

#endif
