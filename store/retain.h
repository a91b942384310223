/*
 * retain.h - retention: what has expired by the rules, what goes for want of space, and the run that takes it away.
 *
 * A plan is pure: from what the catalog says, the rules and the time follow the cutoffs and what goes. Units are entries, the rows of one group in
 * one segment: an entry goes when its largest time lies before the cutoff of every stream of its group. A segment of which all
 * goes is dropped whole, one of which some goes is written again without it. Rows before the cutoff in an entry that stays are hidden until it
 * goes. Nothing goes within 24 hours of its receipt.
 *
 * Order of a run: plan; ledger (begun); cutoffs into the catalog, and from then on what expired is invisible; drops and rewrites; ledger (ended).
 * Killed anywhere and run again, it ends the same: the next plan finds what is still there.
 *
 * Threads: one run at a time for each store (LP_ERR_BUSY); plans may be made meanwhile, on any thread.
 */
#ifndef LP_STORE_RETAIN_H
#define LP_STORE_RETAIN_H

#include "store/catalog.h"
#include "store/cutoffs.h"

struct lp_store;

#define LP_RETAIN_RECEIVED_NS (86400 * LP_NS_PER_S) /* nothing goes sooner after its receipt */

/* What the settings say. */
struct lp_retain_conf {
    struct lp_rules *rules;
    uint64_t total_bytes;  /* of all segments; 0: no limit */
    struct lp_str free;    /* of the disk: "20GiB", "10%"; empty or 0: no limit */
    int64_t quarantine_ns; /* 0: by the rules */
};

/* The moment that a plan is made for. */
struct lp_retain_moment {
    int64_t now_ns;
    uint64_t disk_free, disk_total;
};

/* --- plan --- */

struct lp_retain_sum {
    uint64_t rows, line_bytes, stored_bytes;
    int64_t first_ns, last_ns; /* first > last: no rows */
};

struct lp_retain_ns {
    struct lp_str tenant, ns;
    struct lp_retain_sum all, goes;
};

struct lp_retain_segment {
    uint64_t id;
    bool whole;                         /* dropped; else written again without these entries */
    const struct lp_cat_entry *entries; /* what goes of it */
    size_t nentries;
    uint64_t freed_bytes;
};

struct lp_retain_plan {
    struct lp_retain_moment at;
    struct lp_cutoffs *cutoffs;     /* by this plan alone: lp_cutoffs_keep() has not been called */
    struct lp_retain_ns *namespaces; /* by rising (tenant, ns); all that have rows */
    size_t nnamespaces;
    struct lp_retain_segment *segments; /* those of which something goes, by rising id */
    size_t nsegments, ndropped;
    struct lp_cat_entry *entries; /* what goes, by rising segment */
    size_t nentries;
    struct lp_retain_sum all, goes; /* all.stored_bytes: every segment's file */
    struct lp_arena ar;
};

/* All that a plan is made of. */
struct lp_retain_input {
    const struct lp_foot_group *groups; /* in any order */
    size_t ngroups;
    const struct lp_cat_segment *segments; /* by rising id */
    size_t nsegments;
    const struct lp_cat_entry *entries; /* in any order; each of a group and a segment above, or it is left alone */
    size_t nentries;
    /* Walks over all streams: asked only where the groups' keys do not decide the rules. */
    lp_rc (*streams)(void *arg, lp_cat_stream_fn fn, void *fn_arg, struct lp_err *err);
    void *arg;
};

lp_rc lp_retain_plan_of(const struct lp_retain_input *in, const struct lp_retain_conf *conf,
                        const struct lp_retain_moment *at, struct lp_retain_plan **ret, struct lp_err *err) LP_MUST_USE;
/* The same from the catalog. */
lp_rc lp_retain_plan(struct lp_cat_txn *t, const struct lp_retain_conf *conf, const struct lp_retain_moment *at,
                     struct lp_retain_plan **ret, struct lp_err *err) LP_MUST_USE;
/* NULL is fine. */
void lp_retain_plan_free(struct lp_retain_plan *p);

/* --- what is there, and how long the disk lasts --- */

#define LP_FORECAST_DAYS 730

struct lp_retain_usage {
    struct lp_retain_plan *plan; /* its namespaces' `all`: first_ns of what can be seen */
    double growth_bytes;         /* a day, on the disk */
    int64_t growth_over_ns;      /* the time it was measured over; 0: not known yet */
    int32_t days_until_full;     /* -1: not within LP_FORECAST_DAYS, or not known */
    uint64_t stored_then;        /* bytes of all segments after LP_FORECAST_DAYS, disk permitting */
};

/* Full means that less than keep_free is free. What the rules will let go counts, as if they ran every day. */
lp_rc lp_retain_usage_of(const struct lp_retain_input *in, const struct lp_retain_conf *conf,
                         const struct lp_retain_moment *at, uint64_t keep_free, struct lp_retain_usage *ret,
                         struct lp_err *err) LP_MUST_USE;
lp_rc lp_retain_usage(struct lp_cat_txn *t, const struct lp_retain_conf *conf, const struct lp_retain_moment *at,
                      uint64_t keep_free, struct lp_retain_usage *ret, struct lp_err *err) LP_MUST_USE;
void lp_retain_usage_clear(struct lp_retain_usage *u);

/* --- run --- */

/* What became of it. */
struct lp_retain_done {
    uint64_t freed_bytes, dropped, rewritten;
    uint64_t stale; /* segments that compaction had replaced since the plan: it is made again */
};

struct lp_retain_ask {
    struct lp_str by; /* who asks, for the ledger: "127.0.0.1:4711", "server: every 1h", "offline" */
    bool asked;       /* by somebody: stands in the ledger also when nothing goes */
    bool dry;         /* plans only */
    int64_t at_ns;    /* of a dry run: the time to plan for; LP_TIME_NONE: now */
    /* Takes away what the plan names; NULL: the store's maintenance does. */
    lp_rc (*expire)(void *arg, const struct lp_retain_plan *p, struct lp_retain_done *ret, struct lp_err *err);
    void *arg;
};

struct lp_retain_report {
    struct lp_retain_plan *plan;
    struct lp_cutoffs *cutoffs; /* those that hold now; NULL after a dry run */
    bool dry;
    struct lp_str by;           /* borrowed from the ask */
    uint64_t begun, ended;      /* numbers in the ledger; 0: none */
    struct lp_retain_done done;
    struct lp_str error; /* in the ledger only: what stopped it */
};

/* One run. Errors: LP_ERR_BUSY another one is under way; else err says what could not be done, and what was done before stays. */
lp_rc lp_retain_run(struct lp_store *st, const struct lp_retain_conf *conf, const struct lp_retain_ask *ask,
                    struct lp_retain_report *ret, struct lp_err *err) LP_MUST_USE;
void lp_retain_report_clear(struct lp_retain_report *r);
/* A JSON object without a line break: what the server answers and the ledger keeps (docs/operations.md). */
void lp_retain_report_json(const struct lp_retain_report *r, struct lp_buf *out);
/* Its end alone, for the ledger's second entry. */
void lp_retain_end_json(const struct lp_retain_report *r, struct lp_buf *out);

/* The cutoffs that the catalog has, at the start. Those that cannot be read are reported (lp_store_say), and nothing is hidden. */
void lp_retain_load(struct lp_store *st);

#endif
