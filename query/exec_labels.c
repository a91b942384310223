/*
 * exec_labels.c - sets of labels: their text, what metadata adds to them, and numbers for those that differ.
 *
 * Streams that differ in their instance alone have one set of labels, so results go by sets, not by streams.
 */
#include <stdlib.h>
#include <string.h>

#include "query/exec_int.h"
#include "query/text.h"

void
lp_labels_text(const struct lp_pair *labels, size_t n, struct lp_buf *out)
{
    lp_buf_byte(out, '{');
    for (size_t i = 0; i < n; i++) {
        lp_buf_c(out, i > 0 ? ", " : "");
        lp_buf_str(out, labels[i].name);
        lp_buf_byte(out, '=');
        lp_text_quote(out, labels[i].value);
    }
    lp_buf_byte(out, '}');
}

/* ------------------------------------------------------------------ metadata */

bool
lp_labels_meta_name(struct lp_arena *ar, const struct lp_pair *labels, size_t nlabels, struct lp_str name,
                    struct lp_str *ret)
{
    static const char suffix[] = "_extracted";
    char *p = lp_arena_bytes(ar, name.n + 1 + sizeof(suffix));
    size_t n = 0;
    if (p == NULL) {
        return false;
    }
    if (name.n > 0 && name.p[0] >= '0' && name.p[0] <= '9') {
        p[n++] = '_';
    }
    while (name.n > 0) {
        uint32_t cp;
        size_t used = lp_text_decode(name, &cp);
        p[n] = used == 1 && lp_text_name_byte(name.p[0], n == 0) ? name.p[0] : '_';
        n++;
        name = lp_str_sub(name, used, name.n);
    }
    if (lp_labels_get(labels, nlabels, lp_str_of(p, n)).p != NULL) {
        memcpy(p + n, suffix, sizeof(suffix) - 1);
        n += sizeof(suffix) - 1;
    }
    *ret = lp_str_of(p, n);
    return true;
}

static int
by_name(const void *a, const void *b)
{
    const struct lp_pair *x = a, *y = b;
    int order = lp_str_cmp(x->name, y->name);
    return order != 0 ? order : lp_str_cmp(x->value, y->value);
}

bool
lp_labels_merge(struct lp_arena *ar, const struct lp_pair *labels, size_t nlabels, const struct lp_pair *meta,
                size_t nmeta, const struct lp_pair **ret, size_t *ret_n)
{
    size_t n = nmeta, kept = 0;
    struct lp_pair *v = lp_arena_array(ar, nlabels + nmeta, sizeof(*v));
    if (v == NULL) {
        return false;
    }
    for (size_t i = 0; i < nmeta; i++) {
        v[i].value = meta[i].value;
        if (!lp_labels_meta_name(ar, labels, nlabels, meta[i].name, &v[i].name)) {
            return false;
        }
    }
    memcpy(v + n, labels, nlabels * sizeof(*v));
    n += nlabels;
    qsort(v, n, sizeof(*v), by_name);
    for (size_t i = 0; i < n; i++) {
        if (kept == 0 || !lp_str_eq(v[kept - 1].name, v[i].name)) {
            v[kept++] = v[i];
        }
    }
    *ret = v;
    *ret_n = kept;
    return true;
}

/* ------------------------------------------------------------------ numbers */

void
lp_label_index_init(struct lp_label_index *ix, struct lp_arena *ar)
{
    *ix = (struct lp_label_index){.ar = ar};
    lp_buf_init(&ix->text, ar->budget);
}

void
lp_label_index_clear(struct lp_label_index *ix)
{
    lp_buf_clear(&ix->text);
    lp_free(ix->buckets);
    ix->buckets = NULL;
}

static void
rehash(struct lp_label_index *ix)
{
    ix->nbuckets = ix->nbuckets ? ix->nbuckets * 2 : 64;
    lp_free(ix->buckets);
    ix->buckets = lp_calloc(ix->nbuckets, sizeof(*ix->buckets));
    for (size_t i = 0; i < ix->n; i++) {
        size_t at = lp_xxh64(ix->v[i].text.p, ix->v[i].text.n) & (ix->nbuckets - 1);
        while (ix->buckets[at] != 0) {
            at = (at + 1) & (ix->nbuckets - 1);
        }
        ix->buckets[at] = (uint32_t)i + 1;
    }
}

static bool
copy_pairs(struct lp_arena *ar, const struct lp_pair *from, size_t n, const struct lp_pair **ret)
{
    struct lp_pair *v = lp_arena_array(ar, n, sizeof(*v));
    for (size_t i = 0; i < n; i++) {
        if (v == NULL || !lp_arena_str(ar, from[i].name, &v[i].name) ||
            !lp_arena_str(ar, from[i].value, &v[i].value)) {
            return false;
        }
    }
    *ret = v;
    return v != NULL;
}

uint32_t
lp_label_index_add(struct lp_label_index *ix, const struct lp_pair *labels, size_t n)
{
    lp_buf_reset(&ix->text);
    lp_labels_text(labels, n, &ix->text);
    if (ix->text.failed) {
        return LP_LABELS_NONE;
    }
    if ((ix->n + 1) * 2 > ix->nbuckets) {
        rehash(ix);
    }
    struct lp_str text = lp_buf_view(&ix->text);
    size_t at = lp_xxh64(text.p, text.n) & (ix->nbuckets - 1);
    while (ix->buckets[at] != 0) {
        if (lp_str_eq(ix->v[ix->buckets[at] - 1].text, text)) {
            return ix->buckets[at] - 1;
        }
        at = (at + 1) & (ix->nbuckets - 1);
    }
    struct lp_labels *grown = lp_arena_grow(ix->ar, ix->v, &ix->cap, ix->n + 1, sizeof(*grown));
    if (grown == NULL) {
        return LP_LABELS_NONE;
    }
    ix->v = grown;
    struct lp_labels *new = &ix->v[ix->n];
    new->n = n;
    if (!lp_arena_str(ix->ar, text, &new->text) || !copy_pairs(ix->ar, labels, n, &new->v)) {
        return LP_LABELS_NONE;
    }
    ix->buckets[at] = (uint32_t)ix->n + 1;
    return (uint32_t)ix->n++;
}
