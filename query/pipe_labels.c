/*
 * pipe_labels.c - the labels of a row on its way through the stages.
 *
 * Those of the stream stay where they are, with a bit each that says whether they are gone; what is added
 * stands in one array. Rows have some tens of labels, so names are looked for one by one.
 */
#include <stdlib.h>
#include <string.h>

#include "query/exec_int.h"
#include "query/pipe_int.h"

#define NONE SIZE_MAX

static bool
is_gone(const struct lp_row_labels *l, size_t i)
{
    return (l->gone[i / 64] >> (i % 64) & 1) != 0;
}

/* In the stream's labels, gone or not. */
static size_t
find_base(const struct lp_row_labels *l, struct lp_str name)
{
    for (size_t i = 0; i < l->nbase; i++) {
        if (lp_str_eq(l->base[i].name, name)) {
            return i;
        }
    }
    return NONE;
}

static size_t
find_own(const struct lp_row_labels *l, struct lp_str name)
{
    for (size_t i = 0; i < l->nown; i++) {
        if (lp_str_eq(l->own[i].name, name)) {
            return i;
        }
    }
    return NONE;
}

static void
append(struct lp_row_labels *l, enum lp_label_origin origin, struct lp_str name, struct lp_str value)
{
    struct lp_label *grown = lp_arena_grow(l->ar, l->own, &l->cap, l->nown + 1, sizeof(*grown));
    if (grown == NULL) {
        l->failed = true;
        return;
    }
    l->own = grown;
    l->own[l->nown++] = (struct lp_label){name, value, origin};
}

void
lp_row_labels_begin(struct lp_row_labels *l, const struct lp_pipe_row *row)
{
    struct lp_arena *ar = l->ar;
    *l = (struct lp_row_labels){.ar = ar, .base = row->labels, .nbase = row->nlabels};
    LP_ASSERT(row->nlabels <= LP_STREAM_LABELS_MAX);
    for (size_t i = 0; i < row->nmeta && !l->failed; i++) {
        struct lp_str name;
        if (!lp_labels_meta_name(ar, row->labels, row->nlabels, row->meta[i].name, &name)) {
            l->failed = true;
        } else if (find_own(l, name) == NONE) {
            append(l, LP_LABEL_META, name, row->meta[i].value);
        }
    }
}

bool
lp_row_labels_get(const struct lp_row_labels *l, struct lp_str name, struct lp_str *ret_value,
                  enum lp_label_origin *ret_origin)
{
    size_t i = find_own(l, name);
    if (i != NONE) {
        *ret_value = l->own[i].value;
        *ret_origin = l->own[i].origin;
        return true;
    }
    i = find_base(l, name);
    if (i == NONE || is_gone(l, i)) {
        return false;
    }
    *ret_value = l->base[i].value;
    *ret_origin = LP_LABEL_STREAM;
    return true;
}

struct lp_str
lp_row_labels_value(const struct lp_row_labels *l, struct lp_str name)
{
    struct lp_str value = LP_STR("");
    enum lp_label_origin origin;
    if (lp_str_eqc(name, LP_ERROR_LABEL)) {
        return l->error;
    }
    if (lp_str_eqc(name, LP_ERROR_DETAILS_LABEL)) {
        return l->details;
    }
    (void)lp_row_labels_get(l, name, &value, &origin);
    return value;
}

static void
leave_base(struct lp_row_labels *l, size_t base)
{
    if (base != NONE) {
        l->gone[base / 64] |= UINT64_C(1) << (base % 64);
    }
}

void
lp_row_labels_set(struct lp_row_labels *l, enum lp_label_origin origin, struct lp_str name,
                  struct lp_str value)
{
    size_t own = find_own(l, name), base = find_base(l, name);
    if (own != NONE) {
        if (origin < l->own[own].origin) {
            return;
        }
        l->own[own].value = value;
        l->own[own].origin = origin;
    } else {
        append(l, origin, name, value);
    }
    leave_base(l, base);
}

static struct lp_str
extracted(struct lp_row_labels *l, struct lp_str name)
{
    char *longer = lp_arena_bytes(l->ar, name.n + sizeof(LP_EXTRACTED));
    if (longer == NULL) {
        l->failed = true;
        return name;
    }
    memcpy(longer, name.p, name.n);
    memcpy(longer + name.n, LP_EXTRACTED, sizeof(LP_EXTRACTED) - 1);
    return lp_str_of(longer, name.n + sizeof(LP_EXTRACTED) - 1);
}

void
lp_row_labels_parsed(struct lp_row_labels *l, const struct lp_pipe_prog *prog, struct lp_str name, bool fresh,
                     bool overwrite, struct lp_str value)
{
    size_t own = find_own(l, name), base = find_base(l, name);
    if (base != NONE || (own != NONE && l->own[own].origin == LP_LABEL_META)) {
        name = extracted(l, name);
        fresh = false;
        own = find_own(l, name);
        base = find_base(l, name);
    }
    if (!lp_pipe_wants(prog, name)) {
        return;
    }
    if (own == NONE) {
        append(l, LP_LABEL_PARSED, fresh ? lp_row_labels_keep(l, name) : name, value);
    } else if (overwrite || l->own[own].origin != LP_LABEL_PARSED) {
        l->own[own].value = value;
        l->own[own].origin = LP_LABEL_PARSED;
    }
    leave_base(l, base);
}

void
lp_row_labels_drop(struct lp_row_labels *l, struct lp_str name)
{
    size_t own = find_own(l, name), base = find_base(l, name);
    if (lp_str_eqc(name, LP_ERROR_LABEL)) {
        l->error = LP_STR_NULL;
    } else if (lp_str_eqc(name, LP_ERROR_DETAILS_LABEL)) {
        l->details = LP_STR_NULL;
    }
    if (own != NONE) {
        l->own[own] = l->own[--l->nown];
    }
    leave_base(l, base);
}

struct lp_str
lp_row_labels_keep(struct lp_row_labels *l, struct lp_str text)
{
    struct lp_str kept;
    if (!lp_arena_str(l->ar, text, &kept)) {
        l->failed = true;
        return LP_STR("");
    }
    return kept;
}

void
lp_row_labels_fail(struct lp_row_labels *l, struct lp_str error, const struct lp_err *details)
{
    l->error = error;
    l->details = LP_STR_NULL;
    if (details != NULL && details->text[0] != 0) {
        l->details = lp_row_labels_keep(l, lp_str_c(details->text));
    }
}

/* ------------------------------------------------------------------ in order */

static int
by_name(const void *a, const void *b)
{
    return lp_str_cmp(((const struct lp_label *)a)->name, ((const struct lp_label *)b)->name);
}

/* What is not the stream's, the error included, by name. */
static struct lp_label *
sorted_own(struct lp_row_labels *l, size_t *ret_n)
{
    struct lp_label *v = lp_arena_array(l->ar, l->nown + 2, sizeof(*v));
    size_t n = l->nown;
    if (v == NULL) {
        return NULL;
    }
    if (n > 0) {
        memcpy(v, l->own, n * sizeof(*v));
    }
    if (l->error.p != NULL) {
        v[n++] = (struct lp_label){LP_STR(LP_ERROR_LABEL), l->error, LP_LABEL_PARSED};
    }
    if (l->details.p != NULL) {
        v[n++] = (struct lp_label){LP_STR(LP_ERROR_DETAILS_LABEL), l->details, LP_LABEL_PARSED};
    }
    if (n > 1) {
        qsort(v, n, sizeof(*v), by_name);
    }
    *ret_n = n;
    return v;
}

const struct lp_label *
lp_row_labels_sorted(struct lp_row_labels *l, size_t *ret_n)
{
    size_t nown = 0, n = 0, at = 0;
    struct lp_label *own = sorted_own(l, &nown);
    struct lp_label *all = own != NULL ? lp_arena_array(l->ar, l->nbase + nown, sizeof(*all)) : NULL;
    *ret_n = 0;
    if (all == NULL) {
        l->failed = true;
        return NULL;
    }
    for (size_t i = 0; i < l->nbase; i++) {
        for (; at < nown && lp_str_cmp(own[at].name, l->base[i].name) < 0; at++) {
            all[n++] = own[at];
        }
        if (!is_gone(l, i)) {
            all[n++] = (struct lp_label){l->base[i].name, l->base[i].value, LP_LABEL_STREAM};
        }
    }
    for (; at < nown; at++) {
        all[n++] = own[at];
    }
    *ret_n = n;
    return all;
}

const struct lp_pair *
lp_row_labels_pairs(struct lp_row_labels *l, size_t *ret_n)
{
    size_t n;
    const struct lp_label *all = lp_row_labels_sorted(l, &n);
    struct lp_pair *pairs = all != NULL ? lp_arena_array(l->ar, n, sizeof(*pairs)) : NULL;
    *ret_n = pairs != NULL ? n : 0;
    l->failed = l->failed || pairs == NULL;
    for (size_t i = 0; i < *ret_n; i++) {
        pairs[i] = (struct lp_pair){all[i].name, all[i].value};
    }
    return pairs;
}
