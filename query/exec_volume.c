/*
 * exec_volume.c - bytes of lines by labels and time: the labels that count make sets, each with a counter for
 * each bucket.
 *
 * A stream belongs to one set, which is found when the first of its rows is. Names alone (by_names) are sets
 * of names first, and are taken apart at the end, so that a row is added once.
 */
#include "query/volume.h"

#include <stdlib.h>
#include <string.h>

#include "query/exec_int.h"

#define CHECK_ROWS 4096
/* Of a block: so many are looked at for metadata, and some of the others, for which they stand. */
#define META_ROWS 256

struct volumes {
    const struct lp_volume_query *q;
    struct lp_volumes *ret;
    struct lp_view *view;
    struct lp_codec *codec;
    struct lp_log_query selector; /* the query's, and the targets that it does not name */
    int64_t base_ns;              /* where the first bucket would begin */
    struct lp_label_index sets;
    uint32_t *set_of; /* stream -> set; LP_LABELS_NONE: not known yet */
    uint64_t **bytes; /* by set, then bucket */
    size_t bytes_cap;
};

static lp_rc
over_budget(struct lp_err *err)
{
    return lp_err_set(
        err, LP_ERR_LIMIT,
        "the volumes need more memory than a query may have; add label matchers, or ask for a larger step");
}

/* ------------------------------------------------------------------ buckets */

static lp_rc
make_buckets(struct volumes *v, struct lp_err *err)
{
    const struct lp_streams_query *s = &v->q->streams;
    int64_t step = v->q->step_ns, *ends;
    uint64_t range = (uint64_t)s->to_ns - (uint64_t)s->from_ns, past = 0;
    size_t n = 1;
    if (step > 0) {
        int64_t rest = s->from_ns % step;
        past = (uint64_t)(rest < 0 ? rest + step : rest);
        uint64_t tail = range % (uint64_t)step + past;
        uint64_t many = range / (uint64_t)step + tail / (uint64_t)step + (tail % (uint64_t)step != 0);
        if (many > LP_VOLUME_BUCKETS_MAX) {
            return lp_err_set(err, LP_ERR_LIMIT, "more than %d steps", LP_VOLUME_BUCKETS_MAX);
        }
        n = LP_MAX((size_t)many, (size_t)1);
    }
    v->base_ns = (int64_t)((uint64_t)s->from_ns - past);
    v->ret->ends = ends = lp_arena_array(&v->ret->ar, n, sizeof(*ends));
    if (ends == NULL) {
        return over_budget(err);
    }
    for (size_t i = 0; i + 1 < n; i++) {
        ends[i] = (int64_t)((uint64_t)v->base_ns + (i + 1) * (uint64_t)step) - LP_NS_PER_MS;
    }
    ends[n - 1] = s->to_ns;
    v->ret->buckets = n;
    return LP_OK;
}

/* The bucket of a time of the range. */
static size_t
bucket_of(const struct volumes *v, int64_t ns)
{
    return v->q->step_ns > 0 ? (size_t)(((uint64_t)ns - (uint64_t)v->base_ns) / (uint64_t)v->q->step_ns) : 0;
}

/* ------------------------------------------------------------------ labels that count */

static bool
names(const struct lp_log_query *log, struct lp_str name)
{
    for (size_t i = 0; i < log->nmatchers; i++) {
        if (lp_str_eq(log->matchers[i].name, name)) {
            return true;
        }
    }
    return false;
}

/* The selector, and name=~".+" for each target that it does not name. */
static lp_rc
make_selector(struct volumes *v, struct lp_err *err)
{
    const struct lp_volume_query *q = v->q;
    const struct lp_log_query *given = q->streams.selectors[0];
    struct lp_label_match *m = lp_arena_array(&v->ret->ar, given->nmatchers + q->ntargets, sizeof(*m));
    if (m == NULL) {
        return over_budget(err);
    }
    v->selector = (struct lp_log_query){.matchers = m, .nmatchers = given->nmatchers};
    if (given->nmatchers > 0) {
        memcpy(m, given->matchers, given->nmatchers * sizeof(*m));
    }
    for (size_t i = 0; i < q->ntargets; i++) {
        if (!names(&v->selector, q->targets[i])) {
            m[v->selector.nmatchers++] =
                (struct lp_label_match){.op = LP_MATCH_RE, .name = q->targets[i], .value = LP_STR(".+")};
        }
    }
    return LP_OK;
}

static bool
counts(const struct volumes *v, struct lp_str name)
{
    const struct lp_volume_query *q = v->q;
    if (q->ntargets == 0) {
        return q->by_names || v->selector.nmatchers == 0 || names(&v->selector, name);
    }
    for (size_t i = 0; i < q->ntargets; i++) {
        if (lp_str_eq(q->targets[i], name)) {
            return true;
        }
    }
    return false;
}

static lp_rc
add_set(struct volumes *v, const struct lp_pair *labels, size_t n, uint32_t *ret, struct lp_err *err)
{
    struct lp_arena *ar = &v->ret->ar;
    size_t known = v->sets.n;
    *ret = lp_label_index_add(&v->sets, labels, n);
    if (*ret == LP_LABELS_NONE) {
        return over_budget(err);
    }
    if (v->sets.n == known) {
        return LP_OK;
    }
    uint64_t **grown = lp_arena_grow(ar, v->bytes, &v->bytes_cap, v->sets.n, sizeof(*grown));
    uint64_t *zeros = lp_arena_zalloc(ar, v->ret->buckets * sizeof(*zeros));
    if (grown == NULL || zeros == NULL) {
        return over_budget(err);
    }
    v->bytes = grown;
    v->bytes[*ret] = zeros;
    return LP_OK;
}

/* The set of a stream. */
static lp_rc
set_of(struct volumes *v, uint32_t stream, uint32_t *ret, struct lp_err *err)
{
    struct lp_pair labels[LP_STREAM_LABELS_MAX];
    const struct lp_vstream *s;
    *ret = v->set_of[stream];
    if (*ret != LP_LABELS_NONE) {
        return LP_OK;
    }
    lp_rc rc = lp_view_stream(v->view, stream, &s, err);
    if (rc != LP_OK) {
        return rc;
    }
    size_t n = lp_stream_labels(s->key.labels, s->key.nlabels, labels), kept = 0;
    for (size_t i = 0; i < n; i++) {
        if (counts(v, labels[i].name)) {
            labels[kept].name = labels[i].name;
            labels[kept++].value = v->q->by_names ? LP_STR_NULL : labels[i].value;
        }
    }
    rc = add_set(v, labels, kept, &v->set_of[stream], err);
    *ret = v->set_of[stream];
    return rc;
}

/* ------------------------------------------------------------------ counting */

/* Do all rows of a block count for one set and bucket? Then its footer says how much it is. */
static lp_rc
is_one(struct volumes *v, const struct lp_part *p, bool *ret, uint32_t *ret_set, struct lp_err *err)
{
    const struct lp_streams_query *s = &v->q->streams;
    lp_rc rc = LP_OK;
    *ret_set = LP_LABELS_NONE;
    *ret = p->seg != NULL && !p->cut && p->rows == p->seg->blocks[p->block].rows && p->min_ns >= s->from_ns &&
           p->max_ns < s->to_ns && bucket_of(v, p->min_ns) == bucket_of(v, p->max_ns);
    for (uint32_t i = 0; i < p->nruns && *ret && rc == LP_OK; i++) {
        uint32_t set;
        rc = set_of(v, p->runs[i].stream, &set, err);
        *ret = *ret_set == LP_LABELS_NONE || *ret_set == set;
        *ret_set = set;
    }
    return rc;
}

static uint64_t
bytes_of(const struct lp_pair *meta, size_t n)
{
    uint64_t bytes = 0;
    for (size_t i = 0; i < n; i++) {
        bytes += meta[i].name.n + meta[i].value.n;
    }
    return bytes;
}

/* Of so many rows one is looked at: an odd number, as what varies often alternates. */
static uint64_t
one_of(uint64_t rows)
{
    return rows / META_ROWS | 1;
}

/* Bytes of metadata of a whole block. */
static lp_rc
block_meta(struct volumes *v, const struct lp_part *p, uint64_t *ret, struct lp_err *err)
{
    uint32_t rows = (uint32_t)p->rows, looked = 0;
    bool any = false;
    uint64_t bytes = 0;
    struct lp_block *b;
    lp_rc rc = lp_seg_block(p->seg, p->block, &b, err);
    if (rc != LP_OK) {
        return rc;
    }
    rc = lp_block_has_meta(b, v->codec, &any, err);
    for (uint32_t row = 0; row < rows && any && rc == LP_OK; row += (uint32_t)one_of(rows)) {
        const struct lp_pair *meta;
        size_t n = 0;
        rc = lp_block_meta(b, v->codec, row, &meta, &n, err);
        bytes += rc == LP_OK ? bytes_of(meta, n) : 0;
        looked++;
    }
    lp_block_free(b);
    *ret = looked > 0 ? bytes * rows / looked : 0;
    return rc;
}

static lp_rc
add_block(struct volumes *v, const struct lp_part *p, uint32_t set, struct lp_err *err)
{
    uint64_t meta;
    lp_rc rc = block_meta(v, p, &meta, err);
    if (rc == LP_OK) {
        v->bytes[set][bucket_of(v, p->min_ns)] += p->seg->blocks[p->block].line_bytes + meta;
    }
    return rc;
}

/* One row, and the metadata of so many. */
static lp_rc
add_row(struct volumes *v, struct lp_scan *s, const struct lp_scan_row *row, uint64_t metas,
        struct lp_err *err)
{
    const struct lp_pair *meta;
    size_t n = 0;
    uint32_t bytes, set;
    lp_rc rc = lp_scan_line_bytes(s, &bytes, err);
    rc = rc == LP_OK ? set_of(v, row->stream, &set, err) : rc;
    rc = rc == LP_OK && metas > 0 ? lp_scan_meta(s, &meta, &n, err) : rc;
    if (rc == LP_OK) {
        v->bytes[set][bucket_of(v, row->time_ns)] += bytes + metas * bytes_of(meta, n);
    }
    return rc;
}

static lp_rc
add_rows(struct volumes *v, const struct lp_part *p, struct lp_err *err)
{
    const struct lp_streams_query *q = &v->q->streams;
    struct lp_scan *s;
    struct lp_scan_row row;
    uint64_t n = 0;
    lp_rc rc = lp_scan_open(v->view, p, v->codec, q->from_ns, q->to_ns, false, &s, err);
    if (rc != LP_OK) {
        return rc;
    }
    rc = lp_scan_start(s, NULL, NULL, NULL, err);
    while (rc == LP_OK && lp_scan_next(s, &row)) {
        if (++n % CHECK_ROWS == 0) {
            rc = lp_exec_check(q->deadline_ns, q->cancel, err);
        }
        uint64_t every = p->seg != NULL ? one_of(n) : 1; /* in the head nothing has to be decoded */
        rc = rc == LP_OK ? add_row(v, s, &row, n % every == 0 ? every : 0, err) : rc;
    }
    lp_scan_close(s);
    return rc;
}

static void
note_damage(struct volumes *v, size_t n, const struct lp_err *err)
{
    if (v->ret->damaged == 0 && n > 0) {
        memcpy(v->ret->damage, err->text, sizeof(v->ret->damage));
    }
    v->ret->damaged += n;
}

static lp_rc
add_part(struct volumes *v, const struct lp_part *p, struct lp_err *err)
{
    bool one;
    uint32_t set;
    lp_rc rc = is_one(v, p, &one, &set, err);
    if (rc == LP_OK) {
        rc = one && set != LP_LABELS_NONE ? add_block(v, p, set, err) : add_rows(v, p, err);
    }
    if (lp_exec_is_damage(rc)) {
        note_damage(v, 1, err);
        return LP_OK;
    }
    return rc;
}

static lp_rc
count_all(struct volumes *v, struct lp_err *err)
{
    const struct lp_streams_query *q = &v->q->streams;
    const struct lp_part *parts;
    size_t nparts = 0, damaged = 0;
    lp_rc rc = lp_view_parts(v->view, q->from_ns, q->to_ns, true, &parts, &nparts, &damaged, err);
    note_damage(v, damaged, err);
    v->set_of = lp_malloc(lp_view_nstreams(v->view) * sizeof(*v->set_of));
    memset(v->set_of, 0xff, lp_view_nstreams(v->view) * sizeof(*v->set_of));
    v->codec = lp_codec_new();
    for (size_t i = 0; rc == LP_OK && i < nparts; i++) {
        rc = lp_exec_check(q->deadline_ns, q->cancel, err);
        rc = rc == LP_OK ? add_part(v, &parts[i], err) : rc;
    }
    lp_codec_free(v->codec);
    lp_free(v->set_of);
    return rc;
}

/* ------------------------------------------------------------------ the answer */

/* The sets of names as one set for each name, with the bytes of all that hold it. */
static lp_rc
take_apart(struct volumes *v, struct lp_err *err)
{
    size_t n = v->sets.n;
    lp_rc rc = LP_OK;
    for (size_t i = 0; i < n && rc == LP_OK; i++) {
        for (size_t k = 0; k < v->sets.v[i].n && rc == LP_OK; k++) {
            uint32_t set;
            rc = v->sets.v[i].n > 1 ? add_set(v, &v->sets.v[i].v[k], 1, &set, err) : LP_OK;
            for (size_t b = 0; b < v->ret->buckets && rc == LP_OK && v->sets.v[i].n > 1; b++) {
                v->bytes[set][b] += v->bytes[i][b];
            }
        }
    }
    for (size_t i = 0; i < n; i++) {
        if (v->sets.v[i].n != 1) {
            memset(v->bytes[i], 0, v->ret->buckets * sizeof(**v->bytes));
        }
    }
    return rc;
}

struct order {
    const struct volumes *v;
    size_t bucket;
};

static int
by_bytes(const void *a, const void *b, void *arg)
{
    const struct order *o = arg;
    uint32_t i = *(const uint32_t *)a, k = *(const uint32_t *)b;
    uint64_t x = o->v->bytes[i][o->bucket], y = o->v->bytes[k][o->bucket];
    return x != y ? (x < y) - (x > y) : lp_str_cmp(o->v->sets.v[i].text, o->v->sets.v[k].text);
}

/* Leaves the largest of each bucket. */
static lp_rc
keep_largest(struct volumes *v, uint32_t *sets, size_t n, struct lp_err *err)
{
    const struct lp_streams_query *q = &v->q->streams;
    lp_rc rc = LP_OK;
    for (size_t b = 0; b < v->ret->buckets && n > v->q->limit && rc == LP_OK; b++) {
        struct order o = {v, b};
        qsort_r(sets, n, sizeof(*sets), by_bytes, &o);
        for (size_t i = v->q->limit; i < n; i++) {
            v->bytes[sets[i]][b] = 0;
        }
        rc = lp_exec_check(q->deadline_ns, q->cancel, err);
    }
    return rc;
}

struct ranked {
    struct lp_volume v;
    uint64_t first; /* bytes of the first bucket that it has */
};

static int
by_first(const void *a, const void *b)
{
    const struct ranked *x = a, *y = b;
    return x->first != y->first ? (x->first < y->first) - (x->first > y->first)
                                : lp_str_cmp(x->v.text, y->v.text);
}

static uint64_t
first_bytes(const struct volumes *v, const uint64_t *bytes)
{
    size_t b = 0;
    while (b + 1 < v->ret->buckets && bytes[b] == 0) {
        b++;
    }
    return bytes[b];
}

static lp_rc
write_volumes(struct volumes *v, struct lp_err *err)
{
    struct lp_volumes *ret = v->ret;
    size_t n = v->sets.n, kept = 0;
    uint32_t *sets = lp_arena_array(&ret->ar, n, sizeof(*sets));
    struct ranked *ranked = lp_arena_array(&ret->ar, n, sizeof(*ranked));
    ret->v = lp_arena_array(&ret->ar, n, sizeof(*ret->v));
    if (sets == NULL || ranked == NULL || ret->v == NULL) {
        return over_budget(err);
    }
    for (size_t i = 0; i < n; i++) {
        sets[i] = (uint32_t)i;
    }
    lp_rc rc = keep_largest(v, sets, n, err);
    for (size_t i = 0; i < n && rc == LP_OK; i++) {
        const struct lp_labels *set = &v->sets.v[i];
        ranked[kept] = (struct ranked){{set->v, set->n, set->text, v->bytes[i]}, first_bytes(v, v->bytes[i])};
        kept += ranked[kept].first > 0;
    }
    if (kept > 1) {
        qsort(ranked, kept, sizeof(*ranked), by_first);
    }
    for (; ret->n < kept; ret->n++) {
        ret->v[ret->n] = ranked[ret->n].v;
    }
    return rc;
}

lp_rc
lp_streams_volume(const struct lp_volume_query *q, struct lp_volumes *ret, struct lp_err *err)
{
    LP_ASSERT(q->streams.nselectors == 1 && q->limit > 0);
    struct volumes v = {.q = q, .ret = ret};
    const struct lp_streams_query *s = &q->streams;
    const struct lp_log_query *selector = &v.selector;
    struct lp_err local; /* what is damaged is told in the result, also where nobody wants errors */
    lp_err_clear(&local);
    err = err != NULL ? err : &local;
    memset(ret, 0, sizeof(*ret));
    lp_arena_init(&ret->ar, s->budget_bytes, 1 << 14);
    lp_arena_join(&ret->ar, s->share);
    lp_label_index_init(&v.sets, &ret->ar);
    lp_rc rc = make_buckets(&v, err);
    rc = rc == LP_OK ? make_selector(&v, err) : rc;
    rc = rc == LP_OK ? lp_exec_check(s->deadline_ns, s->cancel, err) : rc;
    rc = rc == LP_OK ? lp_exec_view(s->store, s->tenant, &selector, 1, NULL, s->budget_bytes, &v.view, err) : rc;
    rc = rc == LP_OK ? count_all(&v, err) : rc;
    lp_view_free(v.view);
    rc = rc == LP_OK && q->by_names ? take_apart(&v, err) : rc;
    rc = rc == LP_OK ? write_volumes(&v, err) : rc;
    lp_label_index_clear(&v.sets);
    if (rc != LP_OK) {
        lp_volumes_clear(ret);
    }
    return rc;
}

void
lp_volumes_clear(struct lp_volumes *v)
{
    lp_arena_clear(&v->ar);
    v->v = NULL;
    v->n = 0;
}
