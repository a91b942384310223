/*
 * podlog.h - the log of containers: the lines of some pods, in the order of time, from what is stored into what arrives.
 *
 * Past. Lines come in the order of time (the total order of exec.h), page by page; a reader may be slow, and calls lp_podlog_rest then.
 *
 * Live (`follow`). Behind the last line of the past come lines in the order of arrival. Every line that is, or becomes, visible comes exactly once: what
 * arrives while the past is being read comes in its place where that is still ahead, and at once where it is not. Where that cannot be told (segments that were merged
 * meanwhile) lp_podlog_missed says so.
 *
 * One thread at a time has a log.
 */
#ifndef LP_QUERY_PODLOG_H
#define LP_QUERY_PODLOG_H

#include "query/exec.h"

/* Streams that are wanted. Empty fields: any. */
struct lp_podlog_want {
    struct lp_str pod, container;
    struct lp_str uid;
    bool uid_or_none; /* streams without a uid, too */
    struct lp_str run; /* container id, or restart number */
    const struct lp_str *not_runs; /* runs that are not wanted: the earlier ones, where those to come are wanted too */
    size_t nnot_runs;
};

#define LP_PODLOG_ALL SIZE_MAX

struct lp_podlog_query {
    struct lp_store *store;
    struct lp_str tenant, ns;
    const struct lp_podlog_want *wants; /* a stream that any of them wants; >= 1 */
    size_t nwants;
    struct lp_str stream; /* "stdout" or "stderr"; empty: both */
    const struct lp_str *contains; /* each line holds all of these */
    size_t ncontains;
    const struct lp_str *regexes; /* and matches all of these (RE2) */
    size_t nregexes;
    int64_t from_ns, to_ns; /* of the past: [from, to). Live lines come whatever their time */
    size_t tail;            /* of the past only the newest so many; LP_PODLOG_ALL */
    bool follow;
    struct lp_pool *pool; /* free workers help; may be NULL */
    struct lp_arena_share *share;
    size_t budget_bytes;
    size_t page_rows;           /* most lines of a page of the past; 0: many. Tests take few */
    int64_t page_timeout_ns;    /* for each page */
    const _Atomic bool *cancel; /* may be NULL */
};

struct lp_podlog;

/* Everything is copied. LP_ERR_PARSE: a regular expression; LP_ERR_LIMIT. With follow its place is taken: what arrives from now on comes. */
lp_rc lp_podlog_open(const struct lp_podlog_query *q, struct lp_podlog **ret, struct lp_err *err) LP_MUST_USE;
/* NULL is fine. */
void lp_podlog_close(struct lp_podlog *l);

/*
 * The next lines; rows have a stream (ret->streams), not labels. ret->n == 0: there are no more, or with follow none until lp_podlog_wait has returned. The caller clears *ret.
 */
lp_rc lp_podlog_next(struct lp_podlog *l, struct lp_found *ret, struct lp_err *err) LP_MUST_USE;
/* Lets go of what is kept from call to call, decoded blocks and the head's memory: for who does not go on soon. The place stays. */
void lp_podlog_rest(struct lp_podlog *l);
/* The past has been read. */
bool lp_podlog_live(const struct lp_podlog *l);
/* Live: waits until something has arrived in the store, at most until deadline_ns (lp_mono_ns). Holds nothing meanwhile. */
void lp_podlog_wait(struct lp_podlog *l, int64_t deadline_ns);
/* What may be missing or come twice since the last call; NULL: nothing. Valid until the next call. */
const char *lp_podlog_missed(struct lp_podlog *l);
/* Damaged parts of the store that were left out of the past, and the first of them. */
uint64_t lp_podlog_damaged(const struct lp_podlog *l, const char **ret_first);

#endif
