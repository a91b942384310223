/*
 * scan.c - the wanted rows of one part, run by run. One thread an object.
 *
 * A block: each run's range is found by halving in its times. Head batches: each batch is a run whose rows
 * are in arrival order, so every row's time is looked at.
 */
#include <string.h>

#include "base/bytes.h"
#include "store/view_int.h"

struct lp_scan {
    const struct lp_view *view;
    const struct lp_part *part;
    struct lp_codec *codec;
    int64_t from_ns, to_ns;
    bool backward;
    /* block */
    struct lp_block *block;
    bool borrowed; /* the block is the caller's */
    const int64_t *times;
    uint32_t run;     /* next run to begin */
    uint32_t at, end; /* rows left of the open run: [at, end) */
    bool narrowed;    /* since [at, end) was set */
    uint32_t row;     /* the row given last */
    uint32_t stream;
    struct lp_str literal; /* required; empty: none */
    uint32_t *found;       /* rows that may hold it, rising; room for all rows of the block */
    uint32_t nfound;       /* not given yet: found[first_found, nfound) */
    uint32_t first_found;
    uint64_t passed_rows, passed_bytes;
    /* head */
    const uint32_t *map;
    struct lp_batch *batch; /* open batch */
    size_t batch_index;     /* its number in the part */
    size_t batch_row;       /* next row */
    const struct lp_row *head_row;
    struct lp_pair *meta;
    size_t meta_cap;
};

/* Errors of blocks say which segment they are of. */
static lp_rc
in_segment(const struct lp_scan *s, lp_rc rc, struct lp_err *err)
{
    return rc == LP_OK ? rc : lp_err_prefix(err, rc, "segment %016llx", (unsigned long long)s->part->seg->id);
}

static lp_rc
open_scan(const struct lp_view *v, const struct lp_part *part, struct lp_block *block, struct lp_codec *codec,
          int64_t from_ns, int64_t to_ns, bool backward, struct lp_scan **ret, struct lp_err *err)
{
    struct lp_scan *s = lp_calloc(1, sizeof(*s));
    *s = (struct lp_scan){.view = v,
                          .part = part,
                          .codec = codec,
                          .from_ns = from_ns,
                          .to_ns = to_ns,
                          .backward = backward,
                          .block = block,
                          .borrowed = block != NULL};
    lp_rc rc = LP_OK;
    if (part->seg != NULL) {
        rc = block != NULL ? LP_OK : lp_seg_block(part->seg, part->block, &s->block, err);
        if (rc == LP_OK) {
            rc = in_segment(s, lp_block_times(s->block, codec, &s->times, err), err);
        }
        s->run = backward ? part->nruns : 0;
    } else {
        s->map = v->gen_map[part->gen - v->head.gens];
        s->batch = part->batch;
    }
    if (rc != LP_OK) {
        lp_scan_close(s);
        return rc;
    }
    *ret = s;
    return LP_OK;
}

lp_rc
lp_scan_open(const struct lp_view *v, const struct lp_part *part, struct lp_codec *codec, int64_t from_ns,
             int64_t to_ns, bool backward, struct lp_scan **ret, struct lp_err *err)
{
    return open_scan(v, part, NULL, codec, from_ns, to_ns, backward, ret, err);
}

lp_rc
lp_scan_open_on(const struct lp_view *v, const struct lp_part *part, struct lp_block *block,
                struct lp_codec *codec, int64_t from_ns, int64_t to_ns, bool backward, struct lp_scan **ret,
                struct lp_err *err)
{
    LP_ASSERT(part->seg != NULL && block != NULL);
    return open_scan(v, part, block, codec, from_ns, to_ns, backward, ret, err);
}

void
lp_scan_close(struct lp_scan *s)
{
    if (s != NULL) {
        if (!s->borrowed) {
            lp_block_free(s->block);
        }
        lp_free(s->found);
        lp_free(s->meta);
        lp_free(s);
    }
}

void
lp_scan_seek(struct lp_scan *s, uint64_t arrival)
{
    s->row = (uint32_t)arrival;
    if (s->block != NULL) {
        LP_ASSERT(arrival >> 32 == s->part->block && s->row < lp_block_head(s->block)->rows);
        return;
    }
    size_t index = (size_t)(arrival >> 32) - s->part->first_batch;
    LP_ASSERT(index < s->part->nbatches);
    struct lp_batch *b = s->batch_index <= index ? s->batch : s->part->batch;
    for (size_t i = s->batch_index <= index ? s->batch_index : 0; i < index; i++) {
        b = b->next;
    }
    LP_ASSERT(s->row < b->nrows);
    s->batch = b;
    s->batch_index = index;
    s->batch_row = s->row + 1;
    s->head_row = &b->rows[s->row];
}

void
lp_scan_narrow(struct lp_scan *s, int64_t from_ns, int64_t to_ns)
{
    s->narrowed = s->narrowed || from_ns > s->from_ns || to_ns < s->to_ns;
    s->from_ns = LP_MAX(s->from_ns, from_ns);
    s->to_ns = LP_MIN(s->to_ns, to_ns);
}

/* First row in [lo, hi) whose time is >= t. */
static uint32_t
lower_bound(const int64_t *times, uint32_t lo, uint32_t hi, int64_t t)
{
    while (lo < hi) {
        uint32_t mid = lo + (hi - lo) / 2;
        if (times[mid] < t) {
            lo = mid + 1;
        } else {
            hi = mid;
        }
    }
    return lo;
}

/* Opens the next run that has rows in the range. */
static bool
next_run(struct lp_scan *s)
{
    while (s->backward ? s->run > 0 : s->run < s->part->nruns) {
        const struct lp_part_run *r = &s->part->runs[s->backward ? --s->run : s->run++];
        if (r->max_ns < s->from_ns || r->min_ns >= s->to_ns) {
            continue;
        }
        s->at = lower_bound(s->times, r->first, r->first + r->rows, s->from_ns);
        s->end = lower_bound(s->times, s->at, r->first + r->rows, s->to_ns);
        s->stream = r->stream;
        if (s->at < s->end) {
            return true;
        }
    }
    return false;
}

void
lp_scan_require(struct lp_scan *s, struct lp_str literal)
{
    if (s->block != NULL && literal.n > 0) {
        s->literal = literal;
        s->found = lp_realloc(s->found, lp_block_head(s->block)->rows * sizeof(*s->found));
    }
}

void
lp_scan_passed(const struct lp_scan *s, uint64_t *ret_rows, uint64_t *ret_bytes)
{
    *ret_rows = s->passed_rows;
    *ret_bytes = s->passed_bytes;
}

/* The next row of the runs that may hold the literal, if one is required. */
static bool
next_row(struct lp_scan *s, uint32_t *ret)
{
    for (;;) {
        if (s->first_found < s->nfound) {
            *ret = s->found[s->backward ? --s->nfound : s->first_found++];
            return true;
        }
        if (s->at >= s->end && !next_run(s)) {
            return false;
        }
        if (s->narrowed) {
            s->narrowed = false;
            s->at = lower_bound(s->times, s->at, s->end, s->from_ns);
            s->end = lower_bound(s->times, s->at, s->end, s->to_ns);
            continue;
        }
        *ret = s->backward ? --s->end : s->at++;
        return true;
    }
}

static bool
next_in_block(struct lp_scan *s, struct lp_scan_row *ret)
{
    uint32_t row;
    while (next_row(s, &row)) {
        int64_t t = s->times[row];
        if (t < s->from_ns || t >= s->to_ns) { /* narrowed since it was found */
            continue;
        }
        s->row = row;
        *ret = (struct lp_scan_row){t, s->stream, s->part->generation, (uint64_t)s->part->block << 32 | row};
        return true;
    }
    return false;
}

static bool
next_in_head(struct lp_scan *s, struct lp_scan_row *ret)
{
    while (s->batch_index < s->part->nbatches) {
        const struct lp_batch *b = s->batch;
        while (s->batch_row < b->nrows && !b->dropped) {
            const struct lp_row *r = &b->rows[s->batch_row++];
            uint32_t stream = s->map[b->gen_streams[r->stream]];
            if (stream == UINT32_MAX || r->time_ns < s->from_ns || r->time_ns >= s->to_ns) {
                continue;
            }
            s->head_row = r;
            *ret = (struct lp_scan_row){r->time_ns, stream, s->part->generation,
                                        (uint64_t)(s->part->first_batch + s->batch_index) << 32 |
                                            (s->batch_row - 1)};
            return true;
        }
        s->batch_row = 0;
        if (++s->batch_index < s->part->nbatches) {
            s->batch = s->batch->next;
        }
    }
    return false;
}

bool
lp_scan_next(struct lp_scan *s, struct lp_scan_row *ret)
{
    return s->block != NULL ? next_in_block(s, ret) : next_in_head(s, ret);
}

lp_rc
lp_scan_line(struct lp_scan *s, struct lp_str *ret, struct lp_err *err)
{
    if (s->block != NULL) {
        return in_segment(s, lp_block_line(s->block, s->codec, s->row, ret, err), err);
    }
    *ret = lp_str_of(s->head_row->line, s->head_row->line_bytes);
    return LP_OK;
}

lp_rc
lp_scan_line_bytes(struct lp_scan *s, uint32_t *ret, struct lp_err *err)
{
    if (s->block != NULL) {
        return in_segment(s, lp_block_line_bytes(s->block, s->codec, s->row, ret, err), err);
    }
    *ret = s->head_row->line_bytes;
    return LP_OK;
}

lp_rc
lp_scan_meta(struct lp_scan *s, const struct lp_pair **ret, size_t *ret_n, struct lp_err *err)
{
    if (s->block != NULL) {
        return in_segment(s, lp_block_meta(s->block, s->codec, s->row, ret, ret_n, err), err);
    }
    struct lp_meta_iter it = lp_meta_begin(s->head_row->meta);
    struct lp_pair p;
    size_t n = 0;
    while (lp_meta_next(&it, &p)) {
        if (n == s->meta_cap) {
            s->meta_cap = s->meta_cap ? s->meta_cap * 2 : 16;
            s->meta = lp_realloc(s->meta, s->meta_cap * sizeof(*s->meta));
        }
        s->meta[n++] = p;
    }
    *ret = s->meta;
    *ret_n = n;
    return LP_OK;
}
