/*
 * scan.c - the wanted rows of one part, run by run. One thread an object.
 *
 * A block: each run's range is found by halving in its times. Head batches: each batch is a run whose rows
 * are in arrival order, so every row's time is looked at.
 */
#include <string.h>

#include "base/bytes.h"
#include "base/find.h"
#include "store/bitmap.h"
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
    const struct lp_part_run *runs; /* the part's; or the block's own, once they were needed */
    struct lp_part_run *own_runs;
    uint32_t nruns;
    uint32_t run;     /* next run to begin */
    uint32_t at, end; /* rows left of the open run: [at, end) */
    bool narrowed;    /* since [at, end) was set */
    uint32_t row;     /* the row given last */
    uint32_t stream;
    bool matched; /* only rows of `match` are given */
    struct lp_match match;
    uint64_t passed_rows;
    uint64_t decoded_before; /* of a caller's block */
    /* head */
    const uint32_t *map;
    struct lp_batch *batch; /* open batch */
    size_t batch_index;     /* its number in the part */
    size_t batch_row;       /* next row */
    bool batch_open;
    const struct lp_row *head_row;
    const struct lp_needle *needle; /* every row that passes holds it; NULL: none is known */
    bool by_span;                   /* the open batch is searched span by span */
    size_t span;
    const char *span_at; /* where the search in the span goes on; NULL: at its begin */
    uint64_t passed_bytes;
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
                          .from_ns = part->own ? LP_MAX(from_ns, part->from_ns) : from_ns,
                          .to_ns = to_ns,
                          .backward = backward,
                          .block = block,
                          .borrowed = block != NULL,
                          .decoded_before = block != NULL ? lp_block_decoded(block) : 0};
    lp_rc rc = LP_OK;
    if (part->seg != NULL) {
        rc = block != NULL ? LP_OK : lp_seg_block(part->seg, part->block, &s->block, err);
        s->runs = part->runs;
        s->nruns = part->nruns;
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
        lp_match_clear(&s->match);
        lp_free(s->own_runs);
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

/* Times are decoded when a row is looked for: a block without any for the query costs none. */
static lp_rc
read_times(struct lp_scan *s, struct lp_err *err)
{
    return s->times != NULL ? LP_OK : lp_block_times(s->block, s->codec, &s->times, err);
}

/* Opens the next run that has rows in the range. */
static bool
next_run(struct lp_scan *s)
{
    while (s->backward ? s->run > 0 : s->run < s->nruns) {
        const struct lp_part_run *r = &s->runs[s->backward ? --s->run : s->run++];
        int64_t from_ns = LP_MAX(s->from_ns, r->from_ns);
        if (r->max_ns < from_ns || r->min_ns >= s->to_ns) {
            continue;
        }
        s->at = lower_bound(s->times, r->first, r->first + r->rows, from_ns);
        s->end = lower_bound(s->times, s->at, r->first + r->rows, s->to_ns);
        s->stream = r->stream;
        if (s->at < s->end) {
            return true;
        }
    }
    return false;
}

/* The runs of selected streams from the block itself, where the part has none, with their times. */
static lp_rc
read_runs(struct lp_scan *s, struct lp_err *err)
{
    const struct lp_idset *ids = &s->view->ids;
    const struct lp_block_run *runs;
    uint32_t n;
    if (!s->part->own || s->runs != NULL) {
        return LP_OK;
    }
    lp_rc rc = read_times(s, err); /* the runs' times come with them */
    rc = rc == LP_OK ? lp_seg_block_runs(s->part->seg, s->part->block, s->block, s->codec, &runs, &n, err)
                     : rc;
    if (rc != LP_OK) {
        return rc;
    }
    s->own_runs = lp_malloc(n * sizeof(*s->own_runs));
    for (uint32_t i = 0; i < n; i++) {
        const struct lp_block_run *r = &runs[i];
        if (lp_idset_has(ids, r->stream)) {
            s->own_runs[s->nruns++] = (struct lp_part_run){
                (uint32_t)lp_idset_rank(ids, r->stream), r->first,        r->rows, s->times[r->first],
                s->times[r->first + r->rows - 1],        s->part->from_ns};
        }
    }
    s->runs = s->own_runs;
    return LP_OK;
}

/* The rows of the part's runs that are in the time range, as ranges of the block. Runs that are wanted whole
 * need no times. */
static lp_rc
wanted_ranges(struct lp_scan *s, struct lp_row_range *ret, size_t *ret_n, uint64_t *ret_rows,
              struct lp_err *err)
{
    size_t n = 0;
    *ret_rows = 0;
    for (uint32_t i = 0; i < s->nruns; i++) {
        const struct lp_part_run *r = &s->runs[i];
        int64_t from_ns = LP_MAX(s->from_ns, r->from_ns);
        if (r->max_ns < from_ns || r->min_ns >= s->to_ns) {
            continue;
        }
        uint32_t at = r->first, end = r->first + r->rows;
        if (r->min_ns < from_ns || r->max_ns >= s->to_ns) {
            lp_rc rc = read_times(s, err);
            if (rc != LP_OK) {
                return rc;
            }
            at = lower_bound(s->times, at, end, from_ns);
            end = lower_bound(s->times, at, end, s->to_ns);
        }
        if (at < end) {
            ret[n++] = (struct lp_row_range){at, end};
            *ret_rows += end - at;
        }
    }
    *ret_n = n;
    return LP_OK;
}

static uint64_t
count_rows(const uint64_t *bits, uint32_t rows)
{
    uint64_t n = 0;
    for (uint32_t w = 0; bits != NULL && w * 64 < rows; w++) {
        n += (uint64_t)__builtin_popcountll(bits[w]);
    }
    return n;
}

static lp_rc
match_block(struct lp_scan *s, const struct lp_match_plan *plan, bool (*stop)(void *arg), void *arg,
            struct lp_err *err)
{
    uint64_t rows;
    size_t n;
    const struct lp_part *p = s->part;
    bool all = p->own && p->min_ns >= s->from_ns && p->max_ns < s->to_ns;
    lp_rc rc = all ? LP_OK : read_runs(s, err);
    if (rc != LP_OK) {
        return rc;
    }
    struct lp_row_range *ranges = lp_malloc((all ? 1 : s->nruns) * sizeof(*ranges));
    if (all) {
        rows = lp_block_head(s->block)->rows;
        ranges[0] = (struct lp_row_range){0, (uint32_t)rows};
        n = 1;
    } else {
        rc = wanted_ranges(s, ranges, &n, &rows, err);
    }
    if (rc == LP_OK) {
        rc = lp_block_match(s->block, s->codec, plan, s->part->seg_number, ranges, n, stop, arg, &s->match,
                            err);
    }
    lp_free(ranges);
    if (rc == LP_OK) {
        s->matched = true;
        s->passed_rows = rows - count_rows(s->match.rows, lp_block_head(s->block)->rows);
    }
    return rc;
}

lp_rc
lp_scan_start(struct lp_scan *s, const struct lp_match_plan *plan, bool (*stop)(void *arg), void *arg,
              struct lp_err *err)
{
    lp_rc rc = LP_OK;
    if (s->block == NULL) {
        s->needle = plan != NULL ? lp_match_plan_needle(plan) : NULL;
        return LP_OK;
    }
    if (plan != NULL) {
        rc = match_block(s, plan, stop, arg, err);
    }
    if (rc == LP_OK && s->matched && s->match.rows == NULL) {
        s->nruns = 0; /* nothing is left: no times either */
        return LP_OK;
    }
    rc = rc == LP_OK ? read_times(s, err) : rc;
    rc = rc == LP_OK ? read_runs(s, err) : rc;
    s->run = s->backward ? s->nruns : 0;
    return in_segment(s, rc, err);
}

void
lp_scan_stats(const struct lp_scan *s, uint64_t *ret_passed_rows, uint64_t *ret_bytes)
{
    *ret_passed_rows = s->passed_rows;
    *ret_bytes = s->block != NULL ? lp_block_decoded(s->block) - s->decoded_before : s->passed_bytes;
}

/* The first (backward: last) row of [at, end) that is left; UINT32_MAX when there is none. */
static uint32_t
next_left(const struct lp_scan *s)
{
    const uint64_t *bits = s->match.rows;
    if (bits == NULL) {
        return UINT32_MAX;
    }
    if (!s->backward) {
        for (uint32_t w = s->at / 64; w * 64 < s->end; w++) {
            uint64_t left = bits[w] & (w == s->at / 64 ? UINT64_MAX << (s->at % 64) : UINT64_MAX);
            if (left != 0) {
                uint32_t row = w * 64 + (uint32_t)__builtin_ctzll(left);
                return row < s->end ? row : UINT32_MAX;
            }
        }
        return UINT32_MAX;
    }
    for (uint32_t last = s->end - 1, w = last / 64;; w--) {
        uint64_t left = bits[w] & (w == last / 64 ? UINT64_MAX >> (63 - last % 64) : UINT64_MAX);
        if (left != 0) {
            uint32_t row = w * 64 + 63 - (uint32_t)__builtin_clzll(left);
            return row >= s->at ? row : UINT32_MAX;
        }
        if (w * 64 <= s->at) {
            return UINT32_MAX;
        }
    }
}

/* The next row of the runs that is left. */
static bool
next_row(struct lp_scan *s, uint32_t *ret)
{
    for (;;) {
        if (s->at >= s->end && !next_run(s)) {
            return false;
        }
        if (s->narrowed) {
            s->narrowed = false;
            s->at = lower_bound(s->times, s->at, s->end, s->from_ns);
            s->end = lower_bound(s->times, s->at, s->end, s->to_ns);
            continue;
        }
        uint32_t row = s->matched ? next_left(s) : s->backward ? s->end - 1 : s->at;
        if (row == UINT32_MAX) {
            s->at = s->end;
            continue;
        }
        *(s->backward ? &s->end : &s->at) = s->backward ? row : row + 1;
        *ret = row;
        return true;
    }
}

bool
lp_scan_next_span(struct lp_scan *s, struct lp_scan_span *ret)
{
    LP_ASSERT(s->block != NULL && !s->backward && !s->matched);
    if (s->at >= s->end && !next_run(s)) {
        return false;
    }
    *ret = (struct lp_scan_span){s->stream, s->end - s->at, s->times + s->at};
    s->at = s->end;
    return true;
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
        bool sure = s->match.sure != NULL && lp_bit_has(s->match.sure, row);
        *ret = (struct lp_scan_row){t, s->stream, s->part->generation, (uint64_t)s->part->block << 32 | row,
                                    sure};
        return true;
    }
    return false;
}

/* Begins a batch. It is searched as a whole where all rows of the selected streams are in the time range:
 * then those that are passed over are known by number. */
static void
begin_batch(struct lp_scan *s)
{
    const struct lp_batch *b = s->batch;
    uint64_t rows = 0;
    s->span = 0;
    s->span_at = NULL;
    s->by_span = s->needle != NULL && b->nspans > 0;
    for (size_t i = 0; i < b->nstreams && s->by_span; i++) {
        const struct lp_batch_stream *bs = &b->streams[i];
        if (bs->rows > 0 && s->map[b->gen_streams[i]] != UINT32_MAX) {
            rows += bs->rows;
            s->by_span = bs->min_ns >= s->from_ns && bs->max_ns < s->to_ns;
        }
    }
    if (s->by_span && !b->dropped) {
        s->passed_rows += rows;
        s->passed_bytes += b->line_bytes;
    }
}

/* The next row of the batch that holds the needle; UINT32_MAX at the end. */
static uint32_t
next_hit(struct lp_scan *s)
{
    const struct lp_batch *b = s->batch;
    while (s->span < b->nspans) {
        const struct lp_line_span *sp = &b->spans[s->span];
        const char *from = s->span_at != NULL ? s->span_at : sp->p;
        size_t hit = lp_find(lp_str_of(from, (size_t)(sp->p + sp->n - from)), s->needle->text);
        if (hit == SIZE_MAX) {
            s->span++;
            s->span_at = NULL;
            continue;
        }
        uint32_t row = lp_batch_row_at(b, sp, from + hit, s->needle->text.n);
        if (row != UINT32_MAX) {
            s->span_at = b->rows[row].line + b->rows[row].line_bytes;
            return row;
        }
        s->span_at = from + hit + 1; /* between lines, or over the end of one */
    }
    return UINT32_MAX;
}

/* The next row of the open batch to be looked at; UINT32_MAX at its end. */
static uint32_t
next_of_batch(struct lp_scan *s)
{
    const struct lp_batch *b = s->batch;
    if (b->dropped) {
        return UINT32_MAX;
    }
    if (s->by_span) {
        return next_hit(s);
    }
    return s->batch_row < b->nrows ? (uint32_t)s->batch_row++ : UINT32_MAX;
}

static bool
next_in_head(struct lp_scan *s, struct lp_scan_row *ret)
{
    while (s->batch_index < s->part->nbatches) {
        const struct lp_batch *b = s->batch;
        if (!s->batch_open) {
            s->batch_open = true;
            begin_batch(s);
        }
        for (uint32_t i; (i = next_of_batch(s)) != UINT32_MAX;) {
            const struct lp_row *r = &b->rows[i];
            uint32_t stream = s->map[b->gen_streams[r->stream]];
            if (stream == UINT32_MAX || r->time_ns < s->from_ns || r->time_ns >= s->to_ns) {
                continue;
            }
            s->passed_rows -= s->by_span;
            s->passed_bytes -= s->by_span ? r->line_bytes : 0;
            s->head_row = r;
            *ret = (struct lp_scan_row){r->time_ns, stream, s->part->generation,
                                        (uint64_t)(s->part->first_batch + s->batch_index) << 32 | i, false};
            return true;
        }
        s->batch_row = 0;
        s->batch_open = false;
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
lp_scan_table(struct lp_scan *s, const struct lp_table **ret, struct lp_err *err)
{
    *ret = NULL;
    return s->block != NULL ? in_segment(s, lp_block_table(s->block, s->codec, s->row, ret, err), err)
                            : LP_OK;
}

lp_rc
lp_scan_excerpt(struct lp_scan *s, const struct lp_piece *pieces, char *out, size_t *ret_bytes,
                struct lp_err *err)
{
    return in_segment(s, lp_block_excerpt(s->block, s->codec, s->row, pieces, out, ret_bytes, err), err);
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
lp_scan_ticket(struct lp_scan *s, uint32_t *ret, struct lp_err *err)
{
    const uint32_t *tickets;
    LP_ASSERT(s->block != NULL);
    lp_rc rc = lp_block_source(s->block, s->codec, &tickets, err);
    *ret = rc == LP_OK && tickets != NULL ? tickets[s->row] : UINT32_MAX;
    return in_segment(s, rc, err);
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
