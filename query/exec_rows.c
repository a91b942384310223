/*
 * exec_rows.c - the rows of a part that pass the filter, as arrays of times: for who counts rows instead of
 * finding them.
 *
 * A chunk ends where the stream changes, where times fall, where metadata that is wanted differs, or where
 * the arrays are full. The row behind it is held until the next call.
 */
#include <string.h>

#include "query/metric_int.h"

#define CHUNK_ROWS 2048
#define CHECK_ROWS 1024 /* rows between looks at deadline and cancel flag */

struct lp_rows {
    struct lp_worker *w;
    struct lp_rows_want want;
    struct lp_scan *scan;
    struct lp_block *block;
    unsigned steps;
    bool stored, held;
    bool spans;             /* rows are taken as the block has them, many at once */
    struct lp_scan_row row; /* held: begins the next chunk */
    uint32_t row_bytes;
    const struct lp_pair *row_meta; /* the scan's */
    size_t row_nmeta;
    struct lp_arena meta; /* of the chunk */
    int64_t times[CHUNK_ROWS];
    uint32_t line_bytes[CHUNK_ROWS];
};

/* Does nothing but the times of a part's rows matter? */
static lp_rc
takes_spans(const struct lp_exec *x, const struct lp_part *p, const struct lp_rows_want *want, bool *ret,
            struct lp_err *err)
{
    bool meta = false;
    lp_rc rc = LP_OK;
    *ret = p->seg != NULL && !p->own && x->unfiltered && !want->line_bytes;
    for (uint32_t i = 0; i < p->nruns && *ret && rc == LP_OK; i++) {
        rc = want->meta(want->arg, p->runs[i].stream, &meta, err);
        *ret = !meta;
    }
    return rc;
}

lp_rc
lp_rows_open(struct lp_worker *w, const struct lp_rows_want *want, struct lp_rows **ret, struct lp_err *err)
{
    const struct lp_part *p = &w->x->parts[w->part];
    struct lp_rows *r = lp_malloc(sizeof(*r));
    r->w = w;
    r->want = *want;
    r->stored = p->seg != NULL;
    r->held = false;
    r->steps = 0;
    lp_rc rc = lp_exec_open(w->x, p, w->codec, want->from_ns, want->to_ns, false, &r->scan, &r->block, err);
    w->stats.blocks += r->stored;
    w->stats.head_parts += !r->stored;
    if (rc == LP_OK) {
        rc = lp_exec_start(w->x, r->scan, err);
        rc = rc == LP_OK ? takes_spans(w->x, p, want, &r->spans, err) : rc;
        if (rc != LP_OK) {
            lp_exec_close(w->x, p, r->scan, r->block);
        }
    }
    if (rc != LP_OK) {
        lp_free(r);
        return rc;
    }
    lp_arena_init(&r->meta, SIZE_MAX, 0); /* one row's, whose size ingestion limits */
    *ret = r;
    return LP_OK;
}

void
lp_rows_close(struct lp_rows *r)
{
    if (r == NULL) {
        return;
    }
    lp_exec_count_passed(r->scan, r->stored, &r->w->stats);
    lp_exec_close(r->w->x, &r->w->x->parts[r->w->part], r->scan, r->block);
    lp_arena_clear(&r->meta);
    lp_free(r);
}

/* The next row that passes, into r->row; *ret_more false at the end. */
static lp_rc
pass_row(struct lp_rows *r, bool *ret_more, struct lp_err *err)
{
    const struct lp_exec *x = r->w->x;
    struct lp_search_stats *st = &r->w->stats;
    while (lp_scan_next(r->scan, &r->row)) {
        if (++r->steps % CHECK_ROWS == 0) {
            lp_rc rc = lp_exec_check(x->q->deadline_ns, x->q->cancel, err);
            if (rc != LP_OK) {
                return rc;
            }
        }
        ++*(r->stored ? &st->stored_lines : &st->head_lines);
        if (!x->unfiltered && !r->row.sure) {
            struct lp_str line;
            lp_rc rc = lp_scan_line(r->scan, &line, err);
            if (rc != LP_OK) {
                return rc;
            }
            st->head_bytes += r->stored ? 0 : line.n;
            if (!lp_linefilter_match(x->filter, line)) {
                continue;
            }
        }
        st->passed_lines++;
        *ret_more = true;
        return LP_OK;
    }
    *ret_more = false;
    return LP_OK;
}

/* The next row with all that is wanted of it; r->held says whether there is one. */
static lp_rc
hold_row(struct lp_rows *r, struct lp_err *err)
{
    lp_rc rc = pass_row(r, &r->held, err);
    if (rc == LP_OK && r->held && r->want.line_bytes) {
        rc = lp_scan_line_bytes(r->scan, &r->row_bytes, err);
    }
    r->row_nmeta = 0;
    bool meta = false;
    if (rc == LP_OK && r->held) {
        rc = r->want.meta(r->want.arg, r->row.stream, &meta, err);
    }
    if (rc == LP_OK && meta) {
        rc = lp_scan_meta(r->scan, &r->row_meta, &r->row_nmeta, err);
        for (size_t i = 0; i < r->row_nmeta; i++) {
            r->w->stats.meta_bytes += r->row_meta[i].name.n + r->row_meta[i].value.n;
        }
    }
    r->held = r->held && rc == LP_OK;
    return rc;
}

/* Keeps the metadata of the held row for its chunk. */
static lp_rc
keep_meta(struct lp_rows *r, struct lp_rows_chunk *ret, struct lp_err *err)
{
    lp_arena_reset(&r->meta);
    ret->nmeta = r->row_nmeta;
    ret->meta = NULL;
    if (r->row_nmeta == 0) {
        return LP_OK;
    }
    struct lp_pair *kept = lp_arena_array(&r->meta, r->row_nmeta, sizeof(*kept));
    for (size_t i = 0; i < r->row_nmeta; i++) {
        if (kept == NULL || !lp_arena_str(&r->meta, r->row_meta[i].name, &kept[i].name) ||
            !lp_arena_str(&r->meta, r->row_meta[i].value, &kept[i].value)) {
            return lp_err_set(err, LP_ERR_NOMEM, "no memory for metadata");
        }
    }
    ret->meta = kept;
    return LP_OK;
}

static bool
same_meta(const struct lp_rows *r, const struct lp_rows_chunk *c)
{
    bool same = r->row_nmeta == c->nmeta;
    for (size_t i = 0; i < c->nmeta && same; i++) {
        same = lp_str_eq(r->row_meta[i].name, c->meta[i].name) &&
               lp_str_eq(r->row_meta[i].value, c->meta[i].value);
    }
    return same;
}

static lp_rc
next_span(struct lp_rows *r, struct lp_rows_chunk *ret, struct lp_err *err)
{
    struct lp_scan_span span;
    *ret = (struct lp_rows_chunk){.n = 0};
    if (lp_scan_next_span(r->scan, &span)) {
        *ret = (struct lp_rows_chunk){.stream = span.stream, .n = span.n, .times = span.times};
        r->w->stats.stored_lines += span.n;
        r->w->stats.passed_lines += span.n;
    }
    return lp_exec_check(r->w->x->q->deadline_ns, r->w->x->q->cancel, err);
}

lp_rc
lp_rows_next(struct lp_rows *r, struct lp_rows_chunk *ret, struct lp_err *err)
{
    lp_rc rc = LP_OK;
    if (r->spans) {
        return next_span(r, ret, err);
    }
    *ret = (struct lp_rows_chunk){.times = r->times};
    ret->line_bytes = r->want.line_bytes ? r->line_bytes : NULL;
    if (!r->held) {
        rc = hold_row(r, err);
    }
    if (rc != LP_OK || !r->held) {
        return rc;
    }
    ret->stream = r->row.stream;
    rc = keep_meta(r, ret, err);
    while (rc == LP_OK && r->held && ret->n < CHUNK_ROWS && r->row.stream == ret->stream &&
           same_meta(r, ret) && (ret->n == 0 || r->row.time_ns >= r->times[ret->n - 1])) {
        r->times[ret->n] = r->row.time_ns;
        r->line_bytes[ret->n++] = r->row_bytes;
        rc = hold_row(r, err);
    }
    return rc;
}
