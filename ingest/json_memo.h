/*
 * json_memo.h - what agents repeat: the "kubernetes":{...} member of their records is the same, byte for byte, in every record of a
 * container. Its fields are read once and remembered by its text; later records are parsed without it.
 *
 * One thread's, like the decoder that it belongs to; tied to one map of rules, which must not change or move. Bounded: a few hundred texts of a few KiB.
 */
#ifndef LP_INGEST_JSON_MEMO_H
#define LP_INGEST_JSON_MEMO_H

#include "ingest/json_record.h"

/* A leaf of the member, as walking it found it. */
struct lp_memo_field {
    const struct lp_field_rule *rule; /* NULL: metadata */
    struct lp_str path;
    struct lp_json value;
};

struct lp_memo_entry {
    struct lp_str text; /* of the whole object */
    struct lp_memo_field *fields;
    size_t nfields;
    struct lp_arena ar; /* of all of it */
};

struct lp_json_memo;

struct lp_json_memo *lp_json_memo_new(void);
void lp_json_memo_free(struct lp_json_memo *m);
/* The remembered object that stands at the beginning of text; NULL. Valid until the next lp_json_memo_keep. */
const struct lp_memo_entry *lp_json_memo_find(const struct lp_json_memo *m, struct lp_str text);
/* Remembers an object; fields are copied. One that is too large is not. */
void lp_json_memo_keep(struct lp_json_memo *m, struct lp_str text, const struct lp_memo_field *fields, size_t n);

#endif
