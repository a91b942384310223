/*
 * select.h - which streams a query wants, as sets of ids: from the catalog's values and postings, without looking at a stream.
 *
 * A matcher is a condition on one label's value; a label that a stream does not have has the empty value. service_name is derived as
 * service.h says. Everything here is exact: nobody needs to look at the labels of what was selected. Pure over a transaction.
 */
#ifndef LP_STORE_SELECT_H
#define LP_STORE_SELECT_H

#include "store/catalog.h"

struct lp_select_matcher {
    struct lp_str name;
    bool (*passes)(const void *arg, struct lp_str value); /* the last word */
    const void *arg;
    /* What spares looking at values: the condition is `passes`, or with `negative` its opposite. */
    bool negative;
    bool every;                  /* every value meets the condition that is not empty */
    const struct lp_str *values; /* those that meet it and no others; NULL: not known */
    size_t nvalues;
    struct lp_str prefix; /* that all have that meet it */
};

/* All matchers pass. */
struct lp_select_all {
    const struct lp_select_matcher *matchers;
    size_t n;
};

/* What labels alone do not tell: its instance. Asked of every stream that the labels select, so they should be few. */
struct lp_select_filter {
    bool (*wants)(const void *arg, const struct lp_stream_key *key);
    const void *arg;
};

/* Its word on the stream with this key; f NULL: yes. A key that is none is not wanted. scratch holds the key's labels until the next call. */
bool lp_select_filter_wants(const struct lp_select_filter *f, struct lp_str key, struct lp_arena *scratch);

/* A stream is wanted that one of them selects; none: all streams. */
struct lp_selector {
    const struct lp_select_all *any;
    size_t n;
    bool quarantine; /* streams of the quarantine are seen only if this is set */
    const struct lp_select_filter *filter; /* the last word on each stream that they select, for views; NULL: there is none */
};

/* Fills set, which has the catalog's next_stream as its limit and is empty. */
lp_rc lp_select_ids(struct lp_cat_txn *t, struct lp_str tenant, const struct lp_selector *sel, struct lp_idset *set,
                    struct lp_err *err) LP_MUST_USE;

/* The same question about streams that are not in the catalog, one by one. Remembers what values were; belongs to one thread. */
struct lp_select_memo;
struct lp_select_memo *lp_select_memo_new(const struct lp_selector *sel);
void lp_select_memo_free(struct lp_select_memo *m);
/* key is the stream's, and must stay as long as the memo. False too for other tenants, and for keys that are none. */
bool lp_select_key(struct lp_select_memo *m, struct lp_str tenant, struct lp_str key);

/*
 * The distinct values of a label, service_name included: for each, fn gets the streams that have it as those that are both in the posting
 * (NULL: all) and in `among`, which is numbered. A value may come twice, with different streams.
 */
typedef bool (*lp_select_value_fn)(void *arg, struct lp_str value, const struct lp_cat_posting *p, const struct lp_idset *among);
lp_rc lp_select_values(struct lp_cat_txn *t, struct lp_str tenant, struct lp_str name, const struct lp_idset *among,
                       lp_select_value_fn fn, void *arg, struct lp_err *err) LP_MUST_USE;

#endif
