/*
 * level.h - `detected_level`: what Loki adds to the metadata of a line when it is pushed, derived here when it is asked for.
 *
 * A label or metadata that names a level counts first, then a key of a JSON or logfmt line, then words in the text. One of trace, debug, info,
 * warn, error, critical, fatal, unknown; or what the label or metadata says, where that is none of them. Pure functions.
 */
#ifndef LP_QUERY_LEVEL_H
#define LP_QUERY_LEVEL_H

#include "base/str.h"

#define LP_LEVEL_LABEL "detected_level"

/* Names of labels, metadata and fields that name a level, in the order of preference. */
extern const struct lp_str lp_level_fields[];
extern const size_t lp_level_nfields;

/*
 * labels and meta by rising name; names of meta as they were pushed. The text is static, or a value of labels or meta. A `detected_level` that is
 * in meta already is normalised: it takes the place of that one.
 */
struct lp_str lp_level_detect(const struct lp_pair *labels, size_t nlabels, const struct lp_pair *meta, size_t nmeta, struct lp_str line);

#endif
