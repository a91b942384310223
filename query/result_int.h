/*
 * result_int.h - inside the writing of answers: shared by result*.c.
 */
#ifndef LP_QUERY_RESULT_INT_H
#define LP_QUERY_RESULT_INT_H

#include "query/result.h"

/* The envelope up to the first element of "result", and from behind the last. damage may be NULL. */
void lp_result_begin(const char *type, const char *damage, uint64_t damaged, bool categorize, struct lp_buf *out);
void lp_result_end(const struct lp_search_stats *st, size_t entries, struct lp_buf *out);
/* {"a":"b",...} */
void lp_result_pairs(const struct lp_pair *pairs, size_t n, struct lp_buf *out);
/*
 * How a metadata name is spelled among labels: characters that a label name cannot have become '_', a leading digit gets one in
 * front, and a clash with a label gets the suffix "_extracted". False when ar is spent.
 */
bool lp_result_meta_name(struct lp_arena *ar, const struct lp_pair *labels, size_t nlabels, struct lp_str name,
                         struct lp_str *ret);

#endif
