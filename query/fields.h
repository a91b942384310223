/*
 * fields.h - the fields of a line: JSON and logfmt read as Loki reads them, in one pass, forgiving where it forgives.
 *
 * Keys are cleaned as names of labels (each character outside [A-Za-z0-9_] becomes '_', a leading digit gets '_' in front). Equal keys come as often as they
 * are there; who wants the first keeps the first. Slices given to the callback are valid until it returns. Pure functions; any thread.
 */
#ifndef LP_QUERY_FIELDS_H
#define LP_QUERY_FIELDS_H

#include "base/buf.h"
#include "base/err.h"
#include "query/ast.h"

/* false ends the walk (LP_OK). */
typedef bool (*lp_field_fn)(void *arg, struct lp_str key, struct lp_str value);
/* Is the value of this key wanted? */
typedef bool (*lp_field_want_fn)(void *arg, struct lp_str key);

#define LP_FIELDS_DEPTH_MAX 64

/*
 * Every leaf of the object that the line begins with, nested keys joined by '_'; arrays and null are none. wants may be NULL: all. `keys` and `text` are the caller's, for keys
 * and for strings with escapes. LP_ERR_PARSE with the reason where the line is no object, or from where it breaks: what stood before was given.
 */
lp_rc lp_fields_json(struct lp_str line, struct lp_buf *keys, struct lp_buf *text, lp_field_want_fn wants, lp_field_fn fn, void *arg,
                     struct lp_err *err) LP_MUST_USE;

/* The same with values as they stand, quotes included; and the members of the object itself, of any kind, with keys as they are. */
lp_rc lp_fields_json_raw(struct lp_str line, struct lp_buf *keys, struct lp_buf *text, lp_field_want_fn wants, lp_field_fn fn, void *arg,
                         struct lp_err *err) LP_MUST_USE;
lp_rc lp_fields_json_members(struct lp_str line, struct lp_buf *text, lp_field_want_fn wants, lp_field_fn fn, void *arg,
                             struct lp_err *err) LP_MUST_USE;

/* Every string of the object itself, for `unpack`: keys cleaned, other values and nested ones are none. LP_ERR_PARSE as above. */
lp_rc lp_fields_json_strings(struct lp_str line, struct lp_buf *keys, struct lp_buf *text, lp_field_fn fn, void *arg,
                             struct lp_err *err) LP_MUST_USE;

/* What stands at a path: a string unescaped, an array or object as it stands, null and what is not there as LP_ERR_NOT_FOUND. */
lp_rc lp_fields_json_path(struct lp_str line, const struct lp_path_step *steps, size_t nsteps, struct lp_buf *text,
                          struct lp_str *ret, struct lp_err *err) LP_MUST_USE;

/*
 * Every key=value. A key alone and one with an empty value come with an empty value. Bad pairs are skipped, an open quote drops the rest; with `strict`
 * they are LP_ERR_PARSE. The key is as it stands in the line where `clean` is false.
 */
lp_rc lp_fields_logfmt(struct lp_str line, bool strict, bool clean, struct lp_buf *keys, struct lp_buf *text, lp_field_want_fn wants,
                       lp_field_fn fn, void *arg, struct lp_err *err) LP_MUST_USE;

/* The name of a label that a key becomes, into out. */
void lp_field_name(struct lp_str key, struct lp_buf *out);

#endif
