/*
 * retain_rules.h - the rules of retention: which lines are kept for how long. The first rule that fits a stream counts.
 *
 * A rule is one line of NAME=VALUE parts: conditions, all of which must hold,
 *   namespace=PATTERN   the stream's label `namespace` ('*' stands for any bytes; a stream without the label has the empty one)
 *   selector={...}      label matchers as LogQL has them
 *   tenant=PATTERN      without it the default tenant
 * and at least one limit:
 *   age=TIME            30d, 12h, 2w ..., or forever
 *   bytes=SIZE          of each namespace, as stored; not together with a selector
 *
 * store/ knows no LogQL: selectors come in compiled, through lp_select_ops, which server/ binds (tests bring their own).
 * Rules are immutable after parsing and reference-counted; any number of threads may use them.
 */
#ifndef LP_STORE_RETAIN_RULES_H
#define LP_STORE_RETAIN_RULES_H

#include "base/arena.h"
#include "base/err.h"

#define LP_RULES_MAX 1000u
#define LP_RULE_BYTES_MAX 4096u
#define LP_AGE_FOREVER INT64_MAX

enum lp_decided { LP_DECIDED_NO, LP_DECIDED_YES, LP_DECIDED_NOT };

struct lp_select_ops {
    lp_rc (*compile)(struct lp_str text, void **ret, struct lp_err *err);
    void (*free)(void *select);
    /* Labels by rising name, all that the stream has. */
    bool (*match)(const void *select, const struct lp_pair *labels, size_t n);
    /* The same where only some labels are known (an empty value: the stream does not have it). */
    enum lp_decided (*decide)(const void *select, const struct lp_pair *known, size_t n);
};

struct lp_rule {
    struct lp_str text;      /* as it was given: what the rule is known by */
    struct lp_str tenant;    /* pattern; empty: the default tenant */
    struct lp_str ns;        /* pattern */
    bool any_ns;             /* no condition on the namespace */
    struct lp_str selector;  /* its text, empty: none */
    void *select;            /* compiled */
    int64_t age_ns;          /* 0: not given */
    uint64_t bytes;          /* 0: not given */
};

struct lp_rules {
    struct lp_rule *v;
    size_t n;
    const struct lp_select_ops *ops;
    struct lp_arena ar;
    _Atomic unsigned refs;
};

/*
 * Rules, one a line; empty text: none. ops may be NULL, then selectors are refused. LP_ERR_PARSE, LP_ERR_LIMIT: err names the rule, and has its
 * number and the column as line and col.
 */
lp_rc lp_rules_parse(struct lp_str lines, const struct lp_select_ops *ops, struct lp_rules **ret, struct lp_err *err) LP_MUST_USE;
struct lp_rules *lp_rules_ref(struct lp_rules *r);
/* NULL is fine. */
void lp_rules_unref(struct lp_rules *r);

#endif
