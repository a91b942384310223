/*
 * result_int.h - inside the writing of answers: shared by result*.c.
 */
#ifndef LP_QUERY_RESULT_INT_H
#define LP_QUERY_RESULT_INT_H

#include "query/result.h"

/* The envelope up to the first element of "result", and from behind the last. Texts become warnings; they may be NULL or empty. */
struct lp_result_notes {
    const char *damage; /* the first damaged place */
    uint64_t damaged;
    const char *cut; /* what ended the query early */
};
void lp_result_begin(const char *type, const struct lp_result_notes *notes, bool categorize, struct lp_buf *out);
void lp_result_end(const struct lp_search_stats *st, size_t entries, struct lp_buf *out);
/* {"a":"b",...} */
void lp_result_pairs(const struct lp_pair *pairs, size_t n, struct lp_buf *out);
/* Seconds with as many of three decimals as are needed; [seconds,"value"] */
void lp_result_seconds(int64_t ns, struct lp_buf *out);
void lp_result_sample(int64_t ns, double v, struct lp_buf *out);

#endif
