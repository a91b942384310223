/*
 * exec_fetch.c - the lines and metadata of the rows that a scan chose.
 *
 * Two passes over the hits, each part by part and row by row, so that every frame is decoded once: first the
 * lengths, from which the memory needed is known before a line is decoded, then the lines.
 */
#include <stdlib.h>
#include <string.h>

#include "query/exec_int.h"
#include "query/level.h"

#define CHECK_ROWS 1024
#define SHARED 32 /* a power of two */

struct want {
    uint32_t part, at; /* at: index of the hit, and of its row */
    uint64_t arrival;
};

struct fetch {
    struct lp_exec *x;
    const struct lp_hit *hits;
    const enum lp_context *marks; /* NULL: none is context */
    struct want *wants;           /* by part and arrival */
    size_t n;
    struct lp_found *out;
    bool *lost; /* rows in damaged places */
    uint64_t meta_bytes;
    struct lp_row_pipe pipe; /* makes lines and labels of rows; without one they stay as they are stored */
    struct lp_row_pipe
        bare;   /* the same for context, which goes through no stage; not used where there is none */
    bool plain; /* there are no stages: labels are the stream's, the level, and metadata */
    struct shared {
        uint32_t vstream_1; /* and 1; 0: unused */
        struct lp_str level;
        const struct lp_label *labels;
        size_t n;
    } shared[SHARED]; /* of rows without metadata, whose labels go by stream and level */
};

typedef lp_rc (*row_fn)(struct fetch *f, struct lp_scan *s, size_t at, struct lp_err *err);

static int
by_part(const void *va, const void *vb)
{
    const struct want *a = va, *b = vb;
    if (a->part != b->part) {
        return a->part < b->part ? -1 : 1;
    }
    return (a->arrival > b->arrival) - (a->arrival < b->arrival);
}

static lp_rc
over_budget(const struct fetch *f, struct lp_err *err)
{
    if (lp_exec_memory_taken(f->x->q->share, err)) {
        return LP_ERR_BUSY;
    }
    return lp_err_set(err, LP_ERR_LIMIT,
                      "the answer needs more than the %zu MiB of memory that a query may have; ask for fewer "
                      "lines (limit), or a shorter range",
                      f->x->q->budget_bytes >> 20);
}

static lp_rc
row_length(struct fetch *f, struct lp_scan *s, size_t at, struct lp_err *err)
{
    uint32_t bytes;
    lp_rc rc = lp_scan_line_bytes(s, &bytes, err);
    if (rc == LP_OK) {
        f->out->rows[at].line.n = bytes;
    }
    return rc;
}

static lp_rc
copy_meta(struct fetch *f, const struct lp_pair *meta, size_t n, struct lp_found_row *row, struct lp_err *err)
{
    struct lp_pair *kept = lp_arena_array(&f->out->ar, n, sizeof(*kept));
    for (size_t i = 0; i < n; i++) {
        if (kept == NULL || !lp_arena_str(&f->out->ar, meta[i].name, &kept[i].name) ||
            !lp_arena_str(&f->out->ar, meta[i].value, &kept[i].value)) {
            return over_budget(f, err);
        }
        f->meta_bytes += meta[i].name.n + meta[i].value.n;
    }
    row->meta = kept;
    row->nmeta = (uint32_t)n;
    return LP_OK;
}

/* Is it the stream's own, not one that a stage made of it? */
static bool
is_of_stream(const struct lp_row_pipe *pipe, const struct lp_label *l)
{
    for (size_t i = 0; i < pipe->n && l->origin == LP_LABEL_STREAM; i++) {
        const struct lp_pair *own = &pipe->labels[i];
        if (own->name.p == l->name.p && own->value.p == l->value.p) {
            return true;
        }
    }
    return false;
}

/* The labels that the stages left. Those of the stream live as long as the view, which the result keeps. */
static lp_rc
copy_labels(struct fetch *f, const struct lp_row_pipe *pipe, const struct lp_pipe_out *out,
            struct lp_found_row *row, struct lp_err *err)
{
    struct lp_arena *ar = &f->out->ar;
    struct lp_label *kept = lp_arena_array(ar, out->nlabels, sizeof(*kept));
    for (size_t i = 0; i < out->nlabels; i++) {
        const struct lp_label *l = &out->labels[i];
        if (kept != NULL && is_of_stream(pipe, l)) {
            kept[i] = *l;
            continue;
        }
        if (kept == NULL || !lp_arena_str(ar, l->name, &kept[i].name) ||
            !lp_arena_str(ar, l->value, &kept[i].value)) {
            return over_budget(f, err);
        }
        kept[i].origin = l->origin;
    }
    row->labels = kept;
    row->nlabels = out->nlabels;
    return LP_OK;
}

/* Labels that another row of the same stream and level got; NULL: none did. */
static struct shared *
find_shared(struct fetch *f, size_t at, struct lp_str line)
{
    uint32_t vstream = f->hits[at].vstream;
    struct lp_str level = lp_level_detect(f->pipe.labels, f->pipe.n, NULL, 0, line);
    struct shared *s = &f->shared[(vstream ^ (uintptr_t)level.p >> 2) & (SHARED - 1)];
    if (s->vstream_1 != vstream + 1 || s->level.p != level.p) {
        *s = (struct shared){.vstream_1 = vstream + 1, .level = level};
    }
    return s;
}

/* *line becomes what the stages make of it. */
static lp_rc
run_stages(struct fetch *f, struct lp_row_pipe *pipe, struct lp_scan *s, size_t at, struct lp_str *line,
           struct lp_err *err)
{
    struct lp_pipe_out out;
    struct lp_found_row *row = &f->out->rows[at];
    struct shared *shared = NULL;
    if (f->plain && row->nmeta == 0 && f->pipe.stream == f->hits[at].vstream) {
        shared = find_shared(f, at, *line);
        if (shared->labels != NULL) {
            row->labels = shared->labels;
            row->nlabels = shared->n;
            return LP_OK;
        }
    }
    lp_rc rc =
        lp_row_pipe_run(f->x, pipe, s, f->hits[at].time_ns, f->hits[at].vstream, *line, NULL, &out, err);
    if (rc != LP_OK) {
        return rc;
    }
    if (!out.passed) { /* it did, in the scan */
        return lp_corrupt(err, "a line passed the query's stages once, and not again");
    }
    *line = out.line;
    rc = copy_labels(f, pipe, &out, row, err);
    if (rc == LP_OK && shared != NULL) {
        shared->labels = row->labels;
        shared->n = row->nlabels;
    }
    return rc;
}

/* What makes labels and line of the row; without stages that is the same for all. */
static struct lp_row_pipe *
pipe_of(struct fetch *f, size_t at)
{
    return f->out->rows[at].context != LP_CONTEXT_NONE && !f->plain ? &f->bare : &f->pipe;
}

static lp_rc
row_content(struct fetch *f, struct lp_scan *s, size_t at, struct lp_err *err)
{
    struct lp_found_row *row = &f->out->rows[at];
    struct lp_str line;
    const struct lp_pair *meta;
    size_t n;
    lp_rc rc = lp_scan_line(s, &line, err);
    if (rc == LP_OK) {
        rc = lp_scan_meta(s, &meta, &n, err);
    }
    row->nmeta = (uint32_t)n;
    struct lp_row_pipe *pipe = pipe_of(f, at);
    if (rc == LP_OK && pipe->pipe != NULL) {
        rc = run_stages(f, pipe, s, at, &line, err);
    }
    if (rc != LP_OK) {
        return rc;
    }
    char *kept = lp_arena_bytes(&f->out->ar, line.n);
    if (kept == NULL) {
        return over_budget(f, err);
    }
    if (line.n > 0) {
        memcpy(kept, line.p, line.n);
    }
    row->line = lp_str_of(kept, line.n);
    return n > 0 ? copy_meta(f, meta, n, row, err) : LP_OK;
}

/* fn for the wants [from, to), all of one part, that come before hit `end`. */
static lp_rc
each_of_part(struct fetch *f, size_t from, size_t to, size_t end, struct lp_codec *codec, row_fn fn,
             struct lp_err *err)
{
    struct lp_exec *x = f->x;
    const struct lp_part *p = &x->parts[f->wants[from].part];
    struct lp_scan *s;
    struct lp_block *block;
    lp_rc rc = lp_exec_open(x, p, codec, LP_TIME_MIN, LP_TIME_MAX, false, &s, &block, err);
    size_t i = from;
    if (rc == LP_OK) {
        for (; i < to && rc == LP_OK; i++) {
            if (i % CHECK_ROWS == 0) {
                rc = lp_exec_check(x->q->deadline_ns, x->q->cancel, err);
            }
            if (rc == LP_OK && f->wants[i].at < end && !f->lost[f->wants[i].at]) {
                lp_scan_seek(s, f->wants[i].arrival);
                rc = fn(f, s, f->wants[i].at, err);
                i -= rc != LP_OK; /* this row is the first that is lost */
            }
        }
        uint64_t passed, decoded;
        lp_scan_stats(s, &passed, &decoded);
        x->stats.stored_bytes += p->seg != NULL ? decoded : 0;
        lp_exec_close(x, p, s, block);
    }
    if (lp_exec_is_damage(rc)) {
        lp_exec_note_damage(x, err);
        for (; i < to; i++) {
            f->lost[f->wants[i].at] = true;
        }
        rc = LP_OK;
    }
    return rc;
}

static lp_rc
each(struct fetch *f, size_t end, struct lp_codec *codec, row_fn fn, struct lp_err *err)
{
    lp_rc rc = LP_OK;
    for (size_t i = 0, k; i < f->n && rc == LP_OK; i = k) {
        for (k = i + 1; k < f->n && f->wants[k].part == f->wants[i].part; k++) {
        }
        rc = lp_exec_check(f->x->q->deadline_ns, f->x->q->cancel, err);
        if (rc == LP_OK) {
            rc = each_of_part(f, i, k, end, codec, fn, err);
        }
    }
    return rc;
}

/* How many rows fit: up to page_bytes, at least one; all where there is no such limit, or LP_ERR_LIMIT. */
static lp_rc
cut_page(const struct fetch *f, size_t *ret_end, struct lp_err *err)
{
    const struct lp_search *q = f->x->q;
    uint64_t bytes = 0;
    for (size_t i = 0; i < f->n; i++) {
        bytes += f->out->rows[i].line.n;
        if (q->page_bytes > 0 && bytes >= q->page_bytes) {
            *ret_end = i + 1;
            return LP_OK;
        }
    }
    if (bytes > q->budget_bytes) {
        return over_budget(f, err);
    }
    *ret_end = f->n;
    return LP_OK;
}

/* Takes out the rows that were lost. */
static void
finish(struct fetch *f, size_t end)
{
    size_t kept = 0;
    uint64_t head = 0;
    for (size_t i = 0; i < end; i++) {
        if (f->lost[i]) {
            continue;
        }
        head += f->x->parts[f->hits[i].part].seg == NULL ? f->out->rows[i].line.n : 0;
        f->out->rows[kept++] = f->out->rows[i];
    }
    f->out->n = kept;
    f->x->stats.meta_bytes += f->meta_bytes;
    if (f->x->unfiltered) { /* with filters the scan has counted them */
        f->x->stats.head_bytes += head;
    }
}

static int
by_vstream(const void *a, const void *b, void *arg)
{
    const struct lp_hit *hits = arg;
    uint32_t x = hits[*(const uint32_t *)a].vstream, y = hits[*(const uint32_t *)b].vstream;
    return (x > y) - (x < y);
}

/* The streams of the hits, each once: the result's. */
static lp_rc
name_streams(struct fetch *f, struct lp_err *err)
{
    struct lp_found *out = f->out;
    uint32_t *order = lp_malloc(f->n * sizeof(*order));
    lp_rc rc = LP_OK;
    for (size_t i = 0; i < f->n; i++) {
        order[i] = (uint32_t)i;
    }
    if (f->n > 1) {
        qsort_r(order, f->n, sizeof(*order), by_vstream, (void *)(uintptr_t)f->hits);
    }
    out->streams = lp_arena_array(&out->ar, f->n, sizeof(const struct lp_vstream *));
    for (size_t i = 0; i < f->n && out->streams != NULL && rc == LP_OK; i++) {
        uint32_t vstream = f->hits[order[i]].vstream;
        if (i == 0 || vstream != f->hits[order[i - 1]].vstream) {
            rc = lp_view_stream(f->x->view, vstream, &out->streams[out->nstreams++], err);
        }
        out->rows[order[i]].stream = (uint32_t)out->nstreams - 1;
    }
    lp_free(order);
    return out->streams != NULL ? rc : over_budget(f, err);
}

/* For context: a query without stages. Only labels come of it. */
static lp_rc
begin_bare(struct fetch *f, const struct lp_log_query *none, struct lp_pipe_prog **ret, struct lp_err *err)
{
    const struct lp_pipe_need everything = {.all = true};
    lp_rc rc = LP_OK;
    if (f->marks != NULL && !f->plain && f->x->q->want_labels) {
        rc = lp_exec_prog(none, NULL, &everything, ret, err);
    }
    lp_row_pipe_begin(&f->bare, *ret);
    return rc;
}

/* The stages, where there are any or the labels are wanted. */
static lp_rc
begin_pipe(struct fetch *f, struct lp_pipe_prog **ret, struct lp_err *err)
{
    const struct lp_search *q = f->x->q;
    const struct lp_pipe_need everything = {.all = true};
    lp_rc rc = LP_OK;
    if (q->want_labels || lp_linefilter_run(q->log->stages, q->log->nstages) < q->log->nstages) {
        rc = lp_exec_prog(q->log, NULL, &everything, ret, err);
    }
    lp_row_pipe_begin(&f->pipe, *ret);
    f->plain = q->log->nstages == lp_linefilter_run(q->log->stages, q->log->nstages);
    return rc;
}

lp_rc
lp_exec_fetch(struct lp_exec *x, const struct lp_around *rows, struct lp_found *ret, size_t *ret_used,
              struct lp_err *err)
{
    const size_t n = rows->n;
    struct fetch f = {.x = x, .hits = rows->v, .marks = rows->marks, .n = n, .out = ret};
    struct lp_log_query none = *x->q->log;
    struct lp_codec *codec = lp_codec_new();
    size_t end = n;
    struct lp_pipe_prog *prog = NULL, *bare = NULL;
    none.nstages = 0;
    lp_rc rc = begin_pipe(&f, &prog, err);
    rc = rc == LP_OK ? begin_bare(&f, &none, &bare, err) : rc;
    ret->rows = lp_arena_array(&ret->ar, n, sizeof(*ret->rows));
    f.wants = lp_malloc(n * sizeof(*f.wants));
    f.lost = lp_calloc(n, sizeof(*f.lost));
    if (rc == LP_OK && ret->rows == NULL) {
        rc = over_budget(&f, err);
    }
    if (rc != LP_OK) {
        goto out;
    }
    for (size_t i = 0; i < n; i++) {
        f.wants[i] = (struct want){rows->v[i].part, (uint32_t)i, rows->v[i].arrival};
        ret->rows[i] = (struct lp_found_row){.time_ns = rows->v[i].time_ns};
        ret->rows[i].context = f.marks != NULL ? f.marks[i] : LP_CONTEXT_NONE;
    }
    if (n > 1) {
        qsort(f.wants, n, sizeof(*f.wants), by_part);
    }
    rc = name_streams(&f, err);
    if (rc == LP_OK) {
        rc = each(&f, n, codec, row_length, err);
    }
    if (rc == LP_OK) {
        rc = cut_page(&f, &end, err);
    }
    if (rc == LP_OK) {
        rc = each(&f, end, codec, row_content, err);
    }
    if (rc == LP_OK) {
        finish(&f, end);
        *ret_used = end;
    }
out:
    lp_row_pipe_end(&f.pipe);
    lp_row_pipe_end(&f.bare);
    lp_pipe_prog_free(prog);
    lp_pipe_prog_free(bare);
    lp_free(f.wants);
    lp_free(f.lost);
    lp_codec_free(codec);
    return rc;
}
