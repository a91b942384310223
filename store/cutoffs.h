/*
 * cutoffs.h - what has expired: a time for every stream, before which its lines are gone. FORMAT.md section 4, `cutoffs`.
 *
 * A run of retention makes a new snapshot, stores it in the catalog, and only then takes anything away, so that what has expired is invisible at
 * once and stays so. A snapshot is immutable and reference-counted; any number of threads may use it.
 *
 * A stream's cutoff comes from the first rule that fits it: the later of what its age says and of what its namespace's bytes say. Lines of the
 * quarantine go by their own age. Whatever rule fits, nothing before all_ns stays: that is the limit of the disk. Rows with time < cutoff
 * have expired, but only rows of segments with created_ns <= received_before_ns: nothing goes within 24 hours of its receipt, and
 * nothing that is still in the head.
 */
#ifndef LP_STORE_CUTOFFS_H
#define LP_STORE_CUTOFFS_H

#include "base/clock.h"
#include "store/record.h"
#include "store/retain_rules.h"

/* A rule's bytes in one namespace. */
struct lp_cutoff_bytes {
    uint32_t rule;
    struct lp_str tenant, ns;
    int64_t before_ns;
};

/* What the streams of a group can have: the smallest and the largest cutoff; the same where all have one. */
struct lp_cutoff_range {
    int64_t lo_ns, hi_ns;
};

struct lp_cutoffs {
    struct lp_rules *rules;
    int64_t *rule_ns;               /* of each rule: by its age; LP_TIME_MIN: none */
    struct lp_cutoff_bytes *bytes;  /* by rising (rule, tenant, ns) */
    size_t nbytes;
    int64_t quarantine_ns;          /* LP_TIME_MIN: none */
    int64_t quarantine_age_ns;      /* 0: the quarantine goes by the rules */
    int64_t all_ns;                 /* LP_TIME_MIN: none */
    struct lp_str disk;             /* the settings that all_ns comes of, as text: what it is known by */
    int64_t received_before_ns;
    int64_t made_ns;
    struct lp_cutoff_range *ranges; /* by group id: of the groups that there were when it was made */
    size_t nranges;
    struct lp_arena ar; /* holds bytes' names and disk */
    _Atomic unsigned refs;
};

/* Takes over a reference on rules. All is LP_TIME_MIN, empty or 0. */
struct lp_cutoffs *lp_cutoffs_new(struct lp_rules *rules);
struct lp_cutoffs *lp_cutoffs_ref(struct lp_cutoffs *c);
/* NULL is fine. */
void lp_cutoffs_unref(struct lp_cutoffs *c);

/* While it is made, by one thread: */
void lp_cutoffs_add_bytes(struct lp_cutoffs *c, uint32_t rule, struct lp_str tenant, struct lp_str ns, int64_t before_ns);
void lp_cutoffs_set_disk(struct lp_cutoffs *c, struct lp_str disk);
/*
 * Where `before` (may be NULL) says later for the same rule, quarantine age or disk setting, that stays: a clock that steps back, and space that
 * came back, bring nothing back. A rule is the same by its text. After the last lp_cutoffs_add_bytes.
 */
void lp_cutoffs_keep(struct lp_cutoffs *c, const struct lp_cutoffs *before, int64_t now_ns);

/* The group is one that there is; its key tells what its streams can have. */
void lp_cutoffs_note_group(struct lp_cutoffs *c, uint64_t id, struct lp_str group_key);

/* --- asking --- */

/*
 * By the group's id. LP_TIME_MIN for a group that came later: what there is of it is too young to have expired.
 */
struct lp_cutoff_range lp_cutoffs_range(const struct lp_cutoffs *c, uint64_t group);
/* Whether anything of a segment that was created then can have expired: it is older than a day. c may be NULL: nothing has. */
bool lp_cutoffs_reach(const struct lp_cutoffs *c, int64_t created_ns);
/* What has expired of a group in such a segment. c may be NULL. */
struct lp_cutoff_range lp_cutoffs_in(const struct lp_cutoffs *c, int64_t created_ns, uint64_t group);

/* In place of a rule's number. */
#define LP_RULE_NONE UINT32_MAX
#define LP_RULE_QUARANTINE (UINT32_MAX - 1)
#define LP_RULE_UNDECIDED (UINT32_MAX - 2)

/*
 * True when all streams of the group have the same cutoff, *ret_ns (LP_TIME_MIN: none). False when streams have to be asked one by
 * one, or the key cannot be read.
 */
bool lp_cutoffs_group(const struct lp_cutoffs *c, struct lp_str group_key, int64_t *ret_ns);
int64_t lp_cutoffs_stream(const struct lp_cutoffs *c, const struct lp_stream_key *k);

/* The rule itself, of a stream, or of all streams of a group: LP_RULE_UNDECIDED where streams may differ. */
uint32_t lp_cutoffs_stream_rule(const struct lp_cutoffs *c, const struct lp_stream_key *k);
uint32_t lp_cutoffs_group_rule(const struct lp_cutoffs *c, struct lp_str group_key);
/* What a rule says in a namespace, all_ns included. */
int64_t lp_cutoffs_rule_ns(const struct lp_cutoffs *c, uint32_t rule, struct lp_str tenant, struct lp_str ns);

/* --- bytes --- */

void lp_cutoffs_encode(const struct lp_cutoffs *c, struct lp_buf *out);
/* LP_ERR_CORRUPT, LP_ERR_UNSUPPORTED (a later version; or selectors without ops). */
lp_rc lp_cutoffs_decode(struct lp_str bytes, const struct lp_select_ops *ops, struct lp_cutoffs **ret, struct lp_err *err) LP_MUST_USE;

#endif
