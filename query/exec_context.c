/*
 * exec_context.c - the rows around those that were found: of the same stream, before and after, inside the
 * range of the search.
 *
 * Two passes over the parts, one in each direction. A pass gives every hit the rows that follow it, up to the
 * next hit of its stream: each row belongs to one hit, however dense they are, and a part is passed over
 * where no hit can have use of it. Only times are read. A row that both passes found is taken once.
 *
 * Pages fit together without anybody keeping account. Behind the last hit of a stream the rows end before the
 * next one that matches: that is a hit of the next page, and brings what is around it. Before the first hit
 * of a stream, on a page that begins behind a place, those are left out that lie behind a match of an earlier
 * page, and were shown with it. Whether such rows match, their lines tell.
 *
 * One thread.
 */
#include <stdlib.h>
#include <string.h>

#include "query/exec_int.h"

#define CHECK_ROWS 1024

/* The hits of a stream: from `first` on, in the direction of the pass. */
struct group {
    size_t first, n;
};

struct of_stream {
    uint32_t vstream, group;
};

struct context {
    struct lp_exec *x;
    struct lp_codec *codec;
    struct lp_hit *hits; /* by groups */
    size_t n;
    struct group *groups;
    size_t ngroups;
    struct of_stream *streams; /* by vstream */
    size_t nstreams;
    unsigned steps;

    /* the pass */
    bool backward;
    struct lp_best *near; /* of each hit: the rows that follow it */

    /* what was found */
    struct row {
        struct lp_hit hit;
        enum lp_context mark;
    } * rows;
    size_t nrows, cap;
    size_t bytes; /* memory for rows, of the pass and found */
};

/* ------------------------------------------------------------------ hits by streams */

struct keyed {
    struct lp_hash128 stream;
    size_t at;
};

static int
by_stream(const void *va, const void *vb)
{
    const struct keyed *a = va, *b = vb;
    int order = lp_hash128_cmp(a->stream, b->stream);
    return order != 0 ? order : (a->at > b->at) - (a->at < b->at);
}

static int
by_vstream(const void *va, const void *vb)
{
    const struct of_stream *a = va, *b = vb;
    return (a->vstream > b->vstream) - (a->vstream < b->vstream);
}

/* The stream's rows are in segments and in the head, which have indexes of their own. */
static lp_rc
add_group(struct context *c, const struct keyed *k, size_t n, size_t first, struct lp_err *err)
{
    uint32_t indexes[2];
    lp_rc rc = lp_view_find(c->x->view, k->stream, indexes, err);
    for (size_t i = 0; i < 2 && rc == LP_OK; i++) {
        if (indexes[i] != LP_NO_STREAM) {
            c->streams[c->nstreams++] = (struct of_stream){indexes[i], (uint32_t)c->ngroups};
        }
    }
    c->groups[c->ngroups++] = (struct group){first, n};
    return rc;
}

static lp_rc
group_hits(struct context *c, const struct lp_hit *hits, size_t n, struct lp_err *err)
{
    struct keyed *keyed = lp_malloc(n * sizeof(*keyed));
    lp_rc rc = LP_OK;
    for (size_t i = 0; i < n && rc == LP_OK; i++) {
        const struct lp_vstream *s;
        rc = lp_view_stream(c->x->view, hits[i].vstream, &s, err);
        keyed[i] = (struct keyed){rc == LP_OK ? s->hash : (struct lp_hash128){0, 0}, i};
    }
    if (rc == LP_OK) {
        qsort(keyed, n, sizeof(*keyed), by_stream);
    }
    for (size_t i = 0, k; i < n && rc == LP_OK; i = k) {
        for (k = i; k < n && lp_hash128_eq(keyed[k].stream, keyed[i].stream); k++) {
            c->hits[k] = hits[keyed[k].at];
        }
        rc = add_group(c, &keyed[i], k - i, i, err);
    }
    if (rc == LP_OK) {
        qsort(c->streams, c->nstreams, sizeof(*c->streams), by_vstream);
    }
    lp_free(keyed);
    return rc;
}

static const struct group *
group_of(const struct context *c, uint32_t vstream)
{
    const struct of_stream key = {.vstream = vstream};
    const struct of_stream *s = bsearch(&key, c->streams, c->nstreams, sizeof(*c->streams), by_vstream);
    return s != NULL ? &c->groups[s->group] : NULL;
}

/* ------------------------------------------------------------------ a pass */

/* Does time a come before time b, in the direction of the pass? */
static bool
is_sooner(const struct context *c, int64_t a, int64_t b)
{
    return c->backward ? a > b : a < b;
}

/* Can rows with these times be among those that follow a hit of the group? */
static bool
has_use(const struct context *c, const struct group *g, int64_t min_ns, int64_t max_ns)
{
    int64_t near = c->backward ? max_ns : min_ns, far = c->backward ? min_ns : max_ns;
    const struct lp_hit *h = &c->hits[g->first];
    size_t lo = 0, hi = g->n; /* the first hit that is later than `near` */
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (is_sooner(c, near, h[mid].time_ns)) {
            hi = mid;
        } else {
            lo = mid + 1;
        }
    }
    size_t i = lo > 0 ? lo - 1 : 0; /* the one before it: what follows earlier hits ends there */
    for (; i < g->n && !is_sooner(c, far, h[i].time_ns); i++) {
        const struct lp_best *b = &c->near[g->first + i];
        int64_t end = i + 1 < g->n ? h[i + 1].time_ns : far;
        if (b->full && is_sooner(c, b->worst.time_ns, end)) {
            end = b->worst.time_ns;
        }
        if (!is_sooner(c, end, near)) {
            return true;
        }
    }
    return false;
}

static bool
part_has_use(const struct context *c, const struct lp_part *p)
{
    if (p->seg != NULL && !p->own) {
        for (uint32_t i = 0; i < p->nruns; i++) {
            const struct group *g = group_of(c, p->runs[i].stream);
            if (g != NULL && has_use(c, g, p->runs[i].min_ns, p->runs[i].max_ns)) {
                return true;
            }
        }
        return false;
    }
    for (size_t i = 0; i < c->ngroups; i++) {
        if (has_use(c, &c->groups[i], p->min_ns, p->max_ns)) {
            return true;
        }
    }
    return false;
}

/* Gives the row to the hit that it follows. */
static void
add_row(struct context *c, const struct group *g, const struct lp_hit *row)
{
    const struct lp_hit *h = &c->hits[g->first];
    size_t lo = 0, hi = g->n; /* the first hit behind the row */
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        int order = lp_hit_cmp(c->x, &h[mid], row);
        if (order == 0) {
            return;
        }
        if (c->backward ? order < 0 : order > 0) {
            hi = mid;
        } else {
            lo = mid + 1;
        }
    }
    if (lo > 0) {
        struct lp_best *b = &c->near[g->first + lo - 1];
        size_t before = b->cap;
        lp_best_add(b, row, 1);
        c->bytes += (b->cap - before) * sizeof(*b->v);
    }
}

static lp_rc
over_budget(const struct context *c, struct lp_err *err)
{
    return c->bytes <= c->x->q->budget_bytes
               ? LP_OK
               : lp_err_set(err, LP_ERR_LIMIT,
                            "the lines around those found need more than the %zu MiB of memory that a query "
                            "may have; ask for fewer (limit, context)",
                            c->x->q->budget_bytes >> 20);
}

static lp_rc
scan_rows(struct context *c, uint32_t part, struct lp_scan *s, struct lp_err *err)
{
    const struct lp_search *q = c->x->q;
    const struct group *g = NULL;
    uint32_t stream = LP_NO_STREAM;
    struct lp_scan_row row;
    lp_rc rc = lp_scan_start(s, NULL, NULL, NULL, err);
    while (rc == LP_OK && lp_scan_next(s, &row)) {
        if (row.stream != stream) {
            stream = row.stream;
            g = group_of(c, stream);
        }
        if (g != NULL) {
            const struct lp_hit h = {row.time_ns, row.generation, row.arrival, part, row.stream};
            add_row(c, g, &h);
        }
        if (++c->steps % CHECK_ROWS == 0) {
            rc = lp_exec_check(q->deadline_ns, q->cancel, err);
            rc = rc == LP_OK ? over_budget(c, err) : rc;
        }
    }
    return rc;
}

static lp_rc
scan_part(struct context *c, uint32_t part, struct lp_err *err)
{
    struct lp_exec *x = c->x;
    const struct lp_search *q = x->q;
    const struct lp_part *p = &x->parts[part];
    struct lp_scan *s;
    struct lp_block *block;
    lp_rc rc = lp_exec_check(q->deadline_ns, q->cancel, err);
    rc = rc == LP_OK ? lp_exec_open(x, p, c->codec, q->from_ns, q->to_ns, false, &s, &block, err) : rc;
    if (rc == LP_OK) {
        uint64_t passed, decoded;
        rc = scan_rows(c, part, s, err);
        lp_scan_stats(s, &passed, &decoded);
        x->stats.stored_bytes += p->seg != NULL ? decoded : 0;
        lp_exec_close(x, p, s, block);
    }
    if (lp_exec_is_damage(rc)) {
        lp_exec_note_damage(x, err);
        rc = LP_OK;
    }
    return rc == LP_OK ? lp_exec_over_scan(x, x->stats.stored_bytes + x->stats.head_bytes, err) : rc;
}

/* The n rows that follow each hit, and behind the last one of each stream n_last of them; all in order. */
static lp_rc
follow(struct context *c, size_t n, size_t n_last, struct lp_err *err)
{
    struct lp_exec *x = c->x;
    uint32_t *order = lp_malloc(x->nparts * sizeof(*order));
    lp_rc rc = LP_OK;
    for (size_t i = 0; i < c->ngroups; i++) {
        const struct group *g = &c->groups[i];
        for (size_t k = 0; k < g->n; k++) {
            lp_best_init(&c->near[g->first + k], x, k + 1 < g->n ? n : n_last, c->backward);
        }
    }
    lp_exec_order_parts(x, c->backward, order);
    for (size_t i = 0; i < x->nparts && rc == LP_OK; i++) {
        if (part_has_use(c, &x->parts[order[i]])) {
            rc = scan_part(c, order[i], err);
        }
    }
    for (size_t i = 0; i < c->n; i++) {
        lp_best_finish(&c->near[i]);
    }
    lp_free(order);
    rc = rc == LP_OK ? over_budget(c, err) : rc;
    return rc == LP_OK ? lp_exec_order_failed(x, err) : rc;
}

static void
end_pass(struct context *c)
{
    for (size_t i = 0; i < c->n; i++) {
        c->bytes -= c->near[i].cap * sizeof(struct lp_hit);
        lp_best_clear(&c->near[i]);
    }
}

/* Takes what the pass found, and ends it. */
static lp_rc
take_rows(struct context *c, enum lp_context mark, struct lp_err *err)
{
    size_t n = 0;
    for (size_t i = 0; i < c->n; i++) {
        n += c->near[i].n;
    }
    c->bytes += n * sizeof(*c->rows);
    lp_rc rc = over_budget(c, err);
    if (rc == LP_OK) {
        c->rows = lp_realloc(c->rows, (c->nrows + n + 1) * sizeof(*c->rows));
        for (size_t i = 0; i < c->n; i++) {
            for (size_t k = 0; k < c->near[i].n; k++) {
                c->rows[c->nrows++] = (struct row){c->near[i].v[k], mark};
            }
        }
    }
    end_pass(c);
    return rc;
}

/* ------------------------------------------------------------------ rows that match, beyond the hits */

struct probe {
    struct lp_hit hit;
    bool *match;
};

static int
by_part(const void *va, const void *vb)
{
    const struct probe *a = va, *b = vb;
    if (a->hit.part != b->hit.part) {
        return a->hit.part < b->hit.part ? -1 : 1;
    }
    return (a->hit.arrival > b->hit.arrival) - (a->hit.arrival < b->hit.arrival);
}

static lp_rc
probe_row(struct context *c, struct lp_row_pipe *pipe, struct lp_scan *s, const struct probe *p,
          struct lp_err *err)
{
    struct lp_exec *x = c->x;
    struct lp_str line;
    lp_rc rc = ++c->steps % CHECK_ROWS == 0 ? lp_exec_check(x->q->deadline_ns, x->q->cancel, err) : LP_OK;
    lp_scan_seek(s, p->hit.arrival);
    rc = rc == LP_OK ? lp_scan_line(s, &line, err) : rc;
    if (rc != LP_OK) {
        return rc;
    }
    *p->match = x->unfiltered || lp_linefilter_match(x->filter, line);
    if (*p->match && x->pass != NULL) {
        struct lp_pipe_out out;
        rc = lp_row_pipe_run(x, pipe, s, p->hit.time_ns, p->hit.vstream, line, NULL, &out, err);
        *p->match = rc == LP_OK && out.passed;
    }
    return rc;
}

/* All of one part. What cannot be read does not match: no search will find it. */
static lp_rc
probe_part(struct context *c, struct lp_row_pipe *pipe, const struct probe *v, size_t n, struct lp_err *err)
{
    struct lp_exec *x = c->x;
    const struct lp_part *p = &x->parts[v[0].hit.part];
    struct lp_scan *s;
    struct lp_block *block;
    lp_row_pipe_part(pipe);
    lp_rc rc = lp_exec_open(x, p, c->codec, LP_TIME_MIN, LP_TIME_MAX, false, &s, &block, err);
    if (rc == LP_OK) {
        for (size_t i = 0; i < n && rc == LP_OK; i++) {
            rc = probe_row(c, pipe, s, &v[i], err);
        }
        lp_exec_close(x, p, s, block);
    }
    if (lp_exec_is_damage(rc)) {
        lp_exec_note_damage(x, err);
        rc = LP_OK;
    }
    return rc;
}

static size_t
last_of(const struct group *g)
{
    return g->first + g->n - 1;
}

/* Which of the rows behind the last hits match; in the order of groups, and of their rows. */
static lp_rc
probe_last(struct context *c, bool **ret, struct lp_err *err)
{
    struct lp_row_pipe pipe;
    size_t n = 0, k = 0;
    lp_rc rc = LP_OK;
    for (size_t i = 0; i < c->ngroups; i++) {
        n += c->near[last_of(&c->groups[i])].n;
    }
    struct probe *v = lp_malloc(n * sizeof(*v));
    *ret = lp_calloc(n, sizeof(**ret));
    for (size_t i = 0; i < c->ngroups; i++) {
        const struct lp_best *b = &c->near[last_of(&c->groups[i])];
        for (size_t r = 0; r < b->n; r++, k++) {
            v[k] = (struct probe){b->v[r], &(*ret)[k]};
        }
    }
    if (n > 1) {
        qsort(v, n, sizeof(*v), by_part);
    }
    lp_row_pipe_begin(&pipe, c->x->pass);
    for (size_t i = 0; i < n && rc == LP_OK; i = k) {
        for (k = i + 1; k < n && v[k].hit.part == v[i].hit.part; k++) {
        }
        rc = probe_part(c, &pipe, &v[i], k - i, err);
    }
    lp_row_pipe_end(&pipe);
    lp_free(v);
    return rc;
}

/* Cuts the rows behind the last hit of each stream: before the next match; or, with `shown` rows behind that
 * match shown before, to those that were not, and at most `most`. */
static lp_rc
cut_last(struct context *c, size_t shown, size_t most, struct lp_err *err)
{
    bool *match;
    size_t at = 0;
    lp_rc rc = probe_last(c, &match, err);
    for (size_t i = 0; i < c->ngroups && rc == LP_OK; i++) {
        struct lp_best *b = &c->near[last_of(&c->groups[i])];
        size_t next = 0, n = b->n;
        while (next < n && !match[at + next]) {
            next++;
        }
        size_t kept = next == n ? n : next > shown ? next - shown : 0;
        b->n = LP_MIN(kept, most);
        at += n;
    }
    lp_free(match);
    return rc;
}

/* ------------------------------------------------------------------ the whole */

static void
turn_hits(struct context *c)
{
    for (size_t i = 0; i < c->ngroups; i++) {
        struct lp_hit *v = &c->hits[c->groups[i].first];
        for (size_t lo = 0, hi = c->groups[i].n; lo + 1 < hi; lo++) {
            struct lp_hit t = v[lo];
            v[lo] = v[--hi];
            v[hi] = t;
        }
    }
}

/* In time: whatever the direction of the search. */
static enum lp_context
mark_of_pass(const struct context *c)
{
    return c->backward ? LP_CONTEXT_BEFORE : LP_CONTEXT_AFTER;
}

static lp_rc
both_passes(struct context *c, bool more, struct lp_err *err)
{
    const struct lp_search *q = c->x->q;
    size_t behind = q->backward ? q->context_before : q->context_after;
    size_t ahead = q->backward ? q->context_after : q->context_before;
    lp_rc rc = LP_OK;
    c->backward = q->backward;
    if (behind > 0) {
        rc = follow(c, behind, behind, err);
        rc = rc == LP_OK && more ? cut_last(c, 0, behind, err) : rc;
        rc = rc == LP_OK ? take_rows(c, mark_of_pass(c), err) : rc;
    }
    turn_hits(c);
    c->backward = !q->backward;
    if (ahead > 0 && rc == LP_OK) {
        rc = follow(c, ahead, q->after != NULL ? ahead + behind : ahead, err);
        rc = rc == LP_OK && q->after != NULL ? cut_last(c, behind, ahead, err) : rc;
        rc = rc == LP_OK ? take_rows(c, mark_of_pass(c), err) : rc;
    }
    return rc;
}

/* In the direction of the search; of a row that came twice, the one behind a hit in time first. */
static int
by_place(const void *va, const void *vb, void *arg)
{
    const struct row *a = va, *b = vb;
    struct lp_exec *x = arg;
    int order = x->q->backward ? lp_hit_cmp(x, &b->hit, &a->hit) : lp_hit_cmp(x, &a->hit, &b->hit);
    return order != 0 ? order : (a->mark < b->mark) - (a->mark > b->mark);
}

/* Hits and rows together, each row once. */
static lp_rc
merge(struct context *c, const struct lp_hit *hits, size_t n, struct lp_around *ret, struct lp_err *err)
{
    struct lp_exec *x = c->x;
    if (c->nrows > 1) {
        qsort_r(c->rows, c->nrows, sizeof(*c->rows), by_place, x);
    }
    ret->v = lp_malloc((n + c->nrows) * sizeof(*ret->v));
    ret->marks = lp_calloc(n + c->nrows, sizeof(*ret->marks));
    for (size_t i = 0, k = 0; i < n || k < c->nrows;) {
        if (k > 0 && k < c->nrows && lp_hit_cmp(x, &c->rows[k - 1].hit, &c->rows[k].hit) == 0) {
            k++;
            continue;
        }
        int order = i == n ? 1 : k == c->nrows ? -1 : lp_hit_cmp(x, &hits[i], &c->rows[k].hit);
        bool hit = i < n && (k == c->nrows || (x->q->backward ? order > 0 : order < 0));
        ret->marks[ret->n] = hit ? LP_CONTEXT_NONE : c->rows[k].mark;
        ret->v[ret->n++] = hit ? hits[i++] : c->rows[k++].hit;
    }
    return lp_exec_order_failed(x, err);
}

lp_rc
lp_exec_context(struct lp_exec *x, const struct lp_hit *hits, size_t n, bool more, struct lp_around *ret,
                struct lp_err *err)
{
    struct context c = {.x = x, .n = n};
    *ret = (struct lp_around){.n = 0};
    if (n == 0) {
        return LP_OK;
    }
    c.codec = lp_codec_new();
    c.hits = lp_malloc(n * sizeof(*c.hits));
    c.groups = lp_malloc(n * sizeof(*c.groups));
    c.streams = lp_malloc(2 * n * sizeof(*c.streams));
    c.near = lp_calloc(n, sizeof(*c.near));
    lp_rc rc = group_hits(&c, hits, n, err);
    rc = rc == LP_OK ? both_passes(&c, more, err) : rc;
    rc = rc == LP_OK ? merge(&c, hits, n, ret, err) : rc;
    end_pass(&c);
    lp_free(c.hits);
    lp_free(c.groups);
    lp_free(c.streams);
    lp_free(c.near);
    lp_free(c.rows);
    lp_codec_free(c.codec);
    return rc;
}

void
lp_around_clear(struct lp_around *a)
{
    lp_free(a->v);
    lp_free(a->marks);
    *a = (struct lp_around){.n = 0};
}
