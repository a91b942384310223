/*
 * service.h - the label service_name, which Loki's clients rely on: where a stream does not bring it, it is derived from the first
 * of a list of labels. It is never stored, and no part of a stream's identity; selectors, results and label lists see it. Pure.
 */
#ifndef LP_STORE_SERVICE_H
#define LP_STORE_SERVICE_H

#include "store/record.h"

#define LP_SERVICE_LABEL "service_name"
#define LP_SERVICE_UNKNOWN "unknown_service"
#define LP_STREAM_LABELS_MAX (LP_LABELS_MAX + 1)

/* The labels that it is derived from, in the order of preference. */
extern const struct lp_str lp_service_sources[];
extern const size_t lp_service_nsources;

/* A stream's labels as LogQL sees them: with service_name, derived where the stream has none. Sorted; returns how many. */
size_t lp_stream_labels(const struct lp_pair *labels, size_t n, struct lp_pair ret[LP_STREAM_LABELS_MAX]);
/* Its service_name alone: its own, or derived. */
struct lp_str lp_service_name(const struct lp_pair *labels, size_t n);
/* The labels that a stream's key holds, borrowed from it: at most LP_LABELS_MAX. False where it is not well formed. */
bool lp_key_own_labels(struct lp_str key, struct lp_str *ret_tenant, struct lp_pair ret[LP_LABELS_MAX], size_t *ret_n);
/* The same as LogQL sees them. */
bool lp_key_labels(struct lp_str key, struct lp_str *ret_tenant, struct lp_pair ret[LP_STREAM_LABELS_MAX], size_t *ret_n);
/* The value of a name in a label set sorted by name, LP_STR_NULL if it is missing. */
struct lp_str lp_labels_get(const struct lp_pair *labels, size_t n, struct lp_str name);

#endif
