/*
 * found.c - see found.h.
 */
#include "query/found.h"

#include <stdlib.h>

#include "query/exec_int.h"
#include "query/level.h"

static int
by_name(const void *a, const void *b)
{
    const struct lp_label *x = a, *y = b;
    int order = lp_str_cmp(x->name, y->name);
    return order != 0 ? order : lp_str_cmp(x->value, y->value);
}

/* Of equal names the first stays, as in lp_labels_merge. */
static size_t
once_each(struct lp_label *v, size_t n)
{
    size_t kept = 0;
    qsort(v, n, sizeof(*v), by_name);
    for (size_t i = 0; i < n; i++) {
        if (kept == 0 || !lp_str_eq(v[kept - 1].name, v[i].name)) {
            v[kept++] = v[i];
        }
    }
    return kept;
}

bool
lp_found_labels(const struct lp_found *f, const struct lp_found_row *row, struct lp_arena *ar,
                const struct lp_label **ret, size_t *ret_n)
{
    const struct lp_stream_key *key = &f->streams[row->stream]->key;
    struct lp_pair labels[LP_STREAM_LABELS_MAX];
    size_t nlabels = lp_stream_labels(key->labels, key->nlabels, labels), n = 0;
    struct lp_label *v = lp_arena_array(ar, nlabels + row->nmeta + 1, sizeof(*v));
    if (v == NULL) {
        return false;
    }
    for (; n < nlabels; n++) {
        v[n] = (struct lp_label){labels[n].name, labels[n].value, LP_LABEL_STREAM};
    }
    struct lp_label *level = &v[n++];
    level->value = lp_level_detect(labels, nlabels, row->meta, row->nmeta, row->line);
    level->origin = LP_LABEL_META;
    if (!lp_labels_meta_name(ar, labels, nlabels, LP_STR(LP_LEVEL_LABEL), &level->name)) {
        return false;
    }
    for (size_t i = 0; i < row->nmeta; i++) {
        v[n] = (struct lp_label){.value = row->meta[i].value, .origin = LP_LABEL_META};
        if (!lp_labels_meta_name(ar, labels, nlabels, row->meta[i].name, &v[n].name)) {
            return false;
        }
        n += !lp_str_eq(v[n].name, level->name); /* the level is normalised */
    }
    *ret_n = once_each(v, n);
    *ret = v;
    return true;
}
