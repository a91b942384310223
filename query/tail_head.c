/*
 * tail_head.c - the rows of a batch in memory as a tail gives them: by (time, stream hash, place in the
 * batch).
 *
 * Mostly the rows of a batch are in that order as they stand. Line filters choose rows when the batch is
 * taken in hand; the stages behind them run when a row is given.
 */
#include <stdlib.h>
#include <string.h>

#include "query/tail_int.h"

/* --- which streams --- */

static bool
wants_key(const struct lp_tail *t, struct lp_str key)
{
    struct lp_pair labels[LP_STREAM_LABELS_MAX];
    struct lp_str tenant;
    struct lp_arena scratch;
    size_t n;
    lp_arena_init(&scratch, SIZE_MAX, 0);
    bool wants = lp_str_find(key, t->cfg.hint) != SIZE_MAX && lp_key_labels(key, &tenant, labels, &n) &&
                 lp_str_eq(tenant, t->cfg.tenant) &&
                 (t->quarantine || lp_labels_get(labels, n, LP_STR(LP_QUARANTINE_LABEL)).p == NULL) &&
                 lp_matchers_match(t->matchers, labels, n) &&
                 lp_select_filter_wants(t->cfg.filter, key, &scratch);
    lp_arena_clear(&scratch);
    return wants;
}

static bool
wants_stream(const struct lp_tail *t, struct lp_tail_gen *g, uint32_t stream)
{
    if (stream >= g->nwanted) {
        size_t n = LP_MAX((size_t)stream + 1, g->nwanted * 2);
        g->wanted = lp_realloc(g->wanted, n);
        memset(g->wanted + g->nwanted, 0, n - g->nwanted);
        g->nwanted = n;
    }
    if (g->wanted[stream] == 0) {
        g->wanted[stream] = wants_key(t, lp_gen_stream(g->gen, stream)->key) ? 2 : 1;
    }
    return g->wanted[stream] == 2;
}

/* --- which rows --- */

static int
by_place(const void *va, const void *vb, void *arg)
{
    const struct lp_tail_hit *a = va, *b = vb;
    const struct lp_batch *batch = arg;
    if (a->time_ns != b->time_ns) {
        return a->time_ns < b->time_ns ? -1 : 1;
    }
    int order = lp_hash128_cmp(batch->streams[batch->rows[a->row].stream].hash,
                               batch->streams[batch->rows[b->row].stream].hash);
    return order != 0 ? order : (a->row > b->row) - (a->row < b->row);
}

static void
add_hit(struct lp_tail *t, const struct lp_row *r, uint32_t row, bool *sorted)
{
    if (t->nhits == t->hits_cap) {
        t->hits_cap = t->hits_cap ? t->hits_cap * 2 : 256;
        t->hits = lp_realloc(t->hits, t->hits_cap * sizeof(*t->hits));
    }
    t->hits[t->nhits++] = (struct lp_tail_hit){r->time_ns, row};
    *sorted =
        *sorted && (t->nhits == 1 || by_place(&t->hits[t->nhits - 2], &t->hits[t->nhits - 1], t->batch) <= 0);
}

static void
find_hits(struct lp_tail *t)
{
    struct lp_batch *b = t->batch;
    bool *wanted = lp_calloc(b->nstreams, sizeof(*wanted));
    bool any = false, sorted = true;
    bool all = lp_linefilter_passes_all(t->filter);
    t->nhits = t->hit = 0;
    for (size_t i = 0; i < b->nstreams; i++) {
        wanted[i] = b->streams[i].rows > 0 && wants_stream(t, t->of, b->gen_streams[i]);
        any = any || wanted[i];
    }
    for (size_t i = 0; i < b->nrows && any; i++) {
        const struct lp_row *r = &b->rows[i];
        if (wanted[r->stream] && (all || lp_linefilter_match(t->filter, lp_str_of(r->line, r->line_bytes)))) {
            add_hit(t, r, (uint32_t)i, &sorted);
        }
    }
    if (!sorted) {
        qsort_r(t->hits, t->nhits, sizeof(*t->hits), by_place, b);
    }
    lp_free(wanted);
}

lp_rc
lp_tail_head_take(struct lp_tail *t, struct lp_tail_gen *of, struct lp_err *err)
{
    struct lp_batch *b = of->last != NULL ? of->last->next : of->gen->first;
    LP_ASSERT(t->of == NULL && of->done < of->visible);
    uint64_t source = b->source->hash;
    t->of = of;
    t->batch = b;
    t->nhits = t->hit = 0;
    t->run = (struct lp_tail_row){.first = b->first_position};
    if (!atomic_load_explicit(&b->dropped, memory_order_relaxed) &&
        lp_tail_judge(t, source, b->first_position, b->next_position, &t->skip) != LP_TAIL_BEHIND) {
        find_hits(t);
    }
    return t->cfg.cancel != NULL ? lp_exec_check(INT64_MAX, t->cfg.cancel, err) : LP_OK;
}

/* --- rows --- */

static void
read_meta(struct lp_tail *t, const struct lp_row *r, struct lp_pipe_row *ret)
{
    struct lp_meta_iter it = lp_meta_begin(r->meta);
    struct lp_pair p;
    ret->nmeta = 0;
    while (lp_meta_next(&it, &p)) {
        if (ret->nmeta == t->meta_cap) {
            t->meta_cap = t->meta_cap ? t->meta_cap * 2 : 16;
            t->meta = lp_realloc(t->meta, t->meta_cap * sizeof(*t->meta));
        }
        t->meta[ret->nmeta++] = p;
    }
    ret->meta = t->meta;
}

static lp_rc
run_stages(struct lp_tail *t, const struct lp_row *r, struct lp_pipe_out *ret, struct lp_err *err)
{
    const struct lp_gen_stream *s = lp_gen_stream(t->of->gen, t->batch->gen_streams[r->stream]);
    struct lp_pipe_row row = {.time_ns = r->time_ns, .line = lp_str_of(r->line, r->line_bytes)};
    if (t->labels_of != s) {
        struct lp_str tenant;
        bool ok = lp_key_labels(s->key, &tenant, t->labels, &t->nlabels);
        LP_ASSERT(ok); /* wants_key has read it */
        t->labels_of = s;
    }
    row.labels = t->labels;
    row.nlabels = t->nlabels;
    read_meta(t, r, &row);
    return lp_pipe_run(t->pipe, &row, ret, err);
}

static bool
copy_labels(const struct lp_pipe_out *out, struct lp_arena *ar, struct lp_found_row *row)
{
    struct lp_label *labels = lp_arena_array(ar, out->nlabels, sizeof(*labels));
    bool ok = labels != NULL;
    row->labels = labels;
    row->nlabels = out->nlabels;
    for (size_t i = 0; i < out->nlabels && ok; i++) {
        const struct lp_label *l = &out->labels[i];
        labels[i].origin = l->origin;
        ok = lp_arena_str(ar, l->name, &labels[i].name) && lp_arena_str(ar, l->value, &labels[i].value);
    }
    return ok;
}

/* A stream of a generation, copied. */
static struct lp_vstream *
copy_stream(const struct lp_gen_stream *gs, struct lp_arena *ar)
{
    struct lp_vstream *s = lp_arena_zalloc(ar, sizeof(*s));
    struct lp_str key;
    if (s == NULL || !lp_arena_str(ar, gs->key, &key) ||
        lp_stream_key_parse(key, ar, &s->key, NULL) != LP_OK) {
        return NULL;
    }
    s->hash = gs->hash;
    return s;
}

/* The row's stream is the result's last one, or becomes that: a stream may be in it several times. */
static bool
name_stream(const struct lp_gen_stream *gs, struct lp_found *ret, struct lp_found_row *row)
{
    size_t n = ret->nstreams;
    if (n == 0 || !lp_hash128_eq(ret->streams[n - 1]->hash, gs->hash)) {
        if ((n & (n - 1)) == 0) { /* full: it has room for 1, 2, 4 .. */
            const struct lp_vstream **v = lp_arena_array(&ret->ar, LP_MAX(2 * n, (size_t)1), sizeof(*v));
            if (v == NULL) {
                return false;
            }
            memcpy(v, n > 0 ? ret->streams : v, n * sizeof(*v));
            ret->streams = v;
        }
        ret->streams[n] = copy_stream(gs, &ret->ar);
        if (ret->streams[n] == NULL) {
            return false;
        }
        ret->nstreams++;
    }
    row->stream = (uint32_t)ret->nstreams - 1;
    return true;
}

static lp_rc
append(const struct lp_tail *t, const struct lp_row *r, const struct lp_pipe_out *out, struct lp_found *ret,
       struct lp_err *err)
{
    const struct lp_gen_stream *gs = lp_gen_stream(t->of->gen, t->batch->gen_streams[r->stream]);
    struct lp_found_row *row = &ret->rows[ret->n];
    *row = (struct lp_found_row){.time_ns = r->time_ns};
    bool ok = lp_arena_str(&ret->ar, out->line, &row->line) &&
              (t->cfg.bare ? name_stream(gs, ret, row) : copy_labels(out, &ret->ar, row));
    if (!ok) {
        return lp_tail_over_budget(t, err);
    }
    ret->n++;
    return LP_OK;
}

static void
end_batch(struct lp_tail *t)
{
    struct lp_batch *b = t->batch;
    lp_tail_cursor_put(&t->at, b->source->hash, b->next_position, t->of->gen->id);
    t->of->last = b;
    t->of->done++;
    t->of = NULL;
    t->batch = NULL;
}

lp_rc
lp_tail_head_rows(struct lp_tail *t, size_t limit, size_t page_bytes, struct lp_found *ret,
                  struct lp_err *err)
{
    size_t bytes = 0;
    while (t->hit < t->nhits && ret->n < limit && bytes < page_bytes) {
        const struct lp_row *r = &t->batch->rows[t->hits[t->hit].row];
        struct lp_pipe_out out;
        lp_rc rc = run_stages(t, r, &out, err);
        if (rc == LP_ERR_LIMIT) { /* it would be no better next time */
            lp_tail_note(t, "a line was left out: the query's stages take too much memory on it");
            t->hit++;
            continue;
        }
        if (rc != LP_OK) {
            return rc;
        }
        struct lp_tail_row run = t->run;
        lp_tail_step(&run, r->time_ns, t->batch->streams[r->stream].hash);
        if (out.passed && (t->skip.ordinal == 0 || lp_tail_behind(&run, &t->skip))) {
            rc = append(t, r, &out, ret, err);
            if (rc != LP_OK) {
                return rc;
            }
            bytes += out.line.n;
            lp_tail_cursor_inside(&t->at, t->batch->source->hash, &run, t->of->gen->id);
        }
        t->run = out.passed ? run : t->run;
        t->hit++;
    }
    if (t->hit == t->nhits) {
        end_batch(t);
    }
    return LP_OK;
}
