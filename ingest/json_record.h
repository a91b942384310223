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

struct lp_json_map {
    struct lp_field_rule rules[LP_RULES_MAX];
    size_t nrules;
    bool exact_time;          /* a member "time" in RFC 3339 within 2 s of the chosen time is exacter, and wins */
    struct lp_pair otherwise; /* the label of a record that has none */
};

/* Adds a rule; false when the map is full. Slices are borrowed. */
bool lp_json_map_add(struct lp_json_map *m, struct lp_str path, enum lp_field_kind kind, uint8_t rank, struct lp_str label);
/* The default maps: of /insert/jsonline, and of Kafka messages (fluent-bit, fluentd, Vector, Filebeat, Logstash). */
void lp_json_map_jsonline(struct lp_json_map *m);
void lp_json_map_kafka(struct lp_json_map *m);

struct lp_json_mapper; /* scratch of one thread */
struct lp_json_mapper *lp_json_mapper_new(void);
void lp_json_mapper_free(struct lp_json_mapper *x);

/*
 * Adds the document (an object) as one row. raw: its whole text, the line where no member is one. default_ns: the time where none is found
 * (LP_TIME_NONE: that of receipt). LP_ERR_UNSUPPORTED: not an object (for the quarantine). LP_ERR_LIMIT: the batch's memory, or too many members.
 */
lp_rc lp_json_record(struct lp_json_mapper *x, const struct lp_json_map *m, const struct lp_json_doc *doc,
                     struct lp_str raw, int64_t default_ns, struct lp_batch *b, struct lp_err *err) LP_MUST_USE;

/* A name with every byte outside [A-Za-z0-9_] as '_', and '_' before a leading digit; name itself when it is fine already. */
bool lp_label_name(struct lp_arena *ar, struct lp_str name, struct lp_str *ret);

#endif
