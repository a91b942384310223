/*
 * pod_learn.h - what a generation tells of pods: which are new, and of which something is told that was not known.
 *
 * One row of each stream is looked at in each generation. What the streams told lately is remembered by a hash, so that of those which tell the same again nothing
 * is read or written. Seal thread only; nothing is noted before it is committed.
 */
#ifndef LP_STORE_POD_LEARN_H
#define LP_STORE_POD_LEARN_H

#include "store/catalog.h"
#include "store/head.h"

struct lp_pod_memo; /* what streams told lately; of bounded size */
struct lp_pod_memo *lp_pod_memo_new(void);
void lp_pod_memo_free(struct lp_pod_memo *m);

struct lp_pod_news {
    struct lp_cat_pod *pods; /* as lp_cat_commit wants them */
    size_t npods;
    /* owned */
    struct lp_arena ar, scratch; /* scratch: of one stream at a time */
    struct lp_buf text;
    struct lp_pod_told {
        uint64_t stream, facts; /* hashes */
        int64_t first_ns;       /* the earliest line so far */
    } *told;
    size_t ntold;
};
/* Of a generation that is being sealed, whose keys and rows are borrowed. To be cleared. */
void lp_pod_learn(const struct lp_pod_memo *m, const struct lp_gen *g, struct lp_pod_news *ret);
/*
 * The same step by step: room for so many streams; a stream by its key, the metadata of a row (may be NULL), both borrowed, and when its first line was
 * (LP_TIME_NONE: not known).
 */
void lp_pod_news_init(struct lp_pod_news *news, size_t streams);
void lp_pod_news_add(struct lp_pod_news *news, struct lp_str key, const uint8_t *meta, int64_t first_ns);
/* They are stored. */
void lp_pod_memo_note(struct lp_pod_memo *m, const struct lp_pod_news *news);
void lp_pod_news_clear(struct lp_pod_news *news);

#endif
