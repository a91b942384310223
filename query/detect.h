/*
 * detect.h - the fields that lines have, found by looking at some of them: for clients that offer fields to choose from.
 *
 * A field is a name of metadata, a label that the query's stages made, or a field of the line itself, read as JSON or else as
 * logfmt. A name that is a label of the stream already gets "_extracted". Cardinalities are those of the rows looked at, exact up to collisions
 * of 64-bit hashes. Pure functions; one thread at a time per result.
 */
#ifndef LP_QUERY_DETECT_H
#define LP_QUERY_DETECT_H

#include "query/exec.h"

enum lp_detect_parser { LP_DETECT_JSON = 1, LP_DETECT_LOGFMT = 2 };

struct lp_detected_field {
    struct lp_str name;
    const char *type; /* string, int, float, boolean, duration or bytes: that of the row looked at last, the oldest of the last stream */
    size_t cardinality;
    unsigned parsers;          /* enum lp_detect_parser; 0: metadata alone */
    const struct lp_str *path; /* keys that lead to it in JSON; npath 0: not known */
    size_t npath;
};

struct lp_detected_fields {
    struct lp_detected_field *v; /* by rising name */
    size_t n;
    struct lp_arena ar; /* owned */
};

/* Of the rows found, at most `limit` fields. budget and share: memory. LP_ERR_LIMIT. */
lp_rc lp_detect_fields(const struct lp_found *f, size_t limit, size_t budget_bytes, struct lp_arena_share *share,
                       struct lp_detected_fields *ret, struct lp_err *err) LP_MUST_USE;
void lp_detected_fields_clear(struct lp_detected_fields *d);

/*
 * The values of one field, sorted; rows are looked at until there are `limit` of them. Sizes are written as a query writes them
 * ("4.2MB"). LP_ERR_LIMIT. The result is cleared by lp_names_clear.
 */
lp_rc lp_detect_values(const struct lp_found *f, struct lp_str name, size_t limit, size_t budget_bytes, struct lp_arena_share *share,
                       struct lp_names *ret, struct lp_err *err) LP_MUST_USE;

/* The type of a value, as Loki tells it. */
const char *lp_field_type(struct lp_str value);

/* Labels to choose from, and how many values they have. Those whose values are all numbers or UUIDs are left out, but for some well-known ones. */
struct lp_detected_label {
    struct lp_str name;
    size_t cardinality;
};
struct lp_detected_labels {
    struct lp_detected_label *v; /* by rising name */
    size_t n;
    struct lp_names names; /* owned */
};
/* Errors: as lp_streams_names. */
lp_rc lp_detect_labels(const struct lp_streams_query *q, struct lp_detected_labels *ret, struct lp_err *err) LP_MUST_USE;
void lp_detected_labels_clear(struct lp_detected_labels *d);

#endif
