/*
 * exec_fixture.h - the oracle of searches: made-up records, kept in a plain array beside the store they go into, and answers found
 * by looking at every one.
 */
#ifndef LP_UNIT_EXEC_FIXTURE_H
#define LP_UNIT_EXEC_FIXTURE_H

#include "query/exec.h"
#include "tests/unit/store_fixture.h"
#include "tests/unit/test_logql.h"

struct lp_rec {
    int64_t time_ns;
    struct lp_hash128 stream;
    uint64_t seq; /* order of arrival */
    char line[64];
    char pod[16]; /* labels: app, pod */
    char app[16];
};

struct lp_world {
    struct lp_store *st;
    char dir[256];
    struct lp_rec *v; /* in order of arrival */
    size_t n, cap;
    uint64_t random;
    uint64_t next_position;
    struct lp_pool *pool;
};

/* Where records are. */
enum lp_layout { LP_HEAD_ONLY, LP_SEALED, LP_MIXED, LP_LAYOUTS };

/* A store in a fresh folder with n records: six streams in three groups, of them two that differ in their instance alone; times from a small
 * range, so that many are equal. */
void lp_world_make(struct lp_world *w, size_t n, enum lp_layout layout);
/* As above, empty. */
void lp_world_open(struct lp_world *w);
void lp_world_close(struct lp_world *w);
/* One batch of n more records with times in [base, base + span). */
void lp_world_put(struct lp_world *w, size_t n, int64_t base_ns, int64_t span_ns);
void lp_world_seal(struct lp_world *w);
/* Changes a byte of the folder's first segment: inside lines and metadata, which are by far the most of it. */
void lp_world_damage(const struct lp_world *w);

/* A search over everything, without end; the caller changes what it likes. q must outlive it. */
struct lp_search lp_world_search(const struct lp_world *w, const struct lp_test_query *q);

/* The indexes of the records that a search must find, in order. want says whether a record is selected. Malloc'ed. */
size_t *lp_world_answer(const struct lp_world *w, const struct lp_search *q, bool (*want)(const struct lp_rec *r),
                        size_t *ret_n);
/* Compares line and time row by row. */
bool lp_world_same(const struct lp_world *w, const struct lp_found *f, const size_t *want, size_t n);
/* <0, 0, >0: the total order of rows. */
int lp_rec_cmp(const struct lp_rec *a, const struct lp_rec *b);

#endif
