/*
 * retain_int.h - inside retention: the planner's tables, for retain_plan.c, which fills them, and retain_usage.c.
 */
#ifndef LP_STORE_RETAIN_INT_H
#define LP_STORE_RETAIN_INT_H

#include "store/retain.h"

struct lp_plan_group {
    uint64_t id;
    struct lp_str key, tenant, name; /* name: of the namespace */
    uint32_t ns;                     /* index into the plan's namespaces */
    uint32_t rule;                   /* of all its streams; LP_RULE_UNDECIDED: `rules` */
    uint32_t *rules;                 /* of its streams, where they had to be asked */
    uint32_t nrules;
    int64_t before_ns; /* its cutoff: the smallest of its streams' */
};

struct lp_plan_segment {
    const struct lp_cat_segment *row;
    bool old;         /* received long enough ago */
    bool by_lines;    /* stored bytes are not known */
    uint64_t weight;  /* of all its entries */
    uint64_t so_far;  /* of those that have their share */
    bool whole;       /* nothing stays */
    uint64_t rows_go; /* rows of entries that go */
    size_t nentries, ngo;
    uint64_t freed;
};

struct lp_plan_entry {
    const struct lp_cat_entry *row;
    uint32_t group, segment;
    uint64_t size;
    bool goes;
};

struct lp_planner {
    const struct lp_retain_input *in;
    const struct lp_retain_conf *conf;
    struct lp_retain_plan *plan;
    struct lp_plan_group *groups;
    size_t ngroups;
    struct lp_plan_segment *segments;
    struct lp_plan_entry *entries;
    size_t nentries;
    uint32_t *order; /* entries that may go in a step, oldest first */
    size_t norder;
    struct lp_arena scratch; /* one stream's key */
};

/*
 * Makes a plan: p->plan is the caller's, also after an error; p's tables are good until lp_planner_clear. conf and in must outlive it.
 */
lp_rc lp_planner_run(struct lp_planner *p, const struct lp_retain_input *in, const struct lp_retain_conf *conf,
                     const struct lp_retain_moment *at, struct lp_err *err) LP_MUST_USE;
void lp_planner_clear(struct lp_planner *p);

/* A plan's input from the catalog; good as long as the transaction. */
struct lp_retain_loaded {
    struct lp_retain_input in;
    struct lp_foot_group *groups;
    struct lp_cat_segment *segments;
    struct lp_cat_entry *entries;
    size_t groups_cap, segments_cap, entries_cap;
};
lp_rc lp_retain_load_input(struct lp_cat_txn *t, struct lp_retain_loaded *ret, struct lp_err *err) LP_MUST_USE;
/* Also after an error. */
void lp_retain_loaded_clear(struct lp_retain_loaded *l);

#endif
