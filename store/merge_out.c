/*
 * merge_out.c - the files that a merge writes: rows gathered into blocks, blocks into groups, groups into
 * files.
 *
 * A file is finished (footer, sync, rename) only when the next one has something to write, or the pass ends:
 * so the last file of the pass is known when its footer is written, and names all of them. A pass of which
 * that file is missing did not happen; that is how a rebuild without the catalog can tell.
 */
#include "store/merge_int.h"

#include <stdlib.h>
#include <string.h>

#include "base/metrics.h"
#include "store/hooks.h"

#define FILE_IDS_MAX (4u << 20) /* of the id index: 16 bytes each in memory until the file is finished */

void
lp_merge_out_init(struct lp_merge_out *o, struct lp_store *st)
{
    *o = (struct lp_merge_out){.st = st, .group = UINT64_MAX};
    o->rows = lp_malloc(LP_BLOCK_ROWS_MAX * sizeof(*o->rows));
    o->refs = lp_malloc(LP_BLOCK_ROWS_MAX * sizeof(*o->refs));
    o->runs = lp_malloc(LP_BLOCK_ROWS_MAX * sizeof(*o->runs));
    o->enc = lp_block_encoder_new();
    o->codec = lp_codec_new();
    lp_arena_init(&o->lines, SIZE_MAX, 0);
    lp_buf_init(&o->encoded, SIZE_MAX);
}

static void
clear_file(struct lp_merge_out *o)
{
    lp_seg_writer_free(o->w);
    lp_free(o->foot.blocks);
    lp_free(o->foot.runs);
    lp_free(o->foot.streams);
    lp_free(o->foot.groups);
    lp_free(o->foot.cell_ids);
    o->w = NULL;
    o->foot = (struct lp_footer){.segment = 0};
    o->blocks_cap = o->runs_cap = o->streams_cap = o->groups_cap = 0;
}

void
lp_merge_out_clear(struct lp_merge_out *o)
{
    clear_file(o);
    lp_free(o->ids);
    lp_free(o->group_runs);
    lp_free(o->rows);
    lp_free(o->refs);
    lp_free(o->runs);
    lp_block_encoder_free(o->enc);
    lp_codec_free(o->codec);
    lp_arena_clear(&o->lines);
    lp_buf_clear(&o->encoded);
}

/* Room for one more element of a growing array. */
static void *
room(void *v, size_t n, size_t *cap, size_t size)
{
    if (n < *cap) {
        return v;
    }
    *cap = *cap ? *cap * 2 : 64;
    return lp_realloc(v, *cap * size);
}

/* --- files --- */

static void
note_file(struct lp_merge_out *o, struct lp_cat_segment *row)
{
    struct lp_merged *m = o->ret;
    size_t first = m->entries.n;
    lp_entries_of_footer(&m->entries, &o->foot);
    lp_entries_sum(&m->entries, first, row);
    m->segments = lp_realloc(m->segments, (m->n + 1) * sizeof(*m->segments));
    m->segments[m->n++] = *row;
    m->written_bytes += row->file_bytes;
}

static lp_rc
finish_file(struct lp_merge_out *o, bool last, struct lp_err *err)
{
    struct lp_cat_segment row = {.id = o->foot.segment,
                                 .first_generation = o->foot.first_generation,
                                 .generation = o->foot.generation,
                                 .created_ns = o->created_ns,
                                 .level = o->level};
    o->foot.outputs = last ? o->ids : NULL;
    o->foot.noutputs = last ? o->nids : 0;
    lp_rc rc = lp_seg_writer_finish(o->w, &o->foot, o->codec, &row.file_bytes, &row.dir_crc, err);
    if (rc == LP_OK) {
        note_file(o, &row);
    }
    clear_file(o);
    return rc;
}

static lp_rc
open_file(struct lp_merge_out *o, struct lp_err *err)
{
    uint64_t id;
    lp_rc rc = lp_store_take_id(o->st, &id, err);
    if (rc == LP_OK) {
        rc = lp_seg_writer_new(o->st->cfg.io, o->st->seg_dir, &o->all.uuid, id, o->created_ns, &o->w, err);
    }
    if (rc != LP_OK) {
        return rc;
    }
    o->foot = o->all;
    o->foot.segment = id;
    o->foot.level = o->level;
    o->ids = lp_realloc(o->ids, (o->nids + 1) * sizeof(*o->ids));
    o->ids[o->nids++] = id;
    return LP_OK;
}

lp_rc
lp_merge_out_file(struct lp_merge_out *o, uint8_t level, struct lp_err *err)
{
    lp_rc rc = o->w != NULL ? finish_file(o, false, err) : LP_OK;
    o->level = level;
    return rc;
}

lp_rc
lp_merge_out_end(struct lp_merge_out *o, struct lp_err *err)
{
    lp_rc rc = o->w == NULL ? open_file(o, err) : LP_OK;
    return rc == LP_OK ? finish_file(o, true, err) : rc;
}

/* --- groups --- */

void
lp_merge_out_group(struct lp_merge_out *o, uint64_t group)
{
    o->group = group;
    o->ngroup_runs = 0;
}

/* The open group's index in the open file, which is made when the group has its first block. */
static lp_rc
group_index(struct lp_merge_out *o, uint32_t *ret, struct lp_err *err)
{
    struct lp_footer *f = &o->foot;
    if (o->ngroup_runs == 0) {
        struct lp_foot_group g = {.id = o->group};
        lp_rc rc = lp_merge_group_key(o->names, o->group, &g.key, err);
        if (rc != LP_OK) {
            return rc;
        }
        LP_ASSERT(f->ngroups == 0 || f->groups[f->ngroups - 1].id < o->group);
        f->groups = room(f->groups, f->ngroups, &o->groups_cap, sizeof(*f->groups));
        f->groups[f->ngroups++] = g;
    }
    *ret = (uint32_t)f->ngroups - 1;
    return LP_OK;
}

static int
by_stream(const void *va, const void *vb)
{
    const struct lp_merge_run *a = va, *b = vb;
    if (a->stream != b->stream) {
        return a->stream < b->stream ? -1 : 1;
    }
    if (a->run.block != b->run.block) {
        return a->run.block < b->run.block ? -1 : 1;
    }
    return (a->run.first > b->run.first) - (a->run.first < b->run.first);
}

static lp_rc
add_stream(struct lp_merge_out *o, uint64_t id, struct lp_err *err)
{
    struct lp_footer *f = &o->foot;
    struct lp_foot_stream s = {.id = id,
                               .min_ns = LP_TIME_MAX,
                               .max_ns = LP_TIME_MIN,
                               .first_run = (uint32_t)f->nruns,
                               .group = (uint32_t)f->ngroups - 1};
    lp_rc rc = lp_merge_stream_key(o->names, id, &s.key, err);
    f->streams = room(f->streams, f->nstreams, &o->streams_cap, sizeof(*f->streams));
    f->streams[f->nstreams] = s;
    f->nstreams += rc == LP_OK;
    return rc;
}

lp_rc
lp_merge_out_end_group(struct lp_merge_out *o, struct lp_err *err)
{
    struct lp_footer *f = &o->foot;
    size_t n = o->ngroup_runs;
    if (n > 1) {
        qsort(o->group_runs, n, sizeof(*o->group_runs), by_stream);
    }
    for (size_t i = 0; i < n; i++) {
        const struct lp_merge_run *r = &o->group_runs[i];
        if (i == 0 || r[-1].stream != r->stream) {
            lp_rc rc = add_stream(o, r->stream, err);
            if (rc != LP_OK) {
                return rc;
            }
        }
        struct lp_foot_stream *s = &f->streams[f->nstreams - 1];
        f->runs = room(f->runs, f->nruns, &o->runs_cap, sizeof(*f->runs));
        f->runs[f->nruns++] = r->run;
        s->runs++;
        s->rows += r->run.rows;
        s->min_ns = LP_MIN(s->min_ns, r->run.min_ns);
        s->max_ns = LP_MAX(s->max_ns, r->run.max_ns);
    }
    o->ngroup_runs = 0;
    if (f->ncell_ids > FILE_IDS_MAX) { /* streams of other groups may go to another file of the same days */
        return finish_file(o, false, err);
    }
    return LP_OK;
}

/* --- blocks --- */

/* A block's place in the file, before its bytes. */
static lp_rc
begin_block(struct lp_merge_out *o, uint32_t *ret_number, uint32_t *ret_group, struct lp_err *err)
{
    if (o->go_on != NULL && !o->go_on(o->arg)) {
        return lp_err_set(err, LP_ERR_CANCELED, "stopped");
    }
    lp_rc rc = o->w == NULL ? open_file(o, err) : LP_OK;
    if (rc == LP_OK) {
        rc = group_index(o, ret_group, err);
    }
    *ret_number = (uint32_t)o->foot.nblocks;
    return rc;
}

static void
note_run(struct lp_merge_out *o, uint32_t block, const struct lp_block_run *r)
{
    o->group_runs = room(o->group_runs, o->ngroup_runs, &o->group_runs_cap, sizeof(*o->group_runs));
    o->group_runs[o->ngroup_runs++] =
        (struct lp_merge_run){r->stream, {block, r->first, r->rows, r->min_ns, r->max_ns}};
}

/* Writes the encoded bytes as the next block, with what the footer says of it. */
static lp_rc
write_block(struct lp_merge_out *o, struct lp_foot_block fb, const struct lp_block_run *runs,
            const uint64_t *ids, size_t nids, struct lp_err *err)
{
    struct lp_footer *f = &o->foot;
    uint32_t number = (uint32_t)f->nblocks;
    fb.bytes = o->encoded.n;
    lp_rc rc = lp_seg_writer_block(o->w, lp_buf_view(&o->encoded), &fb.off, err);
    if (rc != LP_OK) {
        return rc;
    }
    f->blocks = room(f->blocks, f->nblocks, &o->blocks_cap, sizeof(*f->blocks));
    f->blocks[f->nblocks++] = fb;
    f->rows += fb.rows;
    for (uint32_t i = 0; i < fb.runs; i++) {
        note_run(o, number, &runs[i]);
    }
    lp_footer_note_ids(f, number, ids, nids);
    return LP_OK;
}

static lp_rc
encode(struct lp_merge_out *o, const struct lp_block_src *src, struct lp_err *err)
{
    lp_buf_reset(&o->encoded);
    lp_rc rc = lp_block_encode(o->enc, src, &o->encoded, err);
    if (rc == LP_ERR_CORRUPT && !o->plain) { /* as in the seal: the codec's bug costs bytes, not lines */
        o->plain = true;
        lp_metric_add(LP_M_SEAL_CODEC_FALLBACK, 1);
        lp_block_encoder_plain(o->enc);
        rc = lp_block_encode(o->enc, src, &o->encoded, err);
    }
    return rc;
}

lp_rc
lp_merge_out_flush(struct lp_merge_out *o, struct lp_err *err)
{
    if (o->nrows == 0) {
        return LP_OK;
    }
    struct lp_block_src src = {
        .rows = o->refs, .nrows = o->nrows, .runs = o->runs, .nruns = o->nruns, .no_source = true};
    struct lp_foot_block fb = {
        .rows = o->nrows, .runs = o->nruns, .min_ns = LP_TIME_MAX, .max_ns = LP_TIME_MIN};
    lp_rc rc = begin_block(o, &src.number, &src.group, err);
    if (rc == LP_OK) {
        rc = encode(o, &src, err);
    }
    fb.group = src.group;
    fb.tokens = lp_block_encoder_tokens(o->enc);
    for (uint32_t i = 0; i < o->nruns; i++) {
        fb.min_ns = LP_MIN(fb.min_ns, o->runs[i].min_ns);
        fb.max_ns = LP_MAX(fb.max_ns, o->runs[i].max_ns);
    }
    for (uint32_t i = 0; i < o->nrows; i++) {
        fb.line_bytes += o->rows[i].line_bytes;
    }
    if (rc == LP_OK) {
        size_t nids;
        const uint64_t *ids = lp_block_encoder_ids(o->enc, &nids);
        rc = write_block(o, fb, o->runs, ids, nids, err);
    }
    o->ret->encoded_blocks++;
    o->nrows = o->nruns = 0;
    o->bytes = 0;
    lp_arena_reset(&o->lines);
    return rc;
}

static void
extend_run(struct lp_merge_out *o, uint64_t stream, int64_t time_ns)
{
    struct lp_block_run *r = o->nruns > 0 ? &o->runs[o->nruns - 1] : NULL;
    if (r == NULL || r->stream != stream) {
        LP_ASSERT(r == NULL || r->stream < stream);
        r = &o->runs[o->nruns++];
        *r = (struct lp_block_run){.stream = stream, .first = o->nrows, .min_ns = time_ns};
    }
    LP_ASSERT(r->rows == 0 || r->max_ns <= time_ns);
    r->rows++;
    r->max_ns = time_ns;
}

lp_rc
lp_merge_out_row(struct lp_merge_out *o, uint64_t stream, int64_t time_ns, struct lp_str line,
                 const struct lp_pair *meta, size_t nmeta, struct lp_err *err)
{
    size_t bytes = line.n;
    for (size_t i = 0; i < nmeta; i++) {
        bytes += meta[i].name.n + meta[i].value.n;
    }
    if (o->nrows == LP_BLOCK_ROWS_MAX || (o->nrows > 0 && o->bytes + bytes > LP_BLOCK_BYTES_MAX)) {
        lp_rc rc = lp_merge_out_flush(o, err);
        if (rc != LP_OK) {
            return rc;
        }
    }
    struct lp_row *r = &o->rows[o->nrows];
    char *kept = lp_arena_bytes(&o->lines, line.n);
    *r = (struct lp_row){.time_ns = time_ns, .line = kept, .line_bytes = (uint32_t)line.n};
    r->meta = nmeta > 0 ? lp_meta_write(&o->lines, meta, nmeta) : NULL;
    if (kept == NULL || (nmeta > 0 && r->meta == NULL)) {
        return lp_err_set(err, LP_ERR_NOMEM, "no memory for a block");
    }
    if (line.n > 0) {
        memcpy(kept, line.p, line.n);
    }
    o->refs[o->nrows].row = r;
    o->bytes += bytes;
    extend_run(o, stream, time_ns);
    o->nrows++;
    return LP_OK;
}

/* --- copies --- */

static lp_rc
read_block(struct lp_seg *seg, uint32_t block, struct lp_buf *out, struct lp_err *err)
{
    const struct lp_foot_block *fb = &seg->blocks[block];
    lp_buf_reset(out);
    if (!lp_buf_reserve(out, fb->bytes)) {
        return lp_err_set(err, LP_ERR_NOMEM, "no memory for a block");
    }
    lp_rc rc = lp_io_pread(seg->io, seg->fd, out->p, fb->bytes, fb->off, err);
    out->n = rc == LP_OK ? fb->bytes : 0;
    return rc;
}

lp_rc
lp_merge_out_copy(struct lp_merge_out *o, struct lp_seg *seg, uint32_t block, struct lp_block *b,
                  const struct lp_block_run *runs, uint32_t nruns, struct lp_err *err)
{
    struct lp_foot_block fb = seg->blocks[block];
    uint64_t *ids = NULL;
    size_t nids = 0;
    uint32_t number;
    LP_ASSERT(o->nrows == 0 && fb.runs == nruns);
    lp_rc rc = lp_block_ids(b, o->codec, &ids, &nids, err);
    if (rc == LP_OK) {
        rc = lp_block_tokens_of(b, o->codec, &fb.tokens, err);
    }
    if (rc == LP_OK) {
        rc = begin_block(o, &number, &fb.group, err);
    }
    if (rc == LP_OK) {
        rc = read_block(seg, block, &o->encoded, err);
    }
    if (rc == LP_OK && !lp_block_renumber(o->encoded.p, o->encoded.n, number, fb.group)) {
        rc = lp_corrupt(err, "segment %016llx: block %u is not what it was", (unsigned long long)seg->id,
                        block);
    }
    if (rc == LP_OK) {
        rc = write_block(o, fb, runs, ids, nids, err);
    }
    o->ret->copied_blocks++;
    lp_free(ids);
    return rc;
}
