/*
 * json_record.h - one JSON object as one record: which member is the time, the line, a label, the instance; all others
 * become structured metadata (contracts B.6).
 *
 * Nested objects are flattened; a path joins its keys with dots ("kubernetes.pod_name"). Names of labels and metadata keep
 * [A-Za-z0-9_], other bytes become '_', so that LogQL can name them. Arrays stay JSON text, null and empty strings vanish.
 */
#ifndef LP_INGEST_JSON_RECORD_H
#define LP_INGEST_JSON_RECORD_H

#include "base/json.h"
#include "store/record.h"

enum lp_field_kind { LP_FIELD_META, LP_FIELD_TIME, LP_FIELD_LINE, LP_FIELD_LABEL, LP_FIELD_UID, LP_FIELD_CONTAINER_ID };

#define LP_RULES_MAX 192

/* A rule: the member at path plays a role. Of several times or lines the lowest rank wins; of several labels of a name too. */
struct lp_field_rule {
    struct lp_str path;
    enum lp_field_kind kind;
    uint8_t rank;
    struct lp_str label; /* LP_FIELD_LABEL: its name */
};

#define LP_RULE_SLOTS 512 /* a power of two, at least twice LP_RULES_MAX */

struct lp_json_map {
    struct lp_field_rule rules[LP_RULES_MAX];
    size_t nrules;
    uint8_t slots[LP_RULE_SLOTS]; /* hash table by path: index + 1, 0 = free */
    bool exact_time;          /* a member "time" in RFC 3339 within 2 s of the chosen time is exacter, and wins */
    struct lp_pair otherwise; /* the label of a record that has none */
};

/* Adds a rule, or gives the path of one another role; false when the map is full. Slices are borrowed. */
bool lp_json_map_add(struct lp_json_map *m, struct lp_str path, enum lp_field_kind kind, uint8_t rank, struct lp_str label);
/* The rule of a path; NULL when it plays no role. */
const struct lp_field_rule *lp_json_map_rule(const struct lp_json_map *m, struct lp_str path);
/* The default maps: of /insert/jsonline, and of Kafka messages (fluent-bit, fluentd, Vector, Filebeat, Logstash). */
void lp_json_map_jsonline(struct lp_json_map *m);
void lp_json_map_kafka(struct lp_json_map *m);

struct lp_json_mapper; /* scratch of one thread */
struct lp_json_mapper *lp_json_mapper_new(void);
void lp_json_mapper_free(struct lp_json_mapper *x);

/*
 * A member of the record that stands in the document as the number 0 only: its fields are known already (json_memo.h). used is set
 * when it was met.
 */
struct lp_memo_entry;
struct lp_json_known {
    struct lp_str key; /* at the document's top */
    const struct lp_memo_entry *entry;
    bool used;
};

/* The leaves of the object at node i, whose path is that of its key, in order. At most max; returns how many, SIZE_MAX when there are more. */
struct lp_memo_field;
size_t lp_json_leaves(struct lp_json_mapper *x, const struct lp_json_map *m, const struct lp_json_doc *doc, uint32_t i,
                      struct lp_memo_field *ret, size_t max);

/*
 * Adds the document (an object) as one row. known: NULL, or what the document lacks; LP_ERR_NOT_FOUND when it was not met, and nothing is added. raw: its whole text, the line where no member is one. default_ns: the time where none is found
 * (LP_TIME_NONE: that of receipt). LP_ERR_UNSUPPORTED: not an object (for the quarantine). LP_ERR_LIMIT: the batch's memory, or too many members.
 */
lp_rc lp_json_record(struct lp_json_mapper *x, const struct lp_json_map *m, const struct lp_json_doc *doc,
                     struct lp_json_known *known, struct lp_str raw, int64_t default_ns, struct lp_batch *b, struct lp_err *err) LP_MUST_USE;

/* What the last record was made of, until the next one. */
struct lp_json_parts {
    const struct lp_pair *labels, *meta; /* names as rows have them, in no order */
    size_t nlabels, nmeta, demoted;
    struct lp_instance inst;
    size_t nlines, ntimes; /* members, at any depth, that could be the line or the time */
    bool chosen;           /* one of each was, where there are any */
    bool line_is_log;      /* a newline at the line's end is not the program's */
};
void lp_json_parts(const struct lp_json_mapper *x, struct lp_json_parts *ret);

/* A name with every byte outside [A-Za-z0-9_] as '_', and '_' before a leading digit; name itself when it is fine already. */
bool lp_label_name(struct lp_arena *ar, struct lp_str name, struct lp_str *ret);

#endif
