/*
 * exec_streams.c - what streams there are in a range, and how much is in them: labels, series, index/stats.
 *
 * Label sets, names and values come from the catalog and from stream tables (lp_view_seen and its sisters):
 * the sets' cost goes by the streams with rows, that of names and values by how many there are. Counts are
 * exact: a block whose rows are all wanted is counted from the footer; of others the times and lengths are
 * decoded, never a line.
 */
#include <stdlib.h>
#include <string.h>

#include "query/exec_int.h"

#define TEXT_BYTES (1u << 20) /* of one label set as text: 64 labels of 3 KiB, quoted */
#define CHECK_ROWS 4096

static lp_rc
open_view(const struct lp_streams_query *q, struct lp_view **ret, struct lp_err *err)
{
    lp_rc rc = lp_exec_check(q->deadline_ns, q->cancel, err);
    return rc == LP_OK
               ? lp_exec_view(q->store, q->tenant, q->selectors, q->nselectors, NULL, q->budget_bytes, ret, err)
               : rc;
}

/* ------------------------------------------------------------------ label sets */

struct named_set {
    struct lp_str text;
    const struct lp_stream_key *key;
};

/* The sets of the streams that were seen, by the way. */
struct gather {
    const struct lp_streams_query *q;
    struct lp_view *view;
    struct lp_arena texts;
    struct lp_buf text;
    struct named_set *v;
    size_t n, cap;
    lp_rc rc;
    struct lp_err *err;
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

static lp_rc
name_set(struct gather *g, uint32_t stream)
{
    struct lp_pair labels[LP_STREAM_LABELS_MAX];
    const struct lp_vstream *s;
    if (g->n % CHECK_ROWS == CHECK_ROWS - 1) {
        lp_rc rc = lp_exec_check(g->q->deadline_ns, g->q->cancel, g->err);
        if (rc != LP_OK) {
            return rc;
        }
    }
    lp_rc rc = lp_view_stream(g->view, stream, &s, g->err);
    if (rc != LP_OK) {
        return rc;
    }
    if (g->n == g->cap) {
        g->cap = g->cap ? g->cap * 2 : 256;
        g->v = lp_realloc(g->v, g->cap * sizeof(*g->v));
    }
    struct named_set *set = &g->v[g->n++];
    set->key = &s->key;
    lp_buf_reset(&g->text);
    lp_labels_text(labels, lp_stream_labels(s->key.labels, s->key.nlabels, labels), &g->text);
    return !g->text.failed && lp_arena_str(&g->texts, lp_buf_view(&g->text), &set->text)
               ? LP_OK
               : over_budget(g->err);
}

static bool
gather_stream(void *arg, uint32_t stream)
{
    struct gather *g = arg;
    g->rc = name_set(g, stream);
    return g->rc == LP_OK;
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

static void
gather_init(struct gather *g, const struct lp_streams_query *q, struct lp_view *v, struct lp_err *err)
{
    *g = (struct gather){.q = q, .view = v, .err = err};
    lp_arena_init(&g->texts, q->budget_bytes, 1 << 16);
    lp_arena_join(&g->texts, q->share);
    lp_buf_init(&g->text, TEXT_BYTES);
}

static void
gather_clear(struct gather *g)
{
    lp_buf_clear(&g->text);
    lp_arena_clear(&g->texts);
    lp_free(g->v);
}

/* Sorts what was gathered, and leaves each set once. */
static void
merge_sets(struct gather *g)
{
    size_t kept = 0;
    if (g->n > 1) {
        qsort(g->v, g->n, sizeof(*g->v), by_text);
    }
    for (size_t i = 0; i < g->n; i++) {
        if (kept == 0 || !lp_str_eq(g->v[i].text, g->v[kept - 1].text)) {
            g->v[kept++] = g->v[i];
        }
    }
    g->n = kept;
}

static lp_rc
copy_sets(const struct gather *g, struct lp_label_sets *ret, struct lp_err *err)
{
    ret->v = lp_arena_array(&ret->ar, g->n, sizeof(*ret->v));
    lp_rc rc = ret->v != NULL ? LP_OK : over_budget(err);
    for (; ret->n < g->n && rc == LP_OK; ret->n++) {
        rc = copy_labels(&ret->ar, g->v[ret->n].key, &ret->v[ret->n]) ? LP_OK : over_budget(err);
    }
    return rc;
}

lp_rc
lp_streams_find(const struct lp_streams_query *q, struct lp_label_sets *ret, struct lp_err *err)
{
    struct lp_view *v;
    struct gather g;
    size_t damaged = 0;
    memset(ret, 0, sizeof(*ret));
    lp_arena_init(&ret->ar, q->budget_bytes, 1 << 16);
    lp_arena_join(&ret->ar, q->share);
    lp_rc rc = open_view(q, &v, err);
    if (rc != LP_OK) {
        return rc;
    }
    gather_init(&g, q, v, err);
    rc = lp_view_seen(v, q->from_ns, q->to_ns, gather_stream, &g, &damaged, err);
    rc = rc == LP_OK ? g.rc : rc;
    if (rc == LP_OK) {
        merge_sets(&g);
        rc = copy_sets(&g, ret, err);
    }
    ret->damaged = damaged;
    gather_clear(&g);
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

/* ------------------------------------------------------------------ names and values */

struct texts {
    const struct lp_streams_query *q;
    struct lp_names *out;
    size_t cap, asked;
    lp_rc rc;
    struct lp_err *err;
};

/* As lp_exec_check, which may wait for its turn: not while the view holds a transaction. */
static bool
has_ended(const struct lp_streams_query *q)
{
    return lp_mono_ns() >= q->deadline_ns ||
           (q->cancel != NULL && atomic_load_explicit(q->cancel, memory_order_relaxed));
}

static int
by_bytes(const void *a, const void *b)
{
    return lp_str_cmp(*(const struct lp_str *)a, *(const struct lp_str *)b);
}

static bool
keep_text(void *arg, struct lp_str text)
{
    struct texts *t = arg;
    struct lp_names *out = t->out;
    if (out->n > 0 && lp_str_eq(out->v[out->n - 1], text)) {
        return true; /* the head's streams are many and alike */
    }
    if (++t->asked % CHECK_ROWS == 0 && has_ended(t->q)) {
        t->rc = lp_exec_check(t->q->deadline_ns, t->q->cancel, t->err);
    }
    struct lp_str *grown = lp_arena_grow(&out->ar, out->v, &t->cap, out->n + 1, sizeof(*out->v));
    if (t->rc == LP_OK && (grown == NULL || !lp_arena_str(&out->ar, text, &grown[out->n]))) {
        t->rc = over_budget(t->err);
    }
    if (t->rc == LP_OK) {
        out->v = grown;
        out->n++;
    }
    return t->rc == LP_OK;
}

static void
sort_names(struct lp_names *names)
{
    size_t kept = 0;
    if (names->n > 1) {
        qsort(names->v, names->n, sizeof(*names->v), by_bytes);
    }
    for (size_t i = 0; i < names->n; i++) {
        if (kept == 0 || !lp_str_eq(names->v[i], names->v[kept - 1])) {
            names->v[kept++] = names->v[i];
        }
    }
    names->n = kept;
}

lp_rc
lp_streams_names(const struct lp_streams_query *q, const struct lp_str *name, struct lp_names *ret,
                 struct lp_err *err)
{
    struct lp_view *v;
    struct texts t = {.q = q, .out = ret, .rc = LP_OK, .err = err};
    size_t damaged = 0;
    memset(ret, 0, sizeof(*ret));
    lp_arena_init(&ret->ar, q->budget_bytes, 1 << 14);
    lp_arena_join(&ret->ar, q->share);
    lp_rc rc = open_view(q, &v, err);
    if (rc != LP_OK) {
        return rc;
    }
    rc = name == NULL ? lp_view_names(v, q->from_ns, q->to_ns, keep_text, &t, &damaged, err)
                      : lp_view_values(v, *name, q->from_ns, q->to_ns, keep_text, &t, &damaged, err);
    rc = rc == LP_OK ? t.rc : rc;
    ret->damaged = damaged;
    lp_view_free(v);
    if (rc != LP_OK) {
        lp_names_clear(ret);
        return rc;
    }
    sort_names(ret);
    return LP_OK;
}

void
lp_names_clear(struct lp_names *n)
{
    lp_arena_clear(&n->ar);
    n->v = NULL;
    n->n = 0;
}

/* ------------------------------------------------------------------ counts */

struct count {
    const struct lp_streams_query *q;
    struct lp_view *view;
    struct lp_codec *codec;
    bool *seen; /* by stream */
    struct lp_stream_counts *ret;
};

/* Are all rows of the part's block wanted? Then its footer row says everything. */
static bool
is_whole(const struct count *c, const struct lp_part *p)
{
    return p->seg != NULL && !p->cut && p->rows == p->seg->blocks[p->block].rows &&
           p->min_ns >= c->q->from_ns && p->max_ns < c->q->to_ns;
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

/* How many sets of labels the streams have that were seen. */
static lp_rc
count_sets(struct count *c, struct lp_err *err)
{
    struct gather g;
    gather_init(&g, c->q, c->view, err);
    for (uint32_t i = 0; i < lp_view_nstreams(c->view) && g.rc == LP_OK; i++) {
        if (c->seen[i]) {
            g.rc = name_set(&g, i);
        }
    }
    merge_sets(&g);
    c->ret->streams = g.n;
    gather_clear(&g);
    return g.rc;
}

lp_rc
lp_streams_count(const struct lp_streams_query *q, struct lp_stream_counts *ret, struct lp_err *err)
{
    struct count c = {.q = q, .ret = ret};
    const struct lp_part *parts;
    size_t nparts, damaged = 0;
    memset(ret, 0, sizeof(*ret));
    lp_rc rc = open_view(q, &c.view, err);
    if (rc != LP_OK) {
        return rc;
    }
    rc = lp_view_parts(c.view, q->from_ns, q->to_ns, true, &parts, &nparts, &damaged, err);
    ret->damaged = damaged;
    c.seen = lp_calloc(lp_view_nstreams(c.view), sizeof(*c.seen));
    c.codec = lp_codec_new();
    for (size_t i = 0; rc == LP_OK && i < nparts; i++) {
        rc = lp_exec_check(q->deadline_ns, q->cancel, err);
        if (rc == LP_OK) {
            rc = count_part(&c, &parts[i], err);
        }
    }
    rc = rc == LP_OK ? count_sets(&c, err) : rc;
    lp_codec_free(c.codec);
    lp_free(c.seen);
    lp_view_free(c.view);
    return rc;
}
