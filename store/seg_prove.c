/*
 * seg_prove.c - whether the stream table of a segment says what its blocks say: every row in one run, of the
 * right stream, with times inside the run's bounds; and whether keys and groups belong together.
 */
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "store/seg_int.h"

/* Puts the runs of a page into their blocks' places; next: of each block of the group. */
static void
place_runs(const struct lp_seg_page *p, const struct lp_seg_group *g, struct lp_seg_run *v, size_t *next)
{
    for (uint32_t i = 0; i < p->nstreams; i++) {
        const struct lp_foot_stream *s = &p->streams[i];
        for (uint32_t k = s->first_run; k < s->first_run + s->runs; k++) {
            v[next[p->runs[k].block - g->first_block]++] = (struct lp_seg_run){s->id, p->runs[k]};
        }
    }
}

/* Counts (v NULL) or places the runs of all pages of a group. */
static lp_rc
walk_pages(struct lp_seg *s, const struct lp_seg_group *g, struct lp_seg_run *v, size_t *next,
           struct lp_err *err)
{
    lp_rc rc = LP_OK;
    for (uint32_t i = 0; i < g->npages && rc == LP_OK; i++) {
        const struct lp_seg_page *p;
        struct lp_seg_page *own;
        rc = lp_seg_page_once(s, g->first_page + i, &p, &own, err);
        if (rc == LP_OK && v != NULL) {
            place_runs(p, g, v, next);
        }
        for (uint32_t k = 0; rc == LP_OK && v == NULL && k < p->nruns; k++) {
            next[p->runs[k].block - g->first_block + 1]++;
        }
        lp_free(rc == LP_OK ? own : NULL);
    }
    return rc;
}

lp_rc
lp_seg_group_runs(struct lp_seg *s, const struct lp_seg_group *g, struct lp_seg_runs *ret, struct lp_err *err)
{
    size_t *first = lp_calloc((size_t)g->nblocks + 1, sizeof(*first));
    struct lp_seg_run *v = NULL;
    lp_rc rc = walk_pages(s, g, NULL, first, err);
    for (uint32_t i = 0; i < g->nblocks; i++) {
        first[i + 1] += first[i];
    }
    if (rc == LP_OK) {
        size_t *next = lp_malloc(((size_t)g->nblocks + 1) * sizeof(*next));
        memcpy(next, first, ((size_t)g->nblocks + 1) * sizeof(*next));
        v = lp_malloc(first[g->nblocks] * sizeof(*v));
        rc = walk_pages(s, g, v, next, err);
        lp_free(next);
    }
    if (rc != LP_OK) {
        lp_free(first);
        lp_free(v);
        return rc;
    }
    *ret = (struct lp_seg_runs){v, first};
    return LP_OK;
}

lp_rc
lp_seg_prove_runs(struct lp_seg *s, uint32_t block, struct lp_block *b, struct lp_codec *c,
                  const struct lp_seg_runs *runs, struct lp_err *err)
{
    const struct lp_seg_group *g = &s->groups[s->blocks[block].group];
    const struct lp_seg_run *said = &runs->v[runs->first[block - g->first_block]];
    size_t nsaid = runs->first[block - g->first_block + 1] - runs->first[block - g->first_block];
    const struct lp_block_run *have;
    const int64_t *times;
    uint32_t n;
    lp_rc rc = lp_block_times(b, c, &times, err);
    rc = rc == LP_OK ? lp_seg_block_runs(s, block, b, c, &have, &n, err) : rc;
    if (rc != LP_OK) {
        return rc;
    }
    bool ok = n == nsaid && n == s->blocks[block].runs;
    int64_t min_ns = LP_TIME_MAX, max_ns = LP_TIME_MIN;
    for (uint32_t i = 0; i < n && ok; i++) {
        const struct lp_foot_run *r = &said[i].run;
        ok = said[i].stream == have[i].stream && r->first == have[i].first && r->rows == have[i].rows &&
             r->min_ns <= have[i].min_ns && r->max_ns >= have[i].max_ns;
        min_ns = LP_MIN(min_ns, have[i].min_ns);
        max_ns = LP_MAX(max_ns, have[i].max_ns);
    }
    ok = ok && min_ns == s->blocks[block].min_ns && max_ns == s->blocks[block].max_ns;
    return ok ? LP_OK
              : lp_corrupt(err, "segment %016llx: the stream table does not say what block %u holds",
                           (unsigned long long)s->id, block);
}

lp_rc
lp_seg_prove_keys(struct lp_seg *s, struct lp_err *err)
{
    struct lp_arena ar;
    struct lp_foot_group *groups;
    struct lp_str *keys;
    size_t ngroups;
    lp_arena_init(&ar, SIZE_MAX, 0);
    lp_rc rc = lp_seg_groups(s, &ar, &groups, &ngroups, err);
    bool ok = rc == LP_OK && ngroups == s->ngroups;
    for (size_t i = 0; i < ngroups && ok; i++) {
        ok = groups[i].id == s->groups[i].id;
    }
    if (rc == LP_OK && !ok) {
        rc = lp_seg_corrupt(s, "groups differ from those of the stream table", err);
    }
    for (uint32_t at = 0, pages; at < s->npages && rc == LP_OK; at += pages) {
        lp_arena_clear(&ar);
        rc = lp_seg_page_keys(s, at, &ar, &keys, &pages, err);
    }
    lp_arena_clear(&ar);
    return rc;
}
