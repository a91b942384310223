/*
 * result.h - answers as text: Loki's JSON for streams, vectors and label sets; raw and JSON lines for exports.
 *
 * Everything appends to a buffer whose limit is the caller's; what does not fit is LP_ERR_LIMIT. Strings that are not UTF-8 come out
 * with U+FFFD for each bad byte, as JSON demands.
 */
#ifndef LP_QUERY_RESULT_H
#define LP_QUERY_RESULT_H

#include "base/buf.h"
#include "query/exec.h"
#include "query/metric.h"

/* {"status":"success",...,"data":{"resultType":"streams",...}}: streams by rising label text, entries as they were found. The search must have wanted labels. */
lp_rc lp_result_streams(const struct lp_found *f, bool categorize, struct lp_buf *out, struct lp_err *err) LP_MUST_USE;

/*
 * A frame of a tail: {"streams":[...]} with the rows of f (f may be NULL), what else is set, and "cursor" where it is not empty. dropped: elements of
 * dropped_entries; notice: a sentence.
 */
struct lp_tail_frame {
    const struct lp_found *found;
    bool categorize;
    struct lp_str dropped, notice, cursor;
};
/* Appends the rows as elements of dropped_entries, behind those that are there. */
lp_rc lp_result_dropped(const struct lp_found *f, struct lp_buf *out, struct lp_err *err) LP_MUST_USE;
lp_rc lp_result_tail(const struct lp_tail_frame *frame, struct lp_buf *out, struct lp_err *err) LP_MUST_USE;

/* The series of a metric query: a matrix; or of one step a vector, or a scalar (whose time is in milliseconds, as Loki's is). */
lp_rc lp_result_series_matrix(const struct lp_matrix *m, struct lp_buf *out, struct lp_err *err) LP_MUST_USE;
lp_rc lp_result_series_vector(const struct lp_matrix *m, struct lp_buf *out, struct lp_err *err) LP_MUST_USE;

/* {"status":"success","data":[{"a":"b"},...]}; without data when there is none. */
lp_rc lp_result_series(const struct lp_label_sets *sets, struct lp_buf *out, struct lp_err *err) LP_MUST_USE;
/* {"status":"success","data":["a",...]}; without data when there is none. */
lp_rc lp_result_names(const struct lp_names *names, struct lp_buf *out, struct lp_err *err) LP_MUST_USE;

/* A member "line" behind others, and "line_b64" with its exact bytes where it is not UTF-8. */
void lp_result_line(struct lp_str line, struct lp_buf *out);
/* The rows of an export: each line and a newline; or each row as a JSON object and a newline. */
lp_rc lp_export_raw(const struct lp_found *f, struct lp_buf *out, struct lp_err *err) LP_MUST_USE;
lp_rc lp_export_jsonl(const struct lp_found *f, struct lp_buf *out, struct lp_err *err) LP_MUST_USE;

#endif
