/*
 * merge_names.c - the keys of all streams and groups of some segments, by id. One copy of each, whatever the
 * number of segments that name it.
 */
#include <stdlib.h>

#include "store/merge_int.h"

static int
by_id(const void *va, const void *vb)
{
    const struct lp_merge_name *a = va, *b = vb;
    return (a->id > b->id) - (a->id < b->id);
}

static const struct lp_merge_name *
find(const struct lp_merge_name *v, size_t n, uint64_t id)
{
    struct lp_merge_name key = {.id = id};
    return n > 0 ? bsearch(&key, v, n, sizeof(*v), by_id) : NULL;
}

/* Adds the names in `more` (by rising id) that v has not, whose texts are copied. */
static lp_rc
add_new(struct lp_merge_names *names, struct lp_merge_name **v, size_t *n, struct lp_merge_name *more,
        size_t nmore, struct lp_err *err)
{
    struct lp_merge_name *out = lp_malloc((*n + nmore) * sizeof(*out));
    size_t i = 0, k = 0, m = 0;
    lp_rc rc = LP_OK;
    while ((i < *n || k < nmore) && rc == LP_OK) {
        if (k == nmore || (i < *n && (*v)[i].id <= more[k].id)) {
            k += k < nmore && (*v)[i].id == more[k].id;
            out[m++] = (*v)[i++];
            continue;
        }
        out[m].id = more[k].id;
        rc = lp_arena_str(&names->ar, more[k++].key, &out[m].key)
                 ? LP_OK
                 : lp_err_set(err, LP_ERR_NOMEM, "no memory for the names of streams");
        m++;
    }
    lp_free(*v);
    *v = out;
    *n = m;
    return rc;
}

static lp_rc
load_streams(struct lp_merge_names *names, struct lp_seg *s, struct lp_arena *scratch, struct lp_err *err)
{
    struct lp_str *keys;
    size_t n = 0;
    lp_rc rc = lp_seg_keys(s, scratch, &keys, err);
    struct lp_merge_name *more = lp_malloc(s->nstreams * sizeof(*more));
    for (uint32_t p = 0; p < s->npages && rc == LP_OK; p++) {
        const struct lp_seg_page *page;
        rc = lp_seg_page(s, p, &page, err);
        for (uint32_t i = 0; rc == LP_OK && i < page->nstreams; i++, n++) {
            more[n] = (struct lp_merge_name){page->streams[i].id, keys[n]};
        }
    }
    if (rc == LP_OK) {
        if (n > 1) {
            qsort(more, n, sizeof(*more), by_id);
        }
        rc = add_new(names, &names->streams, &names->nstreams, more, n, err);
    }
    lp_free(more);
    return rc;
}

static lp_rc
load_groups(struct lp_merge_names *names, struct lp_seg *s, struct lp_arena *scratch, struct lp_err *err)
{
    struct lp_foot_group *g;
    size_t n;
    lp_rc rc = lp_seg_groups(s, scratch, &g, &n, err);
    if (rc != LP_OK) {
        return rc;
    }
    struct lp_merge_name *more = lp_malloc(n * sizeof(*more));
    for (size_t i = 0; i < n; i++) {
        more[i] = (struct lp_merge_name){g[i].id, g[i].key};
    }
    if (n > 1) {
        qsort(more, n, sizeof(*more), by_id);
    }
    rc = add_new(names, &names->groups, &names->ngroups, more, n, err);
    lp_free(more);
    return rc;
}

lp_rc
lp_merge_names_load(struct lp_merge_names *n, struct lp_seg *const *inputs, size_t ninputs,
                    struct lp_err *err)
{
    lp_rc rc = LP_OK;
    *n = (struct lp_merge_names){.streams = NULL};
    lp_arena_init(&n->ar, SIZE_MAX, LP_ARENA_CHUNK_MAX);
    for (size_t i = 0; i < ninputs && rc == LP_OK; i++) {
        struct lp_arena scratch;
        lp_arena_init(&scratch, SIZE_MAX, 0);
        rc = load_streams(n, inputs[i], &scratch, err);
        rc = rc == LP_OK ? load_groups(n, inputs[i], &scratch, err) : rc;
        lp_arena_clear(&scratch);
        lp_seg_drop_pages(inputs[i]);
    }
    return rc;
}

void
lp_merge_names_clear(struct lp_merge_names *n)
{
    lp_free(n->streams);
    lp_free(n->groups);
    lp_arena_clear(&n->ar);
}

static lp_rc
key_of(const struct lp_merge_name *have, const char *what, uint64_t id, struct lp_str *ret,
       struct lp_err *err)
{
    if (have == NULL) {
        return lp_corrupt(err, "%s %llu has rows, but no name", what, (unsigned long long)id);
    }
    *ret = have->key;
    return LP_OK;
}

lp_rc
lp_merge_stream_key(const struct lp_merge_names *n, uint64_t id, struct lp_str *ret, struct lp_err *err)
{
    return key_of(find(n->streams, n->nstreams, id), "stream", id, ret, err);
}

lp_rc
lp_merge_group_key(const struct lp_merge_names *n, uint64_t id, struct lp_str *ret, struct lp_err *err)
{
    return key_of(find(n->groups, n->ngroups, id), "group", id, ret, err);
}
