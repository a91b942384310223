/*
 * path.h - what stands behind '=' in `json name="expr"` and `logfmt name="expr"`.
 *
 * JSON: field.field, field["any text"], [0]; steps follow each other without blanks mattering, and a field is
 * [A-Za-z_][A-Za-z0-9_]*. In quotes \" and \\ are escapes. logfmt: one field, bare or in quotes.
 */
#ifndef LP_QUERY_PATH_H
#define LP_QUERY_PATH_H

#include "base/arena.h"
#include "base/err.h"
#include "query/ast.h"

/* Keys borrow from expr, or from the arena where they had escapes. LP_ERR_PARSE, LP_ERR_LIMIT. */
lp_rc lp_path_json(struct lp_str expr, struct lp_arena *ar, struct lp_path_step **ret, size_t *ret_n,
                   struct lp_err *err) LP_MUST_USE;
lp_rc lp_path_logfmt(struct lp_str expr, struct lp_arena *ar, struct lp_path_step **ret, size_t *ret_n,
                     struct lp_err *err) LP_MUST_USE;

#endif
