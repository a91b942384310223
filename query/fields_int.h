/*
 * fields_int.h - inside the reading of fields: shared by fields*.c.
 */
#ifndef LP_QUERY_FIELDS_INT_H
#define LP_QUERY_FIELDS_INT_H

#include "query/fields.h"

enum lp_field_quotes { LP_FIELD_JSON, LP_FIELD_LOGFMT };

/*
 * What stands between quotes, without escapes, appended to out; false: bad escapes. JSON: a lone surrogate is one; logfmt: it is U+FFFD, and
 * \' is an escape, too.
 */
bool lp_field_unescape(struct lp_str s, enum lp_field_quotes quotes, struct lp_buf *out);
/* Without bytes that are no UTF-8, and without U+FFFD: the text itself, or a copy in room, which must have space enough not to move, or be reset. */
struct lp_str lp_field_clean(struct lp_str s, struct lp_buf *room);

#endif
