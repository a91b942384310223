/*
 * pod_facts.h - what is known of a pod beside its streams: told by the metadata that agents send with its lines, and by labels (contracts B.6). Pure.
 *
 * Facts are pairs by rising name, no name twice:
 *   label/KEY        a Kubernetes label, its key as names are kept ([A-Za-z0-9_])
 *   image/CONTAINER  the container's image
 *   node, ip         where it ran
 *   owner, top       what made it, and what made that: "Kind/name"
 *   default-container
 *   first            when its first line was written, of all that were told: i64, little endian
 * Agents tell some of them, or none; what is learned later is added, or takes the place of what was known.
 */
#ifndef LP_STORE_POD_FACTS_H
#define LP_STORE_POD_FACTS_H

#include "store/record.h"

/* More of Kubernetes' own limits: a pod with longer names is none (bytes). */
#define LP_POD_NS_MAX 100
#define LP_POD_NAME_MAX 253
#define LP_POD_UID_MAX 100
/* More is left out. */
#define LP_POD_FACTS_MAX 96
#define LP_POD_FACT_BYTES_MAX 1024

struct lp_pod_id {
    struct lp_str ns, name, uid; /* uid empty: not known */
};
/* False: the stream is of no pod. Borrows from the key. */
bool lp_pod_id_of(const struct lp_stream_key *key, struct lp_pod_id *ret);

struct lp_pod_facts {
    struct lp_pair v[LP_POD_FACTS_MAX];
    size_t n;
};
/* A hash of all in the row's metadata (may be NULL) that facts may be made of; 0: there is nothing. What has the same tells the same. */
uint64_t lp_pod_facts_hash(const uint8_t *meta);
/* Adds what a stream and the metadata (may be NULL) of one of its rows tell; names live in ar. False: ar is spent. */
bool lp_pod_facts_learn(const struct lp_stream_key *key, const uint8_t *meta, struct lp_arena *ar, struct lp_pod_facts *f);
/* It had a line at that time. False: ar is spent. */
bool lp_pod_facts_line(struct lp_pod_facts *f, int64_t time_ns, struct lp_arena *ar);
/* When its first line was; LP_TIME_NONE: not known. */
int64_t lp_pod_facts_first(const struct lp_pod_facts *f);
/* Sets a fact, in place of what was known; of `first` the earlier one stays. Names and values are borrowed. */
void lp_pod_facts_put(struct lp_pod_facts *f, struct lp_str name, struct lp_str value);
/* {NULL,0} when it is not known. */
struct lp_str lp_pod_fact(const struct lp_pod_facts *f, struct lp_str name);
/* Is the fact one that pods hardly share, so that it is better kept with the pod? */
bool lp_pod_fact_is_own(const struct lp_pod_id *id, const struct lp_pair *fact);
enum lp_pod_facts_part { LP_POD_FACTS_ALL, LP_POD_FACTS_OWN, LP_POD_FACTS_SHARED };
/* varint n, n times (lpstr name, lpstr value): all of them, those that are own, or the others. Nothing where there is none. */
void lp_pod_facts_write(const struct lp_pod_id *id, const struct lp_pod_facts *f, enum lp_pod_facts_part part,
                        struct lp_buf *out);
/* Adds them to f, in place of what was known; borrows from bytes. False: malformed. */
bool lp_pod_facts_read(struct lp_str bytes, struct lp_pod_facts *f);

#endif
