/*
 * page_enc.c - encoding the stream table of a segment. See page.h; the bytes are FORMAT.md section 2.7.
 *
 * What can be known from what stands before is stored as a difference to it, so that most columns of a page
 * are constant: ids that were given in one go, one run a stream, runs that follow each other in their block.
 * Times of runs are bounds in units of a 1,024th of the page's span: exact ones would be half of all bytes,
 * and the blocks have them.
 */
#include <stddef.h>
#include <string.h>

#include "base/bytes.h"
#include "store/column.h"
#include "store/page.h"

#define PAGE_STREAMS 512u
#define PAGE_RUNS 4096u
#define PAGE_KEY_BYTES (1u << 20)
#define TIME_UNITS 1023u /* of a page's span */
#define EXACT_RUNS 8u    /* pages of so few runs have exact times */
#define KEYS_BYTES (256u << 10)
#define LEVEL 1
#define AHEAD 8u            /* keys are fetched so many before their turn: they lie all over the head */
#define ONE_PART_BYTES 400u /* smaller pages are compressed in one */

struct table {
    const struct lp_footer *f;
    struct lp_codec *codec;
    struct lp_column_encoder *columns;
    struct lp_table_bytes *out;
    uint32_t *order;       /* streams group by group */
    uint32_t *group_first; /* of each group, in order[]; one more */
    uint32_t *block_first; /* of each group; one more */
    uint32_t *ends;        /* of the last run of the page in each block of the group */
    struct lp_buf raw;
    struct lp_buf keys; /* of the pages since the last piece of SKEY */
    struct lp_str key;  /* the one before in it */
    uint32_t keys_pages, npages, nkeys;
    struct lp_buf heads, key_heads; /* rows of the index */
    uint64_t first_id;              /* of the page before */
    int64_t min_ns;
    uint64_t *col; /* a number for each run */
    size_t col_cap;
    uint32_t part_ends[4 + 2 * LP_NUMBERS_PARTS];
    size_t nparts;
};

/* A page being made: f's streams order[first..first + n). */
struct draft {
    uint32_t group, first, n, nruns;
    uint64_t unit;
    int64_t min_ns, max_ns;
};

static const struct lp_foot_stream *
stream_at(const struct table *t, uint32_t i)
{
    return &t->f->streams[t->order[i]];
}

/* Bounds of a run's times that are within those of its block. */
static void
run_times(const struct table *t, const struct lp_foot_run *r, int64_t *ret_min, int64_t *ret_max)
{
    const struct lp_foot_block *b = &t->f->blocks[r->block];
    *ret_min = LP_MAX(r->min_ns, b->min_ns);
    *ret_max = LP_MIN(r->max_ns, b->max_ns);
    LP_ASSERT(*ret_min <= *ret_max);
}

/* --- pieces --- */

/* Compresses bytes of these parts to the end of `to`, and notes the piece in the index row. */
static lp_rc
put_piece(struct table *t, struct lp_str raw, const uint32_t *part_ends, size_t nparts, struct lp_buf *to,
          struct lp_buf *row, struct lp_err *err)
{
    size_t at = to->n;
    uint8_t codec;
    lp_rc rc =
        raw.n > LP_FRAME_BYTES_MAX
            ? lp_err_set(err, LP_ERR_LIMIT, "a page of the stream table is over %u bytes", LP_FRAME_BYTES_MAX)
            : lp_codec_encode_parts(t->codec, LEVEL, raw, part_ends, nparts, to, &codec, err);
    if (rc == LP_OK) {
        lp_buf_varint(row, to->n - at);
        lp_buf_varint(row, raw.n);
        lp_buf_u8(row, codec);
        lp_buf_u32(row, lp_crc32c(0, to->p + at, to->n - at));
    }
    return rc;
}

/* --- columns --- */

static void
end_part(struct table *t)
{
    t->part_ends[t->nparts++] = (uint32_t)t->raw.n;
}

/* Appends t->col[0..n) as one column. Its parts are those of the page if they are wanted. */
static void
put_column(struct table *t, uint32_t n, bool own_parts)
{
    struct lp_buf b;
    uint32_t ends[LP_NUMBERS_PARTS];
    size_t nparts;
    lp_buf_init(&b, SIZE_MAX);
    lp_numbers_encode(t->columns, t->col, n, &b, ends, &nparts);
    lp_buf_varint(&t->raw, b.n);
    size_t at = t->raw.n;
    lp_buf_str(&t->raw, lp_buf_view(&b));
    for (size_t i = 0; i < nparts && own_parts; i++) {
        t->part_ends[t->nparts++] = (uint32_t)at + ends[i];
    }
    lp_buf_clear(&b);
}

static void
put_streams(struct table *t, const struct draft *d)
{
    uint64_t id = 0;
    for (uint32_t i = 0; i < d->n; i++) {
        const struct lp_foot_stream *s = stream_at(t, d->first + i);
        LP_ASSERT(i == 0 || s->id > id);
        if (i > 0) {
            t->col[i - 1] = s->id - id - 1;
        }
        id = s->id;
    }
    put_column(t, d->n - 1, false);
    for (uint32_t i = 0; i < d->n; i++) {
        t->col[i] = stream_at(t, d->first + i)->runs - 1;
    }
    put_column(t, d->n, false);
}

/* What a column holds of a run. */
typedef uint64_t run_number(struct table *t, const struct draft *d, const struct lp_foot_run *r,
                            const struct lp_foot_run *before);

static uint64_t
number_block(struct table *t, const struct draft *d, const struct lp_foot_run *r,
             const struct lp_foot_run *before)
{
    return lp_zigzag((int64_t)r->block - (before != NULL ? before->block : t->block_first[d->group]));
}

static uint64_t
number_first(struct table *t, const struct draft *d, const struct lp_foot_run *r,
             const struct lp_foot_run *before)
{
    uint32_t *end = &t->ends[r->block - t->block_first[d->group]];
    (void)before;
    LP_ASSERT(r->first >= *end);
    uint64_t n = r->first - *end;
    *end = r->first + r->rows;
    return n;
}

static uint64_t
number_rows(struct table *t, const struct draft *d, const struct lp_foot_run *r,
            const struct lp_foot_run *before)
{
    (void)t;
    (void)d;
    (void)before;
    return r->rows - 1;
}

static uint64_t
number_low(struct table *t, const struct draft *d, const struct lp_foot_run *r,
           const struct lp_foot_run *before)
{
    int64_t min_ns, max_ns;
    (void)before;
    run_times(t, r, &min_ns, &max_ns);
    return ((uint64_t)min_ns - (uint64_t)d->min_ns) / d->unit;
}

static uint64_t
number_span(struct table *t, const struct draft *d, const struct lp_foot_run *r,
            const struct lp_foot_run *before)
{
    int64_t min_ns, max_ns;
    run_times(t, r, &min_ns, &max_ns);
    uint64_t high = (uint64_t)max_ns - (uint64_t)d->min_ns;
    return high / d->unit + (high % d->unit != 0) - number_low(t, d, r, before);
}

static void
put_runs(struct table *t, const struct draft *d, run_number *number, bool own_parts)
{
    const struct lp_foot_run *before = NULL;
    uint32_t n = 0;
    for (uint32_t i = 0; i < d->n; i++) {
        const struct lp_foot_stream *s = stream_at(t, d->first + i);
        for (uint32_t k = 0; k < s->runs; k++) {
            const struct lp_foot_run *r = &t->f->runs[s->first_run + k];
            t->col[n++] = number(t, d, r, before);
            before = r;
        }
    }
    put_column(t, n, own_parts);
}

/* --- a page --- */

static void
put_head(struct table *t, const struct draft *d)
{
    uint64_t first_id = stream_at(t, d->first)->id, last_id = stream_at(t, d->first + d->n - 1)->id;
    lp_buf_varint(&t->heads, d->n);
    lp_buf_varint(&t->heads, d->nruns);
    lp_buf_svarint(&t->heads, (int64_t)(first_id - t->first_id));
    lp_buf_varint(&t->heads, last_id - first_id);
    lp_buf_svarint(&t->heads, (int64_t)((uint64_t)d->min_ns - (uint64_t)t->min_ns));
    lp_buf_varint(&t->heads, (uint64_t)d->max_ns - (uint64_t)d->min_ns);
    t->first_id = first_id;
    t->min_ns = d->min_ns;
}

static lp_rc
put_page(struct table *t, struct draft *d, struct lp_err *err)
{
    uint32_t nblocks = t->block_first[d->group + 1] - t->block_first[d->group];
    uint64_t span = (uint64_t)d->max_ns - (uint64_t)d->min_ns;
    size_t room = LP_MAX(d->n, d->nruns);
    if (t->col_cap < room) {
        t->col_cap = room;
        lp_free(t->col);
        t->col = lp_malloc(room * sizeof(*t->col));
    }
    memset(t->ends, 0, nblocks * sizeof(*t->ends));
    d->unit = d->nruns <= EXACT_RUNS ? 1 : span / TIME_UNITS + 1;
    put_head(t, d);
    lp_buf_reset(&t->raw);
    t->nparts = 0;
    lp_buf_varint(&t->raw, d->unit);
    put_streams(t, d);
    put_runs(t, d, number_block, false);
    put_runs(t, d, number_first, false);
    end_part(t);
    put_runs(t, d, number_rows, true);
    put_runs(t, d, number_low, true);
    put_runs(t, d, number_span, true);
    if (t->raw.n < ONE_PART_BYTES || t->nparts > LP_CODEC_PARTS_MAX) {
        t->nparts = 0;
        end_part(t);
    }
    t->npages++;
    return put_piece(t, lp_buf_view(&t->raw), t->part_ends, t->nparts, &t->out->pages, &t->heads, err);
}

/* --- keys --- */

/* How many of n bytes are the same from the begin, and from the end (which a and b point behind). */
static size_t
same_from_begin(const char *a, const char *b, size_t n)
{
    size_t i = 0;
    for (; i + 8 <= n; i += 8) {
        uint64_t differ = lp_get_u64(a + i) ^ lp_get_u64(b + i);
        if (differ != 0) {
            return i + (size_t)__builtin_ctzll(differ) / 8;
        }
    }
    while (i < n && a[i] == b[i]) {
        i++;
    }
    return i;
}

static size_t
same_from_end(const char *a, const char *b, size_t n)
{
    size_t i = 0;
    for (; i + 8 <= n; i += 8) {
        uint64_t differ = lp_get_u64(a - i - 8) ^ lp_get_u64(b - i - 8);
        if (differ != 0) {
            return i + (size_t)__builtin_clzll(differ) / 8;
        }
    }
    while (i < n && a[-1 - (ptrdiff_t)i] == b[-1 - (ptrdiff_t)i]) {
        i++;
    }
    return i;
}

/* What it does not share with the key before, at both ends. */
static void
put_key(struct table *t, struct lp_str key)
{
    size_t most = LP_MIN(key.n, t->key.n), begin = 0, end = 0;
    if (most > 0) {
        begin = same_from_begin(key.p, t->key.p, most);
        end = same_from_end(key.p + key.n, t->key.p + t->key.n, most - begin);
    }
    lp_buf_varint(&t->keys, begin);
    lp_buf_varint(&t->keys, end);
    lp_buf_lpstr(&t->keys, lp_str_sub(key, begin, key.n - end));
    t->key = key;
}

static lp_rc
end_keys(struct table *t, struct lp_err *err)
{
    uint32_t all = (uint32_t)t->keys.n;
    lp_buf_varint(&t->key_heads, t->keys_pages);
    lp_rc rc = put_piece(t, lp_buf_view(&t->keys), &all, 1, &t->out->keys, &t->key_heads, err);
    lp_buf_reset(&t->keys);
    t->key = LP_STR_NULL;
    t->keys_pages = 0;
    t->nkeys++;
    return rc;
}

static lp_rc
put_keys(struct table *t, const struct draft *d, struct lp_err *err)
{
    for (uint32_t i = 0; i < d->n; i++) {
        struct lp_str ahead = stream_at(t, d->first + LP_MIN(i + AHEAD, d->n - 1))->key;
        __builtin_prefetch(ahead.p);
        __builtin_prefetch(ahead.p + ahead.n);
        put_key(t, stream_at(t, d->first + i)->key);
    }
    t->keys_pages++;
    return t->keys.n >= KEYS_BYTES ? end_keys(t, err) : LP_OK;
}

/* --- the whole --- */

/* Streams group by group, in the order that they have. */
static void
order_streams(struct table *t)
{
    const struct lp_footer *f = t->f;
    for (size_t i = 0; i < f->nstreams; i++) {
        t->group_first[f->streams[i].group + 1]++;
    }
    for (size_t g = 0; g < f->ngroups; g++) {
        t->group_first[g + 1] += t->group_first[g];
    }
    uint32_t *next = lp_malloc((f->ngroups + 1) * sizeof(*next));
    memcpy(next, t->group_first, (f->ngroups + 1) * sizeof(*next));
    for (size_t i = 0; i < f->nstreams; i++) {
        t->order[next[f->streams[i].group]++] = (uint32_t)i;
    }
    lp_free(next);
}

static void
place_blocks(struct table *t)
{
    const struct lp_footer *f = t->f;
    for (size_t i = 0; i < f->nblocks; i++) {
        LP_ASSERT(i == 0 || f->blocks[i - 1].group <= f->blocks[i].group);
        t->block_first[f->blocks[i].group + 1]++;
    }
    for (size_t g = 0; g < f->ngroups; g++) {
        t->block_first[g + 1] += t->block_first[g];
    }
}

/* The next page of the group from order[first] on: one stream at least. */
static struct draft
next_page(const struct table *t, uint32_t group, uint32_t first)
{
    struct draft d = {.group = group, .first = first, .min_ns = LP_TIME_MAX, .max_ns = LP_TIME_MIN};
    size_t key_bytes = 0;
    for (uint32_t i = first; i < t->group_first[group + 1] && d.n < PAGE_STREAMS; i++) {
        const struct lp_foot_stream *s = stream_at(t, i);
        key_bytes += s->key.n;
        if (d.n > 0 && (s->runs > PAGE_RUNS - LP_MIN(d.nruns, PAGE_RUNS) || key_bytes > PAGE_KEY_BYTES)) {
            break;
        }
        LP_ASSERT(s->runs >= 1);
        d.n++;
        d.nruns += s->runs;
        for (uint32_t k = 0; k < s->runs; k++) {
            int64_t min_ns, max_ns;
            run_times(t, &t->f->runs[s->first_run + k], &min_ns, &max_ns);
            d.min_ns = LP_MIN(d.min_ns, min_ns);
            d.max_ns = LP_MAX(d.max_ns, max_ns);
        }
    }
    return d;
}

static lp_rc
put_group(struct table *t, uint32_t group, struct lp_err *err)
{
    uint64_t before = group > 0 ? t->f->groups[group - 1].id : 0;
    uint32_t npages = t->npages;
    LP_ASSERT(group == 0 || t->f->groups[group].id > before);
    lp_rc rc = LP_OK;
    for (uint32_t at = t->group_first[group]; at < t->group_first[group + 1] && rc == LP_OK;) {
        struct draft d = next_page(t, group, at);
        rc = put_page(t, &d, err);
        rc = rc == LP_OK ? put_keys(t, &d, err) : rc;
        at += d.n;
    }
    lp_buf_varint(&t->out->index, t->f->groups[group].id - before);
    lp_buf_varint(&t->out->index, t->block_first[group + 1] - t->block_first[group]);
    lp_buf_varint(&t->out->index, t->npages - npages);
    return rc;
}

static lp_rc
put_groups(struct table *t, struct lp_err *err)
{
    lp_rc rc = LP_OK;
    order_streams(t);
    place_blocks(t);
    lp_buf_varint(&t->out->index, t->f->ngroups);
    for (uint32_t g = 0; g < t->f->ngroups && rc == LP_OK; g++) {
        rc = put_group(t, g, err);
    }
    if (rc == LP_OK && t->keys_pages > 0) {
        rc = end_keys(t, err);
    }
    lp_buf_str(&t->out->index, lp_buf_view(&t->heads));
    lp_buf_varint(&t->out->index, t->nkeys);
    lp_buf_str(&t->out->index, lp_buf_view(&t->key_heads));
    return rc;
}

lp_rc
lp_table_encode(const struct lp_footer *f, struct lp_codec *c, struct lp_table_bytes *out, struct lp_err *err)
{
    struct table t = {.f = f, .codec = c, .columns = lp_column_encoder_new(), .out = out};
    struct lp_buf *bufs[] = {&t.raw, &t.keys, &t.heads, &t.key_heads};
    for (size_t i = 0; i < LP_ARRAY_LEN(bufs); i++) {
        lp_buf_init(bufs[i], SIZE_MAX);
    }
    t.order = lp_malloc(f->nstreams * sizeof(*t.order));
    t.group_first = lp_calloc(f->ngroups + 1, sizeof(*t.group_first));
    t.block_first = lp_calloc(f->ngroups + 1, sizeof(*t.block_first));
    t.ends = lp_malloc(f->nblocks * sizeof(*t.ends));
    lp_rc rc = put_groups(&t, err);
    for (size_t i = 0; i < LP_ARRAY_LEN(bufs); i++) {
        lp_buf_clear(bufs[i]);
    }
    lp_free(t.order);
    lp_free(t.group_first);
    lp_free(t.block_first);
    lp_free(t.ends);
    lp_free(t.col);
    lp_column_encoder_free(t.columns);
    return rc;
}
