/*
 * merge_rows.c - rows of several blocks of one group, in the order of (stream, time, block), without those
 * that have expired.
 *
 * A block is a row of runs by rising stream, the rows of a run by rising time; so the blocks are merged as
 * lists are. While the rows of one block come before the next of all others, nothing is compared. Columns
 * that lie behind are given back, so that of each block some chunks are in memory.
 */
#include "store/merge_int.h"

#define DAY_BLOCK_ROWS 4096u /* rows read from a block between two trims */

/* --- which times --- */

static bool
among(const int64_t *days, size_t n, int64_t day)
{
    size_t lo = 0, hi = n;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (days[mid] < day) {
            lo = mid + 1;
        } else {
            hi = mid;
        }
    }
    return lo < n && days[lo] == day;
}

static bool
holds(const struct lp_merge_span *s, int64_t t)
{
    return t >= s->from_ns && (t < s->to_ns || s->to_ns == LP_TIME_MAX) &&
           (s->not_days == NULL || !among(s->not_days, s->nnot_days, lp_day_of(t)));
}

enum lp_span_part
lp_merge_span_of(const struct lp_merge_span *s, int64_t min_ns, int64_t max_ns)
{
    if (s->not_days != NULL) {
        if (lp_day_of(min_ns) != lp_day_of(max_ns)) {
            return LP_SPAN_SOME;
        }
        return holds(s, min_ns) ? LP_SPAN_ALL : LP_SPAN_NONE;
    }
    bool open = s->to_ns == LP_TIME_MAX;
    if (max_ns < s->from_ns || (!open && min_ns >= s->to_ns)) {
        return LP_SPAN_NONE;
    }
    return min_ns >= s->from_ns && (open || max_ns < s->to_ns) ? LP_SPAN_ALL : LP_SPAN_SOME;
}

/* --- one block being read --- */

struct cursor {
    struct lp_seg *seg;
    uint32_t block;
    struct lp_block *b;
    const struct lp_block_run *runs;
    uint32_t nruns, run;
    const int64_t *times;
    uint32_t at, end; /* wanted rows of the open run that are left */
    uint64_t stream;
    uint32_t since_trim;
    bool meta; /* the block has metadata */
    struct lp_cutoff_range cut;
    int64_t cut_ns; /* of the open run's stream: rows before it have expired */
};

static uint32_t
run_end(const struct cursor *c)
{
    return c->runs[c->run].first + c->runs[c->run].rows;
}

/* Opens the next run: its stream, and what has expired of it. A stream that nobody names keeps all. */
static void
begin_run(const struct lp_merge_out *o, struct cursor *c)
{
    struct lp_str key;
    struct lp_arena ar;
    struct lp_stream_key k;
    c->stream = c->runs[c->run].stream;
    c->cut_ns = c->cut.lo_ns;
    if (c->cut.lo_ns < c->cut.hi_ns && c->times[c->runs[c->run].first] < c->cut.hi_ns) {
        lp_arena_init(&ar, 1 << 20, 4096);
        if (lp_merge_stream_key(o->names, c->stream, &key, NULL) == LP_OK &&
            lp_stream_key_parse(key, &ar, &k, NULL) == LP_OK) {
            c->cut_ns = lp_cutoffs_stream(o->cutoffs, &k);
        }
        lp_arena_clear(&ar);
    }
}

/* From row `from` on, the next rows of the open run that the span holds. False: there are none. */
static bool
next_rows(struct cursor *c, const struct lp_merge_span *span, uint32_t from)
{
    uint32_t end = run_end(c);
    while (from < end && (c->times[from] < c->cut_ns || !holds(span, c->times[from]))) {
        from++;
    }
    c->at = c->end = from;
    while (c->end < end && holds(span, c->times[c->end])) {
        c->end++;
    }
    return c->at < c->end;
}

/* Goes on to the next wanted rows of the block. False at its end. */
static bool
advance(const struct lp_merge_out *o, struct cursor *c, const struct lp_merge_span *span)
{
    if (c->run < c->nruns && next_rows(c, span, c->end)) {
        return true;
    }
    while (++c->run < c->nruns) {
        begin_run(o, c);
        if (next_rows(c, span, c->runs[c->run].first)) {
            return true;
        }
    }
    return false;
}

static lp_rc
open_cursor(struct lp_merge_out *o, const struct lp_merge_block *mb, struct cursor *c, struct lp_err *err)
{
    *c = (struct cursor){.seg = mb->seg, .block = mb->block, .cut = mb->cut};
    lp_rc rc = lp_seg_block(mb->seg, mb->block, &c->b, err);
    if (rc == LP_OK) {
        rc = lp_seg_block_runs(mb->seg, mb->block, c->b, o->codec, &c->runs, &c->nruns, err);
    }
    if (rc == LP_OK) {
        rc = lp_block_times(c->b, o->codec, &c->times, err);
    }
    if (rc == LP_OK) {
        rc = lp_block_has_meta(c->b, o->codec, &c->meta, err);
    }
    return rc;
}

static lp_rc
give_row(struct lp_merge_out *o, struct cursor *c, struct lp_err *err)
{
    struct lp_str line;
    const struct lp_pair *meta = NULL;
    size_t nmeta = 0;
    lp_rc rc = lp_block_line(c->b, o->codec, c->at, &line, err);
    if (rc == LP_OK && c->meta) {
        rc = lp_block_meta(c->b, o->codec, c->at, &meta, &nmeta, err);
    }
    if (rc == LP_OK) {
        rc = lp_merge_out_row(o, c->stream, c->times[c->at], line, meta, nmeta, err);
    }
    if (rc != LP_OK) {
        return rc;
    }
    c->at++;
    if (++c->since_trim == DAY_BLOCK_ROWS) {
        c->since_trim = 0;
        lp_block_trim_unused(c->b);
    }
    return LP_OK;
}

/* --- many of them --- */

struct merge {
    struct lp_merge_out *o;
    const struct lp_merge_span *span;
    struct cursor *v; /* in the order of their blocks */
    size_t n;
    struct cursor **live; /* those that are not at their end, in the same order */
    size_t nlive;
};

static uint64_t
lowest_stream(const struct merge *m)
{
    uint64_t id = UINT64_MAX;
    for (size_t i = 0; i < m->nlive; i++) {
        id = LP_MIN(id, m->live[i]->stream);
    }
    return id;
}

/* The cursor with the stream's next row, and until when its rows come before those of all others: its rows
 * with time < *ret_before, or also those at that time where it stands before the cursor they are of. */
static struct cursor *
first_of(const struct merge *m, uint64_t stream, int64_t *ret_last_ns)
{
    struct cursor *best = NULL;
    int64_t last = LP_TIME_MAX;
    for (size_t i = 0; i < m->nlive; i++) {
        struct cursor *c = m->live[i];
        if (c->stream != stream) {
            continue;
        }
        int64_t t = c->times[c->at];
        if (best == NULL) {
            best = c;
        } else if (t < best->times[best->at]) { /* the earlier one wins equal times */
            last =
                LP_MIN(last, best->times[best->at] == LP_TIME_MIN ? LP_TIME_MIN : best->times[best->at] - 1);
            best = c;
        } else {
            last = LP_MIN(last, t);
        }
    }
    *ret_last_ns = last;
    return best;
}

static void
drop_ended(struct merge *m, const struct cursor *c)
{
    size_t kept = 0;
    for (size_t i = 0; i < m->nlive; i++) {
        if (m->live[i] != c) {
            m->live[kept++] = m->live[i];
        }
    }
    m->nlive = kept;
}

/* All rows of the lowest stream. */
static lp_rc
merge_stream(struct merge *m, struct lp_err *err)
{
    uint64_t stream = lowest_stream(m);
    int64_t last_ns;
    struct cursor *c;
    while ((c = first_of(m, stream, &last_ns)) != NULL) {
        do {
            lp_rc rc = give_row(m->o, c, err);
            if (rc != LP_OK) {
                return rc;
            }
        } while (c->at < c->end && c->times[c->at] <= last_ns);
        if (c->at == c->end && !advance(m->o, c, m->span)) {
            drop_ended(m, c);
            lp_block_free(c->b);
            c->b = NULL;
        }
    }
    return LP_OK;
}

lp_rc
lp_merge_rows(struct lp_merge_out *o, const struct lp_merge_block *blocks, size_t n,
              const struct lp_merge_span *span, struct lp_err *err)
{
    struct merge m = {.o = o, .span = span, .n = n};
    lp_rc rc = LP_OK;
    m.v = lp_calloc(n, sizeof(*m.v));
    m.live = lp_calloc(n, sizeof(struct cursor *));
    for (size_t i = 0; i < n && rc == LP_OK; i++) {
        struct cursor *c = &m.v[i];
        rc = open_cursor(o, &blocks[i], c, err);
        if (rc != LP_OK) {
            break;
        }
        begin_run(o, c);
        if (next_rows(c, span, 0) || advance(o, c, span)) {
            m.live[m.nlive++] = c;
        }
    }
    while (rc == LP_OK && m.nlive > 0) {
        rc = merge_stream(&m, err);
    }
    if (rc == LP_OK) {
        rc = lp_merge_out_flush(o, err);
    }
    for (size_t i = 0; i < n; i++) {
        lp_block_free(m.v[i].b);
    }
    lp_free(m.v);
    lp_free(m.live);
    return rc;
}
