/*
 * result_meta.h - answers about what there is to search, in Loki's JSON: volumes, detected labels and fields, patterns. As result.h.
 */
#ifndef LP_QUERY_RESULT_META_H
#define LP_QUERY_RESULT_META_H

#include "query/detect.h"
#include "query/exec_patterns.h"
#include "query/result.h"
#include "query/volume.h"

/* A vector, or a matrix where a volume has more than one sample. */
lp_rc lp_result_volumes(const struct lp_volumes *v, struct lp_buf *out, struct lp_err *err) LP_MUST_USE;
/* {"detectedLabels":[{"label":"a","cardinality":1}]}; {} when there is none. */
lp_rc lp_result_detected_labels(const struct lp_detected_labels *d, struct lp_buf *out, struct lp_err *err) LP_MUST_USE;
/* {"fields":[{"label":"a","type":"int","cardinality":1,"parsers":["json"],"jsonPath":["a"]}],"limit":1000}; {} when there is none. */
lp_rc lp_result_detected_fields(const struct lp_detected_fields *d, size_t limit, struct lp_buf *out, struct lp_err *err) LP_MUST_USE;
/* {"values":["a"],"limit":1000}; {} when there is none. */
lp_rc lp_result_detected_values(const struct lp_names *values, size_t limit, struct lp_buf *out, struct lp_err *err) LP_MUST_USE;
/* {"status":"success","data":[{"pattern":"a <_>","level":"info","samples":[[seconds,lines],...]}]} */
lp_rc lp_result_patterns(const struct lp_pattern_set *p, struct lp_buf *out, struct lp_err *err) LP_MUST_USE;

#endif
