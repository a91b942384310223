/*
 * exec_streams.c - what streams there are in a range, and how much is in them: labels, series, index/stats.
 *
 * Label sets come from stream tables alone (lp_view_seen). Counts are exact: a block whose rows are all
 * wanted is counted from the footer; of others the times and lengths are decoded, never a line.
 */
#include <stdlib.h>
#include <string.h>

#include "query/exec_int.h"

#define TEXT_BYTES (1u << 20) /* of one label set as text: 64 labels of 3 KiB, quoted */
#define CHECK_ROWS 4096

static lp_rc
open_parts(const struct lp_streams_query *q, struct lp_view **ret, const struct lp_part **ret_parts,
           size_t *ret_n, uint64_t *ret_damaged, struct lp_err *err)
{
    struct lp_view *v;
    size_t damaged;
    lp_rc rc = lp_exec_check(q->deadline_ns, q->cancel, err);
    if (rc == LP_OK) {
        rc = lp_exec_view(q->store, q->tenant, q->selectors, q->nselectors, q->budget_bytes, &v, err);
    }
    if (rc != LP_OK) {
        return rc;
    }
    rc = lp_view_parts(v, q->from_ns, q->to_ns, ret_parts, ret_n, &damaged, err);
    if (rc != LP_OK) {
        lp_view_free(v);
        return rc;
    }
    *ret_damaged = damaged;
    *ret = v;
    return LP_OK;
}

/* ------------------------------------------------------------------ label sets */

struct named_set {
    struct lp_str text;
    const struct lp_stream_key *key;
};

static int
by_text(const void *a, const void *b)
{
    return lp_str_cmp(((const struct named_set *)a)->text, ((const struct named_set *)b)->text);
}

static lp_rc
over_budget(struct lp_err *err)
{
    return lp_err_set(err, LP_ERR_LIMIT,
                      "the answer needs more memory than a query may have; add more label matchers");
}

/* Texts of the streams that were seen, into v. */
static lp_rc
name_sets(const struct lp_vstream *streams, size_t n, const bool *seen, struct lp_arena *ar,
          struct named_set *v, size_t *ret_n, struct lp_err *err)
{
    struct lp_buf text;
    lp_rc rc = LP_OK;
    *ret_n = 0;
    lp_buf_init(&text, TEXT_BYTES);
    for (size_t i = 0; i < n && rc == LP_OK; i++) {
        if (seen[i]) {
            struct named_set *s = &v[(*ret_n)++];
            struct lp_pair labels[LP_STREAM_LABELS_MAX];
            s->key = &streams[i].key;
            lp_buf_reset(&text);
            lp_labels_text(labels, lp_stream_labels(s->key->labels, s->key->nlabels, labels), &text);
            rc = !text.failed && lp_arena_str(ar, lp_buf_view(&text), &s->text) ? LP_OK : over_budget(err);
        }
    }
    lp_buf_clear(&text);
    return rc;
}

static bool
copy_labels(struct lp_arena *ar, const struct lp_stream_key *key, struct lp_label_set *to)
{
    struct lp_pair labels[LP_STREAM_LABELS_MAX];
    size_t n = lp_stream_labels(key->labels, key->nlabels, labels);
    struct lp_pair *kept = lp_arena_array(ar, n, sizeof(*kept));
    for (size_t i = 0; i < n; i++) {
        if (kept == NULL || !lp_arena_str(ar, labels[i].name, &kept[i].name) ||
            !lp_arena_str(ar, labels[i].value, &kept[i].value)) {
            return false;
        }
    }
    *to = (struct lp_label_set){kept, n};
    return true;
}

static lp_rc
collect_sets(struct lp_view *v, const bool *seen, struct lp_label_sets *ret, struct lp_err *err)
{
    const struct lp_vstream *streams;
    struct lp_arena texts;
    size_t n = lp_view_streams(v, &streams), nsets = 0;
    struct named_set *sets = lp_malloc(n * sizeof(*sets));
    lp_arena_init(&texts, ret->ar.budget, 1 << 16);
    lp_rc rc = name_sets(streams, n, seen, &texts, sets, &nsets, err);
    if (rc == LP_OK && nsets > 1) {
        qsort(sets, nsets, sizeof(*sets), by_text);
    }
    if (rc == LP_OK) {
        ret->v = lp_arena_array(&ret->ar, nsets, sizeof(*ret->v));
        rc = ret->v != NULL ? LP_OK : over_budget(err);
    }
    for (size_t i = 0; i < nsets && rc == LP_OK; i++) {
        if (i > 0 && lp_str_eq(sets[i].text, sets[i - 1].text)) {
            continue;
        }
        rc = copy_labels(&ret->ar, sets[i].key, &ret->v[ret->n++]) ? LP_OK : over_budget(err);
    }
    lp_arena_clear(&texts);
    lp_free(sets);
    return rc;
}

lp_rc
lp_streams_find(const struct lp_streams_query *q, struct lp_label_sets *ret, struct lp_err *err)
{
    struct lp_view *v;
    const struct lp_part *parts;
    const struct lp_vstream *streams;
    size_t nparts;
    memset(ret, 0, sizeof(*ret));
    lp_arena_init(&ret->ar, q->budget_bytes, 1 << 16);
    lp_rc rc = open_parts(q, &v, &parts, &nparts, &ret->damaged, err);
    if (rc != LP_OK) {
        return rc;
    }
    bool *seen = lp_calloc(lp_view_streams(v, &streams), sizeof(*seen));
    lp_view_seen(v, q->from_ns, q->to_ns, seen);
    rc = collect_sets(v, seen, ret, err);
    lp_free(seen);
    lp_view_free(v);
    if (rc != LP_OK) {
        lp_label_sets_clear(ret);
    }
    return rc;
}

void
lp_label_sets_clear(struct lp_label_sets *s)
{
    lp_arena_clear(&s->ar);
    s->v = NULL;
    s->n = 0;
}

/* ------------------------------------------------------------------ counts */

struct count {
    const struct lp_streams_query *q;
    struct lp_view *view;
    struct lp_codec *codec;
    bool *seen;
    struct lp_stream_counts *ret;
};

/* Are all rows of the part's block wanted? Then its footer row says everything. */
static bool
is_whole(const struct count *c, const struct lp_part *p)
{
    return p->seg != NULL && p->rows == p->seg->blocks[p->block].rows && p->min_ns >= c->q->from_ns &&
           p->max_ns < c->q->to_ns;
}

static lp_rc
count_rows(struct count *c, const struct lp_part *p, struct lp_err *err)
{
    struct lp_scan *s;
    struct lp_scan_row row;
    uint64_t entries = 0, bytes = 0;
    lp_rc rc = lp_scan_open(c->view, p, c->codec, c->q->from_ns, c->q->to_ns, false, &s, err);
    if (rc != LP_OK) {
        return rc;
    }
    rc = lp_scan_start(s, NULL, NULL, NULL, err);
    while (rc == LP_OK && lp_scan_next(s, &row)) {
        uint32_t n;
        if (++entries % CHECK_ROWS == 0) {
            rc = lp_exec_check(c->q->deadline_ns, c->q->cancel, err);
        }
        if (rc == LP_OK) {
            rc = lp_scan_line_bytes(s, &n, err);
        }
        if (rc == LP_OK) {
            bytes += n;
            c->seen[row.stream] = true;
        }
    }
    lp_scan_close(s);
    if (rc == LP_OK) {
        c->ret->entries += entries;
        c->ret->bytes += bytes;
        c->ret->chunks += entries > 0;
    }
    return rc;
}

static lp_rc
count_part(struct count *c, const struct lp_part *p, struct lp_err *err)
{
    if (is_whole(c, p)) {
        for (uint32_t i = 0; i < p->nruns; i++) {
            c->seen[p->runs[i].stream] = true;
        }
        c->ret->entries += p->rows;
        c->ret->bytes += p->seg->blocks[p->block].line_bytes;
        c->ret->chunks++;
        return LP_OK;
    }
    lp_rc rc = count_rows(c, p, err);
    if (lp_exec_is_damage(rc)) {
        c->ret->damaged++;
        return LP_OK;
    }
    return rc;
}

lp_rc
lp_streams_count(const struct lp_streams_query *q, struct lp_stream_counts *ret, struct lp_err *err)
{
    struct count c = {.q = q, .ret = ret};
    const struct lp_part *parts;
    const struct lp_vstream *streams;
    size_t nparts;
    memset(ret, 0, sizeof(*ret));
    lp_rc rc = open_parts(q, &c.view, &parts, &nparts, &ret->damaged, err);
    if (rc != LP_OK) {
        return rc;
    }
    c.seen = lp_calloc(lp_view_streams(c.view, &streams), sizeof(*c.seen));
    c.codec = lp_codec_new();
    for (size_t i = 0; i < nparts && rc == LP_OK; i++) {
        rc = lp_exec_check(q->deadline_ns, q->cancel, err);
        if (rc == LP_OK) {
            rc = count_part(&c, &parts[i], err);
        }
    }
    if (rc == LP_OK) {
        struct lp_label_sets sets = {NULL, 0, 0, {0}};
        lp_arena_init(&sets.ar, q->budget_bytes, 1 << 16);
        rc = collect_sets(c.view, c.seen, &sets, err);
        ret->streams = sets.n;
        lp_label_sets_clear(&sets);
    }
    lp_codec_free(c.codec);
    lp_free(c.seen);
    lp_view_free(c.view);
    return rc;
}
