/*
 * json_template.h - what the records of a container have in common, byte for byte: everything but the time and the line. A record
 * whose other bytes have been seen before is a row without being parsed: its time is read, its line is unescaped into the batch, and
 * the rest is looked up.
 *
 * A shape is the text before the time and before the line (the slots); what stands behind the last slot is an ending, which brings
 * stream and metadata. Both are learned from records that were read the long way, and only where nothing in the slots can change what
 * the rest means: one time and one line at the top of the record. So a record means the same either way (test_template.c).
 *
 * One thread's; tied to one map of rules. Bounded: LP_TEMPLATE_ENDINGS endings of at most LP_TEMPLATE_BYTES_MAX bytes.
 */
#ifndef LP_INGEST_JSON_TEMPLATE_H
#define LP_INGEST_JSON_TEMPLATE_H

#include "ingest/json_record.h"

#define LP_TEMPLATE_ENDINGS 1024
#define LP_TEMPLATE_BYTES_MAX 4096

struct lp_json_templates;

struct lp_json_templates *lp_json_templates_new(void);
void lp_json_templates_free(struct lp_json_templates *t);
/* Forgets everything: other rules hold from now on. */
void lp_json_templates_clear(struct lp_json_templates *t);

/*
 * Adds a record as a row of the batch. False: it is not one of those that are known (or the batch's memory is spent), and nothing was
 * added. default_ns as for lp_json_record.
 */
bool lp_json_templates_row(struct lp_json_templates *t, struct lp_str text, int64_t default_ns, struct lp_batch *b);
/* Whether records that are not known should be learned: not while what is learned is hardly ever met again. */
bool lp_json_templates_wanted(const struct lp_json_templates *t);
/*
 * Learns from a record that is the batch's last row now, as lp_json_record() added it with this mapper, without known members. Slices
 * of doc borrow from text where they are not unescaped.
 */
void lp_json_templates_learn(struct lp_json_templates *t, const struct lp_json_mapper *x, const struct lp_json_map *m,
                             const struct lp_json_doc *doc, struct lp_str text, const struct lp_batch *b);

#endif
